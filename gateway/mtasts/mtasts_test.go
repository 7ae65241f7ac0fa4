package mtasts

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestParsePolicy(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"the standard's example", "version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmx: backupmx.example.com\nmax_age: 604800\n",
			"enforce [mail.example.com *.example.net backupmx.example.com] 168h0m0s"},
		{"CRLF, blanks, capitals, a field nobody knows", "version: STSv1 \r\nmode:testing\r\nfuture: yes\r\nmx:   MX.Example.COM.\r\nmax_age: 60\r\n", "testing [mx.example.com] 1m0s"},
		{"of a field that comes twice the first counts", "version: STSv1\nmode: enforce\nmode: none\nmx: a.example\nmax_age: 60\nmax_age: 0\n", "enforce [a.example] 1m0s"},
		{"none needs no mx", "version: STSv1\nmode: none\nmax_age: 60\n", "none [] 1m0s"},
		{"another version", "version: STSv2\nmode: enforce\nmx: a.example\nmax_age: 60\n", ""},
		{"no version", "mode: enforce\nmx: a.example\nmax_age: 60\n", ""},
		{"no mx", "version: STSv1\nmode: enforce\nmax_age: 60\n", ""},
		{"no max_age", "version: STSv1\nmode: enforce\nmx: a.example\n", ""},
		{"an age of more than a year", "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 31557601\n", ""},
		{"a negative age", "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1\n", ""},
		{"an unknown mode", "version: STSv1\nmode: strict\nmx: a.example\nmax_age: 60\n", ""},
		{"a star in the middle", "version: STSv1\nmode: enforce\nmx: a.*.example\nmax_age: 60\n", ""},
		{"a page of HTML", "<!doctype html><title>404</title>", ""},
		{"too long", "version: STSv1\nmode: enforce\nmx: a.example\nmax_age: 60\n" + strings.Repeat("x: y\n", maxPolicy/5), ""},
	} {
		p, err := ParsePolicy([]byte(c.text))
		got := ""
		if err == nil {
			got = fmt.Sprint(p.Mode, " ", p.MX, " ", p.MaxAge)
		} else if !errors.Is(err, ErrPolicy) {
			t.Errorf("%s: %v", c.why, err)
		}
		if got != c.want {
			t.Errorf("%s: %q (%v), want %q", c.why, got, err, c.want)
		}
	}
}

func TestPermits(t *testing.T) {
	p := Policy{MX: []string{"mail.example.com", "*.example.net"}}
	for mx, want := range map[string]bool{"mail.example.com": true, "a.example.net": true, "example.net": false, "a.b.example.net": false, ".example.net": false,
		"xmail.example.com": false, "mail.example.com.evil": false, "aexample.net": false} {
		if got := p.Permits(mx); got != want {
			t.Errorf("%s: %v, want %v", mx, got, want)
		}
	}
}

func TestParseRecord(t *testing.T) {
	for _, c := range []struct {
		texts []string
		want  string
	}{
		{[]string{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
		{[]string{"v=spf1 -all", "v=STSv1;id=1", "v=STSv10; id=2"}, "1"},
		{[]string{"v=STSv1; id=1;", "v=STSv1; id=2;"}, ""}, // which of them?
		{[]string{"v=STSv1; id=a-b;"}, ""},
		{[]string{"v=STSv1; id=" + strings.Repeat("1", 33)}, ""},
		{[]string{"v=STSv1;"}, ""}, {[]string{"v=STSv1"}, ""}, {nil, ""},
	} {
		if got := parseRecord(c.texts); got != c.want {
			t.Errorf("%q: %q, want %q", c.texts, got, c.want)
		}
	}
}

// internet is a domain's DNS and web server, as the test wants them.
type internet struct {
	mu     sync.Mutex
	texts  []string
	dnsErr error
	status int
	kind   string
	policy string
	asked  int // of the web server

	now time.Time
	srv *httptest.Server
}

const strict = "version: STSv1\nmode: enforce\nmx: mx.alici.example\nmax_age: 1000000\n"

func newInternet(t *testing.T) *internet {
	n := &internet{texts: []string{"v=STSv1; id=1;"}, status: 200, kind: "text/plain; charset=utf-8", policy: strict, now: time.Unix(1_800_000_000, 0)}
	n.srv = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.asked++
		if r.Host != "mta-sts.alici.example" || r.URL.Path != "/.well-known/mta-sts.txt" {
			http.Error(w, "what?", http.StatusTeapot)
			return
		}
		w.Header().Set("Content-Type", n.kind)
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(n.status)
		_, _ = w.Write([]byte(n.policy))
	}))
	t.Cleanup(n.srv.Close)
	return n
}

// LookupTXT implements Resolver.
func (n *internet) LookupTXT(_ context.Context, name string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.dnsErr == nil && (name != "_mta-sts.alici.example" || n.texts == nil) {
		return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	return n.texts, n.dnsErr
}

func (n *internet) cache(file string) *Cache {
	client := n.srv.Client() // whose certificate is for example.com and no name of ours
	transport := client.Transport.(*http.Transport)
	transport.TLSClientConfig = &tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, ServerName: "example.com"}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, n.srv.Listener.Addr().String())
	}
	return New(Config{Resolver: n, File: file, Client: client, Now: func() time.Time { return n.now }})
}

// The policy host is of the domain's choice: the caller's rule decides where is connected to.
func TestFetchDials(t *testing.T) {
	n := newInternet(t)
	inside := errors.New("inside")
	var dialled []string
	c := New(Config{Resolver: n, Now: func() time.Time { return n.now }, Dial: func(_ context.Context, network, addr string) (net.Conn, error) {
		dialled = append(dialled, network+" "+addr)
		return nil, inside
	}})
	if p := c.Policy(t.Context(), "alici.example"); p != nil || n.asked != 0 || !slices.Equal(dialled, []string{"tcp mta-sts.alici.example:443"}) {
		t.Errorf("policy %+v after %d questions, dialled %q", p, n.asked, dialled)
	}
}

// What was fetched is remembered, over a restart too, whatever becomes of DNS and web server, until it is too old or another is announced.
func TestCacheHolds(t *testing.T) {
	n := newInternet(t)
	file := filepath.Join(t.TempDir(), "mta-sts.json")
	c := n.cache(file)
	enforced := func(want bool, asked int, why string) {
		t.Helper()
		p := c.Policy(t.Context(), "alici.example")
		if got := p != nil && p.Mode == ModeEnforce && p.Permits("mx.alici.example"); got != want || n.asked != asked {
			t.Errorf("%s: enforced %v after %d questions, want %v after %d", why, got, n.asked, want, asked)
		}
	}
	enforced(true, 1, "at first")
	enforced(true, 1, "again")
	n.now = n.now.Add(recheckFound)
	enforced(true, 1, "the same id")
	n.texts = nil
	n.now = n.now.Add(recheckFound)
	enforced(true, 1, "without its record")
	n.dnsErr = errors.New("timeout")
	n.now = n.now.Add(recheckNone)
	enforced(true, 1, "without DNS")
	n.dnsErr, n.texts, n.status = nil, []string{"v=STSv1; id=2;"}, 500
	n.now = n.now.Add(recheckFailed)
	enforced(true, 2, "another id, but no policy")
	if err := c.Save(true); err != nil {
		t.Fatal(err)
	}
	c = n.cache(file)
	enforced(true, 3, "after a restart")
	n.status, n.policy = 200, strings.Replace(strict, "enforce", "testing", 1)
	n.now = n.now.Add(recheckFailed)
	enforced(false, 4, "a milder policy")
	n.policy = strict
	n.now = n.now.Add(recheckFound)
	enforced(false, 4, "that nobody announced")
	n.now = n.now.Add(refetchMost)
	enforced(true, 5, "is found in the end")
	n.dnsErr = errors.New("timeout")
	n.now = n.now.Add(1_000_001 * time.Second)
	enforced(false, 5, "older than its max_age")
	if p := c.Policy(t.Context(), "baska.example"); p != nil {
		t.Errorf("a domain without a record demands %+v", p)
	}
}

// Only a policy that is served as the standard says counts.
func TestFetchRefuses(t *testing.T) {
	for why, edit := range map[string]func(*internet){
		"a redirect":            func(n *internet) { n.status = http.StatusFound },
		"a page":                func(n *internet) { n.kind = "text/html" },
		"not there":             func(n *internet) { n.status = http.StatusNotFound },
		"no policy":             func(n *internet) { n.policy = "hello" },
		"too long":              func(n *internet) { n.policy += strings.Repeat("#", maxPolicy) },
		"its twin, as it ought": func(*internet) {},
	} {
		n := newInternet(t)
		edit(n)
		if p := n.cache("").Policy(t.Context(), "alici.example"); (p != nil) != strings.HasPrefix(why, "its twin") {
			t.Errorf("%s: %+v", why, p)
		}
	}
	// A certificate for another name is a stranger's policy.
	n := newInternet(t)
	c := n.cache("")
	c.cfg.Client.Transport.(*http.Transport).TLSClientConfig.ServerName = ""
	if p := c.Policy(t.Context(), "alici.example"); p != nil || n.asked != 0 {
		t.Errorf("a policy was taken from who is not mta-sts.alici.example: %+v", p)
	}
}

func TestFile(t *testing.T) {
	n := newInternet(t)
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{bad, filepath.Join(dir, "none.json")} {
		c := n.cache(file)
		if c.Policy(t.Context(), "alici.example") == nil {
			t.Errorf("%s: no policy", file)
		}
		if err := c.Save(false); err != nil {
			t.Error(err)
		}
		if b, _ := os.ReadFile(file); strings.Contains(string(b), "alici") {
			t.Errorf("%s was written at once", file)
		}
		n.now = n.now.Add(saveEvery)
		if err := errors.Join(c.Save(false), c.Save(true)); err != nil {
			t.Error(err)
		}
		if b, _ := os.ReadFile(file); !strings.Contains(string(b), `"alici.example"`) {
			t.Errorf("%s holds %s", file, b)
		}
	}
	c := n.cache(filepath.Join(dir, "nowhere", "x.json"))
	c.Policy(t.Context(), "alici.example")
	for range 2 { // and what was not written is tried again
		if c.Save(true) == nil {
			t.Error("a file that cannot be written is no error")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.json.*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Many deliveries to one domain at once are one question.
func TestAskedOnce(t *testing.T) {
	n := newInternet(t)
	c := n.cache("")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if c.Policy(t.Context(), "alici.example") == nil {
				t.Error("no policy")
			}
		})
	}
	wg.Wait()
	if n.asked != 1 {
		t.Errorf("%d questions", n.asked)
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(strict))
	f.Add([]byte("version: STSv1\r\nmode: none\r\nmax_age: 0\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := ParsePolicy(in)
		if err != nil {
			return
		}
		if p.MaxAge < 0 || p.MaxAge > maxAge*time.Second || len(p.MX) > maxMX || p.Mode != ModeNone && len(p.MX) == 0 {
			t.Fatalf("%q became %+v", in, p)
		}
		for _, mx := range p.MX {
			if strings.ContainsAny(mx, " \t\r\n/:@") || mx != strings.ToLower(mx) || !p.Permits(strings.Replace(mx, "*", "a", 1)) {
				t.Fatalf("mx %q of %q", mx, in)
			}
		}
	})
}

func FuzzParseRecord(f *testing.F) {
	f.Add("v=STSv1; id=1;")
	f.Fuzz(func(t *testing.T, in string) {
		if id := parseRecord([]string{in}); len(id) > 32 || !alphanumeric(id) {
			t.Fatalf("id %q of %q", id, in)
		}
		if got := parseRecord(slices.Repeat([]string{in}, 2)); got != "" {
			t.Fatalf("two records gave %q", got)
		}
	})
}
