package crash

import (
	"sync"
	"time"
)

// sighting is one copy of a message an operator or the smarthost took. answered is when the answer was written to the connection (a
// smarthost's: about to be); zero: it was not.
type sighting struct{ read, answered time.Time }

// span is a stretch of time; a zero end has not come yet.
type span struct{ from, to time.Time }

// overlap is how much of a stretch lies within s.
func (s span) overlap(from, to time.Time) time.Duration {
	if s.from.After(from) {
		from = s.from
	}
	if !s.to.IsZero() && s.to.Before(to) {
		to = s.to
	}
	return max(to.Sub(from), 0)
}

// answerLost is how long before a fault an answer may have been given and yet be lost by it: on its way, or read and not yet synced.
// Where the machine is so slow that more time is granted for what is on its way the other way (InFlight), as much is granted here.
const answerLost = time.Second

// troubles are when links, or the gateway's memory of what came over them, broke: those to operators and customers, or those to the
// smarthost.
type troubles struct {
	margin time.Duration // answerLost, or InFlight

	mu   sync.Mutex
	list []span // guarded by mu
}

func (tr *troubles) add(from, to time.Time) {
	tr.mu.Lock()
	tr.list = append(tr.list, span{from, to})
	tr.mu.Unlock()
}

// near reports whether what happened at an instant may have been lost by a fault.
func (tr *troubles) near(at time.Time) bool {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, s := range tr.list {
		if !at.Before(s.from.Add(-tr.margin)) && !at.After(s.to) {
			return true
		}
	}
	return false
}

// cut is an operator that cuts its links.
func (s *storm) cut() { s.troubles.add(time.Now(), time.Now()) }

// auditRepeats counts the copies that came although an earlier one was answered and no fault can have lost that answer.
func (s *storm) auditRepeats(w *witness, tr *troubles) (unexplained int) {
	complain := s.complaints()
	for i := range w.refs {
		f := &w.refs[i]
		for k := 1; k < len(f.copies); k++ {
			early, ok := settledBefore(f.copies[:k], tr)
			if !ok {
				continue
			}
			unexplained++
			complain("%s %d (%s), class %c: copy %d was read at %s, although an earlier one, read at %s, was answered at %s and no fault was near", w.kind, i+1,
				f.id, f.class, k+1, f.copies[k].read.Format(instant), early.read.Format(instant), early.answered.Format(instant))
		}
	}
	return unexplained
}

// settledBefore finds a copy that was answered for good.
func settledBefore(copies []sighting, tr *troubles) (sighting, bool) {
	for _, c := range copies {
		if !c.answered.IsZero() && !tr.near(c.answered) {
			return c, true
		}
	}
	return sighting{}, false
}

// instant is how complaints write times.
const instant = "15:04:05.000"
