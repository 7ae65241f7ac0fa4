package gateway

import (
	"context"
	"time"
)

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
	Replayed bool         `json:"-"` // answered from an idempotency record: nobody was asked now
}

// Where a question stands.
const (
	ViaWaiting = "waiting" // the person has not answered yet
	ViaGiven   = "given"   // the person agreed, and İYS has stored it
	ViaFailed  = "failed"  // İYS did not take the question, could not deliver it, or had no answer in time
)

// ViaSuccess is İYS's status of a question that was answered and stored.
const ViaSuccess = "SUCCESS"

// State puts İYS's stages and statuses into one of three words.
func (v *ViaOperation) State() string {
	switch {
	case v.Ended.IsZero():
		return ViaWaiting
	case v.Status == ViaSuccess:
		return ViaGiven
	}
	return ViaFailed
}

// ByCode reports whether the person answers by a code that is typed in here, and not over a link.
func (v *ViaOperation) ByCode() bool {
	return v.Verification == "SMS_OTP" || v.Verification == "EPOSTA_OTP"
}

// ViaInput is a question to a person.
type ViaInput struct {
	Account       AccountID `json:"account,omitempty"` // whose brand it has to be; 0: whoever has it
	Brand         string    `json:"brand"`
	Form          string    `json:"form"` // formId of a form published in İYS's screens
	Address       string    `json:"address"`
	RecipientType string    `json:"recipientType,omitempty"` // default BIREYSEL
	Channels      []string  `json:"channels,omitempty"`      // İYS's values; default by address: MESAJ for a number, EPOSTA for a mail address
	Verification  string    `json:"verification,omitempty"`  // default: a code by the same way
	Texts         []string  `json:"texts,omitempty"`         // of personal data; with them the person's name
	Name          string    `json:"name,omitempty"`          // personal data, handed to İYS and not kept
	// Idempotency, if set, keeps a repeat from asking the person again: it needs an account, and is forgotten when İYS refuses.
	Idempotency *IdempotencyKey `json:"-"`
}

// ViaAnswer is the code a person received; with texts of personal data there are two.
type ViaAnswer struct {
	Account     AccountID `json:"account"`
	ID          string    `json:"id"`
	Code        string    `json:"code,omitempty"`
	PrivacyCode string    `json:"privacyCode,omitempty"`
}

// ViaQuery names a question of an account.
type ViaQuery struct {
	Account AccountID `json:"account"`
	ID      string    `json:"id"`
}

// Via has İYS ask people on behalf of a customer. Questions of another account are CodeNotFound, its brands CodeBrand; what İYS refuses is
// CodeInvalid with its code in the text, an İYS that does not answer CodeUnavailable.
type Via interface {
	// StartVia has İYS write to a person. It is no repeatable act: a second call asks a second time.
	StartVia(ctx context.Context, p *Principal, in ViaInput) (ViaOperation, error)
	// CompleteVia ends a question by the code the person received; the consents are in force when it returns.
	CompleteVia(ctx context.Context, p *Principal, in ViaAnswer) (ViaOperation, error)
	// ViaState tells how a question stands; İYS is asked as long as it is open.
	ViaState(ctx context.Context, p *Principal, id string) (ViaOperation, error)
	// ListVia lists an account's questions, newest first, as they were known last.
	ListVia(ctx context.Context, p *Principal, cursor string, limit int) (Page[ViaOperation], error)
	// ViaProof fetches İYS's proof (zip of PDF and time stamp) of a question that was answered.
	ViaProof(ctx context.Context, p *Principal, id string) ([]byte, error)
}

// ViaConsent is one approval that came of it.
type ViaConsent struct {
	Channel       string    `json:"channel"`
	TransactionID string    `json:"transactionId"`
	At            time.Time `json:"at"`
}
