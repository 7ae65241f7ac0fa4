package unsubscribe_test

import (
	"bytes"
	"errors"
	"net/url"
	"strings"
	"testing"

	"izinli/gateway"
	"izinli/gateway/unsubscribe"
)

var (
	key1 = bytes.Repeat([]byte{1}, 32)
	key2 = bytes.Repeat([]byte{2}, 32)
)

func tokens(t testing.TB, keys ...[]byte) *unsubscribe.Tokens {
	t.Helper()
	out, err := unsubscribe.NewTokens(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func subject() unsubscribe.Subject {
	return unsubscribe.Subject{Account: 7, Brand: "675403", Channel: gateway.ChannelEmail, Address: "ayse@ornek.example",
		Message: gateway.MessageID{Account: 7, Batch: 1<<62 + 12345, Index: 42}}
}

func TestRoundTrip(t *testing.T) {
	tk := tokens(t, key1)
	big := subject()
	big.Account, big.Message.Index, big.Message.Batch = 1<<32-1, 1<<32-1, 1<<64-1
	for name, s := range map[string]unsubscribe.Subject{
		"mail":             subject(),
		"sms":              {Account: 1, Brand: "1", Channel: gateway.ChannelSMS, Address: "+905321234567"},
		"iys wire value":   {Account: 1, Brand: "1", Channel: "MESAJ", Address: "+905321234567"},
		"unheard channel":  {Account: 1, Brand: "1", Channel: "pigeon", Address: "a"},
		"nothing":          {},
		"largest numbers":  big,
		"longest address":  {Account: 1, Brand: "675403", Channel: gateway.ChannelEmail, Address: strings.Repeat("a", 265)},
		"foreign alphabet": {Account: 1, Brand: "675403", Channel: gateway.ChannelEmail, Address: "çağrı@örnek.example"},
	} {
		token := tk.Make(s)
		got, err := tk.Parse(token)
		if err != nil || got != s {
			t.Errorf("%s: Parse(Make(%+v)) = %+v, %v", name, s, got, err)
		}
		if again := tk.Make(s); again != token {
			t.Errorf("%s: the same subject got two tokens", name)
		}
		if url.PathEscape(token) != token {
			t.Errorf("%s: %q does not fit an URL as it is", name, token)
		}
	}
}

func TestTokenShowsNothingAndIsShort(t *testing.T) {
	token := tokens(t, key1).Make(subject())
	for _, part := range []string{"ayse", "ornek", "675403"} {
		if strings.Contains(token, part) {
			t.Errorf("the token %q shows %q", token, part)
		}
	}
	if len(token) > 90 {
		t.Errorf("the token of an ordinary mail has %d characters", len(token))
	}
	other := subject()
	other.Address = "ayse@ornek.exampla"
	if a, b := token, tokens(t, key1).Make(other); a[8:24] == b[8:24] || a[40:60] == b[40:60] {
		t.Error("subjects that differ in one letter have tokens that agree in part")
	}
}

// Old links work on after a key was changed; without the old key they do not.
func TestKeysRotate(t *testing.T) {
	old := tokens(t, key1).Make(subject())
	if got, err := tokens(t, key2, key1).Parse(old); err != nil || got != subject() {
		t.Errorf("with the old key known: %+v, %v", got, err)
	}
	if _, err := tokens(t, key2).Parse(old); !errors.Is(err, unsubscribe.ErrToken) {
		t.Errorf("without the old key: %v, want ErrToken", err)
	}
	if tokens(t, key2, key1).Make(subject()) == old {
		t.Error("the first key does not sign")
	}
}

func TestURL(t *testing.T) {
	tk := tokens(t, key1)
	if got, want := tk.URL("https://u.example.com", subject()), "https://u.example.com/o/"+tk.Make(subject()); got != want {
		t.Errorf("URL = %s, want %s", got, want)
	}
}

func TestNewTokensRefuses(t *testing.T) {
	for name, keys := range map[string][][]byte{"no key": nil, "a short key": {key1, make([]byte, 15)}, "an empty key": {nil}} {
		if _, err := unsubscribe.NewTokens(keys...); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestParseRefusesForgeries(t *testing.T) {
	tk := tokens(t, key1)
	token := tk.Make(subject())
	if _, err := tk.Parse(token); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]string{
		"nothing":        "",
		"too short":      token[:20],
		"cut":            token[:len(token)-2],
		"longer":         token + "AA",
		"padded":         token + "=",
		"with a blank":   " " + token,
		"other case":     strings.ToLower(token),
		"standard 64":    strings.Repeat("+/", 40),
		"another world":  tokens(t, key2).Make(subject()),
		"very long":      strings.Repeat("A", 100_000),
		"other version":  "Ag" + token[2:],
		"line break":     token[:10] + "\n" + token[10:],
		"percent escape": "%41" + token[1:],
	} {
		if got, err := tk.Parse(s); !errors.Is(err, unsubscribe.ErrToken) || got != (unsubscribe.Subject{}) {
			t.Errorf("%s: Parse = %+v, %v, want ErrToken", name, got, err)
		}
	}
	for i := range token { // every single character matters
		c := byte('A')
		if token[i] == c {
			c = 'B'
		}
		forged := token[:i] + string(c) + token[i+1:]
		if _, err := tk.Parse(forged); !errors.Is(err, unsubscribe.ErrToken) {
			t.Errorf("a token with another character at %d was taken", i)
		}
	}
}

func FuzzParse(f *testing.F) {
	tk := tokens(f, key1)
	f.Add(tk.Make(subject()))
	f.Add(tk.Make(unsubscribe.Subject{}))
	f.Add("")
	f.Add("AQ")
	f.Add(strings.Repeat("_", 64))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := tk.Parse(s)
		if err != nil {
			if !errors.Is(err, unsubscribe.ErrToken) || got != (unsubscribe.Subject{}) {
				t.Fatalf("Parse(%q) = %+v, %v", s, got, err)
			}
			return
		}
		if tk.Make(got) != s {
			t.Fatalf("Parse took %q, which is no token of %+v", s, got)
		}
	})
}

// The part behind the authenticator is read with the same care.
func FuzzDecode(f *testing.F) {
	s := subject()
	f.Add(unsubscribe.EncodeForTest(&s))
	f.Add([]byte{})
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := unsubscribe.DecodeForTest(b)
		if err != nil {
			return
		}
		again, err := unsubscribe.DecodeForTest(unsubscribe.EncodeForTest(&got))
		if err != nil || again != got {
			t.Fatalf("%x reads as %+v, which reads back as %+v, %v", b, got, again, err)
		}
	})
}

// The code of a person is the same in every message, differs from everybody else's, and tells nothing.
func TestCode(t *testing.T) {
	tk := tokens(t, key1)
	s := unsubscribe.Subject{Account: 1, Brand: "675403", Channel: gateway.ChannelSMS, Address: "+905321234567"}
	code := tk.Code(s, 0)
	with := s
	with.Message = gateway.MessageID{Account: 1, Batch: 9}
	if len(code) != 11 || tk.Code(with, 0) != code {
		t.Errorf("codes %q and %q, want the same 11 characters", code, tk.Code(with, 0))
	}
	if got, ok := unsubscribe.NormalCode(code); !ok || got != code {
		t.Errorf("NormalCode(%q) = %q, %v", code, got, ok)
	}
	others := map[string]bool{code: true}
	for _, change := range []func(*unsubscribe.Subject){
		func(s *unsubscribe.Subject) { s.Account = 2 }, func(s *unsubscribe.Subject) { s.Brand = "675404" },
		func(s *unsubscribe.Subject) { s.Channel = gateway.ChannelEmail }, func(s *unsubscribe.Subject) { s.Address = "+905321234568" },
	} {
		o := s
		change(&o)
		others[tk.Code(o, 0)] = true
	}
	others[tk.Code(s, 1)], others[tokens(t, key2).Code(s, 0)] = true, true
	if len(others) != 7 {
		t.Errorf("%d different codes, want 7", len(others))
	}
	if got, want := unsubscribe.ShortURL("https://u.example.com", code), "https://u.example.com/k/"+code; got != want {
		t.Errorf("ShortURL = %s, want %s", got, want)
	}
	for in, want := range map[string]string{"ABCDEFGHJKM": "abcdefghjkm", "o0iIlL12345": "00111112345", "uaaaaaaaaaa": "", "abc": "", "abcdefghjk!": "",
		"abcdefghj\u00e7": "", "abcdefghjkmn": ""} {
		if got, ok := unsubscribe.NormalCode(in); got != want || ok != (want != "") {
			t.Errorf("NormalCode(%q) = %q, %v, want %q", in, got, ok, want)
		}
	}
}
