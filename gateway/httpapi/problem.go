package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"izinli/gateway"
	"izinli/gateway/httpserve"
)

// refined is a refusal with what only HTTP can say about it.
type refined struct {
	err    *gateway.Error
	offset int64         // of a body that is not JSON: the place where reading stopped, plus one; 0: none
	status int           // where HTTP has a finer one than the table (415); 0: the table's
	wait   time.Duration // when to come back; 0: by status
}

func (r *refined) Error() string { return r.err.Error() }

// Unwrap gives errors.As the refusal.
func (r *refined) Unwrap() error { return r.err }

// problem is what one refusal looks like on the wire.
type problem struct {
	status int
	err    gateway.Error
	offset int64 // -1: none
	retry  time.Duration
}

// problemOf is the one mapping of errors to answers (the code table of package gateway does most of it). What it does not know
// is internal: bland outside, whole in the log.
func problemOf(err error) problem {
	p := problem{offset: -1}
	var (
		ge    *gateway.Error
		more  *refined
		large *http.MaxBytesError
		he    *echo.HTTPError
	)
	switch {
	case errors.As(err, &large): // before the rest: a service that read the body may have wrapped it
		p.err = *gateway.Refuse(gateway.CodeTooLarge, "", "The request body is larger than %d octets.", large.Limit)
	case errors.Is(err, httpserve.ErrSlow):
		p.err, p.status = *gateway.Refuse(gateway.CodeMalformed, "", "The body stopped coming, or came too slowly."), http.StatusRequestTimeout
	case errors.As(err, &he):
		p.err, p.status = routerError(he)
	case errors.As(err, &ge):
		p.err = *ge
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p.err = gateway.Error{Code: gateway.CodeUnavailable, Text: gateway.CodeUnavailable.Wire().Title, Err: err}
	default:
		p.err = gateway.Error{Code: gateway.CodeInternal, Text: gateway.CodeInternal.Wire().Title, Err: err}
	}
	if errors.As(err, &more) {
		p.offset, p.status, p.retry = more.offset-1, more.status, more.wait
	}
	if p.status == 0 {
		p.status = p.err.Code.Wire().HTTP
	}
	switch {
	case p.retry > 0:
	case p.status == http.StatusTooManyRequests:
		p.retry = time.Second
	case p.status == http.StatusServiceUnavailable:
		p.retry = 5 * time.Second
	}
	if p.status == http.StatusInternalServerError { // whatever it says was not written for the caller
		if p.err.Err == nil {
			p.err.Err = err
		}
		p.err.Code, p.err.Text, p.err.Field = gateway.CodeInternal, gateway.CodeInternal.Wire().Title, ""
	}
	return p
}

func routerError(he *echo.HTTPError) (gateway.Error, int) {
	switch he.Code {
	case http.StatusNotFound:
		return *gateway.Refuse(gateway.CodeNotFound, "", "There is nothing at this path; GET /v1/ lists what there is."), he.Code
	case http.StatusMethodNotAllowed:
		return *gateway.Refuse(gateway.CodeInvalid, "", "The method is not allowed here; see the Allow header."), he.Code
	}
	if he.Code >= 400 && he.Code < 500 {
		return *gateway.Refuse(gateway.CodeInvalid, "", ""), he.Code
	}
	return gateway.Error{Code: gateway.CodeInternal, Text: gateway.CodeInternal.Wire().Title, Err: he}, 0
}

// fail answers err as application/problem+json, unless the answer has begun.
func (a *API) fail(c echo.Context, err error) {
	p := problemOf(err)
	id, _ := c.Get(keyRequestID).(string)
	a.tell(c, p, id)
	resp := c.Response()
	if resp.Committed {
		return
	}
	h := resp.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Del("Content-Disposition")
	if p.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="izinli"`) // RFC 9110 §11.6.1: required with 401
	}
	if p.retry > 0 {
		h.Set(headerRetryAfter, seconds(p.retry))
	}
	resp.WriteHeader(p.status)
	if c.Request().Method == http.MethodHead {
		return
	}
	if _, err := resp.Write(appendProblem(nil, p, id)); err != nil {
		a.log.Debug("client went away", "request_id", id, "err", err)
	}
}

// tell logs what the caller is not told. A caller who left is no event, a passing shortage heals itself, the rest wants a
// person.
func (a *API) tell(c echo.Context, p problem, id string) {
	var seen errLogged
	if p.status < 500 || p.err.Err == nil || errors.As(p.err.Err, &seen) {
		return
	}
	level := slog.LevelError
	switch {
	case c.Request().Context().Err() != nil || c.Response().Committed:
		level = slog.LevelDebug
	case p.status == http.StatusServiceUnavailable:
		level = slog.LevelWarn
	}
	a.log.Log(c.Request().Context(), level, "request failed", "route", c.Path(), "request_id", id, "code", string(p.err.Code), "err", p.err.Err)
}

// unsupported is 415 for a body of a type the route does not take.
func unsupported(want string) error {
	return &refined{err: gateway.Refuse(gateway.CodeMalformed, "", "The body must be %s.", want), status: http.StatusUnsupportedMediaType}
}
