package intake

import (
	"errors"
	netmail "net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/inbound/keyword"
	"izinli/gateway/mail"
	"izinli/gateway/template"
)

// Bounds of a mail given as texts; a whole mail (Submission.Body) has those of its door.
const (
	maxMailText = 512 << 10 // octets of text and html together: they stand in the batch record
	maxSubject  = 998       // octets (RFC 5322 §2.1.1)
)

// letter is the mail of a submission: its templates, or nothing when the body came whole.
type letter struct {
	subject, text, html template.Template
	fixed               bool
	words               []string // promotional words of a fixed transactional mail, signs included
	signs               []string // fields of bulk mail in a transactional one
}

// mailSender resolves the sender of a mail: an address whose domain, or which itself, is approved for the account. Our own
// notifications come from our own domain.
func (d *draft) mailSender() error {
	from := d.sub.From
	if from == "" {
		from = d.cred.From
	}
	d.batch.From = from
	if d.sub.Door == gateway.DoorSystem {
		d.batch.Brand = d.sub.Brand
		return nil
	}
	parsed, err := netmail.ParseAddress(from)
	if err != nil {
		return d.policy(gateway.CodeSender, "from", "from %q is not a mail address such as Örnek <bulten@example.com>", from)
	}
	addr, err := address.ParseMailbox(parsed.Address)
	if err != nil {
		return d.policy(gateway.CodeSender, "from", "from %q is not a mail address such as Örnek <bulten@example.com>", from)
	}
	s := d.dir.SenderOfMail(d.acct.ID, string(addr))
	if s == nil {
		_, domain := addr.Split()
		return d.policy(gateway.CodeSender, "from", "sender domain %q is not approved for this account", domain)
	}
	if strings.ContainsFunc(parsed.Name, unicode.IsControl) {
		return d.policy(gateway.CodeSender, "from", "the name in from contains control characters")
	}
	d.batch.From = (&netmail.Address{Name: parsed.Name, Address: string(addr)}).String()
	d.batch.Brand = s.Brand
	return nil
}

// mailText checks what concerns the mail as a whole.
func (d *draft) mailText() error {
	b, s := d.batch, d.sub
	b.Headers = s.Headers
	if s.Body.ID != "" {
		b.Body = gateway.BodyRef{ID: s.Body.ID, Size: s.Body.Size}
		d.letter.fixed = true
		return nil
	}
	if d.unwritten() {
		d.letter.fixed = true
		return nil
	}
	b.Subject, b.HTML = s.Subject, s.HTML
	switch {
	case strings.TrimSpace(s.Subject) == "":
		return gateway.Refuse(gateway.CodeInvalid, "subject", "a mail needs a subject")
	case len(s.Subject) > maxSubject || strings.ContainsFunc(s.Subject, unicode.IsControl):
		return gateway.Refuse(gateway.CodeInvalid, "subject", "the subject is one line of at most %d octets", maxSubject)
	case strings.TrimSpace(s.Text) == "" && strings.TrimSpace(s.HTML) == "":
		return gateway.Refuse(gateway.CodeEmptyText, "text", "a mail needs text, html or both")
	case len(s.Text)+len(s.HTML) > maxMailText:
		return gateway.Refuse(gateway.CodeTooLarge, "html", "text and html together take at most %d KiB", maxMailText>>10)
	case !utf8.ValidString(s.Subject) || !utf8.ValidString(s.Text) || !utf8.ValidString(s.HTML):
		return gateway.Refuse(gateway.CodeInvalid, "text", "texts are UTF-8")
	}
	if err := d.mailHeaders(); err != nil {
		return err
	}
	d.letter = letter{subject: template.Parse(s.Subject), text: template.Parse(s.Text), html: template.Parse(s.HTML)}
	l := &d.letter
	l.fixed = l.subject.Fixed() && l.text.Fixed() && l.html.Fixed()
	l.signs = d.bulkSigns(d.headerValue)
	if l.fixed {
		l.words = append(d.mailWords(s.Subject, s.Text, s.HTML), l.signs...)
	}
	return nil
}

// unwritten reports whether the door asks about a recipient before it has seen the message (SMTP RCPT).
func (d *draft) unwritten() bool {
	return d.sub.Door == gateway.DoorSMTP && d.sub.DryRun && d.sub.Text == "" && d.sub.Subject == ""
}

// mailed reports whether an SMS came as a mail: what SMTP said beside it is kept, for notifications.
func (d *draft) mailed() bool {
	return d.sub.Door == gateway.DoorSMTP && d.batch.Channel == gateway.ChannelSMS
}

// marks are the envelope marks of a recipient (package mail).
func marks(vars []gateway.Var) (out []gateway.Var) {
	for i := range vars {
		if strings.HasPrefix(vars[i].Name, ":") {
			out = append(out, vars[i])
		}
	}
	return out
}

// mailHeaders checks what goes into the header as the caller wrote it: no value may begin a second field.
func (d *draft) mailHeaders() error {
	if r := d.sub.ReplyTo; r != "" {
		a, err := netmail.ParseAddress(r)
		if err == nil {
			_, err = address.ParseMailbox(a.Address)
		}
		if err != nil || strings.ContainsFunc(r, unicode.IsControl) {
			return gateway.Refuse(gateway.CodeInvalid, "replyTo", "replyTo %q is not a mail address", r)
		}
		d.batch.ReplyTo = a.String()
	}
	for name, value := range d.sub.Headers {
		if strings.HasPrefix(name, ":") && (d.sub.Door == gateway.DoorSMTP || d.sub.Door == gateway.DoorSystem) {
			continue // an envelope mark
		}
		if !mail.ValidName(name) || mail.Private(name) || strings.ContainsFunc(value, unicode.IsControl) {
			return gateway.Refuse(gateway.CodeInvalid, "headers", "header %q cannot be set", name)
		}
	}
	return nil
}

// headerValue is a field the caller asked for, in any case of its name.
func (d *draft) headerValue(name string) string {
	for k, v := range d.sub.Headers {
		if strings.EqualFold(k, name) {
			return v
		}
	}
	return ""
}

// mailWords finds advertising words in what a person reads.
func (d *draft) mailWords(parts ...string) []string {
	if d.batch.Class != gateway.ClassTransactional || d.acct.Policy.Promotional == "off" {
		return nil
	}
	return keyword.Promotional(strings.Join(parts, "\n"), nil)
}

// reserved is filled in at hand-off, so no recipient brings it.
var reserved = gateway.Var{Name: mail.VarUnsubscribe, Value: "https://"}

// mailRecipient judges the i-th recipient of a mail.
func (d *draft) mailRecipient(to *gateway.Destination, v *gateway.Verdict) (gateway.Recipient, []string, bool) {
	addr, err := address.ParseMailbox(to.Address)
	if err != nil {
		v.Code, v.Text = gateway.CodeBadAddress, gateway.CodeBadAddress.Wire().Title
		return gateway.Recipient{}, nil, false
	}
	v.To = string(addr)
	r := gateway.Recipient{Address: string(addr), Ref: to.Ref, Segments: 1}
	l, words := &d.letter, d.letter.words
	if !l.fixed {
		vars := append(to.Vars[:len(to.Vars):len(to.Vars)], reserved)
		rendered := make([]string, 0, 3)
		for _, t := range []*template.Template{&l.subject, &l.text, &l.html} {
			text, err := t.Render(vars)
			if err != nil {
				v.Code, v.Text = gateway.CodeTemplateVariable, gateway.CodeTemplateVariable.Wire().Title
				var m *template.MissingError
				if errors.As(err, &m) {
					v.Text = "the mail names variable \"" + m.Name + "\", which this recipient lacks"
				}
				return r, nil, false
			}
			rendered = append(rendered, text)
		}
		words = append(d.mailWords(rendered...), l.signs...)
	}
	r.Vars = d.mailVars(to)
	return r, words, true
}

// mailVars keeps the variables the templates name, and what SMTP said of the recipient.
func (d *draft) mailVars(to *gateway.Destination) (out []gateway.Var) {
	for i := range to.Vars {
		one := to.Vars[i : i+1]
		mark := strings.HasPrefix(one[0].Name, ":") && d.sub.Door == gateway.DoorSMTP
		l := &d.letter
		if mark || len(l.subject.Used(one))+len(l.text.Used(one))+len(l.html.Used(one)) > 0 {
			out = append(out, one[0])
		}
	}
	return out
}

// suppressed reports whether mail to an address came back for good, which stops it whatever the class: nobody is there.
func (d *draft) suppressed(r *gateway.Recipient) bool {
	return d.batch.Channel == gateway.ChannelEmail && d.in.cfg.Suppressed != nil && d.in.cfg.Suppressed(d.acct.ID, r.Address)
}
