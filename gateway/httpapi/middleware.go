package httpapi

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"izinli/gateway"
)

const (
	headerRequestID  = "X-Request-Id"
	keyRequestID     = "requestId"
	keyCall          = "call"
	maxRequestID     = 64
	headerRetryAfter = "Retry-After"
)

// Headers every answer carries; the slices are shared and never written to.
var (
	noSniff  = []string{"nosniff"}
	noStore  = []string{"no-store"}
	noFrames = []string{"default-src 'none'; frame-ancestors 'none'"}
)

// around is the one middleware: request id, security headers, panics, the answer to errors, log line, metrics.
func (a *API) around(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := time.Now()
		id := requestID(c.Request().Header.Get(headerRequestID))
		c.Set(keyRequestID, id)
		h := c.Response().Header()
		h[headerRequestID] = []string{id}
		h["X-Content-Type-Options"] = noSniff
		h["Cache-Control"] = noStore
		h["Content-Security-Policy"] = noFrames
		if err := a.guard(next, c); err != nil {
			a.fail(c, err)
		}
		a.note(c, id, time.Since(start))
		return nil
	}
}

// guard turns a panic into an error. http.ErrAbortHandler goes on: it is the server's own way to drop a connection.
func (a *API) guard(next echo.HandlerFunc, c echo.Context) (err error) {
	defer func() {
		switch r := recover(); r {
		case nil:
		case http.ErrAbortHandler:
			panic(r)
		default:
			a.log.Error("panic in http handler", "route", c.Path(), "request_id", c.Get(keyRequestID), "err", r,
				"stack", string(debug.Stack()))
			err = &gateway.Error{Code: gateway.CodeInternal, Text: gateway.CodeInternal.Wire().Title, Err: errLogged{fmt.Errorf("panic: %v", r)}}
		}
	}()
	return next(c)
}

// errLogged marks a cause that has been logged already.
type errLogged struct{ error }

// requestID takes the caller's id when it is harmless (1–64 letters, digits, dots, dashes, underscores) and makes one otherwise.
func requestID(s string) string {
	if s == "" || len(s) > maxRequestID {
		return rand.Text()
	}
	for i := range len(s) {
		if c := s[i]; !isAlnum(c) && c != '.' && c != '-' && c != '_' {
			return rand.Text()
		}
	}
	return s
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// note writes the access log line and counts the request. The pattern of the route is logged, never the path: paths and
// queries carry addresses.
func (a *API) note(c echo.Context, id string, took time.Duration) {
	req, resp := c.Request(), c.Response()
	pattern := c.Path()
	if !a.known[pattern] {
		pattern = "unmatched"
	}
	a.metrics.observe(req.Method, pattern, resp.Status, took)
	ctx := req.Context()
	if !a.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := make([]slog.Attr, 0, 9)
	attrs = append(attrs, slog.String("method", methodLabel(req.Method)), slog.String("route", pattern), slog.Int("status", resp.Status),
		slog.Duration("took", took), slog.Int64("size", resp.Size), slog.String("remote", c.RealIP()), slog.String("request_id", id))
	if cl, ok := c.Get(keyCall).(*call); ok && cl.p != nil {
		attrs = append(attrs, slog.Uint64("account", uint64(cl.p.Account)), slog.String("credential", cl.p.Credential.ID))
	}
	a.log.LogAttrs(ctx, slog.LevelInfo, "http request", attrs...)
}

// methodLabel keeps foreign methods out of labels.
func methodLabel(m string) string {
	switch m {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions, http.MethodPatch:
		return m
	}
	return "other"
}

// enter is the way into a route: who is it, may they, not too often.
func (a *API) enter(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		cl := &call{Context: c}
		if r.scope == "" {
			return r.serve(a, cl)
		}
		p, err := a.authenticate(c)
		if err != nil {
			return err
		}
		cl.p = p
		c.Set(keyCall, cl)
		if !p.Credential.Has(r.scope) {
			return gateway.Refuse(gateway.CodeMissingScope, "", "This credential lacks the scope %q.", r.scope)
		}
		if r.scope != gateway.ScopeSend || r.method != http.MethodPost || r.path != "/v1/messages" {
			if err := a.limitReads(p); err != nil {
				return err
			}
		}
		return r.serve(a, cl)
	}
}

func (a *API) authenticate(c echo.Context) (*gateway.Principal, error) {
	scheme, key, _ := strings.Cut(c.Request().Header.Get("Authorization"), " ")
	key = strings.TrimSpace(key)
	if !strings.EqualFold(scheme, "Bearer") || key == "" { // RFC 9110 §11.1: the scheme ignores case
		return nil, gateway.Refuse(gateway.CodeUnauthorized, "", "Send the API key as \"Authorization: Bearer <key>\".")
	}
	return a.deps.Authenticator.Authenticate(c.Request().Context(), gateway.KindAPI, "", key, remote(c))
}

// remote is the caller's address by the configured extractor; the zero Addr when it cannot be told.
func remote(c echo.Context) netip.Addr {
	addr, err := netip.ParseAddr(c.RealIP())
	if err != nil {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

func throttle(wait time.Duration) error {
	return &refined{err: gateway.Refuse(gateway.CodeThrottled, "", ""), wait: wait}
}

// limitReads holds one key to its rate of requests, so that a polling loop cannot starve the store.
func (a *API) limitReads(p *gateway.Principal) error {
	a.mu.Lock()
	l := a.reads[p.Credential.ID]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(a.cfg.ReadsPerSecond), 2*a.cfg.ReadsPerSecond)
		a.reads[p.Credential.ID] = l
	}
	a.mu.Unlock()
	if l.Allow() {
		return nil
	}
	return throttle(time.Second)
}

// limitMessages asks for n messages.
func (a *API) limitMessages(p *gateway.Principal, n int) error {
	if a.deps.Limits == nil {
		return nil
	}
	if wait := a.deps.Limits.Allow(p, n); wait > 0 {
		return throttle(wait)
	}
	return nil
}

// seconds writes a wait for Retry-After (RFC 9110 §10.2.3), rounded up.
func seconds(d time.Duration) string {
	return strconv.FormatInt(int64(math.Ceil(max(d.Seconds(), 1))), 10)
}
