// Package torture is the long storm (make torture): faults of all kinds strike a gateway under load, in random order: kill -9, also
// while it starts; frozen processes; a Redis that loses everything or is gone; operators that reset, fall silent, refuse and
// throttle; an İYS that is down, slow or loses answers; a disk that is nearly or entirely full; a clock that jumps. Meanwhile
// customers send campaigns, orders and one-time passwords over HTTP and SMPP, and people opt out at random instants.
//
// At the end what customers were told is held against what the operators got: lost, repeated, leaked, charged wrongly; the store
// is verified, and İYS asked for every refusal. The storm itself lives in package crash, with the shorter stories of kills.
//
//	make torture                            # 210 faults, about a quarter of an hour
//	make torture TORTURE="-faults 50 -seed 7"
//
// The run prints one line of JSON; TORTURE_RESULT names a file for it.
package torture
