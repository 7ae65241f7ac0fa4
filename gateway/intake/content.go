package intake

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
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
	missing, err := d.missing(ctx, want)
	switch {
	case errors.Is(err, mailcontent.ErrSealed), errors.Is(err, mailcontent.ErrNoText), errors.Is(err, mailcontent.ErrUnreadable):
		return gateway.Refuse(gateway.CodeContent, "text", "the sender's details cannot be found in the mail nor added: %s", strings.TrimPrefix(err.Error(), "mailcontent: "))
	case err != nil:
		return asRefusal(err)
	case len(missing) == 0:
		return nil
	case d.acct.Policy.Content == "refuse":
		return gateway.Refuse(gateway.CodeContent, "text", "the commercial mail lacks: %s", strings.Join(missing, ", "))
	}
	if lacking := want.Lacking(); len(lacking) > 0 {
		return gateway.Refuse(gateway.CodeContent, "text", "the commercial mail lacks %s, and no footer can be added: the brand has no %s",
			strings.Join(missing, ", "), strings.Join(lacking, ", "))
	}
	marked := map[string]string{mail.MarkFooter: "1"}
	for k, v := range d.batch.Headers {
		marked[k] = v
	}
	d.batch.Headers = marked
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

// missing names what the texts of the mail lack.
func (d *draft) missing(ctx context.Context, want mailcontent.Details) (out []string, err error) {
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
			if lacks := want.Missing(t.text, t.markup); len(lacks) > len(out) {
				out = lacks
			}
		}
		return out, nil
	case ref.Inline != nil:
		return want.CheckWhole(ref.Inline)
	case d.in.cfg.Bodies == nil:
		return nil, nil
	}
	rc, err := d.in.cfg.Bodies.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	return want.Check(rc)
}
