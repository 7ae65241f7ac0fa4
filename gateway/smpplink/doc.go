// Package smpplink runs one SMPP connection: the loop that a server and a
// client share. It moves PDUs, matches answers to requests and keeps the
// session's time. It refuses to know who may bind, which PDU is legal in which
// state, and what a message is: that is its Handler's.
//
//	l := smpplink.New(conn, cfg, handler)
//	err := l.Run(ctx) // until the connection ends; then every request has had its callback
//
// # Reading
//
// One goroutine reads into a large buffer and hands every complete PDU in it
// to the Handler before it reads again. The bytes belong to the buffer: they
// are valid during the call only. enquire_link, unbind, unknown command ids
// and lost framing are dealt with here.
//
// # Writing
//
// Everybody appends whole PDUs to one bounded buffer under a mutex; one
// goroutine writes what has gathered, so that many PDUs share a system call.
// [Link.Write] waits for room, [Link.Push] never does and ends a link whose
// peer does not read.
//
// # Requests
//
// A request needs a place in the window. [Link.Reserve] sets places and
// buffer room aside for all segments of one message; [Link.SendBatch] then
// appends them in one critical section and cannot block, wait or fail half
// way. That is what makes "the last check, then hand off" possible under a
// caller's lock. Each request appended gets exactly one [Result]: answered,
// timed out or lost. One that timed out is remembered for a while: whoever
// implements [LateRequests] hears of a response that comes after all.
//
// # Stopping
//
// The order is that of the flow: no new reservations, wait for what is in
// flight, unbind, flush, close, tell the rest it is lost ([Link.Unbind]).
// Cancelling Run's context skips the waiting. Goroutines: reader (Run
// itself), writer, ticker; Run waits for the other two.
package smpplink
