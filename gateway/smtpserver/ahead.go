package smtpserver

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A client waits for the greeting, and for the answers to EHLO, AUTH, STARTTLS and DATA, before it says more (RFC 5321 §4.3.1, RFC 2920
// §3.1, RFC 3207 §4, RFC 4954 §4). Whoever speaks ahead is a program that listens to no answer, or somebody who puts commands into
// another's connection: it is told 554 5.5.0 and cut off, as Postfix (smtpd_forbid_unauth_pipelining) and Exim (smtp_enforce_sync) do.
//
//   - Before the greeting, on a listener that begins in clear: what lies in the socket when the greeting is about to leave. There is no
//     pause in which to catch more.
//   - After STARTTLS: whatever was read with it or lies in the socket, unless that begins TLS. Go-smtp forgets it besides.
//   - After the first EHLO or HELO, the first under TLS again, and after a login that was judged: a MAIL or AUTH that came before the
//     answer left. Other commands pass: scripts that only ask what a server offers send EHLO and QUIT together. A later EHLO changes
//     nothing a client could have waited for, and go-smtp shows it to nobody.
//   - After DATA: a body whose beginning was read together with the command, so before 354 left. What came by itself in that instant
//     cannot be told from what came a little later without asking the kernel at every message, and passes.
//   - Answers to challenges of AUTH are not looked at: simple devices send name and password in one go.
//
// RCPT and DATA in one go, and BDAT with everything before and behind it, are what PIPELINING is for.
var errAhead = reply(554, "5.5.0", "SMTP protocol synchronization")

const aheadLine = "554 5.5.0 SMTP protocol synchronization\r\n"

// errOutOfStep ends a connection whose client spoke ahead.
var errOutOfStep = fmt.Errorf("smtpserver: the client spoke ahead of its turn: %w", net.ErrClosed)

// turns watches over whose turn it is.
type turns struct {
	reads   atomic.Uint64 // from the connection
	asked   atomic.Bool   // the client has to wait for the answer that has not left
	early   atomic.Bool   // it did not
	broken  atomic.Bool   // it was told, and nothing more is said or heard
	greeted atomic.Bool   // the greeting has left

	mu   sync.Mutex
	tail []byte // the last octets read; guarded by mu
}

// tailSize holds a STARTTLS command.
const tailSize = 32

// note keeps the end of what was read.
func (t *turns) note(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tail = append(t.tail, p[max(0, len(p)-tailSize):]...)
	t.tail = t.tail[max(0, len(t.tail)-tailSize):]
}

// endsWithSTARTTLS reports whether nothing was read behind the command.
func (t *turns) endsWithSTARTTLS() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	line, ended := bytes.CutSuffix(t.tail, []byte("\n"))
	line = bytes.TrimRight(line, "\r \t")
	return ended && len(line) >= 8 && strings.EqualFold(string(line[len(line)-8:]), "STARTTLS")
}

// await says that the client has to wait for the answer that is given next.
func (g *guard) await() { g.turns.asked.Store(true) }

// ahead reports whether the client did not wait for an answer it had to wait for.
func (g *guard) ahead() bool {
	return g.turns.asked.Load() || g.turns.early.Load() || g.turns.broken.Load()
}

// begin looks, with answers about to leave, whether the client has spoken ahead of one it has to wait for. Called before a read.
func (g *guard) begin() error {
	t := &g.turns
	t.reads.Add(1)
	if t.broken.Load() {
		return errOutOfStep
	}
	if t.greeted.CompareAndSwap(false, true) && g.mode != SubmissionTLS {
		if _, talks := g.pending(); talks {
			return g.cut("CONNECT")
		}
	}
	if t.asked.CompareAndSwap(true, false) {
		if _, talks := g.pending(); talks {
			t.early.Store(true)
		}
	}
	return nil
}

// What is read of a client that is cut off.
const (
	drainFor  = 50 * time.Millisecond
	drainMost = 64 << 10
)

// tlsRecord is how a TLS handshake begins (RFC 8446 §5.1).
const tlsRecord = 22

// injected reports whether an answer in clear is that to STARTTLS and the client has said more than that. Called before it is written.
func (g *guard) injected(p []byte) bool {
	if !bytes.HasPrefix(p, []byte("220 2.0.0 ")) {
		return false
	}
	first, talks := g.pending()
	return !g.turns.endsWithSTARTTLS() || talks && first != tlsRecord
}

// cut tells the client what it did wrong, in the place of what it would have been told, and hears no more of it. What it has sent is
// read, so that the words arrive: the kernel forgets them with a connection that is closed before it was emptied.
func (g *guard) cut(after string) error {
	g.wmu.Lock()
	g.out = append(g.out[:0], aheadLine...)
	_ = g.flushLocked(lastWords)
	g.wmu.Unlock()
	g.turns.broken.Store(true)
	g.srv.tally.refused(after, errAhead)
	g.srv.log.Info("client spoke ahead of its turn", "remote", g.from.String(), "command", after)
	_ = g.Conn.SetReadDeadline(time.Now().Add(drainFor))
	_, _ = io.CopyN(io.Discard, g.Conn, drainMost)
	return errOutOfStep
}

// pending tells, without waiting, whether octets lie in the socket that nobody has read, and the first of them.
func (g *guard) pending() (first byte, yes bool) {
	sc, ok := g.Conn.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	var one [1]byte
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _, _ = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return one[0], err == nil && n > 0
}

// prompt is a body that must not have begun before 354 had left.
type prompt struct {
	r     io.Reader
	g     *guard
	since uint64 // reads of the connection when it was asked for
	began bool
}

func (g *guard) promptly(r io.Reader) io.Reader {
	return &prompt{r: r, g: g, since: g.turns.reads.Load()}
}

func (p *prompt) Read(b []byte) (int, error) {
	if p.began || len(b) == 0 {
		return p.r.Read(b)
	}
	n, err := p.r.Read(b[:1]) // go-smtp fills what it is given, and would read on for that
	p.began = true
	if n > 0 && p.g.turns.reads.Load() == p.since {
		return 0, errAhead
	}
	return n, err
}
