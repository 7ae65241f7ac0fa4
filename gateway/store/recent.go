package store

import (
	"slices"
	"sync"

	"izinli/gateway"
)

// recent keeps what was accepted lately in decoded form, because most messages leave, are answered and confirmed within
// seconds of their acceptance: their records then need not be read back. It is a copy: it changes only after the commit that
// changed the record, and everything in it can be dropped at any time. Two generations bound it: when the younger is full it
// becomes the older, and the older goes.
type recent struct {
	mu         sync.Mutex
	young, old generation
	limit      int // octets of one generation
}

type generation struct {
	batches map[gateway.BatchRef]*recentBatch
	blocks  map[blockRef]*recentBatch // of larger batches; without progress
	ids     map[operatorID]segmentOf
	bodies  map[string][]byte // small mail bodies, read-only
	size    int
}

// blockRef names one block of a batch.
type blockRef struct {
	batch gateway.BatchRef
	block uint32
}

// recentBatch is a batch that fits one block, or one block of a larger batch. batch and recipients are shared and read-only.
type recentBatch struct {
	batch      *gateway.Batch
	recipients []gateway.Recipient
	progress   []gateway.Progress // guarded by recent.mu; nil: nothing has become of any of them
	size       int
}

// operatorID is an operator's message id.
type operatorID struct{ operator, id string }

// segmentOf is the segment an operator's id names.
type segmentOf struct {
	message gateway.MessageID
	segment int
	copied  bool // the segment bears another id: this is of a second attempt, and only its delivery counts
}

func newGeneration() generation {
	return generation{batches: map[gateway.BatchRef]*recentBatch{}, blocks: map[blockRef]*recentBatch{}, ids: map[operatorID]segmentOf{},
		bodies: map[string][]byte{}}
}

func newRecent(limit int) *recent {
	return &recent{young: newGeneration(), old: newGeneration(), limit: limit}
}

// turnLocked starts a new generation when the younger is full.
func (r *recent) turnLocked(size int) {
	r.young.size += size
	if r.young.size > r.limit {
		r.old, r.young = r.young, newGeneration()
	}
}

// put notes an accepted batch; large ones are left out.
func (r *recent) put(b *gateway.Batch, rs []gateway.Recipient) {
	if len(rs) > gateway.BlockSize {
		return
	}
	if b.Body.ID != "" { // b is part of its acceptance: a pointer to it would keep the mail's body, which the bound does not count
		c := *b
		c.Body.Inline = nil
		b = &c
	}
	e := &recentBatch{batch: b, recipients: rs, size: recentSize(b, rs)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(e.size)
	r.young.batches[b.Ref()] = e
}

func recentSize(b *gateway.Batch, rs []gateway.Recipient) int {
	size := 400 + len(b.Text) + len(b.Subject) + len(b.HTML)
	for k, v := range b.Headers {
		size += 50 + len(k) + len(v)
	}
	for i := range rs {
		size += 60 + recipientSize(&rs[i])
	}
	return size
}

// putBlock keeps a block of a larger batch that was read for hand-off: the answers and receipts of its messages need it again.
// Only what never changes is kept of it; progress is read each time.
func (r *recent) putBlock(b *gateway.Batch, block uint32, rs []gateway.Recipient) {
	e := &recentBatch{batch: b, recipients: rs, size: recentSize(b, rs)}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(e.size)
	r.young.blocks[blockRef{b.Ref(), block}] = e
}

func (r *recent) blockLocked(k blockRef) *recentBatch {
	if e := r.young.blocks[k]; e != nil {
		return e
	}
	e := r.old.blocks[k]
	if e != nil {
		delete(r.old.blocks, k)
		r.turnLocked(e.size)
		r.young.blocks[k] = e
	}
	return e
}

func (r *recent) findLocked(ref gateway.BatchRef) *recentBatch {
	if e := r.young.batches[ref]; e != nil {
		return e
	}
	e := r.old.batches[ref]
	if e != nil { // still in use: keep it
		delete(r.old.batches, ref)
		r.turnLocked(e.size)
		r.young.batches[ref] = e
	}
	return e
}

// message returns batch and recipient of a message, nil when they are not kept.
func (r *recent) message(id gateway.MessageID) (*gateway.Batch, *gateway.Recipient) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, i := r.findLocked(id.Ref()), int(id.Index)
	if e == nil {
		e, i = r.blockLocked(blockRef{id.Ref(), id.Index / gateway.BlockSize}), int(id.Index%gateway.BlockSize)
	}
	if e == nil || i >= len(e.recipients) {
		return nil, nil
	}
	return e.batch, &e.recipients[i]
}

// progress returns a copy of a message's progress; ok is false when it is not kept.
func (r *recent) progress(id gateway.MessageID) (p gateway.Progress, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.findLocked(id.Ref())
	if e == nil || int(id.Index) >= len(e.recipients) {
		return p, false
	}
	if e.progress == nil {
		return p, true
	}
	return cloneProgress(e.progress[id.Index]), true
}

// work fills what hand-off needs; false when it is not kept.
func (r *recent) work(w *gateway.Work) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.findLocked(gateway.BatchRef{Account: w.Ref.Account, Batch: w.Span.Batch})
	if e == nil || int(w.Span.First) >= len(e.recipients) {
		return false
	}
	end := min(int(w.Span.First+w.Span.Count), len(e.recipients))
	w.Batch, w.Recipients = e.batch, e.recipients[w.Span.First:end]
	w.Progress = make([]gateway.Progress, len(w.Recipients))
	if e.progress != nil {
		for i := range w.Progress {
			w.Progress[i] = cloneProgress(e.progress[int(w.Span.First)+i])
		}
	}
	return true
}

// cloneProgress copies what callers change in place.
func cloneProgress(p gateway.Progress) gateway.Progress {
	p.Segments = slices.Clone(p.Segments)
	p.Decisions = slices.Clone(p.Decisions)
	return p
}

// note carries a synced change of progress into the copy.
func (r *recent) note(id gateway.MessageID, p gateway.Progress) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.findLocked(id.Ref()); e != nil && int(id.Index) < len(e.recipients) {
		if e.progress == nil {
			e.progress = make([]gateway.Progress, len(e.recipients))
		}
		e.progress[id.Index] = p
	}
}

// drop forgets a batch whose record was rewritten.
func (r *recent) drop(ref gateway.BatchRef) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young.batches, ref)
	delete(r.old.batches, ref)
}

// putID notes an operator's message id.
func (r *recent) putID(k operatorID, s segmentOf) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(120)
	r.young.ids[k] = s
}

// id finds what an operator's message id names.
func (r *recent) id(k operatorID) (segmentOf, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.young.ids[k]
	if !ok {
		s, ok = r.old.ids[k]
	}
	return s, ok
}

// putBody keeps a small mail body that was accepted.
func (r *recent) putBody(id string, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(bodySize(body))
	r.young.bodies[id] = body
}

func bodySize(body []byte) int { return 100 + len(body) }

// body finds a small mail body, nil when it is not kept.
func (r *recent) body(id string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.young.bodies[id]; b != nil {
		return b
	}
	return r.old.bodies[id]
}

// dropBody forgets a body nobody needs any more.
func (r *recent) dropBody(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if b := r.young.bodies[id]; b != nil {
		r.young.size -= bodySize(b)
		delete(r.young.bodies, id)
	}
	delete(r.old.bodies, id)
}
