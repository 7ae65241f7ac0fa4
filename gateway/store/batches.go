package store

import (
	"context"
	"encoding/binary"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Batches lists an account's batches newest first, without their counts by state and reason, which cost a look at every message
// (Batch has them). The cursor is what the page before returned as Next.
func (s *Store) Batches(_ context.Context, a gateway.AccountID, cursor string, limit int) (page gateway.Page[gateway.BatchView], err error) {
	limit = pageSize(limit)
	prefix := newKey(kBatch, 12).account(a)
	start := append(append(key(nil), prefix...), 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)
	if cursor != "" {
		ref, err := gateway.ParseBatchRef(cursor)
		if err != nil || ref.Account != a {
			return page, gateway.Refuse(gateway.CodeInvalid, "cursor", "the cursor is not one of ours")
		}
		start = batchKey(ref)
	}
	page.Items = []gateway.BatchView{}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true, PrefetchValues: true, PrefetchSize: min(limit, 50)})
		defer it.Close()
		for it.Seek(start); it.ValidForPrefix(prefix); it.Next() {
			ref := gateway.BatchRef{Account: a, Batch: gateway.BatchID(binary.BigEndian.Uint64(it.Item().Key()[5:]))}
			if ref.String() == cursor {
				continue
			}
			if len(page.Items) == limit {
				page.Next = page.Items[limit-1].ID.String()
				return nil
			}
			v, err := batchSummary(txn, it.Item(), ref)
			if err != nil {
				return err
			}
			page.Items = append(page.Items, v)
		}
		return nil
	})
	return page, err
}

// batchSummary is a batch without its counts.
func batchSummary(txn *badger.Txn, item *badger.Item, ref gateway.BatchRef) (v gateway.BatchView, err error) {
	flags, err := readFlags(txn, ref)
	if err != nil {
		return v, err
	}
	err = item.Value(func(raw []byte) error {
		b, _, err := decodeHeader(raw, ref)
		if err != nil {
			return err
		}
		v = gateway.BatchView{ID: ref, Channel: b.Channel, Class: b.Class, Brand: b.Brand, From: b.From, Created: b.Created(), SendAt: b.SendAt,
			ValidUntil: b.ValidUntil, Count: b.Count, Paused: flags&flagPaused != 0, Cancelled: flags&flagCancelled != 0}
		return nil
	})
	return v, err
}
