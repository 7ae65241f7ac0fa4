package iysapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"izinli/iys"
)

// Reconciliation (mutabakat, iys-api.md §11) is done per brand and Istanbul
// day, for finished days at most seven days back.

// Summary counts the movements of a day on one channel. Approved counts first
// approvals and those after a refusal, Rejected refusals after an approval,
// Pending what is queued or waits for the recipient.
type Summary struct {
	Channel  iys.Channel
	Source   ChangeSource
	Approved int
	Rejected int
	Pending  int
	Total    int
}

func (c *Client) dayPath(b Brand, day time.Time, form string) (string, error) {
	path, err := b.path()
	if err != nil {
		return "", err
	}
	return path + fmt.Sprintf(form, day.In(iys.Istanbul).Format(time.DateOnly)), nil
}

// DaySummary asks for the counts of a day and recipient type.
func (c *Client) DaySummary(ctx context.Context, b Brand, day time.Time, rt iys.RecipientType) ([]Summary, error) {
	const name = "day summary"
	path, err := c.dayPath(b, day, "/changes/%s/recipients/"+string(rt))
	if err == nil && !rt.Valid() {
		err = fmt.Errorf("%w: recipient type %q", ErrInvalid, rt)
	}
	if err != nil {
		return nil, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	_, body, err := c.do(ctx, call{
		method: http.MethodGet, path: path, name: name, priority: PriorityQuery, timeout: singleTimeout, share: b.BrandCode,
	})
	if err != nil || empty(body) {
		return nil, err
	}
	var w struct {
		Stats []struct {
			Type     flexString `json:"type"`
			Consents []struct {
				Source   flexString `json:"source"`
				Approval flexInt    `json:"approval"`
				Reject   flexInt    `json:"rejection"`
				Pending  flexInt    `json:"pending"`
				Total    flexInt    `json:"total"`
			} `json:"consents"`
		} `json:"changeStats"`
	}
	if err := decode(body, &w); err != nil {
		return nil, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	var out []Summary
	for _, s := range w.Stats {
		for _, n := range s.Consents {
			out = append(out, Summary{
				Channel: iys.Channel(s.Type), Source: ChangeSource(n.Source),
				Approved: int(n.Approval), Rejected: int(n.Reject), Pending: int(n.Pending), Total: int(n.Total),
			})
		}
	}
	return out, nil
}

// Process states of a day's file at İYS.
const (
	AgreementQueued    = "queued"
	AgreementRunning   = "inprogress"
	AgreementCompleted = "completed"
	AgreementFailed    = "error"
)

// Agreement is what İYS holds about a day.
type Agreement struct {
	Process string // Agreement…; queued also when queuing itself failed
	Hash    string // of İYS's file, lower-case hex; empty until completed
	Method  string // "SHA-384" since March 2023
	Agreed  bool   // somebody has agreed already
}

// Agreement asks for the hash of a day's file; false when there were no
// movements.
func (c *Client) Agreement(ctx context.Context, b Brand, day time.Time) (Agreement, bool, error) {
	const name = "agreement"
	path, err := c.dayPath(b, day, "/agreements/%s")
	if err != nil {
		return Agreement{}, false, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	status, body, err := c.do(ctx, call{
		method: http.MethodGet, path: path, name: name, priority: PriorityQuery, timeout: singleTimeout, share: b.BrandCode,
	})
	if err != nil || status == http.StatusNoContent || empty(body) {
		return Agreement{}, false, err
	}
	var w struct {
		Process flexString `json:"processStatus"`
		Hash    flexString `json:"hashValue"`
		Method  flexString `json:"hashMethod"`
		Agreed  flexBool   `json:"agreementStatus"`
	}
	if err := decode(body, &w); err != nil {
		return Agreement{}, false, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	return Agreement{
		Process: strings.ToLower(string(w.Process)), Hash: strings.ToLower(string(w.Hash)),
		Method: string(w.Method), Agreed: bool(w.Agreed),
	}, true, nil
}

// Agree tells İYS that our file of the day equals its own; false when there
// was nothing to agree to.
func (c *Client) Agree(ctx context.Context, b Brand, day time.Time) (bool, error) {
	const name = "agree"
	path, err := c.dayPath(b, day, "/agreements/%s")
	if err != nil {
		return false, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	status, body, err := c.do(ctx, call{
		method: http.MethodPut, path: path, name: name, body: map[string]bool{"agreementStatus": true},
		priority: PriorityQuery, timeout: singleTimeout, share: b.BrandCode,
	})
	if err != nil || status == http.StatusNoContent {
		return false, err
	}
	var w struct {
		Captured  *flexBool `json:"agreementCaptured"`
		Captured2 *flexBool `json:"aggrementCaptured"` // spelling of the schema
	}
	if err := decode(body, &w); err != nil {
		return false, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	captured := w.Captured
	if captured == nil {
		captured = w.Captured2
	}
	if captured == nil || !*captured {
		return false, fmt.Errorf("iysapi: %s: %w: the agreement was not captured", name, ErrAnswer)
	}
	return true, nil
}

// DayFile writes İYS's file of the day (csv, iys-api.md §11) to w as it comes;
// false when there were no movements. After an error w may hold a part of it.
func (c *Client) DayFile(ctx context.Context, b Brand, day time.Time, w io.Writer) (bool, error) {
	return c.dayDownload(ctx, b, day, "/changes/%s/file", "day file", w)
}

// Timestamp writes the time stamp (.tsr, RFC 3161) of an agreed day to w; it is
// the legal proof of the agreement.
func (c *Client) Timestamp(ctx context.Context, b Brand, day time.Time, w io.Writer) (bool, error) {
	return c.dayDownload(ctx, b, day, "/agreements/%s/timestamp", "timestamp", w)
}

func (c *Client) dayDownload(ctx context.Context, b Brand, day time.Time, form, name string, w io.Writer) (bool, error) {
	path, err := c.dayPath(b, day, form)
	if err != nil {
		return false, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	status, _, err := c.do(ctx, call{
		method: http.MethodGet, path: path, name: name, into: w, priority: PriorityQuery, timeout: fileTimeout, share: b.BrandCode,
	})
	return err == nil && status == http.StatusOK, err
}
