package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
)

// Records carry the instant of their expiry from the time they are written. Two things keep them longer: a consent's evidence has to
// outlive the consent by the retention (three years after its validity ends, regulation.md), and what is under legal hold is not
// deleted at all. Neither is known when a record is written, so Renew comes by and gives what would expire soon, and must not, more
// time. A hold that is lifted needs nothing: what it kept expires by itself.

const (
	// renewEvery is how often Renew looks, renewAhead how soon before its end a record gets more time: the second is larger by far, so
	// that a gateway which stood still for two months loses nothing.
	renewEvery = 7 * 24 * time.Hour
	renewAhead = 90 * 24 * time.Hour
	// heldFor is how much more time a record under hold gets each time.
	heldFor = 2 * renewAhead
	// renewAnAct is how many records one act writes again, renewBytes how large they may be together.
	renewAnAct = 100
	renewBytes = 256 << 10
)

const renewedName = "renewed"

func holdKey(h *gateway.Hold) key {
	k := newKey(kHold, 40).account(h.Account)
	switch {
	case h.Message != "":
		return k.text("m" + h.Message)
	case h.Address != "":
		return k.text("a" + h.Address)
	}
	return k
}

// PutHold puts a message, the messages and consents of an address, or a whole account under legal hold, and gives what would expire
// soon more time before it returns.
func (s *Store) PutHold(ctx context.Context, h gateway.Hold) error {
	if h.At.IsZero() {
		h.At = s.opt.Now()
	}
	v, err := json.Marshal(&h)
	if err != nil {
		return err
	}
	if err := s.do(func(t *tx) error { return t.set(holdKey(&h), v, 0) }); err != nil {
		return err
	}
	_, err = s.renewHeld(ctx, []gateway.Hold{h})
	return err
}

// DeleteHold lifts a hold; not_found when there is none.
func (s *Store) DeleteHold(_ context.Context, h gateway.Hold) error {
	return s.do(func(t *tx) error {
		k := holdKey(&h)
		v, err := t.get(k)
		if err != nil {
			return err
		}
		if v == nil {
			return notFound("hold", h.Name())
		}
		return t.del(k)
	})
}

// Holds lists the holds of an account, or of all (0), in the order of accounts.
func (s *Store) Holds(ctx context.Context, a gateway.AccountID) (out []gateway.Hold, err error) {
	err = s.each(ctx, kHold, true, func(_, v []byte) error {
		var h gateway.Hold
		if err := json.Unmarshal(v, &h); err != nil {
			return fmt.Errorf("%w: legal hold: %w", errCorrupt, err)
		}
		if a == 0 || h.Account == a {
			out = append(out, h)
		}
		return nil
	})
	return out, err
}

// renewWhenDue runs Renew once a week.
func (s *Store) renewWhenDue(ctx context.Context) error {
	if s.opt.Retention == 0 {
		return nil
	}
	v, ok, err := s.Named(renewedName)
	if err != nil || ok && len(v) == 8 && s.opt.Now().Sub(time.UnixMilli(int64(binary.BigEndian.Uint64(v)))) < renewEvery {
		return err
	}
	n, err := s.Renew(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		s.log.Info("records kept beyond their retention", "records", n)
	}
	return s.PutNamed(renewedName, binary.BigEndian.AppendUint64(nil, uint64(s.opt.Now().UnixMilli())))
}

// Renew gives records that are under hold, and the evidence of consents that are valid or have not been invalid for long enough, more
// time where they would expire soon. It returns how many.
func (s *Store) Renew(ctx context.Context) (int, error) {
	holds, err := s.Holds(ctx, 0)
	if err != nil {
		return 0, err
	}
	held, err := s.renewHeld(ctx, holds)
	if err != nil {
		return held, err
	}
	n, err := s.renewHistory(ctx)
	if err != nil {
		return held + n, err
	}
	vias, err := s.renewVia(ctx)
	return held + n + vias, err
}

func (s *Store) renewHeld(ctx context.Context, holds []gateway.Hold) (int, error) {
	r := &renewal{s: s, ctx: ctx, until: time.Now().Add(heldFor)}
	for i := range holds {
		if err := r.hold(&holds[i]); err != nil {
			return r.n, fmt.Errorf("store: legal hold on %s: %w", holds[i].Name(), err)
		}
	}
	return r.n, r.flush()
}

// renewal gathers records that are to be kept until an instant.
type renewal struct {
	s     *Store
	ctx   context.Context
	until time.Time
	keys  [][]byte
	n     int
}

func soon(item *badger.Item) bool { return endsSoon(item.ExpiresAt()) }

func endsSoon(ends uint64) bool {
	return ends > 0 && time.Unix(int64(ends), 0).Before(time.Now().Add(renewAhead))
}

func (r *renewal) hold(h *gateway.Hold) error {
	switch {
	case h.Message != "":
		id, err := gateway.ParseMessageID(h.Message)
		if err != nil {
			return err
		}
		return r.message(id)
	case h.Address != "":
		return r.address(h.Account, h.Address)
	}
	for _, kind := range []byte{kBatch, kBatchPage, kBlock, kFlags, kProgress, kAddress, kAddressPage, kAddressChunk, kAddressRun, kChain, kHistory, kInbound, kVia} {
		if err := r.prefix(newKey(kind, 4).account(h.Account)); err != nil {
			return err
		}
	}
	return nil
}

// prefix takes all records under a prefix.
func (r *renewal) prefix(prefix key) error {
	return r.s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
			if soon(it.Item()) {
				if err := r.add(it.Item().KeyCopy(nil)); err != nil {
					return err
				}
			}
		}
		return r.ctx.Err()
	})
}

func (r *renewal) one(txn *badger.Txn, k key) error {
	item, err := txn.Get(k)
	if err != nil {
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		return err
	}
	if soon(item) {
		return r.add(k)
	}
	return nil
}

// message takes the records a message consists of; batch and chain records are shared with others.
func (r *renewal) message(id gateway.MessageID) error {
	return r.s.db.View(func(txn *badger.Txn) error {
		m, err := readMessage(txn, id)
		if err != nil || m == nil {
			return err
		}
		// What it has in pages would expire with others' there: it gets records of its own.
		if ends, err := batchEnds(txn, id.Ref()); err != nil {
			return err
		} else if endsSoon(ends) {
			entry := addressKey(id.Account, addressHash(m.recipient.Address), id.Batch, id.Index)
			if err := errors.Join(r.add(batchKey(id.Ref())), r.add(entry)); err != nil {
				return err
			}
		}
		keys := []key{blockKey(id.Ref(), id.Index/gateway.BlockSize), flagsKey(id.Ref()), progressKey(id)}
		for _, ref := range append([]gateway.DecisionRef{m.accept}, m.progress.Decisions...) {
			keys = append(keys, chainKey(id.Account, ref.Day, ref.Seq))
		}
		for _, k := range keys {
			if err := r.one(txn, k); err != nil {
				return err
			}
		}
		return r.ctx.Err()
	})
}

func (r *renewal) address(a gateway.AccountID, addr string) error {
	var ids []gateway.MessageID
	if err := r.s.db.View(func(txn *badger.Txn) error {
		return listAddress(txn, a, &gateway.MessageFilter{To: addr}, gateway.MessageID{}, func(m *stored) bool {
			ids = append(ids, m.id)
			return true
		})
	}); err != nil {
		return err
	}
	for _, id := range ids {
		if err := r.message(id); err != nil {
			return err
		}
	}
	for code, b := range r.s.Directory().Brands {
		if b.Account != a {
			continue
		}
		for _, ch := range []iys.Channel{iys.ChannelSMS, iys.ChannelEmail, iys.ChannelCall} {
			if err := r.prefix(historyPrefix(a, code, channelByte(ch), addr)); err != nil {
				return err
			}
		}
	}
	return r.s.eachVia(r.ctx, newKey(kVia, 4).account(a), func(_ *badger.Txn, item *badger.Item, v *gateway.ViaOperation) error {
		if v.Address != addr || !soon(item) {
			return nil
		}
		return r.add(item.Key())
	})
}

func (r *renewal) add(k []byte) error {
	r.keys = append(r.keys, slices.Clone(k))
	if len(r.keys) < renewAnAct {
		return nil
	}
	return r.flush()
}

// flush writes what was gathered again, with more time. A record that went meanwhile stays away.
func (r *renewal) flush() error {
	for len(r.keys) > 0 {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		done := 0
		err := r.s.do(func(t *tx) error {
			size := 0
			for done = 0; done < len(r.keys) && size < renewBytes; done++ {
				v, err := t.renewed(r.keys[done])
				if err != nil {
					return err
				}
				if v == nil {
					continue
				}
				size += len(v)
				if err := t.set(r.keys[done], v, time.Until(r.until)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.n += done
		r.keys = r.keys[done:]
	}
	r.keys = nil
	return nil
}

// renewed is the record to write again under a key, also where it stood in a page until now; nil when it went.
func (t *tx) renewed(k []byte) ([]byte, error) {
	switch k[0] {
	case kBatch:
		return t.batch(batchOfKey(k))
	case kAddress:
		return []byte{}, nil
	}
	return t.get(k)
}

// renewHistory keeps the evidence of consents: what is approved keeps its history, what was refused keeps it for the retention from the
// refusal on.
func (s *Store) renewHistory(ctx context.Context) (n int, err error) {
	var place []byte // of the address looked at last
	var keep time.Time
	kept := renewals{}
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kHistory}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			endless := item.ExpiresAt() == 0 && s.opt.Retention > 0
			if !endless && !soon(item) {
				continue
			}
			k := item.Key()
			if len(k) < 8 {
				return fmt.Errorf("%w: history key", errCorrupt)
			}
			if p := k[:len(k)-8]; !bytes.Equal(p, place) {
				place = slices.Clone(p)
				if keep, err = s.evidenceUntil(txn, p); err != nil {
					return err
				}
			}
			until := keep
			if endless {
				if until, err = s.endOf(item, keep); err != nil {
					return err
				}
			}
			if err := kept.keep(ctx, s, item, until); err != nil {
				return err
			}
		}
		return nil
	})
	return kept.end(err)
}

// endOf gives a line of history an end that was written without one: evidence of consents given over hosted forms had none at first. It
// goes when the retention behind the consent's end is over, as if it had been written today, and not before Renew has come by again
// and seen whether it is under hold.
func (s *Store) endOf(item *badger.Item, keep time.Time) (time.Time, error) {
	if keep.IsZero() {
		var e gateway.ConsentEvent
		if err := item.Value(func(v []byte) error { return json.Unmarshal(v, &e) }); err != nil {
			return keep, fmt.Errorf("%w: history: %w", errCorrupt, err)
		}
		keep = e.At.Add(s.opt.Retention)
	}
	if least := time.Now().Add(renewAhead / 2); keep.Before(least) {
		keep = least
	}
	return keep, nil
}

// renewals gathers records by the day until which they are to be kept.
type renewals map[int64]*renewal

// keep takes a record that would go before.
func (m renewals) keep(ctx context.Context, s *Store, item *badger.Item, until time.Time) error {
	if until.Unix() <= int64(item.ExpiresAt()) {
		return nil
	}
	day := until.Unix() / 86400
	if m[day] == nil {
		m[day] = &renewal{s: s, ctx: ctx, until: until}
	}
	return m[day].add(item.Key())
}

// end writes what was gathered, unless gathering failed, and tells how many records got more time.
func (m renewals) end(err error) (n int, _ error) {
	for _, r := range m {
		if err == nil {
			err = r.flush()
		}
		n += r.n
	}
	return n, err
}

// eachVia reads the questions over ViA under a prefix.
func (s *Store) eachVia(ctx context.Context, prefix []byte, use func(*badger.Txn, *badger.Item, *gateway.ViaOperation) error) error {
	return s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			var v gateway.ViaOperation
			if err := it.Item().Value(func(b []byte) error { return json.Unmarshal(b, &v) }); err != nil {
				return fmt.Errorf("%w: ViA operation: %w", errCorrupt, err)
			}
			if err := use(txn, it.Item(), &v); err != nil {
				return err
			}
		}
		return nil
	})
}

// renewVia keeps the questions out of which a consent came as long as the evidence of that consent: İYS's proof is asked for by them.
func (s *Store) renewVia(ctx context.Context) (n int, err error) {
	kept := renewals{}
	err = s.eachVia(ctx, []byte{kVia}, func(txn *badger.Txn, item *badger.Item, v *gateway.ViaOperation) error {
		if !soon(item) {
			return nil
		}
		var keep time.Time
		for _, x := range v.Consents {
			until, err := s.evidenceUntil(txn, historyPrefix(v.Account, v.Brand, channelByte(iys.Channel(x.Channel)), v.Address))
			if err != nil {
				return err
			}
			if until.After(keep) {
				keep = until
			}
		}
		return kept.keep(ctx, s, item, keep)
	})
	return kept.end(err)
}

// evidenceUntil is until when the history under a prefix is to be kept; the zero time leaves it to itself. A consent that is nobody's
// record here (the customer keeps them at İYS himself) is valid as long as the last word of its history is an approval and nothing blocks
// the address.
func (s *Store) evidenceUntil(txn *badger.Txn, prefix []byte) (until time.Time, err error) {
	a, brand, rest, ok := parseBrandKey(prefix)
	if !ok || len(rest) < 2 {
		return until, fmt.Errorf("%w: history key", errCorrupt)
	}
	addr := strings.TrimSuffix(string(rest[1:]), "\x00")
	for _, rt := range []iys.RecipientType{iys.RecipientPerson, iys.RecipientMerchant} {
		key := iys.Key{Brand: string(brand), Channel: channelOf(rest[0]), RecipientType: rt, Recipient: addr}
		v, err := getValue(txn, consentKeyOf(a, key))
		if err != nil {
			return until, err
		}
		if v == nil {
			continue
		}
		c, err := decodeConsent(key, v)
		if err != nil {
			return until, err
		}
		end := endOfConsent(&c, time.Now())
		if end.IsZero() {
			continue
		}
		if keep := end.Add(s.opt.Retention); keep.After(until) {
			until = keep
		}
	}
	if !until.IsZero() {
		return until, nil
	}
	return s.wordUntil(txn, prefix, blockMarkKey(a, string(brand), rest[0], addr))
}

// endOfConsent is when a consent ended, now while it is valid: when the person said so, else when İYS registered it (a merchant's line
// closed by an operator has no other date), else when İYS last said that it holds no approval. Zero when none of them is known.
func endOfConsent(c *iys.Consent, now time.Time) time.Time {
	switch {
	case c.Status == iys.StatusApproved:
		return now
	case !c.ConsentDate.IsZero():
		return c.ConsentDate
	case !c.CreationDate.IsZero():
		return c.CreationDate
	}
	return c.ReadAt
}

// wordUntil judges by the history itself and the block.
func (s *Store) wordUntil(txn *badger.Txn, prefix []byte, block key) (until time.Time, err error) {
	v, err := getValue(txn, block)
	if err != nil {
		return until, err
	}
	if v != nil {
		var b gateway.Block
		if err := json.Unmarshal(v, &b); err != nil {
			return until, fmt.Errorf("%w: block: %w", errCorrupt, err)
		}
		return b.At.Add(s.opt.Retention), nil
	}
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true})
	defer it.Close()
	if it.Seek(append(slices.Clone(prefix), 0xFF)); !it.Valid() {
		return until, nil
	}
	var last gateway.ConsentEvent
	if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &last) }); err != nil {
		return until, fmt.Errorf("%w: history: %w", errCorrupt, err)
	}
	if last.Status == string(iys.StatusApproved) && last.Sync != string(exchange.StatePending) { // what İYS refused left no record
		until = time.Now().Add(s.opt.Retention)
	}
	return until, nil
}
