package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var numberColumns = []column[gateway.Number]{
	{"NUMBER", func(n *gateway.Number) any { return n.Number }},
	{"KEYWORD", func(n *gateway.Number) any { return n.Keyword }},
	{"ACCOUNT", func(n *gateway.Number) any { return fmt.Sprint(n.Account) }},
	{"BRAND", func(n *gateway.Number) any { return n.Brand }},
	{"SYSTEM", func(n *gateway.Number) any { return n.System }},
}

func newNumberCmd() *cobra.Command {
	remove := nameCmd("remove <number>", "Remove an inbound number", nil)
	keyword := remove.Flags().String("keyword", "", "the one with this `word`")
	remove.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			if _, err := s.DeleteNumber(ctx, gateway.Number{Number: args[0], Keyword: *keyword}); err != nil {
				return err
			}
			return said(cmd, "number %s removed", args[0])
		})
	}
	return noun("number", "Inbound numbers: where people reply and opt out",
		"A number belongs to one account whole, or to several by keyword (the first word of the message).",
		listCmd("inbound numbers", numberColumns, desk.Service.ListNumbers),
		addCmd("  izinli number add --account 1 --number 3338 --keyword ORNEK --brand 675403\n"+
			"  izinli number add --account 1 --number 08501234567 --system ornek",
			func(e *edits[gateway.Number]) {
				e.text("number", "`digits` people write to", func(n *gateway.Number) *string { return &n.Number })
				e.text("keyword", "`word` that shares the number", func(n *gateway.Number) *string { return &n.Keyword })
				e.account(func(n *gateway.Number) *gateway.AccountID { return &n.Account })
				e.text("brand", "`brandCode` an opt-out is for", func(n *gateway.Number) *string { return &n.Brand })
				e.text("system", "`system_id` that gets the messages as deliver_sm", func(n *gateway.Number) *string { return &n.System })
			}, numberColumns, desk.Service.PutNumber),
		remove,
	)
}
