package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

// lowMemory is the least store.memory the configuration takes.
const lowMemory = 64 << 20

// lowWorld is a store with the least memory, with one brand.
func lowWorld(t *testing.T) *world {
	w := newWorld(t, 1)
	w.must(w.st.Close())
	st, err := Open(Options{Dir: w.dir, Key: testKey, Now: w.time, Gather: -1, Memory: lowMemory, Reserve: 1})
	w.must(err)
	w.st = st
	w.must(w.st.PutBrand(t.Context(), &gateway.Brand{Code: "675403", Account: w.acct}))
	return w
}

// approvals are entries as they come, with so many dealers each.
func (w *world) approvals(n, dealers int) []exchange.Entry {
	list := make([]exchange.Entry, n)
	for i := range list {
		c := iys.Consent{Key: iys.Key{Brand: "675403", Channel: iys.ChannelEmail, RecipientType: iys.RecipientPerson,
			Recipient: fmt.Sprintf("%07d.a.long.but.usual.name@mail.ornek.example", i)}, Status: iys.StatusApproved, Source: iys.SourceHSPhysical,
			ConsentDate: w.now}
		for d := range dealers {
			c.RetailerAccess = append(c.RetailerAccess, 99_990_000+d)
		}
		list[i] = exchange.NewEntry(c, w.now, iys.DefaultCalendar())
	}
	return list
}

// results makes of entries under way what the results of a batch make of them.
func (w *world) results(list []exchange.Entry) exchange.Changes {
	c := exchange.Changes{Entries: list}
	for i := range list {
		e := &list[i]
		e.State, e.TransactionID, e.CreationDate, e.Changed = exchange.StateAccepted, fmt.Sprintf("%064x", i), w.now, w.now
		c.Consents, c.Moves = append(c.Consents, e.Consent()), append(c.Moves, e.Consent())
	}
	return c
}

// A thousand results are more than a transaction where memory is short, and so are fewer with many dealers: they are stored all the
// same, as is everything else the exchange hands over by the thousand.
func TestThousandResultsInLittleMemory(t *testing.T) {
	for _, c := range []struct{ entries, dealers int }{{1000, 0}, {1000, 40}, {100, 3000}} {
		w := lowWorld(t)
		ctx := t.Context()
		list := w.approvals(c.entries, c.dealers)
		proof := make([]string, len(list))
		for i := range proof {
			proof[i] = strings.Repeat("<kanıt>", 250)
		}
		w.must(w.st.PutEntries(ctx, list, "api", proof))
		for i := range list {
			list[i].State, list[i].Batch, list[i].SentAt, list[i].Attempts = exchange.StateSent, true, w.now, 1
		}
		w.must(w.st.Commit(ctx, exchange.Changes{Entries: list}))
		for i := range list {
			list[i].RequestID, list[i].SubRequestID, list[i].NextAt = strings.Repeat("r", 36), strings.Repeat("s", 36), w.now.Add(5*time.Minute)
		}
		w.must(w.st.Commit(ctx, exchange.Changes{Entries: list}))
		w.must(w.st.Commit(ctx, w.results(list)))
		if open, _ := w.st.OutboxCounts(); open != 0 {
			t.Errorf("%+v: %d entries open after their results", c, open)
		}
		last := list[len(list)-1]
		got, ok, err := w.st.Consent(ctx, last.Key)
		if err != nil || !ok || got.Status != iys.StatusApproved || len(got.RetailerAccess) != c.dealers || got.TransactionID != last.TransactionID {
			t.Errorf("%+v: last consent %+v, %v", c, got, err)
		}
		h, err := w.st.History(ctx, "675403", iys.ChannelEmail, last.Recipient)
		w.must(err)
		if len(h) != 3 || h[0].Evidence != proof[0] { // queued, accepted, the record
			t.Errorf("%+v: %d lines of history, want 3", c, len(h))
		}
		n := 0
		w.must(w.st.EachMovement(ctx, "675403", w.now, func(iys.Consent) error { n++; return nil }))
		if n != len(list) {
			t.Errorf("%+v: %d movements, want %d", c, n, len(list))
		}
	}
}

// A page of a listing comes with its newcomers and a cursor.
func TestPageInLittleMemory(t *testing.T) {
	w := lowWorld(t)
	c := w.results(w.approvals(1000, 0))
	c.Entries = nil
	for i := range c.Consents {
		c.Consents[i].Origin = iys.OriginPull
		c.Newcomers = append(c.Newcomers, exchange.Newcomer{Key: c.Consents[i].Key, Name: "Ayşe " + strings.Repeat("Ş", 200), At: w.now})
	}
	c.Cursors = []exchange.Cursor{{Brand: "675403", Source: iysapi.ChangesByPerson, After: "17"}}
	w.must(w.st.Commit(t.Context(), c))
	cur, err := w.st.Cursor(t.Context(), "675403", iysapi.ChangesByPerson)
	if err != nil || cur.After != "17" {
		t.Errorf("cursor %+v, %v", cur, err)
	}
	if n, err := w.st.CountConsents(t.Context(), "675403"); err != nil || n != 1000 {
		t.Errorf("%d consents, %v, want 1000", n, err)
	}
}

// The pieces hold everything in order, each within the limit where it can be; what tells that work is done stands behind the work.
func TestCutChanges(t *testing.T) {
	w := lowWorld(t)
	whole := w.results(w.approvals(300, 7))
	whole.Entries[150].RetailerAccess = make([]int, 3000)
	whole.Newcomers = make([]exchange.Newcomer, 20)
	whole.Requeries = make([]exchange.Requery, 2)
	whole.Cursors = make([]exchange.Cursor, 2)
	for _, limit := range []int{1, 10_000, 100_000, w.st.maxPart(), 1 << 30} {
		parts := cutChanges(&whole, limit)
		var got exchange.Changes
		stage := 0
		for i, p := range parts {
			got.Consents, got.Moves, got.Newcomers = append(got.Consents, p.Consents...), append(got.Moves, p.Moves...), append(got.Newcomers, p.Newcomers...)
			got.Entries, got.Requeries, got.Cursors = append(got.Entries, p.Entries...), append(got.Requeries, p.Requeries...), append(got.Cursors, p.Cursors...)
			size, records := 0, 0
			for k, n := range []int{len(p.Consents), len(p.Moves), len(p.Newcomers), len(p.Entries), len(p.Requeries), len(p.Cursors)} {
				if n > 0 && k < stage {
					t.Fatalf("limit %d: piece %d goes back to kind %d after %d", limit, i, k, stage)
				}
				if n > 0 {
					stage = k
				}
				records += n
			}
			for k := range p.Consents {
				size += consentSize(&p.Consents[k])
			}
			for k := range p.Entries {
				size += entrySize(&p.Entries[k])
			}
			if records == 0 || records > 1 && size > limit {
				t.Fatalf("limit %d: piece %d has %d records of %d octets", limit, i, records, size)
			}
		}
		same := func(a, b iys.Consent) bool { return a.Key == b.Key }
		if !slices.EqualFunc(got.Consents, whole.Consents, same) || !slices.EqualFunc(got.Moves, whole.Moves, same) || len(got.Newcomers) != 20 ||
			!slices.EqualFunc(got.Entries, whole.Entries, func(a, b exchange.Entry) bool { return a.Key == b.Key }) ||
			len(got.Requeries) != 2 || len(got.Cursors) != 2 {
			t.Errorf("limit %d: the pieces do not add up to the whole", limit)
		}
		if limit == 1<<30 && len(parts) != 1 {
			t.Errorf("%d pieces of what fits one", len(parts))
		}
	}
	if parts := cutChanges(&exchange.Changes{}, 100); len(parts) != 0 {
		t.Errorf("nothing makes %d pieces", len(parts))
	}
}

// What a record is taken to cost is never less than what it costs.
func TestSizesAreUpperBounds(t *testing.T) {
	w := lowWorld(t)
	var old []exchange.Entry
	for _, dealers := range []int{0, 1, 3000} {
		for _, addr := range []string{"a@b.co", strings.Repeat("&", 64) + "@" + strings.Repeat("b", 190) + ".example"} {
			list := w.approvals(1, dealers)
			list[0].Recipient = addr
			c := w.results(list)
			c.Entries[0].Code, c.Entries[0].RequestID, c.Entries[0].SubRequestID = "H178", strings.Repeat("r", 36), strings.Repeat("s", 36)
			c.Newcomers = []exchange.Newcomer{{Key: list[0].Key, Name: strings.Repeat("<", 100), At: w.now}}
			open := c.Entries[0]
			open.State, open.NextAt = exchange.StateSent, w.now
			old = append(old, open)
			for _, one := range []struct {
				name string
				c    exchange.Changes
				want int
			}{
				{"open entry", exchange.Changes{Entries: old[len(old)-1:]}, entrySize(&open)}, // then finished, by its number
				{"finished entry", exchange.Changes{Entries: c.Entries}, entrySize(&c.Entries[0])},
				{"consent", exchange.Changes{Consents: c.Consents}, consentSize(&c.Consents[0])},
				{"movement", exchange.Changes{Moves: c.Moves}, moveSize(&c.Moves[0])},
				{"newcomer", exchange.Changes{Newcomers: c.Newcomers}, newcomerSize(&c.Newcomers[0])},
			} {
				c.Entries[0].ID = old[len(old)-1].ID
				w.must(w.st.do(func(tx *tx) error {
					before := tx.bytes
					err := tx.putChanges(&one.c)
					if got := tx.bytes - before; got > one.want || got == 0 {
						t.Errorf("%s with %d dealers, %d octets of address: %d octets, taken for %d", one.name, dealers, len(addr), got, one.want)
					}
					return err
				}))
			}
		}
	}
}
