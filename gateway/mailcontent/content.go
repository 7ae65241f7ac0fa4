// Package mailcontent knows what a commercial mail must say of its sender (regulation.md §7: trade name, MERSİS number, a contact, a
// way to refuse), finds what a mail lacks, and writes it below the texts that lack it.
//
// A mail is read and rewritten as a stream of lines: only the texts a person reads are held and decoded, everything else passes octet
// for octet. A text that gets a footer becomes UTF-8 in quoted-printable, whatever it was before; signed and encrypted mail cannot
// get one ([ErrSealed]).
//
// The package refuses to know where mails are kept and who may send them.
package mailcontent

import (
	"fmt"
	"html"
	"regexp"
	"strings"

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
	mailRE  = regexp.MustCompile(`[a-z0-9._%+-]+@[a-z0-9-]+\.[a-z0-9.-]+`)
	linkRE  = regexp.MustCompile(`https?://|mailto:|\{\{ *` + mail.VarUnsubscribe + ` *\}\}`)
	leaveRE = regexp.MustCompile(`unsubscribe|opt[ -]?out|listeden (cik|ayril)|abonelik(ten|ten)? ?(cik|ayril|iptal)|ileti.{0,40}istemiyor|almak istemiyor|reddet|\bret\b|\b` +
		mail.VarUnsubscribe + `\b`)
)

var folder = strings.NewReplacer("İ", "i", "I", "i", "ı", "i", "Ş", "s", "ş", "s", "Ğ", "g", "ğ", "g", "Ü", "u", "ü", "u", "Ö", "o", "ö", "o", "Ç", "c", "ç", "c")

func fold(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(folder.Replace(s))), " ")
}

// Missing names what a text lacks; markup tells that it is HTML.
func (d Details) Missing(text string, markup bool) (out []string) {
	raw := strings.ToLower(text)
	if markup {
		text = html.UnescapeString(tagRE.ReplaceAllString(text, " "))
	}
	seen := fold(text)
	dense := strings.ReplaceAll(seen, " ", "")
	if d.Title == "" || !strings.Contains(seen, fold(d.Title)) {
		out = append(out, "trade name")
	}
	if d.MERSIS == "" || !strings.Contains(dense, d.MERSIS) {
		out = append(out, "MERSİS number")
	}
	if contact := fold(d.Contact); (contact == "" || !strings.Contains(seen, contact)) && !mailRE.MatchString(seen) &&
		!phoneRE.MatchString(strings.ReplaceAll(seen, d.MERSIS, "")) {
		out = append(out, "contact")
	}
	if !linkRE.MatchString(raw) || !leaveRE.MatchString(fold(raw)) {
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

// Complete returns the text with the footer below it where it lacks anything.
func (d Details) Complete(text string, markup bool, leave string) string {
	if strings.TrimSpace(text) == "" || len(d.Missing(text, markup)) == 0 {
		return text
	}
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
