package test

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"izinli/test/stage"
)

// submitNotify submits a mail whose recipients want to be told of different things (RFC 3461).
func submitNotify(t *testing.T, s *stage.Stage, wishes map[string][]smtp.DSNNotify) {
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
	must(c.Auth(sasl.NewPlainClient("", m.User, m.Password)))
	must(c.Mail("bulten@"+m.Domain, &smtp.MailOptions{EnvelopeID: "zarf-1"}))
	for to, notify := range wishes {
		must(c.Rcpt(to, &smtp.RcptOptions{Notify: notify, OriginalRecipientType: smtp.DSNAddressTypeRFC822, OriginalRecipient: to}))
	}
	w, err := c.Data()
	must(err)
	_, err = strings.NewReader(strings.ReplaceAll(mailText, "\n", "\r\n")).WriteTo(w)
	must(err)
	must(w.Close())
	must(c.Quit())
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
	clock.Advance(8 * time.Hour)
	if more, err := s.Store.OweDelays(t.Context(), clock.Now(), 100); err != nil || more {
		t.Fatal(more, err)
	}
	if due, err := s.Store.Notices(t.Context(), 10); err != nil || len(due) != 0 {
		t.Errorf("owed a second time: %+v, %v", due, err)
	}
}
