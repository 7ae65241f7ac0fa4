package gateway

import (
	"context"
	"fmt"
	"io"
	"time"
)

// MessageView is one message as its owner sees it.
type MessageView struct {
	ID         MessageID     `json:"id"`
	Batch      BatchRef      `json:"batch"`
	Ref        string        `json:"ref,omitempty"`
	Channel    string        `json:"channel"`
	Class      string        `json:"class"`
	Brand      string        `json:"brand,omitempty"`
	From       string        `json:"from"`
	To         string        `json:"to"`
	State      State         `json:"state"`
	Code       Code          `json:"code,omitempty"`
	Segments   []SegmentView `json:"segments,omitempty"`
	Parts      int           `json:"parts"`
	Encoding   string        `json:"encoding,omitempty"`
	Attempts   int           `json:"attempts"`
	Unanswered int           `json:"unanswered,omitempty"` // attempts that ended without an answer, as Progress.Doubts counts them
	Operator   string        `json:"operator,omitempty"`
	Created    time.Time     `json:"created"`
	SendAt     time.Time     `json:"sendAt"`
	ValidUntil time.Time     `json:"validUntil"`
	Updated    time.Time     `json:"updated"`
	NextAt     time.Time     `json:"nextAt,omitzero"`
	Timeline   []Moment      `json:"timeline,omitempty"`
}

// SegmentView is one part of a message.
type SegmentView struct {
	State      State  `json:"state"`
	OperatorID string `json:"operatorId,omitempty"`
	Error      string `json:"error,omitempty"`
}

// Moment is one entry of a timeline.
type Moment struct {
	At    time.Time `json:"at"`
	State State     `json:"state"`
	Code  Code      `json:"code,omitempty"`
	Note  string    `json:"note,omitempty"`
}

// DecisionView is one decision record with its place in the chain.
type DecisionView struct {
	Kind          string    `json:"kind"`
	Verdict       string    `json:"verdict"`
	Rule          string    `json:"rule"`
	At            time.Time `json:"at"`
	Policy        int       `json:"policyVersion"`
	Status        string    `json:"status,omitempty"`
	Source        string    `json:"source,omitempty"`
	Where         string    `json:"where,omitempty"`
	ConsentDate   time.Time `json:"consentDate,omitzero"`
	TransactionID string    `json:"transactionId,omitempty"`
	AgeSeconds    int64     `json:"ageSeconds,omitempty"`
	Words         []string  `json:"words,omitempty"`
	Day           string    `json:"day"`
	Seq           uint32    `json:"seq"`
	Hash          string    `json:"hash"` // SHA-256 of the chain record, hex
}

// ChainBreak is the first broken link of an account's decision chain.
type ChainBreak struct {
	Account AccountID `json:"account"`
	Day     string    `json:"day"` // of the record at fault, Istanbul
	Seq     uint32    `json:"seq"` // its number in the day, from 0
	What    string    `json:"what"`
}

func (b ChainBreak) String() string {
	return fmt.Sprintf("account %d: decision chain breaks at %s/%d: %s", b.Account, b.Day, b.Seq, b.What)
}

// Hold keeps evidence beyond its retention: of a message, of an address (its messages and consents), or, with neither, of the account.
type Hold struct {
	Account AccountID `json:"account"`
	Message string    `json:"message,omitempty"`
	Address string    `json:"address,omitempty"`
	Why     string    `json:"why"` // file number, authority
	By      string    `json:"by"`
	At      time.Time `json:"at"`
}

// Name says what is held.
func (h *Hold) Name() string {
	switch {
	case h.Message != "":
		return "message " + h.Message
	case h.Address != "":
		return "address " + h.Address
	}
	return fmt.Sprintf("account %d", h.Account)
}

// BatchView is a batch with its counts, taken at the moment of asking.
type BatchView struct {
	ID         BatchRef       `json:"id"`
	Channel    string         `json:"channel"`
	Class      string         `json:"class"`
	Brand      string         `json:"brand,omitempty"`
	From       string         `json:"from"`
	Created    time.Time      `json:"created"`
	SendAt     time.Time      `json:"sendAt"`
	ValidUntil time.Time      `json:"validUntil"`
	Count      int            `json:"count"`
	Paused     bool           `json:"paused"`
	Cancelled  bool           `json:"cancelled"`
	States     map[string]int `json:"states"`
	Reasons    map[string]int `json:"reasons"`
}

// MessageFilter narrows a list of messages; zero fields do not filter.
type MessageFilter struct {
	Batch  BatchRef
	State  State
	To     string // exact, normalised
	Since  time.Time
	Cursor string
	Limit  int // default 50, at most 500
}

// Page is one page of a list; an empty Next means the end.
type Page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"`
}

// Balance is an account's credits.
type Balance struct {
	Credits int64 `json:"credits"`
	Charged int64 `json:"charged"` // ever
	Refund  int64 `json:"refunded"`
	Added   int64 `json:"added"`
	Warning int64 `json:"warning,omitempty"`
}

// WebhookView is the customer's side of a webhook: the secret is shown once, when set.
type WebhookView struct {
	URL     string   `json:"url"`
	Events  []string `json:"events,omitempty"`
	Paused  bool     `json:"paused,omitempty"`
	Secret  string   `json:"secret,omitempty"`
	Pending int      `json:"pending"` // events waiting
	LastErr string   `json:"lastError,omitempty"`
}

// ImportView is the state of a consent import.
type ImportView struct {
	ID       string    `json:"id"`
	Brand    string    `json:"brand"`
	Mode     string    `json:"mode"`   // verify, register
	State    string    `json:"state"`  // running, done, failed
	Format   string    `json:"format"` // csv, txt, xlsx; the refused rows come back in it
	DryRun   bool      `json:"dryRun,omitempty"`
	Progress int       `json:"progress"` // percent of the file
	Rows     int       `json:"rows"`
	Good     int       `json:"good"`
	Bad      int       `json:"bad"`
	Known    int       `json:"known"`    // register: good rows that said what is stored or under way already
	Approved int       `json:"approved"` // verify: addresses with ONAY at İYS
	Error    string    `json:"error,omitempty"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
	Name     string    `json:"name,omitempty"` // of the file, as the caller called it
}

// PackageReport is how an account stands towards its İYS package.
type PackageReport struct {
	Account   AccountID `json:"account"`
	Phones    int       `json:"phones"`           // approved telephone numbers that are known here
	Emails    int       `json:"emails"`           // approved e-mail addresses
	Addresses int       `json:"addresses"`        // what İYS bills: the larger of both
	Package   string    `json:"package"`          //
	Limit     int       `json:"limit"`            // addresses; 0: none
	Exceed    bool      `json:"exceed"`           // İYS takes more than the limit
	From      string    `json:"from"`             // iys: İYS told the limit; name: it told the package's name; count: the smallest that holds them
	Crosses   time.Time `json:"crosses,omitzero"` // when the limit will be crossed, going on as in the last sixty days
	At        time.Time `json:"at"`
}

// ImportChannels refuses a file for another channel. İYS knows a third, ARAMA, which this gateway does not carry.
const ImportChannels = "The channel must be sms or email (MESAJ, EPOSTA); files of consents to calls are not imported, POST /v1/consents takes such consents."

// ImportRequest starts a consent import.
type ImportRequest struct {
	Brand, Channel, RecipientType, Mode string
	File                                io.Reader // CSV, text or XLSX; which one is seen from its octets, csv or txt from the name
	Name                                string
	Defaults                            ImportDefaults
	Encoding                            string // utf-8 or windows-1254; empty: found out
	Delimiter                           string // one of ; , | and tab; empty: found out
	DryRun                              bool   // judge every row, write nothing and ask nobody
	OverQuota                           bool   // go on although it may cross the İYS package (H525)
}

// Reader is the customer's view of what is stored. Every method is confined to the account given; what belongs to another
// account is CodeNotFound.
type Reader interface {
	Message(ctx context.Context, a AccountID, id MessageID) (MessageView, error)
	Decisions(ctx context.Context, a AccountID, id MessageID) ([]DecisionView, error)
	Messages(ctx context.Context, a AccountID, f MessageFilter) (Page[MessageView], error)
	Batch(ctx context.Context, a AccountID, ref BatchRef) (BatchView, error)
	Inbound(ctx context.Context, a AccountID, cursor string, limit int) (Page[Inbound], error)
	Balance(ctx context.Context, a AccountID) (Balance, error)
}

// Booking is one entry an account's credits were changed with by hand.
type Booking struct {
	At      time.Time `json:"at"`
	Credits int64     `json:"credits"` // negative: taken back
	Note    string    `json:"note"`
}

// Steering stops and resumes what has not left. CodeTooLate when there is nothing left to stop.
type Steering interface {
	CancelBatch(ctx context.Context, a AccountID, ref BatchRef) (cancelled int, err error)
	PauseBatch(ctx context.Context, a AccountID, ref BatchRef) error
	ResumeBatch(ctx context.Context, a AccountID, ref BatchRef) error
	CancelMessage(ctx context.Context, a AccountID, id MessageID) error
	// ReplaceMessage gives a waiting single message a new text and times (SMPP replace_sm); consent and length are judged again.
	ReplaceMessage(ctx context.Context, p *Principal, id MessageID, text string, sendAt time.Time, validFor time.Duration) error
}

// Webhooks are the customer's webhook settings.
type Webhooks interface {
	Webhook(ctx context.Context, a AccountID) (WebhookView, error)
	// PutWebhook stores the settings and returns them with the secret when it was made anew.
	PutWebhook(ctx context.Context, a AccountID, w WebhookView) (WebhookView, error)
}

// Imports run consent files.
type Imports interface {
	StartImport(ctx context.Context, p *Principal, r ImportRequest) (ImportView, error)
	Import(ctx context.Context, a AccountID, id string) (ImportView, error)
	// ListImports lists an account's imports of the last thirty days, newest first.
	ListImports(ctx context.Context, a AccountID, cursor string, limit int) (Page[ImportView], error)
	// ImportErrors writes the refused rows in the format of the input.
	ImportErrors(ctx context.Context, a AccountID, id string, w io.Writer) error
}
