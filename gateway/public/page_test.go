package public

import (
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestAcceptLanguage(t *testing.T) {
	for field, want := range map[string]lang{
		"":                          turkish,
		"tr":                        turkish,
		"tr-TR,tr;q=0.9,en;q=0.8":   turkish,
		"en-US,en;q=0.9,tr;q=0.8":   english,
		"de,tr;q=0.2,en;q=0.3":      english,
		"de-DE":                     english,
		"*":                         turkish,
		"de,*;q=0.5":                turkish,
		"en;q=0,tr;q=0.1":           turkish,
		"EN":                        english,
		"en;q=nonsense":             turkish,
		";;;,,,":                    turkish,
		strings.Repeat("x,", 5000):  english,
		"tr;q=1.5,en;q=0.1":         english,
		"en ; q=0.5 , tr ; q=0.6":   turkish,
		"zh-Hant, fr-CH;q=0.8, *":   turkish,
		"en-GB;q=0.001,tr;q=0.0001": english,
	} {
		if got := accepted(field); got != want {
			t.Errorf("accepted(%.40q) = %s, want %s", field, got, want)
		}
	}
}

// Every text has both languages, with the same verbs in the same order.
func TestTexts(t *testing.T) {
	verbs := regexp.MustCompile(`%[a-z%]`)
	if len(texts) < 30 {
		t.Fatalf("only %d texts", len(texts))
	}
	for key, both := range texts {
		if both[0] == "" || both[1] == "" {
			t.Errorf("%s lacks a language: %q", key, both)
		}
		if tr, en := fmt.Sprint(verbs.FindAllString(both[0], -1)), fmt.Sprint(verbs.FindAllString(both[1], -1)); tr != en {
			t.Errorf("%s: verbs %s and %s", key, tr, en)
		}
	}
}

// luminance and contrast as WCAG 2.2 defines them.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	v, err := strconv.ParseUint(strings.TrimPrefix(hex, "#"), 16, 32)
	if err != nil || len(hex) != 7 {
		t.Fatalf("colour %q", hex)
	}
	part := func(shift uint) float64 {
		c := float64(v>>shift&255) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

func TestContrast(t *testing.T) {
	light, dark, ok := strings.Cut(string(styleFile), "prefers-color-scheme: dark")
	if !ok {
		t.Fatal("the style sheet has no dark theme")
	}
	token := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`)
	for name, css := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, m := range token.FindAllStringSubmatch(css, -1) {
			colours[m[1]] = m[2]
		}
		for _, pair := range []struct {
			fore, back string
			least      float64
		}{{"ink", "bg", 4.5}, {"ink", "panel", 4.5}, {"soft", "bg", 4.5}, {"soft", "panel", 4.5}, {"accent", "panel", 4.5}, {"accent", "bg", 4.5},
			{"accent-ink", "accent", 4.5}, {"ok", "panel", 4.5}, {"error", "panel", 4.5}, {"field", "panel", 3}} {
			a, b := luminance(t, colours[pair.fore]), luminance(t, colours[pair.back])
			if c := (max(a, b) + 0.05) / (min(a, b) + 0.05); c < pair.least {
				t.Errorf("%s: %s on %s has %.2f, want %.1f", name, pair.fore, pair.back, c, pair.least)
			}
		}
	}
}

func TestLimiter(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	l := newLimiter(3, time.Minute)
	take := func(key string) (n int) {
		for n < 100 && l.allow(key, now) {
			n++
		}
		return n
	}
	if got := take("a"); got != 3 {
		t.Errorf("a burst of %d, want 3", got)
	}
	if got := take("b"); got != 3 {
		t.Errorf("another key: %d, want 3", got)
	}
	now = now.Add(2*time.Minute + 30*time.Second)
	if got := take("a"); got != 2 {
		t.Errorf("after 2.5 minutes: %d, want 2", got)
	}
	now = now.Add(-time.Hour) // a clock set back gives nothing
	if got := take("a"); got != 0 {
		t.Errorf("after the clock was set back: %d, want 0", got)
	}
	now = now.Add(2 * time.Hour)
	for i := range maxBuckets + 1000 {
		l.allow(strconv.Itoa(i), now)
	}
	if len(l.m) > maxBuckets {
		t.Errorf("%d buckets are kept", len(l.m))
	}
}

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{"192.0.2.9": "192.0.2.9", "::ffff:192.0.2.9": "192.0.2.9", "2001:db8:1:2:3::4": "2001:db8:1:2::/64"} {
		if got := network(netip.MustParseAddr(in)); got != want {
			t.Errorf("network(%s) = %s, want %s", in, got, want)
		}
	}
}
