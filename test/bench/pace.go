package main

import (
	"context"
	"sync"
	"time"

	"izinli/gateway/smpp"
)

// A customer who sends at a steady rate, whatever the answers do: a message that finds the window full waits, and its waiting counts
// as response time, so that a stall is seen by all it kept waiting and not only by those under way.

// paceTick is how often a bind looks what is due.
const paceTick = time.Millisecond

// keepPace starts every bind's sender; the function it returns waits for their end.
func (e *esmeLoad) keepPace(ctx context.Context) (wait func()) {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	began := clock()
	for i, c := range e.binding {
		share := e.n / e.binds
		if i == 0 {
			share += e.n % e.binds
		}
		wg.Go(func() { c.pace(ctx, began, share) })
	}
	return func() {
		cancel()
		wg.Wait()
	}
}

// pace sends n messages, the k-th of them at began + k/rate or as soon afterwards as the window has a place.
func (c *esme) pace(ctx context.Context, began time.Duration, n int) {
	e := c.load
	tick := time.NewTicker(paceTick)
	defer tick.Stop()
	rate := e.rate / float64(e.binds)
	for sent := 0; sent < n; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := clock()
		k := min(int((now-began).Seconds()*rate), n) - sent
		if k = min(k, e.window-(sent-int(c.answered.Load()))); k <= 0 || !c.link.Reserve(k) {
			continue
		}
		b := &burst{c: c, first: int(e.next.Add(int64(k))) - k, at: now, lag: make([]time.Duration, k)}
		for i := range b.lag {
			b.lag[i] = now - began - time.Duration(float64(sent+i)/rate*float64(time.Second))
		}
		c.link.SendBatch(smpp.SubmitSMID, k, b)
		sent += k
	}
}
