package httpapi

import (
	"crypto/sha256"
	"net/http"
	"strconv"
	"strings"
	"time"

	"izinli/gateway"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	headerReplayed       = "Idempotent-Replayed"
	maxIdempotencyKey    = 128

	defaultPage = 50
	maxPage     = 500
	maxCursor   = 512
)

// sendMessages is POST /v1/messages.
func (a *API) sendMessages(c *call) error {
	s := &gateway.Submission{Principal: c.p, Door: gateway.DoorHTTP, RemoteIP: remote(c)}
	s.TraceID, _ = c.Get(keyRequestID).(string)
	err := readBody(c, a.cfg.MaxBody, func(body []byte) error {
		if err := decodeSubmission(body, s); err != nil {
			return err
		}
		key, err := idempotencyKey(c, body)
		if !s.DryRun { // there is nothing to repeat in a rehearsal
			s.Idempotency = key
		}
		return err
	})
	if err != nil {
		return err
	}
	if class := c.p.Credential.Class(s.Class); !c.p.Credential.Allows(class) {
		return gateway.Refuse(gateway.CodeClassNotAllowed, "class", "This credential may not send messages of class %q.", class)
	}
	if err := a.limitMessages(c.p, len(s.To)); err != nil {
		return err
	}
	res, err := a.deps.Submitter.Submit(c.Request().Context(), s)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	if res.Replayed {
		h.Set(headerReplayed, "true")
	}
	if res.Batch != (gateway.BatchRef{}) {
		h.Set("Location", "/v1/batches/"+res.Batch.String())
	}
	return c.Blob(http.StatusAccepted, "application/json", appendResult(make([]byte, 0, 256+160*len(res.Messages)), &res))
}

// idempotencyKey reads the header: 1–128 visible ASCII characters. The hash binds it to method, path and body.
func idempotencyKey(c *call, body []byte) (*gateway.IdempotencyKey, error) {
	values := c.Request().Header.Values(headerIdempotencyKey)
	if len(values) == 0 {
		return nil, nil
	}
	key := values[0]
	good := len(values) == 1 && key != "" && len(key) <= maxIdempotencyKey
	for i := range len(key) {
		good = good && key[i] > ' ' && key[i] < 0x7F
	}
	if !good {
		return nil, gateway.Refuse(gateway.CodeInvalid, headerIdempotencyKey,
			"The header must be given once, with 1 to %d visible ASCII characters.", maxIdempotencyKey)
	}
	k := &gateway.IdempotencyKey{Key: key}
	h := sha256.New()
	h.Write([]byte(c.Request().Method + "\n" + c.Request().URL.Path + "\n"))
	h.Write(body)
	h.Sum(k.Hash[:0])
	return k, nil
}

// notFound is the answer for ids that are malformed, unknown or another account's: the three cannot be told apart.
func notFound() error { return gateway.Refuse(gateway.CodeNotFound, "", "") }

func messageID(c *call) (gateway.MessageID, error) {
	id, err := gateway.ParseMessageID(c.Param("id"))
	if err != nil || id.Account != c.p.Account {
		return id, notFound()
	}
	return id, nil
}

func batchRef(c *call) (gateway.BatchRef, error) {
	ref, err := gateway.ParseBatchRef(c.Param("id"))
	if err != nil || ref.Account != c.p.Account {
		return ref, notFound()
	}
	return ref, nil
}

func (a *API) getMessage(c *call) error {
	id, err := messageID(c)
	if err != nil {
		return err
	}
	m, err := a.deps.Reader.Message(c.Request().Context(), c.p.Account, id)
	return answer(c, m, err)
}

func (a *API) cancelMessage(c *call) error {
	id, err := messageID(c)
	if err != nil {
		return err
	}
	if err := a.deps.Steering.CancelMessage(c.Request().Context(), c.p.Account, id); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, cancelled{Cancelled: 1})
}

// cancelled is the answer to a DELETE.
type cancelled struct {
	Cancelled int `json:"cancelled"`
}

func (a *API) getDecisions(c *call) error {
	id, err := messageID(c)
	if err != nil {
		return err
	}
	ds, err := a.deps.Reader.Decisions(c.Request().Context(), c.p.Account, id)
	return answer(c, gateway.Page[gateway.DecisionView]{Items: filled(ds)}, err)
}

func (a *API) listMessages(c *call) error {
	f, err := a.messageFilter(c)
	if err != nil {
		return err
	}
	page, err := a.deps.Reader.Messages(c.Request().Context(), c.p.Account, f)
	page.Items = filled(page.Items)
	return answer(c, page, err)
}

func (a *API) messageFilter(c *call) (f gateway.MessageFilter, err error) {
	q, err := query(c, "batch", "state", "to", "since", "cursor", "limit")
	if err != nil {
		return f, err
	}
	if s := q["batch"]; s != "" {
		f.Batch, err = gateway.ParseBatchRef(s)
		if err != nil || f.Batch.Account != c.p.Account {
			return f, notFound()
		}
	}
	if s := q["state"]; s != "" {
		if f.State = gateway.ParseState(s); f.State == gateway.StateNone {
			return f, gateway.Refuse(gateway.CodeInvalid, "state", "There is no such state.")
		}
	}
	if s := q["to"]; s != "" {
		if s[0] == ' ' { // an unescaped plus sign reads as a blank in a query
			s = "+" + s[1:]
		}
		f.To = a.deps.Normalize(s)
	}
	if s := q["since"]; s != "" {
		if f.Since, err = time.Parse(time.RFC3339, s); err != nil {
			return f, gateway.Refuse(gateway.CodeInvalid, "since", "The parameter must be a time with its offset, like 2026-12-01T10:00:00Z.")
		}
	}
	f.Cursor = q["cursor"]
	f.Limit, err = pageSize(q["limit"])
	return f, err
}

// query reads the parameters of a list; unknown and doubled ones are errors, like unknown and doubled keys of a body.
func query(c *call, names ...string) (map[string]string, error) {
	out := map[string]string{}
next:
	for name, values := range c.QueryParams() {
		for _, n := range names {
			if n != name {
				continue
			}
			if len(values) > 1 {
				return nil, gateway.Refuse(gateway.CodeInvalid, name, "The parameter is given twice.")
			}
			out[name] = values[0]
			continue next
		}
		return nil, gateway.Refuse(gateway.CodeUnknownField, limitRunes(name, 64), "There is no such parameter; there are %s.",
			strings.Join(names, ", "))
	}
	if len(out["cursor"]) > maxCursor {
		return nil, gateway.Refuse(gateway.CodeInvalid, "cursor", "The parameter is not a cursor of ours.")
	}
	return out, nil
}

func pageSize(s string) (int, error) {
	if s == "" {
		return defaultPage, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > maxPage {
		return 0, gateway.Refuse(gateway.CodeInvalid, "limit", "The parameter must be a number from 1 to %d.", maxPage)
	}
	return n, nil
}

// paging reads the parameters of a list that takes no others.
func paging(c *call) (cursor string, limit int, err error) {
	q, err := query(c, "cursor", "limit")
	if err == nil {
		limit, err = pageSize(q["limit"])
	}
	return q["cursor"], limit, err
}

// filled makes an empty list of no list, which JSON would call null.
func filled[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func answer(c *call, v any, err error) error {
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, v)
}

func (a *API) getBatch(c *call) error {
	ref, err := batchRef(c)
	if err != nil {
		return err
	}
	b, err := a.deps.Reader.Batch(c.Request().Context(), c.p.Account, ref)
	if b.States == nil {
		b.States = map[string]int{}
	}
	if b.Reasons == nil {
		b.Reasons = map[string]int{}
	}
	return answer(c, b, err)
}

func (a *API) cancelBatch(c *call) error {
	ref, err := batchRef(c)
	if err != nil {
		return err
	}
	n, err := a.deps.Steering.CancelBatch(c.Request().Context(), c.p.Account, ref)
	return answer(c, cancelled{Cancelled: n}, err)
}

func (a *API) pauseBatch(c *call) error { return a.steer(c, true) }

func (a *API) resumeBatch(c *call) error { return a.steer(c, false) }

func (a *API) steer(c *call, pause bool) error {
	ref, err := batchRef(c)
	if err != nil {
		return err
	}
	act := a.deps.Steering.ResumeBatch
	if pause {
		act = a.deps.Steering.PauseBatch
	}
	if err := act(c.Request().Context(), c.p.Account, ref); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, struct {
		Batch  gateway.BatchRef `json:"batch"`
		Paused bool             `json:"paused"`
	}{ref, pause})
}
