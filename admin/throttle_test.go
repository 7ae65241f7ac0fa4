package admin

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"izinli/gateway"
)

func TestLoginThrottle(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform)
	b := w.browser()
	for i := range freePair {
		if rec := b.post("/login", "name", "ayse", "password", "x"); rec.Code != http.StatusUnauthorized {
			t.Fatalf("attempt %d: %d", i, rec.Code)
		}
	}
	rec := b.post("/login", "name", "ayse", "password", password)
	if rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") != "15" {
		t.Errorf("after %d failures: %d, Retry-After %q", freePair, rec.Code, rec.Header().Get("Retry-After"))
	}
	other := w.browser()
	other.from = "203.0.113.9:1"
	if rec := other.post("/login", "name", "ayse", "password", password); rec.Code != http.StatusSeeOther {
		t.Errorf("somebody else kept the user out elsewhere: %d", rec.Code)
	}
	w.pass(firstWait)
	if rec := b.post("/login", "name", "ayse", "password", password); rec.Code != http.StatusSeeOther {
		t.Errorf("after the wait: %d", rec.Code)
	}
}

// Attempts that come at once count like those that come one after the other: no more than are free get as far as a hash, and the
// rest does not use up the patience there is with the name.
func TestThrottleHoldsAttemptsAtOnce(t *testing.T) {
	for _, c := range []struct {
		path   string
		fields []string
		wrong  int
	}{
		{"/login", []string{"name", "ayse", "password", "x"}, http.StatusUnauthorized},
		{"/me/recovery", []string{"current2", "x"}, http.StatusUnprocessableEntity},
	} {
		t.Run(c.path, func(t *testing.T) {
			const crowd = freeName + 10
			w := newWorld(t)
			w.panel.patience = time.Hour
			w.hire("ayse", gateway.RolePlatform)
			var browsers []*browser
			for range crowd {
				b := w.browser()
				if c.path != "/login" {
					b = w.signedIn("ayse")
				}
				b.token()
				browsers = append(browsers, b)
			}
			for range hashesAtOnce { // so that nobody is through before all have come
				w.panel.hashing <- struct{}{}
			}
			answers := make(chan int, crowd)
			for _, b := range browsers {
				go func() { answers <- b.post(c.path, c.fields...).Code }()
			}
			for range crowd - freePair {
				if got := <-answers; got != http.StatusTooManyRequests { // comes only while no more than freePair wait for their hash
					t.Fatalf("answered %d before anything was hashed, want 429", got)
				}
			}
			for range hashesAtOnce {
				<-w.panel.hashing
			}
			for range freePair {
				if got := <-answers; got != c.wrong {
					t.Errorf("one of those let in: %d, want %d", got, c.wrong)
				}
			}
			if rec := browsers[0].post(c.path, c.fields...); rec.Code != http.StatusTooManyRequests || rec.Header().Get("Retry-After") != "15" {
				t.Errorf("the next one: %d, Retry-After %q; want 429 after %v", rec.Code, rec.Header().Get("Retry-After"), firstWait)
			}
			other := w.browser()
			other.from = "203.0.113.9:1"
			if rec := other.post("/login", "name", "ayse", "password", password); rec.Code != http.StatusSeeOther {
				t.Errorf("the person, from elsewhere: %d, want to be let in", rec.Code)
			}
		})
	}
}

// try makes one attempt and tells how long it had to wait.
func try(th *throttle, name, from string, failed bool, now time.Time) time.Duration {
	end, wait := th.begin(name, mustAddr(from), now)
	if wait == 0 {
		end(failed, now)
	}
	return wait
}

func TestThrottleGrowsAndForgets(t *testing.T) {
	th, now := newThrottle(), noon
	for range freePair {
		if got := try(th, "a", "192.0.2.1", true, now); got != 0 {
			t.Fatalf("a free attempt waits %v", got)
		}
	}
	for i := range 12 {
		want := min(firstWait<<i, longest)
		if got := try(th, "a", "192.0.2.1", true, now); got != want {
			t.Errorf("wait %v, want %v", got, want)
		}
		now = now.Add(want)
		if got := try(th, "a", "192.0.2.1", true, now); got != 0 {
			t.Errorf("after the wait: %v more", got)
		}
	}
	if got := try(th, "b", "192.0.2.1", false, now); got != 0 {
		t.Errorf("another name waits %v", got)
	}
	now = now.Add(2 * forgetting)
	for range freePair {
		if got := try(th, "a", "192.0.2.1", true, now); got != 0 {
			t.Errorf("two hours later the count did not start anew: %v", got)
		}
	}
	for i := range freeSource {
		try(th, string(rune('c'+i)), "2001:db8::1", true, now)
	}
	if try(th, "x", "2001:db8::2", false, now) == 0 {
		t.Error("a /64 guesses on with another address")
	}
	if try(th, "x", "2001:db8:0:1::2", false, now) != 0 {
		t.Error("the neighbour's /64 is held too")
	}
}

// Attempts without end are open: they hold further ones up, and leave nothing behind when they end well.
func TestThrottleCountsWhatIsOpen(t *testing.T) {
	th, from := newThrottle(), mustAddr("192.0.2.1")
	var ends []func(bool, time.Time)
	for range freePair {
		end, wait := th.begin("a", from, noon)
		if wait != 0 {
			t.Fatalf("attempt %d waits %v", len(ends), wait)
		}
		ends = append(ends, end)
	}
	if got := try(th, "a", "192.0.2.1", false, noon); got != busyWait {
		t.Errorf("with %d open the next one waits %v, want %v", freePair, got, busyWait)
	}
	for i, end := range ends {
		end(i == 0, noon) // one fails
	}
	for range freePair - 1 {
		if got := try(th, "a", "192.0.2.1", true, noon); got != 0 {
			t.Errorf("after one failure a free attempt waits %v", got)
		}
	}
	if got := try(th, "a", "192.0.2.1", false, noon); got != firstWait {
		t.Errorf("after %d failures: %v, want %v", freePair, got, firstWait)
	}
	later := noon.Add(firstWait) // from here on one at a time
	end, wait := th.begin("a", from, later)
	if got := try(th, "a", "192.0.2.1", false, later); wait != 0 || got != busyWait {
		t.Errorf("after the wait: %v for the first, %v for a second at once", wait, got)
	}
	end(false, later)
	th.succeeded("a", from)
	if got := try(th, "a", "192.0.2.1", false, later); got != 0 {
		t.Errorf("after a success: %v", got)
	}
	fresh := newThrottle()
	if try(fresh, "b", "192.0.2.2", false, noon); len(fresh.m) != 0 {
		t.Errorf("an attempt that ended well left %d entries", len(fresh.m))
	}
}

// Wrong one-time links from everywhere do not close those of others.
func TestWrongLinksHoldTheirSourceAlone(t *testing.T) {
	w := newWorld(t)
	path, err := w.panel.SetupLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	for i := range freeName + 10 {
		b.from = fmt.Sprintf("198.51.100.%d:1", i)
		if rec := b.get("/welcome/" + gateway.NewToken()); rec.Code != http.StatusNotFound {
			t.Fatalf("a made-up link: %d", rec.Code)
		}
	}
	b.from = "192.0.2.9:1"
	if rec := b.get(path); rec.Code != http.StatusOK {
		t.Errorf("the real link, from elsewhere: %d, want 200", rec.Code)
	}
	for range freePair {
		b.get("/welcome/" + gateway.NewToken())
	}
	if rec := b.get(path); rec.Code != http.StatusTooManyRequests {
		t.Errorf("the real link from a source that guesses: %d, want 429", rec.Code)
	}
}
