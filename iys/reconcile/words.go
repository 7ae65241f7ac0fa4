package reconcile

import (
	"context"
	"errors"
	"io"
	"time"

	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
)

// Result is how a day stands.
type Result string

// The results. Agreed and empty are the end; the others are looked at again.
const (
	Agreed  Result = "agreed"   // the files are equal and İYS was told so
	Empty   Result = "empty"    // no movements on either side
	Differs Result = "differs"  // a plan waits
	Waiting Result = "waiting"  // İYS's file is not ready, or our own listing does not reach the end of the day yet
	NoRight Result = "no_right" // İYS does not let us reconcile for the brand
	Failed  Result = "failed"   // Note says why
)

// Day is the reconciliation of one brand and Istanbul day.
type Day struct {
	Brand   string           `json:"brand"`
	Date    string           `json:"date"` // YYYY-MM-DD
	Result  Result           `json:"result"`
	Note    string           `json:"note,omitempty"`
	Hash    string           `json:"hash,omitempty"`    // of İYS's file, as it says
	OurHash string           `json:"ourHash,omitempty"` // of ours
	Method  string           `json:"method,omitempty"`
	Rows    int              `json:"rows"` // movements of ours
	Summary []iysapi.Summary `json:"summary,omitempty"`
	Plan    uint64           `json:"plan,omitempty"`  // the plan that waits or was applied
	Proof   bool             `json:"proof,omitempty"` // the time stamp is kept
	At      time.Time        `json:"at"`
	Again   time.Time        `json:"again,omitzero"` // failed for a reason of its own: not looked at before, unless a person asks
}

// State of a plan.
type State string

// The states of a plan.
const (
	Open      State = "open"      // to be reviewed
	Applied   State = "applied"   //
	Undone    State = "undone"    // applied and taken back
	Dismissed State = "dismissed" // left alone
)

// Plan is what would bring our knowledge of a day to İYS's.
type Plan struct {
	ID      uint64    `json:"id"`
	Brand   string    `json:"brand"`
	Date    string    `json:"date"`
	State   State     `json:"state"`
	Made    time.Time `json:"made"`
	Changed time.Time `json:"changed,omitzero"`
	By      string    `json:"by,omitempty"` // who changed the state

	Here, There, Different int  // items by kind
	Review                 int  // items that wait for a person's word
	Cut                    bool // there were more differences than MaxItems: re-query the brand
}

// MaxItems bounds the items of one plan.
const MaxItems = 100_000

// Action is what applying an item does.
type Action string

// The actions.
const (
	ActionTake   Action = "take"        // take İYS's movement, by the rule of conflicts
	ActionAsk    Action = "ask"         // ask İYS about the address; its answer counts
	ActionAgain  Action = "write_again" // write our refusal to İYS once more
	ActionReview Action = "review"      // İYS has an approval where we hold a refusal: asked only when named
)

// Item is one difference.
type Item struct {
	N      int         `json:"n"` // from 1, within its plan
	Kind   Kind        `json:"kind"`
	Action Action      `json:"action"`
	Ours   iys.Consent `json:"ours,omitzero"`   // our movement; empty where missing
	Theirs iys.Consent `json:"theirs,omitzero"` // İYS's
	// What applying did: what we held of the address before, and what after.
	Done   bool        `json:"done,omitempty"`
	Before iys.Consent `json:"before,omitzero"`
	After  iys.Consent `json:"after,omitzero"`
}

// Key is the address of an item.
func (it *Item) Key() iys.Key {
	if it.Kind == MissingThere {
		return it.Ours.Key
	}
	return it.Theirs.Key
}

// Store keeps movements, days, plans and proofs.
type Store interface {
	EachMovement(ctx context.Context, brand string, day time.Time, yield func(iys.Consent) error) error
	// ReplaceMovements drops movements and adds others, in one commit.
	ReplaceMovements(ctx context.Context, drop, add []iys.Consent) error
	Consents(ctx context.Context, keys []iys.Key) ([]iys.Consent, error)
	PutEntries(ctx context.Context, entries []exchange.Entry, how string, evidence []string) error

	ReconciledDay(ctx context.Context, brand, date string) (Day, bool, error)
	PutReconciledDay(ctx context.Context, d Day) error
	// PutPlan writes a plan, with a new ID when it has none, and returns it.
	PutPlan(ctx context.Context, p Plan) (Plan, error)
	Plan(ctx context.Context, id uint64) (Plan, bool, error)
	PutPlanItems(ctx context.Context, id uint64, items []Item) error
	// PlanItems returns up to limit items with N above after, by N.
	PlanItems(ctx context.Context, id uint64, after, limit int) ([]Item, error)
	PutProof(ctx context.Context, brand, date string, tsr []byte) error
}

// API is what reconciling needs of İYS; *iysapi.Client has it.
type API interface {
	DaySummary(ctx context.Context, b iysapi.Brand, day time.Time, rt iys.RecipientType) ([]iysapi.Summary, error)
	Agreement(ctx context.Context, b iysapi.Brand, day time.Time) (iysapi.Agreement, bool, error)
	Agree(ctx context.Context, b iysapi.Brand, day time.Time) (bool, error)
	DayFile(ctx context.Context, b iysapi.Brand, day time.Time, w io.Writer) (bool, error)
	Timestamp(ctx context.Context, b iysapi.Brand, day time.Time, w io.Writer) (bool, error)
}

// Exchange carries out what a plan asks for; *exchange.Exchange does.
type Exchange interface {
	Adopt(ctx context.Context, moves []iys.Consent) error
	Restore(ctx context.Context, records []iys.Consent) error
	Ask(ctx context.Context, brand string, ch iys.Channel, rt iys.RecipientType, addresses []string) ([]exchange.Answer, error)
	KnownTo(b exchange.Brand) time.Time
	Wake()
}

// Errors of acts on days and plans.
var (
	ErrNoPlan  = errors.New("reconcile: there is no such plan")
	ErrState   = errors.New("reconcile: the plan is not in a state for this")
	ErrDay     = errors.New("reconcile: a day can be reconciled when it has ended, for seven days")
	ErrBrand   = errors.New("reconcile: the brand is not in mode partner")
	ErrProceed = errors.New("reconcile: some items could not be carried out; the others are, try again")
)
