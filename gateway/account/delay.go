package account

import (
	"net/netip"
	"sync"
	"time"
)

// Bounds of the delay after a failure.
const (
	delayFirst   = 250 * time.Millisecond // after the first failure; it doubles
	delayMost    = 8 * time.Second
	delayForget  = 15 * time.Minute // without a failure
	delayPeople  = 16               // failures of one source, over all names, that count as one more doubling
	delayWaiters = 4                // attempts of one (source, name) held back at once
	delayEntries = 20_000           // remembered at most
)

type failKey struct {
	source netip.Prefix // an IPv4 address or an IPv6 /64, what one customer line gets
	name   string       // kind and name; empty: all names of the source
}

type failure struct {
	count   int
	next    time.Time // no attempt is judged before
	waiters int
}

// failures remembers wrong secrets for a while.
type failures struct {
	mu      sync.Mutex
	m       map[failKey]*failure // guarded by mu
	entries int                  // bound of m
}

func newFailures() *failures { return &failures{m: map[failKey]*failure{}, entries: delayEntries} }

// sourceOf maps an address to what counts as one source.
func sourceOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil { // the zero Addr: a local caller
		return netip.Prefix{}
	}
	return p
}

// before tells how long an attempt must wait before it is judged; ok is false when too many already wait. Every ok with a
// positive wait is followed by one done.
func (f *failures) before(k failKey, now time.Time) (wait time.Duration, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.m[k]
	if e == nil || !e.next.After(now) {
		return 0, true
	}
	if e.waiters >= delayWaiters {
		return e.next.Sub(now), false
	}
	e.waiters++
	return e.next.Sub(now), true
}

func (f *failures) done(k failKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.m[k]; e != nil && e.waiters > 0 {
		e.waiters--
	}
}

// failed notes a wrong secret and returns how long its answer is held back.
func (f *failures) failed(k failKey, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	mine := f.noteLocked(k, now)
	all := f.noteLocked(failKey{source: k.source}, now)
	d := delayOf(mine.count + all.count/delayPeople)
	mine.next = now.Add(d)
	all.next = now // only dates the entry; good callers behind the same address are not held back
	return d
}

// delayOf is the delay after the n-th failure: 250 ms, 500 ms, … 8 s.
func delayOf(n int) time.Duration {
	if n < 1 {
		return 0
	}
	return min(delayFirst<<min(n-1, 10), delayMost)
}

func (f *failures) noteLocked(k failKey, now time.Time) *failure {
	e := f.m[k]
	if e != nil && now.Sub(e.next) > delayForget {
		e.count = 0
	}
	if e == nil {
		f.shrinkLocked(now)
		e = &failure{}
		f.m[k] = e
	}
	e.count++
	return e
}

// shrinkLocked makes room: what is forgotten goes first, then whatever the map yields. Losing an entry under a flood of names
// costs the attacker's own line its history by source only, which is a single entry and refilled at once.
func (f *failures) shrinkLocked(now time.Time) {
	if len(f.m) < f.entries {
		return
	}
	for k, e := range f.m {
		if now.Sub(e.next) > delayForget && e.waiters == 0 {
			delete(f.m, k)
		}
	}
	for k, e := range f.m {
		if len(f.m) < f.entries*9/10 {
			return
		}
		if k.name != "" && e.waiters == 0 {
			delete(f.m, k)
		}
	}
	for k := range f.m { // only sources are left: a very distributed flood
		if len(f.m) < f.entries*9/10 {
			return
		}
		delete(f.m, k)
	}
}

// succeeded forgets the failures of the name.
func (f *failures) succeeded(k failKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.m, k)
}
