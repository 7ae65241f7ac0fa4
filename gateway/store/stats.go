package store

import (
	"sync"
	"sync/atomic"

	"izinli/gateway"
)

// stats counts what the committer did, for metrics.
type stats struct {
	commits, acts, keys atomic.Uint64

	mu     sync.Mutex
	finals map[finalKey]uint64 // guarded by mu
}

type finalKey struct {
	Class string
	State gateway.State
	Code  gateway.Code
}

func (s *stats) note(acts int, t *tx) {
	s.commits.Add(1)
	s.acts.Add(uint64(acts))
	s.keys.Add(uint64(t.keys))
}

func (s *stats) final(class string, st gateway.State, code gateway.Code) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finals == nil {
		s.finals = map[finalKey]uint64{}
	}
	s.finals[finalKey{class, st, code}]++
}

// FinalCount is how many messages of a class ended in a state for a reason since the start.
type FinalCount struct {
	Class string
	State gateway.State
	Code  gateway.Code
	Count uint64
}

// Stats is what the store did since it was opened.
type Stats struct {
	Commits uint64 // synced transactions
	Acts    uint64 // atomic changes in them
	Keys    uint64 // records written or deleted
	Finals  []FinalCount
	Full    bool
}

// Durable reports whether what is acknowledged is synced, and whether what is written is encrypted: both always are, save in a store
// in memory.
func (s *Store) Durable() (synced, encrypted bool) {
	o := s.db.Opts()
	return o.SyncWrites && !o.InMemory, len(o.EncryptionKey) > 0 && !o.InMemory
}

// Stats returns the counters.
func (s *Store) Stats() Stats {
	out := Stats{Commits: s.stats.commits.Load(), Acts: s.stats.acts.Load(), Keys: s.stats.keys.Load(), Full: s.full.Load()}
	s.stats.mu.Lock()
	defer s.stats.mu.Unlock()
	for k, n := range s.stats.finals {
		out.Finals = append(out.Finals, FinalCount{k.Class, k.State, k.Code, n})
	}
	return out
}
