package smppclient

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"izinli/gateway/smpp"
)

// Errors of an Outcome and of Commit.
var (
	// ErrTimeout: no response in time; the operator may have the message.
	ErrTimeout = errors.New("smppclient: no response in time")
	// ErrLinkLost: in an Outcome, the connection ended before the response
	// and the operator may have the message; from Commit, it had ended before
	// anything was appended, and it has not.
	ErrLinkLost = errors.New("smppclient: link is lost")
)

// Client keeps the binds of one operator.
type Client struct {
	cfg     Config
	handler Handler
	binds   []*Bind
	next    atomic.Uint32 // where TryReserve looks first
}

// New checks cfg. h gets what the operator delivers; it may be nil only if
// nothing is to be received, and then deliveries are answered ESME_RX_T_APPN.
func New(cfg Config, h Handler) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, handler: h}
	modes := []smpp.BindMode{smpp.BindTRX}
	if cfg.BindType == TXRX {
		modes = []smpp.BindMode{smpp.BindTX, smpp.BindRX}
	}
	for range cfg.Binds {
		for _, m := range modes {
			c.binds = append(c.binds, newBind(c, len(c.binds), m))
		}
	}
	return c, nil
}

// Run keeps the binds up until ctx is done, then drains and unbinds them,
// which takes at most DrainTimeout. It is called once.
func (c *Client) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, b := range c.binds {
		wg.Go(func() { b.keep(ctx) })
	}
	wg.Wait()
	return nil
}

// Name is the operator's.
func (c *Client) Name() string { return c.cfg.Name }

// Profile is the operator's.
func (c *Client) Profile() Profile { return c.cfg.Profile }

// Window is the number of places of one bind: the most segments a message may have.
func (c *Client) Window() int { return c.cfg.Window }

// Binds returns the binds, which live as long as the client. In TXRX mode
// transmitters and receivers alternate.
func (c *Client) Binds() []*Bind { return c.binds }

// TryReserve asks the binds in turn.
func (c *Client) TryReserve(n int, lane Lane) (Reservation, bool) {
	first := int(c.next.Add(1))
	for i := range c.binds {
		if r, ok := c.binds[(first+i)%len(c.binds)].TryReserve(n, lane); ok {
			return r, true
		}
	}
	return Reservation{}, false
}

// InShare reports whether a bind has so much left of the lane's share.
func (c *Client) InShare(n int, lane Lane) bool {
	return slices.ContainsFunc(c.binds, func(b *Bind) bool { return b.InShare(n, lane) })
}

// Snapshot describes all binds.
func (c *Client) Snapshot() []BindSnapshot {
	s := make([]BindSnapshot, len(c.binds))
	for i, b := range c.binds {
		s[i] = b.Snapshot()
	}
	return s
}
