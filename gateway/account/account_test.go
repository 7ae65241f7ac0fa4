package account

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
)

// book is a directory that tests republish.
type book struct {
	p atomic.Pointer[gateway.Directory]
}

func (b *book) Directory() *gateway.Directory { return b.p.Load() }

func (b *book) publish(change func(d *gateway.Directory)) {
	d := gateway.NewDirectory()
	if old := b.p.Load(); old != nil {
		for k, v := range old.Accounts {
			c := *v
			d.Accounts[k] = &c
		}
		for k, v := range old.Credentials {
			c := *v
			d.Credentials[k] = &c
		}
	}
	change(d)
	b.p.Store(d)
}

var (
	here      = netip.MustParseAddr("192.0.2.10")
	elsewhere = netip.MustParseAddr("198.51.100.7")
)

const (
	smppPassword = "gizli123"
	smtpPassword = "uzun-bir-parola-24-karak"
)

// Hashes are slow on purpose; the tests share them.
var (
	hashOnce           sync.Once
	argonHash, scramOf string
)

func newBook(t *testing.T) (*book, string) {
	t.Helper()
	hashOnce.Do(func() { argonHash, scramOf = HashPassword(smppPassword), HashSCRAM(smtpPassword) })
	id, key, hash := NewAPIKey()
	b := &book{}
	b.publish(func(d *gateway.Directory) {
		d.Accounts[1] = &gateway.Account{ID: 1, Name: "Örnek"}
		d.Accounts[2] = &gateway.Account{ID: 2, Name: "Askıda", Suspended: true}
		put := func(c gateway.Credential) { d.Credentials[gateway.CredentialKey{Kind: c.Kind, ID: c.ID}] = &c }
		put(gateway.Credential{ID: id, Kind: gateway.KindAPI, Account: 1, SecretHash: hash})
		put(gateway.Credential{ID: "op", Kind: gateway.KindSMPP, Account: 1, SecretHash: argonHash})
		put(gateway.Credential{ID: "posta", Kind: gateway.KindSMTP, Account: 1, SecretHash: scramOf})
		put(gateway.Credential{ID: "dar", Kind: gateway.KindSMPP, Account: 1, SecretHash: argonHash,
			CIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
		put(gateway.Credential{ID: "eski", Kind: gateway.KindSMPP, Account: 1, SecretHash: argonHash, Revoked: true})
		put(gateway.Credential{ID: "boş", Kind: gateway.KindSMPP, Account: 1})
		put(gateway.Credential{ID: "askida", Kind: gateway.KindSMPP, Account: 2, SecretHash: argonHash})
		put(gateway.Credential{ID: "yetim", Kind: gateway.KindSMPP, Account: 9, SecretHash: argonHash})
	})
	return b, key
}

func codeOf(err error) gateway.Code {
	var e *gateway.Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return gateway.Code("not a gateway error: " + err.Error())
	}
	return ""
}

func TestAuthenticate(t *testing.T) {
	b, key := newBook(t)
	_, otherKey, _ := NewAPIKey()
	cases := []struct {
		why    string
		kind   gateway.CredentialKind
		name   string
		secret string
		from   netip.Addr
		want   gateway.Code
	}{
		{"a good API key", gateway.KindAPI, "", key, here, ""},
		{"the name beside an API key means nothing", gateway.KindAPI, "someone", key, here, ""},
		{"a key of the right form that does not exist", gateway.KindAPI, "", otherKey, here, gateway.CodeUnauthorized},
		{"right id, wrong secret", gateway.KindAPI, "", key[:len(key)-1] + "!", here, gateway.CodeUnauthorized},
		{"no key at all", gateway.KindAPI, "", "", here, gateway.CodeUnauthorized},
		{"not the form of a key", gateway.KindAPI, "", "hunter2", here, gateway.CodeUnauthorized},
		{"an SMPP name is no API key", gateway.KindAPI, "op", smppPassword, here, gateway.CodeUnauthorized},

		{"a good SMPP password", gateway.KindSMPP, "op", smppPassword, here, ""},
		{"wrong password", gateway.KindSMPP, "op", "gizli124", here, gateway.CodeUnauthorized},
		{"empty password", gateway.KindSMPP, "op", "", here, gateway.CodeUnauthorized},
		{"unknown name", gateway.KindSMPP, "yok", smppPassword, here, gateway.CodeUnauthorized},
		{"kinds do not mix", gateway.KindSMTP, "op", smppPassword, here, gateway.CodeUnauthorized},
		{"revoked", gateway.KindSMPP, "eski", smppPassword, here, gateway.CodeUnauthorized},
		{"no secret was ever set", gateway.KindSMPP, "boş", "", here, gateway.CodeUnauthorized},
		{"account suspended", gateway.KindSMPP, "askida", smppPassword, here, gateway.CodeUnauthorized},
		{"account gone", gateway.KindSMPP, "yetim", smppPassword, here, gateway.CodeUnauthorized},
		{"over-long secret is not hashed", gateway.KindSMPP, "op", strings.Repeat("x", 4096), here, gateway.CodeUnauthorized},
		{"over-long name", gateway.KindSMPP, strings.Repeat("x", 4096), smppPassword, here, gateway.CodeUnauthorized},

		{"inside the allow-list", gateway.KindSMPP, "dar", smppPassword, here, ""},
		{"inside it, as IPv4 in IPv6", gateway.KindSMPP, "dar", smppPassword, netip.AddrFrom16(here.As16()), ""},
		{"outside it", gateway.KindSMPP, "dar", smppPassword, elsewhere, gateway.CodeForbiddenAddress},
		{"outside it with a wrong secret learns nothing", gateway.KindSMPP, "dar", "x", elsewhere, gateway.CodeUnauthorized},

		{"a good SMTP password against SCRAM keys", gateway.KindSMTP, "posta", smtpPassword, here, ""},
		{"a wrong one", gateway.KindSMTP, "posta", smppPassword, here, gateway.CodeUnauthorized},
	}
	synctest.Test(t, func(t *testing.T) { // the delays cost no real time
		for _, c := range cases {
			a := New(b, Options{}) // no history between cases
			p, err := a.Authenticate(t.Context(), c.kind, c.name, c.secret, c.from)
			if got := codeOf(err); got != c.want {
				t.Errorf("%s: code %q, want %q", c.why, got, c.want)
			}
			if (err == nil) != (p != nil) {
				t.Errorf("%s: principal %v with error %v", c.why, p, err)
			}
			if p != nil && (p.Account != 1 || p.Credential.SecretHash != "") {
				t.Errorf("%s: principal %+v, want account 1 without a hash", c.why, p)
			}
		}
	})
}

func TestSuspendedIsToldOnlyWithTheRightSecret(t *testing.T) {
	b, _ := newBook(t)
	synctest.Test(t, func(t *testing.T) {
		a := New(b, Options{})
		_, err := a.Authenticate(t.Context(), gateway.KindSMPP, "askida", smppPassword, here)
		if !strings.Contains(err.Error(), "suspended") {
			t.Errorf("right secret: %v, want the reason", err)
		}
		_, err = a.Authenticate(t.Context(), gateway.KindSMPP, "askida", "x", here)
		if strings.Contains(err.Error(), "suspended") {
			t.Errorf("wrong secret: %v tells that the account exists", err)
		}
	})
}

func TestDelayGrowsAndIsBounded(t *testing.T) {
	b, _ := newBook(t)
	for _, name := range []string{"op", "unknown"} { // known and unknown names behave alike
		synctest.Test(t, func(t *testing.T) {
			a := New(b, Options{})
			want := []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second,
				8 * time.Second, 8 * time.Second}
			for i, w := range want {
				start := time.Now()
				if _, err := a.Authenticate(t.Context(), gateway.KindSMPP, name, "wrong", here); codeOf(err) != gateway.CodeUnauthorized {
					t.Fatalf("%s: %v", name, err)
				}
				if got := time.Since(start); got != w {
					t.Errorf("%s: failure %d answered after %v, want %v", name, i+1, got, w)
				}
			}
			// Somebody else's failures from another place do not slow this source.
			start := time.Now()
			if _, err := a.Authenticate(t.Context(), gateway.KindSMPP, "op", smppPassword, elsewhere); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(start); got != 0 {
				t.Errorf("another source waited %v, want 0", got)
			}
		})
	}
}

func TestSuccessAndTimeForgiveFailures(t *testing.T) {
	b, _ := newBook(t)
	synctest.Test(t, func(t *testing.T) {
		a := New(b, Options{})
		fail := func() time.Duration {
			start := time.Now()
			_, _ = a.Authenticate(t.Context(), gateway.KindSMPP, "op", "wrong", here)
			return time.Since(start)
		}
		fail()
		fail()
		if _, err := a.Authenticate(t.Context(), gateway.KindSMPP, "op", smppPassword, here); err != nil {
			t.Fatal(err)
		}
		if got, want := fail(), delayFirst; got != want {
			t.Errorf("after a success the first failure takes %v, want %v", got, want)
		}
		fail()
		time.Sleep(delayForget + time.Second) // fake time
		if got, want := fail(), delayFirst; got != want {
			t.Errorf("after %v of quiet a failure takes %v, want %v", delayForget, got, want)
		}
	})
}

func TestParallelGuessesAreHeldBack(t *testing.T) {
	b, _ := newBook(t)
	synctest.Test(t, func(t *testing.T) {
		a := New(b, Options{})
		for range 5 {
			_, _ = a.Authenticate(t.Context(), gateway.KindSMPP, "op", "wrong", here)
		}
		go func() { _, _ = a.Authenticate(t.Context(), gateway.KindSMPP, "op", "wrong", here) }()
		synctest.Wait() // its answer is now held back for eight seconds
		var throttled, slow atomic.Int32
		var wg sync.WaitGroup
		start := time.Now()
		for range 20 {
			wg.Go(func() {
				_, err := a.Authenticate(t.Context(), gateway.KindSMPP, "op", "wrong", here)
				switch codeOf(err) {
				case gateway.CodeThrottled:
					throttled.Add(1)
				case gateway.CodeUnauthorized:
					if time.Since(start) >= delayMost {
						slow.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if throttled.Load() != 20-delayWaiters || slow.Load() != delayWaiters {
			t.Errorf("%d throttled and %d delayed, want %d and %d", throttled.Load(), slow.Load(), 20-delayWaiters, delayWaiters)
		}
	})
}

func TestSprayingNamesFromOneSourceSlows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFailures()
		src := sourceOf(here)
		var last time.Duration
		for i := range 10 * delayPeople {
			last = f.failed(failKey{src, string(rune('a' + i))}, time.Now())
		}
		if last != delayMost {
			t.Errorf("the %dth name from one source waits %v, want %v", 10*delayPeople, last, delayMost)
		}
	})
}

func TestFailuresAreBounded(t *testing.T) {
	f := newFailures()
	f.entries = 100
	now := time.Now()
	for i := range 5000 {
		a := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		f.failed(failKey{sourceOf(a), "n"}, now)
		if len(f.m) > 101 {
			t.Fatalf("%d failures remembered, want at most 101", len(f.m))
		}
	}
}

func TestIPv6NeighboursAreOneSource(t *testing.T) {
	a, b := netip.MustParseAddr("2001:db8:1:2::1"), netip.MustParseAddr("2001:db8:1:2:ffff::9")
	if sourceOf(a) != sourceOf(b) {
		t.Error("two addresses of one /64 are two sources")
	}
	if sourceOf(a) == sourceOf(netip.MustParseAddr("2001:db8:1:3::1")) {
		t.Error("two /64 networks are one source")
	}
	if sourceOf(here) == sourceOf(elsewhere) {
		t.Error("two IPv4 addresses are one source")
	}
}

func TestCancelledWaitIsUnavailable(t *testing.T) {
	b, _ := newBook(t)
	synctest.Test(t, func(t *testing.T) {
		a := New(b, Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := a.Authenticate(ctx, gateway.KindSMPP, "op", "wrong", here)
		if codeOf(err) != gateway.CodeUnavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want unavailable for the deadline", err)
		}
	})
}

// The cache is seen through the number of password checks: with both hashing slots taken only a cached secret passes.
func TestVerifiedPasswordsAreCached(t *testing.T) {
	b, _ := newBook(t)
	synctest.Test(t, func(t *testing.T) {
		a := New(b, Options{})
		ask := func() gateway.Code {
			_, err := a.Authenticate(t.Context(), gateway.KindSMPP, "op", smppPassword, here)
			return codeOf(err)
		}
		busy := func() gateway.Code {
			for range hashesAtOnce {
				a.hashing <- struct{}{}
			}
			defer func() {
				for range hashesAtOnce {
					<-a.hashing
				}
			}()
			return ask()
		}
		want := func(why string, got, want gateway.Code) {
			t.Helper()
			if got != want {
				t.Fatalf("%s: %q, want %q", why, got, want)
			}
		}
		want("nothing cached, no slot free", busy(), gateway.CodeUnavailable)
		want("first check", ask(), "")
		want("cached", busy(), "")
		b.publish(func(d *gateway.Directory) { d.Accounts[1].Name = "Başka" })
		want("still cached after an unrelated change", busy(), "")
		time.Sleep(cacheFor) // fake time
		want("five minutes later", busy(), gateway.CodeUnavailable)

		want("checked again", ask(), "")
		key := gateway.CredentialKey{Kind: gateway.KindSMPP, ID: "op"}
		b.publish(func(d *gateway.Directory) { d.Credentials[key].Revoked = true })
		want("revoked while cached", ask(), gateway.CodeUnauthorized)
		b.publish(func(d *gateway.Directory) { d.Credentials[key].Revoked = false })
		time.Sleep(time.Minute)
		want("the entry went with the revocation", busy(), gateway.CodeUnavailable)

		want("checked again", ask(), "")
		other := HashPassword("baska999")
		b.publish(func(d *gateway.Directory) { d.Credentials[key].SecretHash = other })
		want("password changed while cached", ask(), gateway.CodeUnauthorized)
	})
}

func TestNoPlainSecretIsKept(t *testing.T) {
	b, _ := newBook(t)
	a := New(b, Options{})
	if _, err := a.Authenticate(t.Context(), gateway.KindSMPP, "op", smppPassword, here); err != nil {
		t.Fatal(err)
	}
	if len(a.verified) != 1 {
		t.Fatalf("%d entries, want 1", len(a.verified))
	}
	for m, v := range a.verified {
		if strings.Contains(string(m[:])+v.stored+v.key.ID, smppPassword) {
			t.Error("the cache holds the password")
		}
	}
}

func TestPrincipalIsSharedUntilTheDirectoryChanges(t *testing.T) {
	b, key := newBook(t)
	a := New(b, Options{})
	ask := func() *gateway.Principal {
		p, err := a.Authenticate(t.Context(), gateway.KindAPI, "", key, here)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := ask()
	if ask() != first {
		t.Error("a second principal was made for the same snapshot")
	}
	id, _ := KeyID(key)
	b.publish(func(d *gateway.Directory) {
		d.Credentials[gateway.CredentialKey{Kind: gateway.KindAPI, ID: id}].Brand = "675403"
	})
	if got := ask().Credential.Brand; got != "675403" {
		t.Errorf("brand %q after the change, want 675403", got)
	}
}

func TestSCRAM(t *testing.T) {
	b, _ := newBook(t)
	synctest.Test(t, func(t *testing.T) {
		a := New(b, Options{})
		s, err := a.SCRAM(t.Context(), gateway.KindSMTP, "posta", here)
		if err != nil {
			t.Fatal(err)
		}
		if s.Keys.String() != scramOf {
			t.Errorf("keys %s, want those stored", s.Keys)
		}
		if p, err := s.Conclude(t.Context(), true); err != nil || p.Credential.ID != "posta" {
			t.Errorf("proven: %v, %v", p, err)
		}
		s, _ = a.SCRAM(t.Context(), gateway.KindSMTP, "posta", here)
		if _, err := s.Conclude(t.Context(), false); codeOf(err) != gateway.CodeUnauthorized {
			t.Errorf("not proven: %v", err)
		}
		u1, _ := a.SCRAM(t.Context(), gateway.KindSMTP, "yok", here)
		u2, _ := a.SCRAM(t.Context(), gateway.KindSMTP, "yok", here)
		if u1.Keys.String() != u2.Keys.String() || u1.Keys.Rounds != s.Keys.Rounds || len(u1.Keys.Salt) != len(s.Keys.Salt) {
			t.Errorf("an unknown name can be told: %s, then %s", u1.Keys, u2.Keys)
		}
		if _, err := u1.Conclude(t.Context(), true); codeOf(err) != gateway.CodeUnauthorized {
			t.Errorf("unknown name, \"proven\": %v", err)
		}
	})
}

func TestAuthenticateInParallel(t *testing.T) {
	b, key := newBook(t)
	a := New(b, Options{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if _, err := a.Authenticate(t.Context(), gateway.KindAPI, "", key, here); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 20 {
				b.publish(func(*gateway.Directory) {})
			}
		})
	}
	wg.Wait()
}

func BenchmarkAuthenticateKey(b *testing.B) {
	dir := &book{}
	id, key, hash := NewAPIKey()
	dir.publish(func(d *gateway.Directory) {
		d.Accounts[1] = &gateway.Account{ID: 1}
		d.Credentials[gateway.CredentialKey{Kind: gateway.KindAPI, ID: id}] =
			&gateway.Credential{ID: id, Kind: gateway.KindAPI, Account: 1, SecretHash: hash}
	})
	a := New(dir, Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := a.Authenticate(b.Context(), gateway.KindAPI, "", key, here); err != nil {
			b.Fatal(err)
		}
	}
}
