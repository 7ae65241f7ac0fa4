package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/store"
	"izinli/iys/iystest"
)

// firstStart is a server over an empty store, and the example's section with a partner brand of a simulated İYS.
func firstStart(t *testing.T) (*assembly.Server, *configs.Config, *iystest.Sim) {
	t.Helper()
	sim := iystest.New(assembly.FastIYS())
	sim.Seed()
	iys, err := iystest.Listen(sim, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = iys.Close() })
	cfg := exampleBootstrap(t)
	cfg.Data = t.TempDir()
	cfg.Listen = configs.Listen{API: "127.0.0.1:0"}
	b := &cfg.Bootstrap
	b.IYSLinks[0] = configs.BootLink{Name: "main", BaseURL: iys.URL, Username: iystest.SeedPartner, Password: iystest.SeedPassword, IntegratorCode: 700001}
	b.Accounts[0].IYSCode = 100001
	st, err := store.Open(store.Options{InMemory: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s, err := assembly.NewServer(t.Context(), cfg, st, slog.New(slog.DiscardHandler), assembly.ServerOptions{IYSLimits: assembly.FastLimits()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Run(ended); err != nil {
			t.Error(err)
		}
		_ = st.Close()
	})
	inParts := func(code string) { // every record of the section that names the brand
		a := &b.Accounts[0]
		a.Brands[0].Code = code
		for i := range a.Senders {
			a.Senders[i].Brand = code
		}
		a.Forms[0].Brand, a.Credentials[0].Brand, a.Numbers[0].Brand, a.Consents[0].Brand = code, code, code, code
	}
	inParts(iystest.SeedIYSCode)
	return s, cfg, sim
}

// What the running server would refuse, the rehearsal refuses: nothing is stored, and the corrected section is taken at the next try.
func TestBootstrapRehearsesByTheServersRules(t *testing.T) {
	s, cfg, sim := firstStart(t)
	b := &cfg.Bootstrap
	start := func() error {
		return fill(t.Context(), cfg, s.Store, s.Admin, func(st *store.Store) desk.Service { return s.Rehearsal(st) }, io.Discard)
	}
	refused := func(why, want string) {
		t.Helper()
		err := start()
		d := s.Store.Directory()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "remove") || len(d.Accounts)+len(d.Operators)+len(d.IYSLinks) > 0 {
			t.Errorf("%s: %v, %d accounts; want %q and an empty store", why, err, len(d.Accounts), want)
		}
		if v, _, err := s.Store.Named(bootstrapMark); err != nil || len(v) > 0 {
			t.Errorf("%s: the store says %q, %v; want nothing noted", why, v, err)
		}
	}
	hook := b.Accounts[0].Webhook.URL
	for _, url := range []string{"http://example.com/izinli", "https://10.0.0.7/izinli", "https://127.0.0.1/"} {
		b.Accounts[0].Webhook.URL = url
		refused("webhook "+url, "accounts[0]: webhook")
	}
	b.Accounts[0].Webhook.URL = hook
	sim.Grant(iystest.SeedIntegrator, iystest.SeedIYSCode, "MESAJ", "")
	refused("a channel that was not granted", "accounts[0]: brands[0]")
	sim.Grant(iystest.SeedIntegrator, iystest.SeedIYSCode, "MESAJ", "write")
	b.Accounts[0].IYSCode = 300001
	refused("a company İYS does not know us for", "accounts[0]: brands[0]")
	b.Accounts[0].IYSCode = 100001
	b.Accounts[0].Consents[0].Channel = "post"
	refused("a channel there is not", "accounts[0]: consents")
	b.Accounts[0].Consents[0].Channel = "sms"
	if err := start(); err != nil || len(s.Store.Directory().Routes) != 1 {
		t.Errorf("after mending: %v, %d routes", err, len(s.Store.Directory().Routes))
	}
}

// fickle is an administration that refuses routes.
type fickle struct{ desk.Service }

func (fickle) PutRoute(context.Context, gateway.Route) (gateway.Route, error) {
	return gateway.Route{}, gateway.Refuse(gateway.CodeUnavailable, "", "İYS changed its mind.")
}

// A refusal that comes after the rehearsal is named as what it is, at once and at the next start.
func TestBootstrapTellsALateRefusal(t *testing.T) {
	st, _, admin := memory(t)
	cfg := exampleBootstrap(t)
	for _, a := range []desk.Service{fickle{admin}, admin} {
		err := try(t, cfg, st, a, &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), "changed its mind") || !strings.Contains(err.Error(), "remove "+storeDir(cfg)) || strings.Contains(err.Error(), "interrupted") {
			t.Errorf("got %v, want the refusal and what to do", err)
		}
	}
}

// More consents than one call takes are brought in several.
func TestBootstrapBringsManyConsents(t *testing.T) {
	st, o, admin := memory(t)
	cfg := exampleBootstrap(t)
	a := &cfg.Bootstrap.Accounts[0]
	for len(a.Consents) < consentsAtOnce+1 {
		a.Consents = append(a.Consents, a.Consents[0])
	}
	var out bytes.Buffer
	if err := try(t, cfg, st, admin, &out); err != nil || len(o.got) != consentsAtOnce+1 || !strings.Contains(out.String(), "consents[5000] was not taken") {
		t.Errorf("%v, %d consents, said %q", err, len(o.got), out.String())
	}
}
