package consent

import (
	"cmp"
	"context"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
)

// addition is one Add under way. The slices are aligned with the caller's consents.
type addition struct {
	*Desk
	who      *gateway.Principal
	how      string // api, import
	dry      bool   // judge and do nothing
	now      time.Time
	consents []gateway.Consent
	recs     []iys.Consent
	held     []iys.Consent // what the store has
	out      []gateway.ConsentResult

	// latest are the approvals that are under way, this call's own among them.
	latest   map[iys.Key]exchange.Entry
	entries  []exchange.Entry
	evidence []string // of entries
}

// Add implements gateway.ConsentDesk. An approval becomes usable when İYS has accepted it; a refusal blocks at once. A consent
// that says what is stored or under way already, to the second, is answered as known, so that a call can be repeated.
func (d *Desk) Add(ctx context.Context, p *gateway.Principal, consents []gateway.Consent) ([]gateway.ConsentResult, error) {
	return d.add(ctx, &addition{Desk: d, who: p, how: "api", consents: consents})
}

// Import takes consents of a file. Dry, it gives the answers Add would give, and does nothing.
func (d *Desk) Import(ctx context.Context, p *gateway.Principal, consents []gateway.Consent, dry bool) ([]gateway.ConsentResult, error) {
	return d.add(ctx, &addition{Desk: d, who: p, how: "import", dry: dry, consents: consents})
}

func (d *Desk) add(ctx context.Context, a *addition) ([]gateway.ConsentResult, error) {
	n := len(a.consents)
	if n == 0 || n > maxConsents {
		return nil, gateway.Refuse(gateway.CodeInvalid, "consents", "one call takes 1 to %d consents", maxConsents)
	}
	a.now = d.office.cfg.Now()
	a.out, a.recs = make([]gateway.ConsentResult, n), make([]iys.Consent, n)
	keys := make([]iys.Key, n)
	for i := range a.consents {
		a.out[i].Index = i
		a.recs[i] = d.read(a.who, &a.consents[i], &a.out[i])
		keys[i] = a.recs[i].Key
	}
	if err := a.look(ctx, keys); err != nil {
		return nil, unavailable(err)
	}
	if err := a.refusals(ctx); err != nil {
		return nil, unavailable(err)
	}
	for i := range a.recs {
		if a.out[i].Code != "" || a.recs[i].Status == iys.StatusRejected {
			continue
		}
		if err := a.take(ctx, i); err != nil {
			return nil, err
		}
	}
	if len(a.entries) == 0 {
		return a.out, nil
	}
	if err := d.rec.PutEntries(ctx, a.entries, a.how, a.evidence); err != nil {
		return nil, unavailable(err)
	}
	if d.waker != nil {
		d.waker.Wake()
	}
	return a.out, nil
}

func unavailable(err error) error {
	return &gateway.Error{Code: gateway.CodeUnavailable, Text: gateway.CodeUnavailable.Wire().Title, Err: err}
}

// look reads what is stored of the addresses and what is under way.
func (a *addition) look(ctx context.Context, keys []iys.Key) (err error) {
	if a.held, err = a.rec.Consents(ctx, keys); err != nil {
		return err
	}
	open, err := a.rec.OpenEntries(ctx, keys)
	a.latest = map[iys.Key]exchange.Entry{}
	for _, e := range open {
		a.under(e)
	}
	return err
}

// under notes an approval under way.
func (a *addition) under(e exchange.Entry) {
	if have, ok := a.latest[e.Key]; e.Status == iys.StatusApproved && (!ok || e.ConsentDate.After(have.ConsentDate)) {
		a.latest[e.Key] = e
	}
}

// refusalsAtOnce is how many refusals of one Add wait for their sync together: about as many as one transaction of the store takes.
const refusalsAtOnce = 200

// refusals carries out the refusals of an Add before its approvals: what stops comes first. What İYS would say to one stands
// in its result, but the block is in force whatever that is.
func (a *addition) refusals(ctx context.Context) error {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		first error
		slots = make(chan struct{}, refusalsAtOnce)
	)
	for i := range a.recs {
		if a.out[i].Code != "" || a.recs[i].Status != iys.StatusRejected {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := a.refusal(ctx, &a.recs[i], &a.out[i])
			mu.Lock()
			defer mu.Unlock()
			first = cmp.Or(first, err)
		})
	}
	wg.Wait()
	return first
}

// refusal carries out one, unless its block stands in the store: memory alone may be ahead of a commit that failed.
func (a *addition) refusal(ctx context.Context, rec *iys.Consent, r *gateway.ConsentResult) error {
	at := laterZero(rec.ConsentDate, a.now)
	b, err := a.rec.BlockOf(ctx, rec.Brand, rec.Channel, rec.Recipient)
	if err != nil {
		return err
	}
	if b != nil && b.At.Truncate(time.Second).Equal(at.Truncate(time.Second)) {
		r.Known = true
		r.Sync, err = a.rec.SyncState(ctx, rec.Key)
		return err
	}
	if a.dry {
		if brand := a.rec.Directory().BrandOf(a.who.Account, rec.Brand); brand != nil {
			_, r.Sync = a.owed(brand, rec.Channel, rec.Recipient, rec.Source, at)
		}
	} else if r.Sync, err = a.optOut(ctx, gateway.OptOut{Account: a.who.Account, Brand: rec.Brand, Channel: string(rec.Channel),
		Address: rec.Recipient, Route: a.how, Source: string(rec.Source), At: at}); err != nil {
		return err
	}
	if _, unheld := iys.NormalizeRecipient(rec.Channel, rec.Recipient); unheld != nil {
		say(r, unheld) // mail goes to addresses that İYS does not take
		return nil
	}
	if r.Sync != string(exchange.StatePending) {
		return nil
	}
	if ref := iys.Refuse(*rec, iys.Stored{}, a.now, a.cal); ref != nil {
		say(r, ref)
	}
	return nil
}

// take decides what becomes of one approval.
func (a *addition) take(ctx context.Context, i int) error {
	rec, held, r := &a.recs[i], &a.held[i], &a.out[i]
	stored := iys.Stored{Known: held.Status.Valid() && !held.ConsentDate.IsZero(), Status: held.Status, ConsentDate: held.ConsentDate}
	sync := string(exchange.StateAccepted)
	if e, ok := a.latest[rec.Key]; ok && (!stored.Known || e.ConsentDate.After(stored.ConsentDate)) {
		// It may still be refused; but of two approvals under way the earlier one is never sent (exchange).
		stored, sync = iys.Stored{Known: true, Status: iys.StatusApproved, ConsentDate: e.ConsentDate}, string(e.State)
	}
	if stored.Known && stored.Status == iys.StatusApproved && !rec.ConsentDate.IsZero() && stored.ConsentDate.Equal(rec.ConsentDate) &&
		iys.Refuse(*rec, iys.Stored{}, a.now, a.cal) == nil {
		if _, blocked := a.office.mirror.Blocked(rec.Brand, rec.Channel, rec.Recipient); !blocked {
			r.Known, r.Sync = true, sync
			return nil
		}
	}
	if ref := iys.Refuse(*rec, stored, a.now, a.cal); ref != nil {
		refuse(r, gateway.CodeInvalid, ref)
		return nil
	}
	b := a.rec.Directory().BrandOf(a.who.Account, rec.Brand)
	if b == nil { // removed this very moment
		r.Code, r.Field, r.Text, r.Turkish = gateway.CodeBrand, "brand", gateway.CodeBrand.Wire().Title, "Marka bu hesaba ait değil."
		return nil
	}
	e := exchange.NewEntry(*rec, a.now, a.cal)
	e.State = approvalState(modeOf(b, rec.Channel))
	if e.State == exchange.StateNotApplicable { // it is never under way, so the history tells whether this is a repeat
		var err error
		if r.Known, err = a.repeats(ctx, rec); err != nil {
			return unavailable(err)
		}
	}
	if !r.Known {
		if err := a.lift(ctx, &a.consents[i], rec, a.dry, r); err != nil || r.Code != "" {
			return err
		}
	}
	r.Sync = string(e.State)
	a.under(e)
	if !a.dry && !r.Known {
		a.entries, a.evidence = append(a.entries, e), append(a.evidence, a.consents[i].Evidence)
	}
	return nil
}

// approvalState is how far İYS is to be told of an approval, and by whom. Of an exempt brand's nobody tells it.
func approvalState(mode gateway.BrandMode) exchange.State {
	switch {
	case iys.Mode(mode.Mode) == iys.ModeExempt:
		return exchange.StateNotApplicable
	case iys.Mode(mode.Mode) == iys.ModePartner && !mode.ReadOnly:
		return exchange.StatePending
	}
	return exchange.StateOwed
}

// repeats reports whether an approval that nothing blocks is in the address's history already, of the same instant.
func (a *addition) repeats(ctx context.Context, rec *iys.Consent) (bool, error) {
	if _, blocked := a.office.mirror.Blocked(rec.Brand, rec.Channel, rec.Recipient); blocked {
		return false, nil
	}
	list, err := a.rec.History(ctx, rec.Brand, rec.Channel, rec.Recipient)
	for _, e := range list {
		if e.Consent.RecipientType == string(rec.RecipientType) && e.Consent.Status == string(rec.Status) && e.Consent.ConsentDate.Equal(rec.ConsentDate) {
			return true, err
		}
	}
	return false, err
}
