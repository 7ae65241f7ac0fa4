package httpapi

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"izinli/gateway"
)

// Bad input: each refusal with its code and field, and nothing handed on. Beside each stands a twin that differs in the one
// thing and passes.
func TestBadInput(t *testing.T) {
	post := func(body string) ask { return ask{method: "POST", path: "/v1/messages", body: body} }
	with := func(members string) ask { return post(`{"text":"x",` + members + `,"to":["05321234567"]}`) }
	one := func(dest string) ask { return post(`{"text":"x","to":[` + dest + `]}`) }
	get := func(path string) ask { return ask{method: "GET", path: path} }
	cases := []struct {
		why    string
		bad    ask
		status int
		code   gateway.Code
		field  string
		twin   ask
	}{
		// Who and from where.
		{"wrong key", ask{method: "GET", path: "/v1/balance", key: "izk_x_y"}, 401, gateway.CodeUnauthorized, "", get("/v1/balance")},
		{"another scheme", ask{method: "GET", path: "/v1/balance", key: "-", header: []string{"Authorization", "Basic " + goodKey}}, 401, gateway.CodeUnauthorized, "",
			ask{method: "GET", path: "/v1/balance", key: "-", header: []string{"Authorization", "bearer " + goodKey}}},
		{"outside the allow-list", ask{method: "GET", path: "/v1/balance", remote: "203.0.113.66"}, 403, gateway.CodeForbiddenAddress, "",
			ask{method: "GET", path: "/v1/balance", remote: "203.0.113.67"}},
		{"missing scope", ask{method: "GET", path: "/v1/webhooks", key: readKey}, 403, gateway.CodeMissingScope, "", get("/v1/webhooks")},
		{"class not allowed", with(`"class":"otp"`), 403, gateway.CodeClassNotAllowed, "class", with(`"class":"transactional"`)},

		// Bodies that are not what the route takes.
		{"a form", ask{method: "POST", path: "/v1/messages", body: "to=05321234567", kind: "application/x-www-form-urlencoded"}, 400, gateway.CodeMalformed, "",
			ask{method: "POST", path: "/v1/messages", body: sms, kind: "application/x-www-form-urlencoded"}}, // what curl -d says of JSON
		{"plain text", ask{method: "POST", path: "/v1/messages", body: sms, kind: "text/plain"}, 415, gateway.CodeMalformed, "",
			ask{method: "POST", path: "/v1/messages", body: sms, kind: "-"}},
		{"another charset", ask{method: "POST", path: "/v1/messages", body: sms, kind: "application/json; charset=iso-8859-9"}, 415, gateway.CodeMalformed, "", post(sms)},
		{"compressed", ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Content-Encoding", "gzip"}}, 415, gateway.CodeMalformed, "",
			ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Content-Encoding", "identity"}}},
		{"too large", post(`{"text":"` + strings.Repeat("x", 1<<20) + `","to":["05321234567"]}`), 413, gateway.CodeTooLarge, "",
			post(`{"text":"` + strings.Repeat("x", 1<<19) + `","to":["05321234567"]}`)},
		{"empty", ask{method: "POST", path: "/v1/messages", kind: "application/json"}, 400, gateway.CodeMalformed, "", post(sms)},
		{"cut short", post(sms[:len(sms)-1]), 400, gateway.CodeMalformed, "", post(sms)},
		{"two values", post(sms + "{}"), 400, gateway.CodeMalformed, "", post(sms + " \n")},
		{"not an object", post(`[]`), 400, gateway.CodeInvalid, "", post(sms)},
		{"not UTF-8", post("{\"text\":\"\xff\",\"to\":[\"05321234567\"]}"), 400, gateway.CodeMalformed, "text", post(`{"text":"ş","to":["05321234567"]}`)},
		{"half a surrogate", post(`{"text":"\ud83d","to":["05321234567"]}`), 400, gateway.CodeMalformed, "text", post(`{"text":"\ud83d\ude00","to":["05321234567"]}`)},
		{"bad escape in a number", one(`"\x"`), 400, gateway.CodeMalformed, "to[0]", one(`"\u002b905321234567"`)},

		// Keys.
		{"unknown key", with(`"txet":"y"`), 400, gateway.CodeUnknownField, "txet", with(`"from":"y"`)},
		{"a key in another case", with(`"Class":"commercial"`), 400, gateway.CodeUnknownField, "Class", with(`"class":"commercial"`)},
		{"unknown key of a recipient", one(`{"address":"1","name":"x"}`), 400, gateway.CodeUnknownField, "to[0].name", one(`{"address":"1","ref":"x"}`)},
		{"doubled key", with(`"brand":"1","brand":"2"`), 400, gateway.CodeMalformed, "brand", with(`"brand":"1"`)},
		{"doubled through an escape", with(`"brand":"1","br\u0061nd":"2"`), 400, gateway.CodeMalformed, "brand", with(`"br\u0061nd":"2"`)},
		{"doubled variable", one(`{"address":"1","vars":{"a":"x","a":"y"}}`), 400, gateway.CodeMalformed, "to[0].vars.a", one(`{"address":"1","vars":{"a":"x","A":"y"}}`)},

		// Types and words.
		{"number for a string", with(`"brand":675403`), 400, gateway.CodeInvalid, "brand", with(`"brand":"675403"`)},
		{"string for a boolean", with(`"dryRun":"true"`), 400, gateway.CodeInvalid, "dryRun", with(`"dryRun":true`)},
		{"object for a list", post(`{"text":"x","to":{}}`), 400, gateway.CodeInvalid, "to", one(`"1"`)},
		{"null among recipients", one(`"1",null`), 400, gateway.CodeInvalid, "to[1]", one(`"1","2"`)},
		{"null as a variable", one(`{"address":"1","vars":{"a":null}}`), 400, gateway.CodeInvalid, "to[0].vars.a", one(`{"address":"1","vars":{"a":12.50}}`)},
		{"foreign channel", with(`"channel":"fax"`), 400, gateway.CodeInvalid, "channel", with(`"channel":"sms"`)},
		{"foreign class", with(`"class":"spam"`), 400, gateway.CodeInvalid, "class", with(`"class":null`)},
		{"foreign recipient type", with(`"recipientType":"bireysel"`), 400, gateway.CodeInvalid, "recipientType", with(`"recipientType":"TACIR"`)},
		{"foreign reason", with(`"reason":"fun"`), 422, gateway.CodeReason, "reason", with(`"reason":"order"`)},
		{"foreign encoding", with(`"encoding":"ebcdic"`), 400, gateway.CodeInvalid, "encoding", with(`"encoding":"tr-single"`)},

		// Recipients.
		{"nobody", post(`{"text":"x","to":[]}`), 400, gateway.CodeInvalid, "to", one(`"1"`)},
		{"no list", post(`{"text":"x"}`), 400, gateway.CodeInvalid, "to", one(`"1"`)},
		{"no address", one(`{"ref":"x"}`), 400, gateway.CodeInvalid, "to[0]", one(`{"address":"1"}`)},
		{"10 001 recipients", one(repeat(10_001, number5)), 422, gateway.CodeTooManyRecipients, "to", one(repeat(10_000, number5))},
		{"a long reference", one(`{"address":"1","ref":"` + strings.Repeat("ş", 65) + `"}`), 400, gateway.CodeInvalid, "to[0].ref",
			one(`{"address":"1","ref":"` + strings.Repeat("ş", 64) + `"}`)},
		{"too many variables", one(`{"address":"1","vars":{` + repeat(51, func(i int) string { return fmt.Sprintf(`"v%d":"x"`, i) }) + `}}`), 400, gateway.CodeInvalid, "to[0].vars.v50",
			one(`{"address":"1","vars":{` + repeat(50, func(i int) string { return fmt.Sprintf(`"v%d":"x"`, i) }) + `}}`)},

		// Times.
		{"sendAt without an offset", with(`"sendAt":"2026-12-01T10:00:00"`), 400, gateway.CodeInvalid, "sendAt", with(`"sendAt":"2026-12-01T10:00:00+03:00"`)},
		{"sendAt as a number", with(`"sendAt":1796112000`), 400, gateway.CodeInvalid, "sendAt", with(`"sendAt":"2026-12-01T07:00:00Z"`)},
		{"sendAt on no day", with(`"sendAt":"2026-02-30T10:00:00Z"`), 400, gateway.CodeInvalid, "sendAt", with(`"sendAt":"2026-02-28T10:00:00Z"`)},
		{"validFor without a unit", with(`"validFor":"24"`), 400, gateway.CodeInvalid, "validFor", with(`"validFor":"24h"`)},
		{"validFor negative", with(`"validFor":"-24h"`), 400, gateway.CodeInvalid, "validFor", with(`"validFor":"1d12h"`)},
		{"validFor zero", with(`"validFor":"0s"`), 400, gateway.CodeInvalid, "validFor", with(`"validFor":"30s"`)},

		// Mail.
		{"mail field in an SMS", with(`"subject":"x"`), 400, gateway.CodeInvalid, "subject", with(`"channel":"email","subject":"x"`)},
		{"SMS field in a mail", with(`"channel":"email","encoding":"ucs2"`), 400, gateway.CodeInvalid, "encoding", with(`"encoding":"ucs2"`)},
		{"header forgery by a line break", with(`"channel":"email","headers":{"X-A":"x\r\nBcc: y"}`), 400, gateway.CodeInvalid, "headers.X-A",
			with(`"channel":"email","headers":{"X-A":"x"}`)},
		{"a header of ours", with(`"channel":"email","headers":{"list-unsubscribe":"x"}`), 400, gateway.CodeInvalid, "headers.list-unsubscribe",
			with(`"channel":"email","headers":{"List-Id":"x"}`)},
		{"steering by header", with(`"channel":"email","headers":{"X-IYS-Brand-Code":"1"}`), 400, gateway.CodeInvalid, "headers.X-IYS-Brand-Code",
			with(`"channel":"email","headers":{"X-Campaign":"1"}`)},
		{"a header name with a colon", with(`"channel":"email","headers":{"X:A":"x"}`), 400, gateway.CodeInvalid, "headers.X:A",
			with(`"channel":"email","headers":{"X-A":"x"}`)},
		{"one header in two spellings", with(`"channel":"email","headers":{"X-A":"x","x-a":"y"}`), 400, gateway.CodeInvalid, "headers.x-a",
			with(`"channel":"email","headers":{"X-A":"x","X-B":"y"}`)},

		// Idempotency keys.
		{"empty idempotency key", ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Idempotency-Key", ""}}, 400, gateway.CodeInvalid, "Idempotency-Key",
			ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Idempotency-Key", "a"}}},
		{"long idempotency key", ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Idempotency-Key", strings.Repeat("k", 129)}}, 400, gateway.CodeInvalid, "Idempotency-Key",
			ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Idempotency-Key", strings.Repeat("k", 128)}}},
		{"idempotency key with a blank", ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Idempotency-Key", "a b"}}, 400, gateway.CodeInvalid, "Idempotency-Key",
			ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Idempotency-Key", `"a-b"`}}},
		{"two idempotency keys", ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Idempotency-Key", "a", "Idempotency-Key", "b"}}, 400, gateway.CodeInvalid, "Idempotency-Key",
			ask{method: "POST", path: "/v1/messages", body: sms, header: []string{"Idempotency-Key", "a"}}},

		// Lists.
		{"unknown parameter", get("/v1/messages?status=sent"), 400, gateway.CodeUnknownField, "status", get("/v1/messages?state=sent")},
		{"doubled parameter", get("/v1/messages?state=sent&state=held"), 400, gateway.CodeInvalid, "state", get("/v1/messages?state=held")},
		{"unknown state", get("/v1/messages?state=none"), 400, gateway.CodeInvalid, "state", get("/v1/messages?state=failed")},
		{"bad since", get("/v1/messages?since=yesterday"), 400, gateway.CodeInvalid, "since", get("/v1/messages?since=2026-11-21T00:00:00Z")},
		{"limit 0", get("/v1/messages?limit=0"), 400, gateway.CodeInvalid, "limit", get("/v1/messages?limit=1")},
		{"limit 501", get("/v1/inbound?limit=501"), 400, gateway.CodeInvalid, "limit", get("/v1/inbound?limit=500")},
		{"huge cursor", get("/v1/inbound?cursor=" + strings.Repeat("a", 513)), 400, gateway.CodeInvalid, "cursor", get("/v1/inbound?cursor=" + strings.Repeat("a", 512))},
		{"not a batch", get("/v1/messages?batch=x"), 404, gateway.CodeNotFound, "", get("/v1/messages?batch=" + mineBatch.String())},

		// Paths.
		{"no such path", get("/v2/messages"), 404, gateway.CodeNotFound, "", get("/v1/messages")},
		{"no such method", ask{method: "PATCH", path: "/v1/balance"}, 405, gateway.CodeInvalid, "", get("/v1/balance")},
		{"not an id", get("/v1/messages/1"), 404, gateway.CodeNotFound, "", get("/v1/messages/" + mineMsg.String())},
		{"too many imports", get("/v1/imports?limit=501"), 400, gateway.CodeInvalid, "limit", get("/v1/imports?limit=500")},
		{"not an import", get("/v1/imports/a.b"), 404, gateway.CodeNotFound, "", get("/v1/imports/imp-1")},

		// Consents.
		{"nothing to add", ask{method: "POST", path: "/v1/consents", body: `{"consents":[]}`}, 400, gateway.CodeInvalid, "consents", ask{method: "POST", path: "/v1/consents", body: consents}},
		{"5001 consents", ask{method: "POST", path: "/v1/consents", body: `{"consents":[` + repeat(5001, func(int) string { return `{}` }) + `]}`}, 422, gateway.CodeTooManyRecipients, "consents",
			ask{method: "POST", path: "/v1/consents", body: `{"consents":[` + repeat(5000, func(int) string { return `{}` }) + `]}`}},
		{"unknown key of a consent", ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"creationDate":"x"}]}`}, 400, gateway.CodeUnknownField, "consents[0].creationDate",
			ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"consentDate":"x"}]}`}},
		{"retailer out of range", ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"retailerCode":123456789}]}`}, 400, gateway.CodeInvalid, "consents[0].retailerCode",
			ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"retailerCode":12345678}]}`}},
		{"evidence of a kind nobody knows", ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"evidence":{"otp":"123456"}}]}`}, 400, gateway.CodeUnknownField, "consents[0].evidence.otp",
			ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"evidence":{"ip":"192.0.2.1","shownAt":"2026-11-21T10:00:00Z","name":null}}]}`}},
		{"evidence from nowhere", ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"evidence":{"ip":"home"}}]}`}, 400, gateway.CodeInvalid, "consents[0].evidence.ip",
			ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"evidence":{"ip":"2001:db8::1"}}]}`}},
		{"too much evidence", ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"evidence":{"note":"` + strings.Repeat("x", 3000) + `","document":"` + strings.Repeat("x", 3000) + `"}}]}`}, 400, gateway.CodeInvalid, "consents[0].evidence",
			ask{method: "POST", path: "/v1/consents", body: `{"consents":[{"evidence":{"note":"` + strings.Repeat("x", 3000) + `"}}]}`}},
		{"foreign consent channel", get("/v1/consents/fax/1?brand=675403"), 400, gateway.CodeInvalid, "channel", get("/v1/consents/ARAMA/1?brand=675403")},
		{"no brand", get("/v1/consents/sms/1"), 400, gateway.CodeInvalid, "brand", get("/v1/consents/sms/1?brand=675403")},
		{"another's brand", get("/v1/consents/sms/1?brand=1"), 422, gateway.CodeBrand, "brand", get("/v1/consents/sms/1?brand=675403")},
		{"opt-out of nobody", ask{method: "POST", path: "/v1/optouts", body: `{"brand":"675403","channel":"sms"}`}, 400, gateway.CodeInvalid, "address", ask{method: "POST", path: "/v1/optouts", body: optout}},
		{"opt-out tomorrow", ask{method: "POST", path: "/v1/optouts", body: strings.Replace(optout, `{`, `{"at":"2999-01-01T00:00:00Z",`, 1)}, 400, gateway.CodeInvalid, "at",
			ask{method: "POST", path: "/v1/optouts", body: strings.Replace(optout, `{`, `{"at":"2026-01-01T00:00:00Z",`, 1)}},
		{"import without a mode", ask{method: "POST", path: strings.Replace(imports, "&mode=verify", "", 1), body: "x", kind: "text/csv"}, 400, gateway.CodeInvalid, "mode",
			ask{method: "POST", path: imports, body: "x", kind: "text/csv"}},
		{"import of consents to calls", ask{method: "POST", path: strings.Replace(imports, "channel=sms", "channel=call", 1), body: "x", kind: "text/csv"}, 400, gateway.CodeInvalid, "channel",
			ask{method: "POST", path: strings.Replace(imports, "channel=sms", "channel=MESAJ", 1), body: "x", kind: "text/csv"}},
		{"import without a channel", ask{method: "POST", path: strings.Replace(imports, "&channel=sms", "", 1), body: "x", kind: "text/csv"}, 400, gateway.CodeInvalid, "channel",
			ask{method: "POST", path: strings.Replace(imports, "channel=sms", "channel=email", 1), body: "x", kind: "text/csv"}},
		{"import as JSON", ask{method: "POST", path: imports, body: "{}"}, 415, gateway.CodeMalformed, "", ask{method: "POST", path: imports, body: "x", kind: "text/csv; charset=windows-1254"}},
		{"import too large", ask{method: "POST", path: imports, body: strings.Repeat("x", 1<<20+1), kind: "text/csv"}, 413, gateway.CodeTooLarge, "",
			ask{method: "POST", path: imports, body: strings.Repeat("x", 1<<20), kind: "text/csv"}},

		// Questions over ViA.
		{"via without a form", ask{method: "POST", path: "/v1/via", body: `{"brand":"675403","address":"05321234567"}`}, 400, gateway.CodeInvalid, "form",
			ask{method: "POST", path: "/v1/via", body: via}},
		{"via without an address", ask{method: "POST", path: "/v1/via", body: `{"brand":"675403","form":"1"}`}, 400, gateway.CodeInvalid, "address",
			ask{method: "POST", path: "/v1/via", body: via}},
		{"via of no brand", ask{method: "POST", path: "/v1/via", body: `{"form":"1","address":"05321234567"}`}, 400, gateway.CodeInvalid, "brand",
			ask{method: "POST", path: "/v1/via", body: `{"form":"1","address":"05321234567","brand":"675403","channels":null,"texts":null}`}},
		{"unknown key of a question", ask{method: "POST", path: "/v1/via", body: strings.Replace(via, "{", `{"account":8,`, 1)}, 400, gateway.CodeUnknownField, "account",
			ask{method: "POST", path: "/v1/via", body: via}},
		{"one word for a list", ask{method: "POST", path: "/v1/via", body: strings.Replace(via, `["sms","ARAMA"]`, `"sms"`, 1)}, 400, gateway.CodeInvalid, "channels",
			ask{method: "POST", path: "/v1/via", body: via}},
		{"too many words", ask{method: "POST", path: "/v1/via", body: strings.Replace(via, `["sms","ARAMA"]`, "["+repeat(9, func(int) string { return `"x"` })+"]", 1)}, 400, gateway.CodeInvalid, "channels[8]",
			ask{method: "POST", path: "/v1/via", body: strings.Replace(via, `["sms","ARAMA"]`, "["+repeat(8, func(int) string { return `"x"` })+"]", 1)}},
		{"a code as a number", ask{method: "POST", path: "/v1/via/v1/complete", body: `{"code":393291}`}, 400, gateway.CodeInvalid, "code",
			ask{method: "POST", path: "/v1/via/v1/complete", body: `{"code":"393291"}`}},
		{"a long code", ask{method: "POST", path: "/v1/via/v1/complete", body: `{"code":"12345678901234567"}`}, 400, gateway.CodeInvalid, "code",
			ask{method: "POST", path: "/v1/via/v1/complete", body: `{"code":"1234567890123456"}`}},
		{"not a question", get("/v1/via/a.b"), 404, gateway.CodeNotFound, "", get("/v1/via/v1")},
		{"no such question", get("/v1/via/v2/proof"), 404, gateway.CodeNotFound, "", get("/v1/via/v1/proof")},
		{"a filter there is not", get("/v1/via?state=open"), 400, gateway.CodeUnknownField, "state", get("/v1/via?limit=1")},

		// Webhooks.
		{"webhook without TLS", ask{method: "PUT", path: "/v1/webhooks", body: `{"url":"http://example.com/"}`}, 400, gateway.CodeInvalid, "url",
			ask{method: "PUT", path: "/v1/webhooks", body: `{"url":"https://example.com/"}`}},
		{"webhook without a host", ask{method: "PUT", path: "/v1/webhooks", body: `{"url":"https:///x"}`}, 400, gateway.CodeInvalid, "url",
			ask{method: "PUT", path: "/v1/webhooks", body: hook}},
		{"unknown event", ask{method: "PUT", path: "/v1/webhooks", body: `{"url":"https://example.com/","events":["all"]}`}, 400, gateway.CodeInvalid, "events[0]",
			ask{method: "PUT", path: "/v1/webhooks", body: `{"url":"https://example.com/","events":["credit.low"]}`}},
		{"setting the secret", ask{method: "PUT", path: "/v1/webhooks", body: `{"url":"https://example.com/","secret":"x"}`}, 400, gateway.CodeUnknownField, "secret",
			ask{method: "PUT", path: "/v1/webhooks", body: hook}},
	}
	for _, c := range cases {
		w := &world{}
		api := newAPI(w, Config{MaxBody: 1 << 20, MaxImport: 1 << 20})
		rec := do(t, api, c.bad)
		p := problemIn(t, rec)
		if rec.Code != c.status || p.Code != c.code || p.Field != c.field {
			t.Errorf("%s: %d %s %q (%s), want %d %s %q", c.why, rec.Code, p.Code, p.Field, p.Detail, c.status, c.code, c.field)
		}
		if len(w.got) > 0 || w.consents != nil || w.optouts != nil && c.code != gateway.CodeBrand || w.webhook.URL != "" || w.via.Form != "" || w.viaAnswer.ID != "" {
			t.Errorf("%s: something was handed on", c.why)
		}
		if rec := do(t, newAPI(&world{}, Config{MaxBody: 1 << 20, MaxImport: 1 << 20}), c.twin); rec.Code >= 300 {
			t.Errorf("%s: the good twin got %d %.300s", c.why, rec.Code, rec.Body)
		}
	}
}

func TestMalformedNamesItsOffset(t *testing.T) {
	for body, want := range map[string]int{
		`{"text":"x" "to":[]}`: 12,
		`{"text":}`:            8,
		`{"text":"x",}`:        11,
		`nul`:                  3,
		`{"to":["1",]}`:        10,
		sms + `x`:              len(sms),
		``:                     0,
		`{`:                    1,
	} {
		rec := do(t, newAPI(&world{}, Config{}), ask{method: "POST", path: "/v1/messages", body: body, kind: "application/json"})
		p := problemIn(t, rec)
		if p.Code != gateway.CodeMalformed || p.Offset == nil || *p.Offset != want {
			t.Errorf("%q: %s, want malformed at %d", body, rec.Body, want)
		}
	}
}

// A body of unknown length is cut off at the limit, too.
func TestTooLargeWithoutLength(t *testing.T) {
	r := ask{method: "POST", path: "/v1/messages", body: sms}.request()
	r.Body, r.ContentLength = io.NopCloser(io.MultiReader(strings.NewReader(`{"text":"`), strings.NewReader(strings.Repeat("x", 100_000)))), -1
	rec := httptest.NewRecorder()
	newAPI(&world{}, Config{MaxBody: 50_000}).Handler().ServeHTTP(rec, r)
	if rec.Code != 413 {
		t.Errorf("%d %s, want 413", rec.Code, rec.Body)
	}
}
