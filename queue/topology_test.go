package queue

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"izinli/gateway"
)

// startProcess starts redis-server on a free port with the arguments made for it, and kills it when the test ends. Between drawing the
// port and opening it somebody else may take it: then the process ends, or another answers, and another port is tried.
func startProcess(t *testing.T, args func(port int) []string) (port int) {
	t.Helper()
	for range 5 {
		port = freePort(t)
		cmd := exec.Command(findRedis(t), args(port)...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }()
		t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
		c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + strconv.Itoa(port), Protocol: 2, DisableIdentity: true})
		defer c.Close()
		own := fmt.Sprintf("process_id:%d\r\n", cmd.Process.Pid)
		var answered, gone bool
		eventually(t, 10*time.Second, "redis answers on its port", func() bool {
			select {
			case <-ended:
				gone = true
			default:
				answered = strings.Contains(c.Info(context.Background(), "server").Val(), own)
			}
			return answered || gone
		})
		if answered {
			return port
		}
		t.Logf("port %d was taken in between", port)
	}
	t.Fatal("no port stays free")
	return 0
}

// freePort is free a moment ago, and so is the port 10000 above, which a cluster's bus takes. What was drawn before is held until one
// is found: the kernel would hand it out again.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		p := l.Addr().(*net.TCPAddr).Port
		if bus, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(p+10000)); err == nil { // not above 65535
			bus.Close()
			return p
		}
	}
}

// throughput sends some messages of each lane through the queue.
func throughput(t *testing.T, url string) {
	t.Helper()
	r := newRig(t, Config{Redis: url}).run()
	total := 0
	for i := range 300 {
		r.src.add(allLanes[i%3], gateway.AccountID(1+i%5), 0, 1)
		total++
	}
	r.drained(20 * time.Second)
	if err := r.rec.check(total, false); err != nil {
		t.Error(err)
	}
	eventually(t, 5*time.Second, "healthy", func() bool { return r.q.Healthy() == nil })
}

// plain are the arguments of a Redis on a port of this machine.
func plain(more ...string) func(port int) []string {
	return func(port int) []string {
		return append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", ""}, more...)
	}
}

func TestTCP(t *testing.T) {
	throughput(t, fmt.Sprintf("redis://127.0.0.1:%d/2", startProcess(t, plain())))
}

func TestCluster(t *testing.T) {
	port := startProcess(t, plain("--cluster-enabled", "yes", "--dir", t.TempDir()))
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + strconv.Itoa(port), Protocol: 2, DisableIdentity: true})
	defer c.Close()
	ctx := context.Background()
	if err := c.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "the cluster is complete", func() bool { return c.Set(ctx, "x", 1, 0).Err() == nil })
	throughput(t, fmt.Sprintf("redis-cluster://127.0.0.1:%d", port))
}

func TestSentinel(t *testing.T) {
	main := startProcess(t, plain())
	sentinel := startProcess(t, func(port int) []string {
		conf := filepath.Join(t.TempDir(), "sentinel.conf")
		text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 %d 1\n", port, main)
		if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return []string{conf, "--sentinel"}
	})
	throughput(t, fmt.Sprintf("redis-sentinel://127.0.0.1:%d?master=main", sentinel))
}
