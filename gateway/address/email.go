package address

import (
	"errors"
	"log/slog"
	"strings"
)

// ErrEmail refuses what is no e-mail address.
var ErrEmail = errors.New("address: not an e-mail address")

// Email is an address in canonical form: lower case, no blanks.
type Email string

// Bounds of an address in octets: İYS takes 6 to 265 (iys-api.md §16.1); the
// parts are bounded by RFC 5321 §4.5.3.1 and RFC 1035 §2.3.4.
const (
	minEmail  = 6
	maxEmail  = 265
	maxLocal  = 64
	maxDomain = 253
	maxLabel  = 63
)

// ParseEmail reads an address by the rules of İYS (iys-api.md §16.1): 6 to 265
// characters; letters, digits and . _ + - before the @; a domain of at least
// two labels, the last of two letters or more. Blanks around it are dropped
// and letters become lower case, as İYS stores them. Turkish letters are
// refused, never folded: they would make another person's address. The error
// is ErrEmail.
func ParseEmail(raw string) (Email, error) { return parseEmail(raw, "._+-", topLabel) }

// ParseMailbox is ParseEmail with every character a dot-string may have before
// the @ (RFC 5321 §4.1.2, without quoted strings) and with internationalised
// top labels (xn--…, RFC 5890 §2.3.2.1), for messages that need no consent. İYS
// refuses some of these addresses, so a commercial message to
// them can never be permitted.
func ParseMailbox(raw string) (Email, error) {
	return parseEmail(raw, "._+-!#$%&'*/=?^`{|}~", func(s string) bool { return topLabel(s) || len(s) > 4 && strings.EqualFold(s[:4], "xn--") })
}

func parseEmail(raw, specials string, top func(label string) bool) (Email, error) {
	s := strings.Trim(raw, " ")
	if len(s) < minEmail || len(s) > maxEmail {
		return "", ErrEmail
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > maxLocal || !domain(s[at+1:], top) {
		return "", ErrEmail
	}
	for i := range at {
		if c := s[i]; !alphanumeric(c) && strings.IndexByte(specials, c) < 0 {
			return "", ErrEmail
		}
	}
	return Email(strings.ToLower(s)), nil
}

// domain reports whether s is a host name whose last label is a top label.
func domain(s string, top func(label string) bool) bool {
	if len(s) > maxDomain {
		return false
	}
	labels := 0
	for rest, more := s, true; more; labels++ {
		var label string
		label, rest, more = strings.Cut(rest, ".")
		if !hostLabel(label) || !more && !top(label) {
			return false
		}
	}
	return labels >= 2
}

func hostLabel(s string) bool {
	if s == "" || len(s) > maxLabel || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

// topLabel reports whether s is letters alone.
func topLabel(s string) bool {
	for i := range len(s) {
		if !alphanumeric(s[i]) || s[i] <= '9' {
			return false
		}
	}
	return len(s) >= 2
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// Split returns what stands before and after the @.
func (e Email) Split() (local, domain string) {
	at := strings.LastIndexByte(string(e), '@')
	if at < 0 {
		return string(e), ""
	}
	return string(e[:at]), string(e[at+1:])
}

// LogValue masks the address.
func (e Email) LogValue() slog.Value { return slog.StringValue(Mask(string(e))) }
