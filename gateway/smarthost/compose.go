package smarthost

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"izinli/gateway/mail"
)

// Plan says how a stored message is to leave for one recipient.
type Plan struct {
	// Commercial mail carries List-Unsubscribe and List-Unsubscribe-Post (RFC 2369, RFC 8058) in place of any it came with.
	Commercial     bool
	UnsubscribeURL string // https; short: a folded URL has broken verifiers. Commercial mail needs this or UnsubscribeTo
	UnsubscribeTo  string // mailto address
	// FeedbackID is the opaque value mailbox providers group complaints by, campaign:brand:class:sender; empty: none.
	FeedbackID string
	Add        []mail.Field // further fields
	Keys       []*Key       // DKIM keys of the From domain; none: not signed here
}

// ErrNoUnsubscribe refuses commercial mail without a way to refuse it.
var ErrNoUnsubscribe = errors.New("smarthost: commercial mail needs an https unsubscribe URL or an address to write to")

// Composed is a message as it leaves.
type Composed struct {
	Size   int64       // octets
	UTF8   bool        // its header has octets above 127
	Header mail.Header // signatures first
	head   []byte
	rest   []byte                        // the body, of a message held whole
	open   func() (io.ReadCloser, error) // nil for a message held whole
}

// Compose reads a stored message and makes its header: private fields and blind copies go, unsubscribe fields come, the keys
// sign. The body stays untouched, so signatures it came with stay good. open yields the stored message from its beginning; it
// is called once here and once per [Composed.Open].
func Compose(open func() (io.ReadCloser, error), p Plan) (*Composed, error) {
	rc, err := open()
	if err != nil {
		return nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	defer rc.Close()
	br := bufio.NewReaderSize(mail.NewReader(rc, false), mail.BufferSize(rc))
	h, err := mail.ReadHeader(br)
	if err != nil {
		return nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	if h, err = p.header(h); err != nil {
		return nil, err
	}
	body := newRelaxedBody()
	if _, err = io.Copy(body, br); err != nil {
		return nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	c := &Composed{open: open}
	return c, c.finish(h, body, p.Keys)
}

// ComposeWhole is Compose of a message held whole, which must not change as long as the result is used. It is read once.
func ComposeWhole(raw []byte, p Plan) (*Composed, error) {
	h, rest, err := mail.Split(raw)
	if err != nil {
		return nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	if h, err = p.header(h); err != nil {
		return nil, err
	}
	body := &relaxedBody{size: int64(len(rest))}
	if len(p.Keys) > 0 {
		body = newRelaxedBody()
		_, _ = body.Write(rest) // it does not fail
	}
	c := &Composed{rest: rest}
	return c, c.finish(h, body, p.Keys)
}

// finish signs and writes the header.
func (c *Composed) finish(h mail.Header, body *relaxedBody, keys []*Key) error {
	if len(keys) > 0 {
		sigs, err := sign(h, body.sum(), keys, time.Now())
		if err != nil {
			return err
		}
		h = append(sigs, h...)
	}
	c.Header, c.head, c.UTF8 = h, h.Bytes(), h.NonASCII()
	c.Size = int64(len(c.head)) + body.size
	return nil
}

// header edits the fields.
func (p *Plan) header(h mail.Header) (mail.Header, error) {
	h = h.Without(func(name string) bool {
		return mail.Private(name) || p.Commercial && (strings.EqualFold(name, "List-Unsubscribe") || strings.EqualFold(name, "List-Unsubscribe-Post")) ||
			p.FeedbackID != "" && strings.EqualFold(name, "Feedback-ID")
	})
	if p.Commercial {
		var ways []string
		click := oneClick(p.UnsubscribeURL)
		if click {
			ways = append(ways, "<"+p.UnsubscribeURL+">")
		}
		if p.UnsubscribeTo != "" && !strings.ContainsAny(p.UnsubscribeTo, " <>\r\n,") {
			ways = append(ways, "<mailto:"+p.UnsubscribeTo+">")
		}
		if len(ways) == 0 || p.UnsubscribeURL != "" && !click {
			return nil, ErrNoUnsubscribe
		}
		h = h.With("List-Unsubscribe", strings.Join(ways, ", "))
		if click {
			h = h.With("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
		}
	}
	if p.FeedbackID != "" {
		h = h.With("Feedback-ID", p.FeedbackID)
	}
	return append(h, p.Add...), nil
}

// oneClick reports whether a URL can be posted to by a mailbox provider: https (RFC 8058 §3.1), or this very machine's, for
// demonstrations.
func oneClick(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || strings.ContainsAny(s, " <>\r\n,") {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && err == nil && a.IsLoopback()
}

// Open yields the message as it leaves.
func (c *Composed) Open() (io.ReadCloser, error) {
	if c.open == nil {
		return &whole{head: c.head, rest: c.rest}, nil
	}
	rc, err := c.open()
	if err != nil {
		return nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	br := bufio.NewReaderSize(mail.NewReader(rc, false), mail.BufferSize(rc))
	if _, err := mail.ReadHeader(br); err != nil { // the one it was stored with
		rc.Close()
		return nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(c.head), br), rc}, nil
}

// whole is a message in memory whose lines are known to be canonical. A transaction takes its two parts; Read is for others.
type whole struct{ head, rest []byte }

// Read implements io.Reader.
func (w *whole) Read(p []byte) (int, error) {
	if len(w.head) == 0 {
		w.head, w.rest = w.rest, nil
	}
	if len(w.head) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.head)
	w.head = w.head[n:]
	return n, nil
}

// Close implements io.Closer.
func (w *whole) Close() error { return nil }
