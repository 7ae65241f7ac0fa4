package httpapi

import (
	"net/http"
	"time"

	"izinli/gateway"
)

// Bounds of a question over ViA.
const (
	maxViaWords = 8   // channels, texts of personal data
	maxViaCode  = 16  // octets of a code: İYS's have six digits
	maxViaName  = 640 // octets
)

// viaView is a question as a customer sees it: who started it is in the trail, not here.
type viaView struct {
	ID            string               `json:"id"`
	Brand         string               `json:"brand"`
	Form          string               `json:"form"`
	Address       string               `json:"address"`
	RecipientType string               `json:"recipientType,omitempty"`
	Channels      []string             `json:"channels,omitempty"`
	Texts         []string             `json:"texts,omitempty"`
	Verification  string               `json:"verification"`
	State         string               `json:"state"`
	Stage         string               `json:"stage"`
	Status        string               `json:"status"`
	Request       string               `json:"request,omitempty"`
	Started       time.Time            `json:"started"`
	Asked         time.Time            `json:"asked,omitzero"`
	Ended         time.Time            `json:"ended,omitzero"`
	Consents      []gateway.ViaConsent `json:"consents"`
}

func viaOf(v *gateway.ViaOperation) viaView {
	return viaView{ID: v.ID, Brand: v.Brand, Form: v.Form, Address: v.Address, RecipientType: v.RecipientType, Channels: v.Channels, Texts: v.Texts,
		Verification: v.Verification, State: v.State(), Stage: v.Stage, Status: v.Status, Request: v.Request, Started: v.Started, Asked: v.Asked,
		Ended: v.Ended, Consents: filled(v.Consents)}
}

// startVia is POST /v1/via. 202: the person has been written to, or will be; whether she answers shows in getVia.
func (a *API) startVia(c *call) error {
	in := gateway.ViaInput{Brand: c.p.Credential.Brand, RecipientType: gateway.RecipientIndividual}
	err := readBody(c, maxSmallBody, func(body []byte) (err error) {
		if in.Idempotency, err = idempotencyKey(c, body); err != nil {
			return err
		}
		return readJSON(body, func(r *reader) error {
			return r.object(func(name string) (err error) {
				switch name {
				case "brand":
					err = r.keep(&in.Brand, maxShort)
				case "form":
					in.Form, err = r.short(maxShort)
				case "address":
					in.Address, err = r.short(maxShort)
				case "recipientType":
					err = r.keep(&in.RecipientType, maxShort)
				case "channels":
					in.Channels, err = r.words()
					for i := range in.Channels {
						in.Channels[i] = wireChannel(in.Channels[i])
					}
				case "verification":
					in.Verification, err = r.short(maxShort)
				case "texts":
					in.Texts, err = r.words()
				case "name":
					in.Name, err = r.short(maxViaName)
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
	for _, f := range [...]struct{ name, value string }{{"brand", in.Brand}, {"form", in.Form}, {"address", in.Address}} {
		if f.value == "" {
			return gateway.Refuse(gateway.CodeInvalid, f.name, "The field is required.")
		}
	}
	v, err := a.deps.Via.StartVia(c.Request().Context(), c.p, in)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Location", "/v1/via/"+v.ID)
	if v.Replayed {
		c.Response().Header().Set(headerReplayed, "true")
	}
	return c.JSON(http.StatusAccepted, viaOf(&v))
}

// words reads a short list of words.
func (r *reader) words() (out []string, err error) {
	if null, err := r.null(); null || err != nil {
		return nil, err
	}
	err = r.array(func() error {
		s, err := r.short(maxShort)
		if len(out) == maxViaWords && err == nil {
			err = r.refuse(gateway.CodeInvalid, "The field takes at most %d words.", maxViaWords)
		}
		out = append(out, s)
		return err
	})
	return out, err
}

// listVia is GET /v1/via.
func (a *API) listVia(c *call) error {
	cursor, limit, err := paging(c)
	if err != nil {
		return err
	}
	page, err := a.deps.Via.ListVia(c.Request().Context(), c.p, cursor, limit)
	out := gateway.Page[viaView]{Items: make([]viaView, len(page.Items)), Next: page.Next}
	for i := range page.Items {
		out.Items[i] = viaOf(&page.Items[i])
	}
	return answer(c, out, err)
}

// getVia is GET /v1/via/{id}. While the question is open İYS is asked, at most once a second.
func (a *API) getVia(c *call) error {
	id, err := namedID(c)
	if err != nil {
		return err
	}
	v, err := a.deps.Via.ViaState(c.Request().Context(), c.p, id)
	return answer(c, viaOf(&v), err)
}

// completeVia is POST /v1/via/{id}/complete: the code the person read out. 200 means that the consents are in force.
func (a *API) completeVia(c *call) error {
	id, err := namedID(c)
	if err != nil {
		return err
	}
	in := gateway.ViaAnswer{ID: id}
	err = readBody(c, maxSmallBody, func(body []byte) error {
		return readJSON(body, func(r *reader) error {
			return r.object(func(name string) (err error) {
				switch name {
				case "code":
					in.Code, err = r.short(maxViaCode)
				case "privacyCode":
					in.PrivacyCode, err = r.short(maxViaCode)
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
	v, err := a.deps.Via.CompleteVia(c.Request().Context(), c.p, in)
	return answer(c, viaOf(&v), err)
}

// getViaProof is GET /v1/via/{id}/proof: İYS's own evidence.
func (a *API) getViaProof(c *call) error {
	id, err := namedID(c)
	if err != nil {
		return err
	}
	zip, err := a.deps.Via.ViaProof(c.Request().Context(), c.p, id)
	if err != nil {
		return err
	}
	c.Response().Header().Set("Content-Disposition", `attachment; filename="via-`+id+`.zip"`)
	return c.Blob(http.StatusOK, "application/zip", zip)
}
