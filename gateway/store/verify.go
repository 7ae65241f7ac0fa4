package store

import (
	"context"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/gateway/mailbody"
)

// Report is what Verify found.
type Report struct {
	Batches, Messages, Decisions, Chains int
	Roots                                int // of accounts and sealed days, held against their records
	States                               map[string]int
	Waiting                              int                  // not final and not sent
	Broken                               []gateway.ChainBreak // of each account the first broken link
	Problems                             []string             // Broken among them, in words
}

// broken notes a broken link.
func (r *Report) broken(b gateway.ChainBreak) {
	if len(r.Broken) < 1000 {
		r.Broken = append(r.Broken, b)
	}
	r.problem("%s", b)
}

func (r *Report) problem(format string, args ...any) {
	if len(r.Problems) < 1000 {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Verify proves the invariants of the store from its records alone: each account's balance is the sum of its ledger, each
// day's ledger the sum of its messages; every recipient has its acceptance decision; every link of every decision chain
// holds; every waiting message is in the due index, or will be looked at again; the outbox is counted rightly. It changes nothing.
func (s *Store) Verify(ctx context.Context) (*Report, error) {
	r := &Report{States: map[string]int{}}
	err := s.db.View(func(txn *badger.Txn) error {
		for id := range s.Directory().Accounts {
			if err := ctx.Err(); err != nil {
				return err
			}
			book := &decisionBook{txn: txn, account: id, records: map[[2]uint32]*chainRecord{}}
			if err := s.verifyChain(book, r); err != nil {
				return err
			}
			if err := s.verifyAccount(book, r); err != nil {
				return err
			}
		}
		if err := verifyAges(txn, r); err != nil {
			return err
		}
		return s.verifyStaging(txn, r)
	})
	if err == nil {
		err = s.verifyRoots(ctx, r)
	}
	return r, err
}

// stagingTime is how long a large acceptance may be under way while the store is open.
const stagingTime = 10 * time.Minute

func (s *Store) verifyStaging(txn *badger.Txn, r *Report) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kStaging}})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		if ref := batchOfKey(it.Item().Key()); ref.Batch.Time().Add(stagingTime).Before(s.opt.Now()) {
			r.problem("submission %s was staged and neither accepted nor removed", ref)
		}
	}
	return nil
}

// expired reports whether records of an Istanbul day may be gone by retention, in part or wholly.
func (s *Store) expired(day uint32) bool {
	return s.opt.Retention > 0 && day <= dayOf(s.opt.Now().Add(-s.opt.Retention))
}

// olderThanRecords reports whether the account is older than what is kept, so that the beginning of its chain may have expired.
func (s *Store) olderThanRecords(a gateway.AccountID) bool {
	acct := s.Directory().Accounts[a]
	return acct == nil || s.opt.Retention > 0 && !acct.Created.Add(s.opt.Retention).After(s.opt.Now())
}

// decisionBook finds decisions for Verify. Neighbours mostly stand in one record, so a few are kept.
type decisionBook struct {
	txn      *badger.Txn
	account  gateway.AccountID
	day, seq uint32 // first kept record
	records  map[[2]uint32]*chainRecord
}

// booksKept is how many chain records a decisionBook holds at once.
const booksKept = 64

// has reports whether the decision at ref is about the message, or may have expired.
func (b *decisionBook) has(ref gateway.DecisionRef, id gateway.MessageID) bool {
	if ref.Day < b.day || ref.Day == b.day && ref.Seq < b.seq {
		return true
	}
	at := [2]uint32{ref.Day, ref.Seq}
	rec := b.records[at]
	if rec == nil {
		k := chainKey(b.account, ref.Day, ref.Seq)
		v, err := getValue(b.txn, k)
		if err != nil || v == nil {
			return false
		}
		read, err := decodeChain(b.account, k, v)
		if err != nil {
			return false
		}
		if len(b.records) >= booksKept {
			clear(b.records)
		}
		rec = &read
		b.records[at] = rec
	}
	return int(ref.Pos) < len(rec.decisions) && rec.decisions[ref.Pos].Message == id
}

// verifyChain walks an account's chain and names the first broken link.
func (s *Store) verifyChain(book *decisionBook, r *Report) error {
	txn, a := book.txn, book.account
	broken := func(day, seq uint32, format string, args ...any) {
		r.broken(gateway.ChainBreak{Account: a, Day: dayText(day), Seq: seq, What: fmt.Sprintf(format, args...)})
	}
	prefix := newKey(kChain, 4).account(a)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	var prev *chainRecord
	var day, seq uint32
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		k := it.Item().KeyCopy(nil)
		v, err := it.Item().ValueCopy(nil)
		if err != nil {
			return err
		}
		d, q := chainPlace(k)
		rec, err := decodeChain(a, k, v)
		if err != nil {
			broken(d, q, "the record cannot be read: %v", err)
			return nil
		}
		switch {
		case prev == nil: // the first kept record; what it links to may have expired
			book.day, book.seq = d, q
			if rec.prev != ([32]byte{}) && !s.olderThanRecords(a) {
				broken(d, q, "the chain begins here, but the records before it are missing")
			}
		case (d == day && q != seq+1 || d != day && q != 0) && !s.expired(day):
			broken(d, q, "the record before it is missing: the last one found is %s/%d", dayText(day), seq)
			return nil
		case rec.prev != prev.hash && s.expired(day): // a legal hold keeps records between others that expired
			book.day, book.seq = d, q
		case rec.prev != prev.hash:
			broken(day, seq, "the record was changed: the one behind it, %s/%d, carries another hash for it", dayText(d), q)
			return nil
		}
		r.Chains++
		r.Decisions += len(rec.decisions)
		prev, day, seq = &rec, d, q
	}
	end, ok, err := chainEnd(txn, a)
	switch {
	case err != nil:
		r.problem("account %d: %v", a, err)
	case !ok:
	case prev == nil && !s.expired(end.day),
		prev != nil && (end.day != day || end.seq != seq+1) && !s.expired(end.day):
		broken(end.day, end.seq-1, "the chain ends before this record: it is missing, and what may lie before it")
	case prev != nil && end.day == day && end.prev != prev.hash:
		broken(day, seq, "the record, the last of the chain, was changed")
	}
	return nil
}

type daySum map[uint32]ledgerDay

// verifyAccount sums the account's messages and holds them against the ledger.
func (s *Store) verifyAccount(book *decisionBook, r *Report) error {
	txn, a := book.txn, book.account
	due, err := dueSet(txn, a)
	if err != nil {
		return err
	}
	sums := daySum{}
	c := newBatchCursor(txn, a, 0, false)
	defer c.close()
	for c.next() {
		ref := c.ref()
		r.Batches++
		day := dayOf(ref.Batch.Time())
		sum := sums[day]
		if err := eachStored(txn, ref, 0, func(m *stored) bool {
			verifyMessage(book, m, due, r)
			c := int64(credits(m.batch, m.recipient))
			sum.charged += c
			if m.progress.Refunded {
				sum.refunded += c
			}
			return true
		}); err != nil {
			r.problem("batch %s cannot be read: %v", ref, err)
		}
		sums[day] = sum
	}
	if c.err != nil {
		return c.err
	}
	return s.verifyLedger(txn, a, sums, r)
}

// dueSpan is a span of a due entry; alone says that the entry has nothing else in it.
type dueSpan struct {
	gateway.Span
	due   time.Time
	alone bool
}

// finds reports whether hand-off will find the message under the entry: one that waits until an instant of its own is looked for
// only under an entry of its own and that instant.
func (d *dueSpan) finds(m *stored) bool {
	if m.id.Index < d.First || m.id.Index >= d.First+d.Count {
		return false
	}
	p := &m.progress
	return p.NextAt.IsZero() || p.Open || d.alone && d.due.Equal(p.NextAt)
}

// dueSet collects the account's waiting entries by batch.
func dueSet(txn *badger.Txn, a gateway.AccountID) (map[gateway.BatchID][]dueSpan, error) {
	out := map[gateway.BatchID][]dueSpan{}
	for lane := gateway.Lane(0); lane < gateway.Lanes; lane++ {
		prefix := duePrefix(lane, a)
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
		for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
			err := it.Item().Value(func(v []byte) error {
				ref, err := parseDue(it.Item().Key(), v)
				for _, span := range ref.Spans() {
					out[span.Batch] = append(out[span.Batch], dueSpan{span, ref.Due, ref.Messages() == 1})
				}
				return err
			})
			if err != nil {
				it.Close()
				return nil, err
			}
		}
		it.Close()
	}
	return out, nil
}

func verifyMessage(book *decisionBook, m *stored, due map[gateway.BatchID][]dueSpan, r *Report) {
	r.Messages++
	st, _ := m.state(m.batch.SendAt)
	r.States[st.String()]++
	if m.accept.Day == 0 || !book.has(m.accept, m.id) {
		r.problem("message %s has no acceptance decision", m.id)
	}
	p := &m.progress
	for _, ref := range p.Decisions {
		if !book.has(ref, m.id) {
			r.problem("message %s lacks its decision at %s/%d/%d", m.id, dayText(ref.Day), ref.Seq, ref.Pos)
		}
	}
	if p.Refunded && !p.State.Refundable(true) {
		r.problem("message %s is refunded in state %s", m.id, p.State)
	}
	if p.State.Final() || p.State == gateway.StateSent || st == gateway.StateDropped {
		if p.Open && p.State != gateway.StateSent {
			r.problem("message %s is final with an open intent", m.id)
		}
		return
	}
	r.Waiting++
	if m.batch.Channel == gateway.ChannelEmail && !hasBody(book.txn, m.batch) {
		r.problem("message %s waits, but its body %s is gone", m.id, m.batch.Body.ID)
	}
	for i := range due[m.id.Batch] {
		if due[m.id.Batch][i].finds(m) {
			return
		}
	}
	r.problem("message %s waits in state %s, but nothing will look at it", m.id, st)
}

// hasBody reports whether the body of a mail is there, as far as records tell.
func hasBody(txn *badger.Txn, b *gateway.Batch) bool {
	if !mailbody.IsSmall(b.Body.ID) {
		return true // none, or in a file, which is not this store's
	}
	for _, k := range []key{bodyKey(b.Body.ID), bodyPlaceKey(b.Body.ID)} {
		if v, err := getValue(txn, k); err != nil || v != nil {
			return true // an error shows elsewhere
		}
	}
	return false
}

func (s *Store) verifyLedger(txn *badger.Txn, a gateway.AccountID, sums daySum, r *Report) error {
	v, err := getValue(txn, balanceKey(a))
	if err != nil {
		return err
	}
	var l ledger
	if err := l.decode(v); err != nil {
		r.problem("account %d: %v", a, err)
		return nil
	}
	if l.credits != l.added-l.charged+l.refunded {
		r.problem("account %d: balance %d is not added %d - charged %d + refunded %d", a, l.credits, l.added, l.charged, l.refunded)
	}
	var total ledgerDay
	prefix := newKey(kLedgerDay, 4).account(a)
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
		day := beUint32(it.Item().Key()[5:])
		var d dec
		if err := it.Item().Value(func(v []byte) error { d.b = v; return nil }); err != nil {
			return err
		}
		have := ledgerDay{charged: d.int(), refunded: d.int()}
		total.charged += have.charged
		total.refunded += have.refunded
		if sum, ok := sums[day]; ok && sum != have && !s.expired(day) {
			r.problem("account %d: ledger of %s says charged %d, refunded %d; its messages say %d, %d", a, dayText(day), have.charged,
				have.refunded, sum.charged, sum.refunded)
		}
		delete(sums, day)
	}
	for day, sum := range sums {
		if sum != (ledgerDay{}) {
			r.problem("account %d: messages of %s were charged %d without a ledger entry", a, dayText(day), sum.charged)
		}
	}
	if total.charged != l.charged || total.refunded != l.refunded {
		r.problem("account %d: the days sum to charged %d, refunded %d; the balance says %d, %d", a, total.charged, total.refunded, l.charged,
			l.refunded)
	}
	return nil
}
