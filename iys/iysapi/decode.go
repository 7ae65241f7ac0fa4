package iysapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"izinli/iys"
)

// flexString reads a string or a number: codes come as both (iys-api.md §5.3).
// Objects, arrays and null read as empty.
type flexString string

func (f *flexString) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	*f = ""
	if len(b) == 0 {
		return nil
	}
	switch c := b[0]; {
	case c == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*f = flexString(strings.TrimSpace(s))
	case c == '-' || c >= '0' && c <= '9':
		*f = flexString(b)
	}
	return nil
}

// flexBool reads true, "true" and 1.
type flexBool bool

func (f *flexBool) UnmarshalJSON(b []byte) error {
	switch strings.ToLower(strings.Trim(string(b), "\" ")) {
	case "true", "1":
		*f = true
	default:
		*f = false
	}
	return nil
}

// flexInt reads a number or a number in quotes; everything else is zero.
type flexInt int64

func (f *flexInt) UnmarshalJSON(b []byte) error {
	*f = 0
	s := strings.Trim(string(b), "\" ")
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		*f = flexInt(n)
	} else if x, err := strconv.ParseFloat(s, 64); err == nil && x > -1e15 && x < 1e15 {
		*f = flexInt(x)
	}
	return nil
}

// flexTime reads a date of İYS. An empty, absent or unreadable one is the zero
// time: consentDate may be empty for TACIR records closed by an operator.
type flexTime struct{ time.Time }

func (f *flexTime) UnmarshalJSON(b []byte) error {
	f.Time = time.Time{}
	var s string
	if json.Unmarshal(b, &s) != nil {
		return nil
	}
	if t, refusal := iys.ParseTime(strings.TrimSpace(s)); refusal == nil {
		f.Time = t
	} else if t, err := time.Parse(time.RFC3339, s); err == nil {
		f.Time = t
	}
	return nil
}

// consentWire is a consent in an answer.
type consentWire struct {
	Recipient      flexString `json:"recipient"`
	Type           flexString `json:"type"`
	Source         flexString `json:"source"`
	Status         flexString `json:"status"`
	ConsentDate    flexTime   `json:"consentDate"`
	CreationDate   flexTime   `json:"creationDate"`
	RecipientType  flexString `json:"recipientType"`
	TransactionID  flexString `json:"transactionId"`
	RetailerCode   flexInt    `json:"retailerCode"`
	RetailerAccess flexInts   `json:"retailerAccess"`
}

// flexInts reads an array of numbers; anything else is empty.
type flexInts []int

func (f *flexInts) UnmarshalJSON(b []byte) error {
	*f = nil
	var raw []flexInt
	if json.Unmarshal(b, &raw) != nil {
		return nil
	}
	for _, n := range raw {
		*f = append(*f, int(n))
	}
	return nil
}

func (w consentWire) consent(b Brand, origin iys.Origin, now time.Time) iys.Consent {
	return iys.Consent{
		Key: iys.Key{
			Brand: b.BrandCode, Channel: iys.Channel(w.Type),
			RecipientType: iys.RecipientType(w.RecipientType),
			Recipient:     canonical(string(w.Recipient)),
		},
		Status: iys.Status(w.Status), Source: iys.Source(w.Source),
		ConsentDate: w.ConsentDate.Time, CreationDate: w.CreationDate.Time,
		TransactionID: string(w.TransactionID),
		RetailerCode:  int(w.RetailerCode), RetailerAccess: w.RetailerAccess,
		Origin: origin, ReadAt: now,
	}
}

// canonical is the form addresses are compared in: İYS answers e-mails in
// lower case.
func canonical(recipient string) string {
	if strings.Contains(recipient, "@") {
		return strings.ToLower(recipient)
	}
	return recipient
}

// consentRequest is a consent on its way to İYS. Fields without a value must
// be left out: an empty string is H267.
type consentRequest struct {
	Recipient      string `json:"recipient"`
	Type           string `json:"type"`
	Source         string `json:"source,omitempty"`
	Status         string `json:"status"`
	ConsentDate    string `json:"consentDate,omitempty"`
	RecipientType  string `json:"recipientType"`
	RetailerCode   int    `json:"retailerCode,omitempty"`
	RetailerAccess []int  `json:"retailerAccess,omitempty"`
}

func encodeConsent(c iys.Consent) consentRequest {
	w := consentRequest{
		Recipient: canonical(c.Recipient), Type: string(c.Channel), Source: string(c.Source),
		Status: string(c.Status), RecipientType: string(c.RecipientType),
		RetailerCode: c.RetailerCode, RetailerAccess: c.RetailerAccess,
	}
	if !c.ConsentDate.IsZero() {
		w.ConsentDate = iys.FormatTime(c.ConsentDate)
	}
	return w
}

// empty reports a body that says nothing: no bytes, null, {} or [].
func empty(body []byte) bool {
	switch string(bytes.TrimSpace(body)) {
	case "", "null", "{}", "[]":
		return true
	}
	return false
}

func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		// The decoder's own text can quote the input; it stays here.
		return fmt.Errorf("%w: %d bytes of json", ErrAnswer, len(body))
	}
	return nil
}
