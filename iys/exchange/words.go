package exchange

import (
	"context"
	"time"

	"izinli/iys"
	"izinli/iys/iysapi"
)

// State is how far an entry of the outbox has come.
type State string

// The states. All but the first two and owed_by_customer are final;
// owed_by_customer is not ours to send, but its deadline runs.
const (
	StatePending       State = "pending"
	StateSent          State = "sent" // a call has left or is about to
	StateAccepted      State = "accepted"
	StateRefused       State = "refused"          // by İYS or by its known rules; Code says why
	StateNotApplicable State = "not_applicable"   // İYS has nothing to refuse, or the brand is exempt
	StateSuperseded    State = "superseded"       // something later holds
	StateOwed          State = "owed_by_customer" // we may not write for the brand; ends when İYS lists it or the customer says so
)

// Open reports whether the clock of an entry in this state still runs.
func (s State) Open() bool { return s == StatePending || s == StateSent || s == StateOwed }

// Entry is one change owed to İYS.
type Entry struct {
	ID uint64 // given by the store, rising
	iys.Key
	Status         iys.Status // ONAY or RET
	Source         iys.Source // an HS_ source
	ConsentDate    time.Time  // whole seconds
	RetailerCode   int
	RetailerAccess []int

	Received time.Time // when the person's word reached us
	Deadline time.Time // last second of the third business day

	State        State
	Batch        bool      // sent in a batch
	RequestID    string    // of the batch, empty until İYS named it
	SubRequestID string    // empty when İYS named none
	Place        int       // index in the batch
	SentAt       time.Time // when the present attempt left
	NextAt       time.Time // not before
	Attempts     int

	TransactionID string    // StateAccepted
	CreationDate  time.Time // StateAccepted
	Code          string    // İYS code of a refusal, or of the last failure
	Changed       time.Time // when State changed last

	// Of the present pass alone.
	first bool // the attempt under way is the first: no earlier one can have been stored
	known bool // İYS holds a record of the address: an approval updates it and needs no room in the package
}

// Consent is the entry as a record.
func (e Entry) Consent() iys.Consent {
	return iys.Consent{
		Key: e.Key, Status: e.Status, Source: e.Source, ConsentDate: e.ConsentDate,
		RetailerCode: e.RetailerCode, RetailerAccess: e.RetailerAccess,
		Origin: iys.OriginAPI, TransactionID: e.TransactionID, CreationDate: e.CreationDate,
	}
}

// NewEntry makes a pending entry from a consent or refusal received at the
// given time. The recipient must be in canonical form. A record without a date,
// which İYS allows for a merchant's first, takes the time of receipt: two bodies
// without a date are the same to V2, which would answer the second with the
// first one's transaction although a refusal lies between them.
func NewEntry(c iys.Consent, received time.Time, cal *iys.Calendar) Entry {
	if c.ConsentDate.IsZero() {
		c.ConsentDate = received
	}
	return Entry{
		Key: c.Key, Status: c.Status, Source: c.Source, ConsentDate: c.ConsentDate.Truncate(time.Second),
		RetailerCode: c.RetailerCode, RetailerAccess: c.RetailerAccess,
		Received: received, Deadline: cal.Deadline(received), State: StatePending, Changed: received,
	}
}

// OptOut makes the entries of one opt-out: a block covers both recipient types,
// and which of them İYS knows is found out before anything is written.
func OptOut(brand string, ch iys.Channel, recipient string, src iys.Source, at time.Time, cal *iys.Calendar) []Entry {
	out := make([]Entry, 0, 2)
	for _, rt := range []iys.RecipientType{iys.RecipientPerson, iys.RecipientMerchant} {
		out = append(out, NewEntry(iys.Consent{
			Key:    iys.Key{Brand: brand, Channel: ch, RecipientType: rt, Recipient: recipient},
			Status: iys.StatusRejected, Source: src, ConsentDate: at,
		}, at, cal))
	}
	return out
}

// Cursor is where the pull of a brand's listing stands.
type Cursor struct {
	Brand  string
	Source iysapi.ChangeSource
	After  string    // İYS's token, opaque
	EndAt  time.Time // start of the last pull that reached the end; zero = never
	Trust  time.Time // answers read before this may lack lost movements; zero = none lost
	// Channels is up to when each channel was listed: a listing leaves out what
	// the company does not let us read, so that EndAt alone vouches for none.
	Channels map[iys.Channel]time.Time `json:",omitempty"`
	// Missed names channels that are not ours any more, with the moment up to
	// which they were listed: the listing has gone past their movements.
	Missed map[iys.Channel]time.Time `json:",omitempty"`
	// First is when the listing was begun anew for a channel that had never been
	// in it: what was known of the channel before does not count.
	First map[iys.Channel]time.Time `json:",omitempty"`
}

// ListedTo is the moment up to which the listing told everything of a channel;
// zero when it was never listed to the end. A cursor of before channels were
// told apart vouches for all.
func (c Cursor) ListedTo(ch iys.Channel) time.Time {
	if c.Channels == nil {
		return c.EndAt
	}
	return c.Channels[ch]
}

// TrustOf is the moment from which on answers about a channel count; zero when
// all do.
func (c Cursor) TrustOf(ch iys.Channel) time.Time {
	if at := c.First[ch]; at.After(c.Trust) {
		return at
	}
	return c.Trust
}

// Requery is the plan to ask İYS about every record of a brand: movements were
// lost, and the look-up alone can tell what holds. It survives restarts.
type Requery struct {
	Brand    string
	Reason   string
	Started  time.Time
	Finished time.Time // zero: under way
	Total    int       // records when it started
	Done     int       // of them asked
	Changed  int       // of them answered otherwise than we held
	Skipped  int       // addresses İYS cannot be asked about
	After    iys.Key   // the last record asked, in the store's order
}

// Open reports whether the plan is under way.
func (r Requery) Open() bool { return !r.Started.IsZero() && r.Finished.IsZero() }

// Newcomer is a citizen who added himself to a brand for the first time. The
// name is there so that the brand can tell whom it now writes to; it is
// personal data and kept for NewcomerLife only.
type Newcomer struct {
	iys.Key
	Name string
	At   time.Time // consent date
}

// NewcomerLife is how long a newcomer's name is kept: as long as İYS lists it
// (iys-api.md §8.1).
const NewcomerLife = 7 * 24 * time.Hour

// Changes is what one commit stores: all of it or nothing, save that a store
// may write more than a transaction of its takes in pieces, in the order
// consents, movements, newcomers, entries, plans, cursors. After an error the
// beginning of that may be stored, and is stored again without harm.
type Changes struct {
	Entries   []Entry       // new states of entries, by ID; one without an ID is new
	Consents  []iys.Consent // records to be put, by Key
	Cursors   []Cursor      // by Brand and Source
	Moves     []iys.Consent // movements İYS has registered, for reconciliation; a repeat replaces itself
	Requeries []Requery     // by Brand
	Newcomers []Newcomer    // by Key
}

// Store is the durable side. Every method sees all commits made before it.
type Store interface {
	// Commit stores all changes (see Changes) and returns when they are synced.
	Commit(ctx context.Context, c Changes) error
	// DueEntries returns up to limit pending or sent entries of a status with
	// NextAt not after now, those of some brands left out, lowest ID first.
	DueEntries(ctx context.Context, s iys.Status, now time.Time, limit int, leaveOut ...string) ([]Entry, error)
	// OpenEntries returns the pending and sent entries of the keys, any order.
	OpenEntries(ctx context.Context, keys []iys.Key) ([]Entry, error)
	// OwedEntries returns the entries of the keys that only the customer can
	// write, any order.
	OwedEntries(ctx context.Context, keys []iys.Key) ([]Entry, error)
	// OwedOf returns the entries of a brand's channel that only the customer can
	// write, of the addresses that follow a key in the store's own, stable order;
	// the zero key begins. It ends with the address that fills the limit. It is
	// asked often: it must not read what other channels owe.
	OwedOf(ctx context.Context, brand string, ch iys.Channel, after iys.Key, limit int) ([]Entry, error)
	// OpenEntry returns an open entry by its ID, false when none is open by it.
	OpenEntry(ctx context.Context, id uint64) (Entry, bool, error)
	// AgedEntries returns up to limit open entries (owed ones included)
	// received before t, lowest ID first.
	AgedEntries(ctx context.Context, t time.Time, limit int) ([]Entry, error)
	// OutboxAges counts the open entries by the day on which they were received
	// and their deadline. It is asked every few seconds: it must not read entries.
	OutboxAges(ctx context.Context) ([]AgeCount, error)
	// Consents returns the records of keys, aligned; one not there has no Status.
	Consents(ctx context.Context, keys []iys.Key) ([]iys.Consent, error)
	// Cursor returns the zero Cursor when there is none.
	Cursor(ctx context.Context, brand string, src iysapi.ChangeSource) (Cursor, error)
	// Requery returns the last plan of a brand, the zero Requery when there is none.
	Requery(ctx context.Context, brand string) (Requery, error)
	// ConsentsAfter returns up to limit records of a brand that follow a key in
	// the store's own, stable order; the zero key begins.
	ConsentsAfter(ctx context.Context, brand string, after iys.Key, limit int) ([]iys.Consent, error)
	// CountConsents counts the records of a brand.
	CountConsents(ctx context.Context, brand string) (int, error)
}

// Mirror is the local copy in memory; mirror.Mirror is one.
type Mirror interface {
	Put(c iys.Consent) bool
	Pulled(brand string, ch iys.Channel, start time.Time)
	PulledAt(brand string, ch iys.Channel) time.Time
	Distrust(brand string, ch iys.Channel, from time.Time)
}

// API is the partner's side of İYS; *iysapi.Client is one.
type API interface {
	Add(ctx context.Context, b iysapi.Brand, c iys.Consent) (iysapi.Receipt, error)
	AddBatch(ctx context.Context, b iysapi.Brand, list []iys.Consent) (iysapi.BatchReceipt, error)
	Request(ctx context.Context, b iysapi.Brand, requestID string) ([]iysapi.ItemResult, error)
	Status(ctx context.Context, b iysapi.Brand, k iys.Key) (iys.Consent, bool, error)
	StatusMany(ctx context.Context, b iysapi.Brand, rt iys.RecipientType, ch iys.Channel, recipients []string) ([]bool, error)
	Changes(ctx context.Context, b iysapi.Brand, src iysapi.ChangeSource, after string, limit int) (iysapi.Page, error)
}

// AHS is the intermediary's side of İYS; *iysapi.AHSClient is one. It cannot
// write.
type AHS interface {
	Approved(ctx context.Context, brandCode string, rt iys.RecipientType, ch iys.Channel, recipients []string) ([]bool, error)
}

// Brand is a brand as the directory knows it.
type Brand struct {
	iysapi.Brand
	Modes    map[iys.Channel]iys.Mode
	ReadOnly map[iys.Channel]bool // partner without the right to write
	// Withheld are channels the company no longer lets its partner read: İYS
	// leaves them out of its listings without a word (iys-api.md §8.1).
	Withheld map[iys.Channel]bool
	// Granted is when İYS last told our rights on a channel, zero where it was
	// never asked: no listing read after that is believed. Without an entry nobody
	// has to grant it.
	Granted map[iys.Channel]time.Time
	API     API // for channels in mode partner
	AHS     AHS // for channels in mode ahs
}

// partner reports whether we hold İYS for the brand on ch.
func (b Brand) partner(ch iys.Channel) bool { return b.Modes[ch] == iys.ModePartner && b.API != nil }

// listed reports whether İYS's listings tell us of ch.
func (b Brand) listed(ch iys.Channel) bool { return b.partner(ch) && !b.Withheld[ch] }

// Directory knows the brands. Its answers are read anew for every piece of
// work, so a change needs no restart.
type Directory interface {
	Brand(ctx context.Context, code string) (Brand, bool, error)
	Brands(ctx context.Context) ([]Brand, error)
}

// Rights asks İYS what companies let us do as their partner; iyslink.Rights is
// one.
type Rights interface {
	// Renew returns when the Directory tells of all brands named what İYS said
	// of them at since or later. It does nothing for brands nobody has to grant
	// us anything for. After an error it may be so of some.
	Renew(ctx context.Context, brands []string, since time.Time) error
}

// Listener hears of movements read from İYS (pulled or pushed), after the
// refusals among them are in the mirror and before the cursor moves on: an
// error makes the page come again. It sets and lifts blocks. It must take a
// repeat in its stride.
type Listener interface {
	Moved(ctx context.Context, moves []iys.Consent) error
}
