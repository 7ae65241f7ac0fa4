// Package account lets callers in. An [Authenticator] checks API keys, SMPP system_ids and SMTP users against a snapshot of
// the directory; [Limits] keeps each account and credential to its rate; the generators and hash helpers make the secrets an
// administrator hands out.
//
// A door calls Authenticate once per request or session and keeps the immutable [gateway.Principal] it gets:
//
//	auth := account.New(store, account.Options{})
//	p, err := auth.Authenticate(ctx, gateway.KindAPI, "", bearer, remote)
//	if wait := limits.Allow(p, recipients); wait > 0 { … answer throttled … }
//
// Secrets are stored as one-way forms only: SHA-256 for API keys (which carry 256 random bits), argon2id for SMPP passwords,
// the SCRAM-SHA-256 keys of RFC 5803 for SMTP users. Each form names itself, so any of the two password forms is accepted for
// any kind. A wrong secret is answered after a delay that grows with the failures of the same source and name, and an unknown
// name costs what a known one costs.
//
// The package refuses to know how credentials are stored or edited, what a protocol answers, and what is being sent.
package account
