package admin

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/desk"
)

// Sources of consents people record by hand (iys-api.md §5.2): how the person said yes.
var consentSources = []string{"HS_FIZIKSEL_ORTAM", "HS_ISLAK_IMZA", "HS_WEB", "HS_CAGRI_MERKEZI", "HS_MESAJ", "HS_EPOSTA", "HS_MOBIL", "HS_SOSYAL_MEDYA", "HS_EORTAM", "HS_ETKINLIK", "HS_2015", "HS_ATM", "HS_KARAR"}

// key is one consent: whose, on which channel, of whom.
type consentKey struct {
	account                      gateway.AccountID
	brand, channel, kind, person string
}

// readKey reads a consent key from the form; errors name the field.
func (c *call) readKey() (k consentKey, err error) {
	_, k.account, err = c.chosen()
	if err != nil {
		return k, err
	}
	k.brand, k.channel, k.kind = c.value("brand"), c.value("channel"), firstNonEmpty(c.value("recipientType"), gateway.RecipientIndividual)
	if err := c.brandBelongs(k.account, k.brand); err != nil {
		return k, err
	}
	if k.person, err = recipient(c.value("address")); err != nil {
		return k, &fault{field: "address", key: "messages.what.bad"}
	}
	return k, nil
}

// ownBrand is the account chosen and a brand of it that the request names.
func (c *call) ownBrand() (a gateway.AccountID, brand string, err error) {
	if _, a, err = c.chosen(); err != nil {
		return 0, "", err
	}
	brand = c.value("brand")
	return a, brand, c.brandBelongs(a, brand)
}

// brandBelongs refuses a brand of another account before anything is asked about it.
func (c *call) brandBelongs(a gateway.AccountID, brand string) error {
	list, err := c.brandsOf(a)
	for _, b := range list {
		if b.Code == brand && b.Account == a {
			return err
		}
	}
	if err == nil {
		err = gateway.Refuse(gateway.CodeBrand, "brand", "")
	}
	return err
}

func (c *call) keyFields(list []gateway.Account, a gateway.AccountID) ([]field, error) {
	brand, err := c.brandField(a, c.value("brand"), true)
	return []field{c.accountField(list, a), brand,
		{Name: "channel", Label: c.t("channel"), Kind: "select", Value: c.value("channel"), Options: c.choices("channel.", "sms", "email")},
		{Name: "recipientType", Label: c.t("recipientType"), Kind: "select", Value: c.value("recipientType"), Options: c.choices("recipient.", gateway.RecipientIndividual, gateway.RecipientMerchant)},
		{Name: "address", Label: c.t("message.to"), Value: c.value("address"), Required: true, Max: 320, Complete: "off", Hint: c.t("address.hint")}}, err
}

func (c *call) consents() error { return c.showConsents(nil) }

func (c *call) showConsents(fault error) error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("consents.title"), "/consents")
	}
	pg := page{Title: c.t("consents.title"), Lead: c.t("consents.lead"), Nav: "/consents"}
	if c.may(get, "/consents/add") {
		pg.Actions = []link{{Text: c.t("consent.add"), Href: "/consents/add?account=" + idText(a)}, {Text: c.t("import.title"), Href: "/consents/import?account=" + idText(a)}}
	}
	if len(list) > 1 {
		pg.Blocks = append(pg.Blocks, block{Filter: &form{Action: "/consents", Get: true, Submit: c.t("account.choose"), Kind: "plain", Fields: []field{c.accountField(list, a)}}})
	}
	fields, err := c.keyFields(list, a)
	if err != nil {
		return err
	}
	fields[0] = field{Name: "account", Kind: "hidden", Value: idText(a)}
	if len(fields[1].Options) == 0 {
		pg.Blocks = append(pg.Blocks, block{Note: &note{Kind: "info", Text: c.t("brands.none")}})
		return c.show(pg)
	}
	return c.showForm(pg, form{Action: "/consents/find", Submit: c.t("consent.lookup"), Fields: fields}, fault)
}

// findConsent turns the form into an address that holds no address.
func (c *call) findConsent() error {
	k, err := c.readKey()
	if err != nil {
		return c.showConsents(err)
	}
	return c.Redirect(http.StatusSeeOther, c.consentPath(k))
}

func (c *call) consentPath(k consentKey) string {
	q := url.Values{"q": {c.p.hide(c.user.Name, strings.Join([]string{idText(k.account), k.brand, k.channel, k.kind, k.person}, "\x00"))}}
	return "/consents/view?" + q.Encode()
}

// hiddenKey reads back what consentPath wrote; the account is checked anew, rights may have changed since.
func (c *call) hiddenKey(s string) (k consentKey, err error) {
	gone := gateway.Refuse(gateway.CodeNotFound, "q", "")
	plain, ok := c.p.unhide(c.user.Name, s)
	parts := strings.Split(plain, "\x00")
	if !ok || len(parts) != 5 {
		return k, gone
	}
	k = consentKey{account: gateway.AccountID(atoi(parts[0])), brand: parts[1], channel: parts[2], kind: parts[3], person: parts[4]}
	return k, c.sees(k.account)
}

func (c *call) consent() error {
	k, err := c.hiddenKey(c.QueryParam("q"))
	if err != nil {
		return err
	}
	v, err := c.p.deps.Desk.LookupConsent(c.ctx(), desk.ConsentQuery{Account: k.account, Brand: k.brand, Channel: k.channel, RecipientType: k.kind, Address: k.person})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("consent.title"), Nav: "/consents", Up: &link{Text: c.t("consents.title"), Href: "/consents?account=" + idText(k.account)}}
	pg.Blocks = append(pg.Blocks, block{Note: c.consentNote(&v)}, block{Facts: c.consentFacts(&k, &v)})
	if v.Blocked && v.Block != nil {
		facts := []fact{{c.t("block.route"), text(c.routeText(v.Block.Route))}, {c.t("block.at"), c.at(v.Block.At)}, {c.t("consent.source"), mono(firstNonEmpty(v.Block.Source, "–"))}}
		pg.Blocks = append(pg.Blocks, block{Title: c.t("block.title"), Lead: c.t("block.lead"), Facts: facts})
	}
	if !v.Blocked && c.may(post, "/consents/block") {
		pg.Blocks = append(pg.Blocks, block{Title: c.t("block.make"), Lead: c.t("block.make.lead"), Form: &form{Action: "/consents/block", Submit: c.t("block.submit"), Kind: "danger",
			Fields: []field{{Name: "q", Kind: "hidden", Value: c.QueryParam("q")}}}})
	}
	b := block{Title: c.t("history.title")}
	for i := range v.History {
		b.Timeline = append(b.Timeline, c.movement(&v.History[i]))
	}
	if len(v.History) == 0 {
		b.Lead = c.t("history.none")
	}
	pg.Blocks = append(pg.Blocks, b)
	return c.show(pg)
}

// consentNote answers whether a commercial message may go there.
func (c *call) consentNote(v *gateway.ConsentView) *note {
	switch {
	case v.Blocked:
		return &note{Kind: "error", Text: c.t("consent.blocked")}
	case v.Status == "ONAY":
		return &note{Kind: "ok", Text: c.t("consent.yes")}
	case v.Status == "RET":
		return &note{Kind: "error", Text: c.t("consent.no")}
	}
	return &note{Kind: "warn", Text: c.t("consent.unknown")}
}

func (c *call) consentFacts(k *consentKey, v *gateway.ConsentView) []fact {
	list := []fact{
		{c.t("message.to"), mono(address.Mask(k.person))}, {c.t("brand"), mono(k.brand)}, {c.t("channel"), text(c.t("channel." + firstKnown("channel.", k.channel, "sms")))},
		{c.t("recipientType"), text(c.t("recipient." + firstKnown("recipient.", k.kind, "BIREYSEL")))},
		{c.t("consent.status"), text(firstNonEmpty(c.statusText(v.Status), "–"))}, {c.t("consent.source"), mono(firstNonEmpty(v.Source, "–"))},
		{c.t("consent.date"), c.at(v.ConsentDate)}, {c.t("consent.creation"), c.at(v.CreationDate)},
		{c.t("consent.transaction"), mono(firstNonEmpty(v.TransactionID, "–"))},
	}
	where := c.t("where." + firstKnown("where.", firstNonEmpty(v.Where, "none"), "none"))
	if v.AgeS > 0 {
		where += ", " + c.t("consent.age", c.l.ago(time.Duration(v.AgeS)*time.Second))
	}
	list = append(list, fact{c.t("consent.where"), text(where)})
	return append(list, fact{c.t("sync"), text(c.syncText(v.Sync))})
}

func (c *call) syncText(s string) string {
	if s == "" {
		return c.t("sync.none")
	}
	state, code, _ := strings.Cut(s, "(")
	if has("sync." + state) {
		return strings.TrimSpace(c.t("sync."+state) + " " + strings.TrimSuffix(code, ")"))
	}
	return s
}

func (c *call) routeText(s string) string {
	if has("how." + s) {
		return c.t("how." + s)
	}
	return s
}

func (c *call) movement(h *gateway.ConsentEvent) event {
	e := event{When: c.l.when(h.At), At: h.At, Title: firstNonEmpty(c.statusText(h.Status), "–"), Text: c.routeText(h.How)}
	if h.Status == "ONAY" {
		e.Kind = "ok"
	} else if h.Status == "RET" {
		e.Kind = "error"
	}
	for _, x := range []struct{ key, v string }{{"consent.source", h.Source}, {"recipientType", h.RecipientType}, {"consent.transaction", h.TransactionID}, {"consent.evidence", h.Evidence}} {
		if x.v != "" {
			e.Facts = append(e.Facts, fact{c.t(x.key), text(x.v)})
		}
	}
	if !h.ConsentDate.IsZero() {
		e.Facts = append(e.Facts, fact{c.t("consent.date"), c.at(h.ConsentDate)})
	}
	if h.Sync != "" {
		e.Facts = append(e.Facts, fact{c.t("sync"), text(c.syncText(h.Sync))})
	}
	return e
}

// block records that the person refused; it stops commercial messages at once.
func (c *call) block() error {
	k, err := c.hiddenKey(c.value("q"))
	if err != nil {
		return err
	}
	ok, err := c.confirmed(page{Nav: "/consents"}, c.t("block.ask", address.Mask(k.person), k.brand), c.t("block.submit"), c.consentPath(k), "q")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.OptOut(c.ctx(), gateway.OptOut{Account: k.account, Brand: k.brand, Channel: k.channel, Address: k.person, Route: "panel", At: c.p.now()}); err != nil {
		return err
	}
	return c.done(c.consentPath(k), "block.done")
}

func (c *call) addConsentPage() error { return c.showAddConsent(nil) }

func (c *call) showAddConsent(fault error) error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("consent.add"), "/consents")
	}
	fields, err := c.keyFields(list, a)
	if err != nil {
		return err
	}
	fields[0] = field{Name: "account", Kind: "hidden", Value: idText(a)}
	fields = append(fields,
		field{Name: "status", Label: c.t("consent.status"), Kind: "select", Value: c.value("status"), Options: c.choices("status.", "ONAY", "RET")},
		field{Name: "source", Label: c.t("consent.source"), Kind: "select", Value: c.value("source"), Options: c.choices("source.", consentSources...), Hint: c.t("consent.source.hint")},
		field{Name: "consentDate", Label: c.t("consent.date"), Kind: "datetime-local", Value: c.value("consentDate"), Required: true, Hint: c.t("consent.date.hint")},
		field{Name: "evidence", Label: c.t("consent.evidence"), Value: c.value("evidence"), Max: 500, Hint: c.t("consent.evidence.hint")},
		field{Name: "overrideBlock", Label: c.t("consent.override"), Kind: "checkbox", Value: c.value("overrideBlock"), Hint: c.t("consent.override.hint")})
	pg := c.upTo("consent.add", "consents.title", "/consents")
	return c.showForm(pg, form{Action: "/consents/add", Submit: c.t("consent.add"), Cancel: "/consents", Fields: fields}, fault)
}

// wireChannels are İYS's names of our channels.
var wireChannels = map[string]string{gateway.ChannelSMS: "MESAJ", gateway.ChannelEmail: "EPOSTA"}

func (c *call) addConsent() error {
	k, err := c.readKey()
	if err != nil {
		return c.showAddConsent(err)
	}
	at, err := readMoment(c.value("consentDate"))
	if err != nil {
		return c.showAddConsent(&fault{field: "consentDate", key: "consent.date.bad"})
	}
	in := gateway.Consent{Brand: k.brand, Channel: wireChannels[k.channel], Address: k.person, RecipientType: k.kind, Status: c.value("status"),
		Source: c.value("source"), ConsentDate: at, Evidence: c.value("evidence"), OverrideBlock: c.checked("overrideBlock")}
	results, err := c.p.deps.Desk.AddConsents(c.ctx(), desk.ConsentInput{Account: k.account, Consents: []gateway.Consent{in}})
	if err != nil {
		return c.showAddConsent(err)
	}
	if len(results) == 1 && results[0].Code != "" {
		r := results[0]
		return c.showAddConsent(gateway.Refuse(r.Code, "", "%s", strings.TrimSpace(r.IYS+" "+r.Text)))
	}
	return c.done(c.consentPath(k), "consent.added")
}

// readMoment reads what a browser's date and time field sends, in Istanbul time.
func readMoment(s string) (t time.Time, err error) {
	for _, form := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "02.01.2006 15:04"} {
		if t, err = time.ParseInLocation(form, s, istanbul); err == nil {
			return t, nil
		}
	}
	return t, err
}

func (c *call) blacklist() error { return c.showBlacklist(nil) }

func (c *call) showBlacklist(fault error) error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("blacklist.title"), "/blacklist")
	}
	found, err := c.p.deps.Desk.ListBlacklist(c.ctx(), desk.BlacklistQuery{Account: a, Cursor: c.blacklistCursor(), Limit: pageRows})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("blacklist.title"), Lead: c.t("blacklist.lead"), Nav: "/blacklist"}
	if len(list) > 1 {
		pg.Blocks = append(pg.Blocks, block{Filter: &form{Action: "/blacklist", Get: true, Submit: c.t("account.choose"), Kind: "plain", Fields: []field{c.accountField(list, a)}}})
	}
	t := &grid{Caption: c.t("blacklist.title"), Empty: c.t("blacklist.none"), Heads: []string{c.t("message.to"), c.t("blacklist.at"), c.t("credits.note"), c.t("acts")}}
	for _, e := range found.Items {
		t.Rows = append(t.Rows, []cell{mono(address.Mask(e.Address)), c.at(e.At), text(firstNonEmpty(e.Note, "–")), {Forms: c.deleteButton("/blacklist/remove", "/blacklist/remove",
			field{Name: "q", Kind: "hidden", Value: c.p.hide(c.user.Name, idText(a)+"\x00"+e.Address)})}})
	}
	if found.Next != "" {
		t.Next = "/blacklist?account=" + idText(a) + "&cursor=" + c.p.hide(c.user.Name, found.Next) // the cursor is an address
	}
	pg.Blocks = append(pg.Blocks, block{Table: t})
	if !c.may(post, "/blacklist/add") {
		return c.show(pg)
	}
	f := form{Action: "/blacklist/add", Submit: c.t("blacklist.add"), Fields: []field{{Name: "account", Kind: "hidden", Value: idText(a)},
		{Name: "address", Label: c.t("message.to"), Value: c.value("address"), Required: true, Max: 320, Complete: "off", Hint: c.t("address.hint")},
		{Name: "note", Label: c.t("credits.note"), Value: c.value("note"), Max: 200}}}
	if fault != nil {
		_, pg.status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	pg.Blocks = append(pg.Blocks, block{Title: c.t("blacklist.add"), Form: &f})
	return c.show(pg)
}

func (c *call) blacklistCursor() string {
	cursor, _ := c.p.unhide(c.user.Name, c.QueryParam("cursor"))
	return cursor
}

func (c *call) addBlacklist() error {
	_, a, err := c.chosen()
	if err != nil {
		return err
	}
	person, err := recipient(c.value("address"))
	if err != nil {
		return c.showBlacklist(&fault{field: "address", key: "messages.what.bad"})
	}
	if _, err := c.p.deps.Desk.PutBlacklist(c.ctx(), desk.BlacklistEntry{Account: a, Address: person, Note: c.value("note")}); err != nil {
		return c.showBlacklist(err)
	}
	return c.done("/blacklist?account="+idText(a), "blacklist.added")
}

func (c *call) removeBlacklist() error {
	a, person, err := c.hiddenAddress()
	if err != nil {
		return err
	}
	ok, err := c.confirmed(page{Nav: "/blacklist"}, c.t("blacklist.remove.ask", address.Mask(person)), c.t("delete"), "/blacklist?account="+idText(a), "q")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.DeleteBlacklist(c.ctx(), desk.BlacklistEntry{Account: a, Address: person}); err != nil {
		return err
	}
	return c.done("/blacklist?account="+idText(a), "deleted")
}

// hiddenAddress reads an account and an address of its that a list hid in a form.
func (c *call) hiddenAddress() (a gateway.AccountID, person string, err error) {
	plain, ok := c.p.unhide(c.user.Name, c.value("q"))
	id, person, cut := strings.Cut(plain, "\x00")
	if !ok || !cut {
		return 0, "", gateway.Refuse(gateway.CodeNotFound, "q", "")
	}
	a = gateway.AccountID(atoi(id))
	return a, person, c.sees(a)
}

// nobodysInbox is, in place of an account, what came to our numbers and is clearly no account's: a text without keyword to a number
// that accounts share. It could tell one of them of another's customer, so only platform administrators see it.
const nobodysInbox = "none"

// inbox lists what people wrote to the account's numbers.
func (c *call) inbox() error {
	pg := page{Title: c.t("inbox.title"), Lead: c.t("inbox.lead"), Nav: "/inbox"}
	nobodys := c.user.Role == gateway.RolePlatform && c.value("account") == nobodysInbox
	var list []gateway.Account
	var a gateway.AccountID
	var err error
	if nobodys {
		list, err = c.visible()
		pg.Lead = c.t("inbox.nobody.lead")
	} else {
		list, a, err = c.chosen()
	}
	if err != nil {
		return err
	}
	if a == 0 && !nobodys {
		return c.noAccounts(c.t("inbox.title"), "/inbox")
	}
	if c.p.deps.Inbound == nil {
		return gateway.Refuse(gateway.CodeUnavailable, "", "")
	}
	found, err := c.p.deps.Inbound(c.Request().Context(), a, c.QueryParam("cursor"), pageRows)
	if err != nil {
		return err
	}
	who := c.inboxField(list, a, nobodys)
	if who.Kind != "hidden" {
		pg.Blocks = append(pg.Blocks, block{Filter: &form{Action: "/inbox", Get: true, Submit: c.t("account.choose"), Kind: "plain", Fields: []field{who}}})
	}
	t := &grid{Caption: c.t("inbox.title"), Empty: c.t("inbox.none"), Heads: []string{c.t("inbox.at"), c.t("inbox.from"), c.t("inbox.to"), c.t("inbox.text"), c.t("inbox.kind"), c.t("brand")}}
	kinds := map[string]string{"optout": "error", "optin": "ok"}
	for i := range found.Items {
		m := &found.Items[i]
		t.Rows = append(t.Rows, []cell{c.at(m.At), mono(address.Mask(m.From)), mono(m.To), text(m.Text), badge(firstNonEmpty(kinds[m.Kind], "muted"), c.t("inbox."+firstKnown("inbox.", m.Kind, "message"))),
			mono(firstNonEmpty(strings.Join(m.Brands, ", "), m.Brand, "–"))})
	}
	if found.Next != "" {
		t.Next = "/inbox?account=" + who.Value + "&cursor=" + url.QueryEscape(found.Next)
	}
	pg.Blocks = append(pg.Blocks, block{Table: t})
	return c.show(pg)
}

// inboxField chooses whose messages are shown.
func (c *call) inboxField(list []gateway.Account, a gateway.AccountID, nobodys bool) field {
	if c.user.Role != gateway.RolePlatform {
		return c.accountField(list, a)
	}
	f := c.accountSelect(list, a)
	f.Options = append(f.Options, option{Value: nobodysInbox, Text: c.t("inbox.nobody")})
	if nobodys {
		f.Value = nobodysInbox
	}
	return f
}
