package exchange_test

import (
	"testing"
	"time"

	"izinli/iys"
)

// A batch is asked about no sooner than İYS wishes: 300 s after it was added (iys-api.md §6.5).
func TestABatchIsNotAskedAboutTooSoon(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 10 {
			w.store.add(w.entry(n, iys.StatusApproved))
		}
		stop := w.running()
		defer stop()
		w.x.Wake()
		asked := func() int { return w.sim.Counters().ByOperation["request"] }
		pass(299 * time.Second)
		if c := w.sim.Counters().ByOperation; c["addBatch"] != 1 || c["request"] != 0 {
			t.Errorf("after 299 s: %v calls, want one batch and no question", c)
		}
		pass(15 * time.Second)
		if asked() != 1 {
			t.Errorf("after 314 s: %d questions, want 1", asked())
		}
	})
}
