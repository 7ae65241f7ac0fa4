package sms

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// forced is a policy that orders e on a route that carries everything.
func forced(e Encoding) Policy { return Policy{Encoding: e, NationalTables: true} }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustSplit(t testing.TB, text string, p Policy, ref uint16) []Segment {
	t.Helper()
	parts, err := Split(text, p, ref)
	if err != nil {
		t.Fatalf("Split(%.40q, %v): %v", text, p.Encoding, err)
	}
	return parts
}

// The tables are spelled a second time, cell by cell, so that a slip in one
// of the two is seen.
func TestAlphabetCells(t *testing.T) {
	rows := [8]string{
		"@ £ $ ¥ è é ù ì ò Ç LF Ø ø CR Å å",
		"Δ _ Φ Γ Λ Ω Π Ψ Σ Θ Ξ ESC Æ æ ß É",
		"SP ! \" # ¤ % & ' ( ) * + , - . /",
		"0 1 2 3 4 5 6 7 8 9 : ; < = > ?",
		"¡ A B C D E F G H I J K L M N O",
		"P Q R S T U V W X Y Z Ä Ö Ñ Ü §",
		"¿ a b c d e f g h i j k l m n o",
		"p q r s t u v w x y z ä ö ñ ü à",
	}
	locking := map[byte]string{0x04: "€", 0x07: "ı", 0x0B: "Ğ", 0x0C: "ğ", 0x1C: "Ş", 0x1D: "ş", 0x40: "İ", 0x60: "ç"}
	names := map[string]string{"LF": "\n", "CR": "\r", "SP": " "}
	for hi, row := range rows {
		cells := strings.Fields(row)
		if len(cells) != 16 {
			t.Fatalf("row %d has %d cells", hi, len(cells))
		}
		for lo, want := range cells {
			code := byte(hi<<4 | lo)
			if want == "ESC" {
				continue
			}
			if n, ok := names[want]; ok {
				want = n
			}
			if got, err := Decode(0, nil, []byte{code}, AlphabetGSM7); got != want || err != nil {
				t.Errorf("default 0x%02X = %q, %v, want %q", code, got, err, want)
			}
			body := mustSplit(t, want, forced(GSM7), 0)[0].Body
			if !bytes.Equal(body, []byte{code}) {
				t.Errorf("GSM7 %q = %x, want %02x", want, body, code)
			}
			if l, ok := locking[code]; ok {
				want = l
			}
			if got, err := Decode(0, []byte{3, 0x25, 1, 1}, []byte{code}, AlphabetGSM7); got != want || err != nil {
				t.Errorf("locking 0x%02X = %q, %v, want %q", code, got, err, want)
			}
			body = mustSplit(t, want, forced(TRLocking), 0)[0].Body
			if !bytes.Equal(body, []byte{code}) {
				t.Errorf("TRLocking %q = %x, want %02x", want, body, code)
			}
		}
	}
}

func TestExtensionCells(t *testing.T) {
	ext := map[byte]string{0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~",
		0x3E: "]", 0x40: "|", 0x65: "€"}
	single := map[byte]string{0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"}
	for code := range byte(0x80) {
		void, err := Decode(0, nil, []byte{code}, AlphabetGSM7) // what a void cell shows
		if code == esc {
			void, err = " ", nil
		}
		if err != nil {
			t.Fatal(err)
		}
		want, ok := ext[code]
		if !ok {
			want = void
		}
		if got, err := Decode(0, nil, []byte{esc, code}, AlphabetGSM7); got != want || err != nil {
			t.Errorf("ESC 0x%02X = %q, %v, want %q", code, got, err, want)
		}
		if s, ok := single[code]; ok {
			want = s
		}
		if got, err := Decode(0, []byte{3, 0x24, 1, 1}, []byte{esc, code}, AlphabetGSM7); got != want || err != nil {
			t.Errorf("single shift ESC 0x%02X = %q, %v, want %q", code, got, err, want)
		}
	}
	for code, s := range ext {
		want := []byte{esc, code}
		for _, e := range []Encoding{GSM7, TRSingle} {
			if got := mustSplit(t, s, forced(e), 0)[0].Body; !bytes.Equal(got, want) {
				t.Errorf("%v %q = %x, want %x", e, s, got, want)
			}
		}
	}
	for code, s := range single {
		if got, want := mustSplit(t, s, forced(TRSingle), 0)[0].Body, []byte{esc, code}; !bytes.Equal(got, want) {
			t.Errorf("TRSingle %q = %x, want %x", s, got, want)
		}
		if _, err := Measure(s, forced(GSM7)); !errors.Is(err, ErrUnencodable) {
			t.Errorf("Measure(%q, GSM7) = %v, want ErrUnencodable", s, err)
		}
	}
	for _, s := range []string{"`", "\t", "\x1b", "\x00"} { // none of these is in any table
		for _, e := range []Encoding{GSM7, TRSingle, TRLocking} {
			if _, err := Measure(s, forced(e)); !errors.Is(err, ErrUnencodable) {
				t.Errorf("Measure(%q, %v) = %v, want ErrUnencodable", s, e, err)
			}
		}
	}
}

func TestLengthVectors(t *testing.T) {
	const no = -1
	for _, v := range []struct {
		text                         string
		chars, gsm7, single, locking int
	}{
		{"Merhaba", 7, 7, 7, 7},
		{"ışığı söndür", 12, no, 17, 12},
		{"Değerli müşterimiz, indirim başladı!", 36, no, 40, 36},
		{"ŞİŞLİ ÇAĞRI", 11, no, 16, 11},
		{"Fiyat 10€ [kod]", 15, 18, 18, 17},
		{"çÇöÖüÜğĞşŞıİ", 12, no, 19, 12},
	} {
		for e, want := range map[Encoding]int{GSM7: v.gsm7, TRSingle: v.single, TRLocking: v.locking, UCS2: v.chars} {
			plan, err := Measure(v.text, forced(e))
			if want == no {
				if !errors.Is(err, ErrUnencodable) {
					t.Errorf("%q as %v: %v, want ErrUnencodable", v.text, e, err)
				}
				continue
			}
			if err != nil || plan.Units != want || plan.Encoding != e || plan.Segments != 1 {
				t.Errorf("%q as %v = %+v, %v, want %d units", v.text, e, plan, err, want)
			}
		}
	}
}

func TestSeptetVectors(t *testing.T) {
	for _, v := range []struct{ text, single, locking string }{
		{"ışık", "1b691b731b696b", "071d076b"},
		{
			"Değerli müşterimiz, indirim başladı!",
			"44651b6765726c69206d7e1b73746572696d697a2c20696e646972696d2062611b736c61641b6921",
			"44650c65726c69206d7e1d746572696d697a2c20696e646972696d2062611d6c61640721",
		},
		{"çÇöÖüÜğĞşŞıİ", "1b63097c5c7e5e1b671b471b731b531b691b49", "60097c5c7e5e0c0b1d1c0740"},
	} {
		for e, want := range map[Encoding]string{TRSingle: v.single, TRLocking: v.locking} {
			seg := mustSplit(t, v.text, forced(e), 0)[0]
			if got := hex.EncodeToString(seg.Body); got != want {
				t.Errorf("%q as %v = %s, want %s", v.text, e, got, want)
			}
			if got, err := seg.Text(); got != v.text || err != nil {
				t.Errorf("%v back = %q, %v, want %q", e, got, err, v.text)
			}
		}
	}
}

func TestShortMessageVectors(t *testing.T) {
	single := mustSplit(t, "ışık", forced(TRSingle), 0)[0]
	sm := single.AppendShortMessage(nil)
	if got, want := hex.EncodeToString(sm), "03240101"+"1b691b731b696b"; got != want {
		t.Errorf("short_message = %s, want %s", got, want)
	}
	if len(sm) != 11 || single.ESMClass() != 0x40 || single.DataCoding != 0 {
		t.Errorf("sm_length %d, esm_class %#x, dcs %d, want 11, 0x40, 0", len(sm), single.ESMClass(), single.DataCoding)
	}
	for e, want := range map[Encoding]string{TRSingle: "03240101d8a437f34d7a0d", TRLocking: "0325010138740e6b"} {
		seg := mustSplit(t, "ışık", forced(e), 0)[0]
		packed := seg.AppendPacked(nil)
		if got := hex.EncodeToString(packed); got != want {
			t.Errorf("TP-UD %v = %s, want %s", e, got, want)
		}
		got, err := DecodePacked(packed[:4], packed[4:], len(seg.Body))
		if got != "ışık" || err != nil {
			t.Errorf("DecodePacked %v = %q, %v", e, got, err)
		}
	}
	// 3GPP TS 23.038 §6.1.2: "hellohello", as printed in many a tutorial.
	if got, want := hex.EncodeToString(mustSplit(t, "hellohello", forced(GSM7), 0)[0].AppendPacked(nil)), "e8329bfd4697d9ec37"; got != want {
		t.Errorf("hellohello packed = %s, want %s", got, want)
	}
}

func TestCapacities(t *testing.T) {
	for _, v := range []struct {
		why    string
		e      Encoding
		concat bool
		ref    RefWidth
		want   int
	}{
		{"none", GSM7, false, Ref8, 160},
		{"none", UCS2, false, Ref8, 70},
		{"none", Binary, false, Ref8, 140},
		{"concat 8", GSM7, true, Ref8, 153},
		{"concat 8", UCS2, true, Ref8, 67},
		{"concat 8", Binary, true, Ref8, 134},
		{"concat 16", GSM7, true, Ref16, 152},
		{"concat 16", UCS2, true, Ref16, 66},
		{"concat 16", Binary, true, Ref16, 133},
		{"SAR is cut as concat 16", GSM7, true, RefSAR, 152},
		{"one shift", TRSingle, false, Ref8, 155},
		{"one shift", TRLocking, false, Ref8, 155},
		{"one shift and concat 8", TRSingle, true, Ref8, 149},
		{"one shift and concat 8", TRLocking, true, Ref8, 149},
		{"one shift and concat 16", TRSingle, true, Ref16, 148},
		{"one shift and concat 16", TRLocking, true, Ref16, 148},
	} {
		if got := Capacity(v.e, v.concat, v.ref); got != v.want {
			t.Errorf("%s: Capacity(%v) = %d, want %d", v.why, v.e, got, v.want)
		}
	}
	// The header alone, so that the rows with two shift elements are covered.
	for _, v := range []struct {
		udh  UDH
		hex  string
		want int
	}{
		{UDH{Locking: 1, Single: 1}, "06250101240101", 152},
		{UDH{Locking: 1, Single: 1, Concat: Concat{1, 2, 1, Ref8}}, "0b0003010201250101240101", 146},
		{UDH{Locking: 1, Single: 1, Concat: Concat{0x0102, 2, 1, Ref16}}, "0c080401020201250101240101", 145},
		{UDH{Concat: Concat{0xAB, 3, 2, Ref8}}, "050003ab0302", 153},
		{UDH{Concat: Concat{0xABCD, 3, 2, Ref16}}, "060804abcd0302", 152},
	} {
		b := v.udh.Append(nil)
		if got := hex.EncodeToString(b); got != v.hex {
			t.Errorf("%+v = %s, want %s", v.udh, got, v.hex)
		}
		if got := 160 - (len(b)*8+6)/7; got != v.want {
			t.Errorf("%s leaves %d septets, want %d", v.hex, got, v.want)
		}
	}
}

// Part limits as providers publish them: the last length that fits n parts
// and the first that does not.
func TestPartLimits(t *testing.T) {
	for _, v := range []struct {
		e      Encoding
		char   string
		limits []int
	}{
		{GSM7, "a", []int{160, 306, 459, 612, 765, 918, 1071}},
		{TRLocking, "ş", []int{155, 298, 447, 596, 745, 894, 1043}},
		{TRSingle, "a", []int{155, 298, 447, 596, 745, 894, 1043}},
		{UCS2, "ş", []int{70, 134, 201, 268, 335, 402, 469}},
	} {
		for i, limit := range v.limits {
			expectParts(t, v.char, limit, i+1, forced(v.e))
		}
	}
	// With the operator's code " B123" of five characters behind the text.
	for _, v := range []struct {
		e      Encoding
		char   string
		limits []int
	}{
		{GSM7, "a", []int{155, 301, 454, 607}},
		{TRLocking, "ş", []int{150, 293, 442, 591}},
		{UCS2, "ş", []int{65, 129, 196, 263}},
	} {
		p := forced(v.e)
		p.ReserveSuffix = 5
		for i, limit := range v.limits {
			expectParts(t, v.char, limit, i+1, p)
		}
	}
}

func expectParts(t *testing.T, char string, limit, parts int, p Policy) {
	t.Helper()
	for n, want := range map[int]int{limit: parts, limit + 1: parts + 1} {
		text := strings.Repeat(char, n)
		plan, err := Measure(text, p)
		if err != nil || plan.Segments != want {
			t.Errorf("%d × %q as %v, reserve %d: %+v, %v, want %d parts", n, char, p.Encoding, p.ReserveSuffix, plan, err, want)
		}
		if n == limit && plan.Left != 0 {
			t.Errorf("%d × %q as %v: Left = %d at the limit, want 0", n, char, p.Encoding, plan.Left)
		}
		if got := len(mustSplit(t, text, p, 1)); got != want {
			t.Errorf("%d × %q as %v: Split made %d parts, want %d", n, char, p.Encoding, got, want)
		}
	}
}

// One more character than Left needs one more part, whatever the text.
func TestLeftIsExact(t *testing.T) {
	for _, e := range []Encoding{GSM7, TRSingle, TRLocking, UCS2} {
		for _, reserve := range []int{0, 5} {
			p := forced(e)
			p.ReserveSuffix = reserve
			for n := 1; n < 640; n++ {
				text := strings.Repeat("a[b", n/3+1)[:n]
				plan, err := Measure(text, p)
				if err != nil {
					t.Fatal(err)
				}
				if plan.Left < 0 {
					t.Fatalf("%v n=%d: Left = %d", e, n, plan.Left)
				}
				for extra, want := range map[int]int{plan.Left: plan.Segments, plan.Left + 1: plan.Segments + 1} {
					got, err := Measure(text+strings.Repeat("x", extra), p)
					if err != nil || got.Segments != want {
						t.Fatalf("%v reserve %d: %d+%d characters = %+v, %v, want %d parts", e, reserve, n, extra, got, err, want)
					}
				}
			}
		}
	}
}

func TestSuffixFitsLastPart(t *testing.T) {
	for _, e := range []Encoding{GSM7, TRSingle, TRLocking, UCS2} {
		for n := 1; n < 500; n++ {
			p := forced(e)
			p.ReserveSuffix = 5
			parts := mustSplit(t, strings.Repeat("a", n-1)+"]", p, 0)
			last := parts[len(parts)-1]
			units := len(last.Body)
			if e == UCS2 {
				units /= 2
			}
			if room := Capacity(e, len(parts) > 1, Ref8); units == 0 || units+5 > room {
				t.Fatalf("%v n=%d: last part has %d units of %d, no room for the suffix", e, n, units, room)
			}
		}
	}
}

func TestNames(t *testing.T) {
	for _, s := range []string{"auto", "gsm7", "gsm7-translit", "tr-single", "tr-locking", "ucs2"} {
		e, err := ParseEncoding(s)
		if err != nil || e.String() != s {
			t.Errorf("ParseEncoding(%q) = %v, %v", s, e, err)
		}
	}
	if e, err := ParseEncoding(""); e != EncodingAuto || err != nil {
		t.Errorf("ParseEncoding(\"\") = %v, %v, want auto", e, err)
	}
	for _, s := range []string{"binary", "GSM7", "utf8"} {
		if _, err := ParseEncoding(s); !errors.Is(err, ErrEncoding) {
			t.Errorf("ParseEncoding(%q) = %v, want ErrEncoding", s, err)
		}
	}
	for _, s := range []string{"gsm7", "latin1", "ascii"} {
		if a, err := ParseAlphabet(s); err != nil || a.String() != s {
			t.Errorf("ParseAlphabet(%q) = %v, %v", s, a, err)
		}
	}
	if _, err := ParseAlphabet("ebcdic"); err == nil {
		t.Error("ParseAlphabet(ebcdic) passed")
	}
	if got := fmt.Sprint(Encoding(99), Alphabet(99)); got != "encoding(99) alphabet(99)" {
		t.Errorf("unknown values print as %q", got)
	}
	if !utf8.ValidString(defaultAlphabet) || utf8.RuneCountInString(defaultAlphabet) != 128 {
		t.Errorf("default alphabet has %d characters, want 128", utf8.RuneCountInString(defaultAlphabet))
	}
}
