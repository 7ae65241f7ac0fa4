package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/iys/iysapi"
)

func newViaCmd() *cobra.Command {
	return noun("via", "ViA: İYS asks a person for consent itself and has to prove it",
		`İYS writes to the person and takes the answer: by a code the person reads out, good for three minutes and three tries, or over a link,
good for a day. Each answer costs a ViA credit of the company; the form is one it has published at hs.iys.org.tr. The consent is in
force here as soon as it is given. All of this needs a running server.`,
		viaStartCmd(), viaCompleteCmd(), viaStateCmd(), viaListCmd(), viaProofCmd(), viaPrivacyCmd(), viaLinksCmd(),
	)
}

var viaColumns = []column[gateway.ViaOperation]{
	{"ID", func(v *gateway.ViaOperation) any { return v.ID }},
	{"BRAND", func(v *gateway.ViaOperation) any { return v.Brand }},
	{"ADDRESS", func(v *gateway.ViaOperation) any { return v.Address }},
	{"CHANNELS", func(v *gateway.ViaOperation) any { return v.Channels }},
	{"TEXTS", func(v *gateway.ViaOperation) any { return v.Texts }},
	{"BY", func(v *gateway.ViaOperation) any { return v.Verification }},
	{"STATE", func(v *gateway.ViaOperation) any { return v.State() }},
	{"STAGE", func(v *gateway.ViaOperation) any { return v.Stage }},
	{"STATUS", func(v *gateway.ViaOperation) any { return v.Status }},
	{"STARTED", func(v *gateway.ViaOperation) any { return v.Started }},
	{"CONSENTS", func(v *gateway.ViaOperation) any { return len(v.Consents) }},
}

func viaStartCmd() *cobra.Command {
	var in gateway.ViaInput
	cmd := &cobra.Command{Use: "start <address>", Short: "Have İYS ask a person", Args: cobra.ExactArgs(1),
		Example: "  izinli via start +905321234567 --brand 675403 --form 1\n" +
			"  izinli via start ayse@example.com --brand 675403 --form 1 --verification EPOSTA_SHORTURL\n" +
			"  izinli via start +905321234567 --brand 675403 --form 1 --channel MESAJ --channel ARAMA --text ACIK_RIZA_METNI --name \"Ad Soyad\""}
	brandFlag(cmd, &in.Brand)
	f := cmd.Flags()
	f.StringVar(&in.Form, "form", "", "`formId` of a form published at hs.iys.org.tr (required)")
	f.StringSliceVar(&in.Channels, "channel", nil, "`MESAJ|ARAMA|EPOSTA`, may be repeated; what goes with the address when not given")
	f.StringVar(&in.RecipientType, "recipient-type", gateway.RecipientIndividual, "`BIREYSEL|TACIR`")
	f.StringVar(&in.Verification, "verification", "", "`SMS_OTP|SMS_SHORTURL|EPOSTA_OTP|EPOSTA_SHORTURL|EPOSTA_APPROVALURL`; a code when not given")
	f.StringSliceVar(&in.Texts, "text", nil, "`AYDINLATMA_METNI|ACIK_RIZA_METNI|YURTDISI_AKTARIM` of the law on personal data, may be repeated")
	f.StringVar(&in.Name, "name", "", "`name` of the person, for such texts; goes to İYS and is not kept")
	_ = cmd.MarkFlagRequired("form")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Address = args[0]
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			v, err := s.StartVia(ctx, in)
			if err != nil {
				return err
			}
			return printRecord(cmd, viaColumns, v)
		})
	}
	return cmd
}

// viaFlag is the required account of a question.
func viaFlag(cmd *cobra.Command, into *gateway.AccountID) {
	cmd.Flags().Func("account", "`number` of the account (required)", func(s string) (err error) {
		*into, err = parseAccount(s)
		return err
	})
	_ = cmd.MarkFlagRequired("account")
}

func viaCompleteCmd() *cobra.Command {
	var in gateway.ViaAnswer
	cmd := &cobra.Command{Use: "complete <id>", Short: "End a question by the code the person received", Args: cobra.ExactArgs(1),
		Long:    "End a question by the code the person received. Codes are read from standard input when they are not given.",
		Example: "  izinli via complete 1f3k9 --account 1 --code 393291"}
	viaFlag(cmd, &in.Account)
	cmd.Flags().StringVar(&in.Code, "code", "", "`code` of six digits")
	cmd.Flags().StringVar(&in.PrivacyCode, "privacy-code", "", "second `code`, where texts of personal data were put too")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.ID = args[0]
		if in.Code == "" && in.PrivacyCode == "" {
			line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
			if in.Code = strings.TrimSpace(line); in.Code == "" {
				return errors.Join(errors.New("no code was given"), err)
			}
		}
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			v, err := s.CompleteVia(ctx, in)
			if err != nil {
				return err
			}
			return printRecord(cmd, viaColumns, v)
		})
	}
	return cmd
}

func viaStateCmd() *cobra.Command {
	var q gateway.ViaQuery
	cmd := &cobra.Command{Use: "state <id>", Short: "Ask İYS how a question stands", Args: cobra.ExactArgs(1)}
	viaFlag(cmd, &q.Account)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.ID = args[0]
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			v, err := s.ViaState(ctx, q)
			if err != nil {
				return err
			}
			return printRecord(cmd, viaColumns, v)
		})
	}
	return cmd
}

func viaListCmd() *cobra.Command {
	q := desk.ListQuery{Limit: 200}
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List the last 200 questions of an account, newest first", Args: cobra.NoArgs}
	viaFlag(cmd, &q.Account)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			list, err := s.ListVia(ctx, q)
			if err != nil {
				return err
			}
			return printTable(cmd, viaColumns, list.Items)
		})
	}
	return cmd
}

func viaProofCmd() *cobra.Command {
	var q gateway.ViaQuery
	var out string
	cmd := &cobra.Command{Use: "proof <id>", Short: "Write İYS's proof of an answer (zip of PDF and time stamp) to a file", Args: cobra.ExactArgs(1),
		Example: "  izinli via proof 1f3k9 --account 1 --out 1f3k9.zip"}
	viaFlag(cmd, &q.Account)
	cmd.Flags().StringVar(&out, "out", "", "`file` to write (required)")
	_ = cmd.MarkFlagRequired("out")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.ID = args[0]
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			p, err := s.ViaProof(ctx, q)
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, p.Zip, 0o600); err != nil {
				return err
			}
			return said(cmd, "%d octets written to %s", len(p.Zip), out)
		})
	}
	return cmd
}

// privacyRow is one answer to one text.
type privacyRow struct {
	r *iysapi.PrivacyRequest
	a iysapi.PrivacyAnswer
}

var privacyColumns = []column[privacyRow]{
	{"REQUEST", func(p *privacyRow) any { return p.r.RequestID }},
	{"ASKED", func(p *privacyRow) any { return p.r.Requested }},
	{"TEXT", func(p *privacyRow) any { return p.a.Type }},
	{"GIVEN", func(p *privacyRow) any { return p.a.Given }},
	{"AT", func(p *privacyRow) any { return p.a.At }},
	{"STATUS", func(p *privacyRow) any { return p.r.Status }},
}

func viaPrivacyCmd() *cobra.Command {
	var q desk.PrivacyQuery
	cmd := &cobra.Command{Use: "privacy <address>", Short: "Show what a person answered to a text of the law on personal data (KVK)", Args: cobra.ExactArgs(1),
		Example: "  izinli via privacy +905321234567 --brand 675403 --text ACIK_RIZA_METNI"}
	brandFlag(cmd, &q.Brand)
	cmd.Flags().StringVar(&q.Text, "text", iysapi.ViaExplicit, "`AYDINLATMA_METNI|ACIK_RIZA_METNI|YURTDISI_AKTARIM`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q.Address = args[0]
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			list, err := s.PrivacyRequests(ctx, q)
			if err != nil {
				return err
			}
			rows := []privacyRow{}
			for i := range list {
				for _, a := range list[i].Answers {
					rows = append(rows, privacyRow{&list[i], a})
				}
			}
			return printTable(cmd, privacyColumns, rows)
		})
	}
	return cmd
}

var refusalColumns = []column[iysapi.RejectLink]{
	{"ADDRESS", func(l *iysapi.RejectLink) any { return l.Recipient }},
	{"LINK", func(l *iysapi.RejectLink) any { return l.URL }},
	{"CODE", func(l *iysapi.RejectLink) any { return l.Code }},
}

func viaLinksCmd() *cobra.Command {
	var in desk.LinksInput
	cmd := &cobra.Command{Use: "refusal-links <address>...", Short: "Have İYS make links by which recipients of mail refuse at İYS itself", Args: cobra.MinimumNArgs(1),
		Long: "Have İYS make links by which recipients of mail refuse at İYS itself. A link is good for 90 days and for one address; an address that has\n" +
			"not agreed gets none (H568). Messages sent here carry our own link, {{unsubscribe_url}}, without any of this.",
		Example: "  izinli via refusal-links ayse@example.com --brand 675403"}
	brandFlag(cmd, &in.Brand)
	cmd.Flags().StringVar(&in.RecipientType, "recipient-type", gateway.RecipientIndividual, "`BIREYSEL|TACIR`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Addresses = args
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			list, err := s.RefusalLinks(ctx, in)
			if err != nil {
				return err
			}
			return printTable(cmd, refusalColumns, list)
		})
	}
	return cmd
}
