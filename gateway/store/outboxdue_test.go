package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
)

// TestDueEntriesFollowTheirInstants: an entry is found when it is due and in no other state, also in a store that had no index.
func TestDueEntriesFollowTheirInstants(t *testing.T) {
	w := newWorld(t, 1)
	w.must(w.st.PutBrand(t.Context(), &gateway.Brand{Code: "675403", Account: w.acct}))
	list := make([]exchange.Entry, 6)
	for i := range list {
		list[i] = exchange.NewEntry(iys.Consent{Key: iys.Key{Brand: "675403", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
			Recipient: fmt.Sprintf("+90532000000%d", i)}, Status: iys.StatusApproved, Source: iys.SourceHSWeb, ConsentDate: w.now}, w.now, iys.DefaultCalendar())
	}
	list[5].Status = iys.StatusRejected
	w.must(w.st.PutEntries(t.Context(), list, "api", nil))
	list[1].State, list[1].NextAt = exchange.StateSent, w.now.Add(time.Minute+time.Nanosecond)
	list[2].State = exchange.StateOwed
	list[3].State = exchange.StateAccepted
	w.must(w.st.Commit(t.Context(), exchange.Changes{Entries: list}))
	check := func(why string, st iys.Status, at time.Time, limit int, want ...int) {
		t.Helper()
		got, err := w.st.DueEntries(t.Context(), st, at, limit)
		w.must(err)
		var have []uint64
		for _, e := range got {
			have = append(have, e.ID)
		}
		var ids []uint64
		for _, i := range want {
			ids = append(ids, list[i].ID)
		}
		if !slices.Equal(have, ids) {
			t.Errorf("%s: got %v, want %v", why, have, ids)
		}
	}
	look := func(why string) {
		t.Helper()
		check(why+", now", iys.StatusApproved, w.now, 10, 0, 4)
		check(why+", a nanosecond early", iys.StatusApproved, w.now.Add(time.Minute), 10, 0, 4)
		check(why+", later", iys.StatusApproved, w.now.Add(time.Minute+time.Nanosecond), 10, 0, 1, 4)
		check(why+", one", iys.StatusApproved, w.now, 1, 0)
		check(why+", refusals", iys.StatusRejected, w.now, 10, 5)
	}
	lists := func(why string, want ...int) {
		t.Helper()
		var keys []iys.Key
		for i := range list {
			keys = append(keys, list[i].Key)
		}
		got, err := w.st.OpenEntries(t.Context(), keys)
		w.must(err)
		if len(got) != len(want) {
			t.Fatalf("%s: %d entries are open, want %d", why, len(got), len(want))
		}
		for n, i := range want {
			if got[n].ID != list[i].ID {
				t.Errorf("%s: entry %d is %d, want %d", why, n, got[n].ID, list[i].ID)
			}
		}
	}
	look("written")
	lists("written", 0, 1, 4, 5)
	// A store of before the index.
	w.must(w.st.db.DropPrefix([]byte{kOutboxDue}, []byte{kOutboxOpen}))
	w.must(w.st.PutNamed(outboxDueName, nil))
	w.must(w.st.indexOutbox())
	look("indexed")
	lists("indexed", 0, 1, 4, 5)
	twice := list[0]
	twice.ID, twice.ConsentDate = 0, w.now.Add(time.Second)
	two := []exchange.Entry{twice}
	w.must(w.st.PutEntries(t.Context(), two, "api", nil))
	if got, err := w.st.OpenEntries(t.Context(), []iys.Key{twice.Key}); err != nil || len(got) != 2 {
		t.Errorf("two entries of an address: got %v %v", got, err)
	}
	list = append(list, two[0])
	for i := range list {
		list[i].State = exchange.StateSuperseded
	}
	w.must(w.st.Commit(t.Context(), exchange.Changes{Entries: list}))
	w.must(w.st.db.View(func(txn *badger.Txn) error {
		for _, kind := range []byte{kOutboxDue, kOutboxOpen} {
			if n := countPrefix(txn, kind, 10); n != 0 {
				t.Errorf("%d entries of index %c are left over", n, kind)
			}
		}
		return nil
	}))
}

// TestDueEntriesWithoutBrands: what waits for a brand that is left out does not stand before what waits for others, also in an index that
// does not name the brands yet.
func TestDueEntriesWithoutBrands(t *testing.T) {
	w := newWorld(t, 1)
	ctx := t.Context()
	var list []exchange.Entry
	for _, brand := range []string{"675403", "675404", "675405"} {
		w.must(w.st.PutBrand(ctx, &gateway.Brand{Code: brand, Account: w.acct}))
		for i := range 4 {
			list = append(list, exchange.NewEntry(iys.Consent{Key: iys.Key{Brand: brand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
				Recipient: fmt.Sprintf("+90532000000%d", i)}, Status: iys.StatusRejected, Source: iys.SourceHSWeb, ConsentDate: w.now}, w.now, iys.DefaultCalendar()))
		}
	}
	w.must(w.st.PutEntries(ctx, list, "api", nil))
	for _, why := range []string{"as written", "of before"} {
		if why == "of before" {
			w.must(w.st.db.Update(func(txn *badger.Txn) error {
				for i := range list {
					if err := txn.Set(outboxDueKey(&list[i]), nil); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		for _, c := range []struct {
			limit    int
			leaveOut []string
			from, to int
		}{{3, nil, 0, 3}, {3, []string{"675403"}, 4, 7}, {100, []string{"675405", "675403"}, 4, 8}, {2, []string{"675404", "675403"}, 8, 10},
			{100, []string{"675403", "675404", "675405"}, 0, 0}, {100, []string{"6754"}, 0, 12}} {
			got, err := w.st.DueEntries(ctx, iys.StatusRejected, w.now, c.limit, c.leaveOut...)
			w.must(err)
			if !slices.EqualFunc(got, list[c.from:c.to], func(a, b exchange.Entry) bool { return a.ID == b.ID }) {
				t.Errorf("%s: without %v: %d entries, want %d to %d", why, c.leaveOut, len(got), c.from, c.to)
			}
		}
	}
}
