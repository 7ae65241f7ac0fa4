package store

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"izinli/gateway"
	"izinli/gateway/mailbody"
)

// Options open a store.
type Options struct {
	Dir string
	// Key is the store key, 32 octets. Records at rest are encrypted with it; other keys derive from it.
	Key []byte
	// Retention is how long message records are kept; 0 keeps them for ever. Default 3 years (regulation.md §10).
	Retention time.Duration
	// Reserve is the free space, in octets, below which acceptance stops (default: the larger of 1 GiB and 5 %).
	Reserve uint64
	// Gather is how long the committer, under load, gathers acts before a sync at most. Default 600 µs; negative: not at all.
	Gather time.Duration
	// Memory is a hint for caches and memtables in octets; default 192 MiB.
	Memory int64
	Now    func() time.Time // the clock; time.Now by default
	Log    *slog.Logger
	// InMemory keeps everything in memory, for tests.
	InMemory bool
}

// Errors of Open, each with what to do in its text.
var (
	ErrLocked = errors.New("store: the data directory is in use by another process; stop it, or let the command talk to it")
	ErrKey    = errors.New("store: the store key is missing or not the one this data was written with")
	ErrNewer  = errors.New("store: the data was written by a newer version of izinli")
)

// Store is the open store. Close it last.
type Store struct {
	db  *badger.DB
	opt Options
	log *slog.Logger

	com     committer
	floorMu sync.Mutex
	floor   time.Time // clock of the open transaction; far ahead when none is; guarded by floorMu
	lastNow time.Time // guarded by floorMu
	ticked  time.Time // real time at which lastNow was reached; guarded by floorMu

	// Owned by the committer.
	chains  map[gateway.AccountID]*chain
	ledgers map[gateway.AccountID]*ledger
	// scratch of encodeBatchPage
	pageRaw    enc
	pagePacked []byte
	paged      map[gateway.AccountID]gateway.BatchID // highest batch in a page, of accounts that were asked for

	dir      atomic.Pointer[gateway.Directory]
	flagsMu  sync.RWMutex
	flags    map[gateway.BatchRef]byte // guarded by flagsMu
	seq      atomic.Uint64
	parked   atomic.Int64
	full     atomic.Bool
	free     atomic.Uint64
	reserve  atomic.Uint64
	instance string
	keys     keys

	wakeFn  atomic.Pointer[func(gateway.Lane, gateway.AccountID, time.Time)]
	owedFn  atomic.Pointer[func(string)]
	eventFn atomic.Pointer[func()]
	rcptFn  atomic.Pointer[func(ReceiptNote)]
	bodyFn  atomic.Pointer[func(gateway.BodyRef)]
	// told of notifications owed to who submitted mail
	noticeFn   atomic.Pointer[func()]
	suppressed suppressions

	dueApprovals, dueRefusals dueFront

	agesMu sync.Mutex
	ages   map[outboxAge]outboxCount // open entries of the outbox; guarded by agesMu

	bodies                    *mailbody.Log // nil in memory; written by the committer alone
	mergePagesMu, mergeRunsMu sync.Mutex    // one merge of each kind at a time

	pagesMu sync.Mutex
	pages   map[gateway.AccountID]int // of the address index, by account; guarded by pagesMu

	recent *recent
	owed   owedBook
	stats  stats
	stop   context.CancelFunc
	tasks  sync.WaitGroup
}

func (o *Options) defaults() error {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Retention == 0 {
		o.Retention = 3 * 366 * 24 * time.Hour
	}
	if o.Gather == 0 {
		o.Gather = 600 * time.Microsecond
	}
	if o.Memory == 0 {
		o.Memory = 192 << 20
	}
	if len(o.Key) != 32 && !o.InMemory {
		return fmt.Errorf("%w: it must be 32 octets", ErrKey)
	}
	return nil
}

// Open opens or creates the store in o.Dir and repairs what a crash left: staged batches nobody accepted are removed. The
// errors say what is wrong with the directory: ErrLocked, ErrKey, ErrNewer, or that it is full or unreadable.
func Open(o Options) (*Store, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	db, err := openBadger(&o)
	if err != nil {
		return nil, openError(&o, err)
	}
	s := &Store{
		db: db, opt: o, log: o.Log, floor: maxFloor,
		chains: map[gateway.AccountID]*chain{}, ledgers: map[gateway.AccountID]*ledger{}, flags: map[gateway.BatchRef]byte{},
		paged:  map[gateway.AccountID]gateway.BatchID{},
		pages:  map[gateway.AccountID]int{},
		recent: newRecent(int(o.Memory / 12)),
		com:    committer{wake: make(chan struct{}, 1), done: make(chan struct{})},
	}
	s.keys = deriveKeys(o.Key)
	s.dir.Store(gateway.NewDirectory())
	if err := errors.Join(s.load(), s.indexOutbox(), s.loadAges(), s.loadPages(), s.openBodies()); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go s.commitLoop()
	if err := s.dropLeftovers(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.checkSpace()
	s.tasks.Go(func() { s.housekeeping(ctx) })
	s.tasks.Go(func() { s.tendAddresses(ctx) })
	s.tasks.Go(func() { s.tendRuns(ctx) })
	return s, nil
}

// badgerOptions divides o.Memory. Tables are large: few are sorted in few goroutines, many small ones in dozens, behind which all
// others queue. One that is being built, and each of up to eight kept for the next, holds a buffer of twice its size, rounded up to a
// power of two and counted by the collector, however full it is: a table of 24 MiB costs as much as one of 32.
func badgerOptions(o *Options) badger.Options {
	mem := o.Memory / 12 // a memtable; a rotation stalls writers for as long as its memory takes to make
	b := badger.DefaultOptions(o.Dir).
		WithInMemory(o.InMemory).
		WithSyncWrites(true).
		WithDetectConflicts(false). // the committer is the only writer
		WithNumVersionsToKeep(1).
		WithMemTableSize(max(8<<20, mem)).
		WithBaseLevelSize(128 << 20).
		WithNumMemtables(3).
		WithNumLevelZeroTables(8).
		WithNumLevelZeroTablesStall(24).
		WithNumCompactors(2).
		WithBaseTableSize(max(8<<20, 2*mem)).
		WithValueLogFileSize(64 << 20).
		WithBlockCacheSize(max(16<<20, 2*mem)).
		WithIndexCacheSize(max(16<<20, 2*mem)).
		WithCompression(options.Snappy).
		WithMetricsEnabled(false).
		WithLogger(badgerLog{o.Log})
	if o.InMemory {
		return b.WithDir("").WithValueDir("")
	}
	return b.WithEncryptionKey(o.Key).WithEncryptionKeyRotationDuration(30 * 24 * time.Hour)
}

// openBadger is badger.Open for a directory that a crash has left. Badger makes the log of a memtable, and takes one away, in two steps
// between which it is empty; it refuses to open such a log, which holds nothing, after it has put in order what it will find next time.
func openBadger(o *Options) (db *badger.DB, err error) {
	for range 3 { // one being made, one being taken away
		db, err = badger.Open(badgerOptions(o))
		if err == nil || !strings.Contains(err.Error(), "while opening memtables") || !strings.Contains(err.Error(), emptyLog) {
			break
		}
		o.Log.Warn("an empty log of the store was left by a crash, it is opened once more", "err", err)
	}
	return db, err
}

// emptyLog is what Badger says of a log that is empty (ristretto z.NewFile).
const emptyLog = "Create a new file"

func openError(o *Options, err error) error {
	switch {
	case errors.Is(err, badger.ErrEncryptionKeyMismatch), errors.Is(err, badger.ErrInvalidEncryptionKey):
		return fmt.Errorf("%w (directory %s)", ErrKey, o.Dir)
	case strings.Contains(err.Error(), "Another process is using this Badger database"),
		strings.Contains(err.Error(), "Cannot acquire directory lock"):
		return fmt.Errorf("%w (directory %s)", ErrLocked, o.Dir)
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("store: no space left for %s: free some and start again: %w", o.Dir, err)
	}
	return fmt.Errorf("store: open %s: %w", o.Dir, err)
}

// load reads header, directory, flags and counters into memory.
func (s *Store) load() error {
	if err := s.loadHeader(); err != nil {
		return err
	}
	return s.db.View(func(txn *badger.Txn) error {
		if err := s.loadDirectory(txn); err != nil {
			return err
		}
		if err := s.loadFlags(txn); err != nil {
			return err
		}
		if err := s.loadSuppressed(txn); err != nil {
			return err
		}
		s.parked.Store(int64(countPrefix(txn, kParked, 1000)))
		return nil
	})
}

func (s *Store) loadHeader() error {
	return s.db.Update(func(txn *badger.Txn) error {
		v, err := getValue(txn, newKey(kHeader, 0))
		if err != nil {
			return err
		}
		if v == nil {
			var id [8]byte
			if _, err := rand.Read(id[:]); err != nil {
				return err
			}
			s.instance = hex.EncodeToString(id[:])
			return errors.Join(txn.Set(newKey(kHeader, 0), headerValue(s.instance, s.opt.Now())), txn.Set(namedKey(outboxDueName), []byte{1}), txn.Set(namedKey(outboxAgesName), []byte{1}),
				s.startSeq(txn))
		}
		d := dec{b: v}
		if got := d.uint(); got > version {
			return fmt.Errorf("%w: it has version %d, this program knows %d", ErrNewer, got, version)
		}
		s.instance = d.text()
		made := d.time()
		if err := d.err("header"); err != nil {
			return err
		}
		return errors.Join(txn.Set(newKey(kHeader, 0), headerValue(s.instance, made)), s.startSeq(txn))
	})
}

// headerValue is the header of a store of this version.
func headerValue(instance string, made time.Time) enc {
	var e enc
	e.uint(version)
	e.text(instance)
	e.time(made)
	return e
}

// seqARun is more numbers than any run uses.
const seqARun = 1 << 40

// startSeq begins the sequence numbers of this run. They have to rise over restarts, also when the clock was set back: a start
// begins at the clock, but above whatever the run before it can have used.
func (s *Store) startSeq(txn *badger.Txn) error {
	k := namedKey("seq")
	v, err := getValue(txn, k)
	if err != nil {
		return err
	}
	start := uint64(max(0, s.opt.Now().UnixMilli())) << 20
	if len(v) == 8 {
		if last := binary.BigEndian.Uint64(v); start <= last {
			start = last + seqARun
		}
	}
	s.seq.Store(start)
	return txn.Set(k, binary.BigEndian.AppendUint64(nil, start))
}

// flagsLife is the longest that hand-off can need the flags of a batch, from its acceptance.
const flagsLife = gateway.MaxAhead + gateway.MaxValidity + gateway.UnknownAfter

func (s *Store) loadFlags(txn *badger.Txn) error {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kFlags}, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	now := s.opt.Now()
	for it.Rewind(); it.Valid(); it.Next() {
		k := it.Item().Key()
		ref := batchOfKey(k)
		if ref.Batch.Time().Add(flagsLife).Before(now) { // over, and swept when flags were not settled yet
			continue
		}
		if err := it.Item().Value(func(v []byte) error {
			if len(v) == 1 { // longer: settled
				s.flags[ref] = v[0]
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func batchOfKey(k []byte) gateway.BatchRef {
	d := k[1:]
	return gateway.BatchRef{Account: gateway.AccountID(beUint32(d)),
		Batch: gateway.BatchID(uint64(beUint32(d[4:]))<<32 | uint64(beUint32(d[8:])))}
}

func countPrefix(txn *badger.Txn, kind byte, limit int) (n int) {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kind}})
	defer it.Close()
	for it.Rewind(); it.Valid() && n < limit; it.Next() {
		n++
	}
	return n
}

// dropLeftovers removes staged batches that were never accepted.
func (s *Store) dropLeftovers() error {
	var refs []gateway.BatchRef
	err := s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kStaging}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			refs = append(refs, batchOfKey(it.Item().Key()))
		}
		return nil
	})
	for _, ref := range refs {
		if err == nil {
			err = s.dropStaged(ref, gateway.MaxRecipients)
			s.log.Info("removed a submission that was never accepted", "batch", ref.String())
		}
	}
	return errors.Join(err, s.dropOrphanRuns(context.Background()))
}

// nextSeq hands out numbers that rise over restarts.
func (s *Store) nextSeq() uint64 { return s.seq.Add(1) }

// NextSeq hands out a number that rises over restarts.
func (s *Store) NextSeq() uint64 { return s.nextSeq() }

// Instance names this store, for queue names: two gateways can share one Redis.
func (s *Store) Instance() string { return s.instance }

// LastBatch returns the highest batch id stored, so that a restart with a clock set back never reuses one.
func (s *Store) LastBatch() (last gateway.BatchID) {
	for a := range s.Directory().Accounts {
		_ = s.db.View(func(txn *badger.Txn) error {
			c := newBatchCursor(txn, a, ^gateway.BatchID(0), true)
			defer c.close()
			if c.next() {
				last = max(last, c.id)
			}
			return c.err
		})
	}
	return last
}

// Full reports whether acceptance is stopped for lack of space.
func (s *Store) Full() bool { return s.full.Load() }

// housekeeping watches the free space and settles what nobody will answer any more.
func (s *Store) housekeeping(ctx context.Context) {
	space := time.NewTicker(time.Second)
	defer space.Stop()
	sweep := time.NewTicker(time.Minute)
	defer sweep.Stop()
	gc := time.NewTicker(10 * time.Minute)
	defer gc.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-space.C:
			s.checkSpace()
			if s.bodies != nil {
				if err := s.bodies.Tidy(); err != nil {
					s.log.Error("log of mail bodies", "err", err)
				}
			}
		case <-sweep.C:
			if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("sweep", "err", err)
			}
			if err := s.tidyBodies(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("log of mail bodies", "err", err)
			}
			if _, err := s.SealDays(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("roots of the decision chain", "err", err)
			}
		case <-gc.C:
			_ = s.db.RunValueLogGC(0.5) // ErrNoRewrite is the usual answer
			if err := s.renewWhenDue(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("records under hold", "err", err)
			}
		}
	}
}

// checkSpace stops acceptance below the reserve: a full disk would kill the process (Badger writes through mmap).
func (s *Store) checkSpace() {
	if s.opt.InMemory {
		return
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.opt.Dir, &st); err != nil {
		s.log.Error("free space unknown", "err", err)
		return
	}
	free, total := st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize)
	reserve := s.opt.Reserve
	if reserve == 0 {
		reserve = max(1<<30, total/20)
	}
	s.free.Store(free)
	s.reserve.Store(reserve)
	full := free < reserve
	if s.full.Swap(full) != full {
		if full {
			s.log.Error("short of storage: acceptance stops, outcomes and opt-outs go on", "free", free, "reserve", reserve)
		} else {
			s.log.Info("storage is back: acceptance goes on", "free", free)
		}
	}
}

// Space is what is free under the store, and the reserve below which acceptance stops, in octets; zeroes when unknown.
func (s *Store) Space() (free, reserve uint64) { return s.free.Load(), s.reserve.Load() }

// Close answers what was handed over, stops the committer and closes the database.
func (s *Store) Close() error {
	if s.stop != nil {
		s.stop()
	}
	s.tasks.Wait()
	s.com.mu.Lock()
	already := s.com.closed
	s.com.closed = true
	s.com.mu.Unlock()
	if already {
		return nil
	}
	select {
	case s.com.wake <- struct{}{}:
	default:
	}
	<-s.com.done
	err := s.db.Close()
	if s.bodies != nil {
		err = errors.Join(s.bodies.Close(), err)
	}
	return err
}

// LoadKey reads the store key from a file (32 octets, raw or 64 hex digits). With create, which is right only for an empty
// store, a missing file is made (mode 0600) and created is true: tell the administrator to back it up.
func LoadKey(path string, create bool) (key []byte, created bool, err error) {
	b, err := os.ReadFile(path)
	switch {
	case err == nil:
		if key = ParseKey(string(b)); key == nil {
			return nil, false, fmt.Errorf("%w: %s does not hold 32 octets or 64 hex digits", ErrKey, path)
		}
		return key, false, nil
	case !errors.Is(err, os.ErrNotExist):
		return nil, false, fmt.Errorf("store: read key file: %w", err)
	case !create:
		return nil, false, fmt.Errorf("%w: %s does not exist, but the store does", ErrKey, path)
	}
	key = make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, false, err
	}
	if err := writeKey(path, key); err != nil {
		return nil, false, fmt.Errorf("store: write key file: %w", err)
	}
	return key, true, nil
}

func writeKey(path string, key []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, hex.EncodeToString(key)+"\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// The name too has to survive: the data is worth nothing without the key.
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// ParseKey reads a key given as 32 raw octets or 64 hex digits; nil when it is neither.
func ParseKey(s string) []byte {
	if len(s) == 32 {
		return []byte(s)
	}
	if b, err := hex.DecodeString(strings.TrimSpace(s)); err == nil && len(b) == 32 {
		return b
	}
	return nil
}

// Exists reports whether dir holds a store already.
func Exists(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "MANIFEST"))
	return err == nil
}

// badgerLog carries Badger's messages into slog; its chatter is debug to us.
type badgerLog struct{ log *slog.Logger }

func (l badgerLog) Errorf(f string, a ...any) {
	l.log.Error("badger", "msg", strings.TrimSpace(fmt.Sprintf(f, a...)))
}
func (l badgerLog) Warningf(f string, a ...any) {
	l.log.Warn("badger", "msg", strings.TrimSpace(fmt.Sprintf(f, a...)))
}
func (l badgerLog) Infof(f string, a ...any) {
	l.log.Debug("badger", "msg", strings.TrimSpace(fmt.Sprintf(f, a...)))
}
func (l badgerLog) Debugf(string, ...any) {}
