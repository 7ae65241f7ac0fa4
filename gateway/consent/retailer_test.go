package consent_test

import (
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/iys"
)

// A dealer's credential sends commercial messages only on consents taken through the dealer or granting it access; the brand's own
// credential, and messages that need no consent, are not touched.
func TestDealers(t *testing.T) {
	b := newBench(t)
	office := consent.New(consent.Config{Now: func() time.Time { return b.now }, Records: b.st}, b.st, b.mirror, b.asker)
	const dealer = 55550127
	b.must(b.st.PutCredential(t.Context(), &gateway.Credential{ID: "bayi", Kind: gateway.KindAPI, Account: b.a, Retailer: dealer}))
	b.must(b.st.PutCredential(t.Context(), &gateway.Credential{ID: "merkez", Kind: gateway.KindAPI, Account: b.a}))
	addresses := map[string]struct {
		code   int
		access []int
		sends  bool
	}{
		"+905320000001": {},
		"+905320000002": {code: dealer, sends: true},
		"+905320000003": {access: []int{11111111, dealer}, sends: true},
		"+905320000004": {code: 11111111, access: []int{22222222}},
	}
	for a, c := range addresses {
		rec := iys.Consent{Key: iys.Key{Brand: partner, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: a}, Status: iys.StatusApproved,
			Source: iys.SourceHSWeb, Origin: iys.OriginPull, ConsentDate: b.now, RetailerCode: c.code, RetailerAccess: c.access}
		b.must(b.st.PutConsents(t.Context(), []iys.Consent{rec}, "pull"))
		b.mirror.Put(rec)
	}
	b.mirror.Pulled(partner, iys.ChannelSMS, b.now)
	for a, c := range addresses {
		q := b.batch(partner)
		q.Door, q.Credential = gateway.DoorHTTP, "bayi"
		v := office.Decide(q, a, b.now)
		if v.Send() != c.sends || !c.sends && v.Rule != iys.RuleRetailerNoAccess {
			t.Errorf("%s by the dealer: %v by %s, want sending %t", a, v.Outcome, v.Rule, c.sends)
		}
		q.Class = gateway.ClassTransactional
		if v := office.Decide(q, a, b.now); !v.Send() {
			t.Errorf("%s, transactional: %v by %s", a, v.Outcome, v.Rule)
		}
		q.Class, q.Credential = gateway.ClassCommercial, "merkez"
		if v := office.Decide(q, a, b.now); !v.Send() {
			t.Errorf("%s by the brand: %v by %s", a, v.Outcome, v.Rule)
		}
	}
}
