package smpp

import "time"

// TimerConfig are the times after which a session acts; SMPP 3.4 §7.2. A zero
// duration switches its timer off.
type TimerConfig struct {
	Bind        time.Duration // from connect to bind, then hang up
	EnquireLink time.Duration // of silence, then probe with enquire_link; also the wait for its answer
	Missed      int           // unanswered probes before hanging up; at least 1
	Inactivity  time.Duration // without any PDU, then hang up, even if probing is off
}

// Act is what a session must do.
type Act uint8

// Acts.
const (
	Wait   Act = iota // nothing is due
	Probe             // send enquire_link
	Hangup            // close: the peer did not bind, or is gone
)

// Timers is a session's clockwork. It reads no clock: the loop that owns the
// ticker tells it the time. It is not safe for concurrent use.
type Timers struct {
	cfg    TimerConfig
	start  time.Time
	heard  time.Time
	probed time.Time
	missed int
	bound  bool
}

// NewTimers starts the clockwork of a connection made at now.
func NewTimers(cfg TimerConfig, now time.Time) Timers {
	cfg.Missed = max(cfg.Missed, 1)
	return Timers{cfg: cfg, start: now, heard: now}
}

// Bound notes that the session is bound: the bind timer stops, probing starts.
func (t *Timers) Bound(now time.Time) {
	t.bound = true
	t.Heard(now)
}

// Heard notes a PDU from the peer and calms the link.
func (t *Timers) Heard(now time.Time) {
	t.heard = now
	t.missed = 0
	t.probed = time.Time{}
}

// LastHeard returns when the peer was last heard.
func (t *Timers) LastHeard() time.Time { return t.heard }

// Tick reports what the link needs at now. A Probe counts as sent.
func (t *Timers) Tick(now time.Time) Act {
	if !t.bound {
		if t.cfg.Bind > 0 && now.Sub(t.start) >= t.cfg.Bind {
			return Hangup
		}
		return Wait
	}
	if t.cfg.Inactivity > 0 && now.Sub(t.heard) >= t.cfg.Inactivity {
		return Hangup
	}
	if t.cfg.EnquireLink <= 0 || now.Sub(t.calm()) < t.cfg.EnquireLink {
		return Wait
	}
	if t.missed >= t.cfg.Missed {
		return Hangup
	}
	t.missed++
	t.probed = now
	return Probe
}

// Next returns when Tick must be asked again at the latest; the zero time if
// no timer runs. Heard and Bound only push it back or call for a new look.
func (t *Timers) Next() time.Time {
	if !t.bound {
		if t.cfg.Bind <= 0 {
			return time.Time{}
		}
		return t.start.Add(t.cfg.Bind)
	}
	var next time.Time
	if t.cfg.Inactivity > 0 {
		next = t.heard.Add(t.cfg.Inactivity)
	}
	if t.cfg.EnquireLink > 0 {
		if probe := t.calm().Add(t.cfg.EnquireLink); next.IsZero() || probe.Before(next) {
			next = probe
		}
	}
	return next
}

// calm is when the present silence, or the wait for a probe's answer, began.
func (t *Timers) calm() time.Time {
	if t.probed.After(t.heard) {
		return t.probed
	}
	return t.heard
}
