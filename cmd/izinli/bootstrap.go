package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/store"
)

// bootstrapMark is the store's note about the bootstrap section: begun, then done.
const bootstrapMark = "bootstrap"

// bootstrap fills an empty store with the configuration's bootstrap section; a store that holds anything already is left alone.
func bootstrap(ctx context.Context, cfg *configs.Config, s *assembly.Server) error {
	return fill(desk.WithActor(ctx, "bootstrap"), cfg, s.Store, s.Admin, os.Stderr)
}

// fill does it in two steps, so that a mistake in the section cannot leave half of it behind: the whole is tried on a store in
// memory first. A crash in between is noticed at the next start.
func fill(ctx context.Context, cfg *configs.Config, st *store.Store, admin desk.Service, notices io.Writer) error {
	mark, _, err := st.Named(bootstrapMark)
	if err != nil {
		return err
	}
	b := &cfg.Bootstrap
	switch d := st.Directory(); {
	case string(mark) == "begun":
		return fmt.Errorf("bootstrap: the first start was interrupted; nothing has been accepted yet, so remove %s and start again", storeDir(cfg))
	case len(mark) > 0, b.Empty(), len(d.Accounts)+len(d.Operators)+len(d.IYSLinks)+len(d.Routes)+len(d.Smarthosts)+len(d.RelayPeers) > 0:
		return nil
	}
	if err := rehearse(ctx, cfg); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := st.PutNamed(bootstrapMark, []byte("begun")); err != nil {
		return err
	}
	if err := (&seeder{Service: admin, iysURL: cfg.IYS.BaseURL, out: notices}).seed(ctx, b); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	return st.PutNamed(bootstrapMark, []byte("done"))
}

// rehearse tries the section on a store in memory.
func rehearse(ctx context.Context, cfg *configs.Config) error {
	st, err := store.Open(store.Options{InMemory: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	err = (&seeder{Service: desk.New(desk.Deps{Store: st, PublicURL: func() string { return cfg.PublicURL }}), iysURL: cfg.IYS.BaseURL, out: io.Discard, rehearsal: true}).seed(ctx, &cfg.Bootstrap)
	if closeErr := st.Close(); err == nil {
		err = closeErr
	}
	return err
}

// seeder carries the section out.
type seeder struct {
	desk.Service
	iysURL    string    // for links that name none
	out       io.Writer // told of secrets that were made
	rehearsal bool      // without consents, which only a server knows
	accounts  map[string]gateway.AccountID
}

// at names the place of an error in the section.
func at(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// seed makes everything in the order in which one thing needs another.
func (s *seeder) seed(ctx context.Context, b *configs.Bootstrap) error {
	s.accounts = map[string]gateway.AccountID{}
	for i, l := range b.IYSLinks {
		_, err := s.PutIYSLink(ctx, desk.IYSLinkInput{Password: l.Password, AHSPassword: l.AHSPassword, Link: gateway.IYSLink{
			Name: l.Name, BaseURL: cmp.Or(l.BaseURL, s.iysURL), Username: l.Username, IntegratorCode: l.IntegratorCode, AHSURL: l.AHSURL, AHSUser: l.AHSUser}})
		if err != nil {
			return at(err, "iysLinks[%d]", i)
		}
	}
	for i := range b.Operators {
		if err := s.operator(ctx, &b.Operators[i]); err != nil {
			return at(err, "operators[%d]", i)
		}
	}
	for i := range b.Accounts {
		if err := s.account(ctx, &b.Accounts[i]); err != nil {
			return at(err, "accounts[%d]", i)
		}
	}
	for i := range b.Routes {
		if err := s.route(ctx, &b.Routes[i]); err != nil {
			return at(err, "routes[%d]", i)
		}
	}
	return s.mail(ctx, b)
}

func (s *seeder) operator(ctx context.Context, o *configs.BootOperator) error {
	_, err := s.PutOperator(ctx, desk.OperatorInput{Password: o.Password, Operator: gateway.Operator{
		Name: o.Name, Addr: o.Addr, TLS: o.TLS, TLSInsecure: o.TLSInsecure, SystemID: o.SystemID, SystemType: o.SystemType, BindType: o.BindType,
		Binds: o.Binds, Window: o.Window, PerSecond: o.PerSecond, NoReceipts: o.NoReceipts, IDForm: o.IDForm, National: o.National,
		Alphabet: o.Alphabet, Suffix: o.Suffix, ResponseTimeout: o.ResponseTimeout.Std(), EnquireLink: o.EnquireLink.Std()}})
	return err
}

func (s *seeder) route(ctx context.Context, r *configs.BootRoute) error {
	out := gateway.Route{ID: r.ID, Class: r.Class, Prefix: r.Prefix}
	var err error
	if out.Account, err = s.accountOf(r.Account); err != nil {
		return err
	}
	for _, st := range r.Operators {
		out.Operators = append(out.Operators, gateway.RouteStep{Operator: st.Operator, Weight: st.Weight, Rank: st.Rank})
	}
	_, err = s.PutRoute(ctx, out)
	return err
}

func (s *seeder) account(ctx context.Context, b *configs.BootAccount) error {
	a, err := s.PutAccount(ctx, gateway.Account{Name: b.Name, IYSCode: b.IYSCode, MERSIS: b.MERSIS, Policy: gateway.AccountPolicy(b.Policy)})
	if err != nil {
		return err
	}
	s.accounts[b.Name] = a.ID
	for i := range b.Brands {
		if err := s.brand(ctx, a.ID, &b.Brands[i]); err != nil {
			return at(err, "brands[%d]", i)
		}
	}
	for i, x := range b.Senders {
		_, err := s.PutSender(ctx, gateway.Sender{Name: x.Name, Account: a.ID, Channel: x.Channel, Brand: x.Brand, Approved: x.Approved})
		if err != nil {
			return at(err, "senders[%d]", i)
		}
	}
	if err := s.signatures(ctx, a.ID, b); err != nil {
		return err
	}
	for i := range b.Credentials {
		if err := s.credential(ctx, a.ID, &b.Credentials[i]); err != nil {
			return at(err, "credentials[%d]", i)
		}
	}
	for i, n := range b.Numbers {
		_, err := s.PutNumber(ctx, gateway.Number{Number: n.Number, Keyword: n.Keyword, Account: a.ID, Brand: n.Brand, System: n.System})
		if err != nil {
			return at(err, "numbers[%d]", i)
		}
	}
	return s.rest(ctx, a.ID, b)
}

// rest makes what an account has at most one of, and its consents.
func (s *seeder) rest(ctx context.Context, id gateway.AccountID, b *configs.BootAccount) error {
	if w := b.Webhook; w.URL != "" {
		v, err := s.PutWebhook(ctx, desk.WebhookInput{Account: id, URL: w.URL, Events: w.Events, Secret: w.Secret})
		if err != nil {
			return at(err, "webhook")
		}
		if w.Secret == "" {
			_, _ = fmt.Fprintf(s.out, "webhook of %s: secret %s\n", b.Name, v.Secret)
		}
	}
	if b.Credits != 0 {
		if _, err := s.AddCredits(ctx, desk.CreditEntry{Account: id, Credits: b.Credits, Note: "bootstrap"}); err != nil {
			return at(err, "credits")
		}
	}
	if len(b.Consents) == 0 || s.rehearsal {
		return nil
	}
	in := desk.ConsentInput{Account: id}
	for _, c := range b.Consents {
		in.Consents = append(in.Consents, gateway.Consent{Brand: c.Brand, Channel: c.Channel, Address: c.Recipient,
			RecipientType: cmp.Or(c.RecipientType, gateway.RecipientIndividual), Status: c.Status, Source: c.Source,
			ConsentDate: c.ConsentDate, Evidence: c.Evidence})
	}
	results, err := s.AddConsents(ctx, in)
	for _, r := range results {
		if r.Code != "" { // a consent İYS would refuse today is no reason to refuse the start
			_, _ = fmt.Fprintf(s.out, "%s: consents[%d] was not taken: %s %s\n", b.Name, r.Index, r.Code, r.Text)
		}
	}
	return at(err, "consents")
}

func (s *seeder) brand(ctx context.Context, id gateway.AccountID, b *configs.BootBrand) error {
	_, err := s.PutBrand(ctx, gateway.Brand{Code: b.Code, Account: id, Name: b.Name, Short: b.Short, IYSCode: b.IYSCode, IYS: b.IYS,
		Title: b.Title, MERSIS: b.MERSIS, Contact: b.Contact, SMS: gateway.BrandMode(b.SMS), Email: gateway.BrandMode(b.Email)})
	return err
}

func (s *seeder) credential(ctx context.Context, id gateway.AccountID, c *configs.BootCredential) error {
	in := desk.NewCredential{Secret: c.Secret, Credential: gateway.Credential{
		ID: c.ID, Kind: gateway.CredentialKind(c.Kind), Account: id, Name: c.Name, Scopes: c.Scopes, Classes: c.Classes, DefaultClass: c.DefaultClass,
		Reason: c.Reason, Brand: c.Brand, From: c.From, RecipientType: c.RecipientType, Inline: c.Inline, MaxBinds: c.MaxBinds, Window: c.Window, PerSecond: c.PerSecond}}
	for _, n := range c.CIDRs {
		in.Credential.CIDRs = append(in.Credential.CIDRs, netip.Prefix(n.Prefix))
	}
	issued, err := s.CreateCredential(ctx, in)
	if err == nil && c.Secret == "" {
		_, _ = fmt.Fprintf(s.out, "%s credential %s: secret %s\n", c.Kind, issued.Credential.ID, issued.Secret)
	}
	return err
}
