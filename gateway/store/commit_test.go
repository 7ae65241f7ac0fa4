package store

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
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

// TestClockSetBack: after the clock was set back by minutes, what is accepted becomes due at once all the same, and who waits is told
// a time by this machine's clock.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead atomic.Int64
		ahead.Store(int64(3 * time.Minute))
		st, err := Open(Options{InMemory: true, Memory: 1, Gather: -1, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		a := &gateway.Account{Name: "x"}
		if err := st.PutAccount(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		wakes := make(chan time.Time, 10)
		st.Watch(func(_ gateway.Lane, _ gateway.AccountID, due time.Time) { wakes <- due })
		ids := gateway.NewBatchIDs(0)
		accept := func(sendIn time.Duration) (woken time.Time) {
			t.Helper()
			now := st.opt.Now()
			b := gateway.Batch{Account: a.ID, ID: ids.Next(now), Channel: "sms", Class: gateway.ClassOTP, Count: 1, SendAt: now.Add(sendIn),
				ValidUntil: now.Add(time.Hour)}
			if err := st.Accept(t.Context(), &gateway.Acceptance{Batch: b, Decisions: make([]gateway.Decision, 1),
				Recipients: []gateway.Recipient{{Address: "+905321000001", State: gateway.StateQueued}}}); err != nil {
				t.Fatal(err)
			}
			return <-wakes
		}
		accept(0)
		ahead.Store(0)
		if woken := accept(0); woken.After(time.Now()) {
			t.Errorf("the feeder was told to come at %s, want %s", woken, time.Now())
		}
		time.Sleep(10 * time.Millisecond)
		refs, _, err := st.Due(t.Context(), gateway.LaneOTP, a.ID, nil, 10)
		if err != nil || len(refs) != 2 {
			t.Errorf("%d entries are due (%v), want both", len(refs), err)
		}
		time.Sleep(7 * time.Minute) // at half the pace the clock has been caught up with
		if d := time.Until(accept(time.Hour)); d < 59*time.Minute || d > time.Hour {
			t.Errorf("a message for in an hour wakes the feeder in %s", d)
		}
		st.floorMu.Lock()
		got := st.tickLocked()
		st.floorMu.Unlock()
		if d := time.Until(got).Abs(); d > time.Millisecond {
			t.Errorf("the clock is %s off", d)
		}
	})
}
