package store

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/gateway/mail"
)

// Word of a delay (RFC 3461 §4.1, NOTIFY=DELAY): who asked for it stands in an index by the time of acceptance, and leaves it when
// the notification is owed or the message is final. So a recipient's delay is told once, also across restarts, and how long a delay
// has to be is nobody's business here.

// nextHop is the time under which wishes stand whose message the next hop has: only it can tell of a delay now.
const nextHop = math.MaxUint64

// toldRelayed is the time under which messages stand whose submitter has been told that the next hop relayed them, so that a report that
// comes again is not told again.
const toldRelayed = math.MaxUint64 - 1

// wanted is the value of a wish; an empty one would read like none.
var wanted = []byte{1}

// delayAt is where a wish of the batch stands: at the time the message should have left.
func delayAt(b *gateway.Batch) uint64 {
	return uint64(max(0, laterOf(b.Created(), b.SendAt).UnixMilli()))
}

// wishDelays notes the recipients of an accepted batch for whom the submitter wants word of a delay.
func (p *pendingBatch) wishDelays(t *tx) error {
	b := &p.Batch
	if b.Headers[mail.MarkFrom] == "" {
		return nil
	}
	for i := range p.Recipients {
		r := &p.Recipients[i]
		if r.State == gateway.StateDropped || !notifyOf(r).delay {
			continue
		}
		if err := t.set(delayKey(delayAt(b), p.ref.Message(uint32(i))), wanted, b.ValidUntil.Sub(t.now)+bodyLife); err != nil {
			return err
		}
	}
	return nil
}

// OweDelays writes down that submitters are owed word of messages that were to leave before the given time and still have not, as far
// as they asked for it, at most limit at once; more tells that there may be more.
func (s *Store) OweDelays(_ context.Context, before time.Time, limit int) (more bool, err error) {
	var due []key
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kDelay}})
		defer it.Close()
		for it.Rewind(); it.Valid() && len(due) < limit; it.Next() {
			k := key(it.Item().KeyCopy(nil))
			if at := binary.BigEndian.Uint64(k[1:]); at > uint64(max(0, before.UnixMilli())) {
				break
			}
			due = append(due, k)
		}
		return nil
	})
	if err != nil || len(due) == 0 {
		return false, err
	}
	err = s.do(func(t *tx) error {
		for _, k := range due {
			if err := t.delayed(k); err != nil {
				return errFatal{err}
			}
		}
		return nil
	})
	return len(due) == limit, err
}

// delayed decides about one wish whose time has come.
func (t *tx) delayed(k key) error {
	m := batchOfKey(k[8:]).Message(beUint32(k[21:]))
	if err := t.del(k); err != nil {
		return err
	}
	if _, _, err := t.message(m); errors.Is(err, errCorrupt) { // the message is gone, its retention was shorter
		return nil
	}
	p, err := t.progress(m)
	switch {
	case err != nil:
		return err
	case p.State.Final():
		return nil
	case p.State == gateway.StateSent:
		return t.set(delayKey(nextHop, m), wanted, bodyLife)
	}
	return t.notice(m, storedNotice{State: p.State, Code: p.Code, Err: segmentErr(&p), Operator: p.Operator, Delayed: true})
}

// Delayed passes on that the next hop has not been able to deliver a mail yet, once; false when nobody wants to know, or has been told.
func (s *Store) Delayed(_ context.Context, m gateway.MessageID, diagnostic string) (told bool, err error) {
	err = s.do(func(t *tx) error {
		told = false
		b, _, err := t.message(m)
		if err != nil {
			return gateway.Refuse(gateway.CodeNotFound, "id", "")
		}
		p, err := t.progress(m)
		if err != nil {
			return err
		}
		for _, at := range []uint64{delayAt(b), nextHop} {
			k := delayKey(at, m)
			if v, err := t.get(k); err != nil || v == nil {
				if err != nil {
					return errFatal{err}
				}
				continue
			}
			if err := t.del(k); err != nil {
				return err
			}
			told = true
		}
		if !told || p.State.Final() {
			told = false
			return nil
		}
		return t.notice(m, storedNotice{State: p.State, Code: gateway.CodeDeferred, Err: diagnostic, Operator: p.Operator, Delayed: true})
	})
	return told, err
}
