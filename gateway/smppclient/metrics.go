package smppclient

import (
	"sync/atomic"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// LatencyBounds are the upper bounds of the latency buckets; the last bucket
// of a histogram has none.
var LatencyBounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second,
}

type metrics struct {
	binds, submitted, accepted, refused, timedOut, lost atomic.Uint64
	badResponses, pauses, late                          atomic.Uint64
	deliveries, deliveriesRefused, alerts               atomic.Uint64
	latency                                             [len(LatencyBounds) + 1]atomic.Uint64

	throttled atomic.Bool // copy of throttle.step > 0, so that acceptances need no lock
}

func (m *metrics) outcome(o Outcome) {
	switch o.Err {
	case nil:
	case ErrTimeout:
		m.timedOut.Add(1)
		return
	default:
		m.lost.Add(1)
		return
	}
	if o.Status == smpp.StatusOK {
		m.accepted.Add(1)
	} else {
		m.refused.Add(1)
	}
	i := 0
	for i < len(LatencyBounds) && o.RTT > LatencyBounds[i] {
		i++
	}
	m.latency[i].Add(1)
}

// BindSnapshot describes a bind for people and monitors. Counters run from
// the client's start, across sessions.
type BindSnapshot struct {
	Operator string
	Bind     int
	Mode     smpp.BindMode
	State    State
	Since    time.Time // of State
	LastErr  error     // of the last session that ended; nil while bound
	// PeerVersion is the operator's sc_interface_version, 0 if not told.
	PeerVersion    uint8
	Window         int
	Commercial     int       // places the commercial lane holds
	ThrottledUntil time.Time // zero if not paused
	Unacked        int       // deliveries the Handler has not acknowledged

	Binds, Submitted, Accepted, Refused, TimedOut, Lost uint64
	BadResponses, Pauses                                uint64
	Late                                                uint64 // of TimedOut, those answered after all
	Deliveries, DeliveriesRefused, Alerts               uint64
	// Latency counts responses by LatencyBounds, not cumulated.
	Latency [len(LatencyBounds) + 1]uint64
	// Link is the present session's; zero if there is none.
	Link smpplink.Stats
}

// Snapshot describes the bind.
func (b *Bind) Snapshot() BindSnapshot {
	b.mu.Lock()
	s := BindSnapshot{
		Operator: b.client.cfg.Name, Bind: b.index, Mode: b.mode, State: b.state, Since: b.since,
		LastErr: b.lastErr, PeerVersion: b.version, Window: b.client.cfg.Window,
	}
	if b.throttle.step > 0 && b.throttle.until.After(time.Now()) {
		s.ThrottledUntil = b.throttle.until
	}
	link := b.link
	b.mu.Unlock()
	if link != nil {
		s.Link = link.Stats()
	}
	s.Commercial, s.Unacked = int(b.commercial.Load()), int(b.unacked.Load())
	m := &b.m
	s.Binds, s.Submitted, s.Accepted, s.Refused = m.binds.Load(), m.submitted.Load(), m.accepted.Load(), m.refused.Load()
	s.TimedOut, s.Lost = m.timedOut.Load(), m.lost.Load()
	s.Late = m.late.Load()
	s.BadResponses, s.Pauses = m.badResponses.Load(), m.pauses.Load()
	s.Deliveries, s.DeliveriesRefused, s.Alerts = m.deliveries.Load(), m.deliveriesRefused.Load(), m.alerts.Load()
	for i := range m.latency {
		s.Latency[i] = m.latency[i].Load()
	}
	return s
}
