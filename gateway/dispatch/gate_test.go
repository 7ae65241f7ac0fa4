package dispatch

import (
	"context"
	"testing"
	"testing/synctest"

	"izinli/gateway"
)

// places is a window of so many, of which each holder gives back what he has. Commercial ones may hold share of them.
type places struct {
	g          gate[int]
	free       int
	commercial int // held
}

func newPlaces(n, share int) *places {
	p := &places{free: n}
	p.g.inShare = func(n int, lane gateway.Lane) bool { return lane != gateway.LaneCommercial || p.commercial+n <= share }
	p.g.try = func(n int, lane gateway.Lane) (int, bool) {
		if n > p.free || !p.g.inShare(n, lane) {
			return 0, false
		}
		p.take(n, lane)
		return n, true
	}
	p.g.up = func() bool { return true }
	return p
}

func (p *places) take(n int, lane gateway.Lane) {
	p.free -= n
	if lane == gateway.LaneCommercial {
		p.commercial += n
	}
}

func (p *places) give(n int, lane gateway.Lane) {
	p.g.mu.Lock()
	p.take(-n, lane)
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
				p := newPlaces(window, window)
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
					p.give(1, c.small)
					waiting = append(waiting, p.enter(ctx, 1, c.small)) // there is always more
				}
				p.give(window, c.small)
				if served := has(waiting[0]); !served {
					t.Error("who was held up is not served afterwards")
				}
			})
		})
	}
}

// A commercial message that waits for its own share holds up nobody, however often it is passed over: what the operator keeps of the
// campaign is not given back by those who pass.
func TestGateKeepsTheReserve(t *testing.T) {
	for _, n := range []int{1, 3} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := newPlaces(10, 8)
			for range 8 {
				if !has(p.enter(ctx, 1, gateway.LaneCommercial)) {
					t.Fatal("an empty window does not let anybody in")
				}
			}
			campaign := p.enter(ctx, n, gateway.LaneCommercial)
			var waiting []<-chan error
			for range 4 {
				waiting = append(waiting, p.enter(ctx, 1, gateway.LaneTransactional))
			}
			for i := range 20 * patience {
				if !has(waiting[i]) {
					t.Fatalf("the operator took %d transactional messages and gets no more, though a place is free", i)
				}
				if i > 0 {
					p.give(1, gateway.LaneTransactional)
				}
				waiting = append(waiting, p.enter(ctx, 1, gateway.LaneTransactional)) // there is always more
			}
			if has(campaign) {
				t.Fatal("commercial messages got more than their share")
			}
			p.give(n, gateway.LaneCommercial)
			for i := 0; !has(campaign); i++ { // from here on it wants room, and gets it in its turn
				if i > 10*patience {
					t.Fatal("the campaign does not go on")
				}
				p.give(1, gateway.LaneTransactional)
				waiting = append(waiting, p.enter(ctx, 1, gateway.LaneTransactional))
			}
		})
	}
}

// Who gives up lets go whom he held up.
func TestGateGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(3, 3)
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
