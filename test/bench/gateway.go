package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"izinli/cmd/assembly"
	"izinli/gateway"
	"izinli/gateway/store"
)

// The gateway runs in a process of its own: `bench gateway` reads its orders from standard input, a line of JSON each, and
// answers each with a line on standard output.

// gatewayOrder is the first line.
type gatewayOrder struct {
	Dir      string
	Redis    string // URL; empty: embedded queue
	Operator string // address
	Binds    int    // to the operator
	Window   int
	IYS      string        // base URL of the simulated İYS
	Consents int           // the numbers 0…n-1 have agreed
	Refusals int           // so many behind them have refused
	Panel    bool          // listen for the panel
	Settle   time.Duration // before İYS is asked about a batch; 0: as long as İYS wants
	Seed     bool          // fill the empty store; otherwise it was filled by an earlier process
	Verbose  bool
	Mail     *mailOrder // nil: none
	Profile  string     // file for a CPU profile of the start; empty: none
	Heap     string     // GOMEMLIMIT of the process; empty: its own choice
}

// gatewayReady is the answer, once everything listens and the consents are fresh.
type gatewayReady struct {
	Err      string
	PID      int
	API      string
	SMPP     string
	Relay    string
	Panel    string // set-up link; empty: no panel
	APIKey   string
	Password string
	SeedMS   float64 // filling the store
	OpenMS   float64 // opening store, loading consents, listening

	Synced, Encrypted bool // what the open store says
}

// gatewayCommand is every further line.
type gatewayCommand struct {
	Do   string // stats, profile, profiled, heap, gc, hold, release, verify, stop
	Path string
}

// gatewayAnswer is the answer to a command.
type gatewayAnswer struct {
	Err        string
	Commits    uint64
	Acts       uint64
	Keys       uint64
	HeapMB     float64
	Goroutines int
	Asked      uint64 // addresses İYS was asked about live
	Healthy    string // why the queue is not
	Finals     []store.FinalCount
	Report     *store.Report
	Open       int            // outbox entries under way to İYS
	Ends       map[string]int // how the others ended
}

func gatewayMain() error {
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	out := json.NewEncoder(os.Stdout)
	if !in.Scan() {
		return io.ErrUnexpectedEOF
	}
	var o gatewayOrder
	if err := json.Unmarshal(in.Bytes(), &o); err != nil {
		return err
	}
	g := &gatewayProcess{order: o}
	ready, err := g.profiledStart()
	if err != nil {
		ready.Err = err.Error()
		return errors.Join(out.Encode(ready), err)
	}
	if err := out.Encode(ready); err != nil {
		return err
	}
	for in.Scan() {
		var c gatewayCommand
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			return err
		}
		if c.Do == "stop" {
			break
		}
		a, err := g.do(&c)
		if err != nil {
			a.Err = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	var last gatewayAnswer
	if err := g.stop(); err != nil {
		last.Err = err.Error()
	}
	return out.Encode(last)
}

// gatewayProcess is the gateway with its store.
type gatewayProcess struct {
	order   gatewayOrder
	log     *slog.Logger
	store   *store.Store
	server  *assembly.Server
	cancel  context.CancelFunc
	ended   chan error
	profile *os.File
}

// profiledStart is start, under a profile if one is wanted.
func (g *gatewayProcess) profiledStart() (gatewayReady, error) {
	if g.order.Profile == "" {
		return g.start()
	}
	f, err := os.Create(g.order.Profile)
	if err != nil {
		return gatewayReady{}, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return gatewayReady{}, errors.Join(err, f.Close())
	}
	ready, err := g.start()
	pprof.StopCPUProfile()
	return ready, errors.Join(err, f.Close())
}

func (g *gatewayProcess) start() (gatewayReady, error) {
	ready := gatewayReady{PID: os.Getpid()}
	level := slog.LevelWarn
	if g.order.Verbose {
		level = slog.LevelInfo
	}
	g.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	cfg := assembly.PlaygroundConfig(g.order.Dir)
	cfg.Listen.Ops = ""
	cfg.Queue.Redis = g.order.Redis
	if g.order.Panel {
		cfg.Listen.Panel = "127.0.0.1:0"
	}
	began := time.Now()
	var err error
	// The key is fixed: nothing here is secret, but all of it is encrypted.
	if g.store, err = store.Open(store.Options{Dir: cfg.Data + "/store", Key: make([]byte, 32), Log: g.log, Reserve: uint64(cfg.Store.Reserve)}); err != nil {
		return ready, err
	}
	ready.Synced, ready.Encrypted = g.store.Durable()
	if g.order.Seed {
		t := time.Now()
		if err := g.seed(context.Background(), &ready); err != nil {
			return ready, fmt.Errorf("seed: %w", err)
		}
		ready.SeedMS = ms(time.Since(t))
		began = began.Add(time.Since(t))
	} else if err := g.reseed(context.Background(), &ready); err != nil {
		return ready, fmt.Errorf("reseed: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	opt := assembly.ServerOptions{PrivateWebhooks: true, IYSLimits: assembly.FastLimits(), RequestAfter: g.order.Settle}
	if m := g.order.Mail; m != nil && m.MXPort != "" {
		opt.Resolver, opt.MXPort = siteResolver{}, m.MXPort
		// What a site is served with is measured, not the pace the program's table keeps to.
		cfg.Mail.Sites = filepath.Join(g.order.Dir, "sites.tsv")
		if err := os.WriteFile(cfg.Mail.Sites, []byte("limit\t*\t10\t100\t0\t0\n"), 0o600); err != nil {
			return ready, err
		}
	}
	g.server, err = assembly.NewServer(ctx, cfg, g.store, g.log, opt)
	if err != nil {
		return ready, err
	}
	g.ended = make(chan error, 1)
	go func() { g.ended <- g.server.Run(ctx) }() // stop receives its end
	ready.API, ready.SMPP, ready.Relay = g.server.Addrs["api"], g.server.Addrs["smpp"], g.server.Addrs["relay"]
	ready.OpenMS = ms(time.Since(began))
	ready.Panel, err = g.server.SetupURL(ctx)
	return ready, err
}

func (g *gatewayProcess) do(c *gatewayCommand) (a gatewayAnswer, err error) {
	switch c.Do {
	case "stats":
	case "gc":
		debug.FreeOSMemory() // and what is free goes back, so that what is resident is what is needed
	case "hold", "release":
		for l := range gateway.Lane(gateway.Lanes) {
			g.server.Queue.Hold(l, c.Do == "hold")
		}
	case "profile":
		if g.profile, err = os.Create(c.Path); err == nil {
			err = pprof.StartCPUProfile(g.profile)
		}
	case "profiled":
		pprof.StopCPUProfile()
		err = g.profile.Close()
	case "heap":
		err = writeHeap(c.Path)
	case "verify":
		a.Report, err = g.store.Verify(context.Background())
	case "outbox":
		if a.Open, _ = g.store.OutboxCounts(); a.Open == 0 {
			a.Ends, err = g.store.OutboxEnds(context.Background())
		}
	case "settled":
		// Readiness in the sense of /readyz: the consents are loaded, the queue is up.
		if herr := g.server.Queue.Healthy(); herr != nil {
			a.Healthy = herr.Error()
		} else if !g.server.Mirror.Ready() {
			a.Healthy = "consents are being loaded"
		}
	default:
		err = fmt.Errorf("unknown command %q", c.Do)
	}
	st := g.store.Stats()
	a.Commits, a.Acts, a.Keys, a.Finals = st.Commits, st.Acts, st.Keys, st.Finals
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	a.HeapMB, a.Goroutines = float64(m.HeapAlloc)/1e6, runtime.NumGoroutine()
	a.Asked, _ = g.server.Office.Counts()
	return a, err
}

func writeHeap(path string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close())
}

func (g *gatewayProcess) stop() error {
	g.cancel()
	return errors.Join(<-g.ended, g.store.Close())
}
