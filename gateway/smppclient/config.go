package smppclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"izinli/gateway/smpp"
)

// BindType is how sessions are made up.
type BindType uint8

// Bind types.
const (
	TRX  BindType = iota // each bind is one transceiver
	TXRX                 // each bind is a transmitter and a receiver
)

// Alphabet is what an operator takes data_coding 0 for.
type Alphabet uint8

// Alphabets.
const (
	GSM7Unpacked Alphabet = iota // one septet per octet: the usual
	GSM7Packed
)

// TONNPI is how a kind of address is declared.
type TONNPI struct {
	TON smpp.TON
	NPI smpp.NPI
}

// Profile is what an operator expects in a submit_sm. This package only
// declares addresses by it; encoding is for the caller, who reads the rest.
type Profile struct {
	Alphanumeric TONNPI // sender titles
	ShortCode    TONNPI // senders of up to six digits
	Number       TONNPI // other senders, and all destinations
	Alphabet     Alphabet
	// ReserveSuffix is the room the operator needs for the code it appends,
	// in characters.
	ReserveSuffix int
}

// DefaultProfile is what most operators expect.
func DefaultProfile() Profile {
	return Profile{
		Alphanumeric: TONNPI{smpp.TONAlphanumeric, smpp.NPIUnknown},
		ShortCode:    TONNPI{smpp.TONNetworkSpecific, smpp.NPIUnknown},
		Number:       TONNPI{smpp.TONInternational, smpp.NPIISDN},
	}
}

// Source declares a sender: a title, a short code, or a number in
// international form, whose leading + is dropped.
func (p Profile) Source(sender string) smpp.Address {
	digits := len(sender) > 0
	for i, c := range []byte(sender) {
		if (c < '0' || c > '9') && (i > 0 || c != '+') {
			digits = false
		}
	}
	switch {
	case !digits:
		return smpp.Address{TON: p.Alphanumeric.TON, NPI: p.Alphanumeric.NPI, Addr: []byte(sender)}
	case len(sender) <= 6:
		return smpp.Address{TON: p.ShortCode.TON, NPI: p.ShortCode.NPI, Addr: []byte(sender)}
	}
	return p.Dest(sender)
}

// Dest declares a destination in international form, whose leading + is dropped.
func (p Profile) Dest(number string) smpp.Address {
	if len(number) > 0 && number[0] == '+' {
		number = number[1:]
	}
	return smpp.Address{TON: p.Number.TON, NPI: p.Number.NPI, Addr: []byte(number)}
}

// Config of a client. Zero fields take the default; it is not changed after New.
type Config struct {
	// Name of the operator, for logs and errors. Required.
	Name string
	// Addr is host:port. Required.
	Addr string
	// TLS, if set, wraps the connection.
	TLS *tls.Config
	// SystemID (required), Password, SystemType and AddressRange are sent in
	// the bind. At most 64 octets; the standard says 15, 8, 12 and 40.
	SystemID, Password, SystemType, AddressRange string
	// InterfaceVersion is 0x34 by default.
	InterfaceVersion uint8
	// BindType and Binds: how many of which. Default 1 transceiver.
	BindType BindType
	Binds    int
	// Window bounds requests in flight per bind. Default 10. A message with
	// more segments than this cannot be sent.
	Window int
	// RatePerSecond bounds submit_sm per bind and second, with bursts of a
	// tenth of a second. 0: no bound.
	RatePerSecond float64
	// EnquireLink is the silence after which the operator is probed; two
	// unanswered probes end the session. Default 30 s.
	EnquireLink time.Duration
	// ResponseTimeout is how long a submit_sm waits for its response. Default 30 s.
	ResponseTimeout time.Duration
	// DialTimeout covers connecting and TLS. Default 10 s.
	DialTimeout time.Duration
	// BindTimeout is how long a bind waits for its response, whatever
	// ResponseTimeout is. Default 10 s.
	BindTimeout time.Duration
	// DrainTimeout bounds waiting for open responses and the unbind when the
	// client stops. Default 10 s.
	DrainTimeout time.Duration
	// DeliverWindow bounds deliveries per bind that the Handler has not
	// acknowledged; more are answered ESME_RX_T_APPN. Default 100.
	DeliverWindow int
	// ResponseID and ReceiptID make the message ids of responses and of
	// receipts alike.
	ResponseID, ReceiptID smpp.IDRule
	// Location of the dates in receipts. Default UTC+3.
	Location *time.Location
	// UnmarkedReceipts takes a text in receipt form for a receipt although
	// its esm_class does not say so. Off by default: a handset can write such
	// a text.
	UnmarkedReceipts bool
	// Profile defaults to DefaultProfile.
	Profile Profile
	// OnReady, if set, is told when a bind may have room again, has come up
	// or gone down. It must only signal.
	OnReady func(*Bind)
	// Dial replaces net.Dialer in tests.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
	// Logger defaults to slog.Default.
	Logger *slog.Logger
}

// errConfig is wrapped by every error of New.
var errConfig = errors.New("bad configuration")

func (c Config) withDefaults() (Config, error) {
	if c.Name == "" || c.Addr == "" || c.SystemID == "" {
		return c, fmt.Errorf("smppclient: %w: name, address and system_id are required", errConfig)
	}
	if c.Binds < 0 || c.Window < 0 || c.RatePerSecond < 0 || c.DeliverWindow < 0 {
		return c, fmt.Errorf("smppclient: %s: %w: negative number", c.Name, errConfig)
	}
	setDefault(&c.InterfaceVersion, smpp.Version34)
	setDefault(&c.Binds, 1)
	setDefault(&c.Window, 10)
	setDefault(&c.EnquireLink, 30*time.Second)
	setDefault(&c.ResponseTimeout, 30*time.Second)
	setDefault(&c.DialTimeout, 10*time.Second)
	setDefault(&c.BindTimeout, 10*time.Second)
	setDefault(&c.DrainTimeout, 10*time.Second)
	setDefault(&c.DeliverWindow, 100)
	setDefault(&c.Location, time.FixedZone("+03", 3*60*60))
	suffix, alphabet := c.Profile.ReserveSuffix, c.Profile.Alphabet
	if c.Profile == (Profile{Alphabet: alphabet, ReserveSuffix: suffix}) {
		c.Profile = DefaultProfile()
		c.Profile.Alphabet, c.Profile.ReserveSuffix = alphabet, suffix
	}
	if c.Dial == nil {
		c.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}
	}
	setDefault(&c.Logger, slog.Default())
	if err := c.bindPDU(smpp.BindTRX).Validate(smpp.RelaxedLimits); err != nil {
		return c, fmt.Errorf("smppclient: %s: %w: %w", c.Name, errConfig, err)
	}
	return c, nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

func (c Config) bindPDU(mode smpp.BindMode) *smpp.Bind {
	return &smpp.Bind{
		Mode: mode, SystemID: []byte(c.SystemID), Password: []byte(c.Password), SystemType: []byte(c.SystemType),
		InterfaceVersion: c.InterfaceVersion, AddressRange: []byte(c.AddressRange),
	}
}
