package mail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReader(t *testing.T) {
	long := strings.Repeat("a", MaxLine)
	for _, c := range []struct {
		why, in   string
		normalise bool
		want      string
		err       error
	}{
		{"canonical lines pass", "a\r\nb\r\n", false, "a\r\nb\r\n", nil},
		{"an empty message passes", "", false, "", nil},
		{"empty lines pass", "\r\n\r\n", false, "\r\n\r\n", nil},
		{"a last line without an end gets one (BDAT)", "a\r\nb", false, "a\r\nb\r\n", nil},
		{"998 octets pass", long + "\r\n", false, long + "\r\n", nil},
		{"999 octets do not", long + "a\r\n", false, "", ErrLineTooLong},
		{"the bound counts per line", long + "\r\n" + long + "\r\n", false, long + "\r\n" + long + "\r\n", nil},
		{"NUL", "a\x00b\r\n", false, "", ErrNUL},
		{"NUL is not normalised either", "a\x00b\r\n", true, "", ErrNUL},
		{"octets above 127 pass", "\xc5\x9f\r\n", false, "\xc5\x9f\r\n", nil},
		{"bare LF", "a\nb\r\n", false, "", ErrBareNewline},
		{"bare CR", "a\rb\r\n", false, "", ErrBareNewline},
		{"CR at the end", "a\r", false, "", ErrBareNewline},
		{"CR CR LF", "a\r\r\n", false, "", ErrBareNewline},
		{"LF CR", "a\n\r", false, "", ErrBareNewline},
		{"bare ones become CRLF for a peer that may", "a\nb\rc\r\nd\r", true, "a\r\nb\r\nc\r\nd\r\n", nil},
		{"smuggling 1: LF . LF", "a\n.\nb\r\n", false, "", ErrBareNewline},
		{"smuggling 2: LF . CRLF", "a\n.\r\nb\r\n", false, "", ErrBareNewline},
		{"smuggling 3: CRLF . LF", "a\r\n.\nb\r\n", false, "", ErrBareNewline},
		{"smuggling 4: CR . CR", "a\r.\rb\r\n", false, "", ErrBareNewline},
		{"smuggling 5: CRLF NUL . CRLF", "a\r\n\x00.\r\nb\r\n", false, "", ErrNUL},
	} {
		for _, src := range []io.Reader{strings.NewReader(c.in), iotest.OneByteReader(strings.NewReader(c.in)), iotest.DataErrReader(strings.NewReader(c.in))} {
			r := NewReader(src, c.normalise)
			got, err := io.ReadAll(r)
			if !errors.Is(err, c.err) {
				t.Errorf("%s: error %v, want %v", c.why, err, c.err)
			}
			if c.err == nil && string(got) != c.want {
				t.Errorf("%s: got %q, want %q", c.why, got, c.want)
			}
			if r.Size() != int64(len(got)) {
				t.Errorf("%s: Size %d, read %d", c.why, r.Size(), len(got))
			}
			if c.err != nil {
				if n, err := r.Read(make([]byte, 8)); n != 0 || !errors.Is(err, c.err) {
					t.Errorf("%s: after a refusal got %d octets and %v", c.why, n, err)
				}
			}
		}
	}
}

// What a peer has sent is handed over before more is waited for.
func TestReaderDoesNotWait(t *testing.T) {
	pr, pw := io.Pipe()
	defer pw.Close()
	go func() { _, _ = pw.Write([]byte("hello\r\n")) }()
	b := make([]byte, 100)
	n, err := NewReader(pr, false).Read(b)
	if err != nil || n == 0 {
		t.Fatalf("got %d octets and %v, want some at once", n, err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte("a\r\n.\r\n"), false)
	f.Add([]byte("a\rb\nc"), true)
	f.Fuzz(func(t *testing.T, in []byte, normalise bool) {
		got, err := io.ReadAll(NewReader(bytes.NewReader(in), normalise))
		if err != nil {
			return
		}
		rest := bytes.ReplaceAll(got, []byte("\r\n"), nil)
		if bytes.ContainsAny(rest, "\r\n\x00") {
			t.Fatalf("%q became %q, which is not canonical", in, got)
		}
		if len(got) > 0 && !bytes.HasSuffix(got, []byte("\r\n")) {
			t.Fatalf("%q became %q without an end of line", in, got)
		}
		if again, err := io.ReadAll(NewReader(bytes.NewReader(got), false)); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("reading %q again gave %q, %v", got, again, err)
		}
	})
}

func TestReadHeader(t *testing.T) {
	for _, c := range []struct {
		why, in string
		err     error
		names   []string
	}{
		{"fields keep their order", "B: 1\r\nA: 2\r\n\r\nbody", nil, []string{"B", "A"}},
		{"no body at all", "A: 1\r\n", nil, []string{"A"}},
		{"no header", "\r\nbody", nil, nil},
		{"a folded field is one", "A: 1\r\n\t2\r\n 3\r\n\r\n", nil, []string{"A"}},
		{"an obsolete blank before the colon", "A : 1\r\n\r\n", nil, []string{"A"}},
		{"a continuation of nothing", " x\r\n\r\n", ErrMalformedHeader, nil},
		{"no colon", "hello\r\n\r\n", ErrMalformedHeader, nil},
		{"no name", ": x\r\n\r\n", ErrMalformedHeader, nil},
		{"a blank in the name", "A B: x\r\n\r\n", ErrMalformedHeader, nil},
		{"a bare LF", "A: x\n\r\n", ErrBareNewline, nil},
		{"too many fields", strings.Repeat("A: x\r\n", MaxFields+1) + "\r\n", ErrHeaderTooLarge, nil},
		{"too many octets", "A: x\r\n" + strings.Repeat(" "+strings.Repeat("y", 900)+"\r\n", 300) + "\r\n", ErrHeaderTooLarge, nil},
	} {
		h, err := ReadHeader(bufio.NewReader(strings.NewReader(c.in)))
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.why, err, c.err)
		}
		var names []string
		for _, f := range h {
			names = append(names, f.Name)
		}
		if !slices.Equal(names, c.names) {
			t.Errorf("%s: names %q, want %q", c.why, names, c.names)
		}
	}
}

func TestHeaderRest(t *testing.T) {
	br := bufio.NewReader(strings.NewReader("A: 1\r\n\r\nbody\r\n"))
	if _, err := ReadHeader(br); err != nil {
		t.Fatal(err)
	}
	if rest, _ := io.ReadAll(br); string(rest) != "body\r\n" {
		t.Errorf("behind the header stands %q", rest)
	}
}

func TestHeaderEdits(t *testing.T) {
	in := "Subject: one\r\n two\r\nBcc: a@b.c\r\nX-MESSAGE-CLASS: commercial\r\nX-Izinli-Trace: 1\r\nsubject: three\r\n\r\n"
	h, err := ReadHeader(bufio.NewReader(strings.NewReader(in)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := h.Get("SUBJECT"), "one two"; got != want {
		t.Errorf("Get: %q, want %q", got, want)
	}
	if got := h.Count("Subject"); got != 2 {
		t.Errorf("Count: %d, want 2", got)
	}
	out := h.Without(Private).With("X-New", "evil\r\nBcc: x@y.z")
	want := "Subject: one\r\n two\r\nsubject: three\r\nX-New: evil Bcc: x@y.z\r\n\r\n"
	if got := string(out.Bytes()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := string(h.Bytes()); got != in {
		t.Errorf("the header edited changed: %q", got)
	}
}

func TestPrivate(t *testing.T) {
	for _, n := range []string{HeaderClass, HeaderBrand, HeaderRecipientType, HeaderReason, HeaderSMSSender, "Bcc", "RESENT-BCC", "Return-Path", "X-Izinli-Any"} {
		if !Private(n) {
			t.Errorf("%s would be relayed", n)
		}
	}
	for _, n := range []string{"Subject", "X-Mailer", "X-Message-Classy", "Cc", "DKIM-Signature"} {
		if Private(n) {
			t.Errorf("%s would be removed", n)
		}
	}
}

func TestNewField(t *testing.T) {
	long := strings.Repeat("word ", 40)
	f := NewField("Subject", long)
	for line := range strings.SplitSeq(string(f.Raw), "\r\n") {
		if len(line) > foldAt {
			t.Errorf("line of %d octets: %q", len(line), line)
		}
	}
	if got, want := f.Value(), strings.TrimSpace(long); got != want {
		t.Errorf("unfolded %q, want %q", got, want)
	}
	uri := "<https://u.example.com/" + strings.Repeat("x", 100) + ">"
	if got := string(NewField("List-Unsubscribe", uri).Raw); got != "List-Unsubscribe: "+uri+"\r\n" {
		t.Errorf("one long word was folded: %q", got)
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		in   string
		want []string
	}{
		{"a@example.com", []string{"a@example.com"}},
		{`"Örnek, A.Ş." <bilgi@ornek.com.tr>, x@y.tr`, []string{"bilgi@ornek.com.tr", "x@y.tr"}},
		{"=?iso-8859-9?Q?=DEirket?= <a@b.tr>", []string{"a@b.tr"}},
		{"Friends: a@b.tr, c@d.tr;", []string{"a@b.tr", "c@d.tr"}},
		{"not an address", nil},
		{"", nil},
	} {
		got, err := Addresses(c.in)
		if !slices.Equal(got, c.want) || (err != nil) != (c.want == nil) {
			t.Errorf("%q: %q, %v; want %q", c.in, got, err, c.want)
		}
	}
	if got, want := Text("=?iso-8859-9?Q?=DEirket?="), "Şirket"; got != want {
		t.Errorf("Text: %q, want %q", got, want)
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add([]byte("A: 1\r\n 2\r\nB: 3\r\n\r\nbody"))
	f.Add([]byte("From: \"x\" <a@b.c>\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ReadHeader(bufio.NewReader(NewReader(bytes.NewReader(in), false)))
		if err != nil {
			return
		}
		out := h.Bytes()
		again, err := ReadHeader(bufio.NewReader(bytes.NewReader(out)))
		if err != nil || len(again) != len(h) || !bytes.Equal(again.Bytes(), out) {
			t.Fatalf("%q became %q and then %v, %v", in, out, again, err)
		}
		for _, fl := range h {
			if strings.ContainsAny(fl.Value(), "\r\n") {
				t.Fatalf("value %q of %q spans lines", fl.Value(), fl.Raw)
			}
		}
	})
}

func FuzzNewField(f *testing.F) {
	f.Add("Subject", "x\r\nBcc: y")
	f.Fuzz(func(t *testing.T, name, value string) {
		if !validName([]byte(name)) {
			return
		}
		h, err := ReadHeader(bufio.NewReaderSize(bytes.NewReader(Header{NewField(name, value)}.Bytes()), 1<<20))
		if err != nil || len(h) != 1 || h[0].Name != name {
			t.Fatalf("%q: %q became %v, %v", name, value, h, err)
		}
	})
}

func FuzzAddresses(f *testing.F) {
	f.Add(`"Örnek, A.Ş." <bilgi@ornek.com.tr>, x@y.tr`)
	f.Add("Friends: a@b.tr;")
	f.Fuzz(func(t *testing.T, in string) {
		list, err := Addresses(in)
		if err == nil && len(list) == 0 && strings.TrimSpace(in) == "" {
			t.Fatalf("%q is no list", in)
		}
		_ = Text(in)
	})
}
