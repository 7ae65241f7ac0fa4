package iystest

import (
	"encoding/json"
	"net/http"
	"sort"
	"strconv"
	"strings"
)

// Retailer is a dealer (bayi) as the simulator keeps it.
type Retailer struct {
	Code               int
	Brand              string // empty: of every brand of its provider
	Title, Name        string
	TCKN, TIN, MERSIS  string
	CityCode, CityName string
	TownCode, TownName string
	Alias, Mobile      string
	Status             string
}

type placeBody struct {
	Code json.RawMessage `json:"code"`
	Name string          `json:"name"`
}

func (p *placeBody) code() string {
	if p == nil {
		return ""
	}
	return strings.Trim(string(p.Code), `"`)
}

type retailerBody struct {
	Title  string     `json:"title"`
	Name   string     `json:"name"`
	TCKN   string     `json:"tckn"`
	TIN    string     `json:"tin"`
	MERSIS string     `json:"mersis"`
	City   *placeBody `json:"city"`
	Town   *placeBody `json:"town"`
	Alias  string     `json:"alias"`
	Mobile string     `json:"mobile"`
	Status string     `json:"status"`
}

// check collects what is wrong with a dealer (iys-api.md §10.1).
func (b *retailerBody) check(p *provider) []problem {
	var ps []problem
	add := func(bad bool, code, field string) {
		if bad {
			ps = append(ps, problem{Code: code, Location: []any{field}})
		}
	}
	add(b.Title == "", "H214", "title")
	add(len(b.Title) > 255, "H017", "title")
	add(b.Name == "", "H215", "name")
	switch {
	case b.TCKN == "":
		add(true, "H216", "tckn")
	case !numeric(b.TCKN):
		add(true, "H225", "tckn")
	default:
		add(len(b.TCKN) != 11, "H226", "tckn")
	}
	switch {
	case b.TIN == "":
		add(true, "H288", "tin")
	default:
		add(!numeric(b.TIN) || len(b.TIN) != 10 && len(b.TIN) != 11, "H244", "tin")
	}
	add(b.City == nil || b.City.Name == "", "H217", "city")
	add(b.Town == nil || b.Town.Name == "", "H220", "town")
	add(b.MERSIS != "" && (!numeric(b.MERSIS) || len(b.MERSIS) != 16), "H228", "mersis")
	add(b.Mobile != "" && !validPhone(b.Mobile), "H224", "mobile")
	add(!oneOf(b.Status, "", "active", "passive", "suspended"), "H201", "status")
	for _, r := range p.retailers {
		add(b.TCKN != "" && r.TCKN == b.TCKN, "H231", "tckn")
		add(b.MERSIS != "" && r.MERSIS == b.MERSIS, "H230", "mersis")
	}
	return ps
}

func (s *Sim) addRetailer(c *caller, r *http.Request, body []byte) answer {
	brand, a := s.brandOf(c, r, "", true)
	if a != nil {
		return *a
	}
	var in retailerBody
	if json.Unmarshal(body, &in) != nil {
		return s.fail(400, problem{Code: "H014"})
	}
	p := s.brands[brand]
	if ps := in.check(p); len(ps) > 0 {
		return s.fail(400, ps...)
	}
	code := 0
	for n := 58954386; code == 0; n++ { // 8 digits, the next free one
		if p.retailers[n] == nil {
			code = n
		}
	}
	if in.Status == "" {
		in.Status = "active"
	}
	p.retailers[code] = &Retailer{
		Code: code, Brand: brand, Title: in.Title, Name: in.Name, TCKN: in.TCKN, TIN: in.TIN, MERSIS: in.MERSIS,
		CityCode: in.City.code(), CityName: in.City.Name, TownCode: in.Town.code(), TownName: in.Town.Name,
		Alias: in.Alias, Mobile: in.Mobile, Status: in.Status,
	}
	return answer{201, map[string]int{"retailerCode": code}}
}

func (s *Sim) retailersOf(brand string) []*Retailer {
	var out []*Retailer
	for _, r := range s.brands[brand].retailers {
		if r.Brand == "" || r.Brand == brand {
			out = append(out, r)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Code < out[j].Code })
	return out
}

func (s *Sim) shown(brand string, r *Retailer) map[string]any {
	n := 0
	for k, m := range s.stored {
		if k.brand == brand && contains(m.RetailerAccess, r.Code) {
			n++
		}
	}
	return map[string]any{
		"retailerCode": r.Code, "title": r.Title, "name": r.Name, "tckn": r.TCKN, "tin": r.TIN, "mersis": r.MERSIS,
		"city":  map[string]string{"code": r.CityCode, "name": r.CityName},
		"town":  map[string]string{"code": r.TownCode, "name": r.TownName},
		"alias": r.Alias, "mobile": r.Mobile, "status": r.Status, "retailerAccessCount": n,
	}
}

func contains(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

func (s *Sim) listRetailers(c *caller, r *http.Request, _ []byte) answer {
	brand, a := s.brandOf(c, r, "", false)
	if a != nil {
		return *a
	}
	return s.retailerPage(r, brand, s.retailersOf(brand))
}

func (s *Sim) retailerPage(r *http.Request, brand string, all []*Retailer) answer {
	offset, limit, a := s.pageOf(r)
	if a != nil {
		return *a
	}
	list, page := window(all, offset, limit)
	out := []map[string]any{}
	for _, x := range list {
		out = append(out, s.shown(brand, x))
	}
	page["currentPage"] = offset/limit + 1
	return answer{200, map[string]any{"pagination": page, "list": out}}
}

// retailerOf finds the dealer in the path.
func (s *Sim) retailerOf(brand string, r *http.Request) *Retailer {
	code, err := strconv.Atoi(r.PathValue("retailerCode"))
	if err != nil {
		return nil
	}
	x := s.brands[brand].retailers[code]
	if x == nil || x.Brand != "" && x.Brand != brand {
		return nil
	}
	return x
}

func (s *Sim) getRetailer(c *caller, r *http.Request, _ []byte) answer {
	brand, a := s.brandOf(c, r, "", false)
	if a != nil {
		return *a
	}
	x := s.retailerOf(brand, r)
	if x == nil {
		return answer{200, nil} // an unknown code: 200 without data
	}
	return answer{200, s.shown(brand, x)}
}

func (s *Sim) deleteRetailer(c *caller, r *http.Request, _ []byte) answer {
	brand, a := s.brandOf(c, r, "", true)
	if a != nil {
		return *a
	}
	x := s.retailerOf(brand, r)
	if x == nil {
		return s.fail(404, problem{Code: "H058"})
	}
	for k, m := range s.stored {
		if k.brand == brand && (m.RetailerCode == x.Code || contains(m.RetailerAccess, x.Code)) {
			return s.fail(500, problem{Code: "H061"})
		}
	}
	delete(s.brands[brand].retailers, x.Code)
	return answer{200, []byte(`"Başarı"`)}
}

type accessBody struct {
	Type          string    `json:"type"`
	RecipientType string    `json:"recipientType"`
	Recipient     string    `json:"recipient"`
	Recipients    *[]string `json:"recipients"`
	Access        *[]int    `json:"retailerAccess"`
}

// parseAccess reads and checks an access call: many names recipients, few one.
func (s *Sim) parseAccess(c *caller, r *http.Request, body []byte, many, named bool) (string, *accessBody, *answer) {
	brand, a := s.brandOf(c, r, "", true)
	if a != nil {
		return "", nil, a
	}
	var in accessBody
	if !json.Valid(body) {
		return "", nil, s.failp(400, problem{Code: "H014"})
	}
	if json.Unmarshal(body, &in) != nil {
		return "", nil, s.failp(400, problem{Code: "H171"})
	}
	var ps []problem
	add := func(bad bool, code string) {
		if bad {
			ps = append(ps, problem{Code: code})
		}
	}
	add(in.Type == "", "H111")
	add(in.Type != "" && !oneOf(in.Type, "ARAMA", "MESAJ", "EPOSTA"), "H117")
	add(in.RecipientType == "", "H170")
	add(in.RecipientType != "" && !oneOf(in.RecipientType, "BIREYSEL", "TACIR"), "H116")
	if many {
		add(in.Recipients == nil, "H168")
		if in.Recipients != nil {
			add(len(*in.Recipients) == 0, "H164")
			add(len(*in.Recipients) > 100, "H127")
		}
	} else {
		add(in.Recipient == "", "H114")
	}
	if named {
		add(in.Access == nil, "H169")
		if in.Access != nil {
			add(len(*in.Access) == 0, "H163")
			add(len(*in.Access) > 100, "H126")
		}
	}
	if len(ps) > 0 {
		return "", nil, s.failp(422, ps...)
	}
	if named {
		for i, code := range *in.Access {
			if s.brands[brand].retailers[code] == nil {
				return "", nil, s.failp(403, problem{Code: "H180", Location: []any{"retailerAccess", i}, Value: code})
			}
		}
	}
	return brand, &in, nil
}

func (in *accessBody) key(brand, recipient string) key {
	if in.Type == "EPOSTA" {
		recipient = strings.ToLower(recipient)
	}
	return key{brand, recipient, in.RecipientType, in.Type}
}

func (s *Sim) grantAccess(c *caller, r *http.Request, body []byte) answer {
	brand, in, a := s.parseAccess(c, r, body, false, true)
	if a != nil {
		return *a
	}
	m, ok := s.stored[in.key(brand, in.Recipient)]
	if !ok {
		return s.fail(400, problem{Code: "H401"})
	}
	for _, code := range *in.Access {
		if !contains(m.RetailerAccess, code) {
			m.RetailerAccess = append(append([]int(nil), m.RetailerAccess...), code)
		}
	}
	s.stored[m.key()] = m
	return answer{200, map[string]string{"transactionId": uuid(), "creationDate": s.now().Format(dateForm)}}
}

// What changes to the access of many consents do to one record.
func replaceAccess(m *Movement, codes []int) {
	m.RetailerAccess, m.RetailerCode = append([]int(nil), codes...), 0
}

func removeAccess(m *Movement, codes []int) {
	var left []int
	for _, have := range m.RetailerAccess {
		if !contains(codes, have) {
			left = append(left, have)
		}
	}
	m.RetailerAccess = left
	if contains(codes, m.RetailerCode) {
		m.RetailerCode = 0
	}
}

func removeAllAccess(m *Movement, _ []int) { m.RetailerAccess, m.RetailerCode = nil, 0 }

func changeAccess(change func(*Movement, []int)) func(*Sim, *caller, *http.Request, []byte) answer {
	return func(s *Sim, c *caller, r *http.Request, body []byte) answer {
		named := !strings.HasSuffix(r.URL.Path, "/all")
		brand, in, a := s.parseAccess(c, r, body, true, named)
		if a != nil {
			return *a
		}
		var codes []int
		if in.Access != nil {
			codes = *in.Access
		}
		for _, rec := range *in.Recipients {
			if m, ok := s.stored[in.key(brand, rec)]; ok {
				change(&m, codes)
				s.stored[m.key()] = m
			}
		}
		return answer{202, []byte("1")}
	}
}

func (s *Sim) listAccess(c *caller, r *http.Request, body []byte) answer {
	brand, in, a := s.parseAccess(c, r, body, false, false)
	if a != nil {
		return *a
	}
	m := s.stored[in.key(brand, in.Recipient)]
	var all []*Retailer
	for _, code := range m.RetailerAccess {
		if x := s.brands[brand].retailers[code]; x != nil {
			all = append(all, x)
		}
	}
	return s.retailerPage(r, brand, all)
}

type place struct {
	Code int    `json:"code"`
	Name string `json:"name"`
	City int    `json:"city_code,omitempty"`
}

// A few of the 81 provinces and 970 districts are enough to be refused by.
var (
	cityList = []place{{Code: 1, Name: "Adana"}, {Code: 6, Name: "Ankara"}, {Code: 34, Name: "İstanbul"}, {Code: 35, Name: "İzmir"}}
	townList = []place{{1, "Seyhan", 1}, {2, "Çankaya", 6}, {3, "Kadıköy", 34}, {4, "Konak", 35}}
)

func (s *Sim) cities(*caller, *http.Request, []byte) answer { return answer{200, cityList} }
func (s *Sim) towns(*caller, *http.Request, []byte) answer  { return answer{200, townList} }

func onePlace(list []place, r *http.Request) answer {
	for _, p := range list {
		if strconv.Itoa(p.Code) == r.PathValue("code") {
			return answer{200, p}
		}
	}
	return answer{204, nil}
}

func (s *Sim) city(_ *caller, r *http.Request, _ []byte) answer { return onePlace(cityList, r) }
func (s *Sim) town(_ *caller, r *http.Request, _ []byte) answer { return onePlace(townList, r) }
