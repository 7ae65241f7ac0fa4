package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

// Guard says where webhooks may point. The zero value is for production: https to public addresses only.
type Guard struct {
	// AllowPrivate lets webhooks reach loopback and private networks, there also over plain http. Link-local addresses (cloud
	// metadata), multicast and the like stay forbidden.
	AllowPrivate bool
}

// ErrTarget is the cause of every refused address.
var ErrTarget = errors.New("webhook: the address is not allowed")

// CheckURL judges a URL before it is stored. A name may later resolve to something else, so the address is judged again at
// each connection.
func (g Guard) CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return errors.New("the URL is not valid")
	case u.User != nil:
		return errors.New("the URL must not carry a user or password; check the signature instead")
	case u.Fragment != "":
		return errors.New("the URL must not have a fragment")
	case u.Scheme == "http" && !g.AllowPrivate, u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the URL must start with https://")
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && g.check(addr, u.Scheme == "http") != nil {
		return errors.New("the URL points to an address that is not allowed")
	}
	return nil
}

// never are networks no webhook goes to: nobody's endpoint is there, and link-local ones answer with a cloud machine's secrets.
var never = prefixes("0.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32", "::/128", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:db8::/32", "fe80::/10",
	"fec0::/10", "ff00::/8", "fd00:ec2::254/128")

// inside are networks of our own house.
var inside = prefixes("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func within(addr netip.Addr, nets []netip.Prefix) bool {
	for _, p := range nets {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// check judges one address; plain says that the connection is not encrypted, which is for private networks only.
func (g Guard) check(addr netip.Addr, plain bool) error {
	addr = embedded(addr.Unmap().WithZone(""))
	private := within(addr, inside)
	switch {
	case !addr.IsValid() || within(addr, never),
		private && !g.AllowPrivate,
		plain && !private:
		return ErrTarget
	}
	return nil
}

// embedded returns the IPv4 address inside an IPv6 one that a translator would turn back: NAT64 (RFC 6052 §2.1), 6to4
// (RFC 3056 §2), IPv4-compatible (RFC 4291 §2.5.5.1).
func embedded(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	b := addr.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(addr),
		netip.MustParsePrefix("::/96").Contains(addr) && (b[12]|b[13]) != 0:
		return netip.AddrFrom4([4]byte(b[12:16]))
	case netip.MustParsePrefix("2002::/16").Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return addr
}

// transport connects only where g allows. No proxy is taken from the environment: it would make the connection for us,
// unguarded.
func (g Guard) transport(plain bool, perHost int) *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrTarget, err)
		}
		return g.check(ap.Addr(), plain)
	}}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxIdleConnsPerHost:    perHost,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 16 << 10,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}
