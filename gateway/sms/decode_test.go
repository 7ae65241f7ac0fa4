package sms

import (
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, v := range []struct {
		why  string
		dcs  byte
		udh  string
		body string
		def  Alphabet
		want string
		err  error
	}{
		{"default alphabet", 0x00, "", "00416263", AlphabetGSM7, "@Abc", nil},
		{"default is Latin-1 here", 0x00, "", "40fc", AlphabetLatin1, "@ü", nil},
		{"default is ASCII here", 0x00, "", "4041", AlphabetASCII, "@A", nil},
		{"a shift element makes it GSM", 0x00, "03250101", "071d076b", AlphabetLatin1, "ışık", nil},
		{"single shift element", 0x00, "03240101", "1b691b731b696b", AlphabetGSM7, "ışık", nil},
		{"both elements", 0x00, "06250101240101", "071b73", AlphabetGSM7, "ış", nil},
		{"locking leaves the default extension", 0x00, "03250101", "1b3c1b73", AlphabetGSM7, "[s", nil},
		{"another language falls back", 0x00, "03240102", "1b73", AlphabetGSM7, "s", nil},
		{"shift behind concatenation", 0x00, "080003010201240101", "1b73", AlphabetGSM7, "ş", nil},
		{"IA5", 0x01, "", "406162", AlphabetGSM7, "@ab", nil},
		{"IA5 with a high octet", 0x01, "", "61fe", AlphabetGSM7, "a\ufffd", ErrDamaged},
		{"Latin-1", 0x03, "", "e7f6fc", AlphabetGSM7, "çöü", nil},
		{"UCS-2", 0x08, "", "0131015f0131006b", AlphabetGSM7, "ışık", nil},
		{"UTF-16 pair", 0x08, "", "d83cdf89", AlphabetGSM7, "🎉", nil},
		{"half a pair", 0x08, "", "0041d83c0042", AlphabetGSM7, "A\ufffdB", ErrDamaged},
		{"second half alone", 0x08, "", "df890041", AlphabetGSM7, "\ufffdA", ErrDamaged},
		{"odd octet", 0x08, "", "004100", AlphabetGSM7, "A", ErrDamaged},
		{"flash", 0x10, "", "00", AlphabetLatin1, "@", nil},
		{"flash UCS-2", 0x18, "", "015f", AlphabetGSM7, "ş", nil},
		{"class 0 of the 0xF group", 0xF0, "", "00", AlphabetGSM7, "@", nil},
		{"8-bit of the 0xF group", 0xF5, "", "00", AlphabetGSM7, "", ErrBinary},
		{"8-bit with class", 0x15, "", "00", AlphabetGSM7, "", ErrBinary},
		{"voice mail indication", 0xC8, "", "41", AlphabetGSM7, "A", nil},
		{"voice mail indication UCS-2", 0xE0, "", "0041", AlphabetGSM7, "A", nil},
		{"8-bit", 0x04, "", "00", AlphabetGSM7, "", ErrBinary},
		{"Cyrillic", 0x06, "", "41", AlphabetGSM7, "", ErrDataCoding},
		{"compressed", 0x20, "", "41", AlphabetGSM7, "", ErrDataCoding},
		{"reserved", 0x1C, "", "41", AlphabetGSM7, "", ErrDataCoding},
		{"high octet in septets", 0x00, "", "41ff42", AlphabetGSM7, "A\ufffdB", ErrDamaged},
		{"high octet after ESC", 0x00, "", "1bff42", AlphabetGSM7, "\ufffdB", ErrDamaged},
		{"ESC at the end", 0x00, "", "411b", AlphabetGSM7, "A", ErrDamaged},
		{"ESC ESC", 0x00, "", "411b1b42", AlphabetGSM7, "A B", nil},
		{"nothing", 0x00, "", "", AlphabetGSM7, "", nil},
		{"header cut short", 0x00, "0524", "41", AlphabetGSM7, "", ErrUDH},
	} {
		got, err := Decode(v.dcs, unhex(t, v.udh), unhex(t, v.body), v.def)
		if got != v.want || !errors.Is(err, v.err) || (err == nil) != (v.err == nil) {
			t.Errorf("%s: Decode = %q, %v, want %q, %v", v.why, got, err, v.want, v.err)
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, v := range []struct {
		dcs  byte
		udh  string
		want Encoding
		ok   bool
	}{
		{0, "", GSM7, true}, {3, "", GSM7, true}, {8, "", UCS2, true}, {4, "", Binary, true}, {0xF5, "", Binary, true},
		{0, "03240101", TRSingle, true}, {0, "03250101", TRLocking, true}, {0, "06250101240101", TRLocking, true},
		{8, "03250101", UCS2, true}, {6, "", EncodingAuto, false}, {0, "09", GSM7, true},
	} {
		if got, ok := Describe(v.dcs, unhex(t, v.udh), AlphabetGSM7); got != v.want || ok != v.ok {
			t.Errorf("Describe(%#x, %s) = %v, %v, want %v, %v", v.dcs, v.udh, got, ok, v.want, v.ok)
		}
	}
}

func TestParseUDH(t *testing.T) {
	for _, v := range []struct {
		why  string
		in   string
		want UDH
		n    int
		ok   bool
	}{
		{"concat 8", "050003aa0302", UDH{Concat: Concat{0xAA, 3, 2, Ref8}}, 6, true},
		{"concat 16 with text behind", "060804aabb030241", UDH{Concat: Concat{0xAABB, 3, 2, Ref16}}, 7, true},
		{"ports 16", "06050415811583", UDH{Ports: true, DestPort: 0x1581, SrcPort: 0x1583}, 7, true},
		{"ports 8", "040402f0f1", UDH{Ports: true, Ports8: true, DestPort: 0xF0, SrcPort: 0xF1}, 5, true},
		{"shift data octet is consumed", "08240101000301" + "0201", UDH{Single: 1, Concat: Concat{1, 2, 1, Ref8}}, 9, true},
		{"unknown element skipped", "0a7003ffffff000301" + "0201", UDH{Concat: Concat{1, 2, 1, Ref8}}, 11, true},
		{"concat of wrong length skipped", "050002aa03" + "00", UDH{}, 0, false},
		{"concat of wrong length, well formed", "040002aa03", UDH{}, 5, true},
		{"the last of two counts", "06240101240102", UDH{Single: 2}, 7, true},
		{"empty header", "00", UDH{}, 1, true},
		{"no octet", "", UDH{}, 0, false},
		{"longer than the message", "0500", UDH{}, 0, false},
		{"element runs out of the header", "03000401", UDH{}, 0, false},
		{"element without a length", "0100", UDH{}, 0, false},
		{"stray octet after an element", "0424010100", UDH{}, 0, false},
		{"impossible numbering is reported as it is", "050003aa0200", UDH{Concat: Concat{0xAA, 2, 0, Ref8}}, 6, true},
	} {
		got, n, err := ParseUDH(unhex(t, v.in))
		if (err == nil) != v.ok || err != nil && !errors.Is(err, ErrUDH) {
			t.Errorf("%s: error %v, want ok %v", v.why, err, v.ok)
			continue
		}
		if got != v.want || n != v.n {
			t.Errorf("%s: %+v, %d, want %+v, %d", v.why, got, n, v.want, v.n)
		}
	}
}

func TestUDHRoundTrip(t *testing.T) {
	for _, u := range []UDH{
		{Concat: Concat{0x12, 255, 255, Ref8}},
		{Concat: Concat{0x1234, 2, 1, Ref16}, Ports: true, DestPort: 2948, SrcPort: 9200},
		{Ports: true, Ports8: true, DestPort: 240, SrcPort: 241, Locking: 1, Single: 1},
	} {
		b := u.Append([]byte("x"))
		got, n, err := ParseUDH(b[1:])
		if err != nil || n != len(b)-1 || !reflect.DeepEqual(got, u) {
			t.Errorf("%x = %+v, %d, %v, want %+v", b, got, n, err, u)
		}
	}
	if got := (UDH{Concat: SAR(1, 2, 1)}).Append([]byte{9}); hex.EncodeToString(got) != "09" {
		t.Errorf("a SAR reference is written as %x", got)
	}
	for _, v := range []struct {
		c    Concat
		want bool
	}{{Concat{}, false}, {SAR(1, 2, 0), false}, {SAR(1, 2, 3), false}, {SAR(0, 1, 1), true}, {SAR(1, 255, 255), true}} {
		if got := v.c.Valid(); got != v.want {
			t.Errorf("%+v.Valid() = %v", v.c, got)
		}
	}
}

func TestPack(t *testing.T) {
	for n := range 40 {
		for fill := range 7 {
			septets := make([]byte, n)
			for i := range septets {
				septets[i] = byte(i*37+n) & 0x7F
			}
			packed := Pack(nil, septets, fill)
			if want := (fill + 7*n + 7) / 8; len(packed) != want {
				t.Fatalf("%d septets after %d bits take %d octets, want %d", n, fill, len(packed), want)
			}
			got, err := Unpack(nil, packed, fill, n)
			if err != nil || string(got) != string(septets) {
				t.Fatalf("%d septets after %d bits: %x, %v, want %x", n, fill, got, err, septets)
			}
		}
	}
	// Seven spare bits: the filler is no character.
	if got, err := DecodePacked(nil, Pack(nil, []byte("1234567"), 0), -1); got != "1234567" || err != nil {
		t.Errorf("seven septets of unknown count = %q, %v", got, err)
	}
	if got, err := DecodePacked(nil, Pack(nil, []byte("12345678"), 0), -1); got != "12345678" || err != nil {
		t.Errorf("eight septets of unknown count = %q, %v", got, err)
	}
	for _, v := range []struct{ octets, fill, count int }{{1, 0, 2}, {0, 3, -1}, {2, 7, 1}, {2, -1, 1}} {
		if _, err := Unpack(nil, make([]byte, v.octets), v.fill, v.count); err == nil {
			t.Errorf("Unpack of %d octets, fill %d, count %d passed", v.octets, v.fill, v.count)
		}
	}
}
