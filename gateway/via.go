package gateway

import "time"

// ViaOperation is one question put to a person over İYS's own service ViA (iys-api.md §13.1): İYS writes to the person, takes the answer
// and has to prove the consent. What we keep says who asked whom for what, and how it ended.
type ViaOperation struct {
	ID            string    `json:"id"` // ours
	Account       AccountID `json:"account"`
	Brand         string    `json:"brand"`
	Request       string    `json:"request"` // İYS's requestId
	Form          string    `json:"form"`    // formId of the form published in İYS's screens
	Address       string    `json:"address"`
	RecipientType string    `json:"recipientType,omitempty"`
	Channels      []string  `json:"channels,omitempty"` // İYS's values; none: personal data alone
	Texts         []string  `json:"texts,omitempty"`    // of personal data (KVK)
	Verification  string    `json:"verification"`       // SMS_OTP …
	Stage         string    `json:"stage"`              // as İYS said last
	Status        string    `json:"status"`
	By            string    `json:"by"` // who started it
	Started       time.Time `json:"started"`
	Asked         time.Time `json:"asked,omitzero"` // when İYS was asked how it stands
	Ended         time.Time `json:"ended,omitzero"`

	Consents []ViaConsent `json:"consents,omitempty"`
}

// ViaConsent is one approval that came of it.
type ViaConsent struct {
	Channel       string    `json:"channel"`
	TransactionID string    `json:"transactionId"`
	At            time.Time `json:"at"`
}
