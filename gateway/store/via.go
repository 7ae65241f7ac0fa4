package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"izinli/gateway"
)

func viaKey(a gateway.AccountID, id uint64) key { return newKey(kVia, 12).account(a).u64(id) }

// PutVia writes a question put to a person over ViA and returns after the sync; a new one (no ID) gets its ID.
func (s *Store) PutVia(_ context.Context, v *gateway.ViaOperation) error {
	return s.do(func(t *tx) error { return t.putVia(v) })
}

// BeginVia is PutVia for a question that is new by an idempotency key. Where the key was used before nothing is written: the error is a
// *gateway.Replay with the ID of the question then, or gateway.CodeIdempotencyMismatch.
func (s *Store) BeginVia(_ context.Context, v *gateway.ViaOperation, key *gateway.IdempotencyKey) error {
	return s.do(func(t *tx) error {
		if err := checkKey(t.txn, v.Account, key); err != nil {
			return err
		}
		if err := t.putVia(v); err != nil {
			return err
		}
		return t.set(idempotencyKey(v.Account, key.Key), append(key.Hash[:], v.ID...), idempotencyLife)
	})
}

// RefuseVia is PutVia for a question İYS did not take: its idempotency key is as good as new.
func (s *Store) RefuseVia(_ context.Context, v *gateway.ViaOperation, key *gateway.IdempotencyKey) error {
	return s.do(func(t *tx) error {
		if err := t.putVia(v); err != nil {
			return err
		}
		return t.del(idempotencyKey(v.Account, key.Key))
	})
}

func (t *tx) putVia(v *gateway.ViaOperation) error {
	if v.ID == "" {
		v.ID = strconv.FormatUint(t.s.nextSeq(), 36)
	}
	id, err := strconv.ParseUint(v.ID, 36, 64)
	if err != nil {
		return gateway.Refuse(gateway.CodeInvalid, "id", "%q is no number of a ViA operation", v.ID)
	}
	j, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return t.set(viaKey(v.Account, id), j, t.s.opt.Retention)
}

// Via reads one, false when there is none by that number.
func (s *Store) Via(_ context.Context, a gateway.AccountID, id string) (gateway.ViaOperation, bool, error) {
	n, err := strconv.ParseUint(id, 36, 64)
	if err != nil {
		return gateway.ViaOperation{}, false, nil
	}
	return readJSON[gateway.ViaOperation](s, viaKey(a, n))
}

// ListVia lists an account's, newest first.
func (s *Store) ListVia(_ context.Context, a gateway.AccountID, cursor string, limit int) (gateway.Page[gateway.ViaOperation], error) {
	return newest(s, func(seq uint64) key { return viaKey(a, seq) }, cursor, limit, func(_, b []byte, v *gateway.ViaOperation) error {
		if err := json.Unmarshal(b, v); err != nil {
			return fmt.Errorf("%w: ViA operation: %w", errCorrupt, err)
		}
		return nil
	})
}
