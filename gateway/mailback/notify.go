package mailback

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/bounce"
	"izinli/gateway/mail"
	"izinli/gateway/sevenbit"
)

// Owed is where notifications that are owed stand.
type Owed interface {
	// Notices returns at most limit of them, those of one batch together, behind that about the given message; zero: from the first.
	Notices(ctx context.Context, after gateway.MessageID, limit int) ([]gateway.NoticeDue, error)
	// OweDelays notes that word is owed of what should have left before the given time and has not; more: there may be more.
	OweDelays(ctx context.Context, before time.Time, limit int) (more bool, err error)
	// NoticesSent removes them.
	NoticesSent(ctx context.Context, list []gateway.NoticeDue) error
}

// Notifier sends what is owed to submitters of mail.
type Notifier struct {
	domain string
	delay  time.Duration
	owed   Owed
	bodies gateway.BodyStore
	submit gateway.Submitter
	log    *slog.Logger
	now    func() time.Time
	wake   chan struct{}

	after gateway.MessageID // what the next round begins behind; owned by Run
}

// Times and bounds of the notifier.
const (
	gather    = time.Second      // recipients of one message that fail together are told of in one mail
	lookEvery = 30 * time.Second // without being woken
	perRound  = 500
	perNotice = 100
)

// NewNotifier returns a notifier that speaks for the mail server called domain. Submitters who asked for it (NOTIFY=DELAY) are told of
// a mail that has waited for delay; 0: they are not.
func NewNotifier(domain string, delay time.Duration, owed Owed, bodies gateway.BodyStore, submit gateway.Submitter, log *slog.Logger, now func() time.Time) *Notifier {
	if now == nil {
		now = time.Now
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Notifier{domain: domain, delay: delay, owed: owed, bodies: bodies, submit: submit, log: log, now: now, wake: make(chan struct{}, 1)}
}

// Wake tells of something owed. It does not block.
func (n *Notifier) Wake() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// Run sends what is owed until ctx ends.
func (n *Notifier) Run(ctx context.Context) {
	pause := time.NewTimer(gather)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.wake:
			pause.Reset(gather)
			continue
		case <-pause.C:
		}
		more, err := n.round(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.Error("notifications not sent", "err", err)
		}
		if more {
			pause.Reset(0)
		} else {
			pause.Reset(lookEvery)
		}
	}
}

// round sends a page of what there is; more tells that it is worth going on at once. A notification that cannot be sent now waits until
// all behind it had their turn: they are of all accounts. The error is the first of those.
func (n *Notifier) round(ctx context.Context) (more bool, err error) {
	var failed error
	if n.delay > 0 {
		if more, failed = n.owed.OweDelays(ctx, n.now().Add(-n.delay), perRound); failed != nil {
			more = false
		}
	}
	list, err := n.owed.Notices(ctx, n.after, perRound)
	if err != nil {
		return false, err
	}
	full := len(list) == perRound
	left := full || !n.after.IsZero() // behind the page, or before it
	if n.after = (gateway.MessageID{}); full {
		n.after = list[perRound-1].Message
	}
	for from := 0; from < len(list) && ctx.Err() == nil; {
		to := from + 1
		for to < len(list) && to-from < perNotice && list[to].Message.Ref() == list[from].Message.Ref() {
			to++
		}
		switch err := n.send(ctx, list[from:to]); {
		case err == nil:
			more = more || left
		case failed == nil:
			failed = fmt.Errorf("batch %s: %w", list[from].Batch.Ref(), err)
		}
		from = to
	}
	return more, failed
}

// send writes one notification about recipients of one message and submits it. The idempotency key makes one that was submitted
// before a crash, and not yet taken off the list, go out once.
func (n *Notifier) send(ctx context.Context, list []gateway.NoticeDue) error {
	b := list[0].Batch
	whole, err := n.whole(ctx, list)
	if err != nil {
		return err
	}
	raw, err := n.write(list, whole)
	if err == nil && whole != nil && !sevenBit(raw) {
		raw, err = n.write(list, nil)
	}
	if err != nil {
		n.log.Warn("notification not written", "batch", b.Ref().String(), "err", err)
		return n.owed.NoticesSent(ctx, list)
	}
	ref, err := n.bodies.Put(ctx, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	first := list[0].Message
	key := fmt.Sprintf("dsn/%s/%d/%d", first, len(list), list[0].At.UnixMilli())
	_, err = n.submit.Submit(ctx, &gateway.Submission{
		Principal: &gateway.Principal{Account: b.Account, Credential: gateway.Credential{ID: "system", Account: b.Account,
			Classes: []string{gateway.ClassTransactional}, Reason: "legal"}},
		Door: gateway.DoorSystem, Channel: gateway.ChannelEmail, Class: gateway.ClassTransactional, From: "mailer-daemon@" + n.domain,
		Body: ref, To: []gateway.Destination{{Address: b.Headers[mail.MarkFrom]}}, ValidFor: gateway.MaxValidity,
		Idempotency: &gateway.IdempotencyKey{Key: key, Hash: sha256.Sum256([]byte(key))}})
	var e *gateway.Error
	if errors.As(err, &e) && e.Code != gateway.CodeUnavailable && e.Code != gateway.CodeStorageFull && e.Code != gateway.CodeInternal {
		n.log.Warn("notification cannot be sent", "batch", b.Ref().String(), "err", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return n.owed.NoticesSent(ctx, list)
}

// whole reads the message that the notification returns; nil where it returns the header: the submitter did not ask for more, the
// message is larger than mail.MaxReturned, it is gone, as after the next hop has taken it, or cannot be read. The error is ctx's alone: a
// notification with less in it is better than none.
func (n *Notifier) whole(ctx context.Context, list []gateway.NoticeDue) ([]byte, error) {
	i := slices.IndexFunc(list, func(d gateway.NoticeDue) bool { return d.Full })
	if i < 0 || slices.IndexFunc(list, func(d gateway.NoticeDue) bool { return status(&d).Action == bounce.ActionFailed }) < 0 {
		return nil, nil
	}
	raw, err := n.read(ctx, list[i].Batch.Body)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		n.log.Error("a mail cannot be read: its notification returns the header alone", "batch", list[i].Batch.Ref().String(), "err", err)
		return nil, nil
	case err != nil || len(raw) > mail.MaxReturned:
		return nil, nil
	}
	return raw, nil
}

// read reads a body, and of one larger than mail.MaxReturned no more than shows that.
func (n *Notifier) read(ctx context.Context, ref gateway.BodyRef) ([]byte, error) {
	rc, err := n.bodies.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return io.ReadAll(io.LimitReader(rc, mail.MaxReturned+1))
}

// sevenBit reports whether a mail can go to a server without 8BITMIME, which would otherwise refuse the notification. What is looked at is
// the notification itself: the header of the message it returns is that of a part there.
func sevenBit(raw []byte) bool {
	h, body, err := mail.Split(raw)
	if err == nil && mail.High(body) {
		_, err = sevenbit.Inspect(h, bytes.NewReader(body))
	}
	return err == nil
}

func (n *Notifier) write(list []gateway.NoticeDue, whole []byte) ([]byte, error) {
	b := list[0].Batch
	d := bounce.Notification{Reporting: n.domain, From: "mailer-daemon@" + n.domain, To: b.Headers[mail.MarkFrom],
		EnvelopeID: b.Headers[mail.MarkEnvID], Arrival: b.Created(), Now: n.now(), Whole: whole}
	if head := b.Headers[mail.MarkHead]; head != "" {
		h, err := mail.ReadHeader(bufio.NewReader(strings.NewReader(head + "\r\n")))
		if err == nil {
			d.Original = h
		}
	}
	for i := range list {
		d.Recipients = append(d.Recipients, status(&list[i]))
	}
	return d.Bytes()
}

var enhancedRE = regexp.MustCompile(`\b[245]\.\d{1,3}\.\d{1,3}\b`)

// status turns an outcome into the words of RFC 3464.
func status(x *gateway.NoticeDue) bounce.Status {
	s := bounce.Status{Address: x.Recipient.Address, Action: bounce.ActionFailed, Diagnostic: x.Err}
	for _, v := range x.Recipient.Vars {
		switch v.Name {
		case mail.MarkORcpt:
			s.ORcpt = v.Value
		case mail.MarkRcpt:
			s.Address = v.Value
		}
	}
	who := teller{"server", "a server that sends no notifications"}
	if x.Batch.Channel == gateway.ChannelSMS {
		who, s.DiagType = teller{"operator", "an operator that does not tell what became of it"}, "x-smpp"
	}
	if x.Delayed {
		return delayed(s, x, who)
	}
	wire := x.Code.Wire()
	switch {
	case x.State == gateway.StateDelivered:
		s.Action, s.Status, s.Reason, s.Diagnostic = bounce.ActionDelivered, "2.0.0", "The message was delivered.", ""
		return s
	case x.Relayed:
		s.Action, s.Status, s.Reason, s.Diagnostic = bounce.ActionRelayed, "2.0.0", "The message was handed to "+who.silent+".", ""
		return s
	case x.State == gateway.StateDropped:
		s.DiagType = "" // the words of our own door
		s.Status, s.Reason = wire.Enhanced, wire.Title+" ("+string(x.Code)+")"
		s.Diagnostic = fmt.Sprintf("%d %s %s", wire.SMTP, wire.Enhanced, s.Reason)
	case x.State == gateway.StateExpired:
		s.Status, s.Reason = "4.4.7", "The message could not be delivered in time."
		if x.Code != "" && x.Code != gateway.CodeExpired && x.Code != gateway.CodeDeferred {
			s.Reason += " " + wire.Title
		}
	case x.State == gateway.StateUnknown:
		s.Status, s.Reason = "5.4.2", "It is not known whether the message was delivered: the connection to the "+who.name+" was lost." // RFC 3463 §3.5
	default:
		s.Status, s.Reason = enhancedRE.FindString(x.Err), "The "+who.name+" did not deliver the message."
		if x.Code != "" {
			s.Reason = wire.Title
		}
		if x.Err != "" {
			s.Reason = "The remote " + who.name + " said: " + x.Err
		}
	}
	switch {
	case s.Status == "":
		s.Status = "5.0.0"
	case s.Action == bounce.ActionFailed && s.Status[0] == '4' && x.State != gateway.StateExpired:
		s.Status = "5" + s.Status[1:] // final is permanent (RFC 3463 §2)
	}
	return s
}

// teller is who knows what became of a message: the next server of a mail, the operator of an SMS.
type teller struct{ name, silent string }

// delayed says why a message still waits (RFC 3464 §2.3.3: its status is 4.x.x) and until when it is tried.
func delayed(s bounce.Status, x *gateway.NoticeDue, who teller) bounce.Status {
	s.Action, s.RetryUntil = bounce.ActionDelayed, x.Batch.ValidUntil
	s.Status, s.Reason = "4.4.7", "The message could not be delivered yet."
	switch wire := x.Code.Wire(); {
	case x.Err != "":
		s.Reason = "The message could not be delivered yet. The remote " + who.name + " said: " + x.Err
		if e := enhancedRE.FindString(x.Err); e != "" && e[0] == '4' {
			s.Status = e
		}
	case x.Code == gateway.CodeOperatorDown:
		s.Status, s.Reason = "4.4.1", "The message could not be delivered yet: no "+who.name+" answers." // RFC 3463 §3.5
	case x.Code == gateway.CodeQuietHours, x.Code == gateway.CodeConsentUnavailable, x.Code == gateway.CodePromotional, x.Code == gateway.CodePaused:
		s.Status, s.Reason = "4.7.1", "The message is held: "+wire.Title+" ("+string(x.Code)+")."
	}
	return s
}
