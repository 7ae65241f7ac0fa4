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
