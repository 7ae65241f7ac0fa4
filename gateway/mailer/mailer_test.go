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
	own, err := newSiteTable("# ours\nlimit\tYavas.example\t1\t1\t2\t3\npause\tornek.example\tdoluyuz\t10m\t5s\npause\tyahoodns.net\tts04\t0\t0\n")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]limits{"aspmx.l.google.com": {5, 50, 100, 100}, "ornek-com.mail.protection.outlook.com": {5, 50, 100, 100},
		"mx.ornek.example": {10, 100, 100, 100}, "notgoogle.com": {10, 100, 100, 100}, "mta7.am0.yahoodns.net": {10, 20, 100, 100},
		"mx1.icloud.com": {10, 5, 100, 100}, "a.yavas.example": {1, 1, 2, 3}} {
		if got := own.of(host); got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
	table, err := newSiteTable("")
	if err != nil {
		t.Fatal(err)
	}
	const yahoo = "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume"
	for _, c := range []struct {
		why, host, reply string
		want             pause
	}{
		{"Yahoo's throttle", "mta7.am0.yahoodns.net", yahoo, pause{2 * time.Hour, 0}},
		{"the same words of another", "mx.ornek.example", yahoo, pause{90 * time.Minute, time.Minute}},
		{"Gmail's", "alt1.gmail-smtp-in.l.google.com", "421 4.7.28 Our system has detected an unusual rate of unsolicited mail", pause{90 * time.Minute, time.Minute}},
		{"busy", "mx.ornek.example", "451 4.3.2 Server busy, please try again later", pause{90 * time.Minute, time.Minute}},
		{"greylisting is no throttle", "mx.ornek.example", "450 4.7.1 Greylisted, rate limit of unknown senders", pause{}},
		{"one mailbox's trouble is not the site's", "gmail-smtp-in.l.google.com", "450 4.2.1 The user you are trying to contact is receiving mail too quickly", pause{}},
		{"a full box", "mx.ornek.example", "452 4.2.2 mailbox full", pause{}},
	} {
		if got, ok := table.asked(c.host, c.reply); got != c.want || ok != (c.want != pause{}) {
			t.Errorf("%s: %v %v, want %v", c.why, got, ok, c.want)
		}
	}
	if got, ok := own.asked("mx.ornek.example", "450 DOLUYUZ"); !ok || got != (pause{10 * time.Minute, 5 * time.Second}) {
		t.Errorf("a rule of ours: %v", got)
	}
	if _, ok := own.asked("mta7.am0.yahoodns.net", "421 [TS04] temporarily deferred"); ok {
		t.Error("a rule of the program cannot be switched off")
	}
	for _, bad := range []string{"limit\ta\t1\t1\t1", "limit\ta\tx\t1\t1\t1", "limit\ta\t0\t1\t1\t1", "limit\ta\t1\t1\t-1\t1", "pause\ta\t(\t1m\t0",
		"pause\ta\tx\t1m", "pause\ta\tx\tlong\t0", "pause\ta\tx\t25h\t0", "google.com\t5\t50"} {
		if err := CheckSites(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
