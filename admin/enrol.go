package admin

import (
	"bytes"
	"context"
	"image/png"
	"net/http"
	"strings"

	"izinli/gateway"
)

// Enrolment turns the holder of a one-time link into a user with a password and an authenticator. Two kinds of link exist: the
// set-up link of a panel without users, which makes the first platform admin, and invitations, which name a user.

// SetupLink returns the path of the one-time link that makes the first platform admin, empty when there is a user already. The
// link is good until it is used or the process ends; print it where only the owner of the machine reads.
func (p *Panel) SetupLink(ctx context.Context) (string, error) {
	p.users.Lock()
	defer p.users.Unlock()
	list, err := p.deps.Users.PanelUsers(ctx)
	if err != nil || len(list) > 0 {
		return "", err
	}
	if p.setup == "" {
		p.setup = gateway.NewToken()
	}
	return "/welcome/" + p.setup, nil
}

// invited finds out what the token of a link is good for; first is true for the set-up link. The caller holds p.users.
func (p *Panel) invitedLocked(ctx context.Context, token string) (u gateway.PanelUser, first bool, err error) {
	gone := gateway.Refuse(gateway.CodeNotFound, "token", "")
	list, err := p.deps.Users.PanelUsers(ctx)
	if err != nil {
		return u, false, err
	}
	if p.setup != "" && same(token, p.setup) {
		if len(list) > 0 {
			return u, false, gone
		}
		return gateway.PanelUser{Role: gateway.RolePlatform, All: true}, true, nil
	}
	h, now := gateway.HashToken(token), p.now()
	for _, u := range list {
		if u.LinkGood(now) && same(u.InviteHash, h) {
			return u, false, nil
		}
	}
	return u, false, gone
}

func (c *call) invited() (u gateway.PanelUser, first bool, err error) {
	known, err := c.attempt("", func() (bool, error) {
		c.p.users.Lock()
		defer c.p.users.Unlock()
		var err error
		u, first, err = c.p.invitedLocked(c.Request().Context(), c.Param("token"))
		if isCode(err, gateway.CodeNotFound) {
			return false, nil
		}
		return true, err
	})
	if err == nil && !known {
		err = gateway.Refuse(gateway.CodeNotFound, "token", "")
	}
	if err == nil && !u.AllowsAddr(c.from) {
		err = gateway.Refuse(gateway.CodeNotFound, "token", "")
	}
	return u, first, err
}

func (c *call) welcomePage() error {
	u, first, err := c.invited()
	if err != nil {
		return err
	}
	return c.showWelcome(u.Name, first, nil)
}

func (c *call) showWelcome(name string, first bool, err error) error {
	token := c.Param("token")
	path := "/welcome/" + token
	f := form{Action: path, Submit: c.t("welcome.submit")}
	pg := page{Title: c.t("welcome.title"), Lead: c.t("welcome.lead"), Plain: true}
	if first {
		pg.Title, pg.Lead = c.t("setup.title"), c.t("setup.lead")
		f.Fields = append(f.Fields, field{Name: "name", Label: c.t("user.name"), Hint: c.t("user.name.hint"), Value: name, Required: true, Max: 64, Complete: "username"})
	} else {
		f.Fields = append(f.Fields, field{Name: "name", Label: c.t("user.name"), Kind: "static", Value: name})
	}
	f.Fields = append(f.Fields, c.newPasswordFields()...)
	f.Fields = append(f.Fields, field{Name: "code", Label: c.t("welcome.code"), Hint: c.t("welcome.code.hint"), Required: true,
		Mode: "numeric", Complete: "one-time-code", Max: 10})
	if err != nil {
		_, pg.status = refusalOf(err)
		c.refuse(&f, err)
	}
	pg.Blocks = []block{
		{Title: c.t("welcome.app"), Lead: c.t("welcome.app.lead"), QR: path + "/qr.png",
			Secrets: []secret{{Label: c.t("welcome.secret"), Value: grouped(c.p.enrolSecret(token))}}},
		{Title: c.t("welcome.you"), Form: &f},
	}
	return c.show(pg)
}

// grouped writes a secret in groups of four, to be typed.
func grouped(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// welcomeQR is the secret as an image for an authenticator.
func (c *call) welcomeQR() error {
	u, first, err := c.invited()
	if err != nil {
		return err
	}
	name := u.Name
	if first {
		name = "admin"
	}
	key, err := totpKey(name, c.p.enrolSecret(c.Param("token")))
	if err != nil {
		return err
	}
	img, err := key.Image(240, 240)
	if err != nil {
		return err
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		return err
	}
	return c.Blob(http.StatusOK, "image/png", buf.Bytes())
}

// welcome makes the user.
func (c *call) welcome() error {
	u, first, err := c.invited()
	if err != nil {
		return err
	}
	name := u.Name
	if first {
		name = gateway.PanelUserName(c.value("name"))
	}
	codes, err := c.enrol(name, first)
	if err != nil {
		return c.showWelcome(name, first, err)
	}
	return c.show(page{Title: c.t("recovery.title"), Plain: true,
		Blocks: []block{c.recoveryBlock(codes, link{Text: c.t("recovery.login"), Href: "/login", Kind: "primary"})}})
}

// enrol checks the form and stores the user; the link is used up in the same step.
func (c *call) enrol(name string, first bool) ([]string, error) {
	if first && !gateway.ValidPanelUserName(name) {
		return nil, &fault{field: "name", key: "user.name.bad"}
	}
	password, err := c.readNewPassword(name)
	if err != nil {
		return nil, err
	}
	token := c.Param("token")
	secret := c.p.enrolSecret(token)
	now := c.p.now()
	step, ok := totpStep(secret, c.value("code"), 0, now)
	if !ok {
		return nil, &fault{field: "code", key: "welcome.code.wrong"}
	}
	hash, err := c.p.hashPassword(c.Request().Context(), password)
	if err != nil {
		return nil, err
	}
	codes, hashes := newRecovery()
	c.p.users.Lock()
	defer c.p.users.Unlock()
	u, _, err := c.p.invitedLocked(c.Request().Context(), token)
	if err != nil {
		return nil, err
	}
	if first {
		u.Name, u.Created = name, now
	}
	u.PasswordHash, u.TOTP, u.TOTPStep, u.Recovery = hash, c.p.deps.Users.Seal(secret), step, hashes
	u.InviteHash, u.SessionsFrom = "", now
	if err := c.p.deps.Users.PutPanelUser(c.Request().Context(), u); err != nil {
		return nil, err
	}
	if first {
		c.p.setup = ""
	}
	c.user = &u
	err = c.note("Enrol", "user "+u.Name, nil, u.Bare())
	c.user = nil
	return codes, err
}

// fault is a refusal in the panel's own words: the key of a text beside a field.
type fault struct{ field, key string }

func (f *fault) Error() string { return "admin: " + f.field + ": " + f.key }
