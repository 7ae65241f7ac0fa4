package store

import (
	"context"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Batches lists an account's batches newest first, without their counts by state and reason, which cost a look at every message
// (Batch has them). The cursor is what the page before returned as Next.
func (s *Store) Batches(_ context.Context, a gateway.AccountID, cursor string, limit int) (page gateway.Page[gateway.BatchView], err error) {
	limit = pageSize(limit)
	from := ^gateway.BatchID(0)
	if cursor != "" {
		ref, err := gateway.ParseBatchRef(cursor)
		if err != nil || ref.Account != a {
			return page, gateway.Refuse(gateway.CodeInvalid, "cursor", "the cursor is not one of ours")
		}
		from = ref.Batch
	}
	page.Items = []gateway.BatchView{}
	err = s.db.View(func(txn *badger.Txn) error {
		c := newBatchCursor(txn, a, from, true)
		defer c.close()
		for c.next() {
			if c.ref().String() == cursor {
				continue
			}
			if len(page.Items) == limit {
				page.Next = page.Items[limit-1].ID.String()
				return nil
			}
			v, err := batchSummary(txn, c)
			if err != nil {
				return err
			}
			page.Items = append(page.Items, v)
		}
		return c.err
	})
	return page, err
}

// batchSummary is a batch without its counts.
func batchSummary(txn *badger.Txn, c *batchCursor) (v gateway.BatchView, err error) {
	ref := c.ref()
	flags, err := readFlags(txn, ref)
	if err != nil {
		return v, err
	}
	raw, err := c.value()
	if err != nil {
		return v, err
	}
	b, _, err := decodeHeader(raw, ref)
	if err != nil {
		return v, err
	}
	return gateway.BatchView{ID: ref, Channel: b.Channel, Class: b.Class, Brand: b.Brand, From: b.From, Created: b.Created(), SendAt: b.SendAt,
		ValidUntil: b.ValidUntil, Count: b.Count, Paused: flags&flagPaused != 0, Cancelled: flags&flagCancelled != 0}, nil
}
