package customer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode/utf8"

	"izinli/gateway"
)

const spoolSuffix = ".csv"

var mark = []byte{0xEF, 0xBB, 0xBF} // UTF-8 byte order mark

// spool writes an upload to path, synced with its directory: once the import is answered it survives a crash. It returns what
// the octets look like. Errors are fit for the customer; the file is gone then.
func (m *Imports) spool(ctx context.Context, path string, r io.Reader) (*sniffer, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, unavailable(fmt.Errorf("customer: spool: %w", err))
	}
	s := &sniffer{}
	err = m.fill(ctx, f, r, s)
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
	good, wrong int    // letters beyond ASCII, octets that are none
}

func (s *sniffer) see(p []byte) {
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
	case bytes.HasPrefix(h, []byte("PK\x03\x04")), bytes.HasPrefix(h, []byte("\xD0\xCF\x11\xE0")):
		return "The file is a spreadsheet; save it as CSV (UTF-8)."
	case bytes.HasPrefix(h, []byte("\xFF\xFE")), bytes.HasPrefix(h, []byte("\xFE\xFF")), bytes.IndexByte(h, 0) >= 0:
		return "The file is not written in UTF-8 or windows-1254; save it as CSV (UTF-8)."
	}
	return ""
}

// inspect finds delimiter, header and the place of the first row, and refuses a file that cannot be an import of the job's
// kind. The texts are for the customer.
func inspect(path string, s *sniffer, j *gateway.ImportJob) error {
	if text := s.foreign(); text != "" {
		return gateway.Refuse(gateway.CodeInvalid, "file", "%s", text)
	}
	f, err := os.Open(path)
	if err != nil {
		return unavailable(err)
	}
	defer f.Close()
	j.Encoding = s.encoding()
	j.Mark = bytes.HasPrefix(s.head, mark) || j.Encoding == encoding1254
	if bytes.HasPrefix(s.head, mark) {
		j.Offset = int64(len(mark))
		if _, err := f.Seek(j.Offset, io.SeekStart); err != nil {
			return unavailable(err)
		}
	}
	rd := newReader(f, 0, j.Encoding, j.Offset, 0)
	line, err := rd.headLine()
	if err == nil {
		if d, ok := separator(line); ok {
			j.Delimiter, j.Offset, j.Line = d, rd.offset, rd.line
			line, err = rd.headLine()
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		return gateway.Refuse(gateway.CodeInvalid, "file", "The file is empty.")
	case errors.Is(err, errLongHeader):
		return gateway.Refuse(gateway.CodeInvalid, "file", "The first row is too long to name columns; is the file a CSV with line ends?")
	case err != nil:
		return unavailable(fmt.Errorf("customer: read spool: %w", err))
	}
	return readHeader(rd, line, j)
}

// readHeader takes the first row for what it is: names of columns, or, in a file of one column, already an address.
func readHeader(rd *reader, line string, j *gateway.ImportJob) error {
	if j.Delimiter == 0 {
		j.Delimiter = delimiter(line)
	}
	header, state := split(line, j.Delimiter)
	if state != splitWhole {
		return gateway.Refuse(gateway.CodeInvalid, "file", "The first row cannot be read: its quotes do not match.")
	}
	for i := range header {
		header[i] = clean(header[i])
	}
	l, err := mapHeader(header, j.Channel)
	if errors.Is(err, errNoRecipient) && len(header) == 1 {
		if _, bad := readAddress(j.Channel, header[0]); bad == nil {
			header, l, err = nil, bareLayout(), nil
		}
	}
	if err == nil {
		err = l.fit(j.Mode, j.RecipientType)
	}
	if err != nil {
		return gateway.Refuse(gateway.CodeInvalid, "file", "The header cannot be used: %s.", err.Error())
	}
	if j.Header = header; header != nil {
		j.Offset, j.Line = rd.offset, rd.line
	}
	return nil
}

// bareLayout is that of a list of addresses without a header.
func bareLayout() layout {
	var l layout
	for i := range l {
		l[i] = -1
	}
	l[colRecipient] = 0
	return l
}

var errLongHeader = errors.New("customer: the header is too long")

// headLine consumes one line that is not blank.
func (r *reader) headLine() (string, error) {
	for {
		if ok, err := r.fill(1); !ok {
			return "", err
		}
		l := r.ahead[0]
		r.ahead = append(r.ahead[:0], r.ahead[1:]...)
		if l.long || bytes.IndexByte(l.b, '\r') >= 0 {
			return "", errLongHeader
		}
		text := decode(l.b, r.enc)
		if clean(text) != "" {
			r.offset += l.n
			r.line++
			return text, nil
		}
		r.offset += l.n
		r.line++
	}
}

// separator reads the line "sep=;" that spreadsheets write before the header.
func separator(line string) (byte, bool) {
	rest, ok := strings.CutPrefix(strings.ToLower(strings.Trim(line, "\" ")), "sep=")
	if !ok || len(rest) != 1 || strings.IndexByte(";,\t", rest[0]) < 0 {
		return 0, false
	}
	return rest[0], true
}

// delimiter chooses what cuts the header into the most columns that mean something, then into the most.
func delimiter(line string) byte {
	best, bestKnown, bestAll := byte(';'), -1, -1
	for _, d := range []byte{';', ',', '\t'} {
		fields, state := split(line, d)
		if state != splitWhole {
			continue
		}
		if k := known(fields); k > bestKnown || k == bestKnown && len(fields) > bestAll {
			best, bestKnown, bestAll = d, k, len(fields)
		}
	}
	return best
}
