package account

import (
	"encoding/base64"
	"math"
	"strings"
	"testing"

	"izinli/gateway"
)

func TestAPIKey(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		id, key, hash := NewAPIKey()
		gotID, ok := KeyID(key)
		switch {
		case !ok || gotID != id:
			t.Fatalf("KeyID(%q) = %q, %v, want %q", key, gotID, ok, id)
		case len(key) != len("izk_")+10+1+52:
			t.Fatalf("key of %d characters", len(key))
		case hash != HashAPIKey(key) || len(hash) != 64:
			t.Fatalf("hash %q", hash)
		case seen[id] || seen[key]:
			t.Fatalf("%q came twice", key)
		}
		seen[id], seen[key] = true, true
	}
	for _, bad := range []string{"", "izk_", "izk_abc", "izk_abc_", "izk__secret", "IZK_abc_def", "abc_def"} {
		if id, ok := KeyID(bad); ok {
			t.Errorf("KeyID(%q) = %q, want refused", bad, id)
		}
	}
}

func TestNewPassword(t *testing.T) {
	for _, n := range []int{0, 8, 24, 100} {
		p := NewPassword(n)
		if want := max(n, 8); len(p) != want {
			t.Errorf("NewPassword(%d) has %d characters, want %d", n, len(p), want)
		}
		if strings.Trim(p, passwordAlphabet) != "" {
			t.Errorf("NewPassword(%d) = %q, with foreign characters", n, p)
		}
	}
	// Every character turns up about equally often (five sigma).
	count := map[rune]int{}
	const draws = 200_000
	for _, r := range NewPassword(draws) {
		count[r]++
	}
	mean := float64(draws) / float64(len(passwordAlphabet))
	for _, r := range passwordAlphabet {
		if d := math.Abs(float64(count[r]) - mean); d > 5*math.Sqrt(mean) {
			t.Errorf("%q came %d times, want about %.0f", r, count[r], mean)
		}
	}
}

func TestHashSecretByKind(t *testing.T) {
	for _, c := range []struct {
		kind   gateway.CredentialKind
		prefix string
	}{{gateway.KindSMPP, "$argon2id$v=19$m=19456,t=2,p=1$"}, {gateway.KindSMTP, "SCRAM-SHA-256$120000:"}} {
		h := HashSecret(c.kind, "parola-ı")
		if !strings.HasPrefix(h, c.prefix) {
			t.Errorf("%s: %s, want %s…", c.kind, h, c.prefix)
		}
		if !Verify(h, "parola-ı") || Verify(h, "parola-i") {
			t.Errorf("%s: verification is wrong", c.kind)
		}
		if h == HashSecret(c.kind, "parola-ı") {
			t.Errorf("%s: two hashes of one password are equal, so it has no salt", c.kind)
		}
	}
	if got, want := HashSecret(gateway.KindAPI, "abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; got != want {
		t.Errorf("api: %s, want %s (FIPS 180-2 B.1)", got, want)
	}
}

// RFC 7677 §3: user "user", password "pencil", 4096 rounds.
func TestSCRAMVector(t *testing.T) {
	salt, err := base64.StdEncoding.DecodeString("W22ZaJ0SNY7soEsUEjb6gQ==")
	if err != nil {
		t.Fatal(err)
	}
	k := scramKeys("pencil", salt, 4096)
	const authMessage = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
		"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
	got := base64.StdEncoding.EncodeToString(mac(k.ServerKey, authMessage))
	if want := "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="; got != want {
		t.Errorf("server signature %s, want %s", got, want)
	}
	back, ok := ParseSCRAM(k.String())
	if !ok || back.String() != k.String() {
		t.Errorf("ParseSCRAM(%s) = %s, %v", k, back, ok)
	}
}

func TestBadStoredFormsMatchNothing(t *testing.T) {
	good := HashPassword("x")
	for why, stored := range map[string]string{
		"empty":             "",
		"plain text":        "x",
		"another algorithm": strings.Replace(good, "argon2id", "argon2i", 1),
		"another version":   strings.Replace(good, "v=19", "v=16", 1),
		"a memory bomb":     strings.Replace(good, "m=19456", "m=4294967295", 1),
		"no rounds":         strings.Replace(good, "t=2", "t=0", 1),
		"cut short":         good[:len(good)-4],
		"no salt":           "$argon2id$v=19$m=19456,t=2,p=1$$" + good[strings.LastIndexByte(good, '$')+1:],
		"scram, few rounds": "SCRAM-SHA-256$1:AAAA$" + strings.Repeat("A", 43) + "=:" + strings.Repeat("A", 43) + "=",
		"scram, bad base64": "SCRAM-SHA-256$4096:!$A:A",
	} {
		if Verify(stored, "x") {
			t.Errorf("%s: %q was taken", why, stored)
		}
	}
	if !Verify(good, "x") {
		t.Error("the good twin was refused")
	}
}

func FuzzVerifyForms(f *testing.F) {
	f.Add("SCRAM-SHA-256$4096:AAAA$A:A")
	f.Add("$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, s string) {
		if k, ok := ParseSCRAM(s); ok {
			if again, ok := ParseSCRAM(k.String()); !ok || again.String() != k.String() {
				t.Errorf("%q does not survive its own form", s)
			}
		}
		if len(s) < 100 && strings.Contains(s, "m=8,t=1") {
			Verify(s, "password")
		}
	})
}
