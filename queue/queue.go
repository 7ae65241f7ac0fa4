package queue

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
)

// Source is the store's due index.
type Source interface {
	// DueAccounts lists the accounts with waiting entries in the lane, whatever their due time.
	DueAccounts(ctx context.Context, lane gateway.Lane) ([]gateway.AccountID, error)
	// Due returns up to limit entries strictly after the cursor (nil: from the beginning) in key order (due, batch, first) that
	// are due now, and the time at which the first entry after those becomes due (zero: none known). An entry is never committed
	// behind a key that Due has already passed.
	Due(ctx context.Context, lane gateway.Lane, a gateway.AccountID, after *gateway.DueRef, limit int) (refs []gateway.DueRef, next time.Time, err error)
}

// Handler hands messages off.
type Handler interface {
	// Process hands the chunk's messages off; it may block for as long as operators have no room and must return soon after ctx
	// ends. pause > 0 asks the feeder to leave the account's lane alone that long (no operator up). An error means that the store
	// failed: the same chunk comes again, after a growing delay. After a nil error the queue forgets the chunk.
	Process(ctx context.Context, c Chunk) (pause time.Duration, err error)
}

// Chunk is what one task triggers: entries of one account in one lane, together at most lane.ChunkLimit() messages unless a
// single entry is larger. Entries are never split, so that each can be deleted from the index as a whole.
type Chunk struct {
	ID      uint64
	Lane    gateway.Lane
	Account gateway.AccountID
	Refs    []gateway.DueRef
}

// Messages is the number of messages in the chunk.
func (c *Chunk) Messages() int { return count(c.Refs) }

// Config is what a Queue needs to know. The zero value of every field but Instance is a sensible default.
type Config struct {
	// Instance is the store's instance id (1–64 letters, digits, '-', '_'); it is part of every queue name, so that two stores can
	// share one Redis.
	Instance string
	// Redis is the URL of a Redis (ParseURL has the forms); empty runs the embedded server in this process.
	Redis string
	// Logger receives what an operator should know; nil discards it.
	Logger *slog.Logger
	// MaxTasks bounds the tasks of a lane in asynq, running ones included: 1–10000; default 1000, embedded 200.
	MaxTasks int
	// OTPWorkers and Workers are how many handlers run at once for otp (default 64) and for the other two lanes together (default
	// 160, of which commercial occupies at most 128). A handler that waits for an operator costs little but memory.
	OTPWorkers, Workers int
	// AccountTasks bounds the tasks of one account in a lane; default a quarter of the lane's workers. It shrinks as more accounts have
	// tasks, so that one account on a slow operator never holds all workers.
	AccountTasks int
	// RequeueAfter is how long a task may wait before it is checked for having been lost; default 15 s. Losses that show in the
	// length of Redis's list are found within about two seconds whatever this is.
	RequeueAfter time.Duration
	// DrainTimeout is how long Run, once its ctx has ended, lets running handlers finish before it cancels them; default 20 s.
	DrainTimeout time.Duration
}

// Limits of the configuration and fixed times.
const (
	maxTasksLimit    = 10000
	defaultTasks     = 1000
	defaultEmbedded  = 200 // the embedded server needs about a millisecond a task: a deeper queue would only be older
	defaultOTP       = 64
	defaultWorkers   = 160
	defaultRequeue   = 15 * time.Second
	defaultDrain     = 20 * time.Second
	cancelGrace      = 5 * time.Second // for cancelled handlers to return
	operationTimeout = 2 * time.Second // of one Redis command
	maxBuffered      = 50_000          // entries a lane holds beyond its chunks, 56 octets each; more are read again when needed
)

// ErrNotRunning is what Healthy reports before Run and after it.
var ErrNotRunning = errors.New("queue: not running")

// Queue feeds the workers. Make one with New, start it with Run; all methods are safe for concurrent use.
type Queue struct {
	// Fixed by New.
	cfg      Config
	log      *slog.Logger
	target   target
	lanes    [gateway.Lanes]*lane
	gates    [2]*gate // otp; transactional and commercial
	health   health
	running  atomic.Bool // Run was called
	handlers sync.WaitGroup

	// Set by Run before anything reads them.
	handler    Handler
	handlerCtx context.Context // ends when draining takes too long
}

var instanceForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// New checks the configuration. It opens nothing: a Redis that is away is Run's affair.
func New(cfg Config) (*Queue, error) {
	if !instanceForm.MatchString(cfg.Instance) {
		return nil, fmt.Errorf("queue: instance %q is not 1–64 letters, digits, '-' or '_'", cfg.Instance)
	}
	t := target{embedded: cfg.Redis == ""}
	if !t.embedded {
		var err error
		if t, err = parseURL(cfg.Redis); err != nil {
			return nil, err
		}
	}
	if err := cfg.fill(t.embedded); err != nil {
		return nil, err
	}
	q := &Queue{cfg: cfg, log: cfg.Logger, target: t}
	q.health.init()
	first, err := firstChunk()
	if err != nil {
		return nil, err
	}
	for i := range q.lanes {
		id := gateway.Lane(i)
		q.lanes[i] = newLane(id, cfg.policy(id), first+uint64(i)<<48, q.log)
		q.lanes[i].up = q.health.isUp
		q.lanes[i].failed = q.health.fail
		q.lanes[i].worked = q.health.worked
	}
	q.gates[0] = newGate(q.health.isUp, q.lanes[gateway.LaneOTP])
	q.gates[1] = newGate(q.health.isUp, q.lanes[gateway.LaneTransactional], q.lanes[gateway.LaneCommercial])
	return q, nil
}

// fill puts the defaults in and refuses what makes no sense.
func (c *Config) fill(embedded bool) error {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	tasks := defaultTasks
	if embedded {
		tasks = defaultEmbedded
	}
	def(&c.MaxTasks, tasks)
	def(&c.OTPWorkers, defaultOTP)
	def(&c.Workers, defaultWorkers)
	if c.RequeueAfter == 0 {
		c.RequeueAfter = defaultRequeue
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = defaultDrain
	}
	switch {
	case c.MaxTasks < 1 || c.MaxTasks > maxTasksLimit:
		return fmt.Errorf("queue: max tasks %d is not within 1–%d", c.MaxTasks, maxTasksLimit)
	case c.OTPWorkers < 1 || c.Workers < 2:
		return errors.New("queue: at least 1 otp worker and 2 others are needed")
	case c.AccountTasks < 0 || c.RequeueAfter < 0 || c.DrainTimeout < 0:
		return errors.New("queue: a limit is negative")
	}
	return nil
}

// policy is what differs between the lanes.
func (c *Config) policy(l gateway.Lane) policy {
	p := policy{limit: l.ChunkLimit(), maxTasks: c.MaxTasks, maxBuffered: maxBuffered, requeueAfter: c.RequeueAfter}
	switch l {
	case gateway.LaneOTP:
		p.workers, p.partialBelow = c.OTPWorkers, c.OTPWorkers
	case gateway.LaneTransactional:
		// One in ten workers stays for commercial: weighted, not strict.
		p.workers, p.partialBelow, p.linger = c.Workers-max(1, c.Workers/10), 32, 5*time.Millisecond
	default:
		// Commercial handlers wait for operators longest; a fifth of the workers is never theirs (design, Lanes).
		p.workers, p.partialBelow, p.linger = c.Workers-max(1, c.Workers/5), 8, 20*time.Millisecond
	}
	p.accountTasks = c.AccountTasks
	if p.accountTasks == 0 {
		p.accountTasks = max(1, p.workers/4)
	}
	return p
}

// firstChunk draws where chunk numbers start, so that no task left by an earlier process names a chunk of this one.
func firstChunk() (uint64, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return 0, fmt.Errorf("queue: draw chunk numbers: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]) >> 1, nil // room to count upwards
}

// Wake tells that entries of the account were committed in the lane, the earliest due at due. It never blocks and calls are
// merged; the committer makes it after each commit.
func (q *Queue) Wake(l gateway.Lane, a gateway.AccountID, due time.Time) {
	if int(l) < len(q.lanes) {
		q.lanes[l].wake(a, due, time.Now())
	}
}

// Healthy is nil while tasks can be queued. Otherwise acceptance goes on and delivery waits; the error says why, without secrets.
func (q *Queue) Healthy() error { return q.health.err() }

// Embedded reports whether tasks live in this process rather than in a Redis.
func (q *Queue) Embedded() bool { return q.target.embedded }

func count(refs []gateway.DueRef) int {
	n := 0
	for i := range refs {
		n += refs[i].Messages()
	}
	return n
}
