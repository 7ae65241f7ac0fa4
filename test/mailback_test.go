package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smtptest"
	"izinli/test/stage"
)

// dsnText is a bounce as Postfix writes it.
func dsnText(to, recipient, action, status, diagnostic string) string {
	return fmt.Sprintf(`From: MAILER-DAEMON@next.example
To: <%s>
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="xx"

--xx
Content-Type: text/plain

This is the mail system at host next.example.

--xx
Content-Type: message/delivery-status

Reporting-MTA: dns; next.example

Final-Recipient: rfc822; %s
Action: %s
Status: %s
Diagnostic-Code: smtp; %s

--xx--
`, to, recipient, action, status, diagnostic)
}

// mailStage is a stage on which the addresses agreed to the partner brand's mail.
func mailStage(t *testing.T, opts []stage.Option, agreed ...string) *stage.Stage {
	t.Helper()
	s := stage.New(t, opts...)
	for _, a := range agreed {
		s.MailConsent(s.Seeds.Brand, "BIREYSEL", a, "ONAY")
	}
	s.Run()
	return s
}

func newsletter(s *stage.Stage, to ...string) stage.Body {
	return stage.Body{"channel": "email", "from": "bulten@" + s.Seeds.Mail.Domain, "subject": "Haber", "text": "Merhaba", "to": to}
}

// A bounce makes the message undelivered and keeps mail away from an address that does not exist; a forged one does nothing.
func TestBounceSuppresses(t *testing.T) {
	s := mailStage(t, nil, "eski@example.com", "var@example.com")
	res := s.API.Send(newsletter(s, "eski@example.com", "var@example.com"))
	gone, _ := s.AwaitMail("eski@example.com", 1)
	s.Await(res.Messages[0].ID, gateway.StateSent)
	if out := s.RelayMail("", []string{strings.Replace(gone.From, "b+", "b+0", 1)}, dsnText(gone.From, "eski@example.com", "failed", "5.1.1", "550 5.1.1 x")); len(out.Refused) != 1 {
		t.Fatalf("a forged return path was taken: %+v", out)
	}
	if out := s.RelayMail("", []string{gone.From}, dsnText(gone.From, "eski@example.com", "failed", "5.1.1", "550 5.1.1 User unknown")); out.Err != nil || len(out.Refused) > 0 {
		t.Fatalf("the bounce was answered %+v", out)
	}
	m := s.Await(res.Messages[0].ID, gateway.StateUndelivered)
	if m.Code != gateway.CodeBounced {
		t.Errorf("code %s, want bounced", m.Code)
	}
	res = s.API.Send(newsletter(s, "eski@example.com", "var@example.com"))
	if res.Accepted != 1 || res.Messages[0].Code != gateway.CodeSuppressed {
		t.Errorf("after the bounce: %+v", res.Messages)
	}
	page, err := s.Server.Admin.ListSuppressions(t.Context(), desk.SuppressionQuery{Account: s.Seeds.Account})
	if err != nil || len(page.Items) != 1 || page.Items[0].Address != "eski@example.com" {
		t.Fatalf("suppressions %+v, %v", page.Items, err)
	}
	if _, err := s.Server.Admin.DeleteSuppression(t.Context(), page.Items[0]); err != nil {
		t.Fatal(err)
	}
	if res = s.API.Send(newsletter(s, "eski@example.com")); res.Accepted != 1 {
		t.Errorf("after the suppression was lifted: %+v", res.Messages)
	}
	if x, ok := s.IYS.Stored(s.Seeds.Brand, "EPOSTA", "BIREYSEL", "eski@example.com"); !ok || x.Status != "ONAY" {
		t.Errorf("İYS says %+v: a bounce is no refusal", x)
	}
}

// A server that says at RCPT that nobody is there ends the message, and the address is suppressed; a passing refusal waits.
func TestRefusedByTheNextHop(t *testing.T) {
	s := mailStage(t, nil, "fail-550-1@example.com", "later-451@example.com", "reject-554@example.com")
	res := s.API.Send(newsletter(s, "fail-550-1@example.com", "later-451@example.com", "reject-554@example.com"))
	if m := s.Await(res.Messages[0].ID, gateway.StateUndelivered); m.Code != gateway.CodeBounced {
		t.Errorf("unknown user: %s", m.Code)
	}
	s.Await(res.Messages[2].ID, gateway.StateRejected)
	stage.Until(t, "the passing refusal to be put off", func() error {
		if m := s.Message(res.Messages[1].ID); m.State != gateway.StateQueued || m.Code != gateway.CodeDeferred {
			return fmt.Errorf("it is %s (%s)", m.State, m.Code)
		}
		return nil
	})
	if res = s.API.Send(newsletter(s, "fail-550-1@example.com", "reject-554@example.com")); res.Messages[0].Code != gateway.CodeSuppressed || res.Accepted != 1 {
		t.Errorf("afterwards: %+v", res.Messages)
	}
}

// Whoever writes to the unsubscribe address refuses; İYS is told.
func TestMailtoUnsubscribe(t *testing.T) {
	s := mailStage(t, nil, "cik@example.com")
	res := s.API.Send(newsletter(s, "cik@example.com"))
	_, h := s.AwaitMail("cik@example.com", 1)
	_, rest, _ := strings.Cut(h.Header.Get("List-Unsubscribe"), "<mailto:")
	leave, _, _ := strings.Cut(rest, ">")
	if out := s.RelayMail("cik@example.com", []string{leave}, "From: cik@example.com\nSubject: unsubscribe\n\n"); out.Err != nil || len(out.Refused) > 0 {
		t.Fatalf("%s was answered %+v", leave, out)
	}
	if got := s.API.Send(newsletter(s, "cik@example.com")).Messages[0].Code; got != gateway.CodeBlocked {
		t.Errorf("after the refusal: %s", got)
	}
	stage.Until(t, "İYS to know", func() error {
		if x, ok := s.IYS.Stored(s.Seeds.Brand, "EPOSTA", "BIREYSEL", "cik@example.com"); !ok || x.Status != "RET" {
			return fmt.Errorf("it says %+v", x)
		}
		return nil
	})
	s.Await(res.Messages[0].ID, gateway.StateSent)
}

// arf is a complaint as a feedback loop writes it (RFC 5965).
func arf(to, returnPath string) string {
	return fmt.Sprintf(`From: fbl@provider.example
To: <%s>
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="yy"

--yy
Content-Type: text/plain

This is an abuse report.

--yy
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: Provider/1.0
Version: 1
Original-Mail-From: <%s>

--yy
Content-Type: message/rfc822

Subject: Haber

--yy--
`, to, returnPath)
}

// A complaint blocks at once; İYS is told only where the account wants that.
func TestComplaint(t *testing.T) {
	for _, ret := range []bool{false, true} {
		t.Run(fmt.Sprintf("ret %v", ret), func(t *testing.T) {
			s := mailStage(t, nil, "kizgin@example.com", "sonra@example.com")
			acct := *s.Store.Directory().Accounts[s.Seeds.Account]
			acct.Policy.ComplaintRET = ret
			if _, err := s.Server.Admin.PutAccount(t.Context(), acct); err != nil {
				t.Fatal(err)
			}
			s.API.Send(newsletter(s, "kizgin@example.com"))
			m, _ := s.AwaitMail("kizgin@example.com", 1)
			if out := s.RelayMail("fbl@provider.example", []string{"fbl@mx.izinli.example"}, arf("fbl@mx.izinli.example", m.From)); out.Err != nil || len(out.Refused) > 0 {
				t.Fatalf("answered %+v", out)
			}
			if got := s.API.Send(newsletter(s, "kizgin@example.com")).Messages[0].Code; got != gateway.CodeBlocked {
				t.Errorf("after the complaint: %s", got)
			}
			open, _ := s.Store.OutboxCounts()
			if !ret && open != 0 {
				t.Errorf("%d entries for İYS, want none", open)
			}
			if ret {
				stage.Until(t, "İYS to know", func() error {
					if x, ok := s.IYS.Stored(s.Seeds.Brand, "EPOSTA", "BIREYSEL", "kizgin@example.com"); !ok || x.Status != "RET" {
						return fmt.Errorf("it says %+v", x)
					}
					return nil
				})
			}
		})
	}
}

// The submitter is told by a notification, to the envelope sender from the null one, of recipients that failed later: dropped after
// acceptance beside others, or refused by the next hop.
func TestNotificationToSubmitter(t *testing.T) {
	s := mailStage(t, []stage.Option{stage.WithSink(smtptest.Config{})}, "bir@example.com", "fail-550-2@example.com")
	m := s.Seeds.Mail
	text := strings.Replace(mailText, "X-Message-Class: commercial\n", "Message-ID: <abc@ornek.example>\n", 1)
	out := s.SubmitMail(m.MixedUser, m.MixedPass, "bulten@"+m.Domain, []string{"bir@example.com", "yok@example.com", "fail-550-2@example.com"}, text)
	if out.Err != nil || len(out.Refused) > 0 {
		t.Fatalf("refused %v, data %v", out.Refused, out.Err)
	}
	want := map[string]string{"yok@example.com": "Status: 5.7.1", "fail-550-2@example.com": "Status: 5.1.1"}
	n := 1
	for len(want) > 0 {
		got, h := s.AwaitMail("bulten@"+m.Domain, n)
		n++
		body := string(got.Body)
		if got.From != "" || h.Header.Get("Auto-Submitted") == "" || !strings.Contains(body, "<abc@ornek.example>") {
			t.Errorf("from %q with\n%s", got.From, body)
		}
		for a, status := range want {
			if strings.Contains(body, "Final-Recipient: rfc822; "+a) {
				if !strings.Contains(body, status) {
					t.Errorf("%s is told without %q:\n%s", a, status, body)
				}
				delete(want, a)
			}
		}
	}
	s.AwaitMail("bir@example.com", 1)
	if got := s.Mails("bir@example.com"); len(got) != 1 {
		t.Errorf("%d mails to who agreed, want 1", len(got))
	}
}

// Nobody left after the data is a refusal, and no notification besides.
func TestNobodyLeft(t *testing.T) {
	s := mailStage(t, nil)
	m := s.Seeds.Mail
	out := s.SubmitMail(m.MixedUser, m.MixedPass, "bulten@"+m.Domain, []string{"yok@example.com", "hic@example.com"}, mailText)
	if out.Err == nil || out.Err.Code != 554 || out.Err.EnhancedCode != [3]int{5, 7, 1} {
		t.Errorf("answered %v, want 554 5.7.1", out.Err)
	}
	if due, err := s.Store.Notices(t.Context(), gateway.MessageID{}, 10); err != nil || len(due) != 0 {
		t.Errorf("notifications owed: %v, %v", due, err)
	}
}

// Mail to a number at the SMS domain becomes a short message.
func TestMailToSMS(t *testing.T) {
	s := mailStage(t, nil)
	m := s.Seeds.Mail
	raw := "From: bulten@" + m.Domain + "\nX-Message-Class: transactional\nX-SMS-Sender: ORNEK\nSubject: x\nContent-Type: text/plain; charset=utf-8\n\nSiparişiniz yolda.\n"
	out := s.SubmitMail(m.MixedUser, m.MixedPass, "bulten@"+m.Domain, []string{"05321000000@sms.mx.izinli.example"}, raw)
	if out.Err != nil || len(out.Refused) > 0 {
		t.Fatalf("refused %v, data %v", out.Refused, out.Err)
	}
	stage.Until(t, "the short message", func() error {
		if got := s.Reached("+905321000000"); len(got) != 1 {
			return fmt.Errorf("%d came", len(got))
		}
		return nil
	})
}

// A refusal at RCPT leaves a decision with the consent it rests on (P4); the chain holds (the stage verifies it at the end).
func TestRefusalAtRCPTIsRecorded(t *testing.T) {
	s := mailStage(t, nil)
	m := s.Seeds.Mail
	before := s.Decided()
	out := s.SubmitMail(m.User, m.Password, "bulten@"+m.Domain, []string{"yok@example.com"}, mailText)
	if len(out.Refused) != 1 {
		t.Fatalf("answered %+v", out)
	}
	if got := s.Decided(); got != before+1 {
		t.Errorf("%d decisions, want %d", got, before+1)
	}
}

// A bounce that says our mail is unwanted slows what goes to that domain and to no other; the address is not suppressed.
func TestBlockSlowsTheRoute(t *testing.T) {
	s := mailStage(t, nil, "bir@yavas.example", "iki@yavas.example", "uc@hizli.example")
	s.API.Send(newsletter(s, "bir@yavas.example"))
	m, _ := s.AwaitMail("bir@yavas.example", 1)
	bounced := time.Now()
	if out := s.RelayMail("", []string{m.From}, dsnText(m.From, "bir@yavas.example", "failed", "5.7.1", "550 5.7.1 Service unavailable; client host blocked using Spamhaus")); out.Err != nil || len(out.Refused) > 0 {
		t.Fatalf("the bounce was answered %+v", out)
	}
	res := s.API.Send(newsletter(s, "iki@yavas.example", "bir@yavas.example", "uc@hizli.example"))
	if res.Accepted != 3 {
		t.Fatalf("a block cost somebody the address: %+v", res.Messages)
	}
	s.AwaitMail("uc@hizli.example", 1)
	for i := range 2 {
		stage.Until(t, "the slow domain's mail to be put off", func() error {
			if v := s.Message(res.Messages[i].ID); v.State != gateway.StateHeld || v.NextAt.Sub(bounced) < 50*time.Second {
				return fmt.Errorf("it is %s, to be tried %s after the bounce", v.State, v.NextAt.Sub(bounced))
			}
			return nil
		})
	}
}
