package iys

import "time"

// Key identifies a consent record inside İYS (iys-api.md §5.1).
type Key struct {
	Brand         string // brandCode, decimal text
	Channel       Channel
	RecipientType RecipientType
	Recipient     string // E.164 with +, or a lower-case e-mail address
}

// Consent is one state of one key. Times are instants; İYS keeps whole
// seconds. A record that came from a look-up has no date, source or
// transaction: İYS does not tell them there.
type Consent struct {
	Key
	Status        Status
	Source        Source
	ConsentDate   time.Time // when the person said it; the legal date
	CreationDate  time.Time // when İYS registered it; zero before that
	TransactionID string    // 64 hex characters, older ones a UUID; empty when unknown

	RetailerCode   int   // 8 digits, 0 = none
	RetailerAccess []int // at most 3000

	Origin Origin
	ReadAt time.Time // when we learned it from İYS or from the sender
}

// Resolve says which of two records of one key holds. The later ConsentDate
// wins, then the later CreationDate. A tie, and every doubt (a date is
// missing), goes to the refusal: to be silent towards one who agreed is a
// small wrong, to write to one who refused is not.
//
// A look-up answer has no date but holds as of ReadAt. An approval İYS
// registered after a refusing answer is later than it, and an approving answer
// is later than a refusal registered before it. A refusal arriving after an
// approving answer wins all the same: İYS lists movements in order, so an
// approval that truly followed comes next and puts it right.
func Resolve(stored, incoming Consent) Consent {
	if stored.Status == "" {
		return incoming
	}
	if incoming.Status == "" {
		return stored
	}
	if stored.Origin == OriginLive && incoming.Origin == OriginLive {
		return laterAnswer(stored, incoming)
	}
	if d := stored.ConsentDate.Compare(incoming.ConsentDate); d != 0 && dated(stored) && dated(incoming) {
		return pick(d > 0, stored, incoming)
	}
	if !dated(stored) || !dated(incoming) {
		return resolveUndated(stored, incoming)
	}
	if d := stored.CreationDate.Compare(incoming.CreationDate); d != 0 &&
		!stored.CreationDate.IsZero() && !incoming.CreationDate.IsZero() {
		return pick(d > 0, stored, incoming)
	}
	return refusing(stored, incoming)
}

func dated(c Consent) bool { return !c.ConsentDate.IsZero() }

// laterAnswer orders two answers of İYS to the same question.
func laterAnswer(stored, incoming Consent) Consent {
	d := stored.ReadAt.Compare(incoming.ReadAt)
	if d == 0 {
		return refusing(stored, incoming)
	}
	return pick(d > 0, stored, incoming)
}

func resolveUndated(stored, incoming Consent) Consent {
	// A look-up taken after the movement was registered already includes it.
	if answerRefutes(stored, incoming) {
		return incoming
	}
	if answerRefutes(incoming, stored) {
		return stored
	}
	// A merchant's line closed by an operator comes without a date. It is no word
	// of a person, and İYS registered what came after it: else a number given to
	// somebody new would stay closed for ever.
	if stored.Source == SourceIYSLineClosed && !dated(stored) && incoming.Status == StatusApproved &&
		!stored.CreationDate.IsZero() && incoming.CreationDate.After(stored.CreationDate) {
		return incoming
	}
	// The same status tells nothing new; keep the record that says more.
	if (stored.Status == StatusApproved) == (incoming.Status == StatusApproved) {
		return pick(dated(stored), stored, incoming)
	}
	// A fresh approving answer after an older refusal without a date of ours:
	// İYS itself has looked.
	if incoming.Origin == OriginLive && incoming.Status == StatusApproved &&
		!stored.CreationDate.IsZero() && incoming.ReadAt.After(stored.CreationDate) {
		return incoming
	}
	return refusing(stored, incoming)
}

// answerRefutes reports that answer is a refusing look-up and later an
// approval registered after it was given.
func answerRefutes(answer, later Consent) bool {
	return answer.Origin == OriginLive && answer.Status != StatusApproved &&
		later.Origin != OriginLive && later.Status == StatusApproved &&
		!answer.ReadAt.IsZero() && later.CreationDate.After(answer.ReadAt)
}

func pick(first bool, a, b Consent) Consent {
	if first {
		return a
	}
	return b
}

// refusing returns the record that refuses; when both or neither do, the
// incoming one.
func refusing(stored, incoming Consent) Consent {
	if stored.Status != StatusApproved && incoming.Status == StatusApproved {
		return stored
	}
	return incoming
}

// Block is the local stop of commercial messages to one address of a brand.
type Block struct {
	Brand     string
	Channel   Channel
	Recipient string
	Since     time.Time // when the person refused
}

// Lift is an approval that might end a block.
type Lift struct {
	Status      Status
	Source      Source
	Origin      Origin
	ConsentDate time.Time
	Evidence    bool // the sender attached proof of the consent
	Override    bool // the sender asked for the block to be lifted
}

// Lifts reports whether l ends b. Only a later approval by the person does:
// a movement with a person's IYS_ source, our hosted form, a double opt-in, or
// an API consent with evidence whose sender asked for it. An import, a
// reconciliation and a pulled HS_ movement never do, nor does an approval
// without a date or of the same instant as the refusal.
func Lifts(b Block, l Lift) bool {
	if l.Status != StatusApproved || l.ConsentDate.IsZero() || !l.ConsentDate.After(b.Since) {
		return false
	}
	switch l.Origin {
	case OriginPull, OriginPush:
		return l.Source.FromPerson()
	case OriginForm, OriginDouble:
		return true
	case OriginAPI:
		return l.Evidence && l.Override
	}
	return false
}
