package queue

import (
	"context"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
)

// A held lane starts nothing more, also of what asynq has already, while the others go on; let go, it loses and repeats nothing.
func TestHold(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		for _, held := range allLanes {
			t.Run(held.String(), func(t *testing.T) { holdLane(t, url, held) })
		}
	})
}

func holdLane(t *testing.T, url string, held gateway.Lane) {
	const each = 60
	r := newRig(t, Config{Redis: url, OTPWorkers: 8, Workers: 16}) // so few that not all chunks can be under way at once
	var mu sync.Mutex
	isHeld, started, late := false, 0, 0
	r.rec.hook = func(_ context.Context, c Chunk) (time.Duration, error) {
		if c.Lane != held {
			return 0, nil
		}
		mu.Lock()
		defer mu.Unlock()
		if started++; started == 1 {
			r.q.Hold(held, true)
			isHeld = true
		} else if isHeld {
			late++
		}
		return 0, nil
	}
	for i := range each { // an account each, so that each is a chunk of its own
		r.src.add(held, gateway.AccountID(1+i), 0, 1)
	}
	r.run()
	other := allLanes[(int(held)+1)%len(allLanes)]
	eventually(t, 30*time.Second, "the hold", func() bool { return r.q.Snapshot().Lanes[held].Held })
	for i := range each {
		r.src.add(other, gateway.AccountID(1+i), 0, 1)
	}
	most := r.q.laneOf(held).policy.workers * 2 // running or drawn at that instant
	eventually(t, 30*time.Second, "the other lane to be served", func() bool {
		_, n := r.rec.count()
		mu.Lock()
		defer mu.Unlock()
		return n-started >= each
	})
	mu.Lock()
	if late > most || started == each {
		t.Errorf("%d chunks started after the hold, %d in all; at most %d were under way", late, started, most)
	}
	isHeld = false
	mu.Unlock()
	r.q.Hold(held, false)
	r.drained(30 * time.Second)
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.rec.check(2*each, false); err != nil {
		t.Error(err)
	}
}
