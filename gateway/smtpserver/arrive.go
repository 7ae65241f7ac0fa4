package smtpserver

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"sync"

	"izinli/gateway/mail"
)

// Nearly every message is small. One that ends within wholeSize is read into a buffer that is used again, looked at once and never
// streamed; a larger one streams from there on.
const (
	wholeSize = 64 << 10 // octets
	readBlock = 16 << 10 // what one read may wait for: see paced
)

var arrivals = sync.Pool{New: func() any {
	b := make([]byte, 0, readBlock)
	return &b
}}

// arrived is a message whose header was read. Header and body lie in its buffer: they are good until free.
type arrived struct {
	head mail.Header
	rest []byte    // what follows the header, of a message held whole
	more io.Reader // what follows the header, of one that streams; nil otherwise
	buf  *[]byte
}

// arrive reads a message as far as it must. The error is one of package mail's or that of body.
func arrive(body io.Reader, normalise bool) (*arrived, error) {
	a := &arrived{buf: arrivals.Get().(*[]byte)}
	raw, whole, err := fill((*a.buf)[:0], body)
	*a.buf = raw
	if err == nil && whole {
		a.head, a.rest, err = mail.Split(raw)
	}
	switch {
	case err == nil && whole:
		return a, nil
	case err != nil && !(whole && normalise):
		a.free()
		return nil, err
	}
	src := io.Reader(bytes.NewReader(raw))
	if !whole {
		src = io.MultiReader(src, body)
	}
	br := bufio.NewReaderSize(mail.NewReader(src, normalise), readBlock)
	a.more = br
	if a.head, err = mail.ReadHeader(br); err != nil {
		a.free()
		return nil, err
	}
	return a, nil
}

// fill reads up to wholeSize octets and more, or to the end, which whole tells.
func fill(buf []byte, r io.Reader) (_ []byte, whole bool, err error) {
	for len(buf) <= wholeSize {
		if len(buf) == cap(buf) {
			buf = append(make([]byte, 0, 2*cap(buf)), buf...)
		}
		n, err := r.Read(buf[len(buf):min(cap(buf), len(buf)+readBlock)])
		buf = buf[:len(buf)+n]
		if errors.Is(err, io.EOF) {
			return buf, true, nil
		} else if err != nil {
			return buf, false, err
		}
	}
	return buf, false, nil
}

// body is what follows the header.
func (a *arrived) body() io.Reader {
	if a.more != nil {
		return a.more
	}
	return bytes.NewReader(a.rest)
}

// under is the message with another header, from its beginning.
func (a *arrived) under(head mail.Header) io.Reader {
	if a.more != nil {
		return io.MultiReader(bytes.NewReader(head.Bytes()), a.more)
	}
	at := len(*a.buf)
	*a.buf = append(head.Append(*a.buf), a.rest...)
	return bytes.NewReader((*a.buf)[at:])
}

// free gives the buffer back.
func (a *arrived) free() {
	*a.buf = (*a.buf)[:0]
	arrivals.Put(a.buf)
}
