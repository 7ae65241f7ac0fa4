package main

import (
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var linkColumns = []column[gateway.IYSLink]{
	{"LINK", func(l *gateway.IYSLink) any { return l.Name }},
	{"BASE-URL", func(l *gateway.IYSLink) any { return l.BaseURL }},
	{"API-USER", func(l *gateway.IYSLink) any { return l.Username }},
	{"INTEGRATOR", func(l *gateway.IYSLink) any { return l.IntegratorCode }},
	{"AHS-USER", func(l *gateway.IYSLink) any { return l.AHSUser }},
}

// linkSecrets are the two passwords of a link, read from files.
type linkSecrets struct {
	password, ahs func() (string, error)
}

func newIYSLinkCmd() *cobra.Command {
	return noun("iys-link", "İYS links: API users, partner numbers, AHS users",
		"A brand names the link that serves it. Mode partner uses the API user, mode ahs the AHS user.",
		listCmd("İYS links", linkColumns, desk.Service.ListIYSLinks), linkAddCmd(), linkSetCmd(),
	)
}

func linkFlags(e *edits[gateway.IYSLink]) {
	e.text("base-url", "`address` of the API; when not given, the link's own or the iys.baseUrl of this command's configuration", func(l *gateway.IYSLink) *string { return &l.BaseURL })
	e.text("username", "API `user`", func(l *gateway.IYSLink) *string { return &l.Username })
	e.number("integrator-code", "our `number` as the company's partner", func(l *gateway.IYSLink) *int { return &l.IntegratorCode })
	e.text("ahs-url", "`address` of the AHS interface", func(l *gateway.IYSLink) *string { return &l.AHSURL })
	e.text("ahs-user", "AHS `user`", func(l *gateway.IYSLink) *string { return &l.AHSUser })
}

func (st *linkSecrets) flags(cmd *cobra.Command) {
	st.password = secretFlag(cmd, "password-file", "the API user's password")
	st.ahs = secretFlag(cmd, "ahs-password-file", "the AHS user's password")
}

func (st *linkSecrets) put(cmd *cobra.Command) func(desk.Service, context.Context, gateway.IYSLink) (gateway.IYSLink, error) {
	return func(s desk.Service, ctx context.Context, l gateway.IYSLink) (gateway.IYSLink, error) {
		cfg, err := loadConfig(cmd)
		if err != nil {
			return l, err
		}
		l.BaseURL = cmp.Or(l.BaseURL, cfg.IYS.BaseURL)
		in := desk.IYSLinkInput{Link: l}
		if in.Password, err = st.password(); err != nil {
			return l, err
		}
		if in.AHSPassword, err = st.ahs(); err != nil {
			return l, err
		}
		return s.PutIYSLink(ctx, in)
	}
}

func linkAddCmd() *cobra.Command {
	var st linkSecrets
	var cmd *cobra.Command
	cmd = addCmd("  izinli iys-link add --name main --username api-user --password-file ./iys.password\n"+
		"  izinli iys-link add --name partner --username api-user --password-file - --integrator-code 700001",
		func(e *edits[gateway.IYSLink]) {
			e.text("name", "`name` of the link", func(l *gateway.IYSLink) *string { return &l.Name })
			linkFlags(e)
		}, linkColumns, func(s desk.Service, ctx context.Context, l gateway.IYSLink) (gateway.IYSLink, error) {
			return st.put(cmd)(s, ctx, l)
		})
	st.flags(cmd)
	return cmd
}

func linkSetCmd() *cobra.Command {
	var st linkSecrets
	var cmd *cobra.Command
	cmd = setCmd("<link>", "  izinli iys-link set main --password-file ./new.password", linkFlags, linkColumns,
		func(ctx context.Context, s desk.Service, name string) (l gateway.IYSLink, err error) {
			list, err := s.ListIYSLinks(ctx, desk.Query{})
			if err != nil {
				return l, err
			}
			return pick(list, "iys-link", name, func(l *gateway.IYSLink) bool { return l.Name == name })
		}, func(s desk.Service, ctx context.Context, l gateway.IYSLink) (gateway.IYSLink, error) {
			return st.put(cmd)(s, ctx, l)
		})
	st.flags(cmd)
	return cmd
}
