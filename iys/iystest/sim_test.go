package iystest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// world is a seeded Sim with a clock and one logged-in client.
type world struct {
	t     *testing.T
	s     *Sim
	now   time.Time
	token string
}

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, Istanbul) // a Friday

func newWorld(t *testing.T, edit func(*Config)) *world {
	t.Helper()
	w := &world{t: t, now: start}
	cfg := Config{Now: func() time.Time { return w.now }, Limits: Limits{-1, -1, -1, -1}}
	if edit != nil {
		edit(&cfg)
	}
	w.s = New(cfg)
	w.s.Seed()
	w.login(SeedPartner)
	return w
}

func (w *world) login(user string) {
	w.t.Helper()
	status, body := w.call("POST", "/oauth2/token", fmt.Sprintf(`{"username":%q,"password":%q,"grant_type":"password"}`, user, SeedPassword))
	if status != 200 {
		w.t.Fatalf("login: %d %s", status, body)
	}
	var tok struct {
		Access string `json:"access_token"`
	}
	json.Unmarshal(body, &tok)
	w.token = tok.Access
}

func (w *world) call(method, path, body string) (int, []byte) {
	w.t.Helper()
	req, err := http.NewRequest(method, "http://iys"+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.token)
	res, err := w.s.Transport().RoundTrip(req)
	if err != nil {
		return 0, nil
	}
	b, _ := io.ReadAll(res.Body)
	return res.StatusCode, b
}

const brandPath = "/sps/100001/brands/100001"

func consent(status, date string) string {
	return fmt.Sprintf(`{"recipient":"+905321234567","type":"MESAJ","source":"HS_WEB","status":%q,"consentDate":%q}`, status, date)
}

func codes(body []byte) string {
	var e struct {
		Errors []struct{ Code string } `json:"errors"`
	}
	json.Unmarshal(body, &e)
	var out []string
	for _, x := range e.Errors {
		out = append(out, x.Code)
	}
	return strings.Join(out, " ")
}

func TestStateRules(t *testing.T) {
	w := newWorld(t, nil)
	steps := []struct {
		name, body string
		status     int
		code       string
	}{
		{"a first RET is refused", consent("RET", "2026-11-20 09:00:00"), 400, "H175"},
		{"a first ONAY is stored", consent("ONAY", "2026-11-20 09:00:00"), 200, ""},
		{"an equal date is refused", consent("RET", "2026-11-20 09:00:00"), 400, "H178"},
		{"an older date is refused", consent("RET", "2026-11-20 08:00:00"), 400, "H178"},
		{"a later RET is stored", consent("RET", "2026-11-20 10:00:00"), 200, ""},
		{"a second RET is refused", consent("RET", "2026-11-20 11:00:00"), 400, "H174"},
		{"a later ONAY is stored", consent("ONAY", "2026-11-20 11:00:00"), 200, ""},
		{"ONAY on ONAY with a later date is stored", consent("ONAY", "2026-11-20 11:30:00"), 200, ""},
		{"ONAY on ONAY of the same date is not", consent("ONAY", "2026-11-20 11:30:00"), 400, "H178"},
		{"another later RET", consent("RET", "2026-11-20 11:40:00"), 200, ""},
		{"a second RET that is older: H174 comes first", consent("RET", "2026-11-20 11:00:00"), 400, "H174"},
		{"a merchant's record is another one", `{"recipient":"+905321234567","type":"MESAJ","source":"HS_WEB","status":"RET","consentDate":"2026-11-20 11:50:00","recipientType":"TACIR"}`, 400, "H175"},
		{"a call, without the right to write them", `{"recipient":"+905321234567","type":"ARAMA","source":"HS_WEB","status":"RET","consentDate":"2026-11-20 11:50:00"}`, 403, "H353"},
	}
	for _, st := range steps {
		w.now = w.now.Add(time.Second)
		status, body := w.call("POST", brandPath+"/consents", st.body)
		if status != st.status || codes(body) != st.code {
			t.Errorf("%s: got %d %s, want %d %s", st.name, status, body, st.status, st.code)
		}
	}
	if got := len(w.s.Movements()); got != 5 {
		t.Errorf("got %d movements, want 5", got)
	}
	// ONAY by the provider after a refusal over İYS: only the date rule applies (iys-api.md §16.2).
	w.s.Citizen(SeedIYSCode, "MESAJ", "BIREYSEL", "+905321234567", "RET", "IYS_KISAMESAJ")
	w.now = w.now.Add(time.Minute)
	if status, body := w.call("POST", brandPath+"/consents", consent("ONAY", w.now.Format(dateForm))); status != 200 {
		t.Errorf("ONAY after a refusal over İYS: got %d %s", status, body)
	}
}

func TestFieldRules(t *testing.T) {
	w := newWorld(t, nil)
	tests := []struct {
		name, body string
		status     int
		code       string
	}{
		{"not json", `{`, 400, "H014"},
		{"an array", `[]`, 400, "H085"},
		{"unknown key", `{"recipient":"+905321234567","type":"MESAJ","source":"HS_WEB","status":"ONAY","consentDate":"2026-11-20 09:00:00","note":1}`, 422, "H118"},
		{"empty string", consent("", "2026-11-20 09:00:00"), 400, "H267"},
		{"two date rules at once", `{"recipient":"+905321234567","type":"MESAJ","source":"HS_2015","status":"ONAY","consentDate":"2015-02-10 09:30:00"}`, 422, "H156 H155"},
		{"long phone", `{"recipient":"+90532123456789","type":"MESAJ","source":"HS_WEB","status":"ONAY","consentDate":"2026-11-20 09:00:00"}`, 422, "H121"},
		{"too long phone", `{"recipient":"+905321234567890","type":"MESAJ","source":"HS_WEB","status":"ONAY","consentDate":"2026-11-20 09:00:00"}`, 422, "H160 H121"},
		{"all missing", `{}`, 422, "H110 H111 H113 H114 H112"},
		{"three business days ago", consent("ONAY", "2026-11-17 00:00:00"), 200, ""},
		{"one second earlier", consent("ONAY", "2026-11-16 23:59:59"), 422, "H467"},
		{"905… without a plus", with(consent("ONAY", "2026-11-20 09:00:00"), "+905", "905"), 422, "H121"},
		{"+05…", with(consent("ONAY", "2026-11-20 09:00:00"), "+905", "+05"), 422, "H121"},
		{"0905…", with(consent("ONAY", "2026-11-20 09:00:00"), "+905", "0905"), 422, "H121"},
		{"a land line is taken", with(consent("ONAY", "2026-11-20 09:00:00"), "+905321234567", "+902121230000"), 200, ""},
		{"a foreign number is taken", with(consent("ONAY", "2026-11-20 09:00:00"), "+905321234567", "+4915112345678"), 200, ""},
		{"a label before the @", mailOf("ad+etiket@ornek.com"), 200, ""},
		{"a leading dash", mailOf("-ad@ornek.com"), 200, ""},
		{"five characters", mailOf("a@b.c"), 422, "H120"},
		{"265 characters", mailOf(strings.Repeat("a", 265-len("@ornek.com")) + "@ornek.com"), 200, ""},
		{"266 characters", mailOf(strings.Repeat("a", 266-len("@ornek.com")) + "@ornek.com"), 422, "H120"},
		{"a blank in an address", mailOf("a d@ornek.com"), 422, "H120"},
		{"Turkish letters in an address", mailOf("şule@ornek.com"), 422, "H120"},
		{"a phone for an e-mail", mailOf("+905321234567"), 422, "H120"},
		{"the first second of May 2015 is old, but not too early", consent("ONAY", "2015-05-01 00:00:00"), 422, "H467"},
		{"a second before it", consent("ONAY", "2015-04-30 23:59:59"), 422, "H156"},
		{"this second", consent("ONAY", "2026-11-20 12:00:00"), 200, ""},
		{"the next second", consent("ONAY", "2026-11-20 12:00:01"), 422, "H162"},
		{"month fifteen", consent("ONAY", "2026-15-01 00:00:00"), 422, "H157"},
		{"another date form", consent("ONAY", "17.11.2026"), 422, "H158"},
		{"the useless +9005 form is taken", `{"recipient":"+9005321234567","type":"MESAJ","source":"HS_WEB","status":"ONAY","consentDate":"2026-11-20 09:00:00"}`, 200, ""},
		{"İYS's own source", `{"recipient":"+905321234567","type":"MESAJ","source":"IYS_WEB","status":"ONAY","consentDate":"2026-11-20 09:00:00"}`, 422, "H119"},
		{"merchant bare", `{"recipient":"+905321234568","type":"MESAJ","status":"ONAY","recipientType":"TACIR"}`, 200, ""},
		{"merchant update without date", `{"recipient":"+905321234568","type":"MESAJ","status":"ONAY","recipientType":"TACIR","source":"HS_WEB"}`, 400, "H462"},
		{"unknown retailer", `{"recipient":"+905321234569","type":"MESAJ","source":"HS_WEB","status":"ONAY","consentDate":"2026-11-20 09:00:00","retailerCode":11111111}`, 403, "H180"},
		{"known retailer", `{"recipient":"+905321234569","type":"MESAJ","source":"HS_WEB","status":"ONAY","consentDate":"2026-11-20 09:00:00","retailerCode":55550127}`, 200, ""},
	}
	for _, tt := range tests {
		status, body := w.call("POST", brandPath+"/consents", tt.body)
		if status != tt.status || codes(body) != tt.code {
			t.Errorf("%s: got %d %s, want %d %s", tt.name, status, body, tt.status, tt.code)
		}
	}
}

// mailOf is a good approval of an e-mail address.
func mailOf(address string) string {
	return with(with(consent("ONAY", "2026-11-20 09:00:00"), "+905321234567", address), "MESAJ", "EPOSTA")
}

func TestWireTexts(t *testing.T) {
	w := newWorld(t, nil)
	_, body := w.call("POST", brandPath+"/consents", consent("RET", "2026-11-20 09:00:00"))
	want := `{"errors":[{"code":"H175","message":"İlk defa kaydedilen bir iznin durum (status) bilgisi RET olmamalıdır."}]}`
	if got := strings.TrimSpace(string(body)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	_, body = w.call("GET", "/sps/100001/brands/200001/consents/changes", "")
	want = `{"errors":[{"code":"H353","message":"brandCode, kullanıcı izinleriyle eşleştirilemiyor"}]}`
	if got := strings.TrimSpace(string(body)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestV2RepeatsTheTransaction(t *testing.T) {
	w := newWorld(t, nil)
	_, first := w.call("POST", "/v2"+brandPath+"/consents", consent("ONAY", "2026-11-20 09:00:00"))
	w.now = w.now.Add(time.Hour)
	status, again := w.call("POST", "/v2"+brandPath+"/consents", consent("ONAY", "2026-11-20 09:00:00"))
	if status != 200 || string(first) != string(again) {
		t.Errorf("got %d %s, want %s", status, again, first)
	}
	if status, body := w.call("POST", brandPath+"/consents", consent("ONAY", "2026-11-20 09:00:00")); codes(body) != "H178" {
		t.Errorf("v1 repeat: got %d %s, want H178", status, body)
	}
}

func TestBatchTakesItsTime(t *testing.T) {
	w := newWorld(t, nil)
	list := `[` + consent("ONAY", "2026-11-20 09:00:00") + `,{"recipient":"+905321234568","type":"MESAJ","source":"HS_WEB","status":"RET","consentDate":"2026-11-20 09:00:00"}]`
	status, body := w.call("POST", "/v2"+brandPath+"/consents/request", list)
	var got struct {
		RequestID   string
		SubRequests []struct{ SubRequestID string }
	}
	json.Unmarshal(body, &got)
	if status != 202 || got.RequestID == "" || len(got.SubRequests) != 2 {
		t.Fatalf("got %d %s", status, body)
	}
	path := "/v2" + brandPath + "/consents/request/" + got.RequestID
	if _, body := w.call("GET", path, ""); string(body) != "[]" {
		t.Errorf("at once: got %s, want []", body)
	}
	w.now = w.now.Add(3 * time.Minute)
	if _, body := w.call("GET", path, ""); strings.Count(string(body), "enqueue") != 2 {
		t.Errorf("half way: got %s, want two enqueue", body)
	}
	w.now = w.now.Add(2 * time.Minute)
	_, body = w.call("GET", path, "")
	if !strings.Contains(string(body), `"success"`) || !strings.Contains(string(body), `"H175"`) {
		t.Errorf("done: got %s, want one success and H175", body)
	}
	w.now = w.now.Add(61 * 24 * time.Hour)
	w.login(SeedPartner)
	if _, body := w.call("GET", path, ""); string(body) != "[]" {
		t.Errorf("after 60 days: got %s, want []", body)
	}
}

func TestBatchIsRefusedAsAWhole(t *testing.T) {
	w := newWorld(t, nil)
	one := consent("ONAY", "2026-11-20 09:00:00")
	status, body := w.call("POST", brandPath+"/consents/request", `[`+one+`,`+one+`]`)
	if status != 422 || !strings.Contains(string(body), `"index":1`) || codes(body) != "H194" {
		t.Errorf("repeat: got %d %s, want H194 at 1", status, body)
	}
	if status, body = w.call("POST", brandPath+"/consents/request", `[]`); status != 400 || codes(body) != "H092" {
		t.Errorf("empty: got %d %s", status, body)
	}
	many := `[` + strings.Repeat(one+`,`, 1000) + one + `]`
	if status, body = w.call("POST", brandPath+"/consents/request", many); status != 422 || codes(body) != "H091" {
		t.Errorf("1001: got %d %.80s", status, body)
	}
	w.now = w.now.Add(time.Hour)
	if got := len(w.s.Movements()); got != 0 {
		t.Errorf("got %d movements, want 0", got)
	}
}

func TestChangesAreBlindForAnHour(t *testing.T) {
	w := newWorld(t, nil)
	w.s.Citizen(SeedIYSCode, "MESAJ", "BIREYSEL", "+905321234567", "ONAY", "")
	w.s.Citizen(SeedIYSCode, "ARAMA", "BIREYSEL", "+905321234567", "ONAY", "") // no right on this channel
	path := brandPath + "/consents/changes?limit=1"
	w.now = w.now.Add(time.Hour)
	if status, _ := w.call("GET", path, ""); status != 204 {
		t.Errorf("within the hour: got %d, want 204", status)
	}
	w.s.Citizen(SeedIYSCode, "MESAJ", "BIREYSEL", "+905321234567", "RET", "IYS_KISAMESAJ")
	w.now = w.now.Add(61 * time.Minute)
	w.login(SeedPartner)
	var page struct {
		After string
		List  []struct{ Status, Source, CitizenName, ConsentDate string }
	}
	var seen []string
	for after := ""; ; after = page.After {
		status, body := w.call("GET", path+"&after="+after, "")
		if status == 204 {
			break
		}
		page.List = nil
		json.Unmarshal(body, &page)
		seen = append(seen, page.List[0].Status+" "+page.List[0].Source+" "+page.List[0].CitizenName)
		if len(seen) > 5 {
			t.Fatal("the cursor does not move")
		}
	}
	if got, want := strings.Join(seen, ", "), "ONAY IYS_WEB_YENI Ad Soyad, RET IYS_KISAMESAJ "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if status, body := w.call("GET", brandPath+"/consents/changes?source=X", ""); codes(body) != "H506" {
		t.Errorf("got %d %s, want H506", status, body)
	}
	if status, body := w.call("GET", brandPath+"/consents/changes?limit=1001", ""); codes(body) != "H507" {
		t.Errorf("got %d %s, want H507", status, body)
	}
	w.now = w.now.Add(7 * 24 * time.Hour)
	w.login(SeedPartner)
	if status, _ := w.call("GET", path, ""); status != 204 {
		t.Errorf("after seven days: got %d, want 204", status)
	}
}

func TestTokenLimitRestarts(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits = Limits{PerSecond: -1, TokensPerHour: 2} })
	body := fmt.Sprintf(`{"username":%q,"password":%q,"grant_type":"password"}`, SeedPartner, SeedPassword)
	ask := func() string {
		_, b := w.call("POST", "/oauth2/token", body)
		return codes(b)
	}
	if got := ask(); got != "" { // the second; newWorld took the first
		t.Fatalf("second: got %s", got)
	}
	if got := ask(); got != "H084" {
		t.Fatalf("third: got %q, want H084", got)
	}
	w.now = w.now.Add(50 * time.Minute)
	if got := ask(); got != "H084" {
		t.Fatalf("within the hour: got %q, want H084", got)
	}
	w.now = w.now.Add(59 * time.Minute) // 109 min after the first refusal
	if got := ask(); got != "H084" {
		t.Fatalf("asking restarts the hour: got %q, want H084", got)
	}
	w.now = w.now.Add(time.Hour)
	if got := ask(); got != "" {
		t.Fatalf("after a silent hour: got %s, want a token", got)
	}
}

func TestPerSecondLimit(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits = Limits{} })
	refused := 0
	for range 15 {
		if _, body := w.call("GET", brandPath+"/consents/changes", ""); codes(body) == "H124" {
			refused++
		}
	}
	if refused != 6 { // the login took one of ten
		t.Errorf("got %d refusals, want 6", refused)
	}
	w.now = w.now.Add(time.Second)
	if status, _ := w.call("GET", brandPath+"/consents/changes", ""); status != 204 {
		t.Errorf("a second later: got %d", status)
	}
}

func TestTokenErrors(t *testing.T) {
	w := newWorld(t, nil)
	for body, want := range map[string]string{
		`{}`:                             "Giriş yöntemi belirtilmemiş.",
		`{"grant_type":"x"}`:             "Bilinmeyen giriş yöntemi.",
		`{"grant_type":""}`:              "Giriş yöntemi boş olamaz.",
		`{"grant_type":true}`:            "Desteklenmeyen giriş yöntemi.",
		`{"grant_type":"refresh_token"}`: "Yenileme jetonu verilmemiş.",
		`{"grant_type":"password","username":"x"}`:                                                  "Şifre verilmemiş.",
		`{"grant_type":"password","username":"","password":"x"}`:                                    "Kullanıcı adı boş bırakılamaz.",
		`{"grant_type":"password","username":"partner@izinli.example","password":"yanlış"}`:         "Kullanıcı kimlik bilgileri geçersiz.",
		`{"grant_type":"password","username":"partner@izinli.example","password":"parola","x":"y"}`: "",
	} {
		_, b := w.call("POST", "/oauth2/token", body)
		var e struct {
			Text string `json:"error_description"`
		}
		json.Unmarshal(b, &e)
		if e.Text != want {
			t.Errorf("%s: got %q, want %q", body, e.Text, want)
		}
	}
}

func TestFaults(t *testing.T) {
	w := newWorld(t, nil)
	w.s.Fail(Fault{Operation: "add", DropAfter: true})
	if status, _ := w.call("POST", brandPath+"/consents", consent("ONAY", "2026-11-20 09:00:00")); status != 0 {
		t.Errorf("drop after: got %d, want no answer", status)
	}
	if _, ok := w.s.Stored(SeedIYSCode, "MESAJ", "BIREYSEL", "+905321234567"); !ok {
		t.Error("drop after: the record was not stored")
	}
	w.s.Fail(Fault{Operation: "changes", Status: 500, Code: "H103", Times: 2})
	for range 2 {
		if status, body := w.call("GET", brandPath+"/consents/changes", ""); status != 500 || codes(body) != "H103" {
			t.Errorf("got %d %s, want 500 H103", status, body)
		}
	}
	if status, _ := w.call("GET", brandPath+"/consents/changes", ""); status != 204 {
		t.Errorf("after the fault: got %d", status)
	}
	w.s.SetDown(true)
	if status, _ := w.call("GET", brandPath+"/consents/changes", ""); status != 0 {
		t.Errorf("down: got %d", status)
	}
}

func TestSubscriptionAndRights(t *testing.T) {
	w := newWorld(t, nil)
	w.s.Grant(SeedIntegrator, SeedIYSCode, "EPOSTA", "read")
	mail := `{"recipient":"a@bb.cc","type":"EPOSTA","source":"HS_WEB","status":"ONAY","consentDate":"2026-11-20 09:00:00"}`
	if _, body := w.call("POST", brandPath+"/consents", mail); codes(body) != "H353" {
		t.Errorf("write without the right: got %s, want H353", body)
	}
	for state, want := range map[string]string{
		SubscriptionPaused: "H520", SubscriptionClosed: "H521", SubscriptionNone: "H524", SubscriptionNoAPI: "H586", SubscriptionActive: "",
	} {
		w.s.AddProvider(Provider{IYSCode: SeedIYSCode, Brands: []Brand{{SeedIYSCode, "Örnek", true}}, Subscription: state})
		if _, body := w.call("GET", brandPath+"/consents/changes", ""); codes(body) != want {
			t.Errorf("%s: got %s, want %q", state, body, want)
		}
	}
	w.s.AddProvider(Provider{IYSCode: SeedIYSCode, Brands: []Brand{{SeedIYSCode, "Örnek", true}}, ConsentLimit: 1})
	w.call("POST", brandPath+"/consents", consent("ONAY", "2026-11-20 09:00:00"))
	other := strings.Replace(consent("ONAY", "2026-11-20 09:00:00"), "4567", "4568", 1)
	if _, body := w.call("POST", brandPath+"/consents", other); codes(body) != "H525" {
		t.Errorf("quota: got %s, want H525", body)
	}
	// What is stored is updated all the same, by itself and in a list; a first record sinks the list.
	w.now = w.now.Add(2 * time.Second)
	if status, body := w.call("POST", brandPath+"/consents", consent("ONAY", "2026-11-20 09:00:01")); status != 200 {
		t.Errorf("an update of a full package: got %d %s", status, body)
	}
	update := consent("ONAY", "2026-11-20 09:00:02")
	if status, body := w.call("POST", brandPath+"/consents/request", "["+update+"]"); status != 202 {
		t.Errorf("a list of updates: got %d %s", status, body)
	}
	if status, body := w.call("POST", brandPath+"/consents/request", "["+update+","+other+"]"); status != 422 || codes(body) != "H525" {
		t.Errorf("a list with a first record: got %d %s, want H525", status, body)
	}
	w.s.SetOddities(Oddities{UpdatesNeedRoom: true})
	if _, body := w.call("POST", brandPath+"/consents", consent("ONAY", "2026-11-20 09:00:03")); codes(body) != "H525" {
		t.Errorf("where updates need room: got %s", body)
	}
}

func TestListenServesHTTP(t *testing.T) {
	s := New(Config{AllowControl: true})
	s.Seed()
	srv, err := Listen(s, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	res, err := http.Post(srv.URL+"/_sim/citizen", "application/json",
		strings.NewReader(`{"brandCode":"100001","type":"MESAJ","recipient":"+905321234567","status":"ONAY"}`))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || len(s.Consents()) != 1 {
		t.Errorf("got %d and %d records", res.StatusCode, len(s.Consents()))
	}
	s.mu.Lock()
	s.vias["asked"] = &via{id: "asked", iysCode: SeedIYSCode, recipient: "+905321234567", code: "123456", channels: []string{"MESAJ"}, started: s.now()}
	s.mu.Unlock()
	for path, want := range map[string]int{"/_sim/via/asked": 200, "/_sim/via/nobody": 404} {
		res, err := http.Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		var got struct{ Code string }
		if json.NewDecoder(res.Body).Decode(&got); res.StatusCode != want || want == 200 && got.Code != "123456" {
			t.Errorf("%s: %d %+v", path, res.StatusCode, got)
		}
		res.Body.Close()
	}
	s.SetDown(true)
	if res, err := http.Get(srv.URL + "/version"); err == nil {
		res.Body.Close()
		t.Error("down: got an answer")
	}
}

func FuzzAddConsent(f *testing.F) {
	f.Add(consent("ONAY", "2026-11-20 09:00:00"))
	f.Add(`{"recipient":[],"type":{},"retailerAccess":[1,"x"],"consentDate":5}`)
	f.Fuzz(func(t *testing.T, body string) {
		w := newWorld(t, nil)
		status, b := w.call("POST", brandPath+"/consents", body)
		if status < 200 || status >= 500 || len(b) > 0 && !json.Valid(b) {
			t.Errorf("got %d %s", status, b)
		}
		w.call("POST", brandPath+"/consents/request", "["+body+"]")
		w.now = w.now.Add(time.Hour)
		w.s.Consents()
	})
}
