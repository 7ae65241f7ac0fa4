//go:build e2e

package browser

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

const (
	good = `<!DOCTYPE html><html lang="tr"><head><title>İyi</title></head><body><main><h1>İyi</h1><p>Her şey yolunda.</p></main></body></html>`
	bad  = `<!DOCTYPE html><html lang="tr"><head><title>Kötü</title><style>body { color: red }</style></head><body><main><h1>Kötü</h1>
<p id="w">x</p><input type="text"><p id="pale">soluk</p><script src="/bad.js"></script></main></body></html>`
	script = `document.getElementById("w").style.width = "3000px"; document.getElementById("pale").style.color = "#ddd"; console.error("eyvah"); throw new Error("patladı");`
)

// TestFaults: a page with one fault of each kind is told all of them, and a good page none.
func TestFaults(t *testing.T) {
	mux := http.NewServeMux()
	serve := func(path, kind, body string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; img-src 'self'")
			_, _ = w.Write([]byte(body))
		})
	}
	serve("/good", "text/html; charset=utf-8", good)
	serve("/bad", "text/html; charset=utf-8", bad)
	serve("/bad.js", "text/javascript; charset=utf-8", script)
	serve("/favicon.ico", "image/x-icon", "")
	srv := httptest.NewServer(mux)
	defer srv.Close()
	tab := Open(t).Tab(t)
	tab.View(390, false)
	tab.Go(srv.URL + "/good")
	if got := tab.Faults(); len(got) != 0 {
		t.Errorf("a good page is told %q", got)
	}
	tab.Go(srv.URL + "/bad")
	got := tab.Faults()
	for _, want := range []string{"scrolls sideways: ", "content security policy: style-src", "axe label ", "axe color-contrast ", "eyvah", "patladı"} {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("no %q among %q", want, got)
		}
	}
	tab.Go(srv.URL + "/good")
	if got := tab.Faults(); len(got) != 0 {
		t.Errorf("a good page after a bad one is told %q", got)
	}
}
