package mail

import (
	"bytes"
	"mime"
	"strings"
)

// Delimits reports which of the boundaries a line is one of, the innermost first, -1 for none; closing tells its last (RFC 2046 §5.1.1).
func Delimits(line []byte, boundaries []string) (at int, closing bool) {
	if len(boundaries) == 0 || !bytes.HasPrefix(line, []byte("--")) {
		return -1, false
	}
	s := bytes.TrimRight(line, " \t\r\n")
	if len(s) < 2 {
		return -1, false
	}
	for i := len(boundaries) - 1; i >= 0; i-- {
		if string(s[2:]) == boundaries[i] {
			return i, false
		}
		if last, ok := bytes.CutSuffix(s[2:], []byte("--")); ok && string(last) == boundaries[i] {
			return i, true
		}
	}
	return -1, false
}

// FindField finds the first field of a name, in any case, in a header block and returns its place with folded lines, and its value
// unfolded, with runs of blanks as one; -1 without it. The block of a part may hold lines that are no fields: they are passed over.
func FindField(head []byte, name string) (from, to int, value string) {
	at := 0
	for at < len(head) {
		next := at + fieldLen(head[at:])
		if n, v, ok := bytes.Cut(head[at:next], []byte{':'}); ok && bytes.EqualFold(bytes.TrimSpace(n), []byte(name)) {
			return at, next, strings.Join(strings.Fields(string(v)), " ")
		}
		at = next
	}
	return -1, -1, ""
}

// fieldLen is the length of the first field of a block, with the lines folded below it.
func fieldLen(head []byte) int {
	n := LineLen(head)
	for n < len(head) && (head[n] == ' ' || head[n] == '\t') {
		n += LineLen(head[n:])
	}
	return n
}

// LineLen is the length of the first line with its end.
func LineLen(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// ContentType reads the media type of a header block, in lower case, with its parameters: "" without the field.
func ContentType(head []byte) (media string, params map[string]string) {
	_, _, v := FindField(head, "Content-Type")
	if v == "" {
		return "", nil
	}
	media, params, err := mime.ParseMediaType(v)
	if err != nil && media == "" {
		media, _, _ = strings.Cut(strings.ToLower(v), ";")
	}
	return strings.TrimSpace(media), params
}

// Sealed reports whether a part of that media type is signed or encrypted as a whole (RFC 1847, RFC 8551): what is inside must not change.
func Sealed(media string) bool {
	return media == "multipart/signed" || media == "multipart/encrypted" || strings.HasPrefix(media, "application/pkcs7") ||
		strings.HasPrefix(media, "application/x-pkcs7")
}
