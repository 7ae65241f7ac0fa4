package iysapi

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// ViA also takes what the law on personal data (KVKK) wants: that its notice
// was read, explicit consent, consent to a transfer abroad (iys-api.md §13.1,
// title KVK). It has nothing to do with whether commercial messages may be sent.

// What a person is asked under title KVK.
const (
	ViaNotice   = "AYDINLATMA_METNI"
	ViaExplicit = "ACIK_RIZA_METNI"
	ViaAbroad   = "YURTDISI_AKTARIM"
)

var viaTexts = []string{ViaNotice, ViaExplicit, ViaAbroad}

// ViaPrivacy asks for title KVK.
type ViaPrivacy struct {
	Types    []string // ViaNotice, ViaExplicit, ViaAbroad
	Name     string   // of the person; personal data, as are the next
	IDNumber string   // may be empty
	Address  string   // may be empty
}

func (p *ViaPrivacy) check() error {
	if p.Name == "" || len(p.Types) == 0 {
		return fmt.Errorf("%w: KVK wants the person's name and at least one text", ErrInvalid)
	}
	for _, t := range p.Types {
		if !slices.Contains(viaTexts, t) {
			return fmt.Errorf("%w: KVK text %q", ErrInvalid, t)
		}
	}
	return nil
}

func (p *ViaPrivacy) person() map[string]string {
	out := map[string]string{"name": p.Name}
	if p.IDNumber != "" {
		out["recipientIdNumber"] = p.IDNumber
	}
	if p.Address != "" {
		out["address"] = p.Address
	}
	return out
}

// PrivacyAnswer is what a person answered to one text.
type PrivacyAnswer struct {
	Type  string // ViaNotice …
	Given bool
	At    time.Time // zero: not answered, or not said
}

// PrivacyRequest is an operation as it stands for title KVK.
type PrivacyRequest struct {
	RequestID string
	Recipient string
	Requested time.Time
	Stage     string // as in ViaState; may be empty
	Status    string
	Answers   []PrivacyAnswer
}

// viaGiven is İYS's sentence for a consent that was given.
const viaGiven = "Onay verildi"

// PrivacyRequest asks for the KVK part of one operation. The answer's shape is
// not documented; that of the operation's state is taken for it, and what is
// not there stays empty [not confirmed].
func (c *Client) PrivacyRequest(ctx context.Context, iysCode, requestID string) (PrivacyRequest, error) {
	const name = "via privacy request"
	if requestID == "" {
		return PrivacyRequest{}, fmt.Errorf("iysapi: %s: %w: requestId", name, ErrInvalid)
	}
	body, err := c.via(ctx, iysCode, http.MethodGet, "/consent/"+url.PathEscape(requestID), name, nil)
	if err != nil {
		return PrivacyRequest{}, err
	}
	w, err := decodeVia(body)
	if err != nil {
		return PrivacyRequest{}, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	out := PrivacyRequest{RequestID: requestID, Recipient: string(w.Recipient), Requested: w.RequestDate.Time, Stage: string(w.Last.Stage), Status: string(w.Last.Status)}
	for _, d := range w.Details {
		if slices.Contains(viaTexts, string(d.ConsentType)) {
			out.Answers = append(out.Answers, PrivacyAnswer{string(d.ConsentType), d.Said == viaGiven, d.ConsentDate.Time})
		}
	}
	return out, nil
}

// PrivacyRequests lists the operations by which a person was asked for one text
// of title KVK.
func (c *Client) PrivacyRequests(ctx context.Context, iysCode, text, recipient string) ([]string, error) {
	const name = "via privacy requests"
	if !slices.Contains(viaTexts, text) || recipient == "" {
		return nil, fmt.Errorf("iysapi: %s: %w: a text of KVK and a recipient are required", name, ErrInvalid)
	}
	body, err := c.via(ctx, iysCode, http.MethodPost, "/consent/status", name, map[string]string{"type": text, "recipient": canonical(recipient)})
	if err != nil || empty(body) {
		return nil, err
	}
	var w struct {
		Message []flexString `json:"message"`
	}
	if err := decode(body, &w); err != nil {
		return nil, fmt.Errorf("iysapi: %s: %w", name, err)
	}
	out := make([]string, len(w.Message))
	for i, id := range w.Message {
		out[i] = string(id)
	}
	return out, nil
}
