package dispatch

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
)

// carrier is a Carrier with its two gates: permits for open intents, at most twice the window, and slots in the window.
type carrier struct {
	c     Carrier
	open  [gateway.Lanes]atomic.Int64 // segments under open intents, by lane
	total atomic.Int64
	// permits bound the open intents: with them, what a crash or a lost link can repeat.
	permits gate[int]
	slots   gate[Slot]

	timerMu sync.Mutex
	timer   *time.Timer // guarded by timerMu; set while a timed pump is due
}

// commercialShare is the part of permits commercial traffic may hold, in percent, so that an OTP never waits behind it.
const commercialShare = 80

func newCarrier(c Carrier) *carrier {
	k := &carrier{c: c}
	k.permits.try = k.tryPermit
	k.slots.try = c.TryReserve
	k.permits.inShare, k.slots.inShare = k.inShare, c.InShare
	k.permits.up, k.slots.up = k.up, k.up
	c.OnReady(k.pump)
	return k
}

func (k *carrier) tryPermit(n int, lane gateway.Lane) (int, bool) {
	limit := int64(2 * k.c.Window())
	n64 := int64(n)
	if k.total.Load()+n64 > limit && k.total.Load() > 0 {
		return 0, false
	}
	if limit == 0 {
		return 0, false
	}
	if !k.hasShare(n64, lane, limit) {
		return 0, false
	}
	k.open[lane].Add(n64)
	k.total.Add(n64)
	return n, true
}

// inShare reports whether the lane's share of the permits has n left.
func (k *carrier) inShare(n int, lane gateway.Lane) bool {
	return k.hasShare(int64(n), lane, int64(2*k.c.Window()))
}

// hasShare is inShare of so many permits. A message larger than the share may go when the lane has none.
func (k *carrier) hasShare(n int64, lane gateway.Lane, of int64) bool {
	open := k.open[lane].Load()
	return lane != gateway.LaneCommercial || open == 0 || open+n <= of*commercialShare/100
}

// release gives permits back once the outcome is synced.
func (k *carrier) release(n int, lane gateway.Lane) {
	k.open[lane].Add(int64(-n))
	k.total.Add(int64(-n))
	k.permits.pump()
}

// up reports whether a bind is up.
func (k *carrier) up() bool { return k.c.Window() > 0 }

// load is how busy the carrier is, for choosing among equals: segments under way and waiting per slot.
func (k *carrier) load() float64 {
	w := k.c.Window()
	if w == 0 {
		return 1e9
	}
	return float64(k.total.Load()+int64(k.permits.waiting.Load())) / float64(w)
}

// pump serves the waiters after slots became free, a bind came or went, or time has passed.
func (k *carrier) pump() {
	if k.slots.waiting.Load() == 0 && k.permits.waiting.Load() == 0 {
		return
	}
	if !k.up() {
		k.slots.fail(errDown)
		k.permits.fail(errDown)
		return
	}
	k.slots.pump()
	k.permits.pump()
	if k.slots.waiting.Load() > 0 {
		k.pumpLater()
	}
}

// pumpLater comes back when rate tokens will have grown.
func (k *carrier) pumpLater() {
	at := k.c.NextTry()
	if at.IsZero() {
		return
	}
	k.timerMu.Lock()
	defer k.timerMu.Unlock()
	if k.timer != nil {
		return
	}
	k.timer = time.AfterFunc(max(time.Until(at), 200*time.Microsecond), func() {
		k.timerMu.Lock()
		k.timer = nil
		k.timerMu.Unlock()
		k.pump()
	})
}

// SetCarrier adds a carrier, or puts it in the place of the one of the same name.
func (d *Dispatcher) SetCarrier(c Carrier) {
	k := newCarrier(c)
	d.mu.Lock()
	old := d.carriers[c.Name()]
	d.carriers[c.Name()] = k
	d.mu.Unlock()
	if old != nil {
		old.close()
	}
}

// close sends away who waits, and who has chosen the carrier and comes only now.
func (k *carrier) close() {
	k.slots.close(errDown)
	k.permits.close(errDown)
}

// RemoveCarrier forgets a carrier; who waits for it is routed anew.
func (d *Dispatcher) RemoveCarrier(name string) {
	d.mu.Lock()
	k := d.carriers[name]
	delete(d.carriers, name)
	d.mu.Unlock()
	if k != nil {
		k.close()
	}
}

// CarrierState is what a panel shows of a carrier.
type CarrierState struct {
	Name    string
	Up      bool
	Window  int
	Open    [gateway.Lanes]int // segments under open intents
	Waiting [gateway.Lanes]int // messages waiting for a permit or slot
}

// Carriers tells how the carriers are doing, by name.
func (d *Dispatcher) Carriers() []CarrierState {
	d.mu.RLock()
	defer d.mu.RUnlock()
	out := make([]CarrierState, 0, len(d.carriers))
	for _, k := range d.carriers {
		st := CarrierState{Name: k.c.Name(), Up: k.up(), Window: k.c.Window(), Waiting: k.permits.depth()}
		for i, n := range k.slots.depth() {
			st.Waiting[i] += n
			st.Open[i] = int(k.open[i].Load())
		}
		out = append(out, st)
	}
	slices.SortFunc(out, func(a, b CarrierState) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// watchInterval is how soon waiters notice that their carrier went down without a word.
const watchInterval = 200 * time.Millisecond

// Run watches the carriers until ctx ends.
func (d *Dispatcher) Run(ctx context.Context) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.mu.RLock()
			for _, k := range d.carriers {
				k.pump()
			}
			d.mu.RUnlock()
		}
	}
}

// routeAll chooses a carrier for every job.
func (c *chunk) routeAll() {
	c.d.mu.RLock()
	keep := c.jobs[:0]
	var down []*job
	var noRoute []*job
	var resting []waiting
	for _, j := range c.jobs {
		route := c.routeOf(j)
		if route == nil {
			noRoute = append(noRoute, j)
			continue
		}
		if j.carrier = c.d.choose(route, j); j.carrier == nil {
			down = append(down, j)
			continue
		}
		if w, ok := j.carrier.c.(Chooser); ok {
			p, wait := w.Book(j.rcpt.Address)
			if wait > 0 {
				resting = append(resting, waiting{j, wait})
				continue
			}
			j.place = p
		}
		keep = append(keep, j)
	}
	c.d.mu.RUnlock()
	c.jobs = keep
	for _, w := range resting {
		c.end(w.j, gateway.Change{State: gateway.StateHeld, Code: gateway.CodeOperatorDown,
			NextAt: earlier(c.now.Add(w.wait), laterOf(w.j.batch.ValidUntil, c.now))})
	}
	for _, j := range noRoute {
		c.end(j, rule(gateway.DecisionDrop, gateway.StateFailed, gateway.CodeNoRoute, time.Time{}, c.now))
	}
	c.waitForCarrier(down)
}

// choose takes the least busy carrier that is up, of the lowest rank that has one; at a later attempt another of that rank than
// the last, if there is one. A message some of whose segments were taken stays with its operator: another may cut or write it
// differently, and the parts would not fit together. Called with d.mu held.
func (d *Dispatcher) choose(r *gateway.Route, j *job) *carrier {
	if k := d.carriers[j.progress.Operator]; partlyTaken(j.progress) && k != nil {
		if k.up() {
			return k
		}
		return nil
	}
	var best *carrier
	var bestRank int
	var bestLoad float64
	bestLast := false
	for _, st := range r.Operators {
		k := d.carriers[st.Operator]
		if k == nil || !k.up() {
			continue
		}
		load := k.load() / float64(max(1, st.Weight))
		last := j.progress.Attempts > 0 && st.Operator == j.progress.Operator
		better := best == nil || st.Rank < bestRank
		if !better && st.Rank == bestRank {
			better = bestLast && !last || bestLast == last && load < bestLoad
		}
		if better {
			best, bestRank, bestLoad, bestLast = k, st.Rank, load, last
		}
	}
	return best
}

func partlyTaken(p *gateway.Progress) bool {
	for i := range p.Segments {
		if p.Segments[i].Taken() {
			return true
		}
	}
	return false
}

// waitForCarrier puts messages back whose operators are all down. Where a whole due entry waits, the entry moves as it is.
func (c *chunk) waitForCarrier(down []*job) {
	if len(down) == 0 {
		return
	}
	if len(c.jobs) == 0 {
		c.pause = c.d.cfg.Pause
	}
	next := c.now.Add(c.d.cfg.Pause)
	perRef := map[*refState]int{}
	for _, j := range down {
		perRef[j.ref]++
	}
	for _, j := range down {
		if n := perRef[j.ref]; n == j.ref.left && n > 1 {
			c.changes = append(c.changes, gateway.Change{Clear: &j.ref.ref, Move: next})
			j.ref.left = -1 // moved as a whole
		}
		if j.ref.left < 0 {
			continue
		}
		c.end(j, c.d.carrierDown(j, c.now))
	}
}

// carrierDown holds a message for a moment. No decision is recorded: nothing was decided about the recipient.
func (d *Dispatcher) carrierDown(j *job, now time.Time) gateway.Change {
	return gateway.Change{State: gateway.StateHeld, Code: gateway.CodeOperatorDown,
		NextAt: earlier(now.Add(d.cfg.Pause), laterOf(j.batch.ValidUntil, now))}
}

func laterOf(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
