package admin

import (
	"slices"
	"strconv"
	"strings"

	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/iys"
)

// Dealers (bayi) of a brand, which İYS keeps, and the consents they may use. İYS has no way to change a dealer: one is removed and
// made anew.

// partnerBrands are the brands of an account for which we speak with İYS.
func (c *call) partnerBrands(a gateway.AccountID) (out []gateway.Brand, err error) {
	list, err := c.brandsOf(a)
	for _, b := range list {
		if iys.Mode(b.SMS.Mode) == iys.ModePartner || iys.Mode(b.Email.Mode) == iys.ModePartner {
			out = append(out, b)
		}
	}
	return out, err
}

// chosenBrand is the brand a page is about: the one asked for, else the first; empty where the account has none in mode partner.
// The blocks choose account and brand.
func (c *call) chosenBrand(to string) (a gateway.AccountID, brand string, choose []block, err error) {
	list, a, err := c.chosen()
	if err != nil || a == 0 {
		return a, "", nil, err
	}
	brands, err := c.partnerBrands(a)
	if err != nil {
		return a, "", nil, err
	}
	choose = c.accountChooser(list, a, to)
	if len(brands) == 0 {
		return a, "", append(choose, block{Note: &note{Kind: "info", Text: c.t("iys.brands.none")}}), nil
	}
	f := field{Name: "brand", Label: c.t("brand"), Kind: "select"}
	for _, b := range brands {
		f.Options = append(f.Options, option{Value: b.Code, Text: b.Name + " (" + b.Code + ")"})
	}
	brand = firstNonEmpty(c.value("brand"), brands[0].Code)
	if !slices.ContainsFunc(brands, func(b gateway.Brand) bool { return b.Code == brand }) {
		return a, "", nil, gateway.Refuse(gateway.CodeBrand, "brand", "")
	}
	if f.Value = brand; len(brands) > 1 {
		choose = append(choose, block{Filter: &form{Action: to, Get: true, Submit: c.t("brand.choose"), Kind: "plain", Fields: []field{{Name: "account", Kind: "hidden", Value: idText(a)}, f}}})
	}
	return a, brand, choose, nil
}

// aboutBrand begins a page about one of an account's brands. Where there is none to speak of, it shows what can be said and returns
// no brand.
func (c *call) aboutBrand(to, title, lead string) (pg page, a gateway.AccountID, brand string, err error) {
	a, brand, choose, err := c.chosenBrand(to)
	if err != nil {
		return page{}, 0, "", err
	}
	pg = page{Title: title, Lead: lead, Nav: to, Blocks: choose}
	switch {
	case a == 0:
		err = c.noAccounts(title, to)
	case brand == "":
		err = c.show(pg)
	}
	return pg, a, brand, err
}

func dealersPath(a gateway.AccountID, brand string) string {
	return "/dealers?account=" + idText(a) + "&brand=" + brand
}

// carried are the hidden fields of account and brand.
func carried(a gateway.AccountID, brand string) []field {
	return []field{{Name: "account", Kind: "hidden", Value: idText(a)}, {Name: "brand", Kind: "hidden", Value: brand}}
}

func (c *call) dealers() error {
	pg, a, brand, err := c.aboutBrand("/dealers", c.t("dealers.title"), c.t("dealers.lead"))
	if err != nil || brand == "" {
		return err
	}
	list, err := c.p.deps.Desk.ListRetailers(c.ctx(), desk.Name{Name: brand})
	if err != nil {
		return c.unanswered(pg, err)
	}
	keep := "?account=" + idText(a) + "&brand=" + brand
	if c.may(get, "/dealers/add") {
		pg.Actions = []link{{Text: c.t("dealers.add"), Href: "/dealers/add" + keep, Kind: "primary"}}
	}
	pg.Actions = append(pg.Actions, link{Text: c.t("access.title"), Href: "/dealers/access" + keep})
	t := &grid{Caption: c.t("dealers.title"), Empty: c.t("dealers.none"), Heads: []string{c.t("dealers.code"), c.t("dealers.name"), c.t("dealers.place"), c.t("dealers.consents"), c.t("bind.state"), c.t("acts")}}
	for i := range list {
		r := &list[i]
		kinds := map[string]string{"active": "ok", "passive": "muted", "suspended": "warn"}
		state := badge(firstNonEmpty(kinds[r.Status], "info"), c.t("dealers.state."+firstKnown("dealers.state.", firstNonEmpty(r.Status, "active"), "unknown")))
		acts := cell{}
		if c.may(post, "/dealers/delete") {
			acts.Forms = []form{{Action: "/dealers/delete", Submit: c.t("delete"), Kind: "plain", Fields: append(carried(a, brand), field{Name: "code", Kind: "hidden", Value: strconv.Itoa(r.Code)})}}
		}
		t.Rows = append(t.Rows, []cell{mono(strconv.Itoa(r.Code)), {Text: r.Title, Sub: r.Alias}, text(firstNonEmpty(strings.Trim(r.Town.Name+" / "+r.City.Name, " /"), "–")), c.num(int64(r.Consents)), state, acts})
	}
	pg.Blocks = append(pg.Blocks, block{Title: brand, Lead: c.t("dealers.fixed"), Table: t})
	return c.show(pg)
}

// unanswered shows a page whose list İYS did not give, with what can be chosen instead.
func (c *call) unanswered(pg page, err error) error {
	e, status := refusalOf(err)
	pg.status, pg.Blocks = status, append(pg.Blocks, block{Note: c.refusal(e)})
	return c.show(pg)
}

func (c *call) dealerPage() error { return c.showDealer(nil) }

// showDealer makes a dealer in two steps: İYS's districts are those of a province.
func (c *call) showDealer(fault error) error {
	a, brand, _, err := c.chosenBrand("/dealers/add")
	if err != nil {
		return err
	}
	if brand == "" {
		return gateway.Refuse(gateway.CodeNotFound, "brand", "")
	}
	pg := page{Title: c.t("dealers.add"), Lead: c.t("dealers.fixed"), Nav: "/dealers", Up: &link{Text: c.t("dealers.title"), Href: dealersPath(a, brand)}}
	city, err := c.number("city")
	if err != nil {
		return err
	}
	cities, err := c.places(brand, 0)
	if err != nil {
		return c.unanswered(pg, err)
	}
	at := field{Name: "city", Label: c.t("dealers.city"), Kind: "select", Value: numberOr(city, ""), Required: true, Options: cities}
	if city == 0 {
		pg.Blocks = []block{{Title: c.t("dealers.city"), Filter: &form{Action: "/dealers/add", Get: true, Submit: c.t("dealers.next"), Fields: append(carried(a, brand), at)}}}
		return c.show(pg)
	}
	towns, err := c.places(brand, city)
	if err != nil {
		return c.unanswered(pg, err)
	}
	f := form{Action: "/dealers/add", Submit: c.t("dealers.add"), Cancel: dealersPath(a, brand), Fields: append(carried(a, brand),
		field{Name: "city", Kind: "hidden", Value: strconv.Itoa(city)}, field{Name: "cityName", Label: c.t("dealers.city"), Kind: "static", Value: nameOf(cities, city)},
		field{Name: "town", Label: c.t("dealers.town"), Kind: "select", Value: c.value("town"), Required: true, Options: towns},
		field{Name: "title", Label: c.t("dealers.name"), Value: c.value("title"), Required: true, Max: 255},
		field{Name: "name", Label: c.t("dealers.person"), Value: c.value("name"), Required: true, Max: 255, Complete: "off"},
		field{Name: "tckn", Label: c.t("dealers.tckn"), Value: c.value("tckn"), Required: true, Max: 11, Mode: "numeric", Complete: "off", Hint: c.t("dealers.tckn.hint")},
		field{Name: "tin", Label: c.t("dealers.tin"), Value: c.value("tin"), Required: true, Max: 11, Mode: "numeric", Complete: "off", Hint: c.t("dealers.tin.hint")},
		field{Name: "mersis", Label: c.t("account.mersis"), Value: c.value("mersis"), Max: 16, Mode: "numeric"},
		field{Name: "alias", Label: c.t("dealers.alias"), Value: c.value("alias"), Max: 255},
		field{Name: "mobile", Label: c.t("dealers.mobile"), Value: c.value("mobile"), Max: 20, Mode: "tel", Complete: "off"})}
	if fault != nil {
		_, pg.status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	pg.Blocks = []block{{Form: &f}}
	return c.show(pg)
}

// places are İYS's provinces, or the districts of one, as choices.
func (c *call) places(brand string, city int) (out []option, err error) {
	list, err := c.p.deps.Desk.ListPlaces(c.ctx(), desk.PlaceQuery{Brand: brand, City: city})
	for _, p := range list {
		out = append(out, option{Value: strconv.Itoa(p.Code), Text: p.Name})
	}
	return out, err
}

func nameOf(list []option, code int) string {
	for _, o := range list {
		if o.Value == strconv.Itoa(code) {
			return o.Text
		}
	}
	return ""
}

func (c *call) addDealer() error {
	a, brand, _, err := c.chosenBrand("/dealers/add")
	if err != nil {
		return err
	}
	if brand == "" {
		return gateway.Refuse(gateway.CodeNotFound, "brand", "")
	}
	in := desk.RetailerInput{Brand: brand}
	r := &in.Retailer
	city, cityErr := c.number("city")
	town, townErr := c.number("town")
	cities, err := c.places(brand, 0)
	var towns []option
	if err == nil && cityErr == nil && townErr == nil {
		towns, err = c.places(brand, city)
	}
	if err != nil {
		return err
	}
	r.City.Code, r.City.Name, r.Town.Code, r.Town.Name = city, nameOf(cities, city), town, nameOf(towns, town)
	if r.City.Name == "" {
		return gateway.Refuse(gateway.CodeInvalid, "city", "")
	}
	if r.Town.Name == "" {
		return c.showDealer(&fault{field: "town", key: "dealers.town.bad"})
	}
	r.Title, r.Name, r.TCKN, r.TIN = c.value("title"), c.value("name"), c.value("tckn"), c.value("tin")
	r.MERSIS, r.Alias = c.value("mersis"), c.value("alias")
	if s := c.value("mobile"); s != "" {
		if r.Mobile, err = recipient(s); err != nil || strings.Contains(r.Mobile, "@") {
			return c.showDealer(&fault{field: "mobile", key: "messages.what.bad"})
		}
	}
	made, err := c.p.deps.Desk.AddRetailer(c.ctx(), in)
	if err != nil {
		return c.showDealer(err)
	}
	return c.done(dealersPath(a, brand), "dealers.added", made.Code)
}

func (c *call) deleteDealer() error {
	a, brand, _, err := c.chosenBrand("/dealers")
	if err != nil {
		return err
	}
	code, err := c.number("code")
	if err != nil || code == 0 || brand == "" {
		return gateway.Refuse(gateway.CodeNotFound, "code", "")
	}
	ok, err := c.confirmed(page{Nav: "/dealers"}, c.t("dealers.delete.ask", code), c.t("delete"), dealersPath(a, brand), "account", "brand", "code")
	if !ok {
		return err
	}
	in := desk.RetailerInput{Brand: brand}
	in.Retailer.Code = code
	if _, err := c.p.deps.Desk.DeleteRetailer(c.ctx(), in); err != nil {
		return err
	}
	return c.done(dealersPath(a, brand), "deleted")
}

// accessActs are what can be done to the dealers of consents.
var accessActs = []string{"grant", "remove", "replace", "remove_all"}

func (c *call) accessPage() error { return c.showAccess(nil, nil) }

// showAccess has two forms: who may use one consent, and who is to use those of several addresses. The addresses come by POST alone,
// so that no address stands in a URL.
func (c *call) showAccess(found *block, fault error) error {
	a, brand, choose, err := c.chosenBrand("/dealers/access")
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("access.title"), "/dealers")
	}
	pg := page{Title: c.t("access.title"), Lead: c.t("access.lead"), Nav: "/dealers", Up: &link{Text: c.t("dealers.title"), Href: "/dealers?account=" + idText(a)}, Blocks: choose}
	if brand == "" {
		return c.show(pg)
	}
	if found != nil {
		pg.Blocks = append(pg.Blocks, *found)
	}
	key := func(prefix string) []field { // both forms stand on one page
		return append(carried(a, brand),
			field{Name: prefix + "channel", Label: c.t("channel"), Kind: "select", Value: c.value(prefix + "channel"), Options: c.choices("channel.", "sms", "email")},
			field{Name: prefix + "recipientType", Label: c.t("recipientType"), Kind: "select", Value: c.value(prefix + "recipientType"), Options: c.choices("recipient.", gateway.RecipientIndividual, gateway.RecipientMerchant)})
	}
	find := form{Action: "/dealers/access/find", Submit: c.t("find"), Fields: append(key("find."),
		field{Name: "address", Label: c.t("message.to"), Value: c.value("address"), Required: true, Max: 320, Complete: "off", Hint: c.t("address.hint")})}
	if fault != nil {
		_, pg.status = refusalOf(fault)
	}
	looking := c.Path() == "/dealers/access/find"
	if fault != nil && looking {
		c.refuse(&find, fault)
	}
	pg.Blocks = append(pg.Blocks, block{Title: c.t("access.find"), Form: &find})
	if c.may(post, "/dealers/access") {
		change := form{Action: "/dealers/access", Submit: c.t("access.change"), Fields: append(key(""),
			field{Name: "act", Label: c.t("access.act"), Kind: "select", Value: c.value("act"), Options: c.choices("access.act.", accessActs...)},
			field{Name: "addresses", Label: c.t("access.addresses"), Kind: "textarea", Value: c.FormValue("addresses"), Required: true, Max: 40_000, Hint: c.t("access.addresses.hint")},
			field{Name: "retailers", Label: c.t("access.dealers"), Value: c.value("retailers"), Max: 1000, Mode: "numeric", Hint: c.t("access.dealers.hint")})}
		if fault != nil && !looking {
			c.refuse(&change, fault)
		}
		pg.Blocks = append(pg.Blocks, block{Title: c.t("access.change"), Form: &change})
	}
	return c.show(pg)
}

// findAccess asks İYS which dealers may use a consent; decisions go by its answer from then on.
func (c *call) findAccess() error {
	_, brand, _, err := c.chosenBrand("/dealers/access")
	if err != nil {
		return err
	}
	list, err := c.p.deps.Desk.ListAccess(c.ctx(), desk.AccessQuery{Brand: brand, Channel: c.value("find.channel"), RecipientType: c.value("find.recipientType"), Address: typedAddress(c.value("address"))})
	if err != nil {
		return c.showAccess(nil, err)
	}
	t := &grid{Caption: c.t("access.found"), Empty: c.t("access.none"), Heads: []string{c.t("dealers.code"), c.t("dealers.name")}}
	for i := range list {
		t.Rows = append(t.Rows, []cell{mono(strconv.Itoa(list[i].Code)), {Text: firstNonEmpty(list[i].Title, "–"), Sub: list[i].Alias}})
	}
	return c.showAccess(&block{Title: c.t("access.found"), Table: t}, nil)
}

// typedAddress brings an address people type into the form İYS wants; what is none stays as it is, and is refused there.
func typedAddress(s string) string {
	if r, err := recipient(s); err == nil {
		return r
	}
	return s
}

// changeAccess says which dealers may use consents. Taking all of them away is asked about first.
func (c *call) changeAccess() error {
	a, brand, _, err := c.chosenBrand("/dealers/access")
	if err != nil {
		return err
	}
	in := desk.AccessInput{Brand: brand, Channel: c.value("channel"), RecipientType: c.value("recipientType"), Act: c.value("act")}
	for _, s := range strings.Fields(c.FormValue("addresses")) {
		in.Addresses = append(in.Addresses, typedAddress(s))
	}
	for _, s := range strings.FieldsFunc(c.value("retailers"), func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		code, err := strconv.Atoi(s)
		if err != nil {
			return c.showAccess(nil, &fault{field: "retailers", key: "access.dealers.bad"})
		}
		in.Retailers = append(in.Retailers, code)
	}
	switch {
	case len(in.Addresses) == 0 || len(in.Addresses) > 100:
		return c.showAccess(nil, &fault{field: "addresses", key: "access.addresses.bad"})
	case in.Act != "remove_all" && len(in.Retailers) == 0:
		return c.showAccess(nil, &fault{field: "retailers", key: "access.dealers.missing"})
	case in.Act == "remove_all":
		in.Retailers = nil
		ok, err := c.confirmed(page{Nav: "/dealers"}, c.l.n("access.remove_all.ask", len(in.Addresses)), c.t("access.act.remove_all"), dealersPath(a, brand),
			"account", "brand", "channel", "recipientType", "act", "addresses")
		if !ok {
			return err
		}
	}
	if _, err := c.p.deps.Desk.ChangeAccess(c.ctx(), in); err != nil {
		return c.showAccess(nil, err)
	}
	return c.done("/dealers/access?account="+idText(a)+"&brand="+brand, "access.changed", len(in.Addresses))
}
