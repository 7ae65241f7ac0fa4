package gateway

import (
	"bytes"
	"crypto/sha256"
	"time"
)

// Batch is the shared part of the messages one submission became. It is written once, at acceptance.
type Batch struct {
	Account       AccountID
	ID            BatchID
	Credential    string
	Door          Door
	RemoteIP      string
	TraceID       string
	Channel       string
	Class         string
	Brand         string
	RecipientType string
	Reason        string
	From          string
	Text          string // template
	Subject       string
	HTML          string
	ReplyTo       string
	Headers       map[string]string
	Body          BodyRef
	Raw           *RawSMS
	Encoding      string
	Receipt       Receipt
	Priority      byte

	SourceTON, SourceNPI, DestTON, DestNPI byte

	Count      int       // recipients stored, dropped ones included
	SendAt     time.Time // when due; Created for an immediate one
	ValidUntil time.Time
}

// Ref names the batch.
func (b *Batch) Ref() BatchRef { return BatchRef{b.Account, b.ID} }

// Created is when the batch was accepted (to the millisecond).
func (b *Batch) Created() time.Time { return b.ID.Time() }

// Lane is the lane its messages travel in.
func (b *Batch) Lane() Lane { return LaneOf(b.Class) }

// Recipient is the stored part of one message: written at acceptance, never changed.
type Recipient struct {
	Address  string // normalised: +905…, or a lower-case mail address
	Ref      string
	Vars     []Var
	Segments uint8
	Encoding uint8 // sms.Encoding chosen at acceptance
	State    State // StateQueued, StateScheduled, StateHeld or StateDropped
	Code     Code  // why dropped or held
}

// Segment is what became of one part of a message at the operator.
type Segment struct {
	State      State  // StateNone: not answered; StateSent: taken; final ones from receipts
	OperatorID string // as normalised for the operator
	Err        string // err field or command_status of a refusal
}

// Taken reports whether an operator has the segment, and has not said that it did not arrive.
func (s *Segment) Taken() bool { return s.State == StateSent || s.State == StateDelivered }

// Progress is the changing part of one message, absent until something happened to it after acceptance.
type Progress struct {
	State    State
	Code     Code
	Attempts uint16
	Operator string    // that has or had it
	Updated  time.Time // of the last change
	NextAt   time.Time // when held: looked at again
	Sent     time.Time // when the operator took the last segment
	Open     bool      // an intent is open: it may have left
	Doubts   uint8     // earlier attempts that were never answered, at most MaxDoubts; 1 where only crashes of ours cut them off
	Bind     string    // the bind of the open intent
	Refunded bool
	Segments []Segment
	// Decisions points at the decision records of the message after its acceptance, oldest first.
	Decisions []DecisionRef
}

// MaxDoubts is how many attempts of a message may end without an answer: the last of them ends it as unknown. Each may have arrived, so
// this is also the most copies a person can get of one message, whatever operators and links do, save one more for each crash of ours
// while it was under way. Crashes are not counted beside other doubts, and as one without: most of what they cut off never left.
const MaxDoubts = 3

// Unanswered is Doubts with those under an intent that a crash left open.
func (p *Progress) Unanswered() int {
	if p.Open {
		return max(int(p.Doubts), 1)
	}
	return int(p.Doubts)
}

// MayHaveLeft reports whether an attempt was never answered: the message may have arrived.
func (p *Progress) MayHaveLeft() bool { return p.Unanswered() > 0 }

// Whole reports whether an operator has taken every segment.
func (p *Progress) Whole() bool {
	for i := range p.Segments {
		if !p.Segments[i].Taken() {
			return false
		}
	}
	return len(p.Segments) > 0
}

// NoteDoubt counts an attempt that ended without an answer.
func (p *Progress) NoteDoubt() { p.Doubts = min(p.Doubts+1, MaxDoubts) }

// Kinds of decision records.
type DecisionKind uint8

// The moments at which something is decided about a recipient.
const (
	DecisionAccept DecisionKind = iota + 1 // at the door
	DecisionIntent                         // just before hand-off
	DecisionHold
	DecisionDrop
	DecisionRefuse // at the door, nothing stored (RCPT)
)

func (k DecisionKind) String() string {
	switch k {
	case DecisionAccept:
		return "accept"
	case DecisionIntent:
		return "intent"
	case DecisionHold:
		return "hold"
	case DecisionDrop:
		return "drop"
	case DecisionRefuse:
		return "refuse"
	}
	return "none"
}

// Decision is why a message may or may not go, with the consent it rests on. It is appended, never overwritten (P4).
type Decision struct {
	Message MessageID
	Kind    DecisionKind
	Verdict string // send, hold, drop
	Rule    string // of package iys, or a rule of the gateway (sender, quiet_hours, validity, cancelled …)
	At      time.Time
	Policy  uint16 // policy version

	// The consent used, where there was one.
	Status        string
	Source        string
	Where         string // mirror, live, declaration, none
	ConsentDate   time.Time
	TransactionID string
	Age           time.Duration // how old the knowledge was
	Words         []string      // promotional words found
	Address       string        // only of refused recipients, which have no message
}

// DecisionRef points at a decision: the day (Istanbul, days since 1970) and sequence of its chain record, and its place in it.
type DecisionRef struct {
	Day uint32
	Seq uint32
	Pos uint16
}

// DueRef is one entry of the due index: messages that wait together. Its first span is recipients [First, First+Count) of Batch;
// small submissions that were accepted together share an entry, and then More holds the spans of the others.
type DueRef struct {
	Account AccountID
	Batch   BatchID
	First   uint32
	Count   uint32
	More    []Span
	Due     time.Time // millisecond resolution; part of the index key
	Lane    Lane
}

// Span names recipients [First, First+Count) of a batch.
type Span struct {
	Batch BatchID
	First uint32
	Count uint32
}

// Messages is how many messages the entry has.
func (r *DueRef) Messages() int {
	n := int(r.Count)
	for i := range r.More {
		n += int(r.More[i].Count)
	}
	return n
}

// Spans returns all spans of the entry.
func (r *DueRef) Spans() []Span {
	return append(append(make([]Span, 0, 1+len(r.More)), Span{r.Batch, r.First, r.Count}), r.More...)
}

// Work is what hand-off needs of the messages of one span of a due entry.
type Work struct {
	Ref        *DueRef // the entry, shared by the works of its spans
	Span       Span
	Batch      *Batch      // nil when the record is gone (retention)
	Recipients []Recipient // of Span, in order
	Progress   []Progress  // the same length; zero where nothing happened yet
}

// Acceptance is everything one accepted submission writes in its accepting commit.
type Acceptance struct {
	Batch      Batch
	Recipients []Recipient
	Decisions  []Decision // one per recipient, same order
	Refused    []Decision // of recipients without a message
	Credits    int64
	Segments   int64
	// Idempotency, when set, is stored with Answer; the commit fails with CodeIdempotencyMismatch or answers the stored one.
	Idempotency *IdempotencyKey
	Answer      []byte
	// PartIDs maps further ids given to the client (parts of a long message) to this message.
	PartIDs []string
	// Body is the octets of Batch.Body when they are to be stored by this commit.
	Body []byte
	// Parts, when set, is consumed: the stored parts of the long message disappear in the accepting commit.
	Parts *PartSet
}

// PartSet names the parts of one long message that a client sends piece by piece (SMPP): they may come over several binds.
type PartSet struct {
	Account   AccountID
	Source    string
	Dest      string
	Reference uint16
	Wide      bool // a 16-bit reference: another set than the same number in 8 bits
	Total     byte
	// Turn tells apart the messages for which a sender uses one reference. The store numbers them; doors leave it 0.
	Turn uint64
	// Closed says that another message has taken the reference over before this one was complete: no part joins it any more.
	Closed bool
}

// Name is the set as its sender names it, without the turn.
func (p PartSet) Name() PartSet {
	p.Turn, p.Closed = 0, false
	return p
}

// Part is one piece, stored and acknowledged with its own id before the others have come.
type Part struct {
	Set    PartSet
	Seq    byte   // 1 to Set.Total
	ID     string // given to the client in submit_sm_resp
	System string // system_id of the bind it came over
	At     time.Time
	PDU    []byte // the submit_sm body as received
	// Content is what the part says, from PartContent: a part with another content under the same number is no repetition. Zero in
	// records of older stores: their PDUs are compared.
	Content [16]byte
}

// PartContent is the fingerprint of what a part says: its data_coding, user data header and body.
func PartContent(dataCoding byte, udh, body []byte) (sum [16]byte) {
	h := sha256.New()
	h.Write([]byte{dataCoding, byte(len(udh))}) // the header's length is one octet on the wire as well
	h.Write(udh)
	h.Write(body)
	copy(sum[:], h.Sum(nil))
	return sum
}

// Repeats reports whether a part that has come says the same as one that is stored.
func (p *Part) Repeats(stored *Part) bool {
	if p.Seq != stored.Seq {
		return false
	}
	if stored.Content == ([16]byte{}) {
		return bytes.Equal(p.PDU, stored.PDU)
	}
	return p.Content == stored.Content
}

// Block stops class commercial for (brand, channel, address), whatever the recipient type and mode.
type Block struct {
	Account AccountID `json:"-"`
	Brand   string    `json:"brand"`
	Channel string    `json:"channel"` // MESAJ, EPOSTA
	Address string    `json:"address"`
	Route   string    `json:"route"`
	Source  string    `json:"source"`
	At      time.Time `json:"at"`
	Review  bool      `json:"review,omitempty"`
}

// Inbound is one message from a handset (MO).
type Inbound struct {
	ID       string    `json:"id"`
	Account  AccountID `json:"-"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Text     string    `json:"text"`
	Brand    string    `json:"brand,omitempty"`
	Keyword  string    `json:"keyword,omitempty"`
	Kind     string    `json:"kind"`             // message, optout, optin
	Brands   []string  `json:"brands,omitempty"` // brands an opt-out was applied to
	Operator string    `json:"operator,omitempty"`
	At       time.Time `json:"at"`
	Partial  bool      `json:"partial,omitempty"` // parts were missing
}

// Event is one notice owed to the customer's webhook.
type Event struct {
	ID      string    `json:"id"`
	Account AccountID `json:"-"`
	Type    string    `json:"type"` // of EventTypes
	At      time.Time `json:"at"`
	Body    []byte    `json:"-"` // JSON
	Tries   int       `json:"tries"`
	NextAt  time.Time `json:"nextAt"`
	LastErr string    `json:"lastError,omitempty"`
}

// ReceiptDue is one delivery receipt or MO owed to an SMPP client.
type ReceiptDue struct {
	Seq     uint64 // order within the account
	Account AccountID
	Message MessageID // zero for an MO
	Part    string    // id of the part the client holds; empty: the message's
	System  string    // system_id of the credential that submitted
	// Receipt
	State                                  State
	Code                                   Code
	Err                                    string
	From, To                               string // as submitted
	Submitted                              time.Time
	Done                                   time.Time
	SourceTON, SourceNPI, DestTON, DestNPI byte
	// MO
	MO *Inbound
}

// Intent says that a message is about to leave over an operator.
type Intent struct {
	Message  MessageID
	Operator string
	Lane     Lane // the same in all intents handed over together
	Segments int
	Again    bool // an intent that is open already is taken over (in doubt, handed off again)
	// NextAt is the message's as it was loaded. One that has got another since (replaced, resumed) waits under an entry of its
	// own and must not leave under this one.
	NextAt   time.Time
	Decision Decision
}

// SegmentAnswer is what an operator said about one segment.
type SegmentAnswer struct {
	Index      int
	State      State  // StateSent or StateRejected
	OperatorID string // normalised
	Err        string
	Relayed    bool // mail: the next hop will tell nothing of a delivery
}

// LateAnswer is that an operator has taken a segment, told after the time to wait for its answer was over: the attempt ended in doubt.
type LateAnswer struct {
	Message    MessageID
	Operator   string
	Segment    int
	Segments   int    // of the attempt: another may have been cut otherwise
	OperatorID string // normalised; some operators give none
}

// Change is one thing that happened to a message after its acceptance.
type Change struct {
	Message   MessageID
	Batch     *Batch
	Recipient *Recipient
	Operator  string
	Answers   []SegmentAnswer
	Close     bool  // the open intent ends
	Doubt     bool  // with Close: its attempt was never answered
	State     State // new state; StateNone keeps the present one
	Code      Code
	NextAt    time.Time // back into the due index at that time
	Decision  *Decision
	Clear     *DueRef   // the due entry is done with
	Move      time.Time // with Clear: the whole entry comes back then, its messages untouched

	// Ended is set when the change is applied: it has put the message into State, a final one. False where that is not so because another
	// change came first, or because every segment turned out to be taken.
	Ended bool
}

// OperatorReceipt is a delivery receipt of an operator.
type OperatorReceipt struct {
	Operator string
	ID       string // normalised
	State    State
	Err      string
}
