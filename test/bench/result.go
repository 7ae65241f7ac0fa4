package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"izinli/test/stage"
)

// figure is one thing that is measured.
type figure struct {
	id, what, target string
	extra            bool // runs only when named
	big              bool // or with --big
	// met judges the measured values; losses, duplicates and leaks are judged everywhere.
	met func(*result) bool
	run func(context.Context, *bench, *result) error
}

// result is one line of the report. Rates are per second, times in milliseconds, sizes in MB (10⁶ octets), CPU in seconds per
// 1000 messages.
type result struct {
	Figure string             `json:"figure"`
	What   string             `json:"what"`
	Value  float64            `json:"value"`
	Unit   string             `json:"unit"`
	Values map[string]float64 `json:"values,omitempty"`
	Target string             `json:"target"`
	Pass   bool               `json:"pass"`
	Quick  bool               `json:"quick,omitempty"`
	Rounds []float64          `json:"rounds,omitempty"`

	Messages   int `json:"messages"`
	Losses     int `json:"losses"`
	Duplicates int `json:"duplicates"`
	Leaks      int `json:"leaks,omitempty"`

	CPU            *cpuShare `json:"cpu,omitempty"`
	CommitsPer1000 float64   `json:"commitsPer1000,omitempty"`
	KeysPer1000    float64   `json:"keysPer1000,omitempty"` // records written or deleted in the store
	SyncsPer1000   float64   `json:"syncsPer1000,omitempty"`
	Bottleneck     string    `json:"bottleneck,omitempty"`
	Durability     string    `json:"durability,omitempty"`
	Notes          []string  `json:"notes,omitempty"`

	Settings map[string]any `json:"settings"`
	Machine  *machine       `json:"machine"`
	At       time.Time      `json:"at"`
}

// cpuShare is who used the cores during the load: CPU seconds per 1000 messages, and the share of all cores.
type cpuShare struct {
	Gateway       float64 `json:"gatewayPer1000"`
	Redis         float64 `json:"redisPer1000"`
	Bench         float64 `json:"generatorAndOperatorPer1000"`
	GatewayShare  float64 `json:"gatewayShare"`
	RedisShare    float64 `json:"redisShare"`
	BenchShare    float64 `json:"generatorAndOperatorShare"`
	OthersShare   float64 `json:"othersShare"` // programs that have nothing to do with it
	StolenShare   float64 `json:"stolenShare"` // by the host
	WallSeconds   float64 `json:"wallSeconds"`
	GatewaySecond float64 `json:"gatewaySeconds"`
}

// notKept begins a Durability that is not the promised one.
const notKept = "NOT"

// durability says of what the gateway's store reports (synced, encrypted) what it means.
func durability(synced, encrypted bool) string {
	if !synced || !encrypted {
		return fmt.Sprintf(notKept+" as promised: synced %t, encrypted %t", synced, encrypted)
	}
	return stage.Durability
}

func (r *result) set(name string, v float64) {
	if r.Values == nil {
		r.Values = map[string]float64{}
	}
	r.Values[name] = round(v)
}

// atLeast reports whether a setting is as large as the target means; smaller runs, by --n or without --big, get no verdict.
func (r *result) atLeast(setting string, n int) bool {
	have, _ := r.Settings[setting].(int)
	return have >= n
}

func (r *result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// broken reports whether a promise was broken, which no speed makes good.
func (r *result) broken() bool {
	return r.Losses > 0 || r.Duplicates > 0 || r.Leaks > 0 || strings.HasPrefix(r.Durability, notKept)
}

// addHarm takes over what went wrong in a further run of the same figure, so that it is judged like the first, and that run's notes.
func (r *result) addHarm(o *result) {
	r.Losses, r.Duplicates, r.Leaks = r.Losses+o.Losses, r.Duplicates+o.Duplicates, r.Leaks+o.Leaks
	if strings.HasPrefix(o.Durability, notKept) {
		r.Durability = o.Durability
	}
	r.Notes = append(r.Notes, o.Notes...)
}

func (r *result) judge(f figure) {
	r.Value = round(r.Value)
	r.CommitsPer1000, r.SyncsPer1000 = round(r.CommitsPer1000), round(r.SyncsPer1000)
	r.Pass = !r.broken() && (f.met == nil || f.met(r))
	if r.Machine != nil && r.Machine.InMemory && !r.Quick {
		r.Pass = false
		r.note("the stores are in memory; --dir names a directory on a disk")
	}
}

// load fills what every load has: rate, shares, the side that was the limit.
func (r *result) load(u usage, n int) {
	cores := float64(r.Machine.Cores)
	per := func(d time.Duration) float64 { return round(d.Seconds() / float64(max(n, 1)) * 1000) }
	share := func(d time.Duration) float64 { return round(d.Seconds() / (u.wall.Seconds() * cores)) }
	r.Messages = n
	r.CPU = &cpuShare{Gateway: per(u.gateway), Redis: per(u.redis), Bench: per(u.bench), GatewayShare: share(u.gateway),
		RedisShare: share(u.redis), BenchShare: share(u.bench), OthersShare: share(u.others), StolenShare: share(u.stolen), WallSeconds: round(u.wall.Seconds()), GatewaySecond: round(u.gateway.Seconds())}
	r.CommitsPer1000 = float64(u.commits) / float64(max(n, 1)) * 1000
	r.KeysPer1000 = round(float64(u.keys) / float64(max(n, 1)) * 1000)
	r.Bottleneck = bottleneck(r.CPU)
}

// bottleneck names the side without which the others would be faster. With shared cores that is the one that used most of
// them, unless there was time to spare.
func bottleneck(c *cpuShare) string {
	busy := c.GatewayShare + c.RedisShare + c.BenchShare
	text := fmt.Sprintf("gateway %.0f %%, redis %.0f %%, generator and operator %.0f %%, other programs %.0f %% of all cores", 100*c.GatewayShare,
		100*c.RedisShare, 100*c.BenchShare, 100*(c.OthersShare+c.StolenShare))
	switch {
	case c.OthersShare+c.StolenShare > disturbance:
		return "the machine is busy with other things, measure again: " + text
	case busy < 0.8:
		return "waiting (cores not full): " + text
	case c.BenchShare > c.GatewayShare+c.RedisShare:
		return "generator and operator: " + text
	}
	return "gateway: " + text
}

// round keeps four significant digits.
func round(v float64) float64 {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0
	}
	p := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*p) / p
}

// summarize prints the results for people and reports whether all is well.
func summarize(w io.Writer, m *machine, all []*result, quick bool) bool {
	fmt.Fprintf(w, "\n%s\n", m)
	ok := true
	tw := tabwriter.NewWriter(w, 2, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "figure\tvalue\tlost\ttwice\tCPU s/1000 gw+redis\tverdict\tmore")
	for _, r := range all {
		verdict := "met"
		switch {
		case r.broken():
			verdict, ok = "BROKEN", false
		case quick:
			verdict = "quick run"
		case !r.Pass:
			verdict, ok = "MISSED", false
		}
		cpu := "-"
		if r.CPU != nil {
			cpu = fmt.Sprintf("%.4g", r.CPU.Gateway+r.CPU.Redis)
		}
		fmt.Fprintf(tw, "%s\t%.4g %s\t%d\t%d\t%s\t%s\t%s\n", r.Figure, r.Value, r.Unit, r.Losses, r.Duplicates, cpu, verdict, more(r))
	}
	tw.Flush()
	for _, r := range all {
		for _, n := range r.Notes {
			fmt.Fprintf(w, "%s: %s\n", r.Figure, n)
		}
	}
	return ok
}

func more(r *result) string {
	names := make([]string, 0, len(r.Values))
	for n := range r.Values {
		names = append(names, n)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "%s=%.4g ", n, r.Values[n])
	}
	return strings.TrimSpace(b.String())
}
