package smarthost

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"time"
)

// TLSPolicy is how a connection is protected.
type TLSPolicy uint8

// The policies, the safest first: the zero value asks for a certificate that fits.
const (
	TLSVerified      TLSPolicy = iota // STARTTLS and a certificate valid for the host's name
	TLSImplicit                       // TLS from the first octet (RFC 8314) and a certificate valid for the host's name
	TLSEncrypted                      // STARTTLS with any certificate
	TLSOpportunistic                  // STARTTLS with any certificate where it is offered, else in clear
	TLSOff                            // in clear: for a host on the same machine or network
)

// ParseTLS reads the name of a policy; the empty one is verified. ok is false for another word.
func ParseTLS(s string) (p TLSPolicy, ok bool) {
	switch s {
	case "", "verified":
		return TLSVerified, true
	case "implicit":
		return TLSImplicit, true
	case "encrypted":
		return TLSEncrypted, true
	case "opportunistic":
		return TLSOpportunistic, true
	case "off":
		return TLSOff, true
	}
	return TLSVerified, false
}

// Host is one next hop.
type Host struct {
	Name       string // in logs and outcomes; default Addr
	Addr       string // host:port
	Rank       int    // lower ranks first; equal ones take turns
	TLS        TLSPolicy
	ServerName string         // the name its certificate must have; default the host of Addr
	Roots      *x509.CertPool // nil: the system's
	ClientCert *tls.Certificate
	Username   string // AUTH PLAIN or LOGIN, under TLS only
	Password   string

	MaxConns   int // default 10
	MaxPerConn int // messages of one connection; default 100
	PerSecond  int // messages; 0: no limit
	// DialsPerMinute bounds new connections; MaxConns of them may come at once. 0: no limit.
	DialsPerMinute int
	IdleTimeout    time.Duration // default 60 s
}

func (h Host) withDefaults() (Host, error) {
	name, _, err := net.SplitHostPort(h.Addr)
	if err != nil {
		return h, fmt.Errorf("smarthost: host %q: %w", h.Addr, err)
	}
	if h.Name == "" {
		h.Name = h.Addr
	}
	if h.ServerName == "" {
		h.ServerName = name
	}
	if h.MaxConns <= 0 {
		h.MaxConns = 10
	}
	if h.MaxPerConn <= 0 {
		h.MaxPerConn = 100
	}
	if h.IdleTimeout <= 0 {
		h.IdleTimeout = time.Minute
	}
	if h.Username != "" && (h.TLS == TLSOff || h.TLS == TLSOpportunistic) {
		return h, fmt.Errorf("smarthost: host %s: a password needs TLS", h.Name)
	}
	return h, nil
}

func (h *Host) tlsConfig() *tls.Config {
	c := &tls.Config{ServerName: h.ServerName, RootCAs: h.Roots, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: h.TLS == TLSEncrypted || h.TLS == TLSOpportunistic}
	if h.ClientCert != nil {
		c.Certificates = []tls.Certificate{*h.ClientCert}
	}
	return c
}

// Config of a Client. Zero times take the defaults, which lie below those of RFC 5321 §4.5.3.2: a smarthost is near.
type Config struct {
	Helo           string        // our name in EHLO; required
	DialTimeout    time.Duration // default 30 s
	CommandTimeout time.Duration // greeting, EHLO, MAIL, RCPT, DATA; default 1 min
	BlockTimeout   time.Duration // for a block of data to be taken; default 3 min
	FinalTimeout   time.Duration // for the answer to a message; default 5 min
	RestFirst      time.Duration // how long a failed host rests at first; it doubles up to RestMost; default 5 s
	RestMost       time.Duration // default 5 min
	// Together is the largest message in octets that is sent before the envelope was answered; default 64 KiB.
	Together int64
	Dial     func(network, addr string, timeout time.Duration) (net.Conn, error) // default net.DialTimeout
}

func (c Config) withDefaults() Config {
	def := func(p *time.Duration, v time.Duration) {
		if *p <= 0 {
			*p = v
		}
	}
	def(&c.DialTimeout, 30*time.Second)
	def(&c.CommandTimeout, time.Minute)
	def(&c.BlockTimeout, 3*time.Minute)
	def(&c.FinalTimeout, 5*time.Minute)
	def(&c.RestFirst, 5*time.Second)
	def(&c.RestMost, 5*time.Minute)
	if c.Together <= 0 {
		c.Together = 64 << 10
	}
	if c.Dial == nil {
		c.Dial = net.DialTimeout
	}
	return c
}
