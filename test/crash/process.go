package crash

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway/store"
	"izinli/test/stage"
)

// The environment of the process that is the gateway.
const (
	envData   = "IZINLI_CRASH_DATA"
	envRedis  = "IZINLI_CRASH_REDIS"
	envPull   = "IZINLI_CRASH_PULL"   // time between two pulls from İYS
	envPublic = "IZINLI_CRASH_PUBLIC" // address of its public pages, as the world knows it
	envClock  = "IZINLI_CRASH_CLOCK"  // how far its clock is from the wall's, as a duration; lines on standard input change it
)

// Main is the TestMain of packages that tell the story: with the data directory in the environment the binary is the gateway.
func Main(m *testing.M) {
	if data := os.Getenv(envData); data != "" {
		if err := serve(data, os.Getenv(envRedis)); err != nil {
			fmt.Fprintln(os.Stderr, "gateway:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve is the gateway: it serves until it is told to stop, or killed. It prints its addresses as one line of JSON.
func serve(data, redis string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg := assembly.PlaygroundConfig(data)
	cfg.Queue.Redis, cfg.PublicURL, cfg.Listen.Panel = redis, os.Getenv(envPublic), "127.0.0.1:0"
	if d, err := time.ParseDuration(os.Getenv(envPull)); err == nil {
		cfg.IYS.PullEvery = configs.Duration(d)
	}
	now, err := tunableClock(os.Getenv(envClock), os.Stdin)
	if err != nil {
		return err
	}
	st, err := openStore(data, now)
	if err != nil {
		return err
	}
	o := stage.Defaults().Server
	o.PrivateWebhooks, o.Now = true, now
	srv, err := assembly.NewServer(ctx, cfg, st, log, o)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(srv.Addrs); err != nil {
		return err
	}
	if err := srv.Run(ctx); err != nil {
		return err
	}
	return st.Close()
}

// tunableClock is a clock that is ahead of the wall's by what the environment and later the lines of r say.
func tunableClock(ahead string, r io.Reader) (func() time.Time, error) {
	if ahead == "" {
		return time.Now, nil
	}
	d, err := time.ParseDuration(ahead)
	if err != nil {
		return nil, err
	}
	clock := stage.NewClock()
	clock.Advance(d)
	go func() { // ends with the process
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if step, err := time.ParseDuration(lines.Text()); err == nil {
				clock.Advance(step)
			}
		}
	}()
	return clock.Now, nil
}

// openStore opens the store of a playground.
func openStore(data string, now func() time.Time) (*store.Store, error) {
	return store.Open(store.Options{Dir: data + "/store", Key: make([]byte, 32), Reserve: 64 << 20, Now: now})
}

// process is a running gateway.
type process struct {
	cmd   *exec.Cmd
	clock io.Writer // nil: the wall's
	addrs map[string]string
	began time.Time
	log   *logBuffer
	ended chan error
}

func start(tb testing.TB, data, redis string, env ...string) *process {
	tb.Helper()
	p, out := launch(tb, data, redis, env...)
	if err := p.ready(out); err != nil {
		p.kill()
		tb.Fatalf("the gateway did not start: %v\n%s", err, p.log)
	}
	return p
}

// launch starts the program and does not wait for anything; out is its standard output, which ready reads.
func launch(tb testing.TB, data, redis string, env ...string) (p *process, out io.Reader) {
	tb.Helper()
	p = &process{cmd: exec.Command(os.Args[0], "-test.run=^$"), log: &logBuffer{}, ended: make(chan error, 1), began: time.Now()}
	p.cmd.Env = append(append(os.Environ(), envData+"="+data, envRedis+"="+redis), env...)
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err == nil && len(env) > 0 {
		p.clock, err = p.cmd.StdinPipe()
	}
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		tb.Fatal(err)
	}
	return p, out
}

// ready reads the addresses and lets the process run; kill and stop may be called from then on.
func (p *process) ready(out io.Reader) error {
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &p.addrs)
	}
	go func() {
		io.Copy(io.Discard, out)
		p.ended <- p.cmd.Wait()
	}()
	return err
}

// kill is kill -9.
func (p *process) kill() {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Kill() // it may have ended by itself
	}
	<-p.ended
	p.ended <- nil
}

// dump ends the gateway and returns what it logged, with what each of its goroutines was doing.
func (p *process) dump() string {
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // it may have ended by itself
	<-p.ended
	p.ended <- nil
	return p.log.String()
}

// stop ends the gateway in order.
func (p *process) stop(tb testing.TB) {
	tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		tb.Errorf("stop: %v", err)
	}
	err := <-p.ended
	p.ended <- nil
	if err != nil {
		tb.Errorf("the gateway ended with %v\n%s", err, p.log)
	}
}

// logBuffer keeps the last of what the gateway logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.b.Len() > 1<<20 { // a dump of all goroutines fits
		l.b.Next(l.b.Len() - 32<<10)
	}
	return l.b.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
