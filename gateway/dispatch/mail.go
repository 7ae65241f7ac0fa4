package dispatch

import (
	"errors"
	"time"

	"izinli/gateway"
	"izinli/gateway/sms"
)

// A mail is one message of one segment: it has one recipient here, one hand-off and one answer.

// wholeMail stands for the segments of a mail, whose body only its carrier reads.
var wholeMail = []sms.Segment{{}}

// waiting is a message whose carrier asks it to wait.
type waiting struct {
	j    *job
	wait time.Duration
}

// routeOf finds the route of a message; mail of one account and class shares one per chunk.
func (c *chunk) routeOf(j *job) *gateway.Route {
	b := j.batch
	if b.Channel != gateway.ChannelEmail {
		return c.dir.RouteFor(b.Account, b.Class, j.rcpt.Address)
	}
	k := mailRoute{b.Account, b.Class}
	r, known := c.mailRoutes[k]
	if !known {
		if c.mailRoutes == nil {
			c.mailRoutes = map[mailRoute]*gateway.Route{}
		}
		r = c.dir.MailRouteFor(b.Account, b.Class)
		c.mailRoutes[k] = r
	}
	return r
}

type mailRoute struct {
	account gateway.AccountID
	class   string
}

// errStopped tells a late slot that its message must not leave.
var errStopped = errors.New("dispatch: stopped at the last look")

// sendLate gives a message to a slot whose hand-off is still to come. The decision falls under the address lock at that instant.
func (d *Dispatcher) sendLate(slot LateSlot, f *flight) {
	j := f.j
	d.flights.Add(1)
	j.leaving = true
	j.out.Validity = j.batch.ValidUntil.Sub(d.cfg.Now())
	j.out.Place, j.place = j.place, nil
	slot.SendLate(j.out, func() error {
		mu := d.judge.Lock(j.rcpt.Address)
		ch, stop := d.lastLook(j)
		mu.Unlock()
		if !stop {
			d.cfg.Journal.HandedOff(j.id, j.rcpt.Address, j.carrier.c.Name(), 1, j.out.Attempt)
			return nil
		}
		ch.Message, ch.Batch, ch.Recipient = j.id, j.batch, j.rcpt
		ch.Close = true
		honest(j, &ch)
		f.stop = &ch
		return errStopped
	}, f.answered)
}

// deferred keeps what a server said that asks for another attempt: a person wants to know why a mail waits.
func deferred(list []gateway.SegmentAnswer, j *job, sa gateway.SegmentAnswer) []gateway.SegmentAnswer {
	if j.batch.Channel != gateway.ChannelEmail || sa.Err == "" {
		return list
	}
	return append(list, sa)
}

// mail completes the outcome of a mail: its schedule is its own, and a refusal may say that nobody is there.
func (f *flight) mail(ch *gateway.Change, a Answer, now time.Time) {
	j := f.j
	switch {
	case a.Verdict == Refused && ch.State == gateway.StateRejected && a.Code != "":
		ch.State, ch.Code = gateway.StateUndelivered, a.Code
	case a.Verdict == TryLater && a.Down:
		down := f.d.carrierDown(j, now)
		ch.State, ch.Code, ch.NextAt = down.State, down.Code, down.NextAt
		if a.Wait > 0 {
			ch.NextAt = earlier(now.Add(a.Wait), laterOf(j.batch.ValidUntil, now))
		}
	case a.Verdict == TryLater:
		ch.Code = gateway.CodeDeferred
		if a.Wait > 0 {
			ch.NextAt = earlier(now.Add(a.Wait), laterOf(j.batch.ValidUntil, now))
		}
	case a.Verdict == Doubt && ch.State == gateway.StateQueued && a.Wait > 0 && j.out.Attempt > 1:
		ch.NextAt = earlier(now.Add(a.Wait), j.batch.ValidUntil)
	}
}
