package admin

import (
	"izinli/gateway"
	"izinli/gateway/desk"
)

// Hosted consent forms: what people are asked, and the making of a new one.

func (c *call) forms() error { return c.showForms(nil) }

func (c *call) showForms(fault error) error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("forms.title"), "/forms")
	}
	found, err := c.p.deps.Desk.ListForms(c.ctx(), desk.Query{Account: a})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("forms.title"), Lead: c.t("forms.lead"), Nav: "/forms", Blocks: c.accountChooser(list, a, "/forms")}
	t := &grid{Caption: c.t("forms.title"), Empty: c.t("forms.none"), Heads: []string{c.t("forms.version"), c.t("brand"), c.t("channel"), c.t("forms.url"), c.t("bind.state"), c.t("acts")}}
	for i := range found {
		f := &found[i]
		state, acts := badge("ok", c.t("account.active")), cell{}
		if !f.Revoked.IsZero() {
			state = badge("muted", c.t("credential.revoked"))
		} else if c.may(post, "/forms/revoke") {
			acts.Forms = []form{{Action: "/forms/revoke", Submit: c.t("credential.revoke"), Kind: "plain", Fields: []field{{Name: "account", Kind: "hidden", Value: idText(a)}, {Name: "form", Kind: "hidden", Value: f.ID}}}}
		}
		t.Rows = append(t.Rows, []cell{{Text: f.Version, Sub: f.TradeName}, mono(f.Brand), text(c.t("channel." + firstKnown("channel.", f.Channel, "sms"))), mono(firstNonEmpty(f.URL, f.ID)), state, acts})
	}
	pg.Blocks = append(pg.Blocks, block{Table: t})
	if c.may(post, "/forms/add") {
		b, status, err := c.formForm(a, fault)
		if err != nil {
			return err
		}
		pg.Blocks, pg.status = append(pg.Blocks, b), status
	}
	return c.show(pg)
}

// formForm makes a new form. Its fields bear the names by which the desk finds fault with them.
func (c *call) formForm(a gateway.AccountID, fault error) (b block, status int, err error) {
	brand, err := c.brandField(a, c.value("brand"), true)
	if err != nil || len(brand.Options) == 0 {
		return block{Note: &note{Kind: "info", Text: c.t("brands.none")}}, 0, err
	}
	f := form{Action: "/forms/add", Submit: c.t("forms.add"), Fields: []field{{Name: "account", Kind: "hidden", Value: idText(a)}, brand,
		{Name: "channel", Label: c.t("channel"), Kind: "select", Value: c.value("channel"), Options: c.choices("channel.", "sms", "email")},
		{Name: "tradeName", Label: c.t("forms.tradeName"), Value: c.value("tradeName"), Required: true, Max: 160, Hint: c.t("forms.tradeName.hint")},
		{Name: "version", Label: c.t("forms.version"), Value: c.value("version"), Required: true, Max: 40, Hint: c.t("forms.version.hint")},
		{Name: "textTr", Label: c.t("forms.textTr"), Kind: "textarea", Value: c.FormValue("textTr"), Required: true, Max: 4000, Hint: c.t("forms.text.hint")},
		{Name: "textEn", Label: c.t("forms.textEn"), Kind: "textarea", Value: c.FormValue("textEn"), Max: 4000, Hint: c.t("forms.textEn.hint")},
		{Name: "privacyUrl", Label: c.t("forms.privacy"), Value: c.value("privacyUrl"), Max: 500, Mode: "url", Hint: c.t("forms.privacy.hint")},
		{Name: "from", Label: c.t("forms.from"), Value: c.value("from"), Max: 320, Hint: c.t("forms.from.hint")}}}
	if fault != nil {
		_, status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	return block{Title: c.t("forms.add"), Lead: c.t("forms.add.lead"), Form: &f}, status, nil
}

func (c *call) addForm() error {
	_, a, err := c.chosen()
	if err != nil {
		return err
	}
	if err := c.brandBelongs(a, c.value("brand")); err != nil {
		return err
	}
	_, err = c.p.deps.Desk.CreateForm(c.ctx(), gateway.Form{Account: a, Brand: c.value("brand"), Channel: c.value("channel"), TradeName: c.value("tradeName"),
		Version: c.value("version"), TextTR: c.FormValue("textTr"), TextEN: c.FormValue("textEn"), PrivacyURL: c.value("privacyUrl"), From: c.value("from")})
	if err != nil {
		return c.showForms(err)
	}
	return c.done("/forms?account="+idText(a), "forms.added")
}

// revokeForm closes a hosted form for good; consents given over it stand.
func (c *call) revokeForm() error {
	_, a, err := c.chosen()
	if err != nil {
		return err
	}
	list, err := c.p.deps.Desk.ListForms(c.ctx(), desk.Query{Account: a})
	if err != nil {
		return err
	}
	for _, f := range list {
		if f.ID != c.value("form") || f.Account != a {
			continue
		}
		ok, err := c.confirmed(page{Nav: "/forms"}, c.t("forms.revoke.ask", f.Version), c.t("credential.revoke"), "/forms?account="+idText(a), "account", "form")
		if !ok {
			return err
		}
		if _, err := c.p.deps.Desk.RevokeForm(c.ctx(), desk.Name{Name: f.ID}); err != nil {
			return err
		}
		return c.done("/forms?account="+idText(a), "saved")
	}
	return gateway.Refuse(gateway.CodeNotFound, "form", "")
}
