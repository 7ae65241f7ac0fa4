package assembly

import (
	"errors"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestMemoryLimit(t *testing.T) {
	none := func() (uint64, error) { return 0, errors.New("no control group") }
	const gib = 1 << 30
	for _, c := range []struct {
		why            string
		mirror         uint64
		cgroup, system memlimit.Provider
		want           int64
	}{
		{"a large machine", 0, none, memlimit.Limit(64 * gib), roomy},
		{"the consents come on top", 200 << 20, none, memlimit.Limit(64 * gib), roomy + 300<<20},
		{"a machine of one gibibyte", 0, none, memlimit.Limit(1000), 700},
		{"a container on a large machine", 200 << 20, memlimit.Limit(500), memlimit.Limit(64 * gib), 350},
		{"nothing is known", 0, none, none, roomy},
	} {
		if got := memoryLimit(c.mirror, c.cgroup, c.system); got != c.want {
			t.Errorf("%s: %d, want %d", c.why, got, c.want)
		}
	}
}
