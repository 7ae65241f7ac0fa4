package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"izinli/gateway"
	"izinli/gateway/desk"
)

const (
	maxForm   = 1 << 20 // octets of a form
	csrfField = "_csrf"
	keyCall   = "call"
)

// policy lets pages load this server's own files and nothing else; no script or style stands in a page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; " +
	"base-uri 'none'; frame-ancestors 'none'"

// call is one request on its way through a route.
type call struct {
	echo.Context
	p     *Panel
	route *route
	l     *lang
	theme string
	from  netip.Addr

	token string // of the session; empty for anonymous requests
	sess  *session
	user  *gateway.PanelUser // nil: not signed in
	csrf  string             // of the forms on the page
}

// around is the one middleware: security headers, panics, the answer to errors, the log line.
func (p *Panel) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ec echo.Context) error {
		start := time.Now()
		h := ec.Response().Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
		h.Set("Cache-Control", "no-store")
		if p.secure(ec.Request()) {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		defer func() { p.line(ec, time.Since(start)) }()
		if err := p.guard(next, ec); err != nil {
			p.fail(ec, err)
		}
		return nil
	}
}

// guard turns a panic into an error. http.ErrAbortHandler goes on: it is the server's own way to drop a connection.
func (p *Panel) guard(next echo.HandlerFunc, ec echo.Context) (err error) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case http.ErrAbortHandler:
			panic(r)
		default:
			p.log.Error("panic in panel handler", "route", ec.Path(), "err", r, "stack", string(debug.Stack()))
			err = gateway.Refuse(gateway.CodeInternal, "", "")
		}
	}()
	return next(ec)
}

// line writes the access log: the pattern of the route, never the path, which carries ids and tokens.
func (p *Panel) line(ec echo.Context, took time.Duration) {
	attrs := []slog.Attr{slog.String("method", ec.Request().Method), slog.String("route", ec.Path()), slog.Int("status", ec.Response().Status),
		slog.Duration("took", took), slog.String("remote", ec.RealIP())}
	if c, ok := ec.Get(keyCall).(*call); ok && c.user != nil {
		attrs = append(attrs, slog.String("user", c.user.Name))
	}
	p.log.LogAttrs(ec.Request().Context(), slog.LevelInfo, "panel request", attrs...)
}

// newCall finds out who asks, in which language.
func (p *Panel) newCall(ec echo.Context, r *route) (*call, error) {
	req := ec.Request()
	c := &call{Context: ec, p: p, route: r, l: languageOf(p.cookie(req, cookieLang)), theme: themeOf(p.cookie(req, cookieTheme))}
	ec.Set(keyCall, c)
	if addr, err := netip.ParseAddr(ec.RealIP()); err == nil {
		c.from = addr.Unmap().WithZone("")
	}
	now := p.now()
	token := p.cookie(req, cookieSession)
	c.sess = p.sessions.get(token, now, r == nil || r.path != "/live")
	if c.sess == nil {
		return c, c.meetStranger()
	}
	c.token, c.csrf = token, p.csrf(token)
	u, err := p.deps.Users.PanelUser(req.Context(), c.sess.user)
	switch {
	case isCode(err, gateway.CodeNotFound):
	case err != nil:
		return c, err
	case u.Disabled || c.sess.created.Before(u.SessionsFrom) || !u.AllowsAddr(c.from):
	default:
		c.user = &u
		return c, nil
	}
	p.sessions.end(token)
	c.sess, c.token = nil, ""
	return c, c.meetStranger()
}

// meetStranger ties the forms of somebody not signed in to the browser. The cookie says nothing and is no session: signing in
// makes a new token.
func (c *call) meetStranger() error {
	pre := c.p.cookie(c.Request(), cookiePre)
	if len(pre) != len(gateway.NewToken()) {
		pre = gateway.NewToken()
		c.p.setCookie(c.Response(), c.Request(), cookiePre, pre, 0)
	}
	c.csrf = c.p.csrf("pre " + pre)
	return nil
}

// enter is the way into a route: who is it, is the form ours, may they.
func (p *Panel) enter(r *route) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c, err := p.newCall(ec, r)
		if err != nil {
			return err
		}
		if r.method == post {
			if err := c.checkForm(); err != nil {
				return err
			}
		}
		switch {
		case r.scope == public:
			return r.serve(c)
		case c.user == nil, c.sess.full == (r.scope == half):
			return c.toLogin()
		case r.scope != half && !r.lets(c.user):
			return errForbidden
		}
		return r.serve(c)
	}
}

// errForbidden is the answer to a role that may not.
var errForbidden = gateway.Refuse(gateway.CodeMissingScope, "", "")

// errForm is the answer to a form that is not ours.
var errForm = &gateway.Error{Code: gateway.CodeForbiddenAddress, Field: csrfField, Text: "the form has expired"}

// toLogin sends somebody not (or half, or already) signed in where they belong.
func (c *call) toLogin() error {
	switch {
	case c.user == nil:
		return c.Redirect(http.StatusSeeOther, "/login")
	case !c.sess.full:
		return c.Redirect(http.StatusSeeOther, "/login/code")
	}
	return c.Redirect(http.StatusSeeOther, "/")
}

// checkForm refuses what another site sent: by the browser's word, then by the token, which no other site can read.
func (c *call) checkForm() error {
	req := c.Request()
	if err := c.p.cross.Check(req); err != nil {
		return errForm
	}
	if c.route.stream {
		return nil // its handler calls checkToken
	}
	req.Body = http.MaxBytesReader(c.Response(), req.Body, maxForm)
	if err := req.ParseForm(); err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return gateway.Refuse(gateway.CodeTooLarge, "", "")
		}
		return gateway.Refuse(gateway.CodeMalformed, "", "")
	}
	return c.checkToken(req.PostForm.Get(csrfField))
}

func (c *call) checkToken(token string) error {
	if !same(token, c.csrf) {
		return errForm
	}
	return nil
}

// ctx says on whose behalf the desk acts, and from where. Only a platform administrator lets accounts do more.
func (c *call) ctx() context.Context {
	ctx := desk.WithActor(c.Request().Context(), c.actor())
	if !c.grants() {
		ctx = desk.WithoutGrants(ctx)
	}
	return ctx
}

// grants reports whether the user may let an account do more than it may now.
func (c *call) grants() bool { return c.user != nil && c.user.Role == gateway.RolePlatform }

func (c *call) actor() string {
	name := "?"
	if c.user != nil {
		name = c.user.Name
	}
	return "panel " + name + " from " + c.from.String()
}

// note puts an act of the panel itself into the trail.
func (c *call) note(what, target string, before, after any) error {
	e := desk.Entry{Who: c.actor(), What: what, Target: target, At: c.p.now(), Before: rawJSON(before), After: rawJSON(after)}
	if err := c.p.deps.Audit(c.Request().Context(), e); err != nil {
		return fmt.Errorf("admin: trail: %w", err)
	}
	return nil
}

// own refuses what belongs to an account the user does not see, in the words of something that does not exist.
func (c *call) sees(a gateway.AccountID) error {
	if a == 0 || !c.user.Sees(a) {
		return gateway.Refuse(gateway.CodeNotFound, "account", "")
	}
	return nil
}

// accountID reads the account in the path.
func (c *call) accountID() (gateway.AccountID, error) {
	n, err := strconv.ParseUint(c.Param("id"), 10, 32)
	if err != nil {
		return 0, gateway.Refuse(gateway.CodeNotFound, "account", "")
	}
	a := gateway.AccountID(n)
	return a, c.sees(a)
}

// visible lists the accounts the user sees.
func (c *call) visible() ([]gateway.Account, error) {
	list, err := c.p.deps.Desk.ListAccounts(c.ctx(), desk.Query{})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list, func(a gateway.Account) bool { return !c.user.Sees(a.ID) }), nil
}

// may reports whether the user may use a route.
func (c *call) may(method, path string) bool {
	for i := range c.p.routes {
		if r := &c.p.routes[i]; r.method == method && r.path == path {
			return c.user != nil && r.lets(c.user)
		}
	}
	return false
}

// done goes on to a page with one sentence on what was done.
func (c *call) done(to, key string, args ...any) error {
	c.p.sessions.setFlash(c.sess, c.t(key, args...))
	return c.Redirect(http.StatusSeeOther, to)
}

func isCode(err error, code gateway.Code) bool {
	e, ok := errors.AsType[*gateway.Error](err)
	return ok && e.Code == code
}

// fail answers an error with a page in the reader's language; where an answer has begun, the connection is dropped.
func (p *Panel) fail(ec echo.Context, err error) {
	if ec.Response().Committed {
		p.log.Warn("panel answer broke off", "route", ec.Path(), "err", err)
		panic(http.ErrAbortHandler) // half a file must not look whole
	}
	ec.Response().Header().Del("Content-Disposition") // a page is no file
	e, status := refusalOf(err)
	if status >= http.StatusInternalServerError && e.Code != gateway.CodeUnavailable {
		p.log.Error("panel request failed", "route", ec.Path(), "err", err)
	}
	c, ok := ec.Get(keyCall).(*call)
	if !ok {
		var cerr error
		if c, cerr = p.newCall(ec, nil); cerr != nil {
			p.log.Error("panel request failed", "route", ec.Path(), "err", cerr)
			c.user = nil
		}
	}
	if err := c.errorPage(e, status); err != nil {
		p.log.Warn("panel error page not written", "route", ec.Path(), "err", err)
	}
}

// refusalOf brings any error into our form, with the HTTP status that goes with it.
func refusalOf(err error) (*gateway.Error, int) {
	if e, ok := errors.AsType[*gateway.Error](err); ok {
		return e, e.Code.Wire().HTTP
	}
	if _, ok := errors.AsType[*fault](err); ok {
		return gateway.Refuse(gateway.CodeInvalid, "", ""), http.StatusUnprocessableEntity
	}
	if h, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch h.Code {
		case http.StatusNotFound, http.StatusMethodNotAllowed:
			return gateway.Refuse(gateway.CodeNotFound, "", ""), h.Code
		}
		return gateway.Refuse(gateway.CodeInvalid, "", ""), h.Code
	}
	return gateway.Refuse(gateway.CodeInternal, "", ""), http.StatusInternalServerError
}

// value reads a field of the form or query, trimmed.
func (c *call) value(name string) string { return strings.TrimSpace(c.FormValue(name)) }

// lines reads a field of several lines; browsers end them with CR LF.
func (c *call) lines(name string) string { return strings.ReplaceAll(c.value(name), "\r\n", "\n") }

func (c *call) checked(name string) bool { return c.FormValue(name) != "" }

// number reads a whole number; empty is 0.
func (c *call) number(name string) (int, error) {
	s := c.value(name)
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, gateway.Refuse(gateway.CodeInvalid, name, "%q is not a whole number.", s)
	}
	return n, nil
}
