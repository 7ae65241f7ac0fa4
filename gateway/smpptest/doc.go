// Package smpptest is an operator to test against: an SMSC that answers as it
// is told to, misbehaves on request and remembers what it got. Tests,
// benchmarks, the demo and `izinli simulate smsc` share it. It delivers
// nothing to anybody and knows no law.
//
//	smsc, err := smpptest.Start(smpptest.Config{Record: true})
//	defer smsc.Close()
//	... bind to smsc.Addr() and submit ...
//	err = smsc.WaitCount(ctx, 3)
//	for _, m := range smsc.Submits() { … }
//
// What it does with a message is decided by the first [Rule] that fits the
// destination; without rules it accepts and reports DELIVRD if a receipt was
// asked for. [Server.Hold], [Server.Stuck], [Server.DropAll] and
// [Server.DropAfter] make trouble at a chosen moment.
//
// With Record off it keeps counters only and answers whole batches at once,
// so that a benchmark measures its client. Dedupe adds a table of hashes that
// tells how many messages came more than once.
package smpptest
