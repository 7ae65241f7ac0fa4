package test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/test/stage"
)

// mailText is a newsletter with everything the law asks for.
const mailText = `From: =?utf-8?q?=C3=96rnek?= <bulten@bulten.ornek.example>
To: <musteri@example.com>
Subject: =?utf-8?q?K=C4=B1=C5=9F_indirimi?=
X-Message-Class: commercial
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit

Tanıtım: kış indirimi başladı.
Örnek Giyim A.Ş. MERSİS 0123456789012345 İletişim: 0850 000 00 00
Listeden çıkmak için: https://ornek.example/cik
`

// A mail sent through the HTTP API reaches those who agreed, signed, with one-click unsubscribe; the click blocks at once.
func TestMailThroughAPI(t *testing.T) {
	s := stage.New(t)
	s.MailConsent(s.Seeds.Brand, "BIREYSEL", "evet@example.com", "ONAY")
	s.MailConsent(s.Seeds.Brand, "BIREYSEL", "hayir@example.com", "RET")
	s.Run()
	body := stage.Body{"channel": "email", "from": "Örnek <bulten@" + s.Seeds.Mail.Domain + ">", "subject": "Merhaba {{ad}}",
		"text": "Merhaba {{ad}}, kış indirimi başladı. Çıkmak için: {{unsubscribe_url}}",
		"html": "<p>Merhaba {{ad}}</p><p><a href=\"{{unsubscribe_url}}\">Listeden çık</a></p>",
		"to": []any{stage.Body{"address": "Evet@Example.com", "vars": stage.Body{"ad": "Ayşe & <Can>"}},
			stage.Body{"address": "hayir@example.com", "vars": stage.Body{"ad": "Ali"}}, "kimse", stage.Body{"address": "yok@example.com"}}}
	res := s.API.Send(body)
	if res.Accepted != 1 || res.Dropped != 1 || res.Refused != 2 || res.Credits != 0 {
		t.Fatalf("accepted %d dropped %d refused %d credits %d: %+v", res.Accepted, res.Dropped, res.Refused, res.Credits, res.Messages)
	}
	if got := res.Messages[1].Code; got != gateway.CodeNoConsent {
		t.Errorf("who refused: %s, want no_consent", got)
	}
	m, h := s.AwaitMail("evet@example.com", 1)
	s.Await(res.Messages[0].ID, gateway.StateSent)
	if !strings.HasPrefix(m.From, "b+"+res.Messages[0].ID.String()+".") {
		t.Errorf("return path %s does not name the message", m.From)
	}
	for name, want := range map[string]string{"List-Unsubscribe-Post": "List-Unsubscribe=One-Click", "Precedence": "bulk",
		"Subject": "=?utf-8?q?Merhaba_Ay=C5=9Fe_&_<Can>?="} {
		if got := h.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if h.Header.Get("DKIM-Signature") == "" || h.Header.Get("Feedback-ID") == "" || h.Header.Get("X-Message-Class") != "" {
		t.Errorf("header %v", h.Header)
	}
	if !bytes.Contains(m.Body, []byte("Ay=C5=9Fe &amp; &lt;Can&gt;")) {
		t.Errorf("the variable is not escaped in the HTML part:\n%s", m.Body)
	}
	click, _, _ := strings.Cut(strings.TrimPrefix(h.Header.Get("List-Unsubscribe"), "<"), ">")
	resp, err := http.Post(click, "application/x-www-form-urlencoded", strings.NewReader("List-Unsubscribe=One-Click"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode/100 != 2 {
		t.Fatalf("one-click POST answered %s", resp.Status)
	}
	res = s.API.Send(body)
	if res.Accepted != 0 || res.Messages[0].Code != gateway.CodeBlocked {
		t.Errorf("after the click: %+v", res.Messages[0])
	}
	stage.Until(t, "İYS to know of the refusal", func() error {
		if x, ok := s.IYS.Stored(s.Seeds.Brand, "EPOSTA", "BIREYSEL", "evet@example.com"); !ok || x.Status != "RET" {
			return fmt.Errorf("it says %+v", x)
		}
		return nil
	})
}

// A client of the submission listener is told at RCPT who did not agree, the others get the mail, each on its own return path.
func TestMailThroughSMTP(t *testing.T) {
	s := stage.New(t)
	for _, a := range []string{"bir@example.com", "iki@example.com"} {
		s.MailConsent(s.Seeds.Brand, "BIREYSEL", a, "ONAY")
	}
	s.Run()
	m := s.Seeds.Mail
	out := s.SubmitMail(m.User, m.Password, "bulten@"+m.Domain, []string{"bir@example.com", "yok@example.com", "iki@example.com", "o'brien@example.com"}, mailText)
	if out.Err != nil || len(out.Refused) != 2 {
		t.Fatalf("refused %v, data %v", out.Refused, out.Err)
	}
	for _, a := range []string{"yok@example.com", "o'brien@example.com"} { // İYS knows nothing of the one, and cannot hold the other
		if e := out.Refused[a]; e == nil || e.Code != 550 || e.EnhancedCode != [3]int{5, 7, 1} {
			t.Errorf("%s, who did not agree, was answered %v, want 550 5.7.1", a, e)
		}
	}
	from := map[string]bool{}
	for _, a := range []string{"bir@example.com", "iki@example.com"} {
		got, h := s.AwaitMail(a, 1)
		from[got.From] = true
		if len(got.To) != 1 || h.Header.Get("List-Unsubscribe") == "" || h.Header.Get("X-Message-Class") != "" || h.Header.Get("DKIM-Signature") == "" {
			t.Errorf("%s got %v with %v", a, got.To, h.Header)
		}
	}
	if len(from) != 2 {
		t.Errorf("return paths %v, want one for each", from)
	}
	if got := s.Mails("yok@example.com"); len(got) != 0 {
		t.Errorf("%d mails to somebody who did not agree", len(got))
	}
}

// A credential says for which type of recipient it sends: a merchant who agreed as one is judged so at RCPT, before any header.
func TestRecipientTypeOfCredential(t *testing.T) {
	s := stage.New(t)
	s.MailConsent(s.Seeds.Brand, gateway.RecipientMerchant, "dukkan@example.com", "ONAY")
	s.MailConsent(s.Seeds.Brand, gateway.RecipientIndividual, "kisi@example.com", "ONAY")
	s.Run()
	m := s.Seeds.Mail
	is, err := s.Server.Admin.CreateCredential(t.Context(), desk.NewCredential{Credential: gateway.Credential{ID: "bayiler@ornek", Kind: gateway.KindSMTP,
		Account: s.Seeds.Account, RecipientType: gateway.RecipientMerchant}})
	if err != nil {
		t.Fatal(err)
	}
	to := []string{"dukkan@example.com", "kisi@example.com"}
	for _, c := range []struct{ user, password, refused string }{{is.Credential.ID, is.Secret, to[1]}, {m.User, m.Password, to[0]}} {
		out := s.SubmitMail(c.user, c.password, "bulten@"+m.Domain, to, mailText)
		if out.Err != nil || len(out.Refused) != 1 || out.Refused[c.refused] == nil {
			t.Errorf("%s: refused %v, data %v; want %s refused alone", c.user, out.Refused, out.Err, c.refused)
		}
	}
	for _, a := range to {
		s.AwaitMail(a, 1)
	}
	_, err = s.Server.Admin.CreateCredential(t.Context(), desk.NewCredential{Credential: gateway.Credential{ID: "kedi@ornek", Kind: gateway.KindSMTP,
		Account: s.Seeds.Account, RecipientType: "KEDI"}})
	var refusal *gateway.Error
	if !errors.As(err, &refusal) || refusal.Code != gateway.CodeInvalid {
		t.Errorf("an unknown recipient type: %v", err)
	}
}

// A transactional mail that advertises is told or held by the account's policy, whichever door it came through, whole or as texts, and
// whether its words say so or its header.
func TestPromotionalMail(t *testing.T) {
	s := stage.New(t)
	s.Run()
	m := s.Seeds.Mail
	acct := *s.Store.Directory().Accounts[s.Seeds.Account]
	acct.Policy.Promotional = "hold"
	if _, err := s.Server.Admin.PutAccount(t.Context(), acct); err != nil {
		t.Fatal(err)
	}
	head := "From: bulten@" + m.Domain + "\nX-Message-Class: transactional\nX-Message-Reason: order\n"
	large := "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; charset=iso-8859-9\nContent-Transfer-Encoding: quoted-printable\n\n<p>B=FCy=FCk <b>kampanya</b> " +
		"=\nba=FElad=FD</p>\n--b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n" + strings.Repeat(strings.Repeat("QUJD", 18)+"\n", 2000) + "--b--\n"
	for i, c := range []struct {
		why, mail string
		held      bool
	}{
		{"an order", "Subject: Siparis\n\nSiparisiniz yola cikti.\n", false},
		{"a word in the text", "Subject: Siparis\n\nSiparisiniz yola cikti. Buyuk indirim sizi bekliyor!\n", true},
		{"a word in the subject, encoded", "Subject: =?utf-8?q?B=C3=BCy=C3=BCk_kampanya?=\n\nSiparisiniz yola cikti.\n", true},
		{"a word in the markup of a large mail", "Subject: Siparis\n" + large, true},
		{"a field of mailing lists", "Subject: Siparis\nList-Unsubscribe: <https://ornek.example/cik>\n\nSiparisiniz yola cikti.\n", true},
		{"bulk by its own word", "Subject: Siparis\nPrecedence: bulk\n\nSiparisiniz yola cikti.\n", true},
	} {
		to := fmt.Sprintf("kisi%d@example.com", i)
		if out := s.SubmitMail(m.MixedUser, m.MixedPass, "bulten@"+m.Domain, []string{to}, head+c.mail); out.Err != nil || len(out.Refused) > 0 {
			t.Fatalf("%s: %+v", c.why, out)
		}
		v := mailTo(t, s, to)
		if !c.held {
			s.Await(v.ID, gateway.StateSent)
			continue
		}
		if v.State != gateway.StateHeld || v.Code != gateway.CodePromotional {
			t.Errorf("%s: it is %s (%s), want it held", c.why, v.State, v.Code)
		}
		if list := s.Decisions(v.ID); len(list) == 0 || len(list[len(list)-1].Words) == 0 {
			t.Errorf("%s: the record names no words: %+v", c.why, list)
		}
	}
	body := newsletter(s, "api@example.com").With(stage.Body{"class": "transactional", "reason": "order", "headers": stage.Body{"list-id": "<haber.ornek.example>"}})
	if res := s.API.Send(body); res.Accepted != 1 || res.Messages[0].State != gateway.StateHeld {
		t.Errorf("as texts: %+v", res.Messages)
	}
}

// mailTo is the one message to an address.
func mailTo(t *testing.T, s *stage.Stage, to string) gateway.MessageView {
	t.Helper()
	page, err := s.Server.Admin.ListMessages(t.Context(), desk.MessageQuery{Account: s.Seeds.Account, To: to})
	if err != nil || len(page.Items) != 1 {
		t.Fatalf("to %s: %d messages, %v", to, len(page.Items), err)
	}
	return page.Items[0]
}
