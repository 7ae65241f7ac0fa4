package test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smpp"
	"izinli/gateway/smpptest"
	"izinli/test/stage"
)

const smsMail = "From: bulten@%s\nX-Message-Class: commercial\nX-SMS-Sender: ORNEK\nMessage-ID: <kisa@ornek.example>\nSubject: kampanya\n" +
	"Content-Type: text/plain; charset=utf-8\n\nYarın her şey yarı fiyatına.\n"

// told waits for notifications to the submitter until each address has been told of, and returns them by address.
func told(t *testing.T, s *stage.Stage, addrs ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for n := 1; len(out) < len(addrs); n++ {
		got, h := s.AwaitMail("bulten@"+s.Seeds.Mail.Domain, n)
		if got.From != "" || h.Header.Get("Auto-Submitted") == "" {
			t.Errorf("from %q with\n%s", got.From, got.Body)
		}
		for _, a := range addrs {
			if strings.Contains(string(got.Body), "Final-Recipient: rfc822; "+a+"\r\n") {
				out[a] = string(got.Body)
			}
		}
	}
	return out
}

// Who submits a mail that becomes an SMS is told as of any mail (RFC 3461): under the address he wrote, of recipients dropped beside
// others, of failures later, of deliveries where he asked, and never against his wish.
func TestMailToSMSIsTold(t *testing.T) {
	s := stage.New(t, stage.WithOperator(smpptest.Config{Rules: []smpptest.Rule{{Suffix: "0002", State: smpp.StateUndeliverable, Err: "027"}, {Suffix: "0003", State: smpp.StateUndeliverable},
		{Suffix: "0004", Status: smpp.StatusInvDstAddr}}}))
	m := s.Seeds.Mail
	for _, n := range []string{"+905321000001", "+905321000002", "+905321000003", "+905321000004", "+905321000006"} {
		s.Consent(s.Seeds.Brand, "BIREYSEL", n, "ONAY")
	}
	s.Run()
	at := func(n string) string { return n + "@sms.mx.izinli.example" }
	submitNotifyAs(t, s, m.MixedUser, m.MixedPass, fmt.Sprintf(smsMail, m.Domain), map[string][]smtp.DSNNotify{
		at("05321000001"):   {smtp.DSNNotifySuccess, smtp.DSNNotifyFailure}, // delivered
		at("05321000002"):   nil,                                            // undelivered: told unless he says otherwise
		at("05321000003"):   {smtp.DSNNotifyNever},                          // undelivered
		at("+905321000004"): {smtp.DSNNotifyFailure},                        // refused by the operator
		at("05321000005"):   {smtp.DSNNotifyFailure},                        // never agreed
		at("05321000006"):   {smtp.DSNNotifyFailure},                        // delivered
	})
	got := told(t, s, at("05321000001"), at("05321000002"), at("+905321000004"), at("05321000005"))
	for n, want := range map[string][]string{
		"05321000001":   {"Action: delivered", "Status: 2.0.0"},
		"05321000002":   {"Action: failed", "Status: 5.0.0", "Diagnostic-Code: x-smpp; 027"},
		"+905321000004": {"Action: failed", "Status: 5.", "Diagnostic-Code: x-smpp; "},
		"05321000005":   {"Action: failed", "Status: 5.7.1", "Diagnostic-Code: smtp; 550 5.7.1 ", "(no_consent)"},
	} {
		for _, want := range append(want, "Original-Recipient: rfc822; "+at(n), "Original-Envelope-Id: zarf-1", "Message-ID: <kisa@ornek.example>") {
			if !strings.Contains(got[at(n)], want) {
				t.Errorf("%s is told without %q:\n%s", n, want, got[at(n)])
			}
		}
	}
	for _, text := range got {
		for _, n := range []string{"05321000003", "05321000006"} {
			if strings.Contains(text, n) {
				t.Errorf("%s is told of against the wish:\n%s", n, text)
			}
		}
	}
	stage.Until(t, "nothing more to be owed", func() error {
		if due, err := s.Store.Notices(t.Context(), gateway.MessageID{}, 10); err != nil || len(due) != 0 {
			return fmt.Errorf("%+v, %w", due, err)
		}
		return nil
	})
}

// Over a route without receipts the message was handed on, which is all there is to tell.
func TestMailToSMSWithoutReceipts(t *testing.T) {
	s := stage.New(t)
	m := s.Seeds.Mail
	o := *s.Store.Directory().Operators[s.Seeds.OperatorName]
	o.NoReceipts = true
	if _, err := s.Server.Admin.PutOperator(t.Context(), desk.OperatorInput{Operator: o}); err != nil {
		t.Fatal(err)
	}
	s.Run()
	raw := strings.Replace(fmt.Sprintf(smsMail, m.Domain), "commercial", "transactional", 1)
	to := "05321000001@sms.mx.izinli.example"
	submitNotifyAs(t, s, m.MixedUser, m.MixedPass, raw, map[string][]smtp.DSNNotify{to: {smtp.DSNNotifySuccess}})
	if text := told(t, s, to)[to]; !strings.Contains(text, "Action: relayed") || !strings.Contains(text, "Status: 2.0.0") {
		t.Errorf("told:\n%s", text)
	}
}

// A number the account may not write to is refused at RCPT, whatever the class.
func TestMailToForeignNumber(t *testing.T) {
	s := mailStage(t, nil)
	m := s.Seeds.Mail
	raw := strings.Replace(fmt.Sprintf(smsMail, m.Domain), "commercial", "transactional", 1)
	out := s.SubmitMail(m.MixedUser, m.MixedPass, "bulten@"+m.Domain, []string{"+4915112345678@sms.mx.izinli.example", "02121234567@sms.mx.izinli.example", "05321000001@sms.mx.izinli.example"}, raw)
	if out.Err != nil || len(out.Refused) != 2 {
		t.Fatalf("refused %v, data %v", out.Refused, out.Err)
	}
	for a, code := range map[string]gateway.Code{"+4915112345678@sms.mx.izinli.example": gateway.CodeForeign, "02121234567@sms.mx.izinli.example": gateway.CodeNotMobile} {
		if e := out.Refused[a]; e == nil || e.Code/100 != 5 || !strings.Contains(e.Message, string(code)) {
			t.Errorf("%s: %v, want %s", a, e, code)
		}
	}
}
