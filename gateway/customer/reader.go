package customer

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/encoding/charmap"
)

// Alphabets of a file.
const (
	encodingUTF8 = "utf-8"
	encoding1254 = "windows-1254"
)

// Bounds of a row.
const (
	maxLine  = 16 << 10 // octets of one line
	maxJoin  = 32 << 10 // octets of a row whose quoted fields hold line ends
	maxLines = 8        // lines of such a row
	maxShown = 1 << 10  // octets of an unreadable row that are kept
)

// record is one row of a file.
type record struct {
	line   uint32 // its first line, from 1
	fields []string
	bad    string // why it could not be read: a key of rowFaults; the fields are then the line as it stands
}

// reader cuts a file into rows. What is wrong with a row stays in it: an open quote is looked for over a few lines and, when no
// other end of it makes sense, costs the line that opened it and nothing more.
type reader struct {
	br     *bufio.Reader
	delim  byte
	enc    string
	ahead  []rawLine // read, not consumed
	offset int64     // octets consumed
	line   uint32    // lines consumed
}

type rawLine struct {
	b    []byte // without its end, at most maxLine
	n    int64  // octets in the file, with its end
	long bool
}

// newReader reads r, which stands at the octet offset behind the given number of lines.
func newReader(r io.Reader, delim byte, enc string, offset int64, line uint32) *reader {
	return &reader{br: bufio.NewReaderSize(r, 64<<10), delim: delim, enc: enc, offset: offset, line: line}
}

// next returns the next row that is not blank; io.EOF at the end. Other errors are those of the file.
func (r *reader) next() (record, error) {
	for {
		if ok, err := r.fill(1); !ok {
			return record{}, err
		}
		rec, lines := r.cut()
		for _, l := range r.ahead[:lines] {
			r.offset += l.n
		}
		r.line += uint32(lines)
		r.ahead = append(r.ahead[:0], r.ahead[lines:]...)
		if rec.bad != "" || !blank(rec.fields) {
			return rec, nil
		}
	}
}

// cut makes a row of the first lines ahead and says of how many.
func (r *reader) cut() (record, int) {
	first := r.ahead[0]
	rec := record{line: r.line + 1}
	text := decode(first.b, r.enc)
	if first.long {
		return r.refused(rec, text, "long"), 1
	}
	fields, state := split(text, r.delim)
	for n := 1; state == splitOpen && n < maxLines && len(text) < maxJoin; n++ {
		if ok, _ := r.fill(n + 1); !ok || r.ahead[n].long {
			break
		}
		text += "\n" + decode(r.ahead[n].b, r.enc)
		if fields, state = split(text, r.delim); state == splitWhole {
			rec.fields = fields
			return rec, n + 1
		}
	}
	if state != splitWhole {
		return r.refused(rec, decode(first.b, r.enc), "quote"), 1
	}
	rec.fields = fields
	return rec, 1
}

func (r *reader) refused(rec record, text, why string) record {
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "")
	}
	rec.fields, rec.bad = []string{text}, why
	return rec
}

// fill reads until n lines are ahead. It answers false with io.EOF when the file ends before.
func (r *reader) fill(n int) (bool, error) {
	for len(r.ahead) < n {
		l, err := r.readLine()
		if l.n == 0 {
			if err == nil {
				err = io.EOF
			}
			return false, err
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return false, err // half a line is not a line
		}
		r.ahead = append(r.ahead, l)
	}
	return true, nil
}

func (r *reader) readLine() (rawLine, error) {
	var l rawLine
	for {
		part, err := r.br.ReadSlice('\n')
		l.n += int64(len(part))
		if room := maxLine + 2 - len(l.b); len(part) > room {
			l.b, l.long = append(l.b, part[:room]...), true
		} else {
			l.b = append(l.b, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		l.b = bytes.TrimSuffix(bytes.TrimSuffix(l.b, []byte("\n")), []byte("\r"))
		if len(l.b) > maxLine {
			l.b, l.long = l.b[:maxLine], true
		}
		return l, err
	}
}

// What split made of a text.
const (
	splitWhole = iota
	splitOpen  // a quoted field does not end
	splitBad   // something stands behind a closing quote
)

// split cuts a row into fields (RFC 4180 §2, with any delimiter). A quote inside a field that does not begin with one is an
// ordinary character.
func split(s string, delim byte) (fields []string, state int) {
	for {
		var f string
		if t := strings.TrimLeft(s, " "); t != "" && t[0] == '"' {
			var ok bool
			if f, s, ok = quoted(t[1:]); !ok {
				return fields, splitOpen
			}
			s = strings.TrimLeft(s, " ")
			if s != "" && s[0] != delim {
				return fields, splitBad
			}
		} else {
			i := strings.IndexByte(s, delim)
			if i < 0 {
				i = len(s)
			}
			f, s = s[:i], s[i:]
		}
		fields = append(fields, f)
		if s == "" {
			return fields, splitWhole
		}
		s = s[1:]
	}
}

// quoted reads a field behind its opening quote, and returns what follows the closing one.
func quoted(s string) (field, rest string, ok bool) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			return "", "", false
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		if s == "" || s[0] != '"' {
			return b.String(), s, true
		}
		b.WriteByte('"')
		s = s[1:]
	}
}

func blank(fields []string) bool {
	for _, f := range fields {
		if clean(f) != "" {
			return false
		}
	}
	return true
}

// clean drops what programs leave around a value and nobody sees: blanks of all kinds, marks of writing direction, byte order
// marks.
func clean(s string) string {
	return strings.TrimFunc(s, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || unicode.IsControl(r)
	})
}

// decode makes text of the octets of a line. Octets that are no UTF-8 become U+FFFD.
func decode(b []byte, enc string) string {
	if enc != encoding1254 {
		return strings.ToValidUTF8(string(b), "\uFFFD")
	}
	var out strings.Builder
	out.Grow(len(b) + 8)
	for _, c := range b {
		out.WriteRune(charmap.Windows1254.DecodeByte(c)) // U+FFFD for octets that are not assigned
	}
	return out.String()
}
