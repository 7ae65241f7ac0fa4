package smppserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// errWithdrawn ends sessions whose credential may no longer be used.
var errWithdrawn = errors.New("smppserver: credential was withdrawn")

// state of a session (SMPP 3.4 §2.2). It only rises.
type state = uint32

const (
	stateOpen    state = iota
	stateBinding       // a bind is being judged
	stateBound
)

// session is one connection. Its HandlePDU runs on the link's reader, requests
// run on workers.
type session struct {
	// Fixed at the start.
	srv    *Server
	life   *life
	link   *smpplink.Link
	id     string
	remote netip.Addr
	log    *slog.Logger
	binds  chan bindRequest // to the goroutine that authenticates

	state    atomic.Uint32
	stopping atomic.Bool // we are about to unbind

	// Written before state becomes stateBound; then fixed.
	mode    smpp.BindMode
	version uint8
	system  string
	account gateway.AccountID

	// Written before state becomes stateBound; then owned by the reader.
	principal *gateway.Principal
	dir       *gateway.Directory // principal was compared with
	window    int32
	rate      meter
	request   smpp.SubmitSM // decoded into, so that no request allocates one
	seq       uint32        // of the request being read

	pump atomic.Pointer[pump] // of a receiving session

	// open counts the requests the client has no answer to: its window. running
	// adds those whose answer waits to be written: a client that does not read
	// holds no more than twice its window of workers.
	open, running atomic.Int32
}

func (c *session) v50() bool { return c.version >= smpp.Version50 }

// trace names the request in the journal.
func (c *session) trace() string { return c.id + "/" + strconv.FormatUint(uint64(c.seq), 10) }

// HandlePDU implements smpplink.Handler.
func (c *session) HandlePDU(l *smpplink.Link, h smpp.Header, body []byte) {
	if h.ID.IsBind() {
		if st := c.askBind(h, body); st != smpp.StatusOK {
			c.refuse(h, st)
		}
		return
	}
	if !h.ID.WantsResponse() { // outbind, alert_notification: ours to send
		c.srv.log.Debug("stray pdu", "session", c.id, "command", h.ID.String())
		return
	}
	st := c.admit(h.ID)
	if st == smpp.StatusOK {
		c.seq = h.Sequence
		if st = c.parse(h, body); st != smpp.StatusOK {
			c.answered()
			c.finished()
		}
	}
	if st != smpp.StatusOK {
		if st == smpp.StatusThrottled {
			c.srv.throttled.Add(1)
		}
		c.refuse(h, st)
	}
	if c.state.Load() == stateBound && c.principal == nil { // in this order: see principal
		l.Close(errWithdrawn)
	}
}

// refuse answers without a body. It waits for room in the write buffer, which
// holds a client back that sends and does not read.
func (c *session) refuse(h smpp.Header, st smpp.CommandStatus) {
	c.srv.refused.Add(1)
	_ = c.link.Write(smpp.AppendRefusal(nil, h, st)) // the link has ended: nobody to tell
}

// admit says whether a request of that kind may be looked at now, and opens a
// place in the window for it if so.
func (c *session) admit(id smpp.CommandID) smpp.CommandStatus {
	if c.state.Load() != stateBound || !c.mode.CanTransmit() {
		return smpp.StatusInvBindStatus // SMPP 3.4 §2.3
	}
	switch id {
	case smpp.SubmitSMID, smpp.SubmitMultiID, smpp.DataSMID, smpp.QuerySMID, smpp.CancelSMID, smpp.ReplaceSMID:
	default: // deliver_sm is ours to send
		return smpp.StatusInvBindStatus
	}
	if c.stopping.Load() {
		return smpp.StatusSysErr
	}
	if !c.current() {
		return smpp.StatusInvBindStatus
	}
	if c.open.Load() >= c.window || c.running.Load() >= 2*c.window || int(c.life.running.Load()) >= c.srv.cfg.MaxInFlight {
		return smpp.StatusThrottled
	}
	c.open.Add(1)
	c.running.Add(1)
	c.life.running.Add(1)
	return smpp.StatusOK
}

func (c *session) answered() { c.open.Add(-1) }

func (c *session) finished() {
	c.running.Add(-1)
	c.life.running.Add(-1)
}

// current follows changes of the credential under the open session. It
// reports false, and forgets the principal, once it was withdrawn.
func (c *session) current() bool {
	d := c.srv.deps.Directory()
	if d == c.dir {
		return c.principal != nil
	}
	c.dir = d
	if c.principal == nil {
		return false
	}
	p := c.srv.principalOf(c.system, c.principal.Account)
	if p == nil || !p.Credential.AllowsAddr(c.remote) {
		c.principal = nil
		return false
	}
	c.principal = p
	c.window = int32(c.srv.windowOf(p))
	return true
}

// parse is dispatch that survives its own faults: one request that trips a bug
// costs the client an ESME_RSYSERR, not its session.
func (c *session) parse(h smpp.Header, body []byte) (st smpp.CommandStatus) {
	defer func() {
		if p := recover(); p != nil {
			c.panicked(h, p)
			st = smpp.StatusSysErr
		}
	}()
	return c.dispatch(h, body)
}

func (c *session) panicked(h smpp.Header, p any) {
	c.srv.panics.Add(1)
	c.log.Error("request panicked", "command", h.ID.String(), "err", fmt.Sprint(p), "stack", string(debug.Stack()))
}

// dispatch parses a request and starts it. A status other than ESME_ROK
// refuses it.
func (c *session) dispatch(h smpp.Header, body []byte) smpp.CommandStatus {
	switch h.ID {
	case smpp.SubmitSMID:
		m := &c.request
		if err := m.Decode(h, body); err != nil {
			return smpp.StatusOf(err)
		}
		return c.take(h, m, nil)
	case smpp.DataSMID:
		return c.takeData(h, body)
	case smpp.SubmitMultiID:
		return c.takeMulti(h, body)
	case smpp.QuerySMID:
		return c.takeQuery(h, body)
	case smpp.CancelSMID:
		return c.takeCancel(h, body)
	}
	return c.takeReplace(h, body)
}

// take starts what submits a message.
func (c *session) take(h smpp.Header, m *smpp.SubmitSM, dests []smpp.Dest) smpp.CommandStatus {
	a, err := c.read(m, dests)
	if err != nil {
		return statusOf(err)
	}
	if !c.allow(len(a.sub.To)) {
		return smpp.StatusThrottled
	}
	c.srv.submitted.Add(uint64(len(a.sub.To)))
	switch {
	case dests != nil:
		own := make([]smpp.Address, len(dests))
		for i := range dests {
			own[i] = ownAddress(dests[i].Address)
		}
		c.start(h, func(ctx context.Context, r *reply) { c.submitMany(ctx, a.sub, own, r) })
	case a.part != nil:
		c.start(h, func(ctx context.Context, r *reply) { c.submitPart(ctx, a, r) })
	default:
		c.start(h, func(ctx context.Context, r *reply) { c.submitOne(ctx, a, r) })
	}
	return smpp.StatusOK
}

// allow charges n messages to the bind, the credential and the account.
func (c *session) allow(n int) bool {
	if per := c.srv.cfg.BindPerSecond; per > 0 && !c.rate.allow(n, per, time.Now()) {
		return false
	}
	return c.srv.deps.Allow(c.principal, n)
}

func (c *session) takeMulti(h smpp.Header, body []byte) smpp.CommandStatus {
	var m smpp.SubmitMulti
	if err := m.Decode(h, body); err != nil {
		return smpp.StatusOf(err)
	}
	one := smpp.SubmitSM{ServiceType: m.ServiceType, Source: m.Source, ESMClass: m.ESMClass, ProtocolID: m.ProtocolID,
		Priority: m.Priority, ScheduleTime: m.ScheduleTime, ValidityPeriod: m.ValidityPeriod,
		RegisteredDelivery: m.RegisteredDelivery, DataCoding: m.DataCoding, DefaultMsgID: m.DefaultMsgID,
		ShortMessage: m.ShortMessage, TLVs: m.TLVs}
	return c.take(h, &one, m.Dests)
}

// takeData reads a data_sm as the submit_sm it stands for (SMPP 3.4 §4.7).
func (c *session) takeData(h smpp.Header, body []byte) smpp.CommandStatus {
	var m smpp.DataSM
	if err := m.Decode(h, body); err != nil {
		return smpp.StatusOf(err)
	}
	const longest = 20 // what submit_sm and the road out have room for
	switch {
	case len(m.Source.Addr) > longest:
		return smpp.StatusInvSrcAddr
	case len(m.Dest.Addr) > longest:
		return smpp.StatusInvDstAddr
	}
	one := smpp.SubmitSM{ServiceType: m.ServiceType, Source: m.Source, Dest: m.Dest, ESMClass: m.ESMClass,
		RegisteredDelivery: m.RegisteredDelivery, DataCoding: m.DataCoding, TLVs: m.TLVs}
	return c.take(h, &one, nil)
}

func (c *session) takeQuery(h smpp.Header, body []byte) smpp.CommandStatus {
	var m smpp.QuerySM
	if err := m.Decode(h, body); err != nil {
		return smpp.StatusOf(err)
	}
	p, id, src := c.principal, string(m.MessageID), ownAddress(m.Source)
	c.start(h, func(ctx context.Context, r *reply) { c.query(ctx, p, id, src, r) })
	return smpp.StatusOK
}

func (c *session) takeCancel(h smpp.Header, body []byte) smpp.CommandStatus {
	var m smpp.CancelSM
	if err := m.Decode(h, body); err != nil {
		return smpp.StatusOf(err)
	}
	p, id, class := c.principal, string(m.MessageID), classOfService(m.ServiceType)
	src, dst := ownAddress(m.Source), ownAddress(m.Dest)
	c.start(h, func(ctx context.Context, r *reply) {
		if id != "" {
			c.cancelOne(ctx, p, id, src, dst, r)
		} else {
			c.cancelAll(ctx, p, class, src, dst, r)
		}
	})
	return smpp.StatusOK
}

func (c *session) takeReplace(h smpp.Header, body []byte) smpp.CommandStatus {
	var m smpp.ReplaceSM
	if err := m.Decode(h, body); err != nil {
		return smpp.StatusOf(err)
	}
	q, err := readReplacement(&m, c.srv.cfg.Now())
	if err != nil {
		return statusOf(err)
	}
	p := c.principal
	c.start(h, func(ctx context.Context, r *reply) { c.replaceOne(ctx, p, q, r) })
	return smpp.StatusOK
}

// start runs a request on a worker. It is answered exactly once, come what may.
func (c *session) start(h smpp.Header, job func(context.Context, *reply)) {
	c.life.pool.run(func() {
		r := reply{c: c, h: h}
		defer func() {
			if p := recover(); p != nil {
				c.panicked(h, p)
			}
			if !r.sent {
				r.refuse(smpp.StatusSysErr)
			}
			c.finished()
		}()
		job(c.life.ctx, &r)
	})
}

// reply is the one answer to a request.
type reply struct {
	c    *session
	h    smpp.Header
	sent bool
}

// write sends the response. The place in the window is free before the client
// can know it.
func (r *reply) write(pdu []byte) {
	r.sent = true
	r.c.answered()
	_ = r.c.link.Write(pdu) // the link has ended: nobody to tell
}

func (r *reply) refuse(st smpp.CommandStatus) {
	r.c.srv.refused.Add(1)
	var buf [smpp.HeaderLen]byte
	r.write(smpp.AppendRefusal(buf[:0], r.h, st))
}

// accept answers a submit_sm or data_sm with the message id.
func (r *reply) accept(id string) {
	var buf [64]byte
	resp := smpp.SubmitSMResp{MessageID: []byte(id)}
	if r.h.ID == smpp.DataSMID {
		r.write((*smpp.DataSMResp)(&resp).AppendTo(buf[:0], r.h.Sequence))
		return
	}
	r.write(resp.AppendTo(buf[:0], r.h.Sequence))
}

// meter is a token bucket of one second's worth. Only the reader uses it.
type meter struct {
	tokens float64
	at     time.Time
}

func (b *meter) allow(n, perSecond int, now time.Time) bool {
	if b.at.IsZero() {
		b.tokens = float64(perSecond)
	} else {
		b.tokens = min(b.tokens+now.Sub(b.at).Seconds()*float64(perSecond), float64(perSecond))
	}
	b.at = now
	// A request of many may run into debt, or it would never pass.
	if b.tokens < min(float64(n), float64(perSecond)) {
		return false
	}
	b.tokens -= float64(n)
	return true
}
