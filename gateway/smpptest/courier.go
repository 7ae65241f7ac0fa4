package smpptest

import (
	"container/heap"
	"context"
	"encoding/binary"
	"sync"
	"time"
	"unicode/utf16"

	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// courier brings receipts and handsets' messages to the ESMEs: each when it
// is due, again when it was refused for now, waiting while nobody is bound.
type courier struct {
	srv  *Server
	wake chan struct{}

	mu    sync.Mutex
	due   parcels              // by time
	ready map[string][]*parcel // due, by account
}

// parcel is one deliver_sm.
type parcel struct {
	courier *courier
	account string
	due     time.Time
	pdu     []byte // whole, sequence_number 0
	taken   func() // told when the ESME has accepted it; may be nil
}

func newCourier(s *Server) *courier {
	return &courier{srv: s, wake: make(chan struct{}, 1), ready: map[string][]*parcel{}}
}

func (c *courier) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *courier) parcel(account string, due time.Time, m *smpp.DeliverSM) *parcel {
	return &parcel{courier: c, account: account, due: due, pdu: m.AppendTo(nil, 0)}
}

func (c *courier) add(list ...*parcel) {
	if len(list) == 0 {
		return
	}
	first := false
	c.mu.Lock()
	for _, p := range list {
		heap.Push(&c.due, p)
		first = first || c.due[0] == p
	}
	c.mu.Unlock()
	if first {
		c.signal()
	}
}

func (c *courier) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next := c.collect(time.Now())
		c.deliver()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
	}
}

// collect moves what is due and returns when the next will be.
func (c *courier) collect(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.due) > 0 && !c.due[0].due.After(now) {
		p := heap.Pop(&c.due).(*parcel)
		c.ready[p.account] = append(c.ready[p.account], p)
	}
	if len(c.due) == 0 {
		return time.Time{}
	}
	return c.due[0].due
}

// deliver sends what is due as far as there is room.
func (c *courier) deliver() {
	c.mu.Lock()
	accounts := make([]string, 0, len(c.ready))
	for a := range c.ready {
		accounts = append(accounts, a)
	}
	c.mu.Unlock()
	for _, a := range accounts {
		for c.deliverOne(a) {
		}
	}
}

func (c *courier) deliverOne(account string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.ready[account]
	if len(list) == 0 {
		delete(c.ready, account)
		return false
	}
	link := c.srv.receiver(account)
	if link == nil {
		return false
	}
	c.srv.counters.delivered.Add(1) // before it is read at the other end
	if link.SendBatch(smpp.DeliverSMID, 1, list[0]) != nil {
		c.srv.counters.delivered.Add(-1)
		return true // that link is gone; try another
	}
	list[0] = nil
	c.ready[account] = list[1:]
	return true
}

// AppendPDU implements smpplink.Requests.
func (p *parcel) AppendPDU(dst []byte, _ int, seq uint32) []byte {
	start := len(dst)
	dst = append(dst, p.pdu...)
	binary.BigEndian.PutUint32(dst[start+12:], seq)
	return dst
}

// Answered implements smpplink.Requests.
func (p *parcel) Answered(_ int, r smpplink.Result) {
	s := p.courier.srv
	again := r.Kind != smpplink.Answered
	if !again {
		switch r.Header.Status.Advice() {
		case smpp.AdviceAccepted:
			s.counters.acked.Add(1)
			if p.taken != nil {
				p.taken()
			}
		case smpp.AdviceLater, smpp.AdviceSlowDown, smpp.AdviceQueueFull:
			again = true
		default:
			s.counters.deliveryRefused.Add(1)
		}
	}
	if again {
		s.counters.redelivered.Add(1)
		p.due = time.Now().Add(s.cfg.Receipts.RetryDelay)
		p.courier.mu.Lock()
		heap.Push(&p.courier.due, p)
		p.courier.mu.Unlock()
		p.courier.signal()
	}
	s.rec.changed()
}

// receipt writes the receipt of m; nil if none is due.
func (c *courier) receipt(account string, m *smpp.SubmitSM, id uint64, rule *Rule) *parcel {
	policy := &c.srv.cfg.Receipts
	if policy.Off || rule.NoReceipt || !m.RegisteredDelivery.Wants(rule.State == smpp.StateDelivered) {
		return nil
	}
	now := time.Now()
	done := now.Add(policy.Delay)
	r := smpp.Receipt{
		MessageID: policy.ID.appendTo(nil, id), Sub: 1, Delivered: -1, State: rule.State, Err: []byte(rule.Err),
		SubmitDate: now.In(policy.Location), DoneDate: done.In(policy.Location),
	}
	d := smpp.DeliverSM{Source: m.Dest, Dest: m.Source, ESMClass: smpp.ESMReceipt}
	if policy.Form != TLVsOnly {
		d.ShortMessage = r.AppendText(nil)
	}
	if policy.Form != TextOnly {
		d.TLVs = r.AppendTLVs(nil)
	}
	return c.parcel(account, done, &d)
}

// reply writes what the handset answers, if the rule says so.
func (c *courier) reply(account string, m *smpp.SubmitSM, rule *Rule) (list []*parcel) {
	if rule.Reply == "" {
		return nil
	}
	to := rule.ReplyTo
	if m.Source.TON != smpp.TONAlphanumeric || to == "" {
		to = string(m.Source.Addr)
	}
	for _, d := range moParts(string(m.Dest.Addr), to, rule.Reply) {
		list = append(list, c.parcel(account, time.Now().Add(rule.ReplyDelay), d))
	}
	return list
}

// SendMO brings a message from a handset to any bound receiver, now or as
// soon as there is one. Texts that do not fit are split.
func (s *Server) SendMO(from, to, text string) { s.SendMOThen(from, to, text, nil) }

// SendMOThen is SendMO that calls taken, if that is not nil, as the
// acknowledgement of each part comes in: of a text that fits, once. It must
// not block.
func (s *Server) SendMOThen(from, to, text string, taken func()) {
	for _, d := range moParts(from, to, text) {
		p := s.out.parcel("", time.Now(), d)
		p.taken = taken
		s.out.add(p)
	}
}

// Deliver brings m to a receiver of the account; empty is any.
func (s *Server) Deliver(account string, m *smpp.DeliverSM) {
	s.out.add(s.out.parcel(account, time.Now(), m))
}

// moParts writes a handset's message: letters that ASCII and GSM 03.38 share
// go as data_coding 0, anything else as UCS-2; long ones with a concatenation
// header (3GPP TS 23.040 §9.2.3.24.1).
func moParts(from, to, text string) []*smpp.DeliverSM {
	body, dcs, single, part := []byte(text), smpp.DCDefault, 160, 153
	if !sharedASCII(text) {
		body, dcs, single, part = nil, smpp.DCUCS2, 140, 134
		for _, u := range utf16.Encode([]rune(text)) {
			body = binary.BigEndian.AppendUint16(body, u)
		}
	}
	base := smpp.DeliverSM{
		Source: smpp.Address{TON: smpp.TONInternational, NPI: smpp.NPIISDN, Addr: []byte(from)},
		Dest:   smpp.Address{TON: smpp.TONNetworkSpecific, NPI: smpp.NPIISDN, Addr: []byte(to)}, DataCoding: dcs,
	}
	if len(body) <= single {
		base.ShortMessage = body
		return []*smpp.DeliverSM{&base}
	}
	total := (len(body) + part - 1) / part
	ref := byte(len(body)*31 + len(from))
	var parts []*smpp.DeliverSM
	for i := range total {
		d := base
		d.ESMClass = smpp.ESMUDHI
		chunk := body[i*part : min((i+1)*part, len(body))]
		d.ShortMessage = append([]byte{5, 0, 3, ref, byte(total), byte(i + 1)}, chunk...)
		parts = append(parts, &d)
	}
	return parts
}

func sharedASCII(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '%' <= c && c <= '?', c == ' ', c == '!', c == '"', c == '#', c == '\n':
		default:
			return false
		}
	}
	return true
}

// parcels is a heap by due time.
type parcels []*parcel

func (p parcels) Len() int           { return len(p) }
func (p parcels) Less(i, j int) bool { return p[i].due.Before(p[j].due) }
func (p parcels) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }
func (p *parcels) Push(x any)        { *p = append(*p, x.(*parcel)) }
func (p *parcels) Pop() any {
	old := *p
	x := old[len(old)-1]
	old[len(old)-1] = nil
	*p = old[:len(old)-1]
	return x
}
