package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/iys"
)

// A clock between two milliseconds: what is held has to be found again under the entry of its own, which has whole ones.
func TestHeldMessageIsFoundAgain(t *testing.T) {
	for name, c := range map[string]struct {
		hold func(r *road)
		free func(r *road)
		wait time.Duration
	}{
		"throttled": {
			hold: func(r *road) {
				r.carrier.answer = func(int) dispatch.Answer { return dispatch.Answer{Verdict: dispatch.TryLater} }
			},
			free: func(r *road) { r.carrier.answer = nil },
			wait: 2 * time.Second,
		},
		"consent unavailable": {
			hold: func(r *road) { r.office.set(ayse, iys.Verdict{Outcome: iys.OutcomeHold}) },
			free: func(r *road) { r.office.set(ayse, approve()) },
			wait: time.Minute,
		},
		"carrier down": {
			hold: func(r *road) { r.carrier.setWindow(0) },
			free: func(r *road) { r.carrier.setWindow(10) },
			wait: 3 * time.Second,
		},
		"in doubt": {
			hold: func(r *road) {
				r.carrier.answer = func(n int) dispatch.Answer {
					r.advance(1500 * time.Microsecond) // the outcome is written later than it was decided
					return dispatch.Answer{Verdict: dispatch.Doubt}
				}
			},
			free: func(r *road) { r.carrier.answer = nil },
			wait: 2 * time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoad(t, gateway.AccountPolicy{})
			r.advance(123456 * time.Nanosecond)
			res := r.submit(ayse)
			c.hold(r)
			r.pump()
			if st, _ := r.state(res.Messages[0].ID); !st.Waiting() {
				t.Fatalf("message is %s, want it to wait", st)
			}
			r.verify()
			c.free(r)
			r.advance(c.wait)
			r.pump()
			r.want(res.Messages[0].ID, gateway.StateSent, "")
			r.verify()
		})
	}
}

// The first message of a block waits until the very instant to which the block itself is moved: neither entry replaces the other.
func TestEntriesOfOneInstant(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	res := r.submit(ayse, veli)
	ctx := t.Context()
	r.advance(2 * time.Millisecond)
	refs, _, err := r.st.Due(ctx, gateway.LaneCommercial, r.p.Account, nil, 10)
	must(t, err)
	works, err := r.st.Load(ctx, refs)
	must(t, err)
	at := r.clock().Add(time.Second)
	must(t, r.st.ApplyWait([]gateway.Change{
		{Message: res.Messages[0].ID, Batch: works[0].Batch, Recipient: &works[0].Recipients[0], State: gateway.StateHeld, NextAt: at},
		{Clear: &refs[0], Move: at},
	}))
	r.verify()
	r.advance(2 * time.Second)
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateSent, "")
	r.want(res.Messages[1].ID, gateway.StateSent, "")
	r.verify()
}

// What may have left is unknown when it is stopped, not dropped, expired or cancelled, and its credits stay charged.
func TestStoppedInDoubtIsUnknown(t *testing.T) {
	doubts := map[string]func(r *road, id gateway.MessageID){
		"open since a crash": func(r *road, id gateway.MessageID) {
			_, err := r.st.OpenIntents(r.t.Context(), []gateway.Intent{{Message: id, Operator: "op1", Segments: 1}})
			must(r.t, err)
		},
		"never answered": func(r *road, _ gateway.MessageID) {
			r.carrier.answer = func(int) dispatch.Answer { return dispatch.Answer{Verdict: dispatch.Doubt} }
			r.pump()
			r.carrier.answer = nil
		},
		"never answered, then held": func(r *road, _ gateway.MessageID) {
			r.carrier.answer = func(int) dispatch.Answer { return dispatch.Answer{Verdict: dispatch.Doubt} }
			r.pump()
			r.carrier.answer = nil
			r.carrier.setWindow(0)
			r.pump()
			r.carrier.setWindow(10)
		},
	}
	stops := map[string]func(r *road, id gateway.MessageID){
		"blocked": func(r *road, _ gateway.MessageID) { r.office.set(ayse, iys.Verdict{Rule: iys.RuleBlocked}) },
		"expired": func(r *road, _ gateway.MessageID) { r.advance(25 * time.Hour) },
		"cancelled": func(r *road, id gateway.MessageID) {
			if err := r.st.CancelMessage(r.t.Context(), r.p.Account, id); err == nil {
				r.t.Error("a message that may have left was cancelled")
			}
			// Too late to stop it, but it must not be tried again either.
			if n, err := r.st.CancelBatch(r.t.Context(), r.p.Account, id.Ref()); n != 0 || err == nil {
				r.t.Errorf("cancel stopped %d, %v; want too_late", n, err)
			}
		},
	}
	for dn, doubt := range doubts {
		for sn, stop := range stops {
			t.Run(dn+", "+sn, func(t *testing.T) {
				r := newRoad(t, gateway.AccountPolicy{})
				id := r.submit(ayse).Messages[0].ID
				doubt(r, id)
				stop(r, id)
				r.advance(10 * time.Second)
				r.pump()
				r.want(id, gateway.StateUnknown, gateway.CodeDoubt)
				if v, err := r.st.Message(t.Context(), r.p.Account, id); err != nil || v.Unanswered != 1 {
					t.Errorf("%d attempts without an answer, %v; want 1: what stopped it is none", v.Unanswered, err)
				}
				if got := r.credits(); got != 999 {
					t.Errorf("credits = %d, want 999: it may have left", got)
				}
				r.verify()
			})
		}
	}
}

// An operator that takes and delivers everything but never answers in time repeats a message to its recipient. Whatever happens in between,
// nobody gets more than MaxDoubts copies and one for each crash: then the message is unknown, and stays charged. Crashes alone never end a
// message.
func TestCopiesAreBounded(t *testing.T) {
	doubt := func(int) dispatch.Answer { return dispatch.Answer{Verdict: dispatch.Doubt} }
	crash := func(r *road, id gateway.MessageID) { // after the hand-off, before its answer
		v, err := r.st.Message(r.t.Context(), r.p.Account, id)
		must(r.t, err)
		ok, err := r.st.OpenIntents(r.t.Context(), []gateway.Intent{{Message: id, Operator: "op1", Segments: 1, NextAt: v.NextAt}})
		must(r.t, err)
		if !ok[0] {
			r.t.Fatal("intent refused")
		}
	}
	for name, c := range map[string]struct {
		before func(r *road, id gateway.MessageID)
		answer func(n int) dispatch.Answer
		copies int // over the carrier
	}{
		"never answered": {copies: 3, answer: doubt},
		"throttled in between": {copies: 4, answer: func(n int) dispatch.Answer {
			if n == 2 {
				return dispatch.Answer{Verdict: dispatch.TryLater} // not taken
			}
			return doubt(n)
		}},
		"a crash first": {copies: 2, answer: doubt, before: crash},
		"a crash after a doubt": {copies: 3, answer: doubt, before: func(r *road, id gateway.MessageID) {
			r.pump()
			crash(r, id)
		}},
		"crashes alone": {copies: 1, answer: func(int) dispatch.Answer { return dispatch.Answer{Verdict: dispatch.Taken, ID: "x"} }, before: func(r *road, id gateway.MessageID) {
			crash(r, id)
			for range 2 {
				ok, err := r.st.OpenIntents(r.t.Context(), []gateway.Intent{{Message: id, Operator: "op1", Segments: 1, Again: true}})
				must(r.t, err)
				if !ok[0] {
					r.t.Fatal("intent refused")
				}
			}
		}},
		"the last is answered": {copies: 3, answer: func(n int) dispatch.Answer {
			if n == 3 {
				return dispatch.Answer{Verdict: dispatch.Taken, ID: "x"}
			}
			return doubt(n)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoad(t, gateway.AccountPolicy{})
			r.carrier.answer = c.answer
			id := r.submit(ayse).Messages[0].ID
			if c.before != nil {
				c.before(r, id)
			}
			for range 30 {
				r.pump()
				r.advance(2 * time.Minute)
			}
			if n := r.carrier.count(); n != c.copies {
				t.Errorf("the operator got it %d times, want %d", n, c.copies)
			}
			if name == "the last is answered" || name == "crashes alone" {
				r.want(id, gateway.StateSent, "")
			} else {
				r.want(id, gateway.StateUnknown, gateway.CodeDoubt)
				if v, err := r.st.Message(t.Context(), r.p.Account, id); err != nil || v.Unanswered != gateway.MaxDoubts {
					t.Errorf("%d attempts without an answer, %v; want %d", v.Unanswered, err, gateway.MaxDoubts)
				}
			}
			if got := r.credits(); got != 999 {
				t.Errorf("credits = %d, want 999: it may have arrived", got)
			}
			r.verify()
		})
	}
}

// An entry that comes again while its messages are with the operator does not send them twice.
func TestSecondRunOfAnEntry(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	hold := make(chan struct{})
	r.carrier.answer = func(int) dispatch.Answer { <-hold; return dispatch.Answer{Verdict: dispatch.Taken, ID: "x"} }
	res := r.submit(ayse)
	ctx := t.Context()
	r.advance(2 * time.Millisecond)
	refs, _, err := r.st.Due(ctx, gateway.LaneCommercial, r.p.Account, nil, 10)
	must(t, err)
	_, err = r.d.Process(ctx, refs)
	must(t, err)
	if _, err = r.d.Process(ctx, refs); err == nil {
		t.Error("the second run says it is done while the message is under way")
	}
	close(hold)
	must(t, r.d.Wait(ctx))
	if _, err = r.d.Process(ctx, refs); err != nil {
		t.Errorf("the third run = %v, want nil", err)
	}
	if n := r.carrier.count(); n != 1 {
		t.Errorf("operator got it %d times, want once", n)
	}
	r.want(res.Messages[0].ID, gateway.StateSent, "")
	r.verify()
}

// A message replaced between its loading and its intent leaves with its new text at its new time, not with the old one now.
func TestReplacedWhileUnderWay(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	id := r.submit(ayse).Messages[0].ID
	r.advance(2 * time.Millisecond)
	later := r.clock().Add(time.Hour)
	r.office.setOnDecide(func() {
		r.office.setOnDecide(nil)
		must(t, r.in.ReplaceMessage(context.Background(), r.p, id, "Yeni", later, 0))
	})
	r.pump()
	r.want(id, gateway.StateScheduled, "")
	if n := r.carrier.count(); n != 0 {
		t.Fatalf("operator got %d messages, want none before the new time", n)
	}
	r.verify()
	r.advance(2 * time.Hour)
	r.pump()
	r.want(id, gateway.StateSent, "")
	r.verify()
}

// A pause that ends, or words that are let go, while a message is being held for it: the message must not wait for the end of its
// validity.
func TestResumeWhileHolding(t *testing.T) {
	for _, code := range []gateway.Code{gateway.CodePaused, gateway.CodePromotional} {
		t.Run(string(code), func(t *testing.T) {
			r := newRoad(t, gateway.AccountPolicy{})
			res := r.submit(ayse)
			ctx := t.Context()
			if code == gateway.CodePaused {
				must(t, r.st.PauseBatch(ctx, r.p.Account, res.Batch))
			}
			r.advance(2 * time.Millisecond)
			refs, _, err := r.st.Due(ctx, gateway.LaneCommercial, r.p.Account, nil, 10)
			must(t, err)
			works, err := r.st.Load(ctx, refs)
			must(t, err)
			must(t, r.st.ResumeBatch(ctx, r.p.Account, res.Batch))
			must(t, r.st.ApplyWait([]gateway.Change{{Message: res.Messages[0].ID, Batch: works[0].Batch, Recipient: &works[0].Recipients[0],
				State: gateway.StateHeld, Code: code, NextAt: works[0].Batch.ValidUntil, Clear: &refs[0]}}))
			r.pump()
			r.want(res.Messages[0].ID, gateway.StateSent, "")
			r.verify()
		})
	}
}

// A crash with an intent open, and a pause: the message is held, and the end of the pause lets it go again, once.
func TestResumeInDoubt(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	res := r.submit(ayse)
	ctx := t.Context()
	id := res.Messages[0].ID
	v, err := r.st.Message(ctx, r.p.Account, id)
	must(t, err)
	ok, err := r.st.OpenIntents(ctx, []gateway.Intent{{Message: id, Operator: "op1", Segments: 1, NextAt: v.NextAt}})
	must(t, err)
	if !ok[0] {
		t.Fatal("intent refused")
	}
	must(t, r.st.PauseBatch(ctx, r.p.Account, res.Batch))
	r.advance(2 * time.Millisecond)
	r.pump()
	r.want(id, gateway.StateHeld, gateway.CodePaused)
	must(t, r.st.ResumeBatch(ctx, r.p.Account, res.Batch))
	r.pump()
	r.want(id, gateway.StateSent, "")
	if n := r.carrier.count(); n != 1 {
		t.Errorf("operator got it %d times, want once", n)
	}
	r.verify()
}

// Who has chosen a carrier that is removed before the permit is asked for does not wait for it for ever.
func TestRemovedCarrierLetsGo(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	res := r.submit(ayse)
	r.carrier.onProfile = func() { r.d.RemoveCarrier("op1"); r.carrier.setWindow(0) } // after the choice, before the permit
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r.advance(2 * time.Millisecond)
	refs, _, err := r.st.Due(ctx, gateway.LaneCommercial, r.p.Account, nil, 10)
	must(t, err)
	if _, err := r.d.Process(ctx, refs); errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("the chunk waited for a carrier that is gone")
	}
	r.want(res.Messages[0].ID, gateway.StateHeld, gateway.CodeOperatorDown)
	r.verify()
}

// Receipts that name nothing any more, and repeats, change nothing and tell the client nothing.
func TestReceiptRepeats(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	id := r.submit(ayse).Messages[0].ID
	r.pump()
	r.receipt("1-0", gateway.StateUnknown)
	r.want(id, gateway.StateUnknown, "")
	before := finals(r)
	r.receipt("1-0", gateway.StateUnknown)
	if got := finals(r); got != before {
		t.Errorf("a repeated receipt ended the message again: %d ends, want %d", got, before)
	}
	r.receipt("1-0", gateway.StateDelivered)
	r.want(id, gateway.StateDelivered, "")
	r.receipt("1-0", gateway.StateUndelivered)
	r.want(id, gateway.StateDelivered, "")
	r.verify()
}

func finals(r *road) (n uint64) {
	for _, f := range r.st.Stats().Finals {
		n += f.Count
	}
	return n
}

// A message cut anew for its second attempt: the receipt of a segment of the first attempt belongs to nothing.
func TestReceiptOfReplacedSegments(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	id := r.submit(ayse).Messages[0].ID
	ctx := t.Context()
	r.advance(2 * time.Millisecond)
	refs, _, err := r.st.Due(ctx, gateway.LaneCommercial, r.p.Account, nil, 10)
	must(t, err)
	w, err := r.st.Load(ctx, refs)
	must(t, err)
	attempt := func(segments int, answers []gateway.SegmentAnswer, st gateway.State) {
		v, err := r.st.Message(ctx, r.p.Account, id)
		must(t, err)
		ok, err := r.st.OpenIntents(ctx, []gateway.Intent{{Message: id, Operator: "op1", Segments: segments, NextAt: v.NextAt}})
		must(t, err)
		if !ok[0] {
			t.Fatal("intent refused")
		}
		ch := gateway.Change{Message: id, Batch: w[0].Batch, Recipient: &w[0].Recipients[0], Operator: "op1", Close: true, State: st, Answers: answers}
		if st == gateway.StateQueued {
			ch.NextAt = r.clock().Add(time.Second)
		}
		must(t, r.st.ApplyWait([]gateway.Change{ch}))
	}
	attempt(2, []gateway.SegmentAnswer{{Index: 1, State: gateway.StateSent, OperatorID: "a"}}, gateway.StateQueued)
	attempt(1, []gateway.SegmentAnswer{{Index: 0, State: gateway.StateSent, OperatorID: "b"}}, gateway.StateSent)
	r.receipt("a", gateway.StateUndelivered)
	r.want(id, gateway.StateSent, "")
	r.receipt("b", gateway.StateDelivered)
	r.want(id, gateway.StateDelivered, "")
}
