package assembly

import (
	"context"
	"crypto/tls"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/smtptest"
	"izinli/iys"
	"izinli/iys/iystest"
)

// MailSeeds are what a playground's mail was filled with.
type MailSeeds struct {
	Domain      string // From domain of the partner brand
	OtherDomain string // of the other brand
	User        string // SMTP user that may send commercial mail alone: recipients are judged at RCPT
	Password    string
	MixedUser   string // may send commercial and transactional mail: a header says which
	MixedPass   string
	Smarthost   string
	Selector    string // of the DKIM keys of Domain
}

// Names of the playground's mail.
const (
	playDomain      = "bulten.ornek.example"
	playOtherDomain = "yildiz.example"
	playMailDomain  = "mx.izinli.example"
)

// startMail starts the mail sink and makes a certificate for the door.
func (p *Playground) startMail(o *PlaygroundOptions) (err error) {
	if p.Sink, err = smtptest.Listen(o.Sink); err != nil {
		return err
	}
	if o.Server.MailTLS != nil {
		return nil
	}
	cert, pool, err := smtptest.Certificate("127.0.0.1", "localhost", playMailDomain)
	if err != nil {
		return err
	}
	o.Server.MailTLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	p.MailRoots, p.MailCert = pool, cert.Certificate[0]
	return nil
}

// seedMail makes brands' domains, keys, users and the smarthost, as a person would by hand.
func (p *Playground) seedMail(ctx context.Context, s *Seeds) error {
	a := p.Server.Admin
	m := &s.Mail
	*m = MailSeeds{Domain: playDomain, OtherDomain: playOtherDomain, User: "bulten@ornek", MixedUser: "site@ornek", Smarthost: "sink", Selector: "izinli1"}
	steps := []func() error{
		func() error {
			_, err := a.PutSmarthost(ctx, desk.SmarthostInput{Smarthost: gateway.Smarthost{Name: m.Smarthost, Addr: p.Sink.Addr(), TLS: "off", MaxConns: 20}})
			return err
		},
		func() error { return p.mailSender(ctx, s.Account, m.Domain, s.Brand) },
		func() error { return p.mailSender(ctx, s.Account, m.OtherDomain, s.OtherBrand) },
		func() error {
			_, err := a.CreateDKIMKey(ctx, desk.DKIMInput{Domain: m.Domain, Selector: m.Selector, Account: s.Account, Algorithm: "ed25519"})
			return err
		},
		func() error {
			is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{ID: m.User, Kind: gateway.KindSMTP, Account: s.Account,
				Name: "playground newsletters", Classes: []string{gateway.ClassCommercial}, From: "bulten@" + m.Domain}})
			m.Password = is.Secret
			return err
		},
		func() error {
			is, err := a.CreateCredential(ctx, desk.NewCredential{Credential: gateway.Credential{ID: m.MixedUser, Kind: gateway.KindSMTP, Account: s.Account,
				Name: "playground shop", Classes: []string{gateway.ClassCommercial, gateway.ClassTransactional}, DefaultClass: gateway.ClassCommercial,
				Reason: "order", From: "bulten@" + m.Domain}})
			m.MixedPass = is.Secret
			return err
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (p *Playground) mailSender(ctx context.Context, a gateway.AccountID, domain, brand string) error {
	_, err := p.Server.Admin.PutSender(ctx, gateway.Sender{Name: domain, Account: a, Channel: gateway.ChannelEmail, Brand: brand, Approved: true})
	return err
}

// reseedMail points the smarthost at the new sink and takes over the new passwords.
func (p *Playground) reseedMail(ctx context.Context, s *Seeds, secrets map[string]string) error {
	s.Mail = MailSeeds{Domain: playDomain, OtherDomain: playOtherDomain, User: "bulten@ornek", MixedUser: "site@ornek", Smarthost: "sink", Selector: "izinli1"}
	s.Mail.Password, s.Mail.MixedPass = secrets[s.Mail.User], secrets[s.Mail.MixedUser]
	h := p.Store.Directory().Smarthosts[s.Mail.Smarthost]
	if h == nil {
		return nil
	}
	next := *h
	next.Addr = p.Sink.Addr()
	_, err := p.Server.Admin.PutSmarthost(ctx, desk.SmarthostInput{Smarthost: next})
	return err
}

// MailConsent stores a consent to mail at the simulated İYS as if it had been given two days ago.
func (p *Playground) MailConsent(brand, recipientType, address string, status iys.Status) {
	at := time.Now().Add(-2 * 24 * time.Hour)
	p.IYS.Put(iystest.Movement{IYSCode: brand, BrandCode: brand, Recipient: address, RecipientType: recipientType, Type: "EPOSTA",
		Status: string(status), Source: "HS_WEB", ConsentDate: at, CreationDate: at})
}

// MailTLS is how a client trusts the playground's mail listeners.
func (p *Playground) MailTLS() *tls.Config {
	return &tls.Config{RootCAs: p.MailRoots, ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
}
