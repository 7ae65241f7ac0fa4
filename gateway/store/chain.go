package store

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// chainLimit is how many decisions one chain record holds.
const chainLimit = 256

// chain is the open end of an account's decision chain: decisions are gathered into records, each carrying the hash of the
// one before it (also over the change of day), so that a decision cannot be changed, removed or slipped in unseen.
type chain struct {
	day  uint32 // day of the next record
	seq  uint32 // its sequence number within the day
	prev [32]byte

	grown bool // a record was written in this transaction

	entries int
	body    enc
	words   []string // table of the strings used in body
	batch   gateway.BatchID
}

// head is a chain without an open record.
func (c *chain) head() *chain { return &chain{day: c.day, seq: c.seq, prev: c.prev} }

// decide appends a decision of the account and returns where it stands.
func (t *tx) decide(a gateway.AccountID, d *gateway.Decision) (gateway.DecisionRef, error) {
	c, err := t.chain(a)
	if err != nil {
		return gateway.DecisionRef{}, err
	}
	if c.entries == chainLimit {
		if err := t.flushChain(a, c); err != nil {
			return gateway.DecisionRef{}, err
		}
	}
	ref := gateway.DecisionRef{Day: c.day, Seq: c.seq, Pos: uint16(c.entries)}
	if d.At.IsZero() {
		d.At = t.now
	}
	c.append(d)
	return ref, nil
}

// room makes sure that n decisions stand contiguously from the returned place on.
func (t *tx) chainRoom(a gateway.AccountID, n int) error {
	c, err := t.chain(a)
	if err != nil {
		return err
	}
	if c.entries > 0 && c.entries+n > chainLimit {
		return t.flushChain(a, c)
	}
	return nil
}

func (t *tx) chain(a gateway.AccountID) (*chain, error) {
	if c := t.chains[a]; c != nil {
		return c, nil
	}
	head := t.s.chains[a]
	if head == nil {
		var err error
		if head, err = lastChain(t.txn, a); err != nil {
			return nil, errFatal{err}
		}
	}
	c := head.head()
	if today := dayOf(t.now); today > c.day {
		c.day, c.seq = today, 0
	}
	if t.chains == nil {
		t.chains = map[gateway.AccountID]*chain{}
	}
	t.chains[a] = c
	return c, nil
}

// lastChain finds the end of an account's chain: what was written down of it, so that a record that went missing at the end is
// missed by the next one, or the last record of a store that has no such note.
func lastChain(txn *badger.Txn, a gateway.AccountID) (*chain, error) {
	if end, ok, err := chainEnd(txn, a); err != nil || ok {
		return end, err
	}
	prefix := newKey(kChain, 12).account(a)
	it := txn.NewIterator(badger.IteratorOptions{Reverse: true, Prefix: prefix, PrefetchValues: false})
	defer it.Close()
	it.Seek(chainKey(a, ^uint32(0), ^uint32(0)))
	if !it.ValidForPrefix(prefix) {
		return &chain{}, nil
	}
	k := it.Item().KeyCopy(nil)
	v, err := it.Item().ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("store: read decision chain of account %d: %w", a, err)
	}
	day, seq := chainPlace(k)
	return &chain{day: day, seq: seq + 1, prev: chainHash(k, v)}, nil
}

// chainEnd reads where the chain ends by the note in its own record.
func chainEnd(txn *badger.Txn, a gateway.AccountID) (*chain, bool, error) {
	v, err := getValue(txn, chainEndKey(a))
	if err != nil || v == nil {
		return nil, false, err
	}
	if len(v) != 40 {
		return nil, false, fmt.Errorf("%w: end of the decision chain of account %d", errCorrupt, a)
	}
	return &chain{day: beUint32(v), seq: beUint32(v[4:]) + 1, prev: [32]byte(v[8:])}, true, nil
}

// endChain writes the open record of an account and notes where the chain ends now.
func (t *tx) endChain(a gateway.AccountID, c *chain) error {
	if err := t.flushChain(a, c); err != nil || !c.grown {
		return err
	}
	v := binary.BigEndian.AppendUint32(make([]byte, 0, 40), c.day)
	v = binary.BigEndian.AppendUint32(v, c.seq-1)
	return t.set(chainEndKey(a), append(v, c.prev[:]...), 0)
}

func chainPlace(k []byte) (day, seq uint32) {
	return beUint32(k[5:]), beUint32(k[9:])
}

func beUint32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

func chainHash(k, v []byte) [32]byte {
	h := sha256.New()
	h.Write(k)
	h.Write(v)
	var out [32]byte
	h.Sum(out[:0])
	return out
}

// flushChain writes the open record. Layout: version, previous hash (32), table of strings, count, entries.
func (t *tx) flushChain(a gateway.AccountID, c *chain) error {
	if c.entries == 0 {
		return nil
	}
	v := make(enc, 0, 64+len(c.body))
	v.u8(1)
	v = append(v, c.prev[:]...)
	v.uint(uint64(len(c.words)))
	for _, w := range c.words {
		v.text(w)
	}
	v.uint(uint64(c.entries))
	v = append(v, c.body...)
	k := chainKey(a, c.day, c.seq)
	if err := t.set(k, v, t.s.opt.Retention); err != nil {
		return err
	}
	c.prev = chainHash(k, v)
	c.seq++
	c.grown = true
	c.entries, c.body, c.words, c.batch = 0, nil, c.words[:0:0], 0
	return nil
}

// word returns the place of s in the table of strings, which stays tiny: rules, statuses, sources.
func (c *chain) word(s string) uint64 {
	for i, w := range c.words {
		if w == s {
			return uint64(i)
		}
	}
	c.words = append(c.words, s)
	return uint64(len(c.words) - 1)
}

const (
	chainSameBatch = 1 << iota
	chainConsentDate
	chainTransaction
	chainWords
	chainAddress
)

func (c *chain) append(d *gateway.Decision) {
	var flags byte
	if c.entries > 0 && d.Message.Batch == c.batch {
		flags |= chainSameBatch
	}
	if !d.ConsentDate.IsZero() {
		flags |= chainConsentDate
	}
	if d.TransactionID != "" {
		flags |= chainTransaction
	}
	if len(d.Words) > 0 {
		flags |= chainWords
	}
	if d.Address != "" {
		flags |= chainAddress
	}
	e := &c.body
	e.u8(flags)
	e.u8(byte(d.Kind))
	if flags&chainSameBatch == 0 {
		e.uint(uint64(d.Message.Batch))
		c.batch = d.Message.Batch
	}
	e.uint(uint64(d.Message.Index))
	for _, s := range [...]string{d.Verdict, d.Rule, d.Status, d.Source, d.Where} {
		e.uint(c.word(s))
	}
	e.uint(uint64(d.Policy))
	e.time(d.At)
	e.uint(uint64(max(0, d.Age/time.Second)))
	if flags&chainConsentDate != 0 {
		e.time(d.ConsentDate)
	}
	if flags&chainTransaction != 0 {
		e.text(d.TransactionID)
	}
	if flags&chainWords != 0 {
		e.uint(uint64(len(d.Words)))
		for _, w := range d.Words {
			e.text(w)
		}
	}
	if flags&chainAddress != 0 {
		e.text(d.Address)
	}
	c.entries++
}

// chainRecord is a chain record read back.
type chainRecord struct {
	prev, hash [32]byte
	decisions  []gateway.Decision
}

func decodeChain(a gateway.AccountID, k, v []byte) (r chainRecord, err error) {
	r.hash = chainHash(k, v)
	d := dec{b: v}
	if d.u8() != 1 || len(d.b) < 32 {
		return r, fmt.Errorf("%w: decision chain", errCorrupt)
	}
	copy(r.prev[:], d.b)
	d.b = d.b[32:]
	words := make([]string, d.count(1))
	for i := range words {
		words[i] = d.text()
	}
	word := func() string {
		if i := d.uint(); i < uint64(len(words)) {
			return words[i]
		}
		d.fail()
		return ""
	}
	n := d.count(8)
	r.decisions = make([]gateway.Decision, n)
	var batch gateway.BatchID
	for i := range r.decisions {
		x := &r.decisions[i]
		flags := d.u8()
		x.Kind = gateway.DecisionKind(d.u8())
		if flags&chainSameBatch == 0 {
			batch = gateway.BatchID(d.uint())
		}
		x.Message = gateway.MessageID{Account: a, Batch: batch, Index: uint32(d.uint())}
		x.Verdict, x.Rule, x.Status, x.Source, x.Where = word(), word(), word(), word(), word()
		x.Policy = uint16(d.uint())
		x.At = d.time()
		x.Age = time.Duration(d.uint()) * time.Second
		if flags&chainConsentDate != 0 {
			x.ConsentDate = d.time()
		}
		if flags&chainTransaction != 0 {
			x.TransactionID = d.text()
		}
		if flags&chainWords != 0 {
			x.Words = make([]string, d.count(1))
			for j := range x.Words {
				x.Words[j] = d.text()
			}
		}
		if flags&chainAddress != 0 {
			x.Address = d.text()
		}
	}
	return r, d.err("decision chain")
}

// decisionsAt reads decisions by their places, in the order given, with the hash of the record each stands in.
func decisionsAt(txn *badger.Txn, a gateway.AccountID, refs []gateway.DecisionRef) ([]gateway.DecisionView, error) {
	out := make([]gateway.DecisionView, 0, len(refs))
	for _, ref := range refs {
		k := chainKey(a, ref.Day, ref.Seq)
		v, err := getValue(txn, k)
		if err != nil {
			return nil, err
		}
		if v == nil {
			continue // expired by retention
		}
		r, err := decodeChain(a, k, v)
		if err != nil {
			return nil, err
		}
		if int(ref.Pos) >= len(r.decisions) {
			return nil, fmt.Errorf("%w: decision %d/%d/%d", errCorrupt, ref.Day, ref.Seq, ref.Pos)
		}
		out = append(out, decisionView(ref, &r.decisions[ref.Pos], r.hash))
	}
	return out, nil
}

func decisionView(ref gateway.DecisionRef, d *gateway.Decision, hash [32]byte) gateway.DecisionView {
	return gateway.DecisionView{
		Kind: d.Kind.String(), Verdict: d.Verdict, Rule: d.Rule, At: d.At, Policy: int(d.Policy), Status: d.Status, Source: d.Source,
		Where: d.Where, ConsentDate: d.ConsentDate, TransactionID: d.TransactionID, AgeSeconds: int64(d.Age / time.Second),
		Words: d.Words, Day: dayText(ref.Day), Seq: ref.Seq, Hash: hex.EncodeToString(hash[:]),
	}
}
