package test

import (
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// A commercial mail without the sender's details gets the brand's footer, with the recipient's own link; one that has them passes
// as it is; by policy the first is refused instead. Other mail is left alone.
func TestSenderDetails(t *testing.T) {
	s := mailStage(t, nil, "bir@example.com", "iki@example.com")
	m := s.Seeds.Mail
	bare := "From: bulten@" + m.Domain + "\nSubject: x\nContent-Type: text/html; charset=iso-8859-9\n\n<html><body>kampanya</body></html>\n"
	send := func(to, raw string) int {
		t.Helper()
		out := s.SubmitMail(m.User, m.Password, "bulten@"+m.Domain, []string{to}, raw)
		if len(out.Refused) > 0 {
			t.Fatalf("refused %v", out.Refused)
		}
		if out.Err != nil {
			return out.Err.Code
		}
		return 250
	}
	if got := send("bir@example.com", bare); got != 250 {
		t.Fatalf("the bare mail was answered %d", got)
	}
	got, h := s.AwaitMail("bir@example.com", 1)
	click, _, _ := strings.Cut(strings.TrimPrefix(h.Header.Get("List-Unsubscribe"), "<"), ">")
	body := strings.ReplaceAll(strings.ReplaceAll(string(got.Body), "=\r\n", ""), "=3D", "=")
	for _, want := range []string{"MERS=C4=B0S: 0123456789012345", "0850 000 00 00", click} {
		if !strings.Contains(body, want) {
			t.Errorf("the mail lacks %q:\n%s", want, body)
		}
	}
	if got := send("iki@example.com", mailText); got != 250 {
		t.Fatalf("the whole mail was answered %d", got)
	}
	whole, h := s.AwaitMail("iki@example.com", 1)
	if cte := h.Header.Get("Content-Transfer-Encoding"); cte != "quoted-printable" { // it came with octets of eight bits
		t.Errorf("the whole mail left encoded as %q", cte)
	}
	_, encoded, _ := strings.Cut(string(whole.Body), "\r\n\r\n")
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(encoded)))
	if err != nil || string(text) != strings.ReplaceAll(mailText[strings.Index(mailText, "\n\n")+2:], "\n", "\r\n") {
		t.Errorf("the whole mail was changed: %q %v", text, err)
	}
	acct := *s.Store.Directory().Accounts[s.Seeds.Account]
	acct.Policy.Content = "refuse"
	if _, err := s.Server.Admin.PutAccount(t.Context(), acct); err != nil {
		t.Fatal(err)
	}
	if got := send("bir@example.com", bare); got != 554 {
		t.Errorf("by policy the bare mail was answered %d, want 554", got)
	}
	if got := s.API.Call("POST", "/v1/messages", newsletter(s, "bir@example.com")); got.Code() != gateway.CodeContent {
		t.Errorf("the API answered %d %s", got.Status, got.Body)
	}
	if got := send("iki@example.com", mailText); got != 250 {
		t.Errorf("the whole mail was answered %d", got)
	}
	out := s.SubmitMail(m.MixedUser, m.MixedPass, "bulten@"+m.Domain, []string{"hic@example.com"}, "X-Message-Class: transactional\n"+bare)
	if out.Err != nil {
		t.Errorf("a transactional mail was answered %v", out.Err)
	}
}

// A commercial mail over SMTP may name the recipient's link as one over HTTP does, and it is written where it stands.
func TestLinkOverSMTP(t *testing.T) {
	s := mailStage(t, nil, "bir@example.com")
	m := s.Seeds.Mail
	raw := strings.Replace(mailText, "https://ornek.example/cik", "{{unsubscribe_url}}", 1)
	if out := s.SubmitMail(m.User, m.Password, "bulten@"+m.Domain, []string{"bir@example.com"}, raw); out.Err != nil {
		t.Fatal(out.Err)
	}
	got, h := s.AwaitMail("bir@example.com", 1)
	click, _, _ := strings.Cut(strings.TrimPrefix(h.Header.Get("List-Unsubscribe"), "<"), ">")
	text, err := io.ReadAll(quotedprintable.NewReader(strings.NewReader(string(got.Body[strings.Index(string(got.Body), "\r\n\r\n"):]))))
	if err != nil || !strings.HasSuffix(string(text), "Listeden çıkmak için: "+click+"\r\n") || strings.Contains(string(text), "MERSİS:") {
		t.Errorf("the mail says %q, %v", text, err)
	}
}

// What came signed by its author leaves as it came, signed anew, or not at all.
func TestSignedMail(t *testing.T) {
	s := mailStage(t, nil, "imzali@example.com")
	m := s.Seeds.Mail
	const whole = "Örnek Giyim A.Ş. MERSİS 0123456789012345 0850 000 00 00 "
	ascii := "Subject: x\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
	encoded := func(text string) string { return ascii + base64.StdEncoding.EncodeToString([]byte(text)) + "\n" }
	full, bare, link := encoded(whole+"listeden çık https://ornek.example/cik"), encoded("kampanya"), encoded(whole+"{{unsubscribe_url}}")
	signed := func(domain, fields string) string {
		return "DKIM-Signature: v=1; a=rsa-sha256; d=" + domain + "; s=own; h=" + fields + "; bh=AAAA; b=THEIRS\n"
	}
	own, under, other := signed(m.Domain, "from:subject"), signed("alt."+m.Domain, "from:subject"), signed("esp.example", "from")
	listed, private := signed(m.Domain, "from:list-unsubscribe"), signed(m.Domain, "from:x-message-class")
	came := 0
	for _, c := range []struct {
		why, raw string
		keyless  bool
		code     int
		theirs   bool // their signature is still there
		ours     bool
	}{
		{"complete", own + full, false, 250, true, true},
		{"a footer, and our key", own + bare, false, 250, false, true},
		{"a link, and our key", under + link, false, 250, false, true},
		{"a signed List-Unsubscribe, and our key", listed + full, false, 250, false, true},
		{"a signed private field, and our key", private + full, false, 250, false, true},
		{"another's signature, a footer, and our key", other + bare, false, 250, true, true},
		{"complete, no key", own + full, true, 250, true, false},
		{"a footer, no key", own + bare, true, 554, false, false},
		{"a link, no key", under + link, true, 554, false, false},
		{"a signed List-Unsubscribe, no key", listed + full, true, 554, false, false},
		{"another's signature, a footer, no key", other + bare, true, 250, true, false},
		{"not signed, a footer, no key", bare, true, 250, false, false},
	} {
		if c.keyless {
			for name := range s.Store.Directory().DKIM {
				if _, err := s.Server.Admin.SwitchDKIMKey(t.Context(), desk.DKIMSwitch{Name: name, Disabled: true}); err != nil {
					t.Fatal(err)
				}
			}
		}
		out := s.SubmitMail(m.User, m.Password, "bulten@"+m.Domain, []string{"imzali@example.com"}, "From: bulten@"+m.Domain+"\n"+c.raw)
		if c.code != 250 {
			if out.Err == nil || out.Err.Code != c.code || !strings.Contains(out.Err.Message, "DKIM") || !strings.Contains(out.Err.Message, "content_missing") {
				t.Errorf("%s: answered %v", c.why, out.Err)
			}
			continue
		}
		if out.Err != nil {
			t.Errorf("%s: answered %v", c.why, out.Err)
			continue
		}
		came++
		_, got := s.AwaitMail("imzali@example.com", came)
		sigs := strings.Join(got.Header["Dkim-Signature"], "\n")
		if strings.Contains(sigs, "THEIRS") != c.theirs || strings.Contains(sigs, "s="+m.Selector) != c.ours {
			t.Errorf("%s: it left with %q", c.why, sigs)
		}
	}
}
