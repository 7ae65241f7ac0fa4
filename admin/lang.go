package admin

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"time"
)

//go:embed messages.txt
var messagesFile string

// catalogue holds every text of the panel: `key = Türkçe || English`, one a line, # before comments. A key ending in ".one" is
// used for the number one in English; Turkish has one form for all numbers.
var catalogue = parseCatalogue(messagesFile)

func parseCatalogue(file string) map[string][2]string {
	m := map[string][2]string{}
	for line := range strings.Lines(file) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, texts, _ := strings.Cut(line, " = ")
		tr, en, _ := strings.Cut(texts, " || ")
		m[key] = [2]string{strings.TrimSpace(tr), strings.TrimSpace(en)}
	}
	return m
}

// lang is one language of the panel, with its forms of numbers and dates.
type lang struct {
	Code        string
	index       int
	thousands   string
	decimal     string
	date, clock string
}

// The languages. Turkish is the default.
var (
	turkish = &lang{Code: "tr", index: 0, thousands: ".", decimal: ",", date: "02.01.2006", clock: "15:04:05"}
	english = &lang{Code: "en", index: 1, thousands: ",", decimal: ".", date: "2 Jan 2006", clock: "15:04:05"}
)

func languageOf(code string) *lang {
	if code == english.Code {
		return english
	}
	return turkish
}

// t is the text of a key. A key that is missing shows as ⟦key⟧, which tests look for.
func (l *lang) t(key string, args ...any) string {
	texts, ok := catalogue[key]
	if !ok {
		return "⟦" + key + "⟧"
	}
	if len(args) == 0 {
		return texts[l.index]
	}
	return fmt.Sprintf(texts[l.index], args...)
}

// has reports whether a key exists.
func has(key string) bool { _, ok := catalogue[key]; return ok }

// n is the text of a key that tells a number.
func (l *lang) n(key string, n int) string {
	if n == 1 && l == english && has(key+".one") {
		key += ".one"
	}
	return l.t(key, l.num(int64(n)))
}

// num writes a whole number.
func (l *lang) num(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "−", s[1:]
	}
	var b strings.Builder
	for i, r := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteString(l.thousands)
		}
		b.WriteRune(r)
	}
	return sign + b.String()
}

// rate writes a number per second with one digit behind the point below ten.
func (l *lang) rate(f float64) string {
	if f >= 10 || f == 0 {
		return l.num(int64(f + 0.5))
	}
	return strings.Replace(strconv.FormatFloat(f, 'f', 1, 64), ".", l.decimal, 1)
}

// istanbul is fixed at UTC+3: Türkiye has not changed its clocks since 2016 (iys-api.md §19.8).
var istanbul = time.FixedZone("Europe/Istanbul", 3*3600)

// when writes an instant in Istanbul time.
func (l *lang) when(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(istanbul).Format(l.date + " " + l.clock)
}

// day writes the date of an instant in Istanbul.
func (l *lang) day(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.In(istanbul).Format(l.date)
}

// ago writes a duration in its largest unit.
func (l *lang) ago(d time.Duration) string {
	switch {
	case d < time.Second:
		return l.t("unit.ms", l.num(d.Milliseconds()))
	case d < 2*time.Minute:
		return l.t("unit.s", l.num(int64(d/time.Second)))
	case d < 2*time.Hour:
		return l.t("unit.min", l.num(int64(d/time.Minute)))
	case d < 48*time.Hour:
		return l.t("unit.h", l.num(int64(d/time.Hour)))
	}
	return l.n("unit.d", int(d/(24*time.Hour)))
}

// octets writes a size.
func (l *lang) octets(n uint64) string {
	const k = 1024
	f, unit := float64(n), "B"
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if f < k {
			break
		}
		f, unit = f/k, u
	}
	return l.rate(f) + " " + unit
}

func (c *call) t(key string, args ...any) string { return c.l.t(key, args...) }
