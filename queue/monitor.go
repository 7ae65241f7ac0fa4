package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Times of the monitor.
const (
	probeUp   = time.Second            // between looks while Redis answers
	probeDown = 250 * time.Millisecond // while it does not
	healAge   = time.Second            // a task is missed no earlier than this after its enqueue
)

// health knows whether Redis takes our tasks.
type health struct {
	mu      sync.Mutex
	up      bool
	last    error // why not
	refused bool  // last came from an enqueue: a ping that works does not disprove it
	stopped bool
	failing chan struct{}
}

func (h *health) init() {
	h.last = ErrNotRunning
	h.failing = make(chan struct{}, 1)
}

func (h *health) isUp() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.up
}

func (h *health) err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// fail notes a failed enqueue; the monitor decides when to try again.
func (h *health) fail(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	h.mu.Lock()
	if !h.stopped {
		h.up, h.last, h.refused = false, fmt.Errorf("queue: redis: %w", err), true
	}
	h.mu.Unlock()
	select {
	case h.failing <- struct{}{}:
	default:
	}
}

// worked notes a successful enqueue.
func (h *health) worked() {
	h.mu.Lock()
	if h.up {
		h.last, h.refused = nil, false
	}
	h.mu.Unlock()
}

// probed notes the answer to a ping and reports whether Redis came or went.
func (h *health) probed(err error) (came, went bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.up
	if h.stopped {
		return false, false
	}
	if err != nil {
		h.up, h.last, h.refused = false, fmt.Errorf("queue: redis: %w", err), false
		return false, was
	}
	h.up = true
	if !h.refused {
		h.last = nil
	}
	return !was, false
}

// stop ends it for good, whatever a look under way finds.
func (h *health) stop() {
	h.mu.Lock()
	h.up, h.last, h.stopped = false, ErrNotRunning, true
	h.mu.Unlock()
}

// monitor watches Redis and heals lost tasks until ctx ends.
func (q *Queue) monitor(ctx context.Context, b *broker) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	cleared, said := false, false
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.health.failing:
			if !said {
				said = true
				q.log.Warn("redis does not take tasks: accepting goes on, delivery waits", "err", q.health.err())
			}
			timer.Reset(probeDown)
			continue
		case <-timer.C:
		}
		err := b.ping(ctx)
		if err == nil && !cleared {
			// Tasks of an earlier process are stale; what cannot be cleared ends by itself when drawn.
			b.clear(ctx, q.log)
			cleared = true
		}
		if ctx.Err() != nil {
			return
		}
		came, went := q.health.probed(err)
		if (went || err != nil) && !said {
			said = true
			q.log.Warn("redis is away: accepting goes on, delivery waits", "err", err)
		}
		if said && q.health.err() == nil {
			said = false
			q.log.Info("redis is back")
		}
		next := probeDown
		if err == nil {
			next = probeUp
			q.heal(ctx, b, came)
		}
		timer.Reset(next)
	}
}

// heal finds tasks that were lost and brings their chunks back. After a recovery no task is too young to be missed.
func (q *Queue) heal(ctx context.Context, b *broker, recovered bool) {
	age := healAge
	if recovered {
		age = 0
	}
	lost := 0
	for _, l := range q.lanes {
		n, err := l.heal(ctx, b, time.Now(), age)
		lost += n
		if err != nil && ctx.Err() == nil {
			q.health.probed(err)
			break
		}
	}
	if lost > 0 {
		b.renew()
		q.log.Warn("tasks were lost in redis and are queued again", "tasks", lost)
	}
	if recovered || lost > 0 {
		for _, l := range q.lanes {
			l.poke()
		}
		for _, g := range q.gates {
			g.ring()
		}
	}
}

// heal looks for the tasks of chunks that were enqueued at least age ago and have not started, and shelves those whose task is lost.
// A list shorter than it should be has every such task looked for; otherwise only those that wait longer than requeueAfter are.
func (l *lane) heal(ctx context.Context, t tasks, now time.Time, age time.Duration) (lost int, err error) {
	type suspect struct {
		c   *chunk
		gen uint32
	}
	var suspects []suspect
	unstarted := 0
	l.mu.Lock()
	for _, c := range l.chunks {
		if c.state != chunkEnqueued {
			continue
		}
		unstarted++
		if now.Sub(c.enqueued) >= age {
			suspects = append(suspects, suspect{c, c.gen})
		}
	}
	l.mu.Unlock()
	if len(suspects) == 0 {
		return 0, nil
	}
	pending, err := t.pending(ctx, l)
	if err != nil {
		return 0, err
	}
	for _, s := range suspects {
		wait := l.policy.requeueAfter
		if pending < unstarted {
			wait = min(wait, age)
		}
		gone, err := l.missing(ctx, t, s.c, s.gen, now, wait)
		if err != nil {
			return lost, err
		}
		if gone && l.reclaim(s.c, s.gen, time.Now()) {
			lost++
		}
	}
	return lost, nil
}

// missing asks asynq for the task of one chunk, unless it was enqueued or looked for less than wait ago. A task that asynq calls active although nothing started was lost
// on its way here, unless it is just arriving: it must be seen so twice.
func (l *lane) missing(ctx context.Context, t tasks, c *chunk, gen uint32, now time.Time, wait time.Duration) (bool, error) {
	l.mu.Lock()
	since, arriving := c.checked, c.seenActive
	if since.IsZero() {
		since = c.enqueued
	}
	skip := c.gen != gen || c.state != chunkEnqueued || !arriving && now.Sub(since) < wait
	l.mu.Unlock()
	if skip {
		return false, nil
	}
	state, err := t.state(ctx, &c.Chunk, gen)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.checked = now
	switch state {
	case "pending":
		c.seenActive = false
		return false, nil
	case "active":
		c.seenActive = true
		return arriving, nil
	default: // unknown, or where only a failure can have brought it
		return true, nil
	}
}

// reclaim shelves a chunk whose task was lost, unless it started after all.
func (l *lane) reclaim(c *chunk, gen uint32, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.gen != gen || c.state != chunkEnqueued {
		return false
	}
	l.shelveLocked(c)
	l.stats.requeued++
	l.settleLocked(c.account, now)
	return true
}
