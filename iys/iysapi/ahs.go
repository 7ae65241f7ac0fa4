package iysapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"izinli/iys"
)

// AHSClient asks in the name of an intermediary (aracı hizmet sağlayıcı). An
// intermediary may only ask whether a message may go; this type has no method
// that writes, lists or changes anything.
//
// One public source describes this API (iys-api.md §14), so it is read with
// distrust: only an answer that clearly names the refusing addresses counts.
type AHSClient struct {
	c              caller
	user, password string
}

// NewAHS returns a client for the AHS host.
func NewAHS(cfg Config) (*AHSClient, error) {
	if cfg.Rate == nil {
		cfg.Rate = NewRate(cfg.Limits)
	}
	c, err := newCaller(cfg, AHSLiveURL)
	if err != nil {
		return nil, err
	}
	if cfg.Username == "" || cfg.Password == "" {
		return nil, fmt.Errorf("iysapi: %w: username and password are required", ErrInvalid)
	}
	return &AHSClient{c: c, user: cfg.Username, password: cfg.Password}, nil
}

// Quality returns the counts as this client saw them.
func (c *AHSClient) Quality() Quality { return c.c.score.read(time.Now()) }

func (c *AHSClient) do(ctx context.Context, k call) ([]byte, error) {
	status, body, err := c.c.send(ctx, k, func(r *http.Request) { r.SetBasicAuth(c.user, c.password) })
	if err != nil {
		return nil, fmt.Errorf("iysapi: %s: %w", k.name, err)
	}
	if status != http.StatusOK {
		e := parseError(status, body)
		if status < 300 || e.Retry == RetryNewToken {
			// No content answers nothing; and there is no token to renew.
			e.Retry = RetryOperator
		}
		return nil, fmt.Errorf("iysapi: %s: %w", k.name, e)
	}
	return body, nil
}

// Approved asks about up to MaxBatch addresses; true means that the address is
// not among those that must not get the message. Whether "no record" counts as
// refused there is not documented: a list of refusals alone would let unknown
// addresses pass, which is İYS's answer to give and not ours to correct.
//
// An answer without a list, or with an address that was not asked for (a
// spelling of theirs we do not know), is an error, since it cannot be told
// whom it stops.
func (c *AHSClient) Approved(ctx context.Context, brandCode string, rt iys.RecipientType, ch iys.Channel, recipients []string) ([]bool, error) {
	const name = "ahs rejected"
	if !digits(brandCode) {
		return nil, fmt.Errorf("iysapi: %s: %w: brandCode", name, ErrInvalid)
	}
	place, list, err := question(rt, ch, recipients)
	if err != nil {
		return nil, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	body, err := c.do(ctx, call{
		method: http.MethodPost, path: "/brands/" + brandCode + "/consents/" + string(rt) + "/rejected/" + string(ch),
		name: name, body: map[string][]string{"recipients": list}, priority: PriorityQuery, timeout: batchTimeout, share: brandCode,
	})
	if err != nil {
		return nil, err
	}
	rejected, ok := stringList(body, "list")
	if !ok {
		return nil, fmt.Errorf("iysapi: %s: %w: no list", name, ErrAnswer)
	}
	out := make([]bool, len(recipients))
	for i := range out {
		out[i] = true
	}
	for _, r := range rejected {
		i, known := place[canonical(r)]
		if !known {
			return nil, fmt.Errorf("iysapi: %s: %w: an address that was not asked for", name, ErrAnswer)
		}
		out[i] = false
	}
	return out, nil
}

// Brands lists the codes of the brands of a provider, by tax number, that
// authorised us. The answer's shape is not documented: codes are taken from
// objects with a brandCode and from bare numbers, in a bare array or in one
// under list or brands.
func (c *AHSClient) Brands(ctx context.Context, taxNumber string) ([]string, error) {
	const name = "ahs brands"
	if !digits(taxNumber) {
		return nil, fmt.Errorf("iysapi: %s: %w: tax number", name, ErrInvalid)
	}
	body, err := c.do(ctx, call{
		method: http.MethodGet, path: "/brands/" + taxNumber, name: name, priority: PriorityQuery, timeout: singleTimeout,
	})
	if err != nil {
		return nil, err
	}
	items, ok := rawList(body, "list", "brands")
	if !ok {
		return nil, fmt.Errorf("iysapi: %s: %w: no list", name, ErrAnswer)
	}
	var out []string
	for _, it := range items {
		var o struct {
			BrandCode flexString `json:"brandCode"`
		}
		var s flexString
		if json.Unmarshal(it, &o) == nil && digits(string(o.BrandCode)) {
			out = append(out, string(o.BrandCode))
		} else if json.Unmarshal(it, &s) == nil && digits(string(s)) {
			out = append(out, string(s))
		}
	}
	return out, nil
}

// rawList finds the list in an answer: the answer itself or a named field.
// null is no list.
func rawList(body []byte, names ...string) ([]json.RawMessage, bool) {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && list != nil {
		return list, true
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return nil, false
	}
	for _, n := range names {
		raw := bytes.TrimSpace(fields[n])
		if len(raw) > 0 && raw[0] == '[' && json.Unmarshal(raw, &list) == nil {
			return list, true
		}
	}
	return nil, false
}

// stringList is rawList of strings; an element of another kind spoils it.
func stringList(body []byte, names ...string) ([]string, bool) {
	items, ok := rawList(body, names...)
	if !ok {
		return nil, false
	}
	out := make([]string, len(items))
	for i, it := range items {
		if json.Unmarshal(it, &out[i]) != nil || out[i] == "" {
			return nil, false
		}
	}
	return out, true
}
