package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"izinli/gateway"
)

// broker is asynq on one Redis: a client for feeding and looking, and a server with its own client per gate.
type broker struct {
	instance string
	mini     *miniredis.Miniredis // nil with a real Redis
	redis    redis.UniversalClient
	client   atomic.Pointer[asynq.Client]
	servers  []*asynq.Server
	clients  []redis.UniversalClient // of the servers
	names    [gateway.Lanes]string
}

// newBroker opens what needs no answer from Redis.
func newBroker(q *Queue) (*broker, error) {
	quiet.Do(func() { redis.SetLogger(silence{}) })
	b := &broker{instance: q.cfg.Instance}
	for i := range b.names {
		b.names[i] = queueName(b.instance, gateway.Lane(i))
	}
	if q.target.embedded {
		b.mini = miniredis.NewMiniRedis()
		// asynq expects what it gave a lifetime to vanish; by default nothing does here.
		b.mini.ClockTTL(true)
	}
	b.redis = b.connect(q.target)
	b.client.Store(asynq.NewClientFromRedisClient(b.redis))
	weights := [][]int{{1}, {8, 2}} // design, Lanes
	for i, g := range q.gates {
		c := b.connect(q.target)
		c.AddHook(newGateHook(g, b.instance))
		queues := map[string]int{}
		for j, l := range g.lanes {
			queues[b.names[l.id]] = weights[i][j]
		}
		workers := q.cfg.OTPWorkers
		if i > 0 {
			workers = q.cfg.Workers
		}
		b.clients = append(b.clients, c)
		b.servers = append(b.servers, asynq.NewServerFromRedisClient(c, serverConfig(workers, queues, q)))
	}
	return b, nil
}

// serverConfig is how asynq runs here: nothing is left to its retries, archive or schedules.
func serverConfig(workers int, queues map[string]int, q *Queue) asynq.Config {
	return asynq.Config{
		Concurrency: workers + 1, // one token is always held by the draw
		Queues:      queues,
		// Slept after an empty draw, of which the gate leaves about one a second.
		TaskCheckInterval:        time.Millisecond,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return 0 },
		DelayedTaskCheckInterval: 5 * time.Second, // brings back, stale, what a crash left active
		JanitorInterval:          time.Minute,
		ShutdownTimeout:          time.Second, // our own drain came first
		Logger:                   &asynqLog{log: q.log},
		LogLevel:                 asynq.WarnLevel,
	}
}

// connect makes a client; go-redis dials when first used.
func (b *broker) connect(t target) redis.UniversalClient {
	o := &redis.UniversalOptions{
		Addrs: t.addrs, MasterName: t.master, IsClusterMode: t.cluster, DB: t.db, TLSConfig: t.tls,
		Username: t.user, Password: t.password,
		SentinelUsername: t.sentinelUser, SentinelPassword: t.sentinelPassword,
		DialTimeout: operationTimeout, ReadTimeout: operationTimeout, WriteTimeout: operationTimeout,
		MaxRetries:      1,
		DialerRetries:   1, // the monitor retries
		DisableIdentity: true,
		Protocol:        2, // nothing here needs more, and the embedded server knows it best
		MaintNotificationsConfig: &maintnotifications.Config{
			Mode: maintnotifications.ModeDisabled,
		},
		ContextTimeoutEnabled: true,
	}
	if b.mini != nil {
		o.Addrs = []string{"embedded"}
		o.Dialer = func(context.Context, string, string) (net.Conn, error) { return b.mini.Dial() }
	}
	return redis.NewUniversalClient(o)
}

func (b *broker) start(q *Queue) error {
	h := asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		// asynq's context ends when a lease does, which a Redis that is away long enough brings about; the hand-off must not.
		p, err := decodePayload(t.Payload())
		if err != nil || p.Instance != b.instance {
			q.log.Warn("a task that is not ours was dropped", "err", err)
			return nil
		}
		q.work(q.laneOf(p.Lane), p.Chunk, p.Generation)
		return nil
	})
	for _, s := range b.servers {
		if err := s.Start(h); err != nil {
			return fmt.Errorf("queue: start workers: %w", err)
		}
	}
	return nil
}

// stop ends the servers, then their connections, then the embedded server.
func (b *broker) stop() {
	var wg sync.WaitGroup
	for _, s := range b.servers {
		wg.Go(s.Shutdown)
	}
	wg.Wait()
	for _, c := range append(b.clients, b.redis) {
		_ = c.Close() // nothing is buffered in it
	}
	if b.mini != nil {
		b.mini.Close()
	}
}

// taskTimeout is longer than any handler runs; asynq would otherwise give up after 30 minutes.
const taskTimeout = 7 * 24 * time.Hour

func (b *broker) enqueue(ctx context.Context, c *Chunk, gen uint32) error {
	p := payload{Instance: b.instance, Lane: c.Lane, Chunk: c.ID, Generation: gen}
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	_, err := b.client.Load().EnqueueContext(ctx, asynq.NewTask(taskType, p.encode()),
		asynq.TaskID(taskID(c.ID, gen)), asynq.Queue(b.names[c.Lane]),
		asynq.MaxRetry(1), asynq.Retention(0), asynq.Timeout(taskTimeout))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil // the answer to an earlier try of this very enqueue was lost
	}
	if err != nil {
		return fmt.Errorf("enqueue: %w", err)
	}
	return nil
}

func (b *broker) pending(ctx context.Context, l *lane) (int, error) {
	n, err := b.redis.LLen(ctx, pendingKey(b.names[l.id])).Result()
	if err != nil {
		return 0, fmt.Errorf("count waiting tasks: %w", err)
	}
	return int(n), nil
}

func (b *broker) state(ctx context.Context, c *Chunk, gen uint32) (string, error) {
	s, err := b.redis.HGet(ctx, taskKey(b.names[c.Lane], taskID(c.ID, gen)), "state").Result()
	if errors.Is(err, redis.Nil) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look for a task: %w", err)
	}
	return s, nil
}

func (b *broker) ping(ctx context.Context) error {
	if b.mini != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	return b.redis.Ping(ctx).Err()
}

// renew makes a client that announces the queues to Redis's list of them again, which a flush has emptied.
func (b *broker) renew() { b.client.Store(asynq.NewClientFromRedisClient(b.redis)) }

// clear removes what earlier processes left in our queues, and warns when Redis may throw tasks away.
func (b *broker) clear(ctx context.Context, log *slog.Logger) {
	if b.mini != nil {
		return
	}
	i := asynq.NewInspectorFromRedisClient(b.redis)
	for _, name := range b.names {
		for _, del := range []func(string) (int, error){i.DeleteAllPendingTasks, i.DeleteAllScheduledTasks, i.DeleteAllRetryTasks, i.DeleteAllArchivedTasks} {
			if _, err := del(name); err != nil && !errors.Is(err, asynq.ErrQueueNotFound) {
				log.Debug("could not clear stale tasks", "queue", name, "err", err)
			}
		}
	}
	v, err := b.redis.ConfigGet(ctx, "maxmemory-policy").Result() // often forbidden on managed servers
	if p := v["maxmemory-policy"]; err == nil && p != "" && p != "noeviction" {
		log.Warn("redis may evict tasks, which then start late: set maxmemory-policy noeviction", "policy", p)
	}
}
