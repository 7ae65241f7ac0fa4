package smtpserver

import (
	"encoding/base64"
	"strings"
	"testing"
)

// A proof for another nonce, user or password does not pass, and the server proves itself to a good client.
func TestSCRAMTampering(t *testing.T) {
	w := newWorld(t, nil)
	for why, edit := range map[string]func(string) string{
		"another nonce":   func(m string) string { return strings.Replace(m, ",r=", ",r=x", 1) },
		"another binding": func(m string) string { return strings.Replace(m, "c=biws", "c=eSws", 1) },
		"no proof":        func(m string) string { return m[:strings.Index(m, ",p=")] },
		"a short proof":   func(m string) string { return m[:strings.Index(m, ",p=")] + ",p=" + b64("short") },
		"an empty one":    func(string) string { return "" },
	} {
		k := w.dial(SubmissionTLS)
		k.expect("220")
		k.do("EHLO x", "250")
		final, _ := w.prove(k)
		t.Log(why)
		k.do(b64(edit(final)), "535 5.7.8", "501")
		k.do("MAIL FROM:<bilgi@ornek.example>", "530")
	}
}

// prove begins SCRAM and returns what the client says next, and what it then wants to hear.
func (w *world) prove(k *talk) (final, want string) {
	w.t.Helper()
	c := &scramClient{name: user, password: secret}
	_, ir, _ := c.Start()
	first := k.do("AUTH SCRAM-SHA-256 "+b64(string(ir)), "334 ")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(first[4:]))
	if err != nil {
		w.t.Fatal(err)
	}
	last, err := c.Next(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(last), c.want
}

// proved goes through SCRAM up to the client's last answer.
func (w *world) proved(k *talk) {
	w.t.Helper()
	final, want := w.prove(k)
	k.do(b64(final), "334 "+b64(want))
}

// Who breaks off at the last step of SCRAM is not logged in and takes no session of the account, how often ever; who then goes through
// takes one, and gives it back.
func TestSCRAMBrokenOff(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.MaxPerAccount = 1 })
	sessions := func() int {
		w.srv.mu.Lock()
		defer w.srv.mu.Unlock()
		return w.srv.sessions[acct]
	}
	k := w.dial(SubmissionTLS)
	k.expect("220")
	k.do("EHLO x", "250")
	for _, end := range []struct{ say, want string }{{"*", "501"}, {"!", "454"}, {"*", "501"}} {
		w.proved(k)
		k.do(end.say, end.want)
		k.do("MAIL FROM:<bilgi@ornek.example>", "530 5.7.0")
		if n := sessions(); n != 0 {
			t.Fatalf("%d sessions are counted after %q", n, end.say)
		}
	}
	w.proved(k)
	k.do("=", "235")
	if n := sessions(); n != 1 {
		t.Errorf("%d sessions are counted, want 1", n)
	}
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	other := w.dial(SubmissionTLS)
	other.expect("220")
	other.do("EHLO x", "250")
	w.proved(other)
	other.do("", "454 4.7.0 Too many sessions")
	k.do("QUIT", "221")
	k.gone()
	w.proved(other)
	other.do("", "235")
	if m := w.srv.Metrics(); m.Logins[scramSHA256] != 2 {
		t.Errorf("logins counted: %v", m.Logins)
	}
}
