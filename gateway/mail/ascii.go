package mail

import "strings"

var turkish = strings.NewReplacer("İ", "I", "ı", "i", "Ş", "S", "ş", "s", "Ğ", "G", "ğ", "g", "Ü", "U", "ü", "u", "Ö", "O", "ö", "o", "Ç", "C", "ç", "c")

// ASCII makes a text fit for a reply line (RFC 5321 §4.2) or a field of a delivery status (RFC 3464 §2.1): printable US-ASCII in one line.
// Turkish letters lose their marks, others become question marks.
func ASCII(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r > '~':
			return '?'
		}
		return r
	}, turkish.Replace(s))
}
