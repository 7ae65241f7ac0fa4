package iysapi_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

// What iys.Refuse says beforehand is what the simulator, written apart from it,
// answers: every refusal is foreseen, and nothing good is held back.
func TestLocalRulesAgreeWithTheSimulator(t *testing.T) {
	inBubble(t, func(t *testing.T, s *iystest.Sim, newClient func() *iysapi.Client, _ *memTokens) {
		s.SetOddities(iystest.Oddities{V2Forgets: true}) // a repeat is judged, too
		s.SetLimits(iystest.Limits{PerSecond: -1, TokensPerHour: -1})
		r, c, cal := rand.New(rand.NewPCG(1, 2)), newClient(), iys.DefaultCalendar()
		refused, taken := map[string]int{}, 0
		for range 4000 {
			pass(time.Second)
			rec := randomConsent(r, time.Now())
			m, known := s.Stored(rec.Brand, string(rec.Channel), string(rec.RecipientType), rec.Recipient)
			stored := iys.Stored{Known: true, NoRecord: !known, Status: iys.Status(m.Status), ConsentDate: m.ConsentDate}
			want := ""
			if f := iys.Refuse(rec, stored, time.Now(), cal); f != nil {
				want = f.Code
			}
			_, err := c.Add(t.Context(), brand, rec)
			if err == nil && want == "" {
				taken++
				continue
			}
			e, ok := errors.AsType[*iysapi.APIError](err)
			if !ok {
				t.Fatalf("%+v over %+v: İYS %v, we %q", rec, stored, err, want)
			}
			if !slices.ContainsFunc(e.Details, func(d iysapi.Detail) bool { return d.Code == want }) {
				t.Fatalf("%+v over %+v: İYS %v, we %q", rec, stored, err, want)
			}
			refused[want]++
		}
		t.Logf("taken %d, refused %v", taken, refused)
		if taken < 200 || len(refused) < 15 {
			t.Errorf("taken %d, refused with %d codes: too little to prove anything", taken, len(refused))
		}
	})
}

func randomConsent(r *rand.Rand, now time.Time) iys.Consent {
	pick := func(usual string, odd ...string) string {
		if r.IntN(12) > 0 {
			return usual
		}
		return odd[r.IntN(len(odd))]
	}
	c := iys.Consent{
		Key: iys.Key{
			Brand: brand.BrandCode, Channel: iys.Channel(pick("MESAJ", "SMS", "EPOSTA")),
			RecipientType: iys.RecipientType([]string{"BIREYSEL", "TACIR"}[r.IntN(2)]),
			Recipient:     pick(sms(r.IntN(20), "").Recipient, "+90", "905321234567", "a@bb.cc", "a@b", "+1234567890123456"),
		},
		Status: iys.Status([]string{"ONAY", "RET"}[r.IntN(2)]),
		Source: iys.Source(pick("HS_WEB", "HS_KARAR", "IYS_WEB", "HS_TACIR", "HS_2015")),
	}
	if r.IntN(30) == 0 {
		c.Status = "BEKLIYOR"
	}
	ago := []time.Duration{0, time.Second, time.Hour, -time.Minute, 24 * time.Hour, 6 * 24 * time.Hour, 5000 * 24 * time.Hour}
	c.ConsentDate = now.Add(-ago[min(r.IntN(len(ago)*2), len(ago)*2-1)%len(ago)])
	if c.RecipientType == iys.RecipientMerchant && c.Status == iys.StatusApproved {
		if r.IntN(6) == 0 {
			c.ConsentDate = time.Time{}
		}
		if r.IntN(6) == 0 {
			c.Source = ""
		}
	}
	if c.Source == iys.SourceHS2015 && r.IntN(2) == 0 {
		c.ConsentDate = time.Date(2015, 5, 1, 0, 0, 0, 0, iys.Istanbul)
	}
	return c
}
