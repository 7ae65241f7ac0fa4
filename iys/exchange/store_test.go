package exchange_test

import (
	"context"
	"errors"
	"slices"
	"sort"
	"sync"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

var errCrash = errors.New("crash")

// memStore is the durable side in memory. It survives the Exchange; a crash is
// a call that fails, and every call after it until revive.
type memStore struct {
	mu       sync.Mutex
	entries  map[uint64]exchange.Entry
	consents map[iys.Key]iys.Consent
	cursors  map[string]exchange.Cursor
	moves    map[string]iys.Consent
	requery  map[string]exchange.Requery
	comers   map[iys.Key]exchange.Newcomer
	lastID   uint64
	commits  int

	calls   int
	crashAt int  // call number, 0 = never
	after   bool // the crashing commit is stored, its answer lost
	dead    bool
}

func newStore() *memStore {
	return &memStore{entries: map[uint64]exchange.Entry{}, consents: map[iys.Key]iys.Consent{}, cursors: map[string]exchange.Cursor{},
		moves: map[string]iys.Consent{}, requery: map[string]exchange.Requery{}, comers: map[iys.Key]exchange.Newcomer{}}
}

// add is what the desk does in its own commit.
func (s *memStore) add(list ...exchange.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range list {
		s.lastID++
		e.ID = s.lastID
		s.entries[e.ID] = e
	}
}

func (s *memStore) revive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead, s.crashAt, s.calls = false, 0, 0
}

// enterLocked counts a call; it reports whether the call still works, and
// whether it fails afterwards.
func (s *memStore) enterLocked() (work bool, err error) {
	s.calls++
	if s.dead {
		return false, errCrash
	}
	if s.crashAt > 0 && s.calls == s.crashAt {
		s.dead = true
		return s.after, errCrash
	}
	return true, nil
}

func (s *memStore) Commit(_ context.Context, c exchange.Changes) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	work, err := s.enterLocked()
	if !work {
		return err
	}
	for _, e := range c.Entries {
		if e.ID == 0 {
			s.lastID++
			e.ID = s.lastID
		}
		s.entries[e.ID] = e
	}
	for _, r := range c.Consents {
		s.consents[r.Key] = r
	}
	for _, cur := range c.Cursors {
		s.cursors[cur.Brand+string(cur.Source)] = cur
	}
	for _, m := range c.Moves {
		s.moves[m.TransactionID+string(m.Status)] = m
	}
	for _, r := range c.Requeries {
		s.requery[r.Brand] = r
	}
	for _, n := range c.Newcomers {
		s.comers[n.Key] = n
	}
	s.commits++
	return err
}

func (s *memStore) filter(limit int, keep func(exchange.Entry) bool) []exchange.Entry {
	var out []exchange.Entry
	for _, e := range s.entries {
		if keep(e) {
			out = append(out, e)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].ID < out[j].ID })
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out
}

func ours(e exchange.Entry) bool {
	return e.State == exchange.StatePending || e.State == exchange.StateSent
}

func (s *memStore) DueEntries(_ context.Context, st iys.Status, now time.Time, limit int, skip ...string) ([]exchange.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.enterLocked(); err != nil {
		return nil, err
	}
	return s.filter(limit, func(e exchange.Entry) bool {
		return ours(e) && e.Status == st && !e.NextAt.After(now) && !slices.Contains(skip, e.Brand)
	}), nil
}

func (s *memStore) OpenEntries(_ context.Context, keys []iys.Key) ([]exchange.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.enterLocked(); err != nil {
		return nil, err
	}
	want := map[iys.Key]bool{}
	for _, k := range keys {
		want[k] = true
	}
	return s.filter(0, func(e exchange.Entry) bool { return ours(e) && want[e.Key] }), nil
}

func (s *memStore) OwedEntries(_ context.Context, keys []iys.Key) ([]exchange.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want := map[iys.Key]bool{}
	for _, k := range keys {
		want[k] = true
	}
	return s.filter(0, func(e exchange.Entry) bool { return e.State == exchange.StateOwed && want[e.Key] }), nil
}

func (s *memStore) OwedOf(_ context.Context, brand string, ch iys.Channel, after iys.Key, limit int) (out []exchange.Entry, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	place := func(k iys.Key) string { return string(k.RecipientType) + k.Recipient }
	list := s.filter(0, func(e exchange.Entry) bool {
		return e.State == exchange.StateOwed && e.Brand == brand && e.Channel == ch && place(e.Key) > place(after)
	})
	sort.SliceStable(list, func(i, j int) bool { return place(list[i].Key) < place(list[j].Key) })
	for _, e := range list {
		if len(out) >= limit && e.Key != out[len(out)-1].Key {
			break
		}
		out = append(out, e)
	}
	return out, nil
}

func (s *memStore) OpenEntry(_ context.Context, id uint64) (exchange.Entry, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[id]
	return e, ok && e.State.Open(), nil
}

func (s *memStore) AgedEntries(_ context.Context, t time.Time, limit int) ([]exchange.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.enterLocked(); err != nil {
		return nil, err
	}
	return s.filter(limit, func(e exchange.Entry) bool { return e.State.Open() && e.Received.Before(t) }), nil
}

func (s *memStore) OutboxAges(context.Context) (out []exchange.AgeCount, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.filter(0, func(e exchange.Entry) bool { return e.State.Open() }) {
		out = append(out, exchange.AgeCount{Received: e.Received, Deadline: e.Deadline, Entries: 1})
	}
	return out, nil
}

func (s *memStore) Consents(_ context.Context, keys []iys.Key) ([]iys.Consent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.enterLocked(); err != nil {
		return nil, err
	}
	out := make([]iys.Consent, len(keys))
	for i, k := range keys {
		out[i] = s.consents[k]
	}
	return out, nil
}

func (s *memStore) Cursor(_ context.Context, brand string, src iysapi.ChangeSource) (exchange.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.enterLocked(); err != nil {
		return exchange.Cursor{}, err
	}
	return s.cursors[brand+string(src)], nil
}

func (s *memStore) Requery(_ context.Context, brand string) (exchange.Requery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.enterLocked(); err != nil {
		return exchange.Requery{}, err
	}
	return s.requery[brand], nil
}

func (s *memStore) CountConsents(_ context.Context, brand string) (int, error) {
	list, err := s.ConsentsAfter(context.Background(), brand, iys.Key{}, 1<<30)
	return len(list), err
}

func (s *memStore) ConsentsAfter(_ context.Context, brand string, after iys.Key, limit int) ([]iys.Consent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.enterLocked(); err != nil {
		return nil, err
	}
	place := func(k iys.Key) string { return string(k.Channel) + string(k.RecipientType) + k.Recipient }
	var out []iys.Consent
	for _, c := range s.consents {
		if c.Brand == brand && place(c.Key) > place(after) {
			out = append(out, c)
		}
	}
	sort.Slice(out, func(i, j int) bool { return place(out[i].Key) < place(out[j].Key) })
	return out[:min(limit, len(out))], nil
}

// entry returns the entry with an id.
func (s *memStore) entry(id uint64) exchange.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.entries[id]
}

// open counts entries still to be sent.
func (s *memStore) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.filter(0, ours))
}

func (s *memStore) consent(k iys.Key) iys.Consent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.consents[k]
}
