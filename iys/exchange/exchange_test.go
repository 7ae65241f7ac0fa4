package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
)

var (
	_ exchange.Mirror = (*mirror.Mirror)(nil)
	_ exchange.API    = (*iysapi.Client)(nil)
	_ exchange.AHS    = (*iysapi.AHSClient)(nil)
)

const (
	partnerBrand = iystest.SeedIYSCode
	ahsBrand     = "300001"
	selfBrand    = "400001"
	exemptBrand  = "500001"
)

// world is a simulator, a store that survives, and one process at a time.
type world struct {
	t      *testing.T
	sim    *iystest.Sim
	store  *memStore
	api    *iysapi.Client
	ahs    *iysapi.AHSClient
	mirror *mirror.Mirror
	x      *exchange.Exchange
	heard  *listener
	more   []exchange.Brand // beside the usual ones
}

type listener struct {
	mu    sync.Mutex
	moves []iys.Consent
	fail  error
}

func (l *listener) Moved(_ context.Context, moves []iys.Consent) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return l.fail
	}
	l.moves = append(l.moves, moves...)
	return nil
}

func (w *world) Brand(_ context.Context, code string) (exchange.Brand, bool, error) {
	all, _ := w.Brands(context.Background())
	for _, b := range all {
		if b.BrandCode == code {
			return b, true, nil
		}
	}
	return exchange.Brand{}, false, nil
}

func (w *world) Brands(context.Context) ([]exchange.Brand, error) {
	both := func(m iys.Mode) map[iys.Channel]iys.Mode {
		return map[iys.Channel]iys.Mode{iys.ChannelSMS: m, iys.ChannelEmail: m}
	}
	id := func(code string) iysapi.Brand { return iysapi.Brand{IYSCode: code, BrandCode: code} }
	return append([]exchange.Brand{
		{Brand: id(partnerBrand), Modes: both(iys.ModePartner), API: w.api},
		{Brand: id(ahsBrand), Modes: both(iys.ModeAHS), AHS: w.ahs},
		{Brand: id(selfBrand), Modes: both(iys.ModeSelfManaged)},
		{Brand: id(exemptBrand), Modes: both(iys.ModeExempt)},
	}, w.more...), nil
}

// inBubble runs f on fake time from Friday 20 November 2026, noon in Istanbul.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		pass(time.Until(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)))
		w := &world{t: t, sim: iystest.New(iystest.Config{}), store: newStore(), heard: &listener{}}
		w.sim.Seed()
		w.sim.AddProvider(iystest.Provider{IYSCode: ahsBrand, Brands: []iystest.Brand{{Code: ahsBrand, Master: true}}})
		w.sim.AddAHS(iystest.AHS{Username: iystest.SeedAHS, Password: iystest.SeedPassword, Brands: map[string][]string{ahsBrand: {"MESAJ"}}})
		w.restart()
		f(t, w)
		w.x.Close()
	})
}

// restart is a new process over the same store.
func (w *world) restart() {
	w.t.Helper()
	if w.x != nil {
		w.x.Close()
	}
	w.store.revive()
	w.restartAPI()
	var err error
	w.mirror = mirror.New()
	w.x, err = exchange.New(exchange.Config{Store: w.store, Mirror: w.mirror, Directory: w, Listener: w.heard})
	if err != nil {
		w.t.Fatal(err)
	}
}

// restartAPI makes the clients anew, as for a link that was changed.
func (w *world) restartAPI() {
	w.t.Helper()
	cfg := iysapi.Config{URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: iystest.SeedPassword, HTTP: w.sim.Transport()}
	var err error
	if w.api, err = iysapi.New(cfg); err != nil {
		w.t.Fatal(err)
	}
	cfg.Username = iystest.SeedAHS
	if w.ahs, err = iysapi.NewAHS(cfg); err != nil {
		w.t.Fatal(err)
	}
}

// pass lets the bubble's time pass.
func pass(d time.Duration) { <-time.After(d) }

func phone(n int) string { return fmt.Sprintf("+90532%07d", n) }

func key(n int) iys.Key {
	return iys.Key{Brand: partnerBrand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: phone(n)}
}

// approveAt makes İYS hold an approval, given by hand an hour ago.
func (w *world) approveAt(n int) {
	w.sim.Put(iystest.Movement{
		BrandCode: partnerBrand, Recipient: phone(n), RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY",
		Source: "HS_WEB", ConsentDate: time.Now().Add(-time.Hour),
	})
}

func (w *world) entry(n int, s iys.Status) exchange.Entry {
	src := iys.SourceHSWeb
	if s == iys.StatusRejected {
		src = iys.SourceHSSMS
	}
	return exchange.NewEntry(iys.Consent{Key: key(n), Status: s, Source: src, ConsentDate: time.Now()}, time.Now(), iys.DefaultCalendar())
}

// drain flushes until nothing is left to send.
func (w *world) drain() error {
	for range 500 {
		_, err := w.x.Flush(w.t.Context())
		if err != nil {
			return err
		}
		if w.store.open() == 0 {
			return nil
		}
		pass(10 * time.Second)
	}
	return errors.New("the outbox does not empty")
}

func (w *world) mustDrain() {
	w.t.Helper()
	if err := w.drain(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) wantState(id uint64, s exchange.State, code string) {
	w.t.Helper()
	if e := w.store.entry(id); e.State != s || e.Code != code {
		w.t.Errorf("entry %d (%s): got %s %q, want %s %q", id, e.Status, e.State, e.Code, s, code)
	}
}

func (w *world) sims(n int) string {
	m, ok := w.sim.Stored(partnerBrand, "MESAJ", "BIREYSEL", phone(n))
	if !ok {
		return "-"
	}
	return m.Status + " " + m.Source
}

func TestAnOptOutReachesIYS(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		pass(time.Minute)
		w.store.add(exchange.OptOut(partnerBrand, iys.ChannelSMS, phone(1), iys.SourceHSSMS, time.Now(), iys.DefaultCalendar())...)
		w.mustDrain()
		if got := w.sims(1); got != "RET HS_MESAJ" {
			t.Errorf("İYS holds %q, want the refusal", got)
		}
		w.wantState(1, exchange.StateAccepted, "")
		w.wantState(2, exchange.StateNotApplicable, "") // no TACIR record to refuse
		e := w.store.entry(1)
		if e.TransactionID == "" || e.CreationDate.IsZero() {
			t.Errorf("accepted without proof: %+v", e)
		}
		if got, ok := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); !ok || got.Status != iys.StatusRejected {
			t.Errorf("mirror: got %+v %v, want RET", got, ok)
		}
		if got := w.sim.Counters().Failures; got != 0 {
			t.Errorf("İYS was asked %d things it refused", got)
		}
	})
}

func TestNothingKnownToBeRefusedIsSent(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(3)
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(2), "ONAY", "")
		w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(2), "RET", "")
		late := w.entry(3, iys.StatusRejected)
		late.ConsentDate = late.ConsentDate.Add(-2 * time.Hour) // before the stored approval
		old := w.entry(4, iys.StatusApproved)
		old.ConsentDate = old.ConsentDate.AddDate(0, 0, -10)
		bad := w.entry(5, iys.StatusRejected)
		bad.Recipient = "+90"
		w.store.add(w.entry(1, iys.StatusRejected), w.entry(2, iys.StatusRejected), late, old, bad, w.entry(6, iys.StatusApproved))
		w.mustDrain()
		w.wantState(1, exchange.StateNotApplicable, "")  // would be H175
		w.wantState(2, exchange.StateNotApplicable, "")  // would be H174
		w.wantState(3, exchange.StateSuperseded, "H178") // the approval is later
		w.wantState(4, exchange.StateRefused, "H467")
		w.wantState(5, exchange.StateRefused, "H121")
		w.wantState(6, exchange.StateAccepted, "") // the twin that passes
		if got := w.sim.Counters(); got.Failures != 0 {
			t.Errorf("İYS was asked %d things it refused", got.Failures)
		}
	})
}

// A person's word from a machine whose clock was ahead waits until İYS can believe it; it is neither lost nor sent in vain.
func TestWordsFromTheFuture(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		refusal, approval := w.entry(1, iys.StatusRejected), w.entry(2, iys.StatusApproved)
		refusal.ConsentDate = refusal.ConsentDate.Add(3 * time.Minute)
		approval.ConsentDate = approval.ConsentDate.Add(3 * time.Minute)
		w.store.add(refusal, approval)
		w.mustDrain()
		w.wantState(1, exchange.StateAccepted, "")
		w.wantState(2, exchange.StateAccepted, "")
		if got := w.sims(1); got != "RET HS_MESAJ" {
			t.Errorf("İYS holds %q, want the refusal", got)
		}
		if got := w.sim.Counters().Failures; got != 0 {
			t.Errorf("İYS was asked %d things it refused", got)
		}
	})
}

func TestATieIsTheRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		e := w.entry(1, iys.StatusRejected)
		e.ConsentDate = e.ConsentDate.Add(-time.Hour)
		w.store.add(e)
		w.mustDrain()
		w.wantState(1, exchange.StateAccepted, "")
		if got := w.sims(1); got != "RET HS_MESAJ" {
			t.Errorf("İYS holds %q, want the refusal", got)
		}
	})
}

func TestModesWithoutTheRightToWrite(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for _, brand := range []string{ahsBrand, selfBrand, exemptBrand, "999999"} {
			e := w.entry(1, iys.StatusRejected)
			e.Brand = brand
			w.store.add(e)
		}
		w.mustDrain()
		w.wantState(1, exchange.StateOwed, "")
		w.wantState(2, exchange.StateOwed, "")
		w.wantState(3, exchange.StateNotApplicable, "")
		w.wantState(4, exchange.StateOwed, "")
		if got := w.sim.Counters().Requests; got != 0 {
			t.Errorf("got %d calls, want 0", got)
		}
	})
}

func TestBatchOfApprovals(t *testing.T) {
	for name, odd := range map[string]iystest.Oddities{
		"documented": {}, "odd": {SubrequestLower: true, SubRequestsMixed: true, EmptyRequest: "204", Batch200: true},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				w.sim.SetOddities(odd)
				for n := range 1500 {
					w.store.add(w.entry(n, iys.StatusApproved))
				}
				w.mustDrain()
				for id := uint64(1); id <= 1500; id++ {
					if e := w.store.entry(id); e.State != exchange.StateAccepted || e.TransactionID == "" {
						t.Fatalf("entry %d: got %+v", id, e)
					}
				}
				if got := len(w.sim.Movements()); got != 1500 {
					t.Errorf("got %d movements, want 1500", got)
				}
				c := w.sim.Counters()
				if c.ByOperation["addBatch"] > 2 || c.ByOperation["add"] != 0 || c.ByOperation["request"] > 6 {
					t.Errorf("got %v calls", c.ByOperation)
				}
			})
		})
	}
}

func TestOneBadItemDoesNotSinkTheBatch(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 8 {
			e := w.entry(n, iys.StatusApproved)
			if n == 3 {
				e.RetailerCode = 11111111 // İYS alone knows that it does not exist
			}
			w.store.add(e)
		}
		w.mustDrain()
		for id := uint64(1); id <= 8; id++ {
			if id == 4 {
				w.wantState(id, exchange.StateRefused, "H180")
			} else {
				w.wantState(id, exchange.StateAccepted, "")
			}
		}
	})
}

func TestAListRefusedWithoutAReasonGoesOneByOne(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 120 {
			w.store.add(w.entry(n, iys.StatusApproved))
		}
		w.sim.Fail(iystest.Fault{Operation: "addBatch", Status: 422, Code: "H125"})
		w.x.Flush(t.Context())
		pass(time.Minute)
		w.approveAt(500)
		pass(time.Second)
		w.store.add(w.entry(500, iys.StatusRejected))
		more, err := w.x.Flush(t.Context())
		if err != nil || !more {
			t.Errorf("got more=%v %v, want more", more, err)
		}
		w.wantState(121, exchange.StateAccepted, "") // not behind 120 approvals
		if got := w.sim.Counters().ByOperation["add"]; got != 51 {
			t.Errorf("got %d single calls in a pass, want the refusal and 50", got)
		}
		w.mustDrain()
		for id := uint64(1); id <= 120; id++ {
			w.wantState(id, exchange.StateAccepted, "")
		}
	})
}

func TestLaterWordsOfOneAddress(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		at := func(s iys.Status, d time.Duration) exchange.Entry {
			e := w.entry(1, s)
			e.ConsentDate = e.ConsentDate.Add(d)
			return e
		}
		pass(time.Minute)
		w.store.add(
			at(iys.StatusApproved, -30*time.Second), // overtaken by the refusal
			at(iys.StatusRejected, -20*time.Second),
			at(iys.StatusApproved, -10*time.Second),
		)
		w.mustDrain()
		w.wantState(1, exchange.StateSuperseded, "")
		w.wantState(2, exchange.StateAccepted, "")
		w.wantState(3, exchange.StateAccepted, "")
		moves := w.sim.Movements()[1:]
		if len(moves) != 2 || moves[0].Status != "RET" || moves[1].Status != "ONAY" {
			t.Fatalf("got %+v", moves)
		}
		if d := moves[1].CreationDate.Sub(moves[0].CreationDate); d < time.Second {
			t.Errorf("two movements of one address %v apart", d)
		}
	})
}

// Whatever store call a process dies in, before its effect or after it, the
// next process brings every change into effect exactly once.
func TestCrashAnywhere(t *testing.T) {
	for _, forgets := range []bool{false, true} {
		crashAnywhere(t, false, forgets)
		crashAnywhere(t, true, forgets)
	}
}

func crashAnywhere(t *testing.T, after, forgets bool) {
	for crash := 1; ; crash++ {
		finished := false
		inBubble(t, func(t *testing.T, w *world) {
			w.sim.SetOddities(iystest.Oddities{V2Forgets: forgets})
			w.approveAt(1)
			w.approveAt(2)
			pass(time.Minute)
			w.store.add(exchange.OptOut(partnerBrand, iys.ChannelSMS, phone(1), iys.SourceHSSMS, time.Now(), iys.DefaultCalendar())...)
			w.store.add(w.entry(2, iys.StatusRejected), w.entry(20, iys.StatusApproved))
			w.mustDrainUntilCrash(crash, after, &finished)
			for n := range 7 { // a batch
				w.store.add(w.entry(30+n, iys.StatusApproved))
			}
			w.mustDrainUntilCrash(crash, after, &finished)
			w.restart()
			w.mustDrain()
			want := map[string]int{"1 RET": 1, "2 RET": 1, "20 ONAY": 1}
			for n := range 7 {
				want[fmt.Sprint(30+n, " ONAY")] = 1
			}
			got := map[string]int{}
			for _, m := range w.sim.Movements()[2:] {
				var n int
				fmt.Sscanf(m.Recipient, "+90532%d", &n)
				got[fmt.Sprint(n, " ", m.Status)]++
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("crash in call %d (after=%v): movements %v, want %v", crash, after, got, want)
			}
			for id := uint64(1); id <= w.store.lastID; id++ {
				want := exchange.StateAccepted
				if id == 2 {
					want = exchange.StateNotApplicable
				}
				if e := w.store.entry(id); e.State != want || want == exchange.StateAccepted && e.TransactionID == "" {
					t.Errorf("crash in call %d (after=%v): entry %d is %+v", crash, after, id, e)
				}
			}
		})
		if finished && crash < 15 {
			t.Fatalf("the work ended after %d store calls: too few to prove anything", crash)
		}
		if finished || t.Failed() {
			t.Logf("after=%v, V2 forgets=%v: survived a crash in each of %d store calls", after, forgets, crash-1)
			break
		}
		if crash > 500 {
			t.Fatal("the work never finishes")
		}
	}
}

// mustDrainUntilCrash works until done or until the store dies in the given
// call; finished tells that the call was never reached.
func (w *world) mustDrainUntilCrash(crash int, after bool, finished *bool) {
	w.t.Helper()
	w.store.mu.Lock()
	if !w.store.dead {
		w.store.crashAt, w.store.after = crash, after
	}
	w.store.mu.Unlock()
	err := w.drain()
	*finished = err == nil
	if err != nil && !errors.Is(err, errCrash) {
		w.t.Fatal(err)
	}
}

// A call whose answer is lost is repeated and counted once.
func TestLostAnswers(t *testing.T) {
	for _, op := range []string{"add", "addBatch", "request", "statusMany", "token"} {
		inBubble(t, func(t *testing.T, w *world) {
			w.approveAt(1)
			pass(time.Minute)
			w.sim.Fail(iystest.Fault{Operation: op, DropAfter: true, Times: 2})
			w.store.add(w.entry(1, iys.StatusRejected))
			for n := range 7 {
				w.store.add(w.entry(10+n, iys.StatusApproved))
			}
			for range 100 {
				w.x.Flush(t.Context())
				if w.store.open() == 0 {
					break
				}
				pass(time.Minute)
			}
			for id := uint64(1); id <= 8; id++ {
				w.wantState(id, exchange.StateAccepted, "")
			}
			if got := len(w.sim.Movements()); got != 9 {
				t.Errorf("%s: got %d movements, want 9", op, got)
			}
		})
	}
}

func TestIYSDownAndBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		pass(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		w.sim.SetDown(true)
		wg.Go(func() { w.x.Run(ctx) })
		w.store.add(w.entry(1, iys.StatusRejected))
		w.x.Wake()
		pass(2 * time.Hour)
		if e := w.store.entry(1); e.State.Open() == false {
			t.Errorf("down: got %+v", e)
		}
		w.sim.SetDown(false)
		pass(15 * time.Minute)
		w.wantState(1, exchange.StateAccepted, "")
		if w.mirror.PulledAt(partnerBrand, iys.ChannelSMS).IsZero() {
			t.Error("the pull did not resume")
		}
		began := time.Now()
		w.approveAt(2)
		pass(time.Second)
		w.store.add(w.entry(2, iys.StatusRejected))
		w.x.Wake()
		for w.store.open() > 0 {
			pass(100 * time.Millisecond)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("an opt-out took %v to reach İYS", took)
		}
		cancel()
		wg.Wait()
	})
}

func TestOneFailureStopsThePass(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		for n := range 20 {
			w.approveAt(n)
		}
		pass(time.Minute)
		for n := range 20 {
			w.store.add(w.entry(n, iys.StatusRejected))
		}
		w.sim.Fail(iystest.Fault{Operation: "add", Status: 500, Code: "H103", Times: -1})
		if _, err := w.x.Flush(t.Context()); iysapi.RetryOf(err) != iysapi.RetryAgain || err == nil {
			t.Fatalf("got %v", err)
		}
		if got := w.sim.Counters().ByOperation["add"]; got != 1 {
			t.Errorf("got %d calls to an İYS that fails, want 1", got)
		}
		w.sim.ClearFaults()
		w.mustDrain()
		for id := uint64(1); id <= 20; id++ {
			w.wantState(id, exchange.StateAccepted, "")
		}
	})
}

func TestH084Silence(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		pass(time.Minute)
		w.sim.Fail(iystest.Fault{Operation: "token", Status: 429, Code: "H084"})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { w.x.Run(ctx) })
		w.store.add(w.entry(1, iys.StatusRejected))
		w.x.Wake()
		pass(59 * time.Minute)
		if got := w.sim.Counters().ByOperation["token"]; got != 1 {
			t.Errorf("got %d token calls in the silent hour, want 1", got)
		}
		pass(30 * time.Minute)
		w.wantState(1, exchange.StateAccepted, "")
		cancel()
		wg.Wait()
	})
}

func TestRefusalsAreRecorded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.sim.AddProvider(iystest.Provider{IYSCode: partnerBrand, Subscription: iystest.SubscriptionPaused, Brands: []iystest.Brand{{Code: partnerBrand, Master: true}}})
		w.store.add(w.entry(1, iys.StatusApproved))
		if _, err := w.x.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		e := w.store.entry(1)
		if e.State != exchange.StateSent || e.Code != "H520" || time.Until(e.NextAt) < 10*time.Minute {
			t.Errorf("an operator must act: got %+v", e)
		}
		w.sim.AddProvider(iystest.Provider{IYSCode: partnerBrand, Brands: []iystest.Brand{{Code: partnerBrand, Master: true}}})
		w.mustDrain()
		w.wantState(1, exchange.StateAccepted, "")
	})
}

func TestAgedEntries(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		owed := w.entry(1, iys.StatusRejected)
		owed.Brand = selfBrand
		w.store.add(owed)
		w.mustDrain()
		check := func(when string, late, warn int) {
			t.Helper()
			a, err := w.x.Aged(t.Context(), time.Now(), 100)
			if err != nil || len(a.Late) != late || len(a.Warning) != warn {
				t.Errorf("%s: got %d late %d warnings %v, want %d %d", when, len(a.Late), len(a.Warning), err, late, warn)
			}
			if l, n, err := w.x.AgedCounts(t.Context(), time.Now()); err != nil || l != late || n != warn {
				t.Errorf("%s: counted %d late %d warnings %v, want %d %d", when, l, n, err, late, warn)
			}
		}
		check("Friday", 0, 0)
		pass(48 * time.Hour)
		check("Sunday", 0, 0)
		pass(48 * time.Hour)
		check("Tuesday", 0, 1)
		pass(24 * time.Hour)
		check("Wednesday, the third day", 0, 1)
		pass(24 * time.Hour)
		check("Thursday", 1, 0)
	})
}
