package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
)

// What the exchange keeps beside consents and outbox: the movements of the last days as İYS registered them (its daily file is
// compared with ours), plans to ask anew, and the names of citizens who added themselves.

// movementLife is how long movements are kept: İYS lets a day be reconciled for seven days, and a plan may wait a while to be
// reviewed.
const movementLife = 15 * 24 * time.Hour

func movementPrefix(brand string, day uint32) key {
	return newKey(kMovement, 64+len(brand)).textZ(brand).u32(day)
}

// movementKey sorts like İYS's file of the day: creationDate, then transactionId (iys-api.md §11). Two movements of an address
// in one second share their id, and differ by status at least.
func movementKey(m *iys.Consent) key {
	status := byte('o')
	if m.Status != iys.StatusApproved {
		status = 'r'
	}
	return movementPrefix(m.Brand, dayOf(m.CreationDate)).u64(uint64(max(0, m.CreationDate.Unix()))).textZ(m.TransactionID).
		u8(channelByte(m.Channel)).u8(typeByte(m.RecipientType)).u8(status).text(m.Recipient)
}

// parseMovementKey gives back the address of a movement.
func parseMovementKey(brand string, k []byte) (iys.Key, error) {
	rest := k[min(len(k), 1+len(brand)+1+4+8):]
	end := bytes.IndexByte(rest, 0)
	if end < 0 || len(rest) < end+4 {
		return iys.Key{}, fmt.Errorf("%w: movement key", errCorrupt)
	}
	rest = rest[end+1:]
	return iys.Key{Brand: brand, Channel: channelOf(rest[0]), RecipientType: typeOf(rest[1]), Recipient: string(rest[3:])}, nil
}

func newcomerKey(a gateway.AccountID, k iys.Key) key {
	return newKey(kNewcomer, 8+len(k.Brand)+len(k.Recipient)).account(a).textZ(k.Brand).u8(channelByte(k.Channel)).u8(typeByte(k.RecipientType)).
		text(k.Recipient)
}

func requeryName(brand string) string { return "iys-requery/" + brand }

// putMovements writes what of a commit is kept here.
func (t *tx) putMovements(c *exchange.Changes) error {
	for i := range c.Moves {
		m := &c.Moves[i]
		if _, err := t.s.accountOf(m.Brand); err != nil || m.TransactionID == "" || m.CreationDate.IsZero() {
			continue // a brand that was removed, or no movement yet
		}
		if err := t.set(movementKey(m), encodeConsent(m), movementLife); err != nil {
			return err
		}
	}
	for i := range c.Requeries {
		v, err := json.Marshal(&c.Requeries[i])
		if err != nil {
			return err
		}
		if err := t.set(namedKey(requeryName(c.Requeries[i].Brand)), v, 0); err != nil {
			return err
		}
	}
	for i := range c.Newcomers {
		n := &c.Newcomers[i]
		a, err := t.s.accountOf(n.Brand)
		if err != nil {
			continue
		}
		v, err := json.Marshal(n)
		if err != nil {
			return err
		}
		if err := t.set(newcomerKey(a, n.Key), v, exchange.NewcomerLife); err != nil {
			return err
		}
	}
	return nil
}

// EachMovement visits the movements İYS registered for a brand on the Istanbul day of t, in the order of its daily file.
func (s *Store) EachMovement(ctx context.Context, brand string, t time.Time, yield func(iys.Consent) error) error {
	prefix := movementPrefix(brand, dayOf(t))
	return s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 1000})
		defer it.Close()
		n := 0
		for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
			if n++; n%10_000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			key, err := parseMovementKey(brand, it.Item().Key())
			if err != nil {
				return err
			}
			if err := it.Item().Value(func(v []byte) error {
				c, err := decodeConsent(key, v)
				if err != nil {
					return err
				}
				return yield(c)
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// ReplaceMovements implements reconcile.Store.
func (s *Store) ReplaceMovements(_ context.Context, drop, add []iys.Consent) error {
	return s.do(func(t *tx) error {
		for i := range drop {
			if err := t.del(movementKey(&drop[i])); err != nil {
				return fatal(err)
			}
		}
		return fatal(t.putMovements(&exchange.Changes{Moves: add}))
	})
}

// Requery implements exchange.Store.
func (s *Store) Requery(_ context.Context, brand string) (r exchange.Requery, err error) {
	v, ok, err := s.Named(requeryName(brand))
	if err != nil || !ok {
		return r, err
	}
	return r, json.Unmarshal(v, &r)
}

// ConsentsAfter implements exchange.Store.
func (s *Store) ConsentsAfter(_ context.Context, brand string, after iys.Key, limit int) (out []iys.Consent, err error) {
	a, err := s.accountOf(brand)
	if err != nil {
		return nil, nil
	}
	prefix := newKey(kConsent, 8+len(brand)).account(a).textZ(brand)
	from := prefix
	if after != (iys.Key{}) {
		from = consentKeyOf(a, after)
	}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: min(limit, 1000)})
		defer it.Close()
		for it.Seek(from); it.ValidForPrefix(prefix) && len(out) < limit; it.Next() {
			k := it.Item().Key()
			if bytes.Equal(k, from) {
				continue // the one before
			}
			rest := k[len(prefix):]
			if len(rest) < 3 {
				return fmt.Errorf("%w: consent key of brand %s", errCorrupt, brand)
			}
			key := iys.Key{Brand: brand, Channel: channelOf(rest[0]), RecipientType: typeOf(rest[1]), Recipient: string(rest[2:])}
			if err := it.Item().Value(func(v []byte) error {
				c, err := decodeConsent(key, v)
				out = append(out, c)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// CountConsents implements exchange.Store; it reads keys alone.
func (s *Store) CountConsents(ctx context.Context, brand string) (n int, err error) {
	a, err := s.accountOf(brand)
	if err != nil {
		return 0, nil
	}
	prefix := newKey(kConsent, 8+len(brand)).account(a).textZ(brand)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
			if n++; n%100_000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
		}
		return nil
	})
	return n, err
}

// Newcomers lists the citizens who added themselves to an account's brands within exchange.NewcomerLife, by brand and address,
// at most limit.
func (s *Store) Newcomers(_ context.Context, a gateway.AccountID, limit int) (out []exchange.Newcomer, err error) {
	prefix := newKey(kNewcomer, 4).account(a)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Seek(prefix); it.ValidForPrefix(prefix) && len(out) < limit; it.Next() {
			var n exchange.Newcomer
			if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &n) }); err != nil {
				return err
			}
			out = append(out, n)
		}
		return nil
	})
	return out, err
}
