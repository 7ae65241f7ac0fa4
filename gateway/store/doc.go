// Package store is the truth: everything izinli has acknowledged is in here, synced, before the acknowledgement leaves.
//
// Callers see batches, cursors and whole acts (accept a submission, open intents, close them with the operator's answers,
// apply a receipt, record an opt-out), never transactions or keys, so that a shared database can stand behind the same seams
// later. All writes go through one committer (commit.go) which gathers concurrent acts into one synced Badger transaction and
// answers them together: durability without a sync per message. Because the committer is the only writer, every act reads
// and writes a consistent state without locks or conflicts, and "now" is one instant per transaction.
//
// What a busy customer's submissions have one of each (a small batch, a place in the address index) stands in pages, one record for many
// of a transaction (batchpages.go, addresses.go); mail bodies of some size stand in a log of files beside the database (bodies.go). The
// cost of a message is the number of records it writes, far more than their octets.
//
// Keys are built in keys.go alone, documented there like a wire format. Values are written by codec.go. The in-memory parts
// (directory of what administrators edit, balances, heads of the decision chains) are copies that change only after the
// commit that changed the record.
//
// The package refuses to know: asynq, SMPP, HTTP, and when a message may go. It knows what must be true together.
package store
