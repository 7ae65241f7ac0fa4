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
		listCmd("webhooks", webhookColumns, desk.Service.ListWebhooks), webhookSetCmd(), webhookRemoveCmd(), webhookEventsCmd(), webhookReplayCmd(),
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

var hookEventColumns = []column[gateway.Event]{
	{"EVENT", func(e *gateway.Event) any { return e.ID }},
	{"TYPE", func(e *gateway.Event) any { return e.Type }},
	{"OF", func(e *gateway.Event) any { return e.At }},
	{"TRIES", func(e *gateway.Event) any { return e.Tries }},
	{"NEXT", func(e *gateway.Event) any { return e.NextAt }},
	{"LAST ERROR", func(e *gateway.Event) any { return e.LastErr }},
}

func webhookEventsCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "events <account>", Short: "List the events that wait for an account's webhook, or were given up", Args: cobra.ExactArgs(1),
		Example: "  izinli webhook events 1\n  izinli webhook events 1 --failed"}
	var q desk.EventQuery
	cmd.Flags().BoolVar(&q.Failed, "failed", false, "those nobody took within 72 hours; they are kept for 30 days")
	cmd.Flags().IntVar(&q.Limit, "limit", 50, "at most so `many`, up to 500")
	cmd.Flags().StringVar(&q.Cursor, "cursor", "", "go on where the list before ended (its last `line`)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) (err error) {
			if q.Account, err = parseAccount(args[0]); err != nil {
				return err
			}
			page, err := s.ListEvents(ctx, q)
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, page)
			}
			if err := printTable(cmd, hookEventColumns, page.Items); err != nil || page.Next == "" {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "\nmore: --cursor %s\n", page.Next)
			return err
		})
	}
	return cmd
}

func webhookReplayCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "replay <account> [event…]", Short: "Send events again: those named, or all that wait or were given up (at most 1000)", Args: cobra.MinimumNArgs(1),
		Example: "  izinli webhook replay 1\n  izinli webhook replay 1 3k9f2a 3k9f2b"}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			id, err := parseAccount(args[0])
			if err != nil {
				return err
			}
			done, err := s.ReplayEvents(ctx, desk.Replay{Account: id, IDs: args[1:]})
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, done)
			}
			return said(cmd, "%d events are sent again", done.Events)
		})
	}
	return cmd
}
