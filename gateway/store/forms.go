package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
)

// PutForm creates or revokes a consent form.
func (s *Store) PutForm(_ context.Context, f *gateway.Form) error {
	return s.edit(dirForm, f.ID, f, func(d *gateway.Directory) error {
		if old := d.Forms[f.ID]; old != nil && old.Account != f.Account {
			return gateway.Refuse(gateway.CodeConflict, "id", "form %s belongs to another account", f.ID)
		}
		if d.BrandOf(f.Account, f.Brand) == nil {
			return gateway.Refuse(gateway.CodeBrand, "brand", "brand %s does not belong to account %d", f.Brand, f.Account)
		}
		return needAccount(f.Account)(d)
	})
}

// An opt-in waits under its code until it expires; once confirmed it stays a while longer, so that its link can say so. What lasts
// is the evidence in the history of the address.

// PutOptIn keeps a request that waits for its confirmation, and returns after the sync.
func (s *Store) PutOptIn(_ context.Context, o *gateway.OptIn) error {
	return s.do(func(t *tx) error { return t.putOptIn(o, o.Expires.Sub(t.now)) })
}

func (t *tx) putOptIn(o *gateway.OptIn, life time.Duration) error {
	v, err := json.Marshal(o)
	if err != nil {
		return fatal(err)
	}
	return t.set(optInKey(o.Code), v, max(life, time.Second))
}

// OptIn returns the request of a code, false when there is none.
func (s *Store) OptIn(_ context.Context, code string) (o gateway.OptIn, ok bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		o, ok, err = optIn(txn, code)
		return err
	})
	return o, ok, err
}

func optIn(txn *badger.Txn, code string) (o gateway.OptIn, ok bool, err error) {
	v, err := getValue(txn, optInKey(code))
	if err != nil || v == nil {
		return o, false, err
	}
	if err := json.Unmarshal(v, &o); err != nil {
		return o, false, fmt.Errorf("%w: opt-in: %w", errCorrupt, err)
	}
	o.Code = code
	return o, true, nil
}

// ConfirmOptIn notes that the person confirmed, with the evidence, in the request and for good in the history of the address. The
// first confirmation stands; the request is returned as it is stored. CodeNotFound when there is none.
func (s *Store) ConfirmOptIn(_ context.Context, code string, by gateway.Trace, evidence string) (o gateway.OptIn, err error) {
	err = s.do(func(t *tx) error {
		have, ok, err := optIn(t.txn, code)
		if err != nil {
			return err
		}
		if !ok {
			return notFound("opt-in", "of that code")
		}
		if o = have; !o.Confirmed.At.IsZero() {
			return nil
		}
		o.Confirmed, o.Evidence = by, evidence
		if err := t.putOptIn(&o, gateway.OptInKept); err != nil {
			return err
		}
		return fatal(t.proof(&o))
	})
	return o, err
}

// proof writes a line of history with the evidence. Like every line it is renewed as long as the consent is valid, and goes when the
// retention behind its end is over (retention.go; regulation.md §10).
func (t *tx) proof(o *gateway.OptIn) error {
	ch := iys.ChannelSMS
	if o.Channel == gateway.ChannelEmail {
		ch = iys.ChannelEmail
	}
	ev := gateway.ConsentEvent{At: t.now, How: "form", Sync: "confirmed", Consent: gateway.Consent{Brand: o.Brand, Channel: string(ch),
		Address: o.Address, RecipientType: gateway.RecipientIndividual, Status: string(iys.StatusApproved), Source: string(iys.SourceHSWeb),
		ConsentDate: o.Confirmed.At, Evidence: o.Evidence}}
	v, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	return t.set(historyPrefix(o.Account, o.Brand, channelByte(ch), o.Address).u64(t.s.nextSeq()), v, t.s.opt.Retention)
}

// DoneOptIn notes that the consent of a confirmed request has been registered.
func (s *Store) DoneOptIn(_ context.Context, code string, at time.Time) error {
	return s.do(func(t *tx) error {
		o, ok, err := optIn(t.txn, code)
		if err != nil {
			return err
		}
		if !ok {
			return notFound("opt-in", "of that code")
		}
		o.Registered = at
		return t.putOptIn(&o, gateway.OptInKept)
	})
}
