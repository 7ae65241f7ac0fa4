package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"izinli/gateway"
)

// errCorrupt is wrapped into every decoding error: the record does not follow this file.
var errCorrupt = errors.New("store: record is corrupt")

// enc appends values: uvarints, strings with their length, times as Unix milliseconds plus one (zero time = 0).
type enc []byte

func (e *enc) u8(v byte)      { *e = append(*e, v) }
func (e *enc) uint(v uint64)  { *e = binary.AppendUvarint(*e, v) }
func (e *enc) int(v int64)    { *e = binary.AppendVarint(*e, v) }
func (e *enc) text(s string)  { e.uint(uint64(len(s))); *e = append(*e, s...) }
func (e *enc) bytes(b []byte) { e.uint(uint64(len(b))); *e = append(*e, b...) }
func (e *enc) flag(b bool) {
	if b {
		e.u8(1)
	} else {
		e.u8(0)
	}
}

func (e *enc) time(t time.Time) {
	if t.IsZero() {
		e.uint(0)
		return
	}
	e.uint(uint64(t.UnixMilli()) + 1)
}

// dec reads what enc wrote; the first failure sticks and everything after it reads as zero.
type dec struct {
	b   []byte
	bad bool
}

func (d *dec) fail() { d.bad = true; d.b = nil }

func (d *dec) u8() byte {
	if len(d.b) < 1 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *dec) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *dec) int() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *dec) raw() []byte {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *dec) text() string  { return string(d.raw()) }
func (d *dec) word() string  { return intern(d.raw()) }
func (d *dec) bytes() []byte { return append([]byte(nil), d.raw()...) }
func (d *dec) flag() bool    { return d.u8() != 0 }

func (d *dec) time() time.Time {
	v := d.uint()
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(v - 1))
}

// count reads a length and refuses one that the rest of the record cannot hold at size octets an item.
func (d *dec) count(size int) int {
	n := d.uint()
	if n > uint64(len(d.b)/size+1) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *dec) err(what string) error {
	if d.bad {
		return fmt.Errorf("%w: %s", errCorrupt, what)
	}
	return nil
}

// words are the strings that come again and again in millions of records; reading one of them costs no allocation.
var words = func() map[string]string {
	m := map[string]string{}
	for _, w := range []string{"", "ONAY", "RET", "NOT_ONAY", "HS_2015", "HS_KARAR", "HS_FIZIKSEL_ORTAM", "HS_ISLAK_IMZA", "HS_ETKINLIK", "HS_ATM",
		"HS_EORTAM", "HS_WEB", "HS_MOBIL", "HS_MESAJ", "HS_EPOSTA", "HS_CAGRI_MERKEZI", "HS_SOSYAL_MEDYA", "IYS_KISAMESAJ", "IYS_CM", "IYS_WEB",
		"IYS_WEB_YENI", "IYS_MOBIL", "IYS_EPOSTA", "IYS_AHS_HAT_KAPATMA", "pull", "push", "live", "api", "import", "form", "double", "reconcile"} {
		m[w] = w
	}
	return m
}()

// intern is string(b), without an allocation for the words above and for the last other one.
func intern(b []byte) string {
	if w, ok := words[string(b)]; ok {
		return w
	}
	if p := lastWord.Load(); p != nil && *p == string(b) {
		return *p
	}
	w := string(b)
	lastWord.Store(&w)
	return w
}

var lastWord atomic.Pointer[string]

// decisionRefLen is the fixed length of a DecisionRef in front of a block of recipients.
const decisionRefLen = 10

func putDecisionRef(b []byte, r gateway.DecisionRef) {
	binary.BigEndian.PutUint32(b, r.Day)
	binary.BigEndian.PutUint32(b[4:], r.Seq)
	binary.BigEndian.PutUint16(b[8:], r.Pos)
}

func getDecisionRef(b []byte) gateway.DecisionRef {
	return gateway.DecisionRef{Day: binary.BigEndian.Uint32(b), Seq: binary.BigEndian.Uint32(b[4:]), Pos: binary.BigEndian.Uint16(b[8:])}
}

func encodeBatch(e *enc, b *gateway.Batch) {
	for _, s := range []string{b.Credential, string(b.Door), b.RemoteIP, b.TraceID, b.Channel, b.Class, b.Brand, b.RecipientType,
		b.Reason, b.From, b.Text, b.Subject, b.HTML, b.ReplyTo, b.Encoding, b.Body.ID} {
		e.text(s)
	}
	e.int(b.Body.Size)
	e.uint(uint64(len(b.Headers)))
	for k, v := range b.Headers {
		e.text(k)
		e.text(v)
	}
	e.u8(byte(b.Receipt))
	e.u8(b.Priority)
	e.u8(b.SourceTON)
	e.u8(b.SourceNPI)
	e.u8(b.DestTON)
	e.u8(b.DestNPI)
	e.uint(uint64(b.Count))
	e.time(b.SendAt)
	e.time(b.ValidUntil)
	e.flag(b.Raw != nil)
	if b.Raw != nil {
		e.u8(b.Raw.DataCoding)
		e.u8(b.Raw.ProtocolID)
		e.uint(uint64(len(b.Raw.Parts)))
		for _, p := range b.Raw.Parts {
			e.bytes(p.UDH)
			e.bytes(p.Body)
			e.text(p.ID)
		}
	}
}

func decodeBatch(d *dec, ref gateway.BatchRef) *gateway.Batch {
	b := &gateway.Batch{Account: ref.Account, ID: ref.Batch}
	var door string
	for _, p := range []*string{&b.Credential, &door, &b.RemoteIP, &b.TraceID, &b.Channel, &b.Class, &b.Brand, &b.RecipientType,
		&b.Reason, &b.From, &b.Text, &b.Subject, &b.HTML, &b.ReplyTo, &b.Encoding, &b.Body.ID} {
		*p = d.text()
	}
	b.Door = gateway.Door(door)
	b.Body.Size = d.int()
	if n := d.count(2); n > 0 {
		b.Headers = make(map[string]string, n)
		for range n {
			k := d.text()
			b.Headers[k] = d.text()
		}
	}
	b.Receipt = gateway.Receipt(d.u8())
	b.Priority = d.u8()
	b.SourceTON, b.SourceNPI, b.DestTON, b.DestNPI = d.u8(), d.u8(), d.u8(), d.u8()
	b.Count = int(d.uint())
	b.SendAt = d.time()
	b.ValidUntil = d.time()
	if d.flag() {
		b.Raw = &gateway.RawSMS{DataCoding: d.u8(), ProtocolID: d.u8()}
		for range d.count(3) {
			b.Raw.Parts = append(b.Raw.Parts, gateway.RawPart{UDH: d.bytes(), Body: d.bytes(), ID: d.text()})
		}
	}
	return b
}

func encodeRecipients(e *enc, rs []gateway.Recipient) {
	e.uint(uint64(len(rs)))
	for i := range rs {
		r := &rs[i]
		e.text(r.Address)
		e.text(r.Ref)
		e.u8(r.Segments)
		e.u8(r.Encoding)
		e.u8(byte(r.State))
		e.text(string(r.Code))
		e.uint(uint64(len(r.Vars)))
		for _, v := range r.Vars {
			e.text(v.Name)
			e.text(v.Value)
		}
	}
}

func decodeRecipients(d *dec) []gateway.Recipient {
	n := d.count(7)
	rs := make([]gateway.Recipient, 0, n)
	for range n {
		r := gateway.Recipient{Address: d.text(), Ref: d.text(), Segments: d.u8(), Encoding: d.u8(), State: gateway.State(d.u8()),
			Code: gateway.Code(d.text())}
		if m := d.count(2); m > 0 {
			r.Vars = make([]gateway.Var, m)
			for j := range r.Vars {
				r.Vars[j] = gateway.Var{Name: d.text(), Value: d.text()}
			}
		}
		rs = append(rs, r)
	}
	return rs
}

func encodeProgress(e *enc, p *gateway.Progress) {
	e.u8(byte(p.State))
	e.text(string(p.Code))
	e.uint(uint64(p.Attempts))
	e.text(p.Operator)
	e.text(p.Bind)
	e.time(p.Updated)
	e.time(p.NextAt)
	e.time(p.Sent)
	var flags byte
	if p.Open {
		flags |= 1
	}
	if p.Refunded {
		flags |= 2
	}
	if p.Doubts > 0 { // the second and further ones above the flag, which alone is what older records have of them
		flags |= 4 | (min(p.Doubts, gateway.MaxDoubts)-1)<<3
	}
	e.u8(flags)
	e.uint(uint64(len(p.Segments)))
	for _, s := range p.Segments {
		e.u8(byte(s.State))
		e.text(s.OperatorID)
		e.text(s.Err)
	}
	e.uint(uint64(len(p.Decisions)))
	for _, r := range p.Decisions {
		e.uint(uint64(r.Day))
		e.uint(uint64(r.Seq))
		e.uint(uint64(r.Pos))
	}
}

func decodeProgress(b []byte) (p gateway.Progress, err error) {
	d := dec{b: b}
	p.State = gateway.State(d.u8())
	p.Code = gateway.Code(d.text())
	p.Attempts = uint16(d.uint())
	p.Operator = d.text()
	p.Bind = d.text()
	p.Updated, p.NextAt, p.Sent = d.time(), d.time(), d.time()
	flags := d.u8()
	p.Open, p.Refunded = flags&1 != 0, flags&2 != 0
	if flags&4 != 0 {
		p.Doubts = flags>>3 + 1
	}
	if n := d.count(3); n > 0 {
		p.Segments = make([]gateway.Segment, n)
		for i := range p.Segments {
			p.Segments[i] = gateway.Segment{State: gateway.State(d.u8()), OperatorID: d.text(), Err: d.text()}
		}
	}
	if n := d.count(3); n > 0 {
		p.Decisions = make([]gateway.DecisionRef, n)
		for i := range p.Decisions {
			p.Decisions[i] = gateway.DecisionRef{Day: uint32(d.uint()), Seq: uint32(d.uint()), Pos: uint16(d.uint())}
		}
	}
	return p, d.err("progress")
}
