package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"izinli/gateway"
	"izinli/gateway/smtptest"
	"izinli/test/stage"
)

// submitNotify submits a mail whose recipients want to be told of different things (RFC 3461).
func submitNotify(t *testing.T, s *stage.Stage, wishes map[string][]smtp.DSNNotify) {
	t.Helper()
	submitNotifyAs(t, s, s.Seeds.Mail.User, s.Seeds.Mail.Password, mailText, wishes)
}

func submitNotifyAs(t *testing.T, s *stage.Stage, user, password, raw string, wishes map[string][]smtp.DSNNotify) {
	t.Helper()
	submitReturn(t, s, user, password, raw, "", wishes)
}

func submitReturn(t *testing.T, s *stage.Stage, user, password, raw string, ret smtp.DSNReturn, wishes map[string][]smtp.DSNNotify) {
	t.Helper()
	m := s.Seeds.Mail
	c, err := smtp.DialStartTLS(s.Server.Addrs["smtp"], s.MailTLS())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(c.Auth(sasl.NewPlainClient("", user, password)))
	must(c.Mail("bulten@"+m.Domain, &smtp.MailOptions{EnvelopeID: "zarf-1", Return: ret}))
	for to, notify := range wishes {
		must(c.Rcpt(to, &smtp.RcptOptions{Notify: notify, OriginalRecipientType: smtp.DSNAddressTypeRFC822, OriginalRecipient: to}))
	}
	w, err := c.Data()
	must(err)
	_, err = strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n")).WriteTo(w)
	must(err)
	must(w.Close())
	must(c.Quit())
}

// Who asked for it is told of a delivery (RFC 3461 §4.1): by the word of a next hop that tells, or, where it tells nothing, that the
// mail was handed on (§6.2.7.2). Nobody is told who did not ask, and NEVER means never, a failure included.
func TestSuccessNotification(t *testing.T) {
	wishes := map[string][]smtp.DSNNotify{
		"ister@example.com":      {smtp.DSNNotifySuccess},
		"istemez@example.com":    {smtp.DSNNotifyFailure},
		"fail-550-3@example.com": {smtp.DSNNotifyNever},
	}
	for _, tells := range []bool{true, false} {
		s := mailStage(t, []stage.Option{stage.WithSink(smtptest.Config{NoDSN: !tells})}, "ister@example.com", "istemez@example.com", "fail-550-3@example.com")
		m := s.Seeds.Mail
		submitNotify(t, s, wishes)
		taken, _ := s.AwaitMail("ister@example.com", 1)
		other, _ := s.AwaitMail("istemez@example.com", 1)
		want := "Action: relayed"
		if tells {
			want = "Action: delivered"
			for _, x := range []*smtptest.Message{taken, other} {
				if out := s.RelayMail("", []string{x.From}, dsnText(x.From, x.To[0].Addr, "delivered", "2.0.0", "250 2.0.0 ok")); out.Err != nil || len(out.Refused) > 0 {
					t.Fatalf("word of a delivery was answered %+v", out)
				}
			}
		}
		got, h := s.AwaitMail("bulten@"+m.Domain, 1)
		body := string(got.Body)
		for _, part := range []string{want, "Final-Recipient: rfc822; ister@example.com", "Original-Envelope-Id: zarf-1", "Status: 2.0.0"} {
			if !strings.Contains(body, part) {
				t.Errorf("the next hop tells: %v: the notification lacks %q:\n%s", tells, part, body)
			}
		}
		if got.From != "" || !strings.HasPrefix(h.Header.Get("Subject"), "Successful") || strings.Contains(body, "istemez") || strings.Contains(body, "fail-550") {
			t.Errorf("from %q:\n%s", got.From, body)
		}
		stage.Until(t, "the refused one to end", func() error {
			if v := mailTo(t, s, "fail-550-3@example.com"); v.State != gateway.StateUndelivered {
				return fmt.Errorf("it is %s", v.State)
			}
			return nil
		})
		nothingOwed(t, s)
	}
}

// nothingOwed waits until no notification is owed: one is noted as sent only after it was handed in, and may arrive before that.
func nothingOwed(t *testing.T, s *stage.Stage) {
	t.Helper()
	stage.Until(t, "no notification to be owed", func() error {
		due, err := s.Store.Notices(t.Context(), gateway.MessageID{}, 10)
		if err == nil && len(due) > 0 {
			err = fmt.Errorf("owed: %+v", due)
		}
		return err
	})
}

// A mail that waits for four hours is told of to who asked for it, once; the next hop is asked to tell of its own delays, and what it
// says is passed on.
func TestDelayedNotification(t *testing.T) {
	clock := stage.NewClock()
	s := mailStage(t, []stage.Option{stage.WithClock(clock.Now)}, "later-451-1@example.com", "later-451-2@example.com", "var@example.com")
	m := s.Seeds.Mail
	submitNotify(t, s, map[string][]smtp.DSNNotify{
		"later-451-1@example.com": {smtp.DSNNotifyFailure, smtp.DSNNotifyDelayed},
		"later-451-2@example.com": {smtp.DSNNotifyFailure},
		"var@example.com":         {smtp.DSNNotifyDelayed},
	})
	taken, _ := s.AwaitMail("var@example.com", 1)
	if got := taken.To[0].Options.Notify; len(got) != 2 || got[1] != smtp.DSNNotifyDelayed {
		t.Errorf("the next hop was asked for %v, want FAILURE and DELAY", got)
	}
	for _, to := range []string{"later-451-1@example.com", "later-451-2@example.com"} {
		stage.Until(t, "the mail to "+to+" to be put off", func() error { // what did not leave has no reason to tell
			if v := mailTo(t, s, to); v.State != gateway.StateQueued || v.Code != gateway.CodeDeferred {
				return fmt.Errorf("it is %s (%s)", v.State, v.Code)
			}
			return nil
		})
	}
	clock.Advance(4*time.Hour + time.Minute)
	s.Server.Mail.Notifier.Wake()
	got, h := s.AwaitMail("bulten@"+m.Domain, 1)
	body := string(got.Body)
	for _, want := range []string{"Action: delayed", "Status: 4.2.0", "Original-Envelope-Id: zarf-1", "Original-Recipient: rfc822; later-451-1@example.com",
		"Final-Recipient: rfc822; later-451-1@example.com", "Will-Retry-Until: ", "Diagnostic-Code: smtp; 451 4.2.0"} {
		if !strings.Contains(body, want) {
			t.Errorf("the notification lacks %q:\n%s", want, body)
		}
	}
	if got.From != "" || !strings.HasPrefix(h.Header.Get("Subject"), "Delayed Mail") || strings.Contains(body, "later-451-2") || strings.Contains(body, "var@") {
		t.Errorf("from %q:\n%s", got.From, body)
	}

	if out := s.RelayMail("", []string{taken.From}, dsnText(taken.From, "var@example.com", "delayed", "4.4.1", "450 4.4.1 no answer")); out.Err != nil || len(out.Refused) > 0 {
		t.Fatalf("word of a delay was answered %+v", out)
	}
	got, _ = s.AwaitMail("bulten@"+m.Domain, 2)
	if body := string(got.Body); !strings.Contains(body, "Final-Recipient: rfc822; var@example.com") || !strings.Contains(body, "Action: delayed") || !strings.Contains(body, "Status: 4.4.1") {
		t.Errorf("the next hop's word became:\n%s", body)
	}
	nothingOwed(t, s)
	clock.Advance(8 * time.Hour)
	if more, err := s.Store.OweDelays(t.Context(), clock.Now(), 100); err != nil || more {
		t.Fatal(more, err)
	}
	if due, err := s.Store.Notices(t.Context(), gateway.MessageID{}, 10); err != nil || len(due) != 0 {
		t.Errorf("owed a second time: %+v, %v", due, err)
	}
}
