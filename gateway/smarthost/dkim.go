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
	"io"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"izinli/gateway/mail"
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

// signed lists the fields a signature covers where they stand (RFC 6376 §5.4.1; RFC 8058 §4 for the unsubscribe fields).
// Each is named once more than it stands there: none can be added afterwards, in front of the reader's eyes (over-signing).
var signed = []string{"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "Sender", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "In-Reply-To", "References", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID"}

func signedKeys(h mail.Header) (out []string) {
	for _, name := range signed {
		for range h.Count(name) + 1 {
			out = append(out, name)
		}
	}
	return out
}

// sign returns the DKIM-Signature fields of a message, one per key, and the size of its body.
func sign(h mail.Header, body io.Reader, keys []*Key) (sigs []mail.Field, size int64, err error) {
	signers := make([]*dkim.Signer, 0, len(keys))
	defer func() {
		for _, s := range signers { // every signer is a goroutine that ends with Close; closing twice does no harm before success
			if err != nil {
				_ = s.Close()
			}
		}
	}()
	writers := make([]io.Writer, 0, len(keys))
	for _, k := range keys {
		s, err := dkim.NewSigner(&dkim.SignOptions{Domain: k.Domain, Selector: k.Selector, Signer: k.Signer, Hash: crypto.SHA256,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed, HeaderKeys: signedKeys(h)})
		if err != nil {
			return nil, 0, fmt.Errorf("smarthost: sign: %w", err)
		}
		signers, writers = append(signers, s), append(writers, s)
	}
	w := io.MultiWriter(writers...)
	if _, err = w.Write(h.Bytes()); err != nil {
		return nil, 0, fmt.Errorf("smarthost: sign: %w", err)
	}
	if size, err = io.Copy(w, body); err != nil {
		return nil, 0, fmt.Errorf("smarthost: sign: %w", err)
	}
	for len(signers) > 0 {
		s := signers[0]
		if err = s.Close(); err != nil {
			return nil, 0, fmt.Errorf("smarthost: sign: %w", err)
		}
		signers = signers[1:]
		text := s.Signature()
		name, _, _ := strings.Cut(text, ":")
		sigs = append(sigs, mail.Field{Name: name, Raw: []byte(text)})
	}
	return sigs, size, nil
}
