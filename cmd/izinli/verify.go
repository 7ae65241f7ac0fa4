package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"izinli/gateway/desk"
	"izinli/gateway/store"
)

func newVerifyCmd() *cobra.Command {
	return &cobra.Command{Use: "verify", Short: "Prove the store: ledger, decision chain, waiting messages", Args: cobra.NoArgs,
		Long: `verify reads the whole store and proves from its records alone that each account's balance is the sum of its ledger and its
messages, that every link of every decision chain holds up to the sealed root of each day (of a broken chain the first broken link
is named: day, number, what is wrong), that every message has its decision and that nothing which waits is
forgotten. It changes nothing. The exit code is 1 when there are problems, each of which is listed.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			_, noSocket := os.Stat(desk.SocketPath(cfg.Data))
			if noSocket != nil && !store.Exists(storeDir(cfg)) {
				return fmt.Errorf("there is no store in %s", storeDir(cfg))
			}
			return withDeskOf(cmd, cfg, func(ctx context.Context, s desk.Service) error {
				r, err := s.Verify(ctx, desk.Nothing{})
				if err != nil {
					return err
				}
				return printReport(cmd, r)
			})
		}}
}

func printReport(cmd *cobra.Command, r desk.Report) error {
	if asJSON(cmd) {
		if err := printJSON(cmd, r); err != nil {
			return err
		}
	} else {
		out := cmd.OutOrStdout()
		_, _ = fmt.Fprintf(out, "%d batches, %d messages (%d waiting), %d decisions in %d chain records, %d sealed roots\n", r.Batches, r.Messages, r.Waiting,
			r.Decisions, r.Chains, r.Roots)
		for _, p := range r.Problems {
			_, _ = fmt.Fprintln(out, "PROBLEM:", p)
		}
		if len(r.Problems) == 0 {
			_, _ = fmt.Fprintln(out, "no problems")
		}
	}
	if len(r.Problems) > 0 {
		return errSaid
	}
	return nil
}
