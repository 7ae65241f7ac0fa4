package unsubscribe

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
)

// ShortPath is where the public listener answers short codes; the code follows it.
const ShortPath = "/k/"

// codeLen is the length of a short code: 11 characters of 5 bits. A text message has room for no more, and guessing one of ten
// million codes that are out takes some 10⁹ tries, for a refusal in the name of somebody nobody chose. The door limits no try that
// hits, since that would keep people behind the same address from refusing.
const codeLen = 11

// codeAlphabet is Crockford's, in lower case: it survives being read aloud and typed in capitals.
var codeAlphabet = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// Code returns the short code of who refuses what; the message that carries it does not count, so a person has one code for a
// brand and channel. It says nothing by itself: the store keeps what it stands for. Should a code be taken by somebody else, the
// next attempt (0, 1, 2 …) gives another one.
func (t *Tokens) Code(s Subject, attempt int) string {
	who := Subject{Account: s.Account, Brand: s.Brand, Channel: s.Channel, Address: s.Address}
	m := hmac.New(sha256.New, t.keys[0].mac)
	m.Write([]byte("short code"))
	m.Write(binary.AppendUvarint(nil, uint64(max(0, attempt))))
	m.Write(who.encode())
	return codeAlphabet.EncodeToString(m.Sum(nil))[:codeLen]
}

// NormalCode brings a code that somebody may have typed into the form it was made in; false when it cannot be one.
func NormalCode(s string) (string, bool) {
	if len(s) != codeLen {
		return "", false
	}
	b := []byte(s)
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
			b[i] = c
		}
		switch c { // Crockford: what is easily taken for another
		case 'o':
			b[i] = '0'
		case 'i', 'l':
			b[i] = '1'
		}
		if c == 'u' || !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z') {
			return "", false
		}
	}
	return string(b), true
}

// ShortURL returns the short link under base, the public address without a slash at the end.
func ShortURL(base, code string) string { return base + ShortPath + code }
