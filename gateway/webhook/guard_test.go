package webhook

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"izinli/gateway"
)

// Over real sockets: redirects are not followed, and only what the guard allows is reached.
func TestRealSockets(t *testing.T) {
	var mu sync.Mutex
	var paths []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		paths = append(paths, r.URL.Path)
		mu.Unlock()
		if r.URL.Path == "/redirect" {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}
	}))
	defer srv.Close()
	try := func(g Guard, path string) result {
		s := newShelf()
		snd := New(Config{Guard: g}, s, s, s)
		return snd.attempt(t.Context(), gateway.Event{ID: "e", Body: []byte("{}")}, &gateway.Webhook{URL: srv.URL + path, Secret: "k"})
	}
	if r := try(Guard{AllowPrivate: true}, "/good"); r.err != nil {
		t.Errorf("allowed: %v", r.err)
	}
	if r := try(Guard{AllowPrivate: true}, "/redirect"); r.err == nil || r.err.Error() != "status 307" {
		t.Errorf("redirect: %v, want status 307", r.err)
	}
	if r := try(Guard{}, "/private"); r.err == nil {
		t.Error("a loopback address was reached")
	}
	if got := strings.Join(paths, " "); got != "/good /redirect" {
		t.Errorf("requests arrived at %s", got)
	}
	// The same at the level of the connection, where a name may have led.
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, nil)
	if _, err := (Guard{}).transport(false, 1).RoundTrip(req); !errors.Is(err, ErrTarget) {
		t.Errorf("connecting to loopback: %v, want %v", err, ErrTarget)
	}
}

func TestGuardAddresses(t *testing.T) {
	type want struct{ public, private, plain bool } // allowed: by default, with AllowPrivate, and then over plain http
	for addr, w := range map[string]want{
		"8.8.8.8":              {true, true, false},
		"2606:4700:4700::1111": {true, true, false},
		"127.0.0.1":            {false, true, true},
		"::1":                  {false, true, true},
		"10.1.2.3":             {false, true, true},
		"172.31.0.1":           {false, true, true},
		"172.32.0.1":           {true, true, false},
		"192.168.1.1":          {false, true, true},
		"100.64.0.1":           {false, true, true},
		"fd12::1":              {false, true, true},
		"169.254.169.254":      {},
		"fe80::1":              {},
		"fd00:ec2::254":        {},
		"100.100.100.200":      {},
		"0.0.0.0":              {},
		"::":                   {},
		"224.0.0.1":            {},
		"255.255.255.255":      {},
		"ff02::1":              {},
		"::ffff:127.0.0.1":     {false, true, true},
		"::ffff:8.8.8.8":       {true, true, false},
		"64:ff9b::a9fe:a9fe":   {}, // 169.254.169.254 through NAT64
		"64:ff9b::7f00:1":      {false, true, true},
		"2002:a9fe:a9fe::1":    {},
		"::7f00:1":             {false, true, true},
	} {
		a := netip.MustParseAddr(addr)
		got := want{Guard{}.check(a, false) == nil, Guard{AllowPrivate: true}.check(a, false) == nil, Guard{AllowPrivate: true}.check(a, true) == nil}
		if got != w {
			t.Errorf("%s: %+v, want %+v", addr, got, w)
		}
		if (Guard{}).check(a, true) == nil {
			t.Errorf("%s: plain http is allowed by default", addr)
		}
	}
}

func TestCheckURL(t *testing.T) {
	for raw, want := range map[string][2]bool{ // by default, with AllowPrivate
		"https://example.com/hook?x=1":  {true, true},
		"https://example.com:8443/":     {true, true},
		"http://example.com/":           {false, true}, // refused when connecting, unless the name leads inside
		"http://localhost:8080/":        {false, true},
		"http://127.0.0.1:8080/":        {false, true},
		"http://8.8.8.8/":               {false, false},
		"https://127.0.0.1/":            {false, true},
		"https://[::1]/":                {false, true},
		"https://169.254.169.254/":      {false, false},
		"https://[fe80::1%25eth0]/":     {false, false},
		"https://user:pw@example.com/":  {false, false},
		"https://example.com/#fragment": {false, false},
		"ftp://example.com/":            {false, false},
		"https:///path":                 {false, false},
		"https:example.com":             {false, false},
		"example.com":                   {false, false},
		"":                              {false, false},
		"https://exa mple.com/":         {false, false},
	} {
		got := [2]bool{Guard{}.CheckURL(raw) == nil, Guard{AllowPrivate: true}.CheckURL(raw) == nil}
		if got != want {
			t.Errorf("%q: %v, want %v", raw, got, want)
		}
	}
}
