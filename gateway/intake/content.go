package intake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	netmail "net/mail"
	"strings"

	"izinli/gateway"
	"izinli/gateway/mail"
	"izinli/gateway/mailcontent"
)

// Bodies yields mails that are stored already.
type Bodies interface {
	Open(ctx context.Context, ref gateway.BodyRef) (io.ReadCloser, error)
}

// content checks that a commercial mail says of its sender what the law asks for (regulation.md §7). What is missing is refused,
// or marked to be written below the text at hand-off, by the account's policy.
func (d *draft) content(ctx context.Context) error {
	if err := d.bodyWords(ctx); err != nil {
		return asRefusal(err)
	}
	if d.batch.Channel != gateway.ChannelEmail || d.batch.Class != gateway.ClassCommercial || d.sub.Door == gateway.DoorSystem {
		return nil
	}
	want := mailcontent.DetailsOf(d.acct, d.dir.BrandOf(d.acct.ID, d.batch.Brand))
	found, err := d.find(ctx, want)
	switch {
	case errors.Is(err, mailcontent.ErrSealed), errors.Is(err, mailcontent.ErrNoText), errors.Is(err, mailcontent.ErrUnreadable):
		return gateway.Refuse(gateway.CodeContent, "text", "the sender's details cannot be found in the mail nor added: %s", strings.TrimPrefix(err.Error(), "mailcontent: "))
	case err != nil:
		return asRefusal(err)
	case len(found.Missing) > 0 && d.acct.Policy.Content == "refuse":
		return gateway.Refuse(gateway.CodeContent, "text", "the commercial mail lacks: %s", strings.Join(found.Missing, ", "))
	}
	if lacking := want.Lacking(); len(found.Missing) > 0 && len(lacking) > 0 {
		return gateway.Refuse(gateway.CodeContent, "text", "the commercial mail lacks %s, and no footer can be added: the brand has no %s",
			strings.Join(found.Missing, ", "), strings.Join(lacking, ", "))
	}
	if err := d.keepSignature(found); err != nil {
		return err
	}
	if len(found.Missing) > 0 {
		d.mark(mail.MarkFooter)
	}
	if found.Linked && d.sub.Body.ID != "" { // of a mail given as texts the template fills it in
		d.mark(mail.MarkLink)
	}
	return nil
}

// mark leaves word for the hand-off, in headers of the batch's own.
func (d *draft) mark(name string) {
	marked := map[string]string{name: "1"}
	maps.Copy(marked, d.batch.Headers)
	d.batch.Headers = marked
}

// keepSignature refuses a mail whose author signed what we have to change, where no key of ours can sign in his place: under DMARC
// receivers would refuse what we made of it (RFC 7489 §6.7). Signatures of other domains say nothing about the author.
func (d *draft) keepSignature(found mailcontent.Finding) error {
	if at, _, _ := mail.FindField(found.Head, "DKIM-Signature"); at < 0 {
		return nil
	}
	head, _, err := mail.Split(found.Head)
	from, perr := netmail.ParseAddress(d.batch.From)
	if err != nil || perr != nil {
		return nil // hand-off refuses what is malformed
	}
	domain := strings.ToLower(from.Address[strings.LastIndexByte(from.Address, '@')+1:])
	if d.dir.SignsMail(d.acct.ID, domain) {
		return nil
	}
	for _, sig := range head.Signatures() {
		if !sig.Aligned(domain) {
			continue
		}
		switch {
		case len(found.Missing) > 0:
			return gateway.Refuse(gateway.CodeContent, "text", "the commercial mail lacks %s, and came signed (DKIM): say it before signing, or have a key for %s made here",
				strings.Join(found.Missing, ", "), domain)
		case found.Linked:
			return gateway.Refuse(gateway.CodeContent, "text", "the commercial mail names {{unsubscribe_url}}, and came signed (DKIM): write a link of your own before signing, or have a key for %s made here",
				domain)
		case sig.Covers("List-Unsubscribe"), sig.Covers("List-Unsubscribe-Post"):
			return gateway.Refuse(gateway.CodeContent, "headers", "commercial mail leaves with our List-Unsubscribe, which the mail's DKIM signature covers: do not sign that field, or have a key for %s made here",
				domain)
		}
	}
	return nil
}

// bodyWords looks for advertising in a transactional mail that came whole.
func (d *draft) bodyWords(ctx context.Context) error {
	ref := d.sub.Body
	if ref.ID == "" || d.batch.Class != gateway.ClassTransactional || d.acct.Policy.Promotional == "off" || d.sub.Door == gateway.DoorSystem {
		return nil
	}
	var src io.Reader = bytes.NewReader(ref.Inline)
	if ref.Inline == nil {
		if d.in.cfg.Bodies == nil {
			return nil
		}
		rc, err := d.in.cfg.Bodies.Open(ctx, ref)
		if err != nil {
			return err
		}
		defer rc.Close()
		src = rc
	}
	br := bufio.NewReaderSize(src, 16<<10)
	head, err := mail.ReadHeader(br)
	if err != nil {
		return err
	}
	texts := []string{mail.Text(head.Get("Subject"))}
	err = mailcontent.Texts(io.MultiReader(bytes.NewReader(head.Bytes()), br), func(text string) { texts = append(texts, text) })
	d.letter.words = append(d.mailWords(texts...), d.bulkSigns(head.Get)...)
	return err
}

// bulkSigns names the fields by which a transactional mail says itself that it went to many.
func (d *draft) bulkSigns(get func(name string) string) (out []string) {
	if d.batch.Class != gateway.ClassTransactional || d.acct.Policy.Promotional == "off" {
		return nil
	}
	for _, name := range [...]string{"List-Unsubscribe", "List-Id"} {
		if get(name) != "" {
			out = append(out, name)
		}
	}
	if strings.EqualFold(get("Precedence"), "bulk") {
		out = append(out, "Precedence: bulk")
	}
	return out
}

// find reads the texts of the mail.
func (d *draft) find(ctx context.Context, want mailcontent.Details) (f mailcontent.Finding, err error) {
	ref := d.sub.Body
	switch {
	case ref.ID == "":
		for _, t := range [...]struct {
			text   string
			markup bool
		}{{d.sub.Text, false}, {d.sub.HTML, true}} {
			if strings.TrimSpace(t.text) == "" {
				continue
			}
			if lacks := want.Missing(t.text, t.markup); len(lacks) > len(f.Missing) {
				f.Missing = lacks
			}
		}
		return f, nil
	case ref.Inline != nil:
		return want.CheckWhole(ref.Inline)
	case d.in.cfg.Bodies == nil:
		return f, nil
	}
	rc, err := d.in.cfg.Bodies.Open(ctx, ref)
	if err != nil {
		return f, err
	}
	defer rc.Close()
	return want.Check(rc)
}
