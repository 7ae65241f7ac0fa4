package main

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// refDigits is the length of a reference in decimal digits; it stands at the end of every text.
const refDigits = 8

// putDigits writes v into dst, right-aligned with leading zeros.
func putDigits(dst []byte, v int) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
}

// readDigits reads all of b as a number; false if there is anything else in it.
func readDigits(b []byte) (v int, ok bool) {
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, len(b) > 0
}

// refOf reads the reference at the end of a text.
func refOf(text []byte) (int, bool) {
	if len(text) < refDigits {
		return 0, false
	}
	return readDigits(text[len(text)-refDigits:])
}

// audience are the numbers messages go to, in turn: the first have agreed, those behind them have refused and are meant by one message
// in a hundred. Nothing may reach them.
type audience struct{ consents, refusals int }

// refused is how many numbers of an audience refuse.
const refused = 1000

func (a audience) refuses(ref int) bool { return a.refusals > 0 && ref%100 == 99 }

// number is the destination of a message, as an index for numberOf; without an audience everybody has one of his own.
func (a audience) number(ref int) int {
	switch {
	case a.consents == 0:
		return ref
	case a.refuses(ref):
		return a.consents + ref/100%a.refusals
	}
	return ref % a.consents
}

// tracker counts what arrived at the operator, by reference.
type tracker struct {
	times   []atomic.Uint32
	at      []atomic.Int64 // first arrival, by clock
	unique  atomic.Int64
	again   atomic.Int64
	strange atomic.Int64 // texts without a reference of ours: confirmations of opt-outs

	people audience     // whom the messages are for; empty: not looked at
	free   int          // references from here on need nobody's consent
	leaked atomic.Int64 // messages to somebody else, or to somebody who refused

	done   chan struct{} // closed when unique reaches goal
	goal   atomic.Int64
	closed sync.Once
}

func newTracker(n int) *tracker {
	t := &tracker{times: make([]atomic.Uint32, n), at: make([]atomic.Int64, n), done: make(chan struct{}), free: n}
	t.goal.Store(int64(n))
	return t
}

// arrived notes one message to a number.
func (t *tracker) arrived(ref int, number []byte, now time.Duration) {
	if ref < 0 || ref >= len(t.times) {
		t.strange.Add(1)
		return
	}
	if t.people != (audience{}) {
		if to, ok := indexOf(number); !ok || to != t.people.number(ref) || ref < t.free && t.people.refuses(ref) {
			t.leaked.Add(1)
		}
	}
	if t.times[ref].Add(1) > 1 {
		t.again.Add(1)
		return
	}
	t.at[ref].Store(int64(now))
	if t.unique.Add(1) >= t.goal.Load() {
		t.closed.Do(func() { close(t.done) })
	}
}

// latencies gathers durations; each goroutine has its own.
type latencies []time.Duration

// quantiles of many.
type quantiles struct{ p50, p99, max time.Duration }

func merge(parts ...latencies) quantiles {
	var all latencies
	for _, p := range parts {
		all = append(all, p...)
	}
	if len(all) == 0 {
		return quantiles{}
	}
	slices.Sort(all)
	return quantiles{p50: all[len(all)/2], p99: all[len(all)*99/100], max: all[len(all)-1]}
}

func (q quantiles) put(r *result, name string) {
	r.set(name+"P50ms", ms(q.p50))
	r.set(name+"P99ms", ms(q.p99))
	r.set(name+"MaxMs", ms(q.max))
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }
