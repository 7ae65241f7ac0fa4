package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// batchModel are records of batches beside what the store has.
type batchModel struct {
	*world
	model map[gateway.BatchID][]byte
	next  gateway.BatchID
}

// commit writes batches of the given ids in one transaction, in this order.
func (w *batchModel) commit(ids []gateway.BatchID, size int) {
	w.t.Helper()
	w.must(w.st.do(func(t *tx) error {
		for _, id := range ids {
			p := &pendingBatch{Acceptance: &gateway.Acceptance{}, ref: gateway.BatchRef{Account: w.acct, Batch: id}}
			p.Batch.SendAt = t.now
			raw := bytes.Repeat(fmt.Appendf(nil, "%x.", id), 1+w.rnd.IntN(size))
			if err := t.putBatch(p, raw); err != nil {
				return err
			}
			w.model[id] = raw
		}
		return nil
	}))
}

func (w *batchModel) compare() {
	w.t.Helper()
	ids := make([]gateway.BatchID, 0, len(w.model))
	for id := range w.model {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	w.must(w.st.db.View(func(txn *badger.Txn) error {
		r := &batchReader{txn: txn}
		for _, id := range ids {
			for _, probe := range []gateway.BatchID{id - 1, id, id + 1} {
				ref := gateway.BatchRef{Account: w.acct, Batch: probe}
				v, err := getBatch(txn, ref)
				w.must(err)
				again, err := r.get(ref)
				w.must(err)
				if !bytes.Equal(v, w.model[probe]) || !bytes.Equal(again, v) {
					w.t.Fatalf("batch %x: %.20q and %.20q, want %.20q", probe, v, again, w.model[probe])
				}
			}
		}
		for range 20 {
			from := ids[w.rnd.IntN(len(ids))] + gateway.BatchID(w.rnd.IntN(3)) - 1
			i, found := slices.BinarySearch(ids, from)
			w.walk(txn, from, false, ids[i:])
			if found {
				i++
			}
			back := slices.Clone(ids[:i])
			slices.Reverse(back)
			w.walk(txn, from, true, back)
		}
		w.walk(txn, 0, false, ids)
		return nil
	}))
}

func (w *batchModel) walk(txn *badger.Txn, from gateway.BatchID, reverse bool, want []gateway.BatchID) {
	w.t.Helper()
	c := newBatchCursor(txn, w.acct, from, reverse)
	defer c.close()
	for i := 0; ; i++ {
		if !c.next() {
			if i != len(want) || c.err != nil {
				w.t.Fatalf("from %x, backwards %v: %d batches, want %d, %v", from, reverse, i, len(want), c.err)
			}
			return
		}
		v, err := c.value()
		w.must(err)
		if i >= len(want) || c.id != want[i] || !bytes.Equal(v, w.model[c.id]) {
			w.t.Fatalf("from %x, backwards %v: batch %d is %x", from, reverse, i, c.id)
		}
	}
}

// However ids and transactions mix, whatever is written again or stands in a record of its own: every batch is found by its id, no other is,
// and a walk in either direction meets each once with what was written last.
func TestBatchPagesModel(t *testing.T) {
	for seed := range uint64(6) {
		w := &batchModel{world: newWorld(t, seed), model: map[gateway.BatchID][]byte{}}
		w.rnd = rand.New(rand.NewPCG(seed, 9))
		w.next = gateway.BatchID(uint64(w.now.UnixMilli()) << 22)
		var late []gateway.BatchID // handed out and overtaken
		for range 30 {
			var ids []gateway.BatchID
			for range 1 + w.rnd.IntN(150) {
				w.next += gateway.BatchID(1 + w.rnd.IntN(5)*w.rnd.IntN(1000))
				if w.rnd.IntN(10) == 0 {
					late = append(late, w.next)
				} else {
					ids = append(ids, w.next)
				}
			}
			n := w.rnd.IntN(len(late) + 1)
			ids = append(ids, late[:n]...)
			late = late[n:]
			w.rnd.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
			w.commit(ids, []int{3, 30, 300}[w.rnd.IntN(3)])
			if again := ids[w.rnd.IntN(len(ids))]; w.rnd.IntN(2) == 0 { // written again
				raw := fmt.Appendf(nil, "again %x", again)
				w.must(w.st.do(func(t *tx) error { return t.set(batchKey(gateway.BatchRef{Account: w.acct, Batch: again}), raw, 0) }))
				w.model[again] = raw
			}
			if w.rnd.IntN(6) == 0 {
				w.reopen()
			}
		}
		w.compare()
		var pages, alone int
		w.must(w.st.db.View(func(txn *badger.Txn) error {
			pages, alone = countPrefix(txn, kBatchPage, 1<<30), countPrefix(txn, kBatch, 1<<30)
			return nil
		}))
		if pages == 0 || alone == 0 || alone > len(w.model)/2 {
			t.Errorf("%d batches in %d pages and %d records", len(w.model), pages, alone)
		}
	}
}

// What a failed transaction may have left behind is never overlapped by a later page.
func TestBatchPageAfterFailure(t *testing.T) {
	w := &batchModel{world: newWorld(t, 1), model: map[gateway.BatchID][]byte{}}
	ids := []gateway.BatchID{1000, 1010, 1020}
	w.commit(ids, 2)
	err := w.st.do(func(t *tx) error {
		t.batches = map[gateway.AccountID][]pagedBatch{w.acct: {{2000, []byte("x")}, {2010, []byte("x")}}}
		if err := t.flushBatches(w.acct, t.batches[w.acct]); err != nil {
			return err
		}
		return errFatal{badger.ErrTxnTooBig}
	})
	if err == nil {
		t.Fatal("the transaction went through")
	}
	w.commit([]gateway.BatchID{2005, 2020}, 2)
	var own, paged []byte
	w.must(w.st.db.View(func(txn *badger.Txn) (err error) {
		if own, err = getValue(txn, batchKey(gateway.BatchRef{Account: w.acct, Batch: 2005})); err != nil {
			return err
		}
		paged, err = getValue(txn, batchPageKey(gateway.BatchRef{Account: w.acct, Batch: 2020}))
		return err
	}))
	if own == nil || paged == nil {
		t.Error("a page was begun inside one that may be there already")
	}
	w.compare()
}

// A batch that is large, waits long or is too big for a page has a record of its own, with its own end.
func TestBatchesOfTheirOwn(t *testing.T) {
	w := newWorld(t, 2)
	for i, c := range []struct {
		n, size int
		wait    time.Duration
		own     bool
	}{{1, 10, 0, false}, {1, 10, 23 * time.Hour, false}, {1, 10, 25 * time.Hour, true}, {1, batchPageItem + 1, 0, true},
		{gateway.BlockSize + 1, 10, 0, true}} {
		ref := gateway.BatchRef{Account: w.acct, Batch: gateway.BatchID(1000 + i)}
		w.must(w.st.do(func(t *tx) error {
			p := &pendingBatch{Acceptance: &gateway.Acceptance{Recipients: make([]gateway.Recipient, c.n)}, ref: ref}
			p.Batch.SendAt = t.now.Add(c.wait)
			return t.putBatch(p, make([]byte, c.size))
		}))
		var v []byte
		w.must(w.st.db.View(func(txn *badger.Txn) (err error) { v, err = getValue(txn, batchKey(ref)); return err }))
		if (v != nil) != c.own {
			t.Errorf("%+v: a record of its own: %v", c, v != nil)
		}
	}
}

func FuzzBatchPage(f *testing.F) {
	f.Add([]byte(new(Store).encodeBatchPage([]pagedBatch{{5, []byte("a")}, {9, nil}, {70, []byte("bcd")}})))
	f.Fuzz(func(t *testing.T, v []byte) {
		list, err := decodeBatchPage(v)
		size := 0
		for i := range list {
			size += len(list[i].raw)
		}
		if err == nil && size > batchPageMost {
			t.Fatalf("%d octets out of %d", size, len(v))
		}
	})
}
