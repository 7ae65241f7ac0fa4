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

// busyWait is how long somebody waits while as many attempts as are free are being looked at.
const busyWait = time.Second

// throttle slows down guessing of passwords and codes.
type throttle struct {
	mu sync.Mutex
	m  map[string]*strikes // guarded by mu
}

// strikes are the failures of one key, and the attempts nobody knows the end of yet.
type strikes struct {
	n           int
	last, until time.Time
	open        int
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

// strikeKeys are what an attempt counts for. Nobody's attempts, those at one-time links, have no name to count for: strangers could
// close the links of all.
func strikeKeys(name string, from netip.Addr) []strikeKey {
	s := source(from)
	keys := []strikeKey{{"p" + name + "\x00" + s, freePair}, {"s" + s, freeSource}}
	if name != "" {
		keys = append(keys, strikeKey{"n" + name, freeName})
	}
	return keys
}

// begin lets an attempt in, which the caller ends; or it says how long the next one has to wait. An attempt counts from here on: those
// that come at once, and wait for their hash together, are no more than those that come one after the other.
func (t *throttle) begin(name string, from netip.Addr, now time.Time) (end func(failed bool, now time.Time), wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	keys := strikeKeys(name, from)
	for _, k := range keys {
		s := t.m[k.key]
		if s == nil {
			continue
		}
		wait = max(wait, s.until.Sub(now))
		if s.open > 0 && s.recent(now)+s.open >= k.free {
			wait = max(wait, busyWait)
		}
	}
	if wait > 0 {
		return nil, wait
	}
	if len(t.m) >= maxStrikes {
		t.sweepLocked(now)
	}
	for _, k := range keys {
		if t.m[k.key] == nil {
			t.m[k.key] = &strikes{}
		}
		t.m[k.key].open++
	}
	return func(failed bool, now time.Time) { t.end(keys, failed, now) }, 0
}

// recent is how many failures still count.
func (s *strikes) recent(now time.Time) int {
	if now.Sub(s.last) > forgetting {
		return 0
	}
	return s.n
}

// end takes an attempt off those that are open, and counts it when it failed.
func (t *throttle) end(keys []strikeKey, failed bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range keys {
		s := t.m[k.key]
		if s == nil { // swept
			s = &strikes{open: 1}
			t.m[k.key] = s
		}
		s.open = max(0, s.open-1)
		if failed {
			s.n = s.recent(now) + 1
			s.last = now
			if over := s.n - k.free; over >= 0 {
				s.until = now.Add(min(firstWait<<min(over, 10), longest))
			}
		}
		if s.n == 0 && s.open == 0 {
			delete(t.m, k.key)
		}
	}
}

func (t *throttle) sweepLocked(now time.Time) {
	for k, s := range t.m {
		if s.open == 0 && now.Sub(s.last) > forgetting {
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
	defer t.mu.Unlock()
	k := strikeKeys(name, from)[0].key
	if s := t.m[k]; s != nil && s.open > 0 {
		s.n, s.until = 0, time.Time{}
		return
	}
	delete(t.m, k)
}
