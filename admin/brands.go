package admin

import (
	"net/http"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// A brand's own page: modes with their declarations, senders, and what İYS holds beside what we hold.

func (c *call) brandView() error {
	a, b, err := c.brandOf(c.QueryParam("code"))
	if err != nil {
		return err
	}
	return c.showBrand(&a, &b, nil)
}

func (c *call) brandOf(code string) (a gateway.Account, b gateway.Brand, err error) {
	if a, err = c.accountOf(); err == nil {
		b, err = c.oneBrand(a.ID, code)
	}
	return a, b, err
}

func brandViewPath(a gateway.AccountID, code string) string {
	return accountPath(a) + "/brand/view?code=" + code
}

func (c *call) showBrand(a *gateway.Account, b *gateway.Brand, totals *desk.BrandTotals) error {
	pg := c.identityPage(a, "brand.title")
	pg.Title = b.Name + " (" + b.Code + ")"
	if c.may(get, "/accounts/:id/brand") {
		pg.Actions = []link{{Text: c.t("edit"), Href: accountPath(a.ID) + "/brand?code=" + b.Code}}
	}
	pg.Blocks = append(pg.Blocks, block{Facts: []fact{{c.t("brand.code"), mono(b.Code)}, {c.t("account.iysCode"), mono(numberOr(b.IYSCode, numberOr(a.IYSCode, "–")))},
		{c.t("brand.short"), text(firstNonEmpty(b.Short, "–"))}, {c.t("brand.iys"), text(firstNonEmpty(b.IYS, "–"))}}})
	for _, x := range []struct {
		channel string
		m       *gateway.BrandMode
	}{{gateway.ChannelSMS, &b.SMS}, {gateway.ChannelEmail, &b.Email}} {
		pg.Blocks = append(pg.Blocks, block{Title: c.t("channel." + x.channel), Facts: c.modeFacts(x.m)})
	}
	senders, err := c.p.deps.Desk.ListSenders(c.ctx(), desk.Query{Account: a.ID})
	if err != nil {
		return err
	}
	t := &grid{Caption: c.t("senders.title"), Empty: c.t("senders.none"), Heads: []string{c.t("sender.name"), c.t("channel"), c.t("sender.approved")}}
	for _, s := range senders {
		if s.Brand == b.Code {
			t.Rows = append(t.Rows, []cell{mono(s.Name), text(c.t("channel." + s.Channel)), c.yes(s.Approved)})
		}
	}
	pg.Blocks = append(pg.Blocks, block{Title: c.t("senders.title"), Table: t}, c.totalsBlock(a, b, totals))
	return c.show(pg)
}

// modeFacts tells who holds İYS for a channel and what proves it.
func (c *call) modeFacts(m *gateway.BrandMode) []fact {
	out := []fact{{c.t("mode"), c.mode(m)}}
	for _, x := range []struct{ key, v string }{{"mode.text", m.Text}, {"mode.version.label", m.Version}, {"mode.document", m.Document}, {"mode.user", m.User}, {"mode.ip", m.IP}} {
		if x.v != "" {
			out = append(out, fact{c.t(x.key), text(x.v)})
		}
	}
	if !m.At.IsZero() && m.Mode != "" {
		out = append(out, fact{c.t("mode.at"), c.at(m.At)})
	}
	if !m.Expires.IsZero() {
		out = append(out, fact{c.t("mode.expires"), text(c.l.day(m.Expires))})
	}
	return out
}

// totalsBlock shows the counts, or the button that takes them: it reads every consent and asks İYS.
func (c *call) totalsBlock(a *gateway.Account, b *gateway.Brand, totals *desk.BrandTotals) block {
	out := block{Title: c.t("totals.title"), Lead: c.t("totals.lead")}
	if c.may(post, "/accounts/:id/brand/count") {
		out.Form = &form{Action: accountPath(a.ID) + "/brand/count", Submit: c.t("totals.count"), Kind: "plain", Fields: []field{{Name: "code", Kind: "hidden", Value: b.Code}}}
	}
	if totals == nil {
		return out
	}
	t := &grid{Caption: c.t("totals.title"), Heads: []string{c.t("totals.where"), c.t("status.ONAY"), c.t("status.RET"), c.t("totals.sum")}, Empty: c.t("dash.none")}
	row := func(where string, n desk.ConsentTotals) {
		t.Rows = append(t.Rows, []cell{text(where), c.num(int64(n.Approved)), c.num(int64(n.Rejected)), c.num(int64(n.Approved + n.Rejected))})
	}
	var here desk.ConsentTotals
	for _, x := range totals.Here {
		row(c.t("totals.here", c.t("channel."+firstKnown("channel.", x.Channel, "ARAMA"))), x.ConsentTotals)
		here.Approved += x.Approved
		here.Rejected += x.Rejected
	}
	switch {
	case totals.IYS != nil:
		row(c.t("totals.iys"), *totals.IYS)
		row(c.t("totals.difference"), desk.ConsentTotals{Approved: totals.IYS.Approved - here.Approved, Rejected: totals.IYS.Rejected - here.Rejected})
	case totals.IYSError != "":
		out.Note = &note{Kind: "warn", Text: c.t("totals.silent"), Detail: totals.IYSError}
	default:
		out.Note = &note{Kind: "info", Text: c.t("totals.nobody")}
	}
	out.Table = t
	return out
}

func (c *call) countBrand() error {
	a, b, err := c.brandOf(c.value("code"))
	if err != nil {
		return err
	}
	totals, err := c.p.deps.Desk.CountBrand(c.ctx(), desk.BrandQuery{Account: a.ID, Brand: b.Code})
	if err != nil {
		return err
	}
	return c.showBrand(&a, &b, &totals)
}

// approvals lists the sender IDs nobody has approved yet, over all accounts.
func (c *call) approvals() error {
	list, err := c.p.deps.Desk.ListSenders(c.ctx(), desk.Query{})
	if err != nil {
		return err
	}
	accounts, err := c.visible()
	if err != nil {
		return err
	}
	names := map[gateway.AccountID]string{}
	for _, a := range accounts {
		names[a.ID] = a.Name
	}
	t := &grid{Caption: c.t("approvals.title"), Empty: c.t("approvals.none"), Heads: []string{c.t("sender.name"), c.t("channel"), c.t("account"), c.t("brand"), c.t("acts")}}
	for i := range list {
		s := &list[i]
		if s.Approved {
			continue
		}
		t.Rows = append(t.Rows, []cell{mono(s.Name), text(c.t("channel." + s.Channel)), {Text: firstNonEmpty(names[s.Account], idText(s.Account)), Href: accountPath(s.Account)},
			{Text: s.Brand, Mono: true, Href: brandViewPath(s.Account, s.Brand)}, {Forms: c.approveForms(s)}})
	}
	return c.show(page{Title: c.t("approvals.title"), Lead: c.t("approvals.lead"), Nav: "/senders", Blocks: []block{{Table: t}}})
}

func (c *call) approveForms(s *gateway.Sender) []form {
	if s.Approved || !c.may(post, "/accounts/:id/sender/approve") {
		return nil
	}
	return []form{{Action: accountPath(s.Account) + "/sender/approve", Submit: c.t("sender.approve"), Kind: "plain",
		Fields: []field{{Name: "channel", Kind: "hidden", Value: s.Channel}, {Name: "name", Kind: "hidden", Value: s.Name}}}}
}

// approveSender lets a sender ID send, after a question: from then on texts leave under that name.
func (c *call) approveSender() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	s, err := c.oneSender(a.ID, c.value("channel"), c.value("name"))
	if err != nil {
		return err
	}
	ok, err := c.confirmed(page{Title: c.t("sender.approve"), Nav: "/senders"}, c.t("sender.approve.ask", s.Name, a.Name, s.Brand), c.t("sender.approve"), "/senders", "channel", "name")
	if !ok {
		return err
	}
	s.Approved = true
	if _, err := c.p.deps.Desk.PutSender(c.ctx(), s); err != nil {
		return err
	}
	c.p.sessions.setFlash(c.sess, c.t("sender.approved.done", s.Name))
	return c.Redirect(http.StatusSeeOther, "/senders")
}

func (c *call) oneSender(a gateway.AccountID, channel, name string) (gateway.Sender, error) {
	list, err := c.p.deps.Desk.ListSenders(c.ctx(), desk.Query{Account: a})
	for _, s := range list {
		if s.Channel == channel && s.Name == name && s.Account == a {
			return s, err
		}
	}
	if err == nil {
		err = gateway.Refuse(gateway.CodeNotFound, "name", "")
	}
	return gateway.Sender{}, err
}
