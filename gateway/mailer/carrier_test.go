package mailer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
	"izinli/gateway/bounce"
	"izinli/gateway/dispatch"
	"izinli/gateway/smarthost"
)

// host plays a smarthost behind a pipe: silent, gone or good.
type host struct {
	mu   sync.Mutex
	mood string // guarded by mu
}

func (h *host) be(mood string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mood = mood
}

func (h *host) dial(string, string, time.Duration) (net.Conn, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.mood == "gone" {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	if h.mood == "silent" {
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		return ours, nil
	}
	go func() {
		defer theirs.Close()
		br := bufio.NewReader(theirs)
		for reply := "220 here"; ; {
			if _, err := io.WriteString(theirs, reply+"\r\n"); err != nil {
				return
			}
			line, err := br.ReadString('\n')
			for reply == "354 go" && err == nil && line != ".\r\n" {
				line, err = br.ReadString('\n')
			}
			if err != nil {
				return
			}
			if reply = "250 ok"; line == "DATA\r\n" {
				reply = "354 go"
			}
		}
	}()
	return ours, nil
}

func newCarrierForTest(t *testing.T, h *host, conns int) *carrier {
	t.Helper()
	cfg := smarthost.Config{Helo: "izinli.example", Dial: h.dial}
	m, err := New(Config{Domain: "izinli.example", Timeouts: cfg}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &carrier{m: m, host: gateway.Smarthost{Name: "h", MaxConns: conns}, window: conns, work: make(chan delivery)}
	if c.client, err = smarthost.New(m.cfg.Timeouts, []smarthost.Host{{Name: "h", Addr: "h:25", TLS: smarthost.TLSOff, MaxConns: conns}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.client.Close)
	return c
}

// attemptForTest is what a worker does with one message; nil: there is no place for it.
func (c *carrier) attemptForTest(t *testing.T) <-chan try {
	if _, ok := c.TryReserve(1, gateway.LaneTransactional); !ok {
		return nil
	}
	done := make(chan try, 1)
	go func() {
		a := c.attempt(t.Context(), "c.example", &smarthost.Message{From: "b@izinli.example", To: []smarthost.Recipient{{Addr: "a@c.example"}},
			Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(letterText)), nil }}, nil)
		c.free(gateway.LaneTransactional)
		done <- a
	}()
	return done
}

// A smarthost that takes connections and says nothing is down before its connections have given up, and afterwards one message at a
// time finds out whether it is back.
func TestSilentSmarthost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &host{mood: "silent"}
		c := newCarrierForTest(t, h, 10)
		var under []<-chan try
		for range 10 {
			under = append(under, c.attemptForTest(t))
		}
		if c.Window() != 10 || c.attemptForTest(t) != nil {
			t.Fatal("want ten places, all of them taken")
		}
		time.Sleep(stallAfter + time.Second)
		if c.Window() != 0 {
			t.Errorf("a host that has said nothing for %s has a window of %d", stallAfter, c.Window())
		}
		for _, done := range under {
			if a := <-done; a.outcome.Kind != smarthost.TryLater || !a.outcome.Unasked() {
				t.Errorf("%+v", a.outcome)
			}
		}
		if c.Window() != 0 {
			t.Error("it does not rest")
		}
		time.Sleep(10 * time.Second)
		if c.Window() != 1 {
			t.Errorf("after its rest: a window of %d, want one to try it", c.Window())
		}
		trial := c.attemptForTest(t)
		if trial == nil || c.Window() != 0 || c.attemptForTest(t) != nil {
			t.Error("more than one tries it")
		}
		<-trial
		time.Sleep(15 * time.Second)
		h.be("good")
		if a := <-c.attemptForTest(t); a.outcome.Kind != smarthost.Delivered || c.Window() != 10 {
			t.Errorf("back again: %+v with a window of %d", a.outcome, c.Window())
		}
		time.Sleep(time.Hour)
		if c.Window() != 10 {
			t.Error("a host that has nothing to answer is down")
		}
		h.be("gone")
		for range 3 {
			<-c.attemptForTest(t)
			if c.Window() != 0 {
				t.Error("a host that is gone has a window")
			}
			time.Sleep(6 * time.Minute)
		}
	})
}

// ledger is a store that writes down who is suppressed.
type ledger struct{ classes []string }

func (*ledger) Directory() *gateway.Directory           { return gateway.NewDirectory() }
func (*ledger) Unseal(s gateway.Sealed) (string, error) { return "", nil }
func (l *ledger) Suppress(_ context.Context, s *gateway.Suppression) error {
	l.classes = append(l.classes, s.Class)
	return nil
}

// Only what is said about the recipient suppresses him; what is said about us is an alarm.
func TestAnswerSuppresses(t *testing.T) {
	for _, c := range []struct {
		why      string
		o        smarthost.Outcome
		suppress string
		alarm    bool
	}{
		{"nobody there", smarthost.Outcome{Command: "RCPT", Code: 550, Enhanced: "5.1.1", Text: "user unknown"}, "address", false},
		{"nobody there, found out after the data", smarthost.Outcome{Command: "DATA", Code: 550, Enhanced: "5.1.1"}, "address", false},
		{"our daily limit", smarthost.Outcome{Command: "RCPT", Code: 550, Enhanced: "5.4.5", Text: "Daily user sending limit exceeded"}, "", true},
		{"the sender", smarthost.Outcome{Command: "MAIL", Code: 550, Text: "no"}, "", true},
		{"the message", smarthost.Outcome{Command: "DATA", Code: 550, Text: "no"}, "", false},
		{"no relay", smarthost.Outcome{Command: "RCPT", Code: 550, Text: "relay not permitted"}, "", true},
		{"a loop found here", smarthost.Outcome{Code: 550, Enhanced: "5.4.6", Text: "mail for the domain comes back to us"}, "", false},
		{"no such domain, found here", smarthost.Outcome{Code: 550, Enhanced: "5.1.2", Text: "the domain does not exist"}, "address", false},
	} {
		st := &ledger{}
		m, err := New(Config{Domain: "izinli.example"}, st, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.o.Kind = smarthost.Permanent
		a := (&carrier{m: m, host: gateway.Smarthost{Name: "h"}}).answer(t.Context(), &dispatch.Outgoing{Batch: &gateway.Batch{Account: 7},
			Recipient: &gateway.Recipient{Address: "a@c.example"}}, "c.example", c.o)
		if a.Verdict != dispatch.Refused || strings.Join(st.classes, " ") != c.suppress || len(m.Troubles()) > 0 != c.alarm {
			t.Errorf("%s: %+v, suppressed %v, alarms %+v", c.why, a, st.classes, m.Troubles())
		}
	}
}

// A trouble is an alarm for an hour after its last refusal, is counted on, and logged as an error when it begins.
func TestTroubles(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	var log strings.Builder
	m, err := New(Config{Domain: "izinli.example", Now: func() time.Time { return now }, Log: slog.New(slog.NewTextHandler(&log, nil))}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.Slow("a.example", bounce.ClassBlock, "550 5.7.1 listed")
	now = now.Add(time.Minute)
	m.Slow("a.example", bounce.ClassBlock, "550 5.7.1 still listed")
	m.unwanted(Trouble{Domain: "b.example", Class: bounce.ClassAuth, Carrier: "h", Reply: "550 5.7.26 dmarc"})
	want := []Trouble{{"a.example", bounce.ClassBlock, "", "550 5.7.1 still listed", now, 2}, {"b.example", bounce.ClassAuth, "h", "550 5.7.26 dmarc", now, 1}}
	if got := m.Troubles(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 2 {
		t.Errorf("%d errors, want one for each trouble:\n%s", n, log.String())
	}
	now = now.Add(troubleLasts + time.Second)
	if got := m.Troubles(); len(got) != 0 {
		t.Errorf("an hour later: %+v", got)
	}
	for i := range troubleMost + 10 {
		now = now.Add(time.Second)
		m.Slow(fmt.Sprintf("d%d.example", i), bounce.ClassBlock, "550 5.7.1 no")
	}
	if got := m.Troubles(); len(got) != troubleMost || got[0].Domain != fmt.Sprintf("d%d.example", troubleMost+9) {
		t.Errorf("%d remembered", len(got))
	}
	if got := m.Unwanted(); got["block"] != troubleMost+12 || got["auth"] != 1 {
		t.Errorf("counted %v", got)
	}
}
