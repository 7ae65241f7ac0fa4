package stage

import (
	"bytes"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway/smtptest"
)

// MailOutcome is what the door said to one submission.
type MailOutcome struct {
	Refused map[string]*smtp.SMTPError // by recipient, at RCPT
	Err     *smtp.SMTPError            // to MAIL or to the data; nil: accepted
}

// SubmitMail logs in at the submission listener and sends a mail; refused recipients are left out, as every client does.
func (s *Stage) SubmitMail(user, password, from string, to []string, raw string) MailOutcome {
	s.tb.Helper()
	c, err := smtp.DialStartTLS(s.Server.Addrs["smtp"], s.MailTLS())
	if err != nil {
		s.tb.Fatal(err)
	}
	defer c.Close()
	if err := c.Auth(sasl.NewPlainClient("", user, password)); err != nil {
		s.tb.Fatal(err)
	}
	return s.send(c, from, to, raw)
}

// RelayMail speaks to the relay listener without logging in.
func (s *Stage) RelayMail(from string, to []string, raw string) MailOutcome {
	s.tb.Helper()
	c, err := smtp.Dial(s.Server.Addrs["relay"])
	if err != nil {
		s.tb.Fatal(err)
	}
	defer c.Close()
	return s.send(c, from, to, raw)
}

func (s *Stage) send(c *smtp.Client, from string, to []string, raw string) MailOutcome {
	s.tb.Helper()
	out := MailOutcome{Refused: map[string]*smtp.SMTPError{}}
	refusal := func(err error) *smtp.SMTPError {
		var se *smtp.SMTPError
		if err != nil && !errors.As(err, &se) {
			s.tb.Fatal(err)
		}
		return se
	}
	if out.Err = refusal(c.Mail(from, nil)); out.Err != nil {
		return out
	}
	taken := 0
	for _, a := range to {
		if err := refusal(c.Rcpt(a, nil)); err != nil {
			out.Refused[a] = err
		} else {
			taken++
		}
	}
	if taken == 0 {
		_ = c.Quit()
		return out
	}
	w, err := c.Data()
	if err != nil {
		s.tb.Fatal(err)
	}
	_, err = strings.NewReader(strings.ReplaceAll(strings.ReplaceAll(raw, "\r\n", "\n"), "\n", "\r\n")).WriteTo(w)
	if err != nil {
		s.tb.Fatal(err)
	}
	out.Err = refusal(w.Close())
	_ = c.Quit()
	return out
}

// Mails are the mails the sink took for the address.
func (s *Stage) Mails(addr string) (out []*smtptest.Message) {
	for _, m := range s.Sink.Messages() {
		for _, r := range m.To {
			if strings.EqualFold(r.Addr, addr) {
				out = append(out, m)
			}
		}
	}
	return out
}

// AwaitMail waits for the n-th mail to the address and reads its header.
func (s *Stage) AwaitMail(addr string, n int) (*smtptest.Message, *netmail.Message) {
	s.tb.Helper()
	var m *smtptest.Message
	Until(s.tb, fmt.Sprintf("mail %d to %s", n, addr), func() error {
		list := s.Mails(addr)
		if len(list) < n {
			return fmt.Errorf("%d came", len(list))
		}
		m = list[n-1]
		return nil
	})
	parsed, err := netmail.ReadMessage(bytes.NewReader(m.Body))
	if err != nil {
		s.tb.Fatal(err)
	}
	return m, parsed
}

// WithSink sets the mail sink.
func WithSink(c smtptest.Config) Option {
	return func(_ *configs.Config, o *assembly.PlaygroundOptions) { o.Sink = c }
}

// Decided is how many decisions the store holds.
func (s *Stage) Decided() int {
	s.tb.Helper()
	r, err := s.Store.Verify(s.tb.Context())
	if err != nil {
		s.tb.Fatal(err)
	}
	return r.Decisions
}
