package smppclient_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/gateway/smpptest"
)

// BenchmarkClient sends single-segment messages to a simulated operator over
// loopback, both in this process: reserve, commit, outcome.
func BenchmarkClient(b *testing.B) {
	for _, w := range []int{10, 100} {
		b.Run(fmt.Sprintf("window=%d", w), func(b *testing.B) {
			op := operator(b, smpptest.Config{Receipts: smpptest.Receipts{Off: true}})
			c, stop := client(b, op.Addr(), func(c *smppclient.Config) { c.Window = w }, nil)
			bind := c.Binds()[0]
			reserve(b, bind, 1, smppclient.OTP).Cancel()
			pdus := segments("905321234567", string(make([]byte, 160)))
			var left atomic.Int64
			left.Store(int64(b.N))
			done := make(chan struct{})
			outcome := func(_ int, o smppclient.Outcome) {
				if o.Status != smpp.StatusOK || o.Err != nil {
					b.Errorf("%+v", o)
				}
				if left.Add(-1) == 0 {
					close(done)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				if err := reserve(b, bind, 1, smppclient.Transactional).Commit(pdus, outcome); err != nil {
					b.Fatal(err)
				}
			}
			<-done
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.StopTimer()
			stop()
		})
	}
}
