package customer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"izinli/gateway"
)

// bookDelimiter cuts the rows of a spreadsheet once they are text.
const bookDelimiter = ';'

// inspectBook finds the header of a workbook, and how many rows it has at most.
func (m *Imports) inspectBook(j *gateway.ImportJob) (rows int, err error) {
	b, err := openBook(m.bookPath(j), m.cfg.Dir)
	if err == nil {
		defer b.Close()
		err = bookHeader(b, j)
	}
	if bad := (*errBook)(nil); errors.As(err, &bad) {
		return 0, gateway.Refuse(gateway.CodeInvalid, "file", "%s", bad.text)
	}
	if err != nil {
		return 0, unavailable(err)
	}
	for n := range b.lasts {
		rows = max(rows, int(n))
	}
	return rows, nil
}

func bookHeader(b *book, j *gateway.ImportJob) error {
	j.Encoding, j.Delimiter, j.Mark = encodingUTF8, bookDelimiter, false
	for {
		fields, err := b.next()
		if errors.Is(err, io.EOF) {
			return gateway.Refuse(gateway.CodeInvalid, "file", "The first sheet is empty.")
		}
		if err != nil {
			return err
		}
		if !blank(fields) {
			return useHeader(fields, b.row, j)
		}
	}
}

// convert writes the first sheet as text beside the workbook, a line for a row, so that everything behind it reads one kind of file and
// can go on in the middle of it. An interrupted conversion is begun anew.
func (m *Imports) convert(ctx context.Context, j *gateway.ImportJob) (err error) {
	b, err := openBook(m.bookPath(j), m.cfg.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	l := bareLayout()
	if len(j.Header) > 0 {
		if l, err = mapHeader(j.Header, j.Channel); err != nil {
			return bookFault("The header cannot be used: %v.", err)
		}
	}
	tmp := m.path(j) + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	err = m.copyRows(ctx, b, &l, j, w)
	err = errors.Join(err, w.Flush(), f.Sync(), f.Close())
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	if err := os.Rename(tmp, m.path(j)); err != nil {
		return err
	}
	return syncDir(filepath.Dir(tmp))
}

func (m *Imports) copyRows(ctx context.Context, b *book, l *layout, j *gateway.ImportJob, w *bufio.Writer) error {
	for {
		fields, err := b.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if b.row%4096 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if m.store.Full() {
				return fmt.Errorf("customer: convert: %w", gateway.Refuse(gateway.CodeStorageFull, "", ""))
			}
		}
		if b.row > j.HeaderLine && !blank(fields) {
			for i, s := range fields {
				if i > 0 {
					_ = w.WriteByte(bookDelimiter)
				}
				writeField(w, b.text(s, i == l[colDate]))
			}
		}
		if err := w.WriteByte('\n'); err != nil {
			return err
		}
	}
}

// writeField quotes what would not be read back as it is.
func writeField(w *bufio.Writer, s string) {
	if strings.IndexByte(s, bookDelimiter) < 0 && strings.IndexByte(s, '"') < 0 {
		_, _ = w.WriteString(s)
		return
	}
	_ = w.WriteByte('"')
	_, _ = w.WriteString(strings.ReplaceAll(s, `"`, `""`))
	_ = w.WriteByte('"')
}
