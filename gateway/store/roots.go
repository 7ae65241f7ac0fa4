package store

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/gateway/evidence"
)

// The roots of the decision chain: a day that is over is sealed, its roots are written down for good and told to the log. They outlive
// the decisions, and what was exported of them elsewhere cannot be changed here.

// sealAfter is how long after midnight (Istanbul) a day is sealed: no transaction that began in it is still open then.
const sealAfter = 10 * time.Minute

// sealedName is the store's note of the last day that was looked at.
const sealedName = "sealed-until"

func rootKey(day uint32) key { return newKey(kRoot, 4).u32(day) }

func dayStart(day uint32) time.Time { return time.Unix(int64(day)*86400-3*3600, 0) }

// closed reports whether a day is over for good.
func (s *Store) closed(day uint32) bool {
	return !s.opt.Now().Before(dayStart(day + 1).Add(sealAfter))
}

// SealDays writes the roots of the days that are over since it ran last, and returns them.
func (s *Store) SealDays(ctx context.Context) (out []evidence.DayRoot, err error) {
	day, err := s.firstUnsealed()
	for ; err == nil && day != 0 && s.closed(day) && ctx.Err() == nil; day++ {
		var d evidence.DayRoot
		if d, err = s.dayRoot(day); err != nil {
			return out, err
		}
		if len(d.Accounts) == 0 { // nothing was decided
			err = s.PutNamed(sealedName, binary.BigEndian.AppendUint32(nil, day))
			continue
		}
		var v []byte
		if v, err = json.Marshal(&d); err != nil {
			return out, err
		}
		if err = s.do(func(t *tx) error {
			if err := t.set(rootKey(day), v, 0); err != nil {
				return err
			}
			return t.set(namedKey(sealedName), binary.BigEndian.AppendUint32(nil, day), 0)
		}); err == nil {
			s.log.Info("decisions of a day sealed", "day", d.Day, "accounts", len(d.Accounts), "root", d.Root)
			out = append(out, d)
		}
	}
	return out, err
}

// firstUnsealed is the day behind the last sealed one, or that of the first decision there is; 0 when there is none.
func (s *Store) firstUnsealed() (first uint32, err error) {
	v, ok, err := s.Named(sealedName)
	if err != nil {
		return 0, err
	}
	if ok && len(v) == 4 {
		return binary.BigEndian.Uint32(v) + 1, nil
	}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kChain}})
		defer it.Close()
		for a := range s.Directory().Accounts {
			prefix := newKey(kChain, 4).account(a)
			if it.Seek(prefix); it.ValidForPrefix(prefix) {
				if day, _ := chainPlace(it.Item().Key()); first == 0 || day < first {
					first = day
				}
			}
		}
		return nil
	})
	return first, err
}

// dayRoot computes the roots of a day from its records. Accounts whose records of it have expired in part are left out.
func (s *Store) dayRoot(day uint32) (evidence.DayRoot, error) {
	d := evidence.DayRoot{Day: dayText(day), Closed: s.closed(day), Accounts: []evidence.Root{}}
	err := s.db.View(func(txn *badger.Txn) error {
		for _, a := range slices.Sorted(maps.Keys(s.Directory().Accounts)) {
			hashes, whole, err := dayHashes(txn, a, day)
			if err != nil {
				return err
			}
			if len(hashes) == 0 || !whole {
				continue
			}
			top, head := evidence.Top(hashes), hashes[len(hashes)-1]
			d.Accounts = append(d.Accounts, evidence.Root{Account: a, Records: len(hashes), Root: hex.EncodeToString(top[:]), Head: hex.EncodeToString(head[:])})
		}
		return nil
	})
	if err != nil {
		return d, err
	}
	return d, d.Seal()
}

// dayHashes are the hashes of an account's records of a day; whole says that none is missing in front or in between.
func dayHashes(txn *badger.Txn, a gateway.AccountID, day uint32) (hashes []evidence.Hash, whole bool, err error) {
	prefix := newKey(kChain, 8).account(a).u32(day)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	whole = true
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		k := it.Item().KeyCopy(nil)
		if _, seq := chainPlace(k); int(seq) != len(hashes) {
			whole = false
		}
		if err := it.Item().Value(func(v []byte) error {
			hashes = append(hashes, chainHash(k, v))
			return nil
		}); err != nil {
			return nil, false, err
		}
	}
	return hashes, whole, nil
}

// maxRootDays bounds one Roots.
const maxRootDays = 1200

// Roots lists the roots of the days from from to to (Istanbul): as they were sealed, or computed now. Days without decisions are left
// out.
func (s *Store) Roots(ctx context.Context, from, to time.Time) (out []evidence.DayRoot, err error) {
	first, last := dayOf(from), dayOf(to)
	if last < first || last-first >= maxRootDays {
		return nil, gateway.Refuse(gateway.CodeInvalid, "to", "Between the two days may lie up to %d days, and the second may not come first.", maxRootDays)
	}
	for day := first; day <= min(last, dayOf(s.opt.Now())); day++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d, ok, err := s.sealedRoot(day)
		if err == nil && !ok {
			d, err = s.dayRoot(day)
		}
		if err != nil {
			return nil, err
		}
		if len(d.Accounts) > 0 {
			out = append(out, d)
		}
	}
	return out, nil
}

// sealedRoot reads what was written down of a day.
func (s *Store) sealedRoot(day uint32) (d evidence.DayRoot, ok bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, rootKey(day))
		if err != nil || v == nil {
			return err
		}
		ok = true
		if err := json.Unmarshal(v, &d); err != nil {
			return fmt.Errorf("%w: roots of %s", errCorrupt, dayText(day))
		}
		return nil
	})
	return d, ok, err
}

// verifyRoots holds the sealed roots against the records they were made of.
func (s *Store) verifyRoots(ctx context.Context, r *Report) error {
	var sealed []evidence.DayRoot
	err := s.each(ctx, kRoot, true, func(k, v []byte) error {
		var d evidence.DayRoot
		if err := json.Unmarshal(v, &d); err != nil || len(k) != 5 || d.Day != dayText(beUint32(k[1:])) {
			r.problem("the roots of a day cannot be read: %v", err)
			return nil
		}
		sealed = append(sealed, d)
		return nil
	})
	for i := 0; i < len(sealed) && err == nil; i++ {
		d := sealed[i]
		root := d.Root
		if serr := d.Seal(); serr != nil || d.Root != root {
			r.broken(gateway.ChainBreak{Day: d.Day, What: "the root of the day does not follow from those of its accounts"})
		}
		if err = s.verifyDay(&d, r); err == nil {
			err = ctx.Err()
		}
	}
	return err
}

func (s *Store) verifyDay(d *evidence.DayRoot, r *Report) error {
	at, err := time.Parse(time.DateOnly, d.Day)
	if err != nil {
		return err
	}
	day := uint32(at.Unix() / 86400)
	return s.db.View(func(txn *badger.Txn) error {
		for _, root := range d.Accounts {
			hashes, whole, err := dayHashes(txn, root.Account, day)
			if err != nil {
				return err
			}
			if s.expired(day) && (!whole || len(hashes) < root.Records) {
				continue // by retention
			}
			if top := evidence.Top(hashes); len(hashes) != root.Records || hex.EncodeToString(top[:]) != root.Root {
				r.broken(gateway.ChainBreak{Account: root.Account, Day: d.Day,
					What: fmt.Sprintf("the day was sealed with %d records and root %s; now it has %d and another root", root.Records, root.Root, len(hashes))})
			}
			r.Roots++
		}
		return nil
	})
}
