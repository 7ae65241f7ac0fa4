package reconcile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
	"izinli/iys/reconcile"
)

const brand = iystest.SeedIYSCode

var _ reconcile.API = (*iysapi.Client)(nil)
var _ reconcile.Exchange = (*exchange.Exchange)(nil)

// world is a simulated İYS, an exchange and a reconciler on fake time.
type world struct {
	t      *testing.T
	sim    *iystest.Sim
	store  *memory
	mirror *mirror.Mirror
	api    *iysapi.Client
	x      *exchange.Exchange
	r      *reconcile.Reconciler
	heard  []iys.Consent
	bad    *badDay // stands before İYS when set
}

// badDay is an İYS that has trouble with one day alone.
type badDay struct {
	*iysapi.Client
	day    string
	file   string // what it sends as the day's file
	err    error  // what it says about the day otherwise
	served int
}

func (b *badDay) Agreement(ctx context.Context, br iysapi.Brand, day time.Time) (iysapi.Agreement, bool, error) {
	if b.err != nil && day.In(iys.Istanbul).Format(time.DateOnly) == b.day {
		b.served++
		return iysapi.Agreement{}, false, b.err
	}
	return b.Client.Agreement(ctx, br, day)
}

func (b *badDay) DayFile(ctx context.Context, br iysapi.Brand, day time.Time, w io.Writer) (bool, error) {
	if b.err != nil || day.In(iys.Istanbul).Format(time.DateOnly) != b.day {
		return b.Client.DayFile(ctx, br, day, w)
	}
	b.served++
	_, err := io.WriteString(w, b.file)
	return true, err
}

func (w *world) Moved(_ context.Context, moves []iys.Consent) error {
	w.heard = append(w.heard, moves...)
	return nil
}

func (w *world) brand() exchange.Brand {
	b := exchange.Brand{Brand: iysapi.Brand{IYSCode: brand, BrandCode: brand}, API: w.api,
		Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner, iys.ChannelEmail: iys.ModePartner}}
	if w.bad != nil {
		b.API = w.bad
	}
	return b
}
func (w *world) Brand(_ context.Context, code string) (exchange.Brand, bool, error) {
	return w.brand(), code == brand, nil
}
func (w *world) Brands(context.Context) ([]exchange.Brand, error) {
	return []exchange.Brand{w.brand()}, nil
}

func pass(d time.Duration) { <-time.After(d) }

func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pass(time.Until(time.Date(2026, 11, 18, 9, 0, 0, 0, time.UTC)))
		w := &world{t: t, sim: iystest.New(iystest.Config{Limits: iystest.Limits{PerSecond: -1, TokensPerHour: -1}}), store: newMemory(), mirror: mirror.New()}
		w.sim.Seed()
		var err error
		if w.api, err = iysapi.New(iysapi.Config{URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: iystest.SeedPassword, HTTP: w.sim.Transport()}); err != nil {
			t.Fatal(err)
		}
		if w.x, err = exchange.New(exchange.Config{Store: w.store, Mirror: w.mirror, Directory: w, Listener: w}); err != nil {
			t.Fatal(err)
		}
		w.r = reconcile.New(reconcile.Config{Store: w.store, Exchange: w.x, Directory: w})
		f(t, w)
		w.x.Close()
	})
}

func addr(n int) string { return fmt.Sprintf("+90532%07d", n) }

func key(n int) iys.Key {
	return iys.Key{Brand: brand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: addr(n)}
}

func (w *world) citizen(n int, status string) iystest.Movement {
	pass(time.Second)
	return w.sim.Citizen(brand, "MESAJ", "BIREYSEL", addr(n), status, "IYS_WEB")
}

// tomorrow goes on to the next morning and pulls.
func (w *world) tomorrow() time.Time {
	w.t.Helper()
	day := time.Now()
	y, m, d := day.In(iys.Istanbul).Date()
	pass(time.Until(time.Date(y, m, d+1, 4, 0, 0, 0, iys.Istanbul)))
	if err := w.x.PullAll(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return day
}

func (w *world) day(day time.Time, want reconcile.Result) reconcile.Day {
	w.t.Helper()
	d, err := w.r.Day(w.t.Context(), brand, day)
	if err != nil || d.Result != want {
		w.t.Fatalf("%s: %+v %v, want %s", d.Date, d, err, want)
	}
	return d
}

// lose makes us forget the movement of an address, and what we hold of it.
func (w *world) lose(n int) {
	for k, m := range w.store.moves {
		if m.Recipient == addr(n) {
			delete(w.store.moves, k)
		}
	}
	delete(w.store.consents, key(n))
	w.mirror.Forget(key(n))
}

func TestEqualDaysAreAgreed(t *testing.T) {
	for name, odd := range map[string]iystest.Oddities{"as documented": {}, "spelled otherwise": {AgreementSpelled: true}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.sim.SetOddities(odd)
				for i := range 30 {
					w.citizen(i, "ONAY")
				}
				for i := range 10 {
					w.citizen(i, "RET")
				}
				early := time.Now()
				if _, err := w.r.Day(t.Context(), brand, early); iysapi.RetryOf(err) != iysapi.RetryFinal && w.store.days[brand+"2026-11-18"].Result != reconcile.Waiting {
					t.Errorf("today: %v", err)
				}
				day := w.tomorrow()
				d := w.day(day, reconcile.Agreed)
				if d.Rows != 40 || d.Hash != d.OurHash || len(d.Hash) != 96 || !d.Proof || len(d.Summary) != 1 || d.Summary[0].Total != 40 {
					t.Errorf("got %+v", d)
				}
				if !w.sim.Agreed(brand, day) || !bytes.HasPrefix(w.store.proofs[brand+d.Date], []byte("TSR")) {
					t.Error("İYS was not told, or the proof was not kept")
				}
				w.day(day.AddDate(0, 0, -1), reconcile.Empty)
				before := w.sim.Counters().Requests
				if err := w.r.Sweep(t.Context(), time.Now()); err != nil {
					t.Fatal(err)
				}
				first := w.sim.Counters().Requests - before
				if err := w.r.Sweep(t.Context(), time.Now()); err != nil || w.sim.Counters().Requests-before != first {
					t.Errorf("settled days were asked about again: %d then %d calls, %v", first, w.sim.Counters().Requests-before-first, err)
				}
			})
		})
	}
}

// A day is not judged before our own listing has reached its end, nor before İYS has its file.
func TestWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.citizen(1, "ONAY")
		pass(2 * time.Hour)
		w.x.PullAll(t.Context())
		day := time.Now()
		pass(24 * time.Hour) // and not pulled since
		d := w.day(day, reconcile.Waiting)
		w.x.PullAll(t.Context())
		w.sim.SetOddities(iystest.Oddities{FileQueued: true})
		d = w.day(day, reconcile.Waiting)
		if !strings.Contains(d.Note, "queued") {
			t.Errorf("got %+v", d)
		}
		w.sim.SetOddities(iystest.Oddities{})
		w.day(day, reconcile.Agreed)
		w.sim.Grant(iystest.SeedIntegrator, brand, "MESAJ", "")
		w.sim.Grant(iystest.SeedIntegrator, brand, "EPOSTA", "")
		if d, err := w.r.Day(t.Context(), brand, day); err == nil || d.Result != reconcile.NoRight {
			t.Errorf("without the right: %+v %v", d, err)
		}
		if _, err := w.r.Day(t.Context(), "999999", day); !errors.Is(err, reconcile.ErrBrand) {
			t.Errorf("unknown brand: %v", err)
		}
	})
}

// Each kind of difference is found, repaired after review, and undone; a refusal never becomes an approval by itself.
func TestRepair(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		for i := range 6 {
			w.citizen(i, "ONAY")
		}
		w.citizen(1, "RET")
		w.citizen(5, "RET")
		w.citizen(5, "ONAY") // the last word is an approval
		day := w.tomorrow()
		w.heard = nil
		w.lose(0) // an approval we do not have
		w.lose(1) // a refusal we do not have
		ghost := iys.Consent{Key: key(77), Status: iys.StatusApproved, Source: iys.SourceHSWeb, ConsentDate: day, CreationDate: day, TransactionID: strings.Repeat("a", 64), Origin: iys.OriginPull, ReadAt: day}
		ghostRET := ghost
		ghostRET.Key, ghostRET.Status, ghostRET.TransactionID = key(2), iys.StatusRejected, strings.Repeat("b", 64) // İYS holds ONAY for it
		w.x.Restore(ctx, []iys.Consent{ghostRET})
		w.store.consents[ghost.Key] = ghost
		w.mirror.Put(ghost)
		w.store.ReplaceMovements(ctx, nil, []iys.Consent{ghost, ghostRET})
		// One movement told differently, and one where we hold a refusal İYS's file has an approval after.
		for k, m := range w.store.moves {
			if m.Recipient == addr(3) {
				delete(w.store.moves, k)
				m.Source = iys.SourceIYSMobile
				w.store.moves[place(&m)] = m
			}
			if m.Recipient == addr(5) && m.Status == iys.StatusApproved {
				delete(w.store.moves, k)
			}
			if m.Recipient == addr(5) && m.Status == iys.StatusRejected {
				w.store.consents[m.Key] = m
				w.mirror.Put(m)
			}
		}
		d := w.day(day, reconcile.Differs)
		p := w.store.plans[d.Plan]
		if p.State != reconcile.Open || p.There != 2 || p.Different != 1 || p.Here != 5 || p.Review == 0 {
			t.Fatalf("plan %+v", p)
		}
		review := 0
		for _, it := range w.store.items[p.ID] {
			if it.Action == reconcile.ActionReview {
				review = it.N
				if it.Key() != key(5) {
					t.Errorf("%+v waits for a person", it)
				}
			}
		}
		before := maps(w.store.consents)
		p, d, err := w.r.Apply(ctx, p.ID, nil, "ayse")
		if err != nil || p.State != reconcile.Applied || p.By != "ayse" {
			t.Fatal(p, err)
		}
		want := func(n int, status iys.Status) {
			t.Helper()
			e, ok := w.mirror.Lookup(brand, iys.ChannelSMS, iys.RecipientPerson, addr(n))
			if c := w.store.consents[key(n)]; !ok || e.Status != status || c.Status != status {
				t.Errorf("address %d: mirror %s %t, store %s, want %s", n, e.Status, ok, c.Status, status)
			}
		}
		want(0, iys.StatusApproved)
		want(1, iys.StatusRejected)
		want(5, iys.StatusRejected)     // waits for a person
		want(77, iys.StatusNotApproved) // İYS does not have it
		if len(w.store.entries) != 1 || w.store.entries[0].Recipient != addr(2) || w.store.entries[0].Status != iys.StatusRejected {
			t.Errorf("entries %+v, want our refusal written again", w.store.entries)
		}
		if !slices.ContainsFunc(w.heard, func(m iys.Consent) bool { return m.Recipient == addr(1) && m.Status == iys.StatusRejected }) {
			t.Error("the person's refusal was not told to the blocks")
		}
		if d.Result != reconcile.Differs || d.Plan == p.ID {
			t.Fatalf("afterwards %+v, want a plan for what was left alone", d)
		}
		// The one that waits is named, and İYS's live word counts.
		for _, it := range w.store.items[d.Plan] {
			if it.Action == reconcile.ActionReview {
				review = it.N
			}
		}
		second, d, err := w.r.Apply(ctx, d.Plan, []int{review}, "ayse")
		if err != nil || d.Result != reconcile.Agreed || !w.sim.Agreed(brand, day) {
			t.Fatalf("%+v %+v %v, want an agreed day", second, d, err)
		}
		want(5, iys.StatusApproved)
		if _, _, err := w.r.Apply(ctx, p.ID, nil, "x"); !errors.Is(err, reconcile.ErrState) {
			t.Errorf("applied twice: %v", err)
		}
		// Undone: what was held before is held again, unless it was an approval over a refusal.
		if p, err = w.r.Undo(ctx, p.ID, "veli"); err != nil || p.State != reconcile.Undone {
			t.Fatal(p, err)
		}
		want(1, iys.StatusRejected) // nothing was held: İYS was asked, and does not approve
		for _, n := range []int{3, 4} {
			if got := w.store.consents[key(n)]; got.Status != before[key(n)].Status {
				t.Errorf("address %d after undoing: %+v, before %+v", n, got, before[key(n)])
			}
		}
		if _, err := w.r.Undo(ctx, p.ID, "x"); !errors.Is(err, reconcile.ErrState) {
			t.Errorf("undone twice: %v", err)
		}
		if _, _, err := w.r.Apply(ctx, 999, nil, "x"); !errors.Is(err, reconcile.ErrNoPlan) {
			t.Errorf("no plan: %v", err)
		}
	})
}

func maps(m map[iys.Key]iys.Consent) map[iys.Key]iys.Consent {
	out := map[iys.Key]iys.Consent{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

// A failure of İYS in the middle leaves the plan open, and applying goes on where it broke off.
func TestApplyIsResumed(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		ctx := t.Context()
		w.citizen(1, "ONAY")
		day := w.tomorrow()
		ghost := iys.Consent{Key: key(77), Status: iys.StatusApproved, Source: iys.SourceHSWeb, ConsentDate: day, CreationDate: day, TransactionID: strings.Repeat("a", 64), Origin: iys.OriginPull, ReadAt: day}
		w.store.consents[ghost.Key] = ghost
		w.store.ReplaceMovements(ctx, nil, []iys.Consent{ghost})
		d := w.day(day, reconcile.Differs)
		w.sim.Fail(iystest.Fault{Operation: "statusMany", Status: 500, Code: "H103"})
		if p, _, err := w.r.Apply(ctx, d.Plan, nil, "x"); err == nil || p.State != reconcile.Open {
			t.Fatalf("%+v %v, want an open plan", p, err)
		}
		if p, d, err := w.r.Apply(ctx, d.Plan, nil, "x"); err != nil || p.State != reconcile.Applied || d.Result != reconcile.Agreed {
			t.Fatalf("%+v %+v %v", p, d, err)
		}
		d = w.day(day.AddDate(0, 0, -2), reconcile.Empty)
		if _, err := w.r.Dismiss(ctx, d.Plan, "x"); !errors.Is(err, reconcile.ErrNoPlan) {
			t.Errorf("dismissing nothing: %v", err)
		}
	})
}

// A day İYS has no usable answer for keeps no later day from being reconciled, and is left alone for hours before it is asked about
// again; when İYS has put it right, it is agreed like the others.
func TestABadDayKeepsNoOther(t *testing.T) {
	const header = "creationDate,transactionId,recipient,recipientType,type,status,consentDate,source\n"
	rows := &strings.Builder{}
	for i := range 600 { // enough for a plan to be begun
		fmt.Fprintf(rows, "2026-11-18 13:%02d:%02d,%064d,+90533%07d,BIREYSEL,MESAJ,ONAY,2026-11-18 13:00:00,HS_WEB\n", i/60, i%60, i, i)
	}
	for name, bad := range map[string]*badDay{
		"no file at all":       {file: "<html>502 Bad Gateway</html>\n"},
		"a file that ends ill": {file: header + rows.String() + "2026-11-18 14:00:00,x\n"},
		"a final refusal":      {err: &iysapi.APIError{HTTP: 422, Detail: iysapi.Detail{Code: "H501"}, Retry: iysapi.RetryFinal}},
		"a failure of its own": {err: &iysapi.APIError{HTTP: 500, Detail: iysapi.Detail{Code: "H470"}, Retry: iysapi.RetryAgain}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				days := []time.Time{}
				for i := range 3 {
					w.citizen(i, "ONAY")
					days = append(days, w.tomorrow())
				}
				bad.Client, bad.day = w.api, days[0].In(iys.Istanbul).Format(time.DateOnly)
				w.bad = bad
				if bad.err == nil { // İYS has another file than we do
					w.lose(0)
				}
				if err := w.r.Sweep(t.Context(), time.Now()); err == nil || !strings.Contains(err.Error(), bad.day) {
					t.Errorf("the sweep: %v, want the bad day named", err)
				}
				if d := w.store.days[brand+bad.day]; d.Result != reconcile.Failed || d.Note == "" {
					t.Errorf("the bad day: %+v", d)
				}
				for _, day := range days[1:] {
					if !w.sim.Agreed(brand, day) {
						t.Errorf("%s was not reconciled", day.In(iys.Istanbul).Format(time.DateOnly))
					}
				}
				for id, p := range w.store.plans {
					if p.State == reconcile.Open {
						t.Errorf("plan %d of a comparison that broke off is open: %+v", id, p)
					}
				}
				passing := iysapi.RetryOf(bad.err) == iysapi.RetryAgain && bad.err != nil
				pass(30 * time.Minute)
				if err := w.r.Sweep(t.Context(), time.Now()); (err != nil) != passing {
					t.Errorf("half an hour later: %v", err)
				}
				if want := map[bool]int{false: 1, true: 2}[passing]; bad.served != want {
					t.Errorf("asked for the bad day %d times, want %d", bad.served, want)
				}
				w.bad = nil
				pass(6 * time.Hour)
				if err := w.x.PullAll(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := w.r.Sweep(t.Context(), time.Now()); err != nil {
					t.Error(err)
				}
				want := reconcile.Agreed
				if bad.err == nil {
					want = reconcile.Differs // what we lost is found
				}
				if d := w.store.days[brand+bad.day]; d.Result != want || !d.Again.IsZero() {
					t.Errorf("put right: %+v, want %s", d, want)
				}
			})
		})
	}
}

// An outage and a missing right concern every day: they are not found out again for each.
func TestAnOutageIsNotAskedAboutSevenTimes(t *testing.T) {
	for name, c := range map[string]struct {
		fault iystest.Fault
		most  int
	}{
		"outage":     {iystest.Fault{Operation: "agreement", Status: 500, Code: "H103", Times: 100}, 2},
		"hour's end": {iystest.Fault{Operation: "agreement", Status: 429, Code: "H089", Times: 100}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				for i := range 4 {
					w.citizen(i, "ONAY")
					w.tomorrow()
				}
				w.sim.Fail(c.fault)
				if err := w.r.Sweep(t.Context(), time.Now()); err == nil {
					t.Error("the sweep failed nowhere")
				}
				failed := 0
				for _, d := range w.store.days {
					if d.Result == reconcile.Failed {
						failed++
						if !d.Again.IsZero() {
							t.Errorf("%s rests for hours over what may be over in a minute", d.Date)
						}
					}
				}
				if failed == 0 || failed > c.most {
					t.Errorf("%d days failed, want at most %d", failed, c.most)
				}
			})
		})
	}
}
