package mailer

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// How a domain is treated that says our mail is unwanted (email.md §9: one message a minute for 90 minutes), and how long a
// site rests that cannot be reached.
const (
	slowFor   = 90 * time.Minute
	slowEvery = time.Minute
	restFirst = 30 * time.Second
	restMost  = 30 * time.Minute
	busyPause = 2 * time.Second
)

// limits are what a site gets at most.
type limits struct{ conns, perConn int }

//go:embed sites.tsv
var sitesTSV string

type siteRule struct {
	suffix string
	limits limits
}

// siteRules is the table, read once.
var siteRules = sync.OnceValue(func() []siteRule {
	r, err := parseSites(sitesTSV)
	if err != nil {
		panic(err) // the table is part of the program; a test reads it
	}
	return r
})

func parseSites(tsv string) (out []siteRule, err error) {
	for i, line := range strings.Split(tsv, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cols := strings.Split(line, "\t")
		if len(cols) != 3 {
			return nil, fmt.Errorf("mailer: sites.tsv:%d: %d columns", i+1, len(cols))
		}
		r := siteRule{suffix: cols[0]}
		for j, at := range []*int{&r.limits.conns, &r.limits.perConn} {
			if *at, err = strconv.Atoi(cols[j+1]); err != nil || *at < 1 {
				return nil, fmt.Errorf("mailer: sites.tsv:%d: %q is no number above 0", i+1, cols[j+1])
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// limitsOf finds what a mail exchanger gets.
func limitsOf(mx string) limits {
	for _, r := range siteRules() {
		if r.suffix == "*" || mx == r.suffix || strings.HasSuffix(mx, "."+r.suffix) {
			return r.limits
		}
	}
	return limits{10, 100}
}

// site is how mail to one domain fares.
type site struct {
	busy  int       // deliveries under way, of direct ones
	most  int       // of them at once; 0: not known yet
	fails int       // in a row
	rests time.Time // not tried before
	slow  time.Time // one message a minute until then
	next  time.Time // the next of them
	used  time.Time
}

// sites knows the domains mail went to lately.
type sites struct {
	mu   sync.Mutex
	by   map[string]*site // by domain; guarded by mu
	seen time.Time        // last prune; guarded by mu
}

func newSites() *sites { return &sites{by: map[string]*site{}} }

func (s *sites) atLocked(domain string, now time.Time) *site {
	x := s.by[domain]
	if x == nil {
		x = &site{}
		s.by[domain] = x
	}
	x.used = now
	return x
}

// waitFor is how long mail to the domain should wait.
func (s *sites) waitFor(domain string, now time.Time, direct bool) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.by[domain]
	if x == nil {
		return 0
	}
	x.used = now
	switch {
	case x.rests.After(now):
		return jitter(x.rests.Sub(now)) + time.Second
	case x.slow.After(now) && x.next.After(now):
		return jitter(x.next.Sub(now)) + time.Second
	case x.slow.After(now):
		x.next = now.Add(slowEvery)
	case direct && x.most > 0 && x.busy >= x.most:
		return jitter(busyPause)
	}
	return 0
}

// slow lets mail to a domain pass one by one for a while.
func (s *sites) slow(domain string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.atLocked(domain, now)
	x.slow = now.Add(slowFor)
	x.next = now.Add(slowEvery)
}

// enter counts a delivery; false when the domain has all it may have.
func (s *sites) enter(domain string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.atLocked(domain, now)
	if x.most > 0 && x.busy >= x.most || x.rests.After(now) {
		return false
	}
	x.busy++
	return true
}

// leave ends it; reached tells whether the site was there at all, most what it may have.
func (s *sites) leave(domain string, now time.Time, reached bool, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.atLocked(domain, now)
	x.busy--
	if most > 0 {
		x.most = most
	}
	if reached {
		x.fails, x.rests = 0, time.Time{}
		return
	}
	x.rests = now.Add(min(restFirst<<min(x.fails, 10), restMost))
	x.fails++
}

// prune forgets domains nothing is known of any more.
func (s *sites) prune(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.seen) < time.Minute {
		return
	}
	s.seen = now
	for d, x := range s.by {
		if x.busy == 0 && !x.rests.After(now) && !x.slow.After(now) && now.Sub(x.used) > 10*time.Minute {
			delete(s.by, d)
		}
	}
}
