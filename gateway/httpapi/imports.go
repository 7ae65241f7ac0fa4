package httpapi

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"izinli/gateway"
	"izinli/gateway/httpserve"
)

// importSettings are what can be said of a file, in the query or in a form.
var importSettings = []string{"brand", "channel", "recipientType", "mode", "name", "status", "source", "consentDate", "retailerCode",
	"encoding", "delimiter", "dryRun", "overQuota"}

// startImport is POST /v1/consents/import: the file as text/csv, text/plain or XLSX with its settings in the query, or
// multipart/form-data with the settings as fields before the file, which is passed on as it arrives.
func (a *API) startImport(c *call) error {
	q, err := query(c, importSettings...)
	if err != nil {
		return err
	}
	req := c.Request()
	if req.ContentLength > a.cfg.MaxImport {
		return &http.MaxBytesError{Limit: a.cfg.MaxImport}
	}
	body := httpserve.Files.Reader(c.Response(), http.MaxBytesReader(c.Response(), req.Body, a.cfg.MaxImport))
	kind, params, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	switch {
	case err == nil && (kind == "text/csv" || kind == gateway.ImportMedia[gateway.FormatXLSX]):
		return a.importFile(c, q, body)
	case err == nil && kind == "text/plain":
		if q["name"] == "" {
			q["name"] = "upload.txt" // what the file is called tells text from CSV
		}
		return a.importFile(c, q, body)
	case err == nil && kind == "multipart/form-data" && params["boundary"] != "":
		return a.importForm(c, q, multipart.NewReader(body, params["boundary"]))
	}
	return unsupported("text/csv, text/plain, " + gateway.ImportMedia[gateway.FormatXLSX] + " or multipart/form-data")
}

// importForm reads fields until the file comes.
func (a *API) importForm(c *call, q map[string]string, form *multipart.Reader) error {
	for {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return gateway.Refuse(gateway.CodeInvalid, "file", "The form has no file.")
		}
		if err != nil {
			return formError(err)
		}
		name := part.FormName()
		if name == "file" {
			if q["name"] == "" {
				q["name"] = limitRunes(part.FileName(), 200)
			}
			return a.importFile(c, q, part)
		}
		if !slices.Contains(importSettings, name) {
			return gateway.Refuse(gateway.CodeUnknownField, limitRunes(name, 64), "There is no such field.")
		}
		if q[name] != "" {
			return gateway.Refuse(gateway.CodeInvalid, name, "The field is given twice.")
		}
		v, err := io.ReadAll(io.LimitReader(part, maxShort+1))
		if err != nil {
			return formError(err)
		}
		if len(v) > maxShort {
			return gateway.Refuse(gateway.CodeInvalid, name, "The field takes at most %d octets.", maxShort)
		}
		q[name] = string(v)
	}
}

func formError(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) || errors.Is(err, httpserve.ErrSlow) {
		return err
	}
	return &gateway.Error{Code: gateway.CodeMalformed, Text: "The form could not be read.", Err: err}
}

func (a *API) importFile(c *call, q map[string]string, file io.Reader) error {
	r := gateway.ImportRequest{Brand: first(q["brand"], c.p.Credential.Brand), RecipientType: first(q["recipientType"], gateway.RecipientIndividual),
		Mode: q["mode"], Name: q["name"], File: file, Encoding: strings.ToLower(q["encoding"]), Delimiter: q["delimiter"],
		Defaults: gateway.ImportDefaults{Status: q["status"], Source: q["source"], ConsentDate: q["consentDate"]}}
	if r.Brand == "" {
		return gateway.Refuse(gateway.CodeInvalid, "brand", "The field is required.")
	}
	if r.Mode != "verify" && r.Mode != "register" {
		return gateway.Refuse(gateway.CodeInvalid, "mode", "The field must be verify (already at İYS) or register (to be written there).")
	}
	if r.RecipientType != gateway.RecipientIndividual && r.RecipientType != gateway.RecipientMerchant {
		return gateway.Refuse(gateway.CodeInvalid, "recipientType", "The field must be BIREYSEL or TACIR.")
	}
	for name, to := range map[string]*bool{"dryRun": &r.DryRun, "overQuota": &r.OverQuota} {
		switch q[name] {
		case "", "false":
		case "true":
			*to = true
		default:
			return gateway.Refuse(gateway.CodeInvalid, name, "The field must be true or false.")
		}
	}
	if s := q["retailerCode"]; s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxRetailer {
			return gateway.Refuse(gateway.CodeInvalid, "retailerCode", "The field takes a number of up to eight digits.")
		}
		r.Defaults.RetailerCode = n
	}
	if r.Channel = wireChannel(q["channel"]); r.Channel != "MESAJ" && r.Channel != "EPOSTA" {
		return gateway.Refuse(gateway.CodeInvalid, "channel", gateway.ImportChannels)
	}
	v, err := a.deps.Imports.StartImport(c.Request().Context(), c.p, r)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", "/v1/imports/"+v.ID)
	return c.JSON(http.StatusAccepted, v)
}

// namedID refuses what no import and no question is called, so that services get harmless names only.
func namedID(c *call) (string, error) {
	id := c.Param("id")
	if id == "" || len(id) > 64 {
		return "", notFound()
	}
	for i := range len(id) {
		if b := id[i]; !isAlnum(b) && b != '-' && b != '_' {
			return "", notFound()
		}
	}
	return id, nil
}

// listImports is GET /v1/imports.
func (a *API) listImports(c *call) error {
	cursor, limit, err := paging(c)
	if err != nil {
		return err
	}
	page, err := a.deps.Imports.ListImports(c.Request().Context(), c.p.Account, cursor, limit)
	page.Items = filled(page.Items)
	return answer(c, page, err)
}

func (a *API) getImport(c *call) error {
	id, err := namedID(c)
	if err != nil {
		return err
	}
	v, err := a.deps.Imports.Import(c.Request().Context(), c.p.Account, id)
	return answer(c, v, err)
}

// importMedia is the media type of refused rows.
func importMedia(format string) string {
	if format == gateway.FormatXLSX {
		return gateway.ImportMedia[format]
	}
	return gateway.ImportMedia[format] + "; charset=utf-8"
}

// getImportErrors streams the refused rows. The headers go out with the first octet, so an early refusal is still a problem
// document.
func (a *API) getImportErrors(c *call) error {
	id, err := namedID(c)
	if err != nil {
		return err
	}
	v, err := a.deps.Imports.Import(c.Request().Context(), c.p.Account, id)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Type", importMedia(v.Format))
	h.Set("Content-Disposition", `attachment; filename="import-`+id+`-errors.`+v.Format+`"`)
	if err := a.deps.Imports.ImportErrors(c.Request().Context(), c.p.Account, id, httpserve.Files.Writer(c.Response())); err != nil {
		if c.Response().Committed {
			// Half a file must not look whole: drop the connection (the log has the line below).
			a.log.Warn("import errors cut short", "request_id", c.Get(keyRequestID), "err", err)
			panic(http.ErrAbortHandler)
		}
		return err
	}
	if !c.Response().Committed {
		c.Response().WriteHeader(http.StatusOK)
	}
	return nil
}
