package mailer

import (
	"fmt"
	"testing"
	"time"
)

var noon = time.Unix(1_800_000_000, 0)

// deliverAt books and ends one delivery and reports whether there was a place.
func deliverAt(s *sites, domain, key string, now time.Time, took time.Duration, reached bool) bool {
	p, _ := s.book(domain, now)
	if p == nil {
		return false
	}
	if s.settle(p, domain, key, 10, now) > 0 {
		p.GiveBack()
		return false
	}
	s.leave(p, now, now.Add(took), reached)
	return true
}

// A site that cannot be reached rests longer with every failure, and another site is none of its business.
func TestDeadSiteRests(t *testing.T) {
	s, now := newSites(), noon
	var rests []time.Duration
	for range 3 {
		if !deliverAt(s, "dead.example", "mx.dead", now, time.Minute, false) {
			t.Fatal("a dead site is never tried again")
		}
		now = now.Add(time.Minute)
		p, wait := s.book("dead.example", now)
		if p != nil {
			t.Fatal("a dead site is tried again at once")
		}
		rests = append(rests, wait)
		if !deliverAt(s, "alive.example", "mx.alive", now, time.Second, true) {
			t.Error("a dead site holds up another")
		}
		now = now.Add(wait + time.Second)
	}
	if rests[0] < restFirst || rests[1] < 2*restFirst || rests[2] < 4*restFirst {
		t.Errorf("rests of %v", rests)
	}
	p, _ := s.book("dead.example", now.Add(restMost))
	if q, _ := s.book("dead.example", now.Add(restMost)); p == nil || q != nil {
		t.Error("want one to try a dead site")
	}
	s.settle(p, "dead.example", "mx.dead", 10, now)
	s.leave(p, now, now.Add(time.Second), true)
	if !deliverAt(s, "dead.example", "mx.dead", now.Add(restMost), time.Second, true) {
		t.Error("a site that answered rests on")
	}
}

// Connections that fail together are one failure; a site of which only some fail gets fewer of them.
func TestFailuresTogether(t *testing.T) {
	s := newSites()
	fill := func(domain string, at time.Time) (list []*place) {
		for p, _ := s.book(domain, at); p != nil; p, _ = s.book(domain, at) {
			s.settle(p, domain, "mx."+domain, 10, at)
			list = append(list, p)
		}
		return list
	}
	for i := range 4 {
		deliverAt(s, "a.example", "mx.a.example", noon.Add(time.Duration(i)*time.Second), time.Second, true)
	}
	at := noon.Add(10 * time.Second)
	all := fill("a.example", at)
	if len(all) != 10 {
		t.Fatalf("%d connections, want the 10 of the table", len(all))
	}
	for _, p := range all {
		s.leave(p, at, at.Add(time.Minute), false)
	}
	if _, wait := s.book("a.example", at.Add(time.Minute)); wait < restFirst || wait > restFirst+2*time.Second {
		t.Errorf("after ten that failed together it rests %s", wait)
	}

	for i := range 4 {
		deliverAt(s, "b.example", "mx.b.example", noon.Add(time.Duration(i)*time.Second), time.Second, true)
	}
	all = fill("b.example", at)
	for i, p := range all {
		s.leave(p, at, at.Add(time.Second), i < 6)
	}
	if got := fill("b.example", at.Add(2*time.Second)); len(got) == 0 || len(got) > 6 {
		t.Errorf("a site that took six of ten gets %d", len(got))
	}
	s.relearn("mx.b.example", 10)
	if s.by["mx.b.example"].most != 10 {
		t.Error("what was learnt stays for ever")
	}
}

// A site nobody knows gets two connections; one that accepts and says nothing never holds more.
func TestStrangers(t *testing.T) {
	s := newSites()
	var held []*place
	for range 100 {
		if p, wait := s.book("silent.example", noon); p != nil {
			s.settle(p, "silent.example", "mx.silent", 10, noon)
			held = append(held, p)
		} else if wait <= 0 {
			t.Fatal("no place, and no time to come back")
		}
	}
	if len(held) != strangers {
		t.Errorf("a silent site holds %d places, want %d", len(held), strangers)
	}
	held[0].GiveBack()
	held[0].GiveBack()
	s.leave(held[0], noon, noon, true)
	if x := s.by["mx.silent"]; x.busy != strangers-1 {
		t.Errorf("%d busy after one place was given back", x.busy)
	}
}

// Domains that share their exchangers share connections, from the moment that is known.
func TestSharedSite(t *testing.T) {
	s := newSites()
	a, _ := s.book("a.example", noon)
	if s.settle(a, "a.example", "mx.big", 1, noon) > 0 {
		t.Fatal("no room at an idle site")
	}
	b, _ := s.book("b.example", noon)
	if b == nil {
		t.Fatal("an unknown domain was refused")
	}
	if wait := s.settle(b, "b.example", "mx.big", 1, noon); wait <= 0 {
		t.Error("two domains have a connection each where one is allowed")
	}
	b.GiveBack()
	if c, wait := s.book("b.example", noon); c != nil || wait <= 0 {
		t.Error("what was learnt of the domain is forgotten")
	}
	s.leave(a, noon, noon.Add(time.Second), true)
	if c, _ := s.book("b.example", noon.Add(time.Second)); c == nil {
		t.Error("no place after the other left")
	}
}

// Messages that find no place come back one after the other at the pace of the site, and nobody is sent away for longer than needed.
func TestTurns(t *testing.T) {
	s := newSites()
	for i := range 6 {
		deliverAt(s, "a.example", "mx.a", noon.Add(time.Duration(i)*time.Second), time.Second, true)
	}
	now := noon.Add(time.Minute)
	for p, _ := s.book("a.example", now); p != nil; p, _ = s.book("a.example", now) {
	}
	counts := map[int]int{} // by second
	for range 600 {
		_, wait := s.book("a.example", now)
		counts[int(wait/time.Second)]++
	}
	// Ten connections of a second each, and half as many more.
	for sec := range 30 {
		if n := counts[sec]; n < 10 || n > 20 {
			t.Errorf("%d come back in second %d, want about 15", n, sec)
		}
	}
	for range 100_000 {
		if _, wait := s.book("a.example", now); wait > spreadMost {
			t.Fatalf("sent away for %s", wait)
		}
	}
}

// A domain that does not want our mail gets one message a minute, whatever carries it, and others of its site are not touched.
func TestUnwanted(t *testing.T) {
	s := newSites()
	deliverAt(s, "a.example", "mx.big", noon, time.Second, true)
	deliverAt(s, "b.example", "mx.big", noon, time.Second, true)
	s.slow("a.example", noon)
	if s.unwanted("a.example", noon.Add(time.Second)) == 0 {
		t.Error("more goes at once")
	}
	at := noon.Add(slowEvery + time.Second)
	if s.unwanted("a.example", at) != 0 || s.unwanted("a.example", at) == 0 {
		t.Error("want one message a minute")
	}
	if !deliverAt(s, "b.example", "mx.big", at, time.Second, true) {
		t.Error("another domain of the site waits too")
	}
	if s.unwanted("a.example", noon.Add(slowFor+time.Second)) != 0 {
		t.Error("the domain is slow for ever")
	}
	s.prune(noon.Add(24 * time.Hour))
	if len(s.by)+len(s.domains) != 0 {
		t.Errorf("%d sites and %d domains are never forgotten", len(s.by), len(s.domains))
	}
}

// A site that asks for less gets it, all its domains together, and other sites do not; a suspension is not lifted by a milder wish.
func TestSitePauses(t *testing.T) {
	s := newSites()
	for _, d := range []string{"a.example", "b.example"} {
		deliverAt(s, d, "mx.big", noon, time.Second, true)
	}
	deliverAt(s, "c.example", "mx.other", noon, time.Second, true)
	passes := func(domain string, at time.Time) bool {
		return deliverAt(s, domain, s.domains[domain].site, at, time.Second, true)
	}

	s.pause("a.example", pause{90 * time.Minute, time.Minute}, noon)
	if passes("a.example", noon.Add(2*time.Second)) || passes("b.example", noon.Add(2*time.Second)) {
		t.Error("more goes at once")
	}
	at := noon.Add(61 * time.Second)
	if !passes("b.example", at) || passes("a.example", at.Add(time.Second)) {
		t.Error("want one message a minute for all domains of the site")
	}
	if !passes("c.example", at) {
		t.Error("another site pauses too")
	}

	s.pause("b.example", pause{2 * time.Hour, 0}, at)
	s.pause("a.example", pause{90 * time.Minute, time.Minute}, at)
	for _, later := range []time.Duration{time.Minute, time.Hour, 119 * time.Minute} {
		if passes("a.example", at.Add(later)) {
			t.Errorf("after %s something goes to a site that wants nothing for two hours", later)
		}
	}
	if _, wait := s.book("a.example", at.Add(time.Hour)); wait < time.Hour || wait > time.Hour+spreadMost {
		t.Errorf("a message is to come back in %s, want an hour and a little", wait)
	}
	s.prune(at.Add(time.Hour))
	if !passes("a.example", at.Add(2*time.Hour+time.Second)) || !passes("a.example", at.Add(2*time.Hour+3*time.Second)) {
		t.Error("the pause has no end")
	}
	// A domain whose site becomes known only now waits as well.
	s.pause("a.example", pause{time.Hour, 0}, at.Add(3*time.Hour))
	p, _ := s.book("new.example", at.Add(3*time.Hour))
	if p == nil || s.settle(p, "new.example", "mx.big", 10, at.Add(3*time.Hour)) <= 0 {
		t.Error("a new domain of a site that pauses gets through")
	}
}

// A list full of domains that do not answer leaves half of the connections to those that do.
func TestDeadDomainsLeaveRoom(t *testing.T) {
	s := newSites()
	s.keepRoom(50)
	deliverAt(s, "alive.example", "mx.alive", noon, time.Second, true)
	at := noon.Add(time.Minute)
	var held []*place
	for i := range 1000 {
		domain := fmt.Sprintf("dead%d.example", i)
		p, wait := s.book(domain, at)
		if p == nil {
			if wait <= 0 || wait > spreadMost {
				t.Fatalf("sent away for %s", wait)
			}
			continue
		}
		if s.settle(p, domain, "mx."+domain, 10, at) == 0 {
			held = append(held, p)
		}
	}
	if len(held) != 50 {
		t.Errorf("dead domains hold %d places, want 50", len(held))
	}
	for range 3 {
		if !deliverAt(s, "alive.example", "mx.alive", at, time.Second, true) {
			t.Error("one that answers waits behind them")
		}
	}
	// A domain that turns out to be at a site that answers is no stranger.
	held[0].GiveBack()
	p, _ := s.book("neighbour.example", at)
	if p == nil || s.settle(p, "neighbour.example", "mx.alive", 10, at) > 0 || s.strange != 49 {
		t.Errorf("%d strangers", s.strange)
	}
	s.leave(p, at, at, true)
	for _, p := range held {
		s.leave(p, at, at.Add(time.Minute), false)
		p.GiveBack()
	}
	if s.strange != 0 {
		t.Errorf("%d places at strangers were never given back", s.strange)
	}
}
