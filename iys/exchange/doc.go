// Package exchange is the traffic with İYS: it writes what the gateway owes
// (the outbox), reads what changed there (the pull), and asks what the local
// copy does not know (Ask).
//
// Build one Exchange with [New], give it the durable store, the in-memory
// mirror and the directory of brands, start [Exchange.Run], and end with
// [Exchange.Close]. Whoever takes an opt-out or a consent commits an [Entry]
// ([NewEntry], [OptOut]) together with its own record and calls
// [Exchange.Wake]; the rest happens here, through any crash: an entry is
// marked sent before the call leaves, calls repeat with the same body, and İYS
// answers a repeat with the first result.
//
// Nothing is sent that İYS is known to refuse: fields and dates are judged by
// iys.Refuse, and a RET is written only for a record that İYS, just asked,
// calls approved. A refusal read from İYS is in the mirror before it is in the
// store.
//
// What a company withholds from its partner İYS leaves out of its listings
// without a word. The rights are therefore read before a pull and after it
// ([Rights]), and a pull vouches for a channel only if both answers grant it
// ([Brand] Granted, Withheld); what may have been left out otherwise is listed
// anew when the channel is ours again. What is taken away and given back between
// two such answers, a minute apart and the length of a listing, is not seen, and
// what it hid is for the reconciliation to find (package reconcile).
//
// The package does not decide about messages (iys.Decide), does not set or
// lift blocks, and knows neither accounts nor how anything is stored.
package exchange
