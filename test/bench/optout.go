package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"izinli/gateway/smpp"
)

// optOuts runs a campaign in which some numbers get a message from each of many requests. At a random one of them, the moment
// its message has been read, the operator brings an opt-out from that number, while at least three more of its messages have
// been accepted and wait, are leased or are on their way. Measured is the time from the opt-out's PDU being queued to the last message read that went to the
// number; a message read after the acknowledgement of the opt-out is a leak.
//
// The quick run proves the same at any speed: over one bind, on which what is written first is read first, and with nothing leaving
// before all of the campaign is accepted, so that everybody has the chance to opt out.
func optOuts(ctx context.Context, b *bench, r *result) (err error) {
	people := 1000
	if b.opt.quick {
		people = 50
	}
	const requests, waiting = 20, 3
	size := b.size(requests*bulkSize, requests*500) / requests
	n := requests * size
	binds := operatorBinds
	if b.opt.quick {
		binds = 1
	}
	s, err := b.newStand(ctx, r, standOptions{redis: true, consents: max(pool, size), binds: binds})
	if err != nil {
		return err
	}
	defer s.remove(&err)
	r.Settings["optOuts"], r.Settings["campaign"], r.Settings["requests"] = people, n, requests
	p := newPeople(people, requests, size)
	s.operator.seen = newTracker(n)
	c := campaign{n: n, size: size, vars: true, number: p.number}
	load := bulk{addr: s.gw.API, key: s.gw.APIKey, conns: 1, requests: c.build(s.gw.API, s.gw.APIKey), drops: true}
	p.watch(s.operator, waiting, func() int { return int(load.done.Load()) })
	if err := s.bound(ctx); err != nil {
		return err
	}
	done, err := s.meter(r.Figure)
	if err != nil {
		return err
	}
	if err := s.campaign(ctx, &load); err != nil {
		return err
	}
	u, err := done()
	if err != nil {
		return err
	}
	r.load(u, int(s.operator.submits.Load()))
	after := 5 * time.Second // for stragglers
	if b.opt.quick {
		after = time.Second
	}
	if err := s.operator.calm(ctx, after); err != nil {
		return err
	}
	p.report(r, n-people*requests, s.operator)
	return s.verifyStates(r)
}

// campaign hands the campaign in and waits until it is over: when nothing arrives any more, since how many leave is what the opt-outs
// decide. The quick run hands all of it in before the first message leaves, and is over when nothing waits.
func (s *stand) campaign(ctx context.Context, load *bulk) error {
	if !s.b.opt.quick {
		if _, _, err := load.run(ctx); err != nil {
			return err
		}
		return s.operator.calm(ctx, time.Second)
	}
	if _, err := s.gw.do("hold", ""); err != nil {
		return err
	}
	if _, _, err := load.run(ctx); err != nil {
		return err
	}
	if _, err := s.gw.do("release", ""); err != nil {
		return err
	}
	return s.emptied(ctx)
}

// emptied waits until no message waits, or nothing has come for too long: then the report tells how many do.
func (s *stand) emptied(ctx context.Context) error {
	still := quiet(patience, s.operator.submits.Load)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		a, err := s.gw.do("verify", "")
		if err != nil || a.Report.Waiting == 0 || still() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// calm waits until nothing has come for so long.
func (o *operator) calm(ctx context.Context, d time.Duration) error {
	err := until(ctx, d, o.submits.Load, func() bool { return false })
	if errors.Is(err, errQuiet) {
		return nil
	}
	return err
}

// people who opt out. Their numbers are the first of the pool.
type people struct {
	all           []person
	size          int
	places        []map[int]int // by request: place → person
	answered      atomic.Int64
	afterAck      atomic.Int64
	confirmations atomic.Int64
}

type person struct {
	requests int          // that name the person
	trigger  int          // the message that makes the person opt out: the how manieth
	got      atomic.Int32 // messages read
	asked    atomic.Int64 // the opt-out was handed to the bind, by clock
	acked    atomic.Int64
	last     atomic.Int64 // message read after asking
	waited   atomic.Int32 // messages that waited when the person asked
}

// newPeople gives every person one place in each request, at random.
func newPeople(n, requests, size int) *people {
	p := &people{all: make([]person, n), size: size}
	rng := rand.New(rand.NewPCG(1, 2))
	for range requests {
		m := map[int]int{}
		for i, at := range rng.Perm(size)[:n] {
			m[at] = i
		}
		p.places = append(p.places, m)
	}
	for i := range p.all {
		p.all[i].requests, p.all[i].trigger = requests, 1+rng.IntN(requests-5)
	}
	return p
}

// number is the destination of a message: a person who will opt out, or someone else.
func (p *people) number(ref int) int {
	at := ref % p.size
	if i, ok := p.places[ref/p.size][at]; ok {
		return i
	}
	return len(p.all) + at%(pool-len(p.all))
}

// watch lets people opt out when their moment has come, with so many messages waiting, and notes what still arrives. accepted
// tells how many requests have been.
func (p *people) watch(o *operator, waiting int, accepted func() int) {
	o.onSubmit = func(m *smpp.SubmitSM, ref int, now time.Duration) {
		i, ok := indexOf(m.Dest.Addr)
		if !ok || i >= len(p.all) {
			return
		}
		if ref < 0 {
			p.confirmations.Add(1)
			return
		}
		x := &p.all[i]
		got := int(x.got.Add(1))
		if x.asked.Load() > 0 {
			x.last.Store(int64(now))
			if x.acked.Load() > 0 {
				p.afterAck.Add(1)
			}
		}
		wait := accepted() - got
		if got < x.trigger || wait < waiting || !x.asked.CompareAndSwap(0, int64(clock())) {
			return
		}
		x.waited.Store(int32(wait))
		from := string(m.Dest.Addr)
		// Another goroutine would only come later: sendMO queues and returns.
		o.sendMO(from, replyNumber[1:], "RET", func(at time.Duration) {
			x.acked.Store(int64(at))
			p.answered.Add(1)
		})
	}
}

// report sums up. others is how many messages went to everybody else.
func (p *people) report(r *result, others int, o *operator) {
	var lasts, acks latencies
	asked, reached, waited := 0, 0, 0
	for i := range p.all {
		x := &p.all[i]
		if x.asked.Load() == 0 {
			continue
		}
		asked++
		waited += int(x.waited.Load())
		took := time.Duration(0)
		if x.last.Load() > 0 {
			reached++
			took = time.Duration(x.last.Load() - x.asked.Load())
		}
		lasts = append(lasts, took)
		if x.acked.Load() > 0 {
			acks = append(acks, time.Duration(x.acked.Load()-x.asked.Load()))
		} else {
			r.note("an opt-out was never acknowledged")
			r.Losses++
		}
	}
	last := merge(lasts)
	r.Value, r.Unit = ms(last.max), "ms max"
	last.put(r, "lastPDU")
	merge(acks).put(r, "acknowledgement")
	r.set("optOuts", float64(asked))
	r.set("waitingEach", float64(waited)/float64(max(asked, 1)))
	r.set("gotMoreAfterAsking", float64(reached))
	r.set("confirmations", float64(p.confirmations.Load()))
	r.Leaks = int(p.afterAck.Load())
	r.Duplicates += int(o.seen.again.Load())
	if asked < len(p.all) {
		r.note("only %d of %d people had the chance to opt out", asked, len(p.all))
	}
	// Everybody else gets everything.
	got := int(o.seen.unique.Load())
	for i := range p.all {
		got -= int(p.all[i].got.Load())
	}
	r.Losses += max(0, others-got)
}

// verifyStates lets the store be verified: nothing may be left waiting.
func (s *stand) verifyStates(r *result) error {
	a, err := s.gw.do("verify", "")
	if err != nil {
		return err
	}
	for _, p := range a.Report.Problems {
		r.note("the store does not hold: %s", p)
		r.Losses++
	}
	r.set("waitingAfter", float64(a.Report.Waiting))
	r.Losses += a.Report.Waiting
	return nil
}
