package smpplink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway/smpp"
)

// pending is what the window remembers of a request.
type pending struct {
	reqs  Requests
	index int
}

// phase of a link. It only rises.
type phase uint8

const (
	phaseOpen      phase = iota
	phaseDraining        // no new reservations; reserved places may still be used
	phaseUnbinding       // our unbind is in the buffer: no request may follow it
	phaseClosed          // nothing may be appended; the writer flushes and ends
)

// Link is one connection. Its methods are safe for concurrent use.
type Link struct {
	// Fixed by New.
	cfg     Config
	conn    net.Conn
	handler Handler
	batcher Batcher // nil if the handler is none
	epoch   time.Time
	done    chan struct{} // closed with phaseClosed

	owed  atomic.Int64
	stats counters

	mu      sync.Mutex
	work    sync.Cond // the writer waits here for something to write
	changed sync.Cond // others wait here for room, for drain, for the end
	win     *smpp.Window[pending]
	late    late // requests that timed out; guarded by mu
	telling bool // Answered is being called for requests that timed out
	timers  smpp.Timers
	out     []byte // whole PDUs to be written
	starved bool   // Reserve failed for want of buffer room
	phase   phase
	err     error // why the link ended, set with phaseClosed
	linger  bool  // we close first: let the peer read our last words
	bound   bool  // the handler said so
	unbound bool  // our unbind was answered
	peer    peerUnbind
}

// peerUnbind remembers an unbind from the peer until it can be answered.
type peerUnbind struct {
	asked    bool
	seq      uint32
	deadline time.Time
}

type counters struct {
	bytesIn, bytesOut, pdusIn, writes, stalls, timedOut, late, strays, nacks, probes atomic.Uint64
}

// New makes a link on conn, which it owns from now on. Run must be called:
// it closes conn.
func New(conn net.Conn, cfg Config, h Handler) *Link {
	l := &Link{cfg: cfg.withDefaults(), conn: conn, handler: h, epoch: time.Now(), done: make(chan struct{})}
	l.batcher, _ = h.(Batcher)
	l.work.L, l.changed.L = &l.mu, &l.mu
	l.win = smpp.NewWindow[pending](l.cfg.Window)
	l.late = late{limit: l.cfg.LateMax, life: l.cfg.LateFor}
	l.timers = smpp.NewTimers(l.cfg.Timers, l.epoch)
	return l
}

// Run moves PDUs until the link ends and says why; nil after an orderly
// unbind. When ctx is done the link flushes and closes without unbind. When
// Run returns, every request has had its Answered and conn is closed.
func (l *Link) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(l.writeLoop)
	wg.Go(l.tickLoop)
	stop := context.AfterFunc(ctx, func() { l.end(context.Cause(ctx), false) })
	defer stop()

	err := l.readLoop()
	var framing *smpp.FramingError
	l.end(err, errors.As(err, &framing))
	l.discard()
	wg.Wait()
	l.conn.Close()

	l.mu.Lock()
	lost := l.win.Drain(nil)
	err = l.err
	l.mu.Unlock()
	now := time.Since(l.epoch)
	for _, t := range lost {
		t.Token.reqs.Answered(t.Token.index, Result{Kind: Lost, RTT: now - t.Sent})
	}
	return err
}

// Bound tells the timers that the session is bound.
func (l *Link) Bound() {
	l.mu.Lock()
	l.bound = true
	l.timers.Bound(time.Now())
	l.mu.Unlock()
}

// Close ends the link with err as Run's result: what is in the buffer is
// still written. It does not wait.
func (l *Link) Close(err error) { l.end(err, true) }

// Done is closed when the link has begun to end.
func (l *Link) Done() <-chan struct{} { return l.done }

// RemoteAddr is the peer's.
func (l *Link) RemoteAddr() net.Addr { return l.conn.RemoteAddr() }

// Owed is how many of the peer's requests have no answer yet: what a server
// compares with the window it grants. It takes no lock.
func (l *Link) Owed() int { return int(max(l.owed.Load(), 0)) }

// Stats returns a snapshot.
func (l *Link) Stats() Stats {
	l.mu.Lock()
	s := Stats{InFlight: l.win.Open(), Reserved: l.win.Reserved(), Buffered: len(l.out), LastHeard: l.timers.LastHeard()}
	l.mu.Unlock()
	c := &l.stats
	s.Owed = l.Owed()
	s.BytesIn, s.BytesOut, s.PDUsIn, s.Writes = c.bytesIn.Load(), c.bytesOut.Load(), c.pdusIn.Load(), c.writes.Load()
	s.Stalls, s.TimedOut, s.Late, s.Strays = c.stalls.Load(), c.timedOut.Load(), c.late.Load(), c.strays.Load()
	s.NacksSent, s.ProbesSent = c.nacks.Load(), c.probes.Load()
	return s
}

// end closes the link once; later reasons are dropped.
func (l *Link) end(err error, linger bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLocked(err, linger)
}

func (l *Link) endLocked(err error, linger bool) {
	if l.phase == phaseClosed {
		return
	}
	l.phase, l.err, l.linger = phaseClosed, err, linger
	close(l.done)
	l.work.Broadcast()
	l.changed.Broadcast()
}

// Unbind ends the session in order: no new reservations, wait for the open
// responses of both sides, unbind, wait for its response, close. When ctx is
// done it skips what is left. It must not be called from a callback.
func (l *Link) Unbind(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		l.mu.Lock()
		l.changed.Broadcast()
		l.mu.Unlock()
	})
	defer stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = max(l.phase, phaseDraining)
	for l.phase == phaseDraining && !l.idleLocked() && ctx.Err() == nil {
		l.changed.Wait()
	}
	if l.phase == phaseDraining {
		l.phase = phaseUnbinding
		l.appendLocked((&smpp.Unbind{}).AppendTo(nil, l.win.NextSequence()))
	}
	for l.phase == phaseUnbinding && !l.unbound && ctx.Err() == nil {
		l.changed.Wait()
	}
	var err error
	if l.phase == phaseUnbinding && !l.unbound {
		err = fmt.Errorf("smpplink: unbind: %w", context.Cause(ctx))
	}
	l.endLocked(err, true)
	return l.err
}

func (l *Link) idleLocked() bool { return l.win.Open() == 0 && l.owed.Load() <= 0 }

// answerUnbindLocked answers the peer's unbind once nothing is open any more,
// or its time is up, and ends the link. SMPP 3.4 §4.2.
func (l *Link) answerUnbindLocked(now time.Time) {
	if !l.peer.asked || l.phase == phaseClosed || (!l.idleLocked() && now.Before(l.peer.deadline)) {
		return
	}
	l.appendLocked((&smpp.UnbindResp{}).AppendTo(nil, l.peer.seq))
	l.endLocked(nil, true)
}

// tickLoop owns the only ticker.
func (l *Link) tickLoop() {
	t := time.NewTicker(l.cfg.period())
	defer t.Stop()
	var expired []smpp.Taken[pending]
	for {
		select {
		case <-l.done:
			return
		case now := <-t.C:
			expired = l.tick(now, expired[:0])
		}
	}
}

func (l *Link) tick(now time.Time, expired []smpp.Taken[pending]) []smpp.Taken[pending] {
	since := now.Sub(l.epoch)
	l.mu.Lock()
	if l.phase == phaseClosed { // Run hands the rest back as lost
		l.mu.Unlock()
		return expired
	}
	timeout := l.cfg.ResponseTimeout
	if !l.bound {
		timeout = max(timeout, l.cfg.BindTimeout)
	}
	expired = l.win.Expire(since-timeout, expired)
	l.late.add(since, expired)
	l.telling = len(expired) > 0
	switch l.timers.Tick(now) {
	case smpp.Probe:
		// If the buffer is full the peer does not read; the probe is missed.
		if len(l.out) < l.cfg.WriteBuffer {
			l.appendLocked((&smpp.EnquireLink{}).AppendTo(nil, l.win.NextSequence()))
			l.stats.probes.Add(1)
		}
	case smpp.Hangup:
		err := ErrSilent
		if !l.bound {
			err = ErrNotBound
		}
		l.endLocked(err, false)
	}
	l.answerUnbindLocked(now)
	if len(expired) > 0 {
		l.changed.Broadcast()
	}
	l.mu.Unlock()

	for i, t := range expired {
		t.Token.reqs.Answered(t.Token.index, Result{Kind: TimedOut, RTT: since - t.Sent})
		expired[i] = smpp.Taken[pending]{} // the array lives on
	}
	if len(expired) > 0 {
		l.mu.Lock()
		l.telling = false
		l.changed.Broadcast() // a late response may wait for its turn
		l.mu.Unlock()
	}
	l.stats.timedOut.Add(uint64(len(expired)))
	l.freed(len(expired))
	return expired
}

func (l *Link) freed(n int) {
	if n > 0 && l.cfg.OnFree != nil {
		l.cfg.OnFree(n)
	}
}

// recovered turns a panic in a handler into the link's end.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("smpplink: handler panicked: %v\n%s", p, debug.Stack())
	}
}
