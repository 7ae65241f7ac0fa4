package mailer

import (
	"cmp"
	"math/rand/v2"
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
)

// How messages that find no place at their site are spread over the time to come, so that each comes back about when a place is
// free: who comes too early costs a record in the store, who comes too late leaves a connection idle.
const (
	spreadMost    = 3 * time.Minute       // nobody is sent further away for his turn alone
	spreadUnknown = 5 * time.Millisecond  // between two, at a site that has not answered yet: live ones do within a moment
	spreadFailed  = 25 * time.Millisecond // at one that could not be reached, after its rest
	spreadLeast   = time.Millisecond
	// As many and a half come as a site was seen to take: it may have become faster.
	spreadOver, spreadUnder = 2, 3
)

// strangers is how many connections a site gets before it has answered once; with every answer twice as many, up to what the table
// gives it. One that accepts connections and says nothing holds no more than these.
const strangers = 2

// line is where messages wait their turn: not in memory, they are told when to come back.
type line struct{ end time.Time }

// turn gives the next place in the line, which begins at from (not before now) and moves on by every.
func (l *line) turn(from, now time.Time, every time.Duration) time.Duration {
	from = latest(from, now)
	at := latest(l.end, from).Add(every)
	if at.Sub(from) > spreadMost {
		return from.Sub(now) + spreadMost/2 + rand.N(spreadMost/2)
	}
	l.end = at
	return at.Sub(now)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// drip is a way on which messages pass one by one for a while, or not at all.
type drip struct {
	until time.Time
	every time.Duration // 0: none passes
	next  time.Time     // when the next one may
	line  line          // those after it
}

// wait is how long a message has to wait; 0: this one may pass.
func (d *drip) wait(now time.Time) time.Duration {
	switch {
	case !d.until.After(now):
		return 0
	case d.every == 0:
		return d.line.turn(d.until, now, spreadFailed)
	case d.next.After(now):
		return d.line.turn(d.next, now, d.every)
	}
	d.next = now.Add(d.every)
	return 0
}

// begin lets it drip. A stricter pause that lasts is not lifted by a milder one.
func (d *drip) begin(p pause, now time.Time) {
	if d.until.After(now) && d.every == 0 && p.every > 0 {
		return
	}
	d.until, d.every, d.next = latest(d.until, now.Add(p.lasts)), p.every, now.Add(p.every)
}

// domain is how mail to one domain fares at whatever site it goes to.
type domain struct {
	site string // the set of its exchangers; empty: not known, it counts as a site of its own
	slow drip
	used time.Time
}

// site is a set of mail exchangers. All domains that share it share its connections.
type site struct {
	busy   int           // places given out
	may    int           // at most at once, now
	most   int           // at most ever, by the table; 0: not known yet
	took   time.Duration // a delivery, lately; 0: there was none since it failed
	good   time.Time     // the last answer
	fails  int           // in a row
	failed time.Time     // the last that counted
	rests  time.Time     // not tried before
	slow   drip          // it asked for less
	line   line
	used   time.Time
}

// place is room for one message at a site, from the moment it is routed to the end of its delivery.
type place struct {
	sites   *sites
	site    *site // guarded by sites.mu
	strange bool  // counted in sites.strange; guarded by sites.mu
	once    sync.Once
}

// endLocked takes the place off its site.
func (p *place) endLocked() {
	p.site.busy--
	p.knownLocked()
}

// knownLocked takes the place off those at sites that have not answered.
func (p *place) knownLocked() {
	if p.strange {
		p.strange = false
		p.sites.strange--
	}
}

// GiveBack implements dispatch.Place: the message did not leave.
func (p *place) GiveBack() {
	p.once.Do(func() {
		p.sites.mu.Lock()
		defer p.sites.mu.Unlock()
		p.endLocked()
	})
}

// sites knows the domains mail went to lately.
type sites struct {
	mu      sync.Mutex
	domains map[string]*domain // guarded by mu
	by      map[string]*site   // by the set of exchangers, or the domain; guarded by mu
	seen    time.Time          // last prune; guarded by mu

	// Sites that have never answered hold together no more than room places (0: no bound): a list full of dead domains must not take
	// every connection from those that are there.
	room    int  // guarded by mu
	strange int  // places at such sites; guarded by mu
	line    line // who waits for one; guarded by mu
}

// keepRoom bounds the places at sites that have not answered.
func (s *sites) keepRoom(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.room = max(n, 1)
}

func newSites() *sites { return &sites{domains: map[string]*domain{}, by: map[string]*site{}} }

func (s *sites) domainLocked(name string, now time.Time) *domain {
	d := s.domains[name]
	if d == nil {
		d = &domain{}
		s.domains[name] = d
	}
	d.used = now
	return d
}

func (s *sites) siteLocked(key string, now time.Time) *site {
	x := s.by[key]
	if x == nil {
		x = &site{may: strangers}
		s.by[key] = x
	}
	x.used = now
	return x
}

// unwanted is how long a message has to wait because the domain does not want our mail; 0: this one may go.
func (s *sites) unwanted(name string, now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.unwantedLocked(name, now)
}

func (s *sites) unwantedLocked(name string, now time.Time) time.Duration {
	d := s.domains[name]
	if d == nil {
		return 0
	}
	d.used = now
	return d.slow.wait(now)
}

// book gives a message a place at the site of its domain, or tells when to come back.
func (s *sites) book(name string, now time.Time) (*place, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.siteLocked(cmp.Or(s.domainLocked(name, now).site, name), now)
	if wait := x.wait(now); wait > 0 {
		return nil, wait
	}
	strange := x.good.IsZero()
	if strange && s.room > 0 && s.strange >= s.room {
		return nil, s.line.turn(now, now, spreadUnknown)
	}
	if wait := s.unwantedLocked(name, now); wait > 0 {
		return nil, wait
	}
	if wait := x.slow.wait(now); wait > 0 {
		return nil, wait
	}
	x.busy++
	if strange {
		s.strange++
	}
	return &place{sites: s, site: x, strange: strange}, 0
}

// wait is when a message that finds no place should come back; 0: there is one.
func (x *site) wait(now time.Time) time.Duration {
	if !x.rests.After(now) && x.busy < x.may {
		return 0
	}
	every := spreadUnknown
	switch {
	case x.fails > 0:
		every = spreadFailed
	case x.took > 0:
		every = max(spreadLeast, x.took*spreadOver/spreadUnder/time.Duration(max(x.most, x.may)))
	}
	return x.line.turn(x.rests, now, every)
}

// settle notes where a domain's mail goes and what that site may have, and moves the place there; wait > 0: it has no room, and the
// place stays where it was.
func (s *sites) settle(p *place, name, key string, most int, now time.Time) (wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.domainLocked(name, now).site = key
	x := s.siteLocked(key, now)
	if x.most == 0 {
		x.most, x.may = most, min(x.may, most)
	}
	if x == p.site {
		return 0
	}
	if wait := x.wait(now); wait > 0 {
		return wait
	}
	if wait := x.slow.wait(now); wait > 0 {
		return wait
	}
	p.site.busy--
	p.site = x
	x.busy++
	if !x.good.IsZero() {
		p.knownLocked()
	}
	return 0
}

// leave ends a delivery that began at began; reached tells whether the site was there at all. A message that did not reach a site which
// rests now has to wait for it, as all others.
func (s *sites) leave(p *place, began, now time.Time, reached bool) (wait time.Duration) {
	p.once.Do(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		x := p.site
		p.endLocked()
		x.used = now
		if reached {
			x.answered(now, now.Sub(began))
		} else {
			x.missed(began, now)
			wait = x.wait(now)
		}
	})
	return wait
}

func (x *site) answered(now time.Time, took time.Duration) {
	if x.took == 0 {
		x.took = took
	}
	x.took += (took - x.took) / 8
	x.good, x.fails, x.rests = now, 0, time.Time{}
	if x.most > 0 {
		x.may = min(2*max(x.may, 1), x.most)
	}
}

// missed: a site others of whose connections were answered meanwhile wants fewer of them; one that answered nobody rests. Several that
// fail together fail once.
func (x *site) missed(began, now time.Time) {
	if x.good.After(began) {
		x.may = max(1, min(x.may, x.busy))
		x.most = x.may
		return
	}
	x.may, x.took = 1, 0
	if began.Before(x.failed) {
		return
	}
	x.failed = now
	x.rests = now.Add(min(restFirst<<min(x.fails, 10), restMost))
	x.fails++
}

// slow lets mail to a domain pass one by one for a while.
func (s *sites) slow(name string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.domainLocked(name, now).slow.begin(pause{slowFor, slowEvery}, now)
}

// pause does what the site of a domain asked for.
func (s *sites) pause(name string, p pause, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.siteLocked(cmp.Or(s.domainLocked(name, now).site, name), now).slow.begin(p, now)
}

// relearn lets the table speak again about what a site may have, which an earlier refusal had lowered.
func (s *sites) relearn(key string, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if x := s.by[key]; x != nil && x.most > 0 {
		x.most = most
	}
}

// forgetAfter is how long a domain or site is remembered to which nothing goes.
const forgetAfter = 10 * time.Minute

// prune forgets domains and sites nothing is known of any more.
func (s *sites) prune(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.seen) < time.Minute {
		return
	}
	s.seen = now
	for name, d := range s.domains {
		if !d.slow.until.After(now) && now.Sub(d.used) > forgetAfter {
			delete(s.domains, name)
		}
	}
	for key, x := range s.by {
		if x.busy == 0 && !x.rests.After(now) && !x.slow.until.After(now) && now.Sub(x.used) > forgetAfter {
			delete(s.by, key)
		}
	}
}
