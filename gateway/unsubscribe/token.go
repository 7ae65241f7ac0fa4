// Package unsubscribe makes and reads the tokens of opt-out links: who refuses what, in a form that fits an URL and shows nothing.
//
// A token is sealed, not stored: it stays good as long as its key is known, is the same for the same subject, and cannot be made,
// changed or read without the key. Whoever holds a token can do one thing with it, namely what the person it was sent to may do:
// refuse. So it carries no date and never expires; a link in a mail kept for years still has to work (Law 6563 art. 8).
//
// The form, before base64url without padding (RFC 4648 §5):
//
//	version1 iv16 AES-256-CTR(subject)      iv = first 16 octets of HMAC-SHA-256(version, subject)
//
// which is the SIV construction (RFC 5297 with HMAC in place of CMAC): the IV is also the authenticator, equal subjects give equal
// tokens, and a repeated IV tells nothing but that. A subject of a mail makes a token of about 80 characters.
package unsubscribe

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"izinli/gateway"
)

// Subject is what a token speaks of: one address refusing one channel of one brand, and the message that carried the link.
type Subject struct {
	Account gateway.AccountID
	Brand   string // brandCode
	Channel string // "sms" or "email" (gateway.ChannelSMS, ChannelEmail), or an İYS wire value
	Address string // in the stored form
	Message gateway.MessageID
}

// MinKey is how many octets a key needs at least.
const MinKey = 16

// maxToken bounds what Parse looks at: an address has at most 265 octets (iys-api.md §5.1), the rest is small.
const maxToken = 1024

const (
	version = 1
	ivSize  = 16
)

// ErrToken is the answer to everything that is not a token of ours; it never says what is wrong with it.
var ErrToken = errors.New("unsubscribe: not a token of ours")

// Tokens makes and reads tokens. It is safe for concurrent use.
type Tokens struct{ keys []sealer }

// Path is where the public listener (package gateway/public) answers tokens; the token follows it.
const Path = "/o/"

// URL returns the opt-out link of a subject under base, the public address without a slash at the end.
func (t *Tokens) URL(base string, s Subject) string { return base + Path + t.Make(s) }

// sealer holds what one key becomes.
type sealer struct {
	mac   []byte
	block cipher.Block
}

// NewTokens returns a maker of tokens. The first key signs, all of them verify, so that a key can be changed without breaking
// links that are out. Each needs MinKey octets.
func NewTokens(keys ...[]byte) (*Tokens, error) {
	if len(keys) == 0 {
		return nil, errors.New("unsubscribe: no key")
	}
	t := &Tokens{}
	for i, k := range keys {
		if len(k) < MinKey {
			return nil, fmt.Errorf("unsubscribe: key %d has %d octets, at least %d are needed", i+1, len(k), MinKey)
		}
		okm, err := hkdf.Key(sha256.New, k, nil, "izinli unsubscribe token", 64)
		if err != nil {
			return nil, fmt.Errorf("unsubscribe: key %d: %w", i+1, err)
		}
		block, err := aes.NewCipher(okm[32:])
		if err != nil {
			return nil, fmt.Errorf("unsubscribe: key %d: %w", i+1, err)
		}
		t.keys = append(t.keys, sealer{mac: okm[:32], block: block})
	}
	return t, nil
}

// Make returns the token of a subject: letters, digits, "-" and "_". Equal subjects have equal tokens.
func (t *Tokens) Make(s Subject) string {
	plain := s.encode()
	k := &t.keys[0]
	out := make([]byte, 1+ivSize+len(plain))
	out[0] = version
	copy(out[1:], k.iv(plain))
	k.crypt(out[1+ivSize:], plain, out[1:1+ivSize])
	return base64.RawURLEncoding.EncodeToString(out)
}

// Parse reads a token that was made with one of the keys; ErrToken for anything else.
func (t *Tokens) Parse(token string) (Subject, error) {
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // which base64 would skip
		return Subject{}, ErrToken
	}
	// Strict: the spare bits of the last character must be zero, so that a token has one spelling.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) <= 1+ivSize || raw[0] != version {
		return Subject{}, ErrToken
	}
	iv, body := raw[1:1+ivSize], raw[1+ivSize:]
	plain := make([]byte, len(body))
	for i := range t.keys {
		t.keys[i].crypt(plain, body, iv)
		if hmac.Equal(t.keys[i].iv(plain), iv) {
			return decode(plain)
		}
	}
	return Subject{}, ErrToken
}

func (k *sealer) iv(plain []byte) []byte {
	m := hmac.New(sha256.New, k.mac)
	m.Write([]byte{version})
	m.Write(plain)
	return m.Sum(nil)[:ivSize]
}

func (k *sealer) crypt(dst, src, iv []byte) {
	cipher.NewCTR(k.block, iv).XORKeyStream(dst, src)
}

// channels that have a number; others are written out.
var channels = []string{1: gateway.ChannelSMS, 2: gateway.ChannelEmail, 3: "MESAJ", 4: "EPOSTA", 5: "ARAMA"}

// encode writes a subject: account, brand, channel, address, message. Integers are varints, texts are preceded by their length.
func (s *Subject) encode() []byte {
	b := make([]byte, 0, 48+len(s.Address))
	b = binary.AppendUvarint(b, uint64(s.Account))
	b = text(b, s.Brand)
	if i := slices.Index(channels[1:], s.Channel); i >= 0 {
		b = append(b, byte(i+1))
	} else {
		b = text(append(b, 0), s.Channel)
	}
	b = text(b, s.Address)
	b = binary.AppendUvarint(b, uint64(s.Message.Account))
	b = binary.AppendUvarint(b, uint64(s.Message.Batch))
	return binary.AppendUvarint(b, uint64(s.Message.Index))
}

func text(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }

// decode reads what encode wrote. It is reached only by octets that our key has authenticated, and trusts them no more for it.
func decode(b []byte) (s Subject, err error) {
	r := reader{b: b}
	s.Account = gateway.AccountID(r.number(1<<32 - 1))
	s.Brand = r.text()
	switch c := r.number(255); {
	case c == 0:
		s.Channel = r.text()
	case c < uint64(len(channels)):
		s.Channel = channels[c]
	default:
		r.bad = true
	}
	s.Address = r.text()
	s.Message.Account = gateway.AccountID(r.number(1<<32 - 1))
	s.Message.Batch = gateway.BatchID(r.number(1<<64 - 1))
	s.Message.Index = uint32(r.number(1<<32 - 1))
	if r.bad || len(r.b) > 0 {
		return Subject{}, ErrToken
	}
	return s, nil
}

// reader takes a subject apart; after the first mistake everything reads as zero.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) number(limit uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad = r.bad || n <= 0 || v > limit; r.bad {
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() string {
	n := r.number(uint64(len(r.b)))
	if r.bad = r.bad || n > uint64(len(r.b)); r.bad {
		return ""
	}
	s := string(r.b[:n])
	r.b = r.b[n:]
	return s
}
