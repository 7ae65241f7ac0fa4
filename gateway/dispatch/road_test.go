package dispatch_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/gateway/dispatch"
	"izinli/gateway/intake"
	"izinli/gateway/store"
	"izinli/iys"
)

// office answers by address; absent means approved.
type office struct {
	mu     sync.Mutex
	stop   map[string]iys.Verdict // guarded by mu
	locks  sync.Mutex
	asked  []string
	onLock func()

	onDecide func() // guarded by mu
}

func (o *office) setOnDecide(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.onDecide = f
}

func approve() iys.Verdict {
	return iys.Verdict{Outcome: iys.OutcomeSend, Rule: iys.RuleConsentApproved, PolicyVersion: 1,
		Consent: iys.Evidence{Status: iys.StatusApproved, Read: iys.ReadMirror}}
}

func (o *office) Decide(_ *gateway.Batch, address string, _ time.Time) iys.Verdict {
	o.mu.Lock()
	f := o.onDecide
	o.mu.Unlock()
	if f != nil {
		f()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if v, ok := o.stop[address]; ok {
		return v
	}
	return approve()
}

func (o *office) Ask(_ context.Context, _ *gateway.Batch, addresses []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, addresses...)
}

func (o *office) Cite(context.Context, []consent.Citation) {}

func (o *office) Lock(string) *sync.Mutex {
	if o.onLock != nil {
		o.onLock()
	}
	o.locks.Lock()
	return &o.locks
}

func (o *office) set(address string, v iys.Verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stop == nil {
		o.stop = map[string]iys.Verdict{}
	}
	o.stop[address] = v
}

// fakeCarrier answers every segment as told.
type fakeCarrier struct {
	mu     sync.Mutex
	window int
	used   int
	sent   []string
	answer func(n int) dispatch.Answer
	ready  func()

	onProfile func()
	onSend    func(sent int) // called directly, with the count so far

	answers [](func(int, dispatch.Answer)) // of each message sent; guarded by mu
}

// late answers the n-th message sent (from 1) after its time.
func (c *fakeCarrier) late(n, segment int, a dispatch.Answer) {
	c.mu.Lock()
	f := c.answers[n-1]
	c.mu.Unlock()
	f(segment, a)
}

func (c *fakeCarrier) setWindow(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.window = n
}

func (c *fakeCarrier) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent)
}

func (c *fakeCarrier) Name() string       { return "op1" }
func (c *fakeCarrier) MaxSegments() int   { return 10 }
func (c *fakeCarrier) NextTry() time.Time { return time.Time{} }
func (c *fakeCarrier) OnReady(f func())   { c.ready = f }
func (c *fakeCarrier) Profile() dispatch.Profile {
	if c.onProfile != nil {
		c.onProfile()
	}
	return dispatch.Profile{National: true}
}
func (c *fakeCarrier) Window() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.window
}

func (c *fakeCarrier) TryReserve(n int, _ gateway.Lane) (dispatch.Slot, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used+n > c.window {
		return nil, false
	}
	c.used += n
	return &fakeSlot{c, n}, true
}

func (*fakeCarrier) InShare(int, gateway.Lane) bool { return true }

type fakeSlot struct {
	c *fakeCarrier
	n int
}

func (s *fakeSlot) free() {
	s.c.mu.Lock()
	s.c.used -= s.n
	s.c.mu.Unlock()
	s.c.ready()
}

func (s *fakeSlot) Cancel() { go s.free() }

func (s *fakeSlot) Send(m *dispatch.Outgoing, answered func(int, dispatch.Answer)) {
	s.c.mu.Lock()
	s.c.sent = append(s.c.sent, m.Recipient.Address)
	s.c.answers = append(s.c.answers, answered)
	n := len(s.c.sent)
	s.c.mu.Unlock()
	if s.c.onSend != nil {
		s.c.onSend(n)
	}
	go func() {
		s.free()
		for _, seg := range m.Sending {
			a := dispatch.Answer{Verdict: dispatch.Taken, ID: fmt.Sprintf("%d-%d", n, seg)}
			if s.c.answer != nil {
				a = s.c.answer(n)
			}
			answered(seg, a)
		}
	}()
}

// journal keeps the states in which messages were said to end.
type journal struct {
	mu    sync.Mutex
	ended []gateway.State // guarded by mu
}

func (*journal) HandedOff(gateway.MessageID, string, string, int, int)                  {}
func (*journal) Answered(gateway.MessageID, string, int, string, gateway.State, string) {}
func (j *journal) Ended(_ gateway.MessageID, _ string, st gateway.State, _ gateway.Code) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = append(j.ended, st)
}

func (j *journal) list() []gateway.State {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.ended)
}

// road is the whole road over an in-memory store.
type road struct {
	t       *testing.T
	st      *store.Store
	in      *intake.Intake
	d       *dispatch.Dispatcher
	carrier *fakeCarrier
	office  *office
	journal *journal
	p       *gateway.Principal
	now     time.Time
	mu      sync.Mutex
}

func (r *road) clock() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *road) advance(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now = r.now.Add(d)
}

func newRoad(t *testing.T, policy gateway.AccountPolicy) *road {
	t.Helper()
	r := &road{t: t, office: &office{}, journal: &journal{}, carrier: &fakeCarrier{window: 10}, now: time.Date(2026, 3, 4, 12, 0, 0, 0, iys.Istanbul)}
	var err error
	if r.st, err = store.Open(store.Options{InMemory: true, Now: r.clock, Gather: -1}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.st.Close() })
	ctx := t.Context()
	acct := &gateway.Account{Name: "Örnek", Policy: policy}
	must(t, r.st.PutAccount(ctx, acct))
	must(t, r.st.PutBrand(ctx, &gateway.Brand{Code: "675403", Account: acct.ID, SMS: gateway.BrandMode{Mode: "partner"}}))
	must(t, r.st.PutSender(ctx, &gateway.Sender{Name: "ORNEK", Account: acct.ID, Channel: "sms", Brand: "675403", Approved: true}))
	must(t, r.st.PutOperator(ctx, &gateway.Operator{Name: "op1", National: true}))
	must(t, r.st.PutRoute(ctx, &gateway.Route{ID: "r", Operators: []gateway.RouteStep{{Operator: "op1"}}}))
	_, err = r.st.AddCredits(ctx, acct.ID, 1000, "test")
	must(t, err)
	r.p = &gateway.Principal{Account: acct.ID, Credential: gateway.Credential{ID: "k", Account: acct.ID}}
	r.in = intake.New(intake.Config{Now: r.clock}, r.st, r.office)
	r.d = dispatch.New(dispatch.Config{Now: r.clock, QuietHours: true, Journal: r.journal}, r.st, r.office)
	r.d.SetCarrier(r.carrier)
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (r *road) submit(to ...string) gateway.Result {
	r.t.Helper()
	s := &gateway.Submission{Principal: r.p, Door: gateway.DoorHTTP, From: "ORNEK", Text: "Merhaba"}
	for _, a := range to {
		s.To = append(s.To, gateway.Destination{Address: a})
	}
	res, err := r.in.Submit(r.t.Context(), s)
	must(r.t, err)
	return res
}

// pump processes everything that is due, as the queue would, and waits for the answers.
func (r *road) pump() {
	r.t.Helper()
	ctx := r.t.Context()
	r.advance(2 * time.Millisecond)
	for lane := gateway.Lane(0); lane < gateway.Lanes; lane++ {
		refs, _, err := r.st.Due(ctx, lane, r.p.Account, nil, 1000)
		must(r.t, err)
		if len(refs) == 0 {
			continue
		}
		_, err = r.d.Process(ctx, refs)
		must(r.t, err)
	}
	must(r.t, r.d.Wait(ctx))
}

func (r *road) state(id gateway.MessageID) (gateway.State, gateway.Code) {
	r.t.Helper()
	v, err := r.st.Message(r.t.Context(), r.p.Account, id)
	must(r.t, err)
	return v.State, v.Code
}

func (r *road) want(id gateway.MessageID, st gateway.State, code gateway.Code) {
	r.t.Helper()
	if gs, gc := r.state(id); gs != st || gc != code {
		r.t.Errorf("message is %s (%s), want %s (%s)", gs, gc, st, code)
	}
}

func (r *road) credits() int64 {
	r.t.Helper()
	b, err := r.st.Balance(r.t.Context(), r.p.Account)
	must(r.t, err)
	return b.Credits
}

func (r *road) receipt(id string, st gateway.State) {
	r.t.Helper()
	ch := make(chan error, 1)
	r.st.Receipt(gateway.OperatorReceipt{Operator: "op1", ID: id, State: st}, func(_ bool, err error) { ch <- err })
	must(r.t, <-ch)
}

func (r *road) verify() {
	r.t.Helper()
	rep, err := r.st.Verify(r.t.Context())
	must(r.t, err)
	for _, p := range rep.Problems {
		r.t.Errorf("verify: %s", p)
	}
}

const (
	ayse = "+905321234567"
	veli = "+905321234568"
)

func TestRoadDelivered(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	res := r.submit("0532 123 45 67", veli, "12345")
	if res.Accepted != 2 || res.Refused != 1 || res.Credits != 2 {
		t.Fatalf("accepted %d refused %d credits %d, want 2 1 2", res.Accepted, res.Refused, res.Credits)
	}
	id := res.Messages[0].ID
	r.want(id, gateway.StateQueued, "")
	r.pump()
	r.want(id, gateway.StateSent, "")
	r.receipt("1-0", gateway.StateDelivered)
	r.want(id, gateway.StateDelivered, "")
	r.receipt("2-0", gateway.StateUndelivered)
	r.want(res.Messages[1].ID, gateway.StateUndelivered, "")
	if got := r.credits(); got != 999 {
		t.Errorf("credits = %d, want 999: one delivered, one given back", got)
	}
	ds, err := r.st.Decisions(t.Context(), r.p.Account, id)
	must(t, err)
	if len(ds) != 2 || ds[0].Kind != "intent" || ds[1].Kind != "accept" || ds[0].Status != "ONAY" {
		t.Errorf("decisions = %+v, want intent then accept resting on ONAY", ds)
	}
	r.verify()
}

func TestRoadEarlyReceipt(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	res := r.submit(ayse)
	r.receipt("1-0", gateway.StateDelivered)
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateDelivered, "")
}

func TestRoadDropAtHandOff(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	res := r.submit(ayse, veli)
	r.office.set(ayse, iys.Verdict{Rule: iys.RuleBlocked})
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateDropped, gateway.CodeBlocked)
	r.want(res.Messages[1].ID, gateway.StateSent, "")
	if ended := r.journal.list(); !slices.Equal(ended, []gateway.State{gateway.StateDropped}) {
		t.Errorf("the journal says they ended as %v, want dropped once", ended)
	}
	if len(r.carrier.sent) != 1 || r.carrier.sent[0] != veli {
		t.Errorf("operator got %v, want only %s", r.carrier.sent, veli)
	}
	if got := r.credits(); got != 999 {
		t.Errorf("credits = %d, want 999", got)
	}
	r.verify()
}

// The block arrives between the intent and the hand-off: the last look must stop it.
func TestRoadBlockAtLastLook(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	res := r.submit(ayse)
	r.office.onLock = func() { r.office.set(ayse, iys.Verdict{Rule: iys.RuleBlocked}) }
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateDropped, gateway.CodeBlocked)
	if ended := r.journal.list(); !slices.Equal(ended, []gateway.State{gateway.StateDropped}) {
		t.Errorf("the journal says it ended as %v, want dropped once", ended)
	}
	if len(r.carrier.sent) != 0 {
		t.Errorf("operator got %v, want nothing", r.carrier.sent)
	}
	r.verify()
}

func TestRoadDroppedAtDoor(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	r.office.set(ayse, iys.Verdict{Rule: iys.RuleNoConsent})
	res := r.submit(ayse)
	if res.Dropped != 1 || res.Credits != 0 {
		t.Fatalf("dropped %d credits %d, want 1 0", res.Dropped, res.Credits)
	}
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateDropped, gateway.CodeNoConsent)
	ds, err := r.st.Decisions(t.Context(), r.p.Account, res.Messages[0].ID)
	must(t, err)
	if len(ds) != 1 || ds[0].Verdict != "drop" || ds[0].Rule != "no_consent" {
		t.Errorf("decisions = %+v, want one drop by no_consent", ds)
	}
	r.verify()
}

func TestRoadRefusedAndRetried(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	first := true
	r.carrier.answer = func(int) dispatch.Answer {
		if first {
			first = false
			return dispatch.Answer{Verdict: dispatch.TryLater}
		}
		return dispatch.Answer{Verdict: dispatch.Refused, Err: "ESME_RINVDSTADR"}
	}
	res := r.submit(ayse)
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateQueued, gateway.CodeThrottled)
	r.verify()
	r.advance(2 * time.Second)
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateRejected, gateway.CodeOperatorRejected)
	if ended := r.journal.list(); !slices.Equal(ended, []gateway.State{gateway.StateRejected}) {
		t.Errorf("the journal says it ended as %v, want rejected once", ended)
	}
	if got := r.credits(); got != 1000 {
		t.Errorf("credits = %d, want 1000", got)
	}
	r.verify()
}

func TestRoadDoubt(t *testing.T) {
	for _, c := range []struct {
		policy string
		want   gateway.State
		sent   int
	}{{"", gateway.StateSent, 2}, {"report", gateway.StateUnknown, 1}} {
		r := newRoad(t, gateway.AccountPolicy{OnDoubt: c.policy})
		r.carrier.answer = func(n int) dispatch.Answer {
			if n == 1 {
				return dispatch.Answer{Verdict: dispatch.Doubt}
			}
			return dispatch.Answer{Verdict: dispatch.Taken, ID: "x"}
		}
		res := r.submit(ayse)
		r.pump()
		r.pump()
		st, _ := r.state(res.Messages[0].ID)
		if st != c.want || len(r.carrier.sent) != c.sent {
			t.Errorf("policy %q: state %s after %d hand-offs, want %s after %d", c.policy, st, len(r.carrier.sent), c.want, c.sent)
		}
		r.verify()
	}
}

func TestRoadCarrierDown(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	r.carrier.window = 0
	res := r.submit(ayse, veli)
	r.pump()
	if len(r.carrier.sent) != 0 {
		t.Fatalf("operator got %v while down", r.carrier.sent)
	}
	r.verify()
	r.carrier.window = 10
	r.advance(5 * time.Second)
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateSent, "")
	r.want(res.Messages[1].ID, gateway.StateSent, "")
	r.verify()
}

// An operator that goes down in the middle of a chunk gets nothing more; what had not left waits, and leaves once when it is back.
func TestRoadCarrierGoesDown(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	const n, before = 60, 5
	r.carrier.onSend = func(sent int) {
		if sent == before {
			r.carrier.setWindow(0)
		}
	}
	var to []string
	for i := range n {
		to = append(to, fmt.Sprintf("+9053210000%02d", i))
	}
	res := r.submit(to...)
	r.pump()
	if got := r.carrier.count(); got != before {
		t.Errorf("operator got %d messages, want %d", got, before)
	}
	sent := 0
	for _, m := range res.Messages {
		switch st, code := r.state(m.ID); {
		case st == gateway.StateSent:
			sent++
		case st != gateway.StateHeld || code != gateway.CodeOperatorDown:
			t.Errorf("%s is %s (%s) while the operator is down", m.ID, st, code)
		}
	}
	if sent != before {
		t.Errorf("%d messages are sent, want %d", sent, before)
	}
	r.verify()
	r.carrier.onSend = nil
	r.carrier.setWindow(10)
	for range 5 {
		r.advance(10 * time.Second)
		r.pump()
	}
	if got := r.carrier.count(); got != n {
		t.Errorf("operator got %d messages in all, want %d", got, n)
	}
	for _, m := range res.Messages {
		r.want(m.ID, gateway.StateSent, "")
	}
	r.verify()
}

func TestRoadQuietHours(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	r.now = time.Date(2026, 3, 4, 22, 0, 0, 0, iys.Istanbul)
	res := r.submit(ayse)
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateHeld, gateway.CodeQuietHours)
	r.verify()
	r.now = time.Date(2026, 3, 5, 8, 0, 0, 1, iys.Istanbul)
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateSent, "")
	r.verify()
}

func TestRoadCancelPauseExpire(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	ctx := t.Context()
	a := r.submit(ayse, veli)
	n, err := r.st.CancelBatch(ctx, r.p.Account, a.Batch)
	must(t, err)
	if n != 2 {
		t.Errorf("cancelled %d, want 2", n)
	}
	b := r.submit(ayse)
	must(t, r.st.PauseBatch(ctx, r.p.Account, b.Batch))
	c := r.submit(veli)
	must(t, r.st.PauseBatch(ctx, r.p.Account, c.Batch))
	r.pump()
	r.want(a.Messages[0].ID, gateway.StateCancelled, gateway.CodeCancelled)
	r.want(b.Messages[0].ID, gateway.StateHeld, gateway.CodePaused)
	r.verify()
	must(t, r.st.ResumeBatch(ctx, r.p.Account, b.Batch))
	r.pump()
	r.want(b.Messages[0].ID, gateway.StateSent, "")
	r.advance(25 * time.Hour)
	r.pump()
	r.want(c.Messages[0].ID, gateway.StateExpired, gateway.CodeExpired)
	if got := r.credits(); got != 999 {
		t.Errorf("credits = %d, want 999", got)
	}
	if err := r.st.CancelMessage(ctx, r.p.Account, b.Messages[0].ID); err == nil {
		t.Error("a message that has left was cancelled")
	}
	r.verify()
}

// A crash between intent and outcome: the next start finds the open intent and hands off again.
func TestRoadOpenIntentAfterCrash(t *testing.T) {
	r := newRoad(t, gateway.AccountPolicy{})
	res := r.submit(ayse)
	ok, err := r.st.OpenIntents(t.Context(), []gateway.Intent{{Message: res.Messages[0].ID, Operator: "op1", Segments: 1}})
	must(t, err)
	if !ok[0] {
		t.Fatal("intent refused")
	}
	r.pump()
	r.want(res.Messages[0].ID, gateway.StateSent, "")
	r.verify()
}
