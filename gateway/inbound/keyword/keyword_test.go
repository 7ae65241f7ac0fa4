package keyword

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func lexicon(t testing.TB, c Config) *Lexicon {
	t.Helper()
	l, err := Compile(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestFold(t *testing.T) {
	for in, want := range map[string]string{
		"  Ret,  İptal! ":               "RET IPTAL",
		"ıIİi":                          "IIII",
		"çıkış ÇIKIŞ cikis":             "CIKIS CIKIS CIKIS",
		"şğüöçŞĞÜÖÇ":                    "SGUOCSGUOC",
		"c\u0327ıkıs\u0327 i\u0307ptal": "CIKIS IPTAL",
		"R\u200bE\u00adT":               "RET",
		"ＲＥＴ 𝐑𝐄𝐓":                       "RET RET",
		"ret.5830A/MC":                  "RET 5830A MC",
		"RET\u00a0X":                    "RET X",
		"“ret”…🎉ok":                     "RET OK",
		"3347'ye":                       "3347 YE",
		"kâğıt":                         "KAGIT",
		"Москва":                        "МОСКВА",
		"%20":                           "20",
		"":                              "",
		"?!":                            "",
		"a\xffb":                        "A B",
	} {
		if got := Fold(in); got != want {
			t.Errorf("Fold(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	l := lexicon(t, Config{
		OptIn: []string{"ONAY", "EVET"},
		Brands: []Brand{
			{Code: "675403", Names: []string{"Mavi"}, Stop: []string{"NXMAVI"}},
			{Code: "6606821", Names: []string{"MC", "Madame Coco"}},
		},
	})
	for _, v := range []struct {
		why, text string
		want      Intent
	}{
		{"the word alone", "RET", Intent{OptOut, "", "", "RET", false}},
		{"any case and punctuation", " ret! ", Intent{OptOut, "", "", "RET", false}},
		{"Turkish small dotted i", "iptal", Intent{OptOut, "", "", "IPTAL", false}},
		{"Turkish capital", "İPTAL", Intent{OptOut, "", "", "IPTAL", false}},
		{"dotless", "ıptal", Intent{OptOut, "", "", "IPTAL", false}},
		{"accents", "çıkış", Intent{OptOut, "", "", "CIKIS", false}},
		{"two words before one", "sms iptal", Intent{OptOut, "", "", "SMS IPTAL", false}},
		{"from the list", "Listeden çık", Intent{OptOut, "", "", "LISTEDEN CIK", false}},
		{"weak, but alone", "Dur", Intent{OptOut, "", "", "DUR", false}},
		{"weak with small talk", "Hayır lütfen", Intent{OptOut, "", "", "HAYIR", false}},
		{"misspelt", "red", Intent{OptOut, "", "", "RED", false}},
		{"polite", "Lütfen SMS iptal ediniz", Intent{OptOut, "", "", "IPTAL", false}},
		{"hidden by small talk", "Merhaba lütfen iptal edin teşekkürler", Intent{OptOut, "", "", "IPTAL", false}},
		{"a wish", "listeden çıkmak istiyorum", Intent{OptOut, "", "", "CIKMAK ISTIYORUM", false}},
		{"not wanted", "mesaj almak istemiyorum", Intent{OptOut, "", "", "ALMAK ISTEMIYORUM", false}},

		{"İYS brand number", "RET 675403", Intent{OptOut, "675403", "", "RET", false}},
		{"the number first", "6606821 ret", Intent{OptOut, "6606821", "", "RET", false}},
		{"glued to the word", "RET675403", Intent{OptOut, "675403", "", "RET", false}},
		{"brand name", "RET mavi", Intent{OptOut, "675403", "MAVI", "RET", false}},
		{"brand name first", "Mavi iptal", Intent{OptOut, "675403", "MAVI", "IPTAL", false}},
		{"brand name of two words", "madame coco RET", Intent{OptOut, "6606821", "MADAME COCO", "RET", false}},
		{"name and number agree", "mavi 675403 ret", Intent{OptOut, "675403", "MAVI", "RET", false}},
		{"two brands", "RET mavi mc", Intent{OptOut, "", "", "RET", true}},
		{"number of nobody here", "RET 1234567", Intent{OptOut, "1234567", "", "RET", true}},
		{"name beside a number of nobody", "RET 1234567 mavi", Intent{OptOut, "675403", "MAVI", "RET", false}},
		{"unknown keyword", "RET KIGILI", Intent{OptOut, "", "KIGILI", "RET", false}},
		{"the short code is no keyword", "MC IPTAL 5830", Intent{OptOut, "6606821", "MC", "IPTAL", false}},
		{"a stop word of the brand's own", "nxmavi", Intent{OptOut, "675403", "NXMAVI", "NXMAVI", false}},

		{"negated", "iptal etmeyin", Intent{OptOut, "", "ETMEYIN", "IPTAL", true}},
		{"negated in the first person", "RET etmiyorum", Intent{OptOut, "", "ETMIYORUM", "RET", true}},
		{"does not want to leave", "listeden çıkmak istemiyorum", Intent{OptOut, "", "CIKMAK", "ISTEMIYORUM", true}},
		{"does not want the cancelling", "iptal istemiyorum", Intent{OptOut, "", "ISTEMIYORUM", "IPTAL", true}},
		{"everyday word in company", "Dur bir dakika", Intent{OptOut, "", "", "DUR", true}},
		{"everyday word and one more", "Hayır gelmiyorum", Intent{OptOut, "", "", "HAYIR", true}},
		{"strong word among strangers", "RET dedi bana hakem yine", Intent{OptOut, "", "", "RET", true}},
		{"in the middle of a short reply", "beni hemen iptal edin bakalım", Intent{OptOut, "", "", "IPTAL EDIN", true}},
		{
			"in the middle of an advertisement sent back", "Mağazalarımızda büyük indirim başladı, SMS almamak için RET yazıp 3347 gönderin",
			Intent{Other, "", "", "RET", true},
		},

		{"consent", "ONAY", Intent{OptIn, "", "", "ONAY", false}},
		{"consent with brand", "Evet mavi", Intent{OptIn, "675403", "MAVI", "EVET", false}},
		{"consent with number", "ONAY 675403", Intent{OptIn, "675403", "", "ONAY", false}},
		{"polite consent", "evet lütfen", Intent{OptIn, "", "", "EVET", false}},
		{"a question is none", "Onay?", Intent{Other, "", "", "ONAY", true}},
		{"company makes none", "Evet akşam geliyorum", Intent{Other, "", "", "EVET", true}},
		{"a strange number makes none", "ONAY 1234567", Intent{Other, "1234567", "", "ONAY", true}},
		{"any digit makes none", "ONAY 12", Intent{Other, "", "", "ONAY", true}},
		{"two brands make none", "ONAY mavi mc", Intent{Other, "", "", "ONAY", true}},
		{"negated consent", "onay vermiyorum", Intent{Other, "", "", "ONAY", true}},
		{"not a yes", "evet değil", Intent{Other, "", "", "EVET", true}},
		{"yes and stop is stop", "EVET IPTAL", Intent{OptOut, "", "EVET", "IPTAL", false}},

		{"chatter", "akşam maça geliyor musun", Intent{}},
		{"a brand alone", "Mavi", Intent{}},
		{"part of a word", "reticek iptali", Intent{}},
		{"nothing", "", Intent{}},
		{"a smile", ":)", Intent{}},
	} {
		if got := Parse(v.text, l); got != v.want {
			t.Errorf("%s: Parse(%q) = %+v, want %+v", v.why, v.text, got, v.want)
		}
	}
}

func TestParseWithoutConsentFlow(t *testing.T) {
	l := lexicon(t, Config{})
	for _, text := range []string{"ONAY", "EVET", "evet lütfen"} {
		if got := Parse(text, l); got != (Intent{}) {
			t.Errorf("Parse(%q) = %+v, want nothing where no flow is under way", text, got)
		}
	}
	if got := Parse("RET 1234567", l); got != (Intent{OptOut, "1234567", "", "RET", false}) {
		t.Errorf("a lexicon without brands doubts a brand number: %+v", got)
	}
}

func TestParseConfigured(t *testing.T) {
	l := lexicon(t, Config{Stop: []string{"Dışarı"}, Weak: []string{}})
	if got := Parse("DISARI", l); got.Kind != OptOut {
		t.Errorf("own stop word: %+v", got)
	}
	if got := Parse("RET", l); got.Kind != Other {
		t.Errorf("a word taken out: %+v", got)
	}
	long := strings.Repeat("laf ", 5000)
	if got := Parse(long+"ret", lexicon(t, Config{})); got.Kind != OptOut || !got.Doubtful {
		t.Errorf("last word of a long text: %+v", got)
	}
}

func TestCompileRefuses(t *testing.T) {
	for why, c := range map[string]Config{
		"an empty stop word":          {Stop: []string{"!"}},
		"an empty opt-in word":        {OptIn: []string{""}},
		"an empty brand name":         {Brands: []Brand{{Code: "675403", Names: []string{" "}}}},
		"a short code":                {Brands: []Brand{{Code: "67540"}}},
		"letters in a code":           {Brands: []Brand{{Code: "67540a"}}},
		"one name for two brands":     {Brands: []Brand{{Code: "675403", Names: []string{"x"}}, {Code: "675404", Names: []string{"X"}}}},
		"a brand's stop word general": {Brands: []Brand{{Code: "675403", Stop: []string{"ret"}}}},
	} {
		if _, err := Compile(c); err == nil {
			t.Errorf("%s passed", why)
		}
	}
	if _, err := Compile(Config{Brands: []Brand{{Code: "675403", Names: []string{"x"}}, {Code: "6606821", Names: []string{"Y"}}}}); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestKindString(t *testing.T) {
	for k, want := range map[Kind]string{Other: "other", OptOut: "opt_out", OptIn: "opt_in"} {
		if got := k.String(); got != want {
			t.Errorf("%d = %q, want %q", k, got, want)
		}
	}
}

func TestPromotional(t *testing.T) {
	for _, v := range []struct {
		text string
		want []string
	}{
		{"%50 İNDİRİM, indirimli fırsatlar!", []string{"%", "indirim", "fırsat"}},
		{"KAMPANYAMIZ basladi", []string{"kampanya"}},
		{"1 ALANA 1 HEDİYE", []string{"1 alana", "alana 1", "hediye"}},
		{"i\u0307ndirim", []string{"indirim"}},
		{"ｉｎｄｉｒｉｍ", []string{"indirim"}},
		{"size  ÖZEL teklif", []string{"size özel", "özel teklif"}},
		{"Sale!", []string{"sale"}},
		{"Salep içelim", nil},
		{"Siparişiniz kargoya verildi. Takip no 12345.", nil},
		{"Doğrulama kodunuz: 482913. Kimseyle paylaşmayın.", nil},
		{"Randevunuz 20 Mart 14:30. Gelemeyecekseniz bizi arayın.", nil},
		{"", nil},
	} {
		if got := Promotional(v.text, nil); !slices.Equal(got, v.want) {
			t.Errorf("Promotional(%q) = %q, want %q", v.text, got, v.want)
		}
	}
	own, err := CompileWords([]string{"# comment", "", "tombala*", "çok ucuz"})
	if err != nil {
		t.Fatal(err)
	}
	if got := Promotional("TOMBALALAR çok-ucuz indirim", own); !slices.Equal(got, []string{"tombala", "çok ucuz"}) {
		t.Errorf("own list finds %q", got)
	}
	if got := own.Entries(); !slices.Equal(got, []string{"tombala", "çok ucuz"}) {
		t.Errorf("Entries = %q", got)
	}
	for _, bad := range []string{"*", "!", "скидка"} {
		if _, err := CompileWords([]string{bad}); err == nil {
			t.Errorf("entry %q passed", bad)
		}
	}
}

// Each entry of the embedded list is found in a text of itself.
func TestBuiltInWords(t *testing.T) {
	w := DefaultWords()
	if len(w.Entries()) < 40 {
		t.Errorf("only %d entries", len(w.Entries()))
	}
	for _, e := range w.Entries() {
		if got := Promotional("bakin "+strings.ToUpper(e)+".", nil); len(got) == 0 {
			t.Errorf("entry %q is not found", e)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"RET 675403", "iptal etmeyin", "ONAY?", "RET675403", "sms iptal", "ＲＥＴ", "\xff ret", "evet mavi"} {
		f.Add(s)
	}
	l := lexicon(f, Config{OptIn: []string{"ONAY", "EVET"}, Brands: []Brand{{Code: "675403", Names: []string{"MAVI"}, Stop: []string{"NX MAVI"}}}})
	f.Fuzz(func(t *testing.T, text string) {
		in := Parse(text, l)
		folded := Fold(text)
		if Fold(folded) != folded || strings.Contains(folded, "  ") || utf8.ValidString(text) && !utf8.ValidString(folded) {
			t.Fatalf("Fold(%q) = %q", text, folded)
		}
		if in.Kind != Other && in.Matched == "" || in.Kind == OptIn && in.Doubtful {
			t.Fatalf("Parse(%q) = %+v", text, in)
		}
		if words := strings.Fields(folded); len(words) > 0 && len(words) < maxWords {
			first, last := words[0], words[len(words)-1]
			for _, stop := range []string{"RET", "IPTAL", "STOP", "HAYIR"} {
				if (first == stop || last == stop) && in.Kind != OptOut {
					t.Fatalf("Parse(%q) = %+v with %s at an end", text, in, stop)
				}
			}
		}
		if in.Kind == OptIn && !slices.Contains(strings.Fields(folded), in.Matched) {
			t.Fatalf("Parse(%q) = %+v from nowhere", text, in)
		}
	})
}

func FuzzPromotional(f *testing.F) {
	for _, s := range []string{"%50 İNDİRİM", "1 ALANA 1", "size özel", "скидка %", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		hits := Promotional(text, nil)
		for i, h := range hits {
			if slices.Contains(hits[:i], h) {
				t.Fatalf("Promotional(%q) = %q", text, hits)
			}
		}
		// What is found does not vanish when text is added around it.
		if got := Promotional("x "+text+" x", nil); len(got) < len(hits) {
			t.Fatalf("Promotional(%q) = %q, with text around %q", text, hits, got)
		}
	})
}
