package operators

import (
	"errors"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/gateway/sms"
)

// carrier is a client as dispatch sees it.
type carrier struct {
	op     gateway.Operator
	client *smppclient.Client
	ready  atomic.Pointer[func()]
}

func (c *carrier) signal() {
	if f := c.ready.Load(); f != nil {
		(*f)()
	}
}

// Name implements dispatch.Carrier.
func (c *carrier) Name() string { return c.op.Name }

// Window implements dispatch.Carrier.
func (c *carrier) Window() int { return boundWindow(c.client) }

// MaxSegments implements dispatch.Carrier.
func (c *carrier) MaxSegments() int { return c.client.Window() }

// Profile implements dispatch.Carrier.
func (c *carrier) Profile() dispatch.Profile {
	return dispatch.Profile{National: c.op.National, Suffix: c.op.Suffix}
}

// OnReady implements dispatch.Carrier.
func (c *carrier) OnReady(f func()) { c.ready.Store(&f) }

// NextTry implements dispatch.Carrier: the client tells by OnReady, also when only time had to pass.
func (c *carrier) NextTry() time.Time { return time.Time{} }

// TryReserve implements dispatch.Carrier.
func (c *carrier) TryReserve(segments int, lane gateway.Lane) (dispatch.Slot, bool) {
	r, ok := c.client.TryReserve(segments, smppclient.Lane(lane))
	if !ok {
		return nil, false
	}
	return &slot{c: c, r: r}, true
}

// InShare implements dispatch.Carrier.
func (c *carrier) InShare(segments int, lane gateway.Lane) bool {
	return c.client.InShare(segments, smppclient.Lane(lane))
}

type slot struct {
	c *carrier
	r smppclient.Reservation
}

// Cancel implements dispatch.Slot.
func (s *slot) Cancel() { s.r.Cancel() }

// Send implements dispatch.Slot.
func (s *slot) Send(m *dispatch.Outgoing, answered func(int, dispatch.Answer)) {
	pdus := make([]smpp.SubmitSM, len(m.Sending))
	for i, seg := range m.Sending {
		pdus[i] = s.c.pdu(m, &m.Segments[seg], i == len(m.Sending)-1)
	}
	err := s.r.Commit(pdus, func(i int, o smppclient.Outcome) { answered(m.Sending[i], answerOf(o, m.Attempt)) })
	if err == nil {
		return
	}
	a := dispatch.Answer{Verdict: dispatch.TryLater, Err: err.Error()} // the link went first: nothing has left
	if fe := (*smpp.FieldError)(nil); errors.As(err, &fe) {
		a = dispatch.Answer{Verdict: dispatch.Refused, Err: fe.Error()}
	}
	for _, seg := range m.Sending {
		answered(seg, a)
	}
}

// pdu builds the submit_sm of one segment (SMPP 3.4 §4.4.1).
func (c *carrier) pdu(m *dispatch.Outgoing, seg *sms.Segment, last bool) smpp.SubmitSM {
	p := c.client.Profile()
	sm := smpp.SubmitSM{
		Source: p.Source(m.Batch.From), Dest: p.Dest(m.Recipient.Address), DataCoding: smpp.DataCoding(seg.DataCoding),
		ShortMessage: shortMessage(seg, p.Alphabet),
	}
	sm.ESMClass = smpp.ESMClass(seg.ESMClass())
	sm.Priority = m.Batch.Priority
	if m.Batch.Raw != nil {
		sm.ProtocolID = m.Batch.Raw.ProtocolID
	}
	if !c.op.NoReceipts {
		sm.RegisteredDelivery = 1 // a receipt for success and failure
	}
	if m.Validity > 0 {
		sm.ValidityPeriod = smpp.AppendRelative(nil, m.Validity)
	}
	if !last {
		sm.TLVs = sm.TLVs.Append(smpp.TagMoreMessagesToSend, []byte{1})
	}
	return sm
}

// shortMessage is the user data of a segment. Where data_coding 0 means packed septets, those with a shift table are packed too, behind
// their header: they have the same data_coding. What has another one is octets already.
func shortMessage(seg *sms.Segment, a smppclient.Alphabet) []byte {
	dst := make([]byte, 0, len(seg.UDH)+len(seg.Body))
	if a == smppclient.GSM7Packed && seg.DataCoding == byte(smpp.DCDefault) {
		return seg.AppendPacked(dst)
	}
	return seg.AppendShortMessage(dst)
}

// limitedAttempts is how many attempts a message gets with an operator that refuses it for a reason that may pass or not.
const limitedAttempts = 5

// answerOf sorts the outcome of the given attempt (from 1) by what happens next (sms.md §2, column Retry).
func answerOf(o smppclient.Outcome, attempt int) dispatch.Answer {
	switch {
	case o.Err != nil:
		return dispatch.Answer{Verdict: dispatch.Doubt, Err: o.Err.Error()}
	case o.Late && o.Status == smpp.StatusOK:
		return dispatch.Answer{Verdict: dispatch.TakenLate, ID: o.MessageID}
	case o.Late:
		return dispatch.Answer{Verdict: dispatch.RefusedLate, Err: o.Status.String()}
	case o.Status == smpp.StatusOK:
		return dispatch.Answer{Verdict: dispatch.Taken, ID: o.MessageID}
	}
	a := dispatch.Answer{Verdict: dispatch.Refused, Err: o.Status.String()}
	switch o.Status.Advice() {
	case smpp.AdviceLater, smpp.AdviceRebind, smpp.AdviceSlowDown, smpp.AdviceQueueFull:
		a.Verdict = dispatch.TryLater
	case smpp.AdviceLimited:
		if attempt < limitedAttempts {
			a.Verdict = dispatch.TryLater
		}
	}
	return a
}
