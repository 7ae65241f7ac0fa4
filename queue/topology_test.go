package queue

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"izinli/gateway"
)

// startProcess starts redis-server with the arguments on a free port and kills it when the test ends.
func startProcess(t *testing.T, port int, args ...string) {
	t.Helper()
	cmd := exec.Command(findRedis(t), args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	c := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + strconv.Itoa(port), Protocol: 2, DisableIdentity: true})
	defer c.Close()
	eventually(t, 10*time.Second, "redis answers on its port", func() bool { return c.Ping(context.Background()).Err() == nil })
}

// freePort is free a moment ago; a cluster's bus takes the port 10000 above.
func freePort(t *testing.T) int {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if p+10000 < 1<<16 {
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
	if err := r.q.Healthy(); err != nil {
		t.Error(err)
	}
}

func TestTCP(t *testing.T) {
	port := freePort(t)
	startProcess(t, port, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "")
	throughput(t, fmt.Sprintf("redis://127.0.0.1:%d/2", port))
}

func TestCluster(t *testing.T) {
	port := freePort(t)
	startProcess(t, port, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--cluster-enabled", "yes", "--dir", t.TempDir())
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
	port, sentinel := freePort(t), freePort(t)
	startProcess(t, port, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "")
	conf := filepath.Join(t.TempDir(), "sentinel.conf")
	text := fmt.Sprintf("port %d\nbind 127.0.0.1\nsentinel monitor main 127.0.0.1 %d 1\n", sentinel, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	startProcess(t, sentinel, conf, "--sentinel")
	throughput(t, fmt.Sprintf("redis-sentinel://127.0.0.1:%d?master=main", sentinel))
}
