package exchange

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
)

// listReach is how far back the listing of changes is relied on. İYS says
// seven days; the margin covers a long pull and clocks that differ.
const listReach = 7*24*time.Hour - 2*time.Hour

// listSlack is how much of that reach a first pull that keeps failing may use
// up before its begin is taken anew.
const listSlack = time.Hour

// operatorRest is how long a brand that İYS refuses to list (a right, a
// subscription) is left alone: every such refusal counts against our address.
const operatorRest = time.Hour

// pullTogether bounds how many brands are listed between two readings of what
// companies let us read: about as many as one such reading covers.
const pullTogether = 100

// PullAll reads what changed for every brand that is in mode partner on some
// channel, to the end of both listings: what people did over İYS, and what the
// provider's other systems sent. Only then is the mirror fresh, as of the
// moment the listing began: what İYS registered in the hour before that
// (iys.ListingLag) is not listed yet, and reaches us by push or by the next
// pulls. A brand's failure does not keep the others from being pulled; the
// errors come joined.
//
// A partner's listing leaves out channels the company does not let it read, so
// that İYS is asked for our rights before the listings and after them: a channel
// is fresh only if both answers grant it, and what was left out otherwise is
// listed anew when it is ours again. When İYS does not answer the second time,
// nothing becomes fresh; the next pull goes on from there. A right taken away
// and given back between the two answers is not seen: the reconciliation of the
// day finds what that hid.
func (x *Exchange) PullAll(ctx context.Context) error {
	brands, err := x.cfg.Directory.Brands(ctx)
	if err != nil {
		return fmt.Errorf("exchange: pull: brands: %w", err)
	}
	brands = slices.DeleteFunc(brands, func(b Brand) bool { return len(partnerChannels(b)) == 0 || x.resting(b.BrandCode) })
	var errs []error
	for asked := time.Now(); len(brands) > 0 && ctx.Err() == nil; asked = time.Now().Add(-rightsFor) {
		n, err := x.pullSome(ctx, brands[:min(pullTogether, len(brands))], asked)
		brands, errs = brands[n:], append(errs, err)
	}
	return errors.Join(errs...)
}

// pullSome pulls brands one after the other between two readings of their
// rights, the first of them at asked or later, as many as it gets through in
// rightsFor, and returns how many. Behind others the second reading of those is
// the first of these.
func (x *Exchange) pullSome(ctx context.Context, brands []Brand, asked time.Time) (n int, err error) {
	brands = x.renewed(ctx, brands, asked)
	began := time.Now()
	var read []listing
	var errs []error
	for _, b := range brands {
		if ctx.Err() != nil || n > 0 && time.Since(began) >= rightsFor {
			break
		}
		n++
		l, err := x.list(ctx, b)
		if err == nil {
			x.listed(b.BrandCode)
			read = append(read, l)
			continue
		}
		switch iysapi.RetryOf(err) {
		case iysapi.RetryOperator, iysapi.RetryNewToken:
			x.unlisted(b.BrandCode, err)
		}
		errs = append(errs, fmt.Errorf("brand %s: %w", b.BrandCode, err))
	}
	return n, errors.Join(append(errs, x.vouch(ctx, read))...)
}

// unlisted leaves a brand alone that İYS refuses to list, and stops writing
// for it: who may not read may not write.
func (x *Exchange) unlisted(brand string, err error) {
	until := time.Now().Add(operatorRest)
	x.restMu.Lock()
	x.rest[brand] = until
	x.restMu.Unlock()
	x.shutBrand(brand, Shut{Code: codeOf(err), Until: until, Reading: true})
	x.log.Error("iys needs an operator: nothing is read or written for the brand until then", "brand", brand, "code", codeOf(err), "err", err)
}

func (x *Exchange) resting(brand string) bool {
	x.restMu.Lock()
	defer x.restMu.Unlock()
	if time.Now().Before(x.rest[brand]) {
		return true
	}
	delete(x.rest, brand)
	return false
}

// listing is a brand's listing read to its end, for which nobody has vouched.
type listing struct {
	b       Brand // as it was before
	cursors []Cursor
	start   time.Time
}

// list reads both listings of a brand to their ends.
func (x *Exchange) list(ctx context.Context, b Brand) (listing, error) {
	l := listing{b: b, start: time.Now()}
	if len(listedChannels(b)) == 0 {
		return l, nil
	}
	var err error
	if l.cursors, err = x.cursors(ctx, b, l.start); err != nil {
		return l, fmt.Errorf("exchange: pull: %w", err)
	}
	for i := range l.cursors {
		if err := x.pullSource(ctx, b, &l.cursors[i]); err != nil {
			return l, fmt.Errorf("exchange: pull %s: %w", l.cursors[i].Source, err)
		}
	}
	return l, nil
}

func partnerChannels(b Brand) []iys.Channel {
	var out []iys.Channel
	for _, ch := range allChannels {
		if b.partner(ch) {
			out = append(out, ch)
		}
	}
	return out
}

var allChannels = []iys.Channel{iys.ChannelSMS, iys.ChannelEmail, iys.ChannelCall}

func (x *Exchange) commitCursors(ctx context.Context, list []Cursor) error {
	if len(list) == 0 {
		return nil
	}
	if err := x.cfg.Store.Commit(ctx, Changes{Cursors: list}); err != nil {
		return fmt.Errorf("cursor: %w", err)
	}
	return nil
}

// bothListings are what people did over İYS and what the provider's systems sent.
var bothListings = []iysapi.ChangeSource{iysapi.ChangesByPerson, iysapi.ChangesByProvider}

// cursors reads where both listings stand and prepares them for what is ours
// now. When one of them was not read to its end for longer than it reaches
// back, movements are lost to it, and the look-up alone can tell what holds:
// approvals from before its reach are forgotten. A channel that comes into the
// listings for the first time has what was known of it forgotten as well.
func (x *Exchange) cursors(ctx context.Context, b Brand, start time.Time) ([]Cursor, error) {
	var out, changed []Cursor
	var known time.Time // the older of the ends that were reached
	from := start.Add(-listReach)
	var forget []iys.Channel
	for _, src := range bothListings {
		cur, err := x.cfg.Store.Cursor(ctx, b.BrandCode, src)
		if err != nil {
			return nil, fmt.Errorf("cursor: %w", err)
		}
		cur.Brand, cur.Source = b.BrandCode, src
		cur, noted := missed(cur, b)
		cur = regained(cur, b)
		if cur.EndAt.Before(from) && cur.Trust.Before(from.Add(-listSlack)) {
			if !cur.EndAt.IsZero() {
				x.log.Warn("iys movements were lost, the brand was not pulled for a week", "brand", b.BrandCode, "source", string(src))
				if known.IsZero() || cur.EndAt.Before(known) {
					known = cur.EndAt
				}
			}
			// What İYS answers to a token older than its window is not
			// documented; without one it begins at the window's begin.
			cur.Trust, cur.After, noted = from, "", true
			forget = partnerChannels(b)
		}
		cur, first := begun(cur, b, start)
		forget = append(forget, first...)
		if noted || len(first) > 0 {
			changed = append(changed, cur)
		}
		out = append(out, cur)
	}
	x.forget(b, forget, out)
	if len(changed) == 0 {
		return out, nil
	}
	more := Changes{Cursors: changed}
	if !known.IsZero() {
		plan, err := x.planRequery(ctx, b.BrandCode, "movements were lost: not pulled since "+iys.FormatTime(known))
		if err != nil {
			return nil, err
		}
		more.Requeries = []Requery{plan}
	}
	if err := x.cfg.Store.Commit(ctx, more); err != nil {
		return nil, fmt.Errorf("cursor: %w", err)
	}
	if len(more.Requeries) > 0 {
		x.wakeRequery()
	}
	return out, nil
}

// forget makes the mirror distrust channels, each from when both listings do.
func (x *Exchange) forget(b Brand, channels []iys.Channel, cursors []Cursor) {
	slices.Sort(channels)
	for _, ch := range slices.Compact(channels) {
		var from time.Time
		for _, cur := range cursors {
			if at := cur.TrustOf(ch); at.After(from) {
				from = at
			}
		}
		x.cfg.Mirror.Distrust(b.BrandCode, ch, from)
	}
}

func (x *Exchange) pullSource(ctx context.Context, b Brand, cur *Cursor) error {
	for {
		page, err := b.API.Changes(ctx, b.Brand, cur.Source, cur.After, iysapi.MaxChanges)
		if err != nil {
			return err
		}
		if page.End && len(page.Changes) == 0 {
			return nil
		}
		cur.After = page.After
		if err := x.take(ctx, page.Changes, Changes{Cursors: []Cursor{*cur}}); err != nil {
			return err
		}
		if page.End {
			return nil
		}
	}
}

// Push applies movements İYS pushed (decoded by iysapi.DecodePush); whoever
// receives them calls it after checking İYS's credentials and answers 2xx only
// when it returns nil: then everything is synced, and an error makes İYS (or
// the next pull) bring the movements again.
//
// It may be called with repeats, in any order and from several goroutines: the
// rule of conflicts is that of the pull (iys.Resolve), and a refusal is in
// force before Push returns. Movements of brands that are not ours, İYS's test
// movement among them, are left out: who may push for which brand is the
// receiver's to check, what concerns us is ours.
func (x *Exchange) Push(ctx context.Context, moves []iysapi.Change) error {
	ours := make([]iysapi.Change, 0, len(moves))
	for _, m := range moves {
		_, ok, err := x.cfg.Directory.Brand(ctx, m.Brand)
		if err != nil {
			return fmt.Errorf("exchange: push: brand: %w", err)
		}
		if ok {
			ours = append(ours, m)
		}
	}
	if err := x.take(ctx, ours, Changes{}); err != nil {
		return fmt.Errorf("exchange: push: %w", err)
	}
	return nil
}

// take applies movements and tells the listener, then moves the cursor: a
// crash in between repeats the page, which changes nothing twice.
func (x *Exchange) take(ctx context.Context, page []iysapi.Change, cursor Changes) error {
	moves := consentsOf(page)
	if len(moves) > 0 {
		held, err := x.apply(ctx, moves, Changes{Moves: registered(moves), Newcomers: newcomers(page)})
		if err != nil {
			return err
		}
		if err := x.customerWrote(ctx, held); err != nil {
			return err
		}
		if said := unanswered(moves, held); x.cfg.Listener != nil && len(said) > 0 {
			if err := x.cfg.Listener.Moved(ctx, said); err != nil {
				return fmt.Errorf("listener: %w", err)
			}
		}
	}
	return x.commitCursors(ctx, cursor.Cursors)
}

// unanswered leaves out refusals the person has since taken back: a repeat of
// one, which pushes bring at any time, must not set a block that nothing would
// lift again.
func unanswered(moves, held []iys.Consent) []iys.Consent {
	now := make(map[iys.Key]iys.Consent, len(held))
	for _, h := range held {
		now[h.Key] = h
	}
	out := make([]iys.Consent, 0, len(moves))
	for _, m := range moves {
		h := now[m.Key]
		l := iys.Lift{Status: h.Status, Source: h.Source, Origin: h.Origin, ConsentDate: h.ConsentDate}
		if m.Status != iys.StatusApproved && iys.Lifts(iys.Block{Since: m.ConsentDate}, l) {
			continue
		}
		out = append(out, m)
	}
	return out
}

// registered are the movements that name their registration.
func registered(moves []iys.Consent) []iys.Consent {
	out := make([]iys.Consent, 0, len(moves))
	for _, m := range moves {
		if m.TransactionID != "" && !m.CreationDate.IsZero() {
			out = append(out, m)
		}
	}
	return out
}

func newcomers(page []iysapi.Change) []Newcomer {
	var out []Newcomer
	for _, c := range page {
		if c.CitizenName != "" && c.Source == iys.SourceIYSWebNew && c.Status == iys.StatusApproved {
			out = append(out, Newcomer{c.Key, c.CitizenName, c.ConsentDate})
		}
	}
	return out
}

// consentsOf drops rows that name no key or no known status; a status of
// tomorrow is doubt, and doubt is a refusal.
func consentsOf(list []iysapi.Change) []iys.Consent {
	out := make([]iys.Consent, 0, len(list))
	for _, c := range list {
		if !c.Channel.Valid() || !c.RecipientType.Valid() || c.Recipient == "" {
			continue
		}
		if !c.Status.Valid() {
			c.Status = iys.StatusNotApproved
		}
		out = append(out, c.Consent)
	}
	return out
}
