package admin

import (
	"strings"

	"izinli/gateway/desk"
	"izinli/iys"
)

// What companies let us do as their partner at İYS, as it was read last; it is read every half hour and around every pull.

// rightsBlocks is the table of rights, below a warning where something is missing; nothing where nobody has to grant anything.
func (c *call) rightsBlocks(states []desk.IYSStatus) (out []block) {
	t := &grid{Caption: c.t("rights.title"), Heads: []string{c.t("brand"), c.t("channel.sms"), c.t("channel.email"), c.t("reconcile.title"), c.t("rights.via"), c.t("rights.read"), c.t("acts")}}
	missing := &grid{Caption: c.t("rights.missing"), Heads: []string{c.t("brand"), c.t("rights.right"), c.t("rights.since")}}
	for i := range states {
		s := &states[i]
		if s.Rights == nil {
			continue
		}
		acts := cell{}
		if c.may(post, "/iys/rights") {
			acts.Forms = []form{{Action: "/iys/rights", Submit: c.t("rights.now"), Kind: "plain", Fields: []field{{Name: "account", Kind: "hidden", Value: idText(s.Account)}, {Name: "brand", Kind: "hidden", Value: s.Brand}}}}
		}
		t.Rows = append(t.Rows, []cell{{Text: s.Brand, Mono: true, Href: brandViewPath(s.Account, s.Brand)}, c.rightOn(s, iys.ChannelSMS), c.rightOn(s, iys.ChannelEmail),
			c.yes(s.Rights.Agreement), c.yes(s.Rights.Via), c.at(s.Rights.Read), acts})
		for _, g := range s.Rights.Gone {
			missing.Rows = append(missing.Rows, []cell{mono(s.Brand), badge("error", c.rightName(g.Right)), c.at(g.Since)})
		}
	}
	if len(missing.Rows) > 0 {
		out = append(out, block{Title: c.t("rights.missing"), Note: &note{Kind: "error", Text: c.t("rights.missing.what")}, Table: missing})
	}
	if len(t.Rows) > 0 {
		out = append(out, block{Title: c.t("rights.title"), Lead: c.t("rights.lead"), Table: t})
	}
	return out
}

// rightOn is what a company lets us do on a channel.
func (c *call) rightOn(s *desk.IYSStatus, ch iys.Channel) cell {
	switch right := s.Rights.Channels[ch]; right {
	case "write":
		return badge("ok", c.t("rights.write"))
	case "":
		return badge("muted", c.t("rights.none"))
	}
	return badge("info", c.t("rights.readonly"))
}

// rightName puts the name of a right into words: "write MESAJ", "via".
func (c *call) rightName(s string) string {
	what, ch, _ := strings.Cut(s, " ")
	key := "rights.name." + what
	if !has(key) {
		return s
	}
	if ch == "" {
		return c.t(key)
	}
	if has("via.channel." + ch) {
		ch = c.t("via.channel." + ch)
	}
	return c.t(key, ch)
}

// readRights has İYS asked now.
func (c *call) readRights() error {
	a, brand, err := c.ownBrand()
	if err != nil {
		return err
	}
	r, err := c.p.deps.Desk.ReadRights(c.ctx(), desk.Name{Name: brand})
	if err != nil {
		return err
	}
	if len(r.Gone) > 0 {
		return c.done("/iys?account="+idText(a), "rights.done.missing")
	}
	return c.done("/iys?account="+idText(a), "rights.done")
}
