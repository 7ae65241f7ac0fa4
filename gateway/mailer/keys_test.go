package mailer

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"testing"

	"izinli/gateway"
)

// vault is a store of which keys are needed alone.
type vault struct {
	dir    *gateway.Directory
	opened int
}

func (v *vault) Directory() *gateway.Directory { return v.dir }

func (v *vault) Unseal(s gateway.Sealed) (string, error) {
	v.opened++
	if s == "broken" {
		return "", errors.New("sealed with another key")
	}
	return string(s), nil
}

func (v *vault) Suppress(context.Context, *gateway.Suppression) error { return nil }

// Mail of a domain is signed with all keys of it, of both kinds, or with those of the nearest domain above; never with another account's
// or one that is out of use.
func TestKeyring(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := func(key any) gateway.Sealed {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return gateway.Sealed(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	v := &vault{dir: gateway.NewDirectory()}
	for _, k := range []gateway.DKIMKey{
		{Domain: "ornek.example", Selector: "s1", Account: 7, Private: text(rsaKey)},
		{Domain: "ornek.example", Selector: "s2", Account: 7, Private: text(ed)},
		{Domain: "ornek.example", Selector: "old", Account: 7, Private: text(ed), Disabled: true},
		{Domain: "bulten.ornek.example", Selector: "b1", Account: 7, Private: text(ed)},
		{Domain: "ornek.example", Selector: "theirs", Account: 9, Private: text(ed)},
		{Domain: "bozuk.example", Selector: "x", Account: 7, Private: "broken"},
	} {
		v.dir.DKIM[k.Name()] = &k
	}
	var r keyring
	check := func(a gateway.AccountID, domain string, want ...string) {
		t.Helper()
		keys, err := r.of(v, a, domain)
		if err != nil {
			t.Error(err)
		}
		var got []string
		for _, k := range keys {
			got = append(got, k.Selector+"."+k.Domain)
		}
		if !slices.Equal(got, want) {
			t.Errorf("account %d, %s: %v, want %v", a, domain, got, want)
		}
	}
	for range 2 {
		check(7, "ornek.example", "s1.ornek.example", "s2.ornek.example")
		check(7, "kampanya.ornek.example", "s1.ornek.example", "s2.ornek.example")
		check(7, "bulten.ornek.example", "b1.bulten.ornek.example")
		check(7, "xornek.example")
		check(9, "ornek.example", "theirs.ornek.example")
	}
	if v.opened != 4 {
		t.Errorf("keys were unsealed %d times, want each once", v.opened)
	}
	if _, err := r.of(v, 7, "bozuk.example"); err == nil {
		t.Error("mail would leave unsigned because a key cannot be read")
	}
	next := gateway.NewDirectory() // a key is taken out of use
	for name, k := range v.dir.DKIM {
		changed := *k
		changed.Disabled = changed.Disabled || k.Selector == "s1"
		next.DKIM[name] = &changed
	}
	v.dir = next
	check(7, "ornek.example", "s2.ornek.example")
}
