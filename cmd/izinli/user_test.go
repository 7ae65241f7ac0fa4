package main

import (
	"context"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"github.com/spf13/cobra"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway/desk"
	"izinli/gateway/store"
)

// visitor is a browser at the panel.
type visitor struct {
	t    *testing.T
	base string
	http *http.Client
}

func newVisitor(t *testing.T, base string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t, base, &http.Client{Jar: jar, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (v *visitor) read(resp *http.Response, err error) (int, string) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode, html.UnescapeString(string(b)) + resp.Header.Get("Location")
}

func (v *visitor) get(path string) (int, string) { return v.read(v.http.Get(v.base + path)) }

var csrfInput = regexp.MustCompile(`name="_csrf" value="([^"]+)"`)

// post sends a form of the page at from.
func (v *visitor) post(from, path string, pairs ...string) (int, string) {
	v.t.Helper()
	_, page := v.get(from)
	m := csrfInput.FindStringSubmatch(page)
	if m == nil {
		v.t.Fatalf("%s has no form:\n%s", from, page)
	}
	form := url.Values{"_csrf": {m[1]}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return v.read(v.http.PostForm(v.base+path, form))
}

const userPassword = "Kırmızı at bahçede 7 tur attı"

var (
	secretShown  = regexp.MustCompile(`[A-Z2-7]{4}( [A-Z2-7]{4}){7}`)
	recoveryCode = regexp.MustCompile(`[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}-[a-z2-7]{4}`)
	linkLine     = regexp.MustCompile(`(?m)^link +\S*(/welcome/\S+)$`)
)

// enrol uses a link and returns a recovery code.
func (v *visitor) enrol(path string) string {
	v.t.Helper()
	status, page := v.get(path)
	secret := secretShown.FindString(page)
	if status != http.StatusOK || secret == "" {
		v.t.Fatalf("the link: %d\n%s", status, page)
	}
	code, err := totp.GenerateCode(strings.ReplaceAll(secret, " ", ""), time.Now())
	if err != nil {
		v.t.Fatal(err)
	}
	status, page = v.post(path, path, "password", userPassword, "again", userPassword, "code", code)
	recovery := recoveryCode.FindString(page)
	if status != http.StatusOK || recovery == "" {
		v.t.Fatalf("enrolment: %d\n%s", status, page)
	}
	return recovery
}

func (v *visitor) signIn(name, code string) string {
	v.t.Helper()
	if _, to := v.post("/login", "/login", "name", name, "password", userPassword); to != "/login/code" {
		return to
	}
	_, to := v.post("/login/code", "/login/code", "code", code)
	return to
}

// link runs a command that gives a link and returns its path.
func (s *shell) link(args ...string) string {
	s.t.Helper()
	out := s.run(append([]string{"user", "invite"}, args...)...)
	m := linkLine.FindStringSubmatch(out)
	if m == nil {
		s.t.Fatalf("no link in\n%s", out)
	}
	return m[1]
}

// panelServer runs a gateway with a panel on the shell's store.
func (s *shell) panelServer() (st *store.Store, base string) {
	s.t.Helper()
	st = s.open()
	cfg := s.config()
	cfg.Listen = configs.Listen{Panel: "127.0.0.1:0"}
	log := slog.New(slog.DiscardHandler)
	srv, err := assembly.NewServer(s.t.Context(), cfg, st, log, assembly.ServerOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Error(err)
		}
		_ = st.Close()
	})
	return st, "http://" + srv.Addrs["panel"]
}

// Behind https the panel's cookies are kept from plain addresses: no other address is offered.
func TestInvitationNamesOtherAddresses(t *testing.T) {
	for link, want := range map[string]string{"https://panel.example.com/welcome/x": "", "http://localhost:8081/welcome/x": "Under another address", "": "Put the panel's address before it"} {
		var out strings.Builder
		cmd := &cobra.Command{}
		cmd.SetOut(&out)
		if err := printInvitation(cmd, &desk.Invitation{Path: "/welcome/x", Link: link}); err != nil {
			t.Fatal(err)
		}
		_, note, _ := strings.Cut(strings.TrimSpace(out.String()), "is not shown again.")
		if !strings.HasPrefix(strings.TrimSpace(note), want) || want == "" && note != "" {
			t.Errorf("%q: %q, want %q", link, note, want)
		}
	}
}

// The only administrator, shut out by his networks and without telephone and codes, gets back in with what the machine's owner has.
func TestWayBackIntoThePanel(t *testing.T) {
	s := newShell(t)
	first := s.link("ayse", "--role", "admin") // before there is a server
	s.has(s.run("user", "list"), "ayse", "admin", "all", "invited")
	st, base := s.panelServer()
	v := newVisitor(t, base)
	if to := v.signIn("ayse", v.enrol(first)); to != "/" {
		t.Fatalf("signed in to %s", to)
	}
	if status, _ := v.get("/users"); status != http.StatusOK {
		t.Fatalf("the administrator's page: %d", status)
	}
	shut := s.link("ayse", "--cidrs", "198.51.100.0/24")
	if status, _ := v.get(shut); status != http.StatusNotFound {
		t.Errorf("the link works from elsewhere: %d", status)
	}
	if status, to := v.get("/users"); status == http.StatusOK {
		t.Errorf("the session goes on from elsewhere: %s", to)
	}
	out := s.run("user", "invite", "ayse", "--cidrs", "", "--reset")
	s.has(out, base+"/welcome/", "works once", "Under another address")
	back := linkLine.FindStringSubmatch(out)[1]
	if to := v.signIn("ayse", "000000"); to == "/" {
		t.Error("the old password goes on after --reset")
	}
	recovery := v.enrol(back)
	if status, _ := v.get(back); status != http.StatusNotFound {
		t.Errorf("the link works twice: %d", status)
	}
	if to := v.signIn("ayse", recovery); to != "/" {
		t.Fatalf("signed in to %s", to)
	}
	s.has(s.run("user", "list", "--json"), `"state": "active"`)
	_, _, warned := s.try("", "user", "disable", "ayse")
	if status, _ := v.get("/users"); status == http.StatusOK || !strings.Contains(warned, "Nobody is left") {
		t.Errorf("a disabled user goes on: %d, warned %q", status, warned)
	}
	s.fail("izinli user enable ayse", "user", "invite", "ayse")
	s.has(s.run("user", "enable", "ayse"), "active")
	s.fail("Nobody is called", "user", "invite", "bora")
	s.fail("already", "user", "invite", "ayse", "--role", "owner")
	s.fail("choose one of", "user", "invite", "bora", "--role", "boss")
	page, err := st.Audits(t.Context(), "", 50)
	if err != nil {
		t.Fatal(err)
	}
	trail := ""
	for _, e := range page.Items {
		trail += string(e)
	}
	s.has(trail, `"what":"InviteUser"`, `"what":"PutUser"`, `"who":"cli `, `"disabled":true`)
	if strings.Contains(trail, "inviteHash") || strings.Contains(trail, "argon2") {
		t.Error("a secret stands in the trail")
	}
}
