package smppserver

import (
	"context"

	"izinli/gateway"
	"izinli/gateway/smpp"
)

// How a policy drop reaches the client. In receipt mode the response is
// ESME_ROK and the store owes a receipt REJECTD. Without a failure receipt
// nobody would ever tell, so the response does. In inline mode the response
// tells although a failure receipt was asked for; to keep the store from
// telling a second time, under an id the client never got, the recipients are
// checked first and those that would be dropped are submitted without that
// wish: their decision is recorded, nothing is charged, no receipt is owed.
// Should the answer change between check and submit, the submit's counts: a
// drop is then told by its receipt, an acceptance by ESME_ROK.

// answer is the outcome for one recipient.
type answer struct {
	status smpp.CommandStatus
	id     gateway.MessageID // zero when refused
}

// submit hands the submission over. The answers are in the order of sub.To. An
// error means that nothing was stored.
func (s *Server) submit(ctx context.Context, sub *gateway.Submission) ([]answer, error) {
	out := make([]answer, len(sub.To))
	for i := range out {
		out[i].status = smpp.StatusSysErr // a recipient nobody answers for is not taken
	}
	told := sub.Receipt&gateway.ReceiptFailure != 0
	if !told || !sub.Principal.Credential.Inline {
		return out, s.submitSome(ctx, sub, nil, !told, out)
	}
	checked, err := s.deps.Submit.Check(ctx, sub)
	if err != nil {
		return nil, err
	}
	var keep, drop []int
	for i, v := range checked {
		if v.State == gateway.StateDropped {
			drop = append(drop, i)
		} else {
			keep = append(keep, i)
		}
	}
	if len(keep) > 0 {
		if err := s.submitSome(ctx, pick(sub, keep), keep, false, out); err != nil {
			return nil, err
		}
	}
	if len(drop) > 0 {
		quiet := pick(sub, drop)
		quiet.Receipt &^= gateway.ReceiptFailure
		if err := s.submitSome(ctx, quiet, drop, true, out); err != nil {
			if len(keep) == 0 {
				return nil, err
			}
			for _, i := range drop {
				out[i].status = statusOf(err)
			}
		}
	}
	return out, nil
}

// submitSome submits and writes the answers to out, at the places that index
// names (nil: the same). inline says that a drop is told here.
func (s *Server) submitSome(ctx context.Context, sub *gateway.Submission, index []int, inline bool, out []answer) error {
	res, err := s.deps.Submit.Submit(ctx, sub)
	if err != nil {
		return err
	}
	for _, v := range res.Messages {
		i := v.Index
		if index != nil {
			i = index[i]
		}
		switch {
		case v.Refused(), v.State == gateway.StateDropped && inline:
			out[i].status = codeStatus(v.Code)
		default:
			out[i] = answer{id: v.ID}
		}
	}
	return nil
}

// pick returns the submission with some of its recipients.
func pick(sub *gateway.Submission, index []int) *gateway.Submission {
	some := *sub
	if len(index) < len(sub.To) {
		some.To = make([]gateway.Destination, len(index))
		for i, k := range index {
			some.To[i] = sub.To[k]
		}
	}
	return &some
}

// submitOne serves submit_sm and data_sm that stand alone.
func (c *session) submitOne(ctx context.Context, a asks, r *reply) {
	if a.replace {
		if id, done, err := c.srv.replacePending(ctx, a.sub); err != nil {
			r.refuse(statusOf(err))
			return
		} else if done {
			r.accept(id.String())
			return
		}
	}
	answers, err := c.srv.submit(ctx, a.sub)
	switch {
	case err != nil:
		c.refused(r, err)
	case answers[0].status != smpp.StatusOK:
		r.refuse(answers[0].status)
	default:
		r.accept(answers[0].id.String())
	}
}

// refused answers a submit that failed as a whole; trouble of ours is logged,
// since the client only sees ESME_RSYSERR.
func (c *session) refused(r *reply, err error) {
	if code := codeOf(err); code == gateway.CodeInternal {
		c.log.Error("submit failed", "err", err)
	}
	r.refuse(statusOf(err))
}

// submitMany serves submit_multi. All destinations share one message_id, that
// of the first message stored; receipts carry it with the destination.
func (c *session) submitMany(ctx context.Context, sub *gateway.Submission, dests []smpp.Address, r *reply) {
	answers, err := c.srv.submit(ctx, sub)
	if err != nil {
		c.refused(r, err)
		return
	}
	var resp smpp.SubmitMultiResp
	for i := range answers {
		if st := answers[i].status; st != smpp.StatusOK {
			resp.Unsuccess = append(resp.Unsuccess, smpp.Unsuccess{Address: dests[i], Status: st})
		} else if resp.MessageID == nil {
			resp.MessageID = []byte(answers[i].id.Ref().Message(0).String())
		}
	}
	if resp.MessageID == nil {
		resp.Status = smpp.StatusSubmitFail
	}
	r.write(resp.AppendTo(nil, r.h.Sequence))
}
