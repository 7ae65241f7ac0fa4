package desk

import (
	"context"
	"net/netip"
	"time"

	"izinli/gateway"
)

// Users keeps the people who may sign in to the panel. *store.Store is one.
type Users interface {
	// PanelUser answers CodeNotFound for a name nobody has.
	PanelUser(ctx context.Context, name string) (gateway.PanelUser, error)
	PanelUsers(ctx context.Context) ([]gateway.PanelUser, error)
	// PutPanelUser returns after the user is safely stored.
	PutPanelUser(ctx context.Context, u gateway.PanelUser) error
}

// UserService is about the people who sign in to the panel, for whoever has the machine: the way back in when nobody can sign in to
// the panel any more. What a panel's administrator does himself he does there.
type UserService interface {
	// ListUsers lists people by name, without their secrets; of an account, those who see it.
	ListUsers(context.Context, Query) ([]UserView, error)
	// InviteUser gives a person a link that works once and sets password, authenticator and recovery codes anew; with a role it makes
	// the person.
	InviteUser(context.Context, UserInvite) (Invitation, error)
	// SwitchUser shuts a person out, sessions and links included, or lets him in again.
	SwitchUser(context.Context, UserSwitch) (UserView, error)
}

// UserView is a person without secrets.
type UserView struct {
	gateway.PanelUser
	State string `json:"state"` // gateway.UserActive and so on
	// LinkUntil is when the link that was given out ends; zero when none is good.
	LinkUntil time.Time `json:"linkUntil,omitzero"`
}

// UserInvite asks for a link.
type UserInvite struct {
	Name string `json:"name"`
	// Role, Accounts and All are of a person to be made; with a person who is there already they are refused.
	Role     gateway.PanelRole   `json:"role,omitempty"`
	Accounts []gateway.AccountID `json:"accounts,omitempty"`
	All      bool                `json:"all,omitempty"`
	// CIDRs are where the person may sign in from, and use the link; empty: anywhere, nil: as it is.
	CIDRs *[]netip.Prefix `json:"cidrs,omitempty"`
	// Reset ends password, authenticator, recovery codes and sessions at once, not only when the link is used.
	Reset bool `json:"reset,omitempty"`
}

// Invitation is a link, shown this once.
type Invitation struct {
	User  UserView  `json:"user"`
	Path  string    `json:"path"`           // within the panel
	Link  string    `json:"link,omitempty"` // from this machine; empty where the panel's address is not known
	Until time.Time `json:"until"`
}

// UserSwitch disables or enables a person.
type UserSwitch struct {
	Name     string `json:"name"`
	Disabled bool   `json:"disabled"`
}

// ListUsers is Service.ListUsers.
func (a *Admin) ListUsers(ctx context.Context, q Query) ([]UserView, error) {
	if a.deps.Users == nil {
		return nil, unavailable("the panel's users")
	}
	list, err := a.deps.Users.PanelUsers(ctx)
	if err != nil {
		return nil, err
	}
	out := []UserView{}
	for i := range list {
		if q.Account == 0 || list[i].Sees(q.Account) {
			out = append(out, viewUser(&list[i], a.deps.Now()))
		}
	}
	return out, nil
}

// InviteUser is Service.InviteUser.
func (a *Admin) InviteUser(ctx context.Context, in UserInvite) (Invitation, error) {
	token, now := "", a.deps.Now()
	u, err := a.changeUser(ctx, "InviteUser", in.Name, in.Role != "", func(u *gateway.PanelUser) error {
		if err := a.invite(u, &in, now); err != nil {
			return err
		}
		token = u.Invite(now)
		return nil
	})
	if err != nil {
		return Invitation{}, err
	}
	out := Invitation{User: viewUser(&u, now), Path: "/welcome/" + token, Until: u.InviteUntil}
	if a.deps.PanelURL != nil {
		if base := a.deps.PanelURL(); base != "" {
			out.Link = base + out.Path
		}
	}
	return out, nil
}

// invite changes what comes with a link; u.Created is zero for a person to be made.
func (a *Admin) invite(u *gateway.PanelUser, in *UserInvite, now time.Time) error {
	switch {
	case u.Created.IsZero():
		if err := a.makeUser(u, in, now); err != nil {
			return err
		}
	case in.Role != "" || in.All || len(in.Accounts) > 0:
		return gateway.Refuse(gateway.CodeConflict, "name", "There is a user %s already. To give a new link leave role and accounts out; the panel changes them.", u.Name)
	case u.Disabled:
		return gateway.Refuse(gateway.CodeConflict, "name", "User %s is disabled, so the link would not work. Let him in first: izinli user enable %s", u.Name, u.Name)
	}
	if in.CIDRs != nil {
		u.CIDRs = nil
		for _, p := range *in.CIDRs {
			u.CIDRs = append(u.CIDRs, p.Masked())
		}
	}
	if in.Reset {
		u.PasswordHash, u.TOTP, u.TOTPStep, u.Recovery, u.SessionsFrom = "", "", 0, nil, now
	}
	return nil
}

// makeUser fills in a new person.
func (a *Admin) makeUser(u *gateway.PanelUser, in *UserInvite, now time.Time) error {
	switch {
	case !gateway.ValidPanelUserName(u.Name):
		return invalid("name", "%q cannot be a name: it takes 2 to 64 letters, digits or any of . _ - @ +.", in.Name)
	case !in.Role.Valid():
		return oneOf("role", string(in.Role), roles()...)
	case in.Role == gateway.RoleOwner && in.All:
		return invalid("all", "An owner sees the accounts that are named, never all of them.")
	}
	for _, id := range in.Accounts {
		if _, err := a.account(id); err != nil {
			return err
		}
	}
	u.Role, u.All, u.Accounts, u.Created = in.Role, in.All, in.Accounts, now
	if u.Role == gateway.RolePlatform {
		u.All, u.Accounts = true, nil
	}
	return nil
}

func roles() (out []string) {
	for _, r := range gateway.PanelRoles {
		out = append(out, string(r))
	}
	return out
}

// SwitchUser is Service.SwitchUser.
func (a *Admin) SwitchUser(ctx context.Context, in UserSwitch) (UserView, error) {
	now := a.deps.Now()
	u, err := a.changeUser(ctx, "PutUser", in.Name, false, func(u *gateway.PanelUser) error {
		if u.Disabled = in.Disabled; in.Disabled {
			u.Disable(now)
		}
		return nil
	})
	return viewUser(&u, now), err
}

// changeUser changes one person under the lock the panel holds as well; with mayMake, one who is not there is made.
func (a *Admin) changeUser(ctx context.Context, what, name string, mayMake bool, change func(*gateway.PanelUser) error) (gateway.PanelUser, error) {
	if a.deps.Users == nil {
		return gateway.PanelUser{}, unavailable("the panel's users")
	}
	name = gateway.PanelUserName(name)
	a.deps.UsersLock.Lock()
	defer a.deps.UsersLock.Unlock()
	var before *gateway.PanelUser
	u, err := a.deps.Users.PanelUser(ctx, name)
	switch e, refused := asRefusal(err); {
	case err == nil:
		before = u.Bare()
	case refused && e.Code == gateway.CodeNotFound && mayMake:
		u = gateway.PanelUser{Name: name}
	case refused && e.Code == gateway.CodeNotFound:
		return u, gateway.Refuse(gateway.CodeNotFound, "name", "Nobody is called %q here; see \"izinli user list\". To make a new user give a role.", name)
	default:
		return u, err
	}
	if err := change(&u); err != nil {
		return u, err
	}
	if err := a.deps.Users.PutPanelUser(ctx, u); err != nil {
		return u, err
	}
	a.audit(ctx, what, "user "+u.Name, before, u.Bare())
	return u, nil
}

func viewUser(u *gateway.PanelUser, now time.Time) UserView {
	v := UserView{PanelUser: *u.Bare(), State: u.State(now)}
	if u.LinkGood(now) {
		v.LinkUntil = u.InviteUntil
	}
	return v
}

// ListUsers is Service.ListUsers at the server.
func (c *Client) ListUsers(ctx context.Context, in Query) ([]UserView, error) {
	return send[[]UserView](ctx, c, "ListUsers", in)
}

// InviteUser is Service.InviteUser at the server.
func (c *Client) InviteUser(ctx context.Context, in UserInvite) (Invitation, error) {
	return send[Invitation](ctx, c, "InviteUser", in)
}

// SwitchUser is Service.SwitchUser at the server.
func (c *Client) SwitchUser(ctx context.Context, in UserSwitch) (UserView, error) {
	return send[UserView](ctx, c, "SwitchUser", in)
}
