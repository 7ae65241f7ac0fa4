package iyslink

import (
	"bytes"
	"errors"
	"testing"

	"izinli/gateway"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

// linkBench is a simulated İYS and two brands with an API user of their own each.
func linkBench(t *testing.T) (*iystest.Sim, *store.Store) {
	t.Helper()
	sim := iystest.New(iystest.Config{Limits: iystest.Limits{PerSecond: -1, StatusPerHour: -1}})
	sim.Seed()
	sim.AddUser(iystest.User{Username: "other@firma.example", Password: iystest.SeedPassword, IYSCode: iystest.SeedOtherIYS})
	srv, err := iystest.Listen(sim, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	st, err := store.Open(store.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	ctx := t.Context()
	acct := &gateway.Account{Name: "a"}
	if err := st.PutAccount(ctx, acct); err != nil {
		t.Fatal(err)
	}
	for code, user := range map[string]string{iystest.SeedIYSCode: iystest.SeedUser, iystest.SeedOtherIYS: "other@firma.example"} {
		n := 100001
		if code == iystest.SeedOtherIYS {
			n = 200001
		}
		if err := st.PutIYSLink(ctx, &gateway.IYSLink{Name: "l" + code, BaseURL: srv.URL, Username: user, Password: st.Seal(iystest.SeedPassword)}); err != nil {
			t.Fatal(err)
		}
		if err := st.PutBrand(ctx, &gateway.Brand{Code: code, Account: acct.ID, IYSCode: n, IYS: "l" + code, SMS: gateway.BrandMode{Mode: "partner"}}); err != nil {
			t.Fatal(err)
		}
	}
	return sim, st
}

func status(t *testing.T, d *Directory, brand string) error {
	t.Helper()
	b, ok, err := d.Brand(t.Context(), brand)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	_, _, err = b.API.Status(t.Context(), b.Brand, iys.Key{Brand: brand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson, Recipient: "+905321234567"})
	return err
}

// İYS counts by the address calls come from: what one brand uses up is used up for all, whoever's password they go by.
func TestBrandsShareTheLimitsOfOneAddress(t *testing.T) {
	sim, st := linkBench(t)
	d := New(st, iysapi.Limits{PerSecond: 1000, StatusPerHour: 3}, nil)
	for range 3 {
		if err := status(t, d, iystest.SeedIYSCode); err != nil {
			t.Fatal(err)
		}
	}
	var e *iysapi.APIError
	if err := status(t, d, iystest.SeedOtherIYS); !errors.As(err, &e) || e.Code != "H086" || e.HTTP != 0 {
		t.Errorf("the other brand's question: %v, want H086 said here", err)
	}
	if got := sim.Counters().ByOperation["status"]; got != 3 {
		t.Errorf("İYS was asked %d times, want 3", got)
	}
}

// A restart finds the tokens in the store, sealed, one for each API user; a changed password takes a new one.
func TestTokensOutliveTheProcess(t *testing.T) {
	sim, st := linkBench(t)
	taken := func() int { return sim.Counters().ByOperation["token"] }
	for restart := range 3 {
		d := New(st, iysapi.Limits{PerSecond: 1000}, nil)
		for _, brand := range []string{iystest.SeedIYSCode, iystest.SeedOtherIYS, iystest.SeedIYSCode} {
			if err := status(t, d, brand); err != nil {
				t.Fatalf("start %d, brand %s: %v", restart, brand, err)
			}
		}
		if got := taken(); got != 2 {
			t.Errorf("start %d: %d token calls so far, want one for each API user", restart, got)
		}
	}
	v, ok, err := st.Named(tokenName(iystest.SeedUser))
	tok, loadErr := tokens{st}.LoadToken(t.Context(), iystest.SeedUser)
	if err != nil || loadErr != nil || !ok || tok.Access == "" || bytes.Contains(v, []byte("Access")) || bytes.Contains(v, []byte(tok.Access)) {
		t.Errorf("the token lies open in the store: %t %v %.40q", ok, err, v)
	}
}
