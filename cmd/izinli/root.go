package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"runtime"

	"github.com/spf13/cobra"

	"izinli/configs"
	"izinli/gateway"
)

// release is set by the linker: -ldflags "-X main.release=1.2.3".
var release = "dev"

// version names what runs.
func version() string { return release }

// run does one command and returns the exit code: 0, or 1 with the reason on stderr.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	if !errors.Is(err, errSaid) {
		say(cmd, err)
	}
	return 1
}

// errSaid ends a command whose output has told already what is wrong.
var errSaid = errors.New("already said")

// say writes an error for people, or as JSON under --json.
func say(cmd *cobra.Command, err error) {
	var e *gateway.Error
	refusal := errors.As(err, &e)
	if asJSON(cmd) {
		out := map[string]string{"code": string(gateway.CodeInternal), "text": err.Error()}
		if refusal {
			out = map[string]string{"code": string(e.Code), "text": e.Text, "field": e.Field}
		}
		_ = json.NewEncoder(cmd.ErrOrStderr()).Encode(out)
		return
	}
	text := err.Error()
	if refusal {
		text = e.Text
	}
	_, _ = fmt.Fprintf(cmd.ErrOrStderr(), "izinli: %s\n", text)
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "izinli",
		Short: "SMS and e-mail gateway that sends only what İYS permits",
		Long: `izinli takes messages over HTTP, SMPP and SMTP, checks each recipient's consent at İYS and hands them to operators.

Commands of administration reach a running server over admin.sock in the data directory, or open the store themselves when no
server runs. What only a server knows needs it running, and says so: consent, blacklist, queue, iys, reconcile, retailer, via, packages,
message test.`,
		SilenceErrors: true, SilenceUsage: true,
	}
	p := root.PersistentFlags()
	p.String("config", "", "configuration `file` (default: $IZINLI_CONFIG, else the built-in defaults)")
	p.String("data", "", "data `directory`, instead of the configured one")
	p.Bool("json", false, "write JSON")
	root.AddCommand(
		newAccountCmd(), newBrandCmd(), newSenderCmd(), newNumberCmd(), newCredentialCmd(), newOperatorCmd(), newRouteCmd(),
		newSmarthostCmd(), newDKIMCmd(), newPeerCmd(), newSuppressionCmd(),
		newIYSLinkCmd(), newWebhookCmd(), newCreditCmd(), newMessageCmd(), newBatchCmd(), newConsentCmd(), newFormCmd(), newBlacklistCmd(), newQueueCmd(),
		newIYSCmd(), newReconcileCmd(), newRetailerCmd(), newViaCmd(),
		newVerifyCmd(), newEvidenceCmd(), newRootsCmd(), newHoldCmd(), newPackagesCmd(), newUserCmd(), newServeCmd(), newDemoCmd(), newSimulateCmd(), newVersionCmd(),
	)
	return root
}

func newVersionCmd() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON(cmd) {
				return printJSON(cmd, map[string]string{"version": version(), "go": runtime.Version()})
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "izinli %s (%s)\n", version(), runtime.Version())
			return err
		},
	}
}

// noun is a command that only groups others; called bare it shows its help.
func noun(name, short, long string, children ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Long: short + ".\n\n" + long, Args: cobra.NoArgs}
	c.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	c.AddCommand(children...)
	return c
}

func asJSON(cmd *cobra.Command) bool {
	on, err := cmd.Flags().GetBool("json")
	return err == nil && on
}

// loadConfig reads the configuration a command runs with: file, environment, then the flags.
func loadConfig(cmd *cobra.Command) (*configs.Config, error) {
	path, err := cmd.Flags().GetString("config")
	if err != nil {
		return nil, err
	}
	cfg, err := configs.Load(cmp.Or(path, os.Getenv(configs.EnvConfig)), os.Environ())
	if err != nil {
		return nil, err
	}
	if data, err := cmd.Flags().GetString("data"); err == nil && data != "" {
		cfg.Data = data
		if err := cfg.Validate(); err != nil {
			return nil, fmt.Errorf("--data: %w", err)
		}
	}
	return &cfg, nil
}

// actor is who uses the command line, for the audit trail.
func actor() string {
	if u, err := user.Current(); err == nil {
		return "cli " + u.Username
	}
	return fmt.Sprintf("cli uid %d", os.Getuid())
}
