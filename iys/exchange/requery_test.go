package exchange_test

import (
	"fmt"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

func addr(n int) string { return fmt.Sprintf("+90532%07d", n) }

func partnerKey(n int) iys.Key {
	return iys.Key{Brand: partnerBrand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: addr(n)}
}

// seedPulled gives İYS n approvals and pulls them.
func (w *world) seedPulled(n int) {
	w.t.Helper()
	for i := range n {
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(i), "ONAY", "IYS_WEB")
	}
	pass(2 * time.Hour)
	w.pullAll()
}

func (w *world) pullAll() {
	w.t.Helper()
	if err := w.x.PullAll(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) state() exchange.BrandState {
	w.t.Helper()
	list, err := w.x.States(w.t.Context())
	if err != nil || len(list) != 1 {
		w.t.Fatal(list, err)
	}
	return list[0]
}

// A gateway that was down for more than a week asks about everything it knew:
// what the listing no longer tells is found, in steps that survive a crash.
func TestRequeryAfterAWeek(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		const n = 4500
		w.seedPulled(n)
		if s := w.state(); s.Stale || s.KnownTo.IsZero() || time.Since(s.KnownTo) < time.Hour {
			t.Fatalf("before: %+v, want fresh but for the blind hour", s)
		}
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(7), "RET", "")    // lost to the listing
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(4400), "RET", "") // on the last page
		pass(9 * 24 * time.Hour)
		w.restart()
		w.pullAll()
		s := w.state()
		if !s.Stale || s.Requery.Total != n || s.Requery.Done != 0 {
			t.Fatalf("after a week: %+v, want a plan for %d records", s, n)
		}
		if _, known := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, addr(1)); known {
			t.Error("an approval from before is still believed")
		}
		// İYS fails after the second page; then the process dies.
		w.sim.Fail(iystest.Fault{Operation: "statusMany", Skip: 3, Status: 500, Code: "H103", Times: -1})
		if err := w.x.RequeryAll(t.Context()); iysapi.RetryOf(err) != iysapi.RetryAgain || err == nil {
			t.Fatalf("got %v, want H103", err)
		}
		if s := w.state(); s.Requery.Done == 0 || s.Requery.Done == n {
			t.Errorf("broken off: %+v, want some progress kept", s.Requery)
		}
		w.sim.ClearFaults()
		before := w.sim.Counters().ByOperation["statusMany"]
		w.restart()
		pass(2 * time.Second) // İYS counts the calls of the process before
		if err := w.x.RequeryAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		s = w.state()
		if s.Stale || s.Requery.Done != n || s.Requery.Changed != 2 || s.Requery.Skipped != 0 {
			t.Errorf("at the end: %+v, want %d asked, 2 changed", s.Requery, n)
		}
		if calls := w.sim.Counters().ByOperation["statusMany"] - before; calls > 3 {
			t.Errorf("%d calls after the restart: it began anew", calls)
		}
		for i, want := range map[int]iys.Status{7: iys.StatusNotApproved, 4400: iys.StatusNotApproved, 1: iys.StatusApproved} {
			if c := w.store.consent(partnerKey(i)); c.Status != want || i == 1 && time.Since(c.ReadAt) > time.Hour {
				t.Errorf("address %d: %+v, want %s, read now", i, c, want)
			}
		}
	})
}

func TestStartRequery(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.seedPulled(3)
		for _, brand := range []string{ahsBrand, selfBrand, "999999"} {
			if _, err := w.x.StartRequery(t.Context(), brand, "x"); err == nil {
				t.Errorf("brand %s: taken, although nobody can be asked", brand)
			}
		}
		plan, err := w.x.StartRequery(t.Context(), partnerBrand, "by hand")
		if err != nil || plan.Total != 3 {
			t.Fatal(plan, err)
		}
		if err := w.x.RequeryAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := w.state(); s.Requery.Done != 3 || s.Requery.Changed != 0 || s.Stale {
			t.Errorf("got %+v", s.Requery)
		}
	})
}

// A push that comes again after the person has agreed anew must not block him:
// nothing would lift that block.
func TestRepeatedPushOfAnOldRefusal(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		ret := w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(1), "RET", "")
		pass(time.Hour)
		ok := w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(1), "ONAY", "")
		push := func(moves ...iystest.Movement) {
			t.Helper()
			list, err := iysapi.DecodePush(iystest.PushBody(moves...))
			if err == nil {
				err = w.x.Push(t.Context(), list)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		push(ret)
		if len(w.heard.moves) != 1 {
			t.Fatal("the refusal was not heard")
		}
		push(ok)
		w.heard.moves = nil
		push(ret)
		if len(w.heard.moves) != 0 {
			t.Errorf("heard %+v again", w.heard.moves)
		}
		push(ok, ret) // newest first
		for _, m := range w.heard.moves {
			if m.Status != iys.StatusApproved {
				t.Errorf("heard %+v", m)
			}
		}
		if c := w.store.consent(partnerKey(1)); c.Status != iys.StatusApproved {
			t.Errorf("stored %+v, want the later approval", c)
		}
		if len(w.store.moves) != 2 {
			t.Errorf("%d movements kept, want 2: a repeat is none", len(w.store.moves))
		}
		if n, ok := w.store.comers[partnerKey(1)]; ok {
			t.Errorf("%+v is no newcomer: there was a record before", n)
		}
		push(w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(2), "ONAY", ""))
		if n := w.store.comers[partnerKey(2)]; n.Name == "" {
			t.Error("the newcomer's name was not kept")
		}
	})
}

// An operator that closes a line says no for it, but not in the person's name;
// the next owner of the number may agree.
func TestClosedLine(t *testing.T) {
	for _, rt := range []string{"BIREYSEL", "TACIR"} {
		inBubble(t, func(t *testing.T, w *world) {
			k := partnerKey(1)
			k.RecipientType = iys.RecipientType(rt)
			m := iystest.Movement{BrandCode: partnerBrand, Recipient: addr(1), RecipientType: rt, Type: "MESAJ", Status: "ONAY", Source: "HS_WEB", ConsentDate: time.Now().Add(-time.Hour)}
			if rt == "TACIR" {
				m.ConsentDate, m.Source = time.Time{}, ""
			}
			w.sim.Put(m)
			pass(time.Minute)
			w.sim.Citizen(partnerBrand, "MESAJ", rt, addr(1), "RET", "IYS_AHS_HAT_KAPATMA")
			pass(2 * time.Hour)
			w.pullAll()
			if c := w.store.consent(k); c.Status != iys.StatusRejected || c.Source != iys.SourceIYSLineClosed {
				t.Fatalf("%s: stored %+v, want the closed line", rt, c)
			}
			for _, h := range w.heard.moves {
				if h.Source.FromPerson() {
					t.Errorf("%s: heard %+v as the person's word", rt, h)
				}
			}
			w.sim.Put(iystest.Movement{BrandCode: partnerBrand, Recipient: addr(1), RecipientType: rt, Type: "MESAJ", Status: "ONAY", Source: "HS_WEB", ConsentDate: time.Now()})
			pass(2 * time.Hour)
			w.pullAll()
			if c := w.store.consent(k); c.Status != iys.StatusApproved {
				t.Errorf("%s: stored %+v, want the next owner's approval", rt, c)
			}
		})
	}
}

// A brand that İYS refuses costs one call, not one for each entry, and says so
// in its state; when the right is back, everything goes.
func TestShutBrand(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for i := range 20 {
			w.store.add(exchange.NewEntry(iys.Consent{Key: partnerKey(i), Status: iys.StatusApproved, Source: iys.SourceHSWeb, ConsentDate: time.Now()}, time.Now(), iys.DefaultCalendar()))
		}
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "read")
		before := w.sim.Counters().Failures
		pass(2 * time.Second)
		w.flushAll()
		if got := w.sim.Counters().Failures - before; got != 1 {
			t.Errorf("%d failing calls, want 1: each counts against the address", got)
		}
		if s := w.state(); s.Shut == nil || s.Shut.Code != "H353" {
			t.Fatalf("state %+v, want shut by H353", s)
		}
		w.sim.Grant(iystest.SeedIntegrator, partnerBrand, "MESAJ", "write")
		pass(16 * time.Minute)
		w.flushAll()
		pass(6 * time.Minute)
		w.flushAll()
		if s := w.state(); s.Shut != nil || w.store.open() != 0 {
			t.Errorf("state %+v, %d entries open, want none", s, w.store.open())
		}
	})
}

// A brand whose API user has a wrong password stops alone, and asks for a token
// once in a while, not once an entry: other brands go on in the same pass.
func TestWrongPasswordStopsOneBrand(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		const wrong = "100002"
		bad, err := iysapi.New(iysapi.Config{URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: "not it", HTTP: w.sim.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		w.more = []exchange.Brand{{Brand: iysapi.Brand{IYSCode: wrong, BrandCode: wrong}, Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner}, API: bad}}
		for i := range 30 {
			e := w.entry(i, iys.StatusApproved)
			if i%3 == 0 {
				e.Brand, e.Status = wrong, []iys.Status{iys.StatusApproved, iys.StatusRejected}[i%2]
			}
			w.store.add(e)
		}
		before := w.sim.Counters().Failures
		for range 3 {
			pass(6 * time.Minute)
			w.flushAll()
		}
		if got := w.sim.Counters().Failures - before; got > 4 {
			t.Errorf("%d failing calls in 18 minutes", got)
		}
		if open := w.store.open(); open != 10 {
			t.Errorf("%d entries are open, want the 10 of the brand with the wrong password", open)
		}
		states, err := w.x.States(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			if (s.Shut != nil) != (s.Brand == wrong) {
				t.Errorf("brand %s: writes stopped %+v", s.Brand, s.Shut)
			}
		}
	})
}

func (w *world) flushAll() {
	w.t.Helper()
	for range 20 {
		more, err := w.x.Flush(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if !more {
			return
		}
	}
}
