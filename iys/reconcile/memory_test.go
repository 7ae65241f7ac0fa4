package reconcile_test

import (
	"context"
	"sort"
	"sync"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/reconcile"
)

// memory is the durable side of exchange and reconciler, in memory.
type memory struct {
	mu       sync.Mutex
	consents map[iys.Key]iys.Consent
	moves    map[string]iys.Consent
	cursors  map[string]exchange.Cursor
	entries  []exchange.Entry
	days     map[string]reconcile.Day
	plans    map[uint64]reconcile.Plan
	items    map[uint64]map[int]reconcile.Item
	proofs   map[string][]byte
}

func newMemory() *memory {
	return &memory{consents: map[iys.Key]iys.Consent{}, moves: map[string]iys.Consent{}, cursors: map[string]exchange.Cursor{}, days: map[string]reconcile.Day{},
		plans: map[uint64]reconcile.Plan{}, items: map[uint64]map[int]reconcile.Item{}, proofs: map[string][]byte{}}
}

func place(m *iys.Consent) string {
	return m.Brand + iys.FormatTime(m.CreationDate) + m.TransactionID + string(m.Channel) + string(m.Status) + m.Recipient
}

func (s *memory) Commit(_ context.Context, c exchange.Changes) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range c.Consents {
		s.consents[r.Key] = r
	}
	for _, m := range c.Moves {
		s.moves[place(&m)] = m
	}
	for _, cur := range c.Cursors {
		s.cursors[cur.Brand+string(cur.Source)] = cur
	}
	return nil
}

func (s *memory) DueEntries(context.Context, iys.Status, time.Time, int, ...string) ([]exchange.Entry, error) {
	return nil, nil
}
func (s *memory) OpenEntries(context.Context, []iys.Key) ([]exchange.Entry, error) { return nil, nil }
func (s *memory) OwedEntries(context.Context, []iys.Key) ([]exchange.Entry, error) { return nil, nil }
func (s *memory) OpenEntry(context.Context, uint64) (exchange.Entry, bool, error) {
	return exchange.Entry{}, false, nil
}
func (s *memory) OwedOf(context.Context, string, iys.Channel, iys.Key, int) ([]exchange.Entry, error) {
	return nil, nil
}
func (s *memory) AgedEntries(context.Context, time.Time, int) ([]exchange.Entry, error) {
	return nil, nil
}
func (s *memory) OutboxAges(context.Context) ([]exchange.AgeCount, error) { return nil, nil }
func (s *memory) Requery(context.Context, string) (exchange.Requery, error) {
	return exchange.Requery{}, nil
}
func (s *memory) ConsentsAfter(context.Context, string, iys.Key, int) ([]iys.Consent, error) {
	return nil, nil
}
func (s *memory) CountConsents(context.Context, string) (int, error) { return 0, nil }

func (s *memory) Consents(_ context.Context, keys []iys.Key) ([]iys.Consent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]iys.Consent, len(keys))
	for i, k := range keys {
		out[i] = s.consents[k]
		out[i].Key = k
	}
	return out, nil
}

func (s *memory) Cursor(_ context.Context, brand string, src iysapi.ChangeSource) (exchange.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cursors[brand+string(src)], nil
}

func (s *memory) EachMovement(_ context.Context, brand string, day time.Time, yield func(iys.Consent) error) error {
	s.mu.Lock()
	var keys []string
	for k, m := range s.moves {
		if m.Brand == brand && iys.FormatTime(m.CreationDate)[:10] == iys.FormatTime(day)[:10] {
			keys = append(keys, k)
		}
	}
	sort.Strings(keys)
	var list []iys.Consent
	for _, k := range keys {
		list = append(list, s.moves[k])
	}
	s.mu.Unlock()
	for _, m := range list {
		if err := yield(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *memory) ReplaceMovements(_ context.Context, drop, add []iys.Consent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range drop {
		delete(s.moves, place(&m))
	}
	for _, m := range add {
		s.moves[place(&m)] = m
	}
	return nil
}

func (s *memory) PutEntries(_ context.Context, list []exchange.Entry, _ string, _ []string) error {
	s.entries = append(s.entries, list...)
	return nil
}

func (s *memory) ReconciledDay(_ context.Context, brand, date string) (reconcile.Day, bool, error) {
	d, ok := s.days[brand+date]
	return d, ok, nil
}
func (s *memory) PutReconciledDay(_ context.Context, d reconcile.Day) error {
	s.days[d.Brand+d.Date] = d
	return nil
}
func (s *memory) PutPlan(_ context.Context, p reconcile.Plan) (reconcile.Plan, error) {
	if p.ID == 0 {
		p.ID = uint64(len(s.plans) + 1)
		s.items[p.ID] = map[int]reconcile.Item{}
	}
	s.plans[p.ID] = p
	return p, nil
}
func (s *memory) Plan(_ context.Context, id uint64) (reconcile.Plan, bool, error) {
	p, ok := s.plans[id]
	return p, ok, nil
}
func (s *memory) PutPlanItems(_ context.Context, id uint64, items []reconcile.Item) error {
	for _, it := range items {
		s.items[id][it.N] = it
	}
	return nil
}
func (s *memory) PlanItems(_ context.Context, id uint64, after, limit int) ([]reconcile.Item, error) {
	var out []reconcile.Item
	for n := after + 1; len(out) < limit; n++ {
		it, ok := s.items[id][n]
		if !ok {
			break
		}
		out = append(out, it)
	}
	return out, nil
}
func (s *memory) PutProof(_ context.Context, brand, date string, tsr []byte) error {
	s.proofs[brand+date] = tsr
	return nil
}
