package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"izinli/gateway"
)

// says is what a problem document says.
type says struct {
	Status    int
	Code      gateway.Code
	Field     string
	Offset    *int
	Detail    string
	RequestID string
}

func problemIn(t *testing.T, rec *httptest.ResponseRecorder) says {
	t.Helper()
	var p says
	if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil {
		t.Fatalf("%d %s: %v", rec.Code, rec.Body, err)
	}
	return p
}

// repeat makes n items of a JSON array.
func repeat(n int, item func(i int) string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(item(i))
	}
	return b.String()
}

func number5(i int) string { return fmt.Sprintf(`"+9053200%05d"`, i) }

func TestErrorsOfServices(t *testing.T) {
	for _, c := range []struct {
		code  gateway.Code
		want  int
		retry bool
	}{
		{gateway.CodeNoCredit, 402, false}, {gateway.CodeIdempotencyMismatch, 422, false}, {gateway.CodeInProgress, 409, false},
		{gateway.CodeStorageFull, 503, true}, {gateway.CodeThrottled, 429, true}, {gateway.CodeUnavailable, 503, true},
		{gateway.Code("news to us"), 500, false},
	} {
		w := &world{submit: func(*gateway.Submission) (gateway.Result, error) {
			return gateway.Result{}, fmt.Errorf("intake: charge: %w", gateway.Refuse(c.code, "text", ""))
		}}
		rec := do(t, newAPI(w, Config{}), ask{method: "POST", path: "/v1/messages", body: sms})
		if p := problemIn(t, rec); rec.Code != c.want || p.Status != c.want {
			t.Errorf("%s: %d %s, want %d", c.code, rec.Code, rec.Body, c.want)
		}
		if got := rec.Header().Get("Retry-After") != ""; got != c.retry {
			t.Errorf("%s: Retry-After %q", c.code, rec.Header().Get("Retry-After"))
		}
	}
}

func TestTenantsAreApart(t *testing.T) {
	paths := []string{"GET /v1/messages/%s", "DELETE /v1/messages/%s", "GET /v1/messages/%s/decision", "GET /v1/batches/%s", "DELETE /v1/batches/%s",
		"POST /v1/batches/%s/pause", "POST /v1/batches/%s/resume", "GET /v1/messages?batch=%s"}
	for _, p := range paths {
		method, path, _ := strings.Cut(p, " ")
		w := &world{}
		api := newAPI(w, Config{})
		own, others := mineBatch.String(), itsBatch.String()
		if strings.Contains(path, "messages/") {
			own, others = mineMsg.String(), itsMsg.String()
		}
		if rec := do(t, api, ask{method: method, path: fmt.Sprintf(path, own)}); rec.Code != 200 {
			t.Errorf("%s: own id: %d %s", p, rec.Code, rec.Body)
		}
		w.calls = 0
		rec := do(t, api, ask{method: method, path: fmt.Sprintf(path, others)})
		if got := problemIn(t, rec); rec.Code != 404 || got.Code != gateway.CodeNotFound || w.calls != 0 {
			t.Errorf("%s: another's id: %d %s, %d calls behind the door; want 404 and none", p, rec.Code, rec.Body, w.calls)
		}
		// An id that exists nowhere gives the same answer, so nobody can tell what others have.
		ghost := gateway.BatchRef{Account: mine, Batch: 999}.String()
		if strings.Contains(path, "messages/") {
			ghost = gateway.BatchRef{Account: mine, Batch: 999}.Message(0).String()
		}
		if strings.Contains(path, "?") {
			continue
		}
		if got := do(t, api, ask{method: method, path: fmt.Sprintf(path, ghost), header: []string{"X-Request-Id", "r"}}); got.Code != 404 {
			t.Errorf("%s: unknown id: %d", p, got.Code)
		}
	}
	// What the other tenant asks goes out under its own account.
	w := &world{}
	rec := do(t, newAPI(w, Config{}), ask{method: "POST", path: "/v1/messages", body: sms, key: theirID})
	if rec.Code != 202 || w.last(t).Principal.Account != theirs {
		t.Errorf("submitted for %v, want %v", w.last(t).Principal.Account, theirs)
	}
	do(t, newAPI(w, Config{}), ask{method: "POST", path: "/v1/optouts", body: optout, key: theirID})
	if got := w.optouts[len(w.optouts)-1].Account; got != theirs {
		t.Errorf("opt-out for account %v, want %v", got, theirs)
	}
}

func TestIdempotency(t *testing.T) {
	w := &world{}
	api := newAPI(w, Config{})
	post := func(path, body, key string) *gateway.IdempotencyKey {
		t.Helper()
		if rec := do(t, api, ask{method: "POST", path: path, body: body, header: []string{"Idempotency-Key", key}}); rec.Code != 202 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		return w.last(t).Idempotency
	}
	first, again := post("/v1/messages", sms, "k1"), post("/v1/messages", sms, "k1")
	if first == nil || first.Key != "k1" || *first != *again {
		t.Errorf("the same request gave %v and %v", first, again)
	}
	if other := post("/v1/messages", strings.Replace(sms, "Merhaba", "merhaba", 1), "k1"); other.Hash == first.Hash {
		t.Error("another body has the same hash")
	}
	if do(t, api, ask{method: "POST", path: "/v1/messages", body: sms}); w.last(t).Idempotency != nil {
		t.Error("a key without a header")
	}
	if k := post("/v1/messages", strings.Replace(sms, "{", `{"dryRun":true,`, 1), "k1"); k != nil {
		t.Error("a dry run carries a key")
	}
	w.submit = func(*gateway.Submission) (gateway.Result, error) {
		return gateway.Result{Batch: mineBatch, Accepted: 1, Replayed: true}, nil
	}
	rec := do(t, api, ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Idempotency-Key", "k1"}})
	if rec.Code != 202 || rec.Header().Get("Idempotent-Replayed") != "true" {
		t.Errorf("replayed: %d, header %q", rec.Code, rec.Header().Get("Idempotent-Replayed"))
	}
	w.submit = nil
	if rec := do(t, api, ask{method: "POST", path: "/v1/messages", body: sms}); rec.Header().Get("Idempotent-Replayed") != "" {
		t.Error("a first answer claims to be a repeat")
	}
}

// The start of a question over ViA takes the same header, bound to its own path.
func TestViaIdempotency(t *testing.T) {
	w := &world{}
	api := newAPI(w, Config{})
	const body = `{"brand":"675403","form":"1","address":"+905321234567"}`
	post := func(header ...string) *httptest.ResponseRecorder {
		return do(t, api, ask{method: "POST", path: "/v1/via", body: body, header: header})
	}
	if rec := post(); rec.Code != 202 || w.via.Idempotency != nil || rec.Header().Get("Idempotent-Replayed") != "" {
		t.Errorf("without a key: %d, %+v", rec.Code, w.via.Idempotency)
	}
	rec := post("Idempotency-Key", "used")
	if rec.Code != 202 || rec.Header().Get("Idempotent-Replayed") != "true" || rec.Header().Get("Location") != "/v1/via/v1" {
		t.Errorf("a repeat: %d %v", rec.Code, rec.Header())
	}
	h := sha256.Sum256([]byte("POST\n/v1/via\n" + body))
	if k := w.via.Idempotency; k == nil || k.Key != "used" || k.Hash != h {
		t.Errorf("the key %+v", k)
	}
	if rec := post("Idempotency-Key", "a b"); rec.Code != 400 {
		t.Errorf("a key with a blank: %d", rec.Code)
	}
}

func TestRateLimits(t *testing.T) {
	w := &world{wait: 1500 * time.Millisecond}
	rec := do(t, newAPI(w, Config{}), ask{method: "POST", path: "/v1/messages", body: `{"text":"x","to":["1","2","3"]}`})
	if rec.Code != 429 || rec.Header().Get("Retry-After") != "2" || len(w.got) != 0 || w.asked != 3 {
		t.Errorf("%d, Retry-After %q, %d submitted, asked for %d; want 429, 2, 0, 3", rec.Code, rec.Header().Get("Retry-After"), len(w.got), w.asked)
	}
	synctest.Test(t, func(t *testing.T) { // all within one instant: no token comes back
		api := newAPI(&world{}, Config{ReadsPerSecond: 1})
		var codes []int
		for range 3 {
			codes = append(codes, do(t, api, ask{method: "GET", path: "/v1/balance"}).Code)
		}
		if fmt.Sprint(codes) != "[200 200 429]" {
			t.Errorf("three reads at one a second, bursts of two: %v", codes)
		}
		if rec := do(t, api, ask{method: "GET", path: "/v1/balance", key: readKey}); rec.Code != 200 {
			t.Errorf("another credential pays for it: %d", rec.Code)
		}
		if rec := do(t, api, ask{method: "POST", path: "/v1/messages", body: sms}); rec.Code != 202 {
			t.Errorf("sending pays for reading: %d", rec.Code)
		}
	})
}

func TestRequestIDs(t *testing.T) {
	api := newAPI(&world{}, Config{})
	for in, keep := range map[string]bool{"abc-1.2_3": true, strings.Repeat("a", 64): true, "": false, strings.Repeat("a", 65): false, "a b": false,
		"<script>": false, "a\nb": false, "ş": false} {
		r := ask{method: "GET", path: "/v1/none"}.request()
		r.Header["X-Request-Id"] = []string{in}
		rec := httptest.NewRecorder()
		api.Handler().ServeHTTP(rec, r)
		got := rec.Header().Get("X-Request-Id")
		if (got == in) != keep || got == "" {
			t.Errorf("X-Request-Id %q: answered %q, kept should be %v", in, got, keep)
		}
		if p := problemIn(t, rec); p.RequestID != got {
			t.Errorf("problem says %q, header %q", p.RequestID, got)
		}
	}
	w := &world{}
	do(t, newAPI(w, Config{}), ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"X-Request-Id", "trace-me"}})
	if got := w.last(t).TraceID; got != "trace-me" {
		t.Errorf("trace id %q", got)
	}
}

func TestClientAddress(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	for _, c := range []struct {
		why     string
		trusted []netip.Prefix
		peer    string
		forward string
		want    string
	}{
		{"direct", nil, "192.0.2.1", "", "192.0.2.1"},
		{"a forged header is ignored", nil, "192.0.2.1", "198.51.100.1", "192.0.2.1"},
		{"even from loopback", nil, "127.0.0.1", "198.51.100.1", "127.0.0.1"},
		{"believed from a proxy of ours", proxies, "10.0.0.1", "198.51.100.1", "198.51.100.1"},
		{"only what the proxy itself added", proxies, "10.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1"},
		{"through two proxies", proxies, "10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"not from a stranger", proxies, "192.0.2.1", "198.51.100.1", "192.0.2.1"},
		{"nor from another private network", proxies, "192.168.0.1", "198.51.100.1", "192.168.0.1"},
	} {
		w := &world{}
		a := ask{method: "POST", path: "/v1/messages", body: sms, remote: c.peer}
		if c.forward != "" {
			a.header = []string{"X-Forwarded-For", c.forward}
		}
		do(t, newAPI(w, Config{TrustedProxies: c.trusted}), a)
		if got := w.last(t).RemoteIP.String(); got != c.want {
			t.Errorf("%s: %s, want %s", c.why, got, c.want)
		}
	}
}

func TestPanicIsAnsweredAndLogged(t *testing.T) {
	var log bytes.Buffer
	w := &world{submit: func(*gateway.Submission) (gateway.Result, error) { panic("secret detail") }}
	api := New(Config{}, Deps{Submitter: w, Authenticator: w, Log: slog.New(slog.NewTextHandler(&log, nil))})
	rec := do(t, api, ask{method: "POST", path: "/v1/messages", body: sms})
	if rec.Code != 500 || strings.Contains(rec.Body.String(), "secret") {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if n := strings.Count(log.String(), "secret detail"); n != 1 || !strings.Contains(log.String(), "door_test.go") {
		t.Errorf("the panic is logged %d times:\n%s", n, log.String())
	}
}

func TestAccessLogAndMetricsKnowNoAddress(t *testing.T) {
	var log bytes.Buffer
	reg := prometheus.NewRegistry()
	w := &world{}
	api := New(Config{}, Deps{Submitter: w, ConsentDesk: w, Reader: w, Authenticator: w, Metrics: reg, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	do(t, api, ask{method: "GET", path: "/v1/consents/sms/+905321234567?brand=675403"})
	do(t, api, ask{method: "GET", path: "/v1/messages?to=%2B905321234567"})
	do(t, api, ask{method: "POST", path: "/v1/messages", body: sms})
	do(t, api, ask{method: "GET", path: "/wp-admin/05321234567"})
	if strings.Contains(log.String(), "5321234567") || strings.Contains(log.String(), goodKey) {
		t.Errorf("the log has an address or a key:\n%s", log.String())
	}
	if !strings.Contains(log.String(), `"route":"/v1/consents/:channel/:address"`) || !strings.Contains(log.String(), `"account":7`) {
		t.Errorf("the log lacks route or account:\n%s", log.String())
	}
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%v, %v", families, err)
	}
	text := fmt.Sprint(families[0])
	for _, want := range []string{"/v1/consents/:channel/:address", "unmatched", `"202"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in the metrics", want)
		}
	}
	if strings.Contains(text, "5321234567") || strings.Contains(text, "wp-admin") {
		t.Error("a path became a label")
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	api := newAPI(&world{}, Config{})
	for _, path := range []string{"/v1/balance", "/nothing"} {
		h := do(t, api, ask{method: "GET", path: path}).Header()
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s %q, want %q", path, name, got, want)
			}
		}
	}
	if got := do(t, api, ask{method: "DELETE", path: "/v1/balance"}).Header().Get("Allow"); !strings.Contains(got, "GET") {
		t.Errorf("405 with Allow %q, want GET in it", got)
	}
}

func TestReady(t *testing.T) {
	w := &world{ready: fmt.Errorf("queue: redis is away")}
	rec := do(t, newAPI(w, Config{}), ask{method: "GET", path: "/readyz", key: "-"})
	if p := problemIn(t, rec); rec.Code != 503 || p.Detail != "queue: redis is away" || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
	if rec := do(t, newAPI(w, Config{}), ask{method: "GET", path: "/healthz", key: "-"}); rec.Code != 200 {
		t.Errorf("healthz %d while not ready", rec.Code)
	}
}

func TestPathAddresses(t *testing.T) {
	for path, want := range map[string]string{
		"/v1/consents/sms/+905321234567?brand=675403":             "[675403 MESAJ BIREYSEL +905321234567]",
		"/v1/consents/sms/%2B905321234567?brand=675403":           "[675403 MESAJ BIREYSEL +905321234567]",
		"/v1/consents/email/a%2Fb%40ornek.com?brand=675403":       "[675403 EPOSTA BIREYSEL a/b@ornek.com]",
		"/v1/consents/ARAMA/1?brand=675403&recipientType=TACIR":   "[675403 ARAMA TACIR 1]",
		"/v1/consents/email/ay%C5%9Fe@ornek.com.tr?brand=675403":  "[675403 EPOSTA BIREYSEL ayşe@ornek.com.tr]",
		"/v1/consents/email/100%25%40ornek.com.tr?brand=675403":   "[675403 EPOSTA BIREYSEL 100%@ornek.com.tr]",
		"/v1/consents/email/100%2541%40ornek.com.tr?brand=675403": "[675403 EPOSTA BIREYSEL 100%41@ornek.com.tr]",
	} {
		w := &world{}
		if rec := do(t, newAPI(w, Config{}), ask{method: "GET", path: path}); rec.Code != 200 {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
		if got := fmt.Sprint(w.lookup); got != want {
			t.Errorf("%s: looked up %s, want %s", path, got, want)
		}
	}
}

func TestConsentResultsKeepTheirPlaces(t *testing.T) {
	w := &world{}
	body := `{"consents":[{"consentDate":"bad"},{"channel":"email","recipient":"a@b","source":"IYS_WEB"},{"channel":"sms","recipient":"2","consentDate":"2026-11-21 10:00:00","retailerCode":null},{"consentDate":"2026-15-21 10:00:00"},{"recipient":"4","recipientType":null,"retailerAccess":[55550127,7]},{"retailerAccess":[]},{"consentDate":"2026-11-21T25:00:00Z"}]}`
	rec := do(t, newAPI(w, Config{}), ask{method: "POST", path: "/v1/consents", body: body})
	var got consentsAnswer
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	var short []string
	for _, r := range got.Results {
		short = append(short, strconv.Itoa(r.Index)+r.IYS+r.Sync)
	}
	if s := strings.Join(short, " "); s != "0H158 1H119 2pending 3H157 4pending 5H163 6H157" || got.Taken != 2 || got.Refused != 5 {
		t.Errorf("%s, %d taken, %d refused", s, got.Taken, got.Refused)
	}
	for _, i := range []int{0, 3, 5, 6} {
		if r := got.Results[i]; r.Text == "" || r.Turkish == "" || r.Field == "" {
			t.Errorf("item %d: %+v, want its field and a sentence in both languages", i, r)
		}
	}
	if got := w.consents[2].RetailerAccess; len(got) != 2 || got[0] != 55550127 {
		t.Errorf("dealers handed on: %v", got)
	}
	if len(w.consents) != 3 || w.consents[0].Channel != "EPOSTA" || w.consents[1].Address != "2" {
		t.Errorf("handed on: %+v", w.consents)
	}
	if got, want := w.consents[1].ConsentDate, time.Date(2026, 11, 21, 7, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("a date without offset is read as %v, want Istanbul time, %v", got, want)
	}
	if w.consents[2].RecipientType != "BIREYSEL" {
		t.Errorf("recipient type %q, want the default", w.consents[2].RecipientType)
	}
}

// The parts of an evidence become one text in an order that does not hang on the caller's.
func TestEvidenceByParts(t *testing.T) {
	w := &world{}
	rec := do(t, newAPI(w, Config{}), ask{method: "POST", path: "/v1/consents", body: `{"consents":[
		{"recipient":"1","evidence":{"ip":"192.0.2.1","document":"arşiv 17/2026","name":"Ayşe Yılmaz","textVersion":"2026-11","shownAt":"2026-11-21T10:00:00+03:00","note":""}},
		{"recipient":"2","evidence":"form 3"},{"recipient":"3","evidence":{}},{"recipient":"4","evidence":null}]}`})
	var got []string
	for _, c := range w.consents {
		got = append(got, c.Evidence)
	}
	want := []string{"name: Ayşe Yılmaz; textVersion: 2026-11; shownAt: 2026-11-21T10:00:00+03:00; ip: 192.0.2.1; document: arşiv 17/2026", "form 3", "", ""}
	if rec.Code != 200 || !slices.Equal(got, want) {
		t.Errorf("%d %s, kept %q, want %q", rec.Code, rec.Body, got, want)
	}
}

func TestImportForm(t *testing.T) {
	form := func(fields ...string) ask {
		var b bytes.Buffer
		m := multipart.NewWriter(&b)
		for i := 0; i+1 < len(fields); i += 2 {
			if fields[i] == "file" {
				p, _ := m.CreateFormFile("file", "izinler.csv")
				_, _ = io.WriteString(p, fields[i+1])
				continue
			}
			_ = m.WriteField(fields[i], fields[i+1])
		}
		_ = m.Close()
		return ask{method: "POST", path: "/v1/consents/import", body: b.String(), kind: m.FormDataContentType()}
	}
	w := &world{}
	rec := do(t, newAPI(w, Config{}), form("brand", "675403", "channel", "email", "mode", "register", "recipientType", "TACIR", "file", "alici\na@b.c\n"))
	if rec.Code != 202 || rec.Header().Get("Location") != "/v1/imports/imp-1" || w.imported != "alici\na@b.c\n" {
		t.Fatalf("%d %s, file %q", rec.Code, rec.Body, w.imported)
	}
	if r := w.request; r.Brand != "675403" || r.Channel != "EPOSTA" || r.Mode != "register" || r.RecipientType != "TACIR" || r.Name != "izinler.csv" {
		t.Errorf("request %+v", r)
	}
	for why, c := range map[string]struct {
		a     ask
		field string
	}{
		"no file":             {form("brand", "675403", "channel", "email", "mode", "register"), "file"},
		"settings after file": {form("brand", "675403", "channel", "email", "file", "x", "mode", "register"), "mode"},
		"unknown field":       {form("colour", "red", "file", "x"), "colour"},
		"doubled field":       {form("brand", "1", "brand", "2", "file", "x"), "brand"},
		"huge field":          {form("brand", strings.Repeat("1", 5000), "file", "x"), "brand"},
	} {
		rec := do(t, newAPI(&world{}, Config{}), c.a)
		if p := problemIn(t, rec); rec.Code != 400 || p.Field != c.field {
			t.Errorf("%s: %d %s, want 400 for %s", why, rec.Code, rec.Body, c.field)
		}
	}
	cut := form("brand", "675403", "channel", "email", "mode", "register", "file", "alici\n")
	cut.body = cut.body[:len(cut.body)-30]
	if rec := do(t, newAPI(&world{}, Config{}), cut); rec.Code < 400 {
		t.Errorf("a torn form was taken: %d", rec.Code)
	}
}

// A question over ViA is handed on whole, and answered without what is the house's own.
func TestVia(t *testing.T) {
	w := &world{}
	rec := do(t, newAPI(w, Config{}), ask{method: "POST", path: "/v1/via", body: via})
	want := gateway.ViaInput{Brand: "675403", Form: "1", Address: "05321234567", RecipientType: "BIREYSEL", Channels: []string{"MESAJ", "ARAMA"},
		Texts: []string{"ACIK_RIZA_METNI"}, Name: "Ayşe Yılmaz"}
	if rec.Code != 202 || rec.Header().Get("Location") != "/v1/via/v1" || !reflect.DeepEqual(w.via, want) {
		t.Errorf("%d to %q with %+v, want 202 and %+v", rec.Code, rec.Header().Get("Location"), w.via, want)
	}
	var v map[string]any
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil || v["state"] != "waiting" || v["by"] != nil || v["account"] != nil {
		t.Errorf("answered %s %v", rec.Body, err)
	}
	if rec := do(t, newAPI(w, Config{}), ask{method: "POST", path: "/v1/via/v1/complete", body: `{"code":"393291","privacyCode":"111222"}`}); rec.Code != 200 ||
		w.viaAnswer != (gateway.ViaAnswer{ID: "v1", Code: "393291", PrivacyCode: "111222"}) || !strings.Contains(rec.Body.String(), `"state":"given"`) {
		t.Errorf("%d with %+v: %s", rec.Code, w.viaAnswer, rec.Body)
	}
	rec = do(t, newAPI(w, Config{}), ask{method: "GET", path: "/v1/via?limit=3&cursor=x"})
	if !slices.Equal(w.lookup, []string{"x", "3"}) || !strings.Contains(rec.Body.String(), `"next":"z"`) || strings.Count(rec.Body.String(), `"consents":[`) != 3 ||
		!strings.Contains(rec.Body.String(), `"state":"failed","stage":"REFUSED","status":"H1000"`) {
		t.Errorf("list asked for %v: %s", w.lookup, rec.Body)
	}
	if rec := do(t, newAPI(w, Config{}), ask{method: "GET", path: "/v1/via/v1/proof"}); rec.Header().Get("Content-Type") != "application/zip" || rec.Body.String() != "PK" {
		t.Errorf("proof: %d %v %s", rec.Code, rec.Header(), rec.Body)
	}
}

func TestWebhookSecretIsShownOnce(t *testing.T) {
	api := newAPI(&world{}, Config{})
	if rec := do(t, api, ask{method: "PUT", path: "/v1/webhooks", body: hook}); !strings.Contains(rec.Body.String(), "whsec_new") {
		t.Errorf("PUT does not show it: %s", rec.Body)
	}
	if rec := do(t, api, ask{method: "GET", path: "/v1/webhooks"}); strings.Contains(rec.Body.String(), "secret") {
		t.Errorf("GET shows it: %s", rec.Body)
	}
}

// A caller who leaves is no error of ours; a broken service is.
func TestWhatIsLoggedHowLoud(t *testing.T) {
	for why, c := range map[string]struct {
		err   error
		leave bool
		want  string
	}{
		"broken service":   {fmt.Errorf("store: disk on fire"), false, "level=ERROR"},
		"passing shortage": {&gateway.Error{Code: gateway.CodeUnavailable, Text: "x", Err: fmt.Errorf("store: busy")}, false, "level=WARN"},
		"the caller left":  {context.Canceled, true, "level=DEBUG"},
		"a refusal":        {gateway.Refuse(gateway.CodeNoCredit, "", ""), false, ""},
	} {
		var log bytes.Buffer
		w := &world{submit: func(*gateway.Submission) (gateway.Result, error) { return gateway.Result{}, c.err }}
		api := New(Config{}, Deps{Submitter: w, Authenticator: w, Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
		ctx, cancel := context.WithCancel(t.Context())
		if c.leave {
			cancel()
		}
		api.Handler().ServeHTTP(httptest.NewRecorder(), ask{method: "POST", path: "/v1/messages", body: sms}.request().WithContext(ctx))
		cancel()
		got := ""
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, `msg="request failed"`) {
				got = line
			}
		}
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: logged %q, want %s", why, got, c.want)
		}
	}
}
