package admin

import (
	"cmp"
	"maps"
	"net/http"
	"slices"

	"izinli/gateway"
	"izinli/gateway/desk"
)

func (c *call) batches() error {
	list, account, err := c.chosen()
	if err != nil {
		return err
	}
	if account == 0 {
		return c.noAccounts(c.t("batches.title"), "/batches")
	}
	if s := c.value("id"); s != "" {
		if ref, err := gateway.ParseBatchRef(s); err == nil {
			return c.Redirect(http.StatusSeeOther, "/batches/"+ref.String())
		}
	}
	f := &form{Action: "/batches", Get: true, Submit: c.t("find"), Fields: []field{c.accountField(list, account),
		{Name: "id", Label: c.t("batch.id"), Value: c.value("id"), Max: 26, Complete: "off"}}}
	pg := page{Title: c.t("batches.title"), Lead: c.t("batches.lead"), Nav: "/batches"}
	if c.value("id") != "" {
		c.refuse(f, &fault{field: "id", key: "batch.id.bad"})
		pg.status = http.StatusUnprocessableEntity
	}
	pg.Blocks = []block{{Filter: f}}
	t, err := c.recentBatches(account)
	if err != nil {
		return err
	}
	pg.Blocks = append(pg.Blocks, block{Table: t})
	return c.show(pg)
}

// recentBatches lists batches newest first; without a list of them, those of the newest messages.
func (c *call) recentBatches(account gateway.AccountID) (*grid, error) {
	t := &grid{Caption: c.t("batches.title"), Empty: c.t("batches.none"), Heads: []string{c.t("message.created"), c.t("batch.id"), c.t("message.from"),
		c.t("message.class"), c.t("batch.count")}}
	row := func(id gateway.BatchRef, from, class string, created, count cell) {
		t.Rows = append(t.Rows, []cell{created, {Text: id.String(), Mono: true, Href: "/batches/" + id.String()}, text(from), text(c.t("class." + class)), count})
	}
	if c.p.deps.Batches != nil {
		found, err := c.p.deps.Batches(c.Request().Context(), account, c.QueryParam("cursor"), pageRows)
		for _, b := range found.Items {
			count := c.num(int64(b.Count))
			if b.Cancelled {
				count.Sub = c.t("state.cancelled")
			} else if b.Paused {
				count.Sub = c.t("batch.pausedMark")
			}
			row(b.ID, b.From, b.Class, c.at(b.Created), count)
		}
		if found.Next != "" {
			t.Next = "/batches?account=" + idText(account) + "&cursor=" + found.Next
		}
		return t, err
	}
	found, err := c.p.deps.Desk.ListMessages(c.ctx(), desk.MessageQuery{Account: account, Limit: 500})
	seen := map[gateway.BatchRef]bool{}
	for i := range found.Items {
		if m := &found.Items[i]; !seen[m.Batch] && len(seen) < pageRows {
			seen[m.Batch] = true
			row(m.Batch, m.From, m.Class, c.at(m.Created), text("–"))
		}
	}
	return t, err
}

// batchOf reads the batch in the path, of an account the user sees.
func (c *call) batchOf() (v gateway.BatchView, err error) {
	ref, err := gateway.ParseBatchRef(c.Param("id"))
	if err != nil {
		return v, gateway.Refuse(gateway.CodeNotFound, "id", "")
	}
	if err := c.sees(ref.Account); err != nil {
		return v, err
	}
	return c.p.deps.Desk.Batch(c.ctx(), desk.Name{Name: ref.String()})
}

// waiting is how many messages of a batch have not left.
func waiting(b *gateway.BatchView) (n int) {
	for s, k := range b.States {
		if gateway.ParseState(s).Waiting() {
			n += k
		}
	}
	return n
}

func (c *call) batch() error {
	b, err := c.batchOf()
	if err != nil {
		return err
	}
	to := "/batches/" + b.ID.String()
	pg := page{Title: c.t("batch.title"), Nav: "/batches", Up: &link{Text: c.t("batches.title"), Href: "/batches?account=" + idText(b.ID.Account)},
		Actions: []link{{Text: c.t("batch.messages"), Href: c.batchMessages(&b, "")}}}
	left := waiting(&b)
	switch {
	case b.Cancelled:
		pg.Blocks = append(pg.Blocks, block{Note: &note{Kind: "warn", Text: c.t("batch.cancelled.note")}})
	case b.Paused:
		pg.Blocks = append(pg.Blocks, block{Note: &note{Kind: "warn", Text: c.l.n("batch.paused.note", left)}})
	}
	pg.Blocks = append(pg.Blocks, block{Facts: []fact{
		{c.t("batch.id"), mono(b.ID.String())}, {c.t("batch.count"), text(c.l.num(int64(b.Count)))}, {c.t("batch.waiting"), text(c.l.num(int64(left)))},
		{c.t("channel"), text(c.t("channel." + b.Channel))}, {c.t("message.class"), text(c.t("class." + b.Class))}, {c.t("brand"), text(firstNonEmpty(b.Brand, "–"))},
		{c.t("message.from"), text(b.From)}, {c.t("message.created"), c.at(b.Created)}, {c.t("message.sendAt"), c.at(b.SendAt)}, {c.t("message.validUntil"), c.at(b.ValidUntil)},
	}})
	pg.Blocks = append(pg.Blocks, block{Title: c.t("batch.states"), Table: c.countTable("message.state", b.States, b.Count, func(k string) cell {
		x := c.state(gateway.ParseState(k))
		x.Links = []link{{Text: c.t("show"), Href: c.batchMessages(&b, k)}}
		return x
	})})
	if len(b.Reasons) > 0 {
		pg.Blocks = append(pg.Blocks, block{Title: c.t("batch.reasons"), Table: c.countTable("message.reason", b.Reasons, b.Count,
			func(k string) cell { return cell{Text: c.reason(b.Channel, gateway.Code(k)), Sub: k} })})
	}
	if c.may(post, "/batches/:id/pause") && left > 0 && !b.Cancelled {
		steer := block{Title: c.t("batch.steer")}
		if b.Paused {
			steer.Form = &form{Action: to + "/resume", Submit: c.t("batch.resume")}
		} else {
			steer.Form = &form{Action: to + "/pause", Submit: c.t("batch.pause"), Kind: "plain"}
		}
		pg.Blocks = append(pg.Blocks, steer, block{Form: &form{Action: to + "/cancel", Submit: c.t("batch.cancel"), Kind: "danger"}})
	}
	return c.show(pg)
}

func (c *call) batchMessages(b *gateway.BatchView, state string) string {
	s := "/messages?account=" + idText(b.ID.Account) + "&batch=" + b.ID.String()
	if state != "" {
		s += "&state=" + state
	}
	return s
}

// countTable shows counts, largest first, with their share.
func (c *call) countTable(head string, counts map[string]int, all int, name func(string) cell) *grid {
	t := &grid{Caption: c.t(head), Heads: []string{c.t(head), c.t("batch.count"), c.t("share")}, Empty: c.t("dash.none")}
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(counts[b]-counts[a], cmp.Compare(a, b)) })
	for _, k := range keys {
		share := 0.0
		if all > 0 {
			share = float64(counts[k]) * 100 / float64(all)
		}
		t.Rows = append(t.Rows, []cell{name(k), c.num(int64(counts[k])), {Text: c.t("percent", c.l.rate(share)), Num: true}})
	}
	return t
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (c *call) pauseBatch() error {
	b, err := c.batchOf()
	if err != nil {
		return err
	}
	to := "/batches/" + b.ID.String()
	ok, err := c.confirmed(page{Nav: "/batches"}, c.l.n("batch.pause.ask", waiting(&b)), c.t("batch.pause"), to)
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.PauseBatch(c.ctx(), desk.Name{Name: b.ID.String()}); err != nil {
		return err
	}
	return c.done(to, "batch.paused")
}

func (c *call) resumeBatch() error {
	b, err := c.batchOf()
	if err != nil {
		return err
	}
	if _, err := c.p.deps.Desk.ResumeBatch(c.ctx(), desk.Name{Name: b.ID.String()}); err != nil {
		return err
	}
	return c.done("/batches/"+b.ID.String(), "batch.resumed")
}

func (c *call) cancelBatch() error {
	b, err := c.batchOf()
	if err != nil {
		return err
	}
	to := "/batches/" + b.ID.String()
	ok, err := c.confirmed(page{Nav: "/batches"}, c.l.n("batch.cancel.ask", waiting(&b)), c.t("batch.cancel"), to)
	if !ok {
		return err
	}
	done, err := c.p.deps.Desk.CancelBatch(c.ctx(), desk.Name{Name: b.ID.String()})
	if err != nil {
		return err
	}
	c.p.sessions.setFlash(c.sess, c.l.n("batch.cancelled", done.Cancelled))
	return c.Redirect(http.StatusSeeOther, to)
}
