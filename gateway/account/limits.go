package account

import (
	"sync"
	"time"

	"izinli/gateway"
)

// Limits keeps accounts (AccountPolicy.MaxPerSecond) and credentials (Credential.PerSecond) to their rate of messages. The
// limits are read from the directory at each call, so a change holds at once.
type Limits struct {
	dir Directories
	now func() time.Time

	mu      sync.Mutex
	buckets map[bucketKey]*bucket // guarded by mu
}

type bucketKey struct {
	account    gateway.AccountID
	credential gateway.CredentialKey // zero: the account's own
}

// bucket holds up to one second's worth of tokens and may run into debt: a request is let in when the bucket is full enough
// for min(n, one second), then pays for all of n. So a bulk request of 10 000 passes at a rate of 100, and the account then
// waits 100 seconds; the long-term rate is exact.
type bucket struct {
	tokens float64
	rate   float64 // per second, also the burst
	at     time.Time
}

// idleBuckets is how many buckets are kept before full ones, which remember nothing, are thrown away.
const idleBuckets = 4096

// NewLimits returns limits over the directory; now is the clock, time.Now when nil.
func NewLimits(dir Directories, now func() time.Time) *Limits {
	if now == nil {
		now = time.Now
	}
	return &Limits{dir: dir, now: now, buckets: map[bucketKey]*bucket{}}
}

// Allow asks for n messages (at least 1 is charged) on behalf of p: against its account's limit and its credential's. Zero
// means go ahead and n is charged to both; otherwise nothing is charged and the answer is how long to wait.
func (l *Limits) Allow(p *gateway.Principal, n int) time.Duration {
	d := l.dir.Directory()
	key := gateway.CredentialKey{Kind: p.Credential.Kind, ID: p.Credential.ID}
	perCredential := p.Credential.PerSecond
	if c := d.Credentials[key]; c != nil && c.Account == p.Account {
		perCredential = c.PerSecond
	}
	return l.take(p.Account, perAccount(d, p.Account), key, perCredential, n)
}

// AllowAccount is Allow for traffic that has no credential (relay peers, the panel): the account's limit alone.
func (l *Limits) AllowAccount(a gateway.AccountID, n int) time.Duration {
	return l.take(a, perAccount(l.dir.Directory(), a), gateway.CredentialKey{}, 0, n)
}

func perAccount(d *gateway.Directory, a gateway.AccountID) int {
	if acc := d.Accounts[a]; acc != nil {
		return acc.Policy.MaxPerSecond
	}
	return 0
}

func (l *Limits) take(a gateway.AccountID, accountRate int, key gateway.CredentialKey, credRate, n int) time.Duration {
	if accountRate <= 0 && credRate <= 0 {
		return 0
	}
	n = max(n, 1)
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	var both [2]*bucket
	if accountRate > 0 {
		both[0] = l.bucketLocked(bucketKey{account: a}, accountRate, now)
	}
	if credRate > 0 && key != (gateway.CredentialKey{}) {
		both[1] = l.bucketLocked(bucketKey{a, key}, credRate, now)
	}
	var wait time.Duration
	for _, b := range both {
		if b != nil {
			wait = max(wait, b.wait(n))
		}
	}
	if wait > 0 {
		return wait
	}
	for _, b := range both {
		if b != nil {
			b.tokens -= float64(n)
		}
	}
	return 0
}

// bucketLocked returns the bucket filled up to now.
func (l *Limits) bucketLocked(k bucketKey, perSecond int, now time.Time) *bucket {
	rate := float64(perSecond)
	b := l.buckets[k]
	if b == nil {
		if len(l.buckets) >= idleBuckets {
			l.sweepLocked(now)
		}
		b = &bucket{tokens: rate, rate: rate, at: now}
		l.buckets[k] = b
	}
	b.rate = rate
	b.fill(now)
	return b
}

func (l *Limits) sweepLocked(now time.Time) {
	for k, b := range l.buckets {
		if b.fill(now); b.tokens >= b.rate {
			delete(l.buckets, k)
		}
	}
}

func (b *bucket) fill(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.tokens += d.Seconds() * b.rate
		b.at = now
	}
	b.tokens = min(b.tokens, b.rate)
}

// wait is how long until n may pass; zero when they may now. A thousandth of a token is forgiven to rounding.
func (b *bucket) wait(n int) time.Duration {
	missing := min(float64(n), b.rate) - b.tokens
	if missing <= 1e-3 {
		return 0
	}
	return time.Duration(missing / b.rate * float64(time.Second))
}
