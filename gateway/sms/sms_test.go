package sms

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
)

func TestChoice(t *testing.T) {
	long := strings.Repeat("Değerli müşterimiz ", 8) // 152: one part with a table, three in UCS-2
	crowded := strings.Repeat("ş", 100)              // single: 200 septets, locking: 100
	tie := strings.Repeat("ş", 40)                   // one part in either
	grave := strings.Repeat("è", 40) + "ş"           // è is not in the locking table
	folded := strings.Repeat("ı", 160)               // 160 in GSM7, two parts otherwise
	exact := "kısa"                                  // one part in anything
	for _, v := range []struct {
		why  string
		text string
		p    Policy
		want Encoding
		n    int
		tr   bool
	}{
		{"ASCII goes as GSM7", "Merhaba", Policy{}, GSM7, 1, false},
		{"letters of the default table too", "Çok öpüyorum", Policy{}, GSM7, 1, false},
		{"small ç is the trap", "çok", Policy{}, UCS2, 1, false},
		{"without tables UCS-2", long, Policy{}, UCS2, 3, false},
		{"fewer parts win", crowded, Policy{NationalTables: true}, TRLocking, 1, false},
		{"fewer parts win over the preference", crowded, Policy{NationalTables: true, Prefer: TRSingle}, TRLocking, 1, false},
		{"then fewer septets", tie, Policy{NationalTables: true}, TRLocking, 1, false},
		{"unless the route prefers single", tie, Policy{NationalTables: true, Prefer: TRSingle}, TRSingle, 1, false},
		{"what locking lacks goes single", grave, Policy{NationalTables: true, Prefer: TRLocking}, TRSingle, 1, false},
		{"what both lack goes UCS-2", "ş 🎉", Policy{NationalTables: true}, UCS2, 1, false},
		{"transliteration spares a part", folded, Policy{NationalTables: true, Transliterate: true}, GSM7, 1, true},
		{"and is not done for nothing", exact, Policy{Transliterate: true}, UCS2, 1, false},
		{"an order transliterates always", exact, Policy{Encoding: GSM7Translit}, GSM7, 1, true},
		{"so does GSM7 with leave", exact, Policy{Encoding: GSM7, Transliterate: true}, GSM7, 1, true},
		{"nothing to transliterate", "Merhaba", Policy{Encoding: GSM7Translit}, GSM7, 1, false},
		{"transliteration cannot help an emoji", "ş 🎉", Policy{Transliterate: true}, UCS2, 1, false},
		{"an order for UCS-2", "Merhaba", Policy{Encoding: UCS2}, UCS2, 1, false},
		{"quotes turn a text into UCS-2", "“Merhaba” – …", Policy{}, UCS2, 1, false},
		{"unless replaced", "“Merhaba” – …", Policy{Typographic: true}, GSM7, 1, false},
	} {
		plan, err := Measure(v.text, v.p)
		if err != nil || plan.Encoding != v.want || plan.Segments != v.n || plan.Transliterated != v.tr {
			t.Errorf("%s: %+v, %v, want %v in %d, transliterated %v", v.why, plan, err, v.want, v.n, v.tr)
		}
	}
}

func TestRefusals(t *testing.T) {
	var tooLong *TooLongError
	var bad *UnencodableError
	_, err := Measure(strings.Repeat("a", 460), Policy{MaxSegments: 3})
	if !errors.Is(err, ErrTooLong) || !errors.As(err, &tooLong) || tooLong.Segments != 4 || tooLong.Max != 3 {
		t.Errorf("460 septets in 3 parts: %v", err)
	}
	if _, err = Measure(strings.Repeat("a", 459), Policy{MaxSegments: 3}); err != nil {
		t.Errorf("459 septets in 3 parts: %v", err)
	}
	if _, err = Measure(strings.Repeat("a", 255*153), Policy{}); err != nil {
		t.Errorf("255 full parts: %v", err)
	}
	_, err = Measure(strings.Repeat("a", 255*153+1), Policy{})
	if !errors.As(err, &tooLong) || tooLong.Segments != 256 || tooLong.Max != 255 {
		t.Errorf("256 parts: %v", err)
	}
	_, err = Measure(strings.Repeat("a", maxText+1), Policy{MaxSegments: 1})
	if !errors.As(err, &tooLong) || tooLong.Segments <= MaxParts || tooLong.Max != 1 {
		t.Errorf("huge text: %v", err)
	}
	_, err = Measure("çay ş", forced(TRLocking))
	if err != nil {
		t.Errorf("çay ş: %v", err)
	}
	_, err = Measure("çay è", forced(TRLocking))
	if !errors.Is(err, ErrUnencodable) || !errors.As(err, &bad) || bad.Rune != 'è' || bad.Pos != 4 || bad.Encoding != TRLocking {
		t.Errorf("çay è in the locking table: %v", err)
	}
	_, err = Measure("ab 🎉 ş", Policy{Encoding: GSM7Translit})
	if !errors.As(err, &bad) || bad.Rune != '🎉' || bad.Pos != 3 {
		t.Errorf("emoji transliterated: %v", err)
	}
	_, err = Measure("abs\u0327", forced(GSM7))
	if !errors.As(err, &bad) || bad.Rune != 'ş' || bad.Pos != 2 {
		t.Errorf("decomposed ş as GSM7: %v", err)
	}
	_, err = Measure("ab\xff", forced(UCS2))
	if !errors.As(err, &bad) || bad.Pos != 2 {
		t.Errorf("broken UTF-8: %v", err)
	}
	for _, v := range []struct {
		why  string
		text string
		p    Policy
		want error
	}{
		{"no text", "", Policy{}, ErrEmpty},
		{"only invisible characters", "\u200b\ufeff", Policy{Typographic: true}, ErrEmpty},
		{"binary is no text encoding", "a", Policy{Encoding: Binary}, ErrEncoding},
		{"unknown encoding", "a", Policy{Encoding: 200}, ErrEncoding},
		{"table ordered on a route without", "a", Policy{Encoding: TRSingle}, ErrTables},
		{"negative reserve", "a", Policy{ReserveSuffix: -1}, ErrSuffix},
		{"reserve without end", "a", Policy{ReserveSuffix: 41}, ErrSuffix},
	} {
		if _, err := Measure(v.text, v.p); !errors.Is(err, v.want) {
			t.Errorf("%s: Measure = %v, want %v", v.why, err, v.want)
		}
		if _, err := Split(v.text, v.p, 0); !errors.Is(err, v.want) {
			t.Errorf("%s: Split = %v, want %v", v.why, err, v.want)
		}
	}
	for _, err := range []error{&TooLongError{2, 1}, &UnencodableError{'ş', 1, GSM7}} {
		if !strings.HasPrefix(err.Error(), "sms: ") {
			t.Errorf("error text %q", err)
		}
	}
}

func TestNormalize(t *testing.T) {
	typo := Policy{Typographic: true}
	for _, v := range []struct {
		why, in, want string
		p             Policy
	}{
		{"decomposed Turkish", "s\u0327 S\u0327 g\u0306 G\u0306 I\u0307 c\u0327 C\u0327 o\u0308 O\u0308 u\u0308 U\u0308", "ş Ş ğ Ğ İ ç Ç ö Ö ü Ü", Policy{}},
		{"i with a dot from lower-casing İ", strings.ToLower("İSTANBUL"), "istanbul", Policy{}},
		{"decomposed GSM letters", "e\u0300e\u0301u\u0300i\u0300o\u0300a\u0300A\u030aa\u030aN\u0303n\u0303A\u0308a\u0308", "èéùìòàÅåÑñÄä", Policy{}},
		{"a mark with nothing before it", "\u0327s", "\u0327s", Policy{}},
		{"a mark that makes no letter", "q\u0327", "q\u0327", Policy{}},
		{"typographic left alone without leave", "“a” – …", "“a” – …", Policy{}},
		{"typographic", "“a” ‘b’ – … «c»\u00a0d`e\tf", "\"a\" 'b' - ... \"c\" d'e f", typo},
		{"invisible characters", "a\u200bb\ufeffc\u00add\u2060e", "abcde", typo},
		{"an invisible character between letter and mark", "s\u200b\u0327", "ş", typo},
		{"line ends", "a\r\nb\rc\nd", "a\nb\nc\nd", typo},
		{"line ends without leave", "a\r\nb", "a\r\nb", Policy{}},
		{"joined emoji stay joined", "👨\u200d👩", "👨\u200d👩", typo},
		{"the euro sign stays", "10 €", "10 €", typo},
		{"transliteration implies it", "“a”", "\"a\"", Policy{Encoding: GSM7Translit}},
	} {
		got := Normalize(v.in, v.p)
		if got != v.want {
			t.Errorf("%s: Normalize(%q) = %q, want %q", v.why, v.in, got, v.want)
		}
		if again := Normalize(got, v.p); again != got {
			t.Errorf("%s: a second pass changes %q to %q", v.why, got, again)
		}
	}
}

// The composition table against the Unicode tables: every pair it makes is
// NFC's, and no Latin letter of the GSM and Turkish alphabets is missing.
func TestComposeIsNFC(t *testing.T) {
	n := 0
	for mark := range composed {
		for base := rune('A'); base <= 'z'; base++ {
			want := norm.NFC.String(string([]rune{base, mark}))
			got := compose(base, mark)
			if base == 'i' && mark == 0x307 {
				want = "i" // the one deliberate difference
			}
			if got != 0 {
				n++
				if string(got) != want {
					t.Errorf("compose(%c, %U) = %c, want %s", base, mark, got, want)
				}
			}
		}
	}
	if n < 150 {
		t.Errorf("only %d pairs were compared", n)
	}
	for _, r := range defaultAlphabet + "çğĞıİşŞâîûÂÎÛ" {
		d := []rune(norm.NFD.String(string(r)))
		if len(d) == 2 && compose(d[0], d[1]) != r {
			t.Errorf("no composition of %c", r)
		}
	}
}

func TestTransliterate(t *testing.T) {
	for in, want := range map[string]string{
		"şŞğĞıİç":        "sSgGiIc",
		"ÇöÖüÜ":          "ÇöÖüÜ", // the alphabet has them
		"kâğıt Âdem îû":  "kagit Adem iu",
		"Fiyat 10€ [ok]": "Fiyat 10€ [ok]",
		"日本":             "日本",
	} {
		if got := Transliterate(in); got != want {
			t.Errorf("Transliterate(%q) = %q, want %q", in, got, want)
		}
	}
	for from, to := range translit {
		if costOf(from)&noGSM7 == 0 || costOf(rune(to))&noGSM7 != 0 {
			t.Errorf("useless transliteration %c → %c", from, to)
		}
	}
}

// Every part must stand alone: no escape pair, surrogate pair or visible
// character is cut, each carries the shift elements, and parts join to the
// text again.
func TestNothingIsCut(t *testing.T) {
	family := "👨\u200d👩\u200d👧\u200d👦"
	for _, piece := range []string{"[", "€", "ş", "🎉", family, "🇹🇷", "👍🏽", "1\ufe0f\u20e3", "e\u0302\u0301"} {
		for shift := range 24 { // longer than the longest piece
			text := strings.Repeat("a", shift) + strings.Repeat(piece, 200) // several parts in every encoding
			for _, e := range []Encoding{GSM7, TRSingle, TRLocking, UCS2} {
				for _, ref := range []RefWidth{Ref8, Ref16, RefSAR} {
					p := forced(e)
					p.Ref = ref
					parts, err := Split(text, p, 0xBEEF)
					if errors.Is(err, ErrUnencodable) && e != UCS2 {
						continue
					}
					if err != nil {
						t.Fatal(err)
					}
					checkParts(t, text, piece, parts, p)
				}
			}
		}
	}
}

func checkParts(t *testing.T, text, piece string, parts []Segment, p Policy) {
	t.Helper()
	var joined strings.Builder
	for i, s := range parts {
		got, err := s.Text()
		if err != nil {
			t.Fatalf("%v part %d: %v", p.Encoding, i, err)
		}
		joined.WriteString(got)
		if rest := strings.ReplaceAll(strings.TrimLeft(got, "a"), Normalize(piece, p), ""); rest != "" {
			t.Fatalf("%v part %d cuts %q: %q", p.Encoding, i, piece, rest)
		}
		checkHeader(t, s, i, len(parts), p)
	}
	if joined.String() != Normalize(text, p) {
		t.Fatalf("%v parts do not join to the text", p.Encoding)
	}
}

func checkHeader(t *testing.T, s Segment, i, n int, p Policy) {
	t.Helper()
	want := UDH{}
	switch p.Encoding {
	case TRSingle:
		want.Single = Turkish
	case TRLocking:
		want.Locking = Turkish
	}
	number := Concat{Ref: 0xBEEF, Total: uint8(n), Seq: uint8(i + 1), Width: p.Ref}
	if p.Ref == Ref8 {
		number.Ref = 0xEF
	}
	if s.Concat != number {
		t.Fatalf("part %d has %+v, want %+v", i, s.Concat, number)
	}
	if p.Ref != RefSAR {
		want.Concat = number
	}
	if want == (UDH{}) {
		if s.UDH != nil || s.ESMClass() != 0 {
			t.Fatalf("part %d has header %x", i, s.UDH)
		}
		return
	}
	got, size, err := ParseUDH(s.UDH)
	if err != nil || got != want || size != len(s.UDH) || s.ESMClass() != UDHI {
		t.Fatalf("part %d has header %+v (%d), %v, want %+v", i, got, size, err, want)
	}
	if octets := len(s.AppendPacked(nil)); octets > 140 {
		t.Fatalf("part %d takes %d octets", i, octets)
	}
}

func TestSplitterReusesMemory(t *testing.T) {
	var s Splitter
	text := strings.Repeat("Değerli müşterimiz ", 30)
	want := mustSplit(t, text, Policy{NationalTables: true}, 7)
	for range 3 {
		if _, err := s.Split("kısa", Policy{NationalTables: true}, 1); err != nil {
			t.Fatal(err)
		}
		got, err := s.Split(text, Policy{NationalTables: true}, 7)
		if err != nil || len(got) != len(want) {
			t.Fatalf("got %d parts, %v, want %d", len(got), err, len(want))
		}
		for i := range got {
			if !bytes.Equal(got[i].AppendShortMessage(nil), want[i].AppendShortMessage(nil)) {
				t.Errorf("part %d differs", i)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.Split(text, Policy{NationalTables: true}, 7); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("Splitter allocates %v times, want 0", n)
	}
	for _, text := range []string{text, "Merhaba", "Sayın 🎉", strings.Repeat("€", 400)} {
		p := Policy{NationalTables: true, Typographic: !strings.Contains(text, "🎉")}
		if n := testing.AllocsPerRun(100, func() { _, _ = Measure(text, p) }); n != 0 {
			t.Errorf("Measure(%.20q) allocates %v times, want 0", text, n)
		}
	}
}

func TestAppendDoesNotSpill(t *testing.T) {
	parts := mustSplit(t, strings.Repeat("ş", 300), Policy{NationalTables: true}, 1)
	before := parts[1].AppendShortMessage(nil)
	_ = append(parts[0].Body, 0xFF, 0xFF)
	_ = append(parts[0].UDH, 0xFF, 0xFF)
	if after := parts[1].AppendShortMessage(nil); !bytes.Equal(before, after) || parts[0].Body[0] == 0xFF {
		t.Error("appending to one part changes another")
	}
}
