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
