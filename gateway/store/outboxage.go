package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/iys"
	"izinli/iys/exchange"
)

// How much of the outbox is open, by the day from which its deadlines run. The numbers stand in a small record for each such day, written
// in the commits that change them, and in memory: a monitor that looks every few seconds must not read a million entries for it.

// outboxAgesName marks a store that keeps the numbers, outboxAgeName begins the names of their records.
const (
	outboxAgesName = "outbox-ages"
	outboxAgeName  = "outbox-age/"
)

// outboxAge is what entries that grow old together have in common: the Istanbul day of receipt, and the deadline (Unix seconds), which
// differs within a day only when the calendar was changed.
type outboxAge struct {
	day      uint32
	deadline int64
}

// outboxCount is how many of them are open, and how many of those only the customer can write.
type outboxCount struct{ open, owed int64 }

func ageOf(e *exchange.Entry) outboxAge { return outboxAge{dayOf(e.Received), e.Deadline.Unix()} }

func countOf(e *exchange.Entry) (c outboxCount) {
	if e.State.Open() {
		c.open = 1
	}
	if e.State == exchange.StateOwed {
		c.owed = 1
	}
	return c
}

func (c outboxCount) plus(d outboxCount) outboxCount {
	return outboxCount{c.open + d.open, c.owed + d.owed}
}

func (c outboxCount) minus(d outboxCount) outboxCount {
	return outboxCount{c.open - d.open, c.owed - d.owed}
}

func outboxAgeKey(a outboxAge) key {
	return namedKey(outboxAgeName).u32(a.day).u64(uint64(a.deadline))
}

func parseOutboxAge(k, v []byte) (a outboxAge, c outboxCount, err error) {
	k = bytes.TrimPrefix(k, namedKey(outboxAgeName))
	d := dec{b: v}
	c = outboxCount{d.int(), d.int()}
	if len(k) != 12 || d.err("count of the outbox") != nil {
		return a, c, fmt.Errorf("%w: count of the outbox", errCorrupt)
	}
	return outboxAge{binary.BigEndian.Uint32(k), int64(binary.BigEndian.Uint64(k[4:]))}, c, nil
}

// countOutbox notes the change of an entry; old is nil for a new one.
func (t *tx) countOutbox(old, e *exchange.Entry) {
	if t.ages == nil {
		t.ages = map[outboxAge]outboxCount{}
	}
	if old != nil {
		t.ages[ageOf(old)] = t.ages[ageOf(old)].minus(countOf(old))
	}
	t.ages[ageOf(e)] = t.ages[ageOf(e)].plus(countOf(e))
}

// flushAges writes the numbers that changed.
func (t *tx) flushAges() error {
	for a, change := range t.ages {
		if change == (outboxCount{}) {
			continue
		}
		k := outboxAgeKey(a)
		sum := t.s.agesOf(a).plus(change)
		if sum == (outboxCount{}) {
			if err := t.del(k); err != nil {
				return err
			}
			continue
		}
		if err := t.set(k, encodeOutboxCount(sum), 0); err != nil {
			return err
		}
	}
	return nil
}

func encodeOutboxCount(c outboxCount) []byte {
	var e enc
	e.int(c.open)
	e.int(c.owed)
	return e
}

func (s *Store) agesOf(a outboxAge) outboxCount {
	s.agesMu.Lock()
	defer s.agesMu.Unlock()
	return s.ages[a]
}

// noteAges carries the numbers of a synced transaction into memory.
func (s *Store) noteAges(changes map[outboxAge]outboxCount) {
	s.agesMu.Lock()
	defer s.agesMu.Unlock()
	for a, change := range changes {
		if s.ages[a] = s.ages[a].plus(change); s.ages[a] == (outboxCount{}) {
			delete(s.ages, a)
		}
	}
}

// OutboxCounts is how many entries are open, and how many of them only the customer can write.
func (s *Store) OutboxCounts() (open, owed int) {
	s.agesMu.Lock()
	defer s.agesMu.Unlock()
	for _, c := range s.ages {
		open, owed = open+int(c.open), owed+int(c.owed)
	}
	return open, owed
}

// OutboxAges implements exchange.Store.
func (s *Store) OutboxAges(context.Context) ([]exchange.AgeCount, error) {
	s.agesMu.Lock()
	defer s.agesMu.Unlock()
	out := make([]exchange.AgeCount, 0, len(s.ages))
	for a, c := range s.ages {
		out = append(out, exchange.AgeCount{Received: dayTime(a.day), Deadline: time.Unix(a.deadline, 0), Entries: int(c.open)})
	}
	return out, nil
}

// openBefore is an upper bound on the open entries received before t.
func (s *Store) openBefore(t time.Time) (n int) {
	s.agesMu.Lock()
	defer s.agesMu.Unlock()
	for a, c := range s.ages {
		if a.day <= dayOf(t) {
			n += int(c.open)
		}
	}
	return n
}

// dayTime is noon of an Istanbul day.
func dayTime(day uint32) time.Time {
	return time.Unix(int64(day)*86400+9*3600, 0).In(iys.Istanbul)
}

// loadAges reads the numbers while the store opens. A store of before them is counted once.
func (s *Store) loadAges() error {
	s.ages = map[outboxAge]outboxCount{}
	if _, ok, err := s.Named(outboxAgesName); err != nil {
		return err
	} else if !ok {
		return s.firstAges()
	}
	return s.db.View(func(txn *badger.Txn) error {
		ages, err := storedAges(txn)
		s.ages = ages
		return err
	})
}

func storedAges(txn *badger.Txn) (map[outboxAge]outboxCount, error) {
	out := map[outboxAge]outboxCount{}
	prefix := namedKey(outboxAgeName)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		if err := it.Item().Value(func(v []byte) error {
			a, c, err := parseOutboxAge(it.Item().Key(), v)
			out[a] = c
			return err
		}); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// countedAges reads every open entry.
func countedAges(txn *badger.Txn) (map[outboxAge]outboxCount, error) {
	out := map[outboxAge]outboxCount{}
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kOutbox}, PrefetchValues: true, PrefetchSize: 1000})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var e exchange.Entry
		if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &e) }); err != nil {
			return nil, fmt.Errorf("%w: outbox entry: %w", errCorrupt, err)
		}
		out[ageOf(&e)] = out[ageOf(&e)].plus(countOf(&e))
	}
	return out, nil
}

func (s *Store) firstAges() error {
	err := s.db.Update(func(txn *badger.Txn) (err error) {
		if s.ages, err = countedAges(txn); err != nil {
			return err
		}
		for a, c := range s.ages {
			if err := txn.Set(outboxAgeKey(a), encodeOutboxCount(c)); err != nil {
				return err
			}
		}
		return txn.Set(namedKey(outboxAgesName), []byte{1})
	})
	if err != nil {
		return fmt.Errorf("store: counts of the outbox: %w", err)
	}
	return nil
}

// verifyAges holds the numbers against the entries.
func verifyAges(txn *badger.Txn, r *Report) error {
	have, err := storedAges(txn)
	if err != nil {
		r.problem("outbox: %v", err)
		return nil
	}
	want, err := countedAges(txn)
	if err != nil {
		r.problem("outbox: %v", err)
		return nil
	}
	for a, c := range want {
		if have[a] != c {
			r.problem("outbox: %d entries of %s are open and %d owed by customers; the counts say %d and %d", c.open, dayText(a.day), c.owed, have[a].open,
				have[a].owed)
		}
		delete(have, a)
	}
	for a, c := range have {
		r.problem("outbox: the counts say %d entries of %s are open; there are none", c.open, dayText(a.day))
	}
	return nil
}
