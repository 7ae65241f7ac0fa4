package main

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

func newCreditCmd() *cobra.Command {
	return noun("credit", "Credits: what an account can spend, one per SMS segment",
		"Credits are charged when a message is accepted and go back when it could not be sent.",
		creditAddCmd(), creditListCmd(),
		nameCmd("show <account>", "Show an account's balance", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			id, err := parseAccount(name)
			if err != nil {
				return err
			}
			b, err := s.Balance(ctx, desk.Query{Account: id})
			if err != nil {
				return err
			}
			return printBalance(cmd, b)
		}),
	)
}

func creditAddCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "add <account> <credits>", Short: "Book credits bought; a negative number takes some back", Args: cobra.ExactArgs(2),
		Example: "  izinli credit add 1 10000 --note \"invoice 2026-117\"\n  izinli credit add 1 --note slip -- -500"}
	note := cmd.Flags().String("note", "", "what they were booked for (`text`, required)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			id, err := parseAccount(args[0])
			if err != nil {
				return err
			}
			n, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil {
				return gateway.Refuse(gateway.CodeInvalid, "credits", "%q is not a number of credits.", args[1])
			}
			b, err := s.AddCredits(ctx, desk.CreditEntry{Account: id, Credits: n, Note: *note})
			if err != nil {
				return err
			}
			return printBalance(cmd, b)
		})
	}
	return cmd
}

func printBalance(cmd *cobra.Command, b gateway.Balance) error {
	if asJSON(cmd) {
		return printJSON(cmd, b)
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return printPairs(cmd, "credits", number(b.Credits), "added", number(b.Added), "charged", number(b.Charged), "refunded", number(b.Refund))
}

var bookingColumns = []column[gateway.Booking]{
	{"TIME", func(b *gateway.Booking) any { return b.At }},
	{"CREDITS", func(b *gateway.Booking) any { return strconv.FormatInt(b.Credits, 10) }},
	{"NOTE", func(b *gateway.Booking) any { return b.Note }},
}

func creditListCmd() *cobra.Command {
	return nameCmd("list <account>", "List what was booked by hand, the newest 500", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		id, err := parseAccount(name)
		if err != nil {
			return err
		}
		page, err := s.ListBookings(ctx, desk.ListQuery{Account: id, Limit: 500})
		if err != nil {
			return err
		}
		return printTable(cmd, bookingColumns, page.Items)
	})
}
