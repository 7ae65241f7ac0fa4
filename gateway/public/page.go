package public

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
)

//go:embed page.html
var pageFile string

//go:embed style.css
var styleFile []byte

var (
	pages        = template.Must(template.New("page").Parse(pageFile))
	styleVersion = func() string { sum := sha256.Sum256(styleFile); return hex.EncodeToString(sum[:6]) }()
)

// page is what the one template shows.
type page struct {
	Lang   lang
	Title  string
	Brand  string // whose page it is; empty: nobody's
	Tone   string // "", "ok", "error"
	Lead   []string
	Facts  []fact
	Text   string // a declaration
	Form   *formView
	Button *button
	Notes  []string
	Switch *langLink
	Style  string
}

type fact struct{ Name, Value string }

// button is a form with nothing to fill in.
type button struct {
	Action string
	Label  string
	Hidden []fact
}

type langLink struct{ URL, Lang, Name string }

// T is the text of a key, for the template.
func (p *page) T(key string, args ...any) string { return p.Lang.t(key, args...) }

// show answers with a page. It is rendered before the first octet leaves, so that a mistake in it cannot leave half a page.
func (s *Server) show(w http.ResponseWriter, r *http.Request, status int, p *page) {
	if p.Lang == "" {
		p.Lang = language(r)
	}
	other := p.Lang.other()
	p.Switch = &langLink{URL: here(r, other), Lang: string(other), Name: other.t("lang.name")}
	p.Style = styleVersion
	var b bytes.Buffer
	if err := pages.Execute(&b, p); err != nil {
		s.log.Error("public page not rendered", "route", r.Pattern, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", string(p.Lang))
	h.Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes())
	}
}

// here is the address of the page asked for, in a language. A POST's answer leads back to its page.
func here(r *http.Request, l lang) string {
	return (&url.URL{Path: r.URL.Path, RawQuery: "lang=" + string(l)}).String()
}

// errorPage answers with one of the pages of trouble: texts key.title and key.text.
func (s *Server) errorPage(w http.ResponseWriter, r *http.Request, status int, key string, more ...string) {
	l := language(r)
	p := &page{Lang: l, Title: l.t(key + ".title"), Tone: "error", Lead: []string{l.t(key + ".text")}}
	for _, k := range more {
		p.Lead = append(p.Lead, l.t(k))
	}
	switch status {
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "120")
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "60")
	}
	s.show(w, r, status, p)
}

func (s *Server) home(w http.ResponseWriter, r *http.Request) {
	l := language(r)
	s.show(w, r, http.StatusOK, &page{Lang: l, Title: l.t("home.title"), Lead: []string{l.t("home.text"), l.t("home.iys")}})
}

// notHere answers what no route takes: another method of a known page, or nothing at all.
func (s *Server) notHere(w http.ResponseWriter, r *http.Request) {
	probe := r.Clone(r.Context())
	for _, m := range []string{http.MethodGet, http.MethodPost} {
		probe.Method = m
		if _, pattern := s.mux.Handler(probe); pattern != "/" {
			w.Header().Add("Allow", m)
		}
	}
	if w.Header().Get("Allow") != "" {
		s.errorPage(w, r, http.StatusMethodNotAllowed, "method")
		return
	}
	s.errorPage(w, r, http.StatusNotFound, "notfound")
}

func robots(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("User-agent: *\nDisallow: /\n"))
}

func styleSheet(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable") // its address changes with it
	_, _ = w.Write(styleFile)
}
