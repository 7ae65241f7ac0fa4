package smtpserver

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"sync"

	"github.com/emersion/go-smtp"

	"izinli/gateway"
)

// String names the listener, as metrics call it.
func (m Mode) String() string {
	switch m {
	case Submission:
		return "submission"
	case SubmissionTLS:
		return "submissions" // the service's name (RFC 8314 §7.3)
	case Relay:
		return "relay"
	}
	return "unknown"
}

// Causes of a connection turned away with 421.
const (
	causeServer  = "server_full"  // Config.MaxConns
	causeAddress = "address_full" // Config.MaxPerAddress
	causePeer    = "peer_full"    // Peer.MaxConns
)

// Refusal is what was refused and how: the command (MAIL, RCPT, DATA; BDAT counts as DATA; CONNECT and STARTTLS of a client that spoke
// ahead of the answer), the reply ("550 5.7.1"), and the code
// of the table where one stands behind it.
type Refusal struct {
	Command, Reply string
	Code           gateway.Code
}

// Metrics is a snapshot of the door. Open counts connections now, everything else runs since New.
type Metrics struct {
	Open          map[string]int    // by listener
	Connections   map[string]uint64 // let in, by listener
	TurnedAway    map[string]uint64 // answered 421 instead, by cause: server_full, address_full, peer_full
	Accepted      map[string]uint64 // messages answered 250, by listener
	Refused       map[Refusal]uint64
	Logins        map[string]uint64 // by mechanism
	LoginFailures map[string]uint64 // by mechanism
	Inbox         uint64            // mails for ourselves taken
}

// tally counts what Metrics shows. Everything in it is rare beside the work of a message, so one lock is enough.
type tally struct {
	mu sync.Mutex
	m  Metrics // guarded by mu; Open unused
}

func newTally() tally {
	return tally{m: Metrics{Connections: map[string]uint64{}, TurnedAway: map[string]uint64{}, Accepted: map[string]uint64{},
		Refused: map[Refusal]uint64{}, Logins: map[string]uint64{}, LoginFailures: map[string]uint64{}}}
}

// add counts one in the map that pick names.
func add[K comparable](t *tally, pick func(*Metrics) map[K]uint64, k K) {
	t.mu.Lock()
	pick(&t.m)[k]++
	t.mu.Unlock()
}

func (t *tally) connection(m Mode) {
	add(t, func(m *Metrics) map[string]uint64 { return m.Connections }, m.String())
}
func (t *tally) turnedAway(cause string) {
	add(t, func(m *Metrics) map[string]uint64 { return m.TurnedAway }, cause)
}
func (t *tally) accepted(m Mode) {
	add(t, func(m *Metrics) map[string]uint64 { return m.Accepted }, m.String())
}
func (t *tally) refused(command string, err error) {
	add(t, func(m *Metrics) map[Refusal]uint64 { return m.Refused }, refusalOf(command, err))
}
func (t *tally) login(mech string) {
	add(t, func(m *Metrics) map[string]uint64 { return m.Logins }, mech)
}
func (t *tally) loginFailure(mech string) {
	add(t, func(m *Metrics) map[string]uint64 { return m.LoginFailures }, mech)
}

func (t *tally) inbox() {
	t.mu.Lock()
	t.m.Inbox++
	t.mu.Unlock()
}

// refusalOf reads a refusal as the client got it. The code stands in parentheses at the end, where replyOfCode wrote it.
func refusalOf(command string, err error) Refusal {
	r := Refusal{Command: command, Reply: "554 5.0.0"} // what go-smtp makes of an error that is no reply
	var e *smtp.SMTPError
	if !errors.As(err, &e) {
		return r
	}
	r.Reply = strconv.Itoa(e.Code)
	if e.EnhancedCode[0] > 0 {
		r.Reply += " " + strconv.Itoa(e.EnhancedCode[0]) + "." + strconv.Itoa(e.EnhancedCode[1]) + "." + strconv.Itoa(e.EnhancedCode[2])
	}
	if i := strings.LastIndexByte(e.Message, '('); i >= 0 && strings.HasSuffix(e.Message, ")") {
		if c := gateway.Code(e.Message[i+1 : len(e.Message)-1]); c.Known() {
			r.Code = c
		}
	}
	return r
}

// Metrics takes a snapshot.
func (s *Server) Metrics() Metrics {
	s.tally.mu.Lock()
	m := s.tally.m
	m.Connections, m.TurnedAway, m.Accepted = maps.Clone(m.Connections), maps.Clone(m.TurnedAway), maps.Clone(m.Accepted)
	m.Refused, m.Logins, m.LoginFailures = maps.Clone(m.Refused), maps.Clone(m.Logins), maps.Clone(m.LoginFailures)
	s.tally.mu.Unlock()
	m.Open = map[string]int{Submission.String(): 0, SubmissionTLS.String(): 0, Relay.String(): 0}
	s.mu.Lock()
	for c := range s.conns {
		m.Open[c.mode.String()]++
	}
	s.mu.Unlock()
	return m
}
