package smarthost

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"izinli/gateway"
)

const stored = "Received: from x by y\r\nX-Message-Class: commercial\r\nFrom: Örnek <bilgi@ornek.example>\r\nTo: ali@c.example\r\nBcc: gizli@c.example\r\n" +
	"Subject: Kampanya\r\n =?utf-8?Q?=C5=9Fimdi?=\r\nDate: Sun, 22 Nov 2026 10:00:00 +0300\r\nMessage-ID: <m1@ornek.example>\r\n" +
	"List-Unsubscribe: <https://old.example/>\r\n\r\nMerhaba  dünya \r\n\r\n.nokta\r\n\r\n\r\n"

func testKeys(t testing.TB) []*Key {
	t.Helper()
	rk, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, ek, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(ek)
	if err != nil {
		t.Fatal(err)
	}
	var keys []*Key
	for sel, block := range map[string]*pem.Block{"r1": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rk)}, "e1": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		k, err := ParseKey("ornek.example", sel, pem.EncodeToMemory(block))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	return keys
}

func lookup(t testing.TB, keys []*Key) func(string) ([]string, error) {
	zone := map[string][]string{}
	for _, k := range keys {
		name, txt, err := k.Record()
		if err != nil {
			t.Fatal(err)
		}
		zone[name] = []string{txt}
	}
	return func(name string) ([]string, error) {
		if txt, ok := zone[name]; ok {
			return txt, nil
		}
		return nil, errors.New("no such name")
	}
}

func composed(t *testing.T, p Plan) []byte {
	t.Helper()
	c, err := Compose(text(stored), p)
	if err != nil {
		t.Fatal(err)
	}
	rc, err := c.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	if err != nil || int64(len(b)) != c.Size || c.UTF8 || c.EightBit {
		t.Fatalf("%d octets, Size %d, UTF8 %v, %v", len(b), c.Size, c.UTF8, err)
	}
	return b
}

// Commercial mail that names no address for answers gets the one it is given, signed once and once more as absent; no other mail does.
func TestReplyTo(t *testing.T) {
	keys := testKeys(t)
	const ours, theirs, theirSig = "Reply-To: <b+x.y@b.example>\r\n", "Reply-To: a@ornek.example\r\n", "DKIM-Signature: v=1; d=ornek.example; s=x;\r\n h=From:Reply-To; bh=x; b=x\r\n"
	commercial := Plan{Commercial: true, UnsubscribeURL: "https://u.example/o/T", ReplyTo: "b+x.y@b.example", Domain: "ornek.example"}
	transactional, keyed, without := commercial, commercial, commercial
	transactional.Commercial, keyed.Keys, without.ReplyTo = false, keys, ""
	for _, c := range []struct {
		why, head string
		plan      Plan
		want      []string // the Reply-To fields it leaves with
	}{
		{"added", "", commercial, []string{ours}},
		{"added and signed", "", keyed, []string{ours}},
		{"not asked for", "", without, nil},
		{"transactional", "", transactional, nil},
		{"it has its own", theirs, keyed, []string{theirs}},
		{"it has its own, in another case and empty", "REPLY-TO:\r\n", commercial, []string{"REPLY-TO:\r\n"}},
		{"signed as absent, no key of ours", theirSig, commercial, nil},
		{"signed as absent, our key takes its place", theirSig, keyed, []string{ours}},
	} {
		made, err := ComposeWhole([]byte(c.head+stored), c.plan)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		covered := 0
		for _, f := range made.Header {
			if strings.EqualFold(f.Name, "Reply-To") {
				got = append(got, string(f.Raw))
			}
			if s, ok := f.Signature(); ok && c.plan.Keys != nil {
				for _, n := range s.Fields {
					if n == "Reply-To" {
						covered++
					}
				}
			}
		}
		if !slices.Equal(got, c.want) || covered != (len(c.want)+1)*len(c.plan.Keys) {
			t.Errorf("%s: %q, named %d times in signatures; want %q", c.why, got, covered, c.want)
		}
	}
}

func TestCompose(t *testing.T) {
	commercial := Plan{Commercial: true, UnsubscribeURL: "https://u.ornek.example/o/abc", UnsubscribeTo: "u+abc@u.ornek.example", FeedbackID: "b1:675403:commercial:izinli"}
	got := string(composed(t, commercial))
	for _, want := range []string{"List-Unsubscribe: <https://u.ornek.example/o/abc>,\r\n <mailto:u+abc@u.ornek.example>\r\n", "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n",
		"Feedback-ID: b1:675403:commercial:izinli\r\n", "Subject: Kampanya\r\n =?utf-8?Q?=C5=9Fimdi?=\r\n", "\r\n\r\nMerhaba  d=C3=BCnya=20\r\n\r\n.nokta\r\n\r\n\r\n", "From: =?utf-8?q?=C3=96rnek?= <bilgi@ornek.example>\r\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	for _, never := range []string{"X-Message-Class", "Bcc", "gizli", "old.example"} {
		if strings.Contains(got, never) {
			t.Errorf("holds %q", never)
		}
	}
	if got := string(composed(t, Plan{})); strings.Contains(got, "One-Click") || !strings.Contains(got, "old.example") {
		t.Errorf("transactional mail: %s", got)
	}
	for _, u := range []string{"", "http://u.ornek.example/", "https://", "https://x/\r\nBcc: y", "https://x/>,<z"} {
		if _, err := Compose(text(stored), Plan{Commercial: true, UnsubscribeURL: u}); !errors.Is(err, ErrNoUnsubscribe) {
			t.Errorf("unsubscribe at %q: %v", u, err)
		}
	}
}

func TestDKIM(t *testing.T) {
	keys := testKeys(t)
	p := Plan{Commercial: true, UnsubscribeURL: "https://u.ornek.example/o/abc", Keys: keys}
	msg := composed(t, p)
	if n := strings.Count(string(msg), "DKIM-Signature:"); n != 2 {
		t.Fatalf("%d signatures, want one per key", n)
	}
	add := func(field string) []byte { return append([]byte(field+"\r\n"), msg...) }
	for _, c := range []struct {
		why  string
		msg  []byte
		good bool
	}{
		{"as it leaves", msg, true},
		{"a blank more in a header (relaxed)", bytes.Replace(msg, []byte("Subject: Kampanya"), []byte("Subject:  Kampanya"), 1), true},
		{"blanks at the end of a line (relaxed)", bytes.Replace(msg, []byte(".nokta\r\n"), []byte(".nokta  \r\n"), 1), true},
		{"a Received field more", add("Received: from a by b"), true},
		{"another word", bytes.Replace(msg, []byte(".nokta"), []byte(".virgul"), 1), false},
		{"another unsubscribe URL", bytes.Replace(msg, []byte("/o/abc"), []byte("/o/abd"), 1), false},
		{"a second From in front (over-signed)", add("From: evil@x.example"), false},
		{"a second Subject in front (over-signed)", add("Subject: evil"), false},
		{"a Reply-To that was not there (over-signed)", add("Reply-To: evil@x.example"), false},
		{"a line appended (no l=)", append(bytes.Clone(msg), "evil\r\n"...), false},
	} {
		vs, err := dkim.VerifyWithOptions(bytes.NewReader(c.msg), &dkim.VerifyOptions{LookupTXT: lookup(t, keys)})
		if err != nil || len(vs) != 2 {
			t.Errorf("%s: %d verifications, %v", c.why, len(vs), err)
		}
		for _, v := range vs {
			if (v.Err == nil) != c.good {
				t.Errorf("%s: %v, want good %v", c.why, v.Err, c.good)
			}
		}
	}
}

// dkimpy, written by others, agrees.
func TestDKIMIndependent(t *testing.T) {
	python := ""
	for _, p := range []string{"/usr/bin/python3", "python3"} { // Debian's own first: its packages are not seen by others
		if exec.Command(p, "-c", "import dkim, nacl").Run() == nil {
			python = p
			break
		}
	}
	if python == "" {
		t.Skip("SKIPPED: python3 with dkim and nacl (Debian: python3-dkim python3-nacl) is not installed; no independent DKIM verifier")
	}
	keys := testKeys(t)
	msg := composed(t, Plan{Commercial: true, UnsubscribeURL: "https://u.ornek.example/o/abc", Keys: keys})
	dir := t.TempDir()
	zone := "{"
	for _, k := range keys {
		name, txt, err := k.Record()
		if err != nil {
			t.Fatal(err)
		}
		zone += "'" + name + ".': b'" + txt + "', "
	}
	script := "import sys, dkim\nzone = " + zone + "}\nd = dkim.DKIM(open(sys.argv[1], 'rb').read())\n" +
		"def txt(name, timeout=5): return zone.get(name.decode() if isinstance(name, bytes) else name)\n" +
		"def good(i):\n    try: return d.verify(idx=i, dnsfunc=txt)\n    except dkim.ValidationError: return False\n" +
		"print([good(i) for i in (0, 1)])\n"
	for name, m := range map[string][]byte{"[True, True]": msg, "[False, False]": bytes.Replace(msg, []byte(".nokta"), []byte(".virgul"), 1)} {
		file := filepath.Join(dir, "m.eml")
		if err := os.WriteFile(file, m, 0o600); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(python, "-c", script, file).CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != name {
			t.Errorf("dkimpy says %s %v, want %s", out, err, name)
		}
	}
}

func TestParseKey(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for why, text := range map[string][]byte{"no PEM": []byte("x"), "1024 bits": pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(weak)}),
		"rubbish": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")})} {
		if _, err := ParseKey("d", "s", text); err == nil {
			t.Errorf("%s: taken", why)
		}
	}
}

func TestVERP(t *testing.T) {
	oldKey, newKey := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	before, err := NewVERP("Bounce.Ornek.example", oldKey)
	if err != nil {
		t.Fatal(err)
	}
	after, err := NewVERP("bounce.ornek.example", newKey, oldKey)
	if err != nil {
		t.Fatal(err)
	}
	id := gateway.MessageID{Account: 7, Batch: 12345678901234567, Index: 42}
	addr := before.Address(id)
	if local, _, _ := strings.Cut(addr, "@"); len(local) > 64 || addr != before.Address(id) {
		t.Errorf("%q: %d octets before the @", addr, len(local))
	}
	for _, a := range []string{addr, strings.ToUpper(addr)} {
		if got, err := after.Parse(a); err != nil || got != id {
			t.Errorf("%q: %v, %v", a, got, err)
		}
	}
	if _, err := before.Parse(after.Address(id)); !errors.Is(err, ErrVERP) {
		t.Errorf("signed with a key unknown then: %v", err)
	}
	other := before.Address(gateway.MessageID{Account: 7, Batch: 12345678901234567, Index: 43})
	mac := addr[strings.IndexByte(addr, '.'):strings.IndexByte(addr, '@')]
	forged := strings.Replace(other, other[strings.IndexByte(other, '.'):strings.IndexByte(other, '@')], mac, 1)
	for _, a := range []string{forged, strings.Replace(addr, ".", "", 1), strings.Replace(addr, "b+", "c+", 1), strings.Replace(addr, "bounce.", "evil.", 1), "", "@", "b+@bounce.ornek.example", strings.Replace(addr, mac, ".", 1)} {
		if _, err := after.Parse(a); !errors.Is(err, ErrVERP) {
			t.Errorf("%q: %v, want ErrVERP", a, err)
		}
	}
	if !after.Accepts("X@BOUNCE.ornek.example") || after.Accepts("x@ornek.example") {
		t.Error("Accepts")
	}
	for _, bad := range []func() (*VERP, error){func() (*VERP, error) { return NewVERP("x") }, func() (*VERP, error) { return NewVERP("", oldKey) }, func() (*VERP, error) { return NewVERP("x", []byte("short")) }} {
		if _, err := bad(); err == nil {
			t.Error("a bad setting was taken")
		}
	}
}

func FuzzVERP(f *testing.F) {
	v, err := NewVERP("bounce.ornek.example", bytes.Repeat([]byte{1}, 32))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(v.Address(gateway.MessageID{Account: 1, Batch: 2, Index: 3}))
	f.Fuzz(func(t *testing.T, in string) {
		id, err := v.Parse(in)
		if err == nil && !strings.EqualFold(v.Address(id), in) {
			// The id's text has forms that read alike (case); the signature is over the one we write.
			if again, err := v.Parse(v.Address(id)); err != nil || again != id {
				t.Fatalf("%q read as %v", in, id)
			}
		}
	})
}

func FuzzCompose(f *testing.F) {
	f.Add([]byte(stored), "https://u.example/x", "u@x.example")
	f.Fuzz(func(t *testing.T, in []byte, url, to string) {
		open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(in)), nil }
		c, err := Compose(open, Plan{Commercial: true, UnsubscribeURL: url, UnsubscribeTo: to})
		if err != nil {
			return
		}
		rc, err := c.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(rc)
		if err != nil || int64(len(b)) != c.Size {
			t.Fatalf("%d octets, Size %d, %v", len(b), c.Size, err)
		}
		if c.Header.Count("Bcc") != 0 || c.Header.Count("X-Message-Class") != 0 || c.Header.Count("List-Unsubscribe") != 1 || c.Header.Count("List-Unsubscribe-Post") != 1 {
			t.Fatalf("header %s", c.Header.Bytes())
		}
		if bytes.ContainsAny(bytes.ReplaceAll(b, []byte("\r\n"), nil), "\r\n\x00") {
			t.Fatalf("not canonical: %q", b)
		}
	})
}
