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

// redisServer is a real Redis on a Unix socket of its own.
type redisServer struct{ socket string }

func startRedis(tb testing.TB) *redisServer {
	tb.Helper()
	bin := stage.Peer(tb, "redis-server")
	dir, err := os.MkdirTemp("", "crash") // a socket's path may have 108 octets only
	if err != nil {
		tb.Fatal(err)
	}
	r := &redisServer{socket: filepath.Join(dir, "redis.sock")}
	cmd := exec.Command(bin, "--port", "0", "--unixsocket", r.socket, "--save", "", "--appendonly", "no", "--dir", dir, "--loglevel", "warning")
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		os.RemoveAll(dir)
	})
	stage.Until(tb, "redis-server to answer", func() error { return r.command("PING", "+PONG") })
	return r
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
