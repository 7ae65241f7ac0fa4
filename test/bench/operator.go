package main

import (
	"context"
	"encoding/binary"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// operator is a simulated SMSC made for speed: it reads whatever has arrived, answers all of it in one write and sends the
// receipts of all of it in one more. It remembers references, not messages.
type operator struct {
	ln     net.Listener
	cancel context.CancelFunc
	wg     sync.WaitGroup
	nextID atomic.Uint64

	// Set before the load begins.
	seen     *tracker
	onSubmit func(m *smpp.SubmitSM, ref int, now time.Duration) // may be nil; called by the readers
	receipts bool

	submits atomic.Int64
	acked   atomic.Int64 // receipts answered ESME_ROK
	put     atomic.Int64 // deliveries put off by the gateway

	mu       sync.Mutex
	sessions []*opSession
}

// deliverWindow bounds deliver_sm in flight on a bind.
const deliverWindow = 100

func startOperator() (*operator, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	o := &operator{ln: ln, cancel: cancel, receipts: true, seen: newTracker(0)}
	o.nextID.Store(1 << 32)
	o.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s := &opSession{op: o, pumpC: make(chan struct{}, 1)}
			s.link = smpplink.New(conn, smpplink.Config{Window: deliverWindow, ReadBuffer: 64 << 10, OnFree: func(int) { s.signal() }}, s)
			o.mu.Lock()
			o.sessions = append(o.sessions, s)
			o.mu.Unlock()
			o.wg.Go(func() { s.run(ctx) })
		}
	})
	return o, nil
}

func (o *operator) addr() string { return o.ln.Addr().String() }

func (o *operator) close() {
	o.cancel()
	o.ln.Close()
	o.wg.Wait()
}

// waitBound waits for the binds of the other side.
func (o *operator) waitBound(ctx context.Context, binds int) error {
	count := func() (n int64) {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, s := range o.sessions {
			if s.bound.Load() {
				n++
			}
		}
		return n
	}
	return until(ctx, patience, count, func() bool { return count() == int64(binds) })
}

// sendMO brings a message from a handset to the gateway; answered is called with its final acknowledgement.
func (o *operator) sendMO(from, to, text string, answered func(at time.Duration)) bool {
	m := smpp.DeliverSM{Source: smpp.Address{TON: smpp.TONInternational, NPI: smpp.NPIISDN, Addr: []byte(from)},
		Dest: smpp.Address{TON: smpp.TONInternational, NPI: smpp.NPIISDN, Addr: []byte(to)}, ShortMessage: []byte(text)}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, s := range o.sessions {
		if s.bound.Load() {
			b := &deliveries{s: s, answered: answered}
			b.add(&m)
			s.queue(b, true)
			return true
		}
	}
	return false
}

// opSession is one bind of the gateway.
type opSession struct {
	op    *operator
	link  *smpplink.Link
	bound atomic.Bool
	pumpC chan struct{}

	// Owned by the reader.
	sm    smpp.SubmitSM
	out   []byte
	id    [20]byte
	batch *deliveries

	mu      sync.Mutex
	waiting []*deliveries // guarded by mu
}

func (s *opSession) run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(s.pump)
	s.link.Run(ctx) // why a bind ended is the gateway's to tell; what is missing shows in the count
	wg.Wait()
	s.bound.Store(false)
}

// HandlePDU implements smpplink.Handler.
func (s *opSession) HandlePDU(l *smpplink.Link, h smpp.Header, body []byte) {
	switch {
	case h.ID.IsBind():
		var b smpp.Bind
		if b.DecodeLimits(h, body, smpp.RelaxedLimits) != nil {
			s.out = smpp.AppendRefusal(s.out, h, smpp.StatusBindFail)
			return
		}
		resp := smpp.BindResp{Mode: b.Mode, SystemID: []byte("bench")}
		resp.TLVs = smpp.TLVs(nil).AppendUint8(smpp.TagSCInterfaceVersion, smpp.Version34)
		l.Respond(h.Sequence, &resp)
		l.Bound()
		s.bound.Store(b.Mode.CanReceive())
	case h.ID == smpp.SubmitSMID && s.sm.Decode(h, body) == nil:
		s.submit(h)
	default:
		s.out = smpp.AppendRefusal(s.out, h, smpp.StatusInvCmdID)
	}
}

func (s *opSession) submit(h smpp.Header) {
	o := s.op
	now := clock()
	o.submits.Add(1)
	ref, ok := refOf(s.sm.ShortMessage)
	if !ok {
		ref = -1
	}
	o.seen.arrived(ref, s.sm.Dest.Addr, now)
	if o.onSubmit != nil {
		o.onSubmit(&s.sm, ref, now)
	}
	id := strconv.AppendUint(s.id[:0], o.nextID.Add(1), 10)
	s.out = (&smpp.SubmitSMResp{MessageID: id}).AppendTo(s.out, h.Sequence)
	if o.receipts && s.sm.RegisteredDelivery.Wants(true) {
		s.receipt(id)
	}
}

// receipt adds the receipt of the message in s.sm to the batch. The text form is left out but for the id: the parameters of
// SMPP 3.4 §5.3.2 say the same.
func (s *opSession) receipt(id []byte) {
	if s.batch == nil {
		s.batch = &deliveries{s: s, pdus: make([]byte, 0, 16<<10)}
	}
	r := smpp.Receipt{MessageID: id, Sub: 1, Delivered: 1, State: smpp.StateDelivered, Err: []byte("000"), SubmitDate: receiptDate, DoneDate: receiptDate}
	var text [128]byte
	var tlvs [64]byte
	s.batch.add(&smpp.DeliverSM{Source: s.sm.Dest, Dest: s.sm.Source, ESMClass: smpp.ESMReceipt, ShortMessage: r.AppendText(text[:0]),
		TLVs: r.AppendTLVs(tlvs[:0])})
}

var receiptDate = time.Now()

// EndBatch implements smpplink.Batcher: one write of answers, one of receipts.
func (s *opSession) EndBatch(l *smpplink.Link) {
	if len(s.out) > 0 {
		l.Write(s.out) // an ended link answers nobody
		s.out = s.out[:0]
	}
	if s.batch != nil {
		s.queue(s.batch, false)
		s.batch = nil
	}
}

// queue hands deliveries to the pump; urgent ones go first.
func (s *opSession) queue(d *deliveries, urgent bool) {
	s.mu.Lock()
	if urgent {
		s.waiting = append([]*deliveries{d}, s.waiting...)
	} else {
		s.waiting = append(s.waiting, d)
	}
	s.mu.Unlock()
	s.signal()
}

func (s *opSession) signal() {
	select {
	case s.pumpC <- struct{}{}:
	default:
	}
}

// pump sends what waits as far as the window has room.
func (s *opSession) pump() {
	for {
		select {
		case <-s.link.Done():
			return
		case <-s.pumpC:
		}
		for s.sendSome() {
		}
	}
}

// sendSome sends a piece of the first batch; false when there is none or no room.
func (s *opSession) sendSome() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		return false
	}
	d := s.waiting[0]
	n := len(d.ends) - d.sent
	for n > 0 && !s.link.Reserve(n) {
		n /= 2
	}
	if n == 0 {
		return false
	}
	piece := &piece{d, d.sent}
	d.sent += n
	if d.sent == len(d.ends) {
		s.waiting[0] = nil
		s.waiting = s.waiting[1:]
	}
	return s.link.SendBatch(smpp.DeliverSMID, n, piece) == nil
}

// deliveries are deliver_sm written one after the other into one buffer.
type deliveries struct {
	s        *opSession
	pdus     []byte
	ends     []int
	sent     int // guarded by s.mu
	answered func(at time.Duration)
}

func (d *deliveries) add(m *smpp.DeliverSM) {
	d.pdus = m.AppendTo(d.pdus, 0)
	d.ends = append(d.ends, len(d.pdus))
}

func (d *deliveries) pdu(i int) []byte {
	start := 0
	if i > 0 {
		start = d.ends[i-1]
	}
	return d.pdus[start:d.ends[i]]
}

// piece is a run of deliveries that leave together.
type piece struct {
	*deliveries
	first int
}

// AppendPDU implements smpplink.Requests.
func (p *piece) AppendPDU(dst []byte, i int, seq uint32) []byte {
	start := len(dst)
	dst = append(dst, p.pdu(p.first+i)...)
	binary.BigEndian.PutUint32(dst[start+12:], seq)
	return dst
}

// Answered implements smpplink.Requests. What the gateway puts off comes again, as from any operator.
func (p *piece) Answered(i int, r smpplink.Result) {
	o := p.s.op
	if r.Kind == smpplink.Answered && r.Header.Status == smpp.StatusOK {
		if p.deliveries.answered != nil {
			p.deliveries.answered(clock())
		} else {
			o.acked.Add(1)
		}
		return
	}
	if r.Kind != smpplink.Answered {
		return // the bind is gone; the count tells
	}
	o.put.Add(1)
	again := &deliveries{s: p.s, pdus: append([]byte(nil), p.pdu(p.first+i)...), answered: p.deliveries.answered}
	again.ends = []int{len(again.pdus)}
	time.AfterFunc(putOff, func() { p.s.queue(again, false) })
}

// putOff is how long the operator waits before it delivers again what the gateway did not take.
const putOff = 50 * time.Millisecond
