package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Parts of long messages (key kind P, see keys.go) wait here until their set is complete or too old.

// partsLife is an upper bound for forgotten sets. The doors give up after minutes; but parts were acknowledged, so they must
// also outlast a gateway that stands still for days.
const partsLife = 14 * 24 * time.Hour

// closedTurn marks the turn of a closed set in its key.
const closedTurn = 1 << 63

// partPrefix is what the keys of all sets of one name begin with.
func partPrefix(p gateway.PartSet) key {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d\x00%t\x00%d", p.Source, p.Dest, p.Reference, p.Wide, p.Total))
	k := newKey(kPart, 29).account(p.Account)
	return append(k, sum[:16]...)
}

func partKey(p *gateway.Part) key {
	k, turn := partPrefix(p.Set), p.Set.Turn
	if p.Set.Closed {
		turn |= closedTurn
	}
	if turn != 0 {
		k = k.u64(turn)
	}
	return k.u8(p.Seq)
}

// PutPart stores one part and returns after the sync; all is the whole set in order when this part completed it, nil before.
//
// A part that says the same as one that is there is a repetition and stored no second time: its id stays the first one's, which is
// written into p. One that says something else begins a new message, because senders use a reference again: a set that is whole
// goes its way under its own turn, and one that is not is closed in the same commit, for OpenParts or OpenMO to hand out.
//
// The repetition of a handset's part whose set is whole is answered with the set: whoever was to join it has failed to.
func (s *Store) PutPart(_ context.Context, p *gateway.Part) (all []gateway.Part, err error) {
	if p.Seq == 0 || p.Seq > p.Set.Total {
		return nil, gateway.Refuse(gateway.CodeInvalid, "udh", "part %d of %d does not exist", p.Seq, p.Set.Total)
	}
	if s.full.Load() && p.Set.Account != 0 { // a handset's part may be an opt-out, and those go on
		return nil, gateway.Refuse(gateway.CodeStorageFull, "", "")
	}
	id := p.ID
	err = s.do(func(t *tx) error {
		p.ID, all = id, nil // it may be run again
		have, err := readParts(t.txn, partPrefix(p.Set))
		if err != nil {
			return err
		}
		var open []gateway.Part // of the one set that others may join
		for _, set := range bySet(have) {
			for i := range set {
				if !p.Repeats(&set[i]) {
					continue
				}
				p.ID = set[i].ID
				if p.Set.Account == 0 && len(set) == int(p.Set.Total) {
					all = set
				}
				return nil
			}
			if !set[0].Set.Closed && len(set) < int(p.Set.Total) {
				open = set
			}
		}
		all, err = t.putPart(p, open)
		return fatal(err)
	})
	return all, err
}

// putPart puts a new part into the open set of its name, or into a new one.
func (t *tx) putPart(p *gateway.Part, open []gateway.Part) (all []gateway.Part, err error) {
	if slices.ContainsFunc(open, func(q gateway.Part) bool { return q.Seq == p.Seq }) {
		if err := t.closeSet(open); err != nil {
			return nil, err
		}
		open = nil
	}
	one := *p
	one.Set = p.Set.Name()
	if one.Set.Turn = t.s.nextSeq(); len(open) > 0 {
		one.Set.Turn = open[0].Set.Turn
	}
	if err := t.set(partKey(&one), encodePart(&one), partsLife); err != nil {
		return nil, err
	}
	if len(open)+1 < int(p.Set.Total) {
		return nil, nil
	}
	all = append(slices.Clone(open), one)
	slices.SortFunc(all, func(x, y gateway.Part) int { return cmp.Compare(x.Seq, y.Seq) })
	return all, nil
}

// closeSet takes a set out of the reach of further parts.
func (t *tx) closeSet(parts []gateway.Part) error {
	for i := range parts {
		p := parts[i]
		if err := t.del(partKey(&p)); err != nil {
			return err
		}
		p.Set.Closed = true
		if err := t.set(partKey(&p), encodePart(&p), partsLife); err != nil {
			return err
		}
	}
	return nil
}

// bySet divides parts by their sets; those of a set stay in order.
func bySet(all []gateway.Part) (sets [][]gateway.Part) {
	at := map[gateway.PartSet]int{}
	for i := range all {
		k, ok := at[all[i].Set]
		if !ok {
			k = len(sets)
			at[all[i].Set], sets = k, append(sets, nil)
		}
		sets[k] = append(sets[k], all[i])
	}
	return sets
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
	e.bytes(p.Content[:])
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
		if len(k) == 30 { // the sets of older stores have no turn
			turn := binary.BigEndian.Uint64(k[21:])
			p.Set.Turn, p.Set.Closed = turn&^closedTurn, turn&closedTurn != 0
		}
		if err := it.Item().Value(func(v []byte) error {
			d := dec{b: v}
			p.Set.Source, p.Set.Dest = d.text(), d.text()
			p.Set.Reference, p.Set.Wide, p.Set.Total = uint16(d.uint()), d.flag(), d.u8()
			p.ID, p.System, p.At, p.PDU = d.text(), d.text(), d.time(), d.bytes()
			if len(d.b) > 0 {
				copy(p.Content[:], d.raw())
			}
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

// OpenParts returns every set stored by clients that is closed, or whose first stored part is older than the given time, complete or
// not: sets that came too slowly, and complete ones a crash left between their last part and their acceptance.
func (s *Store) OpenParts(ctx context.Context, before time.Time) ([][]gateway.Part, error) {
	return s.openParts(ctx, before, false)
}

func (s *Store) openParts(_ context.Context, before time.Time, mo bool) (sets [][]gateway.Part, err error) {
	var all []gateway.Part
	err = s.db.View(func(txn *badger.Txn) error {
		all, err = readParts(txn, newKey(kPart, 0))
		return err
	})
	for _, set := range bySet(all) {
		old := set[0].Set.Closed || slices.ContainsFunc(set, func(p gateway.Part) bool { return p.At.Before(before) })
		if old && (set[0].Set.Account == 0) == mo {
			sets = append(sets, set)
		}
	}
	return sets, err
}

// Parts returns the parts of a set as it stands, in order; none if it is gone.
func (s *Store) Parts(_ context.Context, set gateway.PartSet) (parts []gateway.Part, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		parts, err = readSet(txn, set)
		return err
	})
	return parts, err
}

func readSet(txn *badger.Txn, set gateway.PartSet) ([]gateway.Part, error) {
	parts, err := readParts(txn, partPrefix(set))
	return slices.DeleteFunc(parts, func(p gateway.Part) bool { return p.Set != set }), err
}

// FailParts gives parts of a set up: these parts, and no other that came meanwhile, disappear, and the receipts that say so are
// owed, in one commit.
func (s *Store) FailParts(_ context.Context, parts []gateway.Part, receipts []gateway.ReceiptDue) error {
	return s.do(func(t *tx) error {
		for i := range parts {
			if err := t.del(partKey(&parts[i])); err != nil {
				return fatal(err)
			}
		}
		for i := range receipts {
			if err := t.owe(&receipts[i]); err != nil {
				return fatal(err)
			}
		}
		return nil
	})
}

// dropParts removes a whole set, which nothing joins any more.
func (t *tx) dropParts(set gateway.PartSet) error {
	parts, err := readSet(t.txn, set)
	if err != nil {
		return err
	}
	for i := range parts {
		if err := t.del(partKey(&parts[i])); err != nil {
			return err
		}
	}
	return nil
}
