package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"izinli/gateway"
)

// call is one authenticated request; p is nil on open routes.
type call struct {
	echo.Context
	p *gateway.Principal
}

// route is one line of the API. An empty scope means that no credential is asked for.
type route struct {
	method, path, scope string
	serve               func(a *API, c *call) error
}

// routes is the whole API on one screen; openapi.json says the same to customers.
var routes = []route{
	{http.MethodPost, "/v1/messages", gateway.ScopeSend, (*API).sendMessages},
	{http.MethodGet, "/v1/messages", gateway.ScopeRead, (*API).listMessages},
	{http.MethodGet, "/v1/messages/:id", gateway.ScopeRead, (*API).getMessage},
	{http.MethodDelete, "/v1/messages/:id", gateway.ScopeSend, (*API).cancelMessage},
	{http.MethodGet, "/v1/messages/:id/decision", gateway.ScopeRead, (*API).getDecisions},

	{http.MethodGet, "/v1/batches/:id", gateway.ScopeRead, (*API).getBatch},
	{http.MethodDelete, "/v1/batches/:id", gateway.ScopeSend, (*API).cancelBatch},
	{http.MethodPost, "/v1/batches/:id/pause", gateway.ScopeSend, (*API).pauseBatch},
	{http.MethodPost, "/v1/batches/:id/resume", gateway.ScopeSend, (*API).resumeBatch},

	{http.MethodPost, "/v1/consents", gateway.ScopeConsents, (*API).addConsents},
	{http.MethodGet, "/v1/consents/:channel/:address", gateway.ScopeConsents, (*API).getConsent},
	{http.MethodPost, "/v1/consents/import", gateway.ScopeConsents, (*API).startImport},
	{http.MethodGet, "/v1/imports", gateway.ScopeConsents, (*API).listImports},
	{http.MethodGet, "/v1/imports/:id", gateway.ScopeConsents, (*API).getImport},
	{http.MethodGet, "/v1/imports/:id/errors", gateway.ScopeConsents, (*API).getImportErrors},
	{http.MethodPost, "/v1/optouts", gateway.ScopeConsents, (*API).optOut},

	{http.MethodPost, "/v1/via", gateway.ScopeConsents, (*API).startVia},
	{http.MethodGet, "/v1/via", gateway.ScopeConsents, (*API).listVia},
	{http.MethodGet, "/v1/via/:id", gateway.ScopeConsents, (*API).getVia},
	{http.MethodPost, "/v1/via/:id/complete", gateway.ScopeConsents, (*API).completeVia},
	{http.MethodGet, "/v1/via/:id/proof", gateway.ScopeConsents, (*API).getViaProof},

	{http.MethodGet, "/v1/inbound", gateway.ScopeRead, (*API).listInbound},
	{http.MethodGet, "/v1/balance", gateway.ScopeRead, (*API).getBalance},
	{http.MethodGet, "/v1/webhooks", gateway.ScopeWebhooks, (*API).getWebhook},
	{http.MethodPut, "/v1/webhooks", gateway.ScopeWebhooks, (*API).putWebhook},

	{http.MethodGet, "/v1/", "", (*API).index},
	{http.MethodGet, "/openapi.json", "", (*API).openAPI},
	{http.MethodGet, "/healthz", "", (*API).healthz},
	{http.MethodGet, "/readyz", "", (*API).readyz},
}
