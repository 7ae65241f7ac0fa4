package iysapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"izinli/iys"
)

// Bounds of dealers (iys-api.md §10, §18).
const (
	MaxRetailers = 3000 // of a brand, and of a consent's access list
	MaxAccess    = 100  // addresses or dealers of one access call
	pageSize     = 100
)

// Place is a city or a town, as the info lists name it.
type Place struct {
	Code int
	Name string
	City int `json:",omitempty"` // of a town: the code of its city
}

// Retailer is a dealer (bayi) of a brand.
type Retailer struct {
	Code     int    // 8 digits, given by İYS
	Title    string // trade name, at most 255
	Name     string // of the person, letters only
	TCKN     string // identity number, 11 digits; personal data
	TIN      string // tax number, 10 or 11 digits
	MERSIS   string // 16 digits, optional
	City     Place
	Town     Place
	Alias    string
	Mobile   string // E.164
	Status   string // active, passive, suspended
	Consents int    // how many consents grant it access
}

type placeOut struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

type retailerOut struct {
	Title  string   `json:"title"`
	Name   string   `json:"name"`
	TCKN   string   `json:"tckn"`
	TIN    string   `json:"tin"`
	City   placeOut `json:"city"`
	Town   placeOut `json:"town"`
	MERSIS string   `json:"mersis,omitempty"`
	Alias  string   `json:"alias,omitempty"`
	Mobile string   `json:"mobile,omitempty"`
	Status string   `json:"status,omitempty"`
}

type placeIn struct {
	Code  flexInt    `json:"code"` // "34" and 34 are both seen
	Name  flexString `json:"name"`
	City  flexInt    `json:"city_code"` // as the sample spells it
	City2 flexInt    `json:"cityCode"`  // as the schema does (iys-api.md §5.3)
}

func (p placeIn) place() Place { return Place{int(p.Code), string(p.Name), int(p.City + p.City2)} }

type retailerIn struct {
	Code   flexInt    `json:"retailerCode"`
	Title  flexString `json:"title"`
	Name   flexString `json:"name"`
	TCKN   flexString `json:"tckn"`
	TIN    flexString `json:"tin"`
	MERSIS flexString `json:"mersis"`
	City   placeIn    `json:"city"`
	Town   placeIn    `json:"town"`
	Alias  flexString `json:"alias"`
	Mobile flexString `json:"mobile"`
	Status flexString `json:"status"`
	Count  flexInt    `json:"retailerAccessCount"`
}

func (r retailerIn) retailer() Retailer {
	return Retailer{
		Code: int(r.Code), Title: string(r.Title), Name: string(r.Name), TCKN: string(r.TCKN), TIN: string(r.TIN),
		MERSIS: string(r.MERSIS), City: r.City.place(), Town: r.Town.place(),
		Alias: string(r.Alias), Mobile: string(r.Mobile), Status: string(r.Status), Consents: int(r.Count),
	}
}

// AddRetailer makes a dealer and returns its code. There is no way to change
// one later.
func (c *Client) AddRetailer(ctx context.Context, b Brand, r Retailer) (int, error) {
	const name = "add retailer"
	path, err := b.path()
	if err == nil && (r.Title == "" || r.Name == "" || !digits(r.TCKN) || !digits(r.TIN) || r.City.Name == "" || r.Town.Name == "") {
		err = fmt.Errorf("%w: title, name, tckn, tin, city and town are required", ErrInvalid)
	}
	if err != nil {
		return 0, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	place := func(p Place) placeOut { return placeOut{fmt.Sprintf("%02d", p.Code), p.Name} }
	_, body, err := c.do(ctx, call{
		method: http.MethodPost, path: path + "/retailers", name: name, share: b.BrandCode,
		body: retailerOut{
			Title: r.Title, Name: r.Name, TCKN: r.TCKN, TIN: r.TIN, City: place(r.City), Town: place(r.Town),
			MERSIS: r.MERSIS, Alias: r.Alias, Mobile: r.Mobile, Status: r.Status,
		},
		priority: PriorityQuery, timeout: singleTimeout,
	})
	if err != nil {
		return 0, err
	}
	var w struct {
		Code flexInt `json:"retailerCode"`
	}
	if err := decode(body, &w); err != nil || w.Code == 0 {
		return 0, fmt.Errorf("iysapi: %s: %w: no retailerCode", name, errors.Join(ErrAnswer, err))
	}
	return int(w.Code), nil
}

// Retailers lists the dealers of a brand, page by page.
func (c *Client) Retailers(ctx context.Context, b Brand) ([]Retailer, error) {
	path, err := b.path()
	if err != nil {
		return nil, fmt.Errorf("iysapi: retailers: %w", err)
	}
	return c.retailerPages(ctx, b, http.MethodGet, path+"/retailers", nil)
}

func (c *Client) retailerPages(ctx context.Context, b Brand, method, path string, body any) ([]Retailer, error) {
	var out []Retailer
	for offset := 0; offset < MaxRetailers+pageSize; offset += pageSize {
		_, answer, err := c.do(ctx, call{
			method: method, path: path, name: "retailers", body: body, query: page(pageSize, offset),
			priority: PriorityQuery, timeout: singleTimeout, share: b.BrandCode,
		})
		if err != nil || empty(answer) {
			return out, err
		}
		var w struct {
			Pagination struct {
				Total flexInt `json:"totalCount"`
			} `json:"pagination"`
			List []retailerIn `json:"list"`
		}
		if err := decode(answer, &w); err != nil {
			return nil, fmt.Errorf("iysapi: retailers: %w", err)
		}
		for _, r := range w.List {
			out = append(out, r.retailer())
		}
		if len(w.List) == 0 || offset+pageSize >= int(w.Pagination.Total) {
			break
		}
	}
	return out, nil
}

// Retailer asks for one dealer; false when İYS knows none by that code (it
// answers 200 without data).
func (c *Client) Retailer(ctx context.Context, b Brand, code int) (Retailer, bool, error) {
	path, err := b.path()
	if err != nil {
		return Retailer{}, false, fmt.Errorf("iysapi: retailer: %w", err)
	}
	_, body, err := c.do(ctx, call{
		method: http.MethodGet, path: path + "/retailers/" + strconv.Itoa(code), name: "retailer",
		priority: PriorityQuery, timeout: singleTimeout, share: b.BrandCode,
	})
	if e, ok := errors.AsType[*APIError](err); ok && e.Code == "H058" {
		return Retailer{}, false, nil
	}
	if err != nil || empty(body) {
		return Retailer{}, false, err
	}
	var w retailerIn
	if err := decode(body, &w); err != nil {
		return Retailer{}, false, fmt.Errorf("iysapi: retailer: %w", err)
	}
	r := w.retailer()
	if r.Title == "" && r.Name == "" {
		return Retailer{}, false, nil
	}
	r.Code = code // the documented sample lacks it
	return r, true, nil
}

// DeleteRetailer removes a dealer no consent is linked to.
func (c *Client) DeleteRetailer(ctx context.Context, b Brand, code int) error {
	path, err := b.path()
	if err != nil {
		return fmt.Errorf("iysapi: delete retailer: %w", err)
	}
	_, _, err = c.do(ctx, call{
		method: http.MethodDelete, path: path + "/retailers/" + strconv.Itoa(code), name: "delete retailer",
		priority: PriorityQuery, timeout: singleTimeout, share: b.BrandCode,
	})
	return err
}

type accessRequest struct {
	Type          string   `json:"type"`
	RecipientType string   `json:"recipientType"`
	Recipient     string   `json:"recipient,omitempty"`
	Recipients    []string `json:"recipients,omitempty"`
	Access        []int    `json:"retailerAccess,omitempty"`
}

// GrantAccess adds dealers to those that may use one consent.
func (c *Client) GrantAccess(ctx context.Context, b Brand, k iys.Key, retailers []int) error {
	path, err := b.path()
	if err == nil && (len(retailers) == 0 || len(retailers) > MaxAccess) {
		err = fmt.Errorf("%w: %d dealers", ErrInvalid, len(retailers))
	}
	if err != nil {
		return fmt.Errorf("iysapi: grant access: %w", err)
	}
	_, _, err = c.do(ctx, call{
		method: http.MethodPost, path: path + "/consents/retailers/access", name: "grant access", share: b.BrandCode,
		body:     accessRequest{Type: string(k.Channel), RecipientType: string(k.RecipientType), Recipient: canonical(k.Recipient), Access: retailers},
		priority: PriorityQuery, timeout: singleTimeout,
	})
	return err
}

// Access acts on many consents of one channel and recipient type.
type Access struct {
	Channel       iys.Channel
	RecipientType iys.RecipientType
	Recipients    []string // at most MaxAccess
	Retailers     []int    // at most MaxAccess
}

// ReplaceAccess makes the given dealers the only ones that may use the
// consents, the dealer they were taken through included. İYS takes the order
// (202) and carries it out later.
func (c *Client) ReplaceAccess(ctx context.Context, b Brand, a Access) error {
	return c.access(ctx, b, http.MethodPut, "/consents/retailers/access", "replace access", a, true)
}

// RemoveAccess takes the given dealers off the consents.
func (c *Client) RemoveAccess(ctx context.Context, b Brand, a Access) error {
	return c.access(ctx, b, http.MethodPost, "/consents/retailers/access/remove", "remove access", a, true)
}

// RemoveAllAccess takes every dealer off the consents.
func (c *Client) RemoveAllAccess(ctx context.Context, b Brand, a Access) error {
	a.Retailers = nil
	return c.access(ctx, b, http.MethodPost, "/consents/retailers/access/remove/all", "remove all access", a, false)
}

func (c *Client) access(ctx context.Context, b Brand, method, rest, name string, a Access, named bool) error {
	path, err := b.path()
	var list []string
	switch {
	case err != nil:
	case len(a.Recipients) > MaxAccess || len(a.Retailers) > MaxAccess || named && len(a.Retailers) == 0:
		err = fmt.Errorf("%w: %d addresses, %d dealers", ErrInvalid, len(a.Recipients), len(a.Retailers))
	default:
		_, list, err = question(a.RecipientType, a.Channel, a.Recipients)
	}
	if err != nil {
		return fmt.Errorf("iysapi: %s: %w", name, err)
	}
	_, _, err = c.do(ctx, call{
		method: method, path: path + rest, name: name, share: b.BrandCode,
		body:     accessRequest{Type: string(a.Channel), RecipientType: string(a.RecipientType), Recipients: list, Access: a.Retailers},
		priority: PriorityQuery, timeout: singleTimeout,
	})
	return err
}

// AccessList lists the dealers that may use one consent. The path has
// "consent" in the singular (iys-api.md §4 no. 26).
func (c *Client) AccessList(ctx context.Context, b Brand, k iys.Key) ([]Retailer, error) {
	path, err := b.path()
	if err != nil {
		return nil, fmt.Errorf("iysapi: access list: %w", err)
	}
	return c.retailerPages(ctx, b, http.MethodPost, path+"/consent/retailers/access/list",
		accessRequest{Type: string(k.Channel), RecipientType: string(k.RecipientType), Recipient: canonical(k.Recipient)})
}

// Cities lists the provinces (81, by plate number).
func (c *Client) Cities(ctx context.Context) ([]Place, error) { return c.places(ctx, "/info/city") }

// Towns lists the districts, numbered over the whole country.
func (c *Client) Towns(ctx context.Context) ([]Place, error) { return c.places(ctx, "/info/town") }

// City asks for one province; false when there is none by that code.
func (c *Client) City(ctx context.Context, code int) (Place, bool, error) {
	return c.place(ctx, "/info/city/", code)
}

// Town asks for one district; false when there is none by that code.
func (c *Client) Town(ctx context.Context, code int) (Place, bool, error) {
	return c.place(ctx, "/info/town/", code)
}

func (c *Client) info(ctx context.Context, path string) ([]byte, error) {
	_, body, err := c.do(ctx, call{method: http.MethodGet, path: path, name: "info", priority: PriorityQuery, timeout: singleTimeout})
	return body, err
}

func (c *Client) places(ctx context.Context, path string) ([]Place, error) {
	body, err := c.info(ctx, path)
	if err != nil || empty(body) {
		return nil, err
	}
	var w []placeIn
	if err := decode(body, &w); err != nil {
		return nil, fmt.Errorf("iysapi: info: %w", err)
	}
	out := make([]Place, len(w))
	for i, p := range w {
		out[i] = p.place()
	}
	return out, nil
}

func (c *Client) place(ctx context.Context, path string, code int) (Place, bool, error) {
	body, err := c.info(ctx, path+strconv.Itoa(code))
	if err != nil || empty(body) { // unknown is 204
		return Place{}, false, err
	}
	var one placeIn
	if json.Unmarshal(body, &one) != nil || one.Name == "" {
		var list []placeIn
		if decode(body, &list) != nil || len(list) == 0 {
			return Place{}, false, fmt.Errorf("iysapi: info: %w", ErrAnswer)
		}
		one = list[0]
	}
	return one.place(), true, nil
}
