package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// kannel measures Kannel (Debian's package) on the same machine in turn with our own road: HTTP in, SMPP out to the same
// operator over as many binds, receipts back over HTTP, spool store. Kannel has no synced store and no consent to look at; it
// is what people compare with. The value is how many times faster T1's road is.
func kannel(ctx context.Context, b *bench, r *result) error {
	for _, p := range []string{"bearerbox", "smsbox"} {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("no Kannel: %w", err)
		}
	}
	n := b.size(20_000, 500)
	rate, err := kannelRate(ctx, b, r, n)
	if err != nil {
		return err
	}
	ours := &result{Figure: "T1beside", Machine: r.Machine, Settings: map[string]any{}}
	if err := road(ctx, b, ours, standOptions{redis: true}, b.size(100_000, 2_000)); err != nil {
		return err
	}
	r.Value, r.Unit = ours.Value/rate, "× Kannel"
	r.Durability = "izinli: " + ours.Durability + "; Kannel: spool store, never synced"
	r.set("kannelPerSecond", rate)
	r.set("izinliPerSecond", ours.Value)
	r.set("izinliCPUPer1000", ours.CPU.Gateway+ours.CPU.Redis)
	r.addHarm(ours)
	return nil
}

// kannelProcess is bearerbox and smsbox.
type kannelProcess struct {
	dir   string
	ports [3]int // admin, smsbox, sendsms
	boxes []*box
}

// box is one of its programs.
type box struct {
	*exec.Cmd
	ended chan struct{} // closed when it has
}

const kannelConnections = 64

func kannelRate(ctx context.Context, b *bench, r *result, n int) (rate float64, err error) {
	dir, err := b.fresh()
	if err != nil {
		return 0, err
	}
	op, err := startOperator()
	if err != nil {
		return 0, err
	}
	defer op.close()
	op.seen = newTracker(n)
	sink, err := startSink(n)
	if err != nil {
		return 0, err
	}
	defer sink.close()
	k := &kannelProcess{dir: dir}
	defer k.stop()
	if err := k.start(ctx, op.addr()); err != nil {
		return 0, err
	}
	if err := op.waitBound(ctx, operatorBinds); err != nil {
		return 0, fmt.Errorf("kannel did not bind: %w", err)
	}
	r.Settings["binds"], r.Settings["window"], r.Settings["connections"], r.Settings["store"] = operatorBinds, operatorWindow, kannelConnections, "spool"
	cpu0, own0, t0 := k.cpu(), ownCPU(), time.Now()
	accepted, err := k.load(ctx, n, sink.addr())
	if err != nil {
		return 0, err
	}
	if err := until(ctx, patience, sink.count.Load, func() bool { return sink.count.Load() >= int64(accepted) }); err != nil {
		r.note("Kannel: %d accepted, %d arrived, %d receipts", accepted, op.seen.unique.Load(), sink.count.Load())
	}
	wall := time.Since(t0)
	r.load(usage{wall: wall, gateway: k.cpu() - cpu0, bench: ownCPU() - own0}, n)
	r.set("kannelCPUPer1000", r.CPU.Gateway)
	if lost := accepted - int(op.seen.unique.Load()); lost > 0 {
		r.note("Kannel lost %d of %d", lost, accepted)
	}
	return float64(accepted) / wall.Seconds(), nil
}

const kannelConf = `group = core
admin-port = %[1]d
admin-password = bench
smsbox-port = %[2]d
box-allow-ip = 127.0.0.1
log-file = "%[4]s/bearerbox.log"
log-level = 3
dlr-storage = internal
store-type = spool
store-location = "%[4]s/spool"
sms-outgoing-queue-limit = 10000000
sms-incoming-queue-limit = 10000000

group = smsc
smsc = smpp
smsc-id = bench
host = 127.0.0.1
port = %[5]s
transceiver-mode = true
smsc-username = bench
smsc-password = bench
system-type = ""
instances = %[6]d
max-pending-submits = %[7]d

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = %[3]d
log-file = "%[4]s/smsbox.log"
log-level = 3
http-queue-delay = 1

group = sendsms-user
username = bench
password = bench

group = sms-service
keyword = default
max-messages = 0
get-url = "http://127.0.0.1/"
`

// start starts Kannel on ports that were free a moment ago, and on others where somebody else was quicker.
func (k *kannelProcess) start(ctx context.Context, operator string) (err error) {
	for range 5 {
		if err = k.tryStart(ctx, operator); err == nil || !errors.Is(err, errEnded) {
			return err
		}
		k.stop()
		k.boxes = nil
	}
	return err
}

func (k *kannelProcess) tryStart(ctx context.Context, operator string) error {
	for i := range k.ports {
		addr, err := closedPort("127.0.0.1")
		if err != nil {
			return err
		}
		_, port, _ := net.SplitHostPort(addr)
		k.ports[i], _ = readDigits([]byte(port))
	}
	if err := os.MkdirAll(filepath.Join(k.dir, "spool"), 0o700); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(operator)
	conf := filepath.Join(k.dir, "kannel.conf")
	text := fmt.Sprintf(kannelConf, k.ports[0], k.ports[1], k.ports[2], k.dir, port, operatorBinds, operatorWindow)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	for i, program := range []string{"bearerbox", "smsbox"} {
		b := &box{exec.CommandContext(ctx, program, conf), make(chan struct{})}
		b.Dir = k.dir
		if err := b.Start(); err != nil {
			return err
		}
		go func() { b.Wait(); close(b.ended) }()
		k.boxes = append(k.boxes, b)
		if err := b.listening(ctx, fmt.Sprintf("127.0.0.1:%d", k.ports[1+i])); err != nil {
			return fmt.Errorf("%s: %w", program, err)
		}
	}
	return nil
}

// errEnded is a program that ended before it could be used: what it wanted to listen at was taken.
var errEnded = errors.New("it ended by itself")

// listening waits until the box listens at addr.
func (b *box) listening(ctx context.Context, addr string) error {
	still := quiet(time.Minute, func() int64 { return 0 })
	err := await(ctx, b.ended, func() error {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return still()
		}
		conn.Close()
		return errDone
	})
	switch {
	case err == nil:
		return errEnded
	case errors.Is(err, errDone):
		return nil
	}
	return err
}

func (k *kannelProcess) cpu() (d time.Duration) {
	for _, c := range k.boxes {
		d += processCPU(c.Process.Pid)
	}
	return d
}

func (k *kannelProcess) stop() {
	for _, b := range slices.Backward(k.boxes) {
		b.Process.Signal(syscall.SIGTERM) // it is gone already or goes now
		select {
		case <-b.ended:
		case <-time.After(10 * time.Second):
			b.Process.Kill()
			<-b.ended
		}
	}
}

// load sends n messages, one a request, and returns how many were accepted.
func (k *kannelProcess) load(ctx context.Context, n int, sink string) (int, error) {
	var next, ok atomic.Int64
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs error
	addr := fmt.Sprintf("127.0.0.1:%d", k.ports[2])
	for range kannelConnections {
		h, err := dialHTTP(addr)
		if err != nil {
			return 0, err
		}
		wg.Go(func() {
			defer h.c.Close()
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				req := fmt.Sprintf("GET /cgi-bin/sendsms?username=bench&password=bench&from=%s&to=%%2B%s&text=Bilgi+no+%0*d&dlr-mask=3&dlr-url=http%%3A%%2F%%2F%s%%2F%d HTTP/1.1\r\nHost: %s\r\n\r\n",
					senderName, numberOf(i % pool)[1:], refDigits, i, sink, i, addr)
				status, _, err := h.do([]byte(req), nil)
				if err == nil && status == 202 {
					ok.Add(1)
					continue
				}
				mu.Lock()
				errs = errors.Join(errs, fmt.Errorf("sendsms: status %d: %w", status, err))
				mu.Unlock()
				return
			}
		})
	}
	wg.Wait()
	return int(ok.Load()), errs
}

// sink takes receipts as HTTP requests and counts different ones.
type sink struct {
	ln    net.Listener
	wg    sync.WaitGroup
	seen  []atomic.Bool
	count atomic.Int64

	mu    sync.Mutex
	conns []net.Conn
}

func startSink(n int) (*sink, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &sink{ln: ln, seen: make([]atomic.Bool, n)}
	s.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			s.wg.Go(func() { s.serve(c) })
		}
	})
	return s, nil
}

func (s *sink) addr() string { return s.ln.Addr().String() }

func (s *sink) close() {
	s.ln.Close()
	s.mu.Lock()
	for _, c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *sink) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for first := true; ; {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			f := bytes.Fields(line) // GET /123 HTTP/1.1
			if len(f) > 1 {
				if i, ok := readDigits(bytes.TrimPrefix(f[1], []byte("/"))); ok && i < len(s.seen) && !s.seen[i].Swap(true) {
					s.count.Add(1)
				}
			}
			first = false
		}
		if len(line) == 0 {
			first = true
			if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")); err != nil {
				return
			}
		}
	}
}
