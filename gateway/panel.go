package gateway

import (
	"net/netip"
	"slices"
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
