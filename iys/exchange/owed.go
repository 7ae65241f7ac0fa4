package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"izinli/iys"
)

// Reclaim makes entries that only the customer could write ours to send again,
// now that we may write for the channel. Those İYS would refuse for their age
// stay the customer's. What he has written himself meanwhile is found out before
// anything is sent, as with every entry. It returns how many were taken back.
//
// It may be called at any time. Where anybody owes anything it reads the open
// entries of the channel. While we may not write, what it takes back becomes
// the customer's again with the next pass over the outbox.
func (x *Exchange) Reclaim(ctx context.Context, brand string, ch iys.Channel) (n int, err error) {
	defer func() {
		if n > 0 {
			x.Wake()
		}
	}()
	for after, more := (iys.Key{}), true; more; {
		var back int
		if back, after, more, err = x.reclaimPage(ctx, brand, ch, after); err != nil {
			return n, fmt.Errorf("exchange: reclaim: %w", err)
		}
		n += back
	}
	return n, nil
}

// reclaimPage takes back what is owed of the addresses behind a key, and returns
// the last of them; more is false when none was left.
func (x *Exchange) reclaimPage(ctx context.Context, brand string, ch iys.Channel, after iys.Key) (n int, last iys.Key, more bool, err error) {
	list, err := x.cfg.Store.OwedOf(ctx, brand, ch, after, passSize)
	if err != nil || len(list) == 0 {
		return 0, after, false, err
	}
	last = list[len(list)-1].Key
	keys := make([]iys.Key, len(list))
	for i, e := range list {
		keys[i] = e.Key
	}
	x.owedMu.Lock() // everybody's pages wait for it: not over the search
	defer x.owedMu.Unlock()
	if list, err = x.cfg.Store.OwedEntries(ctx, slices.Compact(keys)); err != nil { // some have two entries, side by side
		return 0, last, false, err
	}
	now := time.Now()
	list = slices.DeleteFunc(list, func(e Entry) bool { return iys.Refuse(e.Consent(), iys.Stored{}, now, x.cal) != nil })
	back, err := x.alsoMerchants(ctx, list)
	if err != nil || len(back) == 0 {
		return 0, last, err == nil, err
	}
	for i := range back {
		back[i].State, back[i].Code, back[i].Changed, back[i].NextAt = StatePending, "", now, now
	}
	return len(list), last, true, x.cfg.Store.Commit(ctx, Changes{Entries: back})
}

// reclaimAll takes back what is owed on every channel we may write for: a
// process may have ended between learning of a right and Reclaim.
func (x *Exchange) reclaimAll(ctx context.Context) {
	brands, err := x.cfg.Directory.Brands(ctx)
	for _, b := range brands {
		for _, ch := range listedChannels(b) {
			if b.ReadOnly[ch] || err != nil {
				continue
			}
			_, err = x.Reclaim(ctx, b.BrandCode, ch)
		}
	}
	if err != nil && ctx.Err() == nil {
		x.log.Warn("iys entries owed by customers not taken back", "err", err)
	}
}

// alsoMerchants completes refusals of persons with those of merchants: an
// opt-out covers both, and what only the customer can write is kept once.
func (x *Exchange) alsoMerchants(ctx context.Context, list []Entry) ([]Entry, error) {
	var wanted []Entry
	var keys []iys.Key
	for _, e := range list {
		if e.Status == iys.StatusRejected && e.RecipientType == iys.RecipientPerson {
			e.ID, e.RecipientType = 0, iys.RecipientMerchant
			wanted, keys = append(wanted, e), append(keys, e.Key)
		}
	}
	refused := map[iys.Key]bool{}
	for _, open := range []func(context.Context, []iys.Key) ([]Entry, error){x.cfg.Store.OpenEntries, x.cfg.Store.OwedEntries} {
		there, err := open(ctx, keys)
		if err != nil {
			return nil, err
		}
		for _, t := range there {
			refused[t.Key] = refused[t.Key] || t.Status == iys.StatusRejected
		}
	}
	out := slices.Clone(list)
	for _, e := range wanted {
		if !refused[e.Key] {
			out, refused[e.Key] = append(out, e), true
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
	x.owedMu.Lock()
	defer x.owedMu.Unlock()
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
// modes in which we cannot look. All are looked at before any is ended; when the
// store fails in the middle of many, some may be ended, and are not owed any
// more when they are named again.
func (x *Exchange) SettleOwed(ctx context.Context, ids []uint64) error {
	x.owedMu.Lock()
	defer x.owedMu.Unlock()
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
