package admin

import (
	"net/http"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/desk"
)

// ViA: İYS asks a person itself. The page begins a question, takes the code the person reads out and shows what became of it.

// viaWays are how a person may answer; the empty one is a code by the way of the address.
var viaWays = []string{"SMS_OTP", "SMS_SHORTURL", "EPOSTA_OTP", "EPOSTA_SHORTURL", "EPOSTA_APPROVALURL"}

var (
	viaChannels = []string{"MESAJ", "ARAMA", "EPOSTA"}
	viaTexts    = []string{"AYDINLATMA_METNI", "ACIK_RIZA_METNI", "YURTDISI_AKTARIM"} // of the law on personal data
)

func (c *call) via() error { return c.showVia(nil) }

func (c *call) showVia(fault error) error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("via.title"), "/via")
	}
	found, err := c.p.deps.Desk.ListVia(c.ctx(), desk.ListQuery{Account: a, Cursor: c.QueryParam("cursor"), Limit: pageRows})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("via.title"), Lead: c.t("via.lead"), Nav: "/via", Blocks: c.accountChooser(list, a, "/via")}
	if c.may(post, "/via/start") {
		last := ""
		if len(found.Items) > 0 {
			last = found.Items[0].Form
		}
		b, status, err := c.viaStartForm(a, last, fault)
		if err != nil {
			return err
		}
		pg.Blocks, pg.status = append(pg.Blocks, b), status
	}
	t := &grid{Caption: c.t("via.list"), Empty: c.t("via.none"), Heads: []string{c.t("via.started"), c.t("message.to"), c.t("brand"), c.t("via.asked"), c.t("bind.state")}}
	for i := range found.Items {
		v := &found.Items[i]
		at := c.at(v.Started)
		at.Href = viaPath(a, v.ID)
		t.Rows = append(t.Rows, []cell{at, mono(address.Mask(v.Address)), mono(v.Brand), text(c.viaWhat(v)), c.viaState(v)})
	}
	if found.Next != "" {
		t.Next = "/via?account=" + idText(a) + "&cursor=" + found.Next
	}
	pg.Blocks = append(pg.Blocks, block{Title: c.t("via.list"), Table: t})
	return c.show(pg)
}

func viaPath(a gateway.AccountID, id string) string {
	return "/via/view?account=" + idText(a) + "&id=" + id
}

// viaStartForm begins a question; form is the formId used last.
func (c *call) viaStartForm(a gateway.AccountID, last string, fault error) (b block, status int, err error) {
	brand, err := c.brandField(a, c.value("brand"), true)
	if err != nil {
		return b, 0, err
	}
	if len(brand.Options) == 0 {
		return block{Note: &note{Kind: "info", Text: c.t("brands.none")}}, 0, nil
	}
	ways := append([]option{{Text: c.t("via.way.auto")}}, c.choices("via.way.", viaWays...)...)
	f := form{Action: "/via/start", Submit: c.t("via.start"), Fields: []field{
		{Name: "account", Kind: "hidden", Value: idText(a)}, brand,
		{Name: "form", Label: c.t("via.form"), Value: firstNonEmpty(c.value("form"), last), Required: true, Max: 64, Complete: "off", Hint: c.t("via.form.hint")},
		{Name: "address", Label: c.t("message.to"), Value: c.value("address"), Required: true, Max: 320, Complete: "off", Hint: c.t("address.hint")},
		{Name: "recipientType", Label: c.t("recipientType"), Kind: "select", Value: c.value("recipientType"), Options: c.choices("recipient.", gateway.RecipientIndividual, gateway.RecipientMerchant)},
		{Name: "channels", Label: c.t("via.channels"), Kind: "checks", Values: c.list("channels", viaChannels), Options: c.choices("via.channel.", viaChannels...), Hint: c.t("via.channels.hint")},
		{Name: "verification", Label: c.t("via.way"), Kind: "select", Value: c.value("verification"), Options: ways},
		{Name: "texts", Label: c.t("via.texts"), Kind: "checks", Values: c.list("texts", viaTexts), Options: c.choices("via.text.", viaTexts...), Hint: c.t("via.texts.hint")},
		{Name: "name", Label: c.t("via.name"), Value: c.value("name"), Max: 160, Complete: "off", Hint: c.t("via.name.hint")}}}
	if fault != nil {
		_, status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	return block{Title: c.t("via.start"), Lead: c.t("via.start.lead"), Form: &f}, status, nil
}

// viaWhat names what a person is asked for.
func (c *call) viaWhat(v *gateway.ViaOperation) (s string) {
	for _, x := range []struct {
		prefix string
		list   []string
	}{{"via.channel.", v.Channels}, {"via.text.", v.Texts}} {
		for _, w := range x.list {
			if s != "" {
				s += ", "
			}
			if has(x.prefix + w) {
				w = c.t(x.prefix + w)
			}
			s += w
		}
	}
	return firstNonEmpty(s, "–")
}

// viaState is a question's state, with İYS's own words below.
func (c *call) viaState(v *gateway.ViaOperation) cell {
	kinds := map[string]string{gateway.ViaWaiting: "info", gateway.ViaGiven: "ok", gateway.ViaFailed: "error"}
	x := badge(kinds[v.State()], c.t("via.state."+v.State()))
	x.Sub = c.viaStatus(v)
	return x
}

// viaStatus tells in the reader's words what İYS said last; a code or word nobody knows stays as it is.
func (c *call) viaStatus(v *gateway.ViaOperation) string {
	if key := "via.status." + v.Status; has(key) {
		return c.t(key)
	}
	return v.Status
}

func (c *call) startVia() error {
	_, a, err := c.chosen()
	if err != nil {
		return err
	}
	if err := c.brandBelongs(a, c.value("brand")); err != nil {
		return err
	}
	v, err := c.p.deps.Desk.StartVia(c.ctx(), gateway.ViaInput{Account: a, Brand: c.value("brand"), Form: c.value("form"), Address: c.value("address"),
		RecipientType: c.value("recipientType"), Channels: c.list("channels", viaChannels), Verification: c.value("verification"),
		Texts: c.list("texts", viaTexts), Name: c.value("name")})
	if err != nil {
		return c.showVia(err)
	}
	return c.done(viaPath(a, v.ID), "via.started.done")
}

// viaOf reads the question a page is about, as it was known last.
func (c *call) viaOf() (a gateway.AccountID, v gateway.ViaOperation, err error) {
	if _, a, err = c.chosen(); err != nil {
		return a, v, err
	}
	v, err = c.p.deps.Desk.ViaRecord(c.ctx(), gateway.ViaQuery{Account: a, ID: c.value("id")})
	return a, v, err
}

func (c *call) viaView() error {
	a, v, err := c.viaOf()
	if err != nil {
		return err
	}
	return c.showQuestion(a, &v, nil)
}

// showQuestion is the page of one question: what İYS said last, the code while it is asked for, the consents that came of it.
func (c *call) showQuestion(a gateway.AccountID, v *gateway.ViaOperation, fault error) error {
	pg := page{Title: c.t("via.one"), Nav: "/via", Up: &link{Text: c.t("via.title"), Href: "/via?account=" + idText(a)}}
	notes := map[string]*note{gateway.ViaWaiting: {Kind: "info", Text: c.t("via.waiting.link")}, gateway.ViaGiven: {Kind: "ok", Text: c.t("via.given")},
		gateway.ViaFailed: {Kind: "error", Text: c.t("via.failed", firstNonEmpty(c.viaStatus(v), "–"))}}
	n := notes[v.State()]
	if v.State() == gateway.ViaWaiting && v.ByCode() {
		n.Text = c.t("via.waiting.code")
	}
	way := v.Verification
	if has("via.way." + way) {
		way = c.t("via.way." + way)
	}
	pg.Blocks = append(pg.Blocks, block{Note: n}, block{Facts: []fact{{c.t("message.to"), mono(address.Mask(v.Address))}, {c.t("brand"), mono(v.Brand)},
		{c.t("via.asked"), text(c.viaWhat(v))}, {c.t("via.way"), text(way)}, {c.t("via.form"), mono(v.Form)}, {c.t("bind.state"), c.viaState(v)},
		{c.t("via.stage"), mono(firstNonEmpty(v.Stage+" "+v.Status, "–"))}, {c.t("via.request"), mono(firstNonEmpty(v.Request, "–"))},
		{c.t("via.by"), text(firstNonEmpty(v.By, "–"))}, {c.t("via.started"), c.at(v.Started)}, {c.t("via.looked"), c.at(v.Asked)}, {c.t("via.ended"), c.at(v.Ended)}}})
	open := v.State() == gateway.ViaWaiting
	keep := []field{{Name: "account", Kind: "hidden", Value: idText(a)}, {Name: "id", Kind: "hidden", Value: v.ID}}
	if open && v.ByCode() && c.may(post, "/via/complete") {
		f := form{Action: "/via/complete", Submit: c.t("via.complete"), Fields: keep}
		if len(v.Channels) > 0 {
			f.Fields = append(f.Fields, field{Name: "code", Label: c.t("via.code"), Required: true, Max: 16, Mode: "numeric", Complete: "off", Focus: true, Hint: c.t("via.code.hint")})
		}
		if len(v.Texts) > 0 {
			f.Fields = append(f.Fields, field{Name: "privacyCode", Label: c.t("via.privacyCode"), Required: true, Max: 16, Mode: "numeric", Complete: "off"})
		}
		if fault != nil {
			_, pg.status = refusalOf(fault)
			c.refuse(&f, fault)
		}
		pg.Blocks = append(pg.Blocks, block{Title: c.t("via.complete"), Form: &f})
	} else if fault != nil {
		e, status := refusalOf(fault)
		pg.status, pg.Blocks[0].Note = status, c.refusal(e)
	}
	if open && v.Request != "" && c.may(post, "/via/ask") {
		pg.Blocks = append(pg.Blocks, block{Form: &form{Action: "/via/ask", Submit: c.t("via.ask"), Kind: "plain", Fields: keep}})
	}
	if len(v.Consents) > 0 {
		t := &grid{Caption: c.t("via.consents"), Heads: []string{c.t("channel"), c.t("consent.transaction"), c.t("consent.date")}}
		for _, x := range v.Consents {
			t.Rows = append(t.Rows, []cell{text(c.viaWhat(&gateway.ViaOperation{Channels: []string{x.Channel}})), mono(x.TransactionID), c.at(x.At)})
		}
		pg.Blocks = append(pg.Blocks, block{Title: c.t("via.consents"), Table: t})
	}
	if v.State() == gateway.ViaGiven && c.may(post, "/via/proof") {
		pg.Blocks = append(pg.Blocks, block{Title: c.t("via.proof"), Lead: c.t("via.proof.lead"), Form: &form{Action: "/via/proof", Submit: c.t("via.proof.get"), Kind: "plain", Fields: keep}})
	}
	return c.show(pg)
}

// completeVia ends a question by the code the person read out.
func (c *call) completeVia() error {
	a, v, err := c.viaOf()
	if err != nil {
		return err
	}
	_, err = c.p.deps.Desk.CompleteVia(c.ctx(), gateway.ViaAnswer{Account: a, ID: v.ID, Code: c.value("code"), PrivacyCode: c.value("privacyCode")})
	if err == nil {
		return c.done(viaPath(a, v.ID), "via.completed")
	}
	// How it stands after a wrong code is İYS's to say: the desk has asked.
	now, again := c.p.deps.Desk.ViaRecord(c.ctx(), gateway.ViaQuery{Account: a, ID: v.ID})
	if again != nil {
		return err
	}
	return c.showQuestion(a, &now, err)
}

// askVia has İYS asked how a question stands, which may bring its consents into force.
func (c *call) askVia() error {
	a, v, err := c.viaOf()
	if err != nil {
		return err
	}
	now, err := c.p.deps.Desk.ViaState(c.ctx(), gateway.ViaQuery{Account: a, ID: v.ID})
	if err != nil {
		return c.showQuestion(a, &v, err)
	}
	return c.done(viaPath(a, v.ID), "via.answered", c.t("via.state."+now.State()))
}

// viaProof gives İYS's own evidence out; the desk notes who took it.
func (c *call) viaProof() error {
	a, v, err := c.viaOf()
	if err != nil {
		return err
	}
	f, err := c.p.deps.Desk.ViaProof(c.ctx(), gateway.ViaQuery{Account: a, ID: v.ID})
	if err != nil {
		return c.showQuestion(a, &v, err)
	}
	c.Response().Header().Set("Content-Disposition", `attachment; filename="via-`+v.ID+`.zip"`)
	return c.Blob(http.StatusOK, "application/zip", f.Zip)
}
