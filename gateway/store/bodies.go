package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway/mailbody"
)

// Small bodies lie in records; those above bodyFloor in a log of segment files beside the database, and the record holds their place.
// Both become durable in the commit that refers to them. Badger would carry such values through every flush and compaction, and the
// memory in which it builds tables grows with them: 100 000 mails of 20 kB held half a gigabyte.
const (
	bodyFloor = 4 << 10
	// movedAnAct is how many bodies of a sparse segment one act writes again.
	movedAnAct = 8
)

func (s *Store) openBodies() (err error) {
	if s.opt.InMemory {
		return nil
	}
	if s.bodies, err = mailbody.OpenLog(filepath.Join(s.opt.Dir, "bodies"), s.keys.bodies); err != nil {
		return err
	}
	if err := s.eachPlace(func(_ string, p mailbody.Place) { s.bodies.Use(p) }); err != nil {
		return err
	}
	return s.bodies.Tidy()
}

func placeValue(p mailbody.Place) enc {
	var e enc
	e.uint(p.Segment)
	e.uint(uint64(p.Offset))
	e.uint(uint64(p.Size))
	return e
}

func decodePlace(v []byte) (mailbody.Place, error) {
	d := dec{b: v}
	p := mailbody.Place{Segment: d.uint(), Offset: uint32(d.uint()), Size: uint32(d.uint())}
	return p, d.err("place of a body")
}

// eachPlace visits the bodies in the log.
func (s *Store) eachPlace(visit func(id string, p mailbody.Place)) error {
	return s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kBodyPlace}, PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			if err := item.Value(func(v []byte) error {
				p, err := decodePlace(v)
				if err == nil {
					visit(string(item.Key()[1:]), p)
				}
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// putBody writes a body that outlives the life given by nobody.
func (t *tx) putBody(id string, body []byte, life time.Duration) error {
	if t.s.bodies == nil || len(body) < bodyFloor {
		return t.set(bodyKey(id), body, life)
	}
	p, err := t.s.bodies.Append(id, body)
	if err != nil {
		return errFatal{err}
	}
	t.undo = append(t.undo, func() { t.s.bodies.Free(p) })
	t.bytes += len(body) / 4 // what a body costs here is one write
	return t.set(bodyPlaceKey(id), placeValue(p), life)
}

// delBody removes a body of a size that is known, or of any (-1).
func (t *tx) delBody(id string, size int64) error {
	if size >= 0 && size < bodyFloor || t.s.bodies == nil {
		return t.del(bodyKey(id))
	}
	k := bodyPlaceKey(id)
	v, err := t.get(k)
	if err != nil {
		return err
	}
	if v == nil { // written before there was a log
		return t.del(bodyKey(id))
	}
	p, err := decodePlace(v)
	if err != nil {
		return errFatal{err}
	}
	t.after(func() { t.s.bodies.Free(p) })
	return t.del(k)
}

// readBody reads a body from record or log.
func (s *Store) readBody(id string) (body []byte, err error) {
	for range 3 { // the log may move it between the two looks
		var place []byte
		if err := s.db.View(func(txn *badger.Txn) (err error) {
			if body, err = getValue(txn, bodyKey(id)); err != nil || body != nil || s.bodies == nil {
				return err
			}
			place, err = getValue(txn, bodyPlaceKey(id))
			return err
		}); err != nil || body != nil {
			return body, err
		}
		if place == nil {
			break
		}
		p, err := decodePlace(place)
		if err != nil {
			return nil, err
		}
		if body, err = s.bodies.Read(id, p); !errors.Is(err, fs.ErrNotExist) {
			return body, err
		}
	}
	return nil, fmt.Errorf("store: body %s: %w", id, fs.ErrNotExist)
}

// tidyBodies gives the space of dead bodies back.
func (s *Store) tidyBodies(ctx context.Context) error {
	if s.bodies == nil {
		return nil
	}
	for ctx.Err() == nil && !s.full.Load() { // moving needs room before it gives any back
		n, ok := s.bodies.Sparse()
		if !ok {
			break
		}
		if err := s.emptySegment(ctx, n); errors.Is(err, mailbody.ErrDamaged) {
			s.log.Error("a mail body cannot be read: its segment stays", "segment", n, "err", err)
			s.bodies.Keep(n)
		} else if err != nil {
			return err
		}
		if err := s.bodies.Tidy(); err != nil {
			return err
		}
	}
	return s.bodies.Tidy()
}

// emptySegment appends what lives in a segment again.
func (s *Store) emptySegment(ctx context.Context, n uint64) error {
	var ids []string
	if err := s.eachPlace(func(id string, p mailbody.Place) {
		if p.Segment == n {
			ids = append(ids, id)
		}
	}); err != nil {
		return err
	}
	for len(ids) > 0 && ctx.Err() == nil {
		some := ids[:min(movedAnAct, len(ids))]
		ids = ids[len(some):]
		if err := s.do(func(t *tx) error {
			for _, id := range some {
				if err := t.moveBody(id, n); err != nil {
					return fatal(err)
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	// What expired was never counted off. No act is under way beside this one, so that nothing newer can be missed.
	return s.do(func(t *tx) error {
		t.after(func() { s.bodies.Forget(n) })
		return nil
	})
}

// moveBody appends a body of segment n again, unless it went meanwhile.
func (t *tx) moveBody(id string, n uint64) error {
	k := bodyPlaceKey(id)
	item, err := t.txn.Get(k)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var old mailbody.Place
	if err := item.Value(func(v []byte) (err error) { old, err = decodePlace(v); return err }); err != nil || old.Segment != n {
		return err
	}
	body, err := t.s.bodies.Read(id, old)
	if err != nil {
		return fmt.Errorf("store: move body %s: %w", id, err)
	}
	p, err := t.s.bodies.Append(id, body)
	if err != nil {
		return err
	}
	t.undo = append(t.undo, func() { t.s.bodies.Free(p) })
	t.after(func() { t.s.bodies.Free(old) })
	var life time.Duration
	if at := item.ExpiresAt(); at > 0 {
		life = max(time.Second, time.Until(time.Unix(int64(at), 0)))
	}
	t.bytes += len(body) / 4
	return t.set(k, placeValue(p), life)
}
