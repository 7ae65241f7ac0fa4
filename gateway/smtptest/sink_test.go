package smtptest

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

func listen(t *testing.T, cfg Config) *Sink {
	t.Helper()
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

const text = "Subject: x\r\n\r\nhello\r\n.dot\r\n"

func send(s *Sink, to []string) error {
	c, err := smtp.Dial(s.Addr())
	if err != nil {
		return err
	}
	defer c.Close()
	return c.SendMail("a@b.tr", to, strings.NewReader(text))
}

func TestSinkRecords(t *testing.T) {
	s := listen(t, Config{})
	if err := send(s, []string{"c@d.tr", "e@f.tr"}); err != nil {
		t.Fatal(err)
	}
	msgs, err := s.Wait(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	m := msgs[0]
	if m.From != "a@b.tr" || len(m.To) != 2 || m.To[1].Addr != "e@f.tr" || string(m.Body) != text {
		t.Errorf("recorded %+v with %q", m, m.Body)
	}
	if got := s.Stats(); got.Accepted != 1 || got.Sessions != 1 || got.Bytes != uint64(len(text)) {
		t.Errorf("stats %+v", got)
	}
}

func TestByName(t *testing.T) {
	s := listen(t, Config{})
	for _, c := range []struct {
		to   string
		want int // 0: accepted, -1: no answer
	}{
		{"ali@d.tr", 0}, {"fail@d.tr", 550}, {"fail-552@d.tr", 552}, {"fail-551-7@d.tr", 551}, {"fail-999@d.tr", 550},
		{"later@d.tr", 451}, {"later-450+ali@d.tr", 450}, {"later-550@d.tr", 451}, {"slow-1ms@d.tr", 0}, {"slow-x@d.tr", 0},
		{"reject@d.tr", 554}, {"drop@d.tr", -1}, {"failure@d.tr", 0},
	} {
		err := send(s, []string{c.to})
		var se *smtp.SMTPError
		switch got := errors.As(err, &se); {
		case c.want == 0 && err != nil, c.want == -1 && (err == nil || got), c.want > 0 && (!got || se.Code != c.want):
			t.Errorf("%s: %v, want %d", c.to, err, c.want)
		}
	}
	if got := len(s.Messages()); got != 4 {
		t.Errorf("%d messages kept, want 4: the accepted ones", got)
	}
	s.Reset()
	if len(s.Messages()) != 0 {
		t.Error("Reset forgot nothing")
	}
}

func TestTLSAndAuth(t *testing.T) {
	cert, pool, err := Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, implicit := range []bool{false, true} {
		s := listen(t, Config{TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Implicit: implicit, Username: "u", Password: "p"})
		dial := smtp.DialStartTLS
		if implicit {
			dial = smtp.DialTLS
		}
		c, err := dial(s.Addr(), &tls.Config{RootCAs: pool, ServerName: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		var se *smtp.SMTPError
		if err := c.Mail("a@b.tr", nil); !errors.As(err, &se) || se.Code != 530 {
			t.Errorf("MAIL without AUTH: %v, want 530", err)
		}
		if err := c.Auth(sasl.NewPlainClient("", "u", "wrong")); err == nil {
			t.Error("a wrong password was taken")
		}
		if err := c.Auth(sasl.NewPlainClient("", "u", "p")); err != nil {
			t.Fatal(err)
		}
		if err := c.SendMail("a@b.tr", []string{"c@d.tr"}, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
		if m := s.Messages()[0]; !m.TLS || m.User != "u" {
			t.Errorf("recorded TLS %v, user %q", m.TLS, m.User)
		}
		c.Close()
	}
}

func TestDiscard(t *testing.T) {
	got := 0
	s := listen(t, Config{Discard: true, Script: &Script{}, Received: func(*Message) { got++ }})
	if err := send(s, []string{"fail@d.tr"}); err != nil {
		t.Fatal(err)
	}
	if len(s.Messages()) != 0 || got != 1 || s.Stats().Accepted != 1 {
		t.Errorf("kept %d, told of %d, counted %d", len(s.Messages()), got, s.Stats().Accepted)
	}
}

// TestCutInData: the connection goes in the middle of the data and nothing is kept; other messages know when their data began.
func TestCutInData(t *testing.T) {
	s := listen(t, Config{Script: &Script{Start: func(m *Message) Reply {
		return Reply{Drop: m.To[0].Addr == "cut@d.tr", After: 10}
	}}})
	var se *smtp.SMTPError
	if err := send(s, []string{"cut@d.tr"}); err == nil || errors.As(err, &se) {
		t.Errorf("a cut connection: %v, want no answer", err)
	}
	before := time.Now()
	if err := send(s, []string{"whole@d.tr"}); err != nil {
		t.Fatal(err)
	}
	got := s.Messages()
	if len(got) != 1 || got[0].To[0].Addr != "whole@d.tr" {
		t.Fatalf("kept %d messages, want the whole one alone", len(got))
	}
	if m := got[0]; m.Began.Before(before) || m.At.Before(m.Began) {
		t.Errorf("the data began at %s and ended at %s; sent after %s", m.Began, m.At, before)
	}
}

// TestCloseAtOnce: a sink closed before its server has begun to accept stops all the same.
func TestCloseAtOnce(t *testing.T) {
	for range 200 {
		s, err := Listen(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
