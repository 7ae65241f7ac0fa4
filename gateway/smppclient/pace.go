package smppclient

import (
	"time"

	"izinli/gateway/smpp"
)

// Lane is the class of service of a message, the most urgent first.
type Lane uint8

// Lanes.
const (
	OTP Lane = iota
	Transactional
	Commercial
)

// commercialShare is what the commercial lane may hold of window and rate.
const commercialShare = 0.8

// commercialWindow is the lane's part of a window of n places; at least one.
func commercialWindow(n int) int { return max(int(commercialShare*float64(n)), 1) }

// pace is the rate of one bind: a bucket for all and a smaller one that
// commercial messages need besides. Its owner locks.
type pace struct {
	all, commercial bucket
}

func newPace(perSecond float64) pace {
	return pace{newBucket(perSecond), newBucket(perSecond * commercialShare)}
}

// wait returns how long until n tokens may be taken; 0 is now.
func (p *pace) wait(now time.Time, n int, lane Lane) time.Duration {
	wait := p.all.wait(now, n)
	if lane == Commercial {
		wait = max(wait, p.commercial.wait(now, n))
	}
	return wait
}

func (p *pace) take(n int, lane Lane) {
	p.all.tokens -= float64(n)
	if lane == Commercial {
		p.commercial.tokens -= float64(n)
	}
}

// bucket of tokens. The zero rate has no bound.
type bucket struct {
	rate   float64 // per second
	burst  float64
	tokens float64
	last   time.Time
}

// newBucket starts full. The burst is a tenth of a second's worth: operators
// count by the second, and a full second's burst would double the first.
func newBucket(rate float64) bucket {
	burst := max(rate/10, 1)
	return bucket{rate: rate, burst: burst, tokens: burst}
}

// wait returns how long until n tokens may be taken. A message larger than
// the burst needs a full bucket and leaves a debt, so it is sent at once and
// paid for afterwards.
func (b *bucket) wait(now time.Time, n int) time.Duration {
	if b.rate <= 0 {
		return 0
	}
	if d := now.Sub(b.last).Seconds(); d > 0 {
		b.tokens = min(b.tokens+d*b.rate, b.burst)
		b.last = now
	}
	missing := min(float64(n), b.burst) - b.tokens
	if missing < 1e-6 {
		return 0
	}
	return max(time.Duration(missing/b.rate*float64(time.Second)), time.Microsecond)
}

// throttle pauses a bind the operator asked to slow down. Its owner locks.
type throttle struct {
	from, until time.Time     // of the last pause
	step        time.Duration // its length; 0 once the operator takes messages again
}

// Pauses; sms.md §1: 1 s doubling to 60 s for ESME_RTHROTTLED, longer for
// ESME_RMSGQFUL.
const (
	throttledMin = time.Second
	throttledMax = 60 * time.Second
	queueFullMin = 5 * time.Second
	queueFullMax = 120 * time.Second
)

// note learns from a response to a request sent at the given time. It reports
// whether a pause began. A whole window of refusals is one: only a request
// sent after the last pause began can start, or end, another.
func (t *throttle) note(status smpp.CommandStatus, sent, now time.Time) bool {
	if !t.from.IsZero() && !sent.After(t.from) {
		return false
	}
	lowest, most := throttledMin, throttledMax
	switch status.Advice() {
	case smpp.AdviceAccepted:
		t.step = 0
		return false
	case smpp.AdviceSlowDown:
	case smpp.AdviceQueueFull:
		lowest, most = queueFullMin, queueFullMax
	default:
		return false
	}
	if now.Before(t.until) {
		return false
	}
	t.step = min(max(2*t.step, lowest), most)
	t.from, t.until = now, now.Add(t.step)
	return true
}
