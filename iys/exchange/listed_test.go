package exchange_test

import (
	"errors"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
)

// switched is a company whose e-mail we pull as its partner all along, while its SMS changes hands.
type switched struct {
	*world
	brand exchange.Brand
}

func newSwitched(w *world) *switched {
	w.sim.AddAHS(iystest.AHS{Username: iystest.SeedAHS, Password: iystest.SeedPassword, Brands: map[string][]string{ahsBrand: {"MESAJ"}, partnerBrand: {"MESAJ"}}})
	s := &switched{world: w, brand: exchange.Brand{Brand: iysapi.Brand{IYSCode: partnerBrand, BrandCode: partnerBrand}, API: w.api, AHS: w.ahs}}
	s.mode(iys.ModeAHS, false)
	w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "")
	w.ready()
	return s
}

// mode is what the administrator sets for SMS, with what İYS says of our right to read it.
func (s *switched) mode(m iys.Mode, withheld bool) {
	s.brand.Modes = map[iys.Channel]iys.Mode{iys.ChannelSMS: m, iys.ChannelEmail: iys.ModePartner}
	s.brand.Withheld = map[iys.Channel]bool{iys.ChannelSMS: withheld}
	s.instead, s.more = true, []exchange.Brand{s.brand}
}

// days lets days pass, pulled every six hours; the listing always has something of e-mail, so that the cursor moves on.
func (s *switched) days(n int) {
	s.t.Helper()
	for range 4 * n {
		pass(time.Hour)
		s.sim.Citizen(partnerBrand, "EPOSTA", "BIREYSEL", mailKey(2).Recipient, "ONAY", "")
		pass(5 * time.Hour)
		s.mustPull()
	}
}

// ask brings İYS's answer about a person into the mirror.
func (s *switched) ask(n int) {
	s.t.Helper()
	got, err := s.x.Ask(s.t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(n)})
	if err == nil {
		err = got[0].Err
	}
	if err != nil || got[0].Status != iys.StatusApproved {
		s.t.Fatalf("asked: %+v %v, want ONAY", got, err)
	}
}

// decide judges an SMS by what is in the mirror.
func (s *switched) decide(n int) iys.Verdict {
	f := s.mirror.Facts(mirror.Question{Account: "1", Brand: partnerBrand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Address: phone(n)})
	return iys.Decide(iys.Query{Class: "commercial", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
		Mode: s.brand.Modes[iys.ChannelSMS], BrandKnown: true, BrandActive: true}, f, time.Now())
}

// A channel comes to us while another one of the brand has been pulled all along. What an intermediary was told about it days ago
// does not become fresh by the first pull that lists it: the refusals since then were left out of the listing, and the cursor is
// past them.
func TestAChannelListedForTheFirstTime(t *testing.T) {
	const within, beyond = 1, 2 // who refuses within the reach of the listing, and beyond it
	begin := func(w *world) *switched {
		s := newSwitched(w)
		s.approveAt(within)
		s.approveAt(beyond)
		s.days(1)
		s.ask(within)
		s.ask(beyond)
		if v := s.decide(within); !v.Send() {
			t.Fatalf("the intermediary's answer: %v by %s", v.Outcome, v.Rule)
		}
		pass(time.Hour)
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(beyond), "RET", "")
		s.days(9)
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(within), "RET", "")
		s.days(2)
		return s
	}
	check := func(t *testing.T, s *switched) {
		t.Helper()
		if got := s.mirror.PulledAt(partnerBrand, iys.ChannelSMS); time.Since(got) > time.Minute {
			t.Errorf("listed and pulled: known up to %v only", got)
		}
		if v := s.decide(within); v.Send() || v.Rule != iys.RuleNoConsent {
			t.Errorf("refused within the reach of the listing: %v by %s, want refuse", v.Outcome, v.Rule)
		}
		if v := s.decide(beyond); v.Outcome != iys.OutcomeAsk || v.Rule != iys.RuleConsentAbsent {
			t.Errorf("refused before it: %v by %s, want İYS to be asked", v.Outcome, v.Rule)
		}
		s.approveAt(3)
		s.ask(3)
		calls := s.sim.Counters().ByOperation["changes"]
		pass(time.Hour)
		s.mustPull()
		if got := s.sim.Counters().ByOperation["changes"] - calls; got != 2 || !s.decide(3).Send() {
			t.Errorf("the next pull: %d calls, want 2; who was asked since: %s", got, s.decide(3).Rule)
		}
	}
	t.Run("granted, then set", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			s := begin(w)
			w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "write")
			s.days(1)
			s.mode(iys.ModePartner, false)
			w.mustPull()
			check(t, s)
		})
	})
	t.Run("set, then granted", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			s := begin(w)
			s.mode(iys.ModePartner, true)
			s.days(1)
			w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "write")
			s.mode(iys.ModePartner, false)
			w.mustPull()
			check(t, s)
		})
	})
	t.Run("begun, taken away, granted", func(t *testing.T) {
		inBubble(t, func(t *testing.T, w *world) {
			s := newSwitched(w)
			s.days(1)
			s.mode(iys.ModePartner, false)
			w.sim.Fail(iystest.Fault{Operation: "changes", Status: 500, Code: "H103"})
			if err := w.pull(); err == nil {
				t.Fatal("the listing did not fail")
			}
			s.mode(iys.ModeAHS, false)
			s.approveAt(within)
			s.approveAt(beyond)
			pass(time.Minute)
			s.ask(within)
			s.ask(beyond)
			pass(time.Hour)
			w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(beyond), "RET", "")
			s.days(9)
			w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(within), "RET", "")
			s.days(1)
			w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "write")
			s.mode(iys.ModePartner, false)
			w.mustPull()
			check(t, s)
		})
	})
}

// What is known of e-mail is not touched by SMS coming to us, and a listing that breaks off goes on where it was.
func TestAFirstListingIsBegunOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := newSwitched(w)
		w.sim.Citizen(partnerBrand, "EPOSTA", "BIREYSEL", mailKey(1).Recipient, "ONAY", "")
		s.days(8)
		mail := func() iys.Status {
			e, _ := w.mirror.Lookup(partnerBrand, iys.ChannelEmail, iys.RecipientPerson, mailKey(1).Recipient)
			return e.Status
		}
		if mail() != iys.StatusApproved {
			t.Fatal("the approval of e-mail was not pulled")
		}
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "write")
		for n := range 1500 {
			w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(n), "ONAY", "")
		}
		pass(2 * time.Hour)
		s.mode(iys.ModePartner, false)
		w.sim.Fail(iystest.Fault{Operation: "changes", Skip: 1, Status: 500, Code: "H103"})
		if err := w.pull(); err == nil {
			t.Fatal("the listing did not break off")
		}
		if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); !got.IsZero() {
			t.Errorf("half a listing vouches up to %v", got)
		}
		held := func() (n int) {
			for i := range 1500 {
				if w.lookup(i) == iys.StatusApproved {
					n++
				}
			}
			return n
		}
		if cur := w.store.cursors[partnerBrand+"IYS"]; cur.After == "" || held() == 0 || held() == 1500 {
			t.Fatalf("cursor %+v, %d of 1500 read: want a part", cur, held())
		}
		pass(time.Minute)
		calls := w.sim.Counters().ByOperation["changes"]
		w.mustPull()
		if got := w.sim.Counters().ByOperation["changes"] - calls; got != 3 || held() != 1500 {
			t.Errorf("going on: %d calls, want 3 (anew it would be 4); %d of 1500 read", got, held())
		}
		if mail() != iys.StatusApproved {
			t.Error("e-mail was forgotten for the sake of SMS")
		}
		cur := w.store.cursors[partnerBrand+"IYS"]
		if cur.TrustOf(iys.ChannelSMS).IsZero() || !cur.TrustOf(iys.ChannelEmail).Before(cur.TrustOf(iys.ChannelSMS)) {
			t.Errorf("after a restart SMS would be trusted from %v, e-mail from %v", cur.TrustOf(iys.ChannelSMS), cur.TrustOf(iys.ChannelEmail))
		}
	})
}

// A channel that is no longer ours is noted before the cursor moves, also when the pull that moves it does not reach the end.
func TestAChannelHandedBackIsMissedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := newSwitched(w)
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "write")
		s.mode(iys.ModePartner, false)
		s.approveAt(1)
		s.days(1)
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "")
		s.mode(iys.ModeAHS, false)
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(1), "RET", "")
		for n := range 1500 {
			w.sim.Citizen(partnerBrand, "EPOSTA", "BIREYSEL", "k"+phone(n)[1:]+"@ornek.example", "ONAY", "")
		}
		pass(2 * time.Hour)
		w.sim.Fail(iystest.Fault{Operation: "changes", Skip: 1, Status: 500, Code: "H103"})
		if err := w.pull(); err == nil || errors.Is(err, errCrash) {
			t.Fatalf("the pull did not break off: %v", err)
		}
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "write")
		s.mode(iys.ModePartner, false)
		w.mustPull()
		if v := s.decide(1); v.Rule != iys.RuleNoConsent {
			t.Errorf("refused while it was not ours: %v by %s, want refuse", v.Outcome, v.Rule)
		}
	})
}
