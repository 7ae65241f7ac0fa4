package smppserver

import (
	"sync"

	"izinli/gateway"
)

// setLocks keeps the sweep away from sets whose parts are just coming in, by
// the name of the set. Many parts of one name may be under way at once (they
// share); the sweep needs the name alone.
type setLocks struct {
	mu sync.Mutex
	m  map[gateway.PartSet]*setLock // guarded by mu
}

type setLock struct {
	sync.RWMutex
	users int // guarded by setLocks.mu
}

func newSetLocks() *setLocks { return &setLocks{m: map[gateway.PartSet]*setLock{}} }

func (l *setLocks) get(set gateway.PartSet) *setLock {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.m[set]
	if k == nil {
		k = &setLock{}
		l.m[set] = k
	}
	k.users++
	return k
}

func (l *setLocks) put(set gateway.PartSet, k *setLock) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k.users--; k.users == 0 {
		delete(l.m, set)
	}
}

// share waits while the sweep has the set.
func (l *setLocks) share(set gateway.PartSet) (release func()) {
	k := l.get(set)
	k.RLock()
	return func() {
		k.RUnlock()
		l.put(set, k)
	}
}

// alone takes the set if nobody has it.
func (l *setLocks) alone(set gateway.PartSet) (release func(), ok bool) {
	k := l.get(set)
	if !k.TryLock() {
		l.put(set, k)
		return nil, false
	}
	return func() {
		k.Unlock()
		l.put(set, k)
	}, true
}
