package address

import (
	"errors"
	"strings"
)

// SenderKind says what a sender field holds.
type SenderKind uint8

const (
	SenderAlpha  SenderKind = iota + 1 // an alphanumeric title
	SenderShort                        // a short code of up to 6 digits
	SenderNumber                       // a phone number
)

// Types of number (SMPP 3.4 §5.2.5).
const (
	TONUnknown         = 0
	TONInternational   = 1
	TONNational        = 2
	TONNetworkSpecific = 3
	TONSubscriber      = 4
	TONAlphanumeric    = 5
	TONAbbreviated     = 6
)

// Numbering plan indicators (SMPP 3.4 §5.2.6).
const (
	NPIUnknown = 0
	NPIE164    = 1
)

// MaxTitle is the longest alphanumeric sender: ten octets of packed septets
// (3GPP TS 23.040 §9.1.2.5).
const MaxTitle = 11

// ErrSender refuses what cannot be a sender.
var ErrSender = errors.New("address: not a sender")

// Sender is a sender field in the form SMPP carries it.
type Sender struct {
	Kind    SenderKind
	TON     byte
	NPI     byte
	Address string // a title as given, otherwise digits without plus
}

// ParseSender reads a sender and guesses its type of number. A title has at
// least one letter and at most MaxTitle characters, all of them printable
// ASCII that the GSM alphabet writes in one septet at the same code, since
// SMPP addresses are plain C strings: letters, digits, the blank inside and
// !"#%&'()*+,-./:;<=>?. Up to six digits are a short code, 444XXXX a national
// number, other Turkish numbers (land line, 0850, mobile) and numbers with + or
// 00 are E.164. The error is ErrSender.
func ParseSender(s string) (Sender, error) {
	if isTitle(s) {
		return Sender{SenderAlpha, TONAlphanumeric, NPIUnknown, s}, nil
	}
	d, plus, ok := digits(s)
	if !ok {
		return Sender{}, ErrSender
	}
	text := string(d.b[:d.n])
	if !plus && d.n <= 6 {
		if d.n < 3 {
			return Sender{}, ErrSender
		}
		return Sender{SenderShort, TONNetworkSpecific, NPIUnknown, text}, nil
	}
	if !plus && strings.HasPrefix(text, "444") && d.n == 7 {
		return Sender{SenderNumber, TONNational, NPIE164, text}, nil
	}
	switch {
	case plus:
	case strings.HasPrefix(text, "00"):
		text = text[2:]
	case strings.HasPrefix(text, "90") && d.n == 12:
	case d.n == 11 && text[0] == '0':
		text = "90" + text[1:]
	case d.n == 10:
		text = "90" + text
	default:
		return Sender{}, ErrSender
	}
	if len(text) < 8 || len(text) > 15 || text[0] == '0' || strings.HasPrefix(text, "90") && !turkishE164(text) {
		return Sender{}, ErrSender
	}
	return Sender{SenderNumber, TONInternational, NPIE164, text}, nil
}

// turkishE164 reports whether 90… can be a Turkish number of ten digits.
func turkishE164(s string) bool { return len(s) == 12 && s[2] >= '2' }

// isTitle reports whether s is an alphanumeric sender.
func isTitle(s string) bool {
	if s == "" || len(s) > MaxTitle || s[0] == ' ' || s[len(s)-1] == ' ' {
		return false
	}
	letter := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
			letter = true
		case c == '$' || c < ' ' || c > '?': // $ has another code in the GSM alphabet; @ and _ too
			return false
		}
	}
	return letter
}

// GuessTON returns type of number and numbering plan of an address as it
// stands in a PDU whose sender left TON 0: letters mean a title, up to six
// digits a short code, else a number, international if it begins with a
// plus or a country code of twelve digits (Turkish) or 00.
func GuessTON(addr string) (ton, npi byte) {
	short := len(addr) <= 6
	for i := 0; i < len(addr); i++ {
		if c := addr[i]; (c < '0' || c > '9') && !(c == '+' && i == 0) {
			return TONAlphanumeric, NPIUnknown
		}
	}
	switch {
	case addr == "":
		return TONUnknown, NPIUnknown
	case strings.HasPrefix(addr, "+"), strings.HasPrefix(addr, "00"), len(addr) == 12 && strings.HasPrefix(addr, "90"):
		return TONInternational, NPIE164
	case short:
		return TONNetworkSpecific, NPIUnknown
	default:
		return TONUnknown, NPIE164
	}
}
