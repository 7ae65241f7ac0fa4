package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// What is owed to customers: receipts and MO for SMPP clients, events for webhooks, inbound messages to be fetched. Each is
// written in the commit of what it tells about, so that nothing is told that is not true and nothing true is lost.

// oweReceipt writes a receipt for the SMPP client that submitted the message, if it asked for one; a message of several
// client parts owes one per part, all with the overall state.
func (t *tx) oweReceipt(m gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, st gateway.State, code gateway.Code, errText string) error {
	if b.Door != gateway.DoorSMPP {
		return nil
	}
	want := gateway.ReceiptFailure
	if st == gateway.StateDelivered || st == gateway.StateSent {
		want = gateway.ReceiptSuccess
	}
	if b.Receipt&want == 0 {
		return nil
	}
	if w := code.Wire().Receipt; w != "" && code != "" && code != gateway.CodeOperatorRejected {
		errText = w
	}
	due := gateway.ReceiptDue{
		Account: m.Account, Message: m, System: b.Credential, State: st, Code: code, Err: errText, From: b.From, To: r.Address,
		Submitted: b.Created(), Done: t.now,
		SourceTON: b.SourceTON, SourceNPI: b.SourceNPI, DestTON: b.DestTON, DestNPI: b.DestNPI,
	}
	if err := t.owe(&due); err != nil {
		return err
	}
	if b.Raw != nil {
		for _, part := range b.Raw.Parts {
			if part.ID != "" {
				due.Part = part.ID
				if err := t.owe(&due); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// owe gathers what this transaction owes a client; flushOwed writes it as few records.
func (t *tx) owe(r *gateway.ReceiptDue) error {
	if t.owed == nil {
		t.owed = map[string][]gateway.ReceiptDue{}
	}
	t.owed[r.System] = append(t.owed[r.System], *r)
	return nil
}

// oweFinalEvent writes a message.final event if the account's webhook wants it.
func (t *tx) oweFinalEvent(m gateway.MessageID, b *gateway.Batch, r *gateway.Recipient, p *gateway.Progress) error {
	if !t.wantsEvent(m.Account, gateway.EventMessageFinal) {
		return nil
	}
	return t.oweEvent(m.Account, gateway.EventMessageFinal, gateway.MessageFinal{ID: m, Batch: m.Ref(), Ref: r.Ref, To: r.Address, State: p.State,
		Code: p.Code, Error: segmentErr(p), Segments: max(len(p.Segments), int(r.Segments)), At: t.now.UTC()})
}

func (t *tx) wantsEvent(a gateway.AccountID, kind string) bool {
	w := t.s.Directory().Webhooks[a]
	if w == nil || w.URL == "" {
		return false
	}
	if len(w.Events) == 0 {
		return true
	}
	for _, e := range w.Events {
		if e == kind {
			return true
		}
	}
	return false
}

// storedEvent is the JSON form of an event record.
type storedEvent struct {
	Type    string          `json:"type"`
	At      time.Time       `json:"at"`
	Tries   int             `json:"tries"`
	LastErr string          `json:"lastError,omitempty"`
	Data    json.RawMessage `json:"data"`
}

// eventRecord is the record of an event that was owed before, and its number.
func eventRecord(ev *gateway.Event) (seq uint64, v []byte, err error) {
	if seq, err = strconv.ParseUint(ev.ID, 36, 64); err != nil {
		return 0, nil, err
	}
	v, err = json.Marshal(storedEvent{Type: ev.Type, At: ev.At, Tries: ev.Tries, LastErr: ev.LastErr, Data: ev.Body})
	return seq, v, err
}

func (t *tx) oweEvent(a gateway.AccountID, kind string, data any) error {
	j, err := json.Marshal(data)
	if err != nil {
		return err
	}
	v, err := json.Marshal(storedEvent{Type: kind, At: t.now, Data: j})
	if err != nil {
		return err
	}
	t.after(t.s.eventsReady)
	return t.putEvent(a, t.s.nextSeq(), t.now, v)
}

// OweEvent queues an event for the account's webhook; without one it does nothing.
func (s *Store) OweEvent(_ context.Context, a gateway.AccountID, kind string, data any) error {
	return s.do(func(t *tx) error {
		if !t.wantsEvent(a, kind) {
			return nil
		}
		return t.oweEvent(a, kind, data)
	})
}

// WatchEvents names the function told after a commit that queued events. It must not block.
func (s *Store) WatchEvents(f func()) { s.eventFn.Store(&f) }

func (s *Store) eventsReady() {
	if f := s.eventFn.Load(); f != nil {
		(*f)()
	}
}

// DueEvents returns events that are due, at most limit per account, oldest first within an account, so that one account's
// backlog never hides another's.
func (s *Store) DueEvents(_ context.Context, now time.Time, limit int) (out []gateway.Event, err error) {
	prefix := newKey(kEvent, 4)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 50})
		defer it.Close()
		n, last := 0, gateway.AccountID(0)
		for it.Seek(prefix); it.ValidForPrefix(prefix); {
			k := it.Item().KeyCopy(nil)
			a := gateway.AccountID(beUint32(k[1:]))
			if a != last {
				n, last = 0, a
			}
			due := time.UnixMilli(int64(binary.BigEndian.Uint64(k[5:])))
			if due.After(now) || n == limit {
				it.Seek(newKey(kEvent, 4).account(a + 1))
				continue
			}
			ev, err := readEvent(it.Item(), k)
			if err != nil {
				return err
			}
			out = append(out, ev)
			n++
			it.Next()
		}
		return nil
	})
	return out, err
}

func readEvent(item *badger.Item, k []byte) (gateway.Event, error) {
	var ev gateway.Event
	err := item.Value(func(v []byte) error {
		var st storedEvent
		if err := json.Unmarshal(v, &st); err != nil {
			return err
		}
		ev = gateway.Event{Account: gateway.AccountID(beUint32(k[1:])), Type: st.Type, At: st.At, Tries: st.Tries, LastErr: st.LastErr,
			NextAt: time.UnixMilli(int64(binary.BigEndian.Uint64(k[5:]))), Body: st.Data}
		// The id keeps the sequence number through retries and tells where the record is now.
		seq := binary.BigEndian.Uint64(k[13:])
		ev.ID = strconv.FormatUint(seq, 36)
		return nil
	})
	return ev, err
}

// EventDone forgets a delivered event.
func (s *Store) EventDone(_ context.Context, id string, a gateway.AccountID) error {
	seq, err := strconv.ParseUint(id, 36, 64)
	if err != nil {
		return err
	}
	return s.do(func(t *tx) error {
		if err := t.dropEvent(a, seq); err != nil {
			return fatal(err)
		}
		return t.del(eventPlaceKey(a, seq))
	})
}

// dropEvent removes an event from the place in time where it stands.
func (t *tx) dropEvent(a gateway.AccountID, seq uint64) error {
	v, err := t.get(eventPlaceKey(a, seq))
	if err != nil || len(v) != 8 {
		return err
	}
	return t.del(eventKey(a, time.UnixMilli(int64(binary.BigEndian.Uint64(v))), seq))
}

// putEvent writes an event at its place in time.
func (t *tx) putEvent(a gateway.AccountID, seq uint64, next time.Time, v []byte) error {
	if err := t.set(eventPlaceKey(a, seq), binary.BigEndian.AppendUint64(nil, uint64(next.UnixMilli())), eventLife); err != nil {
		return err
	}
	return t.set(eventKey(a, next, seq), v, eventLife)
}

// eventLife bounds what nobody fetches; the sender gives up after 72 h.
const eventLife = 80 * time.Hour

// EventRetry puts an event back with its NextAt, Tries and LastErr.
func (s *Store) EventRetry(_ context.Context, ev gateway.Event) error {
	seq, v, err := eventRecord(&ev)
	if err != nil {
		return err
	}
	return s.do(func(t *tx) error {
		if err := t.dropEvent(ev.Account, seq); err != nil {
			return fatal(err)
		}
		return fatal(t.putEvent(ev.Account, seq, ev.NextAt.Truncate(time.Millisecond), v))
	})
}

// PauseWebhook stops an account's webhook until the customer sets it again.
func (s *Store) PauseWebhook(ctx context.Context, a gateway.AccountID, reason string) error {
	w := s.Directory().Webhooks[a]
	if w == nil {
		return nil
	}
	paused := *w
	paused.Paused = true
	s.log.Warn("webhook paused", "account", int(a), "reason", reason)
	err := s.edit(dirWebhook, fmt.Sprint(a), &paused, func(d *gateway.Directory) error {
		if d.Webhooks[a] != w {
			return errChanged
		}
		return nil
	})
	if errors.Is(err, errChanged) {
		return nil
	}
	return err
}

// errChanged says that the customer has set the webhook anew meanwhile: the new one has not failed.
var errChanged = errors.New("store: the record has changed")

// Receive stores an inbound message with what follows from it (events, an MO owed to an SMPP client) and returns after the
// sync; only then may the operator's deliver_sm be answered.
func (s *Store) Receive(_ context.Context, in *gateway.Inbound, system string) error {
	return s.do(func(t *tx) error {
		seq := t.s.nextSeq()
		in.ID = strconv.FormatUint(seq, 36)
		v, err := json.Marshal(in)
		if err != nil {
			return err
		}
		if err := t.set(inboundKey(in.Account, seq), v, t.s.opt.Retention); err != nil {
			return errFatal{err}
		}
		if t.wantsEvent(in.Account, gateway.EventInbound) {
			if err := t.oweEvent(in.Account, gateway.EventInbound, in); err != nil {
				return errFatal{err}
			}
		}
		if system == "" {
			return nil
		}
		return t.owe(&gateway.ReceiptDue{Account: in.Account, System: system, From: in.From, To: in.To, Done: in.At, MO: in})
	})
}
