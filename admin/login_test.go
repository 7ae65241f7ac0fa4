package admin

import (
	"net/http"
	"net/http/httptest"
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
