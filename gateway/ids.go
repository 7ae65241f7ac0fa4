package gateway

import (
	"encoding/binary"
	"errors"
	"sync"
	"time"
)

// AccountID numbers an account (service provider) inside one store, from 1.
type AccountID uint32

// BatchID numbers what one submission became. It is time-ordered: the upper 42 bits are milliseconds since the Unix epoch,
// the lower 22 bits a counter, so that ids sort by acceptance and about four million fit in a millisecond.
type BatchID uint64

// MessageID names one message: its account, its batch, its place in the batch (from 0). The account is part of the id, so
// that no look-up can reach another tenant's record by accident.
type MessageID struct {
	Account AccountID
	Batch   BatchID
	Index   uint32
}

// BatchRef names a batch from outside: the account and the batch.
type BatchRef struct {
	Account AccountID
	Batch   BatchID
}

// Message returns the id of the message at index i of the batch.
func (b BatchRef) Message(i uint32) MessageID { return MessageID{b.Account, b.Batch, i} }

// Ref returns the batch the message belongs to.
func (m MessageID) Ref() BatchRef { return BatchRef{m.Account, m.Batch} }

// IsZero reports whether m names nothing.
func (m MessageID) IsZero() bool { return m == MessageID{} }

// ErrBadID is returned for text that is not an id of ours.
var ErrBadID = errors.New("gateway: malformed id")

// idAlphabet is Crockford's base 32 in lower case: no i, l, o, u, so that ids survive being read aloud.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

var idReverse = func() (r [256]byte) {
	for i := range r {
		r[i] = 0xFF
	}
	for i := range idAlphabet {
		r[idAlphabet[i]] = byte(i)
		if c := idAlphabet[i]; c >= 'a' {
			r[c-32] = byte(i)
		}
	}
	return r
}()

// Lengths of the text forms.
const (
	messageIDLen = 26 // 16 octets
	batchIDLen   = 20 // 12 octets
)

// String is the wire form: 26 characters of Crockford's base 32, fit for an SMPP message_id (SMPP 3.4 §5.2.23, 65 octets).
func (m MessageID) String() string {
	var b [16]byte
	binary.BigEndian.PutUint32(b[0:], uint32(m.Account))
	binary.BigEndian.PutUint64(b[4:], uint64(m.Batch))
	binary.BigEndian.PutUint32(b[12:], m.Index)
	var out [messageIDLen]byte
	encode32(out[:], b[:])
	return string(out[:])
}

// String is the wire form: 20 characters of Crockford's base 32.
func (b BatchRef) String() string {
	var raw [12]byte
	binary.BigEndian.PutUint32(raw[0:], uint32(b.Account))
	binary.BigEndian.PutUint64(raw[4:], uint64(b.Batch))
	var out [batchIDLen]byte
	encode32(out[:], raw[:])
	return string(out[:])
}

// MarshalText lets ids stand in JSON.
func (m MessageID) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// MarshalText lets ids stand in JSON.
func (b BatchRef) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads the wire form; ErrBadID otherwise.
func (m *MessageID) UnmarshalText(t []byte) (err error) {
	*m, err = ParseMessageID(string(t))
	return err
}

// UnmarshalText reads the wire form; ErrBadID otherwise.
func (b *BatchRef) UnmarshalText(t []byte) (err error) {
	*b, err = ParseBatchRef(string(t))
	return err
}

// ParseMessageID reads the wire form of a message id; ErrBadID for anything else.
func ParseMessageID(s string) (MessageID, error) {
	var b [17]byte
	if len(s) != messageIDLen || !decode32(b[:], s) {
		return MessageID{}, ErrBadID
	}
	return MessageID{
		Account: AccountID(binary.BigEndian.Uint32(b[0:])),
		Batch:   BatchID(binary.BigEndian.Uint64(b[4:])),
		Index:   binary.BigEndian.Uint32(b[12:]),
	}, nil
}

// ParseBatchRef reads the wire form of a batch id; ErrBadID for anything else.
func ParseBatchRef(s string) (BatchRef, error) {
	var b [13]byte
	if len(s) != batchIDLen || !decode32(b[:], s) {
		return BatchRef{}, ErrBadID
	}
	return BatchRef{
		Account: AccountID(binary.BigEndian.Uint32(b[0:])),
		Batch:   BatchID(binary.BigEndian.Uint64(b[4:])),
	}, nil
}

func encode32(dst, src []byte) {
	var acc, bits uint
	j := 0
	for _, c := range src {
		acc = acc<<8 | uint(c)
		bits += 8
		for bits >= 5 {
			bits -= 5
			dst[j] = idAlphabet[acc>>bits&31]
			j++
		}
	}
	if bits > 0 {
		dst[j] = idAlphabet[acc<<(5-bits)&31]
	}
}

// decode32 fills dst, which needs one spare octet, and refuses foreign characters and non-zero padding.
func decode32(dst []byte, s string) bool {
	var acc, bits uint
	j := 0
	for i := range len(s) {
		v := idReverse[s[i]]
		if v == 0xFF {
			return false
		}
		acc = acc<<5 | uint(v)
		bits += 5
		if bits >= 8 {
			bits -= 8
			dst[j] = byte(acc >> bits)
			j++
		}
	}
	return acc&(1<<bits-1) == 0
}

// BatchIDs hands out batch ids that rise strictly, also when the clock stands still or is set back. Start it with the highest
// id already stored so that a restart with a slow clock never reuses one.
type BatchIDs struct {
	mu   sync.Mutex
	last BatchID // guarded by mu
}

// NewBatchIDs returns a source whose first id is above last.
func NewBatchIDs(last BatchID) *BatchIDs { return &BatchIDs{last: last} }

// Next returns an id above every earlier one.
func (g *BatchIDs) Next(now time.Time) BatchID {
	id := BatchIDAt(now)
	g.mu.Lock()
	defer g.mu.Unlock()
	if id <= g.last {
		id = g.last + 1
	}
	g.last = id
	return id
}

// BatchIDAt returns the lowest id of the given instant.
func BatchIDAt(t time.Time) BatchID { return BatchID(t.UnixMilli()) << 22 }

// Time returns the instant (to the millisecond) at which the id was handed out.
func (b BatchID) Time() time.Time { return time.UnixMilli(int64(b >> 22)) }
