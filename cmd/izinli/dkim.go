package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var dkimColumns = []column[gateway.DKIMKey]{
	{"KEY", func(k *gateway.DKIMKey) any { return k.Name().Host() }},
	{"ACCOUNT", func(k *gateway.DKIMKey) any { return fmt.Sprint(k.Account) }},
	{"ALGORITHM", func(k *gateway.DKIMKey) any { return k.Algorithm }},
	{"IN USE", func(k *gateway.DKIMKey) any { return !k.Disabled }},
	{"SINCE", func(k *gateway.DKIMKey) any { return k.Created }},
}

func newDKIMCmd() *cobra.Command {
	return noun("dkim", "DKIM keys: signatures of outgoing mail",
		`A key signs mail whose From is its domain or one below it. Several keys of a domain all sign: an RSA key for everybody, an Ed25519
key beside it for those who can check it. To rotate, add a key under a new selector, publish its record, and disable the old one.
A key is named by its DNS record, e.g. izinli1._domainkey.example.com.`,
		listCmd("DKIM keys", dkimColumns, desk.Service.ListDKIMKeys),
		dkimAddCmd(), dkimShowCmd(),
		dkimEditCmd("disable", "disabled", "Sign with a key no more; its record stays good for what is under way",
			func(ctx context.Context, s desk.Service, n gateway.DKIMName) error {
				_, err := s.SwitchDKIMKey(ctx, desk.DKIMSwitch{Name: n, Disabled: true})
				return err
			}),
		dkimEditCmd("enable", "enabled", "Sign with a disabled key again", func(ctx context.Context, s desk.Service, n gateway.DKIMName) error {
			_, err := s.SwitchDKIMKey(ctx, desk.DKIMSwitch{Name: n})
			return err
		}),
		dkimEditCmd("remove", "removed", "Remove a key", func(ctx context.Context, s desk.Service, n gateway.DKIMName) error {
			_, err := s.DeleteDKIMKey(ctx, n)
			return err
		}),
	)
}

func dkimAddCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "add", Short: "Make a key, or take one along, and print its DNS record", Args: cobra.NoArgs,
		Example: "  izinli dkim add --account 1 --domain example.com --selector izinli1\n" +
			"  izinli dkim add --account 1 --domain example.com --selector izinli1e --algorithm ed25519"}
	e := &edits[desk.DKIMInput]{fs: cmd.Flags()}
	e.account(func(k *desk.DKIMInput) *gateway.AccountID { return &k.Account })
	e.text("domain", "From `domain`", func(k *desk.DKIMInput) *string { return &k.Domain })
	e.text("selector", "`name` of the key below _domainkey", func(k *desk.DKIMInput) *string { return &k.Selector })
	e.text("algorithm", "`rsa|ed25519`; rsa (2048 bits) when not given", func(k *desk.DKIMInput) *string { return &k.Algorithm })
	private := secretFlag(cmd, "key-file", "a private key in PEM to take along; without it one is made")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			var in desk.DKIMInput
			e.apply(&in)
			var err error
			if in.Private, err = private(); err != nil {
				return err
			}
			k, err := s.CreateDKIMKey(ctx, in)
			if err != nil {
				return err
			}
			return printDKIM(cmd, k)
		})
	}
	return cmd
}

func dkimShowCmd() *cobra.Command {
	return nameCmd("show-dns <key>", "Print the DNS record that publishes a key", func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		n, err := dkimName(name)
		if err != nil {
			return err
		}
		list, err := s.ListDKIMKeys(ctx, desk.Query{})
		if err != nil {
			return err
		}
		k, err := pick(list, "dkim", name, func(k *gateway.DKIMKey) bool { return k.Name() == n })
		if err != nil {
			return err
		}
		return printDKIM(cmd, k)
	})
}

// txtLimit is the longest string of a TXT record; longer texts are written as several (RFC 1035 §3.3).
const txtLimit = 255

// printDKIM prints the record as a zone file takes it.
func printDKIM(cmd *cobra.Command, k gateway.DKIMKey) error {
	if asJSON(cmd) {
		return printJSON(cmd, map[string]string{"name": k.Name().Host(), "type": "TXT", "value": k.Record})
	}
	var parts []string
	for text := k.Record; text != ""; {
		n := min(txtLimit, len(text))
		parts = append(parts, `"`+text[:n]+`"`)
		text = text[n:]
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s. IN TXT %s\n", k.Name().Host(), strings.Join(parts, " "))
	return err
}

func dkimEditCmd(use, done, short string, do func(context.Context, desk.Service, gateway.DKIMName) error) *cobra.Command {
	return nameCmd(use+" <key>", short, func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		n, err := dkimName(name)
		if err == nil {
			err = do(ctx, s, n)
		}
		if err != nil {
			return err
		}
		return said(cmd, "key %s %s", n.Host(), done)
	})
}

// dkimName reads the name of a key's record.
func dkimName(s string) (gateway.DKIMName, error) {
	selector, domain, ok := strings.Cut(strings.ToLower(strings.TrimSuffix(s, ".")), "._domainkey.")
	if !ok {
		return gateway.DKIMName{}, gateway.Refuse(gateway.CodeInvalid, "key",
			"%q does not name a key: write its record, e.g. izinli1._domainkey.example.com (see \"izinli dkim list\").", s)
	}
	return gateway.DKIMName{Domain: domain, Selector: selector}, nil
}
