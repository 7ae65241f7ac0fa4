package address

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Number is an E.164 number without its plus, such as 905321234567. E.164
// numbers have at most 15 digits and never begin with 0, so the value is the
// number; it costs 8 bytes, compares with == and serves as a map key. The zero
// Number is none.
type Number uint64

var (
	// ErrInvalid refuses what is no phone number.
	ErrInvalid = errors.New("address: not a phone number")
	// ErrNotMobile refuses numbers that take no short messages: land lines,
	// 0850, 444 and other service numbers.
	ErrNotMobile = errors.New("address: not a mobile number")
	// ErrForeign refuses numbers outside Turkey where only Turkish ones are
	// wanted.
	ErrForeign = errors.New("address: not a Turkish number")
)

// Options says which numbers Parse lets through.
type Options struct {
	// DomesticOnly refuses foreign numbers with ErrForeign.
	DomesticOnly bool
	// StrictPrefixes, if not nil, lists the Turkish mobile prefixes that are
	// accepted; others are refused with ErrInvalid. Without it every number
	// of the form 5XXXXXXXXX is: new blocks appear.
	StrictPrefixes *PrefixSet
}

// maxRaw bounds the input of Parse, in octets.
const maxRaw = 40

const (
	turkishCode Number = 900_000_000_000 // country code 90 before ten digits
	turkishMin  Number = 905_000_000_000
	turkishMax  Number = 905_999_999_999
)

// Parse reads one phone number. Blanks, dots, dashes, slashes and parentheses
// between digits are skipped.
//
// A Turkish mobile number may come as +905XXXXXXXXX, 905…, 00905…, 05… or 5…,
// also with the trunk zero kept after the country code (+90 (0)5…, which İYS
// takes but never matches, iys-api.md §16.1). A foreign number needs a leading + or 00
// and must be valid and mobile, or of a plan that does not tell, after
// libphonenumber. Letters, digits of other scripts and a plus elsewhere than
// in front are refused. Errors are ErrInvalid, ErrNotMobile and ErrForeign.
func Parse(raw string, opt Options) (Number, error) {
	d, plus, ok := digits(raw)
	if !ok {
		return 0, ErrInvalid
	}
	international := plus
	if !plus && d.n > 2 && d.b[0] == '0' && d.b[1] == '0' {
		d.drop(2)
		international = true
	}
	national, turkish := d.turkish(international)
	if !turkish {
		return foreign(d, international, opt)
	}
	if !opt.StrictPrefixes.allows(national) {
		return 0, ErrInvalid
	}
	return turkishCode + Number(national), nil
}

// run is the digits of a number.
type run struct {
	b [maxRaw]byte
	n int
}

func (d *run) drop(n int) {
	copy(d.b[:], d.b[n:d.n])
	d.n -= n
}

// digits collects the digits of raw; plus says that one stood in front.
func digits(raw string) (d run, plus, ok bool) {
	if len(raw) > maxRaw {
		return d, false, false
	}
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c >= '0' && c <= '9':
			d.b[d.n] = c
			d.n++
		case c == ' ' || c == '.' || c == '-' || c == '(' || c == ')' || c == '/':
		case c == 0xC2 && i+1 < len(raw) && raw[i+1] == 0xA0: // no-break space, pasted from web pages
			i++
		case c == '+' && d.n == 0 && !plus:
			plus = true
		default:
			return d, false, false
		}
	}
	return d, plus, d.n > 0
}

// turkish returns the ten national digits 5XXXXXXXXX if d is a Turkish mobile
// number.
func (d *run) turkish(international bool) (national uint64, ok bool) {
	s := d.b[:d.n]
	switch {
	case len(s) >= 12 && s[0] == '9' && s[1] == '0':
		s = s[2:]
	case international:
		return 0, false
	}
	if len(s) == 11 && s[0] == '0' {
		s = s[1:]
	}
	if len(s) != 10 || s[0] != '5' {
		return 0, false
	}
	for _, c := range s {
		national = national*10 + uint64(c-'0')
	}
	return national, true
}

// foreign judges what is no Turkish mobile number.
func foreign(d run, international bool, opt Options) (Number, error) {
	s := string(d.b[:d.n])
	if !international && !(len(s) == 12 && strings.HasPrefix(s, "90")) {
		return 0, domesticError(s)
	}
	if strings.HasPrefix(s, "90") {
		return 0, domesticError(strings.TrimPrefix(s, "90"))
	}
	if s[0] == '0' || len(s) < 7 || len(s) > 15 {
		return 0, ErrInvalid
	}
	if opt.DomesticOnly {
		return 0, ErrForeign
	}
	p, err := phonenumbers.Parse("+"+s, "ZZ")
	if err != nil || !phonenumbers.IsValidNumber(p) {
		return 0, ErrInvalid
	}
	switch phonenumbers.GetNumberType(p) {
	case phonenumbers.MOBILE, phonenumbers.FIXED_LINE_OR_MOBILE:
	default:
		return 0, ErrNotMobile
	}
	// The library's form: it drops a trunk zero typed after the country code.
	n, err := strconv.ParseUint(strings.TrimPrefix(phonenumbers.Format(p, phonenumbers.E164), "+"), 10, 64)
	if err != nil {
		return 0, ErrInvalid
	}
	return Number(n), nil
}

// domesticError tells a Turkish number that is not mobile from nonsense. s is
// its national part, perhaps with the trunk zero.
func domesticError(s string) error {
	s = strings.TrimPrefix(s, "0")
	switch {
	case len(s) == 7 && strings.HasPrefix(s, "444"):
		return ErrNotMobile
	case len(s) == 10 && (s[0] >= '2' && s[0] <= '4' || s[0] == '8' || s[0] == '9'):
		return ErrNotMobile
	}
	return ErrInvalid
}

// Turkish reports whether n is a Turkish mobile number.
func (n Number) Turkish() bool { return n >= turkishMin && n <= turkishMax }

// IsTurkish reports whether s is a Turkish mobile number in canonical form,
// +905XXXXXXXXX.
func IsTurkish(s string) bool {
	if len(s) != 13 || s[:4] != "+905" {
		return false
	}
	for i := 4; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// String returns the E.164 form with its plus, "" for the zero Number.
func (n Number) String() string {
	if n == 0 {
		return ""
	}
	var b [24]byte
	return string(n.Append(b[:0]))
}

// Append writes the E.164 form with its plus, nothing for the zero Number.
func (n Number) Append(dst []byte) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendUint(append(dst, '+'), uint64(n), 10)
}

// Digits returns the number without its plus, as SMPP addresses with TON 1
// carry it.
func (n Number) Digits() string {
	if n == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(n), 10)
}

// MarshalText writes the E.164 form.
func (n Number) MarshalText() ([]byte, error) { return n.Append(nil), nil }

// UnmarshalText reads the E.164 form with its plus and nothing else; it trusts
// the digits, as what reads back its own records may. The empty text is the
// zero Number.
func (n *Number) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*n = 0
		return nil
	}
	if b[0] != '+' || len(b) < 2 || len(b) > 16 || b[1] < '1' || b[1] > '9' {
		return ErrInvalid
	}
	v := Number(0)
	for _, c := range b[1:] {
		if c < '0' || c > '9' {
			return ErrInvalid
		}
		v = v*10 + Number(c-'0')
	}
	*n = v
	return nil
}

// LogValue masks the number.
func (n Number) LogValue() slog.Value { return slog.StringValue(Mask(n.String())) }

// Operator returns the operator that first held the number's block: turkcell,
// vodafone, turktelekom, kktcell or telsim (Northern Cyprus); "" if unknown or
// foreign. Numbers are portable, so it is a hint for routing and no more.
func (n Number) Operator() string {
	if !n.Turkish() {
		return ""
	}
	five := int(uint64(n) / 1e5 % 1e5) // 53283 of +90 532 83x xx xx
	switch three := five / 100; {
	case three == 533 && five%100 >= 83 && five%100 <= 87:
		return "kktcell"
	case three == 542 && five%100 >= 85 && five%100 <= 88:
		return "telsim"
	case three/10 == 53, three == 561:
		return "turkcell"
	case three/10 == 54:
		return "vodafone"
	case three/10 == 50, three/10 == 55:
		return "turktelekom"
	}
	return ""
}

// PrefixSet is a set of Turkish mobile prefixes 500–599.
type PrefixSet [2]uint64

// allows reports whether the ten digits of national begin with a prefix of s.
// A nil set allows all.
func (s *PrefixSet) allows(national uint64) bool {
	if s == nil {
		return true
	}
	i := national/1e7 - 500
	return s[i/64]>>(i%64)&1 != 0
}

func (s *PrefixSet) add(prefix int) {
	i := prefix - 500
	s[i/64] |= 1 << (i % 64)
}

// ParsePrefixes reads prefixes such as "532", or "53" for all of 530–539.
func ParsePrefixes(list []string) (*PrefixSet, error) {
	s := new(PrefixSet)
	for _, p := range list {
		v, err := strconv.ParseUint(p, 10, 16)
		switch {
		case err == nil && len(p) == 3 && v/100 == 5:
			s.add(int(v))
		case err == nil && len(p) == 2 && v/10 == 5:
			for i := range 10 {
				s.add(int(v)*10 + i)
			}
		default:
			return nil, fmt.Errorf("address: prefix %q is not 5x or 5xx", p)
		}
	}
	return s, nil
}

// KnownPrefixes returns the prefixes in use as libphonenumber lists them:
// 50[1-35-7], 522, 53x, 54[1-79], 55[1-5], 559, 561, 592, 594, 596. New blocks
// are added without notice.
func KnownPrefixes() *PrefixSet {
	s, err := ParsePrefixes([]string{
		"501", "502", "503", "505", "506", "507", "522", "53",
		"541", "542", "543", "544", "545", "546", "547", "549",
		"551", "552", "553", "554", "555", "559", "561", "592", "594", "596",
	})
	if err != nil {
		panic(err) // a slip in the list above
	}
	return s
}
