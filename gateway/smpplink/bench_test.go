package smpplink

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"izinli/gateway/smpp"
)

// echo answers every submit_sm at once, as a server with nothing to do.
type echo struct {
	buf  []byte
	resp smpp.SubmitSMResp
	sm   smpp.SubmitSM
}

func (e *echo) HandlePDU(_ *Link, h smpp.Header, body []byte) {
	if err := e.sm.Decode(h, body); err != nil {
		e.buf = smpp.AppendRefusal(e.buf, h, smpp.StatusOf(err))
		return
	}
	e.resp.MessageID = e.sm.Dest.Addr
	e.buf = e.resp.AppendTo(e.buf, h.Sequence)
}

func (e *echo) EndBatch(l *Link) {
	l.Write(e.buf)
	e.buf = e.buf[:0]
}

// pump keeps the window full.
type pump struct {
	link *Link
	sm   smpp.SubmitSM
	wake chan struct{}
	left int // to be answered; the reader's
	done chan struct{}
}

func (p *pump) AppendPDU(dst []byte, _ int, seq uint32) []byte { return p.sm.AppendTo(dst, seq) }

func (p *pump) Answered(_ int, r Result) {
	if r.Kind != Answered || r.Header.Status != smpp.StatusOK {
		panic(fmt.Sprint(r.Kind, r.Header))
	}
	p.left--
	if p.left == 0 {
		close(p.done)
	}
}

func (p *pump) HandlePDU(*Link, smpp.Header, []byte) {}

func tcpPair(tb testing.TB) (net.Conn, net.Conn) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	b, err := ln.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	return a, b
}

func benchLink(b *testing.B, window int) {
	a, c := tcpPair(b)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	server := New(c, Config{}, &echo{})
	wg.Go(func() { server.Run(ctx) })

	p := &pump{wake: make(chan struct{}, 1), left: b.N, done: make(chan struct{}), sm: smpp.SubmitSM{
		Source: smpp.Address{TON: 5, Addr: []byte("ORNEK")}, Dest: smpp.Address{TON: 1, NPI: 1, Addr: []byte("905321234567")},
		RegisteredDelivery: 1, ShortMessage: bytes.Repeat([]byte("x"), 160)}}
	p.link = New(a, Config{Window: window, OnFree: func(int) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}}, p)
	wg.Go(func() { p.link.Run(ctx) })

	b.ReportAllocs()
	b.ResetTimer()
	for sent := 0; sent < b.N; {
		if !p.link.Reserve(1) {
			<-p.wake
			continue
		}
		if err := p.link.SendBatch(smpp.SubmitSMID, 1, p); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	<-p.done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	st := p.link.Stats()
	b.ReportMetric(float64(b.N)/float64(st.Writes), "pdu/write")
}

func BenchmarkLink(b *testing.B) {
	for _, w := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("window=%d", w), func(b *testing.B) { benchLink(b, w) })
	}
}
