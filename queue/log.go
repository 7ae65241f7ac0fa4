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
	log *slog.Logger

	mu      sync.Mutex
	last    time.Time
	dropped int
}

const logEvery = 30 * time.Second

// Debug implements asynq.Logger.
func (a *asynqLog) Debug(...any) {}

// Info implements asynq.Logger.
func (a *asynqLog) Info(...any) {}

// Warn implements asynq.Logger.
func (a *asynqLog) Warn(args ...any) { a.log.Debug("asynq", "detail", fmt.Sprint(args...)) }

// Error implements asynq.Logger.
func (a *asynqLog) Error(args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := time.Now(); now.Sub(a.last) < logEvery {
		a.dropped++
		return
	} else {
		a.last = now
	}
	a.log.Warn("asynq reports an error", "detail", fmt.Sprint(args...), "suppressed", a.dropped)
	a.dropped = 0
}

// Fatal implements asynq.Logger; unlike asynq's own it does not end the process.
func (a *asynqLog) Fatal(args ...any) { a.Error(args...) }

// quiet silences go-redis, whose log is one for the whole process; what it would say reaches us as errors.
var quiet sync.Once

type silence struct{}

// Printf implements go-redis's Logging.
func (silence) Printf(context.Context, string, ...any) {}
