package smppserver

import (
	"context"
	"slices"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/sms"
)

// The road of a long message that comes in parts: each part is checked like a
// message (number, sender), stored, and answered with an id of its own. The
// part that completes its set turns all of them into one submission. A set
// that never completes, or that is refused as a whole, ends in receipts for
// the parts that asked for them. Clients use a reference again, some always the
// same: a part that says something else than the one that is there begins a
// new message, and what is incomplete of the old one ends in receipts. The
// store is the truth: what a crash leaves behind is found by the sweep.

// partsGiveUp is when a complete set that cannot be submitted is given up. It
// stays below the hour after which the store forgets parts.
const partsGiveUp = 45 * time.Minute

// part is the stored form of one piece.
func (c *session) part(sub *gateway.Submission, m *smpp.SubmitSM, d *userData) *gateway.Part {
	p := &gateway.Part{
		Set: gateway.PartSet{Account: sub.Principal.Account, Source: plainNumber(sub.From), Dest: sub.To[0].Address,
			Reference: d.concat.Ref, Wide: d.concat.Width != sms.Ref8, Total: d.concat.Total},
		Seq: d.concat.Seq, System: c.system, At: c.srv.cfg.Now(), PDU: m.AppendTo(nil, 0)[smpp.HeaderLen:],
		Content: gateway.PartContent(byte(m.DataCoding), d.udh, d.body),
	}
	// The first part's id becomes the message's. The others' have the shorter
	// form of a batch, so that no look-up takes them for a message.
	id := c.srv.deps.NewID(sub.Principal.Account)
	p.ID = id.String()
	if p.Seq > 1 {
		p.ID = id.Ref().String()
	}
	return p
}

// submitPart serves a submit_sm or data_sm that is a part.
func (c *session) submitPart(ctx context.Context, a asks, r *reply) {
	checked, err := c.srv.deps.Submit.Check(ctx, a.sub)
	if err != nil {
		c.refused(r, err)
		return
	}
	inline := a.sub.Principal.Credential.Inline || a.sub.Receipt&gateway.ReceiptFailure == 0
	if v := checked[0]; v.Refused() || v.State == gateway.StateDropped && inline {
		r.refuse(codeStatus(v.Code))
		return
	}
	release := c.srv.sets.share(a.part.Set.Name())
	defer release()
	all, err := c.srv.deps.Store.PutPart(ctx, a.part)
	switch {
	case err != nil:
		c.refused(r, err)
	case all == nil:
		r.accept(a.part.ID)
	case inline:
		// No receipt would tell this client that the whole was refused.
		if err := c.srv.complete(ctx, a.sub.Principal, all, a.part.ID); err != nil {
			r.refuse(statusOf(err))
			return
		}
		r.accept(a.part.ID)
	default:
		r.accept(a.part.ID)
		_ = c.srv.complete(ctx, a.sub.Principal, all, "") // receipts tell
	}
}

// complete submits a complete set as one message. A passing failure leaves the
// set to the sweep and returns nil: the parts are stored and promised. A
// refusal fails the parts, save the one that is answered with the error.
func (s *Server) complete(ctx context.Context, p *gateway.Principal, all []gateway.Part, answered string) error {
	sub, err := s.assemble(p, all)
	var res gateway.Result
	if err == nil {
		res, err = s.deps.Submit.Submit(ctx, sub)
	}
	if err == nil && len(res.Messages) > 0 {
		if v := res.Messages[0]; v.Refused() {
			err = gateway.Refuse(v.Code, "", "")
		} else if v.State == gateway.StateDropped && sub.Receipt&gateway.ReceiptFailure == 0 {
			return gateway.Refuse(v.Code, "", "") // recorded, the parts are consumed
		}
	}
	switch {
	case err == nil:
		return nil
	case passing(err) && s.cfg.Now().Sub(all[0].At) < partsGiveUp:
		s.unfinished.Store(true)
		s.log.Warn("long message waits to be submitted", "set", all[0].ID, "code", codeOf(err), "err", err)
		return nil
	}
	s.failParts(ctx, all, codeOf(err), answered)
	return err
}

// assemble puts the parts together. Class, times and addresses are the first
// part's; a receipt is due if any part asked for one.
func (s *Server) assemble(p *gateway.Principal, all []gateway.Part) (*gateway.Submission, error) {
	now := s.cfg.Now()
	sub := &gateway.Submission{Principal: p, Door: gateway.DoorSMPP, Channel: gateway.ChannelSMS, Parts: &all[0].Set}
	raw := &gateway.RawSMS{Parts: make([]gateway.RawPart, len(all))}
	data := make([]userData, len(all))
	texts := sms.NewReassembler(sms.Limits{})
	var whole []sms.Whole
	for i := range all {
		var m smpp.SubmitSM
		if err := m.Decode(smpp.Header{}, all[i].PDU); err != nil {
			return nil, err
		}
		var err error
		if data[i], err = readUserData(&m, false); err != nil {
			return nil, err
		}
		if i == 0 {
			if err := first(sub, &m, &all[0], now); err != nil {
				return nil, err
			}
			raw.DataCoding, raw.ProtocolID = byte(m.DataCoding), m.ProtocolID
		} else {
			raw.Parts[i].ID = all[i].ID
		}
		sub.Receipt |= receiptWish(m.RegisteredDelivery)
		if data[i].enc != sms.Binary {
			whole, _ = texts.Add(whole, sms.Part{Concat: data[i].concat, DataCoding: byte(m.DataCoding), UDH: data[i].udh, Body: data[i].body}, now)
		}
	}
	if len(whole) == 1 {
		sub.Text = whole[0].Text
	}
	tieParts(raw, data)
	sub.Raw = raw
	return sub, nil
}

// first reads the envelope from the first part, whose id is the message's.
func first(sub *gateway.Submission, m *smpp.SubmitSM, p *gateway.Part, now time.Time) error {
	id, err := gateway.ParseMessageID(p.ID)
	if err != nil {
		return err
	}
	sub.ID = id.Batch
	if err := envelope(sub, m, p.At); err != nil {
		return err
	}
	if err := addressees(sub, m, nil); err != nil {
		return err
	}
	// The clock ran since the first part came.
	start := p.At
	if sub.SendAt.After(start) {
		start = sub.SendAt
	}
	if late := now.Sub(start); late > 0 {
		sub.SendAt = time.Time{}
		if sub.ValidFor > 0 {
			if sub.ValidFor -= late; sub.ValidFor <= 0 {
				return gateway.Refuse(gateway.CodeExpired, "", "")
			}
			sub.ValidFor = max(sub.ValidFor, gateway.MinValidity)
		}
	}
	return nil
}

// tieParts gives parts that came with SAR parameters the header element they
// need on the air: the 16-bit one if there is room in every part.
func tieParts(raw *gateway.RawSMS, data []userData) {
	wide := true
	for i := range data {
		wide = wide && fitsIn(data[i].enc, max(len(data[i].udh), 1)+6, len(data[i].body))
	}
	for i := range data {
		d := &data[i]
		raw.Parts[i].Body = slices.Clone(d.body)
		switch c := d.concat; {
		case c.Width != sms.RefSAR:
			raw.Parts[i].UDH = slices.Clone(d.udh)
		case wide:
			raw.Parts[i].UDH = addElement(d.udh, 0x08, byte(c.Ref>>8), byte(c.Ref), c.Total, c.Seq)
		default:
			raw.Parts[i].UDH = addElement(d.udh, 0x00, byte(c.Ref)^byte(c.Ref>>8), c.Total, c.Seq)
		}
	}
}

// failParts gives a set up and tells those parts that asked for failures.
func (s *Server) failParts(ctx context.Context, all []gateway.Part, code gateway.Code, answered string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopTimeout) // an outcome is recorded also at a stop
	defer cancel()
	var receipts []gateway.ReceiptDue
	for i := range all {
		if r, due := s.partReceipt(&all[i], code); due && all[i].ID != answered {
			receipts = append(receipts, r)
		}
	}
	if err := s.deps.Store.FailParts(ctx, all, receipts); err != nil {
		s.unfinished.Store(true) // the sweep finds them again
		s.log.Error("parts could not be given up", "set", all[0].ID, "code", code, "err", err)
		return
	}
	s.log.Info("parts given up", "set", all[0].ID, "have", len(all), "total", all[0].Set.Total, "code", code)
}

func (s *Server) partReceipt(p *gateway.Part, code gateway.Code) (gateway.ReceiptDue, bool) {
	var m smpp.SubmitSM
	if err := m.Decode(smpp.Header{}, p.PDU); err != nil || receiptWish(m.RegisteredDelivery)&gateway.ReceiptFailure == 0 {
		return gateway.ReceiptDue{}, false
	}
	r := gateway.ReceiptDue{Account: p.Set.Account, Part: p.ID, System: p.System, State: gateway.StateRejected, Code: code,
		Err: code.Wire().Receipt, To: p.Set.Dest, Submitted: p.At, Done: s.cfg.Now(),
		SourceTON: byte(m.Source.TON), SourceNPI: byte(m.Source.NPI), DestTON: byte(m.Dest.TON), DestNPI: byte(m.Dest.NPI)}
	r.From, _ = source(m.Source)
	if id, err := gateway.ParseMessageID(p.ID); err == nil {
		r.Message = id
	} else if ref, err := gateway.ParseBatchRef(p.ID); err == nil {
		r.Message = ref.Message(0)
	}
	return r, true
}
