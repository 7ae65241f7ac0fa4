package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/gateway/mail"
	"izinli/gateway/mailbody"
)

// What mail needs beside what every message has: bodies and how long they are needed, and the notifications owed to who submitted
// over SMTP.

// bodyLife is how long a small body outlives the validity of its messages at most; it is deleted with the last of them.
const bodyLife = 14 * 24 * time.Hour

// PutBody, GetBody and DeleteBody are mailbody.Small.
func (s *Store) PutBody(_ context.Context, id string, body []byte) error {
	return s.do(func(t *tx) error { return t.putBody(id, body, bodyLife) })
}

// GetBody answers fs.ErrNotExist for an unknown id. The body must not be changed.
func (s *Store) GetBody(_ context.Context, id string) (body []byte, err error) {
	if body = s.recent.body(id); body != nil {
		return body, nil
	}
	return s.readBody(id)
}

// DeleteBody removes a small body.
func (s *Store) DeleteBody(_ context.Context, id string) error {
	s.recent.dropBody(id)
	return s.do(func(t *tx) error { return t.delBody(id, -1) })
}

// BodyUsed reports whether a batch still refers to a body, for the sweep of orphans.
func (s *Store) BodyUsed(id string) (used bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, bodyUseKey(id))
		used = v != nil
		return err
	})
	return used, err
}

// WatchBodies names the function told, after the commit, of a body in a file that nobody needs any more. It must not block.
func (s *Store) WatchBodies(f func(gateway.BodyRef)) { s.bodyFn.Store(&f) }

// keepBody stores a small body and counts the messages that need it.
func (p *pendingBatch) keepBody(t *tx) error {
	ref := p.Batch.Body
	if ref.ID == "" {
		return nil
	}
	need, told := 0, 0
	for i := range p.Recipients {
		if r := &p.Recipients[i]; r.State != gateway.StateDropped {
			need++
		} else if returnedWhole(&p.Batch) && notifyOf(r).failure {
			told++
		}
	}
	if need > 0 { // else nobody is told: the door refuses
		need += told
	}
	life := p.Batch.ValidUntil.Sub(t.now) + bodyLife
	if p.Body != nil {
		if err := t.putBody(ref.ID, p.Body, life); err != nil {
			return err
		}
		if len(p.Body) > 0 {
			t.after(func() { t.s.recent.putBody(ref.ID, p.Body) })
		}
	}
	if oneUse(&p.Batch) {
		return nil
	}
	return t.set(bodyUseKey(ref.ID), bodyUse{batch: p.ref, size: ref.Size, need: need}.bytes(), life)
}

// oneUse reports whether a body is for one recipient and lies in the store: then its end is the end of the body, and nothing has to be
// counted. Stores written before that was so have a use record for such a body too, which expires by itself.
func oneUse(b *gateway.Batch) bool { return b.Count == 1 && mailbody.IsSmall(b.Body.ID) }

// bodyUse is who needs a body, and how often still.
type bodyUse struct {
	batch gateway.BatchRef
	size  int64
	need  int
}

func (u bodyUse) bytes() enc {
	var e enc
	e.text(u.batch.String())
	e.int(u.size)
	e.uint(uint64(u.need))
	return e
}

// freeBody takes one use off a body; with the last one it goes.
func (t *tx) freeBody(b *gateway.Batch) error {
	if b.Body.ID == "" {
		return nil
	}
	if oneUse(b) {
		t.bodyGone(b)
		return t.delBody(b.Body.ID, b.Body.Size)
	}
	k := bodyUseKey(b.Body.ID)
	v, err := t.get(k)
	if err != nil || v == nil {
		return err
	}
	d := dec{b: v}
	ref, perr := gateway.ParseBatchRef(d.text())
	u := bodyUse{batch: ref, size: d.int(), need: int(d.uint())}
	if err := d.err("use of a body"); err != nil || perr != nil {
		return errFatal{fmt.Errorf("%w: use of a body", errCorrupt)}
	}
	if u.need--; u.need > 0 {
		return t.set(k, u.bytes(), max(time.Hour, b.ValidUntil.Sub(t.now)+bodyLife))
	}
	t.bodyGone(b)
	if err := t.delBody(b.Body.ID, b.Body.Size); err != nil {
		return err
	}
	return t.del(k)
}

// bodyGone tells after the commit that nobody needs a body any more.
func (t *tx) bodyGone(b *gateway.Batch) {
	gone := gateway.BodyRef{ID: b.Body.ID, Size: b.Body.Size}
	t.after(func() {
		t.s.recent.dropBody(gone.ID)
		if f := t.s.bodyFn.Load(); f != nil {
			(*f)(gone)
		}
	})
}

func relayed(list []gateway.SegmentAnswer) bool {
	for i := range list {
		if list[i].Relayed {
			return true
		}
	}
	return false
}

// mailDone does what belongs to the first final state of what may have come as a mail: a notification may be owed, and its body is free.
func (t *tx) mailDone(m gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, p *gateway.Progress, relayed bool) error {
	relayed = relayed || b.Channel == gateway.ChannelSMS // whose end sent is where no receipt comes
	if kept, err := t.oweNotice(m, b, r, p, relayed, true); err != nil || kept {
		return err
	}
	return t.freeBody(b)
}

// returnedWhole reports whether failures of a mail are told with the whole of it.
func returnedWhole(b *gateway.Batch) bool {
	return b.Door == gateway.DoorSMTP && b.Headers[mail.MarkFrom] != "" && b.Headers[mail.MarkReturn] == "FULL" &&
		b.Body.ID != "" && b.Body.Size <= mail.MaxReturned
}

// storedNotice is the JSON form of a notification owed.
type storedNotice struct {
	State    gateway.State `json:"state"`
	Code     gateway.Code  `json:"code,omitempty"`
	Err      string        `json:"err,omitempty"`
	Operator string        `json:"operator,omitempty"`
	Relayed  bool          `json:"relayed,omitempty"`
	Delayed  bool          `json:"delayed,omitempty"`
	Full     bool          `json:"full,omitempty"` // it has a use of the body, which goes when it has gone
	At       time.Time     `json:"at"`
}

// oweNotice writes down that the submitter of a mail, which may have become an SMS, is owed a notification (RFC 3461 §4.1): of
// failures unless NOTIFY says otherwise, of success where it asks for it and the next hop does not tell.
// With body, the recipient's use of the body ends now; kept says that the notification took it over.
func (t *tx) oweNotice(m gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, p *gateway.Progress, relayed, body bool) (kept bool, err error) {
	if b.Door != gateway.DoorSMTP || b.Headers[mail.MarkFrom] == "" {
		return false, nil
	}
	wish := notifyOf(r)
	silent := p.State == gateway.StateUnknown && p.Code == "" // the operator took it; its receipt never came, or says that it does not know
	switch {
	case p.State == gateway.StateSent || silent:
		if !wish.success || !relayed {
			return false, nil
		}
	case p.State == gateway.StateDelivered:
		if !wish.success {
			return false, nil
		}
	case p.State == gateway.StateCancelled:
		return false, nil // the submitter's own act
	default:
		if !wish.failure {
			return false, nil
		}
		kept = body && returnedWhole(b)
	}
	return kept, t.notice(m, storedNotice{Full: kept, State: p.State, Code: p.Code, Err: segmentErr(p), Operator: p.Operator, Relayed: p.State == gateway.StateSent || silent})
}

// notice writes a notification owed; it takes the place of an earlier one about the same message that has not been sent.
func (t *tx) notice(m gateway.MessageID, n storedNotice) error {
	n.At = t.now
	old, err := t.storedNotice(m)
	if err != nil {
		return err
	}
	n.Full = n.Full || old.Full
	v, err := json.Marshal(n)
	if err != nil {
		return err
	}
	if f := t.s.noticeFn.Load(); f != nil {
		t.after(*f)
	}
	return t.set(noticeKey(m), v, bodyLife)
}

// oweDroppedMail tells of recipients dropped beside accepted ones.
func (p *pendingBatch) oweDroppedMail(t *tx) error {
	accepted := false
	for i := range p.Recipients {
		accepted = accepted || p.Recipients[i].State != gateway.StateDropped
	}
	for i := range p.Recipients {
		r := &p.Recipients[i]
		if !accepted || r.State != gateway.StateDropped {
			continue
		}
		if _, err := t.oweNotice(p.ref.Message(uint32(i)), &p.Batch, r, &gateway.Progress{State: r.State, Code: r.Code}, false, true); err != nil {
			return err
		}
	}
	return nil
}

type wishes struct{ success, failure, delay bool }

// notifyOf reads NOTIFY of a recipient; without one failures are told.
func notifyOf(r *gateway.Recipient) wishes {
	for _, v := range r.Vars {
		if v.Name == mail.MarkNotify {
			return wishes{success: mail.Notifies(v.Value, "SUCCESS"), failure: mail.Notifies(v.Value, "FAILURE"),
				delay: mail.Notifies(v.Value, "DELAY")}
		}
	}
	return wishes{failure: true}
}

// WatchNotices names the function told after a commit that owes a notification. It must not block.
func (s *Store) WatchNotices(f func()) { s.noticeFn.Store(&f) }

// Notices returns notifications that are owed, at most limit, those of one batch together, behind that about the given message; zero: from
// the first. What cannot be read is logged and left out: it is of one account, and the others' are behind it.
func (s *Store) Notices(_ context.Context, after gateway.MessageID, limit int) (out []gateway.NoticeDue, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kNotice}, PrefetchValues: true, PrefetchSize: 50})
		defer it.Close()
		from := key{kNotice}
		if !after.IsZero() {
			from = append(noticeKey(after), 0)
		}
		for it.Seek(from); it.Valid() && len(out) < limit; it.Next() {
			k := it.Item().Key()
			ref := batchOfKey(k)
			id := ref.Message(beUint32(k[13:]))
			var n storedNotice
			err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &n) })
			var m *stored
			if err == nil {
				m, err = readMessage(txn, id)
			}
			if err != nil {
				s.log.Error("a notification cannot be read", "msg_id", id.String(), "err", err)
			}
			if m == nil {
				continue
			}
			out = append(out, gateway.NoticeDue{Message: id, Batch: m.batch, Recipient: m.recipient, State: n.State, Code: n.Code,
				Err: n.Err, Operator: n.Operator, Relayed: n.Relayed, Delayed: n.Delayed, Full: n.Full, At: n.At})
		}
		return nil
	})
	return out, err
}

// NoticesSent removes notifications that went out or can never be written. One that took the place of what was sent stays.
func (s *Store) NoticesSent(_ context.Context, list []gateway.NoticeDue) error {
	if len(list) == 0 {
		return nil
	}
	return s.do(func(t *tx) error {
		for i := range list {
			if err := t.noticeSent(&list[i]); err != nil {
				return errFatal{err}
			}
		}
		return nil
	})
}

func (t *tx) noticeSent(d *gateway.NoticeDue) error {
	n, err := t.storedNotice(d.Message)
	if err != nil || n.At.IsZero() || n.State != d.State || n.Delayed != d.Delayed || !n.At.Equal(d.At) {
		return err
	}
	if n.Full {
		if err := t.freeBody(d.Batch); err != nil {
			return err
		}
	}
	return t.del(noticeKey(d.Message))
}

// storedNotice reads what is owed about a message, the zero value when nothing is.
func (t *tx) storedNotice(m gateway.MessageID) (n storedNotice, err error) {
	v, err := t.get(noticeKey(m))
	if err != nil || v == nil {
		return n, err
	}
	if json.Unmarshal(v, &n) != nil {
		return n, fmt.Errorf("%w: notification of %s", errCorrupt, m)
	}
	return n, nil
}

// Return tells of a mail that had left; false when the message is not one that news could change. A bounce that comes while the
// message waits for another attempt ends it only if an earlier one may have arrived.
func (s *Store) Return(_ context.Context, r gateway.MailReturn) (changed bool, err error) {
	err = s.do(func(t *tx) error {
		changed = false
		b, rcpt, err := t.message(r.Message)
		if err != nil || b.Channel != gateway.ChannelEmail {
			return gateway.Refuse(gateway.CodeNotFound, "id", "")
		}
		p, err := t.progress(r.Message)
		if err != nil {
			return err
		}
		if r.Suppress != nil {
			if err := t.suppress(r.Suppress); err != nil {
				return errFatal{err}
			}
		}
		first := !p.State.Final() && p.State != gateway.StateSent
		if p.State == r.State || p.State.Final() && p.State != gateway.StateUnknown || first && !p.MayHaveLeft() {
			return nil
		}
		changed = true
		p.State, p.Code = r.State, r.Code
		if len(p.Segments) == 0 {
			p.Segments = make([]gateway.Segment, 1)
		}
		p.Segments[0].State, p.Segments[0].Err = r.State, r.Err
		if err := t.returned(r.Message, b, rcpt, &p, first); err != nil {
			return errFatal{err}
		}
		return nil
	})
	return changed, err
}

// Relayed passes on that the next hop has handed a mail to a server that sends no notifications (RFC 3461 §6.2.7.2), once and to who
// asked for word of success; the message stays as it is. False when nobody wants to know, has been told, or the message is not there
// any more.
func (s *Store) Relayed(_ context.Context, m gateway.MessageID) (told bool, err error) {
	err = s.do(func(t *tx) error {
		told = false
		b, r, err := t.message(m)
		if err != nil || b.Channel != gateway.ChannelEmail {
			return gateway.Refuse(gateway.CodeNotFound, "id", "")
		}
		p, err := t.progress(m)
		if err != nil || p.State != gateway.StateSent || b.Door != gateway.DoorSMTP || !notifyOf(r).success {
			return err
		}
		k := delayKey(toldRelayed, m)
		if v, err := t.get(k); err != nil || v != nil {
			return err
		}
		if err := t.set(k, wanted, bodyLife); err != nil {
			return errFatal{err}
		}
		told = true
		if _, err := t.oweNotice(m, b, r, &p, true, false); err != nil {
			return errFatal{err}
		}
		return nil
	})
	return told, err
}

// returned writes what news of a mail makes of it.
func (t *tx) returned(m gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, p *gateway.Progress, first bool) error {
	if err := t.finish(m, b, r, p); err != nil {
		return err
	}
	var err error
	if first {
		err = t.mailDone(m, b, r, p, false)
	} else {
		_, err = t.oweNotice(m, b, r, p, false, false)
	}
	if err != nil {
		return err
	}
	return t.save(m, p, nil)
}

// Refuse appends the decision about a recipient that was refused at the door, of whom nothing else is stored (P4).
func (s *Store) Refuse(_ context.Context, a gateway.AccountID, d gateway.Decision) error {
	return s.do(func(t *tx) error {
		d.Kind = gateway.DecisionRefuse
		_, err := t.decide(a, &d)
		return err
	})
}

// Mail returns batch and recipient of a message; CodeNotFound without it.
func (s *Store) Mail(_ context.Context, id gateway.MessageID) (b *gateway.Batch, r *gateway.Recipient, err error) {
	if b, r = s.recent.message(id); b != nil {
		return b, r, nil
	}
	err = s.db.View(func(txn *badger.Txn) error {
		m, err := readMessage(txn, id)
		if err != nil {
			return err
		}
		if m == nil {
			return notFound("id", id.String())
		}
		b, r = m.batch, m.recipient
		return nil
	})
	return b, r, err
}
