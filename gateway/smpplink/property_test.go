package smpplink

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway/smpp"
)

// ledger counts the callbacks of one batch.
type ledger struct {
	mu    sync.Mutex
	calls []int
	kinds []Kind // of the calls; Answered until then
	late  []int
	tag   uint32
	wrong string // what came out of order
}

func (b *ledger) AppendPDU(dst []byte, i int, seq uint32) []byte {
	var text [8]byte
	binary.BigEndian.PutUint32(text[:], b.tag)
	binary.BigEndian.PutUint32(text[4:], uint32(i))
	m := smpp.SubmitSM{ShortMessage: text[:]}
	return m.AppendTo(dst, seq)
}

func (b *ledger) Answered(i int, r Result) {
	b.mu.Lock()
	b.calls[i]++
	if r.Kind == TimedOut && rand.IntN(2) == 0 {
		runtime.Gosched() // let a late response overtake, if it can
	}
	b.kinds[i] = r.Kind
	b.mu.Unlock()
}

func (b *ledger) AnsweredLate(i int, r Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.late[i]++
	if b.calls[i] != 1 || b.kinds[i] != TimedOut || r.Kind != Answered || r.RTT < 2*time.Second || b.late[i] > 1 {
		b.wrong = fmt.Sprintf("late answer %d after %d calls, the last %s, RTT %v", b.late[i], b.calls[i], b.kinds[i], r.RTT)
	}
}

func newLedger(n int, tag uint32) *ledger {
	return &ledger{calls: make([]int, n), kinds: make([]Kind, n), late: make([]int, n), tag: tag}
}

// TestExactlyOneCallback sends batches from several goroutines to a peer that
// answers some, twice some, late some, never some, in any order, and then
// goes, is unbound or is cut off at a random moment.
func TestExactlyOneCallback(t *testing.T) {
	for round := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { oneRound(t, round) })
	}
}

func oneRound(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	a, b := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	window := 1 + rng.IntN(20)
	l := New(a, Config{Window: window, ResponseTimeout: 2 * time.Second, Timers: smpp.TimerConfig{Bind: -1}}, deaf)
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	var peers sync.WaitGroup
	peers.Go(func() { unreliable(b, rand.New(rand.NewPCG(seed, 8))) })

	var sent []*ledger
	var mu sync.Mutex
	var senders sync.WaitGroup
	for s := range 4 {
		rng := rand.New(rand.NewPCG(seed, uint64(100+s)))
		senders.Go(func() {
			for k := range 30 {
				n := 1 + rng.IntN(min(4, window))
				if !l.Reserve(n) {
					time.Sleep(time.Duration(1+rng.IntN(300)) * time.Millisecond)
					continue
				}
				if rng.IntN(10) == 0 {
					l.Unreserve(n)
					continue
				}
				x := newLedger(n, uint32(s*1000+k))
				if l.SendBatch(smpp.SubmitSMID, n, x) == nil {
					mu.Lock()
					sent = append(sent, x)
					mu.Unlock()
				} else {
					x.calls = nil
				}
			}
		})
	}
	time.Sleep(time.Duration(rng.IntN(6000)) * time.Millisecond)
	switch rng.IntN(4) {
	case 0:
		b.Close()
	case 1:
		cancel()
	case 2:
		uctx, ucancel := context.WithTimeout(ctx, time.Duration(rng.IntN(4000))*time.Millisecond)
		l.Unbind(uctx)
		ucancel()
	case 3:
		senders.Wait()
		time.Sleep(5 * time.Second)
		cancel()
	}
	<-ended
	b.Close()
	peers.Wait()
	senders.Wait()
	cancel()

	var lates uint64
	for _, x := range sent {
		for i, n := range x.calls {
			if n != 1 {
				t.Errorf("seed %d: request %d.%d had %d callbacks", seed, x.tag, i, n)
			}
			lates += uint64(x.late[i])
		}
		if x.wrong != "" {
			t.Errorf("seed %d: request %d: %s", seed, x.tag, x.wrong)
		}
	}
	if st := l.Stats(); st.InFlight != 0 || st.Late != lates {
		t.Errorf("seed %d: %d in flight after the end, %d late answers of which %d were told", seed, st.InFlight, st.Late, lates)
	}
}

// unreliable reads requests and treats each by chance; segments of a batch
// must arrive one after the other.
func unreliable(c net.Conn, rng *rand.Rand) {
	var late [][]byte
	for {
		h, _, err := readPDU(c)
		if err != nil {
			return
		}
		var out []byte
		switch {
		case h.ID == smpp.UnbindID:
			out = (&smpp.UnbindResp{}).AppendTo(nil, h.Sequence)
		case h.ID != smpp.SubmitSMID:
			continue
		default:
			resp := (&smpp.SubmitSMResp{MessageID: []byte("1")}).AppendTo(nil, h.Sequence)
			switch rng.IntN(6) {
			case 0: // never
			case 1: // twice
				out = append(bytes.Clone(resp), resp...)
			case 2: // later
				late = append(late, resp)
			case 3:
				out = (&smpp.GenericNack{Status: smpp.StatusSysErr}).AppendTo(nil, h.Sequence)
			default:
				out = resp
			}
		}
		if len(late) > 0 && rng.IntN(3) == 0 {
			time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
			i := rng.IntN(len(late))
			out = append(out, late[i]...)
			late = append(late[:i], late[i+1:]...)
		}
		if len(out) > 0 {
			if _, err := c.Write(out); err != nil {
				return
			}
		}
	}
}

// TestBatchesStayTogether: segments of one message are neighbours on the wire
// although many goroutines send.
func TestBatchesStayTogether(t *testing.T) {
	a, b := tcpPair(t)
	ctx, cancel := context.WithCancel(context.Background())
	l := New(a, Config{Window: 2000}, deaf)
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	const senders, batches, segments = 8, 20, 5
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for k := range batches {
				x := newLedger(segments, uint32(s*1000+k))
				if !l.Reserve(segments) || l.SendBatch(smpp.SubmitSMID, segments, x) != nil {
					t.Error("no place")
				}
			}
		})
	}
	for range senders * batches {
		var tag uint32
		for i := range segments {
			h, body, err := readPDU(b)
			if err != nil {
				t.Fatal(err)
			}
			var m smpp.SubmitSM
			if err := m.Decode(h, body); err != nil {
				t.Fatal(err)
			}
			got := binary.BigEndian.Uint32(m.ShortMessage)
			if i == 0 {
				tag = got
			}
			if got != tag || binary.BigEndian.Uint32(m.ShortMessage[4:]) != uint32(i) {
				t.Fatalf("segment %d of %d arrived as %d of %d", i, tag, m.ShortMessage[7], got)
			}
		}
	}
	wg.Wait()
	cancel()
	<-ended
	io.Copy(io.Discard, b)
	b.Close()
}
