package public

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/unsubscribe"
)

const oneClickBody = "List-Unsubscribe=One-Click"

// Scanners, previews and browsers that guess may look as often as they like.
func TestGetNeverChangesAnything(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{w.mailURL(), w.smsURL()} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			a := w.do(method, target+"?List-Unsubscribe=One-Click&confirm=1", "", "")
			if a.status != 200 {
				t.Errorf("%s: %d, want 200", method, a.status)
			}
			if method == http.MethodHead && a.body != "" {
				t.Error("HEAD was answered with a body")
			}
		}
		for _, method := range []string{http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodOptions} {
			a := w.do(method, target, urlencoded, oneClickBody)
			if a.status != http.StatusMethodNotAllowed || len(a.header.Values("Allow")) == 0 {
				t.Errorf("%s: %d with Allow %q, want 405 with the methods there are", method, a.status, a.header.Values("Allow"))
			}
		}
	}
	if len(w.optouts) != 0 {
		t.Errorf("%d opt-outs without a POST", len(w.optouts))
	}
}

func multipartBody(t *testing.T, name, value string) (kind, body string) {
	t.Helper()
	var b bytes.Buffer
	m := multipart.NewWriter(&b)
	if err := errors.Join(m.WriteField(name, value), m.Close()); err != nil {
		t.Fatal(err)
	}
	return m.FormDataContentType(), b.String()
}

// RFC 8058: the POST blocks, without cookies or redirect; the route tells İYS where the person refused.
func TestPostBlocks(t *testing.T) {
	mpKind, mpBody := multipartBody(t, "List-Unsubscribe", "One-Click")
	for name, c := range map[string]struct {
		sms        bool
		kind, body string
		route      string
		empty      bool
	}{
		"one-click":                     {false, urlencoded, oneClickBody, "one_click", true},
		"one-click, multipart":          {false, mpKind, mpBody, "one_click", true},
		"one-click, lower case":         {false, urlencoded, "List-Unsubscribe=one-click", "one_click", true},
		"one-click with a charset":      {false, urlencoded + "; charset=UTF-8", oneClickBody, "one_click", true},
		"the button of the page":        {false, urlencoded, "confirm=1", "page", false},
		"the button, of a text message": {true, urlencoded, "confirm=1", "page", false},
		"one-click at a text's link":    {true, urlencoded, oneClickBody, "page", false},
		"nothing said":                  {false, "", "", "page", false},
		"something nobody can read":     {false, "multipart/form-data; boundary=x", "garbage", "page", false},
		"another kind of body":          {false, "application/json", `{"List-Unsubscribe":"One-Click"}`, "page", false},
		"far too much":                  {false, urlencoded, strings.Repeat("a", 100_000), "page", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			target, addr, channel := w.mailURL(), "ayse@ornek.example", gateway.ChannelEmail
			if c.sms {
				target, addr, channel = w.smsURL(), "+905321234567", gateway.ChannelSMS
			}
			a := w.do(http.MethodPost, target, c.kind, c.body)
			if a.status != 200 || (a.body == "") != c.empty {
				t.Errorf("%d with %d octets, want 200, empty: %v", a.status, len(a.body), c.empty)
			}
			if a.header.Get("Set-Cookie") != "" || a.header.Get("Location") != "" {
				t.Errorf("the answer has a cookie or a redirect: %v", a.header)
			}
			want := gateway.OptOut{Account: 1, Brand: "675403", Channel: channel, Address: addr, Route: c.route}
			if len(w.optouts) != 1 || w.optouts[0] != want {
				t.Errorf("opt-outs %+v, want %+v", w.optouts, want)
			}
		})
	}
}

func TestOptOutPageInBothLanguages(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		target string
		lang   string // Accept-Language
		code   string
		want   []string
	}{
		{w.mailURL(), "", "tr", []string{"Ticari e-postaları durdurun", "İletileri durdur", "a***@o***.example", "English", "?lang=en"}},
		{w.mailURL(), "en-GB,en;q=0.9", "en", []string{"Stop commercial e-mails", "Stop these messages", "Türkçe", "?lang=tr"}},
		{w.mailURL() + "?lang=en", "tr", "en", []string{"Stop commercial e-mails"}},
		{w.mailURL() + "?lang=xx", "tr", "tr", []string{"Ticari e-postaları durdurun"}},
		{w.smsURL(), "tr", "tr", []string{"Ticari kısa mesajları durdurun", "90532*****67"}},
		{w.smsURL(), "en", "en", []string{"Stop commercial text messages"}},
		{w.smsURL(), "de-DE,de", "en", []string{"Stop commercial text messages"}},
	} {
		a := w.get(c.target, in(c.lang))
		if a.status != 200 || a.header.Get("Content-Language") != c.code {
			t.Errorf("%s in %q: %d in %q, want 200 in %s", c.target, c.lang, a.status, a.header.Get("Content-Language"), c.code)
		}
		for _, text := range append(c.want, `<html lang="`+c.code+`">`, `method="post"`, "Örnek &lt;Giyim&gt;", "<h1>", "<main", "<title>") {
			if !strings.Contains(a.body, text) {
				t.Errorf("%s in %q lacks %q:\n%s", c.target, c.lang, text, a.body)
			}
		}
		for _, text := range []string{"<script", "ayse@ornek", "+905321234567", "style=", "onclick"} {
			if strings.Contains(a.body, text) {
				t.Errorf("%s shows %q", c.target, text)
			}
		}
	}
}

// The page says what holds: before, after, and to somebody who comes again. Nothing on it undoes a refusal.
func TestOptOutSaysWhatHolds(t *testing.T) {
	w := newWorld(t)
	before := w.get(w.mailURL())
	if !strings.Contains(before.body, "<button") || strings.Contains(before.body, "durduruldu") {
		t.Errorf("before: %s", before.body)
	}
	done := w.post(w.mailURL(), url.Values{"confirm": {"1"}})
	if !strings.Contains(done.body, "İletiler durduruldu") || !strings.Contains(done.body, `role="status"`) || strings.Contains(done.body, "<button") {
		t.Errorf("after: %s", done.body)
	}
	again := w.get(w.mailURL())
	if !strings.Contains(again.body, "zaten durdurulmuş") || !strings.Contains(again.body, "20.11.2026 12:30") || strings.Contains(again.body, "<form") {
		t.Errorf("again: %s", again.body)
	}
	if w.post(w.mailURL(), nil).status != 200 || len(w.optouts) != 2 {
		t.Errorf("a repeat: %d opt-outs, want the second to be taken like the first", len(w.optouts))
	}
}

func TestBadLinks(t *testing.T) {
	w := newWorld(t)
	token := w.mailURL()
	other, err := unsubscribe.NewTokens(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"cut":            token[:len(token)-3],
		"of another key": unsubscribe.Path + other.Make(w.mail()),
		"nonsense":       unsubscribe.Path + "x",
		"escaped":        unsubscribe.Path + "%00%2e",
		"unknown code":   unsubscribe.ShortPath + "0123456789a",
		"short code":     unsubscribe.ShortPath + "0123",
		"strange code":   unsubscribe.ShortPath + "0123456789!",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := w.do(method, target, urlencoded, oneClickBody)
			if a.status != 404 || !strings.Contains(a.body, "Bu bağlantı geçerli değil") {
				t.Errorf("%s %s: %d, want 404 with a page that says so", method, name, a.status)
			}
		}
	}
	if len(w.optouts) != 0 {
		t.Errorf("%d opt-outs by bad links", len(w.optouts))
	}
	if a := w.get(unsubscribe.Path); a.status != 404 {
		t.Errorf("no token at all: %d, want 404", a.status)
	}
	if a := w.do(http.MethodPost, "/", urlencoded, ""); a.status != 405 {
		t.Errorf("POST to the home page: %d, want 405", a.status)
	}
}

// A code that was typed from a phone's screen works in capitals, and with the letters Crockford takes for digits.
func TestCodesAreForgiving(t *testing.T) {
	w := newWorld(t)
	code := strings.TrimPrefix(w.smsURL(), unsubscribe.ShortPath)
	typed := strings.NewReplacer("0", "o", "1", "L").Replace(code)
	for _, c := range []string{strings.ToUpper(code), typed} {
		if a := w.get(unsubscribe.ShortPath + c); a.status != 200 {
			t.Errorf("%s for %s: %d", c, code, a.status)
		}
	}
}

func TestFailureIsNotSuccess(t *testing.T) {
	w := newWorld(t)
	mail, sms := w.mailURL(), w.smsURL()
	w.fail = errors.New("disk")
	for _, c := range []struct {
		target, body string
		html         bool
	}{{mail, oneClickBody, false}, {mail, "confirm=1", true}, {sms, "confirm=1", true}} {
		a := w.do(http.MethodPost, c.target, urlencoded, c.body)
		if a.status != 503 || a.header.Get("Retry-After") == "" || strings.Contains(a.body, "<html") != c.html || strings.Contains(a.body, "disk") {
			t.Errorf("%s %s: %d %q", c.target, c.body, a.status, a.body)
		}
	}
	w.fail = nil
	delete(w.dir.Brands, "675403")
	for _, c := range []struct{ method, body string }{{"GET", ""}, {"POST", "confirm=1"}, {"POST", oneClickBody}} {
		if a := w.do(c.method, mail, urlencoded, c.body); a.status != 410 {
			t.Errorf("%s %s for a brand that left: %d, want 410", c.method, c.body, a.status)
		}
	}
	if len(w.optouts) != 0 {
		t.Errorf("opt-outs %+v", w.optouts)
	}
}

// spend asks for what nobody has until the door says that it was enough.
func spend(w *world, ask func() int, want int) {
	w.t.Helper()
	n := 0
	for n < 1000 && ask() == want {
		n++
	}
	if n == 0 || n > 100 || ask() != 429 {
		w.t.Errorf("%d misses were answered with %d", n, want)
	}
}

// P5: a proxy or a mobile network is one address to us. What strangers there ask for keeps nobody from refusing, from confirming or
// from filling in a form, nor İYS from telling what it knows.
func TestMissesOfOthersStopNobody(t *testing.T) {
	w := newWorld(t)
	recv := &receiver{}
	w.server.deps.Pushes = recv
	nat := from("100.64.3.7:999")
	get := func(path string) func() int { return func() int { return w.get(path, nat).status } }
	spend(w, get(unsubscribe.ShortPath+"0123456789z"), 404)
	spend(w, get(gateway.FormPath+"nobodys"), 404)
	spend(w, get(confirmPath+"0123456789abcdef"), 404)
	spend(w, func() int { return w.do("POST", PushPath, "", "{}", as("izinli-675403-mesaj", "x"), nat).status }, 401)

	if a := w.get(w.smsURL(), nat); a.status != 200 {
		t.Errorf("the page of a good short link: %d, want 200", a.status)
	}
	if a := w.post(w.smsURL(), url.Values{"confirm": {"1"}}, nat); a.status != 200 || len(w.optouts) != 1 || w.optouts[0].Address != "+905321234567" {
		t.Errorf("the refusal over it: %d with %d opt-outs, want 200 with one", a.status, len(w.optouts))
	}
	if a := w.post(w.mailURL(), url.Values{"confirm": {"1"}}, nat); a.status != 200 || len(w.optouts) != 2 {
		t.Errorf("the refusal over a mail's link: %d", a.status)
	}
	if a := w.get(gateway.FormPath+"smsform", nat); a.status != 200 {
		t.Errorf("a form: %d", a.status)
	}
	o := gateway.OptIn{Code: "abcdefghijklmnop", Form: "smsform", Account: 1, Brand: "675403", Channel: gateway.ChannelSMS,
		Address: "+905321234567", Expires: w.now.Add(time.Hour)}
	w.optins[o.Code] = o
	if a := w.post(confirmPath+o.Code, url.Values{"confirm": {"1"}}, nat); a.status != 200 || len(w.given) != 1 {
		t.Errorf("a confirmation: %d with %d consents, want 200 with one", a.status, len(w.given))
	}
	if a := w.do("POST", PushPath, "", "{}", as("izinli-675403-mesaj", "geheim"), nat); a.status != 200 || len(recv.bodies) != 1 {
		t.Errorf("a push: %d, want 200", a.status)
	}
}

// Misses on one route are not held against another.
func TestMissesCountByRoute(t *testing.T) {
	w := newWorld(t)
	w.server.deps.Pushes = &receiver{}
	spend(w, func() int { return w.get(unsubscribe.ShortPath + "0123456789z").status }, 404)
	if a := w.get(gateway.FormPath + "nobodys"); a.status != 404 {
		t.Errorf("an unknown form: %d, want 404", a.status)
	}
	if a := w.get(confirmPath + "0123456789abcdef"); a.status != 404 {
		t.Errorf("an unknown confirmation: %d, want 404", a.status)
	}
	if a := w.do("POST", PushPath, "", "{}", as("x", "x")); a.status != 401 {
		t.Errorf("a push by nobody: %d, want 401", a.status)
	}
}

// Who asks for codes nobody has is answered only so often, and mail providers post for many from one host.
func TestGuessingIsLimited(t *testing.T) {
	w := newWorld(t)
	guess := func() int { return w.get(unsubscribe.ShortPath+"0123456789z", from("192.0.2.7:999")).status }
	spend(w, guess, 404)
	if a := w.get(unsubscribe.ShortPath+"0123456789z", from("192.0.2.8:999")); a.status != 404 {
		t.Errorf("another network: %d, want 404", a.status)
	}
	if a := w.do("POST", w.mailURL(), urlencoded, oneClickBody, from("192.0.2.7:999")); a.status != 200 {
		t.Errorf("a sealed token, which cannot be guessed: %d, want 200", a.status)
	}
	w.now = w.now.Add(5 * time.Minute)
	if got := guess(); got != 404 {
		t.Errorf("after a while: %d, want 404", got)
	}
	for i := range 2000 { // one host, many people
		s := w.mail()
		s.Address = fmt.Sprintf("kisi%d@ornek.example", i)
		if a := w.do("POST", unsubscribe.Path+w.tokens.Make(s), urlencoded, oneClickBody, from("203.0.113.5:1")); a.status != 200 {
			t.Fatalf("the %dth opt-out of one mail provider: %d", i, a.status)
		}
	}
}

// One link cannot be used to wear out the store.
func TestRepeatsAreLimited(t *testing.T) {
	w := newWorld(t)
	n := 0
	for n < 1000 && w.do("POST", w.mailURL(), urlencoded, oneClickBody, from(fmt.Sprintf("192.0.2.%d:1", n%200))).status == 200 {
		n++
	}
	if n != 20 || len(w.optouts) != n {
		t.Errorf("%d repeats passed, %d were carried out, want 20", n, len(w.optouts))
	}
	if a := w.do("POST", w.mailURL(), urlencoded, "confirm=1"); a.status != 429 || !strings.Contains(a.body, "<html") || a.header.Get("Retry-After") == "" {
		t.Errorf("the page: %d", a.status)
	}
}

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	for _, target := range []string{w.mailURL(), "/", "/nothing", unsubscribe.Path + "x"} {
		h := w.get(target).header
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
			"X-Robots-Tag": "noindex, nofollow", "Vary": "Accept-Language", "Strict-Transport-Security": "max-age=31536000"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", target, name, h.Get(name), want)
			}
		}
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", target, csp)
		}
	}
	w.base = "http://u.example.com"
	if w.get("/").header.Get("Strict-Transport-Security") != "" {
		t.Error("HSTS without https")
	}
	if a := w.get("/style.css"); a.status != 200 || !strings.HasPrefix(a.header.Get("Content-Type"), "text/css") || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
		t.Errorf("the style sheet: %d %v", a.status, a.header)
	}
	if a := w.get("/robots.txt"); !strings.Contains(a.body, "Disallow: /") {
		t.Errorf("robots.txt: %s", a.body)
	}
}

func TestClientBehindProxies(t *testing.T) {
	w := newWorld(t)
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		trusted   []netip.Prefix
		peer, xff string
		want      string
	}{
		{nil, "192.0.2.1:5", "1.2.3.4", "192.0.2.1"},
		{trusted, "192.0.2.1:5", "1.2.3.4", "192.0.2.1"},
		{trusted, "10.1.1.1:5", "1.2.3.4", "1.2.3.4"},
		{trusted, "10.1.1.1:5", "9.9.9.9, 1.2.3.4, 10.2.2.2", "1.2.3.4"},
		{trusted, "10.1.1.1:5", "", "10.1.1.1"},
		{trusted, "10.1.1.1:5", "forged, nonsense", "10.1.1.1"},
		{trusted, "[2001:db8::5]:1", "", "2001:db8::5"},
		{trusted, "nonsense", "", "invalid IP"},
	} {
		w.server.cfg.TrustedProxies = c.trusted
		r, err := http.NewRequest("GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.RemoteAddr = c.peer
		r.Header.Set("X-Forwarded-For", c.xff)
		if got := w.server.client(r).String(); got != c.want {
			t.Errorf("%s with %q: %s, want %s", c.peer, c.xff, got, c.want)
		}
	}
}
