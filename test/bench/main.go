package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"izinli/test/stage"
)

// options are what the command line says.
type options struct {
	quick   bool
	big     bool
	list    bool
	profile string
	dir     string
	redis   string
	rounds  int
	calm    time.Duration
	n       int
	keep    bool
	verbose bool
}

func main() {
	if len(os.Args) > 1 {
		// Roles of the processes this program starts.
		if role := roles[os.Args[1]]; role != nil {
			if err := role(); err != nil {
				fmt.Fprintln(os.Stderr, "bench", os.Args[1]+":", err)
				os.Exit(1)
			}
			return
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ok, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// roles are the processes this program starts of itself.
var roles = map[string]func() error{"gateway": gatewayMain, "decide": decideMain}

// run measures what args name and reports whether every target was met. Targets do not count in quick runs, which are too
// short for them; there only losses, duplicates and leaks do.
func run(ctx context.Context, args []string, out io.Writer) (bool, error) {
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.BoolVar(&o.quick, "quick", false, "small runs, to see that everything works; targets do not count")
	fs.BoolVar(&o.big, "big", false, "T9 and T10 with 10 million consents (needs minutes and about 3 GB of disk)")
	fs.BoolVar(&o.list, "list", false, "list the figures and end")
	fs.StringVar(&o.profile, "profile", "", "write CPU and heap profiles of the gateway to this `directory`")
	fs.StringVar(&o.dir, "dir", "", "`directory` for stores and Redis; default: a temporary one. Its disk is part of the result")
	fs.StringVar(&o.redis, "redis", "redis-server", "the Redis server to start")
	fs.IntVar(&o.rounds, "rounds", 1, "rounds of each figure; the one with the median value is reported")
	fs.DurationVar(&o.calm, "calm", 0, "how long, for each round, to wait for other programs to be quiet, and to repeat it if they were not")
	fs.IntVar(&o.n, "n", 0, "messages instead of a figure's own number")
	fs.BoolVar(&o.keep, "keep", false, "keep the directory")
	fs.BoolVar(&o.verbose, "v", false, "log of the gateway to standard error")
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: bench [flags] [figure…]\n\nfigures:")
		listFigures(fs.Output())
		fmt.Fprintln(fs.Output(), "\nflags:")
		fs.PrintDefaults()
	}
	if err := fs.Parse(args); err != nil {
		return false, err
	}
	if o.list {
		listFigures(out)
		return true, nil
	}
	chosen, err := choose(fs.Args(), &o)
	if err != nil {
		return false, err
	}
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "izinli-bench-"); err != nil {
			return false, err
		}
		if !o.keep {
			defer os.RemoveAll(o.dir)
		}
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return false, err
		}
	}
	b := &bench{opt: o, machine: stage.DescribeMachine(o.dir)}
	return b.runAll(ctx, chosen, out)
}

// bench is one invocation.
type bench struct {
	opt     options
	machine machine
	runs    int
}

// size is the number of messages of a run.
func (b *bench) size(full, quick int) int {
	switch {
	case b.opt.n > 0:
		return b.opt.n
	case b.opt.quick:
		return quick
	}
	return full
}

// fresh is a directory nobody has used.
func (b *bench) fresh() (string, error) {
	b.runs++
	return os.MkdirTemp(b.opt.dir, fmt.Sprintf("run%02d-", b.runs))
}

func choose(names []string, o *options) ([]figure, error) {
	var out []figure
	for _, f := range figures {
		if len(names) == 0 && (!f.extra || o.big && f.big) {
			out = append(out, f)
		}
	}
	for _, n := range names {
		i := slices.IndexFunc(figures, func(f figure) bool { return strings.EqualFold(f.id, n) })
		if i < 0 {
			return nil, fmt.Errorf("no figure %q; --list tells which there are", n)
		}
		out = append(out, figures[i])
	}
	return out, nil
}

func listFigures(w io.Writer) {
	for _, f := range figures {
		note := ""
		if f.extra {
			note = " (only when named)"
		}
		fmt.Fprintf(w, "  %-7s %s%s\n          target: %s\n", f.id, f.what, note, f.target)
	}
}

// runAll runs the figures one after the other; a figure that fails does not keep the others from running.
func (b *bench) runAll(ctx context.Context, list []figure, out io.Writer) (bool, error) {
	var all []*result
	var errs []error
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, f := range list {
		if ctx.Err() != nil {
			break
		}
		r, err := b.median(ctx, f)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.id, err))
			continue
		}
		all = append(all, r)
		if err := enc.Encode(r); err != nil {
			return false, err
		}
	}
	ok := summarize(out, &b.machine, all, b.opt.quick)
	return ok, errors.Join(append(errs, ctx.Err())...)
}

// median runs a figure several times and returns the round whose value is the median, or the first that lost, repeated or
// leaked anything: such a round is never averaged away.
func (b *bench) median(ctx context.Context, f figure) (*result, error) {
	var rounds []*result
	for range max(1, b.opt.rounds) {
		r, err := b.round(ctx, f)
		if err != nil {
			return nil, err
		}
		rounds = append(rounds, r)
		if r.broken() {
			return r, nil
		}
	}
	slices.SortFunc(rounds, func(a, b *result) int {
		switch {
		case a.Value < b.Value:
			return -1
		case a.Value > b.Value:
			return 1
		}
		return 0
	})
	m := rounds[len(rounds)/2]
	if len(rounds) > 1 {
		for _, r := range rounds {
			m.Rounds = append(m.Rounds, r.Value)
		}
	}
	return m, nil
}

// round runs a figure once; with --calm again and again until other programs left it the cores or time is up.
func (b *bench) round(ctx context.Context, f figure) (*result, error) {
	limit := time.Now().Add(b.opt.calm)
	for {
		if b.opt.calm > 0 {
			if err := awaitCalm(ctx, limit); err != nil {
				return nil, err
			}
		}
		r := &result{Figure: f.id, What: f.what, Target: f.target, Machine: &b.machine, Settings: map[string]any{}, At: time.Now().UTC().Truncate(time.Second)}
		if err := f.run(ctx, b, r); err != nil {
			return nil, err
		}
		r.Quick = b.opt.quick
		r.judge(f)
		disturbed := r.CPU != nil && r.CPU.OthersShare+r.CPU.StolenShare > disturbance
		if !disturbed || r.broken() || time.Now().After(limit) {
			return r, nil
		}
	}
}

// disturbance is the share of the cores above which other programs spoil a figure.
const disturbance = 0.1

// awaitCalm waits until the machine has been idle for two seconds, or limit.
func awaitCalm(ctx context.Context, limit time.Time) error {
	still := 0
	for still < 4 && time.Now().Before(limit) {
		busy0, stolen0 := machineCPU()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
		busy1, stolen1 := machineCPU()
		still++
		if busy1-busy0+stolen1-stolen0 > 100*time.Millisecond {
			still = 0
		}
	}
	return nil
}
