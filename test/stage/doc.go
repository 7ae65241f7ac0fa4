// Package stage is where the scenarios of package test play: a whole gateway with its doors open on this machine, a simulated
// operator and a simulated İYS around it, and customers who speak HTTP and SMPP to it over real sockets.
//
//	s := stage.New(t)
//	s.Consent(s.Seeds.Brand, "BIREYSEL", "+905321000001", iys.StatusApproved)
//	s.Run()
//	res := s.API.Send(stage.Body{"from": s.Seeds.Sender, "text": "Merhaba", "to": []string{"+905321000001"}})
//	m := s.Final(res.Messages[0].ID)
//
// Everything listens on a free port of 127.0.0.1, everything is bounded, and nothing sleeps: Until is the only place that
// waits. When a scenario ends the gateway is stopped in order and its store is verified, so that every scenario also proves
// that the books balance and the chain of decisions is whole.
//
// The package knows how to play a customer and an operator. What ought to happen stands in the scenarios alone.
package stage
