package mail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// streamed is what the strict reader and ReadHeader make of a message; Split must agree with them.
func streamed(raw []byte) (Header, []byte, error) {
	br := bufio.NewReaderSize(NewReader(bytes.NewReader(raw), false), 16<<10)
	h, err := ReadHeader(br)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(br)
	return h, body, err
}

func sameAsStreamed(t *testing.T, raw []byte) error {
	t.Helper()
	before := bytes.Clone(raw)
	h, body, err := Split(raw[:len(raw):len(raw)])
	wantH, wantBody, wantErr := streamed(before)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: error %v, streamed %v", before, err, wantErr)
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(h.Bytes(), wantH.Bytes()) || !bytes.Equal(body, wantBody) || len(h) != len(wantH) {
		t.Fatalf("%q: %q and %q, streamed %q and %q", before, h.Bytes(), body, wantH.Bytes(), wantBody)
	}
	for i := range h {
		if h[i].Name != wantH[i].Name || cap(h[i].Raw) != len(h[i].Raw) {
			t.Fatalf("%q: field %q with room for %d octets behind its %d", before, h[i].Name, cap(h[i].Raw), len(h[i].Raw))
		}
	}
	if !bytes.Equal(raw, before) {
		t.Fatalf("%q was changed to %q", before, raw)
	}
	return nil
}

func TestSplit(t *testing.T) {
	long := strings.Repeat("a", MaxLine)
	for _, c := range []struct {
		why, in string
		err     error
	}{
		{"header and body", "A: 1\r\nB: 2\r\n 3\r\n\t4\r\n\r\nbody\r\n\r\nmore\r\n", nil},
		{"no body", "A: 1\r\n\r\n", nil},
		{"a header alone", "A: 1\r\n", nil},
		{"a last line without an end", "A: 1\r\n\r\nbody", nil},
		{"a header line without an end", "A: 1", nil},
		{"nothing", "", nil},
		{"no header", "\r\nbody\r\n", nil},
		{"an obsolete blank before the colon", "A : 1\r\n\r\n", nil},
		{"998 octets", "A: 1\r\n\r\n" + long + "\r\n", nil},
		{"999 octets", "A: 1\r\n\r\n" + long + "a\r\n", ErrLineTooLong},
		{"a NUL", "A: 1\r\n\r\na\x00b\r\n", ErrNUL},
		{"a bare LF", "A: 1\r\n\r\na\nb\r\n", ErrBareNewline},
		{"an LF alone", "A: 1\r\n\n", ErrBareNewline},
		{"a bare CR", "A: 1\r\n\r\na\rb\r\n", ErrBareNewline},
		{"a CR at the end", "A: 1\r\n\r\na\r", ErrBareNewline},
		{"CR CR LF", "A: 1\r\n\r\na\r\r\n", ErrBareNewline},
		{"a continuation of nothing", " x\r\n\r\n", ErrMalformedHeader},
		{"no colon", "hello\r\n\r\n", ErrMalformedHeader},
		{"a blank in the name", "A B: x\r\n\r\n", ErrMalformedHeader},
		{"too many fields", strings.Repeat("A: x\r\n", MaxFields+1) + "\r\n", ErrHeaderTooLarge},
		{"too many octets", "A: x\r\n" + strings.Repeat(" "+strings.Repeat("y", 900)+"\r\n", 300) + "\r\n", ErrHeaderTooLarge},
	} {
		if err := sameAsStreamed(t, []byte(c.in)); !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", c.why, err, c.err)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add([]byte("A: 1\r\nB: 2\r\n 3\r\n\r\nbody\r\n"))
	f.Add([]byte("A : 1\r\n\r\nbody"))
	f.Add([]byte("\n"))
	f.Fuzz(func(t *testing.T, raw []byte) { _ = sameAsStreamed(t, raw) })
}
