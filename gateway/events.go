package gateway

import "time"

// What a webhook is told of. The bodies of events are, in this order, MessageFinal, Inbound, Block and CreditLow as JSON; the type
// stands beside them (Event.Type), in a header of the request.
const (
	EventMessageFinal = "message.final" // a message reached a final state, or the one it had became known better
	EventInbound      = "inbound"       // a person wrote
	EventOptOutOwed   = "optout.owed"   // a refusal is in force here that only the customer can tell İYS of
	EventCreditLow    = "credit.low"    // the balance fell below the account's warning
)

// EventTypes lists them.
var EventTypes = []string{EventMessageFinal, EventInbound, EventOptOutOwed, EventCreditLow}

// MessageFinal is the body of EventMessageFinal.
type MessageFinal struct {
	ID       MessageID `json:"id"`
	Batch    BatchRef  `json:"batch"`
	Ref      string    `json:"ref"` // the caller's own, empty when he gave none
	To       string    `json:"to"`
	State    State     `json:"state"`
	Code     Code      `json:"code"`  // why, empty when all went well
	Error    string    `json:"error"` // the next hop's word on what failed, empty without
	Segments int       `json:"segments"`
	At       time.Time `json:"at"`
}

// CreditLow is the body of EventCreditLow.
type CreditLow struct {
	Credits int64     `json:"credits"` // what is left
	Warning int64     `json:"warning"` // the account's threshold
	At      time.Time `json:"at"`
}
