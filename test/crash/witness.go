package crash

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"izinli/gateway"
	"izinli/gateway/smpp"
)

// witness sees the gateway from outside: what customers were told, what operators or smarthosts got. It believes nothing the gateway
// writes. Short messages and mails have one each.
type witness struct {
	people   *people
	kind     string        // of what it sees, for complaints: "message", "mail"
	inFlight time.Duration // Storm.InFlight

	mu      sync.Mutex
	refs    []fate               // by ref - 1
	refused map[uint32]time.Time // by person: when the opt-out was acknowledged
	asked   map[uint32]bool      // opt-outs handed in, acknowledged or not
	// People whose opt-out by SMS was confirmed.
	confirmed map[uint32]bool
	frozen    []span // when the gateway's process stood still
	leaks     []string
	late      int           // left just before an acknowledgement and were read just after it
	latest    time.Duration // the longest of these, without the time the process stood still
	refusals  int           // copies the operator did not take
	foreign   int           // the operator got what nobody sent
	damaged   []string
}

// fate is one message. Its ref stands in its text, so that the operator's copy names it.
type fate struct {
	class  byte
	person uint32
	said   said
	seen   uint16 // at the operators, together
	copies []sighting
	id     gateway.MessageID
	run    *campaign // nil: nobody steers it
	smpp   bool      // handed in over SMPP, with a receipt asked for
}

// campaign is what an administrator steers.
type campaign struct {
	stopped time.Time // when its pause or cancellation was acknowledged; zero: it goes on
	doomed  bool      // its cancellation was asked for
}

type said uint8

const (
	saidNothing said = iota // not handed in, or no answer yet
	saidYes                 // acknowledged: 202 and not dropped, ESME_ROK
	saidNo                  // dropped or refused at the door
	saidLost                // the answer was lost with the connection, and the customer does not repeat
)

// Classes, as the texts begin.
const (
	commercial    = 'K'
	transactional = 'T'
	oneTime       = 'O'
)

func newWitness(p *people, kind string, inFlight time.Duration) *witness {
	return &witness{people: p, kind: kind, inFlight: inFlight, refused: map[uint32]time.Time{}, asked: map[uint32]bool{}, confirmed: map[uint32]bool{}}
}

// issue makes n messages of a class to these people and returns the first ref; the others follow it.
func (w *witness) issue(class byte, to ...uint32) (first int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	first = len(w.refs) + 1
	for _, p := range to {
		w.refs = append(w.refs, fate{class: class, person: p})
	}
	return first
}

func (w *witness) tell(ref int, s said, id gateway.MessageID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := &w.refs[ref-1]
	f.said, f.id = s, id
}

func text(class byte, ref int) string { return string(class) + " " + strconv.Itoa(ref) }

// watch is an operator reading a message, and what it says to it: one that it does not take has reached nobody, but it left the
// gateway. answered is called when the answer was written.
func (w *witness) watch(m *smpp.SubmitSM, status smpp.CommandStatus) (answered func()) {
	class, num, _ := strings.Cut(string(m.ShortMessage), " ")
	ref, err := strconv.Atoi(num)
	w.mu.Lock()
	defer w.mu.Unlock()
	to := "+" + strings.TrimPrefix(string(m.Dest.Addr), "+")
	if p, ok := personOf(to); ok && err != nil && w.asked[p] {
		if status == smpp.StatusOK {
			w.confirmed[p] = true // our own confirmation of an opt-out by SMS
		}
		return nil
	}
	if err != nil || len(class) != 1 {
		w.foreign++
		return nil
	}
	f := w.leftLocked(class[0], ref, to, time.Now())
	if f == nil {
		return nil
	}
	if status != smpp.StatusOK {
		w.refusals++
		return nil
	}
	f.seen++
	n := len(f.copies)
	f.copies = append(f.copies, sighting{read: time.Now()})
	return func() {
		w.mu.Lock()
		w.refs[ref-1].copies[n].answered = time.Now()
		w.mu.Unlock()
	}
}

// leftLocked is a message that left the gateway at the given instant, and was read now; nil: it is none of ours.
func (w *witness) leftLocked(class byte, ref int, to string, at time.Time) *fate {
	if ref < 1 || ref > len(w.refs) || w.refs[ref-1].class != class {
		w.foreign++
		return nil
	}
	f := &w.refs[ref-1]
	if to != w.people.address(f.person) {
		w.leak("%s %d for person %d went to %s", w.kind, ref, f.person, to)
	}
	if f.class != commercial {
		return f
	}
	if !w.people.agreed(f.person) {
		w.leak("%s %d is commercial and person %d never agreed", w.kind, ref, f.person)
		return f
	}
	if refused, ok := w.refused[f.person]; ok {
		w.tooLate(refused, at, "%s %d is commercial and came after the acknowledged opt-out of person %d", w.kind, ref, f.person)
	}
	if f.run != nil && !f.run.stopped.IsZero() {
		w.tooLate(f.run.stopped, at, "%s %d came after its campaign was stopped", w.kind, ref)
	}
	return f
}

// tooLate is something that left at an instant although it was forbidden since another. A process that stood still between the two
// is allowed that time on top: what it had decided to send before goes out when it wakes.
func (w *witness) tooLate(since, at time.Time, format string, args ...any) {
	after := at.Sub(since)
	for _, f := range w.frozen {
		after -= f.overlap(since, at)
	}
	if after > w.inFlight {
		w.leak(format+", %s after", append(args, after.Round(time.Millisecond))...)
		return
	}
	w.late++
	w.latest = max(w.latest, after)
}

// personOf is the person with a number.
func personOf(addr string) (uint32, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(addr, "+90535"), 10, 32)
	return uint32(n), err == nil && number(uint32(n)) == addr
}

func mailbox(i uint32) string { return fmt.Sprintf("p%d@example.com", i) }

// mailboxOf is the person with a mail address.
func mailboxOf(addr string) (uint32, bool) {
	n, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimPrefix(addr, "p"), "@example.com"), 10, 32)
	return uint32(n), err == nil && mailbox(uint32(n)) == addr
}

func (w *witness) leak(format string, args ...any) {
	if len(w.leaks) < 100 {
		w.leaks = append(w.leaks, fmt.Sprintf(format, args...))
	}
}

func (w *witness) optedOut(p uint32) {
	w.mu.Lock()
	w.refused[p] = time.Now()
	w.mu.Unlock()
}

// counts are the totals so far.
type counts struct {
	Issued  int `json:"issued"`
	Yes     int `json:"acknowledged"`
	No      int `json:"refusedAtDoor"`
	Lost    int `json:"answersLost"`
	Open    int `json:"open"`
	Seen    int `json:"seen"` // by an operator
	Repeats int `json:"repeats"`
}

func (w *witness) counts() (c counts) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.Issued = len(w.refs)
	for i := range w.refs {
		f := &w.refs[i]
		switch f.said {
		case saidYes:
			c.Yes++
		case saidNo:
			c.No++
		case saidLost:
			c.Lost++
		default:
			c.Open++
		}
		if f.seen > 0 {
			c.Seen++
			c.Repeats += int(f.seen) - 1
		}
	}
	return c
}

// steer puts n messages from ref on into a campaign.
func (w *witness) steer(c *campaign, ref, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range n {
		w.refs[ref-1+i].run = c
	}
}

// set changes what the witness holds against what is seen.
func (w *witness) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// people are those messages go to: of four, three have agreed.
type people struct {
	n       int
	door    string // the channel in the API's word
	channel string // and in İYS's
	address func(i uint32) string
	person  func(address string) (uint32, bool)
}

// handsets are people with a telephone, mailboxes people with an address.
func handsets(n int) *people {
	return &people{n: n, door: gateway.ChannelSMS, channel: "MESAJ", address: number, person: personOf}
}

func mailboxes(n int) *people {
	return &people{n: n, door: gateway.ChannelEmail, channel: "EPOSTA", person: mailboxOf, address: mailbox}
}

func (p *people) agreed(i uint32) bool { return i%4 != 3 }
