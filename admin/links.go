package admin

import (
	"strconv"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// Ways to İYS.

func (c *call) links() error {
	list, err := c.p.deps.Desk.ListIYSLinks(c.ctx(), desk.Query{})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("links.title"), Lead: c.t("links.lead"), Nav: "/links"}
	if c.may(get, "/links/edit") {
		pg.Actions = []link{{Text: c.t("link.new"), Href: "/links/edit", Kind: "primary"}}
	}
	t := &grid{Caption: c.t("links.title"), Empty: c.t("links.none"), Heads: []string{c.t("link.name"), c.t("link.username"), c.t("link.integratorCode"), c.t("link.ahsUser"), c.t("acts")}}
	for i := range list {
		l := &list[i]
		t.Rows = append(t.Rows, []cell{{Text: l.Name, Sub: l.BaseURL}, mono(firstNonEmpty(l.Username, "–")), mono(numberOr(l.IntegratorCode, "–")),
			{Text: firstNonEmpty(l.AHSUser, "–"), Mono: true, Sub: l.AHSURL}, {Links: c.editButton("/links/edit", "/links/edit?name="+l.Name)}})
	}
	pg.Blocks = []block{{Table: t}}
	return c.show(pg)
}

// iysAPI is what a new link begins with (iys-api.md §2).
const iysAPI = "https://api.iys.org.tr"

func (c *call) linkForm(l *gateway.IYSLink, fresh bool) form {
	f := form{Action: "/links/edit", Submit: c.t("save"), Cancel: "/links"}
	if fresh {
		f.Fields = []field{{Name: "name", Label: c.t("link.name"), Value: l.Name, Required: true, Max: 32, Hint: c.t("slug.hint")}}
	} else {
		f.Fields = []field{{Name: "name", Kind: "hidden", Value: l.Name}, {Name: "shown", Label: c.t("link.name"), Kind: "static", Value: l.Name}}
	}
	f.Fields = append(f.Fields,
		field{Name: "baseUrl", Label: c.t("link.baseUrl"), Value: l.BaseURL, Max: 300, Mode: "url", Hint: c.t("link.baseUrl.hint")},
		field{Name: "username", Label: c.t("link.username"), Value: l.Username, Max: 200, Complete: "off"},
		field{Name: "password", Label: c.t("link.password"), Kind: "password", Max: 200, Complete: "new-password", Hint: c.t("operator.password.hint")},
		field{Name: "integratorCode", Label: c.t("link.integratorCode"), Value: numberOr(l.IntegratorCode, ""), Mode: "numeric", Max: 10, Hint: c.t("link.integratorCode.hint")},
		field{Name: "ahsUrl", Label: c.t("link.ahsUrl"), Value: l.AHSURL, Max: 300, Mode: "url"},
		field{Name: "ahsUser", Label: c.t("link.ahsUser"), Value: l.AHSUser, Max: 200, Complete: "off"},
		field{Name: "ahsPassword", Label: c.t("link.ahsPassword"), Kind: "password", Max: 200, Complete: "new-password"})
	return f
}

func (c *call) linkPage() error {
	var l gateway.IYSLink
	name := c.QueryParam("name")
	if name == "" {
		l.BaseURL = iysAPI
	} else {
		list, err := c.p.deps.Desk.ListIYSLinks(c.ctx(), desk.Query{})
		if err != nil {
			return err
		}
		for _, x := range list {
			if x.Name == name {
				l = x
			}
		}
		if l.Name == "" {
			return gateway.Refuse(gateway.CodeNotFound, "name", "")
		}
	}
	return c.showForm(c.upTo("link.title", "links.title", "/links"), c.linkForm(&l, name == ""), nil)
}

func (c *call) putLink() error {
	l := gateway.IYSLink{Name: c.value("name"), BaseURL: c.value("baseUrl"), Username: c.value("username"), AHSURL: c.value("ahsUrl"), AHSUser: c.value("ahsUser")}
	var err error
	l.IntegratorCode, err = c.number("integratorCode")
	if err == nil {
		if _, err = c.p.deps.Desk.PutIYSLink(c.ctx(), desk.IYSLinkInput{Link: l, Password: c.FormValue("password"), AHSPassword: c.FormValue("ahsPassword")}); err == nil {
			return c.done("/links", "saved")
		}
	}
	f := c.linkForm(&l, true)
	keepTyped(c, &f)
	return c.showForm(c.upTo("link.title", "links.title", "/links"), f, err)
}

// Webhooks: where an account wants its events.

func (c *call) webhook() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	list, err := c.p.deps.Desk.ListWebhooks(c.ctx(), desk.Query{Account: a.ID})
	if err != nil {
		return err
	}
	w := gateway.Webhook{Account: a.ID}
	if len(list) > 0 {
		w = list[0]
	}
	return c.showWebhook(&a, &w, nil)
}

func (c *call) showWebhook(a *gateway.Account, w *gateway.Webhook, fault error) error {
	pg := c.identityPage(a, "webhook.title")
	pg.Lead = c.t("webhook.lead")
	if c.p.deps.Webhooks != nil {
		v, err := c.p.deps.Webhooks.Webhook(c.Request().Context(), a.ID)
		if err != nil {
			return err
		}
		pending := badge("ok", c.l.num(int64(v.Pending)))
		if v.LastErr != "" {
			pending = badge("warn", c.l.num(int64(v.Pending)))
		}
		pg.Blocks = append(pg.Blocks, block{Facts: []fact{{c.t("webhook.pending"), pending}, {c.t("webhook.lastError"), text(firstNonEmpty(v.LastErr, "–"))}}})
	}
	events, err := c.eventBlocks(a.ID)
	if err != nil {
		return err
	}
	if !c.may(post, "/accounts/:id/webhook") {
		pg.Blocks = append(pg.Blocks, block{Facts: []fact{{c.t("webhook.url"), mono(firstNonEmpty(w.URL, "–"))}, {c.t("webhook.paused"), c.yes(w.Paused)}}})
		pg.Blocks = append(pg.Blocks, events...)
		return c.show(pg)
	}
	f := form{Action: accountPath(a.ID) + "/webhook", Submit: c.t("save"), Cancel: accountPath(a.ID), Fields: []field{
		{Name: "url", Label: c.t("webhook.url"), Value: w.URL, Max: 2000, Mode: "url", Hint: c.t("webhook.url.hint")},
		{Name: "events", Label: c.t("webhook.events"), Kind: "checks", Values: w.Events, Options: c.choices("event.", gateway.EventTypes...), Hint: c.t("webhook.events.hint")},
		{Name: "paused", Label: c.t("webhook.paused"), Kind: "checkbox", Value: set(w.Paused)},
		{Name: "rotate", Label: c.t("webhook.rotate"), Kind: "checkbox", Hint: c.t("webhook.rotate.hint")}}}
	if fault != nil {
		_, pg.status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	pg.Blocks = append(append(pg.Blocks, block{Form: &f}), events...)
	return c.show(pg)
}

func (c *call) putWebhook() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	in := desk.WebhookInput{Account: a.ID, URL: c.value("url"), Events: c.list("events", gateway.EventTypes), Paused: c.checked("paused"), Rotate: c.checked("rotate")}
	v, err := c.p.deps.Desk.PutWebhook(c.ctx(), in)
	if err != nil {
		return c.showWebhook(&a, &gateway.Webhook{Account: a.ID, URL: in.URL, Events: in.Events, Paused: in.Paused}, err)
	}
	to := accountPath(a.ID) + "/webhook"
	if v.Secret == "" {
		return c.done(to, "saved")
	}
	pg := c.identityPage(&a, "webhook.title")
	pg.Blocks = []block{{Note: &note{Kind: "warn", Text: c.t("credential.once")}, Secrets: []secret{{Label: c.t("webhook.secret"), Value: v.Secret}},
		Links: []link{{Text: c.t("credential.stored"), Href: to, Kind: "primary"}}}}
	return c.show(pg)
}

// atoi reads a number that was written by this panel; 0 for anything else.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}
