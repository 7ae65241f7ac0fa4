package webhook

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Headers of a webhook request.
const (
	HeaderSignature = "Izinli-Signature"
	HeaderEventID   = "Izinli-Event-Id"
	HeaderEventType = "Izinli-Event-Type"
)

// Why Verify refuses.
var (
	ErrSignature = errors.New("webhook: the signature does not fit the body")
	ErrExpired   = errors.New("webhook: the signature is too old or from the future")
)

// NewSecret makes the secret a webhook is signed with: `whsec_` and more than 256 random bits.
func NewSecret() string { return "whsec_" + strings.ToLower(rand.Text()+rand.Text()) }

// Sign returns the signature header for a body sent at t: `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "<t>.<body>">`.
func Sign(secret string, t time.Time, body []byte) string {
	unix := strconv.FormatInt(t.Unix(), 10)
	return "t=" + unix + ",v1=" + hex.EncodeToString(sum(secret, unix, body))
}

func sum(secret, unix string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(unix + "."))
	h.Write(body)
	return h.Sum(nil)
}

// Verify is what the receiver of an event does first: it reports nil when header was made with secret over exactly this body
// within tolerance of now (five minutes is usual), else ErrSignature or ErrExpired. Parts of the header it does not know are
// skipped, and any of several v1 may fit, so that secrets can be changed without a gap.
func Verify(secret, header string, body []byte, now time.Time, tolerance time.Duration) error {
	var unix string
	var given [][]byte
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if unix != "" {
				return ErrSignature // two times: which one was signed?
			}
			unix = value
		case "v1":
			if mac, err := hex.DecodeString(value); err == nil {
				given = append(given, mac)
			}
		}
	}
	at, err := strconv.ParseInt(unix, 10, 64)
	if err != nil || secret == "" {
		return ErrSignature
	}
	want, fits := sum(secret, unix, body), false
	for _, mac := range given {
		fits = hmac.Equal(mac, want) || fits
	}
	if !fits {
		return ErrSignature
	}
	if now.Sub(time.Unix(at, 0)).Abs() > tolerance {
		return ErrExpired
	}
	return nil
}
