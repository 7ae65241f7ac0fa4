package dispatch

import (
	"context"
	"testing"
	"testing/synctest"

	"izinli/gateway"
)

// places is a window of so many, of which each holder gives back what he has.
type places struct {
	g    gate[int]
	free int
}

func newPlaces(n int) *places {
	p := &places{free: n}
	p.g.try = func(n int, _ gateway.Lane) (int, bool) {
		if n > p.free {
			return 0, false
		}
		p.free -= n
		return n, true
	}
	p.g.up = func() bool { return true }
	return p
}

func (p *places) give(n int) {
	p.g.mu.Lock()
	p.free += n
	p.g.mu.Unlock()
	p.g.pump()
}

// enter waits for n places in the background; the channel tells when they are his.
func (p *places) enter(ctx context.Context, n int, lane gateway.Lane) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := p.g.acquire(ctx, n, lane)
		done <- err
	}()
	synctest.Wait()
	return done
}

func has(c <-chan error) bool {
	synctest.Wait()
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A message of several segments gets its places although each that becomes free would do for somebody of one segment.
func TestGateSavesUp(t *testing.T) {
	for _, c := range []struct {
		big, small gateway.Lane
		within     int // how many of the small may still go first
	}{
		{gateway.LaneOTP, gateway.LaneTransactional, 0},
		{gateway.LaneOTP, gateway.LaneCommercial, 0},
		{gateway.LaneTransactional, gateway.LaneCommercial, 10 * patience},
		{gateway.LaneCommercial, gateway.LaneTransactional, 10 * patience},
	} {
		t.Run(c.big.String()+" behind "+c.small.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				const window = 10
				p := newPlaces(window)
				for range window {
					if !has(p.enter(ctx, 1, c.small)) {
						t.Fatal("an empty window does not let anybody in")
					}
				}
				waiting := make([]<-chan error, 0, 64)
				for range 64 {
					waiting = append(waiting, p.enter(ctx, 1, c.small))
				}
				big := p.enter(ctx, 4, c.big)
				before := 0
				for ; !has(big); before++ {
					if before > c.within+4 {
						t.Fatalf("%d messages of one segment passed one of four", before)
					}
					p.give(1)
					waiting = append(waiting, p.enter(ctx, 1, c.small)) // there is always more
				}
				p.give(window)
				if served := has(waiting[0]); !served {
					t.Error("who was held up is not served afterwards")
				}
			})
		})
	}
}

// Who gives up lets go whom he held up.
func TestGateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(3)
		if !has(p.enter(t.Context(), 2, gateway.LaneCommercial)) {
			t.Fatal("an empty window does not let anybody in")
		}
		ctx, cancel := context.WithCancel(t.Context())
		otp := p.enter(ctx, 2, gateway.LaneOTP)
		behind := p.enter(t.Context(), 1, gateway.LaneTransactional)
		if has(behind) {
			t.Error("a transactional message takes the place that a one-time password waits for")
		}
		cancel()
		if err := <-otp; err == nil {
			t.Error("a cancelled wait succeeded")
		}
		if !has(behind) {
			t.Error("nobody was let in after the one-time password gave up")
		}
	})
}
