package smpptest

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway/smpp"
)

// Record is one PDU as it came: any request of a client save enquire_link
// and unbind.
type Record struct {
	At        time.Time
	Session   int // counts connections from 1
	SystemID  string
	Header    smpp.Header
	Body      []byte
	Status    smpp.CommandStatus // it was, or would have been, answered with
	MessageID string             // it was given
	// Submit is set for submit_sm, and for data_sm in its form.
	Submit *smpp.SubmitSM
}

// Stats are counters since Start.
type Stats struct {
	Binds     int // ever
	Bound     int // now
	Submits   int // submit_sm and data_sm that could be read
	Accepted  int
	Refused   int
	Throttled int // of Refused
	MaxOwed   int // most requests a session had open at once
	// Delivered counts deliver_sm sent, Acked those answered ESME_ROK,
	// Redelivered those to be sent again, DeliveryRefused those given up.
	Delivered, Acked, Redelivered, DeliveryRefused int
	// With Config.Dedupe: different accepted messages, and how many came on
	// top of them.
	Unique, Duplicates int
}

type counters struct {
	binds, bound, submits, accepted, refused, throttled, maxOwed atomic.Int64
	delivered, acked, redelivered, deliveryRefused               atomic.Int64
}

// Stats returns a snapshot.
func (s *Server) Stats() Stats {
	c := &s.counters
	st := Stats{
		Binds: int(c.binds.Load()), Bound: int(c.bound.Load()), Submits: int(c.submits.Load()),
		Accepted: int(c.accepted.Load()), Refused: int(c.refused.Load()), Throttled: int(c.throttled.Load()),
		MaxOwed: int(c.maxOwed.Load()), Delivered: int(c.delivered.Load()), Acked: int(c.acked.Load()),
		Redelivered: int(c.redelivered.Load()), DeliveryRefused: int(c.deliveryRefused.Load()),
	}
	s.rec.mu.Lock()
	st.Unique, st.Duplicates = len(s.rec.seen), s.rec.duplicates
	s.rec.mu.Unlock()
	return st
}

// Received returns every PDU recorded so far, in order of arrival. The slices
// are the caller's to read.
func (s *Server) Received() []Record {
	s.rec.mu.Lock()
	defer s.rec.mu.Unlock()
	return append([]Record(nil), s.rec.records...)
}

// Submits returns the accepted messages recorded so far.
func (s *Server) Submits() []Record {
	var out []Record
	for _, r := range s.Received() {
		if r.Submit != nil && r.Status == smpp.StatusOK {
			out = append(out, r)
		}
	}
	return out
}

// WaitCount waits until n messages have come, accepted or not.
func (s *Server) WaitCount(ctx context.Context, n int) error {
	return s.WaitFor(ctx, func(st Stats) bool { return st.Submits >= n })
}

// WaitFor waits until cond holds. It is asked whenever the counters may have
// changed.
func (s *Server) WaitFor(ctx context.Context, cond func(Stats) bool) error {
	ch := s.rec.watch()
	defer s.rec.unwatch(ch)
	for {
		st := s.Stats()
		if cond(st) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("smpptest: waiting, so far %+v: %w", st, context.Cause(ctx))
		case <-ch:
		}
	}
}

// recorder keeps records, hashes and those who wait.
type recorder struct {
	record, dedupe bool
	tap            func(*smpp.SubmitSM)
	seed           maphash.Seed
	watched        atomic.Bool // watchers is not empty

	mu         sync.Mutex
	records    []Record
	seen       map[uint64]struct{}
	duplicates int
	watchers   map[chan struct{}]bool
}

func (r *recorder) init(record, dedupe bool) {
	r.record, r.dedupe, r.seed = record, dedupe, maphash.MakeSeed()
	r.seen, r.watchers = map[uint64]struct{}{}, map[chan struct{}]bool{}
}

// pdu records one PDU; sm is its message, if it is one.
func (r *recorder) pdu(ss *session, h smpp.Header, body []byte, sm *smpp.SubmitSM, id []byte, status smpp.CommandStatus) {
	if !r.record {
		return
	}
	rec := Record{At: time.Now(), Session: ss.index, Header: h, Body: bytes.Clone(body), Status: status, MessageID: string(id)}
	if ss.account != nil {
		rec.SystemID = ss.account.name
	}
	if sm != nil {
		rec.Submit = cloneSubmit(sm)
	}
	r.mu.Lock()
	r.records = append(r.records, rec)
	r.mu.Unlock()
}

// cloneSubmit copies a message out of the reader's buffer.
func cloneSubmit(m *smpp.SubmitSM) *smpp.SubmitSM {
	c := *m
	for _, f := range []*[]byte{&c.ServiceType, &c.Source.Addr, &c.Dest.Addr, &c.ScheduleTime, &c.ValidityPeriod, &c.ShortMessage} {
		*f = bytes.Clone(*f)
	}
	c.TLVs = bytes.Clone(c.TLVs)
	return &c
}

// count tells of an accepted message and adds it to the table of hashes.
func (r *recorder) count(m *smpp.SubmitSM) {
	if r.tap != nil {
		r.tap(m)
	}
	if !r.dedupe {
		return
	}
	var h maphash.Hash
	h.SetSeed(r.seed)
	for _, f := range [][]byte{m.Source.Addr, m.Dest.Addr, m.ShortMessage} {
		h.Write(f)
		h.WriteByte(0)
	}
	if payload, ok := m.TLVs.Get(smpp.TagMessagePayload); ok {
		h.Write(payload)
	}
	sum := h.Sum64()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.seen[sum]; ok {
		r.duplicates++
		return
	}
	r.seen[sum] = struct{}{}
}

func (r *recorder) watch() chan struct{} {
	ch := make(chan struct{}, 1)
	r.mu.Lock()
	r.watchers[ch] = true
	r.watched.Store(true)
	r.mu.Unlock()
	return ch
}

func (r *recorder) unwatch(ch chan struct{}) {
	r.mu.Lock()
	delete(r.watchers, ch)
	r.watched.Store(len(r.watchers) > 0)
	r.mu.Unlock()
}

// changed wakes those who wait.
func (r *recorder) changed() {
	if !r.watched.Load() {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for ch := range r.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}
