package test

import (
	"bytes"
	"html"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/evidence"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/test/stage"
)

// TestEvidenceForAComplaint: one file has the message, its class, the decisions about it, the history of the consent with İYS's
// transaction ids and what the operator said; it proves itself without the store, and prints.
func TestEvidenceForAComplaint(t *testing.T) {
	t.Parallel()
	s := stage.New(t)
	const who = "+905331000091"
	s.Consent(s.Seeds.Brand, "BIREYSEL", who, iys.StatusApproved)
	s.Run()
	stored, _ := s.IYS.Stored(s.Seeds.Brand, "MESAJ", "BIREYSEL", who)
	res := s.API.Send(stage.Body{"from": s.Seeds.Sender, "text": "Hafta sonu kampanyası", "to": []string{who}})
	m := s.Await(res.Messages[0].ID, gateway.StateDelivered)
	if len(m.Segments) != 1 || m.Segments[0].OperatorID == "" {
		t.Fatalf("delivered as %+v", m)
	}
	b, err := s.Server.Admin.Evidence(t.Context(), desk.EvidenceQuery{Message: m.ID.String()})
	if err != nil {
		t.Fatal(err)
	}
	if f := evidence.Verify(&b, store.DecodeRecord, nil); len(f.Problems) > 0 || f.Decisions < 2 {
		t.Errorf("the file proves %+v", f)
	}
	x := b.Messages[0]
	if x.Class != gateway.ClassCommercial || x.State != gateway.StateDelivered || x.Segments[0].OperatorID != m.Segments[0].OperatorID {
		t.Errorf("message %+v", x.MessageView)
	}
	for _, d := range x.Decisions {
		if d.Kind == "accept" {
			continue // a message that goes on gets its citation at hand-off
		}
		if d.TransactionID != stored.TransactionID || d.Status != "ONAY" {
			t.Errorf("decision %+v does not name İYS's transaction %s", d.DecisionView, stored.TransactionID)
		}
	}
	if len(b.Consents) == 0 || b.Consents[0].TransactionID != stored.TransactionID || len(b.Consents[0].History) == 0 || b.Consents[0].History[0].TransactionID != stored.TransactionID {
		t.Errorf("consents %+v", b.Consents)
	}
	receipt := false
	for _, at := range x.Timeline {
		receipt = receipt || at.State == gateway.StateDelivered && !at.At.IsZero()
	}
	if !receipt {
		t.Errorf("timeline %+v does not tell when the operator's receipt came", x.Timeline)
	}
	var page bytes.Buffer
	if err := b.HTML(&page); err != nil {
		t.Fatal(err)
	}
	text := html.UnescapeString(page.String())
	for _, want := range []string{who, "Hafta sonu kampanyası", "ticari", "consent_onay", m.Segments[0].OperatorID, "iletildi", "Zaman çizelgesi"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if !strings.Contains(strings.ReplaceAll(text, " ", ""), stored.TransactionID) {
		t.Error("the page lacks İYS's transaction id")
	}
}
