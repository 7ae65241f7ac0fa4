package desk

import (
	"context"
	"time"

	"izinli/gateway"
	"izinli/gateway/evidence"
)

// Service is every act of administration. *[Admin] does them, *[Client] has them done by a running server. A method takes one
// value and gives one back, so that the socket can carry all of them alike; whose act it is stands in the context ([WithActor]).
//
// Errors are *gateway.Error: CodeInvalid with the field at fault, CodeNotFound, CodeConflict, and CodeUnavailable when the
// process that answers cannot do it (consents without a running server).
type Service interface {
	ListAccounts(context.Context, Query) ([]gateway.Account, error)
	// PutAccount creates (ID 0) or changes an account. Suspended is changed by SuspendAccount alone.
	PutAccount(context.Context, gateway.Account) (gateway.Account, error)
	SuspendAccount(context.Context, Suspension) (gateway.Account, error)
	AddCredits(context.Context, CreditEntry) (gateway.Balance, error)
	Balance(context.Context, Query) (gateway.Balance, error)

	ListBrands(context.Context, Query) ([]gateway.Brand, error)
	PutBrand(context.Context, gateway.Brand) (gateway.Brand, error)
	ListSenders(context.Context, Query) ([]gateway.Sender, error)
	// PutSender creates or changes a sender ID and returns it in the form it is matched in.
	PutSender(context.Context, gateway.Sender) (gateway.Sender, error)
	DeleteSender(context.Context, gateway.SenderKey) (Nothing, error)
	ListNumbers(context.Context, Query) ([]gateway.Number, error)
	PutNumber(context.Context, gateway.Number) (gateway.Number, error)
	DeleteNumber(context.Context, gateway.Number) (Nothing, error)

	ListCredentials(context.Context, Query) ([]gateway.Credential, error)
	// CreateCredential makes a credential and returns its secret, which cannot be read again.
	CreateCredential(context.Context, NewCredential) (Issued, error)
	// ChangeCredential changes what a credential may do; its name, kind, account and secret stay.
	ChangeCredential(context.Context, gateway.Credential) (gateway.Credential, error)
	// RotateCredential gives a credential a new secret; the old one logs in no more, open sessions go on.
	RotateCredential(context.Context, Rotation) (Issued, error)
	// RevokeCredential ends a credential for good.
	RevokeCredential(context.Context, gateway.CredentialKey) (gateway.Credential, error)

	ListOperators(context.Context, Query) ([]gateway.Operator, error)
	PutOperator(context.Context, OperatorInput) (gateway.Operator, error)
	DeleteOperator(context.Context, Name) (Nothing, error)
	ListRoutes(context.Context, Query) ([]gateway.Route, error)
	PutRoute(context.Context, gateway.Route) (gateway.Route, error)
	DeleteRoute(context.Context, Name) (Nothing, error)
	// TryRoute tells which operators a message would go to, and why.
	TryRoute(context.Context, Trial) (Path, error)

	// Mail: next hops, signing keys, servers that may relay, addresses that came back.
	ListSmarthosts(context.Context, Query) ([]gateway.Smarthost, error)
	PutSmarthost(context.Context, SmarthostInput) (gateway.Smarthost, error)
	DeleteSmarthost(context.Context, Name) (Nothing, error)
	ListDKIMKeys(context.Context, Query) ([]gateway.DKIMKey, error)
	CreateDKIMKey(context.Context, DKIMInput) (gateway.DKIMKey, error)
	SwitchDKIMKey(context.Context, DKIMSwitch) (gateway.DKIMKey, error)
	DeleteDKIMKey(context.Context, gateway.DKIMName) (Nothing, error)
	ListRelayPeers(context.Context, Query) ([]gateway.RelayPeer, error)
	PutRelayPeer(context.Context, gateway.RelayPeer) (gateway.RelayPeer, error)
	DeleteRelayPeer(context.Context, Name) (Nothing, error)
	ListSuppressions(context.Context, SuppressionQuery) (gateway.Page[gateway.Suppression], error)
	DeleteSuppression(context.Context, gateway.Suppression) (Nothing, error)

	ListIYSLinks(context.Context, Query) ([]gateway.IYSLink, error)
	PutIYSLink(context.Context, IYSLinkInput) (gateway.IYSLink, error)
	ListWebhooks(context.Context, Query) ([]gateway.Webhook, error)
	// PutWebhook sets an account's webhook (an empty URL removes it). The secret is returned when it was made anew.
	PutWebhook(context.Context, WebhookInput) (gateway.WebhookView, error)

	ListForms(context.Context, Query) ([]FormView, error)
	// CreateForm makes a hosted consent form; it gets its ID here. A form is never changed: a new wording is a new form.
	CreateForm(context.Context, gateway.Form) (FormView, error)
	// RevokeForm closes a form for good; consents given over it stand.
	RevokeForm(context.Context, Name) (FormView, error)

	Message(context.Context, Name) (MessageDetail, error)
	ListMessages(context.Context, MessageQuery) (gateway.Page[gateway.MessageView], error)
	CancelMessage(context.Context, Name) (Nothing, error)
	Batch(context.Context, Name) (gateway.BatchView, error)
	PauseBatch(context.Context, Name) (gateway.BatchView, error)
	ResumeBatch(context.Context, Name) (gateway.BatchView, error)
	CancelBatch(context.Context, Name) (Cancelled, error)

	LookupConsent(context.Context, ConsentQuery) (gateway.ConsentView, error)
	AddConsents(context.Context, ConsentInput) ([]gateway.ConsentResult, error)
	OptOut(context.Context, gateway.OptOut) (Nothing, error)
	ListBlacklist(context.Context, BlacklistQuery) (gateway.Page[BlacklistEntry], error)
	PutBlacklist(context.Context, BlacklistEntry) (Nothing, error)
	DeleteBlacklist(context.Context, BlacklistEntry) (Nothing, error)

	IYSService
	UserService
	ListEvents(context.Context, EventQuery) (gateway.Page[gateway.Event], error)
	// ReplayEvents sends webhook events again, those that wait and those that were given up.
	ReplayEvents(context.Context, Replay) (Replayed, error)
	ListBlocks(context.Context, ListQuery) (gateway.Page[gateway.Block], error)
	ListBookings(context.Context, ListQuery) (gateway.Page[gateway.Booking], error)
	// CountBrand counts a brand's consents here and at İYS; it reads them all and may take seconds.
	CountBrand(context.Context, BrandQuery) (BrandTotals, error)
	ListLanes(context.Context, Nothing) ([]LaneView, error)
	PauseLane(context.Context, LanePause) ([]LaneView, error)
	// SendTest sends one message through the one door and tells its verdict.
	SendTest(context.Context, TestMessage) (gateway.Verdict, error)
	Settings(context.Context, Nothing) ([]Setting, error)

	// Verify proves the invariants of the store; it reads everything and may take minutes.
	Verify(context.Context, Nothing) (Report, error)
	// Evidence gathers everything about a message or an address, with the proof that it was not written afterwards.
	Evidence(context.Context, EvidenceQuery) (evidence.Bundle, error)
	// Roots lists the roots of the decisions of days, to be kept elsewhere.
	Roots(context.Context, RootQuery) ([]evidence.DayRoot, error)
	// Packages tells how accounts stand towards their İYS packages; it may read all their consents.
	Packages(context.Context, Query) ([]gateway.PackageReport, error)
	ListHolds(context.Context, Query) ([]gateway.Hold, error)
	// PutHold keeps a message, an address or an account beyond the retention until DeleteHold.
	PutHold(context.Context, gateway.Hold) (gateway.Hold, error)
	DeleteHold(context.Context, gateway.Hold) (Nothing, error)
}

// Nothing is what a method takes or gives when there is nothing to say.
type Nothing struct{}

// Query narrows a list to one account; 0 means all.
type Query struct {
	Account gateway.AccountID `json:"account,omitempty"`
}

// Name names one record: an operator, a route, a message id, a batch id.
type Name struct {
	Name string `json:"name"`
}

// Suspension stops or resumes an account: its credentials let nobody in and hand-off rests.
type Suspension struct {
	Account   gateway.AccountID `json:"account"`
	Suspended bool              `json:"suspended"`
}

// CreditEntry books credits bought, or taken back when negative. The note (1–200 characters) stays with the entry.
type CreditEntry struct {
	Account gateway.AccountID `json:"account"`
	Credits int64             `json:"credits"`
	Note    string            `json:"note"`
}

// NewCredential is a credential to make. Without a secret a random one is made; one brought along (bootstrap, migration) must
// have the form of its kind: a whole API key, 8 printable characters for SMPP, 8–128 for SMTP.
type NewCredential struct {
	Credential gateway.Credential `json:"credential"`
	Secret     string             `json:"secret,omitempty"`
}

// Rotation asks for a new secret, given or random as with NewCredential.
type Rotation struct {
	Kind   gateway.CredentialKind `json:"kind"`
	ID     string                 `json:"id"`
	Secret string                 `json:"secret,omitempty"`
}

// Issued is a credential with its secret, the one time it is shown.
type Issued struct {
	Credential gateway.Credential `json:"credential"`
	Secret     string             `json:"secret"`
}

// OperatorInput is an operator with its password in plain text; an empty one keeps the password there is. Operator.Password is
// ignored.
type OperatorInput struct {
	Operator gateway.Operator `json:"operator"`
	Password string           `json:"password,omitempty"`
}

// Trial is a message to be routed in thought: an empty class is commercial.
type Trial struct {
	Account gateway.AccountID `json:"account"`
	Class   string            `json:"class,omitempty"`
	Address string            `json:"address"`
}

// Path is where a message would go.
type Path struct {
	Address string         `json:"address"` // normalised
	Class   string         `json:"class"`
	Lane    string         `json:"lane"`
	Route   *gateway.Route `json:"route"` // nil: no route leads there
	Steps   []PathStep     `json:"steps"` // in the order they are tried
	Passed  []PassedRoute  `json:"passed"`
}

// PathStep is one operator of the route taken.
type PathStep struct {
	Operator string `json:"operator"`
	Rank     int    `json:"rank"`
	Share    int    `json:"sharePercent"` // of its rank, while all of that rank are up
	Disabled bool   `json:"disabled,omitempty"`
}

// PassedRoute is a route that was looked at before and does not fit.
type PassedRoute struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

// IYSLinkInput is a way to İYS with its passwords in plain text; empty ones keep what there is. The sealed fields are ignored.
type IYSLinkInput struct {
	Link        gateway.IYSLink `json:"link"`
	Password    string          `json:"password,omitempty"`
	AHSPassword string          `json:"ahsPassword,omitempty"`
}

// WebhookInput sets an account's webhook. The secret with which events are signed is made with the webhook, or anew with Rotate,
// unless it is brought along.
type WebhookInput struct {
	Account gateway.AccountID `json:"account"`
	URL     string            `json:"url"`
	Events  []string          `json:"events,omitempty"` // empty: all
	Paused  bool              `json:"paused,omitempty"`
	Rotate  bool              `json:"rotate,omitempty"`
	Secret  string            `json:"secret,omitempty"`
}

// FormView is a consent form and where it is reached.
type FormView struct {
	gateway.Form
	URL string `json:"url,omitempty"` // empty where that is not known
}

// MessageDetail is one message with the decisions about it, newest effective first.
type MessageDetail struct {
	Message   gateway.MessageView    `json:"message"`
	Decisions []gateway.DecisionView `json:"decisions"`
}

// MessageQuery lists an account's messages, newest first.
type MessageQuery struct {
	Account gateway.AccountID `json:"account"`
	Batch   gateway.BatchRef  `json:"batch,omitzero"`
	State   string            `json:"state,omitempty"`
	To      string            `json:"to,omitempty"` // as a person writes it
	Since   time.Time         `json:"since,omitzero"`
	Cursor  string            `json:"cursor,omitempty"`
	Limit   int               `json:"limit,omitempty"` // default 50, at most 500
}

// Cancelled says how many messages a cancelled batch stopped.
type Cancelled struct {
	Cancelled int `json:"cancelled"`
}

// ConsentQuery asks about one address; recipientType defaults to BIREYSEL. Channel is sms, email or an İYS wire value.
type ConsentQuery struct {
	Account       gateway.AccountID `json:"account"`
	Brand         string            `json:"brand"`
	Channel       string            `json:"channel"`
	RecipientType string            `json:"recipientType,omitempty"`
	Address       string            `json:"address"`
}

// ConsentInput brings consents (1–5000) of one account's brands.
type ConsentInput struct {
	Account  gateway.AccountID `json:"account"`
	Consents []gateway.Consent `json:"consents"`
}

// BlacklistQuery pages through an account's blacklist.
type BlacklistQuery struct {
	Account gateway.AccountID `json:"account"`
	Cursor  string            `json:"cursor,omitempty"`
	Limit   int               `json:"limit,omitempty"`
}

// BlacklistEntry is an address an account never writes to, whatever the class. The note (at most 200 characters) says why; that of
// DeleteBlacklist, why no longer, stands in the audit trail alone.
type BlacklistEntry struct {
	Account gateway.AccountID `json:"account"`
	Address string            `json:"address"`
	Note    string            `json:"note,omitempty"`
	At      time.Time         `json:"at,omitzero"`
}

// Report is what Verify found; no problems is what one hopes for.
type Report struct {
	Batches, Messages, Decisions, Chains int
	Roots                                int // of accounts and sealed days, held against their records
	States                               map[string]int
	Waiting                              int                  // not final and not sent
	Broken                               []gateway.ChainBreak // of each account the first broken link
	Problems                             []string             // Broken among them, in words
}
