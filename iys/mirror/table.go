package mirror

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// A table maps 64-bit hashes to 64-bit values. It is cut into shards, each with
// its own lock and its own array, so that readers meet rarely and growth copies
// one small shard at a time.
//
// Within a shard, slots are kept sorted by hash in open addressing: the home of
// a hash is a monotone function of it, and a slot lies at or after its home. A
// search therefore ends at the first greater hash, which makes misses as cheap
// as hits at the high load that 24 bytes a record need, and growing is one
// merge pass.
const (
	shardCount = 1024
	shardMask  = shardCount - 1

	// A shard grows by a fifth when it is 82 % full, so its load stays between
	// 68 % and 82 %: 19.5 to 23.4 bytes a record.
	maxLoadNum, maxLoadDen = 82, 100
	growNum, growDen       = 6, 5
	minSize                = 16
	slack                  = 16 // slots past the last home, for the last cluster
)

// slot holds one record. A zero value marks an empty slot; no stored value is
// zero.
type slot struct{ hash, value uint64 }

type shard struct {
	mu    sync.RWMutex
	slots []slot // size + slack
	size  uint64 // homes
	n     int
	_     [8]byte // fills a cache line
}

type table struct {
	shards [shardCount]shard
	held   atomic.Int64 // records; counted before one can be found and after it cannot
}

// empty reports whether nothing is held: most accounts have no blacklist, and need not be looked up in one.
func (t *table) empty() bool { return t.held.Load() == 0 }

func (t *table) shard(hash uint64) *shard { return &t.shards[hash&shardMask] }

// home spreads the high bits over size slots, keeping order.
func home(hash, size uint64) uint64 {
	hi, _ := bits.Mul64(hash, size)
	return hi
}

func (t *table) get(hash uint64) (uint64, bool) {
	l := t.begin(hash)
	l.fetch()
	return l.end()
}

// A look is a search that has begun: its shard is locked for reading until it
// ends. The zero look finds nothing.
//
// Waiting for memory is most of a search in a table of hundreds of megabytes,
// and a lock makes the processor wait for all that was asked for before it.
// Whoever searches several tables therefore begins in all, then fetches in all,
// and ends them last: so the waits overlap. Nobody who holds one shard for
// writing ever waits for another, so looks may be held together.
type look struct {
	s     *shard
	hash  uint64
	at    uint64 // home
	first slot   // what is there
}

func (t *table) begin(hash uint64) look {
	if t.empty() {
		return look{}
	}
	s := t.shard(hash)
	s.mu.RLock()
	return look{s: s, hash: hash}
}

func (l *look) fetch() {
	if l.s != nil && l.s.size > 0 {
		l.at = home(l.hash, l.s.size)
		l.first = l.s.slots[l.at]
	}
}

// end returns what was found and unlocks the shard.
func (l *look) end() (value uint64, ok bool) {
	if l.s == nil {
		return 0, false
	}
	switch {
	case l.first.value == 0 || l.first.hash > l.hash: // nothing at home, nor behind it
	case l.first.hash == l.hash:
		value, ok = l.first.value, true
	default:
		i, found := l.s.findFrom(l.at+1, l.hash)
		if ok = found; ok {
			value = l.s.slots[i].value
		}
	}
	l.s.mu.RUnlock()
	return value, ok
}

// put stores value (not zero) and reports whether the hash is new. A stored
// value is replaced only when replace is set.
func (t *table) put(hash, value uint64, replace bool) bool {
	s := t.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	return t.putIn(s, slot{hash, value}, replace)
}

// putIn is put for whoever holds the lock of the record's shard.
func (t *table) putIn(s *shard, in slot, replace bool) bool {
	i, ok := s.find(in.hash)
	if ok {
		if replace {
			s.slots[i].value = in.value
		}
		return false
	}
	t.held.Add(1)
	if (s.n+1)*maxLoadDen > int(s.size)*maxLoadNum || !s.insert(i, in) {
		for !s.grow(in) {
		}
	}
	s.n++
	return true
}

// fill puts into a shard what is not there. It first looks at the place of each, which
// the processor does for many at once, while a search waits for one after the
// other. What it returns means nothing.
func (t *table) fill(s *shard, list []slot) (fetched uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size > 0 {
		for i := range list {
			fetched += s.slots[home(list[i].hash, s.size)].hash
		}
	}
	for _, in := range list {
		t.putIn(s, in, false)
	}
	return fetched
}

// del removes a hash and reports whether it was there.
func (t *table) del(hash uint64) bool {
	s := t.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.find(hash)
	if !ok {
		return false
	}
	// Close the gap: pull back everything that does not lie at home.
	for ; i+1 < uint64(len(s.slots)); i++ {
		next := s.slots[i+1]
		if next.value == 0 || home(next.hash, s.size) == i+1 {
			break
		}
		s.slots[i] = next
	}
	s.slots[i] = slot{}
	s.n--
	t.held.Add(-1)
	return true
}

func (t *table) len() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += s.n
		s.mu.RUnlock()
	}
	return n
}

// bytes is the memory of the arrays.
func (t *table) bytes() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.RLock()
		n += len(s.slots) * 16
		s.mu.RUnlock()
	}
	return n
}

// reserve makes room for n records in an empty table at a load of 77 %, which
// leaves shards that get more than their share a little below the limit.
func (t *table) reserve(n int) {
	size := uint64(n/shardCount*100/77 + minSize)
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		if s.n == 0 && s.size < size {
			s.size, s.slots = size, make([]slot, size+slack)
		}
		s.mu.Unlock()
	}
}

// find returns the place of hash, or where it would be inserted.
func (s *shard) find(hash uint64) (uint64, bool) {
	if s.size == 0 {
		return 0, false
	}
	return s.findFrom(home(hash, s.size), hash)
}

// findFrom is find from a place at which, or behind which, hash would be.
func (s *shard) findFrom(i, hash uint64) (uint64, bool) {
	for ; i < uint64(len(s.slots)); i++ {
		c := &s.slots[i]
		if c.value == 0 || c.hash > hash {
			return i, false
		}
		if c.hash == hash {
			return i, true
		}
	}
	return i, false
}

// insert puts in at i, shifting the rest of the cluster; false when the cluster
// has no room before the end.
func (s *shard) insert(i uint64, in slot) bool {
	end := i
	for end < uint64(len(s.slots)) && s.slots[end].value != 0 {
		end++
	}
	if end >= uint64(len(s.slots)) {
		return false
	}
	copy(s.slots[i+1:end+1], s.slots[i:end])
	s.slots[i] = in
	return true
}

// grow moves the shard to a larger array and puts in among the rest. It fails,
// having changed only the size to try next, when the last cluster overruns.
func (s *shard) grow(in slot) bool {
	size := max(minSize, s.size*growNum/growDen+1)
	s.size = size
	slots := make([]slot, size+slack)
	next := uint64(0)
	place := func(c slot) bool {
		i := max(home(c.hash, size), next)
		if i >= uint64(len(slots)) {
			return false
		}
		slots[i], next = c, i+1
		return true
	}
	for _, c := range s.slots {
		if c.value == 0 {
			continue
		}
		if in.value != 0 && in.hash < c.hash {
			if !place(in) {
				return false
			}
			in = slot{}
		}
		if !place(c) {
			return false
		}
	}
	if in.value != 0 && !place(in) {
		return false
	}
	s.slots = slots
	return true
}
