//go:build e2e

package admin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	chromium "izinli/test/browser"
)

var (
	noFileName = regexp.MustCompile(`[^a-zA-Z0-9]+`)
)

// views are how a page is looked at.
var views = []struct {
	name  string
	width int64
	dark  bool
}{{"390-light", 390, false}, {"390-dark", 390, true}, {"1440-light", 1440, false}, {"1440-dark", 1440, true}}

// TestGalleryInBrowser looks at every picture of the gallery in Chromium: both languages, both widths, both themes.
func TestGalleryInBrowser(t *testing.T) {
	web := chromium.Open(t)
	shots := chromium.Shots(t, "gallery")
	tab := web.Tab(t)
	for i, pic := range gallery() {
		for _, l := range []string{"tr", "en"} {
			t.Run(pic.name+" "+l, func(t *testing.T) {
				w, b := pic.furnish(t, l)
				srv := httptest.NewServer(exhibit(w, pic.show(b)))
				defer srv.Close()
				tab := tab.On(t)
				tab.View(views[0].width, views[0].dark)
				tab.Go(srv.URL + "/exhibit")
				for _, v := range views {
					tab.View(v.width, v.dark)
					for _, fault := range tab.Faults() {
						t.Errorf("%s: %s", v.name, fault)
					}
					name := fmt.Sprintf("%03d-%s-%s-%s.png", i, strings.Trim(noFileName.ReplaceAllString(pic.name, "-"), "-"), l, v.name)
					tab.Shot(filepath.Join(shots, name))
				}
				for _, width := range []int64{640, 970, 1160} { // where the layout changes
					tab.View(width, false)
					if s := tab.Overflow(); s != "" {
						t.Errorf("%d: scrolls sideways: %s", width, s)
					}
				}
				tab.Go("about:blank")
				srv.CloseClientConnections() // a browser may keep the live view of a page it has left
			})
		}
	}
}

// TestSearchGoesOn: a search that finds nothing in its first parts goes on by itself.
func TestSearchGoesOn(t *testing.T) {
	w := newWorld(t)
	w.staff()
	w.office.parts = 3
	srv := httptest.NewServer(w.panel.Handler())
	defer srv.Close()
	tab := chromium.Open(t).Tab(t)
	tab.Cookie(srv.URL, cookieSession, w.signedIn("admin").cookies[cookieSession])
	tab.Go(srv.URL + "/messages?account=1&state=failed")
	tab.Await("td", "ORNEK")
	if at := tab.At(); !strings.Contains(at, "cursor=3") {
		t.Errorf("the address is %s, want that of the part found", at)
	}
	for _, f := range tab.Faults() {
		t.Error(f)
	}
}

// exhibit hangs an answer up under /exhibit, with what it loads.
func exhibit(w *world, rec *httptest.ResponseRecorder) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/assets/", w.panel.Handler())
	mux.Handle("/welcome/", w.panel.Handler())
	mux.HandleFunc("/live", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		rw.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
	})
	mux.HandleFunc("/exhibit", func(rw http.ResponseWriter, _ *http.Request) {
		for k, v := range rec.Header() {
			rw.Header()[k] = v
		}
		rw.Header().Del("Set-Cookie")
		rw.WriteHeader(rec.Code)
		_, _ = rw.Write(rec.Body.Bytes())
	})
	return mux
}
