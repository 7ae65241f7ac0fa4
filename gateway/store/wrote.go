package store

import (
	"time"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Who wrote to a person, for what the person writes back.

// maxWrote bounds how many messages to one address are looked at.
const maxWrote = 2000

// LastBrands returns the account's brands whose commercial messages may have reached the address since the given time: for an opt-out that
// names no brand (sms.md §10 step 3d). Every message that was handed off counts, also one of which nobody knows whether it arrived.
// whole is false if there were too many messages to look at all of them: brands may then lack one.
func (s *Store) LastBrands(a gateway.AccountID, address string, since time.Time) (brands []string, whole bool, err error) {
	missing := map[string]bool{}
	for _, b := range s.Directory().BrandsOf(a) {
		missing[b.Code] = true
	}
	whole, err = s.eachWrote(a, address, since, func(m *stored, _ time.Time) bool {
		if m.batch.Class == gateway.ClassCommercial && missing[m.batch.Brand] {
			delete(missing, m.batch.Brand)
			brands = append(brands, m.batch.Brand)
		}
		return len(missing) > 0
	})
	return brands, whole, err
}

// LastWrote returns when a message of the account, of whatever class, was last handed off to the address; the zero time if none was
// since the given time. whole is as with LastBrands: a message not looked at may have left later.
func (s *Store) LastWrote(a gateway.AccountID, address string, since time.Time) (last time.Time, whole bool, err error) {
	whole, err = s.eachWrote(a, address, since, func(_ *stored, at time.Time) bool {
		if at.After(last) {
			last = at
		}
		return true
	})
	return last, whole, err
}

// eachWrote visits the messages to an address that were handed off since the given time, those accepted last first, until f says
// stop. It reports false when it stopped by itself, at maxWrote.
func (s *Store) eachWrote(a gateway.AccountID, address string, since time.Time, f func(m *stored, at time.Time) bool) (whole bool, err error) {
	whole = true
	n := 0
	// What left lately may have been accepted long before, for a time to come.
	list := gateway.MessageFilter{To: address, Since: since.Add(-gateway.MaxAhead - gateway.MaxValidity)}
	err = s.db.View(func(txn *badger.Txn) error {
		return listAddress(txn, a, &list, gateway.MessageID{}, func(m *stored) bool {
			if n++; n > maxWrote {
				whole = false
				return false
			}
			at := leftAt(m)
			return at.Before(since) || f(m, at)
		})
	})
	return whole, err
}

// leftAt is when a message may have left last; the zero time if it never was handed off.
func leftAt(m *stored) time.Time {
	switch p := &m.progress; {
	case !p.Sent.IsZero():
		return p.Sent
	case p.Attempts > 0:
		return p.Updated // no operator took it for certain: the last that was heard of it
	}
	return time.Time{}
}
