package admin

import (
	"net/url"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// What an account sends as: brands, sender IDs, inbound numbers.

// editButton leads to a form; nothing for those who may not.
func (c *call) editButton(path, to string) []link {
	if !c.may(get, path) {
		return nil
	}
	return []link{{Text: c.t("edit"), Href: to}}
}

func (c *call) newButton(path, to, key string) []link {
	if !c.may(get, path) {
		return nil
	}
	return []link{{Text: c.t(key), Href: to}}
}

func (c *call) brandsOf(a gateway.AccountID) ([]gateway.Brand, error) {
	return c.p.deps.Desk.ListBrands(c.ctx(), desk.Query{Account: a})
}

func (c *call) brandList(a gateway.AccountID) (block, error) {
	list, err := c.brandsOf(a)
	to := accountPath(a) + "/brand"
	b := block{Title: c.t("brands.title"), Links: c.newButton("/accounts/:id/brand", to, "brand.new")}
	b.Table = &grid{Caption: c.t("brands.title"), Empty: c.t("brands.none"), Heads: []string{c.t("brand.code"), c.t("brand.name"), c.t("channel.sms"), c.t("channel.email"), c.t("brand.iys"), c.t("acts")}}
	for i := range list {
		x := &list[i]
		b.Table.Rows = append(b.Table.Rows, []cell{{Text: x.Code, Mono: true, Href: brandViewPath(a, x.Code)}, {Text: x.Name, Sub: x.Short}, c.mode(&x.SMS), c.mode(&x.Email), text(firstNonEmpty(x.IYS, "–")),
			{Links: c.editButton("/accounts/:id/brand", to+"?code="+x.Code)}})
	}
	return b, err
}

// mode tells who holds İYS for a channel, and when that proof ends.
func (c *call) mode(m *gateway.BrandMode) cell {
	kind := "info"
	if m.Mode == "" {
		kind = "muted"
	}
	x := badge(kind, c.modeText(m.Mode))
	switch {
	case !m.Expires.IsZero():
		x.Sub = c.t("mode.until", c.l.day(m.Expires))
		if !c.p.now().Before(m.Expires) {
			x.Badge = "error"
		}
	case m.ReadOnly:
		x.Sub = c.t("mode.readOnly")
	case m.Version != "":
		x.Sub = c.t("mode.version", m.Version)
	}
	return x
}

func (c *call) brandForm(b *gateway.Brand) (form, error) {
	links, err := c.p.deps.Desk.ListIYSLinks(c.ctx(), desk.Query{})
	if err != nil {
		return form{}, err
	}
	iys := []option{{Text: "–"}}
	for _, l := range links {
		iys = append(iys, option{Value: l.Name, Text: l.Name})
	}
	f := form{Action: accountPath(b.Account) + "/brand", Submit: c.t("save"), Cancel: accountPath(b.Account), Fields: []field{
		{Name: "code", Label: c.t("brand.code"), Value: b.Code, Required: true, Mode: "numeric", Max: 10, Hint: c.t("brand.code.hint")},
		{Name: "name", Label: c.t("brand.name"), Value: b.Name, Required: true, Max: 120},
		{Name: "short", Label: c.t("brand.short"), Value: b.Short, Max: 20, Hint: c.t("brand.short.hint")},
		{Name: "iysCode", Label: c.t("account.iysCode"), Value: numberOr(b.IYSCode, ""), Mode: "numeric", Max: 10, Hint: c.t("brand.iysCode.hint")},
		{Name: "iys", Label: c.t("brand.iys"), Kind: "select", Value: b.IYS, Options: iys, Hint: c.t("brand.iys.hint")},
		{Name: "title", Label: c.t("brand.tradeName"), Value: b.Title, Max: 200, Hint: c.t("brand.tradeName.hint")},
		{Name: "mersis", Label: c.t("account.mersis"), Value: b.MERSIS, Mode: "numeric", Max: 16, Hint: c.t("brand.mersis.hint")},
		{Name: "contact", Label: c.t("brand.contact"), Value: b.Contact, Max: 200, Hint: c.t("brand.contact.hint")},
	}}
	f.Fields = append(f.Fields, c.modeFields("sms", &b.SMS)...)
	f.Fields = append(f.Fields, c.modeFields("email", &b.Email)...)
	return f, nil
}

func (c *call) modeFields(channel string, m *gateway.BrandMode) []field {
	label := func(key string) string { return c.t("channel."+channel) + ": " + c.t(key) }
	modes := append([]option{{Text: c.t("mode.closed")}}, c.choices("mode.", "partner", "ahs", "self_managed", "exempt")...)
	return []field{
		{Name: channel + ".mode", Label: label("mode"), Kind: "select", Value: m.Mode, Options: modes, Hint: c.t("mode.hint")},
		{Name: channel + ".readOnly", Label: label("mode.readOnly"), Kind: "checkbox", Value: set(m.ReadOnly)},
		{Name: channel + ".text", Label: label("mode.text"), Kind: "textarea", Value: m.Text, Max: 10_000, Hint: c.t("mode.text.hint")},
		{Name: channel + ".version", Label: label("mode.version.label"), Value: m.Version, Max: 40},
		{Name: channel + ".document", Label: label("mode.document"), Value: m.Document, Max: 200},
		{Name: channel + ".user", Label: label("mode.user"), Value: m.User, Max: 120},
		{Name: channel + ".ip", Label: label("mode.ip"), Value: m.IP, Max: 45},
		{Name: channel + ".expires", Label: label("mode.expires"), Kind: "date", Value: expiryDay(m)},
	}
}

// expiryDay is the day on which a mode's proof ends, as the form shows it; empty when it has no end.
func expiryDay(m *gateway.BrandMode) string {
	if m.Expires.IsZero() {
		return ""
	}
	return m.Expires.In(istanbul).Format(time.DateOnly)
}

func (c *call) identityPage(a *gateway.Account, title string) page {
	return page{Title: c.t(title), Nav: "/accounts", Up: &link{Text: a.Name, Href: accountPath(a.ID)}}
}

func (c *call) brandPage() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	b := gateway.Brand{Account: a.ID}
	if code := c.QueryParam("code"); code != "" {
		if b, err = c.oneBrand(a.ID, code); err != nil {
			return err
		}
	}
	f, err := c.brandForm(&b)
	if err != nil {
		return err
	}
	return c.showForm(c.identityPage(&a, "brand.title"), f, nil)
}

func (c *call) oneBrand(a gateway.AccountID, code string) (gateway.Brand, error) {
	list, err := c.brandsOf(a)
	for _, b := range list {
		if b.Code == code {
			return b, err
		}
	}
	if err == nil {
		err = gateway.Refuse(gateway.CodeNotFound, "brand", "")
	}
	return gateway.Brand{}, err
}

// readMode reads the fields of one channel. The moment of a declaration stays when nothing of it was changed, and so does the time of
// day at which it ends, of which the form shows the day alone.
func (c *call) readMode(channel string, before *gateway.BrandMode) (m gateway.BrandMode, err error) {
	v := func(name string) string { return c.value(channel + "." + name) }
	m = gateway.BrandMode{Mode: v("mode"), Text: c.lines(channel + ".text"), Version: v("version"), Document: v("document"), User: v("user"), IP: v("ip"), ReadOnly: v("readOnly") != ""}
	if s := v("expires"); s != "" {
		t, e := time.ParseInLocation(time.DateOnly, s, istanbul)
		if e != nil {
			return m, gateway.Refuse(gateway.CodeInvalid, channel+".expires", "%q is not a date.", s)
		}
		if m.Expires = t; s == expiryDay(before) {
			m.Expires = before.Expires
		}
	}
	same := m
	same.At = before.At
	if m.Expires.Equal(before.Expires) {
		same.Expires = before.Expires // two values of one moment may differ
	}
	if same == *before {
		m.At = before.At
	}
	return m, nil
}

func (c *call) putBrand() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	before, err := c.oneBrand(a.ID, c.value("code"))
	if err != nil && !isCode(err, gateway.CodeNotFound) {
		return err
	}
	b := gateway.Brand{Account: a.ID, Code: c.value("code"), Name: c.value("name"), Short: c.value("short"), IYS: c.value("iys"),
		Title: c.value("title"), MERSIS: strings.ReplaceAll(c.value("mersis"), " ", ""), Contact: c.value("contact")}
	var errs [3]error
	if s := c.value("iysCode"); s != "" {
		b.IYSCode, errs[0] = desk.ParseIYSCode(s)
	}
	b.SMS, errs[1] = c.readMode("sms", &before.SMS)
	b.Email, errs[2] = c.readMode("email", &before.Email)
	err = firstError(errs[:]...)
	if err == nil {
		if _, err = c.p.deps.Desk.PutBrand(c.ctx(), b); err == nil {
			return c.done(accountPath(a.ID), "saved")
		}
	}
	f, ferr := c.brandForm(&b)
	if ferr != nil {
		return ferr
	}
	keepTyped(c, &f)
	return c.showForm(c.identityPage(&a, "brand.title"), f, err)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *call) senderList(a gateway.AccountID) (block, error) {
	list, err := c.p.deps.Desk.ListSenders(c.ctx(), desk.Query{Account: a})
	to := accountPath(a) + "/sender"
	b := block{Title: c.t("senders.title"), Links: c.newButton("/accounts/:id/sender", to, "sender.new")}
	b.Table = &grid{Caption: c.t("senders.title"), Empty: c.t("senders.none"), Heads: []string{c.t("sender.name"), c.t("channel"), c.t("brand"), c.t("sender.approved"), c.t("acts")}}
	for i := range list {
		x := &list[i]
		q := url.Values{"channel": {x.Channel}, "name": {x.Name}}
		b.Table.Rows = append(b.Table.Rows, []cell{mono(x.Name), text(c.t("channel." + x.Channel)), mono(x.Brand), c.yes(x.Approved),
			{Links: c.editSender(to + "?" + q.Encode()), Forms: append(c.approveForms(x), c.deleteButton("/accounts/:id/sender/delete", to+"/delete",
				field{Name: "channel", Kind: "hidden", Value: x.Channel}, field{Name: "name", Kind: "hidden", Value: x.Name})...)}})
	}
	return b, err
}

// editSender leads to the form, for those who may approve: an owner asks for a sender ID and leaves it then.
func (c *call) editSender(to string) []link {
	if !c.may(post, "/accounts/:id/sender/approve") {
		return nil
	}
	return c.editButton("/accounts/:id/sender", to)
}

func (c *call) deleteButton(path, to string, fields ...field) []form {
	if !c.may(post, path) {
		return nil
	}
	return []form{{Action: to, Submit: c.t("delete"), Kind: "plain", Fields: fields}}
}

// brandField chooses one of the account's brands.
func (c *call) brandField(a gateway.AccountID, set string, required bool) (field, error) {
	list, err := c.brandsOf(a)
	f := field{Name: "brand", Label: c.t("brand"), Kind: "select", Value: set, Required: required}
	if !required {
		f.Options = []option{{Text: "–"}}
	}
	for _, b := range list {
		f.Options = append(f.Options, option{Value: b.Code, Text: b.Name + " (" + b.Code + ")"})
	}
	return f, err
}

func (c *call) senderForm(x *gateway.Sender) (form, error) {
	brand, err := c.brandField(x.Account, x.Brand, true)
	f := form{Action: accountPath(x.Account) + "/sender", Submit: c.t("save"), Cancel: accountPath(x.Account), Fields: []field{
		{Name: "channel", Label: c.t("channel"), Kind: "select", Value: x.Channel, Options: c.choices("channel.", "sms", "email")},
		{Name: "name", Label: c.t("sender.name"), Value: x.Name, Required: true, Max: 253, Hint: c.t("sender.name.hint")}, brand}}
	if c.may(post, "/accounts/:id/sender/approve") {
		f.Fields = append(f.Fields, field{Name: "approved", Label: c.t("sender.approved"), Kind: "checkbox", Value: set(x.Approved), Hint: c.t("sender.approved.hint")})
	} else {
		f.Submit = c.t("sender.ask")
	}
	return f, err
}

func (c *call) senderPage() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	x := gateway.Sender{Account: a.ID, Channel: gateway.ChannelSMS}
	list, err := c.p.deps.Desk.ListSenders(c.ctx(), desk.Query{Account: a.ID})
	if err != nil {
		return err
	}
	for _, s := range list {
		if s.Channel == c.QueryParam("channel") && s.Name == c.QueryParam("name") {
			x = s
		}
	}
	f, err := c.senderForm(&x)
	if err != nil {
		return err
	}
	return c.showForm(c.identityPage(&a, "sender.title"), f, nil)
}

func (c *call) putSender() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	x := gateway.Sender{Account: a.ID, Channel: c.value("channel"), Name: c.value("name"), Brand: c.value("brand"), Approved: c.checked("approved")}
	if _, err = c.p.deps.Desk.PutSender(c.ctx(), x); err == nil {
		return c.done(accountPath(a.ID), "saved")
	}
	f, ferr := c.senderForm(&x)
	if ferr != nil {
		return ferr
	}
	return c.showForm(c.identityPage(&a, "sender.title"), f, err)
}

func (c *call) deleteSender() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	k := gateway.SenderKey{Account: a.ID, Channel: c.value("channel"), Name: c.value("name")}
	ok, err := c.confirmed(c.identityPage(&a, "confirm.title"), c.t("sender.delete.ask", k.Name), c.t("delete"), accountPath(a.ID), "channel", "name")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.DeleteSender(c.ctx(), k); err != nil {
		return err
	}
	return c.done(accountPath(a.ID), "deleted")
}

func (c *call) numberList(a gateway.AccountID) (block, error) {
	list, err := c.p.deps.Desk.ListNumbers(c.ctx(), desk.Query{Account: a})
	to := accountPath(a) + "/number"
	b := block{Title: c.t("numbers.title"), Links: c.newButton("/accounts/:id/number", to, "number.new")}
	b.Table = &grid{Caption: c.t("numbers.title"), Empty: c.t("numbers.none"), Heads: []string{c.t("number"), c.t("number.keyword"), c.t("brand"), c.t("number.system"), c.t("acts")}}
	for i := range list {
		x := &list[i]
		b.Table.Rows = append(b.Table.Rows, []cell{mono(x.Number), mono(firstNonEmpty(x.Keyword, "–")), mono(firstNonEmpty(x.Brand, "–")), mono(firstNonEmpty(x.System, "–")),
			{Links: c.editButton("/accounts/:id/number", to+"?"+url.Values{"number": {x.Number}, "keyword": {x.Keyword}}.Encode()),
				Forms: c.deleteButton("/accounts/:id/number/delete", to+"/delete", field{Name: "number", Kind: "hidden", Value: x.Number}, field{Name: "keyword", Kind: "hidden", Value: x.Keyword})}})
	}
	return b, err
}

func (c *call) numberForm(x *gateway.Number) (form, error) {
	brand, err := c.brandField(x.Account, x.Brand, false)
	return form{Action: accountPath(x.Account) + "/number", Submit: c.t("save"), Cancel: accountPath(x.Account), Fields: []field{
		{Name: "number", Label: c.t("number"), Value: x.Number, Required: true, Max: 20, Mode: "tel", Hint: c.t("number.hint")},
		{Name: "keyword", Label: c.t("number.keyword"), Value: x.Keyword, Max: 20, Hint: c.t("number.keyword.hint")}, brand,
		{Name: "system", Label: c.t("number.system"), Value: x.System, Max: 15, Hint: c.t("number.system.hint")},
	}}, err
}

func (c *call) numberPage() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	x := gateway.Number{Account: a.ID}
	list, err := c.p.deps.Desk.ListNumbers(c.ctx(), desk.Query{Account: a.ID})
	if err != nil {
		return err
	}
	for _, n := range list {
		if n.Number == c.QueryParam("number") && n.Keyword == c.QueryParam("keyword") {
			x = n
		}
	}
	f, err := c.numberForm(&x)
	if err != nil {
		return err
	}
	return c.showForm(c.identityPage(&a, "number.title"), f, nil)
}

func (c *call) readNumber(a gateway.AccountID) gateway.Number {
	return gateway.Number{Account: a, Number: c.value("number"), Keyword: c.value("keyword"), Brand: c.value("brand"), System: c.value("system")}
}

func (c *call) putNumber() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	x := c.readNumber(a.ID)
	if _, err = c.p.deps.Desk.PutNumber(c.ctx(), x); err == nil {
		return c.done(accountPath(a.ID), "saved")
	}
	f, ferr := c.numberForm(&x)
	if ferr != nil {
		return ferr
	}
	return c.showForm(c.identityPage(&a, "number.title"), f, err)
}

func (c *call) deleteNumber() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	x := c.readNumber(a.ID)
	ok, err := c.confirmed(c.identityPage(&a, "confirm.title"), c.t("number.delete.ask", x.Number+" "+x.Keyword), c.t("delete"), accountPath(a.ID), "number", "keyword")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.DeleteNumber(c.ctx(), x); err != nil {
		return err
	}
	return c.done(accountPath(a.ID), "deleted")
}

// whole reads a number out of a row of them: a field that is no number is remembered once.
type whole struct {
	c   *call
	err error
}

func (w *whole) read(name string) int {
	n, err := w.c.number(name)
	if w.err == nil {
		w.err = err
	}
	return n
}
