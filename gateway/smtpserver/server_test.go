package smtpserver

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"izinli/gateway"
	"izinli/gateway/mail"
	"izinli/gateway/smtptest"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

const (
	envelope = "MAIL FROM:<bilgi@ornek.example>\r\nRCPT TO:<ali@alici.example>\r\n"
	head     = "From: Ornek <bilgi@ornek.example>\r\nTo: ali@alici.example\r\nSubject: Kampanya\r\n"
	msg      = head + "\r\nMerhaba\r\n"
)

func TestAccept(t *testing.T) {
	w := newWorld(t, nil)
	for _, m := range []Mode{Submission, SubmissionTLS} {
		k := w.ready(m, user)
		k.send("MAIL FROM:<Bilgi@Ornek.example> RET=HDRS ENVID=QQ314 SIZE=100\r\nRCPT TO:<Ali@alici.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Ali@alici.example\r\nRCPT TO:<ali@ALICI.example>\r\nRCPT TO:<hold@alici.example> NOTIFY=NEVER\r\nDATA\r\n")
		for _, want := range []string{"250", "250", "250", "250", "354"} {
			k.expect(want)
		}
		k.send(head + "X-Message-Class: commercial\r\nBcc: gizli@x.example\r\n\r\nMerhaba\r\n..nokta\r\n.\r\n")
		if got := k.expect("250 2.0.0 OK: queued as "); !strings.Contains(got, "queued as 0") {
			t.Errorf("%q names no batch", got)
		}
		k.do("QUIT", "221")
	}
	subs, texts := w.submissions()
	if len(subs) != 2 {
		t.Fatalf("%d submissions, want 2", len(subs))
	}
	s := subs[0]
	if s.Class != gateway.ClassCommercial || s.From != "bilgi@ornek.example" || s.Channel != gateway.ChannelEmail || s.Door != gateway.DoorSMTP || s.Receipt != gateway.ReceiptAll {
		t.Errorf("submission %+v", s)
	}
	if len(s.To) != 2 || s.To[0].Address != "ali@alici.example" || s.To[1].Address != "hold@alici.example" {
		t.Fatalf("recipients %+v", s.To)
	}
	if got, want := s.To[0].Vars, []gateway.Var{{Name: mail.MarkNotify, Value: "SUCCESS,FAILURE"}, {Name: mail.MarkORcpt, Value: "rfc822;Ali@alici.example"}}; !slices.Equal(got, want) {
		t.Errorf("vars %v, want %v", got, want)
	}
	if s.Headers[mail.MarkFrom] != "bilgi@ornek.example" || s.Headers[mail.MarkEnvID] != "QQ314" || s.Headers[mail.MarkReturn] != "HDRS" {
		t.Errorf("marks %v", s.Headers)
	}
	body := texts[0]
	if !strings.HasPrefix(body, "Received: from authenticated by mx.izinli.example with ESMTPSA id ") || !strings.HasSuffix(body, "\r\n\r\nMerhaba\r\n.nokta\r\n") {
		t.Errorf("body %q", body)
	}
	for _, want := range []string{"\r\nDate: ", "\r\nMessage-ID: <"} {
		if strings.Count(body, want) != 1 {
			t.Errorf("body lacks %q", want)
		}
	}
	for _, never := range []string{"X-Message-Class", "Bcc", "127.0.0.1"} {
		if strings.Contains(body, never) {
			t.Errorf("body holds %q", never)
		}
	}
}

// A field that is signed as absent is not added.
func TestAbsentFieldsSigned(t *testing.T) {
	w := newWorld(t, nil)
	k := w.ready(SubmissionTLS, user)
	for i, c := range []struct {
		fields    string
		date, mid bool
	}{{"from:date", false, true}, {"from:message-id", true, false}, {"from", true, true}} {
		k.do("MAIL FROM:<bilgi@ornek.example>", "250")
		k.do("RCPT TO:<ali@alici.example>", "250")
		k.do("DATA", "354")
		k.send("DKIM-Signature: v=1; d=ornek.example; h=" + c.fields + "; b=x\r\nFrom: bilgi@ornek.example\r\n\r\nx\r\n.\r\n")
		k.expect("250")
		_, texts := w.submissions()
		if date, mid := strings.Contains(texts[i], "\r\nDate:"), strings.Contains(texts[i], "\r\nMessage-ID:"); date != c.date || mid != c.mid {
			t.Errorf("signed %s: Date was added: %v, Message-ID: %v", c.fields, date, mid)
		}
	}
}

// The five sequences, and some more, by DATA and by BDAT, on every door: one message or a refusal, never two.
func TestSmuggling(t *testing.T) {
	w := newWorld(t, func(w *world) {
		p := localPeer(w, user)
		w.peers = []*Peer{p}
	})
	inner := "MAIL FROM:<bilgi@ornek.example>\r\nRCPT TO:<kurban@alici.example>\r\nDATA\r\n" + head + "\r\nsmuggled\r\n"
	for _, c := range []struct{ why, seq, reply string }{
		{"LF . LF", "\n.\n", "550 5.5.2"},
		{"LF . CRLF", "\n.\r\n", "550 5.5.2"},
		{"CRLF . LF", "\r\n.\n", "550 5.5.2"},
		{"CR . CR", "\r.\r", "550 5.5.2"},
		{"CRLF NUL . CRLF", "\r\n\x00.\r\n", "550 5.6.0"},
		{"CR . CRLF", "\r.\r\n", "550 5.5.2"},
		{"LF . CR LF LF", "\n.\r\n\n", "550 5.5.2"},
		{"CRLF . CR", "\r\n.\rx", ""}, // go-smtp undoes the dot and the CR before we see them: one harmless message
		{"nothing", "\r\n", "250"},
	} {
		for _, mode := range []Mode{Submission, SubmissionTLS, Relay} {
			for _, bdat := range []bool{false, true} {
				k := w.ready(mode, user)
				before, _ := w.submissions()
				text := msg + "hidden" + c.seq + inner
				if bdat {
					k.send(envelope + fmt.Sprintf("BDAT %d LAST\r\n", len(text)) + text)
				} else {
					k.send(envelope + "DATA\r\n")
				}
				k.expect("250")
				k.expect("250")
				if !bdat {
					k.expect("354")
					k.send(text + ".\r\n")
				}
				want := c.reply
				if want == "" {
					want = "250"
					if bdat {
						want = "550 5.5.2"
					}
				}
				k.expect(want)
				k.do("NOOP", "250") // the session is in step: nothing else was read as a command
				k.do("QUIT", "221")
				after, texts := w.submissions()
				if got := len(after) - len(before); got > 1 || got == 1 != strings.HasPrefix(want, "250") {
					t.Errorf("%s, mode %d, bdat %v: %d messages", c.why, mode, bdat, got)
				}
				for _, s := range after {
					if s.To[0].Address != "ali@alici.example" {
						t.Errorf("%s: mail to %s came out", c.why, s.To[0].Address)
					}
				}
				if len(texts) > 0 && strings.ContainsAny(strings.ReplaceAll(texts[len(texts)-1], "\r\n", ""), "\r\n\x00") {
					t.Errorf("%s: stored text is not canonical", c.why)
				}
			}
		}
	}
}

// An old peer may be normalised; what is stored is canonical all the same.
func TestNormalise(t *testing.T) {
	w := newWorld(t, func(w *world) { p := localPeer(w, user); p.Normalise = true; w.peers = []*Peer{p} })
	k := w.ready(Relay, "")
	k.send(envelope)
	k.expect("250")
	k.expect("250")
	k.do("DATA", "354")
	k.send(head + "\r\na\nb\n.\nc\rd\r\n.\r\n")
	k.expect("250")
	_, texts := w.submissions()
	if len(texts) != 1 || !strings.HasSuffix(texts[0], "\r\n\r\na\r\nb\r\n.\r\nc\r\nd\r\n") {
		t.Errorf("stored %q", texts)
	}
	if !strings.Contains(texts[0], "client.example ([127.0.0.1])") {
		t.Errorf("the trace lacks the peer: %q", texts[0])
	}
}

func TestAuth(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		why  string
		mech func(name, pw string) sasl.Client
	}{
		{"PLAIN", func(n, p string) sasl.Client { return sasl.NewPlainClient("", n, p) }},
		{"PLAIN as oneself", func(n, p string) sasl.Client { return sasl.NewPlainClient(n, n, p) }},
		{"LOGIN", func(n, p string) sasl.Client { return sasl.NewLoginClient(n, p) }},
		{"SCRAM-SHA-256", func(n, p string) sasl.Client { return &scramClient{name: n, password: p} }},
		{"SCRAM-SHA-256 that could bind", func(n, p string) sasl.Client { return &scramClient{name: n, password: p, flag: "y"} }},
	} {
		for _, login := range []struct {
			name, pw string
			good     bool
		}{{user, secret, true}, {user, "wrong", false}, {"nobody " + c.why, secret, false}} { // a second failure of one name would wait twice as long
			cl, err := smtp.DialStartTLS(w.addr[Submission], &tls.Config{RootCAs: w.roots, ServerName: "127.0.0.1"})
			if err != nil {
				t.Fatal(err)
			}
			err = cl.Auth(c.mech(login.name, login.pw))
			if se, ok := err.(*smtp.SMTPError); (err == nil) != login.good || !login.good && (!ok || se.Code != 535 || se.EnhancedCode != smtp.EnhancedCode{5, 7, 8}) {
				t.Errorf("%s as %s/%s: %v", c.why, login.name, login.pw, err)
			}
			if err := cl.SendMail("bilgi@ornek.example", []string{"ali@alici.example"}, strings.NewReader(msg)); (err == nil) != login.good {
				t.Errorf("%s as %s/%s: mail: %v", c.why, login.name, login.pw, err)
			}
			cl.Close()
		}
	}
	for _, c := range []struct{ why, ir string }{
		{"acting for another", b64("other\x00" + user + "\x00" + secret)},
		{"a NUL more", b64("\x00" + user + "\x00" + secret + "\x00x")},
		{"nobody", b64("\x00\x00")},
	} {
		k := w.dial(SubmissionTLS)
		k.expect("220")
		k.do("EHLO x", "250")
		k.do("AUTH PLAIN "+c.ir, "535 5.7.8", "501 5.5.2")
		k.do("MAIL FROM:<bilgi@ornek.example>", "530 5.7.0")
	}
}

func TestAuthOrder(t *testing.T) {
	w := newWorld(t, nil)
	k := w.dial(Submission)
	k.expect("220 mx.izinli.example")
	if got := k.do("EHLO x", "250"); strings.Contains(got, "AUTH") || !strings.Contains(got, "STARTTLS") {
		t.Errorf("before TLS: %q", got)
	}
	k.do("AUTH PLAIN "+b64("\x00"+user+"\x00"+secret), "523", "538", "530")
	k.do("MAIL FROM:<bilgi@ornek.example>", "530 5.7.0")
	k.startTLS(w, nil)
	got := k.do("EHLO x", "250")
	for _, want := range []string{"AUTH SCRAM-SHA-256 PLAIN LOGIN", "PIPELINING", "8BITMIME", "CHUNKING", "SMTPUTF8", "DSN", "SIZE 1048576", "ENHANCEDSTATUSCODES", "RCPTMAX="} {
		if !strings.Contains(got, want) {
			t.Errorf("EHLO lacks %s: %q", want, got)
		}
	}
	k.do("MAIL FROM:<bilgi@ornek.example>", "530 5.7.0")
	k.do("AUTH GSSAPI", "504 5.5.4")
	k.do("AUTH SCRAM-SHA-256 "+b64("p=tls-unique,,n="+user+",r=x"), "501")
	k.do("AUTH SCRAM-SHA-256 "+b64("n,,m=ext,n="+user+",r=x"), "501")
	k.do("AUTH LOGIN", "334 "+b64("Username:"))
	k.do("*", "501")
	k.do("AUTH PLAIN "+b64("\x00"+user+"\x00"+secret), "235")
	k.do("AUTH PLAIN "+b64("\x00"+user+"\x00"+secret), "503")
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	k.do("MAIL FROM:<bilgi@ornek.example>", "503 5.5.1")
	k.do("DATA", "502", "503", "554")
	k.do("RSET", "250")
	k.do("RCPT TO:<ali@alici.example>", "502", "503")
}

func TestLoginsBounded(t *testing.T) {
	w := newWorld(t, nil)
	k := w.dial(SubmissionTLS)
	k.expect("220")
	k.do("EHLO x", "250")
	for range maxLogins {
		k.do("AUTH PLAIN "+b64("\x00"+user+"\x00wrong"), "535 5.7.8")
	}
	k.do("AUTH PLAIN "+b64("\x00"+user+"\x00"+secret), "421 4.7.0")
	k.gone()
	if got := w.srv.Metrics().LoginFailures["PLAIN"]; got != maxLogins {
		t.Errorf("%d failures counted", got)
	}
}

func TestNeverAnOpenRelay(t *testing.T) {
	w := newWorld(t, nil)
	k := w.ready(Relay, "")
	for _, from := range []string{"a@b.example", "bilgi@ornek.example", ""} {
		k.do("MAIL FROM:<"+from+">", "250")
		for _, to := range []string{"ali@alici.example", "bilgi@ornek.example", "ali%alici.example@mx.izinli.example", "905321234567@sms.mx.izinli.example", "@mx.izinli.example:ali@alici.example"} {
			k.do("RCPT TO:<"+to+">", "550 5.7.1 Relay access denied")
		}
		k.do("DATA", "502", "503")
		k.do("RSET", "250")
	}
	if subs, _ := w.submissions(); len(subs) != 0 || len(w.checks) != 0 {
		t.Error("a stranger got through")
	}
	// Its passing twin: mail for ourselves.
	k.do("MAIL FROM:<>", "250")
	k.do("RCPT TO:<B+x@Bounce.izinli.example>", "250")
	k.do("DATA", "354")
	k.send("Subject: bounce\r\n\r\n..x\r\n.\r\n")
	k.expect("250")
	if len(w.inbox) != 1 || w.inbox[0] != "Subject: bounce\r\n\r\n.x\r\n" || w.incoming[0].To[0] != "b+x@bounce.izinli.example" || w.incoming[0].From != "" {
		t.Errorf("inbox %q, %+v", w.inbox, w.incoming)
	}
}

// Of a mail for ourselves the beginning is acted on, however large the rest: a bounce may return all of a message we let out. All of it has
// to come first, and to be a mail.
func TestInboxBounds(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.cfg.MaxInbox, w.cfg.MaxSize, w.peers = 1000, 100_000, []*Peer{localPeer(w, user)}
	})
	k := w.ready(Relay, "")
	for _, c := range []struct{ why, rest, want string }{
		{"larger than what is read", strings.Repeat("yyyy\r\n", 2000), "250"},
		{"no mail, behind what is read", strings.Repeat("yyyy\r\n", 2000) + "y\ny\r\n", "550 5.5.2"},
		{"larger than any mail", strings.Repeat("yyyy\r\n", 20_000), "552"},
	} {
		w.inbox = nil
		k.do("MAIL FROM:<bilgi@ornek.example>", "250")
		k.do("RCPT TO:<b@bounce.izinli.example>", "250")
		k.do("RCPT TO:<ali@alici.example>", "452 4.5.3") // another kind: another transaction
		k.do("DATA", "354")
		k.send("Subject: x\r\n\r\n" + c.rest + ".\r\n")
		k.expect(c.want)
		if c.want == "250" && (len(w.inbox) != 1 || len(w.inbox[0]) != 1000 || !strings.HasPrefix(w.inbox[0], "Subject: x\r\n\r\nyyyy")) || c.want != "250" && len(w.inbox) > 0 {
			t.Errorf("%s: the inbox got %d octets of %d mails", c.why, len(strings.Join(w.inbox, "")), len(w.inbox))
		}
		k.do("NOOP", "250")
	}
}

func TestRecipients(t *testing.T) {
	w := newWorld(t, nil)
	k := w.ready(SubmissionTLS, user)
	k.do("MAIL FROM:<bilgi@ornek.example> SMTPUTF8", "250")
	for _, c := range []struct{ to, want string }{
		{"no@alici.example", "550 5.7.1 The recipient has not consented at IYS."},
		{"blocked@alici.example", "550 5.7.1 The recipient opted out."},
		{"later@alici.example", "451 4.7.1"},
		{"hold@alici.example", "250"},
		{"ali@alici.example", "250"},
		{"ali@xn--rnek-4qa.example", "250"},
		{"ali@örnek.example", "250"}, // the same in other letters
		{"şükrü@alici.example", "553 5.6.7"},
		{"ali@localhost", "550 5.1.3"},
		{"x y@alici.example", "501"},
		{"905321234567@sms.mx.izinli.example", "452 4.5.3"},
		{"b@bounce.izinli.example", "452 4.5.3"},
	} {
		k.do("RCPT TO:<"+c.to+">", c.want)
	}
	if len(w.refused) != 3 {
		t.Errorf("%d refusals recorded, want 3", len(w.refused))
	}
	k.do("DATA", "354")
	k.send(msg + ".\r\n")
	k.expect("250")
	subs, _ := w.submissions()
	if got := len(subs[0].To); got != 3 {
		t.Errorf("%d recipients submitted, want 3: %v", got, subs[0].To)
	}
	w.throttled = true
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	k.do("RCPT TO:<ali@alici.example>", "450 4.7.1")
}

func TestSenders(t *testing.T) {
	w := newWorld(t, nil)
	k := w.ready(SubmissionTLS, user)
	for _, from := range []string{"a@alici.example", "a@baska.example", "a@bekleyen.example", "a@sub.ornek.example"} {
		k.do("MAIL FROM:<"+from+">", "550 5.7.1 The sender is not approved")
	}
	for _, c := range []struct{ why, head, want string }{
		{"a From of another account", "From: a@baska.example\r\n", "550 5.7.1"},
		{"one of two", "From: bilgi@ornek.example, a@baska.example\r\n", "550 5.7.1"},
		{"a Sender of another", "From: bilgi@ornek.example\r\nSender: a@baska.example\r\n", "550 5.7.1"},
		{"two From fields", "From: bilgi@ornek.example\r\nFrom: a@baska.example\r\n", "550 5.6.0"},
		{"two Subjects", "From: bilgi@ornek.example\r\nSubject: a\r\nSubject: b\r\n", "550 5.6.0"},
		{"no From", "Subject: x\r\n", "550 5.6.0"},
		{"an unreadable From", "From: ornek\r\n", "550 5.6.0"},
		{"a malformed header", "From: bilgi@ornek.example\r\nno colon here\r\n", "550 5.6.0"},
		{"a loop", "From: bilgi@ornek.example\r\n" + strings.Repeat("Received: x\r\n", 51), "554 5.4.6"},
		{"a long line", "From: bilgi@ornek.example\r\n\r\n" + strings.Repeat("x", 999) + "\r\n", "550 5.6.0"},
		{"a large header", "From: bilgi@ornek.example\r\n" + strings.Repeat("X-Y: "+strings.Repeat("z", 900)+"\r\n", 300), "552 5.3.4"},
		{"its twin", "From: bilgi@ornek.example\r\n", "250"},
	} {
		for _, from := range []string{"bilgi@ornek.example", ""} {
			k.do("MAIL FROM:<"+from+">", "250")
			k.do("RCPT TO:<ali@alici.example>", "250")
			k.do("DATA", "354")
			k.send(c.head + "\r\nx\r\n.\r\n")
			if got := k.expect(c.want); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: %q", c.why, got)
			}
		}
	}
}

func TestClassByHeader(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		why, name, head string
		to              []string
		want            string
		class           string
	}{
		{"some may not", "mixed", "X-Message-Class: Commercial\r\nX-IYS-Brand-Code: 675403\r\n", []string{"ali@a.example", "no@a.example"}, "250 2.0.0 OK: queued as", "commercial"},
		{"nobody may", "mixed", "X-Message-Class: commercial\r\n", []string{"no@a.example", "no2@a.example"}, "554 5.7.1 No permitted recipient: The recipient has not consented", ""},
		{"for different reasons", "mixed", "", []string{"no@a.example", "blocked@a.example"}, "554 5.7.1 No permitted recipient\r\n", ""},
		{"nobody now", "mixed", "", []string{"later@a.example", "no@a.example"}, "451 4.7.1", ""},
		{"nothing said", "mixed", "", []string{"ali@a.example"}, "250", "commercial"},
		{"transactional with a reason", "mixed", "X-Message-Class: transactional\r\nX-Message-Reason: order\r\n", []string{"ali@a.example"}, "250", "transactional"},
		{"an unknown reason", "mixed", "X-Message-Class: transactional\r\nX-Message-Reason: fun\r\n", []string{"ali@a.example"}, "550 5.7.1", ""},
		{"an unknown class", "mixed", "X-Message-Class: urgent\r\n", []string{"ali@a.example"}, "550 5.5.4", ""},
		{"two classes", "mixed", "X-Message-Class: commercial\r\nX-Message-Class: transactional\r\n", []string{"ali@a.example"}, "550 5.5.4", ""},
		{"a class it may not use", "mixed", "X-Message-Class: otp\r\n", []string{"ali@a.example"}, "550 5.7.1", ""},
		{"another than it has", user, "X-Message-Class: transactional\r\n", []string{"ali@a.example"}, "550 5.7.1", ""},
		{"a recipient type", "mixed", "X-IYS-Recipient-Type: tacir\r\n", []string{"ali@a.example"}, "250", "commercial"},
		{"an unknown recipient type", "mixed", "X-IYS-Recipient-Type: kedi\r\n", []string{"ali@a.example"}, "550 5.5.4", ""},
	} {
		before, _ := w.submissions()
		k := w.ready(SubmissionTLS, c.name)
		k.do("MAIL FROM:<bilgi@ornek.example>", "250")
		for _, to := range c.to {
			k.do("RCPT TO:<"+to+">", "250")
		}
		k.do("DATA", "354")
		k.send(c.head + msg + ".\r\n")
		k.expect(c.want)
		after, texts := w.submissions()
		if got := len(after) > len(before); got != (c.class != "") {
			t.Errorf("%s: submitted %v", c.why, got)
		} else if got && after[len(after)-1].Class != c.class {
			t.Errorf("%s: class %q, want %q", c.why, after[len(after)-1].Class, c.class)
		} else if got && strings.Contains(texts[len(texts)-1], "X-") {
			t.Errorf("%s: a private header is relayed", c.why)
		}
		k.do("QUIT", "221")
	}
	if subs, _ := w.submissions(); subs[0].Brand != "675403" {
		t.Errorf("brand %q", subs[0].Brand)
	}
}

// A peer by address is not heard unless it is trusted; its header goes all the same.
func TestPeers(t *testing.T) {
	clientCert, _, err := smtptest.Certificate("peer")
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(clientCert.Certificate[0])
	for _, c := range []struct {
		why   string
		edit  func(w *world) *Peer
		tls   bool
		want  string
		class string
	}{
		{"by address", func(w *world) *Peer { return localPeer(w, "mixed") }, false, "250", "commercial"},
		{"by address, trusted", func(w *world) *Peer { p := localPeer(w, "mixed"); p.TrustHeaders = true; return p }, false, "250", "transactional"},
		{"by certificate", func(w *world) *Peer {
			return &Peer{Name: "c", Certificates: []string{strings.ToUpper(hex.EncodeToString(sum[:]))}, Principal: w.principal("mixed")}
		}, true, "250", "transactional"},
		{"TLS asked for and not there", func(w *world) *Peer { p := localPeer(w, "mixed"); p.RequireTLS = true; return p }, false, "530 5.7.0", ""},
		{"TLS asked for and there", func(w *world) *Peer { p := localPeer(w, "mixed"); p.RequireTLS = true; return p }, true, "250", "commercial"},
	} {
		w := newWorld(t, func(w *world) { w.peers = []*Peer{c.edit(w)} })
		k := w.ready(Relay, "")
		if c.tls {
			k.startTLS(w, &clientCert)
		}
		k.do("MAIL FROM:<bilgi@ornek.example>", c.want)
		if c.class == "" {
			continue
		}
		k.do("RCPT TO:<ali@alici.example>", "250")
		k.do("DATA", "354")
		k.send("X-Message-Class: transactional\r\nX-Message-Reason: order\r\n" + msg + ".\r\n")
		k.expect("250")
		subs, texts := w.submissions()
		if subs[0].Class != c.class || strings.Contains(texts[0], "X-Message") {
			t.Errorf("%s: class %q, text %q", c.why, subs[0].Class, texts[0])
		}
	}
}

func TestSubmitRefuses(t *testing.T) {
	w := newWorld(t, nil)
	k := w.ready(SubmissionTLS, user)
	for _, c := range []struct {
		err  error
		want string
	}{
		{gateway.Refuse(gateway.CodeNoCredit, "", ""), "452 4.7.0"},
		{gateway.Refuse(gateway.CodeStorageFull, "", ""), "452 4.3.1"},
		{gateway.Refuse(gateway.CodeBrand, "", ""), "550 5.7.1"},
		{fmt.Errorf("disk on fire: %w", net.ErrClosed), "451 4.3.0 The service cannot take the request"},
		{nil, "250"},
	} {
		w.submitErr = c.err
		k.send(envelope)
		k.expect("250")
		k.expect("250")
		k.do("DATA", "354")
		k.send(msg + ".\r\n")
		if got := k.expect(c.want); strings.Contains(got, "fire") {
			t.Errorf("%q tells too much", got)
		}
	}
	n, err := w.bodies.Sweep(t.Context(), time.Now().Add(time.Hour), func(string) (bool, error) { return false, nil })
	if err != nil || n != 1 {
		t.Errorf("%d bodies kept, %v; want the accepted one", n, err)
	}
}

func TestChunking(t *testing.T) {
	w := newWorld(t, nil)
	k := w.ready(SubmissionTLS, user)
	k.send(envelope)
	k.expect("250")
	k.expect("250")
	k.send(fmt.Sprintf("BDAT %d\r\n%s", len(head)+1, head+"\r"))
	k.expect("250")
	k.send("BDAT 10 LAST\r\n\nMerhaba\r\n")
	k.expect("250 2.0.0 OK: queued")
	k.send("MAIL FROM:<bilgi@ornek.example>\r\n")
	k.expect("250")
	k.do("RCPT TO:<ali@alici.example>", "250")
	k.send("BDAT 5\r\nFrom:")
	k.expect("250")
	k.do("RSET", "250") // taken back
	k.do("NOOP", "250")
	k.do("MAIL FROM:<bilgi@ornek.example> SIZE=2000000", "552 5.3.4")
	k.send(envelope)
	k.expect("250")
	k.expect("250")
	k.send("BDAT 1048577 LAST\r\n" + strings.Repeat("xxxxxx\r\n", 131072) + "x")
	k.expect("552 5.3.4")
	k.do("NOOP", "250")
	if subs, _ := w.submissions(); len(subs) != 1 {
		t.Errorf("%d messages, want 1", len(subs))
	}
}

// RFC 5321 §4.5.3.1.8 and .10: a hundred recipients are taken, and what is too much is said so that the rest can be sent later.
func TestTooMuch(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.MaxRecipients = 100 })
	k := w.ready(SubmissionTLS, user)
	k.do("MAIL FROM:<bilgi@ornek.example>", "250")
	for i := range 100 {
		k.do(fmt.Sprintf("RCPT TO:<kisi%d@alici.example>", i), "250")
	}
	k.do("RCPT TO:<kisi100@alici.example>", "452 4.5.3")
	k.do("DATA", "354")
	k.send(msg + ".\r\n")
	k.expect("250")
	if subs, _ := w.submissions(); len(subs) != 1 || len(subs[0].To) != 100 {
		t.Fatalf("%d submissions", len(subs))
	}
	k.send(envelope)
	k.expect("250")
	k.expect("250")
	k.do("DATA", "354")
	k.send(msg + strings.Repeat(strings.Repeat("x", 98)+"\r\n", 11_000) + ".\r\n")
	k.expect("552 5.3.4")
	k.do("NOOP", "250")
	if subs, _ := w.submissions(); len(subs) != 1 {
		t.Errorf("%d submissions, want 1", len(subs))
	}
}

// A client that goes away in the middle has sent nothing, whatever way it goes and whatever way it sent.
func TestCutOff(t *testing.T) {
	w := newWorld(t, func(w *world) { w.peers = []*Peer{localPeer(w, user)} })
	for _, mode := range []Mode{Relay, SubmissionTLS} {
		for _, cmd := range []string{"DATA", "BDAT 100000 LAST", "BDAT 100000"} {
			k := w.ready(mode, user)
			k.send(envelope + cmd + "\r\n")
			k.expect("250")
			k.expect("250")
			k.send(msg)
			k.conn.Close() // through TLS with a closing alert, as a tidy client does
			k = w.ready(mode, user)
			k.do("QUIT", "221")
		}
	}
	waitIdle(t, w)
	if subs, _ := w.submissions(); len(subs) != 0 {
		t.Errorf("%d halves were taken for messages", len(subs))
	}
	n, err := w.bodies.Sweep(t.Context(), time.Now().Add(time.Hour), func(string) (bool, error) { return false, nil })
	if err != nil || n != 0 {
		t.Errorf("%d bodies were left, %v", n, err)
	}
}

// waitIdle returns when no connection is left.
func waitIdle(t *testing.T, w *world) {
	t.Helper()
	for open := w.srv.Metrics().Open; open["submission"]+open["submissions"]+open["relay"] > 0; open = w.srv.Metrics().Open {
		select {
		case <-time.After(time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("connections stay")
		}
	}
}

// Commands sent ahead of the answer to BDAT LAST may cost the session, never the message or the order.
func TestPipelinedBehindBDAT(t *testing.T) {
	w := newWorld(t, nil)
	k := w.ready(SubmissionTLS, user)
	k.send(envelope + fmt.Sprintf("BDAT %d LAST\r\n%s", len(msg), msg) + "NOOP\r\n")
	k.expect("250")
	k.expect("250")
	k.expect("250 2.0.0 OK: queued")
	if got, err := k.read(); err == nil && !strings.HasPrefix(got, "250") && !strings.HasPrefix(got, "421") {
		t.Errorf("then %q", got)
	}
	if subs, _ := w.submissions(); len(subs) != 1 {
		t.Errorf("%d messages, want 1", len(subs))
	}
}
