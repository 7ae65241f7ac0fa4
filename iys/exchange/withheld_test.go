package exchange_test

import (
	"errors"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
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

// A company takes one channel away from its partner and İYS leaves it out of the listings without a word. A pull vouches for the
// channel only up to the moment İYS last said that it is ours, so that what it goes on to list keeps no approval fresh; and when
// the channel is ours again, the refusals it went past are read before anything counts as fresh.
func TestAChannelWithheldIsNotBelieved(t *testing.T) {
	for name, restart := range map[string]bool{"one process": false, "restarted": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.approveAt(1)
				w.ready()
				pass(2 * time.Hour)
				w.granted = map[iys.Channel]time.Time{iys.ChannelSMS: time.Now(), iys.ChannelEmail: time.Now()}
				w.mustPull()
				told := time.Now()
				w.grant(iys.ChannelSMS, "", false) // nobody knows yet
				w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(1), "RET", "")
				pass(time.Minute)
				w.sim.Citizen(partnerBrand, "EPOSTA", "BIREYSEL", mailKey(1).Recipient, "ONAY", "")
				pass(2 * time.Hour)
				w.granted[iys.ChannelEmail] = time.Now()
				w.mustPull() // goes past the refusal
				if got := w.mirror.PulledAt(partnerBrand, iys.ChannelSMS); got.After(told) {
					t.Errorf("the listing without the channel vouches for it up to %v, %v after it was last said to be ours", got, got.Sub(told))
				}
				if got := w.mirror.PulledAt(partnerBrand, iys.ChannelEmail); time.Since(got) > time.Minute {
					t.Errorf("the channel that is ours is known up to %v only", got)
				}
				if e, _ := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); e.Status == iys.StatusRejected {
					t.Fatal("the refusal was listed: the simulator does not withhold anything")
				}
				w.grant(iys.ChannelSMS, "", true)
				w.mustPull()
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
				w.grant(iys.ChannelSMS, "write", true)
				w.granted[iys.ChannelSMS], w.granted[iys.ChannelEmail] = time.Now(), time.Now()
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
