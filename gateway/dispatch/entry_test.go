package dispatch_test

import (
	"errors"
	"sync"
	"testing"

	"izinli/gateway"
	"izinli/gateway/dispatch"
	"izinli/gateway/store"
)

// shortOfSpace is a store that cannot write the first outcome until there is room.
type shortOfSpace struct {
	*store.Store
	once    sync.Once
	failed  gateway.MessageID // whose outcome it was; fixed by once
	room    chan struct{}     // closed: there is
	written chan struct{}     // an outcome was
}

func (s *shortOfSpace) Apply(changes []gateway.Change, done func(error)) {
	outcome := changes[0].Close
	if outcome {
		first := false
		s.once.Do(func() { s.failed, first = changes[0].Message, true })
		if first {
			done(errors.New("no space left on device"))
			return
		}
		if changes[0].Message == s.failed {
			<-s.room
		}
	}
	s.Store.Apply(changes, func(err error) {
		done(err)
		if outcome {
			s.written <- struct{}{}
		}
	})
}

// TestEntryOutlivesLateOutcomes: the due entry, by which a start after a crash finds the messages, stays until what became of each of
// them is written, in whatever order that happens.
func TestEntryOutlivesLateOutcomes(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	st := &shortOfSpace{Store: r.st, room: make(chan struct{}), written: make(chan struct{}, 2)}
	r.d = dispatch.New(dispatch.Config{Now: r.clock, QuietHours: true}, st, r.office)
	r.d.SetCarrier(r.carrier)
	res := r.submit("+905321000001", "+905321000002")
	due := func() []gateway.DueRef {
		t.Helper()
		refs, _, err := r.st.Due(t.Context(), gateway.LaneCommercial, r.p.Account, nil, 10)
		must(t, err)
		return refs
	}
	r.advance(2e6)
	refs := due()
	if len(refs) != 1 {
		t.Fatalf("%d entries are due, want one for both", len(refs))
	}
	if _, err := r.d.Process(t.Context(), refs); err != nil {
		t.Fatal(err)
	}
	<-st.written
	if n := len(due()); n != 1 {
		t.Errorf("one outcome of two is written and %d entries are left: after a crash now the other message would be lost", n)
	}
	close(st.room)
	<-st.written // asked again
	must(t, r.d.Wait(t.Context()))
	if n := len(due()); n != 0 {
		t.Errorf("all is written and %d entries are left", n)
	}
	for _, m := range res.Messages {
		r.want(m.ID, gateway.StateSent, "")
	}
}
