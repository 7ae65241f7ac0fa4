package admin

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"izinli/gateway"
	"izinli/gateway/desk"
)

func (c *call) credentialsOf(a gateway.AccountID) ([]gateway.Credential, error) {
	return c.p.deps.Desk.ListCredentials(c.ctx(), desk.Query{Account: a})
}

func (c *call) credentialList(a gateway.AccountID) (block, error) {
	list, err := c.credentialsOf(a)
	to := accountPath(a) + "/credential"
	b := block{Title: c.t("credentials.title"), Links: c.newButton("/accounts/:id/credential", to, "credential.new")}
	b.Table = &grid{Caption: c.t("credentials.title"), Empty: c.t("credentials.none"), Heads: []string{c.t("credential.kind"), c.t("credential.id"), c.t("credential.classes"),
		c.t("credential.cidrs"), c.t("credential.state"), c.t("acts")}}
	for i := range list {
		x := &list[i]
		state, acts := badge("ok", c.t("credential.active")), cell{}
		if x.Revoked {
			state = badge("muted", c.t("credential.revoked"))
		} else if c.may(post, "/accounts/:id/credential") {
			q := url.Values{"kind": {string(x.Kind)}, "cid": {x.ID}}
			acts.Links = c.editButton("/accounts/:id/credential", to+"?"+q.Encode())
			key := []field{{Name: "kind", Kind: "hidden", Value: string(x.Kind)}, {Name: "cid", Kind: "hidden", Value: x.ID}}
			acts.Forms = []form{{Action: to + "/rotate", Submit: c.t("credential.rotate"), Kind: "plain", Fields: key}, {Action: to + "/revoke", Submit: c.t("credential.revoke"), Kind: "plain", Fields: key}}
		}
		b.Table.Rows = append(b.Table.Rows, []cell{text(c.t("kind." + string(x.Kind))), {Text: x.ID, Mono: true, Sub: x.Name}, text(c.classes(x.Classes)),
			text(firstNonEmpty(cidrText(x.CIDRs, ", "), c.t("credential.anywhere"))), state, acts})
	}
	return b, err
}

func (c *call) classes(list []string) string {
	if len(list) == 0 {
		list = []string{gateway.ClassCommercial}
	}
	var out []string
	for _, s := range list {
		out = append(out, c.t("class."+s))
	}
	return strings.Join(out, ", ")
}

func cidrText(list []netip.Prefix, sep string) string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return strings.Join(out, sep)
}

// readCIDRs reads networks and single addresses, one a line or parted by commas.
func readCIDRs(name, s string) (out []netip.Prefix, err error) {
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,;\r\n\t", r) }) {
		if a, err := netip.ParseAddr(w); err == nil {
			out = append(out, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(w)
		if err != nil {
			return nil, gateway.Refuse(gateway.CodeInvalid, name, "%q is neither an address nor a network such as 192.0.2.0/24.", w)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

var allClasses = []string{gateway.ClassCommercial, gateway.ClassTransactional, gateway.ClassOTP}

// classesFor are the classes the user may give a credential that has some already: an owner gives none away, since the class decides
// whether İYS is asked at all. The desk holds him to it.
func (c *call) classesFor(had []string) []string {
	if c.grants() {
		return allClasses
	}
	return slices.DeleteFunc(slices.Clone(allClasses), func(s string) bool { return s != gateway.ClassCommercial && !slices.Contains(had, s) })
}

// classFields say what a credential sends; had are the classes it has been given so far.
func (c *call) classFields(x *gateway.Credential, had []string) []field {
	classes, all, hint := x.Classes, c.classesFor(had), "credential.classes.hint"
	if len(classes) == 0 {
		classes = []string{gateway.ClassCommercial}
	}
	if !c.grants() {
		hint = "credential.classes.own"
	}
	out := []field{{Name: "classes", Label: c.t("credential.classes"), Kind: "checks", Values: classes, Options: c.choices("class.", all...), Hint: c.t(hint)},
		{Name: "defaultClass", Label: c.t("credential.defaultClass"), Kind: "select", Value: x.DefaultClass, Options: append([]option{{Text: "–"}}, c.choices("class.", all...)...)}}
	if slices.Contains(all, gateway.ClassTransactional) {
		out = append(out, field{Name: "reason", Label: c.t("credential.reason"), Kind: "select", Value: x.Reason, Options: append([]option{{Text: "–"}}, c.choices("reason.", gateway.Reasons...)...), Hint: c.t("credential.reason.hint")})
	}
	return out
}

// credentialForm is the form of a credential as it was typed; had are the classes it has been given so far.
func (c *call) credentialForm(x *gateway.Credential, fresh bool, had []string) (form, error) {
	brand, err := c.brandField(x.Account, x.Brand, false)
	brand.Label = c.t("credential.brand")
	f := form{Action: accountPath(x.Account) + "/credential", Submit: c.t("save"), Cancel: accountPath(x.Account)}
	if fresh {
		f.Submit = c.t("credential.create")
		f.Fields = []field{{Name: "fresh", Kind: "hidden", Value: "yes"},
			{Name: "kind", Label: c.t("credential.kind"), Kind: "select", Value: string(x.Kind), Options: c.choices("kind.", "api", "smpp", "smtp")},
			{Name: "id", Label: c.t("credential.id"), Value: x.ID, Max: 64, Hint: c.t("credential.id.hint"), Complete: "off"}}
	} else {
		f.Fields = []field{{Name: "kind", Kind: "hidden", Value: string(x.Kind)}, {Name: "id", Kind: "hidden", Value: x.ID},
			{Name: "shown", Label: c.t("kind." + string(x.Kind)), Kind: "static", Value: x.ID}}
	}
	f.Fields = append(f.Fields, field{Name: "name", Label: c.t("credential.name"), Value: x.Name, Max: 120})
	f.Fields = append(f.Fields, c.classFields(x, had)...)
	f.Fields = append(f.Fields,
		field{Name: "scopes", Label: c.t("credential.scopes"), Kind: "checks", Values: x.Scopes, Options: c.choices("scope.", "send", "read", "consents", "webhooks"), Hint: c.t("credential.scopes.hint")},
		brand,
		field{Name: "from", Label: c.t("credential.from"), Value: x.From, Max: 64},
		field{Name: "recipientType", Label: c.t("credential.recipientType"), Kind: "select", Value: firstNonEmpty(x.RecipientType, gateway.RecipientIndividual), Options: c.choices("recipient.", gateway.RecipientIndividual, gateway.RecipientMerchant)},
		field{Name: "cidrs", Label: c.t("credential.cidrs"), Kind: "textarea", Value: cidrText(x.CIDRs, "\n"), Hint: c.t("cidrs.hint")},
	)
	if fresh || x.Kind == gateway.KindSMPP {
		f.Fields = append(f.Fields,
			field{Name: "inline", Label: c.t("credential.inline"), Kind: "checkbox", Value: set(x.Inline), Hint: c.t("credential.smpp")},
			field{Name: "maxBinds", Label: c.t("credential.maxBinds"), Value: numberOr(x.MaxBinds, ""), Mode: "numeric", Max: 4},
			field{Name: "window", Label: c.t("credential.window"), Value: numberOr(x.Window, ""), Mode: "numeric", Max: 5},
			field{Name: "perSecond", Label: c.t("credential.perSecond"), Value: numberOr(x.PerSecond, ""), Mode: "numeric", Max: 6})
	}
	return f, err
}

func (c *call) credentialPage() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	x, fresh := gateway.Credential{Account: a.ID, Kind: gateway.KindAPI}, true
	if id := c.QueryParam("cid"); id != "" {
		fresh = false
		if x, err = c.oneCredential(a.ID, c.QueryParam("kind"), id); err != nil {
			return err
		}
	}
	f, err := c.credentialForm(&x, fresh, x.Classes)
	if err != nil {
		return err
	}
	return c.showForm(c.identityPage(&a, "credential.title"), f, nil)
}

// oneCredential finds a credential of the account; another account's does not exist.
func (c *call) oneCredential(a gateway.AccountID, kind, id string) (gateway.Credential, error) {
	list, err := c.credentialsOf(a)
	for _, x := range list {
		if string(x.Kind) == kind && x.ID == id && x.Account == a {
			return x, err
		}
	}
	if err == nil {
		err = gateway.Refuse(gateway.CodeNotFound, "credential", "")
	}
	return gateway.Credential{}, err
}

func (c *call) readCredential(a gateway.AccountID) (x gateway.Credential, err error) {
	w := whole{c: c}
	x = gateway.Credential{Account: a, Kind: gateway.CredentialKind(c.value("kind")), ID: c.value("id"), Name: c.value("name"),
		Classes: c.list("classes", allClasses), DefaultClass: c.value("defaultClass"), Reason: c.value("reason"),
		Scopes: c.list("scopes", []string{"send", "read", "consents", "webhooks"}), Brand: c.value("brand"), From: c.value("from"), RecipientType: c.value("recipientType"),
		Inline: c.checked("inline"), MaxBinds: w.read("maxBinds"), Window: w.read("window"), PerSecond: w.read("perSecond")}
	x.CIDRs, err = readCIDRs("cidrs", c.value("cidrs"))
	return x, firstError(w.err, err)
}

// list reads the ticked boxes of a name, in the order of all.
func (c *call) list(name string, all []string) (out []string) {
	_ = c.FormValue(name) // parses the form
	for _, s := range all {
		if slices.Contains(c.Request().Form[name], s) {
			out = append(out, s)
		}
	}
	return out
}

func (c *call) putCredential() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	fresh := c.value("fresh") == "yes"
	x, err := c.readCredential(a.ID)
	var before gateway.Credential
	if !fresh {
		var gone error
		if before, gone = c.oneCredential(a.ID, string(x.Kind), x.ID); gone != nil {
			return gone
		}
	}
	if err == nil && !fresh {
		x.Retailer = before.Retailer // what the form does not show it does not take away
		if x.Kind != gateway.KindSMPP {
			x.PerSecond = before.PerSecond
		}
		if _, err = c.p.deps.Desk.ChangeCredential(c.ctx(), x); err == nil {
			return c.done(accountPath(a.ID), "saved")
		}
	} else if err == nil {
		var made desk.Issued
		if made, err = c.p.deps.Desk.CreateCredential(c.ctx(), desk.NewCredential{Credential: x}); err == nil {
			return c.showSecret(&a, &made)
		}
	}
	f, ferr := c.credentialForm(&x, fresh, before.Classes)
	if ferr != nil {
		return ferr
	}
	keepTyped(c, &f)
	return c.showForm(c.identityPage(&a, "credential.title"), f, err)
}

// showSecret shows a new secret, the one time it exists outside the store.
func (c *call) showSecret(a *gateway.Account, made *desk.Issued) error {
	pg := c.identityPage(a, "credential.made")
	pg.Blocks = []block{{Note: &note{Kind: "warn", Text: c.t("credential.once")},
		Facts:   []fact{{c.t("kind." + string(made.Credential.Kind)), mono(made.Credential.ID)}},
		Secrets: []secret{{Label: c.t("credential.secret"), Value: made.Secret}},
		Links:   []link{{Text: c.t("credential.stored"), Href: accountPath(a.ID), Kind: "primary"}}}}
	return c.show(pg)
}

func (c *call) rotateCredential() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	x, err := c.oneCredential(a.ID, c.value("kind"), c.value("cid"))
	if err != nil {
		return err
	}
	ok, err := c.confirmed(c.identityPage(&a, "credential.rotate"), c.t("credential.rotate.ask", x.ID), c.t("credential.rotate"), accountPath(a.ID), "kind", "cid")
	if !ok {
		return err
	}
	made, err := c.p.deps.Desk.RotateCredential(c.ctx(), desk.Rotation{Kind: x.Kind, ID: x.ID})
	if err != nil {
		return err
	}
	return c.showSecret(&a, &made)
}

func (c *call) revokeCredential() error {
	a, err := c.accountOf()
	if err != nil {
		return err
	}
	x, err := c.oneCredential(a.ID, c.value("kind"), c.value("cid"))
	if err != nil {
		return err
	}
	ok, err := c.confirmed(c.identityPage(&a, "credential.revoke"), c.t("credential.revoke.ask", x.ID), c.t("credential.revoke"), accountPath(a.ID), "kind", "cid")
	if !ok {
		return err
	}
	if _, err := c.p.deps.Desk.RevokeCredential(c.ctx(), gateway.CredentialKey{Kind: x.Kind, ID: x.ID}); err != nil {
		return err
	}
	return c.done(accountPath(a.ID), "credential.gone", x.ID)
}
