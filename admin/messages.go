package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"izinli/gateway"
	"izinli/gateway/address"
	"izinli/gateway/desk"
)

const pageRows = 50

// chosen returns the accounts a user sees and the one the page is about: the one asked for, the last one, or the first.
func (c *call) chosen() ([]gateway.Account, gateway.AccountID, error) {
	list, err := c.visible()
	if err != nil {
		return nil, 0, err
	}
	asked := gateway.AccountID(0)
	if s := c.value("account"); s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return nil, 0, gateway.Refuse(gateway.CodeNotFound, "account", "")
		}
		asked = gateway.AccountID(n)
		if err := c.sees(asked); err != nil {
			return nil, 0, err
		}
	}
	id := c.p.sessions.choose(c.sess, asked)
	for _, a := range list {
		if a.ID == id {
			return list, id, nil
		}
	}
	if len(list) == 0 || asked != 0 {
		return list, asked, nil
	}
	return list, list[0].ID, nil
}

// accountField chooses the account; hidden when there is no choice.
func (c *call) accountField(list []gateway.Account, id gateway.AccountID) field {
	if len(list) == 1 {
		return field{Name: "account", Kind: "hidden", Value: idText(id)}
	}
	return c.accountSelect(list, id)
}

func (c *call) accountSelect(list []gateway.Account, id gateway.AccountID) field {
	f := field{Name: "account", Label: c.t("account"), Kind: "select", Value: idText(id)}
	for _, a := range list {
		f.Options = append(f.Options, option{Value: idText(a.ID), Text: a.Name + " (" + idText(a.ID) + ")"})
	}
	return f
}

func idText(a gateway.AccountID) string { return strconv.FormatUint(uint64(a), 10) }

func accountPath(a gateway.AccountID) string { return "/accounts/" + idText(a) }

// noAccounts is a page before there is anything to show.
func (c *call) noAccounts(title, nav string) error {
	b := block{Note: &note{Kind: "info", Text: c.t("account.none")}}
	if c.may(get, "/accounts/edit") {
		b.Links = []link{{Text: c.t("account.new"), Href: "/accounts/edit", Kind: "primary"}}
	}
	return c.show(page{Title: title, Nav: nav, Blocks: []block{b}})
}

// filterStates are the states a list can be narrowed to.
var filterStates = []gateway.State{gateway.StateScheduled, gateway.StateHeld, gateway.StateQueued, gateway.StateSent, gateway.StateDelivered,
	gateway.StateUndelivered, gateway.StateExpired, gateway.StateRejected, gateway.StateUnknown, gateway.StateDropped,
	gateway.StateCancelled, gateway.StateFailed}

func (c *call) stateField(set string) field {
	f := field{Name: "state", Label: c.t("message.state"), Kind: "select", Value: set, Options: []option{{Text: c.t("any")}}}
	for _, s := range filterStates {
		f.Options = append(f.Options, option{Value: s.String(), Text: c.t("state." + s.String())})
	}
	return f
}

// messageQuery reads what a list is narrowed to; an address comes hidden.
func (c *call) messageQuery(account gateway.AccountID) (q desk.MessageQuery, hidden string, err error) {
	q = desk.MessageQuery{Account: account, State: c.value("state"), Cursor: c.QueryParam("cursor"), Limit: pageRows}
	if hidden = c.QueryParam("to"); hidden != "" {
		to, ok := c.p.unhide(c.user.Name, hidden)
		if !ok {
			return q, "", gateway.Refuse(gateway.CodeNotFound, "to", "")
		}
		q.To = to
	}
	if s := c.QueryParam("batch"); s != "" {
		ref, err := gateway.ParseBatchRef(s)
		if err != nil || ref.Account != account {
			return q, "", gateway.Refuse(gateway.CodeNotFound, "batch", "")
		}
		q.Batch = ref
	}
	return q, hidden, nil
}

func (c *call) messages() error {
	list, account, err := c.chosen()
	if err != nil {
		return err
	}
	if account == 0 {
		return c.noAccounts(c.t("messages.title"), "/messages")
	}
	q, hidden, err := c.messageQuery(account)
	if err != nil {
		return err
	}
	found, err := c.p.deps.Desk.ListMessages(c.ctx(), q)
	if err != nil {
		return err
	}
	keep := url.Values{"account": {idText(account)}}
	for k, v := range map[string]string{"state": q.State, "to": hidden, "batch": c.QueryParam("batch")} {
		if v != "" {
			keep.Set(k, v)
		}
	}
	pg := page{Title: c.t("messages.title"), Nav: "/messages"}
	if c.may(get, "/messages.csv") {
		pg.Actions = []link{{Text: c.t("csv"), Href: "/messages.csv?" + keep.Encode()}}
	}
	pg.Blocks = append(pg.Blocks, block{Filter: c.findForm(list, account, "", q.State)})
	switch {
	case q.To != "":
		pg.Blocks = append(pg.Blocks, block{Note: &note{Kind: "info", Text: c.t("messages.to", address.Mask(q.To))}, Links: []link{{Text: c.t("messages.all"), Href: "/messages?account=" + idText(account)}}})
	case q.Batch != (gateway.BatchRef{}):
		pg.Blocks = append(pg.Blocks, block{Note: &note{Kind: "info", Text: c.t("messages.batch", q.Batch.String())}, Links: []link{{Text: c.t("batch.open"), Href: "/batches/" + q.Batch.String()}}})
	}
	t := c.messageTable(found.Items)
	if found.Next != "" {
		keep.Set("cursor", found.Next)
		t.Next = "/messages?" + keep.Encode()
	}
	pg.Blocks = append(pg.Blocks, block{Table: t})
	return c.show(pg)
}

func (c *call) findForm(list []gateway.Account, account gateway.AccountID, what, state string) *form {
	return &form{Action: "/messages/find", Submit: c.t("find"), Fields: []field{c.accountField(list, account),
		{Name: "what", Label: c.t("messages.what"), Value: what, Max: 320, Complete: "off"}, c.stateField(state)}}
}

func (c *call) messageTable(list []gateway.MessageView) *grid {
	t := &grid{Caption: c.t("messages.title"), Empty: c.t("messages.none"), Heads: []string{c.t("message.created"), c.t("message.to"),
		c.t("message.from"), c.t("message.class"), c.t("message.state"), c.t("message.reason")}}
	for i := range list {
		m := &list[i]
		t.Rows = append(t.Rows, []cell{{Text: c.l.when(m.Created), At: m.Created, Href: "/messages/" + m.ID.String()}, {Text: address.Mask(m.To), Mono: true, Sub: m.Ref}, text(m.From),
			text(c.t("class." + m.Class)), c.state(m.State), text(firstNonEmpty(c.reasonOf(m), "–"))})
	}
	return t
}

// findMessages turns what was typed into an address that holds no address: an id leads to its message or batch, an e-mail
// address or number to a list of what went there.
func (c *call) findMessages() error {
	list, account, err := c.chosen()
	if err != nil {
		return err
	}
	what := c.value("what")
	if id, err := gateway.ParseMessageID(what); err == nil {
		return c.Redirect(http.StatusSeeOther, "/messages/"+id.String())
	}
	if ref, err := gateway.ParseBatchRef(what); err == nil {
		return c.Redirect(http.StatusSeeOther, "/batches/"+ref.String())
	}
	keep := url.Values{"account": {idText(account)}}
	if s := c.value("state"); s != "" {
		keep.Set("state", s)
	}
	if what != "" {
		to, err := recipient(what)
		if err != nil {
			f := c.findForm(list, account, what, c.value("state"))
			c.refuse(f, &fault{field: "what", key: "messages.what.bad"})
			return c.show(page{Title: c.t("messages.title"), Nav: "/messages", status: http.StatusUnprocessableEntity, Blocks: []block{{Filter: f}}})
		}
		keep.Set("to", c.p.hide(c.user.Name, to))
	}
	return c.Redirect(http.StatusSeeOther, "/messages?"+keep.Encode())
}

// recipient reads an address as a person writes it.
func recipient(s string) (string, error) {
	if strings.Contains(s, "@") {
		m, err := address.ParseMailbox(s)
		return string(m), err
	}
	n, err := address.Parse(s, address.Options{})
	return n.String(), err
}

// messageOf reads the message in the path, of an account the user sees.
func (c *call) messageOf() (d desk.MessageDetail, err error) {
	id, err := gateway.ParseMessageID(c.Param("id"))
	if err != nil {
		return d, gateway.Refuse(gateway.CodeNotFound, "id", "")
	}
	if err := c.sees(id.Account); err != nil {
		return d, err
	}
	return c.p.deps.Desk.Message(c.ctx(), desk.Name{Name: id.String()})
}

func (c *call) message() error {
	d, err := c.messageOf()
	if err != nil {
		return err
	}
	return c.showMessage(&d, address.Mask(d.Message.To), nil)
}

// showMessage shows a message with its address as given, masked or not.
func (c *call) showMessage(d *desk.MessageDetail, to string, fault error) error {
	m := &d.Message
	pg := page{Title: c.t("message.title"), Nav: "/messages", Up: &link{Text: c.t("messages.title"), Href: "/messages?account=" + idText(m.ID.Account)}}
	pg.Blocks = append(pg.Blocks, block{Note: c.explain(d)}, block{Facts: c.messageFacts(m, to)})
	if c.may(post, "/messages/:id/cancel") && m.State.Waiting() {
		pg.Blocks = append(pg.Blocks, block{Form: &form{Action: "/messages/" + m.ID.String() + "/cancel", Submit: c.t("message.cancel"), Kind: "danger"}})
	}
	if len(m.Segments) > 0 {
		t := &grid{Caption: c.t("segments.title"), Heads: []string{c.t("segment"), c.t("message.state"), c.t("segment.id"), c.t("segment.error")}}
		for i, s := range m.Segments {
			t.Rows = append(t.Rows, []cell{c.num(int64(i + 1)), c.state(s.State), mono(firstNonEmpty(s.OperatorID, "–")), text(firstNonEmpty(s.Error, "–"))})
		}
		pg.Blocks = append(pg.Blocks, block{Title: c.t("segments.title"), Table: t})
	}
	if len(m.Timeline) > 0 {
		b := block{Title: c.t("timeline.title")}
		for _, x := range m.Timeline {
			b.Timeline = append(b.Timeline, event{When: c.l.when(x.At), At: x.At, Title: c.t("state." + x.State.String()), Text: c.reason(m.Channel, x.Code), Sub: x.Note, Kind: stateKind(x.State)})
		}
		pg.Blocks = append(pg.Blocks, b)
	}
	b := block{Title: c.t("decisions.title"), Lead: c.t("decisions.lead")}
	for i := range d.Decisions {
		b.Timeline = append(b.Timeline, c.decisionEvent(m.Channel, &d.Decisions[i]))
	}
	pg.Blocks = append(pg.Blocks, b)
	if c.may(post, "/messages/:id/evidence") {
		pg.Blocks = append(pg.Blocks, block{Title: c.t("evidence.title"), Lead: c.t("evidence.lead"), Form: &form{Action: "/messages/" + m.ID.String() + "/evidence", Submit: c.t("evidence.submit"), Kind: "plain"}})
	}
	if c.may(post, "/messages/:id/reveal") && to != m.To {
		pg.Blocks = append(pg.Blocks, c.revealBlock(m, fault))
	}
	if fault != nil {
		_, pg.status = refusalOf(fault)
	}
	return c.show(pg)
}

func (c *call) messageFacts(m *gateway.MessageView, to string) []fact {
	list := []fact{
		{c.t("message.id"), mono(m.ID.String())}, {c.t("message.batch"), cell{Text: m.Batch.String(), Mono: true, Href: "/batches/" + m.Batch.String()}},
		{c.t("message.state"), c.state(m.State)}, {c.t("message.to"), mono(to)}, {c.t("message.from"), text(m.From)},
		{c.t("channel"), text(c.t("channel." + m.Channel))}, {c.t("message.class"), text(c.t("class." + m.Class))},
	}
	add := func(key string, v cell, when bool) {
		if when {
			list = append(list, fact{c.t(key), v})
		}
	}
	add("brand", text(m.Brand), m.Brand != "")
	add("message.ref", mono(m.Ref), m.Ref != "")
	add("message.parts", text(c.l.num(int64(m.Parts))+" · "+m.Encoding), m.Parts > 0)
	add("message.attempts", text(c.l.num(int64(m.Attempts))), m.Attempts > 0)
	add("operator", text(m.Operator), m.Operator != "")
	add("message.created", c.at(m.Created), true)
	add("message.sendAt", c.at(m.SendAt), !m.SendAt.Equal(m.Created))
	add("message.validUntil", c.at(m.ValidUntil), true)
	add("message.nextAt", c.at(m.NextAt), !m.NextAt.IsZero())
	add("message.updated", c.at(m.Updated), !m.Updated.IsZero())
	return list
}

// revealBlock asks for the reason for which the whole address is shown.
func (c *call) revealBlock(m *gateway.MessageView, fault error) block {
	f := form{Action: "/messages/" + m.ID.String() + "/reveal", Submit: c.t("reveal.submit"), Kind: "plain",
		Fields: []field{{Name: "reason", Label: c.t("reveal.reason"), Hint: c.t("reveal.hint"), Required: true, Max: 200}}}
	if fault != nil {
		c.refuse(&f, fault)
	}
	return block{Title: c.t("reveal.title"), Form: &f}
}

const minReason = 5 // characters

// reveal shows the whole address, after the reason stands in the trail.
func (c *call) reveal() error {
	d, err := c.messageOf()
	if err != nil {
		return err
	}
	reason := c.value("reason")
	if n := utf8.RuneCountInString(reason); n < minReason || n > 200 {
		return c.showMessage(&d, address.Mask(d.Message.To), &fault{field: "reason", key: "reveal.short"})
	}
	if err := c.note("Reveal", "message "+d.Message.ID.String(), nil, map[string]string{"reason": reason}); err != nil {
		return err
	}
	return c.showMessage(&d, d.Message.To, nil)
}

func (c *call) cancelMessage() error {
	d, err := c.messageOf()
	if err != nil {
		return err
	}
	to := "/messages/" + d.Message.ID.String()
	ok, err := c.confirmed(page{Nav: "/messages"}, c.t("message.cancel.ask", address.Mask(d.Message.To)), c.t("message.cancel"), to)
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.CancelMessage(c.ctx(), desk.Name{Name: d.Message.ID.String()}); err != nil {
		return err
	}
	return c.done(to, "message.cancelled")
}

// messagesCSV writes the list as a file, addresses masked.
func (c *call) messagesCSV() error {
	_, account, err := c.chosen()
	if err != nil {
		return err
	}
	if account == 0 {
		return gateway.Refuse(gateway.CodeNotFound, "account", "")
	}
	q, _, err := c.messageQuery(account)
	if err != nil {
		return err
	}
	q.Limit = 500
	head := []string{"id", "batch", "created", "to", "from", "channel", "class", "brand", "state", "code", "operator", "parts", "ref"}
	return c.csv("messages.csv", head, func(write func(...string)) (string, error) {
		found, err := c.p.deps.Desk.ListMessages(c.ctx(), q)
		for i := range found.Items {
			m := &found.Items[i]
			write(m.ID.String(), m.Batch.String(), csvTime(m.Created), address.Mask(m.To), m.From, m.Channel, m.Class, m.Brand, m.State.String(),
				string(m.Code), m.Operator, strconv.Itoa(m.Parts), m.Ref)
		}
		q.Cursor = found.Next
		return found.Next, err
	})
}
