package smtpserver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/account"
	"izinli/gateway/mailbody"
	"izinli/gateway/smtptest"
)

const (
	acct   gateway.AccountID = 7
	user                     = "ornek"
	secret                   = "a-long-enough-password"
)

// hashed is made once: a SCRAM form costs tens of milliseconds.
var hashed = sync.OnceValue(func() string { return account.HashSCRAM(secret) })

// world is everything around a server, in memory.
type world struct {
	t      *testing.T
	srv    *Server
	dir    *gateway.Directory
	auth   *account.Authenticator
	bodies *mailbody.Store
	cert   tls.Certificate
	roots  *x509.CertPool
	addr   map[Mode]string
	cfg    Config
	peers  []*Peer

	mu       sync.Mutex
	subs     []*gateway.Submission
	texts    []string // bodies, as submitted
	checks   []*gateway.Submission
	refused  []gateway.Verdict
	incoming []Incoming
	inbox    []string
	stored   int

	throttled bool
	submitErr error
	entered   chan struct{} // told when Submit is called, where set
	leave     chan struct{} // Submit waits for it, where set
}

// newWorld starts listeners of all three modes. Recipients whose name begins with "no" have not consented, "hold" is held,
// "later" cannot be judged now.
func newWorld(t *testing.T, edit func(*world)) *world {
	t.Helper()
	// All connections come from one address, and the server may see the end of an earlier one late.
	cfg := Config{Domain: "mx.izinli.example", MaxSize: 1 << 20, MaxPerAddress: 200}
	w := &world{t: t, dir: gateway.NewDirectory(), addr: map[Mode]string{}, cfg: cfg}
	var err error
	if w.cert, w.roots, err = smtptest.Certificate("127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	w.cfg.TLS = &tls.Config{Certificates: []tls.Certificate{w.cert}, ClientAuth: tls.RequestClientCert}
	w.dir.Accounts[acct] = &gateway.Account{ID: acct}
	w.credential(gateway.Credential{ID: user, Classes: []string{gateway.ClassCommercial}})
	w.credential(gateway.Credential{ID: "mixed", Classes: []string{gateway.ClassCommercial, gateway.ClassTransactional}})
	w.sender(acct, "ornek.example", true)
	w.sender(acct, "bekleyen.example", false)
	w.sender(9, "baska.example", true)
	if w.bodies, err = mailbody.Open(t.TempDir(), bytes.Repeat([]byte{1}, 32), mailbody.Options{}); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(w)
	}
	w.auth = account.New(w, account.Options{})
	w.srv, err = New(w.cfg, Deps{Auth: w.auth, Submit: w, Bodies: w.bodies, Directory: w.Directory, Peers: func() []*Peer { return w.peers }, Inbox: w,
		Allow: func(*gateway.Principal, int) time.Duration {
			if w.throttled {
				return time.Second
			}
			return 0
		},
		Refused: func(_ context.Context, _ *gateway.Submission, v gateway.Verdict) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.refused = append(w.refused, v)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, m := range []Mode{Submission, SubmissionTLS, Relay} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w.addr[m] = ln.Addr().String()
		wg.Go(func() {
			if err := w.srv.Serve(ctx, ln, m); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); wg.Wait() })
	return w
}

func (w *world) Directory() *gateway.Directory { return w.dir }

func (w *world) credential(c gateway.Credential) {
	c.Kind, c.Account, c.SecretHash = gateway.KindSMTP, acct, hashed()
	w.dir.Credentials[gateway.CredentialKey{Kind: c.Kind, ID: c.ID}] = &c
}

func (w *world) sender(a gateway.AccountID, name string, approved bool) {
	w.dir.Senders[gateway.SenderKey{Account: a, Channel: gateway.ChannelEmail, Name: name}] = &gateway.Sender{Name: name, Account: a, Channel: gateway.ChannelEmail, Approved: approved}
}

func verdict(i int, d gateway.Destination) gateway.Verdict {
	v := gateway.Verdict{Index: i, To: d.Address, State: gateway.StateQueued}
	switch {
	case strings.HasPrefix(d.Address, "no"):
		v.State, v.Code = gateway.StateDropped, gateway.CodeNoConsent
	case strings.HasPrefix(d.Address, "blocked"):
		v.State, v.Code = gateway.StateDropped, gateway.CodeBlocked
	case strings.HasPrefix(d.Address, "later"):
		v.State, v.Code = gateway.StateDropped, gateway.CodeConsentUnavailable
	case strings.HasPrefix(d.Address, "hold"):
		v.State = gateway.StateHeld
	}
	return v
}

// Check implements gateway.Submitter.
func (w *world) Check(_ context.Context, s *gateway.Submission) (out []gateway.Verdict, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checks = append(w.checks, s)
	for i, d := range s.To {
		out = append(out, verdict(i, d))
	}
	return out, nil
}

// Submit implements gateway.Submitter.
func (w *world) Submit(ctx context.Context, s *gateway.Submission) (res gateway.Result, err error) {
	if w.entered != nil {
		w.entered <- struct{}{}
		<-w.leave
	}
	if w.submitErr != nil {
		return res, w.submitErr
	}
	text := s.Text
	if s.Body.ID != "" {
		rc, err := w.bodies.Open(ctx, s.Body)
		if err != nil {
			return res, err
		}
		b, err := io.ReadAll(rc)
		rc.Close()
		if err != nil || int64(len(b)) != s.Body.Size {
			return res, fmt.Errorf("body of %d octets, %v", len(b), err)
		}
		text = string(b)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stored++
	res.Batch = gateway.BatchRef{Account: s.Principal.Account, Batch: gateway.BatchID(w.stored)}
	for i, d := range s.To {
		v := verdict(i, d)
		if v.State == gateway.StateDropped {
			res.Dropped++
		} else {
			res.Accepted++
		}
		res.Messages = append(res.Messages, v)
	}
	if res.Accepted > 0 {
		w.subs, w.texts = append(w.subs, s), append(w.texts, text)
	}
	return res, nil
}

// Accepts implements Inbox.
func (w *world) Accepts(addr string) bool { return strings.HasSuffix(addr, "@bounce.izinli.example") }

// Deliver implements Inbox.
func (w *world) Deliver(_ context.Context, in Incoming) error {
	b, err := io.ReadAll(in.Body)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.incoming, w.inbox = append(w.incoming, in), append(w.inbox, string(b))
	return nil
}

func (w *world) submissions() ([]*gateway.Submission, []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.subs), slices.Clone(w.texts)
}

// talk is a raw SMTP client: what it sends is what the server gets.
type talk struct {
	t    *testing.T
	conn net.Conn
	br   *bufio.Reader
}

func (w *world) dial(m Mode) *talk {
	w.t.Helper()
	c, err := net.Dial("tcp", w.addr[m])
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	if m == SubmissionTLS {
		c = tls.Client(c, &tls.Config{RootCAs: w.roots, ServerName: "127.0.0.1"})
	}
	return &talk{w.t, c, bufio.NewReader(c)}
}

// ready dials, greets, starts TLS and logs in where the mode asks for it.
func (w *world) ready(m Mode, name string) *talk {
	w.t.Helper()
	k := w.dial(m)
	k.expect("220")
	k.do("EHLO client.example", "250")
	if m == Submission {
		k.startTLS(w, nil)
	}
	if m != Relay {
		k.do("AUTH PLAIN "+b64("\x00"+name+"\x00"+secret), "235 2.7.0", "235 2.0.0")
	}
	return k
}

func (k *talk) startTLS(w *world, cert *tls.Certificate) {
	k.t.Helper()
	k.do("STARTTLS", "220")
	conf := &tls.Config{RootCAs: w.roots, ServerName: "127.0.0.1"}
	if cert != nil {
		conf.Certificates = []tls.Certificate{*cert}
	}
	k.conn = tls.Client(k.conn, conf)
	k.br = bufio.NewReader(k.conn)
	k.do("EHLO client.example", "250")
}

func (k *talk) send(s string) {
	k.t.Helper()
	if _, err := io.WriteString(k.conn, s); err != nil {
		k.t.Fatalf("send %.40q: %v", s, err)
	}
}

// read returns one reply.
func (k *talk) read() (string, error) {
	_ = k.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var all strings.Builder
	for {
		line, err := k.br.ReadString('\n')
		all.WriteString(line)
		if err != nil || len(line) < 4 || line[3] != '-' {
			return all.String(), err
		}
	}
}

// expect reads a reply that begins with one of the prefixes.
func (k *talk) expect(want ...string) string {
	k.t.Helper()
	got, err := k.read()
	if err != nil || !slices.ContainsFunc(want, func(p string) bool { return strings.HasPrefix(got, p) }) {
		k.t.Fatalf("got %q, %v; want %q", got, err, want)
	}
	return got
}

func (k *talk) do(cmd string, want ...string) string {
	k.t.Helper()
	k.send(cmd + "\r\n")
	got, err := k.read()
	if err != nil || !slices.ContainsFunc(want, func(p string) bool { return strings.HasPrefix(got, p) }) {
		k.t.Fatalf("%s: got %q, %v; want %q", cmd, got, err, want)
	}
	return got
}

// gone asserts that the server has closed.
func (k *talk) gone() {
	k.t.Helper()
	for range 3 {
		if _, err := k.read(); err != nil {
			if isTimeout(err) {
				k.t.Fatal("the connection is still open")
			}
			return
		}
	}
	k.t.Fatal("the server keeps talking")
}

// principal is the credential as a peer would carry it.
func (w *world) principal(id string) *gateway.Principal {
	c := w.dir.Credentials[gateway.CredentialKey{Kind: gateway.KindSMTP, ID: id}]
	return &gateway.Principal{Account: acct, Credential: *c}
}

func localPeer(w *world, id string) *Peer {
	return &Peer{Name: "local", Prefixes: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Principal: w.principal(id)}
}
