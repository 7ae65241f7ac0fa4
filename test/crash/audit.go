package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"izinli/gateway"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/test/stage"
)

// tally is what became of one kind of traffic.
type tally struct {
	Traffic  counts         `json:"traffic"`
	States   map[string]int `json:"states"`
	OptOuts  int            `json:"optOuts"`
	Lost     int            `json:"lost"`
	Leaked   int            `json:"leaked"`
	InFlight int            `json:"inFlightAtAcknowledgement"`
	Latest   int64          `json:"inFlightAtMostMS"`
	Repeats  int            `json:"repeats"`
	Bound    int            `json:"repeatBound"`
	Strange  int            `json:"unexplainedRepeats"`
	Unknown  int            `json:"unknown"`
	Doubts   int            `json:"unknownAndUnseen"`
	Lifted   int            `json:"refusalsNotInForce"`
	Untold   int            `json:"refusalsUnknownToIYS"`
}

// result is what a storm prints, as one line of JSON.
type result struct {
	Counts    bool           `json:"counts"`
	Because   []string       `json:"doesNotCountBecause,omitempty"`
	Faults    int            `json:"faults"` // that struck
	Kinds     map[string]int `json:"kinds"`
	Seconds   int            `json:"seconds"`
	Seed      uint64         `json:"seed"`
	Messages  tally          `json:"messages"`
	Mails     tally          `json:"mails"`
	Receipts  receiptTally   `json:"receipts"`
	Damaged   int            `json:"mailsDamaged"`
	Notices   int            `json:"notifications"`
	Unsaid    int            `json:"failuresNotNotified"`
	Mischarge int64          `json:"chargedWrongly"`
	Pushes    pushTally      `json:"pushes"`
	Panel     clerkWork      `json:"panel"`
	HTTP      map[int]int    `json:"httpAnswersOtherThan2xx"`
	Restarts  int            `json:"restartsAfterFullDisk"`

	Durability string         `json:"durability"`
	Settings   map[string]any `json:"settings"`
	Machine    stage.Machine  `json:"machine"`
	At         time.Time      `json:"at"`
}

// pushTally counts İYS's pushes.
type pushTally struct {
	Taken    int `json:"callsAcknowledged"`
	Failed   int `json:"callsNot"`
	Citizens int `json:"citizens"`
	Heard    int `json:"refusalsAcknowledged"`
}

func (s *storm) print(r *result) {
	line, err := json.Marshal(r)
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Printf("%s\n", line)
	if path := os.Getenv("TORTURE_RESULT"); path != "" {
		if err := os.WriteFile(path, append(line, '\n'), 0o644); err != nil {
			s.t.Error(err)
		}
	}
}

// books are what the store says in the end, short messages and mails apart.
type books struct {
	report          *store.Report
	messages, mails map[string]int // by state
	notices         int            // mails of ours to the customer
}

// readBooks sorts the messages of the report.
func (s *storm) readBooks(st *store.Store, report *store.Report) books {
	ctx := context.WithoutCancel(s.t.Context())
	b := books{report: report, messages: map[string]int{}, mails: map[string]int{}}
	for cursor := ""; ; {
		page, err := st.Batches(ctx, s.s.Seeds.Account, cursor, 500)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, x := range page.Items {
			if x.Channel != gateway.ChannelEmail {
				continue
			}
			v, err := st.Batch(ctx, s.s.Seeds.Account, x.ID)
			if err != nil {
				s.t.Fatal(err)
			}
			for name, n := range v.States {
				b.mails[name] += n
			}
			if x.From == "mailer-daemon@"+s.s.Config.Mail.Domain {
				b.notices += x.Count
			}
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	for name, n := range report.States {
		if n -= b.mails[name]; n > 0 {
			b.messages[name] = n
		}
	}
	return b
}

// audit holds what customers were told and operators and smarthost got against the books.
func (s *storm) audit(raged time.Duration) {
	r := &result{Faults: s.struck(), Kinds: s.kinds, Seconds: int(raged.Seconds()), Seed: s.Seed, Messages: s.w.tally(), Mails: s.mails.tally(),
		Damaged: len(s.mails.damaged), Notices: s.traffic.mail.notices, HTTP: s.traffic.answers, Restarts: s.deaths, Pushes: s.pushed.tally(),
		Panel: s.traffic.clerk.done, Durability: s.durability(), Settings: s.settings(), Machine: s.machine, At: time.Now().UTC().Truncate(time.Second)}
	r.Messages.Bound = 2 * window * binds * len(s.ops) * s.links
	r.Mails.Bound = 2*mailConns*s.posts + s.hop.cuts
	r.Messages.Strange, r.Mails.Strange = s.auditRepeats(s.w, &s.troubles), s.auditRepeats(s.mails, &s.cuts)
	s.open(func(st *store.Store) {
		report := stage.VerifyStore(s.t, st)
		if report == nil {
			return
		}
		b := s.readBooks(st, report)
		r.Messages.States, r.Mails.States = b.messages, b.mails
		s.auditMessages(st, s.w, gateway.StateDelivered, &r.Messages)
		s.auditMessages(st, s.mails, gateway.StateSent, &r.Mails)
		s.auditNotices(st, r)
		s.auditMoney(st, r)
		r.Receipts = s.auditReceipts(st)
		s.auditNumbers(&b, r)
		s.auditPanel(st, &r.Panel)
		for w, t := range map[*witness]*tally{s.w: &r.Messages, s.mails: &r.Mails} {
			t.Untold = s.auditOptOuts(st, w)
			t.Lifted = s.auditForce(st, w)
		}
	})
	s.judgeTerms(r, raged)
	s.print(r)
	s.judge("messages", s.w, &r.Messages)
	s.judge("mails", s.mails, &r.Mails)
	for _, d := range s.mails.damaged {
		s.t.Errorf("damaged: %s", d)
	}
	if r.Mischarge != 0 {
		s.t.Errorf("%d credits were charged wrongly", r.Mischarge)
	}
	if t := r.Receipts; t.Missing != 0 || t.Wrong != 0 || t.Unexplained != 0 {
		s.t.Errorf("receipts over SMPP: %d missing, %d wrong, %d doubles that no fault explains", t.Missing, t.Wrong, t.Unexplained)
	}
	if r.Panel.Lost != 0 {
		s.t.Errorf("%d things the panel confirmed are not there", r.Panel.Lost)
	}
}

// tally is what the witness knows.
func (w *witness) tally() tally {
	c := w.counts()
	return tally{Traffic: c, OptOuts: len(w.refused), Leaked: len(w.leaks), InFlight: w.late, Latest: w.latest.Milliseconds(), Repeats: c.Repeats}
}

func (p *pushes) tally() pushTally { return pushTally{p.calls, p.failed, len(p.last), len(p.taken)} }

// judge fails the test for what must not be.
func (s *storm) judge(what string, w *witness, r *tally) {
	for _, l := range w.leaks {
		s.t.Errorf("leaked: %s", l)
	}
	if w.foreign > 0 {
		s.t.Errorf("%d %s came that nobody sent", w.foreign, what)
	}
	if r.Lost > 0 {
		s.t.Errorf("%d acknowledged %s are lost", r.Lost, what)
	}
	if r.Repeats > r.Bound {
		s.t.Errorf("%d %s were repeated, want at most %d", r.Repeats, what, r.Bound)
	}
	if r.Strange > 0 {
		s.t.Errorf("%d %s were repeated although an earlier copy had been answered and no fault was near", r.Strange, what)
	}
}

// complaints bounds how often one kind of finding is told.
func (s *storm) complaints() func(format string, args ...any) {
	n := 0
	return func(format string, args ...any) {
		if n++; n <= 20 {
			s.t.Errorf(format, args...)
		}
	}
}

// auditMessages looks every message up that was acknowledged; done is the state of those that left.
func (s *storm) auditMessages(st *store.Store, w *witness, done gateway.State, r *tally) {
	ctx := context.WithoutCancel(s.t.Context())
	complain := s.complaints()
	for i := range w.refs {
		f := &w.refs[i]
		if f.said == saidNo && f.seen > 0 {
			complain("%s %d was refused at the door and left", w.kind, i+1)
		}
		if f.said != saidYes {
			continue
		}
		m, err := st.Message(ctx, f.id.Account, f.id)
		if err != nil {
			r.Lost++
			complain("%s %d (%s) was acknowledged and is gone: %v", w.kind, i+1, f.id, err)
			continue
		}
		if want := w.people.address(f.person); m.To != want {
			complain("%s %d (%s) is for %s, want %s", w.kind, i+1, f.id, m.To, want)
		}
		lost, wrong := w.judge(f, &m, done)
		if lost {
			r.Lost++
		}
		if wrong != "" {
			complain("%s %d (%s) to person %d, class %c, is %s (%s), seen %d times: %s", w.kind, i+1, f.id, f.person, f.class, m.State, m.Code, f.seen, wrong)
		}
		if m.State == gateway.StateUnknown {
			r.Unknown++
			if f.seen == 0 {
				r.Doubts++
			}
		}
	}
}

// judge says what is wrong with the end of a message.
func (w *witness) judge(f *fate, m *gateway.MessageView, done gateway.State) (lost bool, wrong string) {
	free := f.class != commercial || w.people.agreed(f.person) && !w.asked[f.person] // nothing stands against it
	doomed := f.run != nil && f.run.doomed                                           // but its campaign was cancelled
	switch st := m.State; {
	case int(f.seen) > m.Attempts:
		return false, "it left more often than it was handed over"
	case st == gateway.StateUnknown && (!free || doomed || m.Unanswered >= gateway.MaxDoubts): // in doubt, and it may not be tried again
		return false, ""
	case st != done && !st.Final():
		return true, "it still waits"
	case st == done && f.seen == 0:
		return true, "nobody got it"
	case st != done && f.seen > 0:
		return false, "it left"
	case st == done, st == gateway.StateCancelled && doomed, st == gateway.StateDropped && !free:
		return false, ""
	}
	return free, "nothing stands against it"
}

// auditNotices wants the customer told of every mail he was told is accepted and that did not leave.
func (s *storm) auditNotices(st *store.Store, r *result) {
	ctx := context.WithoutCancel(s.t.Context())
	complain := s.complaints()
	for i := range s.mails.refs {
		f := &s.mails.refs[i]
		if f.said != saidYes {
			continue
		}
		m, err := st.Message(ctx, f.id.Account, f.id)
		if err == nil && m.State == gateway.StateDropped && !s.traffic.mail.failed[i+1] {
			r.Unsaid++
			complain("mail %d (%s) to person %d was dropped (%s) and nobody told the customer", i+1, f.id, f.person, m.Code)
		}
	}
}

// auditNumbers compares how many messages there are with how many customers know of. The door's drops are stored too.
func (s *storm) auditNumbers(b *books, r *result) {
	mails := 0
	for _, n := range b.mails {
		mails += n
	}
	check := func(what string, have, ours int, c counts) {
		if least, most := c.Yes+ours, c.Yes+c.No+c.Lost+ours; have < least || have > most {
			s.t.Errorf("the store holds %d %s; customers know of %d to %d", have, what, least, most)
		}
	}
	check("messages", b.report.Messages-mails, len(s.w.confirmed), r.Messages.Traffic)
	check("mails", mails, b.notices, r.Mails.Traffic)
}

// auditPanel looks for what the panel confirmed.
func (s *storm) auditPanel(st *store.Store, done *clerkWork) {
	ctx := context.WithoutCancel(s.t.Context())
	complain := s.complaints()
	dir := st.Directory()
	for name, approved := range done.senders {
		x := dir.Senders[gateway.SenderKey{Account: s.s.Seeds.Account, Channel: gateway.ChannelSMS, Name: name}]
		if x == nil || approved && !x.Approved {
			done.Lost++
			complain("sender ID %s (approved: %t) was confirmed; the store has %+v", name, approved, x)
		}
	}
	for _, ref := range done.cancelled {
		if b, err := st.Batch(ctx, ref.Account, ref); err != nil || !b.Cancelled {
			done.Lost++
			complain("campaign %s was cancelled; the store has %+v, %v", ref, b, err)
		}
	}
	b, err := st.Balance(ctx, s.traffic.clerk.second)
	if err != nil {
		s.t.Fatal(err)
	}
	if n := int(b.Credits); n < done.booked || n > done.booked+done.unsure {
		done.Lost++
		complain("%d credits were booked for sure and %d perhaps; the balance is %d", done.booked, done.unsure, n)
	}
}

// untold are the refusals that have not become one at İYS.
func (s *storm) untold(w *witness) (missing []uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.asked {
		m, ok := s.s.IYS.Stored(s.s.Seeds.Brand, w.people.channel, "BIREYSEL", w.people.address(p))
		if !ok || m.Status != "RET" {
			missing = append(missing, p)
		}
	}
	return missing
}

// lifted are the refusals that are not in force here.
func (s *storm) lifted(st *store.Store, w *witness) (missing []uint32) {
	ctx := context.WithoutCancel(s.t.Context())
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.asked {
		if b, err := st.BlockOf(ctx, s.s.Seeds.Brand, iys.Channel(w.people.channel), w.people.address(p)); err != nil || b == nil {
			missing = append(missing, p)
		}
	}
	return missing
}

// auditOptOuts tells what our books say of refusals İYS does not know.
func (s *storm) auditOptOuts(st *store.Store, w *witness) int {
	missing := s.untold(w)
	for _, p := range missing[:min(10, len(missing))] {
		s.t.Errorf("person %d refused and İYS does not know: %s", p, s.storyOf(st, w, p))
	}
	return len(missing)
}

// auditForce tells of refusals that are not in force.
func (s *storm) auditForce(st *store.Store, w *witness) int {
	missing := s.lifted(st, w)
	for _, p := range missing[:min(10, len(missing))] {
		s.t.Errorf("person %d refused and is not blocked: %s", p, s.storyOf(st, w, p))
	}
	return len(missing)
}

// storyOf is what is known of a refusal.
func (s *storm) storyOf(st *store.Store, w *witness, p uint32) string {
	ctx := context.WithoutCancel(s.t.Context())
	channel, address := iys.Channel(w.people.channel), w.people.address(p)
	told, err := st.History(ctx, s.s.Seeds.Brand, channel, address)
	open, err2 := st.OpenEntries(ctx, []iys.Key{{Brand: s.s.Seeds.Brand, Channel: channel, RecipientType: iys.RecipientPerson, Recipient: address}})
	s.pushed.mu.Lock()
	k := pushKey{w.people.channel, p}
	_, citizen := s.pushed.last[k]
	pushed := s.pushed.taken[k]
	s.pushed.mu.Unlock()
	at, acked := w.refused[p]
	return fmt.Sprintf("acknowledged %t (%s), at İYS %t, pushed %t; open entries %+v, history %+v (%v)", acked, at, citizen, pushed, open, told,
		errors.Join(err, err2))
}
