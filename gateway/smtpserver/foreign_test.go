package smtpserver

import (
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"izinli/gateway"
)

func TestSMSByMail(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct{ why, to, mail, want, text string }{
		{"plain text", "05321234567", "X-SMS-Sender: ORNEK\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nMerhaba dünya\r\n-- \r\nimza\r\n", "250", "Merhaba dünya"},
		{"Turkish in iso-8859-9", "+905321234567", "Content-Type: text/plain; charset=iso-8859-9\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=DEifreniz 1234\r\n", "250", "Şifreniz 1234"},
		{"the text of an alternative", "905321234567", "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x\r\n--b\r\nContent-Type: text/plain\r\n\r\niki\r\nsatır\r\n--b--\r\n", "250", "iki\nsatır"},
		{"no text", "905321234567", "Content-Type: text/html\r\n\r\n<p>x\r\n", "550 5.6.0", ""},
		{"an empty one", "905321234567", "\r\n\r\n", "550 5.6.0", ""},
		{"too large", "905321234567", "\r\n" + strings.Repeat("xxxxxxxx\r\n", 30000), "552 5.3.4", ""},
	} {
		k := w.ready(SubmissionTLS, user)
		before, _ := w.submissions()
		k.do("MAIL FROM:<bilgi@ornek.example>", "250")
		k.do("RCPT TO:<"+c.to+"@SMS.mx.izinli.example>", "250")
		k.do("RCPT TO:<ali@alici.example>", "452 4.5.3")
		k.do("DATA", "354")
		k.send("From: bilgi@ornek.example\r\n" + c.mail + ".\r\n")
		k.expect(c.want)
		after, _ := w.submissions()
		if c.text == "" {
			if len(after) != len(before) {
				t.Errorf("%s: submitted", c.why)
			}
			continue
		}
		s := after[len(after)-1]
		if s.Channel != gateway.ChannelSMS || s.Text != c.text || s.To[0].Address != "+905321234567" || s.Body.ID != "" {
			t.Errorf("%s: %q to %v on %s", c.why, s.Text, s.To, s.Channel)
		}
	}
	if subs, _ := w.submissions(); subs[0].From != "ORNEK" {
		t.Errorf("sender %q", subs[0].From)
	}
	k := w.ready(SubmissionTLS, user)
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	for _, to := range []string{"abc", "02121234567", "0532123456"} {
		k.do("RCPT TO:<"+to+"@sms.mx.izinli.example>", "550 5.1.3")
	}
}

// Recipients that are refused cost what others do, and are bounded: nobody asks us, and IYS through us, about a list he bought.
func TestRefusalsBounded(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.MaxRefused = 3 })
	k := w.ready(SubmissionTLS, user)
	w.throttled = true
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	for range 5 {
		k.do("RCPT TO:<no@alici.example>", "450 4.7.1")
	}
	if len(w.checks) != 0 {
		t.Errorf("%d questions were free", len(w.checks))
	}
	w.throttled = false
	rcpt := func(name, want string) { t.Helper(); k.do("RCPT TO:<"+name+"@alici.example>", want) }
	rcpt("ali", "250")
	rcpt("ayse", "250")
	rcpt("ayse", "250") // once is enough
	rcpt("no1", "550 5.7.1")
	rcpt("later2", "451 4.7.1")
	k.do("RCPT TO:<ali@localhost>", "550 5.1.3")
	asked := len(w.checks)
	rcpt("veli", "452 4.5.3 Too many recipients refused") // of this message; a client sends it in the next
	if len(w.checks) != asked {
		t.Error("asked about a recipient beyond the bound")
	}
	k.do("DATA", "354")
	k.send(msg + ".\r\n")
	k.expect("250")

	// 3 taken, 3 refused. A list whose people mostly consent goes on for as long as it likes.
	for i := range 4 {
		k.do("MAIL FROM:<bilgi@ornek.example>", "250")
		for j := range 3 {
			rcpt(fmt.Sprintf("ali%d", 3*i+j), "250")
		}
		rcpt("no", "550 5.7.1")
		k.do("RSET", "250")
	}
	// 15 taken, 7 refused.
	for range 3 {
		k.do("MAIL FROM:<bilgi@ornek.example>", "250")
		for range 3 {
			rcpt("no", "550 5.7.1")
		}
		rcpt("veli", "452 4.5.3")
		k.do("RSET", "250")
	}
	k.do("MAIL FROM:<bilgi@ornek.example>", "421 4.7.0 Too many recipients refused")
	k.gone()
}

func TestRevokedDuringSession(t *testing.T) {
	w := newWorld(t, nil)
	k := w.ready(SubmissionTLS, user)
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	k.do("RSET", "250")
	w.change(user, func(c *gateway.Credential) { c.Revoked = true })
	k.do("MAIL FROM:<bilgi@ornek.example>", "535 5.7.8")
	k.gone()
}

// change puts another state of a credential into the directory, as an administrator does.
func (w *world) change(id string, edit func(*gateway.Credential)) {
	k := gateway.CredentialKey{Kind: gateway.KindSMTP, ID: id}
	next := *w.dir.Credentials[k]
	edit(&next)
	w.dir.Credentials[k] = &next
}

// What an administrator takes from a credential is taken from its open sessions, from their next mail on; the mail under way keeps what
// it began with.
func TestCredentialChangedDuringSession(t *testing.T) {
	const order = "X-Message-Class: transactional\r\nX-Message-Reason: order\r\n" + msg + ".\r\n"
	w := newWorld(t, nil)
	k := w.ready(SubmissionTLS, "mixed")
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	w.change("mixed", func(c *gateway.Credential) { c.Classes = []string{gateway.ClassCommercial} })
	k.do("RCPT TO:<no@alici.example>", "250") // a header decides
	k.do("RCPT TO:<ali@alici.example>", "250")
	k.do("DATA", "354")
	k.send(order)
	k.expect("250")
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	k.do("RCPT TO:<no@alici.example>", "550 5.7.1")
	k.do("RCPT TO:<ali@alici.example>", "250")
	k.do("DATA", "354")
	k.send(order)
	k.expect("550 5.7.1 This credential may not send that class")
	subs, _ := w.submissions()
	if len(subs) != 1 || subs[0].Class != gateway.ClassTransactional {
		t.Errorf("submitted %+v, want the mail that was under way alone", subs)
	}
	for why, edit := range map[string]func(*gateway.Credential){
		"another network": func(c *gateway.Credential) { c.CIDRs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} },
		"no scope":        func(c *gateway.Credential) { c.Scopes = []string{gateway.ScopeWebhooks} },
		"another account": func(c *gateway.Credential) { c.Account = acct + 1 },
	} {
		t.Run(why, func(t *testing.T) {
			w := newWorld(t, nil)
			k := w.ready(SubmissionTLS, user)
			w.change(user, edit)
			k.do("MAIL FROM:<bilgi@ornek.example>", "535 5.7.8")
			k.gone()
		})
	}
}

// A peer that was removed, changed or lost its credential does not go on sending on the connection it has.
func TestPeerChangedDuringSession(t *testing.T) {
	for why, c := range map[string]struct {
		edit func(w *world, p *Peer) []*Peer
		want string
	}{
		"as it was":       {func(_ *world, p *Peer) []*Peer { return []*Peer{p} }, "250"},
		"removed":         {func(*world, *Peer) []*Peer { return nil }, "421 4.7.0"},
		"another network": {func(_ *world, p *Peer) []*Peer { p.Prefixes = nil; return []*Peer{p} }, "421 4.7.0"},
		"of another account": {func(_ *world, p *Peer) []*Peer {
			p.Principal = &gateway.Principal{Account: acct + 1}
			return []*Peer{p}
		}, "421 4.7.0"},
		"only over TLS now":  {func(_ *world, p *Peer) []*Peer { p.RequireTLS = true; return []*Peer{p} }, "530 5.7.0"},
		"another credential": {func(w *world, p *Peer) []*Peer { p.Principal = w.principal("mixed"); return []*Peer{p} }, "250"},
		"an account suspended": {func(w *world, p *Peer) []*Peer {
			w.dir.Accounts[acct] = &gateway.Account{ID: acct, Suspended: true}
			return []*Peer{p}
		}, "535 5.7.8"},
	} {
		t.Run(why, func(t *testing.T) {
			w := newWorld(t, func(w *world) { w.peers = []*Peer{localPeer(w, user)} })
			k := w.ready(Relay, "")
			k.do("MAIL FROM:<bilgi@ornek.example>", "250")
			next := *w.peers[0]
			w.peers = c.edit(w, &next)
			k.do("RCPT TO:<ali@alici.example>", "250")
			k.do("DATA", "354")
			k.send(msg + ".\r\n")
			k.expect("250")
			k.do("MAIL FROM:<bilgi@ornek.example>", c.want)
			switch c.want[0] {
			case '2':
				k.do("RCPT TO:<ali@alici.example>", "250")
				k.do("DATA", "354")
				k.send(msg + ".\r\n")
				k.expect("250")
				subs, _ := w.submissions()
				if got, want := subs[1].Principal.Credential.ID, w.peers[0].Principal.Credential.ID; got != want {
					t.Errorf("the second mail is of credential %q, want %q", got, want)
				}
			case '4':
				k.gone()
			}
		})
	}
}

// Who logs in from the address of a peer is no longer that peer: his credential counts, and can be revoked.
func TestLoginFromAPeersAddress(t *testing.T) {
	w := newWorld(t, func(w *world) { w.peers = []*Peer{localPeer(w, "mixed")} })
	k := w.dial(Relay)
	k.expect("220")
	k.do("EHLO x", "250")
	k.startTLS(w, nil)
	k.do("AUTH PLAIN "+b64("\x00"+user+"\x00"+secret), "235")
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	k.do("RCPT TO:<ali@alici.example>", "250")
	k.do("DATA", "354")
	k.send(msg + ".\r\n")
	k.expect("250")
	if subs, texts := w.submissions(); len(subs) != 1 || subs[0].Principal.Credential.ID != user || !strings.Contains(texts[0], "Received: from authenticated by") {
		t.Errorf("%+v, %q", subs, texts)
	}
	w.change(user, func(c *gateway.Credential) { c.Revoked = true })
	k.do("MAIL FROM:<bilgi@ornek.example>", "535 5.7.8")
	k.gone()
}

// swaks is a client of its own mind: every mechanism, by its hand.
func TestSwaks(t *testing.T) {
	swaks, err := exec.LookPath("swaks")
	if err != nil {
		t.Skip("SKIPPED: swaks (Debian: swaks) is not installed; no foreign client was tried")
	}
	w := newWorld(t, nil)
	for _, c := range []struct {
		why  string
		args []string
		good bool
	}{
		{"STARTTLS and PLAIN", []string{"--server", w.addr[Submission], "--tls", "--auth", "PLAIN"}, true},
		{"STARTTLS and LOGIN", []string{"--server", w.addr[Submission], "--tls", "--auth", "LOGIN"}, true},
		{"TLS from the start", []string{"--server", w.addr[SubmissionTLS], "--tls-on-connect", "--auth", "PLAIN"}, true},
		{"no TLS", []string{"--server", w.addr[Submission], "--auth", "PLAIN"}, false},
		{"no AUTH", []string{"--server", w.addr[Submission], "--tls"}, false},
	} {
		args := append(c.args, "--auth-user", user, "--auth-password", secret, "--from", "bilgi@ornek.example", "--to", "ali@alici.example", "--ehlo", "swaks.example", "--timeout", "20s")
		if c.why == "no AUTH" {
			args = slices.DeleteFunc(args, func(s string) bool { return strings.HasPrefix(s, "--auth") || s == user || s == secret })
		}
		before, _ := w.submissions()
		out, err := exec.Command(swaks, args...).CombinedOutput()
		after, _ := w.submissions()
		if (err == nil) != c.good || len(after) > len(before) != c.good {
			t.Errorf("%s: %v\n%s", c.why, err, out)
		}
	}
}
