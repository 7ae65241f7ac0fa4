package iysapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"izinli/iys"
)

func TestParseErrorShapes(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		code   string
		retry  Retry
	}{
		{"array", 400, `{"errors":[{"code":"H174","message":"x"}]}`, "H174", RetryFinal},
		{"colon key", 403, `{"errors":[{"code:":"H353","message":"x"}]}`, "H353", RetryOperator},
		{"object", 400, `{"errors":{"code":"H1000","message":"x"}}`, "H1000", RetryOperator},
		{"top level", 400, `{"code":"H123","message":"x"}`, "H123", RetryAgain},
		{"oauth", 400, `{"error":"invalid_grant","error_description":"x"}`, "invalid_grant", RetryFinal},
		{"number as code", 500, `{"errors":[{"code":15}]}`, "15", RetryAgain},
		{"html", 502, `<html>`, "", RetryAgain},
		{"nothing", 503, ``, "", RetryAgain},
		{"empty list", 404, `{"errors":[]}`, "", RetryOperator},
		{"unknown 429", 429, `{}`, "", RetryAgain},
		{"redirect", 302, ``, "", RetryOperator},
		{"unauthorised", 401, ``, "", RetryNewToken},
	}
	for _, tt := range tests {
		e := parseError(tt.status, []byte(tt.body))
		if e.Code != tt.code || e.Retry != tt.retry || len(e.Details) == 0 || e.Error() == "" {
			t.Errorf("%s: got %+v, want %q %v", tt.name, e, tt.code, tt.retry)
		}
	}
	e := parseError(422, []byte(`{"errors":[{"index":3,"location":["retailerAccess",0],"value":"+905321234567","code":"H180","message":"alıcı +905321234567 veya a@b.cc"}]}`))
	if e.Index != 3 || e.Location != "retailerAccess[0]" || strings.Contains(e.Error(), "1234") || strings.Contains(e.Error(), "@") {
		t.Errorf("got %+v: %s", e, e)
	}
}

func TestDoubtfulAnswersAreErrors(t *testing.T) {
	for _, body := range []string{`{}`, `null`, ``, `{"list":null}`, `{"after":"1_a"}`, `[]`} {
		if p, err := decodeChanges([]byte(body), Brand{"1", "1"}, "", 10); !errors.Is(err, ErrAnswer) {
			t.Errorf("changes %q: got %+v %v, want ErrAnswer", body, p, err)
		}
	}
	full := `{"list":[{"recipient":"+905321234567","type":"MESAJ","status":"RET","recipientType":"BIREYSEL"}]}`
	if _, err := decodeChanges([]byte(full), Brand{"1", "1"}, "x", 1); !errors.Is(err, ErrAnswer) {
		t.Errorf("full page without cursor: got %v, want ErrAnswer", err)
	}
	if p, err := decodeChanges([]byte(full), Brand{"1", "1"}, "x", 2); err != nil || !p.End || p.After != "x" || len(p.Changes) != 1 {
		t.Errorf("short page without cursor: got %+v %v", p, err)
	}
	for _, body := range []string{`{}`, `null`, `{"list":null}`, `{"list":"x"}`, `{"list":[1]}`, `{"list":[null]}`, `{"list":[""]}`} {
		if got, ok := stringList([]byte(body), "list"); ok {
			t.Errorf("ahs %q: got %v, want no list", body, got)
		}
	}
	for _, body := range []string{`[]`, `{"list":[]}`, `["+90"]`} {
		if _, ok := stringList([]byte(body), "list"); !ok {
			t.Errorf("ahs %q: got no list", body)
		}
	}
}

func TestDecodePush(t *testing.T) {
	// iys-api.md §8.2, İYS's test data.
	body := `{ "list": [ { "iysCode": 121212, "brandCode": 121212, "consentDate": "2015-05-01 15:00:00",
  "creationDate": "2015-05-01 15:00:00", "source": "IYS_MOBIL", "recipient": "pushtest@iys.org.tr",
  "recipientType": "BIREYSEL", "status": "ONAY", "type": "EPOSTA",
  "transactionId": "e52ee30512adfcd2a41fb3b4682f5bd61eee5b1c92bda665fc0b7e56644d429d" } ] }`
	got, err := DecodePush([]byte(body))
	if err != nil || len(got) != 1 || got[0].Brand != "121212" || got[0].Status != "ONAY" || got[0].ConsentDate.IsZero() {
		t.Errorf("got %+v %v", got, err)
	}
	for _, bad := range []string{``, `{}`, `[]`, `{"list":[{}]}`, `{"list":[{"brandCode":"x","recipient":"a@bb.cc","status":"RET"}]}`} {
		if _, err := DecodePush([]byte(bad)); !errors.Is(err, ErrAnswer) {
			t.Errorf("%q: got %v, want ErrAnswer", bad, err)
		}
	}
}

// One item that makes no sense does not sink the rest, whose refusals are urgent.
func TestDecodePushInPart(t *testing.T) {
	good := `{"brandCode":"121212","recipient":"a@bb.cc","recipientType":"BIREYSEL","type":"EPOSTA","status":"RET","consentDate":"2026-11-20 10:00:00"}`
	for _, bad := range []string{`null`, `7`, `{"brandCode":{}}`, `{"brandCode":"1","recipient":"a@bb.cc"}`, `{"brandCode":"1","status":7,"recipient":[]}`} {
		got, err := DecodePush([]byte(`{"list":[` + bad + `,` + good + `,` + bad + `]}`))
		if !errors.Is(err, ErrAnswer) || !strings.Contains(err.Error(), "2 of 3") || len(got) != 1 || got[0].Status != "RET" {
			t.Errorf("beside %s: got %+v %v", bad, got, err)
		}
	}
}

func TestEncodeLeavesEmptyFieldsOut(t *testing.T) {
	w := consentRequest{Recipient: "+905321234567", Type: "MESAJ", Status: "ONAY", RecipientType: "TACIR"}
	b, err := json.Marshal(w)
	if err != nil || strings.Contains(string(b), `""`) || strings.Contains(string(b), "null") || strings.Contains(string(b), "source") {
		t.Errorf("got %s %v", b, err)
	}
}

func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		`{"errors":[{"code":"H174","location":["a",0,{}],"index":"x"}]}`, `{"errors":{"code":{}}}`, `{"after":5,"list":[{"consentDate":7}]}`,
		`{"list":[{"brandCode":1,"stats":[[]]}]}`, `[{"index":"1","subrequestId":5,"error":"x"}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if e := parseError(400, body); len(e.Details) == 0 {
			t.Error("an error without details")
		}
		if p, err := decodeChanges(body, Brand{"1", "1"}, "", 1000); err == nil && p.End && len(p.Changes) > 0 && p.After != "" {
			t.Error("an end with a new cursor")
		}
		DecodePush(body)
		stats(body)
		stringList(body, "list")
		var w partnerWire
		if json.Unmarshal(body, &w) == nil && len(w.brands()) == 0 {
			t.Error("a partner entry without brands")
		}
	})
}

// whole answers with any bytes to every call.
type whole struct{ body []byte }

func (w whole) RoundTrip(r *http.Request) (*http.Response, error) {
	body := w.body
	if strings.HasSuffix(r.URL.Path, "/oauth2/token") {
		body = []byte(`{"access_token":"t","expires_in":7200}`)
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

// Whatever İYS answers, a call returns: a value, nothing, or an error that
// quotes none of it.
func FuzzOperations(f *testing.F) {
	for _, s := range []string{
		`{"message":{"requestId":5},"code":"OK"}`, `{"message":{"lastStatus":{"stage":"COMPLETED"},"requestDetails":[{}]}}`, `[{"url":1,"recipient":null,"code:":"H568"}]`,
		`{"pagination":{"totalCount":"9"},"list":[{"retailerCode":"5","city":{"code":"34"}}]}`, `{"retailerCode":"58954386"}`, `{"code":1,"name":"Adana"}`,
		`{"changeStats":[{"type":"MESAJ","consents":[{"source":"HS","total":"3"}]}]}`, `{"processStatus":"COMPLETED","hashValue":"AB"}`, `{"aggrementCaptured":"true"}`,
		`[{"url":"x","type":"MESAJ","status":"Bağlantı Oluşturuldu"}]`, `204`, `null`, `[[[`,
		`{"message":["a",1],"code":"OK"}`, `{"message":{"requestId":"x","requestDetails":[{"consentType":"ACIK_RIZA_METNI","operationStatusMessage":"Onay verildi"}]}}`,
	} {
		f.Add([]byte(s))
	}
	b, day := Brand{"1", "1"}, time.Now().AddDate(0, 0, -1)
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := New(Config{URL: "http://127.0.0.1:1", Username: "u", Password: "p", HTTP: whole{body}, Limits: Limits{PerSecond: 1 << 16}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, k := t.Context(), iys.Key{Brand: "1", Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: "+905321234567"}
		c.PushRegistrations(ctx, b)
		c.Retailers(ctx, b)
		if r, ok, err := c.Retailer(ctx, b, 5); ok && err == nil && r.Code != 5 {
			t.Error("another dealer than asked for")
		}
		c.AccessList(ctx, b, k)
		c.City(ctx, 1)
		c.Cities(ctx)
		c.DaySummary(ctx, b, day, iys.RecipientPerson)
		c.Agreement(ctx, b, day)
		if ok, err := c.Agree(ctx, b, day); ok && (err != nil || !bytes.Contains(bytes.ToLower(body), []byte("captured"))) {
			t.Error("an agreement İYS did not capture")
		}
		if st, err := c.ViaState(ctx, "1", "x"); err == nil && st.Stage == "" {
			t.Error("a state without a stage")
		}
		c.CompleteVia(ctx, "1", "x", ViaSMSCode, ViaCodes{Messages: "123456"})
		if p, err := c.PrivacyRequest(ctx, "1", "x"); err == nil && p.RequestID != "x" {
			t.Error("another operation than asked for")
		}
		c.PrivacyRequests(ctx, "1", ViaNotice, "+905321234567")
		c.RejectLinks(ctx, b, iys.RecipientPerson, []string{"a@bb.cc"})
		if n, err := c.AddRetailer(ctx, b, Retailer{Title: "t", Name: "n", TCKN: "1", TIN: "1", City: Place{Code: 1, Name: "x"}, Town: Place{Code: 1, Name: "x"}}); err == nil && n == 0 {
			t.Error("a dealer without a code")
		}
	})
}
