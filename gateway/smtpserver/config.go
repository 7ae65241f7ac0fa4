package smtpserver

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/account"
)

// Mode is what a listener is for.
type Mode uint8

// The modes.
const (
	Submission    Mode = iota + 1 // RFC 6409: STARTTLS, then AUTH, before MAIL
	SubmissionTLS                 // the same, TLS from the first octet (RFC 8314)
	Relay                         // known peers; strangers only with mail for ourselves
)

// Config bounds the door. Zero fields take the defaults.
type Config struct {
	Domain    string // our name in greeting and trace; required
	SMSDomain string // mail to <number>@SMSDomain becomes an SMS; default "sms." + Domain
	TLS       *tls.Config

	MaxSize       int64 // octets of a message, announced as SIZE; default 25 MiB
	MaxInbox      int64 // octets of a message for ourselves that are looked at, of up to MaxSize; default 2 MiB
	MaxRecipients int   // of a message; default 1000, at least 100 (RFC 5321 §4.5.3.1.8)
	MaxRefused    int   // recipients refused: of a message, and of a connection that has more of them than others; default 100
	MaxMessages   int   // of a connection; default 10 000
	MaxConns      int   // in all; default 2000
	MaxPerAddress int   // connections of one IPv4 address or IPv6 /64 that is no peer; default 20
	MaxPerAccount int   // authenticated sessions; default 100
	MaxHops       int   // Received fields before a message counts as looping; default 50

	LoginTimeout   time.Duration // from connect to AUTH on a submission listener; default 2 min
	StrangerFor    time.Duration // how long a stranger may stay on the relay listener; default 10 min
	CommandTimeout time.Duration // for one whole command line; default 5 min (RFC 5321 §4.5.3.2.7)
	BlockTimeout   time.Duration // for the next block of data; default 3 min
	DataGrace      time.Duration // data may be this late at MinRate; default 1 min
	MinRate        int64         // octets a second, the least a client must send on average; default 1024
	WriteTimeout   time.Duration // for an answer; default 1 min
	StopTimeout    time.Duration // for data under way at the end; default 20 s
}

func (c Config) withDefaults() Config {
	def := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	wait := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	if c.SMSDomain == "" {
		c.SMSDomain = "sms." + c.Domain
	}
	c.SMSDomain = strings.ToLower(c.SMSDomain)
	if c.MaxSize <= 0 {
		c.MaxSize = 25 << 20
	}
	if c.MaxInbox <= 0 {
		c.MaxInbox = 2 << 20
	}
	if c.MinRate <= 0 {
		c.MinRate = 1024
	}
	def(&c.MaxRecipients, 1000)
	c.MaxRecipients = max(c.MaxRecipients, 100)
	def(&c.MaxRefused, 100)
	def(&c.MaxMessages, 10_000)
	def(&c.MaxConns, 2000)
	def(&c.MaxPerAddress, 20)
	def(&c.MaxPerAccount, 100)
	def(&c.MaxHops, 50)
	wait(&c.LoginTimeout, 2*time.Minute)
	wait(&c.StrangerFor, 10*time.Minute)
	wait(&c.CommandTimeout, 5*time.Minute)
	wait(&c.BlockTimeout, 3*time.Minute)
	wait(&c.DataGrace, time.Minute)
	wait(&c.WriteTimeout, time.Minute)
	wait(&c.StopTimeout, 20*time.Second)
	return c
}

// Authenticator checks who logs in; *account.Authenticator is one.
type Authenticator interface {
	gateway.Authenticator
	SCRAM(ctx context.Context, kind gateway.CredentialKind, name string, from netip.Addr) (*account.SCRAM, error)
}

// Inbox takes mail for ourselves: bounces, complaints, unsubscribes.
type Inbox interface {
	// Accepts reports whether an address (lower case) is ours.
	Accepts(addr string) bool
	// Deliver reads m.Body to its end and returns when what the mail means is stored. A *gateway.Error chooses the reply.
	Deliver(ctx context.Context, m Incoming) error
}

// Incoming is one mail for ourselves.
type Incoming struct {
	From     string // envelope sender; empty for a bounce
	To       []string
	RemoteIP netip.Addr
	Helo     string
	TLS      bool
	Body     io.Reader // canonical, cut off after Config.MaxInbox octets; its end is that of the whole mail
}

// Peer is a mail server that may relay without AUTH.
type Peer struct {
	Name         string
	Prefixes     []netip.Prefix
	Certificates []string // SHA-256 of client certificates (DER), hex
	Principal    *gateway.Principal
	TrustHeaders bool // X-Message-Class and the like; always trusted with a certificate
	Normalise    bool // bare CR and LF become CRLF instead of a refusal
	RequireTLS   bool
	MaxConns     int // default 100
}

func (p *Peer) contains(a netip.Addr) bool {
	for _, x := range p.Prefixes {
		if x.Contains(a) {
			return true
		}
	}
	return false
}

func (p *Peer) knows(cert *x509.Certificate) bool {
	sum := sha256.Sum256(cert.Raw)
	for _, c := range p.Certificates {
		if strings.EqualFold(c, hex.EncodeToString(sum[:])) {
			return true
		}
	}
	return false
}

// Deps are the parts the door calls. Auth, Submit, Bodies and Directory are required.
type Deps struct {
	Auth      Authenticator
	Submit    gateway.Submitter
	Bodies    gateway.BodyStore
	Directory func() *gateway.Directory
	Peers     func() []*Peer                                                            // nil: no peers
	Inbox     Inbox                                                                     // nil: no mail for ourselves
	Allow     func(p *gateway.Principal, n int) time.Duration                           // rate; nil: no limit. 0 goes ahead and is charged
	Refused   func(ctx context.Context, s *gateway.Submission, v gateway.Verdict) error // stores the decision of a RCPT refusal; nil: not kept
	Log       *slog.Logger
	Now       func() time.Time
}
