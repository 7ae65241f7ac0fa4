package smpptest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// Server is a running operator. Its methods are safe for concurrent use.
type Server struct {
	// Fixed by Start.
	cfg    Config
	ln     net.Listener // nil with NoListen
	cancel context.CancelFunc
	wg     sync.WaitGroup
	out    *courier

	nextID     atomic.Uint64
	latency    atomic.Int64 // time.Duration
	tps        atomic.Int64
	stuck      atomic.Bool
	dropAfter  atomic.Int64 // submits until DropAll; 0: off
	bindStatus atomic.Uint32
	rules      atomic.Pointer[[]Rule]
	counters   counters
	rec        recorder

	mu       sync.Mutex
	sessions map[*session]bool // connected, bound or not
	accounts map[string]*account
	rng      *rand.Rand
	closed   bool
	held     bool
	heldOut  []heldPDUs
	nextConn int
}

// account is what sessions of one system_id share.
type account struct {
	name string

	mu     sync.Mutex
	second int64 // of the throughput count
	count  int
}

// heldPDUs wait for Release.
type heldPDUs struct {
	session *session
	pdus    []byte
	told    []func()
}

// Start listens and serves.
func Start(cfg Config) (*Server, error) {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, sessions: map[*session]bool{}, accounts: map[string]*account{},
		rng: rand.New(rand.NewPCG(cfg.Seed, 1)),
	}
	if !cfg.NoListen {
		ln, err := net.Listen("tcp", cfg.Addr)
		if err != nil {
			return nil, fmt.Errorf("smpptest: listen: %w", err)
		}
		if cfg.TLS != nil {
			ln = tls.NewListener(ln, cfg.TLS)
		}
		s.ln = ln
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.rules.Store(&cfg.Rules)
	s.rec.init(cfg.Record, cfg.Dedupe)
	s.rec.tap = cfg.Tap
	s.nextID.Store(0x10000009)
	s.latency.Store(int64(cfg.Latency))
	s.tps.Store(int64(cfg.TPS))
	s.out = newCourier(s)
	s.wg.Go(func() { s.out.run(ctx) })
	if s.ln != nil {
		s.wg.Go(func() { s.accept(ctx) })
	}
	return s, nil
}

// Addr is host:port to dial; it tells nothing with NoListen.
func (s *Server) Addr() string {
	if s.ln == nil {
		return "memory:0"
	}
	return s.ln.Addr().String()
}

// Dial connects within the process. It has the form of smppclient's
// Config.Dial; addr is not used.
func (s *Server) Dial(ctx context.Context, addr string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	if !s.serve(ours) {
		return nil, errors.New("smpptest: connection refused")
	}
	return theirs, nil
}

// Close ends all sessions without unbind and waits until nothing runs.
func (s *Server) Close() {
	s.cancel()
	if s.ln != nil {
		s.ln.Close()
	}
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.DropAll()
	s.wg.Wait()
}

func (s *Server) accept(ctx context.Context) {
	for {
		conn, err := s.ln.Accept()
		if err != nil {
			if ctx.Err() == nil {
				s.cfg.Logger.Error("smpptest cannot accept", "err", err)
			}
			return
		}
		s.serve(conn)
	}
}

// serve starts a session, unless the server is closed. Sessions end when
// their connection does, which Close sees to.
func (s *Server) serve(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return false
	}
	s.nextConn++
	ss := newSession(s, conn, s.nextConn)
	s.sessions[ss] = true
	s.wg.Go(ss.run)
	return true
}

// DropAll cuts every connection, with a reset where the network has one:
// nothing that waits to be written is.
func (s *Server) DropAll() {
	if s.cfg.OnDrop != nil {
		s.cfg.OnDrop()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for ss := range s.sessions {
		ss.cut()
	}
	s.heldOut = nil
}

// DropAfter cuts every connection once n more messages have come, before the
// n-th is answered. 0 calls it off.
func (s *Server) DropAfter(n int) { s.dropAfter.Store(int64(n)) }

// Hold keeps all responses back until Release.
func (s *Server) Hold() {
	s.mu.Lock()
	s.held = true
	s.mu.Unlock()
}

// Release sends what Hold kept back, in order, and ends holding.
func (s *Server) Release() {
	s.mu.Lock()
	held := s.heldOut
	s.held, s.heldOut = false, nil
	s.mu.Unlock()
	for _, h := range held {
		if h.session.link.Push(h.pdus) == nil { // a session that is gone answers nobody
			tell(h.told)
		}
	}
}

// Stuck makes the operator take requests and answer none of them, as long as
// it is on; what came meanwhile is never answered. enquire_link still is.
func (s *Server) Stuck(on bool) { s.stuck.Store(on) }

// SetLatency changes Config.Latency for requests to come.
func (s *Server) SetLatency(d time.Duration) { s.latency.Store(int64(d)) }

// SetTPS changes Config.TPS.
func (s *Server) SetTPS(n int) { s.tps.Store(int64(n)) }

// SetRules changes Config.Rules.
func (s *Server) SetRules(rules ...Rule) {
	c := Config{Rules: rules}.withDefaults()
	s.rules.Store(&c.Rules)
}

// RefuseBinds makes all binds fail with status; smpp.StatusOK ends that.
func (s *Server) RefuseBinds(status smpp.CommandStatus) { s.bindStatus.Store(uint32(status)) }

// UnbindAll unbinds every bound session in order and waits for it.
func (s *Server) UnbindAll(ctx context.Context) {
	var wg sync.WaitGroup
	s.mu.Lock()
	for ss := range s.sessions {
		if ss.bound.Load() {
			wg.Go(func() { ss.link.Unbind(ctx) })
		}
	}
	s.mu.Unlock()
	wg.Wait()
}

// rule returns the first that fits dest; the zero Rule, with its defaults, if
// none does.
func (s *Server) rule(dest []byte) Rule {
	if rules := *s.rules.Load(); len(rules) > 0 {
		d := string(dest)
		for i := range rules {
			if rules[i].fits(d, s.chance) {
				return rules[i]
			}
		}
	}
	return Rule{State: smpp.StateDelivered, Err: "000"}
}

func (s *Server) chance() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Float64()
}

// overRate counts one submit of the account.
func (s *Server) overRate(a *account, now time.Time) bool {
	tps := s.tps.Load()
	if tps == 0 {
		return false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if sec := now.Unix(); sec != a.second {
		a.second, a.count = sec, 0
	}
	a.count++
	return int64(a.count) > tps
}

func (s *Server) account(name string) *account {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.accounts[name]
	if a == nil {
		a = &account{name: name}
		s.accounts[name] = a
	}
	return a
}

// receiver finds a bound session of the account with room for a delivery and
// reserves it. An empty account is any.
func (s *Server) receiver(name string) *smpplink.Link {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ss := range s.sessions {
		if ss.bound.Load() && ss.mode.CanReceive() && (name == "" || ss.account.name == name) && ss.link.Reserve(1) {
			return ss.link
		}
	}
	return nil
}

func (s *Server) remove(ss *session) {
	s.mu.Lock()
	delete(s.sessions, ss)
	s.mu.Unlock()
	if ss.bound.Load() {
		s.counters.bound.Add(-1)
	}
	s.rec.changed()
}
