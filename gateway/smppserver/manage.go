package smppserver

import (
	"context"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/sms"
)

// Bounds of a search for waiting messages by address.
const (
	searchPage  = 500
	searchPages = 20
)

// query serves query_sm (SMPP 3.4 §4.8).
func (c *session) query(ctx context.Context, p *gateway.Principal, id string, src smpp.Address, r *reply) {
	v, err := c.srv.find(ctx, p, id, src)
	if err != nil {
		r.refuse(orElse(err, smpp.StatusQueryFail))
		return
	}
	resp := smpp.QuerySMResp{MessageID: []byte(id), State: messageState(v.State, c.v50())}
	if v.State == gateway.StateSent {
		resp.State = smpp.StateEnroute // on its way, as far as anybody knows
	}
	if v.State.Final() {
		resp.FinalDate = smpp.AppendTime(nil, v.Updated.In(c.srv.cfg.Location).Truncate(time.Second))
	}
	r.write(resp.AppendTo(nil, r.h.Sequence))
}

// find returns the message of a client's id if the source matches.
func (s *Server) find(ctx context.Context, p *gateway.Principal, id string, src smpp.Address) (gateway.MessageView, error) {
	m, err := s.deps.Store.Lookup(p.Account, id)
	if err != nil {
		return gateway.MessageView{}, err
	}
	v, err := s.deps.Store.Message(ctx, p.Account, m)
	if err != nil {
		return v, err
	}
	from, err := source(src)
	if err != nil {
		return v, err
	}
	if from == "" {
		from = p.Credential.From
	}
	if !sameSource(from, v.From) {
		return v, gateway.Refuse(gateway.CodeConflict, "source_addr", "The source is not that of the message.")
	}
	return v, nil
}

// orElse keeps the statuses that say more than that the request failed: no
// such message, trouble of ours.
func orElse(err error, status smpp.CommandStatus) smpp.CommandStatus {
	if codeOf(err) == gateway.CodeNotFound || passing(err) {
		return statusOf(err)
	}
	return status
}

// cancelOne serves cancel_sm with a message_id. The id of a submit_multi
// stands for all its destinations: the given one, or all of them.
func (c *session) cancelOne(ctx context.Context, p *gateway.Principal, id string, src, dst smpp.Address, r *reply) {
	v, err := c.srv.find(ctx, p, id, src)
	if err != nil {
		r.refuse(orElse(err, smpp.StatusCancelFail))
		return
	}
	f := gateway.MessageFilter{Batch: v.ID.Ref(), Limit: searchPage}
	if len(dst.Addr) > 0 {
		if f.To, err = destination(dst); err != nil {
			r.refuse(smpp.StatusCancelFail)
			return
		}
	}
	c.finishCancel(ctx, p, r, func() ([]gateway.MessageView, error) {
		if f.To == v.To {
			return []gateway.MessageView{v}, nil
		}
		page, err := c.srv.deps.Store.Messages(ctx, p.Account, f)
		if f.To == "" && (page.Next != "" || len(page.Items) > smpp.MaxDests) {
			return []gateway.MessageView{v}, err // no submit_multi is that large
		}
		return page.Items, err
	})
}

// cancelAll serves cancel_sm without message_id: everything that waits between
// the two addresses, of the class that service_type names if it names one.
func (c *session) cancelAll(ctx context.Context, p *gateway.Principal, class string, src, dst smpp.Address, r *reply) {
	c.finishCancel(ctx, p, r, func() ([]gateway.MessageView, error) {
		return c.srv.waiting(ctx, p, class, src, dst)
	})
}

func (c *session) finishCancel(ctx context.Context, p *gateway.Principal, r *reply, list func() ([]gateway.MessageView, error)) {
	vs, err := list()
	cancelled := 0
	for i := 0; i < len(vs) && err == nil; i++ {
		err = c.srv.deps.Steering.CancelMessage(ctx, p.Account, vs[i].ID)
		switch codeOf(err) {
		case gateway.CodeTooLate, gateway.CodeNotFound, gateway.CodeConflict, gateway.CodeCancelled:
			err = nil // this one has left, the others may not have
			continue
		}
		if err == nil {
			cancelled++
		}
	}
	switch {
	case err != nil:
		r.refuse(orElse(err, smpp.StatusCancelFail))
	case cancelled == 0:
		r.refuse(smpp.StatusCancelFail)
	default:
		r.write((&smpp.CancelSMResp{}).AppendTo(nil, r.h.Sequence))
	}
}

// waiting lists what waits between two addresses, newest first.
func (s *Server) waiting(ctx context.Context, p *gateway.Principal, class string, src, dst smpp.Address) ([]gateway.MessageView, error) {
	to, err := destination(dst)
	if err != nil {
		return nil, err
	}
	from, err := source(src)
	if err != nil {
		return nil, err
	}
	if from == "" {
		from = p.Credential.From
	}
	f := gateway.MessageFilter{To: to, Limit: searchPage}
	var out []gateway.MessageView
	for range searchPages {
		page, err := s.deps.Store.Messages(ctx, p.Account, f)
		if err != nil {
			return nil, err
		}
		for _, v := range page.Items {
			if v.State.Waiting() && v.Channel == gateway.ChannelSMS && sameSource(from, v.From) && (class == "" || class == v.Class) {
				out = append(out, v)
			}
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	return out, nil
}

// replacement is what replace_sm asks for.
type replacement struct {
	id       string
	source   smpp.Address
	text     string
	sendAt   time.Time
	validFor time.Duration
}

// readReplacement reads a replace_sm (SMPP 3.4 §4.10). It has no data_coding:
// the text is taken to be in the default alphabet.
func readReplacement(m *smpp.ReplaceSM, now time.Time) (replacement, error) {
	as := smpp.SubmitSM{ScheduleTime: m.ScheduleTime, ValidityPeriod: m.ValidityPeriod, DefaultMsgID: m.DefaultMsgID,
		ShortMessage: m.ShortMessage, TLVs: m.TLVs}
	d, err := readUserData(&as, false)
	if err != nil {
		return replacement{}, err
	}
	if d.enc != sms.GSM7 || d.concat.Present() {
		return replacement{}, &smpp.FieldError{Status: smpp.StatusReplaceFail, Field: "tlv", Reason: "makes it more than a text"}
	}
	var sub gateway.Submission
	if err := times(&sub, &as, now); err != nil {
		return replacement{}, err
	}
	return replacement{id: string(m.MessageID), source: ownAddress(m.Source), text: d.text, sendAt: sub.SendAt, validFor: sub.ValidFor}, nil
}

// ownAddress is the address in memory of its own.
func ownAddress(a smpp.Address) smpp.Address {
	a.Addr = []byte(string(a.Addr))
	return a
}

func (c *session) replaceOne(ctx context.Context, p *gateway.Principal, q replacement, r *reply) {
	v, err := c.srv.find(ctx, p, q.id, q.source)
	if err == nil {
		err = c.srv.deps.Steering.ReplaceMessage(ctx, p, v.ID, q.text, q.sendAt, q.validFor)
	}
	switch codeOf(err) {
	case gateway.CodeTooLate, gateway.CodeConflict, gateway.CodeInvalid:
		r.refuse(smpp.StatusReplaceFail)
		return
	}
	if err != nil {
		r.refuse(statusOf(err))
		return
	}
	r.write((&smpp.ReplaceSMResp{}).AppendTo(nil, r.h.Sequence))
}

// replacePending serves replace_if_present_flag: the newest waiting message
// with the same source, destination and class gets the new text. done is false
// when there is none, or it has just left: then the message is a new one.
func (s *Server) replacePending(ctx context.Context, sub *gateway.Submission) (id gateway.MessageID, done bool, err error) {
	if sub.Text == "" || sub.Raw != nil && len(sub.Raw.Parts) != 1 {
		return id, false, nil
	}
	src := smpp.Address{Addr: []byte(sub.From)}
	dst := smpp.Address{Addr: []byte(sub.To[0].Address)}
	class := sub.Principal.Credential.Class(sub.Class)
	vs, err := s.waiting(ctx, sub.Principal, class, src, dst)
	if err != nil || len(vs) == 0 {
		return id, false, err
	}
	err = s.deps.Steering.ReplaceMessage(ctx, sub.Principal, vs[0].ID, sub.Text, sub.SendAt, sub.ValidFor)
	switch codeOf(err) {
	case gateway.CodeTooLate, gateway.CodeConflict, gateway.CodeNotFound:
		return id, false, nil
	}
	return vs[0].ID, err == nil, err
}
