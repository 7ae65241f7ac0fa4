package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Short links are JSON under their code. A person has one for a brand and channel, however many messages carry it; it lives as long
// as the records of those messages and is written anew when half of that is over.

// codeAttempts is how many codes are tried for one link. Two links share a code once in 10⁹ pairs or so.
const codeAttempts = 5

// ShortLink returns what a code stands for, false when nothing.
func (s *Store) ShortLink(_ context.Context, code string) (l gateway.ShortLink, ok bool, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		l, ok, err = shortLink(txn, code)
		return err
	})
	return l, ok, err
}

func shortLink(txn *badger.Txn, code string) (l gateway.ShortLink, ok bool, err error) {
	v, err := getValue(txn, linkKey(code))
	if err != nil || v == nil {
		return l, false, err
	}
	if err := json.Unmarshal(v, &l); err != nil {
		return l, false, fmt.Errorf("%w: short link: %w", errCorrupt, err)
	}
	l.Code = code
	return l, true, nil
}

// sameSubject reports whether two links stand for the same opt-out.
func sameSubject(a, b *gateway.ShortLink) bool {
	return a.Account == b.Account && a.Brand == b.Brand && a.Channel == b.Channel && a.Address == b.Address
}

// linksAnAct is how many short links one act writes: about 150 kB.
const linksAnAct = 500

// PutShortLinks gives every link its code and returns when those that are new have been synced: from then on each works. codeOf
// names the code of a link; attempt rises from 0 while that code is somebody else's.
func (s *Store) PutShortLinks(_ context.Context, links []gateway.ShortLink, codeOf func(l *gateway.ShortLink, attempt int) string) error {
	fresh, err := s.newLinks(links, codeOf)
	if err != nil {
		return err
	}
	errs := make(chan error, len(fresh)/linksAnAct+1)
	n := 0
	for part := range slices.Chunk(fresh, linksAnAct) {
		n++
		s.enqueueBulk(act{func(t *tx) error { return t.putLinks(part) }, func(err error) { errs <- err }})
	}
	for range n {
		err = errors.Join(err, <-errs)
	}
	return err
}

// newLinks gives the links their codes and returns those that have to be written.
func (s *Store) newLinks(links []gateway.ShortLink, codeOf func(*gateway.ShortLink, int) string) (fresh []gateway.ShortLink, err error) {
	now := s.opt.Now()
	seen := map[string]*gateway.ShortLink{}
	err = s.db.View(func(txn *badger.Txn) error {
		for i := range links {
			l := &links[i]
			have, found := gateway.ShortLink{}, false
			for attempt := range codeAttempts {
				l.Code = codeOf(l, attempt)
				if twin := seen[l.Code]; twin != nil {
					have, found = *twin, true
				} else if have, found, err = shortLink(txn, l.Code); err != nil {
					return err
				}
				if !found || sameSubject(&have, l) {
					break
				}
				l.Code = ""
			}
			if l.Code == "" {
				return errors.New("store: no free code for a short link")
			}
			seen[l.Code] = l
			if l.Created = now; found && now.Sub(have.Created) < s.opt.Retention/2 {
				l.Created = have.Created
				continue
			}
			fresh = append(fresh, *l)
		}
		return nil
	})
	return fresh, err
}

// putLinks writes links unless a code was taken by somebody else since it was looked up.
func (t *tx) putLinks(links []gateway.ShortLink) error {
	for i := range links {
		have, ok, err := shortLink(t.txn, links[i].Code)
		if err != nil {
			return err
		}
		if ok && !sameSubject(&have, &links[i]) {
			return errors.New("store: the code of a short link was taken at the same time")
		}
	}
	for i := range links {
		v, err := json.Marshal(&links[i])
		if err != nil {
			return fatal(err)
		}
		if err := t.set(linkKey(links[i].Code), v, t.s.opt.Retention); err != nil {
			return err
		}
	}
	return nil
}
