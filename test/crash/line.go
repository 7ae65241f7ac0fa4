package crash

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"izinli/gateway/smppclient"
)

// line is how customers reach whatever gateway runs at present: its addresses, and one bind over SMPP.
type line struct {
	tb               testing.TB
	system, password string
	wg               sync.WaitGroup // of all that a customer has running

	where  sync.Mutex
	addrs  map[string]string  // of the gateway at present; guarded by where
	client *smppclient.Client // guarded by where
	hangUp context.CancelFunc // of client; guarded by where
}

// moved tells where the gateway is from now on. The customer over SMPP takes a new client, which does not know how often the gateway
// went away and binds at once; h gets what is delivered to him.
func (l *line) moved(ctx context.Context, addrs map[string]string, h smppclient.Handler) {
	c, err := smppclient.New(smppclient.Config{Name: "customer", Addr: addrs["smpp"], SystemID: l.system, Password: l.password, Window: 50,
		Logger: slog.New(slog.DiscardHandler)}, h)
	if err != nil {
		l.tb.Fatal(err)
	}
	ctx, stop := context.WithCancel(ctx)
	l.where.Lock()
	if l.hangUp != nil {
		l.hangUp()
	}
	l.addrs, l.client, l.hangUp = addrs, c, stop
	l.where.Unlock()
	l.wg.Go(func() { c.Run(ctx) })
}

// address is that of a listener of the gateway at present.
func (l *line) address(door string) string {
	l.where.Lock()
	defer l.where.Unlock()
	return l.addrs[door]
}

// bound is the client over SMPP at present.
func (l *line) bound() *smppclient.Client {
	l.where.Lock()
	defer l.where.Unlock()
	return l.client
}
