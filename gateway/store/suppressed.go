package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// A full mailbox is suppressed only when it stays full: that many bounces within that time.
const (
	fullBounces = 5
	fullWithin  = 14 * 24 * time.Hour
	classFull   = "full"
)

// suppressions is the in-memory copy the roads ask: a hash per address, so that millions fit.
type suppressions struct {
	seed maphash.Seed
	mu   sync.RWMutex
	set  map[uint64]struct{} // guarded by mu
}

func (s *suppressions) hash(a gateway.AccountID, addr string) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_, _ = h.Write([]byte{byte(a), byte(a >> 8), byte(a >> 16), byte(a >> 24)})
	_, _ = h.WriteString(addr)
	return h.Sum64()
}

func (s *suppressions) note(a gateway.AccountID, addr string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if on {
		s.set[s.hash(a, addr)] = struct{}{}
	} else {
		delete(s.set, s.hash(a, addr))
	}
}

// storedSuppression is the JSON form of a record; Since is empty while it only counts.
type storedSuppression struct {
	gateway.Suppression
	Since []time.Time `json:"since,omitempty"` // bounces of a full mailbox that do not suppress yet
	Holds bool        `json:"holds"`
}

// Suppressed tells, from memory, whether mail of the account to the address came back for good.
func (s *Store) Suppressed(a gateway.AccountID, addr string) bool {
	s.suppressed.mu.RLock()
	defer s.suppressed.mu.RUnlock()
	if len(s.suppressed.set) == 0 {
		return false
	}
	_, ok := s.suppressed.set[s.suppressed.hash(a, addr)]
	return ok
}

func (s *Store) loadSuppressed(txn *badger.Txn) error {
	s.suppressed.seed, s.suppressed.set = maphash.MakeSeed(), map[uint64]struct{}{}
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kSuppressed}, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		var x storedSuppression
		if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &x) }); err != nil {
			return fmt.Errorf("%w: suppression", errCorrupt)
		}
		if x.Holds {
			s.suppressed.set[s.suppressed.hash(x.Account, x.Address)] = struct{}{}
		}
	}
	return nil
}

// suppress notes a bounce: at once for an address that does not exist, after several for a mailbox that is full.
func (t *tx) suppress(in *gateway.Suppression) error {
	k := suppressedKey(in.Account, in.Address)
	v, err := t.get(k)
	if err != nil {
		return err
	}
	rec := storedSuppression{Suppression: *in, Holds: true}
	var old storedSuppression
	if v != nil {
		if err := json.Unmarshal(v, &old); err != nil {
			return errFatal{fmt.Errorf("%w: suppression", errCorrupt)}
		}
		if old.Holds {
			return nil
		}
	}
	if in.Class == classFull {
		for _, at := range append(old.Since, in.At) {
			if t.now.Sub(at) < fullWithin {
				rec.Since = append(rec.Since, at)
			}
		}
		rec.Holds = len(rec.Since) >= fullBounces
	}
	if v, err = json.Marshal(rec); err != nil {
		return err
	}
	if rec.Holds {
		t.after(func() { t.s.suppressed.note(in.Account, in.Address, true) })
	}
	return t.set(k, v, 0)
}

// Suppress keeps mail of an account away from an address.
func (s *Store) Suppress(_ context.Context, x *gateway.Suppression) error {
	return s.do(func(t *tx) error { return t.suppress(x) })
}

// Unsuppress lets mail go to an address again; false when it was not suppressed.
func (s *Store) Unsuppress(_ context.Context, a gateway.AccountID, addr string) (was bool, err error) {
	err = s.do(func(t *tx) error {
		v, err := t.get(suppressedKey(a, addr))
		if was = v != nil; err != nil || v == nil {
			return err
		}
		t.after(func() { t.s.suppressed.note(a, addr, false) })
		return t.del(suppressedKey(a, addr))
	})
	return was, err
}

var errPageFull = errors.New("page full")

// Suppressions lists an account's suppressed addresses in their order. The cursor is an address.
func (s *Store) Suppressions(_ context.Context, a gateway.AccountID, cursor string, limit int) (page gateway.Page[gateway.Suppression], err error) {
	limit = pageSize(limit)
	prefix := newKey(kSuppressed, 4).account(a)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: min(limit, 100)})
		defer it.Close()
		start := suppressedKey(a, cursor)
		if cursor != "" {
			start = append(start, 0)
		}
		for it.Seek(start); it.ValidForPrefix(prefix); it.Next() {
			var x storedSuppression
			if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &x) }); err != nil {
				return fmt.Errorf("%w: suppression", errCorrupt)
			}
			if !x.Holds {
				continue
			}
			if len(page.Items) == limit {
				page.Next = page.Items[limit-1].Address
				return errPageFull
			}
			page.Items = append(page.Items, x.Suppression)
		}
		return nil
	})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	return page, err
}
