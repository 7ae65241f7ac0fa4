package gateway

import (
	"context"
	"io"
	"net/netip"
	"time"
)

// Limits of a submission, the same at every door.
const (
	MaxRecipients   = 10_000               // recipients of one submission
	BlockSize       = 100                  // recipients stored and queued together
	MaxPast         = 5 * time.Minute      // how far sendAt may lie in the past
	MaxAhead        = 400 * 24 * time.Hour // and in the future
	MinValidity     = time.Minute
	MaxValidity     = 72 * time.Hour
	DefaultValidity = 24 * time.Hour
	OTPValidity     = 5 * time.Minute
	UnknownAfter    = 72 * time.Hour // after validity a sent message without receipt becomes unknown
)

// Door names the front end a submission came through; it is kept for the record.
type Door string

// The doors.
const (
	DoorHTTP   Door = "http"
	DoorSMPP   Door = "smpp"
	DoorSMTP   Door = "smtp"
	DoorPanel  Door = "panel"
	DoorPublic Door = "public" // confirmations of a hosted consent form
	DoorSystem Door = "system" // our own messages, e.g. the confirmation of an opt-out
)

// Var is one template variable of a recipient.
type Var struct{ Name, Value string }

// Destination is one recipient as the caller wrote it.
type Destination struct {
	Address string
	Ref     string // the caller's own reference, at most 64 characters
	Vars    []Var
}

// Receipt says which outcomes the submitter wants to be told over its own protocol (SMPP registered_delivery, RFC 3461 NOTIFY).
type Receipt uint8

// Receipt wishes; the zero value asks for none.
const (
	ReceiptFailure Receipt = 1 << iota
	ReceiptSuccess
	ReceiptNone Receipt = 0
	ReceiptAll          = ReceiptFailure | ReceiptSuccess
)

// RawSMS carries a message whose encoding the client chose and which passes unchanged: its parts, each with its own user
// data. Text submissions leave it nil.
type RawSMS struct {
	DataCoding byte
	ProtocolID byte
	Parts      []RawPart
}

// RawPart is one short message: user data header (with its length octet, nil without) and body.
type RawPart struct {
	UDH  []byte
	Body []byte
	// ID is the id already given to the client for this part; zero for the first, whose id is the message's.
	ID string
}

// IdempotencyKey makes a repeat harmless: same key and hash answer with the stored result, same key and another hash is
// CodeIdempotencyMismatch. Keys are per account and live 24 h.
type IdempotencyKey struct {
	Key  string
	Hash [32]byte
}

// Replay is the error of an acceptance whose idempotency key was used before with the same request.
type Replay struct{ Answer []byte } // what was stored with it

func (*Replay) Error() string { return "gateway: request was answered before" }

// Submission is one request to send, as a door hands it in. Strings hold wire values; empty means "the credential's default".
type Submission struct {
	Principal *Principal // who submits; required
	Door      Door
	RemoteIP  netip.Addr

	Channel       string // ChannelSMS or ChannelEmail
	Class         string
	Brand         string // brandCode
	RecipientType string // default RecipientIndividual
	Reason        string // of a transactional message
	From          string // sender id as the caller wrote it
	To            []Destination

	Text     string // SMS text, or the plain part of a mail; {{name}} stands for a variable
	Subject  string
	HTML     string
	ReplyTo  string
	Headers  map[string]string
	Body     BodyRef // a whole mail put into the BodyStore before; zero without
	Raw      *RawSMS // instead of Text
	Encoding string  // "auto" (default), "gsm7", "gsm7-translit", "tr-single", "tr-locking", "ucs2"

	SendAt   time.Time     // zero: now
	ValidFor time.Duration // zero: the class's default; counts from SendAt
	Receipt  Receipt
	Priority byte

	// ReceiptAddr is how the client wrote source and destination, swapped into its receipts.
	SourceTON, SourceNPI, DestTON, DestNPI byte

	// ID, when set, is the batch id to use: the id was given to the client before (first part of a long message).
	ID BatchID
	// Parts is the set of stored parts this submission was put together from; it is consumed by the accepting commit.
	Parts *PartSet

	DryRun      bool
	Idempotency *IdempotencyKey
	TraceID     string // request id, for the log
}

// Verdict is the answer for one recipient.
type Verdict struct {
	Index    int       `json:"-"`
	ID       MessageID `json:"id,omitzero"`
	Ref      string    `json:"ref,omitempty"`
	To       string    `json:"to"`
	State    State     `json:"state,omitzero"` // queued, scheduled, held, dropped; none when refused
	Code     Code      `json:"code,omitempty"` // why dropped, held or refused
	Text     string    `json:"text,omitempty"` // one sentence for a refused recipient
	Segments int       `json:"segments,omitempty"`
	Encoding string    `json:"encoding,omitempty"`
	Words    []string  `json:"words,omitempty"` // promotional words found in a transactional text
}

// Refused reports whether the recipient was not even stored (invalid address, unknown variable …).
func (v Verdict) Refused() bool { return v.State == StateNone }

// Result is what a submission became.
type Result struct {
	Batch    BatchRef  `json:"batch,omitzero"`
	Accepted int       `json:"accepted"`
	Dropped  int       `json:"dropped"`
	Refused  int       `json:"refused"`
	Segments int       `json:"segments"`
	Credits  int       `json:"credits"`
	Messages []Verdict `json:"messages"` // all up to 1000 recipients, above that only those not accepted
	Replayed bool      `json:"-"`        // answered from the idempotency record
}

// Submitter is the one door: every front end calls it and nothing else to get a message in.
type Submitter interface {
	// Check judges each recipient now and stores nothing (dryRun, SMTP RCPT). The verdicts are in the order of s.To.
	Check(ctx context.Context, s *Submission) ([]Verdict, error)
	// Submit returns once s is refused or safely stored, never in between. An error is an *Error and means that nothing was
	// stored; a nil error is a promise to bring every accepted message to a final state. One bad recipient never sinks the rest.
	Submit(ctx context.Context, s *Submission) (Result, error)
}

// BodyRef names a mail body kept by the BodyStore.
type BodyRef struct {
	ID   string
	Size int64
	// Inline is the whole of a small body that is stored nowhere yet: the accepting commit writes it (design §6).
	Inline []byte
}

// BodyStore keeps mail bodies, which are never held whole in memory.
type BodyStore interface {
	// Put stores what r yields, synced, and names it.
	Put(ctx context.Context, r io.Reader) (BodyRef, error)
	Open(ctx context.Context, ref BodyRef) (io.ReadCloser, error)
	Delete(ctx context.Context, ref BodyRef) error
}

// Consent is one consent as a caller gives it or reads it. Strings are İYS wire values; times are instants.
type Consent struct {
	Brand         string    `json:"brand"`
	Channel       string    `json:"channel"` // MESAJ, EPOSTA, ARAMA
	Address       string    `json:"recipient"`
	RecipientType string    `json:"recipientType"`
	Status        string    `json:"status"` // ONAY, RET
	Source        string    `json:"source,omitempty"`
	ConsentDate   time.Time `json:"consentDate,omitzero"`
	CreationDate  time.Time `json:"creationDate,omitzero"`
	TransactionID string    `json:"transactionId,omitempty"`
	RetailerCode  int       `json:"retailerCode,omitempty"`
	// RetailerAccess are the dealers that may use the consent beside the one it was taken through, at most 3000.
	RetailerAccess []int  `json:"retailerAccess,omitempty"`
	Evidence       string `json:"evidence,omitempty"`      // what proves it: form version, IP, document
	OverrideBlock  bool   `json:"overrideBlock,omitempty"` // lift a local block; needs Evidence
}

// ConsentResult is the answer for one consent of an Add: empty Code means taken.
type ConsentResult struct {
	Index   int    `json:"index"`
	Code    Code   `json:"code,omitempty"`
	IYS     string `json:"iys,omitempty"`   // the H-code İYS would have answered
	Field   string `json:"field,omitempty"` // of the consent, as the caller wrote it
	Text    string `json:"text,omitempty"`
	Turkish string `json:"textTr,omitempty"`
	Sync    string `json:"sync,omitempty"` // outbox state: pending, owed_by_customer, not_applicable
	// Known: the same word of the same instant is stored or under way already; nothing was done.
	Known bool `json:"known,omitempty"`
}

// ConsentView is all that is known about one address for a brand.
type ConsentView struct {
	Consent
	Known   bool           `json:"known"`
	Where   string         `json:"where,omitempty"` // mirror, live, none
	AgeS    int64          `json:"ageSeconds,omitempty"`
	Blocked bool           `json:"blocked"`
	Block   *Block         `json:"block,omitempty"`
	Sync    string         `json:"sync,omitempty"`
	History []ConsentEvent `json:"history,omitempty"`
}

// ConsentEvent is one movement in the history of an address.
type ConsentEvent struct {
	Consent
	At   time.Time `json:"at"`
	How  string    `json:"how"` // pull, push, live, api, import, sms, unsubscribe, panel
	Sync string    `json:"sync,omitempty"`
}

// OptOut is one refusal, from whatever route.
type OptOut struct {
	Account AccountID // whose brand; required
	Brand   string    `json:"brand"`
	Channel string    `json:"channel"`
	Address string    `json:"address"`
	Route   string    `json:"route"`            // sms, api, panel, one_click, mailto, page, complaint, pull, push
	Source  string    `json:"source,omitempty"` // İYS source; by route when empty
	At      time.Time `json:"at,omitzero"`      // when the person refused; now when zero
	Text    string    `json:"-"`                // what the person wrote
	Review  bool      `json:"review,omitempty"` // brand was guessed; somebody should look
	Local   bool      `json:"-"`                // block only: İYS is not told (a complaint, by policy)
}

// ConsentDesk is the door for consents, opt-outs and blocks.
type ConsentDesk interface {
	// Add records consents (1–5000) and queues their İYS write; the results are in the order given.
	Add(ctx context.Context, p *Principal, consents []Consent) ([]ConsentResult, error)
	// Lookup tells what is known; *Error with CodeBrand for a brand of another account.
	Lookup(ctx context.Context, p *Principal, brand, channel, recipientType, address string) (ConsentView, error)
	// OptOut blocks at once, in memory before its commit, and returns when the block and its outbox entry are synced.
	OptOut(ctx context.Context, o OptOut) error
}

// Principal is an authenticated caller: the credential and what it may do. It is immutable; doors keep it for a session.
type Principal struct {
	Account    AccountID
	Credential Credential
}

// Authenticator tells who is calling. The secret of an API key is the whole key.
type Authenticator interface {
	// Authenticate answers CodeUnauthorized for an unknown or revoked credential or a wrong secret (after a delay that grows
	// with failures) and CodeForbiddenAddress outside the allow-list.
	Authenticate(ctx context.Context, kind CredentialKind, name, secret string, from netip.Addr) (*Principal, error)
}
