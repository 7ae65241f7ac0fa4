package gateway

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// PanelRole is what a person may do in the panel; package admin holds the table of routes.
type PanelRole string

// The roles. An unknown role may do nothing.
const (
	RolePlatform PanelRole = "admin"    // platform admin: everything, every account
	RoleOwner    PanelRole = "owner"    // account owner: everything of the accounts listed
	RoleOperator PanelRole = "operator" // keeps traffic flowing: batches, operators, routes; no consents, no users
	RoleConsent  PanelRole = "consent"  // consent officer: consents, opt-outs, blacklist, imports
	RoleAuditor  PanelRole = "auditor"  // reads everything it has accounts for, changes nothing
)

// PanelRoles lists the roles, widest first.
var PanelRoles = []PanelRole{RolePlatform, RoleOwner, RoleOperator, RoleConsent, RoleAuditor}

// Valid reports whether r is one of PanelRoles.
func (r PanelRole) Valid() bool { return slices.Contains(PanelRoles, r) }

// PanelUser is a person who signs in to the panel.
type PanelUser struct {
	Name     string         `json:"name"` // lower case; also the key
	Role     PanelRole      `json:"role"`
	Accounts []AccountID    `json:"accounts,omitempty"` // that the person may see; ignored with All
	All      bool           `json:"all,omitempty"`      // every account; always so for RolePlatform, never for RoleOwner
	CIDRs    []netip.Prefix `json:"cidrs,omitempty"`    // where the person may sign in from; empty: anywhere
	Disabled bool           `json:"disabled,omitempty"`
	Created  time.Time      `json:"created"`
	LastSeen time.Time      `json:"lastSeen,omitzero"` // of the last sign-in
	// SessionsFrom ends every session begun before it: a changed password or role leaves none behind.
	SessionsFrom time.Time `json:"sessionsFrom,omitzero"`

	PasswordHash string   `json:"passwordHash,omitempty"` // argon2id, PHC string; empty until the invitation was taken
	TOTP         Sealed   `json:"totp,omitempty"`         // base 32 secret (RFC 6238), sealed
	TOTPStep     int64    `json:"totpStep,omitempty"`     // the last 30 s step whose code was used; that and earlier ones are refused
	Recovery     []string `json:"recovery,omitempty"`     // SHA-256 (hex) of the recovery codes not used yet

	InviteHash  string    `json:"inviteHash,omitempty"` // SHA-256 (hex) of the one-time link that sets password and TOTP
	InviteUntil time.Time `json:"inviteUntil,omitzero"`
}

// States of a person.
const (
	UserActive   = "active"
	UserInvited  = "invited" // no password yet, and a link that is good
	UserLapsed   = "lapsed"  // no password, and no link that is good
	UserDisabled = "disabled"
)

// State is one of the states, at now.
func (u *PanelUser) State(now time.Time) string {
	switch {
	case u.Disabled:
		return UserDisabled
	case u.PasswordHash != "":
		return UserActive
	case u.LinkGood(now):
		return UserInvited
	}
	return UserLapsed
}

// LinkGood reports whether the one-time link given last can be used at now.
func (u *PanelUser) LinkGood(now time.Time) bool {
	return !u.Disabled && u.InviteHash != "" && now.Before(u.InviteUntil)
}

// Disable shuts the person out: sessions and the one-time link end, and letting the person in again brings neither back.
func (u *PanelUser) Disable(now time.Time) {
	u.Disabled, u.SessionsFrom = true, now
	u.InviteHash, u.InviteUntil = "", time.Time{}
}

// InvitationLife is how long a one-time link is good for.
const InvitationLife = 48 * time.Hour

// NewToken makes 256 random bits fit for a URL and a cookie.
func NewToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// HashToken is the form in which tokens are kept, SHA-256 in hex: what leaks from memory or store signs nobody in.
func HashToken(t string) string {
	sum := sha256.Sum256([]byte(t))
	return hex.EncodeToString(sum[:])
}

// Invite gives the person a new one-time link and returns its token, of which only a hash is kept; a link given before ends. Using it
// sets the password, the authenticator and the recovery codes anew; until then those there are stay.
func (u *PanelUser) Invite(now time.Time) (token string) {
	token = NewToken()
	u.InviteHash, u.InviteUntil = HashToken(token), now.Add(InvitationLife)
	return token
}

// Bare returns the person without secrets and what belongs to them.
func (u *PanelUser) Bare() *PanelUser {
	c := *u
	c.PasswordHash, c.TOTP, c.TOTPStep, c.Recovery, c.InviteHash, c.InviteUntil = "", "", 0, nil, "", time.Time{}
	return &c
}

// PanelUserName is the form in which names of people are kept and matched.
func PanelUserName(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	if len(s) > 64 {
		return s[:64]
	}
	return s
}

// ValidPanelUserName reports whether a name can be one: 2 to 64 letters, digits or any of . _ - @ +.
func ValidPanelUserName(s string) bool {
	return len(s) >= 2 && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789._-@+") == ""
}

// Everywhere reports whether the person sees all accounts.
func (u *PanelUser) Everywhere() bool {
	return u.Role == RolePlatform || u.All && u.Role != RoleOwner
}

// Sees reports whether the person may see the account.
func (u *PanelUser) Sees(a AccountID) bool {
	return u.Everywhere() || slices.Contains(u.Accounts, a)
}

// AllowsAddr reports whether the person may use the panel from addr. An unknown address fits no list.
func (u *PanelUser) AllowsAddr(addr netip.Addr) bool {
	if len(u.CIDRs) == 0 {
		return true
	}
	return slices.ContainsFunc(u.CIDRs, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}
