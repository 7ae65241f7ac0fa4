package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"izinli/cmd/assembly"
	"izinli/iys/iystest"
)

// stand is everything a figure is measured on: operator and İYS in this process, Redis and the gateway in theirs.
type stand struct {
	b        *bench
	dir      string
	order    gatewayOrder
	operator *operator
	sim      *iystest.Sim
	iys      *iystest.Server // serves sim
	redis    *redisServer
	gw       *gatewayChild
	anonPeak float64 // MB; see noteMemory
}

// standOptions say how a stand differs from the usual.
type standOptions struct {
	redis    bool
	binds    int  // to the operator; 0: operatorBinds
	deaf     bool // nobody listens at the operator's address
	panel    bool // the panel listens
	consents int
	refusals int           // gatewayOrder.Refusals
	settle   time.Duration // gatewayOrder.Settle
	dir      string        // of an earlier stand; its store is used again
	mail     *mailOrder    // mail is carried too
	tracer   []string      // command that starts the gateway
	heap     string        // gatewayOrder.Heap
}

// Binds to the operator and their window. The customer's side is given by each figure.
const (
	operatorBinds  = 4
	operatorWindow = 100
)

// newStand starts a stand and notes its settings in r.
func (b *bench) newStand(ctx context.Context, r *result, o standOptions) (*stand, error) {
	s := &stand{b: b, dir: o.dir}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.close())
	}
	r.Settings["operatorBinds"], r.Settings["operatorWindow"] = s.order.Binds, operatorWindow
	r.Settings["consents"], r.Settings["refusals"] = o.consents, o.refusals
	r.Settings["queue"] = "embedded"
	if o.redis {
		r.Settings["queue"] = "redis-server, unix socket, appendonly everysec, noeviction"
	}
	if o.deaf {
		r.Settings["operator"] = "away: what is accepted waits"
	}
	r.Settings["quietHours"] = "off"
	r.Durability = durability(s.gw.Synced, s.gw.Encrypted)
	return s, nil
}

func (s *stand) start(ctx context.Context, o standOptions) (err error) {
	again := s.dir != ""
	if !again {
		if s.dir, err = s.b.fresh(); err != nil {
			return err
		}
	}
	if s.operator, err = startOperator(); err != nil {
		return err
	}
	s.sim = newIYS()
	if s.iys, err = iystest.Listen(s.sim, "127.0.0.1:0"); err != nil {
		return err
	}
	s.order = gatewayOrder{Dir: filepath.Join(s.dir, "gateway"), Operator: s.operator.addr(), Binds: cmp.Or(o.binds, operatorBinds), Window: operatorWindow,
		IYS: s.iys.URL, Consents: o.consents, Refusals: o.refusals, Panel: o.panel, Settle: o.settle, Mail: o.mail, Seed: !again, Verbose: s.b.opt.verbose, Heap: o.heap}
	if o.deaf {
		if s.order.Operator, err = closedPort(nobody); err != nil {
			return err
		}
	}
	if o.redis {
		if s.redis, err = startRedis(ctx, s.b.opt.redis, filepath.Join(s.dir, "redis")); err != nil {
			return err
		}
		s.order.Redis = s.redis.url
	}
	s.gw, err = startGateway(ctx, s.order, o.tracer)
	return err
}

// audience are the numbers the gateway knows consents of.
func (s *stand) audience() audience { return audience{max(s.order.Consents, 1), s.order.Refusals} }

// newIYS is an İYS where the integrator may read and write for the brand, with no blind hour.
func newIYS() *iystest.Sim {
	sim := iystest.New(assembly.FastIYS())
	sim.AddProvider(iystest.Provider{IYSCode: brandCode, Title: "Örnek Giyim A.Ş.", TIN: "1234567890",
		Brands: []iystest.Brand{{Code: brandCode, Name: "Örnek", Master: true}}})
	sim.AddUser(iystest.User{Username: partnerUser, Password: partnerPass, IntegratorCode: integrator})
	for _, ch := range []string{"MESAJ", "EPOSTA", "ARAMA"} {
		sim.Grant(integrator, brandCode, ch, "write")
	}
	return sim
}

// nobody is the host that stands for an operator who is away. Nothing else here uses it, so that no port of it is taken later.
const nobody = "127.77.0.1"

// closedPort is an address of the host where nobody listens. On 127.0.0.1 anybody may do so the next moment.
func closedPort(host string) (string, error) {
	ln, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// close stops everything in the order of flow.
func (s *stand) close() error {
	var errs error
	if s.gw != nil {
		errs = errors.Join(errs, s.gw.stop())
	}
	if s.redis != nil {
		errs = errors.Join(errs, s.redis.stop())
	}
	if s.iys != nil {
		errs = errors.Join(errs, s.iys.Close())
	}
	if s.operator != nil {
		s.operator.close()
	}
	return errs
}

// remove is close, and the disk space back.
func (s *stand) remove(err *error) {
	*err = errors.Join(*err, s.close())
	if !s.b.opt.keep {
		os.RemoveAll(s.dir)
	}
}

// usage is what a stretch of time cost.
type usage struct {
	wall                  time.Duration
	gateway, redis, bench time.Duration
	others, stolen        time.Duration // by other programs of this machine; by other machines of its host
	commits, keys         uint64
}

// meter starts measuring; the function it returns ends that. name is for the profiles.
func (s *stand) meter(name string) (func() (usage, error), error) {
	if dir := s.b.opt.profile; dir != "" {
		if _, err := s.gw.do("profile", filepath.Join(dir, name+".cpu")); err != nil {
			return nil, err
		}
	}
	a, err := s.gw.do("stats", "")
	if err != nil {
		return nil, err
	}
	t0, g0, r0, b0 := time.Now(), processCPU(s.gw.pid), processCPU(s.redisPID()), ownCPU()
	m0, s0 := machineCPU()
	return func() (u usage, err error) {
		u = usage{wall: time.Since(t0), gateway: processCPU(s.gw.pid) - g0, redis: processCPU(s.redisPID()) - r0, bench: ownCPU() - b0}
		m1, s1 := machineCPU()
		u.others, u.stolen = max(0, m1-m0-u.gateway-u.redis-u.bench), s1-s0
		z, err := s.gw.do("stats", "")
		if err != nil {
			return u, err
		}
		u.commits, u.keys = z.Commits-a.Commits, z.Keys-a.Keys
		if dir := s.b.opt.profile; dir != "" {
			_, err = s.gw.do("profiled", "")
			if err == nil {
				_, err = s.gw.do("heap", filepath.Join(dir, name+".allocs"))
			}
		}
		return u, err
	}, nil
}

func (s *stand) redisPID() int {
	if s.redis == nil {
		return 0
	}
	return s.redis.cmd.Process.Pid
}

// verify lets the store be verified and counts what it holds against what clients were told.
func (s *stand) verify(r *result, told int) error {
	a, err := s.gw.do("verify", "")
	if err != nil {
		return err
	}
	for _, p := range a.Report.Problems {
		r.note("the store does not hold: %s", p)
	}
	r.Losses += max(0, told-a.Report.Messages) + len(a.Report.Problems)
	r.Duplicates += max(0, a.Report.Messages-told)
	return nil
}

// gatewayChild is the gateway's process.
type gatewayChild struct {
	gatewayReady
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	log *os.File // of the process; nil if it goes to standard error
	pid int
}

func startGateway(ctx context.Context, o gatewayOrder, tracer []string) (*gatewayChild, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	argv := append(append([]string(nil), tracer...), self, "gateway")
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	if o.Heap != "" {
		cmd.Env = append(os.Environ(), "GOMEMLIMIT="+o.Heap)
	}
	c := &gatewayChild{cmd: cmd}
	if o.Verbose {
		cmd.Stderr = os.Stderr
	} else {
		// It goes on about binds that are down on purpose; what it said is shown when it fails.
		if c.log, err = os.OpenFile(filepath.Join(o.Dir, "gateway.log"), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600); err != nil {
			return nil, err
		}
		defer c.log.Close() // the process has its own
		cmd.Stderr = c.log
	}
	if c.in, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReaderSize(out, 1<<20)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := c.write(o); err != nil {
		return c, err
	}
	if err := c.read(&c.gatewayReady); err != nil {
		return c, fmt.Errorf("gateway did not start: %w", c.told(err))
	}
	if c.Err != "" {
		return c, fmt.Errorf("gateway did not start: %s", c.Err)
	}
	c.pid = c.PID
	return c, nil
}

// told adds the end of the gateway's log to an error.
func (c *gatewayChild) told(err error) error {
	if c.log == nil {
		return err
	}
	b, rerr := os.ReadFile(c.log.Name())
	if rerr != nil || len(b) == 0 {
		return err
	}
	return fmt.Errorf("%w; its log ends with:\n%s", err, b[max(0, len(b)-4096):])
}

func (c *gatewayChild) write(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.in.Write(append(b, '\n'))
	return err
}

func (c *gatewayChild) read(v any) error {
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, v)
}

// do has one command done.
func (c *gatewayChild) do(what, path string) (a gatewayAnswer, err error) {
	if err := c.write(gatewayCommand{Do: what, Path: path}); err != nil {
		return a, fmt.Errorf("gateway: %s: %w", what, err)
	}
	if err := c.read(&a); err != nil {
		return a, fmt.Errorf("gateway: %s: %w", what, c.told(err))
	}
	if a.Err != "" {
		err = fmt.Errorf("gateway: %s: %s", what, a.Err)
	}
	return a, err
}

// stop ends the process in order.
func (c *gatewayChild) stop() error {
	var a gatewayAnswer
	err := c.write(gatewayCommand{Do: "stop"})
	if err == nil {
		err = c.read(&a)
	}
	c.in.Close()
	if a.Err != "" {
		err = errors.Join(err, errors.New("gateway: stop: "+a.Err))
	}
	return errors.Join(err, c.cmd.Wait())
}

// kill ends the process at once, as a crash would.
func (c *gatewayChild) kill() error {
	err := c.cmd.Process.Kill()
	c.cmd.Wait() // it was killed; that is no news
	return err
}

// redisServer is a Redis of our own.
type redisServer struct {
	cmd *exec.Cmd
	url string
}

// startRedis starts a Redis with the settings izinli's operating notes ask for.
func startRedis(ctx context.Context, program, dir string) (*redisServer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "redis.sock")
	cmd := exec.CommandContext(ctx, program, "--port", "0", "--unixsocket", socket, "--dir", dir, "--appendonly", "yes", "--appendfsync", "everysec",
		"--maxmemory-policy", "noeviction", "--save", "", "--loglevel", "warning")
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	r := &redisServer{cmd: cmd, url: "redis-socket://" + socket}
	never := make(chan struct{})
	still := quiet(time.Minute, func() int64 { return 0 })
	err := await(ctx, never, func() error {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			return still()
		}
		conn.Close()
		return errDone
	})
	if !errors.Is(err, errDone) {
		return r, errors.Join(fmt.Errorf("redis does not answer: %w", err), r.stop())
	}
	return r, nil
}

func (r *redisServer) stop() error {
	if err := r.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	err := r.cmd.Wait()
	if err != nil && strings.Contains(err.Error(), "exit status") {
		return nil // Redis says so when it is interrupted
	}
	return err
}
