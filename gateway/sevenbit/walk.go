package sevenbit

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"izinli/gateway/mail"
)

// Bounds of a message that is converted.
const (
	maxParts = 1000
	maxDepth = 50
)

// What cannot be converted.
var (
	ErrSealed        = errors.New("sevenbit: a signed part has 8-bit octets: to convert it would break its signature")
	ErrUnconvertible = errors.New("sevenbit: a part has 8-bit octets that cannot be encoded")
)

// kind is what a part is for the conversion.
type kind uint8

const (
	leaf   kind = iota // may be encoded
	branch             // multipart, or a message: what is in it is converted
	nested             // a message inside: its header follows
	opaque             // must neither be encoded nor looked into
	sealed             // opaque, because it is signed
)

// entity is what the header of a part says.
type entity struct {
	kind    kind
	media   string
	charset bool   // one is named
	cte     string // Content-Transfer-Encoding, lower case; "" and "7bit", "8bit", "binary" leave a body as it is
}

// identity reports whether the body stands there as it is.
func (e *entity) identity() bool {
	return e.cte == "" || e.cte == "7bit" || e.cte == "8bit" || e.cte == "binary"
}

// visitor is told of a message, part by part; parts are counted in the order of their headers. Lines carry their CRLF and are good
// until the call returns.
type visitor interface {
	header(part int, e *entity, head []byte) error // the whole header with its empty line, if it has one
	text(part int, line []byte) error              // a line of a leaf
	end(part int, delimited bool) error            // of a leaf; delimited: the CRLF of its last line belongs to the boundary that follows
	pass(k kind, line []byte) error                // a boundary (leaf), what stands around the parts (branch), a line of an opaque part
}

// enclosure is a multipart around the present place.
type enclosure struct {
	digest bool // its parts, not what is in those, are messages unless they say otherwise (RFC 2046 §5.1.5)
	depth  int  // messages around it
	shown  bool // a part of it has begun
	high   bool // before that there were octets above 127
}

// walker finds the parts of a message. It is fed line by line.
type walker struct {
	v          visitor
	boundaries []string    // of the parts that enclose the present place, the innermost last
	enclosures []enclosure // the same
	depth      int         // messages around the present place
	part       int         // the present one
	head       []byte
	heading    bool // in its header
	at         kind // of its body
}

func newWalker(v visitor) *walker { return &walker{v: v, part: -1} }

// begin starts the next part.
func (w *walker) begin() error {
	w.part++
	w.head, w.heading = w.head[:0], true
	if w.part >= maxParts {
		return ErrUnconvertible
	}
	return nil
}

// line takes the next line.
func (w *walker) line(l []byte) error {
	if at, closing := mail.Delimits(l, w.boundaries); at >= 0 {
		if err := w.finish(true); err != nil {
			return err
		}
		w.depth = w.enclosures[at].depth
		keep := at
		if !closing {
			w.enclosures[at].shown = true
			keep++
		}
		if err := w.leave(keep); err != nil {
			return err
		}
		if err := w.v.pass(leaf, l); err != nil {
			return err
		}
		if closing {
			w.at = branch
			return nil
		}
		return w.begin()
	}
	switch {
	case w.heading:
		if w.head = append(w.head, l...); len(w.head) > mail.MaxHeader {
			return ErrUnconvertible
		}
		if len(bytes.TrimRight(l, "\r\n")) == 0 {
			return w.headed()
		}
		return nil
	case w.at == leaf:
		return w.v.text(w.part, l)
	case w.at == branch && len(w.enclosures) > 0:
		in := &w.enclosures[len(w.enclosures)-1]
		in.high = in.high || !in.shown && mail.High(l)
	}
	return w.v.pass(w.at, l)
}

// leave goes out of all enclosures but the outermost n. What stands around the parts of a multipart nobody reads; of one without a part,
// whose boundary never came, readers show that as its text: such octets must not get lost.
func (w *walker) leave(n int) error {
	for i := n; i < len(w.enclosures); i++ {
		if in := &w.enclosures[i]; in.high && !in.shown {
			return ErrUnconvertible
		}
	}
	w.boundaries, w.enclosures = w.boundaries[:n], w.enclosures[:n]
	return nil
}

// close ends the message.
func (w *walker) close() error {
	if err := w.finish(false); err != nil {
		return err
	}
	return w.leave(0)
}

// finish ends what is under way, before a boundary or at the end of the message.
func (w *walker) finish(delimited bool) error {
	if w.heading {
		if err := w.headed(); err != nil {
			return err
		}
		if w.heading { // of a message inside that is not there
			w.heading = false
			w.part--
			return nil
		}
	}
	if w.at != leaf {
		return nil
	}
	w.at = branch
	return w.v.end(w.part, delimited)
}

// headed looks at a whole header.
func (w *walker) headed() error {
	w.heading = false
	e, boundary := w.read()
	if err := w.v.header(w.part, &e, w.head); err != nil {
		return err
	}
	if w.at = e.kind; w.at == nested {
		if w.depth++; w.depth > maxDepth {
			return ErrUnconvertible
		}
		return w.begin()
	}
	if boundary != "" {
		if len(w.boundaries) >= maxDepth {
			return ErrUnconvertible
		}
		w.boundaries = append(w.boundaries, boundary)
		w.enclosures = append(w.enclosures, enclosure{digest: e.media == "multipart/digest", depth: w.depth})
	}
	return nil
}

// read sorts a part by its header.
func (w *walker) read() (e entity, boundary string) {
	media, params := mail.ContentType(w.head)
	if n := len(w.enclosures); media == "" {
		if media = "text/plain"; n > 0 && w.enclosures[n-1].digest && w.enclosures[n-1].depth == w.depth {
			media = "message/rfc822"
		}
	}
	_, _, cte := mail.FindField(w.head, "Content-Transfer-Encoding")
	e = entity{media: media, charset: params["charset"] != "", cte: strings.ToLower(cte)}
	switch {
	case media == "multipart/signed":
		e.kind = sealed
	case strings.HasPrefix(media, "multipart/"):
		if boundary = params["boundary"]; boundary == "" || mail.High([]byte(boundary)) || !e.identity() {
			e.kind, boundary = opaque, ""
			break
		}
		e.kind = branch
	case media == "message/rfc822" || media == "message/news":
		if e.kind = nested; !e.identity() {
			e.kind = leaf // against RFC 2046 §5.2.1, and yet seen
		}
	case strings.HasPrefix(media, "message/") && !strings.HasPrefix(media, "message/global"): // those may be encoded (RFC 6532 §3.7)
		e.kind = opaque
	}
	return e, boundary
}

// walk feeds a message: its header, then its body, to the end.
func walk(v visitor, head mail.Header, body io.Reader) error {
	w := newWalker(v)
	if err := w.top(head); err != nil {
		return err
	}
	br := lines(body)
	for {
		l, err := br.ReadSlice('\n')
		if len(l) > 0 && (err == nil || errors.Is(err, io.EOF)) {
			if err := w.line(l); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return w.close()
		case err != nil:
			return err
		}
	}
}

// top feeds the header of the message.
func (w *walker) top(head mail.Header) error {
	if err := w.begin(); err != nil {
		return err
	}
	for i := range head {
		w.head = append(w.head, head[i].Raw...)
	}
	w.head = append(w.head, '\r', '\n')
	return w.headed()
}

// lines reads canonical lines, none of which is longer than the buffer.
func lines(r io.Reader) *bufio.Reader {
	return bufio.NewReaderSize(r, max(mail.BufferSize(r), 2*mail.MaxLine))
}
