package queue

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"izinli/gateway"
)

func TestLanesShareWorkersEightToTwo(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		r := newRig(t, Config{Redis: url, Workers: 30})
		token := make(chan struct{})
		var by [gateway.Lanes]atomic.Int64
		r.rec.hook = func(_ context.Context, c Chunk) (time.Duration, error) {
			<-token
			by[c.Lane].Add(1)
			return 0, nil
		}
		for a := range gateway.AccountID(150) { // both lanes always have more than the workers can take
			for range 6 {
				r.src.add(gateway.LaneTransactional, 1+a, 0, 20)
				r.src.add(gateway.LaneCommercial, 1+a, 0, 100)
			}
		}
		r.run()
		const tokens = 500
		for range tokens {
			eventually(t, 5*time.Second, "tasks wait in both lanes", func() bool {
				s := r.q.Snapshot().Lanes
				return s[1].Outstanding-s[1].Running > 5 && s[2].Outstanding-s[2].Running > 5 && s[1].Running+s[2].Running >= 30
			})
			token <- struct{}{}
		}
		share := float64(by[gateway.LaneTransactional].Load()) / tokens
		t.Logf("transactional had %.0f %% of the starts", 100*share)
		if share < 0.70 || share > 0.90 {
			t.Errorf("transactional had %.2f of the starts, want about 0.80", share)
		}
		close(token)
		r.drained(20 * time.Second)
	})
}

func TestBlockedCampaignsLeaveWorkersToTheOthers(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		r := newRig(t, Config{Redis: url})
		release := make(chan struct{})
		r.rec.hook = func(_ context.Context, c Chunk) (time.Duration, error) {
			if c.Lane == gateway.LaneCommercial {
				<-release
			}
			return 0, nil
		}
		r.run()
		for a := range gateway.AccountID(150) {
			for range 3 {
				r.src.add(gateway.LaneCommercial, 1+a, 0, 100)
			}
		}
		eventually(t, 10*time.Second, "commercial occupies its share", func() bool {
			return r.q.Snapshot().Lanes[gateway.LaneCommercial].Running == 128
		})
		for i := range 100 {
			r.src.add(allLanes[i%2], 7, 0, 1)
		}
		eventually(t, 5*time.Second, "the other lanes are served", func() bool {
			s := r.q.Snapshot().Lanes
			return s[gateway.LaneOTP].Messages == 50 && s[gateway.LaneTransactional].Messages == 50
		})
		if got := r.q.Snapshot().Lanes[gateway.LaneCommercial].Running; got != 128 {
			t.Errorf("%d commercial handlers run, want no more than 128", got)
		}
		close(release)
		r.drained(20 * time.Second)
	})
}

func TestStopLetsHandlersFinish(t *testing.T) {
	backends(t, func(t *testing.T, url string) {
		r := newRig(t, Config{Redis: url, Workers: 2})
		release, entered := make(chan struct{}), make(chan struct{}, 10)
		r.rec.hook = func(ctx context.Context, _ Chunk) (time.Duration, error) {
			entered <- struct{}{}
			select {
			case <-release:
				return 0, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		r.run()
		for a := range gateway.AccountID(5) {
			r.src.add(gateway.LaneCommercial, 1+a, 0, 1)
		}
		<-entered
		stopped := make(chan error, 1)
		go func() { stopped <- r.stop() }()
		eventually(t, 5*time.Second, "the queue says it stops", func() bool { return errors.Is(r.q.Healthy(), ErrNotRunning) })
		close(release)
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		if chunks, _ := r.rec.count(); chunks == 0 || chunks == 5 {
			t.Errorf("%d chunks were finished, want those that ran and not the rest", chunks)
		}
		if s := r.q.Snapshot().Lanes[gateway.LaneCommercial]; s.Failed != 0 || s.Running != 0 {
			t.Errorf("after the drain: %+v", s)
		}
	})
}

func TestStopCancelsHandlersThatTakeTooLong(t *testing.T) {
	r := newRig(t, Config{DrainTimeout: 50 * time.Millisecond})
	entered := make(chan struct{})
	r.rec.hook = func(ctx context.Context, _ Chunk) (time.Duration, error) {
		close(entered)
		<-ctx.Done()
		return 0, ctx.Err()
	}
	r.run()
	r.src.add(gateway.LaneOTP, 1, 0, 1)
	<-entered
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if s := r.q.Snapshot().Lanes[gateway.LaneOTP]; s.Failed != 1 {
		t.Errorf("got %+v, want the chunk kept as failed", s)
	}
}

func TestRunIsForOnce(t *testing.T) {
	r := newRig(t, Config{}).run()
	eventually(t, 5*time.Second, "healthy", func() bool { return r.q.Healthy() == nil })
	if err := r.q.Run(context.Background(), r.src, r.rec); err == nil {
		t.Error("a second Run was allowed")
	}
}
