package smppserver

import "sync"

// idleWorkers is how many goroutines wait for work at most; their grown stacks
// are what makes them worth keeping.
const idleWorkers = 512

// pool runs jobs on goroutines that are used again. It bounds nothing: the
// windows of the binds and Config.MaxInFlight do.
type pool struct {
	jobs chan func()
	quit chan struct{}
	idle chan struct{} // a token per goroutine that may wait
	wg   sync.WaitGroup
}

func newPool() *pool {
	return &pool{jobs: make(chan func()), quit: make(chan struct{}), idle: make(chan struct{}, idleWorkers)}
}

// run starts the job at once.
func (p *pool) run(job func()) {
	select {
	case p.jobs <- job:
	default:
		p.wg.Go(func() { p.work(job) })
	}
}

func (p *pool) work(job func()) {
	for {
		job()
		select {
		case p.idle <- struct{}{}:
		default:
			return
		}
		select {
		case job = <-p.jobs:
			<-p.idle
		case <-p.quit:
			return
		}
	}
}

// close waits for the running jobs. No run may follow.
func (p *pool) close() {
	close(p.quit)
	p.wg.Wait()
}
