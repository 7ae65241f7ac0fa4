package store

import (
	"time"

	"izinli/gateway"
)

// AnsweredLate notes that an operator took a segment after its attempt was put in doubt: the id finds the message when its receipt
// comes, and a message that waits to be handed off again is sent instead, if the operator has all of it. whole tells that it has, also
// when another attempt is under way already. done is called after the sync, from the committer: it must not block.
func (s *Store) AnsweredLate(a gateway.LateAnswer, done func(whole bool, err error)) {
	var whole bool
	s.enqueue(act{func(t *tx) error {
		var err error
		if whole, err = t.answeredLate(&a); err != nil {
			return errFatal{err}
		}
		return nil
	}, func(err error) { done(whole, err) }})
}

func (t *tx) answeredLate(a *gateway.LateAnswer) (whole bool, err error) {
	p, err := t.progress(a.Message)
	if err != nil {
		return false, err
	}
	// A message of several segments that has been cut anew, or is with another operator, which may have cut it otherwise: what arrived of
	// the earlier attempt does not stand for anything of this one.
	if len(p.Segments) != a.Segments || a.Segment >= a.Segments || a.Segments > 1 && p.Operator != a.Operator {
		return false, nil
	}
	id := operatorID{a.Operator, a.OperatorID}
	seg := &p.Segments[a.Segment]
	if ended := p.State.Final() && p.State != gateway.StateUnknown; ended || seg.Taken() {
		err = t.nameCopy(id, a.Message, a.Segment, &p)
	} else {
		p.Operator = a.Operator
		seg.State, seg.OperatorID, seg.Err = gateway.StateSent, a.OperatorID, ""
		if a.OperatorID != "" {
			if err := t.name(id, segmentOf{message: a.Message, segment: a.Segment}); err != nil {
				return false, err
			}
			err = t.unpark(id, &p, seg)
		}
	}
	if err != nil {
		return false, err
	}
	_, done := settled(&p)
	whole = p.Whole() || done
	switch waits := !p.Open && !p.State.Final() && p.State != gateway.StateSent; {
	case waits && whole:
		err = t.arrived(a.Message, &p)
	case !waits:
		err = t.settle(a.Message, &p)
	}
	if err != nil {
		return false, err
	}
	return whole, t.save(a.Message, &p, nil)
}

// arrived makes a message that waits for another attempt sent: it needs none.
func (t *tx) arrived(id gateway.MessageID, p *gateway.Progress) error {
	b, r, err := t.message(id)
	if err != nil {
		return err
	}
	if err := t.unwait(id, b, p); err != nil {
		return err
	}
	p.State, p.Code = gateway.StateSent, ""
	return t.moved(id, b, r, p, false)
}

// unwait takes back the due entry a message has of its own.
func (t *tx) unwait(id gateway.MessageID, b *gateway.Batch, p *gateway.Progress) error {
	if p.NextAt.IsZero() {
		return nil
	}
	old := gateway.DueRef{Account: id.Account, Batch: id.Batch, First: id.Index, Count: 1, Due: p.NextAt, Lane: b.Lane()}
	p.NextAt = time.Time{}
	return t.del(dueKey(old))
}

// nameCopy notes the id of a segment that bears another one already: the operator has it twice. If either copy is delivered, it is.
func (t *tx) nameCopy(k operatorID, m gateway.MessageID, segment int, p *gateway.Progress) error {
	if k.id == "" {
		return nil
	}
	if of, err := t.segmentOf(k); err != nil || of.message == m && of.segment == segment {
		return err // an operator that knows a repeat and gives it the same id
	}
	if err := t.name(k, segmentOf{message: m, segment: segment, copied: true}); err != nil {
		return err
	}
	var early gateway.Segment
	if err := t.unpark(k, p, &early); err != nil {
		return err
	}
	seg := &p.Segments[segment]
	if early.State == gateway.StateDelivered && (!seg.State.Final() || seg.State == gateway.StateUnknown) {
		seg.State, seg.Err = early.State, ""
	}
	return nil
}
