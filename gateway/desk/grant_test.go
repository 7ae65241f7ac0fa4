package desk_test

import (
	"testing"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// Who may grant nothing asks for a sender ID once, and gives no credential a class.
func TestWithoutGrants(t *testing.T) {
	o := furnished(t)
	own := desk.WithoutGrants(ctx)
	sender := gateway.Sender{Account: 1, Channel: "email", Name: "ornek.com", Brand: "675403", Approved: true}
	if got := must[gateway.Sender](t)(o.PutSender(own, sender)); got.Approved {
		t.Error("a sender ID was approved by who asked for it")
	}
	for _, name := range []string{"ornek.com", "ORNEK.com "} {
		_, err := o.PutSender(own, with(sender, func(s *gateway.Sender) { s.Name = name }))
		refused(t, err, gateway.CodeMissingScope, "name", "only an administrator")
	}
	if got := must[gateway.Sender](t)(o.PutSender(ctx, sender)); !got.Approved {
		t.Error("an administrator's approval is lost")
	}

	cred := gateway.Credential{Kind: gateway.KindSMPP, ID: "own", Account: 1}
	for _, class := range []string{gateway.ClassTransactional, gateway.ClassOTP} {
		_, err := o.CreateCredential(own, desk.NewCredential{Credential: with(cred, func(c *gateway.Credential) { c.Classes = []string{gateway.ClassCommercial, class} })})
		refused(t, err, gateway.CodeClassNotAllowed, "classes", class)
	}
	must[desk.Issued](t)(o.CreateCredential(own, desk.NewCredential{Credential: cred}))
	cred.Classes = []string{gateway.ClassOTP}
	_, err := o.ChangeCredential(own, cred)
	refused(t, err, gateway.CodeClassNotAllowed, "classes", "otp")
	must[gateway.Credential](t)(o.ChangeCredential(ctx, cred)) // given by an administrator
	cred.Name = "kept"
	must[gateway.Credential](t)(o.ChangeCredential(own, cred)) // and kept by the owner
	cred.Classes = append(cred.Classes, gateway.ClassTransactional)
	_, err = o.ChangeCredential(own, cred)
	refused(t, err, gateway.CodeClassNotAllowed, "classes", "transactional")
}

// Who may grant nothing tests in a class that asks nobody for consent only where a credential in force sends it already.
func TestTestMessagesGrantNoClass(t *testing.T) {
	d := &door{}
	o := open(t, func(deps *desk.Deps) { deps.Submitter = d })
	own := desk.WithoutGrants(ctx)
	for _, name := range []string{"Örnek A.Ş.", "Başka Ltd."} {
		must[gateway.Account](t)(o.PutAccount(ctx, gateway.Account{Name: name}))
	}
	for _, c := range []gateway.Credential{{ID: "plain", Account: 1}, {ID: "otp", Account: 1, Classes: []string{"otp"}}, {ID: "theirs", Account: 2, Classes: []string{"transactional"}}} {
		c.Kind = gateway.KindSMPP
		must[desk.Issued](t)(o.CreateCredential(ctx, desk.NewCredential{Credential: c}))
	}
	in := desk.TestMessage{Account: 1, From: "ORNEK", Address: "05321234567", Text: "Büyük indirim"}
	for _, class := range []string{"", "transactional"} {
		_, err := o.SendTest(own, with(in, func(m *desk.TestMessage) { m.Class = class }))
		refused(t, err, gateway.CodeClassNotAllowed, "class", "transactional")
	}
	if d.got != nil {
		t.Errorf("a class of another account's credential was sent: %+v", d.got)
	}
	for _, class := range []string{"commercial", "otp"} {
		must[gateway.Verdict](t)(o.SendTest(own, with(in, func(m *desk.TestMessage) { m.Class = class })))
	}
	must[gateway.Credential](t)(o.RevokeCredential(ctx, gateway.CredentialKey{Kind: gateway.KindSMPP, ID: "otp"}))
	_, err := o.SendTest(own, with(in, func(m *desk.TestMessage) { m.Class = "otp" }))
	refused(t, err, gateway.CodeClassNotAllowed, "class", "otp")
	must[gateway.Verdict](t)(o.SendTest(ctx, with(in, func(m *desk.TestMessage) { m.Class = "otp" })))
}

// Browsers end lines with CR LF; what is kept has LF alone, and other control characters are refused as ever.
func TestProofsOfSeveralLines(t *testing.T) {
	o := furnished(t)
	brand := gateway.Brand{Code: "675404", Account: 1, Name: "Alt",
		SMS: gateway.BrandMode{Mode: "self_managed", Text: " Biz yönetiriz.\r\nİmza\r\n", Version: "1", User: "ali", IP: "192.0.2.1"}}
	if got := must[gateway.Brand](t)(o.PutBrand(ctx, brand)); got.SMS.Text != "Biz yönetiriz.\nİmza" {
		t.Errorf("kept as %q", got.SMS.Text)
	}
	for _, text := range []string{"a\rb", "a\tb", "a\x00b"} {
		_, err := o.PutBrand(ctx, with(brand, func(b *gateway.Brand) { b.SMS.Text = text }))
		refused(t, err, gateway.CodeInvalid, "sms.text", "control characters")
	}
}
