package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"

	"izinli/cmd/assembly"
	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/store"
)

// bootstrapMark is the store's note about the bootstrap section: begun, then done, or refused with the reason.
const (
	bootstrapMark = "bootstrap"
	markBegun     = "begun"
	markDone      = "done"
	markRefused   = "refused: "
)

// bootstrap fills an empty store with the configuration's bootstrap section; a store that holds anything already is left alone.
func bootstrap(ctx context.Context, cfg *configs.Config, s *assembly.Server) error {
	rehearsal := func(st *store.Store) desk.Service { return s.Rehearsal(st) }
	return fill(desk.WithActor(ctx, "bootstrap"), cfg, s.Store, s.Admin, rehearsal, os.Stderr)
}

// fill does it in two steps, so that a mistake in the section cannot leave half of it behind: the whole is tried on a store in
// memory first, by the same rules. What goes wrong after that, a crash or an answer of İYS that has changed meanwhile, is told at
// once and at the next start.
func fill(ctx context.Context, cfg *configs.Config, st *store.Store, admin desk.Service, rehearsal func(*store.Store) desk.Service, notices io.Writer) error {
	mark, _, err := st.Named(bootstrapMark)
	if err != nil {
		return err
	}
	b := &cfg.Bootstrap
	switch d := st.Directory(); {
	case string(mark) == markBegun:
		return fmt.Errorf("bootstrap: the first start was interrupted; nothing has been accepted yet, so remove %s and start again", storeDir(cfg))
	case strings.HasPrefix(string(mark), markRefused):
		return fmt.Errorf("bootstrap: the first start stored a part of the section and then could not go on (%s); nothing has been accepted yet, so correct the section, "+
			"remove %s and start again", strings.TrimPrefix(string(mark), markRefused), storeDir(cfg))
	case len(mark) > 0, b.Empty(), len(d.Accounts)+len(d.Operators)+len(d.IYSLinks)+len(d.Routes)+len(d.Smarthosts)+len(d.RelayPeers) > 0:
		return nil
	}
	if err := rehearse(ctx, cfg, rehearsal); err != nil {
		return fmt.Errorf("bootstrap: %w", err)
	}
	if err := st.PutNamed(bootstrapMark, []byte(markBegun)); err != nil {
		return err
	}
	if err := (&seeder{Service: admin, iysURL: cfg.IYS.BaseURL, out: notices}).seed(ctx, b); err != nil {
		err = errors.Join(err, st.PutNamed(bootstrapMark, []byte(markRefused+err.Error())))
		return fmt.Errorf("bootstrap: %w; a part of the section is stored already: correct it, remove %s and start again", err, storeDir(cfg))
	}
	return st.PutNamed(bootstrapMark, []byte(markDone))
}

// rehearse tries the section on a store in memory; rehearsal is the administration over it.
func rehearse(ctx context.Context, cfg *configs.Config, rehearsal func(*store.Store) desk.Service) error {
	st, err := store.Open(store.Options{InMemory: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	err = (&seeder{Service: rehearsal(st), iysURL: cfg.IYS.BaseURL, out: io.Discard}).seed(ctx, &cfg.Bootstrap)
	if closeErr := st.Close(); err == nil {
		err = closeErr
	}
	return err
}

// seeder carries the section out.
type seeder struct {
	desk.Service
	iysURL   string    // for links that name none
	out      io.Writer // told of secrets that were made
	accounts map[string]gateway.AccountID
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
	first := 0
	for part := range slices.Chunk(b.Consents, consentsAtOnce) {
		if err := s.consents(ctx, id, b.Name, first, part); err != nil {
			return at(err, "consents")
		}
		first += len(part)
	}
	return nil
}

// consentsAtOnce is how many consents one call takes.
const consentsAtOnce = 5000

// consents brings a part of an account's consents, which begins with number first of them.
func (s *seeder) consents(ctx context.Context, id gateway.AccountID, account string, first int, part []configs.BootConsent) error {
	in := desk.ConsentInput{Account: id}
	for _, c := range part {
		in.Consents = append(in.Consents, gateway.Consent{Brand: c.Brand, Channel: c.Channel, Address: c.Recipient,
			RecipientType: cmp.Or(c.RecipientType, gateway.RecipientIndividual), Status: c.Status, Source: c.Source,
			ConsentDate: c.ConsentDate, Evidence: c.Evidence})
	}
	results, err := s.AddConsents(ctx, in)
	for _, r := range results {
		if r.Code != "" { // a consent İYS would refuse today is no reason to refuse the start
			_, _ = fmt.Fprintf(s.out, "%s: consents[%d] was not taken: %s %s\n", account, first+r.Index, r.Code, r.Text)
		}
	}
	return err
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
