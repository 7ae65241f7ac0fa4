package assembly

import (
	"context"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/iyslink"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/iysapi"
)

// Rehearsal is the administration over a store that will be thrown away, with every check the real one makes: webhooks go by the
// same guard, brands by what İYS grants (asked under the same limits). Nothing that is done there reaches the gateway, so that what
// consists of many acts can be tried before the first of them is done.
func (s *Server) Rehearsal(st *store.Store) *desk.Admin {
	rights := iyslink.NewRights(s.Links.Over(st), iyslink.RightsConfig{Log: s.log})
	return desk.New(desk.Deps{Store: st, Consents: unheard{}, IYS: rehearsalOffice{rights: rights}, CheckURL: s.checkURL, PublicURL: s.PublicURL})
}

// rehearsalOffice answers what is asked of İYS when brands are entered.
type rehearsalOffice struct {
	desk.IYSOffice // nil: nothing else is asked
	rights         *iyslink.Rights
}

// Rights implements desk.IYSOffice.
func (o rehearsalOffice) Rights(ctx context.Context, link string, iysCode int, brand string) (*iysapi.PartnerBrand, error) {
	return iysOffice{rights: o.rights}.Rights(ctx, link, iysCode, brand)
}

// Reclaim implements desk.IYSOffice: nobody owes anything in an empty store.
func (rehearsalOffice) Reclaim(context.Context, string, iys.Channel) (int, error) { return 0, nil }

// unheard takes consents to nowhere.
type unheard struct{ gateway.ConsentDesk }

// Add implements gateway.ConsentDesk.
func (unheard) Add(context.Context, *gateway.Principal, []gateway.Consent) ([]gateway.ConsentResult, error) {
	return nil, nil
}
