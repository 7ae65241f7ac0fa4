package queue

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"izinli/gateway"
)

// helperEnv makes the test binary the victim of TestDeliveryResumesAfterAKill.
const helperEnv = "QUEUE_TEST_VICTIM"

func TestMain(m *testing.M) {
	if url := os.Getenv(helperEnv); url != "" {
		victim(url)
		return
	}
	os.Exit(m.Run())
}

// victim starts work that never ends, says so, and waits to be killed.
func victim(url string) {
	q, err := New(Config{Instance: "test", Redis: url, OTPWorkers: 4, Workers: 4})
	if err != nil {
		panic(err)
	}
	src := newSource()
	src.wake = q.Wake
	rec := newRecorder(src)
	started := make(chan struct{}, 1000)
	rec.hook = func(ctx context.Context, _ Chunk) (time.Duration, error) {
		started <- struct{}{}
		<-ctx.Done()
		return 0, nil
	}
	fillVictim(src)
	go func() {
		for range 3 {
			<-started
		}
		fmt.Println("working")
	}()
	if err := q.Run(context.Background(), src, rec); err != nil {
		panic(err)
	}
}

func fillVictim(src *memSource) (total int) {
	for i := range 120 {
		src.add(allLanes[i%3], gateway.AccountID(1+i/3), 0, 10)
		total++
	}
	return total
}

func TestDeliveryResumesAfterAKill(t *testing.T) {
	s := startRedis(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+s.url())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || strings.TrimSpace(line) != "working" {
		t.Fatalf("victim said %q, %v", line, err)
	}
	c := s.client()
	defer c.Close()
	for _, l := range allLanes {
		eventually(t, 5*time.Second, "the victim has active and waiting tasks", func() bool {
			key := "asynq:{" + queueName("test", l) + "}:"
			return c.LLen(context.Background(), key+"active").Val() > 0 && c.LLen(context.Background(), key+"pending").Val() > 0
		})
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	start := time.Now()
	r := newRig(t, Config{Redis: s.url()})
	total := fillVictim(r.src)
	r.run()
	r.drained(5 * time.Second) // the promise is 5 s; asynq's own recovery would take a minute and more
	t.Logf("all delivered %s after the restart", time.Since(start))
	if err := r.rec.check(total, false); err != nil {
		t.Error(err)
	}
}

func TestFlushedRedis(t *testing.T) {
	s := startRedis(t)
	r := newRig(t, Config{Redis: s.url(), Workers: 4, OTPWorkers: 4})
	gate := make(chan struct{})
	r.rec.hook = func(context.Context, Chunk) (time.Duration, error) { <-gate; return 0, nil }
	total := 0
	for i := range 300 {
		r.src.add(allLanes[i%3], gateway.AccountID(1+i/3), 0, 10)
		total++
	}
	r.run()
	c := s.client()
	defer c.Close()
	for round := range 3 {
		eventually(t, 5*time.Second, "tasks wait in redis", func() bool {
			return c.LLen(context.Background(), "asynq:{izinli:test:commercial}:pending").Val() > 0
		})
		if err := c.FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		for range 30 * (round + 1) {
			gate <- struct{}{}
		}
	}
	close(gate)
	start := time.Now()
	r.drained(10 * time.Second)
	t.Logf("all delivered %s after the last flush", time.Since(start))
	if err := r.rec.check(total, false); err != nil {
		t.Error(err)
	}
	if r.q.Snapshot().Lanes[gateway.LaneCommercial].Requeued == 0 {
		t.Error("nothing was queued again")
	}
	// They are named again once what was lost is found, while the messages may be on their way already.
	eventually(t, 5*time.Second, "redis knows every queue after a flush", func() bool {
		return len(c.SMembers(context.Background(), "asynq:queues").Val()) == gateway.Lanes
	})
}

func TestKilledRedis(t *testing.T) {
	s := startRedis(t)
	r := newRig(t, Config{Redis: s.url()})
	r.rec.hook = func(context.Context, Chunk) (time.Duration, error) {
		<-time.After(5 * time.Millisecond)
		return 0, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	total := 0
	wg.Go(func() { // acceptance, which does not stop for Redis
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				r.src.add(allLanes[i%3], gateway.AccountID(1+i%9), 0, 1)
				total++
			}
		}
	})
	r.run()
	for range 2 {
		eventually(t, 5*time.Second, "healthy and busy", func() bool {
			_, n := r.rec.count()
			return r.q.Healthy() == nil && n > 100
		})
		s.kill()
		eventually(t, 5*time.Second, "the loss is told", func() bool { return r.q.Healthy() != nil })
		_, before := r.rec.count()
		eventually(t, 10*time.Second, "messages pile up", func() bool { return r.src.left() > 300 })
		s.start()
		start := time.Now()
		eventually(t, 5*time.Second, "delivery resumes", func() bool { _, n := r.rec.count(); return n > before+200 })
		t.Logf("delivery resumed %s after redis came back", time.Since(start))
	}
	cancel()
	wg.Wait()
	r.drained(10 * time.Second)
	if err := r.rec.check(total, false); err != nil {
		t.Error(err)
	}
}

func TestRedisAwayAtStart(t *testing.T) {
	s := startRedis(t)
	s.kill()
	r := newRig(t, Config{Redis: s.url()})
	if err := r.q.Healthy(); err == nil {
		t.Error("healthy before Run")
	}
	r.src.add(gateway.LaneOTP, 1, 0, 1)
	r.run()
	eventually(t, 5*time.Second, "the reason is told", func() bool {
		err := r.q.Healthy()
		return err != nil && strings.Contains(err.Error(), "redis")
	})
	s.start()
	r.drained(5 * time.Second)
	eventually(t, 5*time.Second, "healthy after recovery", func() bool { return r.q.Healthy() == nil })
}

// TestFullRedis covers a Redis that answers pings and refuses tasks.
func TestFullRedis(t *testing.T) {
	s := startRedis(t)
	c := s.client()
	defer c.Close()
	ctx := context.Background()
	r := newRig(t, Config{Redis: s.url()}).run()
	eventually(t, 5*time.Second, "healthy", func() bool { return r.q.Healthy() == nil })
	c.ConfigSet(ctx, "maxmemory", "1")
	r.src.add(gateway.LaneTransactional, 1, 0, 1)
	eventually(t, 5*time.Second, "the refusal is told", func() bool { return r.q.Healthy() != nil })
	c.ConfigSet(ctx, "maxmemory", "0")
	r.drained(5 * time.Second)
	eventually(t, 5*time.Second, "healthy again", func() bool { return r.q.Healthy() == nil })
}

func TestStaleTasksEndAtOnce(t *testing.T) {
	s := startRedis(t)
	r := newRig(t, Config{Redis: s.url()})
	block := make(chan struct{})
	r.rec.hook = func(ctx context.Context, _ Chunk) (time.Duration, error) {
		select {
		case <-block:
		case <-ctx.Done():
		}
		return 0, nil
	}
	r.run()
	r.src.add(gateway.LaneCommercial, 1, 0, 1)
	eventually(t, 5*time.Second, "the chunk runs", func() bool { return r.q.Snapshot().Lanes[gateway.LaneCommercial].Running == 1 })
	var id uint64
	l := r.q.lanes[gateway.LaneCommercial]
	l.mu.Lock()
	for id = range l.chunks {
	}
	l.mu.Unlock()

	c := s.client()
	defer c.Close()
	client := asynq.NewClientFromRedisClient(c)
	stale := [][]byte{
		payload{"test", gateway.LaneCommercial, id, 1}.encode(),     // running already
		payload{"test", gateway.LaneCommercial, id, 7}.encode(),     // of a generation that never was
		payload{"test", gateway.LaneCommercial, id + 9, 1}.encode(), // of no chunk
		payload{"other", gateway.LaneCommercial, id, 1}.encode(),    // of another store
		[]byte("not json"), {},
	}
	for _, p := range stale {
		if _, err := client.Enqueue(asynq.NewTask(taskType, p), asynq.Queue(queueName("test", gateway.LaneCommercial))); err != nil {
			t.Fatal(err)
		}
	}
	queue := "asynq:{" + queueName("test", gateway.LaneCommercial) + "}:"
	eventually(t, 6*time.Second, "the stale tasks are gone", func() bool {
		return c.LLen(context.Background(), queue+"pending").Val() == 0 && c.LLen(context.Background(), queue+"active").Val() == 1
	})
	if chunks, _ := r.rec.count(); chunks != 0 {
		t.Errorf("%d chunks processed, want none while the only one is held", chunks)
	}
	close(block)
	r.drained(5 * time.Second)
	if err := r.rec.check(1, false); err != nil {
		t.Error(err)
	}
	if n := c.Exists(context.Background(), queue+"retry", queue+"archived").Val(); n != 0 {
		t.Error("something was left to asynq's retries or archive")
	}
}

func TestIdleCostsRedisNearlyNothing(t *testing.T) {
	s := startRedis(t)
	r := newRig(t, Config{Redis: s.url()}).run()
	r.src.add(gateway.LaneOTP, 1, 0, 1)
	r.drained(5 * time.Second)
	c := s.client()
	defer c.Close()
	calls := func() (n int) {
		for line := range strings.SplitSeq(c.Info(context.Background(), "commandstats").Val(), "\r\n") {
			var calls int
			name, rest, _ := strings.Cut(line, ":")
			if _, err := fmt.Sscanf(rest, "calls=%d", &calls); err == nil && name == "cmdstat_evalsha" {
				n += calls
			}
		}
		return n
	}
	before := calls()
	<-time.After(4 * time.Second)
	// Two draws a second, heartbeats and the forwarder every five; asynq alone would make some thousands.
	if got := calls() - before; got > 40 {
		t.Errorf("%d scripts in 4 idle seconds, want a handful: does the gate still know asynq's dequeue command?", got)
	}
}
