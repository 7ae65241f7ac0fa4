package dispatch_test

import (
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/dispatch"
)

func inDoubt(int) dispatch.Answer { return dispatch.Answer{Verdict: dispatch.Doubt} }

func takenLate(id string) dispatch.Answer {
	return dispatch.Answer{Verdict: dispatch.TakenLate, ID: id}
}

// synced returns when everything handed to the store before is.
func (r *road) synced() {
	r.t.Helper()
	must(r.t, r.st.ApplyWait(nil))
}

// A message whose answer comes after its time, while it waits to be handed off again, is sent and does not leave again; its receipt finds
// it, whether it comes before the answer or after.
func TestLateAnswerStopsTheRepeat(t *testing.T) {
	for name, early := range map[string]bool{"then the receipt": false, "after the receipt": true} {
		t.Run(name, func(t *testing.T) {
			r, id := leftInDoubt(t)
			r.want(id, gateway.StateQueued, gateway.CodeDoubt)
			if early {
				r.receipt("A", gateway.StateDelivered)
			}
			r.carrier.late(1, 0, takenLate("A"))
			r.synced()
			if !early {
				r.want(id, gateway.StateSent, "")
			}
			for range 3 {
				r.advance(5 * time.Minute)
				r.pump()
			}
			if n := r.carrier.count(); n != 1 {
				t.Errorf("the operator got it %d times, want once", n)
			}
			if refs, _, err := r.st.Due(t.Context(), gateway.LaneCommercial, r.p.Account, nil, 10); err != nil || len(refs) != 0 {
				t.Errorf("still due: %+v, %v", refs, err)
			}
			if !early {
				r.receipt("A", gateway.StateDelivered)
			}
			r.want(id, gateway.StateDelivered, "")
			r.verify()
		})
	}
}

// leftInDoubt is a message whose first attempt was never answered.
func leftInDoubt(t *testing.T) (r *road, id gateway.MessageID) {
	t.Helper()
	r = newRoad(t, gateway.AccountPolicy{})
	r.carrier.answer = inDoubt
	id = r.submit(ayse).Messages[0].ID
	r.pump()
	return r, id
}

// A late refusal tells of one attempt alone: the message is handed off again as it would be.
func TestLateRefusalChangesNothing(t *testing.T) {
	r, id := leftInDoubt(t)
	r.carrier.late(1, 0, dispatch.Answer{Verdict: dispatch.RefusedLate, Err: "ESME_RSYSERR"})
	r.synced()
	r.want(id, gateway.StateQueued, gateway.CodeDoubt)
	r.carrier.answer = nil
	r.advance(time.Minute)
	r.pump()
	r.want(id, gateway.StateSent, "")
}

// The answer comes between the second intent and the second hand-off: the last look stops it.
func TestLateAnswerAtTheLastLook(t *testing.T) {
	r, id := leftInDoubt(t)
	r.office.onLock = func() {
		r.office.onLock = nil
		r.carrier.late(1, 0, takenLate("A"))
		r.synced()
	}
	r.advance(time.Minute)
	r.pump()
	if n := r.carrier.count(); n != 1 {
		t.Errorf("the operator got it %d times, want once", n)
	}
	r.want(id, gateway.StateSent, "")
	r.receipt("A", gateway.StateDelivered)
	r.want(id, gateway.StateDelivered, "")
	r.verify()
}

// The answer comes while the second attempt is with the operator: there is no third, whatever becomes of the second, and of two copies
// the delivery of either counts.
func TestLateAnswerBesideACopy(t *testing.T) {
	for name, second := range map[string]dispatch.Answer{
		"never answered": {Verdict: dispatch.Doubt},
		"throttled":      {Verdict: dispatch.TryLater},
		"refused":        {Verdict: dispatch.Refused, Err: "ESME_RSUBMITFAIL"},
		"taken":          {Verdict: dispatch.Taken, ID: "B"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoad(t, gateway.AccountPolicy{})
			r.carrier.answer = func(n int) dispatch.Answer {
				if n == 1 {
					return inDoubt(n)
				}
				r.carrier.late(1, 0, takenLate("A"))
				r.synced()
				return second
			}
			id := r.submit(ayse).Messages[0].ID
			r.pump()
			r.advance(time.Minute)
			r.pump()
			r.want(id, gateway.StateSent, "")
			r.receipt("B", gateway.StateUndelivered) // known where the second was taken: the other copy may arrive yet
			r.want(id, gateway.StateSent, "")
			r.receipt("A", gateway.StateDelivered)
			r.want(id, gateway.StateDelivered, "")
			r.advance(time.Minute)
			r.pump()
			if n := r.carrier.count(); n != 2 {
				t.Errorf("the operator got it %d times, want twice", n)
			}
			if ended := r.journal.list(); len(ended) != 0 {
				t.Errorf("the journal says it ended as %v; it was sent", ended)
			}
			r.verify()
		})
	}
}

// Of two copies one is told not to have arrived: that says nothing of the other, whose receipt counts. Nothing is given back meanwhile.
func TestReceiptsOfTwoCopies(t *testing.T) {
	for name, c := range map[string]struct {
		ids  [2]string // in the order in which their receipts come
		says [2]gateway.State
		want [2]gateway.State
	}{
		"undelivered, delivered copy": {[2]string{"A", "B"}, [2]gateway.State{gateway.StateUndelivered, gateway.StateDelivered},
			[2]gateway.State{gateway.StateUnknown, gateway.StateDelivered}},
		"undelivered copy, delivered": {[2]string{"B", "A"}, [2]gateway.State{gateway.StateUndelivered, gateway.StateDelivered},
			[2]gateway.State{gateway.StateSent, gateway.StateDelivered}},
		"delivered, undelivered copy": {[2]string{"A", "B"}, [2]gateway.State{gateway.StateDelivered, gateway.StateUndelivered},
			[2]gateway.State{gateway.StateDelivered, gateway.StateDelivered}},
		"delivered copy, undelivered": {[2]string{"B", "A"}, [2]gateway.State{gateway.StateDelivered, gateway.StateExpired},
			[2]gateway.State{gateway.StateDelivered, gateway.StateDelivered}},
		"rejected, expired copy": {[2]string{"A", "B"}, [2]gateway.State{gateway.StateRejected, gateway.StateExpired},
			[2]gateway.State{gateway.StateUnknown, gateway.StateUnknown}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoad(t, gateway.AccountPolicy{})
			r.carrier.answer = func(n int) dispatch.Answer {
				if n == 1 {
					return inDoubt(n)
				}
				r.carrier.late(1, 0, takenLate("A"))
				r.synced()
				return dispatch.Answer{Verdict: dispatch.Taken, ID: "B"}
			}
			id := r.submit(ayse).Messages[0].ID
			r.pump()
			r.advance(time.Minute)
			r.pump()
			for i := range c.ids {
				r.receipt(c.ids[i], c.says[i])
				code := gateway.Code("")
				if c.want[i] == gateway.StateUnknown {
					code = gateway.CodeDoubt
				}
				r.want(id, c.want[i], code)
			}
			if got := r.credits(); got != 999 {
				t.Errorf("credits = %d, want 999: one of them may have arrived", got)
			}
			r.verify()
		})
	}
}

// An attempt that was never answered may have arrived, whatever is told of the one that was, early or not.
func TestReceiptBesideADoubt(t *testing.T) {
	for _, early := range []bool{false, true} {
		r, id := leftInDoubt(t)
		r.carrier.answer = nil
		if early {
			r.receipt("2-0", gateway.StateUndelivered)
		}
		r.advance(time.Minute)
		r.pump()
		if !early {
			r.want(id, gateway.StateSent, "")
			r.receipt("2-0", gateway.StateUndelivered)
		}
		r.want(id, gateway.StateUnknown, gateway.CodeDoubt)
		if got := r.credits(); got != 999 {
			t.Errorf("early %t: credits = %d, want 999: the first may have arrived", early, got)
		}
		r.verify()
	}
}

// A message that left once and was answered late is in no doubt any more: its receipt tells, and what did not arrive is given back.
func TestLateAnswerWithoutACopy(t *testing.T) {
	r, id := leftInDoubt(t)
	r.carrier.late(1, 0, takenLate("A"))
	r.synced()
	r.receipt("A", gateway.StateUndelivered)
	r.want(id, gateway.StateUndelivered, "")
	if got := r.credits(); got != 1000 {
		t.Errorf("credits = %d, want 1000", got)
	}
	r.verify()
}

// The answer comes when the message is unknown already: it stays so until the receipt tells.
func TestLateAnswerToTheUnknown(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	r.carrier.answer = inDoubt
	id := r.submit(ayse).Messages[0].ID
	for range 5 {
		r.pump()
		r.advance(2 * time.Minute)
	}
	r.want(id, gateway.StateUnknown, gateway.CodeDoubt)
	r.carrier.late(2, 0, takenLate("B"))
	r.synced()
	r.want(id, gateway.StateUnknown, gateway.CodeDoubt)
	r.receipt("B", gateway.StateDelivered)
	r.want(id, gateway.StateDelivered, "")
	r.carrier.late(3, 0, takenLate("C"))
	r.receipt("C", gateway.StateUndelivered)
	r.want(id, gateway.StateDelivered, "")
	r.verify()
}

// Of two segments one is answered late: only the other leaves again.
func TestLateAnswerForOneSegment(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	r.carrier.answer = inDoubt
	res, err := r.in.Submit(t.Context(), &gateway.Submission{Principal: r.p, Door: gateway.DoorHTTP, From: "ORNEK", Text: strings.Repeat("a", 200),
		To: []gateway.Destination{{Address: ayse}}})
	must(t, err)
	id := res.Messages[0].ID
	r.pump()
	r.carrier.late(1, 1, takenLate("A1"))
	r.synced()
	r.want(id, gateway.StateQueued, gateway.CodeDoubt)
	r.carrier.answer = nil
	r.advance(time.Minute)
	r.pump()
	r.want(id, gateway.StateSent, "")
	r.receipt("A1", gateway.StateDelivered)
	r.want(id, gateway.StateSent, "")
	r.receipt("2-0", gateway.StateDelivered)
	r.want(id, gateway.StateDelivered, "")
	r.verify()
}

// A crash cuts off the second attempt after the late answer to the first: the message is sent, and does not leave again.
func TestLateAnswerThenACrash(t *testing.T) {
	r, id := leftInDoubt(t)
	v, err := r.st.Message(t.Context(), r.p.Account, id)
	must(t, err)
	ok, err := r.st.OpenIntents(t.Context(), []gateway.Intent{{Message: id, Operator: "op1", Segments: 1, NextAt: v.NextAt}})
	must(t, err)
	if !ok[0] {
		t.Fatal("intent refused")
	}
	r.carrier.late(1, 0, takenLate("A"))
	r.synced()
	r.advance(time.Minute)
	r.pump()
	r.want(id, gateway.StateSent, "")
	if n := r.carrier.count(); n != 1 {
		t.Errorf("the operator got it %d times, want once", n)
	}
	r.verify()
}
