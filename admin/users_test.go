package admin

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"izinli/gateway"
)

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
	if rec := b.get("/welcome/" + gateway.NewToken()); rec.Code != http.StatusNotFound {
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
	w.pass(gateway.InvitationLife)
	if rec := w.browser().get(path); rec.Code != http.StatusNotFound {
		t.Errorf("the link works after %v: %d", gateway.InvitationLife, rec.Code)
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

// Disabling ends the link given out before, and enabling does not bring it back; the list says what is.
func TestDisablingEndsTheLink(t *testing.T) {
	w := newWorld(t)
	w.hire("admin", gateway.RolePlatform)
	b := w.signedIn("admin")
	path := tokenIn.FindString(b.post("/users/edit", "fresh", "yes", "name", "yeni", "role", "auditor", "all", "1").Body.String())
	shows := func(state string) {
		t.Helper()
		if !strings.Contains(b.get("/users").Body.String(), state) {
			t.Errorf("the list does not say %q", state)
		}
	}
	shows("Davetli")
	for _, disabled := range []string{"1", ""} {
		if rec := b.post("/users/edit", "name", "yeni", "role", "auditor", "all", "1", "disabled", disabled); rec.Code != http.StatusSeeOther {
			t.Fatalf("disabled %q: %d", disabled, rec.Code)
		}
		if rec := w.browser().get(path); rec.Code != http.StatusNotFound {
			t.Errorf("disabled %q: the old link answers %d", disabled, rec.Code)
		}
	}
	shows("Davetin süresi doldu")
	before := w.people.m["yeni"]
	shut := before
	shut.Disabled = true
	w.people.m["yeni"] = shut
	rec := b.post("/users/invite", "name", "yeni", "confirm", "yes")
	if rec.Code != http.StatusConflict || tokenIn.MatchString(rec.Body.String()) || !strings.Contains(rec.Body.String(), "Önce kullanıcıyı yeniden açın") {
		t.Errorf("a link for a disabled user: %d %s", rec.Code, rec.Body)
	}
	if got := w.people.m["yeni"]; got.InviteHash != before.InviteHash {
		t.Error("a disabled user has a link, which works once he is let in")
	}
	if strings.Contains(b.get("/users").Body.String(), `action="/users/invite"`) {
		t.Error("the list offers a link for a disabled user")
	}
	w.people.m["yeni"] = before
	path = tokenIn.FindString(b.post("/users/invite", "name", "yeni", "confirm", "yes").Body.String())
	if rec := w.browser().get(path); rec.Code != http.StatusOK {
		t.Errorf("a new link: %d", rec.Code)
	}
}
