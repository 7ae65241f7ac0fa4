package httpapi

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"izinli/gateway"
)

const (
	maxConsents     = 5000     // of one POST /v1/consents
	maxConsentsBody = 4 << 20  // octets: some 800 a consent
	maxSmallBody    = 64 << 10 // octets of the other bodies
	maxEvidence     = 4000     // octets
	maxRetailer     = 99999999 // a retailer code has eight digits
	maxAccess       = 5000     // retailer codes that are read of one consent; İYS takes 3000 and says H126 to more
	iysTimeLayout   = time.DateTime
)

// istanbul is the zone in which a time without an offset is read: İYS's own form has none (iys-api.md §5.1).
var istanbul = time.FixedZone("+03", 3*60*60)

// consentItem is one consent of a request: as read, or why it was not.
type consentItem struct {
	consent gateway.Consent
	refused *gateway.ConsentResult
}

// consentsAnswer is the answer to POST /v1/consents.
type consentsAnswer struct {
	Taken   int                     `json:"taken"`
	Refused int                     `json:"refused"`
	Results []gateway.ConsentResult `json:"results"`
}

// addConsents is POST /v1/consents. What is wrong with one item is said in its result and harms no other; only what is not
// of the documented form refuses the request.
func (a *API) addConsents(c *call) error {
	var items []consentItem
	err := readBody(c, maxConsentsBody, func(body []byte) error {
		return readJSON(body, func(r *reader) error {
			return r.object(func(name string) error {
				if name != "consents" {
					return r.unknown(name)
				}
				return r.array(func() error {
					if len(items) >= maxConsents {
						return gateway.Refuse(gateway.CodeTooManyRecipients, "consents", "One request takes at most %d consents.", maxConsents)
					}
					item, err := readConsent(r, len(items), &c.p.Credential)
					items = append(items, item)
					return err
				})
			})
		})
	})
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return gateway.Refuse(gateway.CodeInvalid, "consents", "The field must list 1 to %d consents.", maxConsents)
	}
	out, err := a.addItems(c, items)
	return answer(c, out, err)
}

// addItems hands the readable items on and puts the results back in the caller's order.
func (a *API) addItems(c *call, items []consentItem) (consentsAnswer, error) {
	good := make([]gateway.Consent, 0, len(items))
	at := make([]int, 0, len(items)) // good[i] is items[at[i]]
	out := consentsAnswer{Results: make([]gateway.ConsentResult, len(items))}
	for i, it := range items {
		if it.refused != nil {
			out.Results[i] = *it.refused
			continue
		}
		good, at = append(good, it.consent), append(at, i)
	}
	if len(good) > 0 {
		results, err := a.deps.ConsentDesk.Add(c.Request().Context(), c.p, good)
		if err != nil {
			return out, err
		}
		for i := range at {
			res := gateway.ConsentResult{Code: gateway.CodeInternal} // a desk that forgot one has not taken it
			if i < len(results) {
				res = results[i]
			}
			res.Index = at[i]
			out.Results[at[i]] = res
		}
	}
	for i := range out.Results {
		if out.Results[i].Code == "" {
			out.Taken++
		} else {
			out.Refused++
		}
	}
	return out, nil
}

func readConsent(r *reader, index int, cred *gateway.Credential) (consentItem, error) {
	it := consentItem{consent: gateway.Consent{Brand: cred.Brand, RecipientType: gateway.RecipientIndividual}}
	k := &it.consent
	err := r.object(func(name string) (err error) {
		switch name {
		case "brand":
			err = r.keep(&k.Brand, maxShort)
		case "channel":
			if err = r.keep(&k.Channel, maxShort); err == nil {
				k.Channel = wireChannel(k.Channel)
			}
		case "recipient":
			err = r.keep(&k.Address, maxShort)
		case "recipientType":
			err = r.keep(&k.RecipientType, maxShort)
		case "status":
			err = r.keep(&k.Status, maxShort)
		case "source":
			err = r.keep(&k.Source, maxShort)
		case "consentDate":
			var s string
			if s, err = r.short(maxShort); err == nil && s != "" {
				var code string
				if k.ConsentDate, code = consentDate(s); code != "" {
					it.refused = badDate(index, code)
				}
			}
		case "retailerCode":
			k.RetailerCode, err = r.integer(maxRetailer)
		case "retailerAccess":
			if k.RetailerAccess, err = r.retailers(); err == nil && k.RetailerAccess != nil && len(k.RetailerAccess) == 0 {
				it.refused = &gateway.ConsentResult{Index: index, Code: gateway.CodeInvalid, IYS: "H163", Field: name,
					Text: "retailerAccess must name a dealer, or stay away.", Turkish: "Bayi listesi boş olamaz."}
			}
		case "evidence":
			err = r.evidence(&k.Evidence)
		case "overrideBlock":
			k.OverrideBlock, err = r.boolean()
		default:
			err = r.unknown(name)
		}
		return err
	})
	return it, err
}

// evidenceFields are what proves a consent, in the order in which it is kept (regulation.md §10).
var evidenceFields = []string{"name", "customerId", "declaration", "textVersion", "shownAt", "ip", "userAgent", "document", "note"}

// evidence reads what proves a consent: one text, or its parts by name, which become one text.
func (r *reader) evidence(dst *string) error {
	if r.dec.PeekKind() != '{' {
		return r.keep(dst, maxEvidence)
	}
	parts := map[string]string{}
	err := r.object(func(name string) (err error) {
		if !slices.Contains(evidenceFields, name) {
			return r.unknown(name)
		}
		s := ""
		switch name {
		case "shownAt":
			var at time.Time
			if at, err = r.instant(); !at.IsZero() {
				s = at.Format(time.RFC3339)
			}
		case "ip":
			if s, err = r.short(maxShort); err == nil && s != "" {
				if _, perr := netip.ParseAddr(s); perr != nil {
					return r.refuse(gateway.CodeInvalid, "The field must be an IP address.")
				}
			}
		default:
			s, err = r.short(maxEvidence)
		}
		parts[name] = s
		return err
	})
	var b strings.Builder
	for _, name := range evidenceFields {
		if s := parts[name]; s != "" {
			if b.Len() > 0 {
				b.WriteString("; ")
			}
			b.WriteString(name + ": " + s)
		}
	}
	if err == nil && b.Len() > maxEvidence {
		err = r.refuse(gateway.CodeInvalid, "The field takes at most %d octets.", maxEvidence)
	}
	if b.Len() > 0 {
		*dst = b.String()
	}
	return err
}

// keep reads a string into dst; null and the empty string leave the default that stands there.
func (r *reader) keep(dst *string, most int) error {
	s, err := r.short(most)
	if s != "" {
		*dst = s
	}
	return err
}

// retailers reads a list of retailer codes, nil for null.
func (r *reader) retailers() ([]int, error) {
	if r.dec.PeekKind() == 'n' {
		_, err := r.dec.ReadToken()
		return nil, err
	}
	out := []int{}
	err := r.array(func() error {
		if len(out) >= maxAccess {
			return r.refuse(gateway.CodeInvalid, "The field takes at most 3000 retailer codes.")
		}
		n, err := r.integer(maxRetailer)
		out = append(out, n)
		return err
	})
	return out, err
}

// consentDate reads a date; code is H157 for a day or hour that does not exist and H158 for another form.
func consentDate(s string) (t time.Time, code string) {
	code = "H158"
	for _, form := range []string{time.RFC3339, iysTimeLayout} {
		t, err := time.ParseInLocation(form, s, istanbul)
		if err == nil {
			return t, ""
		}
		if p := (*time.ParseError)(nil); errors.As(err, &p) && strings.HasSuffix(p.Message, "out of range") {
			code = "H157"
		}
	}
	return time.Time{}, code
}

func badDate(index int, code string) *gateway.ConsentResult {
	out := &gateway.ConsentResult{Index: index, Code: gateway.CodeInvalid, IYS: code, Field: "consentDate",
		Text:    "consentDate must be a time like 2026-12-01T10:00:00+03:00 or 2026-12-01 10:00:00 (Istanbul).",
		Turkish: "İzin tarihi yyyy-mm-dd hh:mm:ss formatında olmalıdır."}
	if code == "H157" {
		out.Text, out.Turkish = "consentDate is no day or hour there is.", "Geçerli bir tarih girilmelidir."
	}
	return out
}

// wireChannel turns our channel names into those of the consent registry; everything else is left for the desk to judge.
func wireChannel(s string) string {
	switch strings.ToLower(s) {
	case "sms", "mesaj":
		return "MESAJ"
	case "email", "eposta":
		return "EPOSTA"
	case "call", "arama":
		return "ARAMA"
	}
	return s
}

func knownChannel(s string) (string, error) {
	switch w := wireChannel(s); w {
	case "MESAJ", "EPOSTA", "ARAMA":
		return w, nil
	}
	return "", gateway.Refuse(gateway.CodeInvalid, "channel", "The channel must be sms, email or call (MESAJ, EPOSTA, ARAMA).")
}

// getConsent is GET /v1/consents/{channel}/{address}.
func (a *API) getConsent(c *call) error {
	q, err := query(c, "brand", "recipientType")
	if err != nil {
		return err
	}
	channel, err := knownChannel(c.Param("channel"))
	if err != nil {
		return err
	}
	address := pathParam(c, "address")
	if address == "" || len(address) > maxShort {
		return gateway.Refuse(gateway.CodeInvalid, "address", "")
	}
	brand := first(q["brand"], c.p.Credential.Brand)
	if brand == "" {
		return gateway.Refuse(gateway.CodeInvalid, "brand", "Say which brand; a consent given to one is none to another.")
	}
	kind := first(q["recipientType"], gateway.RecipientIndividual)
	if kind != gateway.RecipientIndividual && kind != gateway.RecipientMerchant {
		return gateway.Refuse(gateway.CodeInvalid, "recipientType", "The parameter must be BIREYSEL or TACIR.")
	}
	v, err := a.deps.ConsentDesk.Lookup(c.Request().Context(), c.p, brand, channel, kind, address)
	return answer(c, v, err)
}

// pathParam is a parameter of the path with its percent escapes undone; the router leaves them in paths whose escapes are
// those Go would write itself.
func pathParam(c echo.Context, name string) string {
	s := c.Param(name)
	if c.Request().URL.RawPath != "" {
		if u, err := url.PathUnescape(s); err == nil {
			return u
		}
	}
	return s
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// optOut is POST /v1/optouts. It answers when the block is synced.
func (a *API) optOut(c *call) error {
	o := gateway.OptOut{Account: c.p.Account, Brand: c.p.Credential.Brand, Route: "api"}
	err := readBody(c, maxSmallBody, func(body []byte) error {
		return readJSON(body, func(r *reader) error {
			return r.object(func(name string) (err error) {
				switch name {
				case "brand":
					err = r.keep(&o.Brand, maxShort)
				case "channel":
					err = r.keep(&o.Channel, maxShort)
				case "address":
					err = r.keep(&o.Address, maxShort)
				case "source":
					err = r.keep(&o.Source, maxShort)
				case "at":
					o.At, err = r.instant()
				default:
					err = r.unknown(name)
				}
				return err
			})
		})
	})
	if err != nil {
		return err
	}
	if o.Channel, err = knownChannel(o.Channel); err != nil {
		return err
	}
	for _, f := range [...]struct{ name, value string }{{"brand", o.Brand}, {"address", o.Address}} {
		if f.value == "" {
			return gateway.Refuse(gateway.CodeInvalid, f.name, "The field is required.")
		}
	}
	if o.At.After(time.Now().Add(5 * time.Minute)) { // the same slack clocks get at every door
		return gateway.Refuse(gateway.CodeInvalid, "at", "The refusal lies in the future.")
	}
	if err := a.deps.ConsentDesk.OptOut(c.Request().Context(), o); err != nil {
		return err
	}
	return c.JSON(http.StatusOK, optedOut{Brand: o.Brand, Channel: o.Channel, Address: o.Address, Blocked: true})
}

// optedOut is the answer to POST /v1/optouts.
type optedOut struct {
	Brand   string `json:"brand"`
	Channel string `json:"channel"`
	Address string `json:"address"`
	Blocked bool   `json:"blocked"`
}
