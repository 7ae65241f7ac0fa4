package assembly

import (
	"context"
	"io"

	"izinli/gateway"
	"izinli/gateway/desk"
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
func (o iysOffice) ListVia(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.ViaOperation], error) {
	return o.store.ListVia(ctx, a, cursor, limit)
}

// BeginVia implements desk.ViaOffice.
func (o iysOffice) BeginVia(ctx context.Context, v *gateway.ViaOperation, key *gateway.IdempotencyKey) error {
	return o.store.BeginVia(ctx, v, key)
}

// RefuseVia implements desk.ViaOffice.
func (o iysOffice) RefuseVia(ctx context.Context, v *gateway.ViaOperation, key *gateway.IdempotencyKey) error {
	return o.store.RefuseVia(ctx, v, key)
}

// viaDoor gives the HTTP API the desk's acts; the trail names the key that asked for them.
type viaDoor struct{ desk *desk.Admin }

var _ gateway.Via = viaDoor{}

func onBehalf(ctx context.Context, p *gateway.Principal) context.Context {
	return desk.WithActor(ctx, "API key "+p.Credential.ID)
}

// StartVia implements gateway.Via.
func (d viaDoor) StartVia(ctx context.Context, p *gateway.Principal, in gateway.ViaInput) (gateway.ViaOperation, error) {
	in.Account = p.Account
	return d.desk.StartVia(onBehalf(ctx, p), in)
}

// CompleteVia implements gateway.Via.
func (d viaDoor) CompleteVia(ctx context.Context, p *gateway.Principal, in gateway.ViaAnswer) (gateway.ViaOperation, error) {
	in.Account = p.Account
	return d.desk.CompleteVia(onBehalf(ctx, p), in)
}

// ViaState implements gateway.Via.
func (d viaDoor) ViaState(ctx context.Context, p *gateway.Principal, id string) (gateway.ViaOperation, error) {
	return d.desk.ViaState(onBehalf(ctx, p), gateway.ViaQuery{Account: p.Account, ID: id})
}

// ListVia implements gateway.Via.
func (d viaDoor) ListVia(ctx context.Context, p *gateway.Principal, cursor string, limit int) (gateway.Page[gateway.ViaOperation], error) {
	return d.desk.ListVia(onBehalf(ctx, p), desk.ListQuery{Account: p.Account, Cursor: cursor, Limit: limit})
}

// ViaProof implements gateway.Via.
func (d viaDoor) ViaProof(ctx context.Context, p *gateway.Principal, id string) ([]byte, error) {
	f, err := d.desk.ViaProof(onBehalf(ctx, p), gateway.ViaQuery{Account: p.Account, ID: id})
	return f.Zip, err
}
