package main

import (
	"context"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/desk"
)

var peerColumns = []column[gateway.RelayPeer]{
	{"PEER", func(p *gateway.RelayPeer) any { return p.Name }},
	{"CREDENTIAL", func(p *gateway.RelayPeer) any { return p.Credential }},
	{"NETWORKS", func(p *gateway.RelayPeer) any { return joined(p.CIDRs) }},
	{"CERTIFICATES", func(p *gateway.RelayPeer) any { return len(p.Certificates) }},
	{"HEADERS", func(p *gateway.RelayPeer) any { return p.TrustHeaders || len(p.Certificates) > 0 }},
	{"TLS", func(p *gateway.RelayPeer) any { return p.RequireTLS }},
}

func joined(list []netip.Prefix) string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return strings.Join(out, ",")
}

func newPeerCmd() *cobra.Command {
	return noun("peer", "Relay peers: mail servers that relay without logging in",
		`A peer is known by its address or by its client certificate, and may send what the SMTP credential it stands for may send. Everyone
else on the relay listener can only reach ourselves: bounces, complaints, unsubscribes.`,
		listCmd("relay peers", peerColumns, desk.Service.ListRelayPeers),
		addCmd("  izinli peer add --name postfix1 --credential ornek --cidrs 192.0.2.10,198.51.100.0/28",
			func(e *edits[gateway.RelayPeer]) {
				e.text("name", "`name` of the peer", func(p *gateway.RelayPeer) *string { return &p.Name })
				peerFlags(e)
			}, peerColumns, desk.Service.PutRelayPeer),
		setCmd("<peer>", "  izinli peer set postfix1 --trust-headers", peerFlags, peerColumns,
			func(ctx context.Context, s desk.Service, name string) (p gateway.RelayPeer, err error) {
				list, err := s.ListRelayPeers(ctx, desk.Query{})
				if err != nil {
					return p, err
				}
				return pick(list, "peer", name, func(p *gateway.RelayPeer) bool { return p.Name == name })
			}, desk.Service.PutRelayPeer),
		nameCmd("remove <peer>", "Remove a peer", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			if _, err := s.DeleteRelayPeer(ctx, desk.Name{Name: name}); err != nil {
				return err
			}
			return said(cmd, "peer %s removed", name)
		}),
	)
}

func peerFlags(e *edits[gateway.RelayPeer]) {
	e.text("credential", "`id` of the SMTP credential it stands for", func(p *gateway.RelayPeer) *string { return &p.Credential })
	field(e, "cidrs", "`networks` it comes from, with commas", parseNetworks, func(p *gateway.RelayPeer) *[]netip.Prefix { return &p.CIDRs })
	e.list("certificates", "SHA-256 `fingerprints` of its client certificates, with commas", func(p *gateway.RelayPeer) *[]string { return &p.Certificates })
	e.yes("trust-headers", "hear its X-Message-Class and the like", func(p *gateway.RelayPeer) *bool { return &p.TrustHeaders })
	e.yes("normalise", "turn bare CR and LF into CRLF instead of refusing the message", func(p *gateway.RelayPeer) *bool { return &p.Normalise })
	e.yes("require-tls", "only over TLS", func(p *gateway.RelayPeer) *bool { return &p.RequireTLS })
	e.number("max-conns", "`connections` at once; 0: 100", func(p *gateway.RelayPeer) *int { return &p.MaxConns })
}

var suppressionColumns = []column[gateway.Suppression]{
	{"ADDRESS", func(x *gateway.Suppression) any { return x.Address }},
	{"CLASS", func(x *gateway.Suppression) any { return x.Class }},
	{"SINCE", func(x *gateway.Suppression) any { return x.At }},
	{"SAID", func(x *gateway.Suppression) any { return x.Text }},
}

func newSuppressionCmd() *cobra.Command {
	var account *gateway.AccountID
	remove := nameCmd("remove <address>", "Let mail go to an address again", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		if _, err := s.DeleteSuppression(ctx, gateway.Suppression{Account: *account, Address: name}); err != nil {
			return err
		}
		return said(cmd, "%s is no longer suppressed", name)
	})
	account = accountFlag(remove, "`number` of the account (required)")
	return noun("suppression", "Suppressions: mail addresses that do not exist, are closed or stay full",
		"An address whose mail came back for good, or five times in 14 days from a full mailbox, gets no more of the account's mail, of any\nclass. That is no opt-out: İYS is not told.",
		suppressionListCmd(), remove)
}

func suppressionListCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Aliases: []string{"ls"}, Short: "List an account's suppressed addresses; they are masked", Args: cobra.NoArgs,
		Example: "  izinli suppression list --account 1 --full"}
	account := accountFlag(cmd, "`number` of the account (required)")
	cursor := cmd.Flags().String("cursor", "", "go on where the list before ended (its last `line`)")
	full := cmd.Flags().Bool("full", false, "show addresses unmasked")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			page, err := s.ListSuppressions(ctx, desk.SuppressionQuery{Account: *account, Cursor: *cursor})
			if err != nil {
				return err
			}
			for i := range page.Items {
				if !*full {
					page.Items[i].Address = address.Mask(page.Items[i].Address)
				}
			}
			return printPage(cmd, suppressionColumns, page)
		})
	}
	return cmd
}
