package admin

import (
	"net/http"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// Events of a webhook: what waits, what was given up, and sending again.

// eventBlocks lists the events of an account's webhook.
func (c *call) eventBlocks(a gateway.AccountID) ([]block, error) {
	failed := c.QueryParam("failed") != ""
	cursor := c.QueryParam("cursor")
	to := accountPath(a) + "/webhook"
	found, err := c.p.deps.Desk.ListEvents(c.ctx(), desk.EventQuery{Account: a, Failed: failed, Cursor: cursor, Limit: pageRows})
	if err != nil {
		return nil, err
	}
	b := block{Title: c.t("events.waiting"), Lead: c.t("events.waiting.lead"), Links: []link{{Text: c.t("events.failed"), Href: to + "?failed=1"}}}
	heads := []string{c.t("events.type"), c.t("events.of"), c.t("events.tries"), c.t("events.next"), c.t("webhook.lastError"), c.t("acts")}
	t := &grid{Caption: c.t("events.waiting"), Empty: c.t("events.none"), Heads: heads}
	more := "?cursor="
	if failed {
		b.Title, b.Lead, b.Links = c.t("events.failed"), c.t("events.failed.lead"), []link{{Text: c.t("events.waiting"), Href: to}}
		t.Caption, t.Empty, more = b.Title, c.t("events.failed.none"), "?failed=1&cursor="
	}
	for i := range found.Items {
		e := &found.Items[i]
		next := cell{Text: "–"}
		if !e.NextAt.IsZero() {
			next = c.at(e.NextAt)
		}
		t.Rows = append(t.Rows, []cell{text(c.t("event." + firstKnown("event.", e.Type, "other"))), c.at(e.At), c.num(int64(e.Tries)), next, text(firstNonEmpty(e.LastErr, "–")),
			{Forms: c.replayForm(a, "events.replay", e.ID)}})
	}
	if found.Next != "" {
		t.Next = to + more + found.Next
	}
	b.Table = t
	out := []block{b}
	if all := c.replayForm(a, "events.replay.all", ""); len(found.Items) > 0 && len(all) > 0 {
		out = append(out, block{Form: &all[0]})
	}
	return out, nil
}

func (c *call) replayForm(a gateway.AccountID, key, id string) []form {
	if !c.may(post, "/accounts/:id/webhook/replay") {
		return nil
	}
	return []form{{Action: accountPath(a) + "/webhook/replay", Submit: c.t(key), Kind: "plain", Fields: []field{{Name: "event", Kind: "hidden", Value: id}}}}
}

// replayEvents sends one event again, or all.
func (c *call) replayEvents() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	in := desk.Replay{Account: a.ID}
	if id := c.value("event"); id != "" {
		in.IDs = []string{id}
	}
	done, err := c.p.deps.Desk.ReplayEvents(c.ctx(), in)
	if err != nil {
		return err
	}
	c.p.sessions.setFlash(c.sess, c.l.n("events.replayed", done.Events))
	return c.Redirect(http.StatusSeeOther, accountPath(a.ID)+"/webhook")
}
