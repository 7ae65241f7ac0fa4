package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

// Acceptance alone: the operator is away, so what is accepted waits. What was acknowledged is compared with what a verification of the
// store finds afterwards and, where messages bear a reference, with what arrives after a crash.

func bulkAccept(ctx context.Context, b *bench, r *result) error {
	n := b.size(600_000, 20_000)
	plain, err := bulkAcceptRate(ctx, b, r, n, false)
	if err != nil {
		return err
	}
	r.Value, r.Unit = plain, "recipients/s"
	with := &result{Figure: "T3vars", Machine: r.Machine, Settings: map[string]any{}}
	rate, err := bulkAcceptRate(ctx, b, with, n, true)
	if err != nil {
		return err
	}
	r.set("withVariables", rate)
	r.set("withVariablesCPUPer1000", with.CPU.Gateway)
	r.set("withVariablesRequestP99ms", with.Values["requestP99ms"])
	r.addHarm(with)
	return nil
}

const bulkConns = 4

func bulkAcceptRate(ctx context.Context, b *bench, r *result, n int, vars bool) (rate float64, err error) {
	s, err := b.newStand(ctx, r, standOptions{deaf: true, consents: min(n, pool)})
	if err != nil {
		return 0, err
	}
	defer s.remove(&err)
	r.Settings["recipientsPerRequest"], r.Settings["connections"] = bulkSize, bulkConns
	c := campaign{n: n, size: bulkSize, vars: vars, number: s.audience().number}
	load := bulk{addr: s.gw.API, key: s.gw.APIKey, conns: bulkConns, requests: c.build(s.gw.API, s.gw.APIKey)}
	done, err := s.meter(r.Figure)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	accepted, took, err := load.run(ctx)
	if err != nil {
		return 0, err
	}
	wall := time.Since(began)
	u, err := done()
	if err != nil {
		return 0, err
	}
	r.load(u, n)
	merge(took).put(r, "request")
	if vars {
		return float64(accepted) / wall.Seconds(), s.crashed(ctx, r, n, accepted)
	}
	return float64(accepted) / wall.Seconds(), s.verify(r, accepted)
}

// crashed ends the gateway by force once n messages were offered and told of them acknowledged, and starts it again, with an operator:
// each must arrive, once, at the person it is for.
func (s *stand) crashed(ctx context.Context, r *result, n, told int) error {
	if err := s.gw.kill(); err != nil {
		return err
	}
	s.gw = nil
	seen := newTracker(n)
	seen.people = s.audience()
	s.operator.seen, s.operator.receipts = seen, false
	s.order.Seed, s.order.Operator = false, s.operator.addr()
	if _, err := s.restart(ctx); err != nil {
		return err
	}
	arrived := func() bool { return seen.unique.Load() >= int64(told) }
	if err := until(ctx, patience, seen.unique.Load, arrived); err != nil && !errors.Is(err, errQuiet) {
		return err
	}
	if err := s.operator.calm(ctx, time.Second); err != nil { // a repeat may come behind the last of the first copies
		return err
	}
	if n := told - int(seen.unique.Load()); n > 0 {
		r.note("%d acknowledged messages did not survive a crash", n)
		r.Losses += n
	}
	r.Duplicates += int(seen.again.Load() + seen.strange.Load())
	r.Leaks += int(seen.leaked.Load())
	return s.verify(r, told)
}

func singleAccept(ctx context.Context, b *bench, r *result) (err error) {
	n := b.size(120_000, 2_000)
	s, err := b.newStand(ctx, r, standOptions{deaf: true, consents: min(n, pool)})
	if err != nil {
		return err
	}
	defer s.remove(&err)
	const conns = 64
	r.Settings["connections"] = conns
	load := singles{addr: s.gw.API, key: s.gw.APIKey, conns: conns, n: n, class: "commercial", number: s.audience().number}
	done, err := s.meter(r.Figure)
	if err != nil {
		return err
	}
	began := time.Now()
	accepted, took, err := load.run(ctx)
	if err != nil {
		return err
	}
	wall := time.Since(began)
	u, err := done()
	if err != nil {
		return err
	}
	r.load(u, n)
	r.Value, r.Unit = float64(accepted)/wall.Seconds(), "messages/s"
	merge(took).put(r, "response")
	return s.crashed(ctx, r, n, accepted)
}

// steadyRate is what a customer sends whose responses are timed; it is a little above what T5 asks for.
const steadyRate = 26_000

// smppAccept measures the rate at which full windows are answered, and the response times of a customer who sends at a steady rate:
// with full windows they only tell the window divided by the rate.
func smppAccept(ctx context.Context, b *bench, r *result) error {
	n := b.size(300_000, 4_000)
	full, err := smppRate(ctx, b, r, n, 0)
	if err != nil {
		return err
	}
	r.Value, r.Unit = full, "messages/s"
	steady := &result{Figure: "T5steady", Machine: r.Machine, Settings: map[string]any{}}
	rate, err := smppRate(ctx, b, steady, n, steadyRate)
	if err != nil {
		return err
	}
	r.set("steadyPerSecond", rate)
	for _, q := range []string{"P50ms", "P99ms", "MaxMs"} {
		r.set("steady"+q, steady.Values["response"+q])
	}
	r.set("steadyCPUPer1000", steady.CPU.Gateway)
	r.addHarm(steady)
	return nil
}

func smppRate(ctx context.Context, b *bench, r *result, n int, pace float64) (rate float64, err error) {
	s, err := b.newStand(ctx, r, standOptions{deaf: true, consents: min(n, pool)})
	if err != nil {
		return 0, err
	}
	defer s.remove(&err)
	load := s.smppLoad(r, n)
	load.rate = pace
	if rate, err = s.acceptRate(ctx, r, load); err != nil {
		return 0, err
	}
	return rate, s.crashed(ctx, r, n, int(load.ok.Load()))
}

// acceptRate sends the load, of which nothing leaves, and returns messages per second.
func (s *stand) acceptRate(ctx context.Context, r *result, load *esmeLoad) (float64, error) {
	if err := load.bindAll(ctx); err != nil {
		return 0, err
	}
	done, err := s.meter(r.Figure)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if err := load.send(ctx); err != nil {
		return 0, err
	}
	wall := time.Since(began)
	u, err := done()
	if err != nil {
		return 0, err
	}
	load.unbind(ctx)
	r.load(u, load.n)
	resp, _ := load.quantiles()
	resp.put(r, "response")
	if n := load.refused.Load() + load.throttle.Load(); n > 0 {
		r.set("refused", float64(n))
		r.note("%d messages were refused, the last with status %#x", n, load.status.Load())
	}
	return float64(load.ok.Load()) / wall.Seconds(), nil
}

// millionWaiting measures memory with a million messages scheduled for tomorrow, half of them submitted one by one, and
// acceptance beside them against an empty store.
func millionWaiting(ctx context.Context, b *bench, r *result) (err error) {
	n, probe := b.size(1_000_000, 20_000), b.size(1_000_000, 4_000) // shorter, an empty store ends in its buffers, before it sorts at all
	single0, err := emptyRate(ctx, b, r, func(s *stand) (float64, int, error) { return s.singleRate(ctx, r, probe, "T8emptysingle") })
	if err != nil {
		return err
	}
	bulk0, err := emptyRate(ctx, b, r, func(s *stand) (float64, int, error) { return s.bulkRate(ctx, probe, "T8emptybulk") })
	if err != nil {
		return err
	}
	s, err := b.newStand(ctx, r, standOptions{deaf: true, consents: pool})
	if err != nil {
		return err
	}
	defer s.remove(&err)
	start := processMemory(s.gw.pid)
	told, err := s.fillWaiting(ctx, r, n)
	if err != nil {
		return err
	}
	r.set("atOnceMB", processMemory(s.gw.pid).RSS)
	settled, err := s.settle(ctx, time.Minute)
	if err != nil {
		return err
	}
	r.set("settledAfterSeconds", settled.Seconds())
	filled := processMemory(s.gw.pid)
	if dir := b.opt.profile; dir != "" {
		if _, err := s.gw.do("heap", filepath.Join(dir, "T8settled.allocs")); err != nil {
			return err
		}
	}
	single1, told1, err := s.singleRate(ctx, r, probe, "T8single")
	if err != nil {
		return err
	}
	if _, err := s.settle(ctx, time.Minute); err != nil { // the singles' own sorting is not what a million waiting cost
		return err
	}
	bulk1, told2, err := s.bulkRate(ctx, probe, "T8bulk")
	if err != nil {
		return err
	}
	end := processMemory(s.gw.pid)
	r.Value, r.Unit = filled.RSS, "MB RSS"
	r.Messages = told
	r.set("anonMB", filled.Anon) // the rest is mapped files, which the kernel takes back when it needs to
	r.set("peakMB", end.Peak)
	r.set("emptyMB", start.RSS)
	r.set("emptySinglePerSecond", single0)
	r.set("singlePerSecond", single1)
	r.set("singleRatio", single1/single0)
	r.set("emptyBulkPerSecond", bulk0)
	r.set("bulkPerSecond", bulk1)
	r.set("bulkRatio", bulk1/bulk0)
	return s.verify(r, told+told1+told2)
}

// settledFor is how long a gateway must have had nothing to do to count as settled: longer than it waits itself before it gives memory
// back for good.
const settledFor = 25 * time.Second

// settle waits until the gateway has had little to do for a while (the store has sorted what was written), at most so long. The
// million are to be measured waiting, not arriving; what they cost on arrival is reported beside it.
func (s *stand) settle(ctx context.Context, most time.Duration) (time.Duration, error) {
	began, long := time.Now(), settledFor
	if s.b.opt.quick {
		long = time.Second
	}
	for calm := began; time.Since(began) < most && time.Since(calm) < long; {
		before := processCPU(s.gw.pid)
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Second):
		}
		if processCPU(s.gw.pid)-before > 100*time.Millisecond {
			calm = time.Now()
		}
	}
	return time.Since(began), nil
}

// emptyRate is a rate on an empty store of its own, which is verified afterwards.
func emptyRate(ctx context.Context, b *bench, r *result, measure func(*stand) (float64, int, error)) (rate float64, err error) {
	s, err := b.newStand(ctx, r, standOptions{deaf: true, consents: pool})
	if err != nil {
		return 0, err
	}
	defer s.remove(&err)
	rate, told, err := measure(s)
	if err != nil {
		return 0, err
	}
	return rate, s.verify(r, told)
}

// singleRate accepts n messages one by one; the profiles get the name.
func (s *stand) singleRate(ctx context.Context, r *result, n int, name string) (rate float64, told int, err error) {
	load := s.smppLoad(r, n)
	scratch := &result{Figure: name, Machine: r.Machine, Settings: map[string]any{}}
	if rate, err = s.acceptRate(ctx, scratch, load); err != nil {
		return 0, 0, err
	}
	r.CPU, r.Bottleneck = scratch.CPU, scratch.Bottleneck // Messages stays the figure's own
	r.addHarm(scratch)
	return rate, int(load.ok.Load()), nil
}

// bulkRate accepts 4 n messages in large requests; the profiles get the name.
func (s *stand) bulkRate(ctx context.Context, n int, name string) (rate float64, told int, err error) {
	c := campaign{n: 4 * n, size: bulkSize, vars: true, number: s.audience().number}
	h := bulk{addr: s.gw.API, key: s.gw.APIKey, conns: bulkConns, requests: c.build(s.gw.API, s.gw.APIKey)}
	done, err := s.meter(name)
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if told, _, err = h.run(ctx); err != nil {
		return 0, 0, err
	}
	rate = float64(told) / time.Since(began).Seconds()
	_, err = done()
	return rate, told, err
}

// fillWaiting schedules n messages for tomorrow, half of them one by one, and returns how many were accepted.
func (s *stand) fillWaiting(ctx context.Context, r *result, n int) (told int, err error) {
	c := campaign{n: n / 2, size: bulkSize, vars: true, number: s.audience().number, sendAt: time.Now().Add(24 * time.Hour)}
	h := bulk{addr: s.gw.API, key: s.gw.APIKey, conns: bulkConns, requests: c.build(s.gw.API, s.gw.APIKey)}
	accepted, _, err := h.run(ctx)
	if err != nil {
		return 0, err
	}
	load := s.smppLoad(r, n-n/2)
	load.schedule, load.noReceipts = "000001000000000R", true // in one day
	scratch := &result{Figure: "T8fill", Machine: r.Machine, Settings: map[string]any{}}
	_, err = s.acceptRate(ctx, scratch, load)
	r.addHarm(scratch)
	return accepted + int(load.ok.Load()), err
}
