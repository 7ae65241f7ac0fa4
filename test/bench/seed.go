package main

import (
	"context"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

// seed fills an empty store through the administration, as a person would by hand, and puts the consents there as earlier
// look-ups and pulls would have left them.
func (g *gatewayProcess) seed(ctx context.Context, ready *gatewayReady) error {
	a := desk.New(desk.Deps{Store: g.store})
	acct, err := a.PutAccount(ctx, gateway.Account{Name: "Örnek Giyim A.Ş.", IYSCode: iysCode})
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error { return g.link(ctx, a) },
		func() error {
			_, err := a.PutBrand(ctx, gateway.Brand{Code: brandCode, Account: acct.ID, Name: "Örnek", Short: "ORNEK", IYSCode: iysCode, IYS: "iys",
				SMS: gateway.BrandMode{Mode: string(iys.ModePartner)}})
			return err
		},
		func() error {
			_, err := a.PutSender(ctx, gateway.Sender{Name: senderName, Account: acct.ID, Channel: gateway.ChannelSMS, Brand: brandCode, Approved: true})
			return err
		},
		func() error {
			_, err := a.PutNumber(ctx, gateway.Number{Number: replyNumber, Account: acct.ID, Brand: brandCode})
			return err
		},
		func() error { return g.operator(ctx, a) },
		func() error {
			_, err := a.PutRoute(ctx, gateway.Route{ID: "default", Operators: []gateway.RouteStep{{Operator: operatorName}}})
			return err
		},
		func() error {
			_, err := a.AddCredits(ctx, desk.CreditEntry{Account: acct.ID, Credits: 1_000_000_000, Note: "bench"})
			return err
		},
		func() error {
			is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{Kind: gateway.KindAPI, Account: acct.ID,
				Name: "bench", Classes: classes, DefaultClass: gateway.ClassCommercial, From: senderName}})
			ready.APIKey = is.Secret
			return err
		},
		func() error {
			is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{ID: systemID, Kind: gateway.KindSMPP,
				Account: acct.ID, Name: "bench", Classes: classes, DefaultClass: gateway.ClassCommercial, From: senderName}})
			ready.Password = is.Secret
			return err
		},
		func() error { return g.consents(ctx) },
		func() error { return g.seedMail(ctx, a, acct.ID) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (g *gatewayProcess) link(ctx context.Context, a *desk.Admin) error {
	_, err := a.PutIYSLink(ctx, desk.IYSLinkInput{Link: gateway.IYSLink{Name: "iys", BaseURL: g.order.IYS, Username: partnerUser, IntegratorCode: 700001},
		Password: partnerPass})
	return err
}

func (g *gatewayProcess) operator(ctx context.Context, a *desk.Admin) error {
	_, err := a.PutOperator(ctx, desk.OperatorInput{Operator: gateway.Operator{Name: operatorName, Addr: g.order.Operator, SystemID: "izinli",
		Binds: g.order.Binds, Window: g.order.Window, National: true}, Password: "secret"})
	return err
}

// consents stores an approval for each number, and refusals behind them, as pulls leave them, and notes that the brand has been
// pulled to the end. The server's own pull then keeps them fresh.
func (g *gatewayProcess) consents(ctx context.Context) error {
	now := time.Now()
	for _, src := range []iysapi.ChangeSource{iysapi.ChangesByPerson, iysapi.ChangesByProvider} {
		if err := g.store.Commit(ctx, exchange.Changes{Cursors: []exchange.Cursor{{Brand: brandCode, Source: src, EndAt: now}}}); err != nil {
			return err
		}
	}
	return putConsents(ctx, g.store, g.order.Consents+g.order.Refusals, func(i int, at time.Time) iys.Consent {
		if i < g.order.Consents {
			return stored(i, consentKey(i), iys.StatusApproved, at)
		}
		return stored(i, consentKey(i), iys.StatusRejected, at)
	})
}

// reseed points a store filled by an earlier process at the present simulators and gives new secrets.
func (g *gatewayProcess) reseed(ctx context.Context, ready *gatewayReady) error {
	a := desk.New(desk.Deps{Store: g.store})
	if err := g.link(ctx, a); err != nil {
		return err
	}
	if err := g.operator(ctx, a); err != nil {
		return err
	}
	creds, err := a.ListCredentials(ctx, desk.Query{})
	if err != nil {
		return err
	}
	for _, c := range creds {
		is, err := a.RotateCredential(ctx, desk.Rotation{Kind: c.Kind, ID: c.ID})
		if err != nil {
			return err
		}
		if c.Kind == gateway.KindAPI {
			ready.APIKey = is.Secret
		} else {
			ready.Password = is.Secret
		}
	}
	return nil
}
