package test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/unsubscribe"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// browse sends a request to the public pages, as a person's browser or mail program does.
func browse(t *testing.T, s *stage.Stage, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// link is the opt-out link of a number for the campaign's brand.
func (c *campaign) link(number string) string {
	return c.Server.Tokens.URL(c.Server.PublicURL(), unsubscribe.Subject{Account: c.Seeds.Account, Brand: c.Seeds.Brand,
		Channel: gateway.ChannelSMS, Address: number})
}

// TestOptOutByPage: people press the button behind the link of a message in the middle of a campaign. Looking at the page stops
// nothing; once the POST is answered, nothing more leaves for them, and İYS gets their RET.
func TestOptOutByPage(t *testing.T) {
	t.Parallel()
	c := startCampaign(t, partnerBrand)
	for _, n := range c.leave {
		if status, body := browse(t, c.Stage, "GET", c.link(n), ""); status != 200 || !strings.Contains(body, "<button") {
			t.Fatalf("the page: %d\n%s", status, body)
		}
		if v := c.lookup(n, c.Seeds.Brand); v.Blocked {
			t.Fatalf("%s is blocked by a GET", n)
		}
	}
	for _, n := range c.leave {
		if status, body := browse(t, c.Stage, "POST", c.link(n), "confirm=1"); status != 200 || !strings.Contains(body, "durduruldu") {
			t.Fatalf("the button: %d\n%s", status, body)
		}
		if v := c.lookup(n, c.Seeds.Brand); !v.Blocked || v.Block == nil || v.Block.Route != "page" {
			t.Errorf("%s: %+v, want a block by page", n, v)
		}
	}
	c.silent(t, "when its POST was answered")
	c.finish(t)
	for _, n := range c.leave {
		stage.Until(t, "the RET of "+n+" at İYS", func() error {
			m, ok := c.IYS.Stored(c.Seeds.Brand, "MESAJ", "BIREYSEL", n)
			if !ok || m.Status != "RET" || m.Source != "HS_WEB" {
				return fmt.Errorf("İYS holds %+v", m)
			}
			return nil
		})
	}
	if status, _ := browse(t, c.Stage, "POST", c.link(c.stay[0])[:40]+"x", "confirm=1"); status != 404 {
		t.Errorf("a forged link: %d, want 404", status)
	}
}

// TestOneClick: a mail program posts what RFC 8058 says; the address is blocked for e-mail alone, and İYS hears HS_EPOSTA.
func TestOneClick(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	const who = "ayse@ornek.example"
	b := *s.Store.Directory().Brands[s.Seeds.Brand]
	b.Email = gateway.BrandMode{Mode: "partner"}
	if _, err := s.Server.Admin.PutBrand(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-2 * 24 * time.Hour)
	s.IYS.Put(iystest.Movement{IYSCode: s.Seeds.Brand, BrandCode: s.Seeds.Brand, Recipient: who, RecipientType: "BIREYSEL", Type: "EPOSTA",
		Status: "ONAY", Source: "HS_WEB", ConsentDate: at, CreationDate: at})
	s.Run()
	url := s.Server.Tokens.URL(s.Server.PublicURL(), unsubscribe.Subject{Account: s.Seeds.Account, Brand: s.Seeds.Brand,
		Channel: gateway.ChannelEmail, Address: who})
	if status, body := browse(t, s, "POST", url, "List-Unsubscribe=One-Click"); status != 200 || body != "" {
		t.Fatalf("one-click: %d %q, want 200 and nothing", status, body)
	}
	var v gateway.ConsentView
	s.API.Must(200, "GET", "/v1/consents/EPOSTA/"+who+"?brand="+s.Seeds.Brand, nil, &v)
	if !v.Blocked || v.Block == nil || v.Block.Route != "one_click" || v.Block.Source != "HS_EPOSTA" {
		t.Errorf("%+v, want a block by one_click", v)
	}
	stage.Until(t, "the RET at İYS", func() error {
		if m, ok := s.IYS.Stored(s.Seeds.Brand, "EPOSTA", "BIREYSEL", who); !ok || m.Status != "RET" || m.Source != "HS_EPOSTA" {
			return fmt.Errorf("İYS holds %+v", m)
		}
		return nil
	})
	v = gateway.ConsentView{}
	s.API.Must(200, "GET", "/v1/consents/MESAJ/+905321234567?brand="+s.Seeds.Brand, nil, &v)
	if v.Blocked {
		t.Error("text messages are blocked by an opt-out from mail")
	}
}

// TestOneClickOfEveryMailbox: mail goes to addresses that İYS has no place for (O'Brien's); who gets it can refuse it like everybody.
func TestOneClickOfEveryMailbox(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	b := *s.Store.Directory().Brands[s.Seeds.Brand]
	b.Email = gateway.BrandMode{Mode: "self_managed", Text: "İYS'yi biz yönetiyoruz", Version: "1", User: "ali@ornek.example", IP: "192.0.2.1"}
	if _, err := s.Server.Admin.PutBrand(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	s.Run()
	for _, who := range []string{"o'brien@ornek.example", "a&b@ornek.example", "ayse@ornek.xn--p1ai"} {
		link := s.Server.Tokens.URL(s.Server.PublicURL(), unsubscribe.Subject{Account: s.Seeds.Account, Brand: s.Seeds.Brand,
			Channel: gateway.ChannelEmail, Address: who})
		if status, body := browse(t, s, "POST", link, "List-Unsubscribe=One-Click"); status != 200 || body != "" {
			t.Errorf("%s: one-click: %d %q, want 200 and nothing", who, status, body)
		}
		var v gateway.ConsentView
		s.API.Must(200, "GET", "/v1/consents/EPOSTA/"+url.PathEscape(who)+"?brand="+s.Seeds.Brand, nil, &v)
		if !v.Blocked || v.Block == nil || v.Block.Route != "one_click" {
			t.Errorf("%s: %+v, want a block by one_click", who, v)
		}
	}
}

// TestShortLinkInText: a campaign's text asks for the opt-out link; each person gets his own, dryRun tells the same length without
// keeping one, and the button behind it blocks him alone.
func TestShortLinkInText(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	people := []*visitor{newVisitor(t, s, "+905331000061"), newVisitor(t, s, "+905331000062")}
	body := stage.Body{"from": s.Seeds.Sender, "text": "Kampanya. Ret: {{unsubscribe_url}}", "to": []string{people[0].number, people[1].number, "nonsense"}}
	for _, p := range people {
		s.Consent(s.Seeds.Brand, "BIREYSEL", p.number, "ONAY")
	}
	s.Run()
	dry := s.API.Send(body.With(stage.Body{"dryRun": true}))
	sent := s.API.Send(body)
	if dry.Accepted != 2 || sent.Accepted != 2 || sent.Refused != 1 || dry.Segments != sent.Segments {
		t.Fatalf("dry run %+v, campaign %+v", dry, sent)
	}
	links := []string{people[0].link("/k/"), people[1].link("/k/")}
	if links[0] == links[1] {
		t.Fatalf("both got %s", links[0])
	}
	if n := len(links[0]) - len(s.Server.PublicURL()); n != len("/k/")+11 {
		t.Errorf("the link %s has %d characters behind the host", links[0], n)
	}
	if status, _ := people[0].fetch("GET", links[0], nil); status != 200 || lookup(s, people[0].number).Blocked {
		t.Errorf("looking at the link: %d, or it blocked", status)
	}
	if status, body := people[0].fetch("POST", links[0], url.Values{"confirm": {"1"}}); status != 200 || !strings.Contains(body, "durduruldu") {
		t.Errorf("the button: %d\n%s", status, body)
	}
	if !lookup(s, people[0].number).Blocked || lookup(s, people[1].number).Blocked {
		t.Error("the button must block the one who pressed it, and nobody else")
	}
	if again := s.API.Send(body); again.Accepted != 1 || again.Dropped != 1 {
		t.Errorf("the next campaign: %+v", again)
	}
	stage.Until(t, "the second campaign", func() error {
		if got := strings.Count(people[1].texts(), links[1]); got != 2 {
			return fmt.Errorf("%d messages with the same link", got)
		}
		return nil
	})
}
