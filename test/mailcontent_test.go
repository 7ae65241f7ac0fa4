package test

import (
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"

	"izinli/gateway"
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
