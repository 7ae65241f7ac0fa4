// Package smarthost delivers mail to next hops: it composes what leaves (header hygiene, unsubscribe fields, DKIM), keeps
// connections to one or more hosts, and tells what became of every recipient.
//
//	client, err := smarthost.New(smarthost.Config{Helo: "mx.example.com"}, hosts)
//	composed, err := smarthost.Compose(open, plan)
//	res := client.Deliver(ctx, smarthost.Message{From: verp.Address(id), To: …, Body: composed.Open, Size: composed.Size,
//		UTF8: composed.UTF8, EightBit: composed.EightBit, Lower: composed.Lower, HandOff: decide})
//	for _, o := range res.Outcomes { … o.Kind: Delivered, TryLater, Permanent, Doubt … }
//
// Hosts of the lowest rank that are up take turns; a host that cannot be reached, cannot be trusted or says 421 rests for a
// growing while and the next one is tried. A recipient that was refused is not tried elsewhere: 4xx is for the caller's
// schedule, 5xx is final. A connection lost after the end of the data leaves the recipients in Doubt.
//
// Octets above 127 are encoded before signing (package sevenbit), save in mail that came signed. BODY=8BITMIME and SMTPUTF8 are said
// where they are needed; a host that lacks them gets [Message.Lower], or the recipient fails with 5.6.3 or 5.6.9 and the host is not asked.
//
// [Message.HandOff] is called directly before the write that begins the data, at every attempt: there the caller decides for
// the last time whether the message may go.
//
// A connection says EHLO once and carries many messages. Where the host offers PIPELINING, MAIL, RCPT and DATA leave in one
// write; with CHUNKING a small message leaves with them, in a single round trip.
//
// The package refuses to know consent, queues and schedules, and never sees where keys and passwords are kept.
package smarthost
