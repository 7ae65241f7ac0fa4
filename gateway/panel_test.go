package gateway

import (
	"net/netip"
	"testing"
	"time"
)

func TestPanelUserState(t *testing.T) {
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	invited := PanelUser{}
	if token := invited.Invite(now); HashToken(token) != invited.InviteHash {
		t.Errorf("token %q is kept as %q", token, invited.InviteHash)
	}
	disabled := invited
	disabled.Disable(now)
	enabled := disabled
	enabled.Disabled = false
	member := invited
	member.PasswordHash = "x"
	for _, c := range []struct {
		why   string
		user  PanelUser
		at    time.Time
		state string
		link  bool
	}{
		{"invited", invited, now.Add(InvitationLife - 1), UserInvited, true},
		{"the link ends", invited, now.Add(InvitationLife), UserLapsed, false},
		{"the link was used up", PanelUser{InviteUntil: now.Add(time.Hour)}, now, UserLapsed, false},
		{"disabled", disabled, now, UserDisabled, false},
		{"let in again", enabled, now, UserLapsed, false},
		{"with a password and a new link", member, now, UserActive, true},
	} {
		if got, link := c.user.State(c.at), c.user.LinkGood(c.at); got != c.state || link != c.link {
			t.Errorf("%s: %s, link %t; want %s, %t", c.why, got, link, c.state, c.link)
		}
	}
	if !disabled.SessionsFrom.Equal(now) {
		t.Error("disabling leaves the sessions")
	}
}

func TestPanelUserSees(t *testing.T) {
	for _, c := range []struct {
		why  string
		user PanelUser
		want bool
	}{
		{"a platform admin sees every account", PanelUser{Role: RolePlatform}, true},
		{"an auditor of all accounts", PanelUser{Role: RoleAuditor, All: true}, true},
		{"an auditor of none", PanelUser{Role: RoleAuditor}, false},
		{"an owner of the account", PanelUser{Role: RoleOwner, Accounts: []AccountID{2, 1}}, true},
		{"an owner of another", PanelUser{Role: RoleOwner, Accounts: []AccountID{2}}, false},
		{"owners never see all, whatever the record says", PanelUser{Role: RoleOwner, All: true}, false},
	} {
		if got := c.user.Sees(1); got != c.want {
			t.Errorf("%s: got %v, want %v", c.why, got, c.want)
		}
	}
}

func TestPanelUserAllowsAddr(t *testing.T) {
	u := PanelUser{CIDRs: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	for addr, want := range map[string]bool{"192.0.2.7": true, "::ffff:192.0.2.7": true, "192.0.3.7": false, "2001:db8::1": false} {
		if got := u.AllowsAddr(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
	if u.AllowsAddr(netip.Addr{}) {
		t.Error("an unknown address passed a list")
	}
	if !(&PanelUser{}).AllowsAddr(netip.Addr{}) {
		t.Error("without a list somebody was kept out")
	}
}
