package exchange

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
)

// begin marks entries as sent before a call leaves: whatever happens to this
// process, the next one repeats the call instead of judging its effect.
func (p *pass) begin(ctx context.Context, list []Entry, batch bool) error {
	now := time.Now()
	for i := range list {
		e := &list[i]
		e.first = e.State != StateSent
		if e.first {
			e.State, e.Changed = StateSent, now
		}
		e.Batch, e.SentAt, e.NextAt = batch, now, now
		e.RequestID, e.SubRequestID, e.Place = "", "", i
		e.Attempts++
	}
	return p.commit(ctx, list...)
}

// single writes entries one by one with V2, which answers a repeat with the
// first result.
func (p *pass) single(ctx context.Context, list []Entry) error {
	for _, e := range list {
		b := p.brands[e.Brand]
		if p.isDown(b) {
			continue
		}
		if p.stopped(b.BrandCode, &e) {
			if err := p.commit(ctx, e); err != nil {
				return err
			}
			continue
		}
		one := []Entry{e}
		again := e.State == StateSent
		if err := p.begin(ctx, one, false); err != nil {
			return err
		}
		e = one[0]
		p.recent[e.Key] = time.Now()
		receipt, err := b.API.Add(ctx, b.Brand, e.Consent())
		p.recent[e.Key] = time.Now()
		if err != nil {
			if err := p.notTaken(ctx, b, e, err, again); err != nil {
				return err
			}
			continue
		}
		if err := p.accepted(ctx, []Entry{e}, []iysapi.Receipt{receipt}); err != nil {
			return err
		}
	}
	return nil
}

// accepted notes what İYS stored, in outbox, store and mirror.
func (p *pass) accepted(ctx context.Context, list []Entry, receipts []iysapi.Receipt) error {
	p.openBrand(list[0].Brand, list) // a list is of one brand
	var records []iys.Consent
	for i := range list {
		e := p.end(list[i], StateAccepted, "")
		e.TransactionID, e.CreationDate, e.Changed = receipts[i].TransactionID, receipts[i].CreationDate, time.Now()
		list[i] = e
		c := e.Consent()
		c.ReadAt = e.SentAt
		records = append(records, c)
	}
	_, err := p.apply(ctx, records, Changes{Entries: list, Moves: registered(records)})
	return err
}

// notTaken deals with the refusal of one entry. again says that an earlier
// attempt may have been stored.
func (p *pass) notTaken(ctx context.Context, b Brand, e Entry, err error, again bool) error {
	if iysapi.RetryOf(err) != iysapi.RetryFinal {
		return p.failed(ctx, b, err, []Entry{e})
	}
	if code := codeOf(err); !again || !mayBeOurs(code) {
		return p.commit(ctx, p.refused(e, code))
	}
	return p.inDoubt(ctx, b, []Entry{e}, []string{codeOf(err)})
}

// mayBeOurs reports whether a refusal of an entry that was tried before can be
// the doing of that attempt: how long V2 remembers a call is not documented, so
// that "already so" is said of what was stored then, and H467 of what was in
// time then.
func mayBeOurs(code string) bool {
	return code == "H174" || code == "H178" || code == "H462" || code == "H467"
}

// inDoubt asks what İYS stores of entries it has refused with such codes, and
// ends each by that. Those it cannot be asked about now go again.
func (p *pass) inDoubt(ctx context.Context, b Brand, list []Entry, codes []string) error {
	for i, e := range list {
		stored, ok, err := b.API.Status(ctx, b.Brand, e.Key)
		switch {
		case err != nil:
			return p.failed(ctx, b, err, list[i:])
		case ok && stored.Status == e.Status && stored.ConsentDate.Equal(e.ConsentDate):
			err = p.accepted(ctx, []Entry{e}, []iysapi.Receipt{{TransactionID: stored.TransactionID, CreationDate: stored.CreationDate}})
		default:
			err = p.commit(ctx, p.refused(e, codes[i]))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// refused is the end of an entry that İYS will not take, as it said or by its known rules. One from the future waits.
func (p *pass) refused(e Entry, code string) Entry {
	switch {
	case e.Status == iys.StatusRejected && (code == "H174" || code == "H175"):
		return p.end(e, StateNotApplicable, code) // it is RET, or nothing, already
	case code == "H178":
		return p.end(e, StateSuperseded, code)
	case code == codeFuture:
		return p.whenPast(e)
	}
	p.log.Warn("entry refused by iys or its rules", "entry", e.ID, "brand", e.Brand, "status", string(e.Status), "code", code)
	return p.end(e, StateRefused, code)
}

// codeFuture is İYS's refusal of a date that lies in the future by its clock (iys-api.md §16).
const codeFuture = "H162"

// whenPast lets an entry wait until its date has passed: clocks differ, and a person's word must not be lost over it.
func (p *pass) whenPast(e Entry) Entry {
	e.State, e.RequestID = StatePending, ""
	return p.later(e, max(time.Until(e.ConsentDate), 0)+clockSlack)
}

// clockSlack is how long after its date an entry is tried that seemed to come from the future.
const clockSlack = 5 * time.Second

func codeOf(err error) string {
	if e, ok := errors.AsType[*iysapi.APIError](err); ok {
		return e.Code
	}
	return ""
}

// failed postpones entries after a failure that is not about them. Where İYS
// did not answer, or asked for silence, the client rests for this pass; where it
// answered that it failed, the brand does.
func (p *pass) failed(ctx context.Context, b Brand, err error, list []Entry) error {
	if ctx.Err() != nil {
		return ctx.Err() // stopping: nothing was İYS's fault
	}
	if codeOf(err) == codeQuota {
		return p.packageFull(ctx, b, list)
	}
	e, told := errors.AsType[*iysapi.APIError](err)
	wait := time.Duration(0)
	switch retry := iysapi.RetryOf(err); {
	case retry == iysapi.RetryWaitHour && told:
		wait = max(time.Until(e.Until), time.Second)
		p.down[b.API] = err
	case retry == iysapi.RetryAgain && told && e.HTTP >= http.StatusInternalServerError:
		p.down[b.BrandCode] = err // İYS is there, and may fail for this brand alone
	case retry == iysapi.RetryAgain:
		p.down[b.API] = err
	case retry == iysapi.RetryOperator, retry == iysapi.RetryNewToken:
		wait = operatorWait
		notTakenUp(list)
		p.shutBrand(b.BrandCode, Shut{Code: codeOf(err), Until: time.Now().Add(wait)})
		p.log.Error("iys needs an operator: nothing is written for the brand until then", "brand", b.BrandCode, "code", codeOf(err), "err", err)
	default: // our own mistake: keep it visible, not hot
		wait = operatorWait
		p.log.Error("iys call refused", "brand", b.BrandCode, "code", codeOf(err), "err", err)
	}
	for i := range list {
		w := wait
		if w == 0 {
			w = min(time.Second<<min(list[i].Attempts, 10), maxRetryWait)
		}
		list[i] = p.later(list[i], w)
		list[i].Code = codeOf(err)
	}
	return p.commit(ctx, list...)
}

// isDown reports whether a brand rests for the present pass, by itself or with
// everybody who goes over its client.
func (p *pass) isDown(b Brand) bool { return p.down[b.API] != nil || p.down[b.BrandCode] != nil }

// notTakenUp frees entries İYS has refused to take up: nothing of theirs is in
// doubt, unless an attempt before this one is. Should the right to write be gone
// for good, the customer is told of them, who must write them himself.
func notTakenUp(list []Entry) {
	for i := range list {
		if list[i].first {
			list[i].State, list[i].first = StatePending, false
		}
	}
}

// packageFull lets addresses wait that İYS has no room for, and only those: what
// was sent together with them and needs no room goes again by itself. Where İYS
// refuses that as well, it waits too.
func (p *pass) packageFull(ctx context.Context, b Brand, list []Entry) error {
	fresh := byKnown(list)[1]
	onlyUpdates := len(fresh) == 0
	until := time.Now().Add(operatorWait)
	p.shutBrand(b.BrandCode, Shut{Code: codeQuota, Until: until, Updates: onlyUpdates})
	p.log.Error("the brand's İYS package is full: new addresses are not written until it is larger", "brand", b.BrandCode, "waiting", len(fresh), "updates", onlyUpdates)
	notTakenUp(list)
	for i := range list {
		list[i].Code, list[i].NextAt = codeQuota, until
		if list[i].known && !onlyUpdates {
			list[i] = p.later(list[i], time.Second)
		}
	}
	return p.commit(ctx, list...)
}

// byKnown parts approvals of addresses İYS knows from first ones.
func byKnown(list []Entry) [][]Entry {
	out := make([][]Entry, 2)
	for _, e := range list {
		i := 1
		if e.known {
			i = 0
		}
		out[i] = append(out[i], e)
	}
	return out
}

// notStopped postpones entries of a brand that are not to be written now, and
// returns the others.
func (p *pass) notStopped(ctx context.Context, brand string, list []Entry) ([]Entry, error) {
	var stopped, rest []Entry
	for _, e := range list {
		if p.stopped(brand, &e) {
			stopped = append(stopped, e)
		} else {
			rest = append(rest, e)
		}
	}
	return rest, p.commit(ctx, stopped...)
}

// sendBatch writes up to a thousand approvals of one brand.
func (p *pass) sendBatch(ctx context.Context, b Brand, list []Entry) error {
	if p.isDown(b) {
		return nil
	}
	list, err := p.notStopped(ctx, b.BrandCode, list)
	if err != nil || len(list) == 0 {
		return err
	}
	if err := p.begin(ctx, list, true); err != nil {
		return err
	}
	consents := make([]iys.Consent, len(list))
	for i, e := range list {
		consents[i] = e.Consent()
		p.recent[e.Key] = time.Now()
	}
	receipt, err := b.API.AddBatch(ctx, b.Brand, consents)
	if err != nil {
		return p.batchNotTaken(ctx, b, list, err)
	}
	for i := range list {
		list[i].RequestID = receipt.RequestID
		if i < len(receipt.SubRequests) {
			list[i].SubRequestID = receipt.SubRequests[i]
		}
		list[i] = p.later(list[i], p.cfg.RequestAfter)
	}
	return p.commit(ctx, list...)
}

// batchNotTaken deals with a list refused as a whole: the items named are
// refused, after a look at what an earlier attempt may have stored, and the
// others go again; when none is named they go one by one, and each gets its own
// answer.
func (p *pass) batchNotTaken(ctx context.Context, b Brand, list []Entry, err error) error {
	if iysapi.RetryOf(err) != iysapi.RetryFinal {
		return p.failed(ctx, b, err, list)
	}
	named := namedIn(err, len(list))
	var done, doubt []Entry
	var codes []string // of doubt
	for i, e := range list {
		code := named[i]
		switch {
		case code != "" && !e.first && mayBeOurs(code):
			doubt, codes = append(doubt, e), append(codes, code)
		case code != "":
			done = append(done, p.refused(e, code))
		default:
			// An attempt before this one may have been taken, so the entry stays
			// sent; only this list is known to be refused.
			e.Batch = len(named) > 0
			done = append(done, p.later(e, time.Second))
		}
	}
	if err := p.commit(ctx, done...); err != nil {
		return err
	}
	return p.inDoubt(ctx, b, doubt, codes)
}

// namedIn are the codes of items that a refusal names, by place in a list of n.
func namedIn(err error, n int) map[int]string {
	named := map[int]string{}
	if e, ok := errors.AsType[*iysapi.APIError](err); ok {
		for _, d := range e.Details {
			// H194 (repeated in the list) says nothing about the item itself.
			if d.Index >= 0 && d.Index < n && named[d.Index] == "" && d.Code != "H194" {
				named[d.Index] = d.Code
			}
		}
	}
	return named
}

// results asks what became of batches.
func (p *pass) results(ctx context.Context, list []Entry) error {
	type batch struct{ brand, request string }
	groups := map[batch][]Entry{}
	for _, e := range list {
		k := batch{e.Brand, e.RequestID}
		groups[k] = append(groups[k], e)
	}
	for k, group := range groups {
		b := p.brands[k.brand]
		if p.isDown(b) {
			continue
		}
		items, err := b.API.Request(ctx, b.Brand, k.request)
		if err != nil {
			if err := p.failed(ctx, b, err, group); err != nil {
				return err
			}
			continue
		}
		if err := p.settle(ctx, b, group, items); err != nil {
			return fmt.Errorf("batch results: %w", err)
		}
	}
	return nil
}

// settle matches items to entries, by sub-request where İYS named them, else by
// place.
func (p *pass) settle(ctx context.Context, b Brand, group []Entry, items []iysapi.ItemResult) error {
	bySub, byPlace := map[string]iysapi.ItemResult{}, places(group, items)
	for _, it := range items {
		if it.SubRequestID != "" {
			bySub[it.SubRequestID] = it
		}
	}
	if _, err := p.heldOf(ctx, group); err != nil {
		return err
	}
	var ok, rest, doubt []Entry
	var receipts []iysapi.Receipt
	var codes []string // of doubt
	for _, e := range group {
		it, found := bySub[e.SubRequestID]
		if !found && e.SubRequestID == "" {
			it, found = byPlace[e.Place]
		}
		switch {
		case found && it.State == iysapi.ItemSuccess:
			ok, receipts = append(ok, e), append(receipts, it.Receipt)
		case found && it.State == iysapi.ItemFailure:
			e.first = e.Attempts == 1
			e = again(e, it)
			if code := codeOf(it.Err); !e.first && iysapi.RetryOf(it.Err) == iysapi.RetryFinal && mayBeOurs(code) {
				doubt, codes = append(doubt, e), append(codes, code)
			} else if err := p.notTaken(ctx, b, e, it.Err, false); err != nil {
				return err
			}
		case p.now.Sub(e.SentAt) > requestGiveUp:
			e.RequestID, e.SubRequestID = "", "" // the next pass sends it again
			rest = append(rest, e)
		default:
			rest = append(rest, p.later(e, requestEvery))
		}
	}
	if err := p.commit(ctx, rest...); err != nil {
		return err
	}
	if len(ok) > 0 {
		if err := p.accepted(ctx, ok, receipts); err != nil {
			return err
		}
	}
	return p.inDoubt(ctx, b, doubt, codes)
}

// places are results by place in the batch. Answers count from nought, old ones
// from one, and may leave out what is not finished: which it is, is certain when
// there is a first item, or as many as the whole batch has. Else there is no
// telling, and a result must not be ascribed to a neighbour.
func places(group []Entry, items []iysapi.ItemResult) map[int]iysapi.ItemResult {
	lowest, highest, last := 1<<30, -1, -1
	for _, it := range items {
		lowest, highest = min(lowest, it.Index), max(highest, it.Index)
	}
	for _, e := range group {
		last = max(last, e.Place)
	}
	whole := len(group) == last+1 // none of it has ended yet
	if lowest > 0 && (lowest != 1 || !whole || highest != len(group)) {
		return nil
	}
	out := make(map[int]iysapi.ItemResult, len(items))
	for _, it := range items {
		out[it.Index-lowest] = it
	}
	return out
}

// again frees an entry from its batch when the item failed for a passing
// reason, so that it is sent anew.
func again(e Entry, it iysapi.ItemResult) Entry {
	if it.Err.Retry != iysapi.RetryFinal {
		e.RequestID, e.SubRequestID = "", ""
	}
	return e
}
