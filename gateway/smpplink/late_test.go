package smpplink

import (
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway/smpp"
)

// patient waits for late answers too.
type patient struct {
	*single
	late func(Result)
}

func (p *patient) AnsweredLate(_ int, r Result) { p.late(r) }

// A response after its time is told to who wants to know, once, for as long and as many as the link remembers.
func TestLateResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Window: 20, LateFor: 10 * time.Minute, LateMax: 3, Timers: smpp.TimerConfig{Bind: -1, EnquireLink: -1, Inactivity: -1}}, deaf)
		type told struct {
			n   int
			res Result
		}
		timedOut, late := make(chan told, 10), make(chan told, 10)
		var seqs []uint32
		send := func(n int) {
			if !r.link.Reserve(1) {
				t.Fatal("no place")
			}
			p := &patient{&single{submit("x"), func(res Result) { timedOut <- told{n, res} }}, func(res Result) { late <- told{n, res} }}
			if err := r.link.SendBatch(smpp.SubmitSMID, 1, p); err != nil {
				t.Fatal(err)
			}
			h, _ := r.read()
			seqs = append(seqs, h.Sequence)
		}
		expire := func(n int) {
			if got := <-timedOut; got.n != n || got.res.Kind != TimedOut {
				t.Errorf("request %d ended %s, want request %d timed out", got.n, got.res.Kind, n)
			}
		}
		answer := func(n int) {
			r.write(&smpp.SubmitSMResp{MessageID: []byte("7")}, seqs[n])
			synctest.Wait()
		}
		send(0)
		expire(0)
		time.Sleep(9 * time.Minute)                          // fake time
		r.write(&smpp.BindResp{Mode: smpp.BindTRX}, seqs[0]) // answers something else
		answer(0)
		answer(0) // twice
		if got := <-late; got.n != 0 || got.res.Kind != Answered || got.res.Header.ID != smpp.SubmitSMRespID || got.res.RTT != 9*time.Minute+30*time.Second {
			t.Errorf("late answer %+v", got)
		}
		send(1)
		expire(1)
		time.Sleep(11 * time.Minute)
		for n := 2; n < 6; n++ {
			send(n)
			expire(n)
		}
		for n := 1; n < 6; n++ {
			answer(n)
		}
		close(late)
		var got []int
		for l := range late {
			got = append(got, l.n)
		}
		if len(got) != 3 || got[0] != 3 || got[2] != 5 {
			t.Errorf("late answers to %v, want 3, 4 and 5: the first was forgotten for its age, the next to make room", got)
		}
		if st := r.link.Stats(); st.Late != 4 || st.TimedOut != 6 || st.Strays != 4 || st.InFlight != 0 {
			t.Errorf("stats %+v", st)
		}
		r.stop()
		<-r.ended
	})
}

// A late response that comes while its time-out is being told waits until that is done.
func TestLateResponseKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{Timers: smpp.TimerConfig{Bind: -1}}, deaf)
		hold, order := make(chan struct{}), make(chan string, 2)
		p := &patient{&single{submit("x"), func(Result) { <-hold; order <- "timed out" }}, func(Result) { order <- "answered" }}
		if !r.link.Reserve(1) || r.link.SendBatch(smpp.SubmitSMID, 1, p) != nil {
			t.Fatal("not sent")
		}
		h, _ := r.read()
		time.Sleep(31 * time.Second)
		r.write(&smpp.SubmitSMResp{}, h.Sequence)
		time.Sleep(time.Second)
		close(hold)
		if first, second := <-order, <-order; first != "timed out" || second != "answered" {
			t.Errorf("%s, then %s", first, second)
		}
		r.stop()
		<-r.ended
	})
}
