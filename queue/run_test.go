package queue

import (
	"fmt"
	"testing"
	"time"

	"izinli/gateway"
)

func TestEveryEntryExactlyOnceWithoutFaults(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		r := newRig(t, Config{Redis: url})
		total := 0
		for i := range 300 { // before Run: found by listing the accounts
			r.src.add(allLanes[i%3], gateway.AccountID(1+i%7), 0, uint32(1+i%100))
			total++
		}
		r.run()
		for i := range 3000 {
			r.src.add(allLanes[i%3], gateway.AccountID(1+i%11), time.Duration(i%5)*40*time.Millisecond, uint32(1+i%3))
			total++
		}
		r.drained(30 * time.Second)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if err := r.rec.check(total, false); err != nil {
			t.Error(err)
		}
		// A task that waits for longer than healAge may be taken for lost and queued again, which makes the first one stale. Where
		// every entry was handled sooner, nothing can have waited so long.
		prompt := r.rec.latest() < healAge
		for _, l := range r.q.Snapshot().Lanes {
			t.Logf("%+v, every entry within %s: %t", l, healAge, prompt)
			if l.Outstanding != 0 || l.Waiting != 0 || l.Running != 0 || prompt && (l.Requeued != 0 || l.Stale != 0) {
				t.Errorf("lane %s is not at rest: %+v", l.Lane, l)
			}
		}
	})
}

func BenchmarkFeed(b *testing.B) {
	for _, backend := range []string{"embedded", "redis"} {
		for _, lane := range allLanes {
			b.Run(fmt.Sprintf("%s/%s", backend, lane), func(b *testing.B) {
				url := ""
				if backend == "redis" {
					url = startRedis(b).url()
				}
				r := newRig(b, Config{Redis: url})
				for range b.N {
					r.src.add(lane, 1, 0, 1)
				}
				b.ResetTimer()
				cpu := cpuTime()
				r.run()
				r.drained(time.Minute)
				b.StopTimer()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
				b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/float64(b.N), "cpu-µs/msg")
				n, _ := r.rec.count()
				b.ReportMetric(float64(b.N)/float64(n), "msg/task")
			})
		}
	}
}
