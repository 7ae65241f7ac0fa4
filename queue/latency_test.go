package queue

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
)

// BenchmarkOTPLatency measures commit to handler for one-time passwords arriving one by one while commercial chunks run without end.
func BenchmarkOTPLatency(b *testing.B) {
	for _, backend := range []string{"embedded", "redis"} {
		b.Run(backend, func(b *testing.B) {
			url := ""
			if backend == "redis" {
				url = startRedis(b).url()
			}
			r := newRig(b, Config{Redis: url})
			var mu sync.Mutex
			sent := map[gateway.BatchID]time.Time{}
			var took []time.Duration
			arrived := make(chan struct{}, 1)
			r.rec.hook = func(_ context.Context, c Chunk) (time.Duration, error) {
				if c.Lane != gateway.LaneOTP {
					return 0, nil
				}
				now := time.Now()
				mu.Lock()
				for _, ref := range c.Refs {
					took = append(took, now.Sub(sent[ref.Batch]))
				}
				mu.Unlock()
				arrived <- struct{}{}
				return 0, nil
			}
			r.run()
			ctx, cancel := context.WithCancel(context.Background())
			var wg sync.WaitGroup
			wg.Go(func() { // 12 000 single messages a second
				tick := time.NewTicker(5 * time.Millisecond)
				defer tick.Stop()
				for {
					select {
					case <-ctx.Done():
						return
					case <-tick.C:
						for range 60 {
							r.src.add(gateway.LaneCommercial, 1, 0, 1)
						}
					}
				}
			})
			tick := time.NewTicker(7 * time.Millisecond)
			defer tick.Stop()
			b.ResetTimer()
			cpu := cpuTime()
			for range b.N {
				<-tick.C
				mu.Lock() // the handler looks the time up after it is stored
				now := time.Now()
				sent[r.src.add(gateway.LaneOTP, 1, 0, 1).Batch] = now
				mu.Unlock()
				<-arrived
			}
			b.StopTimer()
			b.ReportMetric(100*(cpuTime()-cpu).Seconds()/b.Elapsed().Seconds(), "%cpu")
			cancel()
			wg.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(took[len(took)-1].Microseconds()), "max-µs")
			s := r.q.Snapshot().Lanes[gateway.LaneCommercial]
			b.ReportMetric(float64(s.Messages)/float64(max(1, s.Chunks)), "msg/task")
		})
	}
}

// BenchmarkIdle measures what a queue with nothing to do costs this process; an iteration is a second.
func BenchmarkIdle(b *testing.B) {
	for _, backend := range []string{"embedded", "redis"} {
		b.Run(backend, func(b *testing.B) {
			url := ""
			if backend == "redis" {
				url = startRedis(b).url()
			}
			r := newRig(b, Config{Redis: url}).run()
			eventually(b, 5*time.Second, "healthy", func() bool { return r.q.Healthy() == nil })
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			b.ResetTimer()
			cpu := cpuTime()
			for range b.N {
				<-tick.C
			}
			b.ReportMetric(100*(cpuTime()-cpu).Seconds()/b.Elapsed().Seconds(), "%cpu")
		})
	}
}
