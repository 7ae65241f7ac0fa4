package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var senderColumns = []column[gateway.Sender]{
	{"SENDER", func(s *gateway.Sender) any { return s.Name }},
	{"CHANNEL", func(s *gateway.Sender) any { return s.Channel }},
	{"ACCOUNT", func(s *gateway.Sender) any { return fmt.Sprint(s.Account) }},
	{"BRAND", func(s *gateway.Sender) any { return s.Brand }},
	{"APPROVED", func(s *gateway.Sender) any { return s.Approved }},
}

func newSenderCmd() *cobra.Command {
	return noun("sender", "Sender IDs: SMS titles and numbers, mail domains",
		"A sender ID belongs to one brand and must be approved before messages leave under it.",
		listCmd("sender IDs", senderColumns, desk.Service.ListSenders),
		addCmd("  izinli sender add --account 1 --name ORNEK --brand 675403 --approved\n"+
			"  izinli sender add --account 1 --channel email --name bulten.example.com --brand 675403 --approved",
			func(e *edits[gateway.Sender]) {
				e.early = append(e.early, func(s *gateway.Sender) { s.Channel = gateway.ChannelSMS })
				e.text("name", "`title`, number or mail domain", func(s *gateway.Sender) *string { return &s.Name })
				e.account(func(s *gateway.Sender) *gateway.AccountID { return &s.Account })
				e.text("channel", "`sms|email`; sms when not given", func(s *gateway.Sender) *string { return &s.Channel })
				senderFlags(e)
			}, senderColumns, desk.Service.PutSender),
		senderSetCmd(), senderRemoveCmd(),
	)
}

func senderFlags(e *edits[gateway.Sender]) {
	e.text("brand", "`brandCode` it belongs to", func(s *gateway.Sender) *string { return &s.Brand })
	e.yes("approved", "may be used", func(s *gateway.Sender) *bool { return &s.Approved })
}

// senderKeyFlags names one of possibly several senders of the same name.
func senderKeyFlags(cmd *cobra.Command) (*gateway.AccountID, *string) {
	return accountFlag(cmd, "`number` of the account"), cmd.Flags().String("channel", gateway.ChannelSMS, "`sms|email`")
}

func senderSetCmd() *cobra.Command {
	var account *gateway.AccountID
	var channel *string
	cmd := setCmd("<name>", "  izinli sender set ORNEK --account 1 --approved", senderFlags, senderColumns,
		func(ctx context.Context, s desk.Service, name string) (x gateway.Sender, err error) {
			list, err := s.ListSenders(ctx, desk.Query{Account: *account})
			if err != nil {
				return x, err
			}
			return pick(list, "sender", name, func(x *gateway.Sender) bool {
				return x.Name == name && x.Channel == *channel && x.Account == *account
			})
		}, desk.Service.PutSender)
	account, channel = senderKeyFlags(cmd)
	return cmd
}

func senderRemoveCmd() *cobra.Command {
	var account *gateway.AccountID
	var channel *string
	cmd := nameCmd("remove <name>", "Remove a sender ID", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		if _, err := s.DeleteSender(ctx, gateway.SenderKey{Account: *account, Channel: *channel, Name: name}); err != nil {
			return err
		}
		return said(cmd, "sender %s removed", name)
	})
	account, channel = senderKeyFlags(cmd)
	return cmd
}
