package smppclient

import (
	"bytes"
	"context"
	"sync/atomic"

	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// Kind of a delivery.
type Kind uint8

// Kinds.
const (
	MO      Kind = iota // a message from a handset
	Receipt             // a delivery receipt or intermediate notification
)

// Delivery is a deliver_sm or data_sm from the operator. It owns its bytes.
type Delivery struct {
	Operator string
	Bind     int
	Kind     Kind
	// Message as it came. A data_sm has its message_payload in the TLVs.
	Message smpp.DeliverSM
	// Receipt is set for Kind Receipt; ReceiptID is its message id,
	// normalised by Config.ReceiptID, empty if the receipt has none.
	Receipt   smpp.Receipt
	ReceiptID string
}

// Handler takes what the operator delivers.
type Handler interface {
	// Deliver is called by the bind's reader, one at a time per bind, and
	// must not block: the bind reads nothing meanwhile. ack answers the
	// operator: it may be called later, from any goroutine, in any order,
	// once; further calls do nothing. smpp.StatusOK means the delivery is
	// safe with us; smpp.StatusTempAppErr asks for it again. When the bind is
	// gone ack does nothing and the operator delivers again.
	Deliver(ctx context.Context, d Delivery, ack func(smpp.CommandStatus))
}

// handlerFunc is a smpplink.Handler made of a function.
type handlerFunc func(l *smpplink.Link, h smpp.Header, body []byte)

// HandlePDU implements smpplink.Handler.
func (f handlerFunc) HandlePDU(l *smpplink.Link, h smpp.Header, body []byte) { f(l, h, body) }

// serve answers the requests of one session, whose context ctx is.
func (b *Bind) serve(ctx context.Context, l *smpplink.Link, h smpp.Header, body []byte) {
	switch h.ID {
	case smpp.DeliverSMID, smpp.DataSMID:
		b.deliver(ctx, l, h, body)
	case smpp.AlertNotificationID:
		b.m.alerts.Add(1)
	case smpp.OutbindID:
		// We are bound, or about to be: there is nothing to do.
	default:
		// An ESME is asked for nothing else; SMPP 3.4 §2.3.
		l.Push(smpp.AppendRefusal(nil, h, smpp.StatusInvBindStatus))
	}
}

func (b *Bind) deliver(ctx context.Context, l *smpplink.Link, h smpp.Header, body []byte) {
	b.m.deliveries.Add(1)
	if b.client.handler == nil || b.unacked.Load() >= int64(b.client.cfg.DeliverWindow) {
		b.m.deliveriesRefused.Add(1)
		l.Push(smpp.AppendRefusal(nil, h, smpp.StatusTempAppErr))
		return
	}
	d, err := b.readDelivery(h, bytes.Clone(body))
	if err != nil {
		b.m.deliveriesRefused.Add(1)
		b.log.Warn("operator sent a malformed delivery", "err", err)
		l.Push(smpp.AppendRefusal(nil, h, smpp.StatusOf(err)))
		return
	}
	b.unacked.Add(1)
	var once atomic.Bool
	b.client.handler.Deliver(ctx, d, func(status smpp.CommandStatus) {
		if !once.CompareAndSwap(false, true) {
			return
		}
		b.unacked.Add(-1)
		if status != smpp.StatusOK {
			b.m.deliveriesRefused.Add(1)
		}
		l.Push(appendAck(nil, h, status)) // an ended link answers nobody
	})
}

// appendAck answers a delivery. An acceptance carries the empty message_id
// the standard asks for (SMPP 3.4 §4.6.2).
func appendAck(dst []byte, h smpp.Header, status smpp.CommandStatus) []byte {
	if h.ID == smpp.DataSMID {
		return (&smpp.DataSMResp{Status: status}).AppendTo(dst, h.Sequence)
	}
	return (&smpp.DeliverSMResp{Status: status}).AppendTo(dst, h.Sequence)
}

// readDelivery decodes body, which the Delivery keeps.
func (b *Bind) readDelivery(h smpp.Header, body []byte) (Delivery, error) {
	cfg := &b.client.cfg
	d := Delivery{Operator: cfg.Name, Bind: b.index}
	if h.ID == smpp.DataSMID {
		var m smpp.DataSM
		if err := m.Decode(h, body); err != nil {
			return d, err
		}
		d.Message = smpp.DeliverSM{
			ServiceType: m.ServiceType, Source: m.Source, Dest: m.Dest, ESMClass: m.ESMClass,
			RegisteredDelivery: m.RegisteredDelivery, DataCoding: m.DataCoding, TLVs: m.TLVs,
		}
	} else if err := d.Message.Decode(h, body); err != nil {
		return d, err
	}
	rc, ok := smpp.ParseReceipt(&d.Message, cfg.Location)
	_, tagged := d.Message.TLVs.Get(smpp.TagReceiptedMessageID)
	marked := d.Message.ESMClass.IsReceipt() || (ok && tagged)
	if marked || (cfg.UnmarkedReceipts && ok && rc.State != smpp.StateNone) {
		d.Kind, d.Receipt = Receipt, rc
		d.ReceiptID = cfg.ReceiptID.Apply(string(rc.MessageID))
	}
	return d, nil
}
