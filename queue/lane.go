package queue

import (
	"container/heap"
	"log/slog"
	"sync"
	"time"

	"izinli/gateway"
)

// policy is what differs between the lanes.
type policy struct {
	limit        int           // messages per chunk
	workers      int           // handlers at once
	accountTasks int           // tasks of one account when it is alone
	maxTasks     int           // tasks in asynq, running ones included
	partialBelow int           // with fewer tasks than this a chunk need not be full
	linger       time.Duration // between two chunks of an account of which the second is not full
	maxBuffered  int           // entries read and not cut
	requeueAfter time.Duration
}

// chunkState is where a chunk stands.
type chunkState uint8

const (
	chunkWaiting  chunkState = iota // in its account's backlog, not in asynq
	chunkEnqueued                   // a task of its generation is, or is about to be, in asynq
	chunkRunning                    // its handler runs
)

// chunk is a Chunk with its life. Guarded by the lane's mu, but for the embedded Chunk, which never changes.
type chunk struct {
	Chunk
	account    *account
	msgs       int
	state      chunkState
	gen        uint32 // rises with every enqueue
	visible    bool   // its task is known to be in asynq
	enqueued   time.Time
	checked    time.Time // when last looked for in asynq
	seenActive bool      // was "active" there although nothing of ours started
}

// account is one account's part of a lane. Guarded by the lane's mu; buf, cursor, cut and more change only in the feeder.
type account struct {
	id      gateway.AccountID
	cursor  *gateway.DueRef  // last entry read; nil: none
	cut     *gateway.DueRef  // last entry cut into a chunk
	buf     []gateway.DueRef // read, not yet cut
	bufMsgs int
	more    bool // the last read stopped at its limit
	dirty   bool // woken since the last read
	next    time.Time
	backlog []*chunk // cut, to be enqueued (again)

	inflight    int // chunks enqueued or running
	lastCut     time.Time
	pausedUntil time.Time // asked for by the handler, or after its error
	errors      int       // of the handler in a row
	readAfter   time.Time // the source failed
	readErrors  int

	inReady, inPartial, inCapped bool
	timer                        time.Time // when to look again; zero: no timer
	timerIndex                   int       // in the heap; -1: not there
}

// lane is the state of one lane. Its feeder goroutine (feeder.go) moves entries into asynq, workers take and finish chunks.
type lane struct {
	id     gateway.Lane
	policy policy
	log    *slog.Logger
	kick   chan struct{} // capacity 1: there is something to feed

	// Set before the lane is used.
	up       func() bool     // Redis answers
	failed   func(err error) // an enqueue failed
	worked   func()          // an enqueue succeeded
	drawable func()          // canDraw may have become true

	mu       sync.Mutex
	nextID   uint64
	accounts map[gateway.AccountID]*account
	ready    fifo              // accounts to serve, in turn
	partial  fifo              // accounts with less than a chunk while many tasks are outstanding
	capped   fifo              // accounts that have their share in flight
	timers   timerHeap         // accounts to look at later
	chunks   map[uint64]*chunk // enqueued or running
	closed   bool
	held     bool // by a person: nothing new starts

	active   int // accounts with chunks in flight
	backlog  int // chunks in backlogs
	buffered int // entries in bufs
	running  int
	visible  int // enqueued chunks with a task known to be in asynq
	drawn    int // tasks drawn from asynq whose handler has not looked for its chunk yet

	stats    counters
	failures throttle // of the log
}

func newLane(id gateway.Lane, p policy, firstChunk uint64, log *slog.Logger) *lane {
	nop := func() {}
	return &lane{
		id: id, policy: p, log: log, nextID: firstChunk,
		kick:     make(chan struct{}, 1),
		accounts: map[gateway.AccountID]*account{},
		chunks:   map[uint64]*chunk{},
		up:       func() bool { return true }, failed: func(error) {}, worked: nop, drawable: nop,
	}
}

// poke makes the feeder look.
func (l *lane) poke() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// wake notes new entries of the account, the earliest due at due.
func (l *lane) wake(id gateway.AccountID, due, now time.Time) {
	l.mu.Lock()
	a := l.accountLocked(id)
	if due.After(now) {
		if !a.next.IsZero() && !due.Before(a.next) {
			l.mu.Unlock()
			return // the timer that is set comes first
		}
		a.next = due
	} else {
		if a.dirty {
			l.mu.Unlock()
			return // will be read, or waits for something else to end
		}
		a.dirty = true
	}
	l.settleLocked(a, now)
	l.mu.Unlock()
	l.poke()
}

func (l *lane) accountLocked(id gateway.AccountID) *account {
	a := l.accounts[id]
	if a == nil {
		a = &account{id: id, timerIndex: -1}
		l.accounts[id] = a
	}
	return a
}

// shareLocked is how many tasks the account may have in flight now: an equal share if one more account came, and at most half of
// what the others leave free, so that accounts whose operators are stuck never add up to all workers; but always one.
func (l *lane) shareLocked(a *account) int {
	n := l.active
	if a.inflight == 0 {
		n++
	}
	others := len(l.chunks) - a.inflight
	return max(1, min(l.policy.accountTasks, l.policy.workers/(n+1), (l.policy.workers-others)/2))
}

// settleLocked puts the account where it will be seen again: among the ready ones, among those with too little to send, behind a
// timer; or nowhere, when only the end of one of its chunks or a wake can change its lot.
func (l *lane) settleLocked(a *account, now time.Time) {
	if !a.next.IsZero() && !a.next.After(now) {
		a.next, a.dirty = time.Time{}, true
	}
	at := a.next // earliest time at which something changes by itself
	sooner := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	readable := a.more || a.dirty
	switch {
	case a.pausedUntil.After(now):
		at = a.pausedUntil
	case a.inflight >= l.shareLocked(a):
		at = time.Time{} // finish looks again
		l.capped.push(a, &a.inCapped)
	case len(a.backlog) > 0, a.bufMsgs >= l.policy.limit:
		l.ready.push(a, &a.inReady)
	case readable && a.readAfter.After(now):
		sooner(a.readAfter)
	case a.more:
		l.ready.push(a, &a.inReady)
	case !a.dirty && len(a.buf) == 0:
		// nothing to do before next
	case a.lastCut.Add(l.policy.linger).After(now):
		sooner(a.lastCut.Add(l.policy.linger))
	case a.dirty || l.partialLocked(a):
		l.ready.push(a, &a.inReady)
	default:
		l.partial.push(a, &a.inPartial)
	}
	l.armLocked(a, at)
}

// partialLocked reports whether a chunk of the account need not be full.
func (l *lane) partialLocked(a *account) bool {
	return a.inflight == 0 || len(l.chunks) < l.policy.partialBelow
}

// cutLocked takes the next chunk from the account's buffer, nil when none may be cut now.
func (l *lane) cutLocked(a *account, now time.Time) *chunk {
	if len(a.buf) == 0 {
		return nil
	}
	if a.bufMsgs < l.policy.limit && (!l.partialLocked(a) || a.lastCut.Add(l.policy.linger).After(now)) {
		return nil
	}
	n, msgs := 1, a.buf[0].Messages()
	for n < len(a.buf) && msgs+a.buf[n].Messages() <= l.policy.limit {
		msgs += a.buf[n].Messages()
		n++
	}
	refs := append([]gateway.DueRef(nil), a.buf[:n]...)
	a.buf = a.buf[n:]
	a.bufMsgs -= msgs
	l.buffered -= n
	if len(a.buf) == 0 {
		a.buf = nil
	}
	a.cut = &refs[n-1]
	a.lastCut = now
	c := &chunk{Chunk: Chunk{ID: l.nextID, Lane: l.id, Account: a.id, Refs: refs}, account: a, msgs: msgs}
	l.nextID++
	return c
}

// trimLocked gives up the account's buffer when the lane holds too much; the entries are read again after those cut.
func (l *lane) trimLocked(a *account) {
	if l.buffered <= l.policy.maxBuffered || len(a.buf) == 0 {
		return
	}
	l.buffered -= len(a.buf)
	a.buf, a.bufMsgs = nil, 0
	a.cursor, a.more = a.cut, true
}

// launchLocked registers the chunk as enqueued, before its task exists: the task may arrive before the enqueue returns.
func (l *lane) launchLocked(c *chunk, now time.Time) {
	c.state, c.enqueued = chunkEnqueued, now
	c.gen++
	c.checked, c.seenActive = time.Time{}, false
	l.chunks[c.ID] = c
	if c.account.inflight == 0 {
		l.active++
	}
	c.account.inflight++
}

// shelveLocked takes the chunk out of flight; it waits in its account's backlog. An earlier task of it is stale from here on.
func (l *lane) shelveLocked(c *chunk) {
	l.landLocked(c)
	c.state = chunkWaiting
	c.account.backlog = append(c.account.backlog, c)
	l.backlog++
}

// landLocked takes the chunk out of flight.
func (l *lane) landLocked(c *chunk) {
	l.unseeLocked(c)
	delete(l.chunks, c.ID)
	c.account.inflight--
	if c.account.inflight == 0 {
		l.active--
	}
}

func (l *lane) unseeLocked(c *chunk) {
	if c.visible {
		c.visible = false
		l.visible--
	}
}

// launched notes how the enqueue of that generation went.
func (l *lane) launched(c *chunk, gen uint32, err error, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.gen != gen || c.state != chunkEnqueued {
		return // already taken, or found lost
	}
	if err != nil {
		l.shelveLocked(c) // the task may exist all the same; it will be stale
		l.settleLocked(c.account, now)
		return
	}
	c.visible = true
	l.visible++
	l.drawable()
}

// take gives the chunk of that generation to a worker, once; nil when there is nothing to do for the task. The worker is counted in
// wg and calls finish.
func (l *lane) take(id uint64, gen uint32, now time.Time, wg *sync.WaitGroup) *chunk {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.drawn > 0 {
		l.drawn--
	}
	defer func() {
		if l.visible > l.drawn {
			l.drawable()
		}
	}()
	c := l.chunks[id]
	switch {
	case l.closed:
		return nil
	case c == nil || c.state != chunkEnqueued || c.gen != gen:
		l.stats.stale++
		return nil
	case c.account.pausedUntil.After(now):
		l.shelveLocked(c)
		l.settleLocked(c.account, now)
		l.poke() // for the new timer
		return nil
	}
	l.unseeLocked(c)
	c.state = chunkRunning
	l.running++
	wg.Add(1)
	return c
}

// Delays after a failed chunk of an account: doubling, so that a store in trouble is not pestered.
const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
)

func backoff(n int) time.Duration {
	return min(retryMost, retryFirst<<min(n, 10))
}

// finish ends a taken chunk: forgotten, or after an error waiting to come again.
func (l *lane) finish(c *chunk, pause time.Duration, err error, now time.Time) {
	l.mu.Lock()
	a := c.account
	l.running--
	if err != nil {
		l.shelveLocked(c)
		l.stats.failed++
		pause = max(pause, backoff(a.errors))
		a.errors++
	} else {
		l.landLocked(c)
		a.errors = 0
		l.stats.chunks++
		l.stats.messages += uint64(c.msgs)
	}
	if until := now.Add(pause); pause > 0 && until.After(a.pausedUntil) {
		a.pausedUntil = until
	}
	l.settleLocked(a, now)
	if len(l.chunks) < l.policy.partialBelow {
		for p := l.partial.pop(); p != nil; p = l.partial.pop() {
			p.inPartial = false
			l.ready.push(p, &p.inReady)
		}
	}
	for range 2 { // others may have a larger share now; two for one, so that all come round
		if p := l.capped.pop(); p != nil {
			p.inCapped = false
			l.settleLocked(p, now)
		}
	}
	feed := l.ready.len() > 0 || a.timerIndex == 0
	l.mu.Unlock()
	l.drawable()
	if feed {
		l.poke()
	}
}

// canDraw reports whether a task waits in asynq that may start now.
func (l *lane) canDraw() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && !l.held && l.visible > l.drawn && l.running+l.drawn < l.policy.workers
}

// full reports whether all the workers the lane may have are occupied, or it is held.
func (l *lane) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held || l.running >= l.policy.workers
}

// hold keeps the lane from starting anything, or lets it go on.
func (l *lane) hold(on bool) {
	l.mu.Lock()
	l.held = on
	l.mu.Unlock()
	if !on {
		l.drawable()
		l.poke()
	}
}

// drew notes that a task was drawn from asynq; take follows.
func (l *lane) drew() {
	l.mu.Lock()
	l.drawn++
	l.mu.Unlock()
}

// forgetDrawn resets the count of drawn tasks after a quiet second: whatever was drawn before has arrived or never will.
func (l *lane) forgetDrawn() {
	l.mu.Lock()
	l.drawn = 0
	l.mu.Unlock()
}

// close lets no further chunk be taken.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
}

// armLocked sets, moves or (zero) removes the account's timer.
func (l *lane) armLocked(a *account, at time.Time) {
	a.timer = at
	switch {
	case at.IsZero() && a.timerIndex >= 0:
		heap.Remove(&l.timers, a.timerIndex)
	case at.IsZero():
	case a.timerIndex >= 0:
		heap.Fix(&l.timers, a.timerIndex)
	default:
		heap.Push(&l.timers, a)
	}
}

// timerHeap orders accounts by timer.
type timerHeap []*account

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].timer.Before(h[j].timer) }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timerIndex, h[j].timerIndex = i, j
}
func (h *timerHeap) Push(x any) {
	a := x.(*account)
	a.timerIndex = len(*h)
	*h = append(*h, a)
}
func (h *timerHeap) Pop() any {
	old := *h
	a := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	a.timerIndex = -1
	return a
}

// fifo is a queue of accounts, each in it at most once by way of its mark.
type fifo struct {
	items []*account
	head  int
}

func (f *fifo) push(a *account, mark *bool) {
	if *mark {
		return
	}
	*mark = true
	f.items = append(f.items, a)
}

// pop returns the first account, nil when there is none; the caller clears the mark.
func (f *fifo) pop() *account {
	if f.head == len(f.items) {
		f.items, f.head = f.items[:0], 0
		return nil
	}
	a := f.items[f.head]
	f.items[f.head] = nil
	f.head++
	if f.head > 64 && f.head*2 > len(f.items) {
		f.items = append(f.items[:0], f.items[f.head:]...)
		f.head = 0
	}
	return a
}

func (f *fifo) len() int { return len(f.items) - f.head }
