package crash

import (
	"context"

	"izinli/gateway"
	"izinli/gateway/store"
)

// auditMoney compares the balance with what the operators took: every text here is one segment, mails cost nothing, and what did not
// leave is given back. A message in doubt that nobody saw may yet have left, so that it is paid for. No sum of the store's own is
// used, in which one charge too many and one too few would cancel each other.
func (s *storm) auditMoney(st *store.Store, r *result) {
	balance, err := st.Balance(context.WithoutCancel(s.t.Context()), s.s.Seeds.Account)
	if err != nil {
		s.t.Fatal(err)
	}
	owed := 0
	for i := range s.w.refs {
		if s.w.refs[i].seen > 0 {
			owed++
		}
	}
	for _, w := range []*witness{s.w, s.mails} {
		doubts := s.auditUnanswered(st, w)
		if w == s.w {
			owed += r.Messages.Doubts + doubts // mails are free
			r.Messages.Doubts += doubts
		} else {
			r.Mails.Doubts += doubts
		}
	}
	r.Mischarge = s.credits - balance.Credits - int64(owed)
}

// ends is what became of the messages to one person.
type ends struct{ seen, left, unknown int }

// auditUnanswered looks at what the store took although the customer never heard so. Which of those to one person is which nobody can
// tell, and nobody needs to: of those that were seen as many are stored as left or unknown, and none more are stored as left. It
// returns how many are unknown and were not seen.
func (s *storm) auditUnanswered(st *store.Store, w *witness) (doubts int) {
	known := map[gateway.MessageID]bool{}
	people := map[string]*ends{}
	of := func(address string) *ends {
		e := people[address]
		if e == nil {
			e = &ends{}
			people[address] = e
		}
		return e
	}
	for i := range w.refs {
		f := &w.refs[i]
		if !f.id.IsZero() {
			known[f.id] = true
		} else if f.seen > 0 {
			of(w.people.address(f.person)).seen++
		}
	}
	s.eachMessage(st, func(m *gateway.MessageView) {
		if known[m.ID] || m.Channel != w.people.door || m.Ref == "" && m.Class == gateway.ClassTransactional && w == s.w {
			return // a confirmation of an opt-out is ours
		}
		switch m.State {
		case gateway.StateDelivered, gateway.StateSent:
			of(m.To).left++
		case gateway.StateUnknown:
			of(m.To).unknown++
		}
	})
	complain := s.complaints()
	for address, e := range people {
		if _, ours := w.people.person(address); !ours {
			continue // notifications to the customer
		}
		n, ok := e.judge()
		if doubts += n; !ok {
			complain("%ss to %s whose answer was lost: %d were seen; the store has %d as left, %d as unknown", w.kind, address, e.seen, e.left, e.unknown)
		}
	}
	return doubts
}

// judge returns how many are unknown and were not seen, and whether all is as it was seen.
func (e *ends) judge() (doubts int, ok bool) {
	return max(e.left+e.unknown-max(e.seen, e.left), 0), e.left <= e.seen && e.seen <= e.left+e.unknown
}

// eachMessage goes through all messages of the customer.
func (s *storm) eachMessage(st *store.Store, yield func(*gateway.MessageView)) {
	f := gateway.MessageFilter{Limit: 500}
	for {
		page, err := st.Messages(context.WithoutCancel(s.t.Context()), s.s.Seeds.Account, f)
		if err != nil {
			s.t.Fatal(err)
		}
		for i := range page.Items {
			yield(&page.Items[i])
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			return
		}
	}
}
