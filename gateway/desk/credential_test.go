package desk_test

import (
	"net/netip"
	"testing"

	"izinli/gateway"
	"izinli/gateway/account"
	"izinli/gateway/desk"
)

func TestCredentials(t *testing.T) {
	o := furnished(t)
	auth := account.New(o.store, account.Options{})
	lets := func(kind gateway.CredentialKind, id, secret string) bool {
		_, err := auth.Authenticate(ctx, kind, id, secret, netip.MustParseAddr("192.0.2.9"))
		return err == nil
	}
	for _, c := range []gateway.Credential{
		{Kind: "api", Account: 1, Name: "Uygulama", Scopes: []string{"send", "read", "send"}, Classes: []string{"otp", "commercial"}, DefaultClass: "otp"},
		{Kind: "smpp", ID: "ornek", Account: 1, MaxBinds: 4, Window: 50, PerSecond: 10, Brand: "675403", From: "ORNEK",
			Classes: []string{"transactional"}, Reason: "order", CIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.77/24")}},
		{Kind: "smtp", ID: "bulten@example.com", Account: 1},
	} {
		t.Run(string(c.Kind), func(t *testing.T) {
			made := must[desk.Issued](t)(o.CreateCredential(ctx, desk.NewCredential{Credential: c}))
			if made.Credential.SecretHash != "" || made.Secret == "" || made.Credential.ID == "" {
				t.Fatalf("got %+v", made)
			}
			if c.Kind == "smpp" && (len(made.Secret) != 8 || made.Credential.CIDRs[0].String() != "192.0.2.0/24") {
				t.Errorf("an SMPP password has 8 characters, networks are masked: %+v", made)
			}
			id := made.Credential.ID
			if !lets(c.Kind, id, made.Secret) || lets(c.Kind, id, made.Secret+"x") {
				t.Error("the secret given does not open the door, or another one does")
			}
			again := must[desk.Issued](t)(o.RotateCredential(ctx, desk.Rotation{Kind: c.Kind, ID: id}))
			if again.Credential.ID != id || again.Secret == made.Secret || lets(c.Kind, id, made.Secret) || !lets(c.Kind, id, again.Secret) {
				t.Error("after rotation the new secret alone opens")
			}
			if _, err := o.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{Kind: c.Kind, ID: id, Account: 1}}); err == nil {
				t.Error("a name was given out twice")
			}
			must[gateway.Credential](t)(o.RevokeCredential(ctx, gateway.CredentialKey{Kind: c.Kind, ID: id}))
			must[gateway.Credential](t)(o.RevokeCredential(ctx, gateway.CredentialKey{Kind: c.Kind, ID: id}))
			if lets(c.Kind, id, again.Secret) {
				t.Error("a revoked credential lets in")
			}
			_, err := o.RotateCredential(ctx, desk.Rotation{Kind: c.Kind, ID: id})
			refused(t, err, gateway.CodeConflict, "id", "revoked")
			changed := made.Credential
			changed.Name = "Yeni"
			if got := must[gateway.Credential](t)(o.ChangeCredential(ctx, changed)); !got.Revoked || got.Name != "Yeni" {
				t.Errorf("a change brought a revoked credential back: %+v", got)
			}
		})
	}
	for _, c := range must[[]gateway.Credential](t)(o.ListCredentials(ctx, desk.Query{})) {
		if c.SecretHash != "" {
			t.Errorf("the list shows the hash of %s", c.ID)
		}
	}
}

func TestCredentialRefusals(t *testing.T) {
	o := furnished(t)
	good := desk.NewCredential{Credential: gateway.Credential{Kind: "smpp", ID: "k1", Account: 1}, Secret: "s3cret-8"}
	must[desk.Issued](t)(o.CreateCredential(ctx, good))
	for _, c := range []struct {
		why, field, part string
		code             gateway.Code
		f                func(*desk.NewCredential)
	}{
		{"kind missing", "kind", "missing", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.Kind = "" }},
		{"kind", "kind", "api, smpp, smtp", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.Kind = "ftp" }},
		{"taken", "id", "exists", gateway.CodeConflict, func(*desk.NewCredential) {}},
		{"taken by another", "id", "exists", gateway.CodeConflict, func(n *desk.NewCredential) { n.Credential.Account = 2 }},
		{"long system_id", "id", "15", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.ID = "sixteen-letters-" }},
		{"smtp user", "id", "64", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.Kind, n.Credential.ID = "smtp", "a b" }},
		{"long password", "secret", "exactly 8", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Secret = "123456789" }},
		{"smtp password", "secret", "8 to 128", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.Kind, n.Secret = "smtp", "kısaparola" }},
		{"key form", "secret", "izk_", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.Kind, n.Credential.ID = "api", "" }},
		{"key id", "id", "contains the id", gateway.CodeInvalid, func(n *desk.NewCredential) {
			n.Credential.Kind, n.Secret = "api", "izk_other_abcdefghijklmnopqrstuvwxyz0123"
		}},
		{"chosen key id", "id", "brings its own", gateway.CodeInvalid, func(n *desk.NewCredential) {
			n.Credential.Kind, n.Credential.ID, n.Secret = "api", "a_b", ""
		}},
		{"account", "account", "7", gateway.CodeNotFound, func(n *desk.NewCredential) { n.Credential.Account = 7 }},
		{"another's brand", "brand", "700001", gateway.CodeBrand, func(n *desk.NewCredential) { n.Credential.Brand = "700001" }},
		{"unknown sender", "from", "register", gateway.CodeSender, func(n *desk.NewCredential) { n.Credential.From = "BASKA" }},
		{"no sender at all", "from", "cannot be", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.From = "Örnek A.Ş. Bülten" }},
		{"unknown mail sender", "from", "register", gateway.CodeSender, func(n *desk.NewCredential) { n.Credential.From = "a@example.com" }},
		{"class", "classes", "otp", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.Classes = []string{"promo"} }},
		{"default class", "defaultClass", "commercial", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.DefaultClass = "otp" }},
		{"reason without class", "reason", "transactional", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.Reason = "order" }},
		{"reason", "reason", "collection", gateway.CodeInvalid, func(n *desk.NewCredential) {
			n.Credential.Reason, n.Credential.Classes = "fun", []string{"transactional"}
		}},
		{"scopes of SMPP", "scopes", "API keys", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.Scopes = []string{"send"} }},
		{"scope", "scopes", "webhooks", gateway.CodeInvalid, func(n *desk.NewCredential) {
			n.Credential.Kind, n.Credential.ID, n.Secret, n.Credential.Scopes = "api", "", "", []string{"all"}
		}},
		{"binds of an API key", "maxBinds", "SMPP", gateway.CodeInvalid, func(n *desk.NewCredential) {
			n.Credential.Kind, n.Credential.ID, n.Secret, n.Credential.MaxBinds = "api", "", "", 3
		}},
		{"binds", "maxBinds", "1000", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.MaxBinds = 1001 }},
		{"window", "window", "between", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.Window = -1 }},
		{"rate", "perSecond", "between", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.PerSecond = -1 }},
		{"network", "cidrs", "192.0.2.0/24", gateway.CodeInvalid, func(n *desk.NewCredential) { n.Credential.CIDRs = []netip.Prefix{{}} }},
	} {
		_, err := o.CreateCredential(ctx, with(good, c.f))
		t.Run(c.why, func(t *testing.T) { refused(t, err, c.code, c.field, c.part) })
	}
	_, err := o.ChangeCredential(ctx, gateway.Credential{Kind: "smpp", ID: "k1", Account: 2})
	refused(t, err, gateway.CodeInvalid, "account", "stays")
	_, err = o.RevokeCredential(ctx, gateway.CredentialKey{Kind: "smpp", ID: "none"})
	refused(t, err, gateway.CodeNotFound, "id", "none")
	given := "izk_demo_abcdefghijklmnopqrstuvwxyz012345"
	if got := must[desk.Issued](t)(o.CreateCredential(ctx, desk.NewCredential{Secret: given, Credential: gateway.Credential{Kind: "api", Account: 1}})); got.Secret != given || got.Credential.ID != "demo" {
		t.Errorf("got %+v", got)
	}
}
