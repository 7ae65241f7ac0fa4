package store

import (
	"testing"
	"time"

	"izinli/gateway"
)

func TestBatches(t *testing.T) {
	w := newWorld(t, 3)
	ctx := t.Context()
	other := &gateway.Account{Name: "Başka"}
	w.must(w.st.PutAccount(ctx, other))
	var want []gateway.BatchRef
	for _, n := range []int{1, 250, 3, 2, 1} { // in one block and in several
		a, _ := w.batchOf(n)
		w.must(w.st.Accept(ctx, a))
		want = append([]gateway.BatchRef{a.Batch.Ref()}, want...)
		w.tick(time.Second)
	}
	w.must(w.st.PauseBatch(ctx, w.acct, want[1]))
	var got []gateway.BatchView
	for cursor, pages := "", 0; ; pages++ {
		page, err := w.st.Batches(ctx, w.acct, cursor, 2)
		w.must(err)
		got = append(got, page.Items...)
		if cursor = page.Next; cursor == "" {
			if pages != 2 {
				t.Errorf("five batches took %d further pages of two, want 2", pages)
			}
			break
		}
	}
	if len(got) != len(want) {
		t.Fatalf("got %d batches, want %d", len(got), len(want))
	}
	for i, v := range got {
		if v.ID != want[i] || v.Paused != (i == 1) {
			t.Errorf("at %d: got %s paused %v, want %s paused %v", i, v.ID, v.Paused, want[i], i == 1)
		}
	}
	if got[3].Count != 250 || got[3].From != "ORNEK" {
		t.Errorf("got %+v", got[3])
	}
	if page, err := w.st.Batches(ctx, other.ID, "", 0); err != nil || len(page.Items) != 0 {
		t.Errorf("another account sees %d batches, %v", len(page.Items), err)
	}
	if _, err := w.st.Batches(ctx, other.ID, want[0].String(), 0); codeOf(err) != gateway.CodeInvalid {
		t.Errorf("another account's cursor: %v", err)
	}
}

// A crash came between the end of a pause and the messages held for it: whoever had no answer asks again, and they go on.
func TestResumeAfterCrash(t *testing.T) {
	w := newWorld(t, 4)
	ctx := t.Context()
	a, m := w.batchOf(1)
	for m.messages[0].rcpt.State == gateway.StateDropped || !a.Batch.SendAt.Equal(w.now) {
		a, m = w.batchOf(1)
	}
	ref, msg := a.Batch.Ref(), m.messages[0]
	w.must(w.st.Accept(ctx, a))
	w.must(w.st.PauseBatch(ctx, w.acct, ref))
	w.tick(time.Millisecond)
	due := func() int {
		w.tick(time.Millisecond)
		refs, _, err := w.st.Due(ctx, gateway.LaneCommercial, w.acct, nil, 10)
		w.must(err)
		return len(refs)
	}
	refs, _, err := w.st.Due(ctx, gateway.LaneCommercial, w.acct, nil, 10)
	w.must(err)
	w.must(w.st.ApplyWait([]gateway.Change{{Message: msg.id, Batch: &a.Batch, Recipient: &msg.rcpt, State: gateway.StateHeld,
		Code: gateway.CodePaused, NextAt: a.Batch.ValidUntil, Clear: &refs[0]}}))
	if n := due(); n != 0 {
		t.Fatalf("%d entries are due while the batch is paused", n)
	}
	w.must(w.st.do(func(t *tx) error { return t.flag(ref, flagReleased, flagPaused) })) // as far as ResumeBatch had come
	w.reopen()
	w.must(w.st.ResumeBatch(ctx, w.acct, ref))
	if n := due(); n != 1 {
		t.Errorf("%d entries are due after the repeated end of the pause, want 1", n)
	}
}

// The flags of a batch that was swept when they were not settled yet are not loaded for ever.
func TestFlagsOfOldBatches(t *testing.T) {
	w := newWorld(t, 5)
	a, _ := w.batchOf(2)
	w.must(w.st.Accept(t.Context(), a))
	w.must(w.st.PauseBatch(t.Context(), w.acct, a.Batch.Ref()))
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{gateway.MaxAhead, 1}, {gateway.MaxValidity + gateway.UnknownAfter + time.Hour, 0}} {
		w.tick(c.after)
		if w.reopen(); len(w.st.flags) != c.want {
			t.Errorf("%s later flags of %d batches are in memory, want %d", c.after, len(w.st.flags), c.want)
		}
	}
	if v, err := w.st.Batch(t.Context(), w.acct, a.Batch.Ref()); err != nil || !v.Paused {
		t.Errorf("the batch is shown as %+v, %v; want it paused", v, err)
	}
}

// What hand-off keeps in memory of a paused or resumed batch ends once nothing of it can wait any more, also over a restart; what
// the batch's owner is shown of it stays.
func TestFlagsOfSettledBatches(t *testing.T) {
	w := newWorld(t, 5)
	ctx := t.Context()
	var refs []gateway.BatchRef
	for range 3 {
		a, _ := w.batchOf(2)
		w.must(w.st.Accept(ctx, a))
		refs = append(refs, a.Batch.Ref())
		w.tick(time.Second)
	}
	w.must(w.st.PauseBatch(ctx, w.acct, refs[0]))
	w.must(w.st.ResumeBatch(ctx, w.acct, refs[1]))
	_, err := w.st.CancelBatch(ctx, w.acct, refs[2])
	if err != nil && codeOf(err) != gateway.CodeTooLate {
		t.Fatal(err)
	}
	sweep := func() {
		_, err := w.st.Sweep(ctx)
		w.must(err)
	}
	sweep()
	if w.reopen(); len(w.st.flags) != 3 {
		t.Fatalf("flags of %d batches in memory, want 3", len(w.st.flags))
	}
	if paused, _ := w.st.Stopped(refs[0]); !paused {
		t.Error("a paused batch goes on")
	}
	w.tick(20 * 24 * time.Hour)
	sweep()
	if len(w.st.flags) != 0 {
		t.Errorf("flags of %d batches in memory after the sweep, want none", len(w.st.flags))
	}
	if w.reopen(); len(w.st.flags) != 0 {
		t.Errorf("flags of %d batches in memory after a restart, want none", len(w.st.flags))
	}
	v, err := w.st.Batch(ctx, w.acct, refs[0])
	w.must(err)
	if !v.Paused {
		t.Error("the batch is not shown as paused any more")
	}
	if err := w.st.PauseBatch(ctx, w.acct, refs[1]); codeOf(err) != gateway.CodeTooLate {
		t.Errorf("a pause long after the end of validity: %v, want %s", err, gateway.CodeTooLate)
	}
}
