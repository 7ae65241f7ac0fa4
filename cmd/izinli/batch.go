package main

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

func newBatchCmd() *cobra.Command {
	steer := func(use, short string, do func(desk.Service, context.Context, desk.Name) (gateway.BatchView, error)) *cobra.Command {
		return nameCmd(use, short, func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			v, err := do(s, ctx, desk.Name{Name: name})
			if err != nil {
				return err
			}
			return printBatch(cmd, v)
		})
	}
	return noun("batch", "Batches: what one submission became",
		"A batch is named by its id of 20 characters, which contains its account.",
		steer("show <id>", "Show a batch with its counts", desk.Service.Batch),
		steer("pause <id>", "Hold what has not left", desk.Service.PauseBatch),
		steer("resume <id>", "Let a paused batch go on", desk.Service.ResumeBatch),
		nameCmd("cancel <id>", "Stop and refund what has not left", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			c, err := s.CancelBatch(ctx, desk.Name{Name: name})
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, c)
			}
			return said(cmd, "%d messages of batch %s cancelled", c.Cancelled, name)
		}),
	)
}

func printBatch(cmd *cobra.Command, v gateway.BatchView) error {
	if asJSON(cmd) {
		return printJSON(cmd, v)
	}
	pairs := []any{"batch", v.ID, "channel", v.Channel, "class", v.Class, "brand", v.Brand, "from", v.From, "created", v.Created,
		"due", v.SendAt, "valid until", v.ValidUntil, "paused", v.Paused, "cancelled", v.Cancelled, "messages", v.Count}
	for _, k := range slices.Sorted(maps.Keys(v.States)) {
		pairs = append(pairs, "  "+k, v.States[k])
	}
	for _, k := range slices.Sorted(maps.Keys(v.Reasons)) {
		pairs = append(pairs, "  reason "+k, v.Reasons[k])
	}
	return printPairs(cmd, pairs...)
}
