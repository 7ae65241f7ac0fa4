package smtpserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-smtp"

	"izinli/gateway"
	"izinli/gateway/mail"
)

// Data implements smtp.Session, for DATA and BDAT alike.
func (s *session) Data(r io.Reader) error {
	tx := s.transaction()
	if tx == nil || len(tx.to) == 0 || s.guard.turns.broken.Load() {
		return reply(503, "5.5.1", "No valid recipients")
	}
	s.guard.setBusy(true)
	defer s.guard.setBusy(false)
	_, chunked := r.(*io.PipeReader)
	if !chunked {
		r = s.guard.promptly(r)
	}
	body := &whole{r: &paced{r: r, conn: s.conn.Conn(), cfg: &s.srv.cfg, start: time.Now()}, there: func() bool {
		return !chunked || stillThere(s.conn, s.guard)
	}}
	normalise := tx.peer != nil && tx.peer.Normalise
	var err error
	if tx.kind == kindInbox {
		err = s.deliver(tx, mail.NewReader(body, normalise))
	} else {
		err = s.accept(tx, body, normalise)
	}
	var ok *smtp.SMTPError
	if err != nil && (!errors.As(err, &ok) || ok.Code != 250) {
		s.srv.tally.refused("DATA", err)
		s.log.Info("message refused", "err", err)
		if errors.Is(err, errSlow) || errors.Is(err, errAhead) {
			s.guard.hangUp()
		}
	}
	return err
}

// whole passes the end of a body on only while its client is there: see stillThere.
type whole struct {
	r     io.Reader
	there func() bool
}

func (w *whole) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if errors.Is(err, io.EOF) && !w.there() {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// deliver hands mail for ourselves to the Inbox.
func (s *session) deliver(tx *transaction, body io.Reader) error {
	in := Incoming{From: tx.from, RemoteIP: s.guard.from, Helo: s.helo, TLS: s.secure,
		Body: &beginning{r: body, left: s.srv.cfg.MaxInbox}}
	for _, r := range tx.to {
		in.To = append(in.To, r.addr)
	}
	if err := s.srv.deps.Inbox.Deliver(s.ctx, in); err != nil {
		return replyOfData(err)
	}
	s.srv.tally.inbox()
	return nil
}

// beginning ends at its bound, with the rest of the mail read and dropped: a bounce may return the whole message, and what it says stands
// in front of that. The end is told only once all of the mail was there, as it should be.
type beginning struct {
	r    io.Reader
	left int64
}

func (b *beginning) Read(p []byte) (int, error) {
	if b.left <= 0 {
		if _, err := io.Copy(io.Discard, b.r); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// capped fails beyond its bound.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, gateway.Refuse(gateway.CodeTooLarge, "", "")
	}
	return n, err
}

// accept takes a message of a principal: header, orders, body, Submit. The answer is 250 with the batch, or a refusal.
func (s *session) accept(tx *transaction, body io.Reader, normalise bool) error {
	msg, err := arrive(body, normalise)
	if err != nil {
		return replyOfData(err)
	}
	defer msg.free()
	head := msg.head
	if head.Count("Received") > s.srv.cfg.MaxHops {
		return errLoop
	}
	sub := s.submission(tx, tx.kind)
	if err := s.orders(tx, head, sub); err != nil {
		return replyOf(err)
	}
	s.addressees(tx, sub)
	clean := head.Without(mail.Private)
	if tx.kind == kindSMS {
		sub.Headers[mail.MarkHead] = clean.Quoted()
		return s.acceptSMS(tx, sub, head, msg.body())
	}
	if sub.From, err = s.author(tx, head); err != nil {
		return replyOf(err)
	}
	clean = s.traced(clean, tx)
	sub.Headers[mail.MarkHead] = clean.Quoted()
	ref, err := s.srv.deps.Bodies.Put(s.ctx, msg.under(clean))
	if err != nil {
		return replyOfData(err)
	}
	sub.Body = ref
	res, err := s.srv.deps.Submit.Submit(s.ctx, sub)
	if err != nil || res.Accepted == 0 {
		s.forget(ref)
	}
	if err != nil {
		return replyOf(err)
	}
	return s.answer(sub, res)
}

// forget deletes a body nobody will send. The session may be over, so the act has a context of its own.
func (s *session) forget(ref gateway.BodyRef) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 10*time.Second)
	defer cancel()
	if err := s.srv.deps.Bodies.Delete(ctx, ref); err != nil {
		s.log.Warn("body not deleted", "err", err) // the sweep of orphans will
	}
}

// orders fills class, brand, recipient type and reason from the private headers of a trusted sender. A header cannot widen what
// the credential permits, nor change the class recipients were judged by at RCPT.
func (s *session) orders(tx *transaction, head mail.Header, sub *gateway.Submission) error {
	sub.Class = tx.class
	if !tx.trusted {
		if sub.Class == "" {
			sub.Class = tx.principal.Credential.Class("")
		}
		return nil
	}
	for _, name := range []string{mail.HeaderClass, mail.HeaderBrand, mail.HeaderRecipientType, mail.HeaderReason, mail.HeaderSMSSender} {
		if head.Count(name) > 1 {
			return gateway.Refuse(gateway.CodeInvalid, name, "header %s appears more than once", name)
		}
	}
	class := strings.ToLower(head.Get(mail.HeaderClass))
	switch {
	case class != "" && !gateway.ValidClass(class):
		return gateway.Refuse(gateway.CodeInvalid, mail.HeaderClass, "%s must be commercial, transactional or otp", mail.HeaderClass)
	case class != "" && !tx.principal.Credential.Allows(class), class != "" && tx.class != "" && class != tx.class:
		return gateway.Refuse(gateway.CodeClassNotAllowed, mail.HeaderClass, "")
	case tx.class == "":
		sub.Class = tx.principal.Credential.Class(class)
	}
	sub.Brand = head.Get(mail.HeaderBrand)
	sub.Reason = strings.ToLower(head.Get(mail.HeaderReason))
	switch t := strings.ToUpper(head.Get(mail.HeaderRecipientType)); t {
	case "", gateway.RecipientIndividual, gateway.RecipientMerchant:
		sub.RecipientType = t
	default:
		return gateway.Refuse(gateway.CodeInvalid, mail.HeaderRecipientType, "%s must be BIREYSEL or TACIR", mail.HeaderRecipientType)
	}
	if sub.Reason != "" && !gateway.ValidReason(sub.Reason) {
		return gateway.Refuse(gateway.CodeReason, mail.HeaderReason, "")
	}
	return nil
}

// addressees fills the recipients and what SMTP said beside the message.
func (s *session) addressees(tx *transaction, sub *gateway.Submission) {
	sub.Headers = map[string]string{mail.MarkFrom: tx.from}
	if tx.opts.EnvelopeID != "" {
		sub.Headers[mail.MarkEnvID] = tx.opts.EnvelopeID
	}
	if tx.opts.Return != "" {
		sub.Headers[mail.MarkReturn] = string(tx.opts.Return)
	}
	if tx.opts.UTF8 {
		sub.Headers[mail.MarkUTF8] = "1"
	}
	for i := range tx.to {
		r := &tx.to[i]
		sub.To = append(sub.To, gateway.Destination{Address: r.addr, Vars: r.vars()})
		if len(r.notify) == 0 { // RFC 3461 §4.1: failure is told unless the client says otherwise
			sub.Receipt |= gateway.ReceiptFailure
		}
		for _, n := range r.notify {
			switch n {
			case smtp.DSNNotifySuccess:
				sub.Receipt |= gateway.ReceiptSuccess
			case smtp.DSNNotifyFailure:
				sub.Receipt |= gateway.ReceiptFailure
			}
		}
	}
}

// author finds who the message says it is from: one From field, every address of it on an approved domain of the account. A
// message that could be read two ways (two From, two To …, RFC 5322 §3.6) is refused.
func (s *session) author(tx *transaction, head mail.Header) (string, error) {
	for _, once := range []string{"From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID"} {
		if head.Count(once) > 1 {
			return "", reply(550, "5.6.0", "Header field "+once+" appears more than once")
		}
	}
	list, err := mail.Addresses(head.Get("From"))
	if err != nil || len(list) == 0 {
		return "", reply(550, "5.6.0", "The message needs one well-formed From field")
	}
	if v := head.Get("Sender"); v != "" {
		more, err := mail.Addresses(v)
		if err != nil {
			return "", errHeader
		}
		list = append(list, more...)
	}
	first := ""
	for i, raw := range list {
		a, err := mailbox(raw, true)
		if err != nil {
			return "", reply(550, "5.6.0", "The message needs one well-formed From field")
		}
		if s.senderOf(tx.principal.Account, a) == nil {
			return "", gateway.Refuse(gateway.CodeSender, "From", "")
		}
		if i == 0 {
			first = a
		}
	}
	return first, nil
}

// traced adds our Received field (RFC 5321 §4.4) and what a submission server may add (RFC 6409 §8): Date and Message-ID. The
// address of a customer's own machine is nobody's business; a relay peer's is part of the trace.
func (s *session) traced(h mail.Header, tx *transaction) mail.Header {
	now := s.srv.now()
	with := "ESMTP"
	if tx.opts.UTF8 {
		with = "UTF8SMTP" // RFC 6531 §4.3
	}
	if s.secure {
		with += "S"
	}
	from := "authenticated"
	if tx.peer == nil {
		with += "A" // RFC 3848
	} else {
		from = fmt.Sprintf("%s ([%s])", domainText(s.helo), s.guard.from)
	}
	date := now.Format("Mon, 02 Jan 2006 15:04:05 -0700")
	received := mail.NewField("Received", fmt.Sprintf("from %s by %s with %s id %s; %s", from, s.srv.cfg.Domain, with, s.id, date))
	h = append(mail.Header{received}, h...)
	// A signature may cover a field as absent (RFC 6376 §5.4.2): what a server may add it need not.
	sigs := h.Signatures()
	lacks := func(name string) bool {
		return h.Count(name) == 0 && !slices.ContainsFunc(sigs, func(x mail.Signature) bool { return x.Covers(name) })
	}
	if lacks("Date") {
		h = h.With("Date", date)
	}
	if lacks("Message-ID") {
		h = h.With("Message-ID", "<"+strings.ToLower(rand.Text())+"@"+s.srv.cfg.Domain+">")
	}
	return h
}

// domainText keeps what a client calls itself from writing our trace.
func domainText(helo string) string {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(".-_:[]", r)
	}
	if helo == "" || len(helo) > 255 || strings.ContainsFunc(helo, func(r rune) bool { return !ok(r) }) {
		return "unknown"
	}
	return helo
}

// answer tells the client what became of the message: 250 with the batch, 554 when nobody may get it (451 when somebody may
// later). Of recipients dropped beside accepted ones the sender learns by DSN, which the store owes since it took the message.
func (s *session) answer(sub *gateway.Submission, res gateway.Result) error {
	var code gateway.Code
	passing, same := false, true
	for _, v := range res.Messages {
		if !v.Refused() && v.State != gateway.StateDropped {
			continue
		}
		passing = passing || v.Code.Wire().SMTP/100 == 4
		same = same && (code == "" || code == v.Code)
		code = v.Code
	}
	if res.Accepted == 0 {
		switch {
		case passing:
			return reply(451, "4.7.1", "Consent could not be confirmed, try again later")
		case same && code != "":
			return reply(554, "5.7.1", "No permitted recipient: "+code.Wire().Title+" ("+string(code)+")")
		}
		return reply(554, "5.7.1", "No permitted recipient")
	}
	s.srv.tally.accepted(s.mode)
	s.log.Info("message accepted", "batch", res.Batch.String(), "class", sub.Class, "accepted", res.Accepted, "dropped", res.Dropped+res.Refused)
	text := "OK: queued as " + res.Batch.String()
	if gone := res.Dropped + res.Refused; gone > 0 {
		text += fmt.Sprintf(", %d of %d recipients not permitted", gone, gone+res.Accepted)
	}
	return reply(250, "2.0.0", text)
}
