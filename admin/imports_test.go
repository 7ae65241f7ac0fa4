package admin

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"izinli/gateway"
)

// sendFile uploads a file with fields before it; pairs are names and values.
func (b *browser) sendFile(pairs ...string) *httptest.ResponseRecorder {
	var buf bytes.Buffer
	m := multipart.NewWriter(&buf)
	_ = m.WriteField(csrfField, b.token())
	for i := 0; i+1 < len(pairs); i += 2 {
		_ = m.WriteField(pairs[i], pairs[i+1])
	}
	part, err := m.CreateFormFile("file", "liste.txt")
	if err != nil {
		b.w.Fatal(err)
	}
	_, _ = part.Write([]byte("05321234567\n"))
	_ = m.Close()
	return b.do(post, "/consents/import", m.FormDataContentType(), &buf)
}

// A bare list is registered with everything else said in the form; what cannot be read is said beside its field, and nothing is begun.
func TestImportWithDefaults(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	fields := []string{"account", "1", "brand", "675403", "channel", "sms", "recipientType", "TACIR", "mode", "register", "dryRun", "1", "overQuota", "1",
		"status", "ONAY", "source", "HS_WEB", "consentDate", "2026-11-20T10:30", "retailerCode", "12345678", "encoding", "windows-1254", "delimiter", "tab"}
	if rec := b.sendFile(fields...); rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/consents/import/i1?account=1" {
		t.Fatalf("%d to %q", rec.Code, rec.Header().Get("Location"))
	}
	want := gateway.ImportRequest{Brand: "675403", Channel: "MESAJ", RecipientType: "TACIR", Mode: "register", Name: "liste.txt", DryRun: true, OverQuota: true,
		Defaults: gateway.ImportDefaults{Status: "ONAY", Source: "HS_WEB", ConsentDate: "2026-11-20 10:30:00", RetailerCode: 12345678}, Encoding: "windows-1254", Delimiter: "tab"}
	if w.office.imported != want {
		t.Errorf("begun with %+v, want %+v", w.office.imported, want)
	}
	before := len(w.office.done())
	for field, bad := range map[string]string{"consentDate": "dün", "retailerCode": "x"} {
		list := append([]string(nil), fields...)
		for i := range list {
			if list[i] == field {
				list[i+1] = bad
			}
		}
		rec := b.sendFile(list...)
		if body := rec.Body.String(); rec.Code != http.StatusUnprocessableEntity || !strings.Contains(body, "f-"+field+"-error") || !strings.Contains(body, `value="TACIR" selected`) {
			t.Errorf("%s: %d, want the form again with the fault and what was chosen", field, rec.Code)
		}
	}
	if len(w.office.done()) != before {
		t.Error("a form with faults began an import")
	}
}

// A refused upload is shown again for the account and brand it was for, whatever was opened meanwhile in another tab: pressed once
// more, the form must not register the consents for somebody else.
func TestRefusedImportKeepsItsAccount(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("admin")
	b.get("/consents/import?account=1")
	for name, fields := range map[string][]string{
		"a date that is none": {"account", "1", "brand", "675403", "channel", "sms", "mode", "register", "consentDate", "dün"},
		"another's brand":     {"account", "1", "brand", "700001", "channel", "sms", "mode", "register"},
	} {
		if rec := b.get("/messages?account=2"); rec.Code != http.StatusOK { // the other tab
			t.Fatalf("the other tab: %d", rec.Code)
		}
		rec := b.sendFile(fields...)
		body := rec.Body.String()
		if rec.Code < 400 || !strings.Contains(body, `name="account" value="1"`) || strings.Contains(body, `name="account" value="2"`) {
			t.Errorf("%s: %d, and the form shown again is not that of account 1", name, rec.Code)
		}
		if !strings.Contains(body, `<option value="675403"`) || strings.Contains(body, `<option value="700001"`) {
			t.Errorf("%s: the form shown again offers the brands of another account", name)
		}
	}
	if done := w.office.done(); len(done) != 0 {
		t.Errorf("refused uploads began %v", done)
	}
}

// What was uploaded can be found again, and the page warns of the package before a file is chosen.
func TestImportPageTellsWhatIs(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	body := b.get("/consents/import").Body.String()
	for _, part := range []string{"/consents/import/i1?account=1", "%41", "&lt;b&gt;kasım", "cursor=h9", "25.000 adrese kadar", "23.900 telefon, 1.200 e-posta", "30.12.2026"} {
		if !strings.Contains(body, part) {
			t.Errorf("the page lacks %q", part)
		}
	}
	if body := b.get("/consents/import/i1?account=1").Body.String(); !strings.Contains(body, "%41") {
		t.Error("the status page does not tell how far the import is")
	}
	if body := b.get("/iys").Body.String(); !strings.Contains(body, "İleti-25 (Seviye 2)") {
		t.Error("/iys does not tell the package")
	}
}

// A form is made as it was filled in; a fault is said beside its field with the texts kept.
func TestFormIsMade(t *testing.T) {
	w := newWorld(t)
	w.staff()
	b := w.signedIn("owner")
	const wording = "Örnek A.Ş. bana kısa mesajla kampanya gönderebilir; istediğim an vazgeçebilirim."
	fields := []string{"account", "1", "brand", "675403", "channel", "sms", "tradeName", "Örnek A.Ş.", "version", "2026-12", "textTr", wording, "textEn", "English", "privacyUrl", "https://ornek.com/kvkk", "from", "ORNEK"}
	if rec := b.post("/forms/add", fields...); rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/forms?account=1" {
		t.Fatalf("%d to %q", rec.Code, rec.Header().Get("Location"))
	}
	if want := (gateway.Form{Account: 1, Brand: "675403", Channel: "sms", TradeName: "Örnek A.Ş.", Version: "2026-12", TextTR: wording, TextEN: "English", PrivacyURL: "https://ornek.com/kvkk", From: "ORNEK"}); w.office.form != want {
		t.Errorf("made %+v, want %+v", w.office.form, want)
	}
	fields[11] = "kısa"
	if rec := b.post("/forms/add", fields...); rec.Code != http.StatusBadRequest || !strings.Contains(rec.Body.String(), "f-textTr-error") || !strings.Contains(rec.Body.String(), "English</textarea>") {
		t.Errorf("a text too short: %d", rec.Code)
	}
	if body := w.signedIn("auditor").get("/forms?account=1").Body.String(); strings.Contains(body, `action="/forms/add"`) {
		t.Error("an auditor may make forms")
	}
}
