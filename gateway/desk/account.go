package desk

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"izinli/gateway"
)

// values copies the records of a directory map that match, in order of key.
func values[K cmp.Ordered, T any](m map[K]*T, match func(*T) bool) []T {
	out := []T{}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if match(m[k]) {
			out = append(out, *m[k])
		}
	}
	return out
}

// ListAccounts lists accounts by number.
func (a *Admin) ListAccounts(_ context.Context, q Query) ([]gateway.Account, error) {
	if q.Account != 0 {
		if _, err := a.account(q.Account); err != nil {
			return nil, err
		}
	}
	return values(a.store.Directory().Accounts, func(x *gateway.Account) bool { return q.Account == 0 || x.ID == q.Account }), nil
}

// PutAccount creates or changes an account.
func (a *Admin) PutAccount(ctx context.Context, in gateway.Account) (gateway.Account, error) {
	if err := checkAccount(&in); err != nil {
		return in, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var before *gateway.Account
	in.Suspended = false
	if in.ID != 0 {
		var err error
		if before, err = a.account(in.ID); err != nil {
			return in, err
		}
		in.Created, in.Suspended = before.Created, before.Suspended
	}
	if err := a.store.PutAccount(ctx, &in); err != nil {
		return in, err
	}
	a.audit(ctx, "PutAccount", fmt.Sprintf("account %d", in.ID), before, &in)
	return in, nil
}

// SuspendAccount stops or resumes an account.
func (a *Admin) SuspendAccount(ctx context.Context, in Suspension) (gateway.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before, err := a.account(in.Account)
	if err != nil {
		return gateway.Account{}, err
	}
	after := *before
	after.Suspended = in.Suspended
	err = commit(ctx, a, "SuspendAccount", fmt.Sprintf("account %d", in.Account), before, &after, a.store.PutAccount)
	return after, err
}

func checkAccount(x *gateway.Account) (err error) {
	if x.Name, err = text("name", x.Name, true, 120); err != nil {
		return err
	}
	return first(checkMERSIS(x.MERSIS), optionalCode(x.IYSCode), checkPolicy(&x.Policy))
}

func checkMERSIS(s string) error {
	if s != "" && (len(s) != 16 || strings.Trim(s, "0123456789") != "") {
		return invalid("mersis", "A MERSİS number has 16 digits; %q has not.", s)
	}
	return nil
}

// Quiet hours where an account sets none, minutes of the day are the dispatcher's; here only to compare.
const (
	defaultQuietFrom = "21:00"
	defaultQuietTo   = "08:00"
)

func checkPolicy(p *gateway.AccountPolicy) error {
	if err := first(clock("policy.quietFrom", p.QuietFrom), clock("policy.quietTo", p.QuietTo)); err != nil {
		return err
	}
	if cmp.Or(p.QuietFrom, defaultQuietFrom) == cmp.Or(p.QuietTo, defaultQuietTo) {
		return invalid("policy.quietFrom", "Quiet hours that begin and end at %s have no length; set policy.quietOff to have none.",
			cmp.Or(p.QuietFrom, defaultQuietFrom))
	}
	return first(
		oneOf("policy.promotional", p.Promotional, "off", "warn", "hold"),
		oneOf("policy.content", p.Content, "append", "refuse"),
		oneOf("policy.onDoubt", p.OnDoubt, "resend", "report"),
		within("policy.maxSegments", p.MaxSegments, 0, 255), // 3GPP TS 23.040 §9.2.3.24.1: a concatenation has at most 255 parts
		within("policy.maxPerSecond", p.MaxPerSecond, 0, 100_000),
		within("policy.creditWarning", p.CreditWarning, 0, 1<<40),
	)
}

// clock checks a time of day in the form 21:00; the empty one means the default.
func clock(field, s string) error {
	if s == "" {
		return nil
	}
	if _, err := time.Parse("15:04", s); err != nil || len(s) != 5 {
		return invalid(field, "%q is not a time of day; write it as 21:00 (Istanbul time).", s)
	}
	return nil
}

// AddCredits books credits.
func (a *Admin) AddCredits(ctx context.Context, in CreditEntry) (gateway.Balance, error) {
	if _, err := a.account(in.Account); err != nil {
		return gateway.Balance{}, err
	}
	note, err := text("note", in.Note, true, 200)
	if err != nil {
		return gateway.Balance{}, err
	}
	if in.Credits == 0 {
		return gateway.Balance{}, invalid("credits", "No credits to book; give how many (negative takes some back).")
	}
	if err := within("credits", in.Credits, -1<<40, 1<<40); err != nil {
		return gateway.Balance{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before, err := a.store.Balance(ctx, in.Account)
	if err != nil {
		return before, err
	}
	after, err := a.store.AddCredits(ctx, in.Account, in.Credits, note)
	if err == nil {
		a.audit(ctx, "AddCredits", fmt.Sprintf("account %d: %+d credits, %s", in.Account, in.Credits, note), &before, &after)
	}
	return after, err
}

// Balance tells an account's credits.
func (a *Admin) Balance(ctx context.Context, q Query) (gateway.Balance, error) {
	if _, err := a.account(q.Account); err != nil {
		return gateway.Balance{}, err
	}
	return a.store.Balance(ctx, q.Account)
}
