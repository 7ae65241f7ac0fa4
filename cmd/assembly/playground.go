package assembly

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"izinli/configs"
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smpp"
	"izinli/gateway/smpptest"
	"izinli/gateway/smtptest"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/iysapi"
	"izinli/iys/iystest"
)

// Playground is the outside world on one machine: an operator and İYS, both simulated, and a gateway wired to them with two
// brands, people who agreed, refused and never said anything, and credentials for every door. The demo shows it, tests use it.
type Playground struct {
	Operator *smpptest.Server
	IYS      *iystest.Sim
	iys      *iystest.Server
	Store    *store.Store
	Server   *Server
	Seeds    Seeds
	Sink     *smtptest.Sink // where mail ends

	MailRoots *x509.CertPool // trusts the mail listeners
	MailCert  []byte         // their certificate, DER
}

// Seeds are what a playground was filled with.
type Seeds struct {
	Account      gateway.AccountID
	APIKey       string
	SystemID     string
	Password     string
	Brand        string // mode partner
	OtherBrand   string // mode ahs
	Sender       string
	OtherSender  string
	ReplyNumber  string // people write RET to it
	OperatorName string
	Mail         MailSeeds
}

// PlaygroundOptions tune it. Zero fields take the default.
type PlaygroundOptions struct {
	Operator smpptest.Config
	IYS      iystest.Config
	Sink     smtptest.Config
	Key      []byte // store key; a fixed one by default: nothing in a playground is secret
	Server   ServerOptions
	Log      *slog.Logger
}

// Names of the playground.
const (
	playBrand      = "675403"
	playOtherBrand = "606821"
	playIntegrator = "700001"
	playUser       = "partner@izinli.example"
	playAHS        = "ahs@izinli.example"
	playSecret     = "playground"
)

// NewPlayground starts the simulators, opens a store in cfg.Data and assembles a server on it, seeded if the store is empty.
// cfg's listeners should be loopback addresses.
func NewPlayground(ctx context.Context, cfg *configs.Config, o PlaygroundOptions) (*Playground, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Playground{}
	err := p.start(ctx, cfg, &o)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *Playground) start(ctx context.Context, cfg *configs.Config, o *PlaygroundOptions) (err error) {
	if p.Operator, err = smpptest.Start(o.Operator); err != nil {
		return err
	}
	p.IYS = iystest.New(o.IYS)
	p.seedIYS()
	if p.iys, err = iystest.Listen(p.IYS, "127.0.0.1:0"); err != nil {
		return err
	}
	if err = p.startMail(o); err != nil {
		return err
	}
	key := o.Key
	if key == nil {
		key = make([]byte, 32)
	}
	if p.Store, err = store.Open(store.Options{Dir: cfg.Data + "/store", Key: key, Log: o.Log, Now: o.Server.Now, Reserve: uint64(cfg.Store.Reserve)}); err != nil {
		return err
	}
	o.Server.PrivateWebhooks, o.Server.LocalLinks = true, true
	if p.Server, err = NewServer(ctx, cfg, p.Store, o.Log, o.Server); err != nil {
		return err
	}
	return p.seed(ctx)
}

// IYSAddr is the base URL of the simulated İYS.
func (p *Playground) IYSAddr() string { return p.iys.URL }

// Close ends the simulators and the store; the server must have been stopped.
func (p *Playground) Close() error {
	var err error
	if p.Store != nil {
		err = p.Store.Close()
	}
	if p.iys != nil {
		err = errors.Join(err, p.iys.Close())
	}
	if p.Operator != nil {
		p.Operator.Close()
	}
	if p.Sink != nil {
		err = errors.Join(err, p.Sink.Close())
	}
	return err
}

// seedIYS makes a partner with rights on one brand and an intermediary for the other.
func (p *Playground) seedIYS() {
	p.IYS.AddProvider(iystest.Provider{IYSCode: playBrand, Title: "Örnek Giyim A.Ş.", TIN: "1234567890",
		Brands: []iystest.Brand{{Code: playBrand, Name: "Örnek", Master: true}}, ViaCredit: 100, ViaForms: []string{iystest.SeedForm}})
	p.IYS.AddProvider(iystest.Provider{IYSCode: playOtherBrand, Title: "Yıldız Market A.Ş.", TIN: "1234567891",
		Brands: []iystest.Brand{{Code: playOtherBrand, Name: "Yıldız", Master: true}}})
	p.IYS.AddUser(iystest.User{Username: playUser, Password: playSecret, IntegratorCode: playIntegrator})
	for _, ch := range []string{"MESAJ", "EPOSTA", "ARAMA"} {
		p.IYS.Grant(playIntegrator, playBrand, ch, "write")
	}
	p.IYS.AddAHS(iystest.AHS{Username: playAHS, Password: playSecret, Brands: map[string][]string{playOtherBrand: {"MESAJ", "EPOSTA"}}})
}

// Consent stores a consent at the simulated İYS as if it had been given two days ago.
func (p *Playground) Consent(brand, recipientType, address string, status iys.Status) {
	at := time.Now().Add(-2 * 24 * time.Hour) // within the reach of the listing: the first pull brings it
	p.IYS.Put(iystest.Movement{IYSCode: brand, BrandCode: brand, Recipient: address, RecipientType: recipientType, Type: "MESAJ",
		Status: string(status), Source: "HS_WEB", ConsentDate: at, CreationDate: at})
}

// seed fills an empty store through the administration, as a person would by hand.
func (p *Playground) seed(ctx context.Context) error {
	s := Seeds{Brand: playBrand, OtherBrand: playOtherBrand, Sender: "ORNEK", OtherSender: "YILDIZ", ReplyNumber: "+908501234567",
		SystemID: "ornek", OperatorName: "simulated"}
	a := p.Server.Admin
	if accounts, err := a.ListAccounts(ctx, desk.Query{}); err != nil || len(accounts) > 0 {
		return errors.Join(err, p.reseed(ctx, &s))
	}
	acct, err := a.PutAccount(ctx, gateway.Account{Name: "Örnek Giyim A.Ş.", IYSCode: 675403, MERSIS: "0123456789012345"})
	if err != nil {
		return err
	}
	s.Account = acct.ID
	classes := []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP}
	steps := []func() error{
		func() error {
			_, err := a.PutIYSLink(ctx, desk.IYSLinkInput{Link: gateway.IYSLink{Name: "iys", BaseURL: p.iys.URL, Username: playUser,
				IntegratorCode: 700001, AHSURL: p.iys.URL, AHSUser: playAHS}, Password: playSecret, AHSPassword: playSecret})
			return err
		},
		func() error {
			_, err := a.PutBrand(ctx, gateway.Brand{Code: s.Brand, Account: s.Account, Name: "Örnek", Short: "ORNEK", IYSCode: 675403, IYS: "iys",
				Contact: "0850 000 00 00", SMS: gateway.BrandMode{Mode: "partner"}, Email: gateway.BrandMode{Mode: "partner"}})
			return err
		},
		func() error {
			_, err := a.PutBrand(ctx, gateway.Brand{Code: s.OtherBrand, Account: s.Account, Name: "Yıldız", Short: "YILDIZ", IYSCode: 606821,
				Title: "Yıldız Market A.Ş.", MERSIS: "0543210987654321", Contact: "destek@yildiz.example", IYS: "iys",
				SMS: gateway.BrandMode{Mode: "ahs"}, Email: gateway.BrandMode{Mode: "ahs"}})
			return err
		},
		func() error { return p.sender(ctx, s.Account, s.Sender, s.Brand) },
		func() error { return p.sender(ctx, s.Account, s.OtherSender, s.OtherBrand) },
		func() error {
			_, err := a.PutOperator(ctx, desk.OperatorInput{Operator: gateway.Operator{Name: s.OperatorName, Addr: p.Operator.Addr(),
				SystemID: "izinli", Binds: 2, Window: 100, National: true}, Password: "secret"})
			return err
		},
		func() error {
			_, err := a.PutRoute(ctx, gateway.Route{ID: "default", Operators: []gateway.RouteStep{{Operator: s.OperatorName}}})
			return err
		},
		func() error {
			_, err := a.AddCredits(ctx, desk.CreditEntry{Account: s.Account, Credits: 1_000_000, Note: "playground"})
			return err
		},
		func() error {
			is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{Kind: gateway.KindAPI, Account: s.Account,
				Name: "playground", Classes: classes, DefaultClass: gateway.ClassCommercial, From: s.Sender,
				Scopes: []string{gateway.ScopeSend, gateway.ScopeRead, gateway.ScopeConsents, gateway.ScopeWebhooks}}})
			s.APIKey = is.Secret
			return err
		},
		func() error {
			is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{ID: s.SystemID, Kind: gateway.KindSMPP,
				Account: s.Account, Name: "playground", Classes: classes, DefaultClass: gateway.ClassCommercial, From: s.Sender}})
			s.Password = is.Secret
			return err
		},
		func() error {
			_, err := a.PutNumber(ctx, gateway.Number{Number: s.ReplyNumber, Account: s.Account, Brand: s.Brand, System: s.SystemID})
			return err
		},
		func() error { return p.seedMail(ctx, &s) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("playground: %w", err)
		}
	}
	p.Seeds = s
	return nil
}

func (p *Playground) sender(ctx context.Context, a gateway.AccountID, name, brand string) error {
	_, err := p.Server.Admin.PutSender(ctx, gateway.Sender{Name: name, Account: a, Channel: gateway.ChannelSMS, Brand: brand, Approved: true})
	return err
}

// reseed points a store filled before at the new simulators, whose ports have changed, and gives new secrets.
func (p *Playground) reseed(ctx context.Context, s *Seeds) error {
	a := p.Server.Admin
	s.Account = 1
	if _, err := a.PutIYSLink(ctx, desk.IYSLinkInput{Link: gateway.IYSLink{Name: "iys", BaseURL: p.iys.URL, Username: playUser,
		IntegratorCode: 700001, AHSURL: p.iys.URL, AHSUser: playAHS}, Password: playSecret, AHSPassword: playSecret}); err != nil {
		return err
	}
	op := *p.Store.Directory().Operators[s.OperatorName]
	op.Addr = p.Operator.Addr()
	if _, err := a.PutOperator(ctx, desk.OperatorInput{Operator: op}); err != nil {
		return err
	}
	creds, err := a.ListCredentials(ctx, desk.Query{Account: s.Account})
	if err != nil {
		return err
	}
	secrets := map[string]string{}
	for _, c := range creds {
		is, err := a.RotateCredential(ctx, desk.Rotation{Kind: c.Kind, ID: c.ID})
		if err != nil {
			return err
		}
		secrets[c.ID] = is.Secret
		switch c.Kind {
		case gateway.KindAPI:
			s.APIKey = is.Secret
		case gateway.KindSMPP:
			s.Password = is.Secret
		}
	}
	if err := p.reseedMail(ctx, s, secrets); err != nil {
		return err
	}
	p.Seeds = *s
	return nil
}

// PlaygroundConfig is a configuration for a playground in dir: loopback, free ports, no quiet hours.
func PlaygroundConfig(dir string) *configs.Config {
	cfg := configs.Default()
	cfg.Data = dir
	cfg.QuietHours = false
	cfg.Store.Reserve = 64 << 20
	cfg.Mail.Domain = playMailDomain
	cfg.Listen = configs.Listen{SMTP: "127.0.0.1:0", SMTPS: "127.0.0.1:0", Relay: "127.0.0.1:0", API: "127.0.0.1:0", Ops: "127.0.0.1:0", SMPP: "127.0.0.1:0", Public: "127.0.0.1:0"}
	return &cfg
}

// FastIYS is an İYS that answers at once and lists changes without its blind hour, for people who wait.
func FastIYS() iystest.Config {
	return iystest.Config{BatchDelay: 200 * time.Millisecond, ChangesLag: -1, AllowControl: true,
		Limits: iystest.Limits{PerSecond: -1, TokensPerHour: -1, StatusPerHour: -1, HistoryPerHour: -1}}
}

// FastLimits lets the client keep pace with FastIYS.
func FastLimits() iysapi.Limits {
	return iysapi.Limits{PerSecond: 1000, TokensPerHour: 100000, StatusPerHour: 100000, HistoryPerHour: 100000}
}

// DemoOperator is an operator with a little of life's variety: some phones are off, some numbers are gone.
func DemoOperator() smpptest.Config {
	return smpptest.Config{Latency: 15 * time.Millisecond, Receipts: smpptest.Receipts{Delay: 400 * time.Millisecond},
		Rules: []smpptest.Rule{
			{Suffix: "13", State: smpp.StateUndeliverable, Err: "001"},
			{Suffix: "77", Status: smpp.StatusInvDstAddr},
		}}
}
