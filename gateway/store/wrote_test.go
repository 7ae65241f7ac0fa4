package store

import (
	"testing"
	"time"
)

// Who has more messages to a person than are looked at is told that the answer may lack one.
func TestWroteTooMuch(t *testing.T) {
	w := newWorld(t, 1)
	const to = "+905321000001"
	for _, c := range []struct {
		more  int
		whole bool
	}{{maxWrote, true}, {1, false}} {
		a, _ := w.batchOf(c.more)
		for i := range a.Recipients {
			a.Recipients[i].Address = to
		}
		w.must(w.st.Accept(t.Context(), a))
		w.tick(time.Second)
		if _, whole, err := w.st.LastWrote(w.acct, to, w.now.Add(-time.Hour)); err != nil || whole != c.whole {
			t.Errorf("who wrote last is told for certain: %t, %v; want %t", whole, err, c.whole)
		}
		if _, whole, err := w.st.LastBrands(w.acct, to, w.now.Add(-time.Hour)); err != nil || whole != c.whole {
			t.Errorf("whose brands wrote is told for certain: %t, %v; want %t", whole, err, c.whole)
		}
	}
}
