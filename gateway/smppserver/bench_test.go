package smppserver

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// committer is a Submitter that answers groups, as the store does: whoever
// comes while a commit runs shares the next one.
type committer struct {
	*world
	pause time.Duration // a commit takes this long; 0: answer at once
	mu    sync.Mutex
	wait  []chan struct{}
	wake  chan struct{}
}

func (c *committer) Submit(_ context.Context, s *gateway.Submission) (gateway.Result, error) {
	ref := gateway.BatchRef{Account: s.Principal.Account, Batch: c.ids.Next(time.Now())}
	if c.pause > 0 {
		ch := make(chan struct{})
		c.mu.Lock()
		c.wait = append(c.wait, ch)
		c.mu.Unlock()
		select {
		case c.wake <- struct{}{}:
		default:
		}
		<-ch
	}
	return gateway.Result{Batch: ref, Messages: []gateway.Verdict{{ID: ref.Message(0), State: gateway.StateQueued}}}, nil
}

func (c *committer) run(ctx context.Context) {
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		group := c.wait
		c.wait = nil
		c.mu.Unlock()
		<-time.After(c.pause)
		for _, ch := range group {
			close(ch)
		}
	}
}

// load keeps a bind's window full with submits.
type load struct {
	pdu  []byte
	free chan int // indexes that may be sent
	took func(time.Duration)
	done func()
}

func (l *load) AppendPDU(dst []byte, _ int, seq uint32) []byte {
	at := len(dst)
	dst = append(dst, l.pdu...)
	dst[at+12], dst[at+13], dst[at+14], dst[at+15] = byte(seq>>24), byte(seq>>16), byte(seq>>8), byte(seq)
	return dst
}

func (l *load) Answered(_ int, r smpplink.Result) {
	if r.Kind != smpplink.Answered || r.Header.Status != 0 {
		panic(r)
	}
	l.took(r.RTT)
	l.done()
	l.free <- 1
}

func benchSubmit(b *testing.B, pause time.Duration) {
	const binds, window = 4, 100
	w := newWorld()
	w.credential(gateway.Credential{Window: window})
	sub := &committer{world: w, pause: pause, wake: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go sub.run(ctx)
	r := serve(b, w, Config{}, nil)
	r.srv.deps.Submit = sub
	var left atomic.Int64
	left.Store(int64(b.N))
	finished := make(chan struct{})
	var mu sync.Mutex
	var rtts []time.Duration
	pdu := newSubmit("Sayin musterimiz, siparisiniz kargoya verilmistir. Takip numaraniz 1234567890.").AppendTo(nil, 1)
	var clients []*client
	for range binds {
		clients = append(clients, r.bound(smpp.BindTRX))
	}
	b.ReportAllocs()
	b.ResetTimer()
	var tickets atomic.Int64
	for _, c := range clients {
		l := &load{pdu: pdu, free: make(chan int, window), done: func() {
			if left.Add(-1) == 0 {
				close(finished)
			}
		}, took: func(d time.Duration) {
			mu.Lock()
			rtts = append(rtts, d)
			mu.Unlock()
		}}
		for range window {
			l.free <- 1
		}
		go func() {
			for range l.free {
				if tickets.Add(1) > int64(b.N) {
					return
				}
				if !c.link.Reserve(1) || c.link.SendBatch(smpp.SubmitSMID, 1, l) != nil {
					panic("no place")
				}
			}
		}()
	}
	<-finished
	b.StopTimer()
	slices.Sort(rtts)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64(rtts[len(rtts)*99/100].Microseconds())/1000, "p99-ms")
}

func BenchmarkSubmit(b *testing.B) {
	b.Run("at once", func(b *testing.B) { benchSubmit(b, 0) })
	b.Run("commit 3ms", func(b *testing.B) { benchSubmit(b, 3*time.Millisecond) })
}

// endless owes n receipts and forgets them without effort.
type endless struct {
	*world
	n    uint64
	done atomic.Int64
	all  chan struct{}
}

func (e *endless) Owed(_ context.Context, _ string, after uint64, limit int) ([]gateway.ReceiptDue, error) {
	out := make([]gateway.ReceiptDue, 0, limit)
	for q := after + 1; q <= e.n && len(out) < limit; q++ {
		r := receiptOf(int(q))
		r.Seq, r.Submitted, r.Done = q, time.Unix(1e9, 0), time.Unix(1e9+5, 0)
		out = append(out, r)
	}
	return out, nil
}

func (e *endless) OwedDone(_ string, seqs []uint64, done func(error)) {
	go func() {
		done(nil)
		if e.done.Add(int64(len(seqs))) == int64(e.n) {
			close(e.all)
		}
	}()
}

// taker answers every deliver_sm.
type taker struct{ buf []byte }

func (k *taker) HandlePDU(_ *smpplink.Link, h smpp.Header, _ []byte) {
	if h.ID == smpp.DeliverSMID {
		k.buf = (&smpp.DeliverSMResp{}).AppendTo(k.buf, h.Sequence)
	}
}

func (k *taker) EndBatch(l *smpplink.Link) {
	if len(k.buf) > 0 {
		l.Write(k.buf)
		k.buf = k.buf[:0]
	}
}

func BenchmarkDeliver(b *testing.B) {
	w := newWorld()
	e := &endless{world: w, n: uint64(b.N), all: make(chan struct{})}
	r := serve(b, w, Config{}, nil)
	r.srv.deps.Store = e
	b.ReportAllocs()
	b.ResetTimer()
	for range 4 {
		link := smpplink.New(r.dial(), smpplink.Config{}, &taker{})
		go link.Run(context.Background())
		ok := make(chan smpp.CommandStatus, 1)
		if err := link.Send(bindAs(testSystem, testSecret, 0x34), func(r smpplink.Result) { ok <- r.Header.Status }); err != nil || <-ok != 0 {
			b.Fatal("bind")
		}
		b.Cleanup(func() { link.Close(nil) })
	}
	<-e.all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
