package sms

import (
	"bytes"
	"container/list"
	"hash/maphash"
	"strings"
	"time"
)

// Limits bounds a Reassembler. Zero fields take the defaults.
type Limits struct {
	TTL     time.Duration // from a message's first part to giving up; default 5 min
	MaxSets int           // messages kept, finished ones included; default 10 000
	MaxSize int           // octets of bodies waiting; default 16 MiB
}

// Part is one inbound part. The Reassembler copies UDH and Body.
type Part struct {
	Source      string
	Destination string
	Concat      Concat // from ParseUDH or SAR
	DataCoding  byte
	Alphabet    Alphabet // what data_coding 0x00 means on its connection
	UDH         []byte   // with its length octet, or empty
	Body        []byte   // without the header
	// ID is the caller's name for the part, such as the key of its record.
	ID string
}

// Whole is a message whose parts came together, or gave up waiting.
type Whole struct {
	Source      string
	Destination string
	// Text joins what arrived; each run of missing parts reads as Gap. Err is
	// the first decoding error (ErrDamaged, ErrDataCoding, …) or nil.
	Text string
	Err  error
	// Parts are those that arrived, in order of Seq.
	Parts    []Part
	Total    int
	Complete bool
	First    time.Time // when the first part arrived
}

// Gap stands in the text of an incomplete message where parts are missing. It
// keeps the words on its two sides apart.
const Gap = " … "

// Status says what became of a part.
type Status uint8

const (
	// PartRefused is the zero Status: the numbers tie the part to no message.
	// Read it as a message of its own (3GPP TS 23.040 §9.2.3.24.1).
	PartRefused Status = iota
	// PartHeld waits for the others.
	PartHeld
	// PartDuplicate repeats a part that is held or whose message is done.
	PartDuplicate
	// PartCompleted was the last one: its message is among the results.
	PartCompleted
)

// Reassembler joins the parts of inbound messages. It never loses a part: a
// message that stays incomplete for Limits.TTL, that must make room, or whose
// reference is taken over by a new message is handed out as it is. It keeps
// finished messages in mind for the TTL, so that a repeated part opens no new
// one. Methods must not be called from two goroutines at once, and now must
// not run backwards.
type Reassembler struct {
	limits Limits
	seed   maphash.Seed
	sets   map[setKey]*list.Element
	order  *list.List // of *set, oldest first
	size   int        // octets of waiting bodies
}

// setKey is what parts of one message share.
type setKey struct {
	source, destination string
	ref                 uint16
	width               RefWidth
	total               uint8
}

type set struct {
	key   setKey
	first time.Time
	// parts is indexed by Seq−1, nil where one is missing; nil once done.
	parts []*Part
	// sums fingerprints the parts of a finished message, by Seq−1.
	sums []uint64
	have int
}

func (s *set) done() bool { return s.parts == nil }

// NewReassembler returns an empty one.
func NewReassembler(l Limits) *Reassembler {
	if l.TTL <= 0 {
		l.TTL = 5 * time.Minute
	}
	if l.MaxSets <= 0 {
		l.MaxSets = 10_000
	}
	if l.MaxSize <= 0 {
		l.MaxSize = 16 << 20
	}
	return &Reassembler{
		limits: l,
		seed:   maphash.MakeSeed(),
		sets:   make(map[setKey]*list.Element),
		order:  list.New(),
	}
}

// Add takes one part at now and appends to dst every message this ends: its
// own, if it was the last part, and incomplete ones that expire, make room or
// give up their reference.
func (r *Reassembler) Add(dst []Whole, p Part, now time.Time) ([]Whole, Status) {
	dst = r.Expire(dst, now)
	if !p.Concat.Valid() {
		return dst, PartRefused
	}
	key := setKey{p.Source, p.Destination, p.Concat.Ref, p.Concat.Width, p.Concat.Total}
	i := int(p.Concat.Seq) - 1
	el := r.sets[key]
	if el != nil {
		s := el.Value.(*set)
		switch {
		case s.done() && s.sums[i] == r.sum(p):
			return dst, PartDuplicate
		case !s.done() && s.parts[i] != nil && s.parts[i].same(p):
			return dst, PartDuplicate
		case s.done() || s.parts[i] != nil:
			// The sender uses the reference for a new message.
			dst = r.drop(dst, el)
			el = nil
		}
	}
	dst = r.makeRoom(dst, el, len(p.Body)+len(p.UDH))
	if el == nil {
		s := &set{key: key, first: now, parts: make([]*Part, key.total)}
		el = r.order.PushBack(s)
		r.sets[key] = el
	}
	s := el.Value.(*set)
	held := p
	held.UDH, held.Body = bytes.Clone(p.UDH), bytes.Clone(p.Body)
	s.parts[i] = &held
	s.have++
	r.size += held.octets()
	if s.have < len(s.parts) {
		return dst, PartHeld
	}
	dst = append(dst, s.whole())
	r.finish(s)
	return dst, PartCompleted
}

// Expire appends to dst the incomplete messages whose time is over at now.
func (r *Reassembler) Expire(dst []Whole, now time.Time) []Whole {
	for el := r.order.Front(); el != nil; el = r.order.Front() {
		if now.Sub(el.Value.(*set).first) < r.limits.TTL {
			break
		}
		dst = r.drop(dst, el)
	}
	return dst
}

// Flush appends every incomplete message to dst and forgets all, as at a stop.
func (r *Reassembler) Flush(dst []Whole) []Whole {
	for el := r.order.Front(); el != nil; el = r.order.Front() {
		dst = r.drop(dst, el)
	}
	return dst
}

// Next returns when Expire has something to do, the zero time if never.
func (r *Reassembler) Next() time.Time {
	if el := r.order.Front(); el != nil {
		return el.Value.(*set).first.Add(r.limits.TTL)
	}
	return time.Time{}
}

// Waiting returns how many messages are kept, finished ones included, and the
// octets of the bodies and headers that wait.
func (r *Reassembler) Waiting() (sets, octets int) { return r.order.Len(), r.size }

// makeRoom drops the oldest sets, never keep itself, until one more set (if
// keep is nil) and octets fit.
func (r *Reassembler) makeRoom(dst []Whole, keep *list.Element, octets int) []Whole {
	sets := 0
	if keep == nil {
		sets = 1
	}
	for el := r.order.Front(); el != nil; {
		if r.order.Len()+sets <= r.limits.MaxSets && r.size+octets <= r.limits.MaxSize {
			break
		}
		next := el.Next()
		if el != keep {
			dst = r.drop(dst, el)
		}
		el = next
	}
	return dst
}

// drop forgets the set of el and appends it to dst unless it was handed out.
func (r *Reassembler) drop(dst []Whole, el *list.Element) []Whole {
	s := r.order.Remove(el).(*set)
	delete(r.sets, s.key)
	if s.done() {
		return dst
	}
	r.release(s)
	return append(dst, s.whole())
}

// finish keeps only fingerprints of s.
func (r *Reassembler) finish(s *set) {
	r.release(s)
	s.sums = make([]uint64, len(s.parts))
	for i, p := range s.parts {
		s.sums[i] = r.sum(*p)
	}
	s.parts = nil
}

func (r *Reassembler) release(s *set) {
	for _, p := range s.parts {
		if p != nil {
			r.size -= p.octets()
		}
	}
}

func (r *Reassembler) sum(p Part) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	h.WriteByte(p.DataCoding)
	h.WriteByte(byte(len(p.UDH)))
	h.Write(p.UDH)
	h.Write(p.Body)
	return h.Sum64()
}

func (p *Part) octets() int { return len(p.UDH) + len(p.Body) }

// same reports whether q repeats p.
func (p *Part) same(q Part) bool {
	return p.DataCoding == q.DataCoding && bytes.Equal(p.UDH, q.UDH) && bytes.Equal(p.Body, q.Body)
}

// whole joins the parts of s. Neighbours that are written alike are joined
// before they are decoded, since a careless sender cuts surrogate pairs and
// escape pairs; each run has its own shift elements.
func (s *set) whole() Whole {
	w := Whole{
		Source:      s.key.source,
		Destination: s.key.destination,
		Total:       len(s.parts),
		Complete:    s.have == len(s.parts),
		First:       s.first,
		Parts:       make([]Part, 0, s.have),
	}
	var text strings.Builder
	var run joint
	flush := func() {
		t, err := run.decode()
		text.WriteString(t)
		if w.Err == nil {
			w.Err = err
		}
		run = joint{}
	}
	gap := false
	for _, p := range s.parts {
		if p == nil {
			if !gap {
				flush()
				text.WriteString(Gap)
				gap = true
			}
			continue
		}
		gap = false
		w.Parts = append(w.Parts, *p)
		next := newJoint(p)
		if !run.takes(next) {
			flush()
			run = next
			continue
		}
		run.body = append(run.body, next.body...)
	}
	flush()
	w.Text = text.String()
	return w
}

// joint is a run of parts written alike.
type joint struct {
	dcs      byte
	alphabet Alphabet
	locking  byte
	single   byte
	body     []byte
	err      error
}

func newJoint(p *Part) joint {
	j := joint{dcs: p.DataCoding, alphabet: p.Alphabet, body: bytes.Clone(p.Body)}
	if len(p.UDH) > 0 {
		u, _, err := ParseUDH(p.UDH)
		j.locking, j.single, j.err = u.Locking, u.Single, err
	}
	return j
}

func (j joint) takes(o joint) bool {
	return len(j.body) > 0 && j.err == nil && o.err == nil && j.dcs == o.dcs &&
		j.alphabet == o.alphabet && j.locking == o.locking && j.single == o.single
}

func (j joint) decode() (string, error) {
	if j.err != nil || len(j.body) == 0 {
		return "", j.err
	}
	return decode(j.dcs, UDH{Locking: j.locking, Single: j.single}, j.body, j.alphabet)
}
