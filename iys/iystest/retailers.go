package iystest

import (
	"bytes"
	"encoding/json"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"unicode"
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

// check collects what is wrong with a dealer (iys-api.md §10.1, §17.2).
func (b *retailerBody) check(p *provider) []problem {
	var ps []problem
	add := func(bad bool, code, field string) {
		if bad {
			ps = append(ps, problem{Code: code, Location: []any{field}})
		}
	}
	add(b.Title == "", "H214", "title")
	add(len(b.Title) > 255, "H017", "title")
	add(!plainText(b.Title, true), "H229", "title")
	add(b.Name == "", "H215", "name")
	add(!plainText(b.Name, false), "H229", "name")
	switch {
	case b.TCKN == "":
		add(true, "H216", "tckn")
	case numeric(b.TCKN) && len(b.TCKN) != 11:
		add(true, "H226", "tckn")
	default:
		add(!validTCKN(b.TCKN), "H225", "tckn")
	}
	switch {
	case b.TIN == "":
		add(true, "H288", "tin")
	case len(b.TIN) != 10 && len(b.TIN) != 11:
		add(true, "H244", "tin")
	default:
		add(!validVKN(b.TIN) && !validTCKN(b.TIN), "H243", "tin")
	}
	for _, x := range []struct {
		p                       *placeBody
		field, none, code, name string
	}{{b.City, "city", "H217", "H218", "H219"}, {b.Town, "town", "H220", "H221", "H222"}} {
		add(x.p == nil, x.none, x.field)
		add(x.p != nil && x.p.code() == "", x.code, x.field+".code")
		add(x.p != nil && x.p.Name == "", x.name, x.field+".name")
	}
	switch {
	case b.MERSIS == "":
	case !numeric(b.MERSIS) || len(b.MERSIS) != 16:
		add(true, "H228", "mersis")
	default:
		add(b.MERSIS[0] == '0' && !validVKN(b.MERSIS[1:11]), "H227", "mersis")
	}
	add(b.Mobile != "" && !validPhone(b.Mobile), "H224", "mobile")
	add(!oneOf(b.Status, "", "active", "passive", "suspended"), "H201", "status")
	return append(ps, b.taken(p)...)
}

// taken finds dealers with the same numbers; a passive one has a code of its own.
func (b *retailerBody) taken(p *provider) (ps []problem) {
	for _, r := range p.retailers {
		for _, x := range []struct{ field, ours, theirs, code string }{{"tckn", b.TCKN, r.TCKN, "H231"}, {"mersis", b.MERSIS, r.MERSIS, "H230"}} {
			if x.ours == "" || x.ours != x.theirs {
				continue
			}
			if r.Status == "passive" {
				x.code = "H253"
			}
			ps = append(ps, problem{Code: x.code, Location: []any{x.field}})
		}
	}
	return ps
}

// plainText takes letters, blanks and what stands in names of firms; digits where they may.
func plainText(s string, digits bool) bool {
	for _, r := range s {
		if !unicode.IsLetter(r) && !strings.ContainsRune(" .,'&-", r) && !(digits && (unicode.IsDigit(r) || strings.ContainsRune("()/", r))) {
			return false
		}
	}
	return true
}

// validTCKN checks the two last digits of an identity number.
func validTCKN(s string) bool {
	if len(s) != 11 || !numeric(s) || s[0] == '0' {
		return false
	}
	odd, even, sum := 0, 0, 0
	for i := range 10 {
		d := int(s[i] - '0')
		sum += d
		switch {
		case i == 9:
		case i%2 == 0:
			odd += d
		default:
			even += d
		}
	}
	return (odd*7-even+100)%10 == int(s[9]-'0') && sum%10 == int(s[10]-'0')
}

// validVKN checks the last digit of a tax number.
func validVKN(s string) bool {
	if len(s) != 10 || !numeric(s) {
		return false
	}
	sum := 0
	for i := range 9 {
		v := (int(s[i]-'0') + 9 - i) % 10
		if v == 0 {
			continue
		}
		if v = v << (9 - i) % 9; v == 0 {
			v = 9
		}
		sum += v
	}
	return (10-sum%10)%10 == int(s[9]-'0')
}

func (s *Sim) addRetailer(c *caller, r *http.Request, body []byte) answer {
	brand, a := s.brandOf(c, r, "", true)
	if a != nil {
		return *a
	}
	var in retailerBody
	if !json.Valid(body) {
		return s.fail(400, problem{Code: "H014"})
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if d.Decode(&in) != nil {
		return s.fail(400, problem{Code: "H016"})
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
	for name, code := range map[string]string{"all": "H184", "short": "H185"} {
		if v := r.URL.Query().Get(name); !oneOf(v, "", "true", "false") {
			return s.fail(422, at(code, name, v))
		}
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

// accessCall says what an access call names and what its bad requests are called: many recipients or one, dealers or none.
type accessCall struct {
	many, named bool
	bad         string // H-code
}

// parseAccess reads and checks an access call.
func (s *Sim) parseAccess(c *caller, r *http.Request, body []byte, call accessCall) (string, *accessBody, *answer) {
	many, named := call.many, call.named
	brand, a := s.brandOf(c, r, "", true)
	if a != nil {
		return "", nil, a
	}
	var in accessBody
	if !json.Valid(body) {
		return "", nil, s.failp(400, problem{Code: "H014"})
	}
	if json.Unmarshal(body, &in) != nil {
		return "", nil, s.failp(400, problem{Code: call.bad})
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
	brand, in, a := s.parseAccess(c, r, body, accessCall{named: true, bad: "H090"})
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
		call := accessCall{many: true, named: !strings.HasSuffix(r.URL.Path, "/all"), bad: "H172"}
		if r.Method == http.MethodPut {
			call.bad = "H171"
		}
		brand, in, a := s.parseAccess(c, r, body, call)
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
	brand, in, a := s.parseAccess(c, r, body, accessCall{bad: "H173"})
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
