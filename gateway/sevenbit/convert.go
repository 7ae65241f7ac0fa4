package sevenbit

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"izinli/gateway/mail"
)

// Apply converts the message the plan was made for: its header at once, its body as it is read. Fields that cannot be lowered
// ([Lower]) stay as they are; they need SMTPUTF8.
func (p *Plan) Apply(head mail.Header, body io.Reader) (mail.Header, io.Reader, error) {
	c := &converter{plan: p, br: lines(body)}
	c.w = newWalker(c)
	if err := c.w.top(plain(head)); err != nil {
		return nil, nil, err
	}
	h, rest, err := mail.Split(c.out)
	if err != nil || len(rest) > 0 {
		return nil, nil, errors.Join(ErrUnconvertible, err)
	}
	c.out = nil
	return h, c, nil
}

// converter is a visitor that writes the message anew.
type converter struct {
	plan *Plan
	w    *walker
	br   *bufio.Reader
	out  []byte // not read yet
	at   int    // from here
	err  error

	act  act
	b64  base64Lines
	held bool // the CRLF of the last line of base64 content is not encoded yet
}

// Read implements io.Reader.
func (c *converter) Read(p []byte) (int, error) {
	for c.at == len(c.out) {
		if c.err != nil {
			return 0, c.err
		}
		c.out, c.at = c.out[:0], 0
		c.err = c.next()
	}
	n := copy(p, c.out[c.at:])
	c.at += n
	return n, nil
}

// next converts a line.
func (c *converter) next() error {
	l, err := c.br.ReadSlice('\n')
	if len(l) > 0 && (err == nil || errors.Is(err, io.EOF)) {
		if err := c.w.line(l); err != nil {
			return fmt.Errorf("sevenbit: the message is not the one the plan was made for: %w", err)
		}
	}
	if errors.Is(err, io.EOF) {
		if err := c.w.close(); err != nil {
			return fmt.Errorf("sevenbit: the message is not the one the plan was made for: %w", err)
		}
	}
	return err
}

func (c *converter) header(part int, e *entity, head []byte) error {
	if part >= len(c.plan.acts) {
		return ErrUnconvertible
	}
	c.act, c.held, c.b64 = c.plan.acts[part], false, base64Lines{}
	head = bytes.Clone(head)
	var err error
	if part > 0 && mail.High(head) {
		if head, err = lowerBlock(head); err != nil {
			return err
		}
	}
	switch c.act {
	case relabel:
		head = set(head, "Content-Transfer-Encoding", "7bit")
	case quote:
		if !e.charset && e.media == "text/plain" {
			if from, _, _ := mail.FindField(head, "Content-Type"); from < 0 {
				head = set(head, "Content-Type", "text/plain; charset="+charsetOf(c.plan.utf8[part]))
			}
		}
		head = set(head, "Content-Transfer-Encoding", "quoted-printable")
	case base:
		head = set(head, "Content-Transfer-Encoding", "base64")
	}
	if from, _, _ := mail.FindField(head, "MIME-Version"); part == 0 && from < 0 && c.plan.encodes {
		head = set(head, "MIME-Version", "1.0")
	}
	c.out = append(c.out, head...)
	return nil
}

// charsetOf labels a text that says nothing of its character set.
func charsetOf(isUTF8 bool) string {
	if isUTF8 {
		return "utf-8"
	}
	return mail.GuessedCharset
}

// set gives a header block a field, in the place of one of that name or at its end.
func set(head []byte, name, value string) []byte {
	line := []byte(name + ": " + value + "\r\n")
	from, to, _ := mail.FindField(head, name)
	if from < 0 {
		from = len(head)
		if bytes.HasSuffix(head, []byte("\r\n\r\n")) || len(head) == 2 {
			from -= 2 // before the empty line
		}
		to = from
	}
	return append(head[:from:from], append(line, head[to:]...)...)
}

func (c *converter) text(_ int, line []byte) error {
	switch c.act {
	case quote:
		c.out = appendQuoted(c.out, line, false)
	case mend:
		c.out = appendQuoted(c.out, line, true)
	case base:
		if c.held {
			c.out = c.b64.append(c.out, crlf)
		}
		text, ended := bytes.CutSuffix(line, crlf)
		c.out, c.held = c.b64.append(c.out, text), ended
	case strip:
		for _, b := range line {
			if b < 128 {
				c.out = append(c.out, b)
			}
		}
	default:
		c.out = append(c.out, line...)
	}
	return nil
}

func (c *converter) end(_ int, delimited bool) error {
	if c.act != base {
		return nil
	}
	if c.held && !delimited {
		c.out = c.b64.append(c.out, crlf)
	}
	c.out = c.b64.end(c.out)
	return nil
}

func (c *converter) pass(_ kind, line []byte) error {
	at := len(c.out)
	c.out = append(c.out, line...)
	for i := at; i < len(c.out); i++ {
		if c.out[i] > 127 {
			c.out[i] = '?'
		}
	}
	return nil
}

var crlf = []byte("\r\n")
