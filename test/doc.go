// Package test holds the scenarios that prove the promises of the gateway as a whole: each file tells one story against a
// gateway that is assembled as in production, over real sockets, with a simulated operator and a simulated İYS around it
// (package stage). What one package owes by itself is proved beside its code.
//
//	casetable_test.go       who may be sent what, by both doors, judged by what the operator received
//	badinput_test.go        every wrong request, its stable code, and that nothing of it stays
//	optout_test.go          an opt-out in the middle of a campaign
//	crash_test.go           kill -9 in the middle of a run, again and again; a short storm
//	api_walkthrough_test.go a gateway set up by hand with the command line
//	torture/                faults of all kinds under load (make torture)
//	e2e/                    foreign SMPP implementations (build tag e2e)
//	promises.sh             breaks each promise in a copy of the code and demands that its test notices
package test
