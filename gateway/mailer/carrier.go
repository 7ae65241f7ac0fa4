package mailer

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/bounce"
	"izinli/gateway/dispatch"
	"izinli/gateway/mail"
	"izinli/gateway/smarthost"
)

// Defaults of a smarthost.
const (
	defaultConns  = 10
	defaultDirect = 100
)

// commercialShare is the part of the connections commercial mail may hold, in percent.
const commercialShare = 80

// carrier is a smarthost as dispatch sees it.
type carrier struct {
	m      *Manager
	host   gateway.Smarthost
	client *smarthost.Client // nil with Direct
	direct *direct           // nil without
	window int
	ready  atomic.Pointer[func()]
	rests  atomic.Int64 // until when it is not tried, Unix nanoseconds

	// Of a smarthost; Direct knows its sites one by one.
	flying  atomic.Int64 // messages it has been given, and not answered
	heard   atomic.Int64 // its last answer, or since when it has something to answer; Unix nanoseconds
	failing atomic.Bool  // it could not be reached the last time

	mu     sync.Mutex
	busy   [gateway.Lanes]int // guarded by mu
	closed bool               // guarded by mu
	under  sync.WaitGroup     // deliveries under way

	work    chan delivery // to workers that have nothing to do
	workers sync.WaitGroup
	staff   atomic.Int64 // workers; those beyond the window end with their message
}

// strangersShare is the part of the connections that sites may hold which have never answered, in percent.
const strangersShare = 50

// delivery is one message for a worker.
type delivery struct {
	slot     *slot
	out      *dispatch.Outgoing
	last     func() error
	answered func(int, dispatch.Answer)
	life     context.Context
}

var _ dispatch.LateSlot = (*slot)(nil)
var _ dispatch.Chooser = (*carrier)(nil)

func (m *Manager) newCarrier(h gateway.Smarthost) (*carrier, error) {
	c := &carrier{m: m, host: h, window: h.MaxConns, work: make(chan delivery)}
	if h.Direct {
		if c.window <= 0 {
			c.window = defaultDirect
		}
		c.direct = newDirect(m, &c.host)
		m.sites.keepRoom(c.window * strangersShare / 100)
		return c, nil
	}
	if c.window <= 0 {
		c.window = defaultConns
	}
	policy, ok := smarthost.ParseTLS(h.TLS)
	if !ok {
		return nil, errors.New("mailer: unknown TLS policy " + h.TLS)
	}
	password, err := m.store.Unseal(h.Password)
	if err != nil {
		return nil, err
	}
	c.client, err = smarthost.New(m.cfg.Timeouts, []smarthost.Host{{Name: h.Name, Addr: h.Addr, TLS: policy, ServerName: h.ServerName,
		Username: h.Username, Password: password, MaxConns: c.window, MaxPerConn: h.MaxPerConn, PerSecond: h.PerSecond}})
	return c, err
}

// close waits for what is under way and ends the connections.
func (c *carrier) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.under.Wait() // nobody hands over work any more
	close(c.work)
	c.workers.Wait()
	if c.client != nil {
		c.client.Close()
	} else {
		c.direct.close()
	}
}

func (c *carrier) signal() {
	if f := c.ready.Load(); f != nil {
		(*f)()
	}
}

// Name implements dispatch.Carrier.
func (c *carrier) Name() string { return gateway.SmarthostCarrier(c.host.Name) }

// stallAfter is how long a smarthost may leave everything it was given without an answer before others are preferred. It is below
// the time a connection waits: who waits for such a host keeps a worker of the queue from those whose host is there.
const stallAfter = 20 * time.Second

// Window implements dispatch.Carrier. A smarthost that does not answer is down; one that could not be reached is tried by one message.
func (c *carrier) Window() int {
	now := time.Now().UnixNano()
	switch {
	case c.rests.Load() > now:
		return 0
	case c.direct != nil || c.flying.Load() == 0:
		return c.most()
	case c.failing.Load() || now-c.heard.Load() > int64(stallAfter):
		return 0
	}
	return c.window
}

// most is how many messages may be under way.
func (c *carrier) most() int {
	if c.failing.Load() {
		return 1
	}
	return c.window
}

// MaxSegments implements dispatch.Carrier.
func (c *carrier) MaxSegments() int { return 1 }

// Profile implements dispatch.Carrier.
func (c *carrier) Profile() dispatch.Profile { return dispatch.Profile{} }

// OnReady implements dispatch.Carrier.
func (c *carrier) OnReady(f func()) { c.ready.Store(&f) }

// NextTry implements dispatch.Carrier: slots come free by answers.
func (c *carrier) NextTry() time.Time { return time.Time{} }

// Book implements dispatch.Chooser.
func (c *carrier) Book(address string) (dispatch.Place, time.Duration) {
	if c.direct == nil {
		return nil, c.m.sites.unwanted(domainOf(address), time.Now())
	}
	p, wait := c.m.sites.book(domainOf(address), time.Now())
	if p == nil {
		return nil, wait
	}
	return p, 0
}

// TryReserve implements dispatch.Carrier.
func (c *carrier) TryReserve(_ int, lane gateway.Lane) (dispatch.Slot, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	total := 0
	for _, n := range c.busy {
		total += n
	}
	if c.closed || total >= c.most() || !c.inShareLocked(lane) {
		return nil, false
	}
	if c.flying.Add(1) == 1 {
		c.heard.Store(time.Now().UnixNano())
	}
	c.busy[lane]++
	c.under.Add(1)
	return &slot{c: c, lane: lane}, true
}

// InShare implements dispatch.Carrier.
func (c *carrier) InShare(_ int, lane gateway.Lane) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inShareLocked(lane)
}

func (c *carrier) inShareLocked(lane gateway.Lane) bool {
	return lane != gateway.LaneCommercial || c.busy[lane] < max(1, c.window*commercialShare/100)
}

func (c *carrier) free(lane gateway.Lane) {
	c.mu.Lock()
	c.busy[lane]--
	c.flying.Add(-1)
	c.mu.Unlock()
	c.under.Done()
	c.signal()
}

func (c *carrier) status() HostStatus {
	s := HostStatus{Name: c.host.Name, Up: c.Window() > 0, Window: c.window, Direct: c.direct != nil, Draining: c.host.Draining}
	c.mu.Lock()
	for _, n := range c.busy {
		s.Busy += n
	}
	c.mu.Unlock()
	if c.client != nil {
		st := c.client.Status()[0]
		s.Rests, s.LastErr = st.Rests, st.LastError
	}
	return s
}

// slot is a place for one message.
type slot struct {
	c    *carrier
	lane gateway.Lane
}

// Cancel implements dispatch.Slot.
func (s *slot) Cancel() { s.c.free(s.lane) }

// Send implements dispatch.Slot; dispatch uses SendLate.
func (s *slot) Send(m *dispatch.Outgoing, answered func(int, dispatch.Answer)) {
	s.SendLate(m, func() error { return nil }, answered)
}

// SendLate implements dispatch.LateSlot.
func (s *slot) SendLate(m *dispatch.Outgoing, last func() error, answered func(int, dispatch.Answer)) {
	c := s.c
	c.m.mu.Lock()
	life := c.m.life
	c.m.mu.Unlock()
	d := delivery{s, m, last, answered, life}
	select {
	case c.work <- d:
	default:
		c.staff.Add(1)
		c.workers.Go(func() { c.worker(d) })
	}
}

// worker delivers one message after the other until the carrier closes. A goroutine for each would grow its stack anew every time.
func (c *carrier) worker(d delivery) {
	defer c.staff.Add(-1)
	for ok := true; ok; {
		c.run(d)
		d = delivery{} // nothing is held while it waits
		if c.staff.Load() > int64(c.window) {
			return
		}
		d, ok = <-c.work
	}
}

func (c *carrier) run(d delivery) {
	ctx, cancel := context.WithTimeout(d.life, c.m.cfg.Attempt)
	defer cancel()
	a := c.deliver(ctx, d.out, d.last)
	c.free(d.slot.lane)
	d.answered(0, a)
}

// deliver composes a message, makes one attempt and reads the answer.
func (c *carrier) deliver(ctx context.Context, out *dispatch.Outgoing, last func() error) dispatch.Answer {
	lane, domain := out.Batch.Lane(), domainOf(out.Recipient.Address)
	msg, err := c.m.message(ctx, out)
	if err != nil {
		if out.Place != nil {
			out.Place.GiveBack()
		}
		c.m.cfg.Log.Error("mail not composed", "msg_id", out.ID.String(), "err", err)
		if errors.As(err, new(unfit)) {
			return dispatch.Answer{Verdict: dispatch.Refused, Err: err.Error()}
		}
		return dispatch.Answer{Verdict: dispatch.TryLater, Err: "the message could not be read here", Wait: wait(lane, out.Attempt)}
	}
	msg.HandOff = func(context.Context) error { return last() }
	p, _ := out.Place.(*place)
	switch t := c.attempt(ctx, domain, msg, p); {
	case t.held:
		return dispatch.Answer{Verdict: dispatch.Stopped}
	case t.wait > 0:
		return dispatch.Answer{Verdict: dispatch.TryLater, Down: true, Wait: t.wait, Err: t.outcome.Reply()}
	default:
		return c.answer(ctx, out, domain, t.outcome)
	}
}

// try is one attempt: what came of it, or that the last look stopped it, or that its site had no room or was not there and when to
// come back. That is the site's schedule, not the message's own: the recipient was not asked.
type try struct {
	outcome smarthost.Outcome
	held    bool
	wait    time.Duration
}

// attempt hands the message to the smarthost, or to the site of its domain.
func (c *carrier) attempt(ctx context.Context, domain string, msg *smarthost.Message, p *place) (t try) {
	if c.direct != nil {
		return c.direct.deliver(ctx, domain, msg, p)
	}
	if p != nil { // it was routed when the smarthost was direct
		p.GiveBack()
	}
	res := c.client.Deliver(ctx, *msg)
	if res.Held != nil {
		return try{held: true}
	}
	t.outcome = res.Outcomes[0]
	c.failing.Store(t.outcome.Unasked())
	if !t.outcome.Unasked() {
		c.heard.Store(time.Now().UnixNano())
	} else if rests := c.client.Status()[0].Rests; !rests.IsZero() {
		c.rests.Store(rests.UnixNano())
	}
	return t
}

// answer sorts an outcome by what happens next.
func (c *carrier) answer(ctx context.Context, out *dispatch.Outgoing, domain string, o smarthost.Outcome) dispatch.Answer {
	a := dispatch.Answer{ID: o.QueueID, Err: o.Reply()}
	lane := out.Batch.Lane()
	switch o.Kind {
	case smarthost.Delivered:
		a.Verdict, a.Err, a.Relayed = dispatch.Taken, "", !o.DSN
		return a
	case smarthost.Doubt:
		a.Verdict, a.Wait = dispatch.Doubt, wait(lane, out.Attempt)
		return a
	case smarthost.TryLater:
		a.Verdict, a.Wait = dispatch.TryLater, wait(lane, out.Attempt)
		a.Down = o.Unasked() && c.direct == nil
	default:
		a.Verdict = dispatch.Refused
	}
	if o.Unasked() {
		return a
	}
	class := bounce.ClassifyReply(o.Command, o.Enhanced, o.Code, o.Text)
	if class.Blocks() {
		c.m.unwanted(Trouble{Domain: domain, Class: class, Carrier: c.host.Name, Reply: o.Reply()})
	}
	if a.Verdict == dispatch.Refused && (class.Suppress() || class == bounce.ClassFull) {
		a.Code = gateway.CodeBounced
		err := c.m.store.Suppress(context.WithoutCancel(ctx), &gateway.Suppression{Account: out.ID.Account, Address: out.Recipient.Address,
			Class: string(class), Text: o.Reply(), Message: out.ID, At: c.m.cfg.Now()})
		if err != nil {
			c.m.cfg.Log.Error("address not suppressed", "msg_id", out.ID.String(), "err", err)
		}
	}
	return a
}

func domainOf(addr string) string { return addr[strings.LastIndexByte(addr, '@')+1:] }

// notify is what the next hop is asked to tell: failures always, since the return path is ours; a delivery or a delay where the
// submitter wants to know.
func notify(r *gateway.Recipient) (notify, orcpt string) {
	notify = "FAILURE"
	for _, v := range r.Vars {
		switch v.Name {
		case mail.MarkNotify:
			if mail.Notifies(v.Value, "SUCCESS") {
				notify = "SUCCESS," + notify
			}
			if mail.Notifies(v.Value, "DELAY") {
				notify += ",DELAY"
			}
		case mail.MarkORcpt:
			orcpt = v.Value
		}
	}
	return notify, orcpt
}
