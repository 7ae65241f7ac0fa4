package smtpserver

import (
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

func TestRevokedDuringSession(t *testing.T) {
	w := newWorld(t, nil)
	k := w.ready(SubmissionTLS, user)
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	k.do("RSET", "250")
	next := *w.dir.Credentials[gateway.CredentialKey{Kind: gateway.KindSMTP, ID: user}]
	next.Revoked = true
	w.dir.Credentials[gateway.CredentialKey{Kind: gateway.KindSMTP, ID: user}] = &next
	k.do("MAIL FROM:<bilgi@ornek.example>", "535 5.7.8")
	k.gone()
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
	next := *w.dir.Credentials[gateway.CredentialKey{Kind: gateway.KindSMTP, ID: user}]
	next.Revoked = true
	w.dir.Credentials[gateway.CredentialKey{Kind: gateway.KindSMTP, ID: user}] = &next
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
