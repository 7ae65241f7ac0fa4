package smarthost

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"izinli/gateway/mail"
)

var bodyHashTag = regexp.MustCompile(`bh=([^;]+)`)

// libraryBodyHash is the bh= another implementation finds for a body.
func libraryBodyHash(t *testing.T, body []byte, k *Key) string {
	t.Helper()
	s, err := dkim.NewSigner(&dkim.SignOptions{Domain: "d.example", Selector: "s", Signer: k.Signer, Hash: crypto.SHA256,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(append([]byte("From: a@d.example\r\n\r\n"), body...)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(bodyHashTag.FindStringSubmatch(s.Signature())[1])
}

// bodyHash writes a body in pieces.
func bodyHash(body []byte, piece int) string {
	b := newRelaxedBody()
	for len(body) > 0 {
		n := min(max(1, piece), len(body))
		_, _ = b.Write(body[:n])
		body = body[n:]
	}
	return base64.StdEncoding.EncodeToString(b.sum())
}

// verified checks a signed message with the library's verifier: every signature, by its own key.
func verified(t *testing.T, msg []byte, keys []*Key) {
	t.Helper()
	vs, err := dkim.VerifyWithOptions(bytes.NewReader(msg), &dkim.VerifyOptions{LookupTXT: lookup(t, keys)})
	if err != nil || len(vs) != len(keys) {
		t.Fatalf("%d verifications for %d keys, %v", len(vs), len(keys), err)
	}
	for _, v := range vs {
		if v.Err != nil {
			t.Fatalf("%v:\n%q", v.Err, msg)
		}
	}
}

// wild makes headers and bodies of everything relaxed canonicalisation has to look at.
type wild struct{ *rand.Rand }

func (w wild) of(list ...string) string { return list[w.IntN(len(list))] }

func (w wild) body() []byte {
	var b []byte
	for range w.IntN(40) {
		for range w.IntN(8) {
			b = append(b, w.of("a", "şğ", " ", "  ", "\t", " \t ", ".", "--", "=20", strings.Repeat("x", 100))...)
		}
		b = append(b, "\r\n"...)
	}
	if w.IntN(10) == 0 { // more than the buffer holds
		b = append(b, bytes.Repeat([]byte(w.of("\r\n", " \r\n", "uzun satır \r\n")), 3000)...)
		b = append(b, w.of("", "son\r\n")...)
	}
	return b
}

func (w wild) header() (h mail.Header) {
	h = append(h, mail.NewField("From", "a@ornek.example"))
	for range w.IntN(60) {
		name := w.of(append(signed[:], "X-Other", "Received", "from", "SUBJECT")...)
		value := ""
		for range w.IntN(12) {
			value += w.of("a", " ", "\t", "  ", "\r\n ", "\r\n\t ", "ş", ":", ";", "b=abc", strings.Repeat("y", 60))
		}
		raw := name + w.of(":", ": ", ":\t", ":\r\n ") + value + "x\r\n"
		h = append(h, mail.Field{Name: name, Raw: []byte(raw)})
	}
	return h
}

// What we sign others verify, whatever the message looks like.
func TestSignVerifies(t *testing.T) {
	keys := testKeys(t)
	w := wild{rand.New(rand.NewPCG(1, 2))}
	for range 300 {
		h, body := w.header(), w.body()
		b := newRelaxedBody()
		_, _ = b.Write(body)
		sigs, err := sign(h, b.sum(), keys, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range sigs {
			for line := range bytes.Lines(s.Raw) {
				if len(line) > 80 {
					t.Fatalf("a line of %d octets: %q", len(line), line)
				}
			}
		}
		verified(t, append(append(mail.Header(sigs), h...).Bytes(), body...), keys)
	}
}

func TestRelaxedBody(t *testing.T) {
	k := testKeys(t)[0]
	w := wild{rand.New(rand.NewPCG(3, 4))}
	cases := [][]byte{nil, []byte("\r\n"), []byte("\r\n\r\n"), []byte(" \r\n"), []byte(" "), []byte("a"), []byte("a\r\n"), []byte(" a \r\n\r\n\t\r\n"), []byte("\r\n\r\na\r\n"),
		bytes.Repeat([]byte("a"), 3*relaxedBuffer)}
	for range 300 {
		cases = append(cases, w.body())
	}
	for _, body := range cases {
		want := libraryBodyHash(t, body, k)
		for _, piece := range []int{1, 7, 1000, len(body)} {
			if got := bodyHash(body, piece); got != want {
				t.Fatalf("in pieces of %d: %s, want %s for %q", piece, got, want, body)
			}
		}
	}
}

// A message held whole leaves as the same message does that is read as a stream.
func TestComposeWhole(t *testing.T) {
	for _, p := range []Plan{{}, {Commercial: true, UnsubscribeURL: "https://u.ornek.example/o/abc", FeedbackID: "a:b:c:d"}, {Commercial: true, UnsubscribeTo: "u@x.example", Keys: testKeys(t)}} {
		c, err := ComposeWhole([]byte(stored), p)
		if err != nil {
			t.Fatal(err)
		}
		rc, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if _, err := got.ReadFrom(rc); err != nil || int64(got.Len()) != c.Size || c.UTF8 || c.EightBit {
			t.Fatalf("%d octets, Size %d, UTF8 %v, %v", got.Len(), c.Size, c.UTF8, err)
		}
		if len(p.Keys) > 0 {
			verified(t, got.Bytes(), p.Keys)
		} else if want := composed(t, p); !bytes.Equal(got.Bytes(), want) {
			t.Errorf("whole %q\nstream %q", got.Bytes(), want)
		}
	}
	if _, err := ComposeWhole([]byte("A: 1\r\n\r\na\nb"), Plan{}); err == nil {
		t.Error("a bare LF was taken")
	}
}

func FuzzRelaxedBody(f *testing.F) {
	k := testKeys(f)[0]
	f.Add([]byte(" a  b \r\n\r\n"), 3)
	f.Fuzz(func(t *testing.T, raw []byte, piece int) {
		_, body, err := mail.Split(append([]byte("A: 1\r\n\r\n"), raw...)) // canonical lines, as everything that is signed
		if err != nil {
			return
		}
		if got, want := bodyHash(body, piece), libraryBodyHash(t, body, k); got != want {
			t.Fatalf("%s, want %s for %q", got, want, body)
		}
	})
}
