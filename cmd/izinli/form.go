package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var formColumns = []column[desk.FormView]{
	{"FORM", func(f *desk.FormView) any { return f.ID }},
	{"ACCOUNT", func(f *desk.FormView) any { return fmt.Sprint(f.Account) }},
	{"BRAND", func(f *desk.FormView) any { return f.Brand }},
	{"CHANNEL", func(f *desk.FormView) any { return f.Channel }},
	{"VERSION", func(f *desk.FormView) any { return f.Version }},
	{"OPEN", func(f *desk.FormView) any { return f.Revoked.IsZero() }},
	{"CREATED", func(f *desk.FormView) any { return f.Created }},
	{"URL", func(f *desk.FormView) any { return f.URL }},
}

func newFormCmd() *cobra.Command {
	return noun("form", "Hosted consent forms: pages on which people give their consent",
		`A form asks on behalf of one brand for one channel. Who fills it in gets a link at the address he gave, and only the button
behind that link is the consent (double opt-in); it is then written to İYS with what proves it. A form never changes: for a new
wording make a new form and revoke the old one.`,
		listCmd("consent forms", formColumns, desk.Service.ListForms),
		formAddCmd(), formShowCmd(),
		nameCmd("revoke <form>", "Close a form for good; consents given over it stand", func(ctx context.Context, cmd *cobra.Command, s desk.Service, id string) error {
			f, err := s.RevokeForm(ctx, desk.Name{Name: id})
			if err != nil {
				return err
			}
			return printRecord(cmd, formColumns, f)
		}),
	)
}

func formAddCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "add", Short: "Make a new one", Args: cobra.NoArgs,
		Example: "  izinli form add --account 1 --brand 675403 --trade-name \"Örnek Giyim A.Ş.\" --version 2026-11 --text @onay.txt\n" +
			"  izinli form add --account 1 --brand 675403 --channel email --from bilgi@bulten.example.com \\\n" +
			"    --trade-name \"Örnek Giyim A.Ş.\" --version 2026-11 --text @onay.txt --text-en @consent.txt --privacy https://example.com/kvkk"}
	e := &edits[gateway.Form]{fs: cmd.Flags()}
	e.early = append(e.early, func(f *gateway.Form) { f.Channel = gateway.ChannelSMS })
	e.account(func(f *gateway.Form) *gateway.AccountID { return &f.Account })
	e.text("brand", "`brandCode`", func(f *gateway.Form) *string { return &f.Brand })
	e.text("channel", "`sms|email`; sms when not given", func(f *gateway.Form) *string { return &f.Channel })
	e.text("trade-name", "`name` of the company that asks (ticaret unvanı)", func(f *gateway.Form) *string { return &f.TradeName })
	e.text("version", "`version` of the text, kept with every consent", func(f *gateway.Form) *string { return &f.Version })
	field(e, "text", "Turkish `text` the person agrees to; @file reads it from a file, @- from standard input", textOrFile(cmd),
		func(f *gateway.Form) *string { return &f.TextTR })
	field(e, "text-en", "the same `text` in English", textOrFile(cmd), func(f *gateway.Form) *string { return &f.TextEN })
	e.text("privacy", "`URL` of the information under KVKK (aydınlatma metni)", func(f *gateway.Form) *string { return &f.PrivacyURL })
	e.text("from", "`sender` of the confirmation: an SMS title, a mail address; needed when the brand has several",
		func(f *gateway.Form) *string { return &f.From })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			var in gateway.Form
			e.apply(&in)
			f, err := s.CreateForm(ctx, in)
			if err != nil {
				return err
			}
			return printRecord(cmd, formColumns, f)
		})
	}
	return cmd
}

// maxTextFile bounds a text read from a file, in octets.
const maxTextFile = 64 << 10

// textOrFile reads the value of a flag: the text itself, or with an @ before it the name of a file.
func textOrFile(cmd *cobra.Command) func(string) (string, error) {
	return func(s string) (string, error) {
		name, ok := strings.CutPrefix(s, "@")
		if !ok {
			return s, nil
		}
		r := cmd.InOrStdin()
		if name != "-" {
			f, err := os.Open(name)
			if err != nil {
				return "", err
			}
			defer func() { _ = f.Close() }()
			r = f
		}
		b, err := io.ReadAll(io.LimitReader(r, maxTextFile))
		return string(b), err
	}
}

func formShowCmd() *cobra.Command {
	return nameCmd("show <form>", "Show a form with its texts", func(ctx context.Context, cmd *cobra.Command, s desk.Service, id string) error {
		list, err := s.ListForms(ctx, desk.Query{})
		if err != nil {
			return err
		}
		f, err := pick(list, "form", id, func(f *desk.FormView) bool { return f.ID == id })
		if err != nil {
			return err
		}
		if asJSON(cmd) {
			return printJSON(cmd, f)
		}
		if err := printPairs(cmd, "form", f.ID, "url", f.URL, "account", fmt.Sprint(f.Account), "brand", f.Brand, "channel", f.Channel, "trade name",
			f.TradeName, "version", f.Version, "from", f.From, "privacy", f.PrivacyURL, "created", f.Created, "revoked", f.Revoked); err != nil {
			return err
		}
		for _, t := range []string{f.TextTR, f.TextEN} {
			if t != "" {
				_, _ = fmt.Fprintf(cmd.OutOrStdout(), "\n%s\n", t)
			}
		}
		return nil
	})
}
