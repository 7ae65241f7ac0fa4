package admin

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"izinli/gateway"
)

// enter signs in with password and code and returns the last answer.
func (b *browser) enter(name, pass, code string) *httptest.ResponseRecorder {
	b.w.Helper()
	if rec := b.post("/login", "name", name, "password", pass); rec.Code != http.StatusSeeOther {
		return rec
	}
	return b.post("/login/code", "code", code)
}

func isIn(b *browser) bool { return b.get("/me").Code == http.StatusOK }

func TestSignIn(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform)
	b := w.browser()
	if rec := b.enter(" AYSE ", password, w.totpNow()); rec.Code != http.StatusSeeOther || !isIn(b) {
		t.Fatalf("not signed in: %d", rec.Code)
	}
	if e := w.entries(); len(e) != 1 || e[0].What != "SignIn" {
		t.Errorf("trail: %+v", e)
	}
	if b.post("/logout"); isIn(b) {
		t.Error("still signed in after signing out")
	}
}

func TestSignInRefused(t *testing.T) {
	for _, c := range []struct {
		why, name, pass, code string
		change                func(*gateway.PanelUser)
	}{
		{"wrong password", "ayse", "x", "", nil},
		{"nobody", "kim", password, "", nil},
		{"empty", "", "", "", nil},
		{"wrong code", "ayse", password, "000000", nil},
		{"empty code", "ayse", password, "", nil},
		{"disabled", "ayse", password, "", func(u *gateway.PanelUser) { u.Disabled = true }},
		{"from elsewhere", "ayse", password, "", setCIDR("198.51.100.0/24")},
		{"invited only", "ayse", "", "", func(u *gateway.PanelUser) { u.PasswordHash = "" }},
	} {
		t.Run(c.why, func(t *testing.T) {
			w := newWorld(t)
			w.hire("ayse", gateway.RolePlatform)
			if c.change != nil {
				u := w.people.m["ayse"]
				c.change(&u)
				w.people.m["ayse"] = u
			}
			b := w.browser()
			rec := b.enter(c.name, c.pass, c.code)
			if rec.Code != http.StatusUnauthorized || isIn(b) {
				t.Errorf("%d, in %v; want 401", rec.Code, isIn(b))
			}
			if !strings.Contains(rec.Body.String(), "Ad, parola ya da kod yanlış") {
				t.Error("the answer says more or less than that it is wrong")
			}
		})
	}
}

func TestAddressListLetsIn(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform, setCIDR("192.0.2.0/24"))
	b := w.signedIn("ayse")
	if !isIn(b) {
		t.Fatal("kept out of the own network")
	}
	b.from = "198.51.100.9:1"
	if isIn(b) {
		t.Error("a session travelled out of the network")
	}
}

func TestForwardedForIsNotBelieved(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform, setCIDR("10.0.0.0/8"))
	b := w.signedIn("ayse")
	b.headers["X-Forwarded-For"] = "10.1.1.1"
	if isIn(b) {
		t.Error("a header the caller wrote passed the address list")
	}
}

func TestSessionFixation(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform)
	b := w.browser()
	planted := w.panel.sessions.begin("ayse", false, noon) // an attacker's half session, put into the victim's browser
	b.cookies[cookieSession] = planted
	b.post("/login", "name", "ayse", "password", password)
	half := b.cookies[cookieSession]
	b.post("/login/code", "code", w.totpNow())
	full := b.cookies[cookieSession]
	if half == planted || full == half || full == planted {
		t.Fatal("a token survived a step of signing in")
	}
	if !isIn(b) {
		t.Fatal("not signed in")
	}
	for name, token := range map[string]string{"planted": planted, "half": half} {
		thief := w.browser()
		thief.cookies[cookieSession] = token
		if isIn(thief) {
			t.Errorf("the %s token is signed in", name)
		}
	}
}

func TestHalfSessionOpensNothing(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform)
	b := w.browser()
	b.post("/login", "name", "ayse", "password", password)
	for i := range w.panel.routes {
		r := &w.panel.routes[i]
		if r.scope == public || r.scope == half || r.method == post {
			continue
		}
		if rec := b.get(strings.ReplaceAll(r.path, ":id", "1")); rec.Header().Get("Location") != "/login/code" {
			t.Errorf("%s: %d to %q before the code", r.path, rec.Code, rec.Header().Get("Location"))
		}
	}
	w.pass(halfLife)
	if rec := b.post("/login/code", "code", w.totpNow()); isIn(b) {
		t.Errorf("the code was taken after the half session had ended: %d", rec.Code)
	}
}

func TestCodeWorksOnce(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform)
	code := w.totpNow()
	if b := w.browser(); b.enter("ayse", password, code).Code != http.StatusSeeOther {
		t.Fatal("the first use is refused")
	}
	b := w.browser()
	if rec := b.enter("ayse", password, code); rec.Code != http.StatusUnauthorized || isIn(b) {
		t.Errorf("the same code again: %d", rec.Code)
	}
	earlier, err := totp.GenerateCode(totpSecret, w.clock().Add(-totpPeriod*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if rec := b.post("/login/code", "code", earlier); rec.Code != http.StatusUnauthorized {
		t.Errorf("the code of an earlier step: %d", rec.Code)
	}
	w.pass(totpPeriod * time.Second)
	if rec := b.post("/login/code", "code", w.totpNow()); rec.Code != http.StatusSeeOther || !isIn(b) {
		t.Errorf("the next code: %d", rec.Code)
	}
}

func TestTOTPStep(t *testing.T) {
	at := time.Unix(59, 0)                            // RFC 6238 appendix B, cut to six digits
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // "12345678901234567890"
	for _, c := range []struct {
		why, code string
		last      int64
		now       time.Time
		want      int64
		ok        bool
	}{
		{"the RFC's own", "287082", 0, at, 1, true},
		{"with blanks", " 287 082 ", 0, at, 1, true},
		{"one step late", "287082", 0, at.Add(30 * time.Second), 1, true},
		{"two steps late", "287082", 0, at.Add(60 * time.Second), 0, false},
		{"used", "287082", 1, at, 0, false},
		{"short", "28708", 0, at, 0, false},
	} {
		got, ok := totpStep(secret, c.code, c.last, c.now)
		if got != c.want || ok != c.ok {
			t.Errorf("%s: got %d %v, want %d %v", c.why, got, ok, c.want, c.ok)
		}
	}
	if _, ok := totpStep("", "", 0, at); ok {
		t.Error("no secret and no code fit")
	}
}

func TestRecoveryCodeWorksOnce(t *testing.T) {
	w := newWorld(t)
	codes, hashes := newRecovery()
	w.hire("ayse", gateway.RolePlatform, func(u *gateway.PanelUser) { u.Recovery = hashes })
	if b := w.browser(); b.enter("ayse", password, strings.ToUpper(codes[3])).Code != http.StatusSeeOther || !isIn(b) {
		t.Fatal("a recovery code is refused")
	}
	if rec := w.browser().enter("ayse", password, codes[3]); rec.Code != http.StatusUnauthorized {
		t.Errorf("the same code again: %d", rec.Code)
	}
	if rec := w.browser().enter("ayse", password, codes[4]); rec.Code != http.StatusSeeOther {
		t.Errorf("another code: %d", rec.Code)
	}
	if left := len(w.people.m["ayse"].Recovery); left != recoveryCount-2 {
		t.Errorf("%d codes left, want %d", left, recoveryCount-2)
	}
}

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
				select {
				case got := <-answers:
					if got != http.StatusTooManyRequests {
						t.Fatalf("answered %d before anything was hashed, want 429", got)
					}
				case <-time.After(hashPatience / 2):
					t.Fatalf("more than %d of %d attempts at once wait for their hash", freePair, crowd)
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
		if rec := b.get("/welcome/" + newToken()); rec.Code != http.StatusNotFound {
			t.Fatalf("a made-up link: %d", rec.Code)
		}
	}
	b.from = "192.0.2.9:1"
	if rec := b.get(path); rec.Code != http.StatusOK {
		t.Errorf("the real link, from elsewhere: %d, want 200", rec.Code)
	}
	for range freePair {
		b.get("/welcome/" + newToken())
	}
	if rec := b.get(path); rec.Code != http.StatusTooManyRequests {
		t.Errorf("the real link from a source that guesses: %d, want 429", rec.Code)
	}
}

func TestWrongCodesEndTheHalfSession(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform)
	b := w.browser()
	b.post("/login", "name", "ayse", "password", password)
	for range halfTries {
		b.post("/login/code", "code", "000000")
	}
	w.pass(longest)
	if rec := b.post("/login/code", "code", w.totpNow()); isIn(b) {
		t.Errorf("still taking codes: %d", rec.Code)
	}
}

func TestSessionLimits(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform)
	b := w.signedIn("ayse")
	w.pass(w.panel.cfg.Idle - time.Second)
	if !isIn(b) {
		t.Fatal("ended before the idle limit")
	}
	w.pass(w.panel.cfg.Idle)
	if isIn(b) {
		t.Error("alive at the idle limit")
	}
	b = w.signedIn("ayse")
	for at := time.Duration(0); at < w.panel.cfg.Absolute-20*time.Minute; at += 20 * time.Minute {
		w.pass(20 * time.Minute)
		if !isIn(b) {
			t.Fatalf("a busy session ended after %v", at)
		}
	}
	w.pass(20 * time.Minute)
	if isIn(b) {
		t.Error("alive at the absolute limit")
	}
}

func TestRightsTakenEndSessions(t *testing.T) {
	for _, c := range []struct {
		why    string
		change func(*world)
	}{
		{"deleted", func(w *world) { delete(w.people.m, "ayse") }},
		{"disabled", func(w *world) { u := w.people.m["ayse"]; u.Disabled = true; w.people.m["ayse"] = u }},
		{"edited by an admin", func(w *world) {
			w.pass(time.Second)
			w.signedIn("admin").post("/users/edit", "name", "ayse", "role", "auditor", "all", "1")
		}},
	} {
		t.Run(c.why, func(t *testing.T) {
			w := newWorld(t)
			w.hire("admin", gateway.RolePlatform)
			w.hire("ayse", gateway.RoleOperator)
			b := w.signedIn("ayse")
			if !isIn(b) {
				t.Fatal("not in")
			}
			if c.change(w); isIn(b) {
				t.Error("the session goes on")
			}
		})
	}
}

func TestPasswordChange(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RoleAuditor)
	b, other := w.signedIn("ayse"), w.signedIn("ayse")
	w.pass(time.Second)
	const next = "bambaşka uzun bir cümle"
	if rec := b.post("/me/password", "current", "x", "password", next, "again", next); rec.Code != http.StatusUnprocessableEntity {
		t.Errorf("without the present password: %d", rec.Code)
	}
	if rec := b.post("/me/password", "current", password, "password", next, "again", next); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	if !isIn(b) || isIn(other) {
		t.Errorf("own session %v, other session %v; want the other ended", isIn(b), isIn(other))
	}
	if rec := w.browser().post("/login", "name", "ayse", "password", next); rec.Code != http.StatusSeeOther {
		t.Errorf("the new password: %d", rec.Code)
	}
}

func TestPasswordFault(t *testing.T) {
	for pass, want := range map[string]string{
		"kısa": "password.short", strings.Repeat("x", 129): "password.long", "aaaaaaaaaaaaaa": "password.weak", "password1234567"[:12]: "password.weak",
		"ayse1ayse2ayse": "password.weak", "123456123456": "password.weak", password: "", "correct horse battery": "",
	} {
		if got := passwordFault("ayse", pass); got != want {
			t.Errorf("%q: got %q, want %q", pass, got, want)
		}
	}
}

var tokenIn = regexp.MustCompile(`/welcome/[A-Za-z0-9_-]{43}`)

// enrol goes through a one-time link.
func (b *browser) enrol(path, name string) *httptest.ResponseRecorder {
	secret := b.w.panel.enrolSecret(strings.TrimPrefix(path, "/welcome/"))
	code, err := totp.GenerateCode(secret, b.w.clock())
	if err != nil {
		b.w.Fatal(err)
	}
	return b.post(path, "name", name, "password", password, "again", password, "code", code)
}

func TestSetup(t *testing.T) {
	w := newWorld(t)
	path, err := w.panel.SetupLink(t.Context())
	if err != nil || !tokenIn.MatchString(path) {
		t.Fatalf("got %q, %v", path, err)
	}
	if again, _ := w.panel.SetupLink(t.Context()); again != path {
		t.Error("a second link was made")
	}
	b := w.browser()
	if rec := b.get(path + "/qr.png"); rec.Code != http.StatusOK || rec.Header().Get("Content-Type") != "image/png" {
		t.Errorf("the code square: %d", rec.Code)
	}
	if rec := b.get("/welcome/" + newToken()); rec.Code != http.StatusNotFound {
		t.Errorf("a made-up link: %d", rec.Code)
	}
	if rec := b.post(path, "name", "admin", "password", password, "again", password, "code", "000000"); rec.Code != http.StatusUnprocessableEntity || len(w.people.m) != 0 {
		t.Errorf("a wrong code: %d, %d users", rec.Code, len(w.people.m))
	}
	if rec := b.enrol(path, "Ayşe?"); rec.Code != http.StatusUnprocessableEntity {
		t.Errorf("a name that is none: %d", rec.Code)
	}
	rec := b.enrol(path, "ayse")
	u := w.people.m["ayse"]
	if rec.Code != http.StatusOK || u.Role != gateway.RolePlatform || len(u.Recovery) != recoveryCount || u.PasswordHash == "" || u.TOTP == "" {
		t.Fatalf("%d, %+v", rec.Code, u)
	}
	if rec := b.enrol(path, "bora"); rec.Code != http.StatusNotFound || len(w.people.m) != 1 {
		t.Errorf("the link worked twice: %d", rec.Code)
	}
	if again, err := w.panel.SetupLink(t.Context()); again != "" || err != nil {
		t.Errorf("with a user there is still a link: %q, %v", again, err)
	}
	w.pass(totpPeriod * time.Second)
	code, err := totp.GenerateCode(w.panel.enrolSecret(strings.TrimPrefix(path, "/welcome/")), w.clock())
	if err != nil {
		t.Fatal(err)
	}
	if rec := b.enter("ayse", password, code); rec.Code != http.StatusSeeOther || !isIn(b) {
		t.Errorf("the first admin cannot sign in: %d", rec.Code)
	}
}

func TestInvitation(t *testing.T) {
	w := newWorld(t)
	w.hire("admin", gateway.RolePlatform)
	b := w.signedIn("admin")
	rec := b.post("/users/edit", "fresh", "yes", "name", "yeni", "role", "owner", "accounts", "1", "cidrs", "192.0.2.0/24 2001:db8::1")
	path := tokenIn.FindString(rec.Body.String())
	u := w.people.m["yeni"]
	if path == "" || len(u.Accounts) != 1 || len(u.CIDRs) != 2 || u.InviteHash == "" || strings.Contains(u.InviteHash, strings.TrimPrefix(path, "/welcome/")) {
		t.Fatalf("%d %q %+v", rec.Code, path, u)
	}
	elsewhere := w.browser()
	elsewhere.from = "198.51.100.1:1"
	if rec := elsewhere.get(path); rec.Code != http.StatusNotFound {
		t.Errorf("the link works from outside the address list: %d", rec.Code)
	}
	if rec := w.browser().enrol(path, ""); rec.Code != http.StatusOK || w.people.m["yeni"].PasswordHash == "" {
		t.Fatalf("%d", rec.Code)
	}
	if rec := w.browser().get(path); rec.Code != http.StatusNotFound {
		t.Errorf("the link works twice: %d", rec.Code)
	}
	path = tokenIn.FindString(b.post("/users/invite", "name", "yeni", "confirm", "yes").Body.String())
	w.pass(inviteLife)
	if rec := w.browser().get(path); rec.Code != http.StatusNotFound {
		t.Errorf("the link works after %v: %d", inviteLife, rec.Code)
	}
	for _, e := range w.entries() {
		if strings.Contains(string(e.After), "argon2") || strings.Contains(string(e.After), "sealed") || strings.Contains(string(e.After), "inviteHash") {
			t.Errorf("a secret stands in the trail: %s", e.After)
		}
	}
}

func TestLastAdminStays(t *testing.T) {
	w := newWorld(t)
	w.hire("admin", gateway.RolePlatform)
	b := w.signedIn("admin")
	if rec := b.post("/users/edit", "name", "admin", "role", "auditor", "all", "1"); rec.Code != http.StatusUnprocessableEntity {
		t.Errorf("the last admin gave the panel away: %d", rec.Code)
	}
	if rec := b.post("/users/delete", "name", "admin", "confirm", "yes"); rec.Code != http.StatusConflict {
		t.Errorf("the last admin deleted itself: %d", rec.Code)
	}
	w.hire("second", gateway.RolePlatform)
	if rec := b.post("/users/edit", "name", "admin", "role", "auditor", "all", "1"); rec.Code != http.StatusSeeOther {
		t.Errorf("with a second admin: %d", rec.Code)
	}
}
