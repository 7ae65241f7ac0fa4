package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/mirror"
)

// decisions measures Office.Decide in a process of its own, so that its memory is the mirror's.
func decisions(ctx context.Context, b *bench, r *result) error {
	large, small := b.size(10_000_000, 100_000), 100_000
	r.Settings["records"], r.Settings["smallRecords"] = large, small
	r.Durability = "memory only: decisions read the mirror, never the disk; diskMB is the durable copy's, smallDiskMB that of the small one"
	each := 2 * time.Second
	if b.opt.quick {
		each /= 10
	}
	few, err := decideIn(ctx, small, each)
	if err != nil {
		return err
	}
	many, err := decideIn(ctx, large, each)
	if err != nil {
		return err
	}
	r.Value, r.Unit = many.PerSecond, "decisions/s"
	r.Messages = many.Decisions
	r.set("absentPerSecond", many.AbsentPerSecond)
	r.set("allCoresPerSecond", many.AllCores)
	r.set("smallPerSecond", few.PerSecond)
	r.set("slowdown", few.PerSecond/many.PerSecond)
	r.set("p50ns", many.P50)
	r.set("p99ns", many.P99)
	r.set("smallP50ns", few.P50)
	r.set("smallP99ns", few.P99)
	r.set("smallRSSAddedMB", few.AddedMB)
	r.set("bytesARecord", many.AddedMB*1e6/float64(large))
	r.set("rssAddedMB", many.AddedMB)
	r.set("loadSeconds", many.LoadSeconds)
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
	r.Losses = few.Wrong + many.Wrong
	r.Bottleneck = "none: one goroutine, no generator beside it"
	return nil
}

// decideResult is what the child process measured.
type decideResult struct {
	PerSecond, AbsentPerSecond, AllCores float64
	AddedMB, LoadSeconds                 float64
	P50, P99                             float64 // ns of one decision, timed alone
	Decisions                            int
	Wrong                                int // verdicts other than the expected
}

// decideIn starts the child; each measurement in it lasts so long.
func decideIn(ctx context.Context, n int, each time.Duration) (r decideResult, err error) {
	self, err := os.Executable()
	if err != nil {
		return r, err
	}
	cmd := exec.CommandContext(ctx, self, "decide", strconv.Itoa(n), each.String())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return r, fmt.Errorf("decide: %w", err)
	}
	return r, json.Unmarshal(out, &r)
}

// decideMain is the child process: `bench decide <records> <duration>`.
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
	res := decideResult{LoadSeconds: time.Since(began).Seconds()}
	runtime.GC()
	res.AddedMB = processMemory(os.Getpid()).RSS - before.RSS
	office := consent.New(consent.Config{}, oneBrand(), m, nil)
	j := judge{office: office, batch: &gateway.Batch{Account: 1, Brand: brandCode, Channel: gateway.ChannelSMS, Class: gateway.ClassCommercial,
		RecipientType: gateway.RecipientIndividual}}
	present, absent := addresses(n, 0), addresses(n, n)
	j.run(present, iys.OutcomeSend, each/4) // caches and branches
	res.PerSecond = j.run(present, iys.OutcomeSend, each)
	res.AbsentPerSecond = j.run(absent, iys.OutcomeAsk, each)
	res.P50, res.P99 = j.single(present)
	var wg sync.WaitGroup
	rates := make([]float64, runtime.NumCPU())
	for i := range rates {
		wg.Go(func() { rates[i] = j.run(present, iys.OutcomeSend, each) })
	}
	wg.Wait()
	for _, v := range rates {
		res.AllCores += v
	}
	res.Decisions, res.Wrong = int(j.done.Load()), int(j.wrong.Load())
	return json.NewEncoder(os.Stdout).Encode(res)
}

// judge asks the office again and again.
type judge struct {
	office      *consent.Office
	batch       *gateway.Batch
	done, wrong atomic.Int64
}

func (j *judge) run(addrs []string, want iys.Outcome, d time.Duration) float64 {
	began, n, wrong := time.Now(), 0, 0
	now := began
	for time.Since(began) < d {
		for range 1024 {
			if j.office.Decide(j.batch, addrs[n&(len(addrs)-1)], now).Outcome != want {
				wrong++
			}
			n++
		}
	}
	j.done.Add(int64(n))
	j.wrong.Add(int64(wrong))
	return float64(n) / time.Since(began).Seconds()
}

// single times decisions one by one. What the clock itself takes (its own median) is taken off.
func (j *judge) single(addrs []string) (p50, p99 float64) {
	const n = 1 << 18
	took, clocks := make([]int64, n), make([]int64, n)
	now := time.Now()
	for i := range took {
		t := time.Now()
		clocks[i] = int64(time.Since(t))
		t = time.Now()
		j.office.Decide(j.batch, addrs[(i*7919)&(len(addrs)-1)], now)
		took[i] = int64(time.Since(t))
	}
	slices.Sort(took)
	slices.Sort(clocks)
	own := clocks[n/2]
	return float64(max(0, took[n/2]-own)), float64(max(0, took[n*99/100]-own))
}

// durableCopy writes n consents the way pulls and look-ups leave them and returns what the store takes on disk once it is closed.
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
	page := make([]iys.Consent, 0, 5000)
	for i := 0; i < n && err == nil; i++ {
		page = append(page, iys.Consent{Key: consentKey(i), Status: iys.StatusApproved, Origin: iys.OriginLive, ReadAt: time.Now()})
		if len(page) == cap(page) || i == n-1 {
			err = st.PutConsents(ctx, page, "live")
			page = page[:0]
		}
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

// addresses are 2¹⁶ numbers at random places of n from first on: more than the caches hold.
func addresses(n, first int) []string {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([]string, 1<<16)
	for i := range out {
		out[i] = numberOf(first + rng.IntN(n))
	}
	return out
}

// made is a durable copy with n approvals and a fresh pull.
type made struct{ n int }

func (m made) EachPull(_ context.Context, yield func(mirror.Pull) error) error {
	return yield(mirror.Pull{Brand: brandCode, Channel: iys.ChannelSMS, Start: time.Now()})
}
func (made) EachBlock(context.Context, func(iys.Block) error) error                  { return nil }
func (made) EachBlacklisted(context.Context, func(account, addr string) error) error { return nil }

func (m made) EachConsent(_ context.Context, loader func() *mirror.Loader) error {
	l := loader()
	defer l.Close()
	at := time.Now()
	for i := range m.n {
		l.Add(&iys.Consent{Key: consentKey(i), Status: iys.StatusApproved, Origin: iys.OriginLive, ReadAt: at})
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
