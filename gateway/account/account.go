package account

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
)

// Bounds of password checking.
const (
	hashesAtOnce = 2                // argon2id takes 19 MiB and a core each
	hashPatience = 10 * time.Second // waiting for one of them before the caller is told to come back
	cacheFor     = 5 * time.Minute
	cacheEntries = 10_000
	maxName      = 256 // octets; longer names and secrets are refused unread
	maxSecret    = 512
)

// Directories yields the current snapshot of what the administrator edits.
type Directories interface{ Directory() *gateway.Directory }

// Options of an Authenticator. The zero value is fit for production.
type Options struct {
	Now func() time.Time // the clock; time.Now when nil
}

// Authenticator checks credentials against the directory. It implements [gateway.Authenticator]; all methods may be called at
// once from many goroutines.
type Authenticator struct {
	dir      Directories
	now      func() time.Time
	failures *failures
	hashing  chan struct{} // a slot per running password hash
	secret   [32]byte      // keys the cache and the salts of unknown names; new with every process

	// What unknown names are checked against, so that they cost the same.
	noPassword, noSCRAM string

	mu       sync.Mutex
	verified map[[32]byte]verified // by keyed hash of (kind, name, secret, stored form); guarded by mu

	snapshot atomic.Pointer[snapshot]
}

// verified is a password found right a short while ago.
type verified struct {
	until  time.Time
	key    gateway.CredentialKey
	stored string
}

// snapshot is one version of the directory with the principals made from it.
type snapshot struct {
	dir        *gateway.Directory
	principals sync.Map // *gateway.Credential → *gateway.Principal
}

var _ gateway.Authenticator = (*Authenticator)(nil)

// New returns an Authenticator over the directory.
func New(dir Directories, o Options) *Authenticator {
	a := &Authenticator{dir: dir, now: o.Now, failures: newFailures(), hashing: make(chan struct{}, hashesAtOnce),
		verified: map[[32]byte]verified{}}
	if a.now == nil {
		a.now = time.Now
	}
	_, _ = rand.Read(a.secret[:])
	a.noPassword, a.noSCRAM = unknown()
	return a
}

// unknown makes the forms that unknown names are checked against, of secrets nobody knows; new with every process. They cost as much as
// any password, which is a tenth of a second and more on a small machine.
var unknown = sync.OnceValues(func() (password, scram string) { return HashPassword(rand.Text()), HashSCRAM(rand.Text()) })

// Authenticate answers who is calling. For an API key the name is ignored: the key carries its id.
//
// Errors are *gateway.Error: CodeUnauthorized for an unknown or revoked credential, a wrong secret (after a delay of 250 ms to
// 8 s that doubles with each failure of the same source and name) or a suspended account; CodeForbiddenAddress for a right
// secret from outside the allow-list; CodeThrottled when too many attempts on one name wait already; CodeUnavailable when
// password checks queue for more than ten seconds or ctx ends.
func (a *Authenticator) Authenticate(ctx context.Context, kind gateway.CredentialKind, name, secret string, from netip.Addr) (*gateway.Principal, error) {
	if kind == gateway.KindAPI {
		name, _ = KeyID(secret)
	}
	if len(name) > maxName {
		name = name[:maxName] // still counted, never found: no credential has so long a name
	}
	k := failKey{source: sourceOf(from), name: string(kind) + "\x00" + name}
	if err := a.holdBack(ctx, k); err != nil {
		return nil, err
	}
	snap := a.current()
	c := snap.usable(kind, name)
	good, err := a.matches(ctx, kind, name, secret, c)
	if err != nil {
		return nil, err
	}
	return a.conclude(ctx, k, snap, c, good, from)
}

// conclude turns the outcome of a check into a principal or a refusal.
func (a *Authenticator) conclude(ctx context.Context, k failKey, snap *snapshot, c *gateway.Credential, good bool, from netip.Addr) (*gateway.Principal, error) {
	if !good || c == nil {
		return nil, a.refuseSlowly(ctx, k)
	}
	a.failures.succeeded(k)
	acc := snap.dir.Accounts[c.Account]
	switch {
	case acc == nil:
		return nil, gateway.Refuse(gateway.CodeUnauthorized, "", "")
	case !c.AllowsAddr(from):
		return nil, gateway.Refuse(gateway.CodeForbiddenAddress, "", "")
	case acc.Suspended:
		return nil, gateway.Refuse(gateway.CodeUnauthorized, "", "The account is suspended.")
	}
	return snap.principal(c), nil
}

// holdBack lets an attempt wait until the delay of earlier failures is over.
func (a *Authenticator) holdBack(ctx context.Context, k failKey) error {
	wait, ok := a.failures.before(k, a.now())
	if !ok {
		return gateway.Refuse(gateway.CodeThrottled, "", "Too many failed attempts; try again later.")
	}
	if wait <= 0 {
		return nil
	}
	defer a.failures.done(k)
	return sleep(ctx, wait)
}

func (a *Authenticator) refuseSlowly(ctx context.Context, k failKey) error {
	if err := sleep(ctx, a.failures.failed(k, a.now())); err != nil {
		return err
	}
	return gateway.Refuse(gateway.CodeUnauthorized, "", "")
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return &gateway.Error{Code: gateway.CodeUnavailable, Text: gateway.CodeUnavailable.Wire().Title, Err: ctx.Err()}
	}
}

// matches compares the secret with the stored form of c. Without a usable credential (nil) it does the same work on a form
// nobody knows the secret of.
func (a *Authenticator) matches(ctx context.Context, kind gateway.CredentialKind, name, secret string, c *gateway.Credential) (bool, error) {
	if len(secret) > maxSecret {
		secret, c = "", nil
	}
	if kind == gateway.KindAPI {
		stored := ""
		if c != nil {
			stored = c.SecretHash
		}
		return matchesKey(stored, secret), nil
	}
	stored := a.noPassword
	switch {
	case c != nil:
		stored = c.SecretHash
	case kind == gateway.KindSMTP:
		stored = a.noSCRAM
	}
	mark := a.mark(kind, name, secret, stored)
	if c != nil && a.known(mark) {
		return true, nil
	}
	if err := a.queue(ctx); err != nil {
		return false, err
	}
	good := Verify(stored, secret)
	<-a.hashing
	if !good || c == nil {
		return false, nil
	}
	a.remember(mark, gateway.CredentialKey{Kind: kind, ID: name}, stored)
	return true, nil
}

// queue takes a hashing slot; the caller gives it back by receiving.
func (a *Authenticator) queue(ctx context.Context) error {
	select {
	case a.hashing <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, hashPatience)
	defer cancel()
	select {
	case a.hashing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &gateway.Error{Code: gateway.CodeUnavailable, Text: gateway.CodeUnavailable.Wire().Title, Err: ctx.Err()}
	}
}

// matchesKey compares in constant time; a missing stored form is compared with zeros.
func matchesKey(stored, key string) bool {
	var want [sha256.Size]byte
	n, err := hex.Decode(want[:], []byte(stored[:min(len(stored), 2*sha256.Size)]))
	got := sha256.Sum256([]byte(key))
	same := subtle.ConstantTimeCompare(got[:], want[:]) == 1
	return same && err == nil && n == sha256.Size && len(stored) == 2*sha256.Size
}

// mark names a verified (credential, secret) pair without keeping the secret. The stored form is part of it, so a changed
// password never meets an old entry.
func (a *Authenticator) mark(kind gateway.CredentialKind, name, secret, stored string) (m [32]byte) {
	h := hmac.New(sha256.New, a.secret[:])
	for _, s := range [...]string{string(kind), name, stored, secret} {
		var n [4]byte
		n[0], n[1], n[2], n[3] = byte(len(s)>>24), byte(len(s)>>16), byte(len(s)>>8), byte(len(s))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	h.Sum(m[:0])
	return m
}

func (a *Authenticator) known(mark [32]byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	v, ok := a.verified[mark]
	if ok && !a.now().Before(v.until) {
		delete(a.verified, mark)
		return false
	}
	return ok
}

func (a *Authenticator) remember(mark [32]byte, key gateway.CredentialKey, stored string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if len(a.verified) >= cacheEntries {
		for m, v := range a.verified {
			if !now.Before(v.until) {
				delete(a.verified, m)
			}
		}
		for m := range a.verified {
			if len(a.verified) < cacheEntries {
				break
			}
			delete(a.verified, m)
		}
	}
	a.verified[mark] = verified{until: now.Add(cacheFor), key: key, stored: stored}
}

// current returns the present snapshot. A new one starts without principals, and forgets the verified passwords of
// credentials that were changed, revoked or removed with it.
func (a *Authenticator) current() *snapshot {
	dir := a.dir.Directory()
	old := a.snapshot.Load()
	if old != nil && old.dir == dir {
		return old
	}
	fresh := &snapshot{dir: dir}
	if !a.snapshot.CompareAndSwap(old, fresh) {
		return fresh // another caller was faster; this one is used for one request
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for m, v := range a.verified {
		if c := fresh.usable(v.key.Kind, v.key.ID); c == nil || c.SecretHash != v.stored {
			delete(a.verified, m)
		}
	}
	return fresh
}

// usable returns the credential unless it is unknown, revoked or without a secret.
func (s *snapshot) usable(kind gateway.CredentialKind, name string) *gateway.Credential {
	c := s.dir.Credentials[gateway.CredentialKey{Kind: kind, ID: name}]
	if c == nil || c.Revoked || c.SecretHash == "" {
		return nil
	}
	return c
}

// principal returns the one principal of a credential in this snapshot, made on first use.
func (s *snapshot) principal(c *gateway.Credential) *gateway.Principal {
	if p, ok := s.principals.Load(c); ok {
		return p.(*gateway.Principal) // nothing else is stored
	}
	p := &gateway.Principal{Account: c.Account, Credential: *c}
	p.Credential.SecretHash = "" // the stored form has no business outside this package
	got, _ := s.principals.LoadOrStore(c, p)
	return got.(*gateway.Principal) // nothing else is stored
}
