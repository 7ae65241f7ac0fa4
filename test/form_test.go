package test

import (
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net/http"
	"net/http/cookiejar"
	netmail "net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/sms"
	"izinli/test/stage"
)

// visitor is somebody with a browser and a telephone.
type visitor struct {
	t      *testing.T
	s      *stage.Stage
	client *http.Client
	number string
}

func newVisitor(t *testing.T, s *stage.Stage, number string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, s: s, client: &http.Client{Jar: jar}, number: number}
}

func (p *visitor) fetch(method, at string, form url.Values) (int, string) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := p.client.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// texts is what the telephone shows: its messages put together, whatever way their parts came.
func (p *visitor) texts() string {
	p.t.Helper()
	whole := map[string]string{}
	for _, r := range p.s.Reached(p.number) {
		if r.Submit == nil {
			continue
		}
		udh, body := []byte(nil), r.Submit.ShortMessage
		if r.Submit.ESMClass&0x40 != 0 && len(body) > 0 && len(body) > int(body[0]) {
			udh, body = body[:body[0]+1], body[body[0]+1:]
		}
		text, err := sms.Decode(byte(r.Submit.DataCoding), udh, body, sms.AlphabetGSM7)
		if err != nil {
			p.t.Fatal(err)
		}
		whole[string(udh)] += text // the header ends with the number of the part
	}
	out := ""
	for _, k := range slices.Sorted(maps.Keys(whole)) {
		out += whole[k]
	}
	return out
}

// link waits for a message and returns the link in it that has the path.
func (p *visitor) link(path string) (link string) {
	p.t.Helper()
	pattern := regexp.MustCompile(regexp.QuoteMeta(p.s.Server.PublicURL()+path) + `[0-9a-z]+`)
	stage.Until(p.t, "a message with a link to "+path, func() error {
		if link = pattern.FindString(p.texts()); link == "" {
			return fmt.Errorf("the telephone shows %q", p.texts())
		}
		return nil
	})
	return link
}

var csrfOf = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// TestConsentForm: a person who refused long ago fills in a brand's form, confirms over the link in the message, and is a consenting
// customer again, here and at İYS; the notice that comes brings the way out, which works.
func TestConsentForm(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	s.Run()
	p := newVisitor(t, s, "+905331000077")
	s.API.Must(200, "POST", "/v1/optouts", stage.Body{"brand": s.Seeds.Brand, "channel": "sms", "address": p.number}, nil)
	f, err := s.Server.Admin.CreateForm(t.Context(), gateway.Form{Account: s.Seeds.Account, Brand: s.Seeds.Brand, Channel: "sms", From: s.Seeds.Sender,
		TradeName: "Örnek Giyim A.Ş.", Version: "2026-11", TextTR: "Örnek Giyim A.Ş. tarafından kısa mesaj gönderilmesini onaylıyorum."})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(f.URL, "http://127.0.0.1:") {
		t.Fatalf("the form is at %q", f.URL)
	}
	status, body := p.fetch("GET", f.URL, nil)
	token := csrfOf.FindStringSubmatch(body)
	if status != 200 || token == nil {
		t.Fatalf("the form: %d\n%s", status, body)
	}
	before := s.Credits()
	// İYS counts in whole seconds: an approval it registers in the second in which it was asked about the refusal is no later one.
	stage.Until(t, "a second to pass after İYS was asked about the refusal", func() error {
		v := lookup(s, p.number)
		if n := len(v.History); n < 2 || time.Since(v.History[n-1].At) < time.Second {
			return fmt.Errorf("%+v", v)
		}
		return nil
	})
	status, body = p.fetch("POST", f.URL, url.Values{"csrf": {token[1]}, "name": {"Ayşe Yılmaz"}, "address": {"0533 100 00 77"}, "agree": {"yes"}})
	if status != 202 {
		t.Fatalf("sent: %d\n%s", status, body)
	}
	confirm := p.link("/c/")
	if s.Credits() >= before {
		t.Errorf("the account has %d credits of %d: the message was not charged", s.Credits(), before)
	}
	if status, body = p.fetch("GET", confirm, nil); status != 200 || !strings.Contains(body, "Onaylıyorum") {
		t.Fatalf("the link: %d\n%s", status, body)
	}
	if v := lookup(s, p.number); !v.Blocked {
		t.Fatal("looking at the link lifted the block")
	}
	if res := s.API.Send(stage.Body{"from": s.Seeds.Sender, "text": "Kampanya", "to": []string{p.number}}); res.Dropped != 1 {
		t.Fatalf("before the confirmation: %+v, want the campaign dropped", res)
	}
	if status, body = p.fetch("POST", confirm, url.Values{"confirm": {"1"}}); status != 200 || !strings.Contains(body, "Onayınız kaydedildi") {
		t.Fatalf("the button: %d\n%s", status, body)
	}
	v := lookup(s, p.number)
	proved := false
	for _, h := range v.History {
		proved = proved || h.How == "form" && strings.Contains(h.Evidence, "form "+f.ID) && strings.Contains(h.Evidence, "Ayşe Yılmaz")
	}
	if v.Blocked || !proved {
		t.Errorf("after the confirmation: %+v, want no block and the proof in the history", v)
	}
	stage.Until(t, "the ONAY at İYS", func() error {
		if m, ok := s.IYS.Stored(s.Seeds.Brand, "MESAJ", "BIREYSEL", p.number); !ok || m.Status != "ONAY" || m.Source != "HS_WEB" {
			return fmt.Errorf("İYS holds %+v", m)
		}
		return nil
	})
	stage.Until(t, "the campaign to be permitted", func() error {
		if res := s.API.Send(stage.Body{"from": s.Seeds.Sender, "text": "Kampanya", "to": []string{p.number}, "dryRun": true}); res.Accepted != 1 {
			return fmt.Errorf("%+v", res)
		}
		return nil
	})
	out := p.link("/k/")
	if status, _ = p.fetch("POST", out, url.Values{"confirm": {"1"}}); status != 200 {
		t.Fatalf("the way out: %d", status)
	}
	if v := lookup(s, p.number); !v.Blocked || v.Block.Route != "page" {
		t.Errorf("after the way out: %+v", v)
	}
	if _, err := s.Server.Admin.RevokeForm(t.Context(), desk.Name{Name: f.ID}); err != nil {
		t.Fatal(err)
	}
	if status, _ = p.fetch("GET", f.URL, nil); status != 410 {
		t.Errorf("a revoked form: %d, want 410", status)
	}
}

// lookup reads what is known of a number over the administration, which nobody throttles.
func lookup(s *stage.Stage, number string) gateway.ConsentView {
	s.TB().Helper()
	v, err := s.Server.Admin.LookupConsent(s.TB().Context(), desk.ConsentQuery{Account: s.Seeds.Account, Brand: s.Seeds.Brand, Channel: "sms", Address: number})
	if err != nil {
		s.TB().Fatal(err)
	}
	return v
}

// TestConsentFormByMail: the same by e-mail, up to the button in the mail program.
func TestConsentFormByMail(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	s.Run()
	const addr = "ayse@ornek.example"
	p := newVisitor(t, s, "")
	f, err := s.Server.Admin.CreateForm(t.Context(), gateway.Form{Account: s.Seeds.Account, Brand: s.Seeds.Brand, Channel: "email",
		From: "bilgi@" + s.Seeds.Mail.Domain, TradeName: "Örnek Giyim A.Ş.", Version: "2026-11",
		TextTR: "Örnek Giyim A.Ş. tarafından e-posta gönderilmesini onaylıyorum."})
	if err != nil {
		t.Fatal(err)
	}
	_, body := p.fetch("GET", f.URL, nil)
	token := csrfOf.FindStringSubmatch(body)
	if token == nil {
		t.Fatal(body)
	}
	status, body := p.fetch("POST", f.URL+"?lang=en", url.Values{"csrf": {token[1]}, "name": {"Ayşe Yılmaz"}, "address": {"Ayse@Ornek.Example"}, "agree": {"yes"}})
	if status != 202 {
		t.Fatalf("sent: %d\n%s", status, body)
	}
	confirm, ask := mailLink(t, s, addr, 1, "/c/")
	if subject, err := new(mime.WordDecoder).DecodeHeader(ask.Get("Subject")); err != nil || subject != "Örnek Giyim A.Ş.: complete your consent to e-mails" {
		t.Errorf("subject %q, %v", subject, err)
	}
	if ask.Get("List-Unsubscribe") != "" || !strings.Contains(ask.Get("From"), "bilgi@"+s.Seeds.Mail.Domain) {
		t.Errorf("the header of a confirmation: %v", ask)
	}
	if status, body = p.fetch("POST", confirm, url.Values{"confirm": {"1"}}); status != 200 || !strings.Contains(body, "has been recorded") {
		t.Fatalf("the button: %d\n%s", status, body)
	}
	atIYS := func(want, source string) {
		stage.Until(t, want+" at İYS", func() error {
			if m, ok := s.IYS.Stored(s.Seeds.Brand, "EPOSTA", "BIREYSEL", addr); !ok || m.Status != want || m.Source != source {
				return fmt.Errorf("İYS holds %+v", m)
			}
			return nil
		})
	}
	atIYS("ONAY", "HS_WEB")
	out, _ := mailLink(t, s, addr, 2, "/o/")
	if status, body = p.fetch("POST", out, url.Values{"List-Unsubscribe": {"One-Click"}}); status != 200 || body != "" {
		t.Fatalf("one-click: %d %q", status, body)
	}
	atIYS("RET", "HS_EPOSTA")
}

// mailLink waits for the n-th mail to the address and returns the link in its text that has the path, and its header.
func mailLink(t *testing.T, s *stage.Stage, addr string, n int, path string) (string, netmail.Header) {
	t.Helper()
	_, m := s.AwaitMail(addr, n)
	r := m.Body
	switch strings.ToLower(m.Header.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		r = quotedprintable.NewReader(r)
	case "base64":
		r = base64.NewDecoder(base64.StdEncoding, r)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	link := regexp.MustCompile(regexp.QuoteMeta(s.Server.PublicURL()+path) + `[0-9A-Za-z_-]+`).FindString(string(b))
	if link == "" {
		t.Fatalf("no link to %s in mail %d:\n%s", path, n, b)
	}
	return link, m.Header
}
