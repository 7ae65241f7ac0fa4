package queue

import (
	"context"
	"testing"
	"time"

	"izinli/gateway"
)

// TestKeysAreStillAsynqs checks the keys read behind asynq's back.
func TestKeysAreStillAsynqs(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		q, err := New(Config{Instance: "test", Redis: url})
		if err != nil {
			t.Fatal(err)
		}
		b, err := newBroker(q)
		if err != nil {
			t.Fatal(err)
		}
		defer b.stop()
		ctx := context.Background()
		c := &Chunk{ID: 77, Lane: gateway.LaneTransactional, Account: 1}
		l := q.lanes[gateway.LaneTransactional]
		look := func(want string, waiting int) {
			t.Helper()
			if got, err := b.state(ctx, c, 3); got != want || err != nil {
				t.Errorf("got state %q, %v, want %q", got, err, want)
			}
			if got, err := b.pending(ctx, l); got != waiting || err != nil {
				t.Errorf("got %d waiting, %v, want %d", got, err, waiting)
			}
		}
		look("", 0)
		for range 2 { // the second is a repeat whose first answer was lost
			if err := b.enqueue(ctx, c, 3); err != nil {
				t.Fatal(err)
			}
		}
		look("pending", 1)
		if got, err := b.state(ctx, c, 4); got != "" || err != nil {
			t.Errorf("got state %q, %v of a later generation, want none", got, err)
		}
		b.clear(ctx, q.log)
		if url != "" {
			look("", 0)
		}
	})
}

func TestEmbeddedLifetimesEnd(t *testing.T) {
	q, err := New(Config{Instance: "test"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBroker(q)
	if err != nil {
		t.Fatal(err)
	}
	defer b.stop()
	ctx := context.Background()
	if err := b.redis.Set(ctx, "k", "v", 20*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, "the key is gone", func() bool { return b.redis.Exists(ctx, "k").Val() == 0 })
}

func TestALostAnswerAfterTheDrawIsHealed(t *testing.T) {
	// asynq calls the task active, nothing of ours started: seen twice, it is queued again.
	q, err := New(Config{Instance: "test", RequeueAfter: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	l := q.lanes[0]
	now := time.Now()
	l.mu.Lock()
	a := l.accountLocked(1)
	c := &chunk{Chunk: Chunk{ID: 5, Account: 1, Refs: []gateway.DueRef{{Count: 1}}}, account: a, msgs: 1}
	l.launchLocked(c, now)
	l.mu.Unlock()
	tasks := activeTask{}
	for i, want := range []int{0, 0, 1, 0} {
		now = now.Add(700 * time.Millisecond)
		got, err := l.heal(context.Background(), tasks, now, 0)
		if err != nil || (i != 0 && got != want) || i == 0 && got != 0 {
			t.Errorf("look %d: got %d lost, %v, want %d", i, got, err, want)
		}
	}
	if len(a.backlog) != 1 {
		t.Errorf("got %d chunks waiting, want the lost one", len(a.backlog))
	}
}

// activeTask is an asynq in which every task is active and as many wait as should.
type activeTask struct{}

func (activeTask) enqueue(context.Context, *Chunk, uint32) error         { return nil }
func (activeTask) pending(context.Context, *lane) (int, error)           { return 1, nil }
func (activeTask) state(context.Context, *Chunk, uint32) (string, error) { return "active", nil }
