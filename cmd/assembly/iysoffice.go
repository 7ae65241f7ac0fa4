package assembly

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/gateway/iyslink"
	"izinli/gateway/store"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/reconcile"
)

// iysOffice gives the desk the traffic with İYS: what runs, what is stored, and the calls that change nothing here.
type iysOffice struct {
	*exchange.Exchange
	*iyslink.Pushes
	*reconcile.Reconciler
	store  *store.Store
	links  *iyslink.Directory
	rights *iyslink.Rights
}

var _ desk.IYSOffice = iysOffice{}

// Newcomers implements desk.IYSOffice.
func (o iysOffice) Newcomers(ctx context.Context, a gateway.AccountID, limit int) ([]exchange.Newcomer, error) {
	return o.store.Newcomers(ctx, a, limit)
}

// ReconciledDays implements desk.IYSOffice.
func (o iysOffice) ReconciledDays(ctx context.Context, brand string, limit int) ([]reconcile.Day, error) {
	return o.store.ReconciledDays(ctx, brand, limit)
}

// Proof implements desk.IYSOffice.
func (o iysOffice) Proof(ctx context.Context, brand, date string) ([]byte, bool, error) {
	return o.store.Proof(ctx, brand, date)
}

// Plan implements desk.IYSOffice.
func (o iysOffice) Plan(ctx context.Context, id uint64) (reconcile.Plan, bool, error) {
	return o.store.Plan(ctx, id)
}

// PlanItems implements desk.IYSOffice.
func (o iysOffice) PlanItems(ctx context.Context, id uint64, after, limit int) ([]reconcile.Item, error) {
	return o.store.PlanItems(ctx, id, after, limit)
}

// Rights implements desk.IYSOffice.
func (o iysOffice) Rights(ctx context.Context, link string, iysCode int, brand string) (*iysapi.PartnerBrand, error) {
	return o.rights.ReadFor(ctx, link, strconv.Itoa(iysCode), brand)
}

// ReadRights implements desk.IYSOffice.
func (o iysOffice) ReadRights(ctx context.Context, brand string) (iyslink.BrandRights, error) {
	return o.rights.Read(ctx, brand)
}

// RightsOf implements desk.IYSOffice.
func (o iysOffice) RightsOf(brand string) (iyslink.BrandRights, bool, error) {
	return o.links.RightsOf(brand)
}

// client finds who speaks with İYS for a brand.
func (o iysOffice) client(ctx context.Context, brand string) (*iysapi.Client, iysapi.Brand, error) {
	b, ok, err := o.links.Brand(ctx, brand)
	if err != nil {
		return nil, iysapi.Brand{}, err
	}
	c, able := b.API.(*iysapi.Client)
	if !ok || !able {
		return nil, iysapi.Brand{}, exchange.ErrNoPartner
	}
	return c, b.Brand, nil
}

// Retailers implements desk.IYSOffice.
func (o iysOffice) Retailers(ctx context.Context, brand string) ([]iysapi.Retailer, error) {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return nil, err
	}
	return c.Retailers(ctx, b)
}

// AddRetailer implements desk.IYSOffice.
func (o iysOffice) AddRetailer(ctx context.Context, brand string, r iysapi.Retailer) (int, error) {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return 0, err
	}
	return c.AddRetailer(ctx, b, r)
}

// DeleteRetailer implements desk.IYSOffice.
func (o iysOffice) DeleteRetailer(ctx context.Context, brand string, code int) error {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return err
	}
	return c.DeleteRetailer(ctx, b, code)
}

// Access implements desk.IYSOffice: İYS first, then the records by which dealers' messages are judged.
func (o iysOffice) Access(ctx context.Context, act, brand string, a iysapi.Access) error {
	c, b, err := o.client(ctx, brand)
	if err != nil {
		return err
	}
	for i, r := range a.Recipients {
		n, refusal := iys.NormalizeRecipient(a.Channel, r)
		if refusal != nil {
			return fmt.Errorf("%w: address %d: %s", iysapi.ErrInvalid, i+1, refusal.English)
		}
		a.Recipients[i] = n
	}
	switch act {
	case "grant":
		for _, r := range a.Recipients {
			k := iys.Key{Brand: brand, Channel: a.Channel, RecipientType: a.RecipientType, Recipient: r}
			if err := c.GrantAccess(ctx, b, k, a.Retailers); err != nil {
				return err
			}
		}
	case "replace":
		err = c.ReplaceAccess(ctx, b, a)
	case "remove":
		err = c.RemoveAccess(ctx, b, a)
	default:
		err = c.RemoveAllAccess(ctx, b, a)
	}
	if err != nil {
		return err
	}
	return o.noteAccess(ctx, act, brand, a)
}

// AccessList implements desk.IYSOffice: what İYS says is also what dealers' messages are judged by from now on.
func (o iysOffice) AccessList(ctx context.Context, k iys.Key) ([]iysapi.Retailer, error) {
	c, b, err := o.client(ctx, k.Brand)
	if err != nil {
		return nil, err
	}
	list, err := c.AccessList(ctx, b, k)
	if err != nil {
		return nil, err
	}
	codes := make([]int, len(list))
	for i := range list {
		codes[i] = list[i].Code
	}
	return list, o.ChangeAccess(ctx, []iys.Key{k}, func(c *iys.Consent) { c.RetailerAccess = codes })
}

// Places implements desk.IYSOffice.
func (o iysOffice) Places(ctx context.Context, brand string, city int) ([]iysapi.Place, error) {
	c, _, err := o.client(ctx, brand)
	if err != nil {
		return nil, err
	}
	if city == 0 {
		return c.Cities(ctx)
	}
	list, err := c.Towns(ctx)
	return slices.DeleteFunc(list, func(p iysapi.Place) bool { return p.City != city }), err
}

func (o iysOffice) noteAccess(ctx context.Context, act, brand string, a iysapi.Access) error {
	keys := make([]iys.Key, len(a.Recipients))
	for i, r := range a.Recipients {
		keys[i] = iys.Key{Brand: brand, Channel: a.Channel, RecipientType: a.RecipientType, Recipient: r}
	}
	return o.ChangeAccess(ctx, keys, func(c *iys.Consent) {
		switch act {
		case "grant":
			for _, code := range a.Retailers {
				if !slices.Contains(c.RetailerAccess, code) {
					c.RetailerAccess = append(slices.Clone(c.RetailerAccess), code)
				}
			}
		case "replace":
			c.RetailerCode, c.RetailerAccess = 0, slices.Clone(a.Retailers)
		case "remove":
			c.RetailerAccess = slices.DeleteFunc(slices.Clone(c.RetailerAccess), func(n int) bool { return slices.Contains(a.Retailers, n) })
			if slices.Contains(a.Retailers, c.RetailerCode) {
				c.RetailerCode = 0
			}
		default:
			c.RetailerCode, c.RetailerAccess = 0, nil
		}
	})
}
