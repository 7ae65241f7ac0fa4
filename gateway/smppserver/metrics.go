package smppserver

// Metrics is a snapshot of the server. Counts of events run since New.
type Metrics struct {
	Conns    int            // connections, bound or not
	Binds    map[string]int // bound sessions by system_id
	InFlight int            // requests without an answer
	Owed     map[string]Owed

	Submitted     uint64 // messages handed in, each destination and part counted
	Refused       uint64 // requests answered with a status other than ESME_ROK
	Throttled     uint64 // of these, those over a window or rate
	BindFailures  uint64
	Delivered     uint64 // receipts and messages the client acknowledged
	Undeliverable uint64 // those given up: refused for good, refused too often, or too old
	Panics        uint64
}

// Owed is what one system_id is owed, as far as it was read from the store.
type Owed struct {
	Receivers int  // binds that can take it
	InFlight  int  // sent, not acknowledged
	Waiting   int  // read, not sent, or to be sent again
	More      bool // the store holds more than was read
}

// Metrics takes a snapshot.
func (s *Server) Metrics() Metrics {
	m := Metrics{Binds: map[string]int{}, Owed: map[string]Owed{},
		Submitted: s.submitted.Load(), Refused: s.refused.Load(), Throttled: s.throttled.Load(), BindFailures: s.bindFailures.Load(),
		Delivered: s.delivered.Load(), Undeliverable: s.undeliverable.Load(), Panics: s.panics.Load()}
	s.mu.Lock()
	m.Conns = s.conns
	for system, n := range s.binds {
		m.Binds[system] = n
	}
	for c := range s.sessions {
		m.InFlight += int(c.open.Load())
	}
	s.mu.Unlock()
	s.pumpMu.RLock()
	defer s.pumpMu.RUnlock()
	for system, p := range s.pumps {
		m.Owed[system] = p.stats()
	}
	return m
}
