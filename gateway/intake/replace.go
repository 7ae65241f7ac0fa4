package intake

import (
	"context"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/iys"
)

// ReplaceMessage gives a waiting single message a new text and times (SMPP replace_sm). Empty text or zero times keep the old
// ones. Text and consent are judged again; the difference in segments is charged or given back. CodeTooLate when the message
// has left.
func (in *Intake) ReplaceMessage(ctx context.Context, p *gateway.Principal, id gateway.MessageID, text string, sendAt time.Time,
	validFor time.Duration) error {
	if id.Account != p.Account {
		return gateway.Refuse(gateway.CodeNotFound, "id", "message %s does not exist", id)
	}
	dec := gateway.Decision{Kind: gateway.DecisionAccept}
	err := in.store.Replace(ctx, id, func(b *gateway.Batch, r *gateway.Recipient) error {
		return in.replace(p, b, r, text, sendAt, validFor, &dec)
	}, &dec)
	if err != nil {
		return asRefusal(err)
	}
	return nil
}

func (in *Intake) replace(p *gateway.Principal, b *gateway.Batch, r *gateway.Recipient, text string, sendAt time.Time,
	validFor time.Duration, dec *gateway.Decision) error {
	sub := &gateway.Submission{Principal: p, Door: b.Door, Channel: b.Channel, Class: b.Class, Brand: b.Brand,
		RecipientType: b.RecipientType, Reason: b.Reason, From: b.From, To: []gateway.Destination{{Address: r.Address, Vars: r.Vars}},
		Text: text, Encoding: b.Encoding, SendAt: sendAt, ValidFor: validFor, ID: b.ID}
	if text == "" {
		sub.Text, sub.Raw = b.Text, b.Raw
	}
	if validFor == 0 {
		sub.ValidFor = b.ValidUntil.Sub(b.SendAt)
	}
	d, err := in.draft(sub)
	if err != nil {
		return err
	}
	if d.refuseAll != "" {
		return gateway.Refuse(d.refuseAll, "", "")
	}
	plan, words, err := d.planFor(&d.sub.To[0], d.dir.RouteFor(d.acct.ID, b.Class, r.Address))
	if err != nil {
		return err
	}
	v := in.office.Decide(d.batch, r.Address, d.now)
	if v.Outcome == iys.OutcomeRefuse {
		return gateway.Refuse(gateway.CodeOfRule(string(v.Rule)), "", "")
	}
	*dec = consent.Record(gateway.DecisionAccept, v, d.now)
	d.apply(r, v)
	d.note(r, dec, words)
	b.Text, b.Raw = sub.Text, sub.Raw
	if !sendAt.IsZero() {
		b.SendAt = d.batch.SendAt
	}
	from := b.SendAt
	if validFor != 0 && from.Before(d.now) {
		from = d.now
	}
	b.ValidUntil = from.Add(sub.ValidFor)
	r.Segments, r.Encoding = uint8(plan.Segments), uint8(plan.Encoding)
	return nil
}
