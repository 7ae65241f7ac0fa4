package desk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/evidence"
)

// evidenceMessages is how many messages to an address one bundle holds.
const evidenceMessages = 200

// EvidenceQuery asks for everything about a message, or about the messages of an account to an address: one of the two is given.
type EvidenceQuery struct {
	Message string            `json:"message,omitempty"`
	Account gateway.AccountID `json:"account,omitempty"` // with Address
	Address string            `json:"address,omitempty"` // as a person writes it
}

// RootQuery names days, both included. The zero From is seven days ago, the zero To today.
type RootQuery struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to,omitzero"`
}

// Evidence gathers a bundle. That somebody did stands in the trail: it holds whole addresses and texts.
func (a *Admin) Evidence(ctx context.Context, q EvidenceQuery) (evidence.Bundle, error) {
	acct, addr, ids, more, err := a.evidenceOf(ctx, q)
	if err != nil {
		return evidence.Bundle{}, err
	}
	b, err := a.store.Evidence(ctx, acct, addr, ids)
	if err != nil {
		return evidence.Bundle{}, err
	}
	b.By, b.Message, b.Account.ID = ActorOf(ctx), q.Message, acct
	if x := a.store.Directory().Accounts[acct]; x != nil {
		b.Account = evidence.Account{ID: x.ID, Name: x.Name, IYSCode: x.IYSCode, MERSIS: x.MERSIS}
	}
	if more {
		b.Notes = append(b.Notes, fmt.Sprintf("Yalnızca son %d ileti yer alır. / Only the last %d messages are here.", len(ids), len(ids)))
	}
	if err := b.Seal(); err != nil {
		return evidence.Bundle{}, err
	}
	a.audit(ctx, "Evidence", firstOf(q.Message, fmt.Sprintf("address of account %d", acct)), nil, map[string]string{"digest": b.Digest})
	return *b, nil
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// evidenceOf finds whose, which address and which messages are meant.
func (a *Admin) evidenceOf(ctx context.Context, q EvidenceQuery) (acct gateway.AccountID, addr string, ids []gateway.MessageID, more bool, err error) {
	if (q.Message == "") == (q.Address == "") {
		return 0, "", nil, false, invalid("message", "Name a message, or an address with its account.")
	}
	if q.Message != "" {
		id, err := messageID(q.Message)
		if err != nil {
			return 0, "", nil, false, err
		}
		m, err := a.store.Message(ctx, id.Account, id)
		return id.Account, m.To, []gateway.MessageID{id}, false, err
	}
	if _, err := a.account(q.Account); err != nil {
		return 0, "", nil, false, err
	}
	if addr, err = recipient(q.Address); err != nil {
		return 0, "", nil, false, err
	}
	page, err := a.store.Messages(ctx, q.Account, gateway.MessageFilter{To: addr, Limit: evidenceMessages})
	for i := range page.Items {
		ids = append(ids, page.Items[i].ID)
	}
	return q.Account, addr, ids, page.Next != "" && len(page.Items) == evidenceMessages, err
}

// Roots lists the roots of days.
func (a *Admin) Roots(ctx context.Context, q RootQuery) ([]evidence.DayRoot, error) {
	now := a.deps.Now()
	if q.To.IsZero() {
		q.To = now
	}
	if q.From.IsZero() {
		q.From = q.To.AddDate(0, 0, -7)
	}
	out, err := a.store.Roots(ctx, q.From, q.To)
	if out == nil {
		out = []evidence.DayRoot{}
	}
	return out, err
}

// Packages tells how accounts stand towards their İYS packages.
func (a *Admin) Packages(ctx context.Context, q Query) ([]gateway.PackageReport, error) {
	if a.deps.Package == nil {
		return nil, gateway.Refuse(gateway.CodeUnavailable, "", "The server must be running: packages are known to it alone.")
	}
	ids := slices.Sorted(maps.Keys(a.store.Directory().Accounts))
	if q.Account != 0 {
		ids = []gateway.AccountID{q.Account}
	}
	out := []gateway.PackageReport{}
	for _, id := range ids {
		r, err := a.deps.Package(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// ListHolds lists legal holds.
func (a *Admin) ListHolds(ctx context.Context, q Query) ([]gateway.Hold, error) {
	return a.store.Holds(ctx, q.Account)
}

// holdOf checks what is to be held and brings it into the stored form.
func (a *Admin) holdOf(h gateway.Hold) (gateway.Hold, error) {
	if h.Message != "" && h.Address != "" {
		return h, invalid("message", "A hold is on a message, an address or an account, not on two of them.")
	}
	if h.Message != "" {
		id, err := messageID(h.Message)
		if err != nil {
			return h, err
		}
		h.Message, h.Account = id.String(), id.Account
	}
	if _, err := a.account(h.Account); err != nil {
		return h, err
	}
	if h.Address != "" {
		addr, err := recipient(h.Address)
		if err != nil {
			return h, err
		}
		h.Address = addr
	}
	return h, nil
}

// PutHold puts a message, an address or an account under legal hold.
func (a *Admin) PutHold(ctx context.Context, h gateway.Hold) (gateway.Hold, error) {
	h, err := a.holdOf(h)
	if err != nil {
		return h, err
	}
	if h.Why, err = text("why", h.Why, true, 500); err != nil {
		return h, err
	}
	if h.Message != "" {
		id, err := messageID(h.Message)
		if err == nil {
			_, err = a.store.Message(ctx, id.Account, id)
		}
		if err != nil {
			return h, err
		}
	}
	h.By, h.At = ActorOf(ctx), a.deps.Now()
	if err := a.store.PutHold(ctx, h); err != nil {
		return h, err
	}
	a.audit(ctx, "PutHold", h.Name(), nil, &h)
	return h, nil
}

// DeleteHold lifts a legal hold.
func (a *Admin) DeleteHold(ctx context.Context, h gateway.Hold) (Nothing, error) {
	h, err := a.holdOf(h)
	if err == nil {
		err = a.store.DeleteHold(ctx, h)
	}
	if err == nil {
		a.audit(ctx, "DeleteHold", strings.TrimSpace(h.Name()), &h, nil)
	}
	return Nothing{}, err
}
