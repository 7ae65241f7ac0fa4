package smarthost

import (
	"bytes"
	"crypto"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"izinli/gateway/mail"
)

// A mail its author signed leaves with a signature of the author that holds: his own while nothing it covers is changed, ours where
// something is; nobody's other is taken away.
func TestSignedByTheAuthor(t *testing.T) {
	keys := testKeys(t)
	theirs := &Key{Selector: "theirs", Signer: keys[0].Signer}
	const fields = "From: bilgi@ornek.example\r\nTo: ali@c.example\r\nSubject: x\r\nFeedback-ID: a:b:c:d\r\n" +
		"List-Unsubscribe: <https://old.example/>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	ascii, eight := fields+"\r\nMerhaba\r\n", fields+"Content-Transfer-Encoding: 8bit\r\n\r\nMerhaba dünya\r\n"
	few := []string{"From", "Subject"}
	commercial := Plan{Commercial: true, UnsubscribeURL: "https://u.example/o/T", FeedbackID: "1:2:3:izinli"}
	low := Plan{lower: true}
	answered := commercial
	answered.ReplyTo = "b+x.y@b.example"
	for _, c := range []struct {
		why, text, domain string
		covers            []string
		plan              Plan
		keyed             bool
		theirs, holds     bool // their signature is there; it verifies
	}{
		{"as it came", ascii, "ornek.example", nil, Plan{}, false, true, true},
		{"as it came, and ours", ascii, "ornek.example", nil, Plan{}, true, true, true},
		{"8-bit", eight, "ornek.example", nil, Plan{}, true, true, true},
		{"commercial, our fields are not covered", ascii, "ornek.example", few, commercial, true, true, true},
		{"commercial, the list field is covered", ascii, "ornek.example", []string{"From", "List-Unsubscribe"}, commercial, true, false, false},
		{"commercial, the feedback field is covered", ascii, "ornek.example", []string{"From", "Feedback-ID"}, commercial, true, false, false},
		{"the same without a key of ours: it stays", ascii, "ornek.example", []string{"From", "Feedback-ID"}, commercial, false, true, true},
		{"our fields are covered as absent", ascii, "ornek.example", []string{"From", "List-Unsubscribe-Post"}, commercial, true, false, false},
		{"a private field is covered", "X-Message-Class: commercial\r\n" + ascii, "ornek.example", []string{"From", mail.HeaderClass}, Plan{}, true, false, false},
		{"answered here, which is not covered", ascii, "ornek.example", few, answered, true, true, true},
		{"answered here, covered as absent", ascii, "ornek.example", []string{"From", "Reply-To"}, answered, true, false, false},
		{"the same without a key of ours: not answered here", ascii, "ornek.example", []string{"From", "Reply-To"}, answered, false, true, true},
		{"answered elsewhere, as is covered", "Reply-To: a@ornek.example\r\n" + ascii, "ornek.example", []string{"From", "Reply-To"}, answered, true, true, true},
		{"rewritten", ascii, "ornek.example", few, Plan{Rewritten: true}, true, false, false},
		{"rewritten, signed below the domain", ascii, "alt.ornek.example", few, Plan{Rewritten: true}, true, false, false},
		{"rewritten, signed by another", ascii, "esp.example", few, Plan{Rewritten: true}, true, true, true}, // the text below is the same
		{"made 7-bit", eight, "ornek.example", few, low, true, false, false},
		{"made 7-bit without a key of ours", eight, "ornek.example", few, low, false, true, false},
	} {
		var in bytes.Buffer
		if err := dkim.Sign(&in, strings.NewReader(c.text), &dkim.SignOptions{Domain: c.domain, Selector: "theirs", Signer: theirs.Signer, Hash: crypto.SHA256,
			HeaderKeys: c.covers, HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed}); err != nil {
			t.Fatal(err)
		}
		p := c.plan
		p.Domain = "ornek.example"
		if c.keyed {
			p.Keys = keys
		}
		made, err := ComposeWhole(in.Bytes(), p)
		if err != nil {
			t.Fatal(err)
		}
		rc, err := made.Open()
		if err != nil {
			t.Fatal(err)
		}
		msg, _ := io.ReadAll(rc)
		rc.Close()
		at := *theirs
		at.Domain = c.domain
		vs, err := dkim.VerifyWithOptions(bytes.NewReader(msg), &dkim.VerifyOptions{LookupTXT: lookup(t, append([]*Key{&at}, keys...))})
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for _, v := range vs {
			if v.Err == nil {
				held++
			}
		}
		wantHeld, wantAll := len(p.Keys), len(p.Keys)
		if c.theirs {
			wantAll++
		}
		if c.holds {
			wantHeld++
		}
		if strings.Contains(string(msg), "s=theirs") != c.theirs || len(vs) != wantAll || held != wantHeld {
			t.Errorf("%s: %d signatures, %d hold; want %d, %d:\n%s", c.why, len(vs), held, wantAll, wantHeld, msg)
		}
	}
}
