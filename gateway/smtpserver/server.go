package smtpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-smtp"

	"izinli/gateway"
)

// Server is the SMTP door. Its methods are safe for concurrent use.
type Server struct {
	cfg  Config
	deps Deps
	log  *slog.Logger
	now  func() time.Time
	ids  atomic.Uint64

	tally tally

	mu       sync.Mutex
	conns    map[*guard]struct{}       // guarded by mu
	perAddr  map[netip.Prefix]int      // connections that are no peer's; guarded by mu
	perPeer  map[string]int            // by Peer.Name; guarded by mu
	sessions map[gateway.AccountID]int // authenticated ones; guarded by mu
}

// New makes a server. It does nothing before Serve.
func New(cfg Config, deps Deps) (*Server, error) {
	switch {
	case cfg.Domain == "":
		return nil, errors.New("smtpserver: no domain")
	case deps.Auth == nil || deps.Submit == nil || deps.Bodies == nil || deps.Directory == nil:
		return nil, errors.New("smtpserver: a part is missing")
	}
	s := &Server{cfg: cfg.withDefaults(), deps: deps, log: deps.Log, now: deps.Now, tally: newTally(), conns: map[*guard]struct{}{},
		perAddr: map[netip.Prefix]int{}, perPeer: map[string]int{}, sessions: map[gateway.AccountID]int{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// Serve accepts clients on ln, which it closes, until ctx is done. Then sessions between commands end with 421, bodies under
// way get StopTimeout, and Serve returns nil when all sessions have ended. It may run for several listeners at once.
func (s *Server) Serve(ctx context.Context, ln net.Listener, mode Mode) error {
	if mode != Relay && s.cfg.TLS == nil {
		ln.Close()
		return errors.New("smtpserver: submission needs TLS")
	}
	life, cancel := context.WithCancel(context.WithoutCancel(ctx)) // of the sessions: they outlive ctx by StopTimeout
	defer cancel()
	g := &gate{Listener: ln, srv: s, mode: mode, mine: map[*guard]struct{}{}}
	lib := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return s.newSession(life, c, mode) }))
	lib.Domain = s.cfg.Domain
	lib.TLSConfig = s.cfg.TLS
	lib.MaxRecipients = s.cfg.MaxRecipients
	lib.MaxMessageBytes = s.cfg.MaxSize
	lib.MaxLineLength = 12288 // AUTH lines (RFC 4954 §4); the strict reader bounds data lines to 998 and says so
	lib.ReadTimeout = s.cfg.CommandTimeout
	lib.WriteTimeout = s.cfg.WriteTimeout
	lib.EnableSMTPUTF8 = true
	lib.EnableDSN = true
	lib.ErrorLog = libLog{s.log}

	defer context.AfterFunc(ctx, func() { ln.Close() })()
	err := lib.Serve(g)
	ln.Close()
	s.stop(lib, g, cancel)
	if ctx.Err() != nil || err == nil {
		return nil
	}
	return fmt.Errorf("smtpserver: accept: %w", err)
}

// stop ends the sessions of a listener that accepts no more.
func (s *Server) stop(lib *smtp.Server, g *gate, cancel func()) {
	g.closeAll((*guard).hangUp)
	ended := make(chan struct{})
	go func() { // one call: a second Shutdown of go-smtp returns at once
		defer close(ended)
		_ = lib.Shutdown(context.Background())
	}()
	late := time.NewTimer(s.cfg.StopTimeout)
	defer late.Stop()
	select {
	case <-ended:
		return
	case <-late.C:
	}
	s.log.Warn("sessions cut short")
	cancel()
	g.closeAll(func(c *guard) { c.Close() })
	<-ended
}

// gate is the listener go-smtp sees: it counts, turns away and wraps.
type gate struct {
	net.Listener
	srv  *Server
	mode Mode

	mu   sync.Mutex
	mine map[*guard]struct{} // guarded by mu
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, cause := g.srv.enter(conn, g.mode)
		if cause != "" {
			g.turnAway(conn, cause)
			continue
		}
		g.srv.tally.connection(g.mode)
		wait := g.srv.cfg.LoginTimeout
		if g.mode == Relay {
			wait = g.srv.cfg.StrangerFor
		}
		c.mu.Lock()
		c.timer = time.AfterFunc(wait, c.hangUp)
		c.mu.Unlock()
		g.track(c)
		if g.mode == SubmissionTLS {
			return tls.Server(c, g.srv.cfg.TLS), nil
		}
		return c, nil
	}
}

// turnAway answers 421 where the client can read it.
func (g *gate) turnAway(conn net.Conn, cause string) {
	g.srv.tally.turnedAway(cause)
	g.srv.log.Warn("connection refused", "remote", conn.RemoteAddr().String(), "reason", cause)
	if g.mode != SubmissionTLS {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = fmt.Fprintf(conn, "421 4.7.0 %s Too many connections, try again later\r\n", g.srv.cfg.Domain)
	}
	conn.Close()
}

func (g *gate) track(c *guard) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mine[c] = struct{}{}
	c.gate = g
}

func (g *gate) forget(c *guard) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.mine, c)
}

// closeAll ends every connection in the given way.
func (g *gate) closeAll(how func(*guard)) {
	g.mu.Lock()
	var all []*guard
	for c := range g.mine {
		all = append(all, c)
	}
	g.mu.Unlock()
	for _, c := range all {
		how(c)
	}
}

// enter counts a connection, unless there are too many; cause says of what.
func (s *Server) enter(conn net.Conn, m Mode) (g *guard, cause string) {
	g = &guard{Conn: conn, srv: s, mode: m}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		g.from = a.AddrPort().Addr().Unmap().WithZone("")
	}
	for _, p := range s.peers() {
		if p.contains(g.from) {
			g.peer = p
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.cfg.MaxConns {
		return nil, causeServer
	}
	if g.peer != nil {
		most := g.peer.MaxConns
		if most <= 0 {
			most = 100
		}
		if s.perPeer[g.peer.Name] >= most {
			return nil, causePeer
		}
		s.perPeer[g.peer.Name]++
	} else {
		if s.perAddr[lineOf(g.from)] >= s.cfg.MaxPerAddress {
			return nil, causeAddress
		}
		s.perAddr[lineOf(g.from)]++
	}
	s.conns[g] = struct{}{}
	return g, ""
}

// leave gives the place of a connection back.
func (s *Server) leave(g *guard) {
	s.mu.Lock()
	delete(s.conns, g)
	if g.peer != nil {
		countDown(s.perPeer, g.peer.Name)
	} else {
		countDown(s.perAddr, lineOf(g.from))
	}
	s.mu.Unlock()
	if g.gate != nil {
		g.gate.forget(g)
	}
}

func countDown[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}

// lineOf is what counts as one customer's line: an IPv4 address, an IPv6 /64.
func lineOf(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // the zero Addr: one line for all local callers
	return p
}

// joinAccount counts an authenticated session of the account.
func (s *Server) joinAccount(a gateway.AccountID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sessions[a] >= s.cfg.MaxPerAccount {
		return false
	}
	s.sessions[a]++
	return true
}

func (s *Server) leaveAccount(a gateway.AccountID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	countDown(s.sessions, a)
}

func (s *Server) peers() []*Peer {
	if s.deps.Peers == nil {
		return nil
	}
	return s.deps.Peers()
}

// libLog takes go-smtp's own complaints.
type libLog struct{ log *slog.Logger }

func (l libLog) Printf(format string, v ...any) {
	l.log.Warn("smtp library", "text", fmt.Sprintf(format, v...))
}
func (l libLog) Println(v ...any) { l.log.Warn("smtp library", "text", fmt.Sprint(v...)) }
