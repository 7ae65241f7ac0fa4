package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

func mailKey(n int) iys.Key {
	k := key(n)
	k.Channel, k.Recipient = iys.ChannelEmail, "kisi@ornek.example"
	return k
}

// grant is what the company sets at hs.iys.org.tr and, when it is told, what İYS says of it from then on.
func (w *world) grant(ch iys.Channel, right string, told bool) {
	w.sim.Grant(iystest.SeedIntegrator, partnerBrand, string(ch), right)
	if told {
		w.withheld = map[iys.Channel]bool{ch: right == ""}
		w.readOnly = map[iys.Channel]bool{ch: right != "write"}
	}
}

func (w *world) mustPull() {
	w.t.Helper()
	if err := w.pull(); err != nil {
		w.t.Fatal(err)
	}
}

// A company takes one channel away from its partner and İYS leaves it out of the listings without a word. While İYS does not say what is
// ours a pull vouches for nothing, so that what it goes on to list keeps no approval fresh; and when the channel is ours again, the
// refusals it went past are read before anything counts as fresh.
func TestAChannelWithheldIsNotBelieved(t *testing.T) {
	for name, restart := range map[string]bool{"one process": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				r := &partnerRights{w: w}
				w.rights = r
				w.restart()
				w.approveAt(1)
				w.ready()
				pass(2 * time.Hour)
				w.mustPull()
				told := time.Now()
				w.grant(iys.ChannelSMS, "", false) // nobody knows yet
				w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(1), "RET", "")
				pass(time.Minute)
				w.sim.Citizen(partnerBrand, "EPOSTA", "BIREYSEL", mailKey(1).Recipient, "ONAY", "")
				pass(2 * time.Hour)
				r.err = errors.New("İYS does not tell")
				if err := w.pull(); err == nil { // it goes past the refusal
					t.Error("nobody knows what is ours, and the pull says nothing of it")
				}
				for _, ch := range []iys.Channel{iys.ChannelSMS, iys.ChannelEmail} {
					if got := w.mirror.PulledAt(partnerBrand, ch); got.After(told) {
						t.Errorf("the listing vouches for %s up to %v, %v after it was last said to be ours", ch, got, got.Sub(told))
					}
				}
				if e, _ := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); e.Status == iys.StatusRejected {
					t.Fatal("the refusal was listed: the simulator does not withhold anything")
				}
				r.err = nil
				w.mustPull()
				if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); got.After(told) {
					t.Errorf("the channel that is not ours is known up to %v", got)
				}
				if got := w.mirror.PulledAt(partnerBrand, iys.ChannelEmail); time.Since(got) > time.Minute {
					t.Errorf("the channel that is ours is known up to %v only", got)
				}
				pass(2 * time.Hour)
				_, err := w.x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(1)})
				if err == nil {
					var got []exchange.Answer
					got, err = w.x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(1)})
					err = errors.Join(err, got[0].Err)
				}
				if !errors.Is(err, exchange.ErrWithheld) || !errors.Is(err, exchange.ErrMode) {
					t.Errorf("a question about a channel withheld: %v", err)
				}
				if s := w.state(); len(s.Withheld) != 1 || s.Withheld[0] != iys.ChannelSMS {
					t.Errorf("state: %+v", s)
				}
				if restart {
					held := w.store.consent(key(1))
					w.restart()
					w.ready()
					w.mirror.Put(held)
				}
				w.grant(iys.ChannelSMS, "write", false)
				w.mustPull()
				if e, ok := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); !ok || e.Status != iys.StatusRejected {
					t.Errorf("ours again: the mirror holds %+v %t, want the refusal made while it was not", e, ok)
				}
				if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); time.Since(got) > time.Minute {
					t.Errorf("ours again and pulled: known up to %v only", got)
				}
				calls := w.sim.Counters().ByOperation["changes"]
				w.mustPull()
				if got := w.sim.Counters().ByOperation["changes"] - calls; got != 2 {
					t.Errorf("the next pull takes %d calls: the listing is begun anew once, want 2", got)
				}
			})
		})
	}
}

// partnerRights has İYS asked for the partner's rights as iyslink does, and lets a test act around a pull.
type partnerRights struct {
	w   *world
	err error // İYS does not answer
}

func (r *partnerRights) Renew(ctx context.Context, brands []string, since time.Time) error {
	if !slices.Contains(brands, partnerBrand) || !r.w.granted[iys.ChannelSMS].Before(since) {
		return nil
	}
	now := time.Now()
	list, err := r.w.api.PartnerProvider(ctx, iystest.SeedIntegrator, iystest.SeedIYSCode)
	if err = errors.Join(err, r.err); err != nil {
		return err
	}
	r.w.withheld, r.w.granted = map[iys.Channel]bool{iys.ChannelSMS: true, iys.ChannelEmail: true}, map[iys.Channel]time.Time{}
	for _, p := range list {
		if p.BrandCode == partnerBrand {
			for _, ch := range []iys.Channel{iys.ChannelSMS, iys.ChannelEmail} {
				r.w.withheld[ch], r.w.granted[ch] = !p.Granted[ch], now
			}
		}
	}
	return nil
}

// listedAPI is İYS's API that lets a test act when a listing is asked for.
type listedAPI struct {
	exchange.API
	before func(n int)
	n      int
}

func (a *listedAPI) Changes(ctx context.Context, b iysapi.Brand, src iysapi.ChangeSource, after string, limit int) (iysapi.Page, error) {
	if b.BrandCode == partnerBrand {
		a.n++
		a.before(a.n)
	}
	pass(time.Millisecond) // a listing takes its time
	return a.API.Changes(ctx, b, src, after, limit)
}

// rightsWorld is a brand pulled once, whose rights are read around every pull; a refusal is listed from now on that nobody has read.
func rightsWorld(t *testing.T, w *world) (*partnerRights, *listedAPI) {
	t.Helper()
	r, a := &partnerRights{w: w}, &listedAPI{before: func(int) {}}
	w.rights = r
	w.restart()
	a.API = w.api
	both := map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner, iys.ChannelEmail: iys.ModePartner}
	w.brands = func() []exchange.Brand {
		return []exchange.Brand{{Brand: iysapi.Brand{IYSCode: partnerBrand, BrandCode: partnerBrand}, Modes: both, API: a, Withheld: w.withheld, Granted: w.granted}}
	}
	w.approveAt(1)
	w.ready()
	pass(2 * time.Hour)
	w.mustPull()
	w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(1), "RET", "")
	pass(time.Minute)
	w.sim.Citizen(partnerBrand, "EPOSTA", "BIREYSEL", mailKey(1).Recipient, "ONAY", "")
	pass(2 * time.Hour)
	return r, a
}

// A company takes a channel away and gives it back, with nothing but one pull in between: the listing left its refusals out and the
// cursor went past them. The rights on both sides of the pull tell, wherever it happened, and the refusals are read with the next.
func TestAChannelWithheldForOnePull(t *testing.T) {
	take, give := func(w *world) { w.grant(iys.ChannelSMS, "", false) }, func(w *world) { w.grant(iys.ChannelSMS, "write", false) }
	nothing := func(*world) {}
	for name, c := range map[string]struct{ before, first, second, after func(*world) }{
		"from before it to after it":             {take, nothing, nothing, give},
		"from its begin to after it":             {nothing, take, nothing, give},
		"from between its listings to after it":  {nothing, nothing, take, give},
		"from before it to its begin":            {take, give, nothing, nothing},
		"from before it to between its listings": {take, nothing, give, nothing},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				_, a := rightsWorld(t, w)
				known := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS)
				a.n, a.before = 0, func(n int) {
					switch n {
					case 1:
						c.first(w)
					case 2:
						c.second(w)
					}
				}
				c.before(w)
				w.mustPull()
				a.before = func(int) {}
				if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); got.After(known) {
					t.Errorf("a pull during which the channel was not ours made it fresh up to %v", got)
				}
				if got := w.mirror.PulledAt(partnerBrand, iys.ChannelEmail); time.Since(got) > time.Minute {
					t.Errorf("the other channel is known up to %v only", got)
				}
				c.after(w)
				pass(15 * time.Minute)
				w.mustPull()
				if e, ok := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); !ok || e.Status != iys.StatusRejected {
					t.Errorf("ours again and pulled: %+v %t, want the refusal that was left out", e, ok)
				}
				if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); time.Since(got) > time.Minute {
					t.Errorf("ours again and pulled: known up to %v only", got)
				}
				calls := w.sim.Counters().ByOperation
				pass(15 * time.Minute)
				w.mustPull()
				now := w.sim.Counters().ByOperation
				if n, r := now["changes"]-calls["changes"], now["partnerBrands"]-calls["partnerBrands"]; n != 2 || r != 2 {
					t.Errorf("a pull takes %d listings and %d readings of rights, want 2 and 2", n, r)
				}
			})
		})
	}
}

// When İYS tells the listing and then not the rights, nothing becomes fresh and nothing is taken for withheld: what was listed is in
// force, and the next pull vouches for it without listing it again.
func TestRightsNotToldAfterAPull(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		r, a := rightsWorld(t, w)
		known := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS)
		a.before = func(int) { r.err = errors.New("connection reset") }
		if err := w.pull(); err == nil {
			t.Error("the pull says nothing of it")
		}
		a.before = func(int) {}
		if e, _ := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); e.Status != iys.StatusRejected {
			t.Errorf("the refusal that was listed is not in force: %+v", e)
		}
		if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); got.After(known) {
			t.Errorf("fresh up to %v", got)
		}
		heard := len(w.heard.moves)
		r.err = nil
		w.mustPull()
		if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); time.Since(got) > time.Minute || len(w.heard.moves) != heard {
			t.Errorf("then: known up to %v, %d movements heard again", got, len(w.heard.moves)-heard)
		}
		// The right was taken away before the second answer came: the answer of the next pull is the second of this one.
		a.before = func(int) { r.err = errors.New("connection reset"); w.grant(iys.ChannelSMS, "", false) }
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(2), "ONAY", "")
		pass(2 * time.Hour)
		if err := w.pull(); err == nil {
			t.Error("the pull says nothing of it")
		}
		a.before, r.err = func(int) {}, nil
		w.mustPull()
		w.grant(iys.ChannelSMS, "write", false)
		pass(15 * time.Minute)
		w.mustPull()
		if e, ok := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(2)); !ok || e.Status != iys.StatusApproved {
			t.Errorf("ours again and pulled: %+v %t, want what was left out", e, ok)
		}
	})
}

// slowAPI lists nothing, and takes a second for it.
type slowAPI struct {
	exchange.API
	listed map[string]time.Time // by brand
}

func (a *slowAPI) Changes(_ context.Context, b iysapi.Brand, _ iysapi.ChangeSource, after string, _ int) (iysapi.Page, error) {
	pass(time.Second)
	a.listed[b.BrandCode] = time.Now()
	return iysapi.Page{After: after, End: true}, nil
}

// oneReading tells the rights of all brands at once.
type oneReading struct{ at []time.Time }

func (r *oneReading) Renew(_ context.Context, _ []string, since time.Time) error {
	if len(r.at) == 0 || r.at[len(r.at)-1].Before(since) {
		r.at = append(r.at, time.Now())
	}
	return nil
}

// Brands are listed together between two readings, of which the second is the first of the next ones: as many as go into a minute, so
// that a right taken away for longer is seen however many brands there are, and each was listed between two readings.
func TestManyBrandsShareReadings(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		a, r := &slowAPI{listed: map[string]time.Time{}}, &oneReading{}
		const n = 130
		w.brands = func() (out []exchange.Brand) {
			for i := range n {
				b := exchange.Brand{Brand: iysapi.Brand{IYSCode: partnerBrand, BrandCode: fmt.Sprint(800000 + i)}, API: a,
					Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner}}
				if len(r.at) > 0 {
					b.Granted = map[iys.Channel]time.Time{iys.ChannelSMS: r.at[len(r.at)-1]}
				}
				out = append(out, b)
			}
			return out
		}
		w.rights = r
		w.restart()
		w.mustPull()
		if len(a.listed) != n || len(r.at) != 6 {
			t.Errorf("%d of %d brands listed, two seconds each, between %d readings, want 6", len(a.listed), n, len(r.at))
		}
		for i, at := range r.at[1:] {
			if d := at.Sub(r.at[i]); d > time.Minute+2*time.Second {
				t.Errorf("%v between two readings", d)
			}
		}
		for code, at := range a.listed {
			if at.Before(r.at[0]) || at.After(r.at[len(r.at)-1]) {
				t.Errorf("brand %s was listed at %v, outside of all readings", code, at)
			}
			if got := w.mirror.PulledAt(code, iys.ChannelSMS); at.Sub(got) > 2*time.Second {
				t.Errorf("brand %s, listed at %v, is known up to %v", code, at, got)
			}
		}
	})
}

// A channel that was not ours for longer than the listing reaches back: what it missed is lost to the pull, İYS is asked.
func TestAChannelWithheldForWeeks(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		w.ready()
		pass(2 * time.Hour)
		w.mustPull()
		w.grant(iys.ChannelSMS, "", true)
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(1), "RET", "")
		for range 10 {
			pass(24 * time.Hour)
			w.mustPull()
		}
		w.grant(iys.ChannelSMS, "read", true)
		w.mustPull()
		if _, ok := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); ok {
			t.Error("an approval from before the gap still counts")
		}
		if err := w.x.RequeryAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e, ok := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); !ok || e.Status == iys.StatusApproved {
			t.Errorf("asked again: %+v %t, want no approval", e, ok)
		}
	})
}

// The right to write is taken away while a refusal is under way: İYS has said that it was not taken up, so the customer is told of
// it. When the right comes back in time, the gateway writes it after all, for both recipient types; what İYS would no longer take
// stays the customer's.
func TestTheRightToWriteComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, rt := range []string{"BIREYSEL", "TACIR"} {
			w.sim.Put(iystest.Movement{BrandCode: partnerBrand, Recipient: phone(1), RecipientType: rt, Type: "MESAJ", Status: "ONAY",
				Source: "HS_WEB", ConsentDate: time.Now().Add(-time.Hour)})
		}
		pass(time.Minute)
		w.grant(iys.ChannelSMS, "read", false)
		w.store.add(w.entry(1, iys.StatusRejected), w.entry(2, iys.StatusApproved))
		w.flushAll()
		w.wantState(1, exchange.StatePending, "H353")
		w.grant(iys.ChannelSMS, "read", true)
		pass(20 * time.Minute)
		w.mustDrain()
		w.wantState(1, exchange.StateOwed, "")
		w.wantState(2, exchange.StateOwed, "")
		late := w.entry(3, iys.StatusApproved)
		late.ConsentDate, late.State = late.ConsentDate.AddDate(0, 0, -10), exchange.StateOwed
		w.store.add(late)
		w.grant(iys.ChannelSMS, "write", true)
		if n, err := w.x.Reclaim(t.Context(), partnerBrand, iys.ChannelEmail); err != nil || n != 0 {
			t.Errorf("of the other channel: %d %v", n, err)
		}
		if n, err := w.x.Reclaim(t.Context(), partnerBrand, iys.ChannelSMS); err != nil || n != 2 {
			t.Errorf("taken back: %d %v, want 2", n, err)
		}
		w.mustDrain()
		w.wantState(1, exchange.StateAccepted, "")
		w.wantState(2, exchange.StateAccepted, "")
		w.wantState(3, exchange.StateOwed, "")
		for _, rt := range []string{"BIREYSEL", "TACIR"} {
			if m, _ := w.sim.Stored(partnerBrand, "MESAJ", rt, phone(1)); m.Status != "RET" {
				t.Errorf("İYS holds %q for %s, want the refusal", m.Status, rt)
			}
		}
		if n, err := w.x.Reclaim(t.Context(), partnerBrand, iys.ChannelSMS); err != nil || n != 0 {
			t.Errorf("once more: %d %v", n, err)
		}
	})
}
