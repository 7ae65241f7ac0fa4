package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway"
)

// bench is lanes in a bubble: real feeders and healer, fake asynq, fake time.
type bench struct {
	*rig
	tasks  *fakeTasks
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// newBench starts the feeders; the caller ends them with end.
func newBench(t *testing.T, cfg Config) *bench {
	t.Helper()
	b := &bench{rig: newRig(t, cfg)}
	b.tasks = newFakeTasks(b.q)
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	b.q.handler, b.q.handlerCtx = b.rec, context.Background()
	for _, l := range b.q.lanes {
		l.up = func() bool { return true }
		b.wg.Go(func() { l.feed(ctx, b.src, b.tasks) })
		b.wg.Go(func() { // the monitor's part
			tick := time.NewTicker(probeUp)
			defer tick.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					if n, _ := l.heal(ctx, b.tasks, time.Now(), healAge); n > 0 || l.policy.maxTasks > 0 {
						l.poke()
					}
				}
			}
		})
	}
	return b
}

func (b *bench) end() {
	b.cancel()
	b.wg.Wait()
	b.q.handlers.Wait()
}

// settle lets fake time pass.
func settle(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestEveryEntryIsHandledWhateverFails(t *testing.T) {
	faults := []struct {
		name            string
		enqueue, lose   float64 // chances
		process, source float64
	}{
		{name: "nothing fails"},
		{name: "redis refuses", enqueue: 0.2},
		{name: "redis loses tasks", lose: 0.2},
		{name: "the store fails in the handler", process: 0.1},
		{name: "the index cannot be read", source: 0.2},
		{name: "all of it", enqueue: 0.1, lose: 0.1, process: 0.1, source: 0.1},
	}
	for _, f := range faults {
		for seed := range uint64(8) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				var mu sync.Mutex
				chance := func(p float64) bool {
					mu.Lock()
					defer mu.Unlock()
					return p > 0 && rnd.Float64() < p
				}
				upTo := func(n int) int { mu.Lock(); defer mu.Unlock(); return rnd.IntN(n) }
				b := newBench(t, Config{MaxTasks: 1 + upTo(30), OTPWorkers: 1 + upTo(4), Workers: 2 + upTo(8)})
				b.tasks.lose = func() bool { return chance(f.lose) }
				b.tasks.delay = func() time.Duration { return time.Duration(upTo(3000)) * time.Microsecond }
				b.tasks.fail = func() error {
					if chance(f.enqueue) {
						return errFake
					}
					return nil
				}
				b.src.fail = func() error {
					if chance(f.source) {
						return errFake
					}
					return nil
				}
				b.rec.hook = func(_ context.Context, c Chunk) (time.Duration, error) {
					if got, limit := c.Messages(), c.Lane.ChunkLimit(); got > limit && len(c.Refs) > 1 {
						t.Errorf("chunk of %d messages in %d entries, limit %d", got, len(c.Refs), limit)
					}
					for _, r := range c.Refs {
						if r.Account != c.Account || r.Lane != c.Lane {
							t.Errorf("entry %+v in a chunk of %d, %s", r, c.Account, c.Lane)
						}
					}
					<-time.After(time.Duration(upTo(5)) * time.Millisecond)
					if chance(f.process) {
						return 0, errFake
					}
					return time.Duration(upTo(2)*upTo(50)) * time.Millisecond, nil
				}
				total := 100 + upTo(600)
				for range total {
					b.src.add(gateway.Lane(upTo(3)), gateway.AccountID(1+upTo(5)), time.Duration(upTo(4)*upTo(500))*time.Millisecond, uint32(1+upTo(4)*upTo(40)))
					<-time.After(time.Duration(upTo(4)) * time.Millisecond)
				}
				for range 600 { // seconds
					if b.src.left() == 0 {
						break
					}
					settle(time.Second)
				}
				b.end()
				if err := b.rec.check(total, false); err != nil {
					t.Errorf("%s, seed %d: %v", f.name, seed, err)
				}
			})
		}
	}
}

func TestDueTimesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		total := 0
		for i := range 200 {
			// Later ones first, so that timers move both ways; some beyond the feeder's longest wait.
			b.src.add(allLanes[i%3], gateway.AccountID(1+i%4), time.Duration(200-i)*731*time.Millisecond, 1)
			total++
		}
		settle(200 * time.Second)
		b.end()
		if err := b.rec.check(total, false); err != nil { // not early is part of it
			t.Fatal(err)
		}
		for id, h := range b.rec.seen {
			if h.late > 100*time.Millisecond {
				t.Errorf("entry %d was %s late, want at most 100ms", id, h.late)
			}
		}
	})
}

func TestIdleLanesDoNotReadTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.src.add(gateway.LaneCommercial, 1, 0, 1)
		b.src.add(gateway.LaneCommercial, 2, 48*time.Hour, 1)
		settle(time.Second)
		before := b.src.reads
		settle(time.Hour)
		b.end()
		if got := b.src.reads - before; got != 0 {
			t.Errorf("%d reads in an idle hour, want none", got)
		}
		if _, n := b.rec.count(); n != 1 {
			t.Errorf("%d entries handled, want the one that is due", n)
		}
	})
}

func TestChunksAreFullUnderLoadAndPromptWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		b.tasks.delay = func() time.Duration { return 2 * time.Millisecond }
		b.src.add(gateway.LaneCommercial, 1, 0, 1)
		settle(3 * time.Millisecond)
		if _, n := b.rec.count(); n != 1 {
			t.Errorf("%d handled after 3ms, want 1: a lone message must not wait for company", n)
		}
		for range 2000 { // 12 000 a second for two seconds, one by one
			for range 12 {
				b.src.add(gateway.LaneCommercial, 1, 0, 1)
			}
			<-time.After(time.Millisecond)
		}
		settle(time.Second)
		b.end()
		if err := b.rec.check(24001, false); err != nil {
			t.Fatal(err)
		}
		if n, _ := b.rec.count(); n > 350 {
			t.Errorf("%d tasks for 24 001 messages, want about 240 full ones and a few", n)
		}
	})
}

func TestAccountsTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Workers: 10})
		b.rec.hook = func(context.Context, Chunk) (time.Duration, error) {
			<-time.After(10 * time.Millisecond)
			return 0, nil
		}
		for range 500 {
			b.src.add(gateway.LaneCommercial, 1, 0, 100)
		}
		settle(50 * time.Millisecond)
		late := b.src.add(gateway.LaneCommercial, 2, 0, 1)
		settle(100 * time.Millisecond)
		h := b.rec.of(late.Batch)
		if h.times != 1 || h.late > 25*time.Millisecond {
			t.Errorf("the small account's message: handled %d times, %s after it was due; want once, within 25ms of a 500-chunk campaign", h.times, h.late)
		}
		settle(10 * time.Second)
		b.end()
	})
}

func TestASlowAccountDoesNotHoldAllWorkers(t *testing.T) {
	for _, slow := range []gateway.AccountID{1, 3, 7} { // how many accounts are stuck
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, Config{})
			release := make(chan struct{})
			b.rec.hook = func(_ context.Context, c Chunk) (time.Duration, error) {
				if c.Account <= slow {
					<-release
				}
				return 0, nil
			}
			for a := gateway.AccountID(1); a <= slow; a++ {
				for range 200 {
					b.src.add(gateway.LaneCommercial, a, 0, 100)
				}
				settle(time.Second)
			}
			quick := b.src.add(gateway.LaneCommercial, 99, 0, 1)
			settle(time.Second)
			if b.rec.of(quick.Batch).times != 1 {
				t.Errorf("with %d stuck accounts the next one waits: %+v", slow, b.q.Snapshot().Lanes[gateway.LaneCommercial])
			}
			close(release)
			settle(time.Minute)
			b.end()
		})
	}
}

func TestACappedAccountGetsWhatOthersLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Workers: 20})
		stuck, release := make(chan struct{}), make(chan struct{})
		b.rec.hook = func(_ context.Context, c Chunk) (time.Duration, error) {
			switch {
			case c.Account == 1 && c.Refs[0].Batch%2 == 0: // half of its routes hang
				<-stuck
			case c.Account > 1:
				<-release
			}
			return 0, nil
		}
		for range 12 {
			for a := range gateway.AccountID(8) {
				b.src.add(gateway.LaneCommercial, 2+a, 0, 100)
			}
		}
		settle(time.Second)
		for range 4 { // its first chunk hangs, and there is no room for another
			b.src.add(gateway.LaneCommercial, 1, 0, 100)
		}
		settle(time.Second)
		close(release)
		settle(time.Second)
		if got := b.src.left(); got != 2 {
			t.Errorf("%d entries left, want the two that hang: one stuck chunk must not hold up its account for ever", got)
		}
		close(stuck)
		settle(time.Second)
		b.end()
		if err := b.rec.check(100, false); err != nil {
			t.Error(err)
		}
	})
}

func TestPauseLeavesTheAccountAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		start := time.Now()
		var mu sync.Mutex
		calls := map[gateway.AccountID][]time.Duration{}
		b.rec.hook = func(_ context.Context, c Chunk) (time.Duration, error) {
			mu.Lock()
			defer mu.Unlock()
			calls[c.Account] = append(calls[c.Account], time.Since(start))
			if c.Account == 1 && time.Since(start) < time.Second {
				return 7 * time.Second, nil
			}
			return 0, nil
		}
		b.tasks.delay = func() time.Duration { return 10 * time.Millisecond } // several are under way when the pause comes
		for range 20 {
			b.src.add(gateway.LaneTransactional, 1, 0, 20)
			b.src.add(gateway.LaneTransactional, 2, 0, 20)
		}
		settle(time.Minute)
		b.end()
		if err := b.rec.check(40, false); err != nil {
			t.Fatal(err)
		}
		early := 0
		for _, at := range calls[1] {
			if at > calls[1][0] && at < 7*time.Second { // one that started with the first could not know yet
				early++
			}
		}
		if early > 0 {
			t.Errorf("%d calls for the paused account before its pause ended, want only those that were under way", early)
		}
		if last := calls[2][len(calls[2])-1]; last > time.Second {
			t.Errorf("the other account was served until %s, want it unaffected", last)
		}
	})
}

func TestAFailedChunkComesAgainWithGrowingDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{})
		start := time.Now()
		var at []time.Duration
		b.rec.hook = func(context.Context, Chunk) (time.Duration, error) {
			at = append(at, time.Since(start))
			switch len(at) {
			case 1, 2, 3:
				return 0, errors.New("disk full")
			case 4:
				panic("a bug in the hand-off")
			}
			return 0, nil
		}
		b.src.add(gateway.LaneOTP, 1, 0, 1)
		settle(time.Minute)
		b.end()
		if err := b.rec.check(1, false); err != nil {
			t.Fatal(err)
		}
		if len(at) != 5 || at[1] < 100*time.Millisecond || at[2]-at[1] < 200*time.Millisecond || at[4] > 3*time.Second {
			t.Errorf("tries at %v, want five with doubling delays from 100ms", at)
		}
	})
}

func TestBufferedEntriesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Workers: 4})
		l := b.q.lanes[gateway.LaneCommercial]
		const accounts, each, bound = 60, 50, 700
		l.mu.Lock()
		l.policy.maxBuffered = bound
		l.mu.Unlock()
		release := make(chan struct{})
		b.rec.hook = func(context.Context, Chunk) (time.Duration, error) { <-release; return 0, nil }
		for a := range gateway.AccountID(accounts) {
			for range each {
				b.src.add(gateway.LaneCommercial, 1+a, 0, 60) // one entry a chunk
			}
		}
		settle(time.Minute)
		if got := l.snapshot(time.Now()); got.Buffered > bound || got.Outstanding != accounts {
			t.Errorf("got %d entries buffered and %d tasks, want at most %d and %d", got.Buffered, got.Outstanding, bound, accounts)
		}
		close(release)
		settle(time.Minute)
		b.end()
		if err := b.rec.check(accounts*each, false); err != nil {
			t.Fatal(err)
		}
	})
}

func TestAChunkIsTakenOncePerGeneration(t *testing.T) {
	q, err := New(Config{Instance: "test"})
	if err != nil {
		t.Fatal(err)
	}
	l, now := q.lanes[gateway.LaneOTP], time.Now()
	l.mu.Lock()
	c := &chunk{Chunk: Chunk{ID: 5, Account: 1, Refs: []gateway.DueRef{{Count: 1}}}, account: l.accountLocked(1), msgs: 1}
	l.launchLocked(c, now)
	l.shelveLocked(c)
	l.launchLocked(c, now) // generation 2
	l.mu.Unlock()
	steps := []struct {
		why   string
		id    uint64
		gen   uint32
		taken bool
	}{
		{"of the generation before", 5, 1, false},
		{"of a generation to come", 5, 3, false},
		{"of another chunk", 6, 2, false},
		{"of this generation", 5, 2, true},
		{"of this generation again", 5, 2, false},
	}
	for _, s := range steps {
		if got := l.take(s.id, s.gen, now, &q.handlers); (got != nil) != s.taken {
			t.Errorf("a task %s: taken %v, want %v", s.why, got != nil, s.taken)
		}
	}
	if got := l.snapshot(now); got.Stale != 4 || got.Running != 1 {
		t.Errorf("got %+v, want 4 stale and 1 running", got)
	}
	l.close()
	if l.take(5, 2, now, &q.handlers) != nil {
		t.Error("a chunk was taken while stopping")
	}
	l.finish(c, 0, nil, now)
	if got := l.snapshot(now); got.Outstanding != 0 || got.Running != 0 || l.active != 0 || l.accounts[1].inflight != 0 {
		t.Errorf("got %+v after the end, want nothing in flight", got)
	}
}

func TestFlushedTasksAreFoundSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Workers: 4})
		b.rec.hook = func(context.Context, Chunk) (time.Duration, error) {
			<-time.After(50 * time.Millisecond)
			return 0, nil
		}
		for a := range gateway.AccountID(100) {
			b.src.add(gateway.LaneCommercial, 1+a, 0, 100)
		}
		settle(75 * time.Millisecond)
		b.tasks.flush()
		if b.src.left() == 0 {
			t.Fatal("nothing was left to flush")
		}
		settle(5 * time.Second)
		b.end()
		if err := b.rec.check(100, false); err != nil {
			t.Error(err)
		}
		if got := b.q.Snapshot().Lanes[gateway.LaneCommercial].Requeued; got == 0 {
			t.Error("no task was queued again after a flush")
		}
	})
}

func TestWaitingTasksAreNotQueuedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Config{Workers: 4})
		b.rec.hook = func(context.Context, Chunk) (time.Duration, error) {
			<-time.After(time.Minute) // operators are slow; the tasks behind wait far longer than RequeueAfter
			return 0, nil
		}
		for a := range gateway.AccountID(20) {
			b.src.add(gateway.LaneCommercial, 1+a, 0, 100)
		}
		settle(10 * time.Minute)
		b.end()
		if err := b.rec.check(20, false); err != nil {
			t.Error(err)
		}
		if b.tasks.total != 20 {
			t.Errorf("%d tasks for 20 chunks, want no repeats: nothing was lost", b.tasks.total)
		}
	})
}
