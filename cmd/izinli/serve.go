package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sort"

	"github.com/spf13/cobra"

	"izinli/cmd/assembly"
	"izinli/configs"
)

func newServeCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Long: `Run the gateway until SIGINT or SIGTERM.

It listens on the addresses of the configuration and delivers what is accepted over HTTP, SMPP and SMTP: over the operators made
with "izinli operator add" and the smarthosts made with "izinli smarthost add". A stop takes as long as open hand-offs need; nothing accepted is lost.`,
		Example: `  izinli serve
  izinli serve --config configs/izinli.yaml
  IZINLI_LISTEN_API=127.0.0.1:9080 izinli serve`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := loadConfig(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, cmd.ErrOrStderr())
		},
	}
}

// serve runs a gateway on the configuration until ctx ends.
func serve(ctx context.Context, cfg *configs.Config, out io.Writer) error {
	log := newLogger(cfg, out)
	log.Info("izinli starts", "version", version(), "config", cfg)
	st, err := openStore(cfg, log)
	if err != nil {
		return err
	}
	s, err := assembly.NewServer(ctx, cfg, st, log, assembly.ServerOptions{})
	if err == nil {
		err = bootstrap(ctx, cfg, s)
	}
	if err == nil {
		logAddrs(log, s.Addrs)
		err = tellSetup(ctx, s, out)
	}
	if err == nil {
		err = s.Run(ctx)
	}
	// The store closes last: until then outcomes may still be written.
	err = errors.Join(err, st.Close())
	log.Info("izinli stopped")
	return err
}

// tellSetup prints, once, where the first administrator of the panel is made.
func tellSetup(ctx context.Context, s *assembly.Server, out io.Writer) error {
	url, err := s.SetupURL(ctx)
	if err == nil && url != "" {
		_, err = fmt.Fprintf(out, "The panel has no administrator yet. Make the first one here (the link works once): %s\n", url)
	}
	return err
}

func logAddrs(log *slog.Logger, addrs map[string]string) {
	names := make([]string, 0, len(addrs))
	for n := range addrs {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		log.Info("listening", "listener", n, "addr", addrs[n])
	}
}

// newLogger writes to out as the configuration asks.
func newLogger(cfg *configs.Config, out io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Log.Level)); err != nil {
		level = slog.LevelInfo
	}
	opt := &slog.HandlerOptions{Level: level}
	if cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, opt))
	}
	return slog.New(slog.NewTextHandler(out, opt))
}
