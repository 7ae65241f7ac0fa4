package main

import (
	"context"
	"fmt"
	"net/netip"

	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
)

// accountOf is the account of a name of the section; 0 for the empty name, which means any.
func (s *seeder) accountOf(name string) (gateway.AccountID, error) {
	if id := s.accounts[name]; id != 0 || name == "" {
		return id, nil
	}
	return 0, gateway.Refuse(gateway.CodeNotFound, "account", "There is no account %q in the section.", name)
}

// mail makes the ways of mail in and out.
func (s *seeder) mail(ctx context.Context, b *configs.Bootstrap) error {
	for i := range b.Smarthosts {
		if err := s.smarthost(ctx, &b.Smarthosts[i]); err != nil {
			return at(err, "smarthosts[%d]", i)
		}
	}
	for i, p := range b.RelayPeers {
		peer := gateway.RelayPeer{Name: p.Name, Credential: p.Credential, Certificates: p.Certificates, TrustHeaders: p.TrustHeaders,
			Normalise: p.Normalise, RequireTLS: p.RequireTLS, MaxConns: p.MaxConns}
		for _, n := range p.CIDRs {
			peer.CIDRs = append(peer.CIDRs, netip.Prefix(n.Prefix))
		}
		if _, err := s.PutRelayPeer(ctx, peer); err != nil {
			return at(err, "relayPeers[%d]", i)
		}
	}
	return nil
}

func (s *seeder) smarthost(ctx context.Context, h *configs.BootSmarthost) error {
	a, err := s.accountOf(h.Account)
	if err != nil {
		return err
	}
	_, err = s.PutSmarthost(ctx, desk.SmarthostInput{Password: h.Password, Smarthost: gateway.Smarthost{Name: h.Name, Addr: h.Addr, Direct: h.Direct,
		Rank: h.Rank, Weight: h.Weight, TLS: h.TLS, ServerName: h.ServerName, Username: h.Username, MaxConns: h.MaxConns, MaxPerConn: h.MaxPerConn,
		PerSecond: h.PerSecond, Account: a, Classes: h.Classes}})
	return err
}

// signatures makes an account's DKIM keys and forms, and tells what a person has to publish of them.
func (s *seeder) signatures(ctx context.Context, id gateway.AccountID, b *configs.BootAccount) error {
	for i, k := range b.DKIM {
		made, err := s.CreateDKIMKey(ctx, desk.DKIMInput{Domain: k.Domain, Selector: k.Selector, Account: id, Algorithm: k.Algorithm, Private: k.Private})
		if err != nil {
			return at(err, "dkim[%d]", i)
		}
		_, _ = fmt.Fprintf(s.out, "DNS: %s. TXT %q\n", made.Name().Host(), made.Record)
	}
	for i, f := range b.Forms {
		v, err := s.CreateForm(ctx, gateway.Form{Account: id, Brand: f.Brand, Channel: f.Channel, TradeName: f.TradeName, Version: f.Version,
			TextTR: f.TextTR, TextEN: f.TextEN, PrivacyURL: f.PrivacyURL, From: f.From})
		if err != nil {
			return at(err, "forms[%d]", i)
		}
		_, _ = fmt.Fprintf(s.out, "consent form of brand %s: %s %s\n", f.Brand, v.ID, v.URL)
	}
	return nil
}
