package queue

import (
	"time"

	"izinli/gateway"
)

// counters of a lane, guarded by its mu.
type counters struct {
	chunks, messages, failed, requeued, stale uint64
}

// LaneStats is a lane at one instant. Counters count from the start of the process.
type LaneStats struct {
	Lane        gateway.Lane
	Held        bool          // by Hold
	Accounts    int           // known to have or to have had messages
	Paused      int           // of them left alone for now
	Waiting     int           // chunks cut and not in asynq
	Buffered    int           // index entries read and not cut
	Outstanding int           // chunks with a task in asynq, running ones included
	Running     int           // handlers
	Oldest      time.Duration // how long the oldest entry in hand has been due; 0 when there is none
	Chunks      uint64        // processed
	Messages    uint64        // in them
	Failed      uint64        // chunks that came back with an error
	Requeued    uint64        // tasks lost and queued again
	Stale       uint64        // tasks that found nothing to do
}

// Snapshot is what panel and metrics show.
type Snapshot struct {
	Embedded bool
	Err      error // Healthy
	Lanes    [gateway.Lanes]LaneStats
}

// Snapshot looks at all lanes. It costs some microseconds per thousand accounts and asks neither store nor Redis.
func (q *Queue) Snapshot() Snapshot {
	s := Snapshot{Embedded: q.target.embedded, Err: q.Healthy()}
	now := time.Now()
	for i, l := range q.lanes {
		s.Lanes[i] = l.snapshot(now)
	}
	return s
}

// Hold keeps a lane from starting anything, or lets it go on. What a worker has in hand ends; what waits stays due in the store, and
// its validity runs on. It does not outlive the process.
func (q *Queue) Hold(l gateway.Lane, on bool) {
	if lane := q.laneOf(l); lane != nil {
		lane.hold(on)
	}
}

func (l *lane) snapshot(now time.Time) LaneStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := LaneStats{
		Lane: l.id, Held: l.held, Accounts: len(l.accounts), Waiting: l.backlog, Buffered: l.buffered,
		Outstanding: len(l.chunks), Running: l.running,
		Chunks: l.stats.chunks, Messages: l.stats.messages, Failed: l.stats.failed, Requeued: l.stats.requeued, Stale: l.stats.stale,
	}
	old := func(refs []gateway.DueRef) {
		if len(refs) > 0 {
			s.Oldest = max(s.Oldest, now.Sub(refs[0].Due)) // they are in order of due time
		}
	}
	for _, c := range l.chunks {
		old(c.Refs)
	}
	for _, a := range l.accounts {
		if a.pausedUntil.After(now) {
			s.Paused++
		}
		old(a.buf)
		for _, c := range a.backlog {
			old(c.Refs)
		}
	}
	return s
}
