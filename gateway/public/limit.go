package public

import (
	"net/netip"
	"sync"
	"time"
)

// maxBuckets bounds the memory of one limiter; strangers choose the keys.
const maxBuckets = 50_000

// limiter is a set of token buckets, one per key. It slows down guessing and flooding; it is no account of anything, so forgetting
// a part of it when there are too many keys does no harm.
type limiter struct {
	every time.Duration // one token comes back per
	burst float64

	mu sync.Mutex
	m  map[string]*bucket // guarded by mu
}

type bucket struct {
	tokens float64
	at     time.Time
}

func newLimiter(burst int, every time.Duration) *limiter {
	return &limiter{every: every, burst: float64(burst), m: map[string]*bucket{}}
}

// allow takes a token for the key, if there is one.
func (l *limiter) allow(key string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.m[key]
	if b == nil {
		l.makeRoomLocked(now)
		b = &bucket{tokens: l.burst, at: now}
		l.m[key] = b
	}
	l.fillLocked(b, now)
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

func (l *limiter) fillLocked(b *bucket, now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.tokens = min(l.burst, b.tokens+float64(d)/float64(l.every))
		b.at = now
	}
}

// makeRoomLocked drops full buckets, and when there are none, any.
func (l *limiter) makeRoomLocked(now time.Time) {
	if len(l.m) < maxBuckets {
		return
	}
	for k, b := range l.m {
		if l.fillLocked(b, now); b.tokens >= l.burst {
			delete(l.m, k)
		}
	}
	for k := range l.m {
		if len(l.m) < maxBuckets*9/10 {
			return
		}
		delete(l.m, k)
	}
}

// network is what limits count for: a host's address, of IPv6 the /64 that a single customer has.
func network(from netip.Addr) string {
	if from = from.Unmap(); from.Is6() {
		if n, err := from.Prefix(64); err == nil {
			return n.String()
		}
	}
	return from.String()
}
