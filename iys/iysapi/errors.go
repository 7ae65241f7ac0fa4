package iysapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Retry says what may follow an error (iys-api.md §17.4).
type Retry uint8

// The retry classes. The zero value is the careful one: do not send it again.
const (
	RetryFinal    Retry = iota // the record itself is refused
	RetryAgain                 // passing: send it again later
	RetryWaitHour              // an hourly limit: nothing of this kind before APIError.Until
	RetryNewToken              // the token was refused even when new
	RetryOperator              // a right, a subscription or a setting is missing
)

// String returns the class as used in logs.
func (r Retry) String() string {
	switch r {
	case RetryAgain:
		return "again"
	case RetryWaitHour:
		return "wait_hour"
	case RetryNewToken:
		return "new_token"
	case RetryOperator:
		return "operator"
	}
	return "final"
}

// ErrInvalid marks a question this package will not ask: İYS would answer an
// error, and errors count against the caller's address.
var ErrInvalid = errors.New("invalid request")

// ErrAnswer marks an answer that could not be understood.
var ErrAnswer = errors.New("answer not understood")

// Detail is one error of an answer; a batch answer has many.
type Detail struct {
	Code     string
	Message  string // İYS's text, digits and addresses blanked
	Index    int    // 0-based item of a batch, -1 when the error is not about one
	Location string // wire path of the field, for example "retailerAccess[0]"
}

// APIError is a refusal of İYS, or of this client on its behalf.
type APIError struct {
	HTTP int // status; 0 when the client refused before asking
	Detail
	Details []Detail // all errors of the answer, the first included
	Retry   Retry
	Until   time.Time // RetryWaitHour: not before; zero otherwise
}

// Error names status and code; it holds no personal data.
func (e *APIError) Error() string {
	var b strings.Builder
	if e.HTTP > 0 {
		fmt.Fprintf(&b, "http %d ", e.HTTP)
	}
	if e.Code != "" {
		b.WriteString(e.Code + " ")
	}
	if e.Location != "" {
		b.WriteString(e.Location + " ")
	}
	if e.Index >= 0 {
		fmt.Fprintf(&b, "item %d ", e.Index)
	}
	b.WriteString(e.Message)
	return strings.TrimSpace(b.String())
}

// RetryOf tells the retry class of any error of this package. Errors that İYS
// did not utter (network, time-out, an unreadable answer) may be tried again.
func RetryOf(err error) Retry {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e.Retry
	}
	if errors.Is(err, ErrInvalid) {
		return RetryFinal
	}
	return RetryAgain
}

var retryByCode = map[string]Retry{
	// İYS's own list of December 2020, and H083, H100, H476 beside it.
	"H015": RetryAgain, "H101": RetryAgain, "H102": RetryAgain, "H103": RetryAgain,
	"H123": RetryAgain, "H124": RetryAgain, "H179": RetryAgain, "H192": RetryAgain,
	"H412": RetryAgain, "H470": RetryAgain, "H083": RetryAgain, "H100": RetryAgain,
	"H476": RetryAgain,

	"H084": RetryWaitHour, "H086": RetryWaitHour, "H089": RetryWaitHour,

	"H351": RetryNewToken,

	"H353": RetryOperator, "H355": RetryOperator, "H363": RetryOperator,
	"H520": RetryOperator, "H521": RetryOperator, "H522": RetryOperator,
	"H524": RetryOperator, "H525": RetryOperator, "H586": RetryOperator,
	"H001": RetryOperator, "H018": RetryOperator, "H031": RetryOperator,
	"H129": RetryOperator, "H176": RetryOperator, "H195": RetryOperator,
	"H196": RetryOperator, "H251": RetryOperator, "H437": RetryOperator,
	"H180": RetryFinal, // 403, but about the dealer named and nothing else

	"H245":  RetryOperator, // the iysCode is not of the partner's group
	"H1028": RetryAgain,    // the recipient has not acted yet
	// ViA: the form, the credit, the subscription.
	"H1000": RetryOperator, "H1014": RetryOperator, "H1015": RetryOperator, "H1031": RetryOperator,
	"H1062": RetryOperator, "H1092": RetryOperator, "H1093": RetryOperator,
}

// retryFor sorts by code first and by HTTP status where the code is unknown.
func retryFor(status int, code string) Retry {
	if r, ok := retryByCode[code]; ok {
		return r
	}
	switch {
	case status == http.StatusUnauthorized:
		return RetryNewToken
	case status == http.StatusForbidden, status == http.StatusNotFound:
		return RetryOperator
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return RetryAgain
	case status >= 300 && status < 400:
		return RetryOperator // İYS redirects nothing; a proxy or a wrong host does
	}
	return RetryFinal
}

// RefusedAddresses tells which addresses of a list İYS would not take in a
// question (StatusMany, AHSClient.Approved), by their place in the list, with
// the codes. about is true when the refusal is of addresses at all; without
// places İYS has not said which.
func RefusedAddresses(err error) (named map[int]string, about bool) {
	e, ok := errors.AsType[*APIError](err)
	if !ok || e.HTTP != http.StatusUnprocessableEntity && e.HTTP != http.StatusBadRequest {
		return nil, false
	}
	named = map[int]string{}
	for _, d := range e.Details {
		switch d.Code {
		case "H464", "H120", "H121", "H122", "H160", "H166": // iys-api.md §7.2, §16.1
		default:
			return nil, false // something else is wrong as well
		}
		about = true
		var place int
		if n, err := fmt.Sscanf(d.Location, "recipients[%d]", &place); err != nil || n != 1 {
			place = d.Index
		}
		if place >= 0 {
			named[place] = d.Code
		}
	}
	return named, about
}

// parseError reads any error body of iys-api.md §17.1 and §3.1: an errors
// array or object, top-level fields, the OAuth shape, or nothing readable.
func parseError(status int, body []byte) *APIError {
	e := &APIError{HTTP: status}
	var shape struct {
		Errors  json.RawMessage `json:"errors"`
		OAuth   flexString      `json:"error"`
		OAuthTx string          `json:"error_description"`
	}
	if json.Unmarshal(body, &shape) == nil {
		e.Details = parseDetails(shape.Errors)
		if len(e.Details) == 0 && shape.OAuth != "" {
			e.Details = []Detail{{Code: string(shape.OAuth), Message: blank(shape.OAuthTx), Index: -1}}
		}
	}
	if len(e.Details) == 0 {
		if d, ok := parseDetail(body); ok {
			e.Details = []Detail{d}
		}
	}
	if len(e.Details) == 0 {
		e.Details = []Detail{{Message: strings.ToLower(http.StatusText(status)), Index: -1}}
	}
	e.Detail = e.Details[0]
	e.Retry = retryFor(status, e.Code)
	return e
}

func parseDetails(raw json.RawMessage) []Detail {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return nil
	}
	if raw[0] != '[' { // ViA answers an object here (iys-api.md §5.3)
		if d, ok := parseDetail(raw); ok {
			return []Detail{d}
		}
		return nil
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return nil
	}
	var out []Detail
	for _, it := range items {
		if d, ok := parseDetail(it); ok {
			out = append(out, d)
		}
	}
	return out
}

func parseDetail(raw json.RawMessage) (Detail, bool) {
	var w struct {
		Code     flexString        `json:"code"`
		Code2    flexString        `json:"code:"` // the documented slip, maybe real
		Message  flexString        `json:"message"`
		Index    *int              `json:"index"`
		Location []json.RawMessage `json:"location"`
	}
	if json.Unmarshal(raw, &w) != nil {
		return Detail{}, false
	}
	d := Detail{Code: string(w.Code), Message: blank(string(w.Message)), Index: -1}
	if d.Code == "" {
		d.Code = string(w.Code2)
	}
	if w.Index != nil {
		d.Index = *w.Index
	}
	d.Location = location(w.Location)
	return d, d.Code != "" || d.Message != ""
}

func location(parts []json.RawMessage) string {
	var b strings.Builder
	for _, p := range parts {
		var s string
		if json.Unmarshal(p, &s) == nil {
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(blank(s))
			continue
		}
		if n, err := strconv.Atoi(string(p)); err == nil {
			fmt.Fprintf(&b, "[%d]", n)
		}
	}
	return b.String()
}

// personal matches what could be an address or a number in a text of İYS.
var personal = regexp.MustCompile(`\S*@\S*|\+?\d[\d ]{6,}`)

// blank removes what could be an address: no document says that İYS repeats
// one in its texts, and none says that it does not. E.164 examples go too.
func blank(s string) string {
	const most = 300
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return personal.ReplaceAllString(s, "***")
}
