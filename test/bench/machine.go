package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is where a figure was taken.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	MemMB  int    `json:"memoryMB"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	// SyncMS is one write of 4 KiB with fdatasync in the directory of the stores, alone, in milliseconds.
	SyncMS float64 `json:"syncMS"`
}

func (m *machine) String() string {
	return fmt.Sprintf("%d × %s, %d MB, Linux %s, %s, %.3g ms a sync", m.Cores, m.CPU, m.MemMB, m.Kernel, m.Go, m.SyncMS)
}

func describeMachine(dir string) machine {
	m := machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: field("/proc/cpuinfo", "model name")}
	kb, _ := strconv.Atoi(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"))
	m.MemMB = kb / 1000
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	m.SyncMS = round(syncTime(dir).Seconds() * 1000)
	return m
}

// field reads the value of the first line "name : value".
func field(path, name string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// syncTime is what a synced write costs here: the mean of half a second.
func syncTime(dir string) time.Duration {
	f, err := os.Create(filepath.Join(dir, "sync.probe"))
	if err != nil {
		return 0
	}
	defer os.Remove(f.Name())
	defer f.Close()
	block := make([]byte, 4096)
	began, n := time.Now(), 0
	for time.Since(began) < 500*time.Millisecond {
		if _, err := f.WriteAt(block, int64(n%1024)*4096); err != nil {
			return 0
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			return 0
		}
		n++
	}
	return time.Since(began) / time.Duration(n)
}

// clockTick is the unit of /proc/<pid>/stat; it is 100 per second on every Linux Go runs on.
const clockTick = 10 * time.Millisecond

// processCPU is the CPU time of a process so far, user and system, with that of its threads.
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
	if !ok || len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * clockTick
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
		kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(field(path, name), "kB")), 64)
		return kb * 1024 / 1e6
	}
	return memory{RSS: mb("VmRSS"), Anon: mb("RssAnon"), Peak: mb("VmHWM")}
}

// epoch is the zero of the program's own clock; what is timed is timed on one machine in one process.
var epoch = time.Now()

// clock is the time since the program began.
func clock() time.Duration { return time.Since(epoch) }
