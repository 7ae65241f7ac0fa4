//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smtptest"
	"izinli/test/stage"
)

// postfix is an instance of its own: configuration, queue and port.
type postfix struct {
	dir, conf string
	port      int
}

// startPostfix starts Debian's Postfix on a free port with the given main.cf lines on top of a bare relay.
func startPostfix(t *testing.T, lines ...string) *postfix {
	t.Helper()
	if os.Geteuid() != 0 {
		stage.Missing(t, "Postfix starts as root alone")
	}
	bin := stage.Peer(t, "/usr/sbin/postfix")
	dir, err := os.MkdirTemp("", "izinli-postfix-") // a path short enough for its sockets
	if err != nil {
		t.Fatal(err)
	}
	p := &postfix{dir: dir, conf: filepath.Join(dir, "conf"), port: freePort(t)}
	for _, d := range []string{p.conf, filepath.Join(dir, "queue"), filepath.Join(dir, "data")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v %s", err, out)
	}
	main := append([]string{
		"compatibility_level = 3.6", "queue_directory = " + dir + "/queue", "data_directory = " + dir + "/data", "mail_owner = postfix",
		"setgid_group = postdrop", "inet_interfaces = 127.0.0.1", "inet_protocols = ipv4", "mynetworks = 127.0.0.0/8",
		"myhostname = postfix.example", "mydestination =", "local_recipient_maps =", "smtpd_relay_restrictions = permit_mynetworks, reject",
		"maillog_file = " + dir + "/log", "maillog_file_prefixes = " + dir, "disable_dns_lookups = yes", "smtp_host_lookup = native",
		"queue_run_delay = 5s", "minimal_backoff_time = 5s", "notify_classes =", "smtputf8_enable = no", "biff = no",
		"double_bounce_sender = double", "alias_maps =", "alias_database =",
	}, lines...)
	master := fmt.Sprintf("127.0.0.1:%d inet n - n - - smtpd\n", p.port)
	for _, s := range []string{"pickup unix n - n 60 1 pickup", "cleanup unix n - n - 0 cleanup", "qmgr unix n - n 5 1 qmgr",
		"rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce", "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce",
		"tlsmgr unix - - n 1000? 1 tlsmgr", "proxymap unix - - n - - proxymap", "smtp unix - - n - - smtp", "error unix - - n - - error",
		"retry unix - - n - - error", "anvil unix - - n - 1 anvil", "scache unix - - n - 1 scache", "postlog unix-dgram n - n - 1 postlogd"} {
		master += s + "\n"
	}
	p.write(t, "main.cf", strings.Join(main, "\n")+"\n")
	p.write(t, "master.cf", master)
	if out, err := exec.Command(bin, "-c", p.conf, "start").CombinedOutput(); err != nil {
		t.Fatalf("postfix start: %v\n%s\n%s", err, out, p.log())
	}
	t.Cleanup(func() {
		if out, err := exec.Command(bin, "-c", p.conf, "stop").CombinedOutput(); err != nil {
			t.Errorf("postfix stop: %v\n%s", err, out)
		}
		if t.Failed() {
			t.Logf("postfix's log:\n%s", p.log())
		}
		os.RemoveAll(dir)
	})
	stage.Until(t, "Postfix to listen", func() error {
		c, err := net.Dial("tcp", p.addr())
		if err == nil {
			c.Close()
		}
		return err
	})
	return p
}

func (p *postfix) addr() string { return fmt.Sprintf("127.0.0.1:%d", p.port) }

func (p *postfix) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(p.conf, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (p *postfix) log() string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "log"))
	return string(b)
}

// hop is a host and port in Postfix's words.
func hop(addr string) string {
	host, port, _ := net.SplitHostPort(addr)
	return "[" + host + "]:" + port
}

// swaks sends a mail and returns what swaks printed.
func swaks(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.Command(stage.Peer(t, "swaks"), append([]string{"--timeout", "30s", "--ehlo", "client.example"}, args...)...).CombinedOutput()
	return string(out), err
}

const newsletter = "From: bulten@bulten.ornek.example\\nTo: liste@example.com\\nSubject: kampanya\\n\\n" +
	"Ornek Giyim A.S. MERSIS 0123456789012345 Tel 0850 000 00 00 Listeden cik: https://ornek.example/cik\\n"

// A Postfix relays a mail with mixed recipients through our door: who agreed gets it, who did not is refused at RCPT, and Postfix's own
// bounce tells its sender why.
func TestPostfixRelaysThroughUs(t *testing.T) {
	s := stage.New(t)
	for _, a := range []string{"evet1@example.com", "evet2@example.com"} {
		s.MailConsent(s.Seeds.Brand, "BIREYSEL", a, "ONAY")
	}
	s.MailConsent(s.Seeds.Brand, "BIREYSEL", "hayir@example.com", "RET")
	s.Run()
	_, err := s.Server.Admin.PutRelayPeer(t.Context(), gateway.RelayPeer{Name: "postfix", Credential: s.Seeds.Mail.User,
		CIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	if err != nil {
		t.Fatal(err)
	}
	bounces, err := smtptest.Listen(smtptest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer bounces.Close()
	p := startPostfix(t, "relayhost = "+hop(s.Server.Addrs["relay"]), "transport_maps = inline:{ { bulten.ornek.example = smtp:"+hop(bounces.Addr())+" } }")
	out, err := swaks(t, "--server", p.addr(), "--from", "bulten@bulten.ornek.example",
		"--to", "evet1@example.com,hayir@example.com,evet2@example.com,yok@example.com", "--data", newsletter)
	if err != nil {
		t.Fatalf("swaks: %v\n%s", err, out)
	}
	for _, a := range []string{"evet1@example.com", "evet2@example.com"} {
		m, h := s.AwaitMail(a, 1)
		if len(m.To) != 1 || h.Header.Get("List-Unsubscribe") == "" || h.Header.Get("DKIM-Signature") == "" {
			t.Errorf("%s got %v", a, h.Header)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), stage.Patience)
	defer cancel()
	list, err := bounces.Wait(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	text := string(list[0].Body)
	for _, want := range []string{"hayir@example.com", "yok@example.com", "550 5.7.1", "no_consent", "Action: failed", "Status: 5.7.1"} {
		if !strings.Contains(text, want) {
			t.Errorf("Postfix's bounce lacks %q:\n%s", want, text)
		}
	}
	for _, a := range []string{"hayir@example.com", "yok@example.com"} {
		if got := s.Mails(a); len(got) != 0 {
			t.Errorf("%d mails to %s", len(got), a)
		}
	}
}

// Postfix behind us as smarthost, over STARTTLS: what it takes, it passes on; its bounce comes back to our signed return path.
func TestPostfixAsSmarthost(t *testing.T) {
	s := stage.New(t)
	s.MailConsent(s.Seeds.Brand, "BIREYSEL", "evet@example.com", "ONAY")
	s.MailConsent(s.Seeds.Brand, "BIREYSEL", "fail-550-1@example.com", "ONAY")
	s.Run()
	dir := t.TempDir()
	cert, _, err := smtptest.Certificate("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	key := keyPEM(t, &cert)
	for name, b := range map[string][]byte{"cert.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), "key.pem": key} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := startPostfix(t, "relayhost = "+hop(s.Sink.Addr()), "smtpd_tls_security_level = may", "smtpd_tls_cert_file = "+dir+"/cert.pem",
		"smtpd_tls_key_file = "+dir+"/key.pem", "transport_maps = inline:{ { mx.izinli.example = smtp:"+hop(s.Server.Addrs["relay"])+" } }")
	ctx := t.Context()
	if _, err := s.Server.Admin.PutSmarthost(ctx, desk.SmarthostInput{Smarthost: gateway.Smarthost{Name: "postfix", Addr: p.addr(), TLS: "encrypted"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Server.Admin.DeleteSmarthost(ctx, desk.Name{Name: s.Seeds.Mail.Smarthost}); err != nil {
		t.Fatal(err)
	}
	stage.Until(t, "Postfix to be the one way out", func() error {
		var names []string
		for _, c := range s.Server.Dispatch.Carriers() {
			names = append(names, c.Name)
		}
		if !slices.Contains(names, "smtp/postfix") || slices.Contains(names, "smtp/sink") {
			return fmt.Errorf("carriers %v", names)
		}
		return nil
	})
	body := stage.Body{"channel": "email", "from": "bulten@" + s.Seeds.Mail.Domain, "subject": "Haber", "text": "Merhaba ğüşiöç", "to": []string{"evet@example.com", "fail-550-1@example.com"}}
	res := s.API.Send(body)
	m, h := s.AwaitMail("evet@example.com", 1)
	if !strings.HasPrefix(m.From, "b+") || !strings.Contains(strings.Join(h.Header["Received"], " "), "postfix.example") {
		t.Errorf("from %s over %v", m.From, h.Header["Received"])
	}
	verifyDKIM(t, s, m.Body)
	// The sink behind Postfix refuses the second one: Postfix bounces to our return path.
	stage.Until(t, "the bounce", func() error {
		if v := s.Message(res.Messages[1].ID); v.State != gateway.StateUndelivered {
			return fmt.Errorf("it is %s", v.State)
		}
		return nil
	})
	if got := s.API.Send(body).Messages[1].Code; got != gateway.CodeSuppressed {
		t.Errorf("afterwards: %s", got)
	}
}

// verifyDKIM has Debian's dkimpy check the signature against the key's record.
func verifyDKIM(t *testing.T, s *stage.Stage, raw []byte) {
	t.Helper()
	if exec.Command("/usr/bin/python3", "-c", "import dkim, nacl").Run() != nil {
		stage.Missing(t, "python3-dkim and python3-nacl are not installed")
	}
	keys, err := s.Server.Admin.ListDKIMKeys(t.Context(), desk.Query{})
	if err != nil {
		t.Fatal(err)
	}
	zone := "{"
	for _, k := range keys {
		zone += fmt.Sprintf("'%s.': b'%s', ", k.Name().Host(), k.Record)
	}
	file := filepath.Join(t.TempDir(), "m.eml")
	script := "import sys, dkim\nzone = " + zone + "}\nd = dkim.DKIM(open(sys.argv[1], 'rb').read())\n" +
		"print(d.verify(dnsfunc=lambda name, timeout=5: zone.get(name.decode() if isinstance(name, bytes) else name)))\n"
	for want, m := range map[string][]byte{"True": raw, "False": append([]byte("Subject: changed\r\n"), raw...)} {
		if err := os.WriteFile(file, m, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("/usr/bin/python3", "-c", script, file).CombinedOutput()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("dkimpy says %s (%v), want %s, of\n%s", got, err, want, m)
		}
	}
}

// Every mechanism by foreign hands, and TLS from the first octet.
func TestSubmissionClients(t *testing.T) {
	s := stage.New(t)
	s.MailConsent(s.Seeds.Brand, "BIREYSEL", "evet@example.com", "ONAY")
	s.Run()
	m := s.Seeds.Mail
	n := 0
	for _, c := range []struct {
		why  string
		args []string
	}{
		{"STARTTLS, PLAIN", []string{"--server", s.Server.Addrs["smtp"], "--tls", "--auth", "PLAIN"}},
		{"STARTTLS, LOGIN", []string{"--server", s.Server.Addrs["smtp"], "--tls", "--auth", "LOGIN"}},
		{"implicit TLS", []string{"--server", s.Server.Addrs["smtps"], "--tls-on-connect", "--auth", "PLAIN"}},
	} {
		out, err := swaks(t, append(c.args, "--auth-user", m.User, "--auth-password", m.Password, "--from", "bulten@"+m.Domain, "--to", "evet@example.com", "--data", newsletter)...)
		if err != nil {
			t.Errorf("%s: %v\n%s", c.why, err, out)
			continue
		}
		n++
		s.AwaitMail("evet@example.com", n)
	}
	out, err := swaks(t, "--server", s.Server.Addrs["smtp"], "--tls", "--auth", "PLAIN", "--auth-user", m.User, "--auth-password", m.Password,
		"--from", "bulten@"+m.Domain, "--to", "yok@example.com", "--data", newsletter)
	if err == nil || !strings.Contains(out, "550 5.7.1") {
		t.Errorf("who did not agree: %v\n%s", err, out)
	}
	gsasl := stage.Peer(t, "gsasl")
	host, port, _ := net.SplitHostPort(s.Server.Addrs["smtp"])
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.MailCert}), 0o600); err != nil {
		t.Fatal(err)
	}
	for password, good := range map[string]bool{m.Password: true, "wrong" + m.Password: false} {
		cmd := exec.Command(gsasl, "--smtp", "--connect="+host+":"+port, "--starttls", "--x509-ca-file="+ca, "--mechanism=SCRAM-SHA-256", "--no-cb",
			"--authentication-id="+m.User, "--password="+password, "--quiet")
		cmd.Stdin = strings.NewReader("QUIT\r\n")
		out, err := cmd.CombinedOutput() // it ends with 1 when the server closes after QUIT without a TLS good-bye
		if strings.Contains(string(out), "235 2.0.0") != good {
			t.Errorf("SCRAM-SHA-256 by gsasl with a %v password: %v\n%s", good, err, out)
		}
	}
	openssl(t, s.Server.Addrs["smtps"])
}

// openssl speaks to the listener with TLS from the first octet.
func openssl(t *testing.T, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, stage.Peer(t, "openssl"), "s_client", "-connect", addr, "-quiet", "-crlf")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(in, "EHLO openssl.example\nNOOP\nQUIT\n")
	_ = cmd.Wait()
	in.Close()
	for _, want := range []string{"220 ", "250-AUTH SCRAM-SHA-256 PLAIN LOGIN", "250-DSN", "221 "} {
		if !strings.Contains(strings.ReplaceAll(out.String(), "250 ", "250-"), strings.ReplaceAll(want, "250 ", "250-")) {
			t.Errorf("openssl s_client read no %q:\n%s", want, out.String())
		}
	}
}

func keyPEM(t *testing.T, c *tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
