package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"izinli/gateway"
)

// Panel users are JSON under their name. They are few and stay out of the directory, whose snapshot is shared with every door.

// PanelUser returns the user of that name; CodeNotFound when there is none.
func (s *Store) PanelUser(_ context.Context, name string) (u gateway.PanelUser, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		raw, err := getValue(txn, userKey(name))
		switch {
		case err != nil:
			return err
		case raw == nil:
			return notFound("user", name)
		}
		return decodeUser(raw, &u)
	})
	return u, err
}

// PanelUsers lists all users by name.
func (s *Store) PanelUsers(context.Context) (out []gateway.PanelUser, err error) {
	err = s.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kUser}, PrefetchValues: true, PrefetchSize: 100})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			var u gateway.PanelUser
			if err := it.Item().Value(func(v []byte) error { return decodeUser(v, &u) }); err != nil {
				return err
			}
			out = append(out, u)
		}
		return nil
	})
	return out, err
}

func decodeUser(raw []byte, u *gateway.PanelUser) error {
	if err := json.Unmarshal(raw, u); err != nil {
		return fmt.Errorf("store: panel user: %w", err)
	}
	return nil
}

// PutPanelUser creates or changes a user and returns after the sync. Its secret must be sealed.
func (s *Store) PutPanelUser(_ context.Context, u gateway.PanelUser) error {
	raw, err := json.Marshal(&u)
	if err != nil {
		return fmt.Errorf("store: panel user: %w", err)
	}
	return s.do(func(t *tx) error { return t.set(userKey(u.Name), raw, 0) })
}

// DeletePanelUser removes a user; removing what is not there is no error.
func (s *Store) DeletePanelUser(_ context.Context, name string) error {
	return s.do(func(t *tx) error { return t.del(userKey(name)) })
}
