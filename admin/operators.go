package admin

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/desk"
)

func (c *call) operators() error {
	list, err := c.p.deps.Desk.ListOperators(c.ctx(), desk.Query{})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("operators.title"), Nav: "/operators"}
	if c.may(get, "/operators/edit") {
		pg.Actions = []link{{Text: c.t("operator.new"), Href: "/operators/edit", Kind: "primary"}}
	}
	s, _, _ := c.p.live.view(c.Request().Context())
	t := &grid{Caption: c.t("operators.title"), Empty: c.t("dash.operators.none"), Heads: []string{c.t("operator.name"), c.t("operator.addr"), c.t("operator.systemId"), c.t("bind.state"), c.t("bind.window"), c.t("acts")}}
	for i := range list {
		o := &list[i]
		acts := cell{}
		if c.may(post, "/operators/edit") {
			acts.Links = []link{{Text: c.t("edit"), Href: "/operators/edit?name=" + o.Name}}
			acts.Forms = append(acts.Forms, c.drainForm(o))
		}
		acts.Forms = append(acts.Forms, c.deleteButton("/operators/delete", "/operators/delete", field{Name: "name", Kind: "hidden", Value: o.Name})...)
		t.Rows = append(t.Rows, []cell{text(o.Name), mono(o.Addr), mono(o.SystemID), c.operatorState(o, &s), text(strconv.Itoa(o.SegmentRoom()) + " × " + numberOr(o.Binds, "1")), acts})
	}
	pg.Blocks = []block{{Table: t}, c.binds(&s, c.p.now())}
	return c.show(pg)
}

func (c *call) drainForm(o *gateway.Operator) form {
	key, to := "operator.drain", "yes"
	if o.Disabled {
		key, to = "operator.enable", "no"
	}
	return form{Action: "/operators/drain", Submit: c.t(key), Kind: "plain", Fields: []field{{Name: "name", Kind: "hidden", Value: o.Name}, {Name: "disabled", Kind: "hidden", Value: to}}}
}

func (c *call) operatorState(o *gateway.Operator, s *Snapshot) cell {
	if o.Disabled {
		return badge("muted", c.t("operator.disabled"))
	}
	up, all := 0, 0
	for i := range s.Operators {
		if s.Operators[i].Operator == o.Name {
			all++
			if s.Operators[i].Up {
				up++
			}
		}
	}
	switch {
	case all == 0:
		return badge("muted", c.t("bind.unknown"))
	case up == 0:
		return badge("error", c.t("bind.down"))
	case up < all:
		return badge("warn", c.t("bind.some", up, all))
	}
	return badge("ok", c.t("bind.up"))
}

func (c *call) operatorForm(o *gateway.Operator, fresh bool) form {
	seconds := func(d time.Duration) string {
		if d == 0 {
			return ""
		}
		return strconv.Itoa(int(d / time.Second))
	}
	f := form{Action: "/operators/edit", Submit: c.t("save"), Cancel: "/operators"}
	if fresh {
		f.Fields = []field{{Name: "fresh", Kind: "hidden", Value: "yes"}, {Name: "name", Label: c.t("operator.name"), Value: o.Name, Required: true, Max: 32, Hint: c.t("slug.hint")}}
	} else {
		f.Fields = []field{{Name: "name", Kind: "hidden", Value: o.Name}, {Name: "shown", Label: c.t("operator.name"), Kind: "static", Value: o.Name}}
	}
	f.Fields = append(f.Fields,
		field{Name: "addr", Label: c.t("operator.addr"), Value: o.Addr, Required: true, Max: 260, Hint: c.t("operator.addr.hint")},
		field{Name: "tls", Label: c.t("operator.tls"), Kind: "checkbox", Value: set(o.TLS)},
		field{Name: "tlsInsecure", Label: c.t("operator.tlsInsecure"), Kind: "checkbox", Value: set(o.TLSInsecure), Hint: c.t("operator.tlsInsecure.hint")},
		field{Name: "systemId", Label: c.t("operator.systemId"), Value: o.SystemID, Required: true, Max: 64, Complete: "off"},
		field{Name: "password", Label: c.t("operator.password"), Kind: "password", Max: 64, Complete: "new-password", Hint: c.t("operator.password.hint")},
		field{Name: "systemType", Label: c.t("operator.systemType"), Value: o.SystemType, Max: 12},
		field{Name: "bindType", Label: c.t("operator.bindType"), Kind: "select", Value: firstNonEmpty(o.BindType, "trx"), Options: []option{{Value: "trx", Text: "transceiver"}, {Value: "tx+rx", Text: "transmitter + receiver"}}},
		field{Name: "binds", Label: c.t("operator.binds"), Value: numberOr(o.Binds, ""), Mode: "numeric", Max: 2},
		field{Name: "window", Label: c.t("operator.window"), Value: numberOr(o.Window, ""), Mode: "numeric", Max: 5, Hint: c.t("operator.window.hint")},
		field{Name: "perSecond", Label: c.t("operator.perSecond"), Value: numberOr(o.PerSecond, ""), Mode: "numeric", Max: 6},
		field{Name: "alphabet", Label: c.t("operator.alphabet"), Kind: "select", Value: firstNonEmpty(o.Alphabet, "gsm7"), Options: []option{{Value: "gsm7", Text: "GSM 7-bit"}, {Value: "packed", Text: "GSM 7-bit (packed)"}}},
		field{Name: "national", Label: c.t("operator.national"), Kind: "checkbox", Value: set(o.National)},
		field{Name: "noReceipts", Label: c.t("operator.noReceipts"), Kind: "checkbox", Value: set(o.NoReceipts)},
		field{Name: "idForm", Label: c.t("operator.idForm"), Value: o.IDForm, Max: 40, Hint: c.t("operator.idForm.hint")},
		field{Name: "suffix", Label: c.t("operator.suffix"), Value: numberOr(o.Suffix, ""), Mode: "numeric", Max: 2},
		field{Name: "responseTimeout", Label: c.t("operator.responseTimeout"), Value: seconds(o.ResponseTimeout), Mode: "numeric", Max: 4},
		field{Name: "enquireLink", Label: c.t("operator.enquireLink"), Value: seconds(o.EnquireLink), Mode: "numeric", Max: 4},
	)
	return f
}

func (c *call) operatorNamed(name string) (gateway.Operator, error) {
	list, err := c.p.deps.Desk.ListOperators(c.ctx(), desk.Query{})
	for _, o := range list {
		if o.Name == name {
			return o, err
		}
	}
	if err == nil {
		err = gateway.Refuse(gateway.CodeNotFound, "name", "")
	}
	return gateway.Operator{}, err
}

func (c *call) upTo(title, up, to string) page {
	return page{Title: c.t(title), Nav: to, Up: &link{Text: c.t(up), Href: to}}
}

func (c *call) operatorPage() error {
	var o gateway.Operator
	name := c.QueryParam("name")
	if name != "" {
		var err error
		if o, err = c.operatorNamed(name); err != nil {
			return err
		}
	}
	return c.showForm(c.upTo("operator.title", "operators.title", "/operators"), c.operatorForm(&o, name == ""), nil)
}

func (c *call) putOperator() error {
	fresh := c.value("fresh") == "yes"
	w := whole{c: c}
	o := gateway.Operator{Name: c.value("name"), Addr: c.value("addr"), TLS: c.checked("tls"), TLSInsecure: c.checked("tlsInsecure"), SystemID: c.value("systemId"),
		SystemType: c.value("systemType"), BindType: c.value("bindType"), Binds: w.read("binds"), Window: w.read("window"), PerSecond: w.read("perSecond"),
		NoReceipts: c.checked("noReceipts"), IDForm: c.value("idForm"), National: c.checked("national"), Alphabet: c.value("alphabet"), Suffix: w.read("suffix"),
		ResponseTimeout: time.Duration(w.read("responseTimeout")) * time.Second, EnquireLink: time.Duration(w.read("enquireLink")) * time.Second}
	before, err := c.operatorNamed(o.Name)
	switch {
	case fresh && err == nil:
		err = gateway.Refuse(gateway.CodeConflict, "name", "There is an operator %q already.", o.Name)
	case fresh && isCode(err, gateway.CodeNotFound):
		err = nil
	case err != nil:
		return err
	}
	o.Disabled = before.Disabled
	if err = firstError(err, w.err); err == nil {
		if _, err = c.p.deps.Desk.PutOperator(c.ctx(), desk.OperatorInput{Operator: o, Password: c.FormValue("password")}); err == nil {
			return c.done("/operators", "saved")
		}
	}
	f := c.operatorForm(&o, fresh)
	keepTyped(c, &f)
	return c.showForm(c.upTo("operator.title", "operators.title", "/operators"), f, err)
}

// drainOperator takes an operator out of use: what is open is answered, then it unbinds. Enabling brings it back.
func (c *call) drainOperator() error {
	o, err := c.operatorNamed(c.value("name"))
	if err != nil {
		return err
	}
	off := c.value("disabled") == "yes"
	if off {
		ok, err := c.confirmed(page{Nav: "/operators"}, c.t("operator.drain.ask", o.Name), c.t("operator.drain"), "/operators", "name", "disabled")
		if !ok {
			return err
		}
	}
	o.Disabled = off
	if _, err := c.p.deps.Desk.PutOperator(c.ctx(), desk.OperatorInput{Operator: o}); err != nil {
		return err
	}
	return c.done("/operators", "saved")
}

func (c *call) deleteOperator() error {
	name := c.value("name")
	ok, err := c.confirmed(page{Nav: "/operators"}, c.t("operator.delete.ask", name), c.t("delete"), "/operators", "name")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.DeleteOperator(c.ctx(), desk.Name{Name: name}); err != nil {
		return err
	}
	return c.done("/operators", "deleted")
}

func (c *call) routesPage() error { return c.showRoutes(nil, nil) }

func (c *call) showRoutes(path *desk.Path, fault error) error {
	list, err := c.p.deps.Desk.ListRoutes(c.ctx(), desk.Query{})
	if err != nil {
		return err
	}
	pg := page{Title: c.t("routes.title"), Lead: c.t("routes.lead"), Nav: "/routes"}
	if c.may(get, "/routes/edit") {
		pg.Actions = []link{{Text: c.t("route.new"), Href: "/routes/edit", Kind: "primary"}}
	}
	t := &grid{Caption: c.t("routes.title"), Empty: c.t("routes.none"), Heads: []string{c.t("route.id"), c.t("account"), c.t("message.class"), c.t("route.prefix"), c.t("route.operators"), c.t("acts")}}
	for i := range list {
		r := &list[i]
		account, class := c.t("any"), c.t("any")
		if r.Account != 0 {
			account = idText(r.Account)
		}
		if r.Class != "" {
			class = c.t("class." + r.Class)
		}
		t.Rows = append(t.Rows, []cell{mono(r.ID), text(account), text(class), mono(firstNonEmpty(r.Prefix, "–")), text(stepsText(r.Operators, ", ")),
			{Links: c.editButton("/routes/edit", "/routes/edit?id="+r.ID), Forms: c.deleteButton("/routes/delete", "/routes/delete", field{Name: "id", Kind: "hidden", Value: r.ID})}})
	}
	pg.Blocks = []block{{Table: t}}
	accounts, err := c.visible()
	if err != nil {
		return err
	}
	f := form{Action: "/routes/try", Submit: c.t("try.submit"), Kind: "plain", Fields: []field{c.accountField(accounts, 0),
		{Name: "class", Label: c.t("message.class"), Kind: "select", Value: c.value("class"), Options: c.choices("class.", allClasses...)},
		{Name: "address", Label: c.t("try.address"), Required: true, Max: 320, Complete: "off"}}}
	f.Fields[0].Value = c.value("account")
	if fault != nil {
		_, pg.status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	pg.Blocks = append(pg.Blocks, block{Title: c.t("try.title"), Lead: c.t("try.lead"), Form: &f})
	if path != nil {
		pg.Blocks = append(pg.Blocks, c.pathBlocks(path)...)
	}
	return c.show(pg)
}

// stepsText writes the operators of a route as they are typed: name, weight and rank.
func stepsText(list []gateway.RouteStep, sep string) string {
	var out []string
	for _, s := range list {
		w := s.Operator
		if s.Weight > 1 || s.Rank > 0 {
			w += fmt.Sprintf(" %d", max(s.Weight, 1))
		}
		if s.Rank > 0 {
			w += fmt.Sprintf(" %d", s.Rank)
		}
		out = append(out, w)
	}
	return strings.Join(out, sep)
}

// readSteps reads one operator a line: name, weight (1), rank (0).
func readSteps(s string) (out []gateway.RouteStep, err error) {
	for l := range strings.Lines(s) {
		w := strings.Fields(l)
		if len(w) == 0 {
			continue
		}
		step := gateway.RouteStep{Operator: w[0]}
		for i, to := range []*int{&step.Weight, &step.Rank} {
			if len(w) > i+1 {
				if *to, err = strconv.Atoi(w[i+1]); err != nil {
					return nil, gateway.Refuse(gateway.CodeInvalid, "operators", "%q is not a number.", w[i+1])
				}
			}
		}
		if len(w) > 3 {
			return nil, gateway.Refuse(gateway.CodeInvalid, "operators", "%q: write an operator's name, its weight and its rank.", strings.TrimSpace(l))
		}
		out = append(out, step)
	}
	return out, nil
}

// pathBlocks tells where a message would go, and which routes did not fit.
func (c *call) pathBlocks(p *desk.Path) []block {
	n := &note{Kind: "error", Text: c.t("try.none", address.Mask(p.Address))}
	if p.Route != nil {
		n = &note{Kind: "ok", Text: c.t("try.found", address.Mask(p.Address), p.Route.ID, c.t("class."+p.Lane))}
	}
	steps := &grid{Caption: c.t("try.steps"), Empty: c.t("try.nosteps"), Heads: []string{c.t("operator"), c.t("route.rank"), c.t("share"), c.t("bind.state")}}
	for _, s := range p.Steps {
		state := badge("ok", c.t("operator.enabled"))
		if s.Disabled {
			state = badge("muted", c.t("operator.disabled"))
		}
		steps.Rows = append(steps.Rows, []cell{text(s.Operator), c.num(int64(s.Rank)), {Text: c.t("percent", c.l.num(int64(s.Share))), Num: true}, state})
	}
	out := []block{{Title: c.t("try.result"), Note: n, Table: steps}}
	if len(p.Passed) > 0 {
		t := &grid{Caption: c.t("try.passed"), Heads: []string{c.t("route.id"), c.t("try.why")}}
		for _, x := range p.Passed {
			t.Rows = append(t.Rows, []cell{mono(x.ID), text(x.Why)})
		}
		out = append(out, block{Title: c.t("try.passed"), Table: t})
	}
	return out
}

func (c *call) tryRoute() error {
	n, err := strconv.ParseUint(c.value("account"), 10, 32)
	if err != nil {
		return c.showRoutes(nil, gateway.Refuse(gateway.CodeNotFound, "account", ""))
	}
	path, err := c.p.deps.Desk.TryRoute(c.ctx(), desk.Trial{Account: gateway.AccountID(n), Class: c.value("class"), Address: c.value("address")})
	if err != nil {
		return c.showRoutes(nil, err)
	}
	return c.showRoutes(&path, nil)
}

func (c *call) routeForm(r *gateway.Route, fresh bool) (form, error) {
	list, err := c.visible()
	account := c.accountField(list, r.Account)
	account.Kind, account.Label = "select", c.t("account")
	account.Options = []option{{Value: "0", Text: c.t("any")}}
	for _, a := range list {
		account.Options = append(account.Options, option{Value: idText(a.ID), Text: a.Name + " (" + idText(a.ID) + ")"})
	}
	account.Value = idText(r.Account)
	f := form{Action: "/routes/edit", Submit: c.t("save"), Cancel: "/routes"}
	if fresh {
		f.Fields = []field{{Name: "id", Label: c.t("route.id"), Value: r.ID, Required: true, Max: 32, Hint: c.t("slug.hint")}}
	} else {
		f.Fields = []field{{Name: "id", Kind: "hidden", Value: r.ID}, {Name: "shown", Label: c.t("route.id"), Kind: "static", Value: r.ID}}
	}
	f.Fields = append(f.Fields, account,
		field{Name: "class", Label: c.t("message.class"), Kind: "select", Value: r.Class, Options: append([]option{{Text: c.t("any")}}, c.choices("class.", allClasses...)...)},
		field{Name: "prefix", Label: c.t("route.prefix"), Value: r.Prefix, Max: 16, Hint: c.t("route.prefix.hint")},
		field{Name: "operators", Label: c.t("route.operators"), Kind: "textarea", Value: stepsText(r.Operators, "\n"), Required: true, Hint: c.t("route.operators.hint")})
	return f, err
}

func (c *call) routePage() error {
	var r gateway.Route
	id := c.QueryParam("id")
	if id != "" {
		list, err := c.p.deps.Desk.ListRoutes(c.ctx(), desk.Query{})
		if err != nil {
			return err
		}
		for _, x := range list {
			if x.ID == id {
				r = x
			}
		}
		if r.ID == "" {
			return gateway.Refuse(gateway.CodeNotFound, "id", "")
		}
	}
	f, err := c.routeForm(&r, id == "")
	if err != nil {
		return err
	}
	return c.showForm(c.upTo("route.title", "routes.title", "/routes"), f, nil)
}

func (c *call) putRoute() error {
	r := gateway.Route{ID: c.value("id"), Class: c.value("class"), Prefix: c.value("prefix")}
	n, err := strconv.ParseUint(firstNonEmpty(c.value("account"), "0"), 10, 32)
	if err != nil {
		err = gateway.Refuse(gateway.CodeNotFound, "account", "")
	}
	r.Account = gateway.AccountID(n)
	var serr error
	r.Operators, serr = readSteps(c.FormValue("operators"))
	if err = firstError(err, serr); err == nil {
		if _, err = c.p.deps.Desk.PutRoute(c.ctx(), r); err == nil {
			return c.done("/routes", "saved")
		}
	}
	f, ferr := c.routeForm(&r, true)
	if ferr != nil {
		return ferr
	}
	keepTyped(c, &f)
	return c.showForm(c.upTo("route.title", "routes.title", "/routes"), f, err)
}

func (c *call) deleteRoute() error {
	id := c.value("id")
	ok, err := c.confirmed(page{Nav: "/routes"}, c.t("route.delete.ask", id), c.t("delete"), "/routes", "id")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.DeleteRoute(c.ctx(), desk.Name{Name: id}); err != nil {
		return err
	}
	return c.done("/routes", "deleted")
}
