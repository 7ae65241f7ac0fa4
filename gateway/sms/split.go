package sms

import "unicode/utf8"

// UDHI is the esm_class bit that says the short_message begins with a user
// data header (SMPP 3.4 §5.2.12).
const UDHI = 0x40

// Segment is one part, ready to be sent.
type Segment struct {
	UDH  []byte // with its length octet; nil if none
	Body []byte // unpacked septets, one an octet, or UCS-2 octets
	// DataCoding is the SMPP data_coding: 0x00 or 0x08.
	DataCoding byte
	Encoding   Encoding
	// Concat numbers the part; zero for a message of one part. With RefSAR
	// it belongs into the sar_ TLVs, otherwise it already is in UDH.
	Concat Concat
}

// ESMClass returns the esm_class bits the part needs: UDHI or 0.
func (s Segment) ESMClass() byte {
	if len(s.UDH) > 0 {
		return UDHI
	}
	return 0
}

// AppendShortMessage writes the short_message field: header and body, at most
// 9 + 149 octets for the 7-bit encodings unpacked, 140 for UCS2.
func (s Segment) AppendShortMessage(dst []byte) []byte {
	dst = append(dst, s.UDH...)
	return append(dst, s.Body...)
}

// AppendPacked writes the TP-User-Data of the part: header, fill bits to the
// next septet boundary and packed septets (3GPP TS 23.040 §9.2.3.24); UCS2
// as in AppendShortMessage. For the few SMSCs that want packed octets.
func (s Segment) AppendPacked(dst []byte) []byte {
	if s.Encoding == UCS2 || s.Encoding == Binary {
		return s.AppendShortMessage(dst)
	}
	dst = append(dst, s.UDH...)
	return Pack(dst, s.Body, FillBits(len(s.UDH)))
}

// Text decodes the part alone, for previews.
func (s Segment) Text() (string, error) {
	return Decode(s.DataCoding, s.UDH, s.Body, AlphabetGSM7)
}

// Split cuts text into parts under p. ref ties them together (its low octet
// with Ref8) and is not used for a single part; take it at random or from a
// counter per destination. Errors are those of Measure.
func Split(text string, p Policy, ref uint16) ([]Segment, error) {
	var s Splitter
	return s.Split(text, p, ref)
}

// Splitter is Split with reused memory, for the sending loop. It must not be
// used from two goroutines at once.
type Splitter struct {
	parts []Segment
	buf   []byte
}

// Split cuts text as the function Split does. The parts are valid until the
// next call.
func (s *Splitter) Split(text string, p Policy, ref uint16) ([]Segment, error) {
	plan, norm, err := measure(text, p)
	if err != nil {
		return nil, err
	}
	n := plan.Segments
	octets := plan.Units
	if plan.Encoding == UCS2 {
		octets *= 2
	}
	// Everything fits into one buffer of known size, so that no part moves.
	if need := octets + n*udhLen(plan.Encoding, n > 1, p.Ref); cap(s.buf) < need {
		s.buf = make([]byte, 0, need)
	}
	if cap(s.parts) < n {
		s.parts = make([]Segment, 0, n)
	}
	s.parts, s.buf = s.parts[:0], s.buf[:0]

	head := UDH{}
	switch plan.Encoding {
	case TRSingle:
		head.Single = Turkish
	case TRLocking:
		head.Locking = Turkish
	}
	capacity := Capacity(plan.Encoding, true, p.Ref)
	if n > 1 {
		head.Concat = Concat{Ref: ref, Total: uint8(n), Width: p.Ref}
		if p.Ref == Ref8 {
			head.Concat.Ref &= 0xFF
		}
	}
	for start := 0; start < len(norm); {
		end := len(norm)
		if n > 1 {
			end, _ = cut(norm, start, plan.Encoding, capacity, p.ReserveSuffix)
			head.Concat.Seq++
		}
		s.part(norm[start:end], plan.Encoding, head)
		start = end
	}
	return s.parts, nil
}

// part appends one segment with the given header and text.
func (s *Splitter) part(text string, e Encoding, head UDH) {
	seg := Segment{DataCoding: e.dataCoding(), Encoding: e, Concat: head.Concat}
	a := len(s.buf)
	s.buf = head.Append(s.buf)
	b := len(s.buf)
	if e == UCS2 {
		s.buf = appendUCS2(s.buf, text)
	} else {
		s.buf = appendSeptets(s.buf, text, encoderOf(e))
	}
	if b > a {
		seg.UDH = s.buf[a:b:b]
	}
	seg.Body = s.buf[b:len(s.buf):len(s.buf)]
	s.parts = append(s.parts, seg)
}

// appendSeptets encodes text, all of whose characters t has.
func appendSeptets(dst []byte, text string, t *encodeTable) []byte {
	for i := 0; i < len(text); {
		var code uint16
		if b := text[i]; b < utf8.RuneSelf {
			code = t.code[b]
			i++
		} else {
			r, size := utf8.DecodeRuneInString(text[i:])
			code = t.get(r)
			i += size
		}
		if code > 0xFF {
			dst = append(dst, esc)
		}
		dst = append(dst, byte(code))
	}
	return dst
}

// appendUCS2 encodes text, which is valid UTF-8, as UTF-16 big-endian.
func appendUCS2(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		if b := text[i]; b < utf8.RuneSelf {
			dst = append(dst, 0, b)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		if r > 0xFFFF {
			r -= 0x10000
			hi, lo := 0xD800+r>>10, 0xDC00+r&0x3FF
			dst = append(dst, byte(hi>>8), byte(hi), byte(lo>>8), byte(lo))
			continue
		}
		dst = append(dst, byte(r>>8), byte(r))
	}
	return dst
}
