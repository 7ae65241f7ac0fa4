// Package journal writes what happens to messages: a closed set of events, one line each, enough to follow a message from its
// acceptance to its receipt without the debug log.
//
//	time=2026-12-01T07:00:00.123Z event=handed_off msg_id=… account=3 to=+90532*****67 operator=op1 segments=1 attempt=1
//
// Create one with New over any io.Writer (File for a file that can be reopened after a rotation), hand it to intake (Accepted)
// and dispatch (HandedOff, Ended) and call the other methods where the rest happens; Close writes what is left. A method costs
// its caller a fraction of a microsecond and never waits: what does not fit the buffer is lost, counted, and told in the journal
// itself by a line event=lost. The truth about messages is in the store; the journal is for reading along.
//
// Addresses are masked, texts are never written. The package knows neither where lines go nor how long they are kept.
package journal

import (
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"izinli/gateway"
)

// Bounds of the buffer and of one write.
const (
	defaultBuffer = 8192
	flushBytes    = 64 << 10
	complainEvery = 10 * time.Second
)

// Config of a journal. Zero fields take the default.
type Config struct {
	Buffer int // events that wait to be written; default 8192, some 200 octets each
	Now    func() time.Time
	Log    *slog.Logger // is told of lost events and failed writes, at most every ten seconds
}

// Journal is safe for concurrent use.
type Journal struct {
	w     io.Writer
	now   func() time.Time
	log   *slog.Logger
	limit int
	wake  chan struct{}
	done  chan struct{}

	lost    atomic.Uint64
	written atomic.Uint64

	mu     sync.Mutex
	buf    []event // guarded by mu
	closed bool    // guarded by mu

	// Owned by the writing goroutine.
	spare      []event
	line       []byte
	told       uint64 // lost events the journal has told of
	logged     uint64 // of them, those the log has told of
	complained time.Time
	failed     uint64 // failed writes since the last complaint
}

// kind is one of the closed set.
type kind uint8

const (
	kindAccepted kind = iota
	kindHandedOff
	kindAnswered
	kindReceipt
	kindEnded
	kindOptOut
	kindInbound
	kinds
)

// dropped is not among the kinds: dropped recipients travel with the event of their batch.
var kindNames = [kinds]string{"accepted", "handed_off", "answered", "receipt", "ended", "optout", "inbound"}

// event is what a caller leaves behind. Its fields mean different things by kind; see write.
type event struct {
	at      time.Time
	id      gateway.MessageID
	kind    kind
	state   gateway.State
	code    gateway.Code
	address string
	name    string // operator, credential
	text    string // operator's id, route
	other   string
	n, m    int32
	batch   *acceptance
}

// acceptance is what is kept of an answered submission.
type acceptance struct {
	door, channel, class, brand           string
	accepted, dropped, refused, segs, pay int
	drops                                 []drop
}

type drop struct {
	id   gateway.MessageID
	to   string
	code gateway.Code
}

// New returns a journal that writes to w until Close. Writes come from one goroutine, in whole lines.
func New(w io.Writer, cfg Config) *Journal {
	if cfg.Buffer <= 0 {
		cfg.Buffer = defaultBuffer
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{w: w, now: cfg.Now, log: cfg.Log, limit: cfg.Buffer, wake: make(chan struct{}, 1), done: make(chan struct{}),
		buf: make([]event, 0, cfg.Buffer), spare: make([]event, 0, cfg.Buffer)}
	go j.run()
	return j
}

// Close writes what waits and returns; events that come later are lost, and counted.
func (j *Journal) Close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	j.rouse()
	<-j.done
}

// Lost is how many events did not fit the buffer, and Written how many were handed to the writer, since New.
func (j *Journal) Lost() uint64 { return j.lost.Load() }

// Written is how many events were handed to the writer.
func (j *Journal) Written() uint64 { return j.written.Load() }

// Accepted tells of an answered submission, and of each recipient it dropped. It implements intake.Observer.
func (j *Journal) Accepted(b *gateway.Batch, r *gateway.Result) {
	a := &acceptance{door: string(b.Door), channel: b.Channel, class: b.Class, brand: b.Brand,
		accepted: r.Accepted, dropped: r.Dropped, refused: r.Refused, segs: r.Segments, pay: r.Credits}
	if r.Dropped > 0 {
		a.drops = make([]drop, 0, r.Dropped)
		for i := range r.Messages {
			if v := &r.Messages[i]; v.State == gateway.StateDropped {
				a.drops = append(a.drops, drop{v.ID, v.To, v.Code})
			}
		}
	}
	j.put(event{kind: kindAccepted, id: gateway.MessageID{Account: b.Account, Batch: b.ID}, name: b.Credential, text: b.TraceID, batch: a})
}

// HandedOff tells that all segments of a message were given to a carrier. With Ended it implements dispatch.Journal.
func (j *Journal) HandedOff(id gateway.MessageID, address, carrier string, segments, attempt int) {
	j.put(event{kind: kindHandedOff, id: id, address: address, name: carrier, n: int32(segments), m: int32(attempt)})
}

// Ended tells of the final state of a message.
func (j *Journal) Ended(id gateway.MessageID, address string, st gateway.State, code gateway.Code) {
	j.put(event{kind: kindEnded, id: id, address: address, state: st, code: code})
}

// Answered tells what an operator said about one segment (from 0).
func (j *Journal) Answered(id gateway.MessageID, operator string, segment int, operatorID string, st gateway.State, errText string) {
	j.put(event{kind: kindAnswered, id: id, name: operator, n: int32(segment), text: operatorID, state: st, other: errText})
}

// Receipt tells of a delivery receipt; id is zero while nobody knows whose it is.
func (j *Journal) Receipt(id gateway.MessageID, operator, operatorID string, st gateway.State, errText string) {
	j.put(event{kind: kindReceipt, id: id, name: operator, text: operatorID, state: st, other: errText})
}

// OptOut tells of a refusal that is in force.
func (j *Journal) OptOut(o *gateway.OptOut) {
	j.put(event{kind: kindOptOut, id: gateway.MessageID{Account: o.Account}, address: o.Address, name: o.Brand, text: o.Route, other: o.Channel})
}

// Inbound tells of a message from a handset.
func (j *Journal) Inbound(in *gateway.Inbound) {
	j.put(event{kind: kindInbound, id: gateway.MessageID{Account: in.Account}, address: in.From, name: in.Operator, text: in.Kind, other: in.To})
}

// put leaves an event in the buffer, or counts it as lost.
func (j *Journal) put(e event) {
	e.at = j.now()
	j.mu.Lock()
	if j.closed || len(j.buf) >= j.limit {
		j.mu.Unlock()
		j.lost.Add(1)
		return
	}
	j.buf = append(j.buf, e)
	first := len(j.buf) == 1
	j.mu.Unlock()
	if first {
		j.rouse()
	}
}

func (j *Journal) rouse() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// run writes until the journal is closed and empty.
func (j *Journal) run() {
	defer close(j.done)
	for {
		j.mu.Lock()
		batch, closed := j.buf, j.closed
		j.buf = j.spare[:0]
		j.mu.Unlock()
		for i := range batch {
			j.line = batch[i].append(j.line)
			if len(j.line) >= flushBytes {
				j.flush()
			}
		}
		j.written.Add(uint64(len(batch)))
		clear(batch) // let go of the strings
		j.spare = batch
		if n := j.lost.Load(); n > j.told {
			j.line = appendLost(j.line, j.now(), n-j.told)
			j.told = n
		}
		j.flush()
		j.complain(closed)
		if len(batch) > 0 {
			continue
		}
		if closed {
			return
		}
		<-j.wake
	}
}

// flush writes the lines made so far. What cannot be written is gone: the journal must not grow.
func (j *Journal) flush() {
	if len(j.line) == 0 {
		return
	}
	if _, err := j.w.Write(j.line); err != nil {
		if j.failed++; j.failed == 1 {
			j.log.Error("journal not written", "err", err)
		}
	}
	j.line = j.line[:0]
}

// complain logs what was lost, now and then.
func (j *Journal) complain(now bool) {
	lost := j.told - j.logged
	if lost == 0 && j.failed == 0 || !now && j.now().Sub(j.complained) < complainEvery {
		return
	}
	j.complained = j.now()
	j.log.Warn("journal is incomplete", "lost", lost, "lost_since_start", j.told, "failed_writes", j.failed)
	j.logged, j.failed = j.told, 0
}
