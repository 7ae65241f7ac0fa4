package crash

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpptest"
	"izinli/gateway/store"
	"izinli/iys/iystest"
	"izinli/test/stage"
)

// Of the operator the playground binds to.
const (
	binds  = 2
	window = 100
)

// What each kill has to hit.
const (
	minBacklog = 1000 // accepted and not final
	minOpen    = window
)

// patience is for a whole part of the run: a machine with few cores may be slow.
const patience = 4 * time.Minute

// stillness is how long nothing may move before what is missing counts as lost.
const stillness = 20 * time.Second

// Story is one run.
type Story struct {
	Messages, Kills int
	Redis           bool          // a real Redis instead of the embedded queue, with FLUSHALL once
	Seed            uint64        // of the points of the kills; printed
	Within          time.Duration // how soon after its restart the gateway must hand messages to the operator again; default 5 s
}

// run is a story being told.
type run struct {
	Story
	t     *testing.T
	s     *stage.Stage
	load  *load
	redis *redisServer
	gw    *process
	ctx   context.Context // of the customers
	stuck bool            // something never came
}

// Run tells the story.
func Run(t *testing.T, st Story) {
	t.Helper()
	if st.Seed == 0 {
		st.Seed = rand.Uint64()
	}
	if st.Within == 0 {
		st.Within = 5 * time.Second
	}
	t.Logf("seed %d", st.Seed)
	r := &run{Story: st, t: t}
	r.setUp()
	var cancel context.CancelFunc
	r.ctx, cancel = context.WithCancel(context.WithoutCancel(t.Context()))
	r.startGateway()
	t.Cleanup(func() {
		cancel()
		r.load.wg.Wait()
		r.gw.kill()
	})
	r.load.run(r.ctx)
	rng := rand.New(rand.NewPCG(st.Seed, 0))
	part := st.Messages / (st.Kills + 1)
	for k := range st.Kills {
		if r.redis != nil && k == st.Kills/2 {
			r.flush()
		}
		r.killAt(k+1, part*k+part/4+rng.IntN(part/2))
	}
	r.finish()
	cancel()
	r.load.wg.Wait()
	r.gw.stop(t)
	r.audit()
}

// setUp makes an account, people who agreed, and an operator that takes its time; the gateway in this process then leaves.
func (r *run) setUp() {
	r.s = stage.New(r.t, stage.WithOperator(smpptest.Config{Latency: 60 * time.Millisecond, Dedupe: true,
		Receipts: smpptest.Receipts{Delay: 100 * time.Millisecond}}))
	at := time.Now().Add(-48 * time.Hour)
	for i := range r.Messages {
		r.s.IYS.Put(iystest.Movement{IYSCode: r.s.Seeds.Brand, BrandCode: r.s.Seeds.Brand, Recipient: number(uint32(i)), RecipientType: "BIREYSEL",
			Type: "MESAJ", Status: "ONAY", Source: "HS_WEB", ConsentDate: at, CreationDate: at.Add(time.Duration(i) * time.Second)})
	}
	r.s.Run()
	r.s.Leave()
	if r.Redis {
		r.redis = startRedis(r.t)
	}
	r.load = &load{line: line{tb: r.t, system: r.s.Seeds.SystemID, password: r.s.Seeds.Password}, key: r.s.Seeds.APIKey, sender: r.s.Seeds.Sender,
		total: r.Messages, receipts: map[string]bool{}}
}

func (r *run) startGateway() {
	r.t.Helper()
	url := ""
	if r.redis != nil {
		url = r.redis.url()
	}
	r.gw = start(r.t, r.s.Config.Data, url)
	r.load.to(r.ctx, r.gw.addrs)
}

// lead is how far the customers are ahead of the operator.
const lead = 2500

// killAt kills the gateway when about n messages have reached the operator, and starts it again.
func (r *run) killAt(k, n int) {
	t, op := r.t, r.s.Operator
	r.load.allow(n + lead)
	r.until(fmt.Sprintf("%d messages to reach the operator", n), func(s smpptest.Stats) bool { return s.Unique >= n })
	op.Hold()
	base := op.Stats().Submits
	r.load.allow(n + lead + 1000) // acceptance goes on under the axe
	var backlog, open int
	stage.UntilWithin(t, patience, "enough to lose", func() error {
		s := op.Stats()
		backlog, open = r.load.ackedNow()-s.Unique, s.Submits-base
		if backlog >= minBacklog && open >= minOpen {
			return nil
		}
		return fmt.Errorf("%d accepted and not final, %d unanswered at the operator\n%s", backlog, open, r.gw.log)
	})
	// The axe falls while customers are being answered.
	acked := r.load.ackedNow()
	r.load.allow(acked + 1000)
	stage.UntilWithin(t, patience, "another acknowledgement", func() error {
		if r.load.ackedNow() == acked && r.load.done() != nil { // after the last kill but one all may have been answered
			return fmt.Errorf("none since %d", acked)
		}
		return nil
	})
	r.gw.kill()
	r.until("the connections to end", func(s smpptest.Stats) bool { return s.Bound == 0 })
	op.Release()
	before := op.Stats()
	t.Logf("kill %d: %d accepted and not final, %d unanswered at the operator (window %d)", k, backlog, open, window)
	r.startGateway()
	r.until("delivery to resume", func(s smpptest.Stats) bool { return s.Submits > before.Submits })
	took := time.Since(r.gw.began)
	t.Logf("kill %d: delivery resumed %s after the restart", k, took.Round(time.Millisecond))
	if took > r.Within {
		t.Errorf("delivery resumed %s after the restart, want within %s", took.Round(time.Millisecond), r.Within)
	}
}

// flush takes all of Redis away in the middle of the run.
func (r *run) flush() {
	r.t.Helper()
	if err := r.redis.command("FLUSHALL", "+OK"); err != nil {
		r.t.Fatal(err)
	}
	r.t.Log("FLUSHALL")
}

func (r *run) until(what string, cond func(smpptest.Stats) bool) {
	r.t.Helper()
	stage.UntilWithin(r.t, patience, what, func() error {
		if s := r.s.Operator.Stats(); !cond(s) {
			return fmt.Errorf("the operator counts %+v; %d acknowledged\n%s", s, r.load.ackedNow(), r.gw.log)
		}
		return nil
	})
}

// finish lets the rest of the run pass and waits until everything acknowledged has come to rest, or nothing moves any more:
// then something is lost, and the audit tells what.
func (r *run) finish() {
	r.load.allow(r.Messages)
	stage.UntilWithin(r.t, patience, "all submissions to be answered", r.load.done)
	var last smpptest.Stats
	moved := time.Now()
	stage.UntilWithin(r.t, patience, "everything to come to rest", func() error {
		now := r.s.Operator.Stats()
		if now != last {
			last, moved = now, time.Now()
		}
		var err error
		if now.Unique < r.load.ackedNow() {
			err = fmt.Errorf("%d of %d acknowledged messages have reached the operator", now.Unique, r.load.ackedNow())
		} else {
			err = r.load.receipted()
		}
		if err != nil && time.Since(moved) > stillness {
			r.t.Errorf("nothing moves any more: %v\n%s", err, r.gw.log)
			r.stuck = true
			return nil
		}
		return err
	})
	api := stage.NewAPI(r.t, r.gw.addrs["api"], r.load.key)
	for _, b := range r.load.batches {
		if r.stuck {
			return
		}
		api.AwaitBatch(b, gateway.StateDelivered, gateway.StateUndelivered, gateway.StateExpired, gateway.StateRejected, gateway.StateUnknown,
			gateway.StateDropped, gateway.StateCancelled, gateway.StateFailed)
	}
}

// audit opens the store the last process left and holds it against what was promised.
func (r *run) audit() {
	t := r.t
	st, err := openStore(r.s.Config.Data, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := st.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}()
	report := stage.VerifyStore(t, st)
	lost, unknown, delivered := r.count(st)
	ops := r.s.Operator.Stats()
	t.Logf("acknowledged %d (%d of them over SMPP), delivered %d, unknown %d, lost %d; repeats %d in %d kills; SMPP answers lost %d; store %+v",
		r.load.acked, len(r.load.ids), delivered, unknown, lost, ops.Duplicates, r.Kills, r.load.unsure, report.States)
	if lost != 0 {
		t.Errorf("%d acknowledged messages are not final: lost", lost)
	}
	if delivered+unknown+lost != r.load.acked {
		t.Errorf("delivered %d and unknown %d do not make up %d acknowledged: everybody had agreed and the operator delivers", delivered, unknown,
			r.load.acked)
	}
	if bound := 2 * window * binds * r.Kills; ops.Duplicates > bound {
		t.Errorf("%d repeats, want at most %d: twice the window of each bind for each kill", ops.Duplicates, bound)
	}
}

// count looks up every acknowledged message.
func (r *run) count(st *store.Store) (lost, unknown, delivered int) {
	note := func(s gateway.State, n int) {
		switch {
		case !s.Final():
			lost += n
		case s == gateway.StateUnknown:
			unknown += n
		case s == gateway.StateDelivered:
			delivered += n
		}
	}
	ctx := context.WithoutCancel(r.t.Context())
	for _, ref := range r.load.batches {
		v, err := st.Batch(ctx, ref.Account, ref)
		if err != nil {
			r.t.Errorf("batch %s was acknowledged and is gone: %v", ref, err)
			lost += chunk
			continue
		}
		for name, n := range v.States {
			note(gateway.ParseState(name), n)
		}
	}
	for _, id := range r.load.ids {
		m, err := st.Message(ctx, id.Account, id)
		if err != nil {
			r.t.Errorf("message %s was acknowledged and is gone: %v", id, err)
			lost++
			continue
		}
		note(m.State, 1)
	}
	return lost, unknown, delivered
}
