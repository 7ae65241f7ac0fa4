package gateway

// Classes of message (design: a commercial message needs consent, a transactional one a reason, an OTP neither).
const (
	ClassCommercial    = "commercial"
	ClassTransactional = "transactional"
	ClassOTP           = "otp"
)

// Channels as our API spells them.
const (
	ChannelSMS   = "sms"
	ChannelEmail = "email"
)

// Recipient types, İYS wire values (iys-api.md §5.1). RecipientIndividual is the default.
const (
	RecipientIndividual = "BIREYSEL"
	RecipientMerchant   = "TACIR"
)

// Reasons a transactional message can carry (regulation.md §2: the cases that need no prior consent).
var Reasons = []string{"subscription", "collection", "order", "delivery", "info_update", "legal"}

// ValidClass reports whether s is one of the three classes.
func ValidClass(s string) bool {
	return s == ClassCommercial || s == ClassTransactional || s == ClassOTP
}

// ValidReason reports whether s is a reason of Reasons.
func ValidReason(s string) bool {
	for _, r := range Reasons {
		if r == s {
			return true
		}
	}
	return false
}

// Lane is the priority class of traffic on its way out: one-time passwords overtake everything, transactional and commercial
// messages share what is left 8 : 2.
type Lane uint8

// The lanes, in order of urgency.
const (
	LaneOTP Lane = iota
	LaneTransactional
	LaneCommercial
	Lanes = 3 // how many there are
)

func (l Lane) String() string {
	switch l {
	case LaneOTP:
		return "otp"
	case LaneTransactional:
		return "transactional"
	default:
		return "commercial"
	}
}

// LaneOf returns the lane of a class; anything unknown travels with the commercial traffic, last.
func LaneOf(class string) Lane {
	switch class {
	case ClassOTP:
		return LaneOTP
	case ClassTransactional:
		return LaneTransactional
	default:
		return LaneCommercial
	}
}

// ChunkLimit is how many messages one queue task of the lane may carry: small where latency counts.
func (l Lane) ChunkLimit() int {
	switch l {
	case LaneOTP:
		return 10
	case LaneTransactional:
		return 20
	default:
		return 100
	}
}

// State is where a message stands.
type State uint8

// Message states. The zero value is no state at all, so that a forgotten field never reads as success.
const (
	StateNone State = iota
	StateAccepted
	StateScheduled   // waits for its sendAt
	StateHeld        // waits: quiet hours, consent unavailable, pause, no route
	StateQueued      // due, on its way to an operator
	StateSent        // the operator took every segment
	StateDelivered   // final: every segment confirmed on the handset
	StateUndelivered // final: the network gave up
	StateExpired     // final: validity ended first, here or in the network
	StateRejected    // final: the operator refused it
	StateUnknown     // final until a late receipt tells
	StateDropped     // final: policy (consent, block, sender)
	StateCancelled   // final: by the customer
	StateFailed      // final: cannot be sent (no route, cannot be encoded at hand-off)
	states
)

var stateNames = [states]string{"none", "accepted", "scheduled", "held", "queued", "sent", "delivered", "undelivered", "expired",
	"rejected", "unknown", "dropped", "cancelled", "failed"}

func (s State) String() string {
	if s >= states {
		return "none"
	}
	return stateNames[s]
}

// MarshalText writes the name used on every surface.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText wrote; unknown text becomes StateNone.
func (s *State) UnmarshalText(t []byte) error { *s = ParseState(string(t)); return nil }

// ParseState returns the state of that name, StateNone when there is none.
func ParseState(name string) State {
	for i, n := range stateNames {
		if n == name {
			return State(i)
		}
	}
	return StateNone
}

// Final reports whether the state never changes again, save unknown when a late receipt tells.
func (s State) Final() bool {
	return s >= StateDelivered && s < states
}

// Waiting reports whether the message has not left and may still be stopped.
func (s State) Waiting() bool {
	return s >= StateAccepted && s <= StateQueued
}

// badness orders final states for a message of several segments: the message is as bad as its worst segment.
func (s State) badness() int {
	switch s {
	case StateDelivered:
		return 0
	case StateNone, StateSent:
		return 1
	case StateUnknown:
		return 2
	case StateUndelivered:
		return 3
	case StateExpired:
		return 4
	case StateRejected:
		return 5
	default:
		return 6
	}
}

// Worse returns the worse of two segment states.
func (s State) Worse(t State) State {
	if t.badness() > s.badness() {
		return t
	}
	return s
}

// Refundable reports whether the credits of a message that ends in s go back. Undelivered is refunded by account policy;
// unknown only once resolved as not delivered.
func (s State) Refundable(undelivered bool) bool {
	switch s {
	case StateDropped, StateCancelled, StateRejected, StateFailed, StateExpired:
		return true
	case StateUndelivered:
		return undelivered
	}
	return false
}
