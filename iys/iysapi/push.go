package iysapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"izinli/iys"
)

// PushConnection is where İYS shall send what people do over İYS, for one
// channel of a brand. İYS must have enabled push for the brand first; it takes
// at most two active connections a channel, reaches them over https only and
// gives them five seconds to answer (iys-api.md §8.2).
type PushConnection struct {
	URL      string
	Channel  iys.Channel
	Username string // of the Basic authentication İYS will use
	Password string
}

type pushWire struct {
	URL      string `json:"url"`
	Type     string `json:"type"`
	Username string `json:"username"`
	Password string `json:"password"`
}

func (p PushConnection) wire() (pushWire, error) {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Host == "" || u.User != nil:
		return pushWire{}, fmt.Errorf("%w: push url", ErrInvalid)
	case u.Scheme != "https": // H531
		return pushWire{}, fmt.Errorf("%w: İYS pushes over https only (H531)", ErrInvalid)
	case !p.Channel.Valid():
		return pushWire{}, fmt.Errorf("%w: channel %q", ErrInvalid, p.Channel)
	case p.Username == "" || p.Password == "": // H093
		return pushWire{}, fmt.Errorf("%w: push needs a username and a password (H093)", ErrInvalid)
	}
	return pushWire{p.URL, string(p.Channel), p.Username, p.Password}, nil
}

// RegisterPush opens a connection. İYS tries it before it answers: it must ask
// for Basic authentication and take a test movement within five seconds, else
// the error is H530 (no connection), H531 (not https) or H191 (timed out).
func (c *Client) RegisterPush(ctx context.Context, b Brand, p PushConnection) error {
	w, err := p.wire()
	if err != nil {
		return fmt.Errorf("iysapi: register push: %w", err)
	}
	return c.pushCall(ctx, b, "register push", "registration", map[string][]pushWire{"connection": {w}})
}

// UnregisterPush closes a connection; all four fields name it.
func (c *Client) UnregisterPush(ctx context.Context, b Brand, p PushConnection) error {
	w, err := p.wire()
	if err != nil {
		return fmt.Errorf("iysapi: unregister push: %w", err)
	}
	return c.pushCall(ctx, b, "unregister push", "unregistration", w)
}

func (c *Client) pushCall(ctx context.Context, b Brand, name, act string, body any) error {
	path, err := b.path()
	if err != nil {
		return fmt.Errorf("iysapi: %s: %w", name, err)
	}
	_, _, err = c.do(ctx, call{
		method: http.MethodPost, path: path + "/push/" + act, name: name, body: body,
		priority: PriorityQuery, timeout: singleTimeout, share: b.BrandCode,
	})
	return err
}

// PushState is a connection as İYS reports it.
type PushState struct {
	URL        string
	Channel    iys.Channel
	Registered time.Time
	// Connected is true for the one status text that means it; Status is the
	// text itself.
	Connected bool
	Status    string
}

const pushConnected = "Bağlantı Oluşturuldu"

// PushRegistrations lists the connections of a brand.
func (c *Client) PushRegistrations(ctx context.Context, b Brand) ([]PushState, error) {
	path, err := b.path()
	if err != nil {
		return nil, fmt.Errorf("iysapi: push registrations: %w", err)
	}
	_, body, err := c.do(ctx, call{
		method: http.MethodGet, path: path + "/push/registration", name: "push registrations",
		priority: PriorityQuery, timeout: singleTimeout, share: b.BrandCode,
	})
	if err != nil || empty(body) {
		return nil, err
	}
	var w []struct {
		URL          flexString `json:"url"`
		Type         flexString `json:"type"`
		RegisterTime flexTime   `json:"registerTime"`
		Status       flexString `json:"status"`
	}
	if err := decode(body, &w); err != nil {
		return nil, fmt.Errorf("iysapi: push registrations: %w", err)
	}
	out := make([]PushState, len(w))
	for i, it := range w {
		out[i] = PushState{
			URL: string(it.URL), Channel: iys.Channel(it.Type), Registered: it.RegisterTime.Time,
			Connected: it.Status == pushConnected, Status: string(it.Status),
		}
	}
	return out, nil
}
