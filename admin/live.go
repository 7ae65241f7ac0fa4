package admin

import (
	"context"
	"sync"
	"time"

	"izinli/gateway"
)

// Snapshot is the gateway at one instant, as the dashboard shows it. Counters rise from the start of the process; the panel makes
// rates of them. What is not known stays zero.
type Snapshot struct {
	At      time.Time
	Version string
	// Ready says what keeps the gateway from its work, in English; empty: nothing.
	Ready string

	Accepted  uint64 // messages taken in
	HandedOff uint64 // messages handed to operators
	Delivered uint64
	Failed    uint64 // undelivered, rejected, expired, failed
	Dropped   uint64 // by policy

	Lanes     []LaneState
	Operators []OperatorState
	Brands    []BrandState
	Outbox    OutboxState
	Unwanted  []UnwantedMail // the latest first
	Queue     QueueState
	Storage   StorageState
	// Latency is how many operator answers took up to each bound, not cumulated; the last entry has no bound.
	Latency []LatencyBucket
}

// LaneState is one lane of traffic.
type LaneState struct {
	Lane    gateway.Lane
	Waiting int           // messages or chunks in hand
	Running int           // being handed off
	Oldest  time.Duration // how long the oldest has been due; 0: none
	Paused  bool          // by a person
}

// OperatorState is one bind of an operator.
type OperatorState struct {
	Operator       string
	Bind           int
	State          string // bound, connecting, waiting, closed …
	Up             bool
	Since          time.Time
	Window, InUse  int
	ThrottledUntil time.Time // zero: not throttled
	LastError      string
	Sent, Refused  uint64
}

// BrandState is how fresh the consents of a brand are on one channel.
type BrandState struct {
	Account  gateway.AccountID
	Brand    string
	Name     string
	Channel  string    // sms, email
	Mode     string    // partner, ahs, self_managed, exempt
	PulledAt time.Time // start of the last complete pull; zero: never
	FreshFor time.Duration
}

// Stale reports whether the mirror of a partner brand is too old to be believed: everything is then asked live.
func (b *BrandState) Stale(now time.Time) bool {
	return b.Mode == "partner" && (b.PulledAt.IsZero() || b.FreshFor > 0 && now.Sub(b.PulledAt) > b.FreshFor)
}

// OutboxState is what İYS has not been told yet.
type OutboxState struct {
	Open    int // entries
	Warning int // past the first business day
	Late    int // past the third: the legal deadline
	Owed    int // of Open: owed by customers, whose brand we may not write
}

// UnwantedMail is a domain that refuses our mail now.
type UnwantedMail struct {
	Domain string
	Class  string // block: we are unwanted there; auth: it does not believe who sends
	Reply  string // the last one
	Count  int    // refusals
}

// QueueState is the queue's health.
type QueueState struct {
	Up       bool
	Embedded bool
	Error    string
}

// StorageState is the disk under the store.
type StorageState struct {
	Full          bool // acceptance has stopped
	Free, Reserve uint64
	Used          uint64
}

// LatencyBucket counts answers within a bound.
type LatencyBucket struct {
	Upto  time.Duration // 0: no bound
	Count uint64
}

// sample is one point of the history: messages per second.
type sample struct {
	at                                              time.Time
	accepted, handedOff, delivered, failed, dropped float64
	p50, p95                                        float64 // ms an operator took to answer; 0: no answer
}

const (
	history  = 150  // samples: five minutes at two seconds
	dayParts = 1440 // minutes kept of the last day
)

// live looks at the gateway at a steady pace, once for all viewers.
type live struct {
	look func(context.Context) Snapshot
	tick time.Duration
	now  func() time.Time

	mu      sync.Mutex
	last    Snapshot // guarded by mu, like all below
	known   bool
	running bool
	samples []sample
	minute  Snapshot      // the look with which the present minute began
	day     []sample      // a minute each
	changed chan struct{} // closed with every new look
	ended   chan struct{} // closed when run ends
	viewers int
}

func newLive(look func(context.Context) Snapshot, tick time.Duration, now func() time.Time) *live {
	return &live{look: look, tick: tick, now: now, changed: make(chan struct{}), ended: make(chan struct{})}
}

// run looks until ctx ends. It is called once.
func (l *live) run(ctx context.Context) {
	defer close(l.ended)
	if l.look == nil {
		<-ctx.Done()
		return
	}
	l.mu.Lock()
	l.running = true
	l.mu.Unlock()
	t := time.NewTicker(l.tick)
	defer t.Stop()
	for {
		l.put(l.look(ctx))
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// put takes a look and wakes the viewers.
func (l *live) put(s Snapshot) {
	if s.At.IsZero() {
		s.At = l.now()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known {
		if x, ok := rates(&l.last, &s); ok {
			l.samples = keep(l.samples, x, history)
		}
		if s.At.Sub(l.minute.At) >= time.Minute {
			if x, ok := rates(&l.minute, &s); ok {
				l.day = keep(l.day, x, dayParts)
			}
			l.minute = s
		}
	} else {
		l.minute = s
	}
	l.last, l.known = s, true
	close(l.changed)
	l.changed = make(chan struct{})
}

// keep appends and forgets the oldest beyond most.
func keep(list []sample, x sample, most int) []sample {
	if list = append(list, x); len(list) > most {
		list = append(list[:0], list[1:]...)
	}
	return list
}

// lastDay is the history of the last day, by the minute.
func (l *live) lastDay() []sample {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]sample(nil), l.day...)
}

// rates turns two looks into messages per second; false when no time lies between them.
func rates(a, b *Snapshot) (sample, bool) {
	d := b.At.Sub(a.At).Seconds()
	if d <= 0 {
		return sample{}, false
	}
	per := func(x, y uint64) float64 {
		if y < x { // the process below has started anew
			return 0
		}
		return float64(y-x) / d
	}
	return sample{at: b.At, accepted: per(a.Accepted, b.Accepted), handedOff: per(a.HandedOff, b.HandedOff),
		delivered: per(a.Delivered, b.Delivered), failed: per(a.Failed, b.Failed), dropped: per(a.Dropped, b.Dropped),
		p50: quantile(a.Latency, b.Latency, 0.5), p95: quantile(a.Latency, b.Latency, 0.95)}, true
}

// view returns the last look with the history, and a channel closed with the next one. Without run it looks itself.
func (l *live) view(ctx context.Context) (Snapshot, []sample, <-chan struct{}) {
	l.mu.Lock()
	running := l.running && l.known
	l.mu.Unlock()
	if !running && l.look != nil {
		l.put(l.look(ctx))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, append([]sample(nil), l.samples...), l.changed
}

const maxViewers = 256

// join counts a viewer; false when there are too many.
func (l *live) join() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.viewers >= maxViewers {
		return false
	}
	l.viewers++
	return true
}

func (l *live) leave() {
	l.mu.Lock()
	l.viewers--
	l.mu.Unlock()
}
