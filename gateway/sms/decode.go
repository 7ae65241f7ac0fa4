package sms

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// Alphabet is what data_coding 0x00, "SMSC default alphabet", means on one
// connection.
type Alphabet uint8

const (
	AlphabetGSM7   Alphabet = iota // GSM 03.38, one septet an octet; the usual case
	AlphabetLatin1                 // ISO 8859-1
	AlphabetASCII                  // 7-bit ASCII
)

var alphabetNames = [...]string{AlphabetGSM7: "gsm7", AlphabetLatin1: "latin1", AlphabetASCII: "ascii"}

// String returns the name used in configuration.
func (a Alphabet) String() string {
	if int(a) < len(alphabetNames) {
		return alphabetNames[a]
	}
	return fmt.Sprintf("alphabet(%d)", uint8(a))
}

// ParseAlphabet reads the configuration names gsm7, latin1 and ascii; the
// empty string means gsm7.
func ParseAlphabet(s string) (Alphabet, error) {
	for a, name := range alphabetNames {
		if name == s {
			return Alphabet(a), nil
		}
	}
	if s == "" {
		return AlphabetGSM7, nil
	}
	return AlphabetGSM7, fmt.Errorf("sms: unknown alphabet %q", s)
}

var (
	// ErrDataCoding refuses a data_coding that no table here reads.
	ErrDataCoding = errors.New("sms: unsupported data coding")
	// ErrBinary refuses to read 8-bit data as text.
	ErrBinary = errors.New("sms: binary data")
	// ErrDamaged says that octets did not belong to the alphabet. The text
	// comes with it, U+FFFD in their places.
	ErrDamaged = errors.New("sms: damaged text")
)

// form is how a body is to be read.
type form uint8

const (
	formUnknown form = iota
	formGSM7
	formLatin1
	formASCII
	formUCS2
	formBinary
)

// formOf reads data_coding: below 0x10 as SMPP 3.4 §5.2.19 lists it, above as
// 3GPP TS 23.038 §4 does.
func formOf(dcs byte, def Alphabet) form {
	switch {
	case dcs == 0x00:
		switch def {
		case AlphabetLatin1:
			return formLatin1
		case AlphabetASCII:
			return formASCII
		}
		return formGSM7
	case dcs == 0x01:
		return formASCII
	case dcs == 0x02, dcs == 0x04:
		return formBinary
	case dcs == 0x03:
		return formLatin1
	case dcs == 0x08:
		return formUCS2
	case dcs < 0x10:
		return formUnknown
	case dcs < 0x20, dcs >= 0x40 && dcs < 0x60: // uncompressed, with or without a class
		return [4]form{formGSM7, formBinary, formUCS2, formUnknown}[dcs>>2&3]
	case dcs >= 0xC0 && dcs < 0xE0: // message waiting
		return formGSM7
	case dcs >= 0xE0 && dcs < 0xF0: // message waiting
		return formUCS2
	case dcs >= 0xF0:
		if dcs&0x04 != 0 {
			return formBinary
		}
		return formGSM7
	}
	return formUnknown
}

// Describe names the encoding of a message as it arrived. ok is false for a
// data_coding this package cannot read. A one-octet alphabet other than GSM 7
// is described as GSM7: it is billed as such. A malformed header describes as
// if it were absent.
func Describe(dcs byte, udh []byte, def Alphabet) (e Encoding, ok bool) {
	var u UDH
	if len(udh) > 0 {
		u, _, _ = ParseUDH(udh)
	}
	f := formOf(dcs, def)
	switch {
	case f == formUnknown:
		return EncodingAuto, false
	case f == formBinary:
		return Binary, true
	case f == formUCS2:
		return UCS2, true
	case u.Locking == Turkish:
		return TRLocking, true
	case u.Single == Turkish:
		return TRSingle, true
	}
	return GSM7, true
}

// Decode reads the body of a message that stands alone. udh is its header
// with the length octet, or empty; def is what data_coding 0x00 means on the
// connection. Shift elements choose the Turkish tables and make data_coding
// 0x00 GSM 7-bit text whatever def says. Bodies of 7-bit text are unpacked.
//
// Errors: ErrUDH, ErrDataCoding, ErrBinary, each without a text; ErrDamaged
// beside a text with U+FFFD in the damaged places, so that an opt-out in a
// damaged message still counts.
func Decode(dcs byte, udh, body []byte, def Alphabet) (string, error) {
	var u UDH
	if len(udh) > 0 {
		var err error
		if u, _, err = ParseUDH(udh); err != nil {
			return "", err
		}
	}
	return decode(dcs, u, body, def)
}

func decode(dcs byte, u UDH, body []byte, def Alphabet) (string, error) {
	if u.Locking != 0 || u.Single != 0 {
		def = AlphabetGSM7
	}
	var out []byte
	clean := true
	switch formOf(dcs, def) {
	case formGSM7:
		out, clean = decodeGSM7(make([]byte, 0, len(body)+len(body)/4), body, u)
	case formLatin1:
		out = decodeLatin1(make([]byte, 0, len(body)+8), body)
	case formASCII:
		out, clean = decodeASCII(make([]byte, 0, len(body)), body)
	case formUCS2:
		out, clean = decodeUCS2(make([]byte, 0, len(body)), body)
	case formBinary:
		return "", ErrBinary
	default:
		return "", fmt.Errorf("%w 0x%02X", ErrDataCoding, dcs)
	}
	if !clean {
		return string(out), ErrDamaged
	}
	return string(out), nil
}

// decodeGSM7 follows 3GPP TS 23.038 §6.2.1.1: a void extension cell shows the
// character of the base table, ESC ESC a blank. A lone ESC at the end is
// dropped.
func decodeGSM7(dst, body []byte, u UDH) ([]byte, bool) {
	t := decoders[turkish(u.Locking)][turkish(u.Single)]
	clean := true
	for i := 0; i < len(body); i++ {
		c := body[i]
		if c > 0x7F {
			dst = utf8.AppendRune(dst, utf8.RuneError)
			clean = false
			continue
		}
		r := t.base[c]
		if c == esc {
			i++
			if i == len(body) {
				return dst, false
			}
			if c = body[i]; c > 0x7F {
				dst = utf8.AppendRune(dst, utf8.RuneError)
				clean = false
				continue
			}
			switch {
			case t.ext[c] != 0:
				r = t.ext[c]
			case c == esc:
				r = ' '
			default:
				r = t.base[c]
			}
		}
		if r < utf8.RuneSelf {
			dst = append(dst, byte(r))
		} else {
			dst = utf8.AppendRune(dst, r)
		}
	}
	return dst, clean
}

func turkish(language byte) int {
	if language == Turkish {
		return 1
	}
	return 0
}

func decodeLatin1(dst, body []byte) []byte {
	for _, c := range body {
		dst = utf8.AppendRune(dst, rune(c))
	}
	return dst
}

func decodeASCII(dst, body []byte) ([]byte, bool) {
	clean := true
	for _, c := range body {
		if c > 0x7F {
			dst = utf8.AppendRune(dst, utf8.RuneError)
			clean = false
			continue
		}
		dst = append(dst, c)
	}
	return dst, clean
}

// decodeUCS2 reads UTF-16 big-endian: real senders use surrogate pairs.
func decodeUCS2(dst, body []byte) ([]byte, bool) {
	clean := len(body)%2 == 0
	for i := 0; i+1 < len(body); i += 2 {
		r := rune(body[i])<<8 | rune(body[i+1])
		switch {
		case r < 0xD800 || r > 0xDFFF:
		case r < 0xDC00 && i+3 < len(body) && body[i+2]&0xFC == 0xDC:
			lo := rune(body[i+2])<<8 | rune(body[i+3])
			r = 0x10000 + (r-0xD800)<<10 + (lo - 0xDC00)
			i += 2
		default:
			r, clean = utf8.RuneError, false
		}
		dst = utf8.AppendRune(dst, r)
	}
	return dst, clean
}
