package mailer

import (
	"testing"
	"time"

	"izinli/gateway"
)

func TestSchedule(t *testing.T) {
	for _, c := range []struct {
		lane    gateway.Lane
		attempt int
		want    time.Duration
	}{
		{gateway.LaneOTP, 1, 30 * time.Second}, {gateway.LaneOTP, 9, 2 * time.Minute}, {gateway.LaneTransactional, 1, time.Minute},
		{gateway.LaneTransactional, 100, time.Hour}, {gateway.LaneCommercial, 0, 5 * time.Minute}, {gateway.LaneCommercial, 2, 15 * time.Minute},
		{gateway.LaneCommercial, 7, 2 * time.Hour},
	} {
		for range 20 {
			if got := wait(c.lane, c.attempt); got < c.want*4/5 || got > c.want*6/5 {
				t.Errorf("%s attempt %d: %s, want %s and a fifth either way", c.lane, c.attempt, got, c.want)
			}
		}
	}
}

func TestSiteTable(t *testing.T) {
	if _, err := parseSites(sitesTSV); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]limits{"aspmx.l.google.com": {5, 50}, "ornek-com.mail.protection.outlook.com": {5, 50}, "mx.ornek.example": {10, 100},
		"notgoogle.com": {10, 100}, "mta7.am0.yahoodns.net": {10, 20}} {
		if got := limitsOf(host); got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
	for _, bad := range []string{"a\t1", "a\tx\t1", "a\t0\t1"} {
		if _, err := parseSites(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// A site that cannot be reached rests longer with every failure, one that says our mail is unwanted gets one message a minute, and
// another site is none of its business.
func TestSites(t *testing.T) {
	s, now := newSites(), time.Unix(1_800_000_000, 0)
	if !s.enter("dead.example", now) {
		t.Fatal("an unknown site was refused")
	}
	s.leave("dead.example", now, false, 10)
	first := s.waitFor("dead.example", now, true)
	if first < restFirst*4/5 || s.enter("dead.example", now) {
		t.Errorf("a dead site is tried again in %s", first)
	}
	later := now.Add(restFirst + time.Second)
	if s.waitFor("dead.example", later, true) != 0 || !s.enter("dead.example", later) {
		t.Error("a dead site is never tried again")
	}
	s.leave("dead.example", later, false, 0)
	if second := s.waitFor("dead.example", later, true); second <= restFirst {
		t.Errorf("the second rest is %s", second)
	}
	if s.waitFor("alive.example", now, true) != 0 || !s.enter("alive.example", now) {
		t.Error("a dead site holds up another")
	}
	s.leave("alive.example", now, true, 1)
	if !s.enter("alive.example", now) || s.enter("alive.example", now) || s.waitFor("alive.example", now, true) == 0 {
		t.Error("a site got more connections than it may have")
	}
	s.slow("unwanted.example", now)
	if s.waitFor("unwanted.example", now.Add(time.Second), false) == 0 {
		t.Error("a site that does not want our mail gets more at once")
	}
	at := now.Add(slowEvery + time.Second)
	if s.waitFor("unwanted.example", at, false) != 0 || s.waitFor("unwanted.example", at, false) == 0 {
		t.Error("want one message a minute")
	}
	if s.waitFor("unwanted.example", now.Add(slowFor+time.Second), false) != 0 {
		t.Error("the site is slow for ever")
	}
	s.leave("alive.example", now, true, 0)
	s.prune(now.Add(24 * time.Hour))
	if len(s.by) != 0 {
		t.Errorf("%d sites are never forgotten", len(s.by))
	}
}
