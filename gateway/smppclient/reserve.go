package smppclient

import (
	"fmt"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// Reservation is room for the segments of one message on one bind. It ends
// with exactly one of Commit and Cancel and should not be held for long: it
// keeps places and tokens from others.
type Reservation struct {
	bind *Bind
	link *smpplink.Link
	n    int
	lane Lane
}

// TryReserve takes n places of the window and n tokens of the rate, all or
// none, and never waits. When it fails, Ready and OnReady tell when to try
// again. It always fails for n over the window, or on a receiver.
func (b *Bind) TryReserve(n int, lane Lane) (Reservation, bool) {
	if n < 1 || n > b.client.cfg.Window || !b.mode.CanTransmit() {
		return Reservation{}, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != Bound || !b.laneHasRoom(n, lane) {
		return Reservation{}, false
	}
	paced := b.client.cfg.RatePerSecond > 0
	var now time.Time
	if paced || b.throttle.step > 0 {
		now = time.Now()
	}
	if b.throttle.step > 0 && now.Before(b.throttle.until) {
		b.wakeAtLocked(b.throttle.until, now)
		return Reservation{}, false
	}
	if paced {
		if wait := b.rate.wait(now, n, lane); wait > 0 {
			b.wakeAtLocked(now.Add(wait), now)
			return Reservation{}, false
		}
	}
	if !b.link.Reserve(n) {
		return Reservation{}, false
	}
	if paced {
		b.rate.take(n, lane)
	}
	if lane == Commercial {
		b.commercial.Add(int64(n))
	}
	return Reservation{bind: b, link: b.link, n: n, lane: lane}, true
}

// InShare reports whether the lane's share of window and rate has n left, so
// that a TryReserve that failed wants places or tokens that others hold. False
// while the bind rests.
func (b *Bind) InShare(n int, lane Lane) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state != Bound || !b.mode.CanTransmit() || !b.laneHasRoom(n, lane) {
		return false
	}
	now := time.Now()
	rests := b.throttle.step > 0 && now.Before(b.throttle.until)
	return !rests && (lane != Commercial || b.rate.commercial.wait(now, n) == 0)
}

// laneHasRoom keeps the commercial lane within its share. A message larger
// than the share may go when the lane is empty, or it never could.
func (b *Bind) laneHasRoom(n int, lane Lane) bool {
	if lane != Commercial {
		return true
	}
	held := int(b.commercial.Load())
	return held == 0 || held+n <= commercialWindow(b.client.cfg.Window)
}

// Bind that the room is on.
func (r Reservation) Bind() *Bind { return r.bind }

// Cancel gives everything back.
func (r Reservation) Cancel() {
	b := r.bind
	b.mu.Lock()
	b.rate.take(-r.n, r.lane) // wait caps what comes back at the burst
	b.mu.Unlock()
	if r.lane == Commercial {
		b.commercial.Add(-int64(r.n))
	}
	r.link.Unreserve(r.n)
}

// Outcome is what became of one segment.
type Outcome struct {
	// Status of the response; meaningless if Err is set.
	Status smpp.CommandStatus
	// MessageID is the operator's, normalised by Config.ResponseID. Some
	// operators give none.
	MessageID string
	// Err is nil, ErrTimeout or ErrLinkLost.
	Err error
	// RTT is the time from Commit to the outcome.
	RTT time.Duration
	// Late says that the segment had an outcome before, ErrTimeout, and that
	// the operator has answered it after all.
	Late bool
}

// Commit hands pdus off: it appends all of them to the bind's write buffer in
// one go and cannot block. There may be fewer than reserved, not more. When it
// returns nil, done is called exactly once for each: from the link's
// goroutines, possibly before Commit returns, never under a lock of this
// package. After ErrTimeout it may be called once more for the segment, with
// Late set, while the session lasts and the link remembers the request
// (smpplink.Config.LateFor, LateMax). done must not block. The PDUs are not
// used after Commit.
//
// When it returns an error nothing was appended and done is not called: a
// *smpp.FieldError for a PDU that must not be sent, ErrLinkLost if the
// connection ended meanwhile.
func (r Reservation) Commit(pdus []smpp.SubmitSM, done func(seg int, o Outcome)) error {
	if len(pdus) == 0 || len(pdus) > r.n {
		r.Cancel()
		return fmt.Errorf("smppclient: commit of %d segments on %d places", len(pdus), r.n)
	}
	for i := range pdus {
		if err := pdus[i].Validate(); err != nil {
			r.Cancel()
			return fmt.Errorf("smppclient: segment %d: %w", i, err)
		}
	}
	if rest := r.n - len(pdus); rest > 0 {
		Reservation{r.bind, r.link, rest, r.lane}.Cancel()
	}
	f := &flight{bind: r.bind, pdus: pdus, done: done, lane: r.lane}
	if err := r.link.SendBatch(smpp.SubmitSMID, len(pdus), f); err != nil {
		if r.lane == Commercial {
			r.bind.commercial.Add(-int64(len(pdus)))
		}
		return ErrLinkLost
	}
	r.bind.m.submitted.Add(uint64(len(pdus)))
	f.pdus = nil // the link may remember f for a while
	return nil
}

// flight is a message on its way. It implements smpplink.LateRequests.
type flight struct {
	bind *Bind
	pdus []smpp.SubmitSM // used by AppendPDU only
	done func(seg int, o Outcome)
	lane Lane
}

// AppendPDU implements smpplink.Requests.
func (f *flight) AppendPDU(dst []byte, i int, seq uint32) []byte { return f.pdus[i].AppendTo(dst, seq) }

// Answered implements smpplink.Requests.
func (f *flight) Answered(i int, r smpplink.Result) {
	b := f.bind
	if f.lane == Commercial {
		b.commercial.Add(-1)
	}
	o := Outcome{RTT: r.RTT}
	switch r.Kind {
	case smpplink.TimedOut:
		o.Err = ErrTimeout
	case smpplink.Lost:
		o.Err = ErrLinkLost
	default:
		o.Status, o.MessageID = b.readResponse(r)
		b.noteStatus(o.Status, r.RTT)
	}
	b.m.outcome(o)
	f.done(i, o)
}

// AnsweredLate implements smpplink.LateRequests.
func (f *flight) AnsweredLate(i int, r smpplink.Result) {
	o := Outcome{RTT: r.RTT, Late: true}
	o.Status, o.MessageID = f.bind.readResponse(r)
	f.bind.m.late.Add(1)
	f.done(i, o)
}

// readResponse reads a submit_sm_resp or generic_nack. A body that cannot be
// read does not undo an acceptance: the message is taken and has no id.
func (b *Bind) readResponse(r smpplink.Result) (smpp.CommandStatus, string) {
	if r.Header.ID == smpp.GenericNackID {
		if r.Header.Status == smpp.StatusOK {
			return smpp.StatusUnknownErr, ""
		}
		return r.Header.Status, ""
	}
	if r.Header.Status != smpp.StatusOK {
		return r.Header.Status, ""
	}
	var resp smpp.SubmitSMResp
	if err := resp.Decode(r.Header, r.Body); err != nil {
		b.m.badResponses.Add(1)
		return smpp.StatusOK, ""
	}
	return smpp.StatusOK, b.client.cfg.ResponseID.Apply(string(resp.MessageID))
}

// noteStatus lets the bind pause, or go on as before.
func (b *Bind) noteStatus(status smpp.CommandStatus, rtt time.Duration) {
	switch status.Advice() {
	case smpp.AdviceAccepted:
		if !b.m.throttled.Load() {
			return
		}
	case smpp.AdviceSlowDown, smpp.AdviceQueueFull:
	default:
		return
	}
	now := time.Now()
	b.mu.Lock()
	began := b.throttle.note(status, now.Add(-rtt), now)
	if began {
		b.wakeAtLocked(b.throttle.until, now)
	}
	b.m.throttled.Store(b.throttle.step > 0)
	step := b.throttle.step
	b.mu.Unlock()
	if began {
		b.m.pauses.Add(1)
		b.log.Warn("operator asks to slow down", "status", status.String(), "pause", step)
	}
}
