package exchange

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
)

// Config of an Exchange. Zero durations take the default.
type Config struct {
	Store     Store
	Mirror    Mirror
	Directory Directory
	Rights    Rights        // nil = what Directory says of rights is taken as it is
	Listener  Listener      // nil = nobody
	Calendar  *iys.Calendar // nil = iys.DefaultCalendar
	Log       *slog.Logger  // nil = silent

	PullEvery    time.Duration // default 15 min; well under the freshness limit
	OutboxEvery  time.Duration // default 5 s: how soon a postponed entry is seen
	RequestAfter time.Duration // default 300 s, İYS's wish between adding a batch and asking for it
	AskWindow    time.Duration // default 5 ms: how long a question waits for others
	FreshFor     time.Duration // default iys.DefaultFreshness: how old a pull may be for the mirror to be believed
	RequeryEvery time.Duration // default 1 min: how soon a broken-off re-query goes on
	SingleUpTo   int           // so many approvals of a brand go one by one, more as a batch; default 5
}

// Exchange carries the traffic of all brands. It is safe for concurrent use.
type Exchange struct {
	cfg  Config
	cal  *iys.Calendar
	log  *slog.Logger
	wake chan struct{}
	lost chan struct{} // a re-query is wanted

	// applyMu keeps reading a record, resolving and writing it in one piece.
	applyMu sync.Mutex

	// owedMu keeps reading what customers owe and ending it, or taking it back,
	// in one piece: what ended meanwhile must not be sent again.
	owedMu sync.Mutex

	// flushMu lets one pass over the outbox run at a time.
	flushMu sync.Mutex
	recent  map[iys.Key]time.Time // when an address was written to last; guarded by flushMu
	started time.Time             // before this the last process may have written

	asks asker

	restMu sync.Mutex
	rest   map[string]time.Time // brands not to be pulled before; guarded by restMu
	shut   map[string]Shut      // brands İYS lets us not write to; guarded by restMu
	muted  map[askKey]muted     // questions not to be asked for now; guarded by restMu

	base context.Context // ends with Close; parent of work nobody waits for alone
	stop context.CancelFunc
	wg   sync.WaitGroup // questions under way
}

// New returns an Exchange that does nothing yet: Ask works at once, the rest
// begins with Run.
func New(cfg Config) (*Exchange, error) {
	if cfg.Store == nil || cfg.Mirror == nil || cfg.Directory == nil {
		return nil, errors.New("exchange: store, mirror and directory are required")
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&cfg.PullEvery, 15*time.Minute)
	def(&cfg.OutboxEvery, 5*time.Second)
	def(&cfg.RequestAfter, 300*time.Second)
	def(&cfg.AskWindow, 5*time.Millisecond)
	def(&cfg.FreshFor, iys.DefaultFreshness)
	def(&cfg.RequeryEvery, time.Minute)
	if cfg.SingleUpTo <= 0 {
		cfg.SingleUpTo = 5
	}
	if cfg.Calendar == nil {
		cfg.Calendar = iys.DefaultCalendar()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	base, stop := context.WithCancel(context.Background())
	return &Exchange{
		cfg: cfg, cal: cfg.Calendar, log: cfg.Log, wake: make(chan struct{}, 1), lost: make(chan struct{}, 1),
		recent: map[iys.Key]time.Time{}, rest: map[string]time.Time{}, shut: map[string]Shut{}, muted: map[askKey]muted{}, started: time.Now(), base: base, stop: stop,
		asks: asker{open: map[askKey]*round{}, flying: map[iys.Key]*round{}},
	}, nil
}

// Run writes, pulls and re-queries until ctx ends, and returns when all have
// stopped.
func (x *Exchange) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	wg.Go(func() { x.writeLoop(ctx) })
	wg.Go(func() { x.pullLoop(ctx) })
	wg.Go(func() { x.requeryLoop(ctx) })
	wg.Go(func() { x.alarmLoop(ctx) })
	wg.Wait()
	return nil
}

// Close ends questions under way and waits for them. Run is ended by its own
// context, before Close.
func (x *Exchange) Close() {
	x.stop()
	x.asks.close()
	x.wg.Wait()
}

// Wake tells the outbox that an entry has been committed.
func (x *Exchange) Wake() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

const (
	firstBackoff = time.Second
	lastBackoff  = time.Minute
)

func (x *Exchange) writeLoop(ctx context.Context) {
	backoff := firstBackoff
	for ctx.Err() == nil {
		more, err := x.Flush(ctx)
		wait, wake := x.cfg.OutboxEvery, x.wake
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case err != nil:
			x.log.Warn("iys outbox pass failed", "err", err, "retry", iysapi.RetryOf(err).String())
			// A wake-up must not turn an outage into a storm.
			wait, wake = backoff, nil
			backoff = min(2*backoff, lastBackoff)
		case more:
			backoff = firstBackoff
			continue
		default:
			backoff = firstBackoff
		}
		if !sleep(ctx, wait, wake) {
			return
		}
	}
}

func (x *Exchange) pullLoop(ctx context.Context) {
	for {
		wait := x.cfg.PullEvery
		if err := x.PullAll(ctx); err != nil && ctx.Err() == nil {
			x.log.Warn("iys pull failed", "err", err, "retry", iysapi.RetryOf(err).String())
			if outage(err) {
				wait = min(wait, lastBackoff) // it ends without notice, and the mirror ages
			}
		}
		if !sleep(ctx, wait, nil) {
			return
		}
	}
}

// outage reports whether one of the errors of a pull is that İYS did not answer
// for a brand.
func outage(err error) bool {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.ContainsFunc(many.Unwrap(), outage)
	}
	return iysapi.RetryOf(err) == iysapi.RetryAgain && !errors.Is(err, errUnvouched)
}

// sleep waits for d or a wake-up; false when ctx has ended.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-wake:
	}
	return true
}

// apply brings records into mirror and store: a refusal into the mirror before
// the commit, an approval after it. more is committed with them; it may be
// empty. It returns the records that hold now, one per key.
func (x *Exchange) apply(ctx context.Context, incoming []iys.Consent, more Changes) ([]iys.Consent, error) {
	x.applyMu.Lock()
	defer x.applyMu.Unlock()
	keys := make([]iys.Key, 0, len(incoming))
	place := make(map[iys.Key]int, len(incoming))
	for _, c := range incoming {
		if _, twice := place[c.Key]; !twice {
			place[c.Key] = len(keys)
			keys = append(keys, c.Key)
		}
	}
	held, err := x.cfg.Store.Consents(ctx, keys)
	if err == nil && len(held) != len(keys) {
		err = errors.New("store answered another number of records")
	}
	if err != nil {
		for _, c := range incoming {
			if c.Status != iys.StatusApproved {
				x.cfg.Mirror.Put(c) // to stop needs no store
			}
		}
		return nil, fmt.Errorf("exchange: read consents: %w", err)
	}
	for _, c := range incoming {
		h := &held[place[c.Key]]
		*h = merge(*h, c)
	}
	for _, h := range held {
		if h.Status != iys.StatusApproved {
			x.cfg.Mirror.Put(h)
		}
	}
	more.Consents = held
	if err := x.cfg.Store.Commit(ctx, more); err != nil {
		return nil, fmt.Errorf("exchange: commit: %w", err)
	}
	for _, h := range held {
		if h.Status == iys.StatusApproved {
			x.cfg.Mirror.Put(h)
		}
	}
	return held, nil
}

// merge is iys.Resolve that also remembers when the winner was last confirmed:
// a record said again by İYS is as good as one learned today.
func merge(stored, incoming iys.Consent) iys.Consent {
	won := iys.Resolve(stored, incoming)
	if won.Status == stored.Status && won.Status == incoming.Status && incoming.ReadAt.After(won.ReadAt) {
		won.ReadAt = incoming.ReadAt
	}
	// Listings and files do not name dealers: the same movement said again must
	// not take their access away.
	if won.RetailerCode == 0 && len(won.RetailerAccess) == 0 && won.Status == stored.Status && won.ConsentDate.Equal(stored.ConsentDate) {
		won.RetailerCode, won.RetailerAccess = stored.RetailerCode, stored.RetailerAccess
	}
	return won
}
