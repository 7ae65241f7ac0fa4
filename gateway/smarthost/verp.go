package smarthost

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"strings"

	"izinli/gateway"
)

// VERP makes return paths that name their message, signed so that nobody can make them up, and reads them back:
// b+<message id>.<mac>@<domain>. The mac is HMAC-SHA256 over the id, cut to 80 bits; both parts are base 32, which survives
// systems that change the case. No recipient stands in it.
type VERP struct {
	domain string
	keys   [][]byte
}

// ErrVERP refuses an address that is no return path of ours.
var ErrVERP = errors.New("smarthost: not a return path of ours")

const (
	verpPrefix  = "b+" // a return path
	leavePrefix = "u+" // whoever writes there refuses
	macLen      = 16   // characters: 80 bits
)

var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewVERP makes return paths under a domain whose mail comes to us. The first key signs; all verify, so that a key can be
// changed while mail is under way.
func NewVERP(domain string, keys ...[]byte) (*VERP, error) {
	if domain == "" || len(keys) == 0 {
		return nil, errors.New("smarthost: verp needs a domain and a key")
	}
	for _, k := range keys {
		if len(k) < 16 {
			return nil, errors.New("smarthost: a verp key needs 16 octets")
		}
	}
	return &VERP{domain: strings.ToLower(domain), keys: keys}, nil
}

// Address is the return path of a message. It is the same at every attempt, as greylisting asks.
func (v *VERP) Address(id gateway.MessageID) string { return v.make(verpPrefix, "verp", id) }

// Leave is the address a recipient writes to who wants no more of it (RFC 2369 §3.2).
func (v *VERP) Leave(id gateway.MessageID) string { return v.make(leavePrefix, "leave", id) }

func (v *VERP) make(prefix, use string, id gateway.MessageID) string {
	s := id.String()
	return prefix + s + "." + verpMAC(v.keys[0], use, s) + "@" + v.domain
}

// Domain is where the addresses live.
func (v *VERP) Domain() string { return v.domain }

// Accepts reports whether an address (in any case) is under our domain, forged or not.
func (v *VERP) Accepts(addr string) bool {
	_, domain, ok := strings.Cut(addr, "@")
	return ok && strings.EqualFold(domain, v.domain)
}

// Parse reads a return path back; ErrVERP when it is not ours or not signed by us.
func (v *VERP) Parse(addr string) (gateway.MessageID, error) {
	return v.parse(verpPrefix, "verp", addr)
}

// ParseLeave reads back what Leave made; ErrVERP for everything else.
func (v *VERP) ParseLeave(addr string) (gateway.MessageID, error) {
	return v.parse(leavePrefix, "leave", addr)
}

func (v *VERP) parse(prefix, use, addr string) (gateway.MessageID, error) {
	local, domain, ok := strings.Cut(strings.ToLower(addr), "@")
	token, isOurs := strings.CutPrefix(local, prefix)
	if !ok || !isOurs || domain != v.domain {
		return gateway.MessageID{}, ErrVERP
	}
	text, mac, _ := strings.Cut(token, ".")
	id, err := gateway.ParseMessageID(text)
	if err != nil {
		return gateway.MessageID{}, ErrVERP
	}
	for _, k := range v.keys {
		if hmac.Equal([]byte(mac), []byte(verpMAC(k, use, id.String()))) {
			return id, nil
		}
	}
	return gateway.MessageID{}, ErrVERP
}

func verpMAC(key []byte, use, id string) string {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(use + "\x00" + id))
	return lower32.EncodeToString(m.Sum(nil))[:macLen]
}
