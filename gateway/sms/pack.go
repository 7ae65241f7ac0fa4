package sms

import "fmt"

// FillBits returns the bits between a header of udh octets (its length octet
// counted) and the first septet (3GPP TS 23.040 §9.2.3.24).
func FillBits(udh int) int { return (7 - udh*8%7) % 7 }

// Pack appends septets packed into octets, low bits first, after fill zero
// bits (0–6). Seven spare bits at the end are filled with a CR, which would
// otherwise read as an @ where nobody tells the number of septets (3GPP TS
// 23.038 §6.1.2.3.1).
func Pack(dst, septets []byte, fill int) []byte {
	acc, bits := uint32(0), uint(fill)
	for _, s := range septets {
		acc |= uint32(s&0x7F) << bits
		bits += 7
		for bits >= 8 {
			dst = append(dst, byte(acc))
			acc >>= 8
			bits -= 8
		}
	}
	if bits == 1 && len(septets) > 0 {
		acc |= '\r' << 1
	}
	if bits > 0 {
		dst = append(dst, byte(acc))
	}
	return dst
}

// Unpack appends the septets packed in b after fill bits. count is their
// number, at most what b holds; negative means unknown: as many as fit, less
// one @ or CR in the last seven bits, which is padding.
func Unpack(dst, b []byte, fill, count int) ([]byte, error) {
	have := (len(b)*8 - fill) / 7
	if fill < 0 || fill > 6 || len(b)*8 < fill {
		return dst, fmt.Errorf("sms: %d fill bits in %d octets", fill, len(b))
	}
	if count > have {
		return dst, fmt.Errorf("sms: %d septets in %d octets", count, len(b))
	}
	guess := count < 0
	if guess {
		count = have
	}
	acc, bits, next := uint32(0), uint(0), 0
	if fill > 0 {
		acc, bits, next = uint32(b[0])>>fill, uint(8-fill), 1
	}
	for range count {
		if bits < 7 {
			acc |= uint32(b[next]) << bits
			bits += 8
			next++
		}
		dst = append(dst, byte(acc&0x7F))
		acc >>= 7
		bits -= 7
	}
	if full := fill+7*count == len(b)*8; guess && full && count > 0 {
		if last := dst[len(dst)-1]; last == 0 || last == '\r' {
			dst = dst[:len(dst)-1]
		}
	}
	return dst, nil
}

// DecodePacked is Decode for 7-bit text in packed octets: header and body of
// a TP-User-Data field. septets counts those of the body; negative means
// unknown, as on an SMSC that sends packed octets over SMPP.
func DecodePacked(udh, packed []byte, septets int) (string, error) {
	body, err := Unpack(make([]byte, 0, len(packed)*8/7), packed, FillBits(len(udh)), septets)
	if err != nil {
		return "", err
	}
	return Decode(0x00, udh, body, AlphabetGSM7)
}
