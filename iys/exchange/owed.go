package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"izinli/iys"
)

// reclaimLimit bounds how many entries one Reclaim looks through.
const reclaimLimit = 100_000

// Reclaim makes entries that only the customer could write ours to send again,
// now that we may write for the channel. Those İYS would refuse for their age
// stay the customer's. What he has written himself meanwhile is found out before
// anything is sent, as with every entry. It returns how many were taken back.
func (x *Exchange) Reclaim(ctx context.Context, brand string, ch iys.Channel) (int, error) {
	now := time.Now()
	list, err := x.cfg.Store.AgedEntries(ctx, now.Add(time.Second), reclaimLimit)
	if err != nil {
		return 0, fmt.Errorf("exchange: reclaim: %w", err)
	}
	owed := slices.DeleteFunc(list, func(e Entry) bool {
		return e.State != StateOwed || e.Brand != brand || e.Channel != ch || iys.Refuse(e.Consent(), iys.Stored{}, now, x.cal) != nil
	})
	for part := range slices.Chunk(owed, passSize) {
		back, err := x.alsoMerchants(ctx, part)
		if err != nil {
			return 0, fmt.Errorf("exchange: reclaim: %w", err)
		}
		for i := range back {
			back[i].State, back[i].Code, back[i].Changed, back[i].NextAt = StatePending, "", now, now
		}
		if err := x.cfg.Store.Commit(ctx, Changes{Entries: back}); err != nil {
			return 0, fmt.Errorf("exchange: reclaim: %w", err)
		}
	}
	if len(owed) > 0 {
		x.Wake()
	}
	return len(owed), nil
}

// alsoMerchants completes refusals of persons with those of merchants: an
// opt-out covers both, and what only the customer can write is kept once.
func (x *Exchange) alsoMerchants(ctx context.Context, list []Entry) ([]Entry, error) {
	out := slices.Clone(list)
	for _, e := range list {
		if e.Status != iys.StatusRejected || e.RecipientType != iys.RecipientPerson {
			continue
		}
		e.ID, e.RecipientType = 0, iys.RecipientMerchant
		for _, open := range []func(context.Context, []iys.Key) ([]Entry, error){x.cfg.Store.OpenEntries, x.cfg.Store.OwedEntries} {
			there, err := open(ctx, []iys.Key{e.Key})
			if err != nil {
				return nil, err
			}
			if slices.ContainsFunc(there, func(t Entry) bool { return t.Status == iys.StatusRejected }) {
				e.Status = ""
			}
		}
		if e.Status != "" {
			out = append(out, e)
		}
	}
	return out, nil
}

// customerWrote ends entries owed by customers that İYS's listings show to be
// written: what holds there now says what the entry wanted to say, and was
// registered since the entry was owed or said since it was said. An older
// refusal may be one the listing takes back further on.
func (x *Exchange) customerWrote(ctx context.Context, held []iys.Consent) error {
	keys := make([]iys.Key, len(held))
	now := make(map[iys.Key]iys.Consent, len(held))
	for i, h := range held {
		keys[i], now[h.Key] = h.Key, h
	}
	owed, err := x.cfg.Store.OwedEntries(ctx, keys)
	if err != nil {
		return fmt.Errorf("owed entries: %w", err)
	}
	var done []Entry
	for _, e := range owed {
		h := now[e.Key]
		since := e.Status == iys.StatusRejected && h.CreationDate.After(e.Received)
		if h.Status != e.Status || !since && h.ConsentDate.Before(e.ConsentDate) {
			continue
		}
		e.State, e.Changed = StateAccepted, time.Now()
		e.TransactionID, e.CreationDate = h.TransactionID, h.CreationDate
		done = append(done, e)
	}
	if len(done) == 0 {
		return nil
	}
	if err := x.cfg.Store.Commit(ctx, Changes{Entries: done}); err != nil {
		return fmt.Errorf("owed entries: %w", err)
	}
	return nil
}

// ErrNotOwed says that no entry owed by the customer is open by that number.
var ErrNotOwed = errors.New("no entry owed by the customer is open by this number")

// SettledByCustomer is the code of entries that ended on the customer's word.
const SettledByCustomer = "customer"

// SettleOwed ends entries the customer says he has written to İYS himself: for
// modes in which we cannot look. It ends all of them or none.
func (x *Exchange) SettleOwed(ctx context.Context, ids []uint64) error {
	var done []Entry
	for _, id := range ids {
		e, ok, err := x.cfg.Store.OpenEntry(ctx, id)
		if err != nil {
			return fmt.Errorf("exchange: settle: %w", err)
		}
		if !ok || e.State != StateOwed {
			return fmt.Errorf("exchange: settle %d: %w", id, ErrNotOwed)
		}
		e.State, e.Code, e.Changed = StateAccepted, SettledByCustomer, time.Now()
		done = append(done, e)
	}
	if err := x.cfg.Store.Commit(ctx, Changes{Entries: done}); err != nil {
		return fmt.Errorf("exchange: settle: %w", err)
	}
	return nil
}
