package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/iys"
)

// groupLimit is how many messages share one intent commit.
const groupLimit = 100

// handOffAll takes the jobs group by group through permits, the intent commit and the hand-off.
func (c *chunk) handOffAll(ctx context.Context) error {
	for len(c.jobs) > 0 {
		group, err := c.permit(ctx)
		if err != nil {
			return err
		}
		if len(group) == 0 {
			continue
		}
		ok, err := c.openIntents(ctx, group)
		if err != nil {
			for _, j := range group {
				j.carrier.release(len(j.sending), j.batch.Lane())
			}
			return err
		}
		for i, j := range group {
			if !ok[i] { // stopped meanwhile
				j.carrier.release(len(j.sending), j.batch.Lane())
				c.ended = append(c.ended, j)
				continue
			}
			c.d.handOff(ctx, j)
		}
	}
	return nil
}

// permit takes permits for the next jobs of one carrier: it waits for the first and takes along whom it can. Permits bound
// the open intents of the carrier.
func (c *chunk) permit(ctx context.Context) ([]*job, error) {
	first := c.jobs[0]
	k, lane := first.carrier, first.batch.Lane()
	if !k.up() {
		c.leave(k)
		return nil, nil
	}
	if _, err := k.permits.acquire(ctx, len(first.sending), lane); err != nil {
		if errors.Is(err, errDown) {
			c.jobs = c.jobs[1:]
			c.end(first, c.d.carrierDown(first, c.d.cfg.Now()))
			return nil, nil
		}
		return nil, err
	}
	n := 1
	for n < len(c.jobs) && n < groupLimit && c.jobs[n].carrier == k && c.jobs[n].batch.Lane() == lane {
		if _, ok := k.permits.tryNow(len(c.jobs[n].sending), lane); !ok {
			break
		}
		n++
	}
	group := c.jobs[:n]
	c.jobs = c.jobs[n:]
	return group, nil
}

// leave puts back the messages of a carrier that went down meanwhile: each of them would wait to be told so.
func (c *chunk) leave(k *carrier) {
	keep := c.jobs[:0]
	for _, j := range c.jobs {
		if j.carrier == k {
			c.end(j, c.d.carrierDown(j, c.d.cfg.Now()))
		} else {
			keep = append(keep, j)
		}
	}
	c.jobs = keep
}

func (c *chunk) openIntents(ctx context.Context, group []*job) ([]bool, error) {
	intents := make([]gateway.Intent, len(group))
	for i, j := range group {
		intents[i] = gateway.Intent{Message: j.id, Operator: j.carrier.c.Name(), Lane: j.batch.Lane(), Segments: len(j.out.Segments),
			Again: j.progress.Open, NextAt: j.progress.NextAt,
			Decision: consent.Record(gateway.DecisionIntent, j.verdict, c.now)}
	}
	cite := make([]consent.Citation, len(group))
	for i, j := range group {
		cite[i] = consent.Citation{Batch: j.batch, Address: j.rcpt.Address, Decision: &intents[i].Decision}
	}
	c.d.judge.Cite(ctx, cite)
	return c.d.store.OpenIntents(ctx, intents)
}

// handOff waits for room on a bind, decides once more under the address lock, and lets the message go. From here on the
// outcome is written by the flight, whatever happens to ctx.
func (d *Dispatcher) handOff(ctx context.Context, j *job) {
	lane := j.batch.Lane()
	slot, err := j.carrier.slots.acquire(ctx, len(j.sending), lane)
	if err != nil { // the intent is closed: the message has not left
		ch := d.carrierDown(j, d.cfg.Now())
		d.closeUnsent(j, ch)
		return
	}
	f := &flight{d: d, j: j, left: len(j.sending), answers: make([]Answer, len(j.sending))}
	if late, ok := slot.(LateSlot); ok {
		d.sendLate(late, f)
		return
	}
	mu := d.judge.Lock(j.rcpt.Address)
	if ch, stop := d.lastLook(j); stop {
		mu.Unlock()
		slot.Cancel()
		d.closeUnsent(j, ch)
		return
	}
	d.flights.Add(1)
	j.leaving = true
	j.out.Validity = j.batch.ValidUntil.Sub(d.cfg.Now())
	slot.Send(j.out, f.answered)
	mu.Unlock()
	d.cfg.Journal.HandedOff(j.id, j.rcpt.Address, j.carrier.c.Name(), len(j.sending), int(j.progress.Attempts)+1)
}

// late notes an answer that came after the attempt was put in doubt. The message is not handed off again if it has not been yet, and
// its receipt finds it.
func (f *flight) late(segment int, a Answer) {
	d, j := f.d, f.j
	operator := j.carrier.c.Name()
	d.cfg.Journal.Answered(j.id, operator, segment, a.ID, gateway.StateSent, "")
	answer := gateway.LateAnswer{Message: j.id, Operator: operator, Segment: segment, Segments: len(j.out.Segments), OperatorID: a.ID}
	d.store.AnsweredLate(answer, func(whole bool, err error) {
		switch {
		case err == nil && whole:
			d.claimMu.Lock()
			if again := d.claims[j.id]; again != nil {
				again.arrived.Store(true)
			}
			d.claimMu.Unlock()
		case err != nil && !errors.Is(err, gateway.ErrClosed):
			d.cfg.Log.Error("late answer not written", "msg_id", j.id.String(), "operator", operator, "err", err)
		}
	})
}

// lastLook decides at the instant of hand-off, under the address lock, from memory.
func (d *Dispatcher) lastLook(j *job) (gateway.Change, bool) {
	now := d.cfg.Now()
	if j.arrived.Load() {
		return gateway.Change{State: gateway.StateSent}, true
	}
	if ch, stop := d.stopped(j, d.store.Directory(), now); stop {
		return ch, true
	}
	switch v := d.judge.Decide(j.batch, j.rcpt.Address, now); v.Outcome {
	case iys.OutcomeSend:
		return gateway.Change{}, false
	case iys.OutcomeHold, iys.OutcomeAsk:
		// A mirror that grew stale while the message waited for its slot: the next round asks İYS.
		return d.hold(j, gateway.CodeConsentUnavailable, now, v), true
	default:
		return drop(v, now), true
	}
}

// closeUnsent ends an intent whose message did not leave.
func (d *Dispatcher) closeUnsent(j *job, ch gateway.Change) {
	ch.Message, ch.Batch, ch.Recipient = j.id, j.batch, j.rcpt
	ch.Close = true
	honest(j, &ch)
	d.flights.Add(1)
	j.leaving = true
	d.write(j, ch)
}

// write applies the end of an intent and gives its permits back after the sync. A store that cannot write is asked again:
// the outcome is in memory only, and losing it would repeat the message.
func (d *Dispatcher) write(j *job, ch gateway.Change) {
	changes := []gateway.Change{ch}
	d.store.Apply(changes, func(err error) {
		if err == nil {
			d.unclaim(j.id)
			j.carrier.release(len(j.sending), j.batch.Lane())
			d.written([]*job{j}, changes)
			d.flights.Done()
			return
		}
		d.cfg.Log.Error("outcome not written", "msg_id", j.id.String(), "err", err)
		if errors.Is(err, gateway.ErrClosed) {
			d.flights.Done()
			return
		}
		time.AfterFunc(time.Second, func() { d.write(j, ch) })
	})
}

// flight gathers the answers for the segments of one message.
type flight struct {
	d *Dispatcher
	j *job

	mu      sync.Mutex
	left    int             // guarded by mu
	answers []Answer        // by place in j.sending; guarded by mu
	stop    *gateway.Change // what the last look of a late slot decided; written before its answer
}

// answered notes one segment's answer. It is called by the carrier and does not block.
func (f *flight) answered(segment int, a Answer) {
	switch a.Verdict {
	case TakenLate:
		f.late(segment, a)
		return
	case RefusedLate:
		return
	}
	f.mu.Lock()
	for i, s := range f.j.sending {
		if s == segment {
			f.answers[i] = a
		}
	}
	f.left--
	last := f.left == 0
	f.mu.Unlock()
	if !last {
		return
	}
	if f.stop != nil && a.Verdict == Stopped {
		f.d.write(f.j, *f.stop)
		return
	}
	f.d.write(f.j, f.outcome())
}

// outcome turns the answers into what becomes of the message.
func (f *flight) outcome() gateway.Change {
	j := f.j
	ch := gateway.Change{Message: j.id, Batch: j.batch, Recipient: j.rcpt, Operator: j.carrier.c.Name(), Close: true, State: gateway.StateSent,
		Answers: make([]gateway.SegmentAnswer, 0, len(f.answers))}
	var refused, later, doubt bool
	for i, a := range f.answers {
		sa := gateway.SegmentAnswer{Index: j.sending[i], OperatorID: a.ID, Err: a.Err}
		switch a.Verdict {
		case Taken:
			sa.State, sa.Relayed = gateway.StateSent, a.Relayed
		case Refused:
			refused = true
			sa.State = gateway.StateRejected
		case TryLater:
			later = true
			ch.Answers = deferred(ch.Answers, j, sa)
			continue
		default:
			doubt = true
			continue
		}
		f.d.cfg.Journal.Answered(j.id, ch.Operator, sa.Index, sa.OperatorID, sa.State, sa.Err)
		ch.Answers = append(ch.Answers, sa)
	}
	now := f.d.cfg.Now()
	switch {
	case refused:
		ch.State, ch.Code = gateway.StateRejected, gateway.CodeOperatorRejected
		if j.mayHaveLeft() {
			// An earlier attempt may have arrived: the refusal of this one does not tell.
			ch.State, ch.Code = gateway.StateUnknown, gateway.CodeDoubt
		}
	case doubt:
		f.doubt(&ch, now)
	case later:
		ch.State, ch.Code = gateway.StateQueued, gateway.CodeThrottled
		ch.NextAt = earlier(now.Add(backOff(j.progress.Attempts)), laterOf(j.batch.ValidUntil, now))
	}
	if j.batch.Channel == gateway.ChannelEmail && len(f.answers) == 1 {
		f.mail(&ch, f.answers[0], now)
	}
	return ch
}

// doubt decides about a message whose fate cannot be known: handed off again after a new decision, or final: by policy, or because this
// was the last of gateway.MaxDoubts attempts without an answer. An operator that takes and delivers but answers too late would otherwise
// repeat the message until its validity ends.
func (f *flight) doubt(ch *gateway.Change, now time.Time) {
	ch.Code, ch.Doubt = gateway.CodeDoubt, true
	acct := f.d.store.Directory().Accounts[f.j.batch.Account]
	last := f.j.progress.Unanswered()+1 >= gateway.MaxDoubts
	if last || acct != nil && acct.Policy.OnDoubt == "report" || !now.Before(f.j.batch.ValidUntil) {
		ch.State = gateway.StateUnknown
		return
	}
	ch.State = gateway.StateQueued
	wait := time.Duration(0)
	if f.j.progress.Attempts > 0 {
		wait = backOff(f.j.progress.Attempts)
	}
	ch.NextAt = earlier(now.Add(wait), f.j.batch.ValidUntil)
}

// backOff is the pause before another attempt: 1 s, doubling, at most a minute.
func backOff(attempts uint16) time.Duration {
	return min(time.Second<<min(attempts, 6), time.Minute)
}
