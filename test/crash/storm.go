package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smpptest"
	"izinli/gateway/store"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// Bounds of a storm.
const (
	reserve  = 64 << 20 // as openStore sets it
	diskSize = 2 << 30
	// recoverWithin is how soon after a fault customers must be answered and messages flow again.
	recoverWithin = 30 * time.Second
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
}

// storm is one at work.
type storm struct {
	Storm
	t       *testing.T
	s       *stage.Stage
	ops     []*smpptest.Server
	w       *witness
	traffic *traffic
	redis   *redisServer
	gw      *process
	ctx     context.Context
	data    string
	mount   string // the size-limited file system; empty: could not be mounted
	ahead   time.Duration
	credits int64

	kinds  map[string]int
	links  int // how often open intents may have been left in doubt
	deaths int // of the full disk
}

// RunStorm runs it and audits from outside what became of everything.
func RunStorm(t *testing.T, plan Storm) {
	t.Helper()
	if plan.Seed == 0 {
		plan.Seed = rand.Uint64()
	}
	if plan.Calm == 0 {
		plan.Calm = 2 * time.Second
	}
	if plan.People == 0 {
		plan.People = 20_000
	}
	t.Logf("seed %d", plan.Seed)
	s := &storm{Storm: plan, t: t, kinds: map[string]int{}}
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
	s.blow()
	raged := time.Since(began)
	s.calmDown()
	cancel()
	s.traffic.wg.Wait()
	s.audit(raged)
}

// setUp makes two operators, one for when the other is away, people, and a disk that can be filled.
func (s *storm) setUp() {
	t := s.t
	s.w = newWitness(&people{n: s.People})
	operator := smpptest.Config{Latency: 20 * time.Millisecond, Tap: s.w.tap, Receipts: smpptest.Receipts{Delay: 50 * time.Millisecond}}
	s.data = t.TempDir()
	s.mountDisk()
	s.s = stage.New(t, stage.WithOperator(operator), stage.WithConfig(func(c *configs.Config) { c.Data = s.data }))
	second, err := smpptest.Start(operator)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(second.Close)
	s.ops = []*smpptest.Server{s.s.Operator, second}
	s.administer(second.Addr())
	at := time.Now().Add(-48 * time.Hour)
	for i := range s.People {
		if s.w.people.agreed(uint32(i)) {
			s.s.IYS.Put(iystest.Movement{IYSCode: s.s.Seeds.Brand, BrandCode: s.s.Seeds.Brand, Recipient: number(i), RecipientType: "BIREYSEL",
				Type: "MESAJ", Status: "ONAY", Source: "HS_WEB", ConsentDate: at, CreationDate: at.Add(time.Duration(i) * time.Second)})
		}
	}
	s.s.Run()
	s.credits = s.s.Credits()
	s.s.Leave()
	s.redis = startRedis(t)
	s.traffic = &traffic{tb: t, w: s.w, api: stage.NewAPI(t, "", s.s.Seeds.APIKey), brand: s.s.Seeds.Brand, sender: s.s.Seeds.Sender,
		reply: s.s.Seeds.ReplyNumber, system: s.s.Seeds.SystemID, secret: s.s.Seeds.Password, handset: s.s.Operator.SendMO, seed: s.Seed,
		ending: make(chan struct{}), answers: map[int]int{}}
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

func (s *storm) env() []string { return []string{envClock + "=" + s.ahead.String()} }

func (s *storm) startGateway() {
	s.t.Helper()
	s.gw = start(s.t, s.data, s.redis.url(), s.env()...)
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
	rng := rand.New(rand.NewPCG(s.Seed, 99))
	for i := range s.Faults {
		f := s.draw(rng)
		before := s.w.counts()
		if err := f.strike(s, rng); err != nil {
			s.t.Fatalf("fault %d, %s: %v\n%s", i+1, f.name, err, s.gw.log)
		}
		s.kinds[f.name]++
		s.links += f.link
		s.recovered(i+1, f.name, before)
		s.wait(time.Duration(rng.Int64N(int64(s.Calm))))
		if i%20 == 19 {
			s.t.Logf("%d faults: %+v", i+1, s.w.counts())
		}
		if s.t.Failed() {
			return
		}
	}
}

func (s *storm) draw(rng *rand.Rand) *fault {
	for {
		total := 0
		for i := range faults {
			total += faults[i].weight
		}
		n := rng.IntN(total)
		for i := range faults {
			f := &faults[i]
			if n -= f.weight; n >= 0 {
				continue
			}
			if s.mount == "" && strings.HasPrefix(f.name, "disk") || !strings.Contains(f.name, s.Only) {
				break
			}
			return f
		}
	}
}

// recovered waits until customers are answered again and messages flow again.
func (s *storm) recovered(i int, name string, before counts) {
	began := time.Now()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		now := s.w.counts()
		switch {
		case s.died():
			s.t.Fatalf("fault %d, %s: the gateway ended by itself\n%s", i, name, s.gw.log)
		case time.Since(began) > recoverWithin:
			s.t.Fatalf("fault %d, %s: not recovered after %s: before %+v, now %+v\n%s", i, name, recoverWithin, before, now, s.gw.dump())
		}
		if now.Yes >= before.Yes+20 && now.Seen >= before.Seen+20 {
			break
		}
		<-tick.C
	}
	if took := time.Since(began); took > 5*time.Second {
		s.t.Logf("fault %d, %s: recovered after %s", i, name, took.Round(100*time.Millisecond))
	}
}

// calmDown ends the customers and waits until what they handed in has come to rest. Between looks the gateway works: the store
// can be read only while it is down.
func (s *storm) calmDown() {
	for _, op := range s.ops {
		op.DropAfter(0)
	}
	close(s.traffic.ending)
	stage.UntilWithin(s.t, restWithin, "all customers to be answered", func() error {
		if c := s.w.counts(); c.Open > 0 {
			return fmt.Errorf("%+v\n%s", c, s.gw.log)
		}
		return nil
	})
	deadline := time.Now().Add(restWithin)
	for {
		s.quiet()
		untold := len(s.untold())
		s.gw.stop(s.t)
		waiting := s.waiting()
		if waiting+untold == 0 || time.Now().After(deadline) || s.t.Failed() {
			return
		}
		log := s.gw.log.String()
		s.t.Logf("%d messages are not final yet, %d refusals have not reached İYS; the gateway's last words:\n%s", waiting, untold,
			log[max(0, len(log)-2000):])
		s.startGateway()
		s.wait(10 * time.Second)
	}
}

// quiet waits until the operators have got nothing for a while.
func (s *storm) quiet() {
	last, since := s.w.counts().Seen, time.Now()
	stage.UntilWithin(s.t, restWithin, "the operators to fall silent", func() error {
		if now := s.w.counts().Seen; now != last {
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

func (s *storm) waiting() (n int) {
	s.open(func(st *store.Store) {
		r, err := st.Verify(context.WithoutCancel(s.t.Context()))
		if err != nil {
			s.t.Fatal(err)
		}
		n = r.Waiting + r.States[gateway.StateSent.String()]
	})
	return n
}

// result is what a storm prints, as one line of JSON.
type result struct {
	Faults    int            `json:"faults"`
	Kinds     map[string]int `json:"kinds"`
	Seconds   int            `json:"seconds"`
	Seed      uint64         `json:"seed"`
	Messages  counts         `json:"messages"`
	States    map[string]int `json:"states"`
	OptOuts   int            `json:"optOuts"`
	Lost      int            `json:"lost"`
	Leaked    int            `json:"leaked"`
	InFlight  int            `json:"inFlightAtAcknowledgement"`
	Mischarge int64          `json:"chargedWrongly"`
	Repeats   int            `json:"repeats"`
	Bound     int            `json:"repeatBound"`
	Unknown   int            `json:"unknown"`
	HTTP      map[int]int    `json:"httpAnswersOtherThan2xx"`
	Restarts  int            `json:"restartsAfterFullDisk"`
}

func (s *storm) print(r *result) {
	line, err := json.Marshal(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("%s", line)
	if path := os.Getenv("TORTURE_RESULT"); path != "" {
		if err := os.WriteFile(path, append(line, '\n'), 0o644); err != nil {
			s.t.Error(err)
		}
	}
}
