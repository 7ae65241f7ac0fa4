package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// The address index answers which messages went to an address. A key a message, in the random order of addresses, was most of what the
// store wrote: it cost a record each, and every compaction ran through the whole index. So a transaction writes the messages it accepts as
// pages, in the order of their addresses, and pages are merged into runs and runs into larger ones behind the road's back
// (addressmerge.go). A page, and a chunk of a run, is found with one look, and their number grows with the logarithm of the store.
//
// An entry holds 40 bits of the address's hash: others with the same are told apart by the message itself. Entries whose message is gone
// are passed over, and go when their run expires.

const (
	// pageRefs is how many messages one page or chunk holds at most: a few kilobytes.
	pageRefs = 512
	hashBits = 40
)

// addressRef is a message under the hash of its address.
type addressRef struct {
	hash  uint64
	batch gateway.BatchID
	index uint32
}

func (r addressRef) compare(o addressRef) int {
	if r.hash != o.hash {
		return cmp.Compare(r.hash, o.hash)
	}
	if r.batch != o.batch {
		return cmp.Compare(r.batch, o.batch)
	}
	return cmp.Compare(r.index, o.index)
}

func shortHash(addr string) uint64 { return addressHash(addr) >> (64 - hashBits) }

// addressPage are the messages one transaction accepts for an account.
type addressPage struct {
	refs []addressRef
	ttl  time.Duration // the longest
	ever bool          // one of them is kept for ever
}

// indexAddress enters a message that the transaction accepts.
func (t *tx) indexAddress(m gateway.MessageID, addr string, ttl time.Duration) {
	p := t.addresses[m.Account]
	if p == nil {
		if t.addresses == nil {
			t.addresses = map[gateway.AccountID]*addressPage{}
		}
		p = &addressPage{}
		t.addresses[m.Account] = p
	}
	t.small++
	p.refs = append(p.refs, addressRef{shortHash(addr), m.Batch, m.Index})
	p.ttl, p.ever = max(p.ttl, ttl), p.ever || ttl == 0
}

// flushAddresses writes the pages of the transaction.
func (t *tx) flushAddresses(a gateway.AccountID, p *addressPage) error {
	slices.SortFunc(p.refs, addressRef.compare)
	ttl := p.ttl
	if p.ever {
		ttl = 0
	}
	for refs := range slices.Chunk(p.refs, pageRefs) {
		if err := t.set(addressPageKey(a, t.s.nextSeq()), encodeRefs(refs), ttl); err != nil {
			return err
		}
	}
	return nil
}

// encodeRefs writes refs, which are sorted: a table of batches, then each with the distance of its hash from the one before, the place of
// its batch in the table, and its index.
func encodeRefs(refs []addressRef) enc {
	batches := make([]gateway.BatchID, 0, len(refs))
	for i := range refs {
		if i == 0 || refs[i].batch != refs[i-1].batch {
			batches = append(batches, refs[i].batch)
		}
	}
	slices.Sort(batches)
	batches = slices.Compact(batches)
	e := make(enc, 0, 16+6*len(batches)+9*len(refs))
	e.u8(1)
	e.uint(uint64(len(batches)))
	last := gateway.BatchID(0)
	for _, b := range batches {
		e.uint(uint64(b - last))
		last = b
	}
	e.uint(uint64(len(refs)))
	hash, place := uint64(0), 0
	for i := range refs {
		r := &refs[i]
		if i == 0 || r.batch != refs[i-1].batch {
			place, _ = slices.BinarySearch(batches, r.batch)
		}
		e.uint(r.hash - hash)
		e.uint(uint64(place))
		e.uint(uint64(r.index))
		hash = r.hash
	}
	return e
}

// decodeRefs appends what encodeRefs wrote.
func decodeRefs(into []addressRef, v []byte) ([]addressRef, error) {
	d := dec{b: v}
	if d.u8() != 1 {
		return into, fmt.Errorf("%w: page of addresses", errCorrupt)
	}
	batches := make([]gateway.BatchID, d.count(1))
	last := gateway.BatchID(0)
	for i := range batches {
		last += gateway.BatchID(d.uint())
		batches[i] = last
	}
	n := d.count(3)
	into = slices.Grow(into, n)
	hash := uint64(0)
	for range n {
		hash += d.uint()
		place, index := d.uint(), d.uint()
		if d.bad || place >= uint64(len(batches)) {
			return into, fmt.Errorf("%w: page of addresses", errCorrupt)
		}
		into = append(into, addressRef{hash, batches[place], uint32(index)})
	}
	return into, d.err("page of addresses")
}

// addressRun tells of a run: its chunks follow each other under its number.
type addressRun struct {
	number uint64
	refs   uint64
	newest gateway.BatchID // highest batch in it
	ends   uint64          // Unix seconds at which it expires; 0: never
}

func (r *addressRun) value() enc {
	var e enc
	e.u8(1)
	e.uint(r.refs)
	e.uint(uint64(r.newest))
	e.uint(r.ends)
	return e
}

// addressRuns lists the runs of an account, oldest first.
func addressRuns(txn *badger.Txn, a gateway.AccountID) (out []addressRun, err error) {
	prefix := newKey(kAddressRun, 4).account(a)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 50})
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		r := addressRun{number: binary.BigEndian.Uint64(it.Item().Key()[5:])}
		if err := it.Item().Value(func(v []byte) error {
			d := dec{b: v}
			d.u8()
			r.refs, r.newest, r.ends = d.uint(), gateway.BatchID(d.uint()), d.uint()
			return d.err("run of addresses")
		}); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// addressRefs gathers the messages to an address that were accepted since an instant, newest batch first and within it by falling index.
func addressRefs(txn *badger.Txn, a gateway.AccountID, addr string, since time.Time) ([]gateway.MessageID, error) {
	f := &addressFinder{txn: txn, account: a, hash: shortHash(addr), since: since}
	f.single(addressHash(addr))
	if err := f.pages(); err != nil {
		return nil, err
	}
	runs, err := addressRuns(txn, a)
	if err != nil {
		return nil, err
	}
	for i := range runs {
		if runs[i].newest.Time().Before(since) {
			continue
		}
		if err := f.run(&runs[i]); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(f.found, func(x, y gateway.MessageID) int {
		return -cmp.Or(cmp.Compare(x.Batch, y.Batch), cmp.Compare(x.Index, y.Index))
	})
	return slices.Compact(f.found), nil
}

// addressFinder looks for one address.
type addressFinder struct {
	txn     *badger.Txn
	account gateway.AccountID
	hash    uint64
	since   time.Time
	found   []gateway.MessageID
	refs    []addressRef
}

func (f *addressFinder) add(b gateway.BatchID, index uint32) {
	if !b.Time().Before(f.since) {
		f.found = append(f.found, gateway.MessageID{Account: f.account, Batch: b, Index: index})
	}
}

// single looks among the entries of their own: those of stores from before there were pages, and of messages under legal hold.
func (f *addressFinder) single(hash uint64) {
	prefix := newKey(kAddress, 12).account(f.account).u64(hash)
	it := f.txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		k := it.Item().Key()
		f.add(gateway.BatchID(binary.BigEndian.Uint64(k[13:])), binary.BigEndian.Uint32(k[21:]))
	}
}

func (f *addressFinder) pages() error {
	prefix := newKey(kAddressPage, 4).account(f.account)
	it := f.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: mergePages})
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		if _, err := f.look(it.Item()); err != nil {
			return err
		}
	}
	return nil
}

// run looks at the chunks of a run that can hold the address: from the last that begins at or before its hash backwards.
func (f *addressFinder) run(r *addressRun) error {
	prefix := addressChunkPrefix(f.account, r.number)
	it := f.txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true})
	defer it.Close()
	for it.Seek(addressChunkKey(f.account, r.number, f.hash, ^uint32(0))); it.ValidForPrefix(prefix); it.Next() {
		first, err := f.look(it.Item())
		if err != nil || first < f.hash {
			return err
		}
	}
	return nil
}

// look takes what a page or chunk has for the address and returns its first hash.
func (f *addressFinder) look(item *badger.Item) (first uint64, err error) {
	err = item.Value(func(v []byte) (err error) {
		f.refs, err = decodeRefs(f.refs[:0], v)
		return err
	})
	if err != nil || len(f.refs) == 0 {
		return 0, err
	}
	i, _ := slices.BinarySearchFunc(f.refs, addressRef{hash: f.hash}, addressRef.compare)
	for ; i < len(f.refs) && f.refs[i].hash == f.hash; i++ {
		f.add(f.refs[i].batch, f.refs[i].index)
	}
	return f.refs[0].hash, nil
}
