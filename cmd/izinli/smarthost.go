package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var smarthostColumns = []column[gateway.Smarthost]{
	{"SMARTHOST", func(h *gateway.Smarthost) any { return h.Name }},
	{"ADDRESS", func(h *gateway.Smarthost) any {
		if h.Direct {
			return "mail exchangers"
		}
		return h.Addr
	}},
	{"TLS", func(h *gateway.Smarthost) any { return smarthostTLS(h) }},
	{"USER", func(h *gateway.Smarthost) any { return h.Username }},
	{"RANK", func(h *gateway.Smarthost) any { return h.Rank }},
	{"WEIGHT", func(h *gateway.Smarthost) any { return max(h.Weight, 1) }},
	{"CLASSES", func(h *gateway.Smarthost) any { return strings.Join(h.Classes, ",") }},
	{"DRAINING", func(h *gateway.Smarthost) any { return h.Draining }},
}

func smarthostTLS(h *gateway.Smarthost) string {
	switch {
	case h.TLS != "":
		return h.TLS
	case h.Direct:
		return "opportunistic"
	}
	return "verified"
}

func newSmarthostCmd() *cobra.Command {
	return noun("smarthost", "Smarthosts: the servers mail leaves over",
		`A smarthost takes mail as soon as it exists. Those of the lowest rank share by weight; a higher rank is used while all lower ones
are down. With --direct mail goes to the mail exchangers of each recipient's domain instead.`,
		listCmd("smarthosts", smarthostColumns, desk.Service.ListSmarthosts),
		smarthostAddCmd(), smarthostSetCmd(),
		smarthostDrainCmd("drain", "Give a smarthost nothing new; what is under way ends there", true),
		smarthostDrainCmd("resume", "Use a drained smarthost again", false),
		nameCmd("remove <smarthost>", "Remove a smarthost", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			if _, err := s.DeleteSmarthost(ctx, desk.Name{Name: name}); err != nil {
				return err
			}
			return said(cmd, "smarthost %s removed", name)
		}),
	)
}

func smarthostFlags(e *edits[gateway.Smarthost]) {
	e.text("addr", "`host:port`", func(h *gateway.Smarthost) *string { return &h.Addr })
	e.yes("direct", "deliver to the mail exchangers of each domain", func(h *gateway.Smarthost) *bool { return &h.Direct })
	e.text("tls", "`verified|implicit|encrypted|opportunistic|off`; verified when not given, opportunistic with --direct",
		func(h *gateway.Smarthost) *string { return &h.TLS })
	e.text("server-name", "`name` its certificate must have; the host of --addr when not given", func(h *gateway.Smarthost) *string { return &h.ServerName })
	e.text("username", "our `name` there (AUTH PLAIN or LOGIN); needs TLS", func(h *gateway.Smarthost) *string { return &h.Username })
	e.number("rank", "lower `ranks` first", func(h *gateway.Smarthost) *int { return &h.Rank })
	e.number("weight", "`share` among the same rank; 0: 1", func(h *gateway.Smarthost) *int { return &h.Weight })
	e.number("connections", "`how` many at once; 0: 10, with --direct 100 over all sites", func(h *gateway.Smarthost) *int { return &h.MaxConns })
	e.number("per-connection", "`messages` of one connection; 0: 100", func(h *gateway.Smarthost) *int { return &h.MaxPerConn })
	e.number("per-second", "`messages` a second; 0: no limit", func(h *gateway.Smarthost) *int { return &h.PerSecond })
	e.account(func(h *gateway.Smarthost) *gateway.AccountID { return &h.Account })
	e.list("classes", "only these `classes`, with commas; empty: all", func(h *gateway.Smarthost) *[]string { return &h.Classes })
}

func putSmarthost(password *func() (string, error)) func(desk.Service, context.Context, gateway.Smarthost) (gateway.Smarthost, error) {
	return func(s desk.Service, ctx context.Context, h gateway.Smarthost) (gateway.Smarthost, error) {
		pw, err := (*password)()
		if err != nil {
			return h, err
		}
		return s.PutSmarthost(ctx, desk.SmarthostInput{Smarthost: h, Password: pw})
	}
}

func smarthostAddCmd() *cobra.Command {
	var password func() (string, error)
	cmd := addCmd(`  printf %s "$PASSWORD" | izinli smarthost add --name relay1 --addr smtp.example.com:587 --username izinli --password-file -
  izinli smarthost add --name backup --addr smtp2.example.com:465 --tls implicit --rank 1
  izinli smarthost add --name mx --direct`,
		func(e *edits[gateway.Smarthost]) {
			e.text("name", "`name` of the smarthost", func(h *gateway.Smarthost) *string { return &h.Name })
			smarthostFlags(e)
		}, smarthostColumns, putSmarthost(&password))
	password = secretFlag(cmd, "password-file", "the password")
	return cmd
}

func findSmarthost(ctx context.Context, s desk.Service, name string) (h gateway.Smarthost, err error) {
	list, err := s.ListSmarthosts(ctx, desk.Query{})
	if err != nil {
		return h, err
	}
	return pick(list, "smarthost", name, func(h *gateway.Smarthost) bool { return h.Name == name })
}

func smarthostSetCmd() *cobra.Command {
	var password func() (string, error)
	cmd := setCmd("<smarthost>", "  izinli smarthost set relay1 --connections 20\n  izinli smarthost set relay1 --rank 2",
		smarthostFlags, smarthostColumns, findSmarthost, putSmarthost(&password))
	password = secretFlag(cmd, "password-file", "a new password; without it the old one stays")
	return cmd
}

func smarthostDrainCmd(use, short string, on bool) *cobra.Command {
	return nameCmd(use+" <smarthost>", short, func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		h, err := findSmarthost(ctx, s, name)
		if err != nil {
			return err
		}
		h.Draining = on
		if h, err = s.PutSmarthost(ctx, desk.SmarthostInput{Smarthost: h}); err != nil {
			return err
		}
		return printRecord(cmd, smarthostColumns, h)
	})
}
