package mirror

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	"izinli/iys"
)

// Source is the durable copy, read once at start-up. Each method calls yield
// for every record until yield returns an error, and returns that error.
type Source interface {
	EachPull(ctx context.Context, yield func(Pull) error) error
	EachBlock(ctx context.Context, yield func(iys.Block) error) error
	EachBlacklisted(ctx context.Context, yield func(account, address string) error) error
	// EachConsent may read with several goroutines. Each of them takes a Loader
	// of its own, adds what it reads and closes it.
	EachConsent(ctx context.Context, loader func() *Loader) error
}

// Counter may be implemented by a Source that knows about how many consents it
// has. The arrays are then made once, instead of growing and leaving outgrown
// ones behind.
type Counter interface {
	ConsentCount() int
}

// loadChunk is after how many records a Load collects garbage.
const loadChunk = 1 << 19

// Load fills the mirror from the durable copy and makes it ready. What Put and
// Block brought meanwhile stays: it is newer than the copy. On error the mirror
// stays not ready, and everything is refused.
func (m *Mirror) Load(ctx context.Context, src Source) error {
	if c, ok := src.(Counter); ok {
		m.consents.reserve(c.ConsentCount())
	}
	steps := []struct {
		what string
		run  func() error
	}{
		{"pulls", func() error {
			return src.EachPull(ctx, func(p Pull) error {
				if !p.Trust.IsZero() {
					m.Distrust(p.Brand, p.Channel, p.Trust)
				}
				m.Pulled(p.Brand, p.Channel, p.Start)
				return nil
			})
		}},
		// What stops comes before what permits.
		{"blocks", func() error {
			return src.EachBlock(ctx, func(b iys.Block) error { m.Block(b); return nil })
		}},
		{"blacklist", func() error {
			return src.EachBlacklisted(ctx, func(account, address string) error { m.Blacklist(account, address); return nil })
		}},
		{"consents", func() error {
			var total atomic.Int64
			return src.EachConsent(ctx, func() *Loader { return &Loader{m: m, total: &total} })
		}},
	}
	for _, s := range steps {
		if err := s.run(); err != nil {
			return fmt.Errorf("mirror: load %s: %w", s.what, err)
		}
	}
	// The reading of the durable copy and any growth left garbage behind.
	debug.FreeOSMemory()
	m.ready.Store(true)
	return nil
}

// A Loader takes consents from one goroutine of a [Source].
//
// Each record belongs at a random place of an array of hundreds of megabytes,
// and waiting for that memory would be most of the work. A Loader therefore
// gathers records and goes through the table shard by shard: the places of one
// shard are fetched together, and its lock is taken once.
type Loader struct {
	m       *Mirror
	total   *atomic.Int64
	records []slot
	sorted  []slot // by shard
	fetched uint64 // keeps the compiler from dropping the fetch
}

// sheaf is how many records a Loader gathers: 64 for each shard, 1 MiB in all.
const sheaf = 64 * shardCount

// Add takes a record, which need not outlive the call.
func (l *Loader) Add(c *iys.Consent) {
	in, known := l.m.slotOf(c)
	if !known || in.value == 0 {
		return
	}
	if l.records == nil {
		l.records, l.sorted = make([]slot, 0, sheaf), make([]slot, sheaf)
	}
	if l.records = append(l.records, in); len(l.records) == sheaf {
		l.flush()
	}
}

// Close brings what was gathered into the mirror. The Loader is used up.
func (l *Loader) Close() {
	l.flush()
	l.records, l.sorted = nil, nil
}

func (l *Loader) flush() {
	n := len(l.records)
	if n == 0 {
		return
	}
	var ends [shardCount]int32
	for i := range l.records {
		ends[l.records[i].hash&shardMask]++
	}
	at := int32(0)
	for i, count := range ends {
		ends[i], at = at, at+count
	}
	for _, in := range l.records {
		end := &ends[in.hash&shardMask]
		l.sorted[*end] = in
		*end++
	}
	from := int32(0)
	for i, end := range ends {
		if end > from {
			l.fetched += l.m.consents.fill(&l.m.consents.shards[i], l.sorted[from:end])
		}
		from = end
	}
	l.records = l.records[:0]
	// Reading makes garbage, and the collector would let it grow to the size of
	// the index. The index holds no pointers, so a collection costs little here.
	if sum := l.total.Add(int64(n)); sum/loadChunk != (sum-int64(n))/loadChunk {
		runtime.GC()
	}
}
