package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/public"
	"izinli/gateway/smpptest"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// Bounds of a storm.
const (
	reserve   = 64 << 20 // as openStore sets it
	diskSize  = 2 << 30
	mailShare = 5 // of so many people one has a mail address, too
	// As in life İYS's listing does not show what has just happened: until then only a push tells.
	pullEvery  = 10 * time.Second
	changesLag = 30 * time.Second
	// restWithin is how long what is left after the last fault may take.
	restWithin = 3 * time.Minute
)

// Storm is a long run under faults of all kinds, in random order.
type Storm struct {
	Faults int
	Seed   uint64        // 0: at random; printed
	Calm   time.Duration // at most so long between recovery and the next fault; default 2 s
	People int           // default 20 000
	Only   string        // faults whose name contains it; empty: all
	Counts bool          // it is one that counts, and must meet the terms of those
	Kinds  []string      // exactly these, in this order, in place of random ones; Faults and Only are not used then
	// RecoverWithin is how soon after a fault customers must be answered and messages flow again; default 30 s.
	RecoverWithin time.Duration
	// InFlight is how long a message may be on its way between our append and its peer's read: what is read later than this after an
	// acknowledged refusal is a leak; default 1 s.
	InFlight time.Duration
}

// storm is one at work.
type storm struct {
	Storm
	t       *testing.T
	s       *stage.Stage
	ops     []*smpptest.Server
	hop     *nextHop
	w       *witness // of short messages
	mails   *witness
	pushed  *pushes
	traffic *traffic
	redis   *redisServer
	gw      *process
	ctx     context.Context
	data    string
	machine stage.Machine
	mount   string // the size-limited file system; empty: could not be mounted
	credits int64

	receipts *receipts
	troubles troubles // of the links to operators and customers
	cuts     troubles // of those to the smarthost

	kinds  map[string]int
	links  int // how often open intents towards operators may have been left in doubt
	posts  int // and towards the smarthost
	deaths int // of the full disk
}

// RunStorm runs it and audits from outside what became of everything.
func RunStorm(t *testing.T, plan Storm) {
	t.Helper()
	if plan.Seed == 0 {
		plan.Seed = rand.Uint64()
	}
	if len(plan.Kinds) > 0 {
		plan.Faults = len(plan.Kinds)
	}
	if plan.Calm == 0 {
		plan.Calm = 2 * time.Second
	}
	if plan.People == 0 {
		plan.People = 20_000
	}
	if plan.RecoverWithin == 0 {
		plan.RecoverWithin = 30 * time.Second
	}
	if plan.InFlight == 0 {
		plan.InFlight = time.Second
	}
	t.Logf("seed %d", plan.Seed)
	s := &storm{Storm: plan, t: t, kinds: map[string]int{}, receipts: &receipts{said: map[gateway.MessageID][]receipt{}},
		troubles: troubles{margin: max(answerLost, plan.InFlight)}, cuts: troubles{margin: max(answerLost, plan.InFlight)}}
	s.setUp()
	var cancel context.CancelFunc
	s.ctx, cancel = context.WithCancel(context.WithoutCancel(t.Context()))
	s.startGateway()
	t.Cleanup(func() {
		cancel()
		s.traffic.wg.Wait()
		s.gw.kill()
	})
	began := time.Now()
	s.traffic.run(s.ctx)
	s.traffic.wg.Go(func() { s.s.IYS.RunPush(s.ctx, pushEvery) })
	s.blow()
	raged := time.Since(began)
	s.calmDown()
	cancel()
	s.traffic.wg.Wait()
	s.audit(raged)
}

// setUp makes two operators, one for when the other is away, a smarthost, people, an administrator, and a disk that can be filled.
func (s *storm) setUp() {
	t := s.t
	s.w, s.mails = newWitness(handsets(s.People), "message", s.InFlight), newWitness(mailboxes(s.People/mailShare), "mail", s.InFlight)
	operator := smpptest.Config{Latency: 20 * time.Millisecond, Watch: s.w.watch, OnDrop: s.cut, Receipts: smpptest.Receipts{Delay: 50 * time.Millisecond}}
	s.data = t.TempDir()
	s.mountDisk()
	s.machine = stage.DescribeMachine(s.data)
	s.traffic = &traffic{w: s.w, receipts: s.receipts, seed: s.Seed, ending: make(chan struct{}), answers: map[int]int{}}
	mail := &post{t: s.traffic, w: s.mails, clicks: make(chan click, 16), failed: map[int]bool{}}
	s.traffic.mail = mail
	s.hop = newNextHop(mail.received)
	s.s = stage.New(t, stage.WithOperator(operator), stage.WithSink(s.hop.cfg), s.outside)
	s.hop.sink = s.s.Sink
	s.pushed.iys, s.pushed.brand = s.s.IYS, s.s.Seeds.Brand
	second, err := smpptest.Start(operator)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Close)
	s.ops = []*smpptest.Server{s.s.Operator, second}
	s.administer(second.Addr())
	s.consents()
	s.customers()
	s.s.Run()
	s.connect()
	s.credits = s.s.Credits()
	s.s.Leave()
	s.redis = startRedis(t)
}

// outside is where the world reaches the gateway, wherever its process listens.
func (s *storm) outside(c *configs.Config, o *assembly.PlaygroundOptions) {
	s.pushed = newPushes()
	s.t.Cleanup(s.pushed.proxy.Close)
	s.pushed.witness["MESAJ"], s.pushed.witness["EPOSTA"] = s.w, s.mails
	c.Data, c.PublicURL, c.Listen.Panel = s.data, s.pushed.proxy.URL, "127.0.0.1:0"
	o.IYS.ChangesLag = changesLag
	o.IYS.Push = iystest.PushConfig{Transport: s.pushed.proxy.Client().Transport, Wait: 200 * time.Millisecond, Twice: true, Reverse: true}
}

// consents tells İYS who agreed.
func (s *storm) consents() {
	at := time.Now().Add(-48 * time.Hour)
	for _, p := range []*people{s.w.people, s.mails.people} {
		for i := range uint32(p.n) {
			if p.agreed(i) {
				s.s.IYS.Put(iystest.Movement{IYSCode: s.s.Seeds.Brand, BrandCode: s.s.Seeds.Brand, Recipient: p.address(i), RecipientType: "BIREYSEL",
					Type: p.channel, Status: "ONAY", Source: "HS_WEB", ConsentDate: at, CreationDate: at.Add(time.Duration(i) * time.Second)})
			}
		}
	}
}

// customers gives the customers what they need to know.
func (s *storm) customers() {
	t, seeds := s.traffic, &s.s.Seeds
	t.line = line{tb: s.t, system: seeds.SystemID, password: seeds.Password}
	t.api, t.brand, t.sender, t.reply = stage.NewAPI(s.t, "", seeds.APIKey), seeds.Brand, seeds.Sender, seeds.ReplyNumber
	t.handset, t.pushed, t.mail.domain = s.s.Operator.SendMOThen, s.pushed, seeds.Mail.Domain
	var err error
	if t.clerk, err = newClerk(t, seeds.Account); err != nil {
		s.t.Fatal(err)
	}
}

// connect has İYS push to us and the administrator sign up, while the gateway runs in this process.
func (s *storm) connect() {
	ctx := s.t.Context()
	s.pushed.to(s.s.Server.Addrs["public"])
	for _, ch := range []iys.Channel{iys.ChannelSMS, iys.ChannelEmail} {
		if _, err := s.s.Server.Pushes.Register(ctx, s.s.Seeds.Brand, ch, s.pushed.proxy.URL+public.PushPath); err != nil {
			s.t.Fatal(err)
		}
	}
	s.traffic.addrs = s.s.Server.Addrs
	link, err := s.s.Server.Panel.SetupLink(ctx)
	if err == nil {
		err = s.traffic.clerk.enrol(ctx, link)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// administer adds the second operator behind the first, and credits for all that may come.
func (s *storm) administer(addr string) {
	a, ctx := s.s.Server.Admin, s.t.Context()
	_, err := a.PutOperator(ctx, desk.OperatorInput{Operator: gateway.Operator{Name: "second", Addr: addr, SystemID: "izinli", Binds: binds,
		Window: window, National: true}, Password: "secret"})
	if err == nil {
		_, err = a.PutRoute(ctx, gateway.Route{ID: "default", Operators: []gateway.RouteStep{{Operator: s.s.Seeds.OperatorName}, {Operator: "second", Rank: 1}}})
	}
	if err == nil {
		_, err = a.AddCredits(ctx, desk.CreditEntry{Account: s.s.Seeds.Account, Credits: 10_000_000, Note: "storm"})
	}
	for _, peer := range []gateway.RelayPeer{
		{Name: "shop", Credential: s.s.Seeds.Mail.MixedUser, TrustHeaders: true, CIDRs: []netip.Prefix{netip.MustParsePrefix(shopHost + "/32")}},
		{Name: "newsletter", Credential: s.s.Seeds.Mail.User, CIDRs: []netip.Prefix{netip.MustParsePrefix(newsletterHost + "/32")}},
	} {
		if err == nil {
			_, err = a.PutRelayPeer(ctx, peer)
		}
	}
	if err == nil {
		_, err = a.PutSmarthost(ctx, desk.SmarthostInput{Smarthost: gateway.Smarthost{Name: s.s.Seeds.Mail.Smarthost, Addr: s.s.Sink.Addr(), TLS: "off",
			MaxConns: mailConns}})
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// mountDisk puts the data on a file system of limited size. That needs root; without it the disk faults are left out, loudly.
func (s *storm) mountDisk() {
	err := syscall.Mount("tmpfs", s.data, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize))
	if err != nil {
		s.t.Logf("*** NO DISK FAULTS: a file system of limited size cannot be mounted here (%v) ***", err)
		return
	}
	s.mount = s.data
	s.t.Cleanup(func() {
		if err := syscall.Unmount(s.mount, syscall.MNT_DETACH); err != nil {
			s.t.Errorf("unmount: %v", err)
		}
	})
}

// ahead is how far the gateway's clock is ahead of the wall's.
func (s *storm) ahead() time.Duration { return s.traffic.clock() }

func (s *storm) setAhead(d time.Duration) { s.traffic.ahead.Store(int64(d)) }

func (s *storm) env() []string {
	return []string{envClock + "=" + s.ahead().String(), envPublic + "=" + s.pushed.proxy.URL, envPull + "=" + pullEvery.String()}
}

func (s *storm) startGateway() {
	s.t.Helper()
	s.gw = start(s.t, s.data, s.redis.url(), s.env()...)
	s.pushed.to(s.gw.addrs["public"])
	s.traffic.to(s.ctx, s.gw.addrs)
}

// died reports whether the gateway ended by itself.
func (s *storm) died() bool {
	select {
	case err := <-s.gw.ended:
		s.gw.ended <- err
		return true
	default:
		return false
	}
}

// blow strikes again and again; after each fault the gateway has to recover.
func (s *storm) blow() {
	rng := s.order()
	first := s.deal(rng)
	for i := range s.Faults {
		f := s.next(i, rng, first)
		before, began := s.count(), time.Now()
		if err := f.strike(s, rng); err != nil {
			s.t.Fatalf("fault %d, %s: %v\n%s", i+1, f.name, err, s.gw.log)
		}
		if f.link > 0 {
			s.troubles.add(began, time.Now())
		}
		if f.post > 0 {
			s.cuts.add(began, time.Now())
		}
		s.kinds[f.name]++
		s.links += f.link
		s.posts += f.post
		s.recovered(i+1, f.name, before)
		s.wait(time.Duration(rng.Int64N(int64(s.Calm))))
		s.hop.sink.Reset() // the witness remembers
		if i%20 == 19 {
			s.t.Logf("%d faults: %+v", i+1, s.count())
		}
		if s.t.Failed() {
			return
		}
	}
}

// standing is where both kinds of traffic are.
type standing struct{ Messages, Mails counts }

func (s *storm) count() standing { return standing{s.w.counts(), s.mails.counts()} }

// flowed reports whether both are handed in and out again.
func (now standing) flowed(before standing) bool {
	return now.Messages.Yes >= before.Messages.Yes+20 && now.Messages.Seen >= before.Messages.Seen+20 &&
		now.Mails.Yes >= before.Mails.Yes+5 && now.Mails.Seen >= before.Mails.Seen+5
}

// recovered waits until customers are answered again and messages and mails flow again.
func (s *storm) recovered(i int, name string, before standing) {
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		now := s.count()
		switch {
		case s.died():
			s.t.Fatalf("fault %d, %s: the gateway ended by itself\n%s", i, name, s.gw.log)
		case time.Since(began) > s.RecoverWithin:
			s.t.Fatalf("fault %d, %s: not recovered after %s: before %+v, now %+v\n%s", i, name, s.RecoverWithin, before, now, s.gw.dump())
		}
		if now.flowed(before) {
			break
		}
		<-tick.C
	}
	if took := time.Since(began); took > 5*time.Second {
		s.t.Logf("fault %d, %s: recovered after %s", i, name, took.Round(100*time.Millisecond))
	}
}

// calmDown ends the customers and waits until what they handed in has come to rest. Between looks the gateway works: the store
// can be read only while it is down. Mails that a server asked to try later wait by a schedule of minutes, so the clock runs ahead.
func (s *storm) calmDown() {
	for _, op := range s.ops {
		op.DropAfter(0)
	}
	close(s.traffic.ending)
	stage.UntilWithin(s.t, restWithin, "all customers to be answered", func() error {
		if c := s.count(); c.Messages.Open+c.Mails.Open > 0 || s.traffic.busy.Load() > 0 {
			return fmt.Errorf("%+v, %d customers busy\n%s", c, s.traffic.busy.Load(), s.gw.log)
		}
		return nil
	})
	deadline := time.Now().Add(2 * restWithin)
	for {
		s.quiet()
		untold := s.telling()
		began := time.Now()
		s.gw.stop(s.t)
		s.troubles.add(began, time.Now())
		s.cuts.add(began, time.Now())
		left := s.left()
		left.untold = untold
		if left == (remains{}) || time.Now().After(deadline) || s.t.Failed() {
			return
		}
		log := s.gw.log.String()
		s.t.Logf("not at rest yet: %+v; the gateway's last words:\n%s", left, log[max(0, len(log)-2000):])
		if s.ahead() < time.Hour { // below what makes consents stale
			s.setAhead(s.ahead() + 12*time.Minute)
		}
		s.startGateway()
		s.wait(5 * time.Second)
	}
}

// telling waits until İYS knows of every refusal, and returns how many it does not. What a gateway entered while its clock was ahead
// is due by a clock that is not.
func (s *storm) telling() (untold int) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); ; <-tick.C {
		untold = len(s.untold(s.w)) + len(s.untold(s.mails))
		if untold == 0 || time.Since(began) > restWithin {
			return untold
		}
	}
}

// quiet waits until operators and smarthost have got nothing for a while.
func (s *storm) quiet() {
	seen := func() int { c := s.count(); return c.Messages.Seen + c.Mails.Seen }
	last, since := seen(), time.Now()
	stage.UntilWithin(s.t, restWithin, "operators and smarthost to fall silent", func() error {
		if now := seen(); now != last {
			last, since = now, time.Now()
		}
		if time.Since(since) < 4*time.Second {
			return fmt.Errorf("%d seen", last)
		}
		return nil
	})
}

// open runs do on the store the last process left.
func (s *storm) open(do func(*store.Store)) {
	st, err := openStore(s.data, time.Now)
	if err != nil {
		s.t.Fatal(err)
	}
	do(st)
	if err := st.Close(); err != nil {
		s.t.Errorf("close: %v", err)
	}
}

// remains is what has not come to rest.
type remains struct{ messages, mails, notices, untold, unheard int }

func (s *storm) left() (left remains) {
	s.open(func(st *store.Store) {
		r, err := st.Verify(context.WithoutCancel(s.t.Context()))
		if err != nil {
			s.t.Fatal(err)
		}
		b := s.readBooks(st, r)
		left.messages, left.mails = unfinished(b.messages, gateway.StateDelivered), unfinished(b.mails, gateway.StateSent)
		owed, err := st.Notices(context.WithoutCancel(s.t.Context()), gateway.MessageID{}, 500)
		if err != nil {
			s.t.Fatal(err)
		}
		left.notices = len(owed)
		left.unheard = len(s.lifted(st, s.w)) + len(s.lifted(st, s.mails))
	})
	return left
}

// unfinished counts what is neither final nor as far as done.
func unfinished(states map[string]int, done gateway.State) (n int) {
	for name, k := range states {
		if st := gateway.ParseState(name); !st.Final() && st != done {
			n += k
		}
	}
	return n
}
