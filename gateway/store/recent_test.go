package store

import (
	"runtime"
	"testing"
	"weak"

	"izinli/gateway"
)

// What is kept of a mail must not keep its acceptance, and with it the body, which the bound of the copy does not count.
func TestRecentLetsGoOfAcceptances(t *testing.T) {
	r := newRecent(1 << 20)
	put := func() (weak.Pointer[gateway.Acceptance], gateway.BatchRef) {
		a := &gateway.Acceptance{Batch: gateway.Batch{Account: 1, ID: 7, Body: gateway.BodyRef{ID: "s1", Size: 20_000}}, Body: make([]byte, 20_000)}
		r.put(&a.Batch, a.Recipients)
		return weak.Make(a), a.Batch.Ref()
	}
	acceptance, ref := put()
	runtime.GC()
	if acceptance.Value() != nil {
		t.Error("the acceptance is kept")
	}
	if e := r.young.batches[ref]; e == nil || e.batch.Body.ID != "s1" {
		t.Errorf("the batch is not kept: %+v", e)
	}
}
