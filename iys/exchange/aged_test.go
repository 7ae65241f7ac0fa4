package exchange_test

import (
	"testing"
	"time"

	"izinli/iys"
)

func TestAgedEntries(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		owed := w.entry(1, iys.StatusRejected)
		owed.Brand = selfBrand
		w.store.add(owed)
		w.mustDrain()
		check := func(when string, late, warn int) {
			t.Helper()
			a, err := w.x.Aged(t.Context(), time.Now(), 100)
			if err != nil || len(a.Late) != late || len(a.Warning) != warn {
				t.Errorf("%s: got %d late %d warnings %v, want %d %d", when, len(a.Late), len(a.Warning), err, late, warn)
			}
			if l, n, err := w.x.AgedCounts(t.Context(), time.Now()); err != nil || l != late || n != warn {
				t.Errorf("%s: counted %d late %d warnings %v, want %d %d", when, l, n, err, late, warn)
			}
		}
		check("Friday", 0, 0)
		pass(48 * time.Hour)
		check("Sunday", 0, 0)
		pass(48 * time.Hour)
		check("Tuesday", 0, 1)
		pass(24 * time.Hour)
		check("Wednesday, the third day", 0, 1)
		pass(24 * time.Hour)
		check("Thursday", 1, 0)
	})
}
