package admin

import (
	"strconv"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/desk"
)

// Mail: next hops, and addresses mail does not go to any more.

func maskedOf(addr string) string { return address.Mask(addr) }

func (c *call) smarthosts() error {
	list, err := c.p.deps.Desk.ListSmarthosts(c.ctx(), desk.Query{})
	if err != nil {
		return err
	}
	keys, err := c.p.deps.Desk.ListDKIMKeys(c.ctx(), desk.Query{})
	if err != nil {
		return err
	}
	peers, err := c.p.deps.Desk.ListRelayPeers(c.ctx(), desk.Query{})
	if err != nil {
		return err
	}
	t := &grid{Caption: c.t("smarthosts.title"), Empty: c.t("smarthosts.none"), Heads: []string{c.t("operator.name"), c.t("operator.addr"), c.t("smarthost.tls"), c.t("route.rank"), c.t("bind.state"), c.t("acts")}}
	for i := range list {
		h := &list[i]
		state, acts := badge("ok", c.t("operator.enabled")), cell{}
		key, to := "operator.drain", "yes"
		if h.Draining {
			state, key, to = badge("muted", c.t("smarthost.draining")), "operator.enable", "no"
		}
		if c.may(post, "/smarthosts/drain") {
			acts.Forms = []form{{Action: "/smarthosts/drain", Submit: c.t(key), Kind: "plain", Fields: []field{{Name: "name", Kind: "hidden", Value: h.Name}, {Name: "draining", Kind: "hidden", Value: to}}}}
		}
		addr := mono(h.Addr)
		if h.Direct {
			addr = text(c.t("smarthost.direct"))
		}
		t.Rows = append(t.Rows, []cell{text(h.Name), addr, mono(firstNonEmpty(h.TLS, "–")), {Text: strconv.Itoa(h.Rank) + " / " + strconv.Itoa(max(1, h.Weight)), Num: true}, state, acts})
	}
	k := &grid{Caption: c.t("dkim.title"), Empty: c.t("dkim.none"), Heads: []string{c.t("dkim.domain"), c.t("dkim.selector"), c.t("account"), c.t("bind.state"), c.t("dkim.record")}}
	for i := range keys {
		x := &keys[i]
		state := badge("ok", c.t("operator.enabled"))
		if x.Disabled {
			state = badge("muted", c.t("operator.disabled"))
		}
		k.Rows = append(k.Rows, []cell{mono(x.Domain), mono(x.Selector), text(idText(x.Account)), state, mono(x.Record)})
	}
	r := &grid{Caption: c.t("peers.title"), Empty: c.t("peers.none"), Heads: []string{c.t("operator.name"), c.t("peer.credential"), c.t("credential.cidrs"), c.t("peer.tls")}}
	for i := range peers {
		x := &peers[i]
		r.Rows = append(r.Rows, []cell{text(x.Name), mono(x.Credential), mono(firstNonEmpty(cidrText(x.CIDRs, ", "), "–")), c.yes(x.RequireTLS)})
	}
	return c.show(page{Title: c.t("smarthosts.title"), Lead: c.t("smarthosts.lead"), Nav: "/smarthosts", Blocks: []block{{Table: t}, {Title: c.t("dkim.title"), Table: k}, {Title: c.t("peers.title"), Table: r}}})
}

// drainSmarthost takes a next hop out of use, after a question, or back into it.
func (c *call) drainSmarthost() error {
	list, err := c.p.deps.Desk.ListSmarthosts(c.ctx(), desk.Query{})
	if err != nil {
		return err
	}
	for _, h := range list {
		if h.Name != c.value("name") {
			continue
		}
		off := c.value("draining") == "yes"
		if off {
			ok, err := c.confirmed(page{Nav: "/smarthosts"}, c.t("smarthost.drain.ask", h.Name), c.t("operator.drain"), "/smarthosts", "name", "draining")
			if !ok {
				return err
			}
		}
		h.Draining = off
		if _, err := c.p.deps.Desk.PutSmarthost(c.ctx(), desk.SmarthostInput{Smarthost: h}); err != nil {
			return err
		}
		return c.done("/smarthosts", "saved")
	}
	return gateway.Refuse(gateway.CodeNotFound, "name", "")
}

func (c *call) suppressions() error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("suppressions.title"), "/suppressions")
	}
	cursor, _ := c.p.unhide(c.user.Name, c.QueryParam("cursor"))
	found, err := c.p.deps.Desk.ListSuppressions(c.ctx(), desk.SuppressionQuery{Account: a, Cursor: cursor, Limit: pageRows})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("suppressions.title"), Lead: c.t("suppressions.lead"), Nav: "/suppressions", Blocks: c.accountChooser(list, a, "/suppressions")}
	t := &grid{Caption: c.t("suppressions.title"), Empty: c.t("suppressions.none"), Heads: []string{c.t("message.to"), c.t("suppression.class"), c.t("inbox.at"), c.t("segment.error"), c.t("acts")}}
	for i := range found.Items {
		s := &found.Items[i]
		t.Rows = append(t.Rows, []cell{mono(address.Mask(s.Address)), text(c.t("suppression." + firstKnown("suppression.", s.Class, "address"))), c.at(s.At), text(firstNonEmpty(s.Text, "–")),
			{Forms: c.deleteButton("/suppressions/remove", "/suppressions/remove", field{Name: "q", Kind: "hidden", Value: c.p.hide(c.user.Name, idText(a)+"\x00"+s.Address)})}})
	}
	if found.Next != "" {
		t.Next = "/suppressions?account=" + idText(a) + "&cursor=" + c.p.hide(c.user.Name, found.Next) // the cursor is an address
	}
	pg.Blocks = append(pg.Blocks, block{Table: t})
	return c.show(pg)
}

func (c *call) removeSuppression() error {
	a, person, err := c.hiddenAddress()
	if err != nil {
		return err
	}
	to := "/suppressions?account=" + idText(a)
	ok, err := c.confirmed(page{Nav: "/suppressions"}, c.t("suppression.remove.ask", address.Mask(person)), c.t("delete"), to, "q")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.DeleteSuppression(c.ctx(), gateway.Suppression{Account: a, Address: person}); err != nil {
		return err
	}
	return c.done(to, "deleted")
}
