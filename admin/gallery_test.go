package admin

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// Made-up records every page can be seen with.

var (
	batchRef  = gateway.BatchRef{Account: 1, Batch: gateway.BatchIDAt(noon)}
	otherRef  = gateway.BatchRef{Account: 2, Batch: gateway.BatchIDAt(noon)}
	messageID = batchRef.Message(3)
	otherID   = otherRef.Message(0)
)

func furnished() *office {
	view := func(id gateway.MessageID, st gateway.State, code gateway.Code) gateway.MessageView {
		return gateway.MessageView{ID: id, Batch: id.Ref(), Ref: "<b>sipariş-1</b>", Channel: "sms", Class: "commercial", Brand: "675403", From: "ORNEK", To: "+905321234567",
			State: st, Code: code, Parts: 2, Encoding: "tr-single", Attempts: 1, Operator: "op1", Created: noon, SendAt: noon.Add(time.Minute), ValidUntil: noon.Add(24 * time.Hour), Updated: noon.Add(time.Second),
			Segments: []gateway.SegmentView{{State: gateway.StateSent, OperatorID: "abc123"}, {State: gateway.StateRejected, Error: "ESME_RINVDSTADR"}},
			Timeline: []gateway.Moment{{At: noon, State: gateway.StateAccepted}, {At: noon.Add(time.Second), State: st, Code: code, Note: "op1"}}}
	}
	decisions := []gateway.DecisionView{
		{Kind: "drop", Verdict: "drop", Rule: "no_consent", At: noon.Add(time.Second), Policy: 1, Status: "RET", Source: "HS_WEB", Where: "mirror", ConsentDate: noon.Add(-time.Hour), AgeSeconds: 640, TransactionID: "tx-1", Day: "2026-11-20", Seq: 12, Hash: strings.Repeat("ab", 32)},
		{Kind: "accept", Verdict: "hold", Rule: "consent_unavailable", At: noon, Policy: 1, Where: "none", Words: []string{"indirim", "kampanya"}, Day: "2026-11-20", Seq: 11, Hash: strings.Repeat("cd", 32)},
	}
	o := &office{
		accounts: []gateway.Account{{ID: 1, Name: "Örnek A.Ş. <script>alert(1)</script>", IYSCode: 675403, MERSIS: "0123456789012345", Created: noon, Policy: gateway.AccountPolicy{CreditWarning: 50_000}}, {ID: 2, Name: "Başka Ltd.", Suspended: true, Created: noon}},
		brands: []gateway.Brand{{Code: "675403", Account: 1, Name: "Örnek", Short: "Örnek", IYS: "main", SMS: gateway.BrandMode{Mode: "partner", ReadOnly: true}, Email: gateway.BrandMode{Mode: "exempt", Text: "Vakıf", Document: "2026/17", User: "ayse", Expires: noon.AddDate(0, 0, -1)}},
			{Code: "700001", Account: 2, Name: "Başka", SMS: gateway.BrandMode{Mode: "self_managed", Version: "3"}}},
		senders:     []gateway.Sender{{Name: "ORNEK", Account: 1, Channel: "sms", Brand: "675403", Approved: true}, {Name: "ornek.com", Account: 1, Channel: "email", Brand: "675403"}},
		numbers:     []gateway.Number{{Number: "3338", Keyword: "ORNEK", Account: 1, Brand: "675403", System: "smpp1"}},
		credentials: []gateway.Credential{{ID: "abc", Kind: gateway.KindAPI, Account: 1, Name: "site"}, {ID: "smpp1", Kind: gateway.KindSMPP, Account: 1, Classes: []string{"otp"}}, {ID: "old", Kind: gateway.KindSMTP, Account: 1, Revoked: true}, {ID: "theirs", Kind: gateway.KindAPI, Account: 2}},
		operators:   []gateway.Operator{{Name: "op1", Addr: "smsc.example.com:2775", SystemID: "izinli", Window: 50, Binds: 2}, {Name: "op2", Addr: "smsc2.example.com:2775", SystemID: "izinli", Disabled: true}},
		routes:      []gateway.Route{{ID: "otp", Class: "otp", Operators: []gateway.RouteStep{{Operator: "op1", Weight: 3}, {Operator: "op2", Rank: 1}}}, {ID: "default", Operators: []gateway.RouteStep{{Operator: "op1"}}}},
		links:       []gateway.IYSLink{{Name: "main", BaseURL: "https://api.iys.org.tr", Username: "u", IntegratorCode: 12, AHSUser: "a", AHSURL: "https://ahs.example"}},
		webhooks:    []gateway.Webhook{{Account: 1, URL: "https://example.com/hook", Events: []string{"inbound"}}},
		blacklist:   []desk.BlacklistEntry{{Account: 1, Address: "+905330000000", Note: "=cmd()", At: noon}},
		batch: gateway.BatchView{ID: batchRef, Channel: "sms", Class: "commercial", Brand: "675403", From: "ORNEK", Created: noon, SendAt: noon, ValidUntil: noon.Add(24 * time.Hour), Count: 1000,
			States: map[string]int{"queued": 400, "held": 12, "delivered": 500, "dropped": 88}, Reasons: map[string]int{"no_consent": 80, "quiet_hours": 12, "blocked": 8}},
		consent: gateway.ConsentView{Consent: gateway.Consent{Brand: "675403", Channel: "MESAJ", Status: "RET", Source: "IYS_WEB", ConsentDate: noon, TransactionID: "t1"}, Known: true, Where: "mirror", AgeS: 300, Blocked: true,
			Block: &gateway.Block{Route: "sms", Source: "HS_MESAJ", At: noon}, Sync: "refused(H175)",
			History: []gateway.ConsentEvent{{Consent: gateway.Consent{Status: "RET", Source: "HS_MESAJ", RecipientType: "BIREYSEL", ConsentDate: noon}, At: noon, How: "sms", Sync: "pending"}, {Consent: gateway.Consent{Status: "ONAY", Evidence: "form 3"}, At: noon, How: "api"}}},
	}
	states := []struct {
		s gateway.State
		c gateway.Code
	}{{gateway.StateDropped, gateway.CodeNoConsent}, {gateway.StateHeld, gateway.CodeQuietHours}, {gateway.StateScheduled, ""}, {gateway.StateDelivered, ""}, {gateway.StateUnknown, gateway.CodeDoubt}, {gateway.StateQueued, ""}}
	for i, x := range states {
		d := desk.MessageDetail{Message: view(batchRef.Message(uint32(i+3)), x.s, x.c), Decisions: decisions}
		if x.s == gateway.StateHeld {
			d.Message.NextAt = noon.Add(time.Hour)
		}
		o.messages = append(o.messages, d)
	}
	other := view(otherID, gateway.StateDelivered, "")
	other.To = "+905339998877"
	o.messages = append(o.messages, desk.MessageDetail{Message: other})
	return o
}

func snapshot() Snapshot {
	return Snapshot{At: noon, Version: "1.2.3", Accepted: 12_345, HandedOff: 12_000, Delivered: 11_500, Failed: 50, Dropped: 295,
		Lanes:     []LaneState{{Lane: gateway.LaneOTP}, {Lane: gateway.LaneTransactional, Waiting: 12, Running: 2, Oldest: 90 * time.Second}, {Lane: gateway.LaneCommercial, Waiting: 40_000, Oldest: 20 * time.Minute}},
		Operators: []OperatorState{{Operator: "op1", Bind: 1, State: "bound", Up: true, Since: noon, Window: 50, InUse: 12, Sent: 9000}, {Operator: "op1", Bind: 2, State: "bound", Up: true, Since: noon, Window: 50, ThrottledUntil: noon.Add(time.Minute)}, {Operator: "op3", Bind: 1, State: "waiting", LastError: "connection refused", Since: noon}},
		Brands: []BrandState{{Account: 1, Brand: "675403", Name: "Örnek", Channel: "sms", Mode: "partner", PulledAt: noon.Add(-4 * time.Hour), FreshFor: 3 * time.Hour},
			{Account: 2, Brand: "700001", Name: "Başka", Channel: "email", Mode: "self_managed"}},
		Unwanted: []UnwantedMail{{"posta.example", "block", "550 5.7.1 blocked using a list", 12}, {"kurum.example", "auth", "550 5.7.26 DMARC", 1}},
		Outbox:   OutboxState{Open: 14, Warning: 3, Late: 1, Owed: 4}, Queue: QueueState{Up: true, Embedded: true},
		Storage: StorageState{Free: 40 << 30, Reserve: 1 << 30}, Latency: []LatencyBucket{{10 * time.Millisecond, 900}, {time.Second, 95}, {0, 5}}}
}

// picture is one page of the gallery.
type picture struct {
	name   string
	user   string // empty: nobody signed in
	bare   bool   // on a gateway where there is nothing yet but an account
	show   func(b *browser) *httptest.ResponseRecorder
	status int
}

func pageOf(target string) func(*browser) *httptest.ResponseRecorder {
	return func(b *browser) *httptest.ResponseRecorder { return b.get(target) }
}

func sent(target string, pairs ...string) func(*browser) *httptest.ResponseRecorder {
	return func(b *browser) *httptest.ResponseRecorder { return b.post(target, pairs...) }
}

// gallery lists every page in its states: full, empty, refused, asking.
func gallery() []picture {
	at := func(i int) string { return "/messages/" + batchRef.Message(uint32(i)).String() }
	list := []picture{{"login", "", false, pageOf("/login"), 200}, {"login wrong", "", false, sent("/login", "name", "kim", "password", "yanlis"), 401}, {"not found", "", false, pageOf("/nowhere"), 404},
		{"setup", "", false, func(b *browser) *httptest.ResponseRecorder { return pageOf(b.w.setupLink())(b) }, 200},
		{"setup refused", "", false, func(b *browser) *httptest.ResponseRecorder {
			return sent(b.w.setupLink(), "name", "Ş", "password", "kısa", "again", "başka", "code", "1")(b)
		}, 422},
		{"code", "half", false, pageOf("/login/code"), 200}}
	for _, path := range []string{"/", "/me", "/messages", "/messages?account=2", at(3), at(4), at(5), at(6), at(7), at(8), "/batches", "/batches?id=x", "/batches/" + batchRef.String(), "/inbox", "/inbox?account=none", "/consents", "/consents/add",
		"/consents/import", "/consents/import/i1?account=1", "/blacklist", "/accounts", "/accounts/1", "/accounts/2", "/accounts/edit", "/accounts/edit?account=1", "/accounts/1/credits", "/accounts/1/brand", "/accounts/1/brand?code=675403",
		"/accounts/1/sender", "/accounts/1/sender?channel=sms&name=ORNEK", "/accounts/1/number", "/accounts/1/credential", "/accounts/1/credential?kind=smpp&cid=smpp1", "/accounts/1/webhook", "/operators", "/operators/edit",
		"/operators/edit?name=op1", "/routes", "/routes/edit", "/routes/edit?id=otp", "/links", "/links/edit", "/links/edit?name=main", "/audit", "/users", "/users/edit", "/users/edit?name=owner", "/roles",
		"/charts", "/charts?span=day", "/queue", "/test", "/settings", "/senders", "/optouts", "/accounts/1/brand/view?code=675403", "/accounts/1/webhook?failed=1",
		"/iys", "/dealers?account=1", "/dealers/add?account=1&brand=675403", "/dealers/add?account=1&brand=675403&city=34", "/dealers/access?account=1", "/push", "/refusal-links", "/privacy", "/reconcile?account=1&brand=675403", "/reconcile/plan?account=1&plan=7", "/forms", "/suppressions", "/smarthosts", "/via", "/via/view?account=1&id=v1", "/via/view?account=1&id=v3", "/via/view?account=1&id=v4", "/via/view?account=1&id=v5"} {
		status := 200
		if strings.HasSuffix(path, "id=x") {
			status = 422
		}
		list = append(list, picture{name: "GET " + path, user: "admin", show: pageOf(path), status: status})
	}
	list = append(list, picture{"owner's dashboard", "owner", false, pageOf("/"), 200}, picture{"auditor's account", "auditor", false, pageOf("/accounts/1"), 200}, picture{"auditor's webhook", "auditor", false, pageOf("/accounts/1/webhook"), 200},
		picture{"forbidden", "owner", false, pageOf("/users"), 403}, picture{"nobody's account", "newcomer", false, pageOf("/messages"), 200}, picture{"no account", "newcomer", false, pageOf("/accounts"), 200})
	for _, path := range []string{"/", "/messages", "/batches", "/inbox", "/consents", "/consents/import", "/blacklist", "/optouts", "/accounts", "/accounts/1", "/accounts/1/credits",
		"/accounts/1/webhook", "/senders", "/operators", "/routes", "/links", "/charts", "/test", "/iys", "/dealers", "/dealers/access", "/push", "/refusal-links", "/privacy", "/forms", "/via", "/suppressions", "/smarthosts"} {
		list = append(list, picture{name: "empty " + path, user: "admin", bare: true, show: pageOf(path), status: 200})
	}
	list = append(list,
		picture{"reveal", "admin", false, sent(at(3)+"/reveal", "reason", "şikâyet kaydı 12"), 200}, picture{"reveal refused", "admin", false, sent(at(3)+"/reveal", "reason", "x"), 422},
		picture{"cancel message", "admin", false, sent(at(8) + "/cancel"), 200}, picture{"cancel batch", "admin", false, sent("/batches/" + batchRef.String() + "/cancel"), 200}, picture{"pause batch", "admin", false, sent("/batches/" + batchRef.String() + "/pause"), 200},
		picture{"find refused", "admin", false, sent("/messages/find", "what", "??"), 422}, picture{"account refused", "admin", false, sent("/accounts/edit", "name", "x", "iysCode", "1234567890"), 400},
		picture{"credits refused", "admin", false, sent("/accounts/1/credits", "credits", "çok"), 400}, picture{"credential made", "admin", false, sent("/accounts/1/credential", "fresh", "yes", "kind", "api"), 200},
		picture{"credential refused", "admin", false, sent("/accounts/1/credential", "fresh", "yes", "kind", "api", "cidrs", "here"), 400}, picture{"rotate", "admin", false, sent("/accounts/1/credential/rotate", "kind", "api", "cid", "abc"), 200},
		picture{"rotated", "admin", false, sent("/accounts/1/credential/rotate", "kind", "api", "cid", "abc", "confirm", "yes"), 200}, picture{"suspend", "admin", false, sent("/accounts/1/suspend", "suspended", "yes"), 200},
		picture{"sender delete", "admin", false, sent("/accounts/1/sender/delete", "channel", "sms", "name", "ORNEK"), 200}, picture{"drain", "admin", false, sent("/operators/drain", "name", "op1", "disabled", "yes"), 200},
		picture{"operator refused", "admin", false, sent("/operators/edit", "fresh", "yes", "name", "op1", "window", "x"), 409}, picture{"what if", "admin", false, sent("/routes/try", "account", "1", "class", "commercial", "address", "05321234567"), 200},
		picture{"what if refused", "admin", false, sent("/routes/try", "account", "1", "address", "x"), 422}, picture{"webhook secret", "admin", false, sent("/accounts/1/webhook", "url", "https://example.com"), 200},
		picture{"invitation", "admin", false, sent("/users/edit", "fresh", "yes", "name", "yeni", "role", "auditor"), 200}, picture{"user refused", "admin", false, sent("/users/edit", "fresh", "yes", "name", "!", "role", "owner"), 422},
		picture{"password refused", "admin", false, sent("/me/password", "current", "x", "password", "y", "again", "z"), 422},
		picture{"brand counted", "admin", false, sent("/accounts/1/brand/count", "code", "675403"), 200}, picture{"plan apply", "admin", false, sent("/reconcile/plan", "account", "1", "plan", "7", "act", "apply"), 200}, picture{"lane pause", "admin", false, sent("/queue/pause", "lane", "commercial", "paused", "yes"), 200},
		picture{"test refused", "admin", false, sent("/test", "account", "1", "from", "ORNEK", "address", "x", "text", "y"), 422}, picture{"approve", "admin", false, sent("/accounts/1/sender/approve", "channel", "email", "name", "ornek.com"), 200},
		picture{"owner's sender", "owner", false, pageOf("/accounts/1/sender"), 200}, picture{"owner's account", "owner", false, pageOf("/accounts/1"), 200},
		picture{"consent", "admin", false, func(b *browser) *httptest.ResponseRecorder { return pageOf(b.consentLink("1", "675403"))(b) }, 200},
		picture{"consent refused", "admin", false, sent("/consents/find", "account", "1", "brand", "675403", "channel", "sms", "address", "x"), 422},
		picture{"via refused", "admin", false, sent("/via/start", "account", "1", "brand", "675403", "form", "99", "address", "0532", "channels", "MESAJ", "texts", "ACIK_RIZA_METNI"), 400},
		picture{"form refused", "admin", false, sent("/forms/add", "account", "1", "brand", "675403", "channel", "sms", "textTr", "kısa"), 400},
		picture{"via wrong code", "admin", false, sent("/via/complete", "account", "1", "id", "v1", "code", "000000", "privacyCode", "1"), 400},
		picture{"dealer refused", "admin", false, sent("/dealers/add", "account", "1", "brand", "675403", "city", "34", "town", "3", "title", "??"), 400},
		picture{"dealer delete", "admin", false, sent("/dealers/delete", "account", "1", "brand", "675403", "code", "55550127"), 200},
		picture{"access found", "admin", false, sent("/dealers/access/find", "account", "1", "brand", "675403", "find.channel", "sms", "find.recipientType", "BIREYSEL", "address", "05321234567"), 200},
		picture{"access refused", "admin", false, sent("/dealers/access", "account", "1", "brand", "675403", "act", "grant", "addresses", "05321234567"), 422},
		picture{"access from all", "admin", false, sent("/dealers/access", "account", "1", "brand", "675403", "act", "remove_all", "addresses", "05321234567"), 200},
		picture{"push refused", "admin", false, sent("/push/register", "account", "1", "brand", "675403", "channel", "MESAJ", "url", "http://x"), 400},
		picture{"push end", "admin", false, sent("/push/end", "account", "1", "brand", "675403", "channel", "MESAJ"), 200},
		picture{"refusal links refused", "admin", false, sent("/refusal-links", "account", "1", "brand", "675403"), 400},
		picture{"privacy found", "admin", false, sent("/privacy", "account", "1", "brand", "675403", "address", "05321234567", "text", "ACIK_RIZA_METNI"), 200},
		picture{"iys auditor", "auditor", false, pageOf("/iys"), 200},
		picture{"via auditor", "auditor", false, pageOf("/via/view?account=1&id=v1"), 200},
		picture{"blacklist refused", "admin", false, sent("/blacklist/add", "account", "1", "address", "x"), 422},
	)
	return list
}

func (w *world) setupLink() string {
	w.people.mu.Lock()
	w.people.m = map[string]gateway.PanelUser{}
	w.people.mu.Unlock()
	path, err := w.panel.SetupLink(w.Context())
	if err != nil || path == "" {
		w.Fatalf("no set-up link: %q, %v", path, err)
	}
	return path
}

func (b *browser) consentLink(account, brand string) string {
	rec := b.post("/consents/find", "account", account, "brand", brand, "channel", "sms", "address", "05321234567")
	return rec.Header().Get("Location")
}

// staff hires one of each role.
func (w *world) staff() {
	w.hire("admin", gateway.RolePlatform)
	w.hire("owner", gateway.RoleOwner, setAccounts(1))
	w.hire("auditor", gateway.RoleAuditor, func(u *gateway.PanelUser) { u.All = true })
	w.hire("newcomer", gateway.RoleOwner)
}

// furnish is a world with staff and a trail, and a browser of whoever looks at the picture.
func (pic *picture) furnish(t *testing.T, l string) (*world, *browser) {
	t.Helper()
	w := newWorld(t)
	w.staff()
	if pic.bare {
		w.office, w.snap = &office{bare: true, accounts: w.office.accounts[:1]}, Snapshot{At: noon, Queue: QueueState{Up: true, Embedded: true}}
		w.panel.deps.Desk, w.panel.deps.Imports = w.office, files{w.office}
	}
	if !pic.bare {
		w.history()
	}
	w.trail = []desk.Entry{{Who: "panel ayse from 192.0.2.1", What: "PutAccount", Target: "account 1", At: noon, Before: json.RawMessage(`{"name":"Eski","policy":{"quietOff":true}}`), After: json.RawMessage(`{"name":"Yeni","iysCode":675403}`)}}
	b := w.browser()
	switch pic.user {
	case "":
	case "half":
		b.cookies[cookieSession] = w.panel.sessions.begin("admin", false, noon)
	default:
		b = w.signedIn(pic.user)
	}
	b.cookies[cookieLang] = l
	return w, b
}

// history is two hours of traffic, so that charts have something to draw.
func (w *world) history() {
	s := snapshot()
	for i := range 3600 {
		s.At = noon.Add(time.Duration(i-3600) * 2 * time.Second)
		wave := uint64(60 + 40*math.Sin(float64(i)/200))
		s.Accepted += wave
		s.HandedOff += wave * 9 / 10
		s.Delivered += wave * 8 / 10
		s.Failed += wave / 20
		s.Dropped += wave / 10
		s.Latency = []LatencyBucket{{10 * time.Millisecond, s.Accepted * 6 / 10}, {time.Second, s.Accepted * 3 / 10}, {0, s.Accepted / 500}}
		w.panel.live.put(s)
	}
}

func TestGallery(t *testing.T) {
	for _, pic := range gallery() {
		for _, l := range []string{"tr", "en"} {
			t.Run(pic.name+" "+l, func(t *testing.T) {
				_, b := pic.furnish(t, l)
				rec := pic.show(b)
				if rec.Code != pic.status {
					t.Errorf("status %d, want %d", rec.Code, pic.status)
				}
				checkPage(t, rec.Body.String(), l)
			})
		}
	}
}

var (
	missing  = regexp.MustCompile(`⟦[^⟧]*⟧|%!|&lt;no value&gt;|<no value>`)
	voidTags = map[string]bool{"meta": true, "link": true, "input": true, "img": true, "br": true}
)

// checkPage parses a page strictly: every tag closed in order, nothing inline, one h1, labels for fields, ids once.
func checkPage(t *testing.T, body, l string) {
	t.Helper()
	if m := missing.FindString(body); m != "" {
		t.Errorf("the page shows %q", m)
	}
	if strings.Contains(body, "<script>alert") {
		t.Error("a name became markup")
	}
	p := parsePage(t, body)
	if p.count["h1"] != 1 || p.count["main"] != 1 || p.count["title"] != 1 {
		t.Errorf("h1 %d, main %d, title %d; want one of each", p.count["h1"], p.count["main"], p.count["title"])
	}
	if p.lang != l {
		t.Errorf("the page says it is in %q, want %q", p.lang, l)
	}
	for id, n := range p.ids {
		if n > 1 {
			t.Errorf("id %q stands %d times", id, n)
		}
	}
	for _, id := range p.needLabel {
		if !p.labels[id] {
			t.Errorf("field %q has no label", id)
		}
	}
	for _, id := range p.refs {
		if p.ids[id] == 0 {
			t.Errorf("something refers to id %q, which is not there", id)
		}
	}
	if p.posts != p.tokens {
		t.Errorf("%d forms are posted, %d tokens", p.posts, p.tokens)
	}
}

type parsed struct {
	count           map[string]int
	ids             map[string]int
	labels          map[string]bool
	needLabel, refs []string
	lang            string
	posts, tokens   int
}

func parsePage(t *testing.T, body string) *parsed {
	t.Helper()
	p := &parsed{count: map[string]int{}, ids: map[string]int{}, labels: map[string]bool{}}
	z := html.NewTokenizer(strings.NewReader(body))
	var stack []string
	for {
		switch z.Next() {
		case html.ErrorToken:
			if len(stack) != 0 {
				t.Errorf("not closed: %v", stack)
			}
			return p
		case html.StartTagToken:
			tok := z.Token()
			p.tag(t, tok)
			if !voidTags[tok.Data] {
				stack = append(stack, tok.Data)
			}
		case html.SelfClosingTagToken:
			p.tag(t, z.Token())
		case html.EndTagToken:
			tok := z.Token()
			if len(stack) == 0 || stack[len(stack)-1] != tok.Data {
				t.Fatalf("</%s> closes %v", tok.Data, stack)
			}
			stack = stack[:len(stack)-1]
		}
	}
}

func (p *parsed) tag(t *testing.T, tok html.Token) {
	t.Helper()
	p.count[tok.Data]++
	a := map[string]string{}
	for _, x := range tok.Attr {
		if _, twice := a[x.Key]; twice {
			t.Errorf("<%s> has %s twice", tok.Data, x.Key)
		}
		a[x.Key] = x.Val
		if x.Key == "style" || strings.HasPrefix(x.Key, "on") || strings.HasPrefix(strings.TrimSpace(x.Val), "javascript:") {
			t.Errorf("<%s %s=%q> is inline", tok.Data, x.Key, x.Val)
		}
		if (x.Key == "src" || x.Key == "href" || x.Key == "action") && strings.Contains(x.Val, "//") {
			t.Errorf("<%s %s=%q> leads elsewhere", tok.Data, x.Key, x.Val)
		}
	}
	if id := a["id"]; id != "" {
		p.ids[id]++
	}
	p.refs = append(p.refs, strings.Fields(a["aria-describedby"]+" "+a["aria-labelledby"]+" "+a["for"]+" "+a["aria-controls"])...)
	switch tok.Data {
	case "html":
		p.lang = a["lang"]
	case "style":
		t.Error("a style element stands in the page")
	case "script":
		if a["src"] == "" {
			t.Error("a script stands in the page")
		}
	case "label":
		p.labels[a["for"]] = true
	case "form":
		if a["method"] == "post" {
			p.posts++
		}
	case "img":
		if _, ok := a["alt"]; !ok {
			t.Error("an image has no alt")
		}
	case "input", "select", "textarea":
		if a["name"] == csrfField {
			p.tokens++
		}
		if a["type"] != "hidden" {
			p.needLabel = append(p.needLabel, firstNonEmpty(a["id"], fmt.Sprintf("%s without id", a["name"])))
		}
	}
}

func TestAssets(t *testing.T) {
	w := newWorld(t)
	for name, to := range assetURLs {
		rec := w.browser().get(to)
		if rec.Code != http.StatusOK || !strings.Contains(rec.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %q", name, rec.Code, rec.Header())
		}
	}
	if rec := w.browser().get(assetPrefix + "panel.css"); rec.Code != http.StatusNotFound {
		t.Errorf("a name without its hash answers %d", rec.Code)
	}
}

// A domain that refuses our mail is an alarm with what was said, for those who see every account; of many the latest have one each.
func TestUnwantedMailIsAnAlarm(t *testing.T) {
	w := newWorld(t)
	s := snapshot()
	for i := range 5 {
		s.Unwanted = append(s.Unwanted, UnwantedMail{Domain: fmt.Sprintf("d%d.example", i), Class: "block", Reply: "550 no", Count: 1})
	}
	w.snap = s
	w.hire("admin", gateway.RolePlatform)
	b := w.signedIn("admin")
	b.cookies[cookieLang] = "en"
	page := b.get("/").Body.String()
	for _, want := range []string{"posta.example does not want our mail (12 refusals)", "550 5.7.1 blocked using a list", "kurum.example does not believe our sender", "2 more domains do not want our mail"} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
	if strings.Contains(page, "d3.example") {
		t.Error("every domain has an alarm of its own")
	}
}
