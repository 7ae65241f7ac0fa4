package exchange_test

import (
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iystest"
)

func TestAnOptOutReachesIYS(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		pass(time.Minute)
		w.store.add(exchange.OptOut(partnerBrand, iys.ChannelSMS, phone(1), iys.SourceHSSMS, time.Now(), iys.DefaultCalendar())...)
		w.mustDrain()
		if got := w.sims(1); got != "RET HS_MESAJ" {
			t.Errorf("İYS holds %q, want the refusal", got)
		}
		w.wantState(1, exchange.StateAccepted, "")
		w.wantState(2, exchange.StateNotApplicable, "") // no TACIR record to refuse
		e := w.store.entry(1)
		if e.TransactionID == "" || e.CreationDate.IsZero() {
			t.Errorf("accepted without proof: %+v", e)
		}
		if got, ok := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); !ok || got.Status != iys.StatusRejected {
			t.Errorf("mirror: got %+v %v, want RET", got, ok)
		}
		if got := w.sim.Counters().Failures; got != 0 {
			t.Errorf("İYS was asked %d things it refused", got)
		}
	})
}

func TestNothingKnownToBeRefusedIsSent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(3)
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(2), "ONAY", "")
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(2), "RET", "")
		late := w.entry(3, iys.StatusRejected)
		late.ConsentDate = late.ConsentDate.Add(-2 * time.Hour) // before the stored approval
		old := w.entry(4, iys.StatusApproved)
		old.ConsentDate = old.ConsentDate.AddDate(0, 0, -10)
		bad := w.entry(5, iys.StatusRejected)
		bad.Recipient = "+90"
		w.store.add(w.entry(1, iys.StatusRejected), w.entry(2, iys.StatusRejected), late, old, bad, w.entry(6, iys.StatusApproved))
		w.mustDrain()
		w.wantState(1, exchange.StateNotApplicable, "")  // would be H175
		w.wantState(2, exchange.StateNotApplicable, "")  // would be H174
		w.wantState(3, exchange.StateSuperseded, "H178") // the approval is later
		w.wantState(4, exchange.StateRefused, "H467")
		w.wantState(5, exchange.StateRefused, "H121")
		w.wantState(6, exchange.StateAccepted, "") // the twin that passes
		if got := w.sim.Counters(); got.Failures != 0 {
			t.Errorf("İYS was asked %d things it refused", got.Failures)
		}
	})
}

// A person's word from a machine whose clock was ahead waits until İYS can believe it; it is neither lost nor sent in vain.
func TestWordsFromTheFuture(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		refusal, approval := w.entry(1, iys.StatusRejected), w.entry(2, iys.StatusApproved)
		refusal.ConsentDate = refusal.ConsentDate.Add(3 * time.Minute)
		approval.ConsentDate = approval.ConsentDate.Add(3 * time.Minute)
		w.store.add(refusal, approval)
		w.mustDrain()
		w.wantState(1, exchange.StateAccepted, "")
		w.wantState(2, exchange.StateAccepted, "")
		if got := w.sims(1); got != "RET HS_MESAJ" {
			t.Errorf("İYS holds %q, want the refusal", got)
		}
		if got := w.sim.Counters().Failures; got != 0 {
			t.Errorf("İYS was asked %d things it refused", got)
		}
	})
}

func TestATieIsTheRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		e := w.entry(1, iys.StatusRejected)
		e.ConsentDate = e.ConsentDate.Add(-time.Hour)
		w.store.add(e)
		w.mustDrain()
		w.wantState(1, exchange.StateAccepted, "")
		if got := w.sims(1); got != "RET HS_MESAJ" {
			t.Errorf("İYS holds %q, want the refusal", got)
		}
	})
}

func TestModesWithoutTheRightToWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, brand := range []string{ahsBrand, selfBrand, exemptBrand, "999999"} {
			e := w.entry(1, iys.StatusRejected)
			e.Brand = brand
			w.store.add(e)
		}
		w.mustDrain()
		w.wantState(1, exchange.StateOwed, "")
		w.wantState(2, exchange.StateOwed, "")
		w.wantState(3, exchange.StateNotApplicable, "")
		w.wantState(4, exchange.StateOwed, "")
		if got := w.sim.Counters().Requests; got != 0 {
			t.Errorf("got %d calls, want 0", got)
		}
	})
}

func TestBatchOfApprovals(t *testing.T) {
	for name, odd := range map[string]iystest.Oddities{
		"documented": {}, "odd": {SubrequestLower: true, SubRequestsMixed: true, EmptyRequest: "204", Batch200: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.sim.SetOddities(odd)
				for n := range 1500 {
					w.store.add(w.entry(n, iys.StatusApproved))
				}
				w.mustDrain()
				for id := uint64(1); id <= 1500; id++ {
					if e := w.store.entry(id); e.State != exchange.StateAccepted || e.TransactionID == "" {
						t.Fatalf("entry %d: got %+v", id, e)
					}
				}
				if got := len(w.sim.Movements()); got != 1500 {
					t.Errorf("got %d movements, want 1500", got)
				}
				c := w.sim.Counters()
				if c.ByOperation["addBatch"] > 2 || c.ByOperation["add"] != 0 || c.ByOperation["request"] > 6 {
					t.Errorf("got %v calls", c.ByOperation)
				}
			})
		})
	}
}

func TestOneBadItemDoesNotSinkTheBatch(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 8 {
			e := w.entry(n, iys.StatusApproved)
			if n == 3 {
				e.RetailerCode = 11111111 // İYS alone knows that it does not exist
			}
			w.store.add(e)
		}
		w.mustDrain()
		for id := uint64(1); id <= 8; id++ {
			if id == 4 {
				w.wantState(id, exchange.StateRefused, "H180")
			} else {
				w.wantState(id, exchange.StateAccepted, "")
			}
		}
	})
}

// The answer to a list was lost, and what became of it is known only when İYS calls its repeat too old: what it stored of the first
// attempt is accepted, the rest refused, and where it cannot be asked now, or refuses to tell, nothing is decided and nobody asks on.
func TestALateRepeatOfAListThatWasTaken(t *testing.T) {
	for _, fails := range []iystest.Fault{{}, {Operation: "status", Status: 503, Code: "H192", Skip: 4}, {Operation: "status", Status: 403, Code: "H353", Skip: 4, Times: 2}} {
		inBubble(t, func(t *testing.T, w *world) {
			w.sim.SetOddities(iystest.Oddities{V2Forgets: true})
			w.sim.Fail(iystest.Fault{Operation: "addBatch", DropAfter: true})
			for n := range 8 {
				w.store.add(w.entry(n, iys.StatusApproved))
			}
			later := w.entry(3, iys.StatusApproved) // somebody else was quicker: ours is not stored
			w.sim.Put(iystest.Movement{BrandCode: partnerBrand, Recipient: phone(3), RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY",
				Source: "HS_CAGRI_MERKEZI", ConsentDate: later.ConsentDate.Add(time.Second)})
			w.x.Flush(t.Context())
			pass(10 * time.Minute) // İYS works the list off
			w.sim.SetDown(true)
			pass(8 * 24 * time.Hour)
			w.sim.SetDown(false)
			w.restart()
			asked := 8
			if fails.Status != 0 {
				w.sim.Fail(fails)
				asked = 9 // one more, about the fifth
				if _, err := w.x.Flush(t.Context()); (err == nil) != (fails.Status == 403) {
					t.Errorf("%s: %v", fails.Code, err)
				}
				if got, calls := w.store.open(), w.sim.Counters().ByOperation["status"]; got != 4 || calls != 5 {
					t.Errorf("%s: %d entries open after %d questions, want 4 undecided and 5", fails.Code, got, calls)
				}
				w.sim.ClearFaults()
			}
			w.mustDrain()
			for id := uint64(1); id <= 8; id++ {
				if id == 4 {
					w.wantState(id, exchange.StateRefused, "H467")
					continue
				}
				w.wantState(id, exchange.StateAccepted, "")
				if w.store.entry(id).TransactionID == "" {
					t.Errorf("entry %d has no transaction", id)
				}
			}
			if got := w.sim.Counters().ByOperation["status"]; got != asked {
				t.Errorf("%d questions about single records, want %d", got, asked)
			}
		})
	}
}

func TestAListRefusedWithoutAReasonGoesOneByOne(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 120 {
			w.store.add(w.entry(n, iys.StatusApproved))
		}
		w.sim.Fail(iystest.Fault{Operation: "addBatch", Status: 422, Code: "H125"})
		w.x.Flush(t.Context())
		pass(time.Minute)
		w.approveAt(500)
		pass(time.Second)
		w.store.add(w.entry(500, iys.StatusRejected))
		more, err := w.x.Flush(t.Context())
		if err != nil || !more {
			t.Errorf("got more=%v %v, want more", more, err)
		}
		w.wantState(121, exchange.StateAccepted, "") // not behind 120 approvals
		if got := w.sim.Counters().ByOperation["add"]; got != 51 {
			t.Errorf("got %d single calls in a pass, want the refusal and 50", got)
		}
		w.mustDrain()
		for id := uint64(1); id <= 120; id++ {
			w.wantState(id, exchange.StateAccepted, "")
		}
	})
}

func TestLaterWordsOfOneAddress(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		at := func(s iys.Status, d time.Duration) exchange.Entry {
			e := w.entry(1, s)
			e.ConsentDate = e.ConsentDate.Add(d)
			return e
		}
		pass(time.Minute)
		w.store.add(
			at(iys.StatusApproved, -30*time.Second), // overtaken by the refusal
			at(iys.StatusRejected, -20*time.Second),
			at(iys.StatusApproved, -10*time.Second),
		)
		w.mustDrain()
		w.wantState(1, exchange.StateSuperseded, "")
		w.wantState(2, exchange.StateAccepted, "")
		w.wantState(3, exchange.StateAccepted, "")
		moves := w.sim.Movements()[1:]
		if len(moves) != 2 || moves[0].Status != "RET" || moves[1].Status != "ONAY" {
			t.Fatalf("got %+v", moves)
		}
		if d := moves[1].CreationDate.Sub(moves[0].CreationDate); d < time.Second {
			t.Errorf("two movements of one address %v apart", d)
		}
	})
}
