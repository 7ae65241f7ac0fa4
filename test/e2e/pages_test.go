//go:build e2e

package e2e

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"izinli/test/browser"
)

var (
	idPart  = regexp.MustCompile(`^([0-9]+|[0-9a-z]{20,})$`)
	notName = regexp.MustCompile(`[^a-zA-Z0-9]+`)
)

// pattern is what pages with different records have in common.
func pattern(href string) string {
	u, err := url.Parse(href)
	if err != nil {
		return href
	}
	parts := strings.Split(u.Path, "/")
	for i, p := range parts {
		if idPart.MatchString(p) {
			parts[i] = "-"
		}
	}
	var keys []string
	for k := range u.Query() {
		if k != "account" {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return strings.Trim(strings.Join(append(parts, keys...), "/"), "/")
}

// everyPage follows the links of the panel until no new kind of page turns up, and looks at each in both languages, both widths
// and both themes.
func (v *visit) everyPage() {
	v.Helper()
	shots := browser.Shots(v, "panel")
	seen := map[string]bool{}
	queue := []string{"/"}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if strings.Contains(at, ".csv") || seen[pattern(at)] {
			continue
		}
		seen[pattern(at)] = true
		v.T.Run("page "+at, func(t *testing.T) {
			sub := *v
			sub.T, sub.tab = t, v.tab.On(t)
			queue = append(queue, sub.lookAt(at, shots)...)
		})
	}
	v.Logf("%d kinds of pages seen", len(seen))
	if len(seen) < 35 {
		v.Errorf("only %d kinds of pages found: %v", len(seen), seen)
	}
}

// lookAt holds one page to everything, and returns where its links lead.
func (v *visit) lookAt(at, shots string) (links []string) {
	v.Helper()
	for _, l := range []string{"tr", "en"} {
		v.tab.Cookie(v.base, "izinli_lang", l)
		v.tab.View(390, false)
		v.open(at)
		if got := browser.Eval[string](v.tab, "document.documentElement.lang"); got != l {
			v.Errorf("the page is in %q, want %q", got, l)
		}
		for _, width := range []int64{390, 1440} {
			for _, dark := range []bool{false, true} {
				v.tab.View(width, dark)
				look := fmt.Sprintf("%s %d dark=%v", l, width, dark)
				for _, f := range v.tab.Faults() {
					v.Errorf("%s: %s", look, f)
				}
				v.tab.Shot(filepath.Join(shots, strings.Trim(notName.ReplaceAllString(pattern(at)+" "+look, "-"), "-")+".png"))
			}
		}
		for _, width := range []int64{640, 970, 1160} { // where the layout changes
			v.tab.View(width, false)
			if s := v.tab.Overflow(); s != "" {
				v.Errorf("%s %d: scrolls sideways: %s", l, width, s)
			}
		}
		links = append(links, browser.Eval[[]string](v.tab, `[...document.querySelectorAll('a[href^="/"]')].map((a) => a.getAttribute("href"))`)...)
	}
	return links
}
