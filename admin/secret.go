package admin

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"izinli/gateway"
	"izinli/gateway/account"
)

const (
	hashesAtOnce  = 2  // argon2id takes 19 MiB and a core each
	minPassword   = 12 // characters
	maxPassword   = 128
	totpPeriod    = 30 // s
	totpSkew      = 1  // steps before and after that are taken
	recoveryCount = 10
)

func fill(b []byte) { _, _ = rand.Read(b) } // never fails (crypto/rand)

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (p *Panel) mac(purpose, text string) []byte {
	h := hmac.New(sha256.New, p.key[:])
	h.Write([]byte(purpose))
	h.Write([]byte{0})
	h.Write([]byte(text))
	return h.Sum(nil)
}

// csrf is the token of the forms given to the holder of a cookie.
func (p *Panel) csrf(cookie string) string {
	return base64.RawURLEncoding.EncodeToString(p.mac("csrf", cookie))
}

func newSeal() cipher.AEAD {
	var k [32]byte
	fill(k[:])
	block, err := aes.NewCipher(k[:])
	if err != nil {
		panic(fmt.Sprintf("admin: aes: %v", err)) // only for other key lengths
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(fmt.Sprintf("admin: gcm: %v", err))
	}
	return aead
}

// hide makes text fit for a URL: addresses must not stand in histories and logs. Only this process can read it back, and only
// for the same user.
func (p *Panel) hide(user, text string) string {
	return base64.RawURLEncoding.EncodeToString(p.seal.Seal(nil, nil, []byte(text), []byte(user)))
}

func (p *Panel) unhide(user, s string) (string, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return "", false
	}
	plain, err := p.seal.Open(nil, nil, b, []byte(user))
	return string(plain), err == nil
}

// hashSlot takes one of the few places for hashing passwords; the caller gives it back by calling release.
func (p *Panel) hashSlot(ctx context.Context) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	select {
	case p.hashing <- struct{}{}:
		return func() { <-p.hashing }, nil
	case <-ctx.Done():
		return nil, gateway.Refuse(gateway.CodeUnavailable, "", "")
	}
}

// dummyHash is what unknown names are checked against, so that they cost the same.
var dummyHash = sync.OnceValue(func() string { return account.HashPassword(gateway.NewToken()) })

// rightPassword compares a password with a stored form, with one nobody knows when there is none.
func (p *Panel) rightPassword(ctx context.Context, stored, password string) (bool, error) {
	release, err := p.hashSlot(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	if stored == "" || len(password) > 4*maxPassword {
		account.Verify(dummyHash(), "")
		return false, nil
	}
	return account.Verify(stored, password), nil
}

func (p *Panel) hashPassword(ctx context.Context, password string) (string, error) {
	release, err := p.hashSlot(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	return account.HashPassword(password), nil
}

// common are words no password may consist of, besides the user's name (NIST SP 800-63B §5.1.1.2).
var common = []string{"password", "parola", "sifre", "şifre", "qwerty", "123456", "iloveyou", "izinli", "galatasaray", "fenerbahce", "besiktas", "turkiye", "admin"}

// passwordFault names the key of what is wrong with a password, empty when nothing is.
func passwordFault(name, password string) string {
	n := utf8.RuneCountInString(password)
	switch {
	case n < minPassword:
		return "password.short"
	case n > maxPassword:
		return "password.long"
	}
	rest := strings.ToLower(password)
	for _, w := range append([]string{name}, common...) {
		if w != "" {
			rest = strings.ReplaceAll(rest, w, "")
		}
	}
	distinct := map[rune]bool{}
	for _, r := range rest {
		distinct[r] = true
	}
	if len(distinct) < 5 {
		return "password.weak"
	}
	return ""
}

// enrolSecret is the TOTP secret offered to the holder of a set-up link: the same whenever the page is looked at, known to
// nobody without the link.
func (p *Panel) enrolSecret(token string) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(p.mac("totp", token)[:20])
}

func totpKey(name, secret string) (*otp.Key, error) {
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret)
	if err != nil {
		return nil, fmt.Errorf("admin: totp secret: %w", err)
	}
	return totp.Generate(totp.GenerateOpts{Issuer: "izinli", AccountName: name, Secret: raw, Period: totpPeriod})
}

// totpStep finds the time step whose code was typed, among those around now and later than last: a code is good once
// (RFC 6238 §5.2).
func totpStep(secret, code string, last int64, now time.Time) (int64, bool) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	present := now.Unix() / totpPeriod
	for step := present - totpSkew; step <= present+totpSkew; step++ {
		want, err := totp.GenerateCodeCustom(secret, time.Unix(step*totpPeriod, 0),
			totp.ValidateOpts{Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err == nil && same(want, code) && step > last {
			return step, true
		}
	}
	return 0, false
}

// newRecovery makes codes of 80 bits, shown once, and what is kept of them.
func newRecovery() (codes, hashes []string) {
	for range recoveryCount {
		var b [10]byte
		fill(b[:])
		s := strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))
		codes = append(codes, s[:4]+"-"+s[4:8]+"-"+s[8:12]+"-"+s[12:])
		hashes = append(hashes, gateway.HashToken(s))
	}
	return codes, hashes
}

// useRecovery takes a code out of the list; false when it is not there.
func useRecovery(hashes []string, code string) ([]string, bool) {
	h := gateway.HashToken(strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(strings.TrimSpace(code))))
	var rest []string
	found := false
	for _, x := range hashes {
		if !found && same(x, h) {
			found = true
			continue
		}
		rest = append(rest, x)
	}
	return rest, found
}
