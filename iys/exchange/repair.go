package exchange

import (
	"context"
	"fmt"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
)

// Adopt takes movements found in İYS's file of a day as if they had been
// listed: by the rule of conflicts, refusals first in memory, and told to the
// listener. What they bring never lifts a block (iys.Lifts).
func (x *Exchange) Adopt(ctx context.Context, moves []iys.Consent) error {
	page := make([]iysapi.Change, len(moves))
	for i, m := range moves {
		m.Origin, m.ReadAt = iys.OriginReconcile, time.Now()
		page[i] = iysapi.Change{Consent: m}
	}
	if err := x.take(ctx, page, Changes{}); err != nil {
		return fmt.Errorf("exchange: adopt: %w", err)
	}
	return nil
}

// Restore puts records back whatever holds now; it is for undoing. Blocks stay.
// An approval is not restored over a refusal: the caller asks İYS instead.
func (x *Exchange) Restore(ctx context.Context, records []iys.Consent) error {
	x.applyMu.Lock()
	defer x.applyMu.Unlock()
	keys := make([]iys.Key, len(records))
	for i, r := range records {
		keys[i] = r.Key
	}
	held, err := x.cfg.Store.Consents(ctx, keys)
	if err != nil {
		return fmt.Errorf("exchange: restore: %w", err)
	}
	back := make([]iys.Consent, 0, len(records))
	for i, r := range records {
		if r.Status != iys.StatusApproved || held[i].Status == iys.StatusApproved {
			back = append(back, r)
		}
	}
	for _, r := range back {
		if r.Status != iys.StatusApproved { // to stop needs no store
			x.cfg.Mirror.Put(r)
		}
	}
	if err := x.cfg.Store.Commit(ctx, Changes{Consents: back}); err != nil {
		return fmt.Errorf("exchange: restore: %w", err)
	}
	for _, r := range back {
		x.cfg.Mirror.Put(r)
	}
	return nil
}

// KnownTo is the moment up to which the listings have told everything of a
// brand that we may read; zero when it was never pulled.
func (x *Exchange) KnownTo(b Brand) time.Time {
	var to time.Time
	for _, ch := range listedChannels(b) {
		at := x.cfg.Mirror.PulledAt(b.BrandCode, ch)
		if at.IsZero() {
			return at
		}
		if at = at.Add(-iys.ListingLag); to.IsZero() || at.Before(to) {
			to = at
		}
	}
	return to
}

// ChangeAccess changes which dealers may use consents, after İYS has been told;
// records we do not have stay unknown.
func (x *Exchange) ChangeAccess(ctx context.Context, keys []iys.Key, change func(*iys.Consent)) error {
	x.applyMu.Lock()
	defer x.applyMu.Unlock()
	held, err := x.cfg.Store.Consents(ctx, keys)
	if err != nil {
		return fmt.Errorf("exchange: access: %w", err)
	}
	changed := held[:0]
	for _, c := range held {
		if c.Status != "" {
			change(&c)
			changed = append(changed, c)
		}
	}
	if err := x.cfg.Store.Commit(ctx, Changes{Consents: changed}); err != nil {
		return fmt.Errorf("exchange: access: %w", err)
	}
	return nil
}
