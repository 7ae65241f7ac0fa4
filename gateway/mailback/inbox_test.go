package mailback

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/bounce"
	"izinli/gateway/smarthost"
)

// world is the store and the desk of an inbox.
type world struct {
	gateway.ConsentDesk
	dir     *gateway.Directory
	returns []gateway.MailReturn
	delays  []string
	relayed int
	optouts []gateway.OptOut
	slowed  []string
	err     error
	optErr  error
}

var (
	letter = gateway.MessageID{Account: 7, Batch: gateway.BatchID(time.Unix(1_800_000_000, 0).UnixMilli() << 20), Index: 3}
	system = gateway.MessageID{Account: 7, Batch: letter.Batch + 1}
)

func (w *world) Directory() *gateway.Directory { return w.dir }

func (w *world) Mail(_ context.Context, id gateway.MessageID) (*gateway.Batch, *gateway.Recipient, error) {
	b, r := &gateway.Batch{Account: 7, ID: id.Batch, Brand: "675403"}, &gateway.Recipient{Address: "ali@alici.example"}
	switch id {
	case letter:
		return b, r, w.err
	case system:
		b.Brand = ""
		return b, r, w.err
	}
	return nil, nil, gateway.Refuse(gateway.CodeNotFound, "", "")
}

func (w *world) Return(_ context.Context, r gateway.MailReturn) (bool, error) {
	w.returns = append(w.returns, r)
	return true, w.err
}

func (w *world) Delayed(_ context.Context, _ gateway.MessageID, diagnostic string) (bool, error) {
	w.delays = append(w.delays, diagnostic)
	return true, w.err
}

func (w *world) Relayed(context.Context, gateway.MessageID) (bool, error) {
	w.relayed++
	return true, w.err
}

func (w *world) OptOut(_ context.Context, o gateway.OptOut) error {
	w.optouts = append(w.optouts, o)
	return errors.Join(w.err, w.optErr)
}

func newInbox(t *testing.T) (*world, *Inbox, *smarthost.VERP) {
	t.Helper()
	verp, err := smarthost.NewVERP("bounce.izinli.example", []byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: gateway.NewDirectory()}
	w.dir.Accounts[7] = &gateway.Account{ID: 7}
	return w, New(Config{Slow: func(domain string, _ bounce.Class, _ string) { w.slowed = append(w.slowed, domain) }}, w, w, verp), verp
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// report is a mail of parts in the given type of multipart/report.
func report(kind string, parts ...string) string {
	s := "From: MAILER-DAEMON@next.example\nSubject: news\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=" + kind + "; boundary=b\n\n"
	for _, p := range parts {
		s += "--b\nContent-Type: " + p + "\n"
	}
	return s + "--b--\n"
}

func dsn(final, action, status, diagnostic string) string {
	return report("delivery-status", "text/plain\n\nSorry.", fmt.Sprintf("message/delivery-status\n\nReporting-MTA: dns; next.example\n\nFinal-Recipient: rfc822; %s\nAction: %s\nStatus: %s\nDiagnostic-Code: smtp; %s\n",
		final, action, status, diagnostic))
}

// groups is a report with a group for each "address action status".
func groups(list ...string) string {
	s := "message/delivery-status\n\nReporting-MTA: dns; next.example\n"
	for _, g := range list {
		f := strings.Fields(g)
		s += fmt.Sprintf("\nFinal-Recipient: rfc822; %s\nAction: %s\nStatus: %s\n", f[0], f[1], f[2])
	}
	return report("delivery-status", "text/plain\n\nSorry.", s)
}

// What comes to a return path, and what follows from it.
func TestReturns(t *testing.T) {
	for _, c := range []struct {
		why, mail          string
		state              gateway.State
		suppress           string // class
		slowed, delay, out bool
		relayed            bool
	}{
		{why: "no such address", mail: dsn("ali@alici.example", "failed", "5.1.1", "550 5.1.1 no such user"), state: gateway.StateUndelivered, suppress: "address"},
		{why: "the same, of the address he forwards to", mail: dsn("ali@baska.example", "failed", "5.1.1", "550 5.1.1 no such user"), state: gateway.StateUndelivered},
		{why: "a full box", mail: dsn("ali@alici.example", "failed", "5.2.2", "552 mailbox full"), state: gateway.StateUndelivered, suppress: "full"},
		{why: "we are unwanted there: the person is not to blame, the route slows", mail: dsn("ali@alici.example", "failed", "5.7.1", "550 5.7.1 blocked using spamhaus"), state: gateway.StateUndelivered, slowed: true},
		{why: "delivered", mail: dsn("ali@alici.example", "delivered", "2.0.0", "250 ok"), state: gateway.StateDelivered},
		{why: "delayed", mail: dsn("ali@alici.example", "delayed", "4.4.1", "451 4.4.1 later"), delay: true},
		{why: "relayed: nothing more will be heard of it", mail: dsn("ali@alici.example", "relayed", "2.0.0", "250 ok"), relayed: true},
		{why: "expanded tells nothing", mail: dsn("ali@alici.example", "expanded", "2.0.0", "250 ok")},
		{why: "of several recipients a failure decides, wherever it stands", mail: groups("ali@alici.example delayed 4.4.1", "ali@alici.example failed 5.1.1"), state: gateway.StateUndelivered, suppress: "address"},
		{why: "and our own goes before others", mail: groups("veli@baska.example failed 5.7.1", "ali@alici.example failed 5.1.1"), state: gateway.StateUndelivered, suppress: "address"},
		{why: "a delivery before a delay", mail: groups("veli@baska.example delayed 4.4.1", "ali@alici.example delivered 2.0.0"), state: gateway.StateDelivered},
		{why: "a delivery before the relayed copy", mail: groups("veli@baska.example relayed 2.0.0", "ali@alici.example delivered 2.0.0"), state: gateway.StateDelivered},
		{why: "word that it went on before a delay", mail: groups("veli@baska.example delayed 4.4.1", "ali@alici.example relayed 2.0.0"), relayed: true},
		{why: "cut off in the message it returns", mail: strings.TrimSuffix(report("delivery-status", "message/delivery-status\n\nReporting-MTA: dns; next.example\n\nFinal-Recipient: rfc822; ali@alici.example\nAction: failed\nStatus: 5.1.1\n",
			"message/rfc822\n\nSubject: Haber\n\n"+strings.Repeat("x\n", 100)), "x\n--b--\n"), state: gateway.StateUndelivered, suppress: "address"},
		{why: "a machine's own mail", mail: "From: ali@alici.example\nSubject: RET\nAuto-Submitted: auto-generated\n\nRET\n"},
		{why: "a bounce without a report", mail: "From: MAILER-DAEMON@next.example\nSubject: failure notice\n\n<ali@alici.example>:\n550 5.1.1 user unknown\n", state: gateway.StateUndelivered, suppress: "address"},
		{why: "out of office", mail: "From: ali@alici.example\nSubject: RET\nAuto-Submitted: auto-replied\n\nRET\n"},
		{why: "a reply that refuses", mail: "From: ali@alici.example\nSubject: Re: Haber\n\nRET\n", out: true},
		{why: "by its subject", mail: "From: ali@alici.example\nSubject: =?utf-8?q?listeden_=C3=A7=C4=B1kar=C4=B1n?=\n\n", out: true},
		{why: "in English, above what is quoted", mail: "From: ali@alici.example\nSubject: Re: x\n\nunsubscribe\n\nOn Sun, Ornek <b@ornek.example> wrote:\n> kampanya\n", out: true},
		{why: "a question, above our own words about refusing", mail: "From: ali@alici.example\nSubject: Ynt: RET yazarak cikabilirsiniz\n\nSiparisim nerede?\n\n22 Kas 2026 Paz 10:00 tarihinde Ornek <b@ornek.example> şunu yazdı:\n\n> RET yazin\n"},
		{why: "the same, as others quote", mail: "From: ali@alici.example\nSubject: AW: x\n\nSiparisim nerede?\n-----Original Message-----\nRET yazin\n"},
		{why: "not a mail at all", mail: "\x00\x01"},
	} {
		w, in, verp := newInbox(t)
		if err := in.Deliver(t.Context(), "", []string{verp.Address(letter)}, strings.NewReader(crlf(c.mail))); err != nil {
			t.Errorf("%s: %v", c.why, err)
		}
		var state gateway.State
		suppress := ""
		for _, r := range w.returns {
			if state = r.State; r.Suppress != nil {
				suppress = r.Suppress.Class
				if r.Suppress.Address != "ali@alici.example" || r.Suppress.Account != 7 {
					t.Errorf("%s: %+v", c.why, r.Suppress)
				}
			}
		}
		if state != c.state || suppress != c.suppress || len(w.delays) > 0 != c.delay || w.relayed > 0 != c.relayed || len(w.optouts) > 0 != c.out || slices.Equal(w.slowed, []string{"alici.example"}) != c.slowed {
			t.Errorf("%s: returns %+v, delays %v, opt-outs %+v, slowed %v", c.why, w.returns, w.delays, w.optouts, w.slowed)
		}
		if c.out && (w.optouts[0].Address != "ali@alici.example" || w.optouts[0].Brand != "675403" || w.optouts[0].Route != "mailto" || w.optouts[0].Local) {
			t.Errorf("%s: %+v", c.why, w.optouts[0])
		}
	}
}

// Whoever writes to the unsubscribe address refuses, whatever he writes; machines do not.
func TestLeave(t *testing.T) {
	for why, c := range map[string]struct {
		mail string
		out  bool
	}{
		"empty":                  {"From: ali@alici.example\n\n", true},
		"with a word":            {"From: ali@alici.example\nSubject: hello\n\nMerhaba\n", true},
		"out of office":          {"From: ali@alici.example\nAuto-Submitted: auto-replied\nSubject: izinliyim\n\n", false},
		"marked by its provider": {"From: ali@alici.example\nAuto-Submitted: auto-generated\nSubject: unsubscribe\n\n", true},
		"in other words":         {"From: ali@alici.example\nAuto-Submitted: auto-notified; owner-email=ali@alici.example\n\n", true},
		"an answer with words":   {"From: ali@alici.example\nAuto-Submitted: auto-replied; owner-email=ali@alici.example\n\n", false},
		"a bounce in words":      {"From: MAILER-DAEMON@next.example\nSubject: failure notice\n\n<ali@alici.example>:\n550 x\n", false},
		"a bounce":               {dsn("ali@alici.example", "failed", "5.1.1", "550 x"), false},
	} {
		w, in, verp := newInbox(t)
		if err := in.Deliver(t.Context(), "", []string{verp.Leave(letter)}, strings.NewReader(crlf(c.mail))); err != nil || len(w.optouts) > 0 != c.out || len(w.returns) > 0 {
			t.Errorf("%s: %+v, %v", why, w, err)
		}
	}
	w, in, verp := newInbox(t)
	if err := in.Deliver(t.Context(), "", []string{verp.Leave(system)}, strings.NewReader("Subject: x\r\n\r\n")); err != nil || len(w.optouts) > 0 {
		t.Errorf("mail without a brand has nobody to refuse: %+v, %v", w.optouts, err)
	}
}

// A complaint blocks; İYS is told by the account's policy. It is found by what only we can have signed.
func TestComplaints(t *testing.T) {
	arf := func(typ, from, unsubscribe string) string {
		s := "message/feedback-report\n\nFeedback-Type: " + typ + "\nUser-Agent: x/1\nVersion: 1\n"
		if from != "" {
			s += "Original-Mail-From: <" + from + ">\n"
		}
		return report("feedback-report", "text/plain\n\nAn abuse report.", s, "message/rfc822\n\nSubject: Haber\nList-Unsubscribe: <https://u.example/o/x>, <mailto:"+unsubscribe+">\n\nx\n")
	}
	w, in, verp := newInbox(t)
	own, leave := verp.Address(letter), verp.Leave(letter)
	for _, c := range []struct {
		why, to, mail string
		ret           bool
		local, out    bool
	}{
		{"to the feedback address", "fbl@bounce.izinli.example", arf("abuse", own, "x@y.example"), false, true, true},
		{"that goes to İYS", "fbl@bounce.izinli.example", arf("abuse", own, "x@y.example"), true, false, true},
		{"without the return path", "abuse@bounce.izinli.example", arf("fraud", "", leave), true, false, true},
		{"to the return path", own, arf("abuse", "", "x@y.example"), false, true, true},
		{"that fits no type, for the person in doubt, and no word to İYS", "fbl@bounce.izinli.example", arf("other", own, "x@y.example"), true, true, true},
		{"an opt-out, which İYS hears of whatever the policy", "fbl@bounce.izinli.example", arf("opt-out", own, "x@y.example"), false, false, true},
		{"a machine's finding about our signature", "fbl@bounce.izinli.example", arf("auth-failure", own, "x@y.example"), true, false, false},
		{"a machine's finding about the message", own, arf("virus", own, "x@y.example"), true, false, false},
		{"a type nobody registered", own, arf("dmarc-sample", own, "x@y.example"), true, false, false},
		{"at the unsubscribe address", leave, arf("abuse", "", "x@y.example"), false, true, true},
		{"taken back, there too", leave, arf("not-spam", "", "x@y.example"), false, true, false},
		{"taken back", "fbl@bounce.izinli.example", arf("not-spam", own, leave), true, false, false},
		{"about a path nobody signed", "fbl@bounce.izinli.example", arf("abuse", "b+x.y@bounce.izinli.example", "u+x.y@bounce.izinli.example"), true, false, false},
	} {
		w.optouts = nil
		w.dir.Accounts[7].Policy.ComplaintRET = c.ret
		if err := in.Deliver(t.Context(), "", []string{c.to}, strings.NewReader(crlf(c.mail))); err != nil || len(w.optouts) > 0 != c.out {
			t.Errorf("%s: %+v, %v", c.why, w.optouts, err)
		} else if c.out && (w.optouts[0].Local != c.local || w.optouts[0].Route != "complaint" || w.optouts[0].Channel != gateway.ChannelEmail) {
			t.Errorf("%s: %+v", c.why, w.optouts[0])
		}
	}
}

// What cannot be written now is not taken; what can never be applied is not sent again.
func TestInboxErrors(t *testing.T) {
	w, in, verp := newInbox(t)
	for _, m := range []string{dsn("ali@alici.example", "failed", "5.1.1", "550 x"), "Subject: RET\n\n"} {
		w.err = errors.New("disk on fire")
		if err := in.Deliver(t.Context(), "", []string{verp.Address(letter)}, strings.NewReader(crlf(m))); !errors.Is(err, w.err) {
			t.Errorf("a store that fails: %v", err)
		}
		w.err = nil
		gone := letter
		gone.Index++
		if err := in.Deliver(t.Context(), "", []string{verp.Address(gone)}, strings.NewReader(crlf(m))); err != nil {
			t.Errorf("a message nobody knows: %v", err)
		}
	}
	w.optouts, w.optErr = nil, gateway.Refuse(gateway.CodeBrand, "", "")
	if err := in.Deliver(t.Context(), "", []string{verp.Leave(letter)}, strings.NewReader("Subject: x\r\n\r\n")); err != nil || len(w.optouts) != 1 {
		t.Errorf("a brand that is gone: %v", err)
	}
	for addr, want := range map[string]bool{verp.Address(letter): true, verp.Leave(letter): true, "postmaster@bounce.izinli.example": true, "fbl@bounce.izinli.example": true,
		"b+x.y@bounce.izinli.example": false, "ali@bounce.izinli.example": false, "postmaster@alici.example": false} {
		if got := in.Accepts(addr); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
}
