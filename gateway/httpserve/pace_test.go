package httpserve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"izinli/gateway/httpserve/pipetest"
)

// over serves h as doors do, with a minute for a request, and gives f the client's end of a connection.
func over(h http.HandlerFunc, f func(c net.Conn)) {
	srv := &http.Server{Handler: h, ReadTimeout: time.Minute, WriteTimeout: time.Minute, ReadHeaderTimeout: time.Second}
	_ = pipetest.Over(func(ctx context.Context, ln net.Listener) error { return Run(ctx, srv, ln, time.Second) }, f)
}

var pace = Pace{Patience: 2 * time.Minute, Rate: 1000, Answer: 10 * time.Minute}

// A body may take hours if it keeps coming; one that rests, or drips, ends; either is answered.
func TestPaceOfABody(t *testing.T) {
	for _, x := range []struct {
		name       string
		pieces     int
		size       int
		every      time.Duration
		think      time.Duration // of the handler, after the body
		want       error
		from, upto time.Duration
	}{
		{"an hour at the rate", 60, 60_000, time.Minute, 0, nil, 59 * time.Minute, 61 * time.Minute},
		{"a rest within patience", 3, 100_000, 100 * time.Second, 0, nil, 3 * time.Minute, 4 * time.Minute},
		{"nothing more", 2, 100_000, 24 * time.Hour, 0, ErrSlow, time.Minute, 3 * time.Minute},
		{"a drip", 10_000, 100, 10 * time.Second, 0, ErrSlow, time.Minute, 3 * time.Minute},
		{"an answer that takes long", 2, 1000, time.Second, 9 * time.Minute, nil, 9 * time.Minute, 10 * time.Minute},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				over(func(w http.ResponseWriter, r *http.Request) {
					n, err := io.Copy(io.Discard, pace.Reader(w, r.Body))
					if !errors.Is(err, x.want) || x.want == nil && n != int64(x.pieces*x.size) {
						t.Errorf("%d octets, %v; want %v", n, err, x.want)
					}
					time.Sleep(x.think)
					if err := r.Context().Err(); x.want == nil && err != nil {
						t.Errorf("while the answer was made: %v", err)
					}
					w.WriteHeader(http.StatusTeapot)
				}, func(c net.Conn) {
					stop := make(chan struct{})
					defer close(stop)
					go func() {
						_, err := fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", x.pieces*x.size)
						for i := 0; i < x.pieces && err == nil; i++ {
							if i > 0 {
								select {
								case <-time.After(x.every):
								case <-stop:
									return
								}
							}
							_, err = io.WriteString(c, strings.Repeat("x", x.size))
						}
					}()
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil || resp.StatusCode != http.StatusTeapot {
						t.Errorf("answer: %v, %v", resp, err)
					}
					if took := time.Since(start); took < x.from || took > x.upto {
						t.Errorf("it took %v, want %v to %v", took, x.from, x.upto)
					}
				})
			})
		})
	}
}

// An answer may take as long to be fetched as somebody fetches it; who stops reading is cut off.
func TestPaceOfAnAnswer(t *testing.T) {
	const size = 3_000_000
	for _, rests := range []bool{false, true} {
		t.Run(fmt.Sprint("rests ", rests), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				over(func(w http.ResponseWriter, _ *http.Request) {
					_, err := pace.Writer(w).Write(make([]byte, size))
					ended <- err
				}, func(c net.Conn) {
					if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
						t.Fatal(err)
					}
					resp, err := http.ReadResponse(bufio.NewReader(c), nil)
					if err != nil {
						t.Fatal(err)
					}
					got := int64(0)
					for err == nil && got < size {
						var n int64
						n, err = io.CopyN(io.Discard, resp.Body, 100_000)
						got += n
						if rests {
							break
						}
						time.Sleep(50 * time.Second) // all in all 25 minutes
					}
					if err != nil {
						t.Errorf("after %d octets: %v", got, err)
					}
					if err := <-ended; errors.Is(err, ErrSlow) != rests || !rests && (err != nil || got != size) {
						t.Errorf("%d octets, %v; want an end by slowness: %t", got, err, rests)
					}
				})
			})
		})
	}
}
