package keyword

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Fold reduces text to what matters for keywords: words of A–Z and 0–9,
// one blank apart. Case is dropped, İ I ı i become I, ş ğ ç ö ü and other
// Latin letters lose their marks, composed or not; full-width and styled
// letters become plain ones. Letters of other scripts stay, everything else
// separates words.
func Fold(text string) string {
	return string(appendFolded(make([]byte, 0, len(text)), text, false))
}

// latin maps U+00C0–U+017F to a plain capital, 0 for × and ÷.
var latin = buildLatin()

const (
	latinFirst = 0xC0
	latinLast  = 0x17F
)

func buildLatin() (t [latinLast - latinFirst + 1]byte) {
	// Letters that Unicode does not decompose.
	whole := map[rune]byte{
		'ı': 'I', 'ß': 'S', 'ø': 'O', 'Ø': 'O', 'đ': 'D', 'Đ': 'D', 'ł': 'L', 'Ł': 'L', 'æ': 'A', 'Æ': 'A',
		'œ': 'O', 'Œ': 'O', 'ð': 'D', 'Ð': 'D', 'þ': 'T', 'Þ': 'T', 'ħ': 'H', 'Ħ': 'H', 'ŧ': 'T', 'Ŧ': 'T',
		'ŋ': 'N', 'Ŋ': 'N', 'ĸ': 'K', 'ŉ': 'N', 'ſ': 'S',
	}
	for i := range t {
		r := rune(latinFirst + i)
		if c, ok := whole[r]; ok {
			t[i] = c
			continue
		}
		if c := norm.NFKD.String(string(r))[0]; c < utf8.RuneSelf {
			t[i] = upper(c)
		}
	}
	return t
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// appendFolded appends the folded text to dst. With percent, % is a word of
// its own.
func appendFolded(dst []byte, text string, percent bool) []byte {
	start := len(dst)
	gap := false // a separator is due before the next letter
	put := func(c byte) {
		if gap && len(dst) > start {
			dst = append(dst, ' ')
		}
		gap = false
		dst = append(dst, c)
	}
	for i := 0; i < len(text); {
		c := text[i]
		if c < utf8.RuneSelf {
			i++
			switch {
			case c >= 'a' && c <= 'z':
				put(c - 'a' + 'A')
			case c >= 'A' && c <= 'Z' || c >= '0' && c <= '9':
				put(c)
			case c == '%' && percent:
				gap = true
				put(c)
				gap = true
			default:
				gap = true
			}
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch {
		case r >= latinFirst && r <= latinLast && latin[r-latinFirst] != 0:
			put(latin[r-latinFirst])
		case r >= 0x300 && r <= 0x36F, r == 0xAD, r == 0x200B, r == 0x200C, r == 0x200D, r == 0x2060, r == 0xFEFF:
			// A mark of the letter before, or nothing that can be seen.
		case r < latinFirst || r >= 0x2000 && r < 0x2070:
			gap = true
		default:
			foldRare(r, put, &gap)
		}
	}
	return dst
}

// foldRare folds a character by its compatibility decomposition.
func foldRare(r rune, put func(byte), gap *bool) {
	for _, d := range norm.NFKD.String(string(r)) {
		switch {
		case d < utf8.RuneSelf:
			c := upper(byte(d))
			if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
				put(c)
			} else {
				*gap = true
			}
		case d >= latinFirst && d <= latinLast && latin[d-latinFirst] != 0:
			put(latin[d-latinFirst])
		case unicode.Is(unicode.Mn, d):
		case unicode.IsLetter(d) || unicode.IsDigit(d):
			var b [utf8.UTFMax]byte
			for _, c := range b[:utf8.EncodeRune(b[:], unicode.ToUpper(d))] {
				put(c)
			}
		default:
			*gap = true
		}
	}
}
