package crash

import (
	"context"
	"math"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/gateway/store"
)

// receipts is what the customer over SMPP was told of his messages.
type receipts struct {
	mu      sync.Mutex
	said    map[gateway.MessageID][]receipt // in the order in which they came; guarded by mu
	foreign int                             // about nothing that can be ours; guarded by mu
}

// receipt is one, when it came.
type receipt struct {
	state smpp.MessageState
	at    time.Time
}

// Deliver implements smppclient.Handler.
func (r *receipts) Deliver(_ context.Context, d smppclient.Delivery, ack func(smpp.CommandStatus)) {
	id, err := gateway.ParseMessageID(d.ReceiptID)
	r.mu.Lock()
	switch {
	case d.Kind != smppclient.Receipt: // what people write to him
	case err != nil:
		r.foreign++
	default:
		r.said[id] = append(r.said[id], receipt{d.Receipt.State, time.Now()})
	}
	r.mu.Unlock()
	ack(smpp.StatusOK)
}

// receiptTally is what became of the receipts for the acknowledged messages over SMPP.
type receiptTally struct {
	Messages    int `json:"messages"`
	Told        int `json:"told"`
	Owed        int `json:"owed"`    // in the store, to be delivered at the next bind
	Missing     int `json:"missing"` // neither
	Wrong       int `json:"wrong"`   // told or owed last what is not so
	Corrected   int `json:"corrected"`
	Doubles     int `json:"doubles"`
	Unexplained int `json:"unexplainedDoubles"` // although the answer to the first cannot have been lost
}

// wireState is the message_state (SMPP 3.4 §5.2.28) of the ends a message of a storm can have.
var wireState = map[gateway.State]smpp.MessageState{
	gateway.StateDelivered: smpp.StateDelivered, gateway.StateDropped: smpp.StateRejected, gateway.StateUnknown: smpp.StateUnknown,
	gateway.StateCancelled: smpp.StateDeleted,
}

// auditReceipts looks for the receipts of what was acknowledged over SMPP, where every message asks for one.
func (s *storm) auditReceipts(st *store.Store) (t receiptTally) {
	ctx := context.WithoutCancel(s.t.Context())
	due, err := st.Owed(ctx, s.s.Seeds.SystemID, 0, math.MaxInt)
	if err != nil {
		s.t.Fatal(err)
	}
	owed := map[gateway.MessageID]gateway.State{} // the last of each
	for i := range due {
		if due[i].MO == nil {
			owed[due[i].Message] = due[i].State
		}
	}
	complain := s.complaints()
	r := s.receipts
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.foreign > 0 {
		complain("%d deliveries to the customer over SMPP were no receipts of his", r.foreign)
	}
	for i := range s.w.refs {
		f := &s.w.refs[i]
		if !f.smpp || f.said != saidYes {
			continue
		}
		t.Messages++
		told := r.said[f.id]
		s.countDoubles(told, &t)
		m, err := st.Message(ctx, f.id.Account, f.id)
		if err != nil {
			continue // auditMessages says so
		}
		want, known := wireState[m.State]
		last, isOwed := owed[f.id]
		switch {
		case len(told) == 0 && !isOwed:
			t.Missing++
			complain("message %d (%s) over SMPP is %s and nobody told the customer", i+1, f.id, m.State)
			continue
		case isOwed:
			t.Owed++
			known = last == m.State
		default:
			t.Told++
			known = known && told[len(told)-1].state == want
		}
		if !known {
			t.Wrong++
			complain("message %d (%s) is %s; its receipts said %v, owed is %v", i+1, f.id, m.State, told, last)
		}
	}
	return t
}

// countDoubles sorts the receipts of one message: unknown may be followed by what became known, nothing else by anything else.
func (s *storm) countDoubles(told []receipt, t *receiptTally) {
	for k := 1; k < len(told); k++ {
		before := told[k-1]
		switch {
		case before.state == smpp.StateUnknown && told[k].state != before.state:
			t.Corrected++
		case before.state != told[k].state:
			t.Wrong++
		default:
			t.Doubles++
			if !s.troubles.near(before.at) {
				t.Unexplained++
			}
		}
	}
}
