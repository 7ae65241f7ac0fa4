package store

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
)

// TestOutboxIsCountedRightly: whatever happens to entries, in one commit or in several, the counts are those of a full count, also after a
// restart and in a store that had none.
func TestOutboxIsCountedRightly(t *testing.T) {
	for seed := range uint64(3) {
		w := newWorld(t, seed)
		w.must(w.st.PutBrand(t.Context(), &gateway.Brand{Code: "675403", Account: w.acct}))
		r := rand.New(rand.NewPCG(seed, 7))
		var known []exchange.Entry
		for step := range 60 {
			known = w.outboxStep(r, known)
			switch {
			case step%20 == 19:
				w.reopen()
			case step == 33: // as if it came from before the counts
				w.must(w.st.db.DropPrefix(namedKey(outboxAgeName)))
				w.must(w.st.PutNamed(outboxAgesName, nil))
				w.reopen()
			}
			why := fmt.Sprintf("seed %d, step %d", seed, step)
			w.checkAges(why)
			w.checkDue(why, w.now.Add(time.Duration(r.IntN(200)-100)*time.Second))
		}
	}
}

// outboxStep makes, moves on and ends some entries.
func (w *world) outboxStep(r *rand.Rand, known []exchange.Entry) []exchange.Entry {
	w.t.Helper()
	states := []exchange.State{exchange.StatePending, exchange.StateSent, exchange.StateOwed, exchange.StateAccepted, exchange.StateSuperseded, exchange.StateRefused}
	var fresh []exchange.Entry
	for range r.IntN(6) {
		at := w.now.Add(-time.Duration(r.IntN(7*24)) * time.Hour)
		e := exchange.NewEntry(iys.Consent{Key: iys.Key{Brand: "675403", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
			Recipient: fmt.Sprintf("+90532%07d", r.IntN(40))}, Status: iys.StatusApproved, Source: iys.SourceHSWeb, ConsentDate: at}, at, iys.DefaultCalendar())
		e.State = states[r.IntN(3)]
		e.NextAt = w.now.Add(time.Duration(r.IntN(120)-60) * time.Second)
		if r.IntN(3) == 0 {
			e.NextAt, e.Status = time.Time{}, iys.StatusRejected
		}
		fresh = append(fresh, e)
	}
	w.must(w.st.PutEntries(w.t.Context(), fresh, "api", nil))
	known = append(known, fresh...)
	var changed []exchange.Entry
	for range r.IntN(8) {
		if len(known) == 0 {
			break
		}
		e := &known[r.IntN(len(known))] // the same one may be changed twice in a commit
		e.State = states[r.IntN(len(states))]
		e.NextAt = w.now.Add(time.Duration(r.IntN(120)-60) * time.Second)
		changed = append(changed, *e)
	}
	w.must(w.st.Commit(w.t.Context(), exchange.Changes{Entries: changed}))
	return known
}

// checkAges holds the counts in memory and on disk against the entries.
func (w *world) checkAges(why string) {
	w.t.Helper()
	var stored, counted map[outboxAge]outboxCount
	w.must(w.st.db.View(func(txn *badger.Txn) (err error) {
		if stored, err = storedAges(txn); err != nil {
			return err
		}
		counted, err = countedAges(txn)
		return err
	}))
	w.st.agesMu.Lock()
	memory := maps.Clone(w.st.ages)
	w.st.agesMu.Unlock()
	if !maps.Equal(memory, counted) || !maps.Equal(stored, counted) {
		w.t.Fatalf("%s: memory %v, disk %v, want %v", why, memory, stored, counted)
	}
	open, owed := 0, 0
	for _, c := range counted {
		open, owed = open+int(c.open), owed+int(c.owed)
	}
	if a, b := w.st.OutboxCounts(); a != open || b != owed {
		w.t.Fatalf("%s: %d open and %d owed, want %d and %d", why, a, b, open, owed)
	}
	list, err := w.st.AgedEntries(w.t.Context(), w.now.Add(time.Hour), 10_000)
	if err != nil || len(list) != open {
		w.t.Fatalf("%s: %d aged entries %v, want %d", why, len(list), err, open)
	}
}

// checkDue holds what is found due against every open entry.
func (w *world) checkDue(why string, at time.Time) {
	w.t.Helper()
	for _, st := range []iys.Status{iys.StatusApproved, iys.StatusRejected} {
		want, err := w.st.entries(w.t.Context(), 10_000, func(e *exchange.Entry) bool {
			return e.Status == st && e.State != exchange.StateOwed && !e.NextAt.After(at)
		})
		w.must(err)
		got, err := w.st.DueEntries(w.t.Context(), st, at, 10_000)
		w.must(err)
		if !slices.EqualFunc(got, want, func(a, b exchange.Entry) bool { return a.ID == b.ID }) {
			w.t.Fatalf("%s: %d entries of %s are found due, want %d", why, len(got), st, len(want))
		}
	}
}

// TestDueEntriesBesideWriters: nothing that is committed while somebody looks is passed over.
func TestDueEntriesBesideWriters(t *testing.T) {
	w := newWorld(t, 1)
	w.must(w.st.PutBrand(t.Context(), &gateway.Brand{Code: "675403", Account: w.acct}))
	const batches, each = 200, 5
	written := make(chan error, 1)
	go func() {
		for i := range batches {
			list := make([]exchange.Entry, each)
			for j := range list {
				list[j] = exchange.NewEntry(iys.Consent{Key: iys.Key{Brand: "675403", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
					Recipient: fmt.Sprintf("+90532%07d", i*each+j)}, Status: iys.StatusApproved, Source: iys.SourceHSWeb, ConsentDate: w.now}, w.now, iys.DefaultCalendar())
				list[j].NextAt = w.now.Add(-time.Duration(i*7919%1000) * time.Millisecond) // some before what was there
			}
			if err := w.st.PutEntries(context.Background(), list, "api", nil); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	drain := func() int {
		list, err := w.st.DueEntries(t.Context(), iys.StatusApproved, w.now, 50)
		w.must(err)
		for i := range list {
			list[i].State = exchange.StateAccepted
		}
		w.must(w.st.Commit(t.Context(), exchange.Changes{Entries: list}))
		return len(list)
	}
	found := 0
	for done := false; !done; {
		select {
		case err := <-written:
			w.must(err)
			done = true
		default:
			found += drain()
		}
	}
	for n := drain(); n > 0; n = drain() {
		found += n
	}
	if open, _ := w.st.OutboxCounts(); found != batches*each || open != 0 {
		t.Errorf("%d entries were found, %d are left; want %d and none", found, open, batches*each)
	}
}

// TestVerifyCountsTheOutbox: counts that are not the entries' are a problem.
func TestVerifyCountsTheOutbox(t *testing.T) {
	w := newWorld(t, 1)
	w.must(w.st.PutBrand(t.Context(), &gateway.Brand{Code: "675403", Account: w.acct}))
	w.must(w.st.PutEntries(t.Context(), exchange.OptOut("675403", iys.ChannelSMS, "+905320000001", iys.SourceHSWeb, w.now, iys.DefaultCalendar()), "api", nil))
	look := func() []string {
		t.Helper()
		r, err := w.st.Verify(t.Context())
		w.must(err)
		return r.Problems
	}
	if got := look(); len(got) > 0 {
		t.Fatalf("a whole store: %v", got)
	}
	w.must(w.st.db.Update(func(txn *badger.Txn) error {
		return txn.Set(outboxAgeKey(outboxAge{dayOf(w.now), iys.DefaultCalendar().Deadline(w.now).Unix()}), encodeOutboxCount(outboxCount{3, 0}))
	}))
	if got := look(); len(got) != 1 {
		t.Errorf("a wrong count: %v", got)
	}
}
