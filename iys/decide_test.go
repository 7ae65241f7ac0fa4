package iys

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 20, 12, 0, 0, 0, Istanbul)

func good() (Query, Facts) {
	return Query{
			Class: "commercial", Channel: ChannelSMS, RecipientType: RecipientPerson,
			Mode: ModePartner, BrandKnown: true, BrandActive: true,
		}, Facts{
			Checked: true, PulledAt: noon.Add(-time.Hour),
			Consent: Evidence{Status: StatusApproved, Read: ReadMirror, Origin: OriginPull, ReadAt: noon.Add(-48 * time.Hour)},
		}
}

func TestDecide(t *testing.T) {
	live := func(s Status, ago time.Duration) Evidence {
		return Evidence{Status: s, Read: ReadLive, Origin: OriginLive, ReadAt: noon.Add(-ago)}
	}
	tests := []struct {
		name string
		edit func(q *Query, f *Facts)
		out  Outcome
		rule Rule
	}{
		{"fresh approval sends", func(q *Query, f *Facts) {}, OutcomeSend, RuleConsentApproved},
		{"block stops commercial", func(q *Query, f *Facts) { f.Blocked = true }, OutcomeRefuse, RuleBlocked},
		{"block leaves transactional alone", func(q *Query, f *Facts) { f.Blocked = true; q.Class = "transactional" }, OutcomeSend, RuleTransactional},
		{"blacklist stops otp", func(q *Query, f *Facts) { f.Blacklisted = true; q.Class = "otp" }, OutcomeRefuse, RuleBlacklisted},
		{"otp needs no brand and no İYS", func(q *Query, f *Facts) {
			*q = Query{Class: "otp", Channel: ChannelSMS}
			*f = Facts{Checked: true, LiveUnavailable: true}
		}, OutcomeSend, RuleOTP},
		{"zero facts refuse even transactional", func(q *Query, f *Facts) { q.Class = "transactional"; *f = Facts{} }, OutcomeRefuse, RuleUnchecked},
		{"RET refuses however old", func(q *Query, f *Facts) { f.Consent.Status = StatusRejected; f.PulledAt = time.Time{} }, OutcomeRefuse, RuleNoConsent},
		{"absent asks", func(q *Query, f *Facts) { f.Consent = Evidence{} }, OutcomeAsk, RuleConsentAbsent},
		{"absent and İYS silent holds", func(q *Query, f *Facts) { f.Consent = Evidence{}; f.LiveUnavailable = true }, OutcomeHold, RuleConsentUnavailable},
		{"exactly at the limit is fresh", func(q *Query, f *Facts) { f.PulledAt = noon.Add(-3 * time.Hour) }, OutcomeSend, RuleConsentApproved},
		{"a moment over the limit asks", func(q *Query, f *Facts) { f.PulledAt = noon.Add(-3*time.Hour - 1) }, OutcomeAsk, RuleConsentStale},
		{"stale and İYS silent holds", func(q *Query, f *Facts) { f.PulledAt = time.Time{}; f.LiveUnavailable = true }, OutcomeHold, RuleConsentUnavailable},
		{"a pull from the future is no pull", func(q *Query, f *Facts) { f.PulledAt = noon.Add(time.Hour) }, OutcomeAsk, RuleConsentStale},
		{"no limit stretches past a day", func(q *Query, f *Facts) { f.FreshFor = 1000 * time.Hour; f.PulledAt = noon.Add(-25 * time.Hour) }, OutcomeAsk, RuleConsentStale},
		{"live answer needs no pull", func(q *Query, f *Facts) { f.Consent = live(StatusApproved, 0); f.PulledAt = time.Time{} }, OutcomeSend, RuleConsentApproved},
		{"live answer ages", func(q *Query, f *Facts) { f.Consent = live(StatusApproved, 4*time.Hour); f.PulledAt = time.Time{} }, OutcomeAsk, RuleConsentStale},
		{"live no is a no", func(q *Query, f *Facts) { f.Consent = live(StatusNotApproved, 0) }, OutcomeRefuse, RuleNoConsent},
		{"old live no is asked again", func(q *Query, f *Facts) { f.Consent = live(StatusNotApproved, 4*time.Hour); f.PulledAt = time.Time{} }, OutcomeAsk, RuleConsentStale},
		{"live answer in the mirror is kept fresh by pull", func(q *Query, f *Facts) {
			f.Consent = live(StatusApproved, 100*time.Hour)
			f.Consent.Read = ReadMirror
		}, OutcomeSend, RuleConsentApproved},
		{"answer taken a moment after now counts", func(q *Query, f *Facts) { f.Consent = live(StatusApproved, -time.Second); f.PulledAt = time.Time{} }, OutcomeSend, RuleConsentApproved},
		{"unknown status is asked, not guessed", func(q *Query, f *Facts) { f.Consent.Status = "BEKLIYOR" }, OutcomeAsk, RuleConsentAbsent},
		{"merchant without record asks too", func(q *Query, f *Facts) { q.RecipientType = RecipientMerchant; f.Consent = Evidence{} }, OutcomeAsk, RuleConsentAbsent},
		{"ahs answer of 15 min", func(q *Query, f *Facts) { q.Mode = ModeAHS; f.Consent = live(StatusApproved, 15*time.Minute) }, OutcomeSend, RuleConsentApproved},
		{"ahs answer older than 15 min", func(q *Query, f *Facts) { q.Mode = ModeAHS; f.Consent = live(StatusApproved, 15*time.Minute+1) }, OutcomeAsk, RuleConsentStale},
		{"ahs asks again after a RET of partner times", func(q *Query, f *Facts) { q.Mode = ModeAHS; f.Consent.Status = StatusRejected }, OutcomeAsk, RuleConsentStale},
		{"ahs asks again after a pushed RET of a moment ago", func(q *Query, f *Facts) {
			q.Mode = ModeAHS
			f.Consent = Evidence{Status: StatusRejected, Read: ReadMirror, Origin: OriginPush, ReadAt: noon}
		}, OutcomeAsk, RuleConsentStale},
		{"ahs asks again after a NOT_ONAY nobody gave it", func(q *Query, f *Facts) { q.Mode = ModeAHS; f.Consent.Status = StatusNotApproved }, OutcomeAsk, RuleConsentStale},
		{"ahs holds on a RET of partner times while İYS is silent", func(q *Query, f *Facts) {
			q.Mode, f.Consent.Status, f.LiveUnavailable = ModeAHS, StatusRejected, true
		}, OutcomeHold, RuleConsentUnavailable},
		{"ahs refuses by its own answer", func(q *Query, f *Facts) { q.Mode = ModeAHS; f.Consent = live(StatusNotApproved, 15*time.Minute) }, OutcomeRefuse, RuleNoConsent},
		{"ahs refuses by a live RET", func(q *Query, f *Facts) { q.Mode = ModeAHS; f.Consent = live(StatusRejected, time.Minute) }, OutcomeRefuse, RuleNoConsent},
		{"ahs: a block stops whatever İYS answers", func(q *Query, f *Facts) {
			q.Mode, f.Blocked, f.Consent = ModeAHS, true, live(StatusApproved, 0)
		}, OutcomeRefuse, RuleBlocked},
		{"ahs does not live on pulls", func(q *Query, f *Facts) { q.Mode = ModeAHS }, OutcomeAsk, RuleConsentStale},
		{"self-managed with declaration", func(q *Query, f *Facts) { q.Mode = ModeSelfManaged; f.DeclarationPresent = true }, OutcomeSend, RuleSelfManaged},
		{"self-managed without", func(q *Query, f *Facts) { q.Mode = ModeSelfManaged }, OutcomeRefuse, RuleDeclarationMissing},
		{"self-managed still obeys blocks", func(q *Query, f *Facts) {
			q.Mode, f.DeclarationPresent, f.Blocked = ModeSelfManaged, true, true
		}, OutcomeRefuse, RuleBlocked},
		{"exempt within its basis", func(q *Query, f *Facts) { q.Mode = ModeExempt; f.ExemptUntil = noon.Add(1) }, OutcomeSend, RuleExempt},
		{"exempt at its end", func(q *Query, f *Facts) { q.Mode = ModeExempt; f.ExemptUntil = noon }, OutcomeRefuse, RuleExemptExpired},
		{"exempt without basis", func(q *Query, f *Facts) { q.Mode = ModeExempt }, OutcomeRefuse, RuleExemptMissing},
		{"brand unknown", func(q *Query, f *Facts) { q.BrandKnown = false }, OutcomeRefuse, RuleBrandUnknown},
		{"brand inactive", func(q *Query, f *Facts) { q.BrandActive = false }, OutcomeRefuse, RuleBrandInactive},
		{"unknown class", func(q *Query, f *Facts) { q.Class = "Commercial" }, OutcomeRefuse, RuleInvalidClass},
		{"unknown channel", func(q *Query, f *Facts) { q.Channel = "sms" }, OutcomeRefuse, RuleInvalidChannel},
		{"unknown recipient type", func(q *Query, f *Facts) { q.RecipientType = "" }, OutcomeRefuse, RuleInvalidRecipient},
		{"unknown mode", func(q *Query, f *Facts) { q.Mode = "open" }, OutcomeRefuse, RuleInvalidMode},
	}
	for _, tt := range tests {
		q, f := good()
		tt.edit(&q, &f)
		got := Decide(q, f, noon)
		if got.Outcome != tt.out || got.Rule != tt.rule {
			t.Errorf("%s: got %v %s, want %v %s", tt.name, got.Outcome, got.Rule, tt.out, tt.rule)
		}
		if got.PolicyVersion != PolicyVersion {
			t.Errorf("%s: verdict without policy version", tt.name)
		}
	}
}

func TestZeroVerdictRefuses(t *testing.T) {
	var v Verdict
	if v.Send() || v.Outcome != OutcomeRefuse {
		t.Fatalf("zero verdict: got %v, want refuse", v.Outcome)
	}
	if got := Decide(Query{}, Facts{}, time.Time{}); got.Outcome != OutcomeRefuse {
		t.Fatalf("zero question: got %v, want refuse", got.Outcome)
	}
}

// space walks the whole product of what Decide can tell apart.
func space(visit func(q Query, f Facts)) {
	bools := []bool{false, true}
	for _, class := range []string{"", "commercial", "transactional", "otp", "OTP"} {
		for _, ch := range []Channel{"", ChannelSMS, ChannelEmail, "SMS"} {
			for _, rt := range []RecipientType{"", RecipientPerson, RecipientMerchant} {
				for _, mode := range []Mode{"", ModePartner, ModeAHS, ModeSelfManaged, ModeExempt, "PARTNER"} {
					for bits := range 1 << 5 {
						q := Query{Class: class, Channel: ch, RecipientType: rt, Mode: mode, BrandKnown: bits&1 != 0, BrandActive: bits&2 != 0}
						f := Facts{Checked: bits&4 != 0, Blacklisted: bits&8 != 0, Blocked: bits&16 != 0}
						for _, status := range []Status{"", StatusApproved, StatusRejected, StatusNotApproved, "BEKLIYOR"} {
							for _, read := range []Read{"", ReadMirror, ReadLive} {
								for _, origin := range []Origin{"", OriginPull, OriginLive} {
									for _, asked := range ages {
										for _, pulled := range ages {
											for _, extra := range bools {
												f.Consent = Evidence{Status: status, Read: read, Origin: origin, ReadAt: asked}
												f.PulledAt, f.LiveUnavailable, f.DeclarationPresent = pulled, extra, extra
												f.ExemptUntil = asked
												visit(q, f)
											}
										}
									}
								}
							}
						}
					}
				}
			}
		}
	}
}

var ages = []time.Time{{}, noon, noon.Add(-15 * time.Minute), noon.Add(-time.Hour), noon.Add(-3*time.Hour - time.Second), noon.Add(time.Hour)}

// mayCommercial states the law once more, in other words than Decide: the list
// of what must be true for a commercial message to leave.
func mayCommercial(q Query, f Facts) bool {
	if !f.Checked || f.Blacklisted || f.Blocked || !q.BrandKnown || !q.BrandActive {
		return false
	}
	if q.Channel != "MESAJ" && q.Channel != "EPOSTA" && q.Channel != "ARAMA" {
		return false
	}
	if q.RecipientType != "BIREYSEL" && q.RecipientType != "TACIR" {
		return false
	}
	within := func(at time.Time, d time.Duration) bool {
		return !at.IsZero() && noon.Sub(at) <= d && noon.Sub(at) >= -time.Minute
	}
	answered := f.Consent.Read == "live" || f.Consent.Origin == "live"
	switch q.Mode {
	case "partner":
		return f.Consent.Status == "ONAY" &&
			(answered && within(f.Consent.ReadAt, 3*time.Hour) || f.Consent.Read == "mirror" && within(f.PulledAt, 3*time.Hour))
	case "ahs":
		return f.Consent.Status == "ONAY" && answered && within(f.Consent.ReadAt, 15*time.Minute)
	case "self_managed":
		return f.DeclarationPresent
	case "exempt":
		return f.ExemptUntil.After(noon)
	}
	return false
}

// mustRefuse states which consents refuse a commercial message that nothing else stops: a partner's RET however old, and a no that
// is as fresh as an approval would have to be. Whatever else is no approval is a question to İYS.
func mustRefuse(q Query, f Facts) bool {
	within := func(at time.Time, d time.Duration) bool {
		return !at.IsZero() && noon.Sub(at) <= d && noon.Sub(at) >= -time.Minute
	}
	answered := f.Consent.Read == "live" || f.Consent.Origin == "live"
	no := f.Consent.Status == "RET" || f.Consent.Status == "NOT_ONAY"
	if q.Mode == "ahs" {
		return no && answered && within(f.Consent.ReadAt, 15*time.Minute)
	}
	return f.Consent.Status == "RET" || no &&
		(answered && within(f.Consent.ReadAt, 3*time.Hour) || f.Consent.Read == "mirror" && within(f.PulledAt, 3*time.Hour))
}

func TestDecideOverTheWholeSpace(t *testing.T) {
	n, sent := 0, 0
	space(func(q Query, f Facts) {
		n++
		v := Decide(q, f, noon)
		if v.Send() {
			sent++
		}
		if v.Rule == "" || v.PolicyVersion == 0 {
			t.Fatalf("no rule for %+v %+v", q, f)
		}
		switch q.Class {
		case "commercial":
			if v.Send() != mayCommercial(q, f) {
				t.Fatalf("got send=%v (%s), want %v for %+v %+v", v.Send(), v.Rule, mayCommercial(q, f), q, f)
			}
			open := f.Checked && !f.Blacklisted && !f.Blocked && q.BrandKnown && q.BrandActive && q.Channel.Valid() && q.RecipientType.Valid()
			if open && !v.Send() && (q.Mode == ModePartner || q.Mode == ModeAHS) {
				want := OutcomeAsk
				if mustRefuse(q, f) {
					want = OutcomeRefuse
				} else if f.LiveUnavailable {
					want = OutcomeHold
				}
				if v.Outcome != want {
					t.Fatalf("got %v (%s), want %v for %+v %+v", v.Outcome, v.Rule, want, q, f)
				}
			}
		case "transactional", "otp":
			want := f.Checked && !f.Blacklisted && q.Channel.Valid()
			if v.Send() != want {
				t.Fatalf("got send=%v (%s), want %v for %+v %+v", v.Send(), v.Rule, want, q, f)
			}
			if v.Outcome == OutcomeAsk || v.Outcome == OutcomeHold {
				t.Fatalf("%s waits for İYS: %+v %+v", q.Class, q, f)
			}
		default:
			if v.Outcome != OutcomeRefuse {
				t.Fatalf("unknown class %q: got %v", q.Class, v.Outcome)
			}
		}
	})
	if n < 1_000_000 || sent == 0 {
		t.Fatalf("the space has %d points, %d of them sent: the test proves nothing", n, sent)
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	q, f := good()
	if n := testing.AllocsPerRun(100, func() { _ = Decide(q, f, noon) }); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	q, f := good()
	for b.Loop() {
		if !Decide(q, f, noon).Send() {
			b.Fatal("not sent")
		}
	}
}
