// Package smtpserver is the SMTP door: applications submit through it, mail servers relay through it, and mail for ourselves
// (bounces, complaints, unsubscribes) comes in through it.
//
//	srv, err := smtpserver.New(smtpserver.Config{Domain: "mx.example.com", TLS: tlsConfig}, deps)
//	go srv.Serve(ctx, ln, smtpserver.Submission)    // STARTTLS, then AUTH
//	go srv.Serve(ctx, ln2, smtpserver.SubmissionTLS) // TLS from the first octet
//	go srv.Serve(ctx, ln3, smtpserver.Relay)        // peers by address or certificate, and mail for ourselves
//
// It is never an open relay: what is not for [Deps.Inbox] needs a principal, by AUTH (PLAIN, LOGIN, SCRAM-SHA-256, under TLS
// alone) or as a [Peer]. A principal sends from domains approved for its account, in the envelope and in the header.
//
// Where the credential permits one class, each recipient is judged by Submitter.Check at RCPT and refused there with a reason.
// Where a header decides (X-Message-Class …, mail.HeaderClass), the judgement falls after the data: permitted recipients are
// accepted, the sender learns of the others by DSN, and 554 5.7.1 is the answer when none is left. <number>@sms.<domain> becomes
// an SMS; what becomes of that is told by DSN like anything else, under the address the client wrote.
//
// A message is accepted, 250, only after Submitter.Submit has returned. Its body streams into the BodyStore through a strict
// reader: bare CR or LF and NUL are refused, since they are how one message is smuggled inside another (RFC 5321 §2.3.8).
//
// A client that does not wait for an answer it has to wait for, before the greeting, behind STARTTLS, its first EHLO, AUTH or with the
// body of DATA, is told 554 5.5.0 and cut off (ahead.go says what of that can be seen).
//
// The SMTP dialogue is emersion/go-smtp's. What it leaves to us is bounded here: connections per address and sessions per
// account, time before login, a least rate of data, messages per connection, and a BDAT chunk cut off by the client, which
// go-smtp would pass off as a whole message.
//
// The package refuses to know İYS, queues and stores: it parses, authenticates, calls and translates.
package smtpserver
