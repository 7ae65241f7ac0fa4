package main

import (
	"context"
	"errors"
	"time"
)

// errQuiet ends the waiting for something that does not come.
var errQuiet = errors.New("nothing new came for too long")

// await waits for done, ctx or an error of check, which is asked every tenth of a second.
func await(ctx context.Context, done <-chan struct{}, check func() error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			if err := check(); err != nil {
				return err
			}
		}
	}
}

// quiet is a check that fails when the counter has stood still for patience.
func quiet(patience time.Duration, counter func() int64) func() error {
	last, since := int64(-1), time.Now()
	return func() error {
		if v := counter(); v != last {
			last, since = v, time.Now()
		}
		if time.Since(since) > patience {
			return errQuiet
		}
		return nil
	}
}

// until waits for cond, at most patience after the counter moved last.
func until(ctx context.Context, patience time.Duration, counter func() int64, cond func() bool) error {
	still := quiet(patience, counter)
	never := make(chan struct{})
	err := await(ctx, never, func() error {
		if cond() {
			return errDone
		}
		return still()
	})
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

var errDone = errors.New("done")
