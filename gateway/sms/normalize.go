package sms

import (
	"strings"
	"unicode/utf8"
)

// Normalize returns text as it is encoded under p: Latin letters followed by
// their combining mark are composed (s + U+0327 → ş; i + U+0307, which other
// systems make of İ, → i), and, if p asks for it, typographic characters are
// replaced. Letters are not transliterated here, since EncodingAuto may keep
// them. A text that needs no change, or is not UTF-8, is returned as it is,
// without a copy.
func Normalize(text string, p Policy) string {
	typo := p.Typographic || p.Transliterate || p.Encoding == GSM7Translit
	if plain(text, typo) || !utf8.ValidString(text) {
		return text
	}
	return rewrite(text, typo)
}

// plain reports whether rewrite would certainly return text unchanged. It
// looks at lead octets only and may say no too often.
func plain(text string, typo bool) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c >= 0x80:
			switch {
			case c == 0xCC || c == 0xCD: // U+0300–U+037F holds the combining marks
				return false
			case !typo:
			case c == 0xC2 || c == 0xE3 || c == 0xEF:
				return false
			case c == 0xE2 && !strings.HasPrefix(text[i:], "€"):
				return false
			}
		case typo && (c < 0x20 && c != '\n' && c != '\f' || c == '`' || c == 0x7F):
			return false
		}
	}
	return true
}

// rewrite composes and, if typo, replaces. text is valid UTF-8: dropping an
// octet from the middle of a broken one could make a character of the rest.
func rewrite(text string, typo bool) string {
	out := make([]byte, 0, len(text))
	last := -1 // where the last character written starts, -1 if none can take a mark
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		chunk := text[i : i+size]
		i += size
		if r >= 0x300 && r <= 0x36F && last >= 0 {
			base, _ := utf8.DecodeRune(out[last:])
			if c := compose(base, r); c != 0 {
				out = utf8.AppendRune(out[:last], c)
				continue
			}
		}
		if typo {
			if r == '\r' && !strings.HasPrefix(text[i:], "\n") {
				r, chunk = '\n', "\n" // a line break of its own; CR LF becomes LF below
			}
			if to, ok := typographic(r); ok {
				if to != "" { // what vanishes does not part a letter from its mark
					out = append(out, to...)
					last = -1
				}
				continue
			}
		}
		last = len(out)
		out = append(out, chunk...)
	}
	return string(out)
}

// composed lists, per combining mark, plain letters and the letter they make,
// over Latin-1 and Latin Extended-A.
var composed = map[rune]string{
	0x300: "AÀEÈIÌOÒUÙaàeèiìoòuù",
	0x301: "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzź",
	0x302: "AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷ",
	0x303: "AÃNÑOÕaãnñoõIĨiĩUŨuũ",
	0x304: "AĀaāEĒeēIĪiīOŌoōUŪuū",
	0x306: "AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭ",
	0x307: "CĊcċEĖeėGĠgġIİZŻzżiiıi",
	0x308: "AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸ",
	0x30A: "AÅaåUŮuů",
	0x30B: "OŐoőUŰuű",
	0x30C: "CČcčDĎdďEĚeěNŇnňRŘrřSŠsšTŤtťZŽzž",
	0x327: "CÇcçGĢKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţ",
	0x328: "AĄaąEĘeęIĮiįUŲuų",
}

// compose returns the letter that base and mark make, or 0.
func compose(base, mark rune) rune {
	from := rune(-1)
	for _, r := range composed[mark] {
		switch {
		case from < 0:
			from = r
		case from == base:
			return r
		default:
			from = -1
		}
	}
	return 0
}

// typographic returns the plain form of r and whether r has one.
func typographic(r rune) (string, bool) {
	switch r {
	case '“', '”', '„', '‟', '«', '»', '″', '〝', '〞':
		return `"`, true
	case '‘', '’', '‚', '‛', '′', '´', '`', '‹', '›':
		return "'", true
	case '‐', '‑', '‒', '–', '—', '―', '−', '⁃':
		return "-", true
	case '…':
		return "...", true
	case '⁄', '∕':
		return "/", true
	case '\t', 0xA0, 0x202F, 0x205F, 0x3000, 0x2028, 0x2029:
		return " ", true
	case '\n', '\f':
		return "", false
	case 0xAD, 0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF, 0x7F:
		return "", true
	}
	switch {
	case r >= 0x2000 && r <= 0x200A:
		return " ", true
	case r < 0x20: // '\r' of a CR LF too
		return "", true
	case r >= 0x80 && r < 0xA0 || r >= 0x202A && r <= 0x202E:
		return "", true
	}
	return "", false
}

// plainLetters lists letters outside the GSM alphabet and their plain form.
// Ç ö Ö ü Ü and the other letters the alphabet has are not touched.
const plainLetters = "şsŞSğgĞGıiİIçc" +
	"âaÂAîiÎIûuÛUêeÊEôoÔOáaÁAíiÍIóoÓOúuÚUýyÝYÀAÈEÌIÒOÙUãaÃAõoÕOëeËEïiÏIÿy" +
	"ćcĆCčcČCďdĎDěeĚEęeĘEąaĄAłlŁLńnŃNňnŇNřrŘRśsŚSšsŠSťtŤTůuŮUőoŐOűuŰUźzŹZżzŻZžzŽZ" +
	"āaĀAēeĒEīiĪIūuŪUăaĂAțtȚTșsȘS"

var translit = func() map[rune]byte {
	m := make(map[rune]byte)
	var from rune
	for _, r := range plainLetters {
		if from == 0 {
			from = r
			continue
		}
		m[from] = byte(r)
		from = 0
	}
	return m
}()

// Transliterate replaces letters outside the GSM alphabet by plain ones
// ; what has no plain form stays.
func Transliterate(text string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 || costOf(r)&noGSM7 == 0 {
			return r
		}
		if p, ok := translit[r]; ok {
			return rune(p)
		}
		return r
	}, text)
}
