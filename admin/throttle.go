package admin

import (
	"net/netip"
	"sync"
	"time"
)

// Failed sign-ins: after some that are free, each further one doubles the wait.
const (
	freePair   = 5  // of one name from one source
	freeSource = 20 // of one source, whatever the names
	freeName   = 50 // of one name, wherever from: high, or strangers could keep a person out
	firstWait  = 15 * time.Second
	longest    = 15 * time.Minute
	forgetting = time.Hour // after the last failure
	maxStrikes = 50_000    // entries kept
)

// throttle slows down guessing of passwords and codes.
type throttle struct {
	mu sync.Mutex
	m  map[string]*strikes // guarded by mu
}

type strikes struct {
	n           int
	last, until time.Time
}

func newThrottle() *throttle { return &throttle{m: map[string]*strikes{}} }

type strikeKey struct {
	key  string
	free int
}

// source is the network failures count for: a host's address, of IPv6 the /64 a single customer has.
func source(from netip.Addr) string {
	if from.Is6() {
		if n, err := from.Prefix(64); err == nil {
			return n.String()
		}
	}
	return from.String()
}

func strikeKeys(name string, from netip.Addr) [3]strikeKey {
	s := source(from)
	return [3]strikeKey{{"p" + name + "\x00" + s, freePair}, {"s" + s, freeSource}, {"n" + name, freeName}}
}

// wait is how long the next attempt has to wait; 0: none.
func (t *throttle) wait(name string, from netip.Addr, now time.Time) (d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range strikeKeys(name, from) {
		if s := t.m[k.key]; s != nil {
			d = max(d, s.until.Sub(now))
		}
	}
	return d
}

// failed counts a failure.
func (t *throttle) failed(name string, from netip.Addr, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.m) >= maxStrikes {
		t.sweepLocked(now)
	}
	for _, k := range strikeKeys(name, from) {
		s := t.m[k.key]
		if s == nil || now.Sub(s.last) > forgetting {
			s = &strikes{}
			t.m[k.key] = s
		}
		s.n++
		s.last = now
		if over := s.n - k.free; over >= 0 {
			s.until = now.Add(min(firstWait<<min(over, 10), longest))
		}
	}
}

func (t *throttle) sweepLocked(now time.Time) {
	for k, s := range t.m {
		if now.Sub(s.last) > forgetting {
			delete(t.m, k)
		}
	}
	for k := range t.m {
		if len(t.m) < maxStrikes {
			return
		}
		delete(t.m, k)
	}
}

// succeeded forgets the failures of the name from that source; those of the source stay.
func (t *throttle) succeeded(name string, from netip.Addr) {
	t.mu.Lock()
	delete(t.m, strikeKeys(name, from)[0].key)
	t.mu.Unlock()
}
