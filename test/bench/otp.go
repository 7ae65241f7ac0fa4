package main

import (
	"context"
	"sync"
	"time"
)

// otpUnderLoad sends one-time passwords over HTTP, a hundred a second whatever the answers do, while a campaign leaves as fast as it
// can, and measures from when each was due to the moment the operator has read the PDU: who waits for a connection waits.
func otpUnderLoad(ctx context.Context, b *bench, r *result) (err error) {
	n := b.size(500_000, 20_000)
	const most = 100_000 // one-time passwords
	s, err := b.newStand(ctx, r, standOptions{redis: true, consents: pool, refusals: refused})
	if err != nil {
		return err
	}
	defer s.remove(&err)
	const conns, every = 32, 10 * time.Millisecond
	r.Settings["campaign"], r.Settings["otpConnections"], r.Settings["otpEveryMs"] = n, conns, ms(every)
	seen := newTracker(n + most)
	seen.people, seen.free = s.audience(), n
	s.operator.seen = seen
	c := campaign{n: n, size: bulkSize, vars: true, number: seen.people.number}
	load := bulk{addr: s.gw.API, key: s.gw.APIKey, conns: 1, requests: c.build(s.gw.API, s.gw.APIKey), drops: true}
	if err := s.bound(ctx); err != nil {
		return err
	}
	dueAt := make([]time.Duration, most)
	otps := singles{addr: s.gw.API, key: s.gw.APIKey, conns: conns, n: most, class: "otp", first: n, every: every, number: seen.people.number,
		sent: func(ref int, due time.Duration) { dueAt[ref-n] = due },
		stop: func() bool { return seen.unique.Load() >= int64(n-n/100) }}
	done, err := s.meter(r.Figure)
	if err != nil {
		return err
	}
	began := time.Now()
	var wg sync.WaitGroup
	var otpOK, bulkOK int
	var otpErr, bulkErr error
	var took latencies
	wg.Go(func() { bulkOK, _, bulkErr = load.run(ctx) })
	wg.Go(func() { otpOK, took, otpErr = otps.run(ctx) })
	wg.Wait()
	if bulkErr != nil {
		return bulkErr
	}
	if otpErr != nil {
		return otpErr
	}
	all := func() bool { return seen.unique.Load() >= int64(bulkOK+otpOK) }
	if err := until(ctx, patience, seen.unique.Load, all); err != nil {
		r.note("not everything arrived: %v", err)
	}
	wall := time.Since(began)
	u, err := done()
	if err != nil {
		return err
	}
	r.load(u, bulkOK+otpOK)
	var lat latencies
	for i, at := range dueAt {
		if got := time.Duration(seen.at[n+i].Load()); at > 0 && got > 0 {
			lat = append(lat, got-at)
		}
	}
	q := merge(lat)
	r.Value, r.Unit = ms(q.p99), "ms p99"
	q.put(r, "otp")
	merge(took).put(r, "otpResponse")
	r.set("otps", float64(otpOK))
	r.set("campaignPerSecond", float64(bulkOK)/wall.Seconds())
	r.Losses += max(0, bulkOK+otpOK-int(seen.unique.Load()))
	r.Duplicates += int(seen.again.Load() + seen.strange.Load())
	r.Leaks += int(seen.leaked.Load())
	return nil
}
