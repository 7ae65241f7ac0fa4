package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"izinli/gateway"
)

// Run feeds and works until ctx ends, then stops in the order of flow: nothing more is fed or started, running handlers finish
// (DrainTimeout) or are cancelled, asynq and the connections close. A Redis that is away is no error. It may be called once.
func (q *Queue) Run(ctx context.Context, src Source, h Handler) error {
	if !q.running.CompareAndSwap(false, true) {
		return errors.New("queue: already run")
	}
	handlerCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	q.handler, q.handlerCtx = h, handlerCtx

	b, err := newBroker(q)
	if err != nil {
		return err
	}
	if err := b.start(q); err != nil {
		return err
	}
	var wg sync.WaitGroup
	wg.Go(func() { q.monitor(ctx, b) })
	for _, l := range q.lanes {
		wg.Go(func() { l.feed(ctx, src, b) })
	}
	<-ctx.Done()
	q.health.stop()
	wg.Wait()
	err = q.drain(cancel)
	b.stop()
	return err
}

// drain waits for the handlers: first for as long as configured, then, cancelled, a little longer.
func (q *Queue) drain(cancel context.CancelFunc) error {
	for _, l := range q.lanes {
		l.close() // no chunk is taken any more
	}
	for _, g := range q.gates {
		g.close() // and no task drawn
	}
	idle := make(chan struct{})
	go func() { // ends with the last handler
		q.handlers.Wait()
		close(idle)
	}()
	t := time.NewTimer(q.cfg.DrainTimeout)
	defer t.Stop()
	select {
	case <-idle:
		return nil
	case <-t.C:
	}
	cancel()
	t.Reset(cancelGrace)
	select {
	case <-idle:
		return nil
	case <-t.C:
		return fmt.Errorf("queue: drain: handlers did not return %s after being cancelled", cancelGrace)
	}
}

// work runs one chunk named by a task. Stale triggers end here without a trace but a counter.
func (q *Queue) work(l *lane, id uint64, gen uint32) {
	c := l.take(id, gen, time.Now(), &q.handlers)
	if c == nil {
		return
	}
	defer q.handlers.Done()
	pause, err := q.process(c)
	now := time.Now()
	if err != nil {
		l.complain("chunk failed, it comes again", c.Account, err, now)
	}
	l.finish(c, pause, err, now)
}

// process calls the handler; a panic counts as an error, so that the chunk is neither lost nor the process.
func (q *Queue) process(c *chunk) (pause time.Duration, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("queue: handler panicked: %v", r)
		}
	}()
	return q.handler.Process(q.handlerCtx, c.Chunk)
}

// laneOf returns the lane of that number, nil for a number of a foreign payload.
func (q *Queue) laneOf(l gateway.Lane) *lane {
	if int(l) >= len(q.lanes) {
		return nil
	}
	return q.lanes[l]
}
