package exchange_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iystest"
)

// Whatever store call a process dies in, before its effect or after it, the
// next process brings every change into effect exactly once.
func TestCrashAnywhere(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		crashAnywhere(t, false, forgets)
		crashAnywhere(t, true, forgets)
	}
}

func crashAnywhere(t *testing.T, after, forgets bool) {
	for crash := 1; ; crash++ {
		finished := false
		inBubble(t, func(t *testing.T, w *world) {
			w.sim.SetOddities(iystest.Oddities{V2Forgets: forgets})
			w.approveAt(1)
			w.approveAt(2)
			pass(time.Minute)
			w.store.add(exchange.OptOut(partnerBrand, iys.ChannelSMS, phone(1), iys.SourceHSSMS, time.Now(), iys.DefaultCalendar())...)
			w.store.add(w.entry(2, iys.StatusRejected), w.entry(20, iys.StatusApproved))
			w.mustDrainUntilCrash(crash, after, &finished)
			for n := range 7 { // a batch
				w.store.add(w.entry(30+n, iys.StatusApproved))
			}
			w.mustDrainUntilCrash(crash, after, &finished)
			w.restart()
			w.mustDrain()
			want := map[string]int{"1 RET": 1, "2 RET": 1, "20 ONAY": 1}
			for n := range 7 {
				want[fmt.Sprint(30+n, " ONAY")] = 1
			}
			got := map[string]int{}
			for _, m := range w.sim.Movements()[2:] {
				var n int
				fmt.Sscanf(m.Recipient, "+90532%d", &n)
				got[fmt.Sprint(n, " ", m.Status)]++
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("crash in call %d (after=%v): movements %v, want %v", crash, after, got, want)
			}
			for id := uint64(1); id <= w.store.lastID; id++ {
				want := exchange.StateAccepted
				if id == 2 {
					want = exchange.StateNotApplicable
				}
				if e := w.store.entry(id); e.State != want || want == exchange.StateAccepted && e.TransactionID == "" {
					t.Errorf("crash in call %d (after=%v): entry %d is %+v", crash, after, id, e)
				}
			}
		})
		if finished && crash < 15 {
			t.Fatalf("the work ended after %d store calls: too few to prove anything", crash)
		}
		if finished || t.Failed() {
			t.Logf("after=%v, V2 forgets=%v: survived a crash in each of %d store calls", after, forgets, crash-1)
			break
		}
		if crash > 500 {
			t.Fatal("the work never finishes")
		}
	}
}

// mustDrainUntilCrash works until done or until the store dies in the given
// call; finished tells that the call was never reached.
func (w *world) mustDrainUntilCrash(crash int, after bool, finished *bool) {
	w.t.Helper()
	w.store.mu.Lock()
	if !w.store.dead {
		w.store.crashAt, w.store.after = crash, after
	}
	w.store.mu.Unlock()
	err := w.drain()
	*finished = err == nil
	if err != nil && !errors.Is(err, errCrash) {
		w.t.Fatal(err)
	}
}
