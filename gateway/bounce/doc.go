// Package bounce reads what comes back: delivery status notifications (RFC 3464), the plain bounces of servers that never
// learned them, complaints in the abuse reporting format (RFC 5965), automatic replies; and it writes the notifications we owe
// our own submitters.
//
//	rep, err := bounce.Parse(body, to)
//	switch rep.Kind {
//	case bounce.KindDSN, bounce.KindPlain:
//		for _, r := range rep.Recipients { … r.Action, r.Class.Suppress(), r.Class.Blocks() … }
//	case bounce.KindComplaint:
//		… rep.Complaint …
//	}
//
// Classification is data: classes.tsv lists patterns on enhanced codes, reply codes and texts, the first that fits decides.
//
// Everything read here was written by strangers. A report says what a server claims; which message of ours it is about, the
// caller proves with the signed return path it came to (smarthost.VERP). The package keeps no state, suppresses nobody and
// sends nothing.
package bounce
