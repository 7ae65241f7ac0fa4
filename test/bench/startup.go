package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

// startUp fills a store, ends the gateway twice (by force, then in order) and measures each time from starting the process to
// everything listening, the consents in memory and the queue ready.
func startUp(ctx context.Context, b *bench, r *result) (err error) {
	consents, n := 1_000_000, b.size(1_000_000, 20_000)
	if b.opt.big {
		consents = 10_000_000
	}
	if b.opt.quick {
		consents = 20_000
	}
	s, err := b.newStand(ctx, r, standOptions{deaf: true, consents: consents})
	if err != nil {
		return err
	}
	defer s.remove(&err)
	if !b.opt.big {
		r.note("without --big only %d consents", consents)
	}
	r.Settings["waiting"] = n
	r.set("seedSeconds", s.gw.SeedMS/1000)
	told, err := s.fillWaiting(ctx, r, n)
	if err != nil {
		return err
	}
	// Just after the last acknowledgement: what is in the log alone is replayed.
	err = s.gw.kill()
	s.gw = nil
	if err != nil {
		return err
	}
	s.order.Seed = false
	if dir := s.b.opt.profile; dir != "" {
		s.order.Profile = filepath.Join(dir, "T10.cpu") // of the second start: the first one's is written over
	}
	took, err := s.restart(ctx)
	if err != nil {
		return err
	}
	cpu, mem := processCPU(s.gw.pid), processMemory(s.gw.pid)
	err = s.gw.stop()
	s.gw = nil
	if err != nil {
		return err
	}
	again, err := s.restart(ctx)
	if err != nil {
		return err
	}
	r.set("afterStopSeconds", again.Seconds())
	r.Value, r.Unit, r.Messages = took.Seconds(), "s", told
	r.set("cpuSeconds", cpu.Seconds()) // what a quiet machine would need, divided by its cores
	r.set("rssMB", mem.RSS)
	r.set("peakMB", mem.Peak)
	return s.verify(r, told)
}

// restart starts the gateway on the same store and waits until it is ready.
func (s *stand) restart(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	gw, err := startGateway(ctx, s.order, nil)
	s.gw = gw
	if err != nil {
		return 0, err
	}
	for {
		a, err := gw.do("settled", "")
		if err != nil {
			return 0, err
		}
		if a.Healthy == "" {
			return time.Since(began), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
		if time.Since(began) > 5*time.Minute {
			return 0, errors.New("not ready after five minutes: " + a.Healthy)
		}
	}
}
