package smppclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// State of a bind.
type State uint8

// States.
const (
	Down       State = iota // waiting to try again
	Connecting              // dialling, or waiting for the bind's response
	Bound
	Draining // the client stops
)

func (s State) String() string {
	return [...]string{"down", "connecting", "bound", "draining"}[s]
}

// Back-off between attempts. A refusal that only a person can mend waits
// longer, so as not to have the account locked.
const (
	backoffMin      = time.Second
	backoffMax      = 120 * time.Second
	backoffAlarmMin = 60 * time.Second
	backoffAlarmMax = 10 * time.Minute
	// steadyAfter is how long a session must last for the back-off to start
	// from the beginning again. One that took messages counts at once: an
	// operator who resets its links now and then is no reason to stay away.
	steadyAfter = 30 * time.Second
)

// BindError is a bind the operator refused.
type BindError struct{ Status smpp.CommandStatus }

func (e *BindError) Error() string { return "bind refused: " + e.Status.String() }

var errBindTimeout = errors.New("no response to bind in time")

// Bind is one session with the operator, through all its reconnections.
type Bind struct {
	// Fixed by newBind.
	client *Client
	index  int
	mode   smpp.BindMode
	log    *slog.Logger
	ready  chan struct{}

	commercial atomic.Int64 // requests of the lane that are reserved or in flight
	unacked    atomic.Int64 // deliveries the Handler has not acknowledged
	m          metrics

	mu       sync.Mutex
	state    State
	link     *smpplink.Link // not nil while Bound
	since    time.Time      // of state
	lastErr  error
	version  uint8 // the operator's sc_interface_version; 0 if not told
	rate     pace
	throttle throttle
	wake     *time.Timer // calls notify when tokens or a pause's end are due
	wakeAt   time.Time   // zero: not armed
}

func newBind(c *Client, index int, mode smpp.BindMode) *Bind {
	return &Bind{
		client: c, index: index, mode: mode, ready: make(chan struct{}, 1), since: time.Now(),
		log:  c.cfg.Logger.With("operator", c.cfg.Name, "bind", index, "mode", mode.String()),
		rate: newPace(c.cfg.RatePerSecond),
	}
}

// Index of the bind in Binds.
func (b *Bind) Index() int { return b.index }

// Mode of the bind.
func (b *Bind) Mode() smpp.BindMode { return b.mode }

// State of the bind.
func (b *Bind) State() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.state
}

// Ready receives after something changed that may make TryReserve succeed, or
// fail for longer: places or tokens became free, a pause ended, the bind came
// up or went down. Signals that nobody received yet are one.
func (b *Bind) Ready() <-chan struct{} { return b.ready }

func (b *Bind) notify() {
	select {
	case b.ready <- struct{}{}:
	default:
	}
	if f := b.client.cfg.OnReady; f != nil {
		f(b)
	}
}

// keep runs sessions until ctx is done.
func (b *Bind) keep(ctx context.Context) {
	defer b.stopWake()
	for attempt := 0; ctx.Err() == nil; attempt++ {
		taken := b.m.accepted.Load()
		bound, err := b.session(ctx)
		b.setState(Down, err)
		b.notify()
		if ctx.Err() != nil {
			return
		}
		if bound >= steadyAfter || b.m.accepted.Load() > taken {
			attempt = 0
		}
		delay := backoff(attempt, err)
		b.report(err, delay)
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
}

func (b *Bind) report(err error, delay time.Duration) {
	level := slog.LevelWarn
	if isAlarm(err) {
		level = slog.LevelError
	}
	b.log.Log(context.Background(), level, "smpp bind is down", "err", err, "retry_in", delay)
}

func isAlarm(err error) bool {
	var be *BindError
	return errors.As(err, &be) && be.Status.Advice() == smpp.AdviceAlarm
}

// backoff doubles from attempt 0 on and takes up to a quarter off, so that
// many binds do not come back at once.
func backoff(attempt int, err error) time.Duration {
	d, most := backoffMin, backoffMax
	if isAlarm(err) {
		d, most = backoffAlarmMin, backoffAlarmMax
	}
	d = min(d<<min(attempt, 10), most)
	return d - rand.N(d/4)
}

// session is one connection from dial to end. It reports how long it was bound.
func (b *Bind) session(ctx context.Context) (bound time.Duration, err error) {
	b.setState(Connecting, nil)
	conn, err := b.dial(ctx)
	if err != nil {
		return 0, fmt.Errorf("smppclient: dial %s: %w", b.client.cfg.Name, err)
	}
	// The link outlives ctx: it is to drain and unbind first.
	linkCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	answer := make(chan bindAnswer, 1) // a request has one result
	link := smpplink.New(conn, b.linkConfig(), handlerFunc(func(l *smpplink.Link, h smpp.Header, body []byte) {
		b.serve(linkCtx, l, h, body)
	}))
	ended := make(chan error, 1)
	go func() { ended <- link.Run(linkCtx) }() // every path below receives from ended

	if err := b.bind(ctx, link, answer); err != nil {
		link.Close(err)
		<-ended
		return 0, fmt.Errorf("smppclient: bind %s: %w", b.client.cfg.Name, err)
	}
	start := time.Now()
	b.up(link)
	select {
	case err = <-ended:
	case <-ctx.Done():
		b.setState(Draining, nil)
		b.notify()
		drain, stop := context.WithTimeout(linkCtx, b.client.cfg.DrainTimeout)
		link.Unbind(drain)
		stop()
		err = <-ended
	}
	if err == nil {
		err = errors.New("smppclient: operator unbound")
	}
	return time.Since(start), err
}

func (b *Bind) dial(ctx context.Context) (net.Conn, error) {
	cfg := &b.client.cfg
	ctx, cancel := context.WithTimeout(ctx, cfg.DialTimeout)
	defer cancel()
	conn, err := cfg.Dial(ctx, cfg.Addr)
	if err != nil || cfg.TLS == nil {
		return conn, err
	}
	tc := cfg.TLS
	if tc.ServerName == "" && !tc.InsecureSkipVerify {
		tc = tc.Clone()
		if tc.ServerName, _, err = net.SplitHostPort(cfg.Addr); err != nil {
			conn.Close()
			return nil, err
		}
	}
	secure := tls.Client(conn, tc)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

func (b *Bind) linkConfig() smpplink.Config {
	cfg := &b.client.cfg
	return smpplink.Config{
		Window:          cfg.Window,
		ResponseTimeout: cfg.ResponseTimeout,
		BindTimeout:     cfg.BindTimeout,
		Timers:          smpp.TimerConfig{Bind: -1, EnquireLink: cfg.EnquireLink, Missed: 2},
		OnFree:          func(int) { b.notify() },
	}
}

// bindAnswer is what came of a bind request.
type bindAnswer struct {
	err     error
	version uint8
}

func readBindResp(h smpp.Header, body []byte) bindAnswer {
	if h.Status != smpp.StatusOK {
		return bindAnswer{err: &BindError{h.Status}}
	}
	if h.ID == smpp.GenericNackID {
		return bindAnswer{err: &BindError{smpp.StatusBindFail}}
	}
	var resp smpp.BindResp
	if err := resp.Decode(h, body); err != nil {
		return bindAnswer{} // bound, if clumsily
	}
	v, _ := resp.TLVs.Uint8(smpp.TagSCInterfaceVersion)
	return bindAnswer{version: v}
}

func (b *Bind) bind(ctx context.Context, link *smpplink.Link, answer chan bindAnswer) error {
	err := link.Send(b.client.cfg.bindPDU(b.mode), func(r smpplink.Result) {
		switch r.Kind {
		case smpplink.Answered:
			answer <- readBindResp(r.Header, r.Body)
		case smpplink.TimedOut:
			answer <- bindAnswer{err: errBindTimeout}
		}
	})
	if err != nil {
		return err
	}
	timeout := time.NewTimer(b.client.cfg.BindTimeout)
	defer timeout.Stop()
	select {
	case a := <-answer:
		return b.noteBind(a)
	case <-timeout.C:
		return errBindTimeout
	case <-link.Done():
		select {
		case a := <-answer: // refused and hung up upon in one breath
			if a.err != nil {
				return a.err
			}
		default:
		}
		return smpplink.ErrPeerClosed
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *Bind) noteBind(a bindAnswer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version = a.version
	return a.err
}

func (b *Bind) up(link *smpplink.Link) {
	link.Bound()
	b.m.binds.Add(1) // before anybody can see that it is bound
	b.mu.Lock()
	b.state, b.since, b.link = Bound, time.Now(), link
	b.lastErr = nil
	b.mu.Unlock()
	b.log.Info("smpp bind is up")
	b.notify()
}

func (b *Bind) setState(s State, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.state, b.since = s, time.Now()
	if s != Bound {
		b.link = nil
	}
	if err != nil {
		b.lastErr = err
	}
}

// wakeAtLocked arms the timer unless it is armed for earlier.
func (b *Bind) wakeAtLocked(at, now time.Time) {
	if !b.wakeAt.IsZero() && !at.Before(b.wakeAt) && b.wakeAt.After(now) {
		return
	}
	b.wakeAt = at
	if b.wake == nil {
		b.wake = time.AfterFunc(at.Sub(now), b.notify)
		return
	}
	b.wake.Reset(at.Sub(now))
}

func (b *Bind) stopWake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wake != nil {
		b.wake.Stop()
	}
}
