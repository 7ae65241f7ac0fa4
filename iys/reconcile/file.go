package reconcile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"izinli/iys"
)

// The file of a day (iys-api.md §11): a header, comma between fields, no quotes, LF, an end of line after the last row too;
// sorted by creationDate, then transactionId. Header and line form are not confirmed: should they differ, the rows are compared
// all the same, and the hash İYS names is held against the bytes İYS sends.
const header = "creationDate,transactionId,recipient,recipientType,type,status,consentDate,source\n"

// errFile marks a file of İYS that cannot be read.
var errFile = errors.New("İYS's file of the day cannot be read")

// writeRow appends a movement as the file has it.
func writeRow(w *bufio.Writer, m *iys.Consent) error {
	date := ""
	if !m.ConsentDate.IsZero() {
		date = iys.FormatTime(m.ConsentDate)
	}
	for i, s := range [...]string{iys.FormatTime(m.CreationDate), m.TransactionID, m.Recipient, string(m.RecipientType),
		string(m.Channel), string(m.Status), date, string(m.Source)} {
		if i > 0 {
			if err := w.WriteByte(','); err != nil {
				return err
			}
		}
		if _, err := w.WriteString(s); err != nil {
			return err
		}
	}
	return w.WriteByte('\n')
}

// sums hashes our file.
type sums struct {
	h hash.Hash
	w *bufio.Writer
}

func newSums(h hash.Hash) *sums {
	s := &sums{h: h, w: bufio.NewWriterSize(h, 1<<16)}
	_, _ = s.w.WriteString(header) // a hash takes everything
	return s
}

func (s *sums) add(m *iys.Consent) error { return writeRow(s.w, m) }

func (s *sums) hex() (string, error) {
	if err := s.w.Flush(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", s.h.Sum(nil)), nil
}

// rows reads İYS's file row by row.
type rows struct {
	brand string
	csv   *csv.Reader
	place map[string]int // column by name
	n     int
}

var columns = []string{"creationDate", "transactionId", "recipient", "recipientType", "type", "status", "consentDate", "source"}

func newRows(brand string, r io.Reader) (*rows, error) {
	c := csv.NewReader(bufio.NewReaderSize(skipBOM(r), 1<<16))
	c.ReuseRecord, c.LazyQuotes, c.FieldsPerRecord = true, true, -1
	first, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: header: %w", errFile, err)
	}
	out := &rows{brand: brand, csv: c, place: map[string]int{}}
	for i, name := range first {
		out.place[strings.TrimSpace(name)] = i
	}
	for _, name := range columns {
		if _, ok := out.place[name]; !ok {
			return nil, fmt.Errorf("%w: no column %s", errFile, name)
		}
	}
	return out, nil
}

// skipBOM leaves a byte order mark out.
func skipBOM(r io.Reader) io.Reader {
	b := bufio.NewReader(r)
	if head, err := b.Peek(3); err == nil && bytes.Equal(head, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3)
	}
	return b
}

// next returns the next movement, io.EOF at the end. The text of an error holds no address.
func (r *rows) next() (iys.Consent, error) {
	rec, err := r.csv.Read()
	if err == io.EOF {
		return iys.Consent{}, io.EOF
	}
	r.n++
	if err != nil {
		if _, ok := errors.AsType[*csv.ParseError](err); ok {
			err = fmt.Errorf("%w: row %d", errFile, r.n)
		}
		return iys.Consent{}, err
	}
	if len(rec) < len(columns) {
		return iys.Consent{}, fmt.Errorf("%w: row %d has %d fields", errFile, r.n, len(rec))
	}
	field := func(name string) string {
		if i := r.place[name]; i < len(rec) {
			return strings.TrimSpace(rec[i])
		}
		return ""
	}
	c := iys.Consent{
		Key: iys.Key{Brand: r.brand, Channel: iys.Channel(field("type")), RecipientType: iys.RecipientType(field("recipientType")),
			Recipient: strings.Clone(field("recipient"))},
		Status: iys.Status(field("status")), Source: iys.Source(strings.Clone(field("source"))),
		TransactionID: strings.Clone(field("transactionId")), Origin: iys.OriginReconcile,
	}
	if strings.Contains(c.Recipient, "@") {
		c.Recipient = strings.ToLower(c.Recipient)
	}
	created, refusal := iys.ParseTime(field("creationDate"))
	if refusal != nil || c.TransactionID == "" || !c.Channel.Valid() || !c.RecipientType.Valid() || c.Recipient == "" || !c.Status.Valid() {
		return iys.Consent{}, fmt.Errorf("%w: row %d", errFile, r.n)
	}
	c.CreationDate = created
	if date := field("consentDate"); date != "" { // empty for merchants whose line was closed
		if c.ConsentDate, refusal = iys.ParseTime(date); refusal != nil {
			return iys.Consent{}, fmt.Errorf("%w: row %d: %s", errFile, r.n, refusal.Code)
		}
	}
	return c, nil
}

// order compares the places of two movements in the file.
func order(a, b *iys.Consent) int {
	if d := a.CreationDate.Compare(b.CreationDate); d != 0 {
		return d
	}
	return strings.Compare(a.TransactionID, b.TransactionID)
}

// same reports whether two rows of one place say the same.
func same(a, b *iys.Consent) bool {
	return a.Key == b.Key && a.Status == b.Status && a.Source == b.Source && a.ConsentDate.Equal(b.ConsentDate)
}
