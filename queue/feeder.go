package queue

import (
	"container/heap"
	"context"
	"time"

	"izinli/gateway"
)

// Times of the feeder.
const (
	readLimit  = 100              // entries per read of the source
	sweepEvery = time.Minute      // the accounts are listed again: insurance against a wake that never came
	sweepRetry = time.Second      // after a failed list
	maxWait    = 30 * time.Second // wall clocks jump; timers do not
	minRecheck = 2 * time.Millisecond
)

// tasks is what the feeder and the healer need of asynq.
type tasks interface {
	// enqueue puts a task for the chunk's generation into the lane's queue. An error may mean that it is there all the same.
	enqueue(ctx context.Context, c *Chunk, gen uint32) error
	// pending is the number of tasks in the lane's queue that wait to be drawn.
	pending(ctx context.Context, c *lane) (int, error)
	// state is asynq's word for where the task stands; empty when it does not know it.
	state(ctx context.Context, c *Chunk, gen uint32) (string, error)
}

// feed moves due entries into asynq until ctx ends. It sleeps unless kicked or a timer is due.
func (l *lane) feed(ctx context.Context, src Source, t tasks) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	sweep := time.Now()
	for {
		if now := time.Now(); !now.Before(sweep) {
			sweep = now.Add(l.sweep(ctx, src, now))
		}
		wait := l.pump(ctx, src, t)
		timer.Reset(max(0, min(wait, time.Until(sweep))))
		select {
		case <-ctx.Done():
			return
		case <-l.kick:
		case <-timer.C:
		}
	}
}

// sweep marks the accounts of which nothing is known to be read and says when to sweep again.
func (l *lane) sweep(ctx context.Context, src Source, now time.Time) time.Duration {
	ids, err := src.DueAccounts(ctx, l.id)
	if err != nil {
		if ctx.Err() == nil {
			l.complain("cannot list accounts with due messages", 0, err, now)
		}
		return sweepRetry
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		a := l.accountLocked(id)
		if a.next.IsZero() && len(a.buf) == 0 && !a.dirty {
			a.dirty = true
			l.settleLocked(a, now)
		}
	}
	return sweepEvery
}

// pump serves ready accounts in turn until there is nothing to do, asynq holds enough or Redis is away. It returns for how long
// there is nothing to do if nobody kicks.
func (l *lane) pump(ctx context.Context, src Source, t tasks) time.Duration {
	for {
		now := time.Now()
		l.mu.Lock()
		l.fireLocked(now)
		wait := maxWait
		if len(l.timers) > 0 {
			wait = min(wait, max(0, l.timers[0].timer.Sub(now)))
		}
		if ctx.Err() != nil || l.held || len(l.chunks) >= l.policy.maxTasks || !l.up() {
			l.mu.Unlock()
			return wait // finish, recovery or the end of the hold kicks
		}
		a := l.ready.pop()
		if a == nil {
			l.mu.Unlock()
			return wait
		}
		a.inReady = false
		l.mu.Unlock()
		l.serve(ctx, src, t, a)
	}
}

// fireLocked settles the accounts whose timers are due.
func (l *lane) fireLocked(now time.Time) {
	for len(l.timers) > 0 && !l.timers[0].timer.After(now) {
		a := l.timers[0]
		heap.Pop(&l.timers)
		l.settleLocked(a, now)
	}
}

// serve enqueues one chunk of the account if it may have one, and settles it.
func (l *lane) serve(ctx context.Context, src Source, t tasks, a *account) {
	now := time.Now()
	l.mu.Lock()
	if a.pausedUntil.After(now) || a.inflight >= l.shareLocked(a) {
		l.settleLocked(a, now)
		l.mu.Unlock()
		return
	}
	var c *chunk
	if len(a.backlog) > 0 {
		c = a.backlog[0]
		a.backlog[0] = nil
		a.backlog = a.backlog[1:]
		l.backlog--
	} else {
		if a.bufMsgs < l.policy.limit && (a.more || a.dirty) && !a.readAfter.After(now) {
			l.readLocked(ctx, src, a)
			now = time.Now()
		}
		c = l.cutLocked(a, now)
		l.trimLocked(a)
	}
	if c == nil {
		l.settleLocked(a, now)
		l.mu.Unlock()
		return
	}
	l.launchLocked(c, now)
	gen := c.gen
	l.settleLocked(a, now)
	l.mu.Unlock()

	err := t.enqueue(ctx, &c.Chunk, gen)
	if err != nil {
		l.failed(err)
	} else {
		l.worked()
	}
	l.launched(c, gen, err, time.Now())
}

// readLocked appends what is due to the account's buffer. The lock is let go while the source is asked; a wake in between marks the
// account again.
func (l *lane) readLocked(ctx context.Context, src Source, a *account) {
	hadNext := a.next
	a.dirty, a.more, a.next = false, false, time.Time{}
	l.mu.Unlock()
	refs, next, err := src.Due(ctx, l.id, a.id, a.cursor, readLimit)
	l.mu.Lock()
	now := time.Now()
	if err != nil {
		if ctx.Err() == nil {
			l.complain("cannot read due messages", a.id, err, now)
		}
		a.dirty = true
		a.next = earlier(a.next, hadNext)
		a.readAfter = now.Add(backoff(a.readErrors))
		a.readErrors++
		return
	}
	a.readErrors = 0
	if !next.IsZero() {
		// A source whose clock is a little behind ours must not be asked in a tight loop.
		if soonest := now.Add(minRecheck); next.Before(soonest) && len(refs) == 0 {
			next = soonest
		}
		a.next = earlier(a.next, next)
	}
	if len(refs) == 0 {
		return
	}
	a.more = len(refs) >= readLimit
	last := refs[len(refs)-1]
	a.cursor = &last
	a.buf = append(a.buf, refs...)
	a.bufMsgs += count(refs)
	l.buffered += len(refs)
}

// complain logs a failure of the store or of the hand-off, not too often.
func (l *lane) complain(what string, a gateway.AccountID, err error, now time.Time) {
	if n, ok := l.failures.allow(now); ok {
		l.log.Error(what, "lane", l.id.String(), "account", uint32(a), "err", err, "suppressed", n)
	}
}

// earlier is the earlier of two times of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
