package smtpserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"izinli/gateway"
	"izinli/gateway/account"
)

// scramServer is SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677). The password never comes here: the client proves
// that it knows it, and we prove that we know its keys.
type scramServer struct {
	s     *session
	step  int
	name  string
	gs2   string // header of the first message, repeated in the last
	bare  string // client-first-message-bare
	first string // server-first-message
	nonce string
	x     *account.SCRAM
	who   *gateway.Principal // who has proven it; logged in when the client has taken our proof
}

var errSCRAM = errors.New("smtpserver: malformed scram message")

// Next implements sasl.Server.
func (a *scramServer) Next(response []byte) ([]byte, bool, error) {
	switch a.step {
	case 0:
		if response == nil {
			return nil, false, nil
		}
		a.step = 1
		return a.begin(string(response))
	case 1:
		a.step = 2
		return a.prove(string(response))
	}
	// The client has seen our proof and answers with nothing (RFC 4954 §4). Until then it may break off, and is nobody.
	return nil, true, a.s.loggedIn(a.name, a.who, nil)
}

func (a *scramServer) begin(msg string) ([]byte, bool, error) {
	name, clientNonce, err := a.parseFirst(msg)
	if err != nil {
		return nil, false, errMalformedAuth
	}
	a.name = name
	a.x, err = a.s.srv.deps.Auth.SCRAM(a.s.ctx, gateway.KindSMTP, name, a.s.guard.from)
	if err != nil {
		return nil, false, a.s.loggedIn(name, nil, err)
	}
	a.nonce = clientNonce + rand.Text()
	a.first = "r=" + a.nonce + ",s=" + base64.StdEncoding.EncodeToString(a.x.Keys.Salt) + ",i=" + strconv.Itoa(a.x.Keys.Rounds)
	return []byte(a.first), false, nil
}

// parseFirst reads the client-first-message (RFC 5802 §7): gs2-cbind-flag "," [authzid] "," "n=" user ",r=" nonce [extensions].
func (a *scramServer) parseFirst(msg string) (name, nonce string, err error) {
	flag, rest, ok := strings.Cut(msg, ",")
	if !ok || flag != "n" && flag != "y" { // "p=…" asks for a binding we did not offer
		return "", "", errSCRAM
	}
	authz, bare, ok := strings.Cut(rest, ",")
	if !ok {
		return "", "", errSCRAM
	}
	a.gs2, a.bare = flag+","+authz+",", bare
	attrs := strings.Split(bare, ",")
	if len(attrs) < 2 || !strings.HasPrefix(attrs[0], "n=") || !strings.HasPrefix(attrs[1], "r=") { // "m=…" first: an extension we must know
		return "", "", errSCRAM
	}
	name, err = unescape(attrs[0][2:])
	nonce = attrs[1][2:]
	if err != nil || name == "" || nonce == "" || !printable(nonce) {
		return "", "", errSCRAM
	}
	if authz != "" {
		who, err := unescape(strings.TrimPrefix(authz, "a="))
		if err != nil || !strings.HasPrefix(authz, "a=") || who != name { // nobody acts for another
			return "", "", errSCRAM
		}
	}
	return name, nonce, nil
}

// prove checks the client-final-message and answers with our own proof.
func (a *scramServer) prove(msg string) ([]byte, bool, error) {
	at := strings.LastIndex(msg, ",p=")
	if at < 0 {
		return nil, false, errMalformedAuth
	}
	without, proof64 := msg[:at], msg[at+3:]
	attrs := strings.Split(without, ",")
	proof, err := base64.StdEncoding.DecodeString(proof64)
	binding := base64.StdEncoding.EncodeToString([]byte(a.gs2))
	wellFormed := err == nil && len(attrs) >= 2 && attrs[0] == "c="+binding && attrs[1] == "r="+a.nonce && len(proof) == sha256.Size

	authMessage := a.bare + "," + a.first + "," + without
	proven := wellFormed && provenBy(a.x.Keys.StoredKey, authMessage, proof)
	if a.who, err = a.x.Conclude(a.s.ctx, proven); err != nil {
		return nil, false, a.s.loggedIn(a.name, nil, err)
	}
	signature := hmac256(a.x.Keys.ServerKey, authMessage)
	return []byte("v=" + base64.StdEncoding.EncodeToString(signature)), false, nil
}

// provenBy reports whether the proof was made with the key whose hash is stored: ClientKey = proof XOR HMAC(StoredKey, message),
// StoredKey = H(ClientKey) (RFC 5802 §3).
func provenBy(storedKey []byte, authMessage string, proof []byte) bool {
	key := make([]byte, sha256.Size)
	if subtle.XORBytes(key, proof, hmac256(storedKey, authMessage)) != sha256.Size {
		return false
	}
	sum := sha256.Sum256(key)
	return subtle.ConstantTimeCompare(sum[:], storedKey) == 1
}

func hmac256(key []byte, msg string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(msg))
	return m.Sum(nil)
}

// unescape reads a saslname: "=2C" is a comma, "=3D" an equals sign, no other "=" may stand there.
func unescape(s string) (string, error) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '=')
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		b.WriteString(s[:i])
		switch {
		case strings.HasPrefix(s[i:], "=2C"):
			b.WriteByte(',')
		case strings.HasPrefix(s[i:], "=3D"):
			b.WriteByte('=')
		default:
			return "", errSCRAM
		}
		s = s[i+3:]
	}
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < '!' || s[i] > '~' || s[i] == ',' {
			return false
		}
	}
	return true
}
