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
	open   func() (io.ReadCloser, error)
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
	var size int64
	if len(p.Keys) > 0 {
		var sigs []mail.Field
		if sigs, size, err = sign(h, br, p.Keys); err != nil {
			return nil, err
		}
		h = append(sigs, h...)
	} else if size, err = io.Copy(io.Discard, br); err != nil {
		return nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	head := h.Bytes()
	return &Composed{Size: int64(len(head)) + size, UTF8: h.NonASCII(), Header: h, head: head, open: open}, nil
}

// header edits the fields.
func (p *Plan) header(h mail.Header) (mail.Header, error) {
	h = h.Without(func(name string) bool {
		n := strings.ToLower(name)
		return mail.Private(name) || p.Commercial && (n == "list-unsubscribe" || n == "list-unsubscribe-post") || p.FeedbackID != "" && n == "feedback-id"
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
