package mtasts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Resolver finds TXT records; *net.Resolver is one.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Config of a Cache. Resolver is required.
type Config struct {
	Resolver Resolver
	File     string       // where policies outlive a restart; empty: they do not
	Client   *http.Client // fetches policies; nil: one that trusts the system's roots, follows no redirect and waits 20 s
	// Dial connects the client that is made when Client is nil; nil: anywhere. The address is of the domain's choice.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	Log  *slog.Logger
	Now  func() time.Time
}

// How often a domain is asked again.
const (
	recheckNone   = 30 * time.Minute // without a record
	recheckFound  = 5 * time.Minute  // whether the id has changed
	recheckFailed = 5 * time.Minute  // after a failure (§3.3 advises against less)
	refetchMost   = 24 * time.Hour   // a policy is fetched again at half its max_age, at the latest after this
	maxDomains    = 100_000          // remembered
)

// Cache knows the policies of domains. Its methods are safe for concurrent use.
type Cache struct {
	cfg Config

	mu      sync.Mutex
	domains map[string]*entry // guarded by mu
	changed bool              // since the file was written; guarded by mu
	saved   time.Time         // guarded by mu
}

// entry is one domain.
type entry struct {
	asking sync.Mutex // held while the domain is asked; before Cache.mu

	// Guarded by Cache.mu.
	recheck time.Time // not asked before
	policy  *Policy   // nil: none is known
	id      string
	fetched time.Time
}

// holds answers the policy that holds at now.
func (e *entry) holds(now time.Time) *Policy {
	if e.policy == nil || e.policy.Mode == ModeNone || !now.Before(e.fetched.Add(e.policy.MaxAge)) {
		return nil
	}
	return e.policy
}

// New returns a cache that knows what its file holds. A file that cannot be read is logged and begun anew.
func New(cfg Config) *Cache {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DialContext: cfg.Dial, DisableKeepAlives: true, MaxResponseHeaderBytes: 16 << 10,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}}
	}
	client := *cfg.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // §3.3: never followed
	cfg.Client = &client
	c := &Cache{cfg: cfg, domains: map[string]*entry{}, saved: cfg.Now()}
	c.load()
	return c
}

// Policy returns what the domain (lower case, A-labels) demands; nil when it demands nothing. It asks the DNS and the domain's web
// server where it has to, and answers what it remembers when they cannot be reached.
func (c *Cache) Policy(ctx context.Context, domain string) *Policy {
	c.mu.Lock()
	e := c.entryLocked(domain)
	now := c.cfg.Now()
	if now.Before(e.recheck) {
		defer c.mu.Unlock()
		return e.holds(now)
	}
	c.mu.Unlock()

	e.asking.Lock()
	defer e.asking.Unlock()
	c.mu.Lock()
	known, id, fresh := e.holds(now), e.id, now.Before(e.fetched.Add(refetchAfter(e.policy)))
	again := now.Before(e.recheck) // somebody has asked meanwhile
	c.mu.Unlock()
	if again {
		return known
	}
	return c.ask(ctx, domain, e, known, id, fresh)
}

func refetchAfter(p *Policy) time.Duration {
	if p == nil {
		return 0
	}
	return min(p.MaxAge/2, refetchMost)
}

// entryLocked finds or makes the entry of a domain. Too many: those that hold no policy are forgotten.
func (c *Cache) entryLocked(domain string) *entry {
	e := c.domains[domain]
	if e != nil {
		return e
	}
	if len(c.domains) >= maxDomains {
		now := c.cfg.Now()
		for name, old := range c.domains {
			if old.holds(now) == nil {
				delete(c.domains, name)
			}
		}
	}
	e = &entry{}
	c.domains[domain] = e
	return e
}

// ask looks whether there is a policy, and fetches one that is new.
func (c *Cache) ask(ctx context.Context, domain string, e *entry, known *Policy, id string, fresh bool) *Policy {
	texts, err := c.cfg.Resolver.LookupTXT(ctx, "_mta-sts."+domain)
	var dns *net.DNSError
	if err != nil && !(errors.As(err, &dns) && dns.IsNotFound) {
		return c.settle(e, known, recheckFailed)
	}
	announced := parseRecord(texts)
	switch {
	case announced == "": // §5.1: what was fetched before holds on
		return c.settle(e, known, recheckNone)
	case announced == id && fresh:
		return c.settle(e, known, recheckFound)
	}
	p, err := c.fetch(ctx, domain)
	if err != nil {
		c.cfg.Log.Warn("mta-sts policy not fetched", "domain", domain, "known", known != nil, "err", err)
		return c.settle(e, known, recheckFailed)
	}
	c.cfg.Log.Info("mta-sts policy", "domain", domain, "mode", string(p.Mode), "max_age", p.MaxAge)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.cfg.Now()
	e.policy, e.id, e.fetched, e.recheck = p, announced, now, now.Add(recheckFound)
	c.changed = true
	return e.holds(now)
}

// settle notes when to ask again and answers what is known.
func (c *Cache) settle(e *entry, known *Policy, after time.Duration) *Policy {
	c.mu.Lock()
	defer c.mu.Unlock()
	e.recheck = c.cfg.Now().Add(after)
	return known
}

// fetch gets a policy over HTTPS (§3.3).
func (c *Cache) fetch(ctx context.Context, domain string) (*Policy, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://mta-sts."+domain+"/.well-known/mta-sts.txt", nil)
	if err != nil {
		return nil, fmt.Errorf("mtasts: %w", err)
	}
	resp, err := c.cfg.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("mtasts: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("mtasts: the policy's server answered %s", resp.Status)
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); !strings.EqualFold(kind, "text/plain") {
		return nil, fmt.Errorf("mtasts: the policy is %.40q, want text/plain", kind)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxPolicy+1))
	if err != nil {
		return nil, fmt.Errorf("mtasts: %w", err)
	}
	return ParsePolicy(b)
}
