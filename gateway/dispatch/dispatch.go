package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/iys"
)

// Store is where messages come from and outcomes go to.
type Store interface {
	Load(ctx context.Context, refs []gateway.DueRef) ([]gateway.Work, error)
	// OpenIntents returns after the sync; ok[i] false forbids the message to leave.
	OpenIntents(ctx context.Context, intents []gateway.Intent) (ok []bool, err error)
	// Apply calls done after the sync; done must not block.
	Apply(changes []gateway.Change, done func(error))
	// AnsweredLate notes an answer that came after its attempt was put in doubt, and calls done after the sync; whole: the operator has
	// every segment of the message. done must not block.
	AnsweredLate(a gateway.LateAnswer, done func(whole bool, err error))
	Directory() *gateway.Directory
	// Stopped tells from memory whether a batch is paused or cancelled.
	Stopped(ref gateway.BatchRef) (paused, cancelled bool)
	// Released tells from memory whether texts held for their words may go.
	Released(ref gateway.BatchRef) bool
}

// Judge decides about consent, from memory.
type Judge interface {
	Decide(b *gateway.Batch, address string, now time.Time) iys.Verdict
	// Ask asks İYS live about addresses whose verdict was "ask"; afterwards Decide knows the answer or that there is none.
	Ask(ctx context.Context, b *gateway.Batch, addresses []string)
	// Cite completes decisions with what the consent they rest on says of itself.
	Cite(ctx context.Context, list []consent.Citation)
	// Lock takes the lock of the address; opt-outs take the same.
	Lock(address string) *sync.Mutex
}

// Carrier is one way out: an operator with its binds.
type Carrier interface {
	Name() string
	// Window is how many segments may be in flight over all binds that are up; 0: down.
	Window() int
	// MaxSegments is how many segments one message may have here (the window of one bind).
	MaxSegments() int
	// Profile says how texts are encoded for it.
	Profile() Profile
	// TryReserve sets slots and rate tokens aside for all segments of a message.
	TryReserve(segments int, lane gateway.Lane) (Slot, bool)
	// InShare reports whether the share of a lane has so many segments left now, whatever room there is.
	InShare(segments int, lane gateway.Lane) bool
	// NextTry is when a refused TryReserve may succeed although nothing is answered meanwhile (rate tokens); zero: not by time.
	NextTry() time.Time
	// OnReady names the function called when slots may have become free. It only signals.
	OnReady(func())
}

// Slot is room for one message on one bind.
type Slot interface {
	// Send appends all segments to the bind's write buffer, at once and without blocking: the hand-off. answered is called
	// exactly once per segment, never blocking, perhaps before Send returns; after Doubt perhaps once more, with TakenLate or RefusedLate.
	Send(m *Outgoing, answered func(segment int, a Answer))
	Cancel()
}

// Answer is how one segment ended at the carrier.
type Answer struct {
	Verdict AnswerVerdict
	ID      string // normalised message id
	Err     string // refusal, as text
	// Of mail alone.
	Code    gateway.Code  // why refused, where it says more than operator_rejected; Undelivered then
	Wait    time.Duration // TryLater, Doubt: until the next attempt; 0: the usual pause
	Down    bool          // TryLater: the carrier could not be asked, the recipient said nothing
	Relayed bool          // Taken: the next hop will tell nothing of the delivery
}

// LateSlot is a slot whose hand-off comes some time after Send: a mail leaves when its data begins. It calls last directly
// before; an error stops the message, which is then answered with Stopped.
type LateSlot interface {
	Slot
	SendLate(m *Outgoing, last func() error, answered func(segment int, a Answer))
}

// Chooser is a carrier that can tell beforehand that a recipient has to wait: its site rests, or has all it may have.
type Chooser interface {
	// Book keeps a place at the recipient's site; wait > 0: there is none, come back then. A carrier that keeps no places returns
	// nil and 0.
	Book(address string) (p Place, wait time.Duration)
}

// Place is room at a recipient's site. The carrier that gets it with a message ends it with the delivery.
type Place interface {
	// GiveBack ends it unused.
	GiveBack()
}

// AnswerVerdict sorts answers by what happens next.
type AnswerVerdict uint8

// The verdicts.
const (
	Taken    AnswerVerdict = iota + 1
	Refused                // never again
	TryLater               // throttled, queue full: again after a pause
	Doubt                  // no answer, link lost: it may have left
	Stopped                // the last look stopped it; nothing has left
	// After Doubt a segment may be answered once more.
	TakenLate
	RefusedLate // changes nothing: what became of other attempts it does not tell
)

// Config tunes the dispatcher. Zero fields take the default.
type Config struct {
	QuietHours bool          // honour quiet hours (the demo turns them off)
	Pause      time.Duration // how long an account's lane rests when no carrier is up; default 2 s
	HoldFor    time.Duration // first hold when consent cannot be confirmed; doubles up to 10 min; default 30 s
	Now        func() time.Time
	Log        *slog.Logger
	Journal    Journal
	// Suppressed tells, from memory, whether mail of an account to an address came back for good; nil: never.
	Suppressed func(a gateway.AccountID, addr string) bool
}

// Journal is told of the moments of a message's way out.
type Journal interface {
	HandedOff(id gateway.MessageID, address, carrier string, segments, attempt int)
	Answered(id gateway.MessageID, operator string, segment int, operatorID string, st gateway.State, errText string)
	Ended(id gateway.MessageID, address string, st gateway.State, code gateway.Code)
}

// Dispatcher hands messages off. Create it with New, run Run beside the queue, give Process to the queue.
type Dispatcher struct {
	cfg   Config
	store Store
	judge Judge

	mu       sync.RWMutex
	carriers map[string]*carrier // guarded by mu
	flights  sync.WaitGroup

	claimMu sync.Mutex
	claims  map[gateway.MessageID]*job // messages under way here; guarded by claimMu
}

// errUnderWay asks the queue to bring a chunk again: messages of it are still with a carrier, from a run that failed.
var errUnderWay = errors.New("dispatch: messages of the chunk are still under way")

// New returns a dispatcher without carriers.
func New(cfg Config, st Store, j Judge) *Dispatcher {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Pause == 0 {
		cfg.Pause = 2 * time.Second
	}
	if cfg.HoldFor == 0 {
		cfg.HoldFor = 30 * time.Second
	}
	if cfg.Journal == nil {
		cfg.Journal = quietJournal{}
	}
	return &Dispatcher{cfg: cfg, store: st, judge: j, carriers: map[string]*carrier{}, claims: map[gateway.MessageID]*job{}}
}

type quietJournal struct{}

func (quietJournal) HandedOff(gateway.MessageID, string, string, int, int)                  {}
func (quietJournal) Answered(gateway.MessageID, string, int, string, gateway.State, string) {}
func (quietJournal) Ended(gateway.MessageID, string, gateway.State, gateway.Code)           {}

// Process brings the messages of the refs on their way. It returns when each has been handed off, has got another time, or
// is final; the answers of the carriers come later. pause > 0 asks the queue to leave the account's lane alone that long,
// because no carrier is up. An error means the store failed: the refs have to come again.
func (d *Dispatcher) Process(ctx context.Context, refs []gateway.DueRef) (pause time.Duration, err error) {
	works, err := d.store.Load(ctx, refs)
	if err != nil {
		return 0, err
	}
	c := d.newChunk(works)
	defer c.release()
	c.judgeAll(ctx)
	c.routeAll()
	c.encodeAll()
	err = c.handOffAll(ctx)
	// What was decided is written also when the rest has to come again.
	if err := errors.Join(err, c.settle(ctx)); err != nil {
		return 0, err
	}
	if c.busy {
		return c.pause, errUnderWay
	}
	return c.pause, nil
}

// claim takes a message for one run; false when another has it. Two runs of one entry would hand it off twice.
func (d *Dispatcher) claim(j *job) bool {
	d.claimMu.Lock()
	defer d.claimMu.Unlock()
	if _, taken := d.claims[j.id]; taken {
		return false
	}
	d.claims[j.id] = j
	return true
}

func (d *Dispatcher) unclaim(id gateway.MessageID) {
	d.claimMu.Lock()
	delete(d.claims, id)
	d.claimMu.Unlock()
}

// job is one message on its way through a chunk.
type job struct {
	id       gateway.MessageID
	batch    *gateway.Batch
	rcpt     *gateway.Recipient
	progress *gateway.Progress
	ref      *refState
	verdict  iys.Verdict
	carrier  *carrier
	out      *Outgoing
	sending  []int       // segments that have to leave; the others were taken at an earlier attempt
	leaving  bool        // its claim ends with its outcome, not with the chunk
	place    Place       // at the recipient's site, until the carrier has it; nil: none
	arrived  atomic.Bool // an earlier attempt has been answered after all: it must not leave again
}

// mayHaveLeft reports whether an earlier attempt was never answered.
func (j *job) mayHaveLeft() bool { return j.progress.MayHaveLeft() }

// refState counts the messages of one due entry of which nothing has been written yet; after the last one the entry is cleared. The
// entry is how a start after a crash finds them, so it must not go before what became of each is synced.
type refState struct {
	ref  gateway.DueRef
	mu   sync.Mutex
	left int // guarded by mu
}

// done takes one message off, whose change is synced, and returns the entry to clear when it was the last.
func (r *refState) done() *gateway.DueRef {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left--; r.left == 0 {
		return &r.ref
	}
	return nil
}

// chunk is one Process at work. It belongs to one goroutine.
type chunk struct {
	d       *Dispatcher
	dir     *gateway.Directory
	now     time.Time
	jobs    []*job
	claimed []*job           // all it began with
	ended   []*job           // those of changes
	busy    bool             // some are under way in another run
	changes []gateway.Change // decided without a carrier
	pause   time.Duration

	mailRoutes map[mailRoute]*gateway.Route
}

// release gives up the claims on messages that did not leave, and their places.
func (c *chunk) release() {
	for _, j := range c.claimed {
		if j.place != nil {
			j.place.GiveBack()
		}
		if !j.leaving {
			c.d.unclaim(j.id)
		}
	}
}

func (d *Dispatcher) newChunk(works []gateway.Work) *chunk {
	c := &chunk{d: d, dir: d.store.Directory(), now: d.cfg.Now()}
	for i := 0; i < len(works); {
		rs := &refState{ref: *works[i].Ref}
		for first := works[i].Ref; i < len(works) && works[i].Ref == first; i++ {
			w := &works[i]
			for j := range w.Recipients {
				jb := c.job(w, j, rs)
				if jb == nil {
					continue
				}
				rs.left++
				if !d.claim(jb) {
					c.busy = true // and the entry stays until that run has ended
					continue
				}
				c.jobs = append(c.jobs, jb)
			}
		}
		if rs.left == 0 {
			c.changes = append(c.changes, gateway.Change{Clear: &rs.ref})
		}
	}
	c.claimed = append(c.claimed, c.jobs...)
	return c
}

// job makes a job of the j-th recipient, nil when there is nothing to do for it in this entry.
func (c *chunk) job(w *gateway.Work, j int, rs *refState) *job {
	r, p := &w.Recipients[j], &w.Progress[j]
	if r.State == gateway.StateDropped || p.State.Final() || p.State == gateway.StateSent {
		return nil
	}
	own := w.Ref.Messages() == 1 && p.NextAt.Equal(w.Ref.Due)
	if !p.NextAt.IsZero() && !own && !p.Open {
		return nil // waits under an entry of its own
	}
	return &job{id: w.Batch.Ref().Message(w.Span.First + uint32(j)), batch: w.Batch, rcpt: r, progress: p, ref: rs}
}

// end records what became of a job that does not leave now.
func (c *chunk) end(j *job, ch gateway.Change) {
	ch.Message, ch.Batch, ch.Recipient = j.id, j.batch, j.rcpt
	honest(j, &ch)
	c.changes = append(c.changes, ch)
	c.ended = append(c.ended, j)
}

// honest makes a message that is stopped unknown if an earlier attempt was never answered: it may have left, and what cannot be
// known is never a guess, nor refunded.
func honest(j *job, ch *gateway.Change) {
	if !j.mayHaveLeft() {
		return
	}
	switch ch.State {
	case gateway.StateDropped, gateway.StateCancelled, gateway.StateExpired, gateway.StateFailed:
		ch.State, ch.Code, ch.Close = gateway.StateUnknown, gateway.CodeDoubt, true
	}
}

// settle writes the changes that needed no carrier.
func (c *chunk) settle(ctx context.Context) error {
	if len(c.changes) == 0 {
		c.d.written(c.ended, nil)
		return nil
	}
	var cite []consent.Citation
	for i := range c.changes {
		if ch := &c.changes[i]; ch.Decision != nil && ch.Batch != nil {
			cite = append(cite, consent.Citation{Batch: ch.Batch, Address: ch.Recipient.Address, Decision: ch.Decision})
		}
	}
	c.d.judge.Cite(ctx, cite)
	ch := make(chan error, 1)
	c.d.flights.Add(1)
	c.d.store.Apply(c.changes, func(err error) {
		if err == nil {
			c.d.written(c.ended, c.changes)
		}
		c.d.flights.Done()
		ch <- err
	})
	select {
	case err := <-ch:
		return err
	case <-ctx.Done():
		return nil // the store answers it all the same
	}
}

// written notes that what became of the jobs is synced, and clears the entries of which nothing else is under way. An entry that
// stays because clearing fails does no harm: the next start finds nothing to do in it. The journal is told only now: a late answer
// may have made sent what the changes would have ended.
func (d *Dispatcher) written(jobs []*job, changes []gateway.Change) {
	for i := range changes {
		if ch := &changes[i]; ch.Ended {
			d.cfg.Journal.Ended(ch.Message, ch.Recipient.Address, ch.State, ch.Code)
		}
	}
	var clears []gateway.Change
	for _, j := range jobs {
		if ref := j.ref.done(); ref != nil {
			clears = append(clears, gateway.Change{Clear: ref})
		}
	}
	if len(clears) == 0 {
		return
	}
	d.flights.Add(1)
	d.store.Apply(clears, func(err error) {
		defer d.flights.Done()
		if err != nil && !errors.Is(err, gateway.ErrClosed) {
			d.cfg.Log.Warn("due entries not cleared", "entries", len(clears), "err", err)
		}
	})
}

// Wait returns when every answer of the carriers has been written, or ctx ends.
func (d *Dispatcher) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() { d.flights.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
