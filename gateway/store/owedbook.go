package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// What SMPP clients are owed is written in pages: one record for everything a transaction owes a system_id. A page goes when
// all of it was acknowledged; until then the acknowledged part is known in memory only, so that a crash may repeat up to a
// page of receipts (at-least-once) but saves two records per receipt.

// owedPage is how many entries a page holds.
const owedPage = 512

// owedLife is how long a page stays: a day longer than a delivery is tried, so that who delivers sees the end of what it holds.
const owedLife = gateway.MaxValidity + 24*time.Hour

// owedBook remembers what was acknowledged of the pages that were read.
type owedBook struct {
	mu    sync.Mutex
	pages map[string][]*owedPages // by system_id, in order of first; guarded by mu
}

type owedPages struct {
	first uint64
	done  []bool
	left  int
}

func (t *tx) flushOwed(system string, list []gateway.ReceiptDue) error {
	for len(list) > 0 {
		n := min(len(list), owedPage)
		first := t.s.seq.Add(uint64(n)) - uint64(n) + 1
		e := make(enc, 0, 16+n*96)
		e.u8(1)
		e.uint(uint64(n))
		for i := range list[:n] {
			if err := encodeOwed(&e, &list[i]); err != nil {
				return err
			}
		}
		if err := t.set(owedKey(system, first), e, owedLife); err != nil {
			return err
		}
		list = list[n:]
	}
	t.after(func() {
		if f := t.s.owedFn.Load(); f != nil {
			(*f)(system)
		}
	})
	return nil
}

func encodeOwed(e *enc, r *gateway.ReceiptDue) error {
	e.uint(uint64(r.Account))
	e.uint(uint64(r.Message.Batch))
	e.uint(uint64(r.Message.Index))
	e.text(r.Part)
	e.u8(byte(r.State))
	e.text(string(r.Code))
	e.text(r.Err)
	e.text(r.From)
	e.text(r.To)
	e.time(r.Submitted)
	e.time(r.Done)
	e.u8(r.SourceTON)
	e.u8(r.SourceNPI)
	e.u8(r.DestTON)
	e.u8(r.DestNPI)
	e.flag(r.MO != nil)
	if r.MO == nil {
		return nil
	}
	j, err := json.Marshal(r.MO)
	if err != nil {
		return errFatal{err}
	}
	e.bytes(j)
	return nil
}

// decodeOwed reads a page.
func decodeOwed(k, v []byte) ([]gateway.ReceiptDue, error) {
	d := dec{b: v}
	d.u8()
	first := binary.BigEndian.Uint64(k[len(k)-8:])
	system := string(k[1 : len(k)-9])
	out := make([]gateway.ReceiptDue, d.count(16))
	for i := range out {
		r := &out[i]
		r.Seq, r.System = first+uint64(i), system
		r.Account = gateway.AccountID(d.uint())
		batch, index := gateway.BatchID(d.uint()), uint32(d.uint())
		if batch != 0 {
			r.Message = gateway.MessageID{Account: r.Account, Batch: batch, Index: index}
		}
		r.Part = d.text()
		r.State = gateway.State(d.u8())
		r.Code = gateway.Code(d.text())
		r.Err, r.From, r.To = d.text(), d.text(), d.text()
		r.Submitted, r.Done = d.time(), d.time()
		r.SourceTON, r.SourceNPI, r.DestTON, r.DestNPI = d.u8(), d.u8(), d.u8(), d.u8()
		if d.flag() {
			r.MO = &gateway.Inbound{}
			if err := json.Unmarshal(d.raw(), r.MO); err != nil {
				return nil, err
			}
		}
	}
	return out, d.err("owed receipts")
}

// WatchOwed names the function told, after each commit, of the system_ids that are owed something new. It must not block and
// may be called several times for one.
func (s *Store) WatchOwed(f func(system string)) { s.owedFn.Store(&f) }

// Owed returns receipts and MO owed to the system_id with a sequence number above after, oldest first: at least one page if
// there is one, and no further page once limit is reached.
func (s *Store) Owed(_ context.Context, system string, after uint64, limit int) (out []gateway.ReceiptDue, err error) {
	prefix := newKey(kOwed, len(system)+1).textZ(system)
	first := uint64(math.MaxUint64)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 4})
		defer it.Close()
		for it.Seek(owedKey(system, after+1)); it.ValidForPrefix(prefix) && len(out) < limit; it.Next() {
			k := it.Item().KeyCopy(nil)
			if len(k) != len(prefix)+8 {
				continue
			}
			first = min(first, binary.BigEndian.Uint64(k[len(prefix):]))
			if err := it.Item().Value(func(v []byte) error {
				page, err := decodeOwed(k, v)
				out = append(out, s.owed.open(system, page)...)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && after == 0 {
		s.owed.expire(system, first)
	}
	return out, err
}

// expire forgets the pages before the first that the store has: their time was over before all of them was acknowledged.
func (b *owedBook) expire(system string, first uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if list := slices.DeleteFunc(b.pages[system], func(p *owedPages) bool { return p.first < first }); len(list) > 0 {
		b.pages[system] = list
	} else {
		delete(b.pages, system)
	}
}

// open notes that a page was read and leaves out what of it was acknowledged already.
func (b *owedBook) open(system string, page []gateway.ReceiptDue) []gateway.ReceiptDue {
	if len(page) == 0 {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pages == nil {
		b.pages = map[string][]*owedPages{}
	}
	list := b.pages[system]
	i, found := slices.BinarySearchFunc(list, page[0].Seq, func(p *owedPages, seq uint64) int { return cmpUint64(p.first, seq) })
	if !found {
		b.pages[system] = slices.Insert(list, i, &owedPages{first: page[0].Seq, done: make([]bool, len(page)), left: len(page)})
		return page
	}
	out := make([]gateway.ReceiptDue, 0, list[i].left)
	for j := range page {
		if !list[i].done[j] {
			out = append(out, page[j])
		}
	}
	return out
}

func cmpUint64(a, b uint64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// acknowledge notes what the client has taken and returns the pages that are finished with it.
func (b *owedBook) acknowledge(system string, seqs []uint64) (finished []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, q := range seqs {
		list := b.pages[system]
		i, found := slices.BinarySearchFunc(list, q, func(p *owedPages, seq uint64) int { return cmpUint64(p.first, seq) })
		if !found {
			i--
		}
		if i < 0 || q-list[i].first >= uint64(len(list[i].done)) || list[i].done[q-list[i].first] {
			continue
		}
		p := list[i]
		p.done[q-p.first] = true
		if p.left--; p.left == 0 {
			finished = append(finished, p.first)
			b.pages[system] = slices.Delete(list, i, i+1)
		}
	}
	return finished
}

// OwedDone forgets what the client has acknowledged. done is called after the sync, from the committer, or at once when no
// page was finished by it.
func (s *Store) OwedDone(system string, seqs []uint64, done func(error)) {
	finished := s.owed.acknowledge(system, seqs)
	if len(finished) == 0 {
		done(nil)
		return
	}
	s.enqueue(act{func(t *tx) error {
		for _, first := range finished {
			if err := t.del(owedKey(system, first)); err != nil {
				return err
			}
		}
		return nil
	}, done})
}
