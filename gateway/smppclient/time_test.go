package smppclient_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smppclient"
	"izinli/gateway/smpptest"
)

// scripted answers binds with OK and each submit_sm as answer says; false is
// no answer.
func scripted(answer func(n int) (smpp.CommandStatus, bool)) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		n := 0
		for {
			h, _, err := readPDU(conn)
			if err != nil {
				return
			}
			var p smpp.PDU
			switch h.ID {
			case smpp.BindTransceiverID:
				p = &smpp.BindResp{}
			case smpp.SubmitSMID:
				st, ok := answer(n)
				n++
				if !ok {
					continue
				}
				p = &smpp.SubmitSMResp{Status: st}
			case smpp.EnquireLinkID:
				p = &smpp.EnquireLinkResp{}
			case smpp.UnbindID:
				p = &smpp.UnbindResp{}
			default:
				continue
			}
			if _, err := conn.Write(p.AppendTo(nil, h.Sequence)); err != nil {
				return
			}
		}
	}
}

func TestThrottlePauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		script := []smpp.CommandStatus{smpp.StatusThrottled, smpp.StatusThrottled, smpp.StatusThrottled, smpp.StatusOK,
			smpp.StatusThrottled, smpp.StatusOK, smpp.StatusMsgQueueFull, smpp.StatusMsgQueueFull, smpp.StatusOK}
		pauses := []time.Duration{1, 2, 4, 0, 1, 0, 5, 10, 0}
		c, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
			cfg.Dial = pipeDial(scripted(func(n int) (smpp.CommandStatus, bool) { return script[n], true }))
		}, nil)
		b := c.Binds()[0]
		for i, want := range script {
			if o := send(t, b, segments("905", "x"))[0]; o.Status != want {
				t.Errorf("step %d: %+v", i, o)
			}
			synctest.Wait()
			began := time.Now()
			reserve(t, b, 1, smppclient.OTP).Cancel() // waits on Ready
			if got := time.Since(began); got != pauses[i]*time.Second {
				t.Errorf("step %d, %s: paused %v, want %v s", i, want, got, pauses[i])
			}
			time.Sleep(time.Millisecond) // so that the next is sent after the pause began
		}
		if s := b.Snapshot(); s.Pauses != 6 || s.ThrottledUntil.After(time.Now()) {
			t.Errorf("%+v", s)
		}
		stop()
	})
}

// TestOneWindowOnePause: a window full of ESME_RTHROTTLED is one refusal.
func TestOneWindowOnePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
			cfg.Dial = pipeDial(scripted(func(int) (smpp.CommandStatus, bool) { return smpp.StatusThrottled, true }))
		}, nil)
		b := c.Binds()[0]
		send(t, b, segments("905", "1", "2", "3", "4", "5", "6", "7", "8"))
		synctest.Wait()
		began := time.Now()
		reserve(t, b, 1, smppclient.OTP).Cancel()
		if got := time.Since(began); got != time.Second {
			t.Errorf("paused %v, want 1 s", got)
		}
		stop()
	})
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
			cfg.RatePerSecond = 50
			cfg.Dial = pipeDial(scripted(func(int) (smpp.CommandStatus, bool) { return smpp.StatusOK, true }))
		}, nil)
		b := c.Binds()[0]
		reserve(t, b, 1, smppclient.OTP).Cancel()
		for _, lane := range []struct {
			lane smppclient.Lane
			want float64
		}{{smppclient.Transactional, 50}, {smppclient.Commercial, 40}} {
			began := time.Now()
			for range 400 {
				if err := reserve(t, b, 1, lane.lane).Commit(segments("905", "x"), func(int, smppclient.Outcome) {}); err != nil {
					t.Fatal(err)
				}
			}
			if got := 400 / time.Since(began).Seconds(); got < lane.want*0.98 || got > lane.want*1.02 {
				t.Errorf("lane %d: %.1f a second, want %.0f", lane.lane, got, lane.want)
			}
		}
		// A message larger than the burst goes at once and is paid for later.
		time.Sleep(time.Second)
		if err := reserve(t, b, 20, smppclient.OTP).Commit(segments("905", make([]string, 20)...), func(int, smppclient.Outcome) {}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		reserve(t, b, 1, smppclient.OTP).Cancel()
		if got := time.Since(began).Round(time.Millisecond); got != 320*time.Millisecond { // (20 − 5 + 1) / 50
			t.Errorf("debt took %v to pay, want 320 ms", got)
		}
		stop()
	})
}

// TestOTPPassesACampaign: with the commercial lane asking all the time, a code
// finds tokens and places at once.
func TestOTPPassesACampaign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
			cfg.RatePerSecond, cfg.Window = 100, 10
			cfg.Dial = pipeDial(scripted(func(int) (smpp.CommandStatus, bool) { return smpp.StatusOK, true }))
		}, nil)
		b := c.Binds()[0]
		reserve(t, b, 1, smppclient.OTP).Cancel()
		campaign, done := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			for campaign.Err() == nil {
				if r, ok := b.TryReserve(1, smppclient.Commercial); ok {
					r.Commit(segments("905", "x"), func(int, smppclient.Outcome) {})
					continue
				}
				select {
				case <-b.Ready():
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
		time.Sleep(10 * time.Second) // the campaign has long been at its limit
		if b.InShare(5, smppclient.Commercial) || !b.InShare(5, smppclient.OTP) {
			t.Error("want the campaign's share of the rate used up, and no other's")
		}
		for range 15 { // fewer than its share leaves free
			r, ok := b.TryReserve(1, smppclient.OTP)
			if !ok {
				t.Fatal("an OTP had to wait")
			}
			r.Commit(segments("905", "x"), func(int, smppclient.Outcome) {})
			time.Sleep(100 * time.Millisecond)
		}
		done()
		wg.Wait()
		stop()
	})
}

func TestTimeoutOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
			cfg.Dial = pipeDial(scripted(func(n int) (smpp.CommandStatus, bool) { return smpp.StatusOK, n > 0 }))
		}, nil)
		o := send(t, c.Binds()[0], segments("905", "1", "2"))
		if !errors.Is(o[0].Err, smppclient.ErrTimeout) || o[0].RTT < 30*time.Second || o[0].RTT > 32*time.Second {
			t.Errorf("%+v", o[0])
		}
		if o[1].Err != nil {
			t.Errorf("%+v", o[1])
		}
		stop()
	})
}

// What the operator says of a segment after the time-out is told as a second outcome, with the id its receipt will bear.
func TestLateOutcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(conn net.Conn) { // an answer takes 45 s
			defer conn.Close()
			for {
				h, _, err := readPDU(conn)
				if err != nil {
					return
				}
				var p smpp.PDU
				switch h.ID {
				case smpp.BindTransceiverID:
					p = &smpp.BindResp{}
				case smpp.SubmitSMID:
					time.AfterFunc(45*time.Second, func() {
						conn.Write((&smpp.SubmitSMResp{MessageID: []byte("2A")}).AppendTo(nil, h.Sequence))
					})
					continue
				case smpp.EnquireLinkID:
					p = &smpp.EnquireLinkResp{}
				case smpp.UnbindID:
					p = &smpp.UnbindResp{}
				}
				if _, err := conn.Write(p.AppendTo(nil, h.Sequence)); err != nil {
					return
				}
			}
		}
		c, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
			cfg.Dial = pipeDial(slow)
			cfg.ResponseID = smpp.IDHexToDec
		}, nil)
		outcomes := make(chan smppclient.Outcome, 3)
		err := reserve(t, c.Binds()[0], 1, smppclient.OTP).Commit(segments("905", "1"), func(_ int, o smppclient.Outcome) { outcomes <- o })
		if err != nil {
			t.Fatal(err)
		}
		if o := <-outcomes; !errors.Is(o.Err, smppclient.ErrTimeout) || o.Late {
			t.Errorf("first outcome %+v", o)
		}
		if o := <-outcomes; o.Err != nil || !o.Late || o.MessageID != "42" || o.RTT != 45*time.Second {
			t.Errorf("second outcome %+v", o)
		}
		if st := c.Snapshot()[0]; st.TimedOut != 1 || st.Late != 1 || st.Accepted != 0 {
			t.Errorf("snapshot %+v", st)
		}
		stop()
	})
}

func TestBackoff(t *testing.T) {
	for _, c := range []struct {
		why    string
		serve  func(net.Conn)
		status smpp.CommandStatus // of the BindError, if any
		lo, hi []time.Duration    // bounds of the waits between attempts
	}{
		{"nobody there", func(c net.Conn) { c.Close() }, 0,
			[]time.Duration{750 * time.Millisecond, 1500 * time.Millisecond, 3 * time.Second, 6 * time.Second},
			[]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}},
		{"bad password", refuseBind(smpp.StatusInvPassword), smpp.StatusInvPassword,
			[]time.Duration{45 * time.Second, 90 * time.Second}, []time.Duration{60 * time.Second, 120 * time.Second}},
		{"already bound", refuseBind(smpp.StatusAlreadyBound), smpp.StatusAlreadyBound,
			[]time.Duration{750 * time.Millisecond, 1500 * time.Millisecond}, []time.Duration{time.Second, 2 * time.Second}},
	} {
		synctest.Test(t, func(t *testing.T) {
			attempts := make(chan time.Time, 100)
			cl, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
				cfg.Dial = pipeDial(func(conn net.Conn) { attempts <- time.Now(); c.serve(conn) })
			}, nil)
			last := <-attempts
			for i := range c.lo {
				at := <-attempts
				if d := at.Sub(last); d < c.lo[i] || d > c.hi[i]+time.Second { // a second of lingering
					t.Errorf("%s: wait %d was %v, want %v to %v", c.why, i, d, c.lo[i], c.hi[i])
				}
				last = at
			}
			var be *smppclient.BindError
			if err := cl.Binds()[0].Snapshot().LastErr; c.status != 0 && (!errors.As(err, &be) || be.Status != c.status) {
				t.Errorf("%s: %v", c.why, err)
			}
			stop()
		})
	}
	synctest.Test(t, func(t *testing.T) { // never more than two minutes apart
		attempts := make(chan time.Time, 100)
		_, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
			cfg.Dial = func(context.Context, string) (net.Conn, error) {
				attempts <- time.Now()
				return nil, errors.New("connection refused")
			}
		}, nil)
		last := <-attempts
		for range 20 {
			at := <-attempts
			if d := at.Sub(last); d > 120*time.Second {
				t.Errorf("waited %v", d)
			}
			last = at
		}
		stop()
	})
}

func refuseBind(status smpp.CommandStatus) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close() // at once, as many do
		if h, _, err := readPDU(conn); err == nil {
			conn.Write((&smpp.BindResp{Status: status}).AppendTo(nil, h.Sequence))
		}
	}
}

func TestBindTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
			cfg.Dial = pipeDial(func(conn net.Conn) {
				for {
					if _, _, err := readPDU(conn); err != nil {
						return
					}
				}
			})
		}, nil)
		b := c.Binds()[0]
		began := time.Now()
		for b.Snapshot().LastErr == nil {
			<-b.Ready()
		}
		if got := time.Since(began); got < 10*time.Second || got > 11*time.Second {
			t.Errorf("gave up after %v", got)
		}
		stop()
	})
}

// The time a message may take is none for the bind: an operator that answers
// messages in no time may look a password up first.
func TestBindHasItsOwnTime(t *testing.T) {
	for _, c := range []struct {
		takes   time.Duration
		bound   bool
		timeout time.Duration
	}{{9 * time.Second, true, 0}, {11 * time.Second, false, 0}, {19 * time.Second, true, 20 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			operator := scripted(func(int) (smpp.CommandStatus, bool) { return 0, false })
			cl, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
				cfg.ResponseTimeout, cfg.BindTimeout = 50*time.Millisecond, c.timeout
				cfg.Dial = pipeDial(func(conn net.Conn) { operator(&slowConn{conn, c.takes}) })
			}, nil)
			defer func() {
				stop()
				<-time.After(c.takes) // the operator may still be at it
			}()
			b := cl.Binds()[0]
			began := time.Now()
			for b.State() != smppclient.Bound && b.Snapshot().LastErr == nil {
				<-b.Ready()
			}
			if s := b.Snapshot(); (s.State == smppclient.Bound) != c.bound || (s.LastErr == nil) != c.bound {
				t.Fatalf("a bind that takes %v of %v: %v, %v", c.takes, c.timeout, s.State, s.LastErr)
			}
			if took := time.Since(began); c.bound && took != c.takes {
				t.Errorf("bound after %v, want %v", took, c.takes)
			}
			if !c.bound {
				return
			}
			o := send(t, b, segments("905", "x"))[0] // a message has its own time
			if !errors.Is(o.Err, smppclient.ErrTimeout) || o.RTT < 50*time.Millisecond || o.RTT > 100*time.Millisecond {
				t.Errorf("%+v", o)
			}
		})
	}
}

// slowConn is an operator's end whose first answer takes a while.
type slowConn struct {
	net.Conn
	first time.Duration
}

func (c *slowConn) Write(b []byte) (int, error) {
	<-time.After(c.first) // of the bubble's clock
	c.first = 0
	return c.Conn.Write(b)
}

// TestStopIsBounded: an operator that answers nothing cannot keep us.
func TestStopIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
			cfg.DrainTimeout = 3 * time.Second
			cfg.Dial = pipeDial(scripted(func(int) (smpp.CommandStatus, bool) { return 0, false }))
		}, nil)
		outcomes := make(chan smppclient.Outcome, 1)
		if err := reserve(t, c.Binds()[0], 1, smppclient.OTP).Commit(segments("905", "x"), func(_ int, o smppclient.Outcome) { outcomes <- o }); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		stop()
		if got := time.Since(began); got != 3*time.Second {
			t.Errorf("stopping took %v, want 3 s", got)
		}
		if o := <-outcomes; !errors.Is(o.Err, smppclient.ErrLinkLost) {
			t.Errorf("%+v", o)
		}
	})
}

// TestHoursInABubble: simulator and client together on fake time.
func TestHoursInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		op, err := smpptest.Start(smpptest.Config{NoListen: true, Record: true, Latency: 300 * time.Millisecond,
			Receipts: smpptest.Receipts{Delay: 6 * time.Hour}})
		if err != nil {
			t.Fatal(err)
		}
		in := newInbox()
		c, stop := client(t, op.Addr(), func(cfg *smppclient.Config) { cfg.Dial = op.Dial }, in)
		began := time.Now()
		o := send(t, c.Binds()[0], segments("905", "x"))[0]
		if o.Status != smpp.StatusOK || o.RTT != 300*time.Millisecond {
			t.Errorf("%+v", o)
		}
		d := <-in.c
		if got := time.Since(began); got != 6*time.Hour || d.ReceiptID != o.MessageID {
			t.Errorf("receipt %+v after %v", d.Delivery, got)
		}
		d.ack(smpp.StatusOK)
		if err := op.WaitFor(t.Context(), func(s smpptest.Stats) bool { return s.Acked == 1 }); err != nil {
			t.Error(err)
		}
		if n := op.Stats().Binds; n != 1 { // enquire_link kept it for hours
			t.Errorf("bound %d times", n)
		}
		stop()
		op.Close()
	})
}

// TestBackoffAfterWork: an operator that takes messages and resets the link again and again is come back to soon each time; one
// that binds and does nothing is left alone for longer and longer.
func TestBackoffAfterWork(t *testing.T) {
	for _, c := range []struct {
		why    string
		works  bool
		lo, hi time.Duration // of the sixth wait
	}{
		{"takes messages", true, 750 * time.Millisecond, 3 * time.Second},
		{"takes none", false, 24 * time.Second, 34 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			attempts := make(chan time.Time, 100)
			cl, stop := client(t, "pipe:1", func(cfg *smppclient.Config) {
				cfg.Dial = pipeDial(func(conn net.Conn) {
					attempts <- time.Now()
					scripted(func(n int) (smpp.CommandStatus, bool) {
						time.AfterFunc(time.Second, func() { conn.Close() })
						return smpp.StatusOK, c.works
					})(conn)
				})
			}, nil)
			var wait time.Duration
			for last := (time.Time{}); len(attempts) < cap(attempts); {
				at := <-attempts
				wait, last = at.Sub(last), at
				synctest.Wait() // until it is bound
				if attempt := cl.Binds()[0].Snapshot().Binds; attempt > 6 {
					break
				}
				room, ok := cl.TryReserve(1, smppclient.Transactional)
				if !ok {
					t.Fatalf("%s: no room on a fresh bind", c.why)
				}
				if err := room.Commit(segments("905", "x"), func(int, smppclient.Outcome) {}); err != nil {
					t.Fatal(err)
				}
			}
			if wait < c.lo || wait > c.hi {
				t.Errorf("%s: the sixth wait was %v, want %v to %v", c.why, wait, c.lo, c.hi)
			}
			stop()
		})
	}
}
