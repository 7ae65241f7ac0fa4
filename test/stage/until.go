package stage

import (
	"context"
	"testing"
	"time"
)

// Patience is how long a scenario waits for anything before it fails. It is far above what is needed: a busy machine must not
// fail a scenario.
const Patience = 60 * time.Second

// glance is the time between two looks.
const glance = 5 * time.Millisecond

// Until waits until cond returns nil and fails the test with its last error after Patience.
func Until(tb testing.TB, what string, cond func() error) {
	tb.Helper()
	UntilWithin(tb, Patience, what, cond)
}

// UntilWithin is Until with a patience of its own.
func UntilWithin(tb testing.TB, patience time.Duration, what string, cond func() error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	tick := time.NewTicker(glance)
	defer tick.Stop()
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("waited %s for %s: %v", patience, what, err)
		case <-tick.C:
		}
	}
}
