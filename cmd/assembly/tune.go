package assembly

import (
	"os"
	"runtime"
	"runtime/debug"
)

// tune sets the Go runtime up for a gateway with the given octets of consents in memory. GOGC, GOMEMLIMIT and GOMAXPROCS in
// the environment win.
//
// The live heap is small and holds few pointers, so it may grow to three times its size between collections, below a soft
// limit that keeps the process's memory in bounds. Twice as many threads as cores let the kernel, which preempts sooner than
// the Go scheduler, take the processor from compaction for whoever waits for an answer.
func tune(mirror int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(256<<20 + int64(mirror)*3/2)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(2 * runtime.NumCPU())
	}
}
