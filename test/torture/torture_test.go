package torture

import (
	"flag"
	"testing"
	"time"

	"izinli/test/crash"
)

var (
	faults = flag.Int("faults", 0, "faults that strike; 0: none, nothing is run")
	seed   = flag.Uint64("seed", 0, "seed of their order; 0: at random")
	only   = flag.String("only", "", "only faults whose name contains it")
	calm   = flag.Duration("calm", 2*time.Second, "the longest pause between recovery and the next fault")
)

// inFlight is how long after an acknowledged refusal the last message may be read by its peer: the aim is 100 ms (T11 of the
// benchmarks) where nothing breaks; here gateway, operators, smarthost, İYS and customers share the cores with what breaks them.
const inFlight = 250 * time.Millisecond

func TestMain(m *testing.M) { crash.Main(m) }

func TestTorture(t *testing.T) {
	if *faults == 0 {
		t.Skip("make torture runs this; TestStorm of package test is its short form")
	}
	crash.RunStorm(t, crash.Storm{Faults: *faults, Seed: *seed, Calm: *calm, Only: *only, InFlight: inFlight,
		Counts: *faults >= crash.LeastFaults && *only == ""})
}
