package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// testKey is the store key of tests.
var testKey = bytes.Repeat([]byte{7}, 32)

// world is a store on disk together with a simple model of what must be in it.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	dir     string
	reserve uint64 // Options.Reserve
	st      *Store
	now     time.Time                 // of the test; set changes it
	clock   atomic.Pointer[time.Time] // the same for the store, whose housekeeping looks whenever it likes
	today   uint32                    // when the world began
	acct    gateway.AccountID
	ids     *gateway.BatchIDs

	credits int64
	batches map[gateway.BatchRef]*modelBatch
	order   []gateway.BatchRef
	opID    int
	fresh   []modelSegment // operator ids not used yet, whose receipts came early
}

type modelBatch struct {
	batch     *gateway.Batch
	messages  []*modelMessage
	paused    bool
	cancelled bool
}

type modelMessage struct {
	id       gateway.MessageID
	rcpt     gateway.Recipient
	state    gateway.State // StateNone: waits
	open     bool
	attempts int
	doubts   int // attempts without an answer, as the record counts them
	refunded bool
	decided  int // decisions after acceptance
	segs     []modelSegment
	copies   []modelSegment // ids of further copies; state unused
	copyOf   []int          // the segments they are of
}

type modelSegment struct {
	id    string
	state gateway.State
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	w := &world{t: t, rnd: rand.New(rand.NewPCG(seed, 1)), dir: t.TempDir(), reserve: 1,
		batches: map[gateway.BatchRef]*modelBatch{}, ids: gateway.NewBatchIDs(0)}
	w.set(time.Now().Truncate(time.Millisecond))
	w.today = dayOf(w.now)
	w.open()
	t.Cleanup(func() { w.st.Close() })
	ctx := t.Context()
	a := &gateway.Account{Name: "Örnek"}
	w.must(w.st.PutAccount(ctx, a))
	w.acct = a.ID
	w.must(w.st.PutOperator(ctx, &gateway.Operator{Name: "op1"}))
	w.must(w.st.PutWebhook(ctx, &gateway.Webhook{Account: a.ID, URL: "https://example.com/"}))
	_, err := w.st.AddCredits(ctx, a.ID, 100_000, "test")
	w.must(err)
	w.credits = 100_000
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) open() {
	w.t.Helper()
	st, err := Open(Options{Dir: w.dir, Key: testKey, Now: w.time, Gather: -1, Memory: 96 << 20, Reserve: w.reserve})
	w.must(err)
	w.st = st
}

func (w *world) reopen() {
	w.t.Helper()
	w.must(w.st.Close())
	w.open()
}

// time is the store's clock.
func (w *world) time() time.Time { return *w.clock.Load() }

func (w *world) set(now time.Time) {
	w.now = now
	w.clock.Store(&now)
}

func (w *world) tick(d time.Duration) { w.set(w.now.Add(d)) }

// batchOf makes an acceptance of n recipients of which some were dropped at the door.
func (w *world) batchOf(n int) (*gateway.Acceptance, *modelBatch) {
	ref := gateway.BatchRef{Account: w.acct, Batch: w.ids.Next(w.now)}
	a := &gateway.Acceptance{Batch: gateway.Batch{Account: w.acct, ID: ref.Batch, Door: gateway.DoorSMPP, Credential: "esme1",
		Channel: gateway.ChannelSMS, Class: gateway.ClassCommercial, Brand: "1", From: "ORNEK", Text: "Merhaba", Receipt: gateway.ReceiptAll,
		Count: n, SendAt: w.now, ValidUntil: w.now.Add(24 * time.Hour)}}
	if w.rnd.IntN(4) == 0 {
		a.Batch.SendAt = w.now.Add(time.Duration(w.rnd.IntN(7200)) * time.Second)
		a.Batch.ValidUntil = a.Batch.SendAt.Add(time.Duration(1+w.rnd.IntN(72)) * time.Hour)
	}
	m := &modelBatch{batch: &a.Batch}
	for i := range n {
		r := gateway.Recipient{Address: fmt.Sprintf("+90532%07d", w.rnd.IntN(50)), Segments: uint8(1 + w.rnd.IntN(3)), State: gateway.StateQueued}
		d := gateway.Decision{Kind: gateway.DecisionAccept, Verdict: "send", Rule: "consent_onay", Status: "ONAY"}
		if w.rnd.IntN(5) == 0 {
			r.State, r.Code, d.Verdict, d.Rule = gateway.StateDropped, gateway.CodeNoConsent, "drop", "no_consent"
		} else {
			a.Credits += int64(r.Segments)
		}
		a.Recipients = append(a.Recipients, r)
		a.Decisions = append(a.Decisions, d)
		m.messages = append(m.messages, &modelMessage{id: ref.Message(uint32(i)), rcpt: r})
	}
	return a, m
}

func (w *world) accept(n int) {
	w.t.Helper()
	a, m := w.batchOf(n)
	err := w.st.Accept(context.Background(), a)
	if a.Credits > w.credits {
		if codeOf(err) != gateway.CodeNoCredit {
			w.t.Fatalf("accept beyond the balance = %v, want no_credit", err)
		}
		return
	}
	w.must(err)
	w.credits -= a.Credits
	w.batches[a.Batch.Ref()] = m
	w.order = append(w.order, a.Batch.Ref())
}

// any picks a message; nil when there is none.
func (w *world) any() (*modelBatch, *modelMessage) {
	if len(w.order) == 0 {
		return nil, nil
	}
	b := w.batches[w.order[w.rnd.IntN(len(w.order))]]
	return b, b.messages[w.rnd.IntN(len(b.messages))]
}

func (m *modelMessage) waits() bool {
	return m.rcpt.State != gateway.StateDropped && m.state != gateway.StateSent && !m.state.Final()
}

// told is what a receipt makes of a segment: beside an attempt that was never answered, only a delivery says what became of it.
func (m *modelMessage) told(st gateway.State) gateway.State {
	if st.Final() && st != gateway.StateDelivered && m.doubts > 0 && m.attempts > 1 {
		return gateway.StateUnknown
	}
	return st
}

// end puts a final state on a message of the model.
func (w *world) end(m *modelMessage, st gateway.State) {
	m.state = st
	if st.Refundable(true) && !m.refunded {
		m.refunded = true
		w.credits += int64(m.rcpt.Segments)
	}
}

func (w *world) intent(b *modelBatch, m *modelMessage) {
	w.t.Helper()
	v, err := w.st.Message(w.t.Context(), w.acct, m.id)
	w.must(err)
	if m.rcpt.State == gateway.StateDropped {
		return // hand-off never asks for one
	}
	again := w.rnd.IntN(2) == 0
	ok, err := w.st.OpenIntents(context.Background(), []gateway.Intent{{Message: m.id, Operator: "op1", Segments: int(m.rcpt.Segments), Again: again,
		NextAt: v.NextAt, Decision: gateway.Decision{Kind: gateway.DecisionIntent, Verdict: "send"}}})
	w.must(err)
	want := m.waits() && (!m.open || again)
	if ok[0] != want {
		w.t.Fatalf("intent for %s in state %s (open %t, again %t) = %t, want %t", m.id, m.state, m.open, again, ok[0], want)
	}
	if !want {
		return
	}
	if m.open { // since a crash
		m.doubts = max(m.doubts, 1)
	}
	m.open, m.state = true, gateway.StateNone
	m.attempts++
	m.decided++
	if len(m.segs) == 0 {
		m.segs = make([]modelSegment, m.rcpt.Segments)
	}
}

// answer ends an open intent: taken, refused, later or in doubt.
func (w *world) answer(b *modelBatch, m *modelMessage) {
	w.t.Helper()
	if !m.open || !m.waits() {
		return
	}
	c := gateway.Change{Message: m.id, Batch: b.batch, Recipient: &m.rcpt, Operator: "op1", Close: true, State: gateway.StateSent}
	how := w.rnd.IntN(6)
	switch {
	case how == 0 && m.doubts > 0: // an earlier attempt may have arrived, which makes no more of them
		c.State, c.Code = gateway.StateUnknown, gateway.CodeDoubt
	case how == 0:
		c.State, c.Code = gateway.StateRejected, gateway.CodeOperatorRejected
	case how <= 2:
		c.State, c.Code, c.NextAt = gateway.StateQueued, gateway.CodeThrottled, w.now.Add(time.Duration(w.rnd.IntN(5000))*time.Microsecond)
		if how == 2 {
			c.Code, c.Doubt = gateway.CodeDoubt, true
			m.doubts = min(m.doubts+1, gateway.MaxDoubts)
		}
	}
	for i := range m.segs {
		s := &m.segs[i]
		if s.taken() { // at an earlier attempt, or answered late: then this one may have made a copy
			if w.rnd.IntN(2) == 0 {
				continue
			}
			a := gateway.SegmentAnswer{Index: i, State: gateway.StateRejected, Err: "x"}
			if w.rnd.IntN(2) == 0 {
				w.opID++
				id := fmt.Sprintf("id%d", w.opID)
				a = gateway.SegmentAnswer{Index: i, State: gateway.StateSent, OperatorID: id}
				m.copied(i, id)
			}
			c.Answers = append(c.Answers, a)
			continue
		}
		switch {
		case how == 0:
			c.Answers = append(c.Answers, gateway.SegmentAnswer{Index: i, State: gateway.StateRejected, Err: "x"})
			s.state = gateway.StateRejected
		case how > 2:
			id, early := w.newID()
			c.Answers = append(c.Answers, gateway.SegmentAnswer{Index: i, State: gateway.StateSent, OperatorID: id})
			s.id, s.state = id, m.told(early)
		}
	}
	w.must(w.st.ApplyWait([]gateway.Change{c}))
	m.open = false
	if m.whole() {
		c.State = gateway.StateSent
	}
	switch c.State {
	case gateway.StateSent:
		m.state = gateway.StateSent
		w.settle(m)
	case gateway.StateQueued:
		m.state = gateway.StateQueued
	default:
		w.end(m, c.State)
	}
}

// newID is an operator's id, with what its receipt has said already: sent, where none has come.
func (w *world) newID() (string, gateway.State) {
	if len(w.fresh) > 0 {
		early := w.fresh[0]
		w.fresh = w.fresh[1:]
		return early.id, early.state
	}
	w.opID++
	return fmt.Sprintf("id%d", w.opID), gateway.StateSent
}

func (s *modelSegment) taken() bool {
	return s.state == gateway.StateSent || s.state == gateway.StateDelivered
}

// whole reports whether the operator has every segment.
func (m *modelMessage) whole() bool {
	return len(m.segs) > 0 && !slices.ContainsFunc(m.segs, func(s modelSegment) bool { return !s.taken() })
}

func (m *modelMessage) copied(segment int, id string) {
	m.copies, m.copyOf = append(m.copies, modelSegment{id: id}), append(m.copyOf, segment)
}

func (w *world) settle(m *modelMessage) {
	worst := gateway.StateDelivered
	for _, s := range m.segs {
		if !s.state.Final() {
			return
		}
		worst = worst.Worse(s.state)
	}
	w.end(m, worst)
}

// receipt brings a receipt: for a known id, a repeat, or one too early.
func (w *world) receipt() {
	w.t.Helper()
	_, m := w.any()
	w.receiptOf(m)
}

func (w *world) receiptOf(m *modelMessage) {
	w.t.Helper()
	r := gateway.OperatorReceipt{Operator: "op1", State: []gateway.State{gateway.StateDelivered, gateway.StateUndelivered,
		gateway.StateExpired, gateway.StateRejected, gateway.StateUnknown}[w.rnd.IntN(5)], Err: "001"}
	var seg *modelSegment
	if m != nil && len(m.segs) > 0 && w.rnd.IntN(10) > 0 {
		seg = &m.segs[w.rnd.IntN(len(m.segs))]
	}
	if seg == nil || seg.id == "" {
		w.opID++
		r.ID = fmt.Sprintf("id%d", w.opID)
		w.fresh = append(w.fresh, modelSegment{r.ID, r.State})
		seg = nil
	} else {
		r.ID = seg.id
	}
	done := make(chan error, 1)
	w.st.Receipt(r, func(matched bool, err error) {
		if err == nil && matched != (seg != nil) {
			err = fmt.Errorf("receipt %s matched = %t, want %t", r.ID, matched, seg != nil)
		}
		done <- err
	})
	w.must(<-done)
	if seg == nil || seg.state.Final() && seg.state != gateway.StateUnknown {
		return
	}
	seg.state = m.told(r.State)
	if !m.open && (!m.state.Final() || m.state == gateway.StateUnknown) {
		w.settle(m)
	}
}

func (w *world) steer(b *modelBatch, m *modelMessage) {
	w.t.Helper()
	ctx := w.t.Context()
	stoppable := func(m *modelMessage) bool { return m.waits() && !m.open && m.doubts == 0 }
	cancel := func(m *modelMessage) { m.decided++; w.end(m, gateway.StateCancelled) }
	switch w.rnd.IntN(4) {
	case 0:
		err := w.st.CancelMessage(ctx, w.acct, m.id)
		if want := stoppable(m); (err == nil) != want {
			w.t.Fatalf("cancel of %s in %s (open %t, doubts %d) = %v", m.id, m.state, m.open, m.doubts, err)
		} else if want {
			cancel(m)
		}
	case 1:
		if err := w.st.PauseBatch(ctx, w.acct, b.batch.Ref()); (err == nil) == b.cancelled {
			w.t.Fatalf("pause (cancelled %t) = %v", b.cancelled, err)
		}
		b.paused = !b.cancelled
	case 2:
		if err := w.st.ResumeBatch(ctx, w.acct, b.batch.Ref()); (err == nil) == b.cancelled {
			w.t.Fatalf("resume (cancelled %t) = %v", b.cancelled, err)
		}
		b.paused = false
	case 3:
		if w.rnd.IntN(5) > 0 {
			return
		}
		n, err := w.st.CancelBatch(ctx, w.acct, b.batch.Ref())
		want := 0
		for _, x := range b.messages {
			if stoppable(x) {
				cancel(x)
				want++
			}
		}
		b.cancelled, b.paused = true, false
		var refused *gateway.Error
		if tooLate := errors.As(err, &refused) && refused.Code == gateway.CodeTooLate; tooLate != (want == 0) || err != nil && !tooLate {
			w.t.Fatalf("cancel of a batch with %d messages to stop = %v", want, err)
		}
		if n != want {
			w.t.Fatalf("cancel of batch stopped %d, want %d", n, want)
		}
	}
}

// hold puts a waiting message off, as hand-off does, sometimes from a look at it that is out of date.
func (w *world) hold(b *modelBatch, m *modelMessage) {
	w.t.Helper()
	if m.rcpt.State == gateway.StateDropped || m.open {
		return
	}
	c := gateway.Change{Message: m.id, Batch: b.batch, Recipient: &m.rcpt, State: gateway.StateHeld, Code: gateway.CodeConsentUnavailable,
		NextAt: w.now.Add(time.Duration(w.rnd.IntN(3000)) * time.Microsecond), Decision: &gateway.Decision{Kind: gateway.DecisionHold, Verdict: "hold"}}
	if w.rnd.IntN(2) == 0 {
		c.Code, c.NextAt = gateway.CodePaused, b.batch.ValidUntil
	}
	w.must(w.st.ApplyWait([]gateway.Change{c}))
	m.decided++
	if m.waits() {
		m.state = gateway.StateHeld
	}
}

// check holds the store against the model.
func (w *world) check() {
	w.t.Helper()
	ctx := w.t.Context()
	rep, err := w.st.Verify(ctx)
	w.must(err)
	for _, p := range rep.Problems {
		w.t.Errorf("verify: %s", p)
	}
	bal, err := w.st.Balance(ctx, w.acct)
	w.must(err)
	if bal.Credits != w.credits {
		w.t.Errorf("credits = %d, want %d", bal.Credits, w.credits)
	}
	for _, b := range w.batches {
		for _, m := range b.messages {
			v, err := w.st.Message(ctx, w.acct, m.id)
			w.must(err)
			if !sameState(v.State, m) {
				w.t.Errorf("message %s is %s, the model says %s", m.id, v.State, m.state)
			}
			if got := w.progress(m.id).Doubts; int(got) != m.doubts {
				w.t.Errorf("message %s counts %d attempts without an answer, the model %d", m.id, got, m.doubts)
			}
			ds, err := w.st.Decisions(ctx, w.acct, m.id)
			w.must(err)
			if len(ds) != 1+m.decided {
				w.t.Errorf("message %s has %d decisions, want %d", m.id, len(ds), 1+m.decided)
			}
		}
	}
	if w.t.Failed() {
		w.t.FailNow()
	}
}

// progress reads a message's progress as it is stored.
func (w *world) progress(id gateway.MessageID) (p gateway.Progress) {
	w.t.Helper()
	w.must(w.st.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, progressKey(id))
		if err != nil || v == nil {
			return err
		}
		p, err = decodeProgress(v)
		return err
	}))
	return p
}

func sameState(got gateway.State, m *modelMessage) bool {
	switch {
	case m.rcpt.State == gateway.StateDropped:
		return got == gateway.StateDropped
	case m.waits():
		return got.Waiting()
	}
	return got == m.state
}

// Whatever happens in whatever order, over restarts too, the store says what a simple model says and Verify finds nothing.
func TestRandomActs(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, 6}
	steps := 250
	if testing.Short() {
		seeds, steps = seeds[:2], 120
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			for i := range steps {
				w.tick(time.Duration(w.rnd.IntN(3000)) * time.Microsecond)
				b, m := w.any()
				switch n := w.rnd.IntN(100); {
				case n < 12 || b == nil:
					w.accept(1 + w.rnd.IntN(3))
				case n < 14:
					w.accept(90 + w.rnd.IntN(60))
				case n == 14 && i%2 == 0:
					w.accept(1000 + w.rnd.IntN(300))
				case n < 40:
					w.intent(b, m)
				case n < 62:
					w.answer(b, m)
				case n < 66:
					w.late(m)
				case n < 69:
					if len(m.copies) > 0 {
						w.copyReceipt(m)
					}
				case n < 80:
					w.receipt()
				case n < 88:
					w.hold(b, m)
				case n < 95:
					w.steer(b, m)
				case n == 95:
					w.reopen()
				case n == 96:
					w.check()
				default: // the busiest messages move on
					if j := slices.IndexFunc(b.messages, func(x *modelMessage) bool { return x.open }); j >= 0 {
						w.answer(b, b.messages[j])
					}
				}
			}
			w.check()
			w.reopen()
			w.check()
			// Five days later everything that was sent and never confirmed is unknown, once.
			w.tick(20 * 24 * time.Hour)
			settled, err := w.st.Sweep(t.Context())
			w.must(err)
			want := 0
			for _, b := range w.batches {
				for _, m := range b.messages {
					if m.state == gateway.StateSent {
						m.state = gateway.StateUnknown
						want++
					}
				}
			}
			if settled != want {
				t.Errorf("sweep settled %d messages, want %d", settled, want)
			}
			if again, err := w.st.Sweep(t.Context()); err != nil || again != 0 {
				t.Errorf("second sweep = %d, %v, want 0", again, err)
			}
			w.check()
		})
	}
}

// codeOf is the code of a refusal, empty for anything else.
func codeOf(err error) gateway.Code {
	var e *gateway.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
