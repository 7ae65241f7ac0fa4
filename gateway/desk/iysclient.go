package desk

import (
	"context"

	"izinli/gateway"
	"izinli/gateway/iyslink"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/reconcile"
)

// The methods of IYSService, each carried by send.

// IYSStatus is Service.IYSStatus at the server.
func (c *Client) IYSStatus(ctx context.Context, in Query) ([]IYSStatus, error) {
	return send[[]IYSStatus](ctx, c, "IYSStatus", in)
}

// RequeryBrand is Service.RequeryBrand at the server.
func (c *Client) RequeryBrand(ctx context.Context, in Name) (exchange.Requery, error) {
	return send[exchange.Requery](ctx, c, "RequeryBrand", in)
}

// ReadRights is Service.ReadRights at the server.
func (c *Client) ReadRights(ctx context.Context, in Name) (iyslink.BrandRights, error) {
	return send[iyslink.BrandRights](ctx, c, "ReadRights", in)
}

// ListOutbox is Service.ListOutbox at the server.
func (c *Client) ListOutbox(ctx context.Context, in OutboxQuery) ([]OutboxEntry, error) {
	return send[[]OutboxEntry](ctx, c, "ListOutbox", in)
}

// SettleOutbox is Service.SettleOutbox at the server.
func (c *Client) SettleOutbox(ctx context.Context, in Settlement) (Nothing, error) {
	return send[Nothing](ctx, c, "SettleOutbox", in)
}

// PutPush is Service.PutPush at the server.
func (c *Client) PutPush(ctx context.Context, in PushInput) (iyslink.PushRecord, error) {
	return send[iyslink.PushRecord](ctx, c, "PutPush", in)
}

// ListNewcomers is Service.ListNewcomers at the server.
func (c *Client) ListNewcomers(ctx context.Context, in Query) ([]exchange.Newcomer, error) {
	return send[[]exchange.Newcomer](ctx, c, "ListNewcomers", in)
}

// ListReconciledDays is Service.ListReconciledDays at the server.
func (c *Client) ListReconciledDays(ctx context.Context, in DayQuery) ([]reconcile.Day, error) {
	return send[[]reconcile.Day](ctx, c, "ListReconciledDays", in)
}

// ReconcileDay is Service.ReconcileDay at the server.
func (c *Client) ReconcileDay(ctx context.Context, in DayQuery) (reconcile.Day, error) {
	return send[reconcile.Day](ctx, c, "ReconcileDay", in)
}

// ReconcileProof is Service.ReconcileProof at the server.
func (c *Client) ReconcileProof(ctx context.Context, in DayQuery) (Proof, error) {
	return send[Proof](ctx, c, "ReconcileProof", in)
}

// RepairPlan is Service.RepairPlan at the server.
func (c *Client) RepairPlan(ctx context.Context, in PlanQuery) (PlanDetail, error) {
	return send[PlanDetail](ctx, c, "RepairPlan", in)
}

// ChangePlan is Service.ChangePlan at the server.
func (c *Client) ChangePlan(ctx context.Context, in PlanAct) (PlanOutcome, error) {
	return send[PlanOutcome](ctx, c, "ChangePlan", in)
}

// ListRetailers is Service.ListRetailers at the server.
func (c *Client) ListRetailers(ctx context.Context, in Name) ([]iysapi.Retailer, error) {
	return send[[]iysapi.Retailer](ctx, c, "ListRetailers", in)
}

// AddRetailer is Service.AddRetailer at the server.
func (c *Client) AddRetailer(ctx context.Context, in RetailerInput) (iysapi.Retailer, error) {
	return send[iysapi.Retailer](ctx, c, "AddRetailer", in)
}

// DeleteRetailer is Service.DeleteRetailer at the server.
func (c *Client) DeleteRetailer(ctx context.Context, in RetailerInput) (Nothing, error) {
	return send[Nothing](ctx, c, "DeleteRetailer", in)
}

// ChangeAccess is Service.ChangeAccess at the server.
func (c *Client) ChangeAccess(ctx context.Context, in AccessInput) (Nothing, error) {
	return send[Nothing](ctx, c, "ChangeAccess", in)
}

// ListAccess is Service.ListAccess at the server.
func (c *Client) ListAccess(ctx context.Context, in AccessQuery) ([]iysapi.Retailer, error) {
	return send[[]iysapi.Retailer](ctx, c, "ListAccess", in)
}

// ListPlaces is Service.ListPlaces at the server.
func (c *Client) ListPlaces(ctx context.Context, in PlaceQuery) ([]iysapi.Place, error) {
	return send[[]iysapi.Place](ctx, c, "ListPlaces", in)
}

// StartVia is Service.StartVia at the server.
func (c *Client) StartVia(ctx context.Context, in gateway.ViaInput) (gateway.ViaOperation, error) {
	return send[gateway.ViaOperation](ctx, c, "StartVia", in)
}

// CompleteVia is Service.CompleteVia at the server.
func (c *Client) CompleteVia(ctx context.Context, in gateway.ViaAnswer) (gateway.ViaOperation, error) {
	return send[gateway.ViaOperation](ctx, c, "CompleteVia", in)
}

// ViaState is Service.ViaState at the server.
func (c *Client) ViaState(ctx context.Context, in gateway.ViaQuery) (gateway.ViaOperation, error) {
	return send[gateway.ViaOperation](ctx, c, "ViaState", in)
}

// ListVia is Service.ListVia at the server.
func (c *Client) ListVia(ctx context.Context, in ListQuery) (gateway.Page[gateway.ViaOperation], error) {
	return send[gateway.Page[gateway.ViaOperation]](ctx, c, "ListVia", in)
}

// ViaRecord is Service.ViaRecord at the server.
func (c *Client) ViaRecord(ctx context.Context, in gateway.ViaQuery) (gateway.ViaOperation, error) {
	return send[gateway.ViaOperation](ctx, c, "ViaRecord", in)
}

// ViaProof is Service.ViaProof at the server.
func (c *Client) ViaProof(ctx context.Context, in gateway.ViaQuery) (ViaFile, error) {
	return send[ViaFile](ctx, c, "ViaProof", in)
}

// PrivacyRequests is Service.PrivacyRequests at the server.
func (c *Client) PrivacyRequests(ctx context.Context, in PrivacyQuery) ([]iysapi.PrivacyRequest, error) {
	return send[[]iysapi.PrivacyRequest](ctx, c, "PrivacyRequests", in)
}

// RefusalLinks is Service.RefusalLinks at the server.
func (c *Client) RefusalLinks(ctx context.Context, in LinksInput) ([]iysapi.RejectLink, error) {
	return send[[]iysapi.RejectLink](ctx, c, "RefusalLinks", in)
}
