package smpplink

import (
	"time"

	"izinli/gateway/smpp"
)

// late remembers requests that timed out, for a bounded time and number.
type late struct {
	limit int
	life  time.Duration
	reqs  map[uint32]smpp.Taken[pending] // by sequence_number
	order []forgotten                    // oldest first; answered ones stay until their time is over
}

// forgotten says when a request will be.
type forgotten struct {
	seq uint32
	at  time.Duration // since the link's epoch
}

// add takes the requests that timed out at now, of those who want to know, and forgets whose time is over.
func (w *late) add(now time.Duration, expired []smpp.Taken[pending]) {
	for _, t := range expired {
		if _, ok := t.Token.reqs.(LateRequests); !ok {
			continue
		}
		if w.reqs == nil {
			w.reqs = map[uint32]smpp.Taken[pending]{}
		}
		w.reqs[t.Sequence] = t
		w.order = append(w.order, forgotten{t.Sequence, now + w.life})
	}
	n := 0
	for n < len(w.order) && (w.order[n].at <= now || len(w.order)-n > w.limit) {
		delete(w.reqs, w.order[n].seq)
		n++
	}
	if w.order = w.order[n:]; len(w.order) == 0 {
		w.order = nil // let go of the array
	}
}

// take removes the request that the response h answers.
func (w *late) take(h smpp.Header) (t smpp.Taken[pending], ok bool) {
	t, ok = w.reqs[h.Sequence]
	if !ok || h.ID != smpp.GenericNackID && h.ID != t.ID.Response() {
		return smpp.Taken[pending]{}, false
	}
	delete(w.reqs, h.Sequence)
	return t, true
}

// takeLateLocked finds the request that timed out and is answered by h after all. It waits while the ticker tells that it timed out:
// the two calls must not be the other way round.
func (l *Link) takeLateLocked(h smpp.Header) (smpp.Taken[pending], LateRequests) {
	t, ok := l.late.take(h)
	if !ok {
		return t, nil
	}
	for l.telling {
		l.changed.Wait()
	}
	return t, t.Token.reqs.(LateRequests)
}
