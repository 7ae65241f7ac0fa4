package stage

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Machine is where a figure was taken.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	MemMB  int    `json:"memoryMB"`
	Kernel string `json:"kernel"`
	Go     string `json:"go"`
	// SyncMS is one write of 4 KiB with fdatasync in the directory of the stores, alone, in milliseconds.
	SyncMS float64 `json:"syncMS"`
	// InMemory says that the directory is no disk: nothing there survives a power cut, and its syncs cost nothing.
	InMemory bool `json:"storesInMemory,omitempty"`
}

func (m *Machine) String() string {
	return fmt.Sprintf("%d × %s, %d MB, Linux %s, %s, %.3g ms a sync", m.Cores, m.CPU, m.MemMB, m.Kernel, m.Go, m.SyncMS)
}

// DescribeMachine looks around; dir is where the stores will be.
func DescribeMachine(dir string) Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), CPU: ProcField("/proc/cpuinfo", "model name")}
	kb, _ := strconv.Atoi(strings.TrimSuffix(ProcField("/proc/meminfo", "MemTotal"), " kB"))
	m.MemMB = kb / 1000
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(b))
	}
	m.SyncMS = math.Round(float64(syncTime(dir))/1e3) / 1e3 // to a microsecond
	var fs syscall.Statfs_t
	const tmpfs, ramfs = 0x01021994, 0x858458f6 // statfs(2)
	m.InMemory = syscall.Statfs(dir, &fs) == nil && (int64(fs.Type) == tmpfs || int64(fs.Type) == ramfs)
	return m
}

// ProcField reads the value of the first line "name : value".
func ProcField(path, name string) string {
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

// Durability is what the gateway promises in every run that is measured: a figure reached without it does not count.
const Durability = "every acknowledgement after a synced commit; encryption at rest; decision chain; consents enforced (mode partner, fresh mirror)"
