package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"izinli/iys/reconcile"
)

// Days, plans and proofs of reconciliation (reconcile.Store). Proofs outlive what they prove: they are kept as long as decisions.

func planKey(id uint64) key { return newKey(kPlan, 8).u64(id) }

func planItemPrefix(id uint64) key { return newKey(kPlanItem, 12).u64(id) }

func dayKey(brand, date string) key {
	return newKey(kDay, len(brand)+1+len(date)).textZ(brand).text(date)
}

func proofKey(brand, date string) key {
	return newKey(kProof, len(brand)+1+len(date)).textZ(brand).text(date)
}

// readJSON reads one record; ok is false when there is none.
func readJSON[T any](s *Store, k key) (x T, ok bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, k)
		if err != nil || v == nil {
			return err
		}
		ok = true
		return json.Unmarshal(v, &x)
	})
	return x, ok, err
}

func (s *Store) writeJSON(k key, x any) error {
	v, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	return s.do(func(t *tx) error { return fatal(t.set(k, v, s.opt.Retention)) })
}

// ReconciledDay implements reconcile.Store.
func (s *Store) ReconciledDay(_ context.Context, brand, date string) (reconcile.Day, bool, error) {
	return readJSON[reconcile.Day](s, dayKey(brand, date))
}

// PutReconciledDay implements reconcile.Store.
func (s *Store) PutReconciledDay(_ context.Context, d reconcile.Day) error {
	return s.writeJSON(dayKey(d.Brand, d.Date), d)
}

// Plan implements reconcile.Store.
func (s *Store) Plan(_ context.Context, id uint64) (reconcile.Plan, bool, error) {
	return readJSON[reconcile.Plan](s, planKey(id))
}

// PutPlan implements reconcile.Store.
func (s *Store) PutPlan(_ context.Context, p reconcile.Plan) (reconcile.Plan, error) {
	if p.ID == 0 {
		p.ID = s.nextSeq()
	}
	return p, s.writeJSON(planKey(p.ID), p)
}

// PutPlanItems implements reconcile.Store.
func (s *Store) PutPlanItems(_ context.Context, id uint64, items []reconcile.Item) error {
	values := make([][]byte, len(items))
	for i := range items {
		v, err := json.Marshal(&items[i])
		if err != nil {
			return fmt.Errorf("store: plan item: %w", err)
		}
		values[i] = v
	}
	return s.do(func(t *tx) error {
		for i, v := range values {
			if err := t.set(planItemPrefix(id).u32(uint32(max(0, items[i].N))), v, s.opt.Retention); err != nil {
				return fatal(err)
			}
		}
		return nil
	})
}

// PlanItems implements reconcile.Store.
func (s *Store) PlanItems(_ context.Context, id uint64, after, limit int) (out []reconcile.Item, err error) {
	prefix := planItemPrefix(id)
	err = s.db.View(func(txn *badger.Txn) error {
		return collect(txn, prefix, planItemPrefix(id).u32(uint32(max(0, after))+1), limit, &out)
	})
	return out, err
}

// collect reads records in order of their keys, from a key on, at most limit.
func collect[T any](txn *badger.Txn, prefix, from key, limit int, out *[]T) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: min(limit, 100)})
	defer it.Close()
	for it.Seek(from); it.ValidForPrefix(prefix) && len(*out) < limit; it.Next() {
		var x T
		if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &x) }); err != nil {
			return fmt.Errorf("%w: %w", errCorrupt, err)
		}
		*out = append(*out, x)
	}
	return nil
}

// ReconciledDays lists the days of a brand, newest first, at most limit.
func (s *Store) ReconciledDays(_ context.Context, brand string, limit int) (out []reconcile.Day, err error) {
	prefix := newKey(kDay, len(brand)+1).textZ(brand)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 31, Reverse: true})
		defer it.Close()
		for it.Seek(append(prefix[:len(prefix):len(prefix)], 0xff)); it.ValidForPrefix(prefix) && len(out) < limit; it.Next() {
			var d reconcile.Day
			if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &d) }); err != nil {
				return fmt.Errorf("%w: %w", errCorrupt, err)
			}
			out = append(out, d)
		}
		return nil
	})
	return out, err
}

// PutProof implements reconcile.Store.
func (s *Store) PutProof(_ context.Context, brand, date string, tsr []byte) error {
	return s.do(func(t *tx) error { return fatal(t.set(proofKey(brand, date), tsr, s.opt.Retention)) })
}

// Proof returns the time stamp of an agreed day; ok is false when there is none.
func (s *Store) Proof(_ context.Context, brand, date string) (tsr []byte, ok bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		tsr, err = getValue(txn, proofKey(brand, date))
		return err
	})
	return tsr, tsr != nil, err
}
