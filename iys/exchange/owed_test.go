package exchange_test

import (
	"errors"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iystest"
)

// What only the customer can write ends when İYS lists it, or on his word; the
// deadline runs until then, and nobody else's entry can be ended that way.
func TestOwedByCustomer(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		owe := func(n int, s iys.Status) {
			e := exchange.NewEntry(iys.Consent{Key: partnerKey(n), Status: s, Source: iys.SourceHSSMS, ConsentDate: time.Now()}, time.Now(), iys.DefaultCalendar())
			e.State = exchange.StateOwed
			w.store.add(e)
		}
		w.seedPulled(4)
		for n, s := range map[int]iys.Status{1: iys.StatusRejected} {
			owe(n, s)
		}
		owe(2, iys.StatusRejected)
		owe(3, iys.StatusApproved)
		w.store.add(exchange.NewEntry(iys.Consent{Key: partnerKey(9), Status: iys.StatusApproved, Source: iys.SourceHSWeb, ConsentDate: time.Now()}, time.Now(), iys.DefaultCalendar()))
		pass(time.Minute)
		// The customer writes one of them at İYS himself.
		w.sim.Put(iystest.Movement{BrandCode: partnerBrand, Recipient: addr(1), RecipientType: "BIREYSEL", Type: "MESAJ", Status: "RET", Source: "HS_CAGRI_MERKEZI", ConsentDate: time.Now()})
		pass(2 * time.Hour)
		w.pullAll()
		if e := w.store.entry(1); e.State != exchange.StateAccepted || e.TransactionID == "" {
			t.Errorf("listed by İYS: %+v", e)
		}
		if a, b := w.store.entry(2), w.store.entry(3); a.State != exchange.StateOwed || b.State != exchange.StateOwed {
			t.Errorf("not written yet: %s, %s", a.State, b.State)
		}
		pass(4 * 24 * time.Hour)
		if aged, err := w.x.Aged(t.Context(), time.Now(), 100); err != nil || len(aged.Late)+len(aged.Warning) != 3 {
			t.Errorf("aged %+v %v, want the three that are open", aged, err)
		}
		for _, ids := range [][]uint64{{2, 4}, {1}, {77}} {
			if err := w.x.SettleOwed(t.Context(), ids); !errors.Is(err, exchange.ErrNotOwed) {
				t.Errorf("%v: %v, want that it is not owed", ids, err)
			}
		}
		if w.store.entry(2).State != exchange.StateOwed {
			t.Error("one of a refused settlement was ended")
		}
		if err := w.x.SettleOwed(t.Context(), []uint64{2, 3}); err != nil {
			t.Fatal(err)
		}
		if e := w.store.entry(2); e.State != exchange.StateAccepted || e.Code != exchange.SettledByCustomer {
			t.Errorf("on his word: %+v", e)
		}
	})
}

// What is taken back is looked for among the brand's own entries: as many older ones as there may be of brands that write for
// themselves are not in the way, and there is no number at which it stops.
func TestReclaimBehindWhatOthersOwe(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		owe := func(brand string, n int) {
			e := w.entry(n, iys.StatusRejected)
			e.Brand, e.State = brand, exchange.StateOwed
			w.store.add(e)
		}
		for n := range 100_000 {
			owe(selfBrand, n)
		}
		const ours = 2_500
		for n := range ours {
			owe(partnerBrand, n)
		}
		if n, err := w.x.Reclaim(t.Context(), partnerBrand, iys.ChannelSMS); err != nil || n != ours {
			t.Errorf("taken back: %d %v, want %d", n, err, ours)
		}
		if open := w.store.open(); open != 2*ours {
			t.Errorf("%d entries are ours to send, want %d: each for persons and for merchants", open, 2*ours)
		}
		if n, err := w.x.Reclaim(t.Context(), partnerBrand, iys.ChannelSMS); err != nil || n != 0 {
			t.Errorf("once more: %d %v", n, err)
		}
	})
}

// A process that ended between learning that it may write and taking back what was owed does so when it starts, and what was owed
// although we may write is taken back within the hour.
func TestRunTakesBackWhatIsOwed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		owe := func(n int, brand string) {
			e := w.entry(n, iys.StatusRejected)
			e.Brand, e.State = brand, exchange.StateOwed
			w.store.add(e)
		}
		w.readOnly = map[iys.Channel]bool{iys.ChannelEmail: true}
		owe(1, partnerBrand)
		owe(2, selfBrand)
		mail := w.entry(3, iys.StatusRejected)
		mail.Key, mail.State = mailKey(3), exchange.StateOwed
		w.store.add(mail)
		stop := w.running()
		defer stop()
		pass(time.Minute)
		w.wantState(1, exchange.StateNotApplicable, "")
		w.wantState(2, exchange.StateOwed, "")
		w.wantState(3, exchange.StateOwed, "")
		owe(5, partnerBrand)
		w.store.mu.Lock()
		id := w.store.lastID
		w.store.mu.Unlock()
		pass(time.Hour + time.Minute)
		w.wantState(id, exchange.StateNotApplicable, "")
	})
}
