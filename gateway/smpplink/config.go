package smpplink

import (
	"errors"
	"time"

	"izinli/gateway/smpp"
)

// Config of a link. Zero fields take the default; it is not changed after New.
type Config struct {
	// Window bounds our requests in flight. Default 100.
	Window int
	// MaxPDU bounds the peer's PDUs, in octets. Default smpp.MaxPDU.
	MaxPDU int
	// ReadBuffer is what is read at once, in octets; it grows for a PDU that
	// needs more, up to MaxPDU. Default 32 KiB.
	ReadBuffer int
	// WriteBuffer bounds what waits to be written, in octets. Default 256 KiB.
	WriteBuffer int
	// RequestSize is the room Reserve sets aside per request, in octets.
	// Larger requests are still sent whole. Default 512.
	RequestSize int
	// ResponseTimeout is how long a request waits for its response; it is
	// noticed up to a second later. Default 30 s.
	ResponseTimeout time.Duration
	// BindTimeout is how long a request waits at least while the session is not
	// bound: nothing but our bind can be open then, and a peer may take longer
	// over a bind than over a message. Default ResponseTimeout.
	BindTimeout time.Duration
	// LateFor is how long after its time-out a request is remembered for a
	// response that comes after all; see LateRequests. Default 30 min.
	LateFor time.Duration
	// LateMax bounds the requests remembered so; the oldest is forgotten
	// first. Default ten windows, at least 1000.
	LateMax int
	// WriteTimeout bounds one write to the connection. Default 10 s.
	WriteTimeout time.Duration
	// ReadPDUTimeout bounds the time from the first octet of a PDU to its
	// last. Default 10 s.
	ReadPDUTimeout time.Duration
	// DrainTimeout bounds the wait for open answers after the peer's unbind.
	// Default 5 s.
	DrainTimeout time.Duration
	// Timers are the session's. Default: bind 30 s, enquire_link after 30 s
	// of silence, dead after 2 missed, inactivity 300 s. Negative: off.
	Timers smpp.TimerConfig
	// OnFree, if set, is told that places in the window (n > 0) or room in
	// the buffer (n = 0) have become free. It is called outside locks, from
	// the link's goroutines or from Unreserve, and must only signal.
	OnFree func(n int)
	// OnStray, if set, gets the responses nobody waits for (any more). Called
	// by the reader; body is valid during the call.
	OnStray func(h smpp.Header, body []byte)
}

// lingerTimeout is how long a link that closed first discards what the peer
// still sends, so that the peer's kernel does not throw our last words away.
const lingerTimeout = time.Second

// overrun is how many write buffers Push may fill before the link is ended.
const overrun = 4

func (c Config) withDefaults() Config {
	c.Window = orDefault(c.Window, 100)
	c.MaxPDU = orDefault(c.MaxPDU, smpp.MaxPDU)
	c.ReadBuffer = max(orDefault(c.ReadBuffer, 32<<10), 512)
	c.WriteBuffer = orDefault(c.WriteBuffer, 256<<10)
	c.RequestSize = orDefault(c.RequestSize, 512)
	c.ResponseTimeout = orDefault(c.ResponseTimeout, 30*time.Second)
	c.LateFor = orDefault(c.LateFor, 30*time.Minute)
	c.LateMax = orDefault(c.LateMax, max(10*c.Window, 1000))
	c.WriteTimeout = orDefault(c.WriteTimeout, 10*time.Second)
	c.ReadPDUTimeout = orDefault(c.ReadPDUTimeout, 10*time.Second)
	c.DrainTimeout = orDefault(c.DrainTimeout, 5*time.Second)
	c.Timers.Bind = max(orDefault(c.Timers.Bind, 30*time.Second), 0)
	c.Timers.EnquireLink = max(orDefault(c.Timers.EnquireLink, 30*time.Second), 0)
	c.Timers.Inactivity = max(orDefault(c.Timers.Inactivity, 300*time.Second), 0)
	c.Timers.Missed = orDefault(c.Timers.Missed, 2)
	return c
}

func orDefault[T ~int | ~int64](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// period of the ticker: a tenth of the shortest timer, 5 ms to 1 s.
func (c Config) period() time.Duration {
	shortest := 10 * time.Second
	for _, d := range []time.Duration{c.ResponseTimeout, c.DrainTimeout, c.Timers.Bind, c.Timers.EnquireLink, c.Timers.Inactivity} {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	return max(shortest/10, 5*time.Millisecond)
}

// Errors that end a link, or refuse a send on one that has ended. Run returns
// nil for an orderly unbind and ErrPeerClosed when the peer just went.
var (
	ErrClosed     = errors.New("smpplink: link is closed")
	ErrWindow     = errors.New("smpplink: window is full")
	ErrPeerClosed = errors.New("smpplink: peer closed the connection")
	ErrSlowPeer   = errors.New("smpplink: peer does not read")
	ErrNotBound   = errors.New("smpplink: peer did not bind in time")
	ErrSilent     = errors.New("smpplink: peer does not answer enquire_link")
	ErrSlowPDU    = errors.New("smpplink: peer did not finish a PDU in time")
)

// Handler serves the peer's requests.
type Handler interface {
	// HandlePDU is called for each request except enquire_link and unbind, in
	// the order of arrival, from the reader: nothing else is read meanwhile.
	// body is valid during the call. The request is owed a response with its
	// sequence_number, now or later, through Write or Push.
	HandlePDU(l *Link, h smpp.Header, body []byte)
}

// Batcher is a Handler that wants to know when the PDUs that arrived together
// have all been handed over and the reader is about to wait for more.
type Batcher interface {
	EndBatch(l *Link)
}

// Requests are PDUs that leave together, and the ear for their answers. One
// value serves a whole message, so that nothing is allocated per PDU.
type Requests interface {
	// AppendPDU appends the i-th PDU. It runs under the link's lock and must
	// do nothing else.
	AppendPDU(dst []byte, i int, seq uint32) []byte
	// Answered is called exactly once for each PDU that was appended: from
	// the reader, the ticker, or Run as it ends; perhaps before SendBatch has
	// returned. It must not block.
	Answered(i int, r Result)
}

// LateRequests is Requests that also want the response to a PDU whose time
// was over. An overloaded peer takes a request and answers it minutes later;
// its answer says what the time-out could not.
type LateRequests interface {
	Requests
	// AnsweredLate is called at most once for a PDU, after Answered has
	// returned for it with TimedOut, by the reader. It must not block.
	AnsweredLate(i int, r Result)
}

// Kind is how a request ended.
type Kind uint8

// Kinds.
const (
	Answered Kind = iota // Header and Body hold the response
	TimedOut             // no response in time: the fate of the request is unknown
	Lost                 // the link ended first: the fate of the request is unknown
)

func (k Kind) String() string {
	return [...]string{"answered", "timed out", "lost"}[k]
}

// Result is the end of a request.
type Result struct {
	Kind   Kind
	Header smpp.Header   // of the response; may be generic_nack
	Body   []byte        // of the response; valid during the call
	RTT    time.Duration // from append to result
}

// Stats is a snapshot of a link.
type Stats struct {
	InFlight   int // our requests without a response
	Reserved   int // places set aside
	Owed       int // the peer's requests we have not answered
	Buffered   int // octets that wait to be written
	LastHeard  time.Time
	BytesIn    uint64
	BytesOut   uint64
	PDUsIn     uint64
	Writes     uint64 // system calls
	Stalls     uint64 // times a writer had to wait for room
	TimedOut   uint64 // our requests
	Late       uint64 // of TimedOut, those answered later
	Strays     uint64 // responses nobody waited for
	NacksSent  uint64 // unknown command ids and lost framing
	ProbesSent uint64 // enquire_link
}
