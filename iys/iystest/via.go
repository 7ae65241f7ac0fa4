package iystest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

// How long a recipient has (iys-api.md §13.1, §13.2).
const (
	codeLife    = 3 * time.Minute
	codeTries   = 3
	viaLinkLife = 24 * time.Hour
	linkLife    = 90 * 24 * time.Hour
)

// via is one operation.
type via struct {
	id, iysCode, form string
	recipient, rtype  string
	verification      string
	brands, channels  []string
	code              string // six digits; empty for links
	texts             []string
	privacyCode       string // of title KVK, six digits
	answered          time.Time
	started           time.Time
	tries             int
	stage, status     string
	moves             []Movement
}

// viaFail answers in the shape ViA is seen to use: an object, not an array.
func (s *Sim) viaFail(status int, code string) answer {
	return answer{status, map[string]any{"errors": s.encode(problem{Code: code})}}
}

func (s *Sim) startVia(c *caller, r *http.Request, body []byte) answer {
	p, a := s.viaProvider(c, r)
	if a != nil {
		return *a
	}
	var in struct {
		FormID       string `json:"formId"`
		Recipient    string `json:"recipient"`
		Verification string `json:"verificationType"`
		ConsentTypes []struct {
			Title         string            `json:"title"`
			BrandCodes    []json.RawMessage `json:"brandCodes"`
			Types         []string          `json:"types"`
			RecipientType string            `json:"recipientType"`
			Person        struct {
				Name string `json:"name"`
			} `json:"personData"`
		} `json:"consentTypes"`
	}
	if json.Unmarshal(body, &in) != nil {
		return s.viaFail(400, "H1016")
	}
	v := &via{id: uuid(), iysCode: p.IYSCode, form: in.FormID, recipient: in.Recipient, verification: in.Verification, started: s.now()}
	for _, t := range in.ConsentTypes {
		switch t.Title {
		case "KVK":
			v.texts = t.Types
			if t.Person.Name == "" {
				return s.viaFail(400, "H1005")
			}
		case "ETK":
			v.channels, v.rtype = t.Types, t.RecipientType
			for _, b := range t.BrandCodes {
				v.brands = append(v.brands, strings.Trim(string(b), `"`))
			}
		default:
			return s.viaFail(400, "H1013")
		}
	}
	if code := s.checkVia(p, v); code != "" {
		return s.viaFail(400, code)
	}
	v.stage, v.status = "CONSENT_REQUESTED", "PENDING"
	if strings.HasSuffix(v.verification, "_OTP") {
		v.code, v.privacyCode = fmt.Sprintf("%06d", rand.IntN(1_000_000)), fmt.Sprintf("%06d", rand.IntN(1_000_000))
	}
	s.vias[v.id] = v
	return answer{200, map[string]any{"message": map[string]string{"requestId": v.id}, "code": "OK"}}
}

func (s *Sim) viaProvider(c *caller, r *http.Request) (*provider, *answer) {
	p := s.providers[r.PathValue("iysCode")]
	if p == nil || c.user.IYSCode != "" && c.user.IYSCode != p.IYSCode {
		a := s.viaFail(403, "H1046")
		return nil, &a
	}
	return p, nil
}

func (s *Sim) checkVia(p *provider, v *via) string {
	email := len(v.channels) == 1 && v.channels[0] == "EPOSTA" || len(v.channels) == 0 && strings.HasPrefix(v.verification, "EPOSTA")
	switch {
	case v.form == "" || v.recipient == "" || len(v.channels)+len(v.texts) == 0:
		return "H1005"
	case len(v.channels) > 0 && (len(v.brands) == 0 || v.rtype == ""):
		return "H1005"
	case len(v.channels) > 1 && slices.Contains(v.channels, "EPOSTA"):
		return "H1066"
	case slices.ContainsFunc(v.channels, func(c string) bool { return !oneOf(c, "MESAJ", "ARAMA", "EPOSTA") }):
		return "H1010"
	case slices.ContainsFunc(v.texts, func(t string) bool { return !oneOf(t, "AYDINLATMA_METNI", "ACIK_RIZA_METNI", "YURTDISI_AKTARIM") }):
		return "H1010"
	case !oneOf(v.form, p.ViaForms...):
		return "H1000"
	case !oneOf(v.verification, "SMS_OTP", "SMS_SHORTURL", "EPOSTA_OTP", "EPOSTA_SHORTURL", "EPOSTA_APPROVALURL"):
		return "H1012"
	case p.ViaCredit == 0:
		return "H1015"
	case email && len(checkAddress("EPOSTA", v.recipient, "")) > 0:
		return "H1027"
	case !email && len(checkAddress("MESAJ", v.recipient, "")) > 0:
		return "H1026"
	}
	for _, b := range v.brands {
		if s.brands[b] != p {
			return "H1014"
		}
	}
	return ""
}

// settle ends what has run out of time.
func (v *via) settle(now time.Time) {
	switch {
	case v.stage == "COMPLETED":
	case v.code != "" && now.Sub(v.started) > codeLife:
		v.stage, v.status = "COMPLETED", "OTP_CODE_EXPIRED"
	case v.code == "" && now.Sub(v.started) > viaLinkLife:
		v.stage, v.status = "COMPLETED", "LINK_CLICK_TIMEOUT"
	}
}

func (s *Sim) completeVia(c *caller, r *http.Request, body []byte) answer {
	p, a := s.viaProvider(c, r)
	if a != nil {
		return *a
	}
	var in struct {
		RequestID    string    `json:"requestId"`
		Verification string    `json:"verificationType"`
		ConsentTypes []viaCode `json:"consentTypes"`
	}
	if json.Unmarshal(body, &in) != nil {
		return s.viaFail(400, "H1016")
	}
	v := s.vias[in.RequestID]
	if v == nil || v.iysCode != p.IYSCode {
		return s.viaFail(400, "H1030")
	}
	v.settle(s.now())
	switch {
	case v.code == "":
		return s.viaFail(400, "H1056")
	case in.Verification != "" && in.Verification != v.verification:
		return s.viaFail(400, "H1064")
	case v.status == "OTP_CODE_EXPIRED":
		return s.viaFail(400, "H1051")
	case v.tries >= codeTries:
		return s.viaFail(400, "H1050")
	case v.stage == "COMPLETED":
		return s.viaFail(400, "H1032")
	case !v.rightCodes(in.ConsentTypes):
		if v.tries++; v.tries >= codeTries {
			v.stage, v.status = "COMPLETED", "OTP_CODE_INCORRECT"
			return s.viaFail(400, "H1050")
		}
		v.status = "OTP_CODE_INCORRECT"
		return s.viaFail(400, "H1052")
	}
	s.storeVia(p, v)
	out := []map[string]any{}
	for _, m := range v.moves {
		out = append(out, map[string]any{
			"transactionId": m.TransactionID, "creationDate": m.CreationDate.Format(dateForm), "type": m.Type, "brandCode": m.BrandCode,
		})
	}
	return answer{200, map[string]any{"message": out, "code": "OK"}}
}

type viaCode struct {
	Title string `json:"title"`
	Code  string `json:"otpCode"`
}

// rightCodes wants the code of every title that was asked for.
func (v *via) rightCodes(list []viaCode) bool {
	got := map[string]string{}
	for _, c := range list {
		got[c.Title] = c.Code
	}
	return (len(v.channels) == 0 || got["ETK"] == v.code) && (len(v.texts) == 0 || got["KVK"] == v.privacyCode)
}

// storeVia writes the consents of an operation: whatever was there becomes
// ONAY with a new date.
func (s *Sim) storeVia(p *provider, v *via) {
	source := "IYS_KISAMESAJ"
	if strings.HasPrefix(v.verification, "EPOSTA") {
		source = "IYS_EPOSTA"
	}
	for _, b := range v.brands {
		for _, ch := range v.channels {
			v.moves = append(v.moves, s.acceptLocked(Movement{
				BrandCode: b, Recipient: strings.ToLower(v.recipient), RecipientType: v.rtype, Type: ch, Status: "ONAY", Source: source, ConsentDate: s.now(),
			}, s.now()))
		}
	}
	if p.ViaCredit > 0 {
		p.ViaCredit--
	}
	v.stage, v.status, v.answered = "COMPLETED", "SUCCESS", s.now()
}

func (s *Sim) viaState(c *caller, r *http.Request, _ []byte) answer {
	p, a := s.viaProvider(c, r)
	if a != nil {
		return *a
	}
	v := s.vias[r.PathValue("requestId")]
	if v == nil || v.iysCode != p.IYSCode {
		return s.viaFail(400, "H1030")
	}
	v.settle(s.now())
	details := []map[string]any{}
	for _, m := range v.moves {
		details = append(details, map[string]any{
			"brandCode": m.BrandCode, "consentType": m.Type, "operationStatusMessage": "Onay verildi",
			"transactionId": m.TransactionID, "consentDate": m.ConsentDate.Format(dateForm),
		})
	}
	return answer{200, v.wire(details)}
}

func (v *via) wire(details []map[string]any) map[string]any {
	return map[string]any{"code": "OK", "message": map[string]any{
		"requestId": v.id, "formId": v.form, "iysCode": number(v.iysCode), "recipient": v.recipient, "recipientType": v.rtype,
		"requestDate": v.started.Format(dateForm), "requestDetails": details,
		"lastStatus": map[string]string{"stage": v.stage, "status": v.status},
	}}
}

// viaPrivacy answers for title KVK of one operation. The shape is that of its state: no source tells another.
func (s *Sim) viaPrivacy(c *caller, r *http.Request, _ []byte) answer {
	p, a := s.viaProvider(c, r)
	if a != nil {
		return *a
	}
	v := s.vias[r.PathValue("requestId")]
	if v == nil || v.iysCode != p.IYSCode || len(v.texts) == 0 {
		return s.viaFail(400, "H1030")
	}
	v.settle(s.now())
	details := []map[string]any{}
	for _, t := range v.texts {
		d := map[string]any{"consentType": t, "operationStatusMessage": "Onay verilmedi"}
		if v.status == "SUCCESS" {
			d["operationStatusMessage"], d["consentDate"] = "Onay verildi", v.answered.Format(dateForm)
		}
		details = append(details, d)
	}
	return answer{200, v.wire(details)}
}

// viaPrivacyList names the operations in which a recipient was asked for a text of title KVK, oldest first.
func (s *Sim) viaPrivacyList(c *caller, r *http.Request, body []byte) answer {
	p, a := s.viaProvider(c, r)
	if a != nil {
		return *a
	}
	var in struct{ Type, Recipient string }
	if json.Unmarshal(body, &in) != nil {
		return s.viaFail(400, "H1016")
	}
	if in.Type == "" || in.Recipient == "" {
		return s.viaFail(400, "H1005")
	}
	if !oneOf(in.Type, "AYDINLATMA_METNI", "ACIK_RIZA_METNI", "YURTDISI_AKTARIM") {
		return s.viaFail(400, "H1010")
	}
	var found []*via
	for _, v := range s.vias {
		if v.iysCode == p.IYSCode && strings.EqualFold(v.recipient, in.Recipient) && slices.Contains(v.texts, in.Type) {
			found = append(found, v)
		}
	}
	slices.SortFunc(found, func(a, b *via) int { return cmp.Or(a.started.Compare(b.started), cmp.Compare(a.id, b.id)) })
	ids := []string{}
	for _, v := range found {
		ids = append(ids, v.id)
	}
	return answer{200, map[string]any{"message": ids, "code": "OK"}}
}

func (s *Sim) viaFile(c *caller, r *http.Request, _ []byte) answer {
	if _, a := s.viaProvider(c, r); a != nil {
		return *a
	}
	v := s.vias[r.PathValue("requestId")]
	if v == nil || v.status != "SUCCESS" {
		return s.viaFail(400, "H1072")
	}
	return answer{200, fileAnswer{"application/zip", []byte("PK\x05\x06" + strings.Repeat("\x00", 18))}}
}

// ViaCode is the code the recipient of an operation received.
func (s *Sim) ViaCode(requestID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.vias[requestID]; v != nil {
		return v.code
	}
	return ""
}

// ViaPrivacyCode is the code the recipient of an operation received for title KVK.
func (s *Sim) ViaPrivacyCode(requestID string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.vias[requestID]; v != nil && len(v.texts) > 0 {
		return v.privacyCode
	}
	return ""
}

// ViaClick is the recipient who follows the link of an operation and agrees.
func (s *Sim) ViaClick(requestID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.vias[requestID]
	if v == nil || v.code != "" {
		return false
	}
	if v.settle(s.now()); v.stage == "COMPLETED" {
		return false
	}
	s.storeVia(s.providers[v.iysCode], v)
	return true
}

// link is a refusal link sent by e-mail.
type link struct {
	k    key
	made time.Time
}

func (s *Sim) hashLinks(c *caller, r *http.Request, body []byte) answer {
	brand, a := s.brandOf(c, r, "EPOSTA", false)
	if a != nil {
		return *a
	}
	var in struct {
		Recipients *[]struct {
			Recipient     string `json:"recipient"`
			RecipientType string `json:"recipientType"`
		} `json:"recipients"`
	}
	if !json.Valid(body) {
		return s.fail(400, problem{Code: "H014"})
	}
	if json.Unmarshal(body, &in) != nil || in.Recipients == nil {
		return s.fail(422, problem{Code: "H168"})
	}
	if len(*in.Recipients) == 0 {
		return s.fail(422, problem{Code: "H164"})
	}
	if len(*in.Recipients) > 100 {
		return s.fail(422, problem{Code: "H127"})
	}
	out := []map[string]any{}
	for _, x := range *in.Recipients {
		k := key{brand, strings.ToLower(x.Recipient), x.RecipientType, "EPOSTA"}
		if s.stored[k].Status != "ONAY" {
			e := s.encode(problem{Code: "H568"})
			e["recipient"] = x.Recipient
			out = append(out, e)
			continue
		}
		id := uuid()
		s.links[id] = &link{k, s.now()}
		out = append(out, map[string]any{"url": "https://" + r.Host + "/RET/" + id, "recipient": k.recipient})
	}
	return answer{200, out}
}

// useLink is the recipient who opens a refusal link.
func (s *Sim) useLink(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.links[r.PathValue("hash")]
	if l == nil || s.now().Sub(l.made) > linkLife || s.stored[l.k].Status != "ONAY" {
		write(w, answer{410, nil})
		return
	}
	s.acceptLocked(Movement{
		BrandCode: l.k.brand, Recipient: l.k.recipient, RecipientType: l.k.rtype, Type: l.k.channel,
		Status: "RET", Source: "IYS_EPOSTA", ConsentDate: s.now(),
	}, s.now())
	write(w, answer{200, map[string]string{"message": "Ret bildiriminiz alındı."}})
}
