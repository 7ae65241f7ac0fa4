package assembly

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// tune sets the Go runtime up for a gateway with the given octets of consents in memory. GOGC, GOMEMLIMIT and GOMAXPROCS in
// the environment win.
//
// The live heap is small and holds few pointers, so it may grow to several times its size between collections: that halves
// the processor time of a message, and a collection, which takes one of few cores for a twentieth of a second, delays fewer of
// them. Twice as many threads as cores let the kernel, which preempts sooner than the Go scheduler, take the processor from
// compaction for whoever waits for an answer.
func tune(mirror int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(800)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(uint64(mirror), memlimit.FromCgroup, memlimit.FromSystem))
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * runtime.NumCPU())
	}
}

// roomy is what the collector works towards on a machine that has it, beside the consents. The store's buffers are up to 600 MB of it
// under load; with 1 GiB a quarter of the processor went to collections once there was much to sort.
const roomy = 3 << 29

// memoryLimit is the heap, in octets, that the collector works towards: what is roomy, but at most 70 % of the least that one of
// the bounds names (of the control group, of the machine). The rest is the page cache's, without which a store on disk is slow.
func memoryLimit(mirror uint64, bounds ...memlimit.Provider) int64 {
	limit := roomy + mirror*3/2 // a table that grows stands there twice for a moment
	for _, bound := range bounds {
		if n, err := bound(); err == nil && n > 0 {
			limit = min(limit, n/10*7)
		}
	}
	return int64(limit)
}

// trimInterval is how long nothing must have been written before memory is given back, and trimAgain how many of these later it is
// given back once more: the store keeps its buffers for up to 16 s after it has sorted what was written last.
const (
	trimInterval = 2 * time.Second
	trimAgain    = 10
)

// trim gives back what a busy time left behind, once it is over: waiting messages cost no memory.
func (s *Server) trim(ctx context.Context) error {
	tick := time.NewTicker(trimInterval)
	defer tick.Stop()
	var last, trimmed uint64
	again := 0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := s.Store.Stats().Keys
		again = max(0, again-1)
		if idle := now-last < 100; idle && (now-trimmed > 10_000 || again == 1) {
			if now-trimmed > 10_000 {
				again = trimAgain + 1
			}
			debug.FreeOSMemory()
			trimmed = now
		}
		last = now
	}
}
