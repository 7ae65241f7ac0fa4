package exchange_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

// A call whose answer is lost is repeated and counted once.
func TestLostAnswers(t *testing.T) {
	for _, op := range []string{"add", "addBatch", "request", "statusMany", "token"} {
		inBubble(t, func(t *testing.T, w *world) {
			w.approveAt(1)
			pass(time.Minute)
			w.sim.Fail(iystest.Fault{Operation: op, DropAfter: true, Times: 2})
			w.store.add(w.entry(1, iys.StatusRejected))
			for n := range 7 {
				w.store.add(w.entry(10+n, iys.StatusApproved))
			}
			for range 100 {
				w.x.Flush(t.Context())
				if w.store.open() == 0 {
					break
				}
				pass(time.Minute)
			}
			for id := uint64(1); id <= 8; id++ {
				w.wantState(id, exchange.StateAccepted, "")
			}
			if got := len(w.sim.Movements()); got != 9 {
				t.Errorf("%s: got %d movements, want 9", op, got)
			}
		})
	}
}

func TestIYSDownAndBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		pass(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		w.sim.SetDown(true)
		wg.Go(func() { w.x.Run(ctx) })
		w.store.add(w.entry(1, iys.StatusRejected))
		w.x.Wake()
		pass(2 * time.Hour)
		if e := w.store.entry(1); e.State.Open() == false {
			t.Errorf("down: got %+v", e)
		}
		w.sim.SetDown(false)
		pass(15 * time.Minute)
		w.wantState(1, exchange.StateAccepted, "")
		if w.mirror.PulledAt(partnerBrand, iys.ChannelSMS).IsZero() {
			t.Error("the pull did not resume")
		}
		began := time.Now()
		w.approveAt(2)
		pass(time.Second)
		w.store.add(w.entry(2, iys.StatusRejected))
		w.x.Wake()
		for w.store.open() > 0 {
			pass(100 * time.Millisecond)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("an opt-out took %v to reach İYS", took)
		}
		cancel()
		wg.Wait()
	})
}

func TestOneFailureStopsThePass(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 20 {
			w.approveAt(n)
		}
		pass(time.Minute)
		for n := range 20 {
			w.store.add(w.entry(n, iys.StatusRejected))
		}
		w.sim.Fail(iystest.Fault{Operation: "add", Status: 500, Code: "H103", Times: -1})
		if _, err := w.x.Flush(t.Context()); iysapi.RetryOf(err) != iysapi.RetryAgain || err == nil {
			t.Fatalf("got %v", err)
		}
		if got := w.sim.Counters().ByOperation["add"]; got != 1 {
			t.Errorf("got %d calls to an İYS that fails, want 1", got)
		}
		w.sim.ClearFaults()
		w.mustDrain()
		for id := uint64(1); id <= 20; id++ {
			w.wantState(id, exchange.StateAccepted, "")
		}
	})
}

func TestH084Silence(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		pass(time.Minute)
		w.sim.Fail(iystest.Fault{Operation: "token", Status: 429, Code: "H084"})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.x.Run(ctx) })
		w.store.add(w.entry(1, iys.StatusRejected))
		w.x.Wake()
		pass(59 * time.Minute)
		if got := w.sim.Counters().ByOperation["token"]; got != 1 {
			t.Errorf("got %d token calls in the silent hour, want 1", got)
		}
		pass(30 * time.Minute)
		w.wantState(1, exchange.StateAccepted, "")
		cancel()
		wg.Wait()
	})
}

func TestRefusalsAreRecorded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.sim.AddProvider(iystest.Provider{IYSCode: partnerBrand, Subscription: iystest.SubscriptionPaused, Brands: []iystest.Brand{{Code: partnerBrand, Master: true}}})
		w.store.add(w.entry(1, iys.StatusApproved))
		if _, err := w.x.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		e := w.store.entry(1)
		if e.State != exchange.StatePending || e.Code != "H520" || time.Until(e.NextAt) < 10*time.Minute {
			t.Errorf("an operator must act: got %+v", e)
		}
		w.sim.AddProvider(iystest.Provider{IYSCode: partnerBrand, Brands: []iystest.Brand{{Code: partnerBrand, Master: true}}})
		w.mustDrain()
		w.wantState(1, exchange.StateAccepted, "")
	})
}
