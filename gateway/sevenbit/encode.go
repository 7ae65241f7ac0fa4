package sevenbit

import (
	"bytes"
	"encoding/base64"

	"izinli/gateway/mail"
)

// maxEncoded is the longest line of encoded text (RFC 2045 §6.7 (5), §6.8).
const maxEncoded = 76

const hexDigits = "0123456789ABCDEF"

// appendQuoted appends a line, with its CRLF or the last without one, in quoted-printable. No line it makes begins with "--", which
// could be a boundary. With encoded the line is quoted-printable already, save for octets above 127.
func appendQuoted(dst, line []byte, encoded bool) []byte {
	if encoded && !mail.High(line) {
		return append(dst, line...)
	}
	text, ended := bytes.CutSuffix(line, crlf)
	if encoded {
		text = bytes.TrimRight(text, " \t") // no decoder looks at them (RFC 2045 §6.7 (3)), unless something came to stand behind
	}
	col := 0
	for len(text) > 0 {
		if n := run(text, maxEncoded-1-col); n > 0 && (col > 0 || text[0] != '-') {
			dst, text, col = append(dst, text[:n]...), text[n:], col+n
			continue
		}
		n, escape := token(text, encoded)
		for {
			width := n
			if escape = escape || col == 0 && bytes.HasPrefix(text, []byte("--")); escape {
				width = 3
			}
			if room := maxEncoded - col; width < room || width == room && n == len(text) {
				col += width
				break
			}
			dst, col = append(dst, "=\r\n"...), 0
		}
		if escape {
			dst = append(dst, '=', hexDigits[text[0]>>4], hexDigits[text[0]&15])
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	if ended {
		dst = append(dst, crlf...)
	}
	return dst
}

// literal tells of an octet that it stands for itself wherever it is in a line (RFC 2045 §6.7).
var literal = func() (t [256]bool) {
	for b := '!'; b <= '~'; b++ {
		t[b] = b != '='
	}
	return t
}()

// run is how many octets at the beginning of a text, most at most, stand for themselves: literal ones, and blanks among them.
func run(text []byte, most int) int {
	n := 0
	for i := 0; i < len(text) && i < most; i++ {
		switch b := text[i]; {
		case literal[b]:
			n = i + 1
		case b != ' ' && b != '\t':
			return n
		}
	}
	return n
}

// token measures what must not be torn apart at the beginning of a text, and tells whether it has to be encoded, one octet then.
func token(text []byte, encoded bool) (n int, escape bool) {
	b := text[0]
	switch {
	case b > 127 || b < ' ' && b != '\t' || b == 0x7f:
		return 1, true
	case encoded && b == '=' && len(text) > 2 && isHex(text[1]) && isHex(text[2]):
		return 3, false
	case encoded:
		return 1, false
	}
	return 1, b == '=' || len(text) == 1 && (b == ' ' || b == '\t') // blanks at the end of a line would not survive
}

func isHex(b byte) bool { return b >= '0' && b <= '9' || b >= 'A' && b <= 'F' || b >= 'a' && b <= 'f' }

// base64Lines encodes octets as they come. The zero value begins.
type base64Lines struct {
	owed [3]byte // octets without their group yet
	n    int     // so many
	col  int
}

// append encodes p behind dst.
func (b *base64Lines) append(dst, p []byte) []byte {
	for _, c := range p {
		b.owed[b.n] = c
		if b.n++; b.n == len(b.owed) {
			dst = b.group(dst)
		}
	}
	return dst
}

func (b *base64Lines) group(dst []byte) []byte {
	if b.col == maxEncoded {
		dst, b.col = append(dst, crlf...), 0
	}
	dst = base64.StdEncoding.AppendEncode(dst, b.owed[:b.n])
	b.n, b.col = 0, b.col+4
	return dst
}

// end writes what is owed and ends the last line.
func (b *base64Lines) end(dst []byte) []byte {
	if b.n > 0 {
		dst = b.group(dst)
	}
	if b.col > 0 {
		dst = append(dst, crlf...)
	}
	return dst
}
