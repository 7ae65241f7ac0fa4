package iysapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"izinli/iys"
)

// ViA is İYS's own way of taking consents (iys-api.md §13.1): it writes to the
// recipient, who answers with a code or over a link, and the consent is İYS's
// to prove. Each answer taken costs one ViA credit.

// How ViA lets the recipient answer.
const (
	ViaSMSCode     = "SMS_OTP"
	ViaSMSLink     = "SMS_SHORTURL"
	ViaEmailCode   = "EPOSTA_OTP"
	ViaEmailLink   = "EPOSTA_SHORTURL"
	ViaEmailButton = "EPOSTA_APPROVALURL"
)

// ViaStart asks one recipient for consent to commercial messages (title ETK),
// to the use of personal data (title KVK), or to both.
type ViaStart struct {
	FormID        string // of a form published in İYS's screens
	Recipient     string
	Verification  string // Via…
	BrandCodes    []string
	Channels      []iys.Channel // MESAJ and ARAMA in any order, or EPOSTA alone; none: KVK alone
	RecipientType iys.RecipientType
	Privacy       *ViaPrivacy // nil: ETK alone
}

func (v ViaStart) check() error {
	email := len(v.Channels) == 1 && v.Channels[0] == iys.ChannelEmail
	for _, ch := range v.Channels {
		if !ch.Valid() || ch == iys.ChannelEmail && !email {
			return fmt.Errorf("%w: channels %v (MESAJ and ARAMA, or EPOSTA alone)", ErrInvalid, v.Channels)
		}
	}
	switch v.Verification {
	case ViaSMSCode, ViaSMSLink, ViaEmailCode, ViaEmailLink, ViaEmailButton:
	default:
		return fmt.Errorf("%w: verification %q", ErrInvalid, v.Verification)
	}
	if v.FormID == "" || v.Recipient == "" || len(v.Channels) == 0 && v.Privacy == nil ||
		len(v.Channels) > 0 && (len(v.BrandCodes) == 0 || !v.RecipientType.Valid()) {
		return fmt.Errorf("%w: form, recipient, brands, channels and recipient type are required", ErrInvalid)
	}
	if v.Privacy != nil {
		if err := v.Privacy.check(); err != nil {
			return err
		}
	}
	for _, b := range v.BrandCodes {
		if !digits(b) {
			return fmt.Errorf("%w: brandCode %q", ErrInvalid, b)
		}
	}
	return nil
}

// StartVia starts an operation and returns its requestId. 200 only says that
// İYS took it; whether the recipient was reached shows in ViaState.
func (c *Client) StartVia(ctx context.Context, iysCode string, v ViaStart) (string, error) {
	const name = "via start"
	if err := v.check(); err != nil {
		return "", fmt.Errorf("iysapi: %s: %w", name, err)
	}
	body, err := c.via(ctx, iysCode, http.MethodPost, "/consent", name, map[string]any{
		"formId": v.FormID, "recipient": canonical(v.Recipient), "verificationType": v.Verification, "consentTypes": v.titles(),
	})
	if err != nil {
		return "", err
	}
	var w struct {
		Message struct {
			RequestID flexString `json:"requestId"`
		} `json:"message"`
	}
	if err := decode(body, &w); err != nil || w.Message.RequestID == "" {
		return "", fmt.Errorf("iysapi: %s: %w: no requestId", name, ErrAnswer)
	}
	return string(w.Message.RequestID), nil
}

// titles is what is asked for, one object a title.
func (v ViaStart) titles() []map[string]any {
	var out []map[string]any
	if len(v.Channels) > 0 {
		brands := make([]json.Number, len(v.BrandCodes))
		for i, b := range v.BrandCodes {
			brands[i] = json.Number(b)
		}
		out = append(out, map[string]any{"title": "ETK", "brandCodes": brands, "types": v.Channels, "recipientType": v.RecipientType})
	}
	if v.Privacy != nil {
		out = append(out, map[string]any{"title": "KVK", "types": v.Privacy.Types, "personData": v.Privacy.person()})
	}
	return out
}

func (c *Client) via(ctx context.Context, iysCode, method, path, name string, in any) ([]byte, error) {
	if !digits(iysCode) {
		return nil, fmt.Errorf("iysapi: %s: %w: iysCode", name, ErrInvalid)
	}
	_, body, err := c.do(ctx, call{
		method: method, path: "/via/sps/" + iysCode + path, name: name, body: in,
		priority: PriorityQuery, timeout: singleTimeout, share: iysCode,
	})
	return body, err
}

// ViaConsent is one consent ViA has written.
type ViaConsent struct {
	Brand         string
	Channel       iys.Channel
	TransactionID string
	CreationDate  time.Time
}

// ViaCodes are the codes a recipient received, one for each title asked for.
type ViaCodes struct {
	Messages string // title ETK
	Privacy  string // title KVK
}

// CompleteVia ends an operation by the code the recipient received. A code is
// good for three minutes and three tries (H1052 wrong, H1050 third wrong one,
// H1051 too late). Consents to the use of personal data are not in the answer.
func (c *Client) CompleteVia(ctx context.Context, iysCode, requestID, verification string, codes ViaCodes) ([]ViaConsent, error) {
	const name = "via complete"
	var titles []map[string]string
	bad := verification != ViaSMSCode && verification != ViaEmailCode || requestID == ""
	for _, t := range []struct{ title, code string }{{"ETK", codes.Messages}, {"KVK", codes.Privacy}} {
		if t.code != "" {
			titles = append(titles, map[string]string{"title": t.title, "otpCode": t.code})
			bad = bad || !digits(t.code)
		}
	}
	if bad || len(titles) == 0 {
		return nil, fmt.Errorf("iysapi: %s: %w: request, code and a verification by code are required", name, ErrInvalid)
	}
	body, err := c.via(ctx, iysCode, http.MethodPost, "/confirmation", name, map[string]any{
		"requestId": requestID, "verificationType": verification, "consentTypes": titles,
	})
	if err != nil {
		return nil, err
	}
	var w struct {
		Message []struct {
			TransactionID flexString `json:"transactionId"`
			CreationDate  flexTime   `json:"creationDate"`
			Type          flexString `json:"type"`
			BrandCode     flexString `json:"brandCode"`
		} `json:"message"`
	}
	if err := decode(body, &w); err != nil {
		return nil, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	var out []ViaConsent
	for _, m := range w.Message {
		if ch := iys.Channel(m.Type); ch.Valid() {
			out = append(out, ViaConsent{string(m.BrandCode), ch, string(m.TransactionID), m.CreationDate.Time})
		}
	}
	return out, nil
}

// ViaState is how far an operation has come.
type ViaState struct {
	RequestID string
	Stage     string // e.g. CONSENT_REQUESTED, COMPLETED
	Status    string // e.g. PENDING, SUCCESS, LINK_CLICK_TIMEOUT
	Consents  []ViaConsent
}

// Done reports that nothing more will come, and whether the consent was given.
func (s ViaState) Done() (done, stored bool) {
	return s.Stage == "COMPLETED", s.Stage == "COMPLETED" && s.Status == "SUCCESS"
}

// ViaState asks for an operation.
func (c *Client) ViaState(ctx context.Context, iysCode, requestID string) (ViaState, error) {
	const name = "via state"
	if requestID == "" {
		return ViaState{}, fmt.Errorf("iysapi: %s: %w: requestId", name, ErrInvalid)
	}
	body, err := c.via(ctx, iysCode, http.MethodGet, "/consent/request/"+url.PathEscape(requestID), name, nil)
	if err != nil {
		return ViaState{}, err
	}
	w, err := decodeVia(body)
	if err != nil {
		return ViaState{}, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	if w.Last.Stage == "" {
		return ViaState{}, fmt.Errorf("iysapi: %s: %w: no stage", name, ErrAnswer)
	}
	out := ViaState{RequestID: requestID, Stage: string(w.Last.Stage), Status: string(w.Last.Status)}
	for _, d := range w.Details {
		if ch := iys.Channel(d.ConsentType); d.TransactionID != "" && ch.Valid() {
			out.Consents = append(out.Consents, ViaConsent{string(d.BrandCode), ch, string(d.TransactionID), d.ConsentDate.Time})
		}
	}
	return out, nil
}

// viaMessage is what İYS says of an operation.
type viaMessage struct {
	RequestID   flexString `json:"requestId"`
	Recipient   flexString `json:"recipient"`
	RequestDate flexTime   `json:"requestDate"`
	Details     []struct {
		BrandCode     flexString `json:"brandCode"`
		ConsentType   flexString `json:"consentType"`
		Said          flexString `json:"operationStatusMessage"`
		TransactionID flexString `json:"transactionId"`
		ConsentDate   flexTime   `json:"consentDate"`
	} `json:"requestDetails"`
	Last struct {
		Stage  flexString `json:"stage"`
		Status flexString `json:"status"`
	} `json:"lastStatus"`
}

func decodeVia(body []byte) (viaMessage, error) {
	var w struct {
		Message viaMessage `json:"message"`
	}
	err := decode(body, &w)
	return w.Message, err
}

// ViaEvidence writes the proof of an operation (zip: pdf and tsr) to w.
func (c *Client) ViaEvidence(ctx context.Context, iysCode, requestID string, w io.Writer) error {
	const name = "via evidence"
	if !digits(iysCode) || requestID == "" {
		return fmt.Errorf("iysapi: %s: %w: iysCode and requestId are required", name, ErrInvalid)
	}
	status, _, err := c.do(ctx, call{
		method: http.MethodGet, path: "/via/sps/" + iysCode + "/via/clarification/" + url.PathEscape(requestID) + "/file", name: name,
		into: w, priority: PriorityQuery, timeout: batchTimeout, share: iysCode,
	})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("iysapi: %s: %w: http %d", name, ErrAnswer, status)
	}
	return err
}

// MaxLinks is the most addresses one RejectLinks call takes.
const MaxLinks = 100

// RejectLink is a link by which a recipient of e-mail refuses at İYS itself. It
// is good for 90 days.
type RejectLink struct {
	Recipient string
	URL       string // empty when İYS made none: Code says why (H568: not approved)
	Code      string
}

// RejectLinks makes refusal links for e-mail addresses that are approved.
func (c *Client) RejectLinks(ctx context.Context, b Brand, rt iys.RecipientType, recipients []string) ([]RejectLink, error) {
	const name = "reject links"
	path, err := b.path()
	var list []string
	if err == nil && len(recipients) > MaxLinks {
		err = fmt.Errorf("%w: %d addresses", ErrInvalid, len(recipients))
	}
	if err == nil {
		_, list, err = question(rt, iys.ChannelEmail, recipients)
	}
	if err != nil {
		return nil, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	type item struct {
		Recipient     string `json:"recipient"`
		RecipientType string `json:"recipientType"`
	}
	items := make([]item, len(list))
	for i, r := range list {
		items[i] = item{r, string(rt)}
	}
	_, body, err := c.do(ctx, call{
		method: http.MethodPost, path: path + "/via-hash-links", name: name, body: map[string]any{"recipients": items},
		priority: PriorityQuery, timeout: singleTimeout, share: b.BrandCode,
	})
	if err != nil || empty(body) {
		return nil, err
	}
	var w []struct {
		URL       flexString `json:"url"`
		Recipient flexString `json:"recipient"`
		Code      flexString `json:"code"`
		Code2     flexString `json:"code:"`
	}
	if err := decode(body, &w); err != nil {
		return nil, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	out := make([]RejectLink, len(w))
	for i, it := range w {
		out[i] = RejectLink{canonical(string(it.Recipient)), string(it.URL), string(it.Code + it.Code2)}
	}
	return out, nil
}
