package sevenbit

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"

	"izinli/gateway/mail"
)

// convert reads a canonical message and converts it; the octets it came with and those it became.
func convert(raw []byte) (before, after []byte, err error) {
	head, body, err := split(raw)
	if err != nil {
		return nil, nil, err
	}
	before = append(head.Bytes(), body...)
	plan, err := Inspect(head, bytes.NewReader(body))
	if err != nil {
		return before, nil, err
	}
	h, r, err := plan.Apply(head, bytes.NewReader(body))
	if err != nil {
		return before, nil, err
	}
	out, err := io.ReadAll(r)
	return before, append(h.Bytes(), out...), err
}

func split(raw []byte) (mail.Header, []byte, error) {
	br := bufio.NewReader(mail.NewReader(bytes.NewReader(raw), true))
	head, err := mail.ReadHeader(br)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(br)
	return head, body, err
}

func lf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

// part is what an independent reader makes of a leaf.
type part struct{ media, text string }

func parts(t *testing.T, raw []byte) (out []part) {
	t.Helper()
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil && !message.IsUnknownCharset(err) {
		t.Fatalf("%v: %q", err, raw)
	}
	err = e.Walk(func(_ []int, e *message.Entity, err error) error {
		if err != nil {
			return err
		}
		media, _, _ := e.Header.ContentType()
		if strings.HasPrefix(media, "multipart/") {
			out = append(out, part{media, ""})
			return nil
		}
		b, err := io.ReadAll(e.Body)
		if media == "message/rfc822" {
			out = append(append(out, part{media, ""}), parts(t, b)...)
			return err
		}
		out = append(out, part{media, string(b)})
		return err
	})
	if err != nil {
		t.Fatalf("%v: %q", err, raw)
	}
	return out
}

// An independent reader finds the same texts in the same structure, whatever the mail was made of.
func TestConvert(t *testing.T) {
	for _, c := range []struct {
		why, in string
		has     []string // of the output
		hasNot  []string
	}{
		{"a text", "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nMerhaba dünya \n-- \nİmza\n",
			[]string{"Content-Transfer-Encoding: quoted-printable\r\n", "Merhaba d=C3=BCnya=20\r\n=2D-=20\r\n=C4=B0mza\r\n"}, []string{"8bit"}},
		{"a text that says nothing", "Subject: x\n\ngün\n", []string{"MIME-Version: 1.0\r\n", "Content-Type: text/plain; charset=utf-8\r\n", "g=C3=BCn\r\n"}, nil},
		{"an old Turkish text that says nothing", "Subject: x\n\n\xfe\xf0\xfd\n", []string{"charset=windows-1254\r\n", "=FE=F0=FD\r\n"}, nil},
		{"a charset of its own", "Content-Type: text/html; charset=iso-8859-9\n\n<b>\xfe</b>\n", []string{"Content-Type: text/html; charset=iso-8859-9\r\n", "<b>=FE</b>\r\n"}, nil},
		{"no text", "MIME-Version: 1.0\nContent-Type: application/pdf\nContent-Transfer-Encoding: binary\n\n%PDF\xff\xfe\n\nend\n",
			[]string{"Content-Transfer-Encoding: base64\r\n", "\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte("%PDF\xff\xfe\r\n\r\nend\r\n")) + "\r\n"}, []string{"binary"}},
		{"a part among others", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\nöndeyiş\n--b\n\nplain\n--b\n" +
			"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nşey\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: binary\n\n\x89PNG\n\x01\n--b--\nsondeyiş\n",
			[]string{"Content-Transfer-Encoding: 7bit\r\n", "\r\n??ndeyi??\r\n--b\r\n\r\nplain\r\n--b\r\n", "=C5=9Fey\r\n--b\r\n", "\r\n\r\niVBORw0KAQ==\r\n--b--\r\n"}, []string{"8bit", "binary"}},
		{"a message inside", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\n" +
			"Subject: günün sözü\nFrom: Örnek <a@b.example>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nşey\n--b--\n",
			[]string{"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: =?utf-8?q?g=C3=BCn=C3=BCn_s=C3=B6z=C3=BC?=\r\n", "From: =?utf-8?q?=C3=96rnek?= <a@b.example>\r\n", "\r\n\r\n=C5=9Fey\r\n--b--\r\n"}, []string{"8bit"}},
		{"nothing but a message inside", "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: x\nContent-Type: text/plain; charset=utf-8\n\nşey\n",
			[]string{"message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n", "=C5=9Fey"}, nil},
		{"a digest", "MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\nContent-Type: text/plain; charset=utf-8\n\nşey\n--b--\n",
			[]string{"--b\r\n\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C5=9Fey\r\n"}, nil},
		{"a digest of mails that say nothing", "MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nşey\n--b\n\nSubject: y\n\nöte\n--b--\n",
			[]string{"--b\r\n\r\nSubject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C5=9Fey\r\n--b\r\n", "=C3=B6te\r\n--b--\r\n"}, nil},
		{"a digest of many mails", "MIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n" + strings.Repeat("--b\n\nSubject: x\nContent-Type: text/plain; charset=utf-8\n\nşey\n", 2*maxDepth) + "--b--\n",
			[]string{"\r\n=C5=9Fey\r\n--b--\r\n"}, nil},
		{"around the parts, and in a multipart of none", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\nön\n--b\nContent-Type: multipart/mixed; boundary=c\n\nnone\n--b\nContent-Type: multipart/mixed; boundary=c\n\nön\n--c\n\nx\n--c--\nson\n--b--\nşey\n",
			[]string{"\r\n??n\r\n--b\r\n", "\r\nnone\r\n--b\r\n", "\r\n??n\r\n--c\r\n", "--b--\r\n??ey\r\n"}, nil},
		{"a file name", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; name=\"şey.txt\"\nContent-Disposition: attachment; filename=\"şey.txt\"\n\nplain\n--b--\n",
			[]string{"name*=utf-8''%C5%9Fey.txt", "filename*=utf-8''%C5%9Fey.txt"}, nil},
		{"raw octets in quoted-printable", "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BCş =\n" + strings.Repeat("ğ=41", 40) + "  \nsimple=20=\n\n",
			[]string{"=C3=BC=C5=9F =\r\n=C4=9F=41", "simple=20=\r\n"}, nil},
		{"raw octets in base64", "Content-Type: application/x\nContent-Transfer-Encoding: base64\n\naGVs\xffbG8=\n", []string{"aGVsbG8=\r\n"}, nil},
		{"a text that becomes a boundary", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b=C3=BC\"\n\n--b=C3=BC\nContent-Type: text/plain; charset=utf-8\n\n--bü\n" + strings.Repeat("x", 75) + "--b=C3=BC\n--b=C3=BC--\n",
			[]string{"\r\n=2D-b=C3=BC\r\n", "=\r\n=2D-b=3DC3=3DBC\r\n"}, nil},
		{"a signed part of 7 bits beside others", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/signed; boundary=c\n\n--c\n\nsigned\n--c\n\nsig\n--c--\n--b\nContent-Type: text/plain; charset=utf-8\n\nşey\n--b--\n",
			[]string{"--c\r\n\r\nsigned\r\n--c\r\n\r\nsig\r\n--c--\r\n", "=C5=9Fey"}, nil},
		{"a part cut short", "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n--b\nContent-Type: text/plain; charset=utf-8\n\nşey\n--b--\n", []string{"message/rfc822\r\n--b\r\n", "=C5=9Fey"}, nil},
	} {
		before, after, err := convert([]byte(lf(c.in)))
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if mail.High(after) {
			t.Errorf("%s: octets above 127 in %q", c.why, after)
		}
		for _, want := range c.has {
			if !bytes.Contains(after, []byte(want)) {
				t.Errorf("%s: lacks %q:\n%s", c.why, want, after)
			}
		}
		for _, never := range c.hasNot {
			if bytes.Contains(after, []byte(never)) {
				t.Errorf("%s: holds %q:\n%s", c.why, never, after)
			}
		}
		for l := range bytes.SplitSeq(after, crlf) {
			if len(l) > maxEncoded+2 {
				t.Errorf("%s: a line of %d octets: %q", c.why, len(l), l)
			}
		}
		switch c.why { // the other reader refuses those, or guesses otherwise
		case "a part cut short", "raw octets in base64", "an old Turkish text that says nothing", "a digest", "a digest of mails that say nothing", "a digest of many mails",
			"around the parts, and in a multipart of none":
			continue
		}
		if was, is := parts(t, before), parts(t, after); !slices.Equal(was, is) {
			t.Errorf("%s:\n%q became\n%q", c.why, was, is)
		}
	}
}

// What cannot be converted is refused, and the same without raw octets passes.
func TestUnconvertible(t *testing.T) {
	signed := "MIME-Version: 1.0\nContent-Type: multipart/signed; boundary=b\n\n--b\nContent-Type: text/plain; charset=utf-8\n\nş\n--b--\n"
	for _, c := range []struct {
		why, in string
		want    error
	}{
		{"signed", signed, ErrSealed},
		{"signed inside", "MIME-Version: 1.0\nContent-Type: message/rfc822\n\n" + signed, ErrSealed},
		{"a delivery status", "MIME-Version: 1.0\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; ş\n", ErrUnconvertible},
		{"an unknown encoding", "Content-Transfer-Encoding: x-uuencode\n\nş\n", ErrUnconvertible},
		{"a multipart without a boundary", "Content-Type: multipart/mixed\n\nş\n", ErrUnconvertible},
		{"a boundary that never comes", "Content-Type: multipart/alternative; boundary=\"abc\"\n\nGunun sozu: ş\n", ErrUnconvertible},
		{"a boundary with a blank behind it", "Content-Type: multipart/alternative; boundary=\"abc \"\n\n--abc \n\nş\n--abc --\n", ErrUnconvertible},
		{"a boundary with two blanks in it", "Content-Type: multipart/alternative; boundary=\"a  c\"\n\n--a  c\n\nş\n--a  c--\n", ErrUnconvertible},
		{"a boundary that comes but to close", "Content-Type: multipart/mixed; boundary=b\n\nş\n--b--\n", ErrUnconvertible},
		{"a boundary that never comes, inside", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\nş\n--b\n\nx\n--b--\n", ErrUnconvertible},
		{"a boundary that never comes, inside at the end", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\nş\n--b--\n", ErrUnconvertible},
		{"a boundary that never comes, in a message inside", "Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\nş\n", ErrUnconvertible},
		{"an encoded multipart", "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\nş\n", ErrUnconvertible},
		{"a raw boundary", "Content-Type: multipart/mixed; boundary=\"ş\"\n\n--ş\n\nx\n--ş--\n", ErrUnconvertible},
		{"an address outside ASCII inside", "MIME-Version: 1.0\nContent-Type: message/rfc822\n\nFrom: <ş@b.example>\n\nx\n", ErrUnconvertible},
		{"too many parts", "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", maxParts) + "--b--\nş\n", ErrUnconvertible},
		{"too deep in a digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nx\n--b\n\n" + strings.Repeat("Content-Type: message/rfc822\n\n", maxDepth) + "\nş\n--b--\n", ErrUnconvertible},
		{"too deep", strings.Repeat("Content-Type: message/rfc822\n\n", maxDepth+1) + "\nş\n", ErrUnconvertible},
	} {
		if _, _, err := convert([]byte(lf(c.in))); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.why, err, c.want)
		}
		if strings.HasPrefix(c.why, "too") {
			continue
		}
		before, after, err := convert([]byte(lf(strings.ReplaceAll(c.in, "ş", "s"))))
		if err != nil || !bytes.Equal(before, after) {
			t.Errorf("%s, without raw octets: %v, %q became %q", c.why, err, before, after)
		}
	}
}

func TestLower(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"Subject: Kampanya", "Subject: Kampanya\r\n"},
		{"Subject: Günün sözü", "Subject: =?utf-8?q?G=C3=BCn=C3=BCn_s=C3=B6z=C3=BC?=\r\n"},
		{"Subject: =?utf-8?Q?=C5=9F?= ş", "Subject: =?utf-8?q?=C5=9F_=C5=9F?=\r\n"},
		{"Subject: \xfeey", "Subject: =?utf-8?q?=C5=9Fey?=\r\n"},
		{"X-Any: ş", "X-Any: =?utf-8?q?=C5=9F?=\r\n"},
		{"To: Ali <a@b.tr>, Şükrü <s@b.tr>, =?utf-8?Q?=C5=9F?= <c@d.tr>", "To: \"Ali\" <a@b.tr>, =?utf-8?q?=C5=9E=C3=BCkr=C3=BC?= <s@b.tr>,\r\n =?utf-8?q?=C5=9F?= <c@d.tr>\r\n"},
		{"Content-Type: text/plain; name=\"ş\"; charset=utf-8", "Content-Type: text/plain; charset=utf-8; name*=utf-8''%C5%9F\r\n"},
		{"To: Arkadaşlar: a@b.tr;", ""},
		{"To: ş@b.tr", ""},
		{"To: a@ş.tr", ""},
		{"Message-ID: <ş@b.tr>", ""},
		{"Received: from ş", ""},
		{"Content-Type: ş", ""},
	} {
		h, _, err := split([]byte(c.in + "\r\n\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		low, err := Lower(h)
		switch {
		case c.want == "" && err == nil:
			t.Errorf("%q became %q", c.in, low.Bytes())
		case c.want != "" && (err != nil || string(low[0].Raw) != c.want):
			t.Errorf("%q: %v, %q, want %q", c.in, err, low.Bytes(), c.want)
		}
	}
}

// reading collects what a message holds: structure, and leaves decoded.
type reading struct {
	list   []string
	e      entity
	raw    []byte
	broken bool // a leaf that decoders disagree about
}

func (r *reading) header(_ int, e *entity, _ []byte) error {
	r.e, r.raw = *e, nil
	r.list = append(r.list, e.media)
	return nil
}

func (r *reading) text(_ int, line []byte) error {
	r.raw = append(r.raw, line...)
	return nil
}

func (r *reading) end(_ int, delimited bool) error {
	if delimited {
		r.raw = bytes.TrimSuffix(r.raw, crlf)
	}
	b, err := r.raw, error(nil)
	switch r.e.cte {
	case "quoted-printable":
		b, err = io.ReadAll(quotedprintable.NewReader(bytes.NewReader(b)))
	case "base64":
		b = slices.DeleteFunc(bytes.Clone(b), func(c byte) bool { return c > 127 })
		b, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(b)))
	}
	r.broken = r.broken || err != nil
	r.list = append(r.list, string(b))
	return nil
}

func (r *reading) pass(k kind, line []byte) error {
	if k != branch {
		r.list = append(r.list, string(line))
	}
	return nil
}

func read(raw []byte) (r reading, err error) {
	head, body, err := split(raw)
	if err == nil {
		err = walk(&r, head, bytes.NewReader(body))
	}
	return r, err
}

// partless reports whether a message is a multipart whose boundary never comes, with octets above 127 in its body.
func partless(raw []byte) bool {
	at := bytes.Index(raw, []byte("\r\n\r\n"))
	media, params := mail.ContentType(raw[:max(at, 0)])
	if at < 0 || !strings.HasPrefix(media, "multipart/") || params["boundary"] == "" {
		return false
	}
	for l := range bytes.SplitSeq(raw[at:], crlf) {
		if s := strings.TrimRight(string(l), " \t"); s == "--"+params["boundary"] || s == "--"+params["boundary"]+"--" {
			return false
		}
	}
	return mail.High(raw[at:])
}

// Whatever comes out is 7-bit, holds the same in the same structure, and stays as it is when it is converted again.
func FuzzConvert(f *testing.F) {
	f.Add([]byte(lf("Subject: ş\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 8bit\n\n--b\n\nşey \n--b\nContent-Type: image/png\n\n\xff\n--b--\n")))
	f.Add([]byte(lf("Content-Type: message/rfc822\n\nContent-Transfer-Encoding: quoted-printable\n\n=C3\xbc=\n--=3D  \n")))
	f.Add([]byte(lf("Content-Type: multipart/digest; boundary=\"=C3\"\n\n--=C3\n\nContent-Transfer-Encoding: base64\n\n\xffaGk=\n--=C3\n")))
	f.Add([]byte(lf("Content-Type: multipart/signed; boundary=b\n\n--b\n\nş\n--b--\n")))
	f.Add([]byte(lf("Content-Type: multipart/mixed; boundary=\"b \"\n\n--b \n\nş\n--b --\n")))
	f.Add([]byte(lf("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\nş\n--b\nContent-Type: multipart/mixed; boundary=c\n\nx\n--b--\nş\n")))
	f.Fuzz(func(t *testing.T, in []byte) {
		before, after, err := convert(in)
		if err != nil {
			return
		}
		if _, body, _ := split(after); mail.High(body) {
			t.Fatalf("octets above 127: %q became %q", before, after)
		}
		if _, _, err := split(after); err != nil {
			t.Fatalf("%q became %q: %v", before, after, err)
		}
		if partless(before) {
			t.Fatalf("a multipart without a part: %q became %q", before, after)
		}
		was, err := read(before)
		if err != nil {
			t.Fatal(err)
		}
		is, err := read(after)
		if err != nil {
			t.Fatalf("%q became %q: %v", before, after, err)
		}
		if !was.broken && !slices.Equal(was.list, is.list) {
			t.Fatalf("%q held\n%q, became %q with\n%q", before, was.list, after, is.list)
		}
		_, again, err := convert(after)
		if err != nil || !bytes.Equal(again, after) {
			t.Fatalf("%q became %q and then %q: %v", before, after, again, err)
		}
	})
}
