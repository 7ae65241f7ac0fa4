// Package torture is the long storm (make torture): faults of all kinds strike a gateway under load, in random order: kill -9, also
// while it starts; frozen processes; a Redis that loses everything or is gone; operators that reset, fall silent, refuse and
// throttle; a smarthost that is away, hangs, keeps silent, cuts connections in the middle of the data or instead of an answer, and
// says later; an İYS that is down, slow or loses answers; a disk that is nearly or entirely full; a clock that jumps.
//
// Meanwhile customers send campaigns, orders and one-time passwords over HTTP and SMPP, and two of their mail servers relay mails to
// one to five people. People opt out at random instants, many of them while a message to them is under way: over the API, by SMS, by
// the one-click link of a mail, and at İYS, which pushes that with repeats and out of order. An administrator books credits, enters
// and approves sender IDs, pauses and cancels campaigns at the panel, and signs in again after every restart.
//
// At the end what customers were told is held against what operators and smarthost got: lost, repeated, leaked, damaged, charged
// wrongly (by what the operators took, not by the store's sums); what the panel confirmed against the store; every refusal, those of
// acknowledged pushes among them, must be in force here and known to İYS. A commercial message that an operator reads more than a
// quarter of a second after the refusal was acknowledged, or its campaign stopped, is a leak, also if the operator throttles it; the
// time a frozen process stood still is not counted. A refusal by SMS is acknowledged by our deliver_sm_resp. Every acknowledged
// message over SMPP has a receipt, delivered or still owed, that says what is so.
//
// Repeats are bounded twice: by what the faults may leave open together, and one by one. A second copy is explained only if no earlier
// one was answered, or if its answer was given during a fault that breaks links, or in the second before it: for short messages those
// to the operators, for mails those to the smarthost. The same goes for receipts that come twice.
//
// The store is verified. What is in doubt and may not be tried again is "unknown" and counted apart. The storm itself lives in package
// crash, with the shorter stories of kills.
//
// A storm counts if at least 200 faults struck, each of all kinds at least once, within twenty minutes; one of 200 or more that does
// not meet these terms fails. Without root no disk can be filled: such a run says that it does not count.
//
//	make torture                            # 210 faults, ten to twenty minutes
//	make torture TORTURE="-faults 50 -seed 7"
//
// The run prints one line of JSON, with machine, settings and durability; TORTURE_RESULT names a file for it.
package torture
