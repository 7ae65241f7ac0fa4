package crash

import (
	"context"
	"errors"
	"time"

	"izinli/gateway"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/test/stage"
)

// audit holds what customers were told and operators got against the books.
func (s *storm) audit(raged time.Duration) {
	r := &result{Faults: s.Faults, Kinds: s.kinds, Seconds: int(raged.Seconds()), Seed: s.Seed, Messages: s.w.counts(), OptOuts: len(s.w.refused),
		Leaked: len(s.w.leaks), InFlight: s.w.late, Repeats: s.w.counts().Repeats, Bound: 2 * window * binds * len(s.ops) * s.links,
		HTTP: s.traffic.answers, Restarts: s.deaths}
	s.open(func(st *store.Store) {
		report := stage.VerifyStore(s.t, st)
		if report == nil {
			return
		}
		r.States = report.States
		s.auditMessages(st, r)
		s.auditMoney(st, report, r)
		s.auditNumbers(report, r)
		s.auditOptOuts(st)
	})
	s.print(r)
	for _, l := range s.w.leaks {
		s.t.Errorf("leaked: %s", l)
	}
	if s.w.foreign > 0 {
		s.t.Errorf("the operators got %d messages that nobody sent", s.w.foreign)
	}
	if r.Lost > 0 {
		s.t.Errorf("%d acknowledged messages are lost", r.Lost)
	}
	if r.Mischarge != 0 {
		s.t.Errorf("%d credits were charged wrongly", r.Mischarge)
	}
	if r.Repeats > r.Bound {
		s.t.Errorf("%d repeats, want at most %d", r.Repeats, r.Bound)
	}
}

// auditMessages looks every message up that was acknowledged.
func (s *storm) auditMessages(st *store.Store, r *result) {
	ctx := context.WithoutCancel(s.t.Context())
	complaints := 0
	complain := func(format string, args ...any) {
		if complaints++; complaints <= 20 {
			s.t.Errorf(format, args...)
		}
	}
	for i := range s.w.refs {
		f := &s.w.refs[i]
		if f.said == saidNo && f.seen > 0 {
			complain("message %d was refused at the door and left", i+1)
		}
		if f.said != saidYes {
			continue
		}
		m, err := st.Message(ctx, f.id.Account, f.id)
		if err != nil {
			r.Lost++
			complain("message %d (%s) was acknowledged and is gone: %v", i+1, f.id, err)
			continue
		}
		switch st := m.State; {
		case !st.Final():
			r.Lost++
			complain("message %d (%s) is %s (%s) at the end", i+1, f.id, st, m.Code)
		case st == gateway.StateUnknown:
			r.Unknown++
		case st == gateway.StateDelivered && f.seen == 0:
			r.Lost++
			complain("message %d (%s) counts as delivered and no operator got it", i+1, f.id)
		case st != gateway.StateDelivered && f.seen > 0:
			complain("message %d (%s) left and counts as %s (%s)", i+1, f.id, st, m.Code)
		case st != gateway.StateDelivered && f.class != commercial:
			complain("message %d (%s), class %c, is %s (%s), although nothing stands against it", i+1, f.id, f.class, st, m.Code)
		case st != gateway.StateDelivered && s.w.people.agreed(f.person) && !s.w.asked[f.person]:
			complain("message %d (%s) to person %d, who agreed, is %s (%s)", i+1, f.id, f.person, st, m.Code)
		}
	}
}

// auditMoney compares the balance with what left: every text here is one segment, and what did not leave is given back.
func (s *storm) auditMoney(st *store.Store, report *store.Report, r *result) {
	b, err := st.Balance(context.WithoutCancel(s.t.Context()), s.s.Seeds.Account)
	if err != nil {
		s.t.Fatal(err)
	}
	// Confirmations of opt-outs are ours and cost nobody anything.
	owed := int64(report.States[gateway.StateDelivered.String()] + report.States[gateway.StateUnknown.String()] - len(s.w.confirmed))
	r.Mischarge = s.credits - b.Credits - owed
}

// auditNumbers compares how many messages there are with how many customers know of. The door's drops are stored too.
func (s *storm) auditNumbers(report *store.Report, r *result) {
	ours := len(s.w.confirmed)
	least, most := r.Messages.Yes+ours, r.Messages.Yes+r.Messages.No+r.Messages.Lost+ours
	if report.Messages < least || report.Messages > most {
		s.t.Errorf("the store holds %d messages; customers know of %d to %d", report.Messages, least, most)
	}
}

// untold are the refusals, by API or by SMS, that have not become one at İYS.
func (s *storm) untold() (missing []uint32) {
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	for p := range s.w.asked {
		m, ok := s.s.IYS.Stored(s.s.Seeds.Brand, "MESAJ", "BIREYSEL", number(int(p)))
		if !ok || m.Status != "RET" {
			missing = append(missing, p)
		}
	}
	return missing
}

// auditOptOuts tells what our books say of refusals İYS does not know.
func (s *storm) auditOptOuts(st *store.Store) {
	missing := s.untold()
	for i, p := range missing {
		if i == 10 {
			break
		}
		ctx := context.WithoutCancel(s.t.Context())
		told, err := st.History(ctx, s.s.Seeds.Brand, "MESAJ", number(int(p)))
		open, err2 := st.OpenEntries(ctx, []iys.Key{{Brand: s.s.Seeds.Brand, Channel: iys.ChannelSMS, RecipientType: iys.RecipientPerson,
			Recipient: number(int(p))}})
		s.w.mu.Lock()
		at, acked := s.w.refused[p]
		s.w.mu.Unlock()
		s.t.Errorf("person %d refused (acknowledged over the API: %t, %s) and İYS does not know; open entries %+v, history %+v (%v)", p, acked, at, open, told,
			errors.Join(err, err2))
	}
}
