package customer

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"

	"izinli/gateway"
)

// errorColumns follow the columns of the file in the answer of ImportErrors. No header of that name means anything to an import,
// so that a corrected answer can be imported as it is.
var errorColumns = []string{"izinli_satir", "izinli_kod", "iys_kod", "izinli_alan", "hata", "error"}

// ImportErrors implements gateway.Imports: the refused rows so far, in the format of the file, with its header and delimiter; text
// always in UTF-8.
func (m *Imports) ImportErrors(ctx context.Context, a gateway.AccountID, id string, w io.Writer) error {
	j, err := m.store.Import(ctx, a, id)
	if err != nil {
		return unavailable(err)
	}
	rows, err := m.store.ImportRows(ctx, a, id, 0, rowsPerPage)
	if err != nil {
		return unavailable(err)
	}
	header := slices.Clone(j.Header)
	if len(header) == 0 {
		header = []string{"recipient"}
	}
	if n := len(header) - len(errorColumns); n > 0 && slices.Equal(header[n:], errorColumns) {
		header = header[:n] // the file was such an answer itself
	}
	names := columnOf(header, j.Channel)
	out, err := m.table(j, w)
	if err == nil {
		err = out.write(append(header, errorColumns...))
	}
	for err == nil && len(rows) > 0 {
		for i := range rows {
			err = errors.Join(err, out.write(errorRow(&rows[i], len(header), j.Delimiter, names)))
		}
		if last := rows[len(rows)-1].Line; err == nil {
			rows, err = m.store.ImportRows(ctx, a, id, last, rowsPerPage)
		}
		err = errors.Join(err, ctx.Err())
	}
	if out != nil {
		err = errors.Join(err, out.end(err == nil))
	}
	if err != nil {
		return fmt.Errorf("customer: write errors: %w", err)
	}
	return nil
}

// table takes rows in one of the formats.
type table interface {
	write(row []string) error
	end(whole bool) error // whole: all rows were written
}

func (m *Imports) table(j *gateway.ImportJob, w io.Writer) (table, error) {
	if j.Format == gateway.FormatXLSX {
		return newSheet(w, m.cfg.Dir)
	}
	if j.Mark {
		if _, err := w.Write(mark); err != nil {
			return nil, err
		}
	}
	out := csv.NewWriter(w)
	out.Comma, out.UseCRLF = rune(j.Delimiter), true
	return textTable{out}, nil
}

type textTable struct{ w *csv.Writer }

func (t textTable) write(row []string) error { return t.w.Write(row) }

func (t textTable) end(bool) error {
	t.w.Flush()
	return t.w.Error()
}

// sheet writes a workbook; what it has too much of for memory waits in a file until the end.
type sheet struct {
	f   *excelize.File
	s   *excelize.StreamWriter
	w   io.Writer
	row int
}

func newSheet(w io.Writer, dir string) (*sheet, error) {
	f := excelize.NewFile(excelize.Options{TmpDir: dir})
	s, err := f.NewStreamWriter("Sheet1")
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &sheet{f: f, s: s, w: w}, nil
}

func (s *sheet) write(row []string) error {
	s.row++
	cells := make([]any, len(row))
	for i, v := range row {
		cells[i] = v // as text: a number would lose its plus sign and its zeroes
	}
	at, err := excelize.CoordinatesToCellName(1, s.row)
	if err != nil {
		return err
	}
	return s.s.SetRow(at, cells)
}

func (s *sheet) end(whole bool) error {
	var err error
	if whole {
		if err = s.s.Flush(); err == nil {
			_, err = s.f.WriteTo(s.w)
		}
	}
	return errors.Join(err, s.f.Close())
}

// rowsPerPage is how many refused rows are read at once.
const rowsPerPage = 500

// errorRow writes a row back. One that could not be cut stands whole in the first column: what belongs where is not guessed.
func errorRow(r *gateway.ImportRow, width int, delim byte, names map[string]string) []string {
	out := make([]string, width, width+len(errorColumns))
	if r.Code == gateway.CodeMalformed {
		out[0] = strings.Join(r.Fields, string(rune(delim)))
	} else {
		copy(out, r.Fields)
	}
	return append(out, strconv.FormatUint(uint64(r.Line), 10), string(r.Code), r.IYS, cmp.Or(names[r.Field], r.Field), r.Turkish, r.English)
}

// columnOf tells what the file itself calls a field.
func columnOf(header []string, channel string) map[string]string {
	out := map[string]string{}
	l, err := mapHeader(header, channel)
	if err != nil {
		return out
	}
	for field, c := range map[string]column{"recipient": colRecipient, "consentDate": colDate, "source": colSource, "status": colStatus,
		"recipientType": colType, "channel": colChannel, "brand": colBrand, "retailerCode": colRetailer, "evidence": colEvidence} {
		if i := l[c]; i >= 0 && i < len(header) {
			out[field] = clean(header[i])
		}
	}
	return out
}
