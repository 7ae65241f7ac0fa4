package iyslink

import (
	"context"
	"errors"

	"izinli/iys/iysapi"
)

// ErrNoTotals says that there is nobody to ask about a brand's totals: only the API of an iş ortağı tells them (iys-api.md §4).
var ErrNoTotals = errors.New("iyslink: the brand has no API user at İYS")

// Totals asks İYS how many consents it holds for a brand, over all channels and recipient types.
func (d *Directory) Totals(ctx context.Context, code string) (iysapi.BrandInfo, error) {
	dir := d.store.Directory()
	b := dir.Brands[code]
	if b == nil || dir.IYSLinks[b.IYS] == nil {
		return iysapi.BrandInfo{}, ErrNoTotals
	}
	x, err := d.brand(dir, b)
	if err != nil {
		return iysapi.BrandInfo{}, err
	}
	c, err := d.client(dir.IYSLinks[b.IYS])
	if err != nil {
		return iysapi.BrandInfo{}, err
	}
	if c.api == nil {
		return iysapi.BrandInfo{}, ErrNoTotals
	}
	list, err := c.api.Brands(ctx, x.IYSCode)
	for _, i := range list {
		if i.BrandCode == code {
			return i, nil
		}
	}
	if err == nil {
		err = errors.New("iyslink: İYS does not list brand " + code)
	}
	return iysapi.BrandInfo{}, err
}
