package mailer

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"izinli/gateway/bounce"
)

// Trouble is a domain that does not want our mail, or does not believe who sends it: something for a person to look into (email.md §5),
// before it spreads to others.
type Trouble struct {
	Domain  string       // of recipients
	Class   bounce.Class // block or auth
	Carrier string       // that was told; empty: a bounce said so
	Reply   string       // the last one
	At      time.Time    // of it
	Count   uint64       // refusals since the trouble began
}

// Bounds of what is remembered.
const (
	troubleLasts = time.Hour // without another refusal
	troubleMost  = 1000      // domains
)

// troubles remembers what wants a person, and counts what did since the start.
type troubles struct {
	mu     sync.Mutex
	list   map[troubleKey]*Trouble // guarded by mu
	counts map[bounce.Class]uint64 // guarded by mu
}

type troubleKey struct {
	domain string
	class  bounce.Class
}

// note takes one refusal; begins reports that the domain had no such trouble before. Of more domains than are kept those heard of least
// lately are forgotten: the counters know of them.
func (t *troubles) note(x Trouble) (begins bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.list == nil {
		t.list, t.counts = map[troubleKey]*Trouble{}, map[bounce.Class]uint64{}
	}
	t.counts[x.Class]++
	k := troubleKey{x.Domain, x.Class}
	old := t.list[k]
	if begins = old == nil || x.At.Sub(old.At) > troubleLasts; begins {
		old = &Trouble{}
	}
	x.Count = old.Count + 1
	if t.list[k] = &x; len(t.list) > troubleMost {
		oldest := k
		for k, y := range t.list {
			if y.At.Before(t.list[oldest].At) {
				oldest = k
			}
		}
		delete(t.list, oldest)
	}
	return begins
}

// Troubles returns the domains that refused our mail as unwanted within the last hour, the latest first.
func (m *Manager) Troubles() (out []Trouble) {
	now := m.cfg.Now()
	t := &m.troubles
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, x := range t.list {
		if now.Sub(x.At) > troubleLasts {
			delete(t.list, k)
			continue
		}
		out = append(out, *x)
	}
	slices.SortFunc(out, func(a, b Trouble) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Domain, b.Domain)) })
	return out
}

// Unwanted counts the refusals and bounces since the start by class: block, auth.
func (m *Manager) Unwanted() map[string]uint64 {
	t := &m.troubles
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]uint64{string(bounce.ClassBlock): 0, string(bounce.ClassAuth): 0}
	for c, n := range t.counts {
		out[string(c)] = n
	}
	return out
}

// Slow lets mail to a domain pass one by one for a while, since a bounce said that ours is unwanted there.
func (m *Manager) Slow(domain string, class bounce.Class, diagnostic string) {
	m.unwanted(Trouble{Domain: domain, Class: class, Reply: diagnostic})
}

// unwanted slows the domain and raises the alarm, once for each trouble.
func (m *Manager) unwanted(x Trouble) {
	m.sites.slow(x.Domain, time.Now())
	x.At = m.cfg.Now()
	log := m.cfg.Log.Warn
	if m.troubles.note(x) {
		log = m.cfg.Log.Error
	}
	log("mail is unwanted there", "carrier", x.Carrier, "domain", x.Domain, "class", string(x.Class), "reply", x.Reply)
}
