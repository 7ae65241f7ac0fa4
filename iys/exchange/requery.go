package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
)

// requeryPage is how many records one step of a re-query reads.
const requeryPage = 2 * iysapi.MaxBatch

// ErrNoPartner says that we do not hold İYS for the brand, so that there is
// nothing we could ask or read for it.
var ErrNoPartner = errors.New("the brand is not in mode partner on any channel")

// planRequery makes a plan that begins anew; the caller commits it.
func (x *Exchange) planRequery(ctx context.Context, brand, reason string) (Requery, error) {
	n, err := x.cfg.Store.CountConsents(ctx, brand)
	if err != nil {
		return Requery{}, fmt.Errorf("count consents: %w", err)
	}
	return Requery{Brand: brand, Reason: reason, Started: time.Now(), Total: n}, nil
}

// StartRequery begins asking İYS about every record of a brand, whatever plan
// there was before. It returns when the plan is stored; the asking goes on
// behind, through restarts.
func (x *Exchange) StartRequery(ctx context.Context, brand, reason string) (Requery, error) {
	b, ok, err := x.cfg.Directory.Brand(ctx, brand)
	if err == nil && (!ok || len(partnerChannels(b)) == 0) {
		err = ErrNoPartner
	}
	if err != nil {
		return Requery{}, fmt.Errorf("exchange: re-query: %w", err)
	}
	plan, err := x.planRequery(ctx, brand, reason)
	if err == nil {
		err = x.cfg.Store.Commit(ctx, Changes{Requeries: []Requery{plan}})
	}
	if err != nil {
		return Requery{}, fmt.Errorf("exchange: re-query: %w", err)
	}
	x.wakeRequery()
	return plan, nil
}

func (x *Exchange) wakeRequery() {
	select {
	case x.lost <- struct{}{}:
	default:
	}
}

func (x *Exchange) requeryLoop(ctx context.Context) {
	for {
		if err := x.RequeryAll(ctx); err != nil && ctx.Err() == nil {
			x.log.Warn("iys re-query broken off, it goes on later", "err", err, "retry", iysapi.RetryOf(err).String())
		}
		if !sleep(ctx, x.cfg.RequeryEvery, x.lost) {
			return
		}
	}
}

// RequeryAll carries on the plans under way, each to its end unless İYS fails.
func (x *Exchange) RequeryAll(ctx context.Context) error {
	brands, err := x.cfg.Directory.Brands(ctx)
	if err != nil {
		return fmt.Errorf("exchange: re-query: brands: %w", err)
	}
	ctx = iysapi.WithPriority(ctx, iysapi.PriorityBackground)
	var errs []error
	for _, b := range brands {
		if len(listedChannels(b)) == 0 || x.resting(b.BrandCode) {
			continue
		}
		plan, err := x.cfg.Store.Requery(ctx, b.BrandCode)
		for err == nil && plan.Open() && ctx.Err() == nil {
			plan, err = x.requeryStep(ctx, b, plan)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("brand %s: %w", b.BrandCode, err))
		}
	}
	return errors.Join(errs...)
}

// requeryStep asks about one page of records and stores the answers together
// with the plan's progress: what is cut off in between is asked once more.
func (x *Exchange) requeryStep(ctx context.Context, b Brand, plan Requery) (Requery, error) {
	page, err := x.cfg.Store.ConsentsAfter(ctx, plan.Brand, plan.After, requeryPage)
	if err != nil {
		return plan, fmt.Errorf("read consents: %w", err)
	}
	answers, skipped, err := x.askPage(ctx, b, page)
	if err != nil {
		return plan, err
	}
	before := make(map[iys.Key]bool, len(page))
	for _, c := range page {
		before[c.Key] = c.Status == iys.StatusApproved
	}
	next := plan
	next.Skipped += skipped
	next.Done += len(page)
	for _, a := range answers {
		if before[a.Key] != (a.Status == iys.StatusApproved) {
			next.Changed++
		}
	}
	if len(page) > 0 {
		next.After = page[len(page)-1].Key
	}
	if len(page) < requeryPage {
		next.Finished = time.Now()
	}
	// A plan begun anew meanwhile (more was lost) is not overwritten.
	if now, err := x.cfg.Store.Requery(ctx, plan.Brand); err != nil || !now.Started.Equal(plan.Started) {
		return now, err
	}
	if _, err := x.apply(ctx, answers, Changes{Requeries: []Requery{next}}); err != nil {
		return plan, err
	}
	if !next.Open() {
		x.log.Info("iys re-query ended", "brand", next.Brand, "records", next.Done, "changed", next.Changed, "skipped", next.Skipped,
			"took", next.Finished.Sub(next.Started))
	}
	return next, nil
}

// askPage asks about records, grouped as İYS wants its questions.
func (x *Exchange) askPage(ctx context.Context, b Brand, page []iys.Consent) (answers []iys.Consent, skipped int, err error) {
	groups := map[askKey][]string{}
	for _, c := range page {
		name, refusal := iys.NormalizeRecipient(c.Channel, c.Recipient)
		if refusal != nil || name != c.Recipient || !b.listed(c.Channel) {
			skipped++
			continue
		}
		k := askKey{b.BrandCode, c.Channel, c.RecipientType}
		groups[k] = append(groups[k], name)
	}
	for k, list := range groups {
		for len(list) > 0 {
			n := min(len(list), iysapi.MaxBatch)
			at := time.Now()
			approved, _, err := sift(k.ch, list[:n], func(some []string) ([]bool, error) { return b.API.StatusMany(ctx, b.Brand, k.rt, k.ch, some) })
			if err != nil {
				return nil, 0, err
			}
			for i, ok := range approved {
				answers = append(answers, k.record(list[i], ok, at))
			}
			list = list[n:]
		}
	}
	return answers, skipped, nil
}
