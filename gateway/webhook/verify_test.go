package webhook

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestVerify(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	body := []byte(`{"id":"1"}`)
	good := Sign("k", now, body)
	// Worked out with: printf '1800000000.{"id":"1"}' | openssl dgst -sha256 -hmac k
	if want := "t=1800000000,v1=fe8150ce585e3236111a88d01464fd8fed3c4d51d55cf16faecbd54da77c0282"; good != want {
		t.Fatalf("Sign: %s, want %s", good, want)
	}
	for _, c := range []struct {
		why            string
		secret, header string
		body           string
		at             time.Time
		want           error
	}{
		{"good", "k", good, string(body), now, nil},
		{"good, four minutes later", "k", good, string(body), now.Add(4 * time.Minute), nil},
		{"unknown parts", "k", "v0=x, " + good + ",v2=y", string(body), now, nil},
		{"one of two fits", "k", good + "," + "v1=00", string(body), now, nil},
		{"six minutes later", "k", good, string(body), now.Add(6 * time.Minute), ErrExpired},
		{"from the future", "k", good, string(body), now.Add(-6 * time.Minute), ErrExpired},
		{"another body", "k", good, `{"id":"2"}`, now, ErrSignature},
		{"another secret", "j", good, string(body), now, ErrSignature},
		{"no secret", "", Sign("", now, body), string(body), now, ErrSignature},
		{"another time", "k", strings.Replace(good, "t=1800000000", "t=1800000001", 1), string(body), now, ErrSignature},
		{"two times", "k", "t=1800000001," + good, string(body), now, ErrSignature},
		{"no time", "k", good[strings.IndexByte(good, ',')+1:], string(body), now, ErrSignature},
		{"no signature", "k", "t=1800000000", string(body), now, ErrSignature},
		{"half a signature", "k", good[:len(good)-2], string(body), now, ErrSignature},
		{"nothing", "k", "", string(body), now, ErrSignature},
	} {
		if got := Verify(c.secret, c.header, []byte(c.body), c.at, 5*time.Minute); got != c.want {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
	if a, b := NewSecret(), NewSecret(); a == b || len(a) < 50 || !strings.HasPrefix(a, "whsec_") {
		t.Errorf("secrets %q and %q", a, b)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("t=1800000000,v1=00", []byte("x"))
	f.Add(Sign("k", time.Unix(1_800_000_000, 0), []byte("x")), []byte("x"))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		now := time.Unix(1_800_000_000, 0)
		_ = Verify("k", header, body, now, time.Minute) // must not panic
		if Verify("k", Sign("k", now, body)+","+header, body, now, time.Minute) != nil && !strings.Contains(header, "t") {
			t.Errorf("parts after a good signature spoil it: %q", header)
		}
		if Verify("another", header, body, now, time.Minute) == nil {
			t.Errorf("%q fits a secret it was not made with", header)
		}
	})
}

func ExampleVerify() {
	secret := "whsec_example"
	body := []byte(`{"type":"inbound"}`)
	now := time.Unix(1_800_000_000, 0)
	header := Sign(secret, now, body) // what arrives as Izinli-Signature
	fmt.Println(Verify(secret, header, body, now, 5*time.Minute))
	fmt.Println(Verify(secret, header, []byte(`{"type":"forged"}`), now, 5*time.Minute))
	// Output:
	// <nil>
	// webhook: the signature does not fit the body
}
