package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// onePipe is a listener with one connection.
type onePipe struct {
	conn  chan net.Conn
	ended context.Context
}

func (p onePipe) Accept() (net.Conn, error) {
	select {
	case c := <-p.conn:
		return c, nil
	case <-p.ended.Done():
		return nil, net.ErrClosed
	}
}

func (onePipe) Close() error   { return nil }
func (onePipe) Addr() net.Addr { return &net.UnixAddr{} }

// A consent file may take as long as its size asks for, at a pace a slow line has; one that stops coming is refused.
func TestAnImportTakesAsLongAsItHasTo(t *testing.T) {
	const piece = 3 << 20
	for _, x := range []struct {
		pieces int // sent, of 40; one a minute
		status int
	}{{40, http.StatusAccepted}, {20, http.StatusRequestTimeout}} {
		synctest.Test(t, func(t *testing.T) {
			w := &world{}
			api := newAPI(w, Config{MaxImport: 512 << 20})
			ctx, cancel := context.WithCancel(context.Background())
			mine, its := net.Pipe()
			ln := onePipe{make(chan net.Conn, 1), ctx}
			ln.conn <- its
			done := make(chan error, 1)
			go func() { done <- api.Serve(ctx, ln) }()
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, err := fmt.Fprintf(mine, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n", imports, goodKey, 40*piece)
				for i := 0; i < x.pieces && err == nil; i++ {
					time.Sleep(time.Minute)
					_, err = io.WriteString(mine, strings.Repeat("a", piece))
				}
			}()
			resp, err := http.ReadResponse(bufio.NewReader(mine), nil)
			if err != nil || resp.StatusCode != x.status || x.status == http.StatusAccepted && len(w.imported) != 40*piece {
				t.Errorf("%d of 40 pieces: %v, %v, %d octets; want %d", x.pieces, resp, err, len(w.imported), x.status)
			}
			_ = mine.Close()
			<-sent
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
