package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"izinli/gateway/smpptest"
	"izinli/iys/iystest"
)

func newSimulateCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "simulate",
		Short: "Run a simulated operator, İYS or smarthost",
		Long:  "Run one piece of the outside world on this machine, to try the gateway without contracts.",
	}
	cmd.AddCommand(newSimulateSMSCCmd(), newSimulateIYSCmd(), newSimulateMailsinkCmd())
	return cmd
}

func newSimulateSMSCCmd() *cobra.Command {
	var cfg smpptest.Config
	var form string
	var mo []string
	cmd := &cobra.Command{
		Use:   "smsc",
		Short: "Run a simulated operator (SMPP server)",
		Long: `Run a simulated operator that takes SMPP binds from anybody, answers every submit_sm and sends delivery receipts.
Numbers that end in 13 end undelivered, numbers that end in 77 are refused. --mo lets a handset write, once somebody is bound.`,
		Example: `  izinli simulate smsc --addr 127.0.0.1:2776 --latency 20ms --receipt-delay 1s
  izinli simulate smsc --mo "+905321234567 +908501234567 RET"`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			id, ok := map[string]smpptest.IDFormat{"dec": smpptest.IDDecimal, "hex": smpptest.IDHex, "HEX": smpptest.IDHexUpper,
				"padded": smpptest.IDPadded}[form]
			if !ok {
				return fmt.Errorf("--id must be dec, hex, HEX or padded, not %q", form)
			}
			cfg.ID = id
			cfg.Rules = demoOperator().Rules
			ctx := cmd.Context()
			srv, err := smpptest.Start(cfg)
			if err != nil {
				return err
			}
			defer srv.Close()
			fmt.Fprintf(cmd.OutOrStdout(), "operator listens on %s\n", srv.Addr())
			return watchSMSC(ctx, cmd, srv, mo)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Addr, "addr", "127.0.0.1:2776", "address to listen on")
	f.DurationVar(&cfg.Latency, "latency", 10*time.Millisecond, "time from a submit_sm to its response")
	f.IntVar(&cfg.TPS, "tps", 0, "submits per second and system_id before ESME_RTHROTTLED; 0: no bound")
	f.DurationVar(&cfg.Receipts.Delay, "receipt-delay", 500*time.Millisecond, "time from acceptance to receipt")
	f.BoolVar(&cfg.Receipts.Off, "no-receipts", false, "send no receipts")
	f.StringVar(&form, "id", "dec", "form of message ids: dec, hex, HEX, padded")
	f.StringArrayVar(&mo, "mo", nil, `message from a handset, "FROM TO TEXT"; may be repeated`)
	return cmd
}

// watchSMSC sends the messages from handsets when somebody is bound and reports every few seconds.
func watchSMSC(ctx context.Context, cmd *cobra.Command, srv *smpptest.Server, mo []string) error {
	if len(mo) > 0 {
		if err := srv.WaitFor(ctx, func(s smpptest.Stats) bool { return s.Bound > 0 }); err != nil {
			return nil // stopped before anybody came
		}
		for _, m := range mo {
			from, to, text, err := splitMO(m)
			if err != nil {
				return err
			}
			srv.SendMO(from, to, text)
		}
	}
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	last := smpptest.Stats{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if s := srv.Stats(); s != last {
				fmt.Fprintf(cmd.OutOrStdout(), "bound %d, taken %d, refused %d, receipts and MO acknowledged %d\n", s.Bound, s.Accepted, s.Refused, s.Acked)
				last = s
			}
		}
	}
}

func splitMO(s string) (from, to, text string, err error) {
	n, _ := fmt.Sscan(s, &from, &to)
	if n != 2 || len(s) < len(from)+len(to)+2 {
		return "", "", "", fmt.Errorf(`--mo wants "FROM TO TEXT", not %q`, s)
	}
	return from, to, s[len(from)+len(to)+2:], nil
}

func newSimulateIYSCmd() *cobra.Command {
	var addr string
	var fast, pushPlain bool
	var push iystest.PushConfig
	cmd := &cobra.Command{
		Use:   "iys",
		Short: "Run a simulated İYS (consent registry)",
		Long: fmt.Sprintf(`Run a simulated İYS that speaks its REST API with its codes, texts and limits. It knows the API user %s (of İYS code %s), the
partner %s and the intermediary %s, each with password %q. With --fast it answers batches at once, lists changes without
the hour's delay and has no limits.

It takes orders in JSON, from anybody who reaches it:

  POST /_sim/citizen         a person acts: {"brandCode","type","recipientType","recipient","status","source"}
  GET  /_sim/movements       what was registered
  GET  /_sim/state           clock, counts, quality, limits, what is out of order
  POST /_sim/clock           moves the clock on: {"advance":"72h"}
  POST /_sim/faults          {"operation","status","code","times","skip","delay":"3s","drop","dropAfter"}; times -1: until DELETE
  POST /_sim/down            hangs up on everybody: {"down":true}
  POST /_sim/limits          {"perSecond","tokensPerHour","statusPerHour","historyPerHour"}; 0: İYS's own, -1: none
  POST /_sim/oddities        what the documents leave open, e.g. {"codeColon":true,"unknownStatus":404,"emptyRequest":"204"}
  POST /_sim/subscription    {"iysCode","state":"ACTIVE|PAUSED|EXPIRED|CLOSED|NO_API","limit","exceed"}
  POST /_sim/tokens/revoke   ends every token
  POST /_sim/pushes/drop     forgets who registered for push
  GET  /_sim/via/<requestId> the codes a person received over ViA; POST follows the link`, iystest.SeedUser, iystest.SeedIYSCode, iystest.SeedPartner, iystest.SeedAHS, iystest.SeedPassword),
		Example: `  izinli simulate iys --addr 127.0.0.1:8099 --fast
  curl -d '{"operation":"add","status":503,"code":"H192","times":3}' http://127.0.0.1:8099/_sim/faults
  curl -d '{"advance":"48h"}' http://127.0.0.1:8099/_sim/clock`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := iystest.Config{AllowControl: true}
			if fast {
				cfg = fastIYS()
			}
			push.Plain = pushPlain
			cfg.Push = push
			sim := iystest.New(cfg)
			sim.Seed()
			ctx := cmd.Context()
			srv, err := iystest.Listen(sim, addr)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "İYS listens on %s\n", srv.URL)
			sim.RunPush(ctx, time.Second)
			return srv.Close()
		},
	}
	cmd.Flags().StringVar(&addr, "addr", "127.0.0.1:8099", "address to listen on")
	cmd.Flags().BoolVar(&fast, "fast", false, "no delays, no limits")
	cmd.Flags().BoolVar(&push.Twice, "push-twice", false, "send every push a second time")
	cmd.Flags().BoolVar(&push.Reverse, "push-reverse", false, "push the newest movement first")
	cmd.Flags().IntVar(&push.Tries, "push-tries", 5, "so many tries of a push that is not taken")
	cmd.Flags().BoolVar(&pushPlain, "push-plain", false, "push to http addresses too, which İYS itself refuses (H531)")
	return cmd
}
