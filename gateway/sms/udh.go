package sms

import (
	"errors"
	"fmt"
)

// Information elements this package reads (3GPP TS 23.040 §9.2.3.24).
const (
	ieConcat8  = 0x00
	iePorts8   = 0x04
	iePorts16  = 0x05
	ieConcat16 = 0x08
	ieSingle   = 0x24
	ieLocking  = 0x25
)

// Turkish is the national language identifier of Turkish (3GPP TS 23.038
// §6.2.1.2.4). 0 is the default alphabet; other languages are read but
// decoded with the default tables.
const Turkish = 1

// ErrUDH refuses a user data header that does not hold together.
var ErrUDH = errors.New("sms: malformed user data header")

// Concat ties one part to its message, from a UDH element or from the SAR
// TLVs of SMPP. The zero value means a message of its own.
type Concat struct {
	Ref   uint16
	Total uint8 // parts, 1–255
	Seq   uint8 // 1–Total
	Width RefWidth
}

// SAR returns the Concat of the TLVs sar_msg_ref_num, sar_total_segments and
// sar_segment_seqnum (SMPP 3.4 §5.3.2.22–24).
func SAR(ref uint16, total, seq uint8) Concat {
	return Concat{Ref: ref, Total: total, Seq: seq, Width: RefSAR}
}

// Present reports whether c came from an element or TLV at all.
func (c Concat) Present() bool { return c != Concat{} }

// Valid reports whether c numbers a part: 1 ≤ Seq ≤ Total. An element that
// does not is to be ignored and its part read as a message of its own
// (3GPP TS 23.040 §9.2.3.24.1).
func (c Concat) Valid() bool { return c.Seq >= 1 && c.Seq <= c.Total }

// UDH is a user data header with the elements this package knows. Others are
// skipped when read; who must pass a header on unchanged keeps its octets.
type UDH struct {
	Concat   Concat // Width is Ref8 or Ref16
	Ports    bool   // application port addressing present
	Ports8   bool   // … in its 8-bit form
	DestPort uint16
	SrcPort  uint16
	Locking  byte // national language of the locking shift table, 0 = default
	Single   byte // national language of the single shift table, 0 = default
}

// ParseUDH reads the header at the start of b, which begins with its length
// octet, and returns it with the octets it takes. Unknown elements and known
// ones of a wrong length are skipped by their length; of a repeated element
// the last one counts (3GPP TS 23.040 §9.2.3.24). The error is ErrUDH; it
// allocates nothing otherwise.
func ParseUDH(b []byte) (UDH, int, error) {
	if len(b) == 0 {
		return UDH{}, 0, fmt.Errorf("%w: no length octet", ErrUDH)
	}
	n := 1 + int(b[0])
	if n > len(b) {
		return UDH{}, 0, fmt.Errorf("%w: length %d, %d octets follow", ErrUDH, b[0], len(b)-1)
	}
	var u UDH
	for rest := b[1:n]; len(rest) > 0; {
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return UDH{}, 0, fmt.Errorf("%w: element 0x%02X cut short", ErrUDH, rest[0])
		}
		end := 2 + int(rest[1])
		u.element(rest[0], rest[2:end])
		rest = rest[end:]
	}
	return u, n, nil
}

func (u *UDH) element(iei byte, d []byte) {
	switch {
	case iei == ieConcat8 && len(d) == 3:
		u.Concat = Concat{Ref: uint16(d[0]), Total: d[1], Seq: d[2], Width: Ref8}
	case iei == ieConcat16 && len(d) == 4:
		u.Concat = Concat{Ref: uint16(d[0])<<8 | uint16(d[1]), Total: d[2], Seq: d[3], Width: Ref16}
	case iei == iePorts8 && len(d) == 2:
		u.Ports, u.Ports8, u.DestPort, u.SrcPort = true, true, uint16(d[0]), uint16(d[1])
	case iei == iePorts16 && len(d) == 4:
		u.Ports, u.Ports8 = true, false
		u.DestPort, u.SrcPort = uint16(d[0])<<8|uint16(d[1]), uint16(d[2])<<8|uint16(d[3])
	case iei == ieSingle && len(d) == 1:
		u.Single = d[0]
	case iei == ieLocking && len(d) == 1:
		u.Locking = d[0]
	}
}

// Append writes the header with its length octet, or nothing when it has no
// element. A Concat of width RefSAR travels in TLVs and is left out.
func (u UDH) Append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, 0)
	if c := u.Concat; c.Present() {
		switch c.Width {
		case Ref8:
			dst = append(dst, ieConcat8, 3, byte(c.Ref), c.Total, c.Seq)
		case Ref16:
			dst = append(dst, ieConcat16, 4, byte(c.Ref>>8), byte(c.Ref), c.Total, c.Seq)
		}
	}
	switch {
	case u.Ports && u.Ports8:
		dst = append(dst, iePorts8, 2, byte(u.DestPort), byte(u.SrcPort))
	case u.Ports:
		dst = append(dst, iePorts16, 4, byte(u.DestPort>>8), byte(u.DestPort), byte(u.SrcPort>>8), byte(u.SrcPort))
	}
	if u.Locking != 0 {
		dst = append(dst, ieLocking, 1, u.Locking)
	}
	if u.Single != 0 {
		dst = append(dst, ieSingle, 1, u.Single)
	}
	if len(dst) == at+1 {
		return dst[:at]
	}
	dst[at] = byte(len(dst) - at - 1)
	return dst
}
