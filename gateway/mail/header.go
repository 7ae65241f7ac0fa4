package mail

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	netmail "net/mail"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
)

// Bounds of a header block.
const (
	MaxHeader = 256 << 10 // octets
	MaxFields = 1000
)

// What ReadHeader refuses.
var (
	ErrHeaderTooLarge  = errors.New("mail: header too large")
	ErrMalformedHeader = errors.New("mail: malformed header field")
)

// Field is one header field as it stood on the wire: folded, with its last CRLF.
type Field struct {
	Name string // as written
	Raw  []byte
}

// Value is what stands behind the colon, unfolded, without blanks around it (RFC 5322 §2.2.3).
func (f Field) Value() string {
	_, v, _ := strings.Cut(string(f.Raw), ":")
	return strings.Trim(unfold.Replace(v), " \t")
}

var unfold = strings.NewReplacer("\r\n", "")

// Header is a header block: fields in their order.
type Header []Field

// ReadHeader takes the header block and the empty line behind it off r, which yields canonical lines (see [NewReader]). A
// message may end with its header. The error is ErrHeaderTooLarge, ErrMalformedHeader (a line without a name, a continuation
// without a field) or that of r.
func ReadHeader(r *bufio.Reader) (Header, error) {
	var h Header
	size := 0
	for {
		line, err := readLine(r)
		if err != nil && (!errors.Is(err, io.EOF) || len(line) > 0) {
			return nil, err
		}
		if size += len(line); size > MaxHeader {
			return nil, ErrHeaderTooLarge
		}
		if len(line) == 0 || string(line) == "\r\n" {
			return h, nil
		}
		if line[0] == ' ' || line[0] == '\t' {
			if len(h) == 0 {
				return nil, ErrMalformedHeader
			}
			last := &h[len(h)-1]
			last.Raw = append(last.Raw, line...)
			continue
		}
		name, ok := fieldName(line)
		if !ok {
			return nil, ErrMalformedHeader
		}
		if len(h) >= MaxFields {
			return nil, ErrHeaderTooLarge
		}
		h = append(h, Field{Name: nameText(name), Raw: line})
	}
}

// usual are the names most fields have, so that reading them makes no new ones.
var usual = func() map[string]string {
	m := map[string]string{}
	for _, n := range [...]string{"From", "To", "Cc", "Subject", "Date", "Message-ID", "Message-Id", "MIME-Version", "Mime-Version", "Content-Type",
		"Content-Transfer-Encoding", "Content-Disposition", "Reply-To", "Sender", "Received", "Return-Path", "In-Reply-To", "References", "User-Agent",
		"X-Mailer", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID", "Precedence", "DKIM-Signature"} {
		m[n] = n
	}
	return m
}()

func nameText(b []byte) string {
	if s, ok := usual[string(b)]; ok {
		return s
	}
	return string(b)
}

// readLine returns the next line with its CRLF, a copy. Lines of a strict reader fit the smallest buffer; others are refused.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, ErrLineTooLong
	case err != nil:
		return bytes.Clone(line), err
	case !bytes.HasSuffix(line, []byte("\r\n")):
		return nil, ErrBareNewline
	}
	return bytes.Clone(line), nil
}

// validName: printable US-ASCII without the colon (RFC 5322 §2.2).
func validName(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c > '~' || c == ':' {
			return false
		}
	}
	return len(b) > 0
}

// Count tells how many fields have the name, in any case.
func (h Header) Count(name string) (n int) {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			n++
		}
	}
	return n
}

// Get returns the value of the first field of that name, "" without one.
func (h Header) Get(name string) string {
	for i := range h {
		if strings.EqualFold(h[i].Name, name) {
			return h[i].Value()
		}
	}
	return ""
}

// Without returns the header without the fields for which drop answers true. The receiver is not changed.
func (h Header) Without(drop func(name string) bool) Header {
	out := make(Header, 0, len(h)+4)
	for _, f := range h {
		if !drop(f.Name) {
			out = append(out, f)
		}
	}
	return out
}

// With returns the header with one field more, at its end. CR, LF and NUL in the value become blanks, so that no value can
// carry a second field; long values are folded at blanks.
func (h Header) With(name, value string) Header { return append(h, NewField(name, value)) }

// foldAt is where lines are folded (RFC 5322 §2.1.1: 78 octets without the CRLF).
const foldAt = 78

// NewField makes a field; see [Header.With].
func NewField(name, value string) Field {
	if strings.ContainsAny(value, "\r\n\x00") {
		value = strings.Join(strings.FieldsFunc(value, func(r rune) bool { return r == '\r' || r == '\n' || r == 0 }), " ")
	}
	var b bytes.Buffer
	b.Grow(len(name) + len(value) + len(value)/32 + 8)
	b.WriteString(name)
	b.WriteByte(':')
	col := b.Len()
	for word := range strings.FieldsSeq(value) {
		if col > len(name)+2 && col+1+len(word) > foldAt {
			b.WriteString("\r\n")
			col = 0
		}
		b.WriteByte(' ')
		b.WriteString(word)
		col += 1 + len(word)
	}
	b.WriteString("\r\n")
	return Field{Name: name, Raw: b.Bytes()}
}

// Bytes is the block as it goes on the wire, with the empty line at its end.
func (h Header) Bytes() []byte {
	n := 2
	for i := range h {
		n += len(h[i].Raw)
	}
	return h.Append(make([]byte, 0, n))
}

// Append is Bytes behind dst.
func (h Header) Append(dst []byte) []byte {
	for i := range h {
		dst = append(dst, h[i].Raw...)
	}
	return append(dst, '\r', '\n')
}

// Clone copies the fields out of the buffer they were read in.
func (h Header) Clone() Header {
	out := make(Header, len(h))
	for i := range h {
		out[i] = Field{Name: h[i].Name, Raw: bytes.Clone(h[i].Raw)}
	}
	return out
}

// NonASCII reports whether a field holds octets above 127, which only SMTPUTF8 may carry (RFC 6532).
func (h Header) NonASCII() bool {
	for i := range h {
		if High(h[i].Raw) {
			return true
		}
	}
	return false
}

var words = mime.WordDecoder{CharsetReader: charset.Reader}

// Text decodes the encoded words of a value (RFC 2047); what cannot be decoded stays as it is.
func Text(value string) string {
	if s, err := words.DecodeHeader(value); err == nil {
		return s
	}
	return value
}

// Addresses reads an address list (RFC 5322 §3.4), groups included, and returns the addresses without display names.
func Addresses(value string) ([]string, error) {
	p := netmail.AddressParser{WordDecoder: &words}
	list, err := p.ParseList(value)
	if err != nil {
		return nil, ErrMalformedHeader
	}
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.Address
	}
	return out, nil
}

// GuessedCharset is what octets are taken for that say nothing of their character set and are not UTF-8: Turkish mail.
const GuessedCharset = "windows-1254"

// ToUTF8 makes UTF-8 of octets that say nothing of their character set.
func ToUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	r, err := charset.Reader(GuessedCharset, strings.NewReader(s))
	if err == nil {
		if b, err := io.ReadAll(r); err == nil {
			s = string(b)
		}
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
