package account

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"

	"izinli/gateway"
)

// Costs of a password hash. Both forms take some 30–40 ms of one core.
const (
	argonMemory  = 19 * 1024 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKeyLen  = 32
	saltLen      = 16

	scramRounds    = 120_000 // RFC 7677 §4 asks for at least 4096
	scramRoundsMax = 1_000_000
)

// keyPrefix starts every API key, so that leaked ones are found by scanners.
const keyPrefix = "izk_"

var (
	keyEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	b64         = base64.StdEncoding
	rawB64      = base64.RawStdEncoding
)

// NewAPIKey makes a key: its id (10 characters, not secret), the whole key `izk_<id>_<secret>` with 256 random bits, shown to
// the customer once, and the hash to store as Credential.SecretHash.
func NewAPIKey() (id, key, hash string) {
	var raw [6 + 32]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	id = keyEncoding.EncodeToString(raw[:6])
	key = keyPrefix + id + "_" + keyEncoding.EncodeToString(raw[6:])
	return id, key, HashAPIKey(key)
}

// HashAPIKey returns the stored form of a whole key: SHA-256 in hex. A plain hash suffices because the key is random.
func HashAPIKey(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// KeyID returns the id inside a key and whether the text has the form of a key.
func KeyID(key string) (string, bool) {
	rest, ok := strings.CutPrefix(key, keyPrefix)
	if !ok {
		return "", false
	}
	id, secret, ok := strings.Cut(rest, "_")
	return id, ok && id != "" && secret != ""
}

// passwordAlphabet has no characters that are mistaken for one another; 54 of them give 5.75 bits each.
const passwordAlphabet = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"

// MinPassword is the shortest password NewPassword makes: what SMPP can carry (SMPP 3.4 §5.2.2: nine octets with the NUL).
const MinPassword = 8

// NewPassword makes a random password of n characters, at least MinPassword. Use 8 for SMPP, 24 for everything else.
func NewPassword(n int) string {
	n = max(n, MinPassword)
	out := make([]byte, 0, n)
	var b [32]byte
	for len(out) < n {
		_, _ = rand.Read(b[:])
		for _, c := range b {
			// Values past the last whole multiple would favour the first letters.
			if limit := 256 / len(passwordAlphabet) * len(passwordAlphabet); int(c) < limit && len(out) < n {
				out = append(out, passwordAlphabet[int(c)%len(passwordAlphabet)])
			}
		}
	}
	return string(out)
}

// HashSecret returns the form in which a credential of the kind stores its secret: SHA-256 of an API key, argon2id of an SMPP
// password, SCRAM-SHA-256 keys of an SMTP password.
func HashSecret(kind gateway.CredentialKind, secret string) string {
	switch kind {
	case gateway.KindAPI:
		return HashAPIKey(secret)
	case gateway.KindSMTP:
		return HashSCRAM(secret)
	default:
		return HashPassword(secret)
	}
}

// HashPassword returns the argon2id form of a password in the PHC string format.
func HashPassword(password string) string {
	var salt [saltLen]byte
	_, _ = rand.Read(salt[:])
	return argonString(password, salt[:])
}

func argonString(password string, salt []byte) string {
	sum := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKeyLen)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		rawB64.EncodeToString(salt), rawB64.EncodeToString(sum))
}

// SCRAMKeys are what a server keeps of a SCRAM-SHA-256 password (RFC 5802 §3).
type SCRAMKeys struct {
	Salt      []byte
	Rounds    int
	StoredKey []byte
	ServerKey []byte
}

// HashSCRAM returns the stored form of RFC 5803: `SCRAM-SHA-256$<rounds>:<salt>$<StoredKey>:<ServerKey>`.
func HashSCRAM(password string) string {
	var salt [saltLen]byte
	_, _ = rand.Read(salt[:])
	return scramKeys(password, salt[:], scramRounds).String()
}

// String is the stored form of RFC 5803.
func (k SCRAMKeys) String() string {
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", k.Rounds, b64.EncodeToString(k.Salt), b64.EncodeToString(k.StoredKey),
		b64.EncodeToString(k.ServerKey))
}

func scramKeys(password string, salt []byte, rounds int) SCRAMKeys {
	// RFC 5802 §3: SaltedPassword := Hi(password, salt, i); Hi is PBKDF2 with HMAC. It cannot fail with 32 octets of SHA-256
	// outside FIPS mode with short salts; an empty result then matches nothing.
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return SCRAMKeys{Salt: salt, Rounds: rounds}
	}
	client := mac(salted, "Client Key")
	stored := sha256.Sum256(client)
	return SCRAMKeys{Salt: salt, Rounds: rounds, StoredKey: stored[:], ServerKey: mac(salted, "Server Key")}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// ParseSCRAM reads the stored form of RFC 5803.
func ParseSCRAM(s string) (SCRAMKeys, bool) {
	rest, ok := strings.CutPrefix(s, "SCRAM-SHA-256$")
	if !ok {
		return SCRAMKeys{}, false
	}
	head, tail, ok1 := strings.Cut(rest, "$")
	rounds, salt, ok2 := strings.Cut(head, ":")
	stored, server, ok3 := strings.Cut(tail, ":")
	if !ok1 || !ok2 || !ok3 {
		return SCRAMKeys{}, false
	}
	var k SCRAMKeys
	var err [4]error
	k.Rounds, err[0] = strconv.Atoi(rounds)
	k.Salt, err[1] = b64.DecodeString(salt)
	k.StoredKey, err[2] = b64.DecodeString(stored)
	k.ServerKey, err[3] = b64.DecodeString(server)
	for _, e := range err {
		if e != nil {
			return SCRAMKeys{}, false
		}
	}
	good := k.Rounds >= 4096 && k.Rounds <= scramRoundsMax && len(k.Salt) > 0 &&
		len(k.StoredKey) == sha256.Size && len(k.ServerKey) == sha256.Size
	return k, good
}

// Verify reports whether password is the one of a stored form, either of them. It takes tens of milliseconds and, for
// argon2id, 19 MiB; Authenticator limits how many run at once.
func Verify(stored, password string) bool {
	if k, ok := ParseSCRAM(stored); ok {
		got := scramKeys(password, k.Salt, k.Rounds)
		return subtle.ConstantTimeCompare(got.StoredKey, k.StoredKey) == 1
	}
	return verifyArgon(stored, password)
}

// verifyArgon reads `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. The costs are read from the form, bounded, so that they can be
// raised for new passwords without breaking old ones.
func verifyArgon(stored, password string) bool {
	f := strings.Split(stored, "$")
	if len(f) != 6 || f[1] != "argon2id" || f[2] != "v="+strconv.Itoa(argon2.Version) {
		return false
	}
	var m, t uint32
	var p uint8
	if n, err := fmt.Sscanf(f[3], "m=%d,t=%d,p=%d", &m, &t, &p); err != nil || n != 3 {
		return false
	}
	salt, err1 := rawB64.DecodeString(f[4])
	want, err2 := rawB64.DecodeString(f[5])
	if err1 != nil || err2 != nil || len(want) != argonKeyLen || len(salt) < 8 {
		return false
	}
	if m < 8 || m > 256*1024 || t < 1 || t > 16 || p < 1 || p > 8 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, t, m, p, argonKeyLen)
	return subtle.ConstantTimeCompare(got, want) == 1
}
