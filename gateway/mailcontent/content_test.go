package mailcontent

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
)

var sender = Details{"Örnek Giyim A.Ş.", "0123456789012345", "0850 000 00 00"}

const leave = "https://u.example/o/TOKEN"

var footed = Edit{sender, leave, true}

func crlf(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
}

func TestMissing(t *testing.T) {
	for _, c := range []struct {
		why, text string
		markup    bool
		want      []string
	}{
		{"nothing said", "Merhaba", false, []string{"trade name", "MERSİS number", "contact", "refusal route"}},
		{"all said", "ÖRNEK GİYİM A.Ş. MERSIS 0123 4567 8901 2345, tel 0850 000 00 00. Listeden çıkmak için: https://ornek.example/cik", false, nil},
		{"all said in markup", "<p>&Ouml;rnek Giyim A.&#350;.<br>0123456789012345 <b>destek@ornek.example</b> <a href='https://x.example'>unsubscribe</a>", true, nil},
		{"the number only in a style sheet", "<style>0123456789012345</style>Örnek Giyim A.Ş. 0850 000 00 00 <a href='mailto:x@y.tr'>Abonelikten ayrıl</a>", true,
			[]string{"MERSİS number"}},
		{"the number is no phone", "Örnek Giyim A.Ş. 0123456789012345 listeden çık https://x.example", false, []string{"contact"}},
		{"a word without a link", "Örnek Giyim A.Ş. 0123456789012345 0850 000 00 00 unsubscribe", false, []string{"refusal route"}},
		{"the link to come", "Örnek Giyim A.Ş. 0123456789012345 0850 000 00 00 {{unsubscribe_url}}", false, nil},
		{"with blanks", "Örnek Giyim A.Ş. 0123456789012345 0850 000 00 00 {{ unsubscribe_url }}", false, nil},
		{"its name alone", "Örnek Giyim A.Ş. 0123456789012345 0850 000 00 00 unsubscribe_url", false, []string{"refusal route"}},
		{"another variable", "Örnek Giyim A.Ş. 0123456789012345 0850 000 00 00 {{UNSUBSCRIBE_URL}}", false, []string{"refusal route"}},
	} {
		if got := sender.Missing(c.text, c.markup); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.why, got, c.want)
		}
	}
}

const alternative = `From: a@b.tr
Subject: x
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="out"

preamble
--out
Content-Type: multipart/alternative; boundary=in

--in
Content-Type: text/plain; charset=iso-8859-9
Content-Transfer-Encoding: quoted-printable

=DE=F0=FD

--in
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PGh0bWw+PGJvZHk+PHA+xZ7En8SxPC9wPjwvQk9EWT48L2h0bWw+
--in--

--out
Content-Type: text/plain; name=x.txt
Content-Disposition: attachment; filename=x.txt

keep me
--out--
epilogue
`

// texts reads the texts of a mail with another reader than our own.
func texts(t *testing.T, raw []byte) (out []string) {
	t.Helper()
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	err = e.Walk(func(_ []int, p *message.Entity, err error) error {
		if err != nil {
			return err
		}
		if m, _, _ := p.Header.ContentType(); strings.HasPrefix(m, "text/") {
			b, err := io.ReadAll(p.Body)
			if err != nil {
				return err
			}
			out = append(out, string(b))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The recipient's link is written where a text names it, in any character set and encoding; nothing else changes.
func TestLinkIsFilledIn(t *testing.T) {
	const both = "https://u.example/o/T?a=1&b=2"
	raw := crlf(strings.NewReplacer("=DE=F0=FD\n", "=DE=F0=FD =7B=7Bunsubscribe=5Furl}} {{ unsubscribe_=\nurl }} {{ad}}\n",
		"PGh0bWw+PGJvZHk+PHA+xZ7En8SxPC9wPjwvQk9EWT48L2h0bWw+", "PGEgaHJlZj0ie3t1bnN1YnNjcmliZV91cmx9fSI+xLBwdGFsPC9hPg==",
		"keep me", "keep {{unsubscribe_url}}").Replace(alternative))
	f, err := sender.CheckWhole([]byte(raw))
	if err != nil || !f.Linked || slices.Contains(f.Missing, "refusal route") {
		t.Errorf("found %+v, %v", f, err)
	}
	var b bytes.Buffer
	if err := (Edit{Details: sender, Leave: both}).Rewrite(strings.NewReader(raw), &b); err != nil {
		t.Fatal(err)
	}
	got := texts(t, b.Bytes())
	for i, want := range []string{"Şğı " + both + " " + both + " {{ad}}", `<a href="https://u.example/o/T?a=1&amp;b=2">İptal</a>`, "keep {{unsubscribe_url}}"} {
		if strings.TrimSpace(got[i]) != want {
			t.Errorf("text %d is %q, want %q", i, got[i], want)
		}
	}
	b.Reset()
	if err := (Edit{Details: sender, Leave: both}).Rewrite(strings.NewReader(crlf(alternative)), &b); err != nil || b.String() != crlf(alternative) {
		t.Errorf("a mail that names no link was changed: %v\n%s", err, b.String())
	}
}

func TestRewrite(t *testing.T) {
	var b bytes.Buffer
	if err := footed.Rewrite(strings.NewReader(crlf(alternative)), &b); err != nil {
		t.Fatal(err)
	}
	got := texts(t, b.Bytes())
	if len(got) != 3 {
		t.Fatalf("%d texts in\n%s", len(got), b.String())
	}
	for i, want := range []string{"Şğı", "<p>Şğı</p><hr>"} {
		if !strings.Contains(got[i], want) || !strings.Contains(got[i], sender.MERSIS) || !strings.Contains(got[i], leave) {
			t.Errorf("text %d: %q", i, got[i])
		}
	}
	if !strings.HasSuffix(strings.TrimSpace(got[1]), "</BODY></html>") {
		t.Errorf("the footer stands outside the body: %q", got[1])
	}
	if strings.TrimSpace(got[2]) != "keep me" {
		t.Errorf("the attachment was changed: %q", got[2])
	}
	// What is complete passes octet for octet.
	var again bytes.Buffer
	if err := footed.Rewrite(bytes.NewReader(b.Bytes()), &again); err != nil || !bytes.Equal(again.Bytes(), b.Bytes()) {
		t.Errorf("a second rewrite changed it (%v):\n%s", err, again.String())
	}
}

func TestRewriteSingle(t *testing.T) {
	for _, head := range []string{"From: a@b.tr\nSubject: x\n", "From: a@b.tr\nMIME-Version: 1.0\nContent-Type: text/html; charset=windows-1254\nContent-Transfer-Encoding: 8bit\n",
		"From: a@b.tr\nContent-Type: text/plain;\n charset=\"utf-8\"\n"} {
		raw := crlf(head + "\nMerhaba\n")
		var b bytes.Buffer
		if err := footed.Rewrite(strings.NewReader(raw), &b); err != nil {
			t.Fatal(err)
		}
		got := texts(t, b.Bytes())
		if len(got) != 1 || !strings.HasPrefix(got[0], "Merhaba") || !strings.Contains(got[0], "Örnek Giyim A.Ş.") {
			t.Errorf("%q became\n%s", raw, b.String())
		}
		if missing, err := sender.Check(bytes.NewReader(b.Bytes())); err != nil || len(missing.Missing) > 0 {
			t.Errorf("%q still lacks %v, %v", raw, missing, err)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, c := range []struct {
		raw  string
		want error
	}{
		{"From: a\nContent-Type: multipart/signed; boundary=x\n\n--x\n\na\n--x--\n", ErrSealed},
		{"From: a\nContent-Type: application/pdf\n\nx\n", ErrNoText},
		{"From: a\nContent-Type: text/plain; charset=klingon\n\nx\n", ErrUnreadable},
		{"From: a\nContent-Transfer-Encoding: x-uuencode\n\nx\n", ErrUnreadable},
	} {
		if _, err := sender.Check(strings.NewReader(crlf(c.raw))); !errors.Is(err, c.want) {
			t.Errorf("%q: %v, want %v", c.raw, err, c.want)
		}
	}
	if missing, err := sender.Check(strings.NewReader(crlf(alternative))); err != nil || len(missing.Missing) != 4 {
		t.Errorf("missing %v, %v", missing, err)
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add([]byte(crlf(alternative)))
	f.Add([]byte("From: a\r\n\r\nx"))
	f.Add([]byte("From: a\r\nContent-Type: text/html; charset=iso-8859-9\r\n\r\n<a href='{{ unsubscribe_url }}'>\xfd</a>"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n--a--"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var b bytes.Buffer
		if err := rewrite(bytes.NewReader(raw), &b, func(s string, _ bool) string { return s }); err != nil {
			return
		}
		if !bytes.Equal(b.Bytes(), raw) {
			t.Errorf("an unchanged mail became %q, was %q", b.Bytes(), raw)
		}
		lacks, err := sender.Check(bytes.NewReader(raw))
		whole, werr := sender.CheckWhole(bytes.Clone(raw))
		if !reflect.DeepEqual(lacks, whole) || !errors.Is(werr, err) {
			t.Errorf("held whole it lacks %v (%v), as a stream %v (%v)", whole, werr, lacks, err)
		}
		if err := footed.Rewrite(bytes.NewReader(raw), io.Discard); err != nil {
			t.Errorf("rewriting fails where copying does not: %v", err)
		}
	})
}
