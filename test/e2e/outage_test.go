//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/gateway/dispatch"
	"izinli/gateway/intake"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
	"izinli/iys/mirror"
)

// outage is a gateway without sockets on fake time: everything from acceptance to hand-off, the traffic with İYS included, is the real
// thing; the operator takes whatever comes, and the queue is a look at what is due.
type outage struct {
	t      *testing.T
	sim    *iystest.Sim
	st     *store.Store
	mirror *mirror.Mirror
	x      *exchange.Exchange
	desk   *consent.Desk
	in     *intake.Intake
	out    *dispatch.Dispatcher
	op     *taker
	api    *iysapi.Client
	who    *gateway.Principal
	wait   func() // ends the exchange
}

const outageBrand = iystest.SeedIYSCode

// Brand and Brands make it the exchange's directory.
func (o *outage) Brand(_ context.Context, code string) (exchange.Brand, bool, error) {
	return exchange.Brand{Brand: iysapi.Brand{IYSCode: outageBrand, BrandCode: outageBrand}, API: o.api,
		Modes: map[iys.Channel]iys.Mode{iys.ChannelSMS: iys.ModePartner}}, code == outageBrand, nil
}

func (o *outage) Brands(ctx context.Context) ([]exchange.Brand, error) {
	b, _, err := o.Brand(ctx, outageBrand)
	return []exchange.Brand{b}, err
}

// Moved makes it the exchange's listener.
func (o *outage) Moved(ctx context.Context, moves []iys.Consent) error {
	return o.desk.Moved(ctx, moves)
}

// taker is an operator that takes everything.
type taker struct {
	mu    sync.Mutex
	texts []string // text and address, in the order of hand-off; guarded by mu
	ready func()
}

func (c *taker) Name() string              { return "op1" }
func (c *taker) Window() int               { return 1000 }
func (c *taker) MaxSegments() int          { return 10 }
func (c *taker) NextTry() time.Time        { return time.Time{} }
func (c *taker) OnReady(f func())          { c.ready = f }
func (c *taker) Profile() dispatch.Profile { return dispatch.Profile{National: true} }
func (c *taker) Cancel()                   {}

func (c *taker) TryReserve(int, gateway.Lane) (dispatch.Slot, bool) { return c, true }
func (c *taker) InShare(int, gateway.Lane) bool                     { return true }

func (c *taker) Send(m *dispatch.Outgoing, answered func(int, dispatch.Answer)) {
	c.mu.Lock()
	c.texts = append(c.texts, m.Batch.Text+" "+m.Recipient.Address)
	n := len(c.texts)
	c.mu.Unlock()
	for _, seg := range m.Sending {
		answered(seg, dispatch.Answer{Verdict: dispatch.Taken, ID: fmt.Sprintf("%d-%d", n, seg)})
	}
}

func (c *taker) left() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.texts)
}

func newOutage(t *testing.T) *outage {
	t.Helper()
	ctx := t.Context()
	o := &outage{t: t, sim: iystest.New(iystest.Config{}), mirror: mirror.New(), op: &taker{}}
	o.sim.Seed()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	o.api, err = iysapi.New(iysapi.Config{URL: "http://127.0.0.1:1", Username: iystest.SeedPartner, Password: iystest.SeedPassword, HTTP: o.sim.Transport()})
	must(err)
	o.st, err = store.Open(store.Options{InMemory: true, Gather: -1})
	must(err)
	acct := &gateway.Account{Name: "Örnek", IYSCode: 100001}
	must(o.st.PutAccount(ctx, acct))
	must(o.st.PutBrand(ctx, &gateway.Brand{Code: outageBrand, Account: acct.ID, SMS: gateway.BrandMode{Mode: "partner"}}))
	must(o.st.PutSender(ctx, &gateway.Sender{Name: "ORNEK", Account: acct.ID, Channel: "sms", Brand: outageBrand, Approved: true}))
	must(o.st.PutOperator(ctx, &gateway.Operator{Name: "op1", National: true}))
	must(o.st.PutRoute(ctx, &gateway.Route{ID: "r", Operators: []gateway.RouteStep{{Operator: "op1"}}}))
	_, err = o.st.AddCredits(ctx, acct.ID, 10_000, "test")
	must(err)
	must(o.mirror.Load(ctx, o.st))
	o.x, err = exchange.New(exchange.Config{Store: o.st, Mirror: o.mirror, Directory: o, Listener: o})
	must(err)
	office := consent.New(consent.Config{Records: o.st}, o.st, o.mirror, o.x)
	o.desk = consent.NewDesk(office, o.st, o.x)
	o.in = intake.New(intake.Config{}, o.st, office)
	o.out = dispatch.New(dispatch.Config{}, o.st, office)
	o.out.SetCarrier(o.op)
	all := []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP}
	o.who = &gateway.Principal{Account: acct.ID, Credential: gateway.Credential{ID: "k", Account: acct.ID, Classes: all}}
	run, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { o.x.Run(run) })
	o.wait = func() { cancel(); wg.Wait() }
	return o
}

// close ends everything and proves that the store is whole.
func (o *outage) close() {
	o.wait()
	o.x.Close()
	r, err := o.st.Verify(context.WithoutCancel(o.t.Context()))
	if err != nil {
		o.t.Error(err)
	} else if len(r.Problems) > 0 {
		o.t.Errorf("verify: %v", r.Problems)
	}
	if err := o.st.Close(); err != nil {
		o.t.Error(err)
	}
}

func subscriber(n int) string { return fmt.Sprintf("+90533%07d", n) }

// submit hands one message in and returns its id.
func (o *outage) submit(class, text, to string) gateway.MessageID {
	o.t.Helper()
	s := &gateway.Submission{Principal: o.who, Door: gateway.DoorHTTP, Class: class, From: "ORNEK", Text: text, To: []gateway.Destination{{Address: to}}}
	switch class {
	case gateway.ClassTransactional:
		s.Reason = "order"
	case gateway.ClassCommercial:
		s.ValidFor = 72 * time.Hour
	}
	res, err := o.in.Submit(o.t.Context(), s)
	if err != nil || len(res.Messages) != 1 {
		o.t.Fatalf("%s %s: %+v %v", class, text, res, err)
	}
	return res.Messages[0].ID
}

// pump brings on their way what is due.
func (o *outage) pump() {
	o.t.Helper()
	for lane := range gateway.Lane(gateway.Lanes) {
		o.pumpLane(lane)
	}
}

func (o *outage) pumpLane(lane gateway.Lane) {
	o.t.Helper()
	<-time.After(2 * time.Millisecond) // what was accepted in this millisecond is due in the next
	refs, _, err := o.st.Due(o.t.Context(), lane, o.who.Account, nil, 1000)
	if err != nil {
		o.t.Fatal(err)
	}
	if len(refs) == 0 {
		return
	}
	if _, err := o.out.Process(o.t.Context(), refs); err != nil {
		o.t.Fatal(err)
	}
	if err := o.out.Wait(o.t.Context()); err != nil {
		o.t.Fatal(err)
	}
}

// pass lets time go by, with the queue at work.
func (o *outage) pass(d, step time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		<-time.After(min(step, time.Until(end)))
		o.pump()
	}
}

func (o *outage) state(id gateway.MessageID) (gateway.State, gateway.Code) {
	o.t.Helper()
	m, err := o.st.Message(o.t.Context(), id.Account, id)
	if err != nil {
		o.t.Fatal(err)
	}
	return m.State, m.Code
}

// TestIYSDownForAWeek: real messages through a week without İYS. Commercial ones hold by themselves once the freshness limit has
// passed and wait as long as they are valid; transactional ones and codes leave at once all week. When İYS is back, what is still
// valid goes, save to who has refused meanwhile, and what the gateway owes İYS arrives in the order in which people said it.
//
// It takes a minute of processor time, which the database's own clocks use up in a week; exchange.TestDownForAWeek shows the same for
// decisions and the outbox alone, in a second.
func TestIYSDownForAWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		<-time.After(time.Until(time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)))
		o := newOutage(t)
		defer o.close()
		const reader, leaver, wavering = 1, 2, 3
		for _, n := range []int{reader, leaver, wavering} {
			o.sim.Citizen(outageBrand, "MESAJ", "BIREYSEL", subscriber(n), "ONAY", "IYS_WEB")
		}
		o.pass(3*time.Hour, 15*time.Minute)
		credits := func() int64 {
			b, err := o.st.Balance(t.Context(), o.who.Account)
			if err != nil {
				t.Fatal(err)
			}
			return b.Credits
		}

		o.sim.SetDown(true)
		down, funds := time.Now(), credits()
		type sent struct {
			id   gateway.MessageID
			text string
			at   time.Time
		}
		var campaigns []sent
		var firstHeld time.Time
		transactional, early := 0, 0
		for hour := range 7 * 24 {
			if hour%4 == 0 {
				before := len(o.op.left())
				o.submit(gateway.ClassTransactional, fmt.Sprintf("Siparis %d", hour), subscriber(leaver))
				o.submit(gateway.ClassOTP, fmt.Sprintf("Kod %d", hour), subscriber(99))
				o.pumpLane(gateway.LaneOTP)
				o.pumpLane(gateway.LaneTransactional)
				if got := len(o.op.left()) - before; got != 2 {
					t.Fatalf("hour %d: %d of the order and the code left at once", hour, got)
				}
				transactional += 2
			}
			if hour < 8 || hour%8 == 1 {
				text := fmt.Sprintf("Kampanya %d", hour)
				id := o.submit(gateway.ClassCommercial, text, subscriber(reader))
				campaigns = append(campaigns, sent{id, text, time.Now()})
				o.pump()
				switch st, code := o.state(id); {
				case st == gateway.StateSent && firstHeld.IsZero():
					early++
				case !st.Final() && st != gateway.StateSent:
					if firstHeld.IsZero() {
						firstHeld = time.Now()
					}
				default:
					t.Fatalf("hour %d: a campaign is %s (%s) while İYS is down", hour, st, code)
				}
			}
			switch hour {
			case 150: // İYS hears of it before we do
				o.sim.Citizen(outageBrand, "MESAJ", "BIREYSEL", subscriber(leaver), "RET", "")
			case 155: // said to us: it stops at once, and İYS has to be told
				if err := o.desk.OptOut(t.Context(), gateway.OptOut{Account: o.who.Account, Brand: outageBrand, Channel: "sms", Address: subscriber(wavering), Route: "sms"}); err != nil {
					t.Fatal(err)
				}
			case 160:
				res, err := o.desk.Add(t.Context(), o.who, []gateway.Consent{{Brand: outageBrand, Channel: "MESAJ", Address: subscriber(wavering), RecipientType: "BIREYSEL",
					Status: "ONAY", Source: "HS_WEB", ConsentDate: time.Now().Truncate(time.Second), Evidence: "form 3", OverrideBlock: true}})
				if err != nil || res[0].Code != "" {
					t.Fatalf("agreeing again: %+v %v", res, err)
				}
			}
			o.pass(time.Until(down.Add(time.Duration(hour+1)*time.Hour)), 30*time.Minute)
		}
		if held := firstHeld.Sub(down); held < iys.DefaultFreshness-time.Hour || held > iys.DefaultFreshness+2*time.Hour {
			t.Errorf("held after %v, want about the freshness limit, %v", held, iys.DefaultFreshness)
		}
		toLeaver := o.submit(gateway.ClassCommercial, "Son kampanya", subscriber(leaver))
		if n := len(o.op.left()) - transactional; n != early || early < 2 {
			t.Errorf("%d campaigns left in the week, %d before the limit; want two or more, and none after it", n, early)
		}

		o.sim.SetDown(false)
		back := time.Now()
		o.pass(15*time.Minute, time.Minute)
		gone, expired := 0, 0
		for _, c := range campaigns {
			st, code := o.state(c.id)
			valid := c.at.Add(72 * time.Hour).After(back)
			switch {
			case st == gateway.StateSent, st == gateway.StateUnknown && c.at.Before(firstHeld): // no receipt came for three days
				gone++
			case st == gateway.StateExpired && !valid && code == gateway.CodeConsentUnavailable:
				expired++
			default:
				t.Errorf("%s of %v: %s (%s)", c.text, c.at.Sub(down), st, code)
			}
		}
		if gone+expired != len(campaigns) || gone-early < 8 || expired < 8 {
			t.Errorf("of %d campaigns %d left and %d expired", len(campaigns), gone, expired)
		}
		if st, code := o.state(toLeaver); st != gateway.StateDropped {
			t.Errorf("a campaign to one who refused meanwhile is %s (%s), want dropped", st, code)
		}
		if spent := funds - credits(); spent != int64(transactional+gone) {
			t.Errorf("%d credits were spent, want one for each of %d messages that left", spent, transactional+gone)
		}
		o.pass(time.Hour, 10*time.Minute) // batches are asked for
		var order []string
		for _, m := range o.sim.Movements() {
			if m.Recipient == subscriber(wavering) && m.RecipientType == "BIREYSEL" {
				order = append(order, m.Status)
			}
		}
		if fmt.Sprint(order) != "[ONAY RET ONAY]" {
			t.Errorf("İYS heard %v of one address, want what was said in its order", order)
		}
		o.submit(gateway.ClassCommercial, "Yeniden", subscriber(wavering))
		o.pass(time.Minute, 10*time.Second)
		if !slices.Contains(o.op.left(), "Yeniden "+subscriber(wavering)) {
			t.Error("one who agreed again gets nothing")
		}
		t.Logf("held %v after İYS went away; back: %d campaigns left, %d had expired; %d orders and codes left at once", firstHeld.Sub(down).Round(time.Minute), gone, expired, transactional)
	})
}
