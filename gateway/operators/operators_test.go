package operators_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/gateway/dispatch"
	"izinli/gateway/inbound"
	"izinli/gateway/operators"
	"izinli/gateway/smpp"
	"izinli/gateway/smpptest"
	"izinli/gateway/store"
	"izinli/iys"
)

// judge lets everything go.
type judge struct{ mu sync.Mutex }

func (*judge) Decide(*gateway.Batch, string, time.Time) iys.Verdict {
	return iys.Verdict{Outcome: iys.OutcomeSend, Rule: iys.RuleTransactional}
}
func (*judge) Ask(context.Context, *gateway.Batch, []string) {}
func (*judge) Cite(context.Context, []consent.Citation)      {}
func (j *judge) Lock(string) *sync.Mutex                     { j.mu.Lock(); return &j.mu }

// inbox takes messages from handsets.
type inbox struct{ got chan inbound.MO }

func (i *inbox) Receive(_ context.Context, mo inbound.MO) error { i.got <- mo; return nil }

type bench struct {
	t        *testing.T
	ctx      context.Context // with the test's time limit
	st       *store.Store
	d        *dispatch.Dispatcher
	m        *operators.Manager
	inbox    *inbox
	receipts chan store.ReceiptNote
	stop     func() // ends the manager and waits
	a        gateway.AccountID
	ids      *gateway.BatchIDs
}

func newBench(t *testing.T) *bench {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	b := &bench{t: t, ctx: ctx, inbox: &inbox{make(chan inbound.MO, 8)}, receipts: make(chan store.ReceiptNote, 8), ids: gateway.NewBatchIDs(0)}
	var err error
	if b.st, err = store.Open(store.Options{InMemory: true, Gather: -1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.st.Close() })
	b.st.WatchReceipts(func(n store.ReceiptNote) { b.receipts <- n })
	acct := &gateway.Account{Name: "Örnek"}
	b.must(b.st.PutAccount(ctx, acct))
	b.a = acct.ID
	_, err = b.st.AddCredits(ctx, b.a, 100, "")
	b.must(err)
	b.d = dispatch.New(dispatch.Config{}, b.st, &judge{})
	b.m = operators.New(operators.Config{Check: 5 * time.Millisecond}, b.st, b.d, b.inbox)
	run, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); b.m.Run(run) }()
	b.stop = func() { end(); <-done }
	t.Cleanup(b.stop)
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// smsc starts an operator and waits for nothing.
func (b *bench) smsc(c smpptest.Config) *smpptest.Server {
	b.t.Helper()
	c.Record = true
	s, err := smpptest.Start(c)
	b.must(err)
	b.t.Cleanup(s.Close)
	return s
}

// operator writes the operator into the directory and waits until it is bound.
func (b *bench) operator(o gateway.Operator, s *smpptest.Server) {
	b.t.Helper()
	o.Name, o.Addr, o.SystemID, o.Password = "op1", s.Addr(), "izinli", b.st.Seal("gizli")
	b.must(b.st.PutOperator(b.ctx, &o))
	b.must(b.st.PutRoute(b.ctx, &gateway.Route{ID: "r", Operators: []gateway.RouteStep{{Operator: "op1"}}}))
	binds := max(1, o.Binds)
	b.must(s.WaitFor(b.ctx, func(st smpptest.Stats) bool { return st.Bound == binds }))
	b.await("carrier up", func() bool { return b.d.Carriers() != nil && b.d.Carriers()[0].Window >= binds })
}

// await polls for what nothing signals, and gives up with the test's time limit.
func (b *bench) await(what string, cond func() bool) {
	b.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-b.ctx.Done():
			b.t.Fatalf("%s: %v", what, b.ctx.Err())
		case <-tick.C:
		}
	}
}

// send accepts a message and brings it on its way.
func (b *bench) send(to string) gateway.MessageID {
	b.t.Helper()
	return b.sendText(to, "Merhaba", nil)
}

// sendText is send of a text, or of parts a client made.
func (b *bench) sendText(to, text string, raw *gateway.RawSMS) gateway.MessageID {
	b.t.Helper()
	now := time.Now()
	batch := gateway.Batch{Account: b.a, ID: b.ids.Next(now), Channel: "sms", Class: gateway.ClassTransactional, From: "ORNEK", Text: text, Raw: raw, Count: 1,
		SendAt: now, ValidUntil: now.Add(time.Hour)}
	b.must(b.st.Accept(b.ctx, &gateway.Acceptance{Batch: batch, Recipients: []gateway.Recipient{{Address: to, Segments: 1, State: gateway.StateQueued}},
		Decisions: make([]gateway.Decision, 1), Credits: 1}))
	// An entry is named by its millisecond, and the index shows it when that is over. Handed over earlier, its end would take away what
	// was put off within it.
	b.await("the millisecond to end", func() bool { return time.Since(now) > 2*time.Millisecond })
	_, err := b.d.Process(b.ctx, []gateway.DueRef{{Account: b.a, Batch: batch.ID, Count: 1, Lane: gateway.LaneTransactional, Due: now}})
	b.must(err)
	return batch.Ref().Message(0)
}

func (b *bench) state(id gateway.MessageID) gateway.State {
	b.t.Helper()
	v, err := b.st.Message(b.ctx, b.a, id)
	b.must(err)
	return v.State
}

// What the directory says is bound, sends, and hears receipts, whichever way the operator writes its ids in them.
func TestSendAndReceipt(t *testing.T) {
	for name, c := range map[string]struct {
		form          string
		resp, receipt smpptest.IDFormat
	}{
		"same":       {"", smpptest.IDDecimal, smpptest.IDDecimal},
		"hex to dec": {"hex->dec", smpptest.IDHex, smpptest.IDDecimal},
		"dec to hex": {"dec->hex", smpptest.IDDecimal, smpptest.IDHex},
		"case":       {"lower", smpptest.IDHexUpper, smpptest.IDHex},
		"zeros":      {"trim-zeros", smpptest.IDDecimal, smpptest.IDPadded},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			s := b.smsc(smpptest.Config{ID: c.resp, Receipts: smpptest.Receipts{ID: c.receipt}, Accounts: map[string]string{"izinli": "gizli"},
				Rules: []smpptest.Rule{{Suffix: "9", State: smpp.StateUndeliverable, Err: "027"}}})
			b.operator(gateway.Operator{IDForm: c.form}, s)
			for to, want := range map[string]gateway.State{"+905321234567": gateway.StateDelivered, "+905321234569": gateway.StateUndelivered} {
				id := b.send(to)
				b.must(b.d.Wait(b.ctx))
				b.await("final state", func() bool { return b.state(id).Final() })
				if got := b.state(id); got != want {
					t.Errorf("%s is %s, want %s", to, got, want)
				}
			}
			if rep, err := b.st.Verify(b.ctx); err != nil || len(rep.Problems) > 0 {
				t.Errorf("verify: %v, %v", rep.Problems, err)
			}
		})
	}
}

// A change in the directory moves the traffic; a disabled or removed operator is left in order.
func TestDirectoryChanges(t *testing.T) {
	b := newBench(t)
	first, second := b.smsc(smpptest.Config{}), b.smsc(smpptest.Config{})
	b.operator(gateway.Operator{}, first)
	if id := b.send("+905321234567"); b.d.Wait(b.ctx) != nil || b.state(id) == gateway.StateQueued {
		t.Errorf("message is %s, want it sent", b.state(id))
	}
	b.operator(gateway.Operator{Binds: 2}, second)
	b.must(first.WaitFor(b.ctx, func(st smpptest.Stats) bool { return st.Bound == 0 }))
	b.send("+905321234567")
	b.must(second.WaitCount(b.ctx, 1))
	if n := first.Stats().Submits; n != 1 {
		t.Errorf("the old address got %d messages, want 1", n)
	}
	op := *b.st.Directory().Operators["op1"]
	op.Disabled = true
	b.must(b.st.PutOperator(b.ctx, &op))
	b.must(second.WaitFor(b.ctx, func(st smpptest.Stats) bool { return st.Bound == 0 }))
	b.await("carrier gone", func() bool { return len(b.d.Carriers()) == 0 })
	if id := b.send("+905321234567"); b.state(id) != gateway.StateHeld {
		t.Errorf("message without an operator is %s, want held", b.state(id))
	}
	if !b.m.Up() {
		t.Error("not up although no operator is wanted")
	}
}

// A message from a handset reaches the inbound desk before it is acknowledged.
func TestFromHandset(t *testing.T) {
	b := newBench(t)
	s := b.smsc(smpptest.Config{})
	b.operator(gateway.Operator{}, s)
	s.SendMO("905321234567", "3333", "IPTAL")
	var mo inbound.MO
	select {
	case mo = <-b.inbox.got:
	case <-b.ctx.Done():
		t.Fatal("nothing came")
	}
	if mo.Operator != "op1" || strings.TrimPrefix(mo.From, "+") != "905321234567" || mo.To != "3333" || string(mo.Body) != "IPTAL" {
		t.Errorf("message = %+v", mo)
	}
	b.must(s.WaitFor(b.ctx, func(st smpptest.Stats) bool { return st.Acked == 1 }))
	// A long one comes as parts that belong together.
	s.SendMO("905321234567", "3333", strings.Repeat("uzun ", 60))
	var seqs []uint8
	for range 2 {
		select {
		case mo = <-b.inbox.got:
			seqs = append(seqs, mo.UDH[len(mo.UDH)-1])
		case <-b.ctx.Done():
			t.Fatal("a part is missing")
		}
	}
	slices.Sort(seqs)
	if !slices.Equal(seqs, []uint8{1, 2}) {
		t.Errorf("parts %v, want 1 and 2", seqs)
	}
}

// At a stop the answers under way are awaited: what the operator took is sent, not in doubt.
func TestDrain(t *testing.T) {
	b := newBench(t)
	s := b.smsc(smpptest.Config{Receipts: smpptest.Receipts{Off: true}})
	b.operator(gateway.Operator{}, s)
	s.Hold()
	id := b.send("+905321234567")
	b.must(s.WaitCount(b.ctx, 1))
	stopped := make(chan struct{})
	go func() { defer close(stopped); b.stop() }()
	b.await("carrier gone", func() bool { return len(b.d.Carriers()) == 0 })
	select {
	case <-stopped:
		t.Fatal("stopped while an answer was under way")
	default:
	}
	s.Release()
	<-stopped
	b.must(b.d.Wait(b.ctx))
	if got := b.state(id); got != gateway.StateSent {
		t.Errorf("message is %s, want sent", got)
	}
	b.must(s.WaitFor(b.ctx, func(st smpptest.Stats) bool { return st.Bound == 0 }))
}

// A link that is lost before the answer leaves the message in doubt: it goes again under a new decision.
func TestLostLink(t *testing.T) {
	b := newBench(t)
	s := b.smsc(smpptest.Config{Receipts: smpptest.Receipts{Off: true}})
	b.operator(gateway.Operator{}, s)
	s.DropAfter(1)
	id := b.send("+905321234567")
	b.must(b.d.Wait(b.ctx))
	if got := b.state(id); got != gateway.StateQueued {
		t.Fatalf("message is %s, want queued again", got)
	}
	b.must(s.WaitFor(b.ctx, func(st smpptest.Stats) bool { return st.Bound == 1 && st.Binds > 1 }))
	b.await("sent", func() bool {
		refs, _, err := b.st.Due(b.ctx, gateway.LaneTransactional, b.a, nil, 10)
		b.must(err)
		_, err = b.d.Process(b.ctx, refs)
		b.must(err)
		b.must(b.d.Wait(b.ctx))
		return b.state(id) == gateway.StateSent
	})
	ds, err := b.st.Decisions(b.ctx, b.a, id)
	b.must(err)
	intents := 0
	for _, d := range ds {
		if d.Kind == "intent" {
			intents++
		}
	}
	if intents < 2 {
		t.Errorf("%d intents recorded, want one for each attempt", intents)
	}
}
