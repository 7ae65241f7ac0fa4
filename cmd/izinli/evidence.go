package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/evidence"
	"izinli/gateway/store"
)

func newEvidenceCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "evidence <message-id|address>", Short: "Gather everything about a message or an address, for a complaint", Args: cobra.ExactArgs(1),
		Long: `evidence writes one file about a message, or about all messages of an account to an address: the messages with their texts, why each
was sent or not, the history of the consents with İYS transaction ids, what the operator answered, and the proof that the decisions
stand in the chain up to the root of their day. The file holds whole addresses and texts; that it was made stands in the trail.

JSON is the form that "izinli evidence verify" tests; --html writes the same as one page in Turkish and English to be printed.`,
		Example: `  izinli evidence 01JD8Z6J3T9V0000000000000A --out dosya.json
  izinli evidence 05321234567 --account 1 --html --out dosya.html
  izinli evidence verify dosya.json --roots kokler.json`}
	account := accountFlag(cmd, "`number` of the account, when an address is given")
	page := cmd.Flags().Bool("html", false, "write a page for people instead of JSON")
	out := cmd.Flags().String("out", "-", "`file` to write, made with mode 0600; - for standard output")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q := desk.EvidenceQuery{Message: args[0]}
		if *account != 0 || strings.ContainsAny(args[0], "@+") {
			q = desk.EvidenceQuery{Account: *account, Address: args[0]}
		}
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			b, err := s.Evidence(ctx, q)
			if err != nil {
				return err
			}
			return writeEvidence(cmd, &b, *page, *out)
		})
	}
	cmd.AddCommand(evidenceVerifyCmd())
	return cmd
}

func writeEvidence(cmd *cobra.Command, b *evidence.Bundle, page bool, out string) (err error) {
	w := cmd.OutOrStdout()
	if out != "-" {
		f, ferr := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if ferr != nil {
			return ferr
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		w = f
	}
	if page {
		return b.HTML(w)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(b)
}

func evidenceVerifyCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "verify <file>", Short: "Prove a file that evidence wrote", Args: cobra.ExactArgs(1),
		Long: `verify needs the file alone, no store and no server: it tests that nothing in it was changed, that each decision stands in its
record of the chain as shown, and that each record leads to the root of its day. With --roots, a file that "izinli roots --json" wrote
at that time and that was kept elsewhere, it also tests the roots. The exit code is 1 when something does not hold.`}
	roots := cmd.Flags().String("roots", "", "`file` with roots kept elsewhere")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var b evidence.Bundle
		if err := readJSON(cmd, args[0], &b); err != nil {
			return err
		}
		published := map[string]string{}
		if *roots != "" {
			var days []evidence.DayRoot
			if err := readJSON(cmd, *roots, &days); err != nil {
				return err
			}
			for _, d := range days {
				if d.Closed {
					published[d.Day] = d.Root
				}
			}
		}
		return printFinding(cmd, &b, evidence.Verify(&b, store.DecodeRecord, published), *roots != "")
	}
	return cmd
}

// maxEvidence bounds a file of evidence or roots, in octets.
const maxEvidence = 1 << 30

func readJSON(cmd *cobra.Command, path string, v any) error {
	in := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	d := json.NewDecoder(io.LimitReader(in, maxEvidence))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s is not such a file: %w", path, err)
	}
	return nil
}

func printFinding(cmd *cobra.Command, b *evidence.Bundle, f evidence.Finding, roots bool) error {
	if asJSON(cmd) {
		if err := printJSON(cmd, f); err != nil {
			return err
		}
	} else {
		out := cmd.OutOrStdout()
		_, _ = fmt.Fprintf(out, "evidence about %s, made %s by %s: %d messages, %d decisions proved by the chain\n", b.Address, text(b.Made), b.By, len(b.Messages), f.Decisions)
		if roots {
			_, _ = fmt.Fprintf(out, "%d of %d days are among the roots kept elsewhere\n", f.Roots, len(b.Days))
		}
		for _, p := range f.Problems {
			_, _ = fmt.Fprintln(out, "PROBLEM:", p)
		}
		if len(f.Problems) == 0 {
			_, _ = fmt.Fprintln(out, "no problems")
		}
	}
	if len(f.Problems) > 0 {
		return errSaid
	}
	return nil
}

var rootColumns = []column[evidence.DayRoot]{
	{"DAY", func(d *evidence.DayRoot) any { return d.Day }},
	{"OVER", func(d *evidence.DayRoot) any { return d.Closed }},
	{"ACCOUNTS", func(d *evidence.DayRoot) any { return len(d.Accounts) }},
	{"RECORDS", func(d *evidence.DayRoot) any {
		n := 0
		for _, a := range d.Accounts {
			n += a.Records
		}
		return n
	}},
	{"ROOT", func(d *evidence.DayRoot) any { return d.Root }},
}

func newRootsCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "roots", Short: "Print the daily roots of the decision chain, to be kept elsewhere", Args: cobra.NoArgs,
		Long: `roots prints one hash for each day (Istanbul) that stands for every decision made in it. Kept elsewhere, on paper, with a notary or
a time-stamping service, it proves later that no decision of that day was changed, removed or added. A day is sealed ten minutes after
it ended; the root of the present day still changes.`,
		Example: "  izinli roots\n  izinli roots --from 2026-11-01 --to 2026-11-30 --json > kokler-2026-11.json"}
	var q desk.RootQuery
	cmd.Flags().Func("from", "first `day`; default seven days ago", func(s string) (err error) { q.From, err = parseTime(s); return err })
	cmd.Flags().Func("to", "last `day`; default today", func(s string) (err error) { q.To, err = parseTime(s); return err })
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			days, err := s.Roots(ctx, q)
			if err != nil {
				return err
			}
			return printTable(cmd, rootColumns, days)
		})
	}
	return cmd
}

var holdColumns = []column[gateway.Hold]{
	{"ACCOUNT", func(h *gateway.Hold) any { return int(h.Account) }},
	{"HELD", func(h *gateway.Hold) any { return h.Name() }},
	{"SINCE", func(h *gateway.Hold) any { return h.At.Round(time.Second) }},
	{"BY", func(h *gateway.Hold) any { return h.By }},
	{"WHY", func(h *gateway.Hold) any { return h.Why }},
}

func newHoldCmd() *cobra.Command {
	change := func(use, short, example string, why bool, do func(ctx context.Context, cmd *cobra.Command, s desk.Service, h gateway.Hold) error) *cobra.Command {
		cmd := &cobra.Command{Use: use + " [message-id|address]", Short: short, Args: cobra.MaximumNArgs(1), Example: example}
		var h gateway.Hold
		account := accountFlag(cmd, "`number` of the account; alone: everything of it")
		if why {
			cmd.Flags().StringVar(&h.Why, "why", "", "file `number`, authority (required)")
		}
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			h.Account = *account
			switch {
			case len(args) == 1 && (*account != 0 || strings.ContainsAny(args[0], "@+")):
				h.Address = args[0]
			case len(args) == 1:
				h.Message = args[0]
			}
			return withDesk(cmd, func(ctx context.Context, s desk.Service) error { return do(ctx, cmd, s, h) })
		}
		return cmd
	}
	return noun("hold", "Legal holds: evidence that is kept beyond its retention",
		"A hold is on a message (its id), on an address of an account (its messages and the history of its consents), or on a whole account.\nWhat is held stays until the hold is removed, and some months longer.",
		listCmd("legal holds", holdColumns, desk.Service.ListHolds),
		change("add", "Keep evidence until further notice", `  izinli hold add 01JD8Z6J3T9V0000000000000A --why "2026/123 E."
  izinli hold add 05321234567 --account 1 --why "şikâyet 4711"
  izinli hold add --account 1 --why "denetim 2026/9"`, true, func(ctx context.Context, cmd *cobra.Command, s desk.Service, h gateway.Hold) error {
			out, err := s.PutHold(ctx, h)
			if err != nil {
				return err
			}
			return printRecord(cmd, holdColumns, out)
		}),
		change("remove", "Let evidence expire again", "  izinli hold remove 05321234567 --account 1", false, func(ctx context.Context, cmd *cobra.Command, s desk.Service, h gateway.Hold) error {
			if _, err := s.DeleteHold(ctx, h); err != nil {
				return err
			}
			return said(cmd, "the hold is lifted")
		}),
	)
}

var packageColumns = []column[gateway.PackageReport]{
	{"ACCOUNT", func(r *gateway.PackageReport) any { return int(r.Account) }},
	{"PHONES", func(r *gateway.PackageReport) any { return r.Phones }},
	{"EMAILS", func(r *gateway.PackageReport) any { return r.Emails }},
	{"ADDRESSES", func(r *gateway.PackageReport) any { return r.Addresses }},
	{"PACKAGE", func(r *gateway.PackageReport) any { return r.Package }},
	{"LIMIT", func(r *gateway.PackageReport) any { return r.Limit }},
	{"FROM", func(r *gateway.PackageReport) any { return r.From }},
	{"CROSSES", func(r *gateway.PackageReport) any { return r.Crosses }},
}

func newPackagesCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "packages", Short: "Show how much of their İYS packages accounts use, and when they will have outgrown them", Args: cobra.NoArgs,
		Long: `packages counts the approved addresses of each account as İYS bills them (the larger of telephone numbers and e-mail addresses) and holds
them against the package. FROM says where the limit comes from: iys (İYS told it), name (İYS told the name of the package) or count (the
smallest package that holds them). CROSSES is the day on which the limit is crossed if it goes on as in the last sixty days.`}
	a := accountFlag(cmd, "`number` of the account; all when not given")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			list, err := s.Packages(ctx, desk.Query{Account: *a})
			if err != nil {
				return err
			}
			return printTable(cmd, packageColumns, list)
		})
	}
	return cmd
}
