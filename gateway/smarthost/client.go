package smarthost

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Client delivers over its hosts. Its methods are safe for concurrent use.
type Client struct {
	cfg   Config
	pools []*pool // by rank
	turn  atomic.Uint64
}

// HostStatus is how a host fares.
type HostStatus struct {
	Name      string
	Rank      int
	Open      int       // connections
	Rests     time.Time // until when it is not tried; zero when it is up
	LastError string
}

// New makes a client over the hosts. It connects with the first delivery.
func New(cfg Config, hosts []Host) (*Client, error) {
	if cfg.Helo == "" {
		return nil, errors.New("smarthost: no name for EHLO")
	}
	c := &Client{cfg: cfg.withDefaults()}
	for _, h := range hosts {
		h, err := h.withDefaults()
		if err != nil {
			return nil, err
		}
		c.pools = append(c.pools, &pool{cfg: &c.cfg, host: h, slots: make(chan struct{}, h.MaxConns)})
	}
	if len(c.pools) == 0 {
		return nil, errors.New("smarthost: no hosts")
	}
	slices.SortStableFunc(c.pools, func(a, b *pool) int { return a.host.Rank - b.host.Rank })
	return c, nil
}

// Close ends all idle connections; those in use end with their delivery. The client must not be used again.
func (c *Client) Close() {
	for _, p := range c.pools {
		p.close()
	}
}

// Status tells how the hosts fare, by rank.
func (c *Client) Status() []HostStatus {
	out := make([]HostStatus, len(c.pools))
	for i, p := range c.pools {
		out[i] = p.status()
	}
	return out
}

// Deliver makes one attempt for all recipients of m: on the first host that is there for it, and on the next ones for
// recipients a host could not be asked about. It blocks while all connections of a host are busy; ctx bounds it.
func (c *Client) Deliver(ctx context.Context, m Message) Result {
	res := Result{Outcomes: make([]Outcome, len(m.To))}
	open := make([]int, len(m.To)) // indices into m.To still without an answer
	for i, r := range m.To {
		res.Outcomes[i] = Outcome{To: r.Addr, Text: "no smarthost is available", hostless: true}
		open[i] = i
	}
	var soonest time.Time
	for _, p := range c.order() {
		if len(open) == 0 || ctx.Err() != nil {
			break
		}
		if until := p.restsUntil(time.Now()); !until.IsZero() {
			if soonest.IsZero() || until.Before(soonest) {
				soonest = until
			}
			continue
		}
		part := m
		part.To = make([]Recipient, len(open))
		for i, at := range open {
			part.To[i] = m.To[at]
		}
		outcomes, held := p.deliver(ctx, &part)
		var left []int
		for i, at := range open {
			res.Outcomes[at] = outcomes[i]
			if outcomes[i].hostless {
				left = append(left, at)
			}
		}
		if held != nil {
			res.Held = held
			return res
		}
		open = left
	}
	if len(open) > 0 {
		res.RetryAfter = soonest
	}
	return res
}

// order lists the pools as they are to be tried: by rank, those of one rank in turn.
func (c *Client) order() []*pool {
	turn := int(c.turn.Add(1) % (1 << 30))
	out := make([]*pool, 0, len(c.pools))
	for i := 0; i < len(c.pools); {
		j := i
		for j < len(c.pools) && c.pools[j].host.Rank == c.pools[i].host.Rank {
			j++
		}
		for k := range j - i {
			out = append(out, c.pools[i+(k+turn)%(j-i)])
		}
		i = j
	}
	return out
}

// pool keeps the connections to one host.
type pool struct {
	cfg   *Config
	host  Host
	slots chan struct{} // one per connection in use

	mu      sync.Mutex
	idle    []*conn   // the latest last; guarded by mu
	closed  bool      // guarded by mu
	open    int       // guarded by mu
	fails   int       // in a row; guarded by mu
	rests   time.Time // guarded by mu
	lastErr string    // guarded by mu
	next    time.Time // when the rate permits the next message; guarded by mu
	dials   time.Time // when it permits the next connection; guarded by mu
}

// probeAfter is how long a connection may lie idle before it is asked whether it still lives. Asking costs a round trip; not
// asking risks a message in doubt.
const probeAfter = time.Second

func (p *pool) deliver(ctx context.Context, m *Message) (out []Outcome, held error) {
	c, err := p.acquire(ctx)
	if err != nil {
		return p.unreached(m, err), nil
	}
	began, used := time.Now(), c.used > 0
	out, alive, held := c.deliver(ctx, m)
	if used && held == nil && ctx.Err() == nil && unasked(out) {
		// A host may end a connection after some messages, with 421 or without a word (RFC 5321 §3.8). That says nothing about the next.
		p.drop(c)
		if c, err = p.dial(ctx); err != nil {
			<-p.slots
			return p.unreached(m, err), nil
		}
		began = time.Now()
		out, alive, held = c.deliver(ctx, m)
	}
	p.release(c, alive)
	if held == nil && ctx.Err() == nil {
		p.note(began, out)
	}
	return out, held
}

// unreached is the outcome without a connection.
func (p *pool) unreached(m *Message, err error) []Outcome {
	out := make([]Outcome, len(m.To))
	for i, r := range m.To {
		out[i] = Outcome{To: r.Addr, Text: err.Error(), Host: p.host.Name, hostless: true}
		var re replyError
		if errors.As(err, &re) {
			out[i].Code, out[i].Enhanced, out[i].Text = re.r.code, re.r.enhanced, re.r.text
		}
	}
	return out
}

// unasked reports whether the host said nothing about anybody.
func unasked(out []Outcome) bool {
	return !slices.ContainsFunc(out, func(o Outcome) bool { return !o.hostless })
}

// note lets a host rest that answered nobody in an attempt begun then.
func (p *pool) note(began time.Time, out []Outcome) {
	for _, o := range out {
		if o.hostless {
			p.failed(began, errors.New(o.Text))
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails, p.lastErr = 0, ""
}

// acquire waits for a place and the rate and returns a connection that lives.
func (p *pool) acquire(ctx context.Context) (*conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	c, err := p.connect(ctx)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

func (p *pool) connect(ctx context.Context) (*conn, error) {
	if n := p.host.PerSecond; n > 0 {
		if err := p.pace(ctx, &p.next, time.Second/time.Duration(n), 0); err != nil {
			return nil, err
		}
	}
	for c := p.take(); c != nil; c = p.take() {
		if time.Since(c.last) < probeAfter || c.probe(ctx) {
			return c, nil
		}
		p.drop(c)
	}
	return p.dial(ctx)
}

// dial makes a new connection.
func (p *pool) dial(ctx context.Context) (*conn, error) {
	if n := p.host.DialsPerMinute; n > 0 {
		if err := p.pace(ctx, &p.dials, time.Minute/time.Duration(n), p.host.MaxConns-1); err != nil {
			return nil, err
		}
	}
	began := time.Now()
	c, err := dial(ctx, p.cfg, &p.host)
	if err != nil {
		if ctx.Err() == nil {
			p.failed(began, err)
		}
		return nil, fmt.Errorf("smarthost: connect %s: %w", p.host.Name, err)
	}
	p.mu.Lock()
	p.open++
	p.mu.Unlock()
	return c, nil
}

// probe asks whether the connection lives, with the RSET it may owe anyway.
func (c *conn) probe(ctx context.Context) bool {
	stop := c.bound(ctx)
	r, err := c.simple("RSET")
	c.rset = false
	return stop() && err == nil && r.code == 250
}

// pace waits for a turn: one every so often, and after a pause as many more at once as may have been saved up. next, which p.mu guards,
// is when the coming one begins.
func (p *pool) pace(ctx context.Context, next *time.Time, every time.Duration, saved int) error {
	p.mu.Lock()
	now := time.Now()
	at := *next
	if least := now.Add(-every * time.Duration(saved)); at.Before(least) {
		at = least
	}
	*next = at.Add(every)
	p.mu.Unlock()
	if !at.After(now) {
		return nil
	}
	t := time.NewTimer(at.Sub(now))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// take returns the connection used last, nil without one.
func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.idle) > 0 {
		c := p.idle[len(p.idle)-1]
		p.idle = p.idle[:len(p.idle)-1]
		c.idle.Stop()
		return c
	}
	return nil
}

// release gives a connection back, or ends it.
func (p *pool) release(c *conn, alive bool) {
	defer func() { <-p.slots }()
	p.mu.Lock()
	if alive && !p.closed && c.used < p.host.MaxPerConn {
		c.last = time.Now()
		if c.idle == nil {
			c.idle = time.AfterFunc(p.host.IdleTimeout, func() { p.expire(c) })
		} else {
			c.idle.Reset(p.host.IdleTimeout)
		}
		p.idle = append(p.idle, c)
		p.mu.Unlock()
		return
	}
	p.open--
	p.mu.Unlock()
	if alive {
		c.quit()
	} else {
		c.nc.Close()
	}
}

// expire ends a connection that lay idle too long.
func (p *pool) expire(c *conn) {
	p.mu.Lock()
	i := slices.Index(p.idle, c)
	if i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
		p.open--
	}
	p.mu.Unlock()
	if i >= 0 {
		c.quit()
	}
}

func (p *pool) drop(c *conn) {
	p.mu.Lock()
	p.open--
	p.mu.Unlock()
	c.nc.Close()
}

func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closed = nil, true
	p.open -= len(idle)
	p.mu.Unlock()
	for _, c := range idle {
		c.idle.Stop()
		c.quit()
	}
}

// failed lets the host rest, longer with every failure in a row. Attempts that were under way together fail together, of one and the
// same cause: only one begun after the last rest says anything new.
func (p *pool) failed(began time.Time, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if began.Before(p.rests) {
		return
	}
	rest := p.cfg.RestFirst << min(p.fails, 16)
	p.fails++
	p.rests = time.Now().Add(min(rest, p.cfg.RestMost))
	p.lastErr = err.Error()
}

// restsUntil answers when the host will be tried again, the zero time when it may be now.
func (p *pool) restsUntil(now time.Time) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rests.After(now) {
		return p.rests
	}
	return time.Time{}
}

func (p *pool) status() HostStatus {
	s := HostStatus{Name: p.host.Name, Rank: p.host.Rank, Rests: p.restsUntil(time.Now())}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Open, s.LastError = p.open, p.lastErr
	return s
}
