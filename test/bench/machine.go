package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"izinli/test/stage"
)

// machine is where a figure was taken.
type machine = stage.Machine

// clockTick is the unit of /proc/<pid>/stat; it is 100 per second on every Linux Go runs on.
const clockTick = 10 * time.Millisecond

// processCPU is the CPU time of a process so far, user and system, with that of its threads and of its children that have ended (a
// Redis rewrites its log in one).
func processCPU(pid int) time.Duration {
	if pid == 0 {
		return 0
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The command's name stands in parentheses and may hold anything.
	_, rest, ok := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 15 {
		return 0
	}
	ticks := 0
	for _, field := range f[11:15] { // utime, stime, cutime, cstime
		n, _ := strconv.Atoi(field)
		ticks += n
	}
	return time.Duration(ticks) * clockTick
}

// machineCPU is the CPU time of everything on the machine, and what the hypervisor kept for others.
func machineCPU() (busy, stolen time.Duration) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal …
	for _, i := range []int{1, 2, 3, 6, 7} {
		if i < len(f) {
			n, _ := strconv.Atoi(f[i])
			busy += time.Duration(n) * clockTick
		}
	}
	if len(f) > 8 {
		n, _ := strconv.Atoi(f[8])
		stolen = time.Duration(n) * clockTick
	}
	return busy, stolen
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory of a process in MB: resident, of which anonymous, and the peak of the first.
type memory struct{ RSS, Anon, Peak float64 }

func processMemory(pid int) memory {
	path := fmt.Sprintf("/proc/%d/status", pid)
	mb := func(name string) float64 {
		kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(stage.ProcField(path, name), "kB")), 64)
		return kb * 1024 / 1e6
	}
	return memory{RSS: mb("VmRSS"), Anon: mb("RssAnon"), Peak: mb("VmHWM")}
}

// epoch is the zero of the program's own clock; what is timed is timed on one machine in one process.
var epoch = time.Now()

// clock is the time since the program began.
func clock() time.Duration { return time.Since(epoch) }
