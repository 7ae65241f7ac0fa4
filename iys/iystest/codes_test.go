package iystest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"
	"strings"
	"testing"
	"time"
)

// asked is one raw request and the code it earns.
type asked struct {
	code, method, path, body string
	status                   int
}

const (
	good   = `{"recipient":"+905321234567","type":"MESAJ","source":"HS_WEB","status":"ONAY","consentDate":"2026-11-20 09:00:00"}`
	keyOf  = `{"recipient":"+905321234567","type":"MESAJ","recipientType":"BIREYSEL"}`
	dealer = `{"title":"T","name":"N","tckn":"10000000146","tin":"1234567890","city":{"code":"34","name":"İstanbul"},"town":{"code":"3","name":"Kadıköy"}}`
	viaOK  = `{"formId":"1","recipient":"+905321234567","verificationType":"SMS_OTP","consentTypes":[{"title":"ETK","brandCodes":[100001],"types":["MESAJ"],"recipientType":"BIREYSEL"}]}`
	access = `{"type":"MESAJ","recipientType":"BIREYSEL","recipients":["+905321234567"],"retailerAccess":[55550127]}`
	// Identity numbers of dealers that are there, one of them passive.
	takenTCKN, passiveTCKN = "10000000214", "10000000382"
	receiver               = `{"url":"https://x.example/","type":"MESAJ","username":"u","password":"p"}`
)

// with replaces a part of a good body.
func with(body, old, new string) string {
	if !strings.Contains(body, old) {
		panic("no " + old + " in " + body)
	}
	return strings.Replace(body, old, new, 1)
}

// requests earn a code each, in a world where +905321234567 is approved for
// messages, dealer 55550127 is known and the brand may do everything.
func requests() []asked {
	const b, v = brandPath, "/via/sps/100001"
	add := func(code, body string, status int) asked { return asked{code, "POST", b + "/consents", body, status} }
	next := with(good, "4567", "4568") // another address
	retail := func(code, body string) asked { return asked{code, "POST", b + "/retailers", body, 400} }
	acc := func(code, body string) asked {
		return asked{code, "PUT", b + "/consents/retailers/access", body, 422}
	}
	status := func(code, body string) asked { return asked{code, "POST", b + "/consents/status", body, 422} }
	many := func(code, body string) asked {
		return asked{code, "POST", b + "/consents/BIREYSEL/status/MESAJ", body, 422}
	}
	push := func(code, body string) asked {
		return asked{code, "POST", b + "/push/registration", `{"connection":[` + body + `]}`, 422}
	}
	viaCall := func(code, body string) asked { return asked{code, "POST", v + "/consent", body, 400} }
	recipients := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf("%q", fmt.Sprintf("+90533%07d", i))
		}
		return `{"recipients":[` + strings.Join(list, ",") + `]}`
	}
	ints := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("55550127,", n), ",") + "]" }
	return []asked{
		{"H001", "GET", "/sps/999999/brands", "", 404},
		add("H014", `{`, 400), add("H085", `[]`, 400), add("H266", with(next, `"ONAY"`, `null`), 400), add("H267", with(next, `"ONAY"`, `""`), 400),
		add("H110", with(next, `"status":"ONAY",`, ``), 422), add("H111", with(next, `"type":"MESAJ",`, ``), 422), add("H112", with(next, `,"consentDate":"2026-11-20 09:00:00"`, ``), 422),
		add("H113", with(next, `"source":"HS_WEB",`, ``), 422), add("H114", with(next, `"recipient":"+905321234568",`, ``), 422),
		add("H115", with(next, "ONAY", "onay"), 422), add("H116", with(next, `{`, `{"recipientType":"KURUMSAL",`), 422), add("H117", with(next, "MESAJ", "SMS"), 422),
		add("H118", with(next, `{`, `{"note":1,`), 422), add("H119", with(next, "HS_WEB", "IYS_WEB"), 422), add("H120", with(next, "MESAJ", "EPOSTA"), 422),
		add("H121", with(next, "+905", "905"), 422), add("H155", with(next, "HS_WEB", "HS_2015"), 422), add("H156", with(next, "2026-11-20", "2015-04-30"), 422),
		add("H157", with(next, "2026-11", "2026-15"), 422), add("H158", with(next, "2026-11-20", "20.11.2026"), 422), add("H160", with(next, "+905321234568", "+905321234567890"), 422),
		add("H162", with(next, "2026-11-20", "2026-11-21"), 422), add("H163", with(next, `{`, `{"retailerAccess":[],`), 422), add("H126", with(next, `{`, `{"retailerAccess":`+ints(3001)+`,`), 422),
		add("H408", with(next, "HS_WEB", "HS_KARAR"), 422), add("H467", with(next, "2026-11-20", "2026-11-10"), 422), add("H180", with(next, `{`, `{"retailerCode":1,`), 403),
		add("H175", with(next, "ONAY", "RET"), 400), add("H486", with(with(next, "ONAY", "RET"), "HS_WEB", "HS_KARAR"), 400), add("H178", with(good, "09:00", "07:00"), 400),
		{"H174", "POST", b + "/consents", with(with(good, "4567", "7777"), "ONAY", "RET"), 400},
		{"H462", "POST", b + "/consents", `{"recipient":"+905321238888","type":"MESAJ","status":"ONAY","recipientType":"TACIR","source":"HS_WEB"}`, 400},
		{"H463", "POST", b + "/consents", `{"recipient":"+905321238888","type":"MESAJ","status":"ONAY","recipientType":"TACIR","consentDate":"2026-11-20 09:00:00"}`, 400},
		{"H091", "POST", b + "/consents/request", "[" + strings.Repeat(next+",", 1000) + next + "]", 422}, {"H092", "POST", b + "/consents/request", "[]", 400},
		{"H194", "POST", b + "/consents/request", "[" + next + "," + next + "]", 422},
		{"H198", "GET", b + "/consents/request/" + strings.Repeat("a1", 19), "", 422}, {"H199", "GET", b + "/consents/request/abc", "", 422}, {"H400", "GET", b + "/consents/request/123", "", 422},
		{"H190", "GET", "/sps/x/brands/100001/consents/changes", "", 422}, {"H191", "GET", "/sps/100001/brands/x/consents/changes", "", 422},
		{"H353", "GET", "/sps/100001/brands/200001/consents/changes", "", 403},
		{"H097", "POST", b + "/consents/status", "[]", 400}, status("H170", with(keyOf, `,"recipientType":"BIREYSEL"`, ``)), status("H166", with(keyOf, "4567", "4567890")),
		many("H168", `{}`), many("H478", `{"recipients":"x"}`), many("H164", `{"recipients":[]}`), many("H127", recipients(1001)),
		many("H193", `{"recipients":["+905331234567","+905331234567"]}`), many("H464", `{"recipients":["a@bb.cc"]}`),
		{"H182", "POST", b + "/consents/history?offset=-1", keyOf, 422}, {"H183", "POST", b + "/consents/history?limit=x", keyOf, 422},
		{"H186", "POST", b + "/consents/history?limit=101", keyOf, 422}, {"H187", "POST", b + "/consents/history?limit=0", keyOf, 422},
		{"H506", "GET", b + "/consents/changes?source=X", "", 422}, {"H507", "GET", b + "/consents/changes?limit=1001", "", 422},
		{"H031", "GET", "/integrator/700001/sps/999999", "", 404},
		push("H093", with(receiver, `"p"`, `""`)), push("H531", with(receiver, "https", "http")), push("H530", receiver),
		retail("H017", with(dealer, `"T"`, `"`+strings.Repeat("T", 256)+`"`)), retail("H201", with(dealer, `{`, `{"status":"x",`)), retail("H214", with(dealer, `"T"`, `""`)),
		retail("H016", with(dealer, `{`, `{"phone":"x",`)), retail("H229", with(dealer, `"N"`, `"N7"`)), retail("H229", with(dealer, `"T"`, `"<T>"`)),
		retail("H215", with(dealer, `"N"`, `""`)), retail("H216", with(dealer, `10000000146`, ``)),
		retail("H217", with(dealer, `{"code":"34","name":"İstanbul"}`, `null`)), retail("H218", with(dealer, `"34"`, `""`)), retail("H219", with(dealer, `İstanbul`, ``)),
		retail("H220", with(dealer, `{"code":"3","name":"Kadıköy"}`, `null`)), retail("H221", with(dealer, `"3"`, `""`)), retail("H222", with(dealer, `Kadıköy`, ``)),
		retail("H224", with(dealer, `{`, `{"mobile":"1",`)), retail("H225", with(dealer, `10000000146`, `x`)), retail("H225", with(dealer, `10000000146`, `10000000147`)),
		retail("H226", with(dealer, `10000000146`, `1`)), retail("H227", with(dealer, `{`, `{"mersis":"0123456789112345",`)),
		retail("H228", with(dealer, `{`, `{"mersis":"1",`)), retail("H230", with(dealer, `{`, `{"mersis":"0123456789012345",`)), retail("H231", with(dealer, "10000000146", takenTCKN)),
		retail("H253", with(dealer, "10000000146", passiveTCKN)),
		retail("H243", with(dealer, `1234567890`, `1234567891`)), retail("H244", with(dealer, `1234567890`, `1`)), retail("H288", with(dealer, `1234567890`, ``)),
		{"H184", "GET", b + "/retailers?all=x", "", 422}, {"H185", "GET", b + "/retailers?short=x", "", 422},
		{"H058", "DELETE", b + "/retailers/1", "", 404}, {"H061", "DELETE", b + "/retailers/55550127", "", 500},
		{"H090", "POST", b + "/consents/retailers/access", `{"recipient":5}`, 400}, {"H401", "POST", b + "/consents/retailers/access", `{"type":"MESAJ","recipientType":"BIREYSEL","recipient":"+905330000000","retailerAccess":[55550127]}`, 400},
		{"H171", "PUT", b + "/consents/retailers/access", `{"recipients":5}`, 400}, {"H172", "POST", b + "/consents/retailers/access/remove", `{"recipients":5}`, 400},
		{"H172", "POST", b + "/consents/retailers/access/remove/all", `{"recipients":5}`, 400}, {"H173", "POST", b + "/consent/retailers/access/list", `{"recipient":5}`, 400},
		acc("H169", with(access, `,"retailerAccess":[55550127]`, ``)), acc("H163", with(access, `[55550127]`, `[]`)), acc("H126", with(access, `[55550127]`, ints(101))),
		acc("H168", with(access, `,"recipients":["+905321234567"]`, ``)), acc("H164", with(access, `["+905321234567"]`, `[]`)),
		{"H501", "GET", b + "/agreements/20261119", "", 422}, {"H502", "GET", b + "/agreements/2026-11-20", "", 422}, {"H512", "PUT", b + "/agreements/2026-11-19", `{"agreementStatus":false}`, 422},
		{"H568", "POST", b + "/via-hash-links", `{"recipients":[{"recipient":"a@bb.cc","recipientType":"BIREYSEL"}]}`, 200},
		viaCall("H1016", `{`), viaCall("H1000", with(viaOK, `"1"`, `"2"`)), viaCall("H1005", `{}`), viaCall("H1012", with(viaOK, "SMS_OTP", "FAX")), viaCall("H1014", with(viaOK, "[100001]", "[200001]")),
		viaCall("H1026", with(viaOK, "+905", "")), viaCall("H1027", with(viaOK, `["MESAJ"]`, `["EPOSTA"]`)), viaCall("H1010", with(viaOK, `["MESAJ"]`, `["FAX"]`)),
		viaCall("H1013", with(viaOK, "ETK", "XYZ")), viaCall("H1066", with(viaOK, `["MESAJ"]`, `["MESAJ","EPOSTA"]`)),
		{"H1046", "POST", "/via/sps/999999/consent", viaOK, 403},
		{"H1030", "POST", v + "/confirmation", `{"requestId":"x"}`, 400}, {"H1072", "GET", v + "/via/clarification/x/file", "", 400},
	}
}

// elsewhere are codes of the table that another test earns, or that only a
// fault can bring.
var elsewhere = map[string]string{
	"H084": "TestTokenLimitRestarts", "H124": "TestPerSecondLimit", "H086": "TestHourlyLimits", "H089": "TestHourlyLimits",
	"H520": "TestSubscriptionAndRights", "H521": "TestSubscriptionAndRights", "H524": "TestSubscriptionAndRights", "H586": "TestSubscriptionAndRights", "H525": "TestSubscriptionAndRights",
	"H251": "TestWho", "H351": "TestWho", "H363": "TestWho", "H522": "TestWho", "H437": "TestWho",
	"H1045": "TestWho", "H1064": "TestViaTries", "H1015": "TestViaTries", "H1032": "TestViaTries", "H1050": "TestViaTries", "H1051": "TestViaTries", "H1052": "TestViaTries", "H1056": "TestViaTries",
	"H015": "fault", "H018": "fault", "H103": "fault", "H123": "fault", "H192": "fault", "H470": "fault",
}

// absent are documented codes the simulator has no words for, and why. A fault
// brings any of them (Fault.Code); the client's table has them all.
var absent = map[string]string{
	"H060 H062 H100 H101 H102 H105 H106 H107 H179 H181 H412 H476": "a failure inside İYS: without a cause in the request",
	"H067":                               "needs ninety million dealers",
	"H082 H241":                          "a failure of the info lists",
	"H083":                               "another word for H124",
	"H095 H402 H403":                     "requests of screens, not of the operations a gateway calls",
	"H098 H405":                          "which malformed question earns them is not told: H506, H507 and H183 name the parameter",
	"H122":                               "the channel decides what an address should be: H120 or H121",
	"H125":                               "another word for H091",
	"H129 H176 H195 H196 H245 H268 H355": "accounts set up in ways no documented call tells: H353, H363 and H031 come instead",
	"H197 H404":                          "search screens",
	"H250 H252":                          "credentials missing: which operation tells it apart from H251 and H351 is not documented",
	"H450 H451 H452 H453 H454 H455 H456 H457 H458 H459 H460 H465": "the ViA of 2020, switched off",
	"H503": "an older word for H116",
}

// Every code of the documents is earned here, or there is a reason why not.
func TestEveryDocumentedCode(t *testing.T) {
	why := map[string]string{}
	for codes, reason := range absent {
		for _, c := range strings.Fields(codes) {
			why[c] = reason
		}
	}
	list := DocumentedCodes()
	known := map[string]bool{}
	for _, c := range list {
		if known[c] {
			t.Errorf("%s twice", c)
		}
		known[c] = true
		if (texts[c] == "") == (why[c] == "") {
			t.Errorf("%s: words %q, reason for having none %q: want one of the two", c, texts[c], why[c])
		}
	}
	for c := range texts {
		if !known[c] {
			t.Errorf("%s has words, and is not documented", c)
		}
	}
	for c := range why {
		if !known[c] {
			t.Errorf("%s is excused, and is not documented", c)
		}
	}
	if len(list) < 180 {
		t.Errorf("%d codes: the list has shrunk", len(list))
	}
}

// The words of iys-api.md §17.2 that are verbatim there are verbatim here.
func TestVerbatimTexts(t *testing.T) {
	for code, want := range map[string]string{
		"H014": "Gönderilen istek JSON formatına uygun olmalıdır.",
		"H084": "Saatte kabul edilen kimlik doğrulama istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
		"H086": "Saatte kabul edilen tekil izin durumu sorgulama istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
		"H110": "Durum (status) bulunamadı.", "H111": "İzin tipi (type) bulunamadı.", "H112": "İzin tarihi (consentDate) bulunamadı.",
		"H113": "İzin kaynağı (source) bulunamadı.", "H114": "Alıcı (recipient) bulunamadı.", "H170": "Alıcı tipi (recipientType) bulunamadı.",
		"H115": "Durum (status) için uygun değerler: ONAY, RET", "H116": "Alıcı tipi (recipientType) için uygun değerler: BIREYSEL, TACIR",
		"H117": "İzin tipi (type) için uygun değerler: ARAMA, MESAJ, EPOSTA",
		"H120": "Alıcı (recipient) kabul edilemedi. Geçerli bir eposta adresi giriniz.",
		"H121": "Alıcı (recipient) için E164 uluslararası([+][country code][area code][local phone number]) formatına uygun bir telefon numarası girilmelidir. (örn. +905992000000)",
		"H124": "Saniyede kabul edilen istek limitine ulaşıldı. Lütfen daha sonra tekrar deneyiniz.",
		"H155": "İzin kaynağı “1 Mayıs 2015 öncesi” olan izinler için, izin tarihi sadece 2015-05-01 00:00:00 olabilir.",
		"H156": "İzinler için 1 Mayıs 2015’den önceki tarihler kabul edilmemektedir.",
		"H157": "Geçerli bir tarih girilmelidir.", "H158": "İzin tarihi yyyy-mm-dd hh:mm:ss formatında olmalıdır.",
		"H162": "Mevcut tarih ve saatten ileri bir tarih ve saat girilmemelidir.",
		"H174": "İzin durumu (status) güncellemesi için farklı bir durum girilmelidir. İzin durumu: RET",
		"H175": "İlk defa kaydedilen bir iznin durum (status) bilgisi RET olmamalıdır.",
		"H178": "Sistemdeki iznin tarihinden önceki tarihli izinlerle güncelleme yapılamaz.",
		"H194": "İzin listede daha önce tanımlandı. Liste içinde izinler alıcı tipi (recipientType), tip (type) ve alıcı (recipient) değerleri için tekrarlanamaz.",
		"H351": "Eksik veya geçersiz jeton!", "H353": "iysCode, kullanıcı izinleriyle eşleştirilemiyor",
		"H408": "HS_KARAR kaynağından iletilen izinler için durum bilgisi RET olmalıdır.",
		"H467": "Üç iş günü öncesinde alınan izinler kaydedilemez.",
		"H525": "Kullanılan izin sayısı maksimum sayıya ulaştığı için yeni izin eklenememektedir.",
		"H015": "Beklenmedik bir hata oluştu!",
	} {
		if texts[code] != want {
			t.Errorf("%s: got %q, want %q", code, texts[code], want)
		}
	}
}

// codesOf are all codes in an answer, in whichever shape.
func codesOf(body []byte) string {
	var found []string
	var walk func(v any)
	walk = func(v any) {
		switch x := v.(type) {
		case map[string]any:
			if c, ok := x["code"].(string); ok && c != "OK" {
				found = append(found, c)
			}
			for _, y := range x {
				walk(y)
			}
		case []any:
			for _, y := range x {
				walk(y)
			}
		}
	}
	var v any
	json.Unmarshal(body, &v)
	walk(v)
	sort.Strings(found)
	return strings.Join(found, " ")
}

func prepared(t *testing.T) *world {
	w := newWorld(t, func(c *Config) { c.Push.Transport = refuser{} })
	at := w.now.Add(-4 * time.Hour)
	w.s.Put(Movement{BrandCode: SeedIYSCode, Recipient: "+905321234567", RecipientType: "BIREYSEL", Type: "MESAJ", Status: "ONAY", Source: "HS_WEB",
		ConsentDate: at, CreationDate: at, RetailerCode: SeedRetailer})
	w.s.Put(Movement{BrandCode: SeedIYSCode, Recipient: "+905321237777", RecipientType: "BIREYSEL", Type: "MESAJ", Status: "RET", Source: "HS_WEB", ConsentDate: at, CreationDate: at})
	w.s.Put(Movement{BrandCode: SeedIYSCode, Recipient: "+905321238888", RecipientType: "TACIR", Type: "MESAJ", Status: "ONAY", CreationDate: at})
	for _, body := range []string{with(with(dealer, "10000000146", takenTCKN), `{`, `{"mersis":"0123456789012345",`),
		with(with(dealer, "10000000146", passiveTCKN), `{`, `{"status":"passive",`)} {
		if status, answer := w.call("POST", brandPath+"/retailers", body); status != 201 {
			t.Fatal(status, string(answer))
		}
	}
	return w
}

type refuser struct{}

func (refuser) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 404, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// Every code the simulator has words for is earned by a request, and comes
// with its status.
func TestEveryCodeIsEarned(t *testing.T) {
	earned := map[string]bool{}
	w := prepared(t)
	for _, c := range requests() {
		if c.method == "" {
			continue
		}
		status, body := w.call(c.method, c.path, c.body)
		got := codesOf(body)
		if status != c.status || !strings.Contains(" "+got+" ", " "+c.code+" ") {
			t.Errorf("%s %s: got %d %s, want %d %s", c.method, c.path, status, body, c.status, c.code)
		}
		earned[c.code] = true
	}
	for code := range texts {
		if !earned[code] && elsewhere[code] == "" {
			t.Errorf("%s is earned by no test", code)
		}
	}
	for code, where := range elsewhere {
		if texts[code] == "" || where == "" {
			t.Errorf("%s has no words", code)
		}
	}
}

// Codes that come out of nowhere are brought by faults, with İYS's words.
func TestFaultCodes(t *testing.T) {
	w := newWorld(t, nil)
	for code, where := range elsewhere {
		if where != "fault" {
			continue
		}
		w.s.Fail(Fault{Operation: "changes", Status: 500, Code: code})
		if status, body := w.call("GET", brandPath+"/consents/changes", ""); status != 500 || codes(body) != code || !strings.Contains(string(body), texts[code]) {
			t.Errorf("got %d %s, want %s", status, body, code)
		}
	}
}

func TestHourlyLimits(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Limits = Limits{-1, -1, 2, 2} })
	for op, want := range map[string]string{"/consents/status": "H086", "/consents/history": "H089"} {
		for n := range 3 {
			_, body := w.call("POST", brandPath+op, keyOf)
			if got := codes(body); (got == want) != (n == 2) {
				t.Errorf("%s, call %d: %q", op, n+1, got)
			}
		}
		w.now = w.now.Add(time.Hour)
		w.login(SeedPartner)
		if _, body := w.call("POST", brandPath+op, keyOf); codes(body) != "" {
			t.Errorf("%s, an hour later: %s", op, body)
		}
	}
}

// Who asks decides what may be asked.
func TestWho(t *testing.T) {
	w := newWorld(t, nil)
	expect := func(method, path, want string) {
		t.Helper()
		if status, body := w.call(method, path, ""); codes(body) != want {
			t.Errorf("%s %s: got %d %s, want %q", method, path, status, body, want)
		}
	}
	expect("GET", "/integrator/700001/subscription", "")
	expect("GET", "/integrator/700002/subscription", "H353")
	w.login(SeedUser)
	expect("GET", "/integrator/700001/sps", "H363")
	expect("GET", "/integrator/700001/subscription", "H522")
	expect("GET", "/sps/200001/subscription", "H353")
	w.s.AddProvider(Provider{IYSCode: SeedIYSCode, Brands: []Brand{{SeedIYSCode, "Örnek", true}}, Subscription: SubscriptionNone})
	expect("GET", "/sps/100001/subscription", "H437")
	w.s.RevokeTokens()
	expect("GET", brandPath+"/consents/changes", "H351")
	expect("GET", "/brands/1234567890", "H251")
	if status, body := w.call("GET", "/via/sps/100001/consent/request/x", ""); status != 401 || codesOf(body) != "H1045" {
		t.Errorf("ViA without a token: got %d %s, want H1045", status, body)
	}
}

func TestViaTries(t *testing.T) {
	w := newWorld(t, nil)
	start := func(body string) string {
		t.Helper()
		status, b := w.call("POST", "/via/sps/100001/consent", body)
		var in struct {
			Message struct{ RequestID string }
		}
		if json.Unmarshal(b, &in); status != 200 || in.Message.RequestID == "" {
			t.Fatal(status, string(b))
		}
		return in.Message.RequestID
	}
	complete := func(id, code, want string) {
		t.Helper()
		if status, b := w.call("POST", "/via/sps/100001/confirmation", fmt.Sprintf(`{"requestId":%q,"verificationType":"SMS_OTP","consentTypes":[{"title":"ETK","otpCode":%q}]}`, id, code)); codesOf(b) != want {
			t.Errorf("got %d %s, want %q", status, b, want)
		}
	}
	id := start(viaOK)
	complete(id, "x", "H1052")
	complete(id, "x", "H1052")
	complete(id, "x", "H1050")
	complete(id, w.s.ViaCode(id), "H1050") // the fourth fails even if right
	id = start(viaOK)
	complete(id, w.s.ViaCode(id), "")
	complete(id, w.s.ViaCode(id), "H1032")
	id = start(viaOK)
	w.now = w.now.Add(codeLife + time.Second)
	complete(id, w.s.ViaCode(id), "H1051")
	complete(start(with(viaOK, "SMS_OTP", "SMS_SHORTURL")), "1", "H1056")
	complete(start(with(viaOK, "SMS_OTP", "EPOSTA_OTP")), "1", "H1064")
	w.s.AddProvider(Provider{IYSCode: SeedIYSCode, Brands: []Brand{{SeedIYSCode, "Örnek", true}}, ViaForms: []string{"1"}})
	if status, b := w.call("POST", "/via/sps/100001/consent", viaOK); codesOf(b) != "H1015" {
		t.Errorf("without credit: %d %s", status, b)
	}
}
