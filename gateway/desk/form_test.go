package desk_test

import (
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
)

func TestForms(t *testing.T) {
	o := furnished(t)
	must[gateway.Sender](t)(o.PutSender(ctx, gateway.Sender{Name: "bulten.example.com", Account: 1, Channel: "email", Brand: "675403", Approved: true}))
	text := "Örnek A.Ş. tarafından kısa mesaj gönderilmesini onaylıyorum.\r\nDilediğim an reddedebilirim."
	good := gateway.Form{Account: 1, Brand: "675403", Channel: "sms", TradeName: " Örnek A.Ş. ", Version: "2026-11", TextTR: text, PrivacyURL: "https://example.com/kvkk"}
	f := must[desk.FormView](t)(o.CreateForm(ctx, good))
	if len(f.ID) != 10 || f.ID != strings.ToLower(f.ID) || f.From != "ORNEK" || f.TradeName != "Örnek A.Ş." || strings.Contains(f.TextTR, "\r") || f.URL != "" {
		t.Errorf("got %+v; a form is named, trimmed and takes the brand's only sender", f)
	}
	mail := good
	mail.Channel, mail.From = "email", "Bilgi@Bulten.example.com"
	if m := must[desk.FormView](t)(o.CreateForm(ctx, mail)); m.From != "bilgi@bulten.example.com" || m.ID == f.ID {
		t.Errorf("got %+v", m)
	}
	for _, c := range []struct {
		why   string
		code  gateway.Code
		field string
		part  string
		f     func(*gateway.Form)
	}{
		{"an id is not chosen", gateway.CodeInvalid, "id", "its id here", func(f *gateway.Form) { f.ID = "x" }},
		{"a form is born open", gateway.CodeInvalid, "revoked", "RevokeForm", func(f *gateway.Form) { f.Revoked = now }},
		{"channel", gateway.CodeInvalid, "channel", "sms or email", func(f *gateway.Form) { f.Channel = "" }},
		{"calls are not carried", gateway.CodeInvalid, "channel", "one consent", func(f *gateway.Form) { f.Channel = "ARAMA" }},
		{"trade name", gateway.CodeInvalid, "tradeName", "missing", func(f *gateway.Form) { f.TradeName = "" }},
		{"version", gateway.CodeInvalid, "version", "missing", func(f *gateway.Form) { f.Version = " " }},
		{"text", gateway.CodeInvalid, "textTr", "missing", func(f *gateway.Form) { f.TextTR = "" }},
		{"a text that says nothing", gateway.CodeInvalid, "textTr", "too short", func(f *gateway.Form) { f.TextTR = "Onaylıyorum." }},
		{"a text without end", gateway.CodeInvalid, "textEn", "4000", func(f *gateway.Form) { f.TextEN = strings.Repeat("ö", 4001) }},
		{"privacy by http", gateway.CodeInvalid, "privacyUrl", "https", func(f *gateway.Form) { f.PrivacyURL = "http://example.com/" }},
		{"privacy by script", gateway.CodeInvalid, "privacyUrl", "https", func(f *gateway.Form) { f.PrivacyURL = "javascript:alert(1)" }},
		{"brand", gateway.CodeInvalid, "brand", "missing", func(f *gateway.Form) { f.Brand = "" }},
		{"another's brand", gateway.CodeBrand, "brand", "no brand", func(f *gateway.Form) { f.Brand = "700001" }},
		{"account", gateway.CodeNotFound, "account", "9", func(f *gateway.Form) { f.Account = 9 }},
		{"a closed channel", gateway.CodeInvalid, "channel", "closed", func(f *gateway.Form) { f.Account, f.Brand = 2, "700001" }},
		{"a strange sender", gateway.CodeSender, "from", "no approved", func(f *gateway.Form) { f.From = "BASKA" }},
		{"mail needs an address", gateway.CodeInvalid, "from", "sender address", func(f *gateway.Form) { f.Channel = "email" }},
		{"mail from another domain", gateway.CodeSender, "from", "example.org", func(f *gateway.Form) { f.Channel, f.From = "email", "x@example.org" }},
	} {
		_, err := o.CreateForm(ctx, with(good, c.f))
		t.Run(c.why, func(t *testing.T) { refused(t, err, c.code, c.field, c.part) })
	}
	if got := must[desk.FormView](t)(o.RevokeForm(ctx, desk.Name{Name: f.ID})); !got.Revoked.Equal(now) || o.store.Directory().Forms[f.ID].Revoked.IsZero() {
		t.Errorf("revoked: %+v", got)
	}
	before := len(o.entries)
	must[desk.FormView](t)(o.RevokeForm(ctx, desk.Name{Name: f.ID}))
	if len(o.entries) != before {
		t.Error("revoking twice is two changes")
	}
	_, err := o.RevokeForm(ctx, desk.Name{Name: "nosuch"})
	refused(t, err, gateway.CodeNotFound, "id", "nosuch")
	list := must[[]desk.FormView](t)(o.ListForms(ctx, desk.Query{Account: 1}))
	if len(list) != 2 || len(must[[]desk.FormView](t)(o.ListForms(ctx, desk.Query{Account: 2}))) != 0 {
		t.Errorf("account 1 lists %+v", list)
	}
}

func TestFormsKnowTheirAddress(t *testing.T) {
	base := "https://u.example.com"
	o := open(t, func(d *desk.Deps) { d.PublicURL = func() string { return base } })
	must[gateway.Account](t)(o.PutAccount(ctx, gateway.Account{Name: "Örnek A.Ş.", IYSCode: 675403}))
	must[gateway.Brand](t)(o.PutBrand(ctx, gateway.Brand{Code: "675403", Account: 1, Name: "Örnek", SMS: gateway.BrandMode{Mode: "exempt", Text: "Dernek",
		Document: "2026/1", User: "ayse", Expires: now.AddDate(1, 0, 0), At: now}}))
	form := gateway.Form{Account: 1, Brand: "675403", Channel: "sms", TradeName: "Örnek A.Ş.", Version: "1", TextTR: "Örnek A.Ş. tarafından kısa mesaj gönderilmesini onaylıyorum."}
	_, err := o.CreateForm(ctx, form)
	refused(t, err, gateway.CodeInvalid, "from", "0 approved")
	must[gateway.Sender](t)(o.PutSender(ctx, gateway.Sender{Name: "ORNEK", Account: 1, Channel: "sms", Brand: "675403", Approved: true}))
	if f := must[desk.FormView](t)(o.CreateForm(ctx, form)); f.URL != "https://u.example.com/f/"+f.ID {
		t.Errorf("URL %q", f.URL)
	}
	base = ""
	_, err = o.CreateForm(ctx, form)
	refused(t, err, gateway.CodeUnavailable, "", "publicUrl")
}
