package queue

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"izinli/gateway"
)

// idlePoll is how often an idle gate lets one dequeue through all the same: it clears tasks of earlier processes and heals any
// miscount.
const idlePoll = time.Second

// closedPoll is how long a closed gate holds each call.
const closedPoll = 20 * time.Millisecond

// gate stands, as a go-redis hook, in front of the dequeue command of one asynq server. asynq would poll Redis without end; this
// process is the only producer of these queues, so it knows when there is something to draw. An empty-handed call gets the answer
// asynq knows as "queue empty".
type gate struct {
	lanes  []*lane
	up     func() bool   // Redis answers
	signal chan struct{} // capacity 1: something may be drawable
	closed chan struct{}
	once   sync.Once

	// Owned by the server's one goroutine that draws.
	idleAt [gateway.Lanes]time.Time // when a draw that nothing asked for is let through; zero: at once
}

func newGate(up func() bool, lanes ...*lane) *gate {
	g := &gate{lanes: lanes, up: up, signal: make(chan struct{}, 1), closed: make(chan struct{})}
	for _, l := range lanes {
		l.drawable = g.ring
	}
	return g
}

// ring wakes a waiting dequeue.
func (g *gate) ring() {
	select {
	case g.signal <- struct{}{}:
	default:
	}
}

func (g *gate) close() { g.once.Do(func() { close(g.closed) }) }

// enter waits until one of the lanes can be drawn from and reports whether it is l. A lane not drawn from for idlePoll has its turn
// without a reason, which idle tells.
func (g *gate) enter(l *lane) (ok, idle bool) {
	for {
		select {
		case <-g.closed:
			<-time.After(closedPoll) // asynq asks until it is shut down
			return false, false
		default:
		}
		now := time.Now()
		until := now.Add(idlePoll)
		if g.up() {
			switch g.turn(now, l) {
			case nil:
			case l:
				at := g.idleAt[l.id]
				g.idleAt[l.id] = until
				idle = !l.canDraw()
				if idle && !at.IsZero() {
					l.forgetDrawn()
				}
				return true, idle
			default:
				return false, false // asynq tries the other one next, or at its next draw
			}
			for _, o := range g.lanes {
				if at := g.idleAt[o.id]; at.After(now) && at.Before(until) {
					until = at
				}
			}
		}
		t := time.NewTimer(until.Sub(now))
		select {
		case <-g.signal:
		case <-t.C:
		case <-g.closed:
		}
		t.Stop()
	}
}

// turn is the lane that should be drawn from, nil when there is none. With several that can be drawn from it is up to asynq's
// weights, so the lane asked for wins.
func (g *gate) turn(now time.Time, asked *lane) *lane {
	if asked.canDraw() {
		return asked
	}
	for _, o := range g.lanes {
		if o.canDraw() {
			return o
		}
	}
	for _, o := range g.lanes {
		if !g.idleAt[o.id].After(now) && !o.full() {
			return o
		}
	}
	return nil
}

// gateHook routes dequeue commands of the known queues through the gate.
type gateHook struct {
	gate  *gate
	lanes map[string]*lane // by the pending key
	pause map[string]string
}

func newGateHook(g *gate, instance string) *gateHook {
	h := &gateHook{gate: g, lanes: map[string]*lane{}, pause: map[string]string{}}
	for _, l := range g.lanes {
		name := queueName(instance, l.id)
		h.lanes[pendingKey(name)] = l
		h.pause[pendingKey(name)] = pausedKey(name)
	}
	return h
}

// dequeues tells which lane the command draws from, nil for every other command: asynq 0.26's dequeue script is the one with four
// keys of which the first two are the pending list and the pause mark (internal/rdb, dequeueCmd).
func (h *gateHook) dequeues(args []any) *lane {
	if len(args) < 7 {
		return nil
	}
	name, _ := args[0].(string)
	if name != "evalsha" && name != "eval" {
		return nil
	}
	if n, _ := args[2].(int); n != 4 {
		return nil
	}
	pending, _ := args[3].(string)
	paused, _ := args[4].(string)
	l := h.lanes[pending]
	if l == nil || h.pause[pending] != paused {
		return nil
	}
	return l
}

// ProcessHook implements redis.Hook.
func (h *gateHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		l := h.dequeues(cmd.Args())
		if l == nil {
			return next(ctx, cmd)
		}
		ok, idle := h.gate.enter(l)
		if !ok {
			cmd.SetErr(redis.Nil)
			return redis.Nil
		}
		err := next(ctx, cmd)
		if err == nil {
			l.drew()
			if idle {
				h.gate.idleAt[l.id] = time.Time{} // where one was left there may be more
			}
		}
		return err
	}
}

// DialHook implements redis.Hook.
func (h *gateHook) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (h *gateHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
