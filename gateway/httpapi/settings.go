package httpapi

import (
	_ "embed"
	"net/http"
	"slices"
	"strings"

	"izinli/gateway"
)

//go:embed openapi.json
var openAPIDocument []byte

func (a *API) openAPI(c *call) error {
	return c.Blob(http.StatusOK, "application/json", openAPIDocument)
}

// index is GET /v1/: where things are.
func (a *API) index(c *call) error {
	return c.JSON(http.StatusOK, struct {
		Service string            `json:"service"`
		Links   map[string]string `json:"links"`
	}{"izinli", map[string]string{
		"openapi": "/openapi.json", "ready": "/readyz", "messages": "/v1/messages", "batch": "/v1/batches/{id}",
		"consents": "/v1/consents", "import": "/v1/consents/import", "imports": "/v1/imports", "optouts": "/v1/optouts", "via": "/v1/via", "inbound": "/v1/inbound",
		"balance": "/v1/balance", "webhooks": "/v1/webhooks",
	}})
}

// status is the answer of the two probes.
type status struct {
	Status string `json:"status"`
}

func (a *API) healthz(c *call) error { return c.JSON(http.StatusOK, status{"ok"}) }

func (a *API) readyz(c *call) error {
	if err := a.deps.Ready(); err != nil {
		return gateway.Refuse(gateway.CodeUnavailable, "", "%s", err.Error())
	}
	return c.JSON(http.StatusOK, status{"ready"})
}

func (a *API) listInbound(c *call) error {
	cursor, limit, err := paging(c)
	if err != nil {
		return err
	}
	page, err := a.deps.Reader.Inbound(c.Request().Context(), c.p.Account, cursor, limit)
	page.Items = filled(page.Items)
	return answer(c, page, err)
}

func (a *API) getBalance(c *call) error {
	b, err := a.deps.Reader.Balance(c.Request().Context(), c.p.Account)
	return answer(c, b, err)
}

func (a *API) getWebhook(c *call) error {
	w, err := a.deps.Webhooks.Webhook(c.Request().Context(), c.p.Account)
	w.Secret = "" // shown once, by the PUT that made it
	return answer(c, w, err)
}

// putWebhook is PUT /v1/webhooks: the whole setting. The answer carries the secret when a new one was made.
func (a *API) putWebhook(c *call) error {
	var w gateway.WebhookView
	err := readBody(c, maxSmallBody, func(body []byte) error {
		return readJSON(body, func(r *reader) error {
			return r.object(func(name string) (err error) {
				switch name {
				case "url":
					w.URL, err = r.short(2048)
				case "events":
					err = r.array(func() error {
						e, err := r.str()
						if err == nil && !slices.Contains(gateway.EventTypes, e) {
							err = r.refuse(gateway.CodeInvalid, "There is no such event; there are %s.", strings.Join(gateway.EventTypes, ", "))
						}
						if !slices.Contains(w.Events, e) {
							w.Events = append(w.Events, e)
						}
						return err
					})
				case "paused":
					w.Paused, err = r.boolean()
				default:
					err = r.unknown(name)
				}
				return err
			})
		})
	})
	if err != nil {
		return err
	}
	if err := a.deps.CheckURL(w.URL); err != nil && w.URL != "" { // an empty URL removes the webhook
		return &gateway.Error{Code: gateway.CodeInvalid, Field: "url", Text: err.Error()}
	}
	got, err := a.deps.Webhooks.PutWebhook(c.Request().Context(), c.p.Account, w)
	return answer(c, got, err)
}
