package operators

import (
	"context"
	"sync/atomic"

	"izinli/gateway"
	"izinli/gateway/inbound"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/gateway/sms"
)

// counters of what operators delivered.
type counters struct{ receipts, parked, mo, refused atomic.Uint64 }

// Counts is what operators have delivered since the start.
type Counts struct{ Receipts, Parked, MO, Refused uint64 }

// Counts returns the counters.
func (m *Manager) Counts() Counts {
	return Counts{m.stats.receipts.Load(), m.stats.parked.Load(), m.stats.mo.Load(), m.stats.refused.Load()}
}

// handler takes the deliveries of one operator.
type handler struct {
	m  *Manager
	op gateway.Operator
}

// Deliver implements smppclient.Handler. Every acknowledgement comes after the sync.
func (h *handler) Deliver(ctx context.Context, d smppclient.Delivery, ack func(smpp.CommandStatus)) {
	if d.Kind == smppclient.Receipt {
		h.receipt(d, ack)
		return
	}
	h.m.stats.mo.Add(1)
	select {
	case h.m.mo <- struct{}{}:
	default:
		h.m.stats.refused.Add(1)
		h.m.cfg.Log.Warn("message from a handset put off", "operator", h.op.Name, "err", errMOBusy)
		ack(smpp.StatusTempAppErr)
		return
	}
	go func() {
		defer func() { <-h.m.mo }()
		status := smpp.StatusOK
		// The work outlives the bind: what is half done must become whole.
		if err := h.m.inbound.Receive(context.WithoutCancel(ctx), h.mo(&d)); err != nil {
			h.m.stats.refused.Add(1)
			h.m.cfg.Log.Error("message from a handset not taken", "operator", h.op.Name, "err", err)
			status = smpp.StatusTempAppErr
		}
		ack(status)
	}()
}

func (h *handler) receipt(d smppclient.Delivery, ack func(smpp.CommandStatus)) {
	state := stateOf(d.Receipt.State)
	if !state.Final() || d.ReceiptID == "" {
		ack(smpp.StatusOK) // on its way, or about nothing we could name
		return
	}
	h.m.stats.receipts.Add(1)
	r := gateway.OperatorReceipt{Operator: h.op.Name, ID: d.ReceiptID, State: state}
	if state != gateway.StateDelivered {
		r.Err = string(d.Receipt.Err)
	}
	h.m.store.Receipt(r, func(matched bool, err error) {
		switch {
		case err != nil:
			h.m.cfg.Log.Error("receipt not written", "operator", h.op.Name, "err", err)
			ack(smpp.StatusTempAppErr)
		default:
			if !matched {
				h.m.stats.parked.Add(1)
			}
			ack(smpp.StatusOK)
		}
	})
}

// stateOf reads message_state (SMPP 3.4 §5.2.28); what is not final stays StateSent.
func stateOf(s smpp.MessageState) gateway.State {
	switch s {
	case smpp.StateDelivered:
		return gateway.StateDelivered
	case smpp.StateExpired:
		return gateway.StateExpired
	case smpp.StateDeleted, smpp.StateUndeliverable, smpp.StateSkipped:
		return gateway.StateUndelivered
	case smpp.StateRejected:
		return gateway.StateRejected
	case smpp.StateUnknown:
		return gateway.StateUnknown
	}
	return gateway.StateSent
}

// mo translates a deliver_sm.
func (h *handler) mo(d *smppclient.Delivery) inbound.MO {
	m := &d.Message
	out := inbound.MO{Operator: h.op.Name, From: string(m.Source.Addr), To: string(m.Dest.Addr), DataCoding: byte(m.DataCoding)}
	if m.Source.TON == smpp.TONInternational && len(out.From) > 0 && out.From[0] != '+' {
		out.From = "+" + out.From
	}
	if h.op.Alphabet == alphabetLatin1 {
		out.Alphabet = sms.AlphabetLatin1
	}
	body, err := m.Payload()
	if err != nil {
		body = m.ShortMessage
	}
	out.Body = body
	if m.ESMClass&sms.UDHI != 0 && len(body) > 0 && int(body[0]) < len(body) {
		out.UDH, out.Body = body[:int(body[0])+1], body[int(body[0])+1:]
	}
	if h.op.Alphabet == alphabetPacked && m.DataCoding == smpp.DCDefault {
		out.Body = unpack(out.UDH, out.Body)
	}
	out.SAR = sar(m.TLVs)
	return out
}

// unpack gives packed septets an octet each, as everything behind this door expects them. The operator does not tell their number.
func unpack(udh, body []byte) []byte {
	out, err := sms.Unpack(make([]byte, 0, len(body)*8/7), body, sms.FillBits(len(udh)), -1)
	if err != nil {
		return body // nothing but fill bits
	}
	return out
}

func sar(t smpp.TLVs) sms.Concat {
	ref, ok1 := t.Get(smpp.TagSarMsgRefNum)
	total, ok2 := t.Get(smpp.TagSarTotalSegments)
	seq, ok3 := t.Get(smpp.TagSarSegmentSeqnum)
	if !ok1 || !ok2 || !ok3 || len(ref) != 2 || len(total) != 1 || len(seq) != 1 {
		return sms.Concat{}
	}
	return sms.SAR(uint16(ref[0])<<8|uint16(ref[1]), total[0], seq[0])
}
