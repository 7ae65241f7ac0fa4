package address

import (
	"strings"
	"unicode/utf8"
)

// hidden replaces what is too short or too strange to show a part of.
const hidden = "***"

// Mask makes an address fit for logs and lists: +90532*****67 of a number,
// a***@d***.com of an e-mail address. It takes any string: of a number at
// least five digits stay hidden, and what is neither is hidden whole.
func Mask(addr string) string {
	if strings.IndexByte(addr, '@') >= 0 {
		return maskEmail(addr)
	}
	digits := strings.TrimPrefix(addr, "+")
	if len(digits) < 9 || len(digits) > 15 {
		return hidden
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return hidden
		}
	}
	shown := min(len(digits)-7, 5)
	plus := addr[:len(addr)-len(digits)]
	return plus + digits[:shown] + strings.Repeat("*", len(digits)-shown-2) + digits[len(digits)-2:]
}

func maskEmail(s string) string {
	at := strings.LastIndexByte(s, '@')
	local, host := s[:at], s[at+1:]
	dot := strings.LastIndexByte(host, '.')
	if dot < 0 {
		return first(local) + hidden + "@" + hidden
	}
	return first(local) + hidden + "@" + first(host[:dot]) + hidden + host[dot:]
}

// first returns the first character of s, nothing if it is the only one.
func first(s string) string {
	_, n := utf8.DecodeRuneInString(s)
	if n >= len(s) {
		return ""
	}
	return s[:n]
}
