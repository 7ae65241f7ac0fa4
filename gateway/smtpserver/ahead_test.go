package smtpserver

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
)

// What a man in the middle puts behind STARTTLS, before TLS has begun (RFC 3207 §6, CVE-2011-0411), ends the connection, however it is
// written and cut. Its twin, that waits, gets TLS; go-smtp forgets what was said before.
func TestInjectedCommand(t *testing.T) {
	w := newWorld(t, nil)
	for _, m := range []Mode{Submission, Relay} {
		for _, injected := range []string{
			"STARTTLS\r\nMAIL FROM:<>\r\nRCPT TO:<b@bounce.izinli.example>\r\n",
			"starttls \r\nNOOP\r\n",
			"NOOP\r\nSTARTTLS\r\nN",
			"STARTTLS\n\n",
		} {
			k := w.dial(m)
			k.expect("220")
			k.do("EHLO injected.example", "250")
			k.send(injected)
			if strings.HasPrefix(injected, "NOOP") {
				k.expect("250", "554 5.5.0")
				if got, err := k.read(); err == nil && !strings.HasPrefix(got, "554 5.5.0") {
					t.Errorf("mode %d, %q: %q", m, injected, got)
				}
			} else {
				k.expect("554 5.5.0")
			}
			k.gone()
		}
		k := w.dial(m)
		k.expect("220")
		k.do("EHLO before.example", "250")
		k.send("NOOP\r\nsTaRt")
		k.expect("250") // for NOOP
		k.send("tLs\r\n")
		k.expect("220")
		conn := tls.Client(k.conn, &tls.Config{RootCAs: w.roots, ServerName: "127.0.0.1"})
		if err := conn.Handshake(); err != nil {
			t.Fatal(err)
		}
		k.conn, k.br = conn, bufio.NewReader(conn)
		k.do("MAIL FROM:<>", "502", "503", "530") // not greeted under TLS yet
		k.do("EHLO after.example", "250")
		k.do("MAIL FROM:<>", map[Mode]string{Submission: "530 5.7.0", Relay: "250"}[m])
	}
	if got := w.srv.Metrics().Refused[Refusal{"STARTTLS", "554 5.5.0", ""}]; got != 8 {
		t.Errorf("%d counted, want 8", got)
	}
}

// Who speaks before the greeting is told so instead; who waits is greeted. A TLS client speaks first, as it must.
func TestBeforeTheGreeting(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		mode  Mode
		first string
		want  string
	}{{Relay, "EHLO x\r\nMAIL FROM:<>\r\n", "554 5.5.0"}, {Submission, "E", "554 5.5.0"}, {Relay, "", "220"}, {Submission, "", "220"}, {SubmissionTLS, "", "220"}} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w.addr[c.mode] = ln.Addr().String()
		k := w.dial(c.mode) // waits in the backlog until somebody serves
		if c.first != "" {
			k.send(c.first)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { _ = w.srv.Serve(ctx, ln, c.mode) })
		got := k.expect("220", "554")
		if !strings.HasPrefix(got, c.want) {
			t.Errorf("mode %d, first %q: %q, want %s", c.mode, c.first, got, c.want)
		}
		if c.want == "554 5.5.0" {
			k.gone()
		}
		cancel()
		wg.Wait()
	}
}

// The answers to EHLO and AUTH have to be waited for before MAIL and AUTH, and 354 before the body; in clear and under TLS.
func TestSpokenAhead(t *testing.T) {
	w := newWorld(t, func(w *world) { w.peers = []*Peer{localPeer(w, user)} })
	login := "AUTH PLAIN " + b64("\x00"+user+"\x00"+secret) + "\r\n"
	mail := "MAIL FROM:<bilgi@ornek.example>\r\n"
	rcpt := "RCPT TO:<ali@alici.example>\r\n"
	starttls := head + "\r\nSTARTTLS\r\n220 2.0.0 x\r\n" // in a text they are nothing
	for _, c := range []struct {
		why  string
		mode Mode
		say  []string // each in one go, its answers awaited
		want []string // of the last; "": it is gone
	}{
		{"EHLO and MAIL", Relay, []string{"EHLO x\r\n" + mail}, []string{"250", "554 5.5.0"}},
		{"HELO and MAIL", Relay, []string{"HELO x\r\n" + mail + rcpt}, []string{"250", "554 5.5.0"}},
		{"EHLO and AUTH", SubmissionTLS, []string{"EHLO x\r\n" + login}, []string{"250", "554 5.5.0"}},
		{"AUTH and MAIL", SubmissionTLS, []string{"EHLO x\r\n", login + mail}, []string{"235", "554 5.5.0"}},
		{"DATA and the body", Relay, []string{"EHLO x\r\n", mail + rcpt + "DATA\r\n" + msg + ".\r\n"}, []string{"250", "250", "354", "554 5.5.0"}},
		{"DATA and the body, TLS", SubmissionTLS, []string{"EHLO x\r\n", login, mail + rcpt + "DATA\r\n" + msg + ".\r\n"}, []string{"250", "250", "354", "554 5.5.0"}},
		{"EHLO and QUIT", Relay, []string{"EHLO x\r\nQUIT\r\n"}, []string{"250", "221"}},
		{"everything that may be", Relay, []string{"EHLO x\r\n", "RSET\r\n" + mail + rcpt + rcpt + "DATA\r\n", msg + ".\r\n" + mail + rcpt + "DATA\r\n", msg + ".\r\nQUIT\r\n"},
			[]string{"250", "221"}},
		{"everything that may be, TLS", SubmissionTLS, []string{"EHLO x\r\n", login, "NOOP\r\n" + mail + rcpt + "DATA\r\n", msg + ".\r\nQUIT\r\n"}, []string{"250", "221"}},
		{"BDAT with all around it", Relay, []string{"EHLO x\r\n", mail + rcpt + fmt.Sprintf("BDAT %d LAST\r\n", len(starttls)) + starttls + mail + rcpt + "RSET\r\n"},
			[]string{"250", "250", "250", "250", "250", "250"}},
	} {
		k := w.dial(c.mode)
		k.expect("220")
		for i, s := range c.say {
			k.send(s)
			if i == len(c.say)-1 {
				for _, want := range c.want {
					if got, err := k.read(); err != nil || !strings.HasPrefix(got, want) {
						t.Errorf("%s: got %q, %v; want %s", c.why, got, err, want)
					}
				}
				if last := c.want[len(c.want)-1]; last != "250" {
					k.gone()
				}
				continue
			}
			for range strings.Count(s, "\r\n") - map[bool]int{true: strings.Count(msg, "\r\n")}[strings.HasPrefix(s, msg)] {
				if got, err := k.read(); err != nil || got[0] > '3' {
					t.Fatalf("%s: %q, %v", c.why, got, err)
				}
			}
		}
		k.conn.Close()
	}
	if subs, _ := w.submissions(); len(subs) != 4 {
		t.Errorf("%d messages were taken, want 4", len(subs))
	}
}

// The last answer of SCRAM has nothing in it, and what follows it has to wait like behind any AUTH.
func TestSpokenAheadOfSCRAM(t *testing.T) {
	w := newWorld(t, nil)
	for _, waits := range []bool{false, true} {
		k := w.dial(SubmissionTLS)
		k.expect("220")
		k.do("EHLO x", "250")
		w.proved(k)
		const next = "MAIL FROM:<bilgi@ornek.example>\r\n"
		if waits {
			k.do("", "235")
			k.send(next)
			k.expect("250")
			continue
		}
		k.send("\r\n" + next)
		k.expect("235")
		k.expect("554 5.5.0")
		k.gone()
	}
}

// What follows an answer the client should have waited for, in a segment of its own that comes before the answer leaves, is seen in
// the socket.
func TestPending(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	client, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{Conn: conn, srv: &Server{conns: map[*guard]struct{}{}, perPeer: map[string]int{}, cfg: Config{}.withDefaults()}, peer: &Peer{Name: "p"}}
	defer g.Close()
	if _, yes := g.pending(); yes {
		t.Error("octets in an empty socket")
	}
	if _, err := io.WriteString(client, "EHLO x\r\nMAIL"); err != nil {
		t.Fatal(err)
	}
	one := make([]byte, 8)
	g.turns.greeted.Store(true)
	if _, err := io.ReadFull(g, one); err != nil {
		t.Fatal(err)
	}
	if first, yes := g.pending(); !yes || first != 'M' {
		t.Errorf("%q, %v: MAIL lies there", first, yes)
	}
	g.await()
	if !g.ahead() {
		t.Error("the answer has not left")
	}
	if _, err := g.Read(one); err != nil || !g.ahead() {
		t.Errorf("%v: MAIL lay there before the answer left", err)
	}
	client.Close()
	if _, err := g.Read(one); err == nil {
		t.Error("the end was not read")
	}
	if _, yes := g.pending(); yes {
		t.Error("an end is no octet")
	}
}
