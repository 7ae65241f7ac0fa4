package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/klauspost/compress/s2"

	"izinli/gateway"
)

// A busy customer's submissions are single messages, hundreds in a transaction. A record each costs the store more than their octets do:
// an entry in its log, its memory and its tables. So a transaction writes the small batches it accepts as pages, in the order of their
// ids. No two pages of an account overlap: a batch whose id is older than the last page's (its acceptance was overtaken) gets a record
// of its own, as does every batch that is large, waits long, or is written again. A record of its own comes before a page.

const (
	// Bounds of a page, so that reading one batch out of it stays cheap.
	batchPageCount = 64
	batchPageBytes = 16 << 10
	// batchPageMost bounds what a damaged page can make of itself.
	batchPageMost = 1 << 20
	// batchPageItem is how large a batch may be, in octets, to stand in a page.
	batchPageItem = 2 << 10
	// batchPageWait is how long a batch may wait for its time: a page is kept as long as the longest of its batches.
	batchPageWait = 24 * time.Hour
)

// pagedBatch is a batch in a page, with its record.
type pagedBatch struct {
	id  gateway.BatchID
	raw []byte
}

// putBatch writes the record of a batch that the transaction accepts.
func (t *tx) putBatch(p *pendingBatch, v []byte) error {
	a := p.ref.Account
	if len(p.Recipients) > gateway.BlockSize || len(v) > batchPageItem || p.Batch.SendAt.Sub(t.now) > batchPageWait {
		return t.set(batchKey(p.ref), v, p.ttl(t))
	}
	last, err := t.lastPaged(a)
	if err != nil {
		return err
	}
	if p.ref.Batch <= last {
		return t.set(batchKey(p.ref), v, p.ttl(t))
	}
	if t.batches == nil {
		t.batches = map[gateway.AccountID][]pagedBatch{}
	}
	t.batches[a] = append(t.batches[a], pagedBatch{p.ref.Batch, v})
	t.bytes += len(v)/2 + 16 // they shrink in their page
	t.small++
	t.batchTTL = max(t.batchTTL, p.ttl(t))
	return nil
}

// lastPaged is the highest id in a page of the account.
func (t *tx) lastPaged(a gateway.AccountID) (gateway.BatchID, error) {
	if last, ok := t.s.paged[a]; ok {
		return last, nil
	}
	page, err := batchPage(t.txn, gateway.BatchRef{Account: a, Batch: ^gateway.BatchID(0)})
	if err != nil {
		return 0, errFatal{err}
	}
	var last gateway.BatchID
	if n := len(page); n > 0 {
		last = page[n-1].id
	}
	t.s.paged[a] = last
	return last, nil
}

// flushBatches writes the pages of the transaction.
func (t *tx) flushBatches(a gateway.AccountID, list []pagedBatch) error {
	slices.SortFunc(list, func(x, y pagedBatch) int {
		if x.id < y.id {
			return -1
		}
		return 1 // no id comes twice
	})
	t.s.paged[a] = list[len(list)-1].id // whatever becomes of the transaction: no later page may overlap this one
	for len(list) > 0 {
		n, size := 0, 0
		for n < min(len(list), batchPageCount) && (n == 0 || size+len(list[n].raw) <= batchPageBytes) {
			size += len(list[n].raw)
			n++
		}
		k := batchPageKey(gateway.BatchRef{Account: a, Batch: list[0].id})
		if err := t.set(k, t.s.encodeBatchPage(list[:n]), t.batchTTL); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// encodeBatchPage writes batches in the order of their ids: the ids, each as its distance from the one before, with the sizes of the
// records, then the records, all compressed (S2): the batches of a customer have most of their octets in common, and what is not
// written need not be encrypted, kept in memory, sorted and written again.
func (s *Store) encodeBatchPage(list []pagedBatch) enc {
	e := s.pageRaw[:0]
	e.uint(uint64(len(list)))
	last := gateway.BatchID(0)
	for i := range list {
		e.uint(uint64(list[i].id - last))
		e.uint(uint64(len(list[i].raw)))
		last = list[i].id
	}
	for i := range list {
		e = append(e, list[i].raw...)
	}
	packed := s2.Encode(s.pagePacked, e)
	s.pageRaw, s.pagePacked = e, packed[:cap(packed)]
	return append(append(make(enc, 0, 1+len(packed)), 1), packed...)
}

// decodeBatchPage reads a page.
func decodeBatchPage(v []byte) ([]pagedBatch, error) {
	if len(v) == 0 || v[0] != 1 {
		return nil, fmt.Errorf("%w: page of batches", errCorrupt)
	}
	if n, err := s2.DecodedLen(v[1:]); err != nil || n > batchPageMost {
		return nil, fmt.Errorf("%w: page of batches", errCorrupt)
	}
	raw, err := s2.Decode(nil, v[1:])
	if err != nil {
		return nil, fmt.Errorf("%w: page of batches: %w", errCorrupt, err)
	}
	d := dec{b: raw}
	list := make([]pagedBatch, d.count(2))
	sizes := make([]uint64, len(list))
	last := gateway.BatchID(0)
	for i := range list {
		last += gateway.BatchID(d.uint())
		list[i].id, sizes[i] = last, d.uint()
	}
	for i, n := range sizes {
		if n > uint64(len(d.b)) {
			d.fail()
			break
		}
		list[i].raw, d.b = d.b[:n:n], d.b[n:]
	}
	return list, d.err("page of batches")
}

// batchPage reads the page in which a batch stands if it stands in one: the last that begins at or before it.
func batchPage(txn *badger.Txn, ref gateway.BatchRef) (list []pagedBatch, err error) {
	list, _, err = readBatchPage(txn, ref)
	return list, err
}

// readBatchPage is batchPage with the Unix time at which the page expires; 0: never.
func readBatchPage(txn *badger.Txn, ref gateway.BatchRef) (list []pagedBatch, ends uint64, err error) {
	prefix := newKey(kBatchPage, 12).account(ref.Account)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true})
	defer it.Close()
	it.Seek(batchPageKey(ref))
	if !it.ValidForPrefix(prefix) {
		return nil, 0, nil
	}
	v, err := it.Item().ValueCopy(nil)
	if err != nil {
		return nil, 0, fmt.Errorf("store: read page of batches: %w", err)
	}
	list, err = decodeBatchPage(v)
	return list, it.Item().ExpiresAt(), err
}

// batchEnds is the Unix time at which the record of a batch expires; 0: never, or there is none.
func batchEnds(txn *badger.Txn, ref gateway.BatchRef) (uint64, error) {
	item, err := txn.Get(batchKey(ref))
	if err == nil {
		return item.ExpiresAt(), nil
	}
	if !errors.Is(err, badger.ErrKeyNotFound) {
		return 0, fmt.Errorf("store: read batch %s: %w", ref, err)
	}
	page, ends, err := readBatchPage(txn, ref)
	if _, ok := findBatch(page, ref.Batch); !ok {
		return 0, err
	}
	return ends, nil
}

func findBatch(page []pagedBatch, id gateway.BatchID) (raw []byte, ok bool) {
	i := sort.Search(len(page), func(i int) bool { return page[i].id >= id })
	if i == len(page) || page[i].id != id {
		return nil, false
	}
	return page[i].raw, true
}

// getBatch reads the record of a batch; nil when there is none.
func getBatch(txn *badger.Txn, ref gateway.BatchRef) ([]byte, error) {
	v, err := getValue(txn, batchKey(ref))
	if err != nil || v != nil {
		return v, err
	}
	page, err := batchPage(txn, ref)
	v, _ = findBatch(page, ref.Batch)
	return v, err
}

// batch is getBatch with this transaction's own writes.
func (t *tx) batch(ref gateway.BatchRef) ([]byte, error) {
	v, err := t.reader().get(ref)
	return v, fatal(err)
}

// batchReader reads batches of which many stand in one page.
type batchReader struct {
	txn     *badger.Txn
	pages   *badger.Txn // for pages; nil: txn
	account gateway.AccountID
	page    []pagedBatch // read last
}

func (r *batchReader) get(ref gateway.BatchRef) ([]byte, error) {
	v, err := getValue(r.txn, batchKey(ref))
	if err != nil || v != nil {
		return v, err
	}
	if ref.Account == r.account {
		if v, ok := findBatch(r.page, ref.Batch); ok {
			return v, nil
		}
	}
	r.account = ref.Account
	if r.page, err = batchPage(cmp.Or(r.pages, r.txn), ref); err != nil {
		return nil, err
	}
	v, _ = findBatch(r.page, ref.Batch)
	return v, nil
}

// reader reads batches that earlier transactions accepted. Their pages are never written again, so a snapshot of its own serves for
// them: for an iterator of a transaction that writes, Badger sorts all it has written, each time.
func (t *tx) reader() *batchReader {
	if t.past == nil {
		t.past = &batchReader{txn: t.txn, pages: t.s.db.NewTransaction(false)}
	}
	return t.past
}

// batchCursor walks the batches of an account in the order of their ids, or backwards. Close it.
type batchCursor struct {
	account gateway.AccountID
	reverse bool
	single  *badger.Iterator
	pages   *badger.Iterator
	page    []pagedBatch // what is left of the page under the cursor
	err     error

	// ID is the batch that next moved to.
	id   gateway.BatchID
	raw  []byte       // its record, from a page
	item *badger.Item // or the one it is in
}

// newBatchCursor begins at a batch or, where it is gone, at the next one in the direction of the walk.
func newBatchCursor(txn *badger.Txn, a gateway.AccountID, from gateway.BatchID, reverse bool) *batchCursor {
	ref := gateway.BatchRef{Account: a, Batch: from}
	c := &batchCursor{account: a, reverse: reverse}
	first := ref // in forward direction the page before may hold what we look for
	if !reverse {
		page, err := batchPage(txn, ref)
		if c.err = err; len(page) > 0 {
			first.Batch = page[0].id
		}
	}
	c.single = txn.NewIterator(badger.IteratorOptions{Prefix: newKey(kBatch, 4).account(a), Reverse: reverse})
	c.pages = txn.NewIterator(badger.IteratorOptions{Prefix: newKey(kBatchPage, 4).account(a), Reverse: reverse})
	c.single.Seek(batchKey(ref))
	c.pages.Seek(batchPageKey(first))
	c.fill()
	for len(c.page) > 0 && c.behind(from, c.page[c.head()].id) {
		c.drop()
	}
	return c
}

func (c *batchCursor) close() {
	c.single.Close()
	c.pages.Close()
}

// behind reports whether b lies behind a in the direction of the walk, so that it is passed over.
func (c *batchCursor) behind(a, b gateway.BatchID) bool {
	return c.reverse && b > a || !c.reverse && b < a
}

// head is the place of the next batch of the page.
func (c *batchCursor) head() int {
	if c.reverse {
		return len(c.page) - 1
	}
	return 0
}

func (c *batchCursor) drop() {
	if c.reverse {
		c.page = c.page[:len(c.page)-1]
	} else {
		c.page = c.page[1:]
	}
	c.fill()
}

// fill reads the next page when the one under the cursor is used up.
func (c *batchCursor) fill() {
	for len(c.page) == 0 && c.err == nil && c.pages.Valid() {
		v, err := c.pages.Item().ValueCopy(nil)
		if err == nil {
			c.page, err = decodeBatchPage(v)
		}
		c.err = err
		c.pages.Next()
	}
}

// next moves to the next batch; false at the end, or after an error.
func (c *batchCursor) next() bool {
	if c.item != nil { // the iterator may move now that its item was used
		c.item = nil
		c.single.Next()
	}
	c.raw = nil
	if c.err != nil {
		return false
	}
	if c.single.Valid() {
		id := gateway.BatchID(binary.BigEndian.Uint64(c.single.Item().Key()[5:]))
		if len(c.page) == 0 || !c.behind(id, c.page[c.head()].id) {
			c.id, c.item = id, c.single.Item()
			if len(c.page) > 0 && c.page[c.head()].id == id {
				c.drop() // written again since
			}
			return c.err == nil
		}
	}
	if len(c.page) == 0 {
		return false
	}
	c.id, c.raw = c.page[c.head()].id, c.page[c.head()].raw
	c.drop()
	return c.err == nil
}

func (c *batchCursor) ref() gateway.BatchRef {
	return gateway.BatchRef{Account: c.account, Batch: c.id}
}

// value is the record of the batch; it must not be changed.
func (c *batchCursor) value() ([]byte, error) {
	if c.item == nil {
		return c.raw, nil
	}
	return c.item.ValueCopy(nil)
}
