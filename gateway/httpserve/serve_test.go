package httpserve

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// run serves h, asks once, ends the context while the request is under way, calls then, and returns what Run and the client got.
func run(t *testing.T, grace time.Duration, h func(http.ResponseWriter, *http.Request), then func()) (served, asked error) {
	t.Helper()
	ln := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	under, done, answer := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(under)
		h(w, r)
	})}
	go func() { done <- Run(ctx, srv, ln, grace) }()
	go func() {
		resp, err := http.Get("http://" + ln.Addr().String())
		if err == nil {
			_, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		answer <- err
	}()
	<-under
	cancel()
	then()
	return <-done, <-answer
}

// TestFinish: a request under way when the context ends is answered, and does not see the end.
func TestFinish(t *testing.T) {
	goOn := make(chan struct{})
	served, asked := run(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		<-goOn
		if r.Context().Err() != nil {
			t.Error("the request inherited the end of the server")
		}
	}, func() { close(goOn) })
	if served != nil || asked != nil {
		t.Errorf("Run: %v, request: %v; want neither", served, asked)
	}
}

// TestCutOff: a request that does not end is cut off after the grace, and Run says so.
func TestCutOff(t *testing.T) {
	served, asked := run(t, 10*time.Millisecond, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, func() {})
	if !errors.Is(served, context.DeadlineExceeded) || asked == nil {
		t.Errorf("Run: %v, request: %v; want a deadline and a cut connection", served, asked)
	}
}

// TestListenerGone: a server that ends without being told to is an error.
func TestListenerGone(t *testing.T) {
	ln := listen(t)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), &http.Server{}, ln, time.Second); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}
