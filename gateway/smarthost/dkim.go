package smarthost

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
)

// Key is a DKIM key (RFC 6376, RFC 8463) of one domain.
type Key struct {
	Domain   string
	Selector string
	Signer   crypto.Signer // *rsa.PrivateKey of 2048 bits and more, or ed25519.PrivateKey
}

// ParseKey reads a private key in PEM (PKCS #8, or PKCS #1 of an RSA key).
func ParseKey(domain, selector string, pemText []byte) (*Key, error) {
	block, _ := pem.Decode(pemText)
	if block == nil {
		return nil, errors.New("smarthost: dkim key: not PEM")
	}
	var parsed any
	var err error
	if block.Type == "RSA PRIVATE KEY" {
		parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("smarthost: dkim key: %w", err)
	}
	switch k := parsed.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() < 2048 { // RFC 8301 §3.2 asks 1024 and recommends 2048; large receivers distrust less
			return nil, fmt.Errorf("smarthost: dkim key: RSA of %d bits, at least 2048 are needed", k.N.BitLen())
		}
		return &Key{domain, selector, k}, nil
	case ed25519.PrivateKey:
		return &Key{domain, selector, k}, nil
	}
	return nil, fmt.Errorf("smarthost: dkim key: unusable type %T", parsed)
}

// Record returns the name and text of the DNS TXT record that publishes the key (RFC 6376 §3.6.1, RFC 8463 §4).
func (k *Key) Record() (name, text string, err error) {
	name = k.Selector + "._domainkey." + k.Domain
	switch pub := k.Signer.Public().(type) {
	case *rsa.PublicKey:
		der, err := x509.MarshalPKIXPublicKey(pub)
		if err != nil {
			return "", "", fmt.Errorf("smarthost: dkim record: %w", err)
		}
		return name, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der), nil
	case ed25519.PublicKey:
		return name, "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(pub), nil
	}
	return "", "", fmt.Errorf("smarthost: dkim record: unusable key %T", k.Signer.Public())
}
