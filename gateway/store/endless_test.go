package store

import (
	"encoding/json"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/iys"
)

// Evidence of forms was once written without an end. It gets one where it is looked through: by the consent it proves, by its own age
// where there is none, never so soon that a hold would be seen too late. What has an end is left alone.
func TestEvidenceWithoutAnEndGetsOne(t *testing.T) {
	const retention = 3 * 365 * 24 * time.Hour
	w := newWorld(t, 9)
	st, ctx := w.retaining(retention), t.Context()
	w.must(st.PutBrand(ctx, &gateway.Brand{Code: "1", Account: w.acct}))
	key := func(addr string) iys.Key {
		return iys.Key{Brand: "1", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: addr}
	}
	valid, ended, lone, old := "+905320000001", "+905320000002", "+905320000003", "+905320000004"
	now := time.Now()
	year := 365 * 24 * time.Hour
	w.must(st.PutConsents(ctx, []iys.Consent{
		{Key: key(valid), Status: iys.StatusApproved, ConsentDate: now.Add(-4 * year), Origin: iys.OriginPull},
		{Key: key(ended), Status: iys.StatusRejected, ConsentDate: now.Add(-year), Origin: iys.OriginPull},
	}, "pull"))
	ends := func(addr string) []time.Time { return w.expiries(historyPrefix(w.acct, "1", 'm', addr)) }
	written := ends(valid)[0]
	put := func(addr, status string, at time.Time) {
		v, err := json.Marshal(gateway.ConsentEvent{At: at, How: "form", Sync: "confirmed", Consent: gateway.Consent{Brand: "1", Channel: "MESAJ", Address: addr, Status: status, Evidence: "x"}})
		w.must(err)
		w.must(st.do(func(t *tx) error {
			return t.set(historyPrefix(w.acct, "1", 'm', addr).u64(t.s.nextSeq()), v, 0)
		}))
	}
	put(valid, "ONAY", now.Add(-4*year))
	put(ended, "ONAY", now.Add(-4*year))
	put(lone, "RET", now.Add(-2*year))
	put(old, "RET", now.Add(-9*year))
	if n, err := st.Renew(ctx); err != nil || n != 4 {
		t.Fatalf("%d records got an end, %v; want the four without", n, err)
	}
	for addr, want := range map[string]time.Time{valid: now.Add(retention), ended: now.Add(-year).Add(retention), lone: now.Add(-2 * year).Add(retention), old: now.Add(renewAhead / 2)} {
		list := ends(addr)
		if got := list[len(list)-1]; got.Sub(want).Abs() > time.Minute {
			t.Errorf("%s: ends %v, want %v", addr, got, want)
		}
	}
	if got := ends(valid)[0]; !got.Equal(written) {
		t.Errorf("a line with an end was changed: %v, was %v", got, written)
	}
	if n, err := st.Renew(ctx); err != nil || n != 0 {
		t.Errorf("again %d records got another end, %v", n, err)
	}
}
