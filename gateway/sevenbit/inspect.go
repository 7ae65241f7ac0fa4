package sevenbit

import (
	"io"
	"strings"
	"unicode/utf8"

	"izinli/gateway/mail"
)

// act is what is done with a part.
type act uint8

const (
	keep    act = iota
	relabel     // 7bit in place of 8bit and binary
	quote       // quoted-printable
	base        // base64
	mend        // quoted-printable with raw octets in it: those are encoded
	strip       // base64 with octets in it that no decoder looks at (RFC 2045 §6.8)
)

// Plan says what becomes of each part of a message.
type Plan struct {
	acts []act
	utf8 []bool // of texts without a charset

	encodes bool // a part will say so in its header
}

// Inspect reads a message, of canonical lines, and plans its conversion. The error is [ErrSealed], [ErrUnconvertible] or that of body.
func Inspect(head mail.Header, body io.Reader) (*Plan, error) {
	p := &inspector{}
	if err := walk(p, plain(head), body); err != nil {
		return nil, err
	}
	return &p.Plan, nil
}

// plain is a header whose octets, where they can be, are all below 128.
func plain(h mail.Header) mail.Header {
	if low, err := Lower(h); err == nil {
		return low
	}
	return h
}

// inspector sees a message for the first time.
type inspector struct {
	Plan
	e       entity // of the present leaf
	high    bool   // it has raw octets
	invalid bool   // which are not UTF-8
}

func (p *inspector) header(part int, e *entity, head []byte) error {
	if part > 0 && mail.High(head) {
		if _, err := lowerBlock(head); err != nil {
			return ErrUnconvertible
		}
	}
	a := keep
	if e.cte == "8bit" || e.cte == "binary" {
		a = relabel
	}
	if e.kind == sealed || e.kind == opaque {
		a = keep
	}
	p.acts, p.utf8 = append(p.acts, a), append(p.utf8, false)
	p.e, p.high, p.invalid = *e, false, false
	return nil
}

func (p *inspector) text(_ int, line []byte) error {
	p.high = p.high || mail.High(line)
	p.invalid = p.invalid || !utf8.Valid(line) // no character spans two lines
	return nil
}

func (p *inspector) end(part int, _ bool) error {
	if !p.high {
		return nil
	}
	switch {
	case p.e.identity() && strings.HasPrefix(p.e.media, "text/"):
		p.acts[part], p.utf8[part], p.encodes = quote, !p.invalid, true
	case p.e.identity():
		p.acts[part], p.encodes = base, true
	case p.e.cte == "quoted-printable":
		p.acts[part] = mend
	case p.e.cte == "base64":
		p.acts[part] = strip
	default:
		return ErrUnconvertible
	}
	return nil
}

func (p *inspector) pass(k kind, line []byte) error {
	switch {
	case !mail.High(line) || k == branch: // what stands around the parts nobody reads
		return nil
	case k == sealed:
		return ErrSealed
	}
	return ErrUnconvertible
}
