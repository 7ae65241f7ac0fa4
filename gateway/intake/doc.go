// Package intake is the road in and the implementation of gateway.Submitter: every message of every door passes here.
//
// Submit is the road as a table of contents: draft (permission, class, sender, brand, times), text (template, encoding,
// segments), recipients (numbers in canonical form), verdicts (consent, from memory), acceptance (credits, decisions and
// messages in one synced commit). A recipient that is wrong is refused alone; one that policy stops is stored as dropped,
// with its decision; nothing else waits for them. İYS is not asked here on the way in, because an answer may take seconds:
// what the mirror does not know is accepted and asked about before hand-off. Only Check, dryRun and mail over SMTP, whose client
// waits for minutes, do ask.
//
// The package knows neither store nor queue: it sees a [Store] that accepts and an [Office] that judges.
package intake
