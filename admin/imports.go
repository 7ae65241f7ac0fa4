package admin

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"izinli/gateway"
	"izinli/gateway/httpserve"
)

func (c *call) importPage() error {
	_, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("import.title"), "/consents/import")
	}
	return c.showImport(a, nil, nil)
}

// showImport is the form of an account, which the caller names: the fields of an upload are not where [call.chosen] looks, and the
// account chosen last may be that of another tab.
func (c *call) showImport(a gateway.AccountID, values map[string]string, fault error) error {
	list, err := c.visible()
	if err != nil {
		return err
	}
	pg := page{Title: c.t("import.title"), Lead: c.t("import.lead"), Nav: "/consents/import", Blocks: c.accountChooser(list, a, "/consents/import")}
	brand, err := c.brandField(a, values["brand"], true)
	if err != nil {
		return err
	}
	if len(brand.Options) == 0 {
		pg.Blocks = append(pg.Blocks, block{Note: &note{Kind: "info", Text: c.t("brands.none")}})
		return c.show(pg)
	}
	pack, err := c.packageBlock(a)
	if err != nil {
		return err
	}
	pg.Blocks = append(pg.Blocks, pack...)
	f := form{Action: "/consents/import", Submit: c.t("import.submit"), Multipart: true, Fields: append([]field{
		{Name: "account", Kind: "hidden", Value: idText(a)}, brand,
		{Name: "channel", Label: c.t("channel"), Kind: "select", Value: values["channel"], Options: c.choices("channel.", "sms", "email")},
		{Name: "recipientType", Label: c.t("recipientType"), Kind: "select", Value: values["recipientType"], Options: c.choices("recipient.", gateway.RecipientIndividual, gateway.RecipientMerchant)},
		{Name: "mode", Label: c.t("import.mode"), Kind: "select", Value: values["mode"], Options: c.choices("import.mode.", "verify", "register"), Hint: c.t("import.mode.hint")},
		{Name: "dryRun", Label: c.t("import.dryRun"), Kind: "checkbox", Value: values["dryRun"], Hint: c.t("import.dryRun.hint")},
		{Name: "overQuota", Label: c.t("import.overQuota"), Kind: "checkbox", Value: values["overQuota"]},
	}, append(c.importDefaults(values), // the file comes last: what stands before it is read first
		field{Name: "file", Label: c.t("import.file"), Kind: "file", Required: true, Hint: c.t("import.file.hint", c.l.octets(uint64(c.p.cfg.MaxImport)))})...)}
	if fault != nil {
		_, pg.status = refusalOf(fault)
		c.refuse(&f, fault)
	}
	pg.Blocks = append(pg.Blocks, block{Form: &f})
	recent, err := c.recentImports(a)
	if err != nil {
		return err
	}
	pg.Blocks = append(pg.Blocks, recent...)
	return c.show(pg)
}

// importDefaults are the fields for what a file does not say by itself.
func (c *call) importDefaults(values map[string]string) []field {
	none := []option{{Text: c.t("import.byFile")}}
	return []field{
		{Name: "status", Label: c.t("consent.status"), Kind: "select", Value: values["status"], Options: append(none, c.choices("status.", "ONAY", "RET")...), Hint: c.t("import.defaults.hint")},
		{Name: "source", Label: c.t("consent.source"), Kind: "select", Value: values["source"], Options: append(none, c.choices("source.", consentSources...)...)},
		{Name: "consentDate", Label: c.t("consent.date"), Kind: "datetime-local", Value: values["consentDate"]},
		{Name: "retailerCode", Label: c.t("import.retailer"), Value: values["retailerCode"], Max: 8, Mode: "numeric"},
		{Name: "encoding", Label: c.t("import.encoding"), Kind: "select", Value: values["encoding"], Options: []option{{Text: c.t("import.detect")}, {Value: "utf-8", Text: "UTF-8"}, {Value: "windows-1254", Text: "windows-1254"}}},
		{Name: "delimiter", Label: c.t("import.delimiter"), Kind: "select", Value: values["delimiter"], Options: append([]option{{Text: c.t("import.detect")}},
			option{Value: ";", Text: "; "}, option{Value: ",", Text: ", "}, option{Value: "|", Text: "| "}, option{Value: "tab", Text: c.t("import.tab")})},
	}
}

// readDefaults reads them back.
func readDefaults(values map[string]string) (d gateway.ImportDefaults, err error) {
	d = gateway.ImportDefaults{Status: values["status"], Source: values["source"]}
	if s := values["consentDate"]; s != "" {
		at, err := readMoment(s)
		if err != nil {
			return d, &fault{field: "consentDate", key: "consent.date.bad"}
		}
		d.ConsentDate = at.Format(time.DateTime)
	}
	if s := values["retailerCode"]; s != "" {
		if d.RetailerCode, err = strconv.Atoi(s); err != nil || d.RetailerCode < 1 {
			return d, &fault{field: "retailerCode", key: "import.retailer.bad"}
		}
	}
	return d, nil
}

// recentImports lists what was uploaded before, so that nobody has to remember an id.
func (c *call) recentImports(a gateway.AccountID) ([]block, error) {
	if c.p.deps.Imports == nil {
		return nil, nil
	}
	found, err := c.p.deps.Imports.ListImports(c.ctx(), a, c.QueryParam("cursor"), pageRows)
	if err != nil {
		return nil, err
	}
	t := &grid{Caption: c.t("import.recent"), Empty: c.t("import.recent.none"), Heads: []string{c.t("message.created"), c.t("import.file"), c.t("brand"), c.t("import.mode"), c.t("bind.state"), c.t("import.rows"), c.t("import.bad")}}
	for i := range found.Items {
		v := &found.Items[i]
		at := c.at(v.Created)
		at.Href = importPath(a, v.ID)
		mode := text(c.t("import.mode.short." + firstKnown("import.mode.short.", v.Mode, "verify")))
		if v.DryRun {
			mode.Sub = c.t("import.dryRun")
		}
		t.Rows = append(t.Rows, []cell{at, text(firstNonEmpty(v.Name, "–")), mono(v.Brand), mode, c.importState(v), c.num(int64(v.Rows)), c.num(int64(v.Bad))})
	}
	if found.Next != "" {
		t.Next = "/consents/import?account=" + idText(a) + "&cursor=" + found.Next
	}
	return []block{{Title: c.t("import.recent"), Table: t}}, nil
}

func importPath(a gateway.AccountID, id string) string {
	return "/consents/import/" + id + "?account=" + idText(a)
}

// importState is how far an import has come.
func (c *call) importState(v *gateway.ImportView) cell {
	switch v.State {
	case gateway.ImportDone:
		return badge("ok", c.t("import.state.done"))
	case gateway.ImportFailed:
		return badge("error", c.t("import.state.failed"))
	}
	x := badge("info", c.t("import.state.running"))
	x.Sub = c.t("import.percent", c.l.num(int64(v.Progress)))
	return x
}

// startImport takes a file in as it comes: it may be larger than memory. The fields stand before the file in the form, the
// token first of all; they come in as any form has to, and only when they are in order the file may take its time. How many files
// come in at once is the service's business: one of an account.
func (c *call) startImport() error {
	req := c.Request()
	whole := http.MaxBytesReader(c.Response(), req.Body, c.p.cfg.MaxImport+maxForm)
	body := &struct{ io.Reader }{http.MaxBytesReader(c.Response(), whole, maxForm)}
	req.Body = io.NopCloser(body) // the server closes its own
	parts, err := req.MultipartReader()
	if err != nil {
		return errForm // without parts there is no token either
	}
	values, file, err := c.fieldsBefore(parts)
	if err != nil {
		return badUpload(err)
	}
	if c.p.deps.Imports == nil {
		return gateway.Refuse(gateway.CodeUnavailable, "", "")
	}
	a := gateway.AccountID(atoi(values["account"]))
	if err := c.sees(a); err != nil {
		return err
	}
	c.p.sessions.choose(c.sess, a)
	if err := c.brandBelongs(a, values["brand"]); err != nil {
		return c.showImport(a, values, err)
	}
	if file == nil || file.FileName() == "" {
		return c.showImport(a, values, &fault{field: "file", key: "import.file.missing"})
	}
	def, err := readDefaults(values)
	if err != nil {
		return c.showImport(a, values, err)
	}
	body.Reader = httpserve.Files.Reader(c.Response(), whole)
	who := &gateway.Principal{Account: a, Credential: gateway.Credential{ID: c.actor(), Account: a, Scopes: []string{gateway.ScopeConsents}}}
	v, err := c.p.deps.Imports.StartImport(c.ctx(), who, gateway.ImportRequest{Brand: values["brand"], Channel: wireChannels[values["channel"]],
		RecipientType: values["recipientType"], Mode: values["mode"], File: file, Name: file.FileName(), DryRun: values["dryRun"] != "", OverQuota: values["overQuota"] != "",
		Defaults: def, Encoding: values["encoding"], Delimiter: values["delimiter"]})
	if err != nil {
		return c.showImport(a, values, badUpload(err))
	}
	if err := c.note("StartImport", "import "+v.ID+" of account "+idText(a), nil, map[string]string{"brand": v.Brand, "mode": v.Mode, "file": file.FileName()}); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, importPath(a, v.ID))
}

// badUpload names what ended an upload.
func badUpload(err error) error {
	if errors.Is(err, httpserve.ErrSlow) {
		return &fault{field: "file", key: "import.file.slow"}
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return gateway.Refuse(gateway.CodeTooLarge, "file", "")
	}
	return err
}

// fieldsBefore reads the fields in front of the file. Nothing is believed before the token was.
func (c *call) fieldsBefore(parts *multipart.Reader) (map[string]string, *multipart.Part, error) {
	values := map[string]string{}
	for n := 0; n < 30; n++ {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, &gateway.Error{Code: gateway.CodeMalformed, Text: gateway.CodeMalformed.Wire().Title, Err: err}
		}
		if part.FormName() == "file" {
			return values, part, c.checkToken(values[csrfField])
		}
		b, err := io.ReadAll(io.LimitReader(part, 4096))
		if err != nil {
			return nil, nil, err
		}
		values[part.FormName()] = strings.TrimSpace(string(b))
	}
	return values, nil, c.checkToken(values[csrfField])
}

// importOf reads the account of an import, which stands in the query: an id alone names none.
func (c *call) importOf() (a gateway.AccountID, v gateway.ImportView, err error) {
	n, perr := strconv.ParseUint(c.QueryParam("account"), 10, 32)
	if perr != nil {
		return 0, v, gateway.Refuse(gateway.CodeNotFound, "account", "")
	}
	a = gateway.AccountID(n)
	if err := c.sees(a); err != nil {
		return a, v, err
	}
	if c.p.deps.Imports == nil {
		return a, v, gateway.Refuse(gateway.CodeUnavailable, "", "")
	}
	v, err = c.p.deps.Imports.Import(c.ctx(), a, c.Param("id"))
	return a, v, err
}

func (c *call) importStatus() error {
	a, v, err := c.importOf()
	if err != nil {
		return err
	}
	pg := c.upTo("import.one", "import.title", "/consents/import")
	pg.Up.Href += "?account=" + idText(a)
	n := map[string]*note{
		gateway.ImportRunning: {Kind: "info", Text: c.l.n("import.running", v.Rows)},
		gateway.ImportDone:    {Kind: "ok", Text: c.l.n("import.done", v.Rows)},
		gateway.ImportFailed:  {Kind: "error", Text: c.t("import.failed"), Detail: v.Error},
	}[v.State]
	id := ""
	if v.State == gateway.ImportRunning {
		id = "running" // the script looks again
	}
	if v.State == gateway.ImportRunning && v.Error != "" {
		n.Detail = v.Error // why it does not move
	}
	b := block{ID: id, Note: n, Cards: []card{{Label: c.t("import.progress"), Value: c.t("import.percent", c.l.num(int64(v.Progress)))}, {Label: c.t("import.rows"), Value: c.l.num(int64(v.Rows))}, {Label: c.t("import.good"), Value: c.l.num(int64(v.Good)), Kind: "ok"},
		{Label: c.t("import.bad"), Value: c.l.num(int64(v.Bad)), Kind: badKind(v.Bad)}}}
	if v.Mode == "verify" {
		b.Cards = append(b.Cards, card{Label: c.t("import.approved"), Value: c.l.num(int64(v.Approved)), Kind: "ok"})
	} else {
		b.Cards = append(b.Cards, card{Label: c.t("import.known"), Value: c.l.num(int64(v.Known)), Sub: c.t("import.known.sub")})
	}
	pg.Blocks = append(pg.Blocks, b, block{Facts: []fact{{c.t("import.id"), mono(v.ID)}, {c.t("import.file"), text(firstNonEmpty(v.Name, "–"))}, {c.t("import.dryRun"), c.yes(v.DryRun)}, {c.t("brand"), mono(v.Brand)}, {c.t("import.mode"), text(c.t("import.mode." + firstKnown("import.mode.", v.Mode, "verify")))},
		{c.t("message.created"), c.at(v.Created)}, {c.t("message.updated"), c.at(v.Updated)}}})
	if v.Bad > 0 && c.may(get, "/consents/import/:id/errors.csv") {
		pg.Blocks = append(pg.Blocks, block{Links: []link{{Text: c.t("import.errors"), Href: "/consents/import/" + v.ID + "/errors.csv?account=" + idText(a)}}})
	}
	if v.State == gateway.ImportRunning {
		pg.Blocks = append(pg.Blocks, block{Links: []link{{Text: c.t("reload"), Href: importPath(a, v.ID)}}})
	}
	return c.show(pg)
}

func badKind(n int) string {
	if n > 0 {
		return "warn"
	}
	return ""
}

// importErrors gives the refused rows back, in the form of the file they came from.
func (c *call) importErrors() error {
	a, v, err := c.importOf()
	if err != nil {
		return err
	}
	if err := c.note("ExportImportErrors", "import "+v.ID+" of account "+idText(a), nil, nil); err != nil {
		return err // the file holds whole addresses
	}
	h := c.Response().Header()
	h.Set("Content-Type", gateway.ImportMedia[v.Format])
	h.Set("Content-Disposition", `attachment; filename="errors.`+v.Format+`"`)
	return c.p.deps.Imports.ImportErrors(c.ctx(), a, v.ID, httpserve.Files.Writer(c.Response()))
}
