package mirror

import (
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
)

// registry finds the scope of a name without a lock: names are few and new ones
// rare, so each part is a map that is copied when it changes.
type registry[T any] struct {
	seed  maphash.Seed
	fresh func() *T
	mu    sync.Mutex // taken by add only
	parts [64]atomic.Pointer[map[string]*T]
}

func newRegistry[T any](fresh func() *T) registry[T] {
	return registry[T]{seed: maphash.MakeSeed(), fresh: fresh}
}

func (r *registry[T]) part(name string) *atomic.Pointer[map[string]*T] {
	return &r.parts[maphash.String(r.seed, name)%uint64(len(r.parts))]
}

// get returns the scope of name, nil when there is none.
func (r *registry[T]) get(name string) *T {
	if m := r.part(name).Load(); m != nil {
		return (*m)[name]
	}
	return nil
}

// add returns the scope of name, made when there is none.
func (r *registry[T]) add(name string) *T {
	if v := r.get(name); v != nil {
		return v
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if v := r.get(name); v != nil {
		return v
	}
	p := r.part(name)
	next := map[string]*T{}
	if m := p.Load(); m != nil {
		next = maps.Clone(*m)
	}
	v := r.fresh()
	next[name] = v
	p.Store(&next)
	return v
}
