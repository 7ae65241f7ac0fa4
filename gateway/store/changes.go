package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"izinli/gateway"
)

// OpenIntents writes the intents and returns after their sync; only then may the messages leave. ok[i] is false for a message
// that was stopped meanwhile (cancelled, final) and must not leave.
func (s *Store) OpenIntents(_ context.Context, intents []gateway.Intent) (ok []bool, err error) {
	ok = make([]bool, len(intents))
	urgent := len(intents) > 0 && intents[0].Lane == gateway.LaneOTP
	err = s.doIn(urgent, func(t *tx) error {
		for i := range intents {
			if ok[i], err = t.openIntent(&intents[i]); err != nil {
				return errFatal{err}
			}
		}
		return nil
	})
	return ok, err
}

func (t *tx) openIntent(in *gateway.Intent) (bool, error) {
	p, err := t.progress(in.Message)
	if err != nil {
		return false, err
	}
	if p.State.Final() || p.State == gateway.StateSent || (p.Open && !in.Again) || !p.NextAt.Equal(in.NextAt) {
		return false, nil
	}
	p.Doubts = uint8(p.Unanswered()) // where it is open: since a crash
	p.Open = true
	p.State, p.Code, p.NextAt = gateway.StateQueued, "", time.Time{}
	p.Operator = in.Operator
	p.Attempts++
	if len(p.Segments) != in.Segments {
		p.Segments = make([]gateway.Segment, in.Segments)
	}
	in.Decision.Message = in.Message
	return true, t.save(in.Message, &p, &in.Decision)
}

// progress reads a message's progress; zero when nothing happened yet.
func (t *tx) progress(m gateway.MessageID) (gateway.Progress, error) {
	if p, ok := t.progresses[m]; ok {
		return cloneProgress(p), nil
	}
	if p, ok := t.s.recent.progress(m); ok {
		return p, nil
	}
	v, err := t.get(progressKey(m))
	if err != nil || v == nil {
		return gateway.Progress{}, err
	}
	return decodeProgress(v)
}

// save writes progress, with a decision appended when there is one.
func (t *tx) save(m gateway.MessageID, p *gateway.Progress, d *gateway.Decision) error {
	if d != nil {
		d.Message = m
		ref, err := t.decide(m.Account, d)
		if err != nil {
			return err
		}
		p.Decisions = append(p.Decisions, ref)
	}
	p.Updated = t.now
	if t.progresses == nil {
		t.progresses = map[gateway.MessageID]gateway.Progress{}
	}
	t.progresses[m] = cloneProgress(*p)
	e := make(enc, 0, 64+len(p.Segments)*24)
	encodeProgress(&e, p)
	return t.set(progressKey(m), e, t.s.opt.Retention)
}

// Apply writes changes in one commit and calls done after its sync, from the committer: done must not block. What is final
// stays final; a change that comes too late only closes intents and clears due entries.
func (s *Store) Apply(changes []gateway.Change, done func(error)) {
	s.enqueue(act{func(t *tx) error {
		for i := range changes {
			if err := t.change(&changes[i]); err != nil {
				return errFatal{err}
			}
		}
		return nil
	}, done})
}

// ApplyWait is Apply that waits.
func (s *Store) ApplyWait(changes []gateway.Change) error {
	ch := make(chan error, 1)
	s.Apply(changes, func(err error) { ch <- err })
	return <-ch
}

func (t *tx) change(c *gateway.Change) error {
	if c.Clear != nil {
		if err := t.del(dueKey(*c.Clear)); err != nil {
			return err
		}
	}
	if c.Batch == nil { // only a due entry to clear or to move
		if c.Clear == nil || c.Move.IsZero() {
			return nil
		}
		later := *c.Clear
		later.Due = c.Move
		if err := t.free(&later); err != nil {
			return err
		}
		return t.putDue(later)
	}
	c.Ended = false
	p, err := t.progress(c.Message)
	if err != nil {
		return err
	}
	if c.Close {
		switch {
		case c.Doubt:
			p.NoteDoubt()
		case c.Code == gateway.CodeDoubt: // stopped after a crash, or after what is counted already
			p.Doubts = uint8(p.Unanswered())
		}
		p.Open = false
	}
	if err := t.answers(c, &p); err != nil {
		return err
	}
	if p.State.Final() || p.State == gateway.StateSent {
		return t.save(c.Message, &p, c.Decision)
	}
	next, state, code, err := t.resumed(c)
	if err != nil {
		return err
	}
	if c.Close && c.Batch.Channel == gateway.ChannelSMS && p.Whole() { // also where an answer to an earlier attempt made it so, late
		next, state, code = time.Time{}, gateway.StateSent, ""
	}
	if !next.IsZero() {
		if err := t.wait(c.Message, c.Batch, &p, next); err != nil {
			return err
		}
	}
	if state != gateway.StateNone {
		p.State, p.Code = state, code
	}
	c.Ended = state.Final()
	if err := t.moved(c.Message, c.Batch, c.Recipient, &p, relayed(c.Answers)); err != nil {
		return err
	}
	return t.save(c.Message, &p, c.Decision)
}

// moved does what belongs to the state a message has got on its way.
func (t *tx) moved(m gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, p *gateway.Progress, relayed bool) error {
	if p.State == gateway.StateSent {
		p.Sent = t.now
		if st, ok := settled(p); ok { // receipts came before the answer
			p.State, p.Code = st, codeOfReceipt(p, st)
		}
	}
	if !p.State.Final() && (p.State != gateway.StateSent || !t.s.endsSent(b, p.Operator)) {
		return nil
	}
	if err := t.finish(m, b, r, p); err != nil {
		return err
	}
	return t.mailDone(m, b, r, p, relayed)
}

// resumed is what a change asks for; a hold for a pause that has ended meanwhile, or for words that were let go, is none: nobody
// would bring it forward any more.
func (t *tx) resumed(c *gateway.Change) (time.Time, gateway.State, gateway.Code, error) {
	if c.State != gateway.StateHeld || c.Code != gateway.CodePaused && c.Code != gateway.CodePromotional {
		return c.NextAt, c.State, c.Code, nil
	}
	v, err := t.get(flagsKey(c.Message.Ref()))
	if err != nil {
		return c.NextAt, c.State, c.Code, err
	}
	var f byte
	if len(v) > 0 {
		f = v[0]
	}
	if f&(flagPaused|flagCancelled) != 0 || c.Code == gateway.CodePromotional && f&flagReleased == 0 {
		return c.NextAt, c.State, c.Code, nil
	}
	return t.now, gateway.StateQueued, "", nil
}

// wait gives a message a due entry of its own. Entry and message agree on the instant to the millisecond: that is how hand-off
// knows the entry that is the message's own.
func (t *tx) wait(m gateway.MessageID, b *gateway.Batch, p *gateway.Progress, next time.Time) error {
	ref := gateway.DueRef{Account: m.Account, Batch: m.Batch, First: m.Index, Count: 1, Due: next, Lane: b.Lane()}
	if err := t.free(&ref); err != nil {
		return err
	}
	p.NextAt = ref.Due
	return t.putDue(ref)
}

// free moves a new entry to the first instant, not before now, whose key is not taken: an entry of several messages and one that
// its first message has of its own would have the same.
func (t *tx) free(r *gateway.DueRef) error {
	r.Due = laterOf(r.Due.Truncate(time.Millisecond), t.now)
	for r.First%gateway.BlockSize == 0 {
		v, err := t.get(dueKey(*r))
		if err != nil || v == nil {
			return err
		}
		if old, err := parseDue(dueKey(*r), v); err != nil || old.Messages() == 1 && r.Messages() == 1 {
			return err // the same message
		}
		r.Due = r.Due.Add(time.Millisecond)
	}
	return nil
}

func laterOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// answers notes what the operator said and makes its ids findable; a receipt that came first is applied here.
func (t *tx) answers(c *gateway.Change, p *gateway.Progress) error {
	for _, a := range c.Answers {
		if a.Index >= len(p.Segments) {
			grown := make([]gateway.Segment, a.Index+1)
			copy(grown, p.Segments)
			p.Segments = grown
		}
		seg := &p.Segments[a.Index]
		if c.Batch.Channel == gateway.ChannelEmail { // mail comes back by VERP
			seg.State, seg.OperatorID, seg.Err = a.State, a.OperatorID, a.Err
			continue
		}
		if seg.Taken() { // the answer to an earlier attempt came meanwhile: this one made a copy, or was refused as one
			if a.State == gateway.StateSent {
				if err := t.nameCopy(operatorID{c.Operator, a.OperatorID}, c.Message, a.Index, p); err != nil {
					return err
				}
			}
			continue
		}
		seg.State, seg.OperatorID, seg.Err = a.State, a.OperatorID, a.Err
		if a.State != gateway.StateSent || a.OperatorID == "" {
			continue
		}
		id := operatorID{c.Operator, a.OperatorID}
		if err := t.name(id, segmentOf{message: c.Message, segment: a.Index}); err != nil {
			return err
		}
		if err := t.unpark(id, p, seg); err != nil {
			return err
		}
	}
	return nil
}

// name makes an operator's message id findable.
func (t *tx) name(k operatorID, s segmentOf) error {
	var e enc
	e.text(s.message.String())
	e.uint(uint64(s.segment))
	if s.copied {
		e.flag(true)
	}
	if err := t.set(operatorIDKey(k.operator, k.id), e, operatorIDLife); err != nil {
		return err
	}
	if t.ids == nil {
		t.ids = map[operatorID]segmentOf{}
	}
	t.ids[k] = s
	return nil
}

// operatorIDLife is how long an operator's message id is kept: validity, the wait for a receipt, and a day for late ones.
const operatorIDLife = gateway.MaxValidity + gateway.UnknownAfter + 24*time.Hour

// settled tells whether every segment has its final receipt, and the worst of them.
func settled(p *gateway.Progress) (gateway.State, bool) {
	if len(p.Segments) == 0 {
		return gateway.StateNone, false
	}
	worst := gateway.StateDelivered
	for i := range p.Segments {
		if !p.Segments[i].State.Final() {
			return gateway.StateNone, false
		}
		worst = worst.Worse(p.Segments[i].State)
	}
	return worst, true
}

// finish does what belongs to a final state, once: refund, receipt owed to the client, event for the webhook.
func (t *tx) finish(m gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, p *gateway.Progress) error {
	acct := t.s.Directory().Accounts[m.Account]
	refund := acct == nil || !acct.Policy.KeepUndelivered
	if p.State.Refundable(refund) && !p.Refunded {
		p.Refunded = true
		if err := t.move(m.Account, b.Created(), -int64(credits(b, r))); err != nil {
			return err
		}
	}
	if err := t.oweReceipt(m, b, r, p.State, p.Code, segmentErr(p)); err != nil {
		return err
	}
	t.s.stats.final(b.Class, p.State, p.Code)
	return t.oweFinalEvent(m, b, r, p)
}

// credits is what a message costs: one per SMS segment, nothing for a recipient dropped at the door.
func credits(b *gateway.Batch, r *gateway.Recipient) int {
	if b.Channel != gateway.ChannelSMS || r.State == gateway.StateDropped || b.Door == gateway.DoorSystem {
		return 0
	}
	return int(r.Segments)
}

// Credits is what a recipient of the batch is charged.
func Credits(b *gateway.Batch, r *gateway.Recipient) int { return credits(b, r) }

func segmentErr(p *gateway.Progress) string {
	for i := range p.Segments {
		if p.Segments[i].Err != "" && p.Segments[i].State != gateway.StateDelivered {
			return p.Segments[i].Err
		}
	}
	return ""
}

// parkLife is how long a receipt whose message id is not known yet is kept.
const parkLife = time.Hour

// Receipt applies a receipt and calls done after the sync (from the committer; must not block). A receipt whose id is not
// known yet is parked and applied when the submit response arrives; matched tells which.
func (s *Store) Receipt(r gateway.OperatorReceipt, done func(matched bool, err error)) {
	var matched bool
	s.enqueue(act{func(t *tx) error {
		var err error
		if matched, err = t.receipt(&r); err != nil {
			return errFatal{err}
		}
		return nil
	}, func(err error) { done(matched, err) }})
}

func (t *tx) receipt(r *gateway.OperatorReceipt) (bool, error) {
	of, err := t.segmentOf(operatorID{r.Operator, r.ID})
	if err != nil {
		return false, err
	}
	id := of.message
	if id.IsZero() {
		var e enc
		e.u8(byte(r.State))
		e.text(r.Err)
		t.s.parked.Add(1)
		return false, t.set(parkedKey(r.Operator, r.ID), e, parkLife)
	}
	p, err := t.progress(id)
	if err != nil {
		return false, err
	}
	if of.segment >= len(p.Segments) || p.Segments[of.segment].OperatorID != r.ID && !of.copied {
		return true, nil // of an attempt that another one, cut otherwise, has replaced
	}
	if of.copied && r.State != gateway.StateDelivered {
		return true, nil // the receipt of the other copy tells
	}
	seg, state := &p.Segments[of.segment], told(&p, r.State)
	if seg.State.Final() && seg.State != gateway.StateUnknown || seg.State == state {
		return true, nil // a repeat
	}
	seg.State, seg.Err = state, r.Err
	t.noteReceipt(id, r, &p)
	if err := t.settle(id, &p); err != nil {
		return false, err
	}
	return true, t.save(id, &p, nil)
}

// told is what a receipt makes of its segment. Where another attempt was never answered, a second copy may have arrived: that this one
// did not leaves the segment unknown, so that the other's receipt counts yet.
func told(p *gateway.Progress, said gateway.State) gateway.State {
	if mayBeTwo(p) && said != gateway.StateDelivered {
		return gateway.StateUnknown
	}
	return said
}

// mayBeTwo reports whether there may be a copy of the message beside the one that receipts tell of.
func mayBeTwo(p *gateway.Progress) bool { return p.Doubts > 0 && p.Attempts > 1 }

// settle ends a message that is not under way when every segment has its final receipt.
func (t *tx) settle(id gateway.MessageID, p *gateway.Progress) error {
	if p.Open || p.State.Final() && p.State != gateway.StateUnknown {
		return nil
	}
	worst, ok := settled(p)
	if !ok || worst == p.State {
		return nil
	}
	p.State, p.Code = worst, codeOfReceipt(p, worst)
	b, r, err := t.message(id)
	if err != nil {
		return err
	}
	if err := t.finish(id, b, r, p); err != nil {
		return err
	}
	_, err = t.oweNotice(id, b, r, p, worst == gateway.StateUnknown, false)
	return err
}

// ReceiptNote tells of a receipt that was applied. Lag is how long after the operator took the message it came; 0 when the
// operator's answer is not written yet.
type ReceiptNote struct {
	Message gateway.MessageID
	Receipt gateway.OperatorReceipt
	Lag     time.Duration
}

// WatchReceipts names the function told of receipts after their sync. It must not block.
func (s *Store) WatchReceipts(f func(ReceiptNote)) { s.rcptFn.Store(&f) }

func (t *tx) noteReceipt(id gateway.MessageID, r *gateway.OperatorReceipt, p *gateway.Progress) {
	f := t.s.rcptFn.Load()
	if f == nil {
		return
	}
	n := ReceiptNote{Message: id, Receipt: *r}
	if !p.Sent.IsZero() {
		n.Lag = t.now.Sub(p.Sent)
	}
	t.after(func() { (*f)(n) })
}

// segmentOf finds what an operator's message id names; a zero message means that it is not known.
func (t *tx) segmentOf(k operatorID) (segmentOf, error) {
	if s, ok := t.ids[k]; ok {
		return s, nil
	}
	if s, ok := t.s.recent.id(k); ok {
		return s, nil
	}
	v, err := t.get(operatorIDKey(k.operator, k.id))
	if err != nil || v == nil {
		return segmentOf{}, err
	}
	d := dec{b: v}
	id, err := gateway.ParseMessageID(d.text())
	s := segmentOf{message: id, segment: int(d.uint())}
	if len(d.b) > 0 {
		s.copied = d.flag()
	}
	return s, errors.Join(err, d.err("operator id"))
}

// codeOfReceipt says why a message ends as its receipts have it.
func codeOfReceipt(p *gateway.Progress, s gateway.State) gateway.Code {
	switch {
	case s == gateway.StateRejected:
		return gateway.CodeOperatorRejected
	case s == gateway.StateExpired:
		return gateway.CodeExpired
	case s == gateway.StateUnknown && mayBeTwo(p):
		return gateway.CodeDoubt
	}
	return ""
}

// unpark applies a receipt that came before the id it names.
func (t *tx) unpark(of operatorID, p *gateway.Progress, seg *gateway.Segment) error {
	if t.s.parked.Load() == 0 {
		return nil
	}
	k := parkedKey(of.operator, of.id)
	v, err := t.get(k)
	if err != nil || v == nil {
		return err
	}
	d := dec{b: v}
	seg.State, seg.Err = told(p, gateway.State(d.u8())), d.text()
	if err := d.err("parked receipt"); err != nil {
		return err
	}
	return t.del(k)
}

// message reads batch and recipient of a message.
func (t *tx) message(id gateway.MessageID) (*gateway.Batch, *gateway.Recipient, error) {
	if b, r := t.s.recent.message(id); b != nil {
		return b, r, nil
	}
	return t.readMessage(id)
}

// readMessage is message from the records themselves, in values of the caller's own.
func (t *tx) readMessage(id gateway.MessageID) (*gateway.Batch, *gateway.Recipient, error) {
	b, rs, _, err := t.reader().block(id.Ref(), id.Index/gateway.BlockSize)
	if err != nil {
		return nil, nil, err
	}
	i := int(id.Index % gateway.BlockSize)
	if b == nil || i >= len(rs) {
		return nil, nil, fmt.Errorf("%w: message %s has no batch", errCorrupt, id)
	}
	return b, &rs[i], nil
}
