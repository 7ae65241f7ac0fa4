package desk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"syscall"

	"izinli/gateway"
	"izinli/gateway/evidence"
)

// Client has a running server do the acts of Service.
type Client struct{ http *http.Client }

var _ Service = (*Client)(nil)

// errNoServer says that nobody listens on the socket.
var errNoServer = errors.New("desk: no server is running")

// Dial returns a client of the socket at path; an error wraps the reason when nobody answers there.
func Dial(ctx context.Context, path string) (*Client, error) {
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}
	c, err := dial(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, errNoServer
	case err != nil:
		return nil, fmt.Errorf("desk: dial: %w", err)
	}
	_ = c.Close()
	return &Client{http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}}}, nil
}

// Close gives up idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Reach returns the service of the server on the socket or, when none runs, what open returns: the service over a store of one's
// own. Close what is returned.
func Reach(ctx context.Context, socket string, open func() (Service, io.Closer, error)) (Service, io.Closer, error) {
	c, err := Dial(ctx, socket)
	if errors.Is(err, errNoServer) {
		return open()
	}
	if err != nil {
		return nil, nil, err
	}
	return c, c, nil
}

// send calls one method. The method's name is also its route.
func send[Out any](ctx context.Context, c *Client, method string, in any) (out Out, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, fmt.Errorf("desk: %s: %w", method, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/"+method, bytes.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("desk: %s: %w", method, err)
	}
	req.Header.Set(actorHeader, ActorOf(ctx))
	resp, err := c.http.Do(req)
	if err != nil {
		return out, fmt.Errorf("desk: %s: %w", method, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		var e wireError
		if err := json.NewDecoder(resp.Body).Decode(&e); err != nil {
			return out, fmt.Errorf("desk: %s: the server answered %s", method, resp.Status)
		}
		return out, &gateway.Error{Code: e.Code, Text: e.Text, Field: e.Field}
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		return out, fmt.Errorf("desk: %s: answer: %w", method, err)
	}
	return out, nil
}

// The methods of Service, each carried by send.

// ListAccounts is Service.ListAccounts at the server.
func (c *Client) ListAccounts(ctx context.Context, in Query) ([]gateway.Account, error) {
	return send[[]gateway.Account](ctx, c, "ListAccounts", in)
}

// PutAccount is Service.PutAccount at the server.
func (c *Client) PutAccount(ctx context.Context, in gateway.Account) (gateway.Account, error) {
	return send[gateway.Account](ctx, c, "PutAccount", in)
}

// SuspendAccount is Service.SuspendAccount at the server.
func (c *Client) SuspendAccount(ctx context.Context, in Suspension) (gateway.Account, error) {
	return send[gateway.Account](ctx, c, "SuspendAccount", in)
}

// AddCredits is Service.AddCredits at the server.
func (c *Client) AddCredits(ctx context.Context, in CreditEntry) (gateway.Balance, error) {
	return send[gateway.Balance](ctx, c, "AddCredits", in)
}

// Balance is Service.Balance at the server.
func (c *Client) Balance(ctx context.Context, in Query) (gateway.Balance, error) {
	return send[gateway.Balance](ctx, c, "Balance", in)
}

// ListBrands is Service.ListBrands at the server.
func (c *Client) ListBrands(ctx context.Context, in Query) ([]gateway.Brand, error) {
	return send[[]gateway.Brand](ctx, c, "ListBrands", in)
}

// PutBrand is Service.PutBrand at the server.
func (c *Client) PutBrand(ctx context.Context, in gateway.Brand) (gateway.Brand, error) {
	return send[gateway.Brand](ctx, c, "PutBrand", in)
}

// ListSenders is Service.ListSenders at the server.
func (c *Client) ListSenders(ctx context.Context, in Query) ([]gateway.Sender, error) {
	return send[[]gateway.Sender](ctx, c, "ListSenders", in)
}

// PutSender is Service.PutSender at the server.
func (c *Client) PutSender(ctx context.Context, in gateway.Sender) (gateway.Sender, error) {
	return send[gateway.Sender](ctx, c, "PutSender", in)
}

// DeleteSender is Service.DeleteSender at the server.
func (c *Client) DeleteSender(ctx context.Context, in gateway.SenderKey) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteSender", in)
}

// ListNumbers is Service.ListNumbers at the server.
func (c *Client) ListNumbers(ctx context.Context, in Query) ([]gateway.Number, error) {
	return send[[]gateway.Number](ctx, c, "ListNumbers", in)
}

// PutNumber is Service.PutNumber at the server.
func (c *Client) PutNumber(ctx context.Context, in gateway.Number) (gateway.Number, error) {
	return send[gateway.Number](ctx, c, "PutNumber", in)
}

// DeleteNumber is Service.DeleteNumber at the server.
func (c *Client) DeleteNumber(ctx context.Context, in gateway.Number) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteNumber", in)
}

// ListCredentials is Service.ListCredentials at the server.
func (c *Client) ListCredentials(ctx context.Context, in Query) ([]gateway.Credential, error) {
	return send[[]gateway.Credential](ctx, c, "ListCredentials", in)
}

// CreateCredential is Service.CreateCredential at the server.
func (c *Client) CreateCredential(ctx context.Context, in NewCredential) (Issued, error) {
	return send[Issued](ctx, c, "CreateCredential", in)
}

// ChangeCredential is Service.ChangeCredential at the server.
func (c *Client) ChangeCredential(ctx context.Context, in gateway.Credential) (gateway.Credential, error) {
	return send[gateway.Credential](ctx, c, "ChangeCredential", in)
}

// RotateCredential is Service.RotateCredential at the server.
func (c *Client) RotateCredential(ctx context.Context, in Rotation) (Issued, error) {
	return send[Issued](ctx, c, "RotateCredential", in)
}

// RevokeCredential is Service.RevokeCredential at the server.
func (c *Client) RevokeCredential(ctx context.Context, in gateway.CredentialKey) (gateway.Credential, error) {
	return send[gateway.Credential](ctx, c, "RevokeCredential", in)
}

// ListOperators is Service.ListOperators at the server.
func (c *Client) ListOperators(ctx context.Context, in Query) ([]gateway.Operator, error) {
	return send[[]gateway.Operator](ctx, c, "ListOperators", in)
}

// PutOperator is Service.PutOperator at the server.
func (c *Client) PutOperator(ctx context.Context, in OperatorInput) (gateway.Operator, error) {
	return send[gateway.Operator](ctx, c, "PutOperator", in)
}

// DeleteOperator is Service.DeleteOperator at the server.
func (c *Client) DeleteOperator(ctx context.Context, in Name) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteOperator", in)
}

// ListRoutes is Service.ListRoutes at the server.
func (c *Client) ListRoutes(ctx context.Context, in Query) ([]gateway.Route, error) {
	return send[[]gateway.Route](ctx, c, "ListRoutes", in)
}

// PutRoute is Service.PutRoute at the server.
func (c *Client) PutRoute(ctx context.Context, in gateway.Route) (gateway.Route, error) {
	return send[gateway.Route](ctx, c, "PutRoute", in)
}

// DeleteRoute is Service.DeleteRoute at the server.
func (c *Client) DeleteRoute(ctx context.Context, in Name) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteRoute", in)
}

// TryRoute is Service.TryRoute at the server.
func (c *Client) TryRoute(ctx context.Context, in Trial) (Path, error) {
	return send[Path](ctx, c, "TryRoute", in)
}

// ListIYSLinks is Service.ListIYSLinks at the server.
func (c *Client) ListIYSLinks(ctx context.Context, in Query) ([]gateway.IYSLink, error) {
	return send[[]gateway.IYSLink](ctx, c, "ListIYSLinks", in)
}

// PutIYSLink is Service.PutIYSLink at the server.
func (c *Client) PutIYSLink(ctx context.Context, in IYSLinkInput) (gateway.IYSLink, error) {
	return send[gateway.IYSLink](ctx, c, "PutIYSLink", in)
}

// ListWebhooks is Service.ListWebhooks at the server.
func (c *Client) ListWebhooks(ctx context.Context, in Query) ([]gateway.Webhook, error) {
	return send[[]gateway.Webhook](ctx, c, "ListWebhooks", in)
}

// PutWebhook is Service.PutWebhook at the server.
func (c *Client) PutWebhook(ctx context.Context, in WebhookInput) (gateway.WebhookView, error) {
	return send[gateway.WebhookView](ctx, c, "PutWebhook", in)
}

// ListForms is Service.ListForms at the server.
func (c *Client) ListForms(ctx context.Context, in Query) ([]FormView, error) {
	return send[[]FormView](ctx, c, "ListForms", in)
}

// CreateForm is Service.CreateForm at the server.
func (c *Client) CreateForm(ctx context.Context, in gateway.Form) (FormView, error) {
	return send[FormView](ctx, c, "CreateForm", in)
}

// RevokeForm is Service.RevokeForm at the server.
func (c *Client) RevokeForm(ctx context.Context, in Name) (FormView, error) {
	return send[FormView](ctx, c, "RevokeForm", in)
}

// Message is Service.Message at the server.
func (c *Client) Message(ctx context.Context, in Name) (MessageDetail, error) {
	return send[MessageDetail](ctx, c, "Message", in)
}

// ListMessages is Service.ListMessages at the server.
func (c *Client) ListMessages(ctx context.Context, in MessageQuery) (gateway.Page[gateway.MessageView], error) {
	return send[gateway.Page[gateway.MessageView]](ctx, c, "ListMessages", in)
}

// CancelMessage is Service.CancelMessage at the server.
func (c *Client) CancelMessage(ctx context.Context, in Name) (Nothing, error) {
	return send[Nothing](ctx, c, "CancelMessage", in)
}

// Batch is Service.Batch at the server.
func (c *Client) Batch(ctx context.Context, in Name) (gateway.BatchView, error) {
	return send[gateway.BatchView](ctx, c, "Batch", in)
}

// PauseBatch is Service.PauseBatch at the server.
func (c *Client) PauseBatch(ctx context.Context, in Name) (gateway.BatchView, error) {
	return send[gateway.BatchView](ctx, c, "PauseBatch", in)
}

// ResumeBatch is Service.ResumeBatch at the server.
func (c *Client) ResumeBatch(ctx context.Context, in Name) (gateway.BatchView, error) {
	return send[gateway.BatchView](ctx, c, "ResumeBatch", in)
}

// CancelBatch is Service.CancelBatch at the server.
func (c *Client) CancelBatch(ctx context.Context, in Name) (Cancelled, error) {
	return send[Cancelled](ctx, c, "CancelBatch", in)
}

// LookupConsent is Service.LookupConsent at the server.
func (c *Client) LookupConsent(ctx context.Context, in ConsentQuery) (gateway.ConsentView, error) {
	return send[gateway.ConsentView](ctx, c, "LookupConsent", in)
}

// AddConsents is Service.AddConsents at the server.
func (c *Client) AddConsents(ctx context.Context, in ConsentInput) ([]gateway.ConsentResult, error) {
	return send[[]gateway.ConsentResult](ctx, c, "AddConsents", in)
}

// OptOut is Service.OptOut at the server.
func (c *Client) OptOut(ctx context.Context, in gateway.OptOut) (Nothing, error) {
	return send[Nothing](ctx, c, "OptOut", in)
}

// ListBlacklist is Service.ListBlacklist at the server.
func (c *Client) ListBlacklist(ctx context.Context, in BlacklistQuery) (gateway.Page[BlacklistEntry], error) {
	return send[gateway.Page[BlacklistEntry]](ctx, c, "ListBlacklist", in)
}

// PutBlacklist is Service.PutBlacklist at the server.
func (c *Client) PutBlacklist(ctx context.Context, in BlacklistEntry) (Nothing, error) {
	return send[Nothing](ctx, c, "PutBlacklist", in)
}

// DeleteBlacklist is Service.DeleteBlacklist at the server.
func (c *Client) DeleteBlacklist(ctx context.Context, in BlacklistEntry) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteBlacklist", in)
}

// Verify is Service.Verify at the server.
func (c *Client) Verify(ctx context.Context, in Nothing) (Report, error) {
	return send[Report](ctx, c, "Verify", in)
}

// ListSmarthosts is Service.ListSmarthosts at the server.
func (c *Client) ListSmarthosts(ctx context.Context, in Query) ([]gateway.Smarthost, error) {
	return send[[]gateway.Smarthost](ctx, c, "ListSmarthosts", in)
}

// PutSmarthost is Service.PutSmarthost at the server.
func (c *Client) PutSmarthost(ctx context.Context, in SmarthostInput) (gateway.Smarthost, error) {
	return send[gateway.Smarthost](ctx, c, "PutSmarthost", in)
}

// DeleteSmarthost is Service.DeleteSmarthost at the server.
func (c *Client) DeleteSmarthost(ctx context.Context, in Name) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteSmarthost", in)
}

// ListDKIMKeys is Service.ListDKIMKeys at the server.
func (c *Client) ListDKIMKeys(ctx context.Context, in Query) ([]gateway.DKIMKey, error) {
	return send[[]gateway.DKIMKey](ctx, c, "ListDKIMKeys", in)
}

// CreateDKIMKey is Service.CreateDKIMKey at the server.
func (c *Client) CreateDKIMKey(ctx context.Context, in DKIMInput) (gateway.DKIMKey, error) {
	return send[gateway.DKIMKey](ctx, c, "CreateDKIMKey", in)
}

// SwitchDKIMKey is Service.SwitchDKIMKey at the server.
func (c *Client) SwitchDKIMKey(ctx context.Context, in DKIMSwitch) (gateway.DKIMKey, error) {
	return send[gateway.DKIMKey](ctx, c, "SwitchDKIMKey", in)
}

// DeleteDKIMKey is Service.DeleteDKIMKey at the server.
func (c *Client) DeleteDKIMKey(ctx context.Context, in gateway.DKIMName) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteDKIMKey", in)
}

// ListRelayPeers is Service.ListRelayPeers at the server.
func (c *Client) ListRelayPeers(ctx context.Context, in Query) ([]gateway.RelayPeer, error) {
	return send[[]gateway.RelayPeer](ctx, c, "ListRelayPeers", in)
}

// PutRelayPeer is Service.PutRelayPeer at the server.
func (c *Client) PutRelayPeer(ctx context.Context, in gateway.RelayPeer) (gateway.RelayPeer, error) {
	return send[gateway.RelayPeer](ctx, c, "PutRelayPeer", in)
}

// DeleteRelayPeer is Service.DeleteRelayPeer at the server.
func (c *Client) DeleteRelayPeer(ctx context.Context, in Name) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteRelayPeer", in)
}

// ListSuppressions is Service.ListSuppressions at the server.
func (c *Client) ListSuppressions(ctx context.Context, in SuppressionQuery) (gateway.Page[gateway.Suppression], error) {
	return send[gateway.Page[gateway.Suppression]](ctx, c, "ListSuppressions", in)
}

// DeleteSuppression is Service.DeleteSuppression at the server.
func (c *Client) DeleteSuppression(ctx context.Context, in gateway.Suppression) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteSuppression", in)
}

// Evidence is Service.Evidence at the server.
func (c *Client) Evidence(ctx context.Context, in EvidenceQuery) (evidence.Bundle, error) {
	return send[evidence.Bundle](ctx, c, "Evidence", in)
}

// Roots is Service.Roots at the server.
func (c *Client) Roots(ctx context.Context, in RootQuery) ([]evidence.DayRoot, error) {
	return send[[]evidence.DayRoot](ctx, c, "Roots", in)
}

// ListHolds is Service.ListHolds at the server.
func (c *Client) ListHolds(ctx context.Context, in Query) ([]gateway.Hold, error) {
	return send[[]gateway.Hold](ctx, c, "ListHolds", in)
}

// PutHold is Service.PutHold at the server.
func (c *Client) PutHold(ctx context.Context, in gateway.Hold) (gateway.Hold, error) {
	return send[gateway.Hold](ctx, c, "PutHold", in)
}

// DeleteHold is Service.DeleteHold at the server.
func (c *Client) DeleteHold(ctx context.Context, in gateway.Hold) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteHold", in)
}

// ListEvents is Service.ListEvents at the server.
func (c *Client) ListEvents(ctx context.Context, in EventQuery) (gateway.Page[gateway.Event], error) {
	return send[gateway.Page[gateway.Event]](ctx, c, "ListEvents", in)
}

// ReplayEvents is Service.ReplayEvents at the server.
func (c *Client) ReplayEvents(ctx context.Context, in Replay) (Replayed, error) {
	return send[Replayed](ctx, c, "ReplayEvents", in)
}

// ListBlocks is Service.ListBlocks at the server.
func (c *Client) ListBlocks(ctx context.Context, in ListQuery) (gateway.Page[gateway.Block], error) {
	return send[gateway.Page[gateway.Block]](ctx, c, "ListBlocks", in)
}

// ListBookings is Service.ListBookings at the server.
func (c *Client) ListBookings(ctx context.Context, in ListQuery) (gateway.Page[gateway.Booking], error) {
	return send[gateway.Page[gateway.Booking]](ctx, c, "ListBookings", in)
}

// CountBrand is Service.CountBrand at the server.
func (c *Client) CountBrand(ctx context.Context, in BrandQuery) (BrandTotals, error) {
	return send[BrandTotals](ctx, c, "CountBrand", in)
}

// ListLanes is Service.ListLanes at the server.
func (c *Client) ListLanes(ctx context.Context, in Nothing) ([]LaneView, error) {
	return send[[]LaneView](ctx, c, "ListLanes", in)
}

// PauseLane is Service.PauseLane at the server.
func (c *Client) PauseLane(ctx context.Context, in LanePause) ([]LaneView, error) {
	return send[[]LaneView](ctx, c, "PauseLane", in)
}

// SendTest is Service.SendTest at the server.
func (c *Client) SendTest(ctx context.Context, in TestMessage) (gateway.Verdict, error) {
	return send[gateway.Verdict](ctx, c, "SendTest", in)
}

// Settings is Service.Settings at the server.
func (c *Client) Settings(ctx context.Context, in Nothing) ([]Setting, error) {
	return send[[]Setting](ctx, c, "Settings", in)
}

// Packages is Service.Packages at the server.
func (c *Client) Packages(ctx context.Context, in Query) ([]gateway.PackageReport, error) {
	return send[[]gateway.PackageReport](ctx, c, "Packages", in)
}
