package store

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Parts of long messages (key kind P, see keys.go) wait here until their set is complete or too old.

// partsLife is an upper bound for forgotten sets. The doors give up after minutes; but parts were acknowledged, so they must
// also outlast a gateway that stands still for days.
const partsLife = 14 * 24 * time.Hour

func partPrefix(p gateway.PartSet) key {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%t\x00%d", p.Source, p.Dest, p.Reference, p.Wide, p.Total))
	k := newKey(kPart, 21).account(p.Account)
	return append(k, sum[:16]...)
}

// PutPart stores one part and returns after the sync; all is the whole set in order when this part completed it, nil before.
// A part that is there already is replaced by nothing: its id stays the first one's, which is written into p.
func (s *Store) PutPart(_ context.Context, p *gateway.Part) (all []gateway.Part, err error) {
	if p.Seq == 0 || p.Seq > p.Set.Total {
		return nil, gateway.Refuse(gateway.CodeInvalid, "udh", "part %d of %d does not exist", p.Seq, p.Set.Total)
	}
	if s.full.Load() && p.Set.Account != 0 { // a handset's part may be an opt-out, and those go on
		return nil, gateway.Refuse(gateway.CodeStorageFull, "", "")
	}
	err = s.do(func(t *tx) error {
		have, err := readParts(t.txn, partPrefix(p.Set))
		if err != nil {
			return err
		}
		for i := range have {
			if have[i].Seq == p.Seq {
				p.ID = have[i].ID
				return nil
			}
		}
		k := partPrefix(p.Set).u8(p.Seq)
		if err := t.set(k, encodePart(p), partsLife); err != nil {
			return err
		}
		if len(have)+1 < int(p.Set.Total) {
			return nil
		}
		all, err = readParts(t.txn, partPrefix(p.Set))
		return fatal(err)
	})
	return all, err
}

func encodePart(p *gateway.Part) []byte {
	var e enc
	e.text(p.Set.Source)
	e.text(p.Set.Dest)
	e.uint(uint64(p.Set.Reference))
	e.flag(p.Set.Wide)
	e.u8(p.Set.Total)
	e.text(p.ID)
	e.text(p.System)
	e.time(p.At)
	e.bytes(p.PDU)
	return e
}

func readParts(txn *badger.Txn, prefix key) ([]gateway.Part, error) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 10})
	defer it.Close()
	var out []gateway.Part
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		k := it.Item().Key()
		p := gateway.Part{Seq: k[len(k)-1]}
		p.Set.Account = gateway.AccountID(beUint32(k[1:]))
		if err := it.Item().Value(func(v []byte) error {
			d := dec{b: v}
			p.Set.Source, p.Set.Dest = d.text(), d.text()
			p.Set.Reference, p.Set.Wide, p.Set.Total = uint16(d.uint()), d.flag(), d.u8()
			p.ID, p.System, p.At, p.PDU = d.text(), d.text(), d.time(), d.bytes()
			return d.err("part")
		}); err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// OpenMO is OpenParts for messages from handsets, which belong to no account yet.
func (s *Store) OpenMO(ctx context.Context, before time.Time) ([][]gateway.Part, error) {
	return s.openParts(ctx, before, true)
}

// OpenParts returns every set stored by clients whose first stored part is older than the given time, complete or not: sets that came
// too slowly, and complete ones a crash left between their last part and their acceptance.
func (s *Store) OpenParts(ctx context.Context, before time.Time) ([][]gateway.Part, error) {
	return s.openParts(ctx, before, false)
}

func (s *Store) openParts(_ context.Context, before time.Time, mo bool) (sets [][]gateway.Part, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		all, err := readParts(txn, newKey(kPart, 0))
		if err != nil {
			return err
		}
		for i := 0; i < len(all); {
			j, oldest := i, all[i].At
			for ; j < len(all) && all[j].Set == all[i].Set; j++ {
				if all[j].At.Before(oldest) {
					oldest = all[j].At
				}
			}
			if oldest.Before(before) && (all[i].Set.Account == 0) == mo {
				sets = append(sets, all[i:j])
			}
			i = j
		}
		return nil
	})
	return sets, err
}

// FailParts gives a set up: its parts disappear and the receipts that say so are owed, in one commit.
func (s *Store) FailParts(_ context.Context, set gateway.PartSet, receipts []gateway.ReceiptDue) error {
	return s.do(func(t *tx) error {
		if err := t.dropParts(set); err != nil {
			return fatal(err)
		}
		for i := range receipts {
			if err := t.owe(&receipts[i]); err != nil {
				return fatal(err)
			}
		}
		return nil
	})
}

func (t *tx) dropParts(set gateway.PartSet) error {
	parts, err := readParts(t.txn, partPrefix(set))
	if err != nil {
		return err
	}
	for i := range parts {
		if err := t.del(partPrefix(set).u8(parts[i].Seq)); err != nil {
			return err
		}
	}
	return nil
}
