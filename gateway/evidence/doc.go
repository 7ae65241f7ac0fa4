// Package evidence is what a company shows when somebody complains about a message: the message, why it was sent, what consent that
// rested on, what the operator said of it, and the proof that none of this was written afterwards.
//
// Every decision about a recipient stands in a record of its account's chain; each record carries the hash of the one before it. The
// records of an account and a day are the leaves of a hash tree; its top is the account's root of that day, and the roots of all
// accounts are the leaves of the day's root. Whoever keeps the daily roots elsewhere (izinli roots prints them) can tell later,
// from a [Bundle] alone, that a decision stood in the chain on that day as it stands in the bundle ([Verify]).
//
// The trees are those of RFC 6962 §2.1: SHA-256, leaves and nodes told apart by their first octet. A leaf of an account's tree is the
// hash of a chain record; records are numbered from 0 each day, so the sequence is the place of the leaf.
//
// [Bundle.HTML] writes a bundle as one page in Turkish and English that prints well and needs nothing else.
//
// The package refuses to know how records are stored and encoded: the store hands them over, and a [Decoder] reads them back.
package evidence
