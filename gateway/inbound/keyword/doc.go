// Package keyword reads what people write to a sender: is a reply an opt-out,
// an opt-in, or something else, and which brand does it name. Beside it stands
// [Promotional], which finds advertising words in outgoing texts.
//
// The caller compiles a [Lexicon] once per inbound number, from its stop
// words and the brands bound to it, and asks [Parse] about each message. An
// [Intent] is a reading, not an act: blocking, finding the brand from earlier
// sendings when the text names none, and telling İYS are the caller's. The
// rules lean one way: a message that may be an opt-out is one, flagged
// Doubtful for a person to look at; a message that may be a consent is none.
//
// Everything is pure and safe for concurrent use. The package knows no store,
// no sender and no clock.
package keyword
