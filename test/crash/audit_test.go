package crash

import (
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/gateway/smtptest"
	"izinli/test/stage"
)

// The witness is watched here: what it is there to notice it must notice.

func submitted(class byte, ref int, person uint32) *smpp.SubmitSM {
	m := stage.Text("IZINLI", number(person), text(class, ref))
	return &m
}

// A commercial message that leaves too long after an opt-out is a leak, also one the operator throttles; one in flight is counted.
func TestLeakIsNoticed(t *testing.T) {
	for _, c := range []struct {
		name        string
		ago         time.Duration
		class       byte
		status      smpp.CommandStatus
		frozen      time.Duration // of the time since the opt-out
		leaks, late int
	}{
		{"long after", time.Second, commercial, smpp.StatusOK, 0, 1, 0},
		{"long after and throttled", time.Second, commercial, smpp.StatusThrottled, 0, 1, 0},
		{"on its way", 100 * time.Millisecond, commercial, smpp.StatusOK, 0, 0, 1},
		{"decided before the process stood still", time.Second, commercial, smpp.StatusOK, 900 * time.Millisecond, 0, 1},
		{"long after the process went on", 2 * time.Second, commercial, smpp.StatusOK, 900 * time.Millisecond, 1, 0},
		{"an order", time.Second, transactional, smpp.StatusOK, 0, 0, 0},
	} {
		w := newWitness(handsets(100), "message", 250*time.Millisecond)
		ref := w.issue(c.class, 4)
		now := time.Now()
		w.refused[4] = now.Add(-c.ago)
		if c.frozen > 0 {
			w.frozen = []span{{from: now.Add(-c.ago), to: now.Add(-c.ago).Add(c.frozen)}}
		}
		w.watch(submitted(c.class, ref, 4), c.status)
		if len(w.leaks) != c.leaks || w.late != c.late {
			t.Errorf("%s: %d leaks and %d in flight, want %d and %d", c.name, len(w.leaks), w.late, c.leaks, c.late)
		}
	}
}

// A message for nobody who agreed, for somebody else, or that nobody sent.
func TestStrangersAreNoticed(t *testing.T) {
	w := newWitness(handsets(100), "message", time.Second)
	never, order := w.issue(commercial, 3), w.issue(transactional, 4)
	w.watch(submitted(commercial, never, 3), smpp.StatusOK)
	w.watch(submitted(transactional, order, 5), smpp.StatusOK)
	w.watch(submitted(transactional, 99, 5), smpp.StatusOK)
	if len(w.leaks) != 2 || w.foreign != 1 {
		t.Errorf("%d leaks and %d strangers, want 2 and 1: %q", len(w.leaks), w.foreign, w.leaks)
	}
}

// A second copy needs a reason: no answer to the first, or one a fault can have taken along.
func TestRepeatNeedsAReason(t *testing.T) {
	began := time.Now()
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	for _, c := range []struct {
		name   string
		copies []sighting
		want   int
	}{
		{"one copy", []sighting{{read: at(1), answered: at(1)}}, 0},
		{"never answered", []sighting{{read: at(1)}, {read: at(2)}}, 0},
		{"answered just before the fault", []sighting{{read: at(9), answered: at(9.5)}, {read: at(14)}}, 0},
		{"answered during it", []sighting{{read: at(10), answered: at(11)}, {read: at(14)}}, 0},
		{"answered long before", []sighting{{read: at(1), answered: at(1.1)}, {read: at(14)}}, 1},
		{"answered after it", []sighting{{read: at(12), answered: at(12.5)}, {read: at(14)}}, 1},
		{"the third", []sighting{{read: at(1)}, {read: at(2), answered: at(2.1)}, {read: at(14)}}, 1},
	} {
		s := &storm{t: &testing.T{}, w: newWitness(handsets(100), "message", time.Second), troubles: troubles{margin: answerLost}}
		s.troubles.add(at(10), at(12))
		ref := s.w.issue(transactional, 1)
		s.w.refs[ref-1].copies = c.copies
		if got := s.auditRepeats(s.w, &s.troubles); got != c.want {
			t.Errorf("%s: %d unexplained, want %d", c.name, got, c.want)
		}
	}
}

// The instant of an answer is kept with its copy.
func TestAnswersAreNoted(t *testing.T) {
	w := newWitness(handsets(100), "message", time.Second)
	ref := w.issue(transactional, 1)
	w.watch(submitted(transactional, ref, 1), smpp.StatusOK)
	w.watch(submitted(transactional, ref, 1), smpp.StatusOK)()
	f := w.refs[ref-1]
	if f.seen != 2 || len(f.copies) != 2 || !f.copies[0].answered.IsZero() || f.copies[1].answered.IsZero() {
		t.Errorf("%+v", f)
	}
	if answered := w.watch(submitted(transactional, ref, 1), smpp.StatusThrottled); answered != nil || w.refs[ref-1].seen != 2 {
		t.Error("a throttled copy counts as one that came")
	}
}

// Mails are seen one by one as short messages are: a second copy after an answer is a repeat without a reason.
func TestMailsAreSeenOneByOne(t *testing.T) {
	for _, c := range []struct {
		name      string
		mute      bool // the first is taken and the connection cut
		trouble   bool // a fault that breaks the links to the smarthost
		elsewhere bool // and one that breaks those to operators
		want      int
	}{
		{"answered", false, false, false, 1},
		{"answered, while an operator was cut", false, false, true, 1},
		{"not answered", true, false, false, 0},
		{"answered just before a fault", false, true, false, 0},
	} {
		s := &storm{t: &testing.T{}, mails: newWitness(mailboxes(100), "mail", time.Second), troubles: troubles{margin: answerLost}, cuts: troubles{margin: answerLost}}
		p := &post{w: s.mails, t: &traffic{line: line{tb: t}}, domain: "ornek.example"}
		hop := newNextHop(p.received)
		sink, err := smtptest.Listen(hop.cfg)
		if err != nil {
			t.Fatal(err)
		}
		ref := s.mails.issue(transactional, 1)
		deliver := func() error {
			conn, err := smtp.Dial(sink.Addr())
			if err != nil {
				return err
			}
			defer conn.Close()
			return conn.SendMail("bulten@ornek.example", []string{mailbox(1)},
				strings.NewReader("Subject: "+text(transactional, ref)+"\r\n\r\n"+filler(ref)))
		}
		hop.feel(mood{mute: c.mute})
		if err := deliver(); (err != nil) != c.mute {
			t.Errorf("%s: the first copy: %v", c.name, err)
		}
		hop.feel(mood{})
		if c.trouble {
			s.cuts.add(time.Now(), time.Now())
		}
		if c.elsewhere {
			s.cut()
		}
		if err := deliver(); err != nil {
			t.Errorf("%s: the second copy: %v", c.name, err)
		}
		if err := sink.Close(); err != nil {
			t.Error(err)
		}
		if f := s.mails.refs[ref-1]; f.seen != 2 || len(f.copies) != 2 || len(s.mails.damaged) != 0 {
			t.Errorf("%s: %+v, damaged %q", c.name, f, s.mails.damaged)
		}
		if got := s.auditRepeats(s.mails, &s.cuts); got != c.want {
			t.Errorf("%s: %d unexplained, want %d", c.name, got, c.want)
		}
	}
}

func TestDoublesNeedAReason(t *testing.T) {
	began := time.Now()
	said := func(s int, st smpp.MessageState) receipt {
		return receipt{st, began.Add(time.Duration(s) * time.Second)}
	}
	s := &storm{troubles: troubles{margin: answerLost}}
	s.troubles.add(began.Add(10*time.Second), began.Add(12*time.Second))
	var got receiptTally
	s.countDoubles([]receipt{said(1, smpp.StateUnknown), said(2, smpp.StateDelivered)}, &got)                                    // learned later
	s.countDoubles([]receipt{said(11, smpp.StateDelivered), said(13, smpp.StateDelivered)}, &got)                                // the answer was lost
	s.countDoubles([]receipt{said(1, smpp.StateDelivered), said(13, smpp.StateDelivered)}, &got)                                 // it was not
	s.countDoubles([]receipt{said(1, smpp.StateDelivered), said(2, smpp.StateRejected), said(3, smpp.StateUndeliverable)}, &got) // final is final
	if want := (receiptTally{Corrected: 1, Doubles: 2, Unexplained: 1, Wrong: 2}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// With room for all of them each kind strikes.
func TestEveryKindStrikes(t *testing.T) {
	var out result
	s := &storm{Storm: Storm{Faults: LeastFaults, Seed: 7}, t: t, mount: "yes", kinds: map[string]int{}}
	rng := s.order()
	first := s.deal(rng)
	for i := range s.Faults {
		s.kinds[s.next(i, rng, first).name]++
	}
	if len(s.kinds) != len(faults) {
		t.Errorf("%d kinds of %d strike", len(s.kinds), len(faults))
	}
	if s.judgeTerms(&out, longest); !out.Counts {
		t.Errorf("does not count: %q", out.Because)
	}
}

func TestTerms(t *testing.T) {
	for name, change := range map[string]func(*storm, *time.Duration){
		"few":       func(s *storm, _ *time.Duration) { s.kinds[faults[0].name]-- },
		"a kind":    func(s *storm, _ *time.Duration) { s.kinds[faults[3].name]--; s.kinds[faults[0].name]++ },
		"long":      func(_ *storm, d *time.Duration) { *d += time.Second },
		"some only": func(s *storm, _ *time.Duration) { s.Only = "kill" },
		"no disk":   func(s *storm, _ *time.Duration) { s.mount = "" },
	} {
		s := &storm{t: t, mount: "yes", kinds: map[string]int{}}
		for i := range faults {
			s.kinds[faults[i].name] = 1
		}
		s.kinds[faults[0].name] += LeastFaults - len(faults)
		raged := longest
		change(s, &raged)
		var out result
		if s.judgeTerms(&out, raged); out.Counts || len(out.Because) != 1 {
			t.Errorf("%s: counts %t, because %q", name, out.Counts, out.Because)
		}
	}
}

// Who is in doubt, and who was charged for nothing.
func TestMoneyOfLostAnswers(t *testing.T) {
	for _, c := range []struct {
		e      ends
		doubts int
		ok     bool
	}{
		{ends{seen: 1, left: 1}, 0, true},
		{ends{seen: 1, unknown: 1}, 0, true},
		{ends{unknown: 1}, 1, true},
		{ends{left: 1}, 0, false},
		{ends{seen: 1}, 0, false},
		{ends{seen: 1, left: 2}, 0, false},
	} {
		doubts, ok := c.e.judge()
		if doubts != c.doubts || ok != c.ok {
			t.Errorf("%+v: %d in doubt, right %t; want %d, %t", c.e, doubts, ok, c.doubts, c.ok)
		}
	}
}

func TestReceiptsAreKept(t *testing.T) {
	r := &receipts{said: map[gateway.MessageID][]receipt{}}
	id := gateway.MessageID{Account: 1, Batch: 2}
	for _, name := range []string{id.String(), "nobody's"} {
		acked := false
		r.Deliver(t.Context(), smppclient.Delivery{Kind: smppclient.Receipt, ReceiptID: name, Receipt: smpp.Receipt{State: smpp.StateDelivered}},
			func(status smpp.CommandStatus) { acked = status == smpp.StatusOK })
		if !acked {
			t.Errorf("the receipt of %s was not acknowledged", name)
		}
	}
	if len(r.said[id]) != 1 || r.said[id][0].state != smpp.StateDelivered || r.foreign != 1 {
		t.Errorf("%+v", r)
	}
}

// What an acknowledged message may end as, by what stands against it.
func TestEndsAreJudged(t *testing.T) {
	const done = gateway.StateDelivered
	for _, c := range []struct {
		why         string
		state       gateway.State
		seen        uint16
		unanswered  int
		doomed      bool
		lost, wrong bool
	}{
		{"delivered", done, 1, 0, false, false, false},
		{"delivered, and nobody has it", done, 0, 0, false, true, true},
		{"queued for ever", gateway.StateQueued, 0, 0, false, true, true},
		{"dropped, and nothing stands against it", gateway.StateDropped, 0, 0, false, true, true},
		{"in doubt, and could be tried again", gateway.StateUnknown, 1, 2, false, false, true},
		{"in doubt for the last time", gateway.StateUnknown, 1, gateway.MaxDoubts, false, false, false},
		{"in doubt when its campaign was cancelled", gateway.StateUnknown, 1, 0, true, false, false},
		{"cancelled", gateway.StateCancelled, 0, 0, true, false, false},
		{"cancelled, and somebody has it", gateway.StateCancelled, 1, 0, true, false, true},
		{"cancelled by nobody", gateway.StateCancelled, 0, 0, false, true, true},
	} {
		w := newWitness(handsets(100), "message", time.Second)
		f := &fate{class: transactional, said: saidYes, run: &campaign{doomed: c.doomed}}
		f.seen = c.seen
		lost, wrong := w.judge(f, &gateway.MessageView{State: c.state, Attempts: 3, Unanswered: c.unanswered}, done)
		if lost != c.lost || (wrong != "") != c.wrong {
			t.Errorf("%s: lost %t, %q; want %t, %t", c.why, lost, wrong, c.lost, c.wrong)
		}
	}
}
