package desk_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// withUsers is an office that knows the panel's users: an administrator who may sign in from one network.
func withUsers(t *testing.T) *office {
	t.Helper()
	o := open(t, func(d *desk.Deps) {
		d.Users = d.Store.(desk.Users)
		d.PanelURL = func() string { return "https://panel.example.com" }
	})
	err := o.store.PutPanelUser(ctx, gateway.PanelUser{Name: "ayse", Role: gateway.RolePlatform, All: true, Created: now.Add(-time.Hour),
		CIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, PasswordHash: "argon2id-hash", TOTP: o.store.Seal("gizli"), TOTPStep: 7, Recovery: []string{"r1"}})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func (o *office) user(name string) gateway.PanelUser {
	o.t.Helper()
	u, err := o.store.PanelUser(ctx, name)
	if err != nil {
		o.t.Fatal(err)
	}
	return u
}

// A link leaves what is there until it is used; --reset and the networks change at once.
func TestInviteUser(t *testing.T) {
	o := withUsers(t)
	v := must[desk.Invitation](t)(o.InviteUser(ctx, desk.UserInvite{Name: " Ayse "}))
	u := o.user("ayse")
	if v.Link != "https://panel.example.com"+v.Path || !strings.HasPrefix(v.Path, "/welcome/") || len(v.Path) < 50 || v.Until != now.Add(48*time.Hour) ||
		v.User.State != gateway.UserActive || v.User.LinkUntil.IsZero() || v.User.PasswordHash != "" || v.User.InviteHash != "" {
		t.Errorf("got %+v", v)
	}
	if u.InviteHash == "" || strings.Contains(v.Path, u.InviteHash) || u.PasswordHash == "" || u.TOTP == "" || len(u.CIDRs) != 1 {
		t.Errorf("kept %+v", u)
	}
	again := must[desk.Invitation](t)(o.InviteUser(ctx, desk.UserInvite{Name: "ayse", CIDRs: &[]netip.Prefix{}, Reset: true}))
	u = o.user("ayse")
	if again.Path == v.Path || again.User.State != gateway.UserInvited || len(u.CIDRs) != 0 || u.PasswordHash+string(u.TOTP) != "" || u.TOTPStep != 0 || u.Recovery != nil || !u.SessionsFrom.Equal(now) {
		t.Errorf("after the reset %+v", u)
	}
	owner := must[desk.Invitation](t)(o.InviteUser(ctx, desk.UserInvite{Name: "can@example.com", Role: gateway.RoleAuditor, All: true}))
	if can := o.user("can@example.com"); owner.User.State != gateway.UserInvited || !can.Everywhere() {
		t.Errorf("got %+v", owner)
	}
	for _, e := range o.entries {
		if e.What != "InviteUser" || e.Who != "test ayse" || strings.Contains(string(e.Before)+string(e.After), "argon2id") || strings.Contains(string(e.After), "invite") {
			t.Errorf("the trail has %+v", e)
		}
	}
	if len(o.entries) != 3 || string(o.entries[2].Before) != "null" || !strings.Contains(string(o.entries[1].Before), "192.0.2.0/24") {
		t.Errorf("the trail: %+v", o.entries)
	}
}

func TestInviteUserRefuses(t *testing.T) {
	o := withUsers(t)
	must[desk.UserView](t)(o.SwitchUser(ctx, desk.UserSwitch{Name: "ayse", Disabled: true}))
	for _, x := range []struct {
		in   desk.UserInvite
		code gateway.Code
		text string
	}{
		{desk.UserInvite{Name: "nobody"}, gateway.CodeNotFound, "Nobody is called"},
		{desk.UserInvite{Name: "ayse"}, gateway.CodeConflict, "izinli user enable ayse"},
		{desk.UserInvite{Name: "ayse", Role: gateway.RoleAuditor}, gateway.CodeConflict, "already"},
		{desk.UserInvite{Name: "x y", Role: gateway.RoleAuditor}, gateway.CodeInvalid, "cannot be a name"},
		{desk.UserInvite{Name: "can", Role: "boss"}, gateway.CodeInvalid, "owner"},
		{desk.UserInvite{Name: "can", Role: gateway.RoleOwner, All: true}, gateway.CodeInvalid, "never all"},
		{desk.UserInvite{Name: "can", Role: gateway.RoleOwner, Accounts: []gateway.AccountID{9}}, gateway.CodeNotFound, "Account 9"},
	} {
		_, err := o.InviteUser(ctx, x.in)
		if e, ok := err.(*gateway.Error); !ok || e.Code != x.code || !strings.Contains(e.Text, x.text) {
			t.Errorf("%+v: %v, want %s %q", x.in, err, x.code, x.text)
		}
	}
	if len(o.entries) != 1 || o.user("ayse").InviteHash != "" {
		t.Error("a refused link left something behind")
	}
	bare := open(t)
	if _, err := bare.InviteUser(ctx, desk.UserInvite{Name: "ayse"}); err == nil {
		t.Error("an office without users gave a link")
	}
}

// Disabling ends sessions and links; enabling brings neither back.
func TestSwitchUser(t *testing.T) {
	o := withUsers(t)
	must[desk.Invitation](t)(o.InviteUser(ctx, desk.UserInvite{Name: "ayse"}))
	if v := must[desk.UserView](t)(o.SwitchUser(ctx, desk.UserSwitch{Name: "ayse", Disabled: true})); v.State != gateway.UserDisabled || !o.user("ayse").SessionsFrom.Equal(now) {
		t.Errorf("got %+v", v)
	}
	v := must[desk.UserView](t)(o.SwitchUser(ctx, desk.UserSwitch{Name: "ayse"}))
	if v.State != gateway.UserActive || !v.LinkUntil.IsZero() || o.user("ayse").InviteHash != "" {
		t.Errorf("got %+v", v)
	}
	if list := must[[]desk.UserView](t)(o.ListUsers(ctx, desk.Query{Account: 1})); len(list) != 1 || list[0].Name != "ayse" || list[0].PasswordHash != "" {
		t.Errorf("got %+v", list)
	}
}

// slowUsers lets somebody else try to write between the reading and the writing.
type slowUsers struct {
	desk.Users
	between func()
}

func (s slowUsers) PutPanelUser(ctx context.Context, u gateway.PanelUser) error {
	s.between()
	return s.Users.PutPanelUser(ctx, u)
}

// The lock the panel goes by is held from reading a user to having written it.
func TestUsersAreChangedUnderTheLock(t *testing.T) {
	var lock sync.Mutex
	held := false
	o := withUsers(t)
	o.Admin = desk.New(desk.Deps{Store: o.store, UsersLock: &lock, Users: slowUsers{o.store, func() {
		if held = !lock.TryLock(); !held {
			lock.Unlock()
		}
	}}})
	must[desk.UserView](t)(o.SwitchUser(ctx, desk.UserSwitch{Name: "ayse", Disabled: true}))
	if !held {
		t.Error("the panel could write in between")
	}
}
