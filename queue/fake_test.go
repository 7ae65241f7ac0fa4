package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"izinli/gateway"
)

// memSource is a due index in memory that keeps the store's promises: key order, and never an entry behind a key passed.
type memSource struct {
	mu      sync.Mutex
	refs    map[laneAccount][]gateway.DueRef
	batch   gateway.BatchID
	reads   int
	fail    func() error // consulted by each read
	changed chan struct{}
	wake    func(gateway.Lane, gateway.AccountID, time.Time)
}

type laneAccount struct {
	lane    gateway.Lane
	account gateway.AccountID
}

func newSource() *memSource {
	return &memSource{refs: map[laneAccount][]gateway.DueRef{}, changed: make(chan struct{}, 1),
		wake: func(gateway.Lane, gateway.AccountID, time.Time) {}}
}

func compareRefs(a, b gateway.DueRef) int {
	if c := a.Due.Compare(b.Due); c != 0 {
		return c
	}
	if a.Batch != b.Batch {
		return int(int64(a.Batch) - int64(b.Batch))
	}
	return int(a.First) - int(b.First)
}

// add commits one entry of n messages, due after the delay, and wakes.
func (s *memSource) add(l gateway.Lane, a gateway.AccountID, delay time.Duration, n uint32) gateway.DueRef {
	s.mu.Lock()
	due := time.Now().Truncate(time.Millisecond)
	if delay > 0 {
		due = time.Now().Add(delay + time.Millisecond - 1).Truncate(time.Millisecond)
	}
	s.batch++
	r := gateway.DueRef{Account: a, Batch: s.batch, Count: n, Due: due, Lane: l}
	k := laneAccount{l, a}
	i, _ := slices.BinarySearchFunc(s.refs[k], r, compareRefs)
	s.refs[k] = slices.Insert(s.refs[k], i, r)
	s.mu.Unlock()
	s.wake(l, a, due)
	return r
}

// remove deletes entries as the hand-off's commit does.
func (s *memSource) remove(refs []gateway.DueRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range refs {
		k := laneAccount{r.Lane, r.Account}
		switch i, ok := slices.BinarySearchFunc(s.refs[k], r, compareRefs); {
		case ok && i < 200: // close up from the front: an index of thousands is not moved for each
			copy(s.refs[k][1:i+1], s.refs[k][:i])
			s.refs[k] = s.refs[k][1:]
		case ok:
			s.refs[k] = slices.Delete(s.refs[k], i, i+1)
		}
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *memSource) left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.refs {
		n += len(r)
	}
	return n
}

func (s *memSource) DueAccounts(_ context.Context, l gateway.Lane) (ids []gateway.AccountID, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, r := range s.refs {
		if k.lane == l && len(r) > 0 {
			ids = append(ids, k.account)
		}
	}
	return ids, nil
}

func (s *memSource) Due(_ context.Context, l gateway.Lane, a gateway.AccountID, after *gateway.DueRef, limit int) ([]gateway.DueRef, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if s.fail != nil {
		if err := s.fail(); err != nil {
			return nil, time.Time{}, err
		}
	}
	all := s.refs[laneAccount{l, a}]
	i := 0
	if after != nil {
		var ok bool
		if i, ok = slices.BinarySearchFunc(all, *after, compareRefs); ok {
			i++
		}
	}
	var out []gateway.DueRef
	for now := time.Now(); i < len(all); i++ {
		if all[i].Due.After(now) || len(out) == limit {
			return out, all[i].Due, nil
		}
		out = append(out, all[i])
	}
	return out, time.Time{}, nil
}

// handled is what a recorder saw of one entry.
type handled struct {
	times int
	late  time.Duration // of the last time, after its due time
}

// recorder is a Handler that removes what it gets from the source and keeps count.
type recorder struct {
	src  *memSource
	hook func(ctx context.Context, c Chunk) (time.Duration, error) // before the work; may be nil

	mu     sync.Mutex
	seen   map[gateway.BatchID]handled
	chunks []Chunk
	keep   bool // chunks
	n      int
}

func newRecorder(s *memSource) *recorder {
	return &recorder{src: s, seen: map[gateway.BatchID]handled{}}
}

func (r *recorder) Process(ctx context.Context, c Chunk) (time.Duration, error) {
	now := time.Now()
	var pause time.Duration
	if r.hook != nil {
		var err error
		if pause, err = r.hook(ctx, c); err != nil {
			return pause, err
		}
	}
	r.mu.Lock()
	r.n++
	for _, ref := range c.Refs {
		h := r.seen[ref.Batch]
		r.seen[ref.Batch] = handled{h.times + 1, now.Sub(ref.Due)}
	}
	if r.keep {
		r.chunks = append(r.chunks, c)
	}
	r.mu.Unlock()
	r.src.remove(c.Refs)
	return pause, nil
}

func (r *recorder) of(b gateway.BatchID) handled {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[b]
}

// latest is how long after its due time an entry was handled at most.
func (r *recorder) latest() (d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.seen {
		d = max(d, h.late)
	}
	return d
}

func (r *recorder) count() (chunks, entries int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n, len(r.seen)
}

// check reports what was handled other than exactly once (or, with repeats, at least once), or early.
func (r *recorder) check(total int, repeats bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) != total {
		return fmt.Errorf("got %d entries handled, want %d", len(r.seen), total)
	}
	for b, h := range r.seen {
		if h.times != 1 && !repeats {
			return fmt.Errorf("entry %d was handled %d times, want once", b, h.times)
		}
		if h.late < 0 {
			return fmt.Errorf("entry %d was handled %s early", b, -h.late)
		}
	}
	return nil
}

// fakeTasks plays asynq for lanes in a synctest bubble.
type fakeTasks struct {
	q     *Queue
	fail  func() error         // consulted by each enqueue; may be nil
	lose  func() bool          // whether an enqueued task vanishes
	delay func() time.Duration // from enqueue to start
	slots map[gateway.Lane]chan struct{}

	mu      sync.Mutex
	states  map[string]string // by task id: pending, active
	perLane [gateway.Lanes]int
	total   int
}

var errFake = errors.New("redis is away")

func newFakeTasks(q *Queue) *fakeTasks {
	f := &fakeTasks{q: q, states: map[string]string{}, slots: map[gateway.Lane]chan struct{}{}}
	for _, l := range q.lanes {
		f.slots[l.id] = make(chan struct{}, l.policy.workers)
	}
	return f
}

func (f *fakeTasks) enqueue(_ context.Context, c *Chunk, gen uint32) error {
	if f.fail != nil {
		if err := f.fail(); err != nil {
			return err
		}
	}
	lane, id, delay := c.Lane, c.ID, time.Duration(0)
	f.mu.Lock()
	f.total++
	lost := f.lose != nil && f.lose()
	if !lost {
		f.states[taskID(id, gen)] = "pending"
		f.perLane[lane]++
	}
	if f.delay != nil {
		delay = f.delay()
	}
	f.mu.Unlock()
	if lost {
		return nil
	}
	go func() { // ends with the handler
		<-time.After(delay)
		f.slots[lane] <- struct{}{}
		f.mu.Lock()
		gone := f.states[taskID(id, gen)] == ""
		if !gone {
			f.states[taskID(id, gen)] = "active"
			f.perLane[lane]--
		}
		f.mu.Unlock()
		if !gone {
			f.q.work(f.q.lanes[lane], id, gen)
			f.mu.Lock()
			delete(f.states, taskID(id, gen))
			f.mu.Unlock()
		}
		<-f.slots[lane]
	}()
	return nil
}

// flush loses everything that has not started.
func (f *fakeTasks) flush() {
	f.mu.Lock()
	clear(f.states)
	f.perLane = [gateway.Lanes]int{}
	f.mu.Unlock()
}

func (f *fakeTasks) pending(_ context.Context, l *lane) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.perLane[l.id], nil
}

func (f *fakeTasks) state(_ context.Context, c *Chunk, gen uint32) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.states[taskID(c.ID, gen)], nil
}
