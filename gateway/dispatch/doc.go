// Package dispatch is the road out: it takes chunks of due messages from the queue and hands each message to an operator, or
// holds, drops or fails it, and writes down what became of it.
//
// Process is the road as a table of contents: load, judge, route, encode, permit, intent, hand off. Hand-off is the instant
// all segments of a message are appended to one bind's write buffer; it happens under the address lock, after a decision
// taken under the same lock, so that an opt-out that was acknowledged stops everything that comes after it. A message leaves
// only under a synced intent, and a carrier has at most twice its window of open intents: that bounds what a crash can repeat.
//
// The package knows what a message needs in order to leave. It does not know where records are kept, what asynq is, or how
// SMPP looks on the wire: it sees a [Store], a [Judge] and [Carrier] values.
package dispatch
