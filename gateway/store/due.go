package store

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Watch names the function told of new due entries after each commit, by lane and account with the earliest due time, by this
// machine's clock. It must not block.
func (s *Store) Watch(f func(gateway.Lane, gateway.AccountID, time.Time)) { s.wakeFn.Store(&f) }

// DueAccounts lists the accounts that have waiting entries in the lane, whatever their due time.
func (s *Store) DueAccounts(_ context.Context, lane gateway.Lane) ([]gateway.AccountID, error) {
	var out []gateway.AccountID
	prefix := newKey(kDue, 1).u8(byte(lane))
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Seek(prefix); it.ValidForPrefix(prefix); {
			a := gateway.AccountID(binary.BigEndian.Uint32(it.Item().Key()[2:]))
			out = append(out, a)
			if a == ^gateway.AccountID(0) {
				break
			}
			it.Seek(duePrefix(lane, a+1))
		}
		return nil
	})
	return out, err
}

// Due returns up to limit entries after the cursor (nil: from the start) that are due, in the order of their keys, and when
// the first one after those becomes due by this machine's clock (zero: none). No entry is ever committed behind a key that was passed: an immediate
// entry gets the clock of its transaction, and Due stops short of the clock of a transaction still open.
func (s *Store) Due(_ context.Context, lane gateway.Lane, a gateway.AccountID, after *gateway.DueRef, limit int) (refs []gateway.DueRef,
	next time.Time, err error) {
	// Like the entries' own, the bound has whole milliseconds, and later transactions begin no earlier, also when the clock is
	// set back: otherwise one could be written behind what is returned here.
	s.floorMu.Lock()
	now := s.tickLocked()
	bound := now
	if s.floor.Before(bound) {
		bound = s.floor
	}
	s.floorMu.Unlock()
	prefix := duePrefix(lane, a)
	start := prefix
	if after != nil {
		start = append(dueKey(*after), 0)
	}
	err = s.db.View(func(txn *badger.Txn) error {
		opt := badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: min(limit, 100)}
		it := txn.NewIterator(opt)
		defer it.Close()
		for it.Seek(start); it.ValidForPrefix(prefix); it.Next() {
			item := it.Item()
			var ref gateway.DueRef
			if err := item.Value(func(v []byte) (err error) { ref, err = parseDue(item.Key(), v); return err }); err != nil {
				return err
			}
			if !ref.Due.Before(bound) || len(refs) == limit {
				next = untilDue(ref.Due.Add(time.Millisecond), now)
				return nil
			}
			refs = append(refs, ref)
		}
		return nil
	})
	return refs, next, err
}

// Load reads what hand-off needs of the messages of the refs, span by span in their order.
func (s *Store) Load(_ context.Context, refs []gateway.DueRef) ([]gateway.Work, error) {
	out := make([]gateway.Work, 0, len(refs))
	cold := 0
	for i := range refs {
		for _, span := range refs[i].Spans() {
			w := gateway.Work{Ref: &refs[i], Span: span}
			if !s.recent.work(&w) {
				cold++
			}
			out = append(out, w)
		}
	}
	if cold == 0 {
		return out, nil
	}
	err := s.db.View(func(txn *badger.Txn) error {
		r := &batchReader{txn: txn}
		for i := range out {
			if out[i].Batch != nil {
				continue
			}
			if err := s.loadWork(r, &out[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

func (s *Store) loadWork(r *batchReader, w *gateway.Work) error {
	batch := gateway.BatchRef{Account: w.Ref.Account, Batch: w.Span.Batch}
	b, rs, _, err := r.block(batch, w.Span.First/gateway.BlockSize)
	if err != nil || b == nil {
		return err
	}
	if b.Count > gateway.BlockSize {
		s.recent.putBlock(b, w.Span.First/gateway.BlockSize, rs)
	}
	first := w.Span.First % gateway.BlockSize
	if int(first) > len(rs) {
		return nil
	}
	w.Batch = b
	w.Recipients = rs[first:min(int(first+w.Span.Count), len(rs))]
	w.Progress = make([]gateway.Progress, len(w.Recipients))
	return readProgress(r.txn, batch, w.Span.First, w.Progress)
}

// readProgress fills the progress of the messages from first on.
func readProgress(txn *badger.Txn, b gateway.BatchRef, first uint32, into []gateway.Progress) error {
	if len(into) == 1 { // most batches of a busy customer are single messages, and a look-up costs a fraction of an iterator
		v, err := getValue(txn, progressKey(b.Message(first)))
		if err == nil && v != nil {
			into[0], err = decodeProgress(v)
		}
		return err
	}
	prefix := newKey(kProgress, 12).batch(b)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Seek(progressKey(b.Message(first))); it.ValidForPrefix(prefix); it.Next() {
		item := it.Item()
		i := int64(binary.BigEndian.Uint32(item.Key()[13:])) - int64(first)
		if i >= int64(len(into)) {
			return nil
		}
		err := item.Value(func(v []byte) (err error) {
			into[i], err = decodeProgress(v)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readBlock reads a batch and one block of its recipients; a nil batch means there is none.
func readBlock(txn *badger.Txn, ref gateway.BatchRef, block uint32) (*gateway.Batch, []gateway.Recipient, gateway.DecisionRef, error) {
	r := batchReader{txn: txn}
	return r.block(ref, block)
}

// block is readBlock for a reader of many batches.
func (r *batchReader) block(ref gateway.BatchRef, block uint32) (*gateway.Batch, []gateway.Recipient, gateway.DecisionRef, error) {
	var at gateway.DecisionRef
	v, err := r.get(ref)
	if err != nil || v == nil {
		return nil, nil, at, err
	}
	b, inline, err := decodeHeader(v, ref)
	if err != nil {
		return nil, nil, at, err
	}
	if b.Count > gateway.BlockSize {
		if inline, err = getValue(r.txn, blockKey(ref, block)); err != nil || inline == nil {
			return nil, nil, at, err
		}
	}
	rs, at, err := decodeBlock(inline)
	return b, rs, at, err
}

func decodeHeader(v []byte, ref gateway.BatchRef) (*gateway.Batch, []byte, error) {
	d := dec{b: v}
	d.u8() // encoding version
	b := decodeBatch(&d, ref)
	inline := d.raw()
	return b, inline, d.err("batch")
}
