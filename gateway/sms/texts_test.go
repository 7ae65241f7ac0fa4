package sms

import (
	"encoding/csv"
	"os"
	"strings"
	"testing"
)

// realTexts reads a CSV file of real messages (columns text, label). It is
// not part of the project: IZINLI_TEXTS names it.
func realTexts(t testing.TB) (texts, labels []string) {
	t.Helper()
	path := os.Getenv("IZINLI_TEXTS")
	if path == "" {
		path = "../../../shared/data/turkish-sms.csv"
	}
	f, err := os.Open(path)
	if err != nil {
		t.Skipf("REAL TEXTS NOT TESTED: %v; set IZINLI_TEXTS to a CSV file with the columns text,label", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		texts, labels = append(texts, row[0]), append(labels, row[1])
	}
	if len(texts) == 0 {
		t.Fatal("no texts in the file")
	}
	return texts, labels
}

// Real texts survive the way to the handset under every policy, and the
// national tables never cost more than UCS-2.
func TestRealTexts(t *testing.T) {
	texts, _ := realTexts(t)
	policies := map[string]Policy{
		"auto with tables":              {NationalTables: true},
		"auto, UCS-2 when GSM-7 fails":  {},
		"auto with tables, typographic": {NationalTables: true, Typographic: true},
		"auto, typographic":             {Typographic: true},
		"auto, reserve 5, 16-bit ref":   {NationalTables: true, ReserveSuffix: 5, Ref: Ref16},
		"auto, transliterate to save":   {NationalTables: true, Transliterate: true},
		"UCS-2":                         {Encoding: UCS2},
		"prefer single":                 {NationalTables: true, Prefer: TRSingle},
	}
	totals := map[string]int{}
	for name, p := range policies {
		kinds := map[Encoding]int{}
		for _, text := range texts {
			if Normalize(text, p) == "" {
				continue
			}
			plan, err := Measure(text, p)
			if err != nil {
				t.Fatalf("%s: %q: %v", name, text, err)
			}
			want := Normalize(text, p)
			if plan.Transliterated {
				want = Transliterate(want)
			}
			checkRoundTrip(t, mustSplit(t, text, p, 0x1234), plan, p, want)
			totals[name] += plan.Segments
			kinds[plan.Encoding]++
		}
		t.Logf("%-32s %5d parts for %d texts, encodings %v", name, totals[name], len(texts), kinds)
	}
	for _, pair := range [][2]string{
		{"auto with tables", "auto, UCS-2 when GSM-7 fails"},
		{"auto with tables, typographic", "auto with tables"},
		{"auto, transliterate to save", "auto with tables"},
		{"auto, UCS-2 when GSM-7 fails", "UCS-2"},
	} {
		if totals[pair[0]] > totals[pair[1]] {
			t.Errorf("%s takes %d parts, %s %d", pair[0], totals[pair[0]], pair[1], totals[pair[1]])
		}
	}
}

var benchTexts = map[string]string{
	"ascii160":   strings.Repeat("Sayin musterimiz, siparisiniz yola cikti. ", 4)[:160],
	"turkish150": "Değerli müşterimiz, siparişiniz yola çıktı. Kargo takip numaranız 123456789. Bizi tercih ettiğiniz için teşekkür ederiz, iyi günler dileriz. MAĞAZA 7",
	"long600":    strings.Repeat("Değerli müşterimiz, indirim başladı! Ayrıntılar [burada]: ", 10),
	"emoji":      strings.Repeat("Kutlu olsun 🎉 ", 12),
}

func BenchmarkMeasure(b *testing.B) {
	p := Policy{NationalTables: true, Typographic: true}
	for name, text := range benchTexts {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Measure(text, p); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSplitter(b *testing.B) {
	p := Policy{NationalTables: true, Typographic: true}
	for name, text := range benchTexts {
		b.Run(name, func(b *testing.B) {
			var s Splitter
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Split(text, p, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	seg := mustSplit(b, benchTexts["turkish150"], Policy{NationalTables: true}, 1)[0]
	b.ReportAllocs()
	for b.Loop() {
		if _, err := seg.Text(); err != nil {
			b.Fatal(err)
		}
	}
}
