package admin

import (
	"math"
	"net/http"
	"strconv"
	"strings"

	"izinli/gateway"
)

func (c *call) loginPage() error {
	if c.user != nil {
		return c.toLogin()
	}
	return c.showLogin("", nil)
}

func (c *call) showLogin(name string, err error) error {
	f := form{Action: "/login", Submit: c.t("login.submit"), Fields: []field{
		{Name: "name", Label: c.t("user.name"), Value: name, Required: true, Complete: "username", Max: 64, Focus: true},
		{Name: "password", Label: c.t("user.password"), Kind: "password", Required: true, Complete: "current-password", Max: 4 * maxPassword},
	}}
	pg := page{Title: c.t("login.title"), Plain: true}
	return c.showSignIn(pg, f, err)
}

// showSignIn shows a form of signing in; a refusal says no more than that it was one.
func (c *call) showSignIn(pg page, f form, err error) error {
	if err != nil {
		e, status := refusalOf(err)
		pg.status = status
		f.Error = c.codeText(e.Code)
		if e.Code == gateway.CodeUnauthorized {
			f.Error = c.t("login.wrong")
		}
	}
	pg.Blocks = []block{{Form: &f}}
	return c.show(pg)
}

// errWrong is the one answer to a wrong name, password or code, a user that is shut out and an address that is not allowed.
var errWrong = gateway.Refuse(gateway.CodeUnauthorized, "", "")

// attempt lets somebody try a secret of name, unless it is too early, and counts it when it was wrong.
func (c *call) attempt(name string, try func() (right bool, err error)) (right bool, err error) {
	end, wait := c.p.strikes.begin(name, c.from, c.p.now())
	if wait > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return false, gateway.Refuse(gateway.CodeThrottled, "", "")
	}
	defer func() { end(err == nil && !right, c.p.now()) }()
	return try()
}

// login checks the password; the code comes next.
func (c *call) login() error {
	name := gateway.PanelUserName(c.value("name"))
	if err := c.password(name, c.FormValue("password")); err != nil {
		return c.showLogin(name, err)
	}
	c.p.sessions.end(c.token)
	c.openSession(name, false)
	return c.Redirect(http.StatusSeeOther, "/login/code")
}

// password says whether name may go on to the code.
func (c *call) password(name, password string) error {
	known := false
	right, err := c.attempt(name, func() (bool, error) {
		u, err := c.p.deps.Users.PanelUser(c.Request().Context(), name)
		if known = err == nil; err != nil && !isCode(err, gateway.CodeNotFound) {
			return false, err
		}
		right, err := c.p.rightPassword(c.Request().Context(), u.PasswordHash, password)
		return right && !u.Disabled && u.AllowsAddr(c.from), err
	})
	if err != nil || right {
		return err
	}
	return c.refuseSignIn(name, known)
}

// refuseSignIn tells of a failure; one on a name that exists stands in the trail.
func (c *call) refuseSignIn(name string, known bool) error {
	c.p.log.Warn("panel sign-in refused", "remote", c.from.String(), "known", known)
	if known {
		if err := c.note("SignInRefused", "user "+name, nil, nil); err != nil {
			return err
		}
	}
	return errWrong
}

// openSession gives the browser a new token; the one it had before is worth nothing any more.
func (c *call) openSession(name string, full bool) {
	c.token = c.p.sessions.begin(name, full, c.p.now())
	c.p.setCookie(c.Response(), c.Request(), cookieSession, c.token, 0)
	c.p.setCookie(c.Response(), c.Request(), cookiePre, "", -1)
}

func (c *call) codePage() error { return c.showCode(nil) }

func (c *call) showCode(err error) error {
	f := form{Action: "/login/code", Submit: c.t("login.submit"), Fields: []field{{Name: "code", Label: c.t("login.code"),
		Hint: c.t("login.code.hint"), Required: true, Complete: "one-time-code", Max: 30, Focus: true}}}
	return c.showSignIn(page{Title: c.t("login.code.title"), Plain: true}, f, err)
}

// code ends signing in.
func (c *call) code() error {
	how := ""
	right, err := c.attempt(c.user.Name, func() (_ bool, err error) {
		how, err = c.p.useCode(c, c.user.Name, c.value("code"))
		return how != "", err
	})
	if err == nil && !right {
		c.p.sessions.wrongCode(c.sess)
		err = c.refuseSignIn(c.user.Name, true)
	}
	if err != nil {
		return c.showCode(err)
	}
	c.p.strikes.succeeded(c.user.Name, c.from)
	if err := c.note("SignIn", "user "+c.user.Name, nil, map[string]string{"with": how}); err != nil {
		return err
	}
	c.p.sessions.end(c.token)
	c.openSession(c.user.Name, true)
	return c.Redirect(http.StatusSeeOther, "/")
}

// useCode takes a TOTP or recovery code and stores that it is used before it counts. how is empty for a wrong one.
func (p *Panel) useCode(c *call, name, code string) (how string, err error) {
	ctx := c.Request().Context()
	p.users.Lock()
	defer p.users.Unlock()
	u, err := p.deps.Users.PanelUser(ctx, name)
	if err != nil {
		return "", err
	}
	secret, err := p.deps.Users.Unseal(u.TOTP)
	if err != nil {
		return "", err
	}
	now := p.now()
	if step, ok := totpStep(secret, code, u.TOTPStep, now); ok && secret != "" {
		u.TOTPStep, how = step, "totp"
	} else if rest, ok := useRecovery(u.Recovery, code); ok {
		u.Recovery, how = rest, "recovery"
	} else {
		return "", nil
	}
	u.LastSeen = now
	return how, p.deps.Users.PutPanelUser(ctx, u)
}

func (c *call) logout() error {
	c.p.sessions.end(c.token)
	c.p.setCookie(c.Response(), c.Request(), cookieSession, "", -1)
	if err := c.note("SignOut", "user "+c.user.Name, nil, nil); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/login")
}

func (c *call) me() error { return c.showMe(nil, nil) }

// showMe is a person's own page; errors belong to one of its two forms.
func (c *call) showMe(password, recovery error) error {
	u := c.user
	current := field{Name: "current", Label: c.t("me.current"), Kind: "password", Required: true, Complete: "current-password"}
	change := form{Action: "/me/password", Submit: c.t("me.change"), Fields: append([]field{current}, c.newPasswordFields()...)}
	renew := form{Action: "/me/recovery", Submit: c.t("me.renew"), Kind: "plain", Fields: []field{current}}
	renew.Fields[0].Name = "current2"
	pg := page{Title: c.t("me.title"), Nav: "/me"}
	for f, err := range map[*form]error{&change: password, &renew: recovery} {
		if err != nil {
			_, pg.status = refusalOf(err)
			c.refuse(f, err)
		}
	}
	pg.Blocks = []block{
		{Facts: []fact{
			{c.t("user.name"), text(u.Name)}, {c.t("user.role"), text(c.t("role." + string(u.Role)))},
			{c.t("user.seen"), c.at(u.LastSeen)}, {c.t("me.codes"), c.num(int64(len(u.Recovery)))},
		}},
		{Title: c.t("me.password"), Lead: c.t("me.password.lead"), Form: &change},
		{Title: c.t("me.recovery"), Lead: c.t("me.recovery.lead"), Form: &renew},
	}
	return c.show(pg)
}

func (c *call) newPasswordFields() []field {
	return []field{
		{Name: "password", Label: c.t("user.password.new"), Kind: "password", Required: true, Complete: "new-password", Hint: c.t("password.hint"), Max: maxPassword},
		{Name: "again", Label: c.t("user.password.again"), Kind: "password", Required: true, Complete: "new-password", Max: maxPassword},
	}
}

// readNewPassword reads and judges the two fields of a new password.
func (c *call) readNewPassword(name string) (string, error) {
	password := c.FormValue("password")
	if key := passwordFault(name, password); key != "" {
		return "", &fault{field: "password", key: key}
	}
	if c.FormValue("again") != password {
		return "", &fault{field: "again", key: "password.again"}
	}
	return password, nil
}

// stillMe asks for the password again before a change of secrets.
func (c *call) stillMe(fieldName string) error {
	right, err := c.attempt(c.user.Name, func() (bool, error) {
		return c.p.rightPassword(c.Request().Context(), c.user.PasswordHash, c.FormValue(fieldName))
	})
	if err == nil && !right {
		err = &fault{field: fieldName, key: "me.wrong"}
	}
	return err
}

// mePassword changes the password and ends every other session.
func (c *call) mePassword() error {
	err := c.stillMe("current")
	var password, hash string
	if err == nil {
		password, err = c.readNewPassword(c.user.Name)
	}
	if err == nil {
		hash, err = c.p.hashPassword(c.Request().Context(), password)
	}
	if err != nil {
		return c.showMe(err, nil)
	}
	now := c.p.now()
	if err := c.changeUser(c.user.Name, "ChangePassword", func(u *gateway.PanelUser) { u.PasswordHash, u.SessionsFrom = hash, now }); err != nil {
		return err
	}
	c.openSession(c.user.Name, true)
	c.sess = c.p.sessions.get(c.token, now, false)
	return c.done("/me", "me.changed")
}

// meRecovery makes new recovery codes; the old ones end.
func (c *call) meRecovery() error {
	if err := c.stillMe("current2"); err != nil {
		return c.showMe(nil, err)
	}
	codes, hashes := newRecovery()
	if err := c.changeUser(c.user.Name, "RenewRecovery", func(u *gateway.PanelUser) { u.Recovery = hashes }); err != nil {
		return err
	}
	return c.show(page{Title: c.t("recovery.title"), Nav: "/me", Blocks: []block{c.recoveryBlock(codes, link{Text: c.t("recovery.done"), Href: "/me", Kind: "primary"})}})
}

func (c *call) recoveryBlock(codes []string, next link) block {
	return block{Note: &note{Kind: "warn", Text: c.t("recovery.lead")}, Secrets: []secret{{Label: c.t("recovery.label"), Value: strings.Join(codes, "\n")}},
		Links: []link{next}}
}

// changeUser changes one user under the lock and puts it into the trail, secrets left out.
func (c *call) changeUser(name, what string, change func(*gateway.PanelUser)) error {
	ctx := c.Request().Context()
	c.p.users.Lock()
	defer c.p.users.Unlock()
	u, err := c.p.deps.Users.PanelUser(ctx, name)
	if err != nil {
		return err
	}
	before := u.Bare()
	change(&u)
	if err := c.p.deps.Users.PutPanelUser(ctx, u); err != nil {
		return err
	}
	return c.note(what, "user "+name, before, u.Bare())
}
