package account

import (
	"testing"
	"time"

	"izinli/gateway"
)

func TestLimits(t *testing.T) {
	b := &book{}
	b.publish(func(d *gateway.Directory) {
		d.Accounts[1] = &gateway.Account{ID: 1, Policy: gateway.AccountPolicy{MaxPerSecond: 100}}
		d.Accounts[2] = &gateway.Account{ID: 2}
		d.Credentials[gateway.CredentialKey{Kind: gateway.KindSMPP, ID: "slow"}] =
			&gateway.Credential{ID: "slow", Kind: gateway.KindSMPP, Account: 1, PerSecond: 10}
	})
	now := time.Unix(1_800_000_000, 0)
	l := NewLimits(b, func() time.Time { return now })
	fast := &gateway.Principal{Account: 1, Credential: gateway.Credential{ID: "fast", Kind: gateway.KindAPI}}
	slow := &gateway.Principal{Account: 1, Credential: gateway.Credential{ID: "slow", Kind: gateway.KindSMPP}}
	free := &gateway.Principal{Account: 2, Credential: gateway.Credential{ID: "f", Kind: gateway.KindAPI}}
	steps := []struct {
		why   string
		after time.Duration
		p     *gateway.Principal
		n     int
		want  time.Duration
	}{
		{"a second's worth at once", 0, fast, 100, 0},
		{"then the bucket is empty", 0, fast, 1, 10 * time.Millisecond},
		{"and fills at the rate", 10 * time.Millisecond, fast, 1, 0},
		{"the account's limit holds for its other credential too", 0, slow, 1, 10 * time.Millisecond},
		{"a full bucket lets a bulk request in", time.Second, fast, 10_000, 0},
		{"which is paid for later", 0, fast, 1, 99*time.Second + 10*time.Millisecond},
		{"nothing was charged for the refusal", 99*time.Second + 10*time.Millisecond, fast, 1, 0},
		{"the credential's own limit", time.Minute, slow, 10, 0},
		{"is smaller than the account's", 0, slow, 1, 100 * time.Millisecond},
		{"and leaves the account to others", 0, fast, 90, 0},
		{"zero counts as one", 0, fast, 0, 10 * time.Millisecond},
		{"no limit, no wait", 0, free, 1_000_000, 0},
		{"again", 0, free, 1_000_000, 0},
	}
	for _, s := range steps {
		now = now.Add(s.after)
		if got := l.Allow(s.p, s.n); (got - s.want).Abs() > time.Millisecond {
			t.Errorf("%s: wait %v, want %v", s.why, got, s.want)
		}
	}
	if got := l.AllowAccount(1, 1); got == 0 {
		t.Error("AllowAccount has a bucket of its own; it must share the account's")
	}
	b.publish(func(d *gateway.Directory) { d.Accounts[1].Policy.MaxPerSecond = 0 })
	if got := l.Allow(fast, 50); got != 0 {
		t.Errorf("limit lifted, still waits %v", got)
	}
}

// Property: over a long time no more than rate × time + one burst passes, however it is asked for.
func TestLimitsLongTermRate(t *testing.T) {
	b := &book{}
	b.publish(func(d *gateway.Directory) {
		d.Accounts[1] = &gateway.Account{ID: 1, Policy: gateway.AccountPolicy{MaxPerSecond: 50}}
	})
	for _, size := range []int{1, 7, 50, 333} {
		now := time.Unix(1_800_000_000, 0)
		l := NewLimits(b, func() time.Time { return now })
		passed := 0
		for range 60_000 { // ten minutes in steps of 10 ms
			if l.AllowAccount(1, size) == 0 {
				passed += size
			}
			now = now.Add(10 * time.Millisecond)
		}
		if want := 50 * 600; passed > want+50+size || passed < want-50-size {
			t.Errorf("requests of %d: %d passed in ten minutes, want about %d", size, passed, want)
		}
	}
}

func TestIdleBucketsGo(t *testing.T) {
	d := gateway.NewDirectory()
	b := &book{}
	b.p.Store(d)
	for i := range gateway.AccountID(3 * idleBuckets) {
		d.Accounts[i] = &gateway.Account{ID: i, Policy: gateway.AccountPolicy{MaxPerSecond: 1}}
	}
	now := time.Unix(1_800_000_000, 0)
	l := NewLimits(b, func() time.Time { return now })
	for i := range gateway.AccountID(3 * idleBuckets) {
		l.AllowAccount(i, 1)
		now = now.Add(time.Millisecond)
	}
	if len(l.buckets) > 2*idleBuckets {
		t.Errorf("%d buckets kept, want at most %d", len(l.buckets), 2*idleBuckets)
	}
}
