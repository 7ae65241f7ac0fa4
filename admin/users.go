package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"izinli/gateway"
)

func (c *call) userList() error {
	list, err := c.p.deps.Users.PanelUsers(c.Request().Context())
	if err != nil {
		return err
	}
	pg := page{Title: c.t("users.title"), Nav: "/users"}
	if c.may(get, "/users/edit") {
		pg.Actions = []link{{Text: c.t("user.new"), Href: "/users/edit", Kind: "primary"}}
	}
	t := &grid{Caption: c.t("users.title"), Heads: []string{c.t("user.name"), c.t("user.role"), c.t("user.accounts"), c.t("user.state"), c.t("user.seen"), c.t("acts")}}
	for i := range list {
		u := &list[i]
		acts := cell{Links: c.editButton("/users/edit", "/users/edit?name="+u.Name)}
		if c.may(post, "/users/invite") && u.Name != c.user.Name {
			name := field{Name: "name", Kind: "hidden", Value: u.Name}
			if !u.Disabled {
				acts.Forms = []form{{Action: "/users/invite", Submit: c.t("user.invite"), Kind: "plain", Fields: []field{name}}}
			}
			acts.Forms = append(acts.Forms, c.deleteButton("/users/delete", "/users/delete", name)...)
		}
		t.Rows = append(t.Rows, []cell{{Text: u.Name, Sub: cidrText(u.CIDRs, ", ")}, text(c.t("role." + firstKnown("role.", string(u.Role), "none"))), text(c.accountsText(u)),
			c.userState(u), c.at(u.LastSeen), acts})
	}
	pg.Blocks = []block{{Table: t}}
	return c.show(pg)
}

func (c *call) accountsText(u *gateway.PanelUser) string {
	if u.Everywhere() {
		return c.t("user.everywhere")
	}
	var out []string
	for _, a := range u.Accounts {
		out = append(out, idText(a))
	}
	return firstNonEmpty(strings.Join(out, ", "), c.t("user.nowhere"))
}

func (c *call) userState(u *gateway.PanelUser) cell {
	state := u.State(c.p.now())
	kind := map[string]string{gateway.UserActive: "ok", gateway.UserInvited: "warn", gateway.UserLapsed: "warn", gateway.UserDisabled: "error"}[state]
	return badge(kind, c.t("user."+state))
}

func (c *call) userForm(u *gateway.PanelUser, fresh bool) (form, error) {
	list, err := c.visible()
	var roles []string
	for _, r := range gateway.PanelRoles {
		roles = append(roles, string(r))
	}
	f := form{Action: "/users/edit", Submit: c.t("save"), Cancel: "/users"}
	if fresh {
		f.Submit = c.t("user.create")
		f.Fields = []field{{Name: "fresh", Kind: "hidden", Value: "yes"}, {Name: "name", Label: c.t("user.name"), Value: u.Name, Required: true, Max: 64, Hint: c.t("user.name.hint"), Complete: "off"}}
	} else {
		f.Fields = []field{{Name: "name", Kind: "hidden", Value: u.Name}, {Name: "shown", Label: c.t("user.name"), Kind: "static", Value: u.Name}}
	}
	accounts := field{Name: "accounts", Label: c.t("user.accounts"), Kind: "checks", Hint: c.t("user.accounts.hint")}
	for _, a := range list {
		accounts.Options = append(accounts.Options, option{Value: idText(a.ID), Text: a.Name})
	}
	for _, a := range u.Accounts {
		accounts.Values = append(accounts.Values, idText(a))
	}
	f.Fields = append(f.Fields,
		field{Name: "role", Label: c.t("user.role"), Kind: "select", Value: string(u.Role), Options: c.choices("role.", roles...), Hint: c.t("user.role.hint")},
		field{Name: "all", Label: c.t("user.everywhere"), Kind: "checkbox", Value: set(u.All), Hint: c.t("user.all.hint")}, accounts,
		field{Name: "cidrs", Label: c.t("credential.cidrs"), Kind: "textarea", Value: cidrText(u.CIDRs, "\n"), Hint: c.t("cidrs.hint")})
	if !fresh {
		f.Fields = append(f.Fields, field{Name: "disabled", Label: c.t("user.disabled"), Kind: "checkbox", Value: set(u.Disabled)})
	}
	return f, err
}

func (c *call) userPage() error {
	u := gateway.PanelUser{Role: gateway.RoleOwner}
	name := c.QueryParam("name")
	if name != "" {
		var err error
		if u, err = c.p.deps.Users.PanelUser(c.Request().Context(), name); err != nil {
			return err
		}
	}
	f, err := c.userForm(&u, name == "")
	if err != nil {
		return err
	}
	return c.showForm(c.upTo("user.title", "users.title", "/users"), f, nil)
}

// readUser reads what an administrator may set of a user.
func (c *call) readUser() (u gateway.PanelUser, err error) {
	u = gateway.PanelUser{Name: gateway.PanelUserName(c.value("name")), Role: gateway.PanelRole(c.value("role")), All: c.checked("all"), Disabled: c.checked("disabled")}
	for _, s := range c.Request().Form["accounts"] {
		if a := gateway.AccountID(atoi(s)); a != 0 && !slices.Contains(u.Accounts, a) {
			u.Accounts = append(u.Accounts, a)
		}
	}
	slices.Sort(u.Accounts)
	u.CIDRs, err = readCIDRs("cidrs", c.value("cidrs"))
	switch {
	case err != nil:
	case !gateway.ValidPanelUserName(u.Name):
		err = &fault{field: "name", key: "user.name.bad"}
	case !u.Role.Valid():
		err = gateway.Refuse(gateway.CodeInvalid, "role", "%q is no role.", u.Role)
	case u.Role == gateway.RoleOwner && u.All:
		err = &fault{field: "all", key: "user.owner.all"}
	case u.Role == gateway.RolePlatform:
		u.All, u.Accounts = true, nil
	}
	return u, err
}

func (c *call) putUser() error {
	u, err := c.readUser()
	fresh := c.value("fresh") == "yes"
	if err == nil && fresh {
		var token string
		if token, err = c.createUser(u); err == nil {
			return c.showInvitation(u.Name, token)
		}
	} else if err == nil {
		if err = c.editUser(u); err == nil {
			return c.done("/users", "saved")
		}
	}
	f, ferr := c.userForm(&u, fresh)
	if ferr != nil {
		return ferr
	}
	return c.showForm(c.upTo("user.title", "users.title", "/users"), f, err)
}

func (c *call) createUser(u gateway.PanelUser) (token string, err error) {
	ctx, now := c.Request().Context(), c.p.now()
	c.p.users.Lock()
	defer c.p.users.Unlock()
	switch _, err := c.p.deps.Users.PanelUser(ctx, u.Name); {
	case err == nil:
		return "", gateway.Refuse(gateway.CodeConflict, "name", "There is a user %q already.", u.Name)
	case !isCode(err, gateway.CodeNotFound):
		return "", err
	}
	u.Created, u.Disabled = now, false
	token = u.Invite(now)
	if err := c.p.deps.Users.PutPanelUser(ctx, u); err != nil {
		return "", err
	}
	return token, c.note("PutUser", "user "+u.Name, nil, u.Bare())
}

// editUser changes rights; the sessions of the user end, so that none outlives a right that was taken.
func (c *call) editUser(in gateway.PanelUser) error {
	if err := c.keepAdmin(in.Name, in.Role == gateway.RolePlatform && !in.Disabled); err != nil {
		return err
	}
	now := c.p.now()
	self := in.Name == c.user.Name
	return c.changeUser(in.Name, "PutUser", func(u *gateway.PanelUser) {
		u.Role, u.All, u.Accounts, u.CIDRs, u.Disabled = in.Role, in.All, in.Accounts, in.CIDRs, in.Disabled
		if !self {
			u.SessionsFrom = now
		}
		if in.Disabled {
			u.Disable(now)
		}
	})
}

// keepAdmin refuses an act after which nobody could administer the panel.
func (c *call) keepAdmin(name string, stays bool) error {
	if stays {
		return nil
	}
	list, err := c.p.deps.Users.PanelUsers(c.Request().Context())
	for _, u := range list {
		if u.Name != name && u.Role == gateway.RolePlatform && !u.Disabled && u.PasswordHash != "" {
			return err
		}
	}
	return cmp.Or(err, error(&fault{field: "role", key: "user.lastAdmin"}))
}

// inviteUser gives a user a new one-time link; password and authenticator stay until it is used.
func (c *call) inviteUser() error {
	name := c.value("name")
	u, err := c.p.deps.Users.PanelUser(c.Request().Context(), name)
	if err != nil {
		return err
	}
	if u.Disabled {
		return c.noInvitation(name)
	}
	ok, err := c.confirmed(page{Nav: "/users"}, c.t("user.invite.ask", name), c.t("user.invite"), "/users", "name")
	if !ok {
		return err
	}
	token := ""
	err = c.changeUser(name, "InviteUser", func(u *gateway.PanelUser) {
		if !u.Disabled { // as it may have become this very moment
			token = u.Invite(c.p.now())
		}
	})
	switch {
	case err != nil:
		return err
	case token == "":
		return c.noInvitation(name)
	}
	return c.showInvitation(name, token)
}

// noInvitation says that a disabled user gets no link: it would work once the user is let in again, by when nobody may remember it.
func (c *call) noInvitation(name string) error {
	pg := c.upTo("user.invitation", "users.title", "/users")
	pg.status = http.StatusConflict
	pg.Blocks = []block{{Note: &note{Kind: "error", Text: c.t("user.invite.disabled", name)},
		Links: []link{{Text: c.t("user.title"), Href: "/users/edit?name=" + url.QueryEscape(name), Kind: "primary"}}}}
	return c.show(pg)
}

func (c *call) showInvitation(name, token string) error {
	base := strings.TrimSuffix(c.p.cfg.URL, "/")
	if base == "" {
		scheme := "http"
		if c.p.secure(c.Request()) {
			scheme = "https"
		}
		base = scheme + "://" + c.Request().Host
	}
	pg := c.upTo("user.invitation", "users.title", "/users")
	pg.Blocks = []block{{Note: &note{Kind: "warn", Text: c.t("user.invitation.lead", name, c.l.ago(gateway.InvitationLife))}, Secrets: []secret{{Label: c.t("user.link"), Value: base + "/welcome/" + token}},
		Links: []link{{Text: c.t("users.title"), Href: "/users", Kind: "primary"}}}}
	return c.show(pg)
}

func (c *call) deleteUser() error {
	name := c.value("name")
	if name == c.user.Name {
		return gateway.Refuse(gateway.CodeConflict, "name", "")
	}
	ok, err := c.confirmed(page{Nav: "/users"}, c.t("user.delete.ask", name), c.t("delete"), "/users", "name")
	if !ok {
		return err
	}
	ctx := c.Request().Context()
	c.p.users.Lock()
	defer c.p.users.Unlock()
	u, err := c.p.deps.Users.PanelUser(ctx, name)
	if err != nil {
		return err
	}
	if err := c.p.deps.Users.DeletePanelUser(ctx, name); err != nil {
		return err
	}
	if err := c.note("DeleteUser", "user "+name, u.Bare(), nil); err != nil {
		return err
	}
	return c.done("/users", "deleted")
}

// rolesPage shows the table of routes as it is in force.
func (c *call) rolesPage() error {
	pg := page{Title: c.t("roles.title"), Lead: c.t("roles.lead"), Nav: "/roles"}
	t := &grid{Caption: c.t("roles.title"), Heads: []string{c.t("roles.route")}}
	for _, r := range gateway.PanelRoles {
		t.Heads = append(t.Heads, c.t("role."+string(r)))
	}
	for i := range c.p.routes {
		r := &c.p.routes[i]
		if r.scope != accounts && r.scope != platform {
			continue
		}
		row := []cell{{Text: r.method + " " + r.path, Mono: true}}
		if r.scope == platform {
			row[0].Sub = c.t("roles.platform")
		}
		for _, role := range gateway.PanelRoles {
			row = append(row, c.yes(r.lets(&gateway.PanelUser{Role: role, All: role != gateway.RoleOwner})))
		}
		t.Rows = append(t.Rows, row)
	}
	pg.Blocks = []block{{Table: t}}
	return c.show(pg)
}
