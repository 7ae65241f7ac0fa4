package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/mirror"
)

// decideTurns is how often the large and the small mirror are measured, one after the other: a machine's memory answers
// differently fast from one minute to the next.
const decideTurns = 5

// decisions measures Office.Decide in processes of its own, so that their memory is the mirror's.
func decisions(ctx context.Context, b *bench, r *result) error {
	large, small := b.size(10_000_000, 100_000), 100_000
	r.Settings["records"], r.Settings["smallRecords"] = large, small
	r.Settings["blocks"], r.Settings["blacklisted"] = blocksOf(large), blacklistedOf(large)
	r.Durability = "memory only: decisions read the mirror, never the disk; diskMB is the durable copy's, smallDiskMB that of the small one"
	each := 800 * time.Millisecond
	if b.opt.quick {
		each /= 10
	}
	few, err := startDecider(ctx, small, each)
	if err != nil {
		return err
	}
	defer few.stop()
	many, err := startDecider(ctx, large, each)
	if err != nil {
		return err
	}
	defer many.stop()
	for range decideTurns {
		if err := errors.Join(few.turn(), many.turn()); err != nil {
			return err
		}
	}
	fewEnd, err := few.end()
	if err != nil {
		return err
	}
	manyEnd, err := many.end()
	if err != nil {
		return err
	}
	r.Value, r.Unit = many.median(present), "decisions/s"
	r.Messages, r.Losses = manyEnd.Decisions, fewEnd.Wrong+manyEnd.Wrong
	r.set("absentPerSecond", many.median(absent))
	r.set("allCoresPerSecond", manyEnd.AllCores)
	r.set("perCoreAllBusy", manyEnd.AllCores/float64(runtime.NumCPU()))
	r.set("peakMB", many.loaded.PeakMB)
	r.set("smallPerSecond", few.median(present))
	r.set("slowdown", few.median(present)/many.median(present))
	r.set("p50ns", manyEnd.P50)
	r.set("p99ns", manyEnd.P99)
	r.set("smallP50ns", fewEnd.P50)
	r.set("smallP99ns", fewEnd.P99)
	r.set("smallRSSAddedMB", few.loaded.AddedMB)
	r.set("bytesARecord", many.loaded.AddedMB*1e6/float64(large))
	r.set("rssAddedMB", many.loaded.AddedMB)
	r.set("loadSeconds", many.loaded.Seconds)
	r.Settings["turns"] = decideTurns
	r.set("slowestTurn", slices.MinFunc(many.turns, byPresent)[present])
	r.set("fastestTurn", slices.MaxFunc(many.turns, byPresent)[present])
	r.Bottleneck = "none: one goroutine, no generator beside it"
	return decideDisks(ctx, b, r, large, small)
}

// decideDisks says what the durable copies take.
func decideDisks(ctx context.Context, b *bench, r *result, large, small int) error {
	disks := map[string]int{"smallDiskMB": small, "diskMB": large}
	if large > 1_000_000 && !b.opt.big {
		delete(disks, "diskMB")
		disks["disk1MMB"] = 1_000_000
		r.note("with --big the disk of all %d records is measured, not that of a million", large)
	}
	for name, n := range disks {
		dir, err := b.fresh()
		if err != nil {
			return err
		}
		mb, err := durableCopy(ctx, dir, n)
		if err != nil {
			return err
		}
		r.set(name, mb)
	}
	return nil
}

// What a turn measures.
const (
	present = iota // decisions a second about addresses with an approval
	absent         // about addresses of which nothing is known
	measures
)

type decideTurn [measures]float64

func byPresent(a, b decideTurn) int { return cmp.Compare(a[present], b[present]) }

// What the child says once it has loaded, and at its end.
type (
	decideLoad struct{ AddedMB, PeakMB, Seconds float64 } // PeakMB: of the whole process
	decideEnd  struct {
		AllCores  float64
		P50, P99  float64 // ns of one decision, timed alone
		Decisions int
		Wrong     int // verdicts other than the expected
	}
)

// decider is a child process with a mirror of its own. It measures when asked to.
type decider struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	loaded decideLoad
	turns  []decideTurn
}

// startDecider returns once n consents are loaded; each measurement lasts so long.
func startDecider(ctx context.Context, n int, each time.Duration) (*decider, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d := &decider{cmd: exec.CommandContext(ctx, self, "decide", strconv.Itoa(n), each.String())}
	d.cmd.Stderr = os.Stderr
	if d.in, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = json.NewDecoder(out)
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	if err := d.out.Decode(&d.loaded); err != nil {
		d.stop()
		return nil, fmt.Errorf("decide: %w", err)
	}
	return d, nil
}

func (d *decider) turn() error {
	var t decideTurn
	_, err := fmt.Fprintln(d.in, "turn")
	if err == nil {
		err = d.out.Decode(&t)
	}
	d.turns = append(d.turns, t)
	return err
}

func (d *decider) median(of int) float64 {
	values := make([]float64, 0, len(d.turns))
	for _, t := range d.turns {
		values = append(values, t[of])
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func (d *decider) end() (e decideEnd, err error) {
	if err = d.in.Close(); err == nil {
		err = d.out.Decode(&e)
	}
	return e, err
}

// stop ends the child; after end it only waits for it.
func (d *decider) stop() {
	d.in.Close()
	d.cmd.Process.Kill()
	d.cmd.Wait()
}

// decideMain is the child process: `bench decide <records> <duration>`. Every line it reads is answered with a turn.
func decideMain() error {
	if len(os.Args) != 4 {
		return errors.New("wants a number of records and a duration")
	}
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		return err
	}
	each, err := time.ParseDuration(os.Args[3])
	if err != nil {
		return err
	}
	runtime.GC()
	before := processMemory(os.Getpid())
	m := mirror.New()
	began := time.Now()
	if err := m.Load(context.Background(), made{n}); err != nil {
		return err
	}
	took := time.Since(began)
	runtime.GC()
	say := json.NewEncoder(os.Stdout)
	now := processMemory(os.Getpid())
	if err := say.Encode(decideLoad{now.RSS - before.RSS, now.Peak, took.Seconds()}); err != nil {
		return err
	}
	j := judge{office: consent.New(consent.Config{}, oneBrand(), m, nil), batch: &gateway.Batch{Account: 1, Brand: brandCode,
		Channel: gateway.ChannelSMS, Class: gateway.ClassCommercial, RecipientType: gateway.RecipientIndividual}}
	held, unknown := numbersOf(n, 0), numbersOf(n, n)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		j.run(held, iys.OutcomeSend, each/8) // caches and branches
		if err := say.Encode(decideTurn{present: j.run(held, iys.OutcomeSend, each), absent: j.run(unknown, iys.OutcomeAsk, each/2)}); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return say.Encode(j.last(held, each))
}

// last measures single decisions and all cores at once.
func (j *judge) last(addrs *numbers, each time.Duration) (e decideEnd) {
	e.P50, e.P99 = j.single(addrs)
	var wg sync.WaitGroup
	rates := make([]float64, runtime.NumCPU())
	for i := range rates {
		wg.Go(func() { rates[i] = j.run(addrs.from(numbersHeld/len(rates)*i), iys.OutcomeSend, each) })
	}
	wg.Wait()
	for _, v := range rates {
		e.AllCores += v
	}
	e.Decisions, e.Wrong = int(j.done.Load()), int(j.wrong.Load())
	return e
}

// judge asks the office again and again.
type judge struct {
	office      *consent.Office
	batch       *gateway.Batch
	done, wrong atomic.Int64
}

func (j *judge) run(addrs *numbers, want iys.Outcome, d time.Duration) float64 {
	began, n, wrong := time.Now(), 0, 0
	now := began
	for time.Since(began) < d {
		for range 1024 {
			if j.office.Decide(j.batch, addrs.take(), now).Outcome != want {
				wrong++
			}
		}
		n += 1024
	}
	j.done.Add(int64(n))
	j.wrong.Add(int64(wrong))
	return float64(n) / time.Since(began).Seconds()
}

// single times decisions one by one. What the clock itself takes (its own median) is taken off.
func (j *judge) single(addrs *numbers) (p50, p99 float64) {
	const n = 1 << 18
	took, clocks := make([]int64, n), make([]int64, n)
	now := time.Now()
	for i := range took {
		t := time.Now()
		clocks[i] = int64(time.Since(t))
		address := addrs.take()
		t = time.Now()
		j.office.Decide(j.batch, address, now)
		took[i] = int64(time.Since(t))
	}
	slices.Sort(took)
	slices.Sort(clocks)
	own := clocks[n/2]
	return float64(max(0, took[n/2]-own)), float64(max(0, took[n*99/100]-own))
}

// durableCopy writes n consents the way pulls leave them and returns what the store takes on disk once it is closed.
func durableCopy(ctx context.Context, dir string, n int) (mb float64, err error) {
	st, err := store.Open(store.Options{Dir: dir, Key: make([]byte, 32), Reserve: 1})
	if err != nil {
		return 0, err
	}
	acct := &gateway.Account{Name: "bench"}
	err = st.PutAccount(ctx, acct)
	if err == nil {
		err = st.PutBrand(ctx, &gateway.Brand{Code: brandCode, Account: acct.ID})
	}
	if err == nil {
		err = putConsents(ctx, st, n, func(i int, at time.Time) iys.Consent { return stored(i, consentKey(i), iys.StatusApproved, at) })
	}
	if err = errors.Join(err, st.Close()); err != nil {
		return 0, err
	}
	var size int64
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		fi, err := e.Info()
		if err == nil {
			size += fi.Size()
		}
		return err
	})
	return float64(size) / 1e6, errors.Join(err, os.RemoveAll(dir))
}

// numbers are addresses asked about in order: so many at random places that none comes again while its place is still in a cache,
// as in a campaign. They stand one behind the other in memory, where reading them costs next to nothing.
type numbers struct {
	list []string
	next int
}

const numbersHeld = 1 << 22

// numbersOf draws from n numbers beginning with first.
func numbersOf(n, first int) *numbers {
	rng := rand.New(rand.NewPCG(3, uint64(first)))
	var all strings.Builder
	size := len(numberOf(0))
	all.Grow(numbersHeld * size)
	for range numbersHeld {
		all.WriteString(numberOf(first + rng.IntN(n)))
	}
	out := &numbers{list: make([]string, numbersHeld)}
	for i, text := 0, all.String(); i < numbersHeld; i++ {
		out.list[i] = text[i*size : (i+1)*size]
	}
	return out
}

// from are the same numbers, read from another place.
func (a *numbers) from(at int) *numbers { return &numbers{a.list, at} }

func (a *numbers) take() string {
	s := a.list[a.next&(numbersHeld-1)]
	a.next++
	return s
}

// made is a durable copy with n approvals, a hundredth of it blocks, a thousandth blacklisted, and a fresh pull.
type made struct{ n int }

func (m made) EachPull(_ context.Context, yield func(mirror.Pull) error) error {
	return yield(mirror.Pull{Brand: brandCode, Channel: iys.ChannelSMS, Start: time.Now()})
}

// Beside n approvals there are blocks and a blacklist of the account, of other addresses, so that no decision is spared looking.
func blocksOf(n int) int      { return n / 100 }
func blacklistedOf(n int) int { return n / 1000 }

func (m made) EachBlock(_ context.Context, yield func(iys.Block) error) error {
	for i := range blocksOf(m.n) {
		if err := yield(iys.Block{Brand: brandCode, Channel: iys.ChannelSMS, Recipient: numberOf(2*m.n + i), Since: time.Now()}); err != nil {
			return err
		}
	}
	return nil
}

func (m made) EachBlacklisted(_ context.Context, yield func(account, addr string) error) error {
	for i := range blacklistedOf(m.n) {
		if err := yield("1", numberOf(2*m.n+i)); err != nil {
			return err
		}
	}
	return nil
}

func (m made) EachConsent(_ context.Context, loader func() *mirror.Loader) error {
	l := loader()
	defer l.Close()
	at := time.Now()
	for i := range m.n {
		c := pulled(i, consentKey(i), iys.StatusApproved, at)
		l.Add(&c)
	}
	return nil
}

type fixedDirectory struct{ d *gateway.Directory }

func (f fixedDirectory) Directory() *gateway.Directory { return f.d }

func oneBrand() fixedDirectory {
	d := gateway.NewDirectory()
	d.Brands[brandCode] = &gateway.Brand{Code: brandCode, Account: 1, SMS: gateway.BrandMode{Mode: string(iys.ModePartner)}}
	return fixedDirectory{d}
}
