package smppserver

import (
	"context"
	"log/slog"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
	"izinli/gateway/smpplink"
)

// Config of a server. Zero fields take the default.
type Config struct {
	// SystemID names us in bind responses, at most 15 octets. Default "izinli".
	SystemID string
	// Window bounds a bind's requests under way where the credential sets no
	// window of its own. Default 100.
	Window int
	// DeliverWindow bounds our deliver_sm in flight per bind. Default 100.
	DeliverWindow int
	// MaxBinds bounds the binds of one credential that sets no number of its
	// own. Default 8.
	MaxBinds int
	// MaxConns bounds connections, bound or not. Default 1000.
	MaxConns int
	// MaxUnbound bounds the connections from one address that have not bound.
	// Default 50.
	MaxUnbound int
	// MaxInFlight bounds requests under way over all binds. Default 20 000.
	MaxInFlight int
	// BindPerSecond bounds the messages a single bind may submit per second,
	// beside the limits of its credential and account. 0: no such bound.
	BindPerSecond int
	// MaxPDU bounds what clients send, in octets. Default smpp.MaxPDU.
	MaxPDU int
	// BindTimeout bounds the time from connect to bind. Default 30 s.
	BindTimeout time.Duration
	// EnquireLink is the silence after which a client is probed; two unanswered
	// probes end the session. Default 30 s, negative: off.
	EnquireLink time.Duration
	// Inactivity ends a session without any PDU. Default 300 s, negative: off.
	Inactivity time.Duration
	// ResponseTimeout bounds the wait for a deliver_sm_resp. Default 30 s.
	ResponseTimeout time.Duration
	// StopTimeout bounds a graceful stop. Default 10 s.
	StopTimeout time.Duration
	// PartsTTL is how long the parts of a long message wait for each other,
	// from the first. Default 5 min.
	PartsTTL time.Duration
	// PartsSweep is how often overdue parts are looked for. Default 10 s.
	PartsSweep time.Duration
	// RetryFirst and RetryMost bound the back-off of a delivery the client did
	// not take; it doubles. Defaults 1 s and 1 min.
	RetryFirst, RetryMost time.Duration
	// MaxOwed bounds the deliveries of one system_id that are held in memory:
	// read and not acknowledged. The rest waits in the store. Half of it is for
	// those the client did not take, so that they never keep newer ones
	// waiting. Default 10 000.
	MaxOwed int
	// MaxRefusals bounds how often a delivery is tried that the client refuses
	// by a status which does not say that it passes. Those that pass, and
	// deliveries without an answer, end after gateway.MaxValidity, as webhooks
	// do. Default 100: an hour and a half of the longest back-off.
	MaxRefusals int
	// Location is the zone of the dates in receipts, which carry none. Default
	// UTC+3, Turkey's.
	Location *time.Location
	// Now is the clock for message times and parts. Default time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	if c.SystemID == "" {
		c.SystemID = "izinli"
	}
	orInt(&c.Window, 100)
	orInt(&c.DeliverWindow, 100)
	orInt(&c.MaxBinds, 8)
	orInt(&c.MaxConns, 1000)
	orInt(&c.MaxUnbound, 50)
	orInt(&c.MaxInFlight, 20_000)
	orInt(&c.MaxPDU, smpp.MaxPDU)
	orInt(&c.MaxOwed, 10_000)
	orInt(&c.MaxRefusals, 100)
	orTime(&c.BindTimeout, 30*time.Second)
	orTime(&c.EnquireLink, 30*time.Second)
	orTime(&c.Inactivity, 300*time.Second)
	orTime(&c.ResponseTimeout, 30*time.Second)
	orTime(&c.StopTimeout, 10*time.Second)
	orTime(&c.PartsTTL, 5*time.Minute)
	orTime(&c.PartsSweep, 10*time.Second)
	orTime(&c.RetryFirst, time.Second)
	orTime(&c.RetryMost, time.Minute)
	if c.Location == nil {
		c.Location = time.FixedZone("+03", 3*60*60)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func orInt(v *int, def int) {
	if *v <= 0 {
		*v = def
	}
}

func orTime(v *time.Duration, def time.Duration) {
	if *v == 0 {
		*v = def
	}
}

// link is the configuration of one connection.
func (c *Config) link() smpplink.Config {
	return smpplink.Config{
		Window:          c.DeliverWindow,
		MaxPDU:          c.MaxPDU,
		ResponseTimeout: c.ResponseTimeout,
		DrainTimeout:    c.StopTimeout,
		Timers:          smpp.TimerConfig{Bind: c.BindTimeout, EnquireLink: c.EnquireLink, Inactivity: c.Inactivity, Missed: 2},
	}
}

// Store is what the server reads and keeps. Errors are *gateway.Error where
// the caller is to be told; anything else counts as passing trouble of ours.
type Store interface {
	// Lookup resolves a message id or the id of a part; CodeNotFound otherwise.
	Lookup(a gateway.AccountID, id string) (gateway.MessageID, error)
	Message(ctx context.Context, a gateway.AccountID, id gateway.MessageID) (gateway.MessageView, error)
	Messages(ctx context.Context, a gateway.AccountID, f gateway.MessageFilter) (gateway.Page[gateway.MessageView], error)

	// Owed returns up to limit deliveries owed to the system_id with a
	// sequence above after, oldest first.
	Owed(ctx context.Context, system string, after uint64, limit int) ([]gateway.ReceiptDue, error)
	// OwedDone forgets what was acknowledged; done is called when that is
	// synced and must not block.
	OwedDone(system string, seqs []uint64, done func(error))
	// WatchOwed names the function told, after each commit, of a system_id
	// that is owed something new. It does not block.
	WatchOwed(f func(system string))

	// PutPart returns when the part is synced; all is the whole set, in order,
	// for the part that completed it. For a part that was there before, p.ID
	// becomes the id it got then. One that says something else than the part
	// that is there closes the set and begins another.
	PutPart(ctx context.Context, p *gateway.Part) (all []gateway.Part, err error)
	// OpenParts returns the sets, complete or not, that are closed or whose
	// oldest part is older.
	OpenParts(ctx context.Context, before time.Time) ([][]gateway.Part, error)
	// FailParts drops parts of a set and owes the receipts, in one commit.
	FailParts(ctx context.Context, parts []gateway.Part, receipts []gateway.ReceiptDue) error
}

// Steering stops and changes what has not left.
type Steering interface {
	CancelMessage(ctx context.Context, a gateway.AccountID, id gateway.MessageID) error
	ReplaceMessage(ctx context.Context, p *gateway.Principal, id gateway.MessageID, text string, sendAt time.Time, validFor time.Duration) error
}

// Deps are what a server works with. All are required save Log.
type Deps struct {
	Auth     gateway.Authenticator
	Submit   gateway.Submitter
	Steering Steering
	Store    Store
	// Directory yields what administrators edit at present: credentials that
	// were changed or revoked under an open bind, and those of parts that a
	// crash left behind.
	Directory func() *gateway.Directory
	// NewID hands out message ids that no other message gets.
	NewID func(a gateway.AccountID) gateway.MessageID
	// Allow charges n messages to the rates of the principal's account and
	// credential, or says that they are over it. It must not block.
	Allow func(p *gateway.Principal, n int) bool
	Log   *slog.Logger
}
