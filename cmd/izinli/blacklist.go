package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/desk"
)

var blacklistColumns = []column[desk.BlacklistEntry]{
	{"ADDRESS", func(b *desk.BlacklistEntry) any { return b.Address }},
	{"SINCE", func(b *desk.BlacklistEntry) any { return b.At }},
	{"NOTE", func(b *desk.BlacklistEntry) any { return b.Note }},
}

func newBlacklistCmd() *cobra.Command {
	return noun("blacklist", "Blacklists: addresses an account never writes to",
		"A blacklist stops every class of message, one-time passwords too. Blacklists are known to the running server alone.",
		blacklistListCmd(),
		blacklistEditCmd("add <address>", "Put an address on the blacklist", "blacklisted", desk.Service.PutBlacklist),
		blacklistEditCmd("remove <address>", "Take an address off the blacklist", "no longer blacklisted", desk.Service.DeleteBlacklist),
	)
}

func blacklistListCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List an account's blacklist; addresses are masked", Args: cobra.NoArgs,
		Example: "  izinli blacklist list --account 1 --full"}
	account := accountFlag(cmd, "`number` of the account (required)")
	cursor := cmd.Flags().String("cursor", "", "go on where the list before ended (its last `line`)")
	full := cmd.Flags().Bool("full", false, "show addresses unmasked")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			page, err := s.ListBlacklist(ctx, desk.BlacklistQuery{Account: *account, Cursor: *cursor})
			if err != nil {
				return err
			}
			for i := range page.Items {
				if !*full {
					page.Items[i].Address = address.Mask(page.Items[i].Address)
				}
			}
			return printPage(cmd, blacklistColumns, page)
		})
	}
	return cmd
}

func blacklistEditCmd(use, short, done string, do func(desk.Service, context.Context, desk.BlacklistEntry) (desk.Nothing, error)) *cobra.Command {
	var account *gateway.AccountID
	var note *string
	cmd := nameCmd(use, short, func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		if _, err := do(s, ctx, desk.BlacklistEntry{Account: *account, Address: name, Note: *note}); err != nil {
			return err
		}
		return said(cmd, "%s is %s", name, done)
	})
	account, note = accountFlag(cmd, "`number` of the account (required)"), cmd.Flags().String("note", "", "`why`, for the list and the audit trail")
	verb, _, _ := strings.Cut(use, " ")
	cmd.Example = "  izinli blacklist " + verb + " 05321234567 --account 1 --note \"asked for by phone\""
	return cmd
}
