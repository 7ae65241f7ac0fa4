package test

import (
	"testing"
	"time"

	"izinli/gateway/desk"
	"izinli/iys"
	"izinli/iys/iystest"
	"izinli/iys/reconcile"
	"izinli/test/stage"
)

// TestReconcileADay: what the gateway pulled of a finished day is, to the octet, what İYS's hash of that day says; the day is agreed
// to and its time stamp can be had. A movement that is lost here comes back by a plan.
func TestReconcileADay(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	y, m, day := time.Now().In(iys.Istanbul).AddDate(0, 0, -2).Date()
	at := time.Date(y, m, day, 12, 0, 0, 0, iys.Istanbul) // no movement crosses midnight
	date := at.Format(time.DateOnly)
	for i, status := range []string{"ONAY", "RET", "ONAY"} {
		s.IYS.Put(iystest.Movement{BrandCode: s.Seeds.Brand, Recipient: []string{"+905331000071", "+905331000072", "+905331000073"}[i], RecipientType: "BIREYSEL",
			Type: "MESAJ", Status: status, Source: "IYS_MOBIL", ConsentDate: at, CreationDate: at.Add(time.Duration(i-3) * time.Second)})
	}
	s.Run()
	admin := s.Server.Admin
	q := desk.DayQuery{Brand: s.Seeds.Brand, Date: date}
	var lost []iys.Consent
	if err := s.Store.EachMovement(t.Context(), s.Seeds.Brand, at, func(m iys.Consent) error {
		if m.Recipient == "+905331000072" {
			lost = append(lost, m)
		}
		return nil
	}); err != nil || len(lost) != 1 {
		t.Fatalf("%d movements kept, %v, want the one", len(lost), err)
	}
	if err := s.Store.ReplaceMovements(t.Context(), lost, nil); err != nil {
		t.Fatal(err)
	}
	d, err := admin.ReconcileDay(t.Context(), q)
	if err != nil || d.Result != reconcile.Differs {
		t.Fatalf("with one lost: %+v, %v", d, err)
	}
	detail, err := admin.RepairPlan(t.Context(), desk.PlanQuery{ID: d.Plan})
	if err != nil || len(detail.Items) != 1 || detail.Items[0].Kind != reconcile.MissingHere || detail.Items[0].Theirs.Recipient != "+905331000072" {
		t.Fatalf("plan %+v, %v, want the lost one", detail, err)
	}
	out, err := admin.ChangePlan(t.Context(), desk.PlanAct{ID: d.Plan, Act: "apply"})
	if err != nil || out.Day.Result != reconcile.Agreed || !s.IYS.Agreed(s.Seeds.Brand, at) {
		t.Fatalf("after the plan: %+v, %v", out, err)
	}
	if p, err := admin.ReconcileProof(t.Context(), q); err != nil || len(p.TSR) == 0 {
		t.Errorf("time stamp: %d octets, %v", len(p.TSR), err)
	}
	if list, err := admin.ListReconciledDays(t.Context(), desk.DayQuery{Brand: s.Seeds.Brand}); err != nil || len(list) == 0 || list[0].Date != date {
		t.Errorf("days %+v, %v", list, err)
	}
	if st, err := admin.IYSStatus(t.Context(), desk.Query{}); err != nil || len(st) != 1 || st[0].Stale || st[0].Shut != nil || st[0].KnownTo.IsZero() {
		t.Errorf("status %+v, %v", st, err)
	}
}
