package sms

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzParseUDH(f *testing.F) {
	f.Add([]byte{5, 0, 3, 1, 2, 1})
	f.Add([]byte{0x0B, 5, 4, 0x15, 0x81, 0x15, 0x83, 0, 3, 1, 2, 1, 'x'})
	f.Add([]byte{8, 0, 3, 1, 2, 1, 0x24, 1, 1})
	f.Add([]byte{255, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		u, n, err := ParseUDH(b)
		if err != nil {
			if n != 0 || u != (UDH{}) || !errors.Is(err, ErrUDH) {
				t.Fatalf("%x: %+v, %d beside %v", b, u, n, err)
			}
			return
		}
		if n != 1+int(b[0]) || n > len(b) {
			t.Fatalf("%x takes %d octets", b, n)
		}
		again := u.Append(nil)
		if len(again) == 0 {
			return
		}
		v, _, err := ParseUDH(again)
		if err != nil || v != u {
			t.Fatalf("%x: %+v written as %x reads as %+v, %v", b, u, again, v, err)
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(byte(0), []byte{3, 0x24, 1, 1}, []byte{0x1B, 0x69}, byte(0))
	f.Add(byte(8), []byte(nil), []byte{0xD8, 0x3C, 0xDF}, byte(1))
	f.Add(byte(0xF0), []byte{5, 0, 3, 1, 2, 1}, []byte("abc"), byte(2))
	f.Fuzz(func(t *testing.T, dcs byte, udh, body []byte, def byte) {
		text, err := Decode(dcs, udh, body, Alphabet(def))
		if !utf8.ValidString(text) {
			t.Fatalf("Decode gives invalid UTF-8 %q", text)
		}
		if err != nil && !errors.Is(err, ErrDamaged) && text != "" {
			t.Fatalf("text %q beside %v", text, err)
		}
		if err == nil && utf8.RuneCountInString(text) > len(body) {
			t.Fatalf("%d octets give %d characters", len(body), utf8.RuneCountInString(text))
		}
		e, ok := Describe(dcs, udh, Alphabet(def))
		if err == nil && (!ok || e == Binary || e == EncodingAuto) {
			t.Fatalf("decoded, but described as %v, %v", e, ok)
		}
		if packed, err := DecodePacked(udh, body, -1); err == nil && !utf8.ValidString(packed) {
			t.Fatalf("DecodePacked gives invalid UTF-8 %q", packed)
		}
	})
}

func FuzzSplit(f *testing.F) {
	f.Add("Değerli müşterimiz, indirim başladı! [€]", byte(0), byte(0xFF), byte(5), uint16(1))
	f.Add(strings.Repeat("ş🎉", 120), byte(5), byte(0), byte(0), uint16(999))
	f.Add(strings.Repeat("a€", 120), byte(1), byte(2), byte(7), uint16(256))
	f.Add("“s\u0327” – i\u0307", byte(2), byte(7), byte(0), uint16(0))
	f.Fuzz(func(t *testing.T, text string, enc, flags, reserve byte, ref uint16) {
		p := Policy{
			Encoding: Encoding(enc % 6), NationalTables: flags&1 != 0, Transliterate: flags&2 != 0,
			Typographic: flags&4 != 0, Ref: RefWidth(flags >> 3 % 3), ReserveSuffix: int(reserve % 41),
			Prefer: []Encoding{EncodingAuto, TRSingle, TRLocking}[flags>>6%3],
		}
		plan, err := Measure(text, p)
		parts, splitErr := Split(text, p, ref)
		if (err == nil) != (splitErr == nil) {
			t.Fatalf("Measure says %v, Split %v", err, splitErr)
		}
		if err != nil {
			var bad *UnencodableError
			if errors.As(err, &bad) && bad.Pos > utf8.RuneCountInString(text) {
				t.Fatalf("position %d of %d", bad.Pos, utf8.RuneCountInString(text))
			}
			return
		}
		if len(parts) != plan.Segments || plan.Left < 0 {
			t.Fatalf("%+v, but %d parts", plan, len(parts))
		}
		want := Normalize(text, p)
		if plan.Transliterated {
			want = Transliterate(want)
		}
		checkRoundTrip(t, parts, plan, p, want)
	})
}

func checkRoundTrip(t *testing.T, parts []Segment, plan Plan, p Policy, want string) {
	t.Helper()
	var got strings.Builder
	units := 0
	for i, s := range parts {
		text, err := s.Text()
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		got.WriteString(text)
		n := len(s.Body)
		if s.Encoding == UCS2 {
			n /= 2
		}
		units += n
		if i == len(parts)-1 {
			n += p.ReserveSuffix
		}
		if n == 0 || n > Capacity(plan.Encoding, len(parts) > 1, p.Ref) {
			t.Fatalf("part %d holds %d units", i, n)
		}
		sm := s.AppendShortMessage(nil)
		if s.ESMClass() == UDHI {
			_, n, err := ParseUDH(sm)
			if err != nil || !bytes.Equal(sm[n:], s.Body) {
				t.Fatalf("part %d: short_message %x does not part: %v", i, sm, err)
			}
		}
		if s.Encoding != UCS2 {
			packed := s.AppendPacked(nil)
			text2, err := DecodePacked(packed[:len(s.UDH)], packed[len(s.UDH):], len(s.Body))
			if err != nil || text2 != text {
				t.Fatalf("part %d packed reads %q, %v, want %q", i, text2, err, text)
			}
		}
	}
	if got.String() != want || units != plan.Units {
		t.Fatalf("%d units, text %q, want %d, %q", units, got.String(), plan.Units, want)
	}
}

func FuzzNormalize(f *testing.F) {
	f.Add("s\u0327\u200b\u0306", true)
	f.Add("\r\x00\n“", true)
	f.Fuzz(func(t *testing.T, text string, typo bool) {
		p := Policy{Typographic: typo}
		got := Normalize(text, p)
		if utf8.ValidString(text) && !utf8.ValidString(got) {
			t.Fatalf("%q becomes invalid", text)
		}
		if again := Normalize(got, p); again != got {
			t.Fatalf("%q → %q → %q", text, got, again)
		}
	})
}
