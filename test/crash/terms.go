package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"izinli/test/stage"
)

// Terms of a storm that counts.
const (
	LeastFaults = 200
	longest     = 20 * time.Minute // from the first fault to the last
)

// order is the chance by which faults follow each other.
func (s *storm) order() *rand.Rand { return rand.New(rand.NewPCG(s.Seed, 99)) }

// possible reports whether a kind may strike in this storm.
func (s *storm) possible(f *fault) bool {
	return strings.Contains(f.name, s.Only) && (s.mount != "" || !strings.HasPrefix(f.name, "disk"))
}

// deal is one of each kind, in random order: they strike first, if there is room for all.
func (s *storm) deal(rng *rand.Rand) (first []*fault) {
	for i := range faults {
		if s.possible(&faults[i]) {
			first = append(first, &faults[i])
		}
	}
	if len(s.Kinds) > 0 || len(first) > s.Faults {
		return nil
	}
	rng.Shuffle(len(first), func(i, j int) { first[i], first[j] = first[j], first[i] })
	return first
}

// next is the i-th fault.
func (s *storm) next(i int, rng *rand.Rand, first []*fault) *fault {
	switch {
	case i < len(first):
		return first[i]
	case len(s.Kinds) == 0:
		return s.draw(rng)
	}
	for k := range faults {
		if faults[k].name == s.Kinds[i] {
			return &faults[k]
		}
	}
	s.t.Fatalf("there is no fault %q", s.Kinds[i])
	return nil
}

// draw is any of those that are possible, by weight.
func (s *storm) draw(rng *rand.Rand) *fault {
	total := 0
	for i := range faults {
		if s.possible(&faults[i]) {
			total += faults[i].weight
		}
	}
	if total == 0 {
		s.t.Fatalf("no fault's name contains %q", s.Only)
	}
	n := rng.IntN(total)
	for i := range faults {
		if f := &faults[i]; s.possible(f) {
			if n -= f.weight; n < 0 {
				return f
			}
		}
	}
	return nil
}

// struck is how many faults did.
func (s *storm) struck() (n int) {
	for _, k := range s.kinds {
		n += k
	}
	return n
}

// judgeTerms says whether the storm counts, and fails one that should and does not. Who may not mount a file system is told, loudly.
func (s *storm) judgeTerms(r *result, raged time.Duration) {
	if n := s.struck(); n < LeastFaults {
		r.Because = append(r.Because, fmt.Sprintf("%d faults struck, want %d", n, LeastFaults))
	}
	var missing []string
	for i := range faults {
		if f := &faults[i]; s.kinds[f.name] == 0 && s.possible(f) {
			missing = append(missing, f.name)
		}
	}
	if len(missing) > 0 {
		r.Because = append(r.Because, "never struck: "+strings.Join(missing, "; "))
	}
	if s.Only != "" {
		r.Because = append(r.Because, fmt.Sprintf("only faults with %q in their names struck", s.Only))
	}
	if raged > longest {
		r.Because = append(r.Because, fmt.Sprintf("it raged for %s, want at most %s", raged.Round(time.Second), longest))
	}
	if s.Counts {
		for _, b := range r.Because {
			s.t.Errorf("this storm does not count: %s", b)
		}
	}
	if s.mount == "" {
		r.Because = append(r.Because, "the disk was never full: a file system of limited size can only be mounted by root")
	}
	if r.Counts = len(r.Because) == 0; !r.Counts {
		s.t.Logf("*** THIS STORM DOES NOT COUNT: %s ***", strings.Join(r.Because, "; "))
	}
}

// settings are what a storm was run with.
func (s *storm) settings() map[string]any {
	return map[string]any{"faultsPlanned": s.Faults, "people": s.People, "calmAtMostS": s.Calm.Seconds(), "recoverWithinS": s.RecoverWithin.Seconds(),
		"inFlightMS": s.InFlight.Milliseconds(), "operators": len(s.ops), "bindsEach": binds, "window": window, "smarthostConnections": mailConns,
		"queue": "Redis", "iysPullS": pullEvery.Seconds(), "diskMB": diskMB(s.mount)}
}

func diskMB(mount string) int {
	if mount == "" {
		return 0 // without a bound
	}
	return diskSize >> 20
}

// durability is how the gateway kept what it acknowledged.
func (s *storm) durability() string {
	if s.mount == "" {
		return stage.Durability
	}
	return stage.Durability + "; the store is on tmpfs, where a sync costs nothing and only the machine's end loses data"
}
