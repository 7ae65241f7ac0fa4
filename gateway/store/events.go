package store

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Webhook events as a person looks after them: what waits, what was given up, and sending again.

// Bounds of events that were given up.
const (
	failedLife = 30 * 24 * time.Hour // then they are forgotten
	maxReplay  = 1000                // events one act makes due again
)

// EventFailed keeps an event its endpoint did not take in time, so that it can be sent again by hand. After 30 days it is forgotten.
func (s *Store) EventFailed(_ context.Context, ev gateway.Event) error {
	seq, v, err := eventRecord(&ev)
	if err != nil {
		return err
	}
	return s.do(func(t *tx) error {
		if err := t.dropEvent(ev.Account, seq); err != nil {
			return fatal(err)
		}
		if err := t.del(eventPlaceKey(ev.Account, seq)); err != nil {
			return fatal(err)
		}
		return fatal(t.set(eventFailedKey(ev.Account, seq), v, failedLife))
	})
}

// Events lists the events of an account's webhook: those that wait, the next one first; with failed those that were given up, the
// newest first. Bodies are left out: they hold addresses.
func (s *Store) Events(_ context.Context, a gateway.AccountID, failed bool, cursor string, limit int) (page gateway.Page[gateway.Event], err error) {
	limit = pageSize(limit)
	prefix := newKey(kEvent, 20).account(a)
	start := append(key(nil), prefix...)
	if failed {
		prefix = newKey(kEventFailed, 12).account(a)
		start = append(append(key(nil), prefix...), 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF)
	}
	if cursor != "" {
		at, err := hex.DecodeString(cursor)
		if err != nil || len(at) != 8 && failed || len(at) != 16 && !failed {
			return page, gateway.Refuse(gateway.CodeInvalid, "cursor", "the cursor is not one of ours")
		}
		start = append(append(key(nil), prefix...), at...)
	}
	page.Items = []gateway.Event{}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: failed, PrefetchValues: true, PrefetchSize: min(limit, 50)})
		defer it.Close()
		for it.Seek(start); it.ValidForPrefix(prefix); it.Next() {
			k := it.Item().KeyCopy(nil)
			place := hex.EncodeToString(k[len(prefix):])
			if place == cursor {
				continue
			}
			if len(page.Items) == limit {
				return nil
			}
			ev, err := listedEvent(it.Item(), k, failed)
			if err != nil {
				return err
			}
			page.Items, page.Next = append(page.Items, ev), place
		}
		page.Next = ""
		return nil
	})
	return page, err
}

func listedEvent(item *badger.Item, k []byte, failed bool) (ev gateway.Event, err error) {
	if !failed {
		ev, err = readEvent(item, k)
		ev.Body = nil
		return ev, err
	}
	err = item.Value(func(v []byte) error {
		var st storedEvent
		if err := json.Unmarshal(v, &st); err != nil {
			return err
		}
		ev = gateway.Event{ID: strconv.FormatUint(binary.BigEndian.Uint64(k[5:]), 36), Account: gateway.AccountID(beUint32(k[1:])), Type: st.Type, At: st.At,
			Tries: st.Tries, LastErr: st.LastErr}
		return nil
	})
	return ev, err
}

// ReplayEvents makes events due now, whether they wait or were given up; those given up have their 72 hours anew. Without ids it
// takes whatever there is, at most 1000. It returns how many.
func (s *Store) ReplayEvents(ctx context.Context, a gateway.AccountID, ids []string) (n int, err error) {
	if len(ids) == 0 {
		for _, failed := range []bool{true, false} {
			page, err := s.Events(ctx, a, failed, "", maxPage)
			if err != nil {
				return 0, err
			}
			for i := range page.Items {
				ids = append(ids, page.Items[i].ID)
			}
		}
	}
	if len(ids) > maxReplay {
		return 0, gateway.Refuse(gateway.CodeInvalid, "ids", "at most %d events are sent again at once", maxReplay)
	}
	err = s.do(func(t *tx) error {
		n = 0
		for _, id := range ids {
			done, err := t.replayEvent(a, id)
			if err != nil {
				return fatal(err)
			}
			if done {
				n++
			}
		}
		t.after(t.s.eventsReady)
		return nil
	})
	return n, err
}

func (t *tx) replayEvent(a gateway.AccountID, id string) (bool, error) {
	seq, err := strconv.ParseUint(id, 36, 64)
	if err != nil {
		return false, nil // there is no such event
	}
	var st storedEvent
	v, err := t.get(eventFailedKey(a, seq))
	switch {
	case err != nil:
		return false, err
	case v != nil:
		if err := json.Unmarshal(v, &st); err != nil {
			return false, err
		}
		st.At, st.Tries = t.now, 0
		if err := t.del(eventFailedKey(a, seq)); err != nil {
			return false, err
		}
	default:
		place, err := t.get(eventPlaceKey(a, seq))
		if err != nil || len(place) != 8 {
			return false, err
		}
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(place)))
		if v, err = t.get(eventKey(a, at, seq)); err != nil || v == nil {
			return false, err
		}
		if err := json.Unmarshal(v, &st); err != nil {
			return false, err
		}
		if err := t.del(eventKey(a, at, seq)); err != nil {
			return false, err
		}
	}
	again, err := json.Marshal(st)
	if err != nil {
		return false, err
	}
	return true, t.putEvent(a, seq, t.now.Truncate(time.Millisecond), again)
}
