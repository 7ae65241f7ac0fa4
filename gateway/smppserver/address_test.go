package smppserver

import (
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
)

func TestSameSource(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{
		{"ORNEK", "ORNEK", true},
		{"ORNEK", "ornek", false}, // titles are registered as written
		{"+908501234567", "908501234567", true},
		{"00908501234567", "+908501234567", true},
		{"08501234567", "908501234567", true},
		{"8501234567", "908501234567", true},
		{"3340", "3340", true},
		{"3340", "3341", false},
		{"", "ORNEK", false},
	} {
		if got := sameSource(tc.a, tc.b); got != tc.want {
			t.Errorf("%q and %q: got %v", tc.a, tc.b, got)
		}
	}
}

func TestWireAddress(t *testing.T) {
	for _, tc := range []struct {
		in       string
		ton, npi byte
		want     string
	}{
		{"+905321234567", 1, 1, "905321234567"},
		{"+905321234567", 0, 0, "905321234567"},
		{"+905321234567", 2, 1, "5321234567"},
		{"+491711234567", 2, 1, "491711234567"},
		{"ORNEK", 5, 0, "ORNEK"},
	} {
		if a := wireAddress(tc.in, tc.ton, tc.npi); string(a.Addr) != tc.want || byte(a.TON) != tc.ton || byte(a.NPI) != tc.npi {
			t.Errorf("%s TON %d: got %+v, want %s", tc.in, tc.ton, a, tc.want)
		}
	}
	for in, want := range map[string]smpp.Address{
		"+905321234567": {TON: 1, NPI: 1, Addr: []byte("905321234567")},
		"905321234567":  {TON: 1, NPI: 1, Addr: []byte("905321234567")},
		"08501234567":   {TON: 0, NPI: 1, Addr: []byte("08501234567")},
		"3340":          {TON: 3, NPI: 0, Addr: []byte("3340")},
		"BANKA":         {TON: 5, NPI: 0, Addr: []byte("BANKA")},
		"":              {},
	} {
		if a := guessAddress(in); a.TON != want.TON || a.NPI != want.NPI || string(a.Addr) != string(want.Addr) {
			t.Errorf("%q: got %+v, want %+v", in, a, want)
		}
	}
}

// Parts that waited have used up part of their validity.
func TestPartsGrowOld(t *testing.T) {
	w := newWorld()
	at := time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		why             string
		schedule, valid string
		after           time.Duration
		sendAt          time.Duration // from at; 0: now
		validFor        time.Duration
		code            gateway.Code
	}{
		{"no times", "", "", time.Hour, 0, 0, ""},
		{"an hour, half of it gone", "", "000000010000000R", 30 * time.Minute, 0, 30 * time.Minute, ""},
		{"an hour, gone", "", "000000010000000R", 2 * time.Hour, 0, 0, gateway.CodeExpired},
		{"scheduled, still to come", "000000020000000R", "000000010000000R", time.Hour, 2 * time.Hour, time.Hour, ""},
		{"scheduled, missed by half an hour", "000000020000000R", "000000010000000R", 150 * time.Minute, 0, 30 * time.Minute, ""},
	} {
		now := at.Add(tc.after)
		srv := New(Config{Now: func() time.Time { return now }}, w.deps())
		m := partOf(tieRef8, 1, 1, 1, strings.Repeat("x", 10), func(m *smpp.SubmitSM) {
			m.ScheduleTime, m.ValidityPeriod = []byte(tc.schedule), []byte(tc.valid)
		})
		id := gateway.MessageID{Account: testAccount, Batch: 1}
		sub, err := srv.assemble(&gateway.Principal{Account: testAccount}, []gateway.Part{{Set: gateway.PartSet{Total: 1}, Seq: 1, ID: id.String(), At: at,
			PDU: m.AppendTo(nil, 0)[smpp.HeaderLen:]}})
		if codeOf(err) != tc.code {
			t.Errorf("%s: got %v", tc.why, err)
			continue
		}
		if tc.code != "" {
			continue
		}
		due := time.Time{}
		if tc.sendAt > 0 {
			due = at.Add(tc.sendAt)
		}
		if !sub.SendAt.Equal(due) || sub.ValidFor != tc.validFor {
			t.Errorf("%s: got %v for %v, want %v for %v", tc.why, sub.SendAt, sub.ValidFor, due, tc.validFor)
		}
	}
}

// Every refusal has a status that refuses, whatever its code.
func TestEveryCodeRefuses(t *testing.T) {
	for _, c := range append(gateway.Codes(), "never heard of") {
		if st := statusOf(gateway.Refuse(c, "", "")); st == smpp.StatusOK {
			t.Errorf("%s is answered with ESME_ROK", c)
		}
	}
	for want, c := range map[smpp.CommandStatus]gateway.Code{
		smpp.StatusPolicyRefused: gateway.CodeNoConsent, smpp.StatusInsufficientFunds: gateway.CodeNoCredit, smpp.StatusThrottled: gateway.CodeThrottled,
		smpp.StatusInvDstAddr: gateway.CodeBadNumber, smpp.StatusInvSrcAddr: gateway.CodeSender, smpp.StatusMsgQueueFull: gateway.CodeStorageFull,
	} {
		if st := statusOf(gateway.Refuse(c, "", "")); st != want {
			t.Errorf("%s: got %v, want %v", c, st, want)
		}
	}
}
