package crash

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"izinli/test/stage"
)

// redisServer is a real Redis on a Unix socket of its own. Every other life of it keeps a log of what it did (appendonly), from which
// the next such life begins: it comes back with the tasks of two lives ago, most of which are long done. The lives between begin
// empty.
type redisServer struct {
	bin, dir, socket string
	cmd              *exec.Cmd
	lives            int
	stale            int // lives that began with keys
}

func startRedis(tb testing.TB) *redisServer {
	tb.Helper()
	bin := stage.Peer(tb, "redis-server")
	dir, err := os.MkdirTemp("", "crash") // a socket's path may have 108 octets only
	if err != nil {
		tb.Fatal(err)
	}
	r := &redisServer{bin: bin, dir: dir, socket: filepath.Join(dir, "redis.sock")}
	tb.Cleanup(func() {
		r.kill()
		os.RemoveAll(dir)
	})
	r.start(tb)
	return r
}

// start starts it, empty or with what it wrote down two lives ago.
func (r *redisServer) start(tb testing.TB) {
	tb.Helper()
	keep := "yes"
	if r.lives%2 == 1 {
		keep = "no"
	}
	r.lives++
	r.cmd = exec.Command(r.bin, "--port", "0", "--unixsocket", r.socket, "--save", "", "--appendonly", keep, "--appendfsync", "no", "--dir", r.dir,
		"--loglevel", "warning")
	if err := r.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	stage.Until(tb, "redis-server to answer", func() error { return r.command("PING", "+PONG") })
	if r.command("DBSIZE", ":0\r\n") != nil {
		r.stale++
	}
}

// kill is kill -9; what it did not write down is gone.
func (r *redisServer) kill() {
	if r.cmd.Process == nil || r.cmd.ProcessState != nil {
		return
	}
	_ = r.cmd.Process.Kill() // it may have ended by itself
	_ = r.cmd.Wait()
}

func (r *redisServer) url() string { return "redis-socket://" + r.socket }

// command sends one inline command and expects the answer.
func (r *redisServer) command(line, want string) error {
	conn, err := net.Dial("unix", r.socket)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
		return err
	}
	b := make([]byte, len(want))
	if _, err := conn.Read(b); err != nil {
		return err
	}
	if string(b) != want {
		return fmt.Errorf("%s answered %q, want %q", line, b, want)
	}
	return nil
}
