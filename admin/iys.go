package admin

import (
	"slices"
	"strconv"
	"time"

	"izinli/gateway"
	"izinli/gateway/desk"
)

// How the brands stand towards İYS: what it is owed, and the comparison of finished days (mutabakat) with its repair plans.

func (c *call) iysState() error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("iys.title"), "/iys")
	}
	states, err := c.p.deps.Desk.IYSStatus(c.ctx(), desk.Query{Account: a})
	if err != nil {
		return err
	}
	owed, err := c.p.deps.Desk.ListOutbox(c.ctx(), desk.OutboxQuery{Account: a, Limit: 200})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("iys.title"), Lead: c.t("iys.lead"), Nav: "/iys"}
	pack, err := c.packageBlock(a)
	if err != nil {
		return err
	}
	pg.Blocks = append(c.accountChooser(list, a, "/iys"), pack...)
	t := &grid{Caption: c.t("iys.brands"), Empty: c.t("iys.brands.none"), Heads: []string{c.t("brand"), c.t("bind.state"), c.t("iys.known"), c.t("iys.requery"), c.t("acts")}}
	for i := range states {
		s := &states[i]
		state, requery := badge("ok", c.t("iys.open")), cell{Text: "–"}
		switch {
		case s.Shut != nil && s.Shut.Full():
			state = badge("warn", c.t("iys.full"))
			if s.Shut.Updates {
				state.Sub = c.t("iys.full.updates")
			}
		case s.Shut != nil:
			state = badge("error", c.t("iys.shut"))
		case len(s.Withheld) > 0:
			state = badge("error", c.t("iys.withheld"))
		case s.Stale:
			state = badge("warn", c.t("iys.stale"))
		}
		if !s.Requery.Started.IsZero() {
			requery = cell{Text: c.t("iys.requery.done", c.l.num(int64(s.Requery.Done)), c.l.num(int64(s.Requery.Total))), Sub: c.t("iys.requery.changed", c.l.num(int64(s.Requery.Changed)))}
		}
		t.Rows = append(t.Rows, []cell{{Text: s.Brand, Mono: true, Href: brandViewPath(s.Account, s.Brand)}, state, c.at(s.KnownTo), requery,
			{Links: []link{{Text: c.t("reconcile.title"), Href: "/reconcile?account=" + idText(s.Account) + "&brand=" + s.Brand}}}})
	}
	late := &grid{Caption: c.t("iys.owed"), Empty: c.t("iys.owed.none"), Heads: []string{c.t("message.to"), c.t("brand"), c.t("consent.status"), c.t("iys.received"), c.t("iys.deadline"), c.t("sync")}}
	for i := range owed {
		e := &owed[i]
		deadline := badge("warn", c.l.when(e.Deadline))
		if e.Late {
			deadline = badge("error", c.l.when(e.Deadline))
		}
		state := text(c.syncText(string(e.State)))
		state.Sub = e.Code
		late.Rows = append(late.Rows, []cell{mono(e.Address), mono(e.Brand), text(c.statusText(string(e.Status))), c.at(e.Received), deadline, state})
	}
	pg.Blocks = append(pg.Blocks, block{Title: c.t("iys.brands"), Table: t})
	pg.Blocks = append(append(pg.Blocks, c.rightsBlocks(states)...), block{Title: c.t("iys.owed"), Lead: c.t("iys.owed.lead"), Table: late})
	return c.show(pg)
}

// packageSoon is how long before the day on which a package is outgrown the panel warns.
const packageSoon = 60 * 24 * time.Hour

// packageBlock tells how an account stands towards its İYS package; nothing where nobody counts.
func (c *call) packageBlock(a gateway.AccountID) ([]block, error) {
	list, err := c.p.deps.Desk.Packages(c.ctx(), desk.Query{Account: a})
	if isCode(err, gateway.CodeUnavailable) {
		return nil, nil
	}
	if err != nil || len(list) == 0 {
		return nil, err
	}
	r := &list[0]
	used := card{Label: c.t("package.addresses"), Value: c.l.num(int64(r.Addresses)), Sub: c.t("package.kinds", c.l.num(int64(r.Phones)), c.l.num(int64(r.Emails)))}
	pack := card{Label: c.t("package.name"), Value: r.Package, Sub: c.t("package.unlimited")}
	if r.Limit > 0 {
		pack.Sub = c.t("package.limit", c.l.num(int64(r.Limit)))
	}
	if r.From == "count" {
		pack.Sub += " " + c.t("package.guessed")
	}
	day := card{Label: c.t("package.crosses"), Value: "–", Sub: c.t("package.crosses.sub")}
	switch {
	case r.Limit > 0 && !r.Exceed && r.Addresses >= r.Limit:
		used.Kind, day.Kind, day.Value = "error", "error", c.t("package.full")
	case !r.Crosses.IsZero():
		if day.Value = c.l.day(r.Crosses); r.Crosses.Sub(c.p.now()) < packageSoon {
			day.Kind = "warn"
		}
	}
	return []block{{Title: c.t("package.title"), Cards: []card{used, pack, day}}}, nil
}

// accountChooser is the form that changes the account a page is about; nothing when there is no choice.
func (c *call) accountChooser(list []gateway.Account, a gateway.AccountID, to string) []block {
	if len(list) < 2 {
		return nil
	}
	return []block{{Filter: &form{Action: to, Get: true, Submit: c.t("account.choose"), Kind: "plain", Fields: []field{c.accountField(list, a)}}}}
}

func (c *call) reconciled() error {
	a, brand, err := c.ownBrand()
	if err != nil {
		return err
	}
	days, err := c.p.deps.Desk.ListReconciledDays(c.ctx(), desk.DayQuery{Brand: brand})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("reconcile.title"), Lead: c.t("reconcile.lead"), Nav: "/iys", Up: &link{Text: c.t("iys.title"), Href: "/iys?account=" + idText(a)}}
	kinds := map[string]string{"agreed": "ok", "empty": "muted", "differs": "error", "waiting": "info", "no_right": "warn", "failed": "error"}
	t := &grid{Caption: c.t("reconcile.title"), Empty: c.t("reconcile.none"), Heads: []string{c.t("reconcile.day"), c.t("bind.state"), c.t("reconcile.rows"), c.t("reconcile.proof"), c.t("reconcile.plan")}}
	for i := range days {
		d := &days[i]
		result := string(d.Result)
		state := badge(firstNonEmpty(kinds[result], "muted"), c.t("reconcile."+firstKnown("reconcile.", result, "failed")))
		state.Sub = d.Note
		plan := cell{Text: "–"}
		if d.Plan != 0 {
			plan = cell{Text: strconv.FormatUint(d.Plan, 10), Href: planPath(a, d.Plan)}
		}
		t.Rows = append(t.Rows, []cell{mono(d.Date), state, c.num(int64(d.Rows)), c.yes(d.Proof), plan})
	}
	pg.Blocks = append(pg.Blocks, block{Title: brand, Table: t})
	return c.show(pg)
}

func planPath(a gateway.AccountID, id uint64) string {
	return "/reconcile/plan?account=" + idText(a) + "&plan=" + strconv.FormatUint(id, 10)
}

// planOf reads a plan whose brand belongs to the account chosen.
func (c *call) planOf() (a gateway.AccountID, p desk.PlanDetail, err error) {
	if _, a, err = c.chosen(); err != nil {
		return a, p, err
	}
	id, err := strconv.ParseUint(c.value("plan"), 10, 64)
	if err != nil {
		return a, p, gateway.Refuse(gateway.CodeNotFound, "plan", "")
	}
	if p, err = c.p.deps.Desk.RepairPlan(c.ctx(), desk.PlanQuery{ID: id, After: atoi(c.QueryParam("after")), Limit: pageRows}); err == nil {
		if c.brandBelongs(a, p.Plan.Brand) != nil {
			err = gateway.Refuse(gateway.CodeNotFound, "plan", "")
		}
	}
	return a, p, err
}

func (c *call) plan() error {
	a, d, err := c.planOf()
	if err != nil {
		return err
	}
	p := &d.Plan
	pg := page{Title: c.t("plan.title", p.Date), Nav: "/iys", Up: &link{Text: c.t("reconcile.title"), Href: "/reconcile?account=" + idText(a) + "&brand=" + p.Brand}}
	pg.Blocks = append(pg.Blocks, block{Facts: []fact{{c.t("brand"), mono(p.Brand)}, {c.t("bind.state"), text(c.t("plan." + firstKnown("plan.", string(p.State), "open")))},
		{c.t("plan.here"), c.num(int64(p.Here))}, {c.t("plan.there"), c.num(int64(p.There))}, {c.t("plan.different"), c.num(int64(p.Different))},
		{c.t("plan.review"), c.num(int64(p.Review))}, {c.t("plan.made"), c.at(p.Made)}}})
	t := &grid{Caption: c.t("plan.items"), Empty: c.t("dash.none"), Heads: []string{c.t("plan.number"), c.t("message.to"), c.t("plan.ours"), c.t("plan.theirs"), c.t("plan.action")}}
	for i := range d.Items {
		it := &d.Items[i]
		done := cell{Text: string(it.Action), Mono: true}
		if it.Done {
			done.Sub = c.t("plan.done")
		}
		t.Rows = append(t.Rows, []cell{c.num(int64(it.N)), mono(maskedOf(it.Key().Recipient)), text(firstNonEmpty(c.statusText(string(it.Ours.Status)), "–")),
			text(firstNonEmpty(c.statusText(string(it.Theirs.Status)), "–")), done})
	}
	if len(d.Items) == pageRows {
		t.Next = planPath(a, p.ID) + "&after=" + strconv.Itoa(d.Items[len(d.Items)-1].N)
	}
	pg.Blocks = append(pg.Blocks, block{Title: c.t("plan.items"), Table: t})
	if c.may(post, "/reconcile/plan") {
		acts := map[string][]string{"open": {"apply", "dismiss"}, "applied": {"undo"}}[string(p.State)]
		for _, act := range acts {
			pg.Blocks = append(pg.Blocks, block{Form: &form{Action: "/reconcile/plan", Submit: c.t("plan." + act), Kind: "plain", Fields: []field{
				{Name: "account", Kind: "hidden", Value: idText(a)}, {Name: "plan", Kind: "hidden", Value: strconv.FormatUint(p.ID, 10)}, {Name: "act", Kind: "hidden", Value: act}}}})
		}
	}
	return c.show(pg)
}

// changePlan applies, undoes or dismisses a plan, after a question that tells how many differences it concerns.
func (c *call) changePlan() error {
	a, d, err := c.planOf()
	if err != nil {
		return err
	}
	act := c.value("act")
	if !slices.Contains([]string{"apply", "undo", "dismiss"}, act) {
		return gateway.Refuse(gateway.CodeInvalid, "act", "")
	}
	n := d.Plan.Here + d.Plan.There + d.Plan.Different
	ok, err := c.confirmed(page{Nav: "/iys"}, c.l.n("plan."+act+".ask", n), c.t("plan."+act), planPath(a, d.Plan.ID), "account", "plan", "act")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.ChangePlan(c.ctx(), desk.PlanAct{ID: d.Plan.ID, Act: act}); err != nil {
		return err
	}
	return c.done(planPath(a, d.Plan.ID), "saved")
}

// evidence hands out everything about a message with its proof. The desk notes who asked.
func (c *call) evidence() error {
	d, err := c.messageOf()
	if err != nil {
		return err
	}
	b, err := c.p.deps.Desk.Evidence(c.ctx(), desk.EvidenceQuery{Message: d.Message.ID.String()})
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Disposition", `attachment; filename="evidence-`+d.Message.ID.String()+"-"+c.p.now().In(istanbul).Format(time.DateOnly)+`.json"`)
	return c.JSONPretty(200, b, "  ")
}
