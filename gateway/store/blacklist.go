package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Blacklisted is one address on an account's blacklist.
type Blacklisted struct {
	Address string
	Note    string // why, as whoever put it there wrote; empty in records from before notes were kept
	At      time.Time
}

// PutBlacklist puts an address on the account's blacklist, or changes the note it stands there with.
func (s *Store) PutBlacklist(_ context.Context, a gateway.AccountID, addr, note string) error {
	return s.do(func(t *tx) error {
		var e enc
		e.time(t.now)
		e.text(note)
		return t.set(blacklistKey(a, addr), e, 0)
	})
}

// DeleteBlacklist takes an address off the account's blacklist.
func (s *Store) DeleteBlacklist(_ context.Context, a gateway.AccountID, addr string) error {
	return s.do(func(t *tx) error { return t.del(blacklistKey(a, addr)) })
}

// Blacklisted returns the entry of an address; false when it is not on the account's blacklist.
func (s *Store) Blacklisted(_ context.Context, a gateway.AccountID, addr string) (b Blacklisted, ok bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		raw, err := getValue(txn, blacklistKey(a, addr))
		if err != nil || raw == nil {
			return err
		}
		b, ok = Blacklisted{Address: addr}, true
		return b.decode(raw)
	})
	return b, ok, err
}

func (b *Blacklisted) decode(v []byte) error {
	d := dec{b: v}
	b.At = d.time()
	if len(d.b) > 0 {
		b.Note = d.text()
	}
	return d.err("blacklist")
}

// Blacklist lists an account's blacklist by address.
func (s *Store) Blacklist(_ context.Context, a gateway.AccountID, cursor string, limit int) (page gateway.Page[Blacklisted], err error) {
	limit = pageSize(limit)
	prefix := blacklistKey(a, "")
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: limit})
		defer it.Close()
		for it.Seek(blacklistKey(a, cursor)); it.ValidForPrefix(prefix); it.Next() {
			addr := string(it.Item().Key()[len(prefix):])
			if addr == cursor {
				continue
			}
			if len(page.Items) == limit {
				page.Next = page.Items[limit-1].Address
				return nil
			}
			b := Blacklisted{Address: addr}
			if err := it.Item().Value(b.decode); err != nil {
				return err
			}
			page.Items = append(page.Items, b)
		}
		return nil
	})
	return page, err
}

// EachBlacklisted is part of mirror.Source.
func (s *Store) EachBlacklisted(ctx context.Context, yield func(account, address string) error) error {
	return s.each(ctx, kBlacklist, false, func(k, _ []byte) error {
		if len(k) < 6 {
			return fmt.Errorf("%w: blacklist key", errCorrupt)
		}
		return yield(strconv.Itoa(int(beUint32(k[1:]))), string(k[5:]))
	})
}
