package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var webhookColumns = []column[gateway.Webhook]{
	{"ACCOUNT", func(w *gateway.Webhook) any { return fmt.Sprint(w.Account) }},
	{"URL", func(w *gateway.Webhook) any { return w.URL }},
	{"EVENTS", func(w *gateway.Webhook) any {
		if len(w.Events) == 0 {
			return "all"
		}
		return w.Events
	}},
	{"PAUSED", func(w *gateway.Webhook) any { return w.Paused }},
}

func newWebhookCmd() *cobra.Command {
	return noun("webhook", "Webhooks: where accounts get their events",
		"Each account has at most one. Events are signed with a secret that is printed once, when it is made.",
		listCmd("webhooks", webhookColumns, desk.Service.ListWebhooks), webhookSetCmd(), webhookRemoveCmd(),
	)
}

func webhookSetCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "set <account>", Short: "Make or change an account's webhook; flags not given change nothing", Args: cobra.ExactArgs(1),
		Example: "  izinli webhook set 1 --url https://example.com/izinli --events message.final,inbound\n  izinli webhook set 1 --rotate"}
	e := &edits[desk.WebhookInput]{fs: cmd.Flags()}
	e.text("url", "`address` events are posted to", func(w *desk.WebhookInput) *string { return &w.URL })
	e.list("events", "`list` of message.final, inbound, optout.owed, credit.low; empty: all", func(w *desk.WebhookInput) *[]string { return &w.Events })
	e.yes("paused", "keep events back", func(w *desk.WebhookInput) *bool { return &w.Paused })
	e.yes("rotate", "make a new secret", func(w *desk.WebhookInput) *bool { return &w.Rotate })
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			id, err := parseAccount(args[0])
			if err != nil {
				return err
			}
			list, err := s.ListWebhooks(ctx, desk.Query{Account: id})
			if err != nil {
				return err
			}
			in := desk.WebhookInput{Account: id}
			for _, w := range list {
				in.URL, in.Events, in.Paused = w.URL, w.Events, w.Paused
			}
			e.apply(&in)
			if in.URL == "" {
				return gateway.Refuse(gateway.CodeInvalid, "url", "The address is missing: give --url (\"izinli webhook remove\" removes a webhook).")
			}
			v, err := s.PutWebhook(ctx, in)
			if err != nil {
				return err
			}
			return printWebhook(cmd, id, v)
		})
	}
	return cmd
}

func printWebhook(cmd *cobra.Command, id gateway.AccountID, v gateway.WebhookView) error {
	if asJSON(cmd) {
		return printJSON(cmd, v)
	}
	if err := printRecord(cmd, webhookColumns, gateway.Webhook{Account: id, URL: v.URL, Events: v.Events, Paused: v.Paused}); err != nil || v.Secret == "" {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "\nsecret: %s\nKeep it now: it cannot be shown again.\n", v.Secret)
	return err
}

func webhookRemoveCmd() *cobra.Command {
	return nameCmd("remove <account>", "Remove an account's webhook", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		id, err := parseAccount(name)
		if err != nil {
			return err
		}
		if _, err := s.PutWebhook(ctx, desk.WebhookInput{Account: id}); err != nil {
			return err
		}
		return said(cmd, "webhook of account %d removed", id)
	})
}
