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
)

// uploadsAtOnce bounds files being taken in at the same time.
const uploadsAtOnce = 4

func (c *call) importPage() error { return c.showImport(nil, nil) }

func (c *call) showImport(values map[string]string, fault error) error {
	list, a, err := c.chosen()
	if err != nil {
		return err
	}
	if a == 0 {
		return c.noAccounts(c.t("import.title"), "/consents/import")
	}
	pg := page{Title: c.t("import.title"), Lead: c.t("import.lead"), Nav: "/consents/import"}
	if len(list) > 1 {
		pg.Blocks = append(pg.Blocks, block{Filter: &form{Action: "/consents/import", Get: true, Submit: c.t("account.choose"), Kind: "plain", Fields: []field{c.accountField(list, a)}}})
	}
	brand, err := c.brandField(a, values["brand"], true)
	if err != nil {
		return err
	}
	if len(brand.Options) == 0 {
		pg.Blocks = append(pg.Blocks, block{Note: &note{Kind: "info", Text: c.t("brands.none")}})
		return c.show(pg)
	}
	f := form{Action: "/consents/import", Submit: c.t("import.submit"), Multipart: true, Fields: []field{
		{Name: "account", Kind: "hidden", Value: idText(a)}, brand,
		{Name: "channel", Label: c.t("channel"), Kind: "select", Value: values["channel"], Options: c.choices("channel.", "sms", "email")},
		{Name: "recipientType", Label: c.t("recipientType"), Kind: "select", Value: values["recipientType"], Options: c.choices("recipient.", gateway.RecipientIndividual, gateway.RecipientMerchant)},
		{Name: "mode", Label: c.t("import.mode"), Kind: "select", Value: values["mode"], Options: c.choices("import.mode.", "verify", "register"), Hint: c.t("import.mode.hint")},
		{Name: "dryRun", Label: c.t("import.dryRun"), Kind: "checkbox", Value: values["dryRun"], Hint: c.t("import.dryRun.hint")},
		{Name: "overQuota", Label: c.t("import.overQuota"), Kind: "checkbox", Value: values["overQuota"]},
		{Name: "file", Label: c.t("import.file"), Kind: "file", Required: true, Hint: c.t("import.file.hint", c.l.octets(uint64(c.p.cfg.MaxImport)))},
	}}
	return c.showForm(pg, f, fault)
}

// startImport takes a file in as it comes: it may be larger than memory. The fields stand before the file in the form, the
// token first of all.
func (c *call) startImport() error {
	select {
	case c.p.uploads <- struct{}{}:
		defer func() { <-c.p.uploads }()
	default:
		return gateway.Refuse(gateway.CodeUnavailable, "", "")
	}
	control := http.NewResponseController(c.Response())
	late := time.Now().Add(15 * time.Minute)
	_ = control.SetReadDeadline(late) // a recorder of a test has none
	_ = control.SetWriteDeadline(late)
	req := c.Request()
	req.Body = http.MaxBytesReader(c.Response(), req.Body, c.p.cfg.MaxImport+maxForm)
	parts, err := req.MultipartReader()
	if err != nil {
		return errForm // without parts there is no token either
	}
	values, file, err := c.fieldsBefore(parts)
	if err != nil {
		return tooLarge(err)
	}
	if c.p.deps.Imports == nil {
		return gateway.Refuse(gateway.CodeUnavailable, "", "")
	}
	a := gateway.AccountID(atoi(values["account"]))
	if err := c.sees(a); err != nil {
		return err
	}
	if err := c.brandBelongs(a, values["brand"]); err != nil {
		return c.showImport(values, err)
	}
	if file == nil || file.FileName() == "" {
		return c.showImport(values, &fault{field: "file", key: "import.file.missing"})
	}
	who := &gateway.Principal{Account: a, Credential: gateway.Credential{ID: c.actor(), Account: a, Scopes: []string{gateway.ScopeConsents}}}
	v, err := c.p.deps.Imports.StartImport(c.ctx(), who, gateway.ImportRequest{Brand: values["brand"], Channel: wireChannels[values["channel"]],
		RecipientType: values["recipientType"], Mode: values["mode"], File: file, Name: file.FileName(), DryRun: values["dryRun"] != "", OverQuota: values["overQuota"] != ""})
	if err != nil {
		return c.showImport(values, tooLarge(err))
	}
	if err := c.note("StartImport", "import "+v.ID+" of account "+idText(a), nil, map[string]string{"brand": v.Brand, "mode": v.Mode, "file": file.FileName()}); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/consents/import/"+v.ID+"?account="+idText(a))
}

func tooLarge(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return gateway.Refuse(gateway.CodeTooLarge, "file", "")
	}
	return err
}

// fieldsBefore reads the fields in front of the file. Nothing is believed before the token was.
func (c *call) fieldsBefore(parts *multipart.Reader) (map[string]string, *multipart.Part, error) {
	values := map[string]string{}
	for n := 0; n < 20; n++ {
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
	b := block{ID: id, Note: n, Cards: []card{{Label: c.t("import.rows"), Value: c.l.num(int64(v.Rows))}, {Label: c.t("import.good"), Value: c.l.num(int64(v.Good)), Kind: "ok"},
		{Label: c.t("import.bad"), Value: c.l.num(int64(v.Bad)), Kind: badKind(v.Bad)}}}
	if v.Mode == "verify" {
		b.Cards = append(b.Cards, card{Label: c.t("import.approved"), Value: c.l.num(int64(v.Approved)), Kind: "ok"})
	}
	pg.Blocks = append(pg.Blocks, b, block{Facts: []fact{{c.t("import.id"), mono(v.ID)}, {c.t("brand"), mono(v.Brand)}, {c.t("import.mode"), text(c.t("import.mode." + firstKnown("import.mode.", v.Mode, "verify")))},
		{c.t("message.created"), c.at(v.Created)}, {c.t("message.updated"), c.at(v.Updated)}}})
	if v.Bad > 0 && c.may(get, "/consents/import/:id/errors.csv") {
		pg.Blocks = append(pg.Blocks, block{Links: []link{{Text: c.t("import.errors"), Href: "/consents/import/" + v.ID + "/errors.csv?account=" + idText(a)}}})
	}
	if v.State == gateway.ImportRunning {
		pg.Blocks = append(pg.Blocks, block{Links: []link{{Text: c.t("reload"), Href: "/consents/import/" + v.ID + "?account=" + idText(a)}}})
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
	return c.p.deps.Imports.ImportErrors(c.ctx(), a, v.ID, c.Response())
}
