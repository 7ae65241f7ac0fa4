package admin

import (
	"math"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// The queue: lanes with depth and age, and the switch that stops one.

func (c *call) queue() error {
	list, err := c.p.deps.Desk.ListLanes(c.ctx(), desk.Nothing{})
	if err != nil {
		return err
	}
	s, _, _ := c.p.live.view(c.Request().Context())
	pg := page{Title: c.t("queue.title"), Lead: c.t("queue.lead"), Nav: "/queue"}
	t := &grid{Caption: c.t("queue.title"), Heads: []string{c.t("lane"), c.t("bind.state"), c.t("lane.waiting"), c.t("lane.oldest"), c.t("lane.running"), c.t("lane.done"), c.t("acts")}}
	for i := range list {
		l := &list[i]
		state := badge("ok", c.t("queue.up"))
		if l.Paused {
			state = badge("error", c.t("lane.paused"))
		}
		age := badge("ok", "–")
		if l.Oldest > 0 {
			age = badge(ageKind(laneNamed(l.Lane), l.Oldest), c.l.ago(l.Oldest))
		}
		waiting, done := c.num(int64(l.Waiting)), c.num(int64(min(l.Done, math.MaxInt64)))
		if l.Resting > 0 {
			waiting.Sub = c.l.n("lane.resting", l.Resting)
		}
		if l.Failed > 0 {
			done.Sub = c.l.n("lane.failed", int(min(l.Failed, math.MaxInt32)))
		}
		t.Rows = append(t.Rows, []cell{text(c.t("class." + l.Lane)), state, waiting, age, c.num(int64(l.Running)), done, {Forms: c.laneForms(l)}})
	}
	pg.Blocks = append(pg.Blocks, block{Table: t}, c.house(&s))
	return c.show(pg)
}

func (c *call) laneForms(l *desk.LaneView) []form {
	if !c.may(post, "/queue/pause") {
		return nil
	}
	key, to := "lane.pause", "yes"
	if l.Paused {
		key, to = "lane.resume", "no"
	}
	return []form{{Action: "/queue/pause", Submit: c.t(key), Kind: "plain", Fields: []field{{Name: "lane", Kind: "hidden", Value: l.Lane}, {Name: "paused", Kind: "hidden", Value: to}}}}
}

func laneNamed(name string) gateway.Lane {
	for l := range gateway.Lane(gateway.Lanes) {
		if l.String() == name {
			return l
		}
	}
	return gateway.LaneCommercial
}

// pauseLane stops a lane, after a question that tells how much it holds up, or lets it go on.
func (c *call) pauseLane() error {
	lane, stop := c.value("lane"), c.value("paused") == "yes"
	list, err := c.p.deps.Desk.ListLanes(c.ctx(), desk.Nothing{})
	if err != nil {
		return err
	}
	for i := range list {
		if !stop || list[i].Lane != lane {
			continue
		}
		ok, err := c.confirmed(page{Nav: "/queue"}, c.t("lane.pause.ask", c.t("class."+lane), c.l.num(int64(list[i].Waiting))), c.t("lane.pause"), "/queue", "lane", "paused")
		if !ok {
			return err
		}
	}
	if _, err := c.p.deps.Desk.PauseLane(c.ctx(), desk.LanePause{Lane: lane, Paused: stop}); err != nil {
		return err
	}
	return c.done("/queue", "saved")
}

// settings shows the configuration of the process, which its file and environment decide.
func (c *call) settings() error {
	list, err := c.p.deps.Desk.Settings(c.ctx(), desk.Nothing{})
	if err != nil {
		return err
	}
	t := &grid{Caption: c.t("settings.title"), Empty: c.t("dash.none"), Heads: []string{c.t("settings.name"), c.t("settings.value")}}
	for _, s := range list {
		t.Rows = append(t.Rows, []cell{mono(s.Name), mono(firstNonEmpty(s.Value, "–"))})
	}
	s, _, _ := c.p.live.view(c.Request().Context())
	return c.show(page{Title: c.t("settings.title"), Lead: c.t("settings.lead"), Nav: "/settings", Blocks: []block{c.house(&s), {Title: c.t("settings.process"), Table: t}}})
}
