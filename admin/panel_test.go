package admin

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/iys"
)

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform)
	for path, b := range map[string]*browser{"/login": w.browser(), "/": w.signedIn("ayse"), "/nowhere": w.browser(), "/users": w.browser()} {
		h := b.get(path).Header()
		for name, want := range map[string]string{"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin"} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		csp := h.Get("Content-Security-Policy")
		if !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if h.Get("Strict-Transport-Security") != "" {
			t.Errorf("%s: plain HTTP promises TLS", path)
		}
	}
}

func TestCookies(t *testing.T) {
	w := newWorld(t)
	w.hire("ayse", gateway.RolePlatform)
	check := func(cookies []*http.Cookie, secure bool) {
		t.Helper()
		if len(cookies) == 0 {
			t.Error("no cookie")
		}
		for _, c := range cookies {
			if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure != secure || c.Domain != "" || c.Path != "/" || strings.HasPrefix(c.Name, hostPrefix) != secure {
				t.Errorf("cookie %+v", c)
			}
		}
	}
	b := w.browser()
	check(b.get("/login").Result().Cookies(), false)
	check(b.post("/login", "name", "ayse", "password", password).Result().Cookies(), false)
	check(b.post("/prefs", "lang", "en").Result().Cookies(), false)
	req := httptest.NewRequest(get, "https://panel.example/login", nil)
	req.TLS = &tls.ConnectionState{}
	rec := httptest.NewRecorder()
	w.panel.Handler().ServeHTTP(rec, req)
	check(rec.Result().Cookies(), true)
	if rec.Header().Get("Strict-Transport-Security") == "" {
		t.Error("over TLS there is no HSTS")
	}
}

func TestForeignFormsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.staff()
	to := "/batches/" + batchRef.String() + "/resume"
	for why, headers := range map[string]map[string]string{
		"another site": {"Sec-Fetch-Site": "cross-site"}, "a neighbour": {"Sec-Fetch-Site": "same-site"}, "another origin": {"Origin": "https://evil.example"},
	} {
		b := w.signedIn("admin")
		b.headers = headers
		if rec := b.post(to); rec.Code != http.StatusForbidden {
			t.Errorf("%s, even with the token: %d", why, rec.Code)
		}
	}
	b := w.signedIn("admin")
	theirs := w.signedIn("owner").token()
	if rec := b.do(post, to, "application/x-www-form-urlencoded", strings.NewReader(csrfField+"="+theirs)); rec.Code != http.StatusForbidden {
		t.Errorf("with another session's token: %d", rec.Code)
	}
	if len(w.office.done()) != 0 {
		t.Errorf("something was done: %v", w.office.done())
	}
	b.headers = map[string]string{"Sec-Fetch-Site": "same-origin"}
	if rec := b.post(to); rec.Code != http.StatusSeeOther || len(w.office.done()) != 1 {
		t.Errorf("our own form: %d", rec.Code)
	}
}

func TestUploadLimits(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("admin")
	if code := b.upload("/consents/import", "1", true); code != http.StatusSeeOther {
		t.Errorf("a small file: %d", code)
	}
	big := "--x\r\nContent-Disposition: form-data; name=\"" + csrfField + "\"\r\n\r\n" + b.token() + "\r\n"
	for k, v := range map[string]string{"account": "1", "brand": "675403", "channel": "sms", "mode": "verify"} {
		big += "--x\r\nContent-Disposition: form-data; name=\"" + k + "\"\r\n\r\n" + v + "\r\n"
	}
	big += "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n" + strings.Repeat("05321234567\n", 120_000) + "\r\n--x--\r\n"
	before := len(w.office.done())
	if rec := b.do(post, "/consents/import", "multipart/form-data; boundary=x", strings.NewReader(big)); rec.Code != http.StatusRequestEntityTooLarge || len(w.office.done()) != before {
		t.Errorf("a file beyond the limit: %d", rec.Code)
	}
	if rec := b.post("/messages/find", "what", strings.Repeat("x", maxForm)); rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a form beyond the limit: %d", rec.Code)
	}
}

func TestRedirectsStayHere(t *testing.T) {
	for back, want := range map[string]string{"/messages?a=1": "/messages?a=1", "": "/", "https://evil.example": "/", "//evil.example": "/", `/\evil.example`: "/", "/a\r\nSet-Cookie: x=1": "/", "javascript:alert(1)": "/", "/": "/"} {
		if got := ownPath(back); got != want {
			t.Errorf("%q: got %q, want %q", back, got, want)
		}
	}
}

func TestLanguages(t *testing.T) {
	if got, want := turkish.num(-1234567), "−1.234.567"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := english.num(1234567)+" "+english.num(999), "1,234,567 999"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	at := time.Date(2026, 11, 20, 22, 30, 5, 0, time.UTC) // already the 21st in Istanbul
	if got, want := turkish.when(at)+" | "+english.when(at), "21.11.2026 01:30:05 | 21 Nov 2026 01:30:05"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := turkish.rate(2.54)+" "+english.rate(2.54)+" "+turkish.rate(1234), "2,5 2.5 1.234"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := english.n("unit.d", 1)+", "+english.n("unit.d", 2), "1 day, 2 days"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := turkish.octets(3<<30)+" "+turkish.octets(1536), "3,0 GiB 1,5 KiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

var verbs = regexp.MustCompile(`%[sd%]`)

// TestCatalogue holds every text in both languages, with the same verbs, once.
func TestCatalogue(t *testing.T) {
	seen := map[string]bool{}
	for line := range strings.Lines(messagesFile) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, _, ok := strings.Cut(line, " = ")
		if !ok || seen[key] {
			t.Errorf("line %q has no key, or one that stands twice", line)
		}
		seen[key] = true
		x := catalogue[key]
		if x[0] == "" || x[1] == "" {
			t.Errorf("%s lacks a language", key)
		}
		count := func(s string) map[string]int {
			m := map[string]int{}
			for _, v := range verbs.FindAllString(s, -1) {
				m[v]++
			}
			return m
		}
		if a, b := fmt.Sprint(count(x[0])), fmt.Sprint(count(x[1])); a != b {
			t.Errorf("%s: verbs %s in Turkish, %s in English", key, a, b)
		}
	}
	for _, c := range gateway.Codes() {
		need(t, "code."+string(c))
	}
	for s := gateway.StateAccepted; s.String() != "none"; s++ {
		need(t, "state."+s.String())
	}
	for _, r := range rules(t) {
		need(t, "rule."+r)
	}
	for _, r := range gateway.PanelRoles {
		need(t, "role."+string(r))
	}
	for _, s := range sections {
		need(t, s.key)
		for _, to := range s.paths {
			need(t, navKey(to))
		}
	}
}

var ruleConst = regexp.MustCompile(`(?m)^\s+Rule\w+\s+Rule = "(\w+)"`)

// rules are the codes of all consent rules, read where they stand, so that a new one cannot be without words here.
func rules(t *testing.T) (out []string) {
	t.Helper()
	src, err := os.ReadFile("../iys/decide.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ruleConst.FindAllStringSubmatch(string(src), -1) {
		out = append(out, m[1])
	}
	if !slices.Contains(out, string(iys.RuleUnchecked)) || !slices.Contains(out, string(iys.RuleRetailerNoAccess)) || !slices.Contains(out, string(iys.RuleOTP)) {
		t.Fatalf("rules found: %v; the pattern looks past some", out)
	}
	return out
}

// What is said of a message is true of the way it went: mail meets no handset, and not every operator sends receipts.
func TestExplainedByItsWay(t *testing.T) {
	w := newWorld(t)
	w.staff()
	w.office.operators = append(w.office.operators, gateway.Operator{Name: "sessiz", NoReceipts: true})
	b := w.signedIn("admin")
	m := &w.office.messages[0].Message
	for _, x := range []struct {
		channel, operator string
		state             gateway.State
		code              gateway.Code
		want              string
	}{
		{"sms", "op1", gateway.StateSent, "", "iletim raporu bekleniyor"},
		{"sms", "gone", gateway.StateSent, "", "iletim raporu bekleniyor"},
		{"sms", "sessiz", gateway.StateSent, "", "iletim raporu göndermez"},
		{"email", "relay1", gateway.StateSent, "", "İletiyi relay1 sunucusu aldı; geri dönmezse başka bir bildirim gelmez"},
		{"sms", "op1", gateway.StateDelivered, "", "telefona ulaştığını"},
		{"email", "relay1", gateway.StateDelivered, "", "posta sunucusu teslim ettiğini"},
		{"sms", "op1", gateway.StateUndelivered, "", "telefona ulaştıramadı"},
		{"email", "relay1", gateway.StateUndelivered, gateway.CodeBounced, "E-posta alıcısına ulaştırılamadı. E-posta geri döndü."},
		{"email", "relay1", gateway.StateRejected, "", "Karşı sunucu iletiyi kabul etmedi"},
		{"email", "", gateway.StateHeld, gateway.CodeOperatorDown, "E-posta sunucularının hiçbiri"},
		{"sms", "", gateway.StateHeld, gateway.CodeOperatorDown, "operatörlerin hiçbiri"},
	} {
		m.Channel, m.Operator, m.State, m.Code = x.channel, x.operator, x.state, x.code
		if page := b.get("/messages/" + m.ID.String()).Body.String(); !strings.Contains(page, x.want) {
			t.Errorf("%s by %q, %s %s: the page lacks %q", x.channel, x.operator, x.state, x.code, x.want)
		}
	}
}

// A message that waits for want of carriers is spoken of in the words of its channel wherever it is shown.
func TestHeldInTheWordsOfItsChannel(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("admin")
	m := &w.office.messages[0].Message
	m.State, m.Code = gateway.StateHeld, gateway.CodeOperatorDown
	m.Timeline = []gateway.Moment{{At: m.Created, State: gateway.StateHeld, Code: gateway.CodeOperatorDown}}
	w.office.messages[0].Decisions = []gateway.DecisionView{{Verdict: "hold", Rule: string(gateway.CodeOperatorDown), At: m.Created}}
	texts := map[string]string{gateway.ChannelSMS: "operatörlerin hiçbiri", gateway.ChannelEmail: "E-posta sunucularının hiçbiri"}
	for channel, own := range texts {
		m.Channel = channel
		for path, times := range map[string]int{"/messages": 1, "/messages/" + m.ID.String(): 3} { // the note, the timeline, the decision
			page := b.get(path).Body.String()
			if n := strings.Count(page, own); n < times {
				t.Errorf("%s, %s: %q stands there %d times, want %d", channel, path, own, n, times)
			}
			for other, text := range texts {
				if other != channel && strings.Contains(page, text) {
					t.Errorf("%s, %s: the page says %q", channel, path, text)
				}
			}
		}
	}
}

// A new link brings the address of İYS, without which the desk refuses an API user; one that is there keeps its own.
func TestNewLinkKnowsIYS(t *testing.T) {
	w := newWorld(t)
	w.staff()
	w.office.links = []gateway.IYSLink{{Name: "ahs", AHSUser: "a", AHSURL: "https://ahs.example"}}
	b := w.signedIn("admin")
	field := `name="baseUrl" value="https://api.iys.org.tr"`
	if page := b.get("/links/edit").Body.String(); !strings.Contains(page, field) {
		t.Errorf("the form of a new link lacks %s", field)
	}
	if page := b.get("/links/edit?name=ahs").Body.String(); strings.Contains(page, field) || !strings.Contains(page, `name="baseUrl"`) {
		t.Error("the form of a link without an address brings one")
	}
}

func need(t *testing.T, key string) {
	t.Helper()
	if !has(key) {
		t.Errorf("%s is not in the catalogue", key)
	}
}

var literal = regexp.MustCompile(`(?:\.t|\.n)\("([a-zA-Z._]+)"[,)]|key: +"([a-z.A-Z]+)"|(?:Lang|Other) "([a-zA-Z._]+)"`)

// TestTextsInUseExist reads the sources for keys; the gallery finds those made up of parts.
func TestTextsInUseExist(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range append(files, "templates/page.html") {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllStringSubmatch(string(src), -1) {
			key := m[1] + m[2] + m[3]
			if strings.HasSuffix(key, ".") || key == "nav" && name != "templates/page.html" {
				continue
			}
			found++
			need(t, key)
		}
	}
	if found < 300 {
		t.Errorf("only %d keys found: the pattern looks past them", found)
	}
}

func TestCSVHoldsNoFormulas(t *testing.T) {
	for in, want := range map[string]string{"=1+1": "'=1+1", "+90532": "'+90532", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", " =1": "' =1", "Örnek": "Örnek", "": "", "a=b": "a=b"} {
		if got := csvSafe(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
	w := newWorld(t)
	w.staff()
	w.office.messages[0].Message.Ref = `=HYPERLINK("http://evil.example")`
	w.trail = []desk.Entry{{Who: "=cmd|' /C calc'!A0", What: "PutAccount", Target: "@x", At: noon}}
	b := w.signedIn("admin")
	for _, path := range []string{"/messages.csv", "/audit.csv"} {
		rec := b.get(path)
		rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(rec.Body.String(), "\ufeff"))).ReadAll()
		if err != nil || len(rows) < 2 || !strings.HasPrefix(rec.Header().Get("Content-Disposition"), "attachment") {
			t.Fatalf("%s: %d rows, %v", path, len(rows), err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
					t.Errorf("%s: cell %q", path, cell)
				}
			}
		}
		if strings.Contains(rec.Body.String(), "5321234567") {
			t.Errorf("%s holds a whole address", path)
		}
	}
}

func TestDifferences(t *testing.T) {
	got := differences(json.RawMessage(`{"name":"a","policy":{"quietOff":true},"n":1,"same":[1]}`), json.RawMessage(`{"name":"b","policy":{},"n":1,"same":[1],"new":"x"}`))
	want := []change{{"name", "a", "b"}, {"new", "", "x"}, {"policy.quietOff", "true", ""}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := differences(json.RawMessage("null"), json.RawMessage("null")); len(got) != 0 {
		t.Errorf("nothing differs from nothing: %v", got)
	}
}

func TestRates(t *testing.T) {
	a := Snapshot{At: noon, Accepted: 100, Delivered: 50}
	b := Snapshot{At: noon.Add(2 * time.Second), Accepted: 120, Delivered: 40}
	x, ok := rates(&a, &b)
	if !ok || x.accepted != 10 || x.delivered != 0 {
		t.Errorf("got %+v, %v; want 10/s accepted and, after a restart below, 0 delivered", x, ok)
	}
	if _, ok := rates(&a, &a); ok {
		t.Error("no time passed and yet there is a rate")
	}
}

// TestServe runs the panel on a port: a live view moves with the gateway, ends with the session, and Serve ends with its context.
func TestServe(t *testing.T) {
	w := newWorld(t)
	w.staff()
	looks := make(chan Snapshot)
	w.panel.live = newLive(func(ctx context.Context) Snapshot {
		select {
		case s := <-looks:
			return s
		case <-ctx.Done():
			return Snapshot{}
		}
	}, time.Millisecond, w.clock)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.panel.Serve(ctx, ln) }()
	base := "http://" + ln.Addr().String()
	first := snapshot()
	looks <- first
	token := w.panel.sessions.begin("admin", true, w.clock())
	req, err := http.NewRequestWithContext(t.Context(), get, base+"/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.AddCookie(&http.Cookie{Name: cookieSession, Value: token})
	second := first
	second.At, second.Accepted = first.At.Add(time.Second), 77_777
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 1<<20)
	waitFor := func(part string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text(), part) {
				return
			}
		}
		t.Fatalf("the stream ended before %q: %v", part, lines.Err())
	}
	waitFor("12.345")
	looks <- second
	waitFor("77.777")
	w.panel.sessions.end(token)
	looks <- second
	waitFor("event: end")
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := http.Get(base + "/login"); err == nil {
		t.Error("still answering")
	}
}

func TestLiveWatchingIsNoActivity(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("admin")
	w.pass(20 * time.Minute)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // one event, then the reader is gone
	req := httptest.NewRequestWithContext(ctx, get, "/live", nil)
	req.RemoteAddr = b.from
	req.AddCookie(&http.Cookie{Name: cookieSession, Value: b.cookies[cookieSession]})
	rec := httptest.NewRecorder()
	w.panel.Handler().ServeHTTP(rec, req)
	if !strings.Contains(rec.Body.String(), "event: blocks") || strings.Contains(rec.Body.String(), "⟦") {
		t.Errorf("no event: %d", rec.Code)
	}
	w.pass(15 * time.Minute)
	if isIn(b) {
		t.Error("watching kept a session alive past the idle limit")
	}
}

func TestFailingDeskShowsAPage(t *testing.T) {
	w := newWorld(t)
	w.staff()
	w.office.fail = errors.New("badger: secret detail")
	rec := w.signedIn("admin").post("/batches/"+batchRef.String()+"/resume", "confirm", "yes")
	if rec.Code != http.StatusInternalServerError || strings.Contains(rec.Body.String(), "badger") {
		t.Errorf("%d; want a plain page without the cause", rec.Code)
	}
	checkPage(t, rec.Body.String(), "tr")
}

var token = regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})`)

// TestContrast computes WCAG 2.2 §1.4.3 for every pair of text and ground, in both themes.
func TestContrast(t *testing.T) {
	css, err := assetFiles.ReadFile("assets/panel.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, _ := strings.Cut(string(css), "@media (prefers-color-scheme: dark)")
	dark := rest[:strings.Index(rest, "*, ::before")]
	for theme, part := range map[string]string{"light": light, "dark": dark} {
		c := map[string]string{}
		for _, m := range token.FindAllStringSubmatch(part, -1) {
			if old := c[m[1]]; old != "" && old != m[2] {
				t.Errorf("%s: %s is %s and %s", theme, m[1], old, m[2])
			}
			c[m[1]] = m[2]
		}
		for _, p := range [][2]string{{"ink", "bg"}, {"ink", "panel"}, {"soft", "bg"}, {"soft", "panel"}, {"soft", "muted-bg"}, {"accent", "bg"}, {"accent", "panel"}, {"accent", "ok-bg"}, {"accent-ink", "accent"}, {"danger-ink", "danger"},
			{"ok", "ok-bg"}, {"ok", "panel"}, {"warn", "warn-bg"}, {"error", "error-bg"}, {"error", "panel"}, {"error", "bg"}, {"info", "info-bg"}, {"ink", "muted-bg"}} {
			if r := contrast(t, c[p[0]], c[p[1]]); r < 4.5 {
				t.Errorf("%s: %s on %s is %.2f : 1, below 4.5", theme, p[0], p[1], r)
			}
		}
		for _, p := range [][2]string{{"field", "panel"}, {"line-a", "panel"}, {"line-b", "panel"}, {"line-c", "panel"}, {"line-d", "panel"}, {"line-e", "panel"}} { // §1.4.11
			if r := contrast(t, c[p[0]], c[p[1]]); r < 3 {
				t.Errorf("%s: %s on %s is %.2f : 1, below 3", theme, p[0], p[1], r)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) != 7 {
		t.Fatalf("%q is no colour", hex)
	}
	var l float64
	for i, k := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		v := float64(n) / 255
		if v <= 0.04045 {
			v /= 12.92
		} else {
			v = math.Pow((v+0.055)/1.055, 2.4)
		}
		l += k * v
	}
	return l
}

func TestQuantile(t *testing.T) {
	ms := time.Millisecond
	before := []LatencyBucket{{10 * ms, 100}, {100 * ms, 10}, {0, 1}}
	after := []LatencyBucket{{10 * ms, 160}, {100 * ms, 40}, {0, 11}}
	for q, want := range map[float64]float64{0.5: 10, 0.6: 10, 0.61: 100, 0.9: 100, 0.95: 200} {
		if got := quantile(before, after, q); got != want {
			t.Errorf("%.2f: got %v ms, want %v", q, got, want)
		}
	}
	if got := quantile(after, after, 0.5); got != 0 {
		t.Errorf("no answers: got %v ms, want 0", got)
	}
	if got := quantile(after, before, 0.5); got != 10 {
		t.Errorf("after a restart below: got %v ms, want 10", got)
	}
}

// The history of a day is kept by the minute and forgets what is older.
func TestHistoryOfADay(t *testing.T) {
	l := newLive(nil, time.Second, time.Now)
	for i := range 1500 * 30 {
		l.put(Snapshot{At: noon.Add(time.Duration(i) * 2 * time.Second), Accepted: uint64(i) * 10})
	}
	day := l.lastDay()
	if len(day) != dayParts {
		t.Fatalf("%d minutes kept, want %d", len(day), dayParts)
	}
	for i, x := range day {
		if x.accepted != 5 || i > 0 && x.at.Sub(day[i-1].at) != time.Minute {
			t.Fatalf("minute %d: %+v, want 5/s and a minute after the one before", i, x)
		}
	}
}
