package exchange_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
)

const oddBrand = "600001"

// odd is a brand behind an API that a test makes misbehave.
func (w *world) odd(api exchange.API) {
	w.more = []exchange.Brand{{Brand: iysapi.Brand{IYSCode: oddBrand, BrandCode: oddBrand}, Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner}, API: api}}
}

func oddKey(n int) iys.Key {
	k := key(n)
	k.Brand = oddBrand
	return k
}

func oddEntry(n int, s iys.Status) exchange.Entry {
	return exchange.NewEntry(iys.Consent{Key: oddKey(n), Status: s, Source: iys.SourceHSWeb, ConsentDate: time.Now()}, time.Now(), iys.DefaultCalendar())
}

// meddler hears of a refusal between an answer's being stored and its being put into the mirror.
type meddler struct {
	*mirror.Mirror
	between func()
}

func (l *meddler) PulledAt(brand string, ch iys.Channel) time.Time {
	if f := l.between; f != nil {
		l.between = nil
		f()
	}
	return l.Mirror.PulledAt(brand, ch)
}

// İYS says ONAY, and while that is being kept the person's refusal is pushed: the refusal stays, whichever comes through first.
func TestARefusalIsNotOverwrittenByAnAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		w.approveAt(1)
		w.ready()
		l := &meddler{Mirror: w.mirror}
		x, err := exchange.New(exchange.Config{Store: w.store, Mirror: l, Directory: w})
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		pass(time.Minute)
		l.between = func() {
			moves, err := iysapi.DecodePush(iystest.PushBody(w.sim.Citizen(partnerBrand, "MESAJ", "BIREYSEL", phone(1), "RET", "")))
			if err == nil {
				err = x.Push(t.Context(), moves)
			}
			if err != nil {
				t.Error(err)
			}
		}
		if _, err := x.Ask(t.Context(), partnerBrand, iys.ChannelSMS, iys.RecipientPerson, []string{phone(1)}); err != nil || l.between != nil {
			t.Fatal("the refusal did not come in between", err)
		}
		if e, ok := w.mirror.Lookup(partnerBrand, iys.ChannelSMS, iys.RecipientPerson, phone(1)); !ok || e.Status != iys.StatusRejected {
			t.Errorf("the mirror holds %+v %t, want the refusal", e, ok)
		}
	})
}

// nameless takes batches without naming sub-requests, and tells of the items it has finished alone.
type nameless struct {
	exchange.API
	items []iysapi.ItemResult
}

func (n *nameless) AddBatch(context.Context, iysapi.Brand, []iys.Consent) (iysapi.BatchReceipt, error) {
	return iysapi.BatchReceipt{RequestID: "r1"}, nil
}

func (n *nameless) Request(context.Context, iysapi.Brand, string) ([]iysapi.ItemResult, error) {
	return n.items, nil
}

// Results are matched by place only where it is certain from what number İYS counts: an answer about some items alone must not be
// taken for their neighbours'.
func TestResultsAreNotAscribedToNeighbours(t *testing.T) {
	item := func(index int, tx string) iysapi.ItemResult {
		return iysapi.ItemResult{Index: index, State: iysapi.ItemSuccess, Receipt: iysapi.Receipt{TransactionID: tx, CreationDate: time.Now()}}
	}
	for name, c := range map[string]struct {
		items func() []iysapi.ItemResult
		want  []string // transactions by entry
	}{
		"from nought, the first not finished": {func() []iysapi.ItemResult { return []iysapi.ItemResult{item(1, "b"), item(2, "c")} }, make([]string, 8)},
		"from nought":                         {func() []iysapi.ItemResult { return []iysapi.ItemResult{item(0, "a"), item(2, "c")} }, []string{"a", "", "c", "", "", "", "", ""}},
		"from one": {func() []iysapi.ItemResult {
			var all []iysapi.ItemResult
			for i := 1; i <= 8; i++ {
				all = append(all, item(i, fmt.Sprint("t", i)))
			}
			return all
		}, []string{"t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				api := &nameless{}
				w.odd(api)
				for n := range 8 {
					w.store.add(oddEntry(n, iys.StatusApproved))
				}
				w.flushAll()
				api.items = c.items()
				pass(6 * time.Minute)
				w.flushAll()
				for i, want := range c.want {
					if e := w.store.entry(uint64(i + 1)); e.TransactionID != want || (e.State == exchange.StateAccepted) != (want != "") {
						t.Errorf("entry %d: %s %q, want %q", i+1, e.State, e.TransactionID, want)
					}
				}
			})
		})
	}
}

// failing answers 500 for one brand.
type failing struct{ exchange.API }

func (failing) Add(context.Context, iysapi.Brand, iys.Consent) (iysapi.Receipt, error) {
	return iysapi.Receipt{}, &iysapi.APIError{HTTP: 500, Detail: iysapi.Detail{Code: "H470", Index: -1}, Retry: iysapi.RetryAgain}
}

func (failing) StatusMany(_ context.Context, _ iysapi.Brand, _ iys.RecipientType, _ iys.Channel, list []string) ([]bool, error) {
	out := make([]bool, len(list))
	for i := range out {
		out[i] = true
	}
	return out, nil
}

// shared is one client for two brands, one of which İYS fails.
type shared struct {
	exchange.API
	bad string
}

func (s *shared) Add(ctx context.Context, b iysapi.Brand, c iys.Consent) (iysapi.Receipt, error) {
	if b.BrandCode == s.bad {
		return failing{}.Add(ctx, b, c)
	}
	return s.API.Add(ctx, b, c)
}

func (s *shared) StatusMany(ctx context.Context, b iysapi.Brand, rt iys.RecipientType, ch iys.Channel, list []string) ([]bool, error) {
	if b.BrandCode == s.bad {
		return failing{}.StatusMany(ctx, b, rt, ch, list)
	}
	return s.API.StatusMany(ctx, b, rt, ch, list)
}

// İYS fails for one brand: refusals of the others, over the same credential, do not wait behind its.
func TestOneBrandsFailureKeepsNobodyWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		api := &shared{API: w.api, bad: oddBrand}
		w.more = []exchange.Brand{
			{Brand: iysapi.Brand{IYSCode: oddBrand, BrandCode: oddBrand}, Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner}, API: api},
			{Brand: iysapi.Brand{IYSCode: partnerBrand, BrandCode: partnerBrand}, Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner}, API: api},
		}
		w.instead = true
		w.approveAt(1)
		pass(time.Minute)
		for n := range 50 {
			w.store.add(oddEntry(n, iys.StatusRejected))
		}
		w.store.add(w.entry(1, iys.StatusRejected))
		if _, err := w.x.Flush(t.Context()); err == nil {
			t.Error("a pass with a failing brand tells no error")
		}
		w.wantState(51, exchange.StateAccepted, "")
		if e := w.store.entry(1); !e.State.Open() {
			t.Errorf("the failing brand's: %+v", e)
		}
	})
}

// paged lists what a test gives, a page a call.
type paged struct {
	exchange.API
	pages []iysapi.Page
}

func (p *paged) Changes(_ context.Context, _ iysapi.Brand, src iysapi.ChangeSource, _ string, _ int) (iysapi.Page, error) {
	if src != iysapi.ChangesByPerson || len(p.pages) == 0 {
		return iysapi.Page{End: true}, nil
	}
	first := p.pages[0]
	p.pages = p.pages[1:]
	return first, nil
}

// What only the customer can write does not end with an old refusal that the listing takes back on its next page.
func TestAnOldRefusalSettlesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		move := func(s iys.Status, ago time.Duration) iysapi.Change {
			at := time.Now().Add(-ago).Truncate(time.Second)
			return iysapi.Change{Consent: iys.Consent{Key: oddKey(1), Status: s, Source: iys.SourceHSWeb, ConsentDate: at, CreationDate: at.Add(time.Minute), TransactionID: string(s) + at.String(), Origin: iys.OriginPull, ReadAt: time.Now()}}
		}
		api := &paged{pages: []iysapi.Page{{Changes: []iysapi.Change{move(iys.StatusRejected, 6*24*time.Hour)}, After: "1"}, {Changes: []iysapi.Change{move(iys.StatusApproved, 3*24*time.Hour)}, After: "2", End: true}}}
		w.odd(api)
		e := oddEntry(1, iys.StatusRejected)
		e.State = exchange.StateOwed
		w.store.add(e)
		pass(time.Hour)
		if err := w.x.PullAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantState(1, exchange.StateOwed, "")
		// Written after it was owed, with whatever date, it is.
		later := move(iys.StatusRejected, 2*time.Hour)
		later.CreationDate = time.Now()
		api.pages = []iysapi.Page{{Changes: []iysapi.Change{later}, After: "3", End: true}}
		if err := w.x.PullAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantState(1, exchange.StateAccepted, "")
	})
}
