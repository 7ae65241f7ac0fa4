package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/account"
	"izinli/gateway/desk"
	"izinli/gateway/store"
)

// exampleBootstrap is the section of the documented example.
func exampleBootstrap(t *testing.T) *configs.Config {
	t.Helper()
	b, err := os.ReadFile("../../configs/izinli.yaml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "c.yaml")
	if err := os.WriteFile(path, regexp.MustCompile(`(?m)^#: `).ReplaceAll(b, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg.PublicURL = "https://izinli.example.com" // forms need it
	return &cfg
}

// office takes consents and refuses one.
type office struct {
	gateway.ConsentDesk
	got []gateway.Consent
}

func (o *office) Add(_ context.Context, _ *gateway.Principal, list []gateway.Consent) ([]gateway.ConsentResult, error) {
	o.got = append(o.got, list...)
	return []gateway.ConsentResult{{Code: gateway.CodeInvalid, Text: "too old"}}, nil
}

func memory(t *testing.T) (*store.Store, *office, *desk.Admin) {
	t.Helper()
	st, err := store.Open(store.Options{InMemory: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	o := &office{}
	return st, o, desk.New(desk.Deps{Store: st, Consents: o})
}

// try fills a store after a rehearsal by the desk's own rules.
func try(t *testing.T, cfg *configs.Config, st *store.Store, admin desk.Service, out io.Writer) error {
	t.Helper()
	return fill(t.Context(), cfg, st, admin, func(st *store.Store) desk.Service {
		return desk.New(desk.Deps{Store: st, Consents: &office{}, PublicURL: func() string { return cfg.PublicURL }})
	}, out)
}

// The documented example fills an empty store with everything it names.
func TestBootstrapFillsAnEmptyStore(t *testing.T) {
	cfg := exampleBootstrap(t)
	st, o, admin := memory(t)
	var out bytes.Buffer
	if err := try(t, cfg, st, admin, &out); err != nil {
		t.Fatal(err)
	}
	d := st.Directory()
	if len(d.Accounts) != 1 || len(d.Brands) != 1 || len(d.Senders) != 2 || len(d.Credentials) != 2 || len(d.Numbers) != 1 ||
		len(d.Operators) != 1 || len(d.Routes) != 1 || len(d.IYSLinks) != 1 || len(d.Webhooks) != 1 ||
		len(d.Smarthosts) != 1 || len(d.DKIM) != 1 || len(d.RelayPeers) != 1 || len(d.Forms) != 1 {
		t.Errorf("something is missing: %+v", d)
	}
	if c := d.Credentials[gateway.CredentialKey{Kind: "smpp", ID: "ornek"}]; !account.Verify(c.SecretHash, "change-m") || len(c.CIDRs) != 1 {
		t.Errorf("got %+v", c)
	}
	if op := d.Operators["op1"]; op.EnquireLink.Seconds() != 30 || op.IDForm != "hex->dec" || op.Suffix != 5 {
		t.Errorf("got %+v", op)
	}
	for _, want := range []string{"DNS: izinli1._domainkey.bulten.example.com. TXT \"v=DKIM1; k=ed25519; p=", "consent form of brand 675403: "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("said %q, without %q", out.String(), want)
		}
	}
	if p := d.RelayPeers["posta"]; p == nil || p.Credential != "bulten@ornek" || len(p.CIDRs) != 1 {
		t.Errorf("got %+v", p)
	}
	if b, err := st.Balance(t.Context(), 1); err != nil || b.Credits != 10000 {
		t.Errorf("got %+v, %v", b, err)
	}
	if len(o.got) != 1 || o.got[0].Channel != "MESAJ" || o.got[0].Address != "+905321234567" || !strings.Contains(out.String(), "too old") {
		t.Errorf("consents %+v, said %q", o.got, out.String())
	}

	// Ever after it is ignored: what the administrator changed stays.
	if _, err := admin.DeleteRoute(t.Context(), desk.Name{Name: "default"}); err != nil {
		t.Fatal(err)
	}
	if err := try(t, cfg, st, admin, &out); err != nil || len(st.Directory().Routes) != 0 {
		t.Errorf("the second start: %v, %d routes", err, len(st.Directory().Routes))
	}
}

// A store that holds anything is left alone.
func TestBootstrapLeavesAStoreAlone(t *testing.T) {
	st, _, admin := memory(t)
	if _, err := admin.PutAccount(t.Context(), gateway.Account{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	if err := try(t, exampleBootstrap(t), st, admin, &bytes.Buffer{}); err != nil || len(st.Directory().Operators) != 0 {
		t.Errorf("got %v, %d operators", err, len(st.Directory().Operators))
	}
}

// A mistake names its place and leaves nothing behind, so that it can be mended and tried again.
func TestBootstrapRefusesWhole(t *testing.T) {
	st, _, admin := memory(t)
	for _, c := range []struct {
		want  string
		wreck func(*configs.Bootstrap)
	}{
		{"bootstrap: iysLinks[0]", func(b *configs.Bootstrap) { b.IYSLinks[0].Password = "" }},
		{"bootstrap: operators[0]", func(b *configs.Bootstrap) { b.Operators[0].Window = 3 }},
		{"bootstrap: accounts[0]: brands[0]", func(b *configs.Bootstrap) { b.Accounts[0].Brands[0].IYS = "none" }},
		{"bootstrap: accounts[0]: senders[0]", func(b *configs.Bootstrap) { b.Accounts[0].Senders[0].Name = "Örnek" }},
		{"bootstrap: accounts[0]: credentials[0]", func(b *configs.Bootstrap) { b.Accounts[0].Credentials[0].Secret = "long secret" }},
		{"bootstrap: accounts[0]: numbers[0]", func(b *configs.Bootstrap) { b.Accounts[0].Numbers[0].Keyword = "ret" }},
		{"bootstrap: accounts[0]: webhook", func(b *configs.Bootstrap) { b.Accounts[0].Webhook.Events = []string{"x"} }},
		{"bootstrap: accounts[0]: invalid", func(b *configs.Bootstrap) { b.Accounts[0].Policy.OnDoubt = "x" }},
		{"bootstrap: accounts[0]: dkim[0]", func(b *configs.Bootstrap) { b.Accounts[0].DKIM[0].Private = "no PEM" }},
		{"bootstrap: accounts[0]: forms[0]", func(b *configs.Bootstrap) { b.Accounts[0].Forms[0].TextTR = "kısa" }},
		{"bootstrap: smarthosts[0]", func(b *configs.Bootstrap) { b.Smarthosts[0].TLS = "off" }},
		{"bootstrap: smarthosts[0]: not_found", func(b *configs.Bootstrap) { b.Smarthosts[0].Account = "nobody" }},
		{"bootstrap: relayPeers[0]", func(b *configs.Bootstrap) { b.RelayPeers[0].CIDRs = nil }},
		{"bootstrap: routes[0]: not_found", func(b *configs.Bootstrap) { b.Routes[0].Account = "nobody" }},
	} {
		cfg := exampleBootstrap(t)
		c.wreck(&cfg.Bootstrap)
		err := try(t, cfg, st, admin, &bytes.Buffer{})
		if d := st.Directory(); err == nil || !strings.HasPrefix(err.Error(), c.want) || len(d.Accounts)+len(d.Operators)+len(d.IYSLinks) > 0 {
			t.Errorf("got %v, want %s and an empty store", err, c.want)
		}
	}
	cfg := exampleBootstrap(t)
	cfg.PublicURL = ""
	if err := try(t, cfg, st, admin, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "forms[0]") || len(st.Directory().Accounts) > 0 {
		t.Errorf("a form nobody could reach: %v", err)
	}
	if err := try(t, exampleBootstrap(t), st, admin, &bytes.Buffer{}); err != nil {
		t.Errorf("after mending: %v", err)
	}
}

// A process killed while filling is noticed.
func TestBootstrapNoticesACrash(t *testing.T) {
	st, _, admin := memory(t)
	if err := st.PutNamed(bootstrapMark, []byte("begun")); err != nil {
		t.Fatal(err)
	}
	if err := try(t, exampleBootstrap(t), st, admin, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
}

// Secrets that were made are told, once.
func TestBootstrapTellsSecretsItMade(t *testing.T) {
	cfg := exampleBootstrap(t)
	cfg.Bootstrap.Accounts[0].Credentials[0].Secret = ""
	cfg.Bootstrap.Accounts[0].Webhook.Secret = ""
	st, _, admin := memory(t)
	var out bytes.Buffer
	if err := try(t, cfg, st, admin, &out); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`smpp credential ornek: secret (\S+)`).FindStringSubmatch(out.String())
	if m == nil || !account.Verify(st.Directory().Credentials[gateway.CredentialKey{Kind: "smpp", ID: "ornek"}].SecretHash, m[1]) ||
		!strings.Contains(out.String(), "webhook of Örnek A.Ş.: secret ") {
		t.Errorf("said %q", out.String())
	}
}
