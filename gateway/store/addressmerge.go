package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

const (
	// mergePages is how many pages an account may have before they are merged into a run, mergeLimit how many one merge takes.
	mergePages = 64
	mergeLimit = 1000
	// A run is of the class of its size: below firstClass messages the lowest, then one more for each factor of runsAClass; as many
	// runs of one class are merged into one. Runs of the highest class are left alone.
	firstClass   = 8 << 10
	runsAClass   = 8
	highestClass = 5
	// chunksAnAct is how many chunks of a run one act writes, or removes.
	chunksAnAct = 16
)

// class is that of a run by its size.
func (r *addressRun) class() (c int) {
	for n := uint64(firstClass); r.refs >= n && c < highestClass; n *= runsAClass {
		c++
	}
	return c
}

// notePages tells the merger of pages written, or (negative) merged.
func (s *Store) notePages(a gateway.AccountID, n int) {
	s.pagesMu.Lock()
	defer s.pagesMu.Unlock()
	if s.pages[a] += n; s.pages[a] <= 0 {
		delete(s.pages, a)
	}
}

// noPages says that the pages that were counted are gone: they expired.
func (s *Store) noPages(a gateway.AccountID) {
	s.pagesMu.Lock()
	defer s.pagesMu.Unlock()
	delete(s.pages, a)
}

// loadPages counts the pages at the start.
func (s *Store) loadPages() error {
	return s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kAddressPage}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			s.pages[gateway.AccountID(beUint32(it.Item().Key()[1:]))]++
		}
		return nil
	})
}

// manyPages lists the accounts whose pages are to be merged.
func (s *Store) manyPages() (out []gateway.AccountID) {
	s.pagesMu.Lock()
	defer s.pagesMu.Unlock()
	for a, n := range s.pages {
		if n >= mergePages {
			out = append(out, a)
		}
	}
	slices.Sort(out)
	return out
}

// mergeEvery is how often the merger looks.
const mergeEvery = time.Second

// tendAddresses merges pages into runs, until ctx ends.
func (s *Store) tendAddresses(ctx context.Context) {
	s.every(ctx, mergeEvery, func() error {
		for _, a := range s.manyPages() {
			if err := s.mergePages(ctx, a); err != nil {
				return err
			}
		}
		return nil
	})
}

// tendRuns merges runs into larger ones, until ctx ends. It has a goroutine of its own: merging large runs takes minutes, in which pages
// must not pile up.
func (s *Store) tendRuns(ctx context.Context) {
	s.every(ctx, mergeEvery, func() error {
		for a := range s.Directory().Accounts {
			for {
				merged, err := s.mergeRuns(ctx, a)
				if err != nil {
					return err
				}
				if !merged {
					break
				}
			}
		}
		return nil
	})
}

func (s *Store) every(ctx context.Context, d time.Duration, do func() error) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if s.full.Load() {
			continue
		}
		if err := do(); err != nil && ctx.Err() == nil && !errors.Is(err, errNoRoom) {
			s.log.Error("address index", "err", err)
		}
	}
}

// errNoRoom stops a merge when storage runs short: it needs room before it gives any back, and what is left is kept for outcomes and
// opt-outs.
var errNoRoom = errors.New("store: no room to merge")

// mergePages makes a run of an account's oldest pages.
func (s *Store) mergePages(ctx context.Context, a gateway.AccountID) error {
	s.mergePagesMu.Lock()
	defer s.mergePagesMu.Unlock()
	var refs []addressRef
	var pages []key
	run := addressRun{number: s.nextSeq()}
	if err := s.db.View(func(txn *badger.Txn) error {
		prefix := newKey(kAddressPage, 4).account(a)
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: mergePages})
		defer it.Close()
		for it.Seek(prefix); it.ValidForPrefix(prefix) && len(pages) < mergeLimit; it.Next() {
			item := it.Item()
			run.until(item.ExpiresAt(), len(pages) == 0)
			pages = append(pages, item.KeyCopy(nil))
			if err := item.Value(func(v []byte) (err error) { refs, err = decodeRefs(refs, v); return err }); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	if len(pages) == 0 {
		s.noPages(a)
		return nil
	}
	slices.SortFunc(refs, addressRef.compare)
	w := &runWriter{s: s, ctx: ctx, account: a, run: &run}
	for chunk := range slices.Chunk(refs, pageRefs) {
		if err := w.write(chunk); err != nil {
			return w.giveUp(err)
		}
	}
	if err := w.finish(pages); err != nil {
		return w.giveUp(err)
	}
	s.notePages(a, -len(pages))
	return nil
}

// until makes the run last as long as the longest of its sources.
func (r *addressRun) until(ends uint64, first bool) {
	switch {
	case first:
		r.ends = ends
	case ends == 0 || r.ends == 0:
		r.ends = 0
	default:
		r.ends = max(r.ends, ends)
	}
}

// runWriter writes a run chunk by chunk; nobody sees it before finish.
type runWriter struct {
	s       *Store
	ctx     context.Context
	account gateway.AccountID
	run     *addressRun
	chunks  uint32
	open    []keyed
}

type keyed struct {
	k key
	v []byte
}

// write adds a chunk; refs may be used again afterwards.
func (w *runWriter) write(refs []addressRef) error {
	for i := range refs {
		w.run.newest = max(w.run.newest, refs[i].batch)
	}
	w.run.refs += uint64(len(refs))
	w.open = append(w.open, keyed{addressChunkKey(w.account, w.run.number, refs[0].hash, w.chunks), encodeRefs(refs)})
	w.chunks++
	if len(w.open) < chunksAnAct {
		return nil
	}
	return w.flush()
}

func (w *runWriter) flush() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if w.s.full.Load() {
		return errNoRoom
	}
	open := w.open
	w.open = nil
	return w.s.doBulk(func(t *tx) error {
		for _, c := range open {
			if err := t.set(c.k, c.v, w.run.ttl()); err != nil {
				return err
			}
		}
		return nil
	})
}

// ttl is how long the run still has.
func (r *addressRun) ttl() time.Duration {
	if r.ends == 0 {
		return 0
	}
	return max(time.Second, time.Until(time.Unix(int64(r.ends), 0)))
}

// finish makes the run take the place of its sources, pages or runs, in one act.
func (w *runWriter) finish(sources []key) error {
	if err := w.flush(); err != nil {
		return err
	}
	return w.s.doBulk(func(t *tx) error {
		for _, k := range sources {
			if err := t.del(k); err != nil {
				return err
			}
		}
		return t.set(addressRunKey(w.account, w.run.number), w.run.value(), w.run.ttl())
	})
}

// giveUp removes what was written of a run that will not be finished. At a shutdown that is left to the next start.
func (w *runWriter) giveUp(err error) error {
	return errors.Join(err, w.s.dropRun(w.ctx, w.account, w.run.number))
}

// doBulk is do for an act that others may overtake.
func (s *Store) doBulk(apply func(*tx) error) error {
	ch := make(chan error, 1)
	s.enqueueBulk(act{apply, func(err error) { ch <- err }})
	return <-ch
}

// mergeRuns merges the runs of one class of an account, when there are enough of them.
func (s *Store) mergeRuns(ctx context.Context, a gateway.AccountID) (bool, error) {
	s.mergeRunsMu.Lock()
	defer s.mergeRunsMu.Unlock()
	var sources []addressRun
	if err := s.db.View(func(txn *badger.Txn) error {
		runs, err := addressRuns(txn, a)
		sources = toMerge(runs)
		return err
	}); err != nil || sources == nil {
		return false, err
	}
	run := addressRun{number: s.nextSeq()}
	keys := make([]key, len(sources))
	for i := range sources {
		run.until(sources[i].ends, i == 0)
		keys[i] = addressRunKey(a, sources[i].number)
	}
	w := &runWriter{s: s, ctx: ctx, account: a, run: &run}
	if err := s.mergeInto(w, a, sources); err != nil {
		return false, w.giveUp(err)
	}
	if err := w.finish(keys); err != nil {
		return false, w.giveUp(err)
	}
	for i := range sources {
		if err := s.dropRun(ctx, a, sources[i].number); err != nil {
			return false, err
		}
	}
	return true, nil
}

// toMerge picks the runs of the lowest class that has enough of them.
func toMerge(runs []addressRun) []addressRun {
	var classes [highestClass][]addressRun
	for _, r := range runs {
		if c := r.class(); c < highestClass {
			classes[c] = append(classes[c], r)
		}
	}
	for _, list := range classes {
		if len(list) >= runsAClass {
			return list
		}
	}
	return nil
}

// mergeInto writes the refs of all sources in their order.
func (s *Store) mergeInto(w *runWriter, a gateway.AccountID, sources []addressRun) error {
	return s.db.View(func(txn *badger.Txn) error {
		readers := make([]*runReader, 0, len(sources))
		defer func() {
			for _, r := range readers {
				r.it.Close()
			}
		}()
		for i := range sources {
			r := &runReader{prefix: addressChunkPrefix(a, sources[i].number)}
			r.it = txn.NewIterator(badger.IteratorOptions{Prefix: r.prefix})
			readers = append(readers, r)
			r.it.Seek(r.prefix)
		}
		out := make([]addressRef, 0, pageRefs)
		for {
			least := -1
			for i, r := range readers {
				if err := r.fill(); err != nil {
					return err
				}
				if len(r.refs) > 0 && (least < 0 || r.refs[0].compare(readers[least].refs[0]) < 0) {
					least = i
				}
			}
			if least >= 0 {
				r := readers[least]
				out = append(out, r.refs[0])
				r.refs = r.refs[1:]
			}
			if len(out) == pageRefs || least < 0 && len(out) > 0 {
				if err := w.write(out); err != nil {
					return err
				}
				out = out[:0]
			}
			if least < 0 {
				return nil
			}
		}
	})
}

// runReader reads a run from its beginning.
type runReader struct {
	it     *badger.Iterator
	prefix key
	refs   []addressRef // read, not yet taken
	buf    []addressRef
}

func (r *runReader) fill() error {
	for len(r.refs) == 0 && r.it.ValidForPrefix(r.prefix) {
		if err := r.it.Item().Value(func(v []byte) (err error) {
			r.buf, err = decodeRefs(r.buf[:0], v)
			return err
		}); err != nil {
			return err
		}
		r.refs = r.buf
		r.it.Next()
	}
	return nil
}

// dropRun removes the chunks of a run that is listed no more.
func (s *Store) dropRun(ctx context.Context, a gateway.AccountID, number uint64) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		var keys []key
		if err := s.db.View(func(txn *badger.Txn) error {
			prefix := addressChunkPrefix(a, number)
			it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
			defer it.Close()
			for it.Seek(prefix); it.ValidForPrefix(prefix) && len(keys) < mergeLimit; it.Next() {
				keys = append(keys, it.Item().KeyCopy(nil))
			}
			return nil
		}); err != nil || len(keys) == 0 {
			return err
		}
		if err := s.doBulk(func(t *tx) error {
			for _, k := range keys {
				if err := t.del(k); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
}

// dropOrphanRuns removes chunks a crash left of runs that were never finished, or not removed whole.
func (s *Store) dropOrphanRuns(ctx context.Context) error {
	type place struct {
		account gateway.AccountID
		run     uint64
	}
	var orphans []place
	if err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kAddressChunk}})
		defer it.Close()
		for it.Rewind(); it.Valid(); {
			k := it.Item().Key()
			p := place{gateway.AccountID(beUint32(k[1:])), binary.BigEndian.Uint64(k[5:])}
			v, err := getValue(txn, addressRunKey(p.account, p.run))
			if err != nil {
				return err
			}
			if v == nil {
				orphans = append(orphans, p)
			}
			if p.run == ^uint64(0) {
				return fmt.Errorf("%w: run of addresses", errCorrupt)
			}
			it.Seek(addressChunkPrefix(p.account, p.run+1))
		}
		return nil
	}); err != nil {
		return err
	}
	for _, p := range orphans {
		if err := s.dropRun(ctx, p.account, p.run); err != nil {
			return err
		}
	}
	return nil
}
