package smpptest

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// session is one connection of an ESME.
type session struct {
	srv   *Server
	conn  net.Conn
	link  *smpplink.Link
	index int // counts connections from 1
	late  chan latePDUs

	// Written by the reader before bound is set, read after it.
	account *account
	mode    smpp.BindMode
	bound   atomic.Bool

	// Owned by the reader.
	sm     smpp.SubmitSM
	resp   smpp.SubmitSMResp
	id     []byte
	out    []byte    // responses of the present batch
	told   []func()  // of those responses, for Watch
	follow []*parcel // receipts and replies of the present batch: they leave after its responses
	drop   bool      // DropAfter's moment has come
	taken  int64     // messages of the present batch: they count once what becomes of them is settled
}

// latePDUs are responses that wait for their latency.
type latePDUs struct {
	due  time.Time
	pdus []byte
	told []func() // what Watch wants called when they are written
}

func newSession(s *Server, conn net.Conn, index int) *session {
	ss := &session{srv: s, conn: conn, index: index, late: make(chan latePDUs, 1024)}
	ss.link = smpplink.New(conn, smpplink.Config{
		Window: s.cfg.Window,
		Timers: s.cfg.Timers,
		OnFree: func(int) { s.out.signal() },
	}, ss)
	return ss
}

func (ss *session) run() {
	var wg sync.WaitGroup
	wg.Go(ss.writeLate)
	err := ss.link.Run(context.Background())
	wg.Wait()
	ss.srv.remove(ss)
	ss.srv.cfg.Logger.Info("smpptest session ended", "session", ss.index, "err", err)
}

// cut closes the connection at once.
func (ss *session) cut() {
	if tc, ok := ss.conn.(*net.TCPConn); ok {
		tc.SetLinger(0)
	}
	ss.conn.Close()
}

// HandlePDU implements smpplink.Handler.
func (ss *session) HandlePDU(_ *smpplink.Link, h smpp.Header, body []byte) {
	switch {
	case h.ID.IsBind():
		ss.bind(h, body)
	case !ss.bound.Load():
		ss.refuse(h, body, smpp.StatusInvBindStatus)
	case h.ID == smpp.SubmitSMID && ss.mode.CanTransmit():
		ss.submit(h, body)
	case h.ID == smpp.DataSMID && ss.mode.CanTransmit():
		ss.data(h, body)
	case h.ID == smpp.QuerySMID:
		ss.refuse(h, body, smpp.StatusQueryFail)
	case h.ID == smpp.CancelSMID:
		ss.refuse(h, body, smpp.StatusCancelFail)
	case h.ID == smpp.ReplaceSMID:
		ss.refuse(h, body, smpp.StatusReplaceFail)
	default:
		ss.refuse(h, body, smpp.StatusInvBindStatus)
	}
}

func (ss *session) refuse(h smpp.Header, body []byte, status smpp.CommandStatus) {
	ss.srv.rec.pdu(ss, h, body, nil, nil, status)
	ss.out = smpp.AppendRefusal(ss.out, h, status)
}

func (ss *session) bind(h smpp.Header, body []byte) {
	var b smpp.Bind
	status := smpp.CommandStatus(ss.srv.bindStatus.Load())
	if err := b.DecodeLimits(h, body, smpp.RelaxedLimits); err != nil {
		status = smpp.StatusOf(err)
	} else if ss.bound.Load() {
		status = smpp.StatusAlreadyBound
	} else if status == smpp.StatusOK && ss.srv.cfg.Accounts != nil {
		switch password, ok := ss.srv.cfg.Accounts[string(b.SystemID)]; {
		case !ok:
			status = smpp.StatusInvSystemID
		case password != string(b.Password):
			status = smpp.StatusInvPassword
		}
	}
	ss.srv.rec.pdu(ss, h, body, nil, nil, status)
	resp := smpp.BindResp{Mode: b.Mode, Status: status}
	if status != smpp.StatusOK {
		ss.link.Respond(h.Sequence, &resp)
		if !ss.bound.Load() {
			ss.link.Close(errRefused)
		}
		return
	}
	resp.SystemID = []byte(ss.srv.cfg.SystemID)
	resp.TLVs = smpp.TLVs(nil).AppendUint8(smpp.TagSCInterfaceVersion, smpp.Version34)
	ss.account, ss.mode = ss.srv.account(string(b.SystemID)), b.Mode
	ss.link.Respond(h.Sequence, &resp)
	ss.link.Bound()
	ss.bound.Store(true)
	ss.srv.counters.bound.Add(1)
	ss.srv.counters.binds.Add(1)
	ss.srv.cfg.Logger.Info("smpptest session bound", "session", ss.index, "system_id", ss.account.name, "mode", b.Mode.String())
	ss.srv.out.signal()
	ss.srv.rec.changed()
}

// errRefused ends the connection of a refused bind.
var errRefused = errors.New("smpptest: bind refused")

func (ss *session) submit(h smpp.Header, body []byte) {
	if err := ss.sm.Decode(h, body); err != nil {
		ss.srv.counters.refused.Add(1)
		ss.refuse(h, body, smpp.StatusOf(err))
		return
	}
	ss.take(h, body)
}

func (ss *session) data(h smpp.Header, body []byte) {
	var d smpp.DataSM
	if err := d.Decode(h, body); err != nil {
		ss.refuse(h, body, smpp.StatusOf(err))
		return
	}
	ss.sm = smpp.SubmitSM{
		ServiceType: d.ServiceType, Source: d.Source, Dest: d.Dest, ESMClass: d.ESMClass,
		RegisteredDelivery: d.RegisteredDelivery, DataCoding: d.DataCoding, TLVs: d.TLVs,
	}
	ss.take(h, body)
}

// take decides about the message in ss.sm and answers it.
func (ss *session) take(h smpp.Header, body []byte) {
	s := ss.srv
	c := &s.counters
	ss.taken++
	if n := s.dropAfter.Load(); n > 0 && s.dropAfter.Add(-1) == 0 {
		ss.drop = true
	}
	rule := s.rule(ss.sm.Dest.Addr)
	status := rule.Status
	if tps := s.tps.Load(); tps > 0 && s.overRate(ss.account, time.Now()) {
		status = smpp.StatusThrottled
		c.throttled.Add(1)
	}
	ss.id = ss.id[:0]
	var id uint64
	if status == smpp.StatusOK {
		id = s.nextID.Add(1)
		ss.id = s.cfg.ID.appendTo(ss.id, id)
		c.accepted.Add(1)
		s.rec.count(&ss.sm)
	} else {
		c.refused.Add(1)
	}
	s.rec.pdu(ss, h, body, &ss.sm, ss.id, status)
	var answered func()
	if s.cfg.Watch != nil {
		answered = s.cfg.Watch(&ss.sm, status)
	}
	if !rule.Silent && !s.stuck.Load() {
		ss.resp = smpp.SubmitSMResp{Status: status, MessageID: ss.id}
		start := len(ss.out)
		ss.out = ss.resp.AppendTo(ss.out, h.Sequence)
		if h.ID == smpp.DataSMID {
			copy(ss.out[start+4:], []byte{0x80, 0, 1, 3}) // data_sm_resp has the same form
		}
		if answered != nil {
			ss.told = append(ss.told, answered)
		}
	}
	if status == smpp.StatusOK {
		if p := s.out.receipt(ss.account.name, &ss.sm, id, &rule); p != nil {
			ss.follow = append(ss.follow, p)
		}
		ss.follow = append(ss.follow, s.out.reply(ss.account.name, &ss.sm, &rule)...)
	}
}

// EndBatch implements smpplink.Batcher: it answers what came together.
func (ss *session) EndBatch(l *smpplink.Link) {
	s := ss.srv
	if owed := int64(l.Owed()); owed > s.counters.maxOwed.Load() {
		s.counters.maxOwed.Store(owed)
	}
	held := len(ss.out) > 0 && !ss.drop && ss.keepBack()
	// Who waits for the count may change what the operator does: that comes too
	// late for these messages, which are decided about and, under Hold, held.
	s.counters.submits.Add(ss.taken)
	ss.taken = 0
	if ss.drop {
		ss.drop = false
		s.DropAll()
		ss.out = ss.out[:0]
	}
	if len(ss.out) > 0 && !held {
		if d := time.Duration(s.latency.Load()); d > 0 {
			select {
			case ss.late <- latePDUs{time.Now().Add(d), bytes.Clone(ss.out), slices.Clone(ss.told)}:
			case <-l.Done():
			}
		} else if l.Write(ss.out) == nil { // an ended link answers nobody
			tell(ss.told)
		}
	}
	ss.out = ss.out[:0]
	clear(ss.told)
	ss.told = ss.told[:0]
	s.out.add(ss.follow...)
	clear(ss.follow)
	ss.follow = ss.follow[:0]
	s.rec.changed()
}

// keepBack hands the responses to Hold, if it is on.
func (ss *session) keepBack() bool {
	s := ss.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		s.heldOut = append(s.heldOut, heldPDUs{ss, bytes.Clone(ss.out), slices.Clone(ss.told)})
	}
	return s.held
}

// writeLate writes responses when their latency is over.
func (ss *session) writeLate() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ss.link.Done():
			return
		case p := <-ss.late:
			timer.Reset(time.Until(p.due))
			select {
			case <-ss.link.Done():
				return
			case <-timer.C:
				if ss.link.Push(p.pdus) == nil {
					tell(p.told)
				}
			}
		}
	}
}

// tell calls what Watch returned for messages whose answers were written.
func tell(told []func()) {
	for _, f := range told {
		f()
	}
}
