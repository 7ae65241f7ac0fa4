// Package mailcontent knows what a commercial mail must say of its sender (regulation.md §7: trade name, MERSİS number, a contact, a
// way to refuse), finds what a mail lacks, and writes it below the texts that lack it. Where a text names the recipient's own link,
// {{unsubscribe_url}}, it writes that.
//
// A mail is read and rewritten as a stream of lines: only the texts a person reads are held and decoded, everything else passes octet
// for octet. A text that is changed becomes UTF-8 in quoted-printable, whatever it was before; mail signed or encrypted
// as a whole cannot be ([ErrSealed]).
//
// The package refuses to know where mails are kept and who may send them.
package mailcontent

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"izinli/gateway"
	"izinli/gateway/mail"
)

// Details are what a commercial mail must say of its sender.
type Details struct{ Title, MERSIS, Contact string }

// DetailsOf collects them of a brand; title and MERSİS number default to the account's.
func DetailsOf(a *gateway.Account, b *gateway.Brand) (d Details) {
	if b != nil {
		d = Details{b.Title, b.MERSIS, b.Contact}
	}
	if a != nil && d.Title == "" {
		d.Title = a.Name
	}
	if a != nil && d.MERSIS == "" {
		d.MERSIS = a.MERSIS
	}
	return d
}

// Lacking names what is not known, so that no footer can be written.
func (d Details) Lacking() (out []string) {
	for _, x := range [...]struct{ value, name string }{{d.Title, "trade name"}, {d.MERSIS, "MERSİS number"}, {d.Contact, "contact"}} {
		if x.value == "" {
			out = append(out, x.name)
		}
	}
	return out
}

var (
	tagRE   = regexp.MustCompile(`(?s)<style.*?</style>|<script.*?</script>|<!--.*?-->|<[^>]*>`)
	phoneRE = regexp.MustCompile(`(?:\+|\b0?)\(?\d{3}\)?[ .-]?\d{3}[ .-]?\d{2}[ .-]?\d{2}\b|\b0 ?\d{3} \d{3} \d{2} \d{2}\b|\b444 ?\d ?\d{3}\b`)
	linkRE  = regexp.MustCompile(`\{\{\s*` + mail.VarUnsubscribe + `\s*\}\}`)
	mailRE  = regexp.MustCompile(`[a-z0-9._%+-]+@[a-z0-9-]+\.[a-z0-9.-]+`)
)

// Linked reports whether a text names the recipient's own link, {{unsubscribe_url}}: by itself a way to refuse. Package template reads it
// so, and so does [Edit.Rewrite]; the bare word is a word.
func Linked(text string) bool {
	return strings.Contains(text, mail.VarUnsubscribe) && linkRE.MatchString(text)
}

// Fill writes the recipient's link where a text names it.
func Fill(text string, markup bool, leave string) string {
	if !Linked(text) {
		return text
	}
	if markup {
		leave = html.EscapeString(leave)
	}
	return linkRE.ReplaceAllLiteralString(text, leave)
}

// links and leaving are what a way to refuse is made of: something to follow, and a word that says what for. Both are looked for in
// folded text; plain substrings, because every commercial mail is searched for them.
var (
	links   = []string{"https://", "http://", "mailto:"}
	leaving = []string{"unsubscribe", "opt-out", "opt out", "optout", "listeden cik", "listeden ayril", "listemizden cik", "abonelikten", "aboneligi",
		"abonelik iptal", "almak istemiyor", "ileti istemiyor", "reddet", " ret "}
)

func containsAny(s string, list []string) bool {
	for _, x := range list {
		if strings.Contains(s, x) {
			return true
		}
	}
	return false
}

// fold writes a text without case, Turkish dots and repeated blanks, a blank at both ends.
func fold(s string) string {
	b := make([]byte, 1, len(s)+2)
	b[0] = ' '
	blank := true
	for _, r := range s {
		if r < 0x80 {
			switch {
			case r == ' ' || r >= '\t' && r <= '\r':
				if !blank {
					b = append(b, ' ')
				}
				blank = true
				continue
			case r >= 'A' && r <= 'Z':
				r += 'a' - 'A'
			}
			b, blank = append(b, byte(r)), false
			continue
		}
		if r == '\u00a0' {
			if !blank {
				b = append(b, ' ')
			}
			blank = true
			continue
		}
		blank = false
		if c := dotless(r); c != 0 {
			b = append(b, c)
			continue
		}
		b = utf8.AppendRune(b, unicode.ToLower(r))
	}
	if !blank {
		b = append(b, ' ')
	}
	return string(b)
}

// dotless is what a Turkish letter folds to, 0 for others.
func dotless(r rune) byte {
	switch r {
	case 'İ', 'ı':
		return 'i'
	case 'Ş', 'ş':
		return 's'
	case 'Ğ', 'ğ':
		return 'g'
	case 'Ü', 'ü':
		return 'u'
	case 'Ö', 'ö':
		return 'o'
	case 'Ç', 'ç':
		return 'c'
	}
	return 0
}

// plain is the text of markup.
func plain(markup string) string { return html.UnescapeString(tagRE.ReplaceAllString(markup, " ")) }

// Missing names what a text lacks; markup tells that it is HTML.
func (d Details) Missing(text string, markup bool) (out []string) {
	raw := fold(text)
	seen := raw
	if markup {
		seen = fold(plain(text))
	}
	if d.Title == "" || !strings.Contains(seen, strings.TrimSpace(fold(d.Title))) {
		out = append(out, "trade name")
	}
	if d.MERSIS == "" || !strings.Contains(seen, d.MERSIS) && !strings.Contains(strings.ReplaceAll(seen, " ", ""), d.MERSIS) {
		out = append(out, "MERSİS number")
	}
	if contact := strings.TrimSpace(fold(d.Contact)); (contact == "" || !strings.Contains(seen, contact)) && !mailRE.MatchString(seen) &&
		!phoneRE.MatchString(strings.ReplaceAll(seen, d.MERSIS, "")) {
		out = append(out, "contact")
	}
	if !Linked(text) && (!containsAny(raw, links) || !containsAny(raw, leaving)) {
		out = append(out, "refusal route")
	}
	return out
}

// Text is the footer in plain text; leave is where the recipient refuses.
func (d Details) Text(leave string) string {
	return fmt.Sprintf("\n\n-- \n%s | MERSİS: %s | İletişim: %s\nTicari elektronik ileti almak istemiyorsanız listeden çıkın / Unsubscribe:\n%s\n",
		d.Title, d.MERSIS, d.Contact, leave)
}

// HTML is the footer as markup.
func (d Details) HTML(leave string) string {
	e := html.EscapeString
	return fmt.Sprintf("<hr><p style=\"font-size:12px;color:#444\">%s | MERSİS: %s | İletişim: %s<br>"+
		"Ticari elektronik ileti almak istemiyorsanız <a href=\"%s\">listeden çıkın / unsubscribe</a>.</p>\n", e(d.Title), e(d.MERSIS), e(d.Contact), e(leave))
}

// Complete returns the text with the recipient's link where it names it, and with the footer below it where it lacked anything before.
func (d Details) Complete(text string, markup bool, leave string) string {
	if strings.TrimSpace(text) == "" || len(d.Missing(text, markup)) == 0 {
		return Fill(text, markup, leave)
	}
	text = Fill(text, markup, leave)
	if !markup {
		return strings.TrimRight(text, "\r\n") + d.Text(leave)
	}
	low := asciiLower(text)
	for _, end := range []string{"</body>", "</html>"} {
		if i := strings.LastIndex(low, end); i >= 0 {
			return text[:i] + d.HTML(leave) + text[i:]
		}
	}
	return text + d.HTML(leave)
}

// asciiLower keeps every octet in its place.
func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 32
		}
	}
	return string(b)
}
