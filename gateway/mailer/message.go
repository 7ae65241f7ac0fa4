package mailer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	netmail "net/mail"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/gateway/mail"
	"izinli/gateway/mailcontent"
	"izinli/gateway/smarthost"
	"izinli/gateway/template"
)

// unfit is a message that no attempt will make fit to be sent.
type unfit struct{ err error }

func (e unfit) Error() string { return e.err.Error() }
func (e unfit) Unwrap() error { return e.err }

// message makes what leaves of one message: body, header, signatures, envelope.
func (m *Manager) message(ctx context.Context, out *dispatch.Outgoing) (*smarthost.Message, error) {
	b, r := out.Batch, out.Recipient
	p := smarthost.Plan{Commercial: b.Class == gateway.ClassCommercial}
	click := ""
	if p.Commercial {
		if m.cfg.Unsubscribe != nil {
			click = m.cfg.Unsubscribe(out.ID, b, r.Address)
		}
		p.UnsubscribeURL, p.UnsubscribeTo = click, m.cfg.VERP.Leave(out.ID)
		if a := m.store.Directory().Accounts[b.Account]; a != nil && a.Policy.RefusalReplies {
			p.ReplyTo = m.cfg.VERP.Address(out.ID)
		}
		p.FeedbackID = fmt.Sprintf("%s:%s:%s:izinli", b.Ref(), b.Brand, b.Class)
	}
	src, err := m.source(ctx, out, click)
	if err != nil {
		return nil, err
	}
	p.Domain = domainOf(addressOf(b.From))
	p.Rewritten = b.Headers[mail.MarkFooter] != "" || b.Headers[mail.MarkLink] != ""
	if p.Keys, err = m.keys.of(m.store, b.Account, p.Domain); err != nil {
		return nil, err
	}
	c, err := src.compose(p)
	if err != nil {
		return nil, err
	}
	n, orcpt := notify(r)
	msg := &smarthost.Message{From: m.cfg.VERP.Address(out.ID), To: []smarthost.Recipient{{Addr: r.Address, Notify: n, ORcpt: orcpt}},
		Body: c.Open, Size: c.Size, UTF8: c.UTF8, EightBit: c.EightBit, Lower: c.Lower, EnvID: out.ID.String(), Return: "HDRS"}
	if b.Door == gateway.DoorSystem { // a notification is never answered by another (RFC 5321 §6.1)
		msg.From = ""
		msg.To[0].Notify = "NEVER"
	}
	return msg, nil
}

func addressOf(from string) string {
	if a, err := netmail.ParseAddress(from); err == nil {
		return a.Address
	}
	return from
}

// source is a mail before it is composed: held whole, or read from its store each time.
type source struct {
	whole []byte
	open  func() (io.ReadCloser, error) // nil when whole holds it
}

func (s source) compose(p smarthost.Plan) (c *smarthost.Composed, err error) {
	if s.open == nil {
		c, err = smarthost.ComposeWhole(s.whole, p)
	} else {
		c, err = smarthost.Compose(s.open, p)
	}
	for _, never := range [...]error{smarthost.ErrNoUnsubscribe, mail.ErrMalformedHeader, mail.ErrHeaderTooLarge, mail.ErrBareNewline, mail.ErrNUL, mail.ErrLineTooLong} {
		if errors.Is(err, never) {
			return nil, unfit{err}
		}
	}
	return c, err
}

// source yields the mail as it is stored, or as its templates make it for this recipient.
func (m *Manager) source(ctx context.Context, out *dispatch.Outgoing, click string) (s source, err error) {
	b := out.Batch
	if click == "" {
		click = "mailto:" + m.cfg.VERP.Leave(out.ID)
	}
	if b.Body.ID == "" {
		if s.whole, err = m.letter(out, click); err != nil {
			return s, unfit{err}
		}
		return s, nil
	}
	if b.Body.Size > cacheBody {
		s.open = func() (io.ReadCloser, error) { return m.cfg.Bodies.Open(ctx, b.Body) }
	} else if s.whole, err = m.bodies.get(ctx, m.cfg.Bodies, b); err != nil {
		return s, err
	}
	if b.Headers[mail.MarkFooter] == "" && b.Headers[mail.MarkLink] == "" {
		return s, nil
	}
	return m.rewritten(s, b, click)
}

// letter renders the templates.
func (m *Manager) letter(out *dispatch.Outgoing, click string) ([]byte, error) {
	b := out.Batch
	vars := append(out.Recipient.Vars[:len(out.Recipient.Vars):len(out.Recipient.Vars)], gateway.Var{Name: mail.VarUnsubscribe, Value: click})
	l := mail.Letter{From: b.From, To: out.Recipient.Address, ReplyTo: b.ReplyTo, Headers: b.Headers, Date: dated(b),
		MessageID: out.ID.String() + "@" + m.cfg.Domain, Bulk: b.Class == gateway.ClassCommercial}
	var err error
	if l.Subject, err = render(b.Subject, vars, false); err != nil {
		return nil, err
	}
	if l.Text, err = render(b.Text, vars, false); err != nil {
		return nil, err
	}
	if l.HTML, err = render(b.HTML, vars, true); err != nil {
		return nil, err
	}
	if b.Headers[mail.MarkFooter] != "" {
		d := m.details(b)
		l.Text, l.HTML = d.Complete(l.Text, false, click), d.Complete(l.HTML, true, click)
	}
	return l.Bytes(), nil
}

// dated is when a mail was put into final form, which its Date tells (RFC 5322 §3.6.1): when it was accepted, or the time it was meant
// for. It is the same at every attempt.
func dated(b *gateway.Batch) time.Time {
	at := b.Created()
	if b.SendAt.After(at) {
		at = b.SendAt.In(at.Location())
	}
	return at
}

// details are what mail of the batch's brand says of its sender.
func (m *Manager) details(b *gateway.Batch) mailcontent.Details {
	dir := m.store.Directory()
	return mailcontent.DetailsOf(dir.Accounts[b.Account], dir.BrandOf(b.Account, b.Brand))
}

// rewritten is a stored mail with the recipient's link where its texts name it, and the sender's details below them where the account
// wants that. A small one is written once, a large one streams each time it is read.
func (m *Manager) rewritten(s source, b *gateway.Batch, click string) (source, error) {
	edit := mailcontent.Edit{Details: m.details(b), Leave: click, Footer: b.Headers[mail.MarkFooter] != ""}
	if s.open == nil {
		var out bytes.Buffer
		if err := edit.Rewrite(bytes.NewReader(s.whole), &out); err != nil {
			return s, unfit{err}
		}
		return source{whole: out.Bytes()}, nil
	}
	return source{open: func() (io.ReadCloser, error) {
		rc, err := s.open()
		if err != nil {
			return nil, err
		}
		pr, pw := io.Pipe()
		go func() {
			defer rc.Close()
			pw.CloseWithError(edit.Rewrite(rc, pw)) // ends with the reader: a closed pipe fails the write
		}()
		return pr, nil
	}}, nil
}

// render fills a template; in HTML values are escaped, so that nobody's name becomes markup.
func render(text string, vars []gateway.Var, markup bool) (string, error) {
	t := template.Parse(text)
	if t.Fixed() {
		return text, nil
	}
	if markup {
		vars = escaped(vars)
	}
	return t.Render(vars)
}

// cacheSize is how many octets of bodies are kept: the recipients of one message leave at about the same time.
const (
	cacheSize = 32 << 20
	cacheBody = 1 << 20 // larger bodies stream
)

// bodyCache keeps the bodies used last.
type bodyCache struct {
	mu    sync.Mutex
	order []string          // oldest first; guarded by mu
	byID  map[string][]byte // guarded by mu
	size  int               // guarded by mu
}

// get returns the body of a batch, which nobody changes. That of a single recipient is not kept: nobody else needs it.
func (c *bodyCache) get(ctx context.Context, st gateway.BodyStore, b *gateway.Batch) ([]byte, error) {
	c.mu.Lock()
	raw, ok := c.byID[b.Body.ID]
	c.mu.Unlock()
	if ok {
		return raw, nil
	}
	rc, err := st.Open(ctx, b.Body)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	if w, ok := rc.(interface{ Whole() []byte }); ok {
		raw = w.Whole()
	} else if raw, err = readSized(rc, b.Body.Size); err != nil {
		return nil, err
	}
	if b.Count > 1 {
		c.put(b.Body.ID, raw)
	}
	return raw, nil
}

// readSized is io.ReadAll of what has about the given size.
func readSized(r io.Reader, size int64) ([]byte, error) {
	buf := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead)) // with the room its last, empty read asks for
	_, err := buf.ReadFrom(r)
	return buf.Bytes(), err
}

func (c *bodyCache) put(id string, raw []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byID == nil {
		c.byID = map[string][]byte{}
	}
	if _, twice := c.byID[id]; twice {
		return
	}
	c.byID[id], c.order, c.size = raw, append(c.order, id), c.size+len(raw)
	for c.size > cacheSize {
		c.size -= len(c.byID[c.order[0]])
		delete(c.byID, c.order[0])
		c.order = c.order[1:]
	}
}
