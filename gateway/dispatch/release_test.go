package dispatch_test

import (
	"testing"

	"izinli/gateway"
)

// A transactional text with promotional words waits until somebody lets it go.
func TestRoadPromotionalHold(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{Promotional: "hold"})
	r.p.Credential.Classes = []string{gateway.ClassTransactional}
	res, err := r.in.Submit(t.Context(), &gateway.Submission{Principal: r.p, Door: gateway.DoorHTTP, From: "ORNEK", Reason: "order",
		Text: "Siparişiniz hazır. Büyük indirim kampanyası başladı!", To: []gateway.Destination{{Address: ayse}}})
	must(t, err)
	m := res.Messages[0]
	if m.State != gateway.StateHeld || m.Code != gateway.CodePromotional || len(m.Words) == 0 {
		t.Fatalf("verdict %s (%s) words %v, want held (promotional_text) with the words", m.State, m.Code, m.Words)
	}
	r.pump()
	r.want(m.ID, gateway.StateHeld, gateway.CodePromotional)
	r.verify()
	must(t, r.st.ResumeBatch(t.Context(), r.p.Account, res.Batch))
	r.pump()
	r.want(m.ID, gateway.StateSent, "")
	r.verify()
}
