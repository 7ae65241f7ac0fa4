package dispatch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"izinli/gateway"
)

// errDown ends the waiting at a carrier none of whose binds is up.
var errDown = errors.New("dispatch: carrier is down")

// gate hands out something scarce (open intents, window slots) to waiters by lane: one-time passwords first, then
// transactional and commercial messages 8 : 2, first come first served within a lane.
//
// Who needs more than there is would never get it if whoever needs less took each piece as it comes. One-time passwords therefore
// hold up everybody, and the first of another lane the one behind it once it was passed over patience times; until then a lane
// that cannot be served does not hold up the others. Nor does one that has its whole share: what others give back is of no use to it.
type gate[T any] struct {
	try     func(n int, lane gateway.Lane) (T, bool) // called with mu held; must not come back to the gate
	inShare func(n int, lane gateway.Lane) bool      // likewise; the lane's share has n left: where try fails, it is for want of room
	up      func() bool                              // likewise; nobody waits for a carrier that is down

	waiting atomic.Int32
	mu      sync.Mutex
	queues  [gateway.Lanes][]*waiter[T] // guarded by mu
	turn    int                         // guarded by mu
	closed  error                       // guarded by mu; set for good once the carrier is gone
}

// patience is how many others are served before who waits longer and could have used what they got.
const patience = 32

type waiter[T any] struct {
	n       int
	passed  int // how many were served before him that came behind him
	granted chan T
	failed  chan error
}

// tryNow takes n for the lane if nobody is waiting for it and it is there.
func (g *gate[T]) tryNow(n int, lane gateway.Lane) (v T, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed != nil {
		return v, false
	}
	return g.newcomer(n, lane)
}

// acquire waits for n. The error is ctx's or errDown.
func (g *gate[T]) acquire(ctx context.Context, n int, lane gateway.Lane) (T, error) {
	var zero T
	g.mu.Lock()
	if g.closed != nil {
		g.mu.Unlock()
		return zero, g.closed
	}
	// Counted before the try: who gives something back looks at the count afterwards, so that one of both sees the other.
	g.waiting.Add(1)
	if v, ok := g.newcomer(n, lane); ok {
		g.waiting.Add(-1)
		g.mu.Unlock()
		return v, nil
	}
	// After the count, too: a carrier that goes down from here on finds somebody waiting and sends him away.
	if !g.up() {
		g.waiting.Add(-1)
		g.mu.Unlock()
		return zero, errDown
	}
	w := &waiter[T]{n: n, granted: make(chan T, 1), failed: make(chan error, 1)}
	g.queues[lane] = append(g.queues[lane], w)
	g.mu.Unlock()
	select {
	case v := <-w.granted:
		return v, nil
	case err := <-w.failed:
		return zero, err
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, x := range g.queues[lane] {
		if x == w {
			g.queues[lane] = append(g.queues[lane][:i], g.queues[lane][i+1:]...)
			g.waiting.Add(-1)
			for g.serveLocked() { // whom he held up
			}
			return zero, ctx.Err()
		}
	}
	select { // granted or failed in between
	case v := <-w.granted:
		return v, nil
	case err := <-w.failed:
		return zero, err
	}
}

// newcomer serves who has just come, unless somebody waits whom he must not pass: of his own lane, a one-time password, or, if he is
// commercial, a transactional message that was passed over too often.
func (g *gate[T]) newcomer(n int, lane gateway.Lane) (v T, ok bool) {
	if len(g.queues[lane]) > 0 || len(g.queues[gateway.LaneOTP]) > 0 {
		return v, false
	}
	var passed *waiter[T]
	if q := g.queues[gateway.LaneTransactional]; lane == gateway.LaneCommercial && len(q) > 0 {
		if passed = q[0]; passed.passed >= patience {
			return v, false
		}
	}
	if v, ok = g.try(n, lane); ok && passed != nil {
		passed.passed++
	}
	return v, ok
}

// pump serves whoever can be served.
func (g *gate[T]) pump() {
	if g.waiting.Load() == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for g.serveLocked() {
	}
}

func (g *gate[T]) serveLocked() bool {
	order := [...]gateway.Lane{gateway.LaneOTP, gateway.LaneTransactional, gateway.LaneCommercial}
	if g.turn%10 >= 8 {
		order[1], order[2] = order[2], order[1]
	}
	var before *waiter[T] // of a lane that is ahead in this turn and could not be served
	for _, lane := range order {
		q := g.queues[lane]
		if len(q) == 0 {
			continue
		}
		v, ok := g.try(q[0].n, lane)
		if !ok {
			if before = q[0]; lane == gateway.LaneOTP || before.passed >= patience && g.inShare(before.n, lane) {
				return false
			}
			continue
		}
		if before != nil {
			before.passed++
		}
		if lane != gateway.LaneOTP {
			g.turn++
		}
		g.queues[lane] = q[1:]
		g.waiting.Add(-1)
		q[0].granted <- v
		return true
	}
	return false
}

// fail ends every waiting with err.
func (g *gate[T]) fail(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.failLocked(err)
}

// close ends every waiting with err, and every later one at once.
func (g *gate[T]) close(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = err
	g.failLocked(err)
}

func (g *gate[T]) failLocked(err error) {
	for lane, q := range g.queues {
		for _, w := range q {
			w.failed <- err
		}
		g.waiting.Add(int32(-len(q)))
		g.queues[lane] = nil
	}
}

// depth is how many wait in each lane.
func (g *gate[T]) depth() (out [gateway.Lanes]int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, q := range g.queues {
		out[i] = len(q)
	}
	return out
}
