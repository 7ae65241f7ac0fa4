package assembly

import (
	"context"
	"strconv"

	"izinli/gateway"
	"izinli/gateway/quota"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// subscriber is the part of the İYS client that knows packages.
type subscriber interface {
	Subscription(ctx context.Context, iysCode string) (iysapi.Subscription, error)
}

// subscription asks İYS about the package of an account, over the link of one of its brands; nil when none of them has one.
func (s *Server) subscription(ctx context.Context, a *gateway.Account) (*quota.Subscription, error) {
	for code, b := range s.Store.Directory().Brands {
		if b.Account != a.ID || a.IYSCode == 0 || b.SMS.Mode != string(iys.ModePartner) && b.Email.Mode != string(iys.ModePartner) {
			continue
		}
		way, _, err := s.Links.Brand(ctx, code)
		if err != nil {
			return nil, err
		}
		api, ok := way.API.(subscriber)
		if !ok {
			continue
		}
		sub, err := api.Subscription(ctx, strconv.Itoa(a.IYSCode))
		if err != nil {
			return nil, err
		}
		return &quota.Subscription{Package: sub.Package, Limit: sub.Limit, Used: sub.Used, Exceed: sub.LimitExceed}, nil
	}
	return nil, nil
}
