package desk

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"izinli/gateway"
)

// invalid is a refusal of a field.
func invalid(field, format string, args ...any) error {
	return gateway.Refuse(gateway.CodeInvalid, field, format, args...)
}

// text checks a name or note: no control characters, at most limit characters, not empty when required. It returns the text
// without blanks around it.
func text(field, s string, required bool, limit int) (string, error) {
	s = strings.TrimSpace(s)
	if p := textProblem(s, required, limit, false); p != "" {
		return "", invalid(field, "%s %s.", field, p)
	}
	return s, nil
}

func textProblem(s string, required bool, limit int, lines bool) string {
	switch {
	case s == "" && required:
		return "is missing"
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case utf8.RuneCountInString(s) > limit:
		return fmt.Sprintf("is longer than %d characters", limit)
	case strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) && !(lines && r == '\n') }) >= 0:
		return "contains control characters"
	}
	return ""
}

// unixLines ends lines with LF alone, where browsers send CR LF, and takes the blanks around the text away.
func unixLines(s string) string { return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) }

// part is one text of a proof; several lines may stand in it.
type part struct {
	name  string
	s     *string
	limit int
}

// proof requires every part; why says what rests on them.
func proof(field, why string, parts ...part) error {
	for _, p := range parts {
		*p.s = unixLines(*p.s)
		if problem := textProblem(*p.s, true, p.limit, true); problem != "" {
			return invalid(field+"."+p.name, "%s: %s.%s %s.", why, field, p.name, problem)
		}
	}
	return nil
}

var slugForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$`)

// slug checks a name that stands in metrics, logs and commands.
func slug(field, s string) error {
	if !slugForm.MatchString(s) {
		return invalid(field, "%q cannot be a name: it takes 1 to 32 letters, digits, '-', '_' or '.', a letter or digit first.", s)
	}
	return nil
}

// oneOf checks a word against a list; the empty one passes.
func oneOf(field, s string, list ...string) error {
	if s == "" {
		return nil
	}
	for _, w := range list {
		if s == w {
			return nil
		}
	}
	return invalid(field, "%q is not possible; choose one of %s.", s, strings.Join(list, ", "))
}

// within checks a number against its bounds.
func within[N int | int64](field string, n, low, high N) error {
	if n < low || n > high {
		return invalid(field, "%s is %d; it lies between %d and %d.", field, n, low, high)
	}
	return nil
}

// first returns the first error of a row of checks.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Bounds of the numbers İYS gives to companies and brands. Their width is not documented; every known one has 6 or 7 digits
// (iys-api.md §2), and the reading of opt-out texts relies on it.
const (
	minIYSCode = 100_000
	maxIYSCode = 9_999_999
)

// ParseIYSCode reads an iysCode as a person types it. What is typed instead most often, the number of the application, a
// MERSİS or a tax number, is refused by name.
func ParseIYSCode(s string) (int, error) { return parseCode("iysCode", s) }

func parseCode(field, s string) (int, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, invalid(field, "%s is missing.", field)
	}
	if strings.Trim(s, "0123456789") != "" || len(s) > 18 {
		return 0, notACode(field, s, "")
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, notACode(field, s, "")
	}
	return n, checkCode(field, n, s)
}

// checkCode refuses numbers İYS cannot have given; typed is how it was written.
func checkCode(field string, n int, typed string) error {
	if n >= minIYSCode && n <= maxIYSCode && typed[0] != '0' {
		return nil
	}
	kind := ""
	switch len(typed) {
	case 16:
		kind = "16 digits are a MERSİS number; it has its own field. "
	case 11:
		kind = "11 digits are an identity number (TCKN). "
	case 10:
		kind = "10 digits are a tax number (VKN). "
	case 8:
		kind = "8 digits are a dealer's number (bayi, retailerCode). "
	}
	return notACode(field, typed, kind)
}

func notACode(field, typed, kind string) error {
	what := "the number İYS gave the company (İYS numarası)"
	if field != "iysCode" {
		what = "the number İYS gave the brand (Marka Yönetimi)"
	}
	return invalid(field, "%q is not %s: %sit has 6 or 7 digits, e.g. 675403. The number of an application (başvuru numarası) is "+
		"not it: İYS assigns the code when the application is approved; look it up at hs.iys.org.tr.", typed, what, kind)
}

// optionalCode checks an iysCode that may be absent.
func optionalCode(n int) error {
	if n == 0 {
		return nil
	}
	return checkCode("iysCode", n, strconv.Itoa(n))
}

// checkURL accepts absolute http and https URLs.
func checkURL(s string) error { return httpURL("url", s, true) }

// httpURL checks an address we call. Plain http is for this very machine unless anyHost.
func httpURL(field, s string, anyHost bool) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https"):
		return invalid(field, "%s must be an absolute address such as https://example.com/path.", field)
	case u.User != nil:
		return invalid(field, "%s must not contain a user or password.", field)
	case u.Fragment != "":
		return invalid(field, "%s must not contain '#'.", field)
	case u.Scheme == "http" && !anyHost && !loopback(u.Hostname()):
		return invalid(field, "%s must be https: passwords travel over it.", field)
	}
	return nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
