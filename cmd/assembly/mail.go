package assembly

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/consent"
	"izinli/gateway/mailback"
	"izinli/gateway/mailbody"
	"izinli/gateway/mailer"
	"izinli/gateway/smarthost"
	"izinli/gateway/smtpserver"
	"izinli/gateway/store"
	"izinli/gateway/unsubscribe"
)

// MailOptions say how mail is carried. Without a Dir there is no mail: it is accepted and finds no way out.
type MailOptions struct {
	Dir          string // of bodies
	Domain       string // our name in EHLO, Message-ID and notifications
	BounceDomain string // return paths and unsubscribe addresses live there; default Domain
	MaxSize      int64  // octets of one mail
	// Unsubscribe makes one-click URLs; see mailer.Config.
	Unsubscribe func(m gateway.MessageID, b *gateway.Batch, address string) string
	Resolver    mailer.Resolver
	MXPort      string
	Timeouts    smarthost.Config
	DelayNotice time.Duration // see mailback.NewNotifier
	Sites       string        // rules for mail exchangers; see mailer.Config
	Policies    string        // file of MTA-STS policies; see mailer.Config
}

// Mail is what mail needs beside the road all messages share.
type Mail struct {
	Bodies   *mailbody.Store
	VERP     *smarthost.VERP
	Mailer   *mailer.Manager
	Inbox    *mailback.Inbox
	Notifier *mailback.Notifier

	store *store.Store
	gone  chan gateway.BodyRef
}

// buildMail makes the parts around the open store.
func (g *Gateway) buildMail(o *Options) error {
	m := o.Mail
	if m.Dir == "" {
		return nil
	}
	purpose := func(name string) []byte {
		h := hmac.New(sha256.New, g.Store.TokenKey())
		h.Write([]byte(name))
		return h.Sum(nil)
	}
	x := &Mail{store: g.Store, gone: make(chan gateway.BodyRef, 4096)}
	var err error
	if x.Bodies, err = mailbody.Open(m.Dir, purpose("mail bodies"), mailbody.Options{Small: g.Store, MaxSize: m.MaxSize}); err != nil {
		return err
	}
	if x.VERP, err = smarthost.NewVERP(cmp.Or(m.BounceDomain, m.Domain), purpose("verp")); err != nil {
		return err
	}
	if x.Mailer, err = mailer.New(mailer.Config{Domain: m.Domain, VERP: x.VERP, Bodies: x.Bodies, Unsubscribe: m.Unsubscribe, Log: o.Log, Now: o.Now,
		Resolver: m.Resolver, MXPort: m.MXPort, Timeouts: m.Timeouts, Sites: m.Sites, Policies: m.Policies}, g.Store, g.Dispatch); err != nil {
		return err
	}
	x.Inbox = mailback.New(mailback.Config{Log: o.Log, Now: o.Now, Slow: x.Mailer.Slow}, g.Store, g.Desk, x.VERP)
	x.Notifier = mailback.NewNotifier(m.Domain, m.DelayNotice, g.Store, staged{x.Bodies}, g.Intake, o.Log, o.Now)
	g.Store.WatchNotices(x.Notifier.Wake)
	g.Store.WatchBodies(x.bodyGone)
	g.Mail = x
	return nil
}

// lateBodies lets the intake read bodies, which are opened after it.
type lateBodies struct{ g *Gateway }

// Open implements intake.Bodies.
func (l lateBodies) Open(ctx context.Context, ref gateway.BodyRef) (io.ReadCloser, error) {
	if l.g.Mail == nil {
		return nil, fs.ErrNotExist
	}
	return l.g.Mail.Bodies.Open(ctx, ref)
}

// bodyGone hears that nobody needs a body any more. What does not fit the channel is swept later.
func (x *Mail) bodyGone(ref gateway.BodyRef) {
	select {
	case x.gone <- ref:
	default:
	}
}

// orphanAge is how old a body nobody refers to must be before it goes: far above the slowest acceptance.
const orphanAge = 2 * time.Hour

// keepBodies deletes bodies nobody needs until ctx ends.
func (x *Mail) keepBodies(ctx context.Context, log func(msg string, err error)) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case ref := <-x.gone:
			if !strings.HasPrefix(ref.ID, "f") { // small ones go in the commit itself
				continue
			}
			if err := x.Bodies.Delete(ctx, ref); err != nil {
				log("mail body not deleted", err)
			}
		case now := <-tick.C:
			if _, err := x.Bodies.Sweep(ctx, now.Add(-orphanAge), x.store.BodyUsed); err != nil && ctx.Err() == nil {
				log("mail bodies not swept", err)
			}
		}
	}
}

// staged keeps small bodies out of the store until the accepting commit writes them (design §6).
type staged struct{ *mailbody.Store }

// Put implements gateway.BodyStore.
func (s staged) Put(ctx context.Context, r io.Reader) (gateway.BodyRef, error) {
	ref, inline, err := s.Stage(ctx, r)
	ref.Inline = inline
	return ref, err
}

// Delete implements gateway.BodyStore.
func (s staged) Delete(ctx context.Context, ref gateway.BodyRef) error {
	if ref.Inline != nil {
		return nil
	}
	return s.Store.Delete(ctx, ref)
}

// mailSites reads the administrator's rules for mail exchangers.
func mailSites(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	b, err := os.ReadFile(name)
	if err == nil {
		err = mailer.CheckSites(string(b))
	}
	if err != nil {
		return "", fmt.Errorf("mail.sites: %s: %w", name, err)
	}
	return string(b), nil
}

// unsubscribeURL is the one-click link of a message, empty without public pages.
func (s *Server) unsubscribeURL(m gateway.MessageID, b *gateway.Batch, address string) string {
	base := s.PublicURL()
	if base == "" || s.Tokens == nil || b.Brand == "" {
		return ""
	}
	return s.Tokens.URL(base, unsubscribe.Subject{Account: b.Account, Brand: b.Brand, Channel: gateway.ChannelEmail, Address: address, Message: m})
}

// mailDomain is our name as a mail server.
func (s *Server) mailDomain() string {
	if s.cfg.Mail.Domain != "" {
		return s.cfg.Mail.Domain
	}
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		return strings.ToLower(name)
	}
	return "localhost.localdomain"
}

// openMail makes the SMTP door and opens its listeners.
func (s *Server) openMail(secure *tls.Config) error {
	if secure != nil {
		secure = secure.Clone()
		secure.ClientAuth = tls.RequestClientCert // relay peers may show one; who they are is decided by its fingerprint
	}
	var err error
	s.SMTP, err = smtpserver.New(smtpserver.Config{Domain: s.mailDomain(), SMSDomain: s.cfg.Mail.SMSDomain, TLS: secure,
		MaxSize: int64(s.cfg.Limits.Mail), MaxConns: s.cfg.Limits.SMTPSessions, CommandTimeout: time.Duration(s.cfg.Limits.IdleTimeout),
		MaxPerAddress: s.cfg.Limits.SMTPPerAddress, MaxPerAccount: s.cfg.Limits.SMTPPerAccount, MaxRecipients: s.cfg.Limits.SMTPRecipients,
		MaxMessages: s.cfg.Limits.SMTPMessages, MaxRefused: s.cfg.Limits.SMTPRefused},
		smtpserver.Deps{Auth: s.Auth, Submit: s.Intake, Bodies: staged{s.Mail.Bodies}, Directory: s.Store.Directory, Peers: s.relayPeers,
			Inbox: inbox{s.Mail.Inbox}, Allow: s.Limits.Allow, Refused: s.refusedAtDoor, Log: s.log})
	if err != nil {
		return err
	}
	serve := func(mode smtpserver.Mode) func(context.Context, net.Listener) error {
		return func(ctx context.Context, ln net.Listener) error { return s.SMTP.Serve(ctx, ln, mode) }
	}
	if secure == nil && s.cfg.Listen.SMTP+s.cfg.Listen.SMTPS != "" {
		s.log.Warn("mail submission stays closed: it needs a certificate (tls.smtp)")
	}
	if secure != nil {
		err = errors.Join(s.open("smtp", s.cfg.Listen.SMTP, nil, serve(smtpserver.Submission)),
			s.open("smtps", s.cfg.Listen.SMTPS, nil, serve(smtpserver.SubmissionTLS)))
	}
	return errors.Join(err, s.open("relay", s.cfg.Listen.Relay, nil, serve(smtpserver.Relay)))
}

// inbox puts the inbox behind the door.
type inbox struct{ *mailback.Inbox }

// Deliver implements smtpserver.Inbox.
func (x inbox) Deliver(ctx context.Context, m smtpserver.Incoming) error {
	return x.Inbox.Deliver(ctx, m.From, m.To, m.Body)
}

// peerBook is the directory's relay peers in the words of the door, made once per snapshot.
type peerBook struct {
	mu    sync.Mutex
	dir   *gateway.Directory // guarded by mu
	peers []*smtpserver.Peer // guarded by mu
}

// relayPeers lists the mail servers that may relay; one whose credential was revoked may not.
func (s *Server) relayPeers() []*smtpserver.Peer {
	dir := s.Store.Directory()
	b := &s.peers
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dir == dir {
		return b.peers
	}
	b.dir, b.peers = dir, nil
	for _, p := range dir.RelayPeers {
		c := dir.Credentials[gateway.CredentialKey{Kind: gateway.KindSMTP, ID: p.Credential}]
		if c == nil || c.Revoked {
			continue
		}
		cred := *c
		cred.SecretHash = ""
		b.peers = append(b.peers, &smtpserver.Peer{Name: p.Name, Prefixes: p.CIDRs, Certificates: p.Certificates, TrustHeaders: p.TrustHeaders,
			Normalise: p.Normalise, RequireTLS: p.RequireTLS, MaxConns: p.MaxConns, Principal: &gateway.Principal{Account: c.Account, Credential: cred}})
	}
	return b.peers
}

// refusedAtDoor keeps why a recipient was refused at RCPT, with the consent that says so (P4).
func (s *Server) refusedAtDoor(ctx context.Context, sub *gateway.Submission, v gateway.Verdict) error {
	now := time.Now()
	b := &gateway.Batch{Account: sub.Principal.Account, Channel: sub.Channel, Class: sub.Class, Brand: sub.Brand,
		RecipientType: cmp.Or(sub.RecipientType, sub.Principal.Credential.RecipientType, gateway.RecipientIndividual)}
	if sub.Channel == gateway.ChannelEmail && b.Brand == "" {
		if x := s.Store.Directory().SenderOfMail(b.Account, sub.From); x != nil {
			b.Brand = x.Brand
		}
	}
	d := gateway.Decision{Verdict: "drop", Rule: string(v.Code), At: now}
	if !v.Refused() {
		rec := consent.Record(gateway.DecisionRefuse, s.Office.Decide(b, v.To, now), now)
		if v.Code == gateway.CodeOfRule(rec.Rule) {
			d = rec
		}
		s.Office.Cite(ctx, []consent.Citation{{Batch: b, Address: v.To, Decision: &d}})
		d.Verdict = "drop"
	}
	d.Kind, d.Address = gateway.DecisionRefuse, v.To
	return s.Store.Refuse(ctx, b.Account, d)
}
