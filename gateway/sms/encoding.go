package sms

import (
	"errors"
	"fmt"
)

// Encoding names how a text is written on the wire. The zero value asks the
// package to choose.
type Encoding uint8

const (
	// EncodingAuto chooses the cheapest faithful encoding; see [Policy].
	EncodingAuto Encoding = iota
	// GSM7 is the GSM 03.38 default alphabet with its extension table.
	GSM7
	// GSM7Translit is GSM7 after ş→s, ı→i and the like. It is a wish only: a
	// Plan or Segment made from it says GSM7.
	GSM7Translit
	// TRSingle is GSM7 with the Turkish single shift table (3GPP TS 23.038 A.2.1).
	TRSingle
	// TRLocking is GSM7 with the Turkish locking shift table (3GPP TS 23.038 A.3.1).
	TRLocking
	// UCS2 is UTF-16 in big-endian order, data_coding 0x08.
	UCS2
	// Binary is 8-bit data. It describes a message; no text is encoded with it.
	Binary
)

var encodingNames = [...]string{
	EncodingAuto: "auto",
	GSM7:         "gsm7",
	GSM7Translit: "gsm7-translit",
	TRSingle:     "tr-single",
	TRLocking:    "tr-locking",
	UCS2:         "ucs2",
	Binary:       "binary",
}

// String returns the wire name used in the HTTP API.
func (e Encoding) String() string {
	if int(e) < len(encodingNames) {
		return encodingNames[e]
	}
	return fmt.Sprintf("encoding(%d)", uint8(e))
}

// ParseEncoding reads a wire name that may be asked for: auto, gsm7,
// gsm7-translit, tr-single, tr-locking or ucs2. The empty string means auto.
// Binary is not a wish a text can carry and is refused with [ErrEncoding].
func ParseEncoding(s string) (Encoding, error) {
	if s == "" {
		return EncodingAuto, nil
	}
	for e, name := range encodingNames {
		if name == s && Encoding(e) != Binary {
			return Encoding(e), nil
		}
	}
	return EncodingAuto, fmt.Errorf("%w %q", ErrEncoding, s)
}

// national reports whether e needs a shift element in every part.
func (e Encoding) national() bool { return e == TRSingle || e == TRLocking }

// dataCoding is the SMPP data_coding of e. The national tables have none of
// their own: they go as 0x00 with a shift element in the UDH.
func (e Encoding) dataCoding() byte {
	switch e {
	case UCS2:
		return 0x08
	case Binary:
		return 0x04
	default:
		return 0x00
	}
}

// RefWidth says how the parts of one message are tied together.
type RefWidth uint8

const (
	// Ref8 is the UDH element 0x00 with an 8-bit reference (6 octets).
	Ref8 RefWidth = iota
	// Ref16 is the UDH element 0x08 with a 16-bit reference (7 octets).
	Ref16
	// RefSAR leaves the tie to the SMPP TLVs sar_msg_ref_num,
	// sar_total_segments and sar_segment_seqnum. Parts are cut as for Ref16,
	// because the SMSC turns the TLVs into such an element for the handset.
	RefSAR
)

// MaxParts is the most parts a message can have: the total is one octet
// (3GPP TS 23.040 §9.2.3.24.1).
const MaxParts = 255

// maxText bounds the text that is looked at, in octets of UTF-8. 255 parts of
// 153 septets need at most 78 030 octets; the rest is room for normalisation.
const maxText = 256 << 10

// Policy says how a text may be written for one account and route.
//
// EncodingAuto works in this order: GSM7 when it holds every character; else,
// if NationalTables is set, the Turkish table that needs fewer parts (on a tie
// Prefer, then the fewer septets); else UCS2. With Transliterate a text whose
// faithful encoding needs more parts than its transliterated form is sent
// transliterated; when the price is the same the letters stay.
type Policy struct {
	// Encoding is the wish; any value but EncodingAuto is an order, and a
	// text it cannot hold is refused.
	Encoding Encoding
	// Transliterate lets EncodingAuto and GSM7 replace letters outside the
	// GSM alphabet (ş→s). Only an account that asked for it has it.
	Transliterate bool
	// NationalTables says that the route carries shift elements. Without it
	// TRSingle and TRLocking are refused with ErrTables.
	NationalTables bool
	// Prefer is TRSingle or TRLocking when the route favours one of them;
	// single shift degrades better on old handsets (an unknown ESC s is shown
	// as s), locking shift costs fewer septets.
	Prefer Encoding
	// ReserveSuffix is the number of characters the operator appends to the
	// last part, such as 5 for " B123".
	ReserveSuffix int
	// MaxSegments is the most parts allowed; 0 means MaxParts.
	MaxSegments int
	// Typographic replaces curly quotes, long dashes, the ellipsis, odd
	// blanks and invisible characters by plain ones before counting.
	Typographic bool
	// Ref is the reference used when the text needs more than one part.
	Ref RefWidth
}

// Plan is what a text costs.
type Plan struct {
	// Encoding is GSM7, TRSingle, TRLocking or UCS2.
	Encoding Encoding
	// Units counts septets, or 16-bit units for UCS2, over all parts and
	// without headers or reserved suffix.
	Units int
	// Segments is the number of parts, 1 to MaxParts.
	Segments int
	// Left is how many more units fit without another part.
	Left int
	// Transliterated says that letters were replaced.
	Transliterated bool
}

var (
	// ErrEmpty refuses a text without a single character.
	ErrEmpty = errors.New("sms: empty text")
	// ErrTooLong refuses a text that needs too many parts; errors.As finds
	// a *TooLongError.
	ErrTooLong = errors.New("sms: text too long")
	// ErrUnencodable refuses a text with a character the ordered encoding
	// lacks; errors.As finds an *UnencodableError.
	ErrUnencodable = errors.New("sms: character cannot be encoded")
	// ErrEncoding refuses an encoding that does not exist or cannot carry text.
	ErrEncoding = errors.New("sms: unknown encoding")
	// ErrTables refuses a national table on a route that carries none.
	ErrTables = errors.New("sms: route carries no national tables")
	// ErrSuffix refuses a reserve that leaves no room for text.
	ErrSuffix = errors.New("sms: reserved suffix out of bounds")
)

// TooLongError is an ErrTooLong with its numbers.
type TooLongError struct {
	Segments int // parts needed; a lower bound when the text exceeds 256 KiB
	Max      int // parts allowed
}

func (e *TooLongError) Error() string {
	return fmt.Sprintf("sms: text needs %d parts, %d allowed", e.Segments, e.Max)
}

// Is matches ErrTooLong.
func (e *TooLongError) Is(target error) bool { return target == ErrTooLong }

// UnencodableError is an ErrUnencodable with its place. Invalid UTF-8 is
// reported as Rune utf8.RuneError.
type UnencodableError struct {
	Rune     rune
	Pos      int // characters before it in the text as given
	Encoding Encoding
}

func (e *UnencodableError) Error() string {
	return fmt.Sprintf("sms: character %U at position %d is not in %s", e.Rune, e.Pos, e.Encoding)
}

// Is matches ErrUnencodable.
func (e *UnencodableError) Is(target error) bool { return target == ErrUnencodable }
