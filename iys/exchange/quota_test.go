package exchange_test

import (
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iystest"
)

// limit gives the partner's brand a package of n addresses.
func (w *world) limit(n int) {
	w.sim.AddProvider(iystest.Provider{IYSCode: partnerBrand, ConsentLimit: n, Brands: []iystest.Brand{{Code: partnerBrand, Master: true}}})
}

// fullPackage is a brand whose package is full, with people İYS knows: 0 to 7 approved, 8 and 9 refused. Its pull has told of them.
func (w *world) fullPackage() {
	w.t.Helper()
	for n := range 10 {
		w.approveAt(n)
		if n >= 8 {
			w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(n), "RET", "")
		}
	}
	pass(2 * time.Hour)
	if err := w.pull(); err != nil {
		w.t.Fatal(err)
	}
	w.limit(8)
}

// A full package lets first approvals wait and nothing else: approvals of addresses İYS knows are updates, whether they agreed or
// refused before, and go at once, alone or out of a list that a first one has sunk. With room again everything goes.
func TestAFullPackageTakesUpdates(t *testing.T) {
	for name, c := range map[string]struct {
		odd           iystest.Oddities
		known, others []int
	}{
		"one by one":      {known: []int{1, 8}, others: []int{100, 101}},
		"in lists":        {known: []int{0, 1, 2, 3, 4, 8, 9}, others: []int{100, 101, 102}},
		"judged by items": {odd: iystest.Oddities{LateDateRules: true}, known: []int{0, 1, 2, 3, 4, 8, 9}, others: []int{100, 101, 102}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.sim.SetOddities(c.odd)
				w.fullPackage()
				failures := w.sim.Counters().Failures
				id := uint64(0)
				var waiting []uint64
				for _, n := range c.others {
					w.store.add(w.entry(n, iys.StatusApproved))
					id++
					waiting = append(waiting, id)
				}
				for _, n := range c.known {
					w.store.add(w.entry(n, iys.StatusApproved))
				}
				for range 100 { // a quarter of an hour and what a list takes
					w.flushAll()
					pass(10 * time.Second)
				}
				for i := range c.known {
					w.wantState(id+1+uint64(i), exchange.StateAccepted, "")
				}
				for _, n := range waiting {
					w.wantState(n, exchange.StatePending, "H525")
				}
				s := w.state()
				if s.Shut == nil || !s.Shut.Full() || s.Shut.Updates {
					t.Errorf("state %+v, want new addresses stopped alone", s.Shut)
				}
				if got := w.sim.Counters().Failures - failures; got > 3 {
					t.Errorf("%d calls failed in a quarter of an hour", got)
				}
				w.limit(100)
				pass(16 * time.Minute)
				w.mustDrain()
				for _, n := range waiting {
					w.wantState(n, exchange.StateAccepted, "")
				}
				if s := w.state(); s.Shut != nil {
					t.Errorf("with room again: %+v", s.Shut)
				}
			})
		})
	}
}

// Should İYS refuse updates as well, they wait like the others: it is asked a few times an hour, and nothing is lost.
func TestAFullPackageThatRefusesUpdates(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.sim.SetOddities(iystest.Oddities{UpdatesNeedRoom: true})
		w.fullPackage()
		failures := w.sim.Counters().Failures
		for n := range 7 {
			w.store.add(w.entry(n, iys.StatusApproved))
		}
		w.store.add(w.entry(100, iys.StatusApproved))
		for range 360 { // an hour
			w.flushAll()
			pass(10 * time.Second)
		}
		if s := w.state(); s.Shut == nil || !s.Shut.Full() {
			t.Errorf("state %+v, want all approvals stopped", s.Shut)
		}
		if got := w.sim.Counters().Failures - failures; got > 12 {
			t.Errorf("%d calls failed in an hour", got)
		}
		w.limit(100)
		pass(16 * time.Minute)
		w.mustDrain()
		for id := uint64(1); id <= 8; id++ {
			w.wantState(id, exchange.StateAccepted, "")
		}
	})
}

// An address of which İYS has only said that it is not approved may be a first one: it does not sink what needs no room.
func TestNotApprovedIsNotKnown(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.fullPackage()
		if _, err := w.x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(100)}); err != nil {
			t.Fatal(err)
		}
		w.store.add(w.entry(100, iys.StatusApproved))
		w.flushAll()
		w.wantState(1, exchange.StatePending, "H525")
		if s := w.state(); s.Shut == nil || s.Shut.Updates {
			t.Errorf("state %+v, want new addresses stopped alone", s.Shut)
		}
	})
}
