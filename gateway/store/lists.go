package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"strconv"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
)

// Blocks lists an account's blocks by brand, channel and address. The cursor is what the page before returned as Next; it holds an
// address.
func (s *Store) Blocks(_ context.Context, a gateway.AccountID, cursor string, limit int) (page gateway.Page[gateway.Block], err error) {
	limit = pageSize(limit)
	prefix := newKey(kBlockMark, 4).account(a)
	page.Items = []gateway.Block{}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: min(limit, 50)})
		defer it.Close()
		for it.Seek(append(append(key(nil), prefix...), cursor...)); it.ValidForPrefix(prefix); it.Next() {
			place := string(it.Item().Key()[len(prefix):])
			if place == cursor {
				continue
			}
			if len(page.Items) == limit {
				return nil
			}
			b := gateway.Block{Account: a}
			if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &b) }); err != nil {
				return err
			}
			b.Account = a
			page.Items, page.Next = append(page.Items, b), place
		}
		page.Next = ""
		return nil
	})
	return page, err
}

// Bookings lists what was booked for an account by hand, newest first: credits bought or taken back, with the note.
func (s *Store) Bookings(_ context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.Booking], error) {
	return newest(s, func(seq uint64) key { return creditKey(a, seq) }, cursor, limit, func(_, v []byte, b *gateway.Booking) error {
		d := dec{b: v}
		*b = gateway.Booking{At: d.time(), Credits: d.int(), Note: d.text()}
		return d.err("booking")
	})
}

// newest reads a page of an account's numbered records backwards; keyOf makes the key of a number, which is its last eight octets. The
// cursor is the number of the last record of the page before.
func newest[T any](s *Store, keyOf func(seq uint64) key, cursor string, limit int, read func(k, v []byte, x *T) error) (page gateway.Page[T], err error) {
	limit = pageSize(limit)
	start := keyOf(^uint64(0))
	if cursor != "" {
		seq, err := strconv.ParseUint(cursor, 36, 64)
		if err != nil || seq == 0 {
			return page, gateway.Refuse(gateway.CodeInvalid, "cursor", "the cursor is not one of ours")
		}
		start = keyOf(seq - 1)
	}
	prefix := start[:len(start)-8]
	page.Items = []T{}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true, PrefetchValues: true, PrefetchSize: min(limit, 50)})
		defer it.Close()
		for it.Seek(start); it.ValidForPrefix(prefix); it.Next() {
			if len(page.Items) == limit {
				return nil
			}
			var x T
			if err := it.Item().Value(func(v []byte) error { return read(it.Item().Key(), v, &x) }); err != nil {
				return err
			}
			page.Items = append(page.Items, x)
			page.Next = strconv.FormatUint(binary.BigEndian.Uint64(it.Item().Key()[len(prefix):]), 36)
		}
		page.Next = ""
		return nil
	})
	return page, err
}

// ConsentTotals counts the consents of a brand that are known here, by channel and status. It reads them all: a second or so per
// million.
func (s *Store) ConsentTotals(ctx context.Context, brand string) (map[iys.Channel]map[iys.Status]int, error) {
	a, err := s.accountOf(brand)
	if err != nil {
		return nil, err
	}
	out := map[iys.Channel]map[iys.Status]int{}
	from := newKey(kConsent, 8+len(brand)).account(a).textZ(brand)
	to := append(bytes.TrimSuffix(append(key(nil), from...), []byte{0}), 1)
	err = s.consentsBetween(ctx, from, to, func(c *iys.Consent) {
		if out[c.Channel] == nil {
			out[c.Channel] = map[iys.Status]int{}
		}
		out[c.Channel][c.Status]++
	})
	return out, err
}

// NewestInbound lists inbound messages newest first, for people; Inbound is for programs that poll.
func (s *Store) NewestInbound(_ context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.Inbound], error) {
	return newest(s, func(seq uint64) key { return inboundKey(a, seq) }, cursor, limit, func(_, v []byte, in *gateway.Inbound) error {
		return json.Unmarshal(v, in)
	})
}
