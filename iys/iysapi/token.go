package iysapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

// Token is what İYS gave for one API user, and until when it must not be asked
// again. It is a secret; a TokenStore seals it.
type Token struct {
	Access           string
	Refresh          string
	ExpiresAt        time.Time
	RefreshExpiresAt time.Time
	// SilentUntil is the end of the hour without token calls after H084.
	// Asking earlier starts that hour anew, so it must survive a restart.
	SilentUntil time.Time
}

// LogValue keeps tokens out of logs.
func (t Token) LogValue() slog.Value { return slog.StringValue("***") }

// TokenStore keeps the token across restarts, so that a restarting server does
// not spend the hundred token calls an hour. Both methods are called by one
// goroutine at a time.
type TokenStore interface {
	// LoadToken returns the zero Token when there is none.
	LoadToken(ctx context.Context, user string) (Token, error)
	SaveToken(ctx context.Context, user string, t Token) error
}

const (
	// refreshEarly is how long before its end a token is replaced.
	refreshEarly = 5 * time.Minute
	// silentHour is the wait after H084; a minute more, since the clocks may
	// differ and an early call costs another hour.
	silentHour = time.Hour + time.Minute
	// deniedWait is how long wrong credentials are not tried again.
	deniedWait = 5 * time.Minute
	// tokenTimeout bounds one token call. It outlives the caller's context:
	// a refresh token is spent by asking, and its answer must be kept.
	tokenTimeout = 30 * time.Second
)

// tokens holds the one token of a client.
type tokens struct {
	user, password string
	store          TokenStore
	log            *slog.Logger
	post           func(ctx context.Context, body any) (status int, answer []byte, err error)
	hourly         *budget

	turn chan struct{} // one slot: whoever holds it may read and change the rest

	loaded      bool
	token       Token
	deniedUntil time.Time
	denied      *APIError
}

// access returns a valid access token. bad is a token İYS has just refused, or
// empty; it is replaced if it is still the current one. Concurrent callers
// wait for one another, so one call to İYS serves all.
func (t *tokens) access(ctx context.Context, bad string) (string, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	now := time.Now()
	if err := t.load(ctx); err != nil {
		return "", err
	}
	if bad != "" && t.token.Access == bad {
		// Refused before its time: the refresh token is of the same session
		// and is not worth a try.
		t.token.Access, t.token.Refresh = "", ""
	}
	valid := t.token.Access != "" && now.Before(t.token.ExpiresAt)
	if valid && now.Before(t.token.ExpiresAt.Add(-refreshEarly)) {
		return t.token.Access, nil
	}
	err := t.renew(ctx, now)
	if err != nil && valid {
		t.log.Warn("iys token not renewed, the old one still holds", "err", err)
		return t.token.Access, nil
	}
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	return t.token.Access, nil
}

func (t *tokens) load(ctx context.Context) error {
	if t.loaded || t.store == nil {
		t.loaded = true
		return nil
	}
	tok, err := t.store.LoadToken(ctx, t.user)
	if err != nil {
		// Asking İYS without knowing whether the silent hour runs could
		// prolong it.
		return fmt.Errorf("token: load: %w", err)
	}
	t.token, t.loaded = tok, true
	t.hourly.silence(tok.SilentUntil)
	return nil
}

// renew replaces the token: by refresh when possible, else by password.
func (t *tokens) renew(ctx context.Context, now time.Time) error {
	if now.Before(t.deniedUntil) {
		return t.denied
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenTimeout)
	defer cancel()
	if t.token.Refresh != "" && now.Before(t.token.RefreshExpiresAt) {
		err := t.grant(ctx, map[string]string{
			"grant_type": "refresh_token", "refresh_token": t.token.Refresh,
		})
		if err == nil {
			return nil
		}
		e, ok := errors.AsType[*APIError](err)
		if !ok || e.Retry == RetryAgain || e.Retry == RetryWaitHour {
			return err
		}
		t.token.Refresh = "" // expired or spent; the documents do not tell which code says so
	}
	err := t.grant(ctx, map[string]string{
		"grant_type": "password", "username": t.user, "password": t.password,
	})
	if e, ok := errors.AsType[*APIError](err); ok && e.HTTP >= 400 && e.HTTP < 500 && e.Retry != RetryWaitHour && e.Retry != RetryAgain {
		// Wrong credentials are answered with 400 invalid_request.
		e.Retry = RetryOperator
		t.denied, t.deniedUntil = e, now.Add(deniedWait)
	}
	return err
}

func (t *tokens) grant(ctx context.Context, form map[string]string) error {
	now := time.Now()
	if until, ok := t.hourly.take(now); !ok {
		return localLimit("H084", "token calls are silent", until)
	}
	status, body, err := t.post(ctx, form)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		e := parseError(status, body)
		if e.Code == "H084" {
			e.Until = now.Add(silentHour)
			t.hourly.silence(e.Until)
			t.token.SilentUntil = e.Until
			t.save(ctx)
		}
		return e
	}
	var w struct {
		Access  string  `json:"access_token"`
		Refresh string  `json:"refresh_token"`
		Expires flexInt `json:"expires_in"`
		RefExp  flexInt `json:"refresh_expires_in"`
	}
	if json.Unmarshal(body, &w) != nil || w.Access == "" {
		return fmt.Errorf("%w: no access token in it", ErrAnswer)
	}
	seconds := func(n flexInt, standard int) time.Duration {
		if n <= 0 {
			n = flexInt(standard)
		}
		return time.Duration(n) * time.Second
	}
	// Counted from before the call, so that our end is never later than theirs.
	t.token = Token{
		Access: w.Access, Refresh: w.Refresh,
		ExpiresAt:        now.Add(seconds(w.Expires, 7200)),
		RefreshExpiresAt: now.Add(seconds(w.RefExp, 14400)),
	}
	t.deniedUntil = time.Time{}
	t.save(ctx)
	return nil
}

// save keeps the token. A store that fails costs a token call after the next
// restart, which is no reason to fail the work at hand.
func (t *tokens) save(ctx context.Context) {
	if t.store == nil {
		return
	}
	if err := t.store.SaveToken(ctx, t.user, t.token); err != nil {
		t.log.Error("iys token not saved", "err", err)
	}
}

// localLimit is the refusal of a call that İYS would refuse as well.
func localLimit(code, text string, until time.Time) *APIError {
	d := Detail{Code: code, Message: text, Index: -1}
	return &APIError{Detail: d, Details: []Detail{d}, Retry: RetryWaitHour, Until: until}
}
