package smarthost

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"izinli/gateway/mail"
	"izinli/gateway/sevenbit"
)

// Plan says how a stored message is to leave for one recipient.
type Plan struct {
	// Commercial mail carries List-Unsubscribe and List-Unsubscribe-Post (RFC 2369, RFC 8058) in place of any it came with.
	Commercial     bool
	UnsubscribeURL string // https; short: a folded URL has broken verifiers. Commercial mail needs this or UnsubscribeTo
	UnsubscribeTo  string // mailto address
	// ReplyTo is where answers to commercial mail go that names no such address itself (RFC 5322 §3.6.2); empty: where the mail says.
	ReplyTo string
	// FeedbackID is the opaque value mailbox providers group complaints by, campaign:brand:class:sender; empty: none.
	FeedbackID string
	Add        []mail.Field // further fields
	Keys       []*Key       // DKIM keys of the From domain; none: not signed here
	Domain     string       // the From domain, lower case
	Rewritten  bool         // the texts are not as they came

	lower bool // 7-bit, whatever signatures it came with
}

// ErrNoUnsubscribe refuses commercial mail without a way to refuse it.
var ErrNoUnsubscribe = errors.New("smarthost: commercial mail needs an https unsubscribe URL or an address to write to")

// Composed is a message as it leaves.
type Composed struct {
	Size     int64       // octets
	UTF8     bool        // its header has octets above 127
	EightBit bool        // its body has
	Header   mail.Header // signatures first
	// Lower makes the message without such octets, for a host that does not take them; nil when there is no such form, or no need.
	Lower func() (*Composed, error)
	head  []byte
	rest  []byte                        // the body, of a message held whole
	body  func() (io.ReadCloser, error) // it otherwise
}

// Compose reads a stored message and makes its header: private fields and blind copies go, unsubscribe fields come, the keys
// sign. open yields the stored message from its beginning; it is called once here and once per [Composed.Open], and a few times more
// for an 8-bit message.
//
// Octets above 127 are encoded before that, so that no server on the way has to, which would break what was signed (RFC 6376 §5.3;
// package sevenbit). A message that came signed stays as it is, unless it was changed already, and so does one that cannot be encoded: then the host has to take such
// octets ([Composed.EightBit]), or is given [Composed.Lower].
func Compose(open func() (io.ReadCloser, error), p Plan) (*Composed, error) {
	c := &Composed{}
	c.body = func() (io.ReadCloser, error) {
		_, rc, err := opened(open)
		return rc, err
	}
	h, rc, err := opened(open)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if h, err = p.header(h); err != nil {
		return nil, err
	}
	body, err := hashed(rc)
	if err != nil {
		return nil, err
	}
	return c, c.finish(h, body, p, func(q Plan) (*Composed, error) { return Compose(open, q) })
}

// opened is a message: its header, and what follows.
func opened(open func() (io.ReadCloser, error)) (mail.Header, io.ReadCloser, error) {
	rc, err := open()
	if err != nil {
		return nil, nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	br := bufio.NewReaderSize(mail.NewReader(rc, false), mail.BufferSize(rc))
	h, err := mail.ReadHeader(br)
	if err != nil {
		rc.Close()
		return nil, nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	return h, readCloser{br, rc}, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

func hashed(r io.Reader) (*relaxedBody, error) {
	body := newRelaxedBody()
	if _, err := io.Copy(body, r); err != nil {
		return nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	return body, nil
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
	c := &Composed{rest: rest}
	return c, c.finish(h, c.hashedWhole(p.Keys), p, func(q Plan) (*Composed, error) { return ComposeWhole(raw, q) })
}

func (c *Composed) hashedWhole(keys []*Key) *relaxedBody {
	if len(keys) == 0 {
		return &relaxedBody{size: int64(len(c.rest)), high: mail.High(c.rest)}
	}
	body := newRelaxedBody()
	_, _ = body.Write(c.rest) // it does not fail
	return body
}

// finish encodes what has to be, signs and writes the header.
func (c *Composed) finish(h mail.Header, body *relaxedBody, p Plan, again func(Plan) (*Composed, error)) (err error) {
	h = p.unbroken(h, p.Rewritten)
	switch eight := body.high || h.NonASCII(); {
	case eight && (p.lower || p.Rewritten || h.Count("DKIM-Signature") == 0):
		if h, body, err = c.encode(h, body, p.Keys); err != nil {
			return err
		}
		h = p.unbroken(h, true)
	case eight:
		p.lower = true
		c.Lower = func() (*Composed, error) { return again(p) }
	}
	if len(p.Keys) > 0 {
		sigs, err := sign(h, body.sum(), p.Keys, time.Now())
		if err != nil {
			return err
		}
		h = append(sigs, h...)
	}
	c.Header, c.head, c.UTF8, c.EightBit = h, h.Bytes(), h.NonASCII(), body.high
	c.Size = int64(len(c.head)) + body.size
	return nil
}

// unbroken drops the signatures of the From domain that do not hold any more, where we sign for that domain instead: they would tell
// its readers of tampering. Those of others are none of ours to take away (RFC 6376 §4.2), nor is one we put nothing in the place of.
func (p *Plan) unbroken(h mail.Header, rewritten bool) mail.Header {
	if len(p.Keys) == 0 || h.Count("DKIM-Signature") == 0 {
		return h
	}
	out := make(mail.Header, 0, len(h))
	for _, f := range h {
		if s, ok := f.Signature(); !ok || !s.Aligned(p.Domain) || !rewritten && !slices.ContainsFunc(s.Fields, p.edits) {
			out = append(out, f)
		}
	}
	return out
}

// edits reports whether the header leaves with another field of that name than it came with.
func (p *Plan) edits(name string) bool {
	return p.drops(name) || p.ReplyTo != "" && strings.EqualFold(name, "Reply-To") ||
		slices.ContainsFunc(p.Add, func(f mail.Field) bool { return strings.EqualFold(f.Name, name) })
}

// drops reports whether fields of that name go, as private ones do and those in whose place ours stand.
func (p *Plan) drops(name string) bool {
	return mail.Private(name) || p.Commercial && (strings.EqualFold(name, "List-Unsubscribe") || strings.EqualFold(name, "List-Unsubscribe-Post")) ||
		p.FeedbackID != "" && strings.EqualFold(name, "Feedback-ID")
}

// encode makes the message 7-bit as far as that can be.
func (c *Composed) encode(h mail.Header, body *relaxedBody, keys []*Key) (mail.Header, *relaxedBody, error) {
	if low, err := sevenbit.Lower(h); err == nil {
		h = low
	}
	if !body.high {
		return h, body, nil
	}
	plan, err := c.inspect(h)
	if errors.Is(err, sevenbit.ErrSealed) || errors.Is(err, sevenbit.ErrUnconvertible) {
		return h, body, nil
	} else if err != nil {
		return nil, nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	if c.body == nil {
		low, r, err := plan.Apply(h, bytes.NewReader(c.rest))
		if err != nil {
			return nil, nil, fmt.Errorf("smarthost: compose: %w", err)
		}
		out := bytes.NewBuffer(make([]byte, 0, len(c.rest)+len(c.rest)/4+bytes.MinRead))
		if _, err = out.ReadFrom(r); err != nil {
			return nil, nil, fmt.Errorf("smarthost: compose: %w", err)
		}
		c.rest = out.Bytes()
		return low, c.hashedWhole(keys), nil
	}
	rc, err := c.body()
	if err != nil {
		return nil, nil, err
	}
	defer rc.Close()
	low, r, err := plan.Apply(h, rc)
	if err != nil {
		return nil, nil, fmt.Errorf("smarthost: compose: %w", err)
	}
	was := c.body
	c.body = func() (io.ReadCloser, error) {
		rc, err := was()
		if err != nil {
			return nil, err
		}
		_, r, err := plan.Apply(h, rc)
		if err != nil {
			rc.Close()
			return nil, fmt.Errorf("smarthost: compose: %w", err)
		}
		return readCloser{r, rc}, nil
	}
	body, err = hashed(r)
	return low, body, err
}

// inspect plans how the body becomes 7-bit.
func (c *Composed) inspect(h mail.Header) (*sevenbit.Plan, error) {
	if c.body == nil {
		return sevenbit.Inspect(h, bytes.NewReader(c.rest))
	}
	rc, err := c.body()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return sevenbit.Inspect(h, rc)
}

// header edits the fields.
func (p *Plan) header(h mail.Header) (mail.Header, error) {
	sealed := func(name string) bool { // by others, and we have no signature to put in the place of theirs
		return len(p.Keys) == 0 && slices.ContainsFunc(h.Signatures(), func(s mail.Signature) bool { return s.Covers(name) })
	}
	if p.FeedbackID != "" && sealed("Feedback-ID") {
		p.FeedbackID = "" // not worth their signature
	}
	if p.ReplyTo != "" && (!p.Commercial || h.Count("Reply-To") > 0 || sealed("Reply-To")) {
		p.ReplyTo = "" // nor is this, signed as absent
	}
	h = h.Without(p.drops)
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
	if p.ReplyTo != "" {
		h = h.With("Reply-To", "<"+p.ReplyTo+">")
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
	if c.body == nil {
		return &whole{head: c.head, rest: c.rest}, nil
	}
	rc, err := c.body()
	if err != nil {
		return nil, err
	}
	return readCloser{io.MultiReader(bytes.NewReader(c.head), rc), rc}, nil
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
