package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"izinli/gateway/desk"
)

var laneColumns = []column[desk.LaneView]{
	{"LANE", func(l *desk.LaneView) any { return l.Lane }},
	{"PAUSED", func(l *desk.LaneView) any { return l.Paused }},
	{"WAITING", func(l *desk.LaneView) any { return l.Waiting }},
	{"RUNNING", func(l *desk.LaneView) any { return l.Running }},
	{"OLDEST", func(l *desk.LaneView) any { return l.Oldest.String() }},
	{"RESTING", func(l *desk.LaneView) any { return l.Resting }},
	{"HANDLED", func(l *desk.LaneView) any { return fmt.Sprint(l.Done) }},
	{"FAILED", func(l *desk.LaneView) any { return fmt.Sprint(l.Failed) }},
}

func newQueueCmd() *cobra.Command {
	pause := func(paused bool) func(context.Context, *cobra.Command, desk.Service, string) error {
		return func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			list, err := s.PauseLane(ctx, desk.LanePause{Lane: name, Paused: paused})
			if err != nil {
				return err
			}
			return printTable(cmd, laneColumns, list)
		}
	}
	show := &cobra.Command{Use: "show", Short: "Show the lanes: what waits, since when, what runs", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			list, err := s.ListLanes(ctx, desk.Nothing{})
			if err != nil {
				return err
			}
			return printTable(cmd, laneColumns, list)
		})
	}}
	return noun("queue", "The queue: otp, transactional and commercial lane",
		"A paused lane hands nothing off; accepting goes on, and the validity of what waits runs. It stays paused over a restart.",
		show, nameCmd("pause <lane>", "Keep a lane from handing anything off", pause(true)), nameCmd("resume <lane>", "Let a paused lane go on", pause(false)))
}
