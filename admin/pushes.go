package admin

import (
	"izinli/gateway"
	"izinli/gateway/desk"
	"izinli/iys"
)

// Connections by which İYS pushes what people do over it. They make refusals arrive sooner; the pull brings everything as well.

func (c *call) pushes() error { return c.showPushes(nil) }

func (c *call) showPushes(fault error) error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("push.title"), "/push")
	}
	states, err := c.p.deps.Desk.IYSStatus(c.ctx(), desk.Query{Account: a})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("push.title"), Lead: c.t("push.lead"), Nav: "/push", Blocks: c.accountChooser(list, a, "/push")}
	t := &grid{Caption: c.t("push.title"), Empty: c.t("push.none"), Heads: []string{c.t("brand"), c.t("push.url"), c.t("bind.state"), c.t("push.checked"), c.t("push.received"), c.t("acts")}}
	for i := range states {
		for j := range states[i].Push {
			p := &states[i].Push[j]
			state := badge("ok", c.t("push.up"))
			if !p.Connected {
				state = badge("error", c.t("push.down"))
			}
			state.Sub = firstNonEmpty(p.Problem, p.Status)
			acts := cell{}
			if c.may(post, "/push/end") {
				acts.Forms = []form{{Action: "/push/end", Submit: c.t("push.end"), Kind: "plain", Fields: append(carried(a, p.Brand), field{Name: "channel", Kind: "hidden", Value: string(p.Channel)})}}
			}
			received := c.at(p.Received)
			if received.Sub = c.l.n("push.movements", p.Movements); p.Received.IsZero() {
				received = text(c.t("push.received.none"))
			}
			brand, to := mono(p.Brand), mono(p.URL)
			brand.Sub, to.Long = c.channelName(string(p.Channel)), true
			to.Sub = c.t("push.registered") + ": " + c.at(p.Registered).Text
			t.Rows = append(t.Rows, []cell{brand, to, state, c.at(p.Checked), received, acts})
		}
	}
	pg.Blocks = append(pg.Blocks, block{Table: t})
	if c.may(post, "/push/register") {
		b, status, err := c.pushForm(a, fault)
		if err != nil {
			return err
		}
		pg.Blocks, pg.status = append(pg.Blocks, b), status
	}
	return c.show(pg)
}

func (c *call) channelName(ch string) string {
	if has("channel." + ch) {
		return c.t("channel." + ch)
	}
	return ch
}

func (c *call) pushForm(a gateway.AccountID, fault error) (block, int, error) {
	brands, err := c.partnerBrands(a)
	if err != nil || len(brands) == 0 {
		return block{Note: &note{Kind: "info", Text: c.t("iys.brands.none")}}, 0, err
	}
	brand := field{Name: "brand", Label: c.t("brand"), Kind: "select", Value: c.value("brand"), Required: true}
	for _, b := range brands {
		brand.Options = append(brand.Options, option{Value: b.Code, Text: b.Name + " (" + b.Code + ")"})
	}
	f := form{Action: "/push/register", Submit: c.t("push.register"), Fields: []field{{Name: "account", Kind: "hidden", Value: idText(a)}, brand,
		{Name: "channel", Label: c.t("channel"), Kind: "select", Value: c.value("channel"), Options: c.choices("channel.", string(iys.ChannelSMS), string(iys.ChannelEmail))},
		{Name: "url", Label: c.t("push.url"), Value: c.value("url"), Required: true, Max: 500, Mode: "url", Complete: "off", Hint: c.t("push.url.hint")}}}
	status := 0
	if fault != nil {
		_, status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	return block{Title: c.t("push.register"), Lead: c.t("push.register.lead"), Form: &f}, status, nil
}

// registerPush has İYS try the address and push to it from then on; what was registered for the channel before ends.
func (c *call) registerPush() error {
	_, a, err := c.chosen()
	if err != nil {
		return err
	}
	if err := c.brandBelongs(a, c.value("brand")); err != nil {
		return err
	}
	if c.value("url") == "" { // to the desk that means the end of it
		return c.showPushes(&fault{field: "url", key: "push.url.missing"})
	}
	if _, err := c.p.deps.Desk.PutPush(c.ctx(), desk.PushInput{Brand: c.value("brand"), Channel: c.value("channel"), URL: c.value("url")}); err != nil {
		return c.showPushes(err)
	}
	return c.done("/push?account="+idText(a), "push.registered.done")
}

func (c *call) endPush() error {
	a, brand, err := c.ownBrand()
	if err != nil {
		return err
	}
	to := "/push?account=" + idText(a)
	ok, err := c.confirmed(page{Nav: "/push"}, c.t("push.end.ask", brand, c.channelName(c.value("channel"))), c.t("push.end"), to, "account", "brand", "channel")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.PutPush(c.ctx(), desk.PushInput{Brand: brand, Channel: c.value("channel")}); err != nil {
		return err
	}
	return c.done(to, "push.ended")
}
