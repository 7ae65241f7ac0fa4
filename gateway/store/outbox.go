package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/iysapi"
	"izinli/iys/mirror"
)

// The outbox (exchange.Store): open entries stand under x with an index by address, finished ones under y until retention ends.

// errStop ends a visit early.
var errStop = errors.New("store: enough")

func outboxKey(id uint64) key     { return newKey(kOutbox, 8).u64(id) }
func outboxDoneKey(id uint64) key { return newKey(kOutboxDone, 8).u64(id) }

func outboxOpenKey(k iys.Key) key {
	return newKey(kOutboxOpen, 8+len(k.Brand)+len(k.Recipient)).textZ(k.Brand).u8(channelByte(k.Channel)).u8(typeByte(k.RecipientType)).
		textZ(k.Recipient)
}

// putOutbox writes an entry; a new one (ID 0) gets its number, a finished one moves out of the open ones.
func (t *tx) putOutbox(e *exchange.Entry) error {
	if e.ID == 0 {
		e.ID = t.s.nextSeq()
	}
	v, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := t.placeOutbox(e); err != nil {
		return err
	}
	if err := t.listOutbox(e); err != nil {
		return err
	}
	if e.State.Open() {
		return t.set(outboxKey(e.ID), v, 0)
	}
	if err := t.del(outboxKey(e.ID)); err != nil {
		return err
	}
	if err := t.set(outboxDoneKey(e.ID), v, t.s.opt.Retention); err != nil {
		return err
	}
	a, err := t.s.accountOf(e.Brand)
	if err != nil || e.State == exchange.StateNotApplicable && e.RecipientType == iys.RecipientMerchant {
		return nil // an opt-out asks about both recipient types; that İYS has no merchant record is no news
	}
	rec := e.Consent()
	state := string(e.State)
	if e.Code != "" {
		state += "(" + e.Code + ")"
	}
	return t.history(a, &rec, "iys", state)
}

// Commit implements exchange.Store: all of it or nothing, synced, where it fits one transaction; else piece by piece (cutChanges), and
// after an error a beginning may be stored.
func (s *Store) Commit(_ context.Context, c exchange.Changes) error {
	for _, part := range cutChanges(&c, s.maxPart()) {
		if err := s.do(func(t *tx) error { return fatal(t.putChanges(&part)) }); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) putChanges(c *exchange.Changes) error {
	for i := range c.Consents {
		if err := t.putConsent(&c.Consents[i], string(c.Consents[i].Origin)); err != nil {
			return err
		}
	}
	for i := range c.Entries {
		if err := t.putOutbox(&c.Entries[i]); err != nil {
			return err
		}
	}
	for i := range c.Cursors {
		v, err := json.Marshal(&c.Cursors[i])
		if err != nil {
			return err
		}
		if err := t.set(cursorKey(c.Cursors[i].Brand, c.Cursors[i].Source), v, 0); err != nil {
			return err
		}
	}
	return t.putMovements(c)
}

func cursorKey(brand string, src iysapi.ChangeSource) key {
	return namedKey("iys-cursor/" + brand + "/" + string(src))
}

// Cursor implements exchange.Store.
func (s *Store) Cursor(_ context.Context, brand string, src iysapi.ChangeSource) (c exchange.Cursor, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, cursorKey(brand, src))
		if err != nil || v == nil {
			return err
		}
		return json.Unmarshal(v, &c)
	})
	return c, err
}

// entries visits open entries, lowest id first, and collects those f wants.
func (s *Store) entries(ctx context.Context, limit int, want func(*exchange.Entry) bool) (out []exchange.Entry, err error) {
	err = s.each(ctx, kOutbox, true, func(_, v []byte) error {
		var e exchange.Entry
		if err := json.Unmarshal(v, &e); err != nil {
			return fmt.Errorf("%w: outbox entry: %w", errCorrupt, err)
		}
		if want(&e) {
			out = append(out, e)
		}
		if len(out) >= limit {
			return errStop
		}
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return out, err
}

// AgedEntries implements exchange.Store. Where nothing is as old, nothing is read.
func (s *Store) AgedEntries(ctx context.Context, before time.Time, limit int) ([]exchange.Entry, error) {
	if limit = min(limit, s.openBefore(before)); limit == 0 {
		return nil, nil
	}
	return s.entries(ctx, limit, func(e *exchange.Entry) bool { return e.Received.Before(before) })
}

// OpenEntries implements exchange.Store.
func (s *Store) OpenEntries(_ context.Context, keys []iys.Key) (out []exchange.Entry, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		return openEntries(txn, keys, func(e exchange.Entry) {
			if e.State != exchange.StateOwed {
				out = append(out, e)
			}
		})
	})
	return out, err
}

// OwedEntries implements exchange.Store.
func (s *Store) OwedEntries(_ context.Context, keys []iys.Key) (out []exchange.Entry, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		return openEntries(txn, keys, func(e exchange.Entry) {
			if e.State == exchange.StateOwed {
				out = append(out, e)
			}
		})
	})
	return out, err
}

// OwedOf implements exchange.Store. It reads what is open of the one channel, and nothing while no customer owes anything.
func (s *Store) OwedOf(ctx context.Context, brand string, ch iys.Channel, after iys.Key, limit int) (out []exchange.Entry, err error) {
	if _, owed := s.OutboxCounts(); owed == 0 {
		return nil, nil
	}
	prefix := newKey(kOutboxOpen, 2+len(brand)).textZ(brand).u8(channelByte(ch))
	from := prefix
	if after != (iys.Key{}) {
		from = outboxOpenKey(after)
	}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 1000})
		defer it.Close()
		for it.Seek(from); it.ValidForPrefix(prefix) && len(out) < limit && ctx.Err() == nil; it.Next() {
			if bytes.Equal(it.Item().Key(), from) {
				continue // the one before
			}
			err := it.Item().Value(func(ids []byte) error {
				return listedEntries(txn, ids, func(e exchange.Entry) {
					if e.State == exchange.StateOwed {
						out = append(out, e)
					}
				})
			})
			if err != nil {
				return err
			}
		}
		return ctx.Err()
	})
	return out, err
}

// OpenEntry implements exchange.Store.
func (s *Store) OpenEntry(_ context.Context, id uint64) (exchange.Entry, bool, error) {
	return readJSON[exchange.Entry](s, outboxKey(id))
}

// openEntries visits the open entries of keys.
func openEntries(txn *badger.Txn, keys []iys.Key, f func(exchange.Entry)) error {
	for _, k := range keys {
		ids, err := getValue(txn, outboxOpenKey(k))
		if err != nil {
			return err
		}
		if err := listedEntries(txn, ids, f); err != nil {
			return err
		}
	}
	return nil
}

// listedEntries visits the open entries whose numbers stand in the list of an address.
func listedEntries(txn *badger.Txn, ids []byte, f func(exchange.Entry)) error {
	for ; len(ids) >= 8; ids = ids[8:] {
		e, ok, err := readOutbox(txn, binary.BigEndian.Uint64(ids))
		if err != nil {
			return err
		}
		if ok {
			f(e)
		}
	}
	return nil
}

// SyncState tells how far İYS has been told about an address: the state of its open entry, or empty.
func (s *Store) SyncState(_ context.Context, k iys.Key) (state string, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		return openEntries(txn, []iys.Key{k}, func(e exchange.Entry) { state = string(e.State) })
	})
	return state, err
}

// PutEntries queues movements for İYS and returns after the sync. How they came, and what proves them (aligned, or nil), stands in
// their history; one that is not applicable from the start stands there alone. Many are written in several commits;
// after an error some may be queued, and queuing them again does no harm.
func (s *Store) PutEntries(_ context.Context, entries []exchange.Entry, how string, evidence []string) error {
	c := &cutter{limit: s.maxPart()}
	i := -1
	cut(c, entries, func(p *exchange.Changes) *[]exchange.Entry { return &p.Entries }, func(e *exchange.Entry) int {
		if i++; evidence == nil {
			return entrySize(e)
		}
		return entrySize(e) + 6*len(evidence[i])
	})
	errs := make(chan error, len(c.parts))
	for from, p := 0, 0; p < len(c.parts); p++ {
		part, proof := c.parts[p].Entries, []string(nil)
		if evidence != nil {
			proof = evidence[from : from+len(part)]
		}
		from += len(part)
		s.enqueue(act{func(t *tx) error { return fatal(t.putEntries(part, how, proof)) }, func(err error) { errs <- err }})
	}
	var err error
	for range c.parts {
		err = errors.Join(err, <-errs)
	}
	return err
}

func (t *tx) putEntries(entries []exchange.Entry, how string, evidence []string) error {
	for i := range entries {
		if entries[i].State != exchange.StateNotApplicable { // else nobody is told, and the history alone keeps it
			if err := t.putOutbox(&entries[i]); err != nil {
				return err
			}
		}
		a, err := t.s.accountOf(entries[i].Brand)
		if err != nil {
			continue
		}
		rec := entries[i].Consent()
		ev := gateway.ConsentEvent{How: how, Sync: string(entries[i].State), Consent: WireConsent(&rec)}
		if evidence != nil {
			ev.Evidence = evidence[i]
		}
		if err := t.addHistory(a, rec.Key, ev); err != nil {
			return err
		}
	}
	return nil
}

// EachPull is part of mirror.Source: a channel is as fresh as the older of its two listings.
func (s *Store) EachPull(ctx context.Context, yield func(mirror.Pull) error) error {
	for _, b := range s.Directory().Brands {
		person, err := s.Cursor(ctx, b.Code, iysapi.ChangesByPerson)
		if err != nil {
			return err
		}
		provider, err := s.Cursor(ctx, b.Code, iysapi.ChangesByProvider)
		if err != nil {
			return err
		}
		for _, c := range []struct {
			ch   iys.Channel
			mode gateway.BrandMode
		}{{iys.ChannelSMS, b.SMS}, {iys.ChannelEmail, b.Email}} {
			p := mirror.Pull{Brand: b.Code, Channel: c.ch, Start: person.ListedTo(c.ch), Trust: person.TrustOf(c.ch)}
			if at := provider.ListedTo(c.ch); at.Before(p.Start) {
				p.Start = at
			}
			if at := provider.TrustOf(c.ch); at.After(p.Trust) {
				p.Trust = at
			}
			if c.mode.Mode != string(iys.ModePartner) { // but it may be again, and what is not trusted then is not
				p.Start = time.Time{}
			}
			if p.Start.IsZero() && p.Trust.IsZero() {
				continue
			}
			if err := yield(p); err != nil {
				return err
			}
		}
	}
	return nil
}
