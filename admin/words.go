package admin

import (
	"slices"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// stateKind is the colour of a state.
func stateKind(s gateway.State) string {
	switch s {
	case gateway.StateDelivered:
		return "ok"
	case gateway.StateSent, gateway.StateQueued, gateway.StateAccepted:
		return "info"
	case gateway.StateHeld, gateway.StateUnknown, gateway.StateScheduled:
		return "warn"
	case gateway.StateUndelivered, gateway.StateExpired, gateway.StateRejected, gateway.StateFailed:
		return "error"
	}
	return "muted"
}

func (c *call) state(s gateway.State) cell { return badge(stateKind(s), c.t("state."+s.String())) }

// reason is a code in plain words, those of a message's channel where they differ; empty for none.
func (c *call) reason(channel string, code gateway.Code) string {
	if code == "" {
		return ""
	}
	key := "why." + string(code)
	if channel == gateway.ChannelEmail && has(key+".email") {
		return c.t(key + ".email")
	}
	if has(key) {
		return c.t(key)
	}
	if key := "code." + string(code); has(key) {
		return c.t(key)
	}
	return string(code)
}

// reasonOf is the reason of a message.
func (c *call) reasonOf(m *gateway.MessageView) string { return c.reason(m.Channel, m.Code) }

// explainKey is the text for a state: mail has its own, and of an operator without receipts nothing is awaited.
func (c *call) explainKey(m *gateway.MessageView) string {
	key := "explain." + m.State.String()
	switch {
	case m.Channel == gateway.ChannelEmail && has(key+".email"):
		return key + ".email"
	case m.State == gateway.StateSent && m.Channel == gateway.ChannelSMS && c.silent(m.Operator):
		return key + ".silent"
	}
	return key
}

// silent reports whether an operator is known to send no receipts.
func (c *call) silent(operator string) bool {
	list, err := c.p.deps.Desk.ListOperators(c.ctx(), desk.Query{})
	return err == nil && slices.ContainsFunc(list, func(o gateway.Operator) bool { return o.Name == operator && o.NoReceipts })
}

// ruleText is the sentence for a rule of a decision about a message of a channel.
func (c *call) ruleText(channel, rule string) string {
	if key := "rule." + rule; has(key) {
		return c.t(key)
	}
	return c.reason(channel, gateway.Code(rule))
}

// explain answers the two questions people ask of a message: why does it wait, why was it dropped.
func (c *call) explain(d *desk.MessageDetail) *note {
	m := &d.Message
	switch {
	case m.State == gateway.StateDropped:
		n := &note{Kind: "error", Text: c.t("explain.dropped", c.reasonOf(m))}
		if len(d.Decisions) > 0 && d.Decisions[0].Verdict == "drop" {
			n.Text = c.t("explain.dropped", c.ruleText(m.Channel, d.Decisions[0].Rule))
		}
		return n
	case m.State == gateway.StateScheduled:
		return &note{Kind: "info", Text: c.t("explain.scheduled", c.l.when(m.SendAt))}
	case m.State == gateway.StateHeld:
		why := c.reasonOf(m)
		if why == "" {
			why = c.t("explain.unsaid")
		}
		if m.NextAt.IsZero() {
			return &note{Kind: "warn", Text: c.t("explain.held", why, c.l.when(m.ValidUntil))}
		}
		return &note{Kind: "warn", Text: c.t("explain.held.until", why, c.l.when(m.NextAt), c.l.when(m.ValidUntil))}
	case m.State == gateway.StateQueued || m.State == gateway.StateAccepted:
		return &note{Kind: "info", Text: c.t("explain.queued", c.l.when(m.ValidUntil))}
	case m.State == gateway.StateSent:
		return &note{Kind: "info", Text: c.t(c.explainKey(m), firstNonEmpty(m.Operator, "–"))}
	case m.State == gateway.StateDelivered:
		return &note{Kind: "ok", Text: c.t(c.explainKey(m), firstNonEmpty(m.Operator, "–"))}
	}
	key := c.explainKey(m)
	if why := c.reasonOf(m); why != "" {
		return &note{Kind: stateKind(m.State), Text: c.t(key) + " " + why}
	}
	return &note{Kind: stateKind(m.State), Text: c.t(key)}
}

// decisionEvent tells one decision record in a sentence with its proof.
func (c *call) decisionEvent(channel string, d *gateway.DecisionView) event {
	kind := map[string]string{"send": "ok", "hold": "warn", "drop": "error"}[d.Verdict]
	title := c.t("decision." + firstKnown("decision.", d.Kind, "accept"))
	if key := "verdict." + d.Verdict; has(key) {
		title += ": " + c.t(key)
	}
	e := event{When: c.l.when(d.At), At: d.At, Title: title, Text: c.ruleText(channel, d.Rule), Kind: kind}
	add := func(label string, v cell) {
		if v.Text != "" {
			e.Facts = append(e.Facts, fact{c.t(label), v})
		}
	}
	if d.Status != "" {
		add("consent.status", text(c.statusText(d.Status)))
	}
	add("consent.source", text(d.Source))
	if !d.ConsentDate.IsZero() {
		add("consent.date", c.at(d.ConsentDate))
	}
	add("consent.transaction", mono(d.TransactionID))
	if d.Where != "" {
		where := c.t("where." + firstKnown("where.", d.Where, "none"))
		if d.AgeSeconds > 0 {
			where += ", " + c.t("consent.age", c.l.ago(time.Duration(d.AgeSeconds)*time.Second))
		}
		add("consent.where", text(where))
	}
	add("decision.words", text(strings.Join(d.Words, ", ")))
	e.Sub = c.t("decision.chain", d.Day, c.l.num(int64(d.Seq)), short(d.Hash), d.Policy)
	return e
}

// firstKnown returns s when the catalogue has prefix+s, else instead.
func firstKnown(prefix, s, instead string) string {
	if has(prefix + s) {
		return s
	}
	return instead
}

func (c *call) statusText(s string) string {
	if has("status." + s) {
		return c.t("status." + s)
	}
	return s
}

func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12] + "…"
	}
	return hash
}
