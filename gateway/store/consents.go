package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
	"izinli/iys"
	"izinli/iys/exchange"
	"izinli/iys/mirror"
)

// channelByte and typeByte shorten wire values in keys.
func channelByte(c iys.Channel) byte {
	switch c {
	case iys.ChannelEmail:
		return 'e'
	case iys.ChannelCall:
		return 'a'
	}
	return 'm'
}

func channelOf(b byte) iys.Channel {
	switch b {
	case 'e':
		return iys.ChannelEmail
	case 'a':
		return iys.ChannelCall
	}
	return iys.ChannelSMS
}

func typeByte(t iys.RecipientType) byte {
	if t == iys.RecipientMerchant {
		return 't'
	}
	return 'b'
}

func typeOf(b byte) iys.RecipientType {
	if b == 't' {
		return iys.RecipientMerchant
	}
	return iys.RecipientPerson
}

// accountOf is who owns a brand; a brand nobody owns cannot have consents.
func (s *Store) accountOf(brand string) (gateway.AccountID, error) {
	if b := s.Directory().Brands[brand]; b != nil {
		return b.Account, nil
	}
	return 0, gateway.Refuse(gateway.CodeBrand, "brand", "brand %s does not exist", brand)
}

func consentKeyOf(a gateway.AccountID, k iys.Key) key {
	return consentKey(a, k.Brand, channelByte(k.Channel), typeByte(k.RecipientType), k.Recipient)
}

func encodeConsent(c *iys.Consent) []byte {
	var e enc
	e.u8(1)
	e.text(string(c.Status))
	e.text(string(c.Source))
	e.text(string(c.Origin))
	e.time(c.ConsentDate)
	e.time(c.CreationDate)
	e.time(c.ReadAt)
	e.text(c.TransactionID)
	e.uint(uint64(max(0, c.RetailerCode)))
	e.uint(uint64(len(c.RetailerAccess)))
	for _, r := range c.RetailerAccess {
		e.uint(uint64(max(0, r)))
	}
	return e
}

func decodeConsent(k iys.Key, v []byte) (iys.Consent, error) {
	d := dec{b: v}
	d.u8()
	c := iys.Consent{Key: k, Status: iys.Status(d.word()), Source: iys.Source(d.word()), Origin: iys.Origin(d.word()),
		ConsentDate: d.time(), CreationDate: d.time(), ReadAt: d.time(), TransactionID: d.text(), RetailerCode: int(d.uint())}
	for range d.count(1) {
		c.RetailerAccess = append(c.RetailerAccess, int(d.uint()))
	}
	return c, d.err("consent")
}

// parseBrandKey reads a key of the form kind account4 brand 00 rest.
func parseBrandKey(k []byte) (a gateway.AccountID, brand, rest []byte, ok bool) {
	if len(k) < 6 {
		return 0, nil, nil, false
	}
	for i := 5; i < len(k); i++ {
		if k[i] == 0 {
			return gateway.AccountID(beUint32(k[1:])), k[5:i], k[i+1:], true
		}
	}
	return 0, nil, nil, false
}

// PutConsents writes records that the caller has resolved against what was stored, each with a line of history (how: pull,
// live, api …), and returns after the sync. Look-up answers leave no history: they are no movement.
func (s *Store) PutConsents(_ context.Context, records []iys.Consent, how string) error {
	return s.do(func(t *tx) error {
		for i := range records {
			if err := t.putConsent(&records[i], how); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) putConsent(c *iys.Consent, how string) error {
	a, err := t.s.accountOf(c.Brand)
	if err != nil {
		return nil // a brand that was removed: nothing refers to it any more
	}
	if err := t.set(consentKeyOf(a, c.Key), encodeConsent(c), 0); err != nil {
		return err
	}
	if c.Origin == iys.OriginLive {
		return nil
	}
	return t.history(a, c, how, "")
}

func (t *tx) history(a gateway.AccountID, c *iys.Consent, how, sync string) error {
	return t.addHistory(a, c.Key, gateway.ConsentEvent{How: how, Sync: sync, Consent: WireConsent(c)})
}

func (t *tx) addHistory(a gateway.AccountID, k iys.Key, ev gateway.ConsentEvent) error {
	ev.At = t.now
	v, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	return t.set(historyPrefix(a, k.Brand, channelByte(k.Channel), k.Recipient).u64(t.s.nextSeq()), v, t.s.opt.Retention)
}

// WireConsent is the form in which a consent is shown.
func WireConsent(c *iys.Consent) gateway.Consent {
	return gateway.Consent{Brand: c.Brand, Channel: string(c.Channel), Address: c.Recipient, RecipientType: string(c.RecipientType),
		Status: string(c.Status), Source: string(c.Source), ConsentDate: c.ConsentDate, CreationDate: c.CreationDate,
		TransactionID: c.TransactionID, RetailerCode: c.RetailerCode, RetailerAccess: c.RetailerAccess}
}

// Consent reads one record.
func (s *Store) Consent(_ context.Context, k iys.Key) (c iys.Consent, ok bool, err error) {
	a, err := s.accountOf(k.Brand)
	if err != nil {
		return c, false, nil
	}
	err = s.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, consentKeyOf(a, k))
		if err != nil || v == nil {
			return err
		}
		ok = true
		c, err = decodeConsent(k, v)
		return err
	})
	return c, ok, err
}

// Consents reads many records at once; the answers are in the order of the keys, with an empty status for absent ones.
func (s *Store) Consents(_ context.Context, keys []iys.Key) ([]iys.Consent, error) {
	out := make([]iys.Consent, len(keys))
	err := s.db.View(func(txn *badger.Txn) error {
		for i, k := range keys {
			out[i].Key = k
			a, err := s.accountOf(k.Brand)
			if err != nil {
				continue
			}
			v, err := getValue(txn, consentKeyOf(a, k))
			if err != nil {
				return err
			}
			if v == nil {
				continue
			}
			if out[i], err = decodeConsent(k, v); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// History lists the movements of an address for a brand and channel, oldest first, at most 1000.
func (s *Store) History(_ context.Context, brand string, ch iys.Channel, addr string) (out []gateway.ConsentEvent, err error) {
	a, err := s.accountOf(brand)
	if err != nil {
		return nil, err
	}
	prefix := historyPrefix(a, brand, channelByte(ch), addr)
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, PrefetchValues: true, PrefetchSize: 50})
		defer it.Close()
		for it.Seek(prefix); it.ValidForPrefix(prefix) && len(out) < 1000; it.Next() {
			var ev gateway.ConsentEvent
			if err := it.Item().Value(func(v []byte) error { return json.Unmarshal(v, &ev) }); err != nil {
				return err
			}
			out = append(out, ev)
		}
		return nil
	})
	return out, err
}

// OptOut writes a block with its history and what İYS has to be told about it, in one commit. The block is already in force
// in memory; only after this returns may the opt-out be acknowledged.
func (s *Store) OptOut(_ context.Context, b gateway.Block, entries []exchange.Entry, sync string) error {
	return s.doIn(true, func(t *tx) error {
		ch := iys.Channel(b.Channel)
		if err := t.block(b, ch); err != nil {
			return err
		}
		rec := iys.Consent{Key: iys.Key{Brand: b.Brand, Channel: ch, Recipient: b.Address}, Status: iys.StatusRejected,
			Source: iys.Source(b.Source), ConsentDate: b.At}
		if err := t.history(b.Account, &rec, b.Route, sync); err != nil {
			return fatal(err)
		}
		for i := range entries {
			if err := t.putOutbox(&entries[i]); err != nil {
				return fatal(err)
			}
		}
		if sync != "owed_by_customer" || !t.wantsEvent(b.Account, gateway.EventOptOutOwed) {
			return nil
		}
		return fatal(t.oweEvent(b.Account, gateway.EventOptOutOwed, b))
	})
}

// block writes a block. The later of two refusals stands: only what is later still may lift it.
func (t *tx) block(b gateway.Block, ch iys.Channel) error {
	k := blockMarkKey(b.Account, b.Brand, channelByte(ch), b.Address)
	old, err := t.get(k)
	if err != nil {
		return err
	}
	var have gateway.Block
	if old != nil && json.Unmarshal(old, &have) == nil && have.At.After(b.At) {
		return nil
	}
	v, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return t.set(k, v, 0)
}

// BlockOf reads a block.
func (s *Store) BlockOf(_ context.Context, brand string, ch iys.Channel, addr string) (b *gateway.Block, err error) {
	a, err := s.accountOf(brand)
	if err != nil {
		return nil, err
	}
	err = s.db.View(func(txn *badger.Txn) error {
		v, err := getValue(txn, blockMarkKey(a, brand, channelByte(ch), addr))
		if err != nil || v == nil {
			return err
		}
		b = &gateway.Block{}
		return json.Unmarshal(v, b)
	})
	return b, err
}

// Unblock removes a block; what lifted it becomes history, with the evidence where there is any.
func (s *Store) Unblock(_ context.Context, by *iys.Consent, how, evidence string) error {
	return s.do(func(t *tx) error {
		a, err := t.s.accountOf(by.Brand)
		if err != nil {
			return err
		}
		if err := t.del(blockMarkKey(a, by.Brand, channelByte(by.Channel), by.Recipient)); err != nil {
			return err
		}
		ev := gateway.ConsentEvent{How: how, Sync: "unblocked", Consent: WireConsent(by)}
		ev.Evidence, ev.OverrideBlock = evidence, evidence != ""
		return fatal(t.addHistory(a, by.Key, ev))
	})
}

// each visits every record of a kind until f returns an error.
func (s *Store) each(ctx context.Context, kind byte, values bool, f func(k, v []byte) error) error {
	return s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kind}, PrefetchValues: values, PrefetchSize: 1000})
		defer it.Close()
		n := 0
		for it.Rewind(); it.Valid(); it.Next() {
			if n++; n%10000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			item := it.Item()
			if !values {
				if err := f(item.Key(), nil); err != nil {
					return err
				}
				continue
			}
			if err := item.Value(func(v []byte) error { return f(item.Key(), v) }); err != nil {
				return err
			}
		}
		return nil
	})
}

// EachConsent, EachBlock and EachBlacklisted are, with EachPull, mirror.Source: the durable copy read at start-up. EachConsent
// reads with several goroutines.
func (s *Store) EachConsent(ctx context.Context, loader func() *mirror.Loader) error {
	bounds := s.split(kConsent, max(2, runtime.NumCPU()))
	var wg sync.WaitGroup
	errs := make([]error, len(bounds)-1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i := range errs {
		wg.Go(func() {
			l := loader()
			defer l.Close()
			if errs[i] = s.consentsBetween(ctx, bounds[i], bounds[i+1], l.Add); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// split cuts the records of a kind into about n ranges of like size, at the borders of tables; it returns the n+1 bounds.
func (s *Store) split(kind byte, n int) [][]byte {
	var borders [][]byte
	for _, t := range s.db.Tables() {
		if len(t.Left) > 8 && t.Left[0] == kind {
			borders = append(borders, t.Left[:len(t.Left)-8]) // without Badger's version
		}
	}
	slices.SortFunc(borders, bytes.Compare)
	bounds := [][]byte{{kind}}
	for i := 1; i < n && len(borders) > n; i++ {
		bounds = append(bounds, borders[i*len(borders)/n])
	}
	return append(bounds, []byte{kind + 1})
}

// consentsBetween calls yield for each consent of a range of keys; what it gets is its own until it returns.
func (s *Store) consentsBetween(ctx context.Context, from, to []byte, yield func(*iys.Consent)) error {
	brandName := "" // of the record before: most follow one of their own brand
	return s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kConsent}}) // values are read in place: no prefetch
		defer it.Close()
		n := 0
		var c iys.Consent // one for all: yield gets the address of it
		for it.Seek(from); it.Valid() && bytes.Compare(it.Item().Key(), to) < 0; it.Next() {
			if n++; n%10_000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			item := it.Item()
			a, brand, rest, ok := parseBrandKey(item.Key())
			if !ok || len(rest) < 3 {
				return fmt.Errorf("%w: consent key of account %d", errCorrupt, a)
			}
			if brandName != string(brand) {
				brandName = string(brand)
			}
			key := iys.Key{Brand: brandName, Channel: channelOf(rest[0]), RecipientType: typeOf(rest[1]), Recipient: string(rest[2:])}
			if err := item.Value(func(v []byte) error {
				var err error
				if c, err = decodeConsent(key, v); err == nil {
					yield(&c)
				}
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// ConsentCount is about how many consents there are, counted at the last start (mirror.Counter).
func (s *Store) ConsentCount() int {
	v, ok, err := s.Named(consentCountName)
	if err != nil || !ok {
		return 0
	}
	d := dec{b: v}
	return int(d.uint())
}

// NoteConsentCount remembers how many consents were loaded, for the next start.
func (s *Store) NoteConsentCount(n int) error {
	var e enc
	e.uint(uint64(n))
	return s.PutNamed(consentCountName, e)
}

const consentCountName = "consent-count"

// EachBlock is part of mirror.Source.
func (s *Store) EachBlock(ctx context.Context, yield func(iys.Block) error) error {
	return s.each(ctx, kBlockMark, true, func(_, v []byte) error {
		var b gateway.Block
		if err := json.Unmarshal(v, &b); err != nil {
			return err
		}
		return yield(iys.Block{Brand: b.Brand, Channel: iys.Channel(b.Channel), Recipient: b.Address, Since: b.At})
	})
}

// AddressCounts counts an account's approvals: telephone numbers (of messages or calls, whichever are more) and e-mail addresses. It reads
// all its consents.
func (s *Store) AddressCounts(ctx context.Context, a gateway.AccountID) (phones, emails int, err error) {
	counts := map[iys.Channel]int{}
	err = s.db.View(func(txn *badger.Txn) error {
		prefix := newKey(kConsent, 4).account(a)
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix}) // values are read in place: no prefetch
		defer it.Close()
		n := 0
		for it.Seek(prefix); it.ValidForPrefix(prefix); it.Next() {
			if n++; n%10_000 == 0 && ctx.Err() != nil {
				return ctx.Err()
			}
			_, _, rest, ok := parseBrandKey(it.Item().Key())
			if !ok || len(rest) < 3 {
				return fmt.Errorf("%w: consent key of account %d", errCorrupt, a)
			}
			ch := channelOf(rest[0])
			if err := it.Item().Value(func(v []byte) error {
				d := dec{b: v}
				d.u8()
				if d.word() == string(iys.StatusApproved) {
					counts[ch]++
				}
				return d.err("consent")
			}); err != nil {
				return err
			}
		}
		return nil
	})
	return max(counts[iys.ChannelSMS], counts[iys.ChannelCall]), counts[iys.ChannelEmail], err
}
