package smppclient_test

import (
	"context"
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

// BenchmarkClientWithReceipts has every message reported and acknowledged.
func BenchmarkClientWithReceipts(b *testing.B) {
	op := operator(b, smpptest.Config{})
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	c, stop := client(b, op.Addr(), nil, handler(func(d smppclient.Delivery, ack func(smpp.CommandStatus)) {
		ack(smpp.StatusOK)
		if left.Add(-1) == 0 {
			close(done)
		}
	}))
	bind := c.Binds()[0]
	pdus := segments("905321234567", string(make([]byte, 160)))
	b.ReportAllocs()
	for range b.N {
		if err := reserve(b, bind, 1, smppclient.Transactional).Commit(pdus, func(int, smppclient.Outcome) {}); err != nil {
			b.Fatal(err)
		}
	}
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.StopTimer()
	stop()
}

type handler func(d smppclient.Delivery, ack func(smpp.CommandStatus))

func (h handler) Deliver(_ context.Context, d smppclient.Delivery, ack func(smpp.CommandStatus)) {
	h(d, ack)
}
