package smppserver

import (
	"container/heap"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

const (
	owedPage   = 500              // read from the store at once
	flushMost  = 1000             // acknowledgements forgotten at once
	readPause  = time.Second      // after the store failed
	rereadIdle = 60 * time.Second // an idle pump looks from the start again: a lost wake-up must not last
)

// pump delivers what one system_id is owed, over all its receiving binds. One
// goroutine reads, builds and sends; answers come in from the links.
type pump struct {
	srv    *Server
	life   *life
	system string
	log    *slog.Logger
	kick   chan struct{} // room for one

	// Owned by run.
	writer writer
	queue  []*delivery // to be sent now, from head on
	head   int
	cursor uint64 // highest sequence read
	ref    uint16 // of messages in parts
	resync time.Time
	back   uint64 // how far a pass has come

	mu       sync.Mutex
	binds    []*session // guarded by mu
	turn     int        // whose turn it is; guarded by mu
	inFlight int        // deliveries; guarded by mu
	waiting  int        // len(queue) as last known; guarded by mu
	retries  retryHeap  // at most half of MaxOwed; guarded by mu

	held     map[uint64]struct{} // sequences in the queue, in flight, to be repeated or to be forgotten; guarded by mu
	parked   bool                // the store holds deliveries behind the cursor that are not held; guarded by mu
	parkedAt time.Time           // they are read again, not before; guarded by mu
	pass     bool                // they are being read again; guarded by mu
	untaken  int                 // deliveries in a row for which the client had no answer, or none for now; guarded by mu
	probeAt  time.Time           // while these are many: nothing more is read before; guarded by mu

	acked    []uint64  // to be forgotten; guarded by mu
	flushing bool      // the store is forgetting some; guarded by mu
	flushAt  time.Time // not before, after the store failed; guarded by mu
	unread   bool      // the store may hold more; guarded by mu
	rewind   bool      // read from the start once nothing is outstanding; guarded by mu
}

func newPump(s *Server, lf *life, system string) *pump {
	return &pump{srv: s, life: lf, system: system, log: s.log.With("system_id", system), kick: make(chan struct{}, 1),
		writer: writer{loc: s.cfg.Location}, unread: true, held: map[uint64]struct{}{}}
}

// wake makes run look again. It never blocks.
func (p *pump) wake() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// more is told that the store holds something new.
func (p *pump) more() {
	p.mu.Lock()
	p.unread = true
	idle := len(p.binds) == 0
	p.mu.Unlock()
	if !idle {
		p.wake()
	}
}

func (p *pump) add(c *session) {
	p.mu.Lock()
	p.binds = append(p.binds, c)
	p.unread = true
	p.mu.Unlock()
	p.wake()
}

func (p *pump) remove(c *session) {
	p.mu.Lock()
	p.binds = slices.DeleteFunc(p.binds, func(b *session) bool { return b == c })
	p.mu.Unlock()
	p.wake()
}

func (p *pump) stats() Owed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Owed{Receivers: len(p.binds), InFlight: p.inFlight, Waiting: p.waiting + len(p.retries), More: p.unread || p.parked}
}

// run works until the server's end, then hands the store what is left of the
// acknowledgements.
func (p *pump) run() {
	ctx := p.life.ctx
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			p.finish()
			return
		case <-p.kick:
		case <-timer.C:
		}
		now := time.Now()
		p.flush(now)
		next := p.work(ctx, now)
		p.flush(now)
		timer.Reset(max(time.Until(next), time.Millisecond))
	}
}

// work sends what can be sent and returns when to look again at the latest.
func (p *pump) work(ctx context.Context, now time.Time) time.Time {
	idle := now.Add(rereadIdle)
	if p.resync.IsZero() {
		p.resync = idle
	}
	for n := 0; ctx.Err() == nil; n++ {
		if n%flushMost == flushMost-1 {
			p.flush(now)
		}
		next, ok := p.collect(now)
		if !ok {
			return soonest(next, idle)
		}
		if p.head == len(p.queue) {
			if got, err := p.read(ctx, now); err != nil {
				p.log.Error("owed deliveries could not be read", "err", err)
				return soonest(next, now.Add(readPause))
			} else if !got {
				return soonest(soonest(next, p.reading(now)), later(p.resync, now, idle))
			} else if len(p.queue) == 0 {
				continue // all of it is held already
			}
		}
		if !p.send(p.queue[p.head]) {
			return soonest(next, idle) // every window is full; an answer wakes us
		}
		p.queue[p.head] = nil
		p.head++
	}
	return idle
}

// collect takes the retries that are due to the front of the queue. It reports
// when the next one is, and false if there is no bind to send to.
func (p *pump) collect(now time.Time) (next time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.binds) == 0 {
		// What was read stays in the store; it is read again for the next bind.
		for _, d := range p.queue[p.head:] {
			delete(p.held, d.due.Seq)
		}
		for _, d := range p.retries {
			delete(p.held, d.due.Seq)
		}
		p.queue, p.head, p.retries, p.rewind = p.queue[:0], 0, nil, true
		clear(p.queue[:cap(p.queue)])
		p.waiting = 0
		return p.flushAt, false
	}
	for len(p.retries) > 0 && !p.retries[0].next.After(now) {
		d := heap.Pop(&p.retries).(*delivery) // nothing else is pushed
		if p.head > 0 {
			p.head--
			p.queue[p.head] = d
		} else {
			p.queue = append(p.queue, d)
		}
	}
	p.waiting = len(p.queue) - p.head
	if len(p.retries) > 0 {
		next = p.retries[0].next
	}
	if len(p.acked) > 0 && !p.flushing {
		next = soonest(next, p.flushAt)
	}
	return next, true
}

// read fills the empty queue from the store: with what is new, else with what
// was parked. It reports false if there is nothing to read, or too much is
// outstanding already.
func (p *pump) read(ctx context.Context, now time.Time) (bool, error) {
	p.mu.Lock()
	idle := p.inFlight+len(p.retries)+len(p.acked) == 0 && !p.flushing
	if !now.Before(p.resync) || idle && p.rewind {
		if p.unread = true; idle {
			p.cursor, p.rewind, p.parked, p.pass = 0, false, false, false
			clear(p.held)
		}
		p.resync = now.Add(rereadIdle)
	}
	limit := min(owedPage, p.srv.cfg.MaxOwed-p.inFlight-len(p.retries))
	fresh := p.unread
	// A rewind waits until the store has forgotten what was acknowledged, and so does a look behind the cursor.
	if p.rewind || limit <= 0 || !fresh && (p.flushing || !p.pass && (!p.parked || now.Before(p.parkedAt))) || !p.probeLocked(now) {
		p.mu.Unlock()
		return false, nil
	}
	if fresh {
		p.unread = false // before reading: what is committed meanwhile sets it again
	} else if !p.pass {
		p.pass, p.back, p.parked = true, 0, false
	}
	p.mu.Unlock()
	if !fresh {
		return true, p.reread(ctx, now, limit)
	}

	due, err := p.srv.deps.Store.Owed(ctx, p.system, p.cursor, limit)
	p.fill(due)
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range due {
		p.cursor = max(p.cursor, due[i].Seq)
	}
	p.unread = p.unread || err != nil || len(due) >= limit
	return len(due) > 0, err
}

// reread reads the next page behind the cursor. No flush begins meanwhile: it
// is this goroutine's, so what the page holds and held does not is still owed.
func (p *pump) reread(ctx context.Context, now time.Time, limit int) error {
	due, err := p.srv.deps.Store.Owed(ctx, p.system, p.back, limit)
	if err != nil {
		p.fill(nil)
		return err
	}
	n := 0
	for n < len(due) && due[n].Seq <= p.cursor {
		p.back = due[n].Seq
		n++
	}
	p.fill(due[:n])
	if n < limit {
		p.mu.Lock()
		p.pass, p.parkedAt = false, now.Add(p.srv.cfg.RetryMost)
		p.mu.Unlock()
	}
	return nil
}

// probeLocked reports whether more may be read: a client that takes nothing at
// present gets what it has not seen a page at a time, to find out.
func (p *pump) probeLocked(now time.Time) bool {
	if p.untaken < p.mostRetries() || p.inFlight+len(p.retries) < p.mostRetries() {
		return true
	}
	if now.Before(p.probeAt) {
		return false
	}
	p.probeAt = now.Add(p.srv.cfg.RetryFirst)
	return true
}

// mostRetries bounds the deliveries in memory that are to be repeated.
func (p *pump) mostRetries() int { return max(p.srv.cfg.MaxOwed/2, 1) }

// fill makes deliveries of what was read and is not held.
func (p *pump) fill(due []gateway.ReceiptDue) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue, p.head = p.queue[:0], 0
	for i := range due {
		if _, ok := p.held[due[i].Seq]; !ok {
			p.held[due[i].Seq] = struct{}{}
			p.queue = append(p.queue, p.delivery(&due[i]))
		}
	}
	p.waiting = len(p.queue)
}

// reading is when to read again what could not be read now; zero if there is
// nothing, or if something else wakes the pump first.
func (p *pump) reading(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	var at time.Time
	switch {
	case p.rewind:
		return at
	case p.unread, p.pass && !p.flushing:
		at = p.probeAt
	case p.parked && !p.flushing:
		at = p.parkedAt
	default:
		return at
	}
	return later(at, now, now.Add(readPause))
}

func (p *pump) delivery(due *gateway.ReceiptDue) *delivery {
	d := &delivery{pump: p, due: *due}
	if due.MO != nil {
		p.ref++
		d.parts = segments(due.MO.Text, p.ref, p.srv.cfg.DeliverWindow)
	}
	return d
}

// send hands d to the next bind that has room for all of it.
func (p *pump) send(d *delivery) bool {
	n := d.count()
	for {
		c := p.reserve(n)
		if c == nil {
			return false
		}
		p.writer.write(d, c.version)
		p.mu.Lock()
		d.left, d.fate = n, fateTaken
		p.inFlight++
		p.waiting--
		p.mu.Unlock()
		if c.link.SendBatch(smpp.DeliverSMID, n, d) == nil {
			return true
		}
		// The link ended in between; its places are gone with it.
		p.mu.Lock()
		p.inFlight--
		p.waiting++
		p.mu.Unlock()
	}
}

// reserve finds n places, in turn, so that the binds share the load.
func (p *pump) reserve(n int) *session {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.binds {
		k := (p.turn + i) % len(p.binds)
		if c := p.binds[k]; c.link.Reserve(n) {
			p.turn = k + 1
			return c
		}
	}
	return nil
}

// answered notes one answer; the last one decides.
func (p *pump) answered(d *delivery, f fate, r smpplink.Result) {
	p.mu.Lock()
	d.fate = max(d.fate, f)
	if d.left--; d.left > 0 {
		p.mu.Unlock()
		return
	}
	p.inFlight--
	fate, tries := p.judgeLocked(d), d.tries
	if p.untaken++; d.fate != fateAgain {
		p.untaken = 0
	}
	switch {
	case fate != fateAgain:
		p.acked = append(p.acked, d.due.Seq)
	case len(p.retries) >= p.mostRetries():
		p.parkLocked(d)
	default:
		d.next = time.Now().Add(p.backoff(d.tries))
		d.tries++
		heap.Push(&p.retries, d)
	}
	p.mu.Unlock()
	switch fate {
	case fateTaken:
		p.srv.delivered.Add(1)
	case fateAgain:
		p.log.Debug("delivery will be repeated", "msg_id", receiptID(&d.due), "outcome", r.Kind.String(), "attempt", tries+1)
	default:
		p.srv.undeliverable.Add(1)
		p.log.Warn("delivery given up", "msg_id", receiptID(&d.due), "status", r.Header.Status.String(), "outcome", r.Kind.String(),
			"attempt", tries+1, "owed_since", d.since())
	}
	p.wake()
}

// judgeLocked decides what becomes of a delivery after its last answer: taken,
// given up, or repeated.
func (p *pump) judgeLocked(d *delivery) fate {
	if d.fate == fateTaken || d.fate == fateNever {
		return d.fate
	}
	if d.fate == fateRefused {
		d.refusals++
	}
	since := d.since()
	if d.refusals >= p.srv.cfg.MaxRefusals || !since.IsZero() && p.srv.cfg.Now().Sub(since) > gateway.MaxValidity {
		return fateNever
	}
	return fateAgain
}

// parkLocked leaves a delivery to the store alone: memory holds enough of what
// the client does not take.
func (p *pump) parkLocked(d *delivery) {
	delete(p.held, d.due.Seq)
	if !p.parked && !p.pass {
		p.parkedAt = time.Now().Add(p.srv.cfg.RetryMost)
	}
	p.parked = true
}

func (p *pump) backoff(tries int) time.Duration {
	return min(p.srv.cfg.RetryFirst<<min(tries, 20), p.srv.cfg.RetryMost)
}

// flush lets the store forget what was acknowledged: one batch at a time, so
// that batches grow with the time a commit takes.
func (p *pump) flush(now time.Time) {
	p.mu.Lock()
	if p.flushing || len(p.acked) == 0 || now.Before(p.flushAt) {
		p.mu.Unlock()
		return
	}
	seqs := p.acked
	p.acked = nil
	p.flushing = true
	p.mu.Unlock()
	p.srv.deps.Store.OwedDone(p.system, seqs, func(err error) { p.flushed(seqs, err) })
}

func (p *pump) flushed(seqs []uint64, err error) {
	p.mu.Lock()
	p.flushing = false
	if err != nil {
		p.acked = append(p.acked, seqs...)
		p.flushAt = time.Now().Add(readPause)
	} else {
		for _, q := range seqs {
			delete(p.held, q)
		}
	}
	p.mu.Unlock()
	if err != nil {
		p.log.Error("acknowledged deliveries could not be forgotten", "err", err)
	}
	p.wake()
}

// finish flushes the last acknowledgements and waits for the store. What it
// does not get to is delivered twice, not lost.
func (p *pump) finish() {
	limit := time.NewTimer(p.srv.cfg.StopTimeout)
	defer limit.Stop()
	for {
		p.flush(time.Now())
		p.mu.Lock()
		done := !p.flushing
		p.mu.Unlock()
		if done { // flushed, or the store just failed
			return
		}
		select {
		case <-p.kick:
		case <-limit.C:
			return
		}
	}
}

// soonest is the earlier of two times; the zero time is never.
func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// later is t if it is still to come, else the other: an overdue look from the
// start waits for the answers that are out, which wake the pump.
func later(t, now, other time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return other
}

// retryHeap orders deliveries by when they are due again.
type retryHeap []*delivery

func (h retryHeap) Len() int           { return len(h) }
func (h retryHeap) Less(i, j int) bool { return h[i].next.Before(h[j].next) }
func (h retryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *retryHeap) Push(x any)        { *h = append(*h, x.(*delivery)) } // heap.Push passes what it is given
func (h *retryHeap) Pop() any {
	old := *h
	d := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return d
}
