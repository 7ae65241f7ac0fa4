package public

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/unsubscribe"
)

var testKey = bytes.Repeat([]byte{5}, 32)

// world is everything behind the door, and what came through it.
type world struct {
	t      testing.TB
	tokens *unsubscribe.Tokens
	dir    *gateway.Directory
	now    time.Time
	base   string

	mu      sync.Mutex
	fail    error // of the next acts
	optouts []gateway.OptOut
	blocked map[string]gateway.Block
	links   map[string]gateway.ShortLink
	optins  map[string]gateway.OptIn
	sent    []gateway.Submission
	refuse  func(*gateway.Submission) (gateway.Result, error)
	given   []gateway.Consent
	added   []gateway.ConsentResult // answer of Add; nil: taken
	server  *Server
}

func newWorld(t testing.TB) *world {
	t.Helper()
	tk, err := unsubscribe.NewTokens(testKey)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, tokens: tk, dir: gateway.NewDirectory(), now: time.Date(2026, 11, 20, 9, 30, 0, 0, time.UTC), base: "https://u.example.com",
		blocked: map[string]gateway.Block{}, links: map[string]gateway.ShortLink{}, optins: map[string]gateway.OptIn{}}
	w.dir.Accounts[1] = &gateway.Account{ID: 1, Name: "Örnek A.Ş."}
	w.dir.Brands["675403"] = &gateway.Brand{Code: "675403", Account: 1, Name: "Örnek <Giyim>"}
	for _, f := range []gateway.Form{
		{ID: "smsform", Channel: gateway.ChannelSMS, From: "ORNEK", TextEN: "I agree that Örnek Giyim A.Ş. sends me text messages."},
		{ID: "mailform", Channel: gateway.ChannelEmail, From: "bilgi@ornek.example"},
	} {
		f.Account, f.Brand, f.TradeName, f.Version = 1, "675403", "Örnek Giyim A.Ş.", "2026-11"
		f.TextTR = "Örnek Giyim A.Ş. tarafından ticari ileti gönderilmesini onaylıyorum.\nİkinci satır <b>."
		f.PrivacyURL = "https://ornek.example/kvkk"
		w.dir.Forms[f.ID] = &f
	}
	w.server = New(Config{Now: func() time.Time { return w.now }}, Deps{Consents: w, Tokens: tk, Links: w, OptIns: w, Submit: w,
		ShortLinks: func(_ context.Context, _ gateway.AccountID, _, _ string, addrs []string) ([]string, error) {
			return []string{"https://u.example.com/k/short" + addrs[0]}, nil
		},
		Directory: func() *gateway.Directory { return w.dir }, BaseURL: func() string { return w.base }})
	return w
}

func (w *world) mail() unsubscribe.Subject {
	return unsubscribe.Subject{Account: 1, Brand: "675403", Channel: gateway.ChannelEmail, Address: "ayse@ornek.example",
		Message: gateway.MessageID{Account: 1, Batch: 5}}
}

func (w *world) mailURL() string { return unsubscribe.Path + w.tokens.Make(w.mail()) }

// smsURL is a short link of a person.
func (w *world) smsURL() string {
	s := unsubscribe.Subject{Account: 1, Brand: "675403", Channel: gateway.ChannelSMS, Address: "+905321234567"}
	code := w.tokens.Code(s, 0)
	w.links[code] = gateway.ShortLink{Code: code, Account: s.Account, Brand: s.Brand, Channel: s.Channel, Address: s.Address}
	return unsubscribe.ShortPath + code
}

func (w *world) OptOut(_ context.Context, o gateway.OptOut) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	w.optouts = append(w.optouts, o)
	w.blocked[o.Address] = gateway.Block{Account: o.Account, Brand: o.Brand, Channel: o.Channel, Address: o.Address, At: w.now}
	return nil
}

func (w *world) Lookup(_ context.Context, p *gateway.Principal, brand, channel, _, addr string) (gateway.ConsentView, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dir.BrandOf(p.Account, brand) == nil {
		return gateway.ConsentView{}, gateway.Refuse(gateway.CodeBrand, "brand", "")
	}
	b, ok := w.blocked[addr]
	return gateway.ConsentView{Blocked: ok, Block: &b}, nil
}

func (w *world) Add(_ context.Context, p *gateway.Principal, list []gateway.Consent) ([]gateway.ConsentResult, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return nil, w.fail
	}
	if p.Account != 1 || len(list) != 1 {
		w.t.Errorf("Add for account %d with %d consents", p.Account, len(list))
	}
	if w.added != nil {
		return w.added, nil
	}
	w.given = append(w.given, list...)
	return make([]gateway.ConsentResult, len(list)), nil
}

func (w *world) Check(context.Context, *gateway.Submission) ([]gateway.Verdict, error) {
	return nil, errors.New("not expected")
}

func (w *world) Submit(_ context.Context, s *gateway.Submission) (gateway.Result, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.refuse != nil {
		return w.refuse(s)
	}
	w.sent = append(w.sent, *s)
	return gateway.Result{Accepted: 1}, nil
}

func (w *world) PutOptIn(_ context.Context, o *gateway.OptIn) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail == nil {
		w.optins[o.Code] = *o
	}
	return w.fail
}

func (w *world) OptIn(_ context.Context, code string) (gateway.OptIn, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, ok := w.optins[code]
	return o, ok, w.fail
}

func (w *world) ConfirmOptIn(_ context.Context, code string, by gateway.Trace, evidence string) (gateway.OptIn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	o, ok := w.optins[code]
	if !ok || w.fail != nil {
		return o, errors.Join(w.fail, errors.New("nothing confirmed"))
	}
	if o.Confirmed.At.IsZero() {
		o.Confirmed, o.Evidence = by, evidence
		w.optins[code] = o
	}
	return o, nil
}

func (w *world) DoneOptIn(_ context.Context, code string, at time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.optins[code]
	o.Registered = at
	w.optins[code] = o
	return w.fail
}

func (w *world) ShortLink(_ context.Context, code string) (gateway.ShortLink, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return gateway.ShortLink{}, false, w.fail
	}
	l, ok := w.links[code]
	return l, ok, nil
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// do sends a request; change may make it unusual.
func (w *world) do(method, target, kind, body string, change ...func(*http.Request)) answer {
	w.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, in)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	for _, c := range change {
		c(r)
	}
	rec := httptest.NewRecorder()
	w.server.Handler().ServeHTTP(rec, r)
	a := answer{rec.Code, rec.Header(), rec.Body.String()}
	if strings.Contains(a.body, "⟦") {
		w.t.Errorf("%s %s: the page lacks a text:\n%s", method, target, a.body)
	}
	return a
}

func (w *world) get(target string, change ...func(*http.Request)) answer {
	w.t.Helper()
	return w.do(http.MethodGet, target, "", "", change...)
}

const urlencoded = "application/x-www-form-urlencoded"

func (w *world) post(target string, form url.Values, change ...func(*http.Request)) answer {
	w.t.Helper()
	return w.do(http.MethodPost, target, urlencoded, form.Encode(), change...)
}

func in(language string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Accept-Language", language) }
}

func from(addr string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = addr }
}
