package admin

import (
	"net/http"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/desk"
)

// channelNames are our names of İYS's channels.
var channelNames = map[string]string{"MESAJ": gateway.ChannelSMS, "EPOSTA": gateway.ChannelEmail}

// optOuts lists whom an account's brands may not write to, and how each said so.
func (c *call) optOuts() error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("optouts.title"), "/optouts")
	}
	cursor, _ := c.p.unhide(c.user.Name, c.QueryParam("cursor"))
	found, err := c.p.deps.Desk.ListBlocks(c.ctx(), desk.ListQuery{Account: a, Cursor: cursor, Limit: pageRows})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("optouts.title"), Lead: c.t("optouts.lead"), Nav: "/optouts"}
	if len(list) > 1 {
		pg.Blocks = append(pg.Blocks, block{Filter: &form{Action: "/optouts", Get: true, Submit: c.t("account.choose"), Kind: "plain", Fields: []field{c.accountField(list, a)}}})
	}
	t := &grid{Caption: c.t("optouts.title"), Empty: c.t("optouts.none"), Heads: []string{c.t("message.to"), c.t("brand"), c.t("channel"), c.t("block.at"), c.t("block.route"), c.t("consent.source")}}
	for i := range found.Items {
		b := &found.Items[i]
		channel := firstNonEmpty(channelNames[b.Channel], b.Channel)
		to := cell{Text: address.Mask(b.Address), Mono: true}
		if channelNames[b.Channel] != "" {
			to.Href = c.consentPath(consentKey{account: a, brand: b.Brand, channel: channel, kind: gateway.RecipientIndividual, person: b.Address})
		}
		if b.Review {
			to.Sub = c.t("optouts.review")
		}
		t.Rows = append(t.Rows, []cell{to, mono(b.Brand), text(c.t("channel." + firstKnown("channel.", channel, "ARAMA"))), c.at(b.At), text(c.routeText(b.Route)), mono(firstNonEmpty(b.Source, "–"))})
	}
	if found.Next != "" {
		t.Next = "/optouts?account=" + idText(a) + "&cursor=" + c.p.hide(c.user.Name, found.Next) // the cursor holds an address
	}
	pg.Blocks = append(pg.Blocks, block{Table: t})
	return c.show(pg)
}

// Test messages.

func (c *call) testPage() error { return c.showTest(nil) }

func (c *call) showTest(fault error) error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("test.title"), "/test")
	}
	pg := page{Title: c.t("test.title"), Lead: c.t("test.lead"), Nav: "/test"}
	if len(list) > 1 {
		pg.Blocks = append(pg.Blocks, block{Filter: &form{Action: "/test", Get: true, Submit: c.t("account.choose"), Kind: "plain", Fields: []field{c.accountField(list, a)}}})
	}
	senders, err := c.p.deps.Desk.ListSenders(c.ctx(), desk.Query{Account: a})
	if err != nil {
		return err
	}
	from := field{Name: "from", Label: c.t("message.from"), Kind: "select", Value: c.value("from"), Required: true}
	for _, s := range senders {
		if s.Channel == gateway.ChannelSMS {
			from.Options = append(from.Options, option{Value: s.Name, Text: s.Name + " (" + s.Brand + ")"})
		}
	}
	if len(from.Options) == 0 {
		pg.Blocks = append(pg.Blocks, block{Note: &note{Kind: "info", Text: c.t("senders.none")}, Links: []link{{Text: c.t("account.open"), Href: accountPath(a)}}})
		return c.show(pg)
	}
	credentials, err := c.p.deps.Desk.ListCredentials(c.ctx(), desk.Query{Account: a})
	if err != nil {
		return err
	}
	return c.showForm(pg, form{Action: "/test", Submit: c.t("test.submit"), Fields: []field{{Name: "account", Kind: "hidden", Value: idText(a)}, from,
		{Name: "class", Label: c.t("message.class"), Kind: "select", Value: firstNonEmpty(c.value("class"), gateway.ClassTransactional), Options: c.choices("class.", desk.TestClasses(c.ctx(), credentials)...), Hint: c.t("test.class.hint")},
		{Name: "address", Label: c.t("try.address"), Value: c.value("address"), Required: true, Max: 320, Complete: "off", Mode: "tel"},
		{Name: "text", Label: c.t("test.text"), Kind: "textarea", Value: firstNonEmpty(c.FormValue("text"), c.t("test.text.default")), Required: true, Max: 1600}}}, fault)
}

// sendTest sends one message and shows where it stands.
func (c *call) sendTest() error {
	_, a, err := c.chosen()
	if err != nil {
		return err
	}
	v, err := c.p.deps.Desk.SendTest(c.ctx(), desk.TestMessage{Account: a, Class: c.value("class"), From: c.value("from"), Address: c.value("address"), Text: c.lines("text")})
	if err == nil && v.ID.IsZero() {
		err = gateway.Refuse(v.Code, "address", "%s", v.Text)
	}
	if err != nil {
		return c.showTest(err)
	}
	return c.Redirect(http.StatusSeeOther, "/messages/"+v.ID.String())
}
