// Package queue brings due messages to the workers that hand them off. It is the only package that knows asynq, go-redis and
// miniredis.
//
// The store is the truth and a task is only a trigger. A feeder per lane, woken by Wake, reads the store's due index (Source),
// takes the accounts in turn, cuts chunks of references and keeps them in memory; asynq carries nothing but the chunk's number and
// generation. When the task arrives the chunk is taken, exactly once per generation, and given to the Handler. Whatever is lost on
// the way (a flushed, killed or replaced Redis, a task that never starts) is noticed and triggered again under a raised generation;
// whatever comes twice or from an earlier process finds its chunk unknown, taken or newer, and ends at once.
//
//	q, err := queue.New(queue.Config{Instance: id, Redis: url, Logger: log}) // url "" runs the embedded server
//	committer := newCommitter(q.Wake)                                       // never blocks, may be called before Run
//	err = q.Run(ctx, source, handler)                                       // until ctx ends; then drains
//
// Three choices had rivals:
//
//   - asynq polls. A gate (gate.go) in front of its dequeue command holds the call back until this process, the only producer of
//     these queues, has put a task there. Idle lanes then cost about one command a second instead of hundreds, a task starts within
//     a millisecond or two of its commit, and no second way past asynq is needed for one-time passwords. Were asynq to change that
//     command, the gate would no longer match and plain polling would remain; a test would tell.
//   - One asynq server draws transactional and commercial 8 : 2; the gate stops drawing from a lane that already occupies its share
//     of the workers, so that campaigns waiting for an operator never hold them all. otp has a server of its own.
//   - Chunks are small when the system is quiet and full when it is busy: a chunk that is not full is cut only while few tasks are
//     outstanding, or when its account has nothing in flight, and then not more often than every few milliseconds per account.
//
// The package does not know what a message is, which operator takes it or what became of it: a chunk whose Process returned nil is
// forgotten, and what must wait is the Source's to offer again under a later due time.
package queue
