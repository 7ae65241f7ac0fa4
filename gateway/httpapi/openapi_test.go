package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"izinli/gateway"
)

var document = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromData(openAPIDocument)
	if err != nil {
		panic(err)
	}
	return doc
})

// operation finds what the document says about a real path.
func operation(method, path string) *openapi3.Operation {
	for pattern, item := range document().Paths.Map() {
		re := regexp.MustCompile("^" + regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(pattern, "[^/]+") + "$")
		if re.MatchString(path) && item.GetOperation(method) != nil {
			if strings.Contains(pattern, "{") && document().Paths.Value(path) != nil {
				continue // the literal path wins
			}
			return item.GetOperation(method)
		}
	}
	return nil
}

// checkContract holds a real answer against the document: its status, type and every member.
func checkContract(t *testing.T, r *http.Request, rec *httptest.ResponseRecorder) {
	t.Helper()
	kind, _, _ := strings.Cut(rec.Header().Get("Content-Type"), ";")
	var schema *openapi3.SchemaRef
	if op := operation(r.Method, r.URL.EscapedPath()); op != nil {
		resp := op.Responses.Status(rec.Code)
		if resp == nil {
			resp = op.Responses.Default()
			if rec.Code < 400 {
				t.Errorf("%s %s: status %d is not documented", r.Method, r.URL.Path, rec.Code)
				return
			}
		}
		media := resp.Value.Content[kind]
		if media == nil {
			t.Errorf("%s %s: %d answers %q, which is not documented", r.Method, r.URL.Path, rec.Code, kind)
			return
		}
		schema = media.Schema
	} else { // no such route: only a problem may come
		schema = document().Components.Schemas["Problem"]
		if kind != "application/problem+json" {
			t.Errorf("%s %s: %d answers %q, want a problem", r.Method, r.URL.Path, rec.Code, kind)
			return
		}
	}
	if !strings.HasSuffix(kind, "json") {
		return
	}
	var v any
	if err := json.Unmarshal(rec.Body.Bytes(), &v); err != nil {
		t.Errorf("%s %s: %d: %v in %s", r.Method, r.URL.Path, rec.Code, err, rec.Body)
		return
	}
	if err := document().ValidateSchemaJSON(schema.Value, v); err != nil {
		t.Errorf("%s %s: %d does not fit the document: %v\n%s", r.Method, r.URL.Path, rec.Code, err, rec.Body)
	}
	if kind == "application/problem+json" {
		if got, _ := v.(map[string]any)["status"].(float64); int(got) != rec.Code {
			t.Errorf("%s %s: status member %v, status line %d", r.Method, r.URL.Path, got, rec.Code)
		}
	}
}

func TestDocumentIsValid(t *testing.T) {
	if err := document().Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !document().IsOpenAPI31OrLater() {
		t.Error("the document is not OpenAPI 3.1")
	}
}

// The checker itself must be able to fail.
func TestContractCheckerFails(t *testing.T) {
	schema := document().Components.Schemas["Result"].Value
	for why, body := range map[string]string{
		"a member too many":    `{"accepted":1,"dropped":0,"refused":0,"segments":1,"credits":1,"messages":[],"extra":1}`,
		"a member too few":     `{"accepted":1,"dropped":0,"refused":0,"segments":1,"credits":1}`,
		"a wrong type, nested": `{"accepted":1,"dropped":0,"refused":0,"segments":1,"credits":1,"messages":[{"to":5}]}`,
		"a foreign state":      `{"accepted":1,"dropped":0,"refused":0,"segments":1,"credits":1,"messages":[{"to":"x","state":"none"}]}`,
	} {
		var v any
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatal(err)
		}
		if document().ValidateSchemaJSON(schema, v) == nil {
			t.Errorf("%s passed", why)
		}
	}
}

func TestEveryRouteIsDocumentedAndBack(t *testing.T) {
	param := regexp.MustCompile(`:([a-z]+)`)
	served := map[string]bool{}
	for _, r := range routes {
		path := param.ReplaceAllString(r.path, "{$1}")
		served[r.method+" "+path] = true
		item := document().Paths.Value(path)
		if item == nil || item.GetOperation(r.method) == nil {
			t.Errorf("%s %s is served but not documented", r.method, path)
			continue
		}
		op := item.GetOperation(r.method)
		if scope, _ := op.Extensions["x-scope"].(string); scope != r.scope {
			t.Errorf("%s %s: documented scope %q, asked for %q", r.method, path, scope, r.scope)
		}
		if open := op.Security != nil && len(*op.Security) == 0; open != (r.scope == "") {
			t.Errorf("%s %s: documented as open: %v", r.method, path, open)
		}
	}
	for path, item := range document().Paths.Map() {
		for method := range item.Operations() {
			if !served[method+" "+path] {
				t.Errorf("%s %s is documented but not served", method, path)
			}
		}
	}
}

func TestCodesAndStatesAreDocumented(t *testing.T) {
	var want []string
	for _, c := range gateway.Codes() {
		want = append(want, string(c))
	}
	if got := words("Code"); !slices.Equal(got, sorted(want)) {
		t.Errorf("codes %v, want %v", got, sorted(want))
	}
	want = nil
	for s := gateway.StateAccepted; s.String() != "none"; s++ {
		want = append(want, s.String())
	}
	if got := words("State"); !slices.Equal(got, sorted(want)) {
		t.Errorf("states %v, want %v", got, sorted(want))
	}
}

func words(schema string) []string {
	var out []string
	for _, v := range document().Components.Schemas[schema].Value.Enum {
		s, _ := v.(string)
		out = append(out, s)
	}
	return sorted(out)
}

func sorted(s []string) []string {
	s = slices.Clone(s)
	slices.Sort(s)
	return s
}

const (
	sms      = `{"channel":"sms","brand":"675403","from":"ORNEK","text":"Merhaba","to":["05321234567"]}`
	consents = `{"consents":[{"brand":"675403","channel":"sms","recipient":"+905321234567","recipientType":"BIREYSEL","status":"ONAY","source":"HS_WEB","consentDate":"2026-11-21 10:00:00"}]}`
	optout   = `{"brand":"675403","channel":"sms","address":"+905321234567"}`
	via      = `{"brand":"675403","form":"1","address":"05321234567","channels":["sms","ARAMA"],"texts":["ACIK_RIZA_METNI"],"name":"Ayşe Yılmaz"}`
	hook     = `{"url":"https://example.com/hook","events":["inbound"],"paused":false}`
	imports  = "/v1/consents/import?brand=675403&channel=sms&mode=verify"
)

// good has one passing request per route.
func good() []struct {
	a      ask
	status int
} {
	m, b := mineMsg.String(), mineBatch.String()
	return []struct {
		a      ask
		status int
	}{
		{ask{method: "POST", path: "/v1/messages", body: sms}, 202},
		{ask{method: "GET", path: "/v1/messages?limit=5&state=held&to=%2B905321234567&since=2026-11-21T10:00:00Z&cursor=abc&batch=" + b}, 200},
		{ask{method: "GET", path: "/v1/messages/" + m}, 200},
		{ask{method: "DELETE", path: "/v1/messages/" + m}, 200},
		{ask{method: "GET", path: "/v1/messages/" + m + "/decision"}, 200},
		{ask{method: "GET", path: "/v1/batches/" + b}, 200},
		{ask{method: "DELETE", path: "/v1/batches/" + b}, 200},
		{ask{method: "POST", path: "/v1/batches/" + b + "/pause"}, 200},
		{ask{method: "POST", path: "/v1/batches/" + b + "/resume"}, 200},
		{ask{method: "POST", path: "/v1/consents", body: consents}, 200},
		{ask{method: "GET", path: "/v1/consents/sms/+905321234567?brand=675403"}, 200},
		{ask{method: "POST", path: imports, body: "alici\n05321234567\n", kind: "text/csv"}, 202},
		{ask{method: "GET", path: "/v1/imports?limit=5&cursor=abc"}, 200},
		{ask{method: "GET", path: "/v1/imports/imp-1"}, 200},
		{ask{method: "GET", path: "/v1/imports/imp-1/errors"}, 200},
		{ask{method: "POST", path: "/v1/optouts", body: optout}, 200},
		{ask{method: "POST", path: "/v1/via", body: via}, 202},
		{ask{method: "GET", path: "/v1/via?limit=5&cursor=abc"}, 200},
		{ask{method: "GET", path: "/v1/via/v1"}, 200},
		{ask{method: "POST", path: "/v1/via/v1/complete", body: `{"code":"393291"}`}, 200},
		{ask{method: "GET", path: "/v1/via/v1/proof"}, 200},
		{ask{method: "GET", path: "/v1/inbound?limit=5&cursor=abc"}, 200},
		{ask{method: "GET", path: "/v1/balance"}, 200},
		{ask{method: "GET", path: "/v1/webhooks"}, 200},
		{ask{method: "PUT", path: "/v1/webhooks", body: hook}, 200},
		{ask{method: "GET", path: "/v1/"}, 200},
		{ask{method: "GET", path: "/openapi.json"}, 200},
		{ask{method: "GET", path: "/healthz"}, 200},
		{ask{method: "GET", path: "/readyz"}, 200},
	}
}

// Every route answers as documented: well, without a key, with a key of no scope, and when the service behind it fails.
func TestRealAnswersFitTheDocument(t *testing.T) {
	cases := good()
	if len(cases) != len(routes) {
		t.Fatalf("%d passing requests for %d routes", len(cases), len(routes))
	}
	for i, c := range cases {
		r := routes[i]
		name := r.method + " " + r.path
		w := &world{}
		api := newAPI(w, Config{})
		if rec := do(t, api, c.a); rec.Code != c.status {
			t.Errorf("%s: %d %s, want %d", name, rec.Code, rec.Body, c.status)
		}
		if r.scope == "" {
			continue
		}
		none := c.a
		none.key = "-"
		if rec := do(t, api, none); rec.Code != 401 || rec.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s without a key: %d", name, rec.Code)
		}
		few := c.a
		if few.key = sendKey; r.scope == gateway.ScopeSend {
			few.key = readKey
		}
		if rec := do(t, api, few); rec.Code != 403 || !strings.Contains(rec.Body.String(), `"missing_scope"`) {
			t.Errorf("%s without the scope: %d %s", name, rec.Code, rec.Body)
		}
		broken := &world{readErr: errors.New("secret detail: /var/lib"), submit: func(*gateway.Submission) (gateway.Result, error) {
			return gateway.Result{}, errors.New("secret detail: /var/lib")
		}}
		rec := do(t, newAPI(broken, Config{}), c.a)
		if rec.Code != 500 || strings.Contains(rec.Body.String(), "secret") {
			t.Errorf("%s with a broken service: %d %s", name, rec.Code, rec.Body)
		}
	}
}
