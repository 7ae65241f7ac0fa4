package dispatch

import (
	"context"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/iys"
)

// judgeAll decides about every job; what İYS has to be asked about is asked in one call per batch.
func (c *chunk) judgeAll(ctx context.Context) {
	ask := map[*gateway.Batch][]string{}
	keep := c.jobs[:0]
	var waiting []*job
	for _, j := range c.jobs {
		if ch, stop := c.stopped(j, c.now); stop {
			c.end(j, ch)
			continue
		}
		j.verdict = c.d.judge.Decide(j.batch, j.rcpt.Address, c.now)
		if j.verdict.Outcome == iys.OutcomeAsk {
			ask[j.batch] = append(ask[j.batch], j.rcpt.Address)
			waiting = append(waiting, j)
			continue
		}
		if c.judged(j) {
			keep = append(keep, j)
		}
	}
	for b, addresses := range ask {
		c.d.judge.Ask(ctx, b, addresses)
	}
	c.now = c.d.cfg.Now()
	for _, j := range waiting {
		j.verdict = c.d.judge.Decide(j.batch, j.rcpt.Address, c.now)
		if c.judged(j) {
			keep = append(keep, j)
		}
	}
	c.jobs = keep
}

// judged reports whether the job may go on; otherwise it is ended here.
func (c *chunk) judged(j *job) bool {
	switch j.verdict.Outcome {
	case iys.OutcomeSend:
		return true
	case iys.OutcomeHold, iys.OutcomeAsk:
		c.end(j, c.d.hold(j, gateway.CodeConsentUnavailable, c.now, j.verdict))
	default:
		c.end(j, drop(j.verdict, c.now))
	}
	return false
}

// drop ends a message that policy stops.
func drop(v iys.Verdict, now time.Time) gateway.Change {
	d := consent.Record(gateway.DecisionDrop, v, now)
	return gateway.Change{State: gateway.StateDropped, Code: gateway.CodeOfRule(string(v.Rule)), Decision: &d}
}

// hold keeps a message for a while: longer each time, never past its validity.
func (d *Dispatcher) hold(j *job, code gateway.Code, now time.Time, v iys.Verdict) gateway.Change {
	holds := 0
	if j.progress.Code == code {
		holds = min(len(j.progress.Decisions), 5)
	}
	next := now.Add(min(d.cfg.HoldFor<<holds, 10*time.Minute))
	dec := consent.Record(gateway.DecisionHold, v, now)
	return gateway.Change{State: gateway.StateHeld, Code: code, NextAt: earlier(next, j.batch.ValidUntil), Decision: &dec}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// stopped checks everything that stops a message besides consent, from memory: cancel, validity, pause, quiet hours, account.
func (c *chunk) stopped(j *job, now time.Time) (gateway.Change, bool) {
	return c.d.stopped(j, c.dir, now)
}

func (d *Dispatcher) stopped(j *job, dir *gateway.Directory, now time.Time) (gateway.Change, bool) {
	b := j.batch
	paused, cancelled := d.store.Stopped(b.Ref())
	acct := dir.Accounts[b.Account]
	switch {
	case b.Channel == gateway.ChannelSMS && j.progress.Whole():
		// Answered late, while an attempt was under way that a crash cut off: the operator has it.
		return gateway.Change{State: gateway.StateSent, Close: true}, true
	case cancelled:
		return rule(gateway.DecisionDrop, gateway.StateCancelled, gateway.CodeCancelled, time.Time{}, now), true
	case !now.Before(b.ValidUntil):
		return expired(j, now), true
	case j.progress.Open && acct != nil && acct.Policy.OnDoubt == "report":
		ch := rule(gateway.DecisionDrop, gateway.StateUnknown, gateway.CodeDoubt, time.Time{}, now)
		ch.Close = true
		return ch, true
	case paused:
		return rule(gateway.DecisionHold, gateway.StateHeld, gateway.CodePaused, b.ValidUntil, now), true
	case j.rcpt.State == gateway.StateHeld && j.rcpt.Code == gateway.CodePromotional && !d.store.Released(b.Ref()):
		return rule(gateway.DecisionHold, gateway.StateHeld, gateway.CodePromotional, b.ValidUntil, now), true
	case b.Channel == gateway.ChannelEmail && d.cfg.Suppressed != nil && d.cfg.Suppressed(b.Account, j.rcpt.Address):
		return rule(gateway.DecisionDrop, gateway.StateDropped, gateway.CodeSuppressed, time.Time{}, now), true
	case acct == nil || acct.Suspended:
		return rule(gateway.DecisionHold, gateway.StateHeld, gateway.CodeUnauthorized, earlier(now.Add(10*time.Minute), b.ValidUntil), now), true
	}
	if b.Class != gateway.ClassCommercial || !d.cfg.QuietHours {
		return gateway.Change{}, false
	}
	if until, quiet := QuietUntil(acct.Policy, now); quiet {
		return rule(gateway.DecisionHold, gateway.StateHeld, gateway.CodeQuietHours, earlier(until, b.ValidUntil), now), true
	}
	return gateway.Change{}, false
}

// expired ends a message whose validity is over, naming what held it.
func expired(j *job, now time.Time) gateway.Change {
	code := gateway.CodeExpired
	switch j.progress.Code {
	case gateway.CodeQuietHours, gateway.CodeConsentUnavailable, gateway.CodePromotional, gateway.CodeOperatorDown, gateway.CodeDeferred:
		code = j.progress.Code
	}
	return rule(gateway.DecisionDrop, gateway.StateExpired, code, time.Time{}, now)
}

// rule is a change decided by the gateway itself.
func rule(kind gateway.DecisionKind, st gateway.State, code gateway.Code, next, now time.Time) gateway.Change {
	verdict := "drop"
	if kind == gateway.DecisionHold {
		verdict = "hold"
	}
	return gateway.Change{State: st, Code: code, NextAt: next,
		Decision: &gateway.Decision{Kind: kind, Verdict: verdict, Rule: string(code), At: now, Policy: iys.PolicyVersion}}
}
