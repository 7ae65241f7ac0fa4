package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"izinli/iys"
)

// customerWrote ends entries owed by customers that İYS's listings show to be
// written: what holds there now says what the entry wanted to say.
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
		if h.Status != e.Status || e.Status == iys.StatusApproved && h.ConsentDate.Before(e.ConsentDate) {
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
