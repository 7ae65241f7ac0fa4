package store

import (
	"context"
	"errors"

	"izinli/gateway"
)

// flags of a batch.
const (
	flagPaused = 1 << iota
	flagCancelled
	flagReleased // somebody looked at texts held for their words, and let them go
)

// setFlags keeps the in-memory copy that hand-off asks. A batch is in it from its first pause, release or cancellation until the
// sweep has settled it.
func (s *Store) setFlags(ref gateway.BatchRef, f byte) {
	s.flagsMu.Lock()
	defer s.flagsMu.Unlock()
	if f == 0 {
		delete(s.flags, ref)
	} else {
		s.flags[ref] = f
	}
}

// Stopped tells, from memory, whether a batch is paused or cancelled.
func (s *Store) Stopped(ref gateway.BatchRef) (paused, cancelled bool) {
	s.flagsMu.RLock()
	f := s.flags[ref]
	s.flagsMu.RUnlock()
	return f&flagPaused != 0, f&flagCancelled != 0
}

// Released tells, from memory, whether texts of the batch that were held for their words may go.
func (s *Store) Released(ref gateway.BatchRef) bool {
	s.flagsMu.RLock()
	defer s.flagsMu.RUnlock()
	return s.flags[ref]&flagReleased != 0
}

// flagsSettled is the second octet of the flags of a batch that hand-off need not know of any more.
const flagsSettled = 1

// settleFlags ends what hand-off knows of a batch: nothing of it waits any more.
func (s *Store) settleFlags(ref gateway.BatchRef) error {
	s.flagsMu.RLock()
	_, held := s.flags[ref]
	s.flagsMu.RUnlock()
	if !held {
		return nil
	}
	return s.do(func(t *tx) error {
		v, err := t.batch(ref)
		if err != nil {
			return err
		}
		if v != nil {
			// One with a validity of its own has its own entry for the sweep.
			if over, err := t.over(v, ref); err != nil || !over {
				return err
			}
		}
		flags, err := t.get(flagsKey(ref))
		if err != nil {
			return err
		}
		t.after(func() { t.s.setFlags(ref, 0) })
		if len(flags) == 0 {
			return nil
		}
		return t.set(flagsKey(ref), []byte{flags[0], flagsSettled}, t.s.opt.Retention)
	})
}

// over reports whether nothing of a stored batch can wait any more.
func (t *tx) over(v []byte, ref gateway.BatchRef) (bool, error) {
	b, _, err := decodeHeader(v, ref)
	return err == nil && !b.ValidUntil.Add(gateway.UnknownAfter).After(t.now), fatal(err)
}

func (t *tx) flag(ref gateway.BatchRef, set, clear byte) error {
	v, err := t.batch(ref)
	if err != nil {
		return err
	}
	if v == nil {
		return gateway.Refuse(gateway.CodeNotFound, "batch", "batch %s does not exist", ref)
	}
	over, err := t.over(v, ref)
	if err != nil {
		return err
	}
	if over {
		return gateway.Refuse(gateway.CodeTooLate, "batch", "nothing of batch %s waits any more: its validity is over", ref)
	}
	old, err := t.get(flagsKey(ref))
	if err != nil {
		return err
	}
	var f byte
	if len(old) > 0 {
		f = old[0]
	}
	if f&flagCancelled != 0 && set != flagCancelled {
		return gateway.Refuse(gateway.CodeConflict, "batch", "batch %s is cancelled", ref)
	}
	n := f&^clear | set
	if n == f {
		return nil
	}
	t.after(func() { t.s.setFlags(ref, n) })
	if n == 0 {
		return t.del(flagsKey(ref))
	}
	return t.set(flagsKey(ref), []byte{n}, t.s.opt.Retention)
}

// PauseBatch stops what has not left until ResumeBatch or the end of validity.
func (s *Store) PauseBatch(_ context.Context, a gateway.AccountID, ref gateway.BatchRef) error {
	if ref.Account != a {
		return gateway.Refuse(gateway.CodeNotFound, "batch", "")
	}
	return s.do(func(t *tx) error { return t.flag(ref, flagPaused, 0) })
}

// ResumeBatch lets a paused batch go on, and messages that were held for promotional words; they become due at once or at
// their sendAt.
func (s *Store) ResumeBatch(ctx context.Context, a gateway.AccountID, ref gateway.BatchRef) error {
	if ref.Account != a {
		return gateway.Refuse(gateway.CodeNotFound, "batch", "")
	}
	if err := s.do(func(t *tx) error { return t.flag(ref, flagReleased, flagPaused) }); err != nil {
		return err
	}
	// Messages that were held stand in the due index at the end of their validity: bring them forward. Also when the batch went on
	// already: a crash may have come between the flag and its messages, and whoever had no answer asks again.
	return s.eachMessage(ref, func(t *tx, b *gateway.Batch, id gateway.MessageID, _ *gateway.Recipient, p *gateway.Progress) error {
		// One that a crash left in doubt is held like the others: what hands it over knows that it may have left.
		if p.State != gateway.StateHeld || p.Code != gateway.CodePaused && p.Code != gateway.CodePromotional {
			return nil
		}
		if err := t.unwait(id, b, p); err != nil {
			return err
		}
		if err := t.wait(id, b, p, b.SendAt); err != nil {
			return err
		}
		p.State, p.Code = gateway.StateQueued, ""
		return t.save(id, p, nil)
	})
}

// CancelBatch stops everything of the batch that has not left and refunds it; it returns how many messages it stopped.
func (s *Store) CancelBatch(_ context.Context, a gateway.AccountID, ref gateway.BatchRef) (int, error) {
	if ref.Account != a {
		return 0, gateway.Refuse(gateway.CodeNotFound, "batch", "")
	}
	if err := s.do(func(t *tx) error { return t.flag(ref, flagCancelled, flagPaused) }); err != nil {
		return 0, err
	}
	var n blockCount
	err := s.eachMessage(ref, func(t *tx, b *gateway.Batch, id gateway.MessageID, r *gateway.Recipient, p *gateway.Progress) error {
		ok, err := t.cancel(id, b, r, p)
		n.add(id, ok)
		return err
	})
	if err == nil && n.sum() == 0 {
		err = gateway.Refuse(gateway.CodeTooLate, "batch", "nothing of batch %s is left to stop", ref)
	}
	return n.sum(), err
}

// blockCount counts messages of a batch; a block that is visited again is counted anew.
type blockCount map[uint32]int

func (c *blockCount) add(id gateway.MessageID, counts bool) {
	if *c == nil {
		*c = blockCount{}
	}
	block := id.Index / gateway.BlockSize
	if id.Index%gateway.BlockSize == 0 {
		(*c)[block] = 0
	}
	if counts {
		(*c)[block]++
	}
}

func (c blockCount) sum() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

// cancel ends a message that has not left; false when it is too late.
func (t *tx) cancel(id gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, p *gateway.Progress) (bool, error) {
	if r.State == gateway.StateDropped || p.MayHaveLeft() || p.State.Final() || p.State == gateway.StateSent {
		return false, nil
	}
	p.State, p.Code = gateway.StateCancelled, gateway.CodeCancelled
	if err := t.unwait(id, b, p); err != nil {
		return false, err
	}
	if err := t.finish(id, b, r, p); err != nil {
		return false, err
	}
	if err := t.mailDone(id, b, r, p, false); err != nil {
		return false, err
	}
	return true, t.save(id, p, &gateway.Decision{Kind: gateway.DecisionDrop, Verdict: "drop", Rule: string(gateway.CodeCancelled)})
}

// CancelMessage stops one message: CodeNotFound, or CodeTooLate when it has left or is final.
func (s *Store) CancelMessage(_ context.Context, a gateway.AccountID, id gateway.MessageID) error {
	if id.Account != a {
		return gateway.Refuse(gateway.CodeNotFound, "id", "")
	}
	return s.do(func(t *tx) error {
		b, r, err := t.message(id)
		if errors.Is(err, errCorrupt) {
			return gateway.Refuse(gateway.CodeNotFound, "id", "")
		}
		if err != nil {
			return err
		}
		p, err := t.progress(id)
		if err != nil {
			return err
		}
		ok, err := t.cancel(id, b, r, &p)
		if err == nil && !ok {
			err = gateway.Refuse(gateway.CodeTooLate, "id", "message %s has left or is final", id)
		}
		return err
	})
}

// eachMessage runs f over every stored message of the batch, a block per act, so that others are served in between.
func (s *Store) eachMessage(ref gateway.BatchRef, f func(*tx, *gateway.Batch, gateway.MessageID, *gateway.Recipient, *gateway.Progress) error) error {
	for block := uint32(0); ; block++ {
		more := false
		err := s.do(func(t *tx) error {
			b, rs, _, err := t.reader().block(ref, block)
			if err != nil || b == nil {
				return err
			}
			more = int(block+1)*gateway.BlockSize < b.Count
			for i := range rs {
				id := ref.Message(block*gateway.BlockSize + uint32(i))
				p, err := t.progress(id)
				if err != nil {
					return errFatal{err}
				}
				if err := f(t, b, id, &rs[i], &p); err != nil {
					return errFatal{err}
				}
			}
			return nil
		})
		if err != nil || !more {
			return err
		}
	}
}

// Replace gives a single waiting message a new text, due time and validity in one commit; the caller has judged them. The
// difference in segments is charged or given back. CodeTooLate when it has left.
func (s *Store) Replace(_ context.Context, id gateway.MessageID, change func(b *gateway.Batch, r *gateway.Recipient) error, d *gateway.Decision) error {
	return s.do(func(t *tx) error {
		b, r, err := t.readMessage(id)
		if errors.Is(err, errCorrupt) {
			return gateway.Refuse(gateway.CodeNotFound, "id", "")
		}
		if err != nil {
			return err
		}
		if b.Count != 1 {
			return gateway.Refuse(gateway.CodeConflict, "id", "message %s belongs to a batch; only single messages can be replaced", id)
		}
		p, err := t.progress(id)
		if err != nil {
			return err
		}
		if p.MayHaveLeft() || p.State.Final() || p.State == gateway.StateSent || r.State == gateway.StateDropped {
			return gateway.Refuse(gateway.CodeTooLate, "id", "message %s has left or is final", id)
		}
		before := credits(b, r)
		if err := change(b, r); err != nil {
			return err
		}
		extra := int64(credits(b, r) - before)
		if l, err := t.ledger(id.Account); err != nil || extra > 0 && l.credits < extra {
			if err == nil {
				err = gateway.Refuse(gateway.CodeNoCredit, "", "")
			}
			return err
		}
		return fatal(t.rewrite(id, b, r, &p, extra, d))
	})
}

func fatal(err error) error {
	if err != nil {
		return errFatal{err}
	}
	return nil
}

// rewrite stores the changed single message and makes it due at its new time; the old due entry finds it changed and is
// cleared by hand-off.
func (t *tx) rewrite(id gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, p *gateway.Progress, extra int64, d *gateway.Decision) error {
	old, err := t.batch(id.Ref())
	if err != nil {
		return err
	}
	_, inline, err := decodeHeader(old, id.Ref())
	if err != nil {
		return err
	}
	at := append(enc(nil), inline[:decisionRefLen]...)
	encodeRecipients(&at, []gateway.Recipient{*r})
	var v enc
	v.u8(1)
	encodeBatch(&v, b)
	v.bytes(at)
	if err := t.set(batchKey(id.Ref()), v, t.s.opt.Retention); err != nil {
		return err
	}
	t.s.recent.drop(id.Ref())
	t.after(func() { t.s.recent.drop(id.Ref()) })
	if err := t.book(id.Account, b.Created(), extra, 0); err != nil {
		return err
	}
	p.State, p.Code = gateway.StateQueued, ""
	if r.State == gateway.StateHeld {
		p.State, p.Code = r.State, r.Code
	}
	if b.SendAt.After(t.now) {
		p.State, p.Code = gateway.StateScheduled, ""
	}
	if err := t.wait(id, b, p, b.SendAt); err != nil {
		return err
	}
	if !defaultSettle(b) {
		if err := t.set(settleKey(b.ValidUntil.Add(gateway.UnknownAfter), id.Ref()), nil, 0); err != nil {
			return err
		}
	}
	return t.save(id, p, d)
}
