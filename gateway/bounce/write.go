package bounce

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"izinli/gateway/mail"
)

// Notification is a DSN we owe a submitter (RFC 3461 §6, RFC 3464).
type Notification struct {
	Reporting  string    // our name
	From       string    // our address in the header; the envelope sender of a DSN is always the null one
	To         string    // envelope sender of the message; never empty
	EnvelopeID string    // ENVID as the client gave it
	Arrival    time.Time // of the message
	Now        time.Time
	Original   mail.Header // of the message, which is returned
	Whole      []byte      // the message itself, of canonical lines, in the place of its header (RET=FULL)
	Recipients []Status
}

// Status is one recipient of a notification.
type Status struct {
	Address    string
	ORcpt      string // type;address as the client gave it
	Action     string // ActionFailed …
	Status     string // enhanced code
	Remote     string // host that answered; empty: we decided
	Diagnostic string // "smtp; 550 …" without the type; empty: Reason alone
	DiagType   string // its type (RFC 3464 §2.3.6); default smtp
	Reason     string // one sentence for a person
	RetryUntil time.Time
}

// ErrNoAddressee refuses a notification to the null sender: a DSN is never answered by a DSN (RFC 5321 §6.1).
var ErrNoAddressee = errors.New("bounce: a notification needs an addressee")

// Bytes writes the notification as a whole mail.
func (n *Notification) Bytes() ([]byte, error) {
	if n.To == "" || len(n.Recipients) == 0 {
		return nil, ErrNoAddressee
	}
	boundary := "=_" + strings.ToLower(rand.Text())
	const date = "Mon, 02 Jan 2006 15:04:05 -0700"
	subject, intro := n.subject()
	var h mail.Header
	h = h.With("From", "Mail Delivery System <"+n.From+">").With("To", "<"+n.To+">").With("Subject", subject).
		With("Date", n.Now.Format(date)).With("Message-ID", "<"+strings.ToLower(rand.Text())+"@"+n.Reporting+">").
		With("Auto-Submitted", "auto-replied").With("MIME-Version", "1.0").
		With("Content-Type", `multipart/report; report-type=delivery-status; boundary="`+boundary+`"`)
	var b bytes.Buffer
	b.Write(h.Bytes())

	part := func(kind string) { fmt.Fprintf(&b, "--%s\r\nContent-Type: %s\r\n", boundary, kind) }
	part("text/plain; charset=utf-8")
	b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n")
	var t strings.Builder
	t.WriteString(intro + "\r\n\r\n")
	for _, r := range n.Recipients {
		fmt.Fprintf(&t, "<%s>: %s\r\n", line(r.Address), line(r.Reason))
	}
	base64Lines(&b, t.String())

	part("message/delivery-status")
	b.WriteString("\r\n")
	b.Write(bytes.TrimSuffix(mail.Header{mail.NewField("Reporting-MTA", "dns; "+n.Reporting)}.Bytes(), []byte("\r\n")))
	optional(&b, "Original-Envelope-Id", n.EnvelopeID)
	if !n.Arrival.IsZero() {
		optional(&b, "Arrival-Date", n.Arrival.Format(date))
	}
	for _, r := range n.Recipients {
		b.WriteString("\r\n")
		if kind, addr, ok := strings.Cut(r.ORcpt, ";"); ok {
			optional(&b, "Original-Recipient", kind+"; "+addr)
		}
		optional(&b, "Final-Recipient", "rfc822; "+r.Address)
		optional(&b, "Action", r.Action)
		optional(&b, "Status", r.Status)
		if r.Remote != "" {
			optional(&b, "Remote-MTA", "dns; "+r.Remote)
		}
		if r.Diagnostic != "" {
			optional(&b, "Diagnostic-Code", cmp.Or(r.DiagType, "smtp")+"; "+r.Diagnostic)
		}
		if !r.RetryUntil.IsZero() {
			optional(&b, "Will-Retry-Until", r.RetryUntil.Format(date))
		}
	}
	b.WriteString("\r\n")
	if n.Whole != nil {
		part("message/rfc822")
		if mail.High(n.Whole) {
			b.WriteString("Content-Transfer-Encoding: 8bit\r\n")
		}
		b.WriteString("\r\n")
		b.Write(n.Whole)
		if !bytes.HasSuffix(n.Whole, []byte("\r\n")) {
			b.WriteString("\r\n")
		}
	} else {
		part("text/rfc822-headers")
		b.WriteString("\r\n")
		b.Write(n.Original.Without(mail.Private).Bytes())
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	return b.Bytes(), nil
}

// subject and opening sentence, by the worst that happened.
func (n *Notification) subject() (subject, intro string) {
	has := map[string]bool{}
	for _, r := range n.Recipients {
		has[r.Action] = true
	}
	switch {
	case has[ActionFailed]:
		return "Undelivered Mail Returned to Sender", "Your message could not be delivered to the recipients below. / İletiniz aşağıdaki alıcılara teslim edilemedi."
	case has[ActionDelayed]:
		return "Delayed Mail (still being retried)", "Your message is delayed; you need not send it again. / İletiniz gecikti; yeniden göndermeniz gerekmez."
	}
	return "Successful Mail Delivery Report", "Your message was delivered to the recipients below. / İletiniz aşağıdaki alıcılara teslim edildi."
}

// optional writes a field of the delivery status, whose octets are all ASCII (RFC 3464 §2.1), whatever a server said.
func optional(b *bytes.Buffer, name, value string) {
	if value != "" {
		b.Write(mail.NewField(name, mail.ASCII(value)).Raw)
	}
}

func line(s string) string { return strings.Join(strings.Fields(s), " ") }

// base64Lines writes lines of 76 characters (RFC 2045 §6.8).
func base64Lines(b *bytes.Buffer, s string) {
	e := base64.StdEncoding.EncodeToString([]byte(s))
	for len(e) > 0 {
		n := min(76, len(e))
		b.WriteString(e[:n] + "\r\n")
		e = e[n:]
	}
}
