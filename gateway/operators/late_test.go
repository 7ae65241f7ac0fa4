package operators_test

import (
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpptest"
)

// An overloaded operator takes and delivers a message and answers it after the time-out, on the same link: the message is delivered,
// once, with nothing handed off again.
func TestLateAnswerOverTheLink(t *testing.T) {
	b := newBench(t)
	s := b.smsc(smpptest.Config{ID: smpptest.IDHex, Receipts: smpptest.Receipts{ID: smpptest.IDDecimal}})
	b.operator(gateway.Operator{IDForm: "hex->dec", ResponseTimeout: 50 * time.Millisecond}, s)
	s.Hold()
	id := b.send("+905321234567")
	b.must(b.d.Wait(b.ctx))
	if got := b.state(id); got != gateway.StateQueued {
		t.Fatalf("message is %s, want queued in doubt", got)
	}
	b.must(s.WaitFor(b.ctx, func(st smpptest.Stats) bool { return st.Acked == 1 })) // the receipt was before the answer
	s.Release()
	b.await("delivered", func() bool { return b.state(id) == gateway.StateDelivered })
	refs, _, err := b.st.Due(b.ctx, gateway.LaneTransactional, b.a, nil, 10)
	b.must(err)
	if _, err = b.d.Process(b.ctx, refs); err != nil {
		t.Error(err)
	}
	b.must(b.d.Wait(b.ctx))
	if st := s.Stats(); st.Submits != 1 {
		t.Errorf("the operator got it %d times, want once", st.Submits)
	}
	if rep, err := b.st.Verify(b.ctx); err != nil || len(rep.Problems) > 0 {
		t.Errorf("verify: %v, %v", rep.Problems, err)
	}
}

// A refusal after the time-out leaves the message in doubt.
func TestLateRefusalOverTheLink(t *testing.T) {
	b := newBench(t)
	s := b.smsc(smpptest.Config{Rules: []smpptest.Rule{{Status: smpp.StatusInvDstAddr}}})
	b.operator(gateway.Operator{ResponseTimeout: 50 * time.Millisecond}, s)
	s.Hold()
	id := b.send("+905321234567")
	b.must(b.d.Wait(b.ctx))
	s.Release()
	b.await("the answer", func() bool { return b.m.Snapshot()[0].Late == 1 })
	if got := b.state(id); got != gateway.StateQueued {
		t.Errorf("message is %s, want queued in doubt", got)
	}
}
