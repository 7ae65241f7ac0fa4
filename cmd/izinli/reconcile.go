package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"izinli/gateway/desk"
	"izinli/iys"
	"izinli/iys/reconcile"
)

func newReconcileCmd() *cobra.Command {
	return noun("reconcile", "Reconciliation with İYS (mutabakat), by brand and day",
		`Every night each brand's finished days are compared with İYS: equal days are agreed to and İYS's time stamp is kept; for days that
differ a repair plan waits to be looked at. Nothing is repaired by itself, and no plan turns a refusal into an approval: such an
item is carried out only when it is named, and then İYS is asked.`,
		reconcileDaysCmd(), reconcileDayCmd(), reconcilePlanCmd(), planActCmd("apply", "Carry out a repair plan and compare its day anew"),
		planActCmd("undo", "Take an applied plan back; blocks and refusals written to İYS stay"),
		planActCmd("dismiss", "Leave an open plan alone"), reconcileProofCmd(),
	)
}

var dayColumns = []column[reconcile.Day]{
	{"DAY", func(d *reconcile.Day) any { return d.Date }},
	{"RESULT", func(d *reconcile.Day) any { return d.Result }},
	{"MOVEMENTS", func(d *reconcile.Day) any { return d.Rows }},
	{"PLAN", func(d *reconcile.Day) any { return int(d.Plan) }},
	{"PROOF", func(d *reconcile.Day) any { return d.Proof }},
	{"AT", func(d *reconcile.Day) any { return d.At }},
	{"NOTE", func(d *reconcile.Day) any { return d.Note }},
}

func brandFlag(cmd *cobra.Command, into *string) {
	cmd.Flags().StringVar(into, "brand", "", "`brandCode` (required)")
	_ = cmd.MarkFlagRequired("brand")
}

func reconcileDaysCmd() *cobra.Command {
	var q desk.DayQuery
	cmd := &cobra.Command{Use: "days", Short: "List the days of a brand, newest first", Args: cobra.NoArgs,
		Example: "  izinli reconcile days --brand 675403"}
	brandFlag(cmd, &q.Brand)
	cmd.Flags().IntVar(&q.Limit, "limit", 31, "at most so many `days`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			list, err := s.ListReconciledDays(ctx, q)
			if err != nil {
				return err
			}
			return printTable(cmd, dayColumns, list)
		})
	}
	return cmd
}

func reconcileDayCmd() *cobra.Command {
	var q desk.DayQuery
	cmd := &cobra.Command{Use: "day <YYYY-MM-DD>", Short: "Compare a finished day with İYS now (at most seven days back)", Args: cobra.ExactArgs(1),
		Example: "  izinli reconcile day 2026-11-20 --brand 675403"}
	brandFlag(cmd, &q.Brand)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			q.Date = args[0]
			d, err := s.ReconcileDay(ctx, q)
			if err != nil {
				return err
			}
			return printRecord(cmd, dayColumns, d)
		})
	}
	return cmd
}

func planID(s string) (uint64, error) {
	id, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("a plan is named by its number (see \"izinli reconcile days\"), not %q", s)
	}
	return id, nil
}

var itemColumns = []column[reconcile.Item]{
	{"N", func(it *reconcile.Item) any { return it.N }},
	{"WHAT", func(it *reconcile.Item) any { return it.Kind }},
	{"ADDRESS", func(it *reconcile.Item) any { k := it.Key(); return iys.Mask(k.Recipient) }},
	{"CHANNEL", func(it *reconcile.Item) any { return it.Key().Channel }},
	{"OURS", func(it *reconcile.Item) any { return it.Ours.Status }},
	{"THEIRS", func(it *reconcile.Item) any { return it.Theirs.Status }},
	{"ACTION", func(it *reconcile.Item) any { return it.Action }},
	{"DONE", func(it *reconcile.Item) any { return it.Done }},
}

func reconcilePlanCmd() *cobra.Command {
	var q desk.PlanQuery
	cmd := &cobra.Command{Use: "plan <number>", Short: "Show a repair plan and its items", Args: cobra.ExactArgs(1),
		Example: "  izinli reconcile plan 812 --after 100"}
	cmd.Flags().IntVar(&q.After, "after", 0, "items after this `number`")
	cmd.Flags().IntVar(&q.Limit, "limit", 100, "at most so many `items`")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if q.ID, err = planID(args[0]); err != nil {
			return err
		}
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			d, err := s.RepairPlan(ctx, q)
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, d)
			}
			if err := printPlan(cmd, d.Plan); err != nil || len(d.Items) == 0 {
				return err
			}
			_, _ = fmt.Fprintln(cmd.OutOrStdout())
			return printTable(cmd, itemColumns, d.Items)
		})
	}
	return cmd
}

func printPlan(cmd *cobra.Command, p reconcile.Plan) error {
	return printPairs(cmd, "plan", int(p.ID), "brand", p.Brand, "day", p.Date, "state", p.State, "made", p.Made, "changed", p.Changed, "by", p.By,
		"missing here", p.Here, "missing at İYS", p.There, "different", p.Different, "waiting for a word", p.Review, "cut", p.Cut)
}

func planActCmd(act, short string) *cobra.Command {
	in := desk.PlanAct{Act: act}
	cmd := &cobra.Command{Use: act + " <number>", Short: short, Args: cobra.ExactArgs(1), Example: "  izinli reconcile " + act + " 812"}
	if act == "apply" {
		cmd.Flags().IntSliceVar(&in.Items, "item", nil, "`number` of an item that waits for a word and is to be carried out; may be repeated")
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if in.ID, err = planID(args[0]); err != nil {
			return err
		}
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			out, err := s.ChangePlan(ctx, in)
			if err != nil {
				return err
			}
			if asJSON(cmd) {
				return printJSON(cmd, out)
			}
			if err := printPlan(cmd, out.Plan); err != nil || out.Day.Date == "" {
				return err
			}
			return printPairs(cmd, "the day now", string(out.Day.Result), "note", out.Day.Note)
		})
	}
	return cmd
}

func reconcileProofCmd() *cobra.Command {
	var q desk.DayQuery
	var out string
	cmd := &cobra.Command{Use: "proof <YYYY-MM-DD>", Short: "Write the time stamp (.tsr) of an agreed day to a file", Args: cobra.ExactArgs(1),
		Example: "  izinli reconcile proof 2026-11-20 --brand 675403 --out 675403-2026-11-20.tsr"}
	brandFlag(cmd, &q.Brand)
	cmd.Flags().StringVar(&out, "out", "", "`file` to write (required)")
	_ = cmd.MarkFlagRequired("out")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			q.Date = args[0]
			p, err := s.ReconcileProof(ctx, q)
			if err != nil {
				return err
			}
			if err := os.WriteFile(out, p.TSR, 0o600); err != nil {
				return err
			}
			return said(cmd, "%d octets written to %s", len(p.TSR), out)
		})
	}
	return cmd
}
