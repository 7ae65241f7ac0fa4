package stage

import (
	"sync/atomic"
	"time"
)

// Clock is the time of day, moved forward by hand.
type Clock struct{ ahead atomic.Int64 }

// NewClock returns a clock that agrees with the wall.
func NewClock() *Clock { return &Clock{} }

// Now is the time it shows.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Advance moves it forward.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }
