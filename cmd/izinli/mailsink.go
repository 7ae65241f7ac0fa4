package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"izinli/gateway/smtptest"
)

func newSimulateMailsinkCmd() *cobra.Command {
	var cfg smtptest.Config
	var useTLS bool
	var dir string
	cmd := &cobra.Command{
		Use:   "mailsink",
		Short: "Run a simulated smarthost that keeps or forgets what it gets",
		Long: `Run a simulated smarthost. It takes mail from anybody and delivers nothing. The recipient's name says how it behaves: fail-550@ is
refused, later-451@ is put off, slow-2s@ is answered late, reject-554@ is refused after the data, drop@ gets no answer.
With --dir every mail is written to a file; without, only counts are printed.`,
		Example: `  izinli simulate mailsink --addr 127.0.0.1:2527 --dir mails
  izinli smarthost add --name sink --addr 127.0.0.1:2527 --tls off`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if useTLS {
				cert, _, err := smtptest.Certificate("127.0.0.1", "localhost")
				if err != nil {
					return err
				}
				cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
			}
			cfg.Discard = dir == ""
			if dir != "" {
				if err := os.MkdirAll(dir, 0o700); err != nil {
					return err
				}
				cfg.Received = func(m *smtptest.Message) {
					if err := keepMail(dir, m); err != nil {
						fmt.Fprintln(cmd.ErrOrStderr(), err)
					}
				}
			}
			sink, err := smtptest.Listen(cfg)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "mail sink listens on %s\n", sink.Addr())
			watchSink(cmd.Context(), cmd, sink, dir != "")
			return sink.Close()
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Addr, "addr", "127.0.0.1:2527", "address to listen on")
	f.StringVar(&dir, "dir", "", "write every mail into this `directory`")
	f.BoolVar(&useTLS, "tls", false, "offer STARTTLS with a certificate made for the occasion (smarthost --tls encrypted)")
	f.StringVar(&cfg.Username, "username", "", "ask for this user, with --password, by AUTH PLAIN")
	f.StringVar(&cfg.Password, "password", "", "its password")
	return cmd
}

// keepMail writes one mail, its envelope in front.
func keepMail(dir string, m *smtptest.Message) error {
	var b strings.Builder
	fmt.Fprintf(&b, "X-Envelope-From: <%s>\r\n", m.From)
	for _, r := range m.To {
		fmt.Fprintf(&b, "X-Envelope-To: <%s>\r\n", r.Addr)
	}
	b.Write(m.Body)
	name := fmt.Sprintf("%s-%d.eml", m.At.Format("20060102-150405.000000"), m.Session)
	return os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o600)
}

// watchSink reports every few seconds until ctx ends. What was written to files is forgotten.
func watchSink(ctx context.Context, cmd *cobra.Command, sink *smtptest.Sink, forget bool) {
	tick := time.NewTicker(5 * time.Second)
	defer tick.Stop()
	var last smtptest.Stats
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if forget {
				sink.Reset()
			}
			if s := sink.Stats(); s != last {
				fmt.Fprintf(cmd.OutOrStdout(), "connections %d, taken %d, refused %d, octets %d\n", s.Sessions, s.Accepted, s.Refused, s.Bytes)
				last = s
			}
		}
	}
}
