package admin

import (
	"bytes"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
)

func (c *call) dashboard() error {
	blocks, _, err := c.dashboardBlocks()
	if err != nil {
		return err
	}
	return c.show(page{Title: c.t("dash.title"), Nav: "/", Blocks: blocks, Live: true})
}

// dashboardBlocks shows what the user may see: figures of the whole gateway only to those who see every account.
func (c *call) dashboardBlocks() ([]block, <-chan struct{}, error) {
	s, samples, changed := c.p.live.view(c.Request().Context())
	now := c.p.now()
	var out []block
	alarms := c.alarms(&s, now)
	if len(alarms) == 0 {
		alarms = []block{{ID: "alarm-0", Note: &note{Kind: "ok", Text: c.t("dash.fine")}}}
	}
	out = append(out, alarms...)
	if c.user.Everywhere() {
		out = append(out, c.traffic(&s, samples)...)
		out = append(out, c.lanes(&s), c.binds(&s, now))
		if len(s.Latency) > 0 {
			out = append(out, c.latency(s.Latency))
		}
	} else {
		b, err := c.balances()
		if err != nil {
			return nil, nil, err
		}
		out = append(out, b)
	}
	out = append(out, c.freshness(&s, now))
	if c.user.Everywhere() {
		out = append(out, c.house(&s))
	}
	return out, changed, nil
}

// unwantedShown is how many domains that refuse our mail have an alarm of their own.
const unwantedShown = 5

// alarms are what wants a person, worst first.
func (c *call) alarms(s *Snapshot, now time.Time) (out []block) {
	add := func(kind, text, detail string) {
		out = append(out, block{ID: "alarm-" + strconv.Itoa(len(out)), Note: &note{Kind: kind, Text: text, Detail: detail}})
	}
	if s.Storage.Full {
		add("error", c.t("alarm.storage"), "")
	}
	if c.user.Everywhere() {
		if !s.Queue.Up && !s.At.IsZero() && (s.Queue.Error != "" || s.Queue.Embedded) {
			add("error", c.t("alarm.queue"), s.Queue.Error)
		}
		for _, l := range s.Lanes {
			if l.Paused {
				add("error", c.t("alarm.lane", c.t("class."+l.Lane.String())), "")
			}
		}
		up := map[string]bool{}
		for _, o := range s.Operators {
			up[o.Operator] = up[o.Operator] || o.Up
		}
		for _, name := range sortedKeys(up) {
			if !up[name] {
				add("error", c.t("alarm.operator", name), "")
			}
		}
		if s.Outbox.Late > 0 {
			add("error", c.l.n("alarm.late", s.Outbox.Late), "")
		}
		if s.Outbox.Warning > 0 {
			add("warn", c.l.n("alarm.warning", s.Outbox.Warning), "")
		}
		for _, u := range s.Unwanted[:min(len(s.Unwanted), unwantedShown)] {
			add("warn", c.t("alarm.mail."+u.Class, u.Domain, c.l.num(int64(u.Count))), u.Reply)
		}
		if more := len(s.Unwanted) - unwantedShown; more > 0 {
			add("warn", c.l.n("alarm.mail.more", more), "")
		}
	}
	for i := range s.Brands {
		if b := &s.Brands[i]; c.user.Sees(b.Account) && b.Stale(now) {
			add("warn", c.t("alarm.stale", b.Brand, c.t("channel."+b.Channel)), "")
		}
	}
	if len(out) == 0 && s.Ready != "" {
		add("warn", c.t("alarm.ready"), s.Ready)
	}
	return out
}

func (c *call) traffic(s *Snapshot, samples []sample) []block {
	var last sample
	for _, x := range samples[max(0, len(samples)-5):] { // a mean of the last looks is easier to read
		n := float64(min(len(samples), 5))
		last.accepted += x.accepted / n
		last.handedOff += x.handedOff / n
		last.delivered += x.delivered / n
		last.failed += x.failed / n
		last.dropped += x.dropped / n
	}
	failing := ""
	if last.failed > 0 {
		failing = "warn"
	}
	one := func(key string, rate float64, total uint64, kind string) card {
		return card{Label: c.t(key), Value: c.t("unit.perSecond", c.l.rate(rate)), Sub: c.t("dash.total", c.l.num(int64(min(total, math.MaxInt64)))), Kind: kind}
	}
	return []block{
		{ID: "rates", Title: c.t("dash.rates"), Cards: []card{
			one("dash.accepted", last.accepted, s.Accepted, ""), one("dash.handedOff", last.handedOff, s.HandedOff, ""),
			one("dash.delivered", last.delivered, s.Delivered, "ok"), one("dash.failed", last.failed, s.Failed, failing),
			one("dash.dropped", last.dropped, s.Dropped, ""),
		}},
		{ID: "chart", Chart: c.draw(samples, "unit.perSecond", curve{"dash.accepted", "a", func(s *sample) float64 { return s.accepted }},
			curve{"dash.handedOff", "b", func(s *sample) float64 { return s.handedOff }})},
	}
}

func (c *call) lanes(s *Snapshot) block {
	t := &grid{Caption: c.t("dash.lanes"), Heads: []string{c.t("lane"), c.t("lane.waiting"), c.t("lane.running"), c.t("lane.oldest")}, Empty: c.t("dash.none")}
	for _, l := range s.Lanes {
		age := badge("ok", "–")
		if l.Oldest > 0 {
			age = badge(ageKind(l.Lane, l.Oldest), c.l.ago(l.Oldest))
		}
		t.Rows = append(t.Rows, []cell{text(c.t("class." + l.Lane.String())), c.num(int64(l.Waiting)), c.num(int64(l.Running)), age})
	}
	return block{ID: "lanes", Title: c.t("dash.lanes"), Table: t}
}

// ageKind judges how long a lane lets messages wait: an OTP is worth little after a minute.
func ageKind(l gateway.Lane, d time.Duration) string {
	warn, bad := time.Minute, 10*time.Minute
	if l == gateway.LaneOTP {
		warn, bad = 5*time.Second, 30*time.Second
	}
	switch {
	case d >= bad:
		return "error"
	case d >= warn:
		return "warn"
	}
	return "ok"
}

func (c *call) binds(s *Snapshot, now time.Time) block {
	t := &grid{Caption: c.t("dash.operators"), Heads: []string{c.t("operator"), c.t("bind.state"), c.t("bind.window"), c.t("bind.sent"), c.t("bind.refused"), c.t("bind.since")},
		Empty: c.t("dash.operators.none")}
	for i := range s.Operators {
		o := &s.Operators[i]
		state := badge("ok", c.t("bind.up"))
		if !o.Up {
			state = badge("error", c.bindState(o.State))
			state.Sub = o.LastError
		} else if o.ThrottledUntil.After(now) {
			state = badge("warn", c.t("bind.throttled", c.l.ago(o.ThrottledUntil.Sub(now))))
		}
		name := cell{Text: o.Operator + " #" + strconv.Itoa(o.Bind)}
		t.Rows = append(t.Rows, []cell{name, state, {Text: c.l.num(int64(o.InUse)) + " / " + c.l.num(int64(o.Window)), Num: true},
			c.num(int64(o.Sent)), c.num(int64(o.Refused)), c.at(o.Since)})
	}
	return block{ID: "operators", Title: c.t("dash.operators"), Table: t}
}

// latency shows how long operators took to answer.
func (c *call) latency(list []LatencyBucket) block {
	var all uint64
	for _, b := range list {
		all += b.Count
	}
	t := &grid{Caption: c.t("latency.title"), Heads: []string{c.t("latency.upto"), c.t("latency.count"), c.t("share")}}
	for _, b := range list {
		name := c.t("latency.more")
		if b.Upto > 0 {
			name = c.t("latency.within", c.l.ago(b.Upto))
		}
		share := float64(b.Count) * 100 / float64(max(all, 1))
		t.Rows = append(t.Rows, []cell{text(name), c.num(int64(min(b.Count, math.MaxInt64))), {Text: c.t("percent", c.l.rate(share)), Num: true}})
	}
	return block{ID: "latency", Title: c.t("latency.title"), Table: t}
}

// bindState is the word for a state, the state itself where there is none.
func (c *call) bindState(s string) string {
	if key := "bind.state." + s; has(key) {
		return c.t(key)
	}
	return firstNonEmpty(s, c.t("bind.down"))
}

func (c *call) freshness(s *Snapshot, now time.Time) block {
	t := &grid{Caption: c.t("dash.consents"), Heads: []string{c.t("brand"), c.t("channel"), c.t("mode"), c.t("dash.pulled")}, Empty: c.t("dash.brands.none")}
	for i := range s.Brands {
		b := &s.Brands[i]
		if !c.user.Sees(b.Account) {
			continue
		}
		age := badge("muted", "–")
		switch {
		case b.Mode != "partner":
		case b.PulledAt.IsZero():
			age = badge("error", c.t("dash.never"))
		case b.Stale(now):
			age = badge("error", c.t("ago", c.l.ago(now.Sub(b.PulledAt))))
		default:
			age = badge("ok", c.t("ago", c.l.ago(max(0, now.Sub(b.PulledAt)))))
		}
		t.Rows = append(t.Rows, []cell{{Text: b.Brand, Sub: b.Name, Href: brandViewPath(b.Account, b.Brand)}, text(c.t("channel." + b.Channel)),
			text(c.modeText(b.Mode)), age})
	}
	return block{ID: "consents", Title: c.t("dash.consents"), Table: t}
}

func (c *call) modeText(mode string) string {
	if mode == "" {
		return c.t("mode.closed")
	}
	return c.t("mode." + mode)
}

// house is what the process stands on.
func (c *call) house(s *Snapshot) block {
	queue := badge("ok", c.t("queue.up"))
	if !s.Queue.Up {
		queue = badge("error", c.t("queue.down"))
	}
	queue.Sub = c.t("queue.redis")
	if s.Queue.Embedded {
		queue.Sub = c.t("queue.embedded")
	}
	storage := badge("ok", c.t("storage.ok"))
	if s.Storage.Full {
		storage = badge("error", c.t("storage.full"))
	}
	if s.Storage.Free > 0 {
		storage.Sub = c.t("storage.free", c.l.octets(s.Storage.Free), c.l.octets(s.Storage.Reserve))
	}
	late := badge("ok", c.t("outbox.intime"))
	if s.Outbox.Late > 0 {
		late = badge("error", c.l.n("outbox.late", s.Outbox.Late))
	}
	late.Sub = c.t("outbox.open", c.l.num(int64(s.Outbox.Open)), c.l.num(int64(s.Outbox.Owed)))
	facts := []fact{{c.t("dash.queue"), queue}, {c.t("dash.storage"), storage}, {c.t("dash.outbox"), late}}
	if s.Version != "" {
		facts = append(facts, fact{c.t("dash.version"), mono(s.Version)})
	}
	return block{ID: "house", Title: c.t("dash.house"), Facts: facts}
}

// balances is the credits of the accounts a user sees.
func (c *call) balances() (block, error) {
	list, err := c.visible()
	if err != nil {
		return block{}, err
	}
	b := block{ID: "balances", Title: c.t("credits.title")}
	for _, a := range list {
		v, err := c.p.deps.Desk.Balance(c.ctx(), desk.Query{Account: a.ID})
		if err != nil {
			return b, err
		}
		x := card{Label: a.Name, Value: c.l.num(v.Credits), Sub: c.t("credits.unit"), Href: accountPath(a.ID)}
		if a.Policy.CreditWarning > 0 && v.Credits < a.Policy.CreditWarning {
			x.Kind = "warn"
		}
		b.Cards = append(b.Cards, x)
	}
	return b, nil
}

// stream sends the dashboard anew with every look, as server-sent events, until the reader goes or the session ends. Watching
// is no activity: an unattended screen signs itself out.
func (c *call) stream() error {
	if !c.p.live.join() {
		return gateway.Refuse(gateway.CodeUnavailable, "", "")
	}
	defer c.p.live.leave()
	w := c.Response()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	for {
		blocks, changed, err := c.dashboardBlocks()
		if err != nil {
			return err
		}
		var buf bytes.Buffer
		f := c.frame(page{Blocks: blocks, Live: true})
		if err := templates.ExecuteTemplate(&buf, "blocks", f); err != nil {
			return err
		}
		_ = control.SetWriteDeadline(time.Now().Add(30 * time.Second)) // a recorder of a test has none
		if err := writeEvent(w, "blocks", buf.String()); err != nil {
			return nil // the reader went
		}
		if err := control.Flush(); err != nil {
			return nil
		}
		select {
		case <-c.Request().Context().Done():
			return nil
		case <-c.p.live.ended:
			return nil
		case <-changed:
		}
		if !c.stillIn() {
			_ = writeEvent(w, "end", "")
			return nil
		}
	}
}

// stillIn reports whether the session is alive and the user unchanged in what it may see.
func (c *call) stillIn() bool {
	if c.p.sessions.get(c.token, c.p.now(), false) == nil {
		return false
	}
	u, err := c.p.deps.Users.PanelUser(c.Request().Context(), c.user.Name)
	if err != nil || u.Disabled || c.sess.created.Before(u.SessionsFrom) || !c.route.lets(&u) {
		return false
	}
	c.user = &u
	return true
}

// writeEvent writes one event; every line of the text is a data line (HTML Living Standard §9.2.6).
func writeEvent(w http.ResponseWriter, name, text string) error {
	var b strings.Builder
	b.WriteString("event: " + name + "\n")
	for l := range strings.SplitSeq(text, "\n") {
		b.WriteString("data: " + l + "\n")
	}
	b.WriteString("\n")
	_, err := w.Write([]byte(b.String()))
	return err
}
