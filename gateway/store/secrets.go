package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"izinli/gateway"
)

// keys derive from the store key by HKDF-SHA-256 (RFC 5869), one per purpose, so that no two uses share a key.
type keys struct {
	seal  cipher.AEAD
	token []byte // HMAC key of links and tokens handed outside

	bodies []byte // of the log of mail bodies
}

func deriveKeys(master []byte) keys {
	if len(master) == 0 {
		master = make([]byte, 32) // in-memory stores of tests
	}
	derive := func(purpose string) []byte {
		k, err := hkdf.Key(sha256.New, master, nil, "izinli "+purpose, 32)
		if err != nil {
			panic(fmt.Sprintf("store: hkdf: %v", err)) // only for absurd lengths
		}
		return k
	}
	block, err := aes.NewCipher(derive("seal"))
	if err != nil {
		panic(fmt.Sprintf("store: aes: %v", err))
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(fmt.Sprintf("store: gcm: %v", err))
	}
	return keys{seal: aead, token: derive("token"), bodies: derive("mail body log")}
}

const sealPrefix = "s1:"

// Seal encrypts a secret that must be replayed later (AES-256-GCM). Sealing an empty secret gives an empty one.
func (s *Store) Seal(plain string) gateway.Sealed {
	if plain == "" {
		return ""
	}
	nonce := make([]byte, s.keys.seal.NonceSize())
	if _, err := rand.Read(nonce); err != nil {
		panic(fmt.Sprintf("store: random: %v", err)) // crypto/rand does not fail on supported systems
	}
	return gateway.Sealed(sealPrefix + base64.RawStdEncoding.EncodeToString(s.keys.seal.Seal(nonce, nonce, []byte(plain), nil)))
}

// Unseal gives the secret back; an error means it was sealed with another store key.
func (s *Store) Unseal(c gateway.Sealed) (string, error) {
	if c == "" {
		return "", nil
	}
	text, ok := strings.CutPrefix(string(c), sealPrefix)
	if !ok {
		return "", errors.New("store: secret is not sealed")
	}
	b, err := base64.RawStdEncoding.DecodeString(text)
	n := s.keys.seal.NonceSize()
	if err != nil || len(b) < n {
		return "", errors.New("store: sealed secret is malformed")
	}
	plain, err := s.keys.seal.Open(nil, b[:n], b[n:], nil)
	if err != nil {
		return "", fmt.Errorf("store: unseal: %w", err)
	}
	return string(plain), nil
}

// TokenKey is the HMAC key of links and tokens handed outside.
func (s *Store) TokenKey() []byte { return s.keys.token }
