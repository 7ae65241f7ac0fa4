package assembly

import (
	"context"
	"io"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// The part of the İYS office that has İYS ask people itself (desk.ViaOffice).

// StartVia implements desk.ViaOffice.
func (o iysOffice) StartVia(ctx context.Context, brand string, v iysapi.ViaStart) (string, error) {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return "", err
	}
	return c.StartVia(ctx, b.IYSCode, v)
}

// CompleteVia implements desk.ViaOffice.
func (o iysOffice) CompleteVia(ctx context.Context, brand, request, verification string, codes iysapi.ViaCodes) ([]iysapi.ViaConsent, error) {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return nil, err
	}
	return c.CompleteVia(ctx, b.IYSCode, request, verification, codes)
}

// ViaState implements desk.ViaOffice.
func (o iysOffice) ViaState(ctx context.Context, brand, request string) (iysapi.ViaState, error) {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return iysapi.ViaState{}, err
	}
	return c.ViaState(ctx, b.IYSCode, request)
}

// ViaEvidence implements desk.ViaOffice.
func (o iysOffice) ViaEvidence(ctx context.Context, brand, request string, w io.Writer) error {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return err
	}
	return c.ViaEvidence(ctx, b.IYSCode, request, w)
}

// PrivacyRequests implements desk.ViaOffice: the last limit of them, each with its answers.
func (o iysOffice) PrivacyRequests(ctx context.Context, brand, text, recipient string, limit int) ([]iysapi.PrivacyRequest, error) {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return nil, err
	}
	ids, err := c.PrivacyRequests(ctx, b.IYSCode, text, recipient)
	out := []iysapi.PrivacyRequest{}
	for _, id := range ids[max(0, len(ids)-limit):] {
		p, err := c.PrivacyRequest(ctx, b.IYSCode, id)
		if err != nil {
			return out, err
		}
		out = append(out, p)
	}
	return out, err
}

// RejectLinks implements desk.ViaOffice.
func (o iysOffice) RejectLinks(ctx context.Context, brand string, rt iys.RecipientType, recipients []string) ([]iysapi.RejectLink, error) {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return nil, err
	}
	return c.RejectLinks(ctx, b, rt, recipients)
}

// PutVia implements desk.ViaOffice.
func (o iysOffice) PutVia(ctx context.Context, v *gateway.ViaOperation) error {
	return o.store.PutVia(ctx, v)
}

// Via implements desk.ViaOffice.
func (o iysOffice) Via(ctx context.Context, a gateway.AccountID, id string) (gateway.ViaOperation, bool, error) {
	return o.store.Via(ctx, a, id)
}

// ListVia implements desk.ViaOffice.
func (o iysOffice) ListVia(ctx context.Context, a gateway.AccountID, limit int) ([]gateway.ViaOperation, error) {
	return o.store.ListVia(ctx, a, limit)
}
