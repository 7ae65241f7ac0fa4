package queue

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// asynqLog passes on what asynq says. None of it can lose a message and the monitor tells when Redis is away, so errors become
// warnings, warnings debug lines, and each kind is heard at most once in logEvery.
type asynqLog struct {
	log    *slog.Logger
	errors throttle
}

// logEvery is how often a complaint is repeated.
const logEvery = 30 * time.Second

// throttle lets one line through per logEvery and counts the rest.
type throttle struct {
	mu      sync.Mutex
	last    time.Time
	dropped int
}

// allow reports whether to log now, and how many lines were left out since the last.
func (t *throttle) allow(now time.Time) (suppressed int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.last.IsZero() && now.Sub(t.last) < logEvery {
		t.dropped++
		return 0, false
	}
	suppressed, t.last, t.dropped = t.dropped, now, 0
	return suppressed, true
}

// Debug implements asynq.Logger.
func (a *asynqLog) Debug(...any) {}

// Info implements asynq.Logger.
func (a *asynqLog) Info(...any) {}

// Warn implements asynq.Logger.
func (a *asynqLog) Warn(args ...any) { a.log.Debug("asynq", "detail", fmt.Sprint(args...)) }

// Error implements asynq.Logger.
func (a *asynqLog) Error(args ...any) {
	if n, ok := a.errors.allow(time.Now()); ok {
		a.log.Warn("asynq reports an error", "detail", fmt.Sprint(args...), "suppressed", n)
	}
}

// Fatal implements asynq.Logger; unlike asynq's own it does not end the process.
func (a *asynqLog) Fatal(args ...any) { a.Error(args...) }

// quiet silences go-redis, whose log is one for the whole process; what it would say reaches us as errors.
var quiet sync.Once

type silence struct{}

// Printf implements go-redis's Logging.
func (silence) Printf(context.Context, string, ...any) {}
