package admin

import (
	"strings"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// What else İYS is asked for a brand: links by which recipients of mail refuse there, and what people answered to texts of personal data.

// refusalLinks has İYS make links by which recipients of mail refuse there.
func (c *call) refusalLinks() error { return c.showRefusalLinks(nil) }

func (c *call) showRefusalLinks(fault error) error {
	pg, a, brand, err := c.aboutBrand("/refusal-links", c.t("refusal.title"), c.t("refusal.lead"))
	if err != nil || brand == "" {
		return err
	}
	f := form{Action: "/refusal-links", Submit: c.t("refusal.make"), Fields: append(carried(a, brand),
		field{Name: "recipientType", Label: c.t("recipientType"), Kind: "select", Value: c.value("recipientType"), Options: c.choices("recipient.", gateway.RecipientIndividual, gateway.RecipientMerchant)},
		field{Name: "addresses", Label: c.t("refusal.addresses"), Kind: "textarea", Value: c.FormValue("addresses"), Required: true, Max: 300_000, Hint: c.t("refusal.addresses.hint")})}
	if fault != nil {
		_, pg.status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	pg.Blocks = append(pg.Blocks, block{Title: c.t("refusal.make"), Form: &f})
	return c.show(pg)
}

// makeRefusalLinks answers with a file: whole addresses stand on no page.
func (c *call) makeRefusalLinks() error {
	_, brand, _, err := c.chosenBrand("/refusal-links")
	if err != nil {
		return err
	}
	list, err := c.p.deps.Desk.RefusalLinks(c.ctx(), desk.LinksInput{Brand: brand, RecipientType: c.value("recipientType"), Addresses: strings.Fields(c.FormValue("addresses"))})
	if err != nil {
		return c.showRefusalLinks(err)
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.csv("refusal-links-"+brand+".csv", []string{"address", "link", "code"}, func(write func(...string)) (string, error) {
		for _, l := range list {
			write(l.Recipient, l.URL, l.Code)
		}
		return "", nil
	})
}

// privacy tells what a person answered to the texts of the law on personal data (KVKK) over ViA.
func (c *call) privacy() error { return c.showPrivacy(nil, nil) }

func (c *call) showPrivacy(found *block, fault error) error {
	pg, a, brand, err := c.aboutBrand("/privacy", c.t("privacy.title"), c.t("privacy.lead"))
	if err != nil || brand == "" {
		return err
	}
	f := form{Action: "/privacy", Submit: c.t("find"), Fields: append(carried(a, brand),
		field{Name: "address", Label: c.t("message.to"), Value: c.value("address"), Required: true, Max: 320, Complete: "off", Hint: c.t("address.hint")},
		field{Name: "text", Label: c.t("privacy.text"), Kind: "select", Value: c.value("text"), Options: c.choices("via.text.", viaTexts...)})}
	if fault != nil {
		_, pg.status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	if pg.Blocks = append(pg.Blocks, block{Form: &f}); found != nil {
		pg.Blocks = append(pg.Blocks, *found)
	}
	return c.show(pg)
}

func (c *call) findPrivacy() error {
	_, brand, _, err := c.chosenBrand("/privacy")
	if err != nil {
		return err
	}
	list, err := c.p.deps.Desk.PrivacyRequests(c.ctx(), desk.PrivacyQuery{Brand: brand, Address: typedAddress(c.value("address")), Text: firstNonEmpty(c.value("text"), viaTexts[0])})
	if err != nil {
		return c.showPrivacy(nil, err)
	}
	t := &grid{Caption: c.t("privacy.found"), Empty: c.t("privacy.none"), Heads: []string{c.t("via.request"), c.t("via.started"), c.t("privacy.text"), c.t("privacy.given"), c.t("privacy.at")}}
	for i := range list {
		for _, x := range list[i].Answers {
			name := x.Type
			if has("via.text." + name) {
				name = c.t("via.text." + name)
			}
			t.Rows = append(t.Rows, []cell{mono(list[i].RequestID), c.at(list[i].Requested), text(name), c.yes(x.Given), c.at(x.At)})
		}
	}
	return c.showPrivacy(&block{Title: c.t("privacy.found"), Table: t}, nil)
}
