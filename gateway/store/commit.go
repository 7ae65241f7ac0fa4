package store

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Bounds of one synced transaction. Badger refuses more than about 15 % of a memtable; these stay well below, and keep an OTP from
// waiting long behind a campaign: what is urgent goes into the next transaction, so that it waits for the rest of one at most. For a
// while after something urgent the transactions are shorter still.
const (
	maxTxBytes = 1 << 20
	maxTxKeys  = 2_500
	smallWork  = 4   // what goes into a page is this many times less work than a key of its own
	calmKeys   = 200 // while urgent acts come
	calmFor    = 500 * time.Millisecond
	// Acts in one round from which on the next is gathered for, and from which on for the whole of Options.Gather.
	gatherFrom = 4
	gatherFull = 16
	// Urgent acts in front of one transaction: about half of it, so that a flood of them does not starve the rest.
	urgentShare = 100
	// Parts of bulk submissions beside other acts, and alone: between them everything else gets its turn.
	bulkBeside = 2
	bulkAlone  = 4
)

// txLimits leave half of what Badger takes to the last act of a transaction.
func (s *Store) txLimits() (keys, bytes int) {
	keys = maxTxKeys
	if time.Since(s.com.urgentAt) < calmFor {
		keys = calmKeys
	}
	return min(keys, int(s.db.MaxBatchCount()/2)), min(maxTxBytes, int(s.db.MaxBatchSize()/2))
}

// ErrClosed is returned for acts that arrive after Close.
var ErrClosed = fmt.Errorf("store: %w", gateway.ErrClosed)

// errFatal marks an error that leaves the transaction half written: everything gathered in it fails.
type errFatal struct{ err error }

func (e errFatal) Error() string { return e.err.Error() }
func (e errFatal) Unwrap() error { return e.err }

// act is one atomic change. apply runs in the committer; if it refuses (returns an error) it must not have written anything. It
// may be run again, from the start, in another transaction.
// done is called once after the sync, from the committer: it must not block.
type act struct {
	apply func(*tx) error
	done  func(error)
}

// committer gathers acts.
type committer struct {
	mu      sync.Mutex
	urgent  []act // of one-time passwords and opt-outs, which overtake; guarded by mu
	pending []act // guarded by mu
	bulk    []act // parts of bulk submissions, which can wait a round; guarded by mu
	closed  bool  // guarded by mu
	wake    chan struct{}
	done    chan struct{}

	urgentAt time.Time // when something urgent was taken last; owned by commitLoop
}

// enqueue hands an act to the committer.
func (s *Store) enqueue(a act) { s.enqueueIn(&s.com.pending, a) }

// enqueueUrgent hands over an act that overtakes what waits. Acts of one message follow each other because each is handed over
// after the one before was answered, so overtaking changes no order that anybody relies on.
func (s *Store) enqueueUrgent(a act) { s.enqueueIn(&s.com.urgent, a) }

// enqueueBulk hands over an act that others may overtake.
func (s *Store) enqueueBulk(a act) { s.enqueueIn(&s.com.bulk, a) }

func (s *Store) enqueueIn(queue *[]act, a act) {
	s.com.mu.Lock()
	if s.com.closed {
		s.com.mu.Unlock()
		a.done(ErrClosed)
		return
	}
	*queue = append(*queue, a)
	first := len(*queue) == 1
	s.com.mu.Unlock()
	if first {
		select {
		case s.com.wake <- struct{}{}:
		default:
		}
	}
}

// do runs apply in the committer and returns after its sync. It does not give up when a caller's context ends: what was
// handed over is either done or refused, and the caller must hear which.
func (s *Store) do(apply func(*tx) error) error { return s.doIn(false, apply) }

// doIn is do for an act that may be urgent.
func (s *Store) doIn(urgent bool, apply func(*tx) error) error {
	ch := make(chan error, 1)
	a := act{apply, func(err error) { ch <- err }}
	if urgent {
		s.enqueueUrgent(a)
	} else {
		s.enqueue(a)
	}
	return <-ch
}

// commitLoop owns every write of the store until Close.
func (s *Store) commitLoop() {
	defer close(s.com.done)
	busy := 0 // acts of the last round, when they were more than a few
	for {
		if busy > 0 && s.opt.Gather > 0 {
			// Under load a short pause gathers more acts into each sync, shorter where there are few to gather; a lone act never comes here.
			time.Sleep(s.opt.Gather * time.Duration(min(busy, gatherFull)) / gatherFull)
		}
		acts, open := s.takeActs()
		if len(acts) == 0 {
			if !open {
				return
			}
			busy = 0
			<-s.com.wake
			continue
		}
		if busy = len(acts); busy <= gatherFrom {
			busy = 0
		}
		for len(acts) > 0 {
			if acts = acts[s.commitSome(acts):]; len(acts) > 0 {
				acts = append(s.takeUrgent(), acts...)
			}
		}
	}
}

func (s *Store) takeUrgent() []act {
	s.com.mu.Lock()
	defer s.com.mu.Unlock()
	return s.takeUrgentLocked()
}

func (s *Store) takeUrgentLocked() []act {
	n := min(urgentShare, len(s.com.urgent))
	if n == 0 {
		return nil
	}
	acts := slices.Clone(s.com.urgent[:n])
	if s.com.urgent = s.com.urgent[n:]; len(s.com.urgent) == 0 {
		s.com.urgent = nil // let go of the array
	}
	s.com.urgentAt = time.Now()
	return acts
}

func (s *Store) takeActs() ([]act, bool) {
	s.com.mu.Lock()
	defer s.com.mu.Unlock()
	acts := s.takeUrgentLocked()
	n := bulkBeside
	if len(acts)+len(s.com.pending) == 0 {
		n = bulkAlone
	}
	if len(acts) == 0 {
		acts = s.com.pending
	} else {
		acts = append(acts, s.com.pending...)
	}
	s.com.pending = nil
	n = min(n, len(s.com.bulk))
	acts = append(acts, s.com.bulk[:n]...)
	if s.com.bulk = s.com.bulk[n:]; len(s.com.bulk) == 0 {
		s.com.bulk = nil // let go of the array
	}
	return acts, !s.com.closed
}

// commitSome runs as many of the acts as fit one transaction, syncs it, answers them, and returns how many it took. When one of
// several cannot be applied, the transaction is given up and each runs alone: an act that fails (a damaged record, a request
// larger than a transaction) must not take others' along, which may belong to another account.
func (s *Store) commitSome(acts []act) int {
	t := s.begin()
	defer t.close()
	results := make([]error, 0, len(acts))
	var fatal error
	for _, a := range acts {
		if maxKeys, maxBytes := s.txLimits(); t.keys+t.small/smallWork > maxKeys || t.bytes > maxBytes {
			break
		}
		err := a.apply(t)
		results = append(results, err)
		if f := (errFatal{}); errors.As(err, &f) {
			fatal = f
			break
		}
	}
	if n := len(results); fatal != nil && n > 1 {
		s.setFloor(maxFloor)
		t.discard()
		for i := range n {
			s.commitSome(acts[i : i+1])
		}
		return n
	}
	if fatal == nil {
		fatal = t.commit()
	}
	s.setFloor(maxFloor)
	if fatal != nil {
		t.discard()
		s.log.Error("commit failed", "acts", len(results), "err", fatal)
	} else {
		t.publish()
	}
	for i, err := range results {
		if fatal != nil {
			err = fmt.Errorf("store: commit: %w", fatal)
		}
		acts[i].done(err)
	}
	s.stats.note(len(results), t)
	return len(results)
}

// tx is one transaction under way. Its in-memory changes reach the store only after the sync.
type tx struct {
	s   *Store
	txn *badger.Txn
	now time.Time // one instant for the whole transaction, to the millisecond, never before an earlier one

	keys, bytes int
	small       int // messages and batches that went into pages
	chains      map[gateway.AccountID]*chain
	ledgers     map[gateway.AccountID]*ledger
	wakes       map[laneAccount]time.Time
	dues        map[laneAccount]*gateway.DueRef        // entries under construction
	addresses   map[gateway.AccountID]*addressPage     // of messages accepted
	batches     map[gateway.AccountID][]pagedBatch     // accepted, for pages
	batchTTL    time.Duration                          // of the longest of them
	past        *batchReader                           // see reader
	owed        map[string][]gateway.ReceiptDue        // by system_id
	dir         *gateway.Directory                     // changed in this transaction
	progresses  map[gateway.MessageID]gateway.Progress // written in this transaction
	ids         map[operatorID]segmentOf               // likewise
	accepted    []*pendingBatch
	hooks       []func()
	undo        []func()                  // run when the transaction is given up
	ages        map[outboxAge]outboxCount // changes to the counts of the outbox
	dueFirst    map[byte]key              // by status, the first place taken in the due index of the outbox
}

type laneAccount struct {
	lane    gateway.Lane
	account gateway.AccountID
}

// begin opens a transaction. The due floor is set first: Due never passes the clock of a transaction that is still open, so
// no entry is ever committed behind a feeder's cursor.
func (s *Store) begin() *tx {
	s.floorMu.Lock()
	now := s.tickLocked()
	s.floor = now
	s.floorMu.Unlock()
	return &tx{s: s, txn: s.db.NewTransaction(true), now: now}
}

// tickLocked reads the clock in whole milliseconds; it never goes back. After the clock was set back it goes on at half the pace of
// real time until the clock has caught up: standing still it would make nothing due for as long as the step was.
func (s *Store) tickLocked() time.Time {
	switch wall := s.opt.Now().Truncate(time.Millisecond); {
	case wall.After(s.lastNow):
		s.lastNow, s.ticked = wall, time.Now()
	case wall.Before(s.lastNow):
		if d := (time.Since(s.ticked) / 2).Truncate(time.Millisecond); d > 0 {
			s.lastNow, s.ticked = s.lastNow.Add(d), s.ticked.Add(2*d)
		}
	}
	return s.lastNow
}

// untilDue turns a time of the store's clock, which showed now, into one of this machine's: whoever waits for it must not mind that
// the clocks differ for a while after a correction.
func untilDue(due, now time.Time) time.Time { return time.Now().Add(due.Sub(now)) }

var maxFloor = time.UnixMilli(1 << 60)

func (s *Store) setFloor(t time.Time) {
	s.floorMu.Lock()
	s.floor = t
	s.floorMu.Unlock()
}

// set writes a record that lives until retention ends (0: for ever). Key and value belong to the transaction afterwards.
func (t *tx) set(k key, v []byte, ttl time.Duration) error {
	e := badger.NewEntry(k, v)
	if ttl > 0 {
		e.ExpiresAt = uint64(time.Now().Add(ttl).Unix()) // Badger expires by the wall clock, whatever ours says
	}
	t.keys++
	t.bytes += len(k) + len(v) + 32
	if err := t.txn.SetEntry(e); err != nil {
		return errFatal{fmt.Errorf("write %q: %w", k[0], err)}
	}
	return nil
}

func (t *tx) del(k key) error {
	t.keys++
	t.bytes += len(k) + 32
	if err := t.txn.Delete(k); err != nil {
		return errFatal{fmt.Errorf("delete %q: %w", k[0], err)}
	}
	return nil
}

// get reads a record, with this transaction's own writes; nil when there is none.
func (t *tx) get(k key) ([]byte, error) {
	v, err := getValue(t.txn, k)
	if err != nil {
		return nil, errFatal{err}
	}
	return v, nil
}

func getValue(txn *badger.Txn, k key) ([]byte, error) {
	item, err := txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: read %q: %w", k[0], err)
	}
	v, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("store: read %q: %w", k[0], err)
	}
	if v == nil {
		v = []byte{}
	}
	return v, nil
}

// wake notes that the account's lane got an entry due at the given time.
func (t *tx) wake(l gateway.Lane, a gateway.AccountID, due time.Time) {
	if t.wakes == nil {
		t.wakes = map[laneAccount]time.Time{}
	}
	k := laneAccount{l, a}
	if old, ok := t.wakes[k]; !ok || due.Before(old) {
		t.wakes[k] = due
	}
}

// close ends what the transaction reads besides.
func (t *tx) close() {
	if t.past != nil {
		t.past.pages.Discard()
	}
}

// discard gives the transaction up.
func (t *tx) discard() {
	t.txn.Discard()
	for _, f := range t.undo {
		f()
	}
}

// after runs f once the transaction is synced.
func (t *tx) after(f func()) { t.hooks = append(t.hooks, f) }

func (t *tx) commit() error {
	for _, r := range t.dues {
		if err := t.putDue(*r); err != nil {
			return err
		}
	}
	for a, p := range t.addresses {
		if err := t.flushAddresses(a, p); err != nil {
			return err
		}
	}
	for a, list := range t.batches {
		if err := t.flushBatches(a, list); err != nil {
			return err
		}
	}
	for system, list := range t.owed {
		if err := t.flushOwed(system, list); err != nil {
			return err
		}
	}
	for a, c := range t.chains {
		if err := t.endChain(a, c); err != nil {
			return err
		}
	}
	for a, l := range t.ledgers {
		if err := t.flushLedger(a, l); err != nil {
			return err
		}
	}
	if err := t.flushAges(); err != nil {
		return err
	}
	if t.s.bodies != nil {
		if err := t.s.bodies.Sync(); err != nil {
			return err
		}
	}
	return t.txn.Commit()
}

// publish carries the synced changes into memory and tells whoever waits for them.
func (t *tx) publish() {
	for a, c := range t.chains {
		t.s.chains[a] = c.head()
	}
	for a, l := range t.ledgers {
		t.s.ledgers[a] = l
	}
	for a, p := range t.addresses {
		t.s.notePages(a, (len(p.refs)+pageRefs-1)/pageRefs)
	}
	for _, p := range t.accepted {
		t.s.recent.put(&p.Batch, p.Recipients)
	}
	for id, p := range t.progresses {
		t.s.recent.note(id, p)
	}
	for k, v := range t.ids {
		t.s.recent.putID(k, v)
	}
	if t.dir != nil {
		t.s.dir.Store(t.dir)
	}
	if t.ages != nil {
		t.s.noteAges(t.ages)
	}
	for status, k := range t.dueFirst {
		t.s.front(status).add(k)
	}
	for _, f := range t.hooks {
		f()
	}
	wake := t.s.wakeFn.Load()
	if wake == nil {
		return
	}
	for k, due := range t.wakes {
		(*wake)(k.lane, k.account, untilDue(due, t.now))
	}
}
