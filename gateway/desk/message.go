package desk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/iys"
)

func asRefusal(err error) (*gateway.Error, bool) {
	var e *gateway.Error
	ok := errors.As(err, &e)
	return e, ok
}

func messageID(s string) (gateway.MessageID, error) {
	id, err := gateway.ParseMessageID(strings.TrimSpace(s))
	if err != nil {
		return id, invalid("id", "%q is not a message id; it has 26 letters and digits.", s)
	}
	return id, nil
}

func batchRef(s string) (gateway.BatchRef, error) {
	ref, err := gateway.ParseBatchRef(strings.TrimSpace(s))
	if err != nil {
		return ref, invalid("id", "%q is not a batch id; it has 20 letters and digits.", s)
	}
	return ref, nil
}

// Message tells all about one message; its account stands in the id.
func (a *Admin) Message(ctx context.Context, in Name) (out MessageDetail, err error) {
	id, err := messageID(in.Name)
	if err != nil {
		return out, err
	}
	if out.Message, err = a.store.Message(ctx, id.Account, id); err != nil {
		return out, err
	}
	out.Decisions, err = a.store.Decisions(ctx, id.Account, id)
	return out, err
}

// ListMessages lists an account's messages.
func (a *Admin) ListMessages(ctx context.Context, q MessageQuery) (page gateway.Page[gateway.MessageView], err error) {
	if _, err := a.account(q.Account); err != nil {
		return page, err
	}
	f := gateway.MessageFilter{Batch: q.Batch, State: gateway.ParseState(q.State), To: q.To, Since: q.Since, Cursor: q.Cursor, Limit: q.Limit}
	if q.State != "" && f.State == gateway.StateNone {
		return page, invalid("state", "%q is no state of a message, such as queued, held, sent, delivered, dropped or failed.", q.State)
	}
	if q.Batch != (gateway.BatchRef{}) && q.Batch.Account != q.Account {
		return page, gateway.Refuse(gateway.CodeNotFound, "batch", "Account %d has no batch %s.", q.Account, q.Batch)
	}
	if q.To != "" {
		if f.To, err = recipient(q.To); err != nil {
			return page, err
		}
	}
	return a.store.Messages(ctx, q.Account, f)
}

// recipient brings an address into the form in which messages keep it.
func recipient(s string) (string, error) {
	if strings.Contains(s, "@") {
		m, err := address.ParseMailbox(s)
		if err != nil {
			return "", gateway.Refuse(gateway.CodeBadAddress, "to", "%q is not an e-mail address.", s)
		}
		return string(m), nil
	}
	n, err := address.Parse(s, address.Options{})
	if err != nil {
		return "", gateway.Refuse(gateway.CodeBadNumber, "to", "%q is not a mobile number.", s)
	}
	return n.String(), nil
}

// CancelMessage stops a message that has not left.
func (a *Admin) CancelMessage(ctx context.Context, in Name) (Nothing, error) {
	id, err := messageID(in.Name)
	if err == nil {
		err = a.store.CancelMessage(ctx, id.Account, id)
	}
	if err == nil {
		a.audit(ctx, "CancelMessage", "message "+id.String(), nil, nil)
	}
	return Nothing{}, err
}

// Batch tells where a batch stands.
func (a *Admin) Batch(ctx context.Context, in Name) (v gateway.BatchView, err error) {
	ref, err := batchRef(in.Name)
	if err != nil {
		return v, err
	}
	return a.store.Batch(ctx, ref.Account, ref)
}

// PauseBatch holds what has not left.
func (a *Admin) PauseBatch(ctx context.Context, in Name) (gateway.BatchView, error) {
	return a.steer(ctx, "PauseBatch", in, a.store.PauseBatch)
}

// ResumeBatch lets a paused batch go on.
func (a *Admin) ResumeBatch(ctx context.Context, in Name) (gateway.BatchView, error) {
	return a.steer(ctx, "ResumeBatch", in, a.store.ResumeBatch)
}

func (a *Admin) steer(ctx context.Context, what string, in Name, act func(context.Context, gateway.AccountID, gateway.BatchRef) error) (v gateway.BatchView, err error) {
	ref, err := batchRef(in.Name)
	if err != nil {
		return v, err
	}
	if err := act(ctx, ref.Account, ref); err != nil {
		return v, err
	}
	a.audit(ctx, what, "batch "+ref.String(), nil, nil)
	return a.store.Batch(ctx, ref.Account, ref)
}

// CancelBatch stops what has not left and refunds it.
func (a *Admin) CancelBatch(ctx context.Context, in Name) (out Cancelled, err error) {
	ref, err := batchRef(in.Name)
	if err != nil {
		return out, err
	}
	if out.Cancelled, err = a.store.CancelBatch(ctx, ref.Account, ref); err == nil {
		a.audit(ctx, "CancelBatch", "batch "+ref.String(), nil, &out)
	}
	return out, err
}

// Verify proves the invariants of the store.
func (a *Admin) Verify(ctx context.Context, _ Nothing) (Report, error) {
	if a.deps.Verify == nil {
		return Report{}, gateway.Refuse(gateway.CodeUnavailable, "", "This process cannot verify the store.")
	}
	return a.deps.Verify(ctx)
}

// principal stands for the administrator towards those who ask who is calling. It acts for the account with every right.
func principal(ctx context.Context, a gateway.AccountID) *gateway.Principal {
	return &gateway.Principal{Account: a, Credential: gateway.Credential{
		ID: ActorOf(ctx), Account: a, Scopes: []string{gateway.ScopeRead, gateway.ScopeConsents},
	}}
}

// wireChannel turns our name of a channel into İYS's; İYS's own pass.
func wireChannel(s string) (string, error) {
	switch s {
	case gateway.ChannelSMS:
		return string(iys.ChannelSMS), nil
	case gateway.ChannelEmail:
		return string(iys.ChannelEmail), nil
	}
	if iys.Channel(s).Valid() {
		return s, nil
	}
	return "", invalid("channel", "%q is not a channel; choose sms or email (MESAJ, EPOSTA).", s)
}

// LookupConsent tells what is known of an address.
func (a *Admin) LookupConsent(ctx context.Context, q ConsentQuery) (v gateway.ConsentView, err error) {
	if a.deps.Consents == nil {
		return v, unavailable("consents")
	}
	channel, err := wireChannel(q.Channel)
	if err != nil {
		return v, err
	}
	if q.RecipientType == "" {
		q.RecipientType = gateway.RecipientIndividual
	}
	if err := first(a.checkBrand(q.Account, q.Brand, true), oneOf("recipientType", q.RecipientType, gateway.RecipientIndividual, gateway.RecipientMerchant)); err != nil {
		return v, err
	}
	return a.deps.Consents.Lookup(ctx, principal(ctx, q.Account), q.Brand, channel, q.RecipientType, q.Address)
}

// AddConsents records consents; their channel may also be spelled sms or email.
func (a *Admin) AddConsents(ctx context.Context, in ConsentInput) ([]gateway.ConsentResult, error) {
	if a.deps.Consents == nil {
		return nil, unavailable("consents")
	}
	if _, err := a.account(in.Account); err != nil {
		return nil, err
	}
	list := slices.Clone(in.Consents)
	for i := range list {
		channel, err := wireChannel(list[i].Channel)
		if err != nil {
			return nil, err
		}
		list[i].Channel = channel
	}
	out, err := a.deps.Consents.Add(ctx, principal(ctx, in.Account), list)
	if err == nil {
		a.audit(ctx, "AddConsents", fmt.Sprintf("%d consents of account %d", len(in.Consents), in.Account), nil, nil)
	}
	return out, err
}

// OptOut blocks an address for a brand at once.
func (a *Admin) OptOut(ctx context.Context, in gateway.OptOut) (Nothing, error) {
	if a.deps.Consents == nil {
		return Nothing{}, unavailable("opt-outs")
	}
	channel, err := wireChannel(in.Channel)
	if err == nil {
		in.Channel = channel
		err = a.checkBrand(in.Account, in.Brand, true)
	}
	if err == nil {
		err = a.deps.Consents.OptOut(ctx, in)
	}
	if err == nil {
		a.audit(ctx, "OptOut", fmt.Sprintf("brand %s %s %s", in.Brand, in.Channel, address.Mask(in.Address)), nil, nil)
	}
	return Nothing{}, err
}

// ListBlacklist pages through an account's blacklist.
func (a *Admin) ListBlacklist(ctx context.Context, q BlacklistQuery) (page gateway.Page[BlacklistEntry], err error) {
	if a.deps.Blacklist == nil {
		return page, unavailable("blacklists")
	}
	if _, err := a.account(q.Account); err != nil {
		return page, err
	}
	return a.deps.Blacklist.Blacklist(ctx, q.Account, q.Cursor, q.Limit)
}

// PutBlacklist puts an address on an account's blacklist: nothing goes there any more, whatever its class.
func (a *Admin) PutBlacklist(ctx context.Context, in BlacklistEntry) (Nothing, error) {
	return Nothing{}, a.blacklist(ctx, "PutBlacklist", &in, true, func() error { return a.deps.Blacklist.PutBlacklist(ctx, in) })
}

// DeleteBlacklist takes an address off an account's blacklist.
func (a *Admin) DeleteBlacklist(ctx context.Context, in BlacklistEntry) (Nothing, error) {
	return Nothing{}, a.blacklist(ctx, "DeleteBlacklist", &in, false, func() error { return a.deps.Blacklist.DeleteBlacklist(ctx, in.Account, in.Address) })
}

func (a *Admin) blacklist(ctx context.Context, what string, in *BlacklistEntry, stays bool, act func() error) error {
	if a.deps.Blacklist == nil {
		return unavailable("blacklists")
	}
	if _, err := a.account(in.Account); err != nil {
		return err
	}
	var err error
	if in.Address, err = recipient(in.Address); err != nil {
		return err
	}
	if in.Note, err = text("note", in.Note, false, 200); err != nil {
		return err
	}
	// No lock and no refusal here: what stood before is for the trail alone, and nobody on the list may be written to meanwhile.
	before, err := a.deps.Blacklist.Blacklisted(ctx, in.Account, in.Address)
	if err != nil {
		a.deps.Log.Warn("the entry of a blacklist before its change is not known", "account", in.Account, "err", err)
	}
	in.At = a.deps.Now()
	if err := act(); err != nil {
		return err
	}
	target := fmt.Sprintf("account %d, %s", in.Account, address.Mask(in.Address))
	after := masked(in)
	if !stays {
		after = nil
		if in.Note != "" {
			target += ": " + in.Note
		}
	}
	a.audit(ctx, what, target, masked(before), after)
	return nil
}

// masked is an entry for the trail, which shows no whole address.
func masked(e *BlacklistEntry) *BlacklistEntry {
	if e == nil {
		return nil
	}
	c := *e
	c.Address = address.Mask(c.Address)
	return &c
}
