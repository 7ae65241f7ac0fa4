package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/iyslink"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// iysActs are what the pages of dealers, pushes and questions hand to the desk.
type iysActs struct {
	dealer iysapi.Retailer
	access desk.AccessInput
	look   desk.AccessQuery
	push   desk.PushInput
	links  desk.LinksInput
	asked  desk.PrivacyQuery
}

func pushesOf(brand string) []iyslink.PushRecord {
	return []iyslink.PushRecord{{Brand: brand, Channel: iys.ChannelSMS, URL: "https://izin.example/iys/push", Registered: noon, Checked: noon, Connected: true, Status: "Bağlantı Oluşturuldu", Received: noon, Movements: 12},
		{Brand: brand, Channel: iys.ChannelEmail, URL: "https://izin.example/iys/push", Registered: noon, Checked: noon, Problem: "http 422 H530"}}
}
func (o *office) ListRetailers(_ context.Context, n desk.Name) ([]iysapi.Retailer, error) {
	if o.bare {
		return nil, nil
	}
	return []iysapi.Retailer{{Code: 55550127, Title: "XYZ Ticaret", Alias: "Şişli Mağazası", City: iysapi.Place{Code: 34, Name: "İstanbul"}, Town: iysapi.Place{Code: 3, Name: "Kadıköy"}, TCKN: "10000000146", Status: "active", Consents: 12}, {Code: 55550128, Title: "ABC", Status: "suspended"}}, nil
}
func (o *office) ListPlaces(_ context.Context, q desk.PlaceQuery) ([]iysapi.Place, error) {
	if q.City == 0 {
		return []iysapi.Place{{Code: 6, Name: "Ankara"}, {Code: 34, Name: "İstanbul"}}, nil
	}
	return []iysapi.Place{{Code: 3, Name: "Kadıköy", City: 34}}, nil
}
func (o *office) AddRetailer(ctx context.Context, in desk.RetailerInput) (iysapi.Retailer, error) {
	if in.Retailer.Title == "??" {
		return in.Retailer, gateway.Refuse(gateway.CodeInvalid, "", "İYS refused: H229")
	}
	o.iys.dealer, in.Retailer.Code = in.Retailer, 55550129
	return in.Retailer, o.did(ctx, "AddRetailer")
}
func (o *office) DeleteRetailer(ctx context.Context, in desk.RetailerInput) (desk.Nothing, error) {
	return desk.Nothing{}, o.did(ctx, "DeleteRetailer")
}
func (o *office) ListAccess(ctx context.Context, q desk.AccessQuery) ([]iysapi.Retailer, error) {
	if !strings.HasPrefix(q.Address, "+") {
		return nil, gateway.Refuse(gateway.CodeInvalid, "address", "H121: no number")
	}
	o.iys.look = q
	return []iysapi.Retailer{{Code: 55550127, Title: "XYZ Ticaret"}}, o.did(ctx, "ListAccess")
}
func (o *office) ChangeAccess(ctx context.Context, in desk.AccessInput) (desk.Nothing, error) {
	o.iys.access = in
	return desk.Nothing{}, o.did(ctx, "ChangeAccess")
}
func (o *office) PutPush(ctx context.Context, in desk.PushInput) (iyslink.PushRecord, error) {
	if strings.HasPrefix(in.URL, "http:") {
		return iyslink.PushRecord{}, gateway.Refuse(gateway.CodeInvalid, "url", "İYS refused: H531")
	}
	o.iys.push = in
	return iyslink.PushRecord{}, o.did(ctx, "PutPush")
}
func (o *office) RefusalLinks(ctx context.Context, in desk.LinksInput) ([]iysapi.RejectLink, error) {
	if len(in.Addresses) == 0 {
		return nil, gateway.Refuse(gateway.CodeInvalid, "addresses", "Name 1 to 1000 mail addresses.")
	}
	o.iys.links = in
	return []iysapi.RejectLink{{Recipient: "ayse@ornek.com", URL: "https://iys.example/RET/1"}, {Recipient: "=cmd@ornek.com", Code: "H568"}}, o.did(ctx, "RefusalLinks")
}
func (o *office) PrivacyRequests(ctx context.Context, q desk.PrivacyQuery) ([]iysapi.PrivacyRequest, error) {
	o.iys.asked = q
	return []iysapi.PrivacyRequest{{RequestID: "5b423dd7-11", Recipient: q.Address, Requested: noon, Answers: []iysapi.PrivacyAnswer{{Type: "ACIK_RIZA_METNI", Given: true, At: noon}}}}, o.did(ctx, "PrivacyRequests")
}

// A dealer is made in İYS's words of places, removed after a question, and only for a brand of one's own; its identity number stands
// on no list.
func TestDealers(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	body := b.get("/dealers?account=1").Body.String()
	if !strings.Contains(body, "55550127") || strings.Contains(body, "10000000146") || !strings.Contains(body, "Şişli Mağazası") || !strings.Contains(body, "Askıda") {
		t.Error("the list lacks a dealer, or shows an identity number")
	}
	rec := b.post("/dealers/add", "account", "1", "brand", "675403", "city", "34", "town", "3", "title", "XYZ Ticaret", "name", "Ayşe Kaya", "tckn", "10000000146", "tin", "1234567890", "mobile", "0532 123 45 67")
	if rec.Code != http.StatusSeeOther || !strings.Contains(b.get("/dealers?account=1").Body.String(), "55550129") {
		t.Fatalf("add: %d", rec.Code)
	}
	if r := w.office.iys.dealer; r.City != (iysapi.Place{Code: 34, Name: "İstanbul"}) || r.Town != (iysapi.Place{Code: 3, Name: "Kadıköy"}) || r.Mobile != "+905321234567" || r.Name != "Ayşe Kaya" {
		t.Errorf("added %+v", r)
	}
	for path, form := range map[string][]string{
		"/dealers/add":    {"account", "1", "brand", "700001", "city", "34", "town", "3", "title", "X"},
		"/dealers/delete": {"account", "1", "brand", "700001", "code", "55550127", "confirm", "yes"},
		"/dealers/access": {"account", "1", "brand", "700001", "act", "grant", "addresses", "+905321234567", "retailers", "1"},
	} {
		if rec := b.post(path, form...); rec.Code != http.StatusUnprocessableEntity {
			t.Errorf("%s of another account's brand: %d", path, rec.Code)
		}
	}
	if rec := b.post("/dealers/add", "account", "1", "brand", "675403", "city", "34", "town", "99", "title", "X"); rec.Code != http.StatusUnprocessableEntity || !strings.Contains(rec.Body.String(), "f-town-error") {
		t.Errorf("a district that is none: %d", rec.Code)
	}
	if rec := b.post("/dealers/delete", "account", "1", "brand", "675403", "code", "55550127"); rec.Code != 200 || !strings.Contains(rec.Body.String(), "55550127") {
		t.Errorf("delete unasked: %d", rec.Code)
	}
	if rec := b.post("/dealers/delete", "account", "1", "brand", "675403", "code", "55550127", "confirm", "yes"); rec.Code != http.StatusSeeOther {
		t.Errorf("delete: %d", rec.Code)
	}
	acts := w.office.done()
	if len(acts) != 2 || !strings.HasPrefix(acts[0], "AddRetailer by panel owner") || !strings.HasPrefix(acts[1], "DeleteRetailer by panel owner") {
		t.Errorf("acts %q", acts)
	}
	if body := w.signedIn("auditor").get("/dealers?account=1").Body.String(); strings.Contains(body, `action="/dealers/delete"`) || strings.Contains(body, "/dealers/add") {
		t.Error("an auditor may change dealers")
	}
}

// Access is changed for addresses as people write them; taking it from everybody is asked about, and no address stands in a URL.
func TestDealersAccess(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	key := []string{"account", "1", "brand", "675403", "channel", "sms", "recipientType", "TACIR"}
	find := []string{"account", "1", "brand", "675403", "find.channel", "sms", "find.recipientType", "TACIR"}
	rec := b.post("/dealers/access/find", append(find, "address", "0532 123 45 67")...)
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), "XYZ Ticaret") || w.office.iys.look != (desk.AccessQuery{Brand: "675403", Channel: "sms", RecipientType: "TACIR", Address: "+905321234567"}) {
		t.Errorf("find: %d %+v", rec.Code, w.office.iys.look)
	}
	if rec := b.post("/dealers/access/find", append(find, "address", "x")...); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "f-address-error") {
		t.Errorf("find nonsense: %d", rec.Code)
	}
	rec = b.post("/dealers/access", append(key, "act", "grant", "addresses", "05321234567\n+905329876543\n", "retailers", "55550127, 55550128")...)
	if to := rec.Header().Get("Location"); rec.Code != http.StatusSeeOther || strings.Contains(to, "532") {
		t.Errorf("grant: %d to %q", rec.Code, to)
	}
	if in := w.office.iys.access; !slices.Equal(in.Addresses, []string{"+905321234567", "+905329876543"}) || !slices.Equal(in.Retailers, []int{55550127, 55550128}) || in.Act != "grant" || in.RecipientType != "TACIR" {
		t.Errorf("granted %+v", in)
	}
	for field, form := range map[string][]string{"addresses": {"act", "grant", "retailers", "1"}, "retailers": {"act", "grant", "addresses", "05321234567", "retailers", "one"}} {
		if rec := b.post("/dealers/access", append(slices.Clone(key), form...)...); rec.Code != http.StatusUnprocessableEntity || !strings.Contains(rec.Body.String(), "f-"+field+"-error") {
			t.Errorf("%s wrong: %d", field, rec.Code)
		}
	}
	w.office.iys.access = desk.AccessInput{}
	all := append(slices.Clone(key), "act", "remove_all", "addresses", "05321234567")
	if rec := b.post("/dealers/access", all...); rec.Code != 200 || w.office.iys.access.Act != "" {
		t.Errorf("from all, unasked: %d %+v", rec.Code, w.office.iys.access)
	}
	if rec := b.post("/dealers/access", append(all, "confirm", "yes")...); rec.Code != http.StatusSeeOther || w.office.iys.access.Act != "remove_all" {
		t.Errorf("from all: %d %+v", rec.Code, w.office.iys.access)
	}
}

// Connections are shown with their health, registered with an address, and ended after a question.
func TestPushConnections(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	body := b.get("/push").Body.String()
	for _, want := range []string{"https://izin.example/iys/push", "Kopuk", "H530", "12 hareket", `action="/push/end"`} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if rec := b.post("/push/register", "account", "1", "brand", "675403", "channel", "MESAJ", "url", "http://x"); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "f-url-error") {
		t.Errorf("a plain address: %d", rec.Code)
	}
	if rec := b.post("/push/register", "account", "1", "brand", "675403", "channel", "MESAJ", "url", ""); rec.Code != http.StatusUnprocessableEntity || w.office.iys.push.Brand != "" {
		t.Errorf("no address must not end the connection: %d %+v", rec.Code, w.office.iys.push)
	}
	if rec := b.post("/push/register", "account", "1", "brand", "675403", "channel", "EPOSTA", "url", "https://y/iys/push"); rec.Code != http.StatusSeeOther || w.office.iys.push != (desk.PushInput{Brand: "675403", Channel: "EPOSTA", URL: "https://y/iys/push"}) {
		t.Errorf("register: %d %+v", rec.Code, w.office.iys.push)
	}
	if rec := b.post("/push/end", "account", "1", "brand", "675403", "channel", "EPOSTA", "confirm", "yes"); rec.Code != http.StatusSeeOther || w.office.iys.push != (desk.PushInput{Brand: "675403", Channel: "EPOSTA"}) {
		t.Errorf("end: %d %+v", rec.Code, w.office.iys.push)
	}
	if body := w.signedIn("auditor").get("/push").Body.String(); strings.Contains(body, "/push/end") || strings.Contains(body, "/push/register") {
		t.Error("an auditor may change connections")
	}
}

// Refusal links come as a file a spreadsheet does not run; answers on personal data are asked for by POST.
func TestRefusalLinksAndPrivacy(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	rec := b.post("/refusal-links", "account", "1", "brand", "675403", "recipientType", "BIREYSEL", "addresses", "ayse@ornek.com\n=cmd@ornek.com")
	if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "text/csv") || !strings.Contains(rec.Body.String(), "https://iys.example/RET/1") || !strings.Contains(rec.Body.String(), "'=cmd") {
		t.Errorf("links: %d %s", rec.Code, rec.Body)
	}
	if !slices.Equal(w.office.iys.links.Addresses, []string{"ayse@ornek.com", "=cmd@ornek.com"}) {
		t.Errorf("asked for %+v", w.office.iys.links)
	}
	rec = b.post("/privacy", "account", "1", "brand", "675403", "address", "0532 123 45 67", "text", "ACIK_RIZA_METNI")
	if rec.Code != 200 || !strings.Contains(rec.Body.String(), "5b423dd7-11") || w.office.iys.asked != (desk.PrivacyQuery{Brand: "675403", Address: "+905321234567", Text: "ACIK_RIZA_METNI"}) {
		t.Errorf("privacy: %d %+v", rec.Code, w.office.iys.asked)
	}
}
