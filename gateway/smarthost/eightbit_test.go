package smarthost

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"izinli/gateway/mail"
	"izinli/gateway/smtptest"
)

const eightBit = "From: Örnek <bilgi@ornek.example>\r\nTo: ali@c.example\r\nSubject: Günün sözü\r\nDate: Sun, 22 Nov 2026 10:00:00 +0300\r\n" +
	"Message-ID: <m2@ornek.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nMerhaba dünya\r\n--b\r\nContent-Type: image/png\r\n" +
	"Content-Transfer-Encoding: binary\r\n\r\n\x89PNG\xff\r\n--b--\r\n"

const pgp = "From: a@ornek.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nş\r\n--b--\r\n"

// An 8-bit mail, small and large, is 7-bit before it is signed, and arrives so everywhere: nobody on the way has to break the signature.
func TestEightBitIsEncodedAndSigned(t *testing.T) {
	keys := testKeys(t)
	large := strings.Replace(eightBit, "Merhaba", strings.Repeat("İyi günler \r\n.\r\n", 20_000)+"Merhaba", 1)
	s := sink(t, smtptest.Config{})
	for _, raw := range []string{eightBit, large} {
		for _, make := range []func() (*Composed, error){
			func() (*Composed, error) { return Compose(text(raw), Plan{Keys: keys}) },
			func() (*Composed, error) { return ComposeWhole([]byte(raw), Plan{Keys: keys}) },
		} {
			s.Reset()
			c, err := make()
			if err != nil {
				t.Fatal(err)
			}
			if c.UTF8 || c.EightBit || c.Lower != nil {
				t.Errorf("UTF8 %v, 8-bit %v", c.UTF8, c.EightBit)
			}
			for _, hide := range []string{"", "8BITMIME SMTPUTF8 CHUNKING"} {
				deliverComposed(t, proxy(t, s.Addr(), hide), c, Delivered, "")
			}
			for _, m := range s.Messages() {
				if mail.High(m.Body) || m.Options.Body != "" || m.Options.UTF8 {
					t.Errorf("octets above 127 on the way, or announced: %+v", m.Options)
				}
				if m.Size != c.Size {
					t.Errorf("%d octets arrived, announced were %d", m.Size, c.Size)
				}
				verified(t, m.Body, keys)
				for _, want := range []string{"Subject: =?utf-8?q?G=C3=BCn=C3=BCn_s=C3=B6z=C3=BC?=", "Merhaba d=C3=BCnya\r\n--b\r\n", "\r\n\r\niVBOR/8=\r\n--b--\r\n"} {
					if !bytes.Contains(m.Body, []byte(want)) {
						t.Errorf("lacks %q", want)
					}
				}
			}
			if n := len(s.Messages()); n != 2 {
				t.Errorf("%d messages arrived, want 2", n)
			}
		}
	}
}

// What came signed leaves as it is; a host without 8BITMIME gets it encoded, or not at all where that is forbidden (RFC 6152 §3, RFC 1847 §2.1).
func TestEightBitThatCameSigned(t *testing.T) {
	dkim := "DKIM-Signature: v=1; a=rsa-sha256; d=x.example; s=s; h=from; bh=x; b=y\r\n" + eightBit
	s := sink(t, smtptest.Config{})
	full, lacking := s.Addr(), proxy(t, s.Addr(), "8BITMIME SMTPUTF8")
	for _, v := range []struct {
		why, raw, addr string
		kind           Kind
		code           string
		arrives        string // in the body; "": nothing arrives
		options        string // BODY
	}{
		{"DKIM, 8BITMIME", dkim, full, Delivered, "2.0.0", dkim, "8BITMIME"},
		{"DKIM, no 8BITMIME", dkim, lacking, Delivered, "2.0.0", "Merhaba d=C3=BCnya\r\n", ""},
		{"multipart/signed, 8BITMIME", pgp, full, Delivered, "2.0.0", pgp, "8BITMIME"},
		{"multipart/signed, no 8BITMIME", pgp, lacking, Permanent, "5.6.3", "", ""},
		{"multipart/signed with DKIM, no 8BITMIME", "DKIM-Signature: v=1\r\n" + pgp, lacking, Permanent, "5.6.3", "", ""},
		{"multipart/signed of 7 bits", strings.Replace(pgp, "ş", "s", 1), lacking, Delivered, "2.0.0", strings.Replace(pgp, "ş", "s", 1), ""},
		{"a header that cannot be encoded, SMTPUTF8", "References: <ş@b.example>\r\nFrom: a@b.example\r\n\r\nx\r\n", full, Delivered, "2.0.0", "<ş@b.example>", "8BITMIME"},
		{"a header that cannot be encoded, no SMTPUTF8", "References: <ş@b.example>\r\nFrom: a@b.example\r\n\r\nx\r\n", lacking, Permanent, "5.6.9", "", ""},
	} {
		for _, c := range []func() (*Composed, error){
			func() (*Composed, error) { return Compose(text(v.raw), Plan{}) },
			func() (*Composed, error) { return ComposeWhole([]byte(v.raw), Plan{}) },
		} {
			s.Reset()
			composed, err := c()
			if err != nil {
				t.Fatal(err)
			}
			deliverComposed(t, v.addr, composed, v.kind, v.code)
			msgs := s.Messages()
			switch {
			case v.arrives == "" && len(msgs) > 0:
				t.Errorf("%s: it arrived", v.why)
			case v.arrives != "" && (len(msgs) != 1 || !strings.Contains(string(msgs[0].Body), v.arrives) || string(msgs[0].Options.Body) != v.options):
				t.Errorf("%s: arrived %+v", v.why, msgs)
			}
		}
	}
}

func deliverComposed(t *testing.T, addr string, c *Composed, kind Kind, code string) {
	t.Helper()
	m := Message{From: "b@ornek.example", To: []Recipient{{Addr: "ali@c.example"}}, Body: c.Open, Size: c.Size, UTF8: c.UTF8, EightBit: c.EightBit, Lower: c.Lower}
	o := client(t, Config{}, Host{Addr: addr, TLS: TLSOff}).Deliver(t.Context(), m).Outcomes[0]
	if o.Kind != kind || code != "" && o.Enhanced != code {
		t.Errorf("%+v, want %v %s", o, kind, code)
	}
}

// A store that fails while the other form is made is no host's fault, and nothing is lost.
func TestLowerFails(t *testing.T) {
	s := sink(t, smtptest.Config{})
	c := client(t, Config{}, Host{Addr: proxy(t, s.Addr(), "8BITMIME"), TLS: TLSOff})
	m := message(small, "ali@c.example")
	m.EightBit, m.Lower = true, func() (*Composed, error) { return nil, errors.New("gone") }
	if o := c.Deliver(t.Context(), m).Outcomes[0]; o.Kind != TryLater || o.Unasked() || !strings.Contains(o.Text, "gone") {
		t.Errorf("%+v", o)
	}
	if st := c.Status()[0]; !st.Rests.IsZero() {
		t.Errorf("the host rests: %+v", st)
	}
}

// What every mail pays, and what one pays that is 8-bit.
func BenchmarkComposeWhole(b *testing.B) {
	ascii := "From: a@ornek.example\r\nSubject: x\r\n\r\n" + strings.Repeat("Merhaba dunya, bugun hava guzel.\r\n", 60)
	for _, c := range []struct{ name, raw string }{{"7-bit", ascii}, {"8-bit", strings.ReplaceAll(ascii, "guzel", "güzel")}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ComposeWhole([]byte(c.raw), Plan{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
