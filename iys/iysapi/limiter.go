package iysapi

import (
	"context"
	"sync"
	"time"
)

// Priority orders calls that wait for a slot: a refusal before an approval
// before a question (the three-day clock of a RET is the law's).
type Priority uint8

// The priorities, most urgent first.
const (
	PriorityRejection Priority = iota
	PriorityApproval
	PriorityQuery
	PriorityBackground // work that may take hours: re-queries, reconciliation
	priorities
)

type priorityKey struct{}

// WithPriority gives calls under ctx another place in the line than their kind
// would, for example the question that prepares a RET.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, min(p, PriorityBackground))
}

func priorityOf(ctx context.Context, standard Priority) Priority {
	if p, ok := ctx.Value(priorityKey{}).(Priority); ok {
		return p
	}
	return standard
}

// Limits are İYS's limits per IP (iys-api.md §18). Zero fields take the
// documented value.
type Limits struct {
	PerSecond      int // 10
	TokensPerHour  int // 100
	StatusPerHour  int // 1000
	HistoryPerHour int // 100
}

func (l Limits) filled() Limits {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&l.PerSecond, 10)
	def(&l.TokensPerHour, 100)
	def(&l.StatusPerHour, 1000)
	def(&l.HistoryPerHour, 100)
	return l
}

// window counts events in a sliding span: at most len(at) within span. A
// sliding window is right whether İYS counts in fixed or sliding hours.
type window struct {
	at   []time.Time // ring of the last admissions
	next int         // oldest entry
	span time.Duration
}

func newWindow(n int, span time.Duration) *window {
	return &window{at: make([]time.Time, n), span: span}
}

// free returns when the next event may be; a time not after now means at once.
func (w *window) free() time.Time {
	if w.at[w.next].IsZero() {
		return time.Time{}
	}
	return w.at[w.next].Add(w.span)
}

func (w *window) take(now time.Time) {
	w.at[w.next] = now
	w.next = (w.next + 1) % len(w.at)
}

// limiter admits calls at İYS's rate: most urgent first, and among equally
// urgent ones the brands in turn, so that none waits behind another's backlog.
type limiter struct {
	mu     sync.Mutex
	second *window
	paused time.Time // after a 429
	queue  [priorities]line
	timer  *time.Timer
}

type ticket struct {
	go_  chan struct{}
	left bool // gave up; guarded by limiter.mu
}

// line is who waits at one priority.
type line struct {
	turn    []string // shares with tickets, whose turn is next first
	waiting map[string][]*ticket
}

func (l *line) push(share string, t *ticket) {
	if l.waiting == nil {
		l.waiting = map[string][]*ticket{}
	}
	if len(l.waiting[share]) == 0 {
		l.turn = append(l.turn, share)
	}
	l.waiting[share] = append(l.waiting[share], t)
}

// head returns whose turn it is, nil when nobody waits. Those who gave up
// leave the line here.
func (l *line) head() *ticket {
	for len(l.turn) > 0 {
		share := l.turn[0]
		for list := l.waiting[share]; len(list) > 0; list = l.waiting[share] {
			if !list[0].left {
				return list[0]
			}
			l.waiting[share] = list[1:]
		}
		delete(l.waiting, share)
		l.turn = l.turn[1:]
	}
	return nil
}

// pop takes the head out; its share goes to the end of the line.
func (l *line) pop() {
	share := l.turn[0]
	l.turn = l.turn[1:]
	if rest := l.waiting[share][1:]; len(rest) > 0 {
		l.waiting[share] = rest
		l.turn = append(l.turn, share)
		return
	}
	delete(l.waiting, share)
}

// secondSpan is a little more than a second, because the network can press two
// calls closer together than they left.
const secondSpan = 1050 * time.Millisecond

func newLimiter(perSecond int) *limiter {
	return &limiter{second: newWindow(perSecond, secondSpan)}
}

// wait returns when the call may leave, or ctx ends.
func (l *limiter) wait(ctx context.Context, p Priority, share string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t := &ticket{go_: make(chan struct{})}
	l.mu.Lock()
	l.queue[p].push(share, t)
	l.admitLocked(time.Now())
	l.mu.Unlock()
	select {
	case <-t.go_:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		t.left = true
		l.mu.Unlock()
		return ctx.Err()
	}
}

// pause stops admissions until t, after İYS said that we are too fast.
func (l *limiter) pause(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.After(l.paused) {
		l.paused = t
	}
}

// admitLocked lets out whoever may go at now and arms the timer for the next.
func (l *limiter) admitLocked(now time.Time) {
	for {
		t, p := l.headLocked()
		if t == nil {
			return
		}
		at := l.second.free()
		if l.paused.After(at) {
			at = l.paused
		}
		if at.After(now) {
			l.armLocked(at.Sub(now))
			return
		}
		l.second.take(now)
		l.queue[p].pop()
		close(t.go_)
	}
}

func (l *limiter) headLocked() (*ticket, Priority) {
	for p := range l.queue {
		if t := l.queue[p].head(); t != nil {
			return t, Priority(p)
		}
	}
	return nil, 0
}

func (l *limiter) armLocked(d time.Duration) {
	if l.timer != nil {
		l.timer.Stop()
	}
	l.timer = time.AfterFunc(d, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.admitLocked(time.Now())
	})
}

// budget is an hourly allowance. Unlike the limiter it never waits: an hour is
// the caller's to plan.
type budget struct {
	mu     sync.Mutex
	hour   *window
	silent time.Time // İYS said no; nothing before this
}

func newBudget(n int) *budget { return &budget{hour: newWindow(n, time.Hour)} }

// take spends one, or returns until when nothing may be spent.
func (b *budget) take(now time.Time) (until time.Time, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	until = b.hour.free()
	if b.silent.After(until) {
		until = b.silent
	}
	if until.After(now) {
		return until, false
	}
	b.hour.take(now)
	return time.Time{}, true
}

// silence forbids spending until t.
func (b *budget) silence(t time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.After(b.silent) {
		b.silent = t
	}
}
