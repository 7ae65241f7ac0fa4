package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/iys"
	"izinli/iys/exchange"
)

// The due index of the outbox: what is to be told İYS by the instant from which it may be told, so that a pass costs what it takes up
// and not what waits. Entries only the customer can write are not in it.

// outboxDueName marks a store that has the index, and one list of open entries for each address; the first ones had neither.
const outboxDueName = "outbox-due"

func outboxDuePrefix(st iys.Status) key {
	b := byte('r')
	if st == iys.StatusApproved {
		b = 'o'
	}
	return newKey(kOutboxDue, 17).u8(b)
}

// outboxDueKey places an entry; nil says that it has no place.
func outboxDueKey(e *exchange.Entry) key {
	if e.State != exchange.StatePending && e.State != exchange.StateSent {
		return nil
	}
	return outboxDuePrefix(e.Status).at(e.NextAt).u64(e.ID)
}

// placeOutbox moves an entry about to be written to its place in the index.
func (t *tx) placeOutbox(e *exchange.Entry) error {
	var from key
	v, err := t.get(outboxKey(e.ID))
	if err != nil {
		return err
	}
	if v != nil {
		var old exchange.Entry
		if err := json.Unmarshal(v, &old); err != nil {
			return fmt.Errorf("%w: outbox entry: %w", errCorrupt, err)
		}
		from = outboxDueKey(&old)
		t.countOutbox(&old, e)
	} else {
		t.countOutbox(nil, e)
	}
	to := outboxDueKey(e)
	if from != nil && !slices.Equal(from, to) {
		if err := t.del(from); err != nil {
			return err
		}
	}
	if to == nil || slices.Equal(from, to) {
		return nil
	}
	t.dueAdded(to)
	return t.set(to, []byte(e.Brand), 0)
}

// dueFront is where the first entry of one status may stand in the index: a pass would otherwise step over the remains of everything
// taken out before it, which the database keeps for a while. It is a lower bound and may lag behind.
type dueFront struct {
	mu    sync.Mutex
	front key    // nil: unknown, look from the start; guarded by mu
	added key    // the least that was added since the last look began; guarded by mu
	looks uint64 // guarded by mu
}

// begin says where to look from. The number goes to moved.
func (f *dueFront) begin() (from key, look uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	f.added = nil
	return f.front, f.looks
}

// moved notes what a look found first. What was committed while it looked counts, and of looks that overlap only the last: an earlier
// one no longer knows what was added since it began.
func (f *dueFront) moved(look uint64, first key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if look != f.looks {
		return
	}
	if f.front = first; f.added != nil && bytes.Compare(f.added, first) < 0 {
		f.front = f.added
	}
}

// add notes an entry after its commit.
func (f *dueFront) add(k key) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.added == nil || bytes.Compare(k, f.added) < 0 {
		f.added = k
	}
	if f.front != nil && bytes.Compare(k, f.front) < 0 {
		f.front = k
	}
}

// fronts of the two statuses of the index.
func (s *Store) front(statusByte byte) *dueFront {
	if statusByte == 'o' {
		return &s.dueApprovals
	}
	return &s.dueRefusals
}

// dueAdded notes a place that becomes taken with the commit.
func (t *tx) dueAdded(k key) {
	if t.dueFirst == nil {
		t.dueFirst = map[byte]key{}
	}
	if first, ok := t.dueFirst[k[1]]; !ok || bytes.Compare(k, first) < 0 {
		t.dueFirst[k[1]] = slices.Clone(k)
	}
}

// listOutbox adds an entry about to be written to the list of its address, or takes a finished one off. The list is one record, so that
// an address of which nothing is open costs a look at a filter.
func (t *tx) listOutbox(e *exchange.Entry) error {
	k := outboxOpenKey(e.Key)
	ids, err := t.get(k)
	if err != nil {
		return err
	}
	id := binary.BigEndian.AppendUint64(nil, e.ID)
	at := -1
	for i := 0; i+8 <= len(ids); i += 8 {
		if bytes.Equal(ids[i:i+8], id) {
			at = i
		}
	}
	switch open := e.State.Open(); {
	case open && at < 0:
		return t.set(k, append(slices.Clone(ids), id...), 0)
	case open || at < 0:
		return nil
	case len(ids) == 8:
		return t.del(k)
	}
	return t.set(k, slices.Delete(slices.Clone(ids), at, at+8), 0)
}

// DueEntries implements exchange.Store: of the entries that are due, those that have been for longest, lowest ID first. What is left out
// costs a look at the index.
func (s *Store) DueEntries(ctx context.Context, st iys.Status, now time.Time, limit int, leaveOut ...string) (out []exchange.Entry, err error) {
	prefix := outboxDuePrefix(st)
	f := s.front(prefix[1])
	from, look := f.begin()
	if from == nil {
		from = prefix
	}
	first := outboxDuePrefix(st).at(now) // where nothing is due
	seen := 0                            // of what is left out
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		it.Seek(from)
		if it.ValidForPrefix(prefix) && bytes.Compare(it.Item().Key(), first) < 0 {
			first = it.Item().KeyCopy(nil)
		}
		for ; it.ValidForPrefix(prefix) && len(out) < limit; it.Next() {
			k := it.Item().Key()
			if len(k) != 18 {
				return fmt.Errorf("%w: outbox index", errCorrupt)
			}
			if int64(binary.BigEndian.Uint64(k[2:])) > now.UnixMilli() {
				return nil
			}
			if skip, err := leftOut(it.Item(), leaveOut); err != nil || skip {
				if seen++; err == nil && seen%10_000 == 0 {
					err = ctx.Err()
				}
				if err != nil {
					return err
				}
				continue
			}
			e, ok, err := readOutbox(txn, binary.BigEndian.Uint64(k[10:]))
			if err != nil {
				return err
			}
			if ok && !e.NextAt.After(now) && !slices.Contains(leaveOut, e.Brand) {
				out = append(out, e)
			}
		}
		return ctx.Err()
	})
	if err == nil {
		f.moved(look, first)
	}
	slices.SortFunc(out, func(a, b exchange.Entry) int { return cmp.Compare(a.ID, b.ID) })
	return out, err
}

// leftOut reports whether a place in the index is of one of some brands. The first indexes did not name them: their entries are read.
func leftOut(place *badger.Item, brands []string) (out bool, err error) {
	if len(brands) == 0 {
		return false, nil
	}
	err = place.Value(func(brand []byte) error {
		out = slices.ContainsFunc(brands, func(b string) bool { return b == string(brand) })
		return nil
	})
	return out, err
}

func readOutbox(txn *badger.Txn, id uint64) (e exchange.Entry, ok bool, err error) {
	v, err := getValue(txn, outboxKey(id))
	if err != nil || v == nil {
		return e, false, err
	}
	if err := json.Unmarshal(v, &e); err != nil {
		return e, false, fmt.Errorf("%w: outbox entry: %w", errCorrupt, err)
	}
	return e, true, nil
}

// OutboxEnds counts how the finished entries ended: "accepted", "refused(H175)" …, with " unsent" behind what was judged here and never
// left. It reads all of them.
func (s *Store) OutboxEnds(ctx context.Context) (map[string]int, error) {
	out := map[string]int{}
	err := s.each(ctx, kOutboxDone, true, func(_, v []byte) error {
		var e struct {
			State    exchange.State
			Code     string
			Attempts int
		}
		if err := json.Unmarshal(v, &e); err != nil {
			return fmt.Errorf("%w: outbox entry: %w", errCorrupt, err)
		}
		name := string(e.State)
		if e.Code != "" {
			name += "(" + e.Code + ")"
		}
		if e.Attempts == 0 {
			name += " unsent"
		}
		out[name]++
		return nil
	})
	return out, err
}

// indexOutbox gives a store of before the index one. It is called while the store opens, by one goroutine.
func (s *Store) indexOutbox() error {
	if _, ok, err := s.Named(outboxDueName); err != nil || ok {
		return err
	}
	if err := s.db.DropPrefix([]byte{kOutboxOpen}, []byte{kOutboxDue}); err != nil {
		return fmt.Errorf("store: index of the outbox: %w", err)
	}
	w := s.db.NewWriteBatch()
	defer w.Cancel()
	open := map[string][]byte{} // few stores of that age have much in their outbox
	err := s.each(context.Background(), kOutbox, true, func(_, v []byte) error {
		var e exchange.Entry
		if err := json.Unmarshal(v, &e); err != nil {
			return fmt.Errorf("%w: outbox entry: %w", errCorrupt, err)
		}
		k := string(outboxOpenKey(e.Key))
		open[k] = binary.BigEndian.AppendUint64(open[k], e.ID)
		if k := outboxDueKey(&e); k != nil {
			return w.Set(k, []byte(e.Brand))
		}
		return nil
	})
	for k, ids := range open {
		if err == nil {
			err = w.Set([]byte(k), ids)
		}
	}
	if err == nil {
		err = w.Set(namedKey(outboxDueName), []byte{1})
	}
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return fmt.Errorf("store: index of the outbox: %w", err)
	}
	return nil
}
