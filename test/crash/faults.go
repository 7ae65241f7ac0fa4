package crash

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"izinli/gateway/smpp"
	"izinli/gateway/smtptest"
	"izinli/iys/iystest"
)

// fault is one kind of misfortune. link and post are how many times it can leave all open intents towards operators and towards the
// smarthost in doubt.
type fault struct {
	name   string
	weight int
	link   int
	post   int
	strike func(*storm, *rand.Rand) error
}

// faults are all kinds there are. A weight of 30 is about three in twenty.
var faults = []fault{
	{"kill -9", 60, 1, 1, func(s *storm, _ *rand.Rand) error { s.gw.kill(); s.startGateway(); return nil }},
	{"kill -9 while starting", 12, 2, 2, (*storm).killTwice},
	{"stop and start", 6, 1, 1, func(s *storm, _ *rand.Rand) error { s.gw.stop(s.t); s.startGateway(); return nil }},
	{"gateway frozen", 8, 1, 0, (*storm).freeze},
	{"Redis FLUSHALL", 16, 0, 0, func(s *storm, _ *rand.Rand) error { return s.redis.command("FLUSHALL", "+OK") }},
	{"Redis killed", 16, 0, 0, (*storm).redisGone},
	{"operator reset", 24, 1, 0, func(s *storm, rng *rand.Rand) error { s.ops[rng.IntN(len(s.ops))].DropAll(); return nil }},
	{"operators reset in the middle of a window", 12, 1, 0, func(s *storm, rng *rand.Rand) error {
		for _, op := range s.ops {
			op.DropAfter(1 + rng.IntN(50))
		}
		return nil
	}},
	{"operator mute", 6, 1, 0, (*storm).mute},
	{"operators refuse binds", 6, 1, 0, (*storm).refuseBinds},
	{"operators throttle", 6, 0, 0, (*storm).throttle},
	{"İYS down", 8, 0, 0, func(s *storm, rng *rand.Rand) error {
		s.s.IYS.SetDown(true)
		s.wait(time.Duration(1+rng.IntN(3)) * time.Second)
		s.s.IYS.SetDown(false)
		return nil
	}},
	{"İYS answers 500, 429, late, or not", 12, 0, 0, (*storm).iysFails},
	{"İYS forgets its tokens", 4, 0, 0, func(s *storm, _ *rand.Rand) error { s.s.IYS.RevokeTokens(); return nil }},
	{"disk below the reserve", 8, 0, 0, func(s *storm, _ *rand.Rand) error { return s.fillDisk(reserve / 2) }},
	{"disk full", 6, 1, 1, func(s *storm, _ *rand.Rand) error { return s.fillDisk(0) }},
	{"clock jumps", 10, 0, 0, (*storm).jump},
	{"smarthost away", 12, 0, 1, (*storm).hopAway},
	{"smarthost hangs", 8, 0, 0, (*storm).hopHangs},
	{"smarthost does not greet", 4, 0, 1, (*storm).hopSilent},
	{"smarthost resets in the middle of the data", 10, 0, 0, feeling(mood{reset: true})},
	{"smarthost takes mails without saying so", 8, 0, 0, feeling(mood{mute: true})},
	{"smarthost says later", 8, 0, 0, (*storm).hopLater},
}

// wait lets the world go on for d.
func (s *storm) wait(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// killTwice kills the gateway, and the next one before or just after it is ready.
func (s *storm) killTwice(rng *rand.Rand) error {
	s.gw.kill()
	p, out := launch(s.t, s.data, s.redis.url(), s.env()...)
	timer := time.AfterFunc(time.Duration(rng.IntN(900))*time.Millisecond, func() { p.cmd.Process.Kill() })
	_ = p.ready(out) // it may have been killed before it said so
	timer.Stop()
	p.kill()
	s.startGateway()
	return nil
}

// freeze stops the process for longer than a client waits for an answer, as a paused virtual machine does.
func (s *storm) freeze(rng *rand.Rand) error {
	began := time.Now()
	for _, w := range []*witness{s.w, s.mails} {
		w.set(func() { w.frozen = append(w.frozen, span{from: began}) })
	}
	if err := s.gw.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	s.wait(time.Duration(500+rng.IntN(2500)) * time.Millisecond)
	err := s.gw.cmd.Process.Signal(syscall.SIGCONT)
	for _, w := range []*witness{s.w, s.mails} {
		w.set(func() { w.frozen[len(w.frozen)-1].to = time.Now() })
	}
	return err
}

func (s *storm) redisGone(rng *rand.Rand) error {
	s.redis.kill()
	s.wait(time.Duration(200+rng.IntN(2500)) * time.Millisecond)
	s.redis.start(s.t)
	return nil
}

// mute makes an operator take messages and answer none of them; then it hangs up, as such operators do.
func (s *storm) mute(rng *rand.Rand) error {
	op := s.ops[rng.IntN(len(s.ops))]
	op.Stuck(true)
	s.wait(time.Duration(500+rng.IntN(1500)) * time.Millisecond)
	op.Stuck(false)
	op.DropAll()
	return nil
}

func (s *storm) refuseBinds(rng *rand.Rand) error {
	for _, op := range s.ops {
		op.RefuseBinds(smpp.StatusSysErr)
		op.DropAll()
	}
	s.wait(time.Duration(500+rng.IntN(2000)) * time.Millisecond)
	for _, op := range s.ops {
		op.RefuseBinds(smpp.StatusOK)
	}
	return nil
}

func (s *storm) throttle(rng *rand.Rand) error {
	for _, op := range s.ops {
		op.SetTPS(20)
	}
	s.wait(time.Duration(1000+rng.IntN(2000)) * time.Millisecond)
	for _, op := range s.ops {
		op.SetTPS(0)
	}
	return nil
}

func (s *storm) iysFails(rng *rand.Rand) error {
	kinds := []iystest.Fault{
		{Times: 10, Status: 500}, {Times: 10, Status: 429}, {Times: 3, Delay: 2 * time.Second},
		{Times: 5, Drop: true}, {Times: 5, DropAfter: true},
	}
	f := kinds[rng.IntN(len(kinds))]
	s.s.IYS.Fail(f)
	s.wait(time.Duration(500+rng.IntN(1500)) * time.Millisecond)
	s.s.IYS.ClearFaults()
	return nil
}

// feeling has the smarthost in a mood for a moment.
func feeling(m mood) func(*storm, *rand.Rand) error {
	return func(s *storm, rng *rand.Rand) error {
		s.hop.feel(m)
		s.wait(time.Duration(300+rng.IntN(700)) * time.Millisecond)
		s.hop.feel(mood{})
		return nil
	}
}

// hopAway closes the smarthost for a moment.
func (s *storm) hopAway(rng *rand.Rand) error {
	if err := s.hop.leave(); err != nil {
		return err
	}
	s.wait(time.Duration(200+rng.IntN(2500)) * time.Millisecond)
	err := s.hop.back()
	s.s.Sink = s.hop.sink // which the stage closes
	return err
}

// hopSilent has something else at the smarthost's address, which takes connections and says nothing.
func (s *storm) hopSilent(rng *rand.Rand) error {
	if err := s.hop.leave(); err != nil {
		return err
	}
	ln, err := net.Listen("tcp", s.hop.cfg.Addr)
	if err != nil {
		return err
	}
	s.wait(time.Duration(500+rng.IntN(2000)) * time.Millisecond)
	err = errors.Join(ln.Close(), s.hop.back())
	s.s.Sink = s.hop.sink
	return err
}

// hopHangs lets every answer to a mail take its time.
func (s *storm) hopHangs(rng *rand.Rand) error {
	return feeling(mood{data: smtptest.Reply{Delay: time.Duration(1000+rng.IntN(3000)) * time.Millisecond}})(s, rng)
}

// hopLater asks to be tried again later, in the ways servers do.
func (s *storm) hopLater(rng *rand.Rand) error {
	later := smtptest.Reply{Code: 451, Enhanced: [3]int{4, 3, 0}, Text: "try again later"}
	moods := []mood{{mail: smtptest.Reply{Code: 421, Enhanced: [3]int{4, 3, 2}, Text: "closing for maintenance"}}, {mail: later},
		{rcpt: smtptest.Reply{Code: 450, Enhanced: [3]int{4, 2, 0}, Text: "greylisted"}}, {data: later}}
	return feeling(moods[rng.IntN(len(moods))])(s, rng)
}

// jump moves the gateway's clock, forwards or back, between the wall's and three minutes ahead of it. The exchange with İYS stays on
// the wall's, so that İYS's answers would come from the future of a clock behind it.
func (s *storm) jump(rng *rand.Rand) error {
	to := time.Duration(rng.IntN(181)) * time.Second
	_, err := fmt.Fprintf(s.gw.clock, "%s\n", to-s.ahead())
	s.setAhead(to)
	return err
}

// fillDisk leaves free octets on the gateway's file system for a moment. With none left the gateway may die; then it is started
// again, as a supervisor would.
func (s *storm) fillDisk(free int64) error {
	ballast := filepath.Join(s.mount, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		return err
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.mount, &st); err != nil {
		return errors.Join(err, f.Close())
	}
	n := int64(st.Bavail)*st.Bsize - free
	_, err = io.CopyN(f, zeros{}, max(0, n))
	if errors.Is(err, syscall.ENOSPC) {
		err = nil // the gateway writes too
	}
	if err = errors.Join(err, f.Close()); err == nil {
		s.wait(2 * time.Second)
	}
	if err := errors.Join(err, os.Remove(ballast)); err != nil {
		return err
	}
	if s.died() {
		s.deaths++
		s.startGateway()
	}
	return nil
}

// zeros is an endless file of nothing.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}
