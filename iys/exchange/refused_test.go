package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
)

// nobody is a number of which only İYS knows that the numbering plan has none such.
const nobody = "+9055512345"

func nobodyKey() iys.Key {
	k := key(0)
	k.Recipient = nobody
	return k
}

// An address İYS refuses keeps nobody else's question from being answered, is
// not asked about again, and is sent nothing.
func TestOneRefusedAddressSinksNoQuestion(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		list := []string{phone(1), nobody, phone(2)}
		for _, brand := range []string{partnerBrand, ahsBrand} {
			w.sim.Put(iystest.Movement{BrandCode: brand, Recipient: phone(1), RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY", Source: "HS_WEB", ConsentDate: time.Now()})
			got, err := w.x.Ask(t.Context(), brand, iys.ChannelSMS, iys.RecipientPerson, list)
			if err != nil {
				t.Fatal(err)
			}
			var refusal *iys.Refusal
			if got[0].Status != iys.StatusApproved || got[0].Err != nil || got[2].Status != iys.StatusNotApproved || got[2].Err != nil ||
				!errors.As(got[1].Err, &refusal) || refusal.Code != "H121" || refusal.Turkish == "" {
				t.Errorf("%s: got %+v", brand, got)
			}
			if e, ok := w.mirror.Lookup(brand, iys.ChannelSMS, iys.RecipientPerson, nobody); !ok || e.Status != iys.StatusNotApproved {
				t.Errorf("%s: the mirror holds %+v %t for it, want not approved", brand, e, ok)
			}
		}
		if got := w.sim.Counters().Failures; got != 2 {
			t.Errorf("%d failing calls, want one a brand", got)
		}
	})
}

// Of an address İYS cannot hold by the form of it, nobody can have agreed: what is to be sent there is refused at once and not held
// until it expires, also while İYS is away. İYS is not asked, and what a listing told all the same stands.
func TestAddressesIYSCannotHoldAreNotApproved(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.ready()
		verdict := func(brand string, mode iys.Mode, addr string) iys.Verdict {
			f := w.mirror.Facts(mirror.Question{Account: "1", Brand: brand, Channel: iys.ChannelEmail, RecipientType: iys.RecipientPerson, Address: addr})
			return iys.Decide(iys.Query{Class: "commercial", Channel: iys.ChannelEmail, RecipientType: iys.RecipientPerson, Mode: mode, BrandKnown: true,
				BrandActive: true}, f, time.Now())
		}
		ask := func(brand, addr string) {
			t.Helper()
			got, err := w.x.Ask(t.Context(), brand, iys.ChannelEmail, iys.RecipientPerson, []string{addr})
			var refusal *iys.Refusal
			if err != nil || !errors.As(got[0].Err, &refusal) || refusal.Code != "H120" {
				t.Errorf("%s %s: %+v, %v, want H120", brand, addr, got, err)
			}
		}
		w.sim.SetDown(true)
		for brand, mode := range map[string]iys.Mode{partnerBrand: iys.ModePartner, ahsBrand: iys.ModeAHS} {
			for _, a := range []string{"o'brien@example.com", "a..b@example.com"} {
				if v := verdict(brand, mode, a); v.Outcome != iys.OutcomeAsk {
					t.Fatalf("%s %s: %v by %s, want to ask", brand, a, v.Outcome, v.Rule)
				}
				ask(brand, a)
				if v := verdict(brand, mode, a); v.Rule != iys.RuleNoConsent {
					t.Errorf("%s %s: %v by %s, want no consent", brand, a, v.Outcome, v.Rule)
				}
				if _, ok := w.mirror.Lookup(brand, iys.ChannelEmail, iys.RecipientMerchant, a); ok {
					t.Errorf("%s %s: known of the other recipient type, which nobody asked about", brand, a)
				}
			}
		}
		for _, brand := range []string{selfBrand, "999999"} {
			ask(brand, "o'brien@example.com")
			if _, ok := w.mirror.Lookup(brand, iys.ChannelEmail, iys.RecipientPerson, "o'brien@example.com"); ok {
				t.Errorf("%s: the mirror has learned something of a brand that asks nobody", brand)
			}
		}
		listed := iys.Consent{Key: iys.Key{Brand: partnerBrand, Channel: iys.ChannelEmail, RecipientType: iys.RecipientPerson, Recipient: "c..d@example.com"},
			Status: iys.StatusApproved, Source: iys.SourceHSWeb, Origin: iys.OriginPull, ConsentDate: time.Now(), CreationDate: time.Now(), ReadAt: time.Now()}
		w.store.Commit(t.Context(), exchange.Changes{Consents: []iys.Consent{listed}})
		w.mirror.Put(listed)
		ask(partnerBrand, listed.Recipient)
		if e, _ := w.mirror.Lookup(partnerBrand, iys.ChannelEmail, iys.RecipientPerson, listed.Recipient); e.Status != iys.StatusApproved {
			t.Errorf("an approval İYS listed became %s", e.Status)
		}
		if c := w.sim.Counters(); c.Failures != 0 || len(c.ByOperation) != 0 {
			t.Errorf("İYS was called: %+v", c)
		}
	})
}

// The same for the question that prepares refusals: the others are written.
func TestOneRefusedAddressSinksNoRefusal(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 5 {
			w.approveAt(n)
		}
		pass(time.Minute)
		for n := range 5 {
			w.store.add(w.entry(n, iys.StatusRejected))
		}
		e := w.entry(9, iys.StatusRejected)
		e.Recipient = nobody
		w.store.add(e)
		w.mustDrain()
		for id := uint64(1); id <= 5; id++ {
			w.wantState(id, exchange.StateAccepted, "")
		}
		w.wantState(6, exchange.StateRefused, "H121")
		if got := w.sim.Counters().Failures; got != 1 {
			t.Errorf("%d failing calls, want 1", got)
		}
	})
}

// And for the re-query: what we hold of such an address is no approval any more.
func TestOneRefusedAddressSinksNoRequery(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.seedPulled(3)
		w.store.Commit(t.Context(), exchange.Changes{Consents: []iys.Consent{{Key: nobodyKey(), Status: iys.StatusApproved, Origin: iys.OriginPull, ReadAt: time.Now()}}})
		if _, err := w.x.StartRequery(t.Context(), partnerBrand, "by hand"); err != nil {
			t.Fatal(err)
		}
		if err := w.x.RequeryAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := w.state(); s.Stale || s.Requery.Done != 4 || s.Requery.Changed != 1 {
			t.Errorf("got %+v, want four asked about and one changed", s.Requery)
		}
		if c := w.store.consent(nobodyKey()); c.Status != iys.StatusNotApproved {
			t.Errorf("stored %+v, want not approved", c)
		}
	})
}

// fussy refuses lists with certain addresses, naming them or not.
type fussy struct {
	exchange.API
	bad    map[string]bool
	places bool
	calls  int
}

func (f *fussy) StatusMany(_ context.Context, b iysapi.Brand, rt iys.RecipientType, ch iys.Channel, list []string) ([]bool, error) {
	f.calls++
	e := &iysapi.APIError{HTTP: 422}
	for i, a := range list {
		if !f.bad[a] {
			continue
		}
		d := iysapi.Detail{Code: "H464", Index: -1}
		if f.places {
			d.Location = fmt.Sprintf("recipients[%d]", i)
		}
		e.Details = append(e.Details, d)
	}
	if len(e.Details) > 0 {
		e.Detail = e.Details[0]
		if !f.places {
			e.Details = e.Details[:1]
		}
		return nil, e
	}
	out := make([]bool, len(list))
	for i := range out {
		out[i] = true
	}
	return out, nil
}

// İYS's documents show the place of a refused address; one that names none is found all the same.
func TestRefusedAddressesAreFound(t *testing.T) {
	for places, most := range map[bool]int{true: 2, false: 44} {
		inBubble(t, func(t *testing.T, w *world) {
			f := &fussy{bad: map[string]bool{phone(17): true, phone(600): true}, places: places}
			w.more = []exchange.Brand{{Brand: iysapi.Brand{IYSCode: "600001", BrandCode: "600001"}, Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner}, API: f}}
			list := make([]string, 1000)
			for n := range list {
				list[n] = phone(n)
			}
			got, err := w.x.Ask(t.Context(), "600001", iys.ChannelSMS, iys.RecipientPerson, list)
			if err != nil {
				t.Fatal(err)
			}
			for n, a := range got {
				if bad := f.bad[phone(n)]; (a.Err != nil) != bad || !bad && a.Status != iys.StatusApproved {
					t.Errorf("places %t, address %d: %+v", places, n, a)
				}
			}
			if f.calls > most {
				t.Errorf("places %t: %d calls, want at most %d", places, f.calls, most)
			}
		})
	}
}

// A full package (H525) stops new approvals alone: a refusal needs no room and does not wait.
func TestAFullPackageStopsApprovalsAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		w.approveAt(2)
		w.sim.AddProvider(iystest.Provider{IYSCode: partnerBrand, ConsentLimit: 2, Brands: []iystest.Brand{{Code: partnerBrand, Master: true}}})
		pass(time.Minute)
		w.store.add(w.entry(10, iys.StatusApproved), w.entry(11, iys.StatusApproved))
		w.flushAll()
		if s := w.state(); s.Shut == nil || s.Shut.Code != "H525" {
			t.Fatalf("state %+v, want writes stopped by H525", s)
		}
		failures := w.sim.Counters().Failures
		pass(2 * time.Second)
		w.store.add(w.entry(1, iys.StatusRejected))
		w.flushAll()
		w.wantState(3, exchange.StateAccepted, "")
		if got := w.sims(1); got != "RET HS_MESAJ" {
			t.Errorf("İYS holds %q, want the refusal", got)
		}
		if s := w.state(); s.Shut == nil {
			t.Error("a refusal that was taken says nothing about room for approvals")
		}
		if got := w.sim.Counters().Failures; got != failures {
			t.Errorf("%d more failing calls", got-failures)
		}
		pass(16 * time.Minute) // the refusal has made room for one
		w.flushAll()
		open := 0
		for id := uint64(1); id <= 2; id++ {
			if w.store.entry(id).State.Open() {
				open++
			}
		}
		if s := w.state(); open != 1 || s.Shut == nil {
			t.Errorf("%d approvals wait, state %+v; want one of two", open, s.Shut)
		}
	})
}

// TestWithoutRightsWhatIsKnownIsEnforced: İYS answers 403 to everything about a brand. Writes stop at once and the state says so;
// what is known is enforced, approvals for as long as the freshness limit lets them count, refusals for ever, pushed ones included.
// İYS is asked a few times an hour, not with every message; when the right is back, everything goes on.
func TestWithoutRightsWhatIsKnownIsEnforced(t *testing.T) {
	for name, state := range map[string]string{"H520": iystest.SubscriptionPaused, "H521": iystest.SubscriptionClosed, "H524": iystest.SubscriptionNone, "H586": iystest.SubscriptionNoAPI} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.seedPulled(5)
				w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(3), "RET", "")
				pass(2 * time.Hour)
				w.ready()
				stop := w.running()
				defer stop()
				pass(time.Hour)
				provider := func(subscription string) {
					w.sim.AddProvider(iystest.Provider{IYSCode: partnerBrand, Subscription: subscription, Brands: []iystest.Brand{{Code: partnerBrand, Master: true}}})
				}
				provider(state)
				failures, began := w.sim.Counters().Failures, time.Now()
				w.store.add(w.entry(7, iys.StatusApproved))
				w.x.Wake()
				pass(20 * time.Minute)
				if s := w.state(); s.Shut == nil || s.Shut.Code != name || !s.Shut.Reading {
					t.Fatalf("state %+v, want reading and writing stopped by %s", s, name)
				}
				push := w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(4), "RET", "") // comes by push
				moves, err := iysapi.DecodePush(iystest.PushBody(push))
				if err == nil {
					err = w.x.Push(t.Context(), moves)
				}
				if err != nil {
					t.Fatal(err)
				}
				var sent, held bool
				for minute := 20; minute < 12*60; minute += 5 {
					switch v := w.verdict("commercial", 1); {
					case v.Outcome == iys.OutcomeSend && time.Since(began) < iys.DefaultFreshness+20*time.Minute:
						sent = true
					case v.Outcome == iys.OutcomeHold && time.Since(began) > iys.DefaultFreshness-20*time.Minute:
						held = true
					default:
						t.Fatalf("%v after the right was lost: %v by %s", time.Since(began), v.Outcome, v.Rule)
					}
					for _, n := range []int{3, 4} {
						if v := w.verdict("commercial", n); v.Outcome != iys.OutcomeRefuse {
							t.Fatalf("a person who refused: %v by %s", v.Outcome, v.Rule)
						}
					}
					pass(5 * time.Minute)
				}
				if !sent || !held {
					t.Errorf("sent %t, held %t: want first the one, then the other", sent, held)
				}
				if got := w.sim.Counters().Failures - failures; got > 12*15 {
					t.Errorf("%d failing calls in twelve hours", got)
				}
				provider(iystest.SubscriptionActive)
				pass(2*time.Hour + time.Minute)
				if v := w.verdict("commercial", 1); v.Outcome != iys.OutcomeSend {
					t.Errorf("with the right again: %v by %s", v.Outcome, v.Rule)
				}
				if s := w.state(); s.Shut != nil || w.store.open() != 0 {
					t.Errorf("with the right again: %+v, %d entries open", s.Shut, w.store.open())
				}
			})
		})
	}
}

// A brand İYS does not answer for is not asked about with every message; a changed link asks at once.
func TestRefusedQuestionsRest(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "")
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "EPOSTA", "")
		ask := func() error {
			got, err := w.x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(1)})
			if err != nil {
				t.Fatal(err)
			}
			return got[0].Err
		}
		for range 60 {
			if err := ask(); iysapi.RetryOf(err) != iysapi.RetryOperator {
				t.Fatalf("got %v, want H353", err)
			}
			pass(time.Second)
		}
		if got := w.sim.Counters().ByOperation["statusMany"]; got != 1 {
			t.Errorf("%d questions in a minute, want 1", got)
		}
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "write")
		pass(5 * time.Minute)
		if err := ask(); err != nil {
			t.Errorf("five minutes later: %v", err)
		}
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "")
		if err := ask(); err == nil {
			t.Fatal("without the right: answered")
		}
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "write")
		was := w.api
		w.restartAPI()
		if w.api == was {
			t.Fatal("the same client")
		}
		if err := ask(); err != nil {
			t.Errorf("over another link: %v", err)
		}
	})
}

// An attempt whose answer was lost may have been in time although its repeat is too old.
func TestALateRepeatOfWhatWasTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.sim.SetOddities(iystest.Oddities{V2Forgets: true})
		w.sim.Fail(iystest.Fault{Operation: "add", DropAfter: true})
		w.store.add(w.entry(1, iys.StatusApproved))
		w.x.Flush(t.Context())
		w.sim.SetDown(true)
		pass(8 * 24 * time.Hour)
		w.sim.SetDown(false)
		w.restart()
		w.mustDrain()
		w.wantState(1, exchange.StateAccepted, "")
		if e := w.store.entry(1); e.TransactionID == "" || len(w.sim.Movements()) != 1 {
			t.Errorf("%+v, %d movements", e, len(w.sim.Movements()))
		}
	})
}
