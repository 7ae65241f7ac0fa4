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

	"izinli/gateway"
	"izinli/gateway/httpserve/pipetest"
)

// counter takes files of any size and keeps none.
type counter struct {
	gateway.Imports
	octets int64
}

func (n *counter) StartImport(_ context.Context, _ *gateway.Principal, r gateway.ImportRequest) (v gateway.ImportView, err error) {
	n.octets, err = io.Copy(io.Discard, r.File)
	return v, err
}

// A consent file may take as long as its size asks for, at a pace a slow line has; one that stops coming is refused.
func TestAnImportTakesAsLongAsItHasTo(t *testing.T) {
	const piece = 3 << 20
	for _, x := range []struct {
		pieces int // sent, of 40; one a minute
		status int
	}{{40, http.StatusAccepted}, {20, http.StatusRequestTimeout}} {
		synctest.Test(t, func(t *testing.T) {
			file, part := &counter{}, strings.Repeat("a", piece)
			api := newAPI(&world{}, Config{MaxImport: 512 << 20})
			api.deps.Imports = file
			sent := make(chan struct{})
			err := pipetest.Over(api.Serve, func(c net.Conn) {
				go func() {
					defer close(sent)
					_, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/csv\r\nContent-Length: %d\r\n\r\n", imports, goodKey, 40*piece)
					for i := 0; i < x.pieces && err == nil; i++ {
						time.Sleep(time.Minute)
						_, err = io.WriteString(c, part)
					}
				}()
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil || resp.StatusCode != x.status || x.status == http.StatusAccepted && file.octets != 40*piece {
					t.Errorf("%d of 40 pieces: %v, %v, %d octets; want %d", x.pieces, resp, err, file.octets, x.status)
				}
			})
			<-sent
			if err != nil {
				t.Error(err)
			}
		})
	}
}
