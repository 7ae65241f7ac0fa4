package store

import (
	"context"
	"encoding/binary"
	"strconv"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// PutAudit appends one entry (JSON) of the administration's trail and returns after the sync.
func (s *Store) PutAudit(_ context.Context, entry []byte) error {
	return s.do(func(t *tx) error {
		return t.set(newKey(kAudit, 8).u64(t.s.nextSeq()), append([]byte(nil), entry...), t.s.opt.Retention)
	})
}

// Audits lists the trail newest first. The cursor is what the page before returned as Next.
func (s *Store) Audits(_ context.Context, cursor string, limit int) (page gateway.Page[[]byte], err error) {
	limit = pageSize(limit)
	start := newKey(kAudit, 8).u64(^uint64(0))
	if cursor != "" {
		seq, err := strconv.ParseUint(cursor, 36, 64)
		if err != nil || seq == 0 {
			return page, gateway.Refuse(gateway.CodeInvalid, "cursor", "the cursor is not one of ours")
		}
		start = newKey(kAudit, 8).u64(seq - 1)
	}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kAudit}, Reverse: true, PrefetchValues: true, PrefetchSize: limit})
		defer it.Close()
		for it.Seek(start); it.Valid(); it.Next() {
			if len(page.Items) == limit {
				return nil
			}
			v, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			page.Items = append(page.Items, v)
			page.Next = strconv.FormatUint(binary.BigEndian.Uint64(it.Item().Key()[1:]), 36)
		}
		page.Next = ""
		return nil
	})
	return page, err
}
