package store

import (
	"testing"
	"time"
)

// What is urgent goes into the next transaction, whatever waits; and a flood of it does not starve the rest.
func TestUrgentActs(t *testing.T) {
	for _, c := range []struct {
		name            string
		urgent, others  int
		firstUrgentAt   int // the latest place
		firstOrdinaryAt int
	}{
		{"one overtakes a campaign", 1, 5000, 0, 1},
		{"a flood leaves room", 1000, 1, 0, urgentShare},
	} {
		t.Run(c.name, func(t *testing.T) {
			st, err := Open(Options{InMemory: true, Memory: 1, Gather: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			// The committer is held at an act while the others queue up.
			held, release := make(chan struct{}), make(chan struct{})
			st.enqueue(act{func(*tx) error { close(held); <-release; return nil }, func(error) {}})
			<-held
			var order []bool // whether urgent, in the order of their transactions; owned by the committer
			left := make(chan struct{}, c.urgent+c.others)
			one := func(urgent bool) act {
				return act{func(tx *tx) error { order = append(order, urgent); return tx.set(key("u-test"), []byte{1}, time.Hour) },
					func(err error) {
						if err != nil {
							t.Error(err)
						}
						left <- struct{}{}
					}}
			}
			for range c.others {
				st.enqueue(one(false))
			}
			for range c.urgent {
				st.enqueueUrgent(one(true))
			}
			close(release)
			for range c.urgent + c.others {
				<-left
			}
			first := func(urgent bool) int {
				for i, u := range order {
					if u == urgent {
						return i
					}
				}
				return len(order)
			}
			if at := first(true); at > c.firstUrgentAt {
				t.Errorf("the first urgent act came as number %d", at)
			}
			if at := first(false); at > c.firstOrdinaryAt {
				t.Errorf("the first ordinary act came as number %d, want %d at the latest", at, c.firstOrdinaryAt)
			}
		})
	}
}
