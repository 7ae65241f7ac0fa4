package store

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// sweepLimit is how many batches one round of the sweep settles.
const sweepLimit = 2000

// settleAfter is when a batch with the default validity has to be settled, counted from its acceptance.
const settleAfter = gateway.DefaultValidity + gateway.MaxPast + gateway.UnknownAfter

// Sweep makes messages unknown whose receipt never came: 72 h after their validity. It reads batches once, in the order of
// their acceptance, plus those with another validity from their own index, and returns how many messages it settled.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	total := 0
	for ctx.Err() == nil {
		refs, cursors, err := s.sweepable()
		if err != nil || len(refs) == 0 {
			return total, err
		}
		for _, r := range refs {
			n, err := s.settle(r.ref)
			if err == nil {
				err = s.settleFlags(r.ref)
			}
			if err != nil {
				return total, err
			}
			total += n
		}
		if err := s.dropSettled(refs); err != nil {
			return total, err
		}
		for name, c := range cursors {
			if err := s.PutNamed(name, c); err != nil {
				return total, err
			}
		}
	}
	return total, ctx.Err()
}

// dropSettled removes the entries of the settle index that were looked at, in one commit.
func (s *Store) dropSettled(refs []sweepRef) error {
	return s.do(func(t *tx) error {
		for _, r := range refs {
			if r.key == nil {
				continue
			}
			if err := t.del(r.key); err != nil {
				return err
			}
		}
		return nil
	})
}

type sweepRef struct {
	ref gateway.BatchRef
	key key // entry of the settle index to remove afterwards
}

// sweepable lists what is due for settling: index entries, and batches by age from the position of the last sweep on.
func (s *Store) sweepable() (refs []sweepRef, cursors map[string][]byte, err error) {
	now := s.opt.Now()
	cursors = map[string][]byte{}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kSettle}})
		defer it.Close()
		for it.Rewind(); it.Valid() && len(refs) < sweepLimit; it.Next() {
			k := it.Item().KeyCopy(nil)
			if time.UnixMilli(int64(binary.BigEndian.Uint64(k[1:]))).After(now) {
				break
			}
			refs = append(refs, sweepRef{batchOfKey(k[8:]), k})
		}
		for a := range s.Directory().Accounts {
			if err := s.sweepAccount(txn, a, now, &refs, cursors); err != nil {
				return err
			}
		}
		return nil
	})
	return refs, cursors, err
}

func (s *Store) sweepAccount(txn *badger.Txn, a gateway.AccountID, now time.Time, refs *[]sweepRef, cursors map[string][]byte) error {
	name := "sweep/" + string(newKey('a', 4).account(a))
	pos, err := getValue(txn, namedKey(name))
	if err != nil {
		return err
	}
	var from gateway.BatchID
	if len(pos) == 8 {
		from = gateway.BatchID(binary.BigEndian.Uint64(pos)) + 1
	}
	c := newBatchCursor(txn, a, from, false)
	defer c.close()
	var last []byte
	for len(*refs) < sweepLimit && c.next() {
		ref := c.ref()
		if ref.Batch.Time().Add(settleAfter).After(now) {
			break
		}
		*refs = append(*refs, sweepRef{ref: ref})
		last = binary.BigEndian.AppendUint64(nil, uint64(ref.Batch))
	}
	if last != nil {
		cursors[name] = last
	}
	return c.err
}

// unsettled reports whether the message was sent and nobody will tell any more what became of it.
func (s *Store) unsettled(b *gateway.Batch, p *gateway.Progress, now time.Time) bool {
	return p.State == gateway.StateSent && !p.Open && !s.endsSent(b, p.Operator) && !b.ValidUntil.Add(gateway.UnknownAfter).After(now)
}

// settle makes the sent messages of a batch unknown when their time is over. Most batches have none, which is seen without the
// committer.
func (s *Store) settle(ref gateway.BatchRef) (int, error) {
	found := false
	now := s.opt.Now()
	if err := s.db.View(func(txn *badger.Txn) error {
		return eachStored(txn, ref, 0, func(m *stored) bool {
			found = s.unsettled(m.batch, &m.progress, now)
			return !found
		})
	}); err != nil || !found {
		return 0, err
	}
	var n blockCount
	err := s.eachMessage(ref, func(t *tx, b *gateway.Batch, id gateway.MessageID, r *gateway.Recipient, p *gateway.Progress) error {
		over := s.unsettled(b, p, t.now)
		n.add(id, over)
		if !over {
			return nil
		}
		p.State, p.Code = gateway.StateUnknown, ""
		if err := t.finish(id, b, r, p); err != nil {
			return err
		}
		if _, err := t.oweNotice(id, b, r, p, true, false); err != nil {
			return err
		}
		return t.save(id, p, nil)
	})
	return n.sum(), err
}
