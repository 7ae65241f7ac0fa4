package keyword

import (
	"encoding/csv"
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"
)

// realTexts reads a CSV file of real messages by label. It is not part of the
// project: IZINLI_TEXTS names it.
func realTexts(t testing.TB) map[string][]string {
	t.Helper()
	path := os.Getenv("IZINLI_TEXTS")
	if path == "" {
		path = "../../../../shared/data/turkish-sms.csv"
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
	texts := make(map[string][]string)
	for _, row := range rows[1:] {
		texts[row[1]] = append(texts[row[1]], row[0])
	}
	if len(texts["commercial"]) == 0 || len(texts["personal"]) == 0 {
		t.Fatal("the file lacks one of the labels commercial and personal")
	}
	return texts
}

func rate(texts []string, is func(string) bool) float64 {
	n := 0
	for _, s := range texts {
		if is(s) {
			n++
		}
	}
	return 100 * float64(n) / float64(len(texts))
}

// The bounds were set from what the list reaches on the texts, with a little
// room; they fail when a change makes it worse.
func TestPromotionalOnRealTexts(t *testing.T) {
	texts := realTexts(t)
	hit := func(s string) bool { return len(Promotional(s, nil)) > 0 }
	commercial, personal := rate(texts["commercial"], hit), rate(texts["personal"], hit)
	t.Logf("advertising words in %.1f %% of %d commercial and %.1f %% of %d personal texts",
		commercial, len(texts["commercial"]), personal, len(texts["personal"]))
	if commercial < 85 || personal > 1 {
		t.Errorf("%.1f %% commercial, %.1f %% personal", commercial, personal)
	}
	missed := 0
	for _, s := range texts["commercial"] {
		if !hit(s) && missed < 15 {
			missed++
			t.Logf("missed: %s", s)
		}
	}
	for _, s := range texts["personal"] {
		if h := Promotional(s, nil); len(h) > 0 {
			t.Logf("personal with %q: %s", h, s)
		}
	}
}

// Personal messages are no opt-outs, save doubtful ones that begin or end
// with a stop word, and never an opt-in without doubt unless they say just so.
func TestParseOnRealTexts(t *testing.T) {
	texts := realTexts(t)
	l := lexicon(t, Config{})
	certain := rate(texts["personal"], func(s string) bool {
		in := Parse(s, l)
		return in.Kind == OptOut && !in.Doubtful
	})
	any := rate(texts["personal"], func(s string) bool { return Parse(s, l).Kind == OptOut })
	sentBack := rate(texts["commercial"], func(s string) bool { return Parse(s, l).Kind != Other })
	t.Logf("opt-outs: %.2f %% certain and %.2f %% in all of personal texts, %.2f %% of commercial texts sent back", certain, any, sentBack)
	if certain > 0.1 || any > 1 || sentBack > 8 {
		t.Errorf("opt-outs read from texts that are none: %.2f, %.2f, %.2f %%", certain, any, sentBack)
	}
}

// instruction finds what an advertisement tells its reader to send.
var instruction = regexp.MustCompile(`\b(?:(?:ICIN|ISTEMIYORSANIZ|ISTEMEZSENIZ) )((?:[A-Z0-9]+ )?(?:RET|IPTAL|STOP)(?: [A-Z0-9]+)??) (?:YAZ|YAZIN|YAZIP|YAZARAK)\b`)

// Who does as the advertisement says is understood.
func TestInstructionsOnRealTexts(t *testing.T) {
	texts := realTexts(t)
	l := lexicon(t, Config{})
	told := make(map[string]int)
	for _, s := range texts["commercial"] {
		if m := instruction.FindStringSubmatch(Fold(s)); m != nil {
			told[m[1]]++
		}
	}
	t.Logf("instructions: %v", told)
	if len(told) < 5 {
		t.Errorf("only %d different instructions found", len(told))
	}
	for _, s := range slices.Sorted(maps.Keys(told)) {
		if in := Parse(s, l); in.Kind != OptOut || in.Doubtful {
			t.Errorf("instruction %q (%d times) reads as %+v", s, told[s], in)
		}
	}
}

const benchText = "Değerli müşterimiz, siparişiniz kargoya verildi. Takip numaranız 1234567890. Bizi tercih ettiğiniz için teşekkür ederiz, " +
	"iyi günler dileriz. Ayşe Giyim A.Ş."

func BenchmarkPromotional(b *testing.B) {
	Promotional(benchText, nil)
	b.ReportAllocs()
	for b.Loop() {
		Promotional(benchText, nil)
	}
}

func BenchmarkParse(b *testing.B) {
	l := lexicon(b, Config{Brands: []Brand{{Code: "675403", Names: []string{"MAVI"}}}})
	for _, text := range []string{"RET mavi", benchText} {
		b.Run(text[:3], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Parse(text, l)
			}
		})
	}
}
