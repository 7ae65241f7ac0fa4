package keyword

import (
	"fmt"
	"slices"
	"strings"
)

// Config lists the words of one inbound number. Words are folded when they are
// compiled; a phrase is several words with blanks.
type Config struct {
	// Stop holds the words that mean an opt-out. nil takes DefaultStop.
	Stop []string
	// Weak holds everyday or misspelt words and free wording that mean an
	// opt-out too, but a doubtful one in the company of other words. nil
	// takes DefaultWeak.
	Weak []string
	// OptIn holds the words of consent, such as ONAY and EVET. Set it only
	// where a consent flow is under way; without it no message is an opt-in.
	OptIn []string
	// Brands are those a message to this number can name.
	Brands []Brand
}

// Brand is a brand as people may name it.
type Brand struct {
	Code  string   // İYS brand number, 6 or 7 digits
	Names []string // keyword at the number, brand short name
	// Stop holds words that alone are an opt-out from this brand, for
	// instructions such as "send NXORNEK to 3525".
	Stop []string
}

// DefaultStop returns the stop words every number starts with.
func DefaultStop() []string {
	return []string{
		"RET", "IPTAL", "STOP", "CIKIS", "ISTEMIYORUM", "UNSUBSCRIBE", "SMS IPTAL", "SMSIPTAL", "SMS RET",
		"LISTEDEN CIK", "LISTEDEN CIKAR", "LISTEDEN CIKARIN", "CIKMAK ISTIYORUM", "ALMAK ISTEMIYORUM",
		"IPTAL ET", "IPTAL EDIN", "RET EDIYORUM",
	}
}

// DefaultWeak returns the doubtful stop words every number starts with: words
// of everyday talk (DUR, CIK, HAYIR), a common slip (RED) and free wording.
func DefaultWeak() []string {
	return []string{
		"DUR", "CIK", "HAYIR", "RED", "MESAJ ATMAYIN", "MESAJ ATMA", "MESAJ GONDERMEYIN", "MESAJ GONDERME",
		"SMS ATMAYIN", "SMS GONDERMEYIN", "RAHATSIZ ETMEYIN", "BENI ARAMAYIN",
	}
}

// fillers are words that say nothing about intent beside a keyword.
var fillers = set(`SMS MESAJ MESAJI MESAJLARI MESAJLARINI REKLAM REKLAMLARI BILDIRIM LUTFEN LTF RICA TESEKKURLER
	TESEKKUR SAGOL SAGOLUN EDERIM EDERIZ ISTIYORUM EDIYORUM EDIN EDINIZ EDELIM ETMEK BENI BENIM BANA ARTIK YAZ
	GONDER ET ALMAK LISTEDEN LISTENIZDEN LISTENIZ UYELIGIMI ABONELIGIMI UYELIK ABONELIK MERHABA IYI GUNLER SELAM VE
	THANKS PLEASE`)

// polite are the fewer words that leave an opt-in what it is.
var polite = set(`LUTFEN LTF TESEKKURLER TESEKKUR EDERIM EDERIZ SAGOL SAGOLUN MERHABA SELAM IYI GUNLER ISTIYORUM
	EDIYORUM VERIYORUM SMS MESAJ`)

// negations turn a stop word around, or may: "iptal etmeyin", "ret
// etmiyorum", "listeden cikmak istemiyorum".
var negations = set(`ETMEYIN ETMEYINIZ ETME ETMEM ETMIYORUM ETMIYORUZ ETMEDIM ETMEDIK ETMESIN ETMESINLER EDILMESIN
	DEGIL DEGILIM OLMASIN OLMAYIN OLMAZ ISTEMIYORUM ISTEMEM ISTEMIYORUZ ISTEMEDIM VAZGECTIM YAPMAYIN YAPMA YAPMADIM
	VERMIYORUM VERMEDIM CIKMAK CIKMIYORUM CIKMAYACAGIM YANLISLIKLA YANLIS NOT DONT`)

func set(words string) map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(words) {
		m[w] = true
	}
	return m
}

// phrase is one folded entry.
type phrase struct {
	text  string
	words []string
	brand string // code, for names and brand stop words
	weak  bool
}

// Lexicon is a compiled Config.
type Lexicon struct {
	stop  []phrase // longest first, like the others
	optIn []phrase
	names []phrase
	codes map[string]bool
}

// Compile folds and indexes c. It refuses entries that fold to nothing and
// brand codes that are not 6 or 7 digits, and one word given to two brands.
func Compile(c Config) (*Lexicon, error) {
	if c.Stop == nil {
		c.Stop = DefaultStop()
	}
	if c.Weak == nil {
		c.Weak = DefaultWeak()
	}
	l := &Lexicon{codes: make(map[string]bool)}
	add := func(to *[]phrase, list []string, as phrase) error {
		for _, entry := range list {
			as.text = Fold(entry)
			as.words = strings.Fields(as.text)
			if len(as.words) == 0 {
				return fmt.Errorf("keyword: entry %q has no letter or digit", entry)
			}
			*to = append(*to, as)
		}
		return nil
	}
	err := firstError(add(&l.stop, c.Stop, phrase{}), add(&l.stop, c.Weak, phrase{weak: true}), add(&l.optIn, c.OptIn, phrase{}))
	if err != nil {
		return nil, err
	}
	for _, b := range c.Brands {
		if !isCode(b.Code) {
			return nil, fmt.Errorf("keyword: brand code %q is not 6 or 7 digits", b.Code)
		}
		l.codes[b.Code] = true
		if err := firstError(add(&l.names, b.Names, phrase{brand: b.Code}), add(&l.stop, b.Stop, phrase{brand: b.Code})); err != nil {
			return nil, err
		}
	}
	for _, list := range []*[]phrase{&l.stop, &l.optIn, &l.names} {
		if err := tidy(*list); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// tidy sorts longest first and refuses a word of two brands.
func tidy(list []phrase) error {
	slices.SortStableFunc(list, func(a, b phrase) int { return len(b.words) - len(a.words) })
	owner := make(map[string]string)
	for _, p := range list {
		if was, ok := owner[p.text]; ok && was != p.brand {
			return fmt.Errorf("keyword: %q means two things, for brand %q and %q", p.text, was, p.brand)
		}
		owner[p.text] = p.brand
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// isCode reports whether s has the form of an İYS brand number.
func isCode(s string) bool { return len(s) >= 6 && len(s) <= 7 && isDigits(s) }

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
