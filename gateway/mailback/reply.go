package mailback

import (
	"context"
	"errors"
	netmail "net/mail"
	"regexp"
	"strings"

	"izinli/gateway"
	"izinli/gateway/bounce"
	"izinli/gateway/inbound/keyword"
)

// written takes what a person, perhaps, wrote to the return path of a message, as its Reply-To may ask him to
// ([gateway.AccountPolicy.RefusalReplies]). Words of refusal are one. Nobody reads anything else, which he is told by being refused;
// without an envelope sender there is nobody to tell (RFC 5321 §4.5.5).
func (in *Inbox) written(ctx context.Context, from string, id gateway.MessageID, rep *bounce.Report) error {
	b, _, err := in.store.Mail(ctx, id)
	var e *gateway.Error
	if errors.As(err, &e) && e.Code == gateway.CodeNotFound {
		b = nil
	} else if err != nil {
		return err
	}
	refuses := in.refuses(rep)
	if refuses && b != nil && b.Brand != "" {
		in.unsubscribes.Add(1)
		return in.optOut(ctx, id, "mailto", false)
	}
	in.ignored.Add(1)
	in.cfg.Log.Info("mail for ourselves not read", "msg_id", id.String(), "refuses", refuses, "told", from != "")
	if from == "" {
		return nil
	}
	instead := elsewhere(b)
	if refuses { // the message is deleted by now, or is no brand's
		return gateway.Refuse(gateway.CodeRefusalsOnly, "", "No refusal can be recorded for the message you answer%s", instead)
	}
	return gateway.Refuse(gateway.CodeRefusalsOnly, "", "This address takes refusals only, RET as the subject or in plain text; nobody reads anything else here%s", instead)
}

// elsewhere names the author of a message as whom to write to; nothing where he is not known, or no reply could hold his address
// (RFC 5321 §4.2 has no UTF-8).
func elsewhere(b *gateway.Batch) string {
	if b == nil {
		return ""
	}
	a, err := netmail.ParseAddress(b.From)
	if err != nil || strings.ContainsFunc(a.Address, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return ""
	}
	return ": please write to " + a.Address
}

// refuses reports whether a reply asks for no more, by its subject or by what the person wrote himself.
func (in *Inbox) refuses(rep *bounce.Report) bool {
	for _, s := range [...]string{replyRE.ReplaceAllString(rep.Subject, ""), ownWords(rep.Text)} {
		if keyword.Parse(s, in.words).Kind == keyword.OptOut {
			return true
		}
	}
	return false
}

// What mail programs write in front of a reply's subject and of the words they quote: our own mail, which names the way to refuse.
var (
	replyRE = regexp.MustCompile(`(?i)^\s*((re|ynt|yan|cvp|fwd?|ilt)\s*:\s*)+.*`)
	quoteRE = regexp.MustCompile(`(?im)^\s*(>|-{2,} ?(original message|orijinal ileti|özgün ileti|yönlendirilen ileti|forwarded message)|_{10,}\s*$|` +
		`(from|kimden|gönderen)\s*:.*@|.{0,300}(wrote|yazdı)\s*:\s*$)`)
)

// ownWords cuts a reply off where it begins to quote.
func ownWords(text string) string {
	if at := quoteRE.FindStringIndex(text); at != nil {
		return text[:at[0]]
	}
	return text
}
