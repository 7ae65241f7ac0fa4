package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
)

const (
	// passSize is how many entries of a kind one pass takes up.
	passSize = 1000
	// singlesAPass bounds approvals written one by one in a pass, so that a
	// refusal never waits behind more than a few seconds of them.
	singlesAPass = 50
	// apart keeps two movements of one address out of the same second, where
	// İYS would give both one transaction id (iys-api.md §6.3).
	apart = 1100 * time.Millisecond
	// requestEvery is the wait between two questions about one batch.
	requestEvery = 2 * time.Minute
	// requestGiveUp is when a batch without an answer is sent again. Results
	// are kept 60 days; that one is missing for a day means it is lost.
	requestGiveUp = 24 * time.Hour
	// waitForEarlier is the wait behind an earlier movement of the address.
	waitForEarlier = 10 * time.Second

	operatorWait = 15 * time.Minute
	maxRetryWait = 10 * time.Minute
)

// pass is one run over the outbox.
type pass struct {
	*Exchange
	now    time.Time
	brands map[string]Brand
	down   map[any]error // clients (API) that did not answer in this pass, brands (by code) for which İYS failed
	more   bool          // work was left for the next pass, which may begin at once
}

// Flush makes one pass over the outbox: refusals first, then batches under way,
// then approvals. It reports whether more is due at once. An error means that
// the rest waits; every entry touched is in a state that can be resumed.
func (x *Exchange) Flush(ctx context.Context) (more bool, err error) {
	x.flushMu.Lock()
	defer x.flushMu.Unlock()
	// The last process may have written up to this moment, and which addresses
	// it wrote to is not known.
	if d := apart - time.Since(x.started); d > 0 && !sleep(ctx, d, nil) {
		return false, ctx.Err()
	}
	for k, t := range x.recent {
		if time.Since(t) > apart {
			delete(x.recent, k)
		}
	}
	p := &pass{Exchange: x, now: time.Now(), brands: map[string]Brand{}, down: map[any]error{}}
	if err := p.takeUp(ctx, iys.StatusRejected, p.reject); err != nil {
		return false, fmt.Errorf("exchange: outbox: rejections: %w", err)
	}
	if err := p.takeUp(ctx, iys.StatusApproved, p.approve); err != nil {
		return false, fmt.Errorf("exchange: outbox: approvals: %w", err)
	}
	for _, e := range p.down {
		err = errors.Join(err, e)
	}
	return p.more, err
}

// takeUp writes what is due of one status. What waits for a brand that rests
// must not stand before what waits for the others: when one was found failing,
// what is due besides is looked at in the same pass.
func (p *pass) takeUp(ctx context.Context, s iys.Status, write func(context.Context, []Entry) error) error {
	for {
		resting, err := p.restingBrands(ctx)
		if err != nil {
			return err
		}
		list, err := p.cfg.Store.DueEntries(ctx, s, p.now, passSize, resting...)
		if err != nil {
			return fmt.Errorf("due entries: %w", err)
		}
		failing := len(p.down)
		if err := write(ctx, list); err != nil {
			return err
		}
		switch {
		case len(list) < passSize:
			return nil
		case len(p.down) == failing:
			p.more = true
			return nil
		}
	}
}

// restingBrands are the codes of the brands that rest for the present pass.
func (p *pass) restingBrands(ctx context.Context) ([]string, error) {
	if len(p.down) == 0 {
		return nil, nil
	}
	brands, err := p.cfg.Directory.Brands(ctx)
	if err != nil {
		return nil, fmt.Errorf("brands: %w", err)
	}
	var out []string
	for _, b := range brands {
		if p.isDown(b) {
			out = append(out, b.BrandCode)
		}
	}
	return out, nil
}

// commit stores new states.
func (p *pass) commit(ctx context.Context, list ...Entry) error {
	if len(list) == 0 {
		return nil
	}
	return p.cfg.Store.Commit(ctx, Changes{Entries: list})
}

// end puts a final state (or owed) on an entry.
func (p *pass) end(e Entry, s State, code string) Entry {
	e.State, e.Code, e.Changed, e.NextAt = s, code, p.now, time.Time{}
	return e
}

func (p *pass) later(e Entry, d time.Duration) Entry {
	e.NextAt = time.Now().Add(d)
	return e
}

// ours sorts out entries that are not ours to send, and returns the rest.
func (p *pass) ours(ctx context.Context, list []Entry) ([]Entry, error) {
	var mine, done []Entry
	for _, e := range list {
		b, known := p.brands[e.Brand]
		if !known {
			var ok bool
			var err error
			if b, ok, err = p.cfg.Directory.Brand(ctx, e.Brand); err != nil {
				return nil, fmt.Errorf("brand: %w", err)
			} else if !ok {
				b = Brand{Brand: iysapi.Brand{BrandCode: e.Brand}} // gone: nobody can write
			}
			p.brands[e.Brand] = b
		}
		switch {
		case b.listed(e.Channel) && !b.ReadOnly[e.Channel]:
			mine = append(mine, e)
		case e.State == StateSent:
			// The right was lost while a call was under way. Wait for it to
			// come back rather than call the customer for what may be stored.
			done = append(done, p.later(e, operatorWait))
		case b.Modes[e.Channel] == iys.ModeExempt:
			done = append(done, p.end(e, StateNotApplicable, ""))
		default:
			done = append(done, p.end(e, StateOwed, ""))
		}
	}
	return mine, p.commit(ctx, done...)
}

// turn keeps the movements of one address in order, one at a time. It returns
// the entries whose turn it is; an approval that a later word has overtaken is
// superseded, the others wait.
func (p *pass) turn(ctx context.Context, list []Entry) ([]Entry, error) {
	if len(list) == 0 {
		return nil, nil
	}
	keys := make([]iys.Key, len(list))
	for i, e := range list {
		keys[i] = e.Key
	}
	open, err := p.cfg.Store.OpenEntries(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("open entries: %w", err)
	}
	byKey := map[iys.Key][]Entry{}
	for _, e := range open {
		byKey[e.Key] = append(byKey[e.Key], e)
	}
	heads := map[uint64]bool{}
	gone := map[uint64]bool{}
	var changed []Entry
	for _, es := range byKey {
		sort.Slice(es, func(i, j int) bool { return earlier(es[i], es[j]) })
		for i, e := range es {
			if e.Status == iys.StatusApproved && e.State == StatePending && i < len(es)-1 {
				changed = append(changed, p.end(e, StateSuperseded, ""))
				gone[e.ID] = true
				continue
			}
			heads[e.ID] = true
			break
		}
	}
	var mine []Entry
	for _, e := range list {
		switch wait := apart - time.Since(p.recent[e.Key]); {
		case gone[e.ID]:
		case !heads[e.ID]:
			changed = append(changed, p.later(e, waitForEarlier))
		case wait > 0:
			changed = append(changed, p.later(e, wait))
		default:
			mine = append(mine, e)
		}
	}
	return mine, p.commit(ctx, changed...)
}

// earlier orders the movements of one address: those under way come first,
// whatever their date.
func earlier(a, b Entry) bool {
	if (a.State == StateSent) != (b.State == StateSent) {
		return a.State == StateSent
	}
	if !a.ConsentDate.Equal(b.ConsentDate) {
		return a.ConsentDate.Before(b.ConsentDate)
	}
	return a.ID < b.ID
}

// reject writes refusals, one call each.
func (p *pass) reject(ctx context.Context, list []Entry) error {
	list, err := p.ours(ctx, list)
	if err != nil {
		return err
	}
	if list, err = p.turn(ctx, list); err != nil {
		return err
	}
	var sent, fresh []Entry
	for _, e := range list {
		if e.State == StateSent {
			sent = append(sent, e)
		} else {
			fresh = append(fresh, e)
		}
	}
	ready, err := p.known(ctx, fresh)
	if err != nil {
		return err
	}
	return p.single(ctx, append(sent, ready...))
}

// known asks which refusals İYS has something to refuse for, and returns those.
func (p *pass) known(ctx context.Context, list []Entry) ([]Entry, error) {
	groups := map[askKey][]Entry{}
	var done, ready []Entry
	for _, e := range list {
		// The address and the dates first: one bad address would spoil the
		// question for all.
		if r := iys.Refuse(e.Consent(), iys.Stored{}, p.now, p.cal); r != nil {
			done = append(done, p.refused(e, r.Code))
			continue
		}
		k := askKey{e.Brand, e.Channel, e.RecipientType}
		groups[k] = append(groups[k], e)
	}
	if err := p.commit(ctx, done...); err != nil {
		return nil, err
	}
	ctx = iysapi.WithPriority(ctx, iysapi.PriorityRejection)
	for k, group := range groups {
		for part := range slices.Chunk(group, iysapi.MaxBatch) {
			got, err := p.knownPart(ctx, k, part)
			if err != nil {
				return nil, err
			}
			ready = append(ready, got...)
		}
	}
	sort.Slice(ready, func(i, j int) bool { return ready[i].ID < ready[j].ID })
	return ready, nil
}

func (p *pass) knownPart(ctx context.Context, k askKey, part []Entry) ([]Entry, error) {
	b := p.brands[k.brand]
	if p.isDown(b) {
		return nil, nil
	}
	part, err := p.notStopped(ctx, k.brand, part)
	if err != nil || len(part) == 0 {
		return nil, err
	}
	addresses := make([]string, len(part))
	keys := make([]iys.Key, len(part))
	for i, e := range part {
		addresses[i], keys[i] = e.Recipient, e.Key
	}
	at := time.Now()
	approved, bad, err := sift(k.ch, addresses, func(some []string) ([]bool, error) { return b.API.StatusMany(ctx, b.Brand, k.rt, k.ch, some) })
	if err != nil {
		return nil, p.failed(ctx, b, err, part)
	}
	held, err := p.cfg.Store.Consents(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read consents: %w", err)
	}
	var ready, done []Entry
	var records []iys.Consent
	for i, e := range part {
		if bad[i] != nil { // İYS alone knew; it can hold nothing for such an address
			done = append(done, p.refused(e, bad[i].Code))
			continue
		}
		if !approved[i] {
			// RET already or no record (H174 or H175): nothing to refuse.
			done = append(done, p.end(e, StateNotApplicable, ""))
			records = append(records, iys.Consent{Key: e.Key, Status: iys.StatusNotApproved, Origin: iys.OriginLive, ReadAt: at})
			continue
		}
		s := iys.Stored{Known: true, Status: iys.StatusApproved}
		if held[i].Status == iys.StatusApproved {
			s.ConsentDate = held[i].ConsentDate
		}
		if s.ConsentDate.IsZero() {
			s.ConsentDate = p.dateOf(ctx, b, e.Key)
		}
		if e.ConsentDate.Equal(s.ConsentDate) && e.ConsentDate.Add(time.Second).Before(p.now) {
			// A tie is the refusal's. İYS wants a later date: the next second.
			e.ConsentDate = e.ConsentDate.Add(time.Second)
		}
		if r := iys.Refuse(e.Consent(), s, p.now, p.cal); r != nil && r.Code == "H178" {
			done = append(done, p.end(e, StateSuperseded, r.Code))
			continue
		}
		ready = append(ready, e)
	}
	if len(records) > 0 {
		if _, err := p.apply(ctx, records, Changes{Entries: done}); err != nil {
			return nil, err
		}
		return ready, nil
	}
	return ready, p.commit(ctx, done...)
}

// dateOf asks for the date of one record. Without an answer (the hourly
// allowance may be spent) the date stays unknown and the refusal is sent.
func (p *pass) dateOf(ctx context.Context, b Brand, k iys.Key) time.Time {
	c, ok, err := b.API.Status(ctx, b.Brand, k)
	if err != nil || !ok || c.Status != iys.StatusApproved {
		return time.Time{}
	}
	return c.ConsentDate
}

// approve asks for the results of batches under way and sends new approvals.
func (p *pass) approve(ctx context.Context, list []Entry) error {
	var asked, rest []Entry
	for _, e := range list {
		if e.State == StateSent && e.RequestID != "" {
			asked = append(asked, e)
		} else {
			rest = append(rest, e)
		}
	}
	asked, err := p.ours(ctx, asked)
	if err != nil {
		return err
	}
	if err := p.results(ctx, asked); err != nil {
		return err
	}
	if rest, err = p.ours(ctx, rest); err != nil {
		return err
	}
	if rest, err = p.turn(ctx, rest); err != nil {
		return err
	}
	byBrand := map[string][]Entry{}
	var done []Entry
	held, err := p.heldOf(ctx, rest)
	if err != nil {
		return err
	}
	for i, e := range rest {
		if e.State == StatePending {
			if r := iys.Refuse(e.Consent(), held[i], p.now, p.cal); r != nil {
				done = append(done, p.refused(e, r.Code))
				continue
			}
		}
		byBrand[e.Brand] = append(byBrand[e.Brand], e)
	}
	if err := p.commit(ctx, done...); err != nil {
		return err
	}
	for code, es := range byBrand {
		if err := p.send(ctx, p.brands[code], es); err != nil {
			return err
		}
	}
	return nil
}

// heldOf is what the store knows of İYS's records, and notes with each entry
// whether İYS knows its address (a look-up's "not approved" does not say so). An answer without a date is
// no help to the date rules, and an absent record is not known to be absent.
func (p *pass) heldOf(ctx context.Context, list []Entry) ([]iys.Stored, error) {
	keys := make([]iys.Key, len(list))
	for i, e := range list {
		keys[i] = e.Key
	}
	held, err := p.cfg.Store.Consents(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read consents: %w", err)
	}
	out := make([]iys.Stored, len(list))
	for i, h := range held {
		list[i].known = h.Status == iys.StatusApproved || h.Status == iys.StatusRejected
		out[i] = iys.Stored{Known: h.Status.Valid() && !h.ConsentDate.IsZero(), Status: h.Status, ConsentDate: h.ConsentDate}
	}
	return out, nil
}

// send writes approvals of one brand: few one by one, which tells at once;
// many as batches. An attempt is repeated the way it was begun.
func (p *pass) send(ctx context.Context, b Brand, list []Entry) error {
	var ones, batch []Entry
	fresh := 0
	for _, e := range list {
		if e.State == StatePending {
			fresh++
		}
	}
	for _, e := range list {
		if e.State == StateSent && !e.Batch || e.State == StatePending && fresh <= p.cfg.SingleUpTo {
			ones = append(ones, e)
		} else {
			batch = append(batch, e)
		}
	}
	if len(ones) > singlesAPass {
		ones, p.more = ones[:singlesAPass], true
	}
	if err := p.single(ctx, ones); err != nil {
		return err
	}
	lists := [][]Entry{batch}
	if p.full(b.BrandCode) { // one new address would sink the list
		lists = byKnown(batch)
	}
	for _, list := range lists {
		for part := range slices.Chunk(list, iysapi.MaxBatch) {
			if err := p.sendBatch(ctx, b, part); err != nil {
				return err
			}
		}
	}
	return nil
}
