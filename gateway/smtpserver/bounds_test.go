package smtpserver

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
	"izinli/gateway/mail"
)

func TestConnectionLimits(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.MaxPerAddress = 2; w.cfg.MaxPerAccount = 1; w.cfg.MaxMessages = 1 })
	first := w.ready(SubmissionTLS, user)
	second := w.dial(SubmissionTLS)
	second.expect("220")
	second.do("EHLO x", "250")
	second.do("AUTH PLAIN "+b64("\x00"+user+"\x00"+secret), "454 4.7.0 Too many sessions")
	third := w.dial(Relay)
	third.expect("421 4.7.0")
	third.gone()
	if got := w.srv.Metrics().TurnedAway[causeAddress]; got != 1 {
		t.Errorf("%d turned away", got)
	}
	first.do("QUIT", "221")
	first.gone()
	second.do("AUTH PLAIN "+b64("\x00"+user+"\x00"+secret), "235")
	second.do("MAIL FROM:<bilgi@ornek.example>", "250")
	second.do("RSET", "250")
	second.do("MAIL FROM:<bilgi@ornek.example>", "421 4.7.0 Too many messages")
	second.gone()
}

// A peer has a limit of its own, and does not use up that of strangers.
func TestPeerLimit(t *testing.T) {
	w := newWorld(t, func(w *world) { p := localPeer(w, user); p.MaxConns = 1; w.peers = []*Peer{p}; w.cfg.MaxPerAddress = 1 })
	k := w.ready(Relay, "")
	other := w.dial(Relay)
	other.expect("421 4.7.0")
	k.do("NOOP", "250")
}

// pipeListener serves connections of memory, so that time can be the test's.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// lines reads what the server says; an unbuffered pipe needs a reader.
func lines(c net.Conn) <-chan string {
	out := make(chan string, 100)
	go func() {
		defer close(out)
		k := &talk{conn: c}
		k.br = bufio.NewReader(c)
		for {
			line, err := k.br.ReadString('\n')
			if line != "" {
				out <- line
			}
			if err != nil {
				return
			}
		}
	}()
	return out
}

// bubble runs a relay door in fake time and hands the client's end to do.
func bubble(t *testing.T, do func(c net.Conn, said <-chan string, stop func())) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: gateway.NewDirectory()}
		_, client, stop, served := w.pipe(w)
		do(client, lines(client), stop)
		client.Close()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// pipe runs a relay door with one client, in memory.
func (w *world) pipe(inbox Inbox) (srv *Server, client net.Conn, stop func(), served <-chan error) {
	srv, err := New(Config{Domain: "mx.izinli.example"}, Deps{Auth: noAuth{}, Submit: w, Bodies: noBodies{}, Directory: w.Directory, Inbox: inbox})
	if err != nil {
		w.t.Fatal(err)
	}
	ln := &pipeListener{make(chan net.Conn), make(chan struct{})}
	ctx, stop := context.WithCancel(w.t.Context())
	ended := make(chan error)
	go func() { ended <- srv.Serve(ctx, ln, Relay) }()
	client, server := net.Pipe()
	ln.conns <- server
	return srv, client, stop, ended
}

func (w *world) expectLine(t *testing.T, said <-chan string, want string) {
	t.Helper()
	if got := <-said; !strings.HasPrefix(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// trickle writes s again and again until the returned func is called or nobody reads.
func trickle(c net.Conn, s string, every time.Duration) (end func()) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if _, err := io.WriteString(c, s); err != nil {
				return
			}
			select {
			case <-time.After(every):
			case <-stop:
				return
			}
		}
	}()
	return func() { close(stop); c.Close(); <-done }
}

func TestSilence(t *testing.T) {
	bubble(t, func(_ net.Conn, said <-chan string, _ func()) {
		start := time.Now()
		(&world{}).expectLine(t, said, "220")
		(&world{}).expectLine(t, said, "421 4.4.2")
		if got := time.Since(start); got != 5*time.Minute {
			t.Errorf("a silent client is kept for %v", got)
		}
	})
}

// A command line of one octet a minute ends with the time for the line, not for the octet, and the session with its own.
func TestSlowCommand(t *testing.T) {
	bubble(t, func(c net.Conn, said <-chan string, _ func()) {
		start := time.Now()
		(&world{}).expectLine(t, said, "220")
		defer trickle(c, "X", time.Minute)()
		// What stands there when the time for a line is over counts as the line: go-smtp answers it and waits anew.
		(&world{}).expectLine(t, said, "501")
		if got := time.Since(start); got != 5*time.Minute {
			t.Errorf("a line took %v", got)
		}
		for range said {
		}
		if got := time.Since(start); got > 10*time.Minute {
			t.Errorf("kept for %v", got)
		}
	})
}

// A stranger who keeps talking nonsense politely leaves after StrangerFor.
func TestStrangerLeaves(t *testing.T) {
	bubble(t, func(c net.Conn, said <-chan string, _ func()) {
		start := time.Now()
		(&world{}).expectLine(t, said, "220")
		defer trickle(c, "NOOP\r\n", time.Minute)()
		for line := range said {
			if strings.HasPrefix(line, "421") {
				break
			}
		}
		if got := time.Since(start); got != 10*time.Minute {
			t.Errorf("kept for %v", got)
		}
	})
}

// Data below the least rate ends, though every block comes in time.
func TestSlowData(t *testing.T) {
	bubble(t, func(c net.Conn, said <-chan string, _ func()) {
		(&world{}).expectLine(t, said, "220")
		for _, cmd := range []string{"HELO x", "MAIL FROM:<>", "RCPT TO:<b@bounce.izinli.example>"} {
			_, _ = io.WriteString(c, cmd+"\r\n")
			(&world{}).expectLine(t, said, "250")
		}
		_, _ = io.WriteString(c, "DATA\r\n")
		(&world{}).expectLine(t, said, "354")
		start := time.Now()
		defer trickle(c, "x\r\n", time.Second)()
		(&world{}).expectLine(t, said, "421 4.4.2 Message transfer too slow")
		if got := time.Since(start); got > 2*time.Minute {
			t.Errorf("kept for %v", got)
		}
	})
}

func TestStop(t *testing.T) {
	bubble(t, func(_ net.Conn, said <-chan string, stop func()) {
		(&world{}).expectLine(t, said, "220")
		start := time.Now()
		stop()
		(&world{}).expectLine(t, said, "421")
		if got := time.Since(start); got > time.Second {
			t.Errorf("an idle client held the stop up for %v", got)
		}
	})
}

// What was coming in when the stop came is still accepted and answered.
func TestStopDuringData(t *testing.T) {
	bubble(t, func(c net.Conn, said <-chan string, stop func()) {
		(&world{}).expectLine(t, said, "220")
		for _, cmd := range []string{"HELO x", "MAIL FROM:<>", "RCPT TO:<b@bounce.izinli.example>"} {
			_, _ = io.WriteString(c, cmd+"\r\n")
			(&world{}).expectLine(t, said, "250")
		}
		_, _ = io.WriteString(c, "DATA\r\n")
		(&world{}).expectLine(t, said, "354")
		_, _ = io.WriteString(c, "Subject: x\r\n\r\nhello\r\n")
		synctest.Wait()
		stop()
		synctest.Wait()
		_, _ = io.WriteString(c, ".\r\n")
		(&world{}).expectLine(t, said, "250")
		(&world{}).expectLine(t, said, "421")
	})
}

// A session cut when its time to stop is over still ends before Serve does: what it calls is closed after that.
func TestStopWaitsForTheCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, dir: gateway.NewDirectory()}
		inbox := &slowInbox{world: w, begun: make(chan struct{}), linger: func() { time.Sleep(inboxTail) }}
		srv, client, stop, served := w.pipe(inbox)
		defer client.Close()
		said := lines(client)
		for _, cmd := range []string{"", "HELO x", "MAIL FROM:<>", "RCPT TO:<b@bounce.izinli.example>", "DATA"} {
			if cmd != "" {
				_, _ = io.WriteString(client, cmd+"\r\n")
			}
			<-said
		}
		_, _ = io.WriteString(client, "Subject: x\r\n\r\nhello\r\n.\r\n")
		<-inbox.begun
		start := time.Now()
		stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
		if got, want := time.Since(start), srv.cfg.StopTimeout+inboxTail; got != want || !inbox.ended.Load() {
			t.Errorf("Serve returned after %v, want %v; the delivery had ended: %v", got, want, inbox.ended.Load())
		}
	})
}

// slowInbox takes until its context ends, and a while more.
type slowInbox struct {
	*world
	begun  chan struct{}
	linger func()
	ended  atomic.Bool
}

const inboxTail = 3 * time.Second

func (i *slowInbox) Deliver(ctx context.Context, in Incoming) error {
	if _, err := io.ReadAll(in.Body); err != nil {
		return err
	}
	close(i.begun)
	<-ctx.Done()
	i.linger()
	i.ended.Store(true)
	return ctx.Err()
}

type noAuth struct{ Authenticator }

type noBodies struct{ gateway.BodyStore }

func TestReplies(t *testing.T) {
	for _, c := range gateway.Codes() {
		r := replyOfCode(c, "")
		if r.Code/100 != r.EnhancedCode[0] || r.Code/100 < 4 || r.Code/100 > 5 {
			t.Errorf("%s: %d %v", c, r.Code, r.EnhancedCode)
		}
		if strings.ContainsFunc(r.Message, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%s: %q is not printable ASCII", c, r.Message)
		}
	}
	if got := replyOfCode(gateway.CodeNoConsent, "").Message; !strings.Contains(got, "IYS") {
		t.Errorf("%q", got)
	}
	if got := mail.ASCII("a\r\n250 b"); strings.ContainsAny(got, "\r\n") {
		t.Errorf("%q", got)
	}
	if replyOf(nil) != nil || replyOfVerdict(gateway.Verdict{State: gateway.StateHeld}) != nil {
		t.Error("acceptance has become a refusal")
	}
	if replyOfVerdict(gateway.Verdict{}) == nil {
		t.Error("the zero verdict passes")
	}
	for err, want := range map[error]int{errors.New("x"): 454, gateway.Refuse(gateway.CodeUnauthorized, "", ""): 535, gateway.Refuse(gateway.CodeForbiddenAddress, "", ""): 535,
		gateway.Refuse(gateway.CodeThrottled, "", ""): 454, gateway.Refuse(gateway.CodeUnavailable, "", ""): 454} {
		if got := replyOfAuth(err).Error(); !strings.Contains(got, map[int]string{454: "454", 535: "535"}[want]) {
			t.Errorf("%v: %s, want %d", err, got, want)
		}
	}
}

// A stranger's long domain in foreign letters is refused for its length: converting it takes a third of a second of ours.
func TestLongDomain(t *testing.T) {
	var b strings.Builder
	for i := range 3500 {
		b.WriteRune(rune(0x4e00 + i*7919%20000))
	}
	for domain, want := range map[string]bool{b.String(): false, strings.Repeat("ş.", 84) + "example": false, strings.Repeat("ş.", 20) + "example": true} {
		if n := testing.AllocsPerRun(1, func() {
			if _, err := mailbox("a@"+domain, true); (err == nil) != want {
				t.Errorf("a domain of %d octets: %v", len(domain), err)
			}
		}); !want && n > 10 {
			t.Errorf("a domain of %d octets was converted: %v allocations", len(domain), n)
		}
	}
}

func FuzzMailbox(f *testing.F) {
	f.Add("Ali@Örnek.example", true)
	f.Add("a@b.example>\r\nDATA", false)
	f.Fuzz(func(t *testing.T, in string, utf8 bool) {
		a, err := mailbox(in, utf8)
		if err != nil {
			return
		}
		if again, err := mailbox(a, false); err != nil || again != a || !isASCII(a) || strings.ContainsAny(a, " \r\n<>,;\"") {
			t.Fatalf("%q became %q and then %q, %v", in, a, again, err)
		}
	})
}

func FuzzSCRAMFirst(f *testing.F) {
	f.Add("n,,n=user,r=abc")
	f.Add("y,a=us=2Cer,n=us=2Cer,r=abc,ext=1")
	f.Fuzz(func(t *testing.T, in string) {
		a := &scramServer{}
		name, nonce, err := a.parseFirst(in)
		if err == nil && (name == "" || nonce == "" || a.gs2+a.bare != in) {
			t.Fatalf("%q read as %q, %q; rebuilt %q", in, name, nonce, a.gs2+a.bare)
		}
	})
}
