package admin

import (
	"strconv"
	"strings"

	"izinli/gateway"
	"izinli/gateway/desk"
)

func (c *call) accounts() error {
	list, err := c.visible()
	if err != nil {
		return err
	}
	pg := page{Title: c.t("accounts.title"), Nav: "/accounts"}
	if c.may(get, "/accounts/edit") {
		pg.Actions = []link{{Text: c.t("account.new"), Href: "/accounts/edit", Kind: "primary"}}
	}
	t := &grid{Caption: c.t("accounts.title"), Empty: c.t("account.none"), Heads: []string{c.t("account.id"), c.t("account.name"), c.t("account.iysCode"), c.t("account.state"), c.t("account.created")}}
	for _, a := range list {
		code := "–"
		if a.IYSCode != 0 {
			code = strconv.Itoa(a.IYSCode)
		}
		t.Rows = append(t.Rows, []cell{mono(idText(a.ID)), {Text: a.Name, Href: accountPath(a.ID)}, mono(code), c.accountState(&a), c.at(a.Created)})
	}
	pg.Blocks = []block{{Table: t}}
	return c.show(pg)
}

func (c *call) accountState(a *gateway.Account) cell {
	if a.Suspended {
		return badge("error", c.t("account.suspended"))
	}
	return badge("ok", c.t("account.active"))
}

// accountOf reads the account in the path.
func (c *call) accountOf() (a gateway.Account, err error) {
	id, err := c.accountID()
	if err != nil {
		return a, err
	}
	return c.oneAccount(id)
}

func (c *call) oneAccount(id gateway.AccountID) (a gateway.Account, err error) {
	list, err := c.p.deps.Desk.ListAccounts(c.ctx(), desk.Query{Account: id})
	if err == nil && len(list) == 0 {
		err = gateway.Refuse(gateway.CodeNotFound, "account", "")
	}
	if err != nil {
		return a, err
	}
	return list[0], nil
}

func (c *call) account() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	c.p.sessions.choose(c.sess, a.ID)
	balance, err := c.p.deps.Desk.Balance(c.ctx(), desk.Query{Account: a.ID})
	if err != nil {
		return err
	}
	here := accountPath(a.ID)
	pg := page{Title: a.Name, Nav: "/accounts", Up: &link{Text: c.t("accounts.title"), Href: "/accounts"}}
	if c.may(get, "/accounts/edit") {
		pg.Actions = append(pg.Actions, link{Text: c.t("edit"), Href: "/accounts/edit?account=" + idText(a.ID)})
	}
	if c.may(get, "/accounts/:id/credits") {
		pg.Actions = append(pg.Actions, link{Text: c.t("credits.title"), Href: here + "/credits"})
	}
	if c.may(get, "/accounts/:id/webhook") {
		pg.Actions = append(pg.Actions, link{Text: c.t("webhook.title"), Href: here + "/webhook"})
	}
	pg.Actions = append(pg.Actions, link{Text: c.t("nav.messages"), Href: "/messages?account=" + idText(a.ID)})
	pg.Blocks = []block{{Facts: c.accountFacts(&a, &balance)}}
	for _, part := range []func(gateway.AccountID) (block, error){c.brandList, c.senderList, c.numberList, c.credentialList} {
		b, err := part(a.ID)
		if err != nil {
			return err
		}
		pg.Blocks = append(pg.Blocks, b)
	}
	if c.may(post, "/accounts/:id/suspend") {
		f := &form{Action: here + "/suspend", Submit: c.t("account.suspend"), Kind: "danger", Fields: []field{{Name: "suspended", Kind: "hidden", Value: "yes"}}}
		if a.Suspended {
			f = &form{Action: here + "/suspend", Submit: c.t("account.resume"), Fields: []field{{Name: "suspended", Kind: "hidden", Value: "no"}}}
		}
		pg.Blocks = append(pg.Blocks, block{Title: c.t("account.stop"), Lead: c.t("account.stop.lead"), Form: f})
	}
	return c.show(pg)
}

func (c *call) accountFacts(a *gateway.Account, b *gateway.Balance) []fact {
	p := &a.Policy
	quiet := c.t("quiet.off")
	if !p.QuietOff {
		quiet = c.t("quiet.hours", firstNonEmpty(p.QuietFrom, "21:00"), firstNonEmpty(p.QuietTo, "08:00"))
	}
	return []fact{
		{c.t("account.id"), mono(idText(a.ID))}, {c.t("account.state"), c.accountState(a)},
		{c.t("account.iysCode"), mono(numberOr(a.IYSCode, "–"))}, {c.t("account.mersis"), mono(firstNonEmpty(a.MERSIS, "–"))},
		{c.t("credits.balance"), text(c.l.num(b.Credits))}, {c.t("account.created"), c.at(a.Created)},
		{c.t("policy.quiet"), text(quiet)}, {c.t("policy.promotional"), text(c.t("promotional." + firstNonEmpty(p.Promotional, "warn")))},
		{c.t("policy.onDoubt"), text(c.t("doubt." + firstNonEmpty(p.OnDoubt, "resend")))}, {c.t("policy.maxSegments"), text(c.l.num(int64(p.SegmentLimit())))},
		{c.t("policy.allowForeign"), c.yes(p.AllowForeign)}, {c.t("policy.maxPerSecond"), text(numberOr(p.MaxPerSecond, c.t("unlimited")))},
	}
}

func numberOr(n int, instead string) string {
	if n == 0 {
		return instead
	}
	return strconv.Itoa(n)
}

// choices makes the options of a select from words of the catalogue.
func (c *call) choices(prefix string, list ...string) (out []option) {
	for _, s := range list {
		out = append(out, option{Value: s, Text: c.t(prefix + s)})
	}
	return out
}

func set(b bool) string {
	if b {
		return "1"
	}
	return ""
}

func (c *call) accountForm(a *gateway.Account) form {
	p := &a.Policy
	f := form{Action: "/accounts/edit", Submit: c.t("save"), Cancel: "/accounts", Fields: []field{
		{Name: "account", Kind: "hidden", Value: idText(a.ID)},
		{Name: "name", Label: c.t("account.name"), Value: a.Name, Required: true, Max: 120, Hint: c.t("account.name.hint")},
		{Name: "iysCode", Label: c.t("account.iysCode"), Value: numberOr(a.IYSCode, ""), Mode: "numeric", Max: 10, Hint: c.t("account.iysCode.hint")},
		{Name: "mersis", Label: c.t("account.mersis"), Value: a.MERSIS, Mode: "numeric", Max: 16, Hint: c.t("account.mersis.hint")},
		{Name: "policy.quietFrom", Label: c.t("policy.quietFrom"), Value: p.QuietFrom, Max: 5, Hint: c.t("policy.quiet.hint")},
		{Name: "policy.quietTo", Label: c.t("policy.quietTo"), Value: p.QuietTo, Max: 5},
		{Name: "policy.quietOff", Label: c.t("policy.quietOff"), Kind: "checkbox", Value: set(p.QuietOff)},
		{Name: "policy.promotional", Label: c.t("policy.promotional"), Kind: "select", Value: firstNonEmpty(p.Promotional, "warn"), Options: c.choices("promotional.", "warn", "hold", "off"), Hint: c.t("policy.promotional.hint")},
		{Name: "policy.content", Label: c.t("policy.content"), Kind: "select", Value: firstNonEmpty(p.Content, "append"), Options: c.choices("content.", "append", "refuse"), Hint: c.t("policy.content.hint")},
		{Name: "policy.complaintRet", Label: c.t("policy.complaintRet"), Kind: "checkbox", Value: set(p.ComplaintRET)},
		{Name: "policy.refusalReplies", Label: c.t("policy.refusalReplies"), Kind: "checkbox", Value: set(p.RefusalReplies), Hint: c.t("policy.refusalReplies.hint")},
		{Name: "policy.onDoubt", Label: c.t("policy.onDoubt"), Kind: "select", Value: firstNonEmpty(p.OnDoubt, "resend"), Options: c.choices("doubt.", "resend", "report"), Hint: c.t("policy.onDoubt.hint")},
		{Name: "policy.maxSegments", Label: c.t("policy.maxSegments"), Value: numberOr(p.MaxSegments, ""), Mode: "numeric", Max: 3, Hint: c.t("policy.maxSegments.hint")},
		{Name: "policy.maxPerSecond", Label: c.t("policy.maxPerSecond"), Value: numberOr(p.MaxPerSecond, ""), Mode: "numeric", Max: 6, Hint: c.t("policy.maxPerSecond.hint")},
		{Name: "policy.creditWarning", Label: c.t("policy.creditWarning"), Value: numberOr(int(p.CreditWarning), ""), Mode: "numeric", Max: 13, Hint: c.t("policy.creditWarning.hint")},
		{Name: "policy.allowForeign", Label: c.t("policy.allowForeign"), Kind: "checkbox", Value: set(p.AllowForeign)},
		{Name: "policy.keepUndelivered", Label: c.t("policy.keepUndelivered"), Kind: "checkbox", Value: set(p.KeepUndelivered)},
		{Name: "policy.reencode", Label: c.t("policy.reencode"), Kind: "checkbox", Value: set(p.Reencode)},
		{Name: "policy.transliterate", Label: c.t("policy.transliterate"), Kind: "checkbox", Value: set(p.Transliterate)},
	}}
	return f
}

func (c *call) accountEditPage(a *gateway.Account) page {
	pg := page{Title: c.t("account.new"), Nav: "/accounts", Up: &link{Text: c.t("accounts.title"), Href: "/accounts"}}
	if a.ID != 0 {
		pg.Title, pg.Up = c.t("account.edit"), &link{Text: firstNonEmpty(a.Name, idText(a.ID)), Href: accountPath(a.ID)}
	}
	return pg
}

func (c *call) accountPage() error {
	var a gateway.Account
	if s := c.value("account"); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return gateway.Refuse(gateway.CodeNotFound, "account", "")
		}
		if a, err = c.oneAccount(gateway.AccountID(n)); err != nil {
			return err
		}
	}
	return c.showForm(c.accountEditPage(&a), c.accountForm(&a), nil)
}

// readAccount reads the form; the first number that is none is the error.
func (c *call) readAccount() (a gateway.Account, err error) {
	n := func(name string) int {
		v, e := c.number(name)
		if err == nil {
			err = e
		}
		return v
	}
	a = gateway.Account{ID: gateway.AccountID(n("account")), Name: c.value("name"), MERSIS: strings.ReplaceAll(c.value("mersis"), " ", "")}
	a.Policy = gateway.AccountPolicy{
		QuietFrom: c.value("policy.quietFrom"), QuietTo: c.value("policy.quietTo"), QuietOff: c.checked("policy.quietOff"),
		Promotional: c.value("policy.promotional"), OnDoubt: c.value("policy.onDoubt"), MaxSegments: n("policy.maxSegments"),
		MaxPerSecond: n("policy.maxPerSecond"), CreditWarning: int64(n("policy.creditWarning")), AllowForeign: c.checked("policy.allowForeign"),
		KeepUndelivered: c.checked("policy.keepUndelivered"), Reencode: c.checked("policy.reencode"), Transliterate: c.checked("policy.transliterate"),
		Content: c.value("policy.content"), ComplaintRET: c.checked("policy.complaintRet"), RefusalReplies: c.checked("policy.refusalReplies"),
	}
	if s := c.value("iysCode"); s != "" && err == nil {
		a.IYSCode, err = desk.ParseIYSCode(s)
	}
	return a, err
}

func (c *call) putAccount() error {
	a, err := c.readAccount()
	if err == nil {
		var done gateway.Account
		if done, err = c.p.deps.Desk.PutAccount(c.ctx(), a); err == nil {
			return c.done(accountPath(done.ID), "saved")
		}
	}
	f := c.accountForm(&a)
	keepTyped(c, &f)
	return c.showForm(c.accountEditPage(&a), f, err)
}

// keepTyped puts what was typed back into a form that is refused, also what could not be read.
func keepTyped(c *call, f *form) {
	for i := range f.Fields {
		if x := &f.Fields[i]; x.Kind == "" || x.Kind == "textarea" || x.Kind == "select" {
			x.Value = c.value(x.Name)
		}
	}
}

func (c *call) suspend() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	stop := c.value("suspended") == "yes"
	if stop {
		ok, err := c.confirmed(page{Nav: "/accounts"}, c.t("account.suspend.ask", a.Name), c.t("account.suspend"), accountPath(a.ID), "suspended")
		if !ok {
			return err
		}
	}
	if _, err := c.p.deps.Desk.SuspendAccount(c.ctx(), desk.Suspension{Account: a.ID, Suspended: stop}); err != nil {
		return err
	}
	return c.done(accountPath(a.ID), "saved")
}

func (c *call) credits() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	return c.showCredits(&a, nil)
}

func (c *call) showCredits(a *gateway.Account, fault error) error {
	b, err := c.p.deps.Desk.Balance(c.ctx(), desk.Query{Account: a.ID})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("credits.title"), Nav: "/accounts", Up: &link{Text: a.Name, Href: accountPath(a.ID)}}
	balance := card{Label: c.t("credits.balance"), Value: c.l.num(b.Credits), Sub: c.t("credits.unit")}
	if b.Warning > 0 && b.Credits < b.Warning {
		balance.Kind = "warn"
	}
	pg.Blocks = []block{{Cards: []card{balance, {Label: c.t("credits.added"), Value: c.l.num(b.Added)},
		{Label: c.t("credits.charged"), Value: c.l.num(b.Charged)}, {Label: c.t("credits.refunded"), Value: c.l.num(b.Refund)}}}}
	ledger, err := c.bookings(a)
	if err != nil {
		return err
	}
	if !c.may(post, "/accounts/:id/credits") {
		pg.Blocks = append(pg.Blocks, ledger)
		return c.show(pg)
	}
	f := form{Action: accountPath(a.ID) + "/credits", Submit: c.t("credits.book"), Fields: []field{
		{Name: "credits", Label: c.t("credits.amount"), Value: c.value("credits"), Required: true, Max: 14, Hint: c.t("credits.amount.hint")},
		{Name: "note", Label: c.t("credits.note"), Value: c.value("note"), Required: true, Max: 200, Hint: c.t("credits.note.hint")},
	}}
	if fault != nil {
		_, pg.status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	pg.Blocks = append(pg.Blocks, block{Form: &f}, ledger)
	return c.show(pg)
}

// bookings lists what was booked by hand.
func (c *call) bookings(a *gateway.Account) (block, error) {
	found, err := c.p.deps.Desk.ListBookings(c.ctx(), desk.ListQuery{Account: a.ID, Cursor: c.QueryParam("cursor"), Limit: pageRows})
	t := &grid{Caption: c.t("bookings.title"), Empty: c.t("bookings.none"), Heads: []string{c.t("bookings.at"), c.t("credits.amount"), c.t("credits.note")}}
	for _, b := range found.Items {
		t.Rows = append(t.Rows, []cell{c.at(b.At), c.num(b.Credits), text(firstNonEmpty(b.Note, "–"))})
	}
	if found.Next != "" {
		t.Next = accountPath(a.ID) + "/credits?cursor=" + found.Next
	}
	return block{Title: c.t("bookings.title"), Table: t}, err
}

func (c *call) addCredits() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	n, err := c.number("credits")
	if err == nil {
		_, err = c.p.deps.Desk.AddCredits(c.ctx(), desk.CreditEntry{Account: a.ID, Credits: int64(n), Note: c.value("note")})
	}
	if err != nil {
		return c.showCredits(&a, err)
	}
	return c.done(accountPath(a.ID)+"/credits", "credits.booked", c.l.num(int64(n)))
}
