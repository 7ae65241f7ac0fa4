package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"izinli/gateway"
)

// late brings an answer after its time.
func (w *world) late(m *modelMessage) {
	w.t.Helper()
	if len(m.segs) == 0 {
		return
	}
	i := w.rnd.IntN(len(m.segs))
	s := &m.segs[i]
	id, early := w.newID()
	if ended := m.state.Final() && m.state != gateway.StateUnknown; ended || s.taken() {
		m.copied(i, id)
		if early == gateway.StateDelivered && (!s.state.Final() || s.state == gateway.StateUnknown) {
			s.state = gateway.StateDelivered
		}
	} else {
		s.id, s.state = id, m.told(early)
	}
	want := m.whole() || !slices.ContainsFunc(m.segs, func(s modelSegment) bool { return !s.state.Final() })
	done := make(chan error, 1)
	w.st.AnsweredLate(gateway.LateAnswer{Message: m.id, Operator: "op1", Segment: i, Segments: len(m.segs), OperatorID: id}, func(whole bool, err error) {
		if err == nil && whole != want {
			err = fmt.Errorf("late answer to %s: whole = %t, want %t", m.id, whole, want)
		}
		done <- err
	})
	w.must(<-done)
	switch {
	case m.waits() && !m.open && want:
		m.state = gateway.StateSent
		w.settle(m)
	case !m.open && (m.state == gateway.StateSent || m.state == gateway.StateUnknown):
		w.settle(m)
	}
}

// copyReceipt brings the receipt of a second copy: only its delivery counts.
func (w *world) copyReceipt(m *modelMessage) {
	w.t.Helper()
	i := w.rnd.IntN(len(m.copies))
	s := &m.segs[m.copyOf[i]]
	r := gateway.OperatorReceipt{Operator: "op1", ID: m.copies[i].id, State: gateway.StateUndelivered, Err: "001"}
	if w.rnd.IntN(2) == 0 {
		r.State = gateway.StateDelivered
	}
	done := make(chan error, 1)
	w.st.Receipt(r, func(matched bool, err error) {
		if err == nil && !matched {
			err = fmt.Errorf("receipt of copy %s found nothing", r.ID)
		}
		done <- err
	})
	w.must(<-done)
	if r.State != gateway.StateDelivered || s.state.Final() && s.state != gateway.StateUnknown {
		return
	}
	s.state = gateway.StateDelivered
	if !m.open && (!m.state.Final() || m.state == gateway.StateUnknown) {
		w.settle(m)
	}
}

// A few messages to which much happens: attempts without an answer, answers after their time, copies, and the receipts of all of them in
// any order. The store says what the model says.
func TestLateAnswersAtRandom(t *testing.T) {
	seeds, steps := uint64(12), 400
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			for i := range steps {
				w.tick(time.Duration(w.rnd.IntN(3000)) * time.Microsecond)
				if i%20 == 0 {
					w.accept(1 + w.rnd.IntN(2))
				}
				b := w.batches[w.order[len(w.order)-1]]
				m := b.messages[w.rnd.IntN(len(b.messages))]
				switch n := w.rnd.IntN(100); {
				case n < 30:
					w.intent(b, m)
				case n < 50:
					w.answer(b, m)
				case n < 70:
					w.late(m)
				case n < 80:
					if len(m.copies) > 0 {
						w.copyReceipt(m)
					}
				case n < 93:
					w.receiptOf(m)
				case n < 97:
					w.hold(b, m)
				case n == 97:
					w.steer(b, m)
				case n == 98:
					w.check()
				default:
					w.reopen()
				}
			}
			w.check()
		})
	}
}

// A copy's id that is no other than the first one's stays the first one's.
func TestCopyOfTheSameID(t *testing.T) {
	w := newWorld(t, 1)
	var m *modelMessage
	for m == nil || m.rcpt.State == gateway.StateDropped || m.rcpt.Segments != 1 {
		w.accept(1)
		m = w.batches[w.order[len(w.order)-1]].messages[0]
	}
	b := w.batches[w.order[len(w.order)-1]]
	for !m.open {
		w.intent(b, m)
	}
	late := gateway.LateAnswer{Message: m.id, Operator: "op1", Segments: 1, OperatorID: "a"}
	for range 2 {
		done := make(chan error, 1)
		w.st.AnsweredLate(late, func(_ bool, err error) { done <- err })
		w.must(<-done)
	}
	w.must(w.st.ApplyWait([]gateway.Change{{Message: m.id, Batch: b.batch, Recipient: &m.rcpt, Operator: "op1", Close: true, State: gateway.StateSent,
		Answers: []gateway.SegmentAnswer{{State: gateway.StateSent, OperatorID: "a"}}}}))
	done := make(chan error, 1)
	w.st.Receipt(gateway.OperatorReceipt{Operator: "op1", ID: "a", State: gateway.StateUndelivered}, func(_ bool, err error) { done <- err })
	w.must(<-done)
	if v, err := w.st.Message(t.Context(), w.acct, m.id); err != nil || v.State != gateway.StateUndelivered {
		t.Errorf("message is %s, %v; want undelivered", v.State, err)
	}
}
