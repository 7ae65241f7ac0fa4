package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// esmeLoad is SMPP load from a customer: some binds, each keeping its window full until n messages have been answered.
type esmeLoad struct {
	addr, systemID, password string
	binds, window            int
	n                        int
	people                   audience
	schedule                 string // schedule_delivery_time; empty: at once
	noReceipts               bool
	rate                     float64 // messages a second over all binds; 0: as many as the windows allow

	next     atomic.Int64
	answered atomic.Int64
	ok       atomic.Int64
	throttle atomic.Int64
	refused  atomic.Int64
	stopped  atomic.Int64  // accepted although the person refuses: a receipt tells
	status   atomic.Uint32 // the last refusal
	all      chan struct{} // closed when n messages have been answered

	shards   [64]receiptShard
	receipts atomic.Int64  // different ones
	again    atomic.Int64  // receipts that came twice
	rejected atomic.Int64  // of receipts, those that say REJECTD
	foreign  atomic.Int64  // receipts that say neither that nor DELIVRD
	enough   chan struct{} // closed when n different receipts have come

	binding  []*esme
	template template
}

// receiptShard remembers ids: told by a response, told by a receipt.
type receiptShard struct {
	mu  sync.Mutex
	ids map[gateway.MessageID]known
}

type known struct {
	at       time.Duration // of the submit; 0 until the response has come
	receipts uint8
	first    time.Duration // of the first receipt
}

// esme is one bind.
type esme struct {
	load  *esmeLoad
	link  *smpplink.Link
	bound chan error

	answered atomic.Int64 // of this bind

	// Owned by the reader.
	credit int // answers since the last refill
	out    []byte
	dm     smpp.DeliverSM
	resp   latencies
	rcpt   latencies
}

// smppText begins every text; the reference follows. It says nothing that needs a second segment.
const smppText = "Sayin musterimiz, magazamizda bu hafta sonu yeni sezon urunleri sizi bekliyor. Bilgi no "

// bindAll opens the binds.
func (e *esmeLoad) bindAll(ctx context.Context) error {
	e.all, e.enough = make(chan struct{}), make(chan struct{})
	e.template = newTemplate(e.schedule, e.noReceipts)
	for i := range e.shards {
		e.shards[i].ids = make(map[gateway.MessageID]known, e.n/len(e.shards)+1)
	}
	for range e.binds {
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			return err
		}
		c := &esme{load: e, bound: make(chan error, 1)}
		c.link = smpplink.New(conn, smpplink.Config{Window: e.window, ReadBuffer: 64 << 10, RequestSize: 256}, c)
		e.binding = append(e.binding, c)
		go c.link.Run(ctx) // ends with unbind; what is still open then is counted as lost
		if err := c.bind(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (c *esme) bind(ctx context.Context) error {
	b := &smpp.Bind{Mode: smpp.BindTRX, SystemID: []byte(c.load.systemID), Password: []byte(c.load.password), InterfaceVersion: smpp.Version34}
	err := c.link.Send(b, func(r smpplink.Result) {
		if r.Kind != smpplink.Answered || r.Header.Status != smpp.StatusOK {
			c.bound <- fmt.Errorf("bind %s: %s, %s", c.load.systemID, r.Kind, r.Header.Status)
			return
		}
		c.link.Bound()
		c.bound <- nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-c.bound:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// send keeps the windows full, or the pace, until all were answered.
func (e *esmeLoad) send(ctx context.Context) error {
	if e.rate > 0 {
		defer e.keepPace(ctx)()
	} else {
		for _, c := range e.binding {
			c.fill(e.window)
		}
	}
	return await(ctx, e.all, e.lost)
}

// waitReceipts waits until every accepted message has its receipt, or nothing new has come for patience.
func (e *esmeLoad) waitReceipts(ctx context.Context, patience time.Duration) {
	await(ctx, e.enough, quiet(patience, func() int64 { return e.receipts.Load() }))
}

// lost ends the waiting when a bind has gone.
func (e *esmeLoad) lost() error {
	for _, c := range e.binding {
		select {
		case <-c.link.Done():
			return errors.New("the gateway closed a bind")
		default:
		}
	}
	return nil
}

func (e *esmeLoad) unbind(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for _, c := range e.binding {
		c.link.Unbind(ctx)
	}
}

// fill sends up to n messages, as many as are left.
func (c *esme) fill(n int) {
	e := c.load
	first := int(e.next.Add(int64(n))) - n
	if first+n > e.n {
		n = e.n - first
	}
	if n <= 0 {
		return
	}
	if !c.link.Reserve(n) {
		panic("bench: the window is full although so many were answered")
	}
	c.link.SendBatch(smpp.SubmitSMID, n, &burst{c: c, first: first, at: clock()})
}

// burst is a run of submit_sm with consecutive references.
type burst struct {
	c     *esme
	first int
	at    time.Duration
	lag   []time.Duration // how late each was sent, when a pace is kept
}

// template is a submit_sm with its places for number and reference.
type template struct {
	pdu         []byte
	number, ref int // offsets
}

func newTemplate(schedule string, quiet bool) template {
	m := smpp.SubmitSM{Source: smpp.Address{TON: smpp.TONAlphanumeric, Addr: []byte(senderName)},
		Dest:         smpp.Address{TON: smpp.TONInternational, NPI: smpp.NPIISDN, Addr: []byte(numberOf(0)[1:])},
		ScheduleTime: []byte(schedule), RegisteredDelivery: smpp.ReceiptAlways, ShortMessage: []byte(smppText + "00000000")}
	if quiet {
		m.RegisteredDelivery = 0
	}
	t := template{pdu: m.AppendTo(nil, 0)}
	t.ref = len(t.pdu) - refDigits
	t.number = smpp.HeaderLen + 1 + 2 + len(senderName) + 1 + 2 + len(numberPrefix) - 1
	return t
}

// AppendPDU implements smpplink.Requests.
func (b *burst) AppendPDU(dst []byte, i int, seq uint32) []byte {
	e := b.c.load
	t := &e.template
	ref := b.first + i
	start := len(dst)
	dst = append(dst, t.pdu...)
	pdu := dst[start:]
	binary.BigEndian.PutUint32(pdu[12:], seq)
	putDigits(pdu[t.number:t.number+numberDigits], e.people.number(ref))
	putDigits(pdu[t.ref:], ref)
	return dst
}

// Answered implements smpplink.Requests.
func (b *burst) Answered(i int, r smpplink.Result) {
	e := b.c.load
	b.c.answered.Add(1)
	b.c.credit++
	if b.lag != nil {
		r.RTT += b.lag[i]
	}
	b.c.resp = append(b.c.resp, r.RTT)
	switch {
	case r.Kind == smpplink.Answered && r.Header.Status == smpp.StatusOK:
		var m smpp.SubmitSMResp
		id, err := gateway.MessageID{}, m.Decode(r.Header, r.Body)
		if err == nil {
			id, err = gateway.ParseMessageID(string(m.MessageID))
		}
		if err != nil {
			e.refused.Add(1)
			break
		}
		e.ok.Add(1)
		if e.people.refuses(b.first + i) {
			e.stopped.Add(1)
		}
		if !e.noReceipts {
			b.c.told(id, b.at)
		}
	case r.Kind == smpplink.Answered && r.Header.Status.Advice() == smpp.AdviceSlowDown:
		e.throttle.Add(1)
		e.status.Store(uint32(r.Header.Status))
	default:
		e.refused.Add(1)
		e.status.Store(uint32(r.Header.Status))
	}
	if e.answered.Add(1) == int64(e.n) {
		close(e.all)
	}
}

func (e *esmeLoad) shard(id gateway.MessageID) *receiptShard {
	x := uint64(id.Batch)*0x9E3779B97F4A7C15 + uint64(id.Index)
	return &e.shards[x>>58]
}

// told notes the id of a response.
func (c *esme) told(id gateway.MessageID, at time.Duration) {
	s := c.load.shard(id)
	s.mu.Lock()
	k := s.ids[id]
	k.at = at
	s.ids[id] = k
	s.mu.Unlock()
	if k.receipts > 0 {
		c.paired(k.first - at)
	}
}

// receipted notes a receipt.
func (c *esme) receipted(id gateway.MessageID, now time.Duration) {
	s := c.load.shard(id)
	s.mu.Lock()
	k := s.ids[id]
	k.receipts++
	if k.receipts == 1 {
		k.first = now
	}
	s.ids[id] = k
	s.mu.Unlock()
	switch {
	case k.receipts > 1:
		c.load.again.Add(1)
	case k.at > 0:
		c.paired(now - k.at)
	}
}

// paired counts a message that has both its response and its receipt.
func (c *esme) paired(d time.Duration) {
	c.rcpt = append(c.rcpt, d)
	if c.load.receipts.Add(1) == int64(c.load.n) {
		close(c.load.enough)
	}
}

// HandlePDU implements smpplink.Handler.
func (c *esme) HandlePDU(_ *smpplink.Link, h smpp.Header, body []byte) {
	if h.ID != smpp.DeliverSMID || c.dm.Decode(h, body) != nil {
		c.out = smpp.AppendRefusal(c.out, h, smpp.StatusInvCmdID)
		return
	}
	c.out = (&smpp.DeliverSMResp{}).AppendTo(c.out, h.Sequence)
	if c.dm.ESMClass.IsReceipt() {
		c.receipt()
	}
}

func (c *esme) receipt() {
	text, ok := c.dm.TLVs.CString(smpp.TagReceiptedMessageID)
	st, _ := c.dm.TLVs.Uint8(smpp.TagMessageState)
	if !ok {
		r := smpp.ParseReceiptText(c.dm.ShortMessage, time.UTC)
		text, st = r.MessageID, uint8(r.State)
	}
	id, err := gateway.ParseMessageID(string(text))
	switch state := smpp.MessageState(st); {
	case err == nil && state == smpp.StateDelivered:
	case err == nil && state == smpp.StateRejected:
		c.load.rejected.Add(1)
	default:
		c.load.foreign.Add(1)
		return
	}
	c.receipted(id, clock())
}

// EndBatch implements smpplink.Batcher: one write of acknowledgements, one of new messages.
func (c *esme) EndBatch(l *smpplink.Link) {
	if len(c.out) > 0 {
		l.Write(c.out) // an ended link tells nobody
		c.out = c.out[:0]
	}
	if c.credit > 0 && c.load.rate == 0 {
		n := c.credit
		c.credit = 0
		c.fill(n)
	}
}

// quantiles of response and receipt times over all binds; call it after the last answer.
func (e *esmeLoad) quantiles() (resp, rcpt quantiles) {
	var a, b []latencies
	for _, c := range e.binding {
		a, b = append(a, c.resp), append(b, c.rcpt)
	}
	return merge(a...), merge(b...)
}
