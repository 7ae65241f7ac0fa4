package public

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
)

const smsForm, mailForm = gateway.FormPath + "smsform", gateway.FormPath + "mailform"

// visitor is a browser that opened a form: its cookie and the form's token.
type visitor struct {
	w      *world
	cookie string
	csrf   string
	addr   string
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

func (w *world) visit(form string) *visitor {
	w.t.Helper()
	v := &visitor{w: w, addr: "192.0.2.77:4000"}
	a := w.get(form, from(v.addr))
	m := csrfField.FindStringSubmatch(a.body)
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	if a.status != 200 || m == nil || cookie == "" {
		w.t.Fatalf("%s: %d with cookie %q\n%s", form, a.status, a.header.Get("Set-Cookie"), a.body)
	}
	v.cookie, v.csrf = cookie, m[1]
	return v
}

func (v *visitor) send(form string, fields url.Values, change ...func(*http.Request)) answer {
	v.w.t.Helper()
	if !fields.Has("csrf") {
		fields.Set("csrf", v.csrf)
	}
	change = append([]func(*http.Request){func(r *http.Request) {
		r.RemoteAddr = v.addr
		r.Header.Set("User-Agent", "Tarayıcı/1.0\u202e")
		if v.cookie != "" {
			r.Header.Set("Cookie", v.cookie)
		}
	}}, change...)
	return v.w.post(form, fields, change...)
}

func good(addr string) url.Values {
	return url.Values{"name": {"  Ayşe\tYılmaz "}, "address": {addr}, "agree": {"yes"}}
}

func (w *world) onlyOptIn() gateway.OptIn {
	w.t.Helper()
	if len(w.optins) != 1 {
		w.t.Fatalf("%d opt-ins, want 1", len(w.optins))
	}
	for _, o := range w.optins {
		return o
	}
	panic("unreachable")
}

func TestFormPage(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		target string
		want   []string
	}{
		{smsForm, []string{"Kısa mesaj onayı", "Örnek Giyim A.Ş. tarafından ticari ileti", "İkinci satır &lt;b&gt;", `type="tel"`, "https://ornek.example/kvkk", `lang="tr"`}},
		{smsForm + "?lang=en", []string{"Consent to text messages", "I agree that Örnek Giyim", `lang="en"`}},
		{mailForm, []string{"E-posta onayı", `type="email"`}},
		{mailForm + "?lang=en", []string{"Consent to e-mails", "tarafından ticari ileti"}}, // its text has no English
	} {
		a := w.get(c.target)
		for _, text := range append(c.want, `for="name"`, `for="address"`, `for="agree"`, `type="checkbox"`, "Örnek Giyim A.Ş.") {
			if !strings.Contains(a.body, text) {
				t.Errorf("%s lacks %q:\n%s", c.target, text, a.body)
			}
		}
		if strings.Contains(a.body, " checked") {
			t.Errorf("%s: the box is ticked beforehand", c.target)
		}
		if set := a.header.Get("Set-Cookie"); !strings.Contains(set, "HttpOnly") || !strings.Contains(set, "SameSite=Strict") || !strings.Contains(set, "Secure") ||
			!strings.Contains(set, "Path=/f/") {
			t.Errorf("cookie %q", set)
		}
	}
	if len(w.optins)+len(w.sent) != 0 {
		t.Error("looking at a form did something")
	}
	if a := w.get(gateway.FormPath + "nosuch"); a.status != 404 {
		t.Errorf("a form there is not: %d", a.status)
	}
	revoked := *w.dir.Forms["smsform"]
	revoked.Revoked = w.now
	w.dir.Forms["smsform"] = &revoked
	w.dir.Accounts[1].Suspended = true
	for _, target := range []string{smsForm, mailForm} {
		if a := w.get(target); a.status != 410 {
			t.Errorf("%s, closed: %d, want 410", target, a.status)
		}
		if a := w.post(target, good("x")); a.status != 410 {
			t.Errorf("POST %s, closed: %d, want 410", target, a.status)
		}
	}
}

// The whole of a double opt-in: form, link, page, button; looking changes nothing, and the consent carries its evidence.
func TestDoubleOptIn(t *testing.T) {
	for _, c := range []struct{ form, typed, stored, channel, iys, subject string }{
		{smsForm, "0532 123 45 67", "+905321234567", gateway.ChannelSMS, "MESAJ", ""},
		{mailForm, "Ayse@Ornek.Example", "ayse@ornek.example", gateway.ChannelEmail, "EPOSTA", "Örnek Giyim A.Ş.: e-posta onayınızı tamamlayın"},
	} {
		t.Run(c.channel, func(t *testing.T) {
			w := newWorld(t)
			a := w.visit(c.form).send(c.form, good(c.typed))
			if a.status != http.StatusAccepted || !strings.Contains(a.body, "Son bir adım kaldı") || len(w.given) != 0 {
				t.Fatalf("sent: %d with %d consents\n%s", a.status, len(w.given), a.body)
			}
			o := w.onlyOptIn()
			if o.Address != c.stored || o.Name != "Ayşe Yılmaz" || o.Asked.IP != "192.0.2.77" || o.Asked.UserAgent != "Tarayıcı/1.0" || !o.Asked.At.Equal(w.now) {
				t.Errorf("kept %+v", o)
			}
			if len(w.sent) != 1 {
				t.Fatalf("%d messages, want the link", len(w.sent))
			}
			m := w.sent[0]
			text := m.To[0].Vars[0].Value
			link := w.base + confirmPath + o.Code
			if m.Class != gateway.ClassTransactional || m.Channel != c.channel || m.Door != gateway.DoorPublic || m.To[0].Address != c.stored ||
				m.Subject != c.subject || !strings.Contains(text, link) || m.From == "" {
				t.Errorf("message %+v", m)
			}
			for _, method := range []string{"GET", "HEAD", "GET"} { // the phone's preview looks first
				if a := w.do(method, confirmPath+o.Code, "", ""); a.status != 200 || method == "GET" && !strings.Contains(a.body, "Onaylıyorum") {
					t.Errorf("%s of the link: %d", method, a.status)
				}
			}
			if len(w.given) != 0 || !w.onlyOptIn().Confirmed.At.IsZero() {
				t.Fatal("looking at the link consented")
			}
			w.now = w.now.Add(time.Hour)
			a = w.post(confirmPath+o.Code, url.Values{"confirm": {"1"}}, from("198.51.100.4:80"))
			if a.status != 200 || !strings.Contains(a.body, "Onayınız kaydedildi") {
				t.Fatalf("confirmed: %d\n%s", a.status, a.body)
			}
			if len(w.given) != 1 {
				t.Fatalf("%d consents, want 1", len(w.given))
			}
			got := w.given[0]
			if got.Brand != "675403" || got.Channel != c.iys || got.Address != c.stored || got.Status != "ONAY" || got.Source != "HS_WEB" ||
				!got.ConsentDate.Equal(w.now) || got.RecipientType != gateway.RecipientIndividual || !got.OverrideBlock {
				t.Errorf("consent %+v", got)
			}
			for _, proof := range []string{"form " + strings.TrimPrefix(c.form, "/f/"), "text 2026-11 in tr", "SHA-256", `"Ayşe Yılmaz"`, "192.0.2.77", "198.51.100.4",
				"2026-11-20T12:30:00+03:00", "2026-11-20T13:30:00+03:00", "Tarayıcı/1.0"} {
				if !strings.Contains(got.Evidence, proof) {
					t.Errorf("the evidence %q lacks %q", got.Evidence, proof)
				}
			}
			if len(w.sent) != 2 || !strings.Contains(w.sent[1].To[0].Vars[0].Value, "https://u.example.com/") {
				t.Errorf("%d messages, want a notice with the way to refuse", len(w.sent))
			}
			again := w.post(confirmPath+o.Code, nil)
			if again.status != 200 || !strings.Contains(again.body, "Onayınız kaydedildi") || len(w.given) != 1 || len(w.sent) != 2 {
				t.Errorf("again: %d, %d consents, %d messages; want the same page and nothing more", again.status, len(w.given), len(w.sent))
			}
		})
	}
}

// What is declared is what the page said: a confirmation read in English is evidence of the English wording.
func TestConfirmationInAnotherLanguage(t *testing.T) {
	w := newWorld(t)
	w.visit(smsForm).send(smsForm, good("05321234567"))
	o := w.onlyOptIn()
	if a := w.post(confirmPath+o.Code+"?lang=en", url.Values{"confirm": {"1"}}); a.status != 200 || len(w.given) != 1 {
		t.Fatalf("%d, %d consents", a.status, len(w.given))
	}
	f := w.dir.Forms["smsform"]
	for _, part := range []string{" in tr (SHA-256 " + textHash(f.TextTR), "its wording in en (SHA-256 " + textHash(f.TextEN)} {
		if !strings.Contains(w.given[0].Evidence, part) {
			t.Errorf("the evidence %q lacks %q", w.given[0].Evidence, part)
		}
	}
}

func TestFormFaults(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		form   string
		fields url.Values
		want   string
	}{
		"nothing":          {smsForm, url.Values{}, "Adınızı ve soyadınızı yazın"},
		"one name":         {smsForm, url.Values{"name": {"Ayşe"}, "address": {"05321234567"}, "agree": {"yes"}}, "birlikte yazın"},
		"digits for names": {smsForm, url.Values{"name": {"12 34"}, "address": {"05321234567"}, "agree": {"yes"}}, "birlikte yazın"},
		"a long name":      {smsForm, url.Values{"name": {strings.Repeat("a b", 100)}, "address": {"05321234567"}, "agree": {"yes"}}, "en çok 100"},
		"not UTF-8":        {smsForm, url.Values{"name": {"\xff\xfe x"}, "address": {"05321234567"}, "agree": {"yes"}}, "Adınızı"},
		"no number":        {smsForm, url.Values{"name": {"Ayşe Yılmaz"}, "agree": {"yes"}}, "cep telefonu numarası yazın"},
		"a land line":      {smsForm, good("0212 123 45 67"), "cep telefonu numarası yazın"},
		"a foreign number": {smsForm, good("+491701234567"), "cep telefonu numarası yazın"},
		"no address":       {mailForm, good("ayse"), "e-posta adresi yazın"},
		"a very long one":  {mailForm, good(strings.Repeat("a", 400) + "@ornek.example"), "e-posta adresi yazın"},
		"not ticked":       {smsForm, url.Values{"name": {"Ayşe Yılmaz"}, "address": {"05321234567"}}, "kutuyu işaretleyin"},
		"ticked oddly":     {smsForm, url.Values{"name": {"Ayşe Yılmaz"}, "address": {"05321234567"}, "agree": {"on"}}, "kutuyu işaretleyin"},
		"a script":         {smsForm, url.Values{"name": {`"><script>x</script>`}, "address": {`"><script>`}}, "&lt;script&gt;"},
	} {
		a := w.visit(c.form).send(c.form, c.fields)
		if a.status != 422 || !strings.Contains(a.body, c.want) || !strings.Contains(a.body, `role="alert"`) || !strings.Contains(a.body, "aria-invalid") ||
			strings.Contains(a.body, "<script") {
			t.Errorf("%s: %d, want 422 with %q:\n%s", name, a.status, c.want, a.body)
		}
	}
	a := w.visit(smsForm).send(smsForm, url.Values{"name": {"Ayşe"}, "address": {"0532 123 45 67"}, "agree": {"yes"}})
	for _, kept := range []string{`value="Ayşe"`, `value="0532 123 45 67"`, " checked"} {
		if !strings.Contains(a.body, kept) {
			t.Errorf("what was typed is gone: no %s", kept)
		}
	}
	if a := w.visit(smsForm).send(smsForm, url.Values{"name": {strings.Repeat("x", 30_000)}}); a.status != 400 {
		t.Errorf("far too much: %d, want 400", a.status)
	}
	if len(w.optins)+len(w.sent) != 0 {
		t.Errorf("%d opt-ins and %d messages of bad forms", len(w.optins), len(w.sent))
	}
}

// A form is taken only from a visitor who opened it here.
func TestFormForgery(t *testing.T) {
	w := newWorld(t)
	other := w.visit(smsForm)
	for name, change := range map[string]func(v *visitor, f url.Values) func(*http.Request){
		"no token":        func(_ *visitor, f url.Values) func(*http.Request) { f.Set("csrf", ""); return nil },
		"nonsense":        func(_ *visitor, f url.Values) func(*http.Request) { f.Set("csrf", "x!"); return nil },
		"no cookie":       func(v *visitor, _ url.Values) func(*http.Request) { v.cookie = ""; return nil },
		"another's token": func(_ *visitor, f url.Values) func(*http.Request) { f.Set("csrf", other.csrf); return nil },
		"of another form": func(v *visitor, f url.Values) func(*http.Request) {
			f.Set("csrf", v.w.server.csrf("mailform", strings.TrimPrefix(v.cookie, "izf="), v.w.now))
			return nil
		},
		"of tomorrow": func(v *visitor, f url.Values) func(*http.Request) {
			f.Set("csrf", v.w.server.csrf("smsform", strings.TrimPrefix(v.cookie, "izf="), v.w.now.Add(time.Hour)))
			return nil
		},
		"too old": func(v *visitor, f url.Values) func(*http.Request) {
			f.Set("csrf", v.w.server.csrf("smsform", strings.TrimPrefix(v.cookie, "izf="), v.w.now.Add(-csrfLife)))
			return nil
		},
		"from another site": func(*visitor, url.Values) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
		},
		"another origin": func(*visitor, url.Values) func(*http.Request) {
			return func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }
		},
	} {
		v, f := w.visit(smsForm), good("05321234567")
		by := change(v, f)
		if by == nil {
			by = func(*http.Request) {}
		}
		a := v.send(smsForm, f, by)
		if a.status != 403 || !strings.Contains(a.body, `value="Ayşe Yılmaz"`) || strings.Contains(a.body, " checked") {
			t.Errorf("%s: %d, want 403 with the form again, the box empty", name, a.status)
		}
	}
	if len(w.optins) != 0 {
		t.Error("a forged form was taken")
	}
	if a := w.visit(smsForm).send(smsForm, good("05321234567"), func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }); a.status != 202 {
		t.Errorf("the genuine one: %d", a.status)
	}
}

// Nobody can have strangers written to at will.
func TestFormIsLimited(t *testing.T) {
	w := newWorld(t)
	passed := func(addrOf func(i int) string, fromOf func(i int) string) (n int) {
		for i := range 60 {
			v := w.visit(smsForm)
			v.addr = fromOf(i)
			switch a := v.send(smsForm, good(addrOf(i))); a.status {
			case 202:
				n++
			case 429:
			default:
				t.Fatalf("%d\n%s", a.status, a.body)
			}
		}
		return n
	}
	one := func(int) string { return "05321234567" }
	many := func(i int) string { return fmt.Sprintf("0532123%04d", i) }
	if n := passed(one, func(i int) string { return fmt.Sprintf("192.0.2.%d:1", i) }); n != 2 {
		t.Errorf("%d links went to one address, want 2", n)
	}
	if n := passed(many, func(int) string { return "198.51.100.9:1" }); n != 20 {
		t.Errorf("%d links were asked for from one host, want 20", n)
	}
}

func TestFormThatCannotSend(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		refuse func(*gateway.Submission) (gateway.Result, error)
		status int
	}{
		"refused": {func(*gateway.Submission) (gateway.Result, error) {
			return gateway.Result{}, gateway.Refuse(gateway.CodeInvalid, "channel", "no e-mail here")
		}, 503},
		"dropped": {func(*gateway.Submission) (gateway.Result, error) {
			return gateway.Result{Dropped: 1, Messages: []gateway.Verdict{{Code: gateway.CodeBlacklisted}}}, nil
		}, 422},
		"a defect": {func(*gateway.Submission) (gateway.Result, error) { return gateway.Result{}, errors.New("disk") }, 503},
	} {
		w.refuse = c.refuse
		a := w.visit(mailForm).send(mailForm, good(strings.ReplaceAll(name, " ", "")+"@ornek.example"))
		if a.status != c.status || strings.Contains(a.body, "disk") || strings.Contains(a.body, "no e-mail") {
			t.Errorf("%s: %d, want %d\n%s", name, a.status, c.status, a.body)
		}
	}
	w.refuse, w.base = nil, ""
	if a := w.visit(mailForm).send(mailForm, good("x@ornek.example")); a.status != 503 || len(w.sent) != 0 {
		t.Errorf("without a public address: %d, %d messages", a.status, len(w.sent))
	}
}

func TestConfirmationLinks(t *testing.T) {
	w := newWorld(t)
	w.visit(smsForm).send(smsForm, good("05321234567"))
	o := w.onlyOptIn()
	if o.Lang != "tr" {
		t.Errorf("language %q", o.Lang)
	}
	for _, bad := range []string{"", "x", "0000000000000000", o.Code[:15], o.Code + "x"} {
		for _, method := range []string{"GET", "POST"} {
			if a := w.do(method, confirmPath+bad, urlencoded, ""); a.status != 404 && a.status != 405 {
				t.Errorf("%s %q: %d, want 404", method, bad, a.status)
			}
		}
	}
	if a := w.get(confirmPath + strings.ToUpper(o.Code) + "?lang=en"); a.status != 200 || !strings.Contains(a.body, "I consent") {
		t.Errorf("typed in capitals, in English: %d", a.status)
	}
	if a := w.get(confirmPath+o.Code, in("en")); !strings.Contains(a.body, "Onaylıyorum") {
		t.Error("the page is not in the language of the form")
	}
	w.fail = errors.New("disk")
	if a := w.post(confirmPath+o.Code, nil); a.status != 503 || strings.Contains(a.body, "kaydedildi") {
		t.Errorf("when the store fails: %d", a.status)
	}
	w.fail = nil
	w.added = []gateway.ConsentResult{{Code: gateway.CodeInvalid, IYS: "H467", Text: "too old"}}
	if a := w.post(confirmPath+o.Code, nil); a.status != 503 || strings.Contains(a.body, "Onayınız kaydedildi") {
		t.Errorf("when the desk refuses: %d", a.status)
	}
	w.added = nil
	if got := w.onlyOptIn().Evidence; strings.Contains(got, "its wording in") {
		t.Errorf("the evidence %q tells another language than that of the form", got)
	}
	first := w.onlyOptIn().Confirmed.At
	w.now = w.now.Add(72 * time.Hour) // confirmed in time, registered late: the confirmation stands
	if a := w.post(confirmPath+o.Code, nil); a.status != 200 || len(w.given) != 1 || !w.given[0].ConsentDate.Equal(first) {
		t.Errorf("a repeat: %d with %+v, want the consent of the first press", a.status, w.given)
	}

	w.visit(mailForm).send(mailForm, good("a@ornek.example"))
	for _, x := range w.optins {
		if x.Channel == gateway.ChannelEmail {
			o = x
		}
	}
	w.now = w.now.Add(gateway.OptInLife + time.Minute)
	if a := w.post(confirmPath+o.Code, nil); a.status != 404 || !strings.Contains(a.body, "süresi dolmuş") || len(w.given) != 1 {
		t.Errorf("an expired link: %d", a.status)
	}
	w.now = w.now.Add(-time.Hour)
	delete(w.dir.Brands, "675403")
	if a := w.post(confirmPath+o.Code, nil); a.status != 410 || len(w.given) != 1 {
		t.Errorf("a brand that left: %d", a.status)
	}
}
