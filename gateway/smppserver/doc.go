// Package smppserver is the SMPP door: the SMSC side that customers bind to.
//
// It parses, authenticates, asks and translates; it decides nothing. What a
// client submits becomes a [gateway.Submission] for the one door, what the
// door answers becomes a command_status by the one table of codes, and what
// the store owes a client (receipts, messages from handsets) leaves as
// deliver_sm until the client has acknowledged it.
//
//	srv := smppserver.New(cfg, deps)
//	err := srv.Serve(ctx, listener) // until ctx is done; more than one listener may be served at once
//
// TLS is a listener wrapped by the caller. Cancelling the context stops in the
// order of flow: no new connections, submits that are under way are finished
// and answered, clients are unbound, connections close; all of it bounded by
// Config.StopTimeout.
//
// # Submitting
//
// The reader of a connection only checks and parses. Each request then runs on
// a worker, because a submit waits for a synced commit: as many are under way
// per bind as its window allows, so commits carry many messages, and answers
// leave in the order in which they become known. A request over the window or
// over a rate is answered ESME_RTHROTTLED at once.
//
// The client's encoding is kept: the user data travels as [gateway.RawSMS] and
// the decoded text beside it serves for judging. Only a text that does not fit
// one short message is handed over as text, to be cut by the road in. Parts of
// a long message (user data header or SAR parameters) are stored one by one,
// each answered with its own id, and submitted as one message when the last
// has come; see parts.go.
//
// A recipient that policy drops is answered in one of two ways. If the client
// will be told by a receipt the response is ESME_ROK; if it asked for no
// failure receipt, or its credential is in inline mode, the response carries
// the refusal. Never both, never neither; see submit.go.
//
// # Delivering
//
// One pump per system_id reads what is owed from the store and spreads it over
// the client's receiving binds. It remembers nothing that the store does not:
// after a restart whatever was not acknowledged is delivered again.
//
// What a client does not take is repeated, and keeps nothing newer waiting: at
// most half of Config.MaxOwed of it stays in memory, the rest is read again
// behind what is new. ESME_RX_P_APPN and ESME_RX_R_APPN end a delivery at once;
// a status that does not say that it passes does so after Config.MaxRefusals;
// one that passes, and silence, after [gateway.MaxValidity]. All of these are
// logged and counted as undeliverable. The store keeps what it owes a day
// longer than that, and drops without a word what no client was bound to get.
//
// The package knows the protocol and the words of package gateway. It does not
// know intake, store or queue, and no consent.
package smppserver
