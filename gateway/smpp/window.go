package smpp

import "time"

// Window is the table of requests that wait for their response. It is a ring
// indexed by sequence_number: no map, no allocation after it is made. Places
// are reserved first and filled later, so that all segments of a message find
// room together. T is what the owner wants back with the answer.
//
// It is not safe for concurrent use. Times are durations since any fixed
// moment of the owner's.
type Window[T any] struct {
	slots    []slot[T]
	limit    int
	reserved int
	open     int
	last     uint32 // sequence_number given out last
}

type slot[T any] struct {
	seq   uint32 // 0: free
	id    CommandID
	sent  time.Duration
	token T
}

// Taken is a request that left the table.
type Taken[T any] struct {
	Sequence uint32
	ID       CommandID // of the request
	Sent     time.Duration
	Token    T
}

// NewWindow makes a table for limit (at least 1) requests in flight. The
// ring is at least twice as long, so that one answer that stays out does not
// stand in the way of those after it.
func NewWindow[T any](limit int) *Window[T] {
	limit = max(limit, 1)
	size := 16
	for size < 2*limit {
		size *= 2
	}
	return &Window[T]{slots: make([]slot[T], size), limit: limit}
}

// Reserve sets n places aside, all or none.
func (w *Window[T]) Reserve(n int) bool {
	if n < 1 || n > w.Free() {
		return false
	}
	w.reserved += n
	return true
}

// Release gives n reserved places back.
func (w *Window[T]) Release(n int) { w.reserved = max(w.reserved-n, 0) }

// Free is how many places can be reserved.
func (w *Window[T]) Free() int { return w.limit - w.reserved - w.open }

// Open is how many requests are in flight.
func (w *Window[T]) Open() int { return w.open }

// Reserved is how many places are set aside and not yet filled.
func (w *Window[T]) Reserved() int { return w.reserved }

// Limit is how many places there are.
func (w *Window[T]) Limit() int { return w.limit }

// Put fills one reserved place and returns the request's sequence_number.
func (w *Window[T]) Put(id CommandID, sent time.Duration, token T) uint32 {
	w.reserved = max(w.reserved-1, 0)
	w.open++
	seq := w.NextSequence()
	*w.at(seq) = slot[T]{seq: seq, id: id, sent: sent, token: token}
	return seq
}

// NextSequence returns a number that no request in flight has, for a PDU
// whose answer needs no place here. Numbers run from 1 to 0x7FFFFFFF and
// start again (SMPP 3.4 §5.1.4).
func (w *Window[T]) NextSequence() uint32 {
	// open ≤ limit ≤ len(slots)/2 unless a caller puts more than it reserved,
	// so a free slot is near.
	for range len(w.slots) {
		w.last++
		if w.last > MaxSequence {
			w.last = 1
		}
		if w.at(w.last).seq == 0 {
			return w.last
		}
	}
	panic("smpp: window overfilled: Put without Reserve")
}

// Take removes the request that the response h answers: same sequence_number
// and either the response's id or generic_nack. It reports false for a
// response that nobody waits for (any more).
func (w *Window[T]) Take(h Header) (Taken[T], bool) {
	s := w.at(h.Sequence)
	if s.seq == 0 || s.seq != h.Sequence || (h.ID != GenericNackID && h.ID != s.id.Response()) {
		return Taken[T]{}, false
	}
	return w.free(s), true
}

// TakeBind is Take for a bind response whose sequence_number is not that of
// the bind: some servers do not copy it. At most one bind is ever open, so
// there is no doubt which request is meant.
func (w *Window[T]) TakeBind(h Header) (Taken[T], bool) {
	if !h.ID.IsResponse() || !(h.ID &^ respBit).IsBind() {
		return Taken[T]{}, false
	}
	for i := range w.slots {
		if s := &w.slots[i]; s.seq != 0 && s.id.Response() == h.ID {
			return w.free(s), true
		}
	}
	return Taken[T]{}, false
}

// Expire removes the requests sent at or before the given time, appends them
// to dst and returns it. Order is that of the ring.
func (w *Window[T]) Expire(before time.Duration, dst []Taken[T]) []Taken[T] {
	if w.open == 0 {
		return dst
	}
	for i := range w.slots {
		if s := &w.slots[i]; s.seq != 0 && s.sent <= before {
			dst = append(dst, w.free(s))
		}
	}
	return dst
}

// Drain removes all requests, appends them to dst and returns it.
func (w *Window[T]) Drain(dst []Taken[T]) []Taken[T] {
	for i := range w.slots {
		if s := &w.slots[i]; s.seq != 0 {
			dst = append(dst, w.free(s))
		}
	}
	return dst
}

func (w *Window[T]) at(seq uint32) *slot[T] {
	return &w.slots[int(seq)&(len(w.slots)-1)]
}

func (w *Window[T]) free(s *slot[T]) Taken[T] {
	t := Taken[T]{Sequence: s.seq, ID: s.id, Sent: s.sent, Token: s.token}
	*s = slot[T]{}
	w.open--
	return t
}
