package exchange_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

func (w *world) lookup(n int) iys.Status {
	e, _ := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(n))
	return e.Status
}

func (w *world) pull() error { return w.x.PullAll(w.t.Context()) }

func TestPullReadsToTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 2500 {
			w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(n), "ONAY", "")
		}
		pass(time.Second)
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(7), "RET", "")
		w.sim.Put(iystest.Movement{BrandCode: partnerBrand, Recipient: phone(9), RecipientType: "BIREYSEL", Type: "MESAJ", Status: "RET", Source: "HS_KARAR", ConsentDate: time.Now()})
		pass(2 * time.Hour)
		began := time.Now()
		if err := w.pull(); err != nil {
			t.Fatal(err)
		}
		if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); !got.Equal(began) {
			t.Errorf("fresh as of %v, want the begin of the pull %v", got, began)
		}
		if !w.mirror.PulledAt(partnerBrand, iys.ChannelCall).IsZero() {
			t.Error("a channel that is not ours became fresh")
		}
		for n, want := range map[int]iys.Status{0: "ONAY", 2499: "ONAY", 7: "RET", 9: "RET"} {
			if got := w.lookup(n); got != want {
				t.Errorf("%d: got %q, want %q", n, got, want)
			}
		}
		if len(w.heard.moves) != 2502 {
			t.Errorf("the listener heard %d movements, want 2502", len(w.heard.moves))
		}
		before := w.sim.Counters().ByOperation["changes"]
		if err := w.pull(); err != nil {
			t.Fatal(err)
		}
		if got := w.sim.Counters().ByOperation["changes"] - before; got != 2 || len(w.heard.moves) != 2502 {
			t.Errorf("second pull: %d calls, %d movements in all", got, len(w.heard.moves))
		}
	})
}

func TestABrokenPullIsNotFresh(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		if err := w.pull(); err != nil {
			t.Fatal(err)
		}
		fresh := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS)
		for n := range 1500 {
			w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(n), "RET", "")
		}
		pass(2 * time.Hour)
		w.sim.Fail(iystest.Fault{Operation: "changes", Skip: 1, Status: 500, Code: "H103"})
		if err := w.pull(); iysapi.RetryOf(err) != iysapi.RetryAgain || err == nil {
			t.Fatalf("got %v", err)
		}
		if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); !got.Equal(fresh) {
			t.Errorf("half a pull made the mirror fresh: %v", got)
		}
		if got := w.store.cursors[partnerBrand+"IYS"]; !got.EndAt.Equal(fresh) || got.After == "" {
			t.Errorf("half a pull: cursor %+v, want a place further on and the old end", got)
		}
		w.heard.fail = errors.New("desk")
		if err := w.pull(); !errors.Is(err, w.heard.fail) {
			t.Fatalf("got %v, want the listener's error", err)
		}
		w.heard.fail = nil
		if err := w.pull(); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, m := range w.heard.moves {
			seen[m.Recipient] = true
		}
		if len(seen) != 1500 {
			t.Errorf("the listener heard of %d addresses, want 1500", len(seen))
		}
	})
}

func TestALongSilenceIsDistrusted(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 3 {
			w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(n), "ONAY", "")
		}
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(3), "RET", "")
		pass(2 * time.Hour)
		if err := w.pull(); err != nil {
			t.Fatal(err)
		}
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(0), "RET", "") // will leave the window unseen
		pass(6 * 24 * time.Hour)
		if w.lookup(1) != "ONAY" {
			t.Fatal("six days are within reach")
		}
		pass(2 * 24 * time.Hour)
		if err := w.pull(); err != nil {
			t.Fatal(err)
		}
		for n, want := range map[int]iys.Status{0: "", 1: "", 3: "RET"} {
			if got := w.lookup(n); got != want {
				t.Errorf("%d: got %q, want %q", n, got, want)
			}
		}
		got, err := w.x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(0), phone(1)})
		if err != nil || got[0].Status != iys.StatusNotApproved || got[1].Status != iys.StatusApproved {
			t.Fatalf("ask: %+v %v", got, err)
		}
		if w.lookup(0) != iys.StatusNotApproved || w.lookup(1) != iys.StatusApproved {
			t.Errorf("after asking: got %q %q", w.lookup(0), w.lookup(1))
		}
		pass(time.Hour)
		if err := w.pull(); err != nil || w.lookup(1) != iys.StatusApproved {
			t.Errorf("the next pull: %v, got %q", err, w.lookup(1))
		}
	})
}

func TestPushStopsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(1), "ONAY", "")
		pass(2 * time.Hour)
		if err := w.pull(); err != nil || w.lookup(1) != "ONAY" {
			t.Fatalf("%v, got %q", err, w.lookup(1))
		}
		m := w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(1), "RET", "IYS_MOBIL")
		foreign := m
		foreign.BrandCode = "999999"
		moves, err := iysapi.DecodePush(iystest.PushBody(m, foreign))
		if err != nil {
			t.Fatal(err)
		}
		heard := len(w.heard.moves)
		if err := w.x.Push(t.Context(), moves); err != nil {
			t.Fatal(err)
		}
		if got := w.lookup(1); got != "RET" {
			t.Errorf("got %q, want RET", got)
		}
		if got := len(w.heard.moves) - heard; got != 1 {
			t.Errorf("the listener heard %d movements, want ours alone", got)
		}
		// A store that fails must not keep a refusal from stopping messages.
		m = w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(2), "RET", "IYS_MOBIL")
		moves, _ = iysapi.DecodePush(iystest.PushBody(m))
		w.store.mu.Lock()
		w.store.dead = true
		w.store.mu.Unlock()
		if err := w.x.Push(t.Context(), moves); !errors.Is(err, errCrash) {
			t.Fatalf("got %v, want the store's error", err)
		}
		if got := w.lookup(2); got != "RET" {
			t.Errorf("store down: got %q, want RET", got)
		}
	})
}

func TestAskIsShared(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 50 {
			w.approveAt(n * 2)
		}
		var wg sync.WaitGroup
		for g := range 20 {
			wg.Go(func() {
				list := []string{phone(g), phone(g + 1), phone(g + 2)}
				got, err := w.x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, list)
				if err != nil {
					t.Error(err)
					return
				}
				for i, a := range got {
					want := iys.StatusNotApproved
					if (g+i)%2 == 0 {
						want = iys.StatusApproved
					}
					if a.Err != nil || a.Status != want || a.ReadAt.IsZero() {
						t.Errorf("%d: got %+v, want %s", g+i, a, want)
					}
				}
			})
		}
		wg.Wait()
		if got := w.sim.Counters().ByOperation["statusMany"]; got != 1 {
			t.Errorf("twenty askers: got %d calls, want 1", got)
		}
		if got := w.store.consent(key(0)); got.Status != iys.StatusApproved || got.Origin != iys.OriginLive {
			t.Errorf("store: got %+v", got)
		}
		list := make([]string, 2500)
		for i := range list {
			list[i] = phone(1000 + i)
		}
		got, err := w.x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, list)
		if err != nil || len(got) != 2500 || got[2499].Status != iys.StatusNotApproved {
			t.Errorf("2500 addresses: %d answers %v", len(got), err)
		}
		if got := w.sim.Counters().ByOperation["statusMany"]; got != 4 {
			t.Errorf("got %d calls, want 4", got)
		}
	})
}

func TestAskErrors(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		ask := func(brand string, list ...string) []exchange.Answer {
			t.Helper()
			got, err := w.x.Ask(t.Context(), brand, iys.ChannelSMS, iys.RecipientPerson, list)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		w.approveAt(1)
		got := ask(partnerBrand, "0532", phone(1))
		if got[0].Err == nil || got[0].Status != "" || got[1].Status != iys.StatusApproved {
			t.Errorf("one bad address: got %+v", got)
		}
		for _, brand := range []string{selfBrand, exemptBrand, "999999"} {
			if got := ask(brand, phone(1)); !errors.Is(got[0].Err, exchange.ErrMode) || got[0].Status != "" {
				t.Errorf("%s: got %+v, want ErrMode", brand, got[0])
			}
		}
		w.sim.SetDown(true)
		if got := ask(partnerBrand, phone(1)); got[0].Err == nil || got[0].Status != "" {
			t.Errorf("down: got %+v, want an error and no status", got[0])
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := w.x.Ask(ctx, partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(1)}); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got %v", err)
		}
		w.x.Close()
		if _, err := w.x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(1)}); err == nil {
			t.Error("closed: got no error")
		}
	})
}

func TestAHSAnswersAreNotStored(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.sim.Citizen(ahsBrand, "MESAJ", "BIREYSEL", phone(1), "ONAY", "")
		got, err := w.x.Ask(t.Context(), ahsBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(1), phone(2)})
		if err != nil || got[0].Status != iys.StatusApproved || got[1].Status != iys.StatusNotApproved {
			t.Fatalf("got %+v %v", got, err)
		}
		if w.store.commits != 0 {
			t.Error("an answer for minutes was stored for years")
		}
		q := iys.Query{Class: "commercial", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Mode: iys.ModeAHS, BrandKnown: true, BrandActive: true}
		rule := func() iys.Rule {
			e, _ := w.mirror.Lookup(ahsBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1))
			f := iys.Facts{Checked: true, Consent: iys.Evidence{Status: e.Status, Read: iys.ReadMirror, Origin: e.Origin, ReadAt: e.ReadAt}}
			return iys.Decide(q, f, time.Now()).Rule
		}
		pass(14 * time.Minute)
		if got := rule(); got != iys.RuleConsentApproved {
			t.Errorf("14 min: got %s", got)
		}
		pass(2 * time.Minute)
		if got := rule(); got != iys.RuleConsentStale {
			t.Errorf("16 min: got %s", got)
		}
	})
}

// A refusal that arrives while a question is under way is not overwritten by
// the approving answer to it.
func TestARefusalOutrunsTheAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		w.sim.Fail(iystest.Fault{Operation: "token", Delay: 10 * time.Second}) // the question is slow
		var got []exchange.Answer
		var wg sync.WaitGroup
		wg.Go(func() {
			var err error
			if got, err = w.x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(1)}); err != nil {
				t.Error(err)
			}
		})
		pass(2 * time.Second)
		push := []iysapi.Change{{Consent: iys.Consent{
			Key: key(1), Status: iys.StatusRejected, Source: iys.SourceIYSMobile, ConsentDate: time.Now(), CreationDate: time.Now(),
			Origin: iys.OriginPush, ReadAt: time.Now(), TransactionID: "x",
		}}}
		if err := w.x.Push(t.Context(), push); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if got[0].Status != iys.StatusNotApproved || w.lookup(1) != iys.StatusRejected {
			t.Errorf("got %+v, mirror %q; the refusal was lost", got[0], w.lookup(1))
		}
	})
}

func TestARefusingBrandIsLeftAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.sim.AddProvider(iystest.Provider{IYSCode: partnerBrand, Subscription: iystest.SubscriptionClosed, Brands: []iystest.Brand{{Code: partnerBrand, Master: true}}})
		err := w.pull()
		e, ok := errors.AsType[*iysapi.APIError](err)
		if !ok || e.Code != "H521" {
			t.Errorf("got %v, want H521", err)
		}
		asked := w.sim.Counters().ByOperation["changes"]
		pass(59 * time.Minute)
		if err := w.pull(); err != nil || w.sim.Counters().ByOperation["changes"] != asked {
			t.Errorf("asked again within the hour: %v", err)
		}
		pass(2 * time.Minute)
		if err := w.pull(); err == nil {
			t.Error("not asked again after an hour")
		}
	})
}
