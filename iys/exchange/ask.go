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

// ErrWithheld says that the company no longer lets us read the channel.
var ErrWithheld = fmt.Errorf("%w: the company withholds it from its partner", ErrMode)

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
	bad   map[string]*iys.Refusal // addresses İYS says are none
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
//
// An address İYS calls none, or would, gets its refusal as Answer.Err and does
// not keep the others from being answered; the mirror holds it as not approved,
// since nobody can have agreed under it. A brand İYS does not answer for (a right, a
// subscription, a password) is not asked about again for a while: each such
// answer counts against the address of this machine.
func (x *Exchange) Ask(ctx context.Context, brand string, ch iys.Channel, rt iys.RecipientType, addresses []string) ([]Answer, error) {
	if !rt.Valid() || !ch.Valid() {
		return nil, fmt.Errorf("exchange: ask: %w", iysapi.ErrInvalid)
	}
	out := make([]Answer, len(addresses))
	rounds := make([]*round, len(addresses))
	names := make([]string, len(addresses))
	var unheld []string
	for i, a := range addresses {
		n, refusal := iys.NormalizeRecipient(ch, a)
		if refusal != nil {
			if out[i].Err = refusal; a != "" {
				unheld = append(unheld, a)
			}
			continue
		}
		names[i], rounds[i] = n, x.join(askKey{brand, ch, rt}, n)
		if rounds[i] == nil {
			return nil, errors.New("exchange: ask: closed")
		}
	}
	x.keepUnheld(ctx, askKey{brand, ch, rt}, unheld)
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
		if refusal := r.bad[names[i]]; refusal != nil {
			out[i].Err = refusal
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
	r.at, r.err = x.question(ctx, r)

	x.asks.mu.Lock()
	for _, a := range r.list {
		delete(x.asks.flying, iys.Key{Brand: r.key.brand, Channel: r.key.ch, RecipientType: r.key.rt, Recipient: a})
	}
	x.asks.mu.Unlock()
	close(r.done)
}

// question asks for a round and fills its answers in.
func (x *Exchange) question(ctx context.Context, r *round) (time.Time, error) {
	k := r.key
	b, ok, err := x.cfg.Directory.Brand(ctx, k.brand)
	if err != nil {
		return time.Time{}, fmt.Errorf("exchange: ask: brand: %w", err)
	}
	var client any // who is asked
	var ask func(list []string) ([]bool, error)
	switch {
	case ok && b.Modes[k.ch] == iys.ModePartner && b.Withheld[k.ch]:
		return time.Time{}, fmt.Errorf("exchange: ask: %w", ErrWithheld)
	case ok && b.partner(k.ch):
		client = b.API
		ask = func(list []string) ([]bool, error) { return b.API.StatusMany(ctx, b.Brand, k.rt, k.ch, list) }
	case ok && b.Modes[k.ch] == iys.ModeAHS && b.AHS != nil:
		client = b.AHS
		ask = func(list []string) ([]bool, error) { return b.AHS.Approved(ctx, b.BrandCode, k.rt, k.ch, list) }
	default:
		return time.Time{}, fmt.Errorf("exchange: ask: %w", ErrMode)
	}
	if err := x.mute(k, client); err != nil {
		return time.Time{}, fmt.Errorf("exchange: ask: %w", err)
	}
	// The answer holds as of the moment the question left: what happened after
	// may or may not be in it.
	at := time.Now()
	approved, bad, err := sift(k.ch, r.list, ask)
	if err != nil {
		x.refusedAsk(k, client, err)
		return time.Time{}, fmt.Errorf("exchange: ask: %w", err)
	}
	r.okays, r.bad = make(map[string]bool, len(r.list)), make(map[string]*iys.Refusal, len(bad))
	records := make([]iys.Consent, len(r.list))
	for i, a := range r.list {
		if r.okays[a] = approved[i]; bad[i] != nil {
			r.bad[a] = bad[i]
		}
		records[i] = k.record(a, approved[i], at)
	}
	x.keep(ctx, b, k.ch, records, r.okays)
	return at, nil
}

// record is an answer as the mirror keeps it.
func (k askKey) record(address string, approved bool, at time.Time) iys.Consent {
	c := iys.Consent{
		Key:    iys.Key{Brand: k.brand, Channel: k.ch, RecipientType: k.rt, Recipient: address},
		Status: iys.StatusNotApproved, Origin: iys.OriginLive, ReadAt: at,
	}
	if approved {
		c.Status = iys.StatusApproved
	}
	return c
}

// siftCalls bounds the calls of one sift: İYS is documented to name all errors
// of a list at once, so that two are enough.
const siftCalls = 64

// sift asks about a list from which İYS may single out addresses: its check
// knows the numbering plan, ours does not, and one address it does not take
// would spoil the question for all. Those it names are left out of the next
// call; where it names none, the list is halved. bad has the refusals by
// place; a bad address counts as not approved.
func sift(ch iys.Channel, list []string, ask func([]string) ([]bool, error)) (approved []bool, bad map[int]*iys.Refusal, err error) {
	approved, bad = make([]bool, len(list)), map[int]*iys.Refusal{}
	places := make([]int, len(list))
	for i := range places {
		places[i] = i
	}
	calls := 0
	var part func(places []int) error
	part = func(places []int) error {
		for len(places) > 0 {
			if calls++; calls > siftCalls {
				return fmt.Errorf("%w: addresses refused in %d calls", iysapi.ErrAnswer, siftCalls)
			}
			some := make([]string, len(places))
			for i, p := range places {
				some[i] = list[p]
			}
			got, err := ask(some)
			if err == nil && len(got) != len(some) {
				err = iysapi.ErrAnswer
			}
			if err == nil {
				for i, p := range places {
					approved[p] = got[i]
				}
				return nil
			}
			named, about := iysapi.RefusedAddresses(err)
			switch {
			case !about:
				return err
			case len(places) == 1:
				bad[places[0]] = addressRefusal(ch, codeOf(err))
				return nil
			case len(named) == 0:
				half := len(places) / 2
				if err := part(places[:half]); err != nil {
					return err
				}
				places = places[half:]
				continue
			}
			rest := make([]int, 0, len(places))
			for i, p := range places {
				if code, is := named[i]; is {
					bad[p] = addressRefusal(ch, code)
				} else {
					rest = append(rest, p)
				}
			}
			if len(rest) == len(places) {
				return err // places that are not in the list
			}
			places = rest
		}
		return nil
	}
	return approved, bad, part(places)
}

// addressRefusal is İYS's refusal of an address in the words of an add: a
// question has other codes for the same fault (iys-api.md §16.1).
func addressRefusal(ch iys.Channel, code string) *iys.Refusal {
	switch code {
	case "H120", "H121":
	default:
		if code = "H121"; ch == iys.ChannelEmail {
			code = "H120"
		}
	}
	r, _ := iys.RefusalFor(code)
	return &r
}

// askRest is how long İYS is not asked again about a brand and channel for
// which it answered that an operator must act.
const askRest = 5 * time.Minute

// muted is a question not to be asked for now.
type muted struct {
	client any // another one (the link was changed) may ask
	until  time.Time
	err    error
}

// mute returns the error of a question that rests.
func (x *Exchange) mute(k askKey, client any) error {
	x.restMu.Lock()
	defer x.restMu.Unlock()
	m, ok := x.muted[muteKey(k)]
	if !ok || m.client != client || !time.Now().Before(m.until) {
		return nil
	}
	return m.err
}

// refusedAsk lets questions rest that İYS refuses for a reason of the brand's.
func (x *Exchange) refusedAsk(k askKey, client any, err error) {
	switch iysapi.RetryOf(err) {
	case iysapi.RetryOperator, iysapi.RetryNewToken:
	default:
		return
	}
	x.restMu.Lock()
	defer x.restMu.Unlock()
	x.muted[muteKey(k)] = muted{client, time.Now().Add(askRest), err}
}

// muteKey leaves the recipient type out: rights are of a brand and channel.
func muteKey(k askKey) askKey { return askKey{brand: k.brand, ch: k.ch} }

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
	for _, h := range held {
		if h.Status != iys.StatusApproved {
			okays[h.Recipient] = false
		}
	}
	if time.Since(x.cfg.Mirror.PulledAt(b.BrandCode, ch)) > x.cfg.FreshFor/2 {
		x.showAnswers(ctx, records, okays)
	}
}

// keepUnheld answers for İYS about addresses it cannot hold by its own rules of
// form: it is not asked, and what waits for an answer need not wait for ever.
// The mirror alone keeps them, and learns them anew after a restart. Where a
// listing has told of a movement all the same, the rules are not what we think,
// and nothing is put over it.
func (x *Exchange) keepUnheld(ctx context.Context, k askKey, list []string) {
	if len(list) == 0 {
		return
	}
	b, ok, err := x.cfg.Directory.Brand(ctx, k.brand)
	if err == nil && (!ok || b.Modes[k.ch] != iys.ModePartner && b.Modes[k.ch] != iys.ModeAHS) {
		return // nobody waits for İYS
	}
	keys := make([]iys.Key, len(list))
	for i, a := range list {
		keys[i] = iys.Key{Brand: k.brand, Channel: k.ch, RecipientType: k.rt, Recipient: a}
	}
	x.applyMu.Lock()
	defer x.applyMu.Unlock()
	var held []iys.Consent
	if err == nil {
		held, err = x.cfg.Store.Consents(ctx, keys)
	}
	if err != nil || len(held) != len(keys) {
		x.log.Error("addresses iys cannot hold not noted", "brand", k.brand, "err", err)
		return // they are asked for again
	}
	now := time.Now()
	for i, a := range list {
		if !held[i].Status.Valid() {
			x.cfg.Mirror.Put(k.record(a, false, now))
		}
	}
}

// showAnswers puts approving answers into the mirror beside dated records:
// while the pull is behind, only the answer's own age counts, and a dated record
// would hide it. What was refused since the answer was stored stays refused.
func (x *Exchange) showAnswers(ctx context.Context, records []iys.Consent, okays map[string]bool) {
	x.applyMu.Lock()
	defer x.applyMu.Unlock()
	keys := make([]iys.Key, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	held, err := x.cfg.Store.Consents(ctx, keys)
	if err != nil || len(held) != len(keys) {
		x.log.Error("iys answers not shown", "err", err)
		return // they are asked for again
	}
	for i, r := range records {
		if okays[r.Recipient] = okays[r.Recipient] && held[i].Status == iys.StatusApproved; okays[r.Recipient] {
			x.cfg.Mirror.Put(r)
		}
	}
}
