package desk

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/inbound/keyword"
)

// ListSenders lists sender IDs by account, channel and name.
func (a *Admin) ListSenders(_ context.Context, q Query) ([]gateway.Sender, error) {
	out := []gateway.Sender{}
	for _, s := range a.store.Directory().Senders {
		if q.Account == 0 || s.Account == q.Account {
			out = append(out, *s)
		}
	}
	slices.SortFunc(out, func(x, y gateway.Sender) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Channel, y.Channel), cmp.Compare(x.Name, y.Name))
	})
	return out, nil
}

// PutSender creates or changes a sender ID. Under [WithoutGrants] it only asks for one: CodeMissingScope where it is there already.
func (a *Admin) PutSender(ctx context.Context, in gateway.Sender) (gateway.Sender, error) {
	name, err := senderName(in.Channel, in.Name)
	if err != nil {
		return in, err
	}
	in.Name = name
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.checkBrand(in.Account, in.Brand, true); err != nil {
		return in, err
	}
	before := a.store.Directory().Senders[gateway.SenderKey{Account: in.Account, Channel: in.Channel, Name: in.Name}]
	if !mayGrant(ctx) {
		if before != nil { // compared in the form it is matched in: Ornek.COM would write over ornek.com
			return in, gateway.Refuse(gateway.CodeMissingScope, "name", "Account %d has the %s sender %q already; only an administrator of the gateway changes it.",
				in.Account, in.Channel, in.Name)
		}
		in.Approved = false
	}
	if in.Created = a.deps.Now(); before != nil {
		in.Created = before.Created
	}
	target := fmt.Sprintf("sender %s %s of account %d", in.Channel, in.Name, in.Account)
	return in, commit(ctx, a, "PutSender", target, before, &in, a.store.PutSender)
}

// DeleteSender removes a sender ID; messages accepted before still leave under it.
func (a *Admin) DeleteSender(ctx context.Context, k gateway.SenderKey) (Nothing, error) {
	if name, err := senderName(k.Channel, k.Name); err == nil {
		k.Name = name
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.store.Directory().Senders[k]
	if before == nil {
		return Nothing{}, gateway.Refuse(gateway.CodeNotFound, "name", "Account %d has no %s sender %q.", k.Account, k.Channel, k.Name)
	}
	if err := a.store.DeleteSender(ctx, k); err != nil {
		return Nothing{}, err
	}
	a.audit(ctx, "DeleteSender", fmt.Sprintf("sender %s %s of account %d", k.Channel, k.Name, k.Account), before, (*gateway.Sender)(nil))
	return Nothing{}, nil
}

// senderName returns the form in which a sender is matched: a title as written, digits of a number, a domain in lower case.
func senderName(channel, name string) (string, error) {
	switch channel {
	case gateway.ChannelSMS:
		s, err := address.ParseSender(name)
		if err != nil {
			return "", invalid("name", "%q cannot be an SMS sender: a title has 1 to %d characters out of A–Z, a–z, 0–9, blank inside and "+
				"!\"#%%&'()*+,-./:;<=>?, one of them a letter (no Turkish letters: phones would not show them); or give a number.",
				name, address.MaxTitle)
		}
		return s.Address, nil
	case gateway.ChannelEmail:
		domain := strings.ToLower(strings.TrimSpace(name))
		if strings.Contains(domain, "@") {
			return "", invalid("name", "%q is an address; an e-mail sender is the domain after the @.", name)
		}
		if _, err := address.ParseEmail("postmaster@" + domain); err != nil {
			return "", invalid("name", "%q is not a domain such as bulten.example.com (write international names in their xn-- form).", name)
		}
		return domain, nil
	case "":
		return "", invalid("channel", "The channel is missing: sms or email.")
	}
	return "", oneOf("channel", channel, gateway.ChannelSMS, gateway.ChannelEmail)
}

// checkBrand checks that the account exists and the brand is its own.
func (a *Admin) checkBrand(id gateway.AccountID, brand string, required bool) error {
	if _, err := a.account(id); err != nil {
		return err
	}
	switch {
	case brand == "" && required:
		return invalid("brand", "The brand is missing: every sender ID belongs to one (see \"izinli brand list\").")
	case brand != "" && a.store.Directory().BrandOf(id, brand) == nil:
		return gateway.Refuse(gateway.CodeBrand, "brand", "Account %d has no brand %s.", id, brand)
	}
	return nil
}

// ListNumbers lists inbound numbers by number and keyword.
func (a *Admin) ListNumbers(_ context.Context, q Query) ([]gateway.Number, error) {
	out := []gateway.Number{}
	for _, list := range a.store.Directory().Numbers {
		for _, n := range list {
			if q.Account == 0 || n.Account == q.Account {
				out = append(out, *n)
			}
		}
	}
	slices.SortFunc(out, func(x, y gateway.Number) int {
		return cmp.Or(cmp.Compare(x.Number, y.Number), cmp.Compare(x.Keyword, y.Keyword))
	})
	return out, nil
}

// PutNumber creates or changes an inbound number, whole or by keyword.
func (a *Admin) PutNumber(ctx context.Context, in gateway.Number) (gateway.Number, error) {
	if err := normalNumber(&in); err != nil {
		return in, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.checkBrand(in.Account, in.Brand, false); err != nil {
		return in, err
	}
	d := a.store.Directory()
	if in.System != "" {
		c := d.Credentials[gateway.CredentialKey{Kind: gateway.KindSMPP, ID: in.System}]
		if c == nil || c.Account != in.Account {
			return in, gateway.Refuse(gateway.CodeNotFound, "system", "Account %d has no SMPP credential %s to deliver to.", in.Account, in.System)
		}
	}
	return in, commit(ctx, a, "PutNumber", "number "+numberText(&in), findNumber(d, &in), &in, a.store.PutNumber)
}

// DeleteNumber removes an inbound number (and keyword).
func (a *Admin) DeleteNumber(ctx context.Context, in gateway.Number) (Nothing, error) {
	if err := normalNumber(&in); err != nil {
		return Nothing{}, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := findNumber(a.store.Directory(), &in)
	if before == nil || in.Account != 0 && in.Account != before.Account {
		return Nothing{}, gateway.Refuse(gateway.CodeNotFound, "number", "There is no inbound number %s.", numberText(&in))
	}
	if err := a.store.DeleteNumber(ctx, before); err != nil {
		return Nothing{}, err
	}
	a.audit(ctx, "DeleteNumber", "number "+numberText(before), before, (*gateway.Number)(nil))
	return Nothing{}, nil
}

func findNumber(d *gateway.Directory, n *gateway.Number) *gateway.Number {
	for _, x := range d.Numbers[n.Number] {
		if x.Keyword == n.Keyword {
			return x
		}
	}
	return nil
}

func numberText(n *gateway.Number) string {
	return strings.TrimSpace(n.Number + " " + n.Keyword)
}

// normalNumber brings number and keyword into the form they are matched in: digits without plus, one folded word.
func normalNumber(n *gateway.Number) error {
	s, err := address.ParseSender(n.Number)
	if err != nil || s.Kind == address.SenderAlpha {
		return invalid("number", "%q is not a number people can write to: give a short number such as 3338 or a full one.", n.Number)
	}
	n.Number = s.Address
	if n.Keyword == "" {
		return nil
	}
	folded := keyword.Fold(n.Keyword)
	switch {
	case folded == "" || strings.Contains(folded, " "):
		return invalid("keyword", "%q is not one word of letters and digits.", n.Keyword)
	case len(folded) > 20:
		return invalid("keyword", "%q is longer than 20 characters.", n.Keyword)
	case slices.Contains(keyword.DefaultStop(), folded) || slices.Contains(keyword.DefaultWeak(), folded):
		return invalid("keyword", "%s means an opt-out on every number; it cannot be a keyword.", folded)
	}
	n.Keyword = folded
	return nil
}
