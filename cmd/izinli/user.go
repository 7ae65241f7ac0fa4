package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"izinli/gateway"
	"izinli/gateway/desk"
)

var userColumns = []column[desk.UserView]{
	{"USER", func(u *desk.UserView) any { return u.Name }},
	{"ROLE", func(u *desk.UserView) any { return string(u.Role) }},
	{"ACCOUNTS", func(u *desk.UserView) any { return userAccounts(u) }},
	{"STATE", func(u *desk.UserView) any { return u.State }},
	{"FROM", func(u *desk.UserView) any { return joined(u.CIDRs) }},
	{"LAST SEEN", func(u *desk.UserView) any { return u.LastSeen }},
	{"LINK UNTIL", func(u *desk.UserView) any { return u.LinkUntil }},
}

func userAccounts(u *desk.UserView) string {
	if u.Everywhere() {
		return "all"
	}
	var out []string
	for _, a := range u.Accounts {
		out = append(out, strconv.FormatUint(uint64(a), 10))
	}
	return strings.Join(out, ",")
}

func newUserCmd() *cobra.Command {
	return noun("user", "Users of the panel: who may sign in, and the way back in",
		`People and their rights are kept in the panel itself. These commands are for whoever has the machine, when nobody can sign in to the
panel any more: the only administrator has lost telephone and recovery codes, or shut himself out by his networks. They work with
and without a running server.`,
		listCmd("users of the panel; with an account, those who see it", userColumns, desk.Service.ListUsers),
		userInviteCmd(),
		userSwitchCmd("disable <user>", "Shut a user out: sessions and links end at once", true),
		userSwitchCmd("enable <user>", "Let a disabled user in again", false),
	)
}

func userInviteCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use: "invite <user>", Short: "Give a user a link that works once, and sets password and second factor anew", Args: cobra.ExactArgs(1),
		Long: fmt.Sprintf(`Give a user a link that works once, within %d hours. Who opens it sets a new password and a new authenticator and gets new recovery
codes. Until then those there are stay, unless --reset ends them at once: do so when a telephone or a password is in other hands.

With --role a user is made who is not there yet.`, int(gateway.InvitationLife/time.Hour)),
		Example: `  izinli user invite ayse@example.com                      # lost the telephone and the recovery codes
  izinli user invite ayse@example.com --cidrs ""           # shut out by her networks: from anywhere again
  izinli user invite ayse@example.com --reset              # and the old password and authenticator end now
  izinli user invite mehmet@example.com --role admin       # a new administrator
  izinli user invite can@example.com --role owner --accounts 1,2`,
	}
	in := desk.UserInvite{}
	fs := cmd.Flags()
	fs.Func("role", "`role` of a new user: admin, owner, operator, consent, auditor", func(s string) error { in.Role = gateway.PanelRole(s); return nil })
	fs.Func("accounts", "`numbers` of the accounts a new user sees, with commas", func(s string) error {
		in.Accounts = nil
		for item := range strings.SplitSeq(s, ",") {
			a, err := parseAccount(strings.TrimSpace(item))
			if err != nil {
				return err
			}
			in.Accounts = append(in.Accounts, a)
		}
		return nil
	})
	fs.BoolVar(&in.All, "all", false, "a new user sees every account")
	fs.Func("cidrs", "`networks` the user may sign in from, with commas; \"\": anywhere", func(s string) error {
		list, err := parseNetworks(s)
		if list == nil {
			list = []netip.Prefix{}
		}
		in.CIDRs = &list
		return err
	})
	fs.BoolVar(&in.Reset, "reset", false, "end password, authenticator, recovery codes and sessions at once")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in.Name = args[0]
		return withDesk(cmd, func(ctx context.Context, s desk.Service) error {
			out, err := s.InviteUser(ctx, in)
			if err != nil {
				return err
			}
			return printInvitation(cmd, &out)
		})
	}
	return cmd
}

func printInvitation(cmd *cobra.Command, v *desk.Invitation) error {
	if asJSON(cmd) {
		return printJSON(cmd, v)
	}
	link, note := v.Link, ""
	switch {
	case link == "":
		link, note = v.Path, " Put the panel's address before it, such as http://localhost:8081; it works as soon as a server with a panel runs."
	case !strings.HasPrefix(link, "https://"): // whose cookies a browser takes from no plain address
		note = " Under another address of the panel the link works as well: only the host differs."
	}
	if err := printPairs(cmd, "user", v.User.Name, "role", string(v.User.Role), "link", link, "until", v.Until, "only from", joined(v.User.CIDRs)); err != nil {
		return err
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "\nThe link works once and is not shown again.%s\n", note)
	return err
}

func userSwitchCmd(use, short string, disable bool) *cobra.Command {
	cmd := nameCmd(use, short, func(ctx context.Context, cmd *cobra.Command, s desk.Service, name string) error {
		u, err := s.SwitchUser(ctx, desk.UserSwitch{Name: name, Disabled: disable})
		if err != nil {
			return err
		}
		if err := printRecord(cmd, userColumns, u); err != nil || !disable {
			return err
		}
		return warnLastAdmin(ctx, cmd, s)
	})
	verb, _, _ := strings.Cut(use, " ")
	cmd.Example = "  izinli user " + verb + " ayse@example.com"
	return cmd
}

// warnLastAdmin says when nobody is left who can administer the panel.
func warnLastAdmin(ctx context.Context, cmd *cobra.Command, s desk.Service) error {
	list, err := s.ListUsers(ctx, desk.Query{})
	for i := range list {
		if list[i].Role == gateway.RolePlatform && list[i].State == gateway.UserActive {
			return err
		}
	}
	if err == nil {
		_, err = fmt.Fprintln(cmd.ErrOrStderr(), "Nobody is left who can administer the panel; make somebody with: izinli user invite <user> --role admin")
	}
	return err
}
