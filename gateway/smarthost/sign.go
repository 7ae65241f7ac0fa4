package smarthost

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"izinli/gateway/mail"
)

// Signing is our own and not a library's because every mail pays for it: one pass over the body for all keys, one over the header,
// no goroutine and no copy. The tests hold it against the verifiers of others.

// signed lists the fields a signature covers where they stand (RFC 6376 §5.4.1; RFC 8058 §4 for the unsubscribe fields).
// Each is named once more than it stands there: none can be added afterwards, in front of the reader's eyes (over-signing).
var signed = [...]string{"From", "To", "Cc", "Subject", "Date", "Message-ID", "Reply-To", "Sender", "MIME-Version", "Content-Type",
	"Content-Transfer-Encoding", "In-Reply-To", "References", "List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID"}

// sign returns the DKIM-Signature fields of a message, one per key. bodyHash is what relaxedBody makes of its body.
func sign(h mail.Header, bodyHash []byte, keys []*Key, now time.Time) ([]mail.Field, error) {
	names, covered := coverage(h)
	bh := base64.StdEncoding.EncodeToString(bodyHash)
	sigs := make([]mail.Field, 0, len(keys))
	for _, k := range keys {
		algorithm, opts := "rsa-sha256", crypto.SignerOpts(crypto.SHA256)
		if _, ed := k.Signer.Public().(ed25519.PublicKey); ed {
			algorithm, opts = "ed25519-sha256", crypto.Hash(0) // RFC 8463 §3: the hash is what is signed, as a message
		}
		raw := make([]byte, 0, len(names)+len(bh)+len(k.Domain)+len(k.Selector)+560)
		raw = append(raw, "DKIM-Signature: v=1; a="+algorithm+"; c=relaxed/relaxed; d="+k.Domain+";\r\n s="+k.Selector+"; t="...)
		raw = strconv.AppendInt(raw, now.Unix(), 10)
		raw = append(raw, ";\r\n h="+names+";\r\n bh="+bh+";\r\n b="...)
		// RFC 6376 §3.7: the field itself comes last, with an empty b= and without its end of line.
		digest := sha256.Sum256(relaxedField(covered[:len(covered):len(covered)], raw))
		sig, err := k.Signer.Sign(rand.Reader, digest[:], opts)
		if err != nil {
			return nil, fmt.Errorf("smarthost: sign: %w", err)
		}
		sigs = append(sigs, mail.Field{Name: "DKIM-Signature", Raw: appendFolded(raw, base64.StdEncoding.EncodeToString(sig))})
	}
	return sigs, nil
}

// coverage returns the h= tag of a header and the canonical fields it names, in its order: of equal names the last one first
// (RFC 6376 §5.4.2).
func coverage(h mail.Header) (names string, canonical []byte) {
	which := make([]int8, len(h))
	size := 0
	for i := range h {
		which[i] = -1
		for n, name := range signed {
			if len(name) == len(h[i].Name) && strings.EqualFold(name, h[i].Name) {
				which[i] = int8(n)
				size += len(h[i].Raw)
				break
			}
		}
	}
	list := make([]byte, 0, 640)
	canonical = make([]byte, 0, size+1<<10) // and the signature's own field
	col := len(" h=")
	for n, name := range signed {
		times := 1
		for i := len(h) - 1; i >= 0; i-- {
			if int(which[i]) == n {
				canonical = append(relaxedField(canonical, h[i].Raw), '\r', '\n')
				times++
			}
		}
		for range times {
			if len(list) > 0 {
				list = append(list, ':')
				col++
			}
			if col+len(name)+1 > 76 {
				list = append(list, "\r\n "...)
				col = 1
			}
			list = append(list, name...)
			col += len(name)
		}
	}
	return string(list), canonical
}

// appendFolded ends a field with base64 in lines of 76 octets.
func appendFolded(raw []byte, text string) []byte {
	for room := 76 - len(" b="); len(text) > room; room = 75 {
		raw = append(append(raw, text[:room]...), "\r\n "...)
		text = text[room:]
	}
	return append(append(raw, text...), '\r', '\n')
}

// relaxedField appends a field in relaxed form (RFC 6376 §3.4.2) without its end of line.
func relaxedField(dst, raw []byte) []byte {
	at := 0
	for ; at < len(raw) && raw[at] != ':'; at++ {
		switch c := raw[at]; {
		case c >= 'A' && c <= 'Z':
			dst = append(dst, c+'a'-'A')
		case c != ' ' && c != '\t': // obsolete blanks before the colon; a name has none within
			dst = append(dst, c)
		}
	}
	dst = append(dst, ':')
	start := len(dst)
	blank := false
	for _, c := range raw[min(at+1, len(raw)):] {
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			blank = true
			continue
		}
		if blank && len(dst) > start {
			dst = append(dst, ' ')
		}
		dst, blank = append(dst, c), false
	}
	return dst
}

// relaxedBody hashes a body of canonical lines in relaxed form (RFC 6376 §3.4.4): no blanks at the end of a line, runs of them
// as one, no empty lines at the end. It is an io.Writer that keeps no more than a few kilobytes.
type relaxedBody struct {
	hash  hash.Hash
	size  int64 // octets written to it
	high  bool  // one of them is above 127
	buf   []byte
	lines int  // ends of line that are owed to what may follow
	blank bool // so is a blank
	some  bool // there was more than empty lines
}

const relaxedBuffer = 4 << 10

func newRelaxedBody() *relaxedBody {
	return &relaxedBody{hash: sha256.New(), buf: make([]byte, 0, relaxedBuffer)}
}

// Write implements io.Writer; it does not fail.
func (b *relaxedBody) Write(p []byte) (int, error) {
	b.size += int64(len(p))
	b.high = b.high || mail.High(p)
	for at := 0; at < len(p); {
		switch p[at] {
		case ' ', '\t':
			b.blank = true
			at++
			continue
		case '\n':
			b.blank = false
			b.lines++
			at++
			continue
		case '\r': // its LF follows: the lines are canonical
			at++
			continue
		}
		end := at + 1
		for end < len(p) && (p[end] > ' ' || p[end] != ' ' && p[end] != '\t' && p[end] != '\r' && p[end] != '\n') {
			end++
		}
		b.owed()
		b.put(p[at:end])
		at = end
	}
	return len(p), nil
}

// owed writes what stands before a word.
func (b *relaxedBody) owed() {
	for ; b.lines > 0; b.lines-- {
		b.put(crlf)
	}
	if b.blank {
		b.put(space)
	}
	b.blank, b.some = false, true
}

var crlf, space = []byte("\r\n"), []byte(" ")

func (b *relaxedBody) put(p []byte) {
	if len(b.buf)+len(p) > cap(b.buf) {
		b.hash.Write(b.buf)
		b.buf = b.buf[:0]
	}
	if len(p) > cap(b.buf) {
		b.hash.Write(p)
		return
	}
	b.buf = append(b.buf, p...)
}

// sum ends the body.
func (b *relaxedBody) sum() []byte {
	if b.some {
		b.put(crlf)
	}
	b.hash.Write(b.buf)
	b.buf = b.buf[:0]
	return b.hash.Sum(nil)
}
