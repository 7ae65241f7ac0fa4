package desk

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/evidence"
)

// Store is what the desk uses of the store.
type Store interface {
	Directory() *gateway.Directory
	PutAccount(context.Context, *gateway.Account) error
	PutBrand(context.Context, *gateway.Brand) error
	PutSender(context.Context, *gateway.Sender) error
	PutNumber(context.Context, *gateway.Number) error
	PutCredential(context.Context, *gateway.Credential) error
	PutOperator(context.Context, *gateway.Operator) error
	PutRoute(context.Context, *gateway.Route) error
	PutIYSLink(context.Context, *gateway.IYSLink) error
	PutWebhook(context.Context, *gateway.Webhook) error
	PutForm(context.Context, *gateway.Form) error
	DeleteSender(context.Context, gateway.SenderKey) error
	DeleteNumber(context.Context, *gateway.Number) error
	DeleteOperator(context.Context, string) error
	DeleteRoute(context.Context, string) error
	PutSmarthost(context.Context, *gateway.Smarthost) error
	DeleteSmarthost(context.Context, string) error
	PutDKIMKey(context.Context, *gateway.DKIMKey) error
	DeleteDKIMKey(context.Context, gateway.DKIMName) error
	PutRelayPeer(context.Context, *gateway.RelayPeer) error
	DeleteRelayPeer(context.Context, string) error
	Suppressions(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.Suppression], error)
	Unsuppress(ctx context.Context, a gateway.AccountID, addr string) (bool, error)
	AddCredits(ctx context.Context, a gateway.AccountID, credits int64, note string) (gateway.Balance, error)
	Seal(plain string) gateway.Sealed

	gateway.Reader
	Evidence(ctx context.Context, a gateway.AccountID, addr string, ids []gateway.MessageID) (*evidence.Bundle, error)
	Roots(ctx context.Context, from, to time.Time) ([]evidence.DayRoot, error)
	Holds(context.Context, gateway.AccountID) ([]gateway.Hold, error)
	PutHold(context.Context, gateway.Hold) error
	DeleteHold(context.Context, gateway.Hold) error
	CancelBatch(context.Context, gateway.AccountID, gateway.BatchRef) (int, error)
	PauseBatch(context.Context, gateway.AccountID, gateway.BatchRef) error
	ResumeBatch(context.Context, gateway.AccountID, gateway.BatchRef) error
	CancelMessage(context.Context, gateway.AccountID, gateway.MessageID) error

	Events(ctx context.Context, a gateway.AccountID, failed bool, cursor string, limit int) (gateway.Page[gateway.Event], error)
	ReplayEvents(ctx context.Context, a gateway.AccountID, ids []string) (int, error)
	Blocks(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.Block], error)
	Bookings(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.Booking], error)
}

// Blacklist keeps the addresses accounts never write to (kara liste).
type Blacklist interface {
	Blacklist(ctx context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[BlacklistEntry], error)
	// Blacklisted returns the entry of a normalised address, nil when there is none.
	Blacklisted(ctx context.Context, a gateway.AccountID, address string) (*BlacklistEntry, error)
	PutBlacklist(context.Context, BlacklistEntry) error
	DeleteBlacklist(ctx context.Context, a gateway.AccountID, address string) error
}

// Entry is one change, for the audit trail: who did what to which record, and the record before and after (null when there was
// or is none), secrets left out.
type Entry struct {
	Who    string          `json:"who"`
	What   string          `json:"what"`   // method of Service, e.g. PutBrand
	Target string          `json:"target"` // kind and name, e.g. "brand 675403"
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
	At     time.Time       `json:"at"`
}

// Deps is what an Admin works with. Store is required; without the others their methods answer CodeUnavailable or do nothing.
type Deps struct {
	Store     Store
	Consents  gateway.ConsentDesk
	Blacklist Blacklist
	IYS       IYSOffice
	Verify    func(context.Context) (Report, error)
	Package   func(context.Context, gateway.AccountID) (gateway.PackageReport, error)
	PublicURL func() string                // where forms are reached, empty when nobody has said so; nil: not known here
	CheckURL  func(string) error           // refuses webhook addresses; nil: absolute http or https URLs pass
	Audit     func(context.Context, Entry) // told after each change; must not block for long
	Now       func() time.Time             // time.Now when nil
	Log       *slog.Logger                 // nil: none

	Submitter gateway.Submitter
	Lanes     Lanes
	Totals    func(ctx context.Context, brand string) (BrandTotals, error)
	Settings  func() []Setting
	Replayed  func(gateway.AccountID) // told when events of an account's webhook were made due

	Users     Users         // who may sign in to the panel
	UsersLock sync.Locker   // held from reading a user to having written it, by the panel too; nil: no panel runs on the store
	PanelURL  func() string // where browsers reach the panel; nil or empty: not known
}

// Admin does the acts of Service on a store. Its methods are safe for concurrent use; changes of its records happen one at a time.
type Admin struct {
	deps  Deps
	store Store

	mu sync.Mutex // held from reading a record to having written it
}

var _ Service = (*Admin)(nil)

// New returns an Admin.
func New(d Deps) *Admin {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.CheckURL == nil {
		d.CheckURL = checkURL
	}
	if d.UsersLock == nil {
		d.UsersLock = &sync.Mutex{}
	}
	return &Admin{deps: d, store: d.Store}
}

type actorKey struct{}

// WithActor says on whose behalf the acts under ctx are done, e.g. "panel ayse@example.com" or "cli root".
func WithActor(ctx context.Context, who string) context.Context {
	return context.WithValue(ctx, actorKey{}, who)
}

// ActorOf returns who acts under ctx, "unknown" when nobody said.
func ActorOf(ctx context.Context) string {
	if who, ok := ctx.Value(actorKey{}).(string); ok && who != "" {
		return who
	}
	return "unknown"
}

type grantKey struct{}

// WithoutGrants says that whoever acts under ctx may not let an account do more: what he asks for waits for an administrator of the
// gateway. A sender ID of his is not approved and, once there, not his to change; a credential gets no class beyond commercial that it
// has not been given before, and a test message none that no credential has. Without it everything is granted, as to the command line.
func WithoutGrants(ctx context.Context) context.Context {
	return context.WithValue(ctx, grantKey{}, true)
}

// mayGrant reports whether who acts under ctx may let an account do more.
func mayGrant(ctx context.Context) bool { return ctx.Value(grantKey{}) == nil }

// audit reports a change; before and after are records or nil pointers.
func (a *Admin) audit(ctx context.Context, what, target string, before, after any) {
	if a.deps.Audit == nil {
		return
	}
	a.deps.Audit(ctx, Entry{
		Who: ActorOf(ctx), What: what, Target: target, At: a.deps.Now(), Before: record(before), After: record(after),
	})
}

// record is v as JSON without secrets; "null" for a nil pointer.
func record(v any) json.RawMessage {
	switch x := v.(type) {
	case *gateway.Credential:
		v = hide(x)
	case *gateway.Operator:
		v = hide(x)
	case *gateway.IYSLink:
		v = hide(x)
	case *gateway.Webhook:
		v = hide(x)
	case *gateway.Smarthost:
		v = hide(x)
	case *gateway.DKIMKey:
		v = hide(x)
	}
	b, err := json.Marshal(v)
	if err != nil { // no record has a field that cannot be written
		return json.RawMessage("null")
	}
	return b
}

// secretive is a record with secrets in it.
type secretive interface {
	gateway.Credential | gateway.Operator | gateway.IYSLink | gateway.Webhook | gateway.Smarthost | gateway.DKIMKey
}

// hide returns a copy without secrets: a hash goes, a sealed secret shows only that it is set.
func hide[T secretive](x *T) *T {
	if x == nil {
		return nil
	}
	c := *x
	switch p := any(&c).(type) {
	case *gateway.Credential:
		p.SecretHash = ""
	case *gateway.Operator:
		p.Password = mark(p.Password)
	case *gateway.IYSLink:
		p.Password, p.AHSPassword = mark(p.Password), mark(p.AHSPassword)
	case *gateway.Webhook:
		p.Secret = mark(p.Secret)
	case *gateway.Smarthost:
		p.Password = mark(p.Password)
	case *gateway.DKIMKey:
		p.Private = mark(p.Private)
	}
	return &c
}

func mark(s gateway.Sealed) gateway.Sealed {
	if s == "" {
		return ""
	}
	return gateway.Sealed(s.String())
}

// commit writes after with put and reports the change. The caller holds a.mu.
func commit[T any](ctx context.Context, a *Admin, what, target string, before, after *T, put func(context.Context, *T) error) error {
	if err := put(ctx, after); err != nil {
		return err
	}
	a.audit(ctx, what, target, before, after)
	return nil
}

// unavailable is the answer of acts that need what this process does not have.
func unavailable(what string) error {
	return gateway.Refuse(gateway.CodeUnavailable, "", "The server must be running: %s are not at hand without it. Start it with \"izinli serve\".", what)
}

// account returns an account or refuses.
func (a *Admin) account(id gateway.AccountID) (*gateway.Account, error) {
	if id == 0 {
		return nil, gateway.Refuse(gateway.CodeInvalid, "account", "The account is missing: give its number (see \"izinli account list\").")
	}
	acc := a.store.Directory().Accounts[id]
	if acc == nil {
		return nil, gateway.Refuse(gateway.CodeNotFound, "account", "Account %d does not exist.", id)
	}
	return acc, nil
}
