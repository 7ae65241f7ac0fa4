package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The whole road: a customer's SMPP in, the operator's SMPP out, receipts back.

const (
	customerBinds  = 4
	customerWindow = 100
	// patience is how long a run waits for something new before it calls the rest lost.
	patience = 20 * time.Second
	// pool is how many numbers messages go to, in turn.
	pool = 100_000
)

func roadRedis(ctx context.Context, b *bench, r *result) error {
	return road(ctx, b, r, standOptions{redis: true}, b.size(200_000, 4_000))
}

func roadEmbedded(ctx context.Context, b *bench, r *result) error {
	return road(ctx, b, r, standOptions{}, b.size(200_000, 4_000))
}

func road(ctx context.Context, b *bench, r *result, o standOptions, n int) (err error) {
	o.consents, o.refusals = min(n, pool), refused
	s, err := b.newStand(ctx, r, o)
	if err != nil {
		return err
	}
	defer s.remove(&err)
	return s.drive(ctx, r, n)
}

// smppLoad is the customer of the usual size.
func (s *stand) smppLoad(r *result, n int) *esmeLoad {
	r.Settings["binds"], r.Settings["window"], r.Settings["textOctets"] = customerBinds, customerWindow, len(smppText)+refDigits
	return &esmeLoad{addr: s.gw.SMPP, systemID: systemID, password: s.gw.Password, binds: customerBinds, window: customerWindow, n: n,
		people: s.audience()}
}

// drive sends n messages down the road and measures until the last receipt is acknowledged on both sides.
func (s *stand) drive(ctx context.Context, r *result, n int) error {
	s.operator.seen = newTracker(n)
	s.operator.seen.people = s.audience()
	load := s.smppLoad(r, n)
	if err := load.bindAll(ctx); err != nil {
		return err
	}
	if err := s.bound(ctx); err != nil {
		return err
	}
	done, err := s.meter(r.Figure)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := load.send(ctx); err != nil {
		return err
	}
	accepted := time.Since(began)
	load.waitReceipts(ctx, patience)
	wall := time.Since(began)
	acked := func() bool { return s.operator.acked.Load() >= s.operator.submits.Load() }
	if err := until(ctx, patience, s.operator.acked.Load, acked); err != nil {
		r.note("%d receipts were not acknowledged to the operator", s.operator.submits.Load()-s.operator.acked.Load())
	}
	u, err := done()
	if err != nil {
		return err
	}
	load.unbind(ctx)
	r.load(u, n)
	r.Value, r.Unit = float64(n)/wall.Seconds(), "messages/s"
	r.set("acceptedPerSecond", float64(n)/accepted.Seconds())
	s.count(r, load)
	resp, rcpt := load.quantiles()
	resp.put(r, "response")
	rcpt.put(r, "receipt")
	return nil
}

// bound waits for the gateway's binds to the operator.
func (s *stand) bound(ctx context.Context) error { return s.operator.waitBound(ctx, s.order.Binds) }

// count compares what the client was told with what the operator read and what receipts said.
func (s *stand) count(r *result, load *esmeLoad) {
	ok, stopped, seen := int(load.ok.Load()), int(load.stopped.Load()), s.operator.seen
	notSeen, noReceipt := max(0, ok-stopped-int(seen.unique.Load())), max(0, ok-int(load.receipts.Load()))
	r.Losses += max(notSeen, noReceipt)
	r.Duplicates += int(seen.again.Load() + seen.strange.Load())
	r.Leaks += int(seen.leaked.Load())
	if n := int(load.rejected.Load()); n != stopped {
		r.note("%d receipts said REJECTD, for %d messages to people who refused", n, stopped)
		r.Losses += max(n-stopped, stopped-n)
	}
	if notSeen+noReceipt > 0 {
		r.note("%d accepted messages did not arrive, %d have no receipt", notSeen, noReceipt)
	}
	if n := load.again.Load(); n > 0 {
		r.set("receiptsTwice", float64(n))
		r.Duplicates += int(n)
	}
	if n := load.refused.Load() + load.throttle.Load(); n > 0 {
		r.set("refused", float64(n))
		r.note("%d messages were refused, the last with status %#x", n, load.status.Load())
	}
	if n := load.foreign.Load(); n > 0 {
		r.note("%d receipts said neither DELIVRD nor REJECTD", n)
		r.Losses += int(n)
	}
	if n := s.operator.put.Load(); n > 0 {
		r.set("receiptsPutOff", float64(n))
	}
}

// syncCalls are the system calls that make data durable; Badger maps its files and uses msync.
const syncCalls = "fsync,fdatasync,msync,sync_file_range"

// syncs runs T1's load under strace: once to count, once with a disk made slow.
func syncs(ctx context.Context, b *bench, r *result) error {
	n := b.size(100_000, 2_000)
	calls, err := traced(ctx, b, r, n)
	if err != nil {
		return err
	}
	r.Value, r.Unit, r.SyncsPer1000 = calls, "calls/1000", calls
	slow := &result{Figure: "T13slow", Machine: r.Machine, Settings: map[string]any{}}
	slowCalls, err := traced(ctx, b, slow, n, "-e", "inject="+syncCalls+":delay_exit=2000")
	if err != nil {
		return err
	}
	r.set("slowDiskPerSecond", slow.Value)
	r.set("slowDiskCallsPer1000", slowCalls)
	r.set("slowDiskResponseP99ms", slow.Values["responseP99ms"])
	r.addHarm(slow)
	return nil
}

// traced drives T1's load with the gateway under strace and returns its sync calls per 1000 messages; r gets the rest.
func traced(ctx context.Context, b *bench, r *result, n int, more ...string) (per1000 float64, err error) {
	dir, err := b.fresh()
	if err != nil {
		return 0, err
	}
	log := filepath.Join(dir, "strace")
	tracer := append([]string{"strace", "-f", "--seccomp-bpf", "-qq", "-o", log, "-e", "trace=" + syncCalls}, more...)
	s, err := b.newStand(ctx, r, standOptions{redis: true, consents: min(n, pool), refusals: refused, tracer: tracer})
	if err != nil {
		return 0, err
	}
	defer s.remove(&err)
	before, err := countCalls(log)
	if err != nil {
		return 0, err
	}
	if err := s.drive(ctx, r, n); err != nil {
		return 0, err
	}
	after, err := countCalls(log)
	if err != nil {
		return 0, err
	}
	total := 0
	for name, k := range after {
		k -= before[name]
		total += k
		r.set(name, float64(k)/float64(n)*1000)
	}
	r.set("messagesPerSecondTraced", r.Value)
	return float64(total) / float64(n) * 1000, nil
}

// countCalls reads strace's lines: "pid name(…) = 0", or "pid name(… <unfinished ...>" followed by a resumed one.
func countCalls(path string) (map[string]int, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := map[string]int{}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		_, rest, _ := strings.Cut(sc.Text(), " ")
		name, _, ok := strings.Cut(strings.TrimSpace(rest), "(")
		if ok && !strings.Contains(name, " ") && strings.Contains(syncCalls, name) {
			out[name]++
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("strace: %w", err)
	}
	return out, nil
}
