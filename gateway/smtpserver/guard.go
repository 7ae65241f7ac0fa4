package smtpserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"
)

// guard is the connection below TLS. It frees the connection's place when it closes, and can end the session between commands:
// go-smtp has no such act, but a read deadline in the past makes it answer 421 and close.
type guard struct {
	net.Conn
	srv  *Server
	mode Mode
	from netip.Addr
	peer *Peer // by address; nil for others
	gate *gate // that let it in; set before it is used
	once sync.Once

	mu    sync.Mutex
	end   bool // hang up before the next command; guarded by mu
	busy  bool // a body is coming in; guarded by mu
	timer *time.Timer

	eof   atomic.Bool // the peer has closed
	turns turns

	wmu sync.Mutex
	out []byte // answers not sent yet; guarded by wmu
}

// Answers are gathered while commands of the client are waiting to be read, and leave in one write before more is waited for
// (RFC 2920 §3.2 asks for no less): go-smtp writes each by itself.
const (
	maxAnswers = 4 << 10         // octets gathered
	lastWords  = 5 * time.Second // for what is left to say to a client that is being closed
)

// Write implements net.Conn.
func (g *guard) Write(p []byte) (int, error) {
	if g.turns.broken.Load() {
		return 0, errOutOfStep
	}
	if g.injected(p) {
		return 0, g.cut("STARTTLS")
	}
	g.wmu.Lock()
	defer g.wmu.Unlock()
	g.out = append(g.out, p...)
	if len(g.out) < maxAnswers {
		return len(p), nil
	}
	return len(p), g.flushLocked(g.srv.cfg.WriteTimeout)
}

func (g *guard) flush() error {
	g.wmu.Lock()
	defer g.wmu.Unlock()
	return g.flushLocked(g.srv.cfg.WriteTimeout)
}

func (g *guard) flushLocked(wait time.Duration) error {
	if len(g.out) == 0 {
		return nil
	}
	_ = g.Conn.SetWriteDeadline(time.Now().Add(wait))
	_, err := g.Conn.Write(g.out)
	g.out = g.out[:0]
	return err
}

// SetWriteDeadline implements net.Conn. Each flush sets its own: an answer may be written long before it leaves.
func (g *guard) SetWriteDeadline(time.Time) error { return nil }

var past = time.Unix(1, 0)

// SetReadDeadline implements net.Conn.
func (g *guard) SetReadDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.end && !g.busy {
		t = past
	}
	return g.Conn.SetReadDeadline(t)
}

// hangUp ends the session before its next command, at once when it waits for one.
func (g *guard) hangUp() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.end = true
	if !g.busy {
		_ = g.Conn.SetReadDeadline(past)
	}
}

// setBusy marks a body under way, which hangUp lets finish.
func (g *guard) setBusy(b bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = b
}

// identified lifts the bound on how long a stranger may stay.
func (g *guard) identified() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil {
		g.timer.Stop()
	}
}

// Read implements net.Conn.
func (g *guard) Read(p []byte) (int, error) {
	if err := g.begin(); err != nil {
		return 0, err
	}
	if err := g.flush(); err != nil {
		return 0, err
	}
	n, err := g.Conn.Read(p)
	g.turns.note(p[:n])
	if errors.Is(err, io.EOF) {
		g.eof.Store(true)
	}
	return n, err
}

// Close implements net.Conn.
func (g *guard) Close() error {
	g.once.Do(func() {
		if g.wmu.TryLock() { // otherwise a write is under way, which closing ends
			_ = g.flushLocked(lastWords)
			g.wmu.Unlock()
		}
		g.identified()
		g.srv.leave(g)
	})
	return g.Conn.Close()
}

// guardOf finds the guard below a session; nil when the connection is not ours (never, outside of mistakes).
func guardOf(c *smtp.Conn) *guard {
	conn := c.Conn()
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	g, _ := conn.(*guard)
	return g
}

// stillThere tells, at the end of a BDAT transfer, whether the client is there to hear the answer. go-smtp takes a connection
// closed within the last chunk for the chunk's end, and half a message for a whole one; a client that closed cannot be told
// 250 anyway. Nobody else reads the connection meanwhile: go-smtp waits for the outcome.
//
// In clear the guard has seen the end itself. Through TLS a read tells: after a closing alert it answers io.EOF for good, else it
// runs into the deadline without touching the socket. If the client has sent further commands ahead, one octet of them is lost:
// then the session ends after the answer, and the client sends the rest again.
func stillThere(c *smtp.Conn, g *guard) bool {
	if g.eof.Load() {
		return false
	}
	t, ok := c.Conn().(*tls.Conn)
	if !ok {
		return true
	}
	_ = t.SetReadDeadline(past)
	n, err := t.Read(make([]byte, 1))
	if n > 0 {
		g.hangUp()
		return true
	}
	return isTimeout(err)
}

// paced reads a body under deadlines that no trickle of octets can stretch: each block within BlockTimeout, and all of it at
// MinRate with DataGrace to spare.
type paced struct {
	r     io.Reader
	conn  net.Conn
	cfg   *Config
	start time.Time
	n     int64
}

func (p *paced) Read(b []byte) (int, error) {
	now := time.Now() // deadlines are the kernel's, not the clock of Deps
	late := p.start.Add(p.cfg.DataGrace + time.Duration(p.n/p.cfg.MinRate)*time.Second)
	if block := now.Add(p.cfg.BlockTimeout); block.Before(late) {
		late = block
	}
	_ = p.conn.SetReadDeadline(late)
	n, err := p.r.Read(b)
	p.n += int64(n)
	return n, err
}
