package customer

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"izinli/gateway"
)

// Spooled files: text, a workbook as it came (beside its text), text being written, and what excelize unpacks.
const (
	spoolSuffix = ".csv"
	bookSuffix  = ".xlsx"
	newSuffix   = ".new"
	unpacked    = "excelize-"
)

var mark = []byte{0xEF, 0xBB, 0xBF} // UTF-8 byte order mark

// spool writes an upload to path, synced with its directory: once the import is answered it survives a crash. It returns what
// the octets look like. Errors are fit for the customer; the file is gone then.
func (m *Imports) spool(ctx context.Context, path string, r io.Reader) (*sniffer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, unavailable(fmt.Errorf("customer: spool: %w", err))
	}
	s := &sniffer{}
	err = m.fill(ctx, f, s.wide(r), s)
	if err == nil {
		if err = errors.Join(f.Sync(), syncDir(filepath.Dir(path))); err != nil {
			err = diskError(err)
		}
	}
	if cerr := f.Close(); err == nil && cerr != nil {
		err = diskError(cerr)
	}
	if err != nil {
		_ = os.Remove(path)
		return nil, err
	}
	return s, nil
}

// fill copies the upload, watching its size and the free space.
func (m *Imports) fill(ctx context.Context, f *os.File, r io.Reader, s *sniffer) error {
	buf := make([]byte, 64<<10)
	for size := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		if m.store.Full() {
			return gateway.Refuse(gateway.CodeStorageFull, "", "")
		}
		n, err := r.Read(buf)
		if size += int64(n); size > m.cfg.MaxSize {
			return gateway.Refuse(gateway.CodeTooLarge, "file", "The file is larger than %d octets; split it.", m.cfg.MaxSize)
		}
		s.see(buf[:n])
		if _, werr := f.Write(buf[:n]); werr != nil {
			return diskError(werr)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &gateway.Error{Code: gateway.CodeMalformed, Field: "file", Text: "The upload ended before the file did.", Err: err}
		}
	}
}

func diskError(err error) error {
	code := gateway.CodeUnavailable
	if errors.Is(err, syscall.ENOSPC) {
		code = gateway.CodeStorageFull
	}
	return &gateway.Error{Code: code, Text: code.Wire().Title, Err: fmt.Errorf("customer: spool: %w", err)}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sniffer looks at a file as it goes by and tells UTF-8 from windows-1254. One octet out of place in a UTF-8 file does not make
// it the other: the more frequent wins.
type sniffer struct {
	head        []byte // the first octets
	rest        []byte // a letter cut by the end of a piece
	lines       int    // lines, a last one without an end among them
	open        bool   // what came last was no end of a line
	good, wrong int    // letters beyond ASCII, octets that are none
	utf16       bool   // the file was UTF-16, as spreadsheets write their "Unicode text"; it is spooled as UTF-8
}

// wide turns UTF-16 with a byte order mark into UTF-8 and leaves everything else alone.
func (s *sniffer) wide(r io.Reader) io.Reader {
	br := bufio.NewReader(r)
	if h, _ := br.Peek(2); len(h) == 2 && (h[0] == 0xFF && h[1] == 0xFE || h[0] == 0xFE && h[1] == 0xFF) {
		s.utf16 = true
		return transform.NewReader(br, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder())
	}
	return br
}

func (s *sniffer) see(p []byte) {
	if len(p) > 0 {
		if s.open {
			s.lines-- // the line that goes on here was counted
		}
		s.open = p[len(p)-1] != '\n'
		if s.lines += bytes.Count(p, []byte("\n")); s.open {
			s.lines++
		}
	}
	if n := min(len(p), 512-len(s.head)); n > 0 {
		s.head = append(s.head, p[:n]...)
	}
	if len(s.rest) > 0 {
		p = append(s.rest, p...)
		s.rest = nil
	}
	for len(p) > 0 {
		if p[0] < utf8.RuneSelf {
			p = p[1:]
			continue
		}
		r, n := utf8.DecodeRune(p)
		switch {
		case r != utf8.RuneError || n > 1:
			s.good++
		case !utf8.FullRune(p):
			s.rest = append([]byte(nil), p...)
			return
		default:
			s.wrong++
		}
		p = p[n:]
	}
}

// encoding is the alphabet of all that was seen.
func (s *sniffer) encoding() string {
	if bytes.HasPrefix(s.head, mark) || s.wrong+len(s.rest) <= s.good {
		return encodingUTF8
	}
	return encoding1254
}

// foreign says, in the customer's words, what the file is when it is no CSV; empty when it may be one.
func (s *sniffer) foreign() string {
	h := s.head
	switch {
	case len(bytes.TrimSpace(bytes.TrimPrefix(h, mark))) == 0:
		return "The file is empty."
	case bytes.HasPrefix(h, []byte("\xD0\xCF\x11\xE0")):
		return "The file is a spreadsheet of the old form, or has a password; save it as XLSX without one, or as CSV (UTF-8)."
	case bytes.IndexByte(h, 0) >= 0:
		return "The file is not written in UTF-8 or windows-1254; save it as CSV (UTF-8)."
	}
	return ""
}

// book reports that the file is a workbook (a ZIP archive).
func (s *sniffer) book() bool { return bytes.HasPrefix(s.head, []byte("PK\x03\x04")) }
