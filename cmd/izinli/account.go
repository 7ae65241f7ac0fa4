package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var accountColumns = []column[gateway.Account]{
	{"ACCOUNT", func(a *gateway.Account) any { return fmt.Sprint(a.ID) }},
	{"NAME", func(a *gateway.Account) any { return a.Name }},
	{"IYSCODE", func(a *gateway.Account) any { return a.IYSCode }},
	{"SUSPENDED", func(a *gateway.Account) any { return a.Suspended }},
	{"QUIET", func(a *gateway.Account) any { return quietText(&a.Policy) }},
	{"CREATED", func(a *gateway.Account) any { return a.Created }},
}

func quietText(p *gateway.AccountPolicy) string {
	if p.QuietOff {
		return "off"
	}
	if p.QuietFrom == "" && p.QuietTo == "" {
		return "default"
	}
	return p.QuietFrom + "-" + p.QuietTo
}

func newAccountCmd() *cobra.Command {
	return noun("account", "Accounts: companies with their brands, credentials and credits",
		"An account is a service provider (hizmet sağlayıcı). Everything below it is invisible to other accounts.",
		listCmd("accounts", accountColumns, desk.Service.ListAccounts),
		addCmd(`  izinli account add --name "Örnek A.Ş." --iys-code 675403 --mersis 0123456789012345`,
			accountFlags, accountColumns, desk.Service.PutAccount),
		setCmd("<account>", "  izinli account set 1 --quiet-from 20:00 --promotional hold\n  izinli account set 1 --quiet-off=false",
			accountFlags, accountColumns, findAccount, desk.Service.PutAccount),
		suspendCmd("suspend <account>", "Stop an account: nobody gets in, nothing leaves", true),
		suspendCmd("resume <account>", "Let a suspended account go on", false),
	)
}

func accountFlags(e *edits[gateway.Account]) {
	e.text("name", "company `name`", func(a *gateway.Account) *string { return &a.Name })
	field(e, "iys-code", "the company's iysCode (İYS `number`), 6 or 7 digits; 0 for none", optionalIYSCode, func(a *gateway.Account) *int { return &a.IYSCode })
	e.text("mersis", "MERSİS `number`, 16 digits", func(a *gateway.Account) *string { return &a.MERSIS })
	e.text("quiet-from", "commercial messages rest from `21:00` (Istanbul)", func(a *gateway.Account) *string { return &a.Policy.QuietFrom })
	e.text("quiet-to", "… until `08:00`", func(a *gateway.Account) *string { return &a.Policy.QuietTo })
	e.yes("quiet-off", "no quiet hours for this account", func(a *gateway.Account) *bool { return &a.Policy.QuietOff })
	e.yes("allow-foreign", "may send abroad", func(a *gateway.Account) *bool { return &a.Policy.AllowForeign })
	e.yes("keep-undelivered", "keep the credits of undelivered messages", func(a *gateway.Account) *bool { return &a.Policy.KeepUndelivered })
	e.text("promotional", "promotional words in transactional texts: `off|warn|hold`", func(a *gateway.Account) *string { return &a.Policy.Promotional })
	e.text("content", "commercial mail without the sender's details: `append|refuse`", func(a *gateway.Account) *string { return &a.Policy.Content })
	e.yes("complaint-ret", "a complaint at a mailbox provider is a refusal at İYS too", func(a *gateway.Account) *bool { return &a.Policy.ComplaintRET })
	e.yes("refusal-replies", "replies to commercial mail without a Reply-To come here: RET refuses, all else is turned away",
		func(a *gateway.Account) *bool { return &a.Policy.RefusalReplies })
	e.text("on-doubt", "when an operator's answer was lost: `resend|report`; resend makes three attempts at most", func(a *gateway.Account) *string { return &a.Policy.OnDoubt })
	e.number("max-segments", "most segments of one text; 0: 10", func(a *gateway.Account) *int { return &a.Policy.MaxSegments })
	e.number("max-per-second", "messages accepted per second; 0: no limit", func(a *gateway.Account) *int { return &a.Policy.MaxPerSecond })
	field(e, "credit-warning", "warn when fewer `credits` are left", func(s string) (int64, error) { return strconv.ParseInt(s, 10, 64) },
		func(a *gateway.Account) *int64 { return &a.Policy.CreditWarning })
	e.yes("reencode", "may change an SMPP client's data_coding", func(a *gateway.Account) *bool { return &a.Policy.Reencode })
	e.yes("transliterate", "may replace letters to save segments", func(a *gateway.Account) *bool { return &a.Policy.Transliterate })
}

// optionalIYSCode reads an iysCode where it is typed, so that an application number is told apart from one.
func optionalIYSCode(s string) (int, error) {
	if s == "" || s == "0" {
		return 0, nil
	}
	return desk.ParseIYSCode(s)
}

func findAccount(ctx context.Context, s desk.Service, name string) (a gateway.Account, err error) {
	id, err := parseAccount(name)
	if err != nil {
		return a, err
	}
	list, err := s.ListAccounts(ctx, desk.Query{Account: id})
	if err != nil {
		return a, err
	}
	return pick(list, "account", name, func(a *gateway.Account) bool { return a.ID == id })
}

func suspendCmd(use, short string, suspended bool) *cobra.Command {
	return nameCmd(use, short, func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		id, err := parseAccount(name)
		if err != nil {
			return err
		}
		a, err := s.SuspendAccount(ctx, desk.Suspension{Account: id, Suspended: suspended})
		if err != nil {
			return err
		}
		return printRecord(cmd, accountColumns, a)
	})
}
