package admin

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// question is one of account 1 (v1) or 2 (v2) that waits for a code; v3 is answered, v4 refused, v5 waits for a link.
func question(a gateway.AccountID, id string) gateway.ViaOperation {
	v := gateway.ViaOperation{ID: id, Account: a, Brand: "675403", Request: "5b423dd7-11", Form: "17", Address: "+905329876543", RecipientType: "BIREYSEL", Channels: []string{"MESAJ", "ARAMA"},
		Texts: []string{"ACIK_RIZA_METNI"}, Verification: "SMS_OTP", Stage: "CONSENT_REQUESTED", Status: "PENDING", By: "panel admin from 192.0.2.7", Started: noon, Asked: noon}
	switch id {
	case "v3":
		v.Stage, v.Status, v.Ended = "COMPLETED", gateway.ViaSuccess, noon.Add(time.Minute)
		v.Consents = []gateway.ViaConsent{{Channel: "MESAJ", TransactionID: "tx-9", At: noon.Add(time.Minute)}}
	case "v4":
		v.Stage, v.Status, v.Ended, v.Request = "REFUSED", "H1015", noon, ""
	case "v5":
		v.Address, v.Channels, v.Texts, v.Verification = "ayse.kaya@ornek.com", []string{"EPOSTA"}, nil, "EPOSTA_SHORTURL"
	}
	return v
}
func (o *office) ListVia(_ context.Context, q desk.ListQuery) (page gateway.Page[gateway.ViaOperation], _ error) {
	if !o.bare {
		for _, id := range []string{"v1", "v3", "v4", "v5"} {
			page.Items = append(page.Items, question(q.Account, id))
		}
		page.Next = "v0"
	}
	return page, nil
}
func (o *office) ViaRecord(_ context.Context, q gateway.ViaQuery) (gateway.ViaOperation, error) {
	if q.ID == "v2" && q.Account != 2 || q.ID == "v1" && q.Account != 1 || !strings.HasPrefix(q.ID, "v") {
		return gateway.ViaOperation{}, gateway.Refuse(gateway.CodeNotFound, "id", "")
	}
	return question(q.Account, q.ID), nil
}
func (o *office) StartVia(ctx context.Context, in gateway.ViaInput) (gateway.ViaOperation, error) {
	if in.Form == "99" {
		return gateway.ViaOperation{}, gateway.Refuse(gateway.CodeInvalid, "form", "İYS refused: H1000")
	}
	o.asked = in
	return question(in.Account, "v1"), o.did(ctx, "StartVia")
}
func (o *office) CompleteVia(ctx context.Context, in gateway.ViaAnswer) (gateway.ViaOperation, error) {
	if in.Code == "000000" {
		return gateway.ViaOperation{}, gateway.Refuse(gateway.CodeInvalid, "code", "İYS refused: H1052")
	}
	return question(in.Account, "v3"), o.did(ctx, "CompleteVia")
}
func (o *office) ViaState(ctx context.Context, q gateway.ViaQuery) (gateway.ViaOperation, error) {
	return question(q.Account, "v3"), o.did(ctx, "ViaState")
}
func (o *office) ViaProof(ctx context.Context, q gateway.ViaQuery) (desk.ViaFile, error) {
	return desk.ViaFile{Zip: []byte("PK")}, o.did(ctx, "ViaProof")
}

// What is filled in goes to the desk as it stands, in the user's name; pages show no whole address, and looking at one asks nobody.
func TestViaQuestion(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	rec := b.post("/via/start", "account", "1", "brand", "675403", "form", "17", "address", "0532 123 45 67", "recipientType", "TACIR", "channels", "MESAJ", "channels", "ARAMA",
		"verification", "SMS_SHORTURL", "texts", "ACIK_RIZA_METNI", "name", "Ayşe Yılmaz")
	if to := rec.Header().Get("Location"); rec.Code != http.StatusSeeOther || to != "/via/view?account=1&id=v1" {
		t.Fatalf("%d to %q", rec.Code, to)
	}
	in := w.office.asked
	if in.Account != 1 || in.Brand != "675403" || in.Form != "17" || in.Address != "0532 123 45 67" || in.RecipientType != "TACIR" || in.Verification != "SMS_SHORTURL" || in.Name != "Ayşe Yılmaz" ||
		!slices.Equal(in.Channels, []string{"MESAJ", "ARAMA"}) || !slices.Equal(in.Texts, []string{"ACIK_RIZA_METNI"}) {
		t.Errorf("asked %+v", in)
	}
	before := w.office.done()
	for _, path := range []string{"/via", "/via/view?account=1&id=v1", "/via/view?account=1&id=v5"} {
		body := b.get(path).Body.String()
		if strings.Contains(body, "5329876543") || strings.Contains(body, "ayse.kaya@ornek.com") {
			t.Errorf("%s shows a whole address", path)
		}
	}
	if got := w.office.done(); !slices.Equal(got, before) || len(got) != 1 || got[0] != "StartVia by panel owner from 192.0.2.7" {
		t.Errorf("acts %q, want the start alone", got)
	}
	if body := b.get("/via").Body.String(); !strings.Contains(body, `value="17"`) || !strings.Contains(body, "90532*****43") || !strings.Contains(body, "cursor=v0") {
		t.Error("the list lacks the form used last, the person or the next page")
	}
}

// A code is asked for only where one is due; a wrong one is said beside its field.
func TestViaCode(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	for id, want := range map[string]string{"v1": `name="code"`, "v5": `action="/via/ask"`, "v3": `action="/via/proof"`} {
		body := b.get("/via/view?account=1&id=" + id).Body.String()
		for _, part := range []string{`name="code"`, `action="/via/ask"`, `action="/via/proof"`} {
			if has := strings.Contains(body, part); has != (part == want || id == "v1" && part == `action="/via/ask"`) {
				t.Errorf("%s: %s there is %v", id, part, has)
			}
		}
	}
	rec := b.post("/via/complete", "account", "1", "id", "v1", "code", "000000", "privacyCode", "1")
	if rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "H1052") || !strings.Contains(rec.Body.String(), "f-code-error") {
		t.Errorf("a wrong code: %d", rec.Code)
	}
	if rec := b.post("/via/complete", "account", "1", "id", "v1", "code", "393291", "privacyCode", "111111"); rec.Code != http.StatusSeeOther {
		t.Errorf("the right one: %d", rec.Code)
	}
	if body := b.get("/via/view?account=1&id=v3").Body.String(); !strings.Contains(body, "Onay kaydedildi.") || !strings.Contains(body, "tx-9") {
		t.Error("the next page tells neither what was done nor the transaction")
	}
	if rec := b.post("/via/proof", "account", "1", "id", "v3"); rec.Body.String() != "PK" || rec.Header().Get("Content-Disposition") != `attachment; filename="via-v3.zip"` {
		t.Errorf("proof: %d %v", rec.Code, rec.Header())
	}
	if rec := b.get("/via/view?account=1&id=v2"); rec.Code != http.StatusNotFound {
		t.Errorf("another account's question: %d", rec.Code)
	}
	if body := w.signedIn("auditor").get("/via/view?account=1&id=v1").Body.String(); strings.Contains(body, `name="code"`) || strings.Contains(body, `action="/via/ask"`) {
		t.Error("an auditor may end a question")
	}
}
