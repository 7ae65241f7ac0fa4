package store

import (
	"fmt"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/reconcile"
)

// Days, plans, items and proofs come back as they went in, in order and apart by brand.
func TestReconcileRecords(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: testBrand, Account: w.acct}))
	for _, d := range []string{"2026-11-18", "2026-11-20", "2026-11-19"} {
		w.must(w.st.PutReconciledDay(ctx, reconcile.Day{Brand: testBrand, Date: d, Result: reconcile.Agreed, Rows: 3}))
	}
	w.must(w.st.PutReconciledDay(ctx, reconcile.Day{Brand: testBrand + "1", Date: "2026-11-21"}))
	p, err := w.st.PutPlan(ctx, reconcile.Plan{Brand: testBrand, Date: "2026-11-20", State: reconcile.Open, Here: 1200})
	w.must(err)
	items := make([]reconcile.Item, 1200)
	for i := range items {
		items[i] = reconcile.Item{N: i + 1, Kind: reconcile.MissingHere, Theirs: iys.Consent{Key: iys.Key{Brand: testBrand, Recipient: fmt.Sprint(i)}, ConsentDate: time.Unix(1, 0)}}
	}
	w.must(w.st.PutPlanItems(ctx, p.ID, items))
	w.must(w.st.PutPlanItems(ctx, p.ID+1, items[:1]))
	w.must(w.st.PutProof(ctx, testBrand, "2026-11-20", []byte{1, 2}))
	w.reopen()
	days, err := w.st.ReconciledDays(ctx, testBrand, 2)
	if err != nil || len(days) != 2 || days[0].Date != "2026-11-20" || days[1].Date != "2026-11-19" {
		t.Errorf("days %+v %v", days, err)
	}
	if got, ok, err := w.st.Plan(ctx, p.ID); err != nil || !ok || got != p {
		t.Errorf("plan %+v %t %v", got, ok, err)
	}
	if _, ok, err := w.st.Plan(ctx, 12345); ok || err != nil {
		t.Errorf("a plan nobody made: %t %v", ok, err)
	}
	part, err := w.st.PlanItems(ctx, p.ID, 1000, 500)
	if err != nil || len(part) != 200 || part[0].N != 1001 || part[0].Theirs.Recipient != "1000" {
		t.Errorf("%d items, %v", len(part), err)
	}
	if b, ok, err := w.st.Proof(ctx, testBrand, "2026-11-20"); err != nil || !ok || len(b) != 2 {
		t.Errorf("proof %v %t %v", b, ok, err)
	}
	if _, ok, _ := w.st.Proof(ctx, testBrand, "2026-11-19"); ok {
		t.Error("a proof of another day")
	}
	w.must(w.st.ReplaceMovements(ctx, nil, []iys.Consent{{Key: iys.Key{Brand: testBrand}}})) // no registration: nothing to keep
}
