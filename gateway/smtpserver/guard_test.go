package smtpserver

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// wire is a connection that notes what is written to it.
type wire struct {
	net.Conn
	writes []string
	in     io.Reader
	broken error
}

func (w *wire) Write(p []byte) (int, error) {
	if w.broken != nil {
		return 0, w.broken
	}
	w.writes = append(w.writes, string(p))
	return len(p), nil
}

func (w *wire) Read(p []byte) (int, error)       { return w.in.Read(p) }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }
func (w *wire) Close() error                     { return nil }

func wiredGuard(in string) (*guard, *wire) {
	w := &wire{in: strings.NewReader(in)}
	srv := &Server{conns: map[*guard]struct{}{}, perPeer: map[string]int{}, cfg: Config{}.withDefaults()}
	return &guard{Conn: w, srv: srv, peer: &Peer{Name: "p"}}, w
}

// The answers to commands that came together leave together, and before the server waits for more.
func TestAnswersLeaveTogether(t *testing.T) {
	g, w := wiredGuard("next")
	say := func(s string) {
		t.Helper()
		if n, err := g.Write([]byte(s)); n != len(s) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	say("250 one\r\n")
	say("250 two\r\n")
	if len(w.writes) != 0 {
		t.Fatalf("%q left before the commands were read", w.writes)
	}
	if _, err := g.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if len(w.writes) != 1 || w.writes[0] != "250 one\r\n250 two\r\n" {
		t.Fatalf("before reading %q left", w.writes)
	}
	if _, err := g.Read(make([]byte, 10)); !errors.Is(err, io.EOF) || len(w.writes) != 1 {
		t.Fatalf("%v, %q", err, w.writes)
	}
	say(strings.Repeat("x", maxAnswers))
	if len(w.writes) != 2 {
		t.Fatal("answers pile up")
	}
	say("221 bye\r\n")
	if err := g.Close(); err != nil || len(w.writes) != 3 || w.writes[2] != "221 bye\r\n" {
		t.Fatalf("%v, last %q", err, w.writes[len(w.writes)-1])
	}
}

// A client that cannot be answered is not heard any more.
func TestAnswerLost(t *testing.T) {
	g, w := wiredGuard("next")
	w.broken = net.ErrClosed
	_, _ = g.Write([]byte("250 one\r\n"))
	if _, err := g.Read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("%v", err)
	}
}
