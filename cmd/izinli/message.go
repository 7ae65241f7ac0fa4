package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/desk"
)

var messageColumns = []column[gateway.MessageView]{
	{"MESSAGE", func(m *gateway.MessageView) any { return m.ID }},
	{"TO", func(m *gateway.MessageView) any { return m.To }},
	{"FROM", func(m *gateway.MessageView) any { return m.From }},
	{"CLASS", func(m *gateway.MessageView) any { return m.Class }},
	{"STATE", func(m *gateway.MessageView) any { return m.State }},
	{"CODE", func(m *gateway.MessageView) any { return string(m.Code) }},
	{"OPERATOR", func(m *gateway.MessageView) any { return m.Operator }},
	{"UPDATED", func(m *gateway.MessageView) any { return m.Updated }},
}

func newMessageCmd() *cobra.Command {
	return noun("message", "Messages: where they stand and why",
		"A message is named by its id of 26 characters, which contains its account.",
		messageListCmd(), messageTestCmd(), nameCmd("show <id>", "Tell all about a message: segments, timeline, decisions", showMessage),
		nameCmd("cancel <id>", "Stop a message that has not left", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			if _, err := s.CancelMessage(ctx, desk.Name{Name: name}); err != nil {
				return err
			}
			return said(cmd, "message %s cancelled", name)
		}),
	)
}

func messageListCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List an account's messages, newest first; addresses are masked", Args: cobra.NoArgs,
		Example: "  izinli message list --account 1 --state dropped --since 2026-11-01\n  izinli message list --account 1 --to 05321234567 --full"}
	f := cmd.Flags()
	account := accountFlag(cmd, "`number` of the account (required)")
	var q desk.MessageQuery
	f.Func("batch", "only those of this batch `id`", func(s string) error { return q.Batch.UnmarshalText([]byte(s)) })
	f.StringVar(&q.State, "state", "", "only in this `state`")
	f.StringVar(&q.To, "to", "", "only to this `address`")
	f.Func("since", "only from this `day` or instant on", func(s string) (err error) { q.Since, err = parseTime(s); return err })
	f.IntVar(&q.Limit, "limit", 50, "at most so `many`, up to 500")
	f.StringVar(&q.Cursor, "cursor", "", "go on where the list before ended (its last `line`)")
	full := f.Bool("full", false, "show addresses unmasked")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			q.Account = *account
			page, err := s.ListMessages(ctx, q)
			if err != nil {
				return err
			}
			for i := range page.Items {
				if !*full {
					page.Items[i].To = address.Mask(page.Items[i].To)
				}
			}
			if asJSON(cmd) {
				return printJSON(cmd, page)
			}
			if err := printTable(cmd, messageColumns, page.Items); err != nil || page.Next == "" {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nmore: --cursor %s\n", page.Next)
			return err
		})
	}
	return cmd
}

var momentColumns = []column[gateway.Moment]{
	{"TIME", func(m *gateway.Moment) any { return m.At }},
	{"STATE", func(m *gateway.Moment) any { return m.State }},
	{"CODE", func(m *gateway.Moment) any { return string(m.Code) }},
	{"NOTE", func(m *gateway.Moment) any { return m.Note }},
}

var decisionColumns = []column[gateway.DecisionView]{
	{"DECIDED", func(d *gateway.DecisionView) any { return d.At }},
	{"KIND", func(d *gateway.DecisionView) any { return d.Kind }},
	{"VERDICT", func(d *gateway.DecisionView) any { return d.Verdict }},
	{"RULE", func(d *gateway.DecisionView) any { return d.Rule }},
	{"STATUS", func(d *gateway.DecisionView) any { return d.Status }},
	{"SOURCE", func(d *gateway.DecisionView) any { return d.Source }},
	{"READ", func(d *gateway.DecisionView) any { return d.Where }},
	{"RECORD", func(d *gateway.DecisionView) any { return fmt.Sprintf("%s/%d", d.Day, d.Seq) }},
}

func showMessage(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
	d, err := s.Message(ctx, desk.Name{Name: name})
	if err != nil {
		return err
	}
	if asJSON(cmd) {
		return printJSON(cmd, d)
	}
	m := &d.Message
	if err := printPairs(cmd, "message", m.ID, "batch", m.Batch, "ref", m.Ref, "channel", m.Channel, "class", m.Class, "brand", m.Brand,
		"from", m.From, "to", m.To, "state", m.State, "code", string(m.Code), "segments", m.Parts, "encoding", m.Encoding,
		"operator", m.Operator, "attempts", m.Attempts, "due", m.SendAt, "valid until", m.ValidUntil, "next look", m.NextAt); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	_, _ = fmt.Fprintln(out)
	if err := printTable(cmd, momentColumns, m.Timeline); err != nil {
		return err
	}
	_, _ = fmt.Fprintln(out)
	return printTable(cmd, decisionColumns, d.Decisions)
}

func messageTestCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "test <address>", Short: "Send one message through the one door and tell its verdict", Args: cobra.ExactArgs(1),
		Example: "  izinli message test 05321234567 --account 1 --from ORNEK --text \"Deneme\""}
	f := cmd.Flags()
	account := accountFlag(cmd, "`number` of the account (required)")
	var in desk.TestMessage
	f.StringVar(&in.From, "from", "", "sender `id` (required)")
	f.StringVar(&in.Class, "class", gateway.ClassTransactional, "commercial, transactional or otp")
	f.StringVar(&in.Brand, "brand", "", "brand `code` (default: the sender's)")
	f.StringVar(&in.Channel, "channel", gateway.ChannelSMS, "sms or email")
	f.StringVar(&in.Text, "text", "Deneme mesajı / test message", "the `text`")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			in.Account, in.Address = *account, args[0]
			v, err := s.SendTest(ctx, in)
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, v)
			}
			return printPairs(cmd, "message", v.ID, "to", address.Mask(v.To), "state", v.State, "code", string(v.Code), "reason", v.Text, "segments", v.Segments, "encoding", v.Encoding)
		})
	}
	return cmd
}
