package smpplink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway/smpp"
)

// handlerFunc is a Handler made of a function.
type handlerFunc func(l *Link, h smpp.Header, body []byte)

func (f handlerFunc) HandlePDU(l *Link, h smpp.Header, body []byte) { f(l, h, body) }

// deaf takes requests and never answers.
var deaf = handlerFunc(func(*Link, smpp.Header, []byte) {})

// rig is a link inside a synctest bubble, with the test as its peer.
type rig struct {
	t     *testing.T
	link  *Link
	peer  net.Conn
	start time.Time
	ended chan error
	stop  context.CancelFunc
}

func newRig(t *testing.T, cfg Config, h Handler) *rig {
	t.Helper()
	a, b := net.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{t: t, link: New(a, cfg, h), peer: b, start: time.Now(), ended: make(chan error, 1), stop: cancel}
	go func() { r.ended <- r.link.Run(ctx) }()
	return r
}

// read returns the next PDU from the link.
func (r *rig) read() (smpp.Header, []byte) {
	r.t.Helper()
	h, body, err := readPDU(r.peer)
	if err != nil {
		r.t.Fatalf("peer reads: %v", err)
	}
	return h, body
}

func readPDU(c io.Reader) (smpp.Header, []byte, error) {
	head := make([]byte, smpp.HeaderLen)
	if _, err := io.ReadFull(c, head); err != nil {
		return smpp.Header{}, nil, err
	}
	h, err := smpp.ParseHeader(head, smpp.MaxPDU)
	if err != nil {
		return h, nil, err
	}
	body := make([]byte, h.Length-smpp.HeaderLen)
	_, err = io.ReadFull(c, body)
	return h, body, err
}

func (r *rig) write(p smpp.PDU, seq uint32) {
	r.t.Helper()
	r.raw(p.AppendTo(nil, seq))
}

func (r *rig) raw(b []byte) {
	r.t.Helper()
	if _, err := r.peer.Write(b); err != nil {
		r.t.Fatalf("peer writes: %v", err)
	}
}

func (r *rig) wantEnd(want error, after time.Duration) {
	r.t.Helper()
	err := <-r.ended
	if !errors.Is(err, want) {
		r.t.Errorf("link ended with %v, want %v", err, want)
	}
	if got := time.Since(r.start); got != after {
		r.t.Errorf("link ended after %v, want %v", got, after)
	}
}

// swallow reads and drops what the link writes.
func (r *rig) swallow() { go io.Copy(io.Discard, r.peer) }

func submit(text string) *smpp.SubmitSM {
	return &smpp.SubmitSM{Dest: smpp.Address{TON: 1, NPI: 1, Addr: []byte("905321234567")}, ShortMessage: []byte(text)}
}

func TestBindTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newRig(t, Config{}, deaf).wantEnd(ErrNotBound, 30*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // the twin that binds lives on
		r := newRig(t, Config{Timers: smpp.TimerConfig{EnquireLink: -1}}, deaf)
		r.link.Bound()
		r.wantEnd(ErrSilent, 300*time.Second) // until inactivity ends it
	})
}

func TestEnquireLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}, deaf)
		r.link.Bound()
		for _, at := range []time.Duration{30 * time.Second, 60 * time.Second} {
			if h, _ := r.read(); h.ID != smpp.EnquireLinkID || time.Since(r.start) != at {
				t.Errorf("%s after %v, want enquire_link after %v", h.ID, time.Since(r.start), at)
			}
		}
		r.wantEnd(ErrSilent, 90*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // a peer that answers is kept
		r := newRig(t, Config{}, deaf)
		r.link.Bound()
		for range 20 {
			h, _ := r.read()
			r.write(&smpp.EnquireLinkResp{}, h.Sequence)
		}
		if got := time.Since(r.start); got != 600*time.Second {
			t.Errorf("twenty probes took %v", got)
		}
		r.peer.Close()
		r.wantEnd(ErrPeerClosed, 600*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // and is answered itself
		r := newRig(t, Config{}, deaf)
		r.write(&smpp.EnquireLink{}, 0xFFFFFFF0)
		if h, _ := r.read(); h.ID != smpp.EnquireLinkRespID || h.Sequence != 0xFFFFFFF0 {
			t.Errorf("got %+v", h)
		}
		r.stop()
		r.wantEnd(context.Canceled, 0)
	})
}

func TestResponseTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var strays, freed atomic.Int64
		r := newRig(t, Config{
			Timers:  smpp.TimerConfig{Bind: -1},
			OnStray: func(smpp.Header, []byte) { strays.Add(1) },
			OnFree:  func(n int) { freed.Add(int64(n)) },
		}, deaf)
		results := make(chan Result, 2)
		for range 2 {
			if err := r.link.Send(submit("x"), func(res Result) { results <- res }); err != nil {
				t.Fatal(err)
			}
		}
		h1, _ := r.read()
		h2, _ := r.read()
		time.Sleep(29 * time.Second) // fake time
		r.write(&smpp.SubmitSMResp{MessageID: []byte("7")}, h1.Sequence)
		if res := <-results; res.Kind != Answered || res.RTT != 29*time.Second {
			t.Errorf("got %v after %v", res.Kind, res.RTT)
		}
		if res := <-results; res.Kind != TimedOut || res.RTT != 30*time.Second {
			t.Errorf("got %v after %v, want timed out after 30 s", res.Kind, res.RTT)
		}
		r.write(&smpp.SubmitSMResp{MessageID: []byte("8")}, h2.Sequence)
		synctest.Wait()
		if strays.Load() != 1 || freed.Load() != 2 || r.link.Stats().TimedOut != 1 {
			t.Errorf("late response: %d strays, %d freed", strays.Load(), freed.Load())
		}
		r.stop()
		<-r.ended
	})
}

func TestSlowPDU(t *testing.T) {
	for _, c := range []struct {
		why   string
		every time.Duration // between octets; 0: nothing after the first
	}{{"stops in the header", 0}, {"trickles", 3 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Config{}, deaf)
			pdu := submit("hello").AppendTo(nil, 1)
			r.raw(pdu[:1])
			for i := 1; c.every > 0; i++ {
				time.Sleep(c.every)
				if _, err := r.peer.Write(pdu[i : i+1]); err != nil {
					break
				}
			}
			if err := <-r.ended; !errors.Is(err, ErrSlowPDU) {
				t.Errorf("%s: %v", c.why, err)
			}
			if got := time.Since(r.start); got > 12*time.Second {
				t.Errorf("%s: took %v", c.why, got)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // cut anywhere, but in time
		got := make(chan string, 10)
		r := newRig(t, Config{Timers: smpp.TimerConfig{Bind: -1}}, handlerFunc(func(_ *Link, h smpp.Header, body []byte) {
			var m smpp.SubmitSM
			if err := m.Decode(h, body); err != nil {
				t.Error(err)
			}
			got <- string(m.ShortMessage)
		}))
		for range 3 {
			pdu := submit("hello").AppendTo(nil, 1)
			for len(pdu) > 0 {
				n := min(7, len(pdu))
				r.raw(pdu[:n])
				pdu = pdu[n:]
				time.Sleep(time.Second)
			}
			if s := <-got; s != "hello" {
				t.Errorf("got %q", s)
			}
		}
		r.stop()
		<-r.ended
	})
}

func TestLargePDU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan int, 3)
		r := newRig(t, Config{ReadBuffer: 600}, handlerFunc(func(_ *Link, h smpp.Header, body []byte) { got <- len(body) }))
		m := submit("")
		m.TLVs = m.TLVs.Append(smpp.TagMessagePayload, bytes.Repeat([]byte("x"), 60000))
		big := m.AppendTo(nil, 1)
		r.raw(append(bytes.Clone(big), submit("after").AppendTo(nil, 2)...))
		if n := <-got; n != len(big)-smpp.HeaderLen {
			t.Errorf("got %d octets of %d", n, len(big)-smpp.HeaderLen)
		}
		<-got
		r.stop()
		<-r.ended
	})
}

func TestFramingLost(t *testing.T) {
	for why, pdu := range map[string]string{
		"too short": "\x00\x00\x00\x0f\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x09",
		"too long":  "\x7f\x00\x00\x00\x00\x00\x00\x15\x00\x00\x00\x00\x00\x00\x00\x09",
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, Config{}, deaf)
			r.write(&smpp.EnquireLink{}, 1) // a good one before
			r.read()
			r.raw([]byte(pdu))
			if h, _ := r.read(); h.ID != smpp.GenericNackID || h.Status != smpp.StatusInvCmdLen || h.Sequence != 9 {
				t.Errorf("%s: got %+v", why, h)
			}
			if _, _, err := readPDU(r.peer); err != io.EOF {
				t.Errorf("%s: connection stays open: %v", why, err)
			}
			var fe *smpp.FramingError
			if err := <-r.ended; !errors.As(err, &fe) {
				t.Errorf("%s: ended with %v", why, err)
			}
		})
	}
}

// TestLastWordsArrive: over TCP, unread input must not reset the connection
// before the peer has read the generic_nack.
func TestLastWordsArrive(t *testing.T) {
	a, b := tcpPair(t)
	l := New(a, Config{}, deaf)
	ended := make(chan error, 1)
	go func() { ended <- l.Run(t.Context()) }()
	b.Write(bytes.Repeat([]byte("GET / HTTP/1.1\r\n"), 1000))
	if h, _, err := readPDU(b); err != nil || h.ID != smpp.GenericNackID {
		t.Errorf("got %+v, %v", h, err)
	}
	if _, err := io.ReadAll(b); err != nil {
		t.Errorf("the connection was reset: %v", err)
	}
	b.Close()
	<-ended
}

func TestUnknownCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}, deaf)
		r.raw(smpp.AppendHeader(nil, smpp.Header{ID: 0x00010123, Sequence: 77}, 0))
		if h, _ := r.read(); h.ID != smpp.GenericNackID || h.Status != smpp.StatusInvCmdID || h.Sequence != 77 {
			t.Errorf("got %+v", h)
		}
		r.raw(smpp.AppendHeader(nil, smpp.Header{ID: 0x80010123, Sequence: 78}, 0)) // a response: no answer
		r.write(&smpp.EnquireLink{}, 79)
		if h, _ := r.read(); h.ID != smpp.EnquireLinkRespID || h.Sequence != 79 {
			t.Errorf("the session did not go on: %+v", h)
		}
		if owed := r.link.Stats().Owed; owed != 0 {
			t.Errorf("owed %d, want 0", owed)
		}
		r.stop()
		<-r.ended
	})
}

func TestGenericNackAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}, deaf)
		got := make(chan Result, 1)
		r.link.Send(submit("x"), func(res Result) { got <- res })
		h, _ := r.read()
		r.write(&smpp.DeliverSMResp{}, h.Sequence) // wrong kind: not an answer
		r.write(&smpp.GenericNack{Status: smpp.StatusInvCmdID}, h.Sequence)
		if res := <-got; res.Kind != Answered || res.Header.ID != smpp.GenericNackID || res.Header.Status != smpp.StatusInvCmdID {
			t.Errorf("got %+v", res)
		}
		r.stop()
		<-r.ended
	})
}

func TestPeerDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // net.Pipe has no buffer: the first write stands
		var room atomic.Int64
		r := newRig(t, Config{WriteBuffer: 2000, RequestSize: 500, Window: 100, OnFree: func(n int) {
			if n == 0 {
				room.Add(1)
			}
		}}, deaf)
		if err := r.link.Push(submit(strings.Repeat("x", 200)).AppendTo(nil, 1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // the writer holds the first one
		n := 0
		for r.link.Reserve(1) {
			n++
		}
		if n != 4 {
			t.Errorf("reserved %d requests of 500 octets in a buffer of 2000", n)
		}
		r.read() // the peer wakes up: room is told
		for range n {
			r.link.Unreserve(1)
		}
		if err := r.link.Push(submit("y").AppendTo(nil, 2)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if room.Load() != 1 {
			t.Errorf("OnFree(0) came %d times, want 1", room.Load())
		}
		if err := <-r.ended; !errors.Is(err, io.ErrClosedPipe) && !strings.Contains(err.Error(), "timeout") {
			t.Errorf("ended with %v", err)
		}
		if got := time.Since(r.start); got != 10*time.Second {
			t.Errorf("write time-out after %v, want 10 s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) { // Push never waits
		r := newRig(t, Config{WriteBuffer: 1000}, deaf)
		pdu := submit(strings.Repeat("x", 100)).AppendTo(nil, 1)
		var err error
		for err == nil {
			err = r.link.Push(pdu)
		}
		if !errors.Is(err, ErrClosed) || time.Since(r.start) != 0 {
			t.Errorf("Push: %v after %v", err, time.Since(r.start))
		}
		if err := <-r.ended; !errors.Is(err, ErrSlowPeer) {
			t.Errorf("ended with %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // Write waits and goes on
		r := newRig(t, Config{WriteBuffer: 1000}, deaf)
		pdu := submit(strings.Repeat("x", 100)).AppendTo(nil, 1)
		wrote := make(chan error, 1)
		go func() {
			var err error
			for range 100 {
				err = errors.Join(err, r.link.Write(pdu))
			}
			wrote <- err
		}()
		synctest.Wait()
		if st := r.link.Stats(); st.Stalls == 0 || st.Buffered > 1000 {
			t.Errorf("%d stalls, %d octets wait", st.Stalls, st.Buffered)
		}
		for range 100 {
			r.read()
		}
		if err := <-wrote; err != nil {
			t.Errorf("Write: %v", err)
		}
		r.stop()
		<-r.ended
	})
}

func TestPeerUnbinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // waits for the answers we owe
		asked := make(chan smpp.Header, 1)
		r := newRig(t, Config{Timers: smpp.TimerConfig{Bind: -1}}, handlerFunc(func(_ *Link, h smpp.Header, _ []byte) { asked <- h }))
		r.write(submit("x"), 5)
		h := <-asked
		r.write(&smpp.Unbind{}, 6)
		r.write(submit("too late"), 7)
		if got, _ := r.read(); got.ID != smpp.SubmitSMRespID || got.Status != smpp.StatusInvBindStatus || got.Sequence != 7 {
			t.Errorf("a request after unbind: %+v", got)
		}
		time.Sleep(3 * time.Second)
		if r.link.Reserve(1) {
			t.Error("reserved on a leaving link")
		}
		r.link.Push((&smpp.SubmitSMResp{}).AppendTo(nil, h.Sequence))
		if got, _ := r.read(); got.ID != smpp.SubmitSMRespID || got.Sequence != 5 {
			t.Errorf("got %+v, want the response owed", got)
		}
		if got, _ := r.read(); got.ID != smpp.UnbindRespID || got.Sequence != 6 {
			t.Errorf("got %+v, want unbind_resp", got)
		}
		r.wantEnd(nil, 3*time.Second)
	})
	synctest.Test(t, func(t *testing.T) { // but not for ever
		r := newRig(t, Config{Timers: smpp.TimerConfig{Bind: -1}}, deaf)
		r.write(submit("x"), 5)
		r.write(&smpp.Unbind{}, 6)
		if got, _ := r.read(); got.ID != smpp.UnbindRespID {
			t.Errorf("got %+v", got)
		}
		r.wantEnd(nil, 5*time.Second)
	})
}

func TestUnbind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // waits for the responses we are owed
		r := newRig(t, Config{}, deaf)
		var kinds []Kind
		r.link.Send(submit("x"), func(res Result) { kinds = append(kinds, res.Kind) })
		h, _ := r.read()
		gone := make(chan error, 1)
		go func() { gone <- r.link.Unbind(context.Background()) }()
		synctest.Wait()
		if r.link.Reserve(1) {
			t.Error("reserved on a leaving link")
		}
		time.Sleep(2 * time.Second)
		r.write(&smpp.SubmitSMResp{}, h.Sequence)
		u, _ := r.read()
		if u.ID != smpp.UnbindID {
			t.Errorf("got %+v", u)
		}
		if err := r.link.SendBatch(smpp.SubmitSMID, 1, &single{submit("y"), nil}); !errors.Is(err, ErrClosed) {
			t.Errorf("SendBatch after unbind: %v", err)
		}
		r.write(&smpp.UnbindResp{}, u.Sequence)
		if err := <-gone; err != nil {
			t.Errorf("Unbind: %v", err)
		}
		r.wantEnd(nil, 2*time.Second)
		if len(kinds) != 1 || kinds[0] != Answered {
			t.Errorf("callbacks %v", kinds)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a peer that never answers is left behind
		r := newRig(t, Config{}, deaf)
		r.swallow()
		var kinds []Kind
		r.link.Send(submit("x"), func(res Result) { kinds = append(kinds, res.Kind) })
		ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
		defer cancel()
		if err := r.link.Unbind(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Unbind: %v", err)
		}
		r.wantEnd(context.DeadlineExceeded, 4*time.Second)
		if len(kinds) != 1 || kinds[0] != Lost {
			t.Errorf("callbacks %v", kinds)
		}
	})
}

func TestPanicEndsTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{}, handlerFunc(func(*Link, smpp.Header, []byte) { panic("boom") }))
		r.swallow()
		r.write(submit("x"), 1)
		if err := <-r.ended; err == nil || !strings.Contains(err.Error(), "boom") {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestSendAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 2}, deaf)
		r.swallow()
		never := func(res Result) { t.Errorf("called with %v", res.Kind) }
		if !r.link.Reserve(1) {
			t.Fatal("no place")
		}
		results := make(chan Result, 1)
		if err := r.link.Send(submit("x"), func(res Result) { results <- res }); err != nil {
			t.Fatal(err)
		}
		if err := r.link.Send(submit("x"), never); !errors.Is(err, ErrWindow) {
			t.Errorf("full window: %v", err)
		}
		r.stop()
		<-r.ended
		if res := <-results; res.Kind != Lost {
			t.Errorf("got %v, want lost", res.Kind)
		}
		if err := r.link.Send(submit("x"), never); !errors.Is(err, ErrClosed) {
			t.Errorf("Send: %v", err)
		}
		if err := r.link.SendBatch(smpp.SubmitSMID, 1, &single{submit("x"), never}); !errors.Is(err, ErrClosed) {
			t.Errorf("SendBatch: %v", err)
		}
		if err := r.link.Push(nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Push: %v", err)
		}
	})
}
