// Package iysapi speaks the İYS REST API (documentation 3.2.0): consents in,
// questions and changes out.
//
// One [Client] stands for one API user. It owns that user's token (taken once,
// refreshed with rotation, kept in a [TokenStore] across restarts), and one
// rate limiter for every brand behind the machine's address, since İYS counts
// per IP. Create it with [New], share it, and call its methods with a [Brand].
// An intermediary (AHS) uses [AHSClient] instead: another host, Basic
// authentication, and no method that writes.
//
// A refusal of İYS is an [*APIError] that says what to do next ([Retry]);
// texts differ between operations, so callers decide on the code alone. The
// client repeats nothing by itself except one call with a new token after 401.
//
// Answers the documentation leaves open ("not confirmed" in iys-api.md) are
// read tolerantly, and every doubt goes to the refusing side: an address not
// named as approved is not approved, an intermediary's answer without a list
// is an error.
//
// The package keeps no consent, decides nothing about messages, and puts no
// address into errors or logs.
package iysapi
