package customer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"izinli/gateway"
)

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
	if j.Encoding == "" {
		j.Encoding = s.encoding()
	}
	j.Mark = bytes.HasPrefix(s.head, mark) || s.utf16 || j.Encoding == encoding1254
	if bytes.HasPrefix(s.head, mark) {
		j.Offset = int64(len(mark))
		if _, err := f.Seek(j.Offset, io.SeekStart); err != nil {
			return unavailable(err)
		}
	}
	if st, err := f.Stat(); err == nil {
		j.Size = st.Size()
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
	if err := useHeader(header, rd.line, j); err != nil {
		return err
	}
	if j.Header != nil {
		j.Offset, j.Line = rd.offset, rd.line
	}
	return nil
}

// useHeader takes the first row, which ends with the given line of the file, for what it is. Only names of columns are consumed.
func useHeader(header []string, line uint32, j *gateway.ImportJob) error {
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
		err = l.fit(j)
	}
	if err != nil {
		return gateway.Refuse(gateway.CodeInvalid, "file", "The header cannot be used: %s.", err.Error())
	}
	if j.Header = header; header != nil {
		j.HeaderLine = line
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

// delimiters are what can stand between the columns of a text file.
const delimiters = ";,\t|"

// separator reads the line "sep=;" that spreadsheets write before the header.
func separator(line string) (byte, bool) {
	rest, ok := strings.CutPrefix(strings.ToLower(strings.Trim(line, "\" ")), "sep=")
	if !ok || len(rest) != 1 || strings.IndexByte(delimiters, rest[0]) < 0 {
		return 0, false
	}
	return rest[0], true
}

// delimiter chooses what cuts the header into the most columns that mean something, then into the most.
func delimiter(line string) byte {
	best, bestKnown, bestAll := byte(';'), -1, -1
	for _, d := range []byte(delimiters) {
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
