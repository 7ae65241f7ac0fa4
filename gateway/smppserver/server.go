package smppserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpplink"
)

// Server is the SMPP door. Its methods are safe for concurrent use.
type Server struct {
	cfg  Config
	deps Deps
	log  *slog.Logger

	sets       *setLocks
	unfinished atomic.Bool // complete sets may wait in the store
	ids        atomic.Uint64

	submitted, refused, throttled, bindFailures, panics, delivered, undeliverable atomic.Uint64

	mu       sync.Mutex
	serving  int                   // Serve calls that run; guarded by mu
	life     *life                 // while serving > 0; guarded by mu
	conns    int                   // guarded by mu
	unbound  map[netip.Addr]int    // connections without a bind, by address; guarded by mu
	sessions map[*session]struct{} // bound ones; guarded by mu
	binds    map[string]int        // by system_id; guarded by mu

	pumpMu sync.RWMutex
	pumps  map[string]*pump // by system_id; guarded by pumpMu
}

// life is what runs behind all Serve calls: from the start of the first to the
// end of the last.
type life struct {
	ctx     context.Context // of requests and background work; ends last
	cancel  context.CancelFunc
	pool    *pool
	running atomic.Int64 // requests on workers
	wg      sync.WaitGroup
}

// New makes a server. It does nothing before Serve.
func New(cfg Config, deps Deps) *Server {
	s := &Server{cfg: cfg.withDefaults(), deps: deps, log: deps.Log, sets: newSetLocks(),
		sessions: map[*session]struct{}{}, unbound: map[netip.Addr]int{}, binds: map[string]int{}, pumps: map[string]*pump{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	deps.Store.WatchOwed(s.owed)
	return s
}

// Serve accepts clients on ln, which it closes, until ctx is done; then it
// stops as the package comment says and returns nil. It may run for several
// listeners at once.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	lf := s.acquire()
	defer s.release(lf)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	defer ln.Close()
	pause := time.Duration(0)
	for {
		conn, err := ln.Accept()
		switch {
		case err == nil:
			pause = 0
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("smppserver: accept: %w", err)
		default: // out of descriptors, a connection that died in the queue
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.log.Warn("accept failed", "err", err, "pause", pause)
			select {
			case <-time.After(pause):
			case <-ctx.Done():
			}
			continue
		}
		from := remoteAddr(conn)
		if !s.enter(from) {
			s.log.Warn("connection refused", "remote", from.String(), "reason", "too many")
			conn.Close()
			continue
		}
		wg.Go(func() { s.serveConn(ctx, lf, conn, from) })
	}
}

// serveConn runs one connection.
func (s *Server) serveConn(ctx context.Context, lf *life, conn net.Conn, from netip.Addr) {
	c := &session{srv: s, life: lf, id: fmt.Sprintf("smpp-%d", s.ids.Add(1)), remote: from, binds: make(chan bindRequest, 1)}
	c.log = s.log.With("session", c.id, "remote", c.remote.String())
	cfg := s.cfg.link()
	cfg.OnFree = func(int) {
		if p := c.pump.Load(); p != nil {
			p.wake()
		}
	}
	c.link = smpplink.New(conn, cfg, c)

	bound, cancel := context.WithCancel(lf.ctx)
	var wg sync.WaitGroup
	wg.Go(func() { c.awaitBind(bound) })
	wg.Go(func() {
		select {
		case <-ctx.Done():
			c.stop()
		case <-bound.Done():
		}
	})
	err := c.link.Run(context.WithoutCancel(ctx)) // ends by unbind, not by force
	cancel()
	wg.Wait()
	s.leave(c)
	c.log.Info("session ended", "err", err)
}

// stop ends the session in order: no new requests, answers for those under
// way, unbind. It is bounded by StopTimeout.
func (c *session) stop() {
	c.stopping.Store(true)
	if c.state.Load() != stateBound {
		c.link.Close(nil)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.srv.cfg.StopTimeout)
	defer cancel()
	if err := c.link.Unbind(ctx); err != nil && !errors.Is(err, smpplink.ErrPeerClosed) {
		c.log.Warn("session cut short", "err", err)
	}
}

func remoteAddr(conn net.Conn) netip.Addr {
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return a.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// acquire starts what runs behind the first Serve.
func (s *Server) acquire() *life {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving++
	if s.life == nil {
		lf := &life{pool: newPool()}
		lf.ctx, lf.cancel = context.WithCancel(context.Background())
		lf.wg.Go(func() { s.sweepLoop(lf.ctx) })
		s.life = lf
	}
	return s.life
}

// release stops it after the last: requests that outlived their sessions get
// StopTimeout to end, then their context is cancelled; pumps end last, since
// the sessions' ends left them their last acknowledgements.
func (s *Server) release(lf *life) {
	s.mu.Lock()
	s.serving--
	last := s.serving == 0
	if last {
		s.life = nil
	}
	s.mu.Unlock()
	if !last {
		return
	}
	t := time.AfterFunc(s.cfg.StopTimeout, lf.cancel)
	lf.pool.close()
	t.Stop()
	lf.cancel()
	lf.wg.Wait()
}

// enter counts a connection, unless there are too many: in all, or without a
// bind from one address, so that no stranger can keep the customers out.
func (s *Server) enter(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns >= s.cfg.MaxConns || s.unbound[from] >= s.cfg.MaxUnbound {
		return false
	}
	s.conns++
	s.unbound[from]++
	return true
}

func (s *Server) knownLocked(from netip.Addr) {
	if s.unbound[from]--; s.unbound[from] == 0 {
		delete(s.unbound, from)
	}
}

// join counts a bind, unless its credential has too many.
func (s *Server) join(c *session) bool {
	limit := c.principal.Credential.MaxBinds
	if limit <= 0 {
		limit = s.cfg.MaxBinds
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.binds[c.system] >= limit {
		return false
	}
	s.binds[c.system]++
	s.sessions[c] = struct{}{}
	s.knownLocked(c.remote)
	return true
}

// leave undoes enter and join.
func (s *Server) leave(c *session) {
	if p := c.pump.Load(); p != nil {
		p.remove(c)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns--
	if _, ok := s.sessions[c]; !ok {
		s.knownLocked(c.remote)
		return
	}
	delete(s.sessions, c)
	if s.binds[c.system]--; s.binds[c.system] == 0 {
		delete(s.binds, c.system)
	}
}

// receive makes c one of the binds that get what its system_id is owed.
func (s *Server) receive(c *session) {
	s.pumpMu.Lock()
	p := s.pumps[c.system]
	if p == nil || p.life != c.life {
		p = newPump(s, c.life, c.system)
		s.pumps[c.system] = p
		c.life.wg.Go(p.run)
	}
	s.pumpMu.Unlock()
	c.pump.Store(p)
	p.add(c)
}

// owed is told by the store after commits.
func (s *Server) owed(system string) {
	s.pumpMu.RLock()
	p := s.pumps[system]
	s.pumpMu.RUnlock()
	if p != nil {
		p.more()
	}
}

// expel ends the sessions of credentials that were withdrawn; those that
// submit notice by themselves, those that only receive would not.
func (s *Server) expel() {
	s.mu.Lock()
	var gone []*session
	for c := range s.sessions {
		p := s.principalOf(c.system, c.account)
		if p == nil || !p.Credential.AllowsAddr(c.remote) {
			gone = append(gone, c)
		}
	}
	s.mu.Unlock()
	for _, c := range gone {
		c.log.Warn("credential withdrawn")
		c.link.Close(errWithdrawn)
	}
}

func (s *Server) windowOf(p *gateway.Principal) int {
	if p.Credential.Window > 0 {
		return p.Credential.Window
	}
	return s.cfg.Window
}
