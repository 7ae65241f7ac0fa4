package admin

import (
	"bytes"
	"context"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// target fills a pattern with records of account 1 or 2, and says what to send along.
func target(w *world, b *browser, r *route, account string) (path string, form []string) {
	message, batch, brand, cred := messageID.String(), batchRef.String(), "675403", "abc"
	if account == "2" {
		message, batch, brand, cred = otherID.String(), otherRef.String(), "700001", "theirs"
	}
	path = r.path
	switch {
	case strings.HasPrefix(path, "/messages/:id"):
		path = strings.Replace(path, ":id", message, 1)
	case strings.HasPrefix(path, "/batches/:id"):
		path = strings.Replace(path, ":id", batch, 1)
	case strings.HasPrefix(path, "/accounts/:id"):
		path = strings.Replace(path, ":id", account, 1)
	case strings.HasPrefix(path, "/consents/import/:id"):
		path = strings.Replace(path, ":id", "i1", 1)
	}
	form = []string{"confirm", "yes", "account", account, "address", "05321234567", "brand", brand, "channel", "sms", "kind", "api", "cid", cred, "reason", "denetim için",
		"credits", "5", "note", "fatura", "name", "op1", "id", "abc", "operators", "op1", "status", "ONAY", "source", "HS_WEB", "consentDate", "2026-11-20T10:00", "url", "https://example.com",
		"suspended", "yes", "disabled", "yes", "class", "commercial"}
	user := ""
	if b != nil {
		if s := w.panel.sessions.get(b.cookies[cookieSession], w.clock(), false); s != nil {
			user = s.user
		}
	}
	switch r.path {
	case "/consents/view":
		path += "?q=" + w.panel.hide(user, strings.Join([]string{account, brand, "sms", "BIREYSEL", "+905321234567"}, "\x00"))
	case "/consents/block":
		form = append(form, "q", w.panel.hide(user, strings.Join([]string{account, brand, "sms", "BIREYSEL", "+905321234567"}, "\x00")))
	case "/blacklist/remove":
		form = append(form, "q", w.panel.hide(user, account+"\x00+905321234567"))
	case "/consents/import/:id", "/consents/import/:id/errors.csv":
		path += "?account=" + account
	case "/users/invite", "/users/delete":
		w.hire("temp", gateway.RoleAuditor)
		form = append([]string{"name", "temp"}, form...)
	case "/reconcile":
		path += "?account=" + account + "&brand=" + brand
	case "/reconcile/plan":
		plan := map[string]string{"1": "7", "2": "8"}[account]
		if r.method == get {
			path += "?account=" + account + "&plan=" + plan
		}
		form = append(form, "plan", plan, "act", "apply")
	case "/via/view":
		path += "?account=" + account + "&id=v" + account
	case "/via/complete", "/via/ask", "/via/proof":
		form = append([]string{"id", "v" + account}, form...)
	case "/dealers/add":
		if path += "?account=" + account + "&brand=" + brand; r.method == post {
			path = r.path
		}
		form = append(form, "city", "34", "town", "3", "title", "XYZ", "tckn", "10000000146", "tin", "1234567890")
	case "/dealers/delete":
		form = append(form, "code", "55550127")
	case "/dealers", "/dealers/access", "/refusal-links", "/privacy":
		if r.method == get {
			path += "?account=" + account + "&brand=" + brand
		}
		form = append(form, "act", "grant", "addresses", "+905321234567", "retailers", "55550127", "text", "ACIK_RIZA_METNI")
	case "/forms/add":
		form = append(form, "textTr", strings.Repeat("onay metni ", 9))
	case "/forms/revoke":
		form = append(form, "form", "f"+account)
	case "/suppressions/remove":
		form = append(form, "q", w.panel.hide(user, account+"\x00kisi@example.com"))
	case "/smarthosts/drain":
		form = append(form, "draining", "yes")
	case "/accounts/:id/brand/view":
		path += "?code=" + brand
	case "/accounts/:id/brand/count":
		form = append(form, "code", brand)
	case "/accounts/:id/sender/approve":
		form = append([]string{"name", "ORNEK"}, form...)
	case "/queue/pause":
		form = append(form, "lane", "otp", "paused", "yes")
	case "/test":
		if r.method == get {
			path += "?account=" + account
		}
		form = append(form, "from", "ORNEK", "text", "deneme")
	default:
		if r.method == get && !strings.Contains(path, account) && !strings.HasPrefix(r.path, "/accounts/edit") {
			path += "?account=" + account
		}
	}
	return path, form
}

// fire sends what a route expects, with or without its token.
func fire(w *world, b *browser, r *route, account string, token bool) int {
	path, form := target(w, b, r, account)
	if r.method == get {
		return b.get(path).Code
	}
	if r.stream {
		return b.upload(path, account, token)
	}
	if !token {
		return b.do(post, path, "application/x-www-form-urlencoded", strings.NewReader(strings.Join(form, "&"))).Code
	}
	return b.post(path, form...).Code
}

func (b *browser) upload(path, account string, token bool) int {
	brand := "675403"
	if account == "2" {
		brand = "700001"
	}
	var buf bytes.Buffer
	m := multipart.NewWriter(&buf)
	fields := [][2]string{{"account", account}, {"brand", brand}, {"channel", "sms"}, {"mode", "verify"}, {"status", ""}, {"consentDate", ""}}
	if token {
		fields = append([][2]string{{csrfField, b.token()}}, fields...)
	}
	for _, f := range fields {
		_ = m.WriteField(f[0], f[1])
	}
	part, err := m.CreateFormFile("file", "izinler.csv")
	if err != nil {
		b.w.Fatal(err)
	}
	_, _ = part.Write([]byte("05321234567\n"))
	_ = m.Close()
	return b.do(post, path, m.FormDataContentType(), &buf).Code
}

// crew is one user of each role; those without all accounts have account 1.
var crew = []struct {
	name   string
	role   gateway.PanelRole
	all    bool
	letter string
}{
	{"admin", gateway.RolePlatform, true, "A"}, {"owner", gateway.RoleOwner, false, "O"}, {"operator", gateway.RoleOperator, true, "P"}, {"operator1", gateway.RoleOperator, false, "P"},
	{"officer", gateway.RoleConsent, true, "C"}, {"officer1", gateway.RoleConsent, false, "C"}, {"auditor", gateway.RoleAuditor, true, "D"}, {"auditor1", gateway.RoleAuditor, false, "D"},
	{"ghost", "gone", true, "-"},
}

func (w *world) crew() {
	for _, x := range crew {
		w.hire(x.name, x.role, func(u *gateway.PanelUser) {
			if u.All = x.all; !x.all {
				u.Accounts = []gateway.AccountID{1}
			}
		})
	}
}

// reached reports whether an answer came from behind the door: a page, a form with faults, a redirect to somewhere else than
// the way in.
func reached(code int) bool { return code != http.StatusForbidden && code != http.StatusNotFound }

// TestRoutes walks every line of the table: nobody signed in, each role on its own and on another's account, without token.
func TestRoutes(t *testing.T) {
	w := newWorld(t)
	w.crew()
	for i := range w.panel.routes {
		r := &w.panel.routes[i]
		if r.path == "/live" || r.path == "/logout" { // have tests of their own: one does not end, the other ends the session
			continue
		}
		t.Run(r.method+" "+r.path, func(t *testing.T) {
			stranger(t, w, r)
			if r.scope != accounts && r.scope != platform {
				return
			}
			for _, x := range crew {
				member(t, w, r, x.name, x.letter, x.all)
			}
		})
	}
}

// stranger is somebody not signed in: sent to the way in, or nowhere without a token.
func stranger(t *testing.T, w *world, r *route) {
	t.Helper()
	if r.method == post {
		if code := fire(w, w.browser(), r, "1", false); code != http.StatusForbidden && !r.stream {
			t.Errorf("without session and token: %d, want 403", code)
		}
	}
	if r.scope == public {
		return
	}
	b := w.browser()
	path, form := target(w, b, r, "1")
	b.get("/login")
	var rec *httptest.ResponseRecorder
	switch {
	case r.method == get:
		rec = b.get(path)
	case !r.stream:
		rec = b.post(path, form...)
	default:
		if code := b.upload(path, "1", true); code != http.StatusSeeOther {
			t.Errorf("without session: %d, want the way in", code)
		}
		return
	}
	if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/login" {
		t.Errorf("without session: %d to %q, want the way in", rec.Code, rec.Header().Get("Location"))
	}
}

func member(t *testing.T, w *world, r *route, name, letter string, all bool) {
	t.Helper()
	b := w.signedIn(name)
	if r.method == post {
		before := len(w.office.done())
		if code := fire(w, b, r, "1", false); code != http.StatusForbidden || len(w.office.done()) != before {
			t.Errorf("%s without token: %d and %d acts, want 403 and none", name, code, len(w.office.done())-before)
		}
	}
	want := strings.Contains(r.may, letter) && (r.scope == accounts || all)
	before := len(w.office.done())
	code := fire(w, b, r, "1", true)
	if got := reached(code); got != want {
		t.Errorf("%s on account 1: %d, allowed %v, want %v", name, code, got, want)
	}
	if !want && len(w.office.done()) != before {
		t.Errorf("%s was refused and yet did %v", name, w.office.done()[before:])
	}
	if r.scope != accounts || !want || all || !tenantBound(r.path) {
		return
	}
	before = len(w.office.done())
	if code := fire(w, b, r, "2", true); reached(code) {
		t.Errorf("%s on account 2, which is not theirs: %d", name, code)
	}
	if len(w.office.done()) != before {
		t.Errorf("%s acted on another's account: %v", name, w.office.done()[before:])
	}
}

// tenantBound reports whether a route names an account; the others show what the user sees.
func tenantBound(path string) bool { return path != "/" && path != "/accounts" }

func TestTenantsSeeOnlyTheirs(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	for _, path := range []string{"/", "/accounts", "/messages", "/batches", "/accounts/1"} {
		body := b.get(path).Body.String()
		for _, theirs := range []string{"Başka", "700001", "theirs", otherID.String()} {
			if strings.Contains(body, theirs) {
				t.Errorf("%s shows the owner of account 1 %q of account 2", path, theirs)
			}
		}
		if path == "/accounts" && !strings.Contains(body, "Örnek") {
			t.Error("the owner does not see the own account")
		}
	}
	if body := b.get("/").Body.String(); strings.Contains(body, "op1") || strings.Contains(body, "12.345") {
		t.Error("an owner's dashboard shows figures of the whole gateway")
	}
	if body := w.signedIn("admin").get("/").Body.String(); !strings.Contains(body, "op1") || !strings.Contains(body, "12.345") || !strings.Contains(body, "700001") {
		t.Error("an admin's dashboard lacks operators, totals or brands")
	}
}

func TestRouteTableIsWhole(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range table() {
		k := r.method + " " + r.path
		if seen[k] {
			t.Errorf("%s stands twice", k)
		}
		seen[k] = true
		if (r.scope == accounts || r.scope == platform) != (r.may != "") {
			t.Errorf("%s: scope %d and roles %q do not fit", k, r.scope, r.may)
		}
		if strings.Trim(r.may, "AOPCD") != "" {
			t.Errorf("%s names unknown roles in %q", k, r.may)
		}
		if r.may != "" && !strings.Contains(r.may, "A") {
			t.Errorf("%s is closed to the platform admin", k)
		}
	}
	for role := range roleLetters {
		if !role.Valid() {
			t.Errorf("letter for %q, which is no role", role)
		}
	}
}

func TestActsNameWhoAndWhence(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	b.post("/batches/"+batchRef.String()+"/resume", "confirm", "yes")
	acts := w.office.done()
	if len(acts) != 1 || acts[0] != "ResumeBatch by panel owner from 192.0.2.7" {
		t.Errorf("got %q", acts)
	}
}

func TestDestructionAsksFirst(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("admin")
	to := "/batches/" + batchRef.String() + "/cancel"
	rec := b.post(to)
	if rec.Code != http.StatusOK || len(w.office.done()) != 0 || !strings.Contains(rec.Body.String(), "412") {
		t.Errorf("%d, %v; want a question that names 412 messages", rec.Code, w.office.done())
	}
	rec = b.post(to, "confirm", "yes")
	if rec.Code != http.StatusSeeOther || len(w.office.done()) != 1 {
		t.Errorf("%d, %v; want the batch cancelled", rec.Code, w.office.done())
	}
	if body := b.get("/batches/" + batchRef.String()).Body.String(); !strings.Contains(body, "412 mesaj iptal edildi") {
		t.Error("the next page does not tell what was done")
	}
	if body := b.get("/batches/" + batchRef.String()).Body.String(); strings.Contains(body, "412 mesaj iptal edildi") {
		t.Error("the note is told twice")
	}
}

func TestRevealIsLoggedBeforeItShows(t *testing.T) {
	w := newWorld(t)
	w.staff()
	const full = "5321234567" // the plus is written &#43;
	b := w.signedIn("admin")
	to := "/messages/" + messageID.String()
	if body := b.get("/blacklist").Body.String(); strings.Contains(body, "5330000000") || !strings.Contains(body, "90533*****00") {
		t.Error("/blacklist shows a whole address, or none")
	}
	for _, path := range []string{to, "/messages", "/inbox", "/audit"} {
		if strings.Contains(b.get(path).Body.String(), full) {
			t.Errorf("%s shows a whole address", path)
		}
	}
	if body := b.post(to+"/reveal", "reason", "ad").Body.String(); strings.Contains(body, full) || len(w.entries()) != 0 {
		t.Error("shown without a reason")
	}
	if body := b.post(to+"/reveal", "reason", "müşteri şikâyeti").Body.String(); !strings.Contains(body, full) {
		t.Error("not shown with a reason")
	}
	list := w.entries()
	if len(list) != 1 || list[0].What != "Reveal" || !strings.Contains(string(list[0].After), "müşteri şikâyeti") || list[0].Who != "panel admin from 192.0.2.7" {
		t.Errorf("trail: %+v", list)
	}
	w.panel.deps.Audit = func(_ context.Context, e desk.Entry) error { return gateway.Refuse(gateway.CodeStorageFull, "", "") }
	if rec := b.post(to+"/reveal", "reason", "müşteri şikâyeti"); strings.Contains(rec.Body.String(), full) || rec.Code != http.StatusServiceUnavailable {
		t.Errorf("shown although the trail could not be kept: %d", rec.Code)
	}
}

// What is clearly no account's is for platform administrators: an auditor of all accounts does not see it, nor does an owner.
func TestNobodysInbox(t *testing.T) {
	w := newWorld(t)
	w.staff()
	var asked []gateway.AccountID
	w.panel.deps.Inbound = func(_ context.Context, a gateway.AccountID, _ string, _ int) (gateway.Page[gateway.Inbound], error) {
		asked = append(asked, a)
		return gateway.Page[gateway.Inbound]{Items: []gateway.Inbound{{ID: "1", From: "+905321234567", To: "3333", Text: "kimim ben", Kind: "message"}}, Next: "9"}, nil
	}
	b := w.signedIn("admin")
	if body := b.get("/inbox?account=1").Body.String(); !strings.Contains(body, `value="none"`) || !slices.Equal(asked, []gateway.AccountID{1}) {
		t.Errorf("an administrator cannot choose what is nobody's; asked for %v", asked)
	}
	asked = nil
	rec := b.get("/inbox?account=none")
	if body := rec.Body.String(); rec.Code != http.StatusOK || !strings.Contains(body, "kimim ben") || !strings.Contains(body, "account=none&amp;cursor=9") ||
		!slices.Equal(asked, []gateway.AccountID{0}) {
		t.Errorf("nobody's inbox: %d, asked for %v", rec.Code, asked)
	}
	for _, name := range []string{"auditor", "owner"} {
		asked = nil
		b := w.signedIn(name)
		if body := b.get("/inbox").Body.String(); strings.Contains(body, `value="none"`) {
			t.Errorf("%s is offered what is nobody's", name)
		}
		for _, path := range []string{"/inbox?account=none", "/inbox?account=0"} {
			if rec := b.get(path); rec.Code != http.StatusNotFound {
				t.Errorf("%s: %s = %d, want 404", name, path, rec.Code)
			}
		}
		if slices.Contains(asked, 0) {
			t.Errorf("%s read what is nobody's", name)
		}
	}
}

func TestAddressesStayOutOfURLs(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("admin")
	to := b.post("/messages/find", "account", "1", "what", "0532 123 45 67").Header().Get("Location")
	if to == "" || strings.Contains(to, "532") {
		t.Fatalf("led to %q", to)
	}
	if body := b.get(to).Body.String(); !strings.Contains(body, messageID.String()) {
		t.Error("the message is not found by its address")
	}
	if rec := w.signedIn("owner").get(to); rec.Code != http.StatusNotFound {
		t.Errorf("another user reads the hidden address: %d", rec.Code)
	}
	for what, want := range map[string]string{messageID.String(): "/messages/" + messageID.String(), batchRef.String(): "/batches/" + batchRef.String()} {
		if got := b.post("/messages/find", "what", what).Header().Get("Location"); got != want {
			t.Errorf("%s led to %q, want %q", what, got, want)
		}
	}
}
