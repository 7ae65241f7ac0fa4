package intake

import (
	"context"
	"errors"
	"unicode/utf8"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/consent"
	"izinli/iys"
)

// maxRef bounds the caller's own reference, in characters.
const maxRef = 64

// judgeAll brings every recipient to a verdict: refused (not stored), dropped (stored, with its reason) or accepted.
func (d *draft) judgeAll(ctx context.Context, ask bool) error {
	n := len(d.sub.To)
	d.verdicts = make([]gateway.Verdict, n)
	d.recipients = make([]gateway.Recipient, 0, n)
	d.decisions = make([]gateway.Decision, 0, n)
	d.places = make([]int, 0, n)
	opt := address.Options{DomesticOnly: !d.acct.Policy.AllowForeign}
	var unknown []int // recipients whose consent only İYS can tell
	for i := range d.sub.To {
		if i%1000 == 999 && ctx.Err() != nil {
			return gateway.Refuse(gateway.CodeUnavailable, "", "the request was given up")
		}
		if d.recipient(i, opt) == iys.OutcomeAsk {
			unknown = append(unknown, len(d.recipients)-1)
		}
	}
	if ask && len(unknown) > 0 {
		d.askAbout(ctx, unknown)
	}
	d.citeDrops(ctx)
	return nil
}

// citeDrops names the consent record behind each drop. A message that goes on gets its own at hand-off.
func (d *draft) citeDrops(ctx context.Context) {
	var list []consent.Citation
	for i := range d.recipients {
		if d.recipients[i].State == gateway.StateDropped {
			list = append(list, consent.Citation{Batch: d.batch, Address: d.recipients[i].Address, Decision: &d.decisions[i]})
		}
	}
	if len(list) > 0 {
		d.in.office.Cite(ctx, list)
	}
}

// recipient judges the i-th recipient and returns the verdict's outcome for a stored one.
func (d *draft) recipient(i int, opt address.Options) iys.Outcome {
	to := &d.sub.To[i]
	v := &d.verdicts[i]
	v.Index, v.Ref, v.To = i, to.Ref, to.Address
	if len(to.Ref) > maxRef && utf8.RuneCountInString(to.Ref) > maxRef {
		v.Code, v.Text = gateway.CodeInvalid, "ref is longer than 64 characters"
		return iys.OutcomeRefuse
	}
	r, words, ok := d.readRecipient(to, v, opt)
	if !ok && !d.promised(to, &r) {
		return iys.OutcomeRefuse
	}
	v.ID = d.batch.Ref().Message(uint32(len(d.recipients)))
	v.Words = words
	var dec gateway.Decision
	var out iys.Outcome
	switch {
	case !ok:
		dec = d.drop(&r, v.Code)
	case d.refuseAll != "":
		dec = d.drop(&r, d.refuseAll)
	case d.suppressed(&r):
		dec = d.drop(&r, gateway.CodeSuppressed)
	default:
		dec, out = d.consent(&r)
	}
	d.note(&r, &dec, words)
	d.recipients = append(d.recipients, r)
	d.decisions = append(d.decisions, dec)
	d.places = append(d.places, i)
	v.State, v.Code = r.State, r.Code
	return out
}

// drop stops a recipient for a reason that is none of consent.
func (d *draft) drop(r *gateway.Recipient, code gateway.Code) gateway.Decision {
	r.State, r.Code = gateway.StateDropped, code
	return gateway.Decision{Kind: gateway.DecisionAccept, Verdict: "drop", Rule: string(code), At: d.now, Policy: iys.PolicyVersion}
}

// promised reports whether the door has taken a recipient before it knew the text, at RCPT, so that nobody tells its sender of a refusal
// now but the store; r becomes what is stored of it.
func (d *draft) promised(to *gateway.Destination, r *gateway.Recipient) bool {
	if !d.mailed() || d.sub.DryRun {
		return false
	}
	num, err := address.Parse(to.Address, address.Options{}) // whatever the account may write to by now
	if err != nil {
		return false
	}
	*r = gateway.Recipient{Address: num.String(), Ref: to.Ref, Vars: marks(to.Vars)}
	return true
}

// readRecipient reads address and text of a recipient; what is wrong stands in v.
func (d *draft) readRecipient(to *gateway.Destination, v *gateway.Verdict, opt address.Options) (gateway.Recipient, []string, bool) {
	if d.batch.Channel == gateway.ChannelEmail {
		return d.mailRecipient(to, v)
	}
	num, err := address.Parse(to.Address, opt)
	if err != nil {
		v.Code = numberCode(err)
		v.Text = v.Code.Wire().Title
		return gateway.Recipient{}, nil, false
	}
	addr := num.String()
	v.To = addr
	plan, words, err := d.planFor(to, d.dir.RouteFor(d.acct.ID, d.batch.Class, addr))
	if err != nil {
		v.Code, v.Text = gateway.CodeInternal, err.Error()
		var e *gateway.Error
		if errors.As(err, &e) {
			v.Code, v.Text = e.Code, e.Text
		}
		return gateway.Recipient{}, nil, false
	}
	v.Segments, v.Encoding = plan.Segments, plan.Encoding.String()
	r := gateway.Recipient{Address: addr, Ref: to.Ref, Segments: uint8(plan.Segments), Encoding: uint8(plan.Encoding)}
	if !d.texts.fixed {
		r.Vars = d.texts.tmpl.Used(to.Vars)
	}
	if d.mailed() {
		r.Vars = append(r.Vars, marks(to.Vars)...)
	}
	return r, words, true
}

// note records the promotional words of a transactional text, and holds the message where the account wants that.
func (d *draft) note(r *gateway.Recipient, dec *gateway.Decision, words []string) {
	if len(words) == 0 {
		return
	}
	dec.Words = words
	if d.acct.Policy.Promotional == "hold" && r.State != gateway.StateDropped {
		r.State, r.Code = gateway.StateHeld, gateway.CodePromotional
	}
}

// consent asks the office about one recipient.
func (d *draft) consent(r *gateway.Recipient) (gateway.Decision, iys.Outcome) {
	verdict := d.in.office.Decide(d.batch, r.Address, d.now)
	d.apply(r, verdict)
	return consent.Record(gateway.DecisionAccept, verdict, d.now), verdict.Outcome
}

// apply sets the state a verdict gives a recipient at the door. What İYS has to be asked about is accepted: it is asked
// before hand-off.
func (d *draft) apply(r *gateway.Recipient, v iys.Verdict) {
	r.Code = ""
	switch v.Outcome {
	case iys.OutcomeSend, iys.OutcomeAsk, iys.OutcomeHold:
		r.State = gateway.StateQueued
		if d.batch.SendAt.After(d.now) {
			r.State = gateway.StateScheduled
		}
		if v.Outcome == iys.OutcomeHold {
			r.State, r.Code = gateway.StateHeld, gateway.CodeConsentUnavailable
		}
	default:
		r.State, r.Code = gateway.StateDropped, gateway.CodeOfRule(string(v.Rule))
	}
}

// askAbout asks İYS live about the recipients at the given places and judges them again.
func (d *draft) askAbout(ctx context.Context, places []int) {
	ctx, cancel := context.WithTimeout(ctx, d.in.cfg.AskTimeout)
	defer cancel()
	addrs := make([]string, len(places))
	for i, p := range places {
		addrs[i] = d.recipients[p].Address
	}
	d.in.office.Ask(ctx, d.batch, addrs)
	d.now = d.in.cfg.Now()
	for _, p := range places {
		r := &d.recipients[p]
		d.decisions[p], _ = d.consent(r)
		v := &d.verdicts[d.places[p]]
		v.State, v.Code = r.State, r.Code
	}
}

func numberCode(err error) gateway.Code {
	switch {
	case errors.Is(err, address.ErrForeign):
		return gateway.CodeForeign
	case errors.Is(err, address.ErrNotMobile):
		return gateway.CodeNotMobile
	}
	return gateway.CodeBadNumber
}

// result counts the verdicts.
func (d *draft) result() gateway.Result {
	d.batch.Count = len(d.recipients)
	res := gateway.Result{Batch: d.batch.Ref(), Messages: d.verdicts}
	for i := range d.verdicts {
		switch v := &d.verdicts[i]; {
		case v.Refused():
			res.Refused++
		case v.State == gateway.StateDropped:
			res.Dropped++
		default:
			res.Accepted++
			res.Segments += v.Segments
		}
	}
	res.Credits = res.Segments
	if d.sub.Door == gateway.DoorSystem || d.batch.Channel == gateway.ChannelEmail { // credits are SMS segments
		res.Credits = 0
	}
	if len(d.verdicts) > listLimit {
		res.Messages = make([]gateway.Verdict, 0, res.Refused+res.Dropped)
		for i := range d.verdicts {
			if v := &d.verdicts[i]; v.Refused() || v.State == gateway.StateDropped {
				res.Messages = append(res.Messages, *v)
			}
		}
	}
	return res
}
