package mail

import (
	"bufio"
	"errors"
	"io"
)

// MaxLine is the longest line in octets without its CRLF (RFC 5321 §4.5.3.1.6).
const MaxLine = 998

// What the strict reader refuses.
var (
	// ErrBareNewline refuses a CR without LF behind it or an LF without CR before it (RFC 5321 §2.3.8). Two servers that
	// disagree about such ends of line disagree about where a message ends: SMTP smuggling.
	ErrBareNewline = errors.New("mail: bare CR or LF in message data")
	ErrNUL         = errors.New("mail: NUL in message data")
	ErrLineTooLong = errors.New("mail: line longer than 998 octets")
)

// Reader passes canonical message data: every line ends in CRLF, no line is longer than [MaxLine], no octet is NUL. Once it has
// refused something it keeps refusing.
type Reader struct {
	src       *bufio.Reader
	normalise bool
	line      int  // octets of the present line
	pending   byte // an octet owed to the caller, 0 for none
	ended     bool // the source is at its end
	err       error
	n         int64
}

// NewReader returns a reader over r. With normalise a bare CR or LF becomes CRLF, for old servers known by address; nothing
// else is let through. A last line without an end gets one, as BDAT allows messages that lack it.
func NewReader(r io.Reader, normalise bool) *Reader {
	return &Reader{src: bufio.NewReaderSize(r, BufferSize(r)), normalise: normalise}
}

// BufferSize is how large a buffer for reading r should be: no larger than what r has left, where it says so.
func BufferSize(r io.Reader) int {
	const most = 16 << 10
	if l, ok := r.(interface{ Len() int }); ok {
		return min(most, max(2<<10, l.Len()+1))
	}
	return most
}

// Size is how many octets were passed on.
func (r *Reader) Size() int64 { return r.n }

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (n int, err error) {
	for n < len(p) && r.err == nil {
		if r.pending != 0 {
			p[n] = r.pending
			r.pending = 0
			n++
			continue
		}
		if k := r.run(p[n:]); k > 0 {
			n += k
			continue
		}
		if n > 0 && r.src.Buffered() == 0 && !r.ended {
			break // hand over what there is instead of waiting for the peer
		}
		c, ok := r.next()
		if !ok {
			break
		}
		p[n] = c
		n++
	}
	r.n += int64(n)
	if n > 0 {
		return n, nil
	}
	return 0, r.err
}

// run passes on what is buffered up to the next octet that has to be looked at.
func (r *Reader) run(p []byte) int {
	b, _ := r.src.Peek(min(r.src.Buffered(), len(p), MaxLine-r.line))
	k := 0
	for k < len(b) && (b[k] > '\r' || b[k] != 0 && b[k] != '\n' && b[k] != '\r') {
		k++
	}
	copy(p, b[:k])
	_, _ = r.src.Discard(k)
	r.line += k
	return k
}

// next yields one octet; ok is false once r.err is set.
func (r *Reader) next() (c byte, ok bool) {
	c, err := r.src.ReadByte()
	if err != nil {
		return r.end(err)
	}
	switch c {
	case 0:
		r.err = ErrNUL
		return 0, false
	case '\r':
		peek, err := r.src.Peek(1)
		if err == nil && peek[0] == '\n' {
			_, _ = r.src.Discard(1)
		} else if err != nil && !errors.Is(err, io.EOF) {
			r.err = err
			return 0, false
		} else if !r.normalise {
			r.err = ErrBareNewline
			return 0, false
		}
	case '\n':
		if !r.normalise {
			r.err = ErrBareNewline
			return 0, false
		}
	default:
		if r.line++; r.line > MaxLine {
			r.err = ErrLineTooLong
			return 0, false
		}
		return c, true
	}
	r.line, r.pending = 0, '\n'
	return '\r', true
}

func (r *Reader) end(err error) (byte, bool) {
	if errors.Is(err, io.EOF) && r.line > 0 {
		r.line, r.pending, r.ended = 0, '\n', true
		return '\r', true
	}
	r.err = err
	return 0, false
}
