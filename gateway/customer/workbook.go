package customer

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"

	"izinli/iys"
)

// Bounds of a workbook (ECMA-376). A spreadsheet of the most rows there can be, 1 048 576, with ten columns unpacks to about half a
// gigabyte; it is unpacked to the spool directory and read row by row.
const (
	maxPacked   = 128 << 20 // octets of the file: this much is held in memory while it is read
	maxUnpacked = 2 << 30   // octets of all its parts
	maxOther    = 32 << 20  // octets of the parts that are held in memory: all but sheets and shared strings
	maxParts    = 10_000
	keptPart    = 1 << 20 // octets of a sheet above which it is unpacked to disk
	maxRowXML   = 2 << 20 // octets of one row, or of one shared string, with its markup
)

// errBook is a workbook that cannot be read; the text is for the customer.
type errBook struct{ text string }

func (e *errBook) Error() string { return e.text }

func bookFault(format string, args ...any) error { return &errBook{fmt.Sprintf(format, args...)} }

var errDamaged = &errBook{"The spreadsheet is damaged; open it, save it again as XLSX, or save it as CSV (UTF-8)."}

// book reads the first sheet of a workbook row by row.
type book struct {
	f        *excelize.File
	rows     *excelize.Rows
	row      uint32          // rows read, empty ones included
	lasts    map[uint32]bool // how many rows the sheets have
	date1904 bool
}

// openBook opens the workbook at path; large parts are unpacked to dir and removed by Close. Errors fit for the customer are *errBook.
func openBook(path, dir string) (*book, error) {
	lasts, err := survey(path)
	if err != nil {
		return nil, err
	}
	f, err := excelize.OpenFile(path, excelize.Options{RawCellValue: true, UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: keptPart, TmpDir: dir})
	if err != nil {
		if f != nil {
			_ = f.Close()
		}
		return nil, errDamaged
	}
	b := &book{f: f, lasts: lasts}
	if props, err := f.GetWorkbookProps(); err == nil && props.Date1904 != nil {
		b.date1904 = *props.Date1904
	}
	sheets := f.GetSheetList()
	if len(sheets) == 0 {
		return nil, errors.Join(errDamaged, f.Close())
	}
	if b.rows, err = f.Rows(sheets[0]); err != nil {
		_ = f.Close()
		return nil, errDamaged
	}
	return b, nil
}

// Close removes what was unpacked.
func (b *book) Close() error { return errors.Join(b.rows.Close(), b.f.Close()) }

// next returns the next row, which may be empty, as the cells are stored: dates are still numbers. io.EOF at the end.
func (b *book) next() ([]string, error) {
	if !b.rows.Next() {
		// The library takes what it cannot parse for the end.
		if !b.lasts[b.row] {
			return nil, errDamaged
		}
		return nil, io.EOF
	}
	b.row++
	if b.row > excelize.TotalRows {
		return nil, errDamaged
	}
	fields, err := b.rows.Columns()
	if err != nil {
		return nil, errDamaged
	}
	return fields, nil
}

// javaNumber is a whole number the way Java writes a double: 5.321234567E9. What a spreadsheet shows of a number that is too wide
// has a sign behind the E, and lacks digits.
var javaNumber = regexp.MustCompile(`^[0-9](\.[0-9]+)?E1?[0-9]$`)

// text is a cell as a person would write it; date says that the column holds dates.
func (b *book) text(s string, date bool) string {
	s = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, s)
	if date {
		n, err := strconv.ParseFloat(s, 64)
		if err != nil || n < 1 || n > 1e5 {
			return s
		}
		t, err := excelize.ExcelDateToTime(n, b.date1904)
		if err != nil {
			return s
		}
		return t.Round(time.Second).Format(iys.TimeLayout)
	}
	if javaNumber.MatchString(s) {
		if n, err := strconv.ParseFloat(s, 64); err == nil && n == math.Trunc(n) {
			return strconv.FormatFloat(n, 'f', -1, 64)
		}
	}
	return s
}

// survey bounds a workbook before anything reads it: what its parts unpack to, and how much of them the reader would have to hold at
// once. It returns how many rows each sheet has, so that a sheet cut short is noticed.
func survey(path string) (map[uint32]bool, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if st.Size() > maxPacked {
		return nil, bookFault("The spreadsheet is larger than %d MiB; split it, or save it as CSV (UTF-8).", maxPacked>>20)
	}
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, errDamaged
	}
	defer z.Close()
	if len(z.File) > maxParts {
		return nil, errDamaged
	}
	var all, other uint64
	lasts := map[uint32]bool{}
	for _, f := range z.File {
		if f.UncompressedSize64 > maxUnpacked {
			return nil, bookFault("The spreadsheet unpacks to more than %d MiB; split it, or save it as CSV (UTF-8).", maxUnpacked>>20)
		}
		name := strings.ToLower(strings.ReplaceAll(f.Name, "\\", "/"))
		large := strings.HasPrefix(name, "xl/worksheets/sheet") || name == "xl/sharedstrings.xml"
		if all += f.UncompressedSize64; !large {
			other += f.UncompressedSize64
		}
		if all > maxUnpacked || other > maxOther {
			return nil, bookFault("The spreadsheet unpacks to more than %d MiB, or holds pictures; save the list alone as CSV (UTF-8).", maxUnpacked>>20)
		}
		if large || strings.HasPrefix(name, "xl/worksheets/") && !strings.HasSuffix(name, ".rels") {
			last, err := surveyPart(f)
			if err != nil {
				return nil, err
			}
			lasts[last] = true
		}
	}
	return lasts, nil
}

func surveyPart(f *zip.File) (uint32, error) {
	r, err := f.Open()
	if err != nil {
		return 0, errDamaged
	}
	defer r.Close()
	s := &scanner{}
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if serr := s.see(buf[:n]); serr != nil {
			return 0, serr
		}
		if errors.Is(err, io.EOF) {
			if !s.whole {
				return 0, errDamaged
			}
			return s.row, nil
		}
		if err != nil { // the checksum, the declared size
			return 0, errDamaged
		}
	}
}

// scanner looks at the markup of a sheet or of the shared strings as it goes by, without understanding it: it counts rows and
// measures how far rows and strings are apart.
type scanner struct {
	row  uint32 // number of the last row
	gap  int    // octets since the last row or string began
	in   bool   // within a tag
	tag  []byte // its first octets
	tail bool   // behind the rows
	// whole: the last tag closed the part's root.
	whole bool
}

// maxTag is how much of a tag is looked at: a row names its number first.
const maxTag = 256

func (s *scanner) see(p []byte) error {
	for len(p) > 0 {
		end := byte('<')
		if s.in {
			end = '>'
		}
		i := bytes.IndexByte(p, end)
		n := i + 1
		if i < 0 {
			n = len(p)
		}
		if s.gap += n; s.gap > maxRowXML && !s.tail {
			return bookFault("The spreadsheet has a row or a cell of more than %d KiB; remove it, or save the list as CSV (UTF-8).", maxRowXML>>10)
		}
		if s.in && len(s.tag) < maxTag {
			s.tag = append(s.tag, p[:min(n, maxTag-len(s.tag))]...)
		}
		if i >= 0 {
			if s.in {
				s.close()
			}
			s.in = !s.in
		}
		p = p[n:]
	}
	return nil
}

// close judges a tag that has ended.
func (s *scanner) close() {
	name, attrs := s.tag, []byte(nil)
	if i := bytes.IndexAny(name, " \t\r\n/>"); i > 0 {
		name, attrs = s.tag[:i], s.tag[i:]
	}
	end := bytes.HasPrefix(s.tag, []byte("/"))
	if end {
		name, _, _ = bytes.Cut(s.tag[1:], []byte(">"))
		name = bytes.TrimSpace(name)
	}
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	root := string(name) == "worksheet" || string(name) == "sst"
	s.whole = root && (end || bytes.HasSuffix(s.tag, []byte("/>")))
	switch {
	case end && string(name) == "sheetData":
		s.tail = true
	case end:
	case string(name) == "row":
		s.gap = 0
		s.row = rowNumber(attrs, s.row+1)
	case string(name) == "si":
		s.gap = 0
	}
	s.tag = s.tag[:0]
}

var rowAttr = regexp.MustCompile(`[ \t\r\n]r=["']([0-9]{1,7})["']`)

// rowNumber is what a row says of its number, next when it says nothing.
func rowNumber(attrs []byte, next uint32) uint32 {
	if m := rowAttr.FindSubmatch(attrs); m != nil {
		if n, err := strconv.ParseUint(string(m[1]), 10, 32); err == nil && n > 0 {
			return uint32(n)
		}
	}
	return next
}
