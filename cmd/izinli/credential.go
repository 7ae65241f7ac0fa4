package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var credentialColumns = []column[gateway.Credential]{
	{"KIND", func(c *gateway.Credential) any { return string(c.Kind) }},
	{"ID", func(c *gateway.Credential) any { return c.ID }},
	{"ACCOUNT", func(c *gateway.Credential) any { return fmt.Sprint(c.Account) }},
	{"NAME", func(c *gateway.Credential) any { return c.Name }},
	{"CLASSES", func(c *gateway.Credential) any {
		if len(c.Classes) == 0 {
			return gateway.ClassCommercial
		}
		return c.Classes
	}},
	{"REVOKED", func(c *gateway.Credential) any { return c.Revoked }},
	{"CREATED", func(c *gateway.Credential) any { return c.Created }},
}

func newCredentialCmd() *cobra.Command {
	return noun("credential", "Credentials: API keys, SMPP system_ids, SMTP users",
		"A secret is printed once, when it is made, and cannot be read again. New credentials may send commercial messages only.",
		listCmd("credentials", credentialColumns, desk.Service.ListCredentials),
		credentialAddCmd(), credentialSetCmd(), credentialRotateCmd(), credentialRevokeCmd(),
	)
}

func credentialFlags(e *edits[gateway.Credential]) {
	e.text("name", "`what` it is for", func(c *gateway.Credential) *string { return &c.Name })
	e.list("scopes", "API key: `list` of send, read, consents, webhooks; empty: all but webhooks", func(c *gateway.Credential) *[]string { return &c.Scopes })
	e.list("classes", "`list` of commercial, transactional, otp; empty: commercial", func(c *gateway.Credential) *[]string { return &c.Classes })
	e.text("default-class", "`class` of messages that say none", func(c *gateway.Credential) *string { return &c.DefaultClass })
	e.text("reason", "default `reason` of transactional messages", func(c *gateway.Credential) *string { return &c.Reason })
	e.text("brand", "default `brandCode`", func(c *gateway.Credential) *string { return &c.Brand })
	e.text("recipient-type", "default recipient type, `BIREYSEL|TACIR`", func(c *gateway.Credential) *string { return &c.RecipientType })
	e.text("from", "default `sender`", func(c *gateway.Credential) *string { return &c.From })
	e.number("retailer", "`code` of the dealer (bayi) that sends with it: only on consents that grant it access; 0: the brand itself",
		func(c *gateway.Credential) *int { return &c.Retailer })
	field(e, "cidrs", "`networks` it may be used from, e.g. 192.0.2.0/24,198.51.100.7; empty: any", parseNetworks,
		func(c *gateway.Credential) *[]netip.Prefix { return &c.CIDRs })
	e.yes("inline", "SMPP: policy refusals in submit_sm_resp instead of a receipt", func(c *gateway.Credential) *bool { return &c.Inline })
	e.number("max-binds", "SMPP: `binds` at once; 0: 8", func(c *gateway.Credential) *int { return &c.MaxBinds })
	e.number("window", "SMPP: unanswered `requests` per bind; 0: 100", func(c *gateway.Credential) *int { return &c.Window })
	e.number("per-second", "`messages` per second; 0: the account's limit", func(c *gateway.Credential) *int { return &c.PerSecond })
}

func parseNetworks(s string) (out []netip.Prefix, err error) {
	for _, item := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) {
		p, err := netip.ParsePrefix(item)
		if a, bad := netip.ParseAddr(item); bad == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func credentialAddCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "add", Short: "Make a credential and print its secret, once", Args: cobra.NoArgs,
		Example: `  izinli credential add --account 1 --kind api --name web --scopes send,read --classes commercial,otp
  izinli credential add --account 1 --kind smpp --id ornek --cidrs 192.0.2.0/24 --window 50
  izinli credential add --account 1 --kind smtp --id bulten@example.com --brand 675403`}
	e := &edits[gateway.Credential]{fs: cmd.Flags()}
	e.account(func(c *gateway.Credential) *gateway.AccountID { return &c.Account })
	field(e, "kind", "`api|smpp|smtp`", func(s string) (gateway.CredentialKind, error) { return gateway.CredentialKind(s), nil },
		func(c *gateway.Credential) *gateway.CredentialKind { return &c.Kind })
	e.text("id", "system_id or SMTP `user`; an API key brings its own", func(c *gateway.Credential) *string { return &c.ID })
	credentialFlags(e)
	secret := secretFlag(cmd, "secret-file", "the secret to use instead of a random one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) (err error) {
			var in desk.NewCredential
			if in.Secret, err = secret(); err != nil {
				return err
			}
			e.apply(&in.Credential)
			issued, err := s.CreateCredential(ctx, in)
			if err != nil {
				return err
			}
			return printIssued(cmd, issued)
		})
	}
	return cmd
}

// printIssued shows a secret the one time it can be seen.
func printIssued(cmd *cobra.Command, i desk.Issued) error {
	if asJSON(cmd) {
		return printJSON(cmd, i)
	}
	if err := printRecord(cmd, credentialColumns, i.Credential); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "\nsecret: %s\nKeep it now: it cannot be shown again.\n", i.Secret)
	return err
}

// kindFlag names the kind, part of a credential's name; API keys when not given.
func kindFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("kind", string(gateway.KindAPI), "`api|smpp|smtp`")
}

func credentialSetCmd() *cobra.Command {
	var kind *string
	cmd := setCmd("<id>", "  izinli credential set ornek --kind smpp --classes commercial,transactional --reason order",
		credentialFlags, credentialColumns,
		func(ctx context.Context, s desk.Service, name string) (c gateway.Credential, err error) {
			list, err := s.ListCredentials(ctx, desk.Query{})
			if err != nil {
				return c, err
			}
			return pick(list, "credential", name, func(c *gateway.Credential) bool { return c.ID == name && string(c.Kind) == *kind })
		}, desk.Service.ChangeCredential)
	kind = kindFlag(cmd)
	return cmd
}

func credentialRotateCmd() *cobra.Command {
	var kind *string
	var secret func() (string, error)
	cmd := nameCmd("rotate <id>", "Give a credential a new secret and print it, once; the old one logs in no more, open sessions go on (revoke ends them)",
		func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
			given, err := secret()
			if err != nil {
				return err
			}
			issued, err := s.RotateCredential(ctx, desk.Rotation{Kind: gateway.CredentialKind(*kind), ID: name, Secret: given})
			if err != nil {
				return err
			}
			return printIssued(cmd, issued)
		})
	kind, secret = kindFlag(cmd), secretFlag(cmd, "secret-file", "the secret to use instead of a random one")
	return cmd
}

func credentialRevokeCmd() *cobra.Command {
	var kind *string
	cmd := nameCmd("revoke <id>", "End a credential for good", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		c, err := s.RevokeCredential(ctx, gateway.CredentialKey{Kind: gateway.CredentialKind(*kind), ID: name})
		if err != nil {
			return err
		}
		return printRecord(cmd, credentialColumns, c)
	})
	kind = kindFlag(cmd)
	return cmd
}
