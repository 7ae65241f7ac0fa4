package exchange

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
)

// ErrMode says that there is nobody to ask: the brand is unknown or not in a
// mode that has İYS behind it.
var ErrMode = errors.New("no look-up for this brand and channel")

// askTimeout bounds a question from the moment it leaves the window.
const askTimeout = 60 * time.Second

// Answer is what İYS said about one address.
type Answer struct {
	Status iys.Status // ONAY or NOT_ONAY; empty with Err
	ReadAt time.Time  // when the question left
	// Err is why there is no answer: the address itself, or the call.
	Err error
}

// Evidence is the answer as iys.Decide wants it.
func (a Answer) Evidence() iys.Evidence {
	return iys.Evidence{Status: a.Status, Read: iys.ReadLive, Origin: iys.OriginLive, ReadAt: a.ReadAt}
}

type askKey struct {
	brand string
	ch    iys.Channel
	rt    iys.RecipientType
}

// round is one call being gathered or under way.
type round struct {
	key   askKey
	list  []string
	full  chan struct{} // closed when the list is full
	done  chan struct{} // closed when answers are there
	at    time.Time
	okays map[string]bool
	err   error
}

type asker struct {
	mu     sync.Mutex
	open   map[askKey]*round  // still gathering
	flying map[iys.Key]*round // who asks about an address
	closed bool
}

func (a *asker) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
}

// Ask asks İYS about addresses of one brand, channel and recipient type, in
// calls of up to a thousand that are shared by all who ask at the time. The
// answer is aligned with addresses. What İYS says also becomes the mirror's:
// for partner brands for as long as it is kept fresh, for AHS brands for a
// quarter of an hour. Ask returns when ctx ends, the call it shared goes on.
func (x *Exchange) Ask(ctx context.Context, brand string, ch iys.Channel, rt iys.RecipientType, addresses []string) ([]Answer, error) {
	if !rt.Valid() || !ch.Valid() {
		return nil, fmt.Errorf("exchange: ask: %w", iysapi.ErrInvalid)
	}
	out := make([]Answer, len(addresses))
	rounds := make([]*round, len(addresses))
	names := make([]string, len(addresses))
	for i, a := range addresses {
		n, refusal := iys.NormalizeRecipient(ch, a)
		if refusal != nil {
			out[i].Err = refusal
			continue
		}
		names[i], rounds[i] = n, x.join(askKey{brand, ch, rt}, n)
		if rounds[i] == nil {
			return nil, errors.New("exchange: ask: closed")
		}
	}
	for i, r := range rounds {
		if r == nil {
			continue
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("exchange: ask: %w", ctx.Err())
		}
		if r.err != nil {
			out[i].Err = r.err
			continue
		}
		out[i].ReadAt, out[i].Status = r.at, iys.StatusNotApproved
		if r.okays[names[i]] {
			out[i].Status = iys.StatusApproved
		}
	}
	return out, nil
}

// join puts an address onto a round, nil when the exchange is closed.
func (x *Exchange) join(k askKey, address string) *round {
	a := &x.asks
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil
	}
	id := iys.Key{Brand: k.brand, Channel: k.ch, RecipientType: k.rt, Recipient: address}
	if r := a.flying[id]; r != nil {
		return r
	}
	r := a.open[k]
	if r == nil {
		r = &round{key: k, full: make(chan struct{}), done: make(chan struct{})}
		a.open[k] = r
		x.wg.Go(func() { x.runRound(r) })
	}
	r.list = append(r.list, address)
	a.flying[id] = r
	if len(r.list) == iysapi.MaxBatch {
		delete(a.open, k)
		close(r.full)
	}
	return r
}

// runRound waits for the window to close and asks.
func (x *Exchange) runRound(r *round) {
	t := time.NewTimer(x.cfg.AskWindow)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.full:
	case <-x.base.Done():
	}
	x.asks.mu.Lock()
	if x.asks.open[r.key] == r {
		delete(x.asks.open, r.key)
	}
	x.asks.mu.Unlock()

	ctx, cancel := context.WithTimeout(x.base, askTimeout)
	defer cancel()
	r.okays, r.at, r.err = x.question(ctx, r)

	x.asks.mu.Lock()
	for _, a := range r.list {
		delete(x.asks.flying, iys.Key{Brand: r.key.brand, Channel: r.key.ch, RecipientType: r.key.rt, Recipient: a})
	}
	x.asks.mu.Unlock()
	close(r.done)
}

func (x *Exchange) question(ctx context.Context, r *round) (map[string]bool, time.Time, error) {
	k := r.key
	b, ok, err := x.cfg.Directory.Brand(ctx, k.brand)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("exchange: ask: brand: %w", err)
	}
	// The answer holds as of the moment the question left: what happened after
	// may or may not be in it.
	at := time.Now()
	var approved []bool
	switch {
	case ok && b.partner(k.ch):
		approved, err = b.API.StatusMany(ctx, b.Brand, k.rt, k.ch, r.list)
	case ok && b.Modes[k.ch] == iys.ModeAHS && b.AHS != nil:
		approved, err = b.AHS.Approved(ctx, b.BrandCode, k.rt, k.ch, r.list)
	default:
		return nil, time.Time{}, fmt.Errorf("exchange: ask: %w", ErrMode)
	}
	if err == nil && len(approved) != len(r.list) {
		err = iysapi.ErrAnswer
	}
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("exchange: ask: %w", err)
	}
	okays := make(map[string]bool, len(r.list))
	records := make([]iys.Consent, len(r.list))
	for i, a := range r.list {
		okays[a] = approved[i]
		records[i] = iys.Consent{
			Key:    iys.Key{Brand: k.brand, Channel: k.ch, RecipientType: k.rt, Recipient: a},
			Status: iys.StatusNotApproved, Origin: iys.OriginLive, ReadAt: at,
		}
		if approved[i] {
			records[i].Status = iys.StatusApproved
		}
	}
	x.keep(ctx, b, k.ch, records, okays)
	return okays, at, nil
}

// keep makes answers the mirror's. An intermediary's answer lives minutes and
// is not stored; a partner's is, and where the store knows something later
// (a refusal registered while the question was under way) that holds, for the
// asker too.
func (x *Exchange) keep(ctx context.Context, b Brand, ch iys.Channel, records []iys.Consent, okays map[string]bool) {
	if !b.partner(ch) {
		for _, r := range records {
			x.cfg.Mirror.Put(r)
		}
		return
	}
	held, err := x.apply(ctx, records, Changes{})
	if err != nil {
		// The answer itself is good; it will be asked for again.
		x.log.Error("iys answers not stored", "err", err)
		return
	}
	stale := time.Since(x.cfg.Mirror.PulledAt(b.BrandCode, ch)) > x.cfg.FreshFor/2
	for i, h := range held {
		switch {
		case h.Status != iys.StatusApproved:
			okays[h.Recipient] = false
		case stale && okays[h.Recipient]:
			// While the pull is behind, only the answer's own age counts, and
			// a dated record would hide it.
			x.cfg.Mirror.Put(records[i])
		}
	}
}
