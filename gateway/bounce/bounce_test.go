package bounce

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"izinli/gateway/mail"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		why    string
		status string
		code   int
		text   string
		want   Class
	}{
		{"no such address", "5.1.1", 550, "<a@b>: Recipient address rejected: User unknown in virtual mailbox table", ClassAddress},
		{"the same, all of it in the code", "5.1.10", 550, "", ClassAddress},
		{"Exchange hides it behind policy", "5.4.1", 550, "Recipient address rejected: Access denied. AS(201806281)", ClassAddress},
		{"a disabled account", "5.2.1", 550, "The email account that you tried to reach is disabled.", ClassMailbox},
		{"over quota, for now", "4.2.2", 452, "The email account that you tried to reach is over quota", ClassFull},
		{"over quota for good", "5.2.2", 552, "mailbox full", ClassFull},
		{"over quota by text, without a code", "", 552, "Requested mail action aborted: exceeded storage allocation; Mailbox is full", ClassFull},
		{"Turkish: the box is full", "", 550, "Posta kutusu dolu", ClassFull},
		{"policy is about us", "5.7.1", 550, "Message rejected due to policy", ClassBlock},
		{"a block list is about us, whatever the code", "5.1.1", 550, "Service unavailable; client host blocked using Spamhaus", ClassBlock},
		{"DMARC", "5.7.26", 550, "Unauthenticated email from b.com is not accepted due to domain's DMARC policy", ClassAuth},
		{"Microsoft's bulk rule", "5.7.515", 550, "Access denied, sending domain B.COM does not meet the required authentication level", ClassAuth},
		{"greylisting", "4.7.1", 451, "Greylisted, please try again later", ClassTransient},
		{"a temporary failure never condemns an address", "4.1.1", 450, "User unknown", ClassTransient},
		{"temporary by code alone", "", 450, "no such user", ClassTransient},
		{"Yahoo's throttle", "4.7.0", 421, "[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume", ClassTransient},
		{"too large", "5.3.4", 552, "message size exceeds fixed limit", ClassContent},
		{"content", "5.6.0", 554, "bad mime", ClassContent},
		{"old servers: text alone", "", 550, "Sorry, no mailbox here by that name", ClassAddress},
		{"Yahoo's grammar", "5.0.0", 554, "delivery error: dd This user doesn't have a yahoo.com account", ClassAddress},
		{"5.0.0 and a text", "5.0.0", 550, "no such user", ClassAddress},
		{"Exim: unrouteable", "", 0, "Unrouteable address", ClassAddress},
		{"550 alone", "", 550, "", ClassAddress},
		{"554 alone says nothing", "", 554, "Transaction failed", ClassOther},
		{"nothing", "", 0, "", ClassOther},
		// What is about us, the sender, costs nobody their address.
		{"a limit of our own account", "5.4.5", 550, "Daily user sending limit exceeded. For more information on sending limits go to", ClassBlock},
		{"the same, which is nobody's full mailbox", "", 550, "Daily user sending quota exceeded", ClassBlock},
		{"and in other words", "", 550, "You have exceeded the maximum number of outgoing messages per hour", ClassBlock},
		{"we may not relay there", "", 550, "relay not permitted", ClassBlock},
		{"Postfix says it so", "", 554, "<a@b>: Relay access denied", ClassBlock},
		{"and qmail so", "", 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", ClassBlock},
		{"our return path is asked back", "", 550, "Sender verify failed", ClassAuth},
		{"the sender unknown, in the code and the words of an unknown recipient", "5.1.1", 550, "<b@c>: Sender address rejected: User unknown in virtual alias table", ClassAuth},
		{"the sender's domain", "5.1.8", 550, "Bad sender domain", ClassAuth},
		{"the same without a code", "", 553, "Sender address rejected: Domain not found", ClassAuth},
		{"the sender's form", "5.1.7", 553, "", ClassAuth},
		{"who we are", "", 550, "authentication required", ClassAuth},
		{"the system takes nothing", "5.3.2", 550, "", ClassOther},
		{"a domain that sends mail back to us", "5.4.6", 550, "mail for the domain comes back to us: its mail exchanger is mx.izinli.example", ClassOther},
		{"an enhanced code that means nothing is no bare 550", "5.0.0", 550, "", ClassOther},
		{"too much mail for one person, for now", "5.2.1", 550, "The user you are trying to contact is receiving mail at a rate that prevents additional messages", ClassTransient},
	} {
		if got := Classify(c.status, c.code, c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

// The same words mean different things by the command they answer.
func TestClassifyReply(t *testing.T) {
	for _, c := range []struct {
		why, command, status string
		code                 int
		text                 string
		want                 Class
	}{
		{"the recipient", CommandRcpt, "", 550, "", ClassAddress},
		{"found out before anybody was asked", "", "5.1.2", 550, "the domain does not exist", ClassAddress},
		{"the sender", CommandMail, "", 550, "", ClassBlock},
		{"the sender, with a recipient's code", CommandMail, "5.1.1", 550, "unknown user", ClassBlock},
		{"the size, or the server's disk", CommandMail, "", 552, "", ClassOther},
		{"too large", CommandMail, "5.3.4", 552, "message size exceeds fixed limit", ClassContent},
		{"the message", CommandData, "", 550, "", ClassOther},
		{"the recipient, looked for only then", CommandData, "5.1.1", 550, "", ClassAddress},
		{"the same in words", CommandData, "", 554, "delivery error: dd This user doesn't have a yahoo.com account", ClassAddress},
		{"a full box, found only then", CommandData, "5.2.2", 552, "", ClassFull},
		{"later", CommandData, "", 451, "", ClassTransient},
		{"spam", CommandData, "", 550, "Message considered spam", ClassBlock},
	} {
		if got := ClassifyReply(c.command, c.status, c.code, c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.why, got, c.want)
		}
	}
}

func TestClassActs(t *testing.T) {
	for c, want := range map[Class][2]bool{ClassAddress: {true, false}, ClassMailbox: {true, false}, ClassFull: {}, ClassBlock: {false, true},
		ClassAuth: {false, true}, ClassTransient: {}, ClassContent: {}, ClassOther: {}} {
		if c.Suppress() != want[0] || c.Blocks() != want[1] {
			t.Errorf("%s: suppress %v, blocks %v; want %v", c, c.Suppress(), c.Blocks(), want)
		}
	}
}

func TestRules(t *testing.T) {
	if n := len(rules()); n < 30 {
		t.Fatalf("%d rules", n)
	}
	for _, bad := range []string{"text\tx", "status\t5.1.1\tnonsense", "text\t(\tblock", "colour\tred\tblock"} {
		if _, err := parseRules(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// Samples in testdata are written by hand in the formats of the servers they are named after.
func TestSamples(t *testing.T) {
	rcpt := func(addr, action, status string, code int, class Class) Recipient {
		return Recipient{Address: addr, Action: action, Status: status, Code: code, Class: class}
	}
	for _, c := range []struct {
		file  string
		kind  Kind
		env   string
		msgID string
		rcpts []Recipient
	}{
		{"postfix-unknown.eml", KindDSN, "b-42", "m1@ornek.com.tr", []Recipient{rcpt("ali@alici.example", ActionFailed, "5.1.1", 550, ClassAddress)}},
		{"postfix-two-one-delayed.eml", KindDSN, "", "m2@ornek.com.tr", []Recipient{
			rcpt("ayse@alici.example", ActionDelayed, "4.4.1", 0, ClassTransient), rcpt("veli@alici.example", ActionDelayed, "4.2.2", 452, ClassFull)}},
		{"exchange-ndr.eml", KindDSN, "", "m3@ornek.com.tr", []Recipient{rcpt("mehmet@kurum.example", ActionFailed, "5.1.10", 550, ClassAddress)}},
		{"gmail-dmarc.eml", KindDSN, "", "m4@ornek.com.tr", []Recipient{rcpt("kisi@gmail.example", ActionFailed, "5.7.26", 550, ClassAuth)}},
		{"delivered.eml", KindDSN, "b-7", "", []Recipient{rcpt("can@alici.example", ActionDelivered, "2.0.0", 0, "")}},
		{"no-recipient-fields.eml", KindPlain, "", "", []Recipient{rcpt("zeki@alici.example", ActionFailed, "5.1.1", 550, ClassAddress)}},
		{"exim.eml", KindPlain, "", "m5@ornek.com.tr", []Recipient{rcpt("yok@alici.example", ActionFailed, "", 550, ClassAddress)}},
		{"qmail.eml", KindPlain, "", "m6@ornek.com.tr", []Recipient{
			rcpt("deniz@alici.example", ActionFailed, "5.2.2", 552, ClassFull), rcpt("umut@alici.example", ActionFailed, "5.1.1", 550, ClassAddress)}},
		{"gmail-daily-limit.eml", KindDSN, "b-8", "m10@ornek.com.tr", []Recipient{rcpt("kisi@alici.example", ActionFailed, "5.4.5", 550, ClassBlock)}},
		{"relay-denied.eml", KindDSN, "", "", []Recipient{rcpt("kisi@alici.example", ActionFailed, "5.0.0", 550, ClassBlock)}},
		{"exim-sender-refused.eml", KindPlain, "", "m11@ornek.com.tr", []Recipient{rcpt("kisi@alici.example", ActionFailed, "", 550, ClassBlock)}},
		{"turkce.eml", KindPlain, "", "", []Recipient{rcpt("gul@alici.example", ActionFailed, "", 550, ClassAddress)}},
		{"autoreply.eml", KindAutoReply, "", "", nil},
		{"person.eml", KindOther, "", "", nil},
	} {
		rep := parseFile(t, c.file)
		if rep.Kind != c.kind || rep.EnvelopeID != c.env || rep.MessageID != c.msgID {
			t.Errorf("%s: %s, envelope %q, message %q; want %s, %q, %q", c.file, rep.Kind, rep.EnvelopeID, rep.MessageID, c.kind, c.env, c.msgID)
		}
		got := make([]Recipient, len(rep.Recipients))
		for i, r := range rep.Recipients {
			got[i] = rcpt(r.Address, r.Action, r.Status, r.Code, r.Class)
		}
		if !slices.Equal(got, c.rcpts) {
			t.Errorf("%s: recipients\n got %+v\nwant %+v\n(%+v)", c.file, got, c.rcpts, rep.Recipients)
		}
	}
}

// Fields that stand there twice make no address, host or action of two lines.
func TestRepeatedFields(t *testing.T) {
	rep, err := Parse(strings.NewReader("Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a.example\r\nReporting-MTA: dns; b.example\r\n\r\n" +
		"Final-Recipient: rfc822;ali@alici.example\r\nFinal-Recipient: rfc822;veli@alici.example\r\nAction: failed\r\nAction: delayed\r\nStatus: 5.1.1\r\n" +
		"Remote-MTA: dns; c.example\r\nRemote-MTA: dns; d.example\r\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Recipient{Address: "ali@alici.example", Action: ActionFailed, Status: "5.1.1", Remote: "c.example", Class: ClassAddress}
	if rep.Reporting != "a.example" || len(rep.Recipients) != 1 || rep.Recipients[0] != want {
		t.Errorf("%+v", rep)
	}
}

func parseFile(t *testing.T, name string) *Report {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range [][]byte{raw, bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))} { // however the lines end
		rep, err := Parse(bytes.NewReader(form))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if &form[0] != &raw[0] {
			return rep
		}
	}
	return nil
}

func TestComplaints(t *testing.T) {
	for _, c := range []struct {
		file, typ, from string
		rcpt            []string
		means           Meaning
	}{
		{"arf-full.eml", "abuse", "b+token.mac@bounce.ornek.example", []string{"kisi@posta.example"}, MeansComplaint},
		{"arf-hidden.eml", "abuse", "b+token.mac@bounce.ornek.example", nil, MeansComplaint},
		{"arf-not-spam.eml", "not-spam", "", []string{"kisi@posta.example"}, MeansNothing},
	} {
		rep := parseFile(t, c.file)
		if rep.Kind != KindComplaint || rep.Complaint == nil {
			t.Errorf("%s: %s, %v", c.file, rep.Kind, rep.Complaint)
			continue
		}
		got := rep.Complaint
		if got.Type != c.typ || got.MailFrom != c.from || !slices.Equal(got.Rcpt, c.rcpt) || got.Means() != c.means {
			t.Errorf("%s: %+v", c.file, got)
		}
	}
	rep := parseFile(t, "arf-full.eml")
	if rep.Complaint.SourceIP != "192.0.2.1" || rep.MessageID != "m9@ornek.com.tr" || rep.Complaint.UserAgent != "SomeGenerator/1.0" {
		t.Errorf("%+v, message %q", rep.Complaint, rep.MessageID)
	}
}

// What we write, we read: the notification comes back with what went in.
func TestNotification(t *testing.T) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	n := Notification{Reporting: "mx.izinli.example", From: "postmaster@izinli.example", To: "bilgi@ornek.example", EnvelopeID: "QQ-314",
		Arrival: now.Add(-time.Minute), Now: now,
		Original: mail.Header{mail.NewField("Message-ID", "<m1@ornek.example>"), mail.NewField("Subject", "Kampanya"), mail.NewField("Bcc", "gizli@x.example"), mail.NewField(mail.HeaderClass, "commercial")},
		Recipients: []Status{
			{Address: "ali@alici.example", ORcpt: "rfc822;Ali@Alici.example", Action: ActionFailed, Status: "5.7.1", Diagnostic: "550 5.7.1 no consent at İYS\r\nBcc: evil@x", Reason: "The recipient has not consented at İYS."},
			{Address: "veli@alici.example", Action: ActionDelayed, Status: "4.4.1", Remote: "mx.alici.example", RetryUntil: now.Add(time.Hour), Reason: "busy"},
		}}
	b, err := n.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"gizli@", "X-Message-Class", "\r\nBcc:"} {
		if bytes.Contains(b, []byte(never)) {
			t.Errorf("the notification holds %q", never)
		}
	}
	if bytes.Contains(bytes.ReplaceAll(b, []byte("\r\n"), nil), []byte("\n")) {
		t.Error("bare LF in the notification")
	}
	if mail.High(b) || !bytes.Contains(b, []byte("Diagnostic-Code: smtp; 550 5.7.1 no consent at IYS")) { // nothing of a delivery status can be encoded
		t.Errorf("not in US-ASCII: %s", b)
	}
	rep, err := Parse(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if rep.Kind != KindDSN || rep.EnvelopeID != "QQ-314" || rep.MessageID != "m1@ornek.example" || len(rep.Recipients) != 2 {
		t.Fatalf("read back %+v", rep)
	}
	if r := rep.Recipients[0]; r.Address != "ali@alici.example" || r.Original != "Ali@Alici.example" || r.Action != ActionFailed || r.Status != "5.7.1" || r.Class != ClassBlock {
		t.Errorf("first recipient %+v", r)
	}
	if r := rep.Recipients[1]; r.Remote != "mx.alici.example" || r.Class != ClassTransient {
		t.Errorf("second recipient %+v", r)
	}
	if !strings.Contains(rep.Text, "İYS") {
		t.Errorf("text %q", rep.Text)
	}
	n.Whole = []byte("From: a@b.example\r\nSubject: x\r\nMessage-ID: <m1@ornek.example>\r\n\r\nGünün sözü")
	if b, err = n.Bytes(); err != nil {
		t.Fatal(err)
	}
	if want := "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + string(n.Whole) + "\r\n--"; !strings.Contains(string(b), want) {
		t.Errorf("the message is not returned:\n%s", b)
	}
	if rep, err = Parse(bytes.NewReader(b)); err != nil || rep.MessageID != "m1@ornek.example" {
		t.Errorf("read back %+v, %v", rep, err)
	}
	n.To = ""
	if _, err := n.Bytes(); !errors.Is(err, ErrNoAddressee) {
		t.Errorf("to the null sender: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(files) < 10 {
		f.Fatalf("%d samples, %v", len(files), err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		rep, err := Parse(bytes.NewReader(in))
		if err != nil {
			return
		}
		if rep.Kind == KindComplaint && rep.Complaint == nil || rep.Kind == KindDSN && len(rep.Recipients) == 0 {
			t.Fatalf("%s without what makes it one", rep.Kind)
		}
		if len(rep.Recipients) > maxRecipients {
			t.Fatalf("%d recipients", len(rep.Recipients))
		}
		for _, r := range rep.Recipients {
			if (r.Action == ActionFailed || r.Action == ActionDelayed) != (r.Class != "") {
				t.Fatalf("action %q with class %q", r.Action, r.Class)
			}
			if strings.ContainsAny(r.Address+r.Original+r.Action+r.Status+r.Remote, "\r\n") {
				t.Fatalf("a field of %+v spans lines", r)
			}
		}
	})
}

func FuzzARF(f *testing.F) {
	f.Add([]byte("Feedback-Type: abuse\r\nOriginal-Rcpt-To: <a@b.example>\r\nOriginal-Mail-From: <x@y.example>\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		rep := &Report{Kind: KindComplaint}
		rep.feedback(in)
		rep.complain()
		if rep.Complaint == nil {
			return
		}
		if rep.Complaint.Type == "" || strings.ContainsAny(rep.Complaint.Type+rep.Complaint.MailFrom+rep.Complaint.SourceIP, "\r\n") {
			t.Fatalf("%+v", rep.Complaint)
		}
	})
}

func FuzzClassify(f *testing.F) {
	f.Add("5.1.1", 550, "user unknown")
	f.Fuzz(func(t *testing.T, status string, code int, text string) {
		if got := Classify(status, code, text); strings.HasPrefix(status, "4") && got.Suppress() {
			t.Fatalf("a temporary failure suppresses: %q", got)
		}
	})
}
