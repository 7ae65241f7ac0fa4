package smarthost

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway/smtptest"
)

const small = "From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n.dot\r\n..\r\n.\r\nend\r\n"

func text(s string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }
}

func message(body string, to ...string) Message {
	m := Message{From: "bounce@b.example", Body: text(body), Size: int64(len(body))}
	for _, a := range to {
		m.To = append(m.To, Recipient{Addr: a})
	}
	return m
}

func client(t *testing.T, cfg Config, hosts ...Host) *Client {
	t.Helper()
	if cfg.Helo == "" {
		cfg.Helo = "izinli.example"
	}
	c, err := New(cfg, hosts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func sink(t *testing.T, cfg smtptest.Config) *smtptest.Sink {
	t.Helper()
	s, err := smtptest.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func kinds(res Result) (out []Kind) {
	for _, o := range res.Outcomes {
		out = append(out, o.Kind)
	}
	return out
}

// Every way of talking delivers the same octets and the same outcomes: with and without PIPELINING and CHUNKING, small and large.
func TestDeliver(t *testing.T) {
	large := small + strings.Repeat(strings.Repeat("x", 70)+"\r\n.y\r\n", 4000) // five chunks
	for _, body := range []string{small, large} {
		for _, hide := range []string{"", "CHUNKING", "PIPELINING", "PIPELINING CHUNKING", "DSN SIZE 8BITMIME CHUNKING"} {
			t.Run(fmt.Sprintf("%d without %s", len(body), hide), func(t *testing.T) {
				s := sink(t, smtptest.Config{})
				c := client(t, Config{}, Host{Name: "h", Addr: proxy(t, s.Addr(), hide), TLS: TLSOff})
				for range 3 {
					res := c.Deliver(t.Context(), message(body, "ali@c.example", "fail-550@c.example", "later@c.example", "veli@c.example"))
					if got, want := kinds(res), []Kind{Delivered, Permanent, TryLater, Delivered}; !slices.Equal(got, want) {
						t.Fatalf("kinds %v, want %v: %+v", got, want, res.Outcomes)
					}
					if o := res.Outcomes[1]; o.Code != 550 || o.Enhanced != "5.1.1" || o.Text != "no such user here" || o.Host != "h" {
						t.Errorf("refused: %+v", o)
					}
					if o := res.Outcomes[0]; !strings.HasPrefix(o.QueueID, "SINK") || o.DSN == strings.Contains(hide, "DSN") {
						t.Errorf("delivered: %+v", o)
					}
					res = c.Deliver(t.Context(), message(body, "fail@c.example")) // nobody is left: the connection lives on
					if got := kinds(res); got[0] != Permanent {
						t.Fatalf("kinds %v", got)
					}
				}
				msgs := s.Messages()
				if len(msgs) != 3 {
					t.Fatalf("%d messages arrived, want 3", len(msgs))
				}
				for _, m := range msgs {
					if string(m.Body) != body || len(m.To) != 2 || m.From != "bounce@b.example" {
						t.Errorf("arrived: %d octets from %q to %v, want %d octets", len(m.Body), m.From, m.To, len(body))
					}
				}
				if n := s.Stats().Sessions; n != 1 {
					t.Errorf("%d connections for six messages, want one", n)
				}
			})
		}
	}
}

// proxy passes a session on, hiding EHLO keywords.
func proxy(t *testing.T, addr, hide string) string {
	t.Helper()
	if hide == "" {
		return addr
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { ln.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			front, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer front.Close()
				back, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				defer back.Close()
				wg.Go(func() { _, _ = io.Copy(back, front); back.Close() })
				br := bufio.NewReader(back)
				for {
					line, err := br.ReadString('\n')
					if err != nil {
						return
					}
					if word, _, _ := strings.Cut(strings.TrimSpace(line[min(4, len(line)):]), " "); slices.Contains(strings.Fields(hide), word) {
						line = line[:4] + "XHIDDEN\r\n"
					}
					if _, err := io.WriteString(front, line); err != nil {
						return
					}
				}
			})
		}
	})
	return ln.Addr().String()
}

func TestWholeMessageRefused(t *testing.T) {
	s := sink(t, smtptest.Config{Script: &smtptest.Script{
		Mail: func(from string) smtptest.Reply {
			if from == "bad@b.example" {
				return smtptest.Reply{Code: 553, Enhanced: [3]int{5, 1, 8}, Text: "sender refused"}
			}
			return smtptest.Reply{}
		},
		Data: func(m *smtptest.Message) smtptest.Reply {
			if m.From == "late@b.example" {
				return smtptest.Reply{Code: 452, Enhanced: [3]int{4, 3, 1}, Text: "disk full"}
			}
			return smtptest.Reply{}
		}}})
	for _, hide := range []string{"", "CHUNKING", "PIPELINING", "PIPELINING CHUNKING"} {
		c := client(t, Config{}, Host{Addr: proxy(t, s.Addr(), hide), TLS: TLSOff})
		for _, w := range []struct {
			from string
			kind Kind
			code int
			cmd  string
		}{{"bad@b.example", Permanent, 553, "MAIL"}, {"good@b.example", Delivered, 250, "DATA"}, {"late@b.example", TryLater, 452, "DATA"}, {"good@b.example", Delivered, 250, "DATA"}} {
			m := message(small, "x@c.example", "y@c.example")
			m.From = w.from
			for _, o := range c.Deliver(t.Context(), m).Outcomes {
				if o.Kind != w.kind || o.Code != w.code || o.Command != w.cmd {
					t.Errorf("without %q, from %s: %+v, want %v %d to %s", hide, w.from, o, w.kind, w.code, w.cmd)
				}
			}
		}
	}
}

// A connection cut after the data leaves doubt, not an answer; cut before, it does not.
func TestDoubt(t *testing.T) {
	for _, hide := range []string{"", "CHUNKING", "PIPELINING"} {
		s := sink(t, smtptest.Config{})
		c := client(t, Config{}, Host{Addr: proxy(t, s.Addr(), hide), TLS: TLSOff})
		res := c.Deliver(t.Context(), message(small, "drop@c.example", "fail@c.example"))
		if got, want := kinds(res), []Kind{Doubt, Permanent}; !slices.Equal(got, want) {
			t.Errorf("without %q: %v, want %v", hide, got, want)
		}
		if res := c.Deliver(t.Context(), message(small, "ali@c.example")); res.Outcomes[0].Kind != Delivered {
			t.Errorf("without %q: the next one: %+v", hide, res.Outcomes)
		}
	}
}

// TestConnectionEnded: a host that ends every connection after two messages, with 421 or without a word, gets the next one over a new
// connection: nothing is in doubt, since nothing was taken, and the host does not rest. A first message answered so is no such thing.
func TestConnectionEnded(t *testing.T) {
	for _, c := range []struct {
		hide string
		how  smtptest.Reply
	}{
		{"", smtptest.Reply{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "too many messages"}},
		{"CHUNKING", smtptest.Reply{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "too many messages"}},
		{"PIPELINING", smtptest.Reply{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "too many messages"}},
		{"PIPELINING", smtptest.Reply{Drop: true}},
	} {
		var mails atomic.Int64
		s := sink(t, smtptest.Config{Script: &smtptest.Script{Mail: func(string) smtptest.Reply {
			if mails.Add(1)%3 == 0 {
				return c.how
			}
			return smtptest.Reply{}
		}}})
		client := client(t, Config{}, Host{Addr: proxy(t, s.Addr(), c.hide), TLS: TLSOff, MaxConns: 1})
		for i := range 6 {
			if o := client.Deliver(t.Context(), message(small, "ali@c.example")).Outcomes[0]; o.Kind != Delivered {
				t.Errorf("without %q, %+v: message %d: %+v", c.hide, c.how, i, o)
			}
		}
		if st := client.Status()[0]; !st.Rests.IsZero() || st.Open > 1 {
			t.Errorf("without %q, %+v: the host rests: %+v", c.hide, c.how, st)
		}
	}
	s := sink(t, smtptest.Config{Script: &smtptest.Script{Mail: func(string) smtptest.Reply { return smtptest.Reply{Code: 421, Text: "closing"} }}})
	client := client(t, longRest, Host{Addr: s.Addr(), TLS: TLSOff})
	if o := client.Deliver(t.Context(), message(small, "ali@c.example")).Outcomes[0]; o.Kind != TryLater || !o.Unasked() {
		t.Errorf("421 to the first message: %+v, want another try", o)
	}
	if client.Status()[0].Rests.IsZero() {
		t.Error("a host that is closing does not rest")
	}
}

func TestHandOff(t *testing.T) {
	no := errors.New("consent was withdrawn")
	for _, hide := range []string{"", "CHUNKING", "PIPELINING"} {
		s := sink(t, smtptest.Config{})
		c := client(t, Config{}, Host{Addr: proxy(t, s.Addr(), hide), TLS: TLSOff})
		m := message(small, "ali@c.example")
		asked := 0
		m.HandOff = func(context.Context) error { asked++; return no }
		res := c.Deliver(t.Context(), m)
		if !errors.Is(res.Held, no) || asked != 1 || res.Outcomes[0].Kind != TryLater {
			t.Errorf("held %v, asked %d, %+v", res.Held, asked, res.Outcomes)
		}
		m.HandOff = func(context.Context) error { asked++; return nil }
		if res := c.Deliver(t.Context(), m); res.Held != nil || asked != 2 || res.Outcomes[0].Kind != Delivered {
			t.Errorf("then: held %v, asked %d, %+v", res.Held, asked, res.Outcomes)
		}
		if n := len(s.Messages()); n != 1 {
			t.Errorf("%d messages arrived, want the one that was permitted", n)
		}
		if n := s.Stats().Sessions; n != 1 {
			t.Errorf("%d connections, want one", n)
		}
	}
}

// longRest is for tests that look whether a host rests: it does until they have looked.
var longRest = Config{RestFirst: time.Hour, RestMost: time.Hour}

func TestFailover(t *testing.T) {
	const dead = "dead.example:25"
	cfg := longRest
	cfg.Dial = func(network, addr string, timeout time.Duration) (net.Conn, error) {
		if addr == dead {
			return nil, errors.New("connection refused") // a port that was closed may be somebody's by now
		}
		return net.DialTimeout(network, addr, timeout)
	}
	busy := greeter(t, "421 4.3.2 not now\r\n")
	strange := greeter(t, "hello\r\n")
	s := sink(t, smtptest.Config{})
	c := client(t, cfg, Host{Name: "dead", Addr: dead, TLS: TLSOff}, Host{Name: "busy", Addr: busy, TLS: TLSOff, Rank: 1},
		Host{Name: "strange", Addr: strange, TLS: TLSOff, Rank: 1}, Host{Name: "good", Addr: s.Addr(), TLS: TLSOff, Rank: 2})
	handOffs := 0
	m := message(small, "ali@c.example")
	m.HandOff = func(context.Context) error { handOffs++; return nil }
	for range 2 {
		if res := c.Deliver(t.Context(), m); res.Outcomes[0].Kind != Delivered || res.Outcomes[0].Host != "good" {
			t.Errorf("%+v", res.Outcomes)
		}
	}
	if handOffs != 2 {
		t.Errorf("asked %d times for two hand-offs", handOffs)
	}
	for _, st := range c.Status() {
		if rests := !st.Rests.IsZero(); rests != (st.Name != "good") || rests && st.LastError == "" {
			t.Errorf("%+v", st)
		}
	}
	// All of them gone: nothing is known about the recipient, and the next try has a date.
	alone := client(t, cfg, Host{Addr: dead, TLS: TLSOff})
	alone.Deliver(t.Context(), m)
	res := alone.Deliver(t.Context(), m)
	if res.Outcomes[0].Kind != TryLater || res.RetryAfter.IsZero() {
		t.Errorf("%+v, retry after %v", res.Outcomes, res.RetryAfter)
	}
}

// TestFailingTogether: twenty attempts that meet one short outage are one failure, not twenty in a row: the host rests for the first
// time only, and for the second time after the next outage.
func TestFailingTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int64
		c := client(t, Config{RestFirst: 5 * time.Second, RestMost: 5 * time.Minute, Dial: func(string, string, time.Duration) (net.Conn, error) {
			time.Sleep(time.Duration(dials.Add(1)) * time.Millisecond) // one after the other, all begun before the first has failed
			return nil, errors.New("connection refused")
		}}, Host{Addr: "127.0.0.1:1", TLS: TLSOff, MaxConns: 20})
		for _, want := range []time.Duration{5 * time.Second, 10 * time.Second} {
			dials.Store(0)
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() { c.Deliver(t.Context(), message(small, "a@c.example")) })
			}
			wg.Wait()
			if rests := time.Until(c.Status()[0].Rests); rests > want || rests < want/2 {
				t.Errorf("after %d attempts at once the host rests %s, want %s from the first", dials.Load(), rests, want)
			}
			time.Sleep(want)
		}
	})
}

// greeter says one line to every client.
func greeter(t *testing.T, line string) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, line)
			c.Close()
		}
	}()
	return ln.Addr().String()
}

// Hosts of one rank share the load, and MaxPerConn and MaxConns hold.
func TestSharingAndLimits(t *testing.T) {
	a, b := sink(t, smtptest.Config{}), sink(t, smtptest.Config{})
	c := client(t, Config{}, Host{Addr: a.Addr(), TLS: TLSOff, MaxPerConn: 2, MaxConns: 1}, Host{Addr: b.Addr(), TLS: TLSOff, MaxConns: 2})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if res := c.Deliver(t.Context(), message(small, "ali@c.example")); res.Outcomes[0].Kind != Delivered {
				t.Errorf("%+v", res.Outcomes)
			}
		})
	}
	wg.Wait()
	if x, y := a.Stats(), b.Stats(); x.Accepted != 10 || y.Accepted != 10 || x.Sessions != 5 || y.Sessions > 2 {
		t.Errorf("one %+v, other %+v", x, y)
	}
}

func TestTLSPolicies(t *testing.T) {
	cert, pool, err := smtptest.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	plain := sink(t, smtptest.Config{})
	start := sink(t, smtptest.Config{TLS: conf, Username: "u", Password: "p"})
	open := sink(t, smtptest.Config{TLS: conf})
	implicit := sink(t, smtptest.Config{TLS: conf, Implicit: true})
	for _, w := range []struct {
		why    string
		host   Host
		want   Kind
		secure bool
	}{
		{"verified", Host{Addr: start.Addr(), Roots: pool, Username: "u", Password: "p"}, Delivered, true},
		{"verified, unknown issuer", Host{Addr: open.Addr()}, TryLater, false},
		{"verified, another name", Host{Addr: open.Addr(), Roots: pool, ServerName: "other.example"}, TryLater, false},
		{"verified, none offered: never in clear", Host{Addr: plain.Addr(), Roots: pool}, TryLater, false},
		{"encrypted with any certificate", Host{Addr: open.Addr(), TLS: TLSEncrypted}, Delivered, true},
		{"encrypted, none offered", Host{Addr: plain.Addr(), TLS: TLSEncrypted}, TryLater, false},
		{"opportunistic", Host{Addr: open.Addr(), TLS: TLSOpportunistic}, Delivered, true},
		{"opportunistic, none offered", Host{Addr: plain.Addr(), TLS: TLSOpportunistic}, Delivered, false},
		{"implicit", Host{Addr: implicit.Addr(), TLS: TLSImplicit, Roots: pool}, Delivered, true},
		{"implicit, unknown issuer", Host{Addr: implicit.Addr(), TLS: TLSImplicit}, TryLater, false},
		{"off", Host{Addr: open.Addr(), TLS: TLSOff}, Delivered, false},
		{"a wrong password is the host's trouble, not the recipient's", Host{Addr: start.Addr(), Roots: pool, Username: "u", Password: "x"}, TryLater, false},
		{"no password where one is needed", Host{Addr: start.Addr(), Roots: pool}, Permanent, false},
	} {
		for _, s := range []*smtptest.Sink{plain, start, open, implicit} {
			s.Reset()
		}
		res := client(t, Config{}, w.host).Deliver(t.Context(), message(small, "ali@c.example"))
		if got := res.Outcomes[0].Kind; got != w.want {
			t.Errorf("%s: %+v, want %v", w.why, res.Outcomes[0], w.want)
		}
		var arrived []*smtptest.Message
		for _, s := range []*smtptest.Sink{plain, start, open, implicit} {
			arrived = append(arrived, s.Messages()...)
		}
		if (len(arrived) == 1) != (w.want == Delivered) || len(arrived) == 1 && arrived[0].TLS != w.secure {
			t.Errorf("%s: %d arrived", w.why, len(arrived))
		}
	}
	for _, p := range []TLSPolicy{TLSOff, TLSOpportunistic} {
		if _, err := New(Config{Helo: "x"}, []Host{{Addr: "h:25", TLS: p, Username: "u"}}); err == nil {
			t.Error("a password would go in clear")
		}
	}
}

// What a man in the middle says between STARTTLS and TLS is not heard.
func TestInjectedReply(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		br := bufio.NewReader(c)
		_, _ = io.WriteString(c, "220 x\r\n")
		_, _ = br.ReadString('\n')
		_, _ = io.WriteString(c, "250-x\r\n250 STARTTLS\r\n")
		_, _ = br.ReadString('\n')
		_, _ = io.WriteString(c, "220 go\r\n250 injected\r\n")
		_, _ = br.ReadString('\n')
	}()
	res := client(t, Config{}, Host{Addr: ln.Addr().String(), TLS: TLSEncrypted}).Deliver(t.Context(), message(small, "ali@c.example"))
	if o := res.Outcomes[0]; o.Kind != TryLater || !strings.Contains(o.Text, errInjected.Error()) {
		t.Errorf("%+v", o)
	}
}

func TestUnable(t *testing.T) {
	s := sink(t, smtptest.Config{MaxSize: 1000})
	c := client(t, Config{}, Host{Addr: proxy(t, s.Addr(), "SMTPUTF8"), TLS: TLSOff})
	for _, w := range []struct {
		why  string
		edit func(*Message)
		want string
		kind Kind
	}{
		{"too large", func(m *Message) { m.Size = 1001 }, "5.3.4", Permanent},
		{"needs SMTPUTF8", func(m *Message) { m.UTF8 = true }, "5.6.9", Permanent},
		{"an address that needs it", func(m *Message) { m.To[0].Addr = "ş@b.example" }, "5.6.7", Permanent},
		{"a command in the address", func(m *Message) { m.To[0].Addr = "a@b.example>\r\nRCPT TO:<c@d.example" }, "5.1.3", Permanent},
		{"a command in the sender", func(m *Message) { m.From = "a@b.example\r\nDATA" }, "5.1.3", Permanent},
		{"a bare LF in the body", func(m *Message) { m.Body = text("Subject: x\r\n\r\na\n.\nb\r\n") }, "5.6.0", Permanent},
		{"NUL in the body", func(m *Message) { m.Body = text("Subject: x\r\n\r\na\x00\r\n") }, "5.6.0", Permanent},
		{"a body that cannot be read", func(m *Message) { m.Body = func() (io.ReadCloser, error) { return nil, errors.New("gone") } }, "", TryLater},
		{"the null sender passes", func(m *Message) { m.From = "" }, "2.0.0", Delivered},
	} {
		m := message(small, "ali@c.example")
		w.edit(&m)
		if o := c.Deliver(t.Context(), m).Outcomes[0]; o.Kind != w.kind || o.Enhanced != w.want {
			t.Errorf("%s: %+v, want %v %s", w.why, o, w.kind, w.want)
		}
	}
	if st := c.Status()[0]; !st.Rests.IsZero() {
		t.Errorf("the host rests for faults that are not its own: %+v", st)
	}
	if n := len(s.Messages()); n != 1 {
		t.Errorf("%d messages arrived, want the one with the null sender", n)
	}
}

func TestEnvelopeParameters(t *testing.T) {
	s := sink(t, smtptest.Config{})
	c := client(t, Config{}, Host{Addr: s.Addr(), TLS: TLSOff})
	m := message(small, "ali@c.example")
	m.EnvID, m.Return, m.UTF8 = "QQ 314+=", "HDRS", true
	m.To[0].Notify, m.To[0].ORcpt = "SUCCESS,FAILURE", "rfc822;Ali+x@c.example"
	if res := c.Deliver(t.Context(), m); res.Outcomes[0].Kind != Delivered {
		t.Fatalf("%+v", res.Outcomes)
	}
	got := s.Messages()[0]
	if o := got.Options; o.EnvelopeID != "QQ 314+=" || o.Return != "HDRS" || !o.UTF8 || o.Size != int64(len(small)) || o.Body != "8BITMIME" {
		t.Errorf("MAIL %+v", o)
	}
	if o := got.To[0].Options; len(o.Notify) != 2 || o.OriginalRecipient != "Ali+x@c.example" {
		t.Errorf("RCPT %+v", o)
	}
}

func TestCancelled(t *testing.T) {
	asked := make(chan struct{})
	s := sink(t, smtptest.Config{Script: &smtptest.Script{Data: func(*smtptest.Message) smtptest.Reply {
		close(asked)
		return smtptest.Reply{Delay: 1 << 40}
	}}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	res := client(t, Config{}, Host{Addr: s.Addr(), TLS: TLSOff}).Deliver(ctx, message(small, "ali@c.example"))
	if res.Outcomes[0].Kind != Doubt {
		t.Errorf("%+v, want doubt: all was sent", res.Outcomes)
	}
	if res := client(t, Config{}, Host{Addr: s.Addr(), TLS: TLSOff}).Deliver(ctx, message(small, "ali@c.example")); res.Outcomes[0].Kind != TryLater {
		t.Errorf("%+v", res.Outcomes)
	}
}

func TestQueueID(t *testing.T) {
	for text, want := range map[string]string{
		"Ok: queued as 4ABCDE1234": "4ABCDE1234", "OK id=1tEabc-0000xy-2B": "1tEabc-0000xy-2B",
		"OK  1700000000 d2e1a72fcca58-7 - gsmtp":                              "d2e1a72fcca58-7",
		"<abc@x.example> [InternalId=5, Hostname=Y] Queued mail for delivery": "abc@x.example",
		"thanks": "thanks",
	} {
		if got := queueID(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func FuzzReply(f *testing.F) {
	f.Add("250-2.1.0 a\r\n250 2.1.0 b\r\n")
	f.Fuzz(func(t *testing.T, in string) {
		a, b := net.Pipe()
		defer a.Close()
		go func() { _, _ = io.WriteString(b, in); b.Close() }()
		cfg := Config{}.withDefaults()
		c := &conn{cfg: &cfg, nc: a}
		c.buffers()
		r, err := c.read(cfg.CommandTimeout)
		if err == nil && (r.code < 200 || r.code > 599 || strings.ContainsAny(r.text, "\r\n") || r.enhanced != "" && !isEnhanced(r.enhanced)) {
			t.Fatalf("%q became %+v", in, r)
		}
	})
}

// New connections keep to their rate, but those a host may have at once come at once.
func TestDialsPerMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var mu sync.Mutex
		var at []time.Duration
		c := client(t, Config{RestFirst: time.Nanosecond, RestMost: time.Nanosecond, Dial: func(string, string, time.Duration) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			at = append(at, time.Since(start))
			return nil, errors.New("connection refused")
		}}, Host{Addr: "127.0.0.1:1", TLS: TLSOff, MaxConns: 3, DialsPerMinute: 60})
		for range 6 {
			time.Sleep(time.Microsecond)
			c.Deliver(t.Context(), message(small, "a@c.example"))
		}
		for i, want := range []time.Duration{0, 0, 0, 1, 2, 3} {
			if got := at[i].Round(100 * time.Millisecond); got != want*time.Second {
				t.Errorf("connection %d after %s, want %ds", i+1, got, want)
			}
		}
	})
}
