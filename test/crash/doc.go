// Package crash is the story of a gateway that is killed again and again in the middle of its work (P2, P3).
//
// Customers submit over HTTP and SMPP without a pause, an operator takes the messages, and the gateway, a process of its own,
// gets kill -9 at random points: each time while at least a thousand accepted messages are not final and at least one whole
// window is unanswered. Afterwards nothing that was acknowledged may be missing, repeats must stay within what the open intents
// allow (twice the window of each bind for each kill), the ledger must balance and every chain of decisions hold.
//
//	func TestMain(m *testing.M) { crash.Main(m) } // the test binary is the gateway's program, too
//
//	crash.Run(t, crash.Story{Messages: 20_000, Kills: 10, Redis: true})
//
// The operator and İYS live in the test, so that they see what a crash leaves undone.
package crash
