package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

func newConsentCmd() *cobra.Command {
	return noun("consent", "Consents: what a person allowed a brand",
		"Consents are known to the running server alone.",
		consentShowCmd(), consentAddCmd(), consentOptOutCmd(),
	)
}

// consentFlags adds what names a consent: account, brand, channel, recipient type.
func consentFlags(cmd *cobra.Command) *desk.ConsentQuery {
	var q desk.ConsentQuery
	f := cmd.Flags()
	f.Func("account", "`number` of the account (required)", func(s string) (err error) { q.Account, err = parseAccount(s); return err })
	f.StringVar(&q.Brand, "brand", "", "`brandCode` (required)")
	f.StringVar(&q.Channel, "channel", gateway.ChannelSMS, "`sms|email`")
	f.StringVar(&q.RecipientType, "recipient-type", gateway.RecipientIndividual, "`BIREYSEL|TACIR`")
	return &q
}

func consentShowCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "show <address>", Short: "Show what is known of an address", Args: cobra.ExactArgs(1),
		Example: "  izinli consent show +905321234567 --account 1 --brand 675403"}
	q := consentFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			q.Address = args[0]
			v, err := s.LookupConsent(ctx, *q)
			if err != nil {
				return err
			}
			return printConsent(cmd, v)
		})
	}
	return cmd
}

var eventColumns = []column[gateway.ConsentEvent]{
	{"LEARNED", func(e *gateway.ConsentEvent) any { return e.At }},
	{"HOW", func(e *gateway.ConsentEvent) any { return e.How }},
	{"STATUS", func(e *gateway.ConsentEvent) any { return e.Status }},
	{"SOURCE", func(e *gateway.ConsentEvent) any { return e.Source }},
	{"CONSENT-DATE", func(e *gateway.ConsentEvent) any { return e.ConsentDate }},
	{"SYNC", func(e *gateway.ConsentEvent) any { return e.Sync }},
}

func printConsent(cmd *cobra.Command, v gateway.ConsentView) error {
	if asJSON(cmd) {
		return printJSON(cmd, v)
	}
	pairs := []any{"brand", v.Brand, "channel", v.Channel, "address", v.Address, "recipient type", v.RecipientType, "known", v.Known,
		"status", v.Status, "source", v.Source, "consent date", v.ConsentDate, "transaction", v.TransactionID, "read from", v.Where,
		"age (s)", fmt.Sprint(v.AgeS), "blocked", v.Blocked, "sync", v.Sync}
	if v.Block != nil {
		pairs = append(pairs, "blocked since", v.Block.At, "block route", v.Block.Route)
	}
	if err := printPairs(cmd, pairs...); err != nil || len(v.History) == 0 {
		return err
	}
	_, _ = fmt.Fprintln(cmd.OutOrStdout())
	return printTable(cmd, eventColumns, v.History)
}

func consentAddCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "add <address>", Short: "Record a consent a person gave", Args: cobra.ExactArgs(1),
		Long: "Record a consent a person gave. If we may write to İYS for the brand we do; otherwise the customer must within three business days\n" +
			"(\"izinli iys outbox\" names what is left after one). For an exempt brand nobody has to.",
		Example: "  izinli consent add +905321234567 --account 1 --brand 675403 --source HS_WEB --date 2026-11-20T12:00:00+03:00 --evidence \"form 12\""}
	q := consentFlags(cmd)
	c := gateway.Consent{}
	f := cmd.Flags()
	f.StringVar(&c.Status, "status", "ONAY", "`ONAY|RET`")
	f.StringVar(&c.Source, "source", "", "İYS's `word` for where it was taken, e.g. HS_WEB")
	f.Func("date", "`when` it was given", func(s string) (err error) { c.ConsentDate, err = parseTime(s); return err })
	f.StringVar(&c.Evidence, "evidence", "", "`what` proves it")
	f.BoolVar(&c.OverrideBlock, "override-block", false, "lift a block; needs --evidence")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			c.Brand, c.Channel, c.RecipientType, c.Address = q.Brand, q.Channel, q.RecipientType, args[0]
			out, err := s.AddConsents(ctx, desk.ConsentInput{Account: q.Account, Consents: []gateway.Consent{c}})
			if err != nil {
				return err
			}
			for _, r := range out {
				if r.Code != "" {
					return gateway.Refuse(r.Code, "", "%s", r.Text)
				}
			}
			if asJSON(cmd) {
				return printJSON(cmd, out)
			}
			return said(cmd, "recorded")
		})
	}
	return cmd
}

func consentOptOutCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "opt-out <address>", Short: "Block an address for a brand at once", Args: cobra.ExactArgs(1),
		Long: "Block an address for a brand at once: no commercial message goes there any more. If we may write to İYS for the brand we tell it; otherwise\n" +
			"the customer must within three business days (\"izinli iys outbox\" names what is left after one). For an exempt brand nobody has to.",
		Example: "  izinli consent opt-out +905321234567 --account 1 --brand 675403 --date 2026-11-20T09:30:00+03:00"}
	q := consentFlags(cmd)
	o := gateway.OptOut{Route: "panel"}
	cmd.Flags().Func("date", "`when` the person refused; now when not given", func(s string) (err error) { o.At, err = parseTime(s); return err })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			o.Account, o.Brand, o.Channel, o.Address = q.Account, q.Brand, q.Channel, args[0]
			if _, err := s.OptOut(ctx, o); err != nil {
				return err
			}
			return said(cmd, "blocked")
		})
	}
	return cmd
}
