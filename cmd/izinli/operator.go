package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var operatorColumns = []column[gateway.Operator]{
	{"OPERATOR", func(o *gateway.Operator) any { return o.Name }},
	{"ADDRESS", func(o *gateway.Operator) any { return o.Addr }},
	{"TLS", func(o *gateway.Operator) any { return o.TLS }},
	{"SYSTEM-ID", func(o *gateway.Operator) any { return o.SystemID }},
	{"BINDS", func(o *gateway.Operator) any { return max(o.Binds, 1) }},
	{"WINDOW", func(o *gateway.Operator) any { return o.SegmentRoom() }},
	{"PER-SECOND", func(o *gateway.Operator) any { return o.PerSecond }},
	{"ENABLED", func(o *gateway.Operator) any { return !o.Disabled }},
}

func newOperatorCmd() *cobra.Command {
	return noun("operator", "Operators: the SMSCs messages leave over",
		"An operator is bound to as soon as it exists; routes decide what goes there.",
		listCmd("operators", operatorColumns, desk.Service.ListOperators),
		operatorAddCmd(), operatorSetCmd(),
		nameCmd("remove <operator>", "Remove an operator no route uses", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			if _, err := s.DeleteOperator(ctx, desk.Name{Name: name}); err != nil {
				return err
			}
			return said(cmd, "operator %s removed", name)
		}),
	)
}

func operatorFlags(e *edits[gateway.Operator]) {
	e.text("addr", "`host:port`", func(o *gateway.Operator) *string { return &o.Addr })
	e.yes("tls", "SMPP over TLS", func(o *gateway.Operator) *bool { return &o.TLS })
	e.yes("tls-insecure", "do not check the operator's certificate", func(o *gateway.Operator) *bool { return &o.TLSInsecure })
	e.text("system-id", "our `name` at the operator", func(o *gateway.Operator) *string { return &o.SystemID })
	e.text("system-type", "`system_type` of the bind", func(o *gateway.Operator) *string { return &o.SystemType })
	e.text("bind-type", "`trx|tx+rx`", func(o *gateway.Operator) *string { return &o.BindType })
	e.number("binds", "`how` many binds; 0: 1", func(o *gateway.Operator) *int { return &o.Binds })
	e.number("window", "unanswered `submit_sm` per bind, at least 10; 0: 10", func(o *gateway.Operator) *int { return &o.Window })
	e.number("per-second", "`submit_sm` per bind and second; 0: no limit", func(o *gateway.Operator) *int { return &o.PerSecond })
	e.yes("no-receipts", "the operator sends no delivery receipts", func(o *gateway.Operator) *bool { return &o.NoReceipts })
	e.text("id-form", "how `ids` of responses turn into those of receipts: as-is, lower, trim-zeros, hex->dec, dec->hex",
		func(o *gateway.Operator) *string { return &o.IDForm })
	e.yes("national", "takes Turkish shift tables", func(o *gateway.Operator) *bool { return &o.National })
	e.text("alphabet", "data_coding 0 is `gsm7|packed`", func(o *gateway.Operator) *string { return &o.Alphabet })
	e.number("suffix", "`characters` the operator appends", func(o *gateway.Operator) *int { return &o.Suffix })
	e.span("response-timeout", "`time` to wait for an answer; 0: 60s", func(o *gateway.Operator) *time.Duration { return &o.ResponseTimeout })
	e.span("enquire-link", "`time` between probes; 0: 30s", func(o *gateway.Operator) *time.Duration { return &o.EnquireLink })
	e.yes("disabled", "do not bind", func(o *gateway.Operator) *bool { return &o.Disabled })
}

func operatorAddCmd() *cobra.Command {
	var password func() (string, error)
	cmd := addCmd(`  printf %s "$PASSWORD" | izinli operator add --name op1 --addr smsc.example.com:2775 --system-id izinli \
    --password-file - --window 50 --per-second 100 --id-form 'hex->dec'`,
		func(e *edits[gateway.Operator]) {
			e.text("name", "`name` of the operator", func(o *gateway.Operator) *string { return &o.Name })
			operatorFlags(e)
		}, operatorColumns, putOperator(&password))
	password = secretFlag(cmd, "password-file", "the password")
	return cmd
}

func operatorSetCmd() *cobra.Command {
	var password func() (string, error)
	cmd := setCmd("<operator>", "  izinli operator set op1 --window 100\n  izinli operator set op1 --disabled",
		operatorFlags, operatorColumns,
		func(ctx context.Context, s desk.Service, name string) (o gateway.Operator, err error) {
			list, err := s.ListOperators(ctx, desk.Query{})
			if err != nil {
				return o, err
			}
			return pick(list, "operator", name, func(o *gateway.Operator) bool { return o.Name == name })
		}, putOperator(&password))
	password = secretFlag(cmd, "password-file", "a new password; without it the old one stays")
	return cmd
}

// putOperator sends an operator together with the password of the flag.
func putOperator(password *func() (string, error)) func(desk.Service, context.Context, gateway.Operator) (gateway.Operator, error) {
	return func(s desk.Service, ctx context.Context, o gateway.Operator) (gateway.Operator, error) {
		pw, err := (*password)()
		if err != nil {
			return o, err
		}
		return s.PutOperator(ctx, desk.OperatorInput{Operator: o, Password: pw})
	}
}
