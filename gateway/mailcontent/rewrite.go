package mailcontent

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime/quotedprintable"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"

	"izinli/gateway/mail"
)

// Bounds of what is read of a mail.
const (
	maxText  = 2 << 20 // octets of one text
	maxParts = 200
	maxDepth = 20
	maxHead  = 256 << 10 // octets of a part's header
)

// What a check and Rewrite refuse.
var (
	ErrSealed     = errors.New("mailcontent: the mail is signed or encrypted as a whole: it cannot be changed")
	ErrNoText     = errors.New("mailcontent: the mail has no text a footer could stand below")
	ErrUnreadable = errors.New("mailcontent: a text of the mail cannot be read: unknown character set or encoding, or too long")
	errTooDeep    = errors.New("mailcontent: too many parts")
)

// Finding is what a check finds.
type Finding struct {
	Missing []string // what the texts lack, each once
	Linked  bool     // a text names the recipient's link
	Head    []byte   // the header of the mail, as it stands there
}

// Check reads a mail to its end and says what its texts lack. The error is one of those above, or that of r.
func (d Details) Check(r io.Reader) (Finding, error) {
	return d.check(&rewriter{br: bufio.NewReaderSize(r, 16<<10)})
}

// CheckWhole is Check of a mail held whole.
func (d Details) CheckWhole(raw []byte) (Finding, error) {
	return d.check(&rewriter{raw: raw})
}

func (d Details) check(rw *rewriter) (f Finding, err error) {
	texts := 0
	rw.edit = func(text string, markup bool) string {
		texts++
		f.Linked = f.Linked || Linked(text)
		for _, m := range d.Missing(text, markup) {
			if !slices.Contains(f.Missing, m) {
				f.Missing = append(f.Missing, m)
			}
		}
		return text
	}
	rw.bw = bufio.NewWriterSize(io.Discard, 16)
	if err = rw.run(); err == nil && texts == 0 {
		err = ErrNoText
	}
	f.Head = rw.top
	return f, err
}

// Texts reads a mail to its end and shows what a person reads of it, without markup. What cannot be read is passed over; the error is
// that of r.
func Texts(r io.Reader, see func(text string)) error {
	rw := &rewriter{br: bufio.NewReaderSize(r, 16<<10), bw: bufio.NewWriterSize(io.Discard, 16)}
	rw.edit = func(text string, markup bool) string {
		if markup {
			see(plain(text))
		} else {
			see(text)
		}
		return text
	}
	err := rw.run()
	if errors.Is(err, ErrSealed) || errors.Is(err, ErrUnreadable) || errors.Is(err, errTooDeep) {
		return nil
	}
	return err
}

// Edit is what is written into a mail for one recipient.
type Edit struct {
	Details
	Leave  string // his link, which stands for {{unsubscribe_url}}
	Footer bool   // the details go below every text that lacks something
}

// Rewrite copies a mail and edits its texts.
func (e Edit) Rewrite(r io.Reader, w io.Writer) error {
	return rewrite(r, w, func(text string, markup bool) string {
		if e.Footer {
			return e.Complete(text, markup, e.Leave)
		}
		return Fill(text, markup, e.Leave)
	})
}

// rewriter copies a mail line by line and lets edit change the texts a person reads.
type rewriter struct {
	br    *bufio.Reader // nil for a mail held whole
	raw   []byte        // what is left of one
	bw    *bufio.Writer
	edit  func(text string, markup bool) string
	parts int
	top   []byte // the header of the mail
}

func rewrite(r io.Reader, w io.Writer, edit func(string, bool) string) error {
	rw := &rewriter{br: bufio.NewReaderSize(r, 16<<10), bw: bufio.NewWriterSize(w, 16<<10), edit: edit}
	return rw.run()
}

func (rw *rewriter) run() error {
	if _, err := rw.entity(nil, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return rw.bw.Flush()
}

// line reads a line with its end, good until the next one is read; io.EOF comes alone.
func (rw *rewriter) line() ([]byte, error) {
	if rw.br == nil {
		n := mail.LineLen(rw.raw)
		if n == 0 {
			return nil, io.EOF
		}
		l := rw.raw[:n:n]
		rw.raw = rw.raw[n:]
		return l, nil
	}
	b, err := rw.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		var rest []byte
		b = bytes.Clone(b)
		rest, err = rw.br.ReadBytes('\n')
		b = append(b, rest...)
	}
	if len(b) > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}

// copyUntil passes lines on up to one of the boundaries, which it returns, or to the end (nil).
func (rw *rewriter) copyUntil(ends []string) ([]byte, error) {
	for {
		l, err := rw.line()
		if errors.Is(err, io.EOF) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		if at, _ := mail.Delimits(l, ends); at >= 0 {
			return l, nil
		}
		if _, err := rw.bw.Write(l); err != nil {
			return nil, err
		}
	}
}

// entity handles one part from its header on and returns the boundary that ended it, nil for the end of the mail.
func (rw *rewriter) entity(ends []string, depth int) (end []byte, err error) {
	if rw.parts++; rw.parts > maxParts || depth > maxDepth {
		return nil, errTooDeep
	}
	head, end, err := rw.head(ends)
	if depth == 0 {
		rw.top = head
	}
	if err != nil || end != nil {
		_, werr := rw.bw.Write(head)
		return end, errors.Join(err, werr)
	}
	media, params := mail.ContentType(head)
	if media == "" {
		media = "text/plain"
	}
	switch {
	case mail.Sealed(media):
		return nil, ErrSealed
	case strings.HasPrefix(media, "multipart/") && params["boundary"] != "":
		if _, err := rw.bw.Write(head); err != nil {
			return nil, err
		}
		return rw.multipart(append(ends[:len(ends):len(ends)], params["boundary"]), depth)
	case (media == "text/plain" || media == "text/html") && !attached(head):
		return rw.text(head, media, params["charset"], ends)
	}
	if _, err := rw.bw.Write(head); err != nil {
		return nil, err
	}
	return rw.copyUntil(ends)
}

// multipart handles the parts; its own boundary is the last of ends.
func (rw *rewriter) multipart(ends []string, depth int) ([]byte, error) {
	own := len(ends) - 1
	l, err := rw.copyUntil(ends)
	for {
		if err != nil || l == nil {
			return nil, err
		}
		at, closing := mail.Delimits(l, ends)
		if at != own {
			return l, nil // an outer part ended first: this one was cut short
		}
		if _, err := rw.bw.Write(l); err != nil {
			return nil, err
		}
		if closing {
			return rw.copyUntil(ends[:own])
		}
		l, err = rw.entity(ends, depth+1)
	}
}

// head reads a header with its empty line; a boundary instead of one ends the part.
func (rw *rewriter) head(ends []string) (head, end []byte, err error) {
	if len(rw.raw) > 0 {
		head = make([]byte, 0, min(len(rw.raw), 1<<10))
	}
	for {
		l, err := rw.line()
		if errors.Is(err, io.EOF) {
			return head, nil, err
		} else if err != nil {
			return head, nil, err
		}
		if at, _ := mail.Delimits(l, ends); at >= 0 {
			return head, l, nil
		}
		if head = append(head, l...); len(head) > maxHead {
			return nil, nil, errTooDeep
		}
		if len(bytes.TrimRight(l, "\r\n")) == 0 {
			return head, nil, nil
		}
	}
}

func attached(head []byte) bool {
	_, _, v := mail.FindField(head, "Content-Disposition")
	kind, _, _ := strings.Cut(strings.ToLower(v), ";")
	return strings.TrimSpace(kind) == "attachment"
}

// textOf takes a text up to one of the boundaries, which it returns, or to the end.
func (rw *rewriter) textOf(ends []string) (text, end []byte, err error) {
	from := rw.raw
	for {
		l, err := rw.line()
		if errors.Is(err, io.EOF) {
			return text, nil, nil
		} else if err != nil {
			return nil, nil, err
		}
		if at, _ := mail.Delimits(l, ends); at >= 0 {
			return text, l, nil
		}
		if rw.br == nil {
			n := len(text) + len(l)
			text = from[:n:n]
		} else {
			text = append(text, l...)
		}
		if len(text) > maxText {
			return nil, nil, ErrUnreadable
		}
	}
}

// text holds one text, lets edit see it and writes it, as it was when nothing changed.
func (rw *rewriter) text(head []byte, media, set string, ends []string) ([]byte, error) {
	raw, end, err := rw.textOf(ends)
	if err != nil {
		return nil, err
	}
	text, err := decode(head, raw, set)
	if err != nil {
		return nil, err
	}
	out := rw.edit(text, media == "text/html")
	if out != text {
		head = reHead(head, media)
		var b bytes.Buffer
		q := quotedprintable.NewWriter(&b)
		_, _ = q.Write([]byte(out)) // a buffer takes everything
		_ = q.Close()
		if raw = b.Bytes(); !bytes.HasSuffix(raw, []byte("\r\n")) {
			raw = append(raw, "\r\n"...)
		}
	}
	if _, err := rw.bw.Write(head); err != nil {
		return nil, err
	}
	_, err = rw.bw.Write(raw)
	return end, err
}

// decode undoes transfer encoding and character set.
func decode(head, raw []byte, set string) (string, error) {
	_, _, cte := mail.FindField(head, "Content-Transfer-Encoding")
	b, err := raw, error(nil)
	switch strings.ToLower(cte) {
	case "", "7bit", "8bit", "binary":
	case "quoted-printable":
		b, err = io.ReadAll(quotedprintable.NewReader(bytes.NewReader(raw)))
	case "base64":
		b, err = io.ReadAll(base64.NewDecoder(base64.StdEncoding, &lineless{bytes.NewReader(raw)}))
	default:
		return "", ErrUnreadable
	}
	if err != nil {
		return "", ErrUnreadable
	}
	set = strings.ToLower(set)
	if set == "" || set == "us-ascii" || set == "utf-8" || set == "utf8" {
		if utf8.Valid(b) {
			return string(b), nil
		}
		set = mail.GuessedCharset
	}
	cr, err := charset.Reader(set, bytes.NewReader(b))
	if err != nil {
		return "", ErrUnreadable
	}
	if b, err = io.ReadAll(cr); err != nil {
		return "", ErrUnreadable
	}
	return strings.ToValidUTF8(string(b), "\uFFFD"), nil
}

// lineless drops what stands between the lines of base64.
type lineless struct{ r io.Reader }

func (l *lineless) Read(p []byte) (int, error) {
	for {
		n, err := l.r.Read(p)
		k := 0
		for _, c := range p[:n] {
			if c != '\r' && c != '\n' && c != ' ' && c != '\t' {
				p[k] = c
				k++
			}
		}
		if k > 0 || err != nil {
			return k, err
		}
	}
}

// reHead gives a header the type and encoding of a changed text.
func reHead(head []byte, media string) []byte {
	for _, f := range [...]struct{ name, value string }{{"Content-Type", media + "; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"}} {
		line := []byte(f.name + ": " + f.value + "\r\n")
		if from, to, _ := mail.FindField(head, f.name); from >= 0 {
			head = append(head[:from:from], append(line, head[to:]...)...)
			continue
		}
		end := bytes.LastIndexByte(bytes.TrimSuffix(head, []byte("\n")), '\n') + 1 // the empty line
		head = append(head[:end:end], append(line, head[end:]...)...)
	}
	if from, _, _ := mail.FindField(head, "MIME-Version"); from < 0 && !bytes.HasPrefix(bytes.ToLower(head), []byte("content-")) {
		if has, _, _ := mail.FindField(head, "From"); has >= 0 { // the mail's own header
			head = append([]byte("MIME-Version: 1.0\r\n"), head...)
		}
	}
	return head
}
