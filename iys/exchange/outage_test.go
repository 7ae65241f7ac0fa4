package exchange_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
)

// verdict decides as the gateway does: from memory, then with İYS's live answer where that is wanted.
func (w *world) verdict(class string, n int) iys.Verdict {
	w.t.Helper()
	ask := func(unavailable bool) iys.Verdict {
		f := w.mirror.Facts(mirror.Question{Account: "1", Brand: partnerBrand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Address: addr(n)})
		f.LiveUnavailable = unavailable
		return iys.Decide(iys.Query{Class: class, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Mode: iys.ModePartner, BrandKnown: true, BrandActive: true}, f, time.Now())
	}
	v := ask(false)
	if v.Outcome != iys.OutcomeAsk {
		return v
	}
	answers, err := w.x.Ask(w.t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{addr(n)})
	return ask(err != nil || answers[0].Err != nil)
}

// ready lets the mirror answer.
func (w *world) ready() {
	w.t.Helper()
	if err := w.mirror.Load(w.t.Context(), nothing{}); err != nil {
		w.t.Fatal(err)
	}
}

type nothing struct{}

func (nothing) EachPull(context.Context, func(mirror.Pull) error) error        { return nil }
func (nothing) EachBlock(context.Context, func(iys.Block) error) error         { return nil }
func (nothing) EachBlacklisted(context.Context, func(_, _ string) error) error { return nil }
func (nothing) EachConsent(context.Context, func() *mirror.Loader) error       { return nil }

// running runs the exchange until the function returned is called.
func (w *world) running() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { w.x.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

// unlisted are listings of a brand that İYS does not answer for a while.
type unlisted struct {
	exchange.API
	down atomic.Bool
}

func (u *unlisted) Changes(_ context.Context, _ iysapi.Brand, _ iysapi.ChangeSource, after string, _ int) (iysapi.Page, error) {
	if u.down.Load() {
		return iysapi.Page{}, &iysapi.APIError{HTTP: 503, Detail: iysapi.Detail{Code: "H192", Index: -1}, Retry: iysapi.RetryAgain}
	}
	return iysapi.Page{After: after, End: true}, nil
}

// Where İYS does not tell what one brand lets us read, the outage of another still ends as soon as İYS answers.
func TestOneBrandsTroubleSlowsNoOther(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		sms := map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner}
		untold, late := &unlisted{}, &unlisted{}
		late.down.Store(true)
		w.more = []exchange.Brand{
			{Brand: iysapi.Brand{IYSCode: "800001", BrandCode: "800001"}, Modes: sms, API: untold, Granted: map[iys.Channel]time.Time{iys.ChannelSMS: {}}},
			{Brand: iysapi.Brand{IYSCode: "800002", BrandCode: "800002"}, Modes: sms, API: late},
		}
		w.instead, w.rights = true, &oneReading{}
		w.restart()
		stop := w.running()
		defer stop()
		pass(20 * time.Minute)
		late.down.Store(false)
		pass(2 * time.Minute)
		if w.mirror.PulledAt("800002", iys.ChannelSMS).IsZero() {
			t.Error("İYS answers for two minutes, and the brand was not pulled")
		}
		if at := w.mirror.PulledAt("800001", iys.ChannelSMS); !at.IsZero() {
			t.Errorf("the brand İYS tells no rights of counts as fresh at %v", at)
		}
	})
}

// TestDownForAWeek: commercial messages hold by themselves when the freshness limit passes, transactional ones never wait; when
// İYS is back everything goes on, in order, and what citizens said meanwhile is known before anything is sent.
func TestDownForAWeek(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		const people = 40
		w.seedPulled(people)
		w.ready()
		stop := w.running()
		defer stop()
		pass(time.Hour)
		began := time.Now()
		w.sim.SetDown(true)
		add := func(n int, s iys.Status) {
			w.store.add(exchange.NewEntry(iys.Consent{Key: partnerKey(n), Status: s, Source: iys.SourceHSWeb, ConsentDate: time.Now()}, time.Now(), iys.DefaultCalendar()))
			w.x.Wake()
		}
		var lastSend, firstHold time.Time
		for hour := range 7 * 24 {
			for _, class := range []string{"transactional", "otp"} {
				if v := w.verdict(class, 1); !v.Send() {
					t.Fatalf("hour %d: %s is %v by %s", hour, class, v.Outcome, v.Rule)
				}
			}
			switch v := w.verdict("commercial", 1); v.Outcome {
			case iys.OutcomeSend:
				if !firstHold.IsZero() {
					t.Fatalf("hour %d: sends again while İYS is down", hour)
				}
				lastSend = time.Now()
			case iys.OutcomeHold:
				if firstHold.IsZero() {
					firstHold = time.Now()
				}
			default:
				t.Fatalf("hour %d: %v by %s, want send or hold", hour, v.Outcome, v.Rule)
			}
			switch hour {
			case 30:
				add(2, iys.StatusRejected) // İYS will find it too old: three business days are over
			case 50:
				w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(5), "RET", "")
			case 120:
				add(3, iys.StatusRejected)
			case 130:
				add(3, iys.StatusApproved)
			case 140:
				add(100, iys.StatusApproved)
			}
			pass(time.Hour)
		}
		if held := firstHold.Sub(began); lastSend.IsZero() || held > iys.DefaultFreshness+2*time.Hour || held < iys.DefaultFreshness-2*time.Hour {
			t.Errorf("held after %v, want about %v", held, iys.DefaultFreshness)
		}
		w.sim.SetDown(false)
		back := time.Now()
		for w.verdict("commercial", 1).Outcome != iys.OutcomeSend {
			if pass(time.Second); time.Since(back) > 10*time.Minute {
				t.Fatal("commercial messages do not go on")
			}
		}
		t.Logf("held %v after İYS went away, went on %v after it came back", firstHold.Sub(began).Round(time.Minute), time.Since(back).Round(time.Second))
		if v := w.verdict("commercial", 5); v.Outcome != iys.OutcomeRefuse {
			t.Errorf("to one who refused meanwhile: %v by %s", v.Outcome, v.Rule)
		}
		pass(2 * time.Hour) // batches are asked for, the pull is round again
		states := map[string]int{}
		for id := uint64(1); id <= 4; id++ {
			e := w.store.entry(id)
			states[fmt.Sprintf("%s%s", e.State, e.Code)]++
		}
		if states["accepted"] != 3 || states["refusedH467"] != 1 {
			t.Errorf("entries %v, want three accepted and one that is too old", states)
		}
		var order []string
		for _, m := range w.sim.Movements() {
			if m.Recipient == addr(3) && m.Source == "HS_WEB" {
				order = append(order, m.Status)
			}
		}
		if fmt.Sprint(order) != "[RET ONAY]" {
			t.Errorf("movements of one address: %v, want RET, ONAY", order)
		}
		if s := w.state(); s.Stale {
			t.Errorf("two hours later: %+v", s)
		}
	})
}

// direct hands pushes to the exchange.
type direct struct{ x *exchange.Exchange }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := func(status int) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if _, _, ok := r.BasicAuth(); !ok {
		return answer(401)
	}
	list, err := iysapi.DecodePush(bytes.Clone(body))
	if err == nil {
		err = d.x.Push(r.Context(), list)
	}
	if err != nil {
		return answer(503)
	}
	return answer(200)
}

// TestRefusalLatency: a citizen's refusal is in force within the pull interval once İYS lists it, and within a second by push.
func TestRefusalLatency(t *testing.T) {
	for name, c := range map[string]struct {
		lag   time.Duration // of İYS's listing
		push  bool
		bound time.Duration
	}{
		"pull":                       {lag: -1, bound: 15*time.Minute + 5*time.Second},
		"pull behind the blind hour": {lag: time.Hour, bound: 75*time.Minute + 5*time.Second},
		"push within the blind hour": {lag: time.Hour, push: true, bound: time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pass(time.Until(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)))
				w := &world{t: t, store: newStore(), heard: &listener{}}
				var door direct
				w.sim = iystest.New(iystest.Config{ChangesLag: c.lag, Push: iystest.PushConfig{Transport: http.RoundTripper(&late{&door})}})
				w.sim.Seed()
				w.restart()
				door.x = w.x
				defer w.x.Close()
				w.ready()
				stop := w.running()
				defer stop()
				ctx, cancel := context.WithCancel(t.Context())
				var wg sync.WaitGroup
				defer wg.Wait()
				defer cancel()
				if c.push {
					if err := w.api.RegisterPush(ctx, iysapi.Brand{IYSCode: partnerBrand, BrandCode: partnerBrand}, iysapi.PushConnection{URL: "https://x.example", Channel: iys.ChannelSMS, Username: "u", Password: "p"}); err != nil {
						t.Fatal(err)
					}
					wg.Go(func() { w.sim.RunPush(ctx, 300*time.Millisecond) })
				}
				worst := time.Duration(0)
				for n := range 12 {
					w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(n), "ONAY", "")
					pass(3*time.Hour + time.Duration(n)*7*time.Minute)
					if v := w.verdict("commercial", n); !v.Send() {
						t.Fatalf("before: %v by %s", v.Outcome, v.Rule)
					}
					w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", addr(n), "RET", "")
					began := time.Now()
					for w.verdict("commercial", n).Outcome != iys.OutcomeRefuse {
						if pass(100 * time.Millisecond); time.Since(began) > 2*time.Hour {
							t.Fatal("the refusal does not arrive")
						}
					}
					worst = max(worst, time.Since(began))
				}
				t.Logf("a refusal at İYS is in force after %v at most", worst.Round(time.Millisecond))
				if worst > c.bound {
					t.Errorf("after %v, want within %v", worst, c.bound)
				}
			})
		})
	}
}

// late resolves its door when it is used: the exchange behind it is made after the simulator.
type late struct{ d *direct }

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) { return l.d.RoundTrip(r) }
