package mailer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smarthost"
	"izinli/gateway/smtptest"
)

// zone is a DNS of the test's own: exchangers, addresses and texts by name.
type zone struct {
	mx  map[string][]*net.MX
	txt map[string][]string
	a   map[string]bool
	err map[string]error
}

// LookupMX implements Resolver.
func (z *zone) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	if err := z.err[domain]; err != nil || z.mx[domain] != nil {
		return z.mx[domain], err
	}
	return nil, &net.DNSError{Err: "no such host", Name: domain, IsNotFound: true}
}

// LookupHost implements Resolver.
func (z *zone) LookupHost(_ context.Context, host string) ([]string, error) {
	if z.a[host] {
		return []string{"192.0.2.1"}, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// LookupTXT implements mtasts.Resolver.
func (z *zone) LookupTXT(_ context.Context, name string) ([]string, error) {
	if t := z.txt[name]; t != nil {
		return t, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

func TestLookup(t *testing.T) {
	mx := func(pairs ...any) (out []*net.MX) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, &net.MX{Pref: uint16(pairs[i].(int)), Host: pairs[i+1].(string)})
		}
		return out
	}
	z := &zone{mx: map[string][]*net.MX{
		"two.example":     mx(20, "B.two.example.", 10, "a.two.example."),
		"null.example":    mx(0, "."),
		"half.example":    mx(10, "good.half.example."),
		"backup.example":  mx(10, "primary.example.", 20, "MX.izinli.example.", 30, "third.example."),
		"equal.example":   mx(10, "mx.izinli.example.", 10, "other.example."),
		"ours.example":    mx(10, "mx.izinli.example."),
		"timeout.example": nil,
	}, a: map[string]bool{"bare.example": true}, err: map[string]error{
		"half.example": errors.New("one of the records is no name"), "timeout.example": &net.DNSError{Err: "timeout", IsTimeout: true}}}
	for _, c := range []struct {
		why, domain string
		hosts       []string
		kind        smarthost.Kind
		enhanced    string
	}{
		{"by preference", "two.example", []string{"a.two.example", "b.two.example"}, 0, ""},
		{"null MX (RFC 7505)", "null.example", nil, smarthost.Permanent, "5.1.10"},
		{"the records that are well formed count", "half.example", []string{"good.half.example"}, 0, ""},
		{"no MX: the address stands in", "bare.example", []string{"bare.example"}, 0, ""},
		{"no such domain", "none.example", nil, smarthost.Permanent, "5.1.2"},
		{"the DNS does not answer", "timeout.example", nil, smarthost.TryLater, ""},
		{"we and those behind us do not count", "backup.example", []string{"primary.example"}, 0, ""},
		{"nor do those beside us", "equal.example", nil, smarthost.Permanent, "5.4.6"},
		{"mail that comes back to us", "ours.example", nil, smarthost.Permanent, "5.4.6"},
	} {
		hosts, refusal := lookup(t.Context(), z, c.domain, "mx.izinli.example")
		if !slices.Equal(hosts, c.hosts) || (refusal == nil) != (c.hosts != nil) {
			t.Errorf("%s: %v, %+v", c.why, hosts, refusal)
		} else if refusal != nil && (refusal.Kind != c.kind || refusal.Enhanced != c.enhanced) {
			t.Errorf("%s: %+v, want %v %s", c.why, refusal, c.kind, c.enhanced)
		}
	}
}

// Nobody makes us talk to this machine by naming it as his exchanger.
func TestDialOutside(t *testing.T) {
	sink, err := smtptest.Listen(smtptest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	_, port, err := net.SplitHostPort(sink.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "::ffff:127.0.0.1"} {
		c, err := dialOutside("tcp", net.JoinHostPort(host, port), time.Minute)
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, errLocal) {
			t.Errorf("%s: %v, want a refusal", host, err)
		}
	}
}

// exchangers plays mail exchangers by name: connections to them go to sinks of this machine.
type exchangers struct {
	mu    sync.Mutex
	addrs map[string]string // by name; guarded by mu
}

func (x *exchangers) dial(network, addr string, timeout time.Duration) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	x.mu.Lock()
	to := x.addrs[host]
	x.mu.Unlock()
	if to == "" {
		return nil, errors.New("connection refused")
	}
	return net.DialTimeout(network, to, timeout)
}

func (x *exchangers) listen(t *testing.T, name string, cfg smtptest.Config) *smtptest.Sink {
	t.Helper()
	s, err := smtptest.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.addrs == nil {
		x.addrs = map[string]string{}
	}
	x.addrs[name] = s.Addr()
	return s
}

func newDirectForTest(t *testing.T, cfg Config, x *exchangers, tlsPolicy string) *direct {
	t.Helper()
	cfg.Domain, cfg.Timeouts.Dial = "mx.izinli.example", x.dial
	m, err := New(cfg, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := newDirect(m, &gateway.Smarthost{Name: "mx", Direct: true, TLS: tlsPolicy})
	t.Cleanup(d.close)
	return d
}

// A domain whose policy host has an address of this machine does not make us knock on its doors.
func TestPolicyIsFetchedFromOutside(t *testing.T) {
	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	dial := (&Config{MXPort: mxPort}).policyDial()
	if c, err := dial(t.Context(), "tcp", srv.Listener.Addr().String()); !errors.Is(err, errLocal) {
		t.Errorf("%v, want errLocal", err)
		if err == nil {
			c.Close()
		}
	}
	if (&Config{MXPort: "2525"}).policyDial() != nil {
		t.Error("a network of tests has its servers on the loopback")
	}
}

const letterText = "From: a@b.example\r\nSubject: x\r\n\r\nhello\r\n"

// send makes one attempt, as a message of dispatch does.
func (d *direct) sendForTest(t *testing.T, to string) try {
	t.Helper()
	p, wait := d.m.sites.book(domainOf(to), time.Now())
	if p == nil {
		return try{wait: wait}
	}
	return d.deliver(t.Context(), domainOf(to), &smarthost.Message{From: "b@izinli.example", To: []smarthost.Recipient{{Addr: to}}, Size: int64(len(letterText)),
		Body: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(letterText)), nil }}, p)
}

// Where a domain enforces MTA-STS, mail goes to exchangers it names and with a certificate for their name, or it waits; a domain that
// shares them and demands nothing is served all the same.
func TestPolicyEnforced(t *testing.T) {
	good, roots, err := smtptest.Certificate("mx1.alici.example")
	if err != nil {
		t.Fatal(err)
	}
	withCert := smtptest.Config{TLS: &tls.Config{Certificates: []tls.Certificate{good}}}
	for _, c := range []struct {
		why, mode, mx string
		named, other  smtptest.Config
		tls           string
		to            string // where the mail arrives; empty: nowhere
		secure        bool
	}{
		{"as it should be", "enforce", "mx1.alici.example", withCert, smtptest.Config{}, "", "mx1.alici.example", true},
		{"by a wildcard", "enforce", "*.alici.example", withCert, smtptest.Config{}, "", "mx1.alici.example", true},
		{"the certificate is for another name", "enforce", "mx2.alici.example", smtptest.Config{}, withCert, "", "", false},
		{"no TLS offered", "enforce", "mx1.alici.example", smtptest.Config{}, smtptest.Config{}, "", "", false},
		{"none of the exchangers is named", "enforce", "mx9.alici.example", withCert, withCert, "", "", false},
		{"under test nothing is refused", "testing", "mx9.alici.example", smtptest.Config{}, smtptest.Config{}, "", "mx1.alici.example", false},
		{"encryption alone is not enough", "enforce", "mx2.alici.example", smtptest.Config{}, withCert, "encrypted", "", false},
		{"an administrator who wants no TLS gets none", "enforce", "mx1.alici.example", smtptest.Config{}, smtptest.Config{}, "off", "mx1.alici.example", false},
	} {
		var x exchangers
		sinks := map[string]*smtptest.Sink{"mx1.alici.example": x.listen(t, "mx1.alici.example", c.named), "mx2.alici.example": x.listen(t, "mx2.alici.example", c.other)}
		list := []*net.MX{{Host: "mx1.alici.example.", Pref: 10}, {Host: "mx2.alici.example.", Pref: 20}}
		z := &zone{mx: map[string][]*net.MX{"alici.example": list, "komsu.example": list}, txt: map[string][]string{"_mta-sts.alici.example": {"v=STSv1; id=1;"}}}
		d := newDirectForTest(t, Config{Resolver: z, Roots: roots, Fetch: policyServer(t, "version: STSv1\nmode: "+c.mode+"\nmx: "+c.mx+"\nmax_age: 86400\n")}, &x, c.tls)
		got := d.sendForTest(t, "ali@alici.example")
		if want := c.to != ""; (got.outcome.Kind == smarthost.Delivered) != want {
			t.Errorf("%s: %+v, wait %s", c.why, got.outcome, got.wait)
		} else if !want && got.outcome.Kind != smarthost.TryLater {
			t.Errorf("%s: %+v, want it to wait", c.why, got.outcome)
		}
		for name, s := range sinks {
			if n := len(s.Messages()); (n == 1) != (name == c.to) || n == 1 && s.Messages()[0].TLS != c.secure {
				t.Errorf("%s: %d arrived at %s", c.why, n, name)
			}
		}
		if c.tls == "" {
			if got := d.sendForTest(t, "veli@komsu.example"); got.outcome.Kind != smarthost.Delivered {
				t.Errorf("%s: a neighbour who demands nothing: %+v, wait %s", c.why, got.outcome, got.wait)
			}
		}
	}
}

// policyServer is a client to whom every mta-sts host serves the text.
func policyServer(t *testing.T, text string) *http.Client {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}, DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
		}}}
}

// A site that says it wants less is left in peace, whether it says so to a recipient or in its greeting; the next exchanger of another
// site is not.
func TestSiteIsHeeded(t *testing.T) {
	for why, script := range map[string]*smtptest.Script{
		"at RCPT": {Rcpt: func(string, string) smtptest.Reply {
			return smtptest.Reply{Code: 451, Enhanced: [3]int{4, 7, 0}, Text: "[TSS04] temporarily deferred due to unexpected volume"}
		}},
		"before anything": {Mail: func(string) smtptest.Reply {
			return smtptest.Reply{Code: 421, Enhanced: [3]int{4, 7, 0}, Text: "[TS03] all messages will be deferred"}
		}},
	} {
		var x exchangers
		x.listen(t, "mta5.am0.yahoodns.net", smtptest.Config{Script: script})
		x.listen(t, "mx.alici.example", smtptest.Config{})
		z := &zone{mx: map[string][]*net.MX{"yahoo.example": {{Host: "mta5.am0.yahoodns.net."}}, "alici.example": {{Host: "mx.alici.example."}}}}
		d := newDirectForTest(t, Config{Resolver: z}, &x, "")
		if got := d.sendForTest(t, "ali@yahoo.example"); got.outcome.Kind != smarthost.TryLater {
			t.Errorf("%s: %+v", why, got.outcome)
		}
		p, wait := d.m.sites.book("yahoo.example", time.Now().Add(time.Hour))
		if p != nil || wait < 50*time.Minute || wait > 65*time.Minute {
			t.Errorf("%s: an hour later the next one is to come back in %s, want about an hour", why, wait)
		}
		if got := d.sendForTest(t, "veli@alici.example"); got.outcome.Kind != smarthost.Delivered {
			t.Errorf("%s: another site: %+v", why, got.outcome)
		}
	}
}
