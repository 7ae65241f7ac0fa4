package queue

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"izinli/gateway"
)

// redisServer is a redis-server of this test on a Unix socket in a directory of its own.
type redisServer struct {
	t      testing.TB
	socket string
	args   []string
	cmd    *exec.Cmd
	done   chan struct{}
}

// findRedis returns the binary; without it the test is skipped, which on CI is a failure.
func findRedis(t testing.TB) string {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err == nil {
		return bin
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("redis-server is needed on CI: %v", err)
	}
	t.Skipf("SKIPPED, NOT TESTED AGAINST A REAL REDIS: %v", err)
	return ""
}

func startRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	dir, err := os.MkdirTemp("", "q") // t.TempDir may exceed the 108 octets of a socket path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &redisServer{t: t, socket: filepath.Join(dir, "r.sock")}
	s.args = append([]string{"--port", "0", "--unixsocket", s.socket, "--save", "", "--dir", dir, "--loglevel", "warning"}, args...)
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *redisServer) url() string { return "redis-socket://" + s.socket }

func (s *redisServer) start() {
	s.t.Helper()
	s.cmd = exec.Command(findRedis(s.t), s.args...)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func(c *exec.Cmd, done chan struct{}) { _ = c.Wait(); close(done) }(s.cmd, s.done)
	c := s.client()
	defer c.Close()
	eventually(s.t, 10*time.Second, "redis-server answers", func() bool { return c.Ping(context.Background()).Err() == nil })
}

// kill is kill -9.
func (s *redisServer) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.done
	s.cmd = nil
	_ = os.Remove(s.socket)
}

func (s *redisServer) client() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: s.socket, Protocol: 2, DisableIdentity: true})
}

// patience is how many times longer than on an idle machine a test waits: a busy one must not fail it. What takes a minute where the
// queue does not help, as asynq's own recovery does, is still told from what the queue does in five seconds.
const patience = 6

// eventually asks until ok is true, with a ticker. within is what an idle machine may take.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience * within)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %s", patience*within, what)
		}
	}
}

// rig is a running Queue with its fakes.
type rig struct {
	t    testing.TB
	q    *Queue
	src  *memSource
	rec  *recorder
	stop func() error
}

// newRig makes the parts; run starts them.
func newRig(t testing.TB, cfg Config) *rig {
	t.Helper()
	if cfg.Instance == "" {
		cfg.Instance = "test"
	}
	q, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	src := newSource()
	src.wake = q.Wake
	return &rig{t: t, q: q, src: src, rec: newRecorder(src)}
}

func (r *rig) run() *rig {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.q.Run(ctx, r.src, r.rec) }()
	r.stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(40 * time.Second):
			return errors.New("Run did not return")
		}
	})
	r.t.Cleanup(func() {
		if err := r.stop(); err != nil {
			r.t.Error(err)
		}
	})
	return r
}

func (r *rig) drained(within time.Duration) {
	r.t.Helper()
	eventually(r.t, within, "the due index is empty", func() bool { return r.src.left() == 0 })
}

// backends runs the test embedded and on a real Redis.
func backends(t *testing.T, f func(t *testing.T, url string)) {
	t.Run("embedded", func(t *testing.T) { f(t, "") })
	t.Run("redis", func(t *testing.T) { f(t, startRedis(t).url()) })
}

var allLanes = []gateway.Lane{gateway.LaneOTP, gateway.LaneTransactional, gateway.LaneCommercial}
