package address

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestParseTurkish(t *testing.T) {
	const want = "+905321234567"
	for _, raw := range []string{
		"+905321234567", "905321234567", "00905321234567", "05321234567", "5321234567",
		"+90 532 123 45 67", "0(532) 123-45-67", "0532.123.45.67", "(+90) 532 123 45 67", " 532 123 45 67 ",
		"+90 (0) 532 123 45 67", "+9005321234567", "0532/1234567", "0532\u00a0123\u00a045\u00a067",
	} {
		n, err := Parse(raw, Options{DomesticOnly: true})
		if err != nil || n.String() != want || !n.Turkish() || !IsTurkish(n.String()) {
			t.Errorf("Parse(%q) = %v, %v, want %s", raw, n, err, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	strict := Options{StrictPrefixes: KnownPrefixes()}
	for _, v := range []struct {
		why, raw string
		opt      Options
		want     error
	}{
		{"nothing", "", Options{}, ErrInvalid},
		{"blanks only", "  ", Options{}, ErrInvalid},
		{"a digit short", "+90532123456", Options{}, ErrInvalid},
		{"a digit long", "+9053212345678", Options{}, ErrInvalid},
		{"a digit long without prefix", "53212345678", Options{}, ErrInvalid},
		{"country code behind a trunk zero", "0905321234567", Options{}, ErrInvalid},
		{"plus before the trunk zero", "+05321234567", Options{}, ErrInvalid},
		{"plus and international prefix", "+00905321234567", Options{}, ErrInvalid},
		{"two pluses", "++905321234567", Options{}, ErrInvalid},
		{"plus inside", "90+5321234567", Options{}, ErrInvalid},
		{"Arabic-Indic digits", "+٩٠٥٣٢١٢٣٤٥٦٧", Options{}, ErrInvalid},
		{"full-width digits", "+９０５３２１２３４５６７", Options{}, ErrInvalid},
		{"trailing letters", "05321234567x", Options{}, ErrInvalid},
		{"trailing line end", "05321234567\n", Options{}, ErrInvalid},
		{"vanity letters", "0532TURKCEL", Options{}, ErrInvalid},
		{"an extension", "05321234567;ext=1", Options{}, ErrInvalid},
		{"too much of it", strings.Repeat(" ", 41), Options{}, ErrInvalid},
		{"land line", "02121230000", Options{}, ErrNotMobile},
		{"land line, international", "+90 212 123 00 00", Options{}, ErrNotMobile},
		{"land line, bare code", "902121230000", Options{}, ErrNotMobile},
		{"land line, ten digits", "3121230000", Options{}, ErrNotMobile},
		{"0850", "0850 303 00 00", Options{}, ErrNotMobile},
		{"444", "444 1 234", Options{}, ErrNotMobile},
		{"premium rate", "09001234567", Options{}, ErrNotMobile},
		{"foreign without + or 00", "491512345678", Options{}, ErrInvalid},
		{"foreign where unwanted", "+4915112345678", Options{DomesticOnly: true}, ErrForeign},
		{"foreign land line", "+493012345678", Options{}, ErrNotMobile},
		{"foreign, impossible", "+49151", Options{}, ErrInvalid},
		{"no such country", "+9991234567890", Options{}, ErrInvalid},
		{"block not in use", "+905001234567", strict, ErrInvalid},
	} {
		if n, err := Parse(v.raw, v.opt); n != 0 || !errors.Is(err, v.want) {
			t.Errorf("%s: Parse(%q) = %v, %v, want %v", v.why, v.raw, n, err, v.want)
		}
	}
	// Their twins pass.
	for _, v := range []struct {
		why, raw, want string
		opt            Options
	}{
		{"a new block", "+905001234567", "+905001234567", Options{}},
		{"a block in use", "0532 123 45 67", "+905321234567", strict},
		{"a German mobile", "+49 1511 2345678", "+4915112345678", Options{}},
		{"the same with 00", "00491511 2345678", "+4915112345678", Options{}},
		{"a German trunk zero", "+49 (0) 1511 2345678", "+4915112345678", Options{}},
		{"a plan that does not tell mobiles", "+1 212 555 2368", "+12125552368", Options{}},
		{"a British mobile", "+447911123456", "+447911123456", Options{}},
	} {
		if n, err := Parse(v.raw, v.opt); err != nil || n.String() != v.want {
			t.Errorf("%s: Parse(%q) = %v, %v, want %s", v.why, v.raw, n, err, v.want)
		}
	}
}

func TestIsTurkish(t *testing.T) {
	for s, want := range map[string]bool{
		"+905321234567": true, "+902121234567": false, "905321234567": false, "+90532123456x": false,
		"+9053212345678": false, "": false, "+4915112345678": false,
	} {
		if got := IsTurkish(s); got != want {
			t.Errorf("IsTurkish(%q) = %v", s, got)
		}
	}
}

func TestNumberText(t *testing.T) {
	type record struct {
		To Number `json:"to"`
	}
	for _, s := range []string{"+905321234567", "+12125552368", ""} {
		var r record
		in := fmt.Sprintf(`{"to":%q}`, s)
		if err := json.Unmarshal([]byte(in), &r); err != nil {
			t.Fatal(err)
		}
		if r.To.String() != s || r.To.Digits() != strings.TrimPrefix(s, "+") {
			t.Errorf("%q reads as %v", s, r.To)
		}
		out, err := json.Marshal(r)
		if err != nil || string(out) != in {
			t.Errorf("%v is written as %s, %v, want %s", r.To, out, err, in)
		}
	}
	for _, s := range []string{"+", "905321234567", "+0532", "+90532123456x", "+1234567890123456"} {
		var n Number
		if err := n.UnmarshalText([]byte(s)); !errors.Is(err, ErrInvalid) {
			t.Errorf("UnmarshalText(%q) = %v", s, err)
		}
	}
}

func TestOperator(t *testing.T) {
	for s, want := range map[string]string{
		"+905321234567": "turkcell", "+905611234567": "turkcell", "+905421234567": "vodafone", "+905051234567": "turktelekom",
		"+905551234567": "turktelekom", "+905338312345": "kktcell", "+905338212345": "turkcell", "+905338712345": "kktcell",
		"+905428512345": "telsim", "+905428912345": "vodafone", "+905221234567": "", "+12125552368": "",
	} {
		var n Number
		if err := n.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		if got := n.Operator(); got != want {
			t.Errorf("%s: operator %q, want %q", s, got, want)
		}
	}
}

func TestParsePrefixes(t *testing.T) {
	s, err := ParsePrefixes([]string{"532", "54", "500", "599"})
	if err != nil {
		t.Fatal(err)
	}
	for prefix, want := range map[uint64]bool{532: true, 533: false, 540: true, 549: true, 550: false, 500: true, 599: true, 564: false} {
		if got := s.allows(prefix * 1e7); got != want {
			t.Errorf("prefix %d allowed %v, want %v", prefix, got, want)
		}
	}
	for _, bad := range []string{"", "5", "632", "5321", "+53", "abc"} {
		if _, err := ParsePrefixes([]string{bad}); err == nil {
			t.Errorf("prefix %q passed", bad)
		}
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"+905321234567":   "+90532*****67",
		"905321234567":    "90532*****67",
		"+12125552368":    "+1212*****68",
		"+493012345":      "+49*****45",
		"12345678":        "***",
		"ORNEK":           "***",
		"":                "***",
		"0532 123 45 67":  "***",
		"ayse@domain.com": "a***@d***.com",
		"a@domain.com":    "***@d***.com",
		"ayse@x.com.tr":   "a***@x***.tr",
		"ayse@localhost":  "a***@***",
		"@":               "***@***",
		"şule@örnek.com":  "ş***@ö***.com",
		"\"a@b\"@d.com":   "\"***@***.com",
	} {
		if got := Mask(in); got != want {
			t.Errorf("Mask(%q) = %q, want %q", in, got, want)
		}
	}
	var buf bytes.Buffer
	log := slog.New(slog.NewTextHandler(&buf, nil))
	log.Info("sent", "to", Number(905321234567), "mail", Email("ayse@domain.com"))
	if line := buf.String(); !strings.Contains(line, "to=+90532*****67") || !strings.Contains(line, "mail=a***@d***.com") {
		t.Errorf("log line %q", line)
	}
}

func TestParseSender(t *testing.T) {
	for _, v := range []struct {
		in   string
		want Sender
	}{
		{"ORNEK", Sender{SenderAlpha, TONAlphanumeric, NPIUnknown, "ORNEK"}},
		{"A101 MARKET", Sender{SenderAlpha, TONAlphanumeric, NPIUnknown, "A101 MARKET"}},
		{"H&M", Sender{SenderAlpha, TONAlphanumeric, NPIUnknown, "H&M"}},
		{"3347", Sender{SenderShort, TONNetworkSpecific, NPIUnknown, "3347"}},
		{"4441234", Sender{SenderNumber, TONNational, NPIE164, "4441234"}},
		{"0850 303 00 00", Sender{SenderNumber, TONInternational, NPIE164, "908503030000"}},
		{"+905321234567", Sender{SenderNumber, TONInternational, NPIE164, "905321234567"}},
		{"5321234567", Sender{SenderNumber, TONInternational, NPIE164, "905321234567"}},
		{"902121234567", Sender{SenderNumber, TONInternational, NPIE164, "902121234567"}},
		{"+447911123456", Sender{SenderNumber, TONInternational, NPIE164, "447911123456"}},
		{"00447911123456", Sender{SenderNumber, TONInternational, NPIE164, "447911123456"}},
	} {
		if got, err := ParseSender(v.in); err != nil || got != v.want {
			t.Errorf("ParseSender(%q) = %+v, %v, want %+v", v.in, got, err, v.want)
		}
	}
	for why, in := range map[string]string{
		"nothing": "", "twelve characters": "ABCDEFGHIJKL", "Turkish letter": "ŞİRKET", "leading blank": " ORNEK", "trailing blank": "ORNEK ",
		"@ is NUL in GSM": "A@B", "escape pair": "A[B]", "dollar": "A$", "control": "A\x01", "one digit": "1", "punctuation only": "--",
		"eight digits": "12345678", "no Turkish number": "+901234567890", "zero": "0000000", "too long": "+1234567890123456",
	} {
		if got, err := ParseSender(in); !errors.Is(err, ErrSender) {
			t.Errorf("%s: ParseSender(%q) = %+v, %v", why, in, got, err)
		}
	}
}

func TestGuessTON(t *testing.T) {
	for in, want := range map[string][2]byte{
		"ORNEK": {5, 0}, "A1": {5, 0}, "3347": {3, 0}, "905321234567": {1, 1}, "+905321234567": {1, 1}, "00447911123456": {1, 1},
		"05321234567": {0, 1}, "": {0, 0}, "+123": {1, 1},
	} {
		if ton, npi := GuessTON(in); ton != want[0] || npi != want[1] {
			t.Errorf("GuessTON(%q) = %d, %d, want %v", in, ton, npi, want)
		}
	}
}

func TestParseEmail(t *testing.T) {
	for in, want := range map[string]Email{
		"a@bb.cc":                    "a@bb.cc",
		" Ayse.Yilmaz@Ornek.COM.TR ": "ayse.yilmaz@ornek.com.tr",
		"a+b@ornek.com":              "a+b@ornek.com",
		"-a@ornek.com":               "-a@ornek.com",
		"_a@ornek.com":               "_a@ornek.com",
		".a@ornek.com":               ".a@ornek.com",
		"INFO@ornek-1.com":           "info@ornek-1.com",
		"a@1.2.3.example":            "a@1.2.3.example",
	} {
		for name, parse := range map[string]func(string) (Email, error){"ParseEmail": ParseEmail, "ParseMailbox": ParseMailbox} {
			if got, err := parse(in); err != nil || got != want {
				t.Errorf("%s(%q) = %q, %v, want %q", name, in, got, err, want)
			}
		}
	}
	long := strings.Repeat("a", 60) + "@" + strings.Repeat("b.", 95) + "com"
	for why, in := range map[string]string{
		"too short": "a@b.c", "no at": "ayse.ornek.com", "no domain": "ayse@", "no local": "@ornek.com",
		"one label": "ayse@ornek", "one-letter top label": "ayse@ornek.c", "digits in the top label": "ayse@ornek.c0m",
		"blank inside": "ay se@ornek.com", "Turkish letter": "ayşe@ornek.com", "dotless i": "ınfo@ornek.com", "Turkish domain": "ayse@örnek.com",
		"braces": "a(b@ornek.com", "comma": "a,b@ornek.com", "two ats": "a@b@ornek.com", "empty label": "a@ornek..com",
		"trailing dot": "a@ornek.com.", "hyphen at an end": "a@-ornek.com", "hyphen at the other": "a@ornek-.com", "underscore in the domain": "a@or_nek.com",
		"line end": "a@ornek.com\n", "too long a local part": strings.Repeat("a", 65) + "@ornek.com", "too long": long + long,
		"too long a label": "a@" + strings.Repeat("b", 64) + ".com", "NUL": "a\x00@ornek.com",
	} {
		for name, parse := range map[string]func(string) (Email, error){"ParseEmail": ParseEmail, "ParseMailbox": ParseMailbox} {
			if got, err := parse(in); !errors.Is(err, ErrEmail) {
				t.Errorf("%s: %s(%q) = %q, %v", why, name, in, got, err)
			}
		}
	}
	if got, err := ParseEmail(long); err != nil || len(got) != 254 {
		t.Errorf("an address of %d octets: %v", len(long), err)
	}
	for _, in := range []string{"o'brien@ornek.com", "a&b@ornek.com", "{x}@ornek.com", "info@xn--e1afmkfd.xn--p1ai"} {
		if _, err := ParseEmail(in); !errors.Is(err, ErrEmail) {
			t.Errorf("ParseEmail(%q) = %v, want ErrEmail", in, err)
		}
		if got, err := ParseMailbox(in); err != nil || string(got) != in {
			t.Errorf("ParseMailbox(%q) = %q, %v", in, got, err)
		}
	}
	if l, d := Email("a@b.cc").Split(); l != "a" || d != "b.cc" {
		t.Errorf("Split = %q, %q", l, d)
	}
	if l, d := Email("x").Split(); l != "x" || d != "" {
		t.Errorf("Split of a bare word = %q, %q", l, d)
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	for _, raw := range []string{"+905321234567", "0 (532) 123 45 67", "garbage", "02121230000"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = Parse(raw, Options{}) }); n > 1 || n > 0 && raw[0] != '0' {
			t.Errorf("Parse(%q) allocates %v times", raw, n)
		}
	}
	buf := make([]byte, 0, 16)
	if n := testing.AllocsPerRun(100, func() { buf = Number(905321234567).Append(buf[:0]) }); n != 0 {
		t.Errorf("Append allocates %v times", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"+905321234567", "0(532)123-45-67", "+49 1511 2345678", "0090", "++1", "444 1 234", "\u00a0"} {
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, raw string, domestic bool) {
		n, err := Parse(raw, Options{DomesticOnly: domestic})
		if err != nil {
			if n != 0 || !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrNotMobile) && !errors.Is(err, ErrForeign) {
				t.Fatalf("Parse(%q) = %v, %v", raw, n, err)
			}
			return
		}
		s := n.String()
		if domestic && !n.Turkish() || n.Turkish() != IsTurkish(s) {
			t.Fatalf("Parse(%q) = %s", raw, s)
		}
		if again, err := Parse(s, Options{}); err != nil || again != n {
			t.Fatalf("Parse(%q) = %s, which reads as %v, %v", raw, s, again, err)
		}
		var back Number
		if err := back.UnmarshalText([]byte(s)); err != nil || back != n {
			t.Fatalf("%s reads back as %v, %v", s, back, err)
		}
		if m := Mask(s); strings.Contains(m, s[len(s)-7:]) || m == s {
			t.Fatalf("Mask(%s) = %s", s, m)
		}
	})
}

func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"a@bb.cc", "Ayse@Ornek.COM.TR", "a@b@c.de", "a@-b.com", "ı@b.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := ParseEmail(raw)
		Mask(raw)
		m, mailErr := ParseMailbox(raw)
		if err != nil {
			return
		}
		if mailErr != nil || m != e {
			t.Fatalf("ParseMailbox(%q) = %q, %v, ParseEmail %q", raw, m, mailErr, e)
		}
		if again, err := ParseEmail(string(e)); err != nil || again != e || string(e) != strings.ToLower(string(e)) {
			t.Fatalf("%q → %q → %q, %v", raw, e, again, err)
		}
		if local, host := e.Split(); local == "" || !strings.Contains(host, ".") || len(e) < 6 || len(e) > 265 {
			t.Fatalf("%q = %q", raw, e)
		}
	})
}

func FuzzParseSender(f *testing.F) {
	for _, s := range []string{"ORNEK", "3347", "+905321234567", "A@B", "444 1234"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if ton, _ := GuessTON(raw); ton > 6 {
			t.Errorf("GuessTON(%q) = %d, which is no TON", raw, ton)
		}
		s, err := ParseSender(raw)
		if err != nil {
			return
		}
		if s.Address == "" || len(s.Address) > 15 || s.Kind == SenderAlpha && len(s.Address) > MaxTitle {
			t.Fatalf("ParseSender(%q) = %+v", raw, s)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	for _, raw := range []string{"+905321234567", "0532 123 45 67", "+4915112345678"} {
		b.Run(raw, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(raw, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkParseEmail(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseEmail("ayse.yilmaz@ornek.com.tr"); err != nil {
			b.Fatal(err)
		}
	}
}
